"""Filters' gradients of narrow maps in bf16 are those of torch, however many pictures stand side by side."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from decet.nn import narrow
from decet.nn.convolution import Conv3x3
from decet.nn.narrow import Convolve, conv3x3, pays, wide

SHAPES = [(16, 7, 7), (5, 3, 3), (9, 1, 1), (3, 4, 8), (33, 9, 2), (1, 2, 3)]  # batch, height, width


@pytest.fixture
def amx(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a processor with a matrix unit."""
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: True)


@pytest.fixture
def short() -> Iterator[None]:
    with torch.autocast("cpu", torch.bfloat16):
        yield


def picture(*shape: int, seed: int = 0) -> Tensor:
    x = torch.randn(shape, generator=torch.Generator().manual_seed(seed))
    return x.contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("shape", SHAPES)
def test_wide_maps_hold_every_picture_and_a_column_of_zeros_after_each(shape: tuple[int, int, int]) -> None:
    batch, height, width = shape
    x = picture(batch, 16, height, width)
    rows = wide(x)
    beside = rows.shape[-1] // (width + 1)
    assert rows.shape[2] == height
    apart = rows.unflatten(-1, (beside, width + 1)).permute(0, 3, 1, 2, 4).flatten(0, 1)  # (B or more, C, H, W + 1)
    assert torch.equal(apart[:batch, ..., :width], x)
    assert not apart[..., width].any()
    assert not apart[batch:].any()


@pytest.mark.parametrize("shape", SHAPES)
def test_gradients_equal_those_of_the_definition(shape: tuple[int, int, int]) -> None:
    """Of float32, in which they may be compared closely; the arrangement is the same."""
    batch, height, width = shape
    given = picture(batch, 16, height, width), picture(32, 16, 3, 3, seed=1), picture(batch, 32, height, width, seed=2)
    for found, wanted in zip(_gradients(_ours, *given), _gradients(_torchs, *given), strict=True):
        assert torch.allclose(found, wanted, atol=1e-4, rtol=1e-5)


def test_gradients_in_bf16_are_as_good_as_torchs() -> None:
    x, weight, grad = (t.bfloat16() for t in (picture(40, 64, 7, 7), picture(64, 64, 3, 3), picture(40, 64, 7, 7)))
    true = _gradients(_torchs, x.float(), weight.float(), grad.float())[1]
    found, torchs = (_gradients(by, x, weight, grad)[1].float() for by in (_ours, _torchs))
    assert (found - true).norm() <= 1.1 * (torchs - true).norm() + 1e-3 * true.norm()


def test_gradients_have_gradients() -> None:
    def penalty(convolution: Any, x: Tensor, weight: Tensor, grad: Tensor) -> tuple[Tensor, ...]:
        x, weight, grad = (t.detach().requires_grad_() for t in (x, weight, grad))
        first = torch.autograd.grad(convolution(x, weight), (x, weight), grad, create_graph=True)
        return torch.autograd.grad(sum((t**3).sum() for t in first), (x, weight, grad))

    given = [t.double() for t in (picture(5, 4, 3, 3), picture(4, 4, 3, 3, seed=1), picture(5, 4, 3, 3, seed=2))]
    for found, wanted in zip(penalty(_ours, *given), penalty(_torchs, *given), strict=True):
        assert torch.allclose(found, wanted)


@pytest.mark.usefixtures("amx", "short")
def test_it_is_used_for_narrow_maps_under_autocast() -> None:
    x, weight = picture(8, 64, 7, 7), picture(64, 64, 3, 3).requires_grad_()
    bias = torch.randn(64, requires_grad=True)
    y = conv3x3(x, weight, bias)
    assert pays(x, weight)
    assert y.dtype == torch.bfloat16
    assert torch.allclose(y, F.conv2d(x, weight, bias, padding=1), atol=0.02, rtol=0.02)
    grads = torch.autograd.grad(y.float().sum(), (weight, bias))
    assert [g.dtype for g in grads] == [torch.float32, torch.float32]
    assert torch.equal(grads[1], torch.full((64,), 8 * 7 * 7.0))  # one for every position


@pytest.mark.usefixtures("amx", "short")
@pytest.mark.parametrize(
    ("x", "weight"),
    [
        pytest.param(picture(8, 64, 7, 9), picture(64, 64, 3, 3), id="wide enough by itself"),
        pytest.param(picture(8, 16, 7, 7), picture(64, 16, 3, 3), id="few channels"),
        pytest.param(picture(1, 64, 7, 7), picture(64, 64, 3, 3), id="one picture"),
    ],
)
def test_others_are_left_to_torch(x: Tensor, weight: Tensor) -> None:
    assert not pays(x, weight.requires_grad_())


@pytest.mark.usefixtures("amx")
def test_full_precision_answers_and_frozen_filters_are_left_to_others() -> None:
    x, weight = picture(8, 64, 7, 7), picture(64, 64, 3, 3).requires_grad_()
    assert not pays(x, weight)
    with torch.autocast("cpu", torch.bfloat16):
        assert not pays(x, weight.detach())
        with torch.no_grad():
            assert not pays(x, weight)


@pytest.mark.usefixtures("short")
def test_a_processor_without_a_matrix_unit_does_as_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: False)
    assert not pays(picture(8, 64, 7, 7), picture(64, 64, 3, 3).requires_grad_())


@pytest.mark.usefixtures("amx", "short")
def test_the_layer_takes_it_where_it_pays(monkeypatch: pytest.MonkeyPatch) -> None:
    layer, x = Conv3x3(64, 64, 3, padding=1), picture(8, 64, 7, 7)
    calls = []
    monkeypatch.setattr(narrow.Convolve, "apply", lambda *given: calls.append(given) or F.conv2d(*given, padding=1))
    wanted = F.conv2d(x, layer.weight, layer.bias, padding=1)
    assert torch.allclose(layer(x).float(), wanted.float(), atol=0.02, rtol=0.02)
    assert len(calls) == 1


def _ours(x: Tensor, weight: Tensor) -> Tensor:
    y: Tensor = Convolve.apply(x, weight, None)
    return y


def _torchs(x: Tensor, weight: Tensor) -> Tensor:
    return F.conv2d(x, weight, padding=1)


def _gradients(convolution: Any, x: Tensor, weight: Tensor, grad: Tensor) -> tuple[Tensor, ...]:
    x, weight = x.detach().requires_grad_(), weight.detach().requires_grad_()
    return torch.autograd.grad(convolution(x, weight), (x, weight), grad)
