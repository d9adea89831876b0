"""Graphs: nodes, the edges between them, and what is known of both.

    graph = Graph(edges=[[0, 1, 2], [1, 2, 0]], features=X, labels=y)        graph = read_graph("edges.csv")

An undirected edge is held once; `Graph.arcs` gives both of its directions. Nodes are numbered from 0; what they are
called in the data stands in `names`. Where the data say which nodes train, `splits` does.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from scipy import sparse

from decet.contracts import GraphSpec, TableSpec
from decet.errors import BadInput, check_choice, check_range, listed
from decet.tensors import Edges, Sparse, Web

Array = NDArray[Any]
PARTS = ("train", "validation", "test")
LOOPS = ("drop", "keep")
DUPLICATES = ("merge", "keep")
SCALES = ("rows", "standard", "none")
LEAN = 0.2  # share of features that are not 0, up to which they stay sparse
DRAWN = 3  # features of a made-up node, where they are sparse
SMALL = 64  # nodes up to which all eigenvectors are worked out
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


def _side_by_side(parts: Sequence[Any]) -> Any:
    """Columns of several, sparse where one of them is."""
    if not any(isinstance(part, Sparse) for part in parts):
        return torch.cat(list(parts), 1)
    held = [
        sparse.csr_matrix((x.values.numpy(), x.columns.numpy(), x.offsets.numpy()), shape=(len(x), x.width))
        if isinstance(x, Sparse)
        else sparse.csr_matrix(x.numpy())
        for x in parts
    ]
    both = sparse.hstack(held, format="csr")
    arrays = (both.indptr.astype(np.int64), both.indices.astype(np.int64), both.data.astype(np.float32))
    return _sparse(*arrays, both.shape[1])


def _sparse(offsets: Array, columns: Array, values: Array, width: int) -> Sparse:
    return Sparse(torch.from_numpy(offsets), torch.from_numpy(columns), torch.from_numpy(values), width)


def eigenvectors(graph: Graph, count: int) -> Array:
    """The `count` smoothest functions on a graph but the constant one (N, count), as large as if each number had
    spread 1; zeros beyond the nodes there are. Of each the largest number is above 0."""
    from scipy.sparse.linalg import ArpackError, eigsh

    nodes = graph.count
    links = graph.normalised()
    wanted = min(count, nodes - 1)
    if nodes <= max(SMALL, 2 * wanted + 2):
        found = np.linalg.eigh(links.toarray())[1][:, ::-1][:, 1 : wanted + 1]
    else:
        begun = np.random.Generator(np.random.Philox(0)).standard_normal(nodes)
        try:
            values, vectors = eigsh(links, k=wanted + 1, which="LA", v0=begun)
        except ArpackError as error:
            raise BadInput(f"positions of nodes could not be found ({error}). Say fewer, or none.") from error
        found = vectors[:, np.argsort(-values)][:, 1:]
    turned = found * np.sign(found[np.abs(found).argmax(0), np.arange(found.shape[1])])
    placed = np.zeros((nodes, count), np.float32)
    placed[:, : turned.shape[1]] = turned * np.sqrt(nodes)
    return placed


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
    dense = np.asarray(given)
    if dense.ndim != 2 or dense.dtype.kind not in "biuf":
        raise BadInput(f"features must be numbers (N, F). Received: {dense.dtype} of shape {dense.shape}.")
    dense = _finite(dense.astype(np.float32, copy=False), "features", "node")
    if dense.shape[1] == 0:
        return None
    lean = dense.size and np.count_nonzero(dense) <= LEAN * dense.size
    return sparse.csr_matrix(dense) if lean else dense


def _finite(values: Array, name: str, unit: str) -> Array:
    wrong = ~np.isfinite(values)
    if wrong.any():
        row = int(np.argmax(wrong.reshape(len(values), -1).any(1)))
        raise BadInput(
            f"{name} has {int(wrong.sum()):,} values that are not finite, the first of {unit} {row}. Fill them in, or "
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


# ------------------------------------------------------------------------------------------------ what networks read


@dataclass(frozen=True)
class Graphs:
    """How graphs are read. What is None is found from the data.

    nodes: path of a table of nodes beside the edges: their names, features and labels.
    id: its column of names; None: the first. source, target: columns of the table of edges; None: its first two.
    weight, kind: its columns of weights and kinds; None: those so called, where there are any.
    directed: whether an edge goes one way only; None: as the data say, tables say no.
    loops: edges from a node to itself: "drop" or "keep". duplicates: edges that stand there twice: "merge" or "keep".
    positions: eigenvectors of the graph's Laplacian that join the features, to tell nodes where they are (Dwivedi et
        al., 2003.00982); 0 = none.
    identity: each node has a column of its own, as Kipf and Welling have it where nodes have no features; then no other
        graph can be answered. None: where there are neither features nor positions.
    scale: of features: "rows" (each node's sum to 1), "standard" (each column's mean 0 and spread 1), or "none"; None:
        rows where features are sparse and none is below 0, else standard.
    """

    nodes: str | None = None
    id: str | None = None
    source: str | None = None
    target: str | None = None
    weight: str | None = None
    kind: str | None = None
    directed: bool | None = None
    loops: str = "drop"
    duplicates: str = "merge"
    positions: int = 0
    identity: bool | None = None
    scale: str | None = None

    held_out: ClassVar[int | None] = None  # nodes that calibrate, at most; None: the tenth

    def __post_init__(self) -> None:
        check_choice("directed", self.directed, (True, False))
        check_choice("loops", self.loops, LOOPS)
        check_choice("duplicates", self.duplicates, DUPLICATES)
        check_choice("scale", self.scale, SCALES)
        check_range("positions", self.positions, 0, 1_000, whole=True)
        check_choice("identity", self.identity, (True, False))

    def fit(self, graph: Graph, rows: Array | None, reads: Sequence[type]) -> GraphCodec:
        """A codec of the first view among `reads`: the graph, or its nodes' features as rows of a table."""
        view = next((kind for kind in reads if kind in (GraphSpec, TableSpec)), None)
        if view is None:
            raise BadInput(
                f"a graph can be read as a graph or a table of nodes, not as {listed(k.__name__ for k in reads)}."
            )
        if view is TableSpec and graph.features is None:
            raise BadInput("nodes have no features, so only networks of graphs can tell them apart. Take GNN.")
        return GraphCodec.of(self, graph, view is TableSpec)

    def groups(self, graph: Graph) -> Array:
        """Nodes that are copies of each other: none, for their neighbours tell them apart."""
        return np.arange(len(graph))

    def notes(self, graph: Graph, y: Any, codec: GraphCodec, copies: Array | None = None) -> list[str]:
        """What is legal but surely not what was meant, with counts."""
        found = list(graph.findings)
        alone = int((graph.degrees() == 0).sum())
        if not graph.edges.shape[1]:
            found.append("the graph has no edges: each node is told by its own features only.")
        elif alone:
            word = "node has" if alone == 1 else "nodes have"
            found.append(f"{alone:,} {word} no edges, of {graph.count:,}: told by their own features only.")
        if graph.features is None:
            found.append("nodes have no features: they are told by their edges only.")
        if codec is not None and codec.count and graph.features is not None:
            found.append("each node has a column of its own: no other graph can be answered.")
        return found


class GraphCodec:
    """Turns graphs into what networks read. Made by `Graphs.fit` or `restore`.

    spec        GraphSpec, or where only features are read TableSpec
    mean, std   (F,) by which features are brought to size, where they are
    kinds       the kinds of edges
    count       nodes, where each has a column of its own, else 0
    """

    def __init__(
        self, graphs: Graphs, flat: bool, width: int, scale: str, lean: bool, extras: int, kinds: tuple[str, ...],
        mean: Array, std: Array, directed: bool, count: int,
    ) -> None:  # fmt: skip
        self.graphs, self.flat, self.width, self.scale, self.lean = graphs, flat, width, scale, lean
        self.count = count
        self.extras, self.kinds, self.mean, self.std, self.directed = extras, kinds, mean, std, directed
        self.warnings: list[str] = []
        self.remarks: list[str] = []
        if flat:
            self.spec: Any = TableSpec(numbers=width, sparse=lean)
        else:
            columns = (width or (0 if count or graphs.positions else 1)) + graphs.positions + count
            self.spec = GraphSpec(columns, extras, max(1, len(kinds)), lean or count > 0, directed)

    @classmethod
    def of(cls, graphs: Graphs, graph: Graph, flat: bool) -> GraphCodec:
        X, width = graph.features, graph.shape[1]
        lean = sparse.issparse(X)
        low = 0.0 if X is None or not width else float(X.min())
        scale = graphs.scale or ("none" if X is None else "rows" if lean and low >= 0 else "standard")
        if scale == "standard" and lean:
            scale = "none"  # to take the mean away would fill all that is empty
        mean, std = np.zeros(width, np.float32), np.ones(width, np.float32)
        if scale == "standard" and width:
            mean, std = X.mean(0), X.std(0)
            std[std <= 1e-6 * np.abs(mean)] = 1.0
        extras = 0 if graph.edge_features is None else graph.edge_features.shape[1]
        alone = X is None and not graphs.positions if graphs.identity is None else graphs.identity
        count = (graph.count) if alone and not flat else 0
        return cls(graphs, flat, width, scale, lean, extras, graph.kinds, mean, std, graph.directed, count)

    def check(self, graph: Graph) -> None:
        """Raise BadInput for a graph of another form than the one that was learned from."""
        if self.count and graph.count != self.count:
            raise BadInput(
                f"this network knows {self.count:,} nodes one by one, for they had no features to be told by: it "
                f"cannot answer for another graph, of {graph.count:,}. Give nodes features, or say positions."
            )
        if graph.shape[1] != self.width:
            raise BadInput(f"nodes have {graph.shape[1]:,} features, training had {self.width:,}.")
        if graph.directed != self.directed:
            ways = ("both ways", "one way")
            raise BadInput(f"edges go {ways[graph.directed]}, in training they went {ways[self.directed]}.")
        new = [kind for kind in graph.kinds if kind not in self.kinds]
        if bool(graph.kinds) != bool(self.kinds):
            have, had = ("kinds", "none") if graph.kinds else ("no kinds", "kinds")
            raise BadInput(f"edges have {have}, training had {had}: the network cannot read both.")
        if new:
            raise BadInput(f"edges have kinds that training did not: {listed(map(repr, new))}.")
        extras = 0 if graph.edge_features is None else graph.edge_features.shape[1]
        if extras != self.extras:
            raise BadInput(f"edges have {extras:,} features, training had {self.extras:,}.")

    def encode(self, graph: Graph) -> tuple[Any, ...]:
        """(nodes in question (B,), `Web` of all nodes and arcs); as a table (their features, no categories)."""
        self.check(graph)
        if self.flat:
            return self._nodes(graph.features[graph.nodes], len(graph)), torch.empty(len(graph), 0, dtype=torch.int64)
        web = Web(self._joined(graph), self._edges(graph))
        return torch.from_numpy(np.ascontiguousarray(graph.nodes)), web

    def stream(self, graph: Graph, block: int) -> Iterator[tuple[tuple[Any, ...], list[str | None]]]:
        """All at once: whoever asks for a node reads the whole graph."""
        yield self.encode(graph), []

    def sample(self, count: int, seed: int) -> Graph:
        """A made-up graph of so many nodes; or of as many as there are, so many of them in question."""
        rng, nodes = np.random.Generator(np.random.Philox(seed)), self.count or count
        edges = rng.integers(0, nodes, (2, min(3 * nodes, 1_000)))
        features: Any = None
        if self.lean:
            places = (np.repeat(np.arange(nodes), DRAWN), rng.integers(0, self.width, DRAWN * nodes))
            features = sparse.csr_matrix((rng.random(DRAWN * nodes), places), (nodes, self.width))
        elif self.width:
            features = rng.random((nodes, self.width))
        kind = rng.integers(0, len(self.kinds), edges.shape[1]) if self.kinds else None
        extras = rng.random((edges.shape[1], self.extras)) if self.extras else None
        told: dict[str, Any] = {"kind": kind, "kinds": self.kinds, "edge_features": extras, "directed": self.directed}
        whole = Graph(edges, nodes, features, **told)
        return whole.take(np.arange(min(count, nodes)))

    def _nodes(self, X: Any, count: int) -> Any:
        if X is None:
            return torch.ones(count, 1)
        if self.lean:
            X = sparse.csr_matrix(X)
            values = X.data
            if self.scale == "rows":
                total = np.asarray(X.sum(1)).reshape(-1)
                values = values / np.repeat(np.where(total > 0, total, 1.0), np.diff(X.indptr))
            parts = (X.indptr.astype(np.int64), X.indices.astype(np.int64), values.astype(np.float32))
            return _sparse(*parts, self.width)
        dense = X.toarray() if sparse.issparse(X) else X
        if self.scale == "rows":
            total = dense.sum(1, keepdims=True)
            dense = dense / np.where(total > 0, total, 1.0)
        return torch.from_numpy(((dense - self.mean) / self.std).astype(np.float32))

    def _joined(self, graph: Graph) -> Any:
        """Features of nodes, where they are, and who they are, as far as these are asked for."""
        count, parts = graph.count, list[Any]()
        if graph.features is not None or not (self.count or self.graphs.positions):
            parts.append(self._nodes(graph.features, count))
        if self.graphs.positions:
            parts.append(torch.from_numpy(eigenvectors(graph, self.graphs.positions)))
        if self.count:
            every = torch.arange(count + 1)
            parts.append(Sparse(every, every[:-1], torch.ones(count), count))
        return parts[0] if len(parts) == 1 else _side_by_side(parts)

    def _edges(self, graph: Graph) -> Edges:
        arcs, edge = graph.arcs
        kind = None
        if graph.kind is not None:
            place = np.array([self.kinds.index(name) for name in graph.kinds], np.int64)
            kind = torch.from_numpy(place[graph.kind][edge])
        weight = None if graph.weight is None else torch.from_numpy(graph.weight[edge])
        extras = None if graph.edge_features is None else torch.from_numpy(graph.edge_features[edge])
        index = torch.from_numpy(np.ascontiguousarray(arcs))
        return Edges(index, graph.count, weight, kind, extras)

    def description(self) -> list[dict[str, str]]:
        """What `decet show` tells of the inputs."""
        features = f"{self.width:,} features, {'sparse' if self.lean else 'dense'}, scaled: {self.scale}"
        edges = f"{'directed' if self.directed else 'undirected'}" + (
            f", {len(self.kinds)} kinds" if self.kinds else ""
        )
        told = [{"name": "nodes", "kind": "numbers", "detail": features}]
        return told if self.flat else [*told, {"name": "edges", "kind": "pairs of nodes", "detail": edges}]

    def state(self) -> tuple[dict[str, Any], dict[str, Array]]:
        """What `restore` needs: values for JSON, and arrays by name."""
        names = ("flat", "width", "scale", "lean", "extras", "directed", "count")
        said = {name: getattr(self, name) for name in names}
        return said | {"kinds": list(self.kinds), "graphs": asdict(self.graphs)}, {"mean": self.mean, "std": self.std}

    @classmethod
    def restore(cls, state: Mapping[str, Any], arrays: Mapping[str, Any]) -> GraphCodec:
        """The codec whose `state` this is."""
        said = dict(state)
        graphs = Graphs(**said.pop("graphs"))
        mean, std = (np.asarray(arrays[name], np.float32) for name in ("mean", "std"))
        return cls(graphs, kinds=tuple(said.pop("kinds")), mean=mean, std=std, **said)
