"""Contenders that train a graph convolutional network, each in a process of its own.

Cora with its public split, features in rows that sum to 1; and made graphs, whose edges join nodes drawn at random, of
128 dense features and 40 classes. The network is Kipf and Welling's, of the same depth and width for all, dropout 0.5,
full batch. decet's loop and layers beside PyTorch Geometric's GCNConv in the loop of its own example, the normalised
edges kept (cached=True). Data are in memory before the clock begins.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

from benchmarks.child import Meter, Place

FEATURES, CLASSES = 128, 40
CORA = (2, 16, 200)  # depth, width, epochs
MADE = (3, 128, 5)  # and of made graphs, of which the first epoch warms up
IMPORTS = {
    "decet": ("torch", "decet.estimators.catalog", "decet.training.loop"),
    "PyTorch Geometric": ("torch", "torch_geometric.nn"),
}


@dataclass(frozen=True)
class Data:
    """A graph, its answers, and the nodes that train."""

    graph: Any
    labels: Any  # (N,) int64
    train: Any  # nodes


def cora() -> Data:
    """The citation graph."""
    import numpy as np

    from decet.data.datasets import load

    graph = load("cora").X
    return Data(graph, graph.labels.astype(np.int64), graph.splits["train"])


def made(nodes: int, edges: int) -> Data:
    """A graph of so many nodes and edges."""
    import numpy as np

    from decet.data.graphs import Graph

    rng = np.random.Generator(np.random.Philox(0))
    pairs = rng.integers(0, nodes, (2, edges))
    features = rng.standard_normal((nodes, FEATURES), dtype=np.float32)
    return Data(Graph(pairs, nodes, features), rng.integers(0, CLASSES, nodes), np.arange(nodes // 2))


def _data(name: str, nodes: int, edges: int) -> tuple[Data, tuple[int, int, int]]:
    return (cora(), CORA) if name == "cora" else (made(nodes, edges), MADE)


def decet(
    meter: Meter, place: Place, name: str, nodes: int = 0, edges: int = 0, quick: bool = False, seed: int = 0
) -> dict[str, Any]:
    """decet's own loop."""
    import torch

    from decet import GNN, Recipe
    from decet.contracts import GraphSpec, LabelSpec, Stage
    from decet.data.graph_codec import Graphs
    from decet.data.resident import Resident
    from decet.settings import joined
    from decet.tasks.classify_nodes import ClassifyNodes
    from decet.training.loop import train
    from decet.training.recipe import FALLBACK

    data, (depth, width, epochs) = _data(name, nodes, edges)
    codec = Graphs().fit(data.graph, None, (GraphSpec,))
    asked, web = codec.encode(data.graph)
    torch.manual_seed(seed)
    marks: list[float] = []

    class Marked(Resident):
        def next(self, at: Any) -> Any:
            marks.append(time.perf_counter())
            return super().next(at)

    meter.start()
    body = GNN(conv="gcn", width=width, depth=depth, dropout=0.5).encoder(codec.spec)
    classes = int(data.labels.max()) + 1
    learner = ClassifyNodes().learner(body, LabelSpec((classes,)), 1)
    target = torch.from_numpy(data.labels).unsqueeze(1)
    source = Marked((asked, web), target, None, torch.from_numpy(data.train), len(data.train))
    said = Recipe(steps=3 if quick else epochs, lr=1e-2, weight_decay=5e-4, clip=0.0, schedule="constant", warmup=0.0)
    began = time.perf_counter()
    train([Stage(learner, source, joined(said, replace(FALLBACK, epochs=None)))], seed=seed)
    whole = time.perf_counter() - began
    meter.stop()
    return _told(whole, marks, len(web.edges.index[0]), learner.parameters())


def geometric(
    meter: Meter, place: Place, name: str, nodes: int = 0, edges: int = 0, quick: bool = False, seed: int = 0
) -> dict[str, Any]:
    """PyTorch Geometric, as its example trains."""
    import torch
    import torch.nn.functional as F
    from torch_geometric.nn import GCNConv

    data, (depth, width, epochs) = _data(name, nodes, edges)
    arcs, _ = data.graph.arcs
    features = data.graph.features
    dense = features.toarray() if hasattr(features, "toarray") else features
    if name == "cora":
        dense = dense / dense.sum(1, keepdims=True).clip(1e-9)
    x, index = torch.from_numpy(dense), torch.from_numpy(arcs.copy())
    y, mask = torch.from_numpy(data.labels), torch.from_numpy(data.train)
    torch.manual_seed(seed)
    marks: list[float] = []
    meter.start()

    class Network(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            sizes = [x.shape[1], *[width] * (depth - 1), int(data.labels.max()) + 1]
            self.convs = torch.nn.ModuleList(GCNConv(a, b, cached=True) for a, b in pairwise(sizes))

        def forward(self, h: Any) -> Any:
            for conv in self.convs[:-1]:
                h = F.dropout(h, 0.5, self.training)
                h = conv(h, index).relu()
            return self.convs[-1](F.dropout(h, 0.5, self.training), index)

    model = Network()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01, weight_decay=5e-4)
    began = time.perf_counter()
    for _ in range(3 if quick else epochs):
        marks.append(time.perf_counter())
        model.train()
        optimizer.zero_grad()
        F.cross_entropy(model(x)[mask], y[mask]).backward()
        optimizer.step()
    whole = time.perf_counter() - began
    meter.stop()
    return _told(whole, marks, index.shape[1], model.parameters())


def _told(whole: float, marks: list[float], arcs: int, parameters: Any) -> dict[str, Any]:
    """Seconds of all epochs and of one after the first; arcs a second."""
    each = (marks[-1] - marks[1]) / max(1, len(marks) - 2)
    count = sum(p.numel() for p in parameters)
    return {"seconds": whole, "epoch": each, "rate": arcs / each, "parameters": count}


# ------------------------------------------------------------------------------------------------------------ quality


def planetoid(
    meter: Meter, place: Place, data: str, variant: str, quick: bool, parts: list[int]
) -> Iterator[dict[str, Any]]:
    """The public split: its training nodes train, its validation nodes choose the epoch, its test nodes judge."""
    import warnings

    from benchmarks.gnn import VARIANTS
    from decet.data.datasets import load

    warnings.simplefilter("ignore")
    test = load(data, "test")
    for seed in parts:
        began = time.perf_counter()
        model = VARIANTS[variant](data, seed).fit(data)
        seconds = time.perf_counter() - began
        yield {
            "part": seed, "seed": seed, "accuracy": model.score(test), "validation": model.metrics_["accuracy"],
            "seconds": seconds, "epoch": model.provenance_["best_epoch"],
        }  # fmt: skip


def links(
    meter: Meter, place: Place, data: str, family: str, quick: bool, parts: list[int]
) -> Iterator[dict[str, Any]]:
    """85 % of the edges train, 5 % choose the epoch, 10 % judge."""
    import warnings

    from decet import GNN, LinkPredictor, Recipe, Word2Vec

    warnings.simplefilter("ignore")
    settings = {"GNN": GNN(), "Word2Vec": Word2Vec()}[family]
    for seed in parts:
        began = time.perf_counter()
        model = LinkPredictor(settings, recipe=Recipe(epochs=2) if quick else None, seed=seed).fit(data)
        yield {"part": seed, "seed": seed, "seconds": time.perf_counter() - began, **model.metrics_}


def communities(
    meter: Meter, place: Place, data: str, who: str, quick: bool, parts: list[int]
) -> Iterator[dict[str, Any]]:
    """Communities of the whole graph, and how long they took."""
    import warnings

    import networkx

    from decet import CommunityDetector, Recipe
    from decet.data.datasets import load
    from decet.estimators.communities import links_of
    from decet.referee.webs import numbered

    warnings.simplefilter("ignore")
    whole = replace(load(data).X, asked=None)
    links = links_of(whole)
    recipe = Recipe(epochs=5) if quick else None
    for seed in parts:
        began = time.perf_counter()
        if who in ("decet", "the network alone"):
            model = CommunityDetector(settle=who == "decet", recipe=recipe, seed=seed).fit(whole)
            found = model.predict(whole)
        else:
            graph = networkx.from_scipy_sparse_array(links)
            began = time.perf_counter()
            ways = {
                "Louvain": networkx.community.louvain_communities,
                "label propagation": networkx.community.fast_label_propagation_communities,
            }
            found = numbered(ways[who](graph, weight="weight", seed=seed), links)
        seconds = time.perf_counter() - began
        figures = CommunityDetector()._asked().metrics(found, whole.labels, links)
        yield {"part": seed, "seed": seed, "seconds": seconds, **figures}


def club(meter: Meter, place: Place, quick: bool, parts: list[int]) -> Iterator[dict[str, Any]]:
    """Zachary's club: the sides of its two leaders are told, those of the others asked."""
    import warnings

    import numpy as np

    from decet import NodeClassifier, Recipe
    from decet.data.datasets import load

    warnings.simplefilter("ignore")
    graph = replace(load("karate").X, asked=None, splits=None)
    told = np.full(34, None, dtype=object)
    told[[0, 33]] = graph.labels[[0, 33]]
    others = np.setdiff1d(np.arange(34), [0, 33])
    for seed in parts:
        model = NodeClassifier(recipe=Recipe(epochs=3) if quick else None, seed=seed).fit(graph, told)
        right = model.predict(graph)[others] == graph.labels[others]
        yield {"part": seed, "seed": seed, "accuracy": float(np.mean(right))}
