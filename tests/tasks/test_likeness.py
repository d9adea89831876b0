"""How unlike a row is: the Gaussian's own distance, a rest in all other directions, held-out rows as the measure."""

from __future__ import annotations

import numpy as np
import pytest

from decet.errors import BadInput
from decet.tasks.likeness import DIRECTIONS, KEPT, Likeness, Strangeness

RNG = np.random.default_rng(0)


def test_distances_are_mahalanobis() -> None:
    features = RNG.normal(size=(5000, 4)) @ RNG.normal(size=(4, 4))
    asked = 3 * RNG.normal(size=(50, 4))
    inverse, mean = np.linalg.inv(np.cov(features.T)), features.mean(0)
    wanted = np.einsum("ni,ij,nj->n", asked - mean, inverse, asked - mean)
    assert Likeness.of(features).distances(asked) == pytest.approx(wanted, rel=1e-3)


def test_the_nearest_class_counts() -> None:
    centres = np.array([[0.0, 0.0], [100.0, 0.0]])
    ids = np.repeat([0, 1], 500)
    known = Likeness.of(centres[ids] + RNG.normal(size=(1000, 2)), ids)
    here, there, between = known.distances(np.array([[0.0, 0.0], [100.0, 0.0], [50.0, 0.0]]))
    assert max(here, there) < 1
    assert between > 1000
    assert Likeness.of(centres[ids] + RNG.normal(size=(1000, 2))).distances(np.array([[50.0, 0.0]])) < 1  # one class


def test_rows_of_unknown_class_are_left_out() -> None:
    features = np.concatenate([RNG.normal(size=(100, 3)), np.full((5, 3), 1e6)])
    ids = np.concatenate([np.zeros(100, np.int64), np.full(5, -1)])
    assert np.array_equal(Likeness.of(features, ids).means, Likeness.of(features[:100]).means)


def test_directions_beyond_the_main_ones_count_as_a_rest() -> None:
    width = DIRECTIONS + 40
    spreads = np.concatenate([np.full(DIRECTIONS, 9.0), np.full(40, 0.01)])
    known = Likeness.of(RNG.normal(size=(20_000, width)) * np.sqrt(spreads))
    assert known.directions.shape == (width, DIRECTIONS)
    assert known.rest == pytest.approx(0.01, rel=0.02)
    strange = np.zeros((1, width))
    strange[0, -1] = 1.0  # ten spreads out, where training rows hardly vary
    assert known.distances(strange)[0] == pytest.approx(100, rel=0.1)


@pytest.mark.parametrize("rows", [1, 2, 5])
def test_few_rows_are_no_error(rows: int) -> None:
    found = Likeness.of(RNG.normal(size=(rows, 8))).distances(RNG.normal(size=(3, 8)))
    assert np.isfinite(found).all()


def test_features_that_never_vary_are_no_error() -> None:
    found = Likeness.of(np.ones((50, 8))).distances(np.ones((2, 8)))
    assert found.tolist() == [0.0, 0.0]


def test_a_score_is_the_share_of_held_out_rows_that_are_nearer() -> None:
    held = Strangeness.of(np.array([[4.0], [1.0], [2.0], [3.0]]))
    assert held.of_rows(np.array([[0.5], [1.0], [2.5], [9.0]])).tolist() == [0.0, 0.0, 0.5, 1.0]


def test_the_view_that_finds_a_row_farther_counts() -> None:
    held = Strangeness.of(RNG.random((500, 2)))
    ordinary, one, other = held.of_rows(np.array([[0.3, 0.3], [9.0, 0.3], [0.3, 9.0]]))
    assert ordinary < 0.3
    assert one == other == 1.0
    new = held.of_rows(RNG.random((2000, 2)))
    assert np.mean(new) == pytest.approx(0.5, abs=0.05)  # two views do not make ordinary rows strange


def test_of_many_distances_some_are_kept_evenly() -> None:
    held = Strangeness.of(RNG.random((100_000, 1)))
    assert held.distances.shape == (1, KEPT)
    new = RNG.random((1000, 1))
    assert held.of_rows(new) == pytest.approx(new[:, 0], abs=0.01)


def test_it_is_found_again_in_its_arrays() -> None:
    known = Likeness.of(RNG.normal(size=(100, 5)))
    again = Likeness.restore(known.state())
    asked = RNG.normal(size=(4, 5))
    assert np.array_equal(again.distances(asked), known.distances(asked))


@pytest.mark.parametrize(
    "broken",
    [
        {"means": np.zeros((1, 4), np.float32)},
        {"means": np.zeros((0, 5), np.float32)},
        {"directions": np.zeros((5, 9), np.float32)},
        {"spreads": np.zeros(5, np.float32)},
        {"rest": np.zeros(2, np.float32)},
        {"rest": np.zeros(1, np.float32)},
    ],
)
def test_arrays_that_do_not_fit_are_refused(broken) -> None:
    with pytest.raises(BadInput, match="the weights do not fit the settings"):
        Likeness.restore(Likeness.of(RNG.normal(size=(100, 5))).state() | broken)
