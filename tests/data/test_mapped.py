"""Arrays that stay in their file: the same numbers as in memory, whatever the file, and moments a block at a time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from decet import GNN, Graph, NodeClassifier, Recipe, read_graph
from decet.data import mapped
from decet.data.mapped import is_mapped, moments, not_finite, room_like, stored
from decet.errors import BadInput


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is called large is small, and so is a block."""
    monkeypatch.setattr(mapped, "LARGE", 1_000)
    monkeypatch.setattr(mapped, "BLOCK", 500)


def test_large_arrays_stay_in_the_file_and_are_the_same(tmp_path: Path, large: None) -> None:
    rng = np.random.default_rng(0)
    held = {"x": rng.random((90, 7), np.float32), "few": np.arange(5), "y": rng.integers(0, 9, 400), "name": ["a", "b"]}
    np.savez(tmp_path / "a.npz", **held)
    found = stored(tmp_path / "a.npz")
    assert [name for name, array in found.items() if is_mapped(array)] == ["x", "y"]
    for name, array in held.items():
        assert np.array_equal(found[name], array)
    found["x"][0] = 9.0  # a copy of one's own: the file stays as it is
    assert np.array_equal(stored(tmp_path / "a.npz")["x"], held["x"])


def test_what_cannot_be_mapped_is_read(tmp_path: Path, large: None) -> None:
    turned = np.asfortranarray(np.random.default_rng(0).random((50, 40)))
    np.savez(tmp_path / "a.npz", x=turned)
    np.savez_compressed(tmp_path / "b.npz", x=turned)
    for name in ("a.npz", "b.npz"):
        (x,) = stored(tmp_path / name).values()
        assert not is_mapped(x)
        assert np.array_equal(x, turned)
    np.savez(tmp_path / "c.npz", x=np.array([{}] * 2_000, dtype=object))
    with pytest.raises(ValueError, match="[Oo]bject"):
        stored(tmp_path / "c.npz")


def test_moments_are_those_of_numpy_a_block_at_a_time(large: None) -> None:
    X = np.random.default_rng(0).normal(3, 2, (1_001, 5)).astype(np.float32)
    mean, std = moments(X)
    np.testing.assert_allclose(mean, X.mean(0, dtype=np.float64), rtol=1e-6)
    np.testing.assert_allclose(std, X.std(0, dtype=np.float64), rtol=1e-6)


def test_values_that_are_not_finite_are_counted_and_the_first_row_is_told(large: None) -> None:
    X = np.zeros((300, 4), np.float32)
    assert not_finite(X) == (0, -1)
    X[[120, 120, 250], [0, 1, 3]] = [np.nan, np.inf, np.nan]
    assert not_finite(X) == (3, 120)
    assert not_finite(np.array([1.0, np.nan])) == (1, 1)


def test_room_is_in_a_file_for_what_lies_in_one(tmp_path: Path) -> None:
    X = np.lib.format.open_memmap(tmp_path / "x.npy", "w+", np.float64, (30, 2))
    room = room_like(X)
    room[:] = 1.0
    assert (is_mapped(room), room.dtype, room.shape) == (True, np.float32, (30, 2))
    assert not is_mapped(room_like(np.zeros((3, 2))))
    assert [path.name for path in tmp_path.iterdir()] == ["x.npy"]


def test_a_graph_whose_features_stay_in_their_file_is_learned_as_one_in_memory(tmp_path: Path, large: None) -> None:
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 300)
    X = (rng.normal(0, 1, (300, 8)) + y[:, None]).astype(np.float32)
    edges = rng.integers(0, 300, (2, 900))
    np.savez(tmp_path / "g.npz", edges=edges, features=X, labels=y)
    there = read_graph(tmp_path / "g.npz")
    assert is_mapped(there.features)
    learn = NodeClassifier(GNN(width=8), recipe=Recipe(epochs=3, batch=64), seed=0)
    here = read_graph(Graph(edges, features=X, labels=y))
    one = learn.fit(here, y).predict_proba(here)
    np.testing.assert_allclose(learn.fit(there, y).predict_proba(there), one, rtol=1e-5, atol=1e-6)
    X[17, 3] = np.nan
    np.savez(tmp_path / "h.npz", edges=edges, features=X, labels=y)
    with pytest.raises(BadInput, match="1 values that are not finite, the first of node 17"):
        read_graph(tmp_path / "h.npz")
