"""The compiled walks, where there is a compiler; that they are those of numpy stands in test_walks.py."""

from __future__ import annotations

import numpy as np
import pytest

kernels = pytest.importorskip("decet.data.walk_kernels", exc_type=ImportError)


def test_a_path_is_walked_to_its_end_and_no_further() -> None:
    offsets, others = np.array([0, 1, 2, 2]), np.array([1, 2])
    found = np.empty((2, 5), np.int32)
    kernels.walk(offsets, others, np.empty(0), np.array([0, 1]), np.uint64(3), True, 1.0, 1.0, 1.0, found)
    assert found.tolist() == [[0, 1, 2, -1, -1], [1, 2, -1, -1, -1]]


def test_a_neighbour_is_found_among_many() -> None:
    others = np.array([1, 4, 9, 2, 3])
    assert [kernels._joined(others, 0, 3, node) for node in (1, 2, 4, 9, 10)] == [True, False, True, True, False]
