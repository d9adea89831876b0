"""Playing: a source that acts while it yields batches of what was met, and episodes played to see how well.

source = Playing(actors, codec, replay, learner.values, pace)        episodes = played(actors, weigh, codec, 100)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from decet.contracts import Batch, Clock, Source
from decet.data.actors import BEGUN, ON, TERMINATED, TRUNCATED, Actors
from decet.data.environment_codec import EnvironmentCodec
from decet.data.replay import Replay, Transitions

Array = NDArray[Any]
LONGEST = 10_000  # steps of one random choice
FAR = 4  # of so many copies one holds on to random choices
TOO_LONG = 27_000  # steps of an episode that is judged: half an hour of a game at 15 a second
LATEST = 100  # episodes whose mean return is told
CORRECTION = 0.4  # of drawing by priority when training begins, 1 at its end (1511.05952)
URGENT = 0.5  # share of the spare rows, from which a checkpoint must be written

Values = Callable[[tuple[Any, ...]], torch.Tensor]  # inputs -> (B, J, K)
Errors = Callable[[], tuple[Array, Array] | None]  # the places of a batch, and how wrong each was


@dataclass(frozen=True)
class Pace:
    """How acting and learning take turns.

    warmup: steps of the environment that are played at random first. ratio: steps of learning for each of the
    environment's. explore: the chance of a random action from `fade` of the run on, falling to it from 1;
    persist: how long it is held on to (2006.01782), by each fourth copy: k steps with a chance as k^-persist; 0: one
    step.
    batch: transitions a step of learning. discount: of the next step's worth. trace: without memory, how much of a
    target comes from further steps.
    """

    warmup: int
    ratio: float
    explore: float
    fade: float
    persist: float
    batch: int
    discount: float
    trace: float = 0.0


class Player(Source):
    """What acts: each copy by the network's values, or at random for a while, and what comes of it is kept."""

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
        self.asked: tuple[Array, Array] | None = None  # what was shown and chosen, of a step that is being played
        self.told: list[float] = []  # of the latest episodes
        self.episodes = 0
        self.safe: int | None = None  # the cursor of the last checkpoint on the disk

    @property
    def met(self) -> int:
        """Steps of the environment so far, all copies together."""
        return self.replay.cursor * self.actors.count

    def act(self, clock: Clock, rng: np.random.Generator) -> None:
        """Begin one step of every copy, and end it, unless copies play beside the learning: then the one before."""
        self.land()
        chance = max(self.pace.explore, 1 - (1 - self.pace.explore) * clock.progress / max(1e-9, self.pace.fade))
        chosen = self._freely(1.0 if self.met < self.pace.warmup else chance, rng)
        bound = self.left == 0
        if bound.any() and self.met >= self.pace.warmup:
            best = greedy(self.values, self.codec, self.recent.frames, self.device)
            chosen = np.where(bound[:, None], best, chosen)
        self.left = np.maximum(self.left - 1, 0)
        self.asked = self.actors.shown.copy(), chosen
        self.actors.start(self.codec.actions(chosen))
        if not self.actors.overlaps:
            self.land()

    def land(self) -> None:
        """The end of a step that is being played: it is kept."""
        if self.asked is None:
            return
        rewards = self.actors.finish()
        self.replay.add(*self.asked, rewards, self.actors.flags)
        self.asked = None
        self.left[self.actors.flags == BEGUN] = 0
        self.recent.see(self.actors)
        self._count(rewards)

    def _freely(self, chance: float, rng: np.random.Generator) -> Array:
        """Random choices (E, J), new ones for some of the copies that hold on to none; `left` tells for how long."""
        count, long = self.actors.count, self.pace.persist
        drawn = np.stack([rng.integers(0, choices, count) for choices in self.codec.choices], 1)
        fresh = (self.left == 0) & (rng.random(count) < chance)
        lasting = np.minimum(rng.zipf(long, count), LONGEST) if long else np.ones(count, np.int64)
        lasting[np.arange(count) % FAR != 0] = 1  # most copies explore step by step, which near things want
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
        """Where the copies stand, and the memory's cursor. A step that is being played ends first."""
        self.land()
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
        self.land()
        self.replay.restore(state["replay"])
        self.safe = self.replay.cursor if self.safe is None else self.safe  # a roll-back leaves the disk as it is
        self.actors.restore(state["actors"])
        for name in ("returns", "held", "left"):
            getattr(self, name)[:] = state[name]
        self.told, self.episodes = [float(value) for value in state["told"]], int(state["episodes"])
        self.recent.again(self.replay, self.actors)


class Playing(Player):
    """Yields transitions drawn from memory, as far as the environment was played. errors: of the learner's last step,
    where priorities are kept. recorded: a memory of what others played, from which half of each batch is drawn."""

    def __init__(
        self, actors: Actors, codec: EnvironmentCodec, replay: Replay, values: Values, pace: Pace, steps: int,
        device: torch.device, errors: Errors | None = None, recorded: Replay | None = None,
    ) -> None:  # fmt: skip
        super().__init__(actors, codec, replay, values, pace, steps, device)
        self.errors, self.recorded = errors, recorded

    def next(self, clock: Clock) -> Batch:
        self._learn()
        rng = np.random.Generator(np.random.Philox(clock.key("play")))
        while self.met < self.due(clock.step):
            self.act(clock, rng)
        correction = CORRECTION + (1 - CORRECTION) * clock.progress
        if self.recorded is None:
            drawn = self.replay.draw(self.pace.batch, self.pace.discount, rng, correction)
        else:
            half = self.pace.batch // 2
            drawn = joint(
                self.replay.draw(self.pace.batch - half, self.pace.discount, rng),
                self.recorded.draw(half, self.pace.discount, rng),
            )
        return batch_of(drawn, self.codec, self.device)

    def due(self, step: int) -> int:
        """Steps of the environment that must be behind this step of learning."""
        least = (self.replay.lookahead + self.codec.frames + 1) * self.actors.count
        return max(self.pace.warmup, least) + int(step / self.pace.ratio)

    def _learn(self) -> None:
        """Tell the memory how wrong the last batch was."""
        found = self.errors() if self.errors is not None else None
        if found is not None:
            self.replay.learn(*found)

    def state(self) -> dict[str, Any]:
        self._learn()
        return super().state()

    def example(self) -> Batch:
        return made_up(self.pace.batch, self.codec, self.device)


def batch_of(drawn: Transitions, codec: EnvironmentCodec, device: torch.device) -> Batch:
    """Transitions as the learner takes them: target (chosen, reward, discount, what was seen then)."""
    inputs, then = (inputs_of(shown, codec, device) for shown in (drawn.shown, drawn.then))
    told = [torch.from_numpy(part).to(device) for part in (drawn.chosen, drawn.reward, drawn.discount)]
    weight = None if drawn.weight is None else torch.from_numpy(drawn.weight).to(device)
    return Batch(inputs, (*told, then), weight=weight, rows=torch.from_numpy(drawn.rows))


def made_up(count: int, codec: EnvironmentCodec, device: torch.device) -> Batch:
    """Transitions of typical shapes, that nobody played."""
    shown, chosen = codec.sample(count, 0), np.zeros((count, len(codec.choices)), np.int64)
    zeros = np.zeros(count, np.float32)
    return batch_of(Transitions(shown, chosen, zeros, zeros, shown, np.zeros(count, np.int64)), codec, device)


def joint(one: Transitions, other: Transitions) -> Transitions:
    """Both batches as one."""
    names = [field.name for field in fields(Transitions) if field.name != "weight"]
    return Transitions(*(np.concatenate([getattr(one, name), getattr(other, name)]) for name in names))


def inputs_of(frames: Array, codec: EnvironmentCodec, device: torch.device) -> tuple[Any, ...]:
    """What a network reads of observations (B, frames, ...)."""
    return tuple(None if part is None else part.to(device) for part in codec.encode(frames))


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
    found: Array = values(inputs_of(frames, codec, device)).cpu().numpy()
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
        left = on & (actors.flags == ON) & (lengths[where] >= TOO_LONG)
        actors.flags[left] = TRUNCATED  # what is left begins anew
        over = on & (actors.flags != ON)
        cut = over & (actors.flags != TERMINATED)
        done += over
    told = (part.flatten()[:episodes] for part in (returns, lengths, expected, given, rest))
    return Episodes(*told)
