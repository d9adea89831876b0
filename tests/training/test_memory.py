"""Freed memory is kept while training lasts, and goes back to the system afterwards."""

from __future__ import annotations

import resource

import numpy as np
import pytest
import torch

from decet import DNN, Recipe, TableRegressor
from decet.training import memory
from decet.training.memory import kept

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
        assert faults(10) < usual / 3  # the first, and one more where something small has come to lie behind it


def test_what_was_kept_goes_back_at_the_end() -> None:
    with kept():
        torch.ones(FLOATS)
        during = resident()
    assert during - resident() > 48 * 2**20


def test_one_within_another_ends_with_the_outer_one() -> None:
    usual = faults(10)
    with kept():
        with kept():
            torch.ones(FLOATS)
        assert faults(10) < usual / 3
    assert faults(10) > usual / 2


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


def test_an_error_ends_it_too() -> None:
    with pytest.raises(ZeroDivisionError), kept():
        raise ZeroDivisionError
    before = resident()
    torch.ones(FLOATS)
    assert resident() - before < 16 * 2**20


@pytest.mark.parametrize("name", memory.SAID)
def test_the_users_own_rules_are_left_alone(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "65536")
    assert memory._glibc.__wrapped__() is None
