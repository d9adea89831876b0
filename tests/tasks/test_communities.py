"""Communities: the soft figure is the hard one where shares are, the loss, k-means as a head, figures."""

from __future__ import annotations

import networkx
import numpy as np
import pytest
import torch
from scipy import sparse
from sklearn.metrics import normalized_mutual_info_score

from decet import GNN
from decet.contracts import Batch, GraphSpec
from decet.data.graph_codec import Graphs
from decet.data.graphs import Graph
from decet.errors import BadInput
from decet.nn.moving import modularity
from decet.tasks.communities import DetectCommunities, soft_modularity

KARATE = networkx.karate_club_graph()


def read(directed: bool = False, weighted: bool = False) -> tuple[Graph, tuple, sparse.csr_matrix]:
    edges = np.array(list(KARATE.edges)).T
    weight = np.arange(1.0, edges.shape[1] + 1) if weighted else None
    graph = Graph(edges, 34, weight=weight, directed=directed)
    codec = Graphs().fit(graph, None, (GraphSpec,))
    one = sparse.csr_matrix((np.ones(edges.shape[1]) if weight is None else weight, edges), (34, 34))
    return graph, (codec.spec, codec.encode(graph)), one + one.T


@pytest.mark.parametrize(("directed", "weighted"), [(False, False), (False, True), (True, True)])
def test_where_each_node_is_of_one_community_the_soft_figure_is_modularity(directed: bool, weighted: bool) -> None:
    _, (_, (_, web)), links = read(directed, weighted)
    community = np.random.default_rng(0).integers(0, 5, 34)
    shares = torch.nn.functional.one_hot(torch.from_numpy(community), 5).float()
    assert float(soft_modularity(shares, web.edges)) == pytest.approx(modularity(links, community), abs=1e-6)


def test_the_loss_is_modularity_and_how_even_communities_are() -> None:
    _, (spec, inputs), _ = read()
    learner = DetectCommunities(communities=3, balance=0.7).learner(GNN(dropout=0.0).encoder(spec), directed=False)
    shares = learner.shares(inputs)
    evenly = 3**0.5 / 34 * shares.sum(0).norm() - 1
    wanted = -soft_modularity(shares, inputs[1].edges) + 0.7 * evenly
    assert float(learner.loss(Batch(inputs), "train").total) == pytest.approx(float(wanted), abs=1e-6)
    assert float((learner.predict(inputs).sum(1) - 1).abs().max()) < 1e-6


def test_a_head_can_stand_for_k_means() -> None:
    _, (spec, _), _ = read()
    learner = DetectCommunities(communities=4).learner(GNN(width=2, depth=1, dropout=0.0).encoder(spec), directed=False)
    middles = torch.tensor([[0.0, 0.0], [9.0, 0.0], [0.0, 9.0], [9.0, 9.0]])
    vectors = (middles.repeat_interleave(20, 0) + torch.randn(80, 2)).float()
    learner.group(vectors, 4, seed=0)
    found = learner.head(vectors).argmax(1).numpy()
    assert normalized_mutual_info_score(np.repeat(np.arange(4), 20), found) == pytest.approx(1.0)


def test_figures_tell_of_edges_and_of_labels() -> None:
    _, _, links = read()
    community = np.arange(34) % 3
    labels = np.array([None, "x", "y"] * 11 + ["x"], dtype=object)
    asked = DetectCommunities()
    found = asked.metrics(community, labels, links)
    known = np.array([label is not None for label in labels])
    assert found["modularity"] == pytest.approx(modularity(links, community))
    assert found["communities"] == 3
    assert found["nmi"] == pytest.approx(normalized_mutual_info_score(labels[known].astype(str), community[known]))
    assert set(asked.metrics(community, None, links)) == {"modularity", "communities"}
    assert set(asked.metrics(community, np.full(34, np.nan), links)) == {"modularity", "communities"}
    assert asked.of_items(asked.items(community, None, links).sum(0)) == pytest.approx(found["modularity"])


@pytest.mark.parametrize("said", [{"communities": 1}, {"balance": -1.0}, {"objective": "louvain"}, {"settle": "yes"}])
def test_bad_questions_are_refused(said: dict) -> None:
    with pytest.raises(BadInput, match=next(iter(said))):
        DetectCommunities(**said)


def test_nodes_move_in_the_end_where_modularity_is_the_objective() -> None:
    assert DetectCommunities().settles
    assert not DetectCommunities(objective="infomax").settles
    assert DetectCommunities(objective="infomax", settle=True).settles
    assert not DetectCommunities(settle=False).settles
