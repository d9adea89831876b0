"""`decet play`: what it prints, what it films, what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from decet import DNN, DQN, Agent, TableClassifier
from decet.cli import main


@pytest.fixture(scope="module")
def agent(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("agent") / "p"
    network = DNN(width=32, depth=1, dropout=0.0, embedding="none")
    Agent(DQN(network=network, warmup=200), steps=1_000).fit("CartPole-v1", out=folder)
    return str(folder)


def test_returns_are_told_an_episode_a_line(agent: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["play", agent, "--episodes", "2"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines] == ["episode 1", "episode 2"]
    assert main(["play", agent, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["episode"] == 1
    assert f"episode 1: {told['return']:g}" == lines[0]


def test_an_agent_is_shown_with_its_network(agent: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", agent]) == 0
    told = capsys.readouterr().out
    network = "network DNN (width 32, depth 1, embedding none, norm layer, dropout 0.0), double True"
    assert told.startswith("Agent of CartPole-v1\n")
    assert f"\nfamily DQN: {network}" in told
    assert "\nfigures (episodes played greedily, from begins that training never saw):\n" in told
    assert f"\n- family: DQN: {network}" in (Path(agent) / "README.md").read_text(encoding="utf-8")
    assert main(["show", agent, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["family"]["network"]["name"] == "DNN"


def test_an_agent_is_judged_where_it_learned_or_where_it_is_put(agent: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", agent, "--json"]) == 0
    assert {"return", "middle", "middle_low", "middle_high", "length"} <= set(json.loads(capsys.readouterr().out))
    assert main(["evaluate", agent, "Pendulum-v1"]) == 2
    assert "the agent learned in CartPole-v1" in capsys.readouterr().err


def test_what_cannot_be_played_is_told(agent: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    TableClassifier(DNN(width=8, depth=1)).fit([[0.0], [1.0]] * 20, [0, 1] * 20, out=tmp_path / "t")
    for arguments, message in (
        (["play", str(tmp_path / "t")], "holds a table-classifier, which plays nothing"),
        (["play", agent, "--episodes", "0"], "--episodes must be a whole number"),
        (["play", agent, "--video", str(tmp_path / "a.mp4")], "a film is a .gif"),
        (["play", agent, "--explore", "2"], "--explore must be a number between 0.0 and 1.0"),
        (["evaluate", agent, "--split", "test"], "--split is of rows, and an agent is judged by episodes"),
        (["evaluate", agent, "--target", "x"], "--target is of rows, and an agent is judged by episodes"),
        (["evaluate", agent, "--coverage", ".9"], "and an agent has none"),
        (["predict", agent, "--text", "hi"], "is an agent. Give DATA"),
        (["fit", "agent", "CartPole-v1", "--target", "x"], "an environment has no answers. Leave --target out."),
        (["evaluate", str(tmp_path / "t")], "evaluate needs DATA"),
        (["compare", "agent", "CartPole-v1"], "compare judges all by the same rows, and an agent has none"),
        (["fit", "agent", "CartPole-v1", "--steps", "10"], "10 steps are too few"),
    ):
        assert main(arguments) == 2
        assert message in capsys.readouterr().err


def test_a_report_is_written_where_one_is_asked_for(agent: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", agent, "--report"]) == 0
    told = capsys.readouterr()
    page = Path(agent, "report.html").read_text(encoding="utf-8")
    assert f"report in {agent}/report.html" in told.err
    assert f"In 100 episodes of CartPole-v1, played greedily, it is given {float(told.out.split()[1]):.4g}" in page
    assert f"decet evaluate {agent} --report" in page
    assert "pole angle (rad)" in page


def test_a_fit_writes_its_report_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    few = ["--steps", "500", "--family.warmup", "200", "--out", str(tmp_path / "p"), "--report"]
    assert main(["fit", "agent", "CartPole-v1", *few]) == 0
    assert "In 100 episodes of CartPole-v1" in (tmp_path / "p" / "report.html").read_text(encoding="utf-8")


def test_a_film_may_be_a_strip(agent: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("pygame")
    assert main(["play", agent, "--video", str(tmp_path / "a.png")]) == 0
    assert f"the film is {tmp_path / 'a.png'}" in capsys.readouterr().err
    assert (tmp_path / "a.png").read_bytes()[:4] == b"\x89PNG"
