"""How unlike its training rows a row is, by what the network makes of it.

    d(x) = min_k  sum_{i <= R} z_i^2 / l_i  +  |rest|^2 / l_rest,   z = V'(f(x) - m_k)

f(x) is the vector that the head reads, m_k its mean over training rows of class k (over all where there are no
classes), V and l the R main directions of what is left and their spread: a Gaussian around each class, all of one
covariance (Lee et al., 1807.03888), which is low rank plus a rest that is alike in all directions (Tipping & Bishop,
1999). A network forgets what does not tell its classes apart, so pictures and columns of numbers are held against the
training rows as they are, too. The score of a row is the share of held-out rows that are nearer, by the view that finds
it farther: 0.5 is ordinary, 1 is farther than all. One ordinary row of a hundred has 0.99, too.

Cells of a table that are empty or unknown are filled before any network, and look ordinary; so their number, held
against that of training rows, is added to what the columns of numbers say. One more than usual weighs as much as one
column that is a spread off.

Differs: below 5,000 rows held-out rows are those of cross-fitting's folds, seen by the folds' last networks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from decet.errors import BadInput
from decet.tasks.conformal import thinned

Array = NDArray[Any]
DIRECTIONS = 64  # R, at most
KEPT = 1_000  # distances of held-out rows
LEAST = 1e-3  # of the mean spread: what a direction has at least, for of few rows the least spreads come out too small


@dataclass(frozen=True)
class Likeness:
    """means (K, D), directions (D, R), spreads (R,), rest: of each further direction; float32."""

    ARRAYS: ClassVar[tuple[str, ...]] = ("means", "directions", "spreads", "rest")

    means: Array
    directions: Array
    spreads: Array
    rest: float

    @classmethod
    def of(cls, features: Array, ids: Array | None = None, least: float | None = None) -> Likeness:
        """From what the network makes of training rows, (n, D); ids (n,) their classes, -1 = not known.

        least: what each direction's spread is at least; None = a thousandth of their mean.
        """
        features = features.astype(np.float64)
        if ids is None:
            ids = np.zeros(len(features), np.int64)
        known = np.flatnonzero(ids >= 0)
        present, own = np.unique(ids[known], return_inverse=True)
        sums = np.zeros((len(present), features.shape[1]))
        np.add.at(sums, own, features[known])
        means = sums / np.bincount(own)[:, None]
        centred = features[known] - means[own]
        covariance = centred.T @ centred / max(1, len(known) - len(present))
        spreads, directions = np.linalg.eigh(covariance)
        order = np.argsort(-spreads)[:DIRECTIONS]
        least = LEAST * float(max(spreads.mean(), 1e-12)) if least is None else least
        others = np.delete(spreads, order)
        rest = max(float(others.mean()), least) if len(others) else 1.0
        main = np.maximum(spreads[order], least)
        return cls(
            means.astype(np.float32), directions[:, order].astype(np.float32), main.astype(np.float32), float(rest)
        )

    def state(self) -> dict[str, Array]:
        """As arrays by name."""
        rest = np.array([self.rest], np.float32)
        return {"means": self.means, "directions": self.directions, "spreads": self.spreads, "rest": rest}

    @classmethod
    def restore(cls, arrays: Mapping[str, Array]) -> Likeness:
        """From `state`. Raises BadInput where the shapes do not agree."""
        means, directions, spreads, rest = (arrays[name] for name in cls.ARRAYS)
        width = directions.shape[:1]
        fits = means.ndim == directions.ndim == 2 and means.shape[1:] == width and len(means) > 0
        if not fits or spreads.shape != directions.shape[1:] or rest.shape != (1,):
            raise BadInput("the weights do not fit the settings: what is kept of training rows has other shapes.")
        if not (spreads > 0).all() or not rest[0] > 0:
            raise BadInput("the weights do not fit the settings: spreads of training rows must be above 0.")
        return cls(means, directions, spreads, float(rest[0]))

    def distances(self, features: Array) -> Array:
        """d of each row, float32 (n,); reckoned in float64, for the rest is a small difference of large numbers."""
        features, directions = features.astype(np.float64), self.directions.astype(np.float64)
        inner, means = features @ directions, self.means @ directions  # (n, R), (K, R)
        has_rest = directions.shape[1] < directions.shape[0]
        found = np.full(len(features), np.inf)
        for mean, own in zip(self.means, means, strict=True):
            left = np.square(inner - own)
            near = (left / self.spreads).sum(1)
            if has_rest:
                outside = np.square(features - mean).sum(1) - left.sum(1)
                near = near + np.maximum(outside, 0) / self.rest
            found = np.minimum(found, near)
        return found.astype(np.float32)


@dataclass(frozen=True)
class Strangeness:
    """What held-out rows are like: of each view their distances (V, H), rising, and of their larger ranks (H,) too."""

    distances: Array
    largest: Array

    @classmethod
    def of(cls, distances: Array) -> Strangeness:
        """From the distances of held-out rows (n, V); of very many some are kept, evenly."""
        distances = distances.astype(np.float32)
        kept = np.stack([thinned(np.sort(column), KEPT) for column in distances.T])
        return cls(kept, thinned(np.sort(_largest_rank(distances, kept)), KEPT))

    def of_rows(self, distances: Array) -> Array:
        """The share of held-out rows that are nearer than each row (n,), 0 to 1."""
        ranks = _largest_rank(distances.astype(np.float32), self.distances)
        found: Array = np.searchsorted(self.largest, ranks, side="left") / max(1, len(self.largest))
        return found


def _largest_rank(distances: Array, held: Array) -> Array:
    """The larger of the ranks that the views give each row, float32 (n,)."""
    ranks = [np.searchsorted(rising, column, side="left") for rising, column in zip(held, distances.T, strict=True)]
    found: Array = (np.max(ranks, 0) / max(1, held.shape[1])).astype(np.float32)
    return found
