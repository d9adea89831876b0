"""Where things stand in a picture: scales, curves, clouds of points. Numbers only; templates draw them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

WIDTH, HEIGHT = 320, 150  # of a chart, in units of its own
DOTS = 1_500  # of a cloud, at most
MOST_POINTS = 200  # of a line
BINS = 20  # of a histogram, at most
NOT_METRICS = ("stage", "epoch", "step", "rate", "seconds", "score", "loss")  # of a record of history


@dataclass(frozen=True)
class Scale:
    """A line from `low` to `high`, with round numbers on it."""

    low: float
    high: float
    ticks: tuple[float, ...]

    def share(self, value: float) -> float:
        """Where a value stands, 0 to 1; what lies outside stands at the end."""
        return min(1.0, max(0.0, (value - self.low) / (self.high - self.low)))

    def named(self) -> list[tuple[float, str]]:
        """Share and text of each tick."""
        step = self.ticks[1] - self.ticks[0] if len(self.ticks) > 1 else self.high - self.low
        digits = max(0, -math.floor(math.log10(step) + 1e-9))
        return [(self.share(tick), f"{tick:,.{digits}f}") for tick in self.ticks]


def scale(values: Iterable[float], most: int = 5, room: float = 0.04) -> Scale:
    """A scale that holds all finite values, with some room at its ends, and at most so many ticks."""
    known = [value for value in values if math.isfinite(value)] or [0.0, 1.0]
    low, high = min(known), max(known)
    spread = high - low or abs(high) * 0.1 or 1.0
    if high == low:
        low, high = low - spread / 2, high + spread / 2
    low, high = low - room * spread, high + room * spread
    step = _round_step((high - low) / most)
    first = math.ceil(low / step)
    ticks = tuple(round(step * i, 12) for i in range(first, math.floor(high / step) + 1))
    return Scale(low, high, ticks)


def _round_step(least: float) -> float:
    """The smallest of 1, 2, 5, 10, ... times a power of ten that is at least so much."""
    power = 10.0 ** math.floor(math.log10(least))
    return next(power * factor for factor in (1, 2, 5, 10) if power * factor >= least * (1 - 1e-9))


@dataclass(frozen=True)
class Line:
    """A named line of a chart: its points as SVG has them; faint ones are behind. tint: its colour, a class of
    `style.css` (family, baseline, floor)."""

    name: str
    points: str
    faint: bool = False
    tint: str = "family"

    @property
    def alone(self) -> tuple[str, str] | None:
        """The place of a point that has no other to draw a line to."""
        x, _, y = self.points.partition(",")
        return None if " " in self.points else (x, y)


@dataclass(frozen=True)
class Chart:
    """Lines over epochs, or what else `by` says; ticks of both axes as (place, text).

    bands: outlines of what is shaded, (points, tint). keyed: whether lines are named below. note: a sentence more."""

    title: str
    lines: tuple[Line, ...]
    across: tuple[tuple[float, str], ...]
    up: tuple[tuple[float, str], ...]
    width: int = WIDTH
    height: int = HEIGHT
    by: str = "epoch"
    bands: tuple[tuple[str, str], ...] = ()
    keyed: bool = False
    note: str = ""


def curves(
    history: Sequence[Mapping[str, Any]], metric: str | None = None, on: str = "on rows not trained on"
) -> list[Chart]:
    """Training loss and the held-out metric by epoch, a line a stage; those of cross-fitting's folds are faint.

    metric: which (None: the first there is); on: of what it is."""
    names = [name for record in history for name in record if name not in NOT_METRICS]
    metric = metric or (names[0] if names else None)
    found = [_chart(history, "loss", "training loss")]
    if metric is not None:
        found.append(_chart(history, metric, f"{metric} {on}"))
    return [chart for chart in found if chart is not None]


def _chart(history: Sequence[Mapping[str, Any]], key: str, title: str) -> Chart | None:
    stages: dict[str, list[tuple[float, float]]] = {}
    for record in history:
        if isinstance(record.get(key), (int, float)) and math.isfinite(record[key]):
            stages.setdefault(str(record.get("stage", "train")), []).append((record["epoch"], record[key]))
    if not stages:
        return None
    last = max(x for points in stages.values() for x, _ in points)
    up = scale([y for points in stages.values() for _, y in points], most=6)
    across = scale([1, max(last, 2)], most=5, room=0.0)
    several = len(stages) > 1
    lines = [
        Line(stage, _points(_thinned(points), across, up), faint=several and stage.startswith("fold"))
        for stage, points in stages.items()
    ]
    places = tuple((round(WIDTH * across.share(tick), 1), f"{tick:,.0f}") for tick in across.ticks if tick % 1 == 0)
    heights = tuple((round(HEIGHT * (1 - share), 1), text) for share, text in up.named())
    return Chart(title, tuple(sorted(lines, key=lambda line: not line.faint)), places, heights)


def lines_over(
    x: Sequence[float],
    lines: Mapping[str, tuple[Sequence[float], str]],
    bands: Sequence[tuple[Sequence[float], Sequence[float], str]],
    *,
    title: str,
    by: str,
    note: str = "",
) -> Chart:
    """Several lines over one x, by name (values, tint), and what lies between two of them (low, high, tint) shaded."""
    ends = [value for low, high, _ in bands for part in (low, high) for value in part]
    across = scale(x, most=5, room=0.0)
    up = scale([*ends, *(value for values, _ in lines.values() for value in values)], most=6)
    return Chart(
        title,
        tuple(
            Line(name, _points(_thinned(list(zip(x, values, strict=True))), across, up), tint=tint)
            for name, (values, tint) in lines.items()
        ),
        tuple((round(WIDTH * share, 1), text) for share, text in across.named()),
        tuple((round(HEIGHT * (1 - share), 1), text) for share, text in up.named()),
        by=by,
        bands=tuple(
            (_points([*zip(x, low, strict=True), *reversed(list(zip(x, high, strict=True)))], across, up), tint)
            for low, high, tint in bands
        ),
        keyed=len(lines) > 1,
        note=note,
    )


@dataclass(frozen=True)
class Bars:
    """How many of some numbers lie where: (x, y, width, height, what is said) each, ticks of both axes."""

    bars: tuple[tuple[float, float, float, float, str], ...]
    across: tuple[tuple[float, str], ...]
    up: tuple[tuple[float, str], ...]
    width: int = WIDTH
    height: int = HEIGHT


def histogram(values: Any) -> Bars:
    """Numbers (N,) counted in up to `BINS` parts of equal width between round ends."""
    found = np.asarray(values, float)
    across = scale(found.tolist(), most=5)
    step = _round_step((across.high - across.low) / BINS)
    first = math.floor(found.min() / step)
    edges = step * np.arange(first, math.floor(found.max() / step) + 2)
    counts = np.histogram(found, edges)[0].tolist()
    whole = Scale(min(across.low, float(edges[0])), max(across.high, float(edges[-1])), across.ticks)
    top = scale([0, max(counts)], most=5, room=0.0)
    high = Scale(0.0, max(counts) * 1.05, tuple(tick for tick in top.ticks if tick % 1 == 0))
    bars = []
    for low, end, count in zip(edges[:-1].tolist(), edges[1:].tolist(), counts, strict=True):
        left, right, up = WIDTH * whole.share(low), WIDTH * whole.share(end), HEIGHT * high.share(count)
        said = f"{low:g} to {end:g}: {count}"
        bars += [(round(left, 1), round(HEIGHT - up, 1), round(right - left, 1), round(up, 1), said)] if count else []
    return Bars(
        tuple(bars),
        tuple((round(WIDTH * share, 1), text) for share, text in whole.named()),
        tuple((round(HEIGHT * (1 - share), 1), text) for share, text in high.named()),
    )


def _thinned(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    places = np.unique(np.linspace(0, len(points) - 1, min(len(points), MOST_POINTS)).astype(int))
    return [points[i] for i in places.tolist()]


def _points(points: Iterable[tuple[float, float]], across: Scale, up: Scale) -> str:
    return " ".join(f"{WIDTH * across.share(x):.1f},{HEIGHT * (1 - up.share(y)):.1f}" for x, y in points)


@dataclass(frozen=True)
class Cloud:
    """Answers over truths: points (x, y), and ticks of both axes, which are one scale."""

    points: tuple[tuple[float, float], ...]
    ticks: tuple[tuple[float, str], ...]
    side: int = 280


def cloud(truth: Any, answers: Any, seed: int = 0) -> Cloud:
    """A point a row, of so many rows drawn as can be seen."""
    x, y = np.asarray(truth, float), np.asarray(answers, float)
    kept = np.flatnonzero(np.isfinite(x) & np.isfinite(y))
    if len(kept) > DOTS:
        kept = np.sort(np.random.Generator(np.random.Philox(seed)).choice(kept, DOTS, replace=False))
    both = scale([*x[kept].tolist(), *y[kept].tolist()])
    side = Cloud.side
    points = tuple(
        (round(side * both.share(a), 1), round(side * (1 - both.share(b)), 1))
        for a, b in zip(x[kept], y[kept], strict=True)
    )
    return Cloud(points, tuple((round(side * share, 1), text) for share, text in both.named()))
