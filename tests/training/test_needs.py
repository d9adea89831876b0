"""The memory of a step, told beforehand: near to what it keeps, in proportion to its tokens."""

from __future__ import annotations

import time
from typing import Any

import pytest
import torch

from decet import LSTM, Recipe, TextGenerator, Transformer
from decet.contracts import Decoder, TokenSpec
from decet.errors import BadInput
from decet.estimators import writing
from decet.training.needs import MOMENTS, kept_for_backward, needed, seconds_of

FAMILIES = [LSTM(width=64, depth=2, embedding=32), Transformer(width=64, depth=2, heads=2, context=512)]
TEXT = ["the cat sat on the mat. " * 2_000]


@pytest.fixture(params=FAMILIES, ids=["LSTM", "Transformer"])
def decoder(request: pytest.FixtureRequest) -> Decoder:
    return request.param.decoder(TokenSpec(50_000))


def test_a_small_step_tells_of_a_large_one(decoder: Decoder) -> None:
    def run(rows: int, length: int = 32) -> Any:
        return decoder(torch.zeros(rows, length, dtype=torch.int64), decoder.start(None, rows))

    own = MOMENTS * sum(p.numel() * p.element_size() for p in decoder.parameters())
    whole = kept_for_backward(lambda: run(16, 256))
    told = needed(run, decoder.parameters(), 16 * 256 / 32)
    assert told - own == pytest.approx(whole, rel=0.25)


def test_what_a_network_keeps_is_counted() -> None:
    layer, x = torch.nn.Linear(100, 10), torch.randn(1_000, 100)
    kept = kept_for_backward(lambda: layer(x))
    assert kept == x.numel() * 4  # the weights need not be kept: x itself has no gradient


def test_memory_that_is_not_there_is_refused_before_training(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "free_memory", lambda: 150_000_000)
    with pytest.raises(
        BadInput, match=r"a step of \d+ windows of 4,096 tokens takes about [\d.]+ GB, and 0.1 GB are free"
    ):
        TextGenerator(Transformer(context=4_096)).fit(TEXT)


def test_a_network_that_does_not_fit_is_refused_before_it_is_made() -> None:
    with pytest.raises(BadInput, match=r"a network of this size takes [\d,.]+ GB, and [\d.]+ GB are free"):
        TextGenerator(Transformer(width=16_384, depth=500, heads=8)).fit(TEXT)


def test_windows_longer_than_the_network_looks_back_are_refused() -> None:
    with pytest.raises(BadInput, match=r"recipe\.window is 64, and the network looks 32 back"):
        TextGenerator(Transformer(context=32), recipe=Recipe(window=64)).fit(TEXT)


def test_short_contexts_of_learned_positions_can_be_asked() -> None:
    small = Transformer(width=16, depth=1, heads=2, context=8, positions="learned")
    TextGenerator(small, recipe=Recipe(steps=1, batch=2)).fit(TEXT)


def test_the_seconds_of_work_are_those_of_its_second_time_where_the_first_warms_up():
    waits = [0.2, 0.01]
    found = seconds_of(lambda: time.sleep(waits.pop(0)))
    assert waits == []
    assert 0.01 <= found < 0.2
