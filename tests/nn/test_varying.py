"""Varied pictures: each by its own draws, within what was said, and gradients flow through, twice."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from decet.nn.varying import cut, recoloured, shifted, varied


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


def pictures(count: int = 64, channels: int = 3, height: int = 16, width: int = 8) -> Tensor:
    return torch.rand(count, channels, height, width) * 2 - 1


def test_none_is_as_they_are() -> None:
    x = pictures()
    assert varied(x, 0.0) is x


def test_brightness_saturation_and_contrast_keep_their_bounds() -> None:
    x = pictures(500)
    y = recoloured(x, 1.0)
    moved = y.mean((1, 2, 3)) - x.mean((1, 2, 3))
    assert 0.45 < float(moved.abs().max()) <= 0.5
    away = x - x.mean(1, keepdim=True)
    ratio = ((y - y.mean(1, keepdim=True)) / away).median(3).values.median(2).values.median(1).values
    assert 0 <= float(ratio.min()) < 0.1  # saturation 0 .. 2 times contrast 1/2 .. 3/2
    assert 2 < float(ratio.max()) <= 3


def test_the_saturation_of_grey_pictures_is_left_alone() -> None:
    x = pictures(500, channels=1)
    y = recoloured(x, 1.0)
    spread = y.std((1, 2, 3)) / x.std((1, 2, 3))
    assert 0.5 <= float(spread.min()) < 0.55
    assert 1.45 < float(spread.max()) <= 1.5 + 1e-5


def test_half_the_strength_is_half_of_it() -> None:
    x = pictures(500, channels=1)
    y = recoloured(x, 0.5)
    assert 0.2 < float((y.mean((1, 2, 3)) - x.mean((1, 2, 3))).abs().max()) <= 0.25
    assert 1.2 < float((y.std((1, 2, 3)) / x.std((1, 2, 3))).max()) <= 1.25 + 1e-5


def test_pictures_are_moved_whole_and_what_is_missing_is_grey() -> None:
    x = torch.zeros(400, 2, 16, 8)
    x[:, 0, 8, 4], x[:, 1, 8, 4] = 1.0, -1.0
    y = shifted(x, 1.0)
    at = y[:, 0].flatten(1).argmax(1)
    rows, columns = at // 8, at % 8
    assert sorted(set(rows.tolist())) == [6, 7, 8, 9, 10]  # an eighth of 16
    assert sorted(set(columns.tolist())) == [3, 4, 5]
    assert torch.equal(y[:, 0], -y[:, 1])  # all channels alike
    assert torch.equal(y.sum((2, 3)), x.sum((2, 3)))
    edge = shifted(torch.ones(100, 1, 16, 8), 1.0)
    assert set(edge.unique().tolist()) == {0.0, 1.0}
    assert float(edge.flatten(1).sum(1).min()) == 14 * 7


def test_a_window_of_half_the_sides_is_cut() -> None:
    y = cut(torch.ones(400, 1, 16, 8), 1.0)
    gone = (y == 0).sum((1, 2, 3))
    assert int(gone.max()) == 8 * 4
    assert int(gone.min()) >= 4 * 2  # its centre is within the picture
    first = (y[0, 0] == 0).nonzero()
    height, width = (first.amax(0) - first.amin(0) + 1).tolist()
    assert len(first) == height * width


def test_gradients_flow_through_twice() -> None:
    x = pictures(5).requires_grad_()
    y = varied(x, 1.0)
    (slope,) = torch.autograd.grad(y.pow(3).sum(), x, create_graph=True)
    slope.square().sum().backward()
    assert torch.isfinite(x.grad).all()
    assert float(x.grad.abs().sum()) > 0


def test_the_same_draws_vary_alike_and_bf16_rounds_nothing() -> None:
    x = pictures(7)
    torch.manual_seed(3)
    one = varied(x, 0.7)
    torch.manual_seed(3)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        other = varied(x, 0.7)
    assert other.dtype == torch.float32
    torch.testing.assert_close(one, other)
    assert not torch.equal(one, varied(x, 0.7))
