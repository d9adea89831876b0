"""Graph convolutions: equal to their formulas written with dense matrices; the order of nodes tells nothing."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy import sparse
from torch import Tensor, nn

from decet.errors import Unsupported
from decet.nn.graphs import (
    GAT,
    GCN,
    GCN2,
    GIN,
    RGCN,
    SAGE,
    SLOPE,
    Blurred,
    BothWays,
    CompGCN,
    MessagePassing,
    Project,
    SparseDropout,
    blurred,
    spread,
    thinned,
)
from decet.tensors import Edges, Sparse

N, D, H = 7, 5, 6
FIRST = torch.empty(0)


@pytest.fixture
def edges() -> Edges:
    """A graph of two rings that share a node, and a node alone; directed, with weights, kinds and features."""
    torch.manual_seed(0)
    index = torch.tensor([[0, 1, 2, 3, 4, 5, 2, 0], [1, 2, 0, 4, 5, 3, 3, 3]])
    count = index.shape[1]
    return Edges(index, N, torch.rand(count) + 0.5, torch.arange(count) % 2, torch.randn(count, 3))


@pytest.fixture
def x() -> Tensor:
    torch.manual_seed(1)
    return torch.randn(N, D)


def adjacency(edges: Edges, values: Tensor | None = None) -> Tensor:
    """(N, N): row i holds what reaches node i."""
    values = edges.strength if values is None else values
    return torch.zeros(edges.count, edges.count).index_put((edges.index[1], edges.index[0]), values)


def kipf(edges: Edges) -> Tensor:
    A = adjacency(edges) + torch.eye(N)
    return A.sum(1).pow(-0.5).diag() @ A @ A.sum(0).pow(-0.5).diag()


def test_gcn_is_its_formula(edges: Edges, x: Tensor) -> None:
    layer = GCN(D, H)
    nn.init.normal_(layer.bias)
    torch.testing.assert_close(layer(x, edges, FIRST), kipf(edges) @ x @ layer.project.weight + layer.bias)
    torch.testing.assert_close(GCN(D, D, weighted=False)(x, edges, FIRST), kipf(edges) @ x)


def test_sage_is_its_formula(edges: Edges, x: Tensor) -> None:
    layer = SAGE(D, H)
    A = adjacency(edges)
    means = (A / A.sum(1, keepdim=True).clamp(min=1e-9)) @ x
    expected = x @ layer.own.weight + layer.own.bias + means @ layer.others.weight
    torch.testing.assert_close(layer(x, edges, FIRST), expected)
    torch.testing.assert_close(SAGE(D, D, weighted=False)(x, edges, FIRST), torch.cat([x, means], 1))


@pytest.mark.parametrize("dynamic", [False, True])
@pytest.mark.parametrize("extra", [0, 3])
def test_attention_is_its_formula(edges: Edges, x: Tensor, dynamic: bool, extra: int) -> None:
    layer = GAT(D, H, extra, heads=2, dynamic=dynamic)
    told = (x @ layer.project.weight).view(N, 2, 3)
    asked = (x @ layer.asking.weight).view(N, 2, 3) if dynamic else told
    expected = torch.zeros(N, 2, 3)
    looped = edges.looped
    for i in range(N):
        reach = [e for e in range(looped.index.shape[1]) if looped.index[1, e] == i]
        scores = []
        for e in reach:
            j = int(looped.index[0, e])
            said = layer.edge(looped.features[e]).view(2, 3) if extra else torch.zeros(2, 3)
            if dynamic:
                scores.append((F.leaky_relu(asked[i] + told[j] + said, SLOPE) * layer.u).sum(1))
            else:
                scores.append(F.leaky_relu((told[i] * layer.u).sum(1) + ((told[j] + said) * layer.v).sum(1), SLOPE))
        shares = torch.stack(scores).softmax(0)  # (E_i, heads)
        expected[i] = sum(s.unsqueeze(1) * told[int(looped.index[0, e])] for s, e in zip(shares, reach, strict=True))
    torch.testing.assert_close(layer(x, edges, FIRST), expected.flatten(1), atol=1e-5, rtol=1e-5)


def test_heads_must_share_the_width() -> None:
    with pytest.raises(Unsupported, match=r"width must be a multiple of heads\. Received: width 6, heads 4\."):
        GAT(D, 6, heads=4)


@pytest.mark.parametrize("extra", [0, 3])
def test_gin_is_its_formula(edges: Edges, x: Tensor, extra: int) -> None:
    layer = GIN(D, H, extra)
    nn.init.constant_(layer.epsilon, 0.3)
    if extra:
        heard = F.relu(x[edges.index[0]] + layer.edge(edges.features))
        total = torch.zeros(N, D).index_add(0, edges.index[1], heard)
    else:
        total = adjacency(edges) @ x
    hidden = F.relu((1.3 * x + total) @ layer.inner.weight + layer.inner.bias)
    torch.testing.assert_close(layer(x, edges, FIRST), hidden @ layer.outer.weight + layer.outer.bias)


def test_gcn2_is_its_formula(edges: Edges, x: Tensor) -> None:
    layer, first = GCN2(D, layer=3, teleport=0.2, decay=0.6), torch.randn(N, D)
    beta = math.log(0.6 / 3 + 1)
    mixed = 0.8 * kipf(edges) @ x + 0.2 * first
    torch.testing.assert_close(layer(x, edges, first), (1 - beta) * mixed + beta * mixed @ layer.project.weight)


def by_kind(edges: Edges, kind: int) -> Tensor:
    A = adjacency(edges, (edges.kind == kind).float())
    return A / A.sum(1, keepdim=True).clamp(min=1)


def test_rgcn_is_its_formula(edges: Edges, x: Tensor) -> None:
    layer = RGCN(D, H, 2)
    matrices = torch.einsum("kb,bio->kio", layer.mixture, layer.basis)
    expected = layer.own(x) + sum(by_kind(edges, kind) @ x @ matrices[kind] for kind in range(2))
    torch.testing.assert_close(layer(x, edges, FIRST), expected, atol=1e-5, rtol=1e-5)


def test_compgcn_is_its_formula(edges: Edges, x: Tensor) -> None:
    layer = CompGCN(D, H, 2)
    nodes = x @ layer.start.weight
    expected = layer.own(nodes)
    for way, vectors, ends in ((0, layer.kinds[0], edges), (1, layer.kinds[1], edges.reversed)):
        for kind in range(2):
            expected = expected + by_kind(ends, kind) @ (nodes * vectors[kind]) @ layer.ways[way].weight
    torch.testing.assert_close(layer(x, edges, FIRST), expected, atol=1e-5, rtol=1e-5)


def test_numbers_spread_far_and_count_less(edges: Edges, x: Tensor) -> None:
    P, found = kipf(edges), x
    for _ in range(3):
        found = 0.9 * P @ found + 0.1 * x
    torch.testing.assert_close(spread(x, edges, 3, 0.1), found)
    torch.testing.assert_close(blurred(x, edges, 2), (x + P @ x + P @ P @ x) / 3)


@pytest.mark.parametrize("lean", [False, True])
def test_grand_is_its_formula_where_nothing_is_left_out(edges: Edges, x: Tensor, lean: bool) -> None:
    layer = Blurred(D, H, hops=2, silent=0.5, dropout=0.5).eval()
    nodes = Sparse(torch.arange(N + 1) * D, torch.arange(D).repeat(N), x.flatten(), D) if lean else x
    P = kipf(edges)
    torch.testing.assert_close(layer(nodes, edges, FIRST), (x + P @ x + P @ P @ x) / 3 @ layer.project.weight)


def test_noise_of_grand_has_the_mean_and_the_spread_of_dropout_behind_the_spreading(edges: Edges, x: Tensor) -> None:
    torch.manual_seed(0)
    layer, spread_far = Blurred(D, H, hops=2, dropout=0.6), blurred(x, edges, 2)
    with torch.no_grad():
        ours = torch.stack([layer(x, edges, FIRST) for _ in range(4_000)])
        theirs = torch.stack([F.dropout(spread_far, 0.6) @ layer.project.weight for _ in range(4_000)])
    torch.testing.assert_close(ours.std(0), theirs.std(0), rtol=0.1, atol=0.01)
    torch.testing.assert_close(ours.mean(0), spread_far @ layer.project.weight, rtol=0.0, atol=0.12)


def test_silent_nodes_of_grand_say_nothing_and_the_others_more(edges: Edges, x: Tensor) -> None:
    torch.manual_seed(0)
    layer = Blurred(D, H, hops=0, silent=0.5)
    told, whole = layer(x, edges, FIRST), x @ layer.project.weight
    assert {0.0, 2.0} == {round(float(ratio), 3) for ratio in (told / whole).detach().flatten()}


def test_where_squares_have_no_room_entries_are_dropped_before_they_spread(
    edges: Edges, x: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("decet.nn.graphs.MOST", 1)
    torch.manual_seed(0)
    layer = Blurred(D, H, hops=2, dropout=0.5)
    means = torch.stack([layer(x, edges, FIRST) for _ in range(4_000)]).mean(0)
    assert "blurred" not in edges.__dict__
    torch.testing.assert_close(means, layer.eval()(x, edges, FIRST), rtol=0.0, atol=0.12)


class Loudest(MessagePassing):
    """A layer of a user's own."""

    sums = "max"

    def __init__(self, inputs: int, outputs: int, edge_features: int):
        super().__init__()
        self.told = nn.Linear(inputs + edge_features, outputs)

    def message(self, source: Tensor, target: Tensor, features: Tensor | None) -> Tensor:
        return self.told(torch.cat([source - target, features], 1))

    def update(self, nodes: Tensor, heard: Tensor) -> Tensor:
        return heard.tanh()


def test_a_layer_of_ones_own_says_what_edges_tell(edges: Edges, x: Tensor) -> None:
    layer = Loudest(D, H, 3)
    found = layer(x, edges, FIRST)
    told = layer.told(torch.cat([x[edges.index[0]] - x[edges.index[1]], edges.features], 1))
    for i in range(N):
        own = told[edges.index[1] == i]
        torch.testing.assert_close(found[i], own.amax(0).tanh() if len(own) else torch.zeros(H))
    Loudest.sums = "mean"
    try:
        mean = layer(x, edges, FIRST)
    finally:
        Loudest.sums = "max"
    torch.testing.assert_close(mean[3], told[edges.index[1] == 3].mean(0).tanh())


def test_a_layer_that_says_nothing_is_told_what_to_write(edges: Edges, x: Tensor) -> None:
    with pytest.raises(Unsupported, match="Message says nothing on its edges: write its method message"):
        type("Message", (MessagePassing,), {})()(x, edges, FIRST)


def both(dense: Tensor) -> Sparse:
    table = sparse.csr_matrix(dense.numpy())
    parts = (table.indptr.astype(np.int64), table.indices.astype(np.int64), table.data)
    return Sparse(*map(torch.from_numpy, parts), table.shape[1])


LAYERS = {
    "gcn": lambda: GCN(D, H),
    "sage": lambda: SAGE(D, H),
    "gat": lambda: GAT(D, H, heads=2),
    "gatv2": lambda: GAT(D, H, heads=2, dynamic=True),
    "gin": lambda: GIN(D, H),
    "rgcn": lambda: RGCN(D, H, 2),
    "compgcn": lambda: CompGCN(D, H, 2),
}


@pytest.mark.parametrize("name", LAYERS)
def test_sparse_nodes_give_what_dense_ones_do_and_teach_as_much(edges: Edges, x: Tensor, name: str) -> None:
    layer = LAYERS[name]()
    dense = x * (x > 0.5)
    grads = []
    for nodes in (dense, both(dense)):
        layer.zero_grad()
        found = layer(nodes, edges, FIRST)
        found.square().sum().backward()
        grads.append((found.detach(), [p.grad.clone() for p in layer.parameters() if p.grad is not None]))
    torch.testing.assert_close(grads[0], grads[1], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("name", LAYERS)
def test_the_order_of_nodes_and_edges_tells_nothing(edges: Edges, x: Tensor, name: str) -> None:
    layer, order = LAYERS[name](), torch.tensor([3, 0, 6, 2, 5, 1, 4])
    place = torch.argsort(order)
    shuffled = torch.tensor([4, 0, 7, 2, 6, 1, 5, 3])
    other = Edges(
        place[edges.index][:, shuffled], N, edges.weight[shuffled], edges.kind[shuffled], edges.features[shuffled]
    )
    torch.testing.assert_close(layer(x[order], other, FIRST), layer(x, edges, FIRST)[order], atol=1e-5, rtol=1e-5)


def test_a_layer_for_each_direction_gives_their_mean(edges: Edges, x: Tensor) -> None:
    layer = BothWays(lambda: SAGE(D, H))
    expected = (layer.forth(x, edges, FIRST) + layer.back(x, edges.reversed, FIRST)) / 2
    torch.testing.assert_close(layer(x, edges, FIRST), expected)


def test_edges_are_left_out_at_random_with_what_is_known_of_them(edges: Edges) -> None:
    torch.manual_seed(0)
    index = torch.randint(0, 50, (2, 4_000))
    many = Edges(index, 50, weight=index[0].float() + 1)
    left = thinned(many, 0.3)
    assert 0.65 < left.index.shape[1] / 4_000 < 0.75
    assert torch.equal(left.weight, left.index[0].float() + 1)


def test_of_sparse_nodes_entries_are_dropped_and_the_rest_is_scaled_up(x: Tensor) -> None:
    torch.manual_seed(0)
    dense = torch.ones(200, 50) * (torch.rand(200, 50) < 0.2)
    layer = SparseDropout(0.5)
    found = layer(both(dense))
    assert found.width == 50
    assert set(found.values.tolist()) == {0.0, 2.0}
    layer.eval()
    assert set(layer(both(dense)).values.tolist()) == {1.0}


def test_project_is_a_product_with_a_bias(x: Tensor) -> None:
    layer = Project(D, H)
    nn.init.normal_(layer.bias)
    torch.testing.assert_close(layer(both(x)), x @ layer.weight + layer.bias)
