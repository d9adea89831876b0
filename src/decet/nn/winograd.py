"""Quicker 3 x 3 convolutions of float32 on processors with AVX2: Winograd's minimal filtering, F(4x4) and F(3x3).

A tile of 4 x 4 outputs takes 36 products a pair of channels where the definition takes 144 (Lavin & Gray, 1509.09308):
    y = A' [(G g G') * (B d B')] A         d (6, 6) inputs, g (3, 3) filter, y (4, 4) outputs
Tiles are taken in blocks that stay in the cache through all three steps; what is compiled stands in winograd_kernels.
The threads are torch's own, each with a fixed share, so that the same number of threads gives the same bits.
Errors are up to about three times those of torch's float32, some millionths of the largest value.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from decet.nn import team
from decet.nn.team import readable

TILES = 64  # from here on what is done once, to the filters, is regained
SUMS = 2**28  # bytes at most of all threads' own sums of the filters' gradient


def pays(channels: int, outputs: int, height: int, width: int, batch: int = TILES) -> bool:
    """Whether this is quicker where such maps come out, as measured on a Zen 3.

    There it was 1.3 to 2.9 times as quick forward, 1.6 to 3.7 in training. Not measured where registers are longer
    than AVX2's, so not said of those.
    """
    fits = channels % 16 == outputs % 16 == 0 and min(height, width) >= 3
    if not fits or torch.backends.cpu.get_cpu_capability() != "AVX2":
        return False
    side = _side(height, width)
    return batch * -(-height // side) * -(-width // side) >= TILES


def conv3x3(x: Tensor, weight: Tensor, bias: Tensor | None = None, padding: int = 1) -> Tensor:
    """F.conv2d(x, weight, bias, padding=padding) of x (B, C, H, W) and weight (O, C, 3, 3); padding: 0, 1 or 2.

    It is F.conv2d where this does not pay, and for other devices and types, under autocast, compilers and torch.func.
    """
    if (
        not (readable(x, weight) and x.dtype == weight.dtype == torch.float32)
        or torch.is_autocast_enabled("cpu")
        or not pays(x.shape[1], weight.shape[0], *_left(x, padding), x.shape[0])
    ):
        return F.conv2d(x, weight, bias, padding=padding)
    y = Convolve.apply(x, weight, padding)
    return y if bias is None else y.add_(bias.view(-1, 1, 1))


class Convolve(torch.autograd.Function):
    """x (B, C, H, W), weight (O, C, 3, 3), padding -> (B, O, H', W'), of float32; C and O are multiples of 16.

    The gradients are made of the same two functions, so they have gradients themselves.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, padding: int) -> Tensor:
        of_x, of_weight, _ = ctx.needs_input_grad
        ctx.save_for_backward(x if of_weight else None, weight if of_x else None)
        ctx.padding = padding
        return _convolved(x, weight, padding)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        x, weight = ctx.saved_tensors
        of_x = None if weight is None else Convolve.apply(grads[0], _turned(weight), 2 - ctx.padding)
        return of_x, None if x is None else Correlate.apply(x, grads[0], ctx.padding), None


class Correlate(torch.autograd.Function):
    """x (B, C, H, W), grad (B, O, H', W'), padding -> the filters' gradient (O, C, 3, 3)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, grad: Tensor, padding: int) -> Tensor:
        of_x, of_grad, _ = ctx.needs_input_grad
        ctx.save_for_backward(x if of_grad else None, grad if of_x else None)
        ctx.padding = padding
        return _correlated(x, grad, padding)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        x, grad = ctx.saved_tensors
        of_x = None if grad is None else Convolve.apply(grad, _turned(grads[0]), 2 - ctx.padding)
        return of_x, None if x is None else Convolve.apply(x, grads[0], ctx.padding), None


def _turned(weight: Tensor) -> Tensor:
    """The filters that carry gradients back: (O, C, 3, 3) -> (C, O, 3, 3)."""
    return weight.flip(2, 3).transpose(0, 1)


def _left(x: Tensor, padding: int) -> tuple[int, int]:
    """The sides of the map that comes out."""
    return x.shape[2] + 2 * padding - 2, x.shape[3] + 2 * padding - 2


# --------------------------------------------------------------------------------------------------- the two passes


def _convolved(x: Tensor, weight: Tensor, padding: int) -> Tensor:
    x = x.contiguous(memory_format=torch.channels_last)
    (batch, channels), (height, width) = x.shape[:2], _left(x, padding)
    outputs, into = len(weight), _into_tiles(_side(height, width))
    y = torch.empty((batch, outputs, height, width), dtype=x.dtype, memory_format=torch.channels_last)
    taps = weight.permute(2, 3, 0, 1).reshape(9, outputs // 16, 16, channels).transpose(2, 3)
    filters = _floats(len(into), outputs * channels)  # each row (O / 16, C, 16)
    torch.mm(into, taps.reshape(9, -1), out=filters)  # out: autocast leaves it alone
    _run(x, y, filters, padding, convolve=True)
    return y


def _correlated(x: Tensor, grad: Tensor, padding: int) -> Tensor:
    x, grad = (t.contiguous(memory_format=torch.channels_last) for t in (x, grad))
    channels, outputs, into = x.shape[1], grad.shape[1], _into_tiles(_side(*grad.shape[2:]))
    workers = torch.get_num_threads()
    most = max(1, SUMS // (4 * len(into) * channels * outputs))
    shares = max(n for n in range(1, workers + 1) if workers % n == 0 and n <= most)
    sums = _floats(shares * len(into), outputs * channels).zero_()
    _run(x, grad, sums, padding, convolve=False, slices=workers // shares)
    taps = x.new_empty((9, outputs * channels))
    torch.mm(into.t().repeat(1, shares), sums, out=taps)
    taps = taps.view(9, outputs // 16, channels, 16).transpose(2, 3).reshape(3, 3, outputs, channels)
    return taps.permute(2, 3, 0, 1).contiguous()


def _side(height: int, width: int) -> int:
    """Of the tiles: the one that takes fewer products."""
    return min((4, 3), key=lambda side: (side + 2) ** 2 * -(-height // side) * -(-width // side))


def _block(channels: int, outputs: int) -> int:
    """Tiles at a time: few stay in the inner cache, many share a reading of the filters where these do not."""
    products = channels * outputs
    return 36 if products <= 2**14 else 72 if products <= 2**16 else 120


def _floats(*shape: int) -> Tensor:
    """Memory as it comes, from a border of 64 bytes on; numpy asks for huge pages, and torch's determinism would
    write to all of it first."""
    count = int(np.prod(shape))
    given = np.empty(count + 16, np.float32)
    start = -given.ctypes.data % 64 // 4
    return torch.from_numpy(given[start : start + count]).view(shape)


@functools.cache
def _into_tiles(side: int) -> Tensor:
    """What makes a filter's 9 numbers those of a tile: ((side + 2)^2, 9), the products of G's."""
    from decet.nn import winograd_kernels as kernels  # numba takes half a second to import

    _, g, _ = kernels.matrices(side)
    with torch.inference_mode(False):
        return torch.from_numpy(np.kron(g, g).astype(np.float32))


def _run(x: Tensor, other: Tensor, filters: Tensor, padding: int, convolve: bool, slices: int = 1) -> None:
    """x (B, C, H, W) and other (B, O, H', W'), channels-last: convolve writes other, else filters are added to."""
    from decet.nn import winograd_kernels as kernels

    (batch, channels, height, width), outputs = x.shape, other.shape[1]
    side, block, workers = _side(*other.shape[2:]), _block(channels, outputs), torch.get_num_threads()
    room = kernels.room(block, channels, outputs, side)
    scratch = _floats(workers * room // 4)
    job = kernels.Job(
        slices=slices,
        convolve=int(convolve),
        side=side,
        block=block,
        batch=batch,
        height=height,
        width=width,
        channels=channels,
        outputs=outputs,
        x=x.data_ptr(),
        other=other.data_ptr(),
        filters=filters.data_ptr(),
        scratch=scratch.data_ptr(),
        room=room,
        padding=padding,
    )
    team.run(kernels.work().address, workers, job)
