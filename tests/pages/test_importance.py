"""What a model of tables goes by: columns that tell something lose score when shuffled, others do not."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from decet import DNN, BadInput, Recipe, TableClassifier, TableRegressor, TextClassifier, Unsupported
from decet.pages.importance import effects, importance

RNG = np.random.default_rng(0)
TABLE = pd.DataFrame(
    {
        "much": RNG.normal(size=400),
        "little": RNG.normal(size=400),
        "nothing": RNG.normal(size=400),
        "kind": RNG.choice(["a", "b", "c"], 400),
        "on": RNG.random(400) > 0.5,
    }
)
NUMBER = 5 * TABLE["much"] + TABLE["little"] + 3 * (TABLE["kind"] == "b")
RECIPE = Recipe(epochs=30, members=1, lr=1e-2)


@pytest.fixture(scope="module")
def model() -> TableRegressor:
    return TableRegressor(DNN(hidden=(32,), dropout=0.0), recipe=RECIPE).fit(TABLE[:300], NUMBER[:300])


def test_columns_are_told_in_the_order_of_what_they_tell(model) -> None:
    found = importance(model, TABLE[300:], NUMBER[300:])
    names = [one.column for one in found]
    assert names[0] == "much"
    assert set(names[1:3]) == {"kind", "little"}
    losses = {one.column: one.loss for one in found}
    assert losses["much"] > 0.5
    assert abs(losses["nothing"]) < 0.05
    assert abs(losses["on"]) < 0.05


def test_the_same_seed_gives_the_same(model) -> None:
    assert importance(model, TABLE[300:], NUMBER[300:], seed=3) == importance(model, TABLE[300:], NUMBER[300:], seed=3)


def test_effects_of_numbers_rise_with_the_answer(model) -> None:
    much, kind = effects(model, TABLE, ["much", "kind"])
    values = np.array(much.values, dtype=float)
    assert (np.diff(values[:, 0]) > 0).all()
    assert np.polyfit(values[:, 0], values[:, 1], 1)[0] == pytest.approx(5, rel=0.25)
    assert much.points
    assert kind.values[0][0] == "b"
    assert not kind.points
    assert kind.values[0][1] - kind.values[-1][1] == pytest.approx(3, abs=1)


def test_effects_of_labels_are_chances() -> None:
    model = TableClassifier(DNN(hidden=(16,)), recipe=RECIPE).fit(TABLE, np.where(TABLE["much"] > 0, "yes", "no"))
    (much,) = effects(model, TABLE, ["much"])
    assert much.answer == "chance of yes"
    assert 0 <= much.values[0][1] < 0.3 < 0.7 < much.values[-1][1] <= 1


def test_columns_without_names_and_with_gaps() -> None:
    X = np.where(RNG.random((200, 3)) < 0.1, np.nan, RNG.normal(size=(200, 3)))
    model = TableClassifier(DNN(hidden=(8,)), recipe=Recipe(epochs=3, members=1)).fit(X, np.nan_to_num(X[:, 0]) > 0)
    assert len(importance(model, X, np.nan_to_num(X[:, 0]) > 0)) == 3


def test_other_kinds_of_data_are_refused(model) -> None:
    with pytest.raises(BadInput, match="importance needs answers"):
        importance(model, TABLE)
    texts = TextClassifier()
    with pytest.raises(Unsupported, match="importance is of models of tables. Received: TextClassifier."):
        importance(texts, ["a"], ["b"])


def test_a_metric_that_the_rows_do_not_define_is_refused(model) -> None:
    with pytest.raises(BadInput, match=r"r2 is not defined on these rows: their answers are all the same"):
        importance(model, TABLE[300:], np.ones(100))


def test_a_folder_will_do(model, tmp_path) -> None:
    model.save(tmp_path / "m")
    assert importance(tmp_path / "m", TABLE[300:], NUMBER[300:])[0].column == "much"
