"""Act: what to do next, so that most is given in the end. The answer is a choice for each column of an action.

Judged by episodes that are played greedily: the mean of their returns, the mean of the middle half of them (Agarwal et
al., 2108.13264) with an interval by bootstrap, their spread and length.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import trim_mean

from decet.errors import check_range

ROUNDS, COVERED = 2_000, 0.95  # of the bootstrap
QUARTER = 0.25  # of episodes that are left out at either end


@dataclass(frozen=True)
class Act:
    """The question "what to do?".

    steps: of the environment, all copies together, that a fit may play; None: as the cell says, or the budget.
    discount: what the next step's reward is worth now, 0 to 1.
    trials: episodes played greedily after each part of training, to keep the best network.
    """

    steps: int | None = None
    discount: float | None = None
    trials: int | None = None

    def __post_init__(self) -> None:
        check_range("steps", self.steps, 0, 1_000_000_000_000, whole=True)
        check_range("discount", self.discount, 0.0, 1.0)
        check_range("trials", self.trials, 1, 10_000, whole=True)

    def metrics(self, returns: NDArray[np.float64], lengths: NDArray[np.float64]) -> dict[str, float | None]:
        """Figures of episodes (N,)."""
        rng = np.random.Generator(np.random.Philox(0))
        drawn = returns[rng.integers(0, len(returns), (ROUNDS, len(returns)))]
        middles = trim_mean(drawn, QUARTER, axis=1)
        low, high = np.quantile(middles, [(1 - COVERED) / 2, (1 + COVERED) / 2])
        return {
            "return": float(returns.mean()),
            "middle": float(trim_mean(returns, QUARTER)),
            "middle_low": float(low),
            "middle_high": float(high),
            "spread": float(returns.std()),
            "least": float(returns.min()),
            "length": float(lengths.mean()),
        }
