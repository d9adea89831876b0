"""The compiled half of nn.nearest, made by numba on the first call: rows rounded to a byte a number, and multiplied.

Four rows at a time share the vector's loads; what is left is the time that memory takes.
"""

# mypy: disable-error-code="attr-defined, call-arg"
# numba's types do not know what its intrinsics take.

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import numpy as np
from numba import carray, njit
from numba.np.unsafe.ndarray import to_fixed_tuple

from decet.nn.compiled import HEAD, at, kept, turns
from decet.nn.row_kernels import FAST, one


class Job(NamedTuple):
    """What `work` reads, in this order; arrays by their addresses."""

    size: int  # rows
    width: int  # numbers of a row
    wholes: int  # int8 (size, width)
    steps: int  # float32 (size,), by which a row's whole numbers are multiplied
    vector: int  # float32 (width,)
    products: int  # float32 (size,), of each row with the vector, written
    rows: int  # float32 (size, width) to be rounded, or 0: wholes and steps are there, and products are asked
    scale: int  # float32 (size,), what makes each row of length 1
    off: int  # float64 (workers,), how far a rounded row is away at most, written


FIELDS = len(Job._fields)
MOST = 127  # of a byte


@njit
def _kept(job: Any) -> Any:
    """wholes (size, width) and steps (size,)."""
    return (
        carray(at(job.wholes), (job.size, job.width), np.int8),
        carray(at(job.steps), job.size, np.float32),
    )


@njit(error_model="numpy", fastmath=FAST)
def _round(job: Any, first: int, last: int) -> float:
    """Round the rows from first to last; how far the farthest is away from what it was."""
    wholes, steps = _kept(job)
    rows = carray(at(job.rows), (job.size, job.width), np.float32)
    scale = carray(at(job.scale), job.size, np.float32)
    worst = 0.0
    for i in range(first, last):
        row, kept_as, most, away = rows[i], wholes[i], one(0), one(0)
        for d in range(job.width):
            most = max(most, abs(row[d]))
        step = max(most * scale[i], one(1e-30)) / one(MOST)
        for d in range(job.width):
            unit = row[d] * scale[i]
            near = np.rint(unit / step)
            kept_as[d] = np.int8(near)
            away += (unit - near * step) ** 2
        steps[i] = step
        worst = max(worst, float(away))
    return np.sqrt(worst)


@njit(error_model="numpy", fastmath=FAST)
def _multiply(job: Any, first: int, last: int) -> None:
    """The products of the rows from first to last with the vector."""
    wholes, steps = _kept(job)
    vector = carray(at(job.vector), job.width, np.float32)
    products = carray(at(job.products), job.size, np.float32)
    i = first
    while i + 4 <= last:
        w, x, y, z = wholes[i], wholes[i + 1], wholes[i + 2], wholes[i + 3]
        a = b = c = e = one(0)
        for d in range(job.width):
            v = vector[d]
            a += one(w[d]) * v
            b += one(x[d]) * v
            c += one(y[d]) * v
            e += one(z[d]) * v
        products[i], products[i + 1] = a * steps[i], b * steps[i + 1]
        products[i + 2], products[i + 3] = c * steps[i + 2], e * steps[i + 3]
        i += 4
    while i < last:
        x, a = wholes[i], one(0)
        for d in range(job.width):
            a += one(x[d]) * vector[d]
        products[i] = a * steps[i]
        i += 1


def _work(address: Any) -> None:
    numbers = carray(address, HEAD + FIELDS, np.int64)
    start, stop, step = turns(numbers)
    job, workers = Job(*to_fixed_tuple(numbers[HEAD:], FIELDS)), numbers[3]
    for worker in range(start, stop, step):
        first, last = job.size * worker // workers, job.size * (worker + 1) // workers
        if job.rows:
            carray(at(job.off), workers, np.float64)[worker] = _round(job, first, last)
        else:
            _multiply(job, first, last)


@functools.cache
def work() -> Any:
    """The compiled function, void(*job); it can be called without Python's lock."""
    return kept(_work)
