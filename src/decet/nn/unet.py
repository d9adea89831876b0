"""The U-Net: down through coarser maps and up again, each map on the way up joined by that of its size on the way down.

    block(x) = skip(x) + conv(drop(act((1 + a) norm(conv(act(norm(x)))) + b))),   (a, b) linear in the condition

Ronneberger et al., 1505.04597; blocks, attention on coarse maps and the condition as Ho et al., 2006.11239, and
Dhariwal & Nichol, 2105.05233, have them. Maps of any size: halves are rounded up, and what goes up takes the size of
what it is joined to. Differs from the papers: one join a scale instead of one a block, since large maps cost most.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from decet.contracts import Body, Features
from decet.nn.attention import Attention
from decet.nn.convolution import Filters, GroupNorm
from decet.nn.dropout import Dropout

HEAD = 32  # numbers of a head of attention, about


class UNet(Body):
    """inputs ((B, C, H, W),), condition (B, D) -> maps ((B, width, H, W),).

    inputs: channels that come in. channels: of each scale, the finest first; each is half the size of that before.
    depth: blocks of a scale, down and up alike. attention: at how many of the coarsest scales positions ask each other.
    condition: numbers of the condition; 0 = none.
    """

    def __init__(
        self, inputs: int, channels: tuple[int, ...], depth: int, attention: int, dropout: float, condition: int
    ) -> None:
        super().__init__()
        asks = [scale >= len(channels) - attention for scale in range(len(channels))]
        self.stem = Filters(2, inputs, channels[0], 3, bias=True)

        def scale(width: int, number: int) -> Scale:
            return Scale(width, channels[number], depth, asks[number], dropout, condition)

        entering = (channels[0], *channels[:-1])
        self.down = nn.ModuleList(scale(entering[i], i) for i in range(len(channels)))
        self.shrink = nn.ModuleList(Filters(2, width, width, 3, 2, bias=True) for width in channels[:-1])
        self.middle = Block(channels[-1], channels[-1], dropout, condition)
        self.grow = nn.ModuleList(Filters(2, coarse, fine, 3, bias=True) for fine, coarse in pairwise(channels))
        self.up = nn.ModuleList(scale(2 * channels[i], i) for i in range(len(channels) - 1))
        self.width = self.summary_width = channels[0]

    def forward(self, inputs: tuple[Any, ...], *, condition: Tensor | None = None) -> Features:
        x = self.stem(inputs[0])
        kept: list[Tensor] = []
        for number, scale in enumerate(self.down):
            x = scale(x, condition)
            if number < len(self.shrink):
                kept.append(x)
                x = self.shrink[number](x)
        x = self.middle(x, condition)
        for number in reversed(range(len(self.up))):
            x = self.grow[number](F.interpolate(x, size=kept[number].shape[2:], mode="nearest"))
            x = self.up[number](torch.cat([kept[number], x], 1), condition)
        return Features(maps=(x,))


class Scale(nn.Module):
    """Blocks of one size, and attention behind the last. (B, inputs, H, W) -> (B, outputs, H, W)."""

    def __init__(self, inputs: int, outputs: int, depth: int, asks: bool, dropout: float, condition: int):
        super().__init__()
        widths = (inputs, *[outputs] * depth)
        self.blocks = nn.ModuleList(Block(a, b, dropout, condition) for a, b in pairwise(widths))
        self.attention = Positions(outputs) if asks else None

    def forward(self, x: Tensor, condition: Tensor | None) -> Tensor:
        for block in self.blocks:
            x = block(x, condition)
        return x if self.attention is None else self.attention(x)


class Block(nn.Module):
    """The box above. (B, inputs, H, W), (B, D) -> (B, outputs, H, W)."""

    def __init__(self, inputs: int, outputs: int, dropout: float, condition: int):
        super().__init__()
        self.first, self.second = GroupNorm(inputs), GroupNorm(outputs)
        self.narrow, self.last = Filters(2, inputs, outputs, 3, bias=True), Filters(2, outputs, outputs, 3, bias=True)
        self.told = nn.Linear(condition, 2 * outputs) if condition else None
        self.dropout = Dropout(dropout) if dropout else None
        self.skip = Filters(2, inputs, outputs, 1, bias=True) if inputs != outputs else None
        _silenced(self.last.conv)

    def forward(self, x: Tensor, condition: Tensor | None) -> Tensor:
        y = self.second(self.narrow(F.silu(self.first(x))))
        if self.told is not None and condition is not None:
            scale, shift = self.told(condition)[:, :, None, None].chunk(2, 1)
            y = torch.addcmul(shift, y, 1 + scale)
        y = F.silu(y)
        if self.dropout is not None:
            y = self.dropout(y)
        return (x if self.skip is None else self.skip(x)) + self.last(y)


class Positions(nn.Module):
    """x + what each position asks of all others. Keeps (B, D, H, W)."""

    def __init__(self, width: int):
        super().__init__()
        heads = max(1, width // HEAD)
        while width % heads:
            heads -= 1
        self.norm, self.attention = GroupNorm(width), Attention(width, heads, heads, bias=True)
        _silenced(self.attention.out)

    def forward(self, x: Tensor) -> Tensor:
        rows = self.norm(x).permute(0, 2, 3, 1).flatten(1, 2)  # (B, P, D)
        told, _ = self.attention(rows)
        return x + told.unflatten(1, x.shape[2:]).permute(0, 3, 1, 2)


def _silenced(layer: nn.Module) -> None:
    """Let a branch start at zero."""
    for parameter in layer.parameters():
        if not parameter.is_meta:
            nn.init.zeros_(parameter)
