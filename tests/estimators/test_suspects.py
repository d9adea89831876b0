"""Labels that were flipped on purpose are among those named, by both ways of looking for them."""

from __future__ import annotations

import numpy as np
import pytest

from decet import DNN, Recipe, TableClassifier
from decet.estimators import fitting


def wrong_labels(rows: int, flips: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(rows, 4))
    y = (X[:, 0] + X[:, 1] > 0).astype(int)
    sure = np.flatnonzero(np.abs(X[:, 0] + X[:, 1]) > 0.7)
    flipped = rng.choice(sure, flips, replace=False)
    y[flipped] = 1 - y[flipped]
    return X, y, flipped


@pytest.mark.parametrize("large", [False, True])
def test_flipped_labels_are_named(large: bool, monkeypatch) -> None:
    if large:
        monkeypatch.setattr(fitting, "LARGE", 50)
    X, y, flipped = wrong_labels(600, 20)
    model = TableClassifier(DNN(hidden=(32,), dropout=0.0), recipe=Recipe(epochs=15, members=1, lr=5e-3)).fit(X, y)
    named = [suspect["row"] for suspect in model.suspects_]
    right = np.isin(named[:15], flipped).mean()
    assert right >= 0.8
    first = model.suspects_[0]
    assert (first["label"], first["instead"]) in ((0, 1), (1, 0))
    assert first["chance_instead"] > first["chance_of_label"]


def test_clean_and_easy_rows_have_no_suspects() -> None:
    X, y, _ = wrong_labels(300, 0)
    X = X + 3 * np.where(y == 1, 1, -1)[:, None]
    model = TableClassifier(DNN(hidden=(16,), dropout=0.0), recipe=Recipe(epochs=15, members=1, lr=5e-3)).fit(X, y)
    assert model.suspects_ == []


def test_numbers_and_several_columns_have_none() -> None:
    X, y, _ = wrong_labels(60, 0)
    two = TableClassifier(DNN(hidden=(8,)), recipe=Recipe(epochs=2, members=1)).fit(X, np.stack([y + 5, 7 - y], 1))
    assert two.suspects_ == []
