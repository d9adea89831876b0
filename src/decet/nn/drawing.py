"""What Word2Vec draws at random: which words are left out, windows, negatives; and the Huffman tree.

Each draw is a function of a seed and a word's place in the corpus, so that a compiled kernel and torch draw the same,
any worker can draw any of them, and there is no generator to carry from step to step:

    bits(seed, place) = mix(seed + place * GAMMA)                                        (splitmix64)

Of the 64 bits for a word's place the lower half says whether the word stays, the upper half how far its window reaches.
Negatives are drawn by another seed.

References: splitmix64: Steele et al., OOPSLA 2014; sub-sampling, negatives: Mikolov et al., 1310.4546; aliases: Walker,
ACM TOMS 3, 1977, Vose, IEEE TSE 17, 1991; tree: Huffman, 1952.
"""

from __future__ import annotations

import heapq
from typing import Any

import numpy as np
from numpy.typing import NDArray

from decet.nn import team

GAMMA = 0x9E3779B97F4A7C15
MIX = (0xBF58476D1CE4E5B9, 0x94D049BB133111EB)
OTHER = 0xD1B54A32D192ED03  # what the seed of negatives differs by
GROUP = 4  # centres of CBOW that share their negatives
MORE = 2  # times as many are drawn for them, each counting half: what sharing takes of variety, this gives back
BLOCK = 256  # a multiple of GROUP
MOVES = 32
PACE = 0.01  # of the rate, for the weights of positions, which take part in every window
LOW = np.uint64(0xFFFFFFFF)
HALF = np.uint64(32)

Array = NDArray[Any]
Ids = NDArray[np.int32]
Bits = NDArray[np.uint64]


class Draws:
    """All that is random in a pass over words of these counts (V,).

    bags     whether windows predict their centres (CBOW); else each of their words does (skip-gram)
    group    centres that share their negatives
    drawn    negatives of a group
    block    centres that may be computed from the same rows
    aliases  what negatives are drawn by (V,); None: there are none
    tree     of hierarchical softmax, where there are no negatives: see `huffman`
    """

    def __init__(
        self, counts: Array, *, window: int, negatives: int, sample: float, exponent: float, bags: bool = False
    ):
        self.window, self.negatives = window, negatives
        self.group = GROUP if bags and negatives else 1
        self.drawn = MORE * negatives if bags else negatives
        self.below = thresholds(counts, sample)
        self.block = block_of(counts, self.below, window, negatives, exponent, self.group)
        self.aliases = aliases(weighed(counts, exponent)) if negatives else None
        self.tree = None if negatives else huffman(counts)

    def kept(self, ids: Ids, offsets: Array, first: int, seed: int) -> tuple[Ids, Array, Array]:
        """The words that are not left out, each one's place in the corpus, and where sentences begin among them."""
        places = np.arange(first, first + len(ids), dtype=np.int64)
        edges = offsets - first
        if self.below is None:
            return np.ascontiguousarray(ids), places, edges
        if team.compiles():
            words, places, before = self._compiled(ids, self.below, first, seed)
            return words, places, before[edges]
        stays = (bits(seed, places) & LOW) <= self.below[ids]
        before = np.concatenate([[0], np.cumsum(stays)])
        return np.ascontiguousarray(ids[stays]), places[stays], before[edges]

    def _compiled(self, ids: Ids, below: Bits, first: int, seed: int) -> tuple[Ids, Array, Array]:
        """The same words and places, and how many words stay before each."""
        from decet.nn import drawing_kernels as kernels

        ids = np.ascontiguousarray(ids, np.int32)
        words, places = np.empty(len(ids), np.int32), np.empty(len(ids), np.int64)
        before = np.empty(len(ids) + 1, np.int64)
        job = kernels.Job(
            signed(seed), first, len(ids), ids.ctypes.data, below.ctypes.data, len(below),
            words.ctypes.data, places.ctypes.data, before.ctypes.data,
        )  # fmt: skip
        team.run(kernels.work().address, 1, job)
        return words[: before[-1]], places[: before[-1]], before

    def reaches(self, places: Array, seed: int) -> Array:
        """Words to each side, from 1 to the window, of the words at these places."""
        return 1 + (((bits(seed, places) >> HALF) * np.uint64(self.window)) >> HALF).astype(np.int64)

    def others(self, places: Array, seed: int) -> Array:
        """Negatives (n, drawn) of the groups that begin at these places (n,)."""
        if self.aliases is None:
            return np.empty((len(places), 0), np.int64)
        count = np.uint64(self.drawn)
        each = places.astype(np.uint64)[:, None] * count + np.arange(self.drawn, dtype=np.uint64)
        found = bits(seed ^ OTHER, each)
        place = ((found >> HALF) * np.uint64(len(self.aliases))) >> HALF
        entry = self.aliases[place]
        return np.where((found & LOW) < (entry >> HALF), place, entry & LOW).astype(np.int64)


def bits(seed: int, places: NDArray[Any]) -> Bits:
    """64 random bits of a seed and each place."""
    with np.errstate(over="ignore"):
        z = np.uint64(seed) + places.astype(np.uint64) * np.uint64(GAMMA)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(MIX[0])
        z = (z ^ (z >> np.uint64(27))) * np.uint64(MIX[1])
        return z ^ (z >> np.uint64(31))


def signed(seed: int) -> int:
    """The 64 bits of a seed as the kernels take them, in an int64."""
    return seed if seed < 2**63 else seed - 2**64


def thresholds(counts: Array, sample: float) -> Bits | None:
    """Of 32 random bits, up to which a word stays (V,): with probability sqrt(t / f) + t / f; None = all stay."""
    if not sample:
        return None
    ratio = np.maximum(counts, 1) / (sample * counts.sum())
    chance = np.minimum((np.sqrt(ratio) + 1) / ratio, 1.0)
    return np.maximum(np.floor(chance * 2**32) - 1, 0).astype(np.uint64)


def aliases(weights: NDArray[np.float64]) -> Bits:
    """Walker's tables for drawing words by weight (V,): 32 bits of chance, 32 of the other word."""
    size = len(weights)
    left = (weights / weights.sum() * size).tolist()
    other = list(range(size))
    few = [i for i in range(size) if left[i] < 1]
    many = [i for i in range(size) if left[i] >= 1]
    while few and many:
        small, large = few.pop(), many[-1]
        other[small] = large
        left[large] -= 1.0 - left[small]
        if left[large] < 1.0:
            few.append(many.pop())
    for rest in (*few, *many):
        left[rest] = 1.0
    chance = np.minimum(np.floor(np.array(left) * 2**32), 2**32 - 1).astype(np.uint64)
    return (chance << HALF) | np.array(other, np.uint64)


def weighed(counts: Array, exponent: float) -> NDArray[np.float64]:
    """What negatives are drawn by (V,): count^exponent, and 0 for what never stands there."""
    powers = np.power(np.maximum(counts, 1), exponent, dtype=np.float64)
    return np.where(counts > 0, powers, 0.0)


def block_of(counts: Array, below: Bits | None, window: int, negatives: int, exponent: float, group: int) -> int:
    """Centres that may be computed from the same rows, at most `BLOCK`: so many that none is expected to move more than
    `MOVES` times, for moves that know nothing of each other overshoot where words are few."""
    kept = counts * (1.0 if below is None else (below + 1.0) / 2**32)
    share = kept / kept.sum()
    asked = weighed(counts, exponent)
    times = np.maximum(share + negatives * asked / asked.sum(), (window + 1) * share).max()
    if not negatives:
        times = max(times, 1.0)  # every path begins at the root
    return max(group, int(min(BLOCK, MOVES / times)) // group * group)


def huffman(counts: Array) -> tuple[Array, Ids, NDArray[np.int8]]:
    """Each word's path from the root of the Huffman tree: where it begins (V + 1,), inner nodes, turns (1 = left)."""
    size = len(counts)
    heap = [(int(count), word) for word, count in enumerate(counts)]
    heapq.heapify(heap)
    parent, turn = [0] * (2 * size), [0] * (2 * size)
    for node in range(size, 2 * size - 1):
        (a, left), (b, right) = heapq.heappop(heap), heapq.heappop(heap)
        parent[left], parent[right], turn[left] = node, node, 1
        heapq.heappush(heap, (a + b, node))
    paths, nodes, turns = [0], list[int](), list[int]()
    for word in range(size):
        at, path = word, list[tuple[int, int]]()
        while at != 2 * size - 2:
            path.append((parent[at] - size, turn[at]))
            at = parent[at]
        nodes += [node for node, _ in reversed(path)]
        turns += [taken for _, taken in reversed(path)]
        paths.append(len(nodes))
    return np.array(paths, np.int64), np.array(nodes, np.int32), np.array(turns, np.int8)
