"""Random walks: along edges only, as likely as they should be, and the same whoever draws them."""

from __future__ import annotations

import numpy as np
import pytest

from decet.contracts import Clock, TokenSpec
from decet.data.graph_codec import Graphs
from decet.data.graphs import Graph
from decet.data.walks import WalkCodec, Walker, Walks, bits
from decet.errors import BadInput
from decet.nn import drawing

TAILED = np.array([[0, 1, 2, 2], [1, 2, 0, 3]])  # a triangle, and a node that hangs on it


def test_walks_go_along_edges_and_end_where_none_leads_on() -> None:
    graph = Graph(TAILED, directed=True)
    edges = set(map(tuple, TAILED.T.tolist()))
    found = Walker(graph).walks(np.arange(4), 30, 1)
    for walk in found:
        on = walk[walk >= 0]
        assert all(pair in edges for pair in zip(on[:-1].tolist(), on[1:].tolist(), strict=True))
        assert (walk[len(on) :] == -1).all()
    assert found[3].tolist() == [3] + [-1] * 29
    assert found[0].max() == 3  # it ends in the tail sooner or later


@pytest.mark.parametrize(("back", "away"), [(1.0, 1.0), (0.25, 4.0), (4.0, 0.25)])
@pytest.mark.parametrize("weighted", [False, True])
def test_a_compiled_walk_is_that_of_numpy(back: float, away: float, weighted: bool) -> None:
    rng = np.random.default_rng(0)
    edges = np.unique(np.sort(rng.integers(0, 50, (2, 200)), 0), axis=1)
    edges = edges[:, edges[0] != edges[1]]
    graph = Graph(edges, 50, weight=rng.random(edges.shape[1]) + 0.1 if weighted else None)
    walker = Walker(graph, back, away)
    assert (walker.walks(np.arange(50), 40, 7) == walker._walked(np.arange(50), 40, 7)).all()


def test_weights_say_how_often_an_edge_is_walked() -> None:
    star = Graph(np.array([[0, 0, 0], [1, 2, 3]]), weight=[1.0, 2.0, 5.0])
    found = Walker(star).walks(np.zeros(20_000, np.int64), 2, 0)[:, 1]
    assert np.bincount(found, minlength=4)[1:] / 20_000 == pytest.approx([1 / 8, 2 / 8, 5 / 8], abs=0.02)


@pytest.mark.parametrize(("back", "away"), [(1.0, 1.0), (0.5, 4.0), (4.0, 0.5)])
def test_steps_are_as_likely_as_node2vec_has_them(back: float, away: float) -> None:
    """From 0 over 2: back to 0 by 1 / back, on to 1, which is joined to 0, by 1, to 3, which is not, by 1 / away."""
    found = Walker(Graph(TAILED), back, away).walks(np.zeros(40_000, np.int64), 3, 0)
    third = found[found[:, 1] == 2][:, 2]
    wanted = np.array([1 / back, 1.0, 1 / away])
    counts = np.bincount(third, minlength=4)[[0, 1, 3]] / len(third)
    assert counts == pytest.approx(wanted / wanted.sum(), abs=0.02)


def test_random_bits_are_those_that_words_are_drawn_by() -> None:
    places = np.array([0, 1, 77, 2**40], np.uint64)
    assert (bits(123, places) == drawing.bits(123, places)).all()


def test_an_epoch_has_walks_from_each_node_that_has_edges() -> None:
    graph = Graph(TAILED, count=6)
    source = Walks(Walker(graph), count=3, length=5)
    ids, offsets, first = source.next(Clock(seed=1)).inputs
    assert first == 0
    assert sorted(ids[offsets[:-1]].tolist()) == sorted([0, 1, 2, 3] * 3)
    assert offsets[-1] == len(ids) == 4 * 3 * 5
    again = Walks(Walker(graph), count=3, length=5).next(Clock(seed=1)).inputs
    assert (again[0] == ids).all()
    assert len(Walks(Walker(graph), count=3, length=5).example().inputs[0]) == 60


def test_long_walks_are_dealt_out_over_steps() -> None:
    source = Walks(Walker(Graph(np.stack([np.arange(999), np.arange(1, 1000)]))), count=10, length=50)
    assert source.steps == 10
    starts = [source.next(Clock(step=step)).inputs for step in range(10)]
    assert sum(len(offsets) - 1 for _, offsets, _ in starts) == 10_000


def test_a_codec_of_walks_knows_its_nodes_only() -> None:
    graph = Graph(TAILED, features=np.ones((4, 2)))
    codec = Graphs(walks=3, back=2.0).fit(graph, None, (TokenSpec,))
    assert isinstance(codec, WalkCodec)
    assert codec.spec == TokenSpec(4, 1)
    assert codec.how == (3, 80, 2.0, 1.0)
    assert codec.encode(graph.take([2, 1]))[0].tolist() == [2, 1]
    assert codec.encode(codec.sample(16, 0))[0].tolist() == [0, 1, 2, 3]
    again = WalkCodec.restore(*codec.state())
    assert (again.count, again.how) == (codec.count, codec.how)
    with pytest.raises(BadInput, match="of the 4 nodes that were walked on, and the graph has 5"):
        codec.encode(Graph(TAILED, count=5))
    assert Graphs().notes(graph, None, codec) == ["walks do not read the features of nodes."]
    assert codec.description()[0]["detail"] == "3 walks of 80 from each of 4 nodes an epoch, back 2, away 1"
