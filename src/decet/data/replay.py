"""Replay memory: what was seen, done and given, each once, and batches of transitions out of it (Lin, 1992).

Rows are steps of all copies (T, E), in a ring. What a step led to is what the next row shows; of an episode's last step
that is a row of its own, whose flag is `BEGUN` and whose action did nothing. So a frame is kept once, whatever the
number of frames that a network sees, and so is what is seen when time is up: the value goes on from there.

The ring is longer than what is drawn from it, by what is written between two checkpoints: a checkpoint holds where it
stood, not what it holds. With a folder the ring lies in files there, which outlive a killed process.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from decet.data.actors import BEGUN, ON, TERMINATED
from decet.data.priorities import Priorities
from decet.errors import BadInput

Array = NDArray[Any]
SPARE = 0.04  # share of the ring beyond what is drawn from it


@dataclass
class Transitions:
    """A batch. shown, then (B, frames, ...): before, and n steps later; chosen (B, J); reward (B,): of these steps,
    discounted; discount (B,): of what comes after them, 0 where the episode ended; rows (B,): places in the ring;
    weight (B,): by which each counts, where some are drawn more often."""

    shown: Array
    chosen: Array
    reward: Array
    discount: Array
    then: Array
    rows: Array
    weight: Array | None = None


class Replay:
    """The ring. steps: of the environment, all copies together, that are drawn from; spare: rows beyond these.

    shape, kind: of an observation; columns: choices an action has; frames: that a network sees at once.
    lookahead: steps of a transition. priority: exponent of errors, by which transitions are drawn; 0: all alike.
    keep: files of another size in the folder are another run's. Raises BadInput then, and leaves them.
    """

    def __init__(
        self, steps: int, copies: int, shape: Sequence[int], kind: Any, columns: int, frames: int = 1, spare: int = 0,
        folder: Path | None = None, lookahead: int = 1, priority: float = 0.0, keep: bool = False,
    ) -> None:  # fmt: skip
        self.window, self.copies, self.frames, self.lookahead = max(2, steps // copies), copies, frames, lookahead
        self.length = self.window + max(spare, int(SPARE * self.window)) + frames
        self.cursor = 0  # rows ever written
        sizes = {
            "shown": ((self.length, copies, *shape), np.dtype(kind)),
            "chosen": ((self.length, copies, columns), np.dtype(np.int16)),
            "rewards": ((self.length, copies), np.dtype(np.float32)),
            "flags": ((self.length, copies), np.dtype(np.uint8)),
        }
        if keep and folder is not None:
            _check_same(sizes, folder)
        self.there = folder is None or all(_is_there(name, *size, folder) for name, size in sizes.items())
        held = {name: _room(name, shape, kind, folder) for name, (shape, kind) in sizes.items()}
        self.shown, self.chosen, self.rewards, self.flags = held.values()
        self.priorities = Priorities(self.length * copies, priority) if priority else None

    @property
    def first(self) -> int:
        """The oldest row that is drawn from."""
        return max(0, self.cursor - self.window) + min(self.frames - 1, self.cursor // 2)

    def add(self, shown: Array, chosen: Array, rewards: Array, flags: Array) -> None:
        """A row: what each copy showed, what it did then, what it was given, and how that step went."""
        place, oldest = self.cursor % self.length, self.first
        self.shown[place], self.chosen[place], self.rewards[place], self.flags[place] = shown, chosen, rewards, flags
        self.cursor += 1
        if self.priorities is None:
            return
        if (row := self.cursor - self.lookahead - 1) >= self.first:
            places = self._places(row)
            self.priorities.admit(places[self.flags[row % self.length] != BEGUN])
        for row in range(oldest, self.first):
            self.priorities.dismiss(self._places(row))

    def fill(self, shown: Array, chosen: Array, rewards: Array, flags: Array) -> None:
        """So many rows at once (T, E, ...), of an empty memory that has room for them."""
        rows = len(flags)
        self.shown[:rows], self.chosen[:rows], self.rewards[:rows], self.flags[:rows] = shown, chosen, rewards, flags
        self.cursor = rows

    def _places(self, row: int) -> Array:
        return row % self.length * self.copies + np.arange(self.copies)

    def draw(self, count: int, discount: float, rng: np.random.Generator, correction: float = 1.0) -> Transitions:
        """So many transitions. Each step that was played is as likely as any other; by priorities, those that were
        most wrong are likelier, and count less: their chance to the power of -correction, 1 for those that count most.
        """
        low, high = self.first, self.cursor - self.lookahead
        if high <= low:
            raise BadInput(f"replay memory holds {self.cursor} rows, too few to draw {self.lookahead} steps from.")
        if self.priorities is not None:
            return self._by_priority(self.priorities, count, discount, rng, correction)
        found = np.empty(0, np.int64)
        while len(found) < count:
            rows = rng.integers(low * self.copies, high * self.copies, count + count // 8 + 8)
            played = self.flags[rows // self.copies % self.length, rows % self.copies] != BEGUN
            found = np.concatenate([found, rows[played]])
        return self.at(found[:count], discount)

    def _by_priority(
        self, priorities: Priorities, count: int, discount: float, rng: np.random.Generator, correction: float
    ) -> Transitions:
        places, chances = priorities.draw(count, rng)
        row, copy = np.divmod(places, self.copies)
        last = self.cursor - 1
        drawn = self.at((last - (last - row) % self.length) * self.copies + copy, discount)
        drawn.weight = ((chances / chances.min()) ** -correction).astype(np.float32)
        return drawn

    def learn(self, rows: Array, errors: Array) -> None:
        """How wrong these were: transitions of the last draw."""
        if self.priorities is not None:
            row, copy = np.divmod(rows, self.copies)
            self.priorities.learn(row % self.length * self.copies + copy, errors)

    def at(self, rows: Array, discount: float) -> Transitions:
        """The transitions that begin at these places (row * copies + copy)."""
        time, copy = np.divmod(rows, self.copies)
        reward, scale, on = np.zeros(len(rows)), np.ones(len(rows)), np.ones(len(rows), dtype=bool)
        then = time.copy()
        for _ in range(self.lookahead):
            place = then % self.length
            reward += np.where(on, scale * self.rewards[place, copy], 0.0)
            flags = self.flags[place, copy]
            scale = np.where(on, scale * discount, scale)
            scale[on & (flags == TERMINATED)] = 0.0
            then += on
            on &= flags == ON
        chosen = self.chosen[time % self.length, copy].astype(np.int64)
        told = reward.astype(np.float32), scale.astype(np.float32)
        return Transitions(self.frames_of(time, copy), chosen, *told, self.frames_of(then, copy), rows)

    def frames_of(self, time: Array, copy: Array) -> Array:
        """What each network sees at these rows (B, frames, ...), oldest first; an episode's first frame is repeated."""
        if self.frames == 1:
            return self.shown[time % self.length, copy][:, None]
        times = [time]
        for _ in range(self.frames - 1):
            last = times[-1]
            begun = (last == 0) | (self.flags[(last - 1) % self.length, copy] == BEGUN)
            times.append(np.where(begun, last, last - 1))
        return np.stack([self.shown[at % self.length, copy] for at in times[::-1]], 1)

    def state(self) -> dict[str, Any]:
        """Where it stands, and its priorities; what it holds stays where it is."""
        return {"cursor": self.cursor} | ({} if self.priorities is None else {"priorities": self.priorities.state()})

    def restore(self, state: Mapping[str, Any]) -> None:
        """Stand where this state was taken, as long as less than `spare` rows were added since.

        Raises BadInput where the files of another process's memory are gone.
        """
        if not self.there and not self.cursor and int(state["cursor"]):
            raise BadInput("the files of replay memory are gone, so the run cannot go on. Start anew with --overwrite.")
        self.cursor = int(state["cursor"])
        if self.priorities is not None:
            self.priorities.restore(state["priorities"])


def _room(name: str, shape: tuple[int, ...], kind: np.dtype[Any], folder: Path | None) -> Array:
    """Zeros, in memory or in a file; what is there from before is kept."""
    if folder is None:
        return np.zeros(shape, kind)
    folder.mkdir(parents=True, exist_ok=True)
    mode: Any = "r+" if _is_there(name, shape, kind, folder) else "w+"
    return np.memmap(folder / f"{name}.ring", kind, mode, shape=shape)


def _check_same(sizes: Mapping[str, tuple[tuple[int, ...], np.dtype[Any]]], folder: Path) -> None:
    for name, (shape, kind) in sizes.items():
        if (folder / f"{name}.ring").exists() and not _is_there(name, shape, kind, folder):
            raise BadInput(
                f"the replay memory in {folder} belongs to another run, of other settings. Repeat that run's settings, "
                "choose another --out, or start anew with --overwrite."
            )


def _is_there(name: str, shape: tuple[int, ...], kind: np.dtype[Any], folder: Path) -> bool:
    path = folder / f"{name}.ring"
    return path.exists() and path.stat().st_size == int(np.prod(shape)) * kind.itemsize
