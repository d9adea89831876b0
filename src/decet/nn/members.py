"""M networks trained as one: layers that share their matrix among members, heads of their own, plain ensembles."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from decet.contracts import Body, Features


class MemberLinear(nn.Module):
    """A linear layer whose members share one matrix: y_m = s_m * (W (r_m * x_m)) + b_m.

    BatchEnsemble (Wen et al., 2002.06715) as TabM uses it (Gorishniy et al., 2410.24210): `varied` marks the first
    layer, whose r is a random sign a member; all other adapters start at 1, so members differ by what they learn.
    Shapes: (B, M, inputs) -> (B, M, outputs).
    """

    def __init__(self, inputs: int, outputs: int, members: int, varied: bool = False):
        super().__init__()
        bound = 1 / math.sqrt(inputs)
        self.weight = nn.Parameter(torch.empty(outputs, inputs).uniform_(-bound, bound))
        r = torch.randint(0, 2, (members, inputs)) * 2.0 - 1.0 if varied else torch.ones(members, inputs)
        self.r = nn.Parameter(r)
        self.s = nn.Parameter(torch.ones(members, outputs))
        self.bias = nn.Parameter(torch.empty(members, outputs).uniform_(-bound, bound))
        for adapter in (self.r, self.s, self.bias):
            adapter.undecayed = True  # type: ignore[attr-defined]

    def forward(self, x: Tensor) -> Tensor:
        return torch.addcmul(self.bias, F.linear(x * self.r, self.weight), self.s)


class MemberHead(nn.Module):
    """One linear head a member. Shapes: (B, M, width) -> (B, M, outputs)."""

    def __init__(self, width: int, outputs: int, members: int):
        super().__init__()
        bound = 1 / math.sqrt(width)
        self.weight = nn.Parameter(torch.empty(members, width, outputs).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.zeros(members, 1, outputs))
        self.bias.undecayed = True  # type: ignore[attr-defined]
        self.weight.elementwise = True  # type: ignore[attr-defined]

    def forward(self, x: Tensor) -> Tensor:
        return torch.baddbmm(self.bias, x.transpose(0, 1), self.weight).transpose(0, 1)  # (B, M, outputs)


def head_of(width: int, outputs: int, members: int) -> nn.Module:
    """(B, M, width) -> (B, M, outputs); of one network a plain linear layer, which costs half as much."""
    if members > 1:
        return MemberHead(width, outputs, members)
    head = nn.Linear(width, outputs)
    nn.init.zeros_(head.bias)
    head.weight.elementwise = True  # type: ignore[attr-defined]
    return head


class Ensemble(Body):
    """M bodies that share nothing, for families that cannot share. `make` builds one."""

    def __init__(self, make: Callable[[], Body], members: int):
        super().__init__()
        self.bodies = nn.ModuleList(make() for _ in range(members))
        first: Body = self.bodies[0]  # type: ignore[assignment]
        self.width, self.summary_width = first.width, first.summary_width

    def forward(self, inputs: tuple[Any, ...], *, condition: Tensor | None = None) -> Features:
        pooled = [body(inputs, condition=condition).pooled() for body in self.bodies]
        return Features(summary=torch.cat(pooled, 1), members=len(pooled))
