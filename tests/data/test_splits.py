"""Splits and folds: no row twice, none lost, classes in proportion, groups whole, time in order."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from decet.data.splits import folds, split
from decet.errors import BadInput

RNG = np.random.default_rng(0)


def parts(splits):
    return [splits.train, splits.validation, splits.calibration, splits.test]


def sizes(splits):
    return [len(part) for part in parts(splits)]


def test_sizes():
    assert sizes(split(1_000, seed=0)) == [800, 100, 100, 0]
    assert sizes(split(1_000, seed=0, test=0.2)) == [640, 80, 80, 200]
    assert sizes(split(1_000, seed=0, fractions=(0.9, 0.1, 0.0))) == [900, 100, 0, 0]
    assert sizes(split(1_000, seed=0, fractions=(1, 0, 0))) == [1_000, 0, 0, 0]


@pytest.mark.parametrize("n", range(1, 12))
def test_train_has_rows_however_few_there_are(n):
    train, *others = sizes(split(n, seed=0))
    assert train >= max(others)
    assert n < 6 or others == [1, 1, 0]


def test_a_split_is_a_function_of_the_seed():
    first, again, other = (split(100, seed=seed) for seed in (3, 3, 4))
    assert (first.train == again.train).all()
    assert (first.train != other.train).any()
    state = np.random.get_state()[1].copy()
    split(100, seed=0)
    assert (np.random.get_state()[1] == state).all()  # no global generator is touched


def test_every_part_has_the_classes_in_proportion():
    labels = RNG.choice(3, 10_000, p=[0.9, 0.09, 0.01])
    whole = np.bincount(labels) / len(labels)
    for part in parts(split(10_000, seed=1, labels=labels, test=0.1)):
        assert np.bincount(labels[part], minlength=3) / len(part) == pytest.approx(whole, abs=0.002)


@pytest.mark.parametrize("seed", range(20))
def test_a_class_of_one_row_is_trained_on(seed):
    labels = np.array(["many"] * 60 + ["few"] * 3 + ["one"])
    found = split(64, seed=seed, labels=labels)
    assert set(labels[found.train]) == {"many", "few", "one"}
    assert sizes(found) == sizes(split(64, seed=seed))


@pytest.mark.parametrize("seed", range(5))
def test_groups_stay_on_one_side(seed):
    groups = RNG.integers(0, 300, 3_000)
    labels = groups % 2
    found = split(3_000, seed=seed, groups=groups, labels=labels, test=0.2)
    sides = [set(groups[part]) for part in parts(found)]
    assert sum(map(len, sides)) == len(set(groups))
    assert sizes(found) == pytest.approx([1_920, 240, 240, 600], abs=25)
    for part in parts(found):
        assert labels[part].mean() == pytest.approx(labels.mean(), abs=0.1)


def test_the_largest_group_trains():
    assert split(7, seed=0, groups=["a"] * 5 + ["b", "c"]).train.tolist() == [0, 1, 2, 3, 4]


def test_groups_that_are_missing_are_one_group():
    found = split(30, seed=0, groups=[None, *range(28), None])
    assert (0 in found.train) == (29 in found.train)


def test_later_rows_judge_earlier_ones():
    order = RNG.permutation(100)
    found = split(100, seed=0, order=order, test=0.1)
    times = [order[part] for part in parts(found)]
    assert [len(part) for part in times] == [72, 9, 9, 10]
    for earlier, later in itertools.pairwise(times):
        assert earlier.max() < later.min()


def test_order_may_be_dates_and_equal_times_stay_together():
    order = pd.Series(pd.to_datetime(["2026-01-31"] * 8 + ["2026-02-01"] * 2 + ["2026-02-02"]))
    found = split(11, seed=0, order=order)
    assert [part.tolist() for part in parts(found)] == [list(range(8)), [8, 9], [10], []]


def test_splits_that_cannot_be():
    def sentence(n, **wrong):
        with pytest.raises(BadInput) as caught:
            split(n, seed=0, **wrong)
        return str(caught.value)

    assert sentence(9, fractions=(0.5, 0.1, 0.1)) == (
        "fractions (train, validation, calibration) must sum to 1. Received: (0.5, 0.1, 0.1)."
    )
    assert sentence(9, test=1.5) == "test must be a number between 0 and 1. Received: 1.5."
    assert sentence(9, test=1) == "test must be less than 1, or no row is left to train on."
    assert sentence(9, labels=[1, 2]) == "labels must have one value a row. Received: 2 for 9 rows."
    assert sentence(2, groups=[1, 2], order=[1, 2]) == (
        "a split goes by groups or by order, not by both. Leave one out."
    )
    assert sentence(30, groups=[1, 2] * 15) == "3 parts need at least 3 groups or different times. Received: 2."
    assert sentence(3, order=[1.0, np.nan, 2.0]) == "order is missing in row 1; every row needs its time."


# ------------------------------------------------------------------------------------------------------------ folds


def test_folds_hold_every_row_out_once():
    labels = np.array([0] * 50 + [1] * 10)
    found = folds(60, 5, seed=0, labels=labels)
    assert [len(held) for _, held in found] == [12] * 5
    assert sorted(np.concatenate([held for _, held in found])) == list(range(60))
    for train, held in found:
        assert sorted([*train, *held]) == list(range(60))
        assert labels[held].sum() == 2


def test_folds_of_groups_and_of_time():
    groups = np.arange(40) // 4
    for train, held in folds(40, 3, seed=0, groups=groups):
        assert not set(groups[train]) & set(groups[held])
    found = folds(8, 3, seed=0, order=np.arange(8)[::-1])
    assert [(train.tolist(), held.tolist()) for train, held in found] == [
        ([6, 7], [4, 5]),
        ([4, 5, 6, 7], [2, 3]),
        ([2, 3, 4, 5, 6, 7], [0, 1]),
    ]


def test_folds_that_cannot_be():
    with pytest.raises(BadInput, match=r"^5 folds need at least 5 rows\. Received: 4\.$"):
        folds(4, 5, seed=0)
    with pytest.raises(BadInput, match=r"^3 folds need at least 3 groups\. Received: 2\.$"):
        folds(4, 3, seed=0, groups=[1, 1, 2, 2])
    with pytest.raises(BadInput, match=r"^3 folds need at least 4 different times\. Received: 2\.$"):
        folds(4, 3, seed=0, order=[1, 1, 2, 2])
    with pytest.raises(BadInput, match=r"^k must be a whole number of at least 2\. Received: 1\.$"):
        folds(4, 1, seed=0)


# ------------------------------------------------------------------------------------------------------- properties


@given(
    n=st.integers(1, 80),
    seed=st.integers(0, 2**64 - 1),
    test=st.sampled_from([0.0, 0.1, 0.5]),
    kinds=st.sampled_from(["plain", "labels", "groups", "groups and labels", "order"]),
    data=st.data(),
)
def test_every_row_is_in_one_part(n, seed, test, kinds, data):
    columns = {
        name: data.draw(st.lists(st.integers(0, 6), min_size=n, max_size=n))
        for name in ("labels", "groups", "order")
        if name in kinds
    }
    try:
        found = split(n, seed=seed, test=test, **columns)
    except BadInput as error:
        assert "groups or different times" in str(error)
        return
    assert sorted(np.concatenate(parts(found))) == list(range(n))
    assert len(found.train) > 0
    for part in parts(found):
        assert part.dtype == np.int64
        assert (np.diff(part) > 0).all()
    whole = columns.get("groups") or columns.get("order")
    if whole:
        sides = [{whole[row] for row in part} for part in parts(found)]
        assert sum(map(len, sides)) == len(set(whole))


@given(st.integers(2, 40), st.integers(2, 6), st.integers(0, 9))
def test_folds_differ_in_size_by_one_at_most(n, k, seed):
    if k <= n:
        held = [len(held) for _, held in folds(n, k, seed=seed)]
        assert sum(held) == n
        assert max(held) - min(held) <= 1


@pytest.mark.parametrize(
    ("name", "allowed"),
    [("groups", "numbers, texts or dates"), ("order", "numbers, texts or dates, all of one kind")],
)
@pytest.mark.parametrize(("values", "kinds"), [([{}] * 20, "dict"), ([[1]] * 10 + [[1, 2]] * 10, "list")])
def test_values_that_cannot_be_compared_are_refused(name, allowed, values, kinds):
    column = np.empty(20, dtype=object)
    column[:] = values
    with pytest.raises(BadInput, match=f"^{name} must be {allowed}. Received: {kinds}.$"):
        split(20, seed=0, **{name: column})


def test_values_of_two_kinds_are_groups_but_have_no_order():
    column = np.array([1, "a", 3, "b"] * 5, dtype=object)
    assert len(split(20, seed=0, groups=column).train)
    with pytest.raises(BadInput, match=r"^order must be .*, all of one kind. Received: int, str\.$"):
        split(20, seed=0, order=column)
