"""Pages of graphs: what stands on them, and that the graph is read where there is one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import decet
from decet import CommunityDetector, Graph, LinkPredictor, NodeEmbedder, Recipe
from decet.pages.webpages import looks_of_graph

pytestmark = pytest.mark.filterwarnings("ignore::decet.DataWarning")


def groups(names: bool = False) -> Graph:
    rng = np.random.default_rng(0)
    group = np.arange(90) % 3
    a, b = np.nonzero(np.triu(rng.random((90, 90)) < np.where(group[:, None] == group[None], 0.2, 0.01), 1))
    labels = np.array(["<b>red</b>", "green", "blue"], dtype=object)[group]
    called = np.array([f"n&{i}" for i in range(90)], dtype=object) if names else None
    return Graph(np.stack([a, b]), 90, np.eye(3)[group] + rng.normal(size=(90, 3)), labels, names=called)


EVERY = [
    (LinkPredictor, "takes the edge for the likelier one", "Edges that the graph seems to lack"),
    (NodeEmbedder, "of the labels right", "The nearest nodes"),
    (CommunityDetector, "communities of modularity", "By community, from the largest"),
]


@pytest.mark.parametrize(("estimator", "verdict", "section"), EVERY)
def test_a_page_tells_what_was_found_in_the_graph(estimator: type, verdict: str, section: str, tmp_path: Path) -> None:
    graph = groups(names=True)
    model = estimator(recipe=Recipe(epochs=10)).fit(graph)
    page = decet.report(model, graph, out=tmp_path / "report.html").read_text()
    assert verdict in page
    assert section in page
    assert "n&amp;" in page
    assert "<b>red</b>" not in page
    assert page.count("<svg") >= 2


@pytest.mark.parametrize("estimator", [one for one, *_ in EVERY])
def test_without_a_graph_the_page_tells_of_the_fit_alone(estimator: type, tmp_path: Path) -> None:
    model = estimator(recipe=Recipe(epochs=3)).fit(groups())
    page = decet.report(model, out=tmp_path / "report.html").read_text()
    assert "What it sees" not in page
    assert "How it learned" in page
    again = decet.report(model, train=groups(), out=tmp_path / "report.html").read_text()
    assert "What it sees" in again


def test_without_labels_nodes_are_tinted_by_community() -> None:
    graph = groups()
    model = NodeEmbedder(recipe=Recipe(epochs=5)).fit(graph)
    labelled, plain = (looks_of_graph(model, graph, labels) for labels in (graph.labels, None))
    assert labelled["shown"][0].note.startswith("By label")
    assert plain["shown"][0].note.startswith("By community")
    assert len(labelled["nearest"]) == 10
    spreads = [spread for _, spread in labelled["far"]]
    assert spreads == sorted(spreads, reverse=True)
