"""The page of an agent: figures, curves, what was expected and given, maps, pictures; what is left out and why."""

from __future__ import annotations

from pathlib import Path

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces
from tests.pages.test_page import EVIL, checked

import decet
from decet import DNN, DQN, Agent, Environments
from decet.data.environments import opened
from decet.data.playing import Episodes
from decet.errors import BadInput
from decet.pages.playing import Seen, expectations, learned, told_expectations

SMALL = DQN(network=DNN(width=16, depth=1, dropout=0.0, embedding="none"), warmup=100)
pytestmark = pytest.mark.filterwarnings("ignore")


class Aim(gymnasium.Env):
    """Choose the side on which a point of the plane lies, ten times."""

    observation_space = spaces.Box(-1, 1, (2,), np.float32)
    action_space = spaces.Discrete(2)
    metadata = {"render_modes": ["rgb_array"]}  # noqa: RUF012
    picture = np.zeros((20, 30, 3), np.uint8)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.age = 0
        return self.seen(), {}

    def seen(self):
        self.point = self.np_random.uniform(-1, 1, 2).astype(np.float32)
        return self.point

    def step(self, action):
        gained, self.age = float((self.point[0] > 0) == action), self.age + 1
        return self.seen(), gained, False, self.age == 10, {}

    def render(self):
        return self.picture


class Undrawn(Aim):
    def render(self):
        raise RuntimeError(EVIL)


class Board(Aim):
    """The same, seen as a picture of four channels."""

    observation_space = spaces.Box(0, 255, (8, 8, 4), np.uint8)

    def seen(self):
        super().seen()
        shown = np.zeros((8, 8, 4), np.uint8)
        shown[3, 6 if self.point[0] > 0 else 1, self.age % 4] = 255
        return shown


@pytest.fixture(scope="module")
def agent() -> Agent:
    return Agent(SMALL, steps=1_200, discount=0.9).fit(Aim)


def test_the_page_tells_what_an_agent_is_given_and_what_it_expects(agent: Agent, tmp_path: Path) -> None:
    page = decet.report(agent, Aim, out=tmp_path, command="made by hand").read_text(encoding="utf-8")
    words = checked(page)
    for shown in (
        "Agent with DQN",
        f"In 100 episodes of Aim, played greedily, it is given {agent.evaluate(Aim)['return']:.4g} on average",
        "episodes (up) by their return (across)",
        "return of an episode, by steps",
        "training loss, by steps",
        "What it expected, and what it was given",
        "each step's counted 0.9 times the one before",
        "Time cut 100 of them off, after 10 steps.",
        "it would count 0.35 times its worth there",
        "What it is worth",
        "choice 1",
        "The white line is the path of one episode",
        "step 10",
        "To repeat it",
        "made by hand",
        "width 16",
    ):
        assert shown in words
    assert page.count("<image") == 3  # two maps and a bar of shades
    assert page.count("<img") == 8


def test_what_cannot_be_drawn_is_said(agent: Agent, tmp_path: Path) -> None:
    page = decet.report(agent, Undrawn, out=tmp_path / "r.html").read_text(encoding="utf-8")
    assert "Undrawn could not be drawn (RuntimeError:" in checked(page)
    assert "<img" not in page
    assert "<script" not in page


def test_of_pictures_what_the_network_sees_is_shown(tmp_path: Path) -> None:
    seen = Agent(DQN(warmup=100), steps=300, inputs=Environments(frames=2)).fit(Board)
    page = decet.report(seen, Board, out=tmp_path / "r.html").read_text(encoding="utf-8")
    words = checked(page)
    assert "The newest of 2 pictures that it is shown at once" in words
    assert "What it is worth" not in words
    assert page.count("<img") == 16


def test_a_report_of_an_agent_takes_no_answers_and_needs_its_environment(agent: Agent, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="an environment has no answers"):
        decet.report(agent, Aim, ["a"], out=tmp_path / "r.html")
    with pytest.raises(BadInput, match="was given as an object: give it again"):
        decet.report(agent, out=tmp_path / "r.html")
    with pytest.raises(BadInput, match="the agent learned in Aim"):
        decet.report(agent, Board, out=tmp_path / "r.html")
    assert not (tmp_path / "r.html").exists()


def record(steps: int, expected: float, given: float, rest: float = 0.0) -> dict:
    told = {"epoch": steps // 10, "steps": steps, "expected": expected, "given": given, "rest": rest}
    return told | {"return": given, "return while learning": 0.0, "loss": 1.0}


def test_the_gap_between_what_is_expected_and_given_is_shaded() -> None:
    chart = expectations([record(10, 5.0, 1.0), record(20, 4.0, 2.0)])
    assert [line.name for line in chart.lines] == ["expected", "given"]
    ((outline, _),) = chart.bands
    given, expected = chart.lines[1].points.split(), chart.lines[0].points.split()
    assert outline.split() == [*given, *reversed(expected)]


def test_what_is_cut_off_is_drawn_where_it_counts() -> None:
    few = expectations([record(10, 5.0, 1.0, 0.01), record(20, 4.0, 2.0)])
    much = expectations([record(10, 5.0, 1.0, 2.0), record(20, 4.0, 2.0)])
    assert len(few.lines) == 2
    assert much.lines[2].name == "given, and what it expects after the cut"


def test_models_that_do_not_tell_it_have_no_such_chart() -> None:
    old = {"epoch": 1, "steps": 10, "return": 1.0, "return while learning": 1.0, "loss": 1.0}
    assert expectations([old]) is None
    assert expectations([]) is None
    assert [chart.title for chart in learned([old, old | {"steps": 20}], opened(Aim))] == [
        "return of an episode",
        "training loss",
    ]


def test_the_threshold_is_drawn_where_it_is_near() -> None:
    place = opened("CartPole-v1")
    near, far = ([record(10, 0, 10.0), record(20, 0, top)] for top in (450.0, 20.0))
    assert learned(near, place)[0].lines[-1].name == "counts as solved: 475"
    assert len(learned(far, place)[0].lines) == 2


def test_sentences_on_what_was_expected() -> None:
    ones = np.ones(4)
    whole = Episodes(ones, 10 * ones, 3 * ones, 2 * ones, 0 * ones)
    assert told_expectations(whole, 0.9, soft=False) == ["In the 4 episodes above it expected 3 and was given 2."]
    assert "Munchausen's values" in told_expectations(whole, 0.9, soft=True)[1]
    late = Episodes(ones, 5_000 * ones, ones, ones, np.array([1e-9, 0, 0, 1e-9]))
    assert told_expectations(late, 0.99, soft=False)[1] == (
        "Time cut 2 of them off, after 5,000 steps. What would still have come is not in what is given; so late, it "
        "would hardly count."
    )


def test_what_was_seen_is_thinned_out_evenly() -> None:
    seen = Seen(lambda frames: frames.sum((1, 2)), most=10)
    for moment in range(100):
        assert seen(np.full((3, 2, 1), moment)).tolist() == [2 * moment] * 3
    assert seen.steps == list(range(0, 100, 16))
    assert [int(shown[0, 0]) for shown in seen.shown] == seen.steps
    assert seen.shown[0].shape == (3, 1)
