"""Equal data have equal fingerprints, other data others."""

from __future__ import annotations

import numpy as np
import torch

from decet.estimators.fingerprints import DIGESTED, checksum, digest_of, row_digests, tensors_of
from decet.tensors import Sparse


def test_a_name_stands_for_itself_and_values_for_their_checksum() -> None:
    assert digest_of(None) == "None"
    assert digest_of("column") == "column"
    assert digest_of([1, 2]) == digest_of(np.array([1, 2])) != digest_of([2, 1])


def test_a_checksum_is_of_all_values_in_order() -> None:
    rows = torch.arange(2 * DIGESTED + 3)
    assert checksum([rows]) == checksum([rows.clone()])
    changed = rows.clone()
    changed[-1] += 1
    assert len({checksum([rows]), checksum([changed]), checksum([rows.flip(0)]), checksum([rows[:0]])}) == 4


def test_sparse_rows_are_their_three_tensors() -> None:
    sparse = Sparse(torch.tensor([0, 1]), torch.tensor([2]), torch.tensor([1.0]), 4)
    assert len(tensors_of((sparse, torch.ones(2)))) == 4


def test_equal_rows_have_equal_digests() -> None:
    numbers, slots = torch.tensor([[1.0, 2.0], [1.0, 2.0], [1.0, 3.0]]), torch.tensor([[0], [0], [0]])
    first, second, third = row_digests((numbers, slots)).tolist()
    assert first == second != third
    other = row_digests((numbers, torch.tensor([[0], [1], [0]]))).tolist()
    assert other[0] == first
    assert other[1] != first


def test_equal_sparse_rows_have_equal_digests() -> None:
    rows = Sparse(torch.tensor([0, 2, 4, 5]), torch.tensor([0, 3, 0, 3, 0]), torch.tensor([1.0, 2.0, 1.0, 2.0, 1.0]), 4)
    first, second, third = row_digests((rows,)).tolist()
    assert first == second != third
