"""Activations: what torch's own would give, forwards and back."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from decet.nn.activations import squared_relu


def test_the_squared_relu_and_its_gradient_are_torchs() -> None:
    x = torch.randn(5, 7, dtype=torch.float64, requires_grad=True)
    torch.testing.assert_close(squared_relu(x), F.relu(x).square())
    assert torch.autograd.gradcheck(squared_relu, (x + 0.1 * x.sign(),))
