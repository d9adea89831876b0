"""What is compiled for Winograd's convolution: its matrices and its memory."""

from __future__ import annotations

import ctypes

import numpy as np
import pytest

from decet.nn.compiled import HEAD
from decet.nn.winograd_kernels import Job, matrices, room, stride, work


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
    job = np.array((0, 0, 0, 1, *Job(1, 1, 4, 36, 0, 7, 7, 16, 16, 0, 0, 0, 0, 0, 1)), np.int64)
    memory = np.zeros(room(36, 16, 16, 4) + 64, np.uint8)
    job[HEAD + Job._fields.index("scratch")] = -(-memory.ctypes.data // 64) * 64
    ctypes.CFUNCTYPE(None, ctypes.c_void_p)(work().address)(job.ctypes.data)
    assert work() is work()
