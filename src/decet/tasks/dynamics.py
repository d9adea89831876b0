"""Which labels are likely wrong: told by how hard a row was to learn, or by networks that never saw it.

    margin_i = mean over the passes of  z_y - max_{k != y} z_k      (area under the margin, Pleiss et al., 2001.10528)

A row whose neighbours all say another class has a low, often negative margin long before it is learned by heart.
Where cross-fitting gave every row an answer of a network that was not trained on it, that answer tells more
(confident learning, Northcutt et al., 1911.00068): a row labelled y is suspected where p(k) >= t_k for some other k,
t_k being the mean of p(k) over rows labelled k.

Differs: no rows of a made-up class give the margin's threshold, it is 0, and the network in the end must find another
class likelier than the label; in confident learning that class must have at least half of the chance, and networks that
are right hardly more often than the commonest class name nobody. Mixed pictures (mixup, cutmix) have no margin.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Array = NDArray[Any]
MOST = 50  # suspects that are named
LOOKED = 4  # times as many hard rows are looked at, since the network may agree with some labels in the end
SURE = 0.5  # chance of another class from which a label is suspected, at least


class Margins:
    """The margin of each training row, added up over the passes."""

    def __init__(self, rows: int):
        self.sums = torch.zeros(2, rows)  # of margins, and how many

    @torch.no_grad()
    def note(self, logits: Tensor, ids: Tensor, rows: Tensor) -> None:
        """logits (B, M, K) of rows (B,), no row twice, labelled ids (B,); -1 = not known."""
        logits = logits.float()
        place = ids.clamp(min=0).view(-1, 1, 1).expand(-1, logits.shape[1], 1)
        own = logits.gather(2, place).squeeze(2)
        others = logits.scatter(2, place, float("-inf")).amax(2)
        margin, known = (own - others).mean(1), (ids >= 0).float()
        if self.sums.device != logits.device:
            self.sums = self.sums.to(logits.device)
        self.sums[:, rows] += torch.stack([margin * known, known])

    def means(self) -> Array:
        """(n,); NaN of rows that were never learned."""
        sums, passes = self.sums.cpu().double().numpy()
        return np.where(passes > 0, sums / np.maximum(passes, 1), np.nan)

    def state(self) -> dict[str, Any]:
        return {"sums": self.sums}

    def restore(self, state: Mapping[str, Any]) -> None:
        self.sums = state["sums"].clone().to(self.sums.device)


def hard_rows(margins: Array) -> Array:
    """Rows of a margin below 0, the lowest first."""
    low = np.flatnonzero(margins < 0)
    return low[np.argsort(margins[low], kind="stable")][: LOOKED * MOST]


def doubted_rows(chances: Array, ids: Array) -> Array:
    """Rows that confident learning suspects, the surest first. chances (n, K) of networks that never saw them."""
    known = ids >= 0
    if _knows_nothing(chances[known], ids[known]):
        return np.empty(0, np.int64)
    classes = chances.shape[1]
    usual = np.full(classes, np.inf)
    for k in range(classes):
        own = known & (ids == k)
        if own.any():
            usual[k] = chances[own, k].mean()
    others = other_classes(chances, ids)
    rows = np.arange(len(ids))
    rival = chances[rows, others]
    gap = rival - chances[rows, np.maximum(ids, 0)]
    found = np.flatnonzero(known & (rival >= np.maximum(usual[others], SURE)))
    return found[np.argsort(-gap[found], kind="stable")][:MOST]


def _knows_nothing(chances: Array, ids: Array) -> bool:
    """Whether the answers are right hardly more often than the commonest class is: by two standard errors at least."""
    if not len(ids):
        return True
    share = float(np.bincount(ids).max()) / len(ids)
    return float((chances.argmax(1) == ids).mean()) <= share + 2 * math.sqrt(share * (1 - share) / len(ids))


def other_classes(chances: Array, ids: Array) -> Array:
    """The likeliest class of each row but for its label."""
    masked = chances.astype(np.float64).copy()
    masked[np.arange(len(ids)), np.maximum(ids, 0)] = -1.0
    found: Array = masked.argmax(1)
    return found
