"""Attention: each position asks all others what they have to say (Vaswani et al., 1706.03762).

    out = softmax(Q K' / sqrt(d)) V      in each of several heads; heads of one group share K and V (Ainslie et al.,
    2305.13245). Products and softmax are torch's fused kernel.

Positions are told by turning queries and keys (rotary; Su et al., 2104.09864), or by vectors added to the words
(sinusoidal, or learned). What a decoder has read stays in a cache, so that a further word costs one position.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

BASE = 10_000.0  # of the wavelengths of positions
ROOM = 64  # positions of a cache, at first


class Turn(NamedTuple):
    """Cosines and sines by which queries and keys are turned, each ((B, 1,) T, d / 2)."""

    cos: Tensor
    sin: Tensor


class Cache(NamedTuple):
    """Keys and values of what was read, (B, G, room, d) each, of which the first `age` (B,) positions are real."""

    keys: Tensor
    values: Tensor


def turn_of(places: Tensor, size: int) -> Turn:
    """The turn of positions (T,) or (B, T) for heads of so many numbers."""
    speeds = BASE ** (torch.arange(0, size, 2, device=places.device, dtype=torch.float32) / -size)
    angles = places.unsqueeze(-1).to(torch.float32) * speeds  # (..., T, d / 2)
    if places.dim() == 2:
        angles = angles.unsqueeze(1)  # all heads alike
    return Turn(angles.cos(), angles.sin())


def turned(x: Tensor, turn: Turn | None) -> Tensor:
    """Queries or keys (B, H, T, d), the pairs (i, i + d / 2) turned by their position's angles."""
    if turn is None:
        return x
    y: Tensor = _Turned.apply(x, turn.cos.to(x.dtype), turn.sin.to(x.dtype))
    return y


class _Turned(torch.autograd.Function):
    """A turn, and back: four passes over half of the numbers each, where autograd's own would make a dozen."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        ctx.save_for_backward(cos, sin)
        return _turned_by(x, cos, sin, 1.0)

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        cos, sin = ctx.saved_tensors
        return _turned_by(dy, cos, sin, -1.0), None, None


def _turned_by(x: Tensor, cos: Tensor, sin: Tensor, way: float) -> Tensor:
    y = torch.empty_like(x)
    (a, b), (c, d) = x.chunk(2, -1), y.chunk(2, -1)
    torch.mul(a, cos, out=c).addcmul_(b, sin, value=-way)
    torch.mul(b, cos, out=d).addcmul_(a, sin, value=way)
    return y


def sinusoids(places: Tensor, width: int) -> Tensor:
    """Sines, then cosines, of positions (...) -> (..., D), with wavelengths from 2 pi to 10,000 x 2 pi."""
    half = (width + 1) // 2
    speeds = BASE ** (torch.arange(half, device=places.device, dtype=torch.float32) / -max(1, half))
    angles = places.unsqueeze(-1).to(torch.float32) * speeds
    return torch.cat([angles.sin(), angles.cos()], -1)[..., :width]


class Attention(nn.Module):
    """Of a sequence to itself: (B, T, D) -> (B, T, D).

    heads: D / heads numbers each. groups: pairs of keys and values; heads / groups heads share one. normed: queries
    and keys are brought to one length.
    """

    def __init__(self, width: int, heads: int, groups: int, bias: bool, normed: bool = False) -> None:
        super().__init__()
        self.heads, self.groups, self.size, self.normed = heads, groups, width // heads, normed
        self.into = nn.Linear(width, (heads + 2 * groups) * self.size, bias)  # queries, keys, values
        self.out = nn.Linear(heads * self.size, width, bias)

    def forward(
        self,
        x: Tensor,
        turn: Turn | None = None,
        mask: Tensor | None = None,
        *,
        causal: bool = False,
        cache: Cache | None = None,
        age: int | Tensor = 0,
    ) -> tuple[Tensor, Cache]:
        """mask (B, 1, T or 1, S): True = seen. causal: of a whole sequence each position sees those up to itself.

        cache: of what was read before; the new keys and values are written behind each row's `age`.
        """
        parts = self.into(x).unflatten(-1, (-1, self.size)).transpose(1, 2)  # (B, H + 2 G, T, d)
        both, values = parts.split([self.heads + self.groups, self.groups], 1)
        if self.normed:
            both = F.layer_norm(both, (self.size,))
        queries, keys = turned(both, turn).split([self.heads, self.groups], 1)
        kept = Cache(keys, values)
        if cache is not None:
            end = _end(age, x.shape[1])
            kept = _written(cache, keys, values, age, end)
            keys, values = kept.keys[:, :, :end], kept.values[:, :, :end]
        y = attended(queries, keys, values, mask, causal)
        return self.out(y.transpose(1, 2).flatten(2)), kept


class Across(nn.Module):
    """Of a sequence to a memory: (B, T, D), keys and values of the memory -> (B, T, D)."""

    def __init__(self, width: int, heads: int, groups: int, bias: bool, memory: int) -> None:
        super().__init__()
        self.heads, self.groups, self.size = heads, groups, width // heads
        self.ask = nn.Linear(width, heads * self.size, bias)
        self.tell = nn.Linear(memory, 2 * groups * self.size, bias)
        self.out = nn.Linear(heads * self.size, width, bias)

    def told(self, memory: Tensor) -> Cache:
        """Keys and values of a memory (B, P, S), made once."""
        parts = self.tell(memory).unflatten(-1, (-1, self.size)).transpose(1, 2)
        return Cache(*parts.chunk(2, 1))

    def forward(self, x: Tensor, told: Cache, mask: Tensor | None) -> Tensor:
        """mask (B, 1, 1, P): True = seen."""
        queries = self.ask(x).unflatten(-1, (-1, self.size)).transpose(1, 2)
        y = attended(queries, told.keys, told.values, mask, False)
        return self.out(y.transpose(1, 2).flatten(2))


def attended(queries: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None, causal: bool) -> Tensor:
    """(B, H, T, d), (B, G, S, d) twice -> (B, H, T, d)."""
    shared = queries.shape[1] // keys.shape[1]
    if shared > 1:
        keys, values = keys.repeat_interleave(shared, 1), values.repeat_interleave(shared, 1)
    return F.scaled_dot_product_attention(queries, keys, values, attn_mask=mask, is_causal=causal)


def _end(age: int | Tensor, more: int) -> int:
    """Positions of a cache that are in use after so many more."""
    return (age if isinstance(age, int) else int(age.max())) + more


def _written(cache: Cache, keys: Tensor, values: Tensor, age: int | Tensor, end: int) -> Cache:
    """The cache with more behind it, written in place where there is room: of two that go on from one state the later
    overwrites what the earlier wrote, unless each has its own rows by `State.select`."""
    more = keys.shape[2]
    if end > cache.keys.shape[2]:
        room = max(ROOM, 2 * end)
        cache = Cache(*(_grown(old, room) for old in cache))
    for old, new in zip(cache, (keys, values), strict=True):
        if isinstance(age, int):
            old[:, :, age : age + more] = new
        else:
            places = age.unsqueeze(1) + torch.arange(more, device=age.device)  # (B, T)
            index = places[:, None, :, None].expand(-1, old.shape[1], -1, old.shape[3])
            old.scatter_(2, index, new)
    return cache


def _grown(old: Tensor, room: int) -> Tensor:
    new = old.new_zeros(*old.shape[:2], room, old.shape[3])
    new[:, :, : old.shape[2]] = old
    return new
