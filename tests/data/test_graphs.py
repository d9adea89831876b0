"""Graphs in memory: what fits together, arcs, parts of a graph."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from decet.data.graphs import Graph
from decet.errors import BadInput

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


def test_sparse_features_of_scipy_are_taken_as_they_are() -> None:
    graph = Graph(PATH, features=sparse.coo_matrix(np.eye(40)))
    assert sparse.issparse(graph.features)
    assert graph.features.dtype == np.float32
