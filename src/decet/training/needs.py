"""What work will take of memory and time, by what a small part of it takes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

MOMENTS = 4  # tensors of a parameter's size: itself, its gradient, two moments


def kept_for_backward(run: Callable[[], Any]) -> int:
    """Bytes that a forward pass keeps for its way back."""
    seen: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        seen[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.enable_grad(), torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        kept = run()  # held until all is counted, lest an address be used twice
    del kept
    return sum(seen.values())


def weights_of(parameters: Iterable[Tensor]) -> int:
    """Bytes that parameters take while they are trained."""
    return MOMENTS * sum(p.numel() * p.element_size() for p in parameters)


def needed(run: Callable[[int], Any], parameters: Iterable[Tensor], times: float) -> int:
    """Bytes that training on so many times what `run(1)` works on takes, by what `run(1)` and `run(2)` keep."""
    one, two = (kept_for_backward(lambda rows=rows: run(rows)) for rows in (1, 2))  # type: ignore[misc]
    return weights_of(parameters) + one + int(max(0, two - one) * max(0.0, times - 1))


def seconds_of(work: Callable[[], Any]) -> float:
    """Seconds that some work takes; it is done twice, since the first time also warms up."""
    taken = []
    for _ in range(2):
        began = time.monotonic()
        work()
        taken.append(time.monotonic() - began)
    return min(taken)
