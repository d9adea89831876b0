"""Resident batches: every row once an epoch, in an order that is a function of the clock alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import sparse

from decet.contracts import Clock, SeriesSpec, TokenSpec
from decet.data.resident import Resident, lengths_of, moved, padded, taken
from decet.tensors import Sparse

ROWS = 101
NUMBERS = torch.arange(ROWS * 3.0).view(ROWS, 3)
CATEGORIES = torch.arange(ROWS).unsqueeze(1)
TARGET = torch.arange(ROWS).unsqueeze(1)


def _sparse(dense: np.ndarray) -> Sparse:
    table = sparse.csr_matrix(dense)
    offsets, columns = (torch.from_numpy(a.astype(np.int64)) for a in (table.indptr, table.indices))
    return Sparse(offsets, columns, torch.from_numpy(table.data), table.shape[1])


def _dense(x: Sparse) -> np.ndarray:
    arrays = (x.values.numpy(), x.columns.numpy(), x.offsets.numpy())
    return sparse.csr_matrix(arrays, shape=(len(x), x.width)).toarray()


def _epoch(source: Resident, epoch: int, seed: int = 0) -> list[list[int]]:
    steps = range(epoch * source.steps, (epoch + 1) * source.steps)
    return [source.next(Clock(seed=seed, step=step)).rows.tolist() for step in steps]


@pytest.mark.parametrize(("batch", "steps"), [(1, 101), (10, 10), (32, 3), (60, 2), (100, 1), (101, 1), (1000, 1)])
def test_an_epoch_is_every_row_once_in_batches_of_nearly_one_size(batch, steps):
    source = Resident((NUMBERS, CATEGORIES), TARGET, batch=batch)
    parts = _epoch(source, 2)
    assert source.steps == len(parts) == steps
    assert sorted(row for part in parts for row in part) == list(range(ROWS))
    sizes = {len(part) for part in parts}
    assert max(sizes) - min(sizes) <= 1
    assert max(sizes) == source.size


def test_a_batch_holds_the_same_rows_of_everything():
    weight = torch.arange(float(ROWS))
    source = Resident((NUMBERS, CATEGORIES), TARGET, weight, batch=10)
    batch = source.next(Clock(step=3))
    assert torch.equal(batch.inputs[0], NUMBERS[batch.rows])
    assert torch.equal(batch.inputs[1], CATEGORIES[batch.rows])
    assert torch.equal(batch.target, TARGET[batch.rows])
    assert torch.equal(batch.weight, weight[batch.rows])
    assert Resident((NUMBERS,), TARGET).next(Clock()).weight is None


def test_only_the_rows_asked_for_are_drawn():
    rows = torch.arange(0, ROWS, 7)
    source = Resident((NUMBERS,), TARGET, rows=rows, batch=4)
    assert sorted(row for part in _epoch(source, 0) for row in part) == rows.tolist()
    assert (
        source.example().rows.tolist() == rows[:: source.steps].tolist()
    )  # some of every class, should they be sorted


def test_rows_of_like_length_stand_together():
    lengths = torch.from_numpy(np.random.default_rng(0).permutation(ROWS))
    source = Resident((NUMBERS,), TARGET, batch=10, lengths=lengths, bucket=5)
    first, second = _epoch(source, 0), _epoch(source, 1)
    assert sorted(row for part in first for row in part) == list(range(ROWS))
    spreads = [float(lengths[part].float().std()) for part in first]
    assert np.mean(spreads) < 0.4 * float(lengths.float().std())
    assert first != second
    assert spreads != sorted(spreads)  # batches are not in the order of their lengths
    plain = Resident((NUMBERS,), TARGET, batch=10)
    assert [len(part) for part in sorted(first, key=len)] == [len(p) for p in sorted(_epoch(plain, 0), key=len)]
    assert _epoch(Resident((NUMBERS,), TARGET, batch=10, lengths=lengths, bucket=5), 1) == second


def test_texts_are_as_long_as_their_last_word_that_is_not_padding():
    tokens = torch.tensor([[5, 0, 7, 0], [0, 0, 0, 0], [1, 1, 1, 1]])
    assert lengths_of((tokens,), TokenSpec(9)).tolist() == [3, 0, 4]
    assert lengths_of((NUMBERS, torch.tensor([4, 2])), SeriesSpec(3)).tolist() == [4, 2]
    assert lengths_of((NUMBERS,), None) is None


def test_the_order_is_a_function_of_the_clock_and_of_nothing_else():
    def fresh() -> Resident:
        return Resident((NUMBERS,), TARGET, batch=10)

    source, expected = fresh(), _epoch(fresh(), 1)
    torch.manual_seed(1)
    assert _epoch(source, 1) == expected
    source.next(Clock(step=73))  # a look elsewhere
    source.example()
    torch.rand(5)
    assert _epoch(source, 1) == expected
    assert _epoch(fresh(), 0) != expected
    assert _epoch(fresh(), 1, seed=8) != expected
    assert source.state() == {}


def test_drawing_leaves_the_global_generator_alone():
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    Resident((NUMBERS,), TARGET).next(Clock())
    assert torch.equal(torch.rand(3), expected)


def test_sparse_rows_are_batched_as_dense_ones():
    rng = np.random.default_rng(0)
    dense = (rng.normal(size=(ROWS, 6)) * (rng.random((ROWS, 6)) < 0.3)).astype(np.float32)
    source = Resident((_sparse(dense), torch.empty(ROWS, 0)), TARGET, batch=10)
    batch = source.next(Clock(step=1))
    np.testing.assert_array_equal(_dense(batch.inputs[0]), dense[batch.rows.numpy()])
    assert batch.inputs[1].shape == (len(batch.rows), 0)


def test_taken_and_moved_touch_every_input():
    dense = np.eye(4, dtype=np.float32)
    index = torch.tensor([3, 1])
    numbers, own = taken((torch.arange(4.0), _sparse(dense)), index)
    assert numbers.tolist() == [3.0, 1.0]
    np.testing.assert_array_equal(_dense(own), dense[[3, 1]])
    numbers, own = moved((numbers, own), "meta")
    assert {numbers.device.type, own.values.device.type, own.offsets.device.type, own.columns.device.type} == {"meta"}


def test_padded_adds_rows_of_zeros_up_to_the_size():
    dense = np.array([[0, 2.0], [1, 0]], dtype=np.float32)
    numbers, categories, own = padded((NUMBERS[:2], CATEGORIES[:2], _sparse(dense)), 4)
    assert numbers.shape == (4, 3)
    assert torch.equal(numbers[:2], NUMBERS[:2])
    assert not bool(numbers[2:].any())
    assert (categories.shape, categories.dtype) == ((4, 1), torch.int64)
    np.testing.assert_array_equal(_dense(own), np.vstack([dense, np.zeros((2, 2))]))
    whole = padded((NUMBERS[:4], _sparse(np.eye(4, dtype=np.float32))), 4)
    assert torch.equal(whole[0], NUMBERS[:4])
    assert len(whole[1]) == 4
