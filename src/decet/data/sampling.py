"""Parts of a graph too large for a step: what reaches some nodes, or whom walks meet and all edges among them.

    around    each node's neighbours, so many drawn at random, theirs again    GraphSAGE; Hamilton et al., 1706.02216
    strolled  the nodes that random walks from some meet                       GraphSAINT; Zeng et al., 1907.04931

Each draw is a function of a seed, a node and a number. On a processor with numba a compiled kernel takes the part, else
torch does; both take the same.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

import torch
from torch import Tensor

from decet.data.walks import GAMMA, MIX
from decet.tensors import Edges, Rows, Sparse, Web

NEIGHBOURS = 10  # of a node, at most
STEP, FIRST, SECOND = (int(number) - (1 << 64) for number in (GAMMA, *MIX))  # of walks' bits, as numbers with a sign
WHOLE = 1 << 32
APART = 1 << 20  # draws of one node, at most


class Part(NamedTuple):
    """Of a graph: the nodes it has, rising, and its edges, rising, whose ends are places among these nodes."""

    nodes: Tensor  # (n,)
    edges: Tensor  # (e,)
    ends: Tensor  # (2, e)

    def of(self, web: Web) -> Web:
        """It, as networks read it."""
        kept = web.nodes.rows(self.nodes) if isinstance(web.nodes, Sparse) else web.nodes.index_select(0, self.nodes)
        own = (web.edges.weight, web.edges.kind, web.edges.features)
        told = (None if part is None else part.index_select(0, self.edges) for part in own)
        return Web(kept, Edges(self.ends, len(self.nodes), *told))


def around(edges: Edges, nodes: Tensor, hops: int, seed: int, hears: str = "in") -> Part:
    """What reaches nodes (n,) within so many hops, by edges that lead "in", or "out", or "both".

    Who has more than `NEIGHBOURS` neighbours is heard by so many of them, one of each tenth.
    """
    ways = _ways(edges, hears)
    front = nodes.unique()
    if _compiled(edges):
        from decet.data import sampling_kernels as kernels

        met = kernels.reached(*_arrays(ways), front.numpy(), edges.count, hops, seed)
        return Part(*map(torch.from_numpy, kernels.placed(*edges.index.numpy(), *met, edges.count)))
    known, found = front, [front.new_empty(0)]
    for hop in range(hops):
        places = [_chosen(way.offsets, front, seed, 2 * hop + number) for number, way in enumerate(ways)]
        found += [way.edge.index_select(0, place) for way, place in zip(ways, places, strict=True)]
        others = [way.others.index_select(0, place) for way, place in zip(ways, places, strict=True)]
        near = torch.cat(others).unique()
        front = near[~torch.isin(near, known)]
        known = torch.cat([known, front])
    return _placed(edges, known, torch.cat(found))


def strolled(edges: Edges, roots: Tensor, hops: int, seed: int, hears: str = "in") -> Part:
    """The nodes that walks of so many hops from the roots meet, against the way they are heard, and all edges among
    them."""
    ways = _ways(edges, hears)
    if _compiled(edges):
        from decet.data import sampling_kernels as kernels

        met = kernels.strolled(*_arrays(ways), roots.numpy(), edges.count, hops, seed)
        return Part(*map(torch.from_numpy, kernels.placed(*edges.index.numpy(), *met, edges.count)))
    at, seen = roots, [roots]
    walk = torch.arange(len(roots), device=roots.device) * APART
    for hop in range(hops):
        drawn, turned = draws(seed, walk + 2 * hop), draws(seed, walk + 2 * hop + 1) % len(ways) == 1
        at = torch.where(turned, _step(ways[-1], at, drawn), _step(ways[0], at, drawn))
        seen.append(at)
    held = torch.cat(seen).unique()
    inside = torch.zeros(edges.count, dtype=torch.bool, device=held.device)
    inside[held] = True
    places = _all_of(edges.arriving.offsets, held)
    within = places[inside[edges.arriving.others.index_select(0, places)]]
    return _placed(edges, held, edges.arriving.edge.index_select(0, within))


def draws(seed: int, places: Tensor) -> Tensor:
    """32 random bits of a seed and each place, the upper half of `walks.bits`."""
    z = places * STEP + seed
    z = (z ^ _right(z, 30)) * FIRST
    z = (z ^ _right(z, 27)) * SECOND
    return _right(z ^ _right(z, 31), 32)


def _right(z: Tensor, count: int) -> Tensor:
    """Shifted to the right as a number without a sign."""
    return (z >> count) & ((1 << (64 - count)) - 1)


def _ways(edges: Edges, hears: str) -> list[Rows]:
    """Edges by the end that hears."""
    return [edges.arriving] * (hears != "out") + [edges.leaving] * (hears != "in")


def _arrays(ways: Sequence[Rows]) -> tuple[object, ...]:
    """Offsets, others and edges of the first way and of the last."""
    both = (ways[0], ways[-1])
    return (len(ways), *(part.numpy() for way in both for part in (way.offsets, way.others, way.edge)))


def _chosen(offsets: Tensor, nodes: Tensor, seed: int, number: int) -> Tensor:
    """Places of `NEIGHBOURS` edges of each node, at most, each as likely as any other; of fewer all."""
    size = offsets.index_select(0, nodes + 1) - offsets.index_select(0, nodes)
    few = size <= NEIGHBOURS
    many, begin = nodes[~few], offsets.index_select(0, nodes[~few]).unsqueeze(1)
    tenth = torch.arange(NEIGHBOURS, device=nodes.device)
    drawn = draws(seed, many.unsqueeze(1) * APART + number * NEIGHBOURS + tenth)
    # one of each tenth of a node's edges: each as likely as any other, and hardly one twice
    places = (tenth * WHOLE + drawn) * size[~few].unsqueeze(1) // (NEIGHBOURS * WHOLE)
    return torch.cat([_all_of(offsets, nodes[few]), (begin + places).flatten()])


def _all_of(offsets: Tensor, nodes: Tensor) -> Tensor:
    """Places of all edges of these nodes, one node after the other."""
    begin = offsets.index_select(0, nodes)
    size = offsets.index_select(0, nodes + 1) - begin
    before = size.cumsum(0) - size
    return torch.arange(int(size.sum()), device=nodes.device) + torch.repeat_interleave(begin - before, size)


def _step(way: Rows, at: Tensor, drawn: Tensor) -> Tensor:
    """Where a walk goes on; who has nowhere to go stays."""
    if not len(way.others):
        return at
    begin = way.offsets.index_select(0, at)
    size = way.offsets.index_select(0, at + 1) - begin
    place = begin + drawn * size // WHOLE
    return torch.where(size > 0, way.others[place.clamp(max=len(way.others) - 1)], at)


def _placed(edges: Edges, nodes: Tensor, found: Tensor) -> Part:
    held, edge = nodes.sort().values, found.unique()
    return Part(held, edge, torch.searchsorted(held, edges.index.index_select(1, edge)))


def _compiled(edges: Edges) -> bool:
    return edges.index.device.type == "cpu" and edges.index.shape[1] > 0 and _numba()


@cache
def _numba() -> bool:
    return importlib.util.find_spec("numba") is not None
