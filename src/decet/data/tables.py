"""Tables: rows of numbers, categories, dates and texts, turned into the two tensors that networks read.

`Tables` holds the settings; `Tables.fit` looks at the training rows and gives a `TableCodec`, whose `encode` turns a
table into numbers (B, F) float32 and categories (B, C) int64. Every statistic comes from the training rows alone.

A number is standardised, or mapped onto a normal distribution by its training quantiles (Gorishniy et al. 2021,
arXiv 2106.11959, without their noise: equal values share the middle of their ranks). A missing number becomes the
centre of the training rows, and a flag, itself a category, says so. A category is a slot: 0 unknown, 1 missing,
2 and above the values seen in training. A date becomes days and the phases of year, week and day; a text the
log-counts of its most telling words. Rows are counted from 0 in every message.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any

import numpy as np
import pandas as pd
import torch
from scipy import sparse
from scipy.special import ndtri
from torch import Tensor

from decet.contracts import Sparse, TableSpec
from decet.data.frames import pop_target, read_table
from decet.data.quality import quality, repeated_rows
from decet.errors import BadInput, Unsupported, check_choice, check_range, listed, suggest

__all__ = ["Column", "SparseCodec", "TableCodec", "Tables", "pop_target", "quality", "read_table", "repeated_rows"]

UNKNOWN, MISSING, FIRST = 0, 1, 2  # slots of a category
KINDS = ("number", "category", "date", "text")
_SAMPLE = 200_000  # rows that quantiles are taken from
_KNOTS = 1_000  # quantiles kept of a number
_BLOCK = 4_096  # rows encoded at a time, so that temporaries stay small
_FEW = 64  # rows up to which columns are read as Python values, which is faster for few rows
_DOCUMENTS = 50_000  # texts that words are counted in
_ENOUGH = 20  # rows below which distinct values do not yet make an identifier
_YEAR = 365.2425
_WORDS = re.compile(r"[\u3400-\u9fff]+|[^\W_\u3400-\u9fff]+")
_DATE = re.compile(
    r"\s*(\d{4}[-/.]\d{1,2}([-/.]\d{1,2})?|\d{1,2}[-/.]\d{1,2}[-/.]\d{4}|\d{1,2}[- ][A-Za-z]{3,9}[- ,]+\d{4})(\D|$)"
)
_IDENTIFIER = re.compile(r"(^|.*[^a-z])(id|idx|index|uuid|guid|key|rowid)$|.*(编号|編號|序号|序號)$")


@dataclass(frozen=True)
class Tables:
    """How columns are read. What is None is found from the training rows."""

    scale: str | None = None  # quantile, standard or none; None: quantile from 1,000 training rows on, else standard
    bins: int = 48  # quantile bins kept of each number for binned embeddings
    number: tuple[str, ...] | None = None  # columns to read as numbers
    category: tuple[str, ...] | None = None  # columns to read as categories
    date: tuple[str, ...] | None = None  # columns to read as dates
    text: tuple[str, ...] | None = None  # columns to read as texts
    drop: tuple[str, ...] | None = None  # columns to leave out
    max_categories: int = 10_000  # values of a category column that get a slot, the most frequent first
    rare: int = 1  # a value seen this often or less in training shares the unknown slot and so trains it; 0: none
    max_words: int = 64  # words of a text column

    def __post_init__(self) -> None:
        check_choice("scale", self.scale, ("quantile", "standard", "none"))
        check_range("bins", self.bins, 1, whole=True)
        check_range("max_categories", self.max_categories, 1, whole=True)
        check_range("rare", self.rare, 0, whole=True)
        check_range("max_words", self.max_words, 1, whole=True)
        for kind in (*KINDS, "drop"):
            names = getattr(self, kind)
            if names is not None:
                object.__setattr__(self, kind, (names,) if isinstance(names, str) else tuple(map(str, names)))
        said = [name for kind in (*KINDS, "drop") for name in getattr(self, kind) or ()]
        twice = [name for name, count in Counter(said).items() if count > 1]
        if twice:
            raise BadInput(f"column {twice[0]!r} is said to be of two kinds. Name it once.")

    def fit(self, frame: Any, rows: np.ndarray | None = None) -> TableCodec:
        """Learn kinds, scales and vocabularies from the training rows (`rows`, positions; None = all)."""
        frame = _as_table(frame)
        if sparse.issparse(frame):
            return SparseCodec.learn(self, frame, rows)
        return TableCodec.learn(self, frame, rows)

    def said(self, name: str) -> str | None:
        """The kind that the user gave this column, if any."""
        return next((kind for kind in (*KINDS, "drop") if name in (getattr(self, kind) or ())), None)


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
    def slots(self) -> int:
        """Slots of the category it becomes; 0 = it becomes none."""
        if self.kind == "category":
            return FIRST + len(self.values)
        return 2 if self.flagged else 0


@dataclass
class Scaling:
    """How one number is scaled: (x - mean) / std, or along the knots (x of the knots, their scaled values)."""

    mean: float = 0.0
    std: float = 1.0
    fill: float = 0.0  # the scaled value of what is missing
    knots: np.ndarray = field(default_factory=lambda: np.empty((2, 0)))
    edges: np.ndarray = field(default_factory=lambda: np.empty(0))

    def apply(self, x: np.ndarray) -> np.ndarray:
        if self.knots.shape[1]:
            return np.interp(x, self.knots[0], self.knots[1])
        return (x - self.mean) / self.std


class TableCodec:
    """Turns tables into tensors and back into words. Made by `Tables.fit` or `restore`.

    spec      TableSpec for the network
    columns   list of Column, in the order of the training table
    warnings  sentences about the training table (columns left out and why)
    remarks   sentences about the table encoded last (columns ignored)
    unseen    {column: how many of its values had no slot} of the table encoded last
    """

    spec: TableSpec

    def __init__(self, columns: list[Column], scalings: list[Scaling], warnings: Sequence[str] = ()) -> None:
        self.columns = columns
        self.scalings = scalings
        self.warnings = list(warnings)
        self.remarks: list[str] = []
        self.unseen: dict[str, int] = {}
        self._arrange()

    @classmethod
    def learn(cls, tables: Tables, frame: pd.DataFrame, rows: np.ndarray | None) -> TableCodec:
        """See `Tables.fit`."""
        names = list(frame.columns)
        for name in (name for kind in (*KINDS, "drop") for name in getattr(tables, kind) or ()):
            if name not in names:
                raise BadInput(f"X has no column {name!r}, which the settings name.{suggest(name, names)}")
        count = len(frame) if rows is None else len(rows)
        scale = tables.scale or ("quantile" if count >= 1_000 else "standard")
        columns, scalings = [], []
        for position, name in enumerate(names):
            series = frame.iloc[:, position]
            series = series if rows is None else series.iloc[rows]
            column = _find(series, name, tables.said(name), like_array=_is_array(names))
            columns.append(column)
            if column.kind in KINDS:
                scalings += _learn(column, series, tables, scale)
        if not any(column.kind in KINDS for column in columns):
            raise BadInput(f"X has no column to learn from. {' '.join(_left_out(columns))}")
        return cls(columns, scalings, _left_out(columns))

    def _arrange(self) -> None:
        """Where each column stands in the two tensors, and everything that one row should not have to work out."""
        self._used = [column for column in self.columns if column.kind in KINDS]
        self._names = [column.name for column in self._used]
        self._all_names = [column.name for column in self.columns]
        self._lookups = [{value: slot for slot, value in enumerate(c.values, FIRST)} for c in self._used]
        self._starts = np.cumsum([0, *(column.width for column in self._used)]).tolist()
        self._flags = dict(self._flag_places())
        self._mean = np.array([s.mean for s in self.scalings])[:, None]  # (F, 1)
        self._std = np.array([s.std for s in self.scalings])[:, None]
        self._fill = np.array([s.fill for s in self.scalings])[:, None]
        self._curves = [(index, s.knots[0], s.knots[1]) for index, s in enumerate(self.scalings) if s.knots.shape[1]]
        self._plain = len(self._curves) < len(self.scalings)
        self._numeric = all(column.kind == "number" for column in self._used)
        self.spec = TableSpec(
            numbers=len(self.scalings),
            categories=tuple(column.slots for column in self._used if column.slots),
            edges=tuple(tuple(s.edges.tolist()) for s in self.scalings),
        )

    def _flag_places(self) -> Iterable[tuple[int, int]]:
        slots = [column for column in self._used if column.slots]
        for index, column in enumerate(slots):
            if column.kind != "category":
                yield self._starts[self._used.index(column)], index

    # ------------------------------------------------------------------------------------------------- encode

    def encode(self, frame: Any) -> tuple[Tensor | Sparse, Tensor]:
        """The numbers (B, F) float32 and categories (B, C) int64 of a table (DataFrame, 2-D array or sparse matrix).

        A table by the training names may have its columns in any order; an array is read by position. Raises
        `BadInput` on a missing column, on text in a number column and on infinite values.
        """
        self.remarks, self.unseen = [], {}
        if not isinstance(frame, (pd.DataFrame, np.ndarray)):
            frame = _as_table(frame)
        if sparse.issparse(frame):
            frame = frame.toarray()
        count = len(frame)
        numbers = np.empty((count, self.spec.numbers), dtype=np.float32)
        categories = np.zeros((count, len(self.spec.categories)), dtype=np.int64)
        columns = self._cells(frame)
        slot = 0
        for column, lookup, cells in zip(self._used, self._lookups, columns, strict=True):
            if column.kind == "category":
                categories[:, slot] = _slots(cells, lookup, column)
                if unknown := count - int(np.count_nonzero(categories[:, slot])):
                    self.unseen[column.name] = unknown
            slot += column.slots > 0
        for start in range(0, count, _BLOCK):
            stop = min(start + _BLOCK, count)
            self._encode_numbers(columns, start, stop, numbers, categories)
        return torch.from_numpy(numbers), torch.from_numpy(categories)

    def _encode_numbers(
        self, columns: list[Any], start: int, stop: int, numbers: np.ndarray, categories: np.ndarray
    ) -> None:
        """Rows start to stop: read, check, scale in float64, fill what is missing, store as float32."""
        raw = np.empty((self.spec.numbers, stop - start))  # (F, b): a number's values lie side by side
        for column, cells, at in zip(self._used, columns, self._starts, strict=False):
            if column.width:
                raw[at : at + column.width] = _raw(column, cells[start:stop], start)
        missing = None
        if not np.isfinite(raw).all():
            self._refuse_infinite(raw, start)
            missing = np.isnan(raw)
            for at, slot in self._flags.items():
                categories[start:stop, slot] = missing[at]
        scaled = (raw - self._mean) / self._std if self._plain else raw
        for index, knots, heights in self._curves:
            scaled[index] = np.interp(raw[index], knots, heights)
        if missing is not None:
            scaled = np.where(missing, self._fill, scaled)
        numbers[start:stop] = scaled.T

    def _refuse_infinite(self, raw: np.ndarray, start: int) -> None:
        found = np.argwhere(np.isinf(raw))
        if len(found):
            feature, row = found[0]
            name = self._names[int(np.searchsorted(self._starts, feature, side="right")) - 1]
            raise BadInput(
                f"column {name!r} is infinite in row {start + row} ({raw[feature, row]}). Replace infinite values by "
                "a number, or by NaN for missing."
            )

    def _cells(self, frame: pd.DataFrame | np.ndarray) -> list[Any]:
        """The used columns, each as something that can be sliced by rows: an array, a Series or a list."""
        if isinstance(frame, np.ndarray):
            return [frame[:, position] for position in self._positions([f"x{i}" for i in range(frame.shape[1])])]
        positions = self._positions(frame.columns.tolist())
        if len(frame) > _FEW:
            return [frame.iloc[:, position] for position in positions]
        cells = frame.to_numpy() if self._numeric else frame.to_numpy(dtype=object)
        return [cells[:, position] for position in positions]

    def _positions(self, names: list[Any]) -> list[int]:
        """Where the used columns stand in a table with these names."""
        names = [str(name) for name in names]
        where = {name: position for position, name in enumerate(names)}
        try:
            positions = [where[name] for name in self._names]
        except KeyError:
            if len(names) == len(self._all_names) and _is_array(names) != _is_array(self._all_names):
                return [self._all_names.index(name) for name in self._names]  # one of the two has no names
            self._refuse_missing(names)
        extra = where.keys() - set(self._all_names) if len(names) > len(positions) else ()
        if extra:
            told = listed(repr(name) for name in names if name in extra)
            self.remarks.append(f"columns that training did not see were ignored: {told}.")
        return positions

    def _refuse_missing(self, names: list[str]) -> None:
        lacking = [name for name in self._names if name not in names]
        if _is_array(names) and _is_array(self._all_names):
            raise BadInput(f"X has {len(names)} columns, training had {len(self._all_names)}.")
        free = [name for name in names if name not in self._names]
        hint = suggest(lacking[0], free).split(" Choose")[0]
        if len(lacking) == 1:
            raise BadInput(f"X lacks column {lacking[0]!r}, which training had.{hint}")
        raise BadInput(f"X lacks {len(lacking)} columns which training had: {listed(map(repr, lacking))}.{hint}")

    # ------------------------------------------------------------------------------------- made-up rows, state

    def sample(self, count: int, seed: int) -> Any:
        """Made-up rows from the ranges and vocabularies, unknown and missing values among them; no user's row."""
        rng = np.random.Generator(np.random.Philox(seed))
        return pd.DataFrame({column.name: _made_up(column, count, rng) for column in self._used})

    def description(self) -> list[dict[str, str]]:
        """One dict a column (name, kind, detail) for people to read."""
        return [{"name": c.name, "kind": c.kind, "detail": _detail(c)} for c in self.columns]

    def state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """What `restore` needs: values for JSON, and arrays by name."""
        parts = {"knots": [s.knots.T for s in self.scalings], "edges": [s.edges for s in self.scalings]}
        arrays = {name: np.array([getattr(s, name) for s in self.scalings]) for name in ("mean", "std", "fill")}
        for name, pieces in parts.items():
            empty = np.empty((0, 2)) if name == "knots" else np.empty(0)
            arrays[name] = np.ascontiguousarray(np.concatenate([empty, *pieces]))
            arrays[f"{name}_sizes"] = np.array([len(piece) for piece in pieces], dtype=np.int64)
        return {"columns": [asdict(column) for column in self.columns], "warnings": self.warnings}, arrays

    @classmethod
    def restore(cls, state: Mapping[str, Any], arrays: Mapping[str, Any]) -> TableCodec:
        """The codec whose `state` this is; it encodes to the same bits."""
        if "width" in state:
            return SparseCodec(int(state["width"]), np.asarray(arrays["scale"]), np.asarray(arrays["density"]))
        known = {f.name for f in fields(Column)}
        columns = [Column(**{key: value for key, value in c.items() if key in known}) for c in state["columns"]]
        array = {name: np.asarray(values) for name, values in arrays.items()}
        cuts = {name: np.cumsum(array[f"{name}_sizes"])[:-1] for name in ("knots", "edges")}
        knots, edges = (np.split(array[name], cuts[name]) for name in ("knots", "edges"))
        count = sum(column.width for column in columns)
        scalings = [
            Scaling(
                float(array["mean"][i]), float(array["std"][i]), float(array["fill"][i]), knots[i].T.copy(), edges[i]
            )
            for i in range(count)
        ]
        return cls(columns, scalings, state.get("warnings", ()))


class SparseCodec(TableCodec):
    """Rows of a sparse matrix: each column divided by its largest training magnitude, so zeros stay zeros."""

    def __init__(self, width: int, scale: np.ndarray, density: np.ndarray) -> None:
        self.width, self.scale, self.density = width, scale, density
        self.columns, self.scalings, self.warnings, self.remarks, self.unseen = [], [], [], [], {}
        self.spec = TableSpec(numbers=width, sparse=True)

    @classmethod
    def learn(cls, tables: Tables, frame: Any, rows: np.ndarray | None) -> SparseCodec:
        if tables.scale == "quantile":
            raise BadInput("scale='quantile' would fill the zeros of a sparse table. Use 'standard' or 'none'.")
        table = frame if rows is None else frame[rows]
        _check_sparse(table)
        largest = abs(table).max(axis=0).toarray().ravel().astype(np.float64)
        used = (largest > 0) & (tables.scale != "none")
        density = np.array([table.nnz / max(1, table.shape[0] * table.shape[1])])
        return cls(table.shape[1], np.where(used, largest, 1.0), density)

    def encode(self, frame: Any) -> tuple[Tensor | Sparse, Tensor]:
        """The numbers as `Sparse` (B, F) and no categories (B, 0)."""
        table = frame if sparse.issparse(frame) else sparse.csr_matrix(np.asarray(frame, dtype=np.float64))
        table = table.tocsr()
        if table.shape[1] != self.width:
            raise BadInput(f"X has {table.shape[1]} columns, training had {self.width}.")
        if not table.has_canonical_format:
            table = table.copy()
            table.sum_duplicates()
        _check_sparse(table)
        values = (table.data / self.scale[table.indices]).astype(np.float32)
        numbers = Sparse(
            torch.from_numpy(table.indptr.astype(np.int64)),
            torch.from_numpy(table.indices.astype(np.int64)),
            torch.from_numpy(values),
            self.width,
        )
        return numbers, torch.empty((table.shape[0], 0), dtype=torch.int64)

    def sample(self, count: int, seed: int) -> Any:
        rng = np.random.Generator(np.random.Philox(seed))
        density = min(1.0, max(float(self.density[0]), 1.0 / self.width))
        table = sparse.random(count, self.width, density=density, format="csr", rng=rng)
        table.data = (2 * table.data - 1) * self.scale[table.indices]
        return sparse.csr_matrix(table)

    def description(self) -> list[dict[str, str]]:
        return [{"name": f"x0 to x{self.width - 1}", "kind": "number", "detail": f"sparse, {self.width:,} columns"}]

    def state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        return {"width": self.width}, {"scale": self.scale, "density": self.density}


# ------------------------------------------------------------------------------------------------ kinds of columns


def _as_table(frame: Any) -> Any:
    return frame.tocsr() if sparse.issparse(frame) else read_table(frame)


def _is_array(names: Sequence[str]) -> bool:
    """Whether the table came without names (`read_table` calls such columns x0, x1, ...)."""
    return bool(names) and names[0] == "x0" and names[-1] == f"x{len(names) - 1}"


def _find(series: pd.Series, name: str, said: str | None, *, like_array: bool) -> Column:
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
        consecutive = int(high) - int(low) == count - 1
        if (consecutive or _named_like_identifier(name)) and series.is_unique:
            return "identifier"
    return "number"


def _named_like_identifier(name: str) -> bool:
    snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
    return _IDENTIFIER.match(snake) is not None


def _kind_of_objects(series: pd.Series, name: str) -> str:
    """The kind of a column of strings or of mixed Python values."""
    inferred = pd.api.types.infer_dtype(series, skipna=True)
    if inferred in ("floating", "integer", "mixed-integer-float", "decimal"):
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
    words = sum(sum(len(run) / 2 if run[0] >= "\u3400" else 1 for run in _WORDS.findall(text)) for text in some)
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
    guesses = [pd.tseries.api.guess_datetime_format(texts.iloc[0], dayfirst=dayfirst) for dayfirst in (False, True)]
    for form in (*guesses, "ISO8601", "mixed"):
        if form and pd.to_datetime(texts, errors="coerce", format=form, utc=True).notna().all():
            return str(form)
    bad = texts[pd.to_datetime(texts, errors="coerce", format="mixed", utc=True).isna()]
    raise BadInput(f"column {name!r} is read as dates, but {bad.iloc[0]!r} is none. Write dates as 2026-01-31.")


def _left_out(columns: Sequence[Column]) -> list[str]:
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


# ------------------------------------------------------------------------------------- learning from training rows


def _learn(column: Column, series: pd.Series, tables: Tables, scale: str) -> list[Scaling]:
    """Fill in what the column's kind needs, and give the scaling of each number it becomes."""
    if column.kind == "category":
        column.values = _vocabulary(series, tables)
        return []
    if column.kind == "text":
        column.values = _telling_words(series, tables.max_words)
    if column.kind == "date":
        days = _seconds(column, series, 0) / 86_400
        column.clock = bool(np.any(days[np.isfinite(days)] % 1))
    column.flagged = bool(series.isna().any())
    if column.kind == "number":
        raw = _raw(column, series, 0)
    else:
        raw = _raw(column, series.iloc[_some(len(series), _DOCUMENTS)], 0)
    column.low, column.high = _range(raw[0] if len(raw) else np.empty(0), column)
    return [_scaling(raw[i], _scale_of(column, i, scale), tables.bins, column.name) for i in range(column.width)]


def _scale_of(column: Column, index: int, scale: str) -> str:
    """Words are mostly absent, so their ranks say little: standardised. Phases lie in [-1, 1] already."""
    if column.kind == "date" and index > 0:
        return "none"
    return "standard" if column.kind == "text" and scale == "quantile" else scale


def _some(count: int, most: int) -> np.ndarray | slice:
    """Positions of at most `most` rows, evenly spread."""
    return slice(None) if count <= most else np.linspace(0, count - 1, most).astype(np.int64)


def _range(raw: np.ndarray, column: Column) -> tuple[float, float]:
    known = raw[_some(len(raw), _SAMPLE)]
    known = known[np.isfinite(known)]
    if not len(known):
        return 0.0, 1.0
    low, high = np.quantile(known, [0.01, 0.99])
    if column.kind == "number" and "int" in column.dtype.lower():
        low, high = np.floor(low), np.ceil(high)
    return float(low), float(high)


def _scaling(raw: np.ndarray, scale: str, bins: int, name: str) -> Scaling:
    """From the raw values of the training rows (NaN = missing)."""
    if np.isinf(raw).any():
        row = int(np.flatnonzero(np.isinf(raw))[0])
        raise BadInput(
            f"column {name!r} is infinite in training row {row} ({raw[row]}). Replace infinite values by a number, or "
            "by NaN for missing."
        )
    known = raw[~np.isnan(raw)]
    values, counts = np.unique(known[_some(len(known), _SAMPLE)], return_counts=True)
    scaling = Scaling()
    if scale == "quantile":
        scaling.knots = _knots(values, counts)
    elif scale == "standard":
        scaling.mean, scaling.std = _moments(known)
    else:
        scaling.fill = _moments(known)[0]
    scaling.edges = _edges(scaling.apply(values), counts, bins)
    return scaling


def _moments(known: np.ndarray) -> tuple[float, float]:
    """Mean and standard deviation; 1 where all values agree, as far as float64 can tell."""
    mean = float(known.mean())
    std = float(np.sqrt(np.mean((known - mean) ** 2)))
    tiny = 10 * np.finfo(np.float64).eps * max(abs(mean), np.finfo(np.float64).tiny)
    return (mean, std) if std > tiny and np.isfinite(std) else (mean if np.isfinite(mean) else 0.0, 1.0)


def _evenly(counts: np.ndarray, most: int) -> np.ndarray:
    """At most `most` of the distinct values, first and last among them, with equal shares of rows between them.

    A value counts for no more than its fair share, so that one value in most rows does not hide all others.
    """
    if len(counts) <= most:
        return np.arange(len(counts))
    share = np.minimum(counts, counts.sum() / most)
    place = np.cumsum(share) - share / 2
    chosen = np.searchsorted(place, np.linspace(place[0], place[-1], most))
    return np.unique(np.clip(chosen, 0, len(counts) - 1))


def _knots(values: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Distinct values and their places on a normal distribution (2, Q): the middles of their ranks."""
    chosen = _evenly(counts, _KNOTS)
    ranks = (np.cumsum(counts) - counts / 2) / counts.sum()
    return np.stack([values[chosen], ndtri(ranks[chosen])])


def _edges(scaled: np.ndarray, counts: np.ndarray, bins: int) -> np.ndarray:
    """Rising quantiles, at least two, exact in float32."""
    edges = np.unique(scaled[_evenly(counts, bins + 1)].astype(np.float32))
    if len(edges) == 1:
        edges = np.array([edges[0], edges[0] + max(1, abs(edges[0]))], dtype=np.float32)
    return edges.astype(np.float64)


def _vocabulary(series: pd.Series, tables: Tables) -> list[str]:
    """The values that get a slot, most frequent first, equal counts in order of the text."""
    codes, uniques = _factorise(series, series.name)
    counts: Counter[str] = Counter()
    for value, count in zip(uniques, np.bincount(codes[codes >= 0], minlength=len(uniques)), strict=True):
        counts[_key(value)] += int(count)
    kept = [(count, value) for value, count in counts.items() if count > tables.rare]
    kept.sort(key=lambda pair: (-pair[0], pair[1]))
    return [value for _, value in kept[: tables.max_categories]]


def _telling_words(series: pd.Series, most: int) -> list[str]:
    """Words found in many texts but not in all: those whose presence varies most."""
    texts = series.iloc[_some(len(series), _DOCUMENTS)].dropna()
    counts = Counter(word for text in texts for word in set(_words(str(text))))
    varied = sorted(counts, key=lambda word: (-counts[word] * (len(texts) - counts[word]), word))
    return [word for word in varied[:most] if counts[word] > 1] or varied[:1]


# ---------------------------------------------------------------------------------------------- reading of columns


def _raw(column: Column, cells: Any, start: int) -> np.ndarray:
    """What a column becomes before scaling, (width, b) float64, NaN = missing; `start` counts rows in messages."""
    match column.kind:
        case "number":
            return _floats(column, cells, start)[None]
        case "date":
            return _phases(_seconds(column, cells, start) / 86_400, column.clock)
    return _word_counts(column, cells)


def _floats(column: Column, cells: Any, start: int) -> np.ndarray:
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
            f"column {column.name!r} holds numbers, but row {start + row} has {cells.iloc[row]!r}. Correct it, or "
            "leave it empty for missing."
        )
    return numbers


def _seconds(column: Column, cells: Any, start: int) -> np.ndarray:
    """Seconds since 1970 in UTC."""
    series = pd.Series(cells)
    times = pd.to_datetime(series, errors="coerce", format=column.form, utc=True)
    wrong = np.flatnonzero((times.isna() & series.notna()).to_numpy())
    if len(wrong):
        row = int(wrong[0])
        raise BadInput(
            f"column {column.name!r} holds dates, but row {start + row} has {series.iloc[row]!r}. Write it as the "
            "others, or leave it empty for missing."
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
    for run in _WORDS.findall(text.lower()):
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


def _slots(cells: Any, lookup: dict[str, int], column: Column) -> np.ndarray | list[int]:
    if not isinstance(cells, pd.Series):
        return [MISSING if _missing(v) else lookup.get(v if type(v) is str else _key(v), UNKNOWN) for v in cells]
    codes, uniques = _factorise(cells, column.name)
    table = [lookup.get(_key(value), UNKNOWN) for value in uniques]
    return np.array([*table, MISSING], dtype=np.int64)[codes]  # code -1 = missing


# ------------------------------------------------------------------------------------------------------- made-up rows


def _made_up(column: Column, count: int, rng: np.random.Generator) -> Any:
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
            made = pd.Series(np.round(values) if "int" in column.dtype.lower() else values)
    return made.mask(gaps) if gaps.any() else made


def _detail(column: Column) -> str:
    flag = ", missing values flagged" if column.flagged else ""
    match column.kind:
        case "number":
            return f"{column.low:.6g} to {column.high:.6g}{flag}"
        case "category":
            return (
                f"{len(column.values):,} values: {listed(column.values, 5)}" if column.values else "no frequent value"
            )
        case "date":
            days = (np.datetime64(int(day), "D") for day in (column.low, column.high))
            return " to ".join(map(str, days)) + flag
        case "text":
            return f"{len(column.values)} words: {listed(column.values, 5)}{flag}"
    return "left out"


def _check_sparse(table: Any) -> None:
    if not np.isfinite(table.data).all():
        at = int(np.flatnonzero(~np.isfinite(table.data))[0])
        row = int(np.searchsorted(table.indptr, at, side="right")) - 1
        raise BadInput(
            f"X is {table.data[at]} in row {row}, column {table.indices[at]}; a sparse table takes finite values only "
            "(what it does not store is 0)."
        )
