"""Learners asked in chunks: the same answers whatever the chunk, and what is behind them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from decet import DNN, Recipe, TableClassifier, TableRegressor, Tables
from decet.contracts import ImageSpec, TableSpec, TokenSpec
from decet.estimators.asking import (
    BULK,
    CHUNK,
    SMALL,
    WIDEST,
    answers_of,
    bulk_of,
    examined,
    folded,
    gaps,
    plain_numbers,
)

RNG = np.random.default_rng(0)
X = RNG.normal(size=(100, 3))
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def model() -> TableRegressor:
    recipe = Recipe(epochs=2, members=3)
    return TableRegressor(DNN(hidden=(8,)), recipe=recipe).fit(X, X[:, 0])


@pytest.mark.parametrize("chunk", [1, 7, CHUNK, 100, 1000])
def test_answers_do_not_depend_on_the_chunk(model, chunk: int) -> None:
    inputs = model.codec_.encode(model._given(X, None, reset=False).rows)
    found = answers_of(model.learner_, inputs, CPU, chunk)
    assert found == pytest.approx(answers_of(model.learner_, inputs, CPU, 100), abs=1e-6)


def test_what_is_examined_has_the_same_answers(model) -> None:
    inputs = model.codec_.encode(model._given(X, None, reset=False).rows)
    found = examined(model.learner_, inputs, CPU, CHUNK, model.codec_.spec)
    assert np.array_equal(found.answers.numpy(), answers_of(model.learner_, inputs, CPU, CHUNK))
    assert found.features.shape == (100, 8)
    assert found.spread is not None
    assert (found.spread > 0).all()


def test_labels_have_no_spread() -> None:
    model = TableClassifier(DNN(hidden=(8,)), recipe=Recipe(epochs=1, members=3)).fit(X, X[:, 0] > 0)
    inputs = model.codec_.encode(model._given(X, None, reset=False).rows)
    found = examined(model.learner_, inputs, CPU, CHUNK, model.codec_.spec)
    assert found.spread is None
    assert np.array_equal(found.answers.numpy(), answers_of(model.learner_, inputs, CPU, CHUNK))


def test_no_rows_are_no_error(model) -> None:
    inputs = model.codec_.encode(model._given(X, None, reset=False).rows)
    assert answers_of(model.learner_, tuple(x[:0] for x in inputs), CPU, CHUNK).shape == (0,)


def test_rows_as_plain_numbers() -> None:
    grey = plain_numbers((torch.full((2, 1, 28, 28), 7, dtype=torch.uint8),), ImageSpec(1, 28, 28))
    assert grey is not None
    assert grey.shape == (2, SMALL * SMALL)
    assert (grey == 7).all()
    assert plain_numbers((torch.ones(2, 3), torch.ones(2, 0)), TableSpec(numbers=3)).tolist() == [[1.0] * 3] * 2
    assert plain_numbers((torch.ones(2, 3, dtype=torch.int64),), TokenSpec(9)) is None


CELLS = pd.DataFrame(
    {
        "rating": [1, 2, 3] * 20,
        "day": pd.date_range("2026-01-01", periods=60),
        "words": ["good film", "bad film", "fine words here"] * 20,
        "gappy": [1.5, None, 2.5] * 20,
        "kind": ["a", "b", "c"] * 20,
    }
)


@pytest.mark.parametrize("scale", ["standard", "quantile", "none"])
def test_cells_that_are_empty_or_unknown_are_counted(scale) -> None:
    codec = Tables(scale=scale, text="words", rare=0).fit(CELLS)
    rows = CELLS.iloc[[1, 0, 0, 0, 0, 0]].reset_index(drop=True).astype(object)
    rows.loc[1, "rating"] = None  # never empty in training, so it has no flag
    rows.loc[2, "words"] = rows.loc[2, "day"] = None
    rows.loc[3, "kind"] = "z"
    rows.loc[4, :] = None
    found = gaps(codec.encode(rows), codec.spec)
    assert found is not None
    assert found[:, 0].tolist() == [1, 1, 2, 1, 5, 0]  # of the first row, "gappy"
    assert gaps(codec.encode(CELLS), codec.spec)[:, 0].tolist() == [0, 1, 0] * 20  # no value looks like a gap


def test_only_tables_of_columns_have_gaps() -> None:
    assert gaps((torch.ones(2, 3, dtype=torch.int64),), TokenSpec(9)) is None
    assert gaps((), TableSpec(numbers=3, sparse=True)) is None


def test_wide_features_are_folded() -> None:
    wide = torch.arange(2.0 * (WIDEST + 5)).reshape(2, -1)
    found = folded(wide)
    assert found is not None
    assert found.shape == (2, WIDEST)
    assert found[0, 0] == pytest.approx((wide[0, 0] + wide[0, WIDEST]) / 2**0.5)
    assert folded(wide[:, :9]) is not None
    assert torch.equal(folded(wide[:, :9]), wide[:, :9])


def test_large_rows_are_asked_fewer_at_a_time() -> None:
    assert bulk_of(TableSpec(numbers=3)) == BULK
    assert bulk_of(ImageSpec(3, 224, 224)) == 16
    assert bulk_of(TokenSpec(1000, length=200)) < BULK
