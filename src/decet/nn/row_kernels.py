"""Rows of floats in compiled kernels: fetched, added, mixed, multiplied, and a loss of many margins; made by numba.

Rows are as long as whole registers, so that no loop has a rest.
"""

# mypy: disable-error-code="attr-defined, call-arg"
# numba's types do not know what its intrinsics take.

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import carray, njit, types
from numba.extending import intrinsic

from decet.nn.compiled import at

FAST = {"reassoc", "contract", "arcp", "nsz"}  # sums in any order; NaN stays NaN
STEEP = 30.0  # margins beyond which e^-x counts as 0
LINE = 64  # bytes that the cache fetches at a time
AHEAD = 6  # rows that are fetched before their turn
SPREAD, LOW, HALF = np.uint64(0x9E3779B1), np.uint64(0xFFFFFFFF), np.uint64(32)
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


# ---------------------------------------------------------------------------------------- the products of a unit


@njit(forceinline=True)
def asked(room: Any, m: int, n: int, labels: Any, rate: Any, dX: Any, dY: Any) -> float:
    """Every row of X asked about every row of Y: dX (m, D), dY (n, D), and the loss. labels (n,): 1 = it is real."""
    G, T = room.margins, room.turned
    products(room.X, m, room.Y, n, G)
    for i in range(m):
        for k in range(n):
            if labels[k]:
                G[i * n + k] = -G[i * n + k]
    loss = residuals(G, room.above, m * n, rate)
    for i in range(m):
        for k in range(n):
            if labels[k]:
                G[i * n + k] = -G[i * n + k]
            T[k * m + i] = G[i * n + k]
    for i in range(m):
        mixed(G[i * n :], room.Y, n, dX[i])
    for k in range(n):
        mixed(T[k * m :], room.X, m, dY[k])
    return loss


@njit(error_model="numpy", forceinline=True)
def asked_bags(
    room: Any, m: int, n: int, share: Any, outs: Any, lows: Any, highs: Any, rate: Any, dX: Any, dY: Any
) -> float:
    """Row i of X asked about row i of Y, which is real, and about all from m on, which are not and count `share`."""
    X, Y, T = room.X, room.Y, room.turned
    others = n - m
    real, G = room.margins, room.margins[m:]
    products(X, m, Y[m:], others, G)
    for i in range(m):
        real[i] = -dot(X[i], Y[i])
        empty = highs[i] - lows[i] < 2  # a window without neighbours asks nothing
        if empty:
            real[i] = -one(STEEP)
        for k in range(others):
            if empty or outs[m + k] == outs[i]:
                G[i * others + k] = -one(STEEP)
    loss = residuals(real, room.above, m, rate) + share * residuals(G, room.above, m * others, rate * share)
    for i in range(m):
        for k in range(others):
            T[k * m + i] = G[i * others + k]
        mixed(G[i * others :], Y[m:], others, dX[i])
        plus_times(dX[i], Y[i], -real[i])
        clear(dY[i])
        plus_times(dY[i], X[i], -real[i])
    for k in range(others):
        mixed(T[k * m :], X, m, dY[m + k])
    return loss


# ------------------------------------------------------------------------------------------- many rows to many rows


@njit(forceinline=True)
def owned(row: int, worker: int, workers: int) -> Any:
    """1 where a row is the worker's, else 0: rows are dealt out by a hash, for to divide is dear."""
    return np.int64(((np.uint64(row) * SPREAD & LOW) * np.uint64(workers)) >> HALF == np.uint64(worker))


@njit(forceinline=True)
def listed(moves: Any, count: int, target: int, row: int, weight: int, own: int, width: int) -> int:
    """Write down that a row is to be added to another, if it is one's own; how many there are now.

    All by address; weight: of what the row is to be multiplied by, number by number; 0 = nothing.
    """
    moves[count, 0], moves[count, 1], moves[count, 2] = target, row, weight
    count += own
    if count == len(moves):
        plus_listed(moves, count, width)
        count = 0
    return count


@njit
def plus_listed(moves: Any, count: int, width: int, ahead: int = AHEAD) -> None:
    """Add the rows that are listed, in their order; each is fetched so many before its turn."""
    for i in range(count):
        if i + ahead < count:
            fetch_row(moves[i + ahead, 0], 0, width)
            fetch_row(moves[i + ahead, 1], 0, width)
        target = carray(at(moves[i, 0]), width, np.float32)
        row = carray(at(moves[i, 1]), width, np.float32)
        if moves[i, 2]:
            plus_product(target, row, carray(at(moves[i, 2]), width, np.float32), one(1))
        else:
            plus(target, row)
