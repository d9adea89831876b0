"""Graphs in memory: what fits together, arcs, parts of a graph, and what networks read."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import sparse

from decet.contracts import GraphSpec, TableSpec
from decet.data.graphs import Graph, GraphCodec, Graphs, eigenvectors
from decet.errors import BadInput
from decet.tensors import Sparse

PATH = np.array([[0, 1, 2], [1, 2, 3]])  # 0 - 1 - 2 - 3
RNG = np.random.default_rng(0)


def test_nodes_are_counted_by_what_is_known_of_them() -> None:
    assert Graph(PATH).count == 4
    assert Graph(PATH, features=np.ones((6, 2))).count == 6
    assert Graph(PATH, count=9).shape == (9, 0)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"edges": PATH.T}, r"edges must have shape \(2, E\)\. Received: shape \(3, 2\)\. Did you mean edges\.T\?"),
        (
            {"edges": PATH.T, "count": 4},
            r"edges must have shape \(2, E\) with values in \[0, 4\)\. Received: shape \(3, 2\)\.",
        ),
        ({"edges": PATH, "count": 3}, r"edges must have values in \[0, 3\)\. Received: 3, in edge 2\."),
        ({"edges": PATH + 1, "count": 4}, r"Received: 4, in edge 2\. Do they count from 1\? Subtract 1\."),
        ({"edges": PATH - 1}, r"edges must have values in \[0, N\)\. Received: -1, in edge 0\."),
        ({"edges": PATH + 0.5}, r"edges must hold whole numbers, the nodes they join\. Received: fractions or gaps\."),
        ({"edges": [["a"], ["b"]]}, r"edges must hold whole numbers, the nodes they join\. Received: <U1\."),
        ({"edges": [[0], [10**9]]}, r"edges name node 1,000,000,000, yet there are 1 edges only: are these names"),
        (
            {"edges": PATH, "features": [[1.0], [np.nan], [2.0], [np.inf]]},
            r"features has 2 values that are not finite, the first of node 1\. Fill them in, or leave",
        ),
        ({"edges": PATH, "features": np.ones((4, 1)), "labels": ["a"]}, r"labels has 1 rows for 4 nodes\."),
        ({"edges": PATH, "weight": [1.0]}, r"weight has 1 rows for 3 edges\."),
        ({"edges": PATH, "weight": [1.0, 0.0, 1.0]}, r"weight must be above 0\. Received: 0 for edge 1\."),
        ({"edges": PATH, "kind": ["a", None, "b"]}, r"kind is missing for edge 1; every edge needs its kind\."),
        (
            {"edges": PATH, "features": sparse.csr_matrix(([np.inf], ([2], [0])), shape=(4, 50))},
            r"features has 1 values that are not finite, the first of node 2\.",
        ),
        ({"edges": PATH, "weight": ["a", "b", "c"]}, r"weight must be numbers, one row an edge"),
        ({"edges": PATH, "splits": {"val": [0]}}, r"splits may have train, validation, test\. Received: 'val'\."),
        (
            {"edges": PATH, "splits": {"train": [0, 1], "test": [1, 2]}},
            r"splits put 1 nodes into two parts: what judges must not train\.",
        ),
        ({"edges": PATH, "splits": {"test": [9]}}, r"splits name nodes of test outside \[0, 4\)\."),
        (
            {
                "edges": PATH,
                "features": sparse.csr_matrix((np.ones(1, np.float32), [7], [0, 1, 1, 1, 1]), shape=(4, 2)),
            },
            r"features are no sparse matrix",
        ),
        ({"edges": PATH, "features": [["x"]] * 4}, r"features must be numbers \(N, F\)\. Received: <U1"),
    ],
)
def test_what_does_not_fit_together_is_refused_in_a_sentence(given: dict, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        Graph(**given)


def test_an_undirected_edge_is_walked_both_ways_and_a_loop_once() -> None:
    arcs, edge = Graph([[0, 1, 1], [1, 1, 2]]).arcs
    assert sorted(map(tuple, arcs.T.tolist())) == [(0, 1), (1, 0), (1, 1), (1, 2), (2, 1)]
    assert edge.tolist() == [0, 1, 2, 0, 2]
    assert Graph([[0, 1], [1, 2]], directed=True).arcs[0].tolist() == [[0, 1], [1, 2]]


def test_loops_and_edges_that_stand_there_twice_are_counted_and_left_out_or_kept() -> None:
    graph = Graph([[0, 1, 1, 2, 1], [1, 0, 1, 3, 2]], weight=[1.0, 2.0, 5.0, 1.0, 1.0])
    clean = graph.cleaned()
    assert clean.edges.tolist() == [[0, 2, 1], [1, 3, 2]]
    assert clean.weight.tolist() == [3.0, 1.0, 1.0]
    assert clean.findings == [
        "1 edge from a node to itself: they are left out.",
        "1 edge that stand there already: each pair of nodes is joined once.",
    ]
    kept = graph.cleaned("keep", "keep")
    assert kept.edges.shape == (2, 5)
    assert [told.split(": ")[1] for told in kept.findings] == ["they are kept.", "they are kept."]


def test_a_directed_edge_is_another_one_than_its_way_back() -> None:
    assert Graph([[0, 1], [1, 0]], directed=True).cleaned().edges.shape == (2, 2)
    assert Graph([[0, 0], [1, 1]], kind=["likes", "knows"]).cleaned().edges.shape == (2, 2)


def test_a_normalised_matrix_weighs_edges_by_what_their_ends_have() -> None:
    graph = Graph([[0, 1], [1, 2]], weight=[1.0, 3.0])
    expected = np.array([[0, 1 / 2, 0], [1 / 2, 0, 3 / np.sqrt(12)], [0, 3 / np.sqrt(12), 0]])
    np.testing.assert_allclose(graph.normalised().toarray(), expected)
    one_way = Graph([[0, 1], [1, 2]], weight=[1.0, 3.0], directed=True)
    np.testing.assert_allclose(one_way.normalised().toarray(), expected)


def test_an_induced_graph_has_the_edges_between_its_nodes_numbered_anew() -> None:
    graph = Graph(PATH, features=np.eye(4), labels=list("abcd"), kind=["x", "y", "x"], names=np.array(list("wxyz")))
    part = graph.induced([3, 2])
    assert part.edges.tolist() == [[1], [0]]
    assert part.labels.tolist() == ["d", "c"]
    assert (part.count, part.kinds, part.kind.tolist(), part.names.tolist()) == (2, ("x", "y"), [0], ["z", "y"])


def test_nodes_in_question_are_the_rows() -> None:
    graph = Graph(PATH, labels=list("abcd")).take([3, 1])
    assert (len(graph), graph.answers.tolist(), graph.take([1]).nodes.tolist()) == (2, ["d", "b"], [1])
    assert graph.count == 4


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


def test_sparse_features_of_scipy_are_taken_as_they_are() -> None:
    graph = Graph(PATH, features=sparse.coo_matrix(np.eye(40)))
    assert sparse.issparse(graph.features)
    assert graph.features.dtype == np.float32


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
    assert codec.spec == GraphSpec(4, sparse=True)
    nodes = codec.encode(Graph(PATH).take([2]))[1].nodes
    torch.testing.assert_close(nodes.times(torch.eye(4)), torch.eye(4))
    with pytest.raises(BadInput, match="this network knows 4 nodes one by one, for they had no features"):
        codec.encode(Graph(PATH, count=5))
    assert Graphs(identity=False).fit(Graph(PATH), None, (GraphSpec,)).spec == GraphSpec(1)
    both = Graphs(identity=True).fit(Graph(PATH, features=np.ones((4, 2))), None, (GraphSpec,))
    assert both.spec == GraphSpec(6, sparse=True)
    asked, web = both.encode(both.sample(3, 0))
    assert (len(asked), web.nodes.width) == (3, 6)
