"""Batches of what fits in memory: tensors, indexed, no worker processes and no loader state."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from decet.contracts import Batch, Clock, SeriesSpec, Source, TokenSpec
from decet.tensors import Sparse, Web

CHUNK = 4_096  # rows whose lengths are found together


class Resident(Source):
    """Rows of resident tensors in a new order each epoch, a function of the clock alone.

    inputs: tensors or `Sparse` with the rows first; rows: which of them train (None = all). An epoch of n rows is
    round(n / batch) batches whose sizes differ by at most one, so there is no tiny last batch. lengths (n,), of all
    rows: of every `bucket` batches the rows are sorted by them, so that rows of one batch are about as long, and the
    batches shuffled.
    """

    def __init__(
        self,
        inputs: tuple[Any, ...],
        target: Tensor,
        weight: Tensor | None = None,
        rows: Tensor | None = None,
        batch: int = 256,
        lengths: Tensor | None = None,
        bucket: int = 0,
    ):
        self.inputs, self.target, self.weight = inputs, target, weight
        self.rows = torch.arange(len(target)) if rows is None else rows.cpu()
        self.steps = max(1, round(len(self.rows) / batch))
        self.size = -(-len(self.rows) // self.steps)
        self.lengths, self.bucket = lengths if bucket > 1 else None, bucket
        self.epoch = -1
        self.parts: tuple[Tensor, ...] = ()

    def next(self, clock: Clock) -> Batch:
        epoch, place = divmod(clock.step, self.steps)
        if epoch != self.epoch:
            self.parts, self.epoch = self._shuffled(clock.key("order", epoch)), epoch
        return self._take(self.parts[place])

    def example(self) -> Batch:
        return self._take(self.rows[:: self.steps][: self.size].to(self.target.device))  # some of every class

    def _shuffled(self, seed: int) -> tuple[Tensor, ...]:
        drawn = torch.Generator().manual_seed(seed)
        rows = self.rows[torch.randperm(len(self.rows), generator=drawn)]
        if self.lengths is None:
            return rows.to(self.target.device).tensor_split(self.steps)
        parts, sorted_ = rows.tensor_split(self.steps), list[Tensor]()
        for begin in range(0, self.steps, self.bucket):
            own = parts[begin : begin + self.bucket]
            together = torch.cat(own)
            together = together[torch.argsort(self.lengths[together], stable=True)].to(self.target.device)
            sorted_ += together.split([len(part) for part in own])
        return tuple(sorted_[place] for place in torch.randperm(self.steps, generator=drawn).tolist())

    def _take(self, index: Tensor) -> Batch:
        weight = None if self.weight is None else self.weight.index_select(0, index)
        return Batch(taken(self.inputs, index), self.target.index_select(0, index), weight, rows=index)


def lengths_of(inputs: tuple[Any, ...], spec: Any) -> Tensor | None:
    """How long each row is (n,), of texts and series; None = all alike."""
    if isinstance(spec, TokenSpec):
        place = torch.arange(1, inputs[0].shape[1] + 1, dtype=torch.int32)
        return torch.cat([((part != spec.pad) * place).amax(1) for part in inputs[0].cpu().split(CHUNK)])
    if isinstance(spec, SeriesSpec):
        found: Tensor | None = inputs[1]
        return found
    return None


def taken(inputs: tuple[Any, ...], index: Tensor) -> tuple[Any, ...]:
    """The same rows of every input; a graph is read whole, whoever asks."""
    return tuple(_taken(x, index) for x in inputs)


def _taken(x: Any, index: Tensor) -> Any:
    if isinstance(x, Web):
        return x
    return x.rows(index) if isinstance(x, Sparse) else x.index_select(0, index)


def moved(inputs: tuple[Any, ...], device: torch.device | str) -> tuple[Any, ...]:
    """Every input on the device."""
    return tuple(x.to(device) for x in inputs)


def padded(inputs: tuple[Any, ...], size: int) -> tuple[Any, ...]:
    """Inputs brought to `size` rows by rows of zeros, so that an answer does not depend on how rows are batched."""
    return tuple(_padded(x, size) for x in inputs)


def _padded(x: Any, size: int) -> Any:
    if isinstance(x, Web):
        return x
    missing = size - len(x)
    if missing <= 0:
        return x
    if isinstance(x, Sparse):
        return Sparse(torch.cat([x.offsets, x.offsets[-1:].expand(missing)]), x.columns, x.values, x.width)
    return torch.cat([x, x.new_zeros(missing, *x.shape[1:])])
