"""Batches of a graph that is too large for a step: some nodes, and of the graph only what reaches them.

Either the nodes of a step are drawn and with them what reaches them (GraphSAGE, 1706.02216), or walks are drawn and all
who are met and may train do (GraphSAINT, 1907.04931). Answers are exact all the same: they are worked out over the
whole graph, a layer after the other, which holds two layers at a time only.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from decet.contracts import Batch, Clock, Source
from decet.data.sampling import Part, around, strolled
from decet.tensors import Sparse, Web

TRIED = 20  # epochs of subgraphs that tell how often a node is met
NUMBERS = 12  # that a step holds of each number of a layer, more or less: itself, gradients, what is dropped, ...


class Parted(Source):
    """Some nodes a step, and of the graph a part.

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
        self._begin(batch)

    def _begin(self, batch: int) -> None:
        """What is made once."""


class Neighbourhoods(Parted):
    """Nodes in a new order each epoch, a function of the clock alone, each with what reaches it."""

    def _begin(self, batch: int) -> None:
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
        nodes = self.asked.index_select(0, index)
        part = around(self.web.edges, nodes, self.hops, seed, self.hears)
        places = torch.searchsorted(part.nodes, nodes)
        weight = None if self.weight is None else self.weight.index_select(0, index)
        return Batch((places, part.of(self.web)), self.target.index_select(0, index), weight, rows=index)


class Strolls(Parted):
    """Subgraphs of random walks, drawn anew each step, a function of the clock alone.

    Walks begin at `batch` / (hops + 1) of the nodes that train, and all of these that are met train in this step, each
    weighed by one over its chance to be met, which the subgraphs of `TRIED` epochs tell (Zeng et al., 1907.04931).
    Edges are not weighed: convolutions normalise them within the subgraph.
    """

    def _begin(self, batch: int) -> None:
        self.rows, count = self.rows.to(self.asked.device), self.web.edges.count
        self.roots = max(1, min(batch, len(self.rows)) // (self.hops + 1))
        self.row = torch.full((count,), -1, device=self.asked.device)  # of each node, where it trains
        self.row[self.asked.index_select(0, self.rows)] = self.rows
        met = torch.zeros(count, device=self.asked.device)
        for seed in range(TRIED * self.steps):
            met[self._part(seed).nodes] += 1
        self.chance = met.clamp(min=1) / (TRIED * self.steps)

    def next(self, clock: Clock) -> Batch:
        return self._take(clock.key("walks"))

    def example(self) -> Batch:
        return self._take(0)

    def _part(self, seed: int) -> Part:
        drawn = torch.Generator().manual_seed(seed)
        begin = self.rows[torch.randint(len(self.rows), (self.roots,), generator=drawn).to(self.rows.device)]
        return strolled(self.web.edges, self.asked.index_select(0, begin), self.hops, seed, self.hears)

    def _take(self, seed: int) -> Batch:
        part = self._part(seed)
        places = (self.row[part.nodes] >= 0).nonzero().flatten()
        nodes = part.nodes[places]
        rows = self.row[nodes]
        weight = 1 / self.chance[nodes]
        weight = weight if self.weight is None else weight * self.weight.index_select(0, rows)
        return Batch((places, part.of(self.web)), self.target.index_select(0, rows), weight, rows=rows)


class EveryNode(Source):
    """The whole graph, step after step; there is nothing to be answered."""

    steps = 1

    def __init__(self, inputs: tuple[Any, ...]) -> None:
        self.inputs = inputs

    def next(self, clock: Clock) -> Batch:
        return self.example()

    def example(self) -> Batch:
        return Batch(self.inputs)


def fits(web: Web, width: int, hops: int, free: int) -> bool:
    """Whether a step over the whole graph has room in so many bytes, where a layer has `width` numbers a node."""
    nodes, edges = web.edges.count, web.edges.index.shape[1]
    features = 0 if isinstance(web.nodes, Sparse) else web.nodes.numel()  # of which dropout makes another
    return 4 * (features + nodes * width * hops * NUMBERS + 6 * edges * max(1, hops)) <= free // 2


def batch_of(recipe_batch: int | None, rows: int, usual: int = 1_024) -> int:
    """Nodes a step: as said, but for all of them."""
    return usual if recipe_batch is None or recipe_batch >= rows else recipe_batch
