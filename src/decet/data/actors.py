"""Copies of an environment, played side by side; compiled where they can be.

A step of a copy whose episode is over begins another, whatever the action (flag `BEGUN`), so that what is shown last is
kept like any other observation. Every episode begins by a seed that is a function of the run's seed, the copy and the
episode: with the actions since then it can be played again, which is how a killed run goes on. Where something is left
of one episode in the next, whatever the seed, each begins in an object of its own.
"""

from __future__ import annotations

import importlib.util
import time
import zlib
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from gymnasium.error import DependencyNotInstalled
from numpy.typing import NDArray

from decet.data.environments import Environment, Environments
from decet.data.observations import layout_of
from decet.errors import BadInput

if TYPE_CHECKING:
    from decet.data.environment_codec import EnvironmentCodec

Array = NDArray[Any]
ON, TERMINATED, TRUNCATED, BEGUN = range(4)  # flags of a step: goes on, ends, is cut off, or was none: a new episode
CARTPOLE, ACROBOT, MOUNTAIN_CAR, CONTINUOUS_CAR, PENDULUM = range(5)
TASKS = {  # compiled: which, numbers of a state and of what is shown
    "CartPole-v0": (CARTPOLE, 4, 4),
    "CartPole-v1": (CARTPOLE, 4, 4),
    "Acrobot-v1": (ACROBOT, 4, 6),
    "MountainCar-v0": (MOUNTAIN_CAR, 2, 2),
    "MountainCarContinuous-v0": (CONTINUOUS_CAR, 2, 2),
    "Pendulum-v1": (PENDULUM, 2, 3),
}
COPIES, FEW = 16, 4  # that are played, of compiled and of other environments
ENDLESS = 1 << 40


class Actors(Protocol):
    """So many copies. shown (E, ...): what each shows; flags (E,): how its last step went; episodes (E,).

    overlaps: whether what is done between `start` and `finish` happens beside the copies' step.
    """

    count: int
    shown: Array
    flags: Array
    episodes: Array
    overlaps: bool

    def start(self, actions: Array) -> None:
        """Begin a step of each copy by its action, as `EnvironmentCodec.actions` gives them."""

    def finish(self) -> Array:
        """The step that was begun: the rewards (E,). Until then all is shown as it was before."""

    def step(self, actions: Array) -> Array:
        """`start` and `finish`."""
        self.start(actions)
        return self.finish()

    def state(self) -> dict[str, Any]:
        """What `restore` needs to go on from here; not between `start` and `finish`."""

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from where this state was taken."""

    def close(self) -> None:
        """Let go of what the copies hold."""


def actors_of(environment: Environment, said: Environments, seed: int, copies: int | None = None) -> Actors:
    """Copies of an environment: compiled where it is one of the classic tasks as Gymnasium has them, in processes of
    their own where workers are said. copies: of a few that are only looked at; one alone needs no process."""
    known = is_compiled(environment)
    count = copies or said.copies or (COPIES if known else FEW)
    if known:
        return Compiled(environment, count, seed)
    if said.renew is not None:
        environment = replace(environment, renewed=said.renew)
    if not said.workers or copies == 1:
        return Copies(environment, count, seed)
    from decet.data.workers import Workers

    return Workers(environment, count, seed, said.workers, said.timeout)


def is_compiled(environment: Environment) -> bool:
    """Whether a step of many copies is one call."""
    return environment.plain and environment.name in TASKS and importlib.util.find_spec("numba") is not None


class Compiled(Actors):
    """Copies of a classic task, each step of all one call."""

    overlaps = False

    def __init__(self, environment: Environment, count: int, seed: int) -> None:
        from decet.data import classic_kernels

        self.kernels, self.count, self.seed = classic_kernels, count, seed & 0xFFFFFFFF
        self.task, size, width = TASKS[environment.name]
        self.limit = environment.limit or ENDLESS
        self.states, self.shown = np.zeros((count, size)), np.zeros((count, width), np.float32)
        self.ages, self.episodes = np.zeros(count, np.int64), np.full(count, -1)
        self.flags, self.rewards = np.full(count, TERMINATED, np.uint8), np.zeros(count)
        self.step(np.zeros(count))

    def start(self, actions: Array) -> None:
        self.begun = np.ascontiguousarray(actions, np.float64).reshape(-1)

    def finish(self) -> Array:
        self.kernels.advance(
            self.task, self.limit, self.seed, self.states, self.ages, self.episodes, self.begun, self.shown,
            self.rewards, self.flags,
        )  # fmt: skip
        return self.rewards

    def state(self) -> dict[str, Any]:
        return {name: getattr(self, name).tolist() for name in ("states", "ages", "episodes", "flags")}

    def restore(self, state: Mapping[str, Any]) -> None:
        for name in ("states", "ages", "episodes", "flags"):
            getattr(self, name)[:] = np.asarray(state[name]).reshape(getattr(self, name).shape)
        for states, shown in zip(self.states, self.shown, strict=True):
            self.kernels.seen(self.task, states, shown)

    def close(self) -> None:
        """There is nothing to let go of."""


class Copies(Actors):
    """Copies of any environment, one after the other. first: the number of the first, where they are some of many."""

    overlaps = False

    def __init__(self, environment: Environment, count: int, seed: int, first: int = 0) -> None:
        self.environment, self.count, self.seed, self.first = environment, count, seed, first
        self.layout = layout_of(environment.observations, environment.name)
        self.shown = np.zeros((count, *self.layout.shape), self.layout.kind)
        self.flags, self.episodes = np.full(count, BEGUN, np.uint8), np.full(count, -1)
        self.since: list[list[Any]] = [[] for _ in range(count)]  # actions of the episode, by copy
        self.played = [self._made() for _ in range(count)]
        if len({id(one) for one in self.played}) < count:
            raise BadInput(f"the function gives the same {environment.name} each time it is called. It must make one.")
        for number in range(count):
            self._begin(number)

    def start(self, actions: Array) -> None:
        self.begun = actions

    def finish(self) -> Array:
        rewards = np.zeros(self.count)
        for number, action in enumerate(self.begun):
            if self.flags[number] in (TERMINATED, TRUNCATED):
                self._begin(number)
            else:
                rewards[number] = self._act(number, action)
        return rewards

    def _made(self) -> Any:
        try:
            return self.environment.make(None)
        except BadInput:
            raise
        except Exception as error:  # whatever a user's environment raises
            raise BadInput(f"{self.environment.name} could not be made again ({_told(error)}).") from error

    def _begin(self, number: int) -> None:
        if self.environment.renewed and self.episodes[number] >= 0:
            self.played[number].close()
            self.played[number] = self._made()
        self.episodes[number] += 1
        self.since[number], self.flags[number] = [], BEGUN
        key = zlib.crc32(f"{self.seed}/{self.first + number}/{self.episodes[number]}".encode()) & 0x7FFFFFFF
        told = self._asked(number, "reset", seed=key)
        if not isinstance(told, tuple) or len(told) != 2:
            raise self._broken(number, "reset must return (observation, info)", told)
        self._show(number, told[0])

    def _act(self, number: int, action: Any) -> float:
        self.since[number].append(action.copy())  # lest the environment change what it is given
        told = self._asked(number, "step", action if isinstance(action, np.ndarray) else action.item())
        if not isinstance(told, tuple) or len(told) != 5:
            raise self._broken(number, "step must return (observation, reward, terminated, truncated, info)", told)
        seen, reward, terminated, truncated, _ = told
        try:
            value = float(reward)
        except (TypeError, ValueError) as error:
            raise self._broken(number, "a reward must be a number", reward) from error
        if not np.isfinite(value):
            raise BadInput(f"{self._where(number)} gave the reward {value}. Rewards must be finite.")
        for name, flag in (("terminated", terminated), ("truncated", truncated)):
            if not isinstance(flag, (bool, np.bool_, int)):
                raise self._broken(number, f"{name} must be true or false", flag)
        self._show(number, seen)
        self.flags[number] = TERMINATED if terminated else TRUNCATED if truncated else ON
        return value

    def _asked(self, number: int, verb: str, *arguments: Any, **named: Any) -> Any:
        try:
            return getattr(self.played[number], verb)(*arguments, **named)
        except Exception as error:  # whatever a user's environment raises
            raise BadInput(f"{self._where(number)} raised {_told(error)}") from error

    def _show(self, number: int, seen: Any) -> None:
        """Keep what a copy shows. Raises BadInput for another shape than its space says, or NaN."""
        try:
            self.shown[number] = self.layout.keep(seen)
        except ValueError as error:
            raise BadInput(f"{self._where(number)} shows {error}.") from error

    def _where(self, number: int) -> str:
        return (
            f"{self.environment.name}, copy {self.first + number}, episode {self.episodes[number]}, "
            f"step {len(self.since[number])},"
        )

    def _broken(self, number: int, rule: str, told: Any) -> BadInput:
        size = f" of {len(told)}" if isinstance(told, tuple) else ""
        return BadInput(
            f"{self._where(number)} breaks a rule of Gymnasium: {rule}. Received: {type(told).__name__}{size}."
        )

    def state(self) -> dict[str, Any]:
        since = [[np.asarray(action).tolist() for action in actions] for actions in self.since]
        return {
            "episodes": self.episodes.tolist(),
            "flags": self.flags.tolist(),
            "since": since,
            "shown": [zlib.crc32(shown.tobytes()) for shown in self.shown],
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Play the episodes again. Raises BadInput where they show something else than they did."""
        kind = self.environment.actions.dtype
        for number in range(self.count):
            self.episodes[number] = int(state["episodes"][number]) - 1
            if self.environment.renewed and self.episodes[number] < 0:  # an object that has played is not as new
                self.played[number].close()
                self.played[number] = self._made()
            self._begin(number)
            for said in state["since"][number]:
                action = np.asarray(said, kind)
                self._act(number, action if isinstance(said, list) else action[()])
            if zlib.crc32(self.shown[number].tobytes()) != int(state["shown"][number]):
                raise BadInput(
                    f"{self._where(number)} does not play again as it did: the same seed and actions show other "
                    "things, so the run cannot go on. Start anew with --overwrite, and with inputs.renew where an "
                    "episode leaves something behind for the next one."
                )
        self.flags[:] = state["flags"]

    def close(self) -> None:
        for one in self.played:
            one.close()


def _told(error: BaseException) -> str:
    """An error's kind and first line, and what may be missing."""
    more = ": pip install 'decet[games]'" if isinstance(error, DependencyNotInstalled) else ""
    return f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}{more}"


def met(
    environment: Environment, codec: EnvironmentCodec, said: Environments, seed: int, steps: int
) -> tuple[Array, float]:
    """Numbers that are met by acting at random (N, F), by which they are scaled; and the seconds of a step."""
    actors = actors_of(environment, said, seed, copies=FEW)
    try:
        rng, seen = np.random.Generator(np.random.Philox(seed)), [codec.numbers(actors.shown).copy()]
        began = time.monotonic()
        for _ in range(max(1, steps // FEW)):
            chosen = np.stack([rng.integers(0, choices, FEW) for choices in codec.choices], 1)
            actors.step(codec.actions(chosen))
            seen.append(codec.numbers(actors.shown).copy())
        return np.concatenate(seen), (time.monotonic() - began) / steps
    finally:
        actors.close()
