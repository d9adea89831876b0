"""Random walks over a graph, as texts whose words are nodes: DeepWalk's, and node2vec's, which look one step back.

From v, having come from t, a walk goes on to x with probability in proportion to the weight of the edge (v, x) times

    1 / back   where x = t,     1   where x is joined to t,     1 / away   else

so that a large `away` stays near, as breadth first does, and a small one goes far. The next node is drawn by weight and
kept or drawn anew (rejection), so that nothing is stored for pairs of edges. Each draw is a function of a seed, the
walk and the step, the same in the compiled kernel and in numpy.

References: Perozzi et al., DeepWalk, 1403.6652; Grover & Leskovec, node2vec, 1607.00653; rejection: Yang et al.,
KnightKing, SOSP 2019.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from decet.contracts import Batch, Clock, Source, TokenSpec
from decet.data.graphs import Array, Graph
from decet.errors import BadInput

WORDS = 50_000  # of a step, more or less
TRIES = 64  # draws of a next node, of which the last is kept whatever it is
GAMMA = np.uint64(0x9E3779B97F4A7C15)  # of splitmix64, as `decet.nn.drawing` has it
MIX = (np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))

Bits = NDArray[np.uint64]


class Walker:
    """Walks over a graph whose edges may be walked as `Graph.arcs` says.

    offsets (N + 1,), others (A,): whom each node leads to, rising; shares (A,): the weights of a node's edges so far,
    over all of them; None where there are no weights. back, away: see above.
    """

    def __init__(self, graph: Graph, back: float = 1.0, away: float = 1.0) -> None:
        (begin, end), edge = graph.arcs
        order = np.lexsort((end, begin))
        sizes = np.bincount(begin, minlength=graph.count)
        self.offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        self.others = np.ascontiguousarray(end[order], np.int64)
        self.shares: NDArray[np.float64] | None = None
        if graph.weight is not None:
            weight = graph.weight[edge][order].astype(np.float64)
            total = np.cumsum(weight)
            before = np.concatenate([[0.0], total])[self.offsets[:-1]]
            whole = np.concatenate([[0.0], total])[self.offsets[1:]] - before
            self.shares = (total - np.repeat(before, sizes)) / np.repeat(np.maximum(whole, 1e-300), sizes)
        self.back, self.away = float(back), float(away)

    @property
    def degrees(self) -> Array:
        """How many edges lead from each node (N,)."""
        return np.diff(self.offsets)

    @cached_property
    def chances(self) -> tuple[float, float, float]:
        """Of a draw to be kept: going back, to a node near the last one, or away."""
        wanted = (1 / self.back, 1.0, 1 / self.away)
        return tuple(one / max(wanted) for one in wanted)  # type: ignore[return-value]

    def walks(self, starts: Array, length: int, seed: int) -> Array:
        """Nodes of a walk from each start (W, length) int32; -1 behind a node that leads nowhere."""
        starts = np.ascontiguousarray(starts, np.int64)
        if importlib.util.find_spec("numba") is None:
            return self._walked(starts, length, seed)
        from decet.data import walk_kernels

        found = np.empty((len(starts), length), np.int32)
        shares = np.empty(0) if self.shares is None else self.shares
        plain = self.back == self.away == 1.0
        walk_kernels.walk(self.offsets, self.others, shares, starts, np.uint64(seed), plain, *self.chances, found)
        return found

    def _walked(self, starts: Array, length: int, seed: int) -> Array:
        """The same without a compiler: all walks a step at a time."""
        found = np.full((len(starts), length), -1, np.int32)
        found[:, 0] = at = starts
        last = np.full(len(starts), -1, np.int64)
        walk = np.arange(len(starts), dtype=np.uint64)
        for step in range(1, length):
            alive = np.flatnonzero(self.offsets[at + 1] > self.offsets[at])
            found_next = np.full(len(at), -1, np.int64)
            place = (walk * np.uint64(length) + np.uint64(step)) * np.uint64(TRIES)
            for number in range(TRIES):
                drawn = bits(seed, place[alive] + np.uint64(number))
                new = self._next(at[alive], drawn)
                kept = self._kept(last[alive], new, drawn) | (number == TRIES - 1)
                found_next[alive[kept]] = new[kept]
                alive = alive[~kept]
                if not len(alive):
                    break
            on = found_next >= 0
            found[walk[on].astype(np.int64), step] = found_next[on]
            last, at, walk = at[on], found_next[on], walk[on]
            if not len(at):
                break
        return found

    def _next(self, at: Array, drawn: Bits) -> Array:
        """Whom each node leads to, drawn by weight."""
        begin, size = self.offsets[at], self.offsets[at + 1] - self.offsets[at]
        high = drawn >> np.uint64(32)
        if self.shares is None:
            place = ((high * size.astype(np.uint64)) >> np.uint64(32)).astype(np.int64)
            return self.others[begin + place]
        share = high.astype(np.float64) / 2.0**32
        low, top = begin.copy(), begin + size - 1
        while (low < top).any():
            middle = (low + top) // 2
            beyond = self.shares[middle] <= share
            low, top = np.where(beyond & (low < top), middle + 1, low), np.where(beyond, top, middle)
        return self.others[low]

    def _kept(self, last: Array, new: Array, drawn: Bits) -> NDArray[np.bool_]:
        """Whether the nodes drawn stay."""
        if self.back == self.away == 1.0:
            return np.ones(len(new), dtype=bool)
        back, near, away = self.chances
        known = np.maximum(last, 0)
        joined = np.array(
            [
                _among(self.others, int(self.offsets[t]), int(self.offsets[t + 1]), x)
                for t, x in zip(known, new, strict=True)
            ]
        )
        chance = np.where(new == last, back, np.where(joined, near, away))
        share = (drawn & np.uint64(0xFFFFFFFF)).astype(np.float64) / 2.0**32
        return (last < 0) | (share < chance)


def _among(others: Array, begin: int, end: int, node: int) -> bool:
    place = begin + int(np.searchsorted(others[begin:end], node))
    return bool(place < end and others[place] == node)


def bits(seed: int, places: Bits) -> Bits:
    """64 random bits of a seed and each place (splitmix64)."""
    with np.errstate(over="ignore"):
        z = np.uint64(seed) + places * GAMMA
        z = (z ^ (z >> np.uint64(30))) * MIX[0]
        z = (z ^ (z >> np.uint64(27))) * MIX[1]
        found: Bits = z ^ (z >> np.uint64(31))
        return found


class WalkCodec:
    """What is read of a graph by who learns from walks: its nodes, one by one. inputs = (nodes (B,) int64,)

    spec        TokenSpec: a token a node
    count       how many there are: no other graph can be answered
    how         how walks are drawn: (walks from each node an epoch, nodes of a walk, back, away)
    """

    def __init__(self, count: int, how: tuple[int, int, float, float]) -> None:
        self.count, self.how = count, how
        self.spec = TokenSpec(count, 1)
        self.remarks: list[str] = []

    def source(self, graph: Graph) -> Walks:
        """Walks over the graph."""
        count, length, back, away = self.how
        return Walks(Walker(graph, back, away), count, length)

    def check(self, graph: Graph) -> None:
        """Raise BadInput for another graph than the one that was learned from."""
        if graph.count != self.count:
            raise BadInput(
                f"vectors of walks are of the {self.count:,} nodes that were walked on, and the graph has "
                f"{graph.count:,}. Fit anew, or take GNN, which reads features."
            )

    def encode(self, graph: Graph) -> tuple[Tensor]:
        """The nodes in question."""
        self.check(graph)
        return (torch.from_numpy(np.ascontiguousarray(graph.nodes)),)

    def every(self) -> Graph:
        """All nodes, and no edges."""
        return Graph(np.empty((2, 0)), self.count)

    def sample(self, count: int, seed: int) -> Graph:
        """Some of the nodes, spread evenly, whatever the seed; no edges."""
        chosen = np.unique(np.linspace(0, self.count - 1, count).astype(np.int64))
        return self.every().take(chosen)

    def description(self) -> list[dict[str, str]]:
        """What `decet show` tells of the inputs."""
        count, length, back, away = self.how
        told = f"{count} walks of {length} from each of {self.count:,} nodes an epoch, back {back:g}, away {away:g}"
        return [{"name": "nodes", "kind": "walks", "detail": told}]

    def state(self) -> tuple[dict[str, Any], dict[str, Array]]:
        """What `restore` needs: values for JSON, and arrays by name."""
        return {"count": self.count, "how": list(self.how)}, {}

    @classmethod
    def restore(cls, state: Mapping[str, Any], arrays: Mapping[str, Any]) -> WalkCodec:
        """The codec whose `state` this is."""
        count, length, back, away = state["how"]
        return cls(int(state["count"]), (int(count), int(length), float(back), float(away)))


class Walks(Source):
    """Walks from each node, `count` an epoch, drawn anew in each, a function of the clock alone.

    A batch is (nodes end to end, where each walk begins, the place of the first), as vectors of words are learned from.
    """

    def __init__(self, walker: Walker, count: int, length: int) -> None:
        self.walker, self.count, self.length = walker, count, length
        self.nodes = np.flatnonzero(walker.degrees > 0)
        self.total = len(self.nodes) * count
        self.steps = max(1, round(self.total * length / WORDS))
        self.epoch, self.parts = -1, list[Array]()

    def next(self, clock: Clock) -> Batch:
        epoch, place = divmod(clock.step, self.steps)
        if epoch != self.epoch:
            drawn = np.random.Generator(np.random.Philox(clock.key("order", epoch)))
            order = drawn.permutation(np.tile(self.nodes, self.count))
            self.parts, self.epoch = np.array_split(order, self.steps), epoch
        return self._take(self.parts[place], clock.key("walks"))

    def example(self) -> Batch:
        return self._take(np.tile(self.nodes, self.count)[:: self.steps], 0)

    def _take(self, starts: Array, seed: int) -> Batch:
        found = self.walker.walks(starts, self.length, seed)
        there = found >= 0
        offsets = np.concatenate([[0], np.cumsum(there.sum(1))])
        return Batch((found[there], offsets, 0))
