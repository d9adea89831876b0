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
from decet.estimators.film import FRAMES, NARROW, STRIP, STRIPS, filmed, strip


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
    return filmed(environment, codec, first, path, episodes, seed=0)


def first(frames: np.ndarray) -> np.ndarray:
    """The first choice, always."""
    return np.zeros((1, 1), np.int64)


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
    film(Long, tmp_path / "a.gif")
    assert Image.open(tmp_path / "a.gif").n_frames <= FRAMES


def test_tiny_pictures_are_enlarged_and_shares_of_white_are_read(tmp_path: Path) -> None:
    class Tiny(Drawn):
        def render(self):
            return np.full((8, 10, 3), self.age / 4)

    film(Tiny, tmp_path / "a.gif")
    picture = Image.open(tmp_path / "a.gif")
    assert picture.size == (NARROW, 0.8 * NARROW)
    picture.seek(2)
    assert picture.convert("RGB").getpixel((5, 5)) == (127, 127, 127)


class Long(Drawn):
    long = 2_000


def test_a_png_is_a_strip_of_each_episode(tmp_path: Path) -> None:
    assert film(Drawn, tmp_path / "a.png", episodes=2) == [4.0, 4.0]
    picture = Image.open(tmp_path / "a.png").convert("RGB")
    assert picture.width > STRIP * NARROW
    shades = {colour[0] for _, colour in picture.getcolors(1 << 20) if len(set(colour)) == 1}
    assert {0, 40, 80, 120, 160} <= shades  # begin, steps 1 to 3 and the end
    film(Drawn, tmp_path / "b.png", episodes=1)
    assert Image.open(tmp_path / "b.png").height < 0.6 * picture.height


def test_of_many_episodes_the_first_are_drawn_and_all_are_played(tmp_path: Path) -> None:
    assert len(film(Drawn, tmp_path / "a.png", episodes=STRIPS + 5)) == STRIPS + 5
    film(Drawn, tmp_path / "b.png", episodes=STRIPS)
    assert Image.open(tmp_path / "a.png").size == Image.open(tmp_path / "b.png").size


def test_a_strip_is_evenly_spaced_from_begin_to_end() -> None:
    environment = opened(Long)
    shots = strip(environment, EnvironmentCodec.of(Environments(), environment), first, seed=0)
    steps = [shot.step for shot in shots]
    assert len(steps) == STRIP
    assert (steps[0], steps[-1]) == (0, Long.long)
    assert np.allclose(np.diff(steps), Long.long / (STRIP - 1), rtol=0.15)
    short = opened(Drawn)
    assert [shot.step for shot in strip(short, EnvironmentCodec.of(Environments(), short), first, 0)] == [0, 1, 2, 3, 4]


def test_what_cannot_be_filmed_is_told(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"a film is a \.gif or \.png\. Received: '.*a\.mp4'"):
        film(Drawn, tmp_path / "a.mp4")
    with pytest.raises(BadInput, match="Drawn draws no pictures"):
        film(lambda: Drawn(picture=False), tmp_path / "a.gif")

    class Unwritten(Drawn):
        def render(self):
            raise NotImplementedError

    with pytest.raises(BadInput, match="Unwritten draws no pictures"):
        film(Unwritten, tmp_path / "a.gif")
    assert not list(tmp_path.iterdir())


def test_the_cart_and_pole_is_drawn(tmp_path: Path) -> None:
    pytest.importorskip("pygame")
    film("CartPole-v1", tmp_path / "a.gif")
    picture = Image.open(tmp_path / "a.gif").convert("RGB")
    assert picture.size == (400, 267)
    assert len(picture.getcolors(1 << 16)) > 2
