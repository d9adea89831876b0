"""A vocabulary: the vectors of tokens, going in and coming out, and the loss of which token comes next.

    loss = mean over positions of  log sum_k exp(x . w_k + b_k)  -  (x . w_y + b_y)

The answers to all positions are never held at once. Logits of a chunk of positions are made, turned into the gradients
there and then, and forgotten: memory is that of a chunk, not of positions times vocabulary. What becomes of a chunk is
three products of matrices and one softmax, each written where the last one was, for it is memory that costs time here.

Where few tokens are most of a text (Grave et al., 1609.04309), `Bands` asks first whether the next token is one of them
or of which band of rarer ones, and only if so which of these; rarer tokens have fewer numbers (1809.10853).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from decet.nn.stems import drawn

AT_ONCE = 1 << 22  # logits that are held at once
CHUNK = 1 << 26  # logits of a chunk where they are more: the gradient of `weight` is added to once a chunk
LEAST = torch.finfo(torch.float32).tiny  # probability, whose logarithm is still finite
COMMON = 4_096  # tokens of the first band; each next one has up to `TIMES` as many, of a `TIMES`th of the numbers
TIMES = 4


class Words(nn.Embedding):
    """A vector each: tokens (...) int64 -> (..., D)."""

    def __init__(self, vocabulary: int, width: int, spread: float) -> None:
        super().__init__(vocabulary, width, _weight=drawn(vocabulary, width, spread))
        self.vocabulary, self.width = vocabulary, width
        _as_words(self.weight)

    def loss(self, x: Tensor, bias: Tensor, target: Tensor) -> Tensor:
        """The mean loss of positions (N, D) against tokens (N,); bias (V,)."""
        return cross_entropy(x, self.weight, bias, target)

    def logits(self, x: Tensor, bias: Tensor) -> Tensor:
        """(..., D) -> (..., V)."""
        return F.linear(x, self.weight, bias)

    def surprises(self, x: Tensor, bias: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Of tokens (N,) after positions (N, D) -log probability, and whether it is the likeliest."""
        logits = self.logits(x, bias).float()
        return F.cross_entropy(logits, target, reduction="none"), logits.argmax(1) == target


class Bands(nn.Module):
    """Vectors of tokens in order of falling frequency, the rarer of fewer numbers: tokens (...) int64 -> (..., D).

    Differs from the papers: the bands' sizes are given, and the first one's vectors pass through no matrix.
    """

    def __init__(self, vocabulary: int, width: int, spread: float) -> None:
        super().__init__()
        self.vocabulary, self.width = vocabulary, width
        self.ends = [min(COMMON, vocabulary)]
        while self.ends[-1] < vocabulary:
            self.ends.append(min(vocabulary, self.ends[-1] + COMMON * TIMES ** len(self.ends)))
        sizes = [end - begin for begin, end in zip((0, *self.ends), self.ends, strict=False)]
        widths = [max(1, width // TIMES**k) for k in range(len(sizes))]
        self.bands = nn.ParameterList(drawn(*shape, spread) for shape in zip(sizes, widths, strict=True))
        self.doors = nn.Parameter(drawn(len(sizes) - 1, width, spread))  # by which the rarer bands are entered
        self.open = nn.Parameter(torch.tensor([math.log(size) for size in sizes[1:]]))  # all tokens alike at first
        self.wide = nn.ParameterList(drawn(n, width, 1 / math.sqrt(n)) for n in widths[1:])
        for weight in (*self.bands, self.doors):
            _as_words(weight)

    def forward(self, tokens: Tensor) -> Tensor:
        flat = tokens.flatten()
        common = flat.masked_fill((flat >= self.ends[0]) & (flat < self.ends[-1]), 0)
        y = F.embedding(common, self.bands[0])
        for begin, end, band, wide in self._rare():
            places = ((flat >= begin) & (flat < end)).nonzero().squeeze(1)
            if len(places):
                rows = F.embedding(flat[places] - begin, band) @ wide
                y = y.index_copy(0, places, rows.to(y.dtype))
        return y.view(*tokens.shape, self.width)

    def loss(self, x: Tensor, bias: Tensor, target: Tensor) -> Tensor:
        """The mean loss of positions (N, D) against tokens (N,); bias (V,)."""
        common, asked, total = self.ends[0], target.clone(), x.new_zeros((), dtype=torch.float32)
        for number, (begin, end, band, wide) in enumerate(self._rare()):
            places = ((target >= begin) & (target < end)).nonzero().squeeze(1)
            asked[places] = common + number
            if len(places):
                low = F.linear(x[places], wide)
                own = cross_entropy(low, band, bias[begin:end], target[places] - begin)
                total = total + own * (len(places) / len(target))
        weight, shift = self._first(bias)
        return cross_entropy(x, weight, shift, asked) + total

    def logits(self, x: Tensor, bias: Tensor) -> Tensor:
        """(..., D) -> (..., V)."""
        common = self.ends[0]
        first = F.linear(x, *self._first(bias)).float()
        parts = [first[..., :common]]
        for number, (begin, end, band, wide) in enumerate(self._rare()):
            part = F.linear(F.linear(x, wide), band, bias[begin:end]).float().log_softmax(-1)
            parts.append(part + first[..., common + number, None])
        return torch.cat(parts, -1)

    def surprises(self, x: Tensor, bias: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Of tokens (N,) after positions (N, D) -log probability, and whether it is the likeliest.

        A band is looked into only where the answer is in it, or where it is likelier than each of the common tokens.
        """
        common, asked = self.ends[0], target.clone()
        first = F.linear(x, *self._first(bias)).float().log_softmax(1)
        best, chosen = first[:, :common].max(1)
        found = torch.zeros_like(best)
        for number, (begin, end, band, wide) in enumerate(self._rare()):
            door, inside = first[:, common + number], (target >= begin) & (target < end)
            asked = asked.masked_fill(inside, common + number)
            places = (inside | (door > best)).nonzero().squeeze(1)
            if not len(places):
                continue
            part = F.linear(F.linear(x[places], wide), band, bias[begin:end]).float().log_softmax(1)
            own = part.gather(1, (target[places] - begin).clamp(0, end - begin - 1).unsqueeze(1)).squeeze(1)
            found[places] -= torch.where(inside[places], own, 0.0)
            high, place = part.max(1)
            high = high + door[places]
            better = high > best[places]
            best[places[better]], chosen[places[better]] = high[better], place[better] + begin
        return found - first.gather(1, asked.unsqueeze(1)).squeeze(1), chosen == target

    def _rare(self) -> Iterator[tuple[int, int, Tensor, Tensor]]:
        """Of each band but the first: begin, end, vectors (n, d), and the matrix (d, D) that makes them wide."""
        return zip(self.ends, self.ends[1:], list(self.bands)[1:], self.wide, strict=False)

    def _first(self, bias: Tensor) -> tuple[Tensor, Tensor]:
        """Weights and biases of the first question: a common token, or which band?"""
        return torch.cat([self.bands[0], self.doors]), torch.cat([bias[: self.ends[0]], self.open])


def answers(words: Words | Bands) -> Words | Bands:
    """Vectors of their own for the tokens that come out, all zero: at first every token is as likely as any other."""
    own = type(words)(words.vocabulary, words.width, 0.0)
    for weight in (own.weight,) if isinstance(own, Words) else (*own.bands, own.doors):
        weight.undecayed, weight.elementwise = False, True
    return own


def _as_words(weight: Tensor) -> None:
    """Mark what is no map of a hidden space: it is not decayed, and Muon leaves it alone."""
    weight.undecayed = True  # type: ignore[attr-defined]


def cross_entropy(x: Tensor, weight: Tensor, bias: Tensor, target: Tensor) -> Tensor:
    """The mean loss of positions (N, D) against tokens (N,), of whose vectors `weight` (V, D) holds one each."""
    if x.shape[0] * weight.shape[0] <= AT_ONCE:
        return F.cross_entropy(F.linear(x, weight, bias.to(x.dtype)).float(), target)
    loss: Tensor = _Chunked.apply(x, weight, bias, target)
    return loss


class _Chunked(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, target: Tensor) -> Tensor:
        kind, device = x.dtype, x.device.type
        if torch.is_autocast_enabled(device):
            kind = torch.get_autocast_dtype(device)
        (count, inputs), size = x.shape, max(1, min(len(x), CHUNK // len(weight)))
        given, words = _with_bias(x.to(kind), weight.to(kind), bias)
        logits, grads = (given.new_empty(size, len(weight)) for _ in range(2))
        dx, dwords = torch.empty_like(x), torch.zeros_like(words, dtype=torch.float32)
        total = x.new_zeros((), dtype=torch.float64)
        for begin in range(0, count, size):
            part = given[begin : begin + size]
            asked = torch.arange(len(part), device=x.device), target[begin : begin + size]
            torch.mm(part, words, out=logits[: len(part)])
            change = torch._softmax(logits[: len(part)], 1, False, out=grads[: len(part)])
            right = change[asked]
            total -= right.float().clamp(min=LEAST).log().sum(dtype=torch.float64)
            change[asked] = right - 1.0
            dx[begin : begin + size] = torch.mm(change, words.t())[:, :inputs]
            dwords += torch.mm(part.t().contiguous(), change)
        ctx.save_for_backward(dx, dwords)
        ctx.count, ctx.kinds = count, (weight.dtype, bias.dtype)
        return (total / count).to(torch.float32)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        dx, dwords = ctx.saved_tensors
        grad = grad / ctx.count
        dwords = dwords * grad
        return dx * grad.to(dx.dtype), dwords[:-2].t().to(ctx.kinds[0]), dwords[-2].to(ctx.kinds[1]), None


def _with_bias(x: Tensor, weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
    """x (N, D + 2) and the words (D + 2, V), of which two are the bias: what short numbers round off is the second.

    The words lie as wide rows, by which products of matrices go up to three times as fast.
    """
    high = bias.to(weight.dtype)
    low = (bias - high).to(weight.dtype)
    wide = torch.cat([weight.t(), high.unsqueeze(0), low.unsqueeze(0)])
    return torch.cat([x, x.new_ones(len(x), 2)], 1), wide
