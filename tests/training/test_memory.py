"""Freed memory is kept while training lasts, and goes back to the system afterwards."""

from __future__ import annotations

import resource

import numpy as np
import pytest
import torch

from decet import DNN, Recipe, TableRegressor
from decet.training import memory
from decet.training.memory import kept, trim

FLOATS = 2**24  # 64 MB: glibc maps each such piece by itself


def faults(times: int) -> int:
    """Pages that the system had to hand out while a large tensor was made and freed so many times."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(times):
        torch.ones(FLOATS)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


def resident() -> int:
    """Bytes of this process in memory."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


pytestmark = pytest.mark.skipif(memory._glibc() is None, reason="another C library")


def test_a_tensor_of_the_size_of_the_last_needs_no_new_pages() -> None:
    usual = faults(10)  # 16,384 pages each time, or some tens where pages are huge
    with kept():
        settled = min(faults(10) for _ in range(4))  # until there is a place that nothing small has come to lie in
    assert settled < usual / 10


def test_what_was_kept_goes_back_at_the_end() -> None:
    with kept():
        torch.ones(FLOATS)
        during = resident()
    assert during - resident() > 48 * 2**20


class Library:
    """Notes the rules that it is given: what becomes of a process's memory depends on all that lies in it."""

    def __init__(self) -> None:
        self.rules: dict[int, int] = {}
        self.trims = 0

    def mallopt(self, name: int, value: int) -> None:
        self.rules[name] = value

    def malloc_trim(self, left: int) -> None:
        self.trims += 1


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> Library:
    noted = Library()
    monkeypatch.setattr(memory, "_glibc", lambda: noted)
    return noted


def test_one_within_another_ends_with_the_outer_one(library: Library) -> None:
    with kept():
        with kept():
            assert library.rules == memory.KEPT
        assert library.rules == memory.KEPT
        assert not library.trims
    assert library.rules == memory.AFTER
    assert library.trims == 1


def test_training_and_large_evaluations_keep_it(monkeypatch: pytest.MonkeyPatch) -> None:
    entered: list[int] = []
    monkeypatch.setattr(memory, "_enter", lambda library, step: entered.append(step))
    model = TableRegressor(DNN(width=4, depth=1), recipe=Recipe(epochs=1))
    rows = np.random.default_rng(0).normal(size=(300, 3))
    model.fit(rows, rows[:, 0])
    assert entered
    assert sum(entered) == 0
    entered.clear()
    model.predict(rows[:10])
    assert not entered  # giving back costs more than such an answer
    model.predict(np.tile(rows, (10, 1)))
    assert entered
    assert sum(entered) == 0


def test_an_error_ends_it_too(library: Library) -> None:
    with pytest.raises(ZeroDivisionError), kept():
        raise ZeroDivisionError
    assert library.rules == memory.AFTER
    assert library.trims == 1


@pytest.mark.parametrize("name", memory.SAID)
def test_the_users_own_rules_are_left_alone(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "65536")
    assert memory._glibc.__wrapped__() is None


def test_what_many_small_pieces_lay_in_goes_back_when_they_are_free() -> None:
    pieces = [np.ones(1_000, np.uint8) for _ in range(60_000)]  # 60 MB, too small to be mapped one by one
    last = np.ones(1_000, np.uint8)  # keeps the heap's end where it is
    filled = resident()
    del pieces
    trim()
    assert resident() < filled - 40_000_000
    assert last.all()
