"""From raw inputs to what layers read: a table's columns, standardised pixels, embedded tokens, masked series."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from decet.contracts import ImageSpec, TableSpec, TokenSpec

HALF = 127.5  # of a pixel's range
UNKNOWN_SHARE = 0.01  # categories hidden in training, so that the slot of unseen ones is learned
PLAIN_SCALE = (127.5, 63.75)  # mean and spread of pixels where the data says none: -2 to 2


def inside(pixels: Tensor) -> Tensor:
    """Pixels (B, C, H, W), 0 to 255, as what draws pictures has them: -1 to 1, channels-last in memory."""
    return pixels.to(torch.float32, memory_format=torch.channels_last) / HALF - 1


def outside(drawn: Tensor) -> Tensor:
    """And back: -1 to 1 as pixels, 0 to 255."""
    return ((drawn + 1) * HALF).clamp(0, 255)


class Periodic(nn.Module):
    """Each number as relu(W [cos 2 pi c x, sin 2 pi c x] + b), with trained frequencies c ~ N(0, sigma).

    Gorishniy et al., On Embeddings for Numerical Features in Tabular Deep Learning, 2203.05556 ("PLR").
    Shapes: (B, F) -> (B, F * width).
    """

    def __init__(self, count: int, width: int, frequencies: int, sigma: float):
        super().__init__()
        first = torch.empty(count, frequencies)
        if not first.is_meta:  # within 3 sigma, for a rare huge frequency would make one column pure noise
            nn.init.trunc_normal_(first, a=-3, b=3).mul_(sigma).clamp_(-3 * sigma, 3 * sigma)
        self.frequency = nn.Parameter(first)
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
        self.mix.elementwise = True  # type: ignore[attr-defined]
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


class ImageStem(nn.Module):
    """Pixels on 0 to 255, uint8 or float32, standardised by channel: (B, C, H, W) -> float32 (B, C, H, W).

    Clips (B, C, T, H, W) become pictures (B * T, C, H, W), a clip's frames one after the other. What comes out is
    channels-last in memory, the layout that convolutions are quickest in.
    """

    gain: Tensor
    shift: Tensor

    def __init__(self, spec: ImageSpec):
        super().__init__()
        scale = spec.scale or (PLAIN_SCALE,) * spec.channels
        self.register_buffer("gain", torch.tensor([[[1 / spread]] for _, spread in scale]))  # (C, 1, 1)
        self.register_buffer("shift", torch.tensor([[[-mean / spread]] for mean, spread in scale]))

    def forward(self, inputs: tuple[Any, ...]) -> Tensor:
        pixels = inputs[0]
        if pixels.dim() == 5:
            pixels = pixels.transpose(1, 2).flatten(0, 1)  # (B * T, C, H, W)
        x = pixels.to(torch.float32, memory_format=torch.channels_last)
        return torch.addcmul(self.shift, x, self.gain).contiguous(memory_format=torch.channels_last)


class FlatStem(nn.Module):
    """All standardised pixels of a picture, or of all frames of a clip, as one vector: -> (B, [T *] H * W * C).

    In the order in which they lie in memory, the channels of a pixel side by side.
    """

    def __init__(self, spec: ImageSpec):
        super().__init__()
        self.pixels = ImageStem(spec)
        self.width = spec.channels * spec.height * spec.width * (spec.frames or 1)

    def forward(self, inputs: tuple[Any, ...]) -> Tensor:
        return self.pixels(inputs).permute(0, 2, 3, 1).reshape(-1, self.width)


class TokenStem(nn.Module):
    """Tokens as vectors, those of aligned streams added: (B, T), ... -> (B, D, T) and lengths (B,).

    A text ends with its last token that is not padding; an empty one counts as one padding token, which is zero. A
    stream (B, T, W), as the characters of each word, adds the mean of its vectors.
    """

    def __init__(self, spec: TokenSpec, width: int):
        super().__init__()
        self.pad = spec.pad
        self.tokens = _words(spec.vocabulary, width, spec.pad)
        self.streams = nn.ModuleList(_words(size, width, 0) for size in spec.streams)
        self.width = width

    def forward(self, inputs: tuple[Any, ...]) -> tuple[Tensor, Tensor]:
        lengths, place = self.lengths(inputs[0])
        x = self._vectors(inputs).masked_fill((place > lengths.unsqueeze(1)).unsqueeze(-1), 0.0)  # (B, T, D)
        return x.transpose(1, 2), lengths  # (B, D, T)

    def rows(self, inputs: tuple[Any, ...], least: int) -> tuple[Tensor, Tensor, Tensor]:
        """The words alone, text after text, each brought to at least `least` positions by zeros.

        Gives vectors (R, D), lengths (B,), and which positions the rows are (B, T), True = one of them.
        """
        inputs = tuple(_widened(stream, least) for stream in inputs)
        lengths, place = self.lengths(inputs[0])
        inside = place <= lengths.clamp(min=least).unsqueeze(1)  # (B, T)
        x = self._vectors(tuple(stream[inside] for stream in inputs))  # (R, D)
        beyond = (place > lengths.unsqueeze(1))[inside]  # (R,)
        return x.masked_fill(beyond.unsqueeze(1), 0.0), lengths, inside

    def lengths(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """The texts' lengths (B,), and the positions 1 to T."""
        place = torch.arange(1, tokens.shape[1] + 1, device=tokens.device)
        return ((tokens != self.pad) * place).amax(1).clamp(min=1), place

    def _vectors(self, inputs: tuple[Any, ...]) -> Tensor:
        """Tokens and streams of any shape (...) -> (..., D)."""
        tokens, *streams = inputs
        x: Tensor = self.tokens(tokens)
        for table, stream in zip(self.streams, streams, strict=True):
            vectors = table(stream)
            if stream.dim() > tokens.dim():
                vectors = vectors.sum(-2) / (stream != 0).sum(-1, keepdim=True).clamp(min=1)
            x = x + vectors
        return x


class SeriesStem(nn.Module):
    """Values (B, T, C), lengths (B,) or None -> (B, C, T), zero beyond each length, and the lengths, at least 1."""

    def forward(self, inputs: tuple[Any, ...]) -> tuple[Tensor, Tensor | None]:
        values, lengths = inputs
        x = values.transpose(1, 2)  # (B, C, T)
        if lengths is None:
            return x, None
        lengths = lengths.clamp(min=1)
        beyond = torch.arange(x.shape[-1], device=x.device) >= lengths.unsqueeze(1)
        return x.masked_fill(beyond.unsqueeze(1), 0.0), lengths


def _widened(stream: Tensor, least: int) -> Tensor:
    """A stream (B, T) or (B, T, W) with padding up to at least `least` positions."""
    missing = least - stream.shape[1]
    return stream if missing <= 0 else F.pad(stream, [*[0, 0] * (stream.dim() - 2), 0, missing])


def category_width(slots: int) -> int:
    """Width of a category's embedding: its slots while they are few (as one-hot), then growing slowly."""
    return slots if slots <= 8 else min(64, round(1.6 * slots**0.56))


def drawn(rows: int, columns: int, spread: float) -> Tensor:
    """Normal numbers; on the meta device none, for to make them there loads 800 modules of torch, in seconds."""
    numbers = torch.empty(rows, columns)
    return numbers if numbers.is_meta else numbers.normal_().mul_(spread)


def _table(slots: int, width: int) -> nn.Embedding:
    table = nn.Embedding(slots, width, _weight=drawn(slots, width, 1 / math.sqrt(width)))
    _undecayed(table.weight)
    return table


def _words(vocabulary: int, width: int, pad: int) -> nn.Embedding:
    """Vectors of about unit length; the padding token's is zero and stays so."""
    table = _table(vocabulary, width)
    with torch.no_grad():
        table.weight[pad].zero_()
    table.padding_idx = pad
    return table


def _per_column(count: int, inputs: int, outputs: int) -> nn.Parameter:
    """One matrix a column, (count, inputs, outputs), each as torch initialises a linear layer."""
    bound = 1 / math.sqrt(inputs)
    matrices = nn.Parameter(torch.empty(count, inputs, outputs).uniform_(-bound, bound))
    matrices.elementwise = True  # type: ignore[attr-defined]
    return matrices


def _undecayed(*parameters: Tensor) -> None:
    for parameter in parameters:
        parameter.undecayed = True  # type: ignore[attr-defined]
