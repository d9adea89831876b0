"""Sets of labels and intervals of numbers that hold the truth as often as asked, however good the network is.

    s_i = 1 - p_i(y_i)              of labels; the set of a row holds every k with 1 - p(k) <= q
    s_i = |y_i - f(x_i)| / r(x_i)   of numbers; the interval is f(x) -+ q r(x)
    q   = the ceil((n + 1) c)-th smallest of n scores of rows that were not trained on, c being the coverage asked for

New rows from where those came from are covered a share of at least c of the time, and at most c + 1 / (n + 1) (Vovk,
Gammerman & Shafer, 2005). This is of all rows together: one class may be covered less, another more. Sets are the
smallest on average (Sadinle, Lei & Wasserman, 1609.00451). A sure model's set is empty where a row is less sure than
all but a share 1 - c: such a row is not answered. Intervals are as wide as the members of an ensemble disagree (Lei et
al., 1604.04173), r = their standard deviation and the mean of it. Of a set of labels each label has a threshold of its
own, from the rows that have it, so that a rare label is left out as seldom as a common one.

Differs: the same rows also set the temperature, one number, and the mean disagreement. Below 5,000 rows the scores come
from the networks of cross-fitting's folds, after the number of epochs that these rows chose, and one network fitted on
all rows answers: that is plain cross-conformal prediction, not CV+ (1905.02928), which would keep every fold's network.
Where rows were split by time or by groups, new ones are not like the held-out ones, and nothing is promised.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from decet.errors import BadInput, check_range

Array = NDArray[Any]
MOST = 20_000  # scores that are kept of a column


class Examined(NamedTuple):
    """What a network makes of B rows: its answers, and what is behind these; None where it was not asked for."""

    answers: Tensor
    spread: Tensor | None = None  # (B, J), how far its members disagree, in the answers' units
    features: Tensor | None = None  # (B, D), what its head reads
    plain: Tensor | None = None  # (B, F), the rows themselves as numbers, of kinds of data that have such
    gaps: Tensor | None = None  # (B, 1), how many of their cells are empty or unknown, of tables
    distances: Tensor | None = None  # (B, V), how far they are from the training rows, by what is behind them

    def room(self, rows: int) -> Examined:
        """Room for so many rows of the same, on the CPU, to be filled by `put`."""

        def empty(x: Tensor) -> Tensor:
            return x.new_empty(rows, *x.shape[1:], device="cpu")

        return Examined(empty(self.answers), *(None if x is None else empty(x) for x in self[1:]))

    def put(self, begin: int, found: Examined, rows: int) -> None:
        """Fill so many rows, from `begin` on, by the first of those found."""
        for kept, piece in zip(self, found, strict=True):
            if kept is not None and piece is not None:
                kept[begin : begin + rows] = piece[:rows]

    def rows(self, index: Tensor) -> Examined:
        """Some of the rows."""
        return Examined(self.answers[index], *(None if x is None else x[index] for x in self[1:]))


@dataclass(frozen=True)
class Scores:
    """The scores of held-out rows, rising, float32: one array a column of answers."""

    columns: tuple[Array, ...]

    @classmethod
    def of(cls, columns: list[Array]) -> Scores:
        """From scores in any order; of very many some are kept, evenly, the largest among them."""
        return cls(tuple(thinned(np.sort(column.astype(np.float32)), MOST) for column in columns))

    def thresholds(self, coverage: float) -> Array:
        """q of each column (J,); infinite where the rows are too few to tell."""
        return np.array([_threshold(column, coverage) for column in self.columns], dtype=np.float32)


def thinned(rising: Array, most: int) -> Array:
    """So many of them at most, evenly, the first and the last among them."""
    if len(rising) <= most:
        return rising
    return rising[np.linspace(0, len(rising) - 1, most).round().astype(np.int64)]


def _threshold(column: Array, coverage: float) -> float:
    rank = math.ceil((len(column) + 1) * coverage - 1e-9)
    return float(column[rank - 1]) if rank <= len(column) else math.inf


def check_coverage(coverage: float, rows: int) -> None:
    """Raise BadInput for a coverage that so many held-out rows cannot tell."""
    check_range("coverage", coverage, 0.01, 0.999)
    if math.ceil((rows + 1) * coverage - 1e-9) > rows:
        most = math.floor(1000 * rows / (rows + 1)) / 1000
        raise BadInput(
            f"coverage {coverage:g} needs {math.ceil(coverage / (1 - coverage) - 1e-9):,} rows that are not trained "
            f"on, and there are {rows:,}. Ask for at most {most:g}."
        )


# ------------------------------------------------------------------------------------------------------------ labels


def label_scores(chances: Array, ids: Array) -> Array:
    """1 - the probability of the true class: chances (n, K), ids (n,), -1 = not known and left out."""
    known = np.flatnonzero(ids >= 0)
    return np.float32(1) - chances[known, ids[known]].astype(np.float32)


def label_sets(chances: Array, threshold: float) -> Array:
    """Which classes are in each row's set, bool (n, K)."""
    inside: Array = np.float32(1) - chances.astype(np.float32) <= np.float32(threshold)
    return inside


# ----------------------------------------------------------------------------------------------------------- numbers


def number_scores(answers: Array, truth: Array, scale: Array) -> Array:
    """|y - f| / r of a column (n,); rows whose truth is NaN are left out."""
    known = ~np.isnan(truth)
    found: Array = np.abs(truth - answers)[known] / scale[known]
    return found.astype(np.float32)


def intervals(answers: Array, scale: Array, thresholds: Array) -> Array:
    """(n, J, 2) of answers (n, J), their scales (n, J) and one threshold a column."""
    reach = scale * thresholds.astype(np.float64)
    return np.stack([answers - reach, answers + reach], -1)
