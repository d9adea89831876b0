"""Bootstrap intervals: worked by hand, and paired."""

from __future__ import annotations

import numpy as np
import pytest

from decet.referee import intervals
from decet.referee.intervals import interval, resampled, shared_by
from decet.tasks.classify import Classify
from decet.tasks.regress import Regress


def right(*answers: int) -> np.ndarray:
    """Items of an accuracy: right or not, all known."""
    return np.stack([np.array(answers, float), np.ones(len(answers))], 1)


def accuracy(sums: np.ndarray) -> np.ndarray:
    return sums[..., 0] / sums[..., 1]


def test_two_items_by_hand() -> None:
    """Of two items, one right: a resample has 0, 1 or 2 of the right one, in a quarter, a half, a quarter of cases."""
    scores = resampled([right(1, 0)], accuracy, seed=0, rounds=20_000)
    assert scores.shape == (1, 20_000)
    shares = [float((scores == value).mean()) for value in (0.0, 0.5, 1.0)]
    assert shares == pytest.approx([0.25, 0.5, 0.25], abs=0.01)
    assert interval(0.5, scores[0]) == (0.5, 0.0, 1.0)


def test_differences_are_paired() -> None:
    """B is right where A is, and on one more: however items are drawn, it is never worse; each alone varies widely."""
    a, b = right(*[1] * 5 + [0] * 5), right(*[1] * 6 + [0] * 4)
    one, other = resampled([a, b], accuracy, seed=3)
    assert ((other - one) >= 0).all()
    assert interval(0.1, other - one).low == 0.0
    # The difference is the share of draws of one item of ten: binomial(10, 0.1) / 10.
    assert float((other - one).mean()) == pytest.approx(0.1, abs=0.01)
    assert float((other - one).std()) == pytest.approx(0.095, abs=0.01)
    assert interval(0.5, one).low < 0.3


def test_a_contender_is_never_apart_from_itself() -> None:
    one, other = resampled([right(1, 0, 1), right(1, 0, 1)], accuracy, seed=0)
    assert (one == other).all()


def test_the_seed_alone_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    items = [right(*np.random.default_rng(0).integers(0, 2, 50))]
    whole = resampled(items, accuracy, seed=1)
    assert (resampled(items, accuracy, seed=1) == whole).all()
    assert (resampled(items, accuracy, seed=2) != whole).any()
    monkeypatch.setattr(intervals, "_CELLS", 333)  # a few resamples at a time
    assert (resampled(items, accuracy, seed=1) == whole).all()


def test_an_interval_agrees_with_theory() -> None:
    items = [right(*[1] * 80 + [0] * 20)]
    found = interval(0.8, resampled(items, accuracy, seed=0)[0])
    assert found.low == pytest.approx(0.8 - 1.96 * 0.04, abs=0.015)
    assert found.high == pytest.approx(0.8 + 1.96 * 0.04, abs=0.015)


def test_what_is_undefined_stays_so() -> None:
    found = interval(float("nan"), np.full(10, np.nan))
    assert np.isnan(found).all()
    assert interval(1.0, np.array([np.nan, 1.0, 1.0])) == (1.0, 1.0, 1.0)


def test_a_perfect_share_may_have_been_luck() -> None:
    """Of 30 right answers of 30: 0.025 ** (1 / 30)."""
    (scores,) = resampled([right(*[1] * 30)], accuracy, seed=0)
    assert interval(1.0, scores, trials=30) == (1.0, pytest.approx(0.8843, abs=1e-4), 1.0)
    assert interval(0.0, 1 - scores, trials=30) == (0.0, 0.0, pytest.approx(0.1157, abs=1e-4))


def test_who_is_right_more_often_is_not_less_sure() -> None:
    lows = []
    for wrong in range(5):
        items = right(*[0] * wrong, *[1] * (30 - wrong))
        lows.append(interval(1 - wrong / 30, resampled([items], accuracy, seed=0)[0], trials=30).low)
    assert lows == sorted(lows, reverse=True)


def test_a_share_between_is_that_of_its_resamples() -> None:
    (scores,) = resampled([right(1, 0, 1, 1)], accuracy, seed=0)
    assert interval(0.75, scores, trials=4) == interval(0.75, scores)


def test_only_labels_are_a_share_of_items() -> None:
    items = np.ones((30, 2))
    assert shared_by(Classify(), items) == 30
    assert (
        shared_by(Classify(), np.array([[1, 1, 1, 1], [1, 0, 1, 0], [0, 0, 1, 0]])) == 1
    )  # known of the second column
    assert shared_by(Regress(), items) is None
