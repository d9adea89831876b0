"""Tensors with a shape of their own: sparse rows, edges."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import sparse

from decet.tensors import Edges, Sparse, mean_rows


def _sparse(dense: np.ndarray) -> Sparse:
    table = sparse.csr_matrix(dense)
    offsets, columns = (torch.from_numpy(a.astype(np.int64)) for a in (table.indptr, table.indices))
    return Sparse(offsets, columns, torch.from_numpy(table.data.astype(np.float32)), table.shape[1])


def _dense(x: Sparse) -> np.ndarray:
    arrays = (x.values.numpy(), x.columns.numpy(), x.offsets.numpy())
    return sparse.csr_matrix(arrays, shape=(len(x), x.width)).toarray()


@pytest.fixture
def dense():
    rng = np.random.default_rng(0)
    table = rng.normal(size=(6, 5)).astype(np.float32) * (rng.random((6, 5)) < 0.4)
    table[2] = 0  # a row with nothing in it
    return table


def test_sparse_rows_are_the_rows_asked_in_their_order(dense):
    x = _sparse(dense)
    assert len(x) == 6
    index = torch.tensor([5, 2, 2, 0])
    np.testing.assert_array_equal(_dense(x.rows(index)), dense[index])
    assert len(x.rows(torch.tensor([], dtype=torch.int64))) == 0


def test_sparse_times_is_the_matrix_product_and_its_gradient_reaches_the_weight(dense):
    weight = torch.randn(5, 3, requires_grad=True)
    product = _sparse(dense).times(weight)
    torch.testing.assert_close(product, torch.from_numpy(dense) @ weight)
    product.square().sum().backward()
    mine, weight.grad = weight.grad, None
    (torch.from_numpy(dense) @ weight).square().sum().backward()
    torch.testing.assert_close(mine, weight.grad)


def test_sparse_rows_written_out_are_what_they_stand_for(dense):
    assert np.array_equal(_sparse(dense).dense().numpy(), dense.astype(np.float32))


def _matrix(edges: Edges, values: torch.Tensor) -> torch.Tensor:
    """Row i: what reaches node i."""
    matrix = torch.zeros(edges.count, edges.count)
    return matrix.index_put((edges.index[1], edges.index[0]), values, accumulate=True)


def test_the_product_of_rows_that_come_again_is_the_same_with_other_values_too(dense):
    x, weight = _sparse(dense), torch.randn(5, 3, requires_grad=True)
    for scale in (1.0, 2.0):
        weight.grad = None
        product = x.with_values(x.values * scale).product(weight)
        torch.testing.assert_close(product, scale * torch.from_numpy(dense) @ weight)
        product.square().sum().backward()
        mine, weight.grad = weight.grad, None
        (scale * torch.from_numpy(dense) @ weight).square().sum().backward()
        torch.testing.assert_close(mine, weight.grad)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert x.product(weight).dtype == torch.float32


RING = torch.tensor([[0, 1, 1, 2, 2, 3], [1, 0, 2, 1, 3, 2]])


def test_edges_normalised_are_kipf_and_wellings_matrix_made_once():
    edges = Edges(RING, count=5)  # the fifth node stands alone
    adjacency = (_matrix(edges, torch.ones(6)) + torch.eye(5)).double()
    scale = adjacency.sum(1).pow(-0.5).diag()
    torch.testing.assert_close(_matrix(edges.looped, edges.looped.normal).double(), scale @ adjacency @ scale)
    assert edges.looped.normal is edges.looped.normal


def test_edges_normalised_count_weights():
    edges = Edges(torch.tensor([[0, 1], [1, 0]]), count=2, weight=torch.tensor([3.0, 3.0]))
    expected = torch.tensor([[0.25, 0.75], [0.75, 0.25]])  # (A + I) / degree 4
    torch.testing.assert_close(_matrix(edges.looped, edges.looped.normal), expected)


def test_means_of_neighbours_weigh_as_their_edges_do():
    edges = Edges(torch.tensor([[0, 1], [2, 2]]), 3, weight=torch.tensor([1.0, 3.0]))
    nodes = torch.tensor([[4.0], [8.0], [0.0]])
    torch.testing.assert_close(edges.gather(nodes, edges.means), torch.tensor([[0.0], [0.0], [7.0]]))


def test_gathered_sums_are_a_product_of_matrices_and_so_are_their_gradients():
    edges = Edges(RING, 5)
    nodes, values = torch.randn(5, 3, requires_grad=True), torch.randn(6, requires_grad=True)
    other = [x.detach().clone().requires_grad_() for x in (nodes, values)]
    found, expected = edges.gather(nodes, values), _matrix(edges, other[1]) @ other[0]
    torch.testing.assert_close(found, expected)
    weight = torch.randn(5, 3)
    (found * weight).sum().backward()
    (expected * weight).sum().backward()
    torch.testing.assert_close(nodes.grad, other[0].grad)
    torch.testing.assert_close(values.grad, other[1].grad)


def test_heads_are_gathered_each_by_itself():
    edges, nodes, values = Edges(RING, 5), torch.randn(5, 2, 3), torch.randn(6, 2)
    found = edges.gather(nodes, values)
    for head in range(2):
        torch.testing.assert_close(found[:, head], edges.gather(nodes[:, head], values[:, head]))


def test_sums_are_gathered_in_float32_within_any_precision():
    edges = Edges(torch.tensor([[0, 1, 2], [1, 2, 0]]), 3)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert edges.gather(torch.randn(3, 4).bfloat16(), torch.ones(3)).dtype == torch.float32


def test_shares_of_a_node_sum_to_one_however_large_its_scores_are():
    edges, scores = Edges(RING, 5), 1e4 * torch.randn(6, 2)
    shares = edges.softmax(scores)
    total = torch.zeros(5, 2).index_add(0, edges.index[1], shares)
    torch.testing.assert_close(total, torch.tensor([1.0, 1.0, 1.0, 1.0, 0.0]).unsqueeze(1).expand(5, 2))
    both = (edges.index[1] == 1).nonzero().flatten()
    torch.testing.assert_close(shares[both], scores[both].softmax(0))


def test_edges_walked_the_other_way_lead_back():
    edges = Edges(torch.tensor([[0, 1], [1, 2]]), 3)
    nodes = torch.tensor([[1.0], [2.0], [4.0]])
    assert edges.gather(nodes, torch.ones(2)).flatten().tolist() == [0.0, 1.0, 2.0]
    assert edges.reversed.gather(nodes, torch.ones(2)).flatten().tolist() == [2.0, 4.0, 0.0]


def test_mean_of_many_half_precision_rows_counts_them_all():
    values = torch.ones(3000, 2, dtype=torch.bfloat16)
    assert mean_rows(values, None, torch.zeros(3000, dtype=torch.int64), 1).tolist() == [[1.0, 1.0]]
