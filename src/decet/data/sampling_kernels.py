"""The compiled half of `sampling`: the same nodes and edges, found by marks instead of by sorting; made by numba."""

from __future__ import annotations

from typing import Any

import numpy as np

from decet.data.sampling import APART, NEIGHBOURS
from decet.data.walk_kernels import bits, compiled

HALF = np.uint64(32)
DENSE = 16  # of so many numbers one is there, from which marks are quicker than sorting


@compiled
def _drawn(seed: int, place: int) -> Any:
    return np.int64(bits(np.uint64(seed), np.uint64(place)) >> HALF)


@compiled
def _grown(held: Any, need: int) -> Any:
    """The array, or a longer copy of it where it has no room for so many."""
    if need <= len(held):
        return held
    longer = np.empty(max(need, 2 * len(held)), held.dtype)
    longer[: len(held)] = held
    return longer


@compiled
def _rising(found: Any, count: int) -> Any:
    """The different numbers among these below count, rising: by sorting where they are few, else by marks."""
    if len(found) * DENSE < count:
        order = np.sort(found)
        kept = np.ones(len(order), np.bool_)
        kept[1:] = order[1:] != order[:-1]
        return order[kept]
    marks = np.zeros(count, np.bool_)
    for number in found:
        marks[number] = True
    return np.flatnonzero(marks)


@compiled
def placed(begins: Any, ends: Any, nodes: Any, edges: Any, count: int) -> Any:
    """Nodes and edges rising, each once, and the ends of edges as places among the nodes."""
    held, edge = _rising(nodes, count), _rising(edges, len(begins))
    place = np.empty(count, np.int64)
    for i in range(len(held)):
        place[held[i]] = i
    found = np.empty((2, len(edge)), np.int64)
    for i in range(len(edge)):
        found[0, i] = place[begins[edge[i]]]
        found[1, i] = place[ends[edge[i]]]
    return held, edge, found


@compiled
def reached(
    ways: int, offsets: Any, others: Any, edge: Any, offsets2: Any, others2: Any, edge2: Any, front: Any, count: int,
    hops: int, seed: int,
) -> Any:  # fmt: skip
    """Nodes and edges that `sampling.around` gives, in the order they are met; an edge may be met twice."""
    marks = np.zeros(count, np.bool_)
    nodes, edges = np.empty(4 * len(front) + 64, np.int64), np.empty(16 * len(front) + 64, np.int64)
    nodes[: len(front)] = front
    marks[front] = True
    begin, end, met = 0, len(front), 0
    for hop in range(hops):
        last = end
        for i in range(begin, last):
            node = nodes[i]
            for way in range(ways):
                first = offsets[node] if way == 0 else offsets2[node]
                size = (offsets[node + 1] if way == 0 else offsets2[node + 1]) - first
                taken = min(size, NEIGHBOURS)
                nodes, edges = _grown(nodes, end + taken), _grown(edges, met + taken)
                for number in range(taken):
                    place = number
                    if size > NEIGHBOURS:
                        drawn = _drawn(seed, node * APART + (2 * hop + way) * NEIGHBOURS + number)
                        place = ((number << 32) + drawn) * size // (NEIGHBOURS << 32)
                    other = others[first + place] if way == 0 else others2[first + place]
                    edges[met] = edge[first + place] if way == 0 else edge2[first + place]
                    met += 1
                    if not marks[other]:
                        marks[other] = True
                        nodes[end] = other
                        end += 1
        begin = last
    return nodes[:end], edges[:met]


@compiled
def strolled(
    ways: int, offsets: Any, others: Any, edge: Any, offsets2: Any, others2: Any, edge2: Any, roots: Any, count: int,
    hops: int, seed: int,
) -> Any:  # fmt: skip
    """Nodes that `sampling.strolled` meets, and the edges among them."""
    marks = np.zeros(count, np.bool_)
    nodes, end = np.empty(len(roots) * (hops + 1), np.int64), 0
    for i in range(len(roots)):
        at = roots[i]
        for hop in range(hops + 1):
            if not marks[at]:
                marks[at] = True
                nodes[end] = at
                end += 1
            if hop == hops:
                break
            drawn = _drawn(seed, i * APART + 2 * hop)
            back = _drawn(seed, i * APART + 2 * hop + 1) % ways == 1
            first = offsets2[at] if back else offsets[at]
            size = (offsets2[at + 1] if back else offsets[at + 1]) - first
            if size > 0:
                place = first + ((drawn * size) >> 32)
                at = others2[place] if back else others[place]
    edges, met = np.empty(16 * end + 64, np.int64), 0
    for i in range(end):
        for place in range(offsets[nodes[i]], offsets[nodes[i] + 1]):
            if marks[others[place]]:
                edges = _grown(edges, met + 1)
                edges[met] = edge[place]
                met += 1
    return nodes[:end], edges[:met]
