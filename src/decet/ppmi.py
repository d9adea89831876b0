"""Word vectors without a network: counts of neighbours, how far they exceed chance, and the main directions of that.

    M(w, c) = max(0, log(n(w, c) / (n(w) P(c))) - log k),   P(c) = n(c)^a / sum n^a        (shifted positive PMI)
    M ~ U S V',   the vectors are U S^p

n(w, c) counts how often c stands within `window` words of w in a sentence, a neighbour d words away (window - d + 1) /
window times, which is what word2vec's drawn windows come to on average.

Reference: Levy, Goldberg & Dagan, Improving Distributional Similarity, TACL 2015 (context distribution smoothing,
shift, weighting of eigenvalues).

Differs from the paper: no sub-sampling of frequent words; the vectors of contexts are not added.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from decet.errors import BadInput, check_range

Array = NDArray[Any]
BLOCK = 1 << 22  # words counted at a time


def ppmi_svd(
    ids: Array,
    offsets: Array,
    vocabulary: int,
    width: int,
    window: int = 5,
    *,
    smoothing: float = 0.75,
    shift: float = 1.0,
    weighting: float = 0.0,
    seed: int = 0,
) -> Array:
    """Vectors of the words 0 to vocabulary - 1, float32 (vocabulary, width).

    ids: (n,) whole numbers, sentence after sentence; words from `vocabulary` on, the rarer ones, are left out, so that
        those around them become neighbours. offsets: (sentences + 1,) where each sentence begins.
    window: neighbours on each side. smoothing: the exponent a. shift: k. weighting: the exponent p.
    A word without a neighbour has a vector of zeros, as all have in directions that the counts do not fill.
    Raises BadInput for sizes that cannot be, and where no two words stand together.
    """
    check_range("vocabulary", vocabulary, 2, whole=True)
    check_range("width", width, 1, vocabulary - 1, whole=True)
    check_range("window", window, 1, whole=True)
    check_range("smoothing", smoothing, 0.0, 1.0)
    check_range("shift", shift, 1e-9)
    check_range("weighting", weighting, 0.0, 1.0)
    counts = neighbours(ids, offsets, vocabulary, window)
    if not counts.nnz:
        raise BadInput("no two words of the vocabulary stand together in a sentence: there is nothing to count.")
    left, values = _main_directions(ppmi(counts, smoothing, shift), width, seed)
    return np.ascontiguousarray(left * values**weighting, dtype=np.float32)


def neighbours(ids: Array, offsets: Array, vocabulary: int, window: int) -> Any:
    """How often words stand near each other, weighted by distance: symmetric float32 CSR (vocabulary, vocabulary)."""
    total = sparse.csr_matrix((vocabulary, vocabulary), dtype=np.float32)
    for words, sentences in _known(np.asarray(ids), np.asarray(offsets), vocabulary):
        for distance in range(1, min(window, len(words) - 1) + 1):
            together = sentences[distance:] == sentences[:-distance]
            pairs = words[:-distance][together], words[distance:][together]
            weight = np.full(len(pairs[0]), (window - distance + 1) / window, dtype=np.float32)
            total = total + sparse.csr_matrix((weight, pairs), shape=total.shape)
    return total + total.T.tocsr()


def _known(ids: Array, offsets: Array, vocabulary: int) -> Iterator[tuple[Array, Array]]:
    """Words of the vocabulary and their sentences' numbers, int32, in blocks of whole sentences."""
    if len(offsets) < 2 or offsets[0] != 0 or offsets[-1] != len(ids) or (np.diff(offsets) < 0).any():
        raise BadInput(
            f"offsets must rise from 0 to the number of words. Received: {len(offsets)} for {len(ids):,} words."
        )
    sentence = 0
    while sentence < len(offsets) - 1:
        after = int(np.searchsorted(offsets, offsets[sentence] + BLOCK, side="right")) - 1
        after = max(after, sentence + 1)  # a sentence may be longer than a block
        words = ids[offsets[sentence] : offsets[after]]
        numbers = np.repeat(np.arange(after - sentence, dtype=np.int32), np.diff(offsets[sentence : after + 1]))
        kept = (words >= 0) & (words < vocabulary)
        yield words[kept].astype(np.int32), numbers[kept]
        sentence = after


def ppmi(counts: Any, smoothing: float, shift: float) -> Any:
    """Shifted positive pointwise mutual information of counts, CSR of the same shape."""
    own = np.asarray(counts.sum(1), np.float64).ravel()
    context = np.asarray(counts.sum(0), np.float64).ravel() ** smoothing
    context /= context.sum()
    rows = np.repeat(np.arange(counts.shape[0]), np.diff(counts.indptr))
    ratio = counts.data / (own[rows] * context[counts.indices])
    values = np.maximum(np.log(ratio) - np.log(shift), 0.0).astype(np.float32)
    found = sparse.csr_matrix((values, counts.indices, counts.indptr), shape=counts.shape)
    found.eliminate_zeros()
    return found


def _main_directions(matrix: Any, width: int, seed: int) -> tuple[Array, Array]:
    """The left singular vectors (V, width) and values (width,), largest first; each vector's largest entry positive."""
    from scipy.sparse.linalg import svds

    if not matrix.nnz:  # no pair stands together more often than chance has it
        return np.zeros((matrix.shape[0], width)), np.zeros(width)
    start = np.random.Generator(np.random.Philox(seed)).standard_normal(matrix.shape[0]).astype(np.float32)
    left, values, _ = svds(matrix, k=width, v0=start, return_singular_vectors="u")
    order = np.argsort(-values, kind="stable")
    left, values = left[:, order], np.maximum(values[order], 0.0)
    left = np.where(values > 1e-6 * max(float(values[0]), 1e-30), left, 0.0)  # directions of rounding mean nothing
    top = left[np.abs(left).argmax(0), np.arange(width)]
    return left * np.where(top < 0, -1.0, 1.0), values
