"""Parts of a graph: what reaches the nodes asked or whom walks meet, drawn without bias, compiled or not the same."""

from __future__ import annotations

import pytest
import torch

from decet.data import sampling
from decet.data.sampling import NEIGHBOURS, around, draws, strolled
from decet.data.walks import bits
from decet.tensors import Edges, Sparse, Web

N = 200
NUMBA = sampling._numba()


def web(edges: int = 600, sparse: bool = False) -> Web:
    """Nodes whose only feature is their number, so that they are known again."""
    torch.manual_seed(0)
    index = torch.randint(0, N, (2, edges))
    number = torch.arange(N)
    nodes = Sparse(torch.arange(N + 1), number * 0, number.float(), 1) if sparse else number.float().unsqueeze(1)
    return Web(nodes, Edges(index, N, weight=index[0] * 1_000.0 + index[1], kind=index[0] % 3))


def numbers(part: Web) -> torch.Tensor:
    nodes = part.nodes
    return (nodes.values if isinstance(nodes, Sparse) else nodes[:, 0]).long()


@pytest.fixture(params=[pytest.param(True, marks=pytest.mark.skipif(not NUMBA, reason="needs numba")), False])
def compiled(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    monkeypatch.setattr(sampling, "_numba", lambda: request.param)
    return request.param


@pytest.mark.parametrize("sparse", [False, True])
def test_a_part_has_the_features_weights_and_kinds_of_the_graph(sparse: bool, compiled: bool) -> None:
    whole = web(sparse=sparse)
    for part in (around(whole.edges, torch.tensor([7, 3, 190, 7]), 2, 0), strolled(whole.edges, torch.arange(9), 3, 0)):
        read = part.of(whole)
        names = numbers(read)
        assert torch.equal(names, part.nodes)
        ends = names[read.edges.index]
        assert torch.equal(read.edges.weight, ends[0] * 1_000.0 + ends[1])
        assert torch.equal(read.edges.kind, ends[0] % 3)


def test_who_has_few_neighbours_keeps_them_all_as_far_as_the_network_hears(compiled: bool) -> None:
    edges = web(edges=300).edges
    begin, end = edges.index
    assert int(torch.bincount(end).max()) <= NEIGHBOURS
    reached = {5}
    for hops in range(1, 4):
        reached |= {int(a) for a, b in zip(begin, end, strict=True) if int(b) in reached}
        assert set(around(edges, torch.tensor([5]), hops, 0).nodes.tolist()) == reached


def test_of_many_neighbours_so_many_are_drawn_each_as_likely(compiled: bool) -> None:
    count = 37
    star = Edges(torch.stack([torch.arange(1, count + 1), torch.zeros(count, dtype=torch.int64)]), count + 1)
    seen = torch.zeros(count + 1)
    for seed in range(600):
        part = around(star, torch.tensor([0]), 1, seed)
        assert NEIGHBOURS - 3 <= len(part.edges) <= NEIGHBOURS
        seen[part.nodes] += 1
    shares = seen[1:] / 600
    assert float(shares.min()) > 0.7 * NEIGHBOURS / count
    assert float(shares.max()) < 1.3 * NEIGHBOURS / count


def test_who_hears_by_edges_that_lead_out_reads_where_they_lead(compiled: bool) -> None:
    path = Edges(torch.tensor([[0, 1, 2], [1, 2, 3]]), 4)
    seen = {hears: around(path, torch.tensor([1]), 2, 0, hears).nodes.tolist() for hears in ("in", "out", "both")}
    assert seen == {"in": [0, 1], "out": [1, 2, 3], "both": [0, 1, 2, 3]}
    assert around(path, torch.tensor([1]), 0, 0).nodes.tolist() == [1]


def test_walks_go_where_messages_come_from_and_stay_where_there_is_no_way(compiled: bool) -> None:
    path = Edges(torch.tensor([[0, 1, 2], [1, 2, 3]]), 4)
    part = strolled(path, torch.tensor([2]), 5, 0)
    assert part.nodes.tolist() == [0, 1, 2]
    assert part.edges.tolist() == [0, 1]
    assert part.ends.tolist() == [[0, 1], [1, 2]]
    assert strolled(path, torch.tensor([2]), 5, 0, "out").nodes.tolist() == [2, 3]
    met = set[int]()
    for seed in range(20):
        met |= set(strolled(path, torch.tensor([1]), 3, seed, "both").nodes.tolist())
    assert met == {0, 1, 2, 3}


def test_walks_go_to_each_neighbour_as_likely_and_all_edges_among_who_is_met_are_there(compiled: bool) -> None:
    count = 8
    index = torch.stack([torch.arange(1, count + 1), torch.zeros(count, dtype=torch.int64)])
    edges = Edges(torch.cat([index, index.flip(0), torch.tensor([[1], [2]])], 1), count + 1)
    seen = torch.zeros(count + 1)
    for seed in range(800):
        seen[strolled(edges, torch.tensor([0]), 1, seed).nodes] += 1
    assert float((seen[1:] / 800 * count - 1).abs().max()) < 0.4
    everyone = strolled(edges, torch.arange(count + 1), 1, 0)
    assert len(everyone.edges) == 2 * count + 1


@pytest.mark.skipif(not NUMBA, reason="needs numba")
@pytest.mark.parametrize("hears", ["in", "out", "both"])
def test_compiled_parts_are_those_of_torch(hears: str, monkeypatch: pytest.MonkeyPatch) -> None:
    edges = web(edges=6_000).edges
    nodes = torch.tensor([3, 150, 3, 77])
    for take in (around, strolled):
        for hops in (0, 1, 3):
            monkeypatch.setattr(sampling, "_numba", lambda: True)
            fast = take(edges, nodes, hops, 11, hears)
            monkeypatch.setattr(sampling, "_numba", lambda: False)
            for one, other in zip(fast, take(edges, nodes, hops, 11, hears), strict=True):
                assert torch.equal(one, other)


def test_random_bits_are_those_of_walks() -> None:
    places = torch.arange(1_000) * 12_345
    theirs = bits(7, places.numpy().astype("uint64")) >> 32
    assert draws(7, places).tolist() == theirs.tolist()


def test_a_graph_without_edges_has_parts_of_single_nodes(compiled: bool) -> None:
    none = Edges(torch.empty(2, 0, dtype=torch.int64), 5)
    for part in (around(none, torch.tensor([1, 4]), 2, 0), strolled(none, torch.tensor([1, 4]), 2, 0)):
        assert part.nodes.tolist() == [1, 4]
        assert not len(part.edges)
