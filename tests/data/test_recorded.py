"""Recorded play: written and read to the same transitions, the names of others understood, bad files told."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from decet.data.actors import BEGUN, ON, TERMINATED, TRUNCATED, actors_of
from decet.data.environment_codec import EnvironmentCodec
from decet.data.environments import Environments, opened
from decet.data.recorded import read, record
from decet.errors import BadInput

SAID = Environments(copies=1, bins=5)


def codec(name: str = "CartPole-v1") -> EnvironmentCodec:
    return EnvironmentCodec.of(SAID, opened(name))


def steps(count: int = 6, **other) -> dict[str, np.ndarray]:
    """So many steps of the cart and pole: the third ends an episode, the last is cut off."""
    found = {
        "observations": np.arange(4 * count, dtype=np.float32).reshape(count, 4),
        "actions": np.arange(count) % 2,
        "rewards": np.arange(count) * 1.0,
        "terminations": np.arange(count) == 2,
        "truncations": np.arange(count) == count - 1,
    }
    return found | other


def written(path: Path, held: dict[str, np.ndarray]) -> Path:
    np.savez(path / "steps.npz", **held)
    return path / "steps.npz"


def test_what_is_played_is_recorded_and_read(tmp_path: Path) -> None:
    environment, of = opened("CartPole-v1", limit=30), codec()
    actors = actors_of(environment, SAID, seed=0)
    returns = record(actors, lambda frames: (frames[:, -1, 2:3] > 0).astype(int), of, 20, 0.6, 0, tmp_path / "a.npz")
    memory = read(tmp_path / "a.npz", of, 1)
    flags = memory.flags[: memory.cursor, 0]
    assert np.count_nonzero(np.isin(flags, (TERMINATED, TRUNCATED))) == np.count_nonzero(flags == BEGUN) == 20
    assert memory.rewards[: memory.cursor].sum() == sum(returns)
    assert 30.0 in returns  # some were cut off
    drawn = memory.draw(500, 0.9, np.random.default_rng(0))
    assert (drawn.discount == 0).any()
    assert np.abs(drawn.then[:, 0] - drawn.shown[:, 0]).max() < 5  # of the same episode


def test_an_episode_that_was_cut_off_ends_before_what_nobody_saw(tmp_path: Path) -> None:
    """Of a termination nothing comes after; of a cut without next_observations the last step only shows."""
    memory = read(written(tmp_path, steps()), codec(), 2)
    assert memory.flags[: memory.cursor, 0].tolist() == [ON, ON, TERMINATED, BEGUN, ON, TRUNCATED, BEGUN]
    found = memory.at(np.array([1, 4, 5]), 0.5)
    assert found.reward.tolist() == [1 + 0.5 * 2, 3 + 0.5 * 4, 4]
    assert found.discount.tolist() == [0, 0.25, 0.5]
    assert found.then[1:, 0, 0].tolist() == [20, 20]


def test_names_of_d4rl_and_what_was_seen_next_are_understood(tmp_path: Path) -> None:
    held = steps()
    held["terminals"], held["timeouts"] = held.pop("terminations"), held.pop("truncations")
    held["next_observations"] = held["observations"] + 100
    memory = read(written(tmp_path, held), codec(), 1)
    assert memory.flags[: memory.cursor, 0].tolist() == [ON, ON, TERMINATED, BEGUN, ON, ON, TRUNCATED, BEGUN]
    assert memory.at(np.array([6]), 0.9).then[0, 0, 0] == 120
    assert memory.chosen[: memory.cursor, 0, 0].tolist() == [0, 1, 0, 0, 1, 0, 1, 0]


def test_torques_become_the_nearest_choice(tmp_path: Path) -> None:
    held = steps(4, observations=np.zeros((4, 3)), actions=np.array([[-2.0], [-0.4], [0.9], [5.0]], np.float32))
    memory = read(written(tmp_path, held), codec("Pendulum-v1"), 1)
    assert memory.chosen[[0, 1, 2, 4], 0, 0].tolist() == [0, 2, 3, 4][:4]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rewards": np.array([1.0, np.nan, 0, 0, 0, 0])}, "the reward of row 1 is not finite"),
        ({"observations": np.zeros((6, 3))}, r"observations have shape \(3,\); CartPole-v1 shows \(4,\)"),
        ({"observations": np.full((6, 4), np.inf)}, "row 0 of observations is not finite"),
        ({"actions": np.full(6, 2)}, r"the action \[2\] of row 0 is none of CartPole-v1's"),
        ({"actions": np.full(6, 0.5)}, r"the action \[0.5\] of row 0 is none"),
        ({"actions": np.zeros((6, 2), int)}, "CartPole-v1 takes 1 choices a step"),
        ({"terminations": np.zeros(5, bool)}, "terminations has 5 rows and rewards 6"),
        ({"observations": np.full((6, 4), "a")}, "observations must be numbers"),
        ({"rewards": np.full(6, "a")}, "rewards must be one number a step"),
        ({"rewards": np.zeros((6, 2))}, "rewards must be one number a step"),
        ({"truncations": np.ones(6, bool), "terminations": np.zeros(6, bool)}, "too few steps to learn from"),
    ],
)
def test_files_that_do_not_fit_are_told(change: dict, message: str, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=message):
        read(written(tmp_path, steps(**change)), codec(), 1)


def test_a_record_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / ".a.npz.part").mkdir()
    actors = actors_of(opened("CartPole-v1", limit=30), SAID, seed=0)
    with pytest.raises(BadInput, match=r"recorded play .*a\.npz could not be written \(Is a directory\)"):
        record(actors, lambda frames: np.zeros((len(frames), 1), int), codec(), 1, 0.0, 0, tmp_path / "a.npz")


def test_files_that_are_none_are_told(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="there is no file"):
        read(tmp_path / "none.npz", codec(), 1)
    (tmp_path / "text.npz").write_text("no archive")
    with pytest.raises(BadInput, match=r"is no \.npz of recorded play"):
        read(tmp_path / "text.npz", codec(), 1)
    with pytest.raises(BadInput, match="lacks actions, terminations; it holds observations, rewards"):
        read(written(tmp_path, {"observations": np.zeros((2, 4)), "rewards": np.zeros(2)}), codec(), 1)
    with pytest.raises(BadInput, match="holds no steps"):
        read(written(tmp_path, steps(0)), codec(), 1)
    (tmp_path / "empty.npz").write_bytes(b"")
    with pytest.raises(BadInput, match=r"is no \.npz of recorded play"):
        read(tmp_path / "empty.npz", codec(), 1)
    np.savez(tmp_path / "objects.npz", **steps(2, rewards=np.array([{}, {}], dtype=object)))
    with pytest.raises(BadInput, match=r"is no \.npz of recorded play"):
        read(tmp_path / "objects.npz", codec(), 1)
