"""Kinds of columns, as found in the training rows."""

from __future__ import annotations

import datetime
import decimal

import numpy as np
import pandas as pd
import pytest

from decet.data.columns import Column, find_column, left_out
from decet.errors import BadInput, Unsupported

N = 40
RNG = np.random.default_rng(0)
SENTENCES = [f"the {a} cat sat on mat {i}" for i, a in enumerate(["red", "old"] * (N // 2))]
REVIEWS = [f"房間很乾淨服務也不錯第{i}次" for i in range(N)]


def kind(values, name="c", *, said=None, like_array=False):
    series = values if isinstance(values, pd.Series) else pd.Series(values)
    return find_column(series, name, said, like_array=like_array).kind


@pytest.mark.parametrize(
    ("values", "found"),
    [
        (RNG.normal(size=N), "number"),
        (RNG.integers(0, 5, N), "number"),
        (pd.Series([1, 2, None] * 9, dtype="Int64"), "number"),
        (pd.Series([1.5, 2, None] * 9, dtype="double[pyarrow]"), "number"),
        ([decimal.Decimal("1.5"), decimal.Decimal(2), None] * 9, "number"),
        (pd.Series([1, 2.5, None] * 9, dtype=object), "number"),
        (["1", "2.5", None] * 9, "number"),
        (pd.to_timedelta([1, 2, 3] * 9, unit="h"), "number"),
        ([True, False] * 20, "category"),
        ([True, False, None] * 9, "category"),
        (["北京", "上海"] * 20, "category"),
        (["00501", "10001"] * 20, "category"),  # zeros in front mean something
        (pd.Categorical([1, 2] * 20), "category"),
        ([1, "a", 2.5] * 9, "category"),
        (["x", None] * 20, "category"),  # present or missing is a difference
        (pd.date_range("2026", periods=N), "date"),
        (pd.date_range("2026", periods=N, tz="Asia/Taipei"), "date"),
        ([datetime.date(2026, 1, 31), None] * 20, "date"),
        (["2026-01-31", "2026-02-01", None] * 9, "date"),
        (["31/01/2026", "01/02/2026"] * 9, "date"),
        (["2026-01-31T10:00:00Z", "2026-02-01T11:30:00Z"] * 9, "date"),
        (["5 Mar 2026", "17 Dec 2025"] * 9, "date"),
        (["2026-01-31", "someday"] * 9, "category"),
        (["10-20", "20-30"] * 9, "category"),  # bands, not dates
        (SENTENCES, "text"),
        (REVIEWS, "text"),
        ([f"user-{i}" for i in range(N)], "identifier"),
        ([7] * N, "constant"),
        (["x"] * N, "constant"),
        ([True] * N, "constant"),
        (pd.Categorical(["x"] * N), "constant"),
        ([None] * N, "all missing"),
        ([np.nan] * N, "all missing"),
    ],
    ids=lambda value: str(value)[:40].replace("\n", " "),
)
def test_kind_is_found(values, found):
    assert kind(values) == found


@pytest.mark.parametrize("name", ["id", "ID", "user_id", "PassengerId", "row index", "uuid", "訂單編號"])
def test_whole_numbers_named_like_identifiers(name):
    numbers = RNG.permutation(10_000)[:N]
    assert kind(numbers, name) == "identifier"
    assert kind(numbers, "amount") == "number"
    assert kind(numbers.astype(float), name) == "number"  # measured, not counted
    assert kind(np.resize(numbers, 2 * N), name) == "number"  # not one each


@pytest.mark.parametrize("name", ["paid", "grid", "humid", "monkey", "width"])
def test_words_that_only_end_like_identifiers(name):
    assert kind(RNG.permutation(10_000)[:N], name) == "number"


def test_row_numbers_are_identifiers_even_after_a_split():
    assert kind(np.arange(100), "nr") == "identifier"
    assert kind(np.arange(1, 101)[np.sort(RNG.permutation(100)[:80])], "nr") == "identifier"
    assert kind(np.arange(1980, 2026), "year") == "number"
    assert kind(RNG.permutation(100), "rank") == "number"


def test_arrays_have_neither_identifiers_nor_constants():
    assert kind(np.arange(100), "x0", like_array=True) == "number"
    assert kind(np.ones(100), "x0", like_array=True) == "number"


def test_few_rows_are_no_proof_of_an_identifier():
    assert kind(["a", "b", "c"]) == "category"
    assert kind([1, 2, 3], "id") == "number"


@pytest.mark.parametrize("said", ["number", "category", "date", "text", "drop"])
def test_what_the_user_says_wins(said):
    assert kind([f"2026-01-{i:02}" for i in range(1, 30)], said=said) == said


def test_day_and_month_are_told_apart_by_all_values():
    assert find_column(pd.Series(["01/02/2026", "31/01/2026"]), "d", None, like_array=False).form == "%d/%m/%Y"
    assert find_column(pd.Series(["01/02/2026", "01/31/2026"]), "d", None, like_array=False).form == "%m/%d/%Y"


def test_dates_that_are_none():
    with pytest.raises(
        BadInput, match=r"^column 'd' is read as dates, but 'soon' is none\. Write dates as 2026-01-31\.$"
    ):
        kind(["2026-01-31", "soon"], "d", said="date")


def test_cells_that_are_no_values():
    with pytest.raises(
        Unsupported, match="column 'c' holds a list in row 1; every argument must be a string or a number"
    ):
        kind(["a", ["b"], "c"])
    with pytest.raises(BadInput, match="Complex data not supported: column 'c'"):
        kind([1j, 2j])


def test_left_out_columns_are_told_with_the_reason():
    columns = [Column("id", "identifier", "int64"), Column("號", "identifier", "str"), Column("age", "number", "int64")]
    columns += [Column("k", "constant", "str"), Column("m", "all missing", "float64"), Column("q", "drop", "str")]
    assert left_out(columns) == [
        "columns 'id', '號' were left out because each row has a value of its own, which cannot carry over to "
        "new rows.",
        "column 'k' was left out because all rows have the same value.",
        "column 'm' was left out because all values are missing.",
    ]
