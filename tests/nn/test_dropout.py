"""Dropout with cheap bits: the right share, the right mean, and nothing at all when it predicts."""

from __future__ import annotations

import pytest
import torch

from decet.nn.dropout import Dropout


@pytest.mark.parametrize("share", [0.1, 0.25, 0.5, 0.9])
def test_drops_its_share_and_keeps_the_mean(share: float) -> None:
    torch.manual_seed(0)
    y = Dropout(share)(torch.ones(1000, 1003))
    assert abs(float((y == 0).float().mean()) - share) < 1 / 512 + 0.002  # a whole number of 256ths
    assert abs(float(y.mean()) - 1.0) < 0.01
    assert len(y.unique()) == 2


def test_gradients_flow_through_the_kept_elements_alone() -> None:
    x = torch.ones(64, 64, requires_grad=True)
    y = Dropout(0.5)(x)
    y.sum().backward()
    assert x.grad is not None
    assert torch.equal(x.grad, y.detach())


def test_does_nothing_when_predicting_or_at_share_zero() -> None:
    x = torch.randn(5, 7)
    assert Dropout(0.5).eval()(x) is x
    assert Dropout(0.0)(x) is x


def test_the_same_seed_drops_the_same_elements() -> None:
    drop, x = Dropout(0.3), torch.ones(33, 5)
    torch.manual_seed(7)
    first = drop(x)
    torch.manual_seed(7)
    assert torch.equal(first, drop(x))
    assert not torch.equal(first, drop(x))
