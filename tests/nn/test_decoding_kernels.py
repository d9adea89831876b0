"""What is compiled for decoding: a map's share of outputs, and the squashings of the feed."""

from __future__ import annotations

import math

import numpy as np
import pytest

pytest.importorskip("numba")

from decet.nn import decoding_kernels as kernels
from decet.nn.decoding import FEEDS

RNG = np.random.default_rng(0)


def floats(*shape: int) -> np.ndarray:
    return RNG.normal(size=shape).astype(np.float32)


@pytest.mark.parametrize("rows", [1, 4, 7])
@pytest.mark.parametrize("add", [False, True])
def test_a_map_writes_its_outputs_and_no_other(rows: int, add: bool) -> None:
    X, W, bias, Y = floats(rows, 10), floats(23, 10), floats(23), floats(rows, 23)
    before, room = Y.copy(), np.empty(4 * rows, np.float32)
    kernels._map(X, W.ctypes.data, bias.ctypes.data, 23, 5, 18, Y, add, room)
    wanted = X @ W.T + bias + (before if add else 0)
    np.testing.assert_allclose(Y[:, 5:18], wanted[:, 5:18], atol=1e-5)
    np.testing.assert_array_equal(Y[:, :5], before[:, :5])
    np.testing.assert_array_equal(Y[:, 18:], before[:, 18:])


@pytest.mark.parametrize("kind", FEEDS)
def test_feeds_squash_as_they_are_named(kind: str) -> None:
    wide, found = 4 * floats(40), np.full(20, np.nan, np.float32)
    kernels._felt(FEEDS.index(kind), wide, 20, 3, 17, found)
    x, other = wide[:20].astype(np.float64), wide[20:]
    wanted = {
        "gated": x / (1 + np.exp(-x)) * other,
        "gelu-tanh": 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))),
        "relu": np.maximum(x, 0),
        "relu2": np.maximum(x, 0) ** 2,
        "gelu": 0.5 * x * (1 + np.array([math.erf(v / math.sqrt(2)) for v in x])),
    }[kind]
    np.testing.assert_allclose(found[3:17], wanted[3:17], atol=2e-6, rtol=2e-6)
    assert np.isnan(found[:3]).all()
    assert np.isnan(found[17:]).all()


def test_chances_add_up_to_one_whatever_their_size() -> None:
    scores = np.array([500.0, 499.0, -500.0, 0.0], np.float32)
    kernels._chances(scores, 3, np.float32(1.0))
    np.testing.assert_allclose(scores[:3], [1 / (1 + math.exp(-1)), 1 / (1 + math.e), 0], atol=1e-6)
    assert scores[3] == 0.0
