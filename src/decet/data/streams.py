"""Batches of one long stream of tokens: windows in a new order each epoch, or lanes that are read on and on."""

from __future__ import annotations

import torch
from torch import Tensor

from decet.contracts import Batch, Clock, Source

EXAMPLE = 4_096  # tokens of an example, by which precision is measured


class Windows(Source):
    """Windows of `length` tokens and the one after, none of which overlap within an epoch.

    Where the first window begins is drawn anew each epoch, a function of the clock alone; what fills no whole step is
    left for the next.
    """

    def __init__(self, ids: Tensor, length: int, batch: int, device: torch.device | str = "cpu") -> None:
        self.ids, self.length, self.batch, self.device = ids, length, batch, device
        self.windows = max(1, (len(ids) - length) // length)  # whichever token an epoch begins at
        self.steps = max(1, self.windows // batch)
        self.epoch, self.starts = -1, torch.empty(0, dtype=torch.int64)

    def next(self, clock: Clock) -> Batch:
        epoch, place = divmod(clock.step, self.steps)
        if epoch != self.epoch:
            drawn = torch.Generator().manual_seed(clock.key("order", epoch))
            room = len(self.ids) - 1 - self.windows * self.length
            first = int(torch.randint(0, max(1, room + 1), (), generator=drawn))
            self.starts, self.epoch = first + self.length * torch.randperm(self.windows, generator=drawn), epoch
        return self._take(self.starts[place * self.batch : (place + 1) * self.batch])

    def example(self) -> Batch:
        rows = min(self.batch, self.windows, max(1, EXAMPLE // self.length))
        return self._take(torch.arange(rows) * self.length)

    def _take(self, starts: Tensor) -> Batch:
        places = starts.unsqueeze(1) + torch.arange(self.length + 1)
        return Batch((self.ids[places].to(self.device, torch.int64),))


class Lanes(Source):
    """The stream cut into `batch` lanes that are read side by side, `length` tokens a step: what a step leaves off at,
    the next goes on from. Where the stream is cut first is drawn anew each epoch."""

    def __init__(self, ids: Tensor, length: int, batch: int, device: torch.device | str = "cpu") -> None:
        self.ids, self.length, self.device = ids, length, device
        self.batch = max(1, min(batch, (len(ids) - 1) // 2))
        self.lane = (len(ids) - 1) // self.batch
        self.steps = max(1, -(-self.lane // length))

    def next(self, clock: Clock) -> Batch:
        epoch, place = divmod(clock.step, self.steps)
        return self._take(clock.key("order", epoch) % len(self.ids) if epoch else 0, place)

    def example(self) -> Batch:
        batch = self._take(0, 0)
        rows = slice(max(1, EXAMPLE // self.length))
        return Batch((batch.inputs[0][rows],), fresh=None if batch.fresh is None else batch.fresh[rows])

    def _take(self, first: int, place: int) -> Batch:
        begin, end = place * self.length, min((place + 1) * self.length, self.lane)
        lanes = torch.arange(self.batch).unsqueeze(1) * self.lane
        places = (first + lanes + torch.arange(begin, end + 1)) % len(self.ids)
        fresh = torch.full((self.batch,), place == 0, device=self.device)
        return Batch((self.ids[places].to(self.device, torch.int64),), fresh=fresh)
