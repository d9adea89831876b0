"""Quicker gradients of 3 x 3 filters in bf16 where maps are narrow: pictures stand side by side in one wide map.

The gradient of the filters is a product of matrices along the rows of the map. oneDNN takes row by row, and a matrix
unit (AMX) takes 32 numbers at a time, so that of a row of 7 it does nothing for three quarters of its time. Several
pictures as one, with a column of zeros after each, have the same gradient, in a half to a sixth of the time.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from decet.nn.team import readable

WIDEST = 8  # pixels a row up to which it pays; from 9 to 12 nothing is gained, beyond it is lost
PRODUCTS = 64 * 64  # channels in times channels out from which it pays
ROW = 64  # pixels of a row that comes out


def pays(x: Tensor, weight: Tensor) -> bool:
    """Whether the filters' gradient is quicker so: x in bf16, or brought to it by autocast, on a matrix unit."""
    if not (weight.requires_grad and torch.is_grad_enabled() and readable(x, weight)):
        return False
    cast = torch.is_autocast_enabled("cpu") and torch.get_autocast_dtype("cpu") == torch.bfloat16
    kinds = (torch.float32, torch.bfloat16) if cast else (torch.bfloat16,)
    return (
        x.dtype in kinds
        and weight.dtype in kinds
        and x.shape[-1] <= WIDEST
        and len(x) > 1
        and weight.shape[0] * weight.shape[1] >= PRODUCTS
        and torch.cpu._is_amx_tile_supported()
    )


def conv3x3(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """F.conv2d(x, weight, bias, padding=1) in bf16 of x (B, C, H, W); its gradients have gradients themselves."""
    y: Tensor = Convolve.apply(x.bfloat16(), weight.bfloat16(), None if bias is None else bias.bfloat16())
    return y


class Convolve(torch.autograd.Function):
    """x (B, C, H, W), weight (O, C, 3, 3), bias (O,) or None, all of one type -> (B, O, H, W)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, weight)
        return F.conv2d(x, weight, bias, padding=1)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        x, weight = ctx.saved_tensors
        of_x, of_weight, of_bias = ctx.needs_input_grad
        return (
            _backward(x, weight, grads[0], (True, False, False))[0] if of_x else None,
            _backward(wide(x), weight, wide(grads[0]), (False, True, False))[1] if of_weight else None,
            grads[0].sum((0, 2, 3)) if of_bias else None,
        )


def _backward(x: Tensor, weight: Tensor, grad: Tensor, wanted: tuple[bool, bool, bool]) -> Any:
    one = [1, 1]
    return torch.ops.aten.convolution_backward(grad, x, weight, None, one, one, one, False, [0, 0], 1, wanted)


def wide(x: Tensor) -> Tensor:
    """Maps (B, C, H, W) as fewer and wider ones, (B / n, C, H, n (W + 1)): n side by side, zeros after each."""
    batch, channels, height, width = x.shape
    beside = min(batch, max(2, ROW // (width + 1)))
    x = F.pad(x.permute(0, 2, 3, 1), [0, 0, 0, 1, 0, 0, 0, -batch % beside])  # (B, H, W + 1, C)
    rows = x.view(-1, beside, height, width + 1, channels).transpose(1, 2)  # (B / n, H, n, W + 1, C)
    return rows.reshape(-1, height, beside * (width + 1), channels).permute(0, 3, 1, 2)
