"""What environments show and take becomes tensors and choices: vectors, series, pictures, numbers beside them."""

from __future__ import annotations

import json

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium import spaces

from decet.contracts import ImageSpec, SeriesSpec, TableSpec
from decet.data.environment_codec import EnvironmentCodec
from decet.data.environments import Environments, opened
from decet.errors import BadInput, Unsupported
from decet.families.lstm import LSTM


class Made(gymnasium.Env):
    """An environment of any spaces, which shows nothing but samples."""

    def __init__(self, observations: spaces.Space, actions: spaces.Space):
        self.observation_space, self.action_space = observations, actions

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return self.observation_space.sample(), {}

    def step(self, action):
        return self.observation_space.sample(), 0.0, False, False, {}


VECTOR = spaces.Box(-1.0, 1.0, (3,), np.float32)


def codec_of(observations: spaces.Space, actions: spaces.Space, **said) -> EnvironmentCodec:
    return EnvironmentCodec.of(Environments(**said), opened(lambda: Made(observations, actions)))


def test_vectors_of_whatever_parts_lie_end_to_end() -> None:
    parts = spaces.Dict({"a": VECTOR, "b": spaces.Discrete(4)})
    codec = codec_of(parts, spaces.Discrete(2))
    assert codec.spec == TableSpec(numbers=7)
    assert codec_of(spaces.Discrete(5), spaces.Discrete(2)).spec == TableSpec(numbers=5)
    assert codec_of(spaces.Box(0, 1, (2, 3), np.float32), spaces.Discrete(2), frames=2).spec == TableSpec(numbers=12)


def test_pictures_are_frames_side_by_side_channels_first() -> None:
    codec = codec_of(spaces.Box(0, 255, (10, 12, 3), np.uint8), spaces.Discrete(2))
    assert codec.spec == ImageSpec(12, 10, 12)
    shown = np.random.default_rng(0).integers(0, 256, (2, 4, 10, 12, 3), dtype=np.uint8)
    (pixels,) = codec.encode(shown)
    assert (pixels.dtype, pixels.shape) == (torch.uint8, (2, 12, 10, 12))
    assert torch.equal(pixels[1, 5], torch.from_numpy(shown[1, 1, :, :, 2]))
    grey = codec_of(spaces.Box(0, 255, (10, 12), np.uint8), spaces.Discrete(2), frames=1)
    assert grey.encode(shown[:, 0, :, :, 0])[0].shape == (2, 1, 10, 12)


def test_pictures_of_yes_and_no_are_seen_one_at_a_time() -> None:
    codec = codec_of(spaces.Box(0, 1, (10, 10, 4), np.bool_), spaces.Discrete(2))
    assert (codec.spec, codec.frames) == (ImageSpec(4, 10, 10), 1)
    shown = np.zeros((10, 10, 4), bool)
    shown[2, 3, 1] = True
    (pixels,) = codec.encode(codec.kept(shown)[None])
    assert (int(pixels.sum()), int(pixels[0, 1, 2, 3])) == (255, 255)


def test_numbers_beside_a_picture_are_scaled_as_vectors_are() -> None:
    space = spaces.Dict({"seen": spaces.Box(0, 255, (10, 12, 3), np.uint8), "felt": VECTOR, "gear": spaces.Discrete(2)})
    environment = opened(lambda: Made(space, spaces.Discrete(2)))
    rng = np.random.default_rng(0)
    seen = np.concatenate([rng.normal(0.5, 0.2, (500, 3)), rng.integers(0, 2, (500, 2))], 1).astype(np.float32)
    codec = EnvironmentCodec.of(Environments(frames=2), environment, seen, series=True)
    assert (codec.spec, codec.beside, codec.shape) == (ImageSpec(6, 10, 12), 5, (360 + 20,))
    assert codec.mean[3:].tolist() == [0, 0]  # one-hot is left as it is
    assert codec.std[3:].tolist() == [1, 1]
    space.seed(0)
    told = [space.sample() for _ in range(4)]
    kept = np.stack([codec.kept(one) for one in told])
    pixels, numbers = codec.encode(kept.reshape(2, 2, -1))
    assert (pixels.shape, pixels.dtype, numbers.shape) == ((2, 6, 10, 12), torch.uint8, (2, 10))
    assert torch.equal(pixels[1, 4], torch.from_numpy(told[3]["seen"][:, :, 1]))
    scaled = (told[3]["felt"] - codec.mean[:3]) / codec.std[:3]
    np.testing.assert_allclose(numbers[1, 5:8], scaled, rtol=1e-5)
    np.testing.assert_array_equal(codec.numbers(kept)[:, :3], [one["felt"] for one in told])


def test_bodies_that_read_series_get_the_newest_vectors_one_after_the_other() -> None:
    environment = opened(lambda: Made(VECTOR, spaces.Discrete(2)))
    codec = EnvironmentCodec.of(Environments(), environment, series=True)
    assert (codec.spec, codec.frames) == (SeriesSpec(3, 8), 8)
    values, lengths = codec.encode(codec.sample(5, 0))
    assert (values.shape, lengths) == ((5, 8, 3), None)
    assert EnvironmentCodec.of(Environments(frames=3), environment, series=True).spec == SeriesSpec(3, 3)
    said, arrays = codec.state()
    assert EnvironmentCodec.restore(json.loads(json.dumps(said)), arrays).spec == codec.spec
    LSTM(width=4).encoder(codec.spec)((values, lengths)).pooled()


def test_an_observation_that_is_never_shown_is_told() -> None:
    with pytest.raises(BadInput, match=r"the observation shows shape \(2,\); its space says \(3,\)"):
        codec_of(VECTOR, spaces.Discrete(2)).kept([0.0, 1.0])


def test_vectors_are_scaled_by_what_is_met_but_no_finer_than_bounds_allow() -> None:
    environment = opened(lambda: Made(spaces.Box(-8.0, 8.0, (3,), np.float32), spaces.Discrete(2)))
    seen = np.random.default_rng(0).normal([1, 2, 3], [0.01, 2, 4], (5_000, 3)).astype(np.float32)
    codec = EnvironmentCodec.of(Environments(), environment, seen)
    np.testing.assert_allclose(codec.mean, [1, 2, 3], atol=0.2)
    np.testing.assert_allclose(codec.std, [1, 2, 4], rtol=0.05)
    numbers, categories = codec.encode(seen)
    assert categories.shape == (5_000, 0)
    np.testing.assert_allclose(numbers.numpy(), (seen - codec.mean) / codec.std, rtol=1e-5, atol=1e-6)


def test_choices_become_what_the_environment_takes() -> None:
    chosen = np.array([[0], [2]])
    assert codec_of(VECTOR, spaces.Discrete(3, start=5)).actions(chosen).tolist() == [5, 7]
    several = codec_of(VECTOR, spaces.MultiDiscrete([3, 2]))
    assert (several.answer.classes, several.actions(np.array([[2, 1]])).tolist()) == ((3, 2), [[2, 1]])
    assert codec_of(VECTOR, spaces.MultiBinary(3)).choices == (2, 2, 2)
    shifted = codec_of(VECTOR, spaces.MultiDiscrete([3, 3], start=[1, 2]))
    assert shifted.actions(np.array([[0, 2]])).tolist() == [[1, 4]]
    assert codec_of(VECTOR, spaces.MultiDiscrete([5])).actions(np.array([[3]])).tolist() == [
        [3]
    ]  # one column, no number
    joints = codec_of(VECTOR, spaces.Box(np.array([-2, 0], np.float32), np.array([2, 1], np.float32)), bins=5)
    assert joints.choices == (5, 5)
    np.testing.assert_allclose(joints.actions(np.array([[0, 4], [2, 1]])), [[-2, 1], [0, 0.25]])


@pytest.mark.parametrize(
    ("actions", "message"),
    [
        (spaces.Box(-np.inf, np.inf, (2,), np.float32), "the actions of Made have no bounds"),
        (
            spaces.Tuple([spaces.Discrete(2)]),
            r"the actions of Made are Tuple\(Discrete\(2\)\), and decet acts in Discrete",
        ),
        (spaces.Box(0, 3, (2,), np.int64), "a Box of one dimension of fractions"),
        (spaces.Discrete(5_000), "takes actions of 5000 choices"),
    ],
)
def test_actions_that_cannot_be_weighed_are_refused(actions: spaces.Space, message: str) -> None:
    with pytest.raises(Unsupported, match=message):
        codec_of(VECTOR, actions)


def test_an_agent_is_not_put_where_spaces_differ() -> None:
    learned = codec_of(VECTOR, spaces.Discrete(2))
    learned.check(opened(lambda: Made(VECTOR, spaces.Discrete(2))))
    with pytest.raises(BadInput, match=r"Made shows \(4,\); the agent learned in Made, which shows \(3,\)"):
        learned.check(opened(lambda: Made(spaces.Box(-1, 1, (4,), np.float32), spaces.Discrete(2))))
    with pytest.raises(BadInput, match=r"takes \(3,\)"):
        learned.check(opened(lambda: Made(VECTOR, spaces.Discrete(3))))
    with pytest.raises(BadInput, match=r"Made shows felt \(3,\), gear one of 2; the agent learned in Made"):
        learned.check(
            opened(lambda: Made(spaces.Dict({"felt": VECTOR, "gear": spaces.Discrete(2)}), spaces.Discrete(2)))
        )


def test_a_codec_is_restored_from_its_state() -> None:
    for observations, actions in (
        (VECTOR, spaces.Box(-2.0, 2.0, (2,), np.float32)),
        (spaces.Box(0, 255, (10, 12), np.uint8), spaces.Discrete(3, start=1)),
        (spaces.Tuple([spaces.Box(0, 255, (10, 12), np.uint8), spaces.Discrete(3)]), spaces.Discrete(2)),
    ):
        codec = codec_of(observations, actions, bins=4)
        said, arrays = codec.state()
        again = EnvironmentCodec.restore(json.loads(json.dumps(said)), arrays)
        assert (again.layout, again.spec, again.answer, again.environments) == (
            codec.layout,
            codec.spec,
            codec.answer,
            codec.environments,
        )
        rows = codec.sample(6, 1)
        for one, other in zip(codec.encode(rows), again.encode(rows), strict=True):
            assert torch.equal(one, other)
        chosen = np.ones((2, len(codec.choices)), np.int64)
        assert np.array_equal(again.actions(chosen), codec.actions(chosen))
