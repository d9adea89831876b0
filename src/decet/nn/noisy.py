"""Noisy layers: weights with noise of a size that is learned, so that a network explores by itself.

Fortunato et al., 1706.10295, with factorised noise: of an output and of an input, not of each weight.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class NoisyLinear(nn.Linear):
    """A linear layer whose weights and biases are drawn anew at each call while it trains, else their means."""

    def __init__(self, inputs: int, outputs: int, noise: float):
        super().__init__(inputs, outputs)
        bound = 1 / math.sqrt(inputs)
        nn.init.uniform_(self.weight, -bound, bound)
        nn.init.uniform_(self.bias, -bound, bound)
        self.weight_noise = nn.Parameter(torch.full_like(self.weight, noise * bound))
        self.bias_noise = nn.Parameter(torch.full_like(self.bias, noise * bound))

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return super().forward(x)
        before = _drawn(self.in_features, self.weight)
        after = _drawn(self.out_features, self.weight)
        weight = self.weight + self.weight_noise * torch.outer(after, before)
        return F.linear(x, weight, self.bias + self.bias_noise * after)


def _drawn(count: int, like: Tensor) -> Tensor:
    drawn = torch.randn(count, device=like.device, dtype=like.dtype)
    return drawn.sign() * drawn.abs().sqrt()


def noised(network: nn.Module, noise: float) -> nn.Module:
    """The network with each of its linear layers noisy, in place."""
    for name, part in network.named_children():
        if type(part) is nn.Linear:
            setattr(network, name, NoisyLinear(part.in_features, part.out_features, noise))
        else:
            noised(part, noise)
    return network
