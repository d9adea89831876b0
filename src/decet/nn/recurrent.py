"""Recurrent layers over time: the long short-term memory, and one that is worked out for all steps at once.

    i, f, o = sigmoid(...);   g = tanh(...)     each of x_t W + h_{t-1} U + b
    c_t = f c_{t-1} + i g;    h_t = o tanh(c_t)                                (Hochreiter & Schmidhuber, 1997)

All x_t W are one product of matrices, and so are the gradients of W and U: within time there is one small product a
step, and what is done element by element. Rows are sorted by length, so that a step works on those only that still
go on: padding costs nothing and changes nothing.

`scanned` (minLSTM; Feng et al., 2410.01201): gates that do not look at h, so that h_t = f_t h_{t-1} + i_t g_t is a
scan, in logarithms.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

GATES = 4  # in, forget, out, new, in this order


class _Recurrence(torch.autograd.Function):
    """products (T, B, 4 H) of the inputs, weight (4 H, H), h and c before (B, H), rows that go on at each step ->
    h of all steps (T, B, H), zeros beyond a row's end, and c after each row's last step (B, H)."""

    @staticmethod
    def forward(
        ctx: Any, products: Tensor, weight: Tensor, h: Tensor, c: Tensor, sizes: tuple[int, ...]
    ) -> tuple[Tensor, Tensor]:
        steps, rows, width = products.shape[0], products.shape[1], weight.shape[1]
        gates = torch.empty_like(products)
        hs = products.new_zeros(steps + 1, rows, width)
        cs = products.new_zeros(steps + 1, rows, width)
        squashed = products.new_zeros(steps, rows, width)  # tanh(c)
        hs[0], cs[0] = h, c
        turned = weight.t()
        for t, size in enumerate(sizes):
            gate = torch.addmm(products[t, :size], hs[t, :size], turned, out=gates[t, :size])
            gate[:, : 3 * width].sigmoid_()
            gate[:, 3 * width :].tanh_()
            into, forget, out, new = gate.split(width, 1)
            after = torch.mul(forget, cs[t, :size], out=cs[t + 1, :size]).addcmul_(into, new)
            torch.mul(out, torch.tanh(after, out=squashed[t, :size]), out=hs[t + 1, :size])
        ends = _ends(sizes, rows, products.device)
        ctx.save_for_backward(gates, hs, cs, squashed, weight)
        ctx.sizes = sizes
        return hs[1:], cs[ends, torch.arange(rows, device=ends.device)]

    @staticmethod
    def backward(ctx: Any, dhs: Tensor, dc: Tensor) -> tuple[Tensor | None, ...]:
        gates, hs, cs, squashed, weight = ctx.saved_tensors
        steps, rows, width = squashed.shape
        dgates = torch.zeros_like(gates)
        dh, dc = gates.new_zeros(rows, width), dc.clone()  # dc waits for each row's own end
        for t in range(steps - 1, -1, -1):
            size = ctx.sizes[t]
            into, forget, out, new = gates[t, :size].split(width, 1)
            dnow, tanh, dcell = dh[:size].add_(dhs[t, :size]), squashed[t, :size], dc[:size]
            dcell.addcmul_(dnow * out, 1 - tanh * tanh)
            moved = dgates[t, :size]
            torch.mul(dcell * new, into * (1 - into), out=moved[:, :width])
            torch.mul(dcell * cs[t, :size], forget * (1 - forget), out=moved[:, width : 2 * width])
            torch.mul(dnow * tanh, out * (1 - out), out=moved[:, 2 * width : 3 * width])
            torch.mul(dcell * into, 1 - new * new, out=moved[:, 3 * width :])
            dcell.mul_(forget)
            torch.mm(moved, weight, out=dh[:size])
        dweight = dgates.flatten(0, 1).t() @ hs[:-1].flatten(0, 1) if ctx.needs_input_grad[1] else None
        return dgates, dweight, dh, dc, None


def _ends(sizes: tuple[int, ...], rows: int, device: torch.device) -> Tensor:
    """Steps of each row (B,): how many sizes reach it."""
    counts = torch.tensor(sizes, device=device)
    return (counts.unsqueeze(1) > torch.arange(rows, device=device)).sum(0)


def recurred(
    products: Tensor, weight: Tensor, h: Tensor, c: Tensor, sizes: tuple[int, ...]
) -> tuple[Tensor, Tensor, Tensor]:
    """h of all steps (T, B, H), zeros beyond a row's end, and h and c after each row's last step.

    products (T, B, 4 H) of the inputs, bias included; rows by falling length, `sizes` (T,) of them go on at a step.
    """
    hs, last = _Recurrence.apply(products, weight, h, c, sizes)
    ends = _ends(sizes, products.shape[1], products.device)
    rows = torch.arange(len(ends), device=ends.device)
    return hs, hs[(ends - 1).clamp(min=0), rows], last


class LSTMLayer(nn.Module):
    """One layer in one direction, named as torch names it but for the order of the gates.

    weight_in (4 H, D), weight_hidden (4 H, H), bias (4 H,): gates in, forget, out, new.
    """

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        bound = width**-0.5
        self.width = width
        self.weight_in = nn.Parameter(torch.empty(GATES * width, inputs).uniform_(-bound, bound))
        self.weight_hidden = nn.Parameter(torch.empty(GATES * width, width).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.zeros(GATES * width))
        if not self.bias.is_meta:
            with torch.no_grad():
                self.bias[width : 2 * width] = 1.0  # forgets little at first (Jozefowicz et al., ICML 2015)

    def forward(
        self, x: Tensor, h: Tensor, c: Tensor, sizes: tuple[int, ...], hidden: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """x (T, B, D), h and c before (B, H) -> h of all steps (T, B, H), h and c after. hidden: the weights to use
        in place of weight_hidden, some dropped."""
        products = F.linear(x, self.weight_in, self.bias)
        weight = self.weight_hidden if hidden is None else hidden
        return recurred(products, weight.to(products.dtype), h.to(products.dtype), c.to(products.dtype), sizes)

    @torch.no_grad()
    def copy_torch(self, lstm: nn.LSTM, layer: int, reverse: bool = False) -> None:
        """Take the weights of a layer of torch.nn.LSTM, whose gates are in, forget, new, out."""
        tail = f"l{layer}{'_reverse' if reverse else ''}"
        for ours, names in (
            (self.weight_in, (f"weight_ih_{tail}",)),
            (self.weight_hidden, (f"weight_hh_{tail}",)),
            (self.bias, (f"bias_ih_{tail}", f"bias_hh_{tail}")),
        ):
            i, f, g, o = sum(getattr(lstm, name) for name in names).chunk(4)
            ours.copy_(torch.cat([i, f, o, g]))


class ScanLayer(nn.Module):
    """minLSTM: gates of the input alone, so that all steps are worked out at once.

    h_t = f h_{t-1} + i g(x_t),   f, i = sigmoid(x W) made to sum to 1,   g(x) = x + 1/2 where positive, else sigmoid(x)
    """

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        self.width = width
        self.into = nn.Linear(inputs, 3 * width)

    def forward(self, x: Tensor, h: Tensor) -> Tensor:
        """x (T, B, D), h before (B, H), positive -> h of all steps (T, B, H)."""
        forget, put, new = self.into(x).float().chunk(3, -1)
        ratio = F.softplus(-forget) - F.softplus(-put)  # log of in over forget
        keeps, puts = -F.softplus(ratio), -F.softplus(-ratio)  # logs of f' and i', which sum to 1
        fresh = puts + torch.where(new >= 0, (F.relu(new) + 0.5).log(), -F.softplus(-new))
        total = _summed(keeps)
        first = h.clamp(min=1e-30).log().unsqueeze(0)
        summed = torch.logcumsumexp(torch.cat([first, fresh - total]), 0)[1:]
        return (total + summed).exp().to(x.dtype)


def _summed(x: Tensor) -> Tensor:
    """Running sums over the first dimension: on CUDA a product, for its own sums have no fixed order."""
    if x.device.type == "cpu":
        return x.cumsum(0)
    with torch.autocast(x.device.type, enabled=False):
        ones = torch.ones(len(x), len(x), device=x.device, dtype=x.dtype).tril()
        return (ones @ x.flatten(1)).view_as(x)
