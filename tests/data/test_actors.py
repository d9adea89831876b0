"""Copies of environments: episodes follow each other, play again from their state; rules that are broken are told."""

from __future__ import annotations

import json
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces

from decet.data.actors import BEGUN, ON, TERMINATED, TRUNCATED, Compiled, Copies, actors_of, met
from decet.data.environment_codec import EnvironmentCodec
from decet.data.environments import Environments, opened
from decet.errors import BadInput


class Steps(gymnasium.Env):
    """Shows how many steps an episode has had, and ends after five; `wrong` says what goes wrong in the third."""

    observation_space = spaces.Box(-1e6, 1e6, (1,), np.float32)
    action_space = spaces.Discrete(2)

    def __init__(self, wrong: Any = None):
        self.wrong, self.age = wrong, 0

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.age = 0
        return np.array([self.np_random.random()], np.float32), {}

    def step(self, action):
        self.age += 1
        if self.age == 3 and self.wrong is not None:
            return self.wrong()
        return np.array([self.age], np.float32), float(action), self.age == 5, False, {}


def actors(wrong: Any = None, count: int = 2) -> Copies:
    return Copies(opened(lambda: Steps(wrong)), count, seed=4)


def test_a_step_after_an_episode_begins_another_and_gives_nothing() -> None:
    played = actors()
    begun = played.shown.copy()
    seen = []
    for _ in range(7):
        rewards = played.step(np.array([1, 0]))
        seen.append((float(played.shown[0, 0]), float(rewards[0]), int(played.flags[0])))
    assert seen[:5] == [(1, 1, ON), (2, 1, ON), (3, 1, ON), (4, 1, ON), (5, 1, TERMINATED)]
    assert seen[5][1:] == (0, BEGUN)
    assert seen[5][0] not in begun
    assert seen[6] == (1, 1, ON)
    assert played.episodes.tolist() == [1, 1]
    assert len(np.unique(begun)) == 2


def test_time_that_is_up_is_no_end() -> None:
    played = Copies(opened(lambda: Steps(), limit=3), 1, seed=0)
    flags = []
    for _ in range(4):
        played.step(np.array([0]))
        flags.append(int(played.flags[0]))
    assert flags == [ON, ON, TRUNCATED, BEGUN]


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        ("CartPole-v1", Compiled),
        ("Pendulum-v1", Compiled),
        ("CartPole-v1", Copies),
        ("Pendulum-v1", Copies),
        (Steps, Copies),
    ],
)
def test_episodes_go_on_from_a_state_as_they_would_have(source: Any, kind: type) -> None:
    if kind is Compiled:
        pytest.importorskip("numba")
    environment = opened(source)
    codec = EnvironmentCodec.of(Environments(), environment)
    chosen = np.random.default_rng(0).integers(0, codec.choices[0], (60, 3, 1))
    one = kind(environment, 3, seed=9)
    for actions in chosen[:37]:
        one.step(codec.actions(actions))
    other = kind(environment, 3, seed=9)
    other.restore(one.state())
    for actions in chosen[37:]:
        assert one.step(codec.actions(actions)).tolist() == other.step(codec.actions(actions)).tolist()
        assert np.array_equal(one.shown, other.shown)
        assert np.array_equal(one.flags, other.flags)


@pytest.mark.parametrize(
    ("name", "package"),
    [
        ("MinAtar/Breakout-v1", "minatar"),
        ("MinAtar/Seaquest-v1", "minatar"),
        ("LunarLander-v3", "Box2D"),
        ("BipedalWalker-v3", "Box2D"),
        ("Hopper-v5", "mujoco"),
        ("FrozenLake-v1", "gymnasium"),
        ("ALE/Breakout-v5", "ale_py"),
    ],
)
def test_games_and_robots_go_on_from_a_state_as_they_would_have(name: str, package: str) -> None:
    pytest.importorskip(package)
    environment = opened(name, limit=60)
    codec = EnvironmentCodec.of(Environments(), environment)
    rng = np.random.default_rng(1)
    one, stood = Copies(environment, 2, seed=9), 0
    for _ in range(3):  # from three places, most of them in a later episode
        for _ in range(70):
            one.step(codec.actions(np.stack([rng.integers(0, choices, 2) for choices in codec.choices], 1)))
        other = Copies(environment, 2, seed=9)
        other.restore(json.loads(json.dumps(one.state())))
        for _ in range(25):
            actions = codec.actions(np.stack([rng.integers(0, choices, 2) for choices in codec.choices], 1))
            assert one.step(actions).tolist() == other.step(actions).tolist()
            assert np.array_equal(one.shown, other.shown)
            assert np.array_equal(one.flags, other.flags)
        stood += int(one.episodes.sum())
    assert stood >= 6


def test_what_an_episode_leaves_behind_is_not_there_in_a_new_object() -> None:
    class Growing(Steps):
        total = 0

        def step(self, action):
            self.total += 1
            shown, *others = super().step(action)
            return shown + np.float32(self.total), *others

    played, again = (actors_of(opened(Growing), Environments(copies=1), 0) for _ in range(2))
    for _ in range(8):
        played.step(np.array([0]))
    with pytest.raises(BadInput, match=r"does not play again as it did.*inputs\.renew"):
        again.restore(played.state())
    played, again = (actors_of(opened(Growing), Environments(copies=1, renew=True), 0) for _ in range(2))
    for _ in range(8):
        played.step(np.array([0]))
    again.restore(played.state())
    assert again.shown.tolist() == played.shown.tolist()


def test_an_environment_that_does_not_play_again_cannot_go_on() -> None:
    class Moody(Steps):
        def step(self, action):
            shown, *others = super().step(action)
            return shown + np.float32(np.random.default_rng().random()), *others

    one = Copies(opened(Moody), 1, seed=0)
    for _ in range(3):
        one.step(np.array([0]))
    with pytest.raises(BadInput, match="Moody, copy 0, episode 0, step 3, does not play again as it did"):
        Copies(opened(Moody), 1, seed=0).restore(one.state())


def raising() -> Any:
    raise RuntimeError("the motor is stuck")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (raising, "Steps, copy 0, episode 0, step 3, raised RuntimeError: the motor is stuck"),
        (
            lambda: (np.zeros(1), 0.0, False, {}),
            r"step must return \(observation, reward, terminated, .* Received: tuple of 4",
        ),
        (lambda: (np.zeros(1), np.nan, False, False, {}), "step 3, gave the reward nan"),
        (lambda: (np.zeros(1), "much", False, False, {}), "step 3, breaks a rule of Gymnasium: a reward must be a num"),
        (lambda: (np.zeros(1), 0.0, None, False, {}), "terminated must be true or false. Received: NoneType"),
        (lambda: (np.array([np.nan]), 0.0, False, False, {}), "step 3, shows what is not finite, in place 0"),
        (lambda: (np.zeros(2), 0.0, False, False, {}), r"step 3, shows shape \(2,\); its space says \(1,\)"),
    ],
)
def test_rules_that_are_broken_are_told_with_the_step(wrong: Any, message: str) -> None:
    played = actors(wrong)
    with pytest.raises(BadInput, match=message):
        for _ in range(3):
            played.step(np.array([0, 0]))


def test_what_lies_outside_its_space_is_told() -> None:
    class Outside(Steps):
        observation_space = spaces.Discrete(3)

        def reset(self, *, seed=None, options=None):
            return 7, {}

    with pytest.raises(BadInput, match="Outside, copy 0, episode 0, step 0, shows 7, which is none of 3 choices"):
        Copies(opened(Outside), 1, seed=0)

    class Words(Steps):
        def reset(self, *, seed=None, options=None):
            return np.array(["left"]), {}

    with pytest.raises(BadInput, match="shows a ndarray where numbers must be"):
        Copies(opened(Words), 1, seed=0)


def test_a_shape_that_changes_from_episode_to_episode_is_told() -> None:
    class Growing(Steps):
        size = 0

        def reset(self, *, seed=None, options=None):
            self.size += 1
            return np.zeros(self.size, np.float32), {}

    played = Copies(opened(Growing), 1, seed=0)
    with pytest.raises(BadInput, match=r"copy 0, episode 1, step 0, shows shape \(2,\); its space says \(1,\)"):
        for _ in range(6):
            played.step(np.array([0]))


def test_a_function_that_gives_one_environment_again_and_again_is_told() -> None:
    one = Steps()
    with pytest.raises(BadInput, match="the function gives the same Steps each time it is called"):
        Copies(opened(lambda: one), 2, seed=0)


def test_a_reset_that_gives_no_pair_is_told() -> None:
    class Old(Steps):
        def reset(self, *, seed=None, options=None):
            return np.zeros(1, np.float32)

    with pytest.raises(
        BadInput,
        match=r"Old, copy 0, episode 0, step 0, breaks a rule of Gymnasium: reset must return \(observation, info\)",
    ):
        Copies(opened(Old), 1, seed=0)


def test_classic_tasks_are_compiled_and_others_are_not() -> None:
    pytest.importorskip("numba")
    assert isinstance(actors_of(opened("CartPole-v1"), Environments(), 0), Compiled)
    assert isinstance(actors_of(opened(gymnasium.make("CartPole-v1")), Environments(), 0), Copies)
    assert actors_of(opened("CartPole-v1"), Environments(copies=3), 0).count == 3


def test_what_is_met_at_random_is_of_many_episodes() -> None:
    environment = opened("CartPole-v1")
    codec = EnvironmentCodec.of(Environments(), environment)
    seen, _ = met(environment, codec, Environments(), seed=0, steps=2_000)
    assert seen.shape == (2_004, 4)
    assert 0.02 < float(seen[:, 0].std()) < 0.5
