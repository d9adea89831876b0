"""Judging what the same time brought: every character once, each from as much as is said; the learning rate's fall."""

import numpy as np
import pytest
from benchmarks.equal_time import PACE, judged, pace

RNG = np.random.default_rng(0)


def counting(ids):
    """Logits that depend on how much was read before, and on the character before: (B, T, 65)."""
    depth = np.arange(ids.shape[1])[None, :, None]
    return np.cos(ids[..., None] + 1.0) * np.arange(65) / 65 + 0.01 * np.minimum(depth, 3) * (np.arange(65) == 7)


def nats(logits, asked):
    return np.log(np.exp(logits).sum(-1)) - np.take_along_axis(logits, asked[..., None], -1)[..., 0]


@pytest.mark.parametrize("count", [9, 10, 41, 64])
def test_that_every_character_is_judged_once(count):
    """A network that does not care for more than three characters before is judged as if it read all at once."""
    test = RNG.integers(65, size=count)
    whole = nats(counting(test[None, :-1]), test[None, 1:]).mean()
    assert judged(counting, test, window=8) == pytest.approx(whole, abs=1e-12)


def test_that_each_is_told_from_at_least_half_a_window():
    """Answers of one who says how much he has read: nobody but the first ones has read less than half."""
    read = []

    def asked(ids):
        read.append(ids.shape)
        return counting(ids)

    judged(asked, RNG.integers(65, size=33), window=8)
    assert sum(rows for rows, _ in read) == 7  # from 0, 4, 8, ... 24
    assert {length for _, length in read} == {8}


def test_that_the_learning_rate_rises_then_falls_to_a_tenth():
    assert pace(0.0, 0) == pytest.approx(1 / PACE)
    assert pace(0.0, PACE) == pytest.approx(1.0)
    assert pace(0.5, PACE) == pytest.approx(0.55)
    assert pace(1.2, 9 * PACE) == pytest.approx(0.1)
