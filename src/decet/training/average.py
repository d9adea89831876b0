"""A moving average of the weights, which predicts instead of the last step's (Polyak & Juditsky, 1992)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class Average:
    """Keeps `decay * average + (1 - decay) * weights` of a module's floating parameters and buffers.

    Early on the decay is smaller, (1 + t) / (10 + t), so that the random start is forgotten.
    """

    def __init__(self, module: nn.Module, decay: float):
        self.decay, self.updates = decay, 0
        both = [*module.parameters(), *module.buffers()]
        self.live: list[Tensor] = [t for t in both if t.is_floating_point()]
        self.tensors: list[Tensor] = [t.detach().clone() for t in self.live]

    @torch.no_grad()
    def update(self) -> None:
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        torch._foreach_lerp_(self.tensors, [t.detach() for t in self.live], 1.0 - decay)
        self.updates += 1

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Within the block the module holds the averaged weights."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    def _swap(self) -> None:
        for live, mean in zip(self.live, self.tensors, strict=True):
            live.data, mean.data = mean.data, live.data

    def state(self) -> dict[str, object]:
        return {"updates": self.updates, "tensors": {str(i): t for i, t in enumerate(self.tensors)}}

    def restore(self, state: Mapping[str, object]) -> None:
        self.updates = int(state["updates"])  # type: ignore[call-overload]
        saved: Mapping[str, Tensor] = state["tensors"]  # type: ignore[assignment]
        for i, mean in enumerate(self.tensors):
            mean.copy_(saved[str(i)])
