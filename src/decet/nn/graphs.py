"""Graph convolutions: what a node becomes by itself and by those whose edges reach it.

Each takes nodes x (N, D), `Edges` and the first layer's nodes (which two of them look back to) and gives (N, D'):

    GCN       D^-1/2 (A + I) D^-1/2 x W                                    Kipf & Welling, 1609.02907
    SAGE      x V + mean of neighbours W                                   Hamilton et al., 1706.02216
    GAT       sum of a_ij x_j W over neighbours and itself, H heads        Velickovic et al., 1710.10903
              a_ij = softmax_j LeakyReLU(u . x_i W + v . x_j W); or dynamic (GATv2): u . LeakyReLU(x_i V + x_j W)
              (Brody et al., 2105.14491)
    GIN       MLP((1 + e) x + sum of ReLU(x_j + edge features))            Xu et al., 1810.00826; edges: 1905.12265
    GCN2      (1 - b) h + b h W,  h = (1 - a) P x + a x_0,  b = log(decay / layer + 1)     Chen et al., 2007.02133
    RGCN      x V + sum over kinds of edges of mean of neighbours W_r, W_r out of a basis   Schlichtkrull, 1703.06103
    CompGCN   x V + sum of (x_j * z_r) W, forth and back, each kind z_r a vector            Vashishth, 1911.03082
    Blurred   mean of x, P x, ... P^k x, some nodes silent, its features dropped, W         GRAND: Feng, 2005.11079

`MessagePassing` is for layers of one's own (Gilmer et al., 1704.01212): what is said on an edge, and what a node makes
of the sum of what it hears.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from decet.errors import Unsupported
from decet.nn.dropout import Dropout
from decet.tensors import Edges, Sparse

SLOPE = 0.2  # of the leaky rectifier of attention
DECAYED = 20.0  # times as fast as other weights do those of GCN2 decay, as in its paper (0.01 and 0.0005)
MOST = 1 << 27  # numbers of what spreads in GRAND that are kept: half a gigabyte
BASIS = 8  # matrices of which those of all kinds of edges are made up, at most


class Project(nn.Module):
    """x W + b of nodes that are dense (N, F) or `Sparse`: the latter never become dense."""

    def __init__(self, inputs: int, outputs: int, bias: bool = True):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(inputs, outputs))
        nn.init.xavier_uniform_(self.weight)
        self.bias = nn.Parameter(torch.zeros(outputs)) if bias else None

    def forward(self, x: Tensor | Sparse) -> Tensor:
        product = x.product(self.weight) if isinstance(x, Sparse) else x @ self.weight
        return product if self.bias is None else product + self.bias


class SparseDropout(nn.Module):
    """Dropout of nodes that are dense or `Sparse`: of the latter the entries are dropped that are there."""

    def __init__(self, share: float):
        super().__init__()
        self.dropout = Dropout(share)

    def forward(self, x: Tensor | Sparse) -> Tensor | Sparse:
        if isinstance(x, Sparse):
            return x if not self.training else x.with_values(self.dropout(x.values))
        return self.dropout(x)


class GCN(nn.Module):
    """Kipf and Welling's. weighted: False leaves W out, for whoever multiplies by one next."""

    def __init__(self, inputs: int, outputs: int, edge_features: int = 0, weighted: bool = True):
        super().__init__()
        self.project = Project(inputs, outputs, bias=False) if weighted else None
        self.bias = nn.Parameter(torch.zeros(outputs)) if weighted else None

    def forward(self, x: Tensor | Sparse, edges: Edges, first: Tensor) -> Tensor:
        looped = edges.looped
        nodes = cast(Tensor, x) if self.project is None else self.project(x)  # without W never the first layer
        found = looped.gather(nodes, looped.normal)
        return found if self.bias is None else found + self.bias


class SAGE(nn.Module):
    """The mean over neighbours beside the node itself. weighted: False gives both, for whoever multiplies next."""

    def __init__(self, inputs: int, outputs: int, edge_features: int = 0, weighted: bool = True):
        super().__init__()
        self.own = Project(inputs, outputs) if weighted else None
        self.others = Project(inputs, outputs, bias=False) if weighted else None

    def forward(self, x: Tensor | Sparse, edges: Edges, first: Tensor) -> Tensor:
        if self.own is None or self.others is None:
            nodes = cast(Tensor, x)  # never the first layer
            return torch.cat([nodes, edges.gather(nodes, edges.means)], 1)
        return self.own(x) + edges.gather(self.others(x), edges.means)


class GAT(nn.Module):
    """Attention over neighbours and the node itself; heads stand side by side. dynamic: GATv2."""

    def __init__(
        self, inputs: int, outputs: int, edge_features: int = 0, heads: int = 8, dropout: float = 0.0,
        dynamic: bool = False,
    ):  # fmt: skip
        super().__init__()
        if outputs % heads:
            raise Unsupported(f"width must be a multiple of heads. Received: width {outputs}, heads {heads}.")
        self.heads, self.dynamic, self.dropout = heads, dynamic, Dropout(dropout)
        self.project = Project(inputs, outputs, bias=False)
        self.asking = Project(inputs, outputs, bias=False) if dynamic else None
        self.edge = nn.Linear(edge_features, outputs, bias=False) if edge_features else None
        self.u = nn.Parameter(_glorot(heads, outputs // heads))
        self.v = None if dynamic else nn.Parameter(_glorot(heads, outputs // heads))
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, x: Tensor | Sparse, edges: Edges, first: Tensor) -> Tensor:
        looped = edges.looped
        told = self.project(x).unflatten(1, (self.heads, -1))  # (N, H, D)
        shares = self.dropout(looped.softmax(self._scores(x, told, looped)))
        return looped.gather(told, shares).flatten(1) + self.bias

    def _scores(self, x: Tensor | Sparse, told: Tensor, edges: Edges) -> Tensor:
        """How much each edge matters, by head (E, H)."""
        begin, end = edges.index
        extra = None
        if self.edge is not None and edges.features is not None:
            extra = self.edge(edges.features).unflatten(1, (self.heads, -1))
        if self.asking is not None:
            asked = self.asking(x).unflatten(1, (self.heads, -1))
            both = asked.index_select(0, end) + told.index_select(0, begin)
            both = both if extra is None else both + extra
            return (F.leaky_relu(both, SLOPE) * self.u).sum(2)
        v = cast(Tensor, self.v)
        into, out = (told * self.u).sum(2), (told * v).sum(2)  # (N, H)
        scores = into.index_select(0, end) + out.index_select(0, begin)
        scores = scores if extra is None else scores + (extra * v).sum(2)
        return F.leaky_relu(scores, SLOPE)


class GIN(nn.Module):
    """As strong as the test of Weisfeiler and Leman: a sum, then two layers."""

    def __init__(self, inputs: int, outputs: int, edge_features: int = 0):
        super().__init__()
        self.epsilon = nn.Parameter(torch.zeros(()))
        self.edge = nn.Linear(edge_features, inputs) if edge_features else None
        self.inner, self.outer = Project(inputs, outputs), Project(outputs, outputs)

    def forward(self, x: Tensor | Sparse, edges: Edges, first: Tensor) -> Tensor:
        if isinstance(x, Sparse) or (self.edge is None):
            own = x.product(self.inner.weight) if isinstance(x, Sparse) else x @ self.inner.weight
            total = (1 + self.epsilon) * own + edges.gather(own, edges.strength)  # the sum and W commute
            hidden = total if self.inner.bias is None else total + self.inner.bias
        else:
            heard = F.relu(x.index_select(0, edges.index[0]) + self.edge(edges.features))
            total = x.new_zeros(x.shape).index_add(0, edges.index[1], heard.to(x.dtype))
            hidden = self.inner((1 + self.epsilon) * x + total)
        return self.outer(F.relu(hidden))


class GCN2(nn.Module):
    """A deep layer that remembers the first one. layer: which it is, from 1."""

    def __init__(self, width: int, layer: int, teleport: float, decay: float):
        super().__init__()
        self.project = Project(width, width, bias=False)
        self.project.weight.decay_times = DECAYED  # type: ignore[attr-defined]
        self.teleport, self.share = teleport, math.log(decay / layer + 1)

    def forward(self, x: Tensor, edges: Edges, first: Tensor) -> Tensor:
        looped = edges.looped
        mixed = torch.lerp(looped.gather(x, looped.normal), first.float(), self.teleport)
        return torch.lerp(mixed, self.project(mixed).float(), self.share)


class RGCN(nn.Module):
    """A matrix for each kind of edges, each a mixture of a few."""

    def __init__(self, inputs: int, outputs: int, kinds: int):
        super().__init__()
        self.basis = nn.Parameter(torch.stack([_glorot(inputs, outputs) for _ in range(min(BASIS, kinds))]))
        self.mixture = nn.Parameter(torch.randn(kinds, len(self.basis)) / math.sqrt(len(self.basis)))
        self.own = Project(inputs, outputs)

    def forward(self, x: Tensor | Sparse, edges: Edges, first: Tensor) -> Tensor:
        found, values = self.own(x), edges.kind_means
        for basis, shares in zip(self.basis, self.mixture.t(), strict=True):
            told = x.product(basis) if isinstance(x, Sparse) else x @ basis
            found = found + edges.gather(told, values * shares.index_select(0, edges.kinds))
        return found


class CompGCN(nn.Module):
    """Neighbours times a vector of the edge's kind, with a matrix forth and another back."""

    def __init__(self, inputs: int, outputs: int, kinds: int):
        super().__init__()
        self.start = Project(inputs, outputs, bias=False)  # so that kinds and nodes are of one width
        self.kinds = nn.Parameter(torch.ones(2, kinds, outputs) + 0.1 * torch.randn(2, kinds, outputs))
        self.own = Project(outputs, outputs)
        self.ways = nn.ModuleList(Project(outputs, outputs, bias=False) for _ in range(2))

    def forward(self, x: Tensor | Sparse, edges: Edges, first: Tensor) -> Tensor:
        nodes = self.start(x)
        found = self.own(nodes)
        for way, vectors, ends in zip(self.ways, self.kinds, (edges, edges.reversed), strict=True):
            told = nodes.index_select(0, ends.index[0]) * vectors.index_select(0, ends.kinds)
            heard = told.float() * ends.kind_means.unsqueeze(1)
            found = found + way(heard.new_zeros(nodes.shape).index_add(0, ends.index[1], heard))
        return found


class Blurred(nn.Module):
    """GRAND's random propagation and the matrix behind it. silent: share of nodes that say nothing while training.

    The paper drops elements of what was spread, which is as wide as the features. Here the product comes first, which
    is narrow, and dropout of share p adds the noise that its sum tends to (fast dropout; Wang & Manning, ICML 2013):

        y = blur(m * x W) + b + e * sqrt(p / (1 - p) * blur(x)^2 W^2),   e ~ N(0, 1)

    Squares of more than `MOST` numbers are not kept: the entries of x are dropped then, before they spread.
    """

    def __init__(self, inputs: int, outputs: int, hops: int, silent: float = 0.0, dropout: float = 0.0):
        super().__init__()
        self.project = Project(inputs, outputs, bias=False)
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.hops, self.silent, self.share, self.dropout = hops, silent, dropout, SparseDropout(dropout)

    def forward(self, x: Tensor | Sparse, edges: Edges, first: Tensor) -> Tensor:
        noisy = self.training and self.share > 0
        large = len(x) * len(self.project.weight) > MOST
        told = self.project(self.dropout(x) if noisy and large else x)
        if self.training and self.silent:
            told = told * (torch.rand(len(told), 1, device=told.device) >= self.silent) / (1 - self.silent)
        found = blurred(told, edges, self.hops) + self.bias
        if not noisy or large:
            return found
        variance = self.share / (1 - self.share) * (_squares(x, edges, self.hops) @ self.project.weight.square())
        return found + (variance.float() + 1e-12).sqrt() * torch.randn_like(found)


def _squares(x: Tensor | Sparse, edges: Edges, hops: int) -> Tensor:
    """What spreads of x, squared (N, F); of the same nodes and edges found once."""
    kept = edges.__dict__.setdefault("blurred", {})
    if kept.get("of") is not x or kept["hops"] != hops:
        with torch.no_grad():
            whole = x.dense() if isinstance(x, Sparse) else x
            kept.update(of=x, hops=hops, squares=blurred(whole, edges, hops).square())
    found: Tensor = kept["squares"]
    return found


class MessagePassing(nn.Module):
    """A layer of one's own: say `message`, and where a sum is not all, `update`. Made as Layer(inputs, outputs, G).

        class Gated(MessagePassing):
            def __init__(self, inputs, outputs, edge_features):
                super().__init__()
                self.gate, self.value = nn.Linear(2 * inputs, outputs), nn.Linear(inputs, outputs)

            def message(self, source, target, features):
                return torch.sigmoid(self.gate(torch.cat([source, target], 1))) * self.value(source)

    sums: "sum", "mean" or "max" of what is heard.
    """

    sums = "sum"

    def message(self, source: Tensor, target: Tensor, features: Tensor | None) -> Tensor:
        """What is said on edges: their begins (E, D), ends (E, D) and features (E, G) -> (E, D')."""
        raise Unsupported(f"{type(self).__name__} says nothing on its edges: write its method message.")

    def update(self, nodes: Tensor, heard: Tensor) -> Tensor:
        """What nodes (N, D) become by what they heard (N, D')."""
        return heard

    def forward(self, x: Tensor | Sparse, edges: Edges, first: Tensor) -> Tensor:
        if isinstance(x, Sparse):
            raise Unsupported(f"{type(self).__name__} reads dense nodes. Multiply them by a matrix first.")
        begin, end = edges.index
        told = self.message(x.index_select(0, begin), x.index_select(0, end), edges.features)
        heard = told.new_zeros(edges.count, told.shape[1])
        if self.sums == "max":
            where = end.unsqueeze(1).expand_as(told)
            heard = heard.scatter_reduce(0, where, told, "amax", include_self=False)
        else:
            heard = heard.index_add(0, end, told)
        if self.sums == "mean":
            heard = heard / torch.bincount(end, minlength=edges.count).clamp(min=1).unsqueeze(1)
        return self.update(x, heard)


class BothWays(nn.Module):
    """A layer for each direction of directed edges, their mean (Rossi et al., 2305.10498)."""

    def __init__(self, make: Callable[[], nn.Module]):
        super().__init__()
        self.forth, self.back = make(), make()

    def forward(self, x: Tensor | Sparse, edges: Edges, first: Tensor) -> Tensor:
        found: Tensor = (self.forth(x, edges, first) + self.back(x, edges.reversed, first)) / 2
        return found


def spread(x: Tensor, edges: Edges, hops: int, teleport: float) -> Tensor:
    """x_k+1 = (1 - a) P x_k + a x: nodes so far away count so much less (APPNP; Gasteiger et al., 1810.05997)."""
    looped, found = edges.looped, x.float()
    for _ in range(hops):
        found = torch.lerp(looped.gather(found, looped.normal), x.float(), teleport)
    return found


def blurred(x: Tensor, edges: Edges, hops: int) -> Tensor:
    """The mean of x, P x, ... P^hops x (GRAND; Feng et al., 2005.11079)."""
    looped, step = edges.looped, x.float()
    total = step
    for _ in range(hops):
        step = looped.gather(step, looped.normal)
        total = total + step
    return total / (hops + 1)


def thinned(edges: Edges, share: float) -> Edges:
    """A share of the edges left out, drawn anew (DropEdge; Rong et al., 1907.10903)."""
    kept = (torch.rand(edges.index.shape[1], device=edges.index.device) >= share).nonzero().flatten()
    parts = (None if part is None else part[kept] for part in (edges.weight, edges.kind, edges.features))
    return Edges(edges.index[:, kept], edges.count, *parts)


def _glorot(rows: int, columns: int) -> Tensor:
    return nn.init.xavier_uniform_(torch.empty(rows, columns))
