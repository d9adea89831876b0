"""Noisy layers: their means predict, each training call draws factorised noise of the size that was said."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from decet.nn.noisy import NoisyLinear, noised


def test_a_layer_predicts_by_its_means() -> None:
    layer = NoisyLinear(5, 3, 0.5).eval()
    x = torch.randn(4, 5)
    assert torch.equal(layer(x), nn.functional.linear(x, layer.weight, layer.bias))


def test_noise_is_of_inputs_and_outputs_and_of_its_size() -> None:
    torch.manual_seed(0)
    layer = NoisyLinear(100, 50, 0.5)
    with torch.no_grad():
        layer.weight.zero_(), layer.bias.zero_()
    probes = torch.cat([torch.eye(100), torch.zeros(1, 100)])
    told = torch.stack([layer(probes) for _ in range(400)]).detach()
    drawn = told[:, :-1] - told[:, -1:]  # (N, inputs, outputs)
    assert torch.linalg.matrix_rank(drawn[0], rtol=1e-4) == 1  # of an input and of an output
    assert float(drawn.std()) == pytest.approx(0.5 / 10 * (2 / torch.pi) ** 0.5, rel=0.02)  # E|x| = sqrt(2/pi)
    assert not torch.equal(drawn[0], drawn[1])


def test_the_size_of_the_noise_is_learned() -> None:
    torch.manual_seed(0)
    layer, x = NoisyLinear(4, 1, 0.5), torch.randn(256, 4)
    y = x @ torch.tensor([[1.0], [-2.0], [0.5], [0.0]])
    optimizer = torch.optim.Adam(layer.parameters(), 1e-2)
    for _ in range(600):
        optimizer.zero_grad()
        ((layer(x) - y) ** 2).mean().backward()
        optimizer.step()
    assert float(layer.weight_noise.abs().mean()) < 0.03  # from .25: noise only harms here


def test_a_network_is_noised_wherever_it_is_linear() -> None:
    network = noised(nn.Sequential(nn.Linear(3, 4), nn.Sequential(nn.Tanh(), nn.Linear(4, 2))), 0.5)
    assert [type(part) for part in (network[0], network[1][1])] == [NoisyLinear, NoisyLinear]
    x = torch.randn(2, 3)
    assert not torch.equal(network(x), network(x))
    assert torch.equal(network.eval()(x), network(x))
