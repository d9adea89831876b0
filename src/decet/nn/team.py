"""Compiled work on torch's own threads, each with its share: a second pool of threads would only be in their way.

And which tensors such work may take: it reads and writes memory by its address.
"""

from __future__ import annotations

import ctypes
import functools
import importlib.util
import threading
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn


def readable(*tensors: Tensor) -> bool:
    """Whether these are plain tensors in the processor's memory, with no compiler, tracer or torch.func at work."""
    return (
        all(type(x) in (Tensor, nn.Parameter) and x.device.type == "cpu" for x in tensors)
        and not torch.compiler.is_compiling()
        and not torch.jit.is_tracing()  # type: ignore[attr-defined]
        and not torch._C._are_functorch_transforms_active()
    )


def run(work: int, workers: int, job: Sequence[int]) -> None:
    """Call the C function void(*numbers) at an address until every worker's share is done.

    Before the job's own numbers stand four: where to ask which thread a call is on, and of how many, or 0 twice; then
    which worker the call is, if it cannot ask; and how many workers there are.
    """
    team = _team()
    if team is not None and workers > 1:
        start, thread, threads = team
        numbers = np.array((thread, threads, 0, workers, *job), np.int64)
        start(work, numbers.ctypes.data, workers, 0)
        return
    jobs = [np.array((0, 0, worker, workers, *job), np.int64) for worker in range(workers)]
    call = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(work)
    others = [threading.Thread(target=call, args=(one.ctypes.data,)) for one in jobs[1:]]
    try:
        for one in others:
            one.start()
        call(jobs[0].ctypes.data)
    finally:  # whatever happens: what they write to must outlive them
        for one in others:
            while one.is_alive():
                one.join()


def barrier() -> int:
    """Where the function void(void) is that waits for all of the team's threads; 0 = the team has none."""
    if _team() is None:
        return 0
    try:
        found = ctypes.CDLL(torch._C.__file__).GOMP_barrier
    except AttributeError:
        return 0
    return ctypes.cast(found, ctypes.c_void_p).value or 0


@functools.cache
def compiles() -> bool:
    """Whether kernels can be made here: numba is there and can be imported."""
    return importlib.util.find_spec("numba") is not None


@functools.cache
def _team() -> Any:
    """The OpenMP that torch runs on, looked up among what torch has loaded; None = it has no such interface."""
    try:
        found = ctypes.CDLL(torch._C.__file__)
        start, number, size = found.GOMP_parallel, found.omp_get_thread_num, found.omp_get_num_threads
    except (OSError, AttributeError):
        return None
    start.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint, ctypes.c_uint]
    return start, *(ctypes.cast(f, ctypes.c_void_p).value for f in (number, size))
