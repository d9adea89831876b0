"""The compiled half of `decoding`: one position of each row through all layers of a Transformer; made by numba.

Threads share the outputs of each map and the heads of each attention out among them, and wait for one another between;
what is small, as norms, each works out for itself.
"""

# mypy: disable-error-code="attr-defined, call-arg"
# numba's types do not know what its intrinsics take.

from __future__ import annotations

import functools
import math
from typing import Any, NamedTuple

import numpy as np
from numba import carray, njit
from numba.np.unsafe.ndarray import to_fixed_tuple

from decet.nn.compiled import HEAD, at, kept, turns, wait, widely
from decet.nn.recurrent_kernels import raised, tanh_of
from decet.nn.row_kernels import FAST, dot, mixed, products

BLOCK = 4  # rows of a matrix that are multiplied together
SMALL = 1e-5  # of the norm of queries and keys
A1, A2, A3, A4, A5, P = 0.254829592, -0.284496736, 1.421413741, -1.453152027, 1.061405429, 0.3275911
one = np.float32


class Job(NamedTuple):
    """What `work` reads, in this order. Addresses in bytes, of float32 where nothing else is said, 0 = there is none.

    H heads of d numbers, G pairs of keys and values; D numbers a position; F numbers within the feed.
    """

    barrier: int  # a function that waits for all threads
    rows: int  # B
    width: int  # D
    depth: int
    heads: int
    groups: int
    size: int  # d
    hidden: int  # F
    feed: int  # which of `decoding.FEEDS`
    normed: int
    rms: int
    epsilon: int  # of the norms, a float64's bits
    age: int  # positions before this one
    room: int  # of the caches
    x: int  # (B, D): words in, what the last layer says out
    cos: int  # (d / 2,)
    sin: int
    weights: int  # int64 (depth, 12): a norm's weight and bias, into, out, a norm, widen, narrow
    caches: int  # int64 (depth, 2): keys and values (B, G, room, d)
    parts: int  # (B, (H + 2 G) d) queries, keys, values
    told: int  # (B, H d) what the heads say
    wide: int  # (B, 2 F) within the feed
    narrow: int  # (B, F)
    own: int  # (workers, spare): each thread's own
    spare: int


FIELDS = len(Job._fields)


@njit(fastmath=FAST)
def _floats(address: int, count: int) -> Any:
    return carray(at(address), count, one)


@njit(fastmath=FAST)
def _matrix(address: int, rows: int, columns: int) -> Any:
    return carray(at(address), (rows, columns), one)


@njit(fastmath=FAST)
def _norm(job: Any, epsilon: float, X: Any, weight: int, bias: int, Y: Any) -> None:
    """Each row of X brought to one length, and to the layer's own scale, which lies at these addresses."""
    scale = _floats(weight, job.width)
    for b in range(job.rows):
        x, y = X[b], Y[b]
        mean = one(0) if job.rms else _mean(x)
        _scaled(x, mean, epsilon, y)
        for i in range(len(x)):
            y[i] *= scale[i]
        if bias:
            shift = _floats(bias, job.width)
            for i in range(len(x)):
                y[i] += shift[i]


@njit(fastmath=FAST)
def _mean(x: Any) -> Any:
    total = one(0)
    for i in range(len(x)):
        total += x[i]
    return total / one(len(x))


@njit(fastmath=FAST)
def _scaled(x: Any, mean: Any, epsilon: float, y: Any) -> None:
    """y = (x - mean) over the root of its mean square; x may be y."""
    widely()
    total = one(0)
    for i in range(len(x)):
        total += (x[i] - mean) * (x[i] - mean)
    by = one(1.0 / math.sqrt(total / len(x) + epsilon))
    for i in range(len(x)):
        y[i] = (x[i] - mean) * by


@njit(fastmath=FAST)
def _map(X: Any, weight: int, bias: int, outputs: int, first: int, last: int, Y: Any, add: bool, room: Any) -> None:
    """Y[:, first:last] = or += X W' + b, W (outputs, K): four rows by four outputs at a time, whose sixteen sums share
    eight loads; one row by so many."""
    rows, width = X.shape
    W, shift = _matrix(weight, outputs, width), _floats(bias, outputs)
    for begin in range(first, last, BLOCK):
        count = min(BLOCK, last - begin)
        if count < BLOCK:
            products(X, rows, W[begin : begin + count], count, room)
        else:
            whole = rows // BLOCK * BLOCK
            for b in range(0, whole, BLOCK):
                _tile(X[b : b + BLOCK], W[begin : begin + BLOCK], room[b * BLOCK :])
            if whole < rows:
                products(X[whole:], rows - whole, W[begin : begin + BLOCK], BLOCK, room[whole * BLOCK :])
        for b in range(rows):
            for k in range(count):
                found = room[b * count + k]
                if bias:
                    found += shift[begin + k]
                if add:
                    found += Y[b, begin + k]
                Y[b, begin + k] = found


@njit(fastmath=FAST)
def _tile(X: Any, W: Any, G: Any) -> None:
    """G[4 i + k] = X[i] . W[k], i and k from 0 to 3."""
    widely()
    x, y, z, u = X[0], X[1], X[2], X[3]
    p, q, r, s = W[0], W[1], W[2], W[3]
    a = b = c = d = e = f = g = h = i = j = k = m = n = o = t = v = one(0)
    for w in range(len(x)):
        a += x[w] * p[w]
        b += x[w] * q[w]
        c += x[w] * r[w]
        d += x[w] * s[w]
        e += y[w] * p[w]
        f += y[w] * q[w]
        g += y[w] * r[w]
        h += y[w] * s[w]
        i += z[w] * p[w]
        j += z[w] * q[w]
        k += z[w] * r[w]
        m += z[w] * s[w]
        n += u[w] * p[w]
        o += u[w] * q[w]
        t += u[w] * r[w]
        v += u[w] * s[w]
    G[0], G[1], G[2], G[3], G[4], G[5], G[6], G[7] = a, b, c, d, e, f, g, h
    G[8], G[9], G[10], G[11], G[12], G[13], G[14], G[15] = i, j, k, m, n, o, t, v


@njit(fastmath=FAST)
def _turn(x: Any, cos: Any, sin: Any) -> None:
    half = len(x) // 2
    for i in range(half):
        a, c = x[i], x[half + i]
        x[i] = a * cos[i] - c * sin[i]
        x[half + i] = c * cos[i] + a * sin[i]


@njit(fastmath=FAST)
def _placed(job: Any, x: Any) -> None:
    """A query or key (d,), normed and turned by its place."""
    if job.normed:
        _scaled(x, _mean(x), SMALL, x)
    if job.cos:
        _turn(x, _floats(job.cos, job.size // 2), _floats(job.sin, job.size // 2))


@njit(fastmath=FAST)
def _attend(job: Any, layer: int, begin: int, end: int, scores: Any) -> None:
    """Row and group from begin to end: what is new goes into the caches, and each head says what it has found."""
    n, heads, groups, size = job.rows, job.heads, job.groups, job.size
    parts = carray(at(job.parts), (n, heads + 2 * groups, size), one)
    told = carray(at(job.told), (n, heads, size), one)
    caches = carray(at(job.caches), (job.depth, 2), np.int64)
    keys = carray(at(caches[layer, 0]), (n, groups, job.room, size), one)
    values = carray(at(caches[layer, 1]), (n, groups, job.room, size), one)
    shared, count, scale = heads // groups, job.age + 1, one(1.0 / math.sqrt(size))
    for unit in range(begin, end):
        b, g = unit // groups, unit % groups
        key = parts[b, heads + g]
        _placed(job, key)
        keys[b, g, job.age] = key
        values[b, g, job.age] = parts[b, heads + groups + g]
        for h in range(g * shared, g * shared + shared):
            query = parts[b, h]
            _placed(job, query)
            _asked(query, keys[b, g], count, scores)
            _chances(scores, count, scale)
            _said(scores, values[b, g], count, told[b, h])


@njit(fastmath=FAST)
def _asked(query: Any, keys: Any, count: int, scores: Any) -> None:
    """Products of a query (d,) with so many keys, four at a time."""
    widely()
    k = 0
    while k + 4 <= count:
        p, q, r, s = keys[k], keys[k + 1], keys[k + 2], keys[k + 3]
        a = b = c = d = one(0)
        for i in range(len(query)):
            a += query[i] * p[i]
            b += query[i] * q[i]
            c += query[i] * r[i]
            d += query[i] * s[i]
        scores[k], scores[k + 1], scores[k + 2], scores[k + 3] = a, b, c, d
        k += 4
    while k < count:
        scores[k] = dot(query, keys[k])
        k += 1


@njit(fastmath=FAST)
def _said(chances: Any, values: Any, count: int, target: Any) -> None:
    """The values' mean by these chances, eight at a time."""
    widely()
    mixed(chances, values, count % 8, target)
    for k in range(count % 8, count, 8):
        a, b, c, d = chances[k], chances[k + 1], chances[k + 2], chances[k + 3]
        e, f, g, h = chances[k + 4], chances[k + 5], chances[k + 6], chances[k + 7]
        p, q, r, s = values[k], values[k + 1], values[k + 2], values[k + 3]
        t, u, v, w = values[k + 4], values[k + 5], values[k + 6], values[k + 7]
        for i in range(len(target)):
            target[i] += (a * p[i] + b * q[i] + c * r[i] + d * s[i]) + (e * t[i] + f * u[i] + g * v[i] + h * w[i])


@njit(fastmath=FAST)
def _chances(scores: Any, count: int, scale: Any) -> None:
    """Softmax of the first so many, scaled."""
    widely()
    top, total = scores[0], one(0)
    for k in range(count):
        top = max(top, scores[k])
    for k in range(count):
        chance = raised((scores[k] - top) * scale)
        scores[k] = chance
        total += chance
    for k in range(count):
        scores[k] /= total


@njit(fastmath=FAST, forceinline=True)
def _error(x: Any) -> Any:
    """erf to 1.5e-7 (Abramowitz & Stegun, 7.1.26)."""
    size = abs(x)
    t = one(1) / (one(1) + one(P) * size)
    poly = t * (one(A1) + t * (one(A2) + t * (one(A3) + t * (one(A4) + t * one(A5)))))
    found = one(1) - poly * raised(-size * size)
    return -found if x < 0 else found


@njit(fastmath=FAST)
def _felt(kind: int, wide: Any, hidden: int, begin: int, end: int, narrow: Any) -> None:
    """What a row of the feed lets through; see `decoding.FEEDS`."""
    widely()
    if kind == 0:
        for i in range(begin, end):
            narrow[i] = wide[i] / (one(1) + raised(-wide[i])) * wide[hidden + i]
    elif kind == 1:
        for i in range(begin, end):
            x = wide[i]
            narrow[i] = one(0.5) * x * (one(1) + tanh_of(one(0.7978845608028654) * (x + one(0.044715) * x * x * x)))
    elif kind == 2:
        for i in range(begin, end):
            narrow[i] = max(wide[i], one(0))
    elif kind == 3:
        for i in range(begin, end):
            x = max(wide[i], one(0))
            narrow[i] = x * x
    else:
        for i in range(begin, end):
            narrow[i] = one(0.5) * wide[i] * (one(1) + _error(wide[i] * one(0.7071067811865476)))


@njit(fastmath=FAST)
def _layers(job: Any, epsilon: float, worker: int, workers: int) -> None:
    rows, width, hidden = job.rows, job.width, job.hidden
    inner = job.heads * job.size
    outputs = inner + 2 * job.groups * job.size
    X, told = _matrix(job.x, rows, width), _matrix(job.told, rows, inner)
    parts, narrow = _matrix(job.parts, rows, outputs), _matrix(job.narrow, rows, hidden)
    across = 2 * hidden if job.feed == 0 else hidden
    wide = _matrix(job.wide, rows, across)
    own = _floats(job.own + 4 * worker * job.spare, job.spare)
    normed = own[: rows * width].reshape(rows, width)
    room = own[rows * width :]
    addresses = carray(at(job.weights), (job.depth, 12), np.int64)
    for layer in range(job.depth):
        w = addresses[layer]
        _norm(job, epsilon, X, w[0], w[1], normed)
        begin, end = _share(outputs, worker, workers)
        _map(normed, w[2], w[3], outputs, begin, end, parts, False, room)
        _together(job)
        begin, end = _share(rows * job.groups, worker, workers)
        _attend(job, layer, begin, end, room)
        _together(job)
        begin, end = _share(width, worker, workers)
        _map(told, w[4], w[5], width, begin, end, X, True, room)
        _together(job)
        _norm(job, epsilon, X, w[6], w[7], normed)
        begin, end = _share(hidden, worker, workers)
        _map(normed, w[8], w[9], across, begin, end, wide, False, room)
        if job.feed == 0:
            _map(normed, w[8], w[9], across, hidden + begin, hidden + end, wide, False, room)
        for b in range(rows):
            _felt(job.feed, wide[b], hidden, begin, end, narrow[b])
        _together(job)
        begin, end = _share(width, worker, workers)
        _map(narrow, w[10], w[11], width, begin, end, X, True, room)
        _together(job)


@njit
def _together(job: Any) -> None:
    if job.barrier:
        wait(job.barrier)


@njit
def _share(count: int, worker: int, workers: int) -> Any:
    return count * worker // workers, count * (worker + 1) // workers


@njit
def _floating(bits: int) -> float:
    room = np.empty(1, np.int64)
    room[0] = bits
    return room.view(np.float64)[0]


def _entry(address: Any) -> None:
    numbers = carray(address, HEAD + FIELDS, np.int64)
    first, _, step = turns(numbers)
    job = Job(*to_fixed_tuple(numbers[HEAD:], FIELDS))
    _layers(job, _floating(job.epsilon), first, step)


@functools.cache
def work() -> Any:
    """The compiled function, void(*job); it can be called without Python's lock."""
    return kept(_entry)
