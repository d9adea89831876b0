"""Arrays too large for memory: read from the file where they lie, a block of rows at a time.

arrays = stored("graph.npz")        # what np.savez wrote; large arrays are mapped, not read
"""

from __future__ import annotations

import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
LARGE = 64 << 20  # bytes from which an array is mapped
BLOCK = 16 << 20  # bytes worked on at once
LOCAL = 30  # bytes of a zip file's local header, before its name


def stored(path: Path) -> dict[str, Array]:
    """Arrays of an .npz file by their names. Raises what numpy and zipfile do, of objects ValueError."""
    with np.load(path, allow_pickle=False) as held, zipfile.ZipFile(path) as file:
        places = {info.filename.removesuffix(".npy"): info for info in file.infolist()}
        mapped = {name: _mapped(path, places[name]) for name in held.files}
        return {name: held[name] if array is None else array for name, array in mapped.items()}


def _mapped(path: Path, place: zipfile.ZipInfo) -> Array | None:
    """A member of a zip file where it lies; None where it is small or compressed."""
    if place.file_size < LARGE or place.compress_type != zipfile.ZIP_STORED:
        return None
    with path.open("rb") as file:
        file.seek(place.header_offset)
        header = file.read(LOCAL)
        more = int.from_bytes(header[26:28], "little") + int.from_bytes(header[28:30], "little")
        file.seek(place.header_offset + LOCAL + more)
        read = {1: np.lib.format.read_array_header_1_0, 2: np.lib.format.read_array_header_2_0}
        version = np.lib.format.read_magic(file)[0]
        if version not in read:
            return None
        shape, turned, kind = read[version](file)
        if kind.hasobject or turned:
            return None
        return np.memmap(path, kind, "c", file.tell(), shape)


def is_mapped(X: Any) -> bool:
    """Whether an array lies in a file."""
    return isinstance(X, np.memmap)


def blocks(X: Array) -> Iterator[slice]:
    """Rows of X so many at a time that they take little memory."""
    step = max(1, BLOCK // max(1, X.nbytes // max(1, len(X))))
    for begin in range(0, len(X), step):
        yield slice(begin, begin + step)


def moments(X: Array) -> tuple[Array, Array]:
    """The mean and spread of each column (F,), float32."""
    mean = sum(X[rows].sum(0, dtype=np.float64) for rows in blocks(X)) / len(X)
    square = sum(np.square(X[rows] - mean, dtype=np.float64).sum(0) for rows in blocks(X)) / len(X)
    return mean.astype(np.float32), np.sqrt(square).astype(np.float32)


def not_finite(X: Array) -> tuple[int, int]:
    """How many values are NaN or infinite, and the first row that has one; (0, -1) where none is."""
    count, first = 0, -1
    for rows in blocks(X):
        wrong = ~np.isfinite(X[rows])
        if wrong.any():
            count += int(wrong.sum())
            first = rows.start + int(wrong.reshape(len(wrong), -1).any(1).argmax()) if first < 0 else first
    return count, first


def room_like(X: Array) -> Array:
    """An empty array of float32 of the same shape: in memory, or where X lies in a file in one that nobody sees."""
    if not is_mapped(X):
        return np.empty(X.shape, np.float32)
    with tempfile.TemporaryFile() as file:  # gone with its last reader
        return np.memmap(file, np.float32, "w+", shape=X.shape)
