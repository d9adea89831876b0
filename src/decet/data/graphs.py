"""Graphs: nodes, the edges between them, and what is known of both.

    graph = Graph(edges=[[0, 1, 2], [1, 2, 0]], features=X, labels=y)        graph = read_graph("edges.csv")

An undirected edge is held once; `Graph.arcs` gives both of its directions. Nodes are numbered from 0; what they are
called in the data stands in `names`. Where the data say which nodes train, `splits` does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from scipy import sparse

from decet.data.mapped import not_finite
from decet.errors import BadInput, check_choice, listed

Array = NDArray[Any]
PARTS = ("train", "validation", "test")
LOOPS = ("drop", "keep")
DUPLICATES = ("merge", "keep")
LEAN = 0.2  # share of features that are not 0, up to which they stay sparse
SPARE = 16  # times as many numbers as there are ends of edges: more, and the numbers are names


@dataclass(eq=False)
class Graph:
    """Nodes and edges.

    edges          (2, E) whole numbers: from, to; an undirected edge stands once
    count          nodes; None: as many as features or labels have rows, else as the largest number in edges says
    features       (N, F) numbers, dense or sparse; None where nodes have none
    labels         (N,), None or NaN where not known; None where there are none
    weight         (E,) how strong each edge is, above 0
    kind           (E,) which kind each edge is, as a label, or as the place of its name in `kinds`
    edge_features  (E, G) numbers
    directed       whether an edge goes one way only
    names          (N,) what nodes are called; None: their numbers
    splits         rows of "train", "validation" and "test", where that is official
    asked          the nodes in question; None: all. See `take`

    Raises BadInput for what does not fit together.
    """

    edges: Any
    count: Any = None
    features: Any = None
    labels: Any = None
    weight: Any = None
    kind: Any = None
    kinds: tuple[str, ...] = ()
    edge_features: Any = None
    directed: bool = False
    names: Any = None
    splits: Mapping[str, Array] | None = None
    asked: Array | None = None
    findings: list[str] = field(default_factory=list, repr=False)

    def __post_init__(self) -> None:
        self.features = _features(self.features)
        self.labels = None if self.labels is None else np.asarray(self.labels, dtype=object).reshape(-1)
        self.edges, self.count = _checked_edges(self.edges, self._told_count())
        self._check_rows(("features", "labels", "names"), self.count, "nodes")
        self._check_rows(("weight", "kind", "edge_features"), self.edges.shape[1], "edges")
        self.weight = None if self.weight is None else _weights(self.weight)
        if self.kind is not None and not self.kinds:
            codes, kinds = pd.factorize(np.asarray(self.kind, dtype=object), sort=True)
            if (codes < 0).any():
                raise BadInput(f"kind is missing for edge {int(np.argmax(codes < 0))}; every edge needs its kind.")
            self.kind, self.kinds = codes.astype(np.int64), tuple(map(str, kinds))
        if self.edge_features is not None:
            extras = _numbers(self.edge_features, "edge_features")
            self.edge_features = _finite(extras.reshape(len(extras), -1), "edge_features", "edge")
        self._check_splits()

    def _check_rows(self, names: tuple[str, ...], count: int, unit: str) -> None:
        for name in names:
            have = getattr(self, name)
            if have is not None and (rows := int(np.shape(have)[0])) != count:
                raise BadInput(f"{name} has {rows:,} rows for {count:,} {unit}.")

    def _check_splits(self) -> None:
        for part, rows in (self.splits or {}).items():
            if part not in PARTS:
                raise BadInput(f"splits may have {listed(PARTS)}. Received: {part!r}.")
            if len(rows) and not 0 <= int(np.min(rows)) <= int(np.max(rows)) < self.count:
                raise BadInput(f"splits name nodes of {part} outside [0, {self.count}).")
        every = [node for rows in (self.splits or {}).values() for node in np.unique(rows).tolist()]
        if twice := len(every) - len(set(every)):
            raise BadInput(f"splits put {twice:,} nodes into two parts: what judges must not train.")

    def _told_count(self) -> int | None:
        if self.count is not None:
            return int(self.count)
        told = (self.features, self.labels, self.names)
        return next((int(np.shape(part)[0]) for part in told if part is not None), None)

    # ------------------------------------------------------------------------------------------- as rows of nodes

    @property
    def shape(self) -> tuple[int, int]:
        """Nodes in question, and features of each."""
        return self.nodes.shape[0], 0 if self.features is None else int(self.features.shape[1])

    def __len__(self) -> int:
        return int(self.shape[0])

    @property
    def nodes(self) -> Array:
        """The nodes in question (n,)."""
        return np.arange(self.count) if self.asked is None else self.asked

    @property
    def answers(self) -> Array | None:
        """The labels of the nodes in question."""
        return None if self.labels is None else self.labels[self.nodes]

    def take(self, rows: Any) -> Graph:
        """The same graph, of which only these of the nodes in question are in question."""
        return replace(self, asked=self.nodes[np.asarray(rows)])

    # ------------------------------------------------------------------------------------------------- as a graph

    @cached_property
    def arcs(self) -> tuple[Array, Array]:
        """Every direction in which an edge can be walked: from, to (2, A), and which edge each is (A,)."""
        edge = np.arange(self.edges.shape[1])
        if self.directed:
            return self.edges, edge
        back = np.flatnonzero(self.edges[0] != self.edges[1])  # a loop leads one way only
        return np.concatenate([self.edges, self.edges[::-1, back]], 1), np.concatenate([edge, back])

    def degrees(self) -> Array:
        """How many edges end at each node (N,)."""
        return np.bincount(self.arcs[0][1], minlength=self.count)

    def normalised(self) -> Any:
        """D^-1/2 A D^-1/2 (N, N), a sparse matrix of float64; an edge that goes one way only counts both ways."""
        (begin, end), edge = self.arcs
        weight = np.ones(len(edge)) if self.weight is None else self.weight[edge].astype(np.float64)
        links = sparse.csr_matrix((weight, (end, begin)), shape=(self.count, self.count))
        links = links + links.T
        scale = sparse.diags(1 / np.sqrt(np.maximum(np.asarray(links.sum(1)).reshape(-1), 1e-12)))
        return scale @ links @ scale

    def induced(self, nodes: Any) -> Graph:
        """The graph of these nodes (n,) alone and the edges between them, numbered anew in this order."""
        nodes = np.asarray(nodes, np.int64)
        place = np.full(self.count, -1)
        place[nodes] = np.arange(len(nodes))
        ends = place[self.edges]
        kept = np.flatnonzero((ends >= 0).all(0))
        found = self.with_edges(kept)
        return replace(
            found,
            edges=ends[:, kept],
            count=len(nodes),
            features=None if self.features is None else self.features[nodes],
            labels=None if self.labels is None else self.labels[nodes],
            names=None if self.names is None else np.asarray(self.names)[nodes],
            splits=None,
            asked=None,
        )

    def with_edges(self, kept: Array) -> Graph:
        """The same nodes, and of the edges only these."""
        told = {name: getattr(self, name) for name in ("weight", "kind", "edge_features")}
        rows: dict[str, Any] = {name: None if have is None else have[kept] for name, have in told.items()}
        return replace(self, edges=self.edges[:, kept], **rows)

    def cleaned(self, loops: str = "drop", duplicates: str = "merge") -> Graph:
        """The same graph without edges from a node to itself, or twice the same, as asked; `findings` counts them.

        The weights of edges that are merged are added; of other edges the first stays.
        """
        check_choice("loops", loops, LOOPS)
        check_choice("duplicates", duplicates, DUPLICATES)
        graph, told = self, list(self.findings)
        own = graph.edges[0] == graph.edges[1]
        if own.any():
            done = "they are left out" if loops == "drop" else "they are kept"
            told.append(f"{_counted(int(own.sum()))} from a node to itself: {done}.")
            if loops == "drop":
                graph = graph.with_edges(np.flatnonzero(~own))
        first, same = _distinct(graph)
        again = graph.edges.shape[1] - len(first)
        if again:
            done = "each pair of nodes is joined once" if duplicates == "merge" else "they are kept"
            told.append(f"{_counted(again)} that stand there already: {done}.")
            if duplicates == "merge":
                total = None if graph.weight is None else np.bincount(same, graph.weight).astype(np.float32)
                graph = graph.with_edges(first)
                graph = graph if total is None else replace(graph, weight=total)
        return replace(graph, findings=told)


def _counted(count: int) -> str:
    return f"{count:,} edge{'' if count == 1 else 's'}"


def _distinct(graph: Graph) -> tuple[Array, Array]:
    """The first edge of each pair of nodes (and kind), in their order, and for each edge the place of its first."""
    low, high = graph.edges if graph.directed else np.sort(graph.edges, 0)
    parts = [low, high] if graph.kind is None else [low, high, graph.kind]
    order = np.lexsort(parts)
    changed = np.zeros(len(order), dtype=bool)
    for part in parts:
        changed[1:] |= part[order][1:] != part[order][:-1]
    group = np.empty(len(order), np.int64)
    group[order] = np.cumsum(changed)
    first = np.unique(group, return_index=True)[1]
    rank = np.argsort(np.argsort(first))  # groups in the order of their first edges
    return np.sort(first), rank[group] if len(group) else group


def _checked_edges(edges: Any, count: int | None) -> tuple[Array, int]:
    """Edges (2, E) int64, and how many nodes there are."""
    found = np.asarray(edges.detach().cpu() if isinstance(edges, torch.Tensor) else edges)
    if found.size == 0:
        return np.empty((2, 0), np.int64), count or 0
    within = "" if count is None else f" with values in [0, {count})"
    if found.ndim != 2 or found.shape[0] != 2:
        hint = " Did you mean edges.T?" if found.ndim == 2 and found.shape[1] == 2 else ""
        raise BadInput(f"edges must have shape (2, E){within}. Received: shape {found.shape}.{hint}")
    if found.dtype.kind == "f" and not np.array_equal(found, np.round(found)):
        raise BadInput("edges must hold whole numbers, the nodes they join. Received: fractions or gaps.")
    if found.dtype.kind not in "iuf":
        raise BadInput(f"edges must hold whole numbers, the nodes they join. Received: {found.dtype}.")
    found = found.astype(np.int64, copy=False)
    low, high = int(found.min()), int(found.max())
    if low < 0 or (count is not None and high >= count):
        wrong = low if low < 0 else high
        hint = " Do they count from 1? Subtract 1." if low == 1 and high == count else ""
        which = int(np.flatnonzero((found == wrong).any(0))[0])
        most = "N" if count is None else count
        raise BadInput(f"edges must have values in [0, {most}). Received: {wrong}, in edge {which}.{hint}")
    if count is None and high >= SPARE * found.size + 1_000:
        raise BadInput(
            f"edges name node {high:,}, yet there are {found.shape[1]:,} edges only: are these names, not places? "
            f"Read them by decet.read_graph, which numbers nodes anew, or say count."
        )
    return found, high + 1 if count is None else count


def _features(given: Any) -> Any:
    """Features (N, F) float32, or CSR; None where there are no columns."""
    if given is None:
        return None
    if isinstance(given, torch.Tensor):
        given = given.detach().cpu().numpy()
    if sparse.issparse(given):
        found = sparse.csr_matrix(given, dtype=np.float32)
        try:
            found.check_format(full_check=True)
        except ValueError as error:
            raise BadInput(f"features are no sparse matrix ({error}).") from error
        wrong = np.flatnonzero(~np.isfinite(found.data))
        if len(wrong):
            node = int(np.searchsorted(found.indptr, wrong[0], "right")) - 1
            raise BadInput(f"features has {len(wrong):,} values that are not finite, the first of node {node}.")
        if found.nnz > LEAN * found.shape[0] * found.shape[1]:
            return found.toarray()
        return found if found.shape[1] else None
    dense = np.asanyarray(given)  # what lies in a file stays there
    if dense.ndim != 2 or dense.dtype.kind not in "biuf":
        raise BadInput(f"features must be numbers (N, F). Received: {dense.dtype} of shape {dense.shape}.")
    dense = _finite(dense.astype(np.float32, copy=False), "features", "node")
    if dense.shape[1] == 0:
        return None
    lean = dense.size and np.count_nonzero(dense) <= LEAN * dense.size
    return sparse.csr_matrix(dense) if lean else dense


def _finite(values: Array, name: str, unit: str) -> Array:
    wrong, row = not_finite(values)
    if wrong:
        raise BadInput(
            f"{name} has {wrong:,} values that are not finite, the first of {unit} {row}. Fill them in, or "
            f"leave those {unit}s out."
        )
    return values


def _numbers(given: Any, name: str) -> Array:
    try:
        return np.asarray(given, np.float32)
    except (ValueError, TypeError) as error:
        raise BadInput(f"{name} must be numbers, one row an edge ({error}).") from error


def _weights(given: Any) -> Array:
    weight = _finite(_numbers(given, "weight").reshape(-1), "weight", "edge")
    if (weight <= 0).any():
        edge = int(np.argmax(weight <= 0))
        raise BadInput(f"weight must be above 0. Received: {weight[edge]:g} for edge {edge}.")
    return weight
