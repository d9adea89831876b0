"""Scales of numbers and their bins."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kstest, norm

from decet.data.scaling import SAMPLE, fit_scaling, some, usual_range

RNG = np.random.default_rng(0)
values = st.lists(st.floats(-1e6, 1e6, width=32), min_size=1, max_size=60).map(np.array)


def test_standard_gives_mean_0_and_spread_1():
    raw = RNG.normal(5e7, 3, 1_000)  # float32 alone would lose all of it
    scaled = fit_scaling(raw, "standard", 8).apply(raw)
    assert abs(scaled.mean()) < 1e-6
    assert abs(scaled.std() - 1) < 1e-6


@pytest.mark.parametrize("raw", [np.full(9, 3.3), np.full(9, 1e9 + 0.1), np.array([2.0]), np.zeros(4)])
def test_values_that_agree_have_spread_1(raw):
    scaling = fit_scaling(raw, "standard", 8)
    assert scaling.std == 1
    assert np.abs(scaling.apply(raw)).max() < 1e-6


def test_quantile_makes_any_distribution_normal():
    raw = np.exp(3 * RNG.normal(size=20_000))
    scaled = fit_scaling(raw, "quantile", 48).apply(raw)
    assert kstest(scaled, norm.cdf).statistic < 0.005


def test_equal_values_share_the_middle_of_their_ranks():
    scaling = fit_scaling(np.array([0.0] * 90 + [1.0] * 10), "quantile", 8)
    assert scaling.apply(np.array([0.0, 1.0])) == pytest.approx(norm.ppf([0.45, 0.95]))


def test_what_lies_beyond_the_training_values_stays_at_their_edge():
    raw = RNG.normal(size=100)
    scaling = fit_scaling(raw, "quantile", 8)
    assert scaling.apply(np.array([-1e9, 1e9])).tolist() == scaling.apply(np.array([raw.min(), raw.max()])).tolist()


def test_no_scale_fills_gaps_with_the_mean():
    scaling = fit_scaling(np.array([1.0, np.nan, 3.0]), "none", 8)
    assert scaling.apply(np.array([7.0])).tolist() == [7.0]
    assert scaling.fill == 2.0


def test_one_value_in_most_rows_does_not_hide_the_others():
    raw = np.concatenate([np.zeros(9_000), np.arange(1, 1_001)])
    edges = fit_scaling(raw, "none", 48).edges
    assert len(edges) > 40
    assert fit_scaling(raw, "quantile", 48).knots.shape[1] > 900


def test_few_values_are_edges_themselves():
    assert fit_scaling(np.array([3.0, 1.0, 2.0, 1.0]), "none", 48).edges.tolist() == [1.0, 2.0, 3.0]


@given(values, st.sampled_from(["quantile", "standard", "none"]), st.integers(1, 20))
def test_scales_keep_the_order_and_edges_rise(raw, scale, bins):
    scaling = fit_scaling(raw, scale, bins)
    scaled = scaling.apply(np.sort(raw))
    assert np.isfinite(scaled).all()
    assert (np.diff(scaled) >= 0).all()
    assert 2 <= len(scaling.edges) <= bins + 1
    assert (np.diff(scaling.edges) > 0).all()
    assert (scaling.edges == scaling.edges.astype(np.float32)).all()


def test_usual_range_leaves_out_one_percent_on_either_side():
    assert usual_range(np.arange(101.0), whole=False) == (1.0, 99.0)
    assert usual_range(np.arange(51.0), whole=True) == (0.0, 50.0)
    assert usual_range(np.array([np.nan]), whole=False) == (0.0, 1.0)


def test_some_rows_are_evenly_spread():
    assert some(5, 10) == slice(None)
    assert some(1_000_001, 3).tolist() == [0, 500_000, 1_000_000]
    assert len(some(10 * SAMPLE, SAMPLE)) == SAMPLE
