"""Warnings about what is legal but surely wrong."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from decet.data import quality as module
from decet.data.quality import quality, repeated_rows
from decet.data.tables import Tables

RNG = np.random.default_rng(0)
N = 200
Y = RNG.choice(["yes", "no"], N)


def told(frame, y):
    return quality(frame, y, Tables().fit(frame))


@pytest.mark.parametrize(
    ("copy", "y"),
    [
        (np.where(Y == "yes", "j", "n"), Y),
        (np.where(Y == "yes", 1, 0), Y),
        (Y == "yes", Y),
        (np.arange(N) * -3.0 + 1, np.arange(N) * 1.0),
        (np.where(np.arange(N) % 9 == 0, np.nan, np.arange(N)), np.arange(N)),
    ],
)
def test_copies_of_the_target_are_named(copy, y):
    frame = pd.DataFrame({"fair": RNG.normal(size=N), "答案": copy})
    assert told(frame, y) == [
        "column '答案' gives the target away (one value for each answer); if it will not be known when predictions are "
        "made, leave it out with drop=(...)."
    ]
    assert (
        "columns 'a', 'b' give the target away" in told(pd.DataFrame({"a": copy, "b": copy, "c": RNG.random(N)}), y)[0]
    )


def test_good_columns_are_not_named():
    y = RNG.normal(size=N)
    frame = pd.DataFrame({"near": y + RNG.normal(size=N) / 10, "c": RNG.choice(["a", "b"], N), "k": 1.0})
    assert told(frame, y) == []
    assert told(frame, RNG.choice(["a", "b"], N)) == []
    assert told(frame, np.stack([y, y], axis=1)) == []  # several targets are not compared


def test_few_rows_agree_by_chance():
    assert told(pd.DataFrame({"a": [1.0, 2.0], "b": ["x", "y"]}), [1.0, 2.0]) == []


def test_repeated_rows_are_counted():
    frame = pd.DataFrame({"a": RNG.normal(size=N), "c": Y})
    frame = pd.concat([frame, frame.iloc[:3], frame.iloc[:2]])
    assert told(frame, RNG.normal(size=N + 5)) == [
        "5 of 205 rows repeat an earlier row; decet keeps copies on one side of its splits, a test set of your own "
        "may not."
    ]


@pytest.mark.parametrize("form", [pd.DataFrame, np.array, sparse.csr_matrix, sparse.csc_matrix])
def test_groups_of_repeated_rows(form):
    rows = form([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0], [0.0, 0.0], [1.0, 1.0]])
    assert repeated_rows(rows).tolist() == [0, 1, 0, 2, 3]


def test_stored_zeros_make_no_difference():
    rows = sparse.csr_matrix((np.array([2.0, 0.0, 2.0]), np.array([0, 1, 0]), np.array([0, 2, 3])), shape=(2, 2))
    assert repeated_rows(rows).tolist() == [0, 0]


def test_missing_values_repeat_too():
    frame = pd.DataFrame({"a": [np.nan, np.nan, 1], "b": ["x", "x", None]})
    assert repeated_rows(frame).tolist() == [0, 0, 1]


def test_cells_that_cannot_be_hashed_are_compared_as_text():
    assert repeated_rows(pd.DataFrame({"a": [{"x": 1}, {"x": 1}, {"x": 2}]})).tolist() == [0, 0, 1]


def test_tables_too_large_are_not_searched(monkeypatch):
    monkeypatch.setattr(module, "_MOST_CELLS", 3)
    assert repeated_rows(np.ones((2, 2))).tolist() == [0, 1]


@given(st.lists(st.lists(st.sampled_from([0.0, 1.0, -1.0, 2.5]), min_size=3, max_size=3), min_size=1, max_size=20))
def test_groups_are_rows_of_equal_content(rows):
    dense = np.array(rows)
    expected = [[tuple(a) == tuple(b) for a in rows] for b in rows]
    for form in (dense, sparse.csr_matrix(dense)):
        groups = repeated_rows(form)
        assert (groups[:, None] == groups[None, :]).tolist() == expected


@pytest.mark.parametrize("make", [list, pd.Series])
def test_sets_of_labels_are_copied_by_no_column(make):
    frame = pd.DataFrame({"a": RNG.normal(size=N)})
    assert told(frame, make([["x", "y"] if row else ["z"] for row in frame["a"] > 0])) == []
