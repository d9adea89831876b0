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

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import torch
from scipy import sparse
from torch import Tensor

from decet.contracts import TableSpec
from decet.data.cells import DOCUMENTS, Origin, raw_values, refuse_infinite, seconds, slots, telling_words, vocabulary
from decet.data.columns import FIRST, KINDS, Column, detail, find_column, left_out, made_up
from decet.data.frames import pop_target, read_table
from decet.data.quality import quality, repeated_rows
from decet.data.resident import taken
from decet.data.scaling import LARGEST, Scaling, fit_scaling, some, usual_range
from decet.errors import BadInput, check_choice, check_range, listed, suggest
from decet.tensors import Sparse

__all__ = ["Column", "SparseCodec", "TableCodec", "Tables", "pop_target", "quality", "read_table", "repeated_rows"]

_BLOCK = 4_096  # rows encoded at a time, so that temporaries stay small
_MANY = 10_000  # training rows from which numbers are cut into more bins
_FEW = 64  # rows up to which columns are read as Python values, which is faster for few rows


@dataclass(frozen=True)
class Tables:
    """How columns are read. What is None is found from the training rows.

    scale: "quantile", "standard" or "none"; None: quantile from 1,000 training rows on, else standard.
    bins: quantile bins kept of each number for binned embeddings; None: 192 from 10,000 training rows on, else 48.
    number, category, date, text: columns to read as such, A,B.
    drop: columns to leave out.
    max_categories: values of a category column that get a slot, the most frequent first.
    rare: a value seen this often or less in training shares the unknown slot and so trains it; 0 = none.
    max_words: words of a text column.
    """

    scale: str | None = None
    bins: int | None = None
    number: tuple[str, ...] | None = None
    category: tuple[str, ...] | None = None
    date: tuple[str, ...] | None = None
    text: tuple[str, ...] | None = None
    drop: tuple[str, ...] | None = None
    max_categories: int = 10_000
    rare: int = 1
    max_words: int = 64

    held_out: ClassVar[int | None] = None  # rows set aside at most, of each kind; None = a share of all, whatever it is

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

    def fit(self, frame: Any, rows: np.ndarray | None = None, reads: Sequence[type] = ()) -> TableCodec:
        """Learn kinds, scales and vocabularies from the training rows (`rows`, positions; None = all).

        reads: the specs that the family reads, which decides nothing here: tables have one view.
        """
        frame = _as_table(frame)
        rows = None if rows is None else np.asarray(rows)
        if sparse.issparse(frame):
            return SparseCodec.learn(self, frame, rows)
        return TableCodec.learn(self, frame, rows)

    def groups(self, frame: Any) -> np.ndarray:
        """A group id a row (n,), equal for rows of equal content."""
        return repeated_rows(frame)

    def notes(self, frame: Any, y: Any, codec: TableCodec, copies: np.ndarray | None = None) -> list[str]:
        """Sentences about what is legal in the table but surely wrong. `copies`: what `groups` gave, where known.

        Raises `BadInput` for a column, called by a name, that holds nothing at all.
        """
        if sparse.issparse(frame):
            return []
        empty = [c.name for c in codec.columns if c.kind == "all missing"]
        empty = [name for name in empty if frame[name].isna().all()] if not _is_array(list(frame.columns)) else []
        if empty:
            raise BadInput(
                f"all values of column {listed(map(repr, empty))} are missing, so nothing can be learned from it. "
                f"Take it out, or say inputs=Tables(drop=({empty[0]!r},)) (--inputs.drop {empty[0]})."
            )
        return [*codec.warnings, *quality(frame, y, codec, copies)]

    def said(self, name: str) -> str | None:
        """The kind that the user gave this column, if any."""
        return next((kind for kind in (*KINDS, "drop") if name in (getattr(self, kind) or ())), None)


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
            column = find_column(series, name, tables.said(name), like_array=_is_array(names))
            columns.append(column)
            if column.kind in KINDS:
                scalings += _learn(column, series, tables, scale, 0 if rows is None else rows)
        if not any(column.kind in KINDS for column in columns):
            raise BadInput(f"X has no column to learn from. {' '.join(left_out(columns))}")
        return cls(columns, scalings, left_out(columns))

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
            fills=self._fills(),
        )

    def _fills(self) -> tuple[float | None, ...]:
        """By the first number of each column that has no flag one sees that its cell is empty."""
        told: list[float | None] = [None] * len(self.scalings)
        for column, at in zip(self._used, self._starts, strict=False):
            if column.width and not column.flagged:
                told[at] = float(np.float32(self.scalings[at].fill))
        return tuple(told)

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
                categories[:, slot] = slots(cells, lookup, column)
                if unknown := count - int(np.count_nonzero(categories[:, slot])):
                    self.unseen[column.name] = unknown
            slot += column.slots > 0
        absent = np.zeros(self.spec.numbers, dtype=np.int64)
        for start in range(0, count, _BLOCK):
            stop = min(start + _BLOCK, count)
            absent += self._encode_numbers(columns, start, stop, numbers, categories)
        if absent.any():
            self._remark_absent(absent)
        return torch.from_numpy(numbers), torch.from_numpy(categories)

    def stream(self, frame: Any, block: int) -> Iterator[tuple[tuple[Tensor | Sparse, Tensor], list[str | None]]]:
        """The inputs of so many rows after so many, the table checked whole first; no row is unreadable."""
        inputs = self.encode(frame)
        for begin in range(0, len(inputs[0]), block):
            part: Any = taken(inputs, torch.arange(begin, min(begin + block, len(inputs[0]))))
            yield part, []

    def _encode_numbers(
        self, columns: list[Any], start: int, stop: int, numbers: np.ndarray, categories: np.ndarray
    ) -> np.ndarray | int:
        """Rows start to stop: read, check, scale in float64, fill what is missing, store as float32.

        Gives how many values each number lacked (F,), or 0 where none lacked any.
        """
        raw = np.empty((self.spec.numbers, stop - start))  # (F, b): a number's values lie side by side
        for column, cells, at in zip(self._used, columns, self._starts, strict=False):
            if column.width:
                raw[at : at + column.width] = raw_values(column, cells[start:stop], start)
        missing = None
        if not np.isfinite(raw).all():
            for column, at in zip(self._used, self._starts, strict=False):
                refuse_infinite(raw[at : at + column.width], column.name, start)
            missing = np.isnan(raw)
            for at, slot in self._flags.items():
                categories[start:stop, slot] = missing[at]
        scaled = np.clip((raw - self._mean) / self._std, -LARGEST, LARGEST) if self._plain else raw
        for index, knots, heights in self._curves:
            scaled[index] = np.interp(raw[index], knots, heights)
        if missing is not None:
            scaled = np.where(missing, self._fill, scaled)
        numbers[start:stop] = scaled.T
        return 0 if missing is None else missing.sum(axis=1)

    def _remark_absent(self, absent: np.ndarray) -> None:
        for column, at in zip(self._used, self._starts, strict=False):
            if column.width and not column.flagged and absent[at]:
                self.remarks.append(
                    f"column {column.name!r} has {absent[at]:,} missing values, training had none; the centre of the "
                    "training rows stands in for them."
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
        return pd.DataFrame({column.name: made_up(column, count, rng) for column in self._used})

    def description(self) -> list[dict[str, str]]:
        """One dict a column (name, kind, detail) for people to read."""
        return [{"name": c.name, "kind": c.kind, "detail": detail(c)} for c in self.columns]

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
        try:
            if "width" in state:
                return SparseCodec(int(state["width"]), np.asarray(arrays["scale"]), np.asarray(arrays["density"]))
            columns = [Column(**column) for column in state["columns"]]
            return cls(columns, _stored_scalings(arrays, sum(c.width for c in columns)), state["warnings"])
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise BadInput(f"the stored columns of the table do not fit together ({error}).") from error


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
        """The numbers as `Sparse` (B, F) and no categories (B, 0); a dense table is taken too."""
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


def _stored_scalings(arrays: Mapping[str, Any], count: int) -> list[Scaling]:
    array = {name: np.asarray(values) for name, values in arrays.items()}
    cuts = {name: np.cumsum(array[f"{name}_sizes"])[:-1] for name in ("knots", "edges")}
    knots, edges = (np.split(array[name], cuts[name]) for name in ("knots", "edges"))
    mean, std, fill = (array[name].tolist() for name in ("mean", "std", "fill"))
    return [Scaling(mean[i], std[i], fill[i], knots[i].T.copy(), edges[i]) for i in range(count)]


def _as_table(frame: Any) -> Any:
    return frame.tocsr() if sparse.issparse(frame) else read_table(frame)


def _is_array(names: Sequence[str]) -> bool:
    """Whether the table came without names (`read_table` calls such columns x0, x1, ...)."""
    return bool(names) and names[0] == "x0" and names[-1] == f"x{len(names) - 1}"


def _learn(column: Column, series: pd.Series, tables: Tables, scale: str, origin: Origin) -> list[Scaling]:
    """Fill in what the column's kind needs, and give the scaling of each number it becomes."""
    if column.kind == "category":
        column.values = vocabulary(series, tables.rare, tables.max_categories)
        return []
    if column.kind == "text":
        column.values = telling_words(series, tables.max_words)
        if not column.values:  # no letter in any text
            column.kind = "constant"
            return []
    if column.kind == "date":
        days = seconds(column, series, origin) / 86_400
        column.clock = bool(np.any(days[np.isfinite(days)] % 1))
    column.flagged = bool(series.isna().any())
    if column.kind == "text":
        series = series.iloc[some(len(series), DOCUMENTS)]
    raw = raw_values(column, series, origin)
    refuse_infinite(raw, column.name, origin)
    column.low, column.high = usual_range(raw[0] if len(raw) else np.empty(0), whole=column.whole)
    bins = tables.bins or (192 if len(series) >= _MANY else 48)
    return [fit_scaling(raw[i], _scale_of(column, i, scale), bins) for i in range(column.width)]


def _scale_of(column: Column, index: int, scale: str) -> str:
    """Words are mostly absent, so their ranks say little: standardised. Phases lie in [-1, 1] already."""
    if column.kind == "date" and index > 0:
        return "none"
    return "standard" if column.kind == "text" and scale == "quantile" else scale


def _check_sparse(table: Any) -> None:
    if not np.isfinite(table.data).all():
        at = int(np.flatnonzero(~np.isfinite(table.data))[0])
        row = int(np.searchsorted(table.indptr, at, side="right")) - 1
        raise BadInput(
            f"X is {table.data[at]} in row {row}, column {table.indices[at]}; a sparse table takes finite values only "
            "(what it does not store is 0)."
        )
