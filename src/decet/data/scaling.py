"""How a number is brought to the size that networks like, and the bins of its scaled values."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from scipy.special import ndtri

SAMPLE = 200_000  # rows that quantiles are taken from
LARGEST = 1e30  # a scaled number is no larger, so that float32 holds it
BESIDE = 1e-6  # by which the value for gaps that training does not have is off the centre
_KNOTS = 1_000  # quantiles kept of a number


@dataclass
class Scaling:
    """How one number is scaled: (x - mean) / std, or along the knots (x of the knots, their scaled values)."""

    mean: float = 0.0
    std: float = 1.0
    fill: float = 0.0  # the scaled value of what is missing; of what never was, one that no value has
    knots: np.ndarray = field(default_factory=lambda: np.empty((2, 0)))
    edges: np.ndarray = field(default_factory=lambda: np.empty(0))

    def apply(self, x: np.ndarray) -> np.ndarray:
        if self.knots.shape[1]:
            return np.interp(x, self.knots[0], self.knots[1])
        return np.clip((x - self.mean) / self.std, -LARGEST, LARGEST)


def fit_scaling(raw: np.ndarray, scale: str, bins: int) -> Scaling:
    """From the raw values of the training rows (NaN = missing)."""
    known = raw[~np.isnan(raw)]
    values, counts = np.unique(known[some(len(known), SAMPLE)], return_counts=True)
    scaling = Scaling()
    if scale == "quantile":
        scaling.knots = _knots(values, counts)
    elif scale == "standard":
        scaling.mean, scaling.std = _moments(known)
    else:
        scaling.fill = _moments(known)[0]
    if len(known) == len(raw):
        scaling.fill = float(np.float32(scaling.fill + max(BESIDE, BESIDE * abs(scaling.fill))))
    scaling.edges = _edges(scaling.apply(values), counts, bins)
    return scaling


def _moments(known: np.ndarray) -> tuple[float, float]:
    """Mean and standard deviation; 1 where all values agree, as far as float64 can tell."""
    with np.errstate(over="ignore", invalid="ignore"):  # values near the largest float are left as they are
        mean = float(known.mean())
        std = float(np.sqrt(np.mean((known - mean) ** 2)))
    tiny = 10 * np.finfo(np.float64).eps * max(abs(mean), np.finfo(np.float64).tiny)
    return (mean, std) if std > tiny and np.isfinite(std) else (mean if np.isfinite(mean) else 0.0, 1.0)


def _evenly(counts: np.ndarray, most: int) -> np.ndarray:
    """At most `most` of the distinct values, first and last among them, with equal shares of rows between them.

    A value counts for no more than its fair share, so that one value in most rows does not hide all others.
    """
    if len(counts) <= most:
        return np.arange(len(counts))
    share = np.minimum(counts, counts.sum() / most)
    place = np.cumsum(share) - share / 2
    chosen = np.searchsorted(place, np.linspace(place[0], place[-1], most))
    return np.unique(np.clip(chosen, 0, len(counts) - 1))


def _knots(values: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Distinct values and their places on a normal distribution (2, Q): the middles of their ranks."""
    chosen = _evenly(counts, _KNOTS)
    ranks = (np.cumsum(counts) - counts / 2) / counts.sum()
    return np.stack([values[chosen], ndtri(ranks[chosen])])


def _edges(scaled: np.ndarray, counts: np.ndarray, bins: int) -> np.ndarray:
    """Rising quantiles, at least two, exact in float32."""
    edges = np.unique(scaled[_evenly(counts, bins + 1)].astype(np.float32))
    if len(edges) == 1:
        edges = np.array([edges[0], edges[0] + max(1, abs(edges[0]))], dtype=np.float32)
    return edges.astype(np.float64)


def usual_range(raw: np.ndarray, *, whole: bool) -> tuple[float, float]:
    """The values between which all but 1 % on either side lie."""
    known = raw[some(len(raw), SAMPLE)]
    known = known[np.isfinite(known)]
    if not len(known):
        return 0.0, 1.0
    low, high = np.quantile(known, [0.01, 0.99])
    if whole:
        low, high = np.floor(low), np.ceil(high)
    return float(low), float(high)


def some(count: int, most: int) -> np.ndarray | slice:
    """Positions of at most `most` rows, evenly spread."""
    return slice(None) if count <= most else np.linspace(0, count - 1, most).astype(np.int64)
