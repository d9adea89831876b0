"""Compiled work is shared out: every worker's share is done once, whatever threads there are."""

from __future__ import annotations

import ctypes
import os
from typing import Any

import numpy as np
import pytest
import torch

from decet.nn import team

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


@pytest.mark.skipif(os.uname().sysname != "Linux", reason="torch brings its own OpenMP on Linux")
def test_torchs_team_is_told_where_to_ask_for_threads() -> None:
    found = team._team()
    assert found is not None
    _, thread, threads = found
    assert thread
    assert threads
    assert torch.get_num_threads() >= 1
