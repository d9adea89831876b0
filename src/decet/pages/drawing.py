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
    """A named line of a chart: its points as SVG has them; faint ones are behind."""

    name: str
    points: str
    faint: bool = False

    @property
    def alone(self) -> tuple[str, str] | None:
        """The place of a point that has no other to draw a line to."""
        x, _, y = self.points.partition(",")
        return None if " " in self.points else (x, y)


@dataclass(frozen=True)
class Chart:
    """Lines over epochs, ticks of both axes as (place, text)."""

    title: str
    lines: tuple[Line, ...]
    across: tuple[tuple[float, str], ...]
    up: tuple[tuple[float, str], ...]
    width: int = WIDTH
    height: int = HEIGHT


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
