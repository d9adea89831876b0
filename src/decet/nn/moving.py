"""Communities of a graph, made better node by node: Louvain's moves, begun from communities that somebody else found.

    dQ(v to c) = k(v, c) / m - d(v) D(c) / 2m^2

k(v, c) is the weight of v's edges into c, d(v) of all of them, D(c) that of c's nodes without v, m that of the graph.
When no node wants to move any more, each community becomes a node and it begins again, until nothing moves. Then what
moved as one node is parted, within its community, and all of it begins again (as Leiden's refinement has it).

References: Louvain: Blondel et al., 0803.0476; Leiden: Traag et al., 1810.08473.
"""

from __future__ import annotations

import functools
import importlib.util
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.csgraph import connected_components

Array = NDArray[Any]
ROUNDS = 100  # over all nodes of a level, at most
TRIES, CHEAP = 20, 1_000_000  # times at most, and entries of all together
LEAST = 1e-12  # gain of a move, over all weights, so that rounding moves nobody to and fro


def modularity(links: Any, community: Array) -> float:
    """Q of communities (N,) of a symmetric matrix of weights (N, N)."""
    links = links.tocoo()
    total = float(links.data.sum())
    if not total:
        return 0.0
    degree = np.bincount(links.row, links.data, len(community))
    inside = float(links.data[community[links.row] == community[links.col]].sum())
    of_each = np.bincount(community, degree)
    return inside / total - float((of_each / total) @ (of_each / total))


def settled(links: Any, community: Array, seed: int = 0, most: int | None = None) -> Array:
    """Communities (N,), numbered from the largest, whose modularity no move of a node, of a part or of a whole one
    raises.

    links: a symmetric matrix of weights (N, N). most: communities; None: as many as it takes, so that parts of one that
    no edge joins go their own ways.
    """
    links = sparse.csr_matrix(links, dtype=np.float64)
    degree = np.asarray(links.sum(1)).reshape(-1)
    starts = [np.unique(community, return_inverse=True)[1]]
    rng = np.random.Generator(np.random.Philox(seed))
    if most is None:  # or from the parts that its communities fall into, which may join again, or from each node
        starts[0] = connected_components(_within(links, starts[0]), directed=False)[1]
        starts.append(_moved(_within(links, starts[0]), degree, np.arange(len(community)), rng))
        starts.append(np.arange(len(community)))
    tries = starts * max(1, min(TRIES, CHEAP // (links.nnz + 1)))  # each in another order of nodes
    found = max((_bettered(links, degree, start, rng) for start in tries), key=lambda one: modularity(links, one))
    return by_size(found)


def by_size(community: Array) -> Array:
    """Communities numbered from the largest."""
    ids = np.unique(community, return_inverse=True)[1]
    sizes = np.bincount(ids)
    rank = np.empty_like(sizes)
    rank[np.argsort(-sizes, kind="stable")] = np.arange(len(sizes))
    found: Array = rank[ids]
    return found


def _bettered(links: Any, degree: Array, found: Array, rng: np.random.Generator) -> Array:
    """Communities whose parts have moved, again and again: what moved as one node may part and move by itself."""
    best = modularity(links, found)
    for _ in range(ROUNDS):
        parts = _moved(_within(links, found), degree, np.arange(len(found)), rng)
        _, first = np.unique(parts, return_index=True)
        moved = _levels(_joined(links, parts), found[first], rng)[parts]
        value = modularity(links, moved)
        if value <= best + LEAST:
            break
        best, found = value, moved
    return found


def _levels(links: Any, community: Array, rng: np.random.Generator) -> Array:
    """Communities after all moves of nodes, then of whole communities, until nothing moves."""
    place = np.arange(links.shape[0])
    level, begun = links, community
    while True:
        degree = np.asarray(level.sum(1)).reshape(-1)
        moved = _moved(level, degree, begun, rng)
        place = moved[place]
        if len(np.unique(moved)) == level.shape[0]:
            return place
        level, begun = _joined(links, place), np.arange(int(place.max()) + 1)


def _moved(links: Any, degree: Array, community: Array, rng: np.random.Generator) -> Array:
    """Communities after all moves of nodes, numbered without gaps."""
    count = links.shape[0]
    community = np.unique(community, return_inverse=True)[1].astype(np.int64)
    total = np.bincount(community, degree, count)
    near, touched = np.zeros(count), np.empty(count, np.int64)
    arrays = (links.indptr.astype(np.int64), links.indices.astype(np.int64), links.data, degree)
    for _ in range(ROUNDS):
        if not _move()(*arrays, community, total, degree.sum(), rng.permutation(count), near, touched):
            break
    found: Array = np.unique(community, return_inverse=True)[1]
    return found


def _within(links: Any, community: Array) -> Any:
    """The edges that join two nodes of one community."""
    coo = links.tocoo()
    kept = community[coo.row] == community[coo.col]
    return sparse.csr_matrix((coo.data[kept], (coo.row[kept], coo.col[kept])), links.shape)


def _joined(links: Any, parts: Array) -> Any:
    """The graph whose nodes are the parts (N,)."""
    member = sparse.csr_matrix((np.ones(len(parts)), (parts, np.arange(len(parts)))))
    return (member @ links @ member.T).tocsr()


def _one_round(
    offsets: Any, others: Any, weight: Any, degree: Any, community: Any, total: Any, whole: float, order: Any, near:
        Any,
    touched: Any,
) -> int:  # fmt: skip
    """Each node to where it raises modularity most; how many moved."""
    moved = 0
    for v in order:
        own, seen = community[v], 1
        touched[0] = own
        near[own] = 0.0
        for place in range(offsets[v], offsets[v + 1]):
            u = others[place]
            if u == v:
                continue
            c = community[u]
            if near[c] == 0.0 and c != own:
                touched[seen] = c
                seen += 1
            near[c] += weight[place]
        total[own] -= degree[v]
        best, most = own, near[own] - degree[v] * total[own] / whole
        for number in range(seen):
            c = touched[number]
            gain = near[c] - degree[v] * total[c] / whole
            if gain > most + LEAST * whole:
                best, most = c, gain
            near[c] = 0.0
        total[best] += degree[v]
        community[v] = best
        moved += best != own
    return moved


@functools.cache
def _move() -> Callable[..., int]:
    """The round, compiled where that is possible."""
    if importlib.util.find_spec("numba") is None:
        return _one_round
    from numba import njit

    try:
        compiled: Callable[..., int] = njit(cache=True)(_one_round)
    except RuntimeError:  # no folder that numba may write to
        compiled = njit(_one_round)
    return compiled
