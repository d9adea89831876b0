"""Blocks with a shortcut: those of pictures, of the fast network, of series, of tables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from decet.nn.convolution import ACTIVATIONS, Filters, Layer, Pool, dirac, norm_of, with_condition
from decet.nn.dropout import Dropout

SERIES_KERNELS = (8, 5, 3)  # of the three convolutions of a block for series
MOMENTUM = 0.4  # of the fast network's running statistics, which a few epochs have to settle


@dataclass(frozen=True)
class Style:
    """What all blocks of a network have in common. padded: shortcuts pad new channels with zeros."""

    norm: str = "batch"
    activation: str = "relu"
    zero_init: bool = False
    preact: bool = False
    bottleneck: bool = False
    padded: bool = False
    dropout: float = 0.0

    def act(self) -> nn.Module:
        return ACTIVATIONS[self.activation]()

    def normed(self, width: int) -> nn.Module:
        return norm_of(self.norm, width)

    def conv(self, inputs: int, outputs: int, kernel: int, stride: int = 1, dims: int = 2) -> Filters:
        """With first weights of variance 2 / (outputs x window) (He et al., 1502.01852)."""
        filters = Filters(dims, inputs, outputs, kernel, stride, bias=self.norm == "none")
        if not filters.conv.weight.is_meta:  # where it has no numbers, and would load half of torch to make none
            nn.init.kaiming_normal_(filters.conv.weight, mode="fan_out", nonlinearity="relu")
        return filters

    def silence(self, conv: Filters, norm: nn.Module | None) -> None:
        """Let a branch start at zero: by the scale of its last norm, or where there is none by its last filters."""
        if norm is not None and self.norm != "none":
            nn.init.zeros_(norm.weight)  # type: ignore[arg-type]
        else:
            for parameter in conv.conv.parameters():
                nn.init.zeros_(parameter)


class ResidualBlock(nn.Module):
    """x -> act(shortcut(x) + f(x)); pre-activated x + f(x). (B, inputs, H, W) -> (B, outputs, H / stride, W / stride).

    He et al., 1512.03385: f is two 3 x 3 convolutions, or a bottleneck, 1 x 1, 3 x 3, 1 x 1, whose outputs are four
    times as many as `width`. 1603.05027: norm and activation before each convolution instead of after it.
    """

    def __init__(self, style: Style, inputs: int, width: int, stride: int):
        super().__init__()
        outputs = width * (4 if style.bottleneck else 1)
        if style.bottleneck:
            parts = [(inputs, width, 1, 1), (width, width, 3, stride), (width, outputs, 1, 1)]
        else:
            parts = [(inputs, width, 3, stride), (width, outputs, 3, 1)]
        self.preact, self.stride, self.added = style.preact, stride, outputs - inputs
        self.convs = nn.ModuleList(style.conv(*part) for part in parts)
        self.norms = nn.ModuleList(style.normed(i if style.preact else o) for i, o, _, _ in parts)
        self.act = style.act()
        self.project: nn.Module | None = None
        if (stride > 1 or self.added) and not (style.padded and self.added >= 0):
            self.project = style.conv(inputs, outputs, 1, stride)
            if not style.preact:
                self.project = nn.Sequential(self.project, style.normed(outputs))
        if style.zero_init:
            last: Any = self.convs[-1]
            style.silence(last, None if style.preact else self.norms[-1])

    def forward(self, x: Tensor) -> Tensor:
        y, skip = x, x
        for i, (conv, norm) in enumerate(zip(self.convs, self.norms, strict=True)):
            if self.preact:
                bent = self.act(norm(y))
                if i == 0 and self.project is not None:
                    skip = bent
                y = conv(bent)
            else:
                y = norm(conv(y))
                if i + 1 < len(self.convs):
                    y = self.act(y)
        if self.project is not None:
            skip = self.project(skip)
        elif self.stride > 1 or self.added:  # "option A"
            skip = F.pad(skip[:, :, :: self.stride, :: self.stride], [0, 0, 0, 0, 0, self.added])
        return skip + y if self.preact else self.act(skip + y)


class FastStage(nn.Module):
    """Convolution, pooling, norm, activation, then `count` layers x + act(norm(conv(x))).

    (B, inputs, H, W) -> (B, outputs, H / 2, W / 2); a side of 1 stays. Filters start by passing their channels on,
    and norms have no trained scale, as in Jordan, 2404.00498. `sides`: of the map that comes in, then of what goes out.
    """

    def __init__(self, style: Style, inputs: int, outputs: int, count: int, sides: tuple[int, ...]):
        super().__init__()
        self.pool = Pool("max", 2, sides)
        self.sides = self.pool.sides(sides)
        widths = [inputs, *[outputs] * count]
        convs = [Filters(2, i, outputs, 3, bias=style.norm == "none") for i in widths]
        self.norms = nn.ModuleList(norm_of(style.norm, outputs, MOMENTUM, scaled=False) for _ in widths)
        self.act = style.act()
        for i, conv in enumerate(convs):
            dirac(conv)
            if style.zero_init and i:
                style.silence(conv, None)
        self.convs = nn.ModuleList(convs)

    def forward(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        first = self.pool(self.convs[0](x))[0]  # pooled first: three quarters less to normalise
        x = with_condition(self.act(self.norms[0](first)), condition)
        for conv, norm in zip(self.convs[1:], self.norms[1:], strict=True):
            x = x + self.act(norm(conv(x)))
        return x


class SeriesBlock(nn.Module):
    """act(shortcut(x) + f(x)), f three convolutions over time. (B, inputs, T) -> (B, outputs, T).

    Wang et al., 1611.06455: the shortcut is normalised too, and projected where the channels change.
    """

    def __init__(self, style: Style, inputs: int, outputs: int):
        super().__init__()

        def layer(width: int, kernel: int, act: nn.Module | None) -> Layer:
            return Layer(style.conv(width, outputs, kernel, dims=1), style.normed(outputs), act)

        first, second, third = SERIES_KERNELS
        last = layer(outputs, third, None)
        self.layers = nn.ModuleList([layer(inputs, first, style.act()), layer(outputs, second, style.act()), last])
        same = inputs == outputs
        self.shortcut = Layer(None, style.normed(outputs), None) if same else layer(inputs, 1, None)
        self.act = style.act()
        if style.zero_init and last.filters is not None:
            style.silence(last.filters, last.norm)

    def forward(self, x: Tensor, lengths: Tensor | None) -> Tensor:
        y = x
        for layer in self.layers:
            y, _ = layer(y, lengths)
        return self.act(y + self.shortcut(x, lengths)[0])


class RowBlock(nn.Module):
    """x + dropout(W2 dropout(act(W1 norm(x)))), twice as wide within (Gorishniy et al., 2106.11959). Keeps (B, D)."""

    def __init__(self, style: Style, width: int):
        super().__init__()
        self.norm, self.act, self.dropout = style.normed(width), style.act(), Dropout(style.dropout)
        self.widen, self.narrow = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)
        if style.zero_init:
            for parameter in self.narrow.parameters():
                nn.init.zeros_(parameter)

    def forward(self, x: Tensor) -> Tensor:
        y = self.dropout(self.act(self.widen(self.norm(x))))
        return x + self.dropout(self.narrow(y))
