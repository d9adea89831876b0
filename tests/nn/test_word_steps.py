"""The step of word vectors: the kernel and torch agree, workers change no bit, what is learned is learned."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from decet.nn.drawing import BLOCK, Draws
from decet.nn.word_steps import Passage, Tables, compiled, plain, step

WORDS, WIDTH, BUCKETS = 60, 32, 40
KINDS = {  # bags, negatives, subwords, positions
    "skip-gram": (False, 5, False, False),
    "skip-gram of subwords": (False, 5, True, False),
    "skip-gram by the tree": (False, 0, False, False),
    "cbow": (True, 5, False, False),
    "cbow of subwords": (True, 5, True, False),
    "cbow by the tree": (True, 0, False, False),
    "cbow by position": (True, 5, False, True),
    "cbow of subwords by position": (True, 3, True, True),
}


def made(kind: str, seed: int = 0) -> tuple[Tables, Draws]:
    """Tables with random rows, so that nothing is zero, and their draws."""
    bags, negatives, subwords, positions = KINDS[kind]
    rng = np.random.default_rng(seed)
    counts = np.sort(rng.integers(5, 500, WORDS))[::-1].copy()

    def rows(count: int) -> torch.Tensor:
        return torch.from_numpy(rng.normal(0, 0.3, (count, WIDTH)).astype(np.float32))

    parts = pieces = None
    if subwords:
        each = [[word, *(WORDS + rng.integers(0, BUCKETS, rng.integers(0, 4)))] for word in range(WORDS)]
        parts = np.cumsum([0, *map(len, each)])
        pieces = np.array([row for some in each for row in some], np.int32)
    window = 3
    weights = 1 + 0.1 * rows(2 * window) if positions else None
    drawn = Draws(counts, window=window, negatives=negatives, sample=0.05, exponent=0.75, bags=bags)
    return Tables(rows(WORDS + BUCKETS * subwords), rows(WORDS), bags, parts, pieces, weights), drawn


def passage_of(drawn: Draws, seed: int, words: int = 3 * BLOCK + 37) -> Passage:
    rng = np.random.default_rng(seed)
    ids = rng.integers(0, WORDS, words).astype(np.int32)
    offsets = np.unique([0, *rng.integers(0, words, words // 9), words])  # some sentences of one word
    return Passage(*drawn.kept(ids, offsets + 1000, 1000, seed=7))


@pytest.mark.parametrize("kind", KINDS)
def test_the_kernel_moves_rows_as_torch_does(kind):
    (one, drawn), (other, _) = made(kind), made(kind)
    passage = passage_of(drawn, 1)
    loss, pairs = compiled(one, drawn, passage, 7, 0.05, deterministic=True)
    loss_plain, pairs_plain = plain(other, drawn, passage, 7, 0.05)
    assert pairs == pairs_plain > 400
    assert loss == pytest.approx(loss_plain, rel=1e-5)
    before = made(kind)[0]
    for name in ("vectors", "outputs", "positions"):
        ours, theirs, old = (getattr(tables, name) for tables in (one, other, before))
        if ours is not None:
            torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)
            assert not torch.equal(ours, old)


@pytest.mark.parametrize("kind", KINDS)
def test_the_number_of_workers_changes_no_bit(kind):
    found = []
    for threads in (1, 2, 3):
        tables, drawn = made(kind)
        torch.set_num_threads(threads)
        compiled(tables, drawn, passage_of(drawn, 2, 2_000), 7, 0.05, deterministic=True)
        found.append(tables)
    torch.set_num_threads(1)
    for other in found[1:]:
        assert torch.equal(found[0].vectors, other.vectors)
        assert torch.equal(found[0].outputs, other.outputs)


@pytest.mark.parametrize("kind", KINDS)
def test_one_worker_races_to_the_same_bits(kind):
    found = []
    torch.set_num_threads(1)
    for _ in range(2):
        tables, drawn = made(kind)
        loss, _ = step(tables, drawn, passage_of(drawn, 3), 7, 0.05, deterministic=False)
        found.append((tables, loss))
    assert torch.equal(found[0][0].vectors, found[1][0].vectors)
    assert found[0][1] == found[1][1]


@pytest.mark.parametrize("kind", KINDS)
def test_a_passage_is_learned_by_heart(kind):
    tables, drawn = made(kind)
    passage = passage_of(drawn, 4)
    losses = [np.divide(*step(tables, drawn, passage, 7, 0.05, deterministic=False)) for _ in range(40)]
    assert losses[-1] < losses[0] - 0.3


def test_a_window_of_one_word_is_nothing_to_learn_from():
    tables, drawn = made("cbow")
    before = tables.vectors.clone()
    words = np.arange(9, dtype=np.int32)
    alone = Passage(words, words.astype(np.int64), np.arange(10, dtype=np.int64))
    assert step(tables, drawn, alone, 7, 0.05, deterministic=False) == (pytest.approx(0, abs=1e-9), 0)
    assert torch.equal(tables.vectors, before)
