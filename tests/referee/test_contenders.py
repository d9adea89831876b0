"""Contenders: what baselines of each kind of data read, columns with gaps, the share of a budget, what is measured."""

from __future__ import annotations

import time
import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.datasets import load_digits

from decet import DNN, ImageClassifier, Recipe, TableClassifier, TableRegressor, Tables, TextClassifier
from decet.data.documents import Documents
from decet.estimators.answers import fit_answer
from decet.estimators.base import Estimator
from decet.estimators.reading import Given
from decet.referee import contenders
from decet.referee.contenders import Baseline, Network, Terms, answers_taken, baselines, latency, peak_memory, taken


def fitted(estimator: Estimator, X: Any, y: Any) -> tuple[dict[str, Baseline], Given]:
    """Every baseline of the estimator, fitted on these rows."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        given = estimator._given(X, y, reset=True)
        found = {b.name: b for b in baselines(estimator, given, fit_answer(estimator._asked(), given.answers))}
        for baseline in found.values():
            baseline.fit(given, Terms())
    return found, given


def people(count: int = 80) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    ages = rng.integers(18, 80, count).astype(float)
    frame = pd.DataFrame(
        {"age": ages, "city": rng.choice(["Rome", "Oslo"], count), "note": [f"n{i}" for i in range(count)]}
    )
    frame.loc[3, "age"] = np.nan
    return frame


def test_tables_with_gaps_and_categories() -> None:
    frame = people()
    y = np.where((frame["city"] == "Oslo") ^ (frame["age"] > 99), "yes", "no")
    found, _ = fitted(TableClassifier(), frame, y)
    assert list(found) == ["the most common class", "logistic regression", "gradient boosting"]
    for name in ("logistic regression", "gradient boosting"):
        answers = found[name].answers(frame)
        assert answers.shape == (80, 2)
        assert np.allclose(answers.sum(1), 1)
        assert (np.array(["no", "yes"])[answers.argmax(1)] == y).mean() > 0.95
        assert found[name].about()["rows"] == 80
        assert found[name].about()["megabytes"] > 0


def test_columns_that_the_user_drops_are_not_read() -> None:
    frame = people().assign(answer=lambda f: f["city"])
    y = (frame["city"] == "Oslo").astype(int)
    found, given = fitted(TableClassifier(inputs=Tables(drop=("city", "answer"))), frame, y)
    assert found["logistic regression"].encode(given.rows).shape[1] <= 3


def test_several_numbers_with_gaps() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 3))
    y = np.stack([X[:, 0], 5 + X[:, 1]], 1)
    y[:10, 1] = np.nan
    found, given = fitted(TableRegressor(), X, y)
    assert list(found) == ["the mean", "ridge regression", "gradient boosting"]
    answers = found["ridge regression"].answers(given.rows)
    assert answers.shape == (60, 2)
    assert np.abs(answers[:, 1] - 5 - X[:, 1]).max() < 0.2


def test_several_columns_of_labels_one_of_them_always_the_same() -> None:
    X = np.random.default_rng(0).normal(size=(40, 2))
    y = pd.DataFrame({"a": np.where(X[:, 0] > 0, "p", "q"), "b": ["r", "s", *[None] * 38]})
    found, given = fitted(TableClassifier(), X, y)
    answers = found["logistic regression"].answers(given.rows)
    assert answers.shape == (40, 4)
    assert np.allclose(answers[:, :2].sum(1), 1)
    lone, _ = fitted(TableClassifier(), X, np.stack([y["a"] == "p", np.arange(40) > 38], 1).astype(int))
    assert lone["gradient boosting"].answers(given.rows).shape == (40, 4)


def test_sparse_tables() -> None:
    table = sparse.random(60, 200, 0.1, "csr", random_state=0)
    found, given = fitted(TableClassifier(), table, (np.asarray(table.sum(1)).ravel() > 10).astype(int))
    assert {found[name].answers(given.rows).shape for name in found} == {(60, 2)}


def test_pictures_and_texts() -> None:
    digits = load_digits()
    found, given = fitted(ImageClassifier(), digits.images[:120].astype(np.uint8), digits.target[:120])
    assert len(found) == 5
    assert found["logistic regression on HOG"].answers(given.rows[:3]).shape == (3, 10)
    texts = ["房间很干净", "房间太脏了"] * 10
    found, _ = fitted(TextClassifier(), texts, ["good", "bad"] * 10)
    assert len(found) == 3
    assert "房间" in found["naive Bayes on word counts"].models[0][0].vocabulary_
    answers = found["naive Bayes on word counts"].answers(Documents(["很干净"]))
    assert answers.argmax() == 1


def test_a_kind_of_data_without_baselines_has_the_floor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contenders, "BESIDE", {})
    found, given = fitted(TableClassifier(), np.eye(20), [0, 1] * 10)
    assert list(found) == ["the most common class"]
    assert found["the most common class"].answers(given.rows).tolist() == [[0.5, 0.5]] * 20


class Slow:
    """A model that takes a millisecond a row, and remembers how many it was fitted on."""

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        return {}

    def fit(self, X: np.ndarray, y: np.ndarray) -> Slow:
        time.sleep(1e-3 * len(X))
        self.count, self.classes_ = len(X), np.unique(y)
        return self


@pytest.mark.parametrize(
    ("seconds", "least", "most"), [(None, 400, 400), (10.0, 400, 400), (0.2, 40, 130), (0.06, 40, 40)]
)
def test_a_share_of_the_budget_bounds_the_rows(
    seconds: float | None, least: int, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(contenders, "FIRST", 40)
    answer = fit_answer(TableClassifier()._asked(), [0, 1])
    slow = Baseline("slow", "baseline", Slow(), lambda rows: rows, answer)
    slow.fit(Given(np.arange(400), [0, 1] * 200), Terms(seconds=seconds))
    assert least <= slow.about()["rows"] == slow.models[0].count <= most


def test_a_family_says_what_it_is(tmp_path: Any) -> None:
    X = np.random.default_rng(0).normal(size=(40, 2))
    y = (X[:, 0] > 0).astype(int)
    recipe = Recipe(epochs=1)
    one = Network("DNN", TableClassifier(DNN(width=8, depth=1), recipe=recipe))
    given = one.estimator._given(X, y, reset=True)
    one.fit(given, Terms(out=tmp_path / "DNN"))
    about = one.about()
    assert about["rows"] == 40
    assert about["settings"]["family"]["width"] == 8
    assert about["settings"]["recipe"]["epochs"] == 1
    assert about["folder"] == "DNN"
    assert about["megabytes"] == pytest.approx(sum(p.stat().st_size for p in (tmp_path / "DNN").iterdir()) / 1e6)
    again = Network.loaded("DNN", tmp_path / "DNN")
    assert np.allclose(again.answers(given.rows), one.answers(given.rows), atol=1e-6)
    unsaved = Network("DNN", TableClassifier(DNN(width=8, depth=1), recipe=recipe))
    unsaved.fit(given, Terms())
    assert unsaved.about()["folder"] is None
    assert unsaved.about()["megabytes"] == pytest.approx(about["megabytes"], rel=0.05)
    assert 0 < latency(one, given.rows) < 1_000


def test_memory_is_what_the_process_grew_by() -> None:
    with peak_memory() as found:
        held = np.ones(10_000_000)
        del held
    assert found == [] or 60 < found[0] < 160


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        (["a", {"b"}, "c"], ["c", "a"]),
        (np.array([1, 2, 3]), [3, 1]),
        (pd.Series([1, 2, 3], index=[7, 8, 9]), [3, 1]),
    ],
)
def test_answers_are_taken_in_their_form(answers: Any, expected: list[Any]) -> None:
    found = answers_taken(answers, np.array([2, 0]))
    assert list(found) == expected
    assert type(found) is type(answers)


def test_rows_are_taken_in_their_form() -> None:
    places = np.array([2, 0])
    assert taken(pd.DataFrame({"a": [1, 2, 3]}), places).to_dict("list") == {"a": [3, 1]}
    assert taken(sparse.csr_matrix(np.eye(3)), places).toarray().tolist() == [[0, 0, 1], [1, 0, 0]]
    assert taken(Documents(["a", "b", "c"]), places).texts == ["c", "a"]
