"""Transformer: padding changes nothing, the decoder sees no future, a cache changes nothing, and it learns."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn

from decet.contracts import Features, TokenSpec
from decet.errors import BadInput
from decet.families.transformer import Transformer

SPEC = TokenSpec(vocabulary=30, length=12)
SMALL = Transformer(width=16, depth=2, heads=4, hidden=32, dropout=0.0, context=64)
KINDS: list[dict[str, Any]] = [
    {},
    {"feed": "gated", "norm": "rms", "groups": 2, "normed": True},
    {"feed": "relu2", "positions": "learned", "bias": True},
    {"feed": "relu", "positions": "sinusoidal", "order": "post", "bias": True},
]


def tokens(*lengths: int, steps: int = 12) -> torch.Tensor:
    torch.manual_seed(3)
    found = torch.zeros(len(lengths), steps, dtype=torch.int64)
    for row, length in enumerate(lengths):
        found[row, :length] = torch.randint(1, 30, (length,))
    return found


@pytest.mark.parametrize("said", KINDS)
@pytest.mark.parametrize("summary", ["mean", "max", "first"])
def test_padding_changes_nothing(said: dict[str, Any], summary: str) -> None:
    torch.manual_seed(1)
    body = replace(SMALL, summary=summary, **said).encoder(SPEC).eval()
    batch = tokens(5, 12, 1)
    together = body((batch,)).pooled()
    for row, length in enumerate((5, 12, 1)):
        alone = body((batch[row : row + 1, :length],)).pooled()
        torch.testing.assert_close(together[row : row + 1], alone, atol=1e-6, rtol=1e-5)


def test_the_classic_encoder_equals_torchs() -> None:
    """Norms after each part, relu, biases: torch.nn.TransformerEncoderLayer, layer by layer."""
    torch.manual_seed(0)
    body: Any = replace(SMALL, order="post", feed="relu", bias=True, positions="none").encoder(SPEC).eval()
    layer = nn.TransformerEncoderLayer(16, 4, 32, dropout=0.0, batch_first=True)
    theirs = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False).eval()
    for ours, their in zip(body.stack.layers, theirs.layers, strict=True):
        with torch.no_grad():
            for mine, other in (
                (ours.attend.into.weight, their.self_attn.in_proj_weight),
                (ours.attend.into.bias, their.self_attn.in_proj_bias),
                (ours.attend.out.weight, their.self_attn.out_proj.weight),
                (ours.attend.out.bias, their.self_attn.out_proj.bias),
                (ours.feed.widen.weight, their.linear1.weight),
                (ours.feed.widen.bias, their.linear1.bias),
                (ours.feed.narrow.weight, their.linear2.weight),
                (ours.feed.narrow.bias, their.linear2.bias),
            ):
                mine.copy_(other.normal_(0, 0.3))
    batch = tokens(5, 12, 1)
    x = body.stem((batch,))[0].transpose(1, 2)
    real = batch != 0
    expected = theirs(x, src_key_padding_mask=~real)
    torch.testing.assert_close(body((batch,)).values[real], expected[real], atol=1e-5, rtol=0)


@pytest.mark.parametrize("said", KINDS)
def test_a_decoder_read_word_by_word_equals_one_read_at_once(said: dict[str, Any]) -> None:
    torch.manual_seed(2)
    decoder = replace(SMALL, **said).decoder(SPEC).eval()
    batch = torch.randint(0, 30, (3, 20))
    whole, _ = decoder(batch, decoder.start(None, 3))
    state, found = decoder.start(None, 3), []
    for begin, end in ((0, 7), (7, 8), (8, 9), (9, 15), *((i, i + 1) for i in range(15, 20))):
        features, state = decoder(batch[:, begin:end], state)
        found.append(features.values)
    torch.testing.assert_close(torch.cat(found, 1), whole.values, atol=1e-5, rtol=1e-4)


def test_rows_of_different_ages_go_on_each_from_its_own() -> None:
    torch.manual_seed(4)
    decoder = SMALL.decoder(SPEC).eval()
    batch = torch.randint(0, 30, (3, 9))
    _, state = decoder(batch, decoder.start(None, 3))
    mixed = state.select(torch.tensor([2, -1, 0]))  # the second starts afresh
    after, _ = decoder(torch.tensor([[5, 6], [5, 6], [5, 6]]), mixed)
    for row, before in enumerate((batch[2], batch[2][:0], batch[0])):
        text = torch.cat([before, torch.tensor([5, 6])]).unsqueeze(0)
        alone, _ = decoder(text, decoder.start(None, 1))
        torch.testing.assert_close(after.values[row], alone.values[0, -2:], atol=1e-5, rtol=1e-4)


def test_a_decoder_sees_no_future() -> None:
    decoder = SMALL.decoder(SPEC).eval()
    batch = torch.randint(0, 30, (2, 10))
    other = batch.clone()
    other[:, 6:] = 1
    first, _ = decoder(batch, decoder.start(None, 2))
    second, _ = decoder(other, decoder.start(None, 2))
    torch.testing.assert_close(first.values[:, :6], second.values[:, :6])
    assert not torch.allclose(first.values[:, 6:], second.values[:, 6:])


def test_a_decoder_looks_at_its_memory_and_not_at_its_padding() -> None:
    torch.manual_seed(5)
    decoder = SMALL.decoder(SPEC, memory=10).eval()
    memory, mask = torch.randn(2, 6, 10), torch.tensor([[True] * 6, [True] * 3 + [False] * 3])
    batch = torch.randint(0, 30, (2, 4))
    found, _ = decoder(batch, decoder.start(Features(values=memory, mask=mask), 2))
    short = Features(values=memory[1:, :3], mask=mask[1:, :3])
    alone, _ = decoder(batch[1:], decoder.start(short, 1))
    torch.testing.assert_close(found.values[1:], alone.values, atol=1e-5, rtol=1e-4)
    other, _ = decoder(batch, decoder.start(Features(values=memory + 1, mask=mask), 2))
    assert not torch.allclose(found.values, other.values)


@pytest.mark.parametrize("said", [{}, {"order": "post", "norm": "rms"}, {"feed": "relu2", "normed": True}])
def test_every_parameter_of_a_decoder_with_a_memory_gets_a_gradient(said: dict[str, Any]) -> None:
    torch.manual_seed(0)
    decoder = Transformer(width=16, depth=2, heads=2, context=32, **said).decoder(SPEC, memory=10)
    memory = Features(values=torch.randn(2, 6, 10), mask=torch.ones(2, 6, dtype=torch.bool))
    features, _ = decoder(torch.randint(0, 30, (2, 4)), decoder.start(memory, 2))
    (features.values * torch.randn_like(features.values)).sum().backward()
    assert [name for name, p in decoder.named_parameters() if p.grad is None or not bool(p.grad.any())] == []


def test_it_overfits_a_batch_whose_answer_is_the_eighth_word() -> None:
    torch.manual_seed(0)
    body, head = replace(SMALL, width=32).encoder(SPEC), nn.Linear(32, 2)
    batch = tokens(*[12] * 32)
    answer = (batch[:, 7] > 15).long()
    optimizer = torch.optim.Adam([*body.parameters(), *head.parameters()], 5e-3)
    for _ in range(150):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(head(body((batch,)).pooled()[:, 0]), answer)
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.05


def test_settings_that_cannot_be_are_refused() -> None:
    for said in ({"width": 0}, {"feed": "swish"}, {"norm": "batch"}, {"dropout": 1.0}, {"positions": "late"}):
        with pytest.raises(BadInput, match=next(iter(said))):
            Transformer(**said)  # type: ignore[arg-type]
    with pytest.raises(BadInput, match="heads must divide width"):
        Transformer(width=30, heads=4).encoder(SPEC)
    with pytest.raises(BadInput, match="odd"):
        Transformer(width=12, heads=4).encoder(SPEC)
