"""Margins worked by hand, carried through a checkpoint; suspects are the rows whose labels were flipped."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from decet.tasks.dynamics import LOOKED, MOST, Margins, doubted_rows, hard_rows, other_classes


def test_margins_are_means_over_passes_and_members() -> None:
    margins = Margins(3)
    logits = torch.tensor([[[3.0, 1.0, 0.0], [1.0, 2.0, 0.0]], [[0.0, 0.0, 5.0], [0.0, 1.0, 1.0]]])  # (2, M 2, K 3)
    margins.note(logits, torch.tensor([0, 1]), torch.tensor([2, 0]))  # (2 - 1) / 2; (-5 + 0) / 2
    margins.note(logits[:1], torch.tensor([1]), torch.tensor([2]))  # (-2 + 1) / 2
    means = margins.means()
    assert means[[0, 2]] == pytest.approx([-2.5, 0.0])
    assert np.isnan(means[1])


def test_rows_without_a_label_are_not_noted() -> None:
    margins = Margins(2)
    margins.note(torch.tensor([[[1.0, 0.0]], [[1.0, 0.0]]]), torch.tensor([-1, 0]), torch.tensor([0, 1]))
    assert np.isnan(margins.means()[0])
    assert margins.means()[1] == 1.0


def test_margins_go_on_where_they_stood() -> None:
    one, other = Margins(2), Margins(2)
    one.note(torch.randn(2, 1, 3), torch.tensor([0, 1]), torch.tensor([0, 1]))
    other.restore(one.state())
    for margins in (one, other):
        margins.note(torch.ones(1, 1, 3), torch.tensor([2]), torch.tensor([0]))
    assert np.array_equal(one.means(), other.means())


def test_hard_rows_are_those_below_zero_the_lowest_first() -> None:
    assert hard_rows(np.array([0.5, -1.0, np.nan, -3.0, 0.0])).tolist() == [3, 1]
    assert len(hard_rows(-np.arange(1.0, 9 * MOST))) == LOOKED * MOST


def test_confident_learning_by_hand() -> None:
    chances = np.array([[0.9, 0.1], [0.8, 0.2], [0.1, 0.9], [0.3, 0.7]] * 10 + [[0.15, 0.85], [0.45, 0.55]])
    ids = np.array([0, 0, 1, 1] * 10 + [0, 0])
    # t_1 = (0.9 + 0.7) / 2: of class 0 only the last but one reaches it
    assert doubted_rows(chances, ids).tolist() == [40]


def test_networks_that_know_nothing_name_nobody() -> None:
    rng = np.random.default_rng(0)
    assert not len(doubted_rows(rng.dirichlet(np.ones(2), 400), rng.integers(0, 2, 400)))
    assert not len(doubted_rows(np.empty((0, 2)), np.empty(0, np.int64)))


def test_flipped_labels_are_found() -> None:
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 4, 2000)
    chances = rng.dirichlet(np.ones(4), 2000) * 0.4
    chances[np.arange(2000), truth] += 0.6
    ids, flipped = truth.copy(), rng.choice(2000, 60, replace=False)
    ids[flipped] = (truth[flipped] + 1) % 4
    found = doubted_rows(chances, ids)
    assert len(found) > 20
    assert np.isin(found, flipped).all()
    assert (other_classes(chances, ids)[found] == truth[found]).all()
