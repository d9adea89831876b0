"""Texts as a stream that can be read again: files of lines, tables, folders, archives, lists, iterables.

`passages_of` looks at what a user passes and gives `Passages`; walking over it gives pieces of text of many lines
each, a line a sentence or document, so that no file has to fit in memory. Encodings are never guessed: what is not
in the encoding said is refused, with the file, the line and the byte.
"""

from __future__ import annotations

import codecs
import gzip
import io
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from decet.data.files import FAULTS, near, suffix_of, unpacked, unreadable
from decet.errors import BadInput, Unsupported, listed, suggest

if TYPE_CHECKING:
    from decet.data.archives import Member

PIECE = 1 << 17  # bytes read at a time: few, for words of a piece take twenty times as much
LONGEST = 1 << 24  # characters of a line that is not cut
TEXTS = (".txt", ".text", ".cor", ".tokens")
TABLES = (".csv", ".tsv", ".parquet", ".jsonl", ".ndjson")
_MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
_LOOK = 8_192  # bytes looked at for what is no text
File = tuple[str, Callable[[], BinaryIO]]  # what messages call it, and how it is opened


class Undecoded(BadInput):
    """Bytes that are not in the encoding said."""


class Passages:
    """Pieces of text, read anew at each walk.

    name      what messages call it
    size      bytes of it, for progress; 0 = not known
    parts     of each file, where there are several
    findings  sentences about what the last walk met
    """

    def __init__(
        self,
        name: str,
        size: int,
        walk: Callable[[list[str]], Iterator[str]],
        parts: Sequence[Passages] = (),
    ) -> None:
        self.name, self.size, self._walk, self.parts = name, size, walk, parts
        self.findings: list[str] = []

    def __iter__(self) -> Iterator[str]:
        self.findings = []
        return self._walk(self.findings)

    def take(self, places: Iterable[int]) -> Passages:
        """The files at these positions, one after the other."""
        chosen = [self.parts[place] for place in places]

        def walk(findings: list[str]) -> Iterator[str]:
            for part in chosen:
                yield from part._walk(findings)

        return Passages(self.name, sum(part.size for part in chosen), walk, chosen)


def passages_of(X: Any, column: str | None = None, encoding: str | None = None, *, flat: bool = True) -> Passages:
    """What a user passes as texts: a path (.txt; .csv, .tsv, .parquet, .jsonl with a column of texts; each also .gz; a
    folder or .zip of text files), a list or column of texts, or an iterable of texts that starts afresh each time.

    encoding: of files; several, as "utf-8,cp1252", are tried in turn on each file. flat: texts of lists and tables are
        brought to one line each; else their lines stay.
    Raises BadInput for a path that is not there, what is no text, and an iterator that can be read once.
    """
    if isinstance(X, Passages):
        return X
    encodings = encodings_of(encoding)
    if isinstance(X, (str, Path)):
        return _from_path(Path(X).expanduser(), str(X), column, encodings, flat)
    if hasattr(X, "columns") or hasattr(X, "__dataframe__"):
        return _from_table(X, "the data frame", column, flat)
    if hasattr(X, "__next__"):
        raise BadInput(
            f"the texts come from a {type(X).__name__}, which can be read once, and training reads them several times. "
            "Pass a list, a path, or an object whose __iter__ starts afresh."
        )
    if isinstance(X, Iterable) and not isinstance(X, (bytes, bytearray, Mapping, set, frozenset)):
        return Passages("the texts", _size(X), lambda findings: _joined(checked(X), flat))
    raise Unsupported(f"texts must be a path, a list of texts or an iterable. Received: {type(X).__name__}.")


# ------------------------------------------------------------------------------------------------------- from memory


def checked(texts: Iterable[Any]) -> Iterator[str]:
    """Each text as a str: words in a list are joined, what is missing is empty. Raises BadInput for other kinds."""
    for number, text in enumerate(texts):
        if isinstance(text, str):
            yield text
        elif isinstance(text, (list, tuple)) and all(isinstance(word, str) for word in text):
            yield " ".join(text)  # already cut into words
        elif text is None or (isinstance(text, float) and text != text):
            yield ""  # missing
        else:
            raise BadInput(f"text {number:,} is a {type(text).__name__}, not a str: {str(text)[:40]!r}.")


def _size(texts: Any) -> int:
    """Characters of texts that are in memory; 0 where to count them would take a walk."""
    return sum(len(text) for text in texts if isinstance(text, str)) if isinstance(texts, (list, tuple)) else 0


def _joined(texts: Iterable[str], flat: bool) -> Iterator[str]:
    """Texts brought together to pieces, each ended by a line's end; flat: a line each."""
    parts, size = list[str](), 0
    for text in texts:
        if flat and ("\n" in text or "\r" in text):
            text = " ".join(text.split())
        parts.append(text if flat else text.removesuffix("\n"))
        size += len(text) + 1
        if size >= PIECE:
            yield "\n".join(parts) + "\n"
            parts, size = [], 0
    if parts:
        yield "\n".join(parts) + "\n"


def _from_table(source: Any, name: str, column: str | None, flat: bool) -> Passages:
    from decet.data.frames import read_table

    table = read_table(source)
    chosen = text_column(table, name, column)
    return Passages(name, 0, lambda findings: _joined(checked(table[chosen]), flat))


def text_column(frame: Any, name: str, column: str | None) -> str:
    """The column of texts: the one said, the only one of text, or the one whose texts are longest."""
    names = [str(c) for c in getattr(frame, "columns", ())]
    if column is not None:
        if column not in names:
            raise BadInput(f"{name} has no column {column!r} of texts.{suggest(column, names)}")
        return column
    texts = [c for c in names if frame[c].map(lambda value: isinstance(value, str)).any()]
    if not texts:
        raise BadInput(f"{name} has no column of texts: its columns are {listed(names)}.")
    return max(texts, key=lambda c: frame[c].dropna().astype(str).str.len().mean())


# --------------------------------------------------------------------------------------------------------- from files


def encodings_of(said: str | None) -> tuple[str, ...]:
    """The names in "utf-8,cp1252"; None: utf-8. Raises BadInput for a name that is not known."""
    names = tuple(part.strip() for part in (said or "utf-8").split(",") if part.strip())
    for name in names:
        try:
            codecs.lookup(name)
        except LookupError:
            raise BadInput(f"encoding {name!r} is not known. Use utf-8, gb18030, big5, cp1252, utf-16, ...") from None
    return names


def _from_path(path: Path, source: str, column: str | None, encodings: Sequence[str], flat: bool) -> Passages:
    if not path.exists():
        raise BadInput(f"there is no file {source!r} of texts.{near(path)}")
    if path.is_dir():
        files = sorted(p for p in path.rglob("*") if p.is_file() and _is_text(p.name))
        if not files:
            raise BadInput(f"the folder {source!r} holds no text files ({listed(TEXTS)}, each also .gz).")
        size = sum(p.stat().st_size for p in files)
        return Passages(source, size, lambda findings: _walk([file_of(p) for p in files], encodings, findings))
    suffix = suffix_of(path.name)
    if suffix == ".zip":
        return _from_zip(path, source, encodings)
    if suffix in TABLES:
        return _from_table(source, repr(source), column, flat)
    return Passages(source, path.stat().st_size, lambda findings: _walk([file_of(path)], encodings, findings))


def lines_of(file: BinaryIO, encoding: str | None = None) -> Passages:
    """The lines of a file that can be read once, as standard input; all of it is kept."""
    raw = file.read()
    files = [("standard input", lambda: cast(BinaryIO, io.BytesIO(raw)))]
    encodings = encodings_of(encoding)
    return Passages("standard input", len(raw), lambda findings: _walk(files, encodings, findings))


def _is_text(name: str) -> bool:
    return not Path(name).name.startswith(".") and suffix_of(name) in TEXTS


def file_of(path: Path) -> File:
    """A file by its path."""
    return str(path), lambda: unpacked(path)


def _walk(files: Sequence[File], encodings: Sequence[str], findings: list[str]) -> Iterator[str]:
    """The pieces of files one after the other, each in the first of the encodings that it is in."""
    others: dict[str, list[str]] = {}
    for name, opened in files:
        yield from _lines(opened, name, _encoding_of(opened, name, encodings, others))
    findings += _told_others(encodings[0], others)


def whole_texts(files: Sequence[File], encodings: Sequence[str], findings: list[str]) -> list[str]:
    """The text of each file, each in the first of the encodings that it is in; `findings` tells which are in another.

    Raises BadInput where a file is in none of them, or no text.
    """
    others: dict[str, list[str]] = {}
    texts = ["".join(_lines(opened, name, _encoding_of(opened, name, encodings, others))) for name, opened in files]
    findings += _told_others(encodings[0], others)
    return texts


def _encoding_of(
    opened: Callable[[], BinaryIO], name: str, encodings: Sequence[str], others: dict[str, list[str]]
) -> str:
    """The first of the encodings that a file is in; noted in `others` where that is not the very first."""
    encoding = next((e for e in encodings[:-1] if _is_in(opened, name, e)), encodings[-1])
    if encoding != encodings[0]:
        others.setdefault(encoding, []).append(name)
    return encoding


def _told_others(first: str, others: Mapping[str, Sequence[str]]) -> list[str]:
    told = []
    for encoding, names in others.items():
        are = "file is" if len(names) == 1 else "files are"
        told.append(f"{len(names):,} {are} not in {first} and read as {encoding}: {listed(map(_base, names), 3)}.")
    return told


def _base(name: str) -> str:
    return Path(name).name


def _is_in(opened: Callable[[], BinaryIO], source: str, encoding: str) -> bool:
    try:
        for _ in _lines(opened, source, encoding):
            pass
    except Undecoded:
        return False
    return True


def _lines(opened: Callable[[], BinaryIO], source: str, encoding: str) -> Iterator[str]:
    """Pieces of whole lines. Raises BadInput where a byte is not in the encoding, or the file is no text."""
    at, line, rest, ended = 0, 1, "", False
    try:
        with opened() as file:
            first = file.read(_LOOK)
            encoding = next((name for mark, name in _MARKS if first.startswith(mark)), encoding)
            _refuse_binary(first, source, encoding)
            decoder = codecs.getincrementaldecoder(encoding)()
            while not ended:
                raw, first = first or file.read(PIECE), b""
                ended = not raw
                begun = len(decoder.getstate()[0])  # bytes of a character begun in the piece before
                try:
                    text = decoder.decode(raw, final=ended)
                except UnicodeDecodeError as error:
                    raise _undecoded(source, encoding, error, at - begun, line) from error
                at, line = at + len(raw), line + text.count("\n")
                rest += text
                cut = rest.rfind("\n") + 1
                if not cut and len(rest) > LONGEST:
                    cut = rest.rfind(" ") + 1 or len(rest)
                if cut:
                    yield rest[:cut]
                    rest = rest[cut:]
            if rest:
                yield rest + "\n"
    except FAULTS as error:
        raise unreadable(source, error) from error


def _refuse_binary(first: bytes, source: str, encoding: str) -> None:
    wide = encoding.replace("_", "-").lower().startswith(("utf-16", "utf-32"))
    if not wide and (zero := first.find(b"\0")) >= 0:
        raise BadInput(
            f"{source!r} is no text: byte 0x00 at offset {zero:,}. Texts are read from {listed((*TEXTS, *TABLES), 9)}, "
            ".zip and folders; if it is UTF-16 without a mark, say --inputs.encoding utf-16-le."
        )


def _undecoded(source: str, encoding: str, error: UnicodeDecodeError, at: int, line: int) -> Undecoded:
    """at: where in the file the bytes that could not be decoded begin."""
    raw, place = error.object, error.start
    line += raw.count(b"\n", 0, place)
    around = raw[max(0, place - 20) : place + 20]
    fits = [name for name in ("gb18030", "big5", "cp1252", "latin-1") if name != encoding and _fits(raw, name)]
    advice = f"Say --inputs.encoding {fits[0]} if it reads well in that" if fits else "Save it again as UTF-8"
    return Undecoded(
        f"{source!r} is not {encoding}: byte 0x{raw[place]:02x} at offset {at + place:,} (line {line:,}, {around!r}). "
        f"{advice}, or give several to try in turn, as utf-8,cp1252."
    )


def _fits(raw: bytes, encoding: str) -> bool:
    try:
        raw.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True


def _from_zip(path: Path, source: str, encodings: Sequence[str]) -> Passages:
    """The text files of a zip file, in order of their names."""
    from decet.data.archives import members_of

    members, _ = members_of(path)
    names = sorted(name for name in members if _is_text(name))
    if not names:
        raise BadInput(f"{source!r} holds no text files ({listed(TEXTS)}).")
    files = [zipped(path, members[name]) for name in names]
    parts = [_one(file, members[name].size, encodings) for file, name in zip(files, names, strict=True)]
    return Passages(source, path.stat().st_size, lambda findings: _walk(files, encodings, findings), parts)


def _one(file: File, size: int, encodings: Sequence[str]) -> Passages:
    return Passages(file[0], size, lambda findings: _walk([file], encodings, findings))


def zipped(path: Path, member: Member) -> File:
    """A file by its place in a zip."""
    from decet.data.archives import member_bytes
    from decet.data.decoding import Unreadable

    def opened() -> BinaryIO:
        try:
            with path.open("rb") as archive:
                raw = io.BytesIO(member_bytes(archive, member))
        except Unreadable as error:
            raise BadInput(f"{member.name!r} in {str(path)!r} cannot be read: {error}.") from error
        return cast(BinaryIO, gzip.open(raw)) if member.name.lower().endswith(".gz") else raw

    return f"{path}: {member.name}", opened
