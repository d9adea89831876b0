"""Influence: the cascade as it is counted by hand, and gradients as autograd has them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from decet import GNN
from decet.contracts import GraphSpec
from decet.data.graph_codec import Graphs
from decet.data.graphs import Graph
from decet.errors import BadInput
from decet.tasks.embed_nodes import Infomax
from decet.tasks.influence import felt, reached

PATH = np.array([[0, 1], [1, 2]])  # 0 - 1 - 2


@pytest.mark.parametrize("p", [0.0, 0.3, 1.0])
def test_along_a_path_a_node_reaches_what_can_be_reckoned(p: float) -> None:
    arcs = Graph(PATH).arcs[0]
    found = reached(arcs, 3, p, 20_000, 0, directed=False)
    assert found == pytest.approx([1 + p + p * p, 1 + 2 * p, 1 + p + p * p], abs=0.02)


def test_where_edges_go_one_way_so_does_influence() -> None:
    found = reached(PATH, 3, 0.5, 20_000, 0, directed=True)
    assert found == pytest.approx([1.75, 1.5, 1.0], abs=0.02)


def test_a_live_edge_serves_both_ways_as_two_tries_do() -> None:
    """A simulation of the cascade, try by try, on a graph with circles."""
    rng = np.random.default_rng(0)
    edges = np.array([[0, 1, 2, 3, 0], [1, 2, 3, 0, 2]])
    near = {n: [] for n in range(4)}
    for a, b in edges.T.tolist():
        near[a].append(b)
        near[b].append(a)
    total = 0
    for _ in range(20_000):
        seen, front = {0}, [0]
        while front:
            node = front.pop()
            for other in near[node]:
                if other not in seen and rng.random() < 0.4:
                    seen.add(other)
                    front.append(other)
        total += len(seen)
    found = reached(Graph(edges).arcs[0], 4, 0.4, 20_000, 0, directed=False)
    assert found[0] == pytest.approx(total / 20_000, abs=0.03)


def test_nobody_reaches_with_a_chance_that_is_none() -> None:
    with pytest.raises(BadInput, match="probability"):
        reached(PATH, 3, 1.5, 10, 0, directed=False)


@pytest.mark.parametrize("sparse", [False, True])
def test_shares_of_the_gradient_reach_as_far_as_the_network(sparse: bool) -> None:
    count = 8
    rng = np.random.default_rng(0)
    X = rng.normal(size=(count, 20)) * (rng.random((count, 20)) < (0.15 if sparse else 1.0))
    graph = Graph(np.stack([np.arange(count - 1), np.arange(1, count)]), features=X)
    codec = Graphs(scale="none").fit(graph, None, (GraphSpec,))
    learner = Infomax(GNN(conv="gcn", depth=2, activation="none", dropout=0.5).encoder(codec.spec))
    shares = felt(learner, codec.encode(graph), 4)
    assert shares.sum() == pytest.approx(1.0, abs=1e-5)
    assert np.flatnonzero(shares).tolist() == [2, 3, 4, 5, 6]  # two steps away
    assert shares.argmax() == 4
    with torch.inference_mode():  # whatever the caller has switched off
        assert felt(learner, codec.encode(graph), 4) == pytest.approx(shares)
