"""Estimators that answer for the nodes of a graph: how graphs are read, and which nodes train."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from decet.data import datasets
from decet.data.datasets import Loaded
from decet.data.graph_codec import Graphs
from decet.data.graph_files import read_graph
from decet.data.graphs import Graph
from decet.data.neighbourhoods import Neighbourhoods, Strolls, batch_of, fits
from decet.data.pictures import free_memory
from decet.errors import BadInput, suggest
from decet.estimators.answering import Classifies
from decet.estimators.reading import Given
from decet.nn.members import Ensemble
from decet.tasks.classify_nodes import ClassifyNodes
from decet.tensors import Web

Array = NDArray[Any]


class GraphReader:
    """Graphs: paths, tables of edges, matrices, objects of other libraries, public sets."""

    literal: str | None = None

    def given(self, estimator: Any, X: Any, y: Any, reset: bool) -> Given:
        """A graph whose nodes in question are the rows, and their raw answers, None or NaN where not known.

        `reset` (fit): only nodes whose answer is known, of a public set with official parts those that train.
        """
        named = y if isinstance(y, str) else None
        if named is None and not reset:  # where the answers stand too, they are no features
            named = next(iter(getattr(estimator, "target_names_", ())), None)
        graph, source, target = _read(estimator, X, named, needed=isinstance(y, str))
        targets = (target,) if target else ()
        answers = graph.answers if y is None or isinstance(y, str) else _as_told(y, graph)
        if reset:
            if answers is None:
                raise BadInput(
                    f"{type(estimator).__name__} needs the answers of some nodes: y, one a node, with None where it is "
                    "not known; or the name of a column of the table of nodes (--target)."
                )
            held = _official(graph, answers, "validation")
            train = known(*_training(graph, answers))
            estimator.n_features_in_ = graph.shape[1]
            return Given(*train, source, targets, held=None if held is None else Given(*known(*held), source, targets))
        return Given(graph, answers, source, targets)

    def unlabelled(self, estimator: Any, X: Any, y: Any, reset: bool) -> Given:
        """A whole graph that is learned from alone, and the labels of its nodes, where there are any, to judge by. y:
        their column's name, or one a node."""
        named = y if isinstance(y, str) else None
        if named is None:
            named = next(iter(getattr(estimator, "target_names_", ())), None)
        graph, source, target = _read(estimator, X, named, needed=isinstance(y, str))
        graph = graph if graph.asked is None else replace(graph, asked=None)
        answers = graph.labels if y is None or isinstance(y, str) else _as_told(y, graph)
        if reset:
            estimator.n_features_in_ = graph.shape[1]
        return Given(graph, answers, source, (target,) if target else ())

    def pair(self, estimator: Any, validation: Any, targets: tuple[str, ...]) -> Given:
        """Validation data: (graph, y), or a graph that holds its nodes' answers."""
        X, y = validation if isinstance(validation, tuple) and len(validation) == 2 else (validation, None)
        given = self.given(estimator, X, y, reset=False)
        if given.answers is None:
            raise BadInput("validation must be (graph, y), or a graph that holds the answers of its nodes.")
        return Given(*known(given.rows, given.answers), given.source, given.targets)


def _read(estimator: Any, X: Any, labels: str | None, needed: bool) -> tuple[Graph, str, str]:
    """The graph, where it came from, and what its answers are called."""
    said: Graphs = estimator._inputs()
    if isinstance(X, str) and datasets.means_set(X):
        X = datasets.load(X)
    elif isinstance(X, str) and not Path(X).exists() and "." not in X and "/" not in X:
        raise BadInput(f"no such path or public set: {X!r}.{suggest(X, datasets.names())}")
    if isinstance(X, Loaded):
        if not isinstance(X.X, Graph):
            kind = X.dataset.kind.removesuffix("s") + "s"
            raise BadInput(f"the public set {X.name!r} holds {kind}, and {type(estimator).__name__} takes graphs.")
        if needed and labels != X.target:
            raise BadInput(f"the public set {X.name!r} is labelled by {X.target!r}, not by {labels!r}. Leave it out.")
        return X.X, X.name, X.target
    graph = read_graph(X, said, labels=labels, needed=needed)
    return graph, str(X) if isinstance(X, (str, Path)) else "a graph", labels or ""


def _as_told(y: Any, graph: Graph) -> Array:
    """Answers of the nodes in question, told one a node in question or one a node."""
    answers = np.asarray(y, dtype=object)
    if answers.ndim != 1:
        raise BadInput(f"y must hold one answer a node. Received: shape {answers.shape}.")
    if len(answers) == len(graph):
        return answers
    if len(answers) != graph.count:
        raise BadInput(f"the graph has {graph.count:,} nodes but y has {len(answers):,} answers.")
    return np.asarray(answers[graph.nodes])


def known(graph: Graph, answers: Array) -> tuple[Graph, Array]:
    """The nodes in question whose answers are known, and these."""
    places = np.flatnonzero(~pd.isna(answers))
    if not len(places):
        raise BadInput(f"none of {len(graph):,} nodes has an answer: nothing to learn from or to judge by.")
    several = next((answer for answer in answers[places] if isinstance(answer, (list, tuple, set, dict))), None)
    if several is not None:
        raise BadInput(f"y must hold one answer a node. Received: {several!r}.")
    return graph.take(places), np.array(answers[places].tolist())


def _official(graph: Graph, answers: Array, part: str) -> tuple[Graph, Array] | None:
    """An official part of all nodes; None where there is none, or nodes were chosen already."""
    if graph.splits is None or part not in graph.splits or graph.asked is not None:
        return None
    rows = graph.splits[part]
    return graph.take(rows), answers[rows]


def sampled(
    learner: Any, inputs: tuple[Any, ...], target: Any, weight: Any, rows: Any, batch: int | None,
    said: Graphs,
) -> Neighbourhoods | Strolls | None:  # fmt: skip
    """Batches of parts of the graph, where some nodes a step are asked for or all of them have no room; else None."""
    if not isinstance(inputs[-1], Web):
        return None
    asked, web = inputs
    body: Any = learner.body.bodies[0] if isinstance(learner.body, Ensemble) else learner.body
    count = len(asked) if rows is None else len(rows)
    if has_room(body, web, batch, count):
        return None
    kind = Strolls if said.sampler == "walks" else Neighbourhoods
    return kind(asked, web, target, weight, rows, batch_of(batch, count), body.reach, body.hears)


def has_room(body: Any, web: Web, batch: int | None, count: int) -> bool:
    """Whether a step reads the whole graph: all of `count` are asked in one, and memory is free for it."""
    device = web.edges.index.device
    free = free_memory() if device.type == "cpu" else int(torch.cuda.mem_get_info(device)[0])
    return (batch is None or batch >= count) and fits(web, body.width, body.reach, free)


def _training(graph: Graph, answers: Array) -> tuple[Graph, Array]:
    """The nodes that may train: the official ones, else all but those that are to choose or to judge."""
    official = _official(graph, answers, "train")
    if official is not None:
        return official
    if not graph.splits or graph.asked is not None:
        return graph, answers
    apart = np.concatenate([rows for part, rows in graph.splits.items() if part != "train"])
    rows = np.setdiff1d(np.arange(graph.count), apart)
    return graph.take(rows), answers[rows]


class ClassifiesNodes(Classifies):
    """Estimators that answer with a label for each node in question of a graph."""

    kind = Graphs
    reader = GraphReader()
    question = ClassifyNodes

    def records(self, X: Any) -> Iterator[dict[str, Any]]:
        """What `decet predict` prints: one dict a node in question, its name first; see `Estimator.records`."""
        self._check_fitted()
        given = self._given(X, None, reset=False)
        graph: Graph = given.rows
        names = graph.nodes.tolist() if graph.names is None else np.asarray(graph.names)[graph.nodes].tolist()
        for name, record in zip(names, super().records(given), strict=True):
            yield {"node": name} | record

    def _judged(self, X: Any, y: Any) -> Given:
        """The nodes in question whose answer is known."""
        given = self._given(X, y, reset=False)
        if given.answers is None:
            raise BadInput(f"{type(self).__name__} is judged by answers: y, or a graph that holds those of its nodes.")
        graph, answers = known(given.rows, given.answers)
        return replace(given, rows=graph, answers=answers)
