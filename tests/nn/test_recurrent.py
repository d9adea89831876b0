"""Recurrent layers: equal to torch's, whatever lengths stand side by side."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from decet.nn.recurrent import LSTMLayer, ScanLayer

STEPS, ROWS, INPUTS, WIDTH = 7, 4, 5, 6


def sizes_of(lengths: Tensor, steps: int = STEPS) -> tuple[int, ...]:
    return tuple(int((lengths > t).sum()) for t in range(steps))


def inputs(seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    torch.manual_seed(seed)
    x = torch.randn(STEPS, ROWS, INPUTS, requires_grad=True)
    return x, torch.randn(ROWS, WIDTH, requires_grad=True), torch.randn(ROWS, WIDTH, requires_grad=True)


@pytest.mark.parametrize("lengths", [[7, 7, 7, 7], [7, 5, 5, 1]])
def test_a_layer_equals_torchs_with_its_weights(lengths: list[int]) -> None:
    torch.manual_seed(1)
    theirs, ours = nn.LSTM(INPUTS, WIDTH), LSTMLayer(INPUTS, WIDTH)
    ours.copy_torch(theirs, 0)
    x, h, c = inputs()
    counts = torch.tensor(lengths)
    packed = pack_padded_sequence(x, counts)
    found, (last_h, last_c) = theirs(packed, (h.unsqueeze(0), c.unsqueeze(0)))
    expected, _ = pad_packed_sequence(found, total_length=STEPS)
    weigh = torch.randn(STEPS, ROWS, WIDTH)
    total = (expected * weigh).sum() + (last_h * 2 + last_c * 3).sum()
    wanted = torch.autograd.grad(total, [x, h, c, theirs.weight_hh_l0, theirs.weight_ih_l0])

    y, h_after, c_after = ours(x, h, c, sizes_of(counts))
    torch.testing.assert_close(y, expected, atol=1e-5, rtol=0)
    torch.testing.assert_close(h_after, last_h[0], atol=1e-5, rtol=0)
    torch.testing.assert_close(c_after, last_c[0], atol=1e-5, rtol=0)
    total = (y * weigh).sum() + (h_after * 2 + c_after * 3).sum()
    got = torch.autograd.grad(total, [x, h, c, ours.weight_hidden, ours.weight_in])
    for mine, their in zip(got[:3], wanted[:3], strict=True):
        torch.testing.assert_close(mine, their, atol=1e-5, rtol=0)
    for mine, their in zip(got[3:], wanted[3:], strict=True):
        i, f, g, o = their.chunk(4)
        torch.testing.assert_close(mine, torch.cat([i, f, o, g]), atol=1e-5, rtol=0)


def test_a_text_cut_in_two_gives_the_same_when_the_state_is_carried() -> None:
    layer, (x, h, c) = LSTMLayer(INPUTS, WIDTH), inputs()
    whole, h_after, c_after = layer(x, h, c, (ROWS,) * STEPS)
    first, h_between, c_between = layer(x[:3], h, c, (ROWS,) * 3)
    second, h_end, c_end = layer(x[3:], h_between, c_between, (ROWS,) * (STEPS - 3))
    torch.testing.assert_close(torch.cat([first, second]), whole)
    torch.testing.assert_close(h_end, h_after)
    torch.testing.assert_close(c_end, c_after)


def test_a_scan_equals_its_formula_step_by_step() -> None:
    torch.manual_seed(2)
    layer, x = ScanLayer(INPUTS, WIDTH), torch.randn(STEPS, ROWS, INPUTS)
    state = torch.rand(ROWS, WIDTH)
    found = layer(x, state)
    for t in range(STEPS):
        forget, put, new = layer.into(x[t]).chunk(3, -1)
        f, i = forget.sigmoid(), put.sigmoid()
        g = torch.where(new >= 0, new + 0.5, new.sigmoid())
        state = f / (f + i) * state + i / (f + i) * g
        torch.testing.assert_close(found[t], state, atol=1e-5, rtol=1e-5)


def test_a_scan_over_many_steps_stays_finite() -> None:
    layer = ScanLayer(3, 4)
    x = (20 * torch.randn(3_000, 2, 3)).requires_grad_()
    y = layer(x, torch.zeros(2, 4))
    y.sum().backward()
    assert torch.isfinite(y).all()
    assert x.grad is not None
    assert torch.isfinite(x.grad).all()
