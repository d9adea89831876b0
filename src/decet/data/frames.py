"""Reads a table from anything a table comes in, and says in one sentence what is wrong with it.

What comes out is a `pandas.DataFrame` with unique text names, or a `scipy.sparse.csr_matrix` where the source is
sparse. Columns of arrays and lists are called x0, x1, ... Rows are counted from 0, lines of a file from 1.
"""

from __future__ import annotations

import codecs
import csv
import io
import json
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import pandas as pd
from scipy import sparse

from decet.data.files import FAULTS, near, suffix_of, unpacked, unreadable
from decet.errors import BadInput, Unsupported, listed, suggest

SUFFIXES = (".csv", ".tsv", ".txt", ".parquet", ".jsonl", ".ndjson", ".json")
_CHUNK = 1 << 22  # bytes decoded at a time while the encoding is checked
_PACK = 100_000  # rows of a stream that are brought together
_MARK = "\ufeff"  # the byte order mark that some programs write first


def read_table(source: Any, *, name: str = "X") -> pd.DataFrame | sparse.csr_matrix:
    """Read `source`: a path (.csv .tsv .txt .parquet .jsonl .ndjson .json, each also .gz), "-" for CSV from standard
    input, a data frame of any library, an array (rows, columns), a sparse matrix, a list of rows or of dicts, or a
    dict of columns. Float arrays and pandas frames are not copied. `name` is what messages call the table.

    Raises `BadInput` where it cannot be read (which line, which byte), has no rows, or names a column twice.
    """
    if isinstance(source, (str, Path)):
        table = _from_path(str(source), name)
    elif sparse.issparse(source):
        table = sparse.csr_matrix(source)
    elif isinstance(source, pd.DataFrame):
        table = source
    elif isinstance(source, pd.Series):
        table = source.to_frame()
    elif hasattr(source, "to_pandas"):  # polars, pyarrow, modin, narwhals
        table = source.to_pandas()
    elif hasattr(source, "__dataframe__"):
        table = pd.api.interchange.from_dataframe(source)
    elif isinstance(source, Mapping):
        table = _from_columns(source, name)
    elif isinstance(source, (list, tuple)):
        table = _from_rows(source, name)
    elif hasattr(source, "__array__"):
        table = _from_array(np.asarray(source), name)
    else:
        raise Unsupported(
            f"{name} must be a table: a path, a data frame, an array, a sparse matrix, a list of rows or a dict of "
            f"columns. Received: {type(source).__name__}."
        )
    if table.shape[0] == 0:
        raise BadInput(f"{name} has no rows: 0 sample(s) (shape={table.shape}) while a minimum of 1 is required.")
    return table if sparse.issparse(table) else _named(table, name)


def names_columns(y: Any, frame: Any, always: bool = False) -> bool:
    """Whether y names columns of the frame rather than holding answers."""
    if isinstance(y, str):
        return True
    if not isinstance(y, (list, tuple)) or not y or not all(isinstance(name, str) for name in y):
        return False
    return always or len(y) != len(frame) or all(name in frame.columns for name in y)


def pop_target(frame: pd.DataFrame, target: str | Sequence[str]) -> tuple[pd.DataFrame, pd.Series | pd.DataFrame]:
    """The table without its target column(s), and the target: a Series for one name, a DataFrame for a list."""
    if not isinstance(frame, pd.DataFrame):
        raise Unsupported("a sparse table has no named columns, so its target must be given apart, as y.")
    several = not isinstance(target, str)
    wanted = list(target) if several else [target]
    for column in wanted:
        if column not in frame.columns:
            raise BadInput(f"target column {column!r} is not in the table.{suggest(column, frame.columns)}")
    rest = frame.drop(columns=wanted)
    if rest.shape[1] == 0:
        raise BadInput(f"the table has no column beside the target {listed(map(repr, wanted))}.")
    return rest, frame[wanted] if several else frame[wanted[0]]


# --------------------------------------------------------------------------------------------------- from memory


def _named(frame: pd.DataFrame, name: str) -> pd.DataFrame:
    """The same frame with text names, each once. The data are shared, not copied."""
    names = [str(column) for column in frame.columns]
    twice = [column for column, count in Counter(names).items() if count > 1]
    if twice:
        raise BadInput(f"{name} names columns twice: {listed(map(repr, twice))}. Give each column a name of its own.")
    if any(not isinstance(column, str) for column in frame.columns):
        frame = frame.set_axis(names, axis=1)
    return frame


def _from_array(array: np.ndarray, name: str) -> pd.DataFrame:
    if array.dtype.names:  # a record array names its columns
        return pd.DataFrame({field: array[field] for field in array.dtype.names})
    if array.ndim == 1:
        raise BadInput(
            f"{name} must have two dimensions (rows, columns). Received: shape {array.shape}. Reshape your data with "
            f"{name}.reshape(-1, 1) if it is one column, {name}.reshape(1, -1) if it is one row."
        )
    if array.ndim != 2:
        raise BadInput(f"{name} must have two dimensions (rows, columns). Received: shape {array.shape}.")
    if array.dtype.kind == "c":
        raise BadInput(f"Complex data not supported: {name} has complex numbers. Give real and imaginary parts apart.")
    if array.shape[1] == 0:
        raise BadInput(f"{name} has no columns: 0 feature(s) (shape={array.shape}) while a minimum of 1 is required.")
    columns = [f"x{index}" for index in range(array.shape[1])]
    frame = pd.DataFrame(array, columns=columns, copy=False)
    return frame.infer_objects() if array.dtype.kind == "O" else frame


def _from_columns(columns: Mapping[Any, Any], name: str) -> pd.DataFrame:
    sizes = {key: len(values) for key, values in columns.items() if hasattr(values, "__len__")}
    if len(set(sizes.values())) > 1:
        told = listed(f"{key!r} {size:,}" for key, size in sizes.items())
        raise BadInput(f"the columns of {name} have different lengths: {told}.")
    try:
        return pd.DataFrame(dict(columns))
    except (ValueError, TypeError) as error:
        raise BadInput(f"{name} is no table: a dict must hold columns of equal length ({error}).") from error


def _from_rows(rows: Sequence[Any], name: str) -> pd.DataFrame:
    if not rows:
        raise BadInput(f"{name} has no rows.")
    if all(isinstance(row, Mapping) for row in rows):
        return pd.DataFrame.from_records(list(rows))
    for index, row in enumerate(rows):
        if isinstance(row, (str, bytes)) or not isinstance(row, (Iterable, np.ndarray)):
            raise BadInput(
                f"{name} must be a list of rows (lists or dicts). Received: {type(row).__name__} in row {index}."
            )
    lists = [list(row) for row in rows]
    for index, row in enumerate(lists):
        if len(row) != len(lists[0]):
            raise BadInput(f"row {index} of {name} has {len(row)} values, row 0 has {len(lists[0])}.")
    return pd.DataFrame(lists, columns=[f"x{index}" for index in range(len(lists[0]))])


# ----------------------------------------------------------------------------------------------------- from files


def _from_path(source: str, name: str) -> pd.DataFrame:
    if source == "-":
        raw = sys.stdin.buffer.read()
        return _read_csv(lambda: io.BytesIO(raw), ",", "standard input")
    path = Path(source).expanduser()
    suffix = suffix_of(path.name)
    if not path.exists():
        raise BadInput(f"there is no file {source!r} for {name}.{near(path)}")
    if path.is_dir():
        raise BadInput(f"{source!r} is a folder; a table is read from one file ({listed(SUFFIXES)}).")
    if suffix not in SUFFIXES:
        raise BadInput(
            f"{source!r} has the suffix {suffix!r}; tables are read from {listed(SUFFIXES)} (each also .gz)."
        )
    if suffix == ".parquet":
        return _read_parquet(path, source)
    if suffix in (".jsonl", ".ndjson", ".json"):
        return _read_json(_bytes(path), source)
    return _read_csv(lambda: unpacked(path), "\t" if suffix == ".tsv" else ",", source)


def _bytes(path: Path) -> bytes:
    try:
        with unpacked(path) as file:
            return file.read()
    except FAULTS as error:
        raise unreadable(path, error) from error


class _Text(NamedTuple):
    """What a look through a text found: its first line, whether it has a quotation mark, whether it is empty."""

    header: str
    quoted: bool
    blank: bool


def _look_through(file: BinaryIO, source: str) -> _Text:
    """Read the bytes once, piece by piece; raises BadInput where they are not UTF-8."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    header, at, line, quoted, blank, ended = "", 0, 1, False, True, False
    while not ended:
        piece = file.read(_CHUNK)
        ended = not piece
        before = len(decoder.getstate()[0])  # bytes of a character begun in the piece before
        try:
            text = decoder.decode(piece, final=ended)
        except UnicodeDecodeError as error:
            line += piece.count(b"\n", 0, max(0, error.start - before))
            raise BadInput(
                f"{source!r} is not UTF-8 text: byte 0x{error.object[error.start]:02x} at offset "
                f"{at - before + error.start:,} (line {line:,}). Save it again as UTF-8."
            ) from error
        if at == 0:
            header = text.removeprefix(_MARK).split("\n", 1)[0]
        at += len(piece)
        line += piece.count(b"\n")
        quoted = quoted or b'"' in piece
        blank = blank and not text.removeprefix(_MARK).strip()
    return _Text(header, quoted, blank)


def _read_csv(opened: Callable[[], BinaryIO], separator: str, source: str) -> pd.DataFrame:
    """opened: gives the bytes from their begin; they are read twice, and never held as a whole."""
    import pyarrow as pa

    try:
        with opened() as file:
            text = _look_through(file, source)
    except FAULTS as error:
        raise unreadable(source, error) from error
    if text.blank:
        raise BadInput(f"{source!r} has no rows: it is empty.")
    if separator not in text.header:  # other common separators, where the usual one is not in the header
        separator = max("\t;|,", key=text.header.count)
    try:
        table = _parsed(opened, separator, text.quoted)
    except pa.ArrowInvalid as error:
        _raise_ragged(opened, separator, source)
        raise BadInput(f"{source!r} cannot be read as a table: {error}.") from error
    if table.num_rows == 0:
        raise BadInput(f"{source!r} has no rows: it holds a header only.")
    table = table.rename_columns([column.strip() for column in table.column_names])  # no second name: it is used up
    return _to_pandas(table)


def _parsed(opened: Callable[[], BinaryIO], separator: str, quoted: bool) -> Any:
    """The bytes as an arrow table, the kind of each column found.

    Read as a stream, kinds taken from the first block, where they hold for all blocks: they are then what a look at all
    rows finds, in a third of the memory. Where they do not hold, arrow reads everything before it decides.
    """
    import pyarrow as pa
    from pyarrow import csv as reader

    absent = [*reader.ConvertOptions().null_values, "None", "?"]  # "?" as in the UCI collection
    parse = reader.ParseOptions(delimiter=separator, newlines_in_values=quoted)
    convert = reader.ConvertOptions(strings_can_be_null=True, null_values=absent)
    try:
        with opened() as file, reader.open_csv(file, parse_options=parse, convert_options=convert) as stream:
            return _packed(stream)
    except pa.ArrowInvalid:
        with opened() as file:
            return reader.read_csv(file, parse_options=parse, convert_options=convert)


def _packed(stream: Any) -> Any:
    """All batches of a stream, brought together while they come: many small pieces would waste as much again."""
    import pyarrow as pa

    tables: list[Any] = [stream.schema.empty_table()]
    batches: list[Any] = []
    for batch in stream:
        batches.append(batch)
        if sum(map(len, batches)) >= _PACK:
            tables.append(pa.Table.from_batches(batches).combine_chunks())
            batches.clear()
    return pa.concat_tables([*tables, pa.Table.from_batches(batches, stream.schema)])


def _raise_ragged(opened: Callable[[], BinaryIO], separator: str, source: str) -> None:
    """Read again slowly, to name the line that has too few or too many values."""
    with io.TextIOWrapper(opened(), encoding="utf-8-sig", newline="") as file:
        rows = csv.reader(file, delimiter=separator)
        width = len(next(rows))
        for row in rows:
            if row and len(row) != width:
                raise BadInput(
                    f"line {rows.line_num:,} of {source!r} has {len(row)} values, the header has {width} columns."
                )


def _to_pandas(table: Any) -> pd.DataFrame:
    """An arrow table as a frame; a column without any value is float NaN, dates are datetimes. The table is used up."""
    import pyarrow as pa

    frame = table.to_pandas(date_as_object=False, split_blocks=True, self_destruct=True)
    pa.default_memory_pool().release_unused()
    empty = [column for column, dtype in frame.dtypes.items() if dtype.kind == "O" and frame[column].isna().all()]
    return frame.astype(dict.fromkeys(empty, "float64")) if empty else frame


def _read_parquet(path: Path, source: str) -> pd.DataFrame:
    import pyarrow as pa
    from pyarrow import parquet

    packed = path.suffix.lower() == ".gz"
    try:
        table = parquet.ParquetFile(pa.BufferReader(_bytes(path)) if packed else path).read()
    except (pa.ArrowException, OSError, ValueError) as error:
        raise BadInput(f"{source!r} is not a Parquet file: {error}.") from error
    return _to_pandas(table)


def _read_json(raw: bytes, source: str) -> pd.DataFrame:
    """JSON lines, one object a row; a file that is one array of objects is taken too."""
    _look_through(io.BytesIO(raw), source)
    text = raw.decode("utf-8-sig")
    if text.lstrip()[:1] == "[":
        records = _json(text, source, "")
        if not isinstance(records, list) or not all(isinstance(record, dict) for record in records):
            raise BadInput(f"{source!r} must hold JSON objects, one a row.")
        return _from_records(records, source)
    records = []
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            record = _json(line, source, f"line {number:,} of ")
            if not isinstance(record, dict):
                raise BadInput(f"line {number:,} of {source!r} must be a JSON object. Received: {line.strip()[:40]}.")
            records.append(record)
    return _from_records(records, source)


def _json(text: str, source: str, where: str) -> Any:
    try:
        return json.loads(text)
    except (json.JSONDecodeError, RecursionError) as error:
        raise BadInput(f"{where}{source!r} is not JSON: {error}.") from error


def _from_records(records: list[dict[str, Any]], source: str) -> pd.DataFrame:
    if not records:
        raise BadInput(f"{source!r} has no rows.")
    return pd.DataFrame.from_records(records)
