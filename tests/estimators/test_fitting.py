"""What a fit does: rows that are never mixed, honest figures, weights, starts, budgets, folders, resumed runs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import sparse
from torch import nn

import decet
from decet import (
    CNN,
    DNN,
    BadInput,
    DataWarning,
    ImageClassifier,
    Recipe,
    TableClassifier,
    TableRegressor,
    Tables,
)
from decet.estimators import fitting
from decet.training import loop
from decet.training.loop import CHECKPOINT
from decet.training.progress import Quiet

ROOT = Path(__file__).resolve().parents[2]
SMALL, QUICK = DNN(hidden=(8,), dropout=0.0), Recipe(epochs=3, members=1)
EAGER = DNN(hidden=(64, 64), dropout=0.0)  # learns anything by heart
BY_HEART = Recipe(epochs=40, members=1, lr=0.01, weight_decay=0.0, batch=24, schedule="cosine")
RNG = np.random.default_rng(0)
X = RNG.normal(size=(80, 4))
Y = np.where(X[:, 0] + 0.3 * RNG.normal(size=80) > 0, "up", "down")


def classifier(**settings) -> TableClassifier:
    return TableClassifier(SMALL, **{"recipe": QUICK, **settings})


def kept(model) -> list[dict]:
    """The records of the training that is kept, without those of cross-fitting's folds."""
    return [record for record in model.history_ if record["stage"] == "train"]


def untimed(history) -> list[dict]:
    return [{name: value for name, value in record.items() if name != "seconds"} for record in history]


def same_weights(one, other) -> bool:
    a, b = one.learner_.state_dict(), other.learner_.state_dict()
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


class Spy:
    """Notes which rows each call of the loop trained on, and which rows were asked about afterwards."""

    def __init__(self, monkeypatch) -> None:
        self.trained: list[set[int]] = []
        self.asked: list[set[int]] = []
        self.validated: list[set[int]] = []
        train, answers, check = fitting.train, fitting._Fit._answers, fitting._Fit._check
        trust = fitting._Fit._trust

        def watched_train(stages, **settings):
            self.trained.append(set(stages[0].source.rows.tolist()))
            return train(stages, **settings)

        def watched_answers(fit, learner, rows):
            self.asked.append(set(rows.tolist()))
            return answers(fit, learner, rows)

        def watched_trust(fit, learner, choice, rows, calibration):
            if calibration is not None:
                self.asked.append(set(calibration.tolist()))
            return trust(fit, learner, choice, rows, calibration)

        def watched_check(fit, inputs, rows, *rest):
            self.validated.append(set() if rows is None else set(np.asarray(rows).tolist()))
            return check(fit, inputs, rows, *rest)

        monkeypatch.setattr(fitting, "train", watched_train)
        monkeypatch.setattr(fitting._Fit, "_answers", watched_answers)
        monkeypatch.setattr(fitting._Fit, "_trust", watched_trust)
        monkeypatch.setattr(fitting._Fit, "_check", watched_check)


@pytest.fixture
def spy(monkeypatch):
    return Spy(monkeypatch)


@pytest.fixture
def large(monkeypatch):
    """Tables of these tests count as large: rows are set aside instead of cross-fitted."""
    monkeypatch.setattr(fitting, "LARGE", 50)


# ------------------------------------------------------------------------------------------ rows that are never mixed


def test_large_tables_set_validation_and_calibration_rows_aside(large, spy):
    classifier().fit(X, Y)
    (trained,), (calibration, validation) = spy.trained, spy.asked
    assert spy.validated == [validation]
    assert not trained & validation
    assert not trained & calibration
    assert not validation & calibration
    assert trained | validation | calibration == set(range(80))
    assert (len(trained), len(validation), len(calibration)) == (64, 8, 8)


def test_where_a_budget_is_too_short_for_folds_rows_are_set_aside(spy, monkeypatch, tmp_path):
    monkeypatch.setattr(fitting, "too_short", lambda *said: True)
    model = TableClassifier(SMALL, recipe=Recipe(members=1)).fit(X, Y, budget=2.0, out=tmp_path)
    (_, trained), (calibration, validation) = spy.trained, spy.asked
    assert spy.validated[1] == validation
    assert not trained & (validation | calibration)
    assert not validation & calibration
    assert trained | validation | calibration == set(range(80))
    assert (len(trained), len(validation), len(calibration)) == (64, 8, 8)
    assert model.provenance_["validation"] == "rows set aside"
    assert model._trust().rows == 8
    assert decet.verify(tmp_path).ok


def test_so_are_later_rows_of_time_and_whole_groups(spy, monkeypatch):
    monkeypatch.setattr(fitting, "too_short", lambda *said: True)
    short = {"recipe": Recipe(members=1)}
    TableClassifier(SMALL, **short).fit(X, Y, budget=1.0, order=np.arange(80))
    trained, (calibration, validation) = spy.trained[-1], spy.asked[-2:]
    assert len(trained) == 64
    assert max(trained) < min(validation) <= max(validation) < min(calibration)
    TableClassifier(SMALL, **short).fit(X, Y, budget=1.0, groups=np.arange(80) // 16)  # five groups, one a fold
    parts = [{row // 16 for row in rows} for rows in (spy.trained[-1], *spy.asked[-2:])]
    assert sum(map(len, parts)) == 5


def test_a_length_or_a_coverage_that_was_asked_for_keeps_the_folds(spy, monkeypatch):
    monkeypatch.setattr(fitting, "too_short", lambda *said: True)
    TableClassifier(SMALL, recipe=Recipe(members=1), coverage=0.95).fit(X, Y, budget=1.0)
    assert len(spy.trained) == 6


def test_with_validation_rows_of_the_users_own_only_calibration_rows_are_set_aside(large, spy):
    classifier().fit(X, Y, validation=(X[:20], Y[:20]))
    (trained,), (calibration,) = spy.trained, spy.asked
    assert not trained & calibration
    assert trained | calibration == set(range(80))
    assert len(calibration) == 8


def test_small_tables_are_cross_fitted_then_trained_on_all_rows(spy):
    classifier().fit(X, Y)
    assert len(spy.trained) == 6
    assert spy.trained[-1] == set(range(80))
    for trained, held in zip(spy.trained[:5], spy.validated, strict=True):
        assert trained | held == set(range(80))
        assert not trained & held
    assert set.union(*spy.validated) == set(range(80))
    assert sum(map(len, spy.validated)) == 80


def test_statistics_come_from_training_rows_only(large, spy):
    model = classifier().fit(X, Y)
    rows = sorted(spy.trained[0])
    assert model.codec_.scalings[0].mean == pytest.approx(X[rows, 0].mean(), rel=1e-9)


def _copies(count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows that each occur four times, with labels that have nothing to do with them; and whose copies they are."""
    rng = np.random.default_rng(2)
    rows, labels = rng.normal(size=(count, 6)), rng.integers(0, 2, count)
    owner = rng.permutation(np.repeat(np.arange(count), 4))
    return rows[owner], labels[owner], owner


def test_copies_stay_on_one_side_so_that_knowing_by_heart_gains_nothing():
    rows, labels, _ = _copies(24)
    with pytest.warns(DataWarning, match="72 of 96 rows repeat an earlier row"):
        model = TableClassifier(EAGER, recipe=BY_HEART).fit(rows, labels)
    assert model.score(rows, labels) > 0.9  # it knows them
    assert model.metrics_["accuracy"] < 0.8  # but says what it is worth on rows that it never saw


def test_copies_stay_on_one_side_of_a_large_table_too(large, spy):
    rows, labels, owner = _copies(40)
    with pytest.warns(DataWarning, match="120 of 160 rows repeat an earlier row"):
        classifier().fit(rows, labels)
    parts = [{owner[row] for row in part} for part in (*spy.trained, *spy.asked)]
    assert sum(map(len, parts)) == len(set.union(*parts)) == 40


def test_groups_stay_on_one_side():
    rows, labels, owner = _copies(24)
    rows = rows + 1e-3 * RNG.normal(size=rows.shape)  # nearly copies
    flattered = TableClassifier(EAGER, recipe=BY_HEART).fit(rows, labels)
    honest = TableClassifier(EAGER, recipe=BY_HEART).fit(rows, labels, groups=owner)
    assert flattered.metrics_["accuracy"] > 0.9
    assert honest.metrics_["accuracy"] < 0.8


def test_groups_may_be_named_by_their_column(spy):
    owner = np.repeat(np.arange(16), 5)
    classifier().fit(pd.DataFrame(X).assign(patient=owner, label=Y), "label", groups="patient")
    for trained, held in zip(spy.trained[:5], spy.validated, strict=True):
        assert not {owner[row] for row in trained} & {owner[row] for row in held}


@pytest.mark.parametrize("size", ["small", "large"])
def test_by_order_the_past_trains_and_the_future_validates(size, spy, monkeypatch):
    monkeypatch.setattr(fitting, "LARGE", 50 if size == "large" else 5_000)
    times = RNG.permutation(80)
    classifier().fit(X, Y, order=times)
    folds = zip(spy.trained, spy.validated, strict=False)
    for trained, held in list(folds)[:5]:
        assert max(times[list(trained)]) < min(times[list(held)])


def test_a_table_of_a_few_distinct_rows_can_be_learned(large):
    rows, labels = np.tile([[0.0], [1.0]], (40, 1)), np.tile(["a", "b"], 40)
    with pytest.warns(DataWarning, match="78 of 80 rows repeat an earlier row"):
        model = classifier(recipe=Recipe(epochs=20, lr=0.05, members=1)).fit(rows, labels)
    assert model.score(rows, labels) == 1.0


def test_a_class_of_a_single_row_does_not_cost_the_others_their_cross_fitting(spy):
    labels = np.where(np.arange(80) == 7, "alone", Y)
    model = classifier().fit(X, labels)
    assert len(spy.trained) == 6
    assert model.provenance_["validation"] == "5-fold cross-fitting"
    assert model.metrics_["accuracy"] > 0.3
    assert model.classes_.tolist() == ["alone", "down", "up"]


def test_too_few_rows_are_trained_without_figures():
    model = classifier().fit(X[:10], Y[:10])
    assert model.metrics_ == {}
    assert model.provenance_["validation"] == "too few rows to hold any out"


@pytest.mark.parametrize("recipe", [Recipe(members=1, lr=0.01, steps=5), QUICK])
def test_the_model_says_how_its_figures_were_found(recipe):
    assert classifier(recipe=recipe).fit(X, Y).provenance_["validation"] == "5-fold cross-fitting"


def test_the_model_says_whose_rows_were_held_out(large):
    assert classifier().fit(X, Y).provenance_["validation"] == "rows set aside"
    own = classifier().fit(X, Y, validation=(X[:20], Y[:20]))
    assert own.provenance_["validation"] == "rows given"


# ------------------------------------------------------------------------------------------------- how long to train


def test_cross_fitting_chooses_the_epochs_where_the_user_does_not():
    noise = RNG.integers(0, 2, 80)
    recipe = Recipe(members=1, lr=0.03, batch=16)
    model = TableClassifier(EAGER, recipe=recipe).fit(X, noise)
    planned = model.row[0].advise(model.codec_.spec, 80, None)[1].epochs
    assert model.recipe_.epochs == len(kept(model)) == model.provenance_["best_epoch"]
    assert model.recipe_.epochs < planned / 2  # learning noise by heart soon makes things worse
    assert classifier().fit(X, Y).recipe_.epochs == QUICK.epochs


@pytest.mark.parametrize("budget", [None, 30.0])
def test_the_cell_is_told_the_budget(budget, monkeypatch):
    told = []
    (cell, *_) = TableClassifier.row

    def advise(spec, rows, budget):
        told.append(budget)
        return cell.advise(spec, rows, budget)

    monkeypatch.setattr(TableClassifier, "row", (replace(cell, advise=advise),))
    TableClassifier(EAGER).fit(X[:12], Y[:12], budget=budget)
    assert set(told) == {budget}


def test_the_best_epoch_of_validation_rows_is_kept(large):
    noise = RNG.integers(0, 2, 80)
    recipe = Recipe(epochs=30, patience=30, members=1, lr=0.03, batch=16)
    model = TableClassifier(EAGER, recipe=recipe).fit(X, noise)
    losses = [record["log_loss"] for record in model.history_]
    assert model.provenance_["best_epoch"] == 1 + int(np.argmin(losses)) < 30


def test_the_users_validation_rows_choose_the_best_epoch_of_a_small_table_too():
    noise = RNG.integers(0, 2, 80)
    model = TableClassifier(EAGER, recipe=Recipe(epochs=30, members=1, lr=0.03, batch=16))
    model.fit(X[:60], noise[:60], validation=(X[60:], noise[60:]))
    losses = [record["log_loss"] for record in model.history_]
    assert min(losses) < losses[-1] - 0.1
    assert model.provenance_["best_epoch"] == 1 + int(np.argmin(losses))
    assert model.evaluate(X[60:], noise[60:])["log_loss"] == pytest.approx(min(losses), rel=1e-3)


def test_the_users_metric_decides(large):
    recipe = Recipe(epochs=20, patience=20, members=1, lr=0.03, metric="accuracy")
    model = TableClassifier(SMALL, recipe=recipe).fit(X, Y)
    accuracies = [record["accuracy"] for record in model.history_]
    assert "log_loss" in model.history_[0]  # the task's first metric is shown beside it
    assert model.provenance_["best_epoch"] == 1 + int(np.argmax(accuracies))


def test_calibration_makes_a_boasting_network_modest():
    noisy = np.where(RNG.random(80) < 0.3, RNG.permutation(Y), Y)
    model = TableClassifier(EAGER, recipe=BY_HEART).fit(X, noisy)
    assert float(model.learner_.temperature) > 1.5
    sure = model.predict_proba(X).max(1).mean()
    model.learner_.temperature.fill_(1.0)
    assert sure < model.predict_proba(X).max(1).mean()


# ------------------------------------------------------------------------------------------------- answers and weights


def test_rows_of_weight_0_teach_nothing():
    y = (X[:, 0] > 0).astype(int)
    wrong = np.arange(80) % 2 == 0
    spoilt = np.where(wrong, 1 - y, y)
    recipe = Recipe(epochs=20, lr=0.04, members=1)
    weighted = classifier(recipe=recipe).fit(X, spoilt, sample_weight=np.where(wrong, 0.0, 3.0))
    assert weighted.score(X, y) > 0.9
    assert classifier(recipe=recipe).fit(X, spoilt).score(X, y) < 0.8


def test_weights_of_one_size_change_nothing_but_the_last_digits():
    plain, weighted = classifier().fit(X, Y), classifier().fit(X, Y, sample_weight=np.full(80, 7.0))
    np.testing.assert_allclose(plain.predict_proba(X), weighted.predict_proba(X), atol=1e-4)


def _rare() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    y = (np.arange(400) < 40).astype(int)
    return rng.normal(size=(400, 2)) + 1.2 * y[:, None], y


def test_balanced_class_weights_find_more_of_the_rare_class():
    rows, y = _rare()
    recipe = Recipe(epochs=8, lr=0.02, members=1)
    plain, balanced = (
        TableClassifier(SMALL, recipe=recipe, class_weight=weight).fit(rows, y) for weight in (None, "balanced")
    )
    recalls = [(model.predict(rows)[y == 1] == 1).mean() for model in (plain, balanced)]
    assert recalls[1] > recalls[0] + 0.2
    by_hand = TableClassifier(SMALL, recipe=recipe, class_weight={0: 400 / 720, 1: 400 / 80}).fit(rows, y)
    np.testing.assert_allclose(by_hand.predict_proba(rows), balanced.predict_proba(rows), atol=1e-4)


def test_class_weights_and_row_weights_multiply():
    rows, y = _rare()
    both = classifier(class_weight={1: 9.0}).fit(rows, y, sample_weight=np.where(y, 1 / 9, 1.0))
    np.testing.assert_allclose(both.predict_proba(rows), classifier().fit(rows, y).predict_proba(rows), atol=1e-4)


def test_gaps_in_several_columns_are_learned_around():
    truth = pd.DataFrame({"side": np.where(X[:, 0] > 0, "r", "l"), "high": np.where(X[:, 1] > 0, "y", "n")})
    gappy = truth.astype(object)
    gappy.iloc[::3, 0] = None
    gappy.iloc[1::3, 1] = None
    model = classifier(recipe=Recipe(epochs=30, lr=0.04, members=1)).fit(X, gappy)
    answers = model.predict(X)
    assert (answers["side"] == truth["side"]).mean() > 0.85
    assert (answers["high"] == truth["high"]).mean() > 0.85


def test_gaps_in_several_numbers_are_learned_around():
    truth = np.c_[X[:, 0] * 10, X[:, 1] - 500]
    gappy = truth.copy()
    gappy[::3, 0] = np.nan
    model = TableRegressor(SMALL, recipe=Recipe(epochs=30, lr=0.04, members=1)).fit(X, gappy)
    found = model.evaluate(X, truth)
    assert found["r2"] > 0.7
    assert model.evaluate(X, gappy).keys() == found.keys()


def test_a_frame_of_all_kinds_of_columns_is_learned_from():
    frame = pd.DataFrame(
        {
            "number": np.where(RNG.random(80) < 0.2, np.nan, X[:, 0]),
            "category": pd.Categorical(np.where(X[:, 0] > 0, "red", "blue")),
            "text": np.where(X[:, 1] > 0, "a", None),
            "date": pd.date_range("2020-01-01", periods=80, freq="3D"),
            "flag": X[:, 2] > 0,
            "same": 1,
            "code": [f"c{i:04d}" for i in range(80)],
        }
    )
    with pytest.warns(DataWarning) as told:
        model = classifier(recipe=Recipe(epochs=30, lr=0.02, members=1)).fit(frame, Y)
    sentences = [str(warning.message) for warning in told]
    assert any("'code' was left out because each row has a value of its own" in sentence for sentence in sentences)
    assert any("'same' was left out because all rows have the same value" in sentence for sentence in sentences)
    assert model.warnings_ == sentences
    assert model.score(frame, Y) > 0.75


def test_a_column_that_copies_the_answer_is_warned_of():
    with pytest.warns(DataWarning, match="column 'leak' gives the target away"):
        classifier().fit(pd.DataFrame(X).assign(leak=np.where(Y == "up", "x", "z")), Y)


def test_settings_of_the_data_are_used():
    frame = pd.DataFrame(X, columns=list("abcd")).assign(e=np.where(X[:, 0] > 0, 1, 2))
    model = classifier(inputs=Tables(drop=("a",), category=("e",))).fit(frame, Y)
    kinds = {column.name: column.kind for column in model.codec_.columns}
    assert kinds["e"] == "category"
    assert kinds["a"] == "drop"


def test_a_sparse_table_stays_sparse():
    table = sparse.random(80, 1000, density=0.01, format="csr", random_state=0)
    model = classifier().fit(table, Y)
    assert model.codec_.spec.sparse
    assert model.predict(table).shape == (80,)


# -------------------------------------------------------------------------------------------------- what is left behind


def test_what_was_learned_stands_in_attributes():
    model = classifier().fit(pd.DataFrame(X, columns=list("abcd")).assign(y=Y), "y")
    assert model.target_names_ == ("y",)
    assert [record["epoch"] for record in kept(model)] == [1, 2, 3]
    assert model.plan_["precision"] == "fp32"
    assert model.provenance_["rows"] == 80
    assert model.provenance_["data"] == "a data frame"
    assert len(model.provenance_["fingerprint"]) == 64
    assert (model.interrupted_, model.taken_) == (False, 0)
    assert set(model.metrics_) < set(model.evaluate(X, Y))


def test_the_history_holds_the_folds_with_their_validation_then_the_training_kept():
    model = classifier().fit(X, Y)
    stages = [*(f"fold {number} of 5" for number in range(1, 6)), "train"]
    assert [(r["stage"], r["epoch"]) for r in model.history_] == [(s, e) for s in stages for e in (1, 2, 3)]
    assert all(("log_loss" in record) == (record["stage"] != "train") for record in model.history_)
    last = [record["log_loss"] for record in model.history_ if record["epoch"] == 3 and record["stage"] != "train"]
    assert np.mean(last) == pytest.approx(model.metrics_["log_loss"], rel=1e-5)  # 16 rows each


def test_rows_set_aside_leave_one_stage_in_the_history(large):
    assert [(r["stage"], r["epoch"]) for r in classifier().fit(X, Y).history_] == [("train", e) for e in (1, 2, 3)]


def test_equal_data_have_equal_fingerprints():
    changed = X.copy()
    changed[7, 2] += 1e-3
    first, again, other = (classifier().fit(rows, Y).provenance_["fingerprint"] for rows in (X, X.copy(), changed))
    assert first == again
    assert first != other
    assert classifier().fit(X, Y[::-1]).provenance_["fingerprint"] != first


def test_fit_does_not_depend_on_what_was_fitted_before():
    model = classifier().fit(X[:, :2], RNG.integers(0, 3, 80))
    assert same_weights(model.fit(X, Y), classifier().fit(X, Y))
    assert model.n_features_in_ == 4


def test_on_epoch_sees_the_final_fit_and_may_stop_it():
    told = []
    model = classifier(recipe=Recipe(epochs=50, members=1)).fit(
        X, Y, on_epoch=lambda record: told.append(record) or len(told) == 4
    )
    assert [record["epoch"] for record in told] == [1, 2, 3, 4]
    assert len(kept(model)) == 4
    assert {record["stage"] for record in told} == {"train"}


# ------------------------------------------------------------------------------------------------------------ going on


@pytest.fixture(scope="module")
def before(tmp_path_factory):
    folder = tmp_path_factory.mktemp("before") / "model"
    model = classifier(recipe=Recipe(epochs=40, lr=0.02, members=1)).fit(X, Y)
    model.save(folder)
    return folder, model


def test_a_fit_may_go_on_from_a_saved_model(before):
    folder, model = before
    fresh, further = classifier().fit(X, Y), classifier().fit(X, Y, start=folder)
    assert further.taken_ == len(model.learner_.state_dict()) - 1  # all but the temperature
    assert kept(further)[0]["loss"] < kept(fresh)[0]["loss"] - 0.05
    assert further.score(X, Y) > 0.8


def test_the_head_is_new_where_the_classes_differ(before):
    folder, model = before
    three = classifier().fit(X, np.digitize(X[:, 0], [-0.5, 0.5]), start=folder)
    assert 0 < three.taken_ < len(model.learner_.state_dict())
    other = classifier(recipe=Recipe(epochs=1, lr=1e-9, members=1)).fit(X, np.where(Y == "up", "a", "z"), start=folder)
    assert not torch.equal(other.learner_.head.weight, model.learner_.head.weight)


def test_going_on_with_other_columns_takes_the_weights_that_agree(before):
    folder, _ = before
    model = classifier().fit(pd.DataFrame(X[:, :2], columns=["p", "q"]), Y, start=folder)
    assert model.taken_ > 0
    assert model.n_features_in_ == 2


def test_a_new_calibration_does_not_build_on_the_old_temperature(before, large):
    folder, _ = before
    boasting = decet.load(folder)
    boasting.learner_.temperature.fill_(4.0)
    boasting.save(folder.parent / "boasting")
    rows = np.random.default_rng(3).normal(size=(400, 4))  # enough for 40 rows of calibration
    labels = np.where(rows[:, 0] > 0, "up", "down")
    still = Recipe(epochs=1, lr=1e-9, members=1)
    plain, other = (
        classifier(recipe=still).fit(rows, labels, start=start) for start in (folder, folder.parent / "boasting")
    )
    assert float(other.learner_.temperature) == pytest.approx(float(plain.learner_.temperature), rel=1e-3)


def test_a_start_that_is_no_model_is_refused(tmp_path):
    with pytest.raises(BadInput, match="^there is no model folder "):
        classifier().fit(X, Y, start=tmp_path / "nothing")


# --------------------------------------------------------------------------------------------- folders, resumed runs


def test_out_leaves_the_model_and_no_checkpoint(tmp_path):
    model = classifier().fit(X, Y, out=tmp_path / "run")
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == [
        "README.md",
        "golden.safetensors",
        "history.jsonl",
        "model.json",
        "weights.safetensors",
    ]
    assert same_weights(decet.load(tmp_path / "run"), model)


def test_a_folder_that_holds_a_run_is_refused_unless_it_may_be_replaced(tmp_path):
    classifier().fit(X, Y, out=tmp_path)
    with pytest.raises(BadInput) as caught:
        classifier().fit(X, Y, out=tmp_path)
    assert str(caught.value) == (
        f"{tmp_path} already holds a run (model.json). Say --resume, --overwrite, or another --out."
    )
    other = classifier(seed=5).fit(X, Y, out=tmp_path, overwrite=True)
    assert same_weights(decet.load(tmp_path), other)
    with pytest.raises(BadInput, match="^resume and overwrite exclude each other: go on with the run, or begin anew.$"):
        classifier().fit(X, Y, out=tmp_path, overwrite=True, resume=True)


def test_a_file_in_the_way_is_refused(tmp_path):
    (tmp_path / "out").write_text("")
    with pytest.raises(BadInput, match="out is a file, "):
        classifier().fit(X, Y, out=tmp_path / "out")


class Stop(Exception):
    pass


def _stop(record) -> None:
    if record["epoch"] == 2:
        raise Stop


@pytest.mark.parametrize("size", ["small", "large"])
def test_a_run_that_broke_off_ends_with_the_same_bits(size, tmp_path, monkeypatch):
    monkeypatch.setattr(fitting, "LARGE", 50 if size == "large" else 5_000)
    monkeypatch.setattr(loop, "WRITE_SECONDS", 0.0)
    monkeypatch.setattr(loop, "SAVE_STEPS", (1, 500))
    unbroken = classifier().fit(X, Y, out=tmp_path / "unbroken")
    with pytest.raises(Stop):
        classifier().fit(X, Y, out=tmp_path / "run", on_epoch=_stop)
    assert (tmp_path / "run" / CHECKPOINT).exists()
    with pytest.raises(BadInput, match=r"already holds a run \(checkpoint/state\.safetensors\)"):
        classifier().fit(X, Y, out=tmp_path / "run")
    resumed = classifier().fit(X, Y, out=tmp_path / "run", resume=True)
    for name in ("weights.safetensors", "golden.safetensors"):
        assert (tmp_path / "run" / name).read_bytes() == (tmp_path / "unbroken" / name).read_bytes()
    assert resumed.metrics_ == unbroken.metrics_
    assert untimed(resumed.history_) == untimed(unbroken.history_) == untimed(decet.load(tmp_path / "run").history_)
    assert not (tmp_path / "run" / "checkpoint").exists()


def test_cross_fitting_that_was_done_is_not_done_again(tmp_path, spy):
    with pytest.raises(Stop):
        classifier().fit(X, Y, out=tmp_path, on_epoch=_stop)
    done = len(spy.trained)
    classifier().fit(X, Y, out=tmp_path, resume=True)
    assert len(spy.trained) == done + 1


def test_records_of_folds_survive_a_run_that_was_interrupted_and_resumed(tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "WRITE_SECONDS", 0.0)
    monkeypatch.setattr(loop, "SAVE_STEPS", (1, 500))

    def interrupt(record) -> None:
        if record["epoch"] == 2:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.warns(DataWarning, match="^training was interrupted"):
        classifier().fit(X, Y, out=tmp_path, on_epoch=interrupt)
    assert len(decet.load(tmp_path).history_) == 5 * 3 + 2
    resumed = classifier().fit(X, Y, out=tmp_path, resume=True)
    assert untimed(resumed.history_) == untimed(classifier().fit(X, Y).history_)


def test_a_run_split_by_order_is_resumed(tmp_path):
    times = np.arange(80)
    unbroken = classifier().fit(X, Y, order=times)
    with pytest.raises(Stop):
        classifier().fit(X, Y, order=times, out=tmp_path, on_epoch=_stop)
    resumed = classifier().fit(X, Y, order=times, out=tmp_path, resume=True)
    assert same_weights(resumed, unbroken)
    assert resumed.metrics_ == unbroken.metrics_


def test_how_rows_were_learned_survives_a_run_that_is_resumed(large, tmp_path):
    """A label is flipped: its row's margin, noted since the first epoch, is the same as in an unbroken run."""
    y = Y.copy()
    y[np.argsort(-np.abs(X[:, 0]))[:6]] = "down"
    settings = {"recipe": Recipe(epochs=12, members=1, lr=1e-2)}
    unbroken = classifier(**settings).fit(X, y)
    with pytest.raises(Stop):
        classifier(**settings).fit(X, y, out=tmp_path, on_epoch=_stop)
    resumed = classifier(**settings).fit(X, y, out=tmp_path, resume=True)
    assert resumed.suspects_ == unbroken.suspects_ != []
    means = [model.learner_.margins.means() for model in (resumed, unbroken)]
    assert np.array_equal(*means, equal_nan=True)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"rows": X + RNG.normal(size=X.shape)}, "data"),
        ({"labels": Y[::-1]}, "data"),
        ({"seed": 4}, "seed"),
        ({"family": DNN(hidden=(9,))}, "family"),
        ({"recipe": Recipe(epochs=4, members=1)}, "recipe"),
        ({"label_smoothing": 0.1}, "question"),
        ({"inputs": Tables(bins=7)}, "inputs"),
        ({"sample_weight": np.linspace(1, 2, 80)}, "weights"),
        ({"groups": np.arange(80) // 2}, "groups"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_checkpoint_of_another_run_is_refused_and_what_differs_is_named(change, named, tmp_path):
    with pytest.raises(Stop):
        classifier().fit(X, Y, out=tmp_path, on_epoch=_stop)
    rows, labels = change.pop("rows", X), change.pop("labels", Y)
    call = {name: change.pop(name) for name in ("sample_weight", "groups") if name in change}
    family = change.pop("family", SMALL)
    model = TableClassifier(family, **{"recipe": QUICK, **change})
    with pytest.raises(BadInput, match=rf"belongs to another run: .*{named}.* differ\. Repeat that run's settings"):
        model.fit(rows, labels, out=tmp_path, resume=True, **call)


def killed(folder: str) -> None:
    """Run in a child process: die without a word in the middle of the final fit."""
    loop.WRITE_SECONDS, loop.SAVE_STEPS = 0.0, (1, 500)
    classifier().fit(
        X, Y, out=folder, on_epoch=lambda record: record["epoch"] == 2 and os.kill(os.getpid(), signal.SIGKILL)
    )


def test_kill_9_then_resume_gives_the_weights_of_an_unbroken_run(tmp_path):
    code = f"from tests.estimators.test_fitting import killed; killed({str(tmp_path / 'run')!r})"
    paths = os.pathsep.join([str(ROOT / "src"), str(ROOT)])
    child = subprocess.run([sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": paths}, check=False)
    assert child.returncode == -signal.SIGKILL
    assert (tmp_path / "run" / CHECKPOINT).exists()
    classifier().fit(X, Y, out=tmp_path / "run", resume=True)
    classifier().fit(X, Y, out=tmp_path / "unbroken")
    weights = [(tmp_path / name / "weights.safetensors").read_bytes() for name in ("run", "unbroken")]
    assert weights[0] == weights[1]


# ------------------------------------------------------------------------------------------------ interrupt and budget


def test_an_interrupt_keeps_what_was_learned_so_far(tmp_path):
    def on_epoch(record) -> None:
        if record["epoch"] == 3:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.warns(DataWarning, match="^training was interrupted; the best weights so far are kept.$"):
        model = classifier(recipe=Recipe(epochs=500, members=1)).fit(
            X, Y, out=tmp_path, on_epoch=on_epoch, validation=(X, Y)
        )
    assert model.interrupted_
    assert len(model.history_) == 3
    assert same_weights(decet.load(tmp_path), model)


class Interrupting(Quiet):
    """Presses Ctrl-C as soon as progress is told for the first time."""

    def __init__(self) -> None:
        self.pressed = False

    def step(self, done: float, facts) -> None:
        if not self.pressed:
            self.pressed = True
            os.kill(os.getpid(), signal.SIGINT)


def test_an_interrupt_while_cross_fitting_ends_the_fit_with_the_network_so_far(spy):
    shown, started = Interrupting(), time.monotonic()
    with pytest.warns(DataWarning, match="^training was interrupted"):
        model = classifier(recipe=Recipe(epochs=20_000, members=1)).fit(X, Y, show=shown)
    assert shown.pressed
    assert len(spy.trained) == 1
    assert {record["stage"] for record in model.history_} == {"fold 1 of 5"}
    assert time.monotonic() - started < 20
    assert model.interrupted_
    assert model.provenance_["interrupted"]
    held = sorted(spy.validated[0])
    assert model.metrics_ == pytest.approx(model.evaluate(X[held], Y[held]), rel=1e-5)


@pytest.mark.parametrize("size", ["small", "large"])
def test_a_budget_is_kept_from_the_call_to_the_folder_written(size, tmp_path, monkeypatch):
    monkeypatch.setattr(fitting, "LARGE", 50 if size == "large" else 5_000)
    started = time.monotonic()
    model = TableClassifier(SMALL, recipe=Recipe(members=1)).fit(X, Y, budget=2.0, out=tmp_path)
    spent = time.monotonic() - started
    assert spent < 2.5
    assert model.history_[-1]["rate"] < 0.2 * model.recipe_.lr
    assert model.provenance_["budget"] == 2.0
    assert "trained under a budget of wall time" in (tmp_path / "README.md").read_text()


def test_a_fold_whose_training_goes_back_still_has_one_answer_an_epoch(monkeypatch):
    """The NaN guard does epochs again; held-out answers of the first try must not count."""
    from decet.tasks.classify import Classifier

    monkeypatch.setattr(loop, "SAVE_STEPS", (10**6, 10**6))  # back to the very start
    loss, calls = Classifier.loss, []

    def failing(learner, batch, phase):
        calls.append(1)
        found = loss(learner, batch, phase)
        return found._replace(total=found.total * float("nan")) if len(calls) == 3 * 8 else found

    monkeypatch.setattr(Classifier, "loss", failing)
    recipe = Recipe(epochs=6, members=1, batch=16)
    epochs = []
    cross_fitted = fitting._Fit._fold

    def counted(fit, number, rows, held, weight):
        found = cross_fitted(fit, number, rows, held, weight)
        epochs.append(len(found.scores))
        return found

    monkeypatch.setattr(fitting._Fit, "_fold", counted)
    model = classifier(recipe=recipe).fit(X, Y)
    assert epochs == [6] * 5
    assert [record["epoch"] for record in model.history_] == [1, 2, 3, 4, 5, 6] * 6


def test_two_fits_into_one_folder_at_once_are_refused(tmp_path):
    code = (
        "import sys\n"
        "from decet import artifact\n"
        f"with artifact.lock({str(tmp_path)!r}):\n"
        "    print('held', flush=True)\n"
        "    sys.stdin.read()\n"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert child.stdout.readline() == "held\n"
        with pytest.raises(BadInput, match=r"is in use by another run \(process \d+\)\. Wait until it has ended"):
            classifier().fit(X, Y, out=tmp_path)
    finally:
        child.communicate()
    classifier().fit(X, Y, out=tmp_path)


def test_the_cell_is_that_of_all_rows_given_not_of_those_that_train():
    rows = np.random.default_rng(0).normal(size=(5_500, 2))  # 4,400 of them train
    model = TableClassifier(SMALL, recipe=Recipe(members=1)).fit(
        rows, np.where(rows[:, 0] > 0, "up", "down"), on_epoch=lambda record: True
    )
    assert model.recipe_.patience == 10


def test_the_classic_network_is_one_line():
    network = DNN(hidden=(64, 32), activation="relu", dropout=0)
    model = TableClassifier(network, recipe=Recipe(members=1, epochs=2)).fit(X, np.arange(len(X)) % 3)
    shapes = [tuple(p.shape) for p in model.learner_.parameters()]
    assert shapes == [(64, 4), (64,), (32, 64), (32,), (3, 32), (3,)]
    assert [type(layer.activation) for layer in model.learner_.body.layers] == [nn.ReLU, nn.ReLU]


def test_going_on_without_a_folder_is_refused():
    with pytest.raises(BadInput, match=r"^resume and overwrite need out: the folder that holds the run\.$"):
        classifier().fit(X, Y, resume=True)


def test_other_validation_rows_are_another_run(tmp_path):
    with pytest.raises(Stop):
        classifier().fit(X, Y, validation=(X[:20], Y[:20]), out=tmp_path, on_epoch=_stop)
    with pytest.raises(BadInput, match="belongs to another run: validation differ"):
        classifier().fit(X, Y, validation=(X[:30], Y[:30]), out=tmp_path, resume=True)


def test_settings_of_another_run_are_refused_before_any_fold_is_trained(tmp_path, spy):
    with pytest.raises(Stop):
        classifier().fit(X, Y, out=tmp_path, on_epoch=_stop)
    trained = len(spy.trained)
    with pytest.raises(BadInput, match="belongs to another run: seed differ"):
        classifier(seed=9).fit(X, Y, out=tmp_path, resume=True)
    assert len(spy.trained) == trained


# --------------------------------------------------------------------------------------------------- growing pictures


def glyphs() -> tuple[np.ndarray, np.ndarray]:
    """60 grey pictures of 16 x 16 pixels whose brighter half tells the class."""
    rng = np.random.default_rng(0)
    labels = np.arange(60) % 2
    pictures = rng.integers(0, 100, (60, 16, 16))
    pictures[labels == 1, :, 8:] += 100
    pictures[labels == 0, :, :8] += 100
    return pictures.astype(np.uint8), labels


def test_the_cells_growing_pictures_are_left_out_where_the_users_network_flattens_its_map():
    flat = ImageClassifier(CNN(layers=(8, "pool", "flat")), recipe=Recipe(epochs=1)).fit(*glyphs())
    assert flat.recipe_.grow == 1.0
    free = ImageClassifier(CNN(channels=(8,), depth=1), recipe=Recipe(epochs=1)).fit(*glyphs())
    assert free.recipe_.grow == 0.75


def test_growing_pictures_that_the_user_asks_for_need_a_network_of_any_size():
    model = ImageClassifier(CNN(layers=(8, "pool", "flat")), recipe=Recipe(epochs=1, grow=0.5))
    with pytest.raises(BadInput, match=r"recipe\.grow \(0\.5\) needs a network that reads pictures of any size"):
        model.fit(*glyphs())
    with pytest.raises(BadInput, match="recipe.grow"):
        ImageClassifier(DNN(width=8), recipe=Recipe(epochs=1, grow=0.5)).fit(*glyphs())
