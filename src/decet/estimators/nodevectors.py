"""Estimators that answer with a vector a node, and what vectors and edges tell of nodes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from decet.contracts import GraphSpec, Stage
from decet.data.graphs import Graph
from decet.data.known import KnownNodes
from decet.data.links import Joined
from decet.data.neighbourhoods import batch_of
from decet.errors import BadInput, Unsupported, check_range
from decet.estimators.base import Array, Cell
from decet.estimators.links import EDGES
from decet.estimators.nodes import has_room
from decet.estimators.reading import Given
from decet.estimators.webs import LearnsGraph, Whole, found_of, whole_or_part
from decet.tasks.embed import WordVectors
from decet.tasks.embed_nodes import EmbedNodes, Infomax, probed
from decet.tasks.influence import felt, reached
from decet.training.recipe import Recipe

UNJUDGED = "vectors have no answers to be held against; evaluate them on a graph whose nodes have labels"
MASKED = 0.5  # share of the edges that a step asks for and hides


class EmbedsNodes(LearnsGraph):
    """Estimators that answer with a vector for each node."""

    question = EmbedNodes
    scored = "probe_accuracy"
    card = ("feature-extraction", "edges", "most_similar(node)")

    objective: str | None

    def _cell(self) -> Cell:
        cell = super()._cell()
        if self.objective is not None and GraphSpec not in cell.family.reads:  # type: ignore[attr-defined]
            raise BadInput(
                f"{cell.family.__name__} learns by walks, and objective {self.objective!r} is of GNN. Leave it out."
            )
        return cell

    def transform(self, X: Any) -> Array:
        """One vector a node (N, D) of a graph X: of walks the graph of `fit`, else any with such features."""
        return self._found(self._read(X))

    predict = transform

    def evaluate(self, X: Any, y: Any = None) -> dict[str, float | None]:
        """How many labels of nodes a logistic regression of the vectors gets right: fitted on the official part to
        train and asked of that to test, or where there is none in five folds. X: a graph whose nodes have labels, or
        y."""
        self._check_fitted()
        given = self._given(X, y, reset=False)
        if given.answers is None:
            raise BadInput(
                "evaluate holds vectors against labels: give a graph whose nodes have some, or y (--target)."
            )
        return {self.scored: probed(self._found(given.rows), given.answers, given.rows.splits)}

    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        """The accuracy of a linear probe, 0 to 1; see `evaluate`."""
        return float(self.evaluate(X, y)[self.scored] or 0.0)

    def records(self, X: Any) -> Iterator[dict[str, Any]]:
        """What `decet predict` prints: one dict a node, its vector."""
        graph = self._read(X)
        names = np.arange(graph.count) if graph.names is None else np.asarray(graph.names)
        for name, vector in zip(names.tolist(), self._found(graph), strict=True):
            yield {"node": name, "vector": [round(x, 6) for x in vector.tolist()]}

    # ------------------------------------------------------------------------------------------ nodes of the fit

    @property
    def vectors_(self) -> WordVectors:
        """The nodes of `fit` and their vectors, with the questions people ask of them."""
        self._check_fitted()
        if getattr(self, "_asking", None) is None:
            known = self.nodes_
            matrix = known.vectors
            if matrix is None:
                matrix = found_of(self.learner_, self.codec_, self.codec_.every(), self.device_)
            self._asking = WordVectors([known.name(place) for place in range(known.count)], matrix)
        return self._asking

    def vector(self, node: Any) -> Array:
        """The vector of a node (D,). Raises BadInput for one that is not known, with near spellings."""
        found: Array = self.vectors_.matrix[self.nodes_.place(node)]
        return found

    def similarity(self, a: Any, b: Any) -> float:
        """The cosine between two nodes' vectors, -1 to 1."""
        return self.vectors_.similarity(*self._named([a, b]))

    def most_similar(self, positive: Any = (), negative: Any = (), topn: int = 10) -> list[tuple[str, float]]:
        """The nearest nodes to the sum of some nodes' directions minus that of others, with their cosines."""
        return self.vectors_.most_similar(self._named(positive), self._named(negative), topn)

    def _read_all(self, nodes: Any) -> list[str]:
        """Names as a map has them."""
        return self._named(nodes)

    def _named(self, nodes: Any) -> list[str]:
        return [self.nodes_.name(self.nodes_.place(node)) for node in _each(nodes)]

    # ------------------------------------------------------------------------------------------ influence

    def spread(self, X: Any, nodes: Any = None, *, probability: float = 0.1, runs: int = 1_000) -> Array:
        """How many nodes of a graph X each one is expected to reach, itself among them, where each that is reached
        tries each of its edges once (the independent cascade); of the nodes given, or of all (N,). See
        `influence.reached`."""
        graph: Graph = self._read(X)
        found = reached(graph.arcs[0], graph.count, probability, runs, int(self.seed), graph.directed)
        return found if nodes is None else found[KnownNodes.of(graph, None).all_places(_each(nodes))]

    def influences(self, X: Any, node: Any, topn: int = 10) -> list[tuple[str, float]]:
        """Whose features the vector of a node of a graph X depends on most: their shares of the gradient, which sum
        to 1 over all nodes. Of networks that read features; see `influence.felt`."""
        graph = self._read(X)
        if not hasattr(self.codec_, "graphs"):
            raise Unsupported("vectors of walks depend on no features. Take spread, or GNN.")
        check_range("topn", topn, 1, whole=True)
        place = KnownNodes.of(graph, None).place(node)
        shares = felt(self.learner_, tuple(part.to(self.device_) for part in self.codec_.encode(graph)), place)
        names = np.arange(graph.count) if graph.names is None else np.asarray(graph.names)
        best = np.argsort(-shares, kind="stable")[:topn]
        return [(str(names[i]), float(shares[i])) for i in best if shares[i] > 0]

    def _unused(self) -> tuple[str, ...]:
        return ("metric", "patience")

    # ------------------------------------------------------------------------------------------------ a fit

    def _stage(self, learner: Any, apart: Whole, inputs: Any, recipe: Recipe, asked: EmbedNodes) -> Stage:
        if isinstance(learner, Infomax):
            return Stage(learner, whole_or_part(learner, inputs, recipe, self._inputs()), recipe)
        nodes, web = inputs
        body, count = learner.body, apart.graph.edges.shape[1]
        batch = None if has_room(body, web, recipe.batch, count) else batch_of(recipe.batch, count, EDGES)
        return Stage(learner, Joined(nodes, web, apart.graph, MASKED, batch, body.reach, body.hears), recipe)

    def _figures(self, apart: Whole, given: Given) -> tuple[dict[str, float | None], str]:
        return {}, UNJUDGED


def _each(nodes: Any) -> list[Any]:
    """A node, or several."""
    return [nodes] if isinstance(nodes, str) or not isinstance(nodes, Iterable) else list(nodes)
