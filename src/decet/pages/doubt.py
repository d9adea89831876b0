"""How sure a model is, and whether it may be: reliability, what sets and intervals hold, what is left to people."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from decet.pages.drawing import HEIGHT, WIDTH, scale
from decet.referee.intervals import chance_between
from decet.tasks.classify import calibration_error

Array = NDArray[Any]
BINS = 10  # of a reliability diagram, equally many rows each
MOST_POINTS = 120  # of a curve
BEGIN = 0.99  # of a curve's scale, at most, so that there is one where all are right
SIDE = 300  # of the reliability diagram


@dataclass(frozen=True)
class Bin:
    """Rows about as sure: where they stand, and the hit rate's 95 % interval; 0 to SIDE, from the top."""

    x: float
    y: float
    low: float
    high: float
    said: float
    right: float
    rows: int


@dataclass(frozen=True)
class Reliability:
    """Hit rate over confidence; ticks (place, text); error: the calibration error."""

    bins: tuple[Bin, ...]
    ticks: tuple[tuple[float, str], ...]
    error: float
    side: int = SIDE


@dataclass(frozen=True)
class Answered:
    """How right the surest answers are, over the share that is answered: points as SVG has them, and some in words."""

    points: str
    across: tuple[tuple[float, str], ...]
    up: tuple[tuple[float, str], ...]
    said: tuple[tuple[float, float], ...]
    width: int = WIDTH
    height: int = HEIGHT


@dataclass(frozen=True)
class Covered:
    """How often sets or intervals held the truth, asked for and found with its 95 % interval; size: of them, mean.

    counts: of sets, rows by how many labels they hold. classes: (name, rows, share held), the least held first.
    """

    asked: float
    share: float
    low: float
    high: float
    size: float
    counts: tuple[tuple[int, int], ...] = ()
    classes: tuple[tuple[str, int, float], ...] = ()


def reliability(confidence: Array, right: Array) -> Reliability | None:
    """confidence, right (n,); None of fewer rows than bins."""
    if len(confidence) < BINS:
        return None
    parts = np.array_split(np.argsort(confidence, kind="stable"), BINS)
    shares = [chance_between(int(right[part].sum()), len(part)) for part in parts]
    line = scale([0.0, 1.0] if min(confidence.min(), *(low for low, _ in shares)) < 0.5 else [0.5, 1.0], room=0.02)
    bins = []
    for part, (low, high) in zip(parts, shares, strict=True):
        said, hits, rows = float(confidence[part].mean()), int(right[part].sum()), len(part)
        y, under, over = (round(SIDE * (1 - line.share(value)), 1) for value in (hits / rows, low, high))
        bins.append(Bin(round(SIDE * line.share(said), 1), y, under, over, said, hits / rows, rows))
    ticks = tuple((round(SIDE * share, 1), text) for share, text in line.named())
    return Reliability(tuple(bins), ticks, calibration_error(confidence, right))


def answered(confidence: Array, right: Array) -> Answered | None:
    """Accuracy of the surest answers over their share of all; None of fewer than ten rows."""
    count = len(confidence)
    if count < BINS:
        return None
    ordered = right[np.argsort(-confidence, kind="stable")].astype(float)
    so_far = np.cumsum(ordered) / np.arange(1, count + 1)
    places = np.unique(np.linspace(max(0, count // 20 - 1), count - 1, MOST_POINTS).round().astype(int))
    shares, values = (places + 1) / count, so_far[places]
    across, up = scale([0.0, 1.0], room=0.0), scale([min(float(values.min()), BEGIN), 1.0])
    points = " ".join(
        f"{WIDTH * across.share(x):.1f},{HEIGHT * (1 - up.share(y)):.1f}" for x, y in zip(shares, values, strict=True)
    )
    said = tuple((share, float(so_far[max(0, round(share * count) - 1)])) for share in (0.5, 0.8, 0.9, 1.0))
    return Answered(
        points,
        tuple((round(WIDTH * share, 1), text) for share, text in across.named()),
        tuple((round(HEIGHT * (1 - share), 1), text) for share, text in up.named()),
        said,
    )


def covered_sets(inside: Array, ids: Array, names: Sequence[Any], asked: float) -> Covered | None:
    """inside bool (n, K): which classes each row's set holds; ids (n,), -1 = not known."""
    known = np.flatnonzero(ids >= 0)
    if not len(known):
        return None
    held, sizes = inside[known, ids[known]], inside[known].sum(1)
    counts = np.bincount(sizes)
    classes = [
        (str(names[k]), int(own.sum()), float(held[own].mean()))
        for k in range(inside.shape[1])
        if (own := ids[known] == k).any()
    ]
    return Covered(
        asked,
        float(held.mean()),
        *chance_between(int(held.sum()), len(held)),
        float(sizes.mean()),
        tuple((size, int(rows)) for size, rows in enumerate(counts) if rows),
        tuple(sorted(classes, key=lambda one: one[2])),
    )


def covered_intervals(low: Array, high: Array, truth: Array, asked: float) -> Covered | None:
    """Of one number a row, (n,) each; NaN = not known."""
    known = ~np.isnan(truth)
    if not known.any() or not np.isfinite(low).all():
        return None
    held = (low <= truth)[known] & (truth <= high)[known]
    share = chance_between(int(held.sum()), len(held))
    return Covered(asked, float(held.mean()), *share, float((high - low)[known].mean()))
