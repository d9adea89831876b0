"""Dropout whose random bits are cheap on a CPU.

torch draws one random number an element, one after the other (about 0.1 G/s), which makes dropout dearer than the
matrix product beside it. Here each 64-bit draw serves eight elements: the share dropped is a whole number of 256ths
(0.1 becomes 26/256) and the kept elements are scaled by that very share, so the mean is exact.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Dropout(nn.Module):
    """Set a share of the elements to 0 while training, scale up the others (Srivastava et al., JMLR 15, 2014)."""

    def __init__(self, share: float):
        super().__init__()
        self.share = share

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.share == 0.0:
            return x
        if x.device.type != "cpu":
            return F.dropout(x, self.share)
        dropped = min(255, max(1, round(self.share * 256)))
        words = torch.empty((x.numel() + 7) // 8, dtype=torch.int64).random_(-(2**63), None)
        kept = words.view(torch.uint8)[: x.numel()].view(x.shape) >= dropped
        return x * kept.to(x.dtype).mul_(256 / (256 - dropped))

    def extra_repr(self) -> str:
        return f"{self.share}"
