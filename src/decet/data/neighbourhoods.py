"""Batches of a graph that is too large for a step: some nodes, and of the graph only what reaches them.

Of each node so many neighbours are drawn, of each of these so many again, as many times as the network has layers
(Hamilton et al., GraphSAGE, 1706.02216). Who has no more neighbours than that keeps them all. Answers are exact all the
same: they are worked out over the whole graph, a layer after the other, which holds two layers at a time only.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from decet.contracts import Batch, Clock, Source
from decet.tensors import Edges, Sparse, Web

NEIGHBOURS = 10  # of a node, at most
NUMBERS = 12  # that a step holds of each number of a layer, more or less: itself, gradients, what is dropped, ...


class Neighbourhoods(Source):
    """Nodes in a new order each epoch, a function of the clock alone, each with what reaches it.

    asked (n,): the nodes in question; target, weight: one a node in question; rows: which of them train (None = all).
    batch: nodes a step. hops: layers of the network. hears: by which edges nodes hear, those "in", "out", or "both".
    """

    def __init__(
        self, asked: Tensor, web: Web, target: Tensor, weight: Tensor | None, rows: Tensor | None, batch: int,
        hops: int, hears: str = "in",
    ):  # fmt: skip
        self.asked, self.web, self.target, self.weight = asked, web, target, weight
        self.hops, self.hears = hops, hears
        self.rows = torch.arange(len(target)) if rows is None else rows.cpu()
        self.steps = max(1, round(len(self.rows) / batch))
        self.epoch = -1
        self.parts: tuple[Tensor, ...] = ()

    def next(self, clock: Clock) -> Batch:
        epoch, place = divmod(clock.step, self.steps)
        if epoch != self.epoch:
            drawn = torch.Generator().manual_seed(clock.key("order", epoch))
            order = self.rows[torch.randperm(len(self.rows), generator=drawn)]
            self.parts, self.epoch = order.to(self.target.device).tensor_split(self.steps), epoch
        return self._take(self.parts[place], clock.key("neighbours"))

    def example(self) -> Batch:
        return self._take(self.rows[:: self.steps].to(self.target.device), 0)

    def _take(self, index: Tensor, seed: int) -> Batch:
        drawn = torch.Generator(self.asked.device).manual_seed(seed)
        nodes = self.asked.index_select(0, index)
        places, part, _ = around(self.web, nodes, self.hops, drawn, self.hears)
        weight = None if self.weight is None else self.weight.index_select(0, index)
        return Batch((places, part), self.target.index_select(0, index), weight, rows=index)


class EveryNode(Source):
    """The whole graph, step after step; there is nothing to be answered."""

    steps = 1

    def __init__(self, inputs: tuple[Any, ...]) -> None:
        self.inputs = inputs

    def next(self, clock: Clock) -> Batch:
        return self.example()

    def example(self) -> Batch:
        return Batch(self.inputs)


def around(web: Web, nodes: Tensor, hops: int, drawn: torch.Generator, hears: str = "in") -> tuple[Tensor, Web, Tensor]:
    """Of what reaches nodes (n,) within so many hops: where these stand in it, itself, and which nodes it has."""
    ways = [web.edges.arriving] * (hears != "out") + [web.edges.leaving] * (hears != "in")
    known = front = nodes.unique()
    found = [known.new_empty(0)]
    for _ in range(hops):
        places = [_chosen(way.offsets, front, drawn) for way in ways]
        found += [way.edge.index_select(0, place) for way, place in zip(ways, places, strict=True)]
        others = [way.others.index_select(0, place) for way, place in zip(ways, places, strict=True)]
        near = torch.cat(others).unique()
        front = near[~torch.isin(near, known)]
        known = torch.cat([known, front])
    edge = torch.cat(found).unique()
    held = known.sort().values
    ends = torch.searchsorted(held, web.edges.index.index_select(1, edge))
    kept = web.nodes.rows(held) if isinstance(web.nodes, Sparse) else web.nodes.index_select(0, held)
    own = (web.edges.weight, web.edges.kind, web.edges.features)
    parts = (None if part is None else part.index_select(0, edge) for part in own)
    return torch.searchsorted(held, nodes), Web(kept, Edges(ends, len(held), *parts)), held


def _chosen(offsets: Tensor, nodes: Tensor, drawn: torch.Generator) -> Tensor:
    """Places of `NEIGHBOURS` arriving edges of each node, at most, each as likely as any other; of fewer all."""
    begin = offsets.index_select(0, nodes)
    size = offsets.index_select(0, nodes + 1) - begin
    few = size <= NEIGHBOURS
    all_begin, all_size = begin[few], size[few]
    before = all_size.cumsum(0) - all_size
    steps = torch.arange(int(all_size.sum()), device=nodes.device)
    whole = steps + torch.repeat_interleave(all_begin - before, all_size)
    many_begin, many_size = begin[~few].unsqueeze(1), size[~few].unsqueeze(1)
    shares = torch.rand(len(many_begin), NEIGHBOURS, generator=drawn, device=nodes.device, dtype=torch.float64)
    # one of each tenth of a node's edges: each as likely as any other, and hardly one twice
    places = ((torch.arange(NEIGHBOURS, device=nodes.device) + shares) * many_size / NEIGHBOURS).long()
    return torch.cat([whole, (many_begin + places.clamp(max=many_size - 1)).flatten()])


def fits(web: Web, width: int, hops: int, free: int) -> bool:
    """Whether a step over the whole graph has room in so many bytes, where a layer has `width` numbers a node."""
    nodes, edges = web.edges.count, web.edges.index.shape[1]
    return 4 * (nodes * width * hops * NUMBERS + 6 * edges * max(1, hops)) <= free // 2


def batch_of(recipe_batch: int | None, rows: int, usual: int = 1_024) -> int:
    """Nodes a step: as said, but for all of them."""
    return usual if recipe_batch is None or recipe_batch >= rows else recipe_batch
