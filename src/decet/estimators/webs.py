"""Estimators that learn from a graph alone: what a fit of them does, whatever it is that they answer."""

from __future__ import annotations

import hashlib
import time
import warnings
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch

from decet.contracts import GraphSpec, Learner, Source, Stage, TokenSpec
from decet.data.graph_codec import Graphs
from decet.data.graphs import Graph
from decet.data.known import KnownNodes
from decet.data.neighbourhoods import EveryNode, Neighbourhoods, Strolls, batch_of
from decet.errors import BadInput, Unsupported
from decet.estimators.base import Array, Estimator
from decet.estimators.calls import Call, gone_on_from, ready
from decet.estimators.embedding import refuse_unused
from decet.estimators.nodes import GraphReader, has_room
from decet.estimators.reading import DataWarning, Given
from decet.settings import joined
from decet.training.loop import train
from decet.training.progress import Show
from decet.training.recipe import FALLBACK, Recipe

OF_WALKS = ("epochs", "steps", "lr", "schedule", "warmup")  # of a recipe, where vectors are learned from walks


class LearnsGraph(Estimator):
    """Estimators that learn from a graph without answers."""

    kind = Graphs
    reader = GraphReader()
    sets_aside = True

    def fit(  # type: ignore[override]
        self,
        X: Any,
        y: Any = None,
        *,
        start: str | Path | None = None,
        budget: float | None = None,
        out: str | Path | None = None,
        resume: bool = False,
        overwrite: bool = False,
        on_epoch: Callable[[dict[str, Any]], Any] | None = None,
        show: Show | None = None,
    ) -> Self:
        """Learn from a graph X.

        X: a path (a table of edges, .npz, .mtx, .graphml, ...), a `decet.Graph`, a table of edges or (edges, nodes),
            edges (2, E), a sparse matrix, an object of NetworkX or PyTorch Geometric, or the name of a public set.
        y: not learned from; the name of a column of nodes that is no feature, but a label to be judged by.
        start: a saved model to go on from: weights whose shapes agree are taken.
        budget, out, resume, overwrite, on_epoch, show: as in every estimator's `fit`.

        Raises BadInput, before any training, for a graph or settings that cannot work. Ctrl-C keeps the best so far.
        """
        call = Call.begun(
            start=start, budget=budget, out=out, resume=resume, overwrite=overwrite, on_epoch=on_epoch, show=show
        )
        cell = self._cell()
        with ready(self, call):
            _Learning(self, cell, call).run(self._given(X, y, reset=True))
        return self

    def _given(self, X: Any, y: Any, *, reset: bool) -> Given:
        """The graph, and the labels of its nodes, where there are any."""
        return X if isinstance(X, Given) else self.reader.unlabelled(self, X, y, reset)

    def _read(self, X: Any, y: Any = None) -> Graph:
        """A graph that is asked. Raises NotFitted, or BadInput where it is none."""
        self._check_fitted()
        graph: Graph = self._given(X, y, reset=False).rows
        return graph

    def _found(self, graph: Graph) -> Array:  # type: ignore[override]
        """What the network says of every node of a graph (N, D)."""
        return found_of(self.learner_, self.codec_, replace(graph, asked=None), self.device_)

    # -------------------------------------------------------------------------------- what each says for itself

    def _set_aside(self, graph: Graph, walks: bool, tested: bool) -> Any:
        """What is hidden from training, if anything: with the graph that is left as `graph`. walks: vectors are learned
        from walks. tested: it is judged by others than fit."""
        return Whole(graph)

    def _unused(self) -> tuple[str, ...]:
        """Fields of a recipe that do nothing here."""
        return ()

    def _note(self, sentence: str) -> None:
        """Keep, and tell, what is legal but surely not what was meant."""
        self.warnings_.append(sentence)
        warnings.warn(sentence, DataWarning, stacklevel=6)

    def _stage(self, learner: Any, apart: Any, inputs: tuple[Any, ...], recipe: Recipe, asked: Any) -> Stage:
        """How the learner is trained on the graph that is left, which `inputs` are; not where it learns by walks."""
        raise Unsupported(f"{type(self).__name__} learns from no graph.")

    def _finish(self, learner: Learner, apart: Any, codec: Any, asked: Any) -> None:
        """What is worked out once training is done."""

    def _figures(self, apart: Any, given: Given) -> tuple[dict[str, float | None], str]:
        """Figures, and of what they are."""
        raise Unsupported(f"{type(self).__name__} learns from no graph.")

    def _network(self) -> Learner:
        learner: Learner = self._asked().learner(body_of(self.family_, self.codec_), self._directed())
        return learner

    @property
    def _walks(self) -> bool:
        """Whether vectors were learned from walks."""
        return isinstance(self.codec_.spec, TokenSpec)

    def _directed(self) -> bool:
        return bool(getattr(self.codec_, "directed", False))


class Whole:
    """A graph of which nothing is hidden."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph


def body_of(family: Any, codec: Any) -> Any:
    """The network that reads what the codec gives: a table of vectors, where that is nodes one by one."""
    return family.table(codec.count) if isinstance(codec.spec, TokenSpec) else family.encoder(codec.spec)


@torch.inference_mode()
def found_of(learner: Any, codec: Any, graph: Graph, device: torch.device) -> Array:
    """What a learner predicts of all nodes of a graph (N, D), whole, in fp32."""
    learner.to(device).eval()
    inputs = tuple(part.to(device) for part in codec.encode(graph))
    found: Array = learner.predict(inputs).float().cpu().numpy()
    return found


def whole_or_part(learner: Any, inputs: tuple[Any, ...], recipe: Recipe, said: Graphs) -> Source:
    """All nodes in a step, or where these have no room some and what reaches them; there is nothing to be answered."""
    asked, web = inputs
    nothing = torch.zeros(len(asked), device=asked.device)
    if has_room(learner.body, web, recipe.batch, len(asked)):
        return EveryNode(inputs)
    kind, body = Strolls if said.sampler == "walks" else Neighbourhoods, learner.body
    return kind(asked, web, nothing, None, None, batch_of(recipe.batch, len(asked)), body.reach, body.hears)


class _Learning:
    """One fit, its intermediate results by name."""

    def __init__(self, estimator: LearnsGraph, cell: Any, call: Call) -> None:
        self.estimator, self.cell, self.call = estimator, cell, call
        self.inputs: Graphs = estimator._inputs()
        self.before = gone_on_from(call, estimator)

    def run(self, given: Given) -> None:
        self.given, estimator, device = given, self.estimator, self.estimator._device()
        self.graph: Graph = replace(given.rows, asked=None)
        if not self.graph.edges.shape[1]:
            raise BadInput(f"{given.source} has no edges, and a graph is learned from by these alone.")
        self._refuse_unused()
        self.apart = estimator._set_aside(self.graph, self._walks, given.beside == "tested")
        self.codec = self.inputs.fit(self.apart.graph, None, self.cell.family.reads)
        self.notes = self._noted()
        family, recipe, learner = self._learner()
        stage = self._stage(family, recipe, learner, device)
        outcome = train(
            [stage],
            seed=int(estimator.seed),
            device=device,
            budget=self.call.left,
            folder=self.call.out,
            resume=self.call.resume,
            identity=self._identity(family, recipe),
            on_epoch=self.call.on_epoch,
            show=self.call.show,
        )
        estimator._finish(learner.to(device).eval(), self.apart, self.codec, self.asked)
        self._keep(learner, family, recipe, outcome)
        self.call.keep(estimator, outcome.interrupted)

    def _noted(self) -> list[str]:
        """What is legal but surely not what was meant; told once."""
        notes = self.inputs.notes(self.graph, None, self.codec)
        for note in notes:
            warnings.warn(note, DataWarning, stacklevel=5)
        return notes

    def _learner(self) -> tuple[Any, Recipe, Any]:
        estimator = self.estimator
        edges = self.apart.graph.edges.shape[1]
        family, recipe, self.advised = estimator._joined_settings(self.cell, self.codec.spec, edges, self.call.budget)
        self.asked = estimator._asked(self.advised)
        base = FALLBACK if recipe.epochs is None and recipe.steps is None else replace(FALLBACK, epochs=None)
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(int(estimator.seed))
            learner = self.asked.learner(body_of(family, self.codec), self.graph.directed and not self._walks)
        self.taken = 0 if self.before is None else self.before._lend(learner, self.codec, same_answer=True)
        return family, joined(recipe, base), learner

    @property
    def _walks(self) -> bool:
        """Whether the family learns from walks."""
        return GraphSpec not in self.cell.family.reads

    def _refuse_unused(self) -> None:
        """Refuse settings that would do nothing."""
        family, estimator = self.estimator.family, self.estimator
        unused = [name for name in Recipe.__dataclass_fields__ if name not in OF_WALKS] if self._walks else []
        why = "where vectors are learned from walks"
        if not self._walks:
            unused, why = list(estimator._unused()), f"for {type(estimator).__name__}"
        said = asdict(estimator.recipe or Recipe())
        for name in unused:
            if said[name] is not None:
                raise BadInput(f"recipe.{name} does nothing {why}. Leave it out.")
        if self._walks:
            refuse_unused(family)
            if getattr(family, "subwords", None):
                raise BadInput("family.subwords are of words, and nodes have none. Leave them out.")

    def _stage(self, family: Any, recipe: Recipe, learner: Any, device: torch.device) -> Stage:
        """What is trained: the learner, or where the graph is walked on the vectors of its body."""
        if not self._walks:
            inputs = tuple(part.to(device) for part in self.codec.encode(self.apart.graph))
            return self.estimator._stage(learner, self.apart, inputs, recipe, self.asked)
        source = self.codec.source(self.apart.graph)  # type: ignore[union-attr]
        embedder = learner.body.embedder(np.maximum(source.walker.degrees, 1))
        return Stage(embedder, source, recipe, name="walks", guarded=False)

    def _identity(self, family: Any, recipe: Recipe) -> dict[str, str]:
        """What must be equal for a checkpoint to belong to this run."""
        self.fingerprint = fingerprint_of(self.graph)
        estimator = self.estimator
        return {
            "estimator": type(estimator).__name__,
            "family": f"{type(family).__name__} {asdict(family)}",
            "recipe": str(asdict(recipe)),
            "inputs": str(asdict(self.inputs)),
            "question": str(asdict(self.asked)),
            "seed": str(estimator.seed),
            "budget": str(self.call.budget),
            "start": str(self.call.start),
            "data": self.fingerprint,
        }

    def _keep(self, learner: Any, family: Any, recipe: Recipe, outcome: Any) -> None:
        """What was learned, as attributes with a trailing underscore."""
        estimator: Any = self.estimator
        estimator.learner_, estimator.device_ = learner, estimator._device()
        estimator.codec_, estimator.answer_ = self.codec, None
        estimator.target_names_, estimator.n_features_in_ = self.given.targets, self.graph.shape[1]
        if self._walks:
            recipe = Recipe(**{name: getattr(recipe, name) for name in OF_WALKS})
        estimator.family_, estimator.recipe_, estimator.question_ = family, recipe, self.advised
        estimator.nodes_ = KnownNodes.of(self.graph, None if self._walks else estimator._found(self.graph))
        estimator.history_, estimator.plan_ = outcome.history, outcome.plan
        estimator.warnings_, estimator.interrupted_, estimator.taken_ = self.notes, outcome.interrupted, self.taken
        estimator.metrics_, how = estimator._figures(self.apart, self.given)
        estimator.provenance_ = {
            "data": self.given.source,
            "fingerprint": self.fingerprint,
            "rows": self.graph.edges.shape[1],
            "nodes": self.graph.count,
            "validation": how,
            "best_epoch": outcome.best_epoch,
            "budget": self.call.budget,
            "interrupted": outcome.interrupted,
            "seconds": round(time.monotonic() - self.call.started, 2),
        }
        if outcome.interrupted:
            warnings.warn("training was interrupted; the best weights so far are kept.", DataWarning, stacklevel=5)


def fingerprint_of(graph: Graph) -> str:
    """A digest of all that is learned from."""
    digest = hashlib.sha256(f"{graph.count} {graph.directed}".encode())
    features = graph.features
    told = [graph.edges, graph.weight, graph.kind, graph.edge_features]
    told += [features] if not hasattr(features, "indptr") else [features.indptr, features.indices, features.data]
    for part in told:
        digest.update(b"-" if part is None else np.ascontiguousarray(part).data)
    return digest.hexdigest()
