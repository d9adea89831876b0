"""Is one learner below another on the same folds? Pure functions.

References: Nadeau & Bengio, Inference for the Generalization Error, Machine Learning 52, 2003; Holm, Scandinavian
Journal of Statistics 6, 1979.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import fmean, variance


def corrected_t(differences: Sequence[float], train: int, test: int) -> float:
    """The corrected resampled t of J differences of scores on the same folds:

        t = mean(d) / sqrt((1 / J + test / train) var(d))

    train, test: rows of a fold. The term test / train is for the folds' overlap, without which t is far too large.
    """
    mean, spread = fmean(differences), variance(differences)
    if spread == 0:
        return 0.0 if mean == 0 else math.copysign(math.inf, mean)
    return mean / math.sqrt((1 / len(differences) + test / train) * spread)


def chance_of_below(differences: Sequence[float], train: int, test: int) -> float:
    """One-sided p of `differences` (ours minus theirs) being this low if we are not below."""
    from scipy.stats import t as student

    return float(student.cdf(corrected_t(differences, train, test), len(differences) - 1))


def holm(chances: Mapping[str, float]) -> dict[str, float]:
    """p-values adjusted for their number: the k-th smallest of m times m - k + 1, never falling, at most 1."""
    adjusted: dict[str, float] = {}
    least = 0.0
    for place, name in enumerate(sorted(chances, key=lambda name: chances[name])):
        least = max(least, min(1.0, (len(chances) - place) * chances[name]))
        adjusted[name] = least
    return adjusted
