"""Kneser and Ney's n-grams."""

from __future__ import annotations

import numpy as np
import pytest

from decet.errors import BadInput
from decet.kneser_ney import KneserNey


def test_probabilities_of_all_tokens_sum_to_one() -> None:
    """After contexts that were seen, seen in part, and never."""
    rng = np.random.default_rng(0)
    ids = rng.integers(0, 6, 400) * rng.integers(0, 2, 400)
    model = KneserNey(ids, 7, 3)
    for context in ([0, 0], [1, 3], [6, 6], [2, 6], [6, 2]):
        chances = [np.exp(-model.surprises(np.array([*context, token]))[-1]) for token in range(7)]
        assert sum(chances) == pytest.approx(1.0, abs=1e-12)
        assert min(chances) > 0


def test_a_word_that_stands_behind_one_word_alone_is_unlikely_behind_others() -> None:
    """ "Francisco" is as frequent as "glass", and follows "San" always; who follows "the", which neither did so far?"""
    rng = np.random.default_rng(2)
    ids = list[int]()
    for _ in range(400):
        word = int(rng.integers(4, 24))
        ids += [0, 1, word] if rng.random() < 0.5 else [word, 2, int(rng.integers(4, 24))]
    model = KneserNey(np.array([*ids, 3, 5]), 24, 2)
    assert abs(ids.count(1) - ids.count(2)) < 40
    francisco, glass = (model.surprises(np.array([3, token]))[-1] for token in (1, 2))
    assert francisco > glass + 1.0


def test_a_higher_order_tells_more_of_what_repeats() -> None:
    ids = np.tile(np.array([0, 1, 0, 2, 0, 3]), 100)
    losses = [KneserNey(ids[:480], 4, order).surprises(ids[480:]).mean() for order in (1, 2, 3)]
    assert losses[0] > losses[1] > losses[2]
    assert losses[2] < 0.05


def test_text_learned_from_is_told_better_than_other_text() -> None:
    rng = np.random.default_rng(1)
    ids = rng.integers(0, 50, 2_000)
    model = KneserNey(ids, 50, 4)
    assert model.surprises(ids).mean() < 2.5 < np.log(50) < model.surprises(rng.integers(0, 50, 2_000)).mean() + 0.2


def test_orders_that_cannot_be_are_refused() -> None:
    with pytest.raises(BadInput, match="order"):
        KneserNey(np.arange(4), 4, 0)
