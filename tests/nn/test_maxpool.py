"""The largest of 2 x 2 pixels is torch's to the bit: values, gradients, and their gradients."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from decet.nn import team
from decet.nn.maxpool import LEAST, LEAST_ANSWERED, MaxPool, max_pool

SHAPES = [(2, 16, 6, 8), (3, 17, 5, 7), (1, 64, 2, 2), (4, 1, 9, 3)]
DTYPES = [torch.float32, torch.bfloat16]


def picture(*shape: int, dtype: torch.dtype = torch.float32, seed: int = 0) -> Tensor:
    x = torch.randn(shape, generator=torch.Generator().manual_seed(seed))
    return x.to(dtype, memory_format=torch.channels_last)


def both(pool: Any, x: Tensor, grad: Tensor) -> tuple[Tensor, Tensor]:
    """The answer and the input's gradient."""
    x = x.detach().requires_grad_()
    y = pool(x)
    return y.detach(), *torch.autograd.grad(y, x, grad)


def torchs(x: Tensor) -> Tensor:
    return F.max_pool2d(x, 2)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
def test_equals_torchs_pooling(shape: tuple[int, ...], dtype: torch.dtype) -> None:
    x = picture(*shape, dtype=dtype)
    grad = picture(*shape[:2], shape[2] // 2, shape[3] // 2, dtype=dtype, seed=1)
    for found, wanted in zip(both(MaxPool.apply, x, grad), both(torchs, x, grad), strict=True):
        assert found.dtype == dtype
        assert torch.equal(found, wanted)
        assert found.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_first_of_equals_takes_the_gradient(dtype: torch.dtype) -> None:
    x = torch.zeros(2, 16, 4, 4, dtype=dtype).contiguous(memory_format=torch.channels_last)
    grad = picture(2, 16, 2, 2, dtype=dtype)
    _, of_x = both(MaxPool.apply, x, grad)
    assert torch.equal(of_x[:, :, ::2, ::2], grad)
    assert torch.equal(of_x, both(torchs, x, grad)[1])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize("place", [(0, 0), (0, 1), (1, 0), (1, 1)])
def test_what_is_no_number_is_never_lost(place: tuple[int, int], sign: float, dtype: torch.dtype) -> None:
    """Or a run that has gone wrong would not be seen to."""
    x = picture(1, 16, 4, 4, dtype=dtype)
    x[0, 3, place[0], place[1]] = sign * torch.nan
    y = MaxPool.apply(x)
    assert y[0, 3, 0, 0].isnan()
    assert int(y.isnan().sum()) == 1


@pytest.mark.parametrize("dtype", DTYPES)
def test_orders_what_is_infinite_and_below_zero(dtype: torch.dtype) -> None:
    x = -picture(2, 16, 6, 6, dtype=dtype).abs()
    x[0, 0, :2, :2] = -torch.inf
    x[0, 1, 1, 0] = torch.inf
    assert torch.equal(MaxPool.apply(x), F.max_pool2d(x, 2))


@pytest.mark.parametrize("dtype", DTYPES)
def test_minus_zero_is_no_less_than_zero(dtype: torch.dtype) -> None:
    """Dropout and smooth activations make it; the first of the two takes the gradient, as with torch."""
    x = picture(4, 16, 6, 6, dtype=dtype).sign() * 0
    grad = picture(4, 16, 3, 3, dtype=dtype, seed=1)
    for found, wanted in zip(both(MaxPool.apply, x, grad), both(torchs, x, grad), strict=True):
        assert torch.equal(found, wanted)
        assert torch.equal(found.signbit(), wanted.signbit())


def test_any_layout_is_read_and_other_types_are_refused() -> None:
    x = picture(2, 16, 6, 6).contiguous()
    assert torch.equal(MaxPool.apply(x), F.max_pool2d(x, 2))
    with pytest.raises(TypeError, match="float64"):
        MaxPool.apply(x.double())


def test_gradients_have_gradients() -> None:
    def penalty(pool: Any, x: Tensor, grad: Tensor) -> tuple[Tensor, ...]:
        x, grad = x.detach().requires_grad_(), grad.detach().requires_grad_()
        (first,) = torch.autograd.grad((pool(x) ** 2).sum() + (pool(x) * grad).sum(), x, create_graph=True)
        return torch.autograd.grad((first**3).sum(), (x, grad))

    given = picture(2, 16, 7, 6), picture(2, 16, 3, 3, seed=1)
    for found, wanted in zip(penalty(MaxPool.apply, *given), penalty(torchs, *given), strict=True):
        assert torch.allclose(found, wanted, atol=1e-5)


@pytest.mark.parametrize("threads", [1, 2, 3, 5])
def test_any_number_of_threads_gives_the_same_bits(threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    x, grad = picture(3, 16, 7, 9), picture(3, 16, 3, 4, seed=1)
    wanted = both(torchs, x, grad)
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(threads)
        assert all(map(torch.equal, both(MaxPool.apply, x, grad), wanted))
        monkeypatch.setattr(team, "_team", lambda: None)
        assert all(map(torch.equal, both(MaxPool.apply, x, grad), wanted))
    finally:
        torch.set_num_threads(before)


def test_no_pictures_give_nothing() -> None:
    x = picture(0, 16, 4, 4).requires_grad_()
    y = MaxPool.apply(x)
    assert y.shape == (0, 16, 2, 2)
    y.sum().backward()
    assert x.grad is not None
    assert x.grad.shape == x.shape


def test_a_side_of_one_pixel_is_refused_as_by_torch() -> None:
    with pytest.raises(RuntimeError, match="too small"):
        max_pool(picture(8, 64, 1, 128))


# -------------------------------------------------------------------------------------------- when it is used at all


def _used(x: Tensor, monkeypatch: pytest.MonkeyPatch) -> bool:
    calls = []
    monkeypatch.setattr(MaxPool, "apply", lambda x: calls.append(x) or F.max_pool2d(x, 2))
    assert torch.equal(max_pool(x), F.max_pool2d(x, 2))
    return bool(calls)


def test_large_maps_that_lie_channels_last_are_pooled_by_it(monkeypatch: pytest.MonkeyPatch) -> None:
    x = picture(LEAST // 16 // 64, 16, 8, 8)
    assert _used(x.requires_grad_(), monkeypatch)
    assert _used(x.detach().bfloat16().requires_grad_(), monkeypatch)
    assert not _used(x.detach(), monkeypatch)  # an answer does not wait for numba
    assert _used(picture(LEAST_ANSWERED // 16 // 2**12, 16, 64, 64), monkeypatch)


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(lambda x: x[:2], id="small"),
        pytest.param(lambda x: x.contiguous(), id="channels first"),
        pytest.param(lambda x: x.double(), id="another type"),
        pytest.param(lambda x: picture(8 * len(x), 3, 32, 32), id="few channels"),
    ],
)
def test_others_are_pooled_by_torch(other: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    x = other(picture(LEAST // 16 // 64, 16, 8, 8)).requires_grad_()
    assert not _used(x, monkeypatch)


def test_per_sample_gradients_and_traces_are_torchs() -> None:
    x = picture(2, 16, 64, 64)  # each large enough by itself

    def largest(one: Tensor) -> Tensor:
        return max_pool(one.unsqueeze(0).contiguous(memory_format=torch.channels_last)).sum()

    each = torch.func.vmap(torch.func.grad(largest))(x)
    whole = x.clone().requires_grad_()
    F.max_pool2d(whole, 2).sum().backward()
    assert torch.equal(each, whole.grad)
    traced = torch.jit.trace(max_pool, x.requires_grad_())
    assert "max_pool2d" in str(traced.graph)
