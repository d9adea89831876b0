"""Replay memory: transitions are those that were played, over ends and frames, in a ring, in memory or in files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from decet.data.actors import BEGUN, ON, TERMINATED, TRUNCATED
from decet.data.replay import Replay
from decet.errors import BadInput


def filled(flags: list[int], frames: int = 1, steps: int = 100, **more) -> Replay:
    """One copy that shows the number of the row, does its half, and is given ten times it."""
    memory = Replay(steps, 1, (1,), np.float32, 1, frames, **more)
    for row, flag in enumerate(flags):
        memory.add(np.array([[row]]), np.array([[row // 2]]), np.array([10.0 * row]), np.array([flag]))
    return memory


def test_a_transition_is_what_was_seen_done_given_and_seen_then() -> None:
    found = filled([ON] * 8).at(np.array([2, 5]), 0.9)
    assert found.shown[:, 0, 0].tolist() == [2, 5]
    assert found.chosen[:, 0].tolist() == [1, 2]
    assert found.reward.tolist() == [20, 50]
    assert found.discount.tolist() == pytest.approx([0.9, 0.9])
    assert found.then[:, 0, 0].tolist() == [3, 6]


def test_several_steps_end_where_the_episode_does() -> None:
    """Rows 0 1 2 | void 3 | 4 5 6: the first episode is lost, the second cut off."""
    memory = filled([ON, ON, TERMINATED, BEGUN, ON, TRUNCATED, BEGUN, ON, ON], lookahead=3)
    found = memory.at(np.array([0, 1, 4, 5]), 0.5)
    assert found.reward.tolist() == [0 + 5 + 5, 10 + 10, 40 + 25, 50]
    assert found.discount.tolist() == [0, 0, 0.25, 0.5]  # what comes after time is up still counts
    assert found.then[2:, 0, 0].tolist() == [6, 6]  # as the last frame showed


def test_steps_that_only_begin_an_episode_are_never_drawn() -> None:
    memory = filled([ON, TERMINATED, BEGUN] * 20)
    drawn = memory.draw(500, 0.9, np.random.default_rng(0))
    assert set((drawn.rows % 3).tolist()) == {0, 1}
    counts = np.bincount(drawn.rows, minlength=60)[:58]
    assert (counts[np.arange(58) % 3 != 2] > 0).all()


def test_frames_reach_back_to_the_begin_of_the_episode() -> None:
    memory = filled([ON, TERMINATED, BEGUN, ON, ON, ON], frames=3)
    times = np.array([0, 1, 2, 3, 4, 5])
    found = memory.frames_of(times, np.zeros(6, np.int64))[:, :, 0].tolist()
    assert found == [[0, 0, 0], [0, 0, 1], [0, 1, 2], [3, 3, 3], [3, 3, 4], [3, 4, 5]]


def test_the_ring_forgets_the_oldest_and_keeps_each_frame_once() -> None:
    memory = filled([ON] * 1_000, steps=100, lookahead=2)
    drawn = memory.draw(2_000, 0.9, np.random.default_rng(0))
    assert (int(drawn.rows.min()), int(drawn.rows.max())) == (900, 997)
    assert np.array_equal(drawn.then[:, 0, 0], drawn.rows + 2)
    pictures = Replay(1_000_000, 8, (84, 84), np.uint8, 1, 4)
    own = 1_000_000 * 84 * 84
    assert sum(part.nbytes for part in (pictures.shown, pictures.chosen, pictures.rewards, pictures.flags)) < 1.05 * own


def test_a_memory_goes_on_from_its_cursor(tmp_path: Path) -> None:
    memory = filled([ON] * 150, steps=100, spare=20, folder=tmp_path)
    state, rng = memory.state(), np.random.default_rng
    before = memory.draw(64, 0.9, rng(3))
    for row in range(150, 165):  # written after the checkpoint, then lost
        memory.add(np.array([[row]]), np.array([[0]]), np.array([1.0]), np.array([ON]))
    memory.shown.flush()
    again = Replay(100, 1, (1,), np.float32, 1, 1, 20, tmp_path)
    again.restore(state)
    after = again.draw(64, 0.9, rng(3))
    assert np.array_equal(before.shown, after.shown)
    assert np.array_equal(before.reward, after.reward)


def test_a_memory_whose_files_are_gone_does_not_go_on(tmp_path: Path) -> None:
    state = filled([ON] * 30, folder=tmp_path / "a").state()
    with pytest.raises(BadInput, match="the files of replay memory are gone"):
        Replay(100, 1, (1,), np.float32, 1, folder=tmp_path / "b").restore(state)


def test_too_few_rows_are_told() -> None:
    with pytest.raises(BadInput, match="holds 2 rows, too few to draw 3 steps"):
        filled([ON, ON], lookahead=3).draw(4, 0.9, np.random.default_rng(0))


def test_by_priority_only_what_can_be_drawn_is_drawn_and_the_most_wrong_most(tmp_path: Path) -> None:
    flags = [ON, ON, TERMINATED, BEGUN] * 60
    memory = filled(flags, frames=2, steps=100, lookahead=3, priority=1.0, spare=20)
    alike = filled(flags, frames=2, steps=100, lookahead=3)
    rng = np.random.default_rng(0)
    drawn, other = memory.draw(5_000, 0.9, rng), alike.draw(5_000, 0.9, rng)
    assert set(drawn.rows.tolist()) == set(other.rows.tolist())
    assert (drawn.weight == 1).all()
    rows = np.unique(drawn.rows)
    memory.learn(rows, np.where(rows == 200, 9.0, 1.0))
    again = memory.draw(8_000, 0.9, rng, correction=1.0)
    often = np.mean(again.rows == 200)
    assert often == pytest.approx(9 / (len(rows) + 8), abs=1e-3)
    assert again.weight[again.rows == 200] == pytest.approx(1 / 9, rel=1e-4)  # so that the mean is as of all alike


def test_priorities_go_on_from_a_state(tmp_path: Path) -> None:
    memory = filled([ON] * 150, steps=100, spare=20, folder=tmp_path, priority=0.6)
    memory.learn(np.arange(60, 140), np.arange(80.0))
    state, rng = memory.state(), np.random.default_rng
    before = memory.draw(64, 0.9, rng(3))
    memory.add(np.array([[150]]), np.array([[0]]), np.array([1.0]), np.array([ON]))
    memory.learn(np.arange(60, 140), np.zeros(80))
    memory.restore(state)
    after = memory.draw(64, 0.9, rng(3))
    assert np.array_equal(before.rows, after.rows)
    assert np.array_equal(before.weight, after.weight)


def test_what_was_dismissed_while_the_memory_began_is_never_admitted() -> None:
    memory = filled([ON] * 6, frames=4, steps=100, lookahead=3, priority=1.0)
    tree = memory.priorities.tree[memory.priorities.half :]
    assert np.flatnonzero(tree).tolist() == list(range(memory.first, 3))
    memory = filled([ON] * 103, frames=4, steps=100, lookahead=3, priority=1.0)
    rows = np.flatnonzero(memory.priorities.tree[memory.priorities.half :])
    assert rows.tolist() == list(range(memory.first, 100))


def test_the_memory_of_another_run_is_left_as_it_is(tmp_path: Path) -> None:
    filled([ON] * 30, folder=tmp_path).shown.flush()
    before = (tmp_path / "shown.ring").read_bytes()
    with pytest.raises(BadInput, match="belongs to another run"):
        Replay(200, 1, (1,), np.float32, 1, folder=tmp_path, keep=True)
    assert (tmp_path / "shown.ring").read_bytes() == before
