"""Maps of what an agent holds observations to be worth, and of what it does in each, over two of their numbers.

    worth = mean over columns of max_a Q(observation, a)        what it does = argmax_a Q(observation, a)

An observation of two numbers is drawn whole, as far as the environment's bounds go. Of one of more numbers a slice is
drawn: the two that move the worth most, each from end to end of what is met while playing, all others at their median
there. The observations of a slice need not be possible: dots show where in it the agent comes.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from decet.data.environment_codec import WIDE, EnvironmentCodec
from decet.data.environments import Environment
from decet.pages.drawing import Chart, Scale, lines_over, scale
from decet.pages.rendering import TINTS

Array = NDArray[Any]
Weigh = Callable[[Array], Array]  # frames (B, frames, F) -> values (B, J, K)
SIDE, FINE = 280, 112  # of a map, in units of its own, and the observations along it
TRIED = 21  # values of each number, to see how far it moves the worth
VARIED = 8  # different values met, from which a number of several is no switch
EDGES = 0.005  # shares of what is met that lie outside a slice
DOTS = 400  # of what is met, in a slice
COLUMNS = 3  # of actions that have a map
BATCH = 4_096  # observations weighed at a time
SHADES = ("#440154", "#414487", "#2a788e", "#22a884", "#7ad151", "#fde725")  # viridis, evenly spaced
CALLED = {  # what numbers of an observation are, and choices
    "CartPole": ("cart position (m)", "cart speed (m/s)", "pole angle (rad)", "pole turning (rad/s)"),
    "MountainCar": ("position", "speed (per step)"),
    "MountainCarContinuous": ("position", "speed (per step)"),
    "Acrobot": (
        "cosine of the first angle", "sine of the first angle", "cosine of the second angle",
        "sine of the second angle", "first joint's turning (rad/s)", "second joint's turning (rad/s)",
    ),
    "Pendulum": ("cosine of the angle (1 is upright)", "sine of the angle", "turning (rad/s)"),
    "LunarLander": (
        "place across", "height", "speed across", "speed upwards", "angle (rad)", "turning", "left leg touches",
        "right leg touches",
    ),
}  # fmt: skip
DONE = {
    "CartPole": ("push left", "push right"),
    "MountainCar": ("push left", "coast", "push right"),
    "Acrobot": ("torque -1", "torque 0", "torque 1"),
    "LunarLander": ("nothing", "left engine", "main engine", "right engine"),
}


@dataclass(frozen=True)
class Map:
    """A picture over two numbers; `source` is its address.

    across, up: ticks of both axes (place, text), and their names. bar: the picture and ticks of what shades mean, or
    key: (tint, text) of each choice that is shown. path: of an episode, as SVG has it, from the first of `dots` on; or
    "", and dots: (x, y) where the agent comes.
    """

    title: str
    source: str
    across: tuple[tuple[float, str], ...]
    up: tuple[tuple[float, str], ...]
    names: tuple[str, str]
    path: str
    dots: tuple[tuple[float, float], ...]
    bar: tuple[str, tuple[tuple[float, str], ...]] | None = None
    key: tuple[tuple[str, str], ...] = ()
    side: int = SIDE


@dataclass(frozen=True)
class Values:
    """Maps, or where one number is all there is, or moves, a chart; `said`: what the observations are."""

    maps: tuple[Map, ...]
    chart: Chart | None
    said: str


def values_of(
    weigh: Weigh, codec: EnvironmentCodec, environment: Environment, met: Array, path: Array
) -> Values | None:
    """What there is to see of observations that are vectors; None where no number of them takes many values.

    weigh: frames (B, frames, F) -> values (B, J, K). met: observations while playing (N, F). path: those of an episode
    in their order (T, F).
    """

    def asked(rows: Array) -> Array:
        frames = np.repeat(rows[:, None].astype(np.float32), codec.frames, 1)
        return np.concatenate([weigh(frames[at : at + BATCH]) for at in range(0, len(frames), BATCH)])

    names, width = numbers_of(environment.name, met.shape[1]), met.shape[1]
    middle = np.median(met, 0)
    moving = movers(asked, met, middle)[:2]
    if width == 2:
        moving = [0, 1]
    if len(moving) < 2:
        return None if not moving else _line(asked, middle, met, moving[0], names, codec, environment)
    first, second = sorted(moving)
    across, up = (_ends(environment, met, number) for number in (first, second))
    rows = np.tile(middle, (FINE * FINE, 1))
    rows[:, first] = np.tile(np.linspace(across.low, across.high, FINE), FINE)
    rows[:, second] = np.repeat(np.linspace(up.high, up.low, FINE), FINE)  # the uppermost line first
    values = asked(rows)
    said = "" if width == 2 else _slice(names, middle, (first, second))
    if codec.frames > 1:
        said += f" All {codec.frames} frames show the same."
    where = path if width == 2 else met[np.linspace(0, len(met) - 1, min(len(met), DOTS)).astype(int)]
    drawn = _Drawn(across, up, (names[first], names[second]), where[:, [first, second]], is_path=width == 2)
    maps = (drawn.worth(values), *drawn.choices(values, codec, environment))
    return Values(maps, None, said.strip())


def movers(asked: Callable[[Array], Array], met: Array, middle: Array) -> list[int]:
    """The numbers of an observation by how far each moves the worth, all others at their median; without those that
    never change, or are no more than a switch."""
    low, high = np.quantile(met, [EDGES, 1 - EDGES], axis=0)
    least = VARIED if met.shape[1] > 1 else 2
    spreads = {}
    for number in range(met.shape[1]):
        if high[number] > low[number] and len(np.unique(met[:, number])) >= least:
            rows = np.tile(middle, (TRIED, 1))
            rows[:, number] = np.linspace(low[number], high[number], TRIED)
            spreads[number] = float(_worth(asked(rows)).std())
    return sorted(spreads, key=lambda number: -spreads[number])


def numbers_of(name: str, count: int) -> list[str]:
    """What each number of an observation is, where that is known."""
    known = CALLED.get(_task(name), ())
    return list(known) if len(known) == count else [f"observation[{number}]" for number in range(count)]


def choices_of(codec: EnvironmentCodec, environment: Environment, column: int) -> list[str]:
    """What each choice of a column of actions is."""
    count, known = codec.choices[column], DONE.get(_task(environment.name), ())
    if len(codec.low):
        return [f"{torque:.3g}" for torque in np.linspace(codec.low[column], codec.high[column], count)]
    return list(known) if len(known) == count else [f"choice {codec.start[column] + n}" for n in range(count)]


def _task(name: str) -> str:
    return name.rpartition("-v")[0]


def _worth(values: Array) -> Array:
    """(B, J, K) -> (B,)"""
    found: Array = values.max(-1).mean(-1)
    return found


def _ends(environment: Environment, met: Array, number: int) -> Scale:
    """From where to where a number is drawn: of two numbers all that may be, of more what is met."""
    low, high = np.quantile(met[:, number], [EDGES, 1 - EDGES])
    space: Any = environment.observations
    if met.shape[1] == 2 and hasattr(space, "low"):
        ends = float(space.low.reshape(-1)[number]), float(space.high.reshape(-1)[number])
        low, high = ends if ends[1] - ends[0] < WIDE else (low, high)
    return scale([float(low), float(high)], most=5, room=0.0)


def _slice(names: Sequence[str], middle: Array, shown: tuple[int, int]) -> str:
    """How a slice was chosen, and where the others stand."""
    others = [f"{names[n]} {middle[n]:.3g}" for n in range(len(names)) if n not in shown]
    listed = ", ".join(others[:6]) + (f" and {len(others) - 6} more" if len(others) > 6 else "")
    return (
        f"Drawn are the two of {len(names)} numbers that move the worth most. All others stand at their median of what "
        f"is met while playing ({listed}): not every point of the map need be possible."
    )


def _line(
    asked: Callable[[Array], Array], middle: Array, met: Array, number: int, names: Sequence[str],
    codec: EnvironmentCodec, environment: Environment,
) -> Values:  # fmt: skip
    """The worth by the one number that moves it."""
    ends = _ends(environment, met, number)
    rows = np.tile(middle, (FINE, 1))
    rows[:, number] = np.linspace(ends.low, ends.high, FINE)
    worth = _worth(asked(rows)).tolist()
    said = "" if len(names) == 1 else f"Of {len(names)} numbers only this one takes many values while it plays."
    lines: dict[str, tuple[Sequence[float], str]] = {"worth": (worth, "family")}
    chart = lines_over(rows[:, number].tolist(), lines, [], title="what it is worth", by=names[number])
    return Values((), chart, said)


@dataclass(frozen=True)
class _Drawn:
    """What maps of the same two numbers have in common."""

    across: Scale
    up: Scale
    names: tuple[str, str]
    where: Array
    is_path: bool

    def worth(self, values: Array) -> Map:
        found = _worth(values)
        shades = scale([float(found.min()), float(found.max())], most=5, room=0.0)
        pixels = _shaded((found - shades.low) / (shades.high - shades.low))
        bar = _address(_shaded(np.linspace(1, 0, FINE)).reshape(FINE, 1, 3))
        ticks = tuple((round(SIDE * (1 - share), 1), text) for share, text in shades.named())
        return self._map("What it is worth", pixels, bar=(bar, ticks))

    def choices(self, values: Array, codec: EnvironmentCodec, environment: Environment) -> list[Map]:
        maps = []
        for column, count in enumerate(codec.choices[:COLUMNS]):
            chosen = values[:, column].argmax(-1)
            ordered = bool(len(codec.low))
            tints = _shaded(np.linspace(0, 1, count)) if ordered else _tints(count)
            names = choices_of(codec, environment, column)
            key = tuple(("#{:02x}{:02x}{:02x}".format(*tints[n]), names[n]) for n in np.unique(chosen).tolist())
            what = "joint" if ordered else "column"
            title = "What it does" + (
                " (value of its action)" * ordered if len(codec.choices) == 1 else f": {what} {column + 1}"
            )
            maps.append(self._map(title, tints[chosen], key=key))
        return maps

    def _map(
        self,
        title: str,
        pixels: Array,
        bar: tuple[str, tuple[tuple[float, str], ...]] | None = None,
        key: tuple[tuple[str, str], ...] = (),
    ) -> Map:
        places = [
            (round(SIDE * self.across.share(x), 1), round(SIDE * (1 - self.up.share(y)), 1))
            for x, y in self.where.tolist()
        ]
        return Map(
            title,
            _address(pixels.reshape(FINE, FINE, 3)),
            tuple((round(SIDE * share, 1), text) for share, text in self.across.named()),
            tuple((round(SIDE * (1 - share), 1), text) for share, text in self.up.named()),
            self.names,
            " ".join(f"{x},{y}" for x, y in places) if self.is_path else "",
            tuple(places[:1] if self.is_path else places),
            bar,
            key,
        )


def _shaded(shares: Array) -> Array:
    """Shares (N,) of 0 to 1 -> shades uint8 (N, 3)."""
    anchors = np.array([[int(shade[i : i + 2], 16) for i in (1, 3, 5)] for shade in SHADES], float)
    at = np.linspace(0, 1, len(SHADES))
    return np.stack([np.interp(shares, at, anchors[:, i]) for i in range(3)], 1).round().astype(np.uint8)


def _tints(count: int) -> Array:
    """A tint each, uint8 (count, 3); of many some share one."""
    own = [TINTS[number % len(TINTS)][0] for number in range(count)]
    return np.array([[int(tint[i : i + 2], 16) for i in (1, 3, 5)] for tint in own], np.uint8)


def _address(pixels: Array) -> str:
    """A picture uint8 (H, W, 3) as a data address."""
    held = io.BytesIO()
    Image.fromarray(pixels).save(held, "PNG")
    return "data:image/png;base64," + base64.b64encode(held.getvalue()).decode("ascii")
