"""The loss over a vocabulary, in chunks and at once."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from decet.nn import vocabulary
from decet.nn.vocabulary import Bands, Words, answers, cross_entropy


def parts(seed: int = 0) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    torch.manual_seed(seed)
    x, weight = torch.randn(37, 8, requires_grad=True), torch.randn(50, 8, requires_grad=True)
    return x, weight, torch.randn(50, requires_grad=True), torch.randint(0, 50, (37,))


@pytest.mark.parametrize("chunk", [50, 500, 1 << 20])
def test_loss_and_gradients_are_those_of_all_logits_at_once(monkeypatch: pytest.MonkeyPatch, chunk: int) -> None:
    monkeypatch.setattr(vocabulary, "CHUNK", chunk)
    monkeypatch.setattr(vocabulary, "AT_ONCE", chunk)
    x, weight, bias, target = parts()
    expected = F.cross_entropy(F.linear(x, weight, bias), target)
    wanted = torch.autograd.grad(3 * expected, [x, weight, bias])
    found = cross_entropy(x, weight, bias, target)
    torch.testing.assert_close(found, expected)
    for ours, theirs in zip(torch.autograd.grad(3 * found, [x, weight, bias]), wanted, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize(("size", "near"), [(1.0, 0.01), (6.0, 0.05)])  # the larger, the surer
def test_in_bf16_it_is_near_to_that_of_float32(monkeypatch: pytest.MonkeyPatch, size: float, near: float) -> None:
    monkeypatch.setattr(vocabulary, "CHUNK", 500)
    monkeypatch.setattr(vocabulary, "AT_ONCE", 500)
    x, weight, bias, _ = parts()
    with torch.no_grad():
        x.mul_(size)
        for tensor in (x, weight, bias):
            tensor.copy_(tensor.bfloat16())  # so that only what is done with them is rounded
    target = F.linear(x, weight, bias).argmax(1)
    expected = F.cross_entropy(F.linear(x, weight, bias), target)
    wanted = torch.autograd.grad(expected, [x, weight, bias])
    with torch.autocast("cpu", torch.bfloat16):
        found = cross_entropy(x, weight, bias, target)
    assert found.dtype == torch.float32
    assert found.item() == pytest.approx(expected.item(), rel=0.02)
    for ours, theirs in zip(torch.autograd.grad(found, [x, weight, bias]), wanted, strict=True):
        assert ours.dtype == torch.float32
        assert (ours - theirs).norm() < near * theirs.norm()


@pytest.fixture
def bands(monkeypatch: pytest.MonkeyPatch) -> Bands:
    """Fifty tokens in three bands: 4, 16 and 30, of 8, 2 and 1 numbers."""
    monkeypatch.setattr(vocabulary, "COMMON", 4)
    torch.manual_seed(3)
    return Bands(50, 8, 1.0)


def test_bands_hold_rarer_tokens_in_fewer_numbers(bands: Bands) -> None:
    assert bands.ends == [4, 20, 50]
    assert [tuple(band.shape) for band in bands.bands] == [(4, 8), (16, 2), (30, 1)]
    tokens = torch.tensor([[0, 3, 4], [19, 20, 49]])
    vectors = bands(tokens)
    assert vectors.shape == (2, 3, 8)
    torch.testing.assert_close(vectors[0, 1], bands.bands[0][3])
    torch.testing.assert_close(vectors[1, 0], bands.bands[1][15] @ bands.wide[0])
    torch.testing.assert_close(vectors[1, 2], bands.bands[2][29] @ bands.wide[1])


def test_the_loss_of_bands_is_that_of_their_probabilities(bands: Bands) -> None:
    x, bias = torch.randn(37, 8), torch.randn(50)
    target = torch.arange(37) * 50 // 37
    logits = bands.logits(x, bias)
    torch.testing.assert_close(bands.loss(x, bias, target), F.cross_entropy(logits, target))
    only_common = target.clamp(max=3)
    torch.testing.assert_close(bands.loss(x, bias, only_common), F.cross_entropy(logits, only_common))


def test_gradients_of_bands_are_those_of_their_logits(bands: Bands) -> None:
    tokens = torch.arange(40).view(4, 10) * 50 // 40
    target, bias = tokens.flip(1).flatten(), torch.randn(50, requires_grad=True)
    inputs = [*bands.parameters(), bias]
    x = bands(tokens).flatten(0, 1) + torch.randn(40, 8)
    found = torch.autograd.grad(bands.loss(x, bias, target), inputs, retain_graph=True)
    wanted = torch.autograd.grad(F.cross_entropy(bands.logits(x, bias), target), inputs)
    for ours, theirs in zip(found, wanted, strict=True):
        assert ours.abs().sum() > 0
        torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=1e-5)


def test_a_number_beyond_the_vocabulary_is_no_word(bands: Bands) -> None:
    with pytest.raises(IndexError):
        bands(torch.tensor([50]))


def test_surprises_of_bands_are_those_of_all_logits(bands: Bands) -> None:
    x, bias = 3 * torch.randn(400, 8), torch.randn(50)
    logits = bands.logits(x, bias)
    target = torch.where(torch.rand(400) < 0.5, logits.argmax(1), torch.randint(0, 50, (400,)))
    found, likeliest = bands.surprises(x, bias, target)
    torch.testing.assert_close(found, F.cross_entropy(logits, target, reduction="none"))
    assert torch.equal(likeliest, logits.argmax(1) == target)
    assert {int(band) for band in torch.bucketize(target[likeliest], torch.tensor([3, 19]))} == {0, 1, 2}


def test_a_small_vocabulary_is_one_band() -> None:
    torch.manual_seed(0)
    bands, words = Bands(50, 8, 1.0), Words(50, 8, 1.0)
    with torch.no_grad():
        words.weight.copy_(bands.bands[0])
    x, bias, target = torch.randn(9, 8), torch.randn(50), torch.randint(0, 50, (9,))
    torch.testing.assert_close(bands.loss(x, bias, target), words.loss(x, bias, target))
    torch.testing.assert_close(bands(target), words(target))


@pytest.mark.parametrize("kind", [Words, Bands])
def test_vectors_of_their_own_make_every_token_as_likely(kind: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vocabulary, "COMMON", 4)
    own = answers(kind(50, 8, 1.0))
    loss = own.loss(torch.randn(9, 8), torch.zeros(50), torch.randint(0, 50, (9,)))
    assert loss.item() == pytest.approx(math.log(50))
