"""Gradients by the engine: those of `Tensor.backward`, to the bit."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from decet.training import backward as module
from decet.training.backward import backward


def network() -> tuple[nn.Module, torch.Tensor]:
    torch.manual_seed(0)
    made = nn.Sequential(nn.Linear(5, 7), nn.Tanh(), nn.Linear(7, 1))
    return made, made(torch.randn(11, 5)).square().mean()


@pytest.mark.parametrize("engine", [module._ENGINE, None])
def test_gradients_are_those_of_torch(engine: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_ENGINE", engine)
    own, total = network()
    backward(total)
    other, loss = network()
    loss.backward()
    for p, q in zip(own.parameters(), other.parameters(), strict=True):
        assert p.grad is not None
        assert q.grad is not None
        assert torch.equal(p.grad, q.grad)


def test_only_the_parameters_named_get_gradients_and_they_add_up() -> None:
    made, x = nn.Linear(3, 2), torch.randn(4, 3)
    for times in (1, 2):
        backward(made(x).sum(), (made.weight,))
        torch.testing.assert_close(made.weight.grad, times * x.sum(0).expand(2, 3))
    assert made.bias.grad is None


def test_a_loss_of_nothing_is_refused() -> None:
    with pytest.raises(RuntimeError, match="does not require grad"):
        backward(torch.ones(()))
