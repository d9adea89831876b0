"""Compiled classic tasks: step for step what Gymnasium's own do, rewards, ends and limits too."""

from __future__ import annotations

import gymnasium
import numpy as np
import pytest

from decet.data.actors import BEGUN, ON, TASKS, TERMINATED, TRUNCATED, Compiled
from decet.data.environment_codec import EnvironmentCodec
from decet.data.environments import Environments, opened

pytest.importorskip("numba")
from decet.data import classic_kernels


@pytest.mark.parametrize("name", [name for name in TASKS if name != "CartPole-v0"])
def test_a_compiled_task_is_gymnasiums_step_for_step(name: str) -> None:
    """From the same begin by the same actions, ten thousand steps of one copy, episode after episode."""
    environment = opened(name)
    codec = EnvironmentCodec.of(Environments(bins=5), environment)
    ours, theirs = Compiled(environment, 1, seed=3), gymnasium.make(name)
    rng = np.random.Generator(np.random.Philox(0))
    flags = set()
    for _ in range(10_000):
        if ours.flags[0] == BEGUN:
            theirs.reset()
            theirs.unwrapped.state = ours.states[0].copy()  # CartPole and the others read it at each step
        chosen = np.array([[rng.integers(0, choices) for choices in codec.choices]])
        action = codec.actions(chosen)
        before = ours.flags[0]
        rewards = ours.step(action)
        flags.add(int(ours.flags[0]))
        if before in (TERMINATED, TRUNCATED):
            assert ours.flags[0] == BEGUN
            assert rewards[0] == 0.0
            continue
        shown, reward, terminated, truncated, _ = theirs.step(action[0])
        np.testing.assert_allclose(ours.shown[0], shown, rtol=1e-6, atol=1e-7)
        assert rewards[0] == pytest.approx(reward, rel=1e-6, abs=1e-7)
        expected = TERMINATED if terminated else TRUNCATED if truncated else ON
        assert ours.flags[0] == expected
    assert flags >= {ON, BEGUN}


def test_episodes_begin_where_gymnasiums_do_and_differ_from_copy_to_copy() -> None:
    for name, (task, size, _) in TASKS.items():
        begins = np.zeros((2_000, size))
        for number, state in enumerate(begins):
            classic_kernels.begun(task, state, 7, number * classic_kernels.DRAWS)
        theirs = gymnasium.make(name)
        seen = np.array([np.copy(_begun(theirs)) for _ in range(2_000)])
        np.testing.assert_allclose(begins.mean(0), seen.mean(0), atol=0.12)
        np.testing.assert_allclose(begins.std(0), seen.std(0), rtol=0.1)
        assert len(np.unique(begins[:, 0])) > 1_900


def _begun(environment: gymnasium.Env) -> np.ndarray:
    environment.reset()
    return np.asarray(environment.unwrapped.state, np.float64)


def test_an_episode_is_cut_off_at_the_limit_and_the_next_step_begins_another() -> None:
    actors = Compiled(opened("Pendulum-v1", limit=5), 3, seed=0)
    flags = [actors.step(np.zeros(3)) is not None and actors.flags.tolist() for _ in range(7)]
    assert [flag[0] for flag in flags] == [ON] * 4 + [TRUNCATED, BEGUN, ON]
    assert actors.episodes.tolist() == [1, 1, 1]
    assert len(np.unique(actors.shown[:, 0])) == 3
