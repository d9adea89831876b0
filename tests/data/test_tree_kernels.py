"""The sum tree: parents are sums, and a running sum finds the leaf that numpy finds."""

from __future__ import annotations

import numpy as np

from decet.data.tree_kernels import build, find, put


def test_parents_are_the_sums_of_their_children() -> None:
    rng = np.random.default_rng(0)
    tree = np.zeros(2 * 64)
    put(tree, rng.integers(0, 64, 100), rng.random(100))
    assert np.allclose(tree[1:64], tree[2:128:2] + tree[3:128:2], rtol=0, atol=0)
    anew = np.concatenate([np.zeros(64), tree[64:]])
    build(anew)
    assert np.array_equal(anew[1:], tree[1:])


def test_a_running_sum_finds_its_leaf() -> None:
    rng = np.random.default_rng(1)
    leaves = np.where(rng.random(128) < 0.3, 0.0, rng.random(128))
    tree = np.concatenate([np.zeros(128), leaves])
    build(tree)
    sums = rng.random(5_000) * tree[1]
    assert np.array_equal(find(tree, sums), np.searchsorted(np.cumsum(leaves), sums, side="right"))


def test_a_leaf_without_a_share_is_never_found() -> None:
    tree = np.concatenate([np.zeros(4), [0.0, 1.0, 0.0, 0.0]])
    build(tree)
    assert find(tree, np.array([0.0, 0.5, 1.0, 1.0000001])).tolist() == [1, 1, 1, 1]
