"""What there is to see of each kind of data: mistakes with their rows, what is unlike, labels likely wrong."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_digits

from decet import CNN, DNN, ImageClassifier, Recipe, TableClassifier, TableRegressor, TextClassifier
from decet.estimators.asking import bulk_of
from decet.pages.looks import looks_of, suspects_of
from decet.referee.rows import target_of

pytestmark = pytest.mark.filterwarnings("ignore")
RNG = np.random.default_rng(0)
TABLE = pd.DataFrame({"a": RNG.normal(size=300), "b": RNG.normal(size=300), "c": RNG.choice(["x", "y"], 300)})
SMALL, QUICK = DNN(hidden=(8,), dropout=0.0), Recipe(epochs=10, members=1, lr=1e-2)


def seen(model, X, y) -> dict:
    given = model._given(X, y, reset=False)
    found = model._found(given.rows, bulk_of(model.codec_.spec), behind=True)
    answers, target = model._numbers_of(found.answers.numpy()), target_of(model.answer_, given.answers)
    return looks_of(model, given.rows, target, answers, lambda texts: model.predict_proba(list(texts)), found)


def test_a_table_of_labels() -> None:
    y = np.where(TABLE["a"] + 0.5 * RNG.normal(size=300) > 0, "yes", "no")
    looks = seen(TableClassifier(SMALL, recipe=QUICK).fit(TABLE[:200], y[:200]), TABLE[200:], y[200:])
    assert looks["importance"][0].column == "a"
    assert looks["effects"][0].column == "a"
    assert looks["confusion"].fits
    assert looks["reliability"].bins
    ((name, held),) = looks["covered"]
    assert name == ""
    assert 0.75 < held.share <= 1
    worst = looks["worst"][0]
    assert worst.said.endswith(("is yes", "is no"))
    assert worst.cells[0][0] == "a"


def test_a_table_of_numbers_shows_the_farthest_first() -> None:
    y = 3 * TABLE["a"].to_numpy()
    y[250] = 1_000.0
    model = TableRegressor(SMALL, recipe=QUICK).fit(TABLE[:200], y[:200])
    looks = seen(model, TABLE[200:], y[200:])
    assert looks["worst"][0].said.endswith("is 1000")
    assert float(dict(looks["worst"][0].cells)["a"]) == pytest.approx(TABLE["a"][250], rel=1e-4)
    assert looks["covered"][0][1].size > 0


def test_rows_unlike_all_before_are_shown() -> None:
    y = np.where(TABLE["a"] > 0, "yes", "no")
    model = TableClassifier(SMALL, recipe=QUICK).fit(TABLE[:200], y[:200])
    strange = TABLE[200:].copy()
    strange.loc[205, ["a", "b"]] = 60.0
    strange.loc[205, "c"] = None
    count, whole, lines, by_chance = seen(model, strange, y[200:])["strange"]
    assert 1 <= count < whole == 100
    assert dict(lines[0].cells)["c"] == "empty"
    assert by_chance == 1
    assert dict(lines[0].cells)["a"] == "60"


def test_pictures_are_shown_beside_where_it_looked() -> None:
    digits = load_digits()
    few = Recipe(epochs=1)
    model = ImageClassifier(CNN(channels=(8,)), recipe=few).fit(digits.images[:300], digits.target[:300])
    looks = seen(model, digits.images[300:500], digits.target[300:500])
    _, picture, heat = looks["pictures"][0]
    assert picture.startswith("data:image/png;base64,")
    assert heat.startswith("data:image/png;base64,")
    assert heat != picture


def test_texts_have_words_for_and_against() -> None:
    stays = [f"room {i} was {word}" for i in range(20) for word in ("clean", "lovely", "dirty", "noisy")]
    labels = ["good", "good", "bad", "bad"] * 20
    model = TextClassifier(CNN(kernels=(1, 2), width=8), recipe=Recipe(epochs=4)).fit(stays, labels)
    looks = seen(model, stays[:20], labels[:20])
    assert looks["right"]
    assert "worst" not in looks


def test_suspects_come_with_their_rows_where_these_are_at_hand() -> None:
    y = np.where(TABLE["a"] > 0, "yes", "no").astype(object)
    wrong = int(np.flatnonzero(TABLE["a"] > 1.5)[0])
    y[wrong] = "no"
    model = TableClassifier(SMALL, recipe=Recipe(epochs=30, members=1, lr=1e-2)).fit(TABLE, y)
    lines = suspects_of(model, TABLE)
    assert f"row {wrong:,} says no, looks like yes" in [line.said for line in lines]
    assert dict(lines[0].cells).keys() == {"a", "b", "c"}
    assert suspects_of(model)[0].cells == ()


def test_several_columns_of_answers_have_their_sets_and_intervals() -> None:
    y = pd.DataFrame({"one": np.where(TABLE["a"] > 0, "yes", "no"), "two": np.where(TABLE["b"] > 0, "up", "down")})
    looks = seen(TableClassifier(SMALL, recipe=QUICK).fit(TABLE[:200], y[:200]), TABLE[200:], y[200:])
    assert [name for name, _ in looks["covered"]] == ["one", "two"]
    assert looks["effects"][0].answer == "chance of yes"  # of the first of them
    numbers = pd.DataFrame({"much": 3 * TABLE["a"], "little": TABLE["b"]})
    looks = seen(TableRegressor(SMALL, recipe=QUICK).fit(TABLE[:200], numbers[:200]), TABLE[200:], numbers[200:])
    assert [name for name, _ in looks["covered"]] == ["much", "little"]
    assert looks["effects"][0].answer == "much"
