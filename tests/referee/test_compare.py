"""compare: the same rows for all, test rows apart, who fails stops nobody, what is kept, what is refused at once."""

from __future__ import annotations

import json
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_diabetes, load_digits, load_iris

import decet
from decet import DNN, Agent, ImageClassifier, Recipe, ResNet, TableClassifier, TableRegressor, TextClassifier
from decet.errors import BadInput, Unsupported
from decet.estimators import fitting
from decet.estimators.reading import DataWarning
from decet.estimators.saved import Verification
from decet.referee.compare import compare
from decet.referee.comparison import Comparison
from decet.referee.contenders import Baseline, Network

SHORT = Recipe(epochs=2, members=1)
TINY = DNN(width=8, depth=1)
pytestmark = pytest.mark.filterwarnings("ignore::decet.DataWarning")


@pytest.fixture(autouse=True)
def no_folds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Train once, without cross-fitting: how long does not matter here."""
    monkeypatch.setattr(fitting, "FEWEST", 10**9)


@pytest.fixture(scope="module")
def iris(tmp_path_factory: pytest.TempPathFactory) -> tuple[Comparison, Path]:
    out = tmp_path_factory.mktemp("compare") / "c"
    with warnings.catch_warnings(), pytest.MonkeyPatch.context() as patched:
        warnings.simplefilter("ignore")
        patched.setattr(fitting, "FEWEST", 10**9)
        return compare(TableClassifier(recipe=SHORT), "iris", out=out, command="decet compare"), out


# ------------------------------------------------------------------------------------------------- what comes out


def test_every_family_and_every_baseline_has_its_figures(iris: tuple[Comparison, Path]) -> None:
    found, _ = iris
    kinds = {result.name: result.kind for result in found.results}
    assert kinds == {
        "DNN": "family",
        "ResNet": "family",
        "logistic regression": "baseline",
        "gradient boosting": "baseline",
        "the most common class": "floor",
    }
    scores = [result.score.value for result in found.results]
    assert scores == sorted(scores, reverse=True)
    for result in found.results:
        assert result.score.low <= result.score.value <= result.score.high
        assert result.metrics["accuracy"] == pytest.approx(result.score.value)
        assert result.behind.value == pytest.approx(scores[0] - result.score.value)
        assert min(result.seconds, result.latency, result.rate, result.megabytes) > 0
        assert result.rows == found.facts["train"] == 150 - found.facts["test"]
    assert found.best.behind.low == found.best.behind.high == 0
    assert found.results[-1].metrics["accuracy"] == pytest.approx(1 / 3, abs=0.1)
    assert found.verdict
    assert found.facts["how"] == "20 % of the rows, set aside in proportion to the classes, copies on one side"
    assert sum(found.facts["classes"].values()) == found.facts["train"]
    assert any("repeat an earlier row" in sentence for sentence in found.warnings)


def test_the_folder_holds_models_figures_and_the_page(iris: tuple[Comparison, Path]) -> None:
    found, out = iris
    assert sorted(p.name for p in out.iterdir()) == ["DNN", "ResNet", "comparison.json", "report.html"]
    assert decet.verify(out / "DNN")
    model = decet.load(out / found.best_family.name)
    assert type(model.family_).__name__ == found.best_family.name
    assert model.target_names_ == ("species",)
    assert model.evaluate("iris")["accuracy"] > 0.3
    told = json.loads((out / "comparison.json").read_text())
    assert told["verdict"] == found.verdict
    assert told["command"] == "decet compare"
    page = (out / "report.html").read_text()
    assert found.verdict[:60] in page
    assert found.model.predict(load_iris(as_frame=True).data[:2]).shape == (2,)


def test_the_same_seed_gives_the_same_figures() -> None:
    X, y = load_diabetes(return_X_y=True)
    one, other = (compare(TableRegressor(recipe=SHORT), X[:100], y[:100], families=[TINY]) for _ in range(2))
    assert [r.score for r in one.results] == [r.score for r in other.results]
    third = compare(TableRegressor(recipe=SHORT), X[:100], y[:100], families=[TINY], seed=1)
    assert [r.score for r in third.results] != [r.score for r in one.results]
    assert one.metric == "r2"


def test_the_same_family_may_compete_with_itself(tmp_path: Path) -> None:
    X, y = load_iris(return_X_y=True)
    found = compare(TableClassifier(recipe=SHORT), X, y, families=["DNN", TINY], out=tmp_path / "c")
    assert {"DNN", "DNN 2"} <= {r.name for r in found.results}
    assert decet.load(tmp_path / "c" / "DNN-2").family_.width == 8


def test_pictures_and_texts() -> None:
    digits = load_digits()
    found = compare(
        ImageClassifier(recipe=SHORT), digits.images[:150].astype(np.uint8), digits.target[:150], families=[TINY]
    )
    assert len(found.results) == 6
    texts = [f"{word} number {i}" for i in range(30) for word in ("good fine", "bad poor")]
    found = compare(TextClassifier(recipe=SHORT), texts, ["good", "bad"] * 30, families=[TINY])
    assert found.results[0].score.value == 1.0
    assert {r.kind for r in found.results} == {"family", "baseline", "floor"}


# ---------------------------------------------------------------------------------- failures, interrupts, resuming


def test_who_fails_stops_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    fit = Network.fit

    def refusing(self: Network, given: Any, terms: Any) -> None:
        if self.name == "ResNet":
            raise BadInput("training diverged.")
        fit(self, given, terms)

    def failing(self: Baseline, given: Any, terms: Any) -> None:
        raise ValueError("no  such\nthing")

    monkeypatch.setattr(Network, "fit", refusing)
    monkeypatch.setattr(Baseline, "fit", failing)
    found = compare(TableClassifier(recipe=SHORT), "iris")
    told = {r.name: r.error for r in found.results}
    assert told["ResNet"] == "training diverged."
    assert told["logistic regression"] == "ValueError: no such thing"
    assert told["DNN"] is None
    assert found.verdict.startswith("DNN alone was measured")
    assert "ResNet" in found.verdict.split(". ")[-1]


def interrupting(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Ctrl-C when this contender begins."""
    fit = Network.fit

    def stopped(self: Network, given: Any, terms: Any) -> None:
        if self.name == name:
            raise KeyboardInterrupt
        fit(self, given, terms)

    monkeypatch.setattr(Network, "fit", stopped)


def test_an_interrupted_comparison_keeps_what_is_done_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, iris: tuple[Comparison, Path]
) -> None:
    whole, _ = iris
    out = tmp_path / "c"
    with monkeypatch.context() as patched:
        interrupting(patched, "ResNet")
        found = compare(TableClassifier(recipe=SHORT), "iris", out=out)
    assert found.interrupted
    assert found.waiting == ["ResNet"]
    assert len(found.results) == 4
    assert found.verdict.startswith("The comparison was interrupted")
    assert (out / "report.html").exists()
    with pytest.raises(BadInput, match="already holds a comparison. Say --resume, --overwrite, or another --out."):
        compare(TableClassifier(recipe=SHORT), "iris", out=out)
    with pytest.raises(BadInput, match=r"the comparison in .* is another one: settings differ"):
        compare(TableClassifier(recipe=Recipe(epochs=3)), "iris", out=out, resume=True)
    before = (out / "DNN" / "model.json").stat().st_mtime_ns
    told = json.loads((out / "comparison.json").read_text())
    (out / "comparison.json").write_text(json.dumps(told | {"seconds": 1_000.0}))
    again = compare(TableClassifier(recipe=SHORT), "iris", out=out, resume=True)
    assert (out / "DNN" / "model.json").stat().st_mtime_ns == before
    assert [(r.name, r.score) for r in again.results] == [(r.name, r.score) for r in whole.results]
    assert not again.interrupted
    assert again.waiting == []
    assert not (out / "answers.safetensors").exists()
    assert again.seconds > 1_000  # of both calls
    finished = compare(TableClassifier(recipe=SHORT), "iris", out=out, resume=True)
    assert finished.to_dict() == again.to_dict()
    assert finished.model.predict(load_iris(as_frame=True).data[:1]).shape == (1,)


@pytest.mark.parametrize("harm", [shutil.rmtree, lambda folder: (folder / "model.json").write_text("{}")])
def test_a_model_that_is_gone_or_damaged_is_fitted_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, harm: Callable[[Path], Any]
) -> None:
    out = tmp_path / "c"
    with monkeypatch.context() as patched:
        interrupting(patched, "ResNet")
        compare(TableClassifier(recipe=SHORT), "iris", out=out)
    harm(out / "DNN")
    again = compare(TableClassifier(recipe=SHORT), "iris", out=out, resume=True)
    assert decet.verify(out / "DNN").ok
    assert {r.name for r in again.results if r.kind == "family"} == {"DNN", "ResNet"}


def test_a_winner_that_is_gone_is_not_said_to_be_verified(tmp_path: Path) -> None:
    out = tmp_path / "c"
    found = compare(TableClassifier(recipe=SHORT), "iris", out=out)
    assert found.facts["verified"]
    best = found.best_family
    assert best is not None
    shutil.rmtree(out / str(best.folder))
    with pytest.warns(DataWarning, match=f"the saved model of {best.name} does not verify"):
        again = compare(TableClassifier(recipe=SHORT), "iris", out=out, resume=True)
    assert not again.facts["verified"]
    told = json.loads((out / "comparison.json").read_text())
    assert not told["facts"]["verified"]
    assert sum("does not verify" in sentence for sentence in told["warnings"]) == 1


def test_an_interrupt_in_training_keeps_the_family_so_far(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    about = Network.about
    monkeypatch.setattr(Network, "about", lambda self: about(self) | {"interrupted": self.name == "DNN"})
    found = compare(TableClassifier(recipe=SHORT), "iris", out=tmp_path / "c")
    assert found.interrupted
    assert found.waiting == ["ResNet"]
    assert next(r for r in found.results if r.name == "DNN").interrupted


def test_an_interrupt_before_anything_is_done_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped(self: Baseline, given: Any, terms: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Baseline, "fit", stopped)
    with pytest.raises(KeyboardInterrupt):
        compare(TableClassifier(recipe=SHORT), "iris")


# --------------------------------------------------------------------------------------------------------- budgets


def test_a_budget_is_shared_equally_and_families_get_what_baselines_leave(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shares = {}

    def noted(self: Any, given: Any, terms: Any) -> None:
        shares[self.name] = terms.seconds
        raise BadInput("not now.")

    monkeypatch.setattr(Network, "fit", noted)
    monkeypatch.setattr(Baseline, "fit", noted)
    with pytest.raises(BadInput, match="nobody could be fitted. the most common class: not now."):
        compare(TableClassifier, "iris", budget=100)
    assert set(shares) == {"the most common class", "logistic regression", "gradient boosting", "DNN", "ResNet"}
    for name in ("the most common class", "logistic regression", "gradient boosting"):
        assert shares[name] == pytest.approx(0.95 * 0.9 * 100 / 4, rel=0.05)
    for name in ("DNN", "ResNet"):  # the baselines took no time
        assert shares[name] == pytest.approx(0.95 * 0.9 * 100 / 2, rel=0.05)


def test_without_a_budget_everybody_takes_its_own_time(iris: tuple[Comparison, Path]) -> None:
    found, _ = iris
    assert found.budget is None
    dnn = next(r for r in found.results if r.name == "DNN")
    assert dnn.settings["recipe"]["epochs"] == 2


# --------------------------------------------------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"families": ["DN"]}, "there is no family 'DN'. Did you mean 'DNN'?"),
        ({"families": "CNN"}, "TableClassifier cannot use CNN. It takes DNN (default), ResNet."),
        ({"families": ["DNN", None]}, "families holds None. Leave families out to compare all of the row."),
        ({"families": ["DNN", "dnn"]}, "families names DNN twice, with the same settings. Name each once."),
        ({"families": []}, "families names none. Leave it out to compare all of the row."),
        (
            {"budget": 3},
            "budget 3 s is too little for 4 contenders, 0.75 s each. Give at least 8 s, or name fewer families.",
        ),
        ({"budget": 0}, "budget must be a number of at least 0.001. Received: 0."),
        ({"test": 0.95}, "test must be a number between 0.01 and 0.9. Received: 0.95."),
        ({"resume": True}, "resume and overwrite need out: the folder that holds the comparison."),
        ({"device": "zzz"}, "device 'zzz' cannot be used here (there is no such kind). Try 'cpu', 'cuda' or 'auto'."),
        (
            {"coverage": 0.999},
            "coverage 0.999 needs 999 rows that are not trained on, and there are 120. Ask for at most 0.991.",
        ),
        ({"y": ["a"] * 150}, "y has one class only ('a'): nothing to tell apart."),
        (
            {"X": np.eye(10), "y": [0, 1] * 5},
            "compare needs at least 20 rows, to set some aside for the test. Received: 10.",
        ),
    ],
)
def test_what_cannot_work_is_told_before_work_starts(
    said: dict[str, Any], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Network, "fit", lambda *_: pytest.fail("work has started"))
    monkeypatch.setattr(Baseline, "fit", lambda *_: pytest.fail("work has started"))
    X, y = load_iris(return_X_y=True)
    settings = {name: said[name] for name in said if name in ("device", "coverage")}
    said = {"X": X, "y": y} | {name: value for name, value in said.items() if name not in settings}
    with pytest.raises((BadInput, Unsupported)) as caught:
        compare(TableClassifier(**settings), **said)
    assert str(caught.value) == message


def test_the_estimator_is_one_without_a_family() -> None:
    for wrong in ("TableClassifier", DNN, None):
        with pytest.raises(Unsupported, match=r"compare takes an estimator, as TableClassifier\. Received: "):
            compare(wrong, "iris")
    with pytest.raises(Unsupported, match="compare judges all by the same rows, and an agent has none"):
        compare(Agent, "CartPole-v1")
    with pytest.raises(BadInput, match=r"leave family out, or say families=\[\.\.\.\]"):
        compare(TableClassifier(ResNet()), "iris")
    with pytest.raises(BadInput, match=r"budget and recipe\.epochs both say how long to train; keep one"):
        compare(TableClassifier(recipe=SHORT), "iris", budget=60)


def test_a_folder_in_use_is_left_alone(iris: tuple[Comparison, Path], tmp_path: Path) -> None:
    _, out = iris
    with pytest.raises(BadInput, match="already holds a comparison"):
        compare(TableClassifier, "iris", out=out)
    with pytest.raises(BadInput, match=r"holds a model, not a comparison"):
        compare(TableClassifier, "iris", out=out / "DNN")
    with pytest.raises(BadInput, match="holds a model, not a comparison"):
        compare(TableClassifier, "iris", out=out / "DNN", overwrite=True)
    with decet.artifact.lock(tmp_path), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        compare(TableClassifier(recipe=SHORT), "iris", families=[TINY], out=tmp_path)  # a lock of our own nests
    again = compare(TableClassifier(recipe=SHORT), "iris", families=[TINY], out=tmp_path, overwrite=True)
    assert again.folder == tmp_path


def test_test_rows_that_are_copies_of_rows_to_train_are_told(tmp_path: Path) -> None:
    for part, rows in (("train", range(30)), ("test", range(25, 45))):
        for label, word in (("good", "lovely"), ("bad", "dirty")):
            folder = tmp_path / "reviews" / part / label
            folder.mkdir(parents=True)
            for i in rows:  # five of each label stand in both parts
                (folder / f"{i}.txt").write_text(f"the room was {word} {' '.join(['indeed'] * (i % 45))}")
    quick = TextClassifier(recipe=Recipe(epochs=1))
    found = compare(quick, str(tmp_path / "reviews"), families=["DNN"])
    assert found.facts["how"] == "the official test part"
    assert "10 test rows are copies of rows to train: the figures are a little too good." in found.warnings


def test_the_saved_winner_is_verified(
    iris: tuple[Comparison, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found, out = iris
    assert found.facts["verified"] is True
    assert "gives its golden answers from its files" in (out / "report.html").read_text()
    monkeypatch.setattr("decet.referee.compare.verify", lambda folder: Verification(str(folder)))
    with pytest.warns(decet.DataWarning, match="the saved model of DNN does not verify"):
        compare(TableClassifier(recipe=SHORT), "iris", families=[TINY], out=tmp_path / "c")
    assert "DNN does NOT verify" in (tmp_path / "c" / "report.html").read_text()


def test_a_family_whose_network_breaks_stops_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(network: Network, given: Any, terms: Any) -> None:
        raise RuntimeError("an error of torch's own")

    monkeypatch.setattr(Network, "fit", broken)
    found = compare(TableClassifier(recipe=SHORT), "iris", families=[TINY])
    (failed,) = (result for result in found.results if result.error is not None)
    assert failed.error == "RuntimeError: an error of torch's own"
    assert found.best.kind == "baseline"
