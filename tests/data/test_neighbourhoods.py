"""Batches of a graph: what reaches the nodes asked, numbered anew, drawn without bias; the same for the same seed."""

from __future__ import annotations

import torch
from tests.data.test_sampling import numbers, web

from decet.contracts import Clock
from decet.data import neighbourhoods
from decet.data.neighbourhoods import EveryNode, Neighbourhoods, Strolls, batch_of, fits
from decet.tensors import Edges, Web


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


def test_whom_walks_meet_trains_and_counts_by_how_seldom_that_is() -> None:
    """A hub among leaves: met by every walk, it counts less than they; all of it is a function of the clock."""
    leaves = torch.arange(1, 61)
    hub = torch.zeros(60, dtype=torch.int64)
    whole = Web(
        torch.arange(61.0).unsqueeze(1),
        Edges(torch.cat([torch.stack([leaves, hub]), torch.stack([hub, leaves])], 1), 61),
    )
    asked, target = torch.arange(61), torch.arange(61).unsqueeze(1)
    source = Strolls(asked, whole, target, torch.ones(61), torch.arange(50), 12, 1)
    assert source.steps == 4
    seen = torch.zeros(61)
    for step in range(400):
        batch = source.next(Clock(seed=1, step=step))
        places, part = batch.inputs
        assert torch.equal(numbers(part)[places], batch.rows)
        assert torch.equal(batch.target[:, 0], batch.rows)
        assert int(batch.rows.max()) < 50
        assert len(places) <= 12
        seen.index_add_(0, batch.rows, batch.weight)
    shares = seen[:50] / seen[:50].mean()
    assert float(shares.max()) < 2.5
    assert float((shares - 1).square().mean().sqrt()) < 0.4
    again = Strolls(asked, whole, target, None, torch.arange(50), 12, 1).next(Clock(seed=1, step=7))
    assert torch.equal(again.rows, source.next(Clock(seed=1, step=7)).rows)


def test_the_whole_graph_comes_step_after_step() -> None:
    source = EveryNode(("asked", "web"))
    assert source.steps == 1
    assert source.next(Clock(step=7)).inputs == source.example().inputs == ("asked", "web")
