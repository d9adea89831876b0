"""The U-Net: any size, every scale used, told what it is told."""

from __future__ import annotations

import pytest
import torch

from decet.nn.unet import UNet


def woken(network: torch.nn.Module) -> torch.nn.Module:
    """Branches start at zero: give them something, so that what goes through them shows."""
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    return network


def made(channels: tuple[int, ...] = (8, 16), attention: int = 1, condition: int = 6) -> UNet:
    torch.manual_seed(0)
    return UNet(3, channels, 1, attention, 0.0, condition)


@pytest.mark.parametrize("size", [(8, 8), (7, 7), (5, 9), (28, 28), (1, 1)])
def test_maps_of_any_size_keep_it(size: tuple[int, int]) -> None:
    network = made((8, 8, 16))
    (found,) = network((torch.randn(2, 3, *size),), condition=torch.randn(2, 6)).maps
    assert found.shape == (2, 8, *size)


def test_every_parameter_gets_a_gradient() -> None:
    network = woken(made())
    network((torch.randn(2, 3, 8, 8),), condition=torch.randn(2, 6)).maps[0].square().sum().backward()
    without = [name for name, p in network.named_parameters() if p.grad is None or not p.grad.abs().sum()]
    assert without == []


def test_the_condition_is_heard_and_rows_are_apart() -> None:
    network = woken(made()).eval()
    x, told = torch.randn(3, 3, 8, 8), torch.randn(3, 6)
    found = network((x,), condition=told).maps[0]
    told[1] += 1.0
    other = network((x,), condition=told).maps[0]
    assert not torch.allclose(found[1], other[1])
    torch.testing.assert_close(found[[0, 2]], other[[0, 2]])


def test_a_coarse_map_carries_what_is_far_away() -> None:
    network = woken(made((8, 8, 8), attention=0)).eval()
    x = torch.zeros(1, 3, 32, 32)
    found = network((x,), condition=torch.zeros(1, 6)).maps[0]
    x[0, :, 0, 0] = 5.0
    moved = (network((x,), condition=torch.zeros(1, 6)).maps[0] - found).abs().amax(1)[0].detach()
    assert float(moved[24, 24]) > 0 or float(moved[12, 12]) > 0


def test_branches_start_at_zero() -> None:
    block = made().middle
    x = torch.randn(2, 16, 4, 4)
    torch.testing.assert_close(block(x, torch.randn(2, 6)), x)


def test_memory_order_changes_nothing() -> None:
    network = woken(made()).eval()
    x, told = torch.randn(2, 3, 8, 8), torch.randn(2, 6)
    last = network((x.contiguous(memory_format=torch.channels_last),), condition=told).maps[0]
    torch.testing.assert_close(last, network((x,), condition=told).maps[0], rtol=1e-4, atol=1e-5)


def test_it_is_laid_out_without_memory() -> None:
    with torch.device("meta"):
        network = UNet(3, (8, 16), 2, 1, 0.1, 6)
    assert {name: p.shape for name, p in network.named_parameters()} == {
        name: p.shape for name, p in UNet(3, (8, 16), 2, 1, 0.1, 6).named_parameters()
    }
