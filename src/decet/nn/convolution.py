"""Parts of convolutional networks: norms, poolings and filters for pictures and for sequences of unequal length.

Pictures are x (B, C, H, W). Sequences are x (B, C, T) with lengths (B,) or None; what lies beyond a sequence's length
is zero when it enters a part and zero when it leaves, and enters no mean and no maximum, so padding changes nothing.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from decet.contracts import Features
from decet.errors import BadInput, check_range
from decet.nn import narrow, winograd
from decet.nn.maxpool import max_pool

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "celu": nn.CELU,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
}
NORMS = ("batch", "group", "none")
GROUPS = 32  # of group norm, fewer where the channels are few or do not divide
WHITENED = 5e-4  # added to the variance of each direction of standardised patches, as Jordan's airbench does


def check_list(settings: Any, name: str, meaning: str, low: int, high: int) -> None:
    """Check a field of frozen settings that must list whole numbers (or be None), and keep it as a tuple of ints."""
    given = getattr(settings, name)
    if given is None:
        return
    if isinstance(given, (int, float, str)) or not len(given):
        raise BadInput(f"{name} must list {meaning}. Received: {given!r}.")
    for item in given:
        check_range(f"each number in {name}", item, low, high, whole=True)
    object.__setattr__(settings, name, tuple(int(item) for item in given))


# -------------------------------------------------------------------------------------------------- sequences' ends


def real(x: Tensor, lengths: Tensor) -> Tensor:
    """Which of the T positions of x (B, C, T) lie within the lengths: (B, 1, T), True = real."""
    return (torch.arange(x.shape[-1], device=x.device) < lengths.unsqueeze(1)).unsqueeze(1)


def ended(x: Tensor, lengths: Tensor | None) -> Tensor:
    """x (B, C, T) with zeros beyond the lengths."""
    return x if lengths is None else x.masked_fill(~real(x, lengths), 0.0)


# ------------------------------------------------------------------------------------------------------------ norms


class BatchNorm(nn.modules.batchnorm._BatchNorm):
    """Batch normalisation of (B, C), (B, C, T) or (B, C, H, W) (Ioffe & Szegedy, 1502.03167).

    scaled False: only the shift is trained, the scale stays 1. One row alone has no variance: then the running
    statistics serve. Statistics of sequences are those of their real positions.
    """

    def __init__(self, width: int, momentum: float = 0.1, scaled: bool = True):
        super().__init__(width, momentum=momentum)
        if not scaled:
            del self.weight
            self.register_buffer("weight", torch.ones(width))

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        if lengths is not None and self.training:
            place = real(x, lengths).squeeze(1)  # (B, T)
            rows = self._normed(x.transpose(1, 2)[place])  # (R, C)
            y = rows.new_zeros(x.shape[0], x.shape[2], x.shape[1]).masked_scatter(place.unsqueeze(-1), rows)
            return y.transpose(1, 2)  # (B, C, T)
        return ended(self._normed(x), lengths)

    def _normed(self, x: Tensor) -> Tensor:
        if self.training and x.numel() == x.shape[1]:
            return F.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, False, 0.0, self.eps)
        return super().forward(x)

    def _check_input_dim(self, input: Tensor) -> None: ...  # any number of dimensions


class GroupNorm(nn.GroupNorm):
    """Group normalisation of pictures, at least two channels a group (Wu & He, 1803.08494).

    Of rows and sequences all channels are one group, each position by itself, so that a sequence's end does not count.
    """

    def __init__(self, width: int):
        super().__init__(max(1, math.gcd(2 * GROUPS, width) // 2), width)

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        if x.dim() == 4:
            return super().forward(x)
        y = F.layer_norm(x.movedim(1, -1), (self.num_channels,), self.weight, self.bias, self.eps)
        return ended(y.movedim(-1, 1), lengths)


class NoNorm(nn.Module):
    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        return ended(x, lengths)


def norm_of(name: str | None, width: int, momentum: float = 0.1, scaled: bool = True) -> nn.Module:
    match name:
        case "batch":
            return BatchNorm(width, momentum, scaled)
        case "group":
            return GroupNorm(width)
        case _:
            return NoNorm()


# ---------------------------------------------------------------------------------------------------------- filters


class Conv3x3(nn.Conv2d):
    """3 x 3 filters moved by one pixel, in the quickest way there is."""

    def forward(self, input: Tensor) -> Tensor:
        padding = int(self.padding[0])
        if padding == 1 and narrow.pays(input, self.weight):
            return narrow.conv3x3(input, self.weight, self.bias)
        return winograd.conv3x3(input, self.weight, self.bias, padding)


class Filters(nn.Module):
    """One convolution, of pictures (dims 2) or sequences (dims 1). (B, inputs, ...) -> (B, outputs, ...).

    padding "same": a map of n becomes ceil(n / stride). "valid": windows lie wholly within the map; a sequence
    shorter than the kernel has one window, filled up with zeros.
    """

    def __init__(
        self,
        dims: int,
        inputs: int,
        outputs: int,
        kernel: int,
        stride: int = 1,
        padding: str = "same",
        bias: bool = False,
    ):
        super().__init__()
        self.same, self.kernel, self.stride = padding == "same", kernel, stride
        kind: Any = nn.Conv1d if dims == 1 else Conv3x3 if (kernel, stride) == (3, 1) else nn.Conv2d
        inside = kernel // 2 if self.same and kernel % 2 else 0
        # oneDNN's gradient of a strided 1 x 1 convolution writes beyond its memory where the channels-last input has
        # not 8 n channels (torch 2.13, AVX2: the process dies), so such a one takes every stride-th pixel by itself.
        self.sparse = kernel == 1 and stride > 1
        self.conv = kind(inputs, outputs, kernel, 1 if self.sparse else stride, inside, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        if self.sparse:
            x = x[:, :, :: self.stride] if x.dim() == 3 else x[:, :, :: self.stride, :: self.stride]
        if self.same and self.kernel % 2 == 0:  # one more on the far side
            x = F.pad(x, [(self.kernel - 1) // 2, self.kernel // 2] * (x.dim() - 2))
        elif not self.same and x.dim() == 3 and x.shape[-1] < self.kernel:
            x = F.pad(x, [0, self.kernel - x.shape[-1]])
        return self.conv(x)

    def left(self, lengths: Tensor | None) -> Tensor | None:
        """The lengths of what comes out."""
        if lengths is None:
            return None
        first = lengths - 1 if self.same else (lengths - self.kernel).clamp(min=0)
        return torch.div(first, self.stride, rounding_mode="floor") + 1

    def side(self, side: int) -> int:
        """The side of the map that comes out of one of `side`; below 1 = the window does not fit."""
        if self.same:
            return (side - 1) // self.stride + 1
        fits = side - self.kernel if isinstance(self.conv, nn.Conv2d) else max(0, side - self.kernel)
        return fits // self.stride + 1


class Window(nn.Linear):
    """Filters over `kernel` words: rows (R, at least kernel * D), a window's vectors end to end -> (R, filters)."""

    def __init__(self, width: int, filters: int, kernel: int):
        super().__init__(kernel * width, filters)

    def forward(self, input: Tensor) -> Tensor:
        return F.linear(input[:, : self.in_features], self.weight, self.bias)


class Layer(nn.Module):
    """Convolution, norm, activation. (B, inputs, ...), lengths -> (B, outputs, ...), lengths."""

    def __init__(self, filters: Filters | None, norm: nn.Module, activation: nn.Module | None):
        super().__init__()
        self.filters, self.norm, self.activation = filters, norm, activation

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        if self.filters is not None:
            x, lengths = self.filters(x), self.filters.left(lengths)
        x = self.norm(x, lengths)
        if self.activation is not None:
            x = self.activation(x)
            if isinstance(self.activation, nn.Sigmoid):  # the only one that makes something of zero
                x = ended(x, lengths)
        return x, lengths


def dirac(filters: Filters) -> None:
    """Let the first channels pass unchanged, as many as come in and go out (Zagoruyko & Komodakis, 1706.00388)."""
    with torch.no_grad():
        nn.init.dirac_(filters.conv.weight[: filters.conv.weight.shape[1]])


# --------------------------------------------------------------------------------------------------------- poolings


class Pool(nn.Module):
    """The largest or the mean of each window of size x size pixels (`sides`), or of `size` positions (sides None).

    A side shorter than the window is one window. What does not fill a window falls away in pictures, and makes a
    smaller window in sequences.
    """

    def __init__(self, kind: str, size: int, sides: tuple[int, ...] | None = None):
        super().__init__()
        self.kind, self.size = kind, size
        self.window = (size,) if sides is None else tuple(min(size, side) for side in sides)
        self.halves = max(self.window) > 1

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        if len(self.window) == 2:
            if not self.halves:
                return x, lengths
            return (max_pool if self.kind == "max" else F.avg_pool2d)(x, self.window), lengths
        pool = F.max_pool1d if self.kind == "max" else F.avg_pool1d
        if lengths is None:
            return pool(x, self.size, ceil_mode=True), None
        mask = real(x, lengths)
        lengths = torch.div(lengths - 1, self.size, rounding_mode="floor") + 1
        if self.kind == "max":
            x = x.masked_fill(~mask, torch.finfo(x.dtype).min)
            return ended(pool(x, self.size, ceil_mode=True), lengths), lengths
        share = pool(mask.to(x.dtype), self.size, ceil_mode=True).clamp(min=1 / self.size)
        return ended(pool(x, self.size, ceil_mode=True) / share, lengths), lengths

    def sides(self, sides: tuple[int, ...]) -> tuple[int, ...]:
        """The sides of the map that comes out."""
        if len(self.window) == 1:
            return tuple(-(-side // self.size) for side in sides)
        return tuple(side // window for side, window in zip(sides, self.window, strict=True))


def pooled(x: Tensor, lengths: Tensor | None, kind: str) -> Tensor:
    """The mean or the largest over all real positions: (B, C, ...) -> (B, C)."""
    x = x.flatten(2) if lengths is not None else x
    places = tuple(range(2, x.dim()))
    if kind == "max":
        if lengths is not None:
            x = x.masked_fill(~real(x, lengths), torch.finfo(x.dtype).min)
        return x.amax(places)
    return x.mean(places) if lengths is None else x.sum(2) / lengths.unsqueeze(1).to(x.dtype)


# -------------------------------------------------------------------------------------------------------- whitening


class Whitening(nn.Module):
    """2 x 2 filters whose answers to the training pictures are uncorrelated and of variance 1, and their negatives.

    The filters are the eigenvectors of the patches' covariance over the root of their variance (the widest
    variances first where `most` is less than all); they stay as they are and nothing here is trained, so nothing
    needs to be carried back through the largest map. (B, C, H, W) -> (B, 2 k, H - 1, W - 1).
    Page, "How to train your ResNet" (2018-19); Jordan, 2404.00498, who trains a bias for the first few epochs.
    """

    weight: Tensor

    def __init__(self, patches: tuple[tuple[float, ...], ...], channels: int, most: int):
        super().__init__()
        filters = whitening(np.asarray(patches, np.float64), channels)[:most]
        both = np.concatenate([filters, -filters]).astype(np.float32)
        self.register_buffer("weight", torch.as_tensor(both, device=torch.get_default_device()))

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.weight)


def whitening(patches: np.ndarray, channels: int) -> np.ndarray:
    """Filters (4 C, C, 2, 2) out of the covariance (9 C, 9 C) of 3 x 3 patches; 2 x 2 ones stand in it four times."""
    c = patches.reshape(channels, 3, 3, channels, 3, 3)
    four = [c[:, i : i + 2, j : j + 2, :, i : i + 2, j : j + 2] for i in (0, 1) for j in (0, 1)]
    small = np.mean(four, 0)
    variances, vectors = np.linalg.eigh(small.reshape(4 * channels, 4 * channels))
    order = np.argsort(-variances, kind="stable")
    scaled = vectors[:, order] / np.sqrt(np.maximum(variances[order], 0.0) + WHITENED)
    return np.asarray(scaled.T).reshape(4 * channels, channels, 2, 2)


# --------------------------------------------------------------------------------------------------------- features


def picture_features(summary: Tensor, maps: list[Tensor], frames: int | None) -> Features:
    """What a body gives of pictures; of a clip the mean of its frames' summaries, and all frames' positions.

    summary (B * T, S), maps (B * T, C, H, W). A clip has no picture scales of its own.
    """
    values = maps[-1].permute(0, 2, 3, 1).flatten(1, 2)  # (B, P, D), a view where the map is channels-last
    if frames is None:
        return Features(summary=summary, values=values, maps=tuple(maps))
    summary = summary.unflatten(0, (-1, frames)).mean(1)  # (B, S)
    return Features(summary=summary, values=values.unflatten(0, (-1, frames)).flatten(1, 2))  # (B, T * P, D)


def with_condition(x: Tensor, condition: Tensor | None) -> Tensor:
    """x (B, C, ...) plus the condition (B, C), at every position; of a clip's frames each gets its clip's."""
    if condition is None:
        return x
    if len(condition) != len(x):
        condition = condition.repeat_interleave(len(x) // len(condition), 0, output_size=len(x))
    return x + condition.reshape(*condition.shape, *[1] * (x.dim() - 2))
