"""Tensors with a shape of their own, and the means over what they hold. `decet.contracts` passes them on."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

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

    @cached_property
    def turned(self) -> Rows:
        """Entries by their columns, found once: worth it where the same rows are multiplied again and again."""
        sizes = self.offsets.diff()
        rows = torch.repeat_interleave(torch.arange(len(sizes), device=sizes.device), sizes)
        return _rows(self.columns, rows, self.width)

    def with_values(self, values: Tensor) -> Sparse:
        """Other values in the same places."""
        found = Sparse(self.offsets, self.columns, values, self.width)
        found.__dict__["turned"] = self.turned
        return found

    def product(self, weight: Tensor) -> Tensor:
        """As `times`, of rows that come again and again: their columns are kept for the gradient of the weight."""
        found: Tensor = _Product.apply(weight.float(), self)
        return found

    def to(self, device: torch.device | str) -> Sparse:
        """The same rows on a device."""
        return Sparse(self.offsets.to(device), self.columns.to(device), self.values.to(device), self.width)

    def dense(self) -> Tensor:
        """All of it (B, F)."""
        found = self.values.new_zeros(len(self), self.width)
        owner = torch.repeat_interleave(torch.arange(len(self), device=found.device), self.offsets.diff())
        return found.index_put((owner, self.columns), self.values, accumulate=True)

    def parts(self) -> dict[str, Tensor]:
        """Its tensors by name."""
        return {"offsets": self.offsets, "columns": self.columns, "values": self.values}

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
class Web:
    """A whole graph: its nodes (N, F) or `Sparse`, and its edges. Who asks for some of the nodes reads all of it."""

    nodes: Tensor | Sparse
    edges: Edges

    def to(self, device: torch.device | str) -> Web:
        """The same graph on a device."""
        return Web(self.nodes.to(device), self.edges.to(device))

    def parts(self) -> dict[str, Tensor]:
        """Its tensors by name."""
        nodes = self.nodes.parts() if isinstance(self.nodes, Sparse) else {"": self.nodes}
        edges = {name: getattr(self.edges, name) for name in ("index", "weight", "kind", "features")}
        told = {f"nodes.{name}".removesuffix("."): tensor for name, tensor in nodes.items()}
        return told | {f"edges.{name}": tensor for name, tensor in edges.items() if tensor is not None}


class Rows(NamedTuple):
    """Edges by one of their ends: those of node i stand from offsets[i] to offsets[i + 1]."""

    offsets: Tensor  # (N + 1,)
    others: Tensor  # (E,) the nodes at their other ends
    edge: Tensor  # (E,) which edges they are


@dataclass
class Edges:
    """Edges of N nodes: index (2, E) from, to; optional weight (E,), kind (E,), features (E, F).

    What follows from them is made once and kept.
    """

    index: Tensor
    count: int
    weight: Tensor | None = None
    kind: Tensor | None = None
    features: Tensor | None = None

    @cached_property
    def arriving(self) -> Rows:
        """Edges by the node that they lead to."""
        return _rows(self.index[1], self.index[0], self.count)

    @cached_property
    def leaving(self) -> Rows:
        """Edges by the node that they come from."""
        return _rows(self.index[0], self.index[1], self.count)

    @cached_property
    def reversed(self) -> Edges:
        """The same edges, walked the other way."""
        return Edges(self.index.flip(0), self.count, self.weight, self.kind, self.features)

    @cached_property
    def looped(self) -> Edges:
        """These edges, then one from each node to itself: weight 1, features 0."""
        index = torch.cat([self.index, torch.arange(self.count, device=self.index.device).expand(2, -1)], 1)
        weight = None if self.weight is None else torch.cat([self.weight, self.weight.new_ones(self.count)])
        extra = self.features
        features = None if extra is None else torch.cat([extra, extra.new_zeros(self.count, extra.shape[1])])
        return Edges(index, self.count, weight, None, features)

    @cached_property
    def normal(self) -> Tensor:
        """D^-1/2 A D^-1/2 (E,): each edge by the roots of what leaves its begin and arrives at its end.

        Of `looped` edges these are the values of Kipf and Welling's matrix (1609.02907).
        """
        weight = self.strength
        out, into = (weight.new_zeros(self.count).index_add(0, ends, weight).rsqrt() for ends in self.index)
        return out[self.index[0]] * weight * into[self.index[1]]

    @cached_property
    def means(self) -> Tensor:
        """What each edge counts where the neighbours of a node are averaged (E,)."""
        weight = self.strength
        total = weight.new_zeros(self.count).index_add(0, self.index[1], weight)
        return weight / total[self.index[1]]

    @cached_property
    def kinds(self) -> Tensor:
        """The kind of each edge (E,), 0 where there is one only."""
        return torch.zeros_like(self.index[0]) if self.kind is None else self.kind

    @cached_property
    def kind_means(self) -> Tensor:
        """What each edge counts where the neighbours of a node are averaged, those of each kind apart (E,)."""
        group = torch.stack([self.index[1], self.kinds])
        _, place, sizes = torch.unique(group, dim=1, return_inverse=True, return_counts=True)
        return 1.0 / sizes[place]

    @property
    def strength(self) -> Tensor:
        """The weights, 1 where there are none (E,)."""
        return torch.ones(self.index.shape[1], device=self.index.device) if self.weight is None else self.weight

    def gather(self, nodes: Tensor, values: Tensor) -> Tensor:
        """The sum of what reaches each node: of nodes (N, D) times values (E,), or of heads (N, H, D) and (E, H).

        In float32: no bfloat16 product of sparse matrices exists. Gradients flow to nodes and values.
        """
        if nodes.dim() == 2:
            found: Tensor = _Gather.apply(nodes.float(), values.float(), self)
            return found
        heads = [_Gather.apply(nodes[:, h].float(), values[:, h].float(), self) for h in range(nodes.shape[1])]
        return torch.stack(heads, 1)

    def softmax(self, scores: Tensor) -> Tensor:
        """Scores (E, ...) as shares that sum to 1 over the edges that reach a node."""
        ends = self.index[1]
        shape = (self.count, *scores.shape[1:])
        scores = scores.float()
        where = ends.view(-1, *[1] * (scores.dim() - 1)).expand_as(scores)
        most = scores.new_full(shape, -torch.inf).scatter_reduce(0, where, scores.detach(), "amax")
        powers = (scores - most.index_select(0, ends)).exp()
        total = powers.new_zeros(shape).index_add(0, ends, powers)
        return powers / total.index_select(0, ends)

    def to(self, device: torch.device | str) -> Edges:
        """The same edges on a device."""
        parts = (None if part is None else part.to(device) for part in (self.weight, self.kind, self.features))
        return Edges(self.index.to(device), self.count, *parts)


def _rows(ends: Tensor, others: Tensor, count: int) -> Rows:
    edge = torch.argsort(ends, stable=True)
    offsets = torch.zeros(count + 1, dtype=torch.int64, device=ends.device)
    offsets[1:] = torch.bincount(ends, minlength=count).cumsum(0)
    return Rows(offsets, others[edge], edge)


class _Gather(torch.autograd.Function):
    """nodes (N, D), values (E,) -> sums over the edges that reach a node (N, D)."""

    @staticmethod
    def forward(ctx: Any, nodes: Tensor, values: Tensor, edges: Edges) -> Tensor:
        ctx.save_for_backward(nodes if ctx.needs_input_grad[1] else nodes.new_empty(0), values)
        ctx.edges = edges
        return _times(edges.arriving, values, nodes)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        nodes, values = ctx.saved_tensors
        edges: Edges = ctx.edges
        dnodes = _times(edges.leaving, values, grad.contiguous()) if ctx.needs_input_grad[0] else None
        dvalues = None
        if ctx.needs_input_grad[1]:
            dvalues = (nodes.index_select(0, edges.index[0]) * grad.index_select(0, edges.index[1])).sum(1)
        return dnodes, dvalues, None


class _Product(torch.autograd.Function):
    """weight (F, D) -> sparse rows (B, F) times it."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor, rows: Sparse) -> Tensor:
        ctx.rows = rows
        return _multiplied(rows.offsets, rows.columns, rows.values, weight)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        return _times(ctx.rows.turned, ctx.rows.values, grad.contiguous()), None


def _times(rows: Rows, values: Tensor, nodes: Tensor) -> Tensor:
    """The sparse matrix of these values, in the order of the edges, times nodes (N, D)."""
    return _multiplied(rows.offsets, rows.others, values.index_select(0, rows.edge), nodes)


def _multiplied(offsets: Tensor, columns: Tensor, values: Tensor, dense: Tensor) -> Tensor:
    """A CSR matrix times a dense one."""
    _quieten()
    size = (len(offsets) - 1, len(dense))
    with torch.autocast(dense.device.type, enabled=False):  # on the way back, too
        return torch.sparse_csr_tensor(offsets, columns, values, size, check_invariants=False) @ dense


@cache
def _quieten() -> None:
    """torch calls CSR matrices "beta", once a process: let it do so now, unheard."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        none = torch.zeros(1, dtype=torch.int64)
        torch.sparse_csr_tensor(none, none[:0], torch.zeros(0), (0, 0), check_invariants=False)


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
