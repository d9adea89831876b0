"""Attention: equal to torch's, and to itself read in one piece or word by word."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from decet.nn.attention import Across, Attention, sinusoids, turn_of, turned


def test_attention_equals_torchs_with_its_weights() -> None:
    torch.manual_seed(0)
    theirs = nn.MultiheadAttention(24, 4, batch_first=True)
    ours = Attention(24, 4, 4, bias=True)
    with torch.no_grad():
        ours.into.weight.copy_(theirs.in_proj_weight)
        ours.into.bias.copy_(theirs.in_proj_bias.normal_())
        ours.out.weight.copy_(theirs.out_proj.weight)
        ours.out.bias.copy_(theirs.out_proj.bias)
    x, real = torch.randn(3, 9, 24), torch.arange(9) < torch.tensor([[9], [5], [1]])
    expected, _ = theirs(x, x, x, key_padding_mask=~real)
    found, _ = ours(x, mask=real[:, None, None, :])
    torch.testing.assert_close(found[real], expected[real], atol=1e-5, rtol=0)
    hidden = torch.ones(9, 9).triu(1).bool()
    expected, _ = theirs(x, x, x, attn_mask=hidden)
    found, _ = ours(x, causal=True)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


def test_attention_to_a_memory_equals_torchs() -> None:
    torch.manual_seed(1)
    theirs = nn.MultiheadAttention(24, 4, batch_first=True, kdim=10, vdim=10)
    ours = Across(24, 4, 4, bias=True, memory=10)
    with torch.no_grad():
        queries, keys, values = theirs.in_proj_bias.normal_().chunk(3)
        ours.ask.weight.copy_(theirs.q_proj_weight)
        ours.ask.bias.copy_(queries)
        ours.tell.weight.copy_(torch.cat([theirs.k_proj_weight, theirs.v_proj_weight]))
        ours.tell.bias.copy_(torch.cat([keys, values]))
        ours.out.weight.copy_(theirs.out_proj.weight)
        ours.out.bias.copy_(theirs.out_proj.bias)
    x, memory = torch.randn(2, 5, 24), torch.randn(2, 7, 10)
    expected, _ = theirs(x, memory, memory)
    torch.testing.assert_close(ours(x, ours.told(memory), None), expected, atol=1e-5, rtol=0)


def test_groups_of_heads_share_keys_and_values() -> None:
    """Two groups are as four whose keys and values are copies."""
    torch.manual_seed(2)
    few, many, x = Attention(16, 4, 2, bias=False), Attention(16, 4, 4, bias=False), torch.randn(2, 6, 16)
    with torch.no_grad():
        q, k, v = few.into.weight.unflatten(0, (8, 4)).split([4, 2, 2])
        copied = torch.cat([q, k.repeat_interleave(2, 0), v.repeat_interleave(2, 0)])
        many.into.weight.copy_(copied.flatten(0, 1))
        many.out.weight.copy_(few.out.weight)
    torch.testing.assert_close(few(x, causal=True)[0], many(x, causal=True)[0])


def test_turned_queries_and_keys_know_only_how_far_apart_they_are() -> None:
    q, k = torch.randn(1, 1, 1, 8), torch.randn(1, 1, 1, 8)

    def product(a: int, b: int) -> float:
        turn = [turn_of(torch.tensor([place]), 8) for place in (a, b)]
        return float((turned(q, turn[0]) * turned(k, turn[1])).sum())

    assert product(3, 1) == pytest.approx(product(103, 101), abs=1e-4)
    assert product(3, 1) != pytest.approx(product(3, 2), abs=1e-4)
    assert product(0, 0) == pytest.approx(float((q * k).sum()), abs=1e-5)


def test_sinusoids_are_those_of_the_paper_cosines_behind_the_sines() -> None:
    found = sinusoids(torch.tensor([0, 3]), 6)
    for j in range(3):
        angle = 3 / 10_000 ** (2 * j / 6)
        assert found[1, j].item() == pytest.approx(math.sin(angle), abs=1e-6)
        assert found[1, 3 + j].item() == pytest.approx(math.cos(angle), abs=1e-6)
    assert found[0].tolist() == [0, 0, 0, 1, 1, 1]
