"""Rollouts: a source without replay memory. Many copies play some steps, and what they met is learned from at once.

    G_t = r_t + c ((1 - trace) max_a Q(s_t+1, a) + trace G_t+1)       so long as the episode and the rollout last

PQN (Gallici et al., 2407.04811) learns so from Peng's lambda returns (Daley & Amato, 1810.09967), without a copy of the
network: norms of layers keep it from running away.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from decet.contracts import Batch, Clock
from decet.data.actors import BEGUN, ON, TERMINATED
from decet.data.playing import Array, Player, inputs_of, made_up


class Rollouts(Player):
    """Yields parts of the latest rollout, each step in some part of each pass, and plays the next when all are done.

    The memory's lookahead is a rollout's length; pace.ratio times pace.batch are the passes over it.
    """

    rows: Array | None = None  # places of the rollout that is learned from
    worths: Array | None = None  # (T, E) what each of its steps was worth in the end
    first = 0  # row of the memory at which it begins

    @property
    def parts(self) -> int:
        """Batches of a pass."""
        return max(1, round(self.replay.lookahead * self.actors.count / self.pace.batch))

    @property
    def passes(self) -> int:
        return max(1, round(self.pace.ratio * self.pace.batch))

    def learned(self, steps: int) -> int:
        """Steps of learning out of so many of the environment, in whole rollouts."""
        rollouts = max(1, steps // (self.replay.lookahead * self.actors.count))
        return rollouts * self.parts * self.passes

    def next(self, clock: Clock) -> Batch:
        place = clock.step % (self.parts * self.passes)
        if not place:
            self._play(clock)
        turn = place // self.parts * self.parts  # the first step of this pass
        rng = np.random.Generator(np.random.Philox(clock.key("parts", clock.step - place + turn)))
        order = rng.permutation(np.asarray(self.rows))
        return self._part(np.array_split(order, self.parts)[place - turn])

    def _play(self, clock: Clock) -> None:
        rng = np.random.Generator(np.random.Philox(clock.key("play")))
        for _ in range(self.replay.lookahead):
            self.act(clock, rng)
        self.land()
        self._look_back()

    def _look_back(self) -> None:
        """What each step of the rollout was worth in the end, by the network as it is."""
        steps, copies, memory = self.replay.lookahead, self.actors.count, self.replay
        times = np.arange(memory.cursor - steps, memory.cursor)
        time, copy = (part.ravel() for part in np.meshgrid(times, np.arange(copies), indexing="ij"))
        shown = memory.frames_of(time, copy).reshape(steps, copies, *self.recent.frames.shape[1:])
        worth = self._worth(np.concatenate([shown[1:], self.recent.frames[None]]))
        rewards, flags = memory.rewards[times % memory.length], memory.flags[times % memory.length]
        worths, ahead = np.zeros((steps, copies), np.float32), worth[-1]
        for t in reversed(range(steps)):
            on = flags[t] == ON
            blend = np.where(on, (1 - self.pace.trace) * worth[t] + self.pace.trace * ahead, worth[t])
            blend[flags[t] == TERMINATED] = 0.0
            worths[t] = ahead = rewards[t] + self.pace.discount * blend
        self.rows = (time * copies + copy)[flags.ravel() != BEGUN]
        self.worths, self.first = worths, int(times[0])

    @torch.no_grad()
    def _worth(self, shown: Array) -> Array:
        """What the best choices are worth (T, E), of frames (T, E, frames, ...)."""
        inputs = inputs_of(shown.reshape(-1, *shown.shape[2:]), self.codec, self.device)
        best = self.values(inputs).amax(-1).mean(-1)
        found: Array = best.view(len(shown), -1).cpu().numpy()
        return found

    def _part(self, rows: Array) -> Batch:
        time, copy = np.divmod(rows, self.actors.count)
        inputs = inputs_of(self.replay.frames_of(time, copy), self.codec, self.device)
        chosen = self.replay.chosen[time % self.replay.length, copy].astype(np.int64)
        worth = np.asarray(self.worths)[time - self.first, copy]
        told = [torch.from_numpy(part).to(self.device) for part in (chosen, worth, np.zeros_like(worth))]
        return Batch(inputs, (*told, None), rows=torch.from_numpy(rows))

    def example(self) -> Batch:
        batch = made_up(self.pace.batch, self.codec, self.device)
        batch.target = (*batch.target[:3], None)
        return batch

    def state(self) -> dict[str, Any]:
        """Besides what every player's state holds: the rollout that is being learned from."""
        told = {}
        if self.rows is not None and self.worths is not None:
            told = {"rows": torch.from_numpy(self.rows), "worths": torch.from_numpy(self.worths)}
        return super().state() | {"rollout": told, "first": self.first}

    def restore(self, state: Mapping[str, Any]) -> None:
        super().restore(state)
        self.first = int(state["first"])
        if state["rollout"]:
            self.rows, self.worths = (state["rollout"][name].numpy().copy() for name in ("rows", "worths"))
