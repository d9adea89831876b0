"""Activations that torch works out in more passes than they need."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor


def squared_relu(x: Tensor) -> Tensor:
    """relu(x)^2 (So et al., 2109.08668), which goes back by what came of it: half of the passes of autograd's own."""
    y: Tensor = _Squared.apply(x)
    return y


class _Squared(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        y = F.relu(x)
        ctx.save_for_backward(y)
        return y.square()

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> Tensor:
        (y,) = ctx.saved_tensors
        moved: Tensor = (dy * y).mul_(2.0)
        return moved
