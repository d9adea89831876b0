"""What is compiled for nn.nearest; what it finds stands in `test_nearest`."""

from __future__ import annotations

import ctypes

import numpy as np
import pytest

from decet.nn.compiled import HEAD
from decet.nn.nearest_kernels import FIELDS, Job, work


def call(job: Job, worker: int = 0, workers: int = 1) -> None:
    numbers = np.array((0, 0, worker, workers, *job), np.int64)
    assert len(numbers) == HEAD + FIELDS
    ctypes.CFUNCTYPE(None, ctypes.c_void_p)(work().address)(numbers.ctypes.data)


def at(array: np.ndarray) -> int:
    return int(array.ctypes.data)


@pytest.mark.parametrize("size", [1, 3, 4, 5, 9])
@pytest.mark.parametrize("width", [1, 7, 16, 100])
def test_products_are_of_whole_numbers_times_steps(size: int, width: int) -> None:
    rng = np.random.default_rng(0)
    wholes, steps = rng.integers(-127, 128, (size, width), np.int8), rng.random(size, np.float32)
    vector, products = rng.normal(size=width).astype(np.float32), np.empty(size, np.float32)
    call(Job(size, width, at(wholes), at(steps), at(vector), at(products), 0, 0, 0))
    np.testing.assert_allclose(products, steps * (wholes @ vector.astype(np.float64)), rtol=1e-4, atol=1e-4)


def test_rows_rounded_by_hand() -> None:
    rows = np.array([[127, -63.4, 0.4], [0, 0, 0], [-2, 1, 1]], np.float32)
    scale, off = np.array([1, 1, 0.5], np.float32), np.zeros(1)
    wholes, steps = np.empty((3, 3), np.int8), np.empty(3, np.float32)
    call(Job(3, 3, at(wholes), at(steps), 0, 0, at(rows), at(scale), at(off)))
    assert wholes.tolist() == [[127, -63, 0], [0, 0, 0], [-127, 64, 64]]  # 63.5 goes to the even one
    assert steps.tolist() == pytest.approx([1, 1e-30 / 127, 1 / 127])
    assert off[0] == pytest.approx(np.hypot(0.4, 0.4), rel=1e-4)


def test_each_worker_does_its_share() -> None:
    wholes, steps, vector = np.ones((10, 2), np.int8), np.ones(10, np.float32), np.ones(2, np.float32)
    products = np.zeros(10, np.float32)
    call(Job(10, 2, at(wholes), at(steps), at(vector), at(products), 0, 0, 0), worker=1, workers=3)
    assert products.tolist() == [0, 0, 0, 2, 2, 2, 0, 0, 0, 0]
