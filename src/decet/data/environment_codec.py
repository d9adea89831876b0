"""What an agent sees and does, as tensors and choices.

    codec = EnvironmentCodec.of(Environments(), environment, seen)
    inputs = codec.encode(kept)                    actions = codec.actions(chosen)

An observation is a vector, a series of vectors, a picture, or a picture and a vector (`decet.data.observations`).
An action is one choice among several, several such choices, or the torques of joints; each joint is given a few values
between its bounds to choose from (Tang & Agrawal, 1901.10500; Seyde et al., 2210.12566), so that actions are choices.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray

from decet.contracts import ImageSpec, LabelSpec, SeriesSpec, TableSpec
from decet.data.environments import Environment, Environments
from decet.data.observations import Layout, layout_of, restored, spans
from decet.errors import BadInput, Unsupported, listed

Array = NDArray[Any]
WIDE, SPREADS = 1e3, 8  # bounds nearer than that say something: a spread is an eighth of them, at least
CHOICES = 4_096  # of one column of actions, at most
JOINTS = 64
PICTURES, SERIES = 4, 8  # newest observations that are seen at once


class EnvironmentCodec:
    """Turns observations into what networks read, and choices into actions. Made by `of` or `restore`.

    spec     TableSpec of vectors, SeriesSpec where series are asked for, ImageSpec of pictures; frames side by side
    shape    of an observation as it is kept
    picture  whether there is one; beside: how many numbers stand beside it
    answer   LabelSpec: the choices of each column of an action
    mean, std  (F,) by which numbers are brought to size
    low, high  (J,) of joints; none where actions are choices by themselves
    """

    def __init__(
        self, environments: Environments, name: str, layout: Layout, choices: Sequence[int], start: Sequence[int],
        single: bool, series: bool, mean: Array, std: Array, low: Array, high: Array,
    ) -> None:  # fmt: skip
        self.environments, self.name, self.layout, self.series = environments, name, layout, series
        self.choices, self.start, self.single = tuple(choices), list(start), single
        self.mean, self.std, self.low, self.high = mean, std, low, high
        self.shape, self.picture = layout.shape, bool(layout.picture)
        self.beside = layout.numbers if self.picture else 0
        usual = (1 if layout.flags else PICTURES) if self.picture else SERIES if series else 1
        self.frames = environments.frames or usual
        self.warnings: list[str] = []
        self.remarks: list[str] = []
        self.spec: Any
        if self.picture:
            rows, columns, channels = (*layout.picture, 1)[:3]
            self.spec = ImageSpec(channels * self.frames, rows, columns)
        elif series:
            self.spec = SeriesSpec(layout.numbers, self.frames)
        else:
            self.spec = TableSpec(numbers=layout.numbers * self.frames)
        self.answer = LabelSpec(self.choices)

    @classmethod
    def of(
        cls, environments: Environments, environment: Environment, seen: Array | None = None, series: bool = False
    ) -> EnvironmentCodec:
        """The codec of an environment.

        seen: (N, F) numbers met at random, by which they are scaled: bounds are often far from what is ever met.
        series: vectors are read one after the other, not side by side.
        """
        layout = layout_of(environment.observations, environment.name)
        choices, start, low, high = _choices(environment.actions, environments.bins, environment.name)
        single = isinstance(environment.actions, spaces.Discrete)
        half = spans(environment.observations, environment.name)
        mean, std = np.zeros(len(half), np.float32), np.ones(len(half), np.float32)
        if seen is not None and len(seen):
            spread = seen.std(0)
            mean, std = seen.mean(0).astype(np.float32), np.maximum(spread, 1e-3).astype(np.float32)
            std[(spread == 0) & ~(half < WIDE)] = 1.0  # never moved yet, and nobody says how far it can
        # what is never met at random may be met later, as far as bounds allow
        std = np.where(half < WIDE, np.maximum(std, half / SPREADS), std).astype(np.float32)
        mean[np.isnan(half)], std[np.isnan(half)] = 0.0, 1.0  # one-hot
        series = series and not layout.picture
        return cls(environments, environment.name, layout, choices, start, single, series, mean, std, low, high)

    def kept(self, observation: Any) -> Array:
        """One observation, as the environment shows it, as it is kept. Raises BadInput for what it never shows."""
        try:
            return self.layout.keep(observation)
        except ValueError as error:
            raise BadInput(f"the observation shows {error}.") from error

    def numbers(self, kept: Array) -> Array:
        """The numbers (N, F) of observations (N, ...) as they are kept."""
        return self.layout.apart(kept)[1]

    def encode(self, observations: Array) -> tuple[Any, ...]:
        """Observations (B, ...) as they are kept, or frames of them (B, frames, ...), oldest first -> inputs.

        Vectors: (numbers (B, frames * F), no categories); series: (values (B, frames, F), None); pictures: (pixels
        (B, frames * C, H, W) uint8) and, where numbers stand beside, (B, frames * F).
        """
        shown = np.asarray(observations)
        pixels, numbers = self.layout.apart(shown.reshape(len(shown), -1, *self.shape))
        rows = torch.from_numpy(np.ascontiguousarray(numbers, np.float32))
        scaled = (rows - torch.from_numpy(self.mean)) / torch.from_numpy(self.std)
        if pixels is None and self.series:
            return scaled, None
        if pixels is None:
            return scaled.flatten(1), torch.empty(len(scaled), 0, dtype=torch.int64)
        stacked = pixels.reshape(*pixels.shape[:2], *(*self.layout.picture, 1)[:3])  # (B, T, H, W, C)
        planes = stacked.transpose(0, 1, 4, 2, 3).reshape(len(shown), -1, *self.layout.picture[:2])
        found = torch.from_numpy(np.ascontiguousarray(planes))
        return (found, scaled.flatten(1)) if self.beside else (found,)

    def actions(self, chosen: Array) -> Array:
        """Choices (B, J) -> what the environment takes: whole numbers (B,) or (B, J), or torques (B, J)."""
        if len(self.low):
            steps = np.array(self.choices) - 1
            return (self.low + (self.high - self.low) * (chosen / steps)).astype(np.float32)
        found: Array = chosen + np.asarray(self.start)
        return found[:, 0] if self.single else found

    def check(self, environment: Environment) -> None:
        """Raise BadInput for an environment of other spaces than the one that was learned in."""
        other = EnvironmentCodec.of(self.environments, environment, series=self.series)
        for what, mine, its in (
            ("shows", self.layout.told, other.layout.told),
            ("takes", self.choices, other.choices),
            ("takes from", self.start, other.start),
            ("takes between", self.low.tolist() + self.high.tolist(), other.low.tolist() + other.high.tolist()),
        ):
            if mine != its:
                raise BadInput(
                    f"{environment.name} {what} {its}; the agent learned in {self.name}, which {what} {mine}."
                )

    def sample(self, count: int, seed: int) -> Array:
        """Made-up observations, with their frames."""
        rng = np.random.Generator(np.random.Philox(seed))
        drawn = rng.standard_normal((count, self.frames, self.layout.numbers))
        numbers = (self.mean + self.std * drawn).astype(np.float32)
        if not self.picture:
            return numbers
        pixels = rng.integers(0, 256, (count, self.frames, *self.layout.picture), dtype=np.uint8)
        return self.layout.joined(pixels, numbers) if self.beside else pixels

    def description(self) -> list[dict[str, str]]:
        """What `decet show` tells of the inputs."""
        kind = "picture" if self.picture else "series" if self.series else "vector"
        size = " x ".join(map(str, self.layout.picture)) if self.picture else f"{self.shape[0]:,} numbers"
        beside = f", {self.beside} numbers beside" if self.beside else ""
        frames = f", {self.frames} frames" if self.frames > 1 else ""
        seen = {"name": "observation", "kind": kind, "detail": f"{size}{beside}{frames}"}
        what = f"{len(self.choices)} joints, values each" if len(self.low) else "choices"
        return [seen, {"name": "action", "kind": what, "detail": " x ".join(map(str, self.choices))}]

    def state(self) -> tuple[dict[str, Any], dict[str, Array]]:
        """What `restore` needs: values for JSON, and arrays by name."""
        said = {name: getattr(self, name) for name in ("start", "single", "series")}
        said |= {"named": self.name, "parts": [list(part) for part in self.layout.parts], "choices": list(self.choices)}
        arrays = {name: getattr(self, name) for name in ("mean", "std", "low", "high")}
        return said | {"environments": asdict(self.environments)}, arrays

    @classmethod
    def restore(cls, state: Mapping[str, Any], arrays: Mapping[str, Any]) -> EnvironmentCodec:
        """The codec whose `state` this is."""
        held = [np.asarray(arrays[n], np.float32) for n in ("mean", "std", "low", "high")]
        environments, layout = Environments(**state["environments"]), restored(state["parts"])
        said = [state[name] for name in ("named", "choices", "start", "single", "series")]
        return cls(environments, said[0], layout, *said[1:], *held)


def _choices(space: spaces.Space[Any], bins: int, name: str) -> tuple[tuple[int, ...], list[int], Array, Array]:
    """Choices of each column, the number of each one's first, and the bounds of joints."""
    none, found = np.zeros(0, np.float32), tuple[Any, ...]()
    if isinstance(space, spaces.Discrete):
        found = (int(space.n),), [int(space.start)], none, none
    elif isinstance(space, spaces.MultiDiscrete) and space.nvec.ndim == 1:
        found = tuple(map(int, space.nvec)), space.start.tolist(), none, none
    elif isinstance(space, spaces.MultiBinary) and isinstance(space.n, (int, np.integer)):
        found = (2,) * int(space.n), [0] * int(space.n), none, none
    elif isinstance(space, spaces.Box) and len(space.shape) == 1 and space.dtype.kind == "f":
        low, high = space.low.astype(np.float32), space.high.astype(np.float32)
        if not (np.isfinite(low).all() and np.isfinite(high).all()):
            raise Unsupported(f"the actions of {name} have no bounds. Rescale them (gymnasium.wrappers.RescaleAction).")
        found = (bins,) * len(low), [0] * len(low), low, high
    else:
        able = "Discrete, MultiDiscrete, MultiBinary and a Box of one dimension of fractions"
        raise Unsupported(f"the actions of {name} are {space}, and decet acts in {able}.")
    if max(found[0], default=0) > CHOICES or not 1 <= len(found[0]) <= JOINTS:
        raise Unsupported(f"{name} takes actions of {listed(map(str, found[0]))} choices, more than decet can weigh.")
    return found[0], found[1], found[2], found[3]
