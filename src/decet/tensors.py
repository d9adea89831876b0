"""Tensors with a shape of their own, and the means over what they hold. `decet.contracts` passes them on."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor, nn

from decet.errors import Unsupported


@dataclass
class Ragged:
    """All items' rows end to end, and whose they are: values (R, ...), owner (R,) rising int64, count items."""

    values: Tensor
    owner: Tensor
    count: int


@dataclass
class Sparse:
    """Rows with few entries (CSR): offsets (B + 1,), columns (Z,), values (Z,), F columns in all."""

    offsets: Tensor
    columns: Tensor
    values: Tensor
    width: int

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def rows(self, index: Tensor) -> Sparse:
        start, size = self.offsets[index], self.offsets[index + 1] - self.offsets[index]
        offsets = torch.cat([size.new_zeros(1), size.cumsum(0)])
        where = torch.arange(int(offsets[-1]), device=index.device)
        where = where + torch.repeat_interleave(start - offsets[:-1], size)
        return Sparse(offsets, self.columns[where], self.values[where], self.width)

    def times(self, weight: Tensor) -> Tensor:
        """The product with a dense weight (F, D) -> (B, D); gradients flow to the weight."""
        return nn.functional.embedding_bag(
            self.columns,
            weight,
            self.offsets,
            mode="sum",
            per_sample_weights=self.values.to(weight.dtype),
            include_last_offset=True,
        )


@dataclass
class Edges:
    """Edges of N nodes: index (2, E) from, to; optional weight (E,), kind (E,), features (E, F)."""

    index: Tensor
    count: int
    weight: Tensor | None = None
    kind: Tensor | None = None
    features: Tensor | None = None

    @cached_property
    def normalised(self) -> Tensor:
        """D^-1/2 (A + I) D^-1/2 as a sparse CSR matrix (N, N), made once (Kipf & Welling, 1609.02907)."""
        loops = torch.arange(self.count, device=self.index.device)
        source, target = torch.cat([self.index[0], loops]), torch.cat([self.index[1], loops])
        weight = torch.ones(self.index.shape[1], device=source.device) if self.weight is None else self.weight
        weight = torch.cat([weight, weight.new_ones(self.count)])
        scale = weight.new_zeros(self.count).index_add(0, target, weight).rsqrt()
        values = scale[target] * weight * scale[source]
        with warnings.catch_warnings():  # torch calls every CSR matrix "beta"
            warnings.simplefilter("ignore", UserWarning)
            return torch.sparse_coo_tensor(torch.stack([target, source]), values, (self.count,) * 2).to_sparse_csr()

    def spread(self, nodes: Tensor) -> Tensor:
        """`normalised` times nodes (N, D), in float32: no bfloat16 product of sparse matrices exists."""
        with torch.autocast(nodes.device.type, enabled=False):
            return self.normalised @ nodes.float()


def mean_rows(values: Tensor | None, mask: Tensor | None, owner: Tensor | None, size: int) -> Tensor:
    """The mean row of each item: of its positions (B, P, D), those where mask (B, P) is True, or of what it owns."""
    if values is None:
        raise Unsupported("this body gives neither positions nor a summary, so there is nothing to pool.")
    if owner is not None:  # summed in float32: counting by ones in bfloat16 ends at 256
        total = values.new_zeros(size, values.shape[-1], dtype=torch.float32).index_add(0, owner, values.float())
        rows = total.new_zeros(size).index_add(0, owner, total.new_ones(len(values)))
        return (total / rows.clamp(min=1).unsqueeze(-1)).to(values.dtype)
    if mask is not None:
        real = mask.unsqueeze(-1).to(values.dtype)
        return (values * real).sum(1) / real.sum(1).clamp(min=1)
    return values.squeeze(1) if values.shape[1] == 1 else values.mean(1)
