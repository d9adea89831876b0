"""The compiled half of `recurrent`: what a step does element by element, forwards and backwards; made by numba.

Each number is read and written once a step, where torch goes over them six times forwards and sixteen times backwards.
"""

# mypy: disable-error-code="attr-defined, call-arg"
# numba's types do not know what its intrinsics take.

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from llvmlite import ir
from numba import carray, njit, types
from numba.extending import intrinsic

from decet.nn.compiled import HEAD, at, kept, turns, widely
from decet.nn.row_kernels import halved

FAST = {"contract"}
FLAT = 20.0  # beyond which a sigmoid and a tanh are 0 or 1 to a float's eye; the product of four e^20 is a float still
LOG2 = 1.4426950408889634
C0, C1, C2, C3, C4, C5 = (
    np.polynomial.Chebyshev.interpolate(np.exp2, 5, (-0.5, 0.5)).convert(kind=np.polynomial.Polynomial).coef.tolist()
)  # of 2^f
one = np.float32


# A job: whether backwards; bytes of a number (4 float32, 2 bf16; c and dc are float32); rows; width; and addresses of
# tensors (R, H) or, "four", (R, 4 H) -
# forwards: four of products, sums, gates; c of the step before, c of this one, h;
# backwards: four of gates; c of the step before, dc, which becomes that of the step before, dh of the step after, dh
# from above; four of the gradient of the sums.
FIELDS = 10


@intrinsic
def _as_float(typing: Any, bits: Any) -> Any:
    return types.float32(types.int32), lambda context, build, signature, given: build.bitcast(given[0], ir.FloatType())


@intrinsic
def _as_bits(typing: Any, number: Any) -> Any:
    return types.int32(types.float32), lambda context, build, signature, given: build.bitcast(given[0], ir.IntType(32))


@njit(fastmath=FAST, forceinline=True)
def raised(x: Any) -> Any:
    """e^x to 3e-7 of it, of x from -FLAT to FLAT, NaN for NaN: 2^k by the exponent's bits, the rest by a polynomial."""
    x = one(FLAT) if x > one(FLAT) else x
    x = one(-FLAT) if x < one(-FLAT) else x
    y = x * one(LOG2)
    k = np.int32(y + one(64.5)) - np.int32(64)
    f = y - one(k)
    power = one(C0) + f * (one(C1) + f * (one(C2) + f * (one(C3) + f * (one(C4) + f * one(C5)))))
    return power * halved(-k)


@njit(fastmath=FAST, forceinline=True)
def tanh_of(x: Any) -> Any:
    return one(1) - one(2) / (one(1) + raised(x + x))


@njit(fastmath=FAST, forceinline=True)
def _gates(into: Any, forget: Any, out: Any, fresh: Any) -> Any:
    """Three sigmoids and a tanh by one division."""
    a, b = one(1) + raised(-into), one(1) + raised(-forget)
    c, d = one(1) + raised(-out), one(1) + raised(fresh + fresh)
    left, right = a * b, c * d
    whole = one(1) / (left * right)
    left, right = right * whole, left * whole
    return b * left, a * left, d * right, one(1) - (c + c) * right


@njit(forceinline=True)
def _same(x: Any) -> Any:
    return x


@njit(forceinline=True)
def _long(x: Any) -> Any:
    """The float of bf16's bits."""
    return _as_float(np.int32(x) << np.int32(16))


@njit(forceinline=True)
def _short(x: Any) -> Any:
    """bf16's bits of a float, rounded to the nearest, to even between two."""
    bits: Any = _as_bits(x)
    return np.int16((bits + np.int32(0x7FFF) + ((bits >> np.int32(16)) & np.int32(1))) >> np.int32(16))


def _of(kind: Any, get: Any, put: Any) -> Any:
    """The two directions over numbers of this kind, for rows from first to last."""

    @njit(fastmath=FAST)
    def forward(rows: int, n: int, parts: Any, first: int, last: int) -> None:
        widely()
        products, sums = carray(at(parts[0]), (rows, 4 * n), kind), carray(at(parts[1]), (rows, 4 * n), kind)
        gates, before = carray(at(parts[2]), (rows, 4 * n), kind), carray(at(parts[3]), (rows, n), one)
        after, hs = carray(at(parts[4]), (rows, n), one), carray(at(parts[5]), (rows, n), kind)
        for row in range(first, last):
            x, y, own, c, new, h = products[row], sums[row], gates[row], before[row], after[row], hs[row]
            for i in range(n):
                into, forget, out, fresh = _gates(
                    get(x[i]) + get(y[i]),
                    get(x[n + i]) + get(y[n + i]),
                    get(x[2 * n + i]) + get(y[2 * n + i]),
                    get(x[3 * n + i]) + get(y[3 * n + i]),
                )
                cell = forget * c[i] + into * fresh
                new[i] = cell
                h[i] = put(out * tanh_of(cell))
                own[i], own[n + i], own[2 * n + i], own[3 * n + i] = put(into), put(forget), put(out), put(fresh)

    @njit(fastmath=FAST)
    def backward(rows: int, n: int, parts: Any, first: int, last: int) -> None:
        widely()
        gates, before = carray(at(parts[0]), (rows, 4 * n), kind), carray(at(parts[1]), (rows, n), one)
        dcs, dhs = carray(at(parts[2]), (rows, n), one), carray(at(parts[3]), (rows, n), kind)
        above, after = carray(at(parts[4]), (rows, n), kind), carray(at(parts[5]), (rows, 4 * n), kind)
        for row in range(first, last):
            own, c, moved, dc, dh, told = gates[row], before[row], after[row], dcs[row], dhs[row], above[row]
            for i in range(n):
                into, forget, out, fresh = get(own[i]), get(own[n + i]), get(own[2 * n + i]), get(own[3 * n + i])
                tanh = tanh_of(forget * c[i] + into * fresh)
                now = get(dh[i]) + get(told[i])
                cell = dc[i] + now * out * (one(1) - tanh * tanh)
                dc[i] = cell * forget
                moved[i] = put(cell * fresh * into * (one(1) - into))
                moved[n + i] = put(cell * c[i] * forget * (one(1) - forget))
                moved[2 * n + i] = put(now * tanh * out * (one(1) - out))
                moved[3 * n + i] = put(cell * into * (one(1) - fresh * fresh))

    return forward, backward


_forward4, _backward4 = _of(np.float32, _same, _same)
_forward2, _backward2 = _of(np.int16, _long, _short)


def _entry(address: Any) -> None:
    job = carray(address, HEAD + FIELDS, np.int64)
    first, workers, step = turns(job)
    back, size, rows, n = job[HEAD], job[HEAD + 1], job[HEAD + 2], job[HEAD + 3]
    parts = job[HEAD + 4 :]
    for worker in range(first, workers, step):
        start, end = rows * worker // job[3], rows * (worker + 1) // job[3]
        if back and size == 2:
            _backward2(rows, n, parts, start, end)
        elif back:
            _backward4(rows, n, parts, start, end)
        elif size == 2:
            _forward2(rows, n, parts, start, end)
        else:
            _forward4(rows, n, parts, start, end)


@functools.cache
def work() -> Any:
    """The compiled function, void(*job); it can be called without Python's lock."""
    return kept(_entry)
