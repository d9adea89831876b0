"""Rollouts: lambda returns by hand, every step in each pass once, the same again from the state."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from decet.contracts import Clock
from decet.data.actors import BEGUN, ON, TERMINATED, TRUNCATED, actors_of
from decet.data.environment_codec import EnvironmentCodec
from decet.data.environments import Environments, opened
from decet.data.playing import Pace
from decet.data.replay import Replay
from decet.data.rollouts import Rollouts
from decet.training.checkpoint import same_tree

PACE = Pace(warmup=0, ratio=2 / 50, explore=0.3, fade=0.5, persist=0.0, batch=50, discount=0.9, trace=0.5)
LONG = 40


def worth(inputs: tuple) -> torch.Tensor:
    """Values by where the pole is."""
    tilt = inputs[0][:, 2]
    return torch.stack([-tilt, tilt], 1).unsqueeze(1)


def rollouts(folder: Path | None = None, **more) -> Rollouts:
    environment, said = opened("CartPole-v1", limit=15), Environments(copies=4)
    codec, actors = EnvironmentCodec.of(said, environment), actors_of(environment, said, seed=0)
    memory = Replay(4 * LONG, 4, (4,), np.float32, 1, spare=200, lookahead=LONG, folder=folder)
    return Rollouts(actors, codec, memory, worth, replace(PACE, **more), 5, torch.device("cpu"))


def clock(step: int) -> Clock:
    return Clock(seed=5, step=step, plan=[(0, 0.0, 100)])


def test_targets_are_lambda_returns() -> None:
    source = rollouts()
    source.next(clock(0))
    memory = source.replay
    assert {TERMINATED, TRUNCATED, BEGUN, ON} <= set(memory.flags[:LONG].ravel().tolist())
    values = np.abs(memory.shown[: LONG + 1, :, 2])
    values[LONG] = np.abs(source.actors.shown[:, 2])
    for copy in range(4):
        ahead = values[LONG, copy]
        for t in reversed(range(LONG)):
            flag = memory.flags[t, copy]
            mixed = 0.5 * values[t + 1, copy] + 0.5 * ahead if flag == ON else values[t + 1, copy]
            ahead = memory.rewards[t, copy] + 0.9 * (0.0 if flag == TERMINATED else mixed)
            if flag != BEGUN:
                assert source.worths[t, copy] == pytest.approx(ahead, rel=1e-5)


def test_each_pass_shows_every_step_that_was_played_once() -> None:
    source = rollouts()
    assert (source.parts, source.passes) == (3, 2)
    batches = [source.next(clock(step)) for step in range(6)]
    played = np.flatnonzero(source.replay.flags[:LONG].ravel() != BEGUN)
    for of in (batches[:3], batches[3:]):
        assert sorted(torch.cat([batch.rows for batch in of]).tolist()) == played.tolist()
    assert batches[0].rows.tolist() != batches[3].rows.tolist()
    assert source.met == 4 * LONG
    chosen, given, discount, then = source.next(clock(6)).target
    assert source.met == 8 * LONG  # the next one
    assert (then, discount.any().item()) == (None, False)
    assert len(chosen) == len(given)


def test_it_goes_on_within_a_rollout_to_the_same_bits(tmp_path: Path) -> None:
    source = rollouts(tmp_path)
    for step in range(8):
        source.next(clock(step))
    state = source.state()
    whole = [source.next(clock(step)) for step in range(8, 20)]
    again = rollouts(tmp_path)
    again.restore(state)
    for step, batch in zip(range(8, 20), whole, strict=True):
        other = again.next(clock(step))
        assert torch.equal(batch.inputs[0], other.inputs[0])
        assert all(torch.equal(a, b) for a, b in zip(batch.target[:3], other.target[:3], strict=True))
    assert same_tree(source.state(), again.state())


def test_an_example_plays_nothing() -> None:
    source = rollouts()
    batch = source.example()
    assert source.met == 0
    assert batch.inputs[0].shape == (50, 4)
    assert batch.target[3] is None
