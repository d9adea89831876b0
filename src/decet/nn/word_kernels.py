"""The compiled half of Word2Vec's learner, made by numba on the first call.

Work goes unit by unit. In skip-gram a unit is a centre word: the rows that enter are those of its window's words, and
all are asked about the same rows, the centre's and the negatives' (or the nodes on its path). In CBOW it is `group`
centres: the means of their windows enter, each is asked about its own centre and all about the same negatives. The
rows are copied to memory that stays in the nearest cache, X (m, D) and Y (n, D), where all is products of small
matrices,

    G = lr (labels - sigmoid(X Y'))      dX = G Y      dY = G' X

and what comes out is added to the rows. word2vec.c draws fresh negatives for every pair and works one vector at a time;
shared negatives are as accurate (Ji et al., 1604.04661), and one load serves many products. The rows of the next unit
are fetched while one is worked on.

Racing (deterministic 0), each worker adds at once, as word2vec does (Niu et al., 1106.5730). Else a block of centres is
computed from the rows as they stood, then each worker adds, in the centres' order, to the rows that it owns: the same
bits with any number of workers.

Every random number is a function of (seed, the word's place), so that torch can draw the same.
"""

# mypy: disable-error-code="attr-defined, call-arg"
# numba's types do not know what its intrinsics take.

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import numpy as np
from numba import carray, njit
from numba.np.unsafe.ndarray import to_fixed_tuple

from decet.nn.compiled import HEAD, at, kept, turns, wait
from decet.nn.drawing import OTHER, PACE
from decet.nn.drawing_kernels import draw
from decet.nn.row_kernels import (
    asked,
    asked_bags,
    clear,
    copy,
    fetch_row,
    listed,
    one,
    owned,
    plus,
    plus_listed,
    plus_product,
    plus_times,
)


class Job(NamedTuple):
    """What `work` reads, in this order. Addresses in bytes; 0 = there is none of this."""

    bags: int  # 1: a window's mean predicts its centre (CBOW). 0: each word of it does (skip-gram)
    group: int  # centres of a unit
    window: int
    negatives: int  # asked for a centre; 0: hierarchical softmax
    drawn: int  # negatives of a unit; in CBOW each counts for negatives / drawn
    width: int  # floats of a row, a multiple of 16
    centres: int
    words: int  # int32 (centres,)
    places: int  # int64 (centres,): of each word, for its random numbers
    edges: int  # int64 (sentences + 1,): where sentences begin in words
    sentences: int
    inputs: int  # float32 (rows, width)
    outputs: int  # float32 (words or nodes, width)
    aliases: int  # uint64 (V,): a threshold of 32 bits, and below it the other word (see `drawing.aliases`)
    vocabulary: int
    paths: int  # int64 (V + 1,): where each word's path begins in nodes and codes
    nodes: int  # int32
    codes: int  # int8, 1 where the path goes left
    most_in: int  # rows of X in a unit, at most
    most_out: int  # rows of Y in a unit, at most
    parts: int  # int64 (V + 1,): where each word's rows begin in pieces (subwords)
    pieces: int  # int32
    positions: int  # float32 (2 window, width): weights of positions
    moves: int  # float32 (2 window, width): what positions move by, zeros
    seed: int
    rate: int  # float32 (1,)
    found: int  # float64 (workers, 2): loss, and pairs it is the sum of
    scratch: int
    room: int  # bytes of scratch a worker
    store: int
    slot: int  # bytes of store a unit of a block
    block: int  # centres computed from the same rows, deterministic; a multiple of group
    barrier: int  # a function that waits for all threads


FIELDS = len(Job._fields)
LISTED = 256  # rows to be added that are listed at a time
MOVE = 24  # bytes of each in the list


class Rows(NamedTuple):
    """What lies at a job's addresses."""

    words: Any
    places: Any
    edges: Any
    inputs: Any
    outputs: Any
    aliases: Any
    paths: Any
    nodes: Any
    codes: Any
    parts: Any
    pieces: Any
    positions: Any
    moves: Any


class Room(NamedTuple):
    """A worker's scratch: what is to be added (see `listed`), X, dX (m, D), Y, dY (n, D), two rows to spare, and for a
    unit's products margins, the same the other way round, and 1 + e^-|margin|; then two slots of numbers, of this unit
    and the next."""

    moves: Any
    X: Any
    dX: Any
    Y: Any
    dY: Any
    spare: Any
    margins: Any
    turned: Any
    above: Any
    slots: Any


def room_of(group: int, most_in: int, most_out: int, width: int) -> tuple[int, int]:
    """Bytes of scratch a worker, and bytes of store a unit of a block."""
    rows, products, numbers = most_in + most_out, most_in * (most_out + 1), 4 * _slot_size(group, most_out)
    scratch = MOVE * LISTED + 4 * width * (2 * rows + 2) + 12 * products + 2 * numbers
    return -(-scratch // 64) * 64 + 256, 4 * width * rows + -(-numbers // 64) * 64


def _slot_size(group: int, most_out: int) -> int:
    """Numbers of a unit: how many are asked, where each centre's window begins and ends, whom, and labels."""
    return 2 + 2 * group + 2 * most_out


@njit(forceinline=True)
def _rows(job: Any) -> Any:
    many, words = 1 << 40, job.vocabulary
    width = job.width
    return Rows(
        carray(at(job.words), job.centres, np.int32),
        carray(at(job.places), job.centres, np.int64),
        carray(at(job.edges), job.sentences + 1, np.int64),
        carray(at(job.inputs), (many // width, width), np.float32),
        carray(at(job.outputs), (many // width, width), np.float32),
        carray(at(job.aliases), words, np.uint64),
        carray(at(job.paths), words + 1, np.int64),
        carray(at(job.nodes), many, np.int32),
        carray(at(job.codes), many, np.int8),
        carray(at(job.parts), words + 1, np.int64),
        carray(at(job.pieces), many, np.int32),
        carray(at(job.positions), (2 * job.window, width), np.float32),
        carray(at(job.moves), (2 * job.window, width), np.float32),
    )


@njit(forceinline=True)
def _room(job: Any, worker: int) -> Any:
    m, n, width = job.most_in, job.most_out, job.width
    products, numbers = m * (n + 1), 2 + 2 * job.group + 2 * n
    base = job.scratch + worker * job.room
    moves = carray(at(base), (LISTED, MOVE // 8), np.int64)
    base += MOVE * LISTED
    X = carray(at(base), (m, width), np.float32)
    base += 4 * m * width
    dX = carray(at(base), (m, width), np.float32)
    base += 4 * m * width
    Y = carray(at(base), (n, width), np.float32)
    base += 4 * n * width
    dY = carray(at(base), (n, width), np.float32)
    base += 4 * n * width
    spare = carray(at(base), (2, width), np.float32)
    base += 8 * width
    margins = carray(at(base), products, np.float32)
    base += 4 * products
    turned = carray(at(base), products, np.float32)
    base += 4 * products
    above = carray(at(base), products, np.float32)
    base += 4 * products
    return Room(moves, X, dX, Y, dY, spare, margins, turned, above, carray(at(base), (2, numbers), np.int32))


# -------------------------------------------------------------------------------------------- what a unit is about


@njit(forceinline=True)
def _negative(aliases: Any, bits: Any) -> Any:
    """A word drawn by Walker's aliases: 32 bits choose a place, 32 whether the word there or the other one."""
    low = np.uint64(0xFFFFFFFF)
    place = ((bits >> np.uint64(32)) * np.uint64(len(aliases))) >> np.uint64(32)
    entry = aliases[place]
    return np.int32(place if (bits & low) < (entry >> np.uint64(32)) else entry & low)


@njit(forceinline=True)
def _ask(job: Any, rows: Any, unit: int, sentence: int, numbers: Any) -> int:
    """Write down what a unit is about (see `_slot`), and have its rows fetched; the sentence it ends in.

    A window is of 1 to `window` words, drawn for its centre, so that nearer words count more.
    """
    group, words = job.group, rows.words
    first, last = unit * group, min((unit + 1) * group, job.centres)
    lows, highs = numbers[2 : 2 + group], numbers[2 + group : 2 + 2 * group]
    outs, labels = numbers[2 + 2 * group : 2 + 2 * group + job.most_out], numbers[2 + 2 * group + job.most_out :]
    for centre in range(first, last):
        while centre >= rows.edges[sentence + 1]:
            sentence += 1
        bits = draw(np.uint64(job.seed), np.uint64(rows.places[centre]))
        reach = 1 + int(((bits >> np.uint64(32)) * np.uint64(job.window)) >> np.uint64(32))
        lows[centre - first] = max(rows.edges[sentence], centre - reach)
        highs[centre - first] = min(rows.edges[sentence + 1], centre + reach + 1)
        if job.parts == 0 and centre + job.window < job.centres:
            fetch_row(job.inputs, words[centre + job.window], job.width)
    n = 0
    if job.negatives == 0:
        word = words[first]
        for k in range(rows.paths[word], rows.paths[word + 1]):
            outs[n], labels[n] = rows.nodes[k], rows.codes[k]
            n += 1
    else:
        for centre in range(first, last):
            outs[n], labels[n] = words[centre], 1
            n += 1
        seed, place = np.uint64(job.seed) ^ np.uint64(OTHER), np.uint64(rows.places[first]) * np.uint64(job.drawn)
        for k in range(job.drawn):
            other = _negative(rows.aliases, draw(seed, place + np.uint64(k)))
            if job.bags or other != outs[0]:
                outs[n], labels[n] = other, 0
                n += 1
    for k in range(n):
        fetch_row(job.outputs, outs[k], job.width)
    numbers[0], numbers[1] = n, last - first
    return sentence


@njit(forceinline=True)
def _slot(job: Any, numbers: Any) -> Any:
    """(n, centres, where their windows begin and end, rows asked about, labels) out of a unit's numbers."""
    group, begin = job.group, 2 + 2 * job.group
    outs, labels = numbers[begin : begin + job.most_out], numbers[begin + job.most_out :]
    return numbers[0], numbers[1], numbers[2 : 2 + group], numbers[2 + group : begin], outs, labels


@njit(error_model="numpy", forceinline=True)
def _word_row(job: Any, rows: Any, word: int, target: Any) -> None:
    """The vector of a word: its row, or the mean of its subwords' rows."""
    if job.parts == 0:
        copy(target, rows.inputs[word])
        return
    first, last = rows.parts[word], rows.parts[word + 1]
    clear(target)
    share = one(1) / one(last - first)
    for k in range(first, last):
        plus_times(target, rows.inputs[rows.pieces[k]], share)


@njit(error_model="numpy", forceinline=True)
def _mean_row(job: Any, rows: Any, low: int, high: int, centre: int, target: Any, spare: Any) -> None:
    """The mean of a window's words but its centre, by position weighed."""
    clear(target)
    if high - low < 2:
        return
    for j in range(low, high):
        if j == centre:
            continue
        if job.parts == 0 and job.positions == 0:
            plus(target, rows.inputs[rows.words[j]])
            continue
        _word_row(job, rows, rows.words[j], spare)
        if job.positions:
            plus_product(target, spare, rows.positions[_position(job.window, j - centre)], one(1))
        else:
            plus(target, spare)
    share = one(1) / one(high - low - 1)
    for d in range(len(target)):
        target[d] *= share


@njit(forceinline=True)
def _position(window: int, away: int) -> int:
    """-window, ..., -1, 1, ..., window as 0, ..., 2 window - 1."""
    return window + away - (1 if away > 0 else 0)


@njit(forceinline=True)
def _work(job: Any, rows: Any, room: Any, unit: int, numbers: Any, rate: Any, dX: Any, dY: Any) -> Any:
    """dX and dY of a unit; its loss, and the pairs it is the sum of."""
    n, centres, lows, highs, outs, labels = _slot(job, numbers)
    first, pairs = unit * job.group, 0
    for k in range(n):
        copy(room.Y[k], rows.outputs[outs[k]])
    if job.bags:
        for i in range(centres):
            _mean_row(job, rows, lows[i], highs[i], first + i, room.X[i], room.spare[0])
            pairs += highs[i] - lows[i] >= 2
        if job.negatives:
            return asked_bags(
                room, centres, n, one(job.negatives) / one(job.drawn), outs, lows, highs, rate, dX, dY
            ), pairs
        return asked(room, pairs, n, labels, rate, dX, dY), pairs
    for j in range(lows[0], highs[0]):
        if j != first:
            _word_row(job, rows, rows.words[j], room.X[pairs])
            pairs += 1
    return asked(room, pairs, n, labels, rate, dX, dY), pairs


# ------------------------------------------------------------------------------------------------ what a unit moves


@njit(forceinline=True)
def _move(
    job: Any, rows: Any, unit: int, numbers: Any, dX: Any, dY: Any, moves: Any, count: int, worker: int, workers: int
) -> int:
    """List what a unit moves of the rows that the worker owns; how many are listed now.

    As in word2vec.c and fastText, what a mean moves by goes to each of its parts in full.
    """
    n, centres, lows, highs, outs, _ = _slot(job, numbers)
    width, stride, i = job.width, 4 * job.width, 0
    into, out = dX.ctypes.data, dY.ctypes.data
    for k in range(n):
        own = owned(outs[k], worker, workers)
        count = listed(moves, count, job.outputs + outs[k] * stride, out + k * stride, 0, own, width)
    for c in range(centres):
        centre = unit * job.group + c
        for j in range(lows[c], highs[c]):
            if j == centre:
                continue
            row, word, weight = into + (c if job.bags else i) * stride, rows.words[j], 0
            i += 1
            if job.positions:
                weight = job.positions + _position(job.window, j - centre) * stride
            if job.parts == 0:
                own = owned(word, worker, workers)
                count = listed(moves, count, job.inputs + word * stride, row, weight, own, width)
                continue
            for k in range(rows.parts[word], rows.parts[word + 1]):
                piece = rows.pieces[k]
                own = owned(piece, worker, workers)
                count = listed(moves, count, job.inputs + piece * stride, row, weight, own, width)
    return count


@njit(error_model="numpy", forceinline=True)
def _turn(
    job: Any, rows: Any, unit: int, numbers: Any, dX: Any, spare: Any, target: Any, worker: int, workers: int
) -> None:
    """Add to the positions' weights, those that the worker owns, or to what they will move by."""
    _, centres, lows, highs, _, _ = _slot(job, numbers)
    for c in range(centres):
        centre = unit * job.group + c
        for j in range(lows[c], highs[c]):
            place = _position(job.window, j - centre)
            if j != centre and (workers == 1 or place % workers == worker):
                _word_row(job, rows, rows.words[j], spare)
                plus_product(target[place], spare, dX[c], one(PACE) / one(highs[c] - lows[c] - 1))


# ------------------------------------------------------------------------------------------------------- a worker


@njit
def _sentence_of(edges: Any, sentences: int, centre: int) -> int:
    low, high = 0, sentences
    while high - low > 1:
        middle = (low + high) // 2
        if edges[middle] <= centre:
            low = middle
        else:
            high = middle
    return low


@njit
def _race(job: Any, first: int, last: int, worker: int) -> None:
    """The units from first to last, each added at once."""
    rows, room = _rows(job), _room(job, worker)
    rate = carray(at(job.rate), 1, np.float32)[0]
    sentence = _sentence_of(rows.edges, job.sentences, first * job.group)
    loss, pairs = 0.0, 0
    for unit in range(first, last + 1):  # one ahead of the unit that is worked on
        if unit < last:
            sentence = _ask(job, rows, unit, sentence, room.slots[unit & 1])
        if unit > first:
            numbers = room.slots[(unit - 1) & 1]
            more, count = _work(job, rows, room, unit - 1, numbers, rate, room.dX, room.dY)
            if count:
                moved = _move(job, rows, unit - 1, numbers, room.dX, room.dY, room.moves, 0, 0, 1)
                plus_listed(room.moves, moved, job.width, LISTED)  # they are near: they were read just now
                if job.positions:
                    _turn(job, rows, unit - 1, numbers, room.dX, room.spare[0], rows.positions, 0, 1)
            loss += more
            pairs += count
    _tell(job, worker, loss, pairs)


@njit
def _tell(job: Any, worker: int, loss: float, pairs: int) -> None:
    found = carray(at(job.found), (worker + 1, 2), np.float64)
    found[worker, 0] += loss
    found[worker, 1] += pairs


# ------------------------------------------------------------------------------------------- the same bits always


@njit(forceinline=True)
def _stored(job: Any, place: int) -> Any:
    """dX, dY and the numbers of a block's unit."""
    m, n, width = job.most_in, job.most_out, job.width
    base = job.store + place * job.slot
    dX = carray(at(base), (m, width), np.float32)
    dY = carray(at(base + 4 * m * width), (n, width), np.float32)
    return dX, dY, carray(at(base + 4 * (m + n) * width), 2 + 2 * job.group + 2 * n, np.int32)


@njit
def _freeze(job: Any, first: int, last: int, begin: int, worker: int) -> None:
    """What the units from first to last move, by the rows as they stand, into the store."""
    rows, room = _rows(job), _room(job, worker)
    rate = carray(at(job.rate), 1, np.float32)[0]
    sentence = _sentence_of(rows.edges, job.sentences, first * job.group)
    loss, pairs = 0.0, 0
    for unit in range(first, last + 1):
        if unit < last:
            sentence = _ask(job, rows, unit, sentence, _stored(job, unit - begin)[2])
        if unit > first:
            dX, dY, numbers = _stored(job, unit - 1 - begin)
            more, count = _work(job, rows, room, unit - 1, numbers, rate, dX, dY)
            if count == 0:
                numbers[0] = numbers[1] = 0  # nothing moves
            loss += more
            pairs += count
    _tell(job, worker, loss, pairs)


@njit
def _thaw(job: Any, first: int, last: int, turning: int, worker: int, workers: int) -> None:
    """Add what a block's units move, in their order, to what the worker owns: rows, or (turning) positions."""
    rows, room, count = _rows(job), _room(job, worker), 0
    for unit in range(first, last):
        dX, dY, numbers = _stored(job, unit - first)
        if turning:
            _turn(job, rows, unit, numbers, dX, room.spare[0], rows.moves, worker, workers)
        else:
            count = _move(job, rows, unit, numbers, dX, dY, room.moves, count, worker, workers)
    plus_listed(room.moves, count, job.width)


@njit
def _turned(job: Any, worker: int, workers: int) -> None:
    """The positions' weights move."""
    rows = _rows(job)
    for place in range(worker, 2 * job.window, workers):
        plus(rows.positions[place], rows.moves[place])
        clear(rows.moves[place])


@njit
def _in_blocks(job: Any, first: int, last: int, step: int, workers: int) -> None:
    """Blocks one after the other; no thread begins a part before all have done the one before."""
    units = (job.centres + job.group - 1) // job.group
    block = job.block // job.group
    for begin in range(0, units, block):
        size = min(block, units - begin)
        for worker in range(first, last, step):
            start, stop = begin + size * worker // workers, begin + size * (worker + 1) // workers
            _freeze(job, start, stop, begin, worker)
        _together(job)
        if job.positions:
            for worker in range(first, last, step):
                _thaw(job, begin, begin + size, 1, worker, workers)
            _together(job)
        for worker in range(first, last, step):
            _thaw(job, begin, begin + size, 0, worker, workers)
        _together(job)
        if job.positions:
            for worker in range(first, last, step):
                _turned(job, worker, workers)
            _together(job)


@njit
def _together(job: Any) -> None:
    if job.barrier:
        wait(job.barrier)


def _racing(address: Any) -> None:
    numbers = carray(address, HEAD + FIELDS, np.int64)
    first, last, step = turns(numbers)
    job, workers = Job(*to_fixed_tuple(numbers[HEAD:], FIELDS)), numbers[3]
    units = (job.centres + job.group - 1) // job.group
    for worker in range(first, last, step):
        _race(job, units * worker // workers, units * (worker + 1) // workers, worker)


def _ordered(address: Any) -> None:
    numbers = carray(address, HEAD + FIELDS, np.int64)
    first, last, step = turns(numbers)
    _in_blocks(Job(*to_fixed_tuple(numbers[HEAD:], FIELDS)), first, last, step, numbers[3])


@functools.cache
def work(deterministic: bool) -> Any:
    """The compiled function, void(*job); it can be called without Python's lock."""
    return kept(_ordered if deterministic else _racing)
