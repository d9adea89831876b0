"""LSTM: equal to torch's, padding changes nothing, and it learns."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from decet.contracts import Features, SeriesSpec, TokenSpec
from decet.errors import BadInput
from decet.families.lstm import LSTM, Encoder, Locked

SPEC = TokenSpec(vocabulary=30, length=12)


def tokens(*lengths: int, steps: int = 12) -> torch.Tensor:
    torch.manual_seed(3)
    found = torch.zeros(len(lengths), steps, dtype=torch.int64)
    for row, length in enumerate(lengths):
        found[row, :length] = torch.randint(1, 30, (length,))
    return found


@pytest.mark.parametrize("depth", [1, 2])
@pytest.mark.parametrize("both", [True, False])
def test_series_are_read_as_torch_reads_them(depth: int, both: bool) -> None:
    torch.manual_seed(0)
    body = LSTM(width=6, depth=depth, both=both).encoder(SeriesSpec(5)).eval()
    theirs = nn.LSTM(5, 6, depth, batch_first=True, bidirectional=both)
    assert isinstance(body, Encoder)
    for layer, ways in enumerate(body.layers.layers):
        for way, one in enumerate(ways):
            one.copy_torch(theirs, layer, reverse=bool(way))
    x, lengths = torch.randn(4, 9, 5), torch.tensor([4, 9, 1, 7])
    found = body((x, lengths))
    packed = nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
    expected, _ = nn.utils.rnn.pad_packed_sequence(theirs(packed)[0], batch_first=True)
    torch.testing.assert_close(found.values, expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("summary", ["max", "mean", "last", "both"])
@pytest.mark.parametrize("cell", ["lstm", "minlstm"])
def test_padding_changes_nothing(summary: str, cell: str) -> None:
    torch.manual_seed(1)
    body = LSTM(width=8, depth=2, summary=summary, cell=cell, norm=True).encoder(SPEC).eval()
    batch = tokens(5, 12, 1)
    together = body((batch,)).pooled()
    for row, length in enumerate((5, 12, 1)):
        alone = body((batch[row : row + 1, :length],)).pooled()
        torch.testing.assert_close(together[row : row + 1], alone, atol=1e-6, rtol=1e-5)


def test_dropout_acts_in_training_alone() -> None:
    body = LSTM(width=8, dropout=0.5, weight_dropout=0.5, word_dropout=0.5).encoder(SPEC)
    batch = tokens(12, 12)
    torch.manual_seed(0)
    assert not torch.equal(body((batch,)).pooled(), body((batch,)).pooled())
    body.eval()
    assert torch.equal(body((batch,)).pooled(), body((batch,)).pooled())


def test_the_same_units_are_dropped_at_all_steps_of_a_text_and_others_in_another() -> None:
    torch.manual_seed(0)
    kept = Locked(0.5)(torch.ones(9, 4, 64)) > 0
    assert (kept == kept[:1]).all()
    assert not (kept[0, 0] == kept[0, 1]).all()


# ---------------------------------------------------------------------------------------------------------- decoders

DECODERS = [
    LSTM(width=8, depth=2),
    LSTM(width=8, depth=1, embedding=12, tied=False),
    LSTM(width=8, depth=2, cell="minlstm", norm=True),
]
MEMORY = Features(
    values=torch.randn(3, 5, 7, generator=torch.Generator().manual_seed(2)),
    mask=torch.arange(5) < torch.tensor([[5], [2], [4]]),
)


@pytest.mark.parametrize("memory", [None, MEMORY], ids=["alone", "with a memory"])
@pytest.mark.parametrize("family", DECODERS)
def test_a_decoder_read_word_by_word_equals_one_read_at_once(family: LSTM, memory: Features | None) -> None:
    torch.manual_seed(0)
    decoder = family.decoder(SPEC, None if memory is None else 7).eval()
    words = tokens(12, 12, 12)
    whole, _ = decoder(words, decoder.start(memory, 3))
    state, parts = decoder.start(memory, 3), []
    for begin, end in ((0, 1), (1, 2), (2, 7), (7, 12)):
        features, state = decoder(words[:, begin:end], state)
        parts.append(features.values)
    torch.testing.assert_close(torch.cat(parts, 1), whole.values, atol=1e-5, rtol=1e-4)
    assert whole.values.shape == (3, 12, decoder.width)


@pytest.mark.parametrize("memory", [None, MEMORY], ids=["alone", "with a memory"])
@pytest.mark.parametrize("family", DECODERS)
def test_every_parameter_of_a_decoder_gets_a_gradient(family: LSTM, memory: Features | None) -> None:
    torch.manual_seed(0)
    decoder = family.decoder(SPEC, None if memory is None else 7)
    features, _ = decoder(tokens(12, 12, 12), decoder.start(memory, 3))
    features.values.square().sum().backward()
    assert [name for name, p in decoder.named_parameters() if p.grad is None or not bool(p.grad.any())] == []


def test_a_decoder_looks_at_its_memory_and_not_at_its_padding() -> None:
    torch.manual_seed(0)
    decoder, words = LSTM(width=8).decoder(SPEC, 7).eval(), tokens(6, 6, 6, steps=6)

    def read(values: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = decoder(words, decoder.start(Features(values=values, mask=MEMORY.mask), 3))[0].values
        return found

    assert MEMORY.values is not None
    assert MEMORY.mask is not None
    padded = MEMORY.values.masked_fill(~MEMORY.mask.unsqueeze(-1), 9.0)
    torch.testing.assert_close(read(padded), read(MEMORY.values))
    assert not torch.allclose(read(MEMORY.values + MEMORY.mask.unsqueeze(-1)), read(MEMORY.values))


def test_rows_are_reordered_and_begun_anew() -> None:
    torch.manual_seed(0)
    decoder, words = LSTM(width=8, depth=2).decoder(SPEC).eval(), tokens(6, 6, 6, steps=6)
    _, state = decoder(words, decoder.start(None, 3))
    again = words[:1].expand(3, -1)  # all go on with the same words
    straight = decoder(again, state)[0].values
    chosen = decoder(again, state.select(torch.tensor([2, -1, 0])))[0].values
    torch.testing.assert_close(chosen[0], straight[2])
    torch.testing.assert_close(chosen[2], straight[0])
    torch.testing.assert_close(chosen[1], decoder(again, decoder.start(None, 3))[0].values[1])


def test_it_overfits_a_batch_whose_answer_is_the_first_word() -> None:
    torch.manual_seed(0)
    body, head = LSTM(width=32, summary="last", both=False).encoder(SPEC), nn.Linear(32, 2)
    batch = tokens(*[12] * 32)
    answer = (batch[:, 0] > 15).long()
    optimizer = torch.optim.Adam([*body.parameters(), *head.parameters()], 1e-2)
    for _ in range(60):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(head(body((batch,)).pooled()[:, 0]), answer)
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.05


def test_settings_that_cannot_be_are_refused() -> None:
    for said in ({"width": 0}, {"depth": 0}, {"cell": "gru"}, {"dropout": 1.0}, {"summary": "sum"}, {"both": 2}):
        with pytest.raises(BadInput, match=next(iter(said))):
            LSTM(**said)  # type: ignore[arg-type]
