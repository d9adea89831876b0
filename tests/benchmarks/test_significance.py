"""The corrected resampled t-test and Holm's procedure, worked by hand."""

from __future__ import annotations

import math

import pytest
from benchmarks.significance import chance_of_below, corrected_t, holm

DIFFERENCES = [0.02, -0.01, 0.03, 0.0]  # mean 0.01, variance (1 + 4 + 4 + 1) 1e-4 / 3


def test_t_corrects_the_variance_for_overlapping_folds() -> None:
    # 90 rows train, 10 test: sqrt((1/4 + 10/90) * 1e-3/3) = 0.0109713, and 0.01 / 0.0109713 = 0.91147
    assert corrected_t(DIFFERENCES, 90, 10) == pytest.approx(0.91147, abs=1e-5)


def test_t_without_test_rows_is_the_ordinary_paired_t() -> None:
    from scipy.stats import ttest_1samp

    assert corrected_t(DIFFERENCES, 90, 0) == pytest.approx(ttest_1samp(DIFFERENCES, 0.0).statistic)


def test_chance_of_below_is_one_sided_with_one_degree_of_freedom_less_than_folds() -> None:
    # Student's distribution with 3 degrees: F(t) = 1/2 + (x / (1 + x^2) + atan x) / pi, x = t / sqrt(3) = 0.52624
    assert chance_of_below(DIFFERENCES, 90, 10) == pytest.approx(0.78536, abs=1e-4)
    assert chance_of_below([-d for d in DIFFERENCES], 90, 10) == pytest.approx(1 - 0.78536, abs=1e-4)


def test_equal_scores_are_no_evidence_and_a_constant_loss_is_all_of_it() -> None:
    assert corrected_t([0.0] * 10, 90, 10) == 0.0
    assert chance_of_below([0.0] * 10, 90, 10) == 0.5
    assert corrected_t([-0.5] * 10, 90, 10) == -math.inf
    assert chance_of_below([-0.5] * 10, 90, 10) == 0.0


def test_holm_multiplies_the_least_by_all_and_never_falls() -> None:
    # sorted: 0.01 * 3 = 0.03; 0.02 * 2 = 0.04; 0.03 * 1 = 0.03, but not below 0.04
    assert holm({"a": 0.03, "b": 0.01, "c": 0.02}) == pytest.approx({"b": 0.03, "c": 0.04, "a": 0.04})
    assert holm({"a": 0.9, "b": 0.8}) == {"b": 1.0, "a": 1.0}
    assert holm({}) == {}
