"""Which form a user's answers have: labels, sets of them, probabilities, or numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

from decet.data.targets import LabelCodec, NumberCodec, check_learnable, fit_labels, fit_numbers
from decet.errors import BadInput, listed
from decet.tasks.classify import Classify


def fit_answer(asked: Any, y: Any) -> LabelCodec | NumberCodec:
    """The codec of raw answers to this question. Raises BadInput where nothing can be learned from them."""
    if not isinstance(asked, Classify):
        return fit_numbers(y)
    codec = fit_labels(y, soft=is_soft(y))
    check_learnable(codec, y)
    return codec


def place_of(label: Any, classes: list[Any]) -> int | None:
    """Where a label stands among a model's classes; None of None. Raises BadInput for what is none of these."""
    if label is None:
        return None
    try:
        return classes.index(label)
    except (ValueError, TypeError) as error:  # arrays and such have no equal
        raise BadInput(f"label {label!r} is no class of this model: {listed(classes)}.") from error


def is_soft(y: Any) -> bool:
    """Whether answers are probabilities: rows of two or more fractions that sum to 1."""
    try:
        array = np.asarray(y)
    except ValueError:  # lists of unequal length: sets of labels
        return False
    if array.ndim != 2 or array.shape[1] < 2 or array.dtype.kind != "f":
        return False
    fractions = bool((array >= 0).all()) and bool(np.allclose(array.sum(1), 1.0, atol=1e-5))
    return fractions and not bool((array == array.round()).all())
