"""Pictures varied so that gradients flow through: what a critic sees of real and of drawn ones alike (DiffAugment).

Zhao et al., 2006.10738: a critic that sees a few thousand pictures again and again learns them by heart; varied, it
cannot, and since drawn ones are varied alike, the generator does not learn to draw the variations. In this order:

    brightness   x + u                                  u even in -1/2 .. 1/2
    saturation   m + (x - m) u, m the pixel's mean      u even in 0 .. 2; nothing where there is one channel
    contrast     m + (x - m) u, m the picture's mean    u even in 1/2 .. 3/2
    shift        by up to an eighth of the sides, what is missing is grey
    cutout       a window of half the sides, its centre anywhere, grey

`strength` times these, 0 to 1; pictures (B, C, H, W) are -1 to 1, so grey is 0.
"""

from __future__ import annotations

import torch
from torch import Tensor

SHIFT, CUT = 1 / 8, 1 / 2  # of the sides


def varied(pictures: Tensor, strength: float) -> Tensor:
    """The pictures (B, C, H, W) varied, each by its own draws; strength 0: as they are."""
    return cut(shifted(recoloured(pictures, strength), strength), strength) if strength else pictures


def recoloured(x: Tensor, strength: float) -> Tensor:
    """Brightness, saturation and contrast, each picture's its own."""
    bright, colour, contrast = torch.rand(3, len(x), 1, 1, 1, device=x.device) * 2 - 1  # (B, 1, 1, 1) each
    x = x + 0.5 * strength * bright
    if x.shape[1] > 1:
        x = _away(x, x.mean(1, keepdim=True), 1 + strength * colour)
    return _away(x, x.mean((1, 2, 3), keepdim=True), 1 + 0.5 * strength * contrast)


def _away(x: Tensor, mean: Tensor, times: Tensor) -> Tensor:
    return mean + (x - mean) * times


def shifted(x: Tensor, strength: float) -> Tensor:
    """Each picture moved by whole pixels, zeros where there were none: two products with matrices of zeros and ones.

    An index would have a gradient that adds in any order on a GPU, and no picture is rounded: autocast is kept away.
    """
    rows, columns = (_moves(len(x), side, strength, x) for side in x.shape[2:])
    with torch.autocast(x.device.type, enabled=False):
        return rows @ x @ columns.transpose(2, 3)


def _moves(count: int, side: int, strength: float, like: Tensor) -> Tensor:
    """A matrix (count, 1, side, side) a picture that moves its pixels along one side."""
    most = round(side * SHIFT * strength)
    step = torch.randint(-most, most + 1, (count, 1, 1, 1), device=like.device)
    place = torch.arange(side, device=like.device)
    return (place.view(-1, 1) - step == place).to(like.dtype)


def cut(x: Tensor, strength: float) -> Tensor:
    """A window of each picture set to zero."""
    rows, columns = (_window(len(x), side, strength, x.device) for side in x.shape[2:])
    return x.masked_fill(rows[:, None, :, None] & columns[:, None, None], 0.0)


def _window(count: int, side: int, strength: float, device: torch.device) -> Tensor:
    """Which places along one side lie in the window (count, side)."""
    half = round(side * CUT * strength) / 2
    centre = torch.rand(count, 1, device=device) * side
    return (torch.arange(side, device=device) + 0.5 - centre).abs() < half
