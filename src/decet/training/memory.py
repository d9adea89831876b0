"""Memory of large tensors, kept from step to step."""

from __future__ import annotations

import ctypes
import functools
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

TRIM_THRESHOLD, MMAP_THRESHOLD, MMAP_MAX = -1, -3, -4  # of mallopt(3)
KEPT = {TRIM_THRESHOLD: -1, MMAP_MAX: 0}
AFTER = {MMAP_MAX: 65536, MMAP_THRESHOLD: 32 << 20, TRIM_THRESHOLD: 64 << 20}  # what glibc itself comes to with tensors
SAID = ("GLIBC_TUNABLES", "MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "MALLOC_MMAP_MAX_")  # the user's rules

_LOCK = threading.Lock()
_inside = 0  # how many want it now: the rules are the whole process's


@contextmanager
def kept() -> Iterator[None]:
    """Let the C library keep what is freed for the next tensor of that size; the last on the way out gives all back.

    By itself glibc takes each tensor above 32 MB from the system and gives it back at once, so that every step pays
    for its pages again: a fifth to a third of a step of ResNet-9 at batch 256. Nothing changes with another C library,
    or where the environment sets malloc's rules.
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


def trim() -> None:
    """Give the system back what is free: of many small pieces, as of a text's words, glibc keeps the room."""
    library = _glibc()
    if library is not None and not _inside:
        library.malloc_trim(0)


def _enter(library: Any, step: int) -> None:
    """One more, or one less, that wants memory kept: the first changes the rules, the last changes them back."""
    global _inside
    with _LOCK:
        before, _inside = _inside, _inside + step
        if 0 in (before, _inside):
            for name, value in (KEPT if _inside else AFTER).items():
                library.mallopt(name, value)
        if not _inside:
            library.malloc_trim(0)


@functools.cache
def _glibc() -> Any:
    """The C library where it is glibc and nobody has set its rules, else None."""
    if any(name in os.environ for name in SAID):
        return None
    try:
        library = ctypes.CDLL(None)
        if not all(hasattr(library, name) for name in ("gnu_get_libc_version", "mallopt", "malloc_trim")):
            return None
    except (OSError, TypeError):
        return None
    library.malloc_trim.argtypes = [ctypes.c_size_t]
    return library
