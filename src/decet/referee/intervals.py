"""How sure a figure is: the bootstrap over test items, the same items for all, so that differences are paired.

A score is a function of sums over items (`Classify.items`, `Regress.items`), so a resample is n drawn items, which are
counted, and a score is one product of these counts with what each item brings.

Resamples of items that are all right are all right too. So the interval of a share reaches at least as low as the
binomial one of a perfect share, and as high as that of none.

References: Efron & Tibshirani, An Introduction to the Bootstrap, 1993 (percentile intervals); Clopper & Pearson, 1934.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta

from decet.tasks.classify import Classify

Array = NDArray[Any]
ROUNDS = 2_000  # resamples
SHARE = 0.95  # of them that an interval holds
_CELLS = 1 << 24  # drawn items worked on at a time


class Interval(NamedTuple):
    """A figure, and the interval around it."""

    value: float
    low: float
    high: float


def resampled(items: Sequence[Array], of_items: Callable[[Array], Array], seed: int, rounds: int = ROUNDS) -> Array:
    """Scores of every contender on the same resamples, (contenders, rounds).

    items: what each test item brings, (n, S) a contender. of_items: sums (..., S) -> scores (...).
    """
    count, width = items[0].shape
    table = np.concatenate(items, 1)
    rng = np.random.Generator(np.random.Philox(seed))
    block = max(1, _CELLS // count)
    scores = []
    for begin in range(0, rounds, block):
        drawn = rng.integers(0, count, (min(block, rounds - begin), count))
        drawn += np.arange(len(drawn))[:, None] * count
        often = np.bincount(drawn.reshape(-1), minlength=drawn.size).reshape(drawn.shape)
        sums = often.astype(np.float64) @ table
        scores.append(of_items(sums.reshape(len(drawn), len(items), width)))
    return np.concatenate(scores).T


def interval(value: float, values: Array, trials: int | None = None) -> Interval:
    """The value with the middle 95 % of its resampled values; NaN where none of these is defined.

    trials: of a share of so many items.
    """
    known = values[np.isfinite(values)]
    if not len(known):
        return Interval(value, float("nan"), float("nan"))
    low, high = np.quantile(known, [(1 - SHARE) / 2, (1 + SHARE) / 2])
    if trials:  # no surer than of items that are all right, or all wrong
        low, high = min(low, chance_between(trials, trials)[0]), max(high, chance_between(0, trials)[1])
    return Interval(value, float(low), float(high))


def shared_by(task: Any, items: Array) -> int | None:
    """How many items the score of a task is a share of, of several columns in the least; None where it is no share."""
    if not isinstance(task, Classify):
        return None
    right_and_known = items.sum(0)
    return int(right_and_known[len(right_and_known) // 2 :].min())


def chance_between(hits: int, rows: int) -> tuple[float, float]:
    """The 95 % interval of a share, after Clopper & Pearson."""
    low = 0.0 if hits == 0 else float(beta.ppf((1 - SHARE) / 2, hits, rows - hits + 1))
    high = 1.0 if hits == rows else float(beta.ppf((1 + SHARE) / 2, hits + 1, rows - hits))
    return low, high
