"""A corpus: texts as the numbers of their words, most frequent first, on the disk where they do not fit in memory.

The texts are walked over once. Each new word gets the next free number, and the numbers are written down; then words
are counted, sorted and pruned, and the numbers replaced, block by block. Words that are too rare are left out, so that
those around them become neighbours, as in word2vec.

Two words that stand together more often than chance has them, as "new york", may become one (`phrases`):

    score(a, b) = (count(a, b) - least) * size of the vocabulary / (count(a) * count(b))  >  threshold

Reference: Mikolov et al., 1310.4546 (phrases, formula 6; rare words left out).
"""

from __future__ import annotations

import itertools
import os
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from decet.data.words import END
from decet.errors import BadInput, check_range, listed

Array = np.ndarray
IN_MEMORY = 1 << 20  # words, more are kept in a file
BLOCK = 1 << 18  # words worked on at a time
LONGEST = 10_000  # words of a sentence; longer ones are cut
LITTLE = 100_000  # words, below which none is too rare to be learned, and vectors are of little worth
COMMON = 5  # times that a word must stand in larger corpora, where it is not said
JOIN = "_"  # between the words of a phrase
_END, _RARE = -1, -2  # numbers of a sentence's end, and of a word that is left out


@dataclass
class Corpus:
    """Numbers of words, sentence after sentence.

    ids       int32, read by slices; a word's number is its rank by frequency
    offsets   (sentences + 1,) int64, where each sentence begins
    words     by number
    counts    (V,) int64, of each word in the corpus
    read      words read, rare ones too
    types     different words read
    findings  sentences about what was found
    """

    ids: Numbers | Array
    offsets: Array
    words: list[str]
    counts: Array
    read: int
    types: int
    findings: list[str]

    def __len__(self) -> int:
        return len(self.ids)

    def renumber(self, new: Array) -> None:
        """Give word i the number new[i]."""
        ids = Numbers(np.int32)
        for begin in range(0, len(self.ids), BLOCK):
            ids.add(new[self.ids[begin : begin + BLOCK]])
        self.ids = ids


class Numbers:
    """Numbers appended, then read by slices; from `IN_MEMORY` on they lie in a file that is gone once nobody holds it,
    so that a corpus takes little more memory the longer it is."""

    def __init__(self, kind: Any) -> None:
        self.kind, self.parts, self.size = np.dtype(kind), list[Array](), 0
        self.file: Any = None

    def add(self, numbers: Array) -> None:
        numbers = np.ascontiguousarray(numbers, self.kind)
        self.size += len(numbers)
        if self.file is None and self.size > IN_MEMORY:
            self.file = tempfile.TemporaryFile(prefix="decet-corpus-")  # noqa: SIM115  it lives as long as this
            for part in self.parts:
                part.tofile(self.file)
            self.parts = []
        if self.file is None:
            self.parts.append(numbers)
        else:
            numbers.tofile(self.file)

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, part: slice) -> Array:
        first, last, _ = part.indices(self.size)
        if self.file is None:
            if len(self.parts) != 1:
                self.parts = [np.concatenate([np.empty(0, self.kind), *self.parts])]
            return self.parts[0][first:last]
        self.file.flush()
        width = self.kind.itemsize
        raw = os.pread(self.file.fileno(), max(0, last - first) * width, first * width)
        return np.frombuffer(raw, self.kind)

    def blocks(self) -> Iterator[Array]:
        """All of them, `BLOCK` at a time."""
        for begin in range(0, self.size, BLOCK):
            yield self[begin : begin + BLOCK]


def read_corpus(
    pieces: Iterable[str],
    cut: Callable[[str], list[str]],
    *,
    min_count: int | None = None,
    max_size: int | None = None,
    phrases: int = 0,
    threshold: float = 10.0,
    name: str = "the corpus",
) -> Corpus:
    """Read texts, a line a sentence, cut into words by `cut` (see `words.cutter`).

    min_count: rarer words are left out; None: 5 from 100,000 words on, else 1. max_size: words kept, the most
    frequent. phrases: times that pairs of words are joined. threshold: score from which a pair is a phrase.
    Raises BadInput where no word is left, and says how many would be at lower counts.
    """
    check_range("min_count", min_count, 1, whole=True)
    check_range("max_size", max_size, 2, whole=True)
    check_range("phrases", phrases, 0, whole=True)
    numbers, words, empty, read = _numbered(pieces, cut)
    if not read:
        raise BadInput(f"there are no words in {name}." + (f" All {empty:,} lines are empty." if empty else ""))
    counts = _counted(numbers, len(words))
    if min_count is None:
        min_count = COMMON if read >= LITTLE else 1
    findings = list[str]()
    if empty:
        lines = "1 line without a word was" if empty == 1 else f"{empty:,} lines without a word were"
        findings.append(f"{lines} left out.")
    for _ in range(phrases):
        numbers, words, counts, found = _with_phrases(numbers, words, counts, min_count, threshold)
        findings.append(f"{found:,} pairs of words became phrases.")
        if not found:
            break
    order = np.array(sorted(range(len(words)), key=words.__getitem__), np.int64)
    often = order[np.argsort(-counts[order], kind="stable")][: int((counts >= min_count).sum())]
    if len(often) < 2:
        raise BadInput(_told_few(name, counts, min_count))
    kept = often[:max_size]
    new = np.full(len(words), _RARE, np.int32)
    new[kept] = np.arange(len(kept), dtype=np.int32)
    ids, offsets, cuts = _pruned(numbers, new)
    if cuts:
        lines = "1 sentence" if cuts == 1 else f"{cuts:,} sentences"
        findings.append(f"{lines} of more than {LONGEST:,} words cut to pieces of so many.")
    types, told = len(words), "\n".join([words[i] for i in kept.tolist()])
    words.clear()  # the few that are kept would hold all the memory that the many lay in
    return Corpus(ids, offsets, told.split("\n"), counts[kept], read, types, findings)


def _numbered(pieces: Iterable[str], cut: Callable[[str], list[str]]) -> tuple[Numbers, list[str], int, int]:
    """Numbers of all words in order of their first occurrence, `_END` after each sentence; the words; lines without
    any; words read."""
    known: defaultdict[str, int] = defaultdict()
    known.default_factory = known.__len__
    known[END] = 0  # becomes -1
    numbers, empty, read, last = Numbers(np.int32), 0, 0, _END
    for piece in pieces:
        found = cut(piece)
        some = np.fromiter(map(known.__getitem__, found), np.int32, len(found)) - 1
        ends = some == _END
        before = np.concatenate([[last == _END], ends[:-1]]) if len(some) else ends
        idle = ends & before  # a line end right after another: a line without words
        empty += int(idle.sum())
        some = some[~idle]
        read += len(some) - int(ends.sum() - idle.sum())
        if len(some):
            last = int(some[-1])
            numbers.add(some)
    if last != _END:
        numbers.add(np.array([_END]))
    del known[END]
    return numbers, list(known), empty, read


def _counted(numbers: Numbers, size: int) -> Array:
    counts = np.zeros(size, np.int64)
    for block in numbers.blocks():
        counts += np.bincount(block[block >= 0], minlength=size)
    return counts


def _pruned(numbers: Numbers, new: Array) -> tuple[Numbers, Array, int]:
    """New numbers without the rare words, where each sentence begins, and how many sentences were cut."""
    ids, ends, done, cuts = Numbers(np.int32), list[Array](), 0, 0
    for block in numbers.blocks():
        some = np.where(block >= 0, new[np.maximum(block, 0)], block)
        some = some[some != _RARE]
        stops = np.flatnonzero(some == _END)
        bounds = done + stops - np.arange(len(stops))  # where sentences end among the words alone
        ids.add(some[some != _END])
        done += len(some) - len(stops)
        ends.append(bounds)
    edges = np.concatenate([np.zeros(1, np.int64), *ends])
    ends.clear()
    edges = edges[np.diff(edges, prepend=-1) > 0]  # rising: a sentence of rare words alone leaves none
    sizes = np.diff(edges)
    if len(sizes) and sizes.max() > LONGEST:
        cuts = int((sizes > LONGEST).sum())
        extra = [np.arange(a + LONGEST, b, LONGEST) for a, b in itertools.pairwise(edges) if b - a > LONGEST]
        edges = np.unique(np.concatenate([edges, *extra]))
    return ids, edges, cuts


def _with_phrases(
    numbers: Numbers, words: list[str], counts: Array, least: int, threshold: float
) -> tuple[Numbers, list[str], Array, int]:
    """Pairs that score above the threshold become one word; from the left, each word in one pair."""
    keys = _scoring(numbers, counts, least, threshold)
    if not len(keys):
        return numbers, words, counts, 0
    known = {word: number for number, word in enumerate(words)}  # a_b and c give the same word as a and b_c
    pairs = zip((keys // len(words)).tolist(), (keys % len(words)).tolist(), strict=True)
    joined = [known.setdefault(f"{words[a]}{JOIN}{words[b]}", len(known)) for a, b in pairs]
    out, carry = Numbers(np.int32), np.empty(0, np.int64)
    for block in numbers.blocks():
        block = np.concatenate([carry, block])
        stop = int(np.append(np.flatnonzero(block == _END), -1).max()) + 1  # whole sentences; the last ends too
        out.add(_replaced(block[:stop], keys, np.array(joined), len(words)))
        carry = block[stop:]
    return out, list(known), _counted(out, len(known)), len(keys)


def _scoring(numbers: Numbers, counts: Array, least: int, threshold: float) -> Array:
    """The pairs (a, b) that are phrases, as a * V + b, rising."""
    size, often = len(counts), counts >= least
    kept, waiting, more = (np.empty(0, np.int64), np.empty(0, np.int64)), list[tuple[Array, Array]](), 0
    for begin in range(0, len(numbers), BLOCK):
        block = numbers[begin : begin + BLOCK + 1].astype(np.int64)
        a, b = block[:-1], block[1:]
        good = (a >= 0) & (b >= 0)
        good[good] = often[a[good]] & often[b[good]]
        waiting.append(np.unique(a[good] * size + b[good], return_counts=True))
        more += len(waiting[-1][0])
        if more > max(BLOCK, len(kept[0])):  # seldom, so that the time stays in proportion to the corpus
            kept, waiting, more = _summed([kept, *waiting]), [], 0
    keys, found = _summed([kept, *waiting])
    expected = counts[keys // size].astype(np.float64) * counts[keys % size]
    return keys[(found >= least) & ((found - least) * float(often.sum()) > threshold * expected)]


def _summed(parts: list[tuple[Array, Array]]) -> tuple[Array, Array]:
    """Keys, rising, and their counts, from several of such."""
    keys, place = np.unique(np.concatenate([keys for keys, _ in parts]), return_inverse=True)
    return keys, np.bincount(place, np.concatenate([found for _, found in parts]), len(keys)).astype(np.int64)


def _replaced(block: Array, keys: Array, joined: Array, size: int) -> Array:
    """Whole sentences in which each pair of `keys` (rising) is the one number of `joined`."""
    pair = block[:-1].astype(np.int64) * size + block[1:]
    place = np.minimum(np.searchsorted(keys, pair), len(keys) - 1)
    hit = (keys[place] == pair) & (block[:-1] >= 0) & (block[1:] >= 0)
    at = np.arange(len(hit))
    before = np.maximum.accumulate(np.where(hit, -1, at))  # the last place without a pair
    at = at[hit & ((at - before) % 2 == 1)]  # of overlapping pairs every other one, from the left
    block = block.copy()
    block[at] = joined[place[at]]
    return np.delete(block, at + 1)


def _told_few(name: str, counts: Array, min_count: int) -> str:
    """How many words are left at which count."""
    if len(counts) == 1:
        return f"there is one word only in {name}, {int(counts[0]):,} times, and nothing to learn it from."
    if min_count == 1:
        return f"{name} holds {len(counts):,} words, too few to learn from. Give more text."
    at = sorted({1, 2, 3, 4, 5, min_count // 2} & set(range(1, min_count)), reverse=True)
    told = listed(f"{int((counts >= c).sum()):,} at {c}" for c in at)
    return (
        f"{int((counts >= min_count).sum())} of the {len(counts):,} different words of {name} stand there {min_count} "
        f"times (min_count), and two are needed; left would be {told}. Say --inputs.min_count {at[-1]}, or give more "
        "text."
    )
