"""Priorities: which transitions are drawn more often, as those whose worth was most wrong (Schaul et al., 1511.05952).

Each place of the ring has a share as its error to the power of `exponent`; a sum tree draws in the logarithm of their
number. A parent is always the sum of its children, so that a tree built anew from its leaves has the same bits.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

Array = NDArray[Any]
LEAST = 1e-6  # added to an error, so that nothing is never drawn again


class Priorities:
    """The shares of so many places; those that were never admitted, or were dismissed, have none."""

    def __init__(self, places: int, exponent: float) -> None:
        from decet.data import tree_kernels

        self.kernels, self.places, self.exponent = tree_kernels, places, exponent
        self.half = 1 << max(0, places - 1).bit_length()
        self.tree = np.zeros(2 * self.half)  # leaves from `half` on
        self.most = 1.0  # of what was ever found

    @property
    def total(self) -> float:
        return float(self.tree[1])

    def admit(self, places: Array) -> None:
        """What is new is drawn as if it were the most wrong so far."""
        self.kernels.put(self.tree, places, np.full(len(places), self.most))

    def dismiss(self, places: Array) -> None:
        """These are not drawn any more."""
        self.kernels.put(self.tree, places, np.zeros(len(places)))

    def learn(self, places: Array, errors: Array) -> None:
        """These were so wrong (N,). What was dismissed meanwhile stays so."""
        shares = (np.abs(errors.astype(np.float64)) + LEAST) ** self.exponent
        self.most = max(self.most, float(shares.max(initial=0.0)))
        there = self.tree[self.half + places] > 0
        self.kernels.put(self.tree, places[there], shares[there])

    def draw(self, count: int, rng: np.random.Generator) -> tuple[Array, Array]:
        """So many places, one out of each equal part of all shares, and their chances (N,)."""
        parts = (np.arange(count) + rng.random(count)) / count
        found = self.kernels.find(self.tree, parts * self.total)
        return found, self.tree[self.half + found] / self.total

    def state(self) -> dict[str, Any]:
        """The leaves, and the largest share so far."""
        return {"leaves": torch.from_numpy(self.tree[self.half : self.half + self.places].copy()), "most": self.most}

    def restore(self, state: Mapping[str, Any]) -> None:
        self.tree[self.half : self.half + self.places] = state["leaves"].numpy()
        self.kernels.build(self.tree)
        self.most = float(state["most"])
