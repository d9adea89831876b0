"""Batches of a graph: what reaches the nodes asked, numbered anew, drawn without bias; the same for the same seed."""

from __future__ import annotations

import pytest
import torch

from decet.contracts import Clock
from decet.data import neighbourhoods
from decet.data.neighbourhoods import NEIGHBOURS, EveryNode, Neighbourhoods, around, batch_of, fits
from decet.tensors import Edges, Sparse, Web

N = 200


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


def drawn(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("sparse", [False, True])
def test_nodes_asked_are_found_again_and_edges_are_those_of_the_graph(sparse: bool) -> None:
    whole, asked = web(sparse=sparse), torch.tensor([7, 3, 190, 7])
    places, part, _ = around(whole, asked, 2, drawn())
    names = numbers(part)
    assert names[places].tolist() == asked.tolist()
    ends = names[part.edges.index]
    assert torch.equal(part.edges.weight, ends[0] * 1_000.0 + ends[1])
    assert torch.equal(part.edges.kind, ends[0] % 3)


def test_who_has_few_neighbours_keeps_them_all_as_far_as_the_network_hears() -> None:
    whole = web(edges=300)
    begin, end = whole.edges.index
    assert int(torch.bincount(end).max()) <= NEIGHBOURS
    reached = {5}
    for hops in range(1, 4):
        reached |= {int(a) for a, b in zip(begin, end, strict=True) if int(b) in reached}
        _, part, _ = around(whole, torch.tensor([5]), hops, drawn())
        assert set(numbers(part).tolist()) == reached


def test_of_many_neighbours_so_many_are_drawn_each_as_likely() -> None:
    count = 37
    index = torch.stack([torch.arange(1, count + 1), torch.zeros(count, dtype=torch.int64)])
    star = Web(torch.arange(count + 1.0).unsqueeze(1), Edges(index, count + 1))
    seen = torch.zeros(count + 1)
    for seed in range(600):
        _, part, _ = around(star, torch.tensor([0]), 1, drawn(seed))
        assert NEIGHBOURS - 3 <= part.edges.index.shape[1] <= NEIGHBOURS
        seen[numbers(part)] += 1
    shares = seen[1:] / 600
    assert float(shares.min()) > 0.7 * NEIGHBOURS / count
    assert float(shares.max()) < 1.3 * NEIGHBOURS / count


def test_an_epoch_holds_every_row_once_and_is_a_function_of_the_clock() -> None:
    whole, target = web(), torch.arange(60).unsqueeze(1)
    source = Neighbourhoods(torch.arange(60) * 3, whole, target, None, torch.arange(10, 60), 16, 2)
    assert source.steps == 3
    batches = [source.next(Clock(seed=1, step=step)) for step in range(3)]
    rows = torch.cat([batch.rows for batch in batches])
    assert sorted(rows.tolist()) == list(range(10, 60))
    for batch in batches:
        places, part = batch.inputs
        assert numbers(part)[places].tolist() == (batch.rows * 3).tolist()
        assert torch.equal(batch.target[:, 0], batch.rows)
    again = Neighbourhoods(torch.arange(60) * 3, whole, target, None, torch.arange(10, 60), 16, 2)
    same = again.next(Clock(seed=1, step=1))
    assert torch.equal(same.inputs[1].edges.index, batches[1].inputs[1].edges.index)
    assert len(source.example().rows) > 10


def test_a_step_over_the_whole_graph_is_taken_where_it_has_room() -> None:
    assert fits(web(), 64, 2, 1 << 30)
    assert not fits(web(), 64, 2, 1 << 20)
    assert batch_of(1 << 30, 500) == neighbourhoods.batch_of(None, 500) == 1_024
    assert batch_of(64, 500) == 64


def test_who_hears_by_edges_that_lead_out_reads_where_they_lead() -> None:
    path = Web(torch.arange(4.0).unsqueeze(1), Edges(torch.tensor([[0, 1, 2], [1, 2, 3]]), 4))
    seen = {
        hears: numbers(around(path, torch.tensor([1]), 2, drawn(), hears)[1]).tolist()
        for hears in ("in", "out", "both")
    }
    assert seen == {"in": [0, 1], "out": [1, 2, 3], "both": [0, 1, 2, 3]}
    assert numbers(around(path, torch.tensor([1]), 0, drawn())[1]).tolist() == [1]


def test_the_whole_graph_comes_step_after_step() -> None:
    source = EveryNode(("asked", "web"))
    assert source.steps == 1
    assert source.next(Clock(step=7)).inputs == source.example().inputs == ("asked", "web")
