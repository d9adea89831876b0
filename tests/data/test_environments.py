"""Environments: found by id, object or function; what they show and take becomes tensors and choices; refusals."""

from __future__ import annotations

import sys

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium import spaces

from decet.contracts import ImageSpec, TableSpec
from decet.data.environments import EnvironmentCodec, Environments, opened
from decet.errors import BadInput, Unsupported


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


def test_an_id_an_object_and_a_function_are_environments() -> None:
    by_id = opened("CartPole-v1")
    assert (by_id.name, by_id.limit, by_id.threshold, by_id.plain, by_id.registered) == (
        "CartPole-v1",
        500,
        475.0,
        True,
        True,
    )
    assert opened("CartPole-v1", limit=20).make(None).spec.max_episode_steps == 20
    by_object = opened(gymnasium.make("CartPole-v1"))
    assert (by_object.name, by_object.limit, by_object.registered) == ("CartPole-v1", 500, False)
    assert by_object.make(None) is not by_object.make(None)
    made = opened(lambda: Made(VECTOR, spaces.Discrete(2)), limit=3)
    assert (made.name, made.limit) == ("Made", 3)
    copy = opened(Made(VECTOR, spaces.Discrete(2)), limit=2).make(None)
    copy.reset()
    assert [copy.step(0)[3] for _ in range(2)] == [False, True]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("CartPole-v7", "there is no environment 'CartPole-v7'. Did you mean 'CartPole-v1'"),
        ("Cartpole", "there is no environment 'Cartpole'. Did you mean"),
        (7, "int is no environment. Give an id"),
        (lambda: 3, "the function made a int, which is no environment"),
        (lambda x: x, "the function that makes the environment failed"),
    ],
)
def test_what_is_no_environment_is_told(source: object, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        opened(source)


def test_an_environment_without_spaces_breaks_a_rule() -> None:
    class Bare(gymnasium.Env):
        pass

    with pytest.raises(BadInput, match="Bare breaks a rule of Gymnasium: it has no observation_space"):
        opened(Bare())


def test_what_is_missing_is_named_with_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "Box2D", None)  # as where it is not installed
    with pytest.raises(BadInput, match=r"LunarLander-v3 needs what is not installed .*decet\[games\]"):
        opened("LunarLander-v3")


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


def test_pictures_beside_other_things_are_refused() -> None:
    mixed = spaces.Dict({"seen": spaces.Box(0, 255, (10, 12, 3), np.uint8), "felt": VECTOR})
    with pytest.raises(Unsupported, match="shows pictures beside other things"):
        codec_of(mixed, spaces.Discrete(2))
    with pytest.raises(Unsupported, match="Made shows a Sequence, which has no fixed size"):
        codec_of(spaces.Sequence(VECTOR), spaces.Discrete(2))


def test_an_environment_in_a_wrapper_of_ones_own_is_copied() -> None:
    class Halved(gymnasium.ObservationWrapper):
        def observation(self, shown):
            return shown / 2

    made = opened(Halved(gymnasium.make("CartPole-v1"))).make(None)
    assert isinstance(made, Halved)
    assert made.reset(seed=0)[0].shape == (4,)


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
        (spaces.Tuple([spaces.Discrete(2)]), "the actions of Made are Tuple, and decet acts in Discrete"),
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


def test_a_codec_is_restored_from_its_state() -> None:
    for observations, actions in (
        (VECTOR, spaces.Box(-2.0, 2.0, (2,), np.float32)),
        (spaces.Box(0, 255, (10, 12), np.uint8), spaces.Discrete(3, start=1)),
    ):
        codec = codec_of(observations, actions, bins=4)
        said, arrays = codec.state()
        again = EnvironmentCodec.restore(said, arrays)
        assert (again.spec, again.answer, again.environments) == (codec.spec, codec.answer, codec.environments)
        rows = codec.sample(6, 1)
        for one, other in zip(codec.encode(rows), again.encode(rows), strict=True):
            assert torch.equal(one, other)
        chosen = np.ones((2, len(codec.choices)), np.int64)
        assert np.array_equal(again.actions(chosen), codec.actions(chosen))


@pytest.mark.parametrize("said", [{"copies": 0}, {"frames": 0}, {"bins": 1}, {"limit": 0}])
def test_settings_that_cannot_be_are_refused(said: dict) -> None:
    with pytest.raises(BadInput, match=next(iter(said))):
        Environments(**said)
