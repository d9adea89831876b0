"""The sum tree of `priorities`, compiled: an array (2 * half), node i above 2i and 2i + 1, leaves from half on."""

from __future__ import annotations

from typing import Any

import numpy as np

from decet.data.walk_kernels import compiled


@compiled
def put(tree: Any, places: Any, shares: Any) -> None:
    """Set leaves, and the sums above each."""
    half = len(tree) // 2
    for i in range(len(places)):
        node = half + places[i]
        tree[node] = shares[i]
        while node > 1:
            node //= 2
            tree[node] = tree[2 * node] + tree[2 * node + 1]


@compiled
def build(tree: Any) -> None:
    """All sums, from the leaves."""
    for node in range(len(tree) // 2 - 1, 0, -1):
        tree[node] = tree[2 * node] + tree[2 * node + 1]


@compiled
def find(tree: Any, sums: Any) -> Any:
    """The leaf at which the running sum of leaves passes each of these; never one that has no share."""
    half = len(tree) // 2
    found = np.empty(len(sums), np.int64)
    for i in range(len(sums)):
        node, left = 1, sums[i]
        while node < half:
            node *= 2
            if left >= tree[node] and tree[node + 1] > 0:
                left -= tree[node]
                node += 1
        found[i] = node - half
    return found
