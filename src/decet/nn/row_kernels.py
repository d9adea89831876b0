"""Rows of floats in compiled kernels: fetched, added, mixed, multiplied, and a loss of many margins; made by numba.

Rows are as long as whole registers, so that no loop has a rest.
"""

# mypy: disable-error-code="attr-defined, call-arg"
# numba's types do not know what its intrinsics take.

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

FAST = {"reassoc", "contract", "arcp", "nsz"}  # sums in any order; NaN stays NaN
STEEP = 30.0  # margins beyond which e^-x counts as 0
LINE = 64  # bytes that the cache fetches at a time
one = np.float32


@intrinsic
def halved(typing: Any, times: Any) -> Any:
    """2^-times as a float, times 0 to 126: its exponent's bits."""

    def make(context: Any, build: Any, signature: Any, given: Any) -> Any:
        word = ir.IntType(32)
        bits = build.shl(build.sub(ir.Constant(word, 127), given[0]), ir.Constant(word, 23))
        return build.bitcast(bits, ir.FloatType())

    return types.float32(types.int32), make


@intrinsic
def _fetch(typing: Any, address: Any) -> Any:
    """Have the line of memory at an address brought near, to be written to."""

    def make(context: Any, build: Any, signature: Any, given: Any) -> Any:
        byte, half = ir.IntType(8).as_pointer(), ir.IntType(32)
        prefetch = build.module.declare_intrinsic(
            "llvm.prefetch", [byte], ir.FunctionType(ir.VoidType(), [byte, half, half, half])
        )
        place = build.inttoptr(given[0], byte)
        build.call(prefetch, [place, ir.Constant(half, 1), ir.Constant(half, 3), ir.Constant(half, 1)])
        return context.get_dummy_value()

    return types.void(types.int64), make


@njit(forceinline=True)
def fetch_row(base: int, row: int, width: int) -> None:
    """Have a row (width,) of the table at an address brought near."""
    begin = base + 4 * row * width
    for offset in range(0, 4 * width, LINE):
        _fetch(begin + offset)


@njit(forceinline=True)
def clear(target: Any) -> None:
    for d in range(len(target)):
        target[d] = one(0)


@njit(forceinline=True)
def copy(target: Any, row: Any) -> None:
    for d in range(len(target)):
        target[d] = row[d]


@njit(fastmath=FAST, forceinline=True)
def plus(target: Any, row: Any) -> None:
    for d in range(len(target)):
        target[d] += row[d]


@njit(fastmath=FAST, forceinline=True)
def plus_times(target: Any, row: Any, times: Any) -> None:
    for d in range(len(target)):
        target[d] += times * row[d]


@njit(fastmath=FAST, forceinline=True)
def plus_product(target: Any, row: Any, other: Any, times: Any) -> None:
    for d in range(len(target)):
        target[d] += times * row[d] * other[d]


@njit(fastmath=FAST, forceinline=True)
def dot(x: Any, y: Any) -> Any:
    total = one(0)
    for d in range(len(x)):
        total += x[d] * y[d]
    return total


@njit(fastmath=FAST)
def products(X: Any, m: int, Y: Any, n: int, G: Any) -> None:
    """G[i n + k] = X[i] . Y[k], two by three at a time, so that six sums share five loads."""
    width = X.shape[1]
    for i in range(0, m - 1, 2):
        x, z = X[i], X[i + 1]
        u, v = G[i * n :], G[i * n + n :]
        k = 0
        while k + 3 <= n:
            p, q, r = Y[k], Y[k + 1], Y[k + 2]
            a = b = c = e = f = g = one(0)
            for d in range(width):
                a += x[d] * p[d]
                b += x[d] * q[d]
                c += x[d] * r[d]
                e += z[d] * p[d]
                f += z[d] * q[d]
                g += z[d] * r[d]
            u[k], u[k + 1], u[k + 2] = a, b, c
            v[k], v[k + 1], v[k + 2] = e, f, g
            k += 3
        while k < n:
            u[k], v[k] = dot(x, Y[k]), dot(z, Y[k])
            k += 1
    if m % 2:
        x, u = X[m - 1], G[m * n - n :]
        for k in range(n):
            u[k] = dot(x, Y[k])


@njit(fastmath=FAST)
def mixed(weights: Any, R: Any, count: int, target: Any) -> None:
    """target = sum over k of weights[k] R[k]."""
    width = R.shape[1]
    k = count % 3
    if k == 0:
        clear(target)
    elif k == 1:
        a, p = weights[0], R[0]
        for d in range(width):
            target[d] = a * p[d]
    else:
        a, b, p, q = weights[0], weights[1], R[0], R[1]
        for d in range(width):
            target[d] = a * p[d] + b * q[d]
    while k < count:
        a, b, c = weights[k], weights[k + 1], weights[k + 2]
        p, q, r = R[k], R[k + 1], R[k + 2]
        for d in range(width):
            target[d] += a * p[d] + b * q[d] + c * r[d]
        k += 3


@njit(fastmath=FAST, error_model="numpy")
def residuals(margins: Any, above: Any, count: int, rate: Any) -> float:
    """The loss, sum of log(1 + e^f) of margins f that should be small; they become -rate * sigmoid(f).

    e^-|f| is a power of two times a polynomial, which runs many at a time; the product of all 1 + e^-|f| needs one
    logarithm.
    """
    low = one(0)
    for q in range(count):
        f = margins[q]
        z = min(abs(f), one(STEEP)) * one(1.4426950408889634)
        times = np.int32(z)
        t = (z - one(times)) * one(0.6931471805599453)
        e = one(1) - t * (one(1 / 7))
        e = one(1) - t * one(1 / 6) * e
        e = one(1) - t * one(1 / 5) * e
        e = one(1) - t * one(1 / 4) * e
        e = one(1) - t * one(1 / 3) * e
        e = one(1) - t * one(1 / 2) * e
        e = (one(1) - t * e) * halved(times)
        whole = one(1) + e
        above[q] = whole
        low += max(f, one(0))
        near = one(1) / whole
        margins[q] = -rate * (near if f > one(0) else one(1) - near)
    product, total = 1.0, float(low)
    for q in range(count):
        product *= above[q]
        if product > 1e250:
            total += np.log(product)
            product = 1.0
    return total + np.log(product)
