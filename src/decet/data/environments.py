"""Environments: what an agent sees, what it can do, and how both become tensors.

    environment = opened("CartPole-v1")        opened(lambda: MyGame())        opened(gymnasium.make("Pendulum-v1"))

An observation is a vector (of whatever shape or parts, laid end to end; what is one of several, one-hot) or a picture.
An action is one choice among several, several such choices, or the torques of joints; each joint is given a few values
between its bounds to choose from (Tang & Agrawal, 1901.10500; Seyde et al., 2210.12566), so that actions are choices.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import gymnasium
import numpy as np
import torch
from gymnasium import error as errors
from gymnasium import spaces
from numpy.typing import NDArray

from decet.contracts import ImageSpec, LabelSpec, TableSpec
from decet.errors import BadInput, Unsupported, check_range, listed, suggest

Array = NDArray[Any]
WIDE, SPREADS = 1e3, 8  # bounds nearer than that say something: a spread is an eighth of them, at least
CHOICES = 4_096  # of one column of actions, at most
JOINTS = 64
SMALLEST = 8  # rows of a picture; what is smaller, or of another kind, is a vector
MADE = "Give an id, an environment, or a function that makes one."


@dataclass(frozen=True)
class Environments:
    """How an environment is met. What is None is found from it.

    copies: how many are played side by side; None: 16 where they are compiled, else 4.
    frames: the newest pictures that the network sees at once (4), or vectors (1).
    bins: values from which each joint chooses, both bounds among them (3).
    limit: steps after which an episode is cut off; None: as the environment has it.
    """

    copies: int | None = None
    frames: int | None = None
    bins: int = 3
    limit: int | None = None

    def __post_init__(self) -> None:
        check_range("copies", self.copies, 1, 4_096, whole=True)
        check_range("frames", self.frames, 1, 64, whole=True)
        check_range("bins", self.bins, 2, 64, whole=True)
        check_range("limit", self.limit, 1, 1_000_000_000, whole=True)


@dataclass(frozen=True)
class Environment:
    """One environment, and how to make more of it.

    name: its id or class. make: of how it is drawn (None, "rgb_array"), a new one. limit: steps of an episode, None
    where there is none. threshold: the return from which it counts as solved, where that is said. registered: whether
    its id is all that is needed to make it again. plain: and it is as Gymnasium registers it, in no further wrapper.
    """

    name: str
    make: Callable[[str | None], gymnasium.Env[Any, Any]]
    observations: spaces.Space[Any]
    actions: spaces.Space[Any]
    limit: int | None = None
    threshold: float | None = None
    registered: bool = False
    plain: bool = False


def opened(source: Any, limit: int | None = None) -> Environment:
    """The environment of an id, an environment or a function that makes one.

    Raises BadInput for what is none, and for an id that is not known or needs what is not installed.
    """
    if isinstance(source, Environment):
        return source
    if isinstance(source, str):
        return _registered(source, limit)
    if isinstance(source, gymnasium.Env):
        spec = source.spec
        if spec is not None and spec.entry_point is not None and not spec.additional_wrappers:
            return _described(source, lambda mode: _with(gymnasium.make(spec, render_mode=mode), limit), limit)
        return _described(source, lambda mode: _with(_copied(source), limit), limit)
    if callable(source):
        return _described(_made_by(source), lambda mode: _with(_made_by(source), limit), limit)
    raise BadInput(f"{type(source).__name__} is no environment. {MADE}")


def _registered(name: str, limit: int | None) -> Environment:
    try:
        spec = gymnasium.spec(name)
        first = gymnasium.make(name, max_episode_steps=limit)
    except (errors.NameNotFound, errors.NamespaceNotFound, errors.VersionNotFound, errors.DeprecatedEnv) as error:
        known = sorted(gymnasium.registry)
        raise BadInput(f"there is no environment {name!r}.{suggest(name, known)} ({_line(error)})") from error
    except errors.DependencyNotInstalled as error:
        raise BadInput(
            f"{name} needs what is not installed ({_line(error)}). Say pip install 'decet[games]'."
        ) from error
    except errors.Error as error:
        raise BadInput(f"{name!r} cannot be made ({_line(error)}).") from error
    except ImportError as error:
        raise BadInput(
            f"{name} needs what is not installed ({_line(error)}). Say pip install 'decet[games]'."
        ) from error

    def make(mode: str | None) -> gymnasium.Env[Any, Any]:
        return gymnasium.make(name, render_mode=mode, max_episode_steps=limit)

    steps = limit or spec.max_episode_steps
    told = _checked(first, name)
    plain = not spec.additional_wrappers
    return Environment(name, make, *told, steps, spec.reward_threshold, registered=True, plain=plain)


def _described(first: Any, make: Callable[[str | None], Any], limit: int | None) -> Environment:
    spec = getattr(first, "spec", None)
    name = type(first.unwrapped).__name__ if spec is None else str(spec.id)
    told = None if spec is None else spec.max_episode_steps
    return Environment(name, make, *_checked(first, name), limit or told, getattr(spec, "reward_threshold", None))


def _checked(first: Any, name: str) -> tuple[spaces.Space[Any], spaces.Space[Any]]:
    for part in ("observation_space", "action_space"):
        if not isinstance(getattr(first, part, None), spaces.Space):
            raise BadInput(f"{name} breaks a rule of Gymnasium: it has no {part}.")
    return first.observation_space, first.action_space


def _made_by(source: Callable[[], Any]) -> Any:
    try:
        found = source()
    except TypeError as error:
        raise BadInput(
            f"the function that makes the environment failed ({_line(error)}). It takes no values."
        ) from error
    if not isinstance(found, gymnasium.Env):
        raise BadInput(f"the function made a {type(found).__name__}, which is no environment of Gymnasium.")
    return found


def _copied(source: Any) -> Any:
    try:
        return copy.deepcopy(source)
    except Exception as error:  # whatever a user's object does when it is copied
        name = type(source.unwrapped).__name__
        raise BadInput(f"{name} cannot be copied ({_line(error)}). Give a function that makes one.") from error


def _with(environment: Any, limit: int | None) -> Any:
    return environment if limit is None else gymnasium.wrappers.TimeLimit(environment, limit)


def _line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0].strip().rstrip(".")


# -------------------------------------------------------------------------------------------------------------- codec


def is_picture(space: spaces.Space[Any]) -> bool:
    """Whether observations are pictures: (rows, columns[, channels]) of whole numbers from 0 to 255."""
    return (
        isinstance(space, spaces.Box)
        and space.dtype == np.uint8
        and len(space.shape) in (2, 3)
        and min(space.shape[:2]) >= SMALLEST
    )


class EnvironmentCodec:
    """Turns observations into what networks read, and choices into actions. Made by `of` or `restore`.

    spec     TableSpec of vectors, ImageSpec of pictures; frames side by side
    answer   LabelSpec: the choices of each column of an action
    mean, std  (F,) by which vectors are brought to size
    low, high  (J,) of joints; none where actions are choices by themselves
    """

    def __init__(
        self, environments: Environments, name: str, shape: Sequence[int], picture: bool, choices: Sequence[int],
        start: Sequence[int], single: bool, mean: Array, std: Array, low: Array, high: Array,
    ) -> None:  # fmt: skip
        self.environments, self.name, self.shape, self.picture = environments, name, tuple(shape), picture
        self.choices, self.start, self.single = tuple(choices), list(start), single
        self.mean, self.std, self.low, self.high = mean, std, low, high
        self.frames = environments.frames or (4 if picture else 1)
        self.warnings: list[str] = []
        self.remarks: list[str] = []
        if picture:
            rows, columns, channels = (*self.shape, 1)[:3]
            self.spec: Any = ImageSpec(channels * self.frames, rows, columns)
        else:
            self.spec = TableSpec(numbers=self.shape[0] * self.frames)
        self.answer = LabelSpec(self.choices)

    @classmethod
    def of(cls, environments: Environments, environment: Environment, seen: Array | None = None) -> EnvironmentCodec:
        """seen: (N, F) vectors met at random, by which they are scaled: bounds are often far from what is ever met."""
        space, picture = environment.observations, is_picture(environment.observations)
        if _has_pictures(space) and not picture:
            raise Unsupported(f"{environment.name} shows pictures beside other things, which decet does not read yet.")
        choices, start, low, high = _choices(environment.actions, environments.bins, environment.name)
        single = isinstance(environment.actions, spaces.Discrete)
        if picture:
            return cls(
                environments, environment.name, space.shape or (), True, choices, start, single, *_none(), low, high
            )
        width = width_of(environment)
        mean, std = np.zeros(width, np.float32), np.ones(width, np.float32)
        if seen is not None and len(seen):
            mean, std = seen.mean(0).astype(np.float32), np.maximum(seen.std(0), 1e-3).astype(np.float32)
        if not isinstance(space, spaces.Box):  # one-hot
            mean[:], std[:] = 0.0, 1.0
        else:  # what is never met at random may be met later, as far as bounds allow
            half = (space.high.reshape(-1).astype(np.float64) - space.low.reshape(-1)) / 2
            std = np.where(half < WIDE, np.maximum(std, half / SPREADS), std).astype(np.float32)
        return cls(environments, environment.name, (width,), False, choices, start, single, mean, std, low, high)

    def encode(self, observations: Array) -> tuple[Any, ...]:
        """Observations (B, ...) as they are kept, or frames of them (B, frames, ...), oldest first -> inputs."""
        shown = np.asarray(observations)
        if self.picture:
            stacked = shown.reshape(len(shown), -1, *(*self.shape, 1)[:3])  # (B, T, H, W, C)
            pixels = np.ascontiguousarray(stacked.transpose(0, 1, 4, 2, 3).reshape(len(shown), -1, *self.shape[:2]))
            return (torch.from_numpy(pixels),)
        rows = torch.from_numpy(np.ascontiguousarray(shown.reshape(len(shown), -1, self.shape[0]), np.float32))
        scaled = (rows - torch.from_numpy(self.mean)) / torch.from_numpy(self.std)
        return scaled.flatten(1), torch.empty(len(rows), 0, dtype=torch.int64)

    def actions(self, chosen: Array) -> Array:
        """Choices (B, J) -> what the environment takes: whole numbers (B,) or (B, J), or torques (B, J)."""
        if len(self.low):
            steps = np.array(self.choices) - 1
            return (self.low + (self.high - self.low) * (chosen / steps)).astype(np.float32)
        found: Array = chosen + np.asarray(self.start)
        return found[:, 0] if self.single else found

    def check(self, environment: Environment) -> None:
        """Raise BadInput for an environment of other spaces than the one that was learned in."""
        other = EnvironmentCodec.of(self.environments, environment)
        for what, mine, its in (
            ("shows", self.shape, other.shape),
            ("takes", self.choices, other.choices),
            ("takes between", self.low.tolist() + self.high.tolist(), other.low.tolist() + other.high.tolist()),
        ):
            if mine != its:
                raise BadInput(
                    f"{environment.name} {what} {its}; the agent learned in {self.name}, which {what} {mine}."
                )

    def sample(self, count: int, seed: int) -> Array:
        """Made-up observations, with their frames."""
        rng = np.random.Generator(np.random.Philox(seed))
        shape = (count, self.frames, *self.shape)
        if self.picture:
            return rng.integers(0, 256, shape, dtype=np.uint8)
        return (self.mean + self.std * rng.standard_normal(shape)).astype(np.float32)

    def description(self) -> list[dict[str, str]]:
        """What `decet show` tells of the inputs."""
        kind = "picture" if self.picture else "numbers"
        seen = {
            "name": "observation",
            "kind": kind,
            "detail": f"{' x '.join(map(str, self.shape))}, {self.frames} frames",
        }
        what = f"{len(self.choices)} joints, values each" if len(self.low) else "choices"
        return [seen, {"name": "action", "kind": what, "detail": " x ".join(map(str, self.choices))}]

    def state(self) -> tuple[dict[str, Any], dict[str, Array]]:
        """What `restore` needs: values for JSON, and arrays by name."""
        said = {name: getattr(self, name) for name in ("picture", "start", "single")}
        said |= {"named": self.name, "shape": list(self.shape), "choices": list(self.choices)}
        arrays = {name: getattr(self, name) for name in ("mean", "std", "low", "high")}
        return said | {"environments": asdict(self.environments)}, arrays

    @classmethod
    def restore(cls, state: Mapping[str, Any], arrays: Mapping[str, Any]) -> EnvironmentCodec:
        """The codec whose `state` this is."""
        said, held = dict(state), [np.asarray(arrays[n], np.float32) for n in ("mean", "std", "low", "high")]
        environments = Environments(**said.pop("environments"))
        return cls(
            environments,
            said["named"],
            said["shape"],
            said["picture"],
            said["choices"],
            said["start"],
            said["single"],
            *held,
        )


def width_of(environment: Environment) -> int:
    """The numbers of an observation, laid end to end. Raises Unsupported where they are not always as many."""
    try:
        return int(spaces.utils.flatdim(environment.observations))
    except (ValueError, NotImplementedError) as error:
        kind = type(environment.observations).__name__
        raise Unsupported(f"{environment.name} shows a {kind}, which has no fixed size.") from error


def _none() -> tuple[Array, Array]:
    return np.zeros(0, np.float32), np.ones(0, np.float32)


def _has_pictures(space: spaces.Space[Any]) -> bool:
    if isinstance(space, spaces.Dict):
        return any(_has_pictures(part) for part in space.spaces.values())
    if isinstance(space, spaces.Tuple):
        return any(_has_pictures(part) for part in space.spaces)
    return is_picture(space)


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
        raise Unsupported(f"the actions of {name} are {type(space).__name__}, and decet acts in {able}.")
    if max(found[0], default=0) > CHOICES or not 1 <= len(found[0]) <= JOINTS:
        raise Unsupported(f"{name} takes actions of {listed(map(str, found[0]))} choices, more than decet can weigh.")
    return found[0], found[1], found[2], found[3]
