"""Hidden edges: what is left knows nothing of them, pairs that are none are none, and a step asks what it hides."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from decet.contracts import Clock, GraphSpec
from decet.data import links
from decet.data.graph_codec import Graphs
from decet.data.graphs import Graph
from decet.data.links import FEWEST, Joined, apart_from, drawn_for, keys_of
from decet.errors import BadInput


def hidden(graph: Graph, shares: tuple[float, ...], seed: int) -> tuple:
    return links.hidden(graph, shares, drawn_for("test", seed))


def ring(count: int = 60, directed: bool = False, doubles: bool = False) -> Graph:
    """A ring with chords; doubles: each edge stands there twice, the second time turned round."""
    begin = np.arange(count)
    edges = np.stack([np.concatenate([begin, begin]), np.concatenate([(begin + 1) % count, (begin + 7) % count])])
    if doubles:
        edges = np.concatenate([edges, edges[::-1]], 1)
    return Graph(edges, count, directed=directed)


@pytest.mark.parametrize("directed", [False, True])
def test_hidden_edges_are_gone_both_ways_and_among_as_many_pairs_that_are_none(directed: bool) -> None:
    graph = ring(directed=directed)
    left, (chosen, held) = hidden(graph, (0.1, 0.2), seed=3)
    every = set(keys_of(graph, graph.edges).tolist())
    assert (len(chosen), len(held)) == (24, 48)
    seen = set()
    for pairs in (chosen, held):
        keys = keys_of(graph, pairs.ends.T)
        assert set(keys[pairs.joined == 1]) <= every
        assert not set(keys[pairs.joined == 0]) & every
        assert len(set(keys)) == len(keys)
        assert not set(keys_of(left, left.edges)) & set(keys[pairs.joined == 1])
        assert pairs.graph is left
        seen |= set(keys[pairs.joined == 1])
    assert set(keys_of(left, left.edges)) | seen == every
    assert left.count == graph.count


def test_no_copy_of_a_hidden_edge_stays() -> None:
    graph = ring(doubles=True)
    left, (held,) = hidden(graph, (0.2,), seed=0)
    gone = keys_of(graph, held.ends[held.joined == 1].T)
    assert not np.isin(keys_of(left, left.edges), gone).any()
    assert left.edges.shape[1] == graph.edges.shape[1] - 2 * len(gone)


def test_the_seed_decides_what_is_hidden() -> None:
    first, again, other = (hidden(ring(), (0.2,), seed)[1][0].ends for seed in (0, 0, 1))
    assert (first == again).all()
    assert (first != other).any()


def test_loops_are_never_hidden() -> None:
    graph = Graph(np.concatenate([ring().edges, [[0, 1], [0, 1]]], 1), 60)
    for seed in range(5):
        _, (held,) = hidden(graph, (0.5,), seed)
        assert (held.ends[:, 0] != held.ends[:, 1]).all()


def test_too_few_edges_or_hardly_a_pair_without_one_are_told() -> None:
    with pytest.raises(BadInput, match=f"has 3 edges between two nodes, and {FEWEST} are needed"):
        hidden(Graph([[0, 1, 2], [1, 2, 3]]), (0.1,), 0)
    full = Graph(np.stack(np.triu_indices(8, 1)), 8)
    with pytest.raises(BadInput, match="nearly all pairs of the 8 nodes are edges: 0 are none"):
        hidden(full, (0.2,), 0)


def test_pairs_drawn_are_spread_evenly() -> None:
    graph = ring(20)
    edges = np.sort(keys_of(graph, graph.edges))
    found = apart_from(graph, 70, np.random.default_rng(0), edges)
    assert found.shape == (70, 2)
    assert np.bincount(found.reshape(-1), minlength=20).min() >= 2


def test_what_draws_for_one_purpose_knows_nothing_of_another() -> None:
    graph = ring(200)
    first, other = (links.hidden(graph, (0.2,), drawn_for(name, 0))[1][0] for name in ("comparison", "links"))
    for joined in (0.0, 1.0):
        both = [set(keys_of(graph, pairs.ends[pairs.joined == joined].T).tolist()) for pairs in (first, other)]
        assert len(both[0] & both[1]) < 0.4 * len(both[0])


def test_of_an_edge_that_stands_there_in_two_kinds_neither_speaks() -> None:
    edges = np.concatenate([ring().edges, ring().edges[::-1]], 1)
    graph = Graph(edges, 60, kind=list("a" * 120 + "b" * 120))
    for said in ({"hidden": 0.5}, {"hidden": 0.5, "batch": 20, "hops": 2}):
        source = source_of(graph, **said)
        batch = source.next(Clock(plan=[(0, 0.0, 100)]))
        nodes, web = batch.inputs
        asked = batch.index[batch.target == 1]
        ends = asked if source.whole else nodes[asked]
        heard = set(map(tuple, web.edges.index.t().tolist()))
        assert not {(a, b) for a, b in ends.tolist()} & heard
        assert not {(b, a) for a, b in ends.tolist()} & heard
        assert len(source.edges) == 120


def test_where_no_pair_is_free_the_loss_stays_finite() -> None:
    batch = source_of(Graph(np.stack(np.triu_indices(5, 1)), 5), hidden=0.5).example()
    assert not batch.weight[batch.target == 0].any()
    assert (batch.weight[batch.target == 1] == 1).all()


def source_of(graph: Graph, **said) -> Joined:
    asked, web = Graphs().fit(graph, None, (GraphSpec,)).encode(graph)
    return Joined(asked, web, graph, **said)


@pytest.mark.parametrize("said", [{"hidden": 0.4}, {"hidden": 0.4, "batch": 30, "hops": 2}])
def test_an_edge_that_is_asked_is_in_no_message_of_its_step(said: dict) -> None:
    graph = ring()
    source, clock = source_of(graph, **said), Clock(plan=[(0, 0.0, 100)])
    for step in range(3):
        clock.step = step
        batch = source.next(clock)
        nodes, web = batch.inputs
        asked = batch.index[batch.target == 1]
        if source.whole:
            names = torch.arange(60)
            ends = asked
        else:  # places among the nodes asked, which stand somewhere in the part
            names = None
            ends = nodes[asked]
        said_in = set(map(tuple, web.edges.index.t().tolist()))
        for a, b in ends.tolist():
            assert (a, b) not in said_in
            assert (b, a) not in said_in
        assert len(asked) == (48 if names is not None else 30)
        assert (batch.weight[batch.target == 1] == 1).all()


def test_pairs_drawn_that_are_edges_do_not_count() -> None:
    graph = ring(8)
    source = source_of(graph, hidden=0.9)
    known = set(keys_of(graph, graph.edges).tolist())
    batch = source.example()
    for (a, b), weight, target in zip(batch.index.tolist(), batch.weight, batch.target, strict=True):
        if target == 0:
            edge = int(keys_of(graph, np.array([[a], [b]]))[0]) in known
            assert float(weight) == float(not edge and a != b)


def test_the_same_step_asks_the_same() -> None:
    first, again = (source_of(ring(), hidden=0.5).next(Clock(seed=5, step=9)) for _ in range(2))
    assert torch.equal(first.index, again.index)
    assert not torch.equal(first.index, source_of(ring(), hidden=0.5).next(Clock(seed=5, step=10)).index)
