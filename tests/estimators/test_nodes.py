"""NodeClassifier: few labels and many neighbours, official parts, nodes not seen in training, saved and resumed."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import decet
from decet import DNN, GNN, BadInput, Graph, Graphs, MessagePassing, NodeClassifier, Recipe
from decet.data import datasets
from decet.errors import Unsupported
from decet.training.checkpoint import same_tree

pytestmark = pytest.mark.filterwarnings("ignore::decet.DataWarning")
QUICK = Recipe(epochs=30)


def groups(seed: int = 0, count: int = 120, features: bool = True) -> Graph:
    """Three groups whose nodes are joined more often within than between; features hint at the group."""
    rng = np.random.default_rng(seed)
    group = np.arange(count) % 3
    chance = np.where(group[:, None] == group[None], 0.12, 0.01)
    a, b = np.nonzero(np.triu(rng.random((count, count)) < chance, 1))
    X = np.eye(3)[group] + 1.5 * rng.normal(size=(count, 3)) if features else None
    return Graph(np.stack([a, b]), count, X, labels=np.array(list("abc"), dtype=object)[group])


def hidden(graph: Graph, known: int = 30) -> tuple[Graph, np.ndarray]:
    """Answers of the first nodes only."""
    y = graph.labels.copy()
    y[known:] = None
    return graph, y


@pytest.fixture(scope="module")
def fitted() -> tuple[NodeClassifier, Graph]:
    graph, y = hidden(groups())
    return NodeClassifier(GNN(width=16), recipe=QUICK).fit(graph, y), graph


def test_few_answers_are_enough_where_neighbours_are_alike(fitted) -> None:
    model, graph = fitted
    others = graph.take(np.arange(30, 120))
    assert model.score(others) > 0.75
    assert model.evaluate(others)["accuracy"] == pytest.approx(model.score(others))
    alone = NodeClassifier(DNN(width=16), recipe=QUICK).fit(*hidden(graph))
    assert model.score(others) > alone.score(others) + 0.1


def test_answers_of_all_nodes_come_in_their_order_with_sets_and_unlikeness(fitted) -> None:
    model, graph = fitted
    records = list(model.records(graph))
    assert len(records) == 120
    assert records[5]["answer"] == model.predict(graph)[5]
    assert [record["node"] for record in records[:3]] == [0, 1, 2]
    assert {"answer", "probabilities", "set", "unlike"} <= set(records[0])
    assert model.predict_proba(graph.take([3])).shape == (1, 3)
    np.testing.assert_allclose(model.predict_proba(graph.take([9, 3])), model.predict_proba(graph)[[9, 3]], atol=1e-6)


def test_nodes_and_graphs_that_training_never_saw_are_answered(fitted) -> None:
    model, _ = fitted
    assert model.score(groups(seed=7)) > 0.55


def test_the_same_seed_gives_the_same_bits_and_another_another_network(fitted) -> None:
    model, graph = fitted
    again = NodeClassifier(GNN(width=16), recipe=QUICK).fit(*hidden(graph))
    other = NodeClassifier(GNN(width=16), recipe=QUICK, seed=1).fit(*hidden(graph))
    assert same_tree(again.learner_.state_dict(), model.learner_.state_dict())
    assert not same_tree(other.learner_.state_dict(), model.learner_.state_dict())


def test_a_model_is_saved_verified_and_loaded(fitted, tmp_path: Path) -> None:
    model, graph = fitted
    model.save(tmp_path / "m")
    assert decet.verify(tmp_path / "m"), str(decet.verify(tmp_path / "m"))
    np.testing.assert_array_equal(decet.load(tmp_path / "m").predict_proba(graph), model.predict_proba(graph))


@pytest.mark.parametrize("conv", ["gcn", "sage", "gat", "gatv2", "gin", "gcn2", "appnp", "grand"])
def test_every_convolution_learns(conv: str) -> None:
    graph, y = hidden(groups(), 60)
    model = NodeClassifier(GNN(conv=conv, width=16, heads=4, hops=3), recipe=Recipe(epochs=60)).fit(graph, y)
    assert model.score(graph.take(np.arange(60, 120))) > 0.6


def test_a_public_graph_is_labelled_by_what_it_is() -> None:
    with pytest.raises(BadInput, match="'karate' is labelled by 'club', not by 'age'"):
        NodeClassifier().fit("karate", "age")
    assert NodeClassifier(recipe=Recipe(epochs=1)).fit("karate", "club").target_names_ == ("club",)


def test_the_official_parts_of_a_public_graph_train_choose_and_judge(data_folder: Path) -> None:
    model = NodeClassifier(seed=0).fit("cora")
    assert model.provenance_["rows"] == 140
    assert model.provenance_["validation"] == "rows given"
    assert model.score(datasets.load("cora", "test")) > 0.79
    assert model.metrics_["accuracy"] == pytest.approx(model.score(datasets.load("cora", "validation")))


def test_a_graph_without_features_is_told_by_its_edges(tmp_path: Path) -> None:
    graph, y = hidden(groups(features=False), 60)
    with pytest.warns(decet.DataWarning, match="nodes have no features: they are told by their edges only"):
        model = NodeClassifier(GNN(width=16), recipe=Recipe(epochs=60)).fit(graph, y)
    assert model.score(graph.take(np.arange(60, 120))) > 0.8
    model.save(tmp_path / "m")
    assert decet.verify(tmp_path / "m")


def test_kinds_of_edges_are_told_apart() -> None:
    """Friends are of one group, rivals of another: only who tells the kinds apart knows."""
    rng = np.random.default_rng(0)
    group = np.arange(200) % 2
    edges = rng.integers(0, 200, (2, 1_500))
    same = group[edges[0]] == group[edges[1]]
    X = np.where(rng.random(200) < 0.3, 2.0 * group - 1, 0.0)[:, None]
    graph = Graph(edges, 200, X, kind=np.where(same, "friend", "rival"))
    y = np.array(["x", "y"], dtype=object)[group]
    told = np.where(np.arange(200) < 100, y, None)
    for conv in ("rgcn", "compgcn"):
        model = NodeClassifier(GNN(conv=conv, width=16), recipe=Recipe(epochs=60)).fit(graph, told)
        assert model.score(graph.take(np.arange(100, 200)), y[100:]) > 0.8, conv


def test_tables_of_edges_and_nodes_are_enough(tmp_path: Path) -> None:
    graph = groups()
    pd.DataFrame(graph.edges.T, columns=["a", "b"]).to_csv(tmp_path / "edges.csv", index=False)
    nodes = pd.DataFrame(graph.features, columns=["x", "y", "z"])
    nodes.insert(0, "id", np.arange(120))
    nodes["group"] = np.where(np.arange(120) < 60, graph.labels, None)
    nodes.to_csv(tmp_path / "nodes.csv", index=False)
    inputs = Graphs(nodes=str(tmp_path / "nodes.csv"))
    model = NodeClassifier(GNN(width=16), inputs=inputs, recipe=QUICK).fit(str(tmp_path / "edges.csv"), "group")
    assert model.provenance_["rows"] == 60
    records = list(model.records(str(tmp_path / "edges.csv")))
    answers = [record["answer"] for record in records]
    assert records[7]["node"] == 7
    assert len(answers) == 120
    assert (np.array(answers)[60:] == graph.labels[60:]).mean() > 0.7
    assert model.evaluate(str(tmp_path / "edges.csv"))["accuracy"] > 0.7


@pytest.mark.parametrize(
    ("X", "y", "message"),
    [
        (groups().take([0, 1]), ["a", None, "b"], r"the graph has 120 nodes but y has 3 answers\."),
        (groups(), [None] * 120, r"none of 120 nodes has an answer: nothing to learn from or to judge by\."),
        (groups(), [["a", "b"]] * 120, r"y must hold one answer a node\. Received: shape \(120, 2\)\."),
        (groups(), [["a"], ["a", "b"]] * 60, r"y must hold one answer a node\. Received: \['a'\]\."),
        (Graph([[0], [1]]), None, r"NodeClassifier needs the answers of some nodes: y, one a node, with None where"),
        ("iris", None, r"the public set 'iris' holds tables, and NodeClassifier takes graphs\."),
        ("corra", None, r"no such path or public set: 'corra'\. Did you mean 'cora'\?"),
        (groups(), ["a"] * 120, r"y has one class only \('a'\): nothing to tell apart\."),
    ],
)
def test_what_cannot_be_learned_from_is_refused(X: object, y: object, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        NodeClassifier().fit(X, y)


def test_a_graph_of_another_form_is_refused(fitted) -> None:
    model, _ = fitted
    with pytest.raises(BadInput, match=r"nodes have 2 features, training had 3\."):
        model.predict(Graph([[0], [1]], features=np.ones((2, 2))))
    with pytest.raises(BadInput, match="is judged by answers: y, or a graph that holds those of its nodes"):
        model.evaluate(Graph([[0], [1]], features=np.ones((2, 3))))


class Own(MessagePassing):
    def __init__(self, inputs: int, outputs: int, edge_features: int):
        super().__init__()
        self.told = torch.nn.Linear(inputs, outputs)

    def message(self, source, target, features):
        return self.told(source)


def test_a_layer_of_ones_own_trains_and_says_that_it_cannot_be_saved(tmp_path: Path) -> None:
    graph, y = hidden(groups(), 60)
    model = NodeClassifier(GNN(conv=Own, width=16), recipe=QUICK).fit(graph, y)
    assert model.score(graph) > 0.6
    with pytest.raises(Unsupported, match="conv is a class of your own, which a model folder cannot hold"):
        model.save(tmp_path / "m")


def test_a_layer_of_ones_own_reads_graphs_without_features_too() -> None:
    graph, y = hidden(groups(features=False), 60)
    model = NodeClassifier(GNN(conv=Own, width=16), recipe=Recipe(epochs=60)).fit(graph, y)
    assert model.score(graph.take(np.arange(60, 120))) > 0.6


def test_a_stopped_fit_is_gone_on_with(tmp_path: Path) -> None:
    graph, y = hidden(groups())
    whole = NodeClassifier(GNN(width=16), recipe=QUICK).fit(graph, y)
    seen: list[dict] = []

    def stop(record: dict) -> None:
        seen.append(record)
        if record["stage"] == "train" and record["epoch"] == 3:
            raise RuntimeError("stopped")

    with pytest.raises(RuntimeError, match="stopped"):
        NodeClassifier(GNN(width=16), recipe=QUICK).fit(graph, y, out=tmp_path / "m", on_epoch=stop)
    model = NodeClassifier(GNN(width=16), recipe=QUICK).fit(graph, y, out=tmp_path / "m", resume=True)
    assert same_tree(model.learner_.state_dict(), whole.learner_.state_dict())
    assert json.loads((tmp_path / "m" / "model.json").read_text())["estimator"] == "NodeClassifier"


@pytest.mark.parametrize("sampler", ["neighbours", "walks"])
def test_batches_of_parts_of_a_graph_learn_as_the_whole_does(sampler: str) -> None:
    graph, y = hidden(groups(count=300), 150)
    recipe, inputs = Recipe(epochs=30, batch=32), Graphs(sampler=sampler)
    model = NodeClassifier(GNN(conv="sage", width=16), recipe=recipe, inputs=inputs).fit(graph, y)
    assert model.history_[-1]["step"] > 30
    assert model.score(graph.take(np.arange(150, 300))) > 0.75


def test_nodes_that_are_to_judge_never_train() -> None:
    graph = groups()
    parted = Graph(graph.edges, graph.count, graph.features, labels=graph.labels, splits={"test": np.arange(60, 120)})
    model = NodeClassifier(GNN(width=16), recipe=QUICK).fit(parted)
    assert model.provenance_["rows"] == 60


def test_a_published_network_keeps_its_layers_whatever_the_map_says_of_another() -> None:
    graph, y = hidden(groups())
    model = NodeClassifier(GNN(conv="gcn", width=16), recipe=Recipe(epochs=2)).fit(graph, y)
    assert len(model.learner_.body.layers) == 2
