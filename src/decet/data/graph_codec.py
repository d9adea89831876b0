"""Graphs as networks read them: how that is said, and what it makes of features, edges and kinds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from scipy import sparse

from decet.contracts import GraphSpec, TableSpec, TokenSpec
from decet.data.graphs import DUPLICATES, LOOPS, Array, Graph
from decet.data.mapped import blocks, is_mapped, moments, room_like
from decet.data.walks import WalkCodec
from decet.errors import BadInput, check_choice, check_range, listed
from decet.tensors import Edges, Sparse, Web

SCALES = ("rows", "standard", "none")
SAMPLERS = ("neighbours", "walks")
DRAWN = 3  # features of a made-up node, where they are sparse
SMALL = 64  # nodes up to which all eigenvectors are worked out


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
    walks: random walks that begin at each node in an epoch, of networks that learn from walks; length: nodes of each.
    back, away: of walks, how unlikely it is to go back, and to go to who is not joined to where the walk came from
        (p and q of node2vec); 1 and 1 are DeepWalk's.
    sampler: how a step is taken out of a graph too large for one: "neighbours" (some nodes, and what reaches them) or
        "walks" (whom random walks meet, and the edges among them).
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
    walks: int = 10
    length: int = 80
    back: float = 1.0
    away: float = 1.0
    sampler: str = "neighbours"
    scale: str | None = None

    held_out: ClassVar[int | None] = None  # nodes that calibrate, at most; None: the tenth

    def __post_init__(self) -> None:
        check_choice("directed", self.directed, (True, False))
        check_choice("loops", self.loops, LOOPS)
        check_choice("duplicates", self.duplicates, DUPLICATES)
        check_choice("sampler", self.sampler, SAMPLERS)
        check_choice("scale", self.scale, SCALES)
        check_range("positions", self.positions, 0, 1_000, whole=True)
        check_choice("identity", self.identity, (True, False))
        check_range("walks", self.walks, 1, 10_000, whole=True)
        check_range("length", self.length, 2, 10_000, whole=True)
        check_range("back", self.back, 1e-3, 1e3)
        check_range("away", self.away, 1e-3, 1e3)

    def fit(self, graph: Graph, rows: Array | None, reads: Sequence[type]) -> GraphCodec | WalkCodec:
        """A codec of the first view among `reads`: the graph, walks over it, or its nodes' features as rows of a
        table."""
        view = next((kind for kind in reads if kind in (GraphSpec, TokenSpec, TableSpec)), None)
        if view is None:
            kinds = listed(kind.__name__ for kind in reads)
            raise BadInput(f"a graph can be read as a graph, as walks, or as a table of nodes, not as {kinds}.")
        if view is TokenSpec:
            return WalkCodec(graph.count, (self.walks, self.length, self.back, self.away))
        if view is TableSpec and graph.features is None:
            raise BadInput("nodes have no features, so only networks of graphs can tell them apart. Take GNN.")
        return GraphCodec.of(self, graph, view is TableSpec)

    def groups(self, graph: Graph) -> Array:
        """Nodes that are copies of each other: none, for their neighbours tell them apart."""
        return np.arange(len(graph))

    def notes(
        self, graph: Graph, y: Any, codec: GraphCodec | WalkCodec | None, copies: Array | None = None
    ) -> list[str]:
        """What is legal but surely not what was meant, with counts."""
        found = list(graph.findings)
        alone = int((graph.degrees() == 0).sum())
        if not graph.edges.shape[1]:
            found.append("the graph has no edges: each node is told by its own features only.")
        elif alone:
            word = "node has" if alone == 1 else "nodes have"
            found.append(f"{alone:,} {word} no edges, of {graph.count:,}: told by their own features only.")
        if isinstance(codec, WalkCodec):
            if graph.features is not None:
                found.append("walks do not read the features of nodes.")
            return found
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
            self.spec = GraphSpec(columns, extras, max(1, len(kinds)), lean or count > 0, directed, count > 0)

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
            mean, std = moments(X)
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
        if self.scale == "none" and is_mapped(dense):
            return torch.from_numpy(dense)
        scaled = room_like(dense)
        for rows in blocks(dense):
            part = dense[rows]
            if self.scale == "rows":
                total = part.sum(1, keepdims=True)
                part = part / np.where(total > 0, total, 1.0)
            scaled[rows] = (part - self.mean) / self.std
        return torch.from_numpy(scaled)

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
