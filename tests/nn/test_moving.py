"""Louvain's moves: the figure is that of networkx, nothing that could be better is left, and they begin where told."""

from __future__ import annotations

import networkx
import numpy as np
import pytest
from scipy import sparse

from decet.nn import moving
from decet.nn.moving import by_size, modularity, settled


def karate() -> networkx.Graph:
    graph = networkx.karate_club_graph()
    for *_, told in graph.edges(data=True):
        told.pop("weight")
    return graph


def links_of(graph: networkx.Graph) -> sparse.csr_matrix:
    return sparse.csr_matrix(networkx.to_scipy_sparse_array(graph, dtype=float))


def sets_of(community: np.ndarray) -> list[set[int]]:
    return [set(np.flatnonzero(community == one).tolist()) for one in np.unique(community)]


def test_modularity_is_that_of_networkx() -> None:
    rng = np.random.default_rng(0)
    for graph in (karate(), networkx.karate_club_graph()):  # without and with weights
        community = rng.integers(0, 4, len(graph))
        wanted = networkx.community.modularity(graph, sets_of(community))
        assert modularity(links_of(graph), community) == pytest.approx(wanted, abs=1e-12)
    assert modularity(sparse.csr_matrix((3, 3)), np.zeros(3, int)) == 0.0


def test_from_nodes_alone_it_is_as_good_as_louvain() -> None:
    links = links_of(karate())
    values = [modularity(links, settled(links, np.arange(34), seed)) for seed in range(5)]
    assert min(values) > 0.415
    assert max(values) == pytest.approx(0.4198, abs=1e-4)  # the best there is


def test_no_move_of_one_node_is_left() -> None:
    graph = networkx.connected_caveman_graph(6, 5)
    links, found = links_of(graph), settled(links_of(graph), np.zeros(30, int))
    best = modularity(links, found)
    assert len(np.unique(found)) == 6
    for node in range(30):
        for other in range(6):
            tried = found.copy()
            tried[node] = other
            assert modularity(links, tried) <= best + 1e-12


def test_communities_are_no_more_than_asked_for_and_numbered_by_size() -> None:
    links = links_of(karate())
    found = settled(links, np.arange(34) % 2, most=2)
    assert set(found) == {0, 1}
    assert modularity(links, found) > 0.36
    sizes = np.bincount(settled(links, np.arange(34)))
    assert (np.diff(sizes) <= 0).all()
    assert by_size(np.array([7, 3, 3, 9, 3, 9])).tolist() == [2, 0, 0, 1, 0, 1]


def test_what_no_edge_joins_is_no_community() -> None:
    links = links_of(networkx.disjoint_union(networkx.complete_graph(4), networkx.complete_graph(5)))
    assert settled(links, np.zeros(9, int)).tolist() == [1] * 4 + [0] * 5


def test_without_a_compiler_the_moves_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    links = links_of(karate())
    compiled = settled(links, np.arange(34), 3)
    monkeypatch.setattr(moving, "_move", lambda: moving._one_round)
    assert (settled(links, np.arange(34), 3) == compiled).all()
