"""scikit-learn's conventions: its own checks, and what they do not catch."""

from __future__ import annotations

import gc
import pickle
import random
import weakref

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_iris
from sklearn.ensemble import StackingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_predict, cross_val_score
from sklearn.multioutput import MultiOutputRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

import decet
from decet import DNN, Recipe, TableClassifier, TableRegressor

SMALL, QUICK = DNN(hidden=(8,)), Recipe(epochs=3, members=1)
RNG = np.random.default_rng(0)
X = RNG.normal(size=(90, 4))
SIGN = (X[:, 0] > 0).astype(int)


def _expected_failures(estimator) -> dict[str, str]:
    reason = "a row of weight 2 is not the same as the row twice: batches, shuffling and splits differ"
    names = ("check_sample_weight_equivalence_on_dense_data", "check_sample_weight_equivalence_on_sparse_data")
    return dict.fromkeys(names, reason)


@pytest.mark.filterwarnings("ignore::decet.DataWarning")  # made-up tables of few values
@parametrize_with_checks([TableClassifier(), TableRegressor()], expected_failed_checks=_expected_failures)
def test_scikit_learns_own_checks(estimator, check):
    check(estimator)


# --------------------------------------------------------------------------------------------------------- its tools


def test_scikit_learn_knows_what_they_are():
    assert is_classifier(TableClassifier())
    assert is_regressor(TableRegressor())


def test_a_grid_over_frozen_settings_runs_in_two_processes_and_keeps_the_rest_of_the_cell():
    grid = {"family__depth": [1, 2], "recipe__lr": [1e-6, 2e-2]}
    model = TableClassifier(DNN(width=8), recipe=Recipe(epochs=10, members=1))
    search = GridSearchCV(model, grid, cv=2, n_jobs=2).fit(X, SIGN)
    assert search.best_params_["recipe__lr"] == 2e-2
    assert search.best_score_ > 0.75
    best = search.best_estimator_
    assert best.family == DNN(width=8, depth=search.best_params_["family__depth"])
    assert best.recipe == Recipe(epochs=10, members=1, lr=2e-2)
    assert model.family == DNN(width=8)
    assert len({tuple(result.items()) for result in search.cv_results_["params"]}) == 4


def test_a_grid_may_start_from_nothing_said():
    params = TableClassifier().set_params(family__depth=1, recipe__lr=0.02).get_params()
    assert params["family"] == DNN(depth=1)
    assert params["recipe"] == Recipe(lr=0.02)  # the cell still says the epochs


def test_they_stand_in_pipelines_and_stacks():
    pipeline = make_pipeline(StandardScaler(), TableClassifier(SMALL, recipe=Recipe(epochs=20, lr=0.02, members=1)))
    assert pipeline.fit(X, SIGN).score(X, SIGN) > 0.8
    pipeline.set_params(tableclassifier__family__dropout=0.5)
    assert pipeline[-1].family == DNN(hidden=(8,), dropout=0.5)
    frame = pd.DataFrame(X, columns=list("abcd"))
    columns = ColumnTransformer([("scale", StandardScaler(), ["a", "b"])], remainder="passthrough")
    columns.set_output(transform="pandas")
    model = make_pipeline(columns, TableClassifier(SMALL, recipe=QUICK)).fit(frame, SIGN)
    assert model[-1].feature_names_in_.tolist() == ["scale__a", "scale__b", "remainder__c", "remainder__d"]
    stack = StackingClassifier([("net", TableClassifier(SMALL, recipe=QUICK)), ("line", LogisticRegression())], cv=2)
    assert stack.fit(X, SIGN).score(X, SIGN) > 0.8


def test_they_are_cross_validated():
    model = TableClassifier(SMALL, recipe=Recipe(epochs=20, lr=0.02, members=1))
    iris = load_iris(return_X_y=True)
    assert cross_val_score(model, *iris, cv=3).mean() > 0.8
    chances = cross_val_predict(TableClassifier(SMALL, recipe=QUICK), X, SIGN, cv=2, method="predict_proba")
    assert chances.shape == (90, 2)
    assert MultiOutputRegressor(TableRegressor(SMALL, recipe=QUICK)).fit(X, X[:, :2]).predict(X).shape == (90, 2)


@pytest.mark.parametrize("model", [TableClassifier(DNN(width=8)), TableRegressor(recipe=Recipe(lr=0.1), loss="huber")])
def test_they_are_cloned_and_travel_in_memory(model):
    for copy in (clone(model), pickle.loads(pickle.dumps(model))):
        assert copy is not model
        assert copy.get_params() == model.get_params()
        assert repr(copy) == repr(model)


def test_a_fitted_one_travels_in_memory():
    model = TableClassifier(SMALL, recipe=QUICK).fit(X, SIGN)
    travelled = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(travelled.predict_proba(X), model.predict_proba(X))


# ----------------------------------------------------------------------------------------- what the checks do not catch


def test_a_small_signal_on_a_large_offset_is_not_lost():
    """float32 has a spacing of 64 at 1e9: whoever casts before standardising sees nothing."""
    recipe = Recipe(epochs=20, lr=0.02, members=1)
    plain, offset = (TableClassifier(SMALL, recipe=recipe).fit(X + shift, SIGN) for shift in (0.0, 1e9))
    np.testing.assert_allclose(offset.predict_proba(X + 1e9), plain.predict_proba(X), atol=1e-4)
    assert offset.score(X + 1e9, SIGN) > 0.85
    framed = TableClassifier(SMALL, recipe=recipe).fit(pd.DataFrame(X + 1e9), SIGN)
    assert framed.score(pd.DataFrame(X + 1e9), SIGN) > 0.85


def test_a_small_signal_in_the_answer_on_a_large_offset_is_not_lost():
    model = TableRegressor(SMALL, recipe=Recipe(epochs=60, lr=0.03, members=1)).fit(X, 1e9 + X[:, 0])
    assert model.score(X, 1e9 + X[:, 0]) > 0.8


@pytest.mark.parametrize(
    "family", [SMALL, DNN(hidden=(8,), norm="batch"), DNN(hidden=(8,), embedding="periodic", norm="layer"), None]
)
def test_a_row_alone_is_answered_as_among_a_thousand(family):
    rows = RNG.normal(size=(1000, 4))
    model = TableClassifier(family, recipe=Recipe(epochs=2)).fit(X, SIGN)
    whole = model.predict_proba(rows)
    for row in (0, 31, 32, 500, 999):
        np.testing.assert_allclose(model.predict_proba(rows[row : row + 1])[0], whole[row], atol=1e-6, rtol=0)
    order = RNG.permutation(1000)
    np.testing.assert_allclose(model.predict_proba(rows[order]), whole[order], atol=1e-6, rtol=0)


@pytest.mark.parametrize("estimator", [TableClassifier, TableRegressor])
def test_the_rows_are_not_kept(estimator):
    count = 1237
    rows = np.random.default_rng(0).normal(size=(count, 4))
    alive = weakref.ref(rows)
    model = estimator(SMALL, recipe=Recipe(epochs=1, members=1)).fit(rows, (rows[:, 0] > 0).astype(int))
    del rows
    gc.collect()
    assert alive() is None
    tensors = [thing for thing in gc.get_objects() if issubclass(type(thing), torch.Tensor)]
    assert not any(count in thing.shape for thing in tensors)
    assert hasattr(model, "learner_")


def test_the_users_rows_are_not_changed():
    rows, frame = X.copy(), pd.DataFrame(X.copy(), columns=list("abcd"))
    labels = SIGN.copy()
    model = TableClassifier(SMALL, recipe=QUICK).fit(rows, labels)
    model.predict(rows)
    TableClassifier(SMALL, recipe=QUICK).fit(frame, labels).predict(frame)
    np.testing.assert_array_equal(rows, X)
    np.testing.assert_array_equal(labels, SIGN)
    pd.testing.assert_frame_equal(frame, pd.DataFrame(X, columns=list("abcd")))


def test_rows_may_be_read_only():
    rows, labels = X.copy(), SIGN.copy()
    rows.flags.writeable = labels.flags.writeable = False
    TableClassifier(SMALL, recipe=QUICK).fit(rows, labels).predict(rows)


def test_the_users_generators_are_not_touched(tmp_path):
    def states() -> tuple[bytes, bytes, bytes]:
        kind, keys, *rest = np.random.get_state()  # the global generator is what is looked at
        return (
            pickle.dumps(random.getstate()),
            pickle.dumps((kind, keys.tolist(), rest)),
            torch.get_rng_state().numpy().tobytes(),
        )

    before = states()
    model = TableClassifier(SMALL, recipe=QUICK).fit(X, SIGN)
    model.predict(X)
    model.evaluate(X, SIGN)
    model.save(tmp_path)
    decet.load(tmp_path)
    decet.verify(tmp_path)
    assert states() == before


def test_what_the_users_generators_say_changes_nothing():
    def fitted(seed: int) -> TableClassifier:
        torch.manual_seed(seed)
        np.random.seed(seed)
        return TableClassifier(SMALL, recipe=QUICK).fit(X, SIGN)

    np.testing.assert_array_equal(fitted(1).predict_proba(X), fitted(2).predict_proba(X))


def test_a_fit_inside_no_grad_and_inference_mode_trains():
    expected = TableClassifier(SMALL, recipe=QUICK).fit(X, SIGN).predict_proba(X)
    for block in (torch.no_grad, torch.inference_mode):
        with block():
            found = TableClassifier(SMALL, recipe=QUICK).fit(X, SIGN).predict_proba(X)
        np.testing.assert_array_equal(found, expected)


def test_rows_without_names_are_answered_by_position_after_a_frame():
    frame = pd.DataFrame(X, columns=list("abcd"))
    model = TableClassifier(SMALL, recipe=QUICK).fit(frame, SIGN)
    with pytest.warns(UserWarning, match="X does not have valid feature names, but TableClassifier was fitted with"):
        answers = model.predict_proba(X)
    np.testing.assert_array_equal(answers, model.predict_proba(frame))
    np.testing.assert_array_equal(model.predict_proba(frame[list("dcba")]), answers)  # names win over the order
