"""What is compiled for Word2Vec: its random numbers are those of `drawing`, and its memory holds what it writes.

What the kernel learns stands in `test_word_steps`.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from numba import njit

from decet.nn import word_kernels as kernels
from decet.nn.drawing import OTHER, Draws, bits
from decet.nn.word_kernels import Job, room_of, work

SEEDS = [0, 7, 2**63 + 5, 2**64 - 1]


def job_of(**said: int) -> Job:
    """A job of nothing but what is said."""
    return Job(**{**dict.fromkeys(Job._fields, 0), "window": 5, **said})


@njit
def _draws(seed: Any, places: Any) -> Any:
    return np.array([kernels.draw(seed, place) for place in places])


@njit
def _negatives(seed: Any, places: Any, drawn: int, aliases: Any) -> Any:
    found = np.empty((len(places), drawn), np.int64)
    for i in range(len(places)):
        for k in range(drawn):
            number = places[i] * np.uint64(drawn) + np.uint64(k)
            found[i, k] = kernels._negative(aliases, kernels.draw(seed ^ np.uint64(OTHER), number))
    return found


@pytest.mark.parametrize("seed", SEEDS)
def test_the_kernel_draws_the_same_bits(seed: int) -> None:
    places = np.concatenate([np.arange(50), [2**31, 2**40, 2**62]]).astype(np.uint64)
    assert np.array_equal(_draws(np.uint64(seed), places), bits(seed, places))


@pytest.mark.parametrize("seed", SEEDS)
def test_the_kernel_draws_the_same_negatives(seed: int) -> None:
    counts = np.random.default_rng(0).integers(1, 10_000, 333)
    drawn = Draws(counts, window=5, negatives=5, sample=0.0, exponent=0.75, bags=True)
    places = np.arange(1_000, 3_000, dtype=np.uint64)
    found = _negatives(np.uint64(seed), places, drawn.drawn, drawn.aliases)
    assert np.array_equal(found, drawn.others(places, seed))
    assert len(np.unique(found)) > 320


SIZES = [  # group, most_in, most_out, width
    pytest.param(1, 10, 6, 16, id="skip-gram"),
    pytest.param(4, 4, 14, 112, id="cbow"),
    pytest.param(1, 2, 37, 304, id="a deep tree"),
    pytest.param(1, 2_000, 1_001, 16, id="as wide as can be"),
    pytest.param(1, 2, 1, 16, id="as narrow as can be"),
]


@pytest.mark.parametrize(("group", "most_in", "most_out", "width"), SIZES)
def test_a_workers_scratch_has_room_for_what_lies_in_it(group: int, most_in: int, most_out: int, width: int) -> None:
    room, slot = room_of(group, most_in, most_out, width)
    assert room % 64 == slot % 64 == 0  # each worker's begins with a line of the cache
    memory = np.zeros(2 * room + 3 * slot + 64, np.uint8)
    base = -(-memory.ctypes.data // 64) * 64
    sizes = {"group": group, "most_in": most_in, "most_out": most_out, "width": width}
    job = job_of(**sizes, scratch=base, room=room, store=base + 2 * room, slot=slot)
    lying = [*kernels._room(job, 0), *kernels._room(job, 1), *kernels._stored(job, 0), *kernels._stored(job, 2)]
    spans = [(part.ctypes.data, part.ctypes.data + part.nbytes) for part in lying]
    assert spans[0][0] == base
    assert all(end <= begin for (_, end), (begin, _) in pairwise(spans))  # in this order, none over another
    assert spans[8][1] <= base + room
    assert spans[17][1] <= base + 2 * room
    assert spans[20][1] <= base + 2 * room + slot
    assert spans[-1][1] <= base + 2 * room + 3 * slot
    for rows in (part for part in lying if part.ndim == 2 and part.dtype == np.float32):
        assert rows.ctypes.data % 64 == 0


def test_the_numbers_of_a_unit_lie_side_by_side() -> None:
    numbers = np.arange(2 + 2 * 4 + 2 * 14, dtype=np.int32)
    n, centres, lows, highs, outs, labels = kernels._slot(job_of(group=4, most_out=14), numbers)
    assert (n, centres) == (0, 1)
    assert [*lows, *highs, *outs, *labels] == list(range(2, 38))
    assert (len(lows), len(highs), len(outs), len(labels)) == (4, 4, 14, 14)


@pytest.mark.parametrize("window", [1, 3])
def test_positions_are_counted_from_the_farthest_before(window: int) -> None:
    away = [*range(-window, 0), *range(1, window + 1)]
    assert [kernels._position(window, distance) for distance in away] == list(range(2 * window))


def test_a_centre_is_found_in_its_sentence() -> None:
    edges = np.array([0, 3, 4, 9])
    assert [kernels._sentence_of(edges, 3, centre) for centre in range(9)] == [0, 0, 0, 1, 2, 2, 2, 2, 2]


@pytest.mark.parametrize("deterministic", [False, True])
def test_each_kind_is_compiled_once(deterministic: bool) -> None:
    assert work(deterministic) is work(deterministic)
    assert work(deterministic) is not work(not deterministic)
