"""Learners asked in chunks: the same answers whatever the chunk, and what is behind them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from decet import DNN, Recipe, TableClassifier, TableRegressor
from decet.contracts import ImageSpec, TableSpec, TokenSpec
from decet.estimators.asking import (
    BULK,
    CHUNK,
    GAP,
    SMALL,
    WIDEST,
    answers_of,
    bulk_of,
    examined,
    folded,
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
    slots = torch.tensor([[2, 0], [1, 1], [0, 0]])  # a category's, a flag's
    table = plain_numbers((torch.tensor([[1.0, 2], [1, 0], [0, 0]]), slots), TableSpec(numbers=2, categories=(5, 2)))
    assert table is not None
    assert (table[:, 2] / GAP).tolist() == [0, 2, 3]  # cells that are empty or unknown, the flag not counted again
    assert table[:, :2].tolist() == [[1, 2], [1, 0], [0, 0]]
    assert plain_numbers((torch.ones(2, 3, dtype=torch.int64),), TokenSpec(9)) is None


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
