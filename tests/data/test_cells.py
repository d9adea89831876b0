"""From cells to raw numbers and slots."""

from __future__ import annotations

import datetime

import numpy as np
import pandas as pd
import pytest

from decet.data.cells import raw_values, refuse_infinite, seconds, slots, telling_words, vocabulary
from decet.data.columns import Column
from decet.errors import BadInput

NUMBER = Column("n", "number", "float64")


@pytest.mark.parametrize(
    "cells",
    [
        pd.Series([1, None, 2.5]),
        pd.Series([1, None, 2.5], dtype=object),
        pd.Series([1, pd.NA, 2.5], dtype="Float64"),
        pd.Series([1, None, 2.5], dtype="double[pyarrow]"),
        pd.Series(["1", None, " 2.5 "]),
        np.array([1, None, 2.5], dtype=object),
        np.array([1, pd.NA, 2.5], dtype=object),
        np.array(["1", None, "2.5"], dtype=object),
        np.array([1, np.nan, 2.5]),
        np.array([1, np.nan, 2.5], dtype=np.float32),
    ],
    ids=lambda cells: f"{type(cells).__name__}-{cells.dtype}",
)
def test_numbers_come_in_many_ways(cells):
    assert raw_values(NUMBER, cells, 0).tolist()[0] == pytest.approx([1, np.nan, 2.5], nan_ok=True)


def test_durations_are_seconds():
    cells = pd.Series(pd.to_timedelta(["1h", None]))
    assert raw_values(NUMBER, cells, 0)[0].tolist() == pytest.approx([3600, np.nan], nan_ok=True)
    assert raw_values(NUMBER, cells.astype(object).to_numpy(), 0)[0].tolist() == pytest.approx(
        [3600, np.nan], nan_ok=True
    )


@pytest.mark.parametrize("cells", [pd.Series([1, "old", 2], dtype=object), np.array([1, "old", 2], dtype=object)])
def test_text_among_numbers_is_told_by_column_and_row(cells):
    sentence = r"^column 'n' holds numbers, but row 11 has 'old'\. Correct it or leave it empty for missing\.$"
    with pytest.raises(BadInput, match=sentence):
        raw_values(NUMBER, cells, 10)
    with pytest.raises(BadInput, match="row 7 has 'old'"):  # the row of the whole table
        raw_values(NUMBER, cells, np.array([3, 7, 9]))


def test_infinite_values_are_told_by_column_and_row():
    with pytest.raises(
        BadInput, match=r"^column 'n' is infinite in row 12 \(-inf\)\. Replace infinite values by a number"
    ):
        refuse_infinite(np.array([[0, np.nan, -np.inf]]), "n", 10)


def test_dates_are_days_and_phases():
    column = Column("d", "date", "str", form="%Y-%m-%d")
    days, year_sin, year_cos, week_sin, week_cos = raw_values(column, pd.Series(["1970-01-01", None, "1970-01-08"]), 0)
    assert days.tolist() == pytest.approx([0, np.nan, 7], nan_ok=True)
    assert (year_sin[0], year_cos[0]) == (0, 1)
    assert week_sin[2] == pytest.approx(week_sin[0], abs=1e-12)
    assert week_cos[2] == pytest.approx(1)
    assert np.isnan(year_sin[1])


def test_dates_with_a_clock_have_the_phase_of_the_day():
    column = Column("d", "date", "datetime64[us]", clock=True)
    raw = raw_values(column, pd.Series(pd.to_datetime(["2026-01-31 06:00"])), 0)
    assert raw.shape == (7, 1)
    assert raw[5:, 0] == pytest.approx([1, 0], abs=1e-9)


@pytest.mark.parametrize(
    "cells",
    [
        pd.Series(["31/01/2026"]),
        pd.Series([pd.Timestamp("2026-01-31")]),
        np.array([pd.Timestamp("2026-01-31")], dtype=object),
        np.array([datetime.date(2026, 1, 31)], dtype=object),
        np.array(["31/01/2026"], dtype=object),
        pd.Series([pd.Timestamp("2026-01-31 08:00", tz="Asia/Taipei")]),
    ],
    ids=str,
)
def test_dates_come_in_many_ways(cells):
    column = Column("d", "date", "str", form="%d/%m/%Y")
    assert seconds(column, cells, 0).tolist() == [datetime.datetime(2026, 1, 31, tzinfo=datetime.UTC).timestamp()]


def test_what_is_no_date_is_told_by_column_and_row():
    column = Column("d", "date", "str", form="%d/%m/%Y")
    sentence = r"^column 'd' holds dates, but row 5 has '2026-01-31'\. Write it as the others, or leave it empty for"
    with pytest.raises(BadInput, match=sentence):
        seconds(column, pd.Series([None, "2026-01-31"]), 4)


def test_vocabulary_is_ordered_by_count_then_text():
    series = pd.Series(["b", "a", "c", "c", "a", "b", "d", None])
    assert vocabulary(series, 0, 10) == ["a", "b", "c", "d"]
    assert vocabulary(series, 1, 10) == ["a", "b", "c"]
    assert vocabulary(series, 0, 2) == ["a", "b"]


@pytest.mark.parametrize("form", [pd.Series, lambda cells: np.array(cells, dtype=object)])
def test_slots(form):
    column = Column("c", "category", "str", ["京", "1", "True"])
    lookup = {"京": 2, "1": 3, "True": 4}
    cells = ["京", None, "new", 1, 1.0, np.int64(1), "1", "True", float("nan"), pd.NA]
    assert list(slots(form(cells), lookup, column)) == [2, 1, 0, 3, 3, 3, 3, 4, 1, 1]
    assert list(slots(form([True, None]), lookup, column)) == [4, 1]


def test_telling_words_vary_between_texts():
    texts = pd.Series(["the cat", "the dog", "the cat and the dog", "the bird"])
    assert telling_words(texts, 2) == ["cat", "dog"]
    assert telling_words(pd.Series(["房間乾淨", "房間很髒", "早餐好"]), 1) == ["房間"]


def test_texts_are_log_counts_of_words():
    column = Column("t", "text", "str", ["cat", "dog", "房間"])
    raw = raw_values(column, pd.Series(["Cat, cat!", None, "my 房間 dog"]), 0)
    assert raw[:, 0] == pytest.approx(np.log1p([2, 0, 0]))
    assert np.isnan(raw[:, 1]).all()
    assert raw[:, 2] == pytest.approx(np.log1p([0, 1, 1]))
