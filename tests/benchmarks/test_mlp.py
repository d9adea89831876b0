"""The same plain network by every library that core and dev have: it learns, and is scored alike."""

from __future__ import annotations

import math

import numpy as np
import pytest

from benchmarks import mlp


@pytest.fixture(scope="module")
def task() -> mlp.Task:
    X, y = mlp.made_rows(3_000)
    return mlp.Task(X[:2_000].astype(np.float32), y[:2_000], X[2_000:].astype(np.float32), y[2_000:])


def test_scores_are_log_loss_and_accuracy() -> None:
    probabilities = np.array([[0.5, 0.5], [0.25, 0.75], [0.9, 0.1]])
    loss = -(math.log(0.5) + math.log(0.75) + math.log(0.1)) / 3
    assert mlp.scores(probabilities, np.array([0, 1, 1])) == {
        "loss": pytest.approx(loss, abs=1e-5),
        "accuracy": 0.66667,
    }


def test_made_rows_are_a_function_of_their_number_with_two_classes() -> None:
    X, y = mlp.made_rows(500)
    again, _ = mlp.made_rows(500)
    assert X.shape == (500, 50)
    assert X.dtype == np.float64
    assert (again == X).all()
    assert 0.3 < y.mean() < 0.7


@pytest.mark.parametrize("library", ["decet", "torch", "torch-fused", "scikit-learn"])
def test_each_library_learns_the_made_table(task: mlp.Task, library: str) -> None:
    trained = mlp.LIBRARIES[library](task, 64, 4, 0)
    assert len(trained.epochs) == 4
    assert sum(trained.epochs) <= trained.seconds * 1.05 + 1e-3
    assert mlp.scores(trained.answer(task.held), task.truth)["accuracy"] > 0.75  # the classes are 50:50


def test_the_fused_kernel_trains_the_same_network(task: mlp.Task) -> None:
    plain, fused = (mlp.LIBRARIES[name](task, 64, 1, 0).answer(task.held) for name in ("torch", "torch-fused"))
    assert np.abs(plain - fused).max() < 1e-3


def test_decets_own_schedule_notes_the_loss_of_each_epoch(task: mlp.Task) -> None:
    curve: list[tuple[float, float]] = []
    recipe = {"epochs": 3, "batch": 128, "lr": 3e-3, "schedule": "cosine"}
    trained = mlp._decet_by(task, recipe, 0, curve, watched=True)
    seconds, losses = zip(*curve, strict=True)
    assert len(curve) == 3
    assert list(seconds) == sorted(seconds)
    assert seconds[-1] <= trained.seconds
    assert losses[-1] == mlp.scores(trained.answer(task.held), task.truth)["loss"]
