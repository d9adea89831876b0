"""Pages of what learns from a graph alone: the graph by communities, a map of its nodes, who is near whom, edges that
it seems to lack."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from decet.data.graphs import Graph
from decet.estimators.communities import links_of
from decet.nn.moving import by_size, settled
from decet.pages.drawing import curves
from decet.pages.rendering import TINTS, environment
from decet.pages.webs import Picture, map_of, web_of
from decet.referee.comparison import versions
from decet.tasks.communities import DetectCommunities
from decet.tasks.embed_nodes import EmbedNodes
from decet.tasks.link import Link

Array = NDArray[Any]
SUGGESTED = 20  # edges that the graph lacks
ASKED, NEAREST = 10, 6  # nodes whose nearest are shown, and how many
FAR = 12  # nodes that reach most
RUNS = 200  # of the cascade
WALKED = 2_000  # nodes of a graph whose edges go one way, up to which who reaches most is found
LISTED = 30  # communities whose size is shown


@dataclass(frozen=True)
class Shown:
    """A picture, what stands above and below it, and what it is of, for who cannot see it."""

    picture: Picture
    title: str
    note: str
    label: str
    size: int = 3


def web_page(model: Any, X: Any = None, y: Any = None, command: str = "") -> str:
    """The page of a LinkPredictor, NodeEmbedder or CommunityDetector. X: a graph, as `evaluate` takes it, y its
    labels."""
    metrics, on, looks = model.metrics_, model.provenance_["validation"], dict[str, Any]()
    if X is not None:
        given = model._given(X, y, reset=False)
        if model.question is not EmbedNodes or given.answers is not None:
            metrics = model.evaluate(X, y)
            on = f"{given.source or 'the graph given'} ({on})" if model.question is not EmbedNodes else given.source
        looks = looks_of_graph(model, given.rows, given.answers)
    shown = {part: asdict(getattr(model, f"{part}_")) for part in ("family", "recipe")}
    shown |= {"question": asdict(model._asked()), "inputs": asdict(model._inputs())}
    return (
        environment()
        .get_template("webs.html")
        .render(
            title=f"{type(model).__name__} with {type(model.family_).__name__}",
            model=model,
            told=model.provenance_,
            on=on,
            metrics=metrics,
            looks=looks,
            curves=curves(model.history_),
            columns=model.codec_.description(),
            settings={part: {k: v for k, v in said.items() if v is not None} for part, said in shown.items()},
            versions=versions(),
            command=command,
        )
    )


def web_looks(model: Any, rows: Any, answers: Array) -> dict[str, Any]:
    """What there is to see of one that was compared, in the graph that it was asked of."""
    return looks_of_graph(model, rows.graph, rows.graph.labels)


def looks_of_graph(model: Any, graph: Graph, labels: Array | None) -> dict[str, Any]:
    """Pictures, and tables of nodes and pairs, by what the model is asked."""
    found: dict[str, Any] = dict.fromkeys(("shown", "sizes", "suggested", "nearest", "far"))
    graph = replace(graph, asked=None)
    if model.question is DetectCommunities:
        return found | {"shown": _communities(model, graph), "sizes": _sizes(model.predict(graph))}
    vectors = model._found(graph)
    found |= {"shown": _map(graph, vectors, labels, int(model.seed))}
    if model.question is Link:
        return found | {"suggested": model.suggest(graph, topn=SUGGESTED)}
    names = _names(graph)
    found |= {"nearest": _nearest(vectors, graph, names)}
    if not graph.directed or graph.count <= WALKED:
        spread = model.spread(graph, runs=RUNS)
        far = np.argsort(-spread, kind="stable")[:FAR]
        found |= {"far": [(names[node], float(spread[node])) for node in far]}
    return found


def _names(graph: Graph) -> list[str]:
    return [str(name) for name in (np.arange(graph.count) if graph.names is None else graph.names)]


def _map(graph: Graph, vectors: Array, labels: Array | None, seed: int) -> list[Shown]:
    """Near where alike; by label where these are known, else by community."""
    if labels is None:
        truth = settled(links_of(graph), np.arange(graph.count), seed)
        names: Sequence[Any] = [f"community {number}" for number in range(int(truth.max()) + 1)]
        told = "By community of the edges (Louvain's moves)"
    else:
        known = np.array([label is not None and label == label for label in labels])
        truth, told = np.full(graph.count, -1), "By label, which it was not told; grey: not known"
        found, truth[known] = np.unique([str(label) for label in labels[known]], return_inverse=True)
        names = found.tolist()
    called = np.array(_names(graph), dtype=object)
    drawn = map_of(vectors, called, truth, truth, [*names, ""], seed)
    note = f"{told}. Near nodes are alike to the network; how far apart groups are says nothing."
    return [] if drawn is None else [Shown(drawn, "Nodes as the network sees them", note, "a map of nodes")]


def _communities(model: Any, graph: Graph) -> list[Shown]:
    found = model.predict(graph)
    drawn = web_of(graph, found, found, [f"community {n}" for n in range(int(found.max()) + 1)], int(model.seed))
    if drawn is None:
        return []
    note = f"By community, from the largest; of more than {len(TINTS)} some share a tint."
    return [Shown(drawn, "The graph" + (", a part of it" if drawn.left else ""), note, "a picture of the graph", 4)]


def _sizes(found: Array) -> list[tuple[str, int, float]]:
    sizes = np.bincount(by_size(found))
    return [(f"community {n}", int(size), 100 * size / sizes[0]) for n, size in enumerate(sizes[:LISTED])]


def _nearest(vectors: Array, graph: Graph, names: list[str]) -> list[tuple[str, int, list[tuple[str, float]]]]:
    """Of nodes with many and with few edges, the nearest."""
    degrees = graph.degrees()
    order = np.argsort(-degrees, kind="stable")
    order = order[degrees[order] > 0]
    chosen = order[np.unique(np.linspace(0, len(order) - 1, ASKED).astype(np.int64))]
    units = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    found = []
    for node in chosen:
        cosines = units @ units[node]
        cosines[node] = -np.inf
        best = np.argsort(-cosines, kind="stable")[:NEAREST]
        found.append((names[node], int(degrees[node]), [(names[i], float(cosines[i])) for i in best]))
    return found
