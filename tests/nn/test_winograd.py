"""Winograd's convolution is torch's: values, gradients, gradients of gradients, and the same bits each time."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from decet.nn import team, winograd
from decet.nn.winograd import Convolve, Correlate, conv3x3, pays

SIDES = [(1, 1), (3, 3), (7, 7), (15, 15), (31, 31), (4, 9)]  # 3 x 3 and 4 x 9 are cut in tiles of 3, the rest of 4
CHANNELS = [(64, 64), (16, 48), (80, 32)]


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def avx2(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX2")


def picture(*shape: int, seed: int = 0) -> Tensor:
    x = torch.randn(shape, generator=torch.Generator().manual_seed(seed))
    return x.contiguous(memory_format=torch.channels_last)


def all_three(convolution: Any, x: Tensor, weight: Tensor, grad: Tensor, padding: int = 1) -> tuple[Tensor, ...]:
    """The answer, the input's gradient and the filters'."""
    x, weight = x.detach().requires_grad_(), weight.detach().requires_grad_()
    y = convolution(x, weight, padding)
    return y.detach(), *torch.autograd.grad(y, (x, weight), grad)


def reference(x: Tensor, weight: Tensor, padding: int = 1) -> Tensor:
    return F.conv2d(x, weight, padding=padding)


def error(found: Tensor, true: Tensor) -> float:
    """The largest error, as a share of the largest value."""
    assert found.shape == true.shape
    return float((found - true).abs().max() / true.abs().max())


@pytest.mark.parametrize("batch", [1, 5])
@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("channels", CHANNELS)
def test_equals_the_definition(channels: tuple[int, int], side: tuple[int, int], batch: int) -> None:
    """Found: at most 2.5e-6 of the largest value (4e-6 with 256 channels), where torch's float32 has up to 2.5e-6."""
    inputs, outputs = channels
    x, weight, grad = (
        picture(batch, inputs, *side),
        picture(outputs, inputs, 3, 3, seed=1),
        picture(batch, outputs, *side),
    )
    true = all_three(reference, x.double(), weight.double(), grad.double())
    for found, wanted in zip(all_three(Convolve.apply, x, weight, grad), true, strict=True):
        assert found.dtype == torch.float32
        assert error(found, wanted) < 1e-5


@pytest.mark.parametrize("side", [(3, 3), (4, 4), (5, 5), (7, 7), (26, 26), (4, 9)])
@pytest.mark.parametrize("padding", [0, 2])
def test_equals_the_definition_with_other_padding(padding: int, side: tuple[int, int]) -> None:
    x, weight = picture(3, 32, *side), picture(16, 32, 3, 3, seed=1)
    grad = picture(3, 16, side[0] + 2 * padding - 2, side[1] + 2 * padding - 2, seed=2)
    true = all_three(reference, x.double(), weight.double(), grad.double(), padding)
    for found, wanted in zip(all_three(Convolve.apply, x, weight, grad, padding), true, strict=True):
        assert error(found, wanted) < 1e-5


def test_a_batch_of_none_has_gradients_of_zero() -> None:
    y, of_x, of_weight = all_three(Convolve.apply, picture(0, 16, 7, 7), picture(32, 16, 3, 3), picture(0, 32, 7, 7))
    assert y.shape == (0, 32, 7, 7)
    assert of_x.shape == (0, 16, 7, 7)
    assert of_weight.shape == (32, 16, 3, 3)
    assert not of_weight.any()


def test_any_layout_of_memory_gives_the_same_bits() -> None:
    x, weight, grad = picture(3, 16, 7, 9), picture(32, 16, 3, 3, seed=1), picture(3, 32, 7, 9, seed=2)
    plain = [t.contiguous() for t in (x, weight, grad)]
    strided = [torch.stack([t, t], -1)[..., 1] for t in (x, weight, grad)]
    wanted = all_three(Convolve.apply, x, weight, grad)
    for other in (plain, strided):
        for found, same in zip(all_three(Convolve.apply, *other), wanted, strict=True):
            assert torch.equal(found, same)
    assert wanted[0].is_contiguous(memory_format=torch.channels_last)
    assert wanted[2].is_contiguous()  # as the weights of a layer are


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_the_same_bits_on_repetition(threads: int) -> None:
    x, weight, grad = picture(9, 32, 15, 15), picture(48, 32, 3, 3, seed=1), picture(9, 48, 15, 15, seed=2)
    torch.set_num_threads(1)
    alone = all_three(Convolve.apply, x, weight, grad)
    torch.set_num_threads(threads)
    first = all_three(Convolve.apply, x, weight, grad)
    for _ in range(3):
        assert all(torch.equal(*pair) for pair in zip(first, all_three(Convolve.apply, x, weight, grad), strict=True))
    assert torch.equal(first[0], alone[0])  # here the number of threads does not count at all
    assert torch.equal(first[1], alone[1])
    assert error(first[2], alone[2]) < 2e-6


def test_threads_of_python_where_torch_has_no_openmp(monkeypatch: pytest.MonkeyPatch) -> None:
    x, weight, grad = picture(4, 16, 15, 15), picture(16, 16, 3, 3, seed=1), picture(4, 16, 15, 15, seed=2)
    torch.set_num_threads(3)
    assert team._team() is not None or os.uname().sysname != "Linux"
    wanted = all_three(Convolve.apply, x, weight, grad)
    monkeypatch.setattr(team, "_team", lambda: None)
    for found, same in zip(all_three(Convolve.apply, x, weight, grad), wanted, strict=True):
        assert torch.equal(found, same)


def test_threads_that_share_sums_of_the_filters_gradient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where each thread's own sums would take too much memory, threads split the outputs instead."""
    x, grad = picture(4, 32, 15, 15), picture(4, 48, 15, 15, seed=2)
    torch.set_num_threads(4)
    apart = Correlate.apply(x, grad, 1)
    for most in (1, 2 * 36 * 32 * 48 * 4):
        monkeypatch.setattr(winograd, "SUMS", most)
        assert error(Correlate.apply(x, grad, 1), apart) < 2e-6


def test_no_picture_leaks_into_another() -> None:
    x, weight = picture(5, 16, 7, 7), picture(16, 16, 3, 3, seed=1)
    wanted = Convolve.apply(x, weight, 1)
    x[2] = torch.nan
    y = Convolve.apply(x, weight, 1)
    others = [0, 1, 3, 4]
    assert torch.equal(y[others], wanted[others])
    assert y[2].isnan().all()


@pytest.mark.parametrize("padding", [0, 1, 2])
def test_gradients_have_gradients(padding: int) -> None:
    """As a penalty on the gradient's length needs them."""

    def penalty(convolution: Any, x: Tensor, weight: Tensor, grad: Tensor) -> tuple[Tensor, ...]:
        x, weight, grad = (t.detach().requires_grad_() for t in (x, weight, grad))
        first = torch.autograd.grad(convolution(x, weight, padding), (x, weight), grad, create_graph=True)
        return torch.autograd.grad(sum((t**3).sum() for t in first), (x, weight, grad))

    left = 4 + 2 * padding
    given = picture(2, 16, 6, 6), picture(32, 16, 3, 3, seed=1), picture(2, 32, left, left, seed=2)
    true = penalty(reference, *(t.double() for t in given))
    for found, wanted in zip(penalty(Convolve.apply, *given), true, strict=True):
        assert error(found, wanted) < 1e-5


def test_only_the_gradients_that_are_asked_for_are_worked_out(monkeypatch: pytest.MonkeyPatch) -> None:
    x, weight = picture(2, 16, 7, 7), picture(16, 16, 3, 3, seed=1).requires_grad_()
    y = Convolve.apply(x, weight, 1)
    with monkeypatch.context() as during:
        during.setattr(winograd, "_convolved", lambda *_: pytest.fail("the first layer's input needs no gradient"))
        y.sum().backward()
    assert x.grad is None
    assert weight.grad is not None
    x, weight = x.requires_grad_(), weight.detach()
    y = Convolve.apply(x, weight, 1)
    monkeypatch.setattr(winograd, "_correlated", lambda *_: pytest.fail("frozen filters need no gradient"))
    y.sum().backward()
    assert x.grad is not None


# -------------------------------------------------------------------------------------------- when it is used at all


@pytest.mark.usefixtures("avx2")
def test_pays_for_maps_with_work_enough() -> None:
    assert pays(64, 64, 15, 15)
    assert pays(16, 512, 3, 3, batch=64)
    assert not pays(3, 64, 32, 32)  # pictures' own channels
    assert not pays(64, 24, 15, 15)  # no whole number of registers
    assert not pays(64, 64, 2, 15)
    assert not pays(256, 256, 7, 7, batch=1)  # the filters' transform would cost more than it saves
    assert pays(256, 256, 7, 7, batch=16)  # 4 tiles each


@pytest.mark.parametrize("capability", ["DEFAULT", "AVX512"])
def test_does_not_pay_where_it_was_not_measured(capability: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)
    assert not pays(64, 64, 15, 15)


@pytest.mark.usefixtures("avx2")
@pytest.mark.parametrize("padding", [0, 1, 2])
@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode, torch.enable_grad])
def test_conv3x3_is_conv2d(mode: Any, padding: int, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    taken = winograd._convolved
    monkeypatch.setattr(winograd, "_convolved", lambda *given: (calls.append(1), taken(*given))[1])
    x, weight, bias = picture(32, 16, 7, 7), torch.nn.Parameter(picture(32, 16, 3, 3, seed=1)), torch.randn(32)
    with mode():
        y, wanted = conv3x3(x, weight, bias, padding), F.conv2d(x, weight, bias, padding=padding)
    assert calls
    assert y.requires_grad == wanted.requires_grad
    assert error(y.detach(), wanted.detach()) < 1e-5


@pytest.mark.usefixtures("avx2")
def test_the_bias_has_its_gradient_under_strict_determinism() -> None:
    x, weight, bias = picture(16, 16, 7, 7), picture(32, 16, 3, 3, seed=1), torch.zeros(32, requires_grad=True)
    strict = torch.get_deterministic_debug_mode()
    torch.set_deterministic_debug_mode("error")
    try:
        conv3x3(x, weight.requires_grad_(), bias).sum().backward()
    finally:
        torch.set_deterministic_debug_mode(strict)
    assert bias.grad is not None
    assert torch.equal(bias.grad, torch.full((32,), 16.0 * 7 * 7))
    assert weight.grad is not None


@pytest.mark.usefixtures("avx2")
def test_gradients_under_autocast_keep_their_precision() -> None:
    x, weight, grad = picture(16, 16, 7, 7), picture(32, 16, 3, 3, seed=1), picture(16, 32, 7, 7, seed=2)
    wanted = all_three(Convolve.apply, x, weight, grad)
    with torch.autocast("cpu", torch.bfloat16):
        found = all_three(Convolve.apply, x, weight, grad)
    assert all(torch.equal(*pair) for pair in zip(found, wanted, strict=True))


@pytest.mark.usefixtures("avx2")
def test_leaves_the_rest_to_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(winograd, "_convolved", lambda *_: pytest.fail("this is torch's to do"))
    x, weight = picture(64, 16, 7, 7), picture(16, 16, 3, 3, seed=1)
    with pytest.raises(pytest.fail.Exception):
        conv3x3(x, weight)
    assert torch.equal(conv3x3(x[:1], weight), reference(x[:1], weight))  # too few tiles
    assert conv3x3(x.double(), weight.double()).dtype == torch.float64
    assert conv3x3(x.to("meta"), weight.to("meta")).device.type == "meta"
    assert torch.equal(torch.func.vmap(conv3x3, (None, 0))(x, weight[None])[0], reference(x, weight))
    with torch.autocast("cpu", torch.bfloat16):
        assert conv3x3(x, weight).dtype == torch.bfloat16
    assert conv3x3(x[:0], weight).shape == (0, 16, 7, 7)
    small = picture(64, 16, 4, 4)
    assert torch.equal(conv3x3(small, weight, padding=0), reference(small, weight, 0))  # 2 x 2 come out
    traced = torch.compile(conv3x3, backend="eager", fullgraph=True)
    assert torch.equal(traced(x, weight), reference(x, weight))
