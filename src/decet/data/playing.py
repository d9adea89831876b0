"""Playing: a source that acts while it yields batches of what was met, and episodes played to see how well.

source = Playing(actors, codec, replay, learner.values, pace)        episodes = played(actors, weigh, codec, 100)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from decet.contracts import Batch, Clock, Source
from decet.data.actors import BEGUN, ON, TERMINATED, Actors
from decet.data.environments import EnvironmentCodec
from decet.data.replay import Replay, Transitions

Array = NDArray[Any]
LONGEST = 10_000  # steps of one random choice
TOO_LONG = 27_000  # steps of an episode that is judged: half an hour of a game at 15 a second
LATEST = 100  # episodes whose mean return is told
URGENT = 0.5  # share of the spare rows, from which a checkpoint must be written

Values = Callable[[tuple[Any, ...]], torch.Tensor]  # inputs -> (B, J, K)


@dataclass(frozen=True)
class Pace:
    """How acting and learning take turns.

    warmup: steps of the environment that are played at random first. ratio: steps of learning for each of the
    environment's. explore: the chance of a random action from `fade` of the run on, falling to it from 1;
    persist: how long it is held on to (2006.01782): k steps with a chance as k^-persist; 0: one step. transitions
    a step of learning; steps: of the environment in each; discount: of the next step's worth.
    """

    warmup: int
    ratio: float
    explore: float
    fade: float
    persist: float
    batch: int
    steps: int
    discount: float


class Playing(Source):
    """Acts by the network's values, some actions at random, and yields transitions drawn from memory."""

    def __init__(
        self, actors: Actors, codec: EnvironmentCodec, replay: Replay, values: Values, pace: Pace, steps: int,
        device: torch.device,
    ) -> None:  # fmt: skip
        self.actors, self.codec, self.replay, self.values, self.pace = actors, codec, replay, values, pace
        self.steps, self.device = steps, device
        self.recent = Recent(codec.frames, actors)
        self.returns = np.zeros(actors.count)
        self.held = np.zeros((actors.count, len(codec.choices)), np.int64)  # random choices
        self.left = np.zeros(actors.count, np.int64)  # steps for which they are held on to
        self.told: list[float] = []  # of the latest episodes
        self.episodes = 0
        self.safe: int | None = None  # the cursor of the last checkpoint on the disk

    @property
    def met(self) -> int:
        """Steps of the environment so far, all copies together."""
        return self.replay.cursor * self.actors.count

    def next(self, clock: Clock) -> Batch:
        rng = np.random.Generator(np.random.Philox(clock.key("play")))
        while self.met < self.due(clock.step):
            self.act(clock, rng)
        return self._batch(self.replay.draw(self.pace.batch, self.pace.steps, self.pace.discount, rng))

    def due(self, step: int) -> int:
        """Steps of the environment that must be behind this step of learning."""
        least = (self.pace.steps + self.codec.frames + 1) * self.actors.count
        return max(self.pace.warmup, least) + int(step / self.pace.ratio)

    def act(self, clock: Clock, rng: np.random.Generator) -> None:
        """One step of every copy, kept."""
        chance = max(self.pace.explore, 1 - (1 - self.pace.explore) * clock.progress / max(1e-9, self.pace.fade))
        chosen = self._freely(1.0 if self.met < self.pace.warmup else chance, rng)
        bound = self.left == 0
        if bound.any() and self.met >= self.pace.warmup:
            best = greedy(self.values, self.codec, self.recent.frames, self.device)
            chosen = np.where(bound[:, None], best, chosen)
        self.left = np.maximum(self.left - 1, 0)
        shown = self.actors.shown.copy()
        rewards = self.actors.step(self.codec.actions(chosen))
        self.replay.add(shown, chosen, rewards, self.actors.flags)
        self.left[self.actors.flags == BEGUN] = 0
        self.recent.see(self.actors)
        self._count(rewards)

    def _freely(self, chance: float, rng: np.random.Generator) -> Array:
        """Random choices (E, J), new ones for some of the copies that hold on to none; `left` tells for how long."""
        count, long = self.actors.count, self.pace.persist
        drawn = np.stack([rng.integers(0, choices, count) for choices in self.codec.choices], 1)
        fresh = (self.left == 0) & (rng.random(count) < chance)
        lasting = np.minimum(rng.zipf(long, count), LONGEST) if long else np.ones(count, np.int64)
        self.held = np.where(fresh[:, None], drawn, self.held)
        self.left = np.where(fresh, lasting, self.left)
        return self.held

    def _count(self, rewards: Array) -> None:
        self.returns += rewards
        over = (self.actors.flags != ON) & (self.actors.flags != BEGUN)
        if over.any():
            self.told = [*self.told, *self.returns[over].tolist()][-LATEST:]
            self.episodes += int(over.sum())
            self.returns[over] = 0.0

    def _batch(self, drawn: Transitions) -> Batch:
        inputs, then = (
            tuple(part.to(self.device) for part in self.codec.encode(shown)) for shown in (drawn.shown, drawn.then)
        )
        told = [torch.from_numpy(part).to(self.device) for part in (drawn.chosen, drawn.reward, drawn.discount)]
        return Batch(inputs, (*told, then))

    def example(self) -> Batch:
        """Made-up transitions."""
        count, columns = self.pace.batch, len(self.codec.choices)
        shown = self.codec.sample(count, 0)
        zeros = np.zeros(count, np.float32)
        return self._batch(Transitions(shown, np.zeros((count, columns), np.int64), zeros, zeros, shown, zeros))

    @property
    def urgent(self) -> bool:  # type: ignore[override]
        """Whether half of the spare rows were filled since the last checkpoint, or rows before it are written again."""
        if self.safe is None:
            return False
        since = self.replay.cursor - self.safe
        return since < 0 or since > URGENT * (self.replay.length - self.replay.window)

    def written(self) -> None:
        self.safe = self.replay.cursor

    def state(self) -> dict[str, Any]:
        """Where the copies stand, and the memory's cursor."""
        return {
            "actors": self.actors.state(),
            "replay": self.replay.state(),
            "returns": self.returns.tolist(),
            "held": self.held.tolist(),
            "left": self.left.tolist(),
            "told": list(self.told),
            "episodes": self.episodes,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        self.replay.restore(state["replay"])
        self.safe = self.replay.cursor if self.safe is None else self.safe  # a roll-back leaves the disk as it is
        self.actors.restore(state["actors"])
        for name in ("returns", "held", "left"):
            getattr(self, name)[:] = state[name]
        self.told, self.episodes = [float(value) for value in state["told"]], int(state["episodes"])
        self.recent.again(self.replay, self.actors)


class Recent:
    """The newest observations of each copy, oldest first (E, frames, ...)."""

    def __init__(self, count: int, actors: Actors) -> None:
        self.frames = np.repeat(actors.shown[:, None], count, 1)

    def see(self, actors: Actors) -> None:
        """What the copies show now joins; who has begun an episode saw nothing else yet."""
        if self.frames.shape[1] > 1:
            self.frames[:, :-1] = self.frames[:, 1:]
        self.frames[:, -1] = actors.shown
        begun = actors.flags == BEGUN
        self.frames[begun] = actors.shown[begun][:, None]

    def again(self, replay: Replay, actors: Actors) -> None:
        """As they were where a run goes on: out of the memory."""
        count = self.frames.shape[1]
        copies = np.arange(actors.count)
        if count > 1 and replay.cursor:
            before = replay.frames_of(np.full(actors.count, replay.cursor - 1), copies)
            self.frames[:, :-1] = before[:, 1:]
        self.frames[:, -1] = actors.shown
        begun = actors.flags == BEGUN
        self.frames[begun] = actors.shown[begun][:, None]


@torch.no_grad()
def weighed(values: Values, codec: EnvironmentCodec, frames: Array, device: torch.device) -> Array:
    """What each choice is worth (B, J, K) where these frames (B, frames, ...) are shown."""
    inputs = tuple(part.to(device) for part in codec.encode(frames))
    found: Array = values(inputs).cpu().numpy()
    return found


def greedy(values: Values, codec: EnvironmentCodec, frames: Array, device: torch.device) -> Array:
    """The choices (B, J) of the largest values."""
    chosen: Array = weighed(values, codec, frames, device).argmax(-1)
    return chosen


@dataclass(frozen=True)
class Episodes:
    """Episodes that were played greedily (N,).

    returns, lengths: what each gave in all, and its steps.
    expected: what the best choices were held to be worth where it began (of several columns the mean).
    given: what they were worth: the rewards, each step's counted `discount` times the one before.
    rest: what was held to come after an episode that was cut off by time, or left, and is not in `given`; else 0.
    """

    returns: Array
    lengths: Array
    expected: Array
    given: Array
    rest: Array


def played(
    actors: Actors, weigh: Callable[[Array], Array], codec: EnvironmentCodec, episodes: int, discount: float = 1.0
) -> Episodes:
    """So many episodes, played by what is worth most; weigh: frames (E, frames, ...) -> values (E, J, K).

    Each copy plays as many as any other, so that short ones are not counted more often than long ones. An episode that
    does not end is left after `TOO_LONG` steps.
    """
    recent, share = Recent(codec.frames, actors), -(-episodes // actors.count)
    returns, lengths, expected, given, rest = (np.zeros((share, actors.count)) for _ in range(5))
    done, copies = np.zeros(actors.count, np.int64), np.arange(actors.count)
    cut = np.zeros(actors.count, bool)
    while True:
        values = weigh(recent.frames)
        best, where = values.max(-1).mean(-1), (np.minimum(done, share - 1), copies)
        last = done[cut] - 1, copies[cut]
        rest[last] = discount ** lengths[last] * best[cut]
        if done.min() >= share:
            break
        begins = (done < share) & (lengths[where] == 0)
        expected[where] = np.where(begins, best, expected[where])
        rewards = actors.step(codec.actions(values.argmax(-1)))
        recent.see(actors)
        on = (done < share) & (actors.flags != BEGUN)
        gained = np.where(on, rewards, 0.0)
        returns[where] += gained
        given[where] += discount ** lengths[where] * gained
        lengths[where] += on
        over = on & ((actors.flags != ON) | (lengths[where] >= TOO_LONG))
        cut = over & (actors.flags != TERMINATED)
        done += over
    told = (part.flatten()[:episodes] for part in (returns, lengths, expected, given, rest))
    return Episodes(*told)
