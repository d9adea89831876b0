"""Environments: found by id, object or function, the games of other packages too; what is none is told."""

from __future__ import annotations

import sys

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces
from tests.data.test_environment_codec import VECTOR, Made

from decet.data.environments import Environments, opened
from decet.errors import BadInput


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
        (lambda x: x, "the function that makes the environment failed .*It takes no values"),
        (lambda: 1 / 0, r"the function that makes the environment failed \(ZeroDivisionError: division by zero\)"),
        ("Cart Pole", r"'Cart Pole' cannot be made \(Malformed environment ID.*Did you mean 'CartPole-v1'"),
        ("Hopper-v2", r"'Hopper-v2' cannot be made \(The mujoco v2 and v3 based environments have been moved"),
        (
            "nothing:Robot-v0",
            r"nothing:Robot-v0 needs what is not installed \(No module named 'nothing'.*imported\)\.$",
        ),
        ("Taxi-v3", "there is no environment 'Taxi-v3'. Did you mean 'Taxi-v4'"),
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

    class Sizes(gymnasium.Env):
        observation_space = (2,)

    with pytest.raises(BadInput, match="Sizes breaks a rule of Gymnasium: its observation_space is a tuple"):
        opened(Sizes())


def test_what_is_missing_is_named_with_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("gymnasium.envs.box2d")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "Box2D", None)  # as where it is not installed
    with pytest.raises(BadInput, match=r"LunarLander-v3 needs what is not installed .*decet\[games\]"):
        opened("LunarLander-v3")


def test_an_environment_in_a_wrapper_of_ones_own_is_copied() -> None:
    class Halved(gymnasium.ObservationWrapper):
        def observation(self, shown):
            return shown / 2

    made = opened(Halved(gymnasium.make("CartPole-v1"))).make(None)
    assert isinstance(made, Halved)
    assert made.reset(seed=0)[0].shape == (4,)


@pytest.mark.parametrize(
    "said",
    [{"copies": 0}, {"frames": 0}, {"bins": 1}, {"limit": 0}, {"workers": -1}, {"timeout": 0}, {"renew": "yes"}],
)
def test_settings_that_cannot_be_are_refused(said: dict) -> None:
    with pytest.raises(BadInput, match=next(iter(said))):
        Environments(**said)


def test_games_of_minatar_and_atari_are_known_by_their_ids() -> None:
    pytest.importorskip("minatar")
    game = opened("MinAtar/Breakout-v1")
    assert (game.observations.shape, game.observations.dtype, game.actions.n) == ((10, 10, 4), np.bool_, 3)
    assert (game.registered, game.renewed) == (True, True)
    with pytest.raises(BadInput, match="no environment 'MinAtar/Breakot-v1'. Did you mean 'MinAtar/Breakout-v1'"):
        opened("MinAtar/Breakot-v1")
    with pytest.raises(BadInput, match="Did you mean 'MinAtar/Asterix-v1'"):
        opened("Minatar/Asterix-v1")
    pytest.importorskip("ale_py")
    assert opened("ALE/Pong-v5").observations.shape == (84, 84)
    with pytest.raises(BadInput, match="no environment 'ALE/Pong-v7'. Did you mean 'ALE/Pong-v5'"):
        opened("ALE/Pong-v7")


@pytest.mark.parametrize(("name", "package"), [("MinAtar/Breakout-v1", "minatar.gym"), ("ALE/Pong-v5", "ale_py")])
def test_a_missing_package_of_games_is_named_with_the_extra(
    name: str, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = {key: spec for key, spec in gymnasium.registry.items() if not key.startswith("MinAtar/")}
    monkeypatch.setattr(gymnasium.envs.registration, "registry", known)
    monkeypatch.setattr(gymnasium, "registry", known)
    monkeypatch.setitem(sys.modules, package, None)  # as where it is not installed
    with pytest.raises(BadInput, match=rf"{name} needs what is not installed .*decet\[games\]"):
        opened(name)


def test_an_id_whose_environment_fails_when_it_is_made_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    class Failing(gymnasium.Env):
        def __init__(self, render_mode=None):
            raise OSError("no robot is there")

    gymnasium.register("Robot-v0", Failing)
    try:
        with pytest.raises(BadInput, match=r"'Robot-v0' cannot be made \(.*no robot is there"):
            opened("Robot-v0")
    finally:
        del gymnasium.registry["Robot-v0"]
