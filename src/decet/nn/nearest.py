"""Which of many rows are nearest to a vector by their angle: exactly, and in less time than it takes to read them.

Each row, made of length 1, is kept beside in a byte a number: x as x' = step * whole numbers up to 127. For a vector v
of length 1,

    |x . v - x' . v|  <=  |x - x'|  <=  off

so that a row whose x' . v is more than 2 off below the count-th largest cannot be among the count nearest. To read all
x' takes a quarter of the time that all x take; the few rows that are left are asked themselves.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from decet.nn import team

CHUNK = 4_096  # numbers whose largest is looked at first
PAYS = 1 << 23  # numbers of all rows from which it is quicker
EARLY = 2  # questions before rows are rounded, which takes as long as several of them


class Nearest:
    """The rows (V, D) float32 that are asked, and scale (V,), what each is to be multiplied with to be of length 1."""

    def __init__(self, rows: Tensor, scale: Tensor) -> None:
        self.rows, self.scale, self.asked = rows, scale, 0
        self.rounded: Rounded | None = None

    def __call__(self, vector: Tensor, count: int) -> tuple[Tensor, Tensor]:
        """The places of the `count` rows nearest to a vector of length 1 (D,), nearest first, and their cosines."""
        self.asked += 1
        if self.rounded is None and self.asked > EARLY and self.rows.numel() >= PAYS and team.compiles():
            self.rounded = Rounded(self.rows, self.scale)
        places = None if self.rounded is None else self.rounded.possible(vector, count)
        if places is None or len(places) > len(self.rows) // 8:
            cosines = torch.mv(self.rows, vector).mul_(self.scale)
            best = largest(cosines, count)
            return best, cosines[best]
        cosines = torch.mv(self.rows[places], vector).mul_(self.scale[places])
        best = cosines.topk(min(count, len(cosines))).indices
        return places[best], cosines[best]


class Rounded:
    """Rows (V, D) in a byte a number: `wholes` (V, D) int8 times `steps` (V,), never more than `off` away."""

    def __init__(self, rows: Tensor, scale: Tensor) -> None:
        self.wholes = torch.from_numpy(np.empty(rows.shape, np.int8))  # numpy asks for large pages, which are quicker
        self.steps = torch.empty(len(rows))
        off = torch.zeros(torch.get_num_threads(), dtype=torch.float64)
        self._run(rows=rows.data_ptr(), scale=scale.data_ptr(), off=off.data_ptr())
        self.off = float(off.max()) + rows.shape[1] * 2.0**-22  # and what sums of float32 may be wrong by

    def possible(self, vector: Tensor, count: int) -> Tensor:
        """Places of all rows that can be among the `count` nearest to a vector of length 1 (D,), rising."""
        products = torch.empty(len(self.steps))
        self._run(vector=vector.data_ptr(), products=products.data_ptr())
        least = products[largest(products, count)[-1]]
        return (products >= least - 2 * self.off).nonzero().flatten()

    def _run(self, vector: int = 0, products: int = 0, rows: int = 0, scale: int = 0, off: int = 0) -> None:
        from decet.nn import nearest_kernels as kernels

        (size, width), kept = self.wholes.shape, (self.wholes.data_ptr(), self.steps.data_ptr())
        job = kernels.Job(size, width, *kept, vector, products, rows, scale, off)
        team.run(kernels.work().address, torch.get_num_threads(), job)


def largest(values: Tensor, count: int) -> Tensor:
    """Places of the `count` largest of values (n,), largest first.

    They lie in the `count` chunks whose own largest are largest, so that only these need sorting.
    """
    count = min(count, len(values))
    chunks = len(values) // CHUNK
    if count >= chunks:
        return values.topk(count).indices
    tops = values[: chunks * CHUNK].view(-1, CHUNK).amax(1)
    places = (tops.topk(count).indices.unsqueeze(1) * CHUNK + torch.arange(CHUNK)).flatten()
    places = torch.cat([places, torch.arange(chunks * CHUNK, len(values))])
    return places[values[places].topk(count).indices]
