"""Rows in compiled kernels: equal to numpy for every number of rows, and as finite as what goes in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numba import njit

from decet.nn import row_kernels as rows
from decet.nn.row_kernels import STEEP, dot, mixed, products, residuals

SIZES = [1, 2, 3, 4, 5, 6, 7, 8, 11, 15, 26]
WIDTHS = [16, 32, 112, 304]


def normal(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng([seed, *shape]).normal(size=shape).astype(np.float32)


def near(ours: Any, theirs: Any, size: float = 1.0) -> None:
    """Equal to 1e-6 of what is summed."""
    np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-6 * size)


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("m", SIZES)
def test_products_are_all_pairs_of_rows(m: int, width: int) -> None:
    for n in SIZES:
        X, Y = normal(m + 2, width), normal(n + 2, width, seed=1)  # rows beyond the last are not looked at
        G = np.full((m + 2) * (n + 2), 9, np.float32)
        products(X, m, Y, n, G)
        near(G[: m * n].reshape(m, n), X[:m].astype(np.float64) @ Y[:n].T, width)
        assert (G[m * n :] == 9).all()


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("count", [0, *SIZES])
def test_mixed_rows_are_their_weighted_sum(count: int, width: int) -> None:
    weights, R, target = normal(count + 1), normal(count + 1, width), normal(width)
    mixed(weights, R, count, target)
    near(target, weights[:count].astype(np.float64) @ R[:count], count)


@pytest.mark.parametrize("width", WIDTHS)
def test_a_product_of_two_rows(width: int) -> None:
    x, y = normal(width), normal(width, seed=1)
    near(dot(x, y), x.astype(np.float64) @ y, width)


SUMS: dict[str, tuple[Callable[..., None], Callable[..., Any]]] = {
    "clear": (njit(lambda t, x, y: rows.clear(t)), lambda t, x, y: 0 * t),
    "copy": (njit(lambda t, x, y: rows.copy(t, x)), lambda t, x, y: x),
    "plus": (njit(lambda t, x, y: rows.plus(t, x)), lambda t, x, y: t + x),
    "plus_times": (njit(lambda t, x, y: rows.plus_times(t, x, y[0])), lambda t, x, y: t + y[0] * x),
    "plus_product": (njit(lambda t, x, y: rows.plus_product(t, x, y, y[1])), lambda t, x, y: t + y[1] * x * y),
}


@pytest.mark.parametrize("name", SUMS)
def test_what_is_done_to_a_row(name: str) -> None:
    ours, theirs = SUMS[name]
    target, x, y = normal(48), normal(48, seed=1), normal(48, seed=2)
    wanted = theirs(target.astype(np.float64), x, y)
    ours(target, x, y)
    near(target, wanted)


def test_half_after_half() -> None:
    halved = njit(lambda times: rows.halved(np.int32(times)))
    assert [halved(times) for times in range(127)] == [2.0**-times for times in range(127)]


# ------------------------------------------------------------------------------------------------------------ losses


def lost(margins: np.ndarray, rate: float = 0.05) -> tuple[float, np.ndarray]:
    """The loss, and what becomes of the margins."""
    moved = margins.astype(np.float32)
    return residuals(moved, np.empty_like(moved), len(moved), np.float32(rate)), moved


@pytest.mark.parametrize("count", [0, *SIZES, 3_000])
@pytest.mark.parametrize("scale", [0.01, 8.0])
def test_residuals_are_the_logistic_loss_and_its_slope(count: int, scale: float) -> None:
    f = (scale * normal(count)).astype(np.float64)
    loss, moved = lost(f)
    near(loss, np.logaddexp(0, f).sum(), max(1.0, np.abs(f).sum()))
    near(moved, -0.05 / (1 + np.exp(-f)))


@pytest.mark.parametrize("margin", [0.0, STEEP, -STEEP, 31.0, -31.0, 87.5, 100.0, -100.0, 1e30, -1e30])
def test_margins_however_large_have_a_loss(margin: float) -> None:
    loss, moved = lost(np.full(7, margin))
    assert loss == pytest.approx(7 * np.logaddexp(0, margin), rel=1e-6)
    near(moved, np.full(7, -0.05 * (0.5 if margin == 0 else float(margin > 0))))


def test_a_loss_of_very_many_margins_does_not_overflow() -> None:
    assert lost(np.zeros(5_000))[0] == pytest.approx(5_000 * np.log(2), rel=1e-6)  # 2^5000 is no number


@pytest.mark.parametrize("place", range(9))
def test_what_is_not_a_number_stays_so(place: int) -> None:
    f = normal(9)
    f[place] = np.nan
    loss, moved = lost(f)
    assert np.isnan(loss)
    assert np.isnan(moved[place])
    assert np.isfinite(np.delete(moved, place)).all()


def test_numbers_that_are_none_stay_so_in_products_and_sums() -> None:
    X, Y, G = normal(5, 16), normal(4, 16, seed=1), np.empty(20, np.float32)
    X[3, 7] = np.nan
    products(X, 5, Y, 4, G)
    assert np.isnan(G.reshape(5, 4)).any(1).tolist() == [False, False, False, True, False]
    target = np.empty(16, np.float32)
    mixed(np.ones(5, np.float32), X, 5, target)
    assert np.flatnonzero(np.isnan(target)).tolist() == [7]
