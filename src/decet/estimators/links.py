"""Estimators that answer for pairs of nodes: are they joined?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from decet.contracts import Learner, Stage
from decet.data.datasets import Loaded
from decet.data.files import suffix_of
from decet.data.frames import SUFFIXES, read_table
from decet.data.graphs import Graph
from decet.data.links import Joined, Pairs, apart_from, hidden, keys_of
from decet.data.neighbourhoods import batch_of
from decet.data.walks import WalkCodec
from decet.errors import BadInput, check_range, listed
from decet.estimators.base import Array
from decet.estimators.nodes import has_room
from decet.estimators.reading import Given
from decet.estimators.webs import LearnsGraph, found_of
from decet.tasks.link import REGRESSED, Link
from decet.training.recipe import Recipe

EDGES = 4_096  # a step, where the whole graph has no room
ASKED = 1 << 22  # pairs that are asked at a time


@dataclass(frozen=True, eq=False)
class Apart:
    """A graph some of whose edges are hidden. graph: what is left; chosen: pairs to choose the epoch by; held: pairs to
    judge by, None where others judge."""

    graph: Graph
    chosen: Pairs
    held: Pairs | None


class JoinsNodes(LearnsGraph):
    """Estimators that tell which nodes are joined."""

    question = Link
    scored = "auc"
    card = ("graph-ml", "edges", 'predict_proba([["a", "b"]])')

    def predict_proba(self, X: Any) -> Array:
        """How likely each pair is joined (n,). X: pairs of names of nodes (n, 2); a table whose first two columns are
        such, or its path; or a graph, whose edges are asked."""
        return self._chances(self._places(X))

    def predict(self, X: Any) -> Array:
        """Whether each pair is more likely joined than not (n,)."""
        return self.predict_proba(X) >= 0.5

    def records(self, X: Any) -> Iterator[dict[str, Any]]:
        """What `decet predict` prints: one dict a pair, its ends and how likely they are joined."""
        places, nodes = self._places(X), self.nodes_
        for (begin, end), chance in zip(places.tolist(), self._chances(places).tolist(), strict=True):
            yield {"source": nodes.name(begin), "target": nodes.name(end), "probability": round(chance, 6)}

    def evaluate(self, X: Any, y: Any = None) -> dict[str, float | None]:
        """Figures on edges of a graph X that are hidden from the network, drawn by the estimator's seed: of the graph
        of `fit` those that were hidden then. On another graph that shares edges with it they are too good."""
        graph = self._read(X)
        asked = self._asked()
        self.codec_.check(graph)
        left, (_, held) = hidden(graph, (asked.chosen, asked.held), int(self.seed))
        return self._judged_by(left, held)

    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        """The auc of hidden edges, 0 to 1; see `evaluate`."""
        return float(self.evaluate(X)["auc"] or 0.0)

    def suggest(self, X: Any, node: Any = None, topn: int = 10) -> list[tuple[str, str, float]]:
        """The likeliest edges that a graph X lacks, of a node or of all: (from, to, how likely).

        X must have the nodes of `fit` where these are known one by one."""
        graph = self._read(X)
        check_range("topn", topn, 1, whole=True)
        self.codec_.check(graph)
        begins = np.arange(graph.count) if node is None else np.array([self.nodes_.place(node)])
        found = _likeliest(
            self.learner_, found_of(self.learner_, self.codec_, graph, self.device_), graph, begins, topn
        )
        names = np.arange(graph.count) if graph.names is None else np.asarray(graph.names)
        return [(str(names[begin]), str(names[end]), chance) for begin, end, chance in found]

    # ------------------------------------------------------------------------------------------------ a fit

    def _set_aside(self, graph: Graph, tested: bool) -> Apart:
        asked, seed = self._asked(), int(self.seed)
        if tested:
            left, (chosen,) = hidden(graph, (asked.chosen,), seed)
            return Apart(left, chosen, None)
        left, (chosen, held) = hidden(graph, (asked.chosen, asked.held), seed)
        return Apart(left, chosen, held)

    def _stage(self, learner: Any, apart: Apart, inputs: Any, recipe: Recipe, asked: Link) -> Stage:
        nodes, web = inputs
        body, count = learner.body, apart.graph.edges.shape[1]
        batch = None if has_room(body, web, recipe.batch, count) else batch_of(recipe.batch, count, EDGES)
        source = Joined(nodes, web, apart.graph, asked.masked, batch, body.reach, body.hears)
        pairs, name = apart.chosen, recipe.metric or "auc"
        if name not in asked.higher:
            raise BadInput(f"recipe.metric {name!r} is not a metric of links: {listed(asked.higher)}.")

        def validate(network: Learner) -> dict[str, float]:
            vectors = network.predict(inputs)
            value = asked.metrics(_chances(network, vectors, pairs.ends), pairs.joined)[name] or 0.0  # type: ignore[arg-type]
            return {name: value, "score": value if asked.higher[name] else -value}

        return Stage(learner, source, recipe, validate, name="train")

    def _finish(self, learner: Any, apart: Apart, codec: Any, asked: Link) -> None:
        if not isinstance(codec, WalkCodec):
            return
        graph, device = apart.graph, learner.shift.device  # vectors are there: their products are weighed
        rng = np.random.Generator(np.random.Philox(int(self.seed)))
        edges = rng.permutation(graph.edges.T)[:REGRESSED]
        others = apart_from(graph, len(edges), rng, np.sort(keys_of(graph, graph.edges)))
        target = torch.cat([torch.ones(len(edges)), torch.zeros(len(others))])
        vectors = learner.predict((torch.arange(graph.count, device=device),))
        learner.regress(vectors, torch.from_numpy(np.concatenate([edges, others])).to(device), target)

    def _figures(self, apart: Apart, given: Given) -> tuple[dict[str, float | None], str]:
        if apart.held is None:
            return {}, "edges that others hold judge it"
        count = len(apart.held) // 2
        how = f"of {count:,} edges hidden from it among as many pairs that are none"
        return self._judged_by(apart.graph, apart.held), how

    def _judged_by(self, left: Graph, held: Pairs) -> dict[str, float | None]:
        vectors = torch.from_numpy(found_of(self.learner_, self.codec_, left, self.device_))
        return self._asked().metrics(_chances(self.learner_, vectors, held.ends), held.joined)

    # ------------------------------------------------------------------------------------------------ answers

    def _vectors(self) -> torch.Tensor:
        """Of the nodes of `fit` (N, D)."""
        known = self.nodes_.vectors
        if known is None:
            known = found_of(self.learner_, self.codec_, self.codec_.every(), self.device_)
        return torch.from_numpy(known)

    def _chances(self, places: Array) -> Array:
        """How likely pairs of places (n, 2) of the graph of `fit` are joined (n,)."""
        self._check_fitted()
        return _chances(self.learner_, self._vectors(), places)

    def _places(self, X: Any) -> Array:
        """The places of pairs of nodes (n, 2)."""
        self._check_fitted()
        table = isinstance(X, (str, Path)) and suffix_of(str(X)) in SUFFIXES
        if isinstance(X, Loaded | Graph) or (isinstance(X, (str, Path)) and not table):
            graph = self._read(X)
            names = np.arange(graph.count) if graph.names is None else np.asarray(graph.names)
            pairs = names[graph.edges.T]
        else:
            frame = read_table(str(X) if isinstance(X, Path) else X, name="the table of pairs")
            pairs = (
                np.asarray(frame, dtype=object) if not hasattr(frame, "iloc") else frame.iloc[:, :2].to_numpy(object)
            )
        if pairs.ndim != 2 or pairs.shape[1] != 2:
            raise BadInput(f"pairs of nodes must have two columns. Received: shape {pairs.shape}.")
        return self.nodes_.all_places(pairs.reshape(-1)).reshape(-1, 2)


@torch.inference_mode()
def _chances(learner: Any, vectors: torch.Tensor, places: Array) -> Array:
    """How likely pairs of vectors are joined (n,)."""
    device = learner.shift.device
    vectors, found = vectors.to(device), []
    for part in torch.from_numpy(np.ascontiguousarray(places)).split(ASKED // vectors.shape[1] + 1):
        found.append(learner.scores(vectors, part.to(device)).double().sigmoid().cpu())
    return torch.cat(found).numpy() if found else np.empty(0)


@torch.inference_mode()
def _likeliest(learner: Any, vectors: Array, graph: Graph, begins: Array, topn: int) -> list[tuple[int, int, float]]:
    """The likeliest pairs that begin at these nodes and are no edges: from, to, how likely."""
    device = learner.shift.device
    begin, end = learner.ends(torch.from_numpy(vectors).to(device))
    known = np.sort(keys_of(graph, graph.edges))
    best: list[tuple[float, int, int]] = []
    for part in np.array_split(begins, max(1, len(begins) * graph.count // ASKED)):
        logits = (begin[torch.from_numpy(part).to(device)] @ end.T + learner.shift).cpu().numpy()
        ends = np.stack([np.repeat(part, graph.count), np.tile(np.arange(graph.count), len(part))])
        keys = keys_of(graph, ends)
        free = (ends[0] != ends[1]) & ~np.isin(keys, known)
        if not graph.directed and len(begins) > 1:
            free &= ends[0] < ends[1]
        flat = np.where(free, logits.reshape(-1), -np.inf)
        top = np.argpartition(-flat, min(topn, len(flat) - 1))[:topn]
        best += [(float(flat[i]), int(ends[0, i]), int(ends[1, i])) for i in top if np.isfinite(flat[i])]
        best = sorted(best, reverse=True)[:topn]
    return [(begin, end, float(1 / (1 + np.exp(-logit)))) for logit, begin, end in best]
