"""What is compiled for Winograd's convolution: its matrices, its memory, and where it is kept."""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import Any

import numba
import numpy as np
import pytest
from numba.core import caching

from decet.nn.winograd_kernels import Job, kept, matrices, room, stride, work

KIND = numba.types.void(numba.types.CPointer(numba.types.int64))


@pytest.mark.parametrize("side", [3, 4])
def test_the_matrices_filter(side: int) -> None:
    """y = A' ((G g) * (B d)), with d g's correlation worked out by numpy."""
    rng = np.random.default_rng(0)
    d, g = rng.normal(size=side + 2), rng.normal(size=3)
    a, of_filter, b = matrices(side)
    np.testing.assert_allclose(a.T @ ((of_filter @ g) * (b @ d)), np.correlate(d, g, "valid"), atol=1e-12)


@pytest.mark.parametrize("side", [3, 4])
def test_the_pictures_matrices_are_exact_in_float32(side: int) -> None:
    a, _, b = matrices(side)
    for matrix in (a, b):
        assert np.array_equal(matrix, matrix.astype(np.float32))


@pytest.mark.parametrize("channels", [16, 64, 256, 512])
def test_scratch_is_of_whole_lines_and_no_power_of_two_apart(channels: int) -> None:
    for block in (36, 72, 120):
        assert stride(block, channels) % 64 == 0
        assert stride(block, channels) % 4096 != 0  # or the 36 frequencies of a number would evict each other
        assert room(block, channels, 64, 4) % 64 == 0


def test_nothing_to_do_is_done_without_a_word() -> None:
    job = np.array(Job(0, 0, 0, 1, 1, 1, 4, 36, 0, 7, 7, 16, 16, 0, 0, 0, 0, 0, 1), np.int64)
    memory = np.zeros(room(36, 16, 16, 4) + 64, np.uint8)
    job[Job._fields.index("scratch")] = -(-memory.ctypes.data // 64) * 64
    ctypes.CFUNCTYPE(None, ctypes.c_void_p)(work().address)(job.ctypes.data)
    assert work() is work()


def seven(address: Any) -> None:
    address[0] = 7


def called(compiled: Any) -> int:
    given = np.zeros(1, np.int64)
    ctypes.CFUNCTYPE(None, ctypes.c_void_p)(compiled.address)(given.ctypes.data)
    return int(given[0])


def test_what_is_compiled_is_kept_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))
    assert called(kept(KIND, seven)) == 7
    assert list(tmp_path.rglob("*seven*.nbc"))
    again = kept(KIND, seven)
    assert called(again) == 7
    assert again.cache_hits == 1


def test_it_works_where_no_folder_may_be_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(caching.CompileResultCacheImpl, "_locator_classes", [])
    with pytest.raises(RuntimeError, match="no locator available"):
        numba.cfunc(KIND, cache=True)(seven)
    assert called(kept(KIND, seven)) == 7
