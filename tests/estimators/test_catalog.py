"""The map: what is filled, what is planned, and that every cell's advice builds a network and a whole recipe."""

from __future__ import annotations

import inspect
from dataclasses import fields, replace

import numpy as np
import pytest
import torch

import decet
from decet import Agent, Environments, ImageClassifier, ImageGenerator, Prose, ResNet, TextGenerator, WordEmbedder
from decet.contracts import GraphSpec, ImageSpec, LabelSpec, NumberSpec, TableSpec, TokenSpec
from decet.data.graph_codec import Graphs
from decet.data.images import Images
from decet.data.texts import Texts
from decet.estimators import catalog
from decet.estimators.base import Cell, Estimator
from decet.estimators.catalog import ESTIMATORS, FAMILIES, PLAN, estimator_named
from decet.estimators.webs import LearnsGraph
from decet.settings import joined
from decet.tasks.classify import Classify
from decet.training.recipe import FALLBACK, Recipe

CELLS = [(estimator, cell) for estimator in ESTIMATORS for cell in estimator.row]
PATCHES = tuple(tuple(float(i == j) for j in range(27)) for i in range(27))
PICTURES = [
    ImageSpec(1, 8, 8),
    ImageSpec(1, 28, 28),
    ImageSpec(3, 32, 32, patches=PATCHES),
    ImageSpec(3, 128, 96),
    ImageSpec(3, 32, 32, frames=4),
]
TABLES = [
    TableSpec(numbers=1),
    TableSpec(numbers=20, categories=(3, 90), edges=((0.0, 1.0),) * 20),
    TableSpec(numbers=0, categories=(5,)),
    TableSpec(numbers=1000, edges=((0.0, 1.0),) * 1000),
    TableSpec(numbers=5000, sparse=True),
]
TEXTS = [
    TokenSpec(3, 1),
    TokenSpec(20_000, 45),
    TokenSpec(60_002, 512),
    TokenSpec(8_000, 2_000, counts=(1,) * 8_000),
    TokenSpec(50, 10),
]
BAGS = [TableSpec(numbers=buckets, sparse=True) for buckets in (16, 256, 1 << 16, 1 << 18, 1_000)]
UNSAID = ("steps", "metric", "window")  # of a recipe: without a general answer
ROWS = [1, 2, 30, 150, 999, 1_000, 5_000, 5_001, 99_999, 100_000, 10_000_000]


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_every_estimator_is_public_and_on_the_plan(estimator):
    assert getattr(decet, estimator.__name__) is estimator
    assert estimator.__name__ in decet.__all__
    planned = PLAN[estimator.__name__][2].split(", ")
    filled = [cell.family.__name__ for cell in estimator.row]
    assert filled == [name for name in planned if name in filled]  # in the plan's order, the default first
    assert estimator_named(estimator.__name__) is estimator


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_is_public_and_in_some_row(family):
    assert getattr(decet, family.__name__) is family
    assert any(cell.family is family for _, cell in CELLS)


def test_what_is_planned_has_a_name_and_no_class():
    assert len(PLAN) == 27
    assert all(len(row) == 3 and all(row) for row in PLAN.values())
    for name in ("TextTagger", "nothing", ""):
        assert estimator_named(name) is None


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_a_constructor_spells_out_its_question_and_keeps_what_it_is_given(estimator):
    parameters = inspect.signature(estimator).parameters
    asked = {f.name: f.default for f in fields(estimator.question)}
    names = ["family", *asked, "recipe", "inputs", "seed", "device"]
    assert list(parameters) == names
    assert {name: parameters[name].default for name in asked} == asked
    assert all(parameters[name].kind is inspect.Parameter.KEYWORD_ONLY for name in names[1:])
    given = {name: object() for name in names}
    model = estimator(**given)
    assert all(getattr(model, name) is value for name, value in given.items())
    assert issubclass(estimator, Estimator)
    assert all(name in estimator.__doc__ for name in names)


GRAPHS = [
    GraphSpec(1),
    GraphSpec(1433, sparse=True),
    GraphSpec(16, edge_features=3, directed=True),
    GraphSpec(8, relations=11),
    GraphSpec(2, relations=2, directed=True),
]


def specs_of(estimator, family) -> list:
    if estimator.kind is Graphs:
        return GRAPHS if GraphSpec in family.reads else TEXTS if TokenSpec in family.reads else TABLES
    if estimator.kind in (Texts, Prose):
        return TEXTS if TokenSpec in family.reads else BAGS
    return PICTURES if estimator.kind is Images else TABLES


@pytest.mark.parametrize(("estimator", "cell"), CELLS, ids=lambda x: getattr(x, "__name__", ""))
@pytest.mark.parametrize("place", range(5))
def test_every_cell_advises_whole_settings_for_data_of_any_shape(estimator, cell, place):
    spec = specs_of(estimator, cell.family)[place]
    answer = LabelSpec((3,)) if issubclass(estimator.question, Classify) else NumberSpec(2)
    for rows in ROWS:
        family, recipe, _ = cell.advise(spec, rows, None)
        assert isinstance(family, cell.family)
        whole = joined(recipe, FALLBACK)
        assert isinstance(whole, Recipe)
        assert all(getattr(whole, f.name) is not None for f in fields(Recipe) if f.name not in UNSAID)
        if estimator is WordEmbedder:
            assert family.embedder(np.array(spec.counts or [3, 2])).vectors.shape[1] == 112
            continue
        with torch.device("meta"):  # shapes only
            if issubclass(estimator, LearnsGraph):
                body = family.table(spec.vocabulary) if isinstance(spec, TokenSpec) else family.encoder(spec)
                learner = estimator.question().learner(body, False)
            elif estimator is Agent:
                learner = family.learner(spec, LabelSpec((3,)))
            elif estimator is ImageGenerator:
                learner = family.learner(replace(spec, frames=None), 3)
            elif estimator is TextGenerator:
                learner = estimator.question().learner(family.decoder(spec))
            else:
                learner = estimator.question().learner(family.encoder(spec, whole.members), answer, whole.members)
        assert sum(p.numel() for p in learner.parameters()) > 0


@pytest.mark.parametrize(("estimator", "cell"), CELLS, ids=lambda x: getattr(x, "__name__", ""))
def test_a_cells_batch_leaves_several_steps_an_epoch(estimator, cell):
    # steps of these are of so many words, of all nodes, or of what was met
    whole = estimator is WordEmbedder or estimator.kind in (Graphs, Environments)
    for rows in ROWS[2:] if not whole else ():
        assert rows / cell.advise(specs_of(estimator, cell.family)[0], rows, None)[1].batch >= 1.5


@pytest.mark.parametrize("cell", ImageClassifier.row, ids=lambda cell: cell.family.__name__)
def test_with_a_budget_pictures_may_be_seen_more_often(cell):
    """Forty thousand pictures are seen 26 times where nothing is said; who gives an hour may have more of it."""
    unsaid, said = (cell.advise(PICTURES[0], 46_000, budget)[1].epochs for budget in (None, 3600.0))
    assert said >= 3 * unsaid


@pytest.mark.parametrize("side", [32, 128])
@pytest.mark.parametrize(
    ("said", "weights"),
    [
        (ResNet(depth=18), 11_200_000),  # He et al., table 1 without its 1,000 classes
        (ResNet(depth=20), 270_000),  # their table 6
        (ResNet(depth=50), 23_500_000),
        (ResNet(blocks=(3, 3, 3), width=16, block="basic", preact=True), 270_000),
    ],
)
def test_a_depth_that_the_user_says_is_the_published_network(said, weights, side):
    """The cell's own network leaves no trace in it."""
    spec = ImageSpec(3, side, side, patches=PATCHES)
    family, _, _ = ImageClassifier(said)._joined_settings(ImageClassifier.row[0], spec, 50_000, None)
    with torch.device("meta"):
        body = family.encoder(spec)
    assert sum(p.numel() for p in body.parameters()) == pytest.approx(weights, rel=0.04)


def test_the_default_family_is_the_first_of_the_row():
    for estimator in ESTIMATORS:
        assert isinstance(estimator()._default("family"), estimator.row[0].family)
    assert all(isinstance(cell, Cell) for _, cell in CELLS)
    assert catalog.TableClassifier.row[0].family is decet.DNN
