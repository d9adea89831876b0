"""Recorded play: transitions in a file, to learn from before an environment is played, or without ever playing it.

    observations (N, ...), actions (N,) or (N, J), rewards (N,), terminations (N,), truncations (N,)    an .npz, by step
    next_observations (N, ...)    where they are there: what each step led to

The names are Minari's; `terminals` and `timeouts` of D4RL are understood. Torques become the nearest of the values that
a joint chooses from.
"""

from __future__ import annotations

import hashlib
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from decet.contracts import Batch, Clock, Source
from decet.data.actors import BEGUN, ON, TERMINATED, TRUNCATED, Actors
from decet.data.environment_codec import EnvironmentCodec
from decet.data.observations import WHITE
from decet.data.playing import TOO_LONG, Pace, Recent, batch_of, made_up
from decet.data.replay import Replay
from decet.errors import BadInput, listed

Array = NDArray[Any]
NAMES = {"terminals": "terminations", "timeouts": "truncations"}
NEEDED = ("observations", "actions", "rewards", "terminations")


class Recorded(Source):
    """Yields transitions of what others played."""

    def __init__(self, replay: Replay, codec: EnvironmentCodec, pace: Pace, steps: int, device: torch.device) -> None:
        self.replay, self.codec, self.pace, self.steps, self.device = replay, codec, pace, steps, device

    def next(self, clock: Clock) -> Batch:
        rng = np.random.Generator(np.random.Philox(clock.key("recorded")))
        return batch_of(self.replay.draw(self.pace.batch, self.pace.discount, rng), self.codec, self.device)

    def example(self) -> Batch:
        return made_up(self.pace.batch, self.codec, self.device)


def read(path: Path, codec: EnvironmentCodec, lookahead: int) -> Replay:
    """The memory of a file of transitions. Raises BadInput where it is none, or of another environment."""
    held = _arrays(path)
    count = len(held["rewards"])
    for name, values in held.items():
        if len(values) != count:
            raise BadInput(f"{path}: {name} has {len(values):,} rows and rewards {count:,}. Give one row a step.")
    shown = _seen(held["observations"], "observations", path, codec)
    chosen = _chosen(held["actions"], path, codec)
    rewards = held["rewards"].astype(np.float32).reshape(-1)
    if not np.isfinite(rewards).all():
        raise BadInput(f"{path}: the reward of row {int(np.argmin(np.isfinite(rewards)))} is not finite.")
    over = held["terminations"].astype(bool).reshape(-1)
    flags = np.where(held["truncations"].astype(bool).reshape(-1), TRUNCATED, ON)
    flags[over] = TERMINATED
    flags[-1] = TRUNCATED if flags[-1] == ON else flags[-1]
    then = _seen(held["next_observations"], "next_observations", path, codec) if "next_observations" in held else None
    return _memory(shown, chosen, rewards, flags.astype(np.uint8), then, codec, lookahead)


def fingerprint(path: Path) -> str:
    """Of the file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _arrays(path: Path) -> dict[str, Array]:
    try:
        with np.load(path, allow_pickle=False) as file:
            held = {NAMES.get(name, name): file[name] for name in file.files}
    except FileNotFoundError as error:
        raise BadInput(f"there is no file {path} of recorded play.") from error
    except (OSError, ValueError, EOFError, TypeError, zlib.error, zipfile.BadZipFile) as error:
        line = (str(error).splitlines() or [type(error).__name__])[0]
        raise BadInput(f"{path} is no .npz of recorded play ({line}).") from error
    if missing := [name for name in NEEDED if name not in held]:
        raise BadInput(f"{path} lacks {listed(missing)}; it holds {listed(sorted(held))}.")
    for name in (name for name in ("rewards", "terminations", "truncations") if name in held):
        if held[name].dtype.kind not in "biuf" or held[name].ndim == 0 or held[name].size != len(held[name]):
            raise BadInput(f"{path}: {name} must be one number a step. Received: {held[name].dtype}{held[name].shape}.")
    if not len(held["rewards"]):
        raise BadInput(f"{path} holds no steps.")
    held.setdefault("truncations", np.zeros(len(held["rewards"]), bool))
    return {name: held[name] for name in (*NEEDED, "truncations", "next_observations") if name in held}


def _seen(values: Array, name: str, path: Path, codec: EnvironmentCodec) -> Array:
    if values.shape[1:] != codec.shape and int(np.prod(values.shape[1:])) != int(np.prod(codec.shape)):
        raise BadInput(f"{path}: {name} have shape {values.shape[1:]}; {codec.name} shows {codec.shape}.")
    if values.dtype.kind not in "biuf":
        raise BadInput(f"{path}: {name} must be numbers. Received: {values.dtype}.")
    if codec.picture:
        return _pictures(values, name, path, codec)
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        row = int(np.argmin(np.isfinite(values).reshape(len(values), -1).all(1)))
        raise BadInput(f"{path}: row {row} of {name} is not finite.")
    return values.reshape(len(values), *codec.shape)


def _pictures(values: Array, name: str, path: Path, codec: EnvironmentCodec) -> Array:
    """Pictures as they are kept: no other shape, no other scale."""
    if values.shape[1:] != codec.shape:
        raise BadInput(f"{path}: {name} have shape {values.shape[1:]}; {codec.name} is kept as {codec.shape}.")
    if codec.layout.flags and (values.dtype == bool or values.max() <= 1):
        return np.where(values, WHITE, 0).astype(np.uint8)
    if values.dtype != np.uint8:
        raise BadInput(f"{path}: {name} must be whole numbers from 0 to {WHITE} (uint8). Received: {values.dtype}.")
    return values


def _chosen(actions: Array, path: Path, codec: EnvironmentCodec) -> Array:
    """The choices (N, J) that these actions are."""
    columns = len(codec.choices)
    if actions.dtype.kind not in "biuf" or actions.size != len(actions) * columns:
        raise BadInput(f"{path}: actions have shape {actions.shape}; {codec.name} takes {columns} choices a step.")
    rows, choices = actions.reshape(-1, columns), np.array(codec.choices)
    if len(codec.low):
        if not np.isfinite(rows).all():
            raise BadInput(f"{path}: row {int(np.argmin(np.isfinite(rows).all(1)))} of actions is not finite.")
        share = (rows.astype(np.float64) - codec.low) / (codec.high - codec.low)
        return np.rint(share.clip(0.0, 1.0) * (choices - 1)).astype(np.int64)
    found: Array = rows.astype(np.int64) - np.asarray(codec.start)
    wrong = ((found < 0) | (found >= choices)).any(1) | (found + np.asarray(codec.start) != rows).any(1)
    if wrong.any():
        row = int(wrong.argmax())
        raise BadInput(f"{path}: the action {rows[row].tolist()} of row {row} is none of {codec.name}'s {choices}.")
    return found


def _memory(
    shown: Array, chosen: Array, rewards: Array, flags: Array, then: Array | None, codec: EnvironmentCodec,
    lookahead: int,
) -> Replay:  # fmt: skip
    """Behind each episode a row of its own says what was seen last. Where nobody knows that of an episode that was cut
    off, its last step is that row."""
    ends = np.flatnonzero(flags != ON)
    if then is None:
        cut = ends[flags[ends] == TRUNCATED]
        flags[cut], before = BEGUN, cut[cut > 0] - 1
        flags[before[flags[before] == ON]] = TRUNCATED
        ends = np.flatnonzero(flags == TERMINATED)
    last = shown[ends] if then is None else then[ends]
    parts = [(shown, last), (chosen, np.zeros_like(chosen[ends])), (rewards, np.zeros_like(rewards[ends]))]
    parts.append((flags, np.full(len(ends), BEGUN, flags.dtype)))
    rows = [np.insert(values, ends + 1, more, axis=0)[:, None] for values, more in parts]
    memory = Replay(
        len(rows[0]), 1, codec.shape, codec.layout.kind, len(codec.choices), codec.frames,
        lookahead=lookahead,
    )  # fmt: skip
    memory.fill(*rows)
    if not (memory.flags[max(0, memory.first) : max(0, memory.cursor - lookahead)] != BEGUN).any():
        raise BadInput(f"recorded play has too few steps to learn from {lookahead} at a time (family.lookahead).")
    return memory


def record(
    actors: Actors, choose: Callable[[Array], Array], codec: EnvironmentCodec, episodes: int, explore: float, seed: int,
    path: Path,
) -> list[float]:  # fmt: skip
    """Play episodes with the first copy, some actions at random, and write them; their returns.

    Raises BadInput where they cannot be written.
    """
    rng, recent = np.random.Generator(np.random.Philox(seed)), Recent(codec.frames, actors)
    steps: dict[str, list[Any]] = {name: [] for name in (*NEEDED, "truncations", "next_observations")}
    returns, total, age = list[float](), 0.0, 0
    while len(returns) < episodes:
        chosen = choose(recent.frames)
        if rng.random() < explore:
            chosen = np.stack([rng.integers(0, choices, len(chosen)) for choices in codec.choices], 1)
        before, action = actors.shown[0].copy(), codec.actions(chosen)
        reward = float(actors.step(action)[0])
        recent.see(actors)
        flag = actors.flags[0]
        if flag == BEGUN:
            age = 0
            continue
        age, total = age + 1, total + reward
        told = (before, action[0], reward, flag == TERMINATED, flag == TRUNCATED, actors.shown[0].copy())
        for values, value in zip(steps.values(), told, strict=True):
            values.append(value)
        if flag != ON or age >= TOO_LONG:
            actors.flags[0] = TERMINATED if flag == ON else flag  # what was left begins anew
            steps["truncations"][-1] = flag != TERMINATED
            returns.append(total)
            total, age = 0.0, 0
    beside = path.with_name(f".{path.name}.part")
    try:
        with beside.open("wb") as file:
            np.savez_compressed(file, **{name: np.asarray(values) for name, values in steps.items()})  # type: ignore[arg-type]
        beside.replace(path)
    except OSError as error:
        raise BadInput(
            f"recorded play {path} could not be written ({error.strerror}). Choose another place."
        ) from error
    return returns
