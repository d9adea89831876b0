"""Estimators that answer for pairs of nodes: are they joined?"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy import sparse

from decet.contracts import Learner, Stage
from decet.data.files import suffix_of
from decet.data.frames import SUFFIXES, read_table
from decet.data.graphs import Graph
from decet.data.known import KnownNodes
from decet.data.links import Joined, Pairs, apart_from, drawn_for, hidden, keys_of
from decet.data.neighbourhoods import batch_of
from decet.data.walks import WalkCodec
from decet.errors import BadInput, check_range, listed
from decet.estimators.base import Array
from decet.estimators.nodes import has_room
from decet.estimators.reading import DataWarning, Given
from decet.estimators.webs import LearnsGraph, fingerprint_of, found_of
from decet.tasks.link import REGRESSED, Link
from decet.training.recipe import Recipe

CHOSEN, MASKED = 0.05, 0.7  # shares of edges, where they are not said
EDGES = 4_096  # a step, where the whole graph has no room
MOST = 1 << 26  # pairs among which edges are suggested
FEW = 20  # hidden edges, below which figures mean little
ASKED = 1 << 22  # pairs that are asked at a time


@dataclass(frozen=True, eq=False)
class Apart:
    """A graph some of whose edges are hidden. graph: what is left; chosen: pairs to choose the epoch by; held: pairs to
    judge by, None where others judge."""

    graph: Graph
    chosen: Pairs | None
    held: Pairs | None


class JoinsNodes(LearnsGraph):
    """Estimators that tell which nodes are joined."""

    question = Link
    scored = "auc"
    card = ("graph-ml", "edges", 'predict_proba([["a", "b"]])')

    def predict_proba(self, X: Any) -> Array:
        """How likely each pair is joined (n,), as if edges and pairs that are none were equally many.

        X: pairs of names of nodes of the graph of `fit`, as a table of two columns or its path; or a graph, whose edges
        are asked, by what its nodes are in it.
        """
        return self._asked_pairs(X)[1]

    def predict(self, X: Any) -> Array:
        """Whether each pair is more likely joined than not (n,)."""
        return self.predict_proba(X) >= 0.5

    def records(self, X: Any) -> Iterator[dict[str, Any]]:
        """What `decet predict` prints: one dict a pair, its ends and how likely they are joined."""
        for (begin, end), chance in zip(*self._asked_pairs(X), strict=True):
            yield {"source": begin, "target": end, "probability": round(float(chance), 6)}

    def evaluate(self, X: Any, y: Any = None) -> dict[str, float | None]:
        """Figures on edges of a graph X that are hidden from the network, drawn by the estimator's seed: of the graph
        of `fit` those that were hidden then. Of another graph, a warning says that edges of both make them too good."""
        graph = self._read(X)
        self.codec_.check(graph)
        if fingerprint_of(graph) != self.provenance_["fingerprint"]:
            warnings.warn(
                "this is another graph than that of fit: where both have edges, these were learned from, and figures "
                "on them are too good.",
                DataWarning,
                stacklevel=2,
            )
        apart = self._set_aside(graph, self._walks, tested=False)
        return self._judged_by(apart.graph, apart.held)  # type: ignore[arg-type]

    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        """The auc of hidden edges, 0 to 1; see `evaluate`."""
        return float(self.evaluate(X)["auc"] or 0.0)

    def suggest(self, X: Any, node: Any = None, topn: int = 10) -> list[tuple[str, str, float]]:
        """The likeliest edges that a graph X lacks, of a node or of all: (from, to, how likely).

        Of all nodes of a graph of more than eight thousand, among the pairs that begin at as many of them as make up
        the pairs of eight thousand, drawn by the seed.
        """
        graph = self._read(X)
        check_range("topn", topn, 1, whole=True)
        self.codec_.check(graph)
        if node is not None:
            begins = KnownNodes.of(graph, None).all_places([node])
        else:
            begins = drawn_for("suggest", int(self.seed)).permutation(graph.count)[: max(1, MOST // graph.count)]
        vectors = torch.from_numpy(self._found(graph))
        found = _likeliest(self.learner_, vectors, graph, np.sort(begins), int(topn), node is None)
        names = np.arange(graph.count) if graph.names is None else np.asarray(graph.names)
        return [(str(names[begin]), str(names[end]), chance) for begin, end, chance in found]

    # ------------------------------------------------------------------------------------------------ a fit

    def _set_aside(self, graph: Graph, walks: bool, tested: bool) -> Apart:
        asked, seed = self._asked(), int(self.seed)
        for name in ("chosen", "masked"):
            if walks and getattr(self, name) is not None:
                raise BadInput(f"{name} does nothing where vectors are learned from walks. Leave it out.")
        shares = (() if walks else (asked.chosen or CHOSEN,)) + (() if tested else (asked.held,))
        if not shares:
            return Apart(graph, None, None)
        left, parts = hidden(graph, shares, drawn_for("links", seed))
        return Apart(left, None if walks else parts[0], None if tested else parts[-1])

    def _stage(self, learner: Any, apart: Apart, inputs: Any, recipe: Recipe, asked: Link) -> Stage:
        if self._inputs().sampler != "neighbours":
            raise BadInput("inputs.sampler='walks' does nothing for links, of which edges are drawn. Leave it out.")
        nodes, web = inputs
        body, count = learner.body, apart.graph.edges.shape[1]
        batch = None if has_room(body, web, recipe.batch, count) else batch_of(recipe.batch, count, EDGES)
        source = Joined(nodes, web, apart.graph, asked.masked or MASKED, batch, body.reach, body.hears)
        pairs: Any = apart.chosen  # which there are wherever a network reads the graph
        name = recipe.metric or "auc"
        if name not in asked.higher:
            raise BadInput(f"recipe.metric {name!r} is not a metric of links: {listed(asked.higher)}.")

        def validate(network: Learner) -> dict[str, float]:
            vectors = network.predict(inputs)
            value = asked.metrics(_chances(network, vectors, pairs.ends), pairs.joined)[name] or 0.0
            return {name: value, "score": value if asked.higher[name] else -value}

        return Stage(learner, source, recipe, validate, name="train")

    def _finish(self, learner: Any, apart: Apart, codec: Any, asked: Link) -> None:
        if not isinstance(codec, WalkCodec):
            return
        graph, device = apart.graph, learner.shift.device  # vectors are there: their products are weighed
        rng = drawn_for("regression", int(self.seed))
        edges = rng.permutation(graph.edges.T)[:REGRESSED]
        others = apart_from(graph, len(edges), rng, np.sort(keys_of(graph, graph.edges)))
        target = torch.cat([torch.ones(len(edges)), torch.zeros(len(others))])
        vectors = learner.predict((torch.arange(graph.count, device=device),))
        learner.regress(vectors, torch.from_numpy(np.concatenate([edges, others])).to(device), target)

    def _figures(self, apart: Apart, given: Given) -> tuple[dict[str, float | None], str]:
        if apart.held is None:
            return {}, "edges that others hold judge it"
        count = len(apart.held) // 2
        if count < FEW:
            self._note(f"{count:,} edges were hidden to judge by: too few for the figures to mean much.")
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

    def _asked_pairs(self, X: Any) -> tuple[list[tuple[str, str]], Array]:
        """Names of the pairs that are asked, and how likely they are joined."""
        self._check_fitted()
        if _is_table(X):
            frame = read_table(str(X) if isinstance(X, Path) else X, name="the table of pairs")
            pairs = np.asarray(frame, dtype=object)
            if pairs.ndim != 2 or pairs.shape[1] != 2:
                hint = " Did you mean pairs.T?" if pairs.ndim == 2 and pairs.shape[0] == 2 else ""
                raise BadInput(f"pairs of nodes must have two columns. Received: shape {pairs.shape}.{hint}")
            places, known = self.nodes_.all_places(pairs.reshape(-1)).reshape(-1, 2), self.nodes_
            chances = self._chances(places)
        else:
            graph = self._read(X)
            places, known = graph.edges.T, KnownNodes.of(graph, None)
            chances = _chances(self.learner_, torch.from_numpy(self._found(graph)), places)
        return [(known.name(begin), known.name(end)) for begin, end in places.tolist()], chances


def _is_table(X: Any) -> bool:
    """Whether pairs are given as a table; else it is a graph."""
    if isinstance(X, (str, Path)):
        return suffix_of(str(X)) in SUFFIXES
    return isinstance(X, (list, tuple, np.ndarray)) or hasattr(X, "columns") or hasattr(X, "to_pandas")


@torch.inference_mode()
def _chances(learner: Any, vectors: torch.Tensor, places: Array) -> Array:
    """How likely pairs of vectors are joined (n,)."""
    device = learner.shift.device
    vectors, found = vectors.to(device), []
    for part in torch.from_numpy(np.ascontiguousarray(places)).split(ASKED // vectors.shape[1] + 1):
        found.append(learner.scores(vectors, part.to(device)).double().sigmoid().cpu())
    return torch.cat(found).numpy() if found else np.empty(0)


@torch.inference_mode()
def _likeliest(
    learner: Any, vectors: torch.Tensor, graph: Graph, begins: Array, topn: int, every: bool
) -> list[tuple[int, int, float]]:
    """The likeliest pairs that begin at these nodes and are no edges: from, to, how likely. every: all nodes are asked,
    so that where edges go both ways each pair counts once."""
    device = learner.shift.device
    begin, end = learner.ends(vectors.to(device))
    (source, target), _ = graph.arcs
    links = sparse.csr_matrix((np.ones(len(source), np.int8), (source, target)), (graph.count, graph.count))
    best: list[tuple[float, int, int]] = []
    asked = np.zeros(graph.count, bool)
    asked[begins] = True
    for part in np.array_split(begins, max(1, len(begins) * graph.count // ASKED)):
        logits = (begin[torch.from_numpy(part).to(device)] @ end.T + learner.shift).cpu().numpy()
        rows = np.arange(len(part))
        logits[rows, part] = -np.inf
        known = links[part].tocoo()
        logits[known.row, known.col] = -np.inf
        if every and not graph.directed:  # of two nodes that are both asked the smaller begins
            logits[asked & (np.arange(graph.count) < part[:, None])] = -np.inf
        flat = logits.reshape(-1)
        top = np.argpartition(-flat, min(topn, len(flat) - 1))[:topn]
        places = [(int(i) // graph.count, int(i) % graph.count) for i in top if np.isfinite(flat[i])]
        best += [(float(logits[row, node]), int(part[row]), node) for row, node in places]
        best = sorted(best, reverse=True)[:topn]
    return [(begin, end, float(1 / (1 + np.exp(-logit)))) for logit, begin, end in best]
