"""What is kept of held-out rows: from them and back, refused where it does not fit."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from decet import DNN, Recipe, TableClassifier
from decet.contracts import LabelSpec, NumberSpec, TableSpec
from decet.errors import BadInput
from decet.estimators.trust import Held, Trust
from decet.tasks.conformal import Examined
from decet.tasks.likeness import Likeness

RNG = np.random.default_rng(0)
KNOWN = (Likeness.of(RNG.normal(size=(100, 3))),)


def held(answers: np.ndarray, target: np.ndarray, spread: np.ndarray | None = None) -> Held:
    return Held(answers, target, spread, np.arange(len(answers), dtype=float)[:, None])


def test_sets_come_from_the_held_out_rows() -> None:
    answers = np.array([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8]])
    trust = Trust.of(held(answers, np.array([[0], [0], [1]])), LabelSpec((2,)), KNOWN)  # scores 0.1, 0.2, 0.4
    (sets,) = trust.sets(np.array([[0.75, 0.25], [0.5, 0.5]]), LabelSpec((2,)), 0.7)
    assert sets.tolist() == [[True, False], [False, False]]


def test_soft_targets_count_as_their_likeliest_class() -> None:
    answers, soft = np.array([[0.9, 0.1]] * 3), np.array([[0.8, 0.2]] * 3)
    hard = Trust.of(held(answers, np.zeros((3, 1), int)), LabelSpec((2,)), KNOWN)
    assert np.array_equal(
        Trust.of(held(answers, soft), LabelSpec((2,)), KNOWN).scores.columns[0], hard.scores.columns[0]
    )


def test_intervals_are_wider_where_members_disagree() -> None:
    spread = np.abs(RNG.normal(size=(200, 1)))
    truth = spread * RNG.normal(size=(200, 1))
    trust = Trust.of(held(np.zeros((200, 1)), truth, spread), NumberSpec(1), KNOWN)
    found = Examined(torch.zeros(2, 1), torch.tensor([[0.1], [2.0]]))
    near, far = np.ptp(trust.intervals(found, 0.9)[:, 0], axis=1)
    assert far > 2 * near


def test_intervals_of_one_member_are_equally_wide() -> None:
    trust = Trust.of(held(np.zeros((50, 1)), RNG.normal(size=(50, 1))), NumberSpec(1), KNOWN)
    found = Examined(torch.tensor([[1.0], [5.0]]))
    first, second = trust.intervals(found, 0.9)[:, 0]
    assert second - first == pytest.approx([4.0, 4.0])


def test_it_is_found_again_in_its_arrays() -> None:
    trust = Trust.of(held(RNG.normal(size=(50, 2)), RNG.normal(size=(50, 2))), NumberSpec(2), KNOWN)
    again = Trust.restore(trust.state(), NumberSpec(2), 3)
    assert again is not None
    found = trust.seen(Examined(torch.randn(4, 2), features=torch.randn(4, 3)))
    assert found.features is None
    assert np.array_equal(again.intervals(found, 0.8), trust.intervals(found, 0.8))
    assert np.array_equal(again.unlike(found), trust.unlike(found))
    assert Trust.restore({}, NumberSpec(2), 3) is None


@pytest.mark.parametrize(
    "broken",
    [
        {"floor": np.ones(5, np.float32)},
        {"floor": np.empty(0, np.float32)},
        {"largest": np.ones((2, 2), np.float32)},
        {"scores.0": np.ones((2, 2), np.float32)},
        {"distances": np.ones((1, 0), np.float32)},
        {"largest": np.empty(0, np.float32)},
    ],
)
def test_arrays_that_do_not_fit_are_refused(broken) -> None:
    trust = Trust.of(held(RNG.normal(size=(50, 1)), RNG.normal(size=(50, 1))), NumberSpec(1), KNOWN)
    with pytest.raises(BadInput, match="what is kept of held-out rows has other shapes"):
        Trust.restore(trust.state() | broken, NumberSpec(1), 3)


def test_numbers_that_cannot_be_are_refused() -> None:
    trust = Trust.of(held(RNG.normal(size=(50, 1)), RNG.normal(size=(50, 1))), NumberSpec(1), KNOWN)
    falling = {"scores.0": np.array([2.0, 1.0], np.float32)}
    for broken in (falling, {"floor": np.zeros(1, np.float32)}):
        with pytest.raises(BadInput, match="must rise"):
            Trust.restore(trust.state() | broken, NumberSpec(1), 3)
    with pytest.raises(BadInput, match="has other shapes"):
        Trust.restore(trust.state(), NumberSpec(1), 4)
    with pytest.raises(BadInput, match="has other shapes"):
        Trust.restore(trust.state(), NumberSpec(1), 3, TableSpec(5))  # a view that these rows should have is missing


@pytest.mark.parametrize("name", ["scores.1", "views.1.means", "secret"])
def test_arrays_that_nobody_knows_are_refused(name) -> None:
    trust = Trust.of(held(RNG.normal(size=(50, 1)), RNG.normal(size=(50, 1))), NumberSpec(1), KNOWN)
    with pytest.raises(BadInput, match=f"held-out rows have no '{name}'"):
        Trust.restore(trust.state() | {name: np.ones(1, np.float32)}, NumberSpec(1), 3)


def test_label_scores_are_one_minus_a_chance() -> None:
    trust = Trust.of(held(np.full((4, 2), 0.5), np.zeros((4, 1), int)), LabelSpec((2,)), KNOWN)
    for broken in ([-0.5, 0.5], [0.5, 1.5]):
        with pytest.raises(BadInput, match="those of labels at most 1"):
            Trust.restore(trust.state() | {"scores.0": np.array(broken, np.float32)}, LabelSpec((2,)), 3)


def test_of_a_set_of_labels_each_has_the_threshold_of_its_own_rows() -> None:
    """A label that one row of ten has would be left out always, if the rows without it counted."""
    rng = np.random.default_rng(0)
    ids = (rng.random((20_000, 1)) < 0.1).astype(int)
    present = np.clip(0.1 + 0.3 * ids[:, 0] + 0.1 * rng.normal(size=20_000), 0.01, 0.99)
    answers = np.stack([1 - present, present], 1)
    spec = LabelSpec((2,), exclusive=False)
    trust = Trust.of(held(answers[:10_000], ids[:10_000]), spec, KNOWN)
    (inside,) = trust.sets(answers[10_000:], spec, 0.9)
    assert inside[ids[10_000:, 0] == 1, 1].mean() == pytest.approx(0.9, abs=0.03)
    assert inside[ids[10_000:, 0] == 0, 1].mean() < 0.3


@pytest.mark.parametrize("columns", [5, 100])
def test_a_row_of_empty_cells_is_unlike_all_rows_without(columns) -> None:
    """Filled with the centre of each column it would be the most ordinary of all."""
    rng = np.random.default_rng(0)
    table = pd.DataFrame(rng.normal(size=(300, columns)))
    model = TableClassifier(DNN(hidden=(8,)), recipe=Recipe(epochs=2, members=1)).fit(table, table[0] > 0)
    asked = pd.DataFrame(rng.normal(size=(101, columns)))
    asked.iloc[0] = np.nan
    asked.iloc[1, 0] = np.nan
    empty, one, *ordinary = model.unlike(asked)
    assert empty > 0.98
    assert one < 0.98  # an empty cell alone is nothing strange
    assert np.mean(ordinary) == pytest.approx(0.5, abs=0.12)


def test_of_categories_alone_gaps_are_counted_too() -> None:
    table = pd.DataFrame({"a": ["x", "y"] * 50, "b": ["u", "u", "v", "v"] * 25})
    model = TableClassifier(DNN(hidden=(8,)), recipe=Recipe(epochs=2, members=1)).fit(table, table["a"])
    known, unknown = model.unlike(pd.DataFrame({"a": ["x", "z"], "b": ["u", "w"]}))
    assert unknown == 1 > known
