"""The nearest rows: those of a full sort, however they are found."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from decet.nn import nearest, team
from decet.nn.nearest import CHUNK, EARLY, Nearest, Rounded, largest

RNG = np.random.default_rng(0)


def normal(*shape: int) -> np.ndarray:
    return RNG.normal(size=shape).astype(np.float32)


def spiky(size: int, width: int) -> np.ndarray:
    """Rows of which one number is nearly all, which a byte keeps badly."""
    rows = 0.02 * normal(size, width)
    rows[np.arange(size), RNG.integers(0, width, size)] += 1
    return rows


ROWS = {
    "as drawn": lambda: normal(9_000, 100),
    "of one number": lambda: normal(600, 1),
    "few and wide": lambda: normal(70, 2_000),
    "of odd width": lambda: normal(5_001, 37),
    "of any length": lambda: normal(9_000, 16) * np.exp(5 * normal(9_000, 1)),
    "spiky": lambda: spiky(9_000, 64),
    "in a bundle": lambda: normal(1, 50) + 0.05 * normal(9_000, 50),
    "each four times": lambda: np.repeat(normal(2_000, 24), 4, 0),
    "some of them zero": lambda: normal(3_000, 24) * (RNG.random((3_000, 1)) > 0.1).astype(np.float32),
}


def scale_of(rows: Tensor) -> Tensor:
    return 1.0 / torch.linalg.vector_norm(rows, dim=1).clamp_(min=1e-12)


def unit(vector: np.ndarray) -> Tensor:
    return torch.from_numpy((vector / np.linalg.norm(vector)).astype(np.float32))


@pytest.mark.parametrize("count", [1, 10, 500])
@pytest.mark.parametrize("kind", ROWS)
def test_the_nearest_are_those_of_a_full_sort(kind: str, count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nearest, "PAYS", 1)
    rows = torch.from_numpy(ROWS[kind]())
    scale = scale_of(rows)
    exact = rows.double() / torch.linalg.vector_norm(rows.double(), dim=1, keepdim=True).clamp(min=1e-12)
    ask = Nearest(rows, scale)
    for number, vector in enumerate([unit(normal(rows.shape[1])) for _ in range(EARLY + 3)]):
        places, cosines = ask(vector, count)
        true = exact @ vector.double()
        wanted = true.sort(descending=True).values[:count]
        assert len(set(places.tolist())) == len(places) == min(count, len(rows))
        torch.testing.assert_close(cosines.double(), wanted, rtol=0, atol=2e-6)
        torch.testing.assert_close(true[places], wanted, rtol=0, atol=2e-6)  # equal ones may stand in any order
        assert (ask.rounded is not None) == (number >= EARLY)


@pytest.mark.parametrize("kind", ROWS)
def test_rounded_rows_are_no_farther_away_than_is_said(kind: str) -> None:
    rows = torch.from_numpy(ROWS[kind]())
    scale = scale_of(rows)
    rounded = Rounded(rows, scale)
    away = rows.double() * scale.double()[:, None] - rounded.wholes.double() * rounded.steps.double()[:, None]
    assert float(torch.linalg.vector_norm(away, dim=1).max()) <= rounded.off
    assert int(rounded.wholes.abs().max()) == 127
    assert rounded.off < 0.5 / 127 * rows.shape[1] ** 0.5 + 1e-3


def test_few_rows_are_left_to_be_asked_themselves() -> None:
    rows = torch.from_numpy(normal(20_000, 100))
    found = Rounded(rows, scale_of(rows)).possible(unit(normal(100)), 10)
    assert 10 <= len(found) < 100


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_any_number_of_threads_rounds_and_finds_the_same(threads: int) -> None:
    rows, vector = torch.from_numpy(normal(4_099, 20)), unit(normal(20))
    one = Rounded(rows, scale_of(rows))
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        other = Rounded(rows, scale_of(rows))
        assert torch.equal(one.wholes, other.wholes)
        assert torch.equal(one.steps, other.steps)
        assert torch.equal(one.possible(vector, 5), other.possible(vector, 5))
    finally:
        torch.set_num_threads(before)


def test_small_tables_and_those_without_numba_are_read_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = torch.from_numpy(normal(300, 8))
    ask, vector = Nearest(rows, scale_of(rows)), unit(normal(8))
    small = [ask(vector, 7) for _ in range(EARLY + 2)][-1]
    assert ask.rounded is None
    monkeypatch.setattr(nearest, "PAYS", 1)
    monkeypatch.setattr(team, "compiles", lambda: False)
    without = ask(vector, 7)
    assert ask.rounded is None
    assert torch.equal(small[0], without[0])


@pytest.mark.parametrize("size", [1, 10, CHUNK, CHUNK + 1, 5 * CHUNK, 7 * CHUNK + 3])
@pytest.mark.parametrize("count", [1, 3, 5, 40])
def test_the_largest_are_those_of_a_full_sort(size: int, count: int) -> None:
    values = torch.from_numpy(RNG.permutation(size).astype(np.float32))
    assert torch.equal(largest(values, count), values.sort(descending=True).indices[:count])
    assert torch.equal(values[largest(values // 50, count)] // 50, (values // 50).sort(descending=True).values[:count])
