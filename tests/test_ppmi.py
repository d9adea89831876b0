"""Vectors from counts: the counts by hand, the formula by brute force, the directions as numpy finds them."""

from __future__ import annotations

import numpy as np
import pytest

from decet import ppmi as room
from decet.errors import BadInput
from decet.ppmi import neighbours, ppmi, ppmi_svd

IDS = np.array([0, 1, 2, 0, 1, 3, 2, 2], np.int32)  # a b c a | b d c c
OFFSETS = np.array([0, 4, 8])


def made(count: int = 2_000, vocabulary: int = 30) -> tuple[np.ndarray, np.ndarray]:
    """Sentences of words drawn by Zipf's law, each even word followed by its odd neighbour."""
    rng = np.random.default_rng(0)
    first = np.minimum(rng.zipf(1.5, count // 2) - 1, vocabulary // 2 - 1) * 2
    ids = np.stack([first, first + 1], 1).reshape(-1).astype(np.int32)
    return ids, np.arange(0, count + 1, 20)


def test_neighbours_by_hand() -> None:
    counts = neighbours(IDS, OFFSETS, 4, window=2).toarray()
    expected = np.zeros((4, 4))
    near, far = 1.0, 0.5  # weights of the distances 1 and 2 in a window of 2
    pairs = [(0, 1, near), (1, 2, near), (2, 0, near), (1, 3, near), (3, 2, near), (2, 2, near)]
    pairs += [(0, 2, far), (1, 0, far), (1, 2, far), (3, 2, far)]
    for a, b, weight in pairs:
        expected[a, b] += weight
        expected[b, a] += weight
    assert np.allclose(counts, expected)


def test_words_beyond_the_vocabulary_let_their_neighbours_meet() -> None:
    counts = neighbours(np.array([0, 3, 1]), np.array([0, 3]), 3, window=1).toarray()
    assert counts[0, 1] == counts[1, 0] == 1
    assert counts.sum() == 2


def test_the_formula_by_brute_force() -> None:
    ids, offsets = made()
    counts = neighbours(ids, offsets, 30, window=3)
    dense = counts.toarray().astype(np.float64)
    context = dense.sum(0) ** 0.75 / (dense.sum(0) ** 0.75).sum()
    with np.errstate(divide="ignore", invalid="ignore"):
        expected = np.log(dense / (dense.sum(1, keepdims=True) * context)) - np.log(2)
    expected = np.where(dense > 0, np.maximum(expected, 0), 0)
    assert np.allclose(ppmi(counts, 0.75, 2.0).toarray(), expected, atol=1e-5)


@pytest.mark.parametrize("weighting", [0.0, 0.5, 1.0])
def test_the_directions_are_those_of_a_whole_decomposition(weighting: float) -> None:
    ids, offsets = made()
    vectors = ppmi_svd(ids, offsets, 30, 4, 3, weighting=weighting)
    left, values, _ = np.linalg.svd(ppmi(neighbours(ids, offsets, 30, 3), 0.75, 1.0).toarray())
    whole = left[:, :4] * values[:4] ** weighting
    assert vectors.dtype == np.float32
    assert np.allclose(np.abs(vectors), np.abs(whole), atol=1e-3)


def test_words_with_the_same_neighbours_are_near() -> None:
    ids = np.array([0, 2, 1, 2] * 50 + [3, 4] * 50)  # 0 and 1 have the same neighbour, 2; 3 and 4 have each other
    vectors = ppmi_svd(ids, np.arange(0, 301, 2), 5, 4, 1)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    assert vectors[0] @ vectors[1] == pytest.approx(1, abs=1e-3)
    assert abs(vectors[0] @ vectors[3]) < 1e-3


def test_blocks_and_repeats_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    ids, offsets = made()
    whole, counts = ppmi_svd(ids, offsets, 30, 5), neighbours(ids, offsets, 30, 5).toarray()
    assert (ppmi_svd(ids, offsets, 30, 5) == whole).all()
    monkeypatch.setattr(room, "BLOCK", 7)  # shorter than a sentence
    assert np.allclose(neighbours(ids, offsets, 30, 5).toarray(), counts)


def test_a_word_without_a_neighbour_has_zeros() -> None:
    vectors = ppmi_svd(np.array([0, 1, 0, 1, 2]), np.array([0, 4, 5]), 4, 3)
    assert np.abs(vectors[:2]).max() > 0
    assert not vectors[2:].any()


def test_what_chance_explains_gives_zeros() -> None:
    assert not ppmi_svd(np.array([0, 0, 1, 1]), np.array([0, 2, 4]), 2, 1, shift=1e6).any()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"width": 4}, "width must be a whole number between 1 and 3. Received: 4."),
        ({"window": 0}, "window must be a whole number of at least 1. Received: 0."),
        ({"shift": 0.0}, "shift must be a number of at least 1e-09. Received: 0.0."),
        ({"offsets": np.array([0, 3])}, "offsets must rise from 0 to the number of words. Received: 2 for 8 words."),
        ({"offsets": np.arange(9)}, "no two words of the vocabulary stand together in a sentence"),
    ],
)
def test_what_cannot_be_is_told(change: dict[str, object], message: str) -> None:
    settings = {"ids": IDS, "offsets": OFFSETS, "vocabulary": 4, "width": 2, "window": 2} | change
    with pytest.raises(BadInput, match=message.replace(".", r"\.")):
        ppmi_svd(**settings)  # type: ignore[arg-type]
