"""Maps of worth: which numbers are drawn and from where to where, what shades and tints mean."""

from __future__ import annotations

import base64
import io

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces
from PIL import Image

from decet.data.environment_codec import EnvironmentCodec
from decet.data.environments import Environment, Environments, opened
from decet.pages.valuemap import FINE, Map, Values, choices_of, movers, numbers_of, values_of

RNG = np.random.default_rng(0)
YELLOW, PURPLE = (253, 231, 37), (68, 1, 84)


class Made(gymnasium.Env):
    """Any numbers between bounds, any actions; nobody plays it here."""

    def __init__(self, width: int, bound: float = 1.0, actions: spaces.Space = spaces.Discrete(2)):  # noqa: B008
        self.observation_space = spaces.Box(-bound, bound, (width,), np.float32)
        self.action_space = actions


def looked(environment: Environment, weigh, met: np.ndarray, said: Environments | None = None) -> Values | None:
    codec = EnvironmentCodec.of(said or Environments(), environment)
    return values_of(weigh, codec, environment, met.astype(np.float32), met[:5].astype(np.float32))


def pixels(drawn: Map) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(drawn.source.partition(",")[2]))))


def test_two_numbers_are_drawn_whole_with_what_they_are_worth_and_what_is_done() -> None:
    def right_of_it(frames: np.ndarray) -> np.ndarray:  # the choice of the first number's side is worth the second
        x, y = frames[:, -1, 0], frames[:, -1, 1]
        return np.stack([y - (x > 0), y - (x <= 0)], 1)[:, None]

    found = looked(opened(lambda: Made(2)), right_of_it, 0.1 * RNG.standard_normal((50, 2)))
    worth, done = found.maps
    assert worth.names == ("observation[0]", "observation[1]")
    assert [text for _, text in worth.across] == [
        "-1.0",
        "-0.5",
        "0.0",
        "0.5",
        "1.0",
    ]  # the space's bounds, not what was met
    picture = pixels(worth)
    assert picture.shape == (FINE, FINE, 3)
    assert tuple(picture[0, 3]) == YELLOW  # above: the second number is largest
    assert tuple(picture[-1, 3]) == PURPLE
    sides = pixels(done)
    assert (sides[:, : FINE // 2] == sides[0, 0]).all()
    assert (sides[:, FINE // 2 :] == sides[0, -1]).all()
    assert [text for _, text in done.key] == ["choice 0", "choice 1"]
    assert done.key[0][0] == "#{:02x}{:02x}{:02x}".format(*sides[0, 0])
    assert worth.path.count(",") == 5
    assert found.said == ""


def test_of_many_numbers_the_two_that_move_the_worth_most_are_drawn() -> None:
    met = RNG.standard_normal((400, 5))
    met[:, 2] = 7.0  # never changes
    met[:, 4] = met[:, 4] > 0  # a switch

    def weigh(frames: np.ndarray) -> np.ndarray:
        x = frames[:, -1]
        worth = 0.1 * x[:, 0] + 3 * x[:, 1] + 50 * x[:, 2] + 2 * x[:, 3] + 9 * x[:, 4]
        return np.stack([worth, worth - 1], 1)[:, None]

    assert movers(lambda rows: weigh(rows[:, None]), met, np.median(met, 0)) == [1, 3, 0]
    found = looked(opened(lambda: Made(5)), weigh, met)
    assert found.maps[0].names == ("observation[1]", "observation[3]")
    assert "the two of 5 numbers that move the worth most" in found.said
    assert "observation[2] 7," in found.said
    assert found.maps[0].path == ""
    assert len(found.maps[0].dots) == 400
    assert pixels(found.maps[1]).std(axis=(0, 1)).max() == 0  # the first choice everywhere


def test_joints_have_a_map_each_whose_values_are_shades() -> None:
    joints = spaces.Box(-2, 2, (2,), np.float32)

    def weigh(frames: np.ndarray) -> np.ndarray:  # each joint is to be where its number is
        aims = np.array([-2, 0, 2]) - 2 * frames[:, -1, :, None]
        return -np.abs(aims)

    found = looked(opened(lambda: Made(2, actions=joints)), weigh, RNG.standard_normal((50, 2)))
    assert [one.title for one in found.maps] == ["What it is worth", "What it does: joint 1", "What it does: joint 2"]
    assert [text for _, text in found.maps[1].key] == ["-2", "0", "2"]
    first, second = pixels(found.maps[1]), pixels(found.maps[2])
    assert tuple(first[FINE // 2, 0]) == PURPLE
    assert tuple(first[FINE // 2, -1]) == YELLOW
    assert tuple(second[0, FINE // 2]) == YELLOW


def test_one_number_has_a_chart_and_what_takes_few_values_has_nothing() -> None:
    def weigh(frames: np.ndarray) -> np.ndarray:
        return np.stack([frames[:, -1, 0], -frames[:, -1, 0]], 1)[:, None]

    found = looked(opened(lambda: Made(1)), weigh, np.linspace(-1, 1, 50)[:, None])
    assert (found.maps, found.said) == ((), "")
    assert found.chart.by == "observation[0]"
    places = [tuple(map(float, point.split(","))) for point in found.chart.lines[0].points.split()]
    assert [y for _, y in places] == pytest.approx([y for _, y in reversed(places)], abs=0.2)
    assert max(places, key=lambda place: place[1])[0] == pytest.approx(160, abs=3)  # worth least in the middle
    assert looked(opened(lambda: Made(3)), weigh, np.eye(3)[RNG.integers(0, 3, 90)]) is None


def test_frames_of_a_map_show_the_same() -> None:
    def weigh(frames: np.ndarray) -> np.ndarray:
        assert (frames == frames[:, :1]).all()
        return frames.sum((1, 2))[:, None, None].repeat(2, -1)

    found = looked(opened(lambda: Made(2)), weigh, RNG.standard_normal((50, 2)), Environments(frames=3))
    assert found.said == "All 3 frames show the same."


def test_numbers_and_choices_of_known_tasks_have_names() -> None:
    environment = opened("CartPole-v1")
    codec = EnvironmentCodec.of(Environments(), environment)
    assert numbers_of("CartPole-v1", 4)[2] == "pole angle (rad)"
    assert numbers_of("CartPole-v1", 3) == [
        "observation[0]",
        "observation[1]",
        "observation[2]",
    ]  # another of that name
    assert choices_of(codec, environment, 0) == ["push left", "push right"]
    pendulum = opened("Pendulum-v1")
    assert choices_of(EnvironmentCodec.of(Environments(bins=5), pendulum), pendulum, 0) == ["-2", "-1", "0", "1", "2"]
