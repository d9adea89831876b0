"""Games of the Atari 2600, shown as agents have seen them since 2015: 84 x 84 grey pixels, four frames a step;
rewards are the game's own, not cut to their sign.

    game = Game(gymnasium.make("ALE/Pong-v5", frameskip=1, obs_type="grayscale"))

An action is held for four frames, whose rewards are added; of the last two each pixel's larger value is shown, for some
games draw things in every other frame only; pixels are averaged over areas (Mnih et al., Nature 518, 2015). Actions are
sticky, as the v5 games have them: one in four frames repeats the action before (Machado et al., 1709.06009), which
takes the place of idle steps at an episode's begin. An episode is a whole game, not a life.
"""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

Array = NDArray[Any]
FRAMES = 4  # a step
SIZE = 84


class Game(gymnasium.Wrapper):
    """A game that shows one grey frame a step -> SIZE x SIZE pixels each `FRAMES` frames."""

    def __init__(self, game: Any) -> None:
        super().__init__(game)
        rows, columns = game.observation_space.shape
        self.down, self.across = shares_of(rows), shares_of(columns).T
        self.observation_space = spaces.Box(0, 255, (SIZE, SIZE), np.uint8)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Array, dict[str, Any]]:
        frame, told = self.env.reset(seed=seed, options=options)
        return self._small(frame), told

    def step(self, action: Any) -> tuple[Array, float, bool, bool, dict[str, Any]]:
        total, frames = 0.0, list[Array]()
        for _ in range(FRAMES):
            frame, reward, terminated, truncated, told = self.env.step(action)
            total += float(reward)
            frames.append(frame)
            if terminated or truncated:
                break
        return self._small(np.maximum(frames[-1], frames[max(0, len(frames) - 2)])), total, terminated, truncated, told

    def _small(self, frame: Any) -> Array:
        """A frame (rows, columns) -> (SIZE, SIZE), each pixel the mean of the area that it covers."""
        return np.rint(self.down @ frame.astype(np.float32) @ self.across).astype(np.uint8)


def shares_of(count: int) -> Array:
    """How much of each of so many rows stands in each of SIZE (SIZE, count); each of these adds up to 1."""
    edges = np.arange(SIZE + 1) * count / SIZE
    inside = np.minimum(edges[1:, None], np.arange(1, count + 1)) - np.maximum(edges[:-1, None], np.arange(count))
    return (np.maximum(inside, 0.0) * SIZE / count).astype(np.float32)
