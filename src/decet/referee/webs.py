"""What learns from a graph alone, compared: links, vectors of nodes, communities; beside what needs no network.

Links: everybody gets the graph without a share of its edges, and is asked for these among as many pairs that are none.
The baselines count neighbours that both have, and weigh each by how few others it has (Adamic & Adar, Social Networks
25, 2003); the floor is who has many edges. Vectors: a linear probe of labels of nodes; beside those of networks the
features themselves, and the smoothest functions on the graph. Communities: modularity, of the whole graph; beside the
network Louvain (0803.0476), label propagation (0709.2938), and the moves that end `CommunityDetector`, begun from each
node by itself; the floor is what no edge joins.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from decet.data.graph_codec import eigenvectors
from decet.data.graphs import Graph
from decet.data.links import Pairs, drawn_for, hidden
from decet.errors import BadInput
from decet.estimators.communities import links_of
from decet.estimators.reading import Given
from decet.nn.moving import settled
from decet.referee.contenders import Array, Network, Terms
from decet.referee.rows import OFFICIAL, Ground
from decet.referee.verdict import BASELINE, FLOOR
from decet.tasks.embed_nodes import probe

WIDTH = 64  # numbers of a baseline's vector of a node


# ---------------------------------------------------------------------------------------------------------------- links


def link_ground(template: Any, X: Any, y: Any, *, groups: Any, order: Any, test: float) -> Ground:
    """The graph without the edges to be asked, and these: the share `held` of the question."""
    _check_plain(groups, order)
    given: Given = template._given(X, y, reset=True)
    left, (asked,) = hidden(given.rows, (template.held,), drawn_for("comparison", int(template.seed)))
    count = len(asked) // 2
    return Ground(
        train=Given(left, None, given.source, given.targets, beside="tested"),
        test=Given(asked, None, given.source),
        target=asked.joined,  # type: ignore[arg-type]
        spec=None,
        how=f"{count:,} edges hidden from everybody, among as many pairs that are none",
        sizes=(left.edges.shape[1], count),
        baselines=[
            Neighbours("who has many edges", FLOOR, _products),
            Neighbours("common neighbours", BASELINE, _common),
            Neighbours("Adamic-Adar", BASELINE, _rare),
        ],
        network=Joining,
        items="hidden edges",
    )


class Joining(Network):
    """A family of the row, asked for pairs."""

    def answers(self, rows: Pairs) -> Array:
        found: Array = self.estimator._chances(rows.ends)
        return found


class Neighbours:
    """Pairs scored by the edges of both."""

    def __init__(self, name: str, kind: str, score: Callable[[Any, Array], Array]) -> None:
        self.name, self.kind, self.score = name, kind, score

    def fit(self, given: Given, terms: Terms) -> None:
        self.links = links_of(given.rows)
        self.rows = given.rows.edges.shape[1]

    def answers(self, rows: Pairs) -> Array:
        return self.score(self.links, rows.ends)

    def about(self) -> dict[str, Any]:
        return {"rows": self.rows, "megabytes": (self.links.data.nbytes + self.links.indices.nbytes) / 1e6}


def _common(links: Any, ends: Array) -> Array:
    return _shared(links, ends, np.ones(links.shape[0]))


def _rare(links: Any, ends: Array) -> Array:
    return _shared(links, ends, 1 / np.log(np.maximum(np.diff(links.indptr), 2)))


def _shared(links: Any, ends: Array, weight: Array) -> Array:
    """The weights of neighbours that both ends have, summed (n,)."""
    ones = sparse.csr_matrix((np.ones(links.nnz), links.indices, links.indptr), links.shape)
    found: Array = np.asarray(ones[ends[:, 0]].multiply(ones[ends[:, 1]]) @ weight).reshape(-1)
    return found


def _products(links: Any, ends: Array) -> Array:
    degree = np.diff(links.indptr).astype(np.float64)
    return degree[ends[:, 0]] * degree[ends[:, 1]]


# -------------------------------------------------------------------------------------------------------------- vectors


@dataclass(frozen=True, eq=False)
class Probed:
    """Nodes of a graph by which a probe of vectors is fitted, and nodes that it is asked; ids (N,) of labels."""

    graph: Graph
    train: Array
    test: Array
    ids: Array

    @property
    def shape(self) -> tuple[int]:
        return (len(self.test),)

    def take(self, places: Array) -> Probed:
        """Some of the nodes that are asked."""
        return replace(self, test=self.test[places])

    def asked(self, vectors: Array) -> Array:
        """What a probe says of the nodes that are asked (n,)."""
        found: Array = probe().fit(vectors[self.train], self.ids[self.train]).predict(vectors[self.test])
        return found.astype(np.float64)


def vector_ground(template: Any, X: Any, y: Any, *, groups: Any, order: Any, test: float) -> Ground:
    """The graph, and its nodes that have labels: the official parts, else a share of them to test."""
    from sklearn.model_selection import train_test_split

    _check_plain(groups, order)
    given: Given = template._given(X, y, reset=True)
    graph: Graph = given.rows
    labels = np.full(graph.count, None) if given.answers is None else given.answers
    known = np.flatnonzero([label is not None and label == label for label in labels])
    names = np.unique([str(label) for label in labels[known]]) if len(known) else np.empty(0)
    if len(names) < 2:
        raise BadInput("vectors of nodes are compared by labels: give a graph whose nodes have some, or y (--target).")
    ids = np.full(graph.count, -1)
    ids[known] = np.searchsorted(names, [str(label) for label in labels[known]])
    official = graph.splits is not None and {"train", "test"} <= set(graph.splits)
    if official and graph.splits is not None:
        train, judged = (np.intersect1d(graph.splits[part], known) for part in ("train", "test"))
    else:
        try:
            train, judged = train_test_split(known, test_size=test, random_state=template.seed, stratify=ids[known])
        except ValueError as error:
            raise BadInput(f"labels cannot be divided into two parts ({error}).") from error
    baselines = [Told("the most common class", FLOOR, _nothing), Told("spectral", BASELINE, _smooth)]
    if graph.features is not None:
        baselines.append(Told("the features themselves", BASELINE, _features))
    return Ground(
        train=Given(graph, None, given.source, given.targets),
        test=Given(Probed(graph, train, judged, ids), None, given.source),
        target=ids[judged],
        spec=None,
        how=f"{OFFICIAL}; a linear probe is fitted on {len(train):,} labels"
        if official
        else f"{test:.0%} of the labelled nodes; a linear probe is fitted on the others",
        sizes=(graph.edges.shape[1], len(judged)),
        baselines=baselines,
        network=Embedding,
        items="nodes",
    )


class Embedding(Network):
    """A family of the row, asked for its vectors."""

    def answers(self, rows: Probed) -> Array:
        return rows.asked(self.estimator.vectors_.matrix)


class Told:
    """Vectors that nobody learned."""

    def __init__(self, name: str, kind: str, made: Callable[[Graph], Array]) -> None:
        self.name, self.kind, self.made = name, kind, made

    def fit(self, given: Given, terms: Terms) -> None:
        self.vectors, self.rows = self.made(given.rows), given.rows.edges.shape[1]

    def answers(self, rows: Probed) -> Array:
        return rows.asked(self.vectors)

    def about(self) -> dict[str, Any]:
        return {"rows": self.rows, "megabytes": self.vectors.nbytes / 1e6}


def _nothing(graph: Graph) -> Array:
    return np.zeros((graph.count, 1))


def _smooth(graph: Graph) -> Array:
    return eigenvectors(graph, WIDTH)


def _features(graph: Graph) -> Array:
    """As they are, or where they are many their main directions."""
    from sklearn.decomposition import TruncatedSVD

    if graph.shape[1] > WIDTH:
        found: Array = TruncatedSVD(WIDTH, random_state=0).fit_transform(graph.features)
        return found
    return np.asarray(graph.features.toarray() if sparse.issparse(graph.features) else graph.features)


# ---------------------------------------------------------------------------------------------------------- communities


@dataclass(frozen=True, eq=False)
class WholeGraph:
    """All nodes of a graph, which are asked together."""

    graph: Graph

    @property
    def shape(self) -> tuple[int]:
        return (self.graph.count,)

    def take(self, places: Array) -> WholeGraph:
        """All the same: a community is of the whole graph."""
        return self


def community_ground(template: Any, X: Any, y: Any, *, groups: Any, order: Any, test: float) -> Ground:
    """The graph; its labels, where it has any, for their mutual information with communities."""
    _check_plain(groups, order)
    given: Given = template._given(X, y, reset=True)
    graph: Graph = given.rows
    target = np.full(graph.count, np.nan)
    if given.answers is not None:
        known = np.flatnonzero([label is not None and label == label for label in given.answers])
        target[known] = np.unique([str(label) for label in given.answers[known]], return_inverse=True)[1]
    return Ground(
        train=given,
        test=Given(WholeGraph(graph), None, given.source),
        target=target,
        spec=links_of(graph),
        how="the graph itself: modularity is a figure of communities and edges",
        sizes=(graph.edges.shape[1], graph.count),
        baselines=[
            Grouped("what no edge joins", FLOOR, _apart),
            Grouped("label propagation", BASELINE, _propagated),
            Grouped("Louvain", BASELINE, _louvain),
            Grouped("moves without a network", BASELINE, _moves),
        ],
        network=Grouping,
        items="nodes",
        whole=True,
    )


class Grouping(Network):
    """A family of the row, asked for communities."""

    def answers(self, rows: WholeGraph) -> Array:
        found: Array = self.estimator.predict(rows.graph).astype(np.float64)
        return found


class Grouped:
    """Communities that no network found."""

    def __init__(self, name: str, kind: str, found: Callable[[Any], Array]) -> None:
        self.name, self.kind, self.found = name, kind, found

    def fit(self, given: Given, terms: Terms) -> None:
        self.communities = self.found(links_of(given.rows)).astype(np.float64)
        self.rows = given.rows.edges.shape[1]

    def answers(self, rows: WholeGraph) -> Array:
        return self.communities

    def about(self) -> dict[str, Any]:
        return {"rows": self.rows, "megabytes": self.communities.nbytes / 1e6}


def _apart(links: Any) -> Array:
    found: Array = connected_components(links, directed=False)[1]
    return found


def _moves(links: Any) -> Array:
    return settled(links, np.arange(links.shape[0]))


def _louvain(links: Any) -> Array:
    import networkx

    return numbered(networkx.community.louvain_communities(networkx.from_scipy_sparse_array(links), seed=0), links)


def _propagated(links: Any) -> Array:
    import networkx

    graph = networkx.from_scipy_sparse_array(links)
    return numbered(networkx.community.fast_label_propagation_communities(graph, weight="weight", seed=0), links)


def numbered(sets: Any, links: Any) -> Array:
    """Communities (N,) of sets of nodes."""
    found = np.zeros(links.shape[0], np.int64)
    for number, nodes in enumerate(sets):
        found[list(nodes)] = number
    return found


def _check_plain(groups: Any, order: Any) -> None:
    if groups is not None or order is not None:
        raise BadInput("a graph is one whole: nodes are neither grouped nor ordered. Leave groups and order out.")
