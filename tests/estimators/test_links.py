"""LinkPredictor: hidden edges are found, by networks and by walks; pairs, suggestions, other graphs."""

from __future__ import annotations

import json
from pathlib import Path

import networkx
import numpy as np
import pandas as pd
import pytest
import torch

import decet
from decet import GNN, BadInput, Graph, Graphs, LinkPredictor, Recipe, Word2Vec
from decet.data.links import drawn_for, hidden, keys_of
from decet.errors import Unsupported
from decet.estimators import links
from decet.training.checkpoint import same_tree

pytestmark = pytest.mark.filterwarnings("ignore::decet.DataWarning")
QUICK = Recipe(epochs=60)


def towns(seed: int = 0, directed: bool = False, names: bool = False) -> Graph:
    """Places on a square, joined where near; where edges go one way always eastwards. Features: where they are."""
    rng = np.random.default_rng(seed)
    places = rng.random((150, 2))
    near = np.linalg.norm(places[:, None] - places[None], axis=2) < 0.13
    a, b = np.nonzero(np.triu(near, 1))
    if directed:
        east = places[a, 0] < places[b, 0]
        a, b = np.where(east, a, b), np.where(east, b, a)
    features = np.concatenate([np.exp(-((places[:, [k]] - np.linspace(0, 1, 8)) ** 2) / 0.02) for k in (0, 1)], 1)
    called = np.array([f"town {i}" for i in range(150)], dtype=object) if names else None
    return Graph(np.stack([a, b]), 150, features, directed=directed, names=called)


@pytest.fixture(scope="module")
def fitted() -> tuple[LinkPredictor, Graph]:
    graph = towns(names=True)
    return LinkPredictor(recipe=QUICK).fit(graph), graph


def test_hidden_edges_stand_above_pairs_that_are_none(fitted) -> None:
    model, graph = fitted
    assert model.metrics_["auc"] > 0.93
    assert model.evaluate(graph) == pytest.approx(model.metrics_)
    assert model.score(graph) == pytest.approx(model.metrics_["auc"])
    assert model.evaluate(towns(seed=1))["auc"] > 0.85  # towns it has not seen, by where they are


def test_figures_are_of_edges_that_neither_trained_nor_spoke(fitted, monkeypatch: pytest.MonkeyPatch) -> None:
    model, graph = fitted
    seen = []
    kept = links.found_of

    def noting(learner, codec, asked, device):
        seen.append(asked)
        return kept(learner, codec, asked, device)

    monkeypatch.setattr(links, "found_of", noting)
    model.evaluate(graph)
    _, (chosen, held) = hidden(graph, (0.05, 0.1), drawn_for("links", 0))
    for pairs in (chosen, held):
        gone = keys_of(graph, pairs.ends[pairs.joined == 1].T)
        assert not np.isin(gone, keys_of(graph, seen[0].edges)).any()
    assert len(held) == 2 * round(0.1 * graph.edges.shape[1])


def test_figures_on_another_graph_that_shares_edges_come_with_a_warning(fitted) -> None:
    model, graph = fitted
    with pytest.warns(decet.DataWarning, match="another graph than that of fit"):
        model.evaluate(Graph(graph.edges[:, 5:], 150, graph.features, names=graph.names))


def test_what_weighs_walks_has_not_seen_the_pairs_that_judge() -> None:
    graph = Graph(towns().edges, 150)
    _, (held,) = hidden(graph, (0.1,), drawn_for("links", 3))
    rng = drawn_for("regression", 3)
    rng.permutation(graph.edges.T)
    others = links.apart_from(graph, 400, rng, np.sort(keys_of(graph, graph.edges)))
    shared = np.isin(keys_of(graph, held.ends[held.joined == 0].T), keys_of(graph, others.T))
    assert shared.mean() < 0.2


def test_pairs_are_asked_by_name_as_arrays_tables_files_and_graphs(fitted, tmp_path: Path) -> None:
    model, graph = fitted
    pairs = [["town 0", "town 1"], ["town 3", "town 149"]]
    chances = model.predict_proba(pairs)
    assert ((chances > 0) & (chances < 1)).all()
    frame = pd.DataFrame(pairs, columns=["from", "to"])
    frame.to_csv(tmp_path / "pairs.csv", index=False)
    for asked in (np.array(pairs), frame, tmp_path / "pairs.csv", str(tmp_path / "pairs.csv")):
        assert model.predict_proba(asked) == pytest.approx(chances)
    assert model.predict(pairs).tolist() == (chances >= 0.5).tolist()
    record = next(iter(model.records(pairs)))
    assert record == {"source": "town 0", "target": "town 1", "probability": round(float(chances[0]), 6)}
    assert model.predict(graph).mean() > 0.9
    assert model.predict_proba(towns(seed=1)).mean() > 0.8  # the edges of towns it has not seen
    with pytest.raises(BadInput, match=r"two columns. Received: shape \(2, 3\). Did you mean pairs.T"):
        model.predict_proba([["town 0", "town 1", "town 2"], ["town 3", "town 4", "town 5"]])


def test_what_is_suggested_is_no_edge_and_the_likeliest(fitted) -> None:
    model, graph = fitted
    known = {frozenset((f"town {a}", f"town {b}")) for a, b in graph.edges.T.tolist()}
    found = model.suggest(graph, topn=20)
    assert len(found) == len({frozenset(pair[:2]) for pair in found}) == 20
    assert not {frozenset(pair[:2]) for pair in found} & known
    chances = [chance for *_, chance in found]
    assert chances == sorted(chances, reverse=True)
    every = [[a, b] for a in range(150) for b in range(a) if frozenset((f"town {a}", f"town {b}")) not in known]
    best = model.predict_proba([[f"town {a}", f"town {b}"] for a, b in every]).max()
    assert chances[0] == pytest.approx(best, rel=1e-5)
    other = Graph(graph.edges, 150, graph.features, names=np.array([f"b{i}" for i in range(150)], dtype=object))
    assert model.suggest(other, "b7", topn=1)[0][0] == "b7"
    with pytest.raises(BadInput, match="no node 'town 7'"):
        model.suggest(other, "town 7")
    own = model.suggest(graph, "town 7", topn=3)
    assert {begin for begin, *_ in own} == {"town 7"}
    assert not {frozenset(pair[:2]) for pair in own} & known


def test_where_edges_go_one_way_the_way_back_is_another_pair() -> None:
    graph = towns(directed=True)
    model = LinkPredictor(recipe=Recipe(epochs=200)).fit(graph)
    assert model.metrics_["auc"] > 0.9
    assert model.predict_proba(graph.edges.T).mean() > model.predict_proba(graph.edges[::-1].T).mean() + 0.15


def test_walks_find_hidden_edges_without_features(tmp_path: Path) -> None:
    graph = Graph(towns().edges, 150)
    quick = Graphs(walks=5, length=40)
    said = Word2Vec(width=32, deterministic=True)
    model = LinkPredictor(said, recipe=Recipe(epochs=4), inputs=quick).fit(graph, out=tmp_path / "m")
    assert model.metrics_["auc"] > 0.8
    again = decet.load(tmp_path / "m")
    assert again.evaluate(graph) == pytest.approx(model.metrics_)
    assert again.predict_proba([[0, 5]]) == pytest.approx(model.predict_proba([[0, 5]]))
    assert decet.verify(tmp_path / "m").ok
    with pytest.raises(BadInput, match="were walked on, and the graph has 151"):
        model.evaluate(Graph(towns().edges, 151))


def test_a_model_is_saved_with_the_names_and_vectors_of_its_nodes(fitted, tmp_path: Path) -> None:
    model, graph = fitted
    model.save(tmp_path / "m")
    again = decet.load(tmp_path / "m")
    pairs = [["town 0", "town 1"]]
    assert again.predict_proba(pairs) == pytest.approx(model.predict_proba(pairs))
    assert again.suggest(graph, topn=3) == model.suggest(graph, topn=3)
    assert decet.verify(tmp_path / "m").ok
    card = (tmp_path / "m" / "README.md").read_text()
    assert "hidden from it" in card
    told = json.loads((tmp_path / "m" / "model.json").read_text())
    assert "town 0" not in json.dumps(told)


def test_the_same_seed_ends_with_the_same_bits_and_another_hides_others(fitted) -> None:
    model, graph = fitted
    again = LinkPredictor(recipe=QUICK).fit(graph)
    assert same_tree(again.learner_.state_dict(), model.learner_.state_dict())
    assert LinkPredictor(recipe=Recipe(epochs=5), seed=1).fit(graph).metrics_ != model.metrics_


def test_without_room_for_the_whole_graph_a_step_reads_a_part() -> None:
    graph = towns()
    model = LinkPredictor(GNN(width=32), recipe=Recipe(epochs=20, batch=100)).fit(graph)
    assert model.metrics_["auc"] > 0.9


@pytest.mark.parametrize("conv", ["sage", "gat", "gin", "appnp"])
def test_every_convolution_can_join(conv: str) -> None:
    model = LinkPredictor(GNN(conv=conv, width=32, heads=4), recipe=Recipe(epochs=30)).fit(towns())
    assert model.metrics_["auc"] > 0.7


def test_graphs_of_other_libraries_and_edges_of_several_kinds() -> None:
    karate = networkx.karate_club_graph()
    assert LinkPredictor(recipe=Recipe(epochs=5)).fit(karate).metrics_["auc"] is not None
    graph = towns()
    typed = Graph(graph.edges, 150, graph.features, kind=list("ab" * 500)[: graph.edges.shape[1]])
    assert LinkPredictor(recipe=Recipe(epochs=40)).fit(typed).metrics_["auc"] > 0.8


@pytest.mark.parametrize(
    ("said", "graph", "message"),
    [
        ({}, Graph(np.empty((2, 0)), 5), "has no edges"),
        ({}, Graph([[0, 1], [1, 2]]), "and 10 are needed"),
        ({"recipe": Recipe(metric="accuracy")}, towns(), "recipe.metric 'accuracy' is not a metric of links"),
        ({"family": Word2Vec(), "recipe": Recipe(batch=3)}, towns(), "recipe.batch does nothing"),
        ({"held": 0.6}, towns(), "held"),
        ({"family": Word2Vec(), "masked": 0.5}, towns(), "masked does nothing where vectors are learned from walks"),
    ],
)
def test_what_cannot_work_is_told_before_training(said: dict, graph: Graph, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        LinkPredictor(**said).fit(graph)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ([["town 0", "town X"]], "no node 'town X'"),
        ([["town 0"]], "two columns"),
        ("nowhere.csv", "nowhere.csv"),
    ],
)
def test_pairs_that_are_none_are_told(fitted, asked: object, message: str) -> None:
    with pytest.raises((BadInput, Unsupported), match=message):
        fitted[0].predict_proba(asked)


def test_bits_are_those_of_an_unbroken_run_when_resumed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from decet.training import loop

    monkeypatch.setattr(loop, "WRITE_SECONDS", 0.0)
    monkeypatch.setattr(loop, "SAVE_STEPS", (1, 5))
    graph, recipe = towns(), Recipe(epochs=30)
    unbroken = LinkPredictor(GNN(width=16), recipe=recipe).fit(graph)

    class Stop(Exception):
        pass

    def stop(record: dict) -> None:
        if record["epoch"] == 12:
            raise Stop

    with pytest.raises(Stop):
        LinkPredictor(GNN(width=16), recipe=recipe).fit(graph, out=tmp_path / "m", on_epoch=stop)
    resumed = LinkPredictor(GNN(width=16), recipe=recipe).fit(graph, out=tmp_path / "m", resume=True)
    assert same_tree(resumed.learner_.state_dict(), unbroken.learner_.state_dict())
    assert resumed.metrics_ == unbroken.metrics_
    assert not torch.is_inference(resumed.learner_.scale)
