"""Memory of large tensors, kept from step to step."""

from __future__ import annotations

import ctypes
import functools
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

# of mallopt(3), and what glibc begins with
TRIM_THRESHOLD, MMAP_MAX = -1, -4
BEFORE = {TRIM_THRESHOLD: 128 * 1024, MMAP_MAX: 65536}
KEPT = {TRIM_THRESHOLD: 2**31 - 1, MMAP_MAX: 0}

_LOCK = threading.Lock()
_inside = 0  # how many want it now: the rules are the whole process's


@contextmanager
def kept() -> Iterator[None]:
    """Let the C library keep what is freed for the next tensor of that size; the last on the way out gives all back.

    By itself glibc takes each tensor above 32 MB from the system and gives it back at once, so that every step pays
    for its pages again: a fifth to a third of a step of ResNet-9 at batch 256. Elsewhere nothing changes.
    """
    library = _glibc()
    if library is None:
        yield
        return
    _enter(library, 1)
    try:
        yield
    finally:
        _enter(library, -1)


def _enter(library: Any, step: int) -> None:
    """One more, or one less, that wants memory kept: the first changes the rules, the last changes them back."""
    global _inside
    with _LOCK:
        before, _inside = _inside, _inside + step
        if 0 in (before, _inside):
            for name, value in (KEPT if _inside else BEFORE).items():
                library.mallopt(name, value)
        if not _inside:
            library.malloc_trim(0)


@functools.cache
def _glibc() -> Any:
    """The C library where it is glibc, else None."""
    try:
        library = ctypes.CDLL(None)
        if not all(hasattr(library, name) for name in ("gnu_get_libc_version", "mallopt", "malloc_trim")):
            return None
    except (OSError, TypeError):
        return None
    library.malloc_trim.argtypes = [ctypes.c_size_t]
    return library
