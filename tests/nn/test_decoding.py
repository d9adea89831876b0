"""A position at a time through all layers in one call: what torch says, whatever the layers are made of."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from decet.contracts import TokenSpec
from decet.families.transformer import Transformer
from decet.nn import decoding, team

pytestmark = pytest.mark.skipif(not team.compiles(), reason="numba is not installed")

KINDS = {
    "plain": Transformer(width=24, depth=2, heads=4, context=40, dropout=0.0),
    "groups and normed": Transformer(width=24, depth=2, heads=4, groups=2, context=40, normed=True, feed="relu2"),
    "GPT-2": Transformer(
        width=24, depth=3, heads=2, context=40, positions="learned", norm="layer", bias=True, feed="gelu-tanh"
    ),
    "wide words": Transformer(width=40, depth=1, heads=5, context=40, feed="gelu", positions="sinusoidal"),
    "Llama": Transformer(width=24, depth=2, heads=4, groups=2, context=40, norm="rms", feed="gated"),
    "without places": Transformer(width=24, depth=2, heads=4, context=40, positions="none"),
    "relu": Transformer(width=24, depth=2, heads=4, context=40, feed="relu"),
}


def texts(family: Transformer, rows: int, steps: int = 30) -> tuple[Any, Tensor]:
    torch.manual_seed(0)
    decoder = family.decoder(TokenSpec(19)).eval()
    with torch.no_grad():
        for parameter in decoder.parameters():
            parameter.mul_(3.0).add_(0.1 * torch.randn_like(parameter))
    return decoder, torch.randint(0, 19, (rows, steps))


@torch.inference_mode()
def read(decoder: Any, tokens: Tensor, prompt: int = 3) -> Tensor:
    """What it says at each position when it reads a prompt at once and then word by word."""
    features, state = decoder(tokens[:, :prompt], decoder.start(None, len(tokens)))
    found = [features.values]
    for place in range(prompt, tokens.shape[1]):
        features, state = decoder(tokens[:, place : place + 1], state)
        found.append(features.values)
    return torch.cat(found, 1)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """However small the layers are, the kernel is called; the ages at which it was."""
    monkeypatch.setattr(decoding, "PAYS", 0)
    monkeypatch.setattr(decoding, "PATIENCE", 0)
    ages: list[int] = []
    plain = decoding.Steps.advanced

    def advanced(self: Any, x: Tensor, state: Any, turn: Any, age: int) -> Tensor | None:
        found = plain(self, x, state, turn, age)
        if found is not None:
            ages.append(age)
        return found

    monkeypatch.setattr(decoding.Steps, "advanced", advanced)
    return ages


@pytest.mark.parametrize("rows", [1, 3, 6])
@pytest.mark.parametrize("kind", KINDS)
def test_it_says_what_the_whole_text_says_at_once(calls: list[int], kind: str, rows: int) -> None:
    decoder, tokens = texts(KINDS[kind], rows)
    with torch.inference_mode():
        wanted = decoder(tokens, decoder.start(None, rows))[0].values
    torch.testing.assert_close(read(decoder, tokens), wanted, atol=2e-5, rtol=1e-5)
    assert calls == list(range(4, 30))  # the first word behind a prompt still makes room in the caches


def test_any_number_of_threads_says_nearly_the_same(calls: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    decoder, tokens = texts(KINDS["plain"], 5)
    answers = []
    for threads in (1, 2, 3):
        monkeypatch.setattr(torch, "get_num_threads", lambda threads=threads: threads)
        answers.append(read(decoder, tokens))
    assert len(calls) == 3 * 26
    for other in answers[1:]:
        torch.testing.assert_close(other, answers[0], atol=1e-5, rtol=1e-5)


def test_weights_that_move_between_two_texts_are_seen(calls: list[int]) -> None:
    decoder, tokens = texts(KINDS["plain"], 2)
    before = read(decoder, tokens)
    with torch.no_grad():
        decoder.stack.layers[0].feed.widen.weight = torch.nn.Parameter(torch.randn(96, 24))
    after = read(decoder, tokens)
    with torch.inference_mode():
        wanted = decoder(tokens, decoder.start(None, 2))[0].values
    torch.testing.assert_close(after, wanted, atol=2e-5, rtol=1e-5)
    assert not torch.allclose(before, after)


def test_what_the_kernel_does_not_know_torch_does(calls: list[int]) -> None:
    read(*texts(Transformer(width=24, depth=2, heads=4, context=40, order="post"), 2))
    decoder, tokens = texts(KINDS["plain"], 2)
    read(decoder.double(), tokens)
    assert calls == []


def test_small_layers_are_left_to_torch() -> None:
    decoder, tokens = texts(KINDS["plain"], 1)
    read(decoder, tokens)
    assert not decoder.steps.fit


def test_a_short_text_does_not_import_the_kernel(calls: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding, "KERNELS", "what.no.one.imported")
    monkeypatch.setattr(decoding, "PATIENCE", 20)
    decoder, tokens = texts(KINDS["plain"], 1)
    read(decoder, tokens)
    assert calls == list(range(23, 30))  # three of the prompt, then twenty


def test_rows_of_other_ages_and_gradients_are_left_to_torch(calls: list[int]) -> None:
    decoder, tokens = texts(KINDS["plain"], 2)
    _, state = decoder(tokens[:, :4], decoder.start(None, 2))
    decoder(tokens[:, 4:5], state)  # with gradients
    with torch.inference_mode():
        fresh = state.detach().select(torch.tensor([0, -1]))
        decoder(tokens[:, 4:5], fresh)
    assert calls == []


def test_what_is_not_a_number_is_passed_on(calls: list[int]) -> None:
    decoder, tokens = texts(KINDS["groups and normed"], 2)
    with torch.no_grad():
        decoder.words.weight[int(tokens[1, 20])] = torch.nan
    tokens[0] = (int(tokens[1, 20]) + 1) % 19
    found = read(decoder, tokens)
    assert found[0].isfinite().all()
    assert found[1, 20:].isnan().all()
