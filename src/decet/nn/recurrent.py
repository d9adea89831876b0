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

import functools
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from decet.nn import team

GATES = 4  # in, forget, out, new, in this order
PAYS = 1 << 18  # numbers of h in all steps from which compiled steps are worth their import
SHARE = 1 << 13  # numbers of a step that are worth another thread


class _Recurrence(torch.autograd.Function):
    """products (T, B, 4 H) of the inputs, weight (4 H, H), h and c before (B, H), rows that go on at each step ->
    h of all steps (T, B, H), zeros beyond a row's end, and c after each row's last step (B, H)."""

    @staticmethod
    def forward(
        ctx: Any, products: Tensor, weight: Tensor, h: Tensor, c: Tensor, sizes: tuple[int, ...]
    ) -> tuple[Tensor, Tensor]:
        steps, rows, width = products.shape[0], products.shape[1], weight.shape[1]
        products = products.contiguous()
        made = torch.empty_like if min(sizes, default=0) == rows else torch.zeros_like  # zeros beyond a row's end
        gates = made(products)
        hs, cs = (made(x.expand(steps + 1, rows, width), memory_format=torch.contiguous_format) for x in (h, c))
        hs[0], cs[0] = h, c
        times, step = _product(weight.t(), rows), _compiled(gates, hs, cs) or _forwards
        for t, size in enumerate(sizes):
            sums = times(hs[t, :size])
            step(products[t, :size], sums, gates[t, :size], cs[t, :size], cs[t + 1, :size], hs[t + 1, :size])
        ends = _ends(sizes, rows, products.device)
        ctx.save_for_backward(gates, hs, cs, weight)
        ctx.sizes = sizes
        return hs[1:], cs[ends, torch.arange(rows, device=ends.device)]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dhs: Tensor, dc: Tensor) -> tuple[Tensor | None, ...]:
        gates, hs, cs, weight = ctx.saved_tensors
        rows = hs.shape[1]
        dgates = (torch.empty_like if min(ctx.sizes, default=0) == rows else torch.zeros_like)(gates)
        dh, dc = torch.zeros_like(hs[0]), dc.contiguous().clone()  # dc waits for each row's own end
        dhs = dhs.contiguous()
        times, step = _product(weight, rows), _compiled(gates, hs, cs, dhs, dc) or _backwards
        for t in range(len(gates) - 1, -1, -1):
            size = ctx.sizes[t]
            step(gates[t, :size], cs[t, :size], dc[:size], dh[:size], dhs[t, :size], dgates[t, :size])
            dh[:size] = times(dgates[t, :size])
        dweight = dgates.flatten(0, 1).t() @ hs[:-1].flatten(0, 1) if ctx.needs_input_grad[1] else None
        return dgates, dweight, dh, dc, None


def _product(weight: Tensor, rows: int) -> Callable[[Tensor], Tensor]:
    """x (R, K) -> x weight (R, N), of a weight (K, N) that many x meet: short numbers are laid out for them once."""
    if weight.dtype == torch.bfloat16 and team.readable(weight) and _lays_out():
        laid = torch.ops.mkldnn._reorder_linear_weight(weight.t().contiguous(), rows)
        return lambda x: torch.ops.mkldnn._linear_pointwise(x, laid, None, "none", [], "")
    return lambda x: x @ weight


@functools.cache
def _lays_out() -> bool:
    """Whether oneDNN takes short numbers on this processor; where it does not, it raises."""
    return torch.backends.mkldnn.is_available() and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def _forwards(products: Tensor, sums: Tensor, gates: Tensor, before: Tensor, after: Tensor, h: Tensor) -> None:
    """Gates (R, 4 H) of sums of two parts; c before (R, H) becomes c after and h. All written where these lie."""
    width = h.shape[1]
    torch.add(products, sums, out=gates)
    gates[:, : 3 * width].sigmoid_()
    gates[:, 3 * width :].tanh_()
    into, forget, out, new = gates.split(width, 1)
    torch.mul(forget, before, out=after).addcmul_(into.to(after.dtype), new.to(after.dtype))
    torch.mul(out, after.tanh().to(out.dtype), out=h)


def _backwards(gates: Tensor, before: Tensor, dc: Tensor, dh: Tensor, told: Tensor, moved: Tensor) -> None:
    """dc after a step becomes dc before it, and `moved` (R, 4 H) the gradient of its sums. dh: of the step after,
    told: from above (R, H)."""
    width = dh.shape[1]
    into, forget, out, new = (part.to(dc.dtype) for part in gates.split(width, 1))
    tanh, now = (forget * before + into * new).tanh(), dh.to(dc.dtype) + told
    dc.addcmul_(now * out, 1 - tanh * tanh)
    moved[:, :width] = dc * new * into * (1 - into)
    moved[:, width : 2 * width] = dc * before * forget * (1 - forget)
    moved[:, 2 * width : 3 * width] = now * tanh * out * (1 - out)
    moved[:, 3 * width :] = dc * into * (1 - new * new)
    dc.mul_(forget)


def _compiled(gates: Tensor, hs: Tensor, cs: Tensor, *grads: Tensor) -> Callable[..., None] | None:
    """`_forwards` or, given gradients, `_backwards` as one compiled pass; None where that does not pay or go."""
    fits = gates.dtype in (torch.float32, torch.bfloat16) and hs.dtype == gates.dtype and cs.dtype == torch.float32
    if not fits or hs.numel() < PAYS or not team.readable(gates, hs, cs, *grads) or not team.compiles():
        return None
    from decet.nn import recurrent_kernels as kernels  # numba takes half a second to import

    work, threads, width = kernels.work().address, torch.get_num_threads(), hs.shape[2]

    def step(*parts: Tensor) -> None:
        rows = len(parts[0])
        if not rows:
            return
        job = (int(bool(grads)), parts[0].element_size(), rows, width, *(part.data_ptr() for part in parts))
        team.run(work, min(threads, rows * width // SHARE + 1, rows), job)

    return step


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
        cells = torch.promote_types(products.dtype, torch.float32)  # short numbers would lose what is added up
        return recurred(products, weight.to(products.dtype), h.to(products.dtype), c.to(cells), sizes)

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
