"""From the columns of a table to one vector a row: number embeddings, category embeddings, sparse products."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from decet.contracts import TableSpec

UNKNOWN_SHARE = 0.01  # categories hidden in training, so that the slot of unseen ones is learned


class Periodic(nn.Module):
    """Each number as relu(W [cos 2 pi c x, sin 2 pi c x] + b), with trained frequencies c ~ N(0, sigma).

    Gorishniy et al., On Embeddings for Numerical Features in Tabular Deep Learning, 2203.05556 ("PLR").
    Shapes: (B, F) -> (B, F * width).
    """

    def __init__(self, count: int, width: int, frequencies: int, sigma: float):
        super().__init__()
        bound = 3 * sigma  # a rare huge frequency would make one column pure noise
        self.frequency = nn.Parameter(sigma * nn.init.trunc_normal_(torch.empty(count, frequencies), a=-3, b=3))
        self.frequency.data.clamp_(-bound, bound)
        self.mix = _per_column(count, 2 * frequencies, width)
        self.bias = nn.Parameter(torch.zeros(count, 1, width))
        _undecayed(self.frequency, self.bias)

    def forward(self, numbers: Tensor) -> Tensor:
        angle = 2 * math.pi * numbers.T.unsqueeze(-1) * self.frequency.unsqueeze(1)  # (F, B, n)
        wave = torch.cat([angle.cos(), angle.sin()], -1)  # (F, B, 2n)
        mixed = torch.baddbmm(self.bias, wave, self.mix).relu_()  # (F, B, width)
        return mixed.transpose(0, 1).flatten(1)  # (B, F * width)


class Piecewise(nn.Module):
    """Each number as its place among its quantiles (all bins below it full, its own in part), then a linear map.

    Gorishniy et al., 2203.05556 ("PLE"); beside it the plain number, as in TabM's code ("version B").
    Shapes: (B, F) -> (B, F * width).
    """

    low: Tensor
    scale: Tensor
    first: Tensor
    last: Tensor

    def __init__(self, edges: tuple[tuple[float, ...], ...], width: int):
        super().__init__()
        count, bins = len(edges), max(1, max(len(e) for e in edges) - 1)
        low, scale = torch.zeros(count, bins), torch.zeros(count, bins)
        for i, column in enumerate(edges):
            for j, (a, b) in enumerate(pairwise(column)):
                low[i, j], scale[i, j] = a, 1.0 / max(b - a, 1e-6)
        self.register_buffer("low", low)
        self.register_buffer("scale", scale)
        self.mix = nn.Parameter(torch.zeros(count, bins, width))
        self.plain = _per_column(count, 1, width)
        self.bias = nn.Parameter(torch.zeros(count, 1, width))
        _undecayed(self.bias)

    def forward(self, numbers: Tensor) -> Tensor:
        x = numbers.T.unsqueeze(-1)  # (F, B, 1)
        full = (
            (x - self.low.unsqueeze(1)).mul_(self.scale.unsqueeze(1)).clamp_(0, 1)
        )  # (F, B, bins), the largest tensor
        mixed = torch.baddbmm(self.bias, full, self.mix) + x * self.plain
        return mixed.relu_().transpose(0, 1).flatten(1)  # (B, F * width)


class TableStem(nn.Module):
    """All columns of a row as one vector: embedded numbers, then embedded categories. (B, F), (B, C) -> (B, width)."""

    hidden: Tensor

    def __init__(self, spec: TableSpec, embedding: str, width: int, frequencies: int, sigma: float):
        super().__init__()
        count = 0 if spec.sparse else spec.numbers
        self.sparse = spec.sparse
        self.numbers: nn.Module = nn.Identity()
        if count and embedding == "periodic":
            self.numbers = Periodic(count, width, frequencies, sigma)
        elif count and embedding == "piecewise" and spec.edges:
            self.numbers = Piecewise(spec.edges, width)
        embedded = count * (1 if isinstance(self.numbers, nn.Identity) else width)
        sizes = [category_width(slots) for slots in spec.categories]
        self.categories = nn.ModuleList(_table(slots, size) for slots, size in zip(spec.categories, sizes, strict=True))
        self.width = embedded + sum(sizes)
        hidden = [UNKNOWN_SHARE if slots > 2 else 0.0 for slots in spec.categories]  # a flag has no unknown slot
        self.hides = any(hidden)
        if self.hides:
            self.register_buffer("hidden", torch.tensor(hidden))

    def forward(self, inputs: tuple[Any, ...]) -> Tensor:
        numbers, categories = inputs
        parts = [] if self.sparse or not numbers.shape[1] else [self.numbers(numbers)]
        if len(self.categories):
            if self.training and self.hides:
                hidden = torch.rand(categories.shape, device=categories.device) < self.hidden
                categories = categories.masked_fill(hidden, 0)
            columns = categories.unbind(1)
            parts += [table(column) for table, column in zip(self.categories, columns, strict=True)]
        return parts[0] if len(parts) == 1 else torch.cat(parts, 1)


def category_width(slots: int) -> int:
    """Width of a category's embedding: its slots while they are few (as one-hot), then growing slowly."""
    return slots if slots <= 8 else min(64, round(1.6 * slots**0.56))


def _table(slots: int, width: int) -> nn.Embedding:
    table = nn.Embedding(slots, width)
    with torch.no_grad():
        table.weight.mul_(1 / math.sqrt(width))
    _undecayed(table.weight)
    return table


def _per_column(count: int, inputs: int, outputs: int) -> nn.Parameter:
    """One matrix a column, (count, inputs, outputs), each as torch initialises a linear layer."""
    bound = 1 / math.sqrt(inputs)
    return nn.Parameter(torch.empty(count, inputs, outputs).uniform_(-bound, bound))


def _undecayed(*parameters: Tensor) -> None:
    for parameter in parameters:
        parameter.undecayed = True  # type: ignore[attr-defined]
