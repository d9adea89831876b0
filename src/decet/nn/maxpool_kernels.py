"""The compiled half of nn.maxpool, made by numba on the first call.

Numbers are compared as whole numbers, which LLVM does many at a time: the bits of a float, those after the sign turned
over where it is negative, are in the order of the floats. NaN counts as the largest, so that it is never lost.
"""

# mypy: disable-error-code="attr-defined, call-arg"
# numba's types do not know what its intrinsics take.

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import numpy as np
from numba import carray, njit

from decet.nn.compiled import HEAD, at, kept, turns


class Job(NamedTuple):
    """What `work` reads, in this order. x (B, H, W, C), y and chosen (B, H // 2, W // 2, C), by their addresses."""

    backward: int  # 0: y and chosen are written. 1: x is, from y and chosen
    size: int  # bytes a number: 4 or 2
    batch: int
    height: int
    width: int
    channels: int
    x: int
    y: int
    chosen: int


FIELDS = len(Job._fields)


def _of(kind: Any, infinity: int) -> Any:
    """The two passes for floats whose bits are read as `kind`; infinity: its bits."""
    sign, rest = kind(8 * kind().nbytes - 1), kind(np.iinfo(kind).max)

    @njit
    def key(number: Any) -> Any:
        size = number & rest
        turned = kind(number ^ ((number >> sign) & rest)) if size else kind(0)  # -0 is no less than 0
        return rest if size > infinity else turned

    @njit
    def maps(job: Any) -> Any:
        batch, height, width, channels = job[2], job[3], job[4], job[5]
        pooled = (batch, height // 2, width // 2, channels)
        return (
            carray(at(job[6]), (batch, height, width, channels), kind),
            carray(at(job[7]), pooled, kind),
            carray(at(job[8]), pooled, np.int8),
        )

    @njit
    def forward(job: Any, first: int, last: int) -> None:
        x, y, chosen = maps(job)
        h, w, channels = y.shape[1:]
        for row in range(first, last):
            b, i = row // h, row % h
            for j in range(w):
                p, q, r, s = (
                    x[b, 2 * i, 2 * j],
                    x[b, 2 * i, 2 * j + 1],
                    x[b, 2 * i + 1, 2 * j],
                    x[b, 2 * i + 1, 2 * j + 1],
                )
                largest, place = y[b, i, j], chosen[b, i, j]
                for c in range(channels):
                    number, best, taken = p[c], key(p[c]), np.int8(0)
                    if key(q[c]) > best:
                        number, best, taken = q[c], key(q[c]), np.int8(1)
                    if key(r[c]) > best:
                        number, best, taken = r[c], key(r[c]), np.int8(2)
                    if key(s[c]) > best:
                        number, taken = s[c], np.int8(3)
                    largest[c], place[c] = number, taken

    @njit
    def put(numbers: Any, chosen: Any, place: Any, x: Any) -> None:
        for c in range(len(x)):
            x[c] = numbers[c] * kind(chosen[c] == place)

    @njit
    def backward(job: Any, first: int, last: int) -> None:
        x, y, chosen = maps(job)
        h, w = y.shape[1:3]
        for row in range(first, last):
            b, i = row // h, row % h
            for j in range(w):
                largest, place = y[b, i, j], chosen[b, i, j]
                put(largest, place, np.int8(0), x[b, 2 * i, 2 * j])
                put(largest, place, np.int8(1), x[b, 2 * i, 2 * j + 1])
                put(largest, place, np.int8(2), x[b, 2 * i + 1, 2 * j])
                put(largest, place, np.int8(3), x[b, 2 * i + 1, 2 * j + 1])
            x[b, 2 * i : 2 * i + 2, 2 * w :] = kind(0)  # what fills no window
            if i == h - 1:
                x[b, 2 * h :] = kind(0)

    return forward, backward


_forward2, _backward2 = _of(np.int16, 0x7F80)
_forward4, _backward4 = _of(np.int32, 0x7F800000)


def _entry(address: Any) -> None:
    job = carray(address, HEAD + FIELDS, np.int64)
    first, workers, step = turns(job)
    own = job[HEAD:]
    for worker in range(first, workers, step):
        rows = own[2] * (own[3] // 2)
        start, end = rows * worker // job[3], rows * (worker + 1) // job[3]
        if own[0]:
            if own[1] == 2:
                _backward2(own, start, end)
            else:
                _backward4(own, start, end)
        elif own[1] == 2:
            _forward2(own, start, end)
        else:
            _forward4(own, start, end)


@functools.cache
def work() -> Any:
    """The compiled function, void(*job); it can be called without Python's lock."""
    return kept(_entry)
