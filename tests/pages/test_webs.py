"""Pictures of graphs: who is shown where, around which mistakes, and what is said of a node."""

from __future__ import annotations

import numpy as np

from decet.data.graphs import Graph
from decet.pages import webs
from decet.pages.webs import EDGE, HEIGHT, WIDTH, map_of, web_of

NAMES = ["left", "right"]


def barbell() -> Graph:
    """Two full groups of five, joined by an edge, and a node alone."""
    edges = [(a + 5 * g, b + 5 * g) for g in (0, 1) for a in range(5) for b in range(a)] + [(4, 5)]
    return Graph(np.array(edges).T, count=11)


TRUTH = np.array([0] * 5 + [1] * 5 + [0])


def test_nodes_that_are_joined_stand_near_and_mistakes_are_marked() -> None:
    decided = TRUTH.copy()
    decided[3] = 1
    drawn = web_of(barbell(), TRUTH, decided, NAMES)
    assert (len(drawn.dots), len(drawn.lines), drawn.left) == (10, 21, 1)
    assert [dot.said for dot in drawn.dots if dot.wrong] == ["node 3 is left, answered right"]
    places = np.array([(dot.x, dot.y) for dot in drawn.dots])
    assert (places >= EDGE - 0.1).all()
    assert (places <= np.array([WIDTH, HEIGHT]) - EDGE + 0.1).all()
    within = np.linalg.norm(places[:5] - places[:5].mean(0), axis=1).mean()
    assert within < 0.5 * np.linalg.norm(places[:5].mean(0) - places[5:].mean(0))


def test_nodes_not_asked_or_not_known_have_no_tint() -> None:
    graph = barbell().take([0, 1])
    drawn = web_of(graph, np.array([0, -1]), np.array([0, 1]), NAMES)
    said = {dot.said: dot.group for dot in drawn.dots}
    assert said["node 0 is left"] == 0
    assert said["node 1: answered right"] == -1
    assert said["node 7"] == -1


def test_of_a_large_graph_what_lies_around_mistakes_is_shown(monkeypatch) -> None:
    monkeypatch.setattr(webs, "MOST", 30)
    ring = np.stack([np.arange(200), (np.arange(200) + 1) % 200])
    truth = np.zeros(200, np.int64)
    decided = truth.copy()
    decided[[50, 120]] = 1
    drawn = web_of(Graph(ring), truth, decided, NAMES)
    assert len(drawn.dots) == 30
    assert sum(dot.wrong for dot in drawn.dots) == 2
    near = {int(dot.said.split()[1]) for dot in drawn.dots}
    assert all(min(abs(node - 50), abs(node - 120)) <= 8 for node in near)


def test_a_graph_without_edges_has_no_picture() -> None:
    assert web_of(Graph(np.empty((2, 0)), count=5), np.zeros(5), np.zeros(5), NAMES) is None


def test_a_map_keeps_alike_nodes_together_and_few_have_none() -> None:
    rng = np.random.default_rng(0)
    truth = np.arange(60) % 2
    features = 8 * truth[:, None] + rng.normal(size=(60, 4))
    drawn = map_of(features.astype(np.float32), np.arange(60), truth, truth, NAMES)
    places = np.array([(dot.x, dot.y) for dot in drawn.dots])
    near = np.linalg.norm(places[:, None] - places[None], axis=2) + 1e9 * np.eye(60)
    assert (truth[near.argmin(1)] == truth).mean() > 0.95
    assert map_of(features[:5], np.arange(5), truth[:5], truth[:5], NAMES) is None


def test_the_same_seed_draws_the_same_picture() -> None:
    assert web_of(barbell(), TRUTH, TRUTH, NAMES, seed=3) == web_of(barbell(), TRUTH, TRUTH, NAMES, seed=3)


def test_every_class_has_its_name() -> None:
    assert web_of(barbell(), TRUTH, TRUTH, NAMES).names == ("left", "right")
