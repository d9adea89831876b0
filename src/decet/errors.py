"""What decet says when it cannot go on: one sentence with what was wrong, what was received, what would work.

    ImageClassifier cannot use Word2Vec. It takes ResNet (default), CNN, Transformer, DNN.
    depth must be at least 1. Received: 0.
    target column 'incme' is not in the table. Did you mean 'income'?

Every error a user can cause is a `DecetError`; the command line prints it and exits with code 2. Anything else
that escapes is our fault (exit code 3).
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Sequence
from typing import Any


class DecetError(Exception):
    """Base of everything decet raises on purpose."""


class BadInput(DecetError, ValueError):
    """The data, a path or a setting is wrong; the message says where and what to do."""


class Unsupported(DecetError, TypeError):
    """A combination outside the map, or a kind of value decet does not take."""


class NotFitted(DecetError, ValueError, AttributeError):
    """The estimator has to be fitted or loaded first."""


class Diverged(DecetError, ArithmeticError):
    """Training produced values that are not finite and could not be saved by smaller rates."""


def suggest(name: object, options: Iterable[object]) -> str:
    """`" Did you mean 'x'?"` when an option is near to `name`, else the short list of options."""
    names = [str(option) for option in options]
    near = difflib.get_close_matches(str(name), names, n=1, cutoff=0.6)
    near = near or [n for n in names if n.lower() == str(name).lower()]
    if near:
        return f" Did you mean {near[0]!r}?"
    return f" Choose from: {listed(names)}." if names else ""


def listed(items: Iterable[object], most: int = 8) -> str:
    """`a, b, c and 4 more`."""
    names = [str(item) for item in items]
    if len(names) <= most:
        return ", ".join(names)
    return ", ".join(names[:most]) + f" and {len(names) - most} more"


def check_range(
    name: str, value: Any, low: float | None = None, high: float | None = None, *, whole: bool = False
) -> None:
    """Raise `BadInput` unless `low <= value <= high`; None (= not said) passes. `whole` asks for an integer."""
    if value is None:
        return
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if hasattr(value, "item") and getattr(value, "ndim", 1) == 0:  # numpy scalars, as grid searches pass them
        value = value.item()
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
    good = number and math.isfinite(value) and (not whole or float(value).is_integer())
    if good and (low is None or value >= low) and (high is None or value <= high):
        return
    kind = "a whole number" if whole else "a number"
    match (low, high):
        case (None, None):
            rule = f"must be {kind}"
        case (_, None):
            rule = f"must be {kind} of at least {low}"
        case (None, _):
            rule = f"must be {kind} of at most {high}"
        case _:
            rule = f"must be {kind} between {low} and {high}"
    raise BadInput(f"{name} {rule}. Received: {value!r}.")


def check_choice(name: str, value: Any, options: Sequence[Any]) -> None:
    """Raise `BadInput` unless `value` is one of `options`; None (= not said) passes."""
    if value is not None and not any(value == option and type(value) is type(option) for option in options):
        raise BadInput(
            f"{name} must be one of {listed(map(repr, options))}. Received: {value!r}."
            + (suggest(value, options) if isinstance(value, str) else "").split(" Choose")[0]
        )
