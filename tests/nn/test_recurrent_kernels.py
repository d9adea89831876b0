"""Compiled steps of a recurrence: what the plain ones give, whatever the numbers, and by any number of threads."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from decet.nn import recurrent, team

pytestmark = pytest.mark.skipif(not team.compiles(), reason="numba is not installed")

ROWS, WIDTH = 5, 37  # rows end within a register
KINDS = {torch.float32: 2e-6, torch.bfloat16: 2**-7}


def made(kind: torch.dtype, *parts: int, seed: int = 0) -> list[Tensor]:
    """Tensors (R, 4 H) where a part is 4, else (R, H); 1 are cells, 2 are of the kind."""
    torch.manual_seed(seed)
    return [torch.randn(ROWS, WIDTH * (4 if n == 4 else 1)).to(torch.float32 if n == 1 else kind) for n in parts]


def compiled(monkeypatch: pytest.MonkeyPatch, kind: torch.dtype, backward: bool) -> object:
    monkeypatch.setattr(recurrent, "PAYS", 0)
    monkeypatch.setattr(recurrent, "SHARE", 1)  # as many threads as there are
    hs, gates = torch.zeros(1, ROWS, WIDTH).to(kind), torch.zeros(1, ROWS, 4 * WIDTH).to(kind)
    found = recurrent._compiled(gates, hs, torch.zeros(1, ROWS, WIDTH), *([hs] if backward else []))
    assert found is not None
    return found


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [0.1, 1.0, 30.0, 1e4])
def test_a_step_forwards_is_the_plain_one(monkeypatch: pytest.MonkeyPatch, kind: torch.dtype, size: float) -> None:
    step = compiled(monkeypatch, kind, backward=False)
    products, sums, gates, before, after, h = made(kind, 4, 4, 4, 1, 1, 2)
    products, sums = size * products, size * sums
    found, plain = [x.clone() for x in (gates, after, h)], [x.float() for x in (gates, after, h)]
    step(products, sums, found[0], before, *found[1:])  # type: ignore[operator]
    recurrent._forwards(products.float(), sums.float(), plain[0], before, *plain[1:])  # no sum is rounded
    for ours, theirs in zip(found, plain, strict=True):
        torch.testing.assert_close(ours.float(), theirs, atol=KINDS[kind], rtol=KINDS[kind])


@pytest.mark.parametrize("kind", KINDS)
def test_a_step_backwards_is_the_plain_one(monkeypatch: pytest.MonkeyPatch, kind: torch.dtype) -> None:
    step = compiled(monkeypatch, kind, backward=True)
    gates, before, dc, dh, told, moved = made(kind, 4, 1, 1, 2, 2, 4)
    gates = gates.sigmoid()
    found, plain = (dc.clone(), moved.clone()), (dc.clone(), moved.float())
    step(gates, before, found[0], dh, told, found[1])  # type: ignore[operator]
    recurrent._backwards(gates.float(), before, plain[0], dh.float(), told.float(), plain[1])
    for ours, theirs in zip(found, plain, strict=True):
        torch.testing.assert_close(ours.float(), theirs, atol=2 * KINDS[kind], rtol=KINDS[kind])


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_not_a_number_stays_so(monkeypatch: pytest.MonkeyPatch, kind: torch.dtype) -> None:
    step = compiled(monkeypatch, kind, backward=False)
    products, sums, gates, before, after, h = made(kind, 4, 4, 4, 1, 1, 2)
    sums[2, 3] = torch.nan  # of one unit's way in
    step(products, sums, gates, before, after, h)  # type: ignore[operator]
    assert after.isnan().nonzero().tolist() == [[2, 3]]
    assert h.isnan().nonzero().tolist() == [[2, 3]]


def test_the_number_of_threads_changes_no_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    given, answers = made(torch.float32, 4, 4, 4, 1, 1, 2), []
    for threads in (1, 2, 3):
        monkeypatch.setattr(torch, "get_num_threads", lambda threads=threads: threads)
        step, parts = compiled(monkeypatch, torch.float32, backward=False), [x.clone() for x in given]
        step(*parts)  # type: ignore[operator]
        answers.append(torch.cat([parts[2], parts[4], parts[5]], 1))
    assert torch.equal(answers[0], answers[1])
    assert torch.equal(answers[0], answers[2])
