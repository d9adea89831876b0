"""An average of the weights, which predicts instead of the last step's (Polyak & Juditsky, 1992).

Moving, or of the last part of training with equal shares (Izmailov et al., 1803.05407). The means that batch norms
keep belong to other weights than the average's, so after equal averaging they are estimated anew (`reestimate`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from decet.contracts import Batch, Learner


class Average:
    """Keeps `decay * average + (1 - decay) * weights` of a module's floating parameters and buffers.

    Early on the decay is smaller, (1 + t) / (10 + t), so that the random start is forgotten. decay None: all weights
    since the first update count equally.
    """

    def __init__(self, module: nn.Module, decay: float | None):
        self.decay, self.updates = decay, 0
        both = [*module.parameters(), *module.buffers()]
        self.live: list[Tensor] = [t for t in both if t.is_floating_point()]
        self.tensors: list[Tensor] = [t.detach().clone() for t in self.live]

    @torch.no_grad()
    def update(self) -> None:
        count = self.updates
        decay = count / (count + 1) if self.decay is None else min(self.decay, (1 + count) / (10 + count))
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
        if not self.updates:  # nothing is averaged yet: the weights themselves predict
            return
        for live, mean in zip(self.live, self.tensors, strict=True):
            live.data, mean.data = mean.data, live.data

    def state(self) -> dict[str, object]:
        return {"updates": self.updates, "tensors": {str(i): t for i, t in enumerate(self.tensors)}}

    def restore(self, state: Mapping[str, object]) -> None:
        self.updates = int(state["updates"])  # type: ignore[call-overload]
        saved: Mapping[str, Tensor] = state["tensors"]  # type: ignore[assignment]
        for i, mean in enumerate(self.tensors):
            mean.copy_(saved[str(i)])


@torch.no_grad()
def reestimate(learner: Learner, batches: Iterable[Batch]) -> None:
    """Set the running means of all batch norms to those of these batches, each counting equally."""
    norms = [m for m in learner.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm) and m.track_running_stats]
    if not norms:
        return
    was, momenta = learner.training, [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # torch's word for a plain mean
    learner.train()
    for batch in batches:
        for phase in learner.phases():
            learner(batch, phase.name)
    learner.train(was)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
