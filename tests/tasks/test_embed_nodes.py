"""Vectors of nodes: Deep Graph Infomax by hand, and the probe that judges vectors."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from decet import GNN
from decet.contracts import Batch, GraphSpec
from decet.data.graph_codec import Graphs
from decet.data.graphs import Graph
from decet.errors import BadInput
from decet.tasks.embed_nodes import EmbedNodes, Infomax, probed
from decet.tasks.link import Joiner
from decet.tensors import Web


def inputs_of(features: np.ndarray) -> tuple:
    graph = Graph(np.array([[0, 1, 2, 3], [1, 2, 3, 4]]), features=features)
    codec = Graphs(scale="none").fit(graph, None, (GraphSpec,))
    return codec.spec, codec.encode(graph)


@pytest.mark.parametrize("sparse", [False, True])
def test_infomax_tells_nodes_from_those_dealt_out_anew(sparse: bool) -> None:
    rng = np.random.default_rng(0)
    features = rng.normal(size=(5, 30)) * (rng.random((5, 30)) < (0.15 if sparse else 1.0))
    spec, (asked, web) = inputs_of(features.astype(np.float32))
    assert spec.sparse == sparse
    learner = Infomax(GNN(conv="gcn", width=6, depth=1, dropout=0.0).encoder(spec))
    torch.manual_seed(3)
    found = float(learner.loss(Batch((asked, web)), "train").total)
    torch.manual_seed(3)
    dealt = torch.randperm(5)
    nodes = web.nodes.rows(dealt) if sparse else web.nodes[dealt]
    real, made = learner.vectors((asked, web)), learner.vectors((asked, Web(nodes, web.edges)))
    whole = learner.judge @ real.mean(0).sigmoid()
    wanted = -((real @ whole).sigmoid().log().mean() + (1 - (made @ whole).sigmoid()).log().mean()) / 2
    assert found == pytest.approx(float(wanted), rel=1e-5)


def test_the_question_says_what_is_learned_by() -> None:
    spec, _ = inputs_of(np.eye(5, dtype=np.float32))
    body = GNN().encoder(spec)
    assert isinstance(EmbedNodes("infomax").learner(body, directed=False), Infomax)
    assert isinstance(EmbedNodes("edges").learner(body, directed=True), Joiner)
    with pytest.raises(BadInput, match="objective"):
        EmbedNodes("walk")


def test_a_probe_is_fitted_on_some_labels_and_asked_for_others() -> None:
    rng = np.random.default_rng(0)
    labels = np.array(["a", "b"], dtype=object)[np.arange(60) % 2]
    vectors = rng.normal(size=(60, 3)) + 4.0 * (labels == "a")[:, None]
    labels[7] = None
    assert probed(vectors, labels, None) > 0.95
    assert probed(rng.normal(size=(60, 3)), labels, None) < 0.75
    parts = {"train": np.arange(30), "test": np.arange(30, 60)}
    assert probed(vectors, labels, parts) > 0.95
    wrong = labels.copy()
    wrong[30:] = np.where(labels[30:] == "a", "b", "a")  # official test labels are what it is asked
    assert probed(vectors, wrong, parts) < 0.05


def test_labels_too_few_are_told() -> None:
    with pytest.raises(BadInput, match="the rarest of 2 nodes"):
        probed(np.zeros((8, 2)), np.array([0] * 6 + [1] * 2, dtype=object), None)
    with pytest.raises(BadInput, match="Found: 0 labels"):
        probed(np.zeros((8, 2)), np.full(8, None), None)


def test_figures_are_shares_of_nodes() -> None:
    answers, target = np.array([0, 1, 1, 2]), np.array([0, 1, 2, 2])
    asked = EmbedNodes()
    assert asked.metrics(answers, target, None) == {"probe_accuracy": 0.75}
    assert asked.of_items(asked.items(answers, target, None).sum(0)) == 0.75
