"""Graphs compared: hidden edges, labels by a probe, communities; beside what needs no network."""

from __future__ import annotations

import json
from pathlib import Path

import networkx
import numpy as np
import pytest

from decet import BadInput, CommunityDetector, Graph, LinkPredictor, NodeEmbedder, Recipe, Word2Vec
from decet.data.links import keys_of
from decet.referee.compare import compare
from decet.referee.webs import community_ground, link_ground, vector_ground

pytestmark = pytest.mark.filterwarnings("ignore::decet.DataWarning")
NONE = {"y": None, "groups": None, "order": None, "test": 0.2}


def groups(features: bool = True, labels: bool = True) -> Graph:
    """Three groups whose nodes are joined more often within than between; features hint at the group."""
    rng = np.random.default_rng(0)
    group = np.arange(120) % 3
    chance = np.where(group[:, None] == group[None], 0.2, 0.01)
    a, b = np.nonzero(np.triu(rng.random((120, 120)) < chance, 1))
    X = np.eye(3)[group] + rng.normal(size=(120, 3)) if features else None
    return Graph(np.stack([a, b]), 120, X, np.array(list("abc"), dtype=object)[group] if labels else None)


def test_links_are_hidden_from_everybody_and_neighbours_are_counted() -> None:
    graph = groups()
    ground = link_ground(LinkPredictor(), graph, **NONE)
    asked = ground.test.rows
    gone = keys_of(graph, asked.ends[asked.joined == 1].T)
    assert not np.isin(gone, keys_of(graph, ground.train.rows.edges)).any()
    held = networkx.Graph(ground.train.rows.edges.T.tolist())
    held.add_nodes_from(range(120))
    pairs = asked.ends.tolist()
    wanted = {
        "common neighbours": [len(list(networkx.common_neighbors(held, a, b))) for a, b in pairs],
        "Adamic-Adar": [score for *_, score in networkx.adamic_adar_index(held, pairs)],
        "who has many edges": [held.degree[a] * held.degree[b] for a, b in pairs],
    }
    for contender in ground.baselines:
        contender.fit(ground.train, None)
        assert contender.answers(asked) == pytest.approx(wanted[contender.name]), contender.name


def test_links_compared_say_who_finds_them(tmp_path: Path) -> None:
    found = compare(
        LinkPredictor(recipe=Recipe(epochs=20)), groups(), families=["GNN", Word2Vec(width=16)], out=tmp_path / "c"
    )
    assert {r.name for r in found.results} == {
        "GNN", "Word2Vec", "Adamic-Adar", "common neighbours", "who has many edges"
    }  # fmt: skip
    assert all(r.error is None for r in found.results)
    assert found.facts["items"] == "hidden edges"
    page = (tmp_path / "c" / "report.html").read_text()
    assert "Edges that the graph seems to lack" in page
    assert json.loads((tmp_path / "c" / "comparison.json").read_text())["metric"] == "auc"


def test_vectors_are_compared_by_labels_that_nobody_learned_from(tmp_path: Path) -> None:
    found = compare(NodeEmbedder(recipe=Recipe(epochs=30)), groups(), families=["GNN"], out=tmp_path / "c")
    scores = {r.name: r.score.value for r in found.results}
    assert set(scores) == {"GNN", "spectral", "the features themselves", "the most common class"}
    assert scores["GNN"] > scores["the most common class"] + 0.2
    assert "The nearest nodes" in (tmp_path / "c" / "report.html").read_text()
    with pytest.raises(BadInput, match="compared by labels"):
        vector_ground(NodeEmbedder(), groups(labels=False), **NONE)


def test_official_parts_are_what_a_probe_is_fitted_on_and_asked() -> None:
    graph = groups()
    graph.splits = {"train": np.arange(30), "test": np.arange(60, 120)}
    ground = vector_ground(NodeEmbedder(), graph, **NONE)
    assert ground.test.rows.train.tolist() == list(range(30))
    assert ground.sizes[1] == len(ground.target) == 60
    assert ground.how.startswith("the official test part")


def test_communities_stand_beside_louvain_and_label_propagation(tmp_path: Path) -> None:
    found = compare(CommunityDetector(recipe=Recipe(epochs=60)), groups(features=False), out=tmp_path / "c")
    values = {r.name: r.metrics for r in found.results}
    assert set(values) == {
        "GNN", "Louvain", "label propagation", "moves without a network", "what no edge joins"
    }  # fmt: skip
    assert values["GNN"]["modularity"] >= values["Louvain"]["modularity"] - 0.01
    assert values["GNN"]["nmi"] > 0.9
    page = (tmp_path / "c" / "report.html").read_text()
    assert "Communities" in page
    assert "nobody was trained on" not in page
    unlabelled = compare(CommunityDetector(recipe=Recipe(epochs=5)), groups(labels=False))
    assert "nmi" not in unlabelled.results[0].metrics


def test_nodes_are_neither_grouped_nor_ordered() -> None:
    for stand, kind in (
        (link_ground, LinkPredictor),
        (vector_ground, NodeEmbedder),
        (community_ground, CommunityDetector),
    ):
        with pytest.raises(BadInput, match="neither grouped nor ordered"):
            stand(kind(), groups(), **NONE | {"groups": np.arange(120)})
