"""Graphs as networks read them: features, edges both ways, positions, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from decet.contracts import GraphSpec, TableSpec
from decet.data.graph_codec import GraphCodec, Graphs, eigenvectors
from decet.data.graphs import Graph
from decet.errors import BadInput
from decet.tensors import Sparse

PATH = np.array([[0, 1, 2], [1, 2, 3]])  # 0 - 1 - 2 - 3
RNG = np.random.default_rng(0)


def lean(rows: int = 50, columns: int = 30) -> np.ndarray:
    return ((RNG.random((rows, columns)) < 0.05) * RNG.random((rows, columns))).astype(np.float32)


def test_features_that_are_mostly_nothing_stay_sparse_and_sum_to_one() -> None:
    X = lean()
    graph = Graph(PATH, features=X)
    codec = Graphs().fit(graph, None, (GraphSpec,))
    asked, web = codec.encode(graph.take([7, 2]))
    assert codec.spec == GraphSpec(30, sparse=True)
    assert asked.tolist() == [7, 2]
    assert isinstance(web.nodes, Sparse)
    total = torch.zeros(50).index_add(
        0, torch.repeat_interleave(torch.arange(50), web.nodes.offsets.diff()), web.nodes.values
    )
    torch.testing.assert_close(total, torch.from_numpy((X.sum(1) > 0).astype(np.float32)))


def test_dense_features_are_standardised_by_the_graph_that_was_learned_from() -> None:
    X = RNG.normal(5.0, 3.0, (40, 3))
    graph = Graph(PATH, features=X)
    codec = Graphs().fit(graph, None, (GraphSpec,))
    _, web = codec.encode(graph)
    torch.testing.assert_close(web.nodes.mean(0), torch.zeros(3), atol=1e-5, rtol=0)
    _, other = codec.encode(Graph(PATH, features=X[:4] + 1))
    torch.testing.assert_close(other.nodes, web.nodes[:4] + torch.tensor(1 / X.std(0)).float(), atol=1e-4, rtol=1e-4)


def test_networks_without_edges_read_the_features_of_the_nodes_in_question() -> None:
    graph = Graph(PATH, features=RNG.normal(size=(4, 3)))
    codec = Graphs().fit(graph, None, (TableSpec,))
    numbers, categories = codec.encode(graph.take([2]))
    assert codec.spec == TableSpec(numbers=3)
    assert (numbers.shape, categories.shape) == ((1, 3), (1, 0))
    with pytest.raises(BadInput, match="nodes have no features, so only networks of graphs can tell them apart"):
        Graphs().fit(Graph(PATH), None, (TableSpec,))


def test_edges_carry_what_is_known_of_them_both_ways() -> None:
    graph = Graph(PATH, kind=["b", "a", "b"], weight=[1.0, 2.0, 3.0], edge_features=np.eye(3))
    codec = Graphs(identity=False).fit(graph, None, (GraphSpec,))
    assert codec.spec == GraphSpec(1, edge_features=3, relations=2)
    _, web = codec.encode(graph)
    assert web.nodes.tolist() == [[1.0]] * 4  # nothing is known of nodes
    assert web.edges.kind.tolist() == [1, 0, 1] * 2
    assert web.edges.weight.tolist() == [1.0, 2.0, 3.0] * 2
    assert torch.equal(web.edges.features, torch.eye(3).repeat(2, 1))


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (Graph(PATH, features=np.ones((4, 2)), kind=list("aab")), r"nodes have 2 features, training had 3\."),
        (
            Graph(PATH, features=np.ones((4, 3)), kind=list("aab"), directed=True),
            r"edges go one way, in training they went both ways\.",
        ),
        (
            Graph(PATH, features=np.ones((4, 3))),
            r"edges have no kinds, training had kinds: the network cannot read both",
        ),
        (Graph(PATH, features=np.ones((4, 3)), kind=list("aac")), r"edges have kinds that training did not: 'c'\."),
        (
            Graph(PATH, features=np.ones((4, 3)), kind=list("aab"), edge_features=np.ones((3, 2))),
            r"edges have 2 features, training had 0\.",
        ),
    ],
)
def test_a_graph_of_another_form_is_refused(other: Graph, message: str) -> None:
    codec = Graphs().fit(Graph(PATH, features=np.ones((4, 3)), kind=list("aab")), None, (GraphSpec,))
    with pytest.raises(BadInput, match=message):
        codec.encode(other)


@pytest.mark.parametrize("features", [None, lean(4, 30), RNG.normal(size=(4, 3))])
def test_a_codec_is_its_state_and_makes_up_graphs_it_can_read(features: np.ndarray | None) -> None:
    graph = Graph(PATH, features=features, kind=list("aab"), directed=True)
    codec = Graphs(loops="keep").fit(graph, None, (GraphSpec,))
    again = GraphCodec.restore(*codec.state())
    assert (again.spec, again.graphs) == (codec.spec, codec.graphs)
    for made in (graph, codec.sample(16, 3)):
        for (name, mine), theirs in zip(
            codec.encode(made)[1].parts().items(), again.encode(made)[1].parts().values(), strict=True
        ):
            assert torch.equal(mine, theirs), name


def test_what_is_surely_not_meant_is_told() -> None:
    inputs = Graphs()
    graph = Graph(PATH, count=6, features=np.ones((6, 1)))
    assert inputs.notes(graph, None, None) == ["2 nodes have no edges, of 6: told by their own features only."]
    lonely = inputs.notes(Graph(np.empty((2, 0)), count=3), None, None)
    assert lonely[0] == "the graph has no edges: each node is told by its own features only."
    assert lonely[1] == "nodes have no features: they are told by their edges only."


@pytest.mark.parametrize("count", [30, 200])
def test_positions_are_the_smoothest_functions_on_the_graph(count: int) -> None:
    ring = Graph(np.stack([np.arange(count), (np.arange(count) + 1) % count]))
    found = eigenvectors(ring, 2)
    angle = 2 * np.pi * np.arange(count) / count
    for column in found.T:  # a wave of one turn, of some phase
        wave = np.stack([np.cos(angle), np.sin(angle)], 1)
        rest = column - wave @ np.linalg.lstsq(wave, column, rcond=None)[0]
        assert np.abs(rest).max() < 1e-3
    np.testing.assert_allclose(found.std(0), 1.0, atol=1e-3)


@pytest.mark.parametrize("features", [None, lean(4, 30), RNG.normal(size=(4, 3))])
def test_positions_join_the_features(features: np.ndarray | None) -> None:
    graph = Graph(PATH, features=features)
    codec = Graphs(positions=6).fit(graph, None, (GraphSpec,))
    nodes = codec.encode(graph)[1].nodes
    width = (0 if features is None else features.shape[1]) + 6
    assert codec.spec.features == width
    assert (nodes.width if isinstance(nodes, Sparse) else nodes.shape[1]) == width


def test_nodes_without_features_are_known_one_by_one() -> None:
    codec = Graphs().fit(Graph(PATH), None, (GraphSpec,))
    assert codec.spec == GraphSpec(4, sparse=True, identity=True)
    nodes = codec.encode(Graph(PATH).take([2]))[1].nodes
    torch.testing.assert_close(nodes.times(torch.eye(4)), torch.eye(4))
    with pytest.raises(BadInput, match="this network knows 4 nodes one by one, for they had no features"):
        codec.encode(Graph(PATH, count=5))
    assert Graphs(identity=False).fit(Graph(PATH), None, (GraphSpec,)).spec == GraphSpec(1)
    both = Graphs(identity=True).fit(Graph(PATH, features=np.ones((4, 2))), None, (GraphSpec,))
    assert both.spec == GraphSpec(6, sparse=True, identity=True)
    asked, web = both.encode(both.sample(3, 0))
    assert (len(asked), web.nodes.width) == (3, 6)
