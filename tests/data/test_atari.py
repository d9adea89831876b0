"""Games of the Atari 2600 as agents see them: four frames a step, 84 x 84 means over areas, the same again by seed."""

from __future__ import annotations

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces

from decet.data.atari import FRAMES, SIZE, Game, shares_of
from decet.data.environments import opened


class Screens(gymnasium.Env):
    """Each frame is as bright as frames were shown; every other one of them is dark. It ends after `last`."""

    observation_space = spaces.Box(0, 255, (210, 160), np.uint8)
    action_space = spaces.Discrete(2)

    def __init__(self, last: int = 100):
        self.last = last

    def _frame(self) -> np.ndarray:
        return np.full((210, 160), self.count if self.count % 2 else 0, np.uint8)

    def reset(self, *, seed=None, options=None):
        self.count = 0
        return self._frame(), {}

    def step(self, action):
        self.count += 1
        return self._frame(), 1.0, self.count == self.last, False, {}


def test_a_step_is_four_frames_whose_rewards_add_up_and_of_the_last_two_the_brighter_pixels_show() -> None:
    game = Game(Screens())
    assert game.reset()[0].shape == (SIZE, SIZE)
    shown, reward, *_ = game.step(0)
    assert (shown.min(), shown.max(), reward) == (FRAMES - 1, FRAMES - 1, 4.0)
    ending = Game(Screens(last=5))
    ending.reset()
    ending.step(0)
    shown, reward, over, *_ = ending.step(0)
    assert (int(shown[0, 0]), reward, over) == (5, 1.0, True)


def test_pixels_are_means_over_areas() -> None:
    shares = shares_of(210)  # two and a half rows each
    np.testing.assert_allclose(shares.sum(1), 1.0, rtol=1e-6)
    np.testing.assert_allclose(shares[0, :4], [0.4, 0.4, 0.2, 0.0], atol=1e-7)
    np.testing.assert_allclose(shares[1, 1:6], [0.0, 0.2, 0.4, 0.4, 0.0], atol=1e-7)


def test_a_game_is_the_same_again_by_its_seed() -> None:
    pytest.importorskip("ale_py")
    environment = opened("ALE/Breakout-v5", limit=30)
    one, other = environment.make(None), environment.make(None)
    for seed in (3, 4):
        seen = [game.reset(seed=seed)[0] for game in (one, other)]
        for step in range(30):
            np.testing.assert_array_equal(*seen)
            told = [game.step(1 + step % 3) for game in (one, other)]
            assert told[0][1:4] == told[1][1:4]
            seen = [found[0] for found in told]
        assert told[0][3]  # cut off at the limit, in steps of the agent
