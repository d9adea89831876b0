"""Files of word vectors: those of word2vec (text and binary), of fastText (.vec) and safetensors.

    text, .vec      "V D" in the first line, then a line a word: the word and D numbers, divided by blanks
    binary          the same first line, then for each word its bytes, a blank, D float32 little-endian, a line end
    .safetensors    "vectors" (V, D) float32, "words" their UTF-8 bytes end to end by lines, in one uint8 tensor

A text file without the first line, as GloVe's, is read too.
"""

from __future__ import annotations

import gzip
import itertools
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from decet.data.files import FAULTS, near, suffix_of, unpacked, unreadable
from decet.errors import BadInput

TEXTS, BINARIES = (".txt", ".vec", ".text"), (".bin",)
SUFFIXES = (*TEXTS, *BINARIES, ".safetensors")
MOST_WORDS, MOST_WIDTH = 1 << 28, 1 << 16
_BLOCK = 1 << 24  # bytes read at a time
_LONGEST, _LONGEST_LINE = 4_096, 1 << 24  # bytes of a word, and of a line of text
_ROWS = 4_096  # rows written at a time

Array = np.ndarray


def has_vectors(path: str | Path) -> bool:
    """Whether a file's name is one of a file of vectors."""
    return suffix_of(str(path)) in SUFFIXES


def read_vectors(path: str | Path) -> tuple[list[str], Array]:
    """Words and their vectors (V, D) float32. The form follows from the suffix: .txt, .vec, .bin (each also .gz), or
    .safetensors.

    Raises BadInput, naming line or word, for a first line that is wrong, rows of different lengths, numbers that are
    not finite, a word that stands twice, and bytes left over at the end.
    """
    path = Path(path).expanduser()
    if not path.is_file():
        raise BadInput(f"there is no file {str(path)!r} of vectors.{near(path)}")
    suffix = _suffix(path)
    if suffix == ".safetensors":
        words, vectors = _read_safetensors(path)
    else:
        try:
            with unpacked(path) as file:
                words, vectors = (_read_binary if suffix in BINARIES else _read_text)(file, str(path))
        except FAULTS as error:
            raise unreadable(path, error) from error
    _check(words, vectors, str(path))
    return words, vectors


def write_vectors(path: str | Path, words: Sequence[str], vectors: Array) -> None:
    """Write vectors in the form that the suffix names (see `read_vectors`), whole or not at all.

    Raises BadInput for a word that the form cannot hold: with a blank or a line end in it.
    """
    path = Path(path).expanduser()
    suffix = _suffix(path)
    vectors = np.ascontiguousarray(vectors, np.float32)
    if vectors.ndim != 2 or len(vectors) != len(words):
        raise BadInput(f"vectors must have shape (words, numbers) for {len(words):,} words. Received: {vectors.shape}.")
    if suffix != ".safetensors":
        bad = [word for word in words if not word or any(c.isspace() for c in word)]
        if bad:
            raise BadInput(f"a vectors file divides words by blanks, and {bad[0]!r} holds one. Write .safetensors.")
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        if suffix == ".safetensors":
            _write_safetensors(beside, words, vectors)
        else:
            with gzip.open(beside, "wb") if path.suffix.lower() == ".gz" else open(beside, "wb") as file:
                (_write_binary if suffix in BINARIES else _write_text)(file, words, vectors)  # type: ignore[arg-type]
        os.replace(beside, path)
    except OSError as error:
        raise BadInput(f"{str(path)!r} could not be written ({error.strerror or error}).") from error
    finally:
        beside.unlink(missing_ok=True)


def _suffix(path: Path) -> str:
    suffix = suffix_of(path.name)
    if suffix not in SUFFIXES or (suffix == ".safetensors" and path.suffix.lower() == ".gz"):
        raise BadInput(
            f"{str(path)!r} has the suffix {suffix!r}; vectors are kept as .txt or .vec (text), .bin (word2vec's "
            "binary form), each also .gz, or .safetensors."
        )
    return suffix


class _Rows:
    """Vectors one after the other; memory is taken as they come, whatever a file says of their number."""

    def __init__(self, width: int) -> None:
        self.count, self.whole = 0, np.empty((min(1_024, 1 + (1 << 22) // width), width), np.float32)

    def add(self, row: Any) -> None:
        if self.count == len(self.whole):
            self.whole = np.concatenate([self.whole, np.empty_like(self.whole)])
        self.whole[self.count] = row
        self.count += 1

    def all(self) -> Array:
        return self.whole[: self.count]


# -------------------------------------------------------------------------------------------------------------- text


def _read_text(file: BinaryIO, name: str) -> tuple[list[str], Array]:
    first = file.readline(_LONGEST_LINE)
    parts = first.split()
    headed = len(parts) == 2 and all(part.isdigit() for part in parts)
    if not headed and (len(parts) < 2 or not _is_number(parts[-1])):
        raise BadInput(f"line 1 of {name!r} must say how many words of how many numbers. Received: {first[:60]!r}.")
    count, width = _header(first, name) if headed else (None, len(parts) - 1)
    words, rows = list[str](), _Rows(width)
    lines = itertools.chain([] if headed else [first], iter(lambda: file.readline(_LONGEST_LINE), b""))
    for line, raw in enumerate(lines, 2 if headed else 1):
        word, _, rest = raw.rstrip(b" \r\n").partition(b" ")
        numbers = rest.split()
        if not word and not numbers:
            continue
        if len(numbers) != width:
            raise BadInput(f"line {line:,} of {name!r} has {len(numbers):,} numbers, not {width:,}: {raw[:60]!r}.")
        if len(words) == count:
            raise BadInput(f"{name!r} goes on after the {count:,} words that its first line says (line {line:,}).")
        try:
            rows.add(numbers)
        except ValueError as error:
            raise BadInput(f"line {line:,} of {name!r} has something that is no number ({error}).") from error
        words.append(_word(word, name, f"line {line:,}"))
    if count is not None and len(words) < count:
        raise BadInput(f"{name!r} ends after {len(words):,} of the {count:,} words that its first line says.")
    return words, rows.all()


def _write_text(file: BinaryIO, words: Sequence[str], vectors: Array) -> None:
    file.write(f"{len(words)} {vectors.shape[1]}\n".encode())
    for begin in range(0, len(words), _ROWS):
        rows = vectors[begin : begin + _ROWS].tolist()
        lines = [
            f"{w} {' '.join(map(_shortest, row))}\n" for w, row in zip(words[begin : begin + _ROWS], rows, strict=True)
        ]
        file.write("".join(lines).encode())


def _shortest(number: float) -> str:
    """So many digits as give the float32 back."""
    return format(number, ".9g")


def _is_number(raw: bytes) -> bool:
    try:
        float(raw)
    except ValueError:
        return False
    return True


# ------------------------------------------------------------------------------------------------------------ binary


def _header(raw: bytes, name: str) -> tuple[int, int]:
    parts = raw.split()
    good = len(parts) == 2 and all(part.isdigit() for part in parts)
    if not good or not 1 <= int(parts[0]) <= MOST_WORDS or not 1 <= int(parts[1]) <= MOST_WIDTH:
        raise BadInput(f"{name!r} must begin with how many words of how many numbers. Received: {raw[:60]!r}.")
    return int(parts[0]), int(parts[1])


def _read_binary(file: BinaryIO, name: str) -> tuple[list[str], Array]:
    count, width = _header(file.readline(100), name)
    size = 4 * width
    words, rows = list[str](), _Rows(width)
    data, at = b"", 0

    def more(need: int) -> bool:
        nonlocal data, at
        while len(data) - at < need:
            piece = file.read(max(_BLOCK, need))
            if not piece:
                return False
            data, at = data[at:] + piece, 0
        return True

    while len(words) < count:
        more(_LONGEST)
        end = data.find(b" ", at, at + _LONGEST)
        begin = at
        while end >= 0 and begin < end and data[begin : begin + 1] in (b"\n", b"\r"):
            begin += 1
        if end < 0:
            told = "ends" if len(data) - at < _LONGEST else f"has no blank within {_LONGEST:,} bytes"
            raise BadInput(f"{name!r} {told} after {len(words):,} of the {count:,} words that its first line says.")
        word = data[begin:end]
        at = end + 1
        if not more(size):
            raise BadInput(f"{name!r} is cut short: it ends within word {len(words) + 1:,} of {count:,}.")
        rows.add(np.frombuffer(data, "<f4", width, at))
        at += size
        words.append(_word(word, name, f"word {len(words) + 1:,}"))
    more(2)
    rest = data[at:].strip(b"\r\n")
    if rest:
        raise BadInput(f"{name!r} goes on after the {count:,} words that its first line says: {rest[:40]!r}.")
    return words, rows.all()


def _write_binary(file: BinaryIO, words: Sequence[str], vectors: Array) -> None:
    file.write(f"{len(words)} {vectors.shape[1]}\n".encode())
    for word, row in zip(words, vectors.astype("<f4", copy=False), strict=True):
        file.write(word.encode() + b" " + row.tobytes() + b"\n")


def _word(raw: bytes, name: str, where: str) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadInput(f"{where} of {name!r} is not UTF-8: byte 0x{raw[error.start]:02x} in {raw[:40]!r}.") from error


# ------------------------------------------------------------------------------------------------------- safetensors


def _read_safetensors(path: Path) -> tuple[list[str], Array]:
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        found = load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise BadInput(f"{str(path)!r} is no safetensors file, or damaged ({error}).") from error
    if set(found) != {"words", "vectors"} or found["vectors"].ndim != 2 or found["words"].dtype != np.uint8:
        raise BadInput(f"{str(path)!r} must hold 'words' (bytes) and 'vectors' (V, D). It holds {sorted(found)}.")
    words = _word(found["words"].tobytes(), str(path), "the list of words").split("\n")
    return words, found["vectors"].astype(np.float32, copy=False)


def _write_safetensors(path: Path, words: Sequence[str], vectors: Array) -> None:
    from safetensors.numpy import save_file

    if any("\n" in word for word in words):
        raise BadInput("a word with a line end in it cannot be written.")
    save_file({"words": np.frombuffer("\n".join(words).encode(), np.uint8), "vectors": vectors}, path)


# ------------------------------------------------------------------------------------------------------------ checks


def _check(words: list[str], vectors: Array, name: str) -> None:
    if len(words) != len(vectors):
        raise BadInput(f"{name!r} has {len(words):,} words and {len(vectors):,} vectors.")
    if not len(words):
        raise BadInput(f"{name!r} holds no words.")
    bad = np.flatnonzero(~np.isfinite(vectors).all(1))
    if len(bad):
        raise BadInput(f"{name!r}: the vector of {words[bad[0]]!r} (word {bad[0] + 1:,}) is not finite.")
    if len(set(words)) < len(words):
        seen: set[str] = set()
        twice = next(word for word in words if word in seen or seen.add(word))  # type: ignore[func-returns-value]
        raise BadInput(f"{name!r} has the word {twice!r} twice.")
