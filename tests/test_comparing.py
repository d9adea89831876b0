"""`decet compare`: what it prints, what it refuses and in which words, exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import decet
from decet import cli
from decet.errors import BadInput
from decet.estimators import fitting
from decet.referee.comparison import Comparison
from decet.referee.contenders import Baseline, Network

SHORT = ["--recipe.epochs", "2", "--recipe.members", "1"]


@pytest.fixture(autouse=True)
def no_folds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Train once, without cross-fitting: how long does not matter here."""
    monkeypatch.setattr(fitting, "FEWEST", 10**9)


def write_people(path: Path) -> Path:
    rng = np.random.default_rng(0)
    ages = rng.integers(18, 80, 60)
    lines = [f"{age},{i % 6},{'yes' if age > 50 else 'no'}" for i, age in enumerate(ages)]
    path.write_text("\n".join(["age,home,rich", *lines]))
    return path


def test_the_table_the_verdict_and_the_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "c"
    assert cli.main(["compare", "table-classifier", "iris", *SHORT, "--out", str(out), "--seed", "3"]) == 0
    shown = capsys.readouterr()
    for word in ("accuracy", "behind", "one row", "DNN", "ResNet", "logistic regression", "gradient boosting"):
        assert word in shown.out
    found = Comparison.read(out)
    assert found.verdict in shown.out
    assert found.seed == 3
    assert found.command == f"decet compare table-classifier iris {' '.join(SHORT)} --out {out} --seed 3"
    assert f"saved in {out}: report.html, comparison.json, and a model folder a family" in shown.err
    assert "logistic regression: accuracy 0." in shown.err
    assert (out / "report.html").stat().st_size > 10_000
    assert decet.verify(out / "ResNet")
    assert cli.main(["compare", "table-classifier", "iris", "--out", str(out)]) == 2
    assert capsys.readouterr().err == (
        f"decet: {out} already holds a comparison. Say --resume, --overwrite, or another --out.\n"
    )


def test_json_families_target_groups_and_settings(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    people = write_people(tmp_path / "people.csv")
    line = ["compare", "table-classifier", str(people), "--target", "rich", "--groups", "home", "--families", "dnn"]
    assert cli.main([*line, *SHORT, "--json", "--class-weight", "balanced", "--inputs.drop", "home"]) == 0
    shown = capsys.readouterr()
    told = json.loads(shown.out)
    assert {r["name"] for r in told["results"] if r["kind"] == "family"} == {"DNN"}
    assert told["facts"]["how"].endswith("groups on one side")
    assert told["facts"]["targets"] == ["rich"]
    assert "nothing was saved. Say --out DIR to keep the models and the report." in shown.err


def test_a_failure_is_told_and_the_code_is_zero(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(self: Network, given: object, terms: object) -> None:
        raise BadInput("it is too dark.")

    monkeypatch.setattr(Network, "fit", failing)
    assert cli.main(["compare", "table-classifier", "iris", "--families", "DNN"]) == 0
    shown = capsys.readouterr()
    assert "failed" in shown.out
    assert "DNN could not be fitted: it is too dark." in shown.err


def test_an_interrupt_ends_with_130_and_resume_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "c"
    fit = Network.fit

    def stopped(self: Network, given: object, terms: object) -> None:
        if self.name == "ResNet":
            raise KeyboardInterrupt
        fit(self, given, terms)  # type: ignore[arg-type]

    line = ["compare", "table-classifier", "iris", *SHORT, "--out", str(out)]
    with monkeypatch.context() as patched:
        patched.setattr(Network, "fit", stopped)
        assert cli.main(line) == 130
    shown = capsys.readouterr()
    assert "interrupted. ResNet is still to come. The same command with --resume goes on." in shown.err
    assert cli.main([*line, "--resume"]) == 0
    assert "ResNet" in capsys.readouterr().out
    assert "--resume" not in json.loads((out / "comparison.json").read_text())["command"]  # how it is asked for anew


def test_an_interrupt_before_anything_leaves_no_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(self: Baseline, given: object, terms: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Baseline, "fit", stopped)
    assert cli.main(["compare", "table-classifier", "iris", "--out", str(tmp_path / "c")]) == 130
    assert capsys.readouterr().err.endswith("decet: interrupted.\n")
    assert not (tmp_path / "c").exists()


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("", "decet compare needs an ESTIMATOR and DATA."),
        ("table-clasifier iris", "there is no estimator 'table-clasifier'. Did you mean 'table-classifier'?"),
        (
            "table-classifier",
            "decet compare table-classifier needs DATA: a path, - for standard input, or a public set.",
        ),
        ("table-classifier iris --families DNN,RseNet", "there is no family 'RseNet'. Did you mean 'ResNet'?"),
        ("table-classifier iris --families CNN", "table-classifier cannot use CNN. It takes DNN (default), ResNet."),
        (
            "table-classifier iris --families Transformer",
            "table-classifier with Transformer is planned, but not there yet.",
        ),
        ("table-classifier iris --families", "--families needs a value."),
        (
            "table-classifier iris --family DNN",
            "compare tries every family of the row. Name some with --families CNN,DNN.",
        ),
        (
            "table-classifier iris --family.depth 2",
            "compare tries every family of the row. Name some with --families CNN,DNN.",
        ),
        ("table-classifier iris --start m", "compare trains everybody from the beginning. Leave --start out."),
        ("table-classifier iris --report", "compare writes its report into --out in any case. Leave --report out."),
        (
            "table-classifier iris --budget 3",
            "--budget 3 s is too little for 4 contenders, 0.75 s each. Give at least 8 s, or name fewer families.",
        ),
        ("table-classifier iris --budget soon", "--budget must be a time above 0, as 90, 90s, 10m or 1h30m."),
        ("table-classifier iris --resume", "--resume needs --out: the folder that holds the run."),
        ("table-classifier iriss", "no such path or public set: 'iriss'. Did you mean 'iris'?"),
        ("table-classifier iris --groups spezies", "names the column 'spezies', which the table does not have."),
    ],
)
def test_what_cannot_work_is_one_sentence(line: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["compare", *line.split()]) == 2
    shown = capsys.readouterr()
    assert message in shown.err
    assert shown.err.count("\n") == 1
    assert shown.out == ""


def test_vectors_that_nothing_judges_are_refused(
    tmp_path: Path, data_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "c"
    assert cli.main(["compare", "word-embedder", "chnsenticorp", "--budget", "3m", "--out", str(out)]) == 2
    assert capsys.readouterr().err == (
        "decet: there is nothing to score vectors of chnsenticorp by: of the 353 pairs of the word tests, which are "
        "English, it has 0, and 20 are needed. Give a file of pairs of its language as the target.\n"
    )
    assert not out.exists()


def test_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["compare", "--help"]) == 0
    shown = capsys.readouterr().out
    for word in (
        "usage: decet compare ESTIMATOR DATA",
        "--families A,B",
        "--budget TIME",
        "--resume",
        "image-classifier",
    ):
        assert word in shown
    assert "--start" not in shown
    assert max(map(len, shown.splitlines())) <= 120
