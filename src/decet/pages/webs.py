"""Pictures of a graph: where it errs among its neighbours, and where its network sees nodes near each other.

Where nodes stand in the first is a layout by springs (Fruchterman & Reingold, 1991), in the second t-SNE of what the
head reads (van der Maaten & Hinton, JMLR 2008): near means alike, how far apart groups are says nothing.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from decet.pages.rendering import TINTS

Array = NDArray[Any]
WIDTH, HEIGHT, EDGE = 760, 520, 12
MOST = 400  # nodes of a picture of a graph
WRONG = 40  # of these nodes that are answered wrongly, whose neighbours are shown
MAPPED = 1_000  # nodes of a map
FEWEST = 10
ROUNDS = 80  # of the springs
PERPLEXITY = 20.0


@dataclass(frozen=True)
class Dot:
    """A node: its place, its true class (-1: not known) and what is said of it."""

    x: float
    y: float
    group: int
    wrong: bool
    said: str


@dataclass(frozen=True)
class Picture:
    """Nodes, edges between them as (x, y, x, y), classes by tint, and how many nodes are not shown."""

    dots: tuple[Dot, ...]
    lines: tuple[tuple[float, float, float, float], ...]
    names: tuple[str, ...]
    left: int
    width: int = WIDTH
    height: int = HEIGHT


def web_of(graph: Any, truth: Array, decided: Array, names: Sequence[Any], seed: int = 0) -> Picture | None:
    """The graph, of a large one what lies around mistakes. truth, decided (n,): class ids of the nodes in question.

    None where there is no edge to be drawn.
    """
    import networkx

    asked = {int(node): row for row, node in enumerate(graph.nodes)}
    chosen = _around(graph, truth, decided, seed)
    part = graph.induced(chosen)
    joined = np.unique(part.edges)
    if not len(joined):
        return None
    drawn = networkx.Graph()
    drawn.add_nodes_from(joined.tolist())
    drawn.add_edges_from(part.edges.T.tolist())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = networkx.spring_layout(drawn, iterations=ROUNDS, seed=seed, method="force")
    places = _fitted(np.array([found[node] for node in joined.tolist()]))
    at = {int(node): place for node, place in zip(joined, places, strict=True)}
    called = np.arange(graph.count) if graph.names is None else np.asarray(graph.names)
    dots = [
        _dot(place, called[chosen[node]], asked.get(int(chosen[node])), truth, decided, names)
        for node, place in at.items()
    ]
    lines = [(*at[int(a)], *at[int(b)]) for a, b in part.edges.T if a != b]
    return Picture(tuple(dots), tuple(lines), _shown(names), graph.count - len(joined))


def map_of(
    features: Array, called: Array, truth: Array, decided: Array, names: Sequence[Any], seed: int = 0
) -> Picture | None:
    """Nodes (n, D) as the head reads them, near where alike; None of fewer than ten. called (n,): their names."""
    from sklearn.manifold import TSNE

    if len(features) < FEWEST:
        return None
    rng = np.random.Generator(np.random.Philox(seed))
    rows = np.arange(len(features))
    rows = rows if len(rows) <= MAPPED else np.sort(rng.choice(rows, MAPPED, replace=False))
    perplexity = min(PERPLEXITY, (len(rows) - 1) / 3)
    places = _fitted(TSNE(perplexity=perplexity, init="pca", random_state=seed).fit_transform(features[rows]))
    dots = [_dot(place, called[row], int(row), truth, decided, names) for place, row in zip(places, rows, strict=True)]
    return Picture(tuple(dots), (), _shown(names), len(features) - len(rows))


def _around(graph: Any, truth: Array, decided: Array, seed: int) -> Array:
    """Nodes to show: all of a small graph, else mistakes and whom they are joined to, nearest first."""
    if graph.count <= MOST:
        return np.arange(graph.count)
    rng = np.random.Generator(np.random.Philox(seed))
    wrong = np.flatnonzero((truth >= 0) & (truth != decided))
    begin = graph.nodes[wrong if len(wrong) else np.arange(len(graph))]
    chosen = list(rng.choice(begin, min(WRONG, len(begin)), replace=False))
    (ends, others), _ = graph.arcs
    while len(chosen) < MOST:
        near = np.setdiff1d(others[np.isin(ends, chosen)], chosen)
        if not len(near):
            break
        chosen += list(rng.permutation(near)[: MOST - len(chosen)])
    return np.array(chosen)


def _dot(place: Array, node: Any, row: int | None, truth: Array, decided: Array, names: Sequence[Any]) -> Dot:
    x, y = (round(float(value), 1) for value in place)
    if row is None:
        return Dot(x, y, -1, False, f"node {node}")
    known, answer = int(truth[row]), str(names[int(decided[row])])
    if known < 0:
        return Dot(x, y, -1, False, f"node {node}: answered {answer}")
    wrong = known != int(decided[row])
    told = f"node {node} is {names[known]}" + (f", answered {answer}" if wrong else "")
    return Dot(x, y, known % len(TINTS), wrong, told)


def _fitted(places: Array) -> Array:
    """Places (n, 2) spread over the picture."""
    low, high = places.min(0), places.max(0)
    room = np.array([WIDTH - 2 * EDGE, HEIGHT - 2 * EDGE])
    fitted: Array = EDGE + (places - low) / np.maximum(high - low, 1e-9) * room
    return fitted


def _shown(names: Sequence[Any]) -> tuple[str, ...]:
    return tuple(str(name) for name in names[: len(TINTS)])
