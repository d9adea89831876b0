"""NodeEmbedder: nodes of a group are near, whom a node reaches and hears, other graphs, saved and loaded."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import decet
from decet import GNN, BadInput, Graph, Graphs, NodeEmbedder, Recipe, Word2Vec
from decet.errors import Unsupported

pytestmark = pytest.mark.filterwarnings("ignore::decet.DataWarning")


def groups(seed: int = 0, count: int = 150, features: bool = True) -> Graph:
    """Three groups whose nodes are joined more often within than between; features hint at the group."""
    rng = np.random.default_rng(seed)
    group = np.arange(count) % 3
    chance = np.where(group[:, None] == group[None], 0.15, 0.01)
    a, b = np.nonzero(np.triu(rng.random((count, count)) < chance, 1))
    X = np.eye(3)[group] + 0.8 * rng.normal(size=(count, 3)) if features else None
    labels = np.array(list("abc"), dtype=object)[group]
    return Graph(np.stack([a, b]), count, X, labels, names=np.array([f"n{i}" for i in range(count)], dtype=object))


CASES = [
    (None, True, Recipe(epochs=100), None),
    (None, False, Recipe(epochs=60), None),
    (Word2Vec(width=32, deterministic=True), False, Recipe(epochs=3), Graphs(walks=5, length=40)),
]


@pytest.fixture(scope="module", params=CASES, ids=["infomax", "edges", "walks"])
def fitted(request) -> tuple[NodeEmbedder, Graph]:
    family, features, recipe, inputs = request.param
    graph = groups(features=features)
    return NodeEmbedder(family, recipe=recipe, inputs=inputs).fit(graph), graph


def test_near_nodes_are_of_one_group(fitted) -> None:
    model, graph = fitted
    right = [
        graph.labels[int(name[1:])] == graph.labels[node]
        for node in range(0, 150, 10)
        for name, _ in model.most_similar(f"n{node}", topn=5)
    ]
    assert np.mean(right) > 0.7
    assert model.score(graph) > 0.7
    assert model.metrics_ == {}


def test_questions_of_nodes_are_those_of_words(fitted) -> None:
    model, graph = fitted
    assert model.transform(graph).shape[0] == 150
    assert model.vector("n3") == pytest.approx(model.transform(graph)[3], abs=1e-6)
    near = model.most_similar(["n0", "n3"], ["n1"], topn=4)
    assert near == model.most_similar(np.array(["n0", "n3"]), {"n1"}, topn=4)
    assert len(near) == 4
    assert not {"n0", "n3", "n1"} & {name for name, _ in near}
    name, cosine = model.most_similar("n0", topn=1)[0]
    assert model.similarity("n0", name) == pytest.approx(cosine, abs=1e-5)
    with pytest.raises(BadInput, match="no node 'n999'"):
        model.most_similar("n999")


def test_a_model_is_saved_with_its_nodes(fitted, tmp_path: Path) -> None:
    model, graph = fitted
    model.save(tmp_path / "m")
    again = decet.load(tmp_path / "m")
    assert again.most_similar("n5") == model.most_similar("n5")
    assert again.transform(graph) == pytest.approx(model.transform(graph), abs=1e-6)
    assert decet.verify(tmp_path / "m").ok


def test_a_record_has_a_node_and_its_vector(fitted) -> None:
    model, graph = fitted
    record = next(iter(model.records(graph)))
    assert record["node"] == "n0"
    assert record["vector"] == pytest.approx(model.vector("n0").tolist(), abs=1e-5)


def test_who_has_more_edges_reaches_more() -> None:
    star = Graph(np.array([[0, 0, 0, 0, 0, 5], [1, 2, 3, 4, 5, 6]]))
    model = NodeEmbedder(recipe=Recipe(epochs=1)).fit(star)
    spread = model.spread(star, probability=0.3, runs=4_000)
    assert spread.argmax() == 0
    assert spread[0] == pytest.approx(1 + 5 * 0.3 + 0.09, abs=0.05)
    assert model.spread(star, [6], probability=1.0, runs=3).tolist() == [7.0]
    assert model.spread(star, 6, probability=0.0, runs=3).tolist() == [1.0]


def test_a_network_hears_as_far_as_it_has_layers() -> None:
    graph = groups()
    model = NodeEmbedder(GNN(depth=1), recipe=Recipe(epochs=5)).fit(graph)
    heard = model.influences(graph, "n4", topn=200)
    joined = {f"n{a + b - 4}" for a, b in graph.edges.T.tolist() if 4 in (a, b)}
    assert {name for name, _ in heard} <= joined | {"n4"}
    assert sum(share for _, share in heard) == pytest.approx(1.0, abs=1e-4)


def test_walks_hear_no_features() -> None:
    graph = groups(features=False)
    model = NodeEmbedder(Word2Vec(width=16), recipe=Recipe(epochs=1), inputs=Graphs(walks=1, length=5)).fit(graph)
    with pytest.raises(Unsupported, match="depend on no features"):
        model.influences(graph, "n0")


def test_other_graphs_with_such_features_have_vectors_too() -> None:
    model = NodeEmbedder(recipe=Recipe(epochs=60)).fit(groups())
    other = groups(seed=5, count=90)
    assert model.transform(other).shape == (90, model.learner_.body.summary_width)
    assert model.score(other) > 0.7


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"objective": "walks"}, "objective"),
        ({"family": Word2Vec(), "objective": "infomax"}, "Word2Vec learns by walks"),
        ({"family": Word2Vec(tune=True, subwords=(3, 4))}, "subwords"),
        ({"family": Word2Vec(), "recipe": Recipe(batch=2)}, "recipe.batch does nothing"),
        ({"recipe": Recipe(metric="auc")}, "recipe.metric does nothing for NodeEmbedder"),
    ],
)
def test_what_cannot_work_is_told(said: dict, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        NodeEmbedder(**said).fit(groups())


def test_vectors_are_judged_by_labels_alone() -> None:
    graph = groups()
    model = NodeEmbedder(recipe=Recipe(epochs=3)).fit(graph)
    with pytest.raises(BadInput, match="against labels"):
        model.evaluate(Graph(graph.edges, 150, graph.features))
    assert model.evaluate(Graph(graph.edges, 150, graph.features), graph.labels) == model.evaluate(graph)
