"""Compiled work is shared out: every worker's share is done once, whatever threads there are."""

from __future__ import annotations

import ctypes
import sys
from typing import Any

import numpy as np
import pytest
import torch
from numba import carray

from decet.nn import team
from decet.nn.compiled import HEAD, at, kept, turns, wait

CALL = ctypes.CFUNCTYPE(None, ctypes.c_void_p)


def _adds(done: list[tuple[int, ...]], numbers: int) -> Any:
    """A function of C that notes what it is called with."""

    def note(address: int) -> None:
        done.append(tuple(np.ctypeslib.as_array((ctypes.c_int64 * numbers).from_address(address)).tolist()))

    return CALL(note)


@pytest.mark.parametrize("workers", [1, 3])
def test_without_torchs_team_each_worker_is_called_once(workers: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(team, "_team", lambda: None)
    done: list[tuple[int, ...]] = []
    note = _adds(done, 6)
    team.run(ctypes.cast(note, ctypes.c_void_p).value or 0, workers, (7, 8))
    assert sorted(done) == [(0, 0, worker, workers, 7, 8) for worker in range(workers)]


def _count(address: Any) -> None:
    job = carray(address, HEAD + 1, np.int64)
    first, workers, step = turns(job)
    done = carray(at(job[HEAD]), 8, np.int64)
    for worker in range(first, workers, step):
        done[worker] += 1


@pytest.mark.parametrize("workers", [1, 2, 3, 8])
def test_torchs_team_does_every_share_once(workers: int) -> None:
    done = np.zeros(8, np.int64)
    team.run(kept(_count).address, workers, (done.ctypes.data,))
    assert done.tolist() == [1] * workers + [0] * (8 - workers)
    assert team._team() is not None or sys.platform != "linux"


def _write_wait_read(address: Any) -> None:
    job = carray(address, HEAD + 4, np.int64)
    first, workers, step = turns(job)
    done, seen, rounds = carray(at(job[HEAD]), 8, np.int64), carray(at(job[HEAD + 1]), 8, np.int64), job[HEAD + 2]
    for turn in range(1, rounds + 1):
        for worker in range(first, workers, step):
            done[worker] = turn
        wait(job[HEAD + 3])
        for worker in range(first, workers, step):
            seen[worker] += done[:workers].min() == turn
        wait(job[HEAD + 3])


@pytest.mark.parametrize("workers", [2, 3])
def test_nobody_passes_the_barrier_before_all_have_come(workers: int) -> None:
    barrier, rounds = team.barrier(), 300
    assert barrier or sys.platform != "linux"
    if barrier:
        done, seen = np.zeros(8, np.int64), np.zeros(8, np.int64)
        team.run(kept(_write_wait_read).address, workers, (done.ctypes.data, seen.ctypes.data, rounds, barrier))
        assert seen.tolist() == [rounds] * workers + [0] * (8 - workers)


def test_without_torchs_team_there_is_no_barrier(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(team, "_team", lambda: None)
    assert team.barrier() == 0


@pytest.mark.parametrize("there", [True, False])
def test_kernels_are_made_where_numba_is(there: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(team.importlib.util, "find_spec", lambda name: name if there else None)
    try:
        team.compiles.cache_clear()
        assert team.compiles() is there
    finally:
        team.compiles.cache_clear()


@pytest.mark.parametrize(
    ("x", "wanted"),
    [
        pytest.param(torch.ones(2), True, id="a tensor"),
        pytest.param(torch.nn.Parameter(torch.ones(2)), True, id="a parameter"),
        pytest.param(torch.ones(2, device="meta"), False, id="elsewhere"),
        pytest.param(torch.ones(2).as_subclass(type("Own", (torch.Tensor,), {})), False, id="a kind of its own"),
    ],
)
def test_only_plain_tensors_of_the_processor_are_read_by_their_address(x: torch.Tensor, wanted: bool) -> None:
    assert team.readable(torch.ones(1), x) is wanted


def test_nothing_is_read_by_its_address_while_torch_func_or_a_tracer_looks_on() -> None:
    seen = []

    def look(x: torch.Tensor) -> torch.Tensor:
        seen.append(team.readable(torch.ones(1)))
        return x * 2

    torch.func.vmap(look)(torch.ones(3))
    torch.jit.trace(look, torch.ones(3), check_trace=False)
    assert seen == [False, False]
