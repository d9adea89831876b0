"""Freed memory is kept while training lasts, and goes back to the system afterwards."""

from __future__ import annotations

import resource
from collections.abc import Iterator

import pytest
import torch

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


@pytest.fixture
def glibc() -> Iterator[None]:
    if memory._glibc() is None:
        pytest.skip("another C library")
    with kept():
        yield


def test_a_tensor_of_the_size_of_the_last_needs_no_new_pages(glibc: None) -> None:
    torch.ones(FLOATS)
    assert faults(5) < 100  # by itself some hundreds, or 16,384 of 4 KB, each time


def test_what_was_kept_goes_back_at_the_end() -> None:
    if memory._glibc() is None:
        pytest.skip("another C library")
    before = resident()
    with kept():
        torch.ones(FLOATS)
        during = resident()
    assert during - before > 48 * 2**20
    assert resident() - before < 16 * 2**20


def test_one_within_another_ends_with_the_outer_one(glibc: None) -> None:
    with kept():
        torch.ones(FLOATS)
    torch.ones(FLOATS)
    assert faults(5) < 100


def test_an_error_ends_it_too() -> None:
    with pytest.raises(ZeroDivisionError), kept():
        raise ZeroDivisionError
    before = resident()
    torch.ones(FLOATS)
    assert resident() - before < 16 * 2**20


def test_other_libraries_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "_glibc", lambda: None)
    with kept():
        assert float(torch.ones(3).sum()) == 3.0
