"""Judging while learning: what was said before is told better, nothing is told from what comes after."""

from __future__ import annotations

import pytest
import torch

from decet import LSTM, Transformer
from decet.contracts import TokenSpec
from decet.errors import BadInput
from decet.nn import vocabulary
from decet.tasks import adapting
from decet.tasks.adapting import adapted
from decet.tasks.language import Language, Writer, surprises

FAMILIES = [
    LSTM(width=32, depth=1, embedding=32),
    Transformer(width=32, depth=1, heads=2, context=32, dropout=0.0),
    LSTM(width=32, depth=1, embedding=32, adaptive=True),
]


@pytest.fixture(params=FAMILIES, ids=["LSTM", "Transformer", "LSTM, adaptive"])
def learner(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Writer:
    monkeypatch.setattr(vocabulary, "COMMON", 4)
    torch.manual_seed(0)
    return Language().learner(request.param.decoder(TokenSpec(20)))


def repeated(times: int = 12) -> torch.Tensor:
    """A stream of one random passage, again and again."""
    return torch.randint(0, 20, (48,), generator=torch.Generator().manual_seed(1)).repeat(times)


def test_switched_off_it_judges_as_ever(learner: Writer) -> None:
    ids = repeated(1)
    torch.testing.assert_close(adapted(learner, ids)[0][:16], surprises(learner, ids)[0][:16], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("how", [{"rate": 0.003}, {"cache": 200}, {"rate": 0.003, "cache": 200}])
def test_what_was_said_before_is_told_better(learner: Writer, how: dict[str, float]) -> None:
    ids = repeated()
    plain, better = adapted(learner, ids)[0], adapted(learner, ids, **how)[0]  # type: ignore[arg-type]
    assert better[-48:].mean() < plain[-48:].mean() - 0.05
    first = adapting.SEGMENT if learner.decoder.context is None else learner.decoder.context // 2
    if "cache" not in how:
        assert torch.equal(better[:first], plain[:first])  # the first segment is judged before anything moves


@pytest.mark.parametrize("how", [{"rate": 0.01}, {"cache": 100}])
def test_nothing_is_told_from_what_comes_after(learner: Writer, how: dict[str, float]) -> None:
    ids = repeated(4)
    other = ids.clone()
    other[150:] = (other[150:] + 7) % 20
    first, second = (adapted(learner, stream, **how)[0] for stream in (ids, other))  # type: ignore[arg-type]
    torch.testing.assert_close(first[:149], second[:149])


def test_the_weights_are_the_learned_ones_again(learner: Writer) -> None:
    before = {name: tensor.clone() for name, tensor in learner.state_dict().items()}
    adapted(learner, repeated(3), rate=0.01)
    assert all(torch.equal(tensor, before[name]) for name, tensor in learner.state_dict().items())
    with pytest.raises(IndexError):
        adapted(learner, torch.full((100,), 99), rate=0.01)
    assert all(torch.equal(tensor, before[name]) for name, tensor in learner.state_dict().items())


def test_a_cache_remembers_so_many_positions_and_no_more() -> None:
    memory = adapting._Memory(2)
    values = torch.eye(3)[[0, 1, 2, 0]]
    each = torch.full((4,), 1.0)
    found = memory.helped(each, values, torch.tensor([5, 6, 7, 5]))
    alone = torch.log(torch.tensor(1 - adapting.SHARE)) - 1.0
    torch.testing.assert_close(found[0], torch.tensor(1.0))  # nothing to remember yet
    torch.testing.assert_close(found[3], -alone)  # the like position lies three back
    assert len(memory.tokens) == 2
    longer = adapting._Memory(3).helped(each, values, torch.tensor([5, 6, 7, 5]))
    assert longer[3] < found[3]


def test_bad_settings_are_refused(learner: Writer) -> None:
    with pytest.raises(BadInput, match="adapt must be"):
        adapted(learner, repeated(1), rate=-1.0)
    with pytest.raises(BadInput, match="cache must be"):
        adapted(learner, repeated(1), cache=-1)
