"""What models say of their doubt: sets, intervals, how unlike a row is; in every form that answers have."""

from __future__ import annotations

import json
import os
import signal
import warnings

import numpy as np
import pandas as pd
import pytest

import decet
from decet import (
    CNN,
    DNN,
    BadInput,
    ImageClassifier,
    Recipe,
    TableClassifier,
    TableRegressor,
    TextClassifier,
    Unsupported,
)

SMALL, QUICK = DNN(hidden=(16,), dropout=0.0), Recipe(epochs=20, members=1, lr=5e-3)
RNG = np.random.default_rng(0)
X = RNG.normal(size=(400, 4))
CLASS = np.array(["low", "mid", "high"])[np.digitize(X[:, 0] + 0.5 * RNG.normal(size=400), [-0.5, 0.5])]
NUMBER = 100 + 20 * X[:, 0] + 5 * X[:, 1] * RNG.normal(size=400)


@pytest.fixture(scope="module")
def labelled() -> TableClassifier:
    return TableClassifier(SMALL, recipe=QUICK).fit(X[:250], CLASS[:250])


@pytest.fixture(scope="module")
def numbered() -> TableRegressor:
    return TableRegressor(SMALL, recipe=Recipe(epochs=20, members=4, lr=5e-3)).fit(X[:250], NUMBER[:250])


# ------------------------------------------------------------------------------------------------------------- labels


def test_sets_hold_the_true_label_about_as_often_as_asked(labelled) -> None:
    for coverage in (0.6, 0.9, 0.97):
        sets = labelled.predict_set(X[250:], coverage)
        share = np.mean([truth in own for truth, own in zip(CLASS[250:], sets, strict=True)])
        assert coverage - 0.08 < share < coverage + 0.08


def test_sets_grow_with_the_coverage_and_begin_with_the_answer(labelled) -> None:
    small, large = labelled.predict_set(X[250:], 0.7), labelled.predict_set(X[250:], 0.98)
    assert all(set(one) <= set(other) for one, other in zip(small, large, strict=True))
    answers = labelled.predict(X[250:])
    assert all(own[0] == answer for own, answer in zip(large, answers, strict=True) if own)


def test_the_question_says_which_coverage(labelled) -> None:
    before = labelled.predict_set(X[250:])
    assert before == labelled.predict_set(X[250:], 0.9)
    labelled.set_params(coverage=0.6)
    assert labelled.predict_set(X[250:]) == labelled.predict_set(X[250:], 0.6) != before
    labelled.set_params(coverage=0.9)


def test_records_tell_set_and_unlikeness(labelled) -> None:
    records = list(labelled.records(X[250:260]))
    assert json.loads(json.dumps(records)) == records
    assert [record["set"] for record in records] == labelled.predict_set(X[250:260])
    assert [record["unlike"] for record in records] == pytest.approx(labelled.unlike(X[250:260]), abs=1e-4)


def test_evaluation_tells_how_often_sets_held_the_truth(labelled) -> None:
    found = labelled.evaluate(X[250:], CLASS[250:])
    sets = labelled.predict_set(X[250:])
    assert found["coverage"] == pytest.approx(np.mean([t in own for t, own in zip(CLASS[250:], sets, strict=True)]))
    assert found["set_size"] == pytest.approx(np.mean([len(own) for own in sets]))


def test_of_several_columns_each_has_its_sets() -> None:
    y = pd.DataFrame({"one": CLASS[:250], "two": np.where(X[:250, 1] > 0, "up", "down")})
    y.loc[:20, "two"] = None
    model = TableClassifier(SMALL, recipe=QUICK).fit(X[:250], y)
    one, two = model.predict_set(X[250:260])
    assert set().union(*one) <= {"low", "mid", "high"}
    assert set().union(*two) <= {"up", "down"}
    record = next(model.records(X[250:251]))
    assert record["set"] == {"one": one[0], "two": two[0]}
    assert model.evaluate(X[250:], pd.DataFrame({"one": CLASS[250:], "two": np.where(X[250:, 1] > 0, "up", "down")}))["coverage"] > 0.8  # fmt: skip  # noqa: E501


def test_of_label_sets_those_that_may_belong() -> None:
    y = [[name for name, on in (("left", row[0] > 0), ("up", row[1] > 0)) if on] for row in X]
    model = TableClassifier(SMALL, recipe=QUICK).fit(X[:250], y[:250])
    found = model.predict_set(X[250:], 0.95)
    held = [label in own for truth, own in zip(y[250:], found, strict=True) for label in truth]
    assert 0.88 < np.mean(held) <= 1
    told = model.set_params(coverage=0.95).evaluate(X[250:], y[250:])
    assert told["coverage"] == pytest.approx(np.mean(held))
    assert told["set_size"] == pytest.approx(np.mean([len(own) for own in found]))
    assert next(model.records(X[250:251]))["set"] == found[0]


# ------------------------------------------------------------------------------------------------------------ numbers


def test_intervals_hold_the_true_number_about_as_often_as_asked(numbered) -> None:
    for coverage in (0.6, 0.9):
        low, high = numbered.predict_interval(X[250:], coverage).T
        assert abs(np.mean((low <= NUMBER[250:]) & (NUMBER[250:] <= high)) - coverage) < 0.09


def test_intervals_lie_around_the_answer_in_its_units(numbered) -> None:
    low, high = numbered.predict_interval(X[250:]).T
    answers = numbered.predict(X[250:])
    assert (low < answers).all()
    assert (answers < high).all()
    assert 5 < np.mean(high - low) < 80


def test_records_tell_the_interval(numbered) -> None:
    (record,) = numbered.records(X[250:251])
    assert list(record["interval"].values()) == pytest.approx(numbered.predict_interval(X[250:251])[0])
    assert list(record["interval"]) == ["low", "high"]
    found = numbered.evaluate(X[250:], NUMBER[250:])
    assert 0.8 < found["coverage"] < 0.98
    assert found["interval_width"] == pytest.approx(np.ptp(numbered.predict_interval(X[250:]), axis=1).mean())


def test_several_numbers_have_an_interval_each() -> None:
    y = np.stack([NUMBER, -NUMBER], 1)
    y[:10, 1] = np.nan
    model = TableRegressor(SMALL, recipe=QUICK).fit(X[:250], y[:250])
    assert model.predict_interval(X[250:]).shape == (150, 2, 2)
    (record,) = model.records(X[250:251])
    assert len(record["interval"]) == 2


# -------------------------------------------------------------------------------------------------------------- unlike


@pytest.mark.parametrize("model", ["labelled", "numbered"])
def test_rows_far_from_the_training_rows_are_unlike(model, request) -> None:
    model = request.getfixturevalue(model)
    assert 0.35 < np.mean(model.unlike(X[250:])) < 0.65
    assert np.mean(model.unlike(X[250:] + 12)) > 0.9


def test_noise_is_unlike_digits() -> None:
    from sklearn.datasets import load_digits

    digits = load_digits()
    model = ImageClassifier(CNN(channels=(8, 16)), recipe=Recipe(epochs=6)).fit(
        digits.images[:1200], digits.target[:1200]
    )
    noise = np.random.default_rng(0).integers(0, 17, (300, 8, 8)).astype(float)
    assert np.mean(model.unlike(digits.images[1200:])) < 0.75
    assert np.mean(model.unlike(noise)) > 0.95


# ---------------------------------------------------------------------------------------------------------- what if not


def test_a_saved_model_says_the_same(labelled, numbered, tmp_path) -> None:
    for model in (labelled, numbered):
        model.save(tmp_path / "m")
        again = decet.load(tmp_path / "m")
        assert list(again.records(X[250:])) == list(model.records(X[250:]))
        assert again.suspects_ == model.suspects_


def test_a_model_without_held_out_rows_says_so() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = TableClassifier(SMALL, recipe=QUICK).fit(X[:12], ["a", "b"] * 6)
    with pytest.raises(Unsupported) as error:
        model.predict_set(X[:2])
    assert str(error.value) == (
        "this model cannot tell its doubt: when it was fitted, nothing was kept of rows that were held out (too few "
        "rows to hold any out). Fit it anew, on 25 rows or more."
    )
    assert "set" not in next(model.records(X[:1]))
    assert "coverage" not in model.evaluate(X[:4], ["a", "b", "a", "b"])


def test_a_coverage_that_cannot_be_is_refused() -> None:
    with pytest.raises(BadInput, match=r"coverage must be a number between 0.01 and 0.999. Received: 90."):
        TableClassifier(SMALL, coverage=90).fit(X, CLASS)
    with pytest.raises(BadInput, match="coverage must be"):
        TableRegressor(SMALL, coverage=0).fit(X, NUMBER)


def test_more_coverage_than_the_held_out_rows_can_tell_is_refused(labelled) -> None:
    with pytest.raises(BadInput, match="coverage 0.998 needs 499 rows that are not trained on, and there are 250"):
        labelled.predict_set(X, 0.998)
    with pytest.raises(BadInput, match="coverage 0.99 needs 99 rows that are not trained on, and there are 60"):
        TableClassifier(SMALL, coverage=0.99).fit(X[:60], CLASS[:60])
    few = TableClassifier(SMALL, recipe=QUICK).fit(X[:60], CLASS[:60], validation=(X[60:65], CLASS[60:65]))
    with pytest.raises(BadInput, match=r"coverage 0.9 needs 9 rows that are not trained on, and there are 5\."):
        few.predict_set(X[:2])


def test_a_number_with_few_known_rows_has_no_ends() -> None:
    y = np.stack([NUMBER, NUMBER], 1)[:100]
    y[5:, 1] = np.nan
    model = TableRegressor(SMALL, recipe=QUICK).fit(X[:100], y)
    (record,) = model.records(X[250:251])
    second = list(record["interval"].values())[1]
    assert second == {"low": None, "high": None}
    assert model.evaluate(X[:5], y[:5])["interval_width"] is None


def test_rows_without_one_label_are_left_to_people(labelled) -> None:
    sets, left = labelled.predict_set(X[250:], 0.95), labelled.abstains(X[250:], 0.95)
    assert left.tolist() == [len(own) != 1 for own in sets]
    wrong = labelled.predict(X[250:]) != CLASS[250:]
    assert np.mean(wrong & ~left) <= 0.05 + 0.04
    labelled.set_params(coverage=0.95)
    found = labelled.evaluate(X[250:], CLASS[250:])
    labelled.set_params(coverage=0.9)
    assert found["answered"] == pytest.approx(np.mean(~left))
    assert found["accuracy_answered"] == pytest.approx(np.mean(~wrong[~left]))


def test_validation_rows_of_the_users_own_tell_of_the_doubt() -> None:
    model = TableClassifier(SMALL, recipe=QUICK).fit(X[:200], CLASS[:200], validation=(X[200:300], CLASS[200:300]))
    share = np.mean([truth in own for truth, own in zip(CLASS[300:], model.predict_set(X[300:]), strict=True)])
    assert 0.8 < share < 1


def test_an_interrupted_fit_promises_nothing() -> None:
    def stop(record) -> None:
        if record["stage"] == "train":
            os.kill(os.getpid(), signal.SIGINT)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = TableClassifier(SMALL, recipe=QUICK).fit(X[:100], CLASS[:100], on_epoch=stop)
    assert model.interrupted_
    with pytest.raises(Unsupported, match="cannot tell its doubt"):
        model.predict_set(X[:2])


def test_texts_have_sets_too() -> None:
    stays = [f"room {i} was {word}" for i in range(20) for word in ("clean", "lovely", "dirty", "noisy")]
    model = TextClassifier(CNN(kernels=(1, 2), width=8), recipe=Recipe(epochs=2)).fit(
        stays, ["good", "good", "bad", "bad"] * 20
    )
    assert set().union(*model.predict_set(stays[:8], 0.95)) <= {"good", "bad"}
    assert model.unlike(["a banana"]).shape == (1,)
