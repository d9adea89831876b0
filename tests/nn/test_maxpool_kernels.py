"""What is compiled for pooling: a worker's share of the rows, and the pixels that fill no window."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
import pytest

from decet.nn.maxpool_kernels import Job, work

CALL = ctypes.CFUNCTYPE(None, ctypes.c_void_p)


def run(x: Any, y: Any, chosen: Any, backward: bool, worker: int = 0, workers: int = 1) -> None:
    batch, height, width, channels = x.shape
    pointers = (array.ctypes.data for array in (x, y, chosen))
    job = Job(int(backward), x.itemsize, batch, height, width, channels, *pointers)
    numbers = np.array((0, 0, worker, workers, *job), np.int64)
    CALL(work().address)(numbers.ctypes.data)


def maps(height: int, width: int) -> tuple[Any, Any, Any]:
    """x (2, height, width, 3), the largest of its windows and their places, both still -1."""
    x = np.random.default_rng(0).normal(size=(2, height, width, 3)).astype(np.float32)
    return x, *(np.full((2, height // 2, width // 2, 3), -1, kind) for kind in (np.float32, np.int8))


def test_a_worker_does_its_share_and_no_more() -> None:
    x, y, chosen = maps(4, 6)
    windows = x.reshape(2, 2, 2, 3, 2, 3).transpose(0, 1, 3, 5, 2, 4).reshape(2, 2, 3, 3, 4)
    run(x, y, chosen, backward=False, worker=1, workers=2)
    assert (y[0] == -1).all()
    np.testing.assert_array_equal(y[1], windows[1].max(-1))
    np.testing.assert_array_equal(chosen[1], windows[1].argmax(-1))
    run(x, y, chosen, backward=False, worker=0, workers=2)
    np.testing.assert_array_equal(y, windows.max(-1))


def test_more_workers_than_rows_leave_none_out() -> None:
    x, y, chosen = maps(2, 4)
    for worker in range(5):
        run(x, y, chosen, backward=False, worker=worker, workers=5)
    np.testing.assert_array_equal(y, x.reshape(2, 2, 2, 2, 3).max((1, 3))[:, None])


@pytest.mark.parametrize(("height", "width"), [(5, 4), (4, 5), (5, 5)])
def test_the_gradient_of_pixels_in_no_window_is_zero(height: int, width: int) -> None:
    x, y, chosen = maps(height, width)
    run(x, y, chosen, backward=False)
    into = np.full_like(x, np.nan)
    run(into, y, chosen, backward=True)
    assert not np.isnan(into).any()
    assert not into[:, height // 2 * 2 :].any()
    assert not into[:, :, width // 2 * 2 :].any()
    assert (into != 0).sum() == y.size
    assert into.sum() == pytest.approx(y.sum(), rel=1e-5)


def test_it_is_compiled_once() -> None:
    assert work() is work()
