"""Reliability, what is left to people, what sets and intervals held: worked by hand."""

from __future__ import annotations

import numpy as np
import pytest

from decet.pages.doubt import SIDE, answered, chance_between, covered_intervals, covered_sets, reliability


def test_a_bin_stands_where_its_rows_are() -> None:
    confidence = np.repeat(np.linspace(0.05, 0.95, 10), 20)
    right = np.tile(np.arange(20) < 10, 10)  # each tenth is right half of the time
    found = reliability(confidence, right)
    assert found is not None
    assert [bin.rows for bin in found.bins] == [20] * 10
    assert [bin.right for bin in found.bins] == [0.5] * 10
    assert found.bins[0].said == pytest.approx(0.05)
    assert found.bins[0].x < found.bins[-1].x
    assert found.bins[0].high < found.bins[0].y < found.bins[0].low <= SIDE  # from the top
    assert 0.2 < found.error < 0.35  # of other bins than those drawn


def test_too_few_rows_have_no_diagram() -> None:
    assert reliability(np.array([0.5]), np.array([True])) is None
    assert answered(np.array([0.5]), np.array([True])) is None


def test_shares_have_exact_intervals() -> None:
    assert chance_between(0, 10) == (0.0, pytest.approx(0.3085, abs=1e-4))  # Clopper & Pearson's table
    assert chance_between(5, 10) == (pytest.approx(0.1871, abs=1e-4), pytest.approx(0.8129, abs=1e-4))
    assert chance_between(10, 10)[1] == 1.0


def test_the_surest_answers_come_first() -> None:
    confidence = np.linspace(1, 0, 100)
    right = np.arange(100) < 80
    found = answered(confidence, right)
    assert found is not None
    assert dict(found.said) == {0.5: 1.0, 0.8: 1.0, 0.9: pytest.approx(80 / 90), 1.0: 0.8}
    assert len(found.points.split()) > 10


def test_no_share_is_above_one_where_all_are_right() -> None:
    found = answered(np.linspace(0.6, 1.0, 20), np.ones(20, dtype=bool))
    assert found is not None
    assert [text for _, text in found.up][-1] == "1.000"


def test_sets_by_hand() -> None:
    inside = np.array([[True, False], [True, True], [False, False], [False, True]])
    found = covered_sets(inside, np.array([0, 1, 1, -1]), ["no", "yes"], 0.9)
    assert found is not None
    assert found.share == pytest.approx(2 / 3)
    assert found.size == 1.0
    assert found.counts == ((0, 1), (1, 1), (2, 1))
    assert found.classes == (("yes", 2, 0.5), ("no", 1, 1.0))


def test_intervals_by_hand() -> None:
    found = covered_intervals(np.array([0.0, 0.0, 0.0]), np.array([1.0, 2.0, 3.0]), np.array([0.5, 5.0, np.nan]), 0.8)
    assert found is not None
    assert (found.share, found.size, found.asked) == (0.5, 1.5, 0.8)
    assert not found.counts


def test_rows_of_unknown_truth_alone_have_none() -> None:
    assert covered_sets(np.ones((2, 2), bool), np.array([-1, -1]), ["a", "b"], 0.9) is None
    assert covered_intervals(np.zeros(1), np.ones(1), np.array([np.nan]), 0.9) is None
