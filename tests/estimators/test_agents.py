"""Agent: solves the cart and pole in seconds, is saved, goes on after a kill, and tells what cannot be."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium import spaces

import decet
from decet import CNN, DNN, DQN, LSTM, Agent, BadInput, Environments, Recipe
from decet.errors import NotFitted, Unsupported
from decet.training.checkpoint import same_tree

SMALL = DQN(network=DNN(width=32, depth=1, dropout=0.0, embedding="none"), warmup=200)


class Pixels(gymnasium.Env):
    """A light is left or right of the middle; the choice of its side gives 1, five times an episode."""

    observation_space = spaces.Box(0, 255, (10, 10), np.uint8)
    action_space = spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.age = 0
        return self._lit(), {}

    def step(self, action):
        self.age += 1
        gained = float(int(action) == self.side)
        return self._lit(), gained, self.age == 5, False, {}

    def _lit(self):
        self.side = int(self.np_random.integers(2))
        shown = np.zeros((10, 10), np.uint8)
        shown[self.np_random.integers(10), 5 * self.side + self.np_random.integers(5)] = 255
        return shown


class Joints(gymnasium.Env):
    """Two joints and two numbers: each joint is to be where its number is; one step an episode."""

    observation_space = spaces.Box(-1, 1, (2,), np.float32)
    action_space = spaces.Box(-1, 1, (2,), np.float32)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.wanted = self.np_random.choice([-1.0, 0.0, 1.0], 2).astype(np.float32)
        return self.wanted, {}

    def step(self, action):
        return self.wanted, -float(np.abs(self.wanted - action).sum()), True, False, {}


@pytest.fixture(scope="module")
def solved() -> Agent:
    pytest.importorskip("numba")
    return Agent(steps=20_000).fit("CartPole-v1")


def test_the_cart_and_pole_is_solved(solved: Agent) -> None:
    assert solved.metrics_["return"] > 400
    assert solved.metrics_["middle_low"] <= solved.metrics_["middle"] <= solved.metrics_["middle_high"]
    assert solved.history_[-1]["steps"] == 20_000
    assert solved.provenance_["rows"] == 20_000


def test_of_networks_that_did_equally_well_the_one_that_learned_longer_is_kept(solved: Agent) -> None:
    returns = [record["return"] for record in solved.history_]
    assert solved.provenance_["best_epoch"] == len(returns) - returns[::-1].index(max(returns))


def test_an_agent_acts_plays_and_is_judged(solved: Agent) -> None:
    assert solved.act(np.array([0.0, 0.0, 0.15, 1.0], np.float32)) == 1  # a pole that falls to the right
    assert solved.act([0.0, 0.0, -0.15, -1.0]) == 0
    returns = solved.play(episodes=3)
    assert len(returns) == 3
    assert returns == solved.play(episodes=3)
    assert returns != solved.play(episodes=3, seed=5) or min(returns) == 500
    assert solved.evaluate(episodes=20)["length"] > 300
    assert solved.score() == solved.evaluate()["return"]
    assert solved.values(np.zeros((2, 4), np.float32)).shape == (2, 1, 2)
    environment = gymnasium.make("CartPole-v1")
    assert solved.evaluate(environment, episodes=2)["return"] > 200


def test_an_agent_is_saved_verified_and_loaded(solved: Agent, tmp_path: Path) -> None:
    solved.save(tmp_path / "m")
    assert decet.verify(tmp_path / "m"), str(decet.verify(tmp_path / "m"))
    again = decet.load(tmp_path / "m")
    assert again.evaluate(episodes=10) == solved.evaluate(episodes=10)
    assert again.family_ == solved.family_
    assert again.family_.network.width == 128


def test_the_same_seed_gives_the_same_bits() -> None:
    one, two, other = (Agent(SMALL, steps=1_500, seed=seed).fit("CartPole-v1") for seed in (0, 0, 1))
    assert same_tree(one.learner_.state_dict(), two.learner_.state_dict())
    assert not same_tree(one.learner_.state_dict(), other.learner_.state_dict())


def test_pictures_and_joints_are_learned() -> None:
    seen = DQN(warmup=200, follow=50, ratio=0.5)
    lights = Agent(seen, steps=2_500, discount=0.0, recipe=Recipe(lr=3e-3), inputs=Environments(frames=1)).fit(Pixels)
    assert lights.evaluate(Pixels, episodes=20)["return"] > 4.0  # of 5, chance 2.5
    last = lights.history_[-1]
    assert last["expected"] == pytest.approx(last["given"], abs=0.1)  # a light that is hit gives 1
    assert last["lower quartile"] <= last["return"] <= 5.0
    joints = Agent(SMALL, steps=6_000, recipe=Recipe(lr=3e-3)).fit(Joints)
    assert joints.evaluate(Joints, episodes=50)["return"] > -0.3  # chance -1.8
    assert joints.act([1.0, -1.0]).tolist() == [1.0, -1.0]


def test_a_picture_whose_channels_come_first_is_told_to_be_read_as_a_vector() -> None:
    class Turned(Joints):
        observation_space = spaces.Box(0, 255, (3, 40, 40), np.uint8)

        def reset(self, *, seed=None, options=None):
            super().reset(seed=seed)
            return np.zeros((3, 40, 40), np.uint8), {}

        def step(self, action):
            return np.zeros((3, 40, 40), np.uint8), *super().step(action)[1:]

    with pytest.warns(decet.DataWarning, match="4,800 numbers are read as a vector: a picture has rows, columns"):
        model = Agent(SMALL, steps=400).fit(Turned)
    assert model.warnings_


def test_a_saved_agent_is_gone_on_from(solved: Agent, tmp_path: Path) -> None:
    solved.save(tmp_path / "m")
    more = Agent(steps=1_200).fit("CartPole-v1", start=tmp_path / "m")
    assert more.taken_ == len(solved.learner_.state_dict())
    assert more.metrics_["return"] > 100


KILLED = """
import json, sys, time
from decet import Agent, DNN, DQN, Environments
from decet.training import loop
loop.WRITE_SECONDS = 0.0
net = DNN(width=32, depth=1, dropout=0.0, embedding="none")
said = {"network": net, "warmup": 200, "memory": 600} | json.loads(sys.argv[4])
def slow(record): time.sleep(float(sys.argv[2]))
Agent(DQN(**said), steps=6_000, inputs=Environments(workers=2 * ("v1" not in sys.argv[3]))).fit(
    "Blackjack-v1" if sys.argv[3] == "Blackjack" else sys.argv[3], out=sys.argv[1], resume=True, on_epoch=slow)
"""


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("CartPole-v1", {}),
        ("CartPole-v1", {"priority": 0.6, "noisy": 0.5, "dueling": True, "quantiles": 5}),
        ("CartPole-v1", {"memory": 0, "warmup": 0, "lookahead": 16}),
        ("Blackjack-v1", {}),
        ("Blackjack", {}),
    ],
    ids=["memory", "rainbow", "parallel", "copies", "workers"],
)
def test_a_killed_run_ends_with_the_bits_of_an_unbroken_one(name: str, said: dict, tmp_path: Path) -> None:
    """Blackjack is played by copies of Gymnasium's own, whose episodes are played again; the ring lies in files."""
    run, said = [sys.executable, "-c", KILLED], json.dumps(said)
    subprocess.run([*run, str(tmp_path / "whole"), "0", name, said], check=True, capture_output=True)
    broken = subprocess.Popen([*run, str(tmp_path / "broken"), "0.4", name, said], stderr=subprocess.DEVNULL)
    state = tmp_path / "broken" / "checkpoint" / "state.safetensors"
    deadline = time.monotonic() + 60
    while not state.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(1.5)
    os.kill(broken.pid, signal.SIGKILL)
    broken.wait()
    assert state.exists()
    assert not (tmp_path / "broken" / "model.json").exists()
    subprocess.run([*run, str(tmp_path / "broken"), "0", name, said], check=True, capture_output=True)
    one, two = (decet.load(tmp_path / which) for which in ("whole", "broken"))
    assert same_tree(one.learner_.state_dict(), two.learner_.state_dict())
    assert [h["return"] for h in one.history_] == [h["return"] for h in two.history_]
    assert not (tmp_path / "broken" / "checkpoint").exists()


def test_a_budget_ends_a_run_in_time() -> None:
    started = time.monotonic()
    model = Agent(SMALL).fit("CartPole-v1", budget=3.0)
    assert time.monotonic() - started < 5.0
    assert model.provenance_["rows"] > 1_000


def test_a_budget_shorter_than_the_warm_up_is_told() -> None:
    with pytest.raises(BadInput, match=r"a budget of 0.001 s ends before learning begins: making ready took"):
        Agent(SMALL).fit("CartPole-v1", budget=0.001)
    with pytest.raises(BadInput, match=r"the warm-up of 900,000,000 steps at random takes about"):
        Agent(replace(SMALL, warmup=900_000_000)).fit("CartPole-v1", budget=5.0)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Agent(steps=500).fit("CartPole-v1"), "500 steps are too few: 1,000 are played at random first"),
        (lambda: Agent(recipe=Recipe(epochs=3)).fit("CartPole-v1"), "recipe.steps and recipe.epochs are of learning"),
        (lambda: Agent().fit("CartPole-v1", [1]), "an environment has no answers"),
        (lambda: Agent().fit("CartPol-v1"), "Did you mean 'CartPole-v1'"),
        (lambda: Agent().fit("CartPole-v1", steps=0), "0 steps are too few"),
        (lambda: Agent().fit("CartPole-v1", steps=-1), "steps must be"),
    ],
)
def test_what_cannot_be_is_told_before_anything_is_played(make, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        make()


def test_a_memory_larger_than_the_machines_is_told_with_what_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("decet.estimators.agents.free_memory", lambda: 1_000_000)
    with pytest.raises(
        BadInput,
        match=r"replay memory of 100,000 steps needs 0.0 GB and 0.0 GB are free of memory .*: about 37,... steps",
    ):
        Agent(steps=200_000).fit("CartPole-v1")


def test_an_environment_that_fails_in_the_middle_leaves_what_was_learned(tmp_path: Path) -> None:
    class Breaks(Joints):
        count = 0

        def step(self, action):
            Breaks.count += 1
            if Breaks.count > 2_600:
                raise RuntimeError("the arm fell off")
            return super().step(action)

    with pytest.raises(BadInput, match="Breaks, copy .*, step 1, raised RuntimeError: the arm fell off"):
        Agent(SMALL, steps=5_000).fit(Breaks, out=tmp_path / "m")
    assert (tmp_path / "m" / "checkpoint" / "state.safetensors").exists()


def test_an_agent_is_asked_what_it_can_answer(solved: Agent) -> None:
    with pytest.raises(NotFitted):
        Agent().act([0.0] * 4)
    with pytest.raises(BadInput, match=r"the observation shows shape \(3,\); its space says \(4,\)"):
        solved.act([0.0] * 3)
    with pytest.raises(BadInput, match="not finite"):
        solved.act([0.0, np.nan, 0.0, 0.0])
    with pytest.raises(BadInput, match=r"MountainCar-v0 shows \(2,\); the agent learned in CartPole-v1"):
        solved.evaluate("MountainCar-v0")
    with pytest.raises(BadInput, match="episodes"):
        solved.play(episodes=0)
    with pytest.raises(Unsupported, match="an agent acts"):
        solved.records(np.zeros((1, 4)))
    with pytest.raises(BadInput, match=r"observations have shape \(N, 4\). Received: \(2, 3\)"):
        solved.values(np.zeros((2, 3)))
    with pytest.raises(BadInput, match="a memory of 20 steps is too small: 96 are needed"):
        Agent(DQN(memory=20), steps=3_000).fit("CartPole-v1")
    solved.provenance_["data"] = "some_package:CartPole-v1"  # as a downloaded folder may say
    with pytest.raises(BadInput, match="of a package of its own: give it again, if you trust it"):
        solved.play()
    solved.provenance_["data"] = "CartPole-v1"
    own = Agent(SMALL, steps=400).fit(Joints)
    with pytest.raises(BadInput, match="Joints was given as an object: give it again"):
        own.play()


def test_what_is_not_said_of_the_network_is_as_the_cell_has_it() -> None:
    agent = Agent(DQN(network=DNN(width=24), warmup=64), steps=200, trials=1).fit("CartPole-v1")
    assert agent.family_.network == DNN(width=24, depth=2, norm="layer", dropout=0.0, embedding="none")
    pictures = Agent(DQN(network=CNN(channels=(4,)), warmup=64), steps=200, trials=1).fit(Pixels())
    assert pictures.family_.network == CNN(channels=(4,), norm="none", dropout=0.0)


def test_gradients_may_be_off_around_a_fit() -> None:
    with torch.no_grad():
        Agent(SMALL, steps=400).fit("CartPole-v1")


def test_what_an_agent_played_teaches_another(solved: Agent, tmp_path: Path) -> None:
    returns = solved.play(episodes=30, recorded=tmp_path / "steps.npz", explore=0.3)
    assert len(returns) == 30
    taught = Agent().fit("CartPole-v1", steps=0, recorded=tmp_path / "steps.npz")
    assert taught.metrics_["return"] > 300
    assert taught.provenance_["rows"] == 0  # it played nothing itself
    assert {told["stage"] for told in taught.history_} == {"study"}
    more = Agent(SMALL).fit("CartPole-v1", steps=400, recorded=tmp_path / "steps.npz")
    assert [told["stage"] for told in more.history_][-1] == "play"
    with pytest.raises(BadInput, match="with a memory, and without"):
        Agent(DQN(priority=0.5)).fit("CartPole-v1", recorded=tmp_path / "steps.npz")
    with pytest.raises(BadInput, match=r"observations have shape \(4,\); MountainCar-v0 shows \(2,\)"):
        Agent().fit("MountainCar-v0", recorded=tmp_path / "steps.npz")
    with pytest.raises(BadInput, match="explore is of play that is recorded"):
        solved.play(explore=0.3)
    with pytest.raises(BadInput, match=r"recorded play is an \.npz"):
        solved.play(recorded=tmp_path / "steps.csv")


def test_without_memory_many_copies_teach_the_cart_and_pole() -> None:
    network = DNN(width=64, depth=2, norm="layer", dropout=0.0, embedding="none")
    agent = Agent(replace(DQN.parallel(), network=network), inputs=Environments(copies=32))
    agent.fit("CartPole-v1", steps=60_000)
    assert agent.metrics_["return"] > 250  # random play gives 22
    assert not agent.learner_.copies
    with pytest.raises(BadInput, match=r"lookahead must be 2 or more"):
        Agent(DQN(memory=0, lookahead=1)).fit("CartPole-v1", steps=5_000)
    with pytest.raises(BadInput, match="quantiles needs replay memory"):
        Agent(DQN(memory=0, quantiles=5)).fit("CartPole-v1", steps=5_000)


class Last(gymnasium.Env):
    """Shows a light now and then; the choice that was right is that of the light one step before."""

    observation_space = spaces.Box(-1, 1, (1,), np.float32)
    action_space = spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.age, self.before, self.now = 0, 1, int(self.np_random.integers(2))
        return np.array([2.0 * self.now - 1], np.float32), {}

    def step(self, action):
        reward = float(action == self.before)
        self.age, self.before, self.now = self.age + 1, self.now, int(self.np_random.integers(2))
        return np.array([2.0 * self.now - 1], np.float32), reward, self.age >= 10, False, {}


def test_a_recurrent_network_remembers() -> None:
    agent = Agent(
        DQN(network=LSTM(width=16, depth=1), warmup=200, lookahead=1, ratio=0.5, follow=50),
        discount=0.0, recipe=Recipe(lr=1e-2, batch=64), inputs=Environments(frames=3), trials=5,
    ).fit(Last, steps=1_500)  # fmt: skip
    assert agent.evaluate(Last, episodes=20)["return"] > 8.5  # of 10; who forgets gets 5
    assert agent.act([[-1.0], [1.0], [-1.0]]) == 1
    with pytest.raises(BadInput, match="the agent sees 3 frames: give the newest 3 observations"):
        agent.act([1.0])


class Asked(gymnasium.Env):
    """A light on one side, and a number that says whether this side or the other is asked for."""

    observation_space = spaces.Dict(
        {"eye": spaces.Box(0, 255, (10, 10), np.uint8), "ask": spaces.Box(-1, 1, (1,), np.float32)}
    )
    action_space = spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.age = 0
        return self._shown(), {}

    def _shown(self):
        self.side, self.asked = int(self.np_random.integers(2)), int(self.np_random.integers(2))
        eye = np.zeros((10, 10), np.uint8)
        eye[4:6, 2 + 5 * self.side] = 255
        return {"eye": eye, "ask": np.array([2.0 * self.asked - 1], np.float32)}

    def step(self, action):
        reward, self.age = float((action == self.side) == bool(self.asked)), self.age + 1
        return self._shown(), reward, self.age >= 10, False, {}


def test_numbers_beside_a_picture_are_understood(tmp_path: Path) -> None:
    network = CNN(layers=(8, "flat", "dense64"))
    agent = Agent(
        DQN(network=network, warmup=300, lookahead=1, ratio=0.5), discount=0.0, recipe=Recipe(lr=3e-3),
        inputs=Environments(frames=1), trials=5,
    ).fit(Asked, steps=2_500)  # fmt: skip
    assert agent.evaluate(Asked, episodes=20)["return"] > 9  # of 10; either alone gives 5
    environment = Asked()
    shown, _ = environment.reset(seed=1)
    assert (agent.act(shown) == environment.side) == bool(environment.asked)
    agent.save(tmp_path / "m")
    assert decet.load(tmp_path / "m").act(shown) == agent.act(shown)
    assert decet.verify(tmp_path / "m")
