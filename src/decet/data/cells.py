"""From the cells of a column to raw numbers and category slots; what cannot be read is refused with column and row."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pandas as pd

from decet.data.columns import FIRST, WORDS, Column
from decet.data.scaling import some
from decet.errors import BadInput, Unsupported

DOCUMENTS = 50_000  # texts that words are counted in
UNKNOWN, MISSING = range(FIRST)  # slots
_YEAR = 365.2425  # days
Origin = int | np.ndarray  # where in the whole table the rows at hand stand: from this row on, or at these positions


def vocabulary(series: pd.Series, rare: int, most: int) -> list[str]:
    """The values that get a slot, most frequent first, equal counts in order of the text."""
    codes, uniques = _factorise(series, series.name)
    counts: Counter[str] = Counter()
    for value, count in zip(uniques, np.bincount(codes[codes >= 0], minlength=len(uniques)), strict=True):
        counts[_key(value)] += int(count)
    kept = [(count, value) for value, count in counts.items() if count > rare]
    kept.sort(key=lambda pair: (-pair[0], pair[1]))
    return [value for _, value in kept[:most]]


def telling_words(series: pd.Series, most: int) -> list[str]:
    """Words found in many texts but not in all: those whose presence varies most."""
    texts = series.iloc[some(len(series), DOCUMENTS)].dropna()
    counts = Counter(word for text in texts for word in set(_words(str(text))))
    varied = sorted(counts, key=lambda word: (counts[word] * (counts[word] - len(texts)), -counts[word], word))
    return [word for word in varied[:most] if 1 < counts[word] < len(texts)] or varied[:1]


def raw_values(column: Column, cells: Any, origin: Origin) -> np.ndarray:
    """What a column becomes before scaling, (width, b) float64, NaN = missing."""
    match column.kind:
        case "number":
            return _floats(column, cells, origin)[None]
        case "date":
            return _phases(seconds(column, cells, origin) / 86_400, column.clock)
    return _word_counts(column, cells)


def refuse_infinite(raw: np.ndarray, name: str, origin: Origin) -> None:
    """Raise `BadInput` where a raw value (width, b) is infinite."""
    found = np.argwhere(np.isinf(raw))
    if len(found):
        feature, row = found[0]
        raise BadInput(
            f"column {name!r} is infinite in row {_row(int(row), origin)} ({raw[feature, row]}). Replace infinite "
            "values by a number, or by NaN for missing."
        )


def _row(at: int, origin: Origin) -> int:
    """The row of the whole table."""
    return origin + at if isinstance(origin, int) else int(origin[at])


def _floats(column: Column, cells: Any, origin: Origin) -> np.ndarray:
    if isinstance(cells, pd.Series):
        if pd.api.types.is_timedelta64_dtype(cells.dtype):
            return cells.dt.total_seconds().to_numpy(dtype=np.float64)
        if isinstance(cells.dtype, np.dtype) and cells.dtype.kind in "iufb":
            return cells.to_numpy(dtype=np.float64)
        if pd.api.types.is_numeric_dtype(cells.dtype):
            return cells.to_numpy(dtype=np.float64, na_value=np.nan)
    elif cells.dtype.kind in "iufb":
        return np.asarray(cells, dtype=np.float64)
    else:
        try:
            return cells.astype(np.float64)
        except (TypeError, ValueError):
            cells = pd.Series(cells)
    if pd.api.types.infer_dtype(cells, skipna=True) in ("timedelta", "timedelta64"):
        return pd.to_timedelta(cells).dt.total_seconds().to_numpy(dtype=np.float64)
    numbers = pd.to_numeric(cells.astype(object), errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    wrong = np.flatnonzero(np.isnan(numbers) & cells.notna().to_numpy())
    if len(wrong):
        row = int(wrong[0])
        raise BadInput(
            f"column {column.name!r} holds numbers, but row {_row(row, origin)} has {cells.iloc[row]!r}. Correct it "
            "or leave it empty for missing."
        )
    return numbers


def seconds(column: Column, cells: Any, origin: Origin) -> np.ndarray:
    """Seconds since 1970 in UTC."""
    series = pd.Series(cells)
    times = pd.to_datetime(series, errors="coerce", format=column.form, utc=True)
    wrong = np.flatnonzero((times.isna() & series.notna()).to_numpy())
    if len(wrong):
        row = int(wrong[0])
        raise BadInput(
            f"column {column.name!r} holds dates, but row {_row(row, origin)} has {series.iloc[row]!r}. Write it as "
            "the others, or leave it empty for missing."
        )
    micros = times.dt.tz_localize(None).to_numpy(dtype="datetime64[us]")
    return np.where(np.isnat(micros), np.nan, micros.astype(np.int64) / 1e6)


def _phases(days: np.ndarray, clock: bool) -> np.ndarray:
    """Days since 1970 and where in the year, the week (and the day) they lie, as points on circles (5 or 7, b)."""
    turns = [days / _YEAR, days / 7, days] if clock else [days / _YEAR, days / 7]
    circles = [wave(2 * np.pi * (turn % 1)) for turn in turns for wave in (np.sin, np.cos)]
    return np.stack([days, *circles])


def _words(text: str) -> list[str]:
    """Lower-case words; runs of Han characters as overlapping pairs, since no blanks divide their words."""
    words = []
    for run in WORDS.findall(text.lower()):
        words += [run[i : i + 2] for i in range(max(1, len(run) - 1))] if run[0] >= "\u3400" else [run]
    return words


def _word_counts(column: Column, cells: Any) -> np.ndarray:
    places = {word: index for index, word in enumerate(column.values)}
    counts = np.zeros((len(column.values), len(cells)))
    for row, text in enumerate(cells):
        if _missing(text):
            counts[:, row] = np.nan
            continue
        for word in _words(str(text)):
            if (place := places.get(word)) is not None:
                counts[place, row] += 1
    return np.log1p(counts)


def _missing(value: Any) -> bool:
    return value is None or value is pd.NA or value != value


def _key(value: Any) -> str:
    """One spelling a value: 1, 1.0, np.int64(1) and "1" are the same category, as files tell them apart at will."""
    if isinstance(value, str):
        return value
    if isinstance(value, (float, np.floating)) and value.is_integer():
        return str(int(value))
    return str(value)


def _factorise(series: pd.Series, name: Any) -> tuple[np.ndarray, Any]:
    try:
        return pd.factorize(series, use_na_sentinel=True)
    except TypeError as error:
        raise Unsupported(f"column {str(name)!r} holds values that are no categories ({error}).") from error


def slots(cells: Any, lookup: dict[str, int], column: Column) -> np.ndarray | list[int]:
    """The slot of each value. Few values come as an array of objects: without pandas, one takes microseconds."""
    if not isinstance(cells, pd.Series):
        return [MISSING if _missing(v) else lookup.get(v if type(v) is str else _key(v), UNKNOWN) for v in cells]
    codes, uniques = _factorise(cells, column.name)
    table = [lookup.get(_key(value), UNKNOWN) for value in uniques]
    return np.array([*table, MISSING], dtype=np.int64)[codes]  # code -1 = missing
