"""CommunityDetector: groups are found, as good as Louvain's, by modularity and by vectors; saved and asked again."""

from __future__ import annotations

from pathlib import Path

import networkx
import numpy as np
import pytest
from sklearn.metrics import normalized_mutual_info_score

import decet
from decet import BadInput, CommunityDetector, Graph, Recipe
from decet.estimators.communities import links_of

pytestmark = pytest.mark.filterwarnings("ignore::decet.DataWarning")


def groups(features: bool = False, weight: bool = False) -> Graph:
    """Four groups of thirty whose nodes are joined more often within than between."""
    rng = np.random.default_rng(0)
    group = np.arange(120) % 4
    chance = np.where(group[:, None] == group[None], 0.25, 0.01)
    a, b = np.nonzero(np.triu(rng.random((120, 120)) < chance, 1))
    X = np.eye(4)[group] + 0.7 * rng.normal(size=(120, 4)) if features else None
    told = np.where(group[a] == group[b], 2.0, 0.5) if weight else None
    return Graph(np.stack([a, b]), 120, X, np.array(list("wxyz"), dtype=object)[group], weight=told)


@pytest.fixture(scope="module")
def fitted() -> tuple[CommunityDetector, Graph]:
    graph = groups()
    return CommunityDetector(recipe=Recipe(epochs=100)).fit(graph), graph


def test_groups_are_found(fitted) -> None:
    model, graph = fitted
    found = model.predict(graph)
    assert normalized_mutual_info_score(graph.labels.astype(str), found) > 0.95
    assert model.metrics_["communities"] == 4
    assert model.metrics_["nmi"] > 0.95
    assert model.metrics_["before moves"] <= model.metrics_["modularity"] + 1e-9
    assert model.evaluate(graph) == pytest.approx(model.metrics_)
    wanted = networkx.community.modularity(
        networkx.Graph(graph.edges.T.tolist()), [set(np.flatnonzero(found == c)) for c in range(4)]
    )
    assert model.score(graph) == pytest.approx(wanted)
    assert [record["community"] for record in model.records(graph)] == found.tolist()


def test_of_karate_it_is_as_good_as_louvain() -> None:
    karate = networkx.karate_club_graph()
    for *_, told in karate.edges(data=True):
        told.pop("weight")
    values = [CommunityDetector(seed=seed).fit(karate).metrics_["modularity"] for seed in range(3)]
    louvain = [
        networkx.community.modularity(karate, networkx.community.louvain_communities(karate, seed=seed))
        for seed in range(10)
    ]
    assert np.mean(values) >= np.mean(louvain)


def test_weights_count() -> None:
    graph = groups(weight=True)
    model = CommunityDetector(recipe=Recipe(epochs=60)).fit(graph)
    assert (
        model.metrics_["modularity"] > CommunityDetector(recipe=Recipe(epochs=60)).fit(groups()).metrics_["modularity"]
    )


def test_vectors_in_groups_by_k_means() -> None:
    graph = groups(features=True)
    model = CommunityDetector(communities=4, objective="infomax", recipe=Recipe(epochs=100)).fit(graph)
    assert model.metrics_["nmi"] > 0.8
    assert model.metrics_["communities"] == 4
    assert model.predict(graph).tolist() == decet.nn.moving.by_size(model.shares(graph).argmax(1)).tolist()


def test_how_many_groups_vectors_have_is_found_where_it_is_not_said() -> None:
    model = CommunityDetector(objective="infomax", recipe=Recipe(epochs=100)).fit(groups(features=True))
    assert 3 <= model.metrics_["communities"] <= 6


def test_there_are_no_more_communities_than_asked_for(fitted) -> None:
    model = CommunityDetector(communities=2, recipe=Recipe(epochs=60)).fit(fitted[1])
    assert set(model.predict(fitted[1])) <= {0, 1}


def test_a_network_alone_may_answer(fitted) -> None:
    model = CommunityDetector(settle=False, recipe=Recipe(epochs=100)).fit(fitted[1])
    assert 0.3 < model.metrics_["modularity"] <= fitted[0].metrics_["modularity"] + 1e-9


def test_a_model_is_saved_and_verifies(fitted, tmp_path: Path) -> None:
    model, graph = fitted
    model.save(tmp_path / "m")
    again = decet.load(tmp_path / "m")
    assert (again.predict(graph) == model.predict(graph)).all()
    assert decet.verify(tmp_path / "m").ok


def test_other_graphs_can_be_asked_where_nodes_have_features(fitted) -> None:
    model = CommunityDetector(recipe=Recipe(epochs=60)).fit(groups(features=True))
    part = groups(features=True).induced(np.arange(80))
    assert model.evaluate(part)["nmi"] > 0.8
    with pytest.raises(BadInput, match="knows 120 nodes one by one"):
        fitted[0].predict(groups().induced(np.arange(80)))


def test_edges_that_go_one_way_count_both_ways() -> None:
    links = links_of(Graph(np.array([[0, 1], [1, 2]]), directed=True))
    assert (links.toarray() == links.toarray().T).all()
    assert links.sum() == 4
    looped = networkx.Graph([(0, 1), (1, 2), (2, 2)])
    found = CommunityDetector()._asked().metrics(np.array([0, 0, 1]), None, links_of(Graph([[0, 1, 2], [1, 2, 2]])))
    assert found["modularity"] == pytest.approx(networkx.community.modularity(looped, [{0, 1}, {2}]))


def test_what_cannot_work_is_told() -> None:
    with pytest.raises(BadInput, match="recipe.batch does nothing for CommunityDetector"):
        CommunityDetector(recipe=Recipe(batch=5)).fit(groups())
    with pytest.raises(BadInput, match="balance is of modularity"):
        CommunityDetector(objective="infomax", balance=1.0).fit(groups())
    with pytest.raises(BadInput, match="has no edges"):
        CommunityDetector().fit(Graph(np.empty((2, 0)), 5))
