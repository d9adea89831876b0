"""What comes next: the loss of whole streams, and how texts are drawn."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from decet.contracts import Batch, TokenSpec
from decet.errors import BadInput
from decet.families.lstm import LSTM
from decet.families.transformer import Transformer
from decet.nn import vocabulary
from decet.tasks import language
from decet.tasks.language import Language, Writer, surprises, written

SPEC = TokenSpec(vocabulary=20)
FAMILIES: list[Any] = [Transformer(width=16, depth=2, heads=2, context=8, dropout=0.0), LSTM(width=16, depth=2)]
BANDED: list[Any] = [replace(FAMILIES[0], adaptive=True), replace(FAMILIES[1], adaptive=True, tied=False)]


@pytest.fixture(autouse=True)
def many_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """Four tokens are common, the other sixteen of `SPEC` a band of their own."""
    monkeypatch.setattr(vocabulary, "COMMON", 4)


def writer(family: Any, seed: int = 0) -> Writer:
    torch.manual_seed(seed)
    learner = Language().learner(family.decoder(SPEC)).eval()
    with torch.no_grad():
        for parameter in learner.parameters():
            parameter.mul_(3.0)  # so that answers differ
    return learner


def stream(count: int, seed: int = 1) -> Tensor:
    return torch.randint(0, 20, (count,), generator=torch.Generator().manual_seed(seed), dtype=torch.int32)


@pytest.mark.parametrize("family", [*FAMILIES, *BANDED])
def test_the_loss_of_a_batch_is_that_of_its_tokens(family: Any) -> None:
    learner, ids = writer(family), stream(9)
    found, _ = surprises(learner, ids)
    total = learner.loss(Batch((ids.long().unsqueeze(0),)), "train").total
    assert total.item() == pytest.approx(found.mean().item(), abs=1e-5)


def test_of_a_decoder_with_a_limit_every_token_is_told_from_half_a_window_at_least() -> None:
    learner, ids = writer(FAMILIES[0]), stream(50)
    found, likeliest = surprises(learner, ids, batch=3)
    context, half = 8, 4
    for place in range(1, 50):  # token `place`, told from those that its window holds before it
        begin = 0 if place <= context else (place - 1 - half) // half * half
        begin = 49 - context if place > 49 - half else begin  # the last window ends with the stream
        before = ids[begin:place].long().unsqueeze(0)
        chances = learner.predict((before,))
        assert found[place - 1].item() == pytest.approx(-chances[0, int(ids[place])].item(), abs=1e-4)
        assert bool(likeliest[place - 1]) == (chances.argmax().item() == int(ids[place]))


def test_one_without_a_limit_reads_each_lane_from_end_to_end() -> None:
    learner, ids = writer(FAMILIES[1]), stream(60)  # too short for more than a lane
    found, _ = surprises(learner, ids)
    for place in (1, 30, 59):
        chances = learner.predict((ids[:place].long().unsqueeze(0),))
        assert found[place - 1].item() == pytest.approx(-chances[0, int(ids[place])].item(), abs=1e-4)


def test_lanes_side_by_side_judge_every_token_once_from_their_own_begin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(language, "WARM", 64)
    learner, ids = writer(FAMILIES[1]), stream(2_000)  # 16 lanes of 125 tokens, the last of 124
    found, _ = surprises(learner, ids)
    assert len(found) == 1_999
    for lane in (0, 7, 15):
        for place in (lane * 125 + 1, min(lane * 125 + 125, 1_999)):
            chances = learner.predict((ids[lane * 125 : place].long().unsqueeze(0),))
            assert found[place - 1].item() == pytest.approx(-chances[0, int(ids[place])].item(), abs=1e-4)


def test_short_texts_are_read_in_one_lane() -> None:
    learner, ids = writer(FAMILIES[1]), stream(2_000)
    chances = learner.predict((ids[:1_999].long().unsqueeze(0),))
    assert surprises(learner, ids)[0][-1].item() == pytest.approx(-chances[0, int(ids[1_999])].item(), abs=1e-4)


def test_figures_are_those_worked_by_hand() -> None:
    answers = np.log([[2.0, math.e], [8.0, 1.0], [4.0, math.e], [2.0, 1.0]])  # of four tokens two were likeliest
    found = Language().metrics(answers, np.array([1.0, 3.0, 1.0, 2.0]), None)
    assert found["loss"] == pytest.approx(math.log(2) * 7 / 4)
    assert found["log_likelihood"] == pytest.approx(-math.log(2) * 7 / 4)
    assert found["perplexity"] == pytest.approx(2 ** (7 / 4))
    assert found["bits_per_byte"] == pytest.approx(7 / 7)
    assert found["accuracy"] == pytest.approx(0.5)
    answers[0, 1] = math.nan
    assert Language().metrics(answers, np.ones(4), None)["accuracy"] is None


@pytest.mark.parametrize("family", FAMILIES, ids=["Transformer", "LSTM"])
def test_a_text_without_end_takes_no_more_memory_than_its_cache(family: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    learner, sizes = writer(family), list[int]()
    forward = learner.decoder.forward

    def noted(tokens: Tensor, state: Any) -> Any:
        features, after = forward(tokens, state)
        sizes.append(sum(tensor.numel() for tensor in after.tensors.values()))
        return features, after

    monkeypatch.setattr(learner.decoder, "forward", noted)
    steps = written(learner, stream(4), 2, Language(), 0)
    for _ in range(100):  # a dozen times as far as the Transformer looks back
        next(steps)
    assert max(sizes[50:]) <= max(sizes[:50])


def test_stretches_add_up_to_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(language, "STRETCH", 3)
    answers = np.stack([np.arange(1.0, 9.0), np.zeros(8)], 1)
    items = Language().items(answers, np.ones(8), None)
    assert items.tolist() == [[3.0, 6.0], [3.0, 15.0], [2.0, 15.0]]
    assert float(Language().of_items(items.sum(0))) == pytest.approx(-4.5)


def test_a_decoder_without_a_limit_goes_on_from_the_batch_before() -> None:
    learner, ids = writer(FAMILIES[1]), stream(21).long().unsqueeze(0)
    fresh, old = torch.tensor([True]), torch.tensor([False])
    whole = learner.loss(Batch((ids,)), "train").total
    parts = [learner.loss(Batch((ids[:, :11],), fresh=fresh), "train").total]
    state = learner.state()
    parts.append(learner.loss(Batch((ids[:, 10:],), fresh=old), "train").total)
    assert sum(part.item() for part in parts) / 2 == pytest.approx(whole.item(), abs=1e-5)
    learner.restore(state)  # as after a kill
    again = learner.loss(Batch((ids[:, 10:],), fresh=old), "train").total
    assert again.item() == parts[1].item()


# --------------------------------------------------------------------------------------------------------- writing


def draw(question: Language, logits: list[float], seed: int = 0, lately: list[int] | None = None) -> list[int]:
    rows = torch.tensor([logits]).expand(2_000, -1)
    before = None if lately is None else torch.tensor([lately]).expand(2_000, -1)
    return question.chosen(rows, before, torch.Generator().manual_seed(seed)).tolist()


LOGITS = [3.0, 2.0, 1.0, 0.0, -5.0]


def test_tokens_are_drawn_as_their_probabilities_say() -> None:
    drawn, chances = draw(Language(), LOGITS), torch.tensor(LOGITS).softmax(0)
    for token in range(4):
        assert drawn.count(token) / 2_000 == pytest.approx(chances[token].item(), abs=0.04)


def test_temperature_0_takes_the_likeliest_and_low_ones_nearly_so() -> None:
    assert set(draw(Language(temperature=0.0), LOGITS)) == {0}
    assert draw(Language(temperature=0.2), LOGITS).count(0) > draw(Language(), LOGITS).count(0)


def test_only_the_likeliest_are_drawn_from() -> None:
    assert set(draw(Language(top_k=2), LOGITS)) == {0, 1}
    assert set(draw(Language(top_p=0.6), LOGITS)) == {0}  # 0.64 alone reaches it
    assert set(draw(Language(top_p=0.7), LOGITS)) == {0, 1}
    assert set(draw(Language(min_p=0.3), LOGITS)) == {0, 1}
    assert set(draw(Language(min_p=1.0), LOGITS)) == {0}


def test_what_was_there_lately_is_less_likely() -> None:
    assert draw(Language(penalty=3.0), LOGITS, lately=[0]).count(0) < draw(Language(), LOGITS).count(0) / 2
    drawn = draw(Language(penalty=3.0, temperature=0.0), [-0.1, -0.2], lately=[0])
    assert set(drawn) == {1}  # negative logits are multiplied


@pytest.mark.parametrize("family", [*FAMILIES, *BANDED])
def test_texts_written_side_by_side_are_those_of_the_formula(family: Any) -> None:
    """At temperature 0: the likeliest token after all that stands there, or after the last half of the context."""
    learner, prompt = writer(family), stream(5).long()
    steps = written(learner, prompt, 2, Language(temperature=0.0), 0)
    text, begin = prompt.tolist(), 0
    for _, new in zip(range(20), steps, strict=False):
        context = learner.decoder.context
        if context is not None and len(text) - begin > context:
            begin = len(text) - context // 2
        expected = int(learner.predict((torch.tensor([text[begin:]]),)).argmax())
        assert new.tolist() == [expected, expected]
        text.append(expected)


def test_the_same_seed_writes_the_same_text() -> None:
    learner, prompt = writer(FAMILIES[0]), stream(3).long()

    def text(seed: int) -> list[list[int]]:
        return [new.tolist() for _, new in zip(range(12), written(learner, prompt, 3, Language(), seed), strict=False)]

    assert text(1) == text(1)
    assert text(1) != text(2)
    assert any(len(set(row)) > 1 for row in text(1))  # side by side they differ


def test_settings_that_cannot_be_are_refused() -> None:
    for said in ({"temperature": -1.0}, {"top_k": 0}, {"top_p": 0.0}, {"min_p": 2.0}, {"penalty": 0.0}):
        with pytest.raises(BadInput, match=next(iter(said))):
            Language(**said)  # type: ignore[arg-type]
