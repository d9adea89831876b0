"""The loss of which token comes next, without ever holding the answers to all positions at once.

    loss = mean over positions of  log sum_k exp(x . w_k + b_k)  -  (x . w_y + b_y)

Logits of a chunk of positions are made, turned into the gradients there and then, and forgotten: memory is that of a
chunk, not of positions times vocabulary.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

CHUNK = 1 << 22  # logits at a time


def cross_entropy(x: Tensor, weight: Tensor, bias: Tensor, target: Tensor) -> Tensor:
    """The mean loss of positions (N, D) against tokens (N,), of whose vectors `weight` (V, D) holds one each."""
    if x.shape[0] * weight.shape[0] <= CHUNK:
        return F.cross_entropy(F.linear(x, weight, bias.to(x.dtype)).float(), target)
    loss: Tensor = _Chunked.apply(x, weight, bias, target)
    return loss


class _Chunked(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, target: Tensor) -> Tensor:
        kind, device = x.dtype, x.device.type
        if torch.is_autocast_enabled(device):
            kind = torch.get_autocast_dtype(device)
        given, words = x.to(kind), weight.to(kind)
        dx, dweight, dbias = torch.empty_like(x), torch.zeros_like(weight), torch.zeros_like(bias)
        total, count = x.new_zeros((), dtype=torch.float64), len(x)
        size = max(1, CHUNK // len(weight))
        for begin in range(0, count, size):
            part, asked = given[begin : begin + size], target[begin : begin + size]
            logits = torch.mm(part, words.t()).float().add_(bias)
            top = logits.logsumexp(1)
            rows = torch.arange(len(part), device=x.device)
            total += (top - logits[rows, asked]).sum(dtype=torch.float64)
            grads = logits.sub_(top.unsqueeze(1)).exp_()
            grads[rows, asked] -= 1.0
            grads.div_(count)
            dbias += grads.sum(0)
            small = grads.to(kind)
            dx[begin : begin + size] = torch.mm(small, words)
            dweight += torch.mm(small.t(), part)
        ctx.save_for_backward(dx, dweight, dbias)
        return (total / count).to(torch.float32)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        dx, dweight, dbias = ctx.saved_tensors
        return dx * grad.to(dx.dtype), dweight * grad, dbias * grad, None
