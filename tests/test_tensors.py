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


def test_edges_normalised_is_kipf_and_wellings_matrix_made_once():
    edges = Edges(torch.tensor([[0, 1, 1, 2], [1, 0, 2, 1]]), count=4)
    adjacency = np.eye(4)
    for source, target in [(0, 1), (1, 0), (1, 2), (2, 1)]:
        adjacency[target, source] = 1
    scale = np.diag(adjacency.sum(1) ** -0.5)
    np.testing.assert_allclose(edges.normalised.to_dense().numpy(), scale @ adjacency @ scale, atol=1e-6)
    assert edges.normalised is edges.normalised


def test_edges_normalised_counts_weights():
    edges = Edges(torch.tensor([[0, 1], [1, 0]]), count=2, weight=torch.tensor([3.0, 3.0]))
    expected = torch.tensor([[0.25, 0.75], [0.75, 0.25]])  # (A + I) / degree 4
    torch.testing.assert_close(edges.normalised.to_dense(), expected)


def test_spread_is_the_product_with_the_normalised_matrix_in_float32():
    edges = Edges(torch.tensor([[0, 1, 2], [1, 2, 0]]), 3)
    nodes = torch.randn(3, 4)
    assert torch.allclose(edges.spread(nodes), edges.normalised.to_dense() @ nodes)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert edges.spread(nodes.bfloat16()).dtype == torch.float32


def test_mean_of_many_half_precision_rows_counts_them_all():
    values = torch.ones(3000, 2, dtype=torch.bfloat16)
    assert mean_rows(values, None, torch.zeros(3000, dtype=torch.int64), 1).tolist() == [[1.0, 1.0]]
