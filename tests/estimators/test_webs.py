"""What a fit of a graph alone has in common: budgets, starts, columns left out, what is told of nodes."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from decet import BadInput, CommunityDetector, Graph, Graphs, LinkPredictor, NodeEmbedder, Recipe
from decet.estimators.webs import fingerprint_of

pytestmark = pytest.mark.filterwarnings("ignore::decet.DataWarning")
RNG = np.random.default_rng(0)
GRAPH = Graph(np.stack([np.arange(80), (np.arange(80) * 7 + 1) % 80]), 80, RNG.normal(size=(80, 4)))
EVERY = (LinkPredictor, NodeEmbedder, CommunityDetector)


@pytest.mark.parametrize("estimator", EVERY)
def test_a_budget_holds(estimator: type) -> None:
    started = time.monotonic()
    model = estimator().fit(GRAPH, budget=1.0)
    assert time.monotonic() - started < 3.0
    assert model.provenance_["budget"] == 1.0


@pytest.mark.parametrize("estimator", EVERY)
def test_it_can_go_on_from_a_saved_model_of_its_kind(estimator: type, tmp_path: Path) -> None:
    estimator(recipe=Recipe(epochs=2)).fit(GRAPH, out=tmp_path / "m")
    model = estimator(recipe=Recipe(epochs=1)).fit(GRAPH, start=tmp_path / "m")
    assert model.taken_ == len(model.learner_.state_dict())
    other = EVERY[(EVERY.index(estimator) + 1) % 3]
    with pytest.raises(BadInput, match=f"holds a {estimator.__name__}, from which a {other.__name__} cannot go on"):
        other().fit(GRAPH, start=tmp_path / "m")


def test_a_column_of_labels_is_no_feature_and_judges(tmp_path: Path) -> None:
    labels = np.where(np.arange(80) < 40, "a", "b")
    nodes = pd.DataFrame({"id": np.arange(80), "x": GRAPH.features[:, 0], "topic": labels})
    nodes.to_csv(tmp_path / "nodes.csv", index=False)
    pd.DataFrame(GRAPH.edges.T, columns=["a", "b"]).to_csv(tmp_path / "edges.csv", index=False)
    inputs = Graphs(nodes=str(tmp_path / "nodes.csv"))
    model = CommunityDetector(inputs=inputs, recipe=Recipe(epochs=2)).fit(str(tmp_path / "edges.csv"), "topic")
    assert model.n_features_in_ == 1
    assert model.target_names_ == ("topic",)
    assert set(model.metrics_) == {"modularity", "nmi", "communities", "before moves"}
    assert model.evaluate(str(tmp_path / "edges.csv")) == pytest.approx(model.metrics_)
    with pytest.raises(BadInput, match="topik"):
        CommunityDetector(inputs=inputs).fit(str(tmp_path / "edges.csv"), "topik")


def test_labels_train_nobody() -> None:
    told = Graph(GRAPH.edges, 80, GRAPH.features, labels=np.arange(80) % 2)
    assert fingerprint_of(told) == fingerprint_of(GRAPH)
    assert fingerprint_of(Graph(GRAPH.edges, 80, GRAPH.features + 1)) != fingerprint_of(GRAPH)
    assert fingerprint_of(Graph(GRAPH.edges[:, :-1], 80, GRAPH.features)) != fingerprint_of(GRAPH)


@pytest.mark.parametrize("estimator", EVERY)
@pytest.mark.parametrize(
    ("X", "message"),
    [
        ("iris", "holds tables"),
        ("no-such-set", "no such path or public set"),
        (GRAPH.edges.T, r"edges must have shape \(2, E\).*edges.T"),
        (Graph(np.empty((2, 0)), 4, np.ones((4, 1))), "has no edges"),
    ],
)
def test_what_is_no_graph_is_told(estimator: type, X: object, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        estimator().fit(X)


def test_nodes_without_edges_are_told() -> None:
    with pytest.warns(match="2 nodes have no edges, of 82"):
        NodeEmbedder(recipe=Recipe(epochs=1)).fit(Graph(GRAPH.edges, 82, np.ones((82, 1))))
