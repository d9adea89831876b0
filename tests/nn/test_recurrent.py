"""Recurrent layers: equal to torch's, whatever lengths stand side by side."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from decet.nn import recurrent, team
from decet.nn.recurrent import LSTMLayer, ScanLayer

STEPS, ROWS, INPUTS, WIDTH = 7, 4, 5, 6


def sizes_of(lengths: Tensor, steps: int = STEPS) -> tuple[int, ...]:
    return tuple(int((lengths > t).sum()) for t in range(steps))


def inputs(seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    torch.manual_seed(seed)
    x = torch.randn(STEPS, ROWS, INPUTS, requires_grad=True)
    return x, torch.randn(ROWS, WIDTH, requires_grad=True), torch.randn(ROWS, WIDTH, requires_grad=True)


@pytest.fixture(params=["torch's steps", "compiled steps"])
def steps(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """By torch, or by the kernel on all threads, however small a step; of each pass whether it was the kernel."""
    if request.param == "compiled steps":
        if not team.compiles():
            pytest.skip("numba is not installed")
        monkeypatch.setattr(recurrent, "PAYS", 0)
        monkeypatch.setattr(recurrent, "SHARE", 1)
    used, plain = list[bool](), recurrent._compiled

    def compiled(*tensors: Tensor) -> object:
        found = plain(*tensors)
        used.append(found is not None)
        assert used[-1] == (request.param == "compiled steps")
        return found

    monkeypatch.setattr(recurrent, "_compiled", compiled)
    return used


@pytest.mark.parametrize("lengths", [[7, 7, 7, 7], [7, 5, 5, 1], [6, 6, 2, 2]])
def test_a_layer_equals_torchs_with_its_weights(lengths: list[int], steps: list[bool]) -> None:
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
    assert len(steps) == 2


@pytest.mark.parametrize("lengths", [[7, 7, 7, 7], [7, 5, 5, 1]])
def test_in_bf16_it_is_near_to_that_of_float32(lengths: list[int], steps: list[bool]) -> None:
    torch.manual_seed(1)
    layer, (x, h, c), sizes = LSTMLayer(INPUTS, WIDTH), inputs(), sizes_of(torch.tensor(lengths))
    answers = []
    for short in (False, True):
        with torch.autocast("cpu", torch.bfloat16, enabled=short):
            y, _, cell = layer(x, h, c, sizes)
        assert cell.dtype == torch.float32
        answers.append([y.float(), cell, *torch.autograd.grad(y.float().sum() + cell.sum(), [x, h, c, layer.bias])])
    for plain, short_ in zip(*answers, strict=True):
        assert (plain - short_).norm() < 0.02 * plain.norm()


def test_a_matrix_laid_out_for_many_products_gives_the_same_as_one_that_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    x, weight = torch.randn(5, 24).bfloat16(), torch.randn(24, 40).bfloat16()
    laid = recurrent._product(weight, 5)(x)
    monkeypatch.setattr(recurrent, "_lays_out", lambda: False)
    torch.testing.assert_close(recurrent._product(weight, 5)(x).float(), laid.float(), atol=0.1, rtol=0.02)


def test_a_text_cut_in_two_gives_the_same_when_the_state_is_carried(steps: list[bool]) -> None:
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
