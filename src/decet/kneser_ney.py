"""Kneser and Ney's n-grams: how well counts alone tell what comes next, for networks to be held against.

    p(w | h) = max(a(h w) - D, 0) / a(h)  +  (what is taken off) / a(h) * p(w | h without its first token)

where a(h w) counts the n-gram, and below the highest order how many tokens it was seen behind; the discount D differs
for counts of 1, 2, and 3 or more.

References: Kneser & Ney, ICASSP 1995; Chen & Goodman, 1999 (modified, interpolated).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from decet.errors import check_range

Array = NDArray[np.int64]
Reals = NDArray[np.float64]


@dataclass
class _Level:
    """The n-grams of one order. keys (G,) rising: number of the n-gram without its last token * V + that token;
    discounted (G,) max(a - D, 0); of each context (C,) its sum a and what is taken off."""

    keys: Array
    discounted: Reals
    sums: Reals
    taken: Reals

    def found(self, keys: Array) -> Array:
        """The numbers of n-grams by their keys, -1 for those that were not seen."""
        if not len(self.keys):
            return np.full(len(keys), -1, np.int64)
        places = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
        return np.where(self.keys[places] == keys, places, -1)


class KneserNey:
    """N-grams of up to `order` tokens of a stream of tokens 0 to `vocabulary` - 1."""

    def __init__(self, ids: Array, vocabulary: int, order: int) -> None:
        check_range("order", order, 1, 32, whole=True)
        check_range("vocabulary", vocabulary, 1, 1 << 31, whole=True)
        self.vocabulary, self.order = vocabulary, order
        ids = np.asarray(ids, np.int64)
        grams, first = (
            [np.zeros(len(ids) + 1, np.int64)],
            [],
        )  # number of the n-gram that ends at each token; n = 0: one
        keys, counts = [np.zeros(1, np.int64)], [np.array([len(ids)])]
        for n in range(1, order + 1):
            own = np.full(len(ids) + 1, -1, np.int64)
            ends = np.arange(n, len(ids) + 1)
            unique, at, place, times = np.unique(
                grams[-1][ends - 1] * vocabulary + ids[ends - 1], return_index=True, return_inverse=True,
                return_counts=True,
            )  # fmt: skip
            own[ends] = place
            grams.append(own)
            first.append(ends[at])
            keys.append(unique)
            counts.append(times)
        self.levels = []
        for n in range(1, order + 1):
            seen = counts[n]
            if n < order:  # tokens that the n-gram was seen behind: (n + 1)-grams that end in it
                behind = grams[n][first[n]]
                seen = np.bincount(behind, minlength=len(keys[n]))
                seen[seen == 0] = 1  # at the very begin of the stream nothing stands before it
            self.levels.append(_level(keys[n], seen, keys[n] // vocabulary, len(keys[n - 1])))

    @property
    def nbytes(self) -> int:
        """Of all counts."""
        return sum(part.nbytes for level in self.levels for part in vars(level).values())

    def surprises(self, ids: Array) -> Reals:
        """Of every token but the first its -log probability, given up to `order` - 1 tokens before it (n - 1,)."""
        ids = np.asarray(ids, np.int64)
        total = np.full(len(ids), 1.0 / self.vocabulary)
        context = np.zeros(len(ids), np.int64)  # the number of the context of n - 1 tokens before each; -1 = not seen
        for n, level in enumerate(self.levels, 1):
            known = context >= 0
            sums = np.where(known, level.sums[np.maximum(context, 0)], 0.0)
            known &= sums > 0
            gram = level.found(np.where(known, context * self.vocabulary + ids, -1))
            own = np.where(gram >= 0, level.discounted[np.maximum(gram, 0)], 0.0)
            left = level.taken[np.maximum(context, 0)]
            total = np.where(known, (own + left * total) / np.where(known, sums, 1.0), total)
            behind = np.full(len(ids), -1, np.int64)
            behind[1:] = np.where(np.arange(1, len(ids)) >= n, gram[:-1], -1)
            context = behind
        return -np.log(total[1:])


def _level(keys: Array, seen: Array, contexts: Array, count: int) -> _Level:
    """One order's n-grams, of whose last-but-one tokens there are `count` contexts."""
    n1, n2, n3, n4 = (int((seen == k).sum()) for k in (1, 2, 3, 4))
    y = n1 / (n1 + 2 * n2) if n1 and n2 else 0.5
    off = [1 - 2 * y * n2 / n1 if n1 else y, 2 - 3 * y * n3 / n2 if n2 else y, 3 - 4 * y * n4 / n3 if n3 else y]
    discount = np.clip(off, 0.05, [0.95, 1.95, 2.95])[np.minimum(seen, 3) - 1]
    sums: Reals = np.bincount(contexts, seen.astype(np.float64), count).astype(np.float64)
    taken: Reals = np.bincount(contexts, discount, count).astype(np.float64)
    return _Level(keys, seen - discount, sums, taken)
