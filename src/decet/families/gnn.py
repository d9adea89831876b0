"""GNN: a graph neural network. What a node becomes is made of itself and of what its neighbours are, again and again.

    x_0 = features of the nodes
    x_l = dropout(act(norm(conv_l(x_{l-1}, edges))))          residual: x_l = x_{l-1} + ...
    features = x_L,  or all x_l side by side (jumping)

`conv` says which convolution; the formulas of all stand in `decet.nn.graphs`. Of "gcn" and "sage" the last layer has no
matrix of its own, since the head that follows is one: with a linear head these are the published networks. Two more
first turn features into numbers, then let these spread: "appnp" (far away less) and "grand" (a mean of all distances).

References: GCN 1609.02907, GraphSAGE 1706.02216, GAT 1710.10903, GATv2 2105.14491, GIN 1810.00826, GCNII 2007.02133,
R-GCN 1703.06103, CompGCN 1911.03082, APPNP 1810.05997, GRAND 2005.11079; jumping knowledge 1806.03536, DropEdge
1907.10903, both directions 2305.10498.

Differs from the papers:
1. GRAND's product with the first matrix comes before the spreading, so that what spreads is narrow; its dropout of what
   was spread is the noise that it tends to. The formula stands in `decet.nn.graphs.Blurred`.
2. The heads of attention stand side by side in the last layer, too; the head averages them as it likes.
3. GCNII's matrices decay twenty times as fast as the recipe says of the others, which is what its paper has on Cora.

Reads graphs. Good at: few labels among many nodes whose neighbours are alike, links, molecules. Weak at: nodes whose
neighbours are unlike them (say residual or jumping, or take DNN), very far neighbours.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from decet.contracts import Body, Features, GraphSpec
from decet.errors import BadInput, Unsupported, check_choice, check_range
from decet.nn.dropout import Dropout
from decet.nn.graphs import (
    GAT,
    GCN,
    GCN2,
    GIN,
    RGCN,
    SAGE,
    Blurred,
    BothWays,
    CompGCN,
    MessagePassing,
    Project,
    SparseDropout,
    spread,
    thinned,
)
from decet.nn.members import Ensemble
from decet.settings import check_whole, joined
from decet.tensors import Edges, Sparse

CONVS = ("gcn", "sage", "gat", "gatv2", "gin", "gcn2", "rgcn", "compgcn", "appnp", "grand")
SPREADING = ("appnp", "grand")  # that make all numbers first, and let them spread last
LAZY = ("gcn", "sage")  # whose last matrix is the head's
TYPED = ("rgcn", "compgcn")
NORMS = ("none", "batch", "layer", "length")
ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": F.relu, "elu": F.elu, "gelu": F.gelu, "tanh": torch.tanh, "none": lambda x: x,
}  # fmt: skip
JUMPS = ("none", "cat", "max")
DIRECTIONS = ("in", "out", "both")


@dataclass(frozen=True)
class GNN:
    """The graph neural network. None = not said: the cell of the map, then the fallback decides.

    conv: the convolution: "gcn", "sage", "gat", "gatv2", "gin", "gcn2", "rgcn", "compgcn", "appnp", "grand"; or a class
        of your own, a `decet.MessagePassing`.
    width: numbers a node has within.
    depth: convolutions, each of which reaches a step further (2); of "appnp" and "grand" layers that look at a node
        alone (1), before numbers spread or from then on.
    hops: steps that these two let them spread.
    heads: of attention.
    teleport: share of a node's own in "appnp" and "gcn2", 0 to 1.
    decay: of "gcn2": how fast deeper layers become the identity.
    activation: "relu", "elu", "gelu", "tanh" or "none". norm: "none", "batch", "layer", or "length": each node's made
        1.
    dropout: of numbers within. input_dropout: of features (None: as dropout). attention_dropout: of attention.
    edge_dropout: share of edges left out in each training step. node_dropout: share of nodes that are silent in one.
    residual: add each layer's input to its output. jumping: "none", "cat" (all layers side by side) or "max".
    direction: of directed edges: "in" (hear those that lead here), "out", or "both", each with weights of its own.
    """

    conv: Any = None
    width: int | None = None
    depth: int | None = None
    hops: int | None = None
    heads: int | None = None
    teleport: float | None = None
    decay: float | None = None
    activation: str | None = None
    norm: str | None = None
    dropout: float | None = None
    input_dropout: float | None = None
    attention_dropout: float | None = None
    edge_dropout: float | None = None
    node_dropout: float | None = None
    residual: bool | None = None
    jumping: str | None = None
    direction: str | None = None

    reads: ClassVar[tuple[type, ...]] = (GraphSpec,)

    def __post_init__(self) -> None:
        if isinstance(self.conv, type) and not issubclass(self.conv, MessagePassing):
            raise BadInput(f"conv must be a name, or a class of MessagePassing. Received: {self.conv.__name__}.")
        if not isinstance(self.conv, type):
            check_choice("conv", self.conv, CONVS)
        check_whole(self, ("width",), 1, 65536)
        check_whole(self, ("depth",), 1, 1000)
        check_whole(self, ("hops",), 0, 1000)
        check_whole(self, ("heads",), 1, 1024)
        for name in ("teleport", "dropout", "input_dropout", "attention_dropout", "edge_dropout", "node_dropout"):
            check_range(name, getattr(self, name), 0.0, 0.99)
        check_range("decay", self.decay, 1e-3, 10.0)
        check_choice("activation", self.activation, tuple(ACTIVATIONS))
        check_choice("norm", self.norm, NORMS)
        check_choice("residual", self.residual, (True, False))
        check_choice("jumping", self.jumping, JUMPS)
        check_choice("direction", self.direction, DIRECTIONS)

    def encoder(self, spec: GraphSpec, members: int = 1) -> Body:
        """The network for this spec; `pooled()` gives the numbers of each node asked (B, members, D)."""
        if not isinstance(spec, GraphSpec):
            raise Unsupported(f"GNN reads graphs. Received: {type(spec).__name__}.")
        settings = joined(self, FALLBACK)
        if settings.conv in TYPED and spec.relations < 2:
            raise Unsupported(f"conv {settings.conv!r} is for edges of several kinds, and this graph has one.")
        if settings.conv not in TYPED and spec.relations > 1:
            kinds = f"edges have {spec.relations} kinds, which conv {settings.conv!r} does not tell apart."
            raise Unsupported(f"{kinds} Say conv='rgcn' or 'compgcn', or leave the kinds out.")
        if members > 1:
            return Ensemble(lambda: _Network(settings, spec), members)
        return _Network(settings, spec)


FALLBACK = GNN(
    conv="gcn",
    width=64,
    hops=10,
    heads=8,
    teleport=0.1,
    decay=0.5,
    activation="relu",
    norm="none",
    dropout=0.5,
    attention_dropout=0.0,
    edge_dropout=0.0,
    node_dropout=0.0,
    residual=False,
    jumping="none",
    direction="in",
)


class _Network(Body):
    """inputs (nodes asked (B,), `Web` of all nodes and edges) -> summary (B, D).

    reach: how many steps away a node hears others; hears: those whose edges lead "in", or "out" to them, or "both".
    """

    def __init__(self, settings: GNN, spec: GraphSpec):
        super().__init__()
        self.settings, self.spec = settings, spec
        self.depth = settings.depth or (1 if settings.conv in SPREADING else 2)
        self.reach = (settings.hops or 0) if settings.conv in SPREADING else self.depth
        self.hears = "both" if settings.conv == "compgcn" else settings.direction if spec.directed else "in"
        width, depth, conv = settings.width or 1, self.depth, settings.conv
        self.wetness = (settings.dropout if settings.input_dropout is None else settings.input_dropout) or 0.0
        self.wet = nn.Identity() if conv == "grand" else SparseDropout(self.wetness)
        self.dropout = Dropout(settings.dropout or 0.0)
        dense = conv == "gcn2" or (isinstance(conv, type) and spec.sparse)  # a layer of one's own reads dense nodes
        self.start = Project(spec.features, width) if dense else None
        sizes = [width if self.start is not None else spec.features, *[width] * (depth - 1)]
        self.layers = nn.ModuleList(self._layer(size, width, number) for number, size in enumerate(sizes, 1))
        ends = [width] * depth
        if self._lazy:
            ends[-1] = width * (2 if conv == "sage" else 1)
        self.norms = nn.ModuleList(_norm(settings.norm, end) for end in ends)
        self.width = self.summary_width = sum(ends) if settings.jumping == "cat" else ends[-1]

    @property
    def _lazy(self) -> bool:
        """Whether the last matrix is left to the head."""
        s = self.settings
        apart = self.spec.directed and s.direction == "both"  # each direction has a matrix of its own
        plain = s.jumping == "none" and not s.residual and s.norm == "none"
        return s.conv in LAZY and plain and not apart and self.depth > 1

    def _layer(self, inputs: int, width: int, number: int) -> nn.Module:
        """The convolution of this number, from 1, in the directions asked for."""
        s, spec = self.settings, self.spec

        def make() -> nn.Module:
            extra = spec.edge_features
            match s.conv:
                case "gcn" | "sage":
                    kind = GCN if s.conv == "gcn" else SAGE
                    return kind(inputs, width, extra, weighted=not (self._lazy and number == self.depth))
                case "gat" | "gatv2":
                    return GAT(inputs, width, extra, s.heads or 1, s.attention_dropout or 0.0, s.conv == "gatv2")
                case "gin":
                    return GIN(inputs, width, extra)
                case "gcn2":
                    return GCN2(width, number, s.teleport or 0.0, s.decay or 0.5)
                case "rgcn":
                    return RGCN(inputs, width, spec.relations)
                case "compgcn":
                    return CompGCN(inputs, width, spec.relations)
                case "grand" if number == 1:
                    return Blurred(inputs, width, s.hops or 0, s.node_dropout or 0.0, self.wetness)
                case "appnp" | "grand":
                    return _Alone(inputs, width)
                case own:
                    return own(inputs, width, extra)

        if spec.directed and s.direction == "both" and s.conv not in SPREADING:
            return BothWays(make)
        return make()

    def forward(self, inputs: tuple[Any, ...], *, condition: Tensor | None = None) -> Features:
        asked, web = inputs
        s, edges = self.settings, web.edges
        if self.spec.directed and s.direction == "out":
            edges = edges.reversed
        if self.training and s.edge_dropout:
            edges = thinned(edges, s.edge_dropout)
        x = self.wet(web.nodes)
        first = torch.empty(0) if self.start is None else self._act(self.start(x))
        found = self._layered(x if self.start is None else self.dropout(first), edges, first, condition)
        return Features(summary=found.index_select(0, asked))

    def _layered(self, x: Tensor | Sparse, edges: Edges, first: Tensor, condition: Tensor | None) -> Tensor:
        s, seen, last = self.settings, list[Tensor](), len(self.layers) - 1
        for number, (layer, norm) in enumerate(zip(self.layers, self.norms, strict=True)):
            y: Tensor = layer(x, edges, first)
            if number == 0:
                y = self._heard(y) if s.conv != "grand" else y
                y = y if condition is None else y + condition
            y = norm(y)
            lazy = self._lazy and number == last
            if not lazy:
                y = self._act(y)
            if s.residual and isinstance(x, Tensor) and x.shape == y.shape:
                y = x + y
            if s.jumping != "none":
                seen.append(y)
            x = y if lazy else self.dropout(y)
        if s.jumping == "cat":
            x = self.dropout(torch.cat(seen, 1))
        elif s.jumping == "max":
            x = self.dropout(torch.stack(seen).amax(0))
        found = cast(Tensor, x)
        return spread(found, edges, s.hops or 0, s.teleport or 0.0) if s.conv == "appnp" else found

    def _heard(self, y: Tensor) -> Tensor:
        """What the first layer gives, some nodes silent."""
        share = self.settings.node_dropout
        if not share or not self.training:
            return y
        return y * (torch.rand(len(y), 1, device=y.device) >= share) / (1 - share)

    def _act(self, x: Tensor) -> Tensor:
        return ACTIVATIONS[self.settings.activation or "relu"](x)


class _Alone(nn.Module):
    """A layer that looks at each node by itself."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.project = Project(inputs, outputs)

    def forward(self, x: Tensor | Sparse, edges: Edges, first: Tensor) -> Tensor:
        found: Tensor = self.project(x)
        return found


class _Length(nn.Module):
    """Each node's numbers, brought to length 1 (Ahn & Kim, 2101.00046: so that nodes with few edges do not vanish)."""

    def forward(self, x: Tensor) -> Tensor:
        return F.normalize(x, dim=1)


def _norm(name: str | None, width: int) -> nn.Module:
    match name:
        case "batch":
            return nn.BatchNorm1d(width)
        case "layer":
            return nn.LayerNorm(width)
        case "length":
            return _Length()
        case _:
            return nn.Identity()
