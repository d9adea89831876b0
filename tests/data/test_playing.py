"""A source that acts: as much as its pace says, by values or at random, the same again from its state."""

from __future__ import annotations

from dataclasses import replace

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium import spaces

from decet.contracts import Clock
from decet.data.actors import BEGUN, Copies
from decet.data.environment_codec import EnvironmentCodec
from decet.data.environments import Environments, opened
from decet.data.playing import FAR, Pace, Playing, Recent, played
from decet.data.replay import Replay
from decet.training.checkpoint import same_tree


class Row(gymnasium.Env):
    """A row of places: the choice 1 goes right, 0 left; the right end ends it and gives 1; cut off after 20 steps."""

    observation_space = spaces.Box(-10, 10, (1,), np.float32)
    action_space = spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.place, self.age = 0, 0
        return np.zeros(1, np.float32), {}

    def step(self, action):
        self.age += 1
        self.place = max(-3, self.place + 2 * int(action) - 1)
        over = self.place == 3
        return np.array([self.place], np.float32), float(over), over, self.age == 20, {}


PACE = Pace(warmup=40, ratio=0.5, explore=0.1, fade=0.5, persist=0.0, batch=8, discount=0.9)


def right(inputs: tuple) -> torch.Tensor:
    """Values by which going right is always better."""
    return torch.tensor([0.0, 1.0]).expand(len(inputs[0]), 1, 2)


def worth(frames: np.ndarray) -> np.ndarray:
    """What going left and right is truly worth, where a step's reward counts 0.9 times the one before."""
    place = frames[:, -1, 0]
    return np.stack([0.9 ** (4 - place), 0.9 ** (2 - place)], 1)[:, None]


def leftwards(frames: np.ndarray) -> np.ndarray:
    """Values by which going left is always better, and worth 5."""
    return np.broadcast_to([5.0, 0.0], (len(frames), 1, 2))


def source(pace: Pace = PACE, copies: int = 2, frames: int = 1) -> Playing:
    environment = opened(Row)
    said = Environments(copies=copies, frames=frames)
    codec = EnvironmentCodec.of(said, environment)
    actors = Copies(environment, copies, seed=0)
    memory = Replay(500, copies, (1,), np.float32, 1, frames, spare=100, lookahead=2)
    return Playing(actors, codec, memory, right, pace, 10, torch.device("cpu"))


def clock(step: int, of: int = 100) -> Clock:
    return Clock(seed=5, step=step, plan=[(0, 0.0, of)])


def test_acting_keeps_the_pace_of_learning() -> None:
    playing = source()
    playing.next(clock(0))
    assert playing.met == 40  # of two copies 20 rows
    for step in range(1, 11):
        batch = playing.next(clock(step))
    assert playing.met == 60  # two steps for each of learning
    chosen, reward, discount, then = batch.target
    assert batch.inputs[0].shape == then[0].shape == (8, 1)
    assert (chosen.shape, reward.shape, discount.shape) == ((8, 1), (8,), (8,))


def test_what_is_best_is_done_but_for_a_share() -> None:
    playing = source(replace(PACE, warmup=0, explore=0.2, fade=0.01))
    for step in range(600):
        playing.next(clock(min(step + 5, 99)))
    memory = playing.replay
    rows = np.arange(memory.first, memory.cursor) % memory.length
    done = memory.chosen[rows, :, 0][memory.flags[rows] != BEGUN]
    assert 0.85 < float(done.mean()) < 0.95  # 0.2 at random, half of which goes right
    assert playing.told
    assert np.mean(playing.told) > 0.95


def test_random_choices_are_held_on_to_as_asked() -> None:
    def changes(persist: float) -> tuple[float, float]:
        """How often a choice is another than before: of each fourth copy, and of the others."""
        playing = source(replace(PACE, warmup=10_000, persist=persist), copies=8)
        for _ in range(60):
            playing.act(clock(0), np.random.default_rng(playing.met))
        done = playing.replay.chosen[:60, :, 0]
        other = done[1:] != done[:-1]
        far = np.arange(8) % FAR == 0
        return float(other[:, far].mean()), float(other[:, ~far].mean())

    assert all(0.35 < share < 0.65 for share in changes(0.0))
    held, free = changes(1.5)
    assert held < 0.3
    assert 0.4 < free < 0.6


def test_it_goes_on_from_its_state_to_the_same_bits() -> None:
    for frames in (1, 3):
        one = source(replace(PACE, persist=2.0), frames=frames)
        for step in range(30):
            one.next(clock(step))
        other = source(replace(PACE, persist=2.0), frames=frames)
        other.replay = one.replay  # which outlives the process in its files
        other.restore(one.state())
        assert np.array_equal(other.recent.frames, one.recent.frames)
        wanted = [one.next(clock(step)) for step in range(30, 34)]
        other.replay.restore({"cursor": other.replay.cursor - one.due(33) // 2 + one.due(29) // 2})
        found = [other.next(clock(step)) for step in range(30, 34)]
        for a, b in zip(wanted, found, strict=True):
            assert torch.equal(a.inputs[0], b.inputs[0])
            assert torch.equal(a.target[1], b.target[1])
        assert same_tree(one.state(), other.state())


def test_a_checkpoint_is_urgent_before_what_it_points_to_is_overwritten() -> None:
    playing = source()
    playing.written()  # as the loop does where a run begins
    assert not playing.urgent
    step = 0
    while not playing.urgent:
        playing.next(clock(step))
        step += 1
    assert playing.replay.cursor <= 0.6 * (playing.replay.length - playing.replay.window)
    playing.written()
    assert not playing.urgent


def test_a_roll_back_behind_the_checkpoint_on_the_disk_is_urgent() -> None:
    playing = source()
    playing.next(clock(0))
    early = playing.state()
    for step in range(1, 9):
        playing.next(clock(step))
    playing.written()
    playing.restore(early)
    assert playing.urgent
    playing.written()
    assert not playing.urgent


def test_an_episode_that_does_not_end_is_left(monkeypatch) -> None:
    class Endless(Row):
        def step(self, action):
            return np.zeros(1, np.float32), 1.0, False, False, {}

    monkeypatch.setattr("decet.data.playing.TOO_LONG", 50)
    environment = opened(Endless)
    codec = EnvironmentCodec.of(Environments(), environment)
    told = played(Copies(environment, 2, 0), leftwards, codec, 4)
    assert told.returns.tolist() == told.lengths.tolist() == [50.0] * 4


def test_an_example_plays_nothing() -> None:
    playing = source()
    batch = playing.example()
    assert playing.met == 0
    assert batch.inputs[0].shape == (8, 1)


def test_episodes_are_played_whole_and_as_many_by_each_copy() -> None:
    environment = opened(Row)
    codec = EnvironmentCodec.of(Environments(), environment)
    told = played(Copies(environment, 3, 0), worth, codec, 5)
    assert told.returns.tolist() == [1.0] * 5
    assert told.lengths.tolist() == [3.0] * 5
    assert played(Copies(environment, 2, 0), leftwards, codec, 2).lengths.tolist() == [20.0, 20.0]


def test_who_knows_what_is_worth_what_expects_what_is_given() -> None:
    environment = opened(Row)
    codec = EnvironmentCodec.of(Environments(), environment)
    told = played(Copies(environment, 2, 0), worth, codec, 3, discount=0.9)
    assert told.expected == pytest.approx([0.81] * 3)
    assert told.given == pytest.approx([0.81] * 3)  # 1 after two steps that give nothing
    assert told.returns.tolist() == [1.0] * 3
    assert told.rest.tolist() == [0.0] * 3


def test_of_several_columns_the_mean_is_expected() -> None:
    environment = opened(Row)
    codec = EnvironmentCodec.of(Environments(), environment)
    codec.single = False

    def joints(frames: np.ndarray) -> np.ndarray:
        return np.array([[[0.0, 1.0], [4.0, -np.inf]]])  # of the second there is one choice

    class Both(Copies):
        def step(self, actions):
            return super().step(actions[:, 0])

    assert played(Both(environment, 1, 0), joints, codec, 1).expected.tolist() == [2.5]


@pytest.mark.parametrize("left", [20, 8])
def test_what_an_episode_that_was_cut_off_might_still_give_is_told_apart(left: int, monkeypatch) -> None:
    monkeypatch.setattr("decet.data.playing.TOO_LONG", left)  # 20: the environment's own limit
    environment = opened(Row)
    codec = EnvironmentCodec.of(Environments(), environment)
    told = played(Copies(environment, 2, 0), leftwards, codec, 4, discount=0.9)
    assert told.given.tolist() == [0.0] * 4
    assert told.rest == pytest.approx([0.9**left * 5] * 4)
    assert told.expected.tolist() == [5.0] * 4


def test_frames_of_a_copy_are_of_its_episode() -> None:
    environment = opened(Row)
    actors = Copies(environment, 1, 0)
    recent = Recent(3, actors)
    seen = []
    for _ in range(5):
        actors.step(np.array([1]))
        recent.see(actors)
        seen.append(recent.frames[0, :, 0].tolist())
    assert seen == [[0, 0, 1], [0, 1, 2], [1, 2, 3], [0, 0, 0], [0, 0, 1]]
