"""Pairs of nodes: edges hidden from training, pairs that are no edges, and batches of both.

Whoever is to tell edges that it has not seen must not have seen them: an edge that is hidden is in no message, neither
forth nor back, and no copy
of it stays, of whatever kind. Pairs that are no edges are drawn among all that are none of the whole graph,
hidden edges included, each as likely as any other.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from decet.contracts import Batch, Clock, Source
from decet.data.graphs import Graph
from decet.data.sampling import around
from decet.errors import BadInput
from decet.tensors import Edges, Web

Array = NDArray[Any]
TURNED = 4  # of so many pairs that are none one is an edge turned round, where edges go one way
FEWEST = 10  # edges of a graph of which some are hidden


@dataclass(frozen=True, eq=False)
class Pairs:
    """Pairs of nodes of a graph, to be asked: ends (n, 2), joined (n,) whether they are edges, where that is known."""

    graph: Graph
    ends: Array
    joined: Array | None = None

    @property
    def shape(self) -> tuple[int]:
        return (len(self.ends),)

    def __len__(self) -> int:
        return len(self.ends)

    def take(self, rows: Array) -> Pairs:
        """Some of the pairs."""
        return Pairs(self.graph, self.ends[rows], None if self.joined is None else self.joined[rows])


def drawn_for(purpose: str, seed: int) -> np.random.Generator:
    """What draws for one purpose: those of others, by the same seed, know nothing of each other."""
    return np.random.Generator(np.random.Philox(np.random.SeedSequence([seed, zlib.crc32(purpose.encode())])))


def hidden(graph: Graph, shares: tuple[float, ...], rng: np.random.Generator) -> tuple[Graph, tuple[Pairs, ...]]:
    """A graph without shares of its edges, and for each share these among as many pairs that are no edges.

    The pairs are of the graph that is left. Edges from a node to itself are never hidden. Raises BadInput where there
    are too few edges, or hardly a pair that is none.
    """
    key, first = np.unique(keys_of(graph, graph.edges), return_index=True)
    first = first[graph.edges[0, first] != graph.edges[1, first]]
    if len(first) < FEWEST:
        raise BadInput(f"the graph has {len(first):,} edges between two nodes, and {FEWEST} are needed to hide some.")
    sizes = [max(1, round(share * len(first))) for share in shares]
    order = rng.permutation(first)
    parts = np.split(order, np.cumsum(sizes))[:-1]
    gone = np.isin(keys_of(graph, graph.edges), keys_of(graph, graph.edges[:, np.concatenate(parts)]))
    left = graph.with_edges(np.flatnonzero(~gone))
    none = apart_from(graph, sum(sizes), rng, key)
    found = []
    for part, begin in zip(parts, np.cumsum([0, *sizes]), strict=False):
        ends = np.concatenate([graph.edges[:, part].T, none[begin : begin + len(part)]])
        found.append(Pairs(left, ends, np.repeat([1.0, 0.0], len(part))))
    return left, tuple(found)


def keys_of(graph: Graph, ends: Array) -> Array:
    """A number for each pair (2, n), the same both ways where edges go both ways."""
    begin, end = ends if graph.directed else np.sort(ends, 0)
    found: Array = begin.astype(np.int64) * graph.count + end
    return found


def apart_from(graph: Graph, count: int, rng: np.random.Generator, edges: Array) -> Array:
    """So many different pairs (count, 2) that are no edges; edges: the keys of all, rising."""
    room = graph.count * (graph.count - 1) // (1 if graph.directed else 2) - len(edges)
    if room < 2 * count:
        raise BadInput(f"nearly all pairs of the {graph.count:,} nodes are edges: {room:,} are none, too few to draw.")
    found = np.empty((0, 2), np.int64)
    while len(found) < count:
        drawn = rng.integers(0, graph.count, (count + 64, 2))
        drawn = drawn[drawn[:, 0] != drawn[:, 1]]
        new = drawn[~np.isin(keys_of(graph, drawn.T), edges)]
        both = np.concatenate([found, new])
        kept = np.sort(np.unique(keys_of(graph, both.T), return_index=True)[1])
        found = both[kept]
    return found[:count]


class Joined(Source):
    """Edges of a graph, and as many pairs drawn at random; the edges asked are in no message of their step.

    asked (N,): all nodes; graph: whose edges train; web: the same as networks read it. Inputs are (nodes that the pairs
    are of, `Web`), index (P, 2) places among these, target (P,) 1 for edges, weight 0 for pairs drawn that are edges
    after all. hidden: share of the edges that a step asks, where it reads the whole graph (Li et al., 2205.10053);
    batch, hops, hears: where it does not, edges a step, and what reaches them.
    """

    def __init__(
        self, asked: Tensor, web: Web, graph: Graph, hidden: float, batch: int | None = None, hops: int = 2,
        hears: str = "in",
    ):  # fmt: skip
        self.asked, self.web, self.hidden, self.hops, self.hears = asked, web, hidden, hops, hears
        self.count, self.directed = len(asked), graph.directed
        every = self._keys(torch.from_numpy(np.ascontiguousarray(graph.edges.T)).to(asked.device))
        self.known, pair = every.unique(return_inverse=True)  # each pair that is joined
        self.pair = pair[torch.from_numpy(graph.arcs[1]).to(asked.device)]  # of each arc of the web
        self.edges = torch.stack([self.known // self.count, self.known % self.count], 1)  # (P, 2), each pair once
        self.whole = batch is None
        self.steps = 1 if batch is None else max(1, round(len(self.edges) / batch))
        self.epoch, self.parts = -1, tuple[Tensor, ...]()

    def _keys(self, ends: Tensor) -> Tensor:
        ends = ends if self.directed else ends.sort(1).values
        return ends[:, 0] * self.count + ends[:, 1]

    def next(self, clock: Clock) -> Batch:
        if self.whole:
            drawn = torch.Generator().manual_seed(clock.key("order"))
            order = torch.randperm(len(self.edges), generator=drawn).to(self.asked.device)
            return self._take(order[: max(1, round(self.hidden * len(order)))], clock.key("pairs"))
        epoch, place = divmod(clock.step, self.steps)
        if epoch != self.epoch:
            drawn = torch.Generator().manual_seed(clock.key("order", epoch))
            order = torch.randperm(len(self.edges), generator=drawn).to(self.asked.device)
            self.parts, self.epoch = order.tensor_split(self.steps), epoch
        return self._take(self.parts[place], clock.key("pairs"))

    def example(self) -> Batch:
        step = max(1, round(1 / self.hidden)) if self.whole else self.steps
        return self._take(torch.arange(0, len(self.edges), step, device=self.asked.device), 0)

    def _take(self, rows: Tensor, seed: int) -> Batch:
        drawn = torch.Generator(self.asked.device).manual_seed(seed)
        edges = self.edges.index_select(0, rows)
        others = torch.randint(self.count, edges.shape, generator=drawn, device=edges.device)
        if self.directed:  # so that which way an edge goes is learned, too
            others[::TURNED] = edges[::TURNED].flip(1)
        keys = self._keys(others)
        place = torch.searchsorted(self.known, keys).clamp(max=len(self.known) - 1)
        free = (self.known[place] != keys) & (others[:, 0] != others[:, 1])
        ends = torch.cat([edges, others])
        target = torch.cat([torch.ones(len(edges)), torch.zeros(len(edges))]).to(edges.device)
        weight = torch.cat([torch.ones(len(edges), device=edges.device), free.float()])
        if self.whole:
            silent = torch.zeros(len(self.edges), dtype=torch.bool, device=rows.device)
            silent[rows] = True
            return Batch((self.asked, without(self.web, silent[self.pair])), target, weight, index=ends)
        nodes, places = ends.unique(return_inverse=True)
        part = around(self.web.edges, nodes, self.hops, seed, self.hears)
        said, stand = self._keys(part.nodes[part.ends].t()), torch.searchsorted(part.nodes, nodes)
        return Batch(
            (stand, without(part.of(self.web), torch.isin(said, self.known[rows]))), target, weight, index=places
        )


def without(web: Web, silent: Tensor) -> Web:
    """The graph without the arcs of which `silent` (A,) is True."""
    arcs, edges = (~silent).nonzero().flatten(), web.edges
    own = (edges.weight, edges.kind, edges.features)
    parts = (None if part is None else part.index_select(0, arcs) for part in own)
    return Web(web.nodes, Edges(edges.index.index_select(1, arcs), edges.count, *parts))
