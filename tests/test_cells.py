"""Every cell of the map: learns something real, repeats itself to the bit, resumes, overfits, saves and loads.

The default settings of each cell are used but for the number of epochs, and the widths of networks for pictures.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.datasets import load_diabetes, load_digits, load_wine
from sklearn.model_selection import train_test_split

from decet import CNN, DNN, Graphs, Recipe, ResNet, Texts, Word2Vec
from decet.contracts import Stage
from decet.data.resident import Resident
from decet.estimators import fitting
from decet.estimators.base import Cell, Estimator
from decet.estimators.catalog import ESTIMATORS
from decet.settings import joined
from decet.tasks.classify import Classify
from decet.training import loop
from decet.training.checkpoint import same_tree
from decet.training.recipe import FALLBACK

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Work:
    """A small real task of an estimator, and what counts as having learned it."""

    load: Any
    chance: float  # the score of an answer that does not look at the row
    margin: float  # by which a few epochs must beat it on held-out rows
    narrow: tuple[Any, ...] = ()  # families made small, where the map's own would take minutes
    inputs: Any = None


def digits(return_X_y: bool) -> tuple[np.ndarray, np.ndarray]:
    """300 of scikit-learn's handwritten digits as pictures, 8 x 8 grey."""
    found = load_digits()
    return (found.images[:300] * 15).astype(np.uint8), found.target[:300]


def reviews(return_X_y: bool) -> tuple[np.ndarray, np.ndarray]:
    """200 sentences whose class is that of the one word in them that tells it."""
    rng = np.random.default_rng(0)
    telling = {"good": ("fine", "clean", "friendly", "lovely"), "bad": ("dirty", "rude", "slow", "poor")}
    others = ["the", "room", "was", "and", "food", "with", "a", "view", "we", "had", "staff", "night"]
    labels = np.array(["bad", "good"])[rng.integers(0, 2, 200)]
    words = [[*rng.choice(others, rng.integers(4, 9)), rng.choice(telling[label])] for label in labels]
    return np.array([" ".join(rng.permutation(some)) for some in words]), labels


WORKS = {
    "TableClassifier": Work(load_wine, chance=0.40, margin=0.45),  # accuracy; the largest of three classes
    "TableRegressor": Work(load_diabetes, chance=0.0, margin=0.25),  # R2; the mean
    "ImageClassifier": Work(digits, 0.12, 0.5, (ResNet(width=8), CNN(channels=(8, 16)), DNN(width=32, depth=1))),
    "TextClassifier": Work(
        reviews, 0.5, 0.25, (CNN(width=16, channels=(8,)), ResNet(width=8), DNN(width=8)), Texts(buckets=512)
    ),
}
ANSWERING = [  # vectors: test_embedding.py; nodes: test_nodes.py
    estimator for estimator in ESTIMATORS if hasattr(estimator, "agreement") and estimator.kind is not Graphs
]
EPOCHS = {Word2Vec: 60}  # an answer that is linear in a mean takes many small steps; 8 elsewhere
CELLS = [(estimator, cell) for estimator in ANSWERING for cell in estimator.row]


@dataclass
class Trained:
    """A cell's model, its data and its folder."""

    model: Estimator
    folder: Path
    rows: np.ndarray
    answers: np.ndarray
    held: np.ndarray
    truth: np.ndarray
    work: Work

    def another(self, **settings: Any) -> Estimator:
        return type(self.model)(self.model.family, recipe=self.model.recipe, inputs=self.model.inputs, **settings)


@pytest.fixture(scope="module", params=CELLS, ids=lambda pair: f"{pair[0].__name__}-{pair[1].family.__name__}")
def trained(request, tmp_path_factory):
    estimator, cell = request.param
    work = WORKS[estimator.__name__]
    rows, held, answers, truth = train_test_split(*work.load(return_X_y=True), test_size=0.3, random_state=0)
    folder = tmp_path_factory.mktemp("cell") / "model"
    family = next((f for f in work.narrow if isinstance(f, cell.family)), cell.family())
    model = estimator(family, recipe=Recipe(epochs=EPOCHS.get(cell.family, 8), lr=5e-3), inputs=work.inputs).fit(
        rows, answers, out=folder
    )
    return Trained(model, folder, rows, answers, held, truth, work)


@pytest.fixture
def no_folds(monkeypatch):
    """Train once, without cross-fitting: what is looked at is the final fit."""
    monkeypatch.setattr(fitting, "FEWEST", 10**9)


def test_learns_better_than_chance_by_a_margin(trained):
    assert trained.model.score(trained.held, trained.truth) > trained.work.chance + trained.work.margin


def test_its_figures_agree_with_held_out_rows(trained):
    found = trained.model.evaluate(trained.held, trained.truth)
    name = "accuracy" if issubclass(trained.model.question, Classify) else "r2"
    assert trained.model.metrics_[name] == pytest.approx(found[name], abs=0.2)


def test_the_same_seed_gives_the_same_bits(trained):
    again = trained.another().fit(trained.rows, trained.answers)
    assert same_tree(again.learner_.state_dict(), trained.model.learner_.state_dict())
    assert again.metrics_ == trained.model.metrics_


def test_another_seed_gives_another_network(trained, no_folds):
    other = trained.another(seed=1).fit(trained.rows, trained.answers)
    assert not same_tree(other.learner_.state_dict(), trained.model.learner_.state_dict())


class Stop(Exception):
    pass


def test_stopped_at_a_step_and_resumed_it_ends_with_the_same_bits(trained, no_folds, tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "WRITE_SECONDS", 0.0)
    monkeypatch.setattr(loop, "SAVE_STEPS", (1, 7))
    unbroken = trained.another().fit(trained.rows, trained.answers)
    seed_all, steps = loop.seed_all, []

    def stop(*args) -> None:
        steps.append(1)
        if len(steps) == 25:
            raise Stop
        seed_all(*args)

    with monkeypatch.context() as patch, pytest.raises(Stop):
        patch.setattr(loop, "seed_all", stop)
        trained.another().fit(trained.rows, trained.answers, out=tmp_path)
    assert (tmp_path / loop.CHECKPOINT).exists()
    resumed = trained.another().fit(trained.rows, trained.answers, out=tmp_path, resume=True)
    assert same_tree(resumed.learner_.state_dict(), unbroken.learner_.state_dict())


def _batch_of(trained: Trained, rows: int) -> Resident:
    inputs = trained.model.codec_.encode(trained.model._given(trained.rows[:rows], None, reset=False).rows)
    return Resident(inputs, trained.model.answer_.encode(trained.answers[:rows]), batch=rows)


def _untrained(trained: Trained) -> Any:
    members = trained.model.recipe_.members
    body = trained.model.family_.encoder(trained.model.codec_.spec, members)
    asked = trained.model._asked()
    if isinstance(asked, Classify):
        asked = replace(asked, label_smoothing=0.0)  # with it no loss comes near to 0
    return asked.learner(body, trained.model.answer_.spec, members)


def test_every_parameter_gets_a_gradient(trained):
    learner = _untrained(trained)
    for phase in learner.phases():
        learner(_batch_of(trained, 64).example(), phase.name).total.backward(inputs=phase.parameters)
    for name, parameter in learner.named_parameters():
        assert parameter.grad is not None, name
        assert bool(torch.isfinite(parameter.grad).all()), name
        assert bool((parameter.grad != 0).any()), name


def test_overfits_one_batch(trained):
    learner, source = _untrained(trained), _batch_of(trained, 12)
    example = source.example()
    recipe = joined(Recipe(epochs=300, lr=0.02, weight_decay=0.0), trained.model.recipe_, FALLBACK)
    learner.eval()
    before = float(learner(example, "train").total.detach())
    loop.train([Stage(learner, source, recipe)])
    learner.eval()
    assert float(learner(example, "train").total.detach()) < 0.02 * before


def test_what_a_cell_used_is_kept(trained):
    cell: Cell = next(c for c in trained.model.row if isinstance(trained.model.family_, c.family))
    family, recipe, _ = cell.advise(trained.model.codec_.spec, len(trained.rows), None)
    assert trained.model.family_ == joined(trained.model.family, family, trained.model.family_)
    assert trained.model.recipe_.batch == recipe.batch
    assert (trained.model.recipe_.epochs, trained.model.recipe_.lr) == (EPOCHS.get(cell.family, 8), 5e-3)


SAVED: list[tuple[str, str]] = []  # folder and file of rows and answers, of each cell that was trained


def test_is_saved_and_verifies(trained):
    import decet

    assert decet.verify(trained.folder).ok
    beside = trained.folder.parent / "rows.npz"
    np.savez(beside, rows=trained.held, answers=trained.model.predict(trained.held))
    SAVED.append((str(trained.folder), str(beside)))


CHILD = """
import json, sys
import numpy as np
import decet
for folder, beside in json.loads(sys.argv[1]):
    with np.load(beside) as kept:
        answers = decet.load(folder).predict(kept["rows"])
        if answers.dtype.kind in "US":
            assert (answers == kept["answers"]).all()
        else:
            np.testing.assert_allclose(answers, kept["answers"], rtol=1e-6)
print("ok")
"""


def test_another_process_loads_every_saved_model_and_answers_alike():
    assert len(SAVED) == len(CELLS)
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    command = [sys.executable, "-c", CHILD, json.dumps(SAVED)]
    child = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (child.stdout, child.returncode) == ("ok\n", 0), child.stderr


def test_every_estimator_has_its_work():
    assert set(WORKS) == {estimator.__name__ for estimator in ANSWERING}
