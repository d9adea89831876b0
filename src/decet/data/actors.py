"""Copies of an environment, played side by side; compiled where they can be.

A step of a copy whose episode is over begins another, whatever the action (flag `BEGUN`), so that what is shown last is
kept like any other observation. Every episode begins by a seed that is a function of the run's seed, the copy and the
episode: with the actions since then it can be played again, which is how a killed run goes on.
"""

from __future__ import annotations

import importlib.util
import zlib
from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from decet.data.environments import Environment, EnvironmentCodec, Environments, is_picture, width_of
from decet.errors import BadInput

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
    """So many copies. shown (E, ...): what each shows; flags (E,): how its last step went; episodes (E,)."""

    count: int
    shown: Array
    flags: Array
    episodes: Array

    def step(self, actions: Array) -> Array:
        """A step of each copy by its action, as `EnvironmentCodec.actions` gives them; the rewards (E,)."""

    def state(self) -> dict[str, Any]:
        """What `restore` needs to go on from here."""

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from where this state was taken."""

    def close(self) -> None:
        """Let go of what the copies hold."""


def actors_of(environment: Environment, said: Environments, seed: int, copies: int | None = None) -> Actors:
    """Copies of an environment, compiled where it is one of the classic tasks as Gymnasium has them."""
    known = is_compiled(environment)
    count = copies or said.copies or (COPIES if known else FEW)
    return Compiled(environment, count, seed) if known else Copies(environment, count, seed)


def is_compiled(environment: Environment) -> bool:
    """Whether a step of many copies is one call."""
    return environment.plain and environment.name in TASKS and importlib.util.find_spec("numba") is not None


class Compiled:
    """Copies of a classic task, each step of all one call."""

    def __init__(self, environment: Environment, count: int, seed: int) -> None:
        from decet.data import classic_kernels

        self.kernels, self.count, self.seed = classic_kernels, count, seed & 0xFFFFFFFF
        self.task, size, width = TASKS[environment.name]
        self.limit = environment.limit or ENDLESS
        self.states, self.shown = np.zeros((count, size)), np.zeros((count, width), np.float32)
        self.ages, self.episodes = np.zeros(count, np.int64), np.full(count, -1)
        self.flags, self.rewards = np.full(count, TERMINATED, np.uint8), np.zeros(count)
        self.step(np.zeros(count))

    def step(self, actions: Array) -> Array:
        chosen = np.ascontiguousarray(actions, np.float64).reshape(-1)
        self.kernels.advance(
            self.task, self.limit, self.seed, self.states, self.ages, self.episodes, chosen, self.shown, self.rewards,
            self.flags,
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


class Copies:
    """Copies of any environment, one after the other."""

    def __init__(self, environment: Environment, count: int, seed: int) -> None:
        self.environment, self.count, self.seed = environment, count, seed
        self.space, self.picture = environment.observations, is_picture(environment.observations)
        self.plain = isinstance(self.space, spaces.Box)
        width = () if self.picture else (width_of(environment),)
        shape = self.space.shape if self.picture else width
        self.shown = np.zeros((count, *(shape or ())), np.uint8 if self.picture else np.float32)
        self.played = [environment.make(None) for _ in range(count)]
        self.flags, self.episodes = np.full(count, BEGUN, np.uint8), np.full(count, -1)
        self.since: list[list[Any]] = [[] for _ in range(count)]  # actions of the episode, by copy
        for number in range(count):
            self._begin(number)

    def step(self, actions: Array) -> Array:
        rewards = np.zeros(self.count)
        for number, action in enumerate(actions):
            if self.flags[number] in (TERMINATED, TRUNCATED):
                self._begin(number)
            else:
                rewards[number] = self._act(number, action)
        return rewards

    def _begin(self, number: int) -> None:
        self.episodes[number] += 1
        self.since[number], self.flags[number] = [], BEGUN
        key = zlib.crc32(f"{self.seed}/{number}/{self.episodes[number]}".encode()) & 0x7FFFFFFF
        told = self._asked(number, "reset", seed=key)
        if not isinstance(told, tuple) or len(told) != 2:
            raise self._broken("reset must return (observation, info)", told)
        self._show(number, told[0])

    def _act(self, number: int, action: Any) -> float:
        self.since[number].append(action)
        told = self._asked(number, "step", action if isinstance(action, np.ndarray) else action.item())
        if not isinstance(told, tuple) or len(told) != 5:
            raise self._broken("step must return (observation, reward, terminated, truncated, info)", told)
        seen, reward, terminated, truncated, _ = told
        try:
            value = float(reward)
        except (TypeError, ValueError) as error:
            raise self._broken("a reward must be a number", reward) from error
        if not np.isfinite(value):
            raise BadInput(f"{self._where(number)} gave the reward {value}. Rewards must be finite.")
        self._show(number, seen)
        self.flags[number] = TERMINATED if terminated else TRUNCATED if truncated else ON
        return value

    def _asked(self, number: int, verb: str, *arguments: Any, **named: Any) -> Any:
        try:
            return getattr(self.played[number], verb)(*arguments, **named)
        except Exception as error:  # whatever a user's environment raises
            line = (str(error).splitlines() or [""])[0]
            raise BadInput(f"{self._where(number)} raised {type(error).__name__}: {line}") from error

    def _show(self, number: int, seen: Any) -> None:
        """Keep what a copy shows. Raises BadInput for another shape than its space says, or NaN."""
        if not self.plain:
            try:
                seen = spaces.utils.flatten(self.space, seen)
            except (KeyError, IndexError, TypeError, ValueError) as error:
                raise self._broken(f"what it shows must be in its space {type(self.space).__name__}", seen) from error
        seen = np.asarray(seen)
        if seen.dtype.kind not in "biuf":
            raise self._broken("what it shows must be numbers", seen)
        said = self.space.shape if self.plain else self.shown.shape[1:]
        if seen.shape != said:
            raise BadInput(f"{self._where(number)} shows shape {seen.shape}; its space says {said}.")
        if seen.dtype.kind == "f" and not np.isfinite(seen).all():
            raise BadInput(
                f"{self._where(number)} shows what is not finite, in place {int(np.argmin(np.isfinite(seen)))}."
            )
        self.shown[number] = seen if self.picture else seen.reshape(-1)

    def _where(self, number: int) -> str:
        return (
            f"{self.environment.name}, copy {number}, episode {self.episodes[number]}, step {len(self.since[number])},"
        )

    def _broken(self, rule: str, told: Any) -> BadInput:
        size = f" of {len(told)}" if isinstance(told, tuple) else ""
        return BadInput(
            f"{self.environment.name} breaks a rule of Gymnasium: {rule}. Received: {type(told).__name__}{size}."
        )

    def state(self) -> dict[str, Any]:
        since = [[np.asarray(action).tolist() for action in actions] for actions in self.since]
        return {
            "episodes": self.episodes.tolist(),
            "flags": self.flags.tolist(),
            "since": since,
            "shown": self._digest(),
        }

    def _digest(self) -> int:
        return zlib.crc32(np.ascontiguousarray(self.shown).tobytes())

    def restore(self, state: Mapping[str, Any]) -> None:
        """Play the episodes again. Raises BadInput where they show something else than they did."""
        kind = self.environment.actions.dtype
        for number in range(self.count):
            self.episodes[number] = int(state["episodes"][number]) - 1
            self._begin(number)
            for action in state["since"][number]:
                self._act(
                    number, np.asarray(action, kind) if isinstance(action, list) else np.asarray(action, kind)[()]
                )
        self.flags[:] = state["flags"]
        if self._digest() != int(state["shown"]):
            raise BadInput(
                f"{self.environment.name} does not play again as it did: the same seed and actions show other "
                "things, so the run cannot go on. Start anew with --overwrite."
            )

    def close(self) -> None:
        for one in self.played:
            one.close()


def met(environment: Environment, codec: EnvironmentCodec, said: Environments, seed: int, steps: int) -> Array:
    """Vectors that are met by acting at random (N, F), by which they are scaled."""
    actors = actors_of(environment, said, seed, copies=FEW)
    rng, seen = np.random.Generator(np.random.Philox(seed)), [actors.shown.copy()]
    for _ in range(max(1, steps // FEW)):
        chosen = np.stack([rng.integers(0, choices, FEW) for choices in codec.choices], 1)
        actors.step(codec.actions(chosen))
        seen.append(actors.shown.copy())
    actors.close()
    return np.concatenate(seen)
