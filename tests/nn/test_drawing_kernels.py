"""The compiled half of the draws: the same words as by numpy, wherever a passage begins."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest

from decet.nn import team
from decet.nn.drawing import Draws

COUNTS = np.array([5_000, 900, 900, 300, 40, 7, 1])


@contextmanager
def without_kernels(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patched:
        patched.setattr(team, "compiles", lambda: False)
        yield


@pytest.mark.parametrize("seed", [0, 7, 2**63 + 5, 2**64 - 1])
@pytest.mark.parametrize("first", [0, 50, 2**40])
def test_the_kernel_keeps_the_words_that_numpy_keeps(monkeypatch: pytest.MonkeyPatch, seed: int, first: int) -> None:
    drawn = Draws(COUNTS, window=5, negatives=5, sample=1e-3, exponent=0.75)
    ids = np.random.default_rng(0).integers(0, 7, 3_000).astype(np.int32)
    offsets = np.array([0, 1, 400, 401, 3_000]) + first
    found = drawn.kept(ids, offsets, first, seed)
    with without_kernels(monkeypatch):
        plain = drawn.kept(ids, offsets, first, seed)
    assert 0 < len(found[0]) < len(ids)
    for ours, theirs in zip(found, plain, strict=True):
        assert ours.dtype == theirs.dtype
        assert np.array_equal(ours, theirs)


def test_a_passage_without_words_keeps_none() -> None:
    drawn = Draws(COUNTS, window=5, negatives=5, sample=1e-3, exponent=0.75)
    words, places, edges = drawn.kept(np.empty(0, np.int32), np.array([3, 3]), 3, 1)
    assert len(words) == len(places) == 0
    assert edges.tolist() == [0, 0]
