"""Would more data help? It would where a model still learns, and not where nothing is left to learn."""

from __future__ import annotations

import numpy as np
import pytest

from decet import DNN, Recipe, TableClassifier, compare
from decet.referee import contenders
from decet.referee.halving import FEWEST, Gain
from decet.referee.intervals import Interval
from decet.referee.verdict import BASELINE, FAMILY, Result, verdict

pytestmark = pytest.mark.filterwarnings("ignore")
SLOW = Recipe(epochs=20, members=1)
RNG = np.random.default_rng(0)


def test_a_model_that_still_learns_gains() -> None:
    X = RNG.normal(size=(600, 60))
    y = (X @ RNG.normal(size=60) > 0).astype(int)
    found = compare(TableClassifier(recipe=SLOW), X, y, families=[DNN(width=8)])
    gain = found.facts["gain"]
    assert gain is not None
    assert gain["rows"] == found.facts["train"]
    assert abs(gain["half"] - gain["rows"] / 2) < 2
    assert gain["low"] > 0
    assert "More data would help: from half of the rows to all of them" in found.verdict


def test_what_is_learned_already_gains_nothing() -> None:
    X = RNG.normal(size=(600, 2))
    found = compare(TableClassifier(recipe=SLOW), X, (X[:, 0] > 0).astype(int), families=[DNN(width=8)])
    assert found.facts["gain"]["low"] <= 0.005
    assert "More data" not in found.verdict


def test_few_rows_are_not_halved() -> None:
    X = RNG.normal(size=(FEWEST - 5, 2))
    found = compare(TableClassifier(recipe=SLOW), X, np.arange(len(X)) % 2, families=[DNN(width=8)])
    assert found.facts["gain"] is None


def test_the_very_least_and_chance_are_not_told() -> None:
    results = [Result("A", BASELINE, Interval(0.9, 0.8, 0.95), Interval(0, 0, 0)), Result("B", FAMILY, Interval(0.5, 0.4, 0.6), Interval(0.4, 0.3, 0.5))]  # fmt: skip  # noqa: E501
    said = {
        value: "More data would help" in verdict(results, "accuracy", 500, gain=Gain("A", 1, 2, *value))
        for value in ((0.1, 0.05, 0.2), (0.1, -0.01, 0.2), (0.001, 0.0005, 0.002))
    }
    assert list(said.values()) == [True, False, False]


def test_a_baseline_that_was_cut_is_not_halved(monkeypatch) -> None:
    """Under a budget it was fitted on some of the rows: half of all of them would be more."""
    X = RNG.normal(size=(600, 60))
    y = (X @ RNG.normal(size=60) > 0).astype(int)
    monkeypatch.setattr(contenders, "FIRST", 100)
    monkeypatch.setattr(contenders, "SLOWER", 1e6)
    found = compare(TableClassifier(), X, y, families=[DNN(width=8)], budget=12)
    assert all(result.rows < found.facts["train"] for result in found.results if result.kind == BASELINE)
    assert found.facts["gain"] is None
