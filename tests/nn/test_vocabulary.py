"""The loss over a vocabulary, in chunks and at once."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from decet.nn import vocabulary
from decet.nn.vocabulary import cross_entropy


def parts(seed: int = 0) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    torch.manual_seed(seed)
    x, weight = torch.randn(37, 8, requires_grad=True), torch.randn(50, 8, requires_grad=True)
    return x, weight, torch.randn(50, requires_grad=True), torch.randint(0, 50, (37,))


@pytest.mark.parametrize("chunk", [50, 500, 1 << 20])
def test_loss_and_gradients_are_those_of_all_logits_at_once(monkeypatch: pytest.MonkeyPatch, chunk: int) -> None:
    monkeypatch.setattr(vocabulary, "CHUNK", chunk)
    x, weight, bias, target = parts()
    expected = F.cross_entropy(F.linear(x, weight, bias), target)
    wanted = torch.autograd.grad(3 * expected, [x, weight, bias])
    found = cross_entropy(x, weight, bias, target)
    torch.testing.assert_close(found, expected)
    for ours, theirs in zip(torch.autograd.grad(3 * found, [x, weight, bias]), wanted, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=1e-5)


def test_in_bf16_it_is_near_to_that_of_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vocabulary, "CHUNK", 500)
    x, weight, bias, target = parts()
    expected = F.cross_entropy(F.linear(x, weight, bias), target)
    with torch.autocast("cpu", torch.bfloat16):
        found = cross_entropy(x, weight, bias, target)
    found.backward()
    assert found.dtype == torch.float32
    assert x.grad is not None
    assert x.grad.dtype == torch.float32
    assert found.item() == pytest.approx(expected.item(), rel=0.02)
