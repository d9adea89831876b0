"""Answers as files: JSON lines, CSV, Parquet; written as they come, so that any number of them passes."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

BATCH = 4096  # records written to a Parquet file at a time


def line(record: Mapping[str, Any]) -> str:
    """A record as one line of JSON."""
    return json.dumps(record, ensure_ascii=False) + "\n"


def flat(record: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    """One level: `probabilities.yes`; a list of labels as JSON."""
    found: dict[str, Any] = {}
    for key, value in record.items():
        if isinstance(value, Mapping):
            found |= flat(value, f"{above}{key}.")
        else:
            found[above + key] = json.dumps(value, ensure_ascii=False) if isinstance(value, list) else value
    return found


def write_lines(records: Iterable[Mapping[str, Any]], path: Path) -> int:
    """Records as JSON; how many there were."""
    count = 0
    with open(path, "w", encoding="utf-8") as file:
        for count, record in enumerate(records, 1):  # noqa: B007
            file.write(line(record))
    return count


def write_csv(records: Iterable[Mapping[str, Any]], path: Path) -> int:
    """Records as CSV, a heading first; how many there were."""
    count, writer = 0, None
    with open(path, "w", encoding="utf-8", newline="") as file:
        for count, record in enumerate(map(flat, records), 1):  # noqa: B007
            if writer is None:
                writer = csv.DictWriter(file, record)
                writer.writeheader()
            writer.writerow(record)
    return count


def write_parquet(records: Iterable[Mapping[str, Any]], path: Path) -> int:
    """Records as Parquet; how many there were."""
    import pyarrow as pa
    from pyarrow import parquet

    count, writer, rows = 0, None, map(flat, records)
    try:
        while batch := list(islice(rows, BATCH)):
            if writer is None:
                found = pa.Table.from_pylist(batch).schema  # a column that is empty so far may yet hold a sentence
                fields = [field.with_type(pa.string()) if pa.types.is_null(field.type) else field for field in found]
                writer = parquet.ParquetWriter(path, pa.schema(fields))
            writer.write_table(pa.Table.from_pylist(batch, schema=writer.schema))
            count += len(batch)
    finally:
        if writer is not None:
            writer.close()
    return count


WRITERS: dict[str, Callable[[Iterable[Mapping[str, Any]], Path], int]] = {
    ".csv": write_csv,
    ".parquet": write_parquet,
    ".jsonl": write_lines,
}
