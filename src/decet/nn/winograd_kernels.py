"""The compiled half of nn.winograd: transforms of tiles and small matrix products, made by numba on the first call.

One C function, `work()`, is handed to torch's own threads (nn.team); it reads a row of whole numbers (`Job`), most of
them addresses, and touches no Python object. numba's array code does not keep a product's 6 x 16 sums in registers, so
the two inner loops, a product and a transform, are written as LLVM instructions; what is around them is plain numba.

A product's sums run over all of K in one order, whichever thread computes them.
"""

# mypy: disable-error-code="attr-defined, call-arg"
# numba's types do not know what its intrinsics take.

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from numba import carray, njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from decet.nn.compiled import HEAD, WORD, at, kept, pointer, turns

LANES = 8  # floats a register: AVX2
PANEL = 16  # columns of a product, two registers: 6 x 2 sums, 2 columns and 1 row's number fill 15 of AVX2's 16
POINTS = {3: (0.0, 0.75, -0.75, 2.0), 4: (0.0, 0.75, -0.75, 1.5, -1.5)}  # half the error of the usual 0, 1, -1, 2, -2

TABLE = 40  # addresses, at most 36 of them used
FLOAT = ir.FloatType()
LINE = ir.VectorType(FLOAT, LANES)


class Job(NamedTuple):
    """What `work` reads, in this order. Addresses and strides are in bytes; pictures are (B, H, W, channels)."""

    slices: int  # workers that share tiles and split the outputs between them (filters' gradient)
    convolve: int  # 1: other = x * filters. 0: filters += x against other
    side: int  # of a tile's outputs, 3 or 4
    block: int  # tiles at a time, so many that their transforms stay in the cache
    batch: int
    height: int  # of x
    width: int
    channels: int
    outputs: int
    x: int
    other: int
    filters: int  # ((side + 2)^2, outputs / 16, channels, 16); the gradient has one of these a worker without slices
    scratch: int
    room: int  # bytes of scratch a worker
    padding: int  # of x, 0 to 2


FIELDS = len(Job._fields)


def matrices(side: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Winograd's (A, G, B) of F(side, 3): y = A' ((G g) * (B d)) for inputs d (side + 2) and filter g (3).

    Toom and Cook's construction: polynomials are multiplied by their values at points and at infinity, and the
    whole is transposed (Lavin & Gray, 1509.09308; points: Barabasz et al., 1803.10986).
    """
    points = POINTS[side]
    a, g, b = np.zeros((side + 2, side)), np.zeros((side + 2, 3)), np.zeros((side + 2, side + 2))
    for i, point in enumerate(points):
        others = points[:i] + points[i + 1 :]
        a[i] = [point**k for k in range(side)]
        g[i] = np.array([point**k for k in range(3)]) / np.prod([point - other for other in others])
        b[i, :-1] = np.poly(others)[::-1]
    a[-1, -1] = g[-1, -1] = 1.0
    b[-1] = np.poly(points)[::-1]
    return a, g, b


def stride(block: int, channels: int) -> int:
    """Bytes of a block of tiles' numbers of one frequency; off the powers of two, whose lines evict each other."""
    return block * (channels + PANEL) * 4 + 64


def room(block: int, channels: int, outputs: int, side: int) -> int:
    """Bytes of scratch of one worker, whole lines of 64."""
    tables = (3 * 8 + 64) * TABLE + 2 * 4 * max(channels, outputs)
    return tables + (side + 2) ** 2 * (stride(block, channels) + stride(block, outputs))


# ---------------------------------------------------------------------------------------------- LLVM, inner loops


def _fixed(number: int) -> ir.Constant:
    return ir.Constant(WORD, number)


def _load(build: Any, address: Any, kind: Any = LINE) -> Any:
    return build.load(pointer(build, address, kind), align=8 if kind is WORD else 4)


def _store(build: Any, line: Any, address: Any) -> None:
    build.store(line, pointer(build, address, LINE), align=4)


def _same(build: Any, number: Any) -> Any:
    """A number in all lanes."""
    undefined = ir.Constant(LINE, ir.Undefined)
    line = build.insert_element(undefined, number, ir.Constant(ir.IntType(32), 0))
    return build.shuffle_vector(line, undefined, ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES))


def _fma(build: Any, a: Any, b: Any, c: Any) -> Any:
    kind = ir.FunctionType(LINE, [LINE, LINE, LINE])
    return build.call(cgutils.get_or_insert_function(build.module, kind, f"llvm.fma.v{LANES}f32"), [a, b, c])


def _fetch(build: Any, address: Any, to_write: bool = False, near: int = 3) -> None:
    """Ask for a line of the cache before it is needed, into the nearest (3) or the second (2)."""
    byte, half = ir.IntType(8).as_pointer(), ir.IntType(32)
    kind = ir.FunctionType(ir.VoidType(), [byte, half, half, half])
    hints = (ir.Constant(half, n) for n in (int(to_write), near, 1))
    build.call(build.module.declare_intrinsic("llvm.prefetch", [byte], kind), [build.inttoptr(address, byte), *hints])


@intrinsic
def _soon(typing: Any, address: Any, lines: Any) -> Any:
    """Ask for so many lines from an address on."""

    def make(context: Any, build: Any, signature: Any, given: Any) -> Any:
        with cgutils.for_range(build, given[1]) as loop:
            _fetch(build, build.add(given[0], build.shl(loop.index, _fixed(6))), near=2)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64), make


def _product(rows: int, along: bool) -> Any:
    """Rows x 16 sums over K, in registers. a's numbers (m, k) lie at a + m * step + 4 k, and the sums are stored; or,
    `along`, at a + 4 m + k * step, and the sums are added to what is there. b's columns k lie at b + k * pitch."""

    @intrinsic
    def product(typing: Any, a: Any, step: Any, b: Any, pitch: Any, c: Any, width: Any, many: Any) -> Any:
        def make(context: Any, build: Any, signature: Any, given: Any) -> Any:
            a, step, b, pitch, c, width, many = given
            halves = range(PANEL // LANES)
            sums = [[cgutils.alloca_once(build, LINE) for _ in halves] for _ in range(rows)]
            left, right = cgutils.alloca_once_value(build, a), cgutils.alloca_once_value(build, b)
            for line in sums:
                for place in line:
                    build.store(ir.Constant(LINE, [0.0] * LANES), place)
            for m in range(rows if along else 0):  # what is added to in the end
                _fetch(build, build.add(c, build.mul(width, _fixed(m))), True)

            def steps(count: int) -> None:
                first, second = build.load(left), build.load(right)
                for _ in range(count):
                    columns = [_load(build, build.add(second, _fixed(4 * LANES * h))) for h in halves]
                    for m in range(rows):
                        offset = _fixed(4 * m) if along else build.mul(step, _fixed(m))
                        number = _same(build, _load(build, build.add(first, offset), FLOAT))
                        for h in halves:
                            build.store(_fma(build, number, columns[h], build.load(sums[m][h])), sums[m][h])
                    first = build.add(first, step if along else _fixed(4))
                    second = build.add(second, pitch)
                build.store(first, left)
                build.store(second, right)

            with cgutils.for_range(build, build.lshr(many, _fixed(2))):
                steps(4)
            if along:
                with cgutils.for_range(build, build.and_(many, _fixed(3))):
                    steps(1)
            for m in range(rows):
                for h in halves:
                    at = build.add(build.add(c, build.mul(width, _fixed(m))), _fixed(4 * LANES * h))
                    line = build.load(sums[m][h])
                    _store(build, build.fadd(_load(build, at), line) if along else line, at)
            return context.get_dummy_value()

        return types.void(*[types.int64] * 7), make

    return product


def _weighed(build: Any, weights: np.ndarray, lines: Sequence[Any]) -> Any:
    total = None
    for weight, line in sorted(zip(weights, lines, strict=True), key=lambda term: term[0] != 1):
        if weight == 0:
            continue
        factor = ir.Constant(LINE, [float(weight)] * LANES)
        if total is None:
            total = line if weight == 1 else build.fmul(line, factor)
        elif weight == 1:
            total = build.fadd(total, line)
        else:
            total = _fma(build, line, factor, total)
    return total


def _times(build: Any, matrix: np.ndarray, lines: list[Any]) -> list[Any]:
    """matrix @ lines; rows or columns of a point and its negative differ in signs only, which halves the work."""
    matrix, lines = matrix.copy(), list(lines)
    (rows, columns), out = matrix.shape, list[Any]()
    for j in range(columns - 1 if rows < columns else 0):
        one, two = matrix[:, j].copy(), matrix[:, j + 1]
        if np.array_equal(abs(one), abs(two)) and (one != two).any():
            alike = one == two
            lines[j], lines[j + 1] = build.fadd(lines[j], lines[j + 1]), build.fsub(lines[j], lines[j + 1])
            matrix[:, j], matrix[:, j + 1] = one * alike, one * ~alike
    while len(out) < rows:
        i = len(out)
        alike = matrix[i] == matrix[min(i + 1, rows - 1)]
        if np.array_equal(abs(matrix[i]), abs(matrix[min(i + 1, rows - 1)])) and not alike.all():
            even, odd = _weighed(build, matrix[i] * alike, lines), _weighed(build, matrix[i] * ~alike, lines)
            out += [build.fadd(even, odd), build.fsub(even, odd)]
        else:
            out.append(_weighed(build, matrix[i], lines))
    return out


def _transform(matrix: np.ndarray, write: bool) -> Any:
    """matrix @ tile @ matrix' of every channel: tables of the pixels' addresses, from and to; room for what lies
    between the two products (64 bytes a number); bytes of channels, 64 at a time; and the table of the next tile's
    pixels, those that are read, or with `write` those that are written: they lie scattered, so no processor foresees
    them."""
    rows, columns = matrix.shape

    @intrinsic
    def transform(typing: Any, source: Any, target: Any, between: Any, wide: Any, ahead: Any) -> Any:
        def make(context: Any, build: Any, signature: Any, given: Any) -> Any:
            source, target, between, wide, ahead = given

            def pixels(table: Any, first: Any, step: int, count: int, offset: Any) -> list[Any]:
                places = [build.add(build.shl(first, _fixed(3)), _fixed(8 * step * k)) for k in range(count)]
                return [build.add(_load(build, build.add(table, place), WORD), offset) for place in places]

            with cgutils.for_range(build, build.lshr(wide, _fixed(6))) as chunk:
                offset = build.shl(chunk.index, _fixed(6))
                with cgutils.for_range(build, _fixed(columns)) as loop:
                    column = build.add(between, build.shl(loop.index, _fixed(6)))
                    places = pixels(source, loop.index, columns, columns, offset)
                    for place in [] if write else pixels(ahead, loop.index, columns, columns, offset):
                        _fetch(build, place)
                    for half in range(0, 64, 4 * LANES):
                        lines = [_load(build, build.add(place, _fixed(half))) for place in places]
                        for i, line in enumerate(_times(build, matrix, lines)):
                            _store(build, line, build.add(column, _fixed(64 * columns * i + half)))
                with cgutils.for_range(build, _fixed(rows)) as loop:
                    row = build.add(between, build.mul(loop.index, _fixed(64 * columns)))
                    first = build.mul(loop.index, _fixed(rows))
                    places = pixels(target, first, 1, rows, offset)
                    for place in pixels(ahead, first, 1, rows, offset) if write else []:
                        _fetch(build, place, True)
                    for half in range(0, 64, 4 * LANES):
                        lines = [_load(build, build.add(row, _fixed(64 * j + half))) for j in range(columns)]
                        for place, line in zip(places, _times(build, matrix, lines), strict=True):
                            _store(build, line, build.add(place, _fixed(half)))
            return context.get_dummy_value()

        return types.void(*[types.int64] * 5), make

    return transform


_A3, _, _B3 = matrices(3)
_A4, _, _B4 = matrices(4)
_enter3, _leave3, _return3 = _transform(_B3, False), _transform(_A3.T, True), _transform(_A3, False)
_enter4, _leave4, _return4 = _transform(_B4, False), _transform(_A4.T, True), _transform(_A4, False)
_product6, _product4 = _product(6, False), _product(4, False)
_along6, _along4 = _product(6, True), _product(4, True)


# ---------------------------------------------------------------------------------------------- numba, outer loops

stride_of = njit(stride)


@njit
def _picture(table: int, base: int, tile: int, size: int, tiling: Any, edge: int, shape: Any, outside: int) -> None:
    """Addresses of the size x size pixels of a tile; `outside` where the picture has no pixel.

    tiling: tiles in all, those of a picture down and across, and outputs a side of each. edge: pixels before it.
    """
    tiles, down, across, side = tiling
    height, width, wide = shape
    tile = min(tile, tiles - 1)
    picture, top, left = tile // (down * across), tile // across % down * side - edge, tile % across * side - edge
    places = carray(at(table), TABLE, np.int64)
    for i in range(size):
        for j in range(size):
            inside = 0 <= top + i < height and 0 <= left + j < width
            places[i * size + j] = (
                base + ((picture * height + top + i) * width + left + j) * wide if inside else outside
            )


@njit
def _frequencies(table: int, base: int, count: int, step: int) -> None:
    places = carray(at(table), TABLE, np.int64)
    for k in range(count):
        places[k] = base + k * step


@njit
def _enter(side: int, pixels: int, inner: int, between: int, wide: int, ahead: int) -> None:
    if side == 4:
        _enter4(pixels, inner, between, wide, ahead)
    else:
        _enter3(pixels, inner, between, wide, ahead)


@njit
def _return(side: int, pixels: int, inner: int, between: int, wide: int, ahead: int) -> None:
    if side == 4:
        _return4(pixels, inner, between, wide, ahead)
    else:
        _return3(pixels, inner, between, wide, ahead)


@njit
def _leave(side: int, pixels: int, inner: int, between: int, wide: int, ahead: int) -> None:
    if side == 4:
        _leave4(inner, pixels, between, wide, ahead)
    else:
        _leave3(inner, pixels, between, wide, ahead)


@njit
def _multiply(rows: int, a: int, step: int, b: int, c: int, width: int, channels: int, panels: int) -> None:
    """c (rows, panels * 16) = a (rows, channels) @ b (panels, channels, 16); rows: 4, or an even number above."""
    for n in range(panels):
        m, panel = 0, b + n * channels * 64
        while m < rows:
            _soon(panel + (channels + channels * m // rows) * 64, 1 + 6 * channels // rows)  # of the next panel
            if (rows - m) % 6 == 0 or rows - m > 8:
                _product6(a + m * step, step, panel, 64, c + m * width + n * 64, width, channels)
                m += 6
            else:
                _product4(a + m * step, step, panel, 64, c + m * width + n * 64, width, channels)
                m += 4


@njit
def _gather(many: int, a: int, step: int, b: int, pitch: int, c: int, channels: int, panels: int) -> None:
    """c (panels, channels, 16) += a' @ b of a (many, channels), b (many, panels * 16)."""
    for n in range(panels):
        m = 0
        while m < channels:
            if (channels - m) % 6 == 0 or channels - m > 8:
                _along6(a + 4 * m, step, b + n * 64, pitch, c + (n * channels + m) * 64, 64, many)
                m += 6
            else:
                _along4(a + 4 * m, step, b + n * 64, pitch, c + (n * channels + m) * 64, 64, many)
                m += 4


@njit
def _work(job: Any, worker: int, workers: int) -> None:
    slices, convolve, side, block = job[0], job[1], job[2], job[3]
    batch, height, width, channels, outputs = job[4], job[5], job[6], job[7], job[8]
    x, other, filters, padding = job[9], job[10], job[11], job[14]
    size, panels, longest = side + 2, outputs // PANEL, 4 * max(channels, outputs)
    count = size * size
    # the worker's scratch: two tables of pixels, taken in turns, one of frequencies, and so on
    tables = job[12] + worker * job[13]
    inner = tables + 2 * 8 * TABLE
    between = inner + 8 * TABLE
    zeros = between + TABLE * 64  # read where there is no pixel
    waste = zeros + longest  # written where there is none
    entered = waste + longest  # (count, block, channels)
    step, row = stride_of(block, channels), 4 * (channels + PANEL)
    others = entered + count * step  # (count, block, outputs)
    pitch, line = stride_of(block, outputs), 4 * (outputs + PANEL)
    carray(at(zeros), longest // 4, np.float32)[:] = 0.0
    # the worker's share of the tiles and, with slices, of the outputs
    share, shares, piece = worker // slices, workers // slices, worker % slices
    panel, last_panel = panels * piece // slices, panels * (piece + 1) // slices
    tall, broad = height + 2 * padding - 2, width + 2 * padding - 2
    down, across = (tall + side - 1) // side, (broad + side - 1) // side
    tiles = batch * down * across
    tiling = (tiles, down, across, side)
    first, last = tiles * share // shares, tiles * (share + 1) // shares
    blocks = (last - first + block - 1) // block
    of_x, of_other = (height, width, 4 * channels), (tall, broad, 4 * outputs)
    for b in range(blocks):
        start, end = first + (last - first) * b // blocks, first + (last - first) * (b + 1) // blocks
        here = end - start
        for t in range(-1, here):  # a tile ahead
            now, ahead = tables + t % 2 * 8 * TABLE, tables + (t + 1) % 2 * 8 * TABLE
            _picture(ahead, x, start + t + 1, size, tiling, padding, of_x, zeros)
            if t >= 0:
                _frequencies(inner, entered + t * row, count, step)
                _enter(side, now, inner, between, 4 * channels, ahead)
        if convolve:
            for k in range(count):  # rows beyond `here` are not looked at
                a, b_at, c = entered + k * step, filters + k * panels * channels * 64, others + k * pitch
                _multiply(max(4, here + here % 2), a, row, b_at, c, line, channels, panels)
        for t in range(-1, here):
            now, ahead = tables + t % 2 * 8 * TABLE, tables + (t + 1) % 2 * 8 * TABLE
            nowhere = waste if convolve else zeros
            _picture(ahead, other + panel * 64, start + t + 1, side, tiling, 0, of_other, nowhere)
            if t >= 0:
                _frequencies(inner, others + t * line + panel * 64, count, pitch)
                if convolve:
                    _leave(side, now, inner, between, 4 * outputs, ahead)
                else:
                    _return(side, now, inner, between, (last_panel - panel) * 64, ahead)
        if not convolve:
            for k in range(count):
                a, b_at = entered + k * step, others + k * pitch + panel * 64
                c = filters + ((share * count + k) * panels + panel) * channels * 64
                _gather(here, a, row, b_at, line, c, channels, last_panel - panel)


def _entry(address: Any) -> None:
    job = carray(address, HEAD + FIELDS, np.int64)
    first, last, step = turns(job)
    for worker in range(first, last, step):
        _work(job[HEAD:], worker, job[3])


@functools.cache
def work() -> Any:
    """The compiled function, void(*job); it can be called without Python's lock."""
    return kept(_entry)
