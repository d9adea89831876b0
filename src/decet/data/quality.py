"""What is legal in a table but surely wrong: rows repeated, columns that give the answer away."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy import sparse

from decet.errors import listed

if TYPE_CHECKING:
    from decet.data.tables import TableCodec

_MOST_CELLS = 100_000_000  # above, looking for repeated rows would take longer than it is worth
_SAMPLE = 100_000  # rows that a column is compared with the target on
_ENOUGH = 20  # rows below which agreement with the target may be chance


def quality(frame: Any, y: Any, codec: TableCodec, groups: np.ndarray | None = None) -> list[str]:
    """Sentences about columns that copy the target, and about rows that occur more than once.

    groups: what `repeated_rows` gave for this frame, where it is known already.
    """
    sentences = []
    if isinstance(frame, pd.DataFrame):
        copies = _copies_of_target(frame, y, codec)
        if copies:
            word, verb = ("column", "gives") if len(copies) == 1 else ("columns", "give")
            sentences.append(
                f"{word} {listed(map(repr, copies))} {verb} the target away (one value for each answer); if it will "
                "not be known when predictions are made, leave it out with drop=(...)."
            )
    groups = repeated_rows(frame) if groups is None else groups
    repeats = len(groups) - len(np.unique(groups))
    if repeats:
        sentences.append(
            f"{repeats:,} of {len(groups):,} rows repeat an earlier row; decet keeps copies on one side of its splits, "
            "a test set of your own may not."
        )
    return sentences


def repeated_rows(frame: Any) -> np.ndarray:
    """A group id a row (n,), equal for rows of equal content; all different where the table is too large to look."""
    count, width = frame.shape
    if count * max(1, width) > _MOST_CELLS and not sparse.issparse(frame):
        return np.arange(count)
    if sparse.issparse(frame):
        hashes = _hash_sparse(frame.tocsr())
    else:
        frame = frame if isinstance(frame, pd.DataFrame) else pd.DataFrame(frame, copy=False)
        hashes = _hash_frame(frame)
    return np.asarray(pd.factorize(hashes)[0], dtype=np.int64)


def _hash_frame(frame: pd.DataFrame) -> np.ndarray:
    try:
        return pd.util.hash_pandas_object(frame, index=False).to_numpy()
    except TypeError:  # cells that cannot be hashed, as a dict: they are refused elsewhere, with a sentence
        return pd.util.hash_pandas_object(frame.astype(str), index=False).to_numpy()


def _hash_sparse(table: Any) -> np.ndarray:
    """The sum, modulo 2^64, of a hash of each (column, value) in the row; stored zeros do not count."""
    bits = np.ascontiguousarray(table.data, dtype=np.float64).view(np.uint64)
    mixed = (bits ^ (table.indices.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(31))) * np.uint64(0x94D049BB133111EB)
    mixed = np.where(table.data == 0, np.uint64(0), mixed ^ (mixed >> np.uint64(29)))
    total = np.concatenate([np.zeros(1, np.uint64), np.cumsum(mixed, dtype=np.uint64)])
    return np.asarray(total[table.indptr[1:]] - total[table.indptr[:-1]])


def _copies_of_target(frame: pd.DataFrame, y: Any, codec: TableCodec) -> list[str]:
    """Columns in use from which the target can be read off."""
    target = pd.Series(np.asarray(y)) if not _holds_sets(y) and np.ndim(y) == 1 else None
    if target is None or len(target) != len(frame) or len(frame) < _ENOUGH:
        return []
    rows = np.arange(min(len(frame), _SAMPLE))
    target = target.iloc[rows]
    kinds = {column.name: column.kind for column in codec.columns}
    used = [name for name in frame.columns if kinds.get(str(name)) in ("number", "category")]
    return [str(name) for name in used if _is_copy(frame[name].iloc[rows].reset_index(drop=True), target)]


def _holds_sets(y: Any) -> bool:
    """Whether each answer is a set of labels, which no column can copy."""
    plain = isinstance(y, pd.DataFrame) or getattr(y, "dtype", np.dtype(object)) != np.dtype(object)
    return not plain and any(isinstance(row, (list, tuple, set, frozenset)) for row in y)


def _is_copy(column: pd.Series, target: pd.Series) -> bool:
    """One value for each answer and the other way round, or numbers on one line."""
    known = (column.notna() & target.notna()).to_numpy()
    if known.sum() < _ENOUGH:
        return False
    column, target = column[known], target[known]
    if pd.api.types.is_numeric_dtype(column.dtype) and pd.api.types.is_numeric_dtype(target.dtype):
        x, y = column.to_numpy(dtype=np.float64), target.to_numpy(dtype=np.float64)
        if not (np.isfinite(x).all() and np.isfinite(y).all()) or np.ptp(x) == 0 or np.ptp(y) == 0:
            return False
        if abs(np.corrcoef(x, y)[0, 1]) > 0.9999:
            return True
    values, answers = pd.factorize(column)[0], pd.factorize(target)[0]
    most = values.max() + 1
    if not 2 <= most == answers.max() + 1 <= len(target) / 2:
        return False
    return len(np.unique(values * most + answers)) == most
