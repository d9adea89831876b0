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
from decet.data.neighbourhoods import EveryNode
from decet.errors import BadInput
from decet.estimators.base import Array, Cell
from decet.estimators.nodes import has_room
from decet.estimators.reading import Given
from decet.estimators.webs import LearnsGraph, Whole, whole_or_part
from decet.nn.moving import by_size, modularity, settled
from decet.tasks.communities import DetectCommunities
from decet.tasks.embed_nodes import Infomax
from decet.training.recipe import Recipe

TRIED = (2, 3, 4, 5, 6, 8, 10, 12, 16, 20, 24, 32)  # groups of vectors, of which those of the best modularity are taken
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
            return Stage(teller, whole_or_part(teller, inputs, recipe, self._inputs()), recipe)
        if not has_room(learner.body, inputs[1], None, len(inputs[0])):
            raise BadInput(
                f"the graph of {len(inputs[0]):,} nodes has no room in memory, and modularity is one of all of it. Say "
                "--objective infomax, which reads a part a step, or a smaller --family.width."
            )
        return Stage(learner, EveryNode(inputs), recipe)

    def _finish(self, learner: Any, apart: Whole, codec: Any, asked: DetectCommunities) -> None:
        if asked.objective != "infomax":
            return
        inputs = tuple(part.to(learner.head.bias.device) for part in codec.encode(replace(apart.graph, asked=None)))
        with torch.no_grad():
            vectors, links = learner.body(inputs).pooled()[:, 0].float(), links_of(apart.graph)
        tried = [asked.communities] if asked.communities else [n for n in TRIED if n < len(vectors)] or [1]

        def value(count: int) -> float:
            learner.group(vectors, count, int(self.seed))
            return modularity(links, learner.head(vectors).argmax(1).cpu().numpy())

        learner.group(vectors, max(tried, key=value), int(self.seed))

    def _unused(self) -> tuple[str, ...]:
        return ("metric", "patience") if self.objective == "infomax" else ("metric", "patience", "batch")

    def _figures(self, apart: Whole, given: Given) -> tuple[dict[str, float | None], str]:
        links, said = links_of(apart.graph), self._found(apart.graph).argmax(1)
        figures = self._asked().metrics(self._settled(links, said), given.answers, links)
        return figures | {"before moves": modularity(links, said)}, HOW

    def _communities(self, graph: Graph) -> Array:
        return self._settled(links_of(graph), self._found(graph).argmax(1))

    def _settled(self, links: Any, found: Array) -> Array:
        """The communities that a network told (N,), once nodes have moved, where they do."""
        asked = self._asked()
        return settled(links, found, int(self.seed), asked.communities) if asked.settles else by_size(found)


def links_of(graph: Graph) -> Any:
    """The weights of edges (N, N), sparse and symmetric: what goes one way only counts both ways."""
    weight = np.ones(graph.edges.shape[1]) if graph.weight is None else graph.weight.astype(np.float64)
    found = sparse.csr_matrix((weight, tuple(graph.edges)), (graph.count, graph.count))
    return found + found.T  # of an edge from a node to itself both ends count
