"""The compiled half of `drawing`: random bits, and which words of a passage are left out; made by numba."""

# mypy: disable-error-code="attr-defined, call-arg"
# numba's types do not know what its intrinsics take.

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import numpy as np
from numba import carray, njit
from numba.np.unsafe.ndarray import to_fixed_tuple

from decet.nn.compiled import HEAD, at, kept
from decet.nn.drawing import GAMMA, MIX


class Job(NamedTuple):
    """What `work` reads, in this order. Addresses in bytes."""

    seed: int
    first: int  # the first word's place in the corpus
    size: int
    ids: int  # int32 (size,)
    below: int  # uint64 (V,): of 32 random bits, up to which a word stays
    vocabulary: int
    words: int  # int32 (size,): here go those that stay,
    places: int  # int64 (size,): each one's place,
    before: int  # int64 (size + 1,): and how many stay before each


FIELDS = len(Job._fields)


@njit(forceinline=True)
def draw(seed: Any, place: Any) -> Any:
    """64 random bits of a seed and a place; see `drawing.bits`."""
    z = seed + place * np.uint64(GAMMA)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(MIX[0])
    z = (z ^ (z >> np.uint64(27))) * np.uint64(MIX[1])
    return z ^ (z >> np.uint64(31))


def _work(address: Any) -> None:
    numbers = carray(address, HEAD + FIELDS, np.int64)
    job = Job(*to_fixed_tuple(numbers[HEAD:], FIELDS))
    ids, below = carray(at(job.ids), job.size, np.int32), carray(at(job.below), job.vocabulary, np.uint64)
    words, places = carray(at(job.words), job.size, np.int32), carray(at(job.places), job.size, np.int64)
    before = carray(at(job.before), job.size + 1, np.int64)
    low, n = np.uint64(0xFFFFFFFF), 0
    before[0] = 0
    for i in range(job.size):
        place = job.first + i
        found = draw(np.uint64(job.seed), np.uint64(place))
        words[n], places[n] = ids[i], place  # and written over where the word goes: no branch, none foretold wrongly
        n += np.int64((found & low) <= below[ids[i]])
        before[i + 1] = n


@functools.cache
def work() -> Any:
    """The compiled function, void(*job); it can be called without Python's lock."""
    return kept(_work)
