"""Compiled functions are kept on the disk where that may be written."""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import Any

import numba
import numpy as np
import pytest
from numba.core import caching

from decet.nn.compiled import kept, widely

KIND = numba.types.void(numba.types.CPointer(numba.types.int64))


def seven(address: Any) -> None:
    address[0] = 7


def called(compiled: Any) -> int:
    given = np.zeros(1, np.int64)
    ctypes.CFUNCTYPE(None, ctypes.c_void_p)(compiled.address)(given.ctypes.data)
    return int(given[0])


def test_what_is_compiled_is_kept_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))
    assert called(kept(seven)) == 7
    assert list(tmp_path.rglob("*seven*.nbc"))
    again = kept(seven)
    assert called(again) == 7
    assert again.cache_hits == 1


def test_it_works_where_no_folder_may_be_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(caching.CompileResultCacheImpl, "_locator_classes", [])
    with pytest.raises(RuntimeError, match="no locator available"):
        numba.cfunc(KIND, cache=True)(seven)
    assert called(kept(seven)) == 7


def summing(address: Any) -> None:
    widely()
    for place in range(4_096):
        address[place] = address[place] + address[place + 4_096]


def test_loops_may_ask_for_the_widest_registers() -> None:
    assert '"prefer-vector-width"="512"' in numba.cfunc(KIND)(summing).inspect_llvm()
    assert "prefer-vector-width" not in numba.cfunc(KIND)(seven).inspect_llvm()
