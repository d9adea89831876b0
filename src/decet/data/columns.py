"""What a column of a table is: its kind, as said or as found in the training rows, and what was learned of it."""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from decet.errors import BadInput, Unsupported, listed

FIRST = 2  # the slot of a category's first value; 0 is unknown, 1 is missing
KINDS = ("number", "category", "date", "text")
WORDS = re.compile(r"[\u3400-\u9fff]+|[^\W_\u3400-\u9fff]+")  # a run of Han characters, or a word
_ENOUGH = 20  # rows below which distinct values do not yet make an identifier
_DATE = re.compile(
    r"\s*(\d{4}[-/.]\d{1,2}([-/.]\d{1,2})?|\d{1,2}[-/.]\d{1,2}[-/.]\d{4}|\d{1,2}[- ][A-Za-z]{3,9}[- ,]+\d{4})(\D|$)"
)
_IDENTIFIER = re.compile(r"(^|.*[^a-z])(id|idx|index|uuid|guid|key|rowid)$|.*(编号|編號|序号|序號)$")


@dataclass
class Column:
    """One column: its kind (number, category, date, text; or dropped, and why) and what was learned of it."""

    name: str
    kind: str
    dtype: str
    values: list[str] = field(default_factory=list)  # the values with a slot of their own, or the words
    flagged: bool = False  # missing in some training row, so it has a flag
    clock: bool = False  # a date with the time of day
    form: str | None = None  # how dates are written
    low: float = 0.0  # the training rows lie between, all but 1 % on either side
    high: float = 0.0

    @property
    def width(self) -> int:
        """Numbers it becomes."""
        match self.kind:
            case "number":
                return 1
            case "date":
                return 7 if self.clock else 5
            case "text":
                return len(self.values)
        return 0

    @property
    def whole(self) -> bool:
        """Whether its numbers are whole."""
        return self.kind == "number" and "int" in self.dtype.lower()

    @property
    def slots(self) -> int:
        """Slots of the category it becomes; 0 = it becomes none."""
        if self.kind == "category":
            return FIRST + len(self.values)
        return 2 if self.flagged else 0


def find_column(series: pd.Series, name: str, said: str | None, *, like_array: bool) -> Column:
    """The column's kind, as said by the user or as found in its training rows."""
    column = Column(name, said or "", str(series.dtype))
    if said == "drop":
        return column
    if len(series) and series.isna().all():
        column.kind = "all missing"
        return column
    if said == "date" or (not said and _looks_like_dates(series, column)):
        column.kind = "date"
    if not column.kind:
        column.kind = _find_kind(series, name, like_array)
    if column.kind == "date" and not _is_datetime(series):
        column.form = _date_form(series, name)
    return column


def _find_kind(series: pd.Series, name: str, like_array: bool) -> str:
    dtype = series.dtype
    if isinstance(dtype, pd.CategoricalDtype) or pd.api.types.is_bool_dtype(dtype):
        return "constant" if series.nunique(dropna=False) == 1 else "category"
    if pd.api.types.is_complex_dtype(dtype):
        raise BadInput(f"Complex data not supported: column {name!r}. Give real and imaginary parts apart.")
    if pd.api.types.is_numeric_dtype(dtype) or pd.api.types.is_timedelta64_dtype(dtype):
        return "number" if like_array else _kind_of_numbers(series, name)
    return _kind_of_objects(series, name)


def _kind_of_numbers(series: pd.Series, name: str) -> str:
    low, high = series.min(), series.max()
    if low == high and not series.isna().any():
        return "constant"
    count = len(series)
    if count >= _ENOUGH and pd.api.types.is_integer_dtype(series.dtype):
        # Row numbers, of which a split has taken some away; a year is no row number, as it does not begin at 0 or 1.
        counted = low <= 1 + count / 10 and high - low < 2 * count and series.is_monotonic_increasing
        if (counted or _named_like_identifier(name)) and series.is_unique:
            return "identifier"
    return "number"


def _named_like_identifier(name: str) -> bool:
    snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
    return _IDENTIFIER.match(snake) is not None


def _kind_of_objects(series: pd.Series, name: str) -> str:
    """The kind of a column of strings or of mixed Python values."""
    inferred = pd.api.types.infer_dtype(series, skipna=True)
    if inferred in ("floating", "integer", "mixed-integer-float", "decimal", "timedelta", "timedelta64"):
        return "number"
    values = series.dropna()
    try:
        uniques = pd.unique(values)
    except TypeError:
        row = int(np.flatnonzero([not _hashable(value) for value in series])[0])
        found = type(series.iloc[row]).__name__
        raise Unsupported(
            f"column {name!r} holds a {found} in row {row}; every argument must be a string or a number (a cell of "
            "its own for each value)."
        ) from None
    if len(uniques) == 1:
        return "constant" if len(values) == len(series) else "category"
    if inferred != "string":
        return "category"
    if _numeric_strings(uniques):
        return "number"
    share = len(uniques) / len(values)
    if share > 0.5 and _wordy(uniques):
        return "text"
    return "identifier" if share >= 0.95 and len(values) >= _ENOUGH else "category"


def _hashable(value: Any) -> bool:
    try:
        hash(value)
    except TypeError:
        return False
    return True


def _numeric_strings(uniques: Any) -> bool:
    """Numbers written as text; not codes such as 00501, whose zeros mean something."""
    codes = any(len(text) > 1 and text[0] == "0" and text.isdigit() for text in uniques[:1_000])
    return not codes and bool(pd.to_numeric(pd.Series(uniques), errors="coerce").notna().all())


def _wordy(uniques: Any) -> bool:
    """Whether values read like sentences: four words on average, Han characters counting half a word each."""
    some = uniques[:1_000]
    words = sum(sum(len(run) / 2 if run[0] >= "\u3400" else 1 for run in WORDS.findall(text)) for text in some)
    return bool(words >= 4 * len(some))


def _is_datetime(series: pd.Series) -> bool:
    return bool(pd.api.types.is_datetime64_any_dtype(series.dtype))


def _looks_like_dates(series: pd.Series, column: Column) -> bool:
    if _is_datetime(series):
        return True
    if pd.api.types.is_numeric_dtype(series.dtype) or isinstance(series.dtype, pd.CategoricalDtype):
        return False
    inferred = pd.api.types.infer_dtype(series, skipna=True)
    if inferred in ("date", "datetime", "datetime64"):
        return True
    if inferred != "string":
        return False
    some = series.dropna().iloc[:100]
    if not all(_DATE.match(text) for text in some):
        return False
    try:
        _date_form(series, column.name)
    except BadInput:
        return False
    return True


def _date_form(series: pd.Series, name: str) -> str | None:
    """The way these dates are written: the first reading under which every value is a date."""
    texts = pd.Series(pd.unique(series.dropna()))
    if pd.api.types.infer_dtype(texts) != "string":
        return None
    for form in (*_guesses(texts.iloc[0]), "ISO8601", "mixed"):
        if form and pd.to_datetime(texts, errors="coerce", format=form, utc=True).notna().all():
            return str(form)
    bad = texts[pd.to_datetime(texts, errors="coerce", format="mixed", utc=True).isna()]
    raise BadInput(f"column {name!r} is read as dates, but {bad.iloc[0]!r} is none. Write dates as 2026-01-31.")


def _guesses(text: str) -> list[str | None]:
    with warnings.catch_warnings(action="ignore"):  # that one of the two ways does not fit is what is asked here
        return [pd.tseries.api.guess_datetime_format(text, dayfirst=dayfirst) for dayfirst in (False, True)]


def left_out(columns: Sequence[Column]) -> list[str]:
    """A sentence for each reason to leave columns out."""
    reasons = {
        "identifier": "because each row has a value of its own, which cannot carry over to new rows",
        "constant": "because all rows have the same value",
        "all missing": "because all values are missing",
    }
    sentences = []
    for kind, reason in reasons.items():
        names = [column.name for column in columns if column.kind == kind]
        if names:
            word, verb = ("column", "was") if len(names) == 1 else ("columns", "were")
            sentences.append(f"{word} {listed(map(repr, names))} {verb} left out {reason}.")
    return sentences


def made_up(column: Column, count: int, rng: np.random.Generator) -> Any:
    """A Series of made-up cells within the column's range or vocabulary, with gaps where training may have them."""
    gaps = rng.random(count) < (0.1 if column.flagged or column.kind == "category" else 0.0)
    match column.kind:
        case "category":
            names = np.array([*column.values, "?"], dtype=object)  # "?": a value without a slot, in all likelihood
            made: Any = pd.Series(names[rng.integers(0, len(names), count)], dtype=object)
        case "text":
            chosen = rng.integers(0, len(column.values), (count, 8))
            made = pd.Series([" ".join(column.values[word] for word in row) for row in chosen], dtype=object)
        case "date":
            days = rng.uniform(column.low, column.high, count)
            made = pd.Series(pd.to_datetime((days if column.clock else np.floor(days)) * 86_400, unit="s"))
        case _:
            values = rng.uniform(column.low, column.high, count)
            made = pd.Series(np.round(values) if column.whole else values)
    return made.mask(gaps) if gaps.any() else made


def detail(column: Column) -> str:
    """What was learned of the column, in a few words."""
    flag = ", missing values flagged" if column.flagged else ""
    match column.kind:
        case "number":
            return f"mostly {column.low:.6g} to {column.high:.6g}{flag}"
        case "category":
            return (
                f"{len(column.values):,} values: {listed(column.values, 5)}" if column.values else "no frequent value"
            )
        case "date":
            days = (np.datetime64(int(day), "D") for day in (column.low, column.high))
            return f"mostly {' to '.join(map(str, days))}{flag}"
        case "text":
            return f"{len(column.values)} words: {listed(column.values, 5)}{flag}"
    return "left out"
