"""Texts as a stream that can be read again: files of lines, tables, folders, archives, lists, iterables.

`passages_of` looks at what a user passes and gives `Passages`; walking over it gives pieces of text of many lines
each, a line a sentence or document, so that no file has to fit in memory. Encodings are never guessed: what is not
in the encoding said is refused, with the file, the line and the byte.
"""

from __future__ import annotations

import codecs
import gzip
import io
import lzma
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from decet.errors import BadInput, Unsupported, listed, suggest

PIECE = 1 << 20  # characters of a piece, about
LONGEST = 1 << 24  # bytes of a line that is not cut
PLAIN = (".txt", ".text", ".cor", ".tokens", "")
TABLES = (".csv", ".tsv", ".parquet", ".jsonl", ".ndjson")
_PACKED = (".gz", ".xz")
_MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
_LOOK = 8_192  # bytes looked at for what is no text
File = tuple[str, Callable[[], BinaryIO]]  # what messages call it, and how it is opened


class Undecoded(BadInput):
    """Bytes that are not in the encoding said."""


class Passages:
    """Pieces of text, read anew at each walk.

    name      what messages call it
    size      bytes of it, for progress; 0 = not known
    findings  sentences about what the last walk met
    """

    def __init__(self, name: str, size: int, walk: Callable[[list[str]], Iterator[str]]) -> None:
        self.name, self.size, self._walk = name, size, walk
        self.findings: list[str] = []

    def __iter__(self) -> Iterator[str]:
        self.findings = []
        return self._walk(self.findings)


def passages_of(X: Any, column: str | None = None, encoding: str | None = None) -> Passages:
    """What a user passes as texts: a path (.txt, also .gz and .xz; .csv, .tsv, .parquet, .jsonl with a column of texts;
    a folder or .zip of text files), a list or column of texts, or an iterable of texts that starts afresh each time.

    encoding: of files; several, as "utf-8,cp1252", are tried in turn on each file.
    Raises BadInput for a path that is not there, what is no text, and an iterator that can be read once.
    """
    if isinstance(X, Passages):
        return X
    encodings = _encodings(encoding)
    if isinstance(X, (str, Path)):
        return _from_path(Path(X).expanduser(), str(X), column, encodings)
    if hasattr(X, "columns") or hasattr(X, "__dataframe__"):
        return _from_frame(X, "a data frame", column)
    if iter_once(X):
        raise BadInput(
            f"the texts come from a {type(X).__name__}, which can be read once, and training reads them several times. "
            "Pass a list, a path, or an object whose __iter__ starts afresh."
        )
    if isinstance(X, Iterable) and not isinstance(X, (bytes, bytearray)):
        return Passages("texts", 0, lambda findings: _joined(_checked(X)))
    raise Unsupported(f"texts must be a path, a list of texts or an iterable. Received: {type(X).__name__}.")


def iter_once(X: Any) -> bool:
    """Whether X is an iterator, used up by one walk."""
    return hasattr(X, "__next__")


# ------------------------------------------------------------------------------------------------------- from memory


def _checked(texts: Iterable[Any]) -> Iterator[str]:
    for number, text in enumerate(texts):
        if isinstance(text, str):
            yield text
        elif isinstance(text, (list, tuple)) and all(isinstance(word, str) for word in text):
            yield " ".join(text)  # already cut into words
        elif text is None or text != text:
            yield ""
        else:
            raise BadInput(f"text {number:,} is a {type(text).__name__}, not a str: {str(text)[:40]!r}.")


def _joined(texts: Iterable[str]) -> Iterator[str]:
    """Texts brought together to pieces, a line each."""
    parts, size = list[str](), 0
    for text in texts:
        parts.append(" ".join(text.split()) if "\n" in text or "\r" in text else text)
        size += len(text) + 1
        if size >= PIECE:
            yield "\n".join(parts) + "\n"
            parts, size = [], 0
    if parts:
        yield "\n".join(parts) + "\n"


def _from_frame(frame: Any, name: str, column: str | None) -> Passages:
    if not hasattr(frame, "iloc"):
        frame = frame.to_pandas()
    chosen = text_column(frame, name, column)
    return Passages(name, 0, lambda findings: _joined(_checked(frame[chosen])))


def text_column(frame: Any, name: str, column: str | None) -> str:
    """The column of texts: the one said, the only one of text, or the one whose texts are longest."""
    names = [str(c) for c in frame.columns]
    if column is not None:
        if column not in names:
            raise BadInput(f"{name} has no column {column!r} of texts.{suggest(column, names)}")
        return column
    texts = [c for c in frame.columns if frame[c].map(lambda value: isinstance(value, str)).any()]
    if not texts:
        raise BadInput(f"{name} has no column of texts: its columns are {listed(names)}.")
    return str(max(texts, key=lambda c: frame[c].dropna().astype(str).str.len().mean()))


# --------------------------------------------------------------------------------------------------------- from files


def _encodings(said: str | None) -> tuple[str, ...]:
    names = tuple(part.strip() for part in (said or "utf-8").split(",") if part.strip())
    for name in names:
        try:
            codecs.lookup(name)
        except LookupError:
            raise BadInput(f"encoding {name!r} is not known. Use utf-8, gb18030, big5, cp1252, utf-16, ...") from None
    return names


def _from_path(path: Path, source: str, column: str | None, encodings: Sequence[str]) -> Passages:
    if not path.exists():
        near = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
        raise BadInput(f"there is no file {source!r} of texts.{suggest(path.name, near).split(' Choose')[0]}")
    if path.is_dir():
        files = sorted(p for p in path.rglob("*") if p.is_file() and _is_text(p.name))
        if not files:
            raise BadInput(f"the folder {source!r} holds no text files ({listed(PLAIN[:-1])}, each also .gz).")
        size = sum(p.stat().st_size for p in files)
        return Passages(source, size, lambda findings: _walk([_file(p) for p in files], encodings, findings))
    suffix = _suffix(path.name)
    if suffix == ".zip":
        return _from_zip(path, source, encodings)
    if suffix in TABLES:
        from decet.data.frames import read_table

        return _from_frame(read_table(source), repr(source), column)
    if suffix not in PLAIN and not _looks_like_text(path):
        raise BadInput(
            f"{source!r} has the suffix {suffix!r} and holds no text; texts are read from {listed(PLAIN[:-1])}, "
            f"{listed(TABLES)}, .zip and folders."
        )
    return Passages(source, path.stat().st_size, lambda findings: _walk([_file(path)], encodings, findings))


def _suffix(name: str) -> str:
    parts = [part.lower() for part in Path(name).suffixes]
    if parts[-1:] and parts[-1] in _PACKED:
        parts.pop()
    return parts[-1] if parts else ""


def _is_text(name: str) -> bool:
    return not Path(name).name.startswith(".") and _suffix(name) in PLAIN[:-1]


def _looks_like_text(path: Path) -> bool:
    with _opened(path) as file:
        return b"\x00" not in file.read(_LOOK)


def _opened(path: Path) -> BinaryIO:
    """The bytes of a file, unpacked while they are read."""
    openers: dict[str, Callable[..., Any]] = {".gz": gzip.open, ".xz": lzma.open}
    try:
        return openers.get(path.suffix.lower(), open)(path, "rb")
    except OSError as error:
        raise BadInput(f"{str(path)!r} cannot be read ({error.strerror or error}).") from error


def _file(path: Path) -> File:
    return str(path), lambda: _opened(path)


def _walk(files: Sequence[File], encodings: Sequence[str], findings: list[str]) -> Iterator[str]:
    """The pieces of files one after the other, each in the first of the encodings that it is in."""
    others: dict[str, list[str]] = {}
    for name, opened in files:
        encoding = next((e for e in encodings[:-1] if _is_in(opened, name, e)), encodings[-1])
        if encoding != encodings[0]:
            others.setdefault(encoding, []).append(Path(name).name)
        yield from _lines(opened, name, encoding)
    for encoding, names in others.items():
        are = "file is" if len(names) == 1 else "files are"
        findings.append(f"{len(names):,} {are} not in {encodings[0]} and read as {encoding}: {listed(names, 3)}.")


def _is_in(opened: Callable[[], BinaryIO], source: str, encoding: str) -> bool:
    try:
        for _ in _lines(opened, source, encoding):
            pass
    except Undecoded:
        return False
    return True


def _lines(opened: Callable[[], BinaryIO], source: str, encoding: str) -> Iterator[str]:
    """Pieces of whole lines. Raises BadInput where a byte is not in the encoding, or the file is no text."""
    begin, line = 0, 1
    try:
        with opened() as file:
            first = file.read(_LOOK)
            encoding = next((name for mark, name in _MARKS if first.startswith(mark)), encoding)
            if not encoding.startswith("utf-16") and (zero := first.find(b"\x00")) >= 0:
                raise BadInput(
                    f"{source!r} is no text: byte 0x00 at offset {zero:,}. If it is UTF-16 without a mark, say "
                    "--inputs.encoding utf-16-le."
                )
            if encoding.startswith(("utf-16", "utf-32")):  # bytes of a line's end are no byte of their own
                yield from _decoded(io.BytesIO(first + file.read()), source, encoding)
                return
            rest, ended = first, False
            while not ended:
                more = file.read(PIECE)
                ended = not more
                rest += more
                cut = len(rest) if ended else rest.rfind(b"\n") + 1
                if not cut and len(rest) > LONGEST:
                    cut = rest.rfind(b" ") + 1 or _whole(rest, encoding)
                if not cut:
                    continue
                piece, rest = rest[:cut], rest[cut:]
                try:
                    text = piece.decode(encoding)
                except UnicodeDecodeError as error:
                    raise _undecoded(source, encoding, piece, error, begin, line) from error
                begin, line = begin + len(piece), line + piece.count(b"\n")
                if text:
                    yield text if text.endswith("\n") or not ended else text + "\n"
    except (OSError, EOFError, zlib.error, lzma.LZMAError) as error:
        raise BadInput(f"{source!r} cannot be read: it is cut short or damaged ({error}).") from error


def _whole(raw: bytes, encoding: str) -> int:
    """So many of the first bytes as hold whole characters."""
    decoder = codecs.getincrementaldecoder(encoding)()
    try:
        decoder.decode(raw)
    except UnicodeDecodeError:
        return len(raw)  # told where it is decoded
    return len(raw) - len(decoder.getstate()[0])


def _decoded(file: BinaryIO, source: str, encoding: str) -> Iterator[str]:
    raw = file.read()
    try:
        text = raw.decode(encoding)
    except UnicodeDecodeError as error:
        raise _undecoded(source, encoding, raw, error, 0, 1) from error
    yield text if text.endswith("\n") else text + "\n"


def _undecoded(source: str, encoding: str, raw: bytes, error: UnicodeDecodeError, begin: int, line: int) -> Undecoded:
    line += raw.count(b"\n", 0, error.start)
    around = raw[max(0, error.start - 20) : error.start + 20]
    fits = [name for name in ("gb18030", "big5", "cp1252", "latin-1") if name != encoding and _fits(raw, name)]
    advice = f"Say --inputs.encoding {fits[0]} if it reads well in that" if fits else "Save it again as UTF-8"
    return Undecoded(
        f"{source!r} is not {encoding}: byte 0x{raw[error.start]:02x} at offset {begin + error.start:,} "
        f"(line {line:,}, {around!r}). {advice}, or give several to try in turn, as utf-8,cp1252."
    )


def _fits(raw: bytes, encoding: str) -> bool:
    try:
        raw.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True


def _from_zip(path: Path, source: str, encodings: Sequence[str]) -> Passages:
    """The text files of a zip file, in order of their names."""
    from decet.data.archives import member_bytes, members_of

    members, _ = members_of(path)
    names = sorted(name for name in members if _is_text(name))
    if not names:
        raise BadInput(f"{source!r} holds no text files ({listed(PLAIN[:-1])}).")

    def opener(name: str) -> Callable[[], BinaryIO]:
        def opened() -> BinaryIO:
            with path.open("rb") as archive:
                return io.BytesIO(member_bytes(archive, members[name]))

        return opened

    files = [(f"{source}: {name}", opener(name)) for name in names]
    return Passages(source, path.stat().st_size, lambda findings: _walk(files, encodings, findings))
