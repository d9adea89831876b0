"""GNN: published networks by a word, every parameter learns, nodes in any order, settings refused in a sentence."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from decet.contracts import GraphSpec, TableSpec
from decet.errors import BadInput, Unsupported
from decet.families.gnn import CONVS, GNN, TYPED
from decet.nn.graphs import MessagePassing
from decet.tensors import Edges, Web

N, F = 12, 9


def ring(directed: bool = False, kinds: int = 1, seed: int = 0) -> tuple[Tensor, Web]:
    """Every node in question of a ring with chords."""
    torch.manual_seed(seed)
    begin = torch.arange(N).repeat(2)
    end = torch.cat([(torch.arange(N) + 1) % N, (torch.arange(N) + 5) % N])
    index = torch.stack([begin, end])
    index = index if directed else torch.cat([index, index.flip(0)], 1)
    kind = torch.arange(index.shape[1]) % kinds if kinds > 1 else None
    return torch.arange(N), Web(torch.randn(N, F), Edges(index, N, kind=kind))


def spec_of(conv: str, directed: bool = False) -> GraphSpec:
    return GraphSpec(F, relations=2 if conv in TYPED else 1, directed=directed)


def given(conv: str, directed: bool = False) -> tuple[Tensor, Web]:
    return ring(directed, 2 if conv in TYPED else 1)


@pytest.mark.parametrize("conv", CONVS)
@pytest.mark.parametrize("more", [{}, {"residual": True, "norm": "layer"}, {"jumping": "cat", "norm": "batch"}])
def test_every_parameter_learns_and_widths_are_as_told(conv: str, more: dict) -> None:
    torch.manual_seed(0)
    body = GNN(conv=conv, width=16, depth=3, heads=4, hops=3, dropout=0.2, **more).encoder(spec_of(conv))
    features = body(given(conv)).pooled()
    assert features.shape == (N, 1, body.summary_width)
    features.square().sum().backward()
    silent = [name for name, p in body.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert not silent


@pytest.mark.parametrize("conv", CONVS)
def test_nodes_asked_in_any_order_give_the_same(conv: str) -> None:
    torch.manual_seed(0)
    body = GNN(conv=conv, width=16, heads=4, hops=3).encoder(spec_of(conv)).eval()
    asked, web = given(conv)
    some = torch.tensor([7, 2, 2])
    with torch.no_grad():
        torch.testing.assert_close(body((some, web)).pooled(), body((asked, web)).pooled()[some])


def test_gcn_with_a_linear_head_is_kipf_and_wellings_network() -> None:
    """softmax(P relu(P X W0) W1): the last product with P is the body's, W1 the head's."""
    torch.manual_seed(0)
    body = GNN(conv="gcn", width=4, dropout=0.5).encoder(GraphSpec(F)).eval()
    asked, web = ring()
    A = torch.eye(N).index_put((web.edges.index[1], web.edges.index[0]), torch.ones(web.edges.index.shape[1]))
    P = A / torch.sqrt(A.sum(1, keepdim=True) * A.sum(0, keepdim=True))
    names = [name for name, _ in body.named_parameters()]
    assert sum(name.endswith("project.weight") for name in names) == 1
    first = body.layers[0]
    expected = P @ torch.relu(P @ web.nodes @ first.project.weight + first.bias)
    torch.testing.assert_close(body((asked, web)).pooled()[:, 0], expected, atol=1e-5, rtol=1e-5)


def test_deep_networks_of_gcn2_keep_nodes_apart_where_those_of_gcn_blur_them() -> None:
    spreads = {}
    for conv in ("gcn", "gcn2"):
        torch.manual_seed(0)
        body = GNN(conv=conv, width=32, depth=64, dropout=0.0, teleport=0.2).encoder(GraphSpec(F)).eval()
        with torch.no_grad():
            found = body(ring()).pooled()[:, 0]
        spreads[conv] = float((found - found.mean(0)).norm() / found.norm().clamp(min=1e-12))
    assert spreads["gcn2"] > 10 * spreads["gcn"]


@pytest.mark.parametrize("conv", ["gcn", "sage", "gat"])
def test_directions_of_edges_are_heard_as_asked(conv: str) -> None:
    """0 -> 1: who hears what comes in, node 1 alone changes with node 0; of what goes out, node 0 with node 1."""
    edges = Edges(torch.tensor([[0], [1]]), 2)
    for direction, hears in (
        ("in", {0: [0, 1], 1: [1]}),
        ("out", {0: [0], 1: [0, 1]}),
        ("both", {0: [0, 1], 1: [0, 1]}),
    ):
        torch.manual_seed(0)
        family = GNN(conv=conv, width=8, heads=2, depth=1, direction=direction)
        body = family.encoder(GraphSpec(F, directed=True)).eval()
        nodes = torch.randn(2, F)
        with torch.no_grad():
            before = body((torch.arange(2), Web(nodes, edges))).pooled()[:, 0]
            for moved, expected in hears.items():
                other = nodes.clone()
                other[moved] += 1.0
                after = body((torch.arange(2), Web(other, edges))).pooled()[:, 0]
                assert (after != before).any(1).nonzero().flatten().tolist() == expected, (direction, moved)


@pytest.mark.parametrize(
    "setting", [{"dropout": 0.5}, {"edge_dropout": 0.5, "dropout": 0.0}, {"node_dropout": 0.5, "dropout": 0.0}]
)
def test_what_is_left_out_at_random_is_left_out_while_training_only(setting: dict) -> None:
    torch.manual_seed(0)
    body = GNN(width=16, **setting).encoder(GraphSpec(F))
    graph = ring()
    assert not torch.equal(body(graph).pooled(), body(graph).pooled())
    body.eval()
    assert torch.equal(body(graph).pooled(), body(graph).pooled())


def test_members_are_networks_side_by_side() -> None:
    body = GNN(width=8).encoder(GraphSpec(F), members=3).eval()
    assert body(ring()).pooled().shape == (N, 3, 8)


class Plain(MessagePassing):
    def __init__(self, inputs: int, outputs: int, edge_features: int):
        super().__init__()
        self.told = torch.nn.Linear(inputs, outputs)

    def message(self, source: Tensor, target: Tensor, features: Tensor | None) -> Tensor:
        return self.told(source)


def test_a_layer_of_ones_own_stands_in_for_a_name() -> None:
    body = GNN(conv=Plain, width=8, depth=2).encoder(GraphSpec(F))
    assert body(ring()).pooled().shape == (N, 1, 8)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"conv": "gnc"}, r"conv must be one of 'gcn'.*Received: 'gnc'\."),
        ({"conv": torch.nn.Linear}, r"conv must be a name, or a class of MessagePassing\. Received: Linear\."),
        ({"depth": 0}, "depth must be a whole number between 1 and 1000"),
        ({"teleport": 1.0}, "teleport must be a number between 0.0 and 0.99"),
        ({"jumping": "sum"}, "jumping must be one of"),
        ({"direction": "up"}, "direction must be one of"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings: dict, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        GNN(**settings)


def test_networks_and_graphs_that_do_not_fit_are_refused() -> None:
    with pytest.raises(Unsupported, match="conv 'rgcn' is for edges of several kinds, and this graph has one"):
        GNN(conv="rgcn").encoder(GraphSpec(F))
    with pytest.raises(Unsupported, match="edges have 3 kinds, which conv 'gcn' does not tell apart"):
        GNN(conv="gcn").encoder(GraphSpec(F, relations=3))
    with pytest.raises(Unsupported, match="GNN reads graphs. Received: TableSpec"):
        GNN().encoder(TableSpec(3))
    with pytest.raises(Unsupported, match="width must be a multiple of heads"):
        GNN(conv="gat", heads=3, width=8).encoder(GraphSpec(F))


@pytest.mark.parametrize("conv", CONVS)
def test_every_convolution_works_within_bfloat16(conv: str) -> None:
    torch.manual_seed(0)
    body = GNN(conv=conv, width=16, heads=4, hops=2, dropout=0.1).encoder(spec_of(conv))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        body(given(conv)).pooled().float().square().sum().backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in body.parameters())


@pytest.mark.parametrize("jumping", ["cat", "max"])
def test_numbers_spread_after_layers_are_put_together(jumping: str) -> None:
    torch.manual_seed(0)
    body = GNN(conv="appnp", width=8, depth=2, jumping=jumping).encoder(GraphSpec(F)).eval()
    asked, web = ring()
    alone = Web(web.nodes, Edges(web.edges.index[:, :0], N))
    assert not torch.allclose(body((asked, web)).pooled(), body((asked, alone)).pooled())
