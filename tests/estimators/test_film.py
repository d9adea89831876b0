"""Films: frames of what is played, as the environment draws it; and what cannot be filmed."""

from __future__ import annotations

from pathlib import Path

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces
from PIL import Image

from decet.data.environment_codec import EnvironmentCodec
from decet.data.environments import Environments, opened
from decet.errors import BadInput
from decet.estimators.film import FRAMES, filmed


class Drawn(gymnasium.Env):
    """Draws its age as a grey square; ends after `long` steps."""

    observation_space = spaces.Box(0, 1e6, (1,), np.float32)
    action_space = spaces.Discrete(2)
    long = 4

    def __init__(self, picture: bool = True):
        self.picture, self.age = picture, 0

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.age = 0
        return np.zeros(1, np.float32), {}

    def step(self, action):
        self.age += 1
        return np.array([self.age], np.float32), 1.0, self.age == self.long, False, {}

    def render(self):
        return np.full((30, 50, 3), 40 * (self.age % 6), np.uint8) if self.picture else None


def film(make, path: Path, episodes: int = 1) -> list[float]:
    environment = opened(make)
    codec = EnvironmentCodec.of(Environments(), environment)
    return filmed(environment, codec, lambda frames: np.zeros((1, 1), np.int64), path, episodes, seed=0)


def test_a_film_shows_every_step(tmp_path: Path) -> None:
    assert film(Drawn, tmp_path / "a.gif", episodes=2) == [4.0, 4.0]
    picture = Image.open(tmp_path / "a.gif")
    shades = []
    for number in range(picture.n_frames):
        picture.seek(number)
        shades.append(picture.convert("RGB").getpixel((5, 5))[0])
    assert picture.size == (50, 30)
    assert shades == [0, 40, 80, 120, 160, 0, 40, 80, 120, 160]


def test_a_long_film_is_thinned_out(tmp_path: Path) -> None:
    class Long(Drawn):
        long = 2 * FRAMES

    film(Long, tmp_path / "a.gif")
    assert Image.open(tmp_path / "a.gif").n_frames <= FRAMES


def test_what_cannot_be_filmed_is_told(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="a film is a .gif"):
        film(Drawn, tmp_path / "a.mp4")
    with pytest.raises(BadInput, match="Drawn draws no pictures"):
        film(lambda: Drawn(picture=False), tmp_path / "a.gif")
    assert not list(tmp_path.iterdir())


def test_the_cart_and_pole_is_drawn(tmp_path: Path) -> None:
    pytest.importorskip("pygame")
    film("CartPole-v1", tmp_path / "a.gif")
    picture = Image.open(tmp_path / "a.gif").convert("RGB")
    assert picture.size == (400, 267)
    assert len(picture.getcolors(1 << 16)) > 2
