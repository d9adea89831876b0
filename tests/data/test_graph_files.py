"""Graphs from tables, matrices, files and objects: names, weights, kinds, directions, and sentences for bad ones."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import networkx
import numpy as np
import pandas as pd
import pytest
import torch
from scipy import io, sparse

from decet.data.graph_codec import Graphs
from decet.data.graph_files import read_graph
from decet.data.graphs import Graph
from decet.errors import BadInput, Unsupported

EDGES = "from,to,weight,type\nann,bob,2,knows\nbob,cleo,1,likes\ncleo,ann,3,knows\n"
NODES = "name,age,town,club\nann,30,Rome,a\nbob,40,Oslo,\ncleo,50,Rome,b\ndave,60,Oslo,b\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "edges.csv").write_text(EDGES)
    (tmp_path / "nodes.csv").write_text(NODES)
    return tmp_path


def pairs(graph: Graph) -> set[frozenset[str]]:
    return {frozenset(str(graph.names[node]) for node in edge) for edge in graph.edges.T}


def test_a_table_of_edges_names_its_nodes(folder: Path) -> None:
    graph = read_graph(folder / "edges.csv")
    assert graph.names.tolist() == ["ann", "bob", "cleo"]
    assert pairs(graph) == {frozenset(pair) for pair in (("ann", "bob"), ("bob", "cleo"), ("cleo", "ann"))}
    assert graph.weight.tolist() == [2.0, 1.0, 3.0]
    assert graph.kinds == ("knows", "likes")
    assert not graph.directed


def test_a_table_of_nodes_brings_features_and_answers(folder: Path) -> None:
    graph = read_graph(folder / "edges.csv", Graphs(nodes=str(folder / "nodes.csv"), directed=True), labels="club")
    assert graph.names.tolist() == ["ann", "bob", "cleo", "dave"]
    assert graph.labels.tolist() == ["a", None, "b", "b"]
    assert graph.features.tolist() == [[30, 0, 1], [40, 1, 0], [50, 0, 1], [60, 1, 0]]
    assert graph.directed


def test_a_huge_name_in_a_small_file_is_one_node_more(tmp_path: Path) -> None:
    path = tmp_path / "edges.tsv"
    path.write_text("a\tb\n5\t1000000000\n7\t5\n")
    graph = read_graph(path)
    assert graph.count == 3
    assert graph.names.tolist() == [5, 7, 1_000_000_000]


def test_every_further_column_of_numbers_is_a_feature_of_edges() -> None:
    table = pd.DataFrame({"a": [0, 1], "b": [1, 2], "length": [0.5, 1.5], "lanes": [2, 4], "note": ["x", "y"]})
    assert read_graph(table).edge_features.tolist() == [[0.5, 2.0], [1.5, 4.0]]


@pytest.mark.parametrize(
    ("edges", "said", "message"),
    [
        (
            "a,b\nann,eve\n",
            {"nodes": "nodes.csv"},
            "names 1 nodes that the table of nodes has not, the first of them 'eve'",
        ),
        ("a,b\nann,bob\n", {"nodes": "gaps.csv"}, "column 'age' of nodes is empty in 1 rows, the first of them row 1"),
        ("a,b\nann,\n", {}, "names no node in 1 rows, the first of them row 0"),
        ("a\nann\n", {}, "must have two columns at least"),
        ("a,b\nann,bob\n", {"source": "c"}, "inputs.source names the column 'c', which is not there"),
        ("a,b\nann,bob\n", {"source": "b"}, "'b' cannot be both ends of an edge"),
        ("a,b\nann,bob\n", {"weight": "w"}, "inputs.weight names the column 'w', which is not there"),
        ("a,b\nann,bob\n", {"nodes": "nodes.csv", "id": "nam"}, "Did you mean 'name'"),
    ],
)
def test_tables_that_do_not_fit_together_are_refused(folder: Path, edges: str, said: dict, message: str) -> None:
    (folder / "bad.csv").write_text(edges)
    (folder / "gaps.csv").write_text("name,age\nann,3\nbob,\n")
    said = {name: str(folder / value) if name == "nodes" else value for name, value in said.items()}
    with pytest.raises(BadInput, match=message):
        read_graph(folder / "bad.csv", Graphs(**said))


def test_answers_stand_in_the_table_of_nodes(folder: Path) -> None:
    with pytest.raises(BadInput, match="so the answers 'club' must stand in a table of nodes"):
        read_graph(folder / "edges.csv", labels="club")
    with pytest.raises(BadInput, match="target column 'clubs' is not in the table of nodes. Did you mean 'club'"):
        read_graph(folder / "edges.csv", Graphs(nodes=str(folder / "nodes.csv")), labels="clubs")


def test_a_node_named_twice_is_refused(folder: Path) -> None:
    (folder / "twice.csv").write_text(NODES + "ann,1,Rome,a\n")
    with pytest.raises(BadInput, match="names 'ann' twice"):
        read_graph(folder / "edges.csv", Graphs(nodes=str(folder / "twice.csv")))


def test_a_symmetric_matrix_is_an_undirected_graph_and_another_a_directed_one(tmp_path: Path) -> None:
    ring = sparse.csr_matrix(np.array([[0, 2, 0], [2, 0, 1], [0, 1, 0]]))
    graph = read_graph(ring)
    assert graph.edges.tolist() == [[0, 1], [1, 2]]
    assert graph.weight.tolist() == [2.0, 1.0]
    assert not graph.directed
    assert read_graph(sparse.csr_matrix(np.array([[0, 1], [0, 0]]))).directed
    sparse.save_npz(tmp_path / "ring.npz", ring)
    io.mmwrite(tmp_path / "ring.mtx", ring)
    for name in ("ring.npz", "ring.mtx"):
        assert sorted(map(tuple, read_graph(tmp_path / name).edges.T.tolist())) == [(0, 1), (1, 2)]
    with pytest.raises(BadInput, match=r"must be square. Received: shape \(2, 3\)"):
        read_graph(sparse.csr_matrix(np.ones((2, 3))))


def test_arrays_of_a_file_are_taken_by_their_names(tmp_path: Path) -> None:
    np.savez(tmp_path / "g.npz", edges=[[0, 1], [1, 2]], features=np.eye(3), labels=[0, -1, 1], train_idx=[0, 2])
    graph = read_graph(tmp_path / "g.npz")
    assert graph.labels.tolist() == [0, None, 1]
    assert graph.splits["train"].tolist() == [0, 2]
    np.savez(tmp_path / "h.npz", features=np.eye(3))
    with pytest.raises(BadInput, match=r"holds features, and no edges. A graph needs edges \(2, E\)"):
        read_graph(tmp_path / "h.npz")
    np.savez(tmp_path / "evil.npz", edges=np.array([{"a": 1}], dtype=object))
    with pytest.raises(BadInput, match="cannot be read"):
        read_graph(tmp_path / "evil.npz")


def test_a_graph_of_networkx_keeps_names_weights_and_attributes() -> None:
    theirs = networkx.DiGraph()
    theirs.add_node("a", size=1.0, club="x")
    theirs.add_node("b", size=2.0, club="y")
    theirs.add_edge("a", "b", weight=3.0)
    graph = read_graph(theirs, labels="club")
    assert (graph.directed, graph.weight.tolist(), graph.labels.tolist()) == (True, [3.0], ["x", "y"])
    assert graph.features.tolist() == [[1.0], [2.0]]


def test_both_arcs_of_an_undirected_edge_of_pytorch_geometric_are_one_edge() -> None:
    index = torch.tensor([[0, 1, 1, 2], [1, 0, 2, 1]])
    mask = torch.tensor([True, False, False])
    data = SimpleNamespace(edge_index=index, num_nodes=3, x=torch.eye(3), y=torch.tensor([0, 1, 1]), train_mask=mask)
    graph = read_graph(data)
    assert graph.edges.tolist() == [[0, 1], [1, 2]]
    assert (graph.directed, graph.splits["train"].tolist(), graph.labels.tolist()) == (False, [0], [0, 1, 1])
    one_way = SimpleNamespace(edge_index=index[:, ::2], num_nodes=3)
    assert read_graph(one_way).directed


@pytest.mark.parametrize(
    ("source", "kind", "message"),
    [
        ("nowhere.csv", BadInput, "no such path: 'nowhere.csv'"),
        ("edges.xyz", BadInput, "is no kind of graph that decet reads"),
        (".", BadInput, "is a folder. Name the file of edges in it"),
        (3, Unsupported, "a graph must be a path, a table of edges"),
    ],
)
def test_what_is_no_graph_is_refused(tmp_path: Path, monkeypatch, source: object, kind: type, message: str) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "edges.xyz").write_text("")
    with pytest.raises(kind, match=message):
        read_graph(source)


def test_columns_may_be_called_by_numbers() -> None:
    assert read_graph(pd.DataFrame([[0, 1], [1, 2]])).edges.tolist() == [[0, 1], [1, 2]]


@pytest.mark.parametrize(
    ("name", "raw"),
    [
        ("a.graphml", b"<graphml><broken"),
        ("a.gml", b"graph [ node"),
        ("a.npz", b"PK\x03\x04 cut"),
        ("a.mtx", b"%%Matrix"),
    ],
)
def test_files_that_are_damaged_are_told_so(tmp_path: Path, name: str, raw: bytes) -> None:
    (tmp_path / name).write_bytes(raw)
    with pytest.raises(BadInput, match="cannot be read"):
        read_graph(tmp_path / name)


def test_arrays_of_a_matrix_that_do_not_fit_together_are_refused(tmp_path: Path) -> None:
    held = {
        "edges": [[0], [1]],
        "feat_data": [1.0],
        "feat_indices": [9],
        "feat_indptr": [0, 1, 1],
        "feat_shape": [2, 3],
    }
    np.savez(tmp_path / "g.npz", **held)
    with pytest.raises(BadInput, match="no sparse matrix"):
        read_graph(tmp_path / "g.npz")
    np.savez(tmp_path / "h.npz", edges=[[0], [1]], feat_data=[1.0])
    with pytest.raises(BadInput, match="cannot be read"):
        read_graph(tmp_path / "h.npz")
