"""Planetoid's raw files: the same graphs as their arrays, and nothing of a file is ever run."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest

from decet.data.graph_files import read_graph
from decet.data.planetoid import raw_parts, unpickled
from decet.errors import BadInput


@pytest.mark.parametrize("name", ["cora", "citeseer", "pubmed"])
def test_raw_files_are_the_graph_that_the_arrays_are(data_folder: Path, name: str) -> None:
    raw = read_graph(data_folder / "planetoid" / f"ind.{name}.graph")
    held = read_graph(data_folder / "planetoid" / "npz" / f"{name}.npz")
    assert raw.count == held.count
    assert {tuple(sorted(e)) for e in raw.edges.T.tolist()} == {tuple(sorted(e)) for e in held.edges.T.tolist()}
    assert abs(raw.features - held.features).max() < 1e-6
    assert raw.labels.tolist() == held.labels.tolist()
    for part in ("train", "validation", "test"):
        assert sorted(raw.splits[part].tolist()) == sorted(held.splits[part].tolist())


def test_any_of_the_files_names_the_graph(data_folder: Path) -> None:
    folder = data_folder / "planetoid"
    found = [raw_parts(folder / name) for name in ("ind.cora.x", "ind.cora.test.index", "ind.cora")]
    assert found[0] == found[1] == found[2]
    assert raw_parts(folder / "other.x") is None


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "ind.toy.x").write_bytes(b"")
    with pytest.raises(BadInput, match="has not all files of this graph: ind.toy.tx"):
        read_graph(tmp_path / "ind.toy.x")


class Evil:
    def __reduce__(self):
        return (print, ("it runs",))


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4])
def test_a_file_that_asks_for_a_function_is_refused_and_nothing_runs(tmp_path: Path, capsys, protocol: int) -> None:
    path = tmp_path / "ind.toy.x"
    path.write_bytes(pickle.dumps({"a": [Evil()]}, protocol=protocol))
    with pytest.raises(BadInput, match="neither an array nor a matrix. Nothing of it was run"):
        unpickled(path)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4])
def test_dicts_lists_and_numbers_come_back(tmp_path: Path, protocol: int) -> None:
    path = tmp_path / "held"
    held = {1: [2, 3], "f": 1.5, "t": (None, 7), "deep": [{}, [[]]]}
    path.write_bytes(pickle.dumps(held, protocol=protocol))
    assert unpickled(path) == held


@pytest.mark.parametrize("protocol", [3, 4])  # of Python 2's own, Planetoid's files are the test
@pytest.mark.parametrize("order", ["C", "F"])
def test_arrays_and_matrices_come_back(tmp_path: Path, protocol: int, order: str) -> None:
    path = tmp_path / "held"
    dense = np.asarray(np.arange(6, dtype=np.int32).reshape(2, 3), order=order)
    path.write_bytes(pickle.dumps([dense, np.float32(2.5)], protocol=protocol))
    array, number = unpickled(path)
    np.testing.assert_array_equal(array, dense)
    assert number == 2.5


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"garbage",
        pickle.dumps([1, 2, 3])[:-3],
        pickle.dumps(np.array([{}, {}], dtype=object), protocol=2),
        b"(S'a'\nd.",
        b"cnumpy\ndtype\n(S'O'\ntR.",
        b"I1\nI2\nb.",
    ],
)
def test_what_is_cut_short_or_damaged_or_holds_objects_is_told_so(tmp_path: Path, raw: bytes) -> None:
    path = tmp_path / "bad"
    path.write_bytes(raw)
    with pytest.raises(BadInput):
        unpickled(path)
