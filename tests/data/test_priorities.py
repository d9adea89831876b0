"""Priorities: places are drawn as often as their shares say, and the tree is the same when built anew."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from decet.data.priorities import LEAST, Priorities
from decet.training.checkpoint import same_tree


def shared(errors: list[float], exponent: float = 1.0) -> Priorities:
    found = Priorities(len(errors), exponent)
    places = np.arange(len(errors))
    found.admit(places)
    found.learn(places, np.array(errors))
    return found


@pytest.mark.parametrize(("exponent", "expected"), [(1.0, [0.1, 0.2, 0.3, 0.4]), (0.0, [0.25] * 4)])
def test_places_are_drawn_as_often_as_their_shares(exponent: float, expected: list[float]) -> None:
    found = shared([1.0, 2.0, 3.0, 4.0], exponent)
    places, chances = found.draw(100_000, np.random.default_rng(0))
    assert np.bincount(places) / 100_000 == pytest.approx(expected, abs=1e-4)  # one of each equal part of all shares
    assert chances[places == 1] == pytest.approx(expected[1])


def test_what_is_new_is_as_likely_as_the_most_wrong() -> None:
    found = shared([5.0, 1.0])
    more = Priorities(3, 1.0)
    more.restore({"leaves": torch.from_numpy(np.append(found.tree[2:4], 0.0)), "most": found.most})
    more.admit(np.array([2]))
    assert more.tree[more.half + 2] == pytest.approx(5.0 + LEAST)


def test_what_was_dismissed_is_never_drawn_again() -> None:
    found = shared([1.0] * 7)
    found.dismiss(np.array([2, 6]))
    found.learn(np.array([2, 3]), np.array([100.0, 2.0]))  # the error of what was dismissed meanwhile
    places, _ = found.draw(1_000, np.random.default_rng(0))
    assert set(places.tolist()) == {0, 1, 3, 4, 5}


def test_a_tree_built_anew_has_the_same_bits() -> None:
    rng = np.random.default_rng(0)
    found = Priorities(1_000, 0.6)
    for _ in range(200):
        places = rng.integers(0, 1_000, 32)
        found.admit(places)
        found.learn(places, rng.exponential(size=32))
    again = Priorities(1_000, 0.6)
    again.restore(found.state())
    assert np.array_equal(again.tree, found.tree)
    assert same_tree(again.state(), found.state())
