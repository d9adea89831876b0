"""Graphs from whatever they come in: tables of edges, matrices, files of other libraries, their objects.

What a table calls its nodes stays their name; nodes are numbered in the order of their names, so that a node 10^9 in a
small file is one node more.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, cast
from zipfile import BadZipFile

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from decet.data.files import near, suffix_of
from decet.data.frames import SUFFIXES, read_table
from decet.data.graph_codec import Graphs
from decet.data.graphs import Graph
from decet.data.mapped import stored
from decet.data.planetoid import raw_parts, read_raw
from decet.errors import BadInput, Unsupported, listed, suggest

Array = NDArray[Any]
WEIGHTS = ("weight", "weights")  # what a column of weights is called, where nothing else is said
KINDS = ("kind", "type", "relation")
MATRICES = (".npz", ".mtx")
OTHERS = (".graphml", ".gml", ".gexf")  # that NetworkX reads
PARTS = {"train_idx": "train", "val_idx": "validation", "test_idx": "test"}


class Column(NamedTuple):
    """The column of answers; needed: whether there must be one."""

    name: str
    needed: bool

    def of(self, table: pd.DataFrame, where: str) -> Array | None:
        """The answers, taken out of the table; None where there are none. Raises BadInput where there must be."""
        if self.name not in table.columns:
            if self.needed:
                raise BadInput(f"target column {self.name!r} is not in {where}.{suggest(self.name, table.columns)}")
            return None
        answers = table.pop(self.name).astype(object)
        found: Array = answers.where(answers.notna(), None).to_numpy()
        return found


def read_graph(source: Any, graphs: Graphs | None = None, *, labels: str | None = None, needed: bool = True) -> Graph:
    """A graph of a path, a table of edges, a matrix, or an object of NetworkX or PyTorch Geometric.

    source: .csv .tsv .txt .parquet .jsonl (a row an edge, beside them a table of nodes as `graphs.nodes`); .npz of
        arrays (edges, features, labels; large ones stay in the file) or of a sparse matrix; .mtx; .graphml .gml .gexf;
        a raw Planetoid file (ind.NAME.graph) with those beside it; a data frame of edges, or (edges, nodes); edges
        (2, E); a sparse matrix.
    graphs: how to read it. labels: the column of the table of nodes, or the attribute, that is the answer; needed:
        whether it must be there.

    Raises BadInput where it cannot be read, or nodes and edges do not fit together.
    """
    said, column = graphs or Graphs(), None if labels is None else Column(labels, needed)
    if isinstance(source, Graph):
        return source.cleaned(said.loops, said.duplicates)
    if isinstance(source, (str, Path)):
        found = _from_path(Path(source).expanduser(), said, column)
    else:
        found = _from_object(source, said, column)
    return found.cleaned(said.loops, said.duplicates)


def _from_path(path: Path, said: Graphs, labels: Column | None) -> Graph:
    if raw_parts(path):
        return read_raw(path)
    if not path.exists():
        raise BadInput(f"no such path: {str(path)!r}.{near(path)}")
    suffix = suffix_of(path.name)
    if path.is_dir():
        raise BadInput(f"{str(path)!r} is a folder. Name the file of edges in it, and its nodes by --inputs.nodes.")
    if suffix in MATRICES:
        return _from_npz(path, said) if suffix == ".npz" else _from_matrix(_read(path, _matrix_market), said)
    if suffix in OTHERS:
        return _from_networkx(_read(path, _networkx_file), said, labels)
    if suffix not in SUFFIXES:
        raise BadInput(
            f"{str(path)!r} is no kind of graph that decet reads: {listed((*SUFFIXES, *MATRICES, *OTHERS))}."
        )
    nodes = None if said.nodes is None else read_table(said.nodes, name="the table of nodes")
    return _from_tables(read_table(str(path), name="the table of edges"), nodes, said, labels, path.name)


def _read(path: Path, how: Callable[[Path], Any]) -> Any:
    try:
        return how(path)
    except BadInput:
        raise
    except (ValueError, OSError, EOFError, KeyError, TypeError, SyntaxError, BadZipFile, zlib.error) as error:
        raise BadInput(f"{str(path)!r} cannot be read ({error}).") from error


def _matrix_market(path: Path) -> Any:
    from scipy.io import mmread

    return mmread(path)


def _networkx_file(path: Path) -> Any:
    import networkx

    try:
        return getattr(networkx, f"read_{suffix_of(path.name)[1:]}")(path)
    except networkx.NetworkXError as error:
        raise ValueError(str(error)) from error


# ------------------------------------------------------------------------------------------------------------ tables


def _from_tables(edges: Any, nodes: Any, said: Graphs, labels: Column | None, name: str) -> Graph:
    """A table of edges, and one of nodes."""
    if not isinstance(edges, pd.DataFrame) or edges.shape[1] < 2:
        raise BadInput(f"{name} must have two columns at least, the nodes that each edge joins.")
    ends = [_column(edges, said.source, 0, "source"), _column(edges, said.target, 1, "target")]
    if ends[0] == ends[1]:
        raise BadInput(f"{ends[0]!r} cannot be both ends of an edge. Say --inputs.source and --inputs.target.")
    gaps = edges[ends].isna().any(axis=1)
    if gaps.any():
        row = int(np.argmax(gaps.to_numpy()))
        raise BadInput(
            f"{name} names no node in {int(gaps.sum()):,} rows, the first of them row {row}. Leave these out."
        )
    weight, kind = _named(edges, said.weight, WEIGHTS), _named(edges, said.kind, KINDS)
    used = {*ends, weight, kind}
    extras = [column for column in edges.columns if column not in used and edges[column].dtype.kind in "biuf"]
    joined = pd.concat([edges[ends[0]], edges[ends[1]]], ignore_index=True)
    names, features, answers = _nodes_of(joined, nodes, said, labels, name)
    place = pd.Index(names).get_indexer(pd.Index(joined))
    if (place < 0).any():
        first = int(np.argmax(place < 0))
        unknown = joined[place < 0].nunique()
        raise BadInput(
            f"{name} names {unknown:,} nodes that the table of nodes has not, the first of them "
            f"{joined.tolist()[first]!r} in row {first % len(edges)}."
        )
    return Graph(
        place.reshape(2, -1),
        count=len(names),
        features=features,
        labels=answers,
        weight=None if weight is None else edges[weight].to_numpy(),
        kind=None if kind is None else edges[kind].to_numpy(dtype=object),
        edge_features=edges[extras].to_numpy(np.float32) if extras else None,
        directed=bool(said.directed),
        names=np.asarray(names, dtype=object),
    )


def _column(table: pd.DataFrame, said: str | None, place: int, what: str) -> Any:
    if said is None:
        return table.columns[place]
    if said not in table.columns:
        raise BadInput(f"inputs.{what} names the column {said!r}, which is not there.{suggest(said, table.columns)}")
    return said


def _named(table: pd.DataFrame, said: str | None, usual: tuple[str, ...]) -> str | None:
    if said is not None:
        return _column(table, said, 0, usual[0])
    return next((str(name) for name in table.columns[2:] if str(name).lower() in usual), None)


def _nodes_of(ends: pd.Series, nodes: Any, said: Graphs, labels: Column | None, name: str) -> tuple[Any, Any, Any]:
    """Names, features and labels of nodes: those that edges join, or those of their own table, in its order."""
    if nodes is None:
        if labels is not None and labels.needed:
            raise BadInput(
                f"{name} holds edges, so the answers {labels.name!r} must stand in a table of nodes: --inputs.nodes."
            )
        try:
            return sorted(ends.unique().tolist()), None, None
        except TypeError as error:
            raise BadInput(f"{name} names nodes by numbers and by texts. Use one of both.") from error
    if not isinstance(nodes, pd.DataFrame):
        raise BadInput("the table of nodes must have named columns.")
    key = _column(nodes, said.id, 0, "id")
    twice = nodes[key][nodes[key].duplicated()]
    if len(twice):
        raise BadInput(f"the table of nodes names {twice.iloc[0]!r} twice. Give each node a row of its own.")
    rest = nodes.drop(columns=[key])
    answers = None if labels is None else labels.of(rest, "the table of nodes")
    return nodes[key].tolist(), _numbers_of(rest), answers


def _numbers_of(table: pd.DataFrame) -> Any:
    """Columns of numbers as they are, of texts and categories one column a value."""
    if not table.shape[1]:
        return None
    parts = []
    for name in table.columns:
        column = table[name]
        gaps = column.isna().to_numpy()
        if column.dtype.kind in "biuf" and gaps.any():
            raise BadInput(
                f"column {name!r} of nodes is empty in {int(gaps.sum()):,} rows, the first of them row "
                f"{int(np.argmax(gaps))}. Fill them in, or leave these nodes out."
            )
        if column.dtype.kind in "biuf":
            parts.append(sparse.csr_matrix(column.to_numpy(np.float32)[:, None]))
        else:
            codes, values = pd.factorize(column, sort=True)
            if len(values) > max(20, len(table) // 2):
                raise BadInput(f"column {name!r} of nodes has {len(values):,} values: is it a name? Leave it out.")
            known = np.flatnonzero(codes >= 0)
            ones = np.ones(len(known), np.float32)
            parts.append(sparse.csr_matrix((ones, (known, codes[known])), (len(table), len(values))))
    return sparse.hstack(parts, format="csr")


# ----------------------------------------------------------------------------------------------------------- matrices


def _from_npz(path: Path, said: Graphs) -> Graph:
    """Arrays by name: edges, features or those of a CSR matrix, labels, parts; or a matrix that SciPy wrote."""
    held = _read(path, stored)
    if "format" in held and "shape" in held:
        return _from_matrix(_read(path, sparse.load_npz), said)
    return cast(Graph, _read(path, lambda file: _of_arrays(file, held, said)))


def _of_arrays(path: Path, held: dict[str, Any], said: Graphs) -> Graph:
    if "edges" not in held:
        raise BadInput(f"{str(path)!r} holds {listed(held)}, and no edges. A graph needs edges (2, E).")
    features = held.get("features")
    if "feat_data" in held:
        parts = (held["feat_data"], held["feat_indices"], held["feat_indptr"])
        features = sparse.csr_matrix(parts, shape=tuple(held["feat_shape"]))
    labels = held.get("labels")
    if labels is not None and labels.dtype.kind in "iu":
        labels = np.array([None if label < 0 else int(label) for label in labels], dtype=object)
    splits = {part: held[name].astype(np.int64) for name, part in PARTS.items() if name in held}
    return Graph(
        held["edges"], features=features, labels=labels, weight=held.get("weight"), kind=held.get("kind"),
        edge_features=held.get("edge_features"), directed=bool(said.directed), splits=splits or None,
    )  # fmt: skip


def _from_matrix(matrix: Any, said: Graphs) -> Graph:
    """A square matrix whose entries are the weights of edges; undirected where it is symmetric."""
    if matrix.shape[0] != matrix.shape[1]:
        raise BadInput(f"a matrix of edges must be square. Received: shape {matrix.shape}.")
    found = sparse.coo_matrix(matrix)
    if found.nnz and not (
        0 <= min(found.row.min(), found.col.min()) <= max(found.row.max(), found.col.max()) < found.shape[0]
    ):
        raise BadInput("the matrix of edges has entries beyond its own size.")
    symmetric = abs(found.tocsr() - found.tocsr().T).nnz == 0
    directed = not symmetric if said.directed is None else said.directed
    kept = np.ones(found.nnz, dtype=bool) if directed or not symmetric else found.row <= found.col
    weight = found.data[kept].astype(np.float32)
    plain = bool((weight == 1).all())
    edges = np.stack([found.row[kept], found.col[kept]])
    return Graph(edges, count=found.shape[0], weight=None if plain else weight, directed=directed)


# ------------------------------------------------------------------------------------------------------------ objects


def _from_object(source: Any, said: Graphs, labels: Column | None) -> Graph:
    if isinstance(source, pd.DataFrame):
        nodes = None if said.nodes is None else read_table(said.nodes, name="the table of nodes")
        return _from_tables(source, nodes, said, labels, "the table of edges")
    if isinstance(source, tuple) and len(source) == 2 and isinstance(source[0], pd.DataFrame):
        return _from_tables(source[0], source[1], said, labels, "the table of edges")
    if sparse.issparse(source):
        return _from_matrix(source, said)
    if hasattr(source, "edge_index"):
        return _from_geometric(source, said)
    if hasattr(source, "is_directed") and hasattr(source, "adj"):
        return _from_networkx(source, said, labels)
    if isinstance(source, (list, tuple, np.ndarray)) or hasattr(source, "detach"):
        return Graph(source, directed=bool(said.directed))
    raise Unsupported(
        "a graph must be a path, a table of edges, edges (2, E), a sparse matrix, or an object of NetworkX or PyTorch "
        f"Geometric. Received: {type(source).__name__}."
    )


def _from_geometric(data: Any, said: Graphs) -> Graph:
    """Data of PyTorch Geometric: both directions of an undirected edge stand there, and are held once here."""
    index = data.edge_index.detach().cpu().numpy()
    extras, x, y = (getattr(data, name, None) for name in ("edge_attr", "x", "y"))
    kind = getattr(data, "edge_type", None)
    count = int(data.num_nodes)
    pairs = sparse.csr_matrix((np.ones(index.shape[1]), index), (count, count))
    both = abs(pairs - pairs.T).nnz == 0 and extras is None and kind is None
    directed = not both if said.directed is None else said.directed
    kept = np.ones(index.shape[1], dtype=bool) if directed else index[0] <= index[1]
    masks = {"train": "train_mask", "validation": "val_mask", "test": "test_mask"}
    splits = {part: np.flatnonzero(getattr(data, name).cpu().numpy()) for part, name in masks.items()
              if getattr(data, name, None) is not None and getattr(data, name).dim() == 1}  # fmt: skip
    return Graph(
        index[:, kept],
        count=count,
        features=x,
        labels=None if y is None else y.detach().cpu().numpy().reshape(-1),
        kind=None if kind is None else kind.cpu().numpy()[kept],
        edge_features=None if extras is None else extras.detach().cpu().numpy().reshape(len(kept), -1)[kept],
        directed=directed,
        splits=splits or None,
    )


def _from_networkx(graph: Any, said: Graphs, labels: Column | None) -> Graph:
    """A graph of NetworkX: the attribute "weight" of edges, the attribute `labels` of nodes, numbers as features."""
    names = list(graph.nodes)
    place = {name: number for number, name in enumerate(names)}
    told = list(graph.edges(data=True))
    edges = np.array([[place[a], place[b]] for a, b, _ in told], np.int64).reshape(-1, 2).T
    weight = [about.get("weight") for *_, about in told]
    kind = [next((about[key] for key in KINDS if key in about), None) for *_, about in told]
    about = pd.DataFrame([dict(graph.nodes[name]) for name in names])
    answers = None if labels is None else labels.of(about, "the attributes of nodes")
    numbers = [column for column in about.columns if about[column].dtype.kind in "biuf"]
    return Graph(
        edges,
        count=len(names),
        features=about[numbers].to_numpy(np.float32) if numbers else None,
        labels=answers,
        weight=None if not told or any(w is None for w in weight) else weight,
        kind=None if not told or any(k is None for k in kind) else kind,
        directed=bool(graph.is_directed()) if said.directed is None else said.directed,
        names=np.array([str(name) for name in names], dtype=object),
    )
