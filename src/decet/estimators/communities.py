"""Estimators that answer with communities: which nodes belong together?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import torch
from scipy import sparse

from decet.contracts import Stage
from decet.data.graphs import Graph
from decet.estimators.base import Array, Cell
from decet.estimators.reading import Given
from decet.estimators.webs import EveryNode, LearnsGraph, Whole, whole_or_part
from decet.nn.moving import by_size, settled
from decet.tasks.communities import DetectCommunities
from decet.tasks.embed_nodes import Infomax
from decet.training.recipe import Recipe

HOW = "of the graph itself: nothing is held out"


class DetectsCommunities(LearnsGraph):
    """Estimators that answer with the community of each node."""

    question = DetectCommunities
    scored = "modularity"
    card = ("graph-ml", "edges", "predict(graph)")
    groups: ClassVar[Cell]  # of the objective "infomax"
    objective: str | None

    def _cell(self) -> Cell:
        cell = super()._cell()
        return self.groups if self.objective == "infomax" else cell

    def predict(self, X: Any) -> Array:
        """The community of each node (N,) of a graph X, numbered from the largest."""
        return self._communities(self._read(X))

    def shares(self, X: Any) -> Array:
        """How much each node belongs to each community of the network (N, K), before any node has moved."""
        return self._found(self._read(X))

    def evaluate(self, X: Any, y: Any = None) -> dict[str, float | None]:
        """modularity of the communities of a graph X, how many there are, and where labels of nodes are known (or y)
        nmi, what communities and labels tell of each other."""
        self._check_fitted()
        given = self._given(X, y, reset=False)
        return self._figures(Whole(given.rows), given)[0]

    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        """The modularity, -0.5 to 1."""
        return float(self.evaluate(X)["modularity"] or 0.0)

    def records(self, X: Any) -> Iterator[dict[str, Any]]:
        """What `decet predict` prints: one dict a node, its community."""
        graph = self._read(X)
        names = np.arange(graph.count) if graph.names is None else np.asarray(graph.names)
        for name, community in zip(names.tolist(), self._communities(graph).tolist(), strict=True):
            yield {"node": name, "community": community}

    # ------------------------------------------------------------------------------------------------ a fit

    def _stage(self, learner: Any, apart: Whole, inputs: Any, recipe: Recipe, asked: Any) -> Stage:
        if asked.objective == "infomax":
            teller = Infomax(learner.body)
            return Stage(teller, whole_or_part(teller, inputs, recipe), recipe)
        return Stage(learner, EveryNode(inputs), recipe)

    def _finish(self, learner: Any, apart: Whole, codec: Any, asked: DetectCommunities) -> None:
        if asked.objective != "infomax":
            return
        inputs = tuple(part.to(learner.head.bias.device) for part in codec.encode(replace(apart.graph, asked=None)))
        with torch.no_grad():
            learner.group(learner.body(inputs).pooled()[:, 0].float(), int(self.seed))

    def _figures(self, apart: Whole, given: Given) -> tuple[dict[str, float | None], str]:
        answers = self._communities(apart.graph)
        return self._asked().metrics(answers, given.answers, links_of(apart.graph)), HOW

    def _communities(self, graph: Graph) -> Array:
        asked = self._asked()
        found = self._found(graph).argmax(1)
        if not asked.settles:
            return by_size(found)
        return settled(links_of(graph), found, int(self.seed), asked.communities)


def links_of(graph: Graph) -> Any:
    """The weights of edges (N, N), sparse and symmetric: what goes one way only counts both ways."""
    (begin, end), edge = graph.arcs
    weight = np.ones(len(edge)) if graph.weight is None else graph.weight[edge].astype(np.float64)
    found = sparse.csr_matrix((weight, (begin, end)), (graph.count, graph.count))
    return found + found.T if graph.directed else found
