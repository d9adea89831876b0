"""Documents: texts in memory, each an item of its own, and their words as numbers.

`read_documents` takes folders and zip files of class folders, files with a text a line, lists and arrays, and gives
`Documents`, a sequence that knows its texts. Words are cut and numbered once for all texts of a source, however often
the texts are split, so that folds cost nothing. Texts are counted from 0 in every message.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from decet.data.archives import Sort, lay_out, members_of, walk
from decet.data.files import near, suffix_of
from decet.data.passages import (
    TEXTS,
    File,
    Passages,
    checked,
    encodings_of,
    file_of,
    lines_of,
    passages_of,
    whole_texts,
    zipped,
)
from decet.data.words import END
from decet.errors import BadInput

SORT = Sort("text", "texts", (*TEXTS, *(f"{suffix}.gz" for suffix in TEXTS)))
_BLOCK = 1_000  # texts that are cut at a time

Array = np.ndarray


class Numbered(NamedTuple):
    """The words of texts, one text after the other.

    ids      (n,) int32, the place of each in `words`
    offsets  (texts + 1,) int64, where each text begins
    words    each once, in order of their first occurrence in the source
    """

    ids: Array
    offsets: Array
    words: list[str]

    def of(self, rows: Array) -> Numbered:
        """Those of some texts, in that order."""
        begins, sizes = self.offsets[rows], np.diff(self.offsets)[rows]
        offsets = np.concatenate([[0], np.cumsum(sizes)])
        where = np.arange(offsets[-1]) + np.repeat(begins - offsets[:-1], sizes)
        return Numbered(self.ids[where], offsets, self.words)


@dataclass
class _Source:
    """What subsets share: all texts, their files, and what was found of them, by name: (for which settings, what)."""

    texts: list[str]
    files: list[str] | None
    found: dict[str, tuple[Hashable, Any]] = field(default_factory=dict)


class Documents:
    """A sequence of texts. Subsets share what has been found of the whole.

    shape    (n,)
    names    what messages call each: the file's name, or "text 17"
    files    each one's file; None where they are no files
    remarks  sentences about what was found on reading
    """

    def __init__(self, texts: Sequence[str], files: Sequence[str] | None = None, remarks: Sequence[str] = ()) -> None:
        self._source = _Source(list(texts), None if files is None else list(files))
        self._rows = np.arange(len(texts))
        self.remarks = list(remarks)

    @property
    def shape(self) -> tuple[int]:
        return (len(self._rows),)

    @property
    def rows(self) -> Array:
        """Where in the source these texts stand (n,)."""
        return self._rows

    @property
    def texts(self) -> list[str]:
        texts = self._source.texts
        return [texts[row] for row in self._rows.tolist()]

    @property
    def files(self) -> list[str] | None:
        files = self._source.files
        return None if files is None else [files[row] for row in self._rows.tolist()]

    @property
    def names(self) -> list[str]:
        return self.files or [f"text {row}" for row in self._rows.tolist()]

    def __len__(self) -> int:
        return len(self._rows)

    def __repr__(self) -> str:
        return f"Documents({len(self):,})"

    def __getitem__(self, key: Any) -> Any:
        """One text by a number; else a subset, as an array is indexed."""
        if isinstance(key, (int, np.integer)):
            return self._source.texts[int(self._rows[key])]
        return self.take(np.arange(len(self))[key])

    def take(self, rows: Any) -> Documents:
        """The texts at these positions (or where a mask is True), in that order."""
        return self._at(self._rows[np.asarray(rows)])

    def numbered(self, settings: Hashable, number: Callable[[list[str]], Numbered]) -> Numbered:
        """The words of these texts by `number`, which works out those of the whole source, once for the settings."""
        whole: Numbered = self.once("words", settings, lambda: number(self._source.texts))
        return whole if self._is_whole() else whole.of(self._rows)

    def once(self, name: str, settings: Hashable, make: Callable[[], Any]) -> Any:
        """What `make` finds of the whole source; remembered under its name until it is asked with other settings."""
        known, value = self._source.found.get(name, (None, None))
        if known != settings:
            value = make()
            self._source.found[name] = (settings, value)
        return value

    def whole(self) -> Documents:
        """All texts of the source."""
        return self if self._is_whole() else self._at(np.arange(len(self._source.texts)))

    def _is_whole(self) -> bool:
        return len(self._rows) == len(self._source.texts) and bool((np.diff(self._rows) == 1).all())

    def _at(self, rows: Array) -> Documents:
        """Those that stand there in the source."""
        other = Documents((), None, self.remarks)
        other._source, other._rows = self._source, rows
        return other


def documents_of(X: Any) -> Documents:
    """A list of texts, or one that is `Documents` already."""
    return X if isinstance(X, Documents) else Documents(X)


def number_words(texts: Sequence[str], cut: Callable[[str], list[str]]) -> Numbered:
    """The words of all texts, cut by `cut` (see `words.cutter`)."""
    known: defaultdict[str, int] = defaultdict()
    known.default_factory = known.__len__
    known[END] = 0  # becomes -1
    parts = [np.empty(0, np.int32)]
    for begin in range(0, len(texts), _BLOCK):
        found = cut("".join(text.replace("\n", " ") + "\n" for text in texts[begin : begin + _BLOCK]))
        parts.append(np.fromiter(map(known.__getitem__, found), np.int32, len(found)) - 1)
    ids = np.concatenate(parts)
    ends = ids < 0
    offsets = np.concatenate([[0], np.flatnonzero(ends) - np.arange(len(texts))])
    del known[END]
    return Numbered(ids[~ends], offsets.astype(np.int64), list(known))


# ------------------------------------------------------------------------------------------------------------ reading


def read_documents(X: Any, part: str | None = None, encoding: str | None = None) -> tuple[Documents, list[str] | None]:
    """Texts, and the class of each, None where they have none.

    X: a folder or .zip of class folders of text files, or of files alone; a file with a text a line (also .gz), "-" for
        such from standard input; a list, array or column of texts, or of lists of words; `Passages`.
    part: of a folder with official parts: "train" (None too), "validation", "test" or "all".
    encoding: of files; several, as "utf-8,cp1252", are tried in turn on each.

    Raises `BadInput` where X is nothing of this, holds no text, or a file is not in the encoding; `NoPart`.
    """
    if isinstance(X, Documents):
        return X, None
    if isinstance(X, (str, Path)) and str(X) != "-":
        path = Path(X).expanduser()
        if not path.exists():
            raise BadInput(f"there is no file {str(X)!r} of texts.{near(path)}")
        if path.is_dir() or suffix_of(path.name) == ".zip":
            return _from_classes(path, str(X), part, encodings_of(encoding))
    return _from_lines(X, encoding), None


def _from_classes(
    path: Path, source: str, part: str | None, encodings: Sequence[str]
) -> tuple[Documents, list[str] | None]:
    if path.is_dir():
        layout = lay_out(*walk(path), source, part, SORT)
        files: list[File] = [file_of(path / name) for name in layout.names]
    else:
        members, folders = members_of(path)
        layout = lay_out(list(members), folders, source, part, SORT)
        files = [zipped(path, members[name]) for name in layout.names]
    remarks = list(layout.remarks)
    if part == "test":
        remarks.append(f"{source} has official parts; the test part was read.")
    texts = whole_texts(files, encodings, remarks)
    names = layout.names if not path.is_dir() else [name for name, _ in files]
    return Documents(texts, names, remarks), layout.labels


def _from_lines(X: Any, encoding: str | None) -> Documents:
    """Texts of a list, or a text a line."""
    if isinstance(X, np.ndarray):
        X = X.reshape(-1).tolist()
    if hasattr(X, "isna") and hasattr(X, "tolist"):  # a column of a data frame, with its own signs for what is missing
        X = X.astype(object).where(~X.isna(), None).tolist()
    passages = (
        lines_of(sys.stdin.buffer, encoding) if isinstance(X, str) and X == "-" else passages_of(X, None, encoding)
    )
    if isinstance(X, (str, Path, Passages)):
        lines = "".join(passages).split("\n")
        texts = lines[:-1] if not lines[-1] else lines
    else:
        texts = list(checked(X))
    if not texts:
        raise BadInput(f"{passages.name} holds no texts." if isinstance(X, (str, Path)) else "there are no texts.")
    return Documents(texts, None, passages.findings)
