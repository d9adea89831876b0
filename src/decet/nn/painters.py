"""Networks that make pictures out of numbers, and networks that read pictures: a GAN's two players, and its encoder.

    painter   numbers (B, N) -> a small map, doubled stage by stage -> (B, C, H, W), any numbers
    reader    pictures (B, C, H, W), -1 to 1, halved stage by stage -> what they show (B, width)

By convolutions alone (`ConvPainter`, `ConvReader`), as DCGAN's: Radford et al., 1511.06434. With residual branches
(`ResidualPainter`, `ResidualReader`), as R3GAN's: Huang et al., 2501.05441. By any body of rows and of pictures
(`BodyPainter`, `BodyReader`). `Generator`, `Critic` and `Encoder` add what each of them is asked, and the labels.
A map of n pixels a side becomes ceil(n / 2), and back, so pictures may have any size.

Differs from the papers: first weights have He's variance where DCGAN's spread is 0.02; R3GAN's branches have three
convolutions, the middle one in groups, which are slow on a processor: here two of 3 x 3, each after a rectifier.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations

from decet.contracts import Body
from decet.nn.convolution import ACTIVATIONS, Conv3x3, norm_of
from decet.nn.stems import drawn

SLOPE = 0.2  # of leaky rectifiers, below zero
GAIN = math.sqrt(2 / (1 + SLOPE**2))  # which keeps the variance through one of these
LABEL = 32  # numbers that a label is embedded to
BEYOND = 0.1  # of what is drawn beyond black and white, where it is bent, that is seen

Sides = tuple[int, int]


def ladder(sides: Sides, halvings: int) -> list[Sides]:
    """Height and width of each map, the picture's first, each half of the one before it, rounded up."""
    maps = [sides]
    for _ in range(halvings):
        maps.append((-(-maps[-1][0] // 2), -(-maps[-1][1] // 2)))
    return maps


def spectral(network: nn.Module) -> nn.Module:
    """Each matrix and filter over its largest singular value, in place (Miyato et al., 1802.05957)."""
    for part in list(network.modules()):
        if isinstance(part, nn.Linear | nn.Conv2d | nn.Embedding):
            parametrizations.spectral_norm(part)
    return network


@contextmanager
def evaluated(network: nn.Module) -> Iterator[None]:
    """Within the block the network does as when it predicts."""
    was = network.training
    network.eval()
    try:
        yield
    finally:
        network.train(was)


# ------------------------------------------------------------------------------------------------------ the players


class Generator(nn.Module):
    """noise (B, Z), labels (B,) -> pictures (B, C, H, W), -1 to 1, or a little beyond; labels' vectors join the noise.

    By tanh, or where the painter has no norms (it is not `soft`) by `bent`: a tanh at its end passes no gradient, so
    that where pictures are mostly black all of it falls silent and stays so.
    """

    def __init__(self, painter: Any, classes: int = 0):
        super().__init__()
        self.painter, self.labels = painter, labels_of(classes, LABEL)

    def forward(self, noise: Tensor, labels: Tensor | None = None) -> Tensor:
        drawn = self.painter(_with_label(noise, self.labels, labels)).float()
        return torch.tanh(drawn) if self.painter.soft else bent(drawn)


def bent(x: Tensor) -> Tensor:
    """x within -1 to 1, a tenth of what it is beyond: so a critic sees how far it went, and calls it back."""
    inside = x.clamp(-1, 1)
    return inside + BEYOND * (x - inside)


class Critic(nn.Module):
    """pictures (B, C, H, W), labels (B,) -> how real they look (B,), any numbers.

    With labels by projection (Miyato & Koyama, 1802.05637): w'f + v_y'f, f what is read, v_y the label's vector.
    biased: a number is added to all answers, which counts only where these are not compared with each other.
    """

    def __init__(self, reader: Any, classes: int = 0, biased: bool = True):
        super().__init__()
        width = reader.width
        self.reader, self.labels = reader, labels_of(classes, width, 1 / math.sqrt(width))
        self.head = _linear(width, 1, bias=biased)

    def forward(self, pictures: Tensor, labels: Tensor | None = None) -> Tensor:
        read = self.reader(pictures)
        told = self.head(read).squeeze(1)
        if self.labels is not None:
            told = told + (read * self.labels(labels)).sum(1)
        return told.float()


class Encoder(nn.Module):
    """pictures (B, C, H, W), labels (B,) -> the noise they could be made of (B, Z)."""

    def __init__(self, reader: Any, latent: int, classes: int = 0):
        super().__init__()
        self.reader, self.labels = reader, labels_of(classes, LABEL)
        self.head = _linear(reader.width + (LABEL if classes else 0), latent)

    def forward(self, pictures: Tensor, labels: Tensor | None = None) -> Tensor:
        read = self.reader(pictures)
        code: Tensor = self.head(_with_label(read, self.labels, labels))
        return code.float()


def noise_of(pixels: Tensor, count: int) -> Tensor:
    """Pixels (B, C, H, W), each picture's standardised, repeated or cut to so many numbers (B, count)."""
    rows = pixels.float().flatten(1)
    rows = rows - rows.mean(1, keepdim=True)
    rows = rows / rows.square().mean(1, keepdim=True).sqrt().clamp(min=1.0)
    return rows.repeat(1, -(-count // rows.shape[1]))[:, :count]


def labels_of(classes: int, width: int, spread: float = 1.0) -> nn.Embedding | None:
    """A vector for each class, None where there are no classes."""
    if not classes:
        return None
    table = nn.Embedding(classes, width, _weight=drawn(classes, width, spread))
    table.weight.undecayed = True  # type: ignore[attr-defined]
    return table


def _with_label(x: Tensor, table: nn.Embedding | None, labels: Tensor | None) -> Tensor:
    return x if table is None else torch.cat([x, table(labels).to(x.dtype)], 1)


# ------------------------------------------------------------------------------------------------------- by a body


class BodyPainter(nn.Module):
    """numbers (B, N) -> a body of rows -> all pixels as one row -> (B, C, H, W)."""

    soft: ClassVar[bool] = True

    def __init__(self, body: Body, outputs: int, sides: Sides):
        super().__init__()
        self.shape = (*sides, outputs)
        self.body, self.pixels = body, nn.Linear(body.summary_width, math.prod(self.shape))

    def forward(self, numbers: Tensor) -> Tensor:
        row = self.pixels(self.body((numbers, None)).pooled()[:, 0])
        return row.unflatten(1, self.shape).permute(0, 3, 1, 2)  # (B, C, H, W)


class BodyReader(nn.Module):
    """pictures (B, C, H, W) -> what a body of pictures makes of them (B, width)."""

    def __init__(self, body: Body):
        super().__init__()
        self.body, self.width = body, body.summary_width

    def forward(self, pictures: Tensor) -> Tensor:
        return self.body((pictures,)).pooled()[:, 0]


# ------------------------------------------------------------------------------------------------- by convolutions


class ConvPainter(nn.Module):
    """A small map, doubled once for each number in `channels`, of which the last are the small map's.

    numbers (B, N) -> (B, C, H, W). depth: convolutions of a map, the doubling one among them.
    """

    def __init__(
        self,
        numbers: int,
        outputs: int,
        sides: Sides,
        channels: tuple[int, ...],
        depth: int = 1,
        kernel: int = 4,
        norm: str = "batch",
        activation: str | None = "relu",
    ):
        super().__init__()
        maps, plain = ladder(sides, len(channels)), norm == "none"
        self.small, self.soft = (*maps[-1], channels[-1]), not plain
        self.start = _linear(numbers, math.prod(self.small), GAIN, bias=plain)
        layers: list[nn.Module] = [*_activated(norm, channels[-1], activation)]
        for i in reversed(range(len(channels))):
            width = channels[i]
            for _ in range(depth - 1):
                layers += [_conv(width, width, GAIN, bias=plain), *_activated(norm, width, activation)]
            if i:
                layers.append(Doubled(width, channels[i - 1], kernel, maps[i], GAIN, bias=plain))
                layers += _activated(norm, channels[i - 1], activation)
            else:
                layers.append(Doubled(width, outputs, kernel, maps[0]))
        self.layers = nn.Sequential(*layers)

    def forward(self, numbers: Tensor) -> Tensor:
        x = self.start(numbers).unflatten(1, self.small).permute(0, 3, 1, 2)  # (B, C, h, w)
        found: Tensor = self.layers(x)
        return found


class ConvReader(nn.Module):
    """Halved once for each number in `channels`; what is left of the map is what was read.

    pictures (B, C, H, W) -> (B, width). activation None: leaky rectifiers. The first layer has no norm.
    """

    def __init__(
        self,
        inputs: int,
        sides: Sides,
        channels: tuple[int, ...],
        depth: int = 1,
        kernel: int = 4,
        norm: str = "none",
        activation: str | None = None,
    ):
        super().__init__()
        plain, layers = norm == "none", list[nn.Module]()
        for i, width in enumerate(channels):
            layers.append(Halved(inputs, width, kernel, bias=plain or not i))
            layers += _activated(norm if i else "none", width, activation)
            for _ in range(depth - 1):
                layers += [_conv(width, width, GAIN, bias=plain), *_activated(norm, width, activation)]
            inputs = width
        self.layers = nn.Sequential(*layers)
        self.width = channels[-1] * math.prod(ladder(sides, len(channels))[-1])

    def forward(self, pictures: Tensor) -> Tensor:
        return self.layers(pictures).permute(0, 2, 3, 1).flatten(1)  # (B, h w C)


# ------------------------------------------------------------------------------------------- by residual branches


class ResidualPainter(nn.Module):
    """A pattern a channel, as strong as the numbers say; then stages from the last to the first, each twice as large.

    numbers (B, N) -> (B, C, H, W). widths, blocks: channels of each stage and its branches, the finest first.
    halved: the finest stage is half as large as the picture, which a transposed convolution doubles at the end.
    """

    soft: ClassVar[bool] = False

    def __init__(
        self,
        numbers: int,
        outputs: int,
        sides: Sides,
        widths: tuple[int, ...],
        blocks: tuple[int, ...],
        halved: bool = False,
    ):
        super().__init__()
        maps = ladder(sides, len(widths) - 1 + halved)[int(halved) :]
        self.start, self.small = _linear(numbers, widths[-1]), (*maps[-1], widths[-1])
        self.basis = _basis(self.small, 1.0)
        layers: list[nn.Module] = []
        for i in reversed(range(len(widths))):
            layers += [Branch(widths[i], sum(blocks)) for _ in range(blocks[i])]
            if i:
                layers += [_conv(widths[i], widths[i - 1], kernel=1, bias=False), Resample(maps[i], maps[i - 1])]
        layers.append(_rectifier())
        layers.append(Doubled(widths[0], outputs, 4, sides) if halved else _conv(widths[0], outputs))
        self.layers = nn.Sequential(*layers)

    def forward(self, numbers: Tensor) -> Tensor:
        patterns = self.start(numbers).unsqueeze(1) * self.basis  # (B, h w, C)
        found: Tensor = self.layers(patterns.unflatten(1, self.small[:2]).permute(0, 3, 1, 2))
        return found


class ResidualReader(nn.Module):
    """The mirror of `ResidualPainter`: stages from the first to the last, then how much of its pattern a channel has.

    pictures (B, C, H, W) -> (B, width). still: branches start at zero, which spectral norms cannot bear.
    """

    def __init__(
        self,
        inputs: int,
        sides: Sides,
        widths: tuple[int, ...],
        blocks: tuple[int, ...],
        halved: bool = False,
        still: bool = True,
    ):
        super().__init__()
        maps = ladder(sides, len(widths) - 1 + halved)[int(halved) :]
        layers: list[nn.Module] = [Halved(inputs, widths[0], 4) if halved else _conv(inputs, widths[0], GAIN)]
        layers.append(_rectifier())
        for i, width in enumerate(widths):
            if i:
                layers += [Resample(maps[i - 1], maps[i]), _conv(widths[i - 1], width, kernel=1, bias=False)]
            layers += [Branch(width, sum(blocks), still) for _ in range(blocks[i])]
        layers.append(_rectifier())
        self.layers, self.width = nn.Sequential(*layers), widths[-1]
        self.basis = _basis((*maps[-1], widths[-1]), 1 / math.sqrt(math.prod(maps[-1])))

    def forward(self, pictures: Tensor) -> Tensor:
        rows = self.layers(pictures).permute(0, 2, 3, 1).flatten(1, 2)  # (B, h w, C)
        return (rows * self.basis).sum(1)


class Branch(nn.Module):
    """x + W2 act(W1 act(x)), both of 3 x 3: keeps (B, C, H, W).

    W2 starts at zero, and W1 the smaller the more branches there are, so that no norm is needed (Zhang et al., Fixup,
    1901.09321). still False: W2 starts at full size.
    """

    def __init__(self, width: int, branches: int, still: bool = True):
        super().__init__()
        self.first = _conv(width, width, GAIN / math.sqrt(max(1, branches)))
        self.last = _conv(width, width, 0.0 if still else GAIN, bias=False)
        self.act = _rectifier()

    def forward(self, x: Tensor) -> Tensor:
        return x + self.last(self.act(self.first(self.act(x))))


# ------------------------------------------------------------------------------------------------ doubled, halved


class Halved(nn.Module):
    """A convolution moved by 2: (B, inputs, H, W) -> (B, outputs, ceil(H / 2), ceil(W / 2))."""

    def __init__(self, inputs: int, outputs: int, kernel: int, bias: bool = True):
        super().__init__()
        self.even = kernel % 2 == 0
        self.conv = nn.Conv2d(inputs, outputs, kernel, 2, (kernel - 1) // 2, bias=bias)
        _begun(self.conv.weight, GAIN, inputs * kernel**2)
        _zeroed(self.conv.bias)

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[2:]
        if self.even and (height % 2 or width % 2):  # one more on the far side, or the last pixel would not be seen
            x = nn.functional.pad(x, [0, width % 2, 0, height % 2])
        found: Tensor = self.conv(x)
        return found


class Doubled(nn.Module):
    """A transposed convolution moved by 2: (B, inputs, ceil(H / 2), ceil(W / 2)) -> (B, outputs, H, W)."""

    def __init__(self, inputs: int, outputs: int, kernel: int, sides: Sides, gain: float = 1.0, bias: bool = True):
        super().__init__()
        self.sides = sides
        self.conv = nn.ConvTranspose2d(inputs, outputs, kernel, 2, (kernel - 1) // 2, kernel % 2, bias=bias)
        _begun(self.conv.weight, gain, inputs * kernel**2 / 4)  # each pixel is reached by a quarter of the window
        _zeroed(self.conv.bias)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x)[:, :, : self.sides[0], : self.sides[1]]


class Resample(nn.Module):
    """Maps brought to other sides: (B, C, *before) -> (B, C, *after), each pixel a mean of those near it.

    As F.interpolate(mode="bilinear", antialias=True), by two products of matrices: these have gradients of gradients,
    and the same bits each time on every device.
    """

    rows: Tensor
    columns: Tensor

    def __init__(self, before: Sides, after: Sides):
        super().__init__()
        self.register_buffer("rows", torch.tensor(shares(before[0], after[0])))
        self.register_buffer("columns", torch.tensor(shares(before[1], after[1])))
        self.grows = math.prod(after) > math.prod(before)

    def forward(self, x: Tensor) -> Tensor:
        x = x.permute(0, 2, 3, 1)  # (B, H, W, C), a view where memory is channels-last
        if self.grows:  # whichever is first, the columns are many small products, so of the fewer rows
            x = self._down(self._across(x))
        else:
            x = self._across(self._down(x))
        return x.permute(0, 3, 1, 2)  # (B, C, H, W)

    def _down(self, x: Tensor) -> Tensor:
        y = torch.bmm(self.rows.to(x.dtype).expand(len(x), -1, -1), x.flatten(2))
        return y.unflatten(2, x.shape[2:])  # (B, h, W, C)

    def _across(self, x: Tensor) -> Tensor:
        rows = x.flatten(0, 1)  # (B H, W, C)
        y = torch.bmm(self.columns.to(x.dtype).expand(len(rows), -1, -1), rows)
        return y.unflatten(0, x.shape[:2])  # (B, H, w, C)


def shares(before: int, after: int) -> list[list[float]]:
    """How much of each of `before` pixels is in each of `after`: triangles as wide as the coarser of the two."""
    step = before / after
    reach = max(1.0, step)
    found = []
    for i in range(after):
        centre = (i + 0.5) * step - 0.5
        row = [max(0.0, 1 - abs(j - centre) / reach) for j in range(before)]
        found.append([share / sum(row) for share in row])
    return found


# ------------------------------------------------------------------------------------------------------ small parts


def _rectifier() -> nn.Module:
    return nn.LeakyReLU(SLOPE)


def _activated(norm: str, width: int, activation: str | None) -> list[nn.Module]:
    """Norm, if there is one, and activation."""
    act = _rectifier() if activation is None else ACTIVATIONS[activation]()
    return [act] if norm == "none" else [norm_of(norm, width), act]


def _conv(inputs: int, outputs: int, gain: float = 1.0, kernel: int = 3, bias: bool = True) -> nn.Conv2d:
    kind = Conv3x3 if kernel == 3 else nn.Conv2d
    conv = kind(inputs, outputs, kernel, padding=kernel // 2, bias=bias)
    _begun(conv.weight, gain, inputs * kernel**2)
    _zeroed(conv.bias)
    return conv


def _linear(inputs: int, outputs: int, gain: float = 1.0, bias: bool = True) -> nn.Linear:
    linear = nn.Linear(inputs, outputs, bias=bias)
    _begun(linear.weight, gain, inputs)
    _zeroed(linear.bias)
    return linear


def _basis(shape: tuple[int, int, int], spread: float) -> nn.Parameter:
    """A pattern a channel, (h w, C), of a map of shape (h, w, C)."""
    basis = nn.Parameter(drawn(shape[0] * shape[1], shape[2], spread))
    basis.undecayed = True  # type: ignore[attr-defined]
    return basis


@torch.no_grad()
def _begun(weight: Tensor, gain: float, inputs: float) -> None:
    """First weights: normal numbers of variance gain^2 / inputs (He et al., 1502.01852); on the meta device none."""
    if not weight.is_meta:
        weight.normal_().mul_(gain / math.sqrt(inputs))


@torch.no_grad()
def _zeroed(bias: Tensor | None) -> None:
    if bias is not None:
        bias.zero_()
