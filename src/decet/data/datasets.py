"""Named public sets: what they are, on what terms, where their files are, and how they are read.

A file is looked for in the folder that DECET_DATA names, then in the user's cache (DECET_CACHE, else ~/.cache/decet),
and is then downloaded from its home into the cache. A file counts only if its checksum is the known one; the check is
made once and remembered by size and time of change. The list itself stands in `datasets.toml`.
"""

from __future__ import annotations

import gzip
import hashlib
import http.client
import importlib.resources
import io
import json
import os
import re
import tempfile
import tomllib
import urllib.error
import urllib.request
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from decet.errors import BadInput, check_choice, suggest

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

Progress = Callable[[int, int], None]  # bytes so far, bytes in all
SPLITS = ("train", "validation", "test", "all")
_CHUNK = 1 << 18
_PATIENCE = 30.0  # seconds without an answer


@dataclass(frozen=True)
class File:
    """A file of a set. `contents` is the checksum of what a gzip file holds, however it was packed."""

    path: str  # below DECET_DATA
    sha256: str
    bytes: int
    url: str | None = None
    contents: str | None = None


@dataclass(frozen=True)
class Dataset:
    """A public set. `reader` is None where decet knows the files but does not read them yet."""

    name: str
    title: str
    kind: str
    rows: str
    licence: str
    home: str
    citation: str = ""
    target: str | None = None
    reader: str | None = None
    parts: dict[str, int] = field(default_factory=dict)  # official parts of texts: which of the files each is
    restricted: bool = False  # its terms do not allow free redistribution or commercial use
    files: tuple[File, ...] = ()

    @property
    def status(self) -> str:
        """ready, or planned."""
        return "planned" if self.reader is None else "ready"


@dataclass(frozen=True)
class Loaded:
    """A set in memory. `splits` holds the row positions of each official part, or None where there are none; `part`
    says which of them this is, None = all rows."""

    name: str
    X: Any  # a DataFrame, Pictures, Documents, Passages, or a Graph
    y: Any  # a Series; None where no answers are known, as of a corpus
    target: str
    splits: dict[str, np.ndarray] | None
    description: str
    dataset: Dataset = field(repr=False)
    part: str | None = None


def load(name: str, split: str | None = None, *, progress: Progress | None = None) -> Loaded:
    """Read a set by name. split: "train", "validation" or "test" for an official part, "all" or None for all rows.

    Raises `BadInput` on an unknown name, a planned set, a part the set does not have, and a file that cannot be had.
    """
    check_choice("split", split, SPLITS)
    dataset = find(name)
    if dataset.reader is None:
        ready = ", ".join(other for other in names() if DATASETS[other].reader)
        raise BadInput(f"decet knows the set {name!r} but does not read it yet. It reads {ready}.")
    X, y, splits = _READERS[dataset.reader](dataset, progress)
    if split is not None and split != "all":
        if split not in (splits or {}):
            raise BadInput(f"{name!r} has no official {split} part. Load all of it, and split it by seed.")
        rows = splits[split]
        X, y, splits = X.take(rows), None if y is None else y.iloc[rows].reset_index(drop=True), None
        X = X.reset_index(drop=True) if hasattr(X, "reset_index") else X
    target = "" if y is None else str(y.name)
    part = None if split == "all" else split
    return Loaded(name, X, y, target, splits, f"{dataset.title}: {dataset.rows}", dataset, part)


def names() -> list[str]:
    """The names of all sets, in alphabetical order."""
    return sorted(DATASETS)


def find(name: str) -> Dataset:
    """The set of this name."""
    if name not in DATASETS:
        raise BadInput(f"there is no public set {name!r}.{suggest(name, names())}")
    return DATASETS[name]


def means_set(name: str) -> bool:
    """Whether this means a public set, and not a file of that name."""
    return name in DATASETS and not Path(name).is_file()


def here(dataset: Dataset) -> bool:
    """Whether the set can be read without a download; the files' checksums are not looked at."""
    return all(any((folder / file.path).is_file() for folder in _folders()) for file in dataset.files)


def locate(dataset: Dataset, file: File, *, progress: Progress | None = None) -> Path:
    """Where a file of a set lies, downloaded first if it must be."""
    for folder in _folders():
        path = folder / file.path
        if path.is_file():
            _check(path, file)
            return path
    return _download(dataset, file, progress)


def _folders() -> list[Path]:
    data = os.environ.get("DECET_DATA")
    return [*([Path(data)] if data else []), _cache()]


def _cache() -> Path:
    """The user's folder for what can be fetched again."""
    if said := os.environ.get("DECET_CACHE"):
        return Path(said)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "decet"


# ------------------------------------------------------------------------------------------------------- checksums


def _check(path: Path, file: File) -> None:
    """Refuse a file that is not the known one; a file found right is not read again until it changes."""
    status = path.stat()
    stamp = _cache() / "checked" / hashlib.sha256(str(path.resolve()).encode()).hexdigest()
    seen = json.dumps([status.st_size, status.st_mtime_ns, file.sha256])
    try:
        if stamp.read_text() == seen:
            return
    except (OSError, UnicodeDecodeError):
        pass  # not checked before
    if not _is_right(path.read_bytes(), file):
        raise BadInput(
            f"{str(path)!r} is not the file decet knows: its checksum differs ({status.st_size:,} bytes, expected "
            f"{file.bytes:,}). Delete it, or put the right file there (sha256 {file.sha256})."
        )
    try:
        stamp.parent.mkdir(parents=True, exist_ok=True)
        stamp.write_text(seen)
    except OSError:
        pass  # a cache that cannot be written costs a second look the next time


def _is_right(raw: bytes, file: File) -> bool:
    if hashlib.sha256(raw).hexdigest() == file.sha256:
        return True
    return file.contents is not None and hashlib.sha256(_unpacked(raw)).hexdigest() == file.contents


def _unpacked(raw: bytes) -> bytes:
    if raw[:2] != b"\x1f\x8b":
        return raw
    try:
        return gzip.decompress(raw)
    except (OSError, EOFError, zlib.error):
        return b""


# -------------------------------------------------------------------------------------------------------- download


def _download(dataset: Dataset, file: File, progress: Progress | None) -> Path:
    target = _cache() / file.path
    looked = "; ".join(str(folder) for folder in _folders())
    where = f"{dataset.name!r} needs the file {file.path}, which is not in {looked}"
    advice = f"Get it from {dataset.home} and put it at {target}, or set DECET_DATA to a folder that has it."
    if file.url is None:
        raise BadInput(f"{where}. {advice}")
    try:
        raw = _fetch(file, progress)
        if not _is_right(raw, file):
            raise BadInput(f"{where}, and what {file.url} gives is another file (its checksum differs). {advice}")
        if file.path.endswith(".gz") and raw[:2] != b"\x1f\x8b":
            raw = gzip.compress(raw, mtime=0)
        _write_whole(target, raw)
    except (OSError, http.client.HTTPException) as error:  # URLError and time-outs are OSErrors
        reason = getattr(error, "reason", None) or error
        raise BadInput(f"{where}, and the download from {file.url} failed ({reason}). {advice}") from error
    return target


def _fetch(file: File, progress: Progress | None) -> bytes:
    if not str(file.url).startswith(("https://", "http://")):
        raise BadInput(f"{file.url!r} is no web address.")
    request = urllib.request.Request(str(file.url), headers={"User-Agent": "decet"})
    parts, done = [], 0
    with urllib.request.urlopen(request, timeout=_PATIENCE) as answer:
        size = int(answer.headers.get("Content-Length") or file.bytes)
        most = 20 * file.bytes + _CHUNK  # unpacked text is larger than its file, but not without limit
        while part := answer.read(_CHUNK):
            parts.append(part)
            done += len(part)
            if done > most:
                raise BadInput(f"{file.url} gives more than {most:,} bytes, but {file.path} has {file.bytes:,}.")
            if progress is not None:
                progress(done, max(size, done))
    return b"".join(parts)


def _write_whole(path: Path, raw: bytes) -> None:
    """Write beside, then rename: a file is there whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, beside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as out:
            out.write(raw)
            out.flush()
            os.fsync(out.fileno())
        os.replace(beside, path)
    except BaseException:
        Path(beside).unlink(missing_ok=True)
        raise


# ---------------------------------------------------------------------------------------------------------- readers


def _adult(dataset: Dataset, progress: Progress | None) -> tuple[pd.DataFrame, pd.Series, dict[str, np.ndarray]]:
    """Train rows, then test rows. Blanks after commas, "?" for missing, and a full stop after the test's labels."""
    import numpy as np
    import pandas as pd

    paths = {file.path.rsplit("/", 1)[-1]: locate(dataset, file, progress=progress) for file in dataset.files}
    header = re.findall(r"^([a-z-]+):", paths["adult.names"].read_text(), flags=re.MULTILINE)
    parts = []
    for name in ("adult.data.gz", "adult.test.gz"):
        text = io.BytesIO(_unpacked(paths[name].read_bytes()))
        parts.append(
            pd.read_csv(text, names=[*header, dataset.target], skipinitialspace=True, na_values="?", comment="|")
        )
    rows = np.cumsum([0, *map(len, parts)])
    X = pd.concat(parts, ignore_index=True)
    y = X.pop(str(dataset.target)).str.removesuffix(".")
    return X, y, {"train": np.arange(rows[0], rows[1]), "test": np.arange(rows[1], rows[2])}


def _bundled(dataset: Dataset, progress: Progress | None) -> tuple[Any, pd.Series, None]:
    """The sets that come with scikit-learn; classes by their names. Digits are pictures, their 0 to 16 as 0 to 255."""
    import numpy as np
    import pandas as pd
    from sklearn import datasets

    bunch = getattr(datasets, f"load_{dataset.name.replace('-', '_')}")(as_frame=True)
    y = bunch.target.rename(dataset.target)
    if dataset.name in ("iris", "wine", "breast-cancer"):
        y = pd.Series([str(bunch.target_names[label]) for label in y], name=dataset.target, dtype="str")
    if dataset.kind == "images":
        from decet.data.pictures import read_pictures

        pixels = np.rint(bunch.images * (255 / 16)).astype(np.uint8)  # (N, 8, 8)
        return read_pictures(pixels)[0], y, None
    return bunch.data, y, None


def _mnist(dataset: Dataset, progress: Progress | None) -> tuple[Any, pd.Series, dict[str, np.ndarray]]:
    """Train pictures, then test pictures, of IDX files."""
    import numpy as np
    import pandas as pd

    from decet.data.archives import read_idx
    from decet.data.pictures import read_pictures

    paths = {file.path.rsplit("/", 1)[-1]: locate(dataset, file, progress=progress) for file in dataset.files}
    pixels = [read_idx(paths[f"{part}-images-idx3-ubyte.gz"], 3, "pictures") for part in ("train", "t10k")]
    labels = [read_idx(paths[f"{part}-labels-idx1-ubyte.gz"], 1, "labels") for part in ("train", "t10k")]
    y = pd.Series(np.concatenate(labels).astype(np.int64), name=dataset.target)
    rows = np.arange(len(y))
    return (
        read_pictures(np.concatenate(pixels))[0],
        y,
        dict(zip(("train", "test"), np.split(rows, [len(labels[0])]), strict=True)),
    )


def _folders_of_classes(dataset: Dataset, progress: Progress | None) -> tuple[Any, pd.Series, dict[str, np.ndarray]]:
    """A zip of train/CLASS/NAME and test/CLASS/NAME."""
    import numpy as np
    import pandas as pd

    from decet.data.pictures import read_pictures

    pictures, labels, _ = read_pictures(locate(dataset, dataset.files[0], progress=progress), part="all")
    parts = np.array([name.split("/", 1)[0] for name in pictures.names])
    splits = {part: np.flatnonzero(parts == part) for part in ("train", "test")}
    return pictures, pd.Series(labels, name=dataset.target, dtype="str"), splits


def _text_folders(dataset: Dataset, progress: Progress | None) -> tuple[Any, pd.Series, None]:
    """A zip of CLASS/NAME.txt, in UTF-8 but for a few files."""
    import pandas as pd

    from decet.data.documents import read_documents

    path = locate(dataset, dataset.files[0], progress=progress)
    documents, labels = read_documents(path, encoding="utf-8,cp1252")
    return documents, pd.Series(labels, name=dataset.target, dtype="str"), None


def _rt_polarity(dataset: Dataset, progress: Progress | None) -> tuple[Any, pd.Series, None]:
    """A sentence a line: the positive ones, then the negative ones."""
    import numpy as np
    import pandas as pd

    from decet.data.documents import Documents, read_documents

    parts = [read_documents(locate(dataset, file, progress=progress))[0].texts for file in dataset.files]
    labels = np.repeat(["positive", "negative"], [len(part) for part in parts])
    return Documents([*parts[0], *parts[1]]), pd.Series(labels, name=dataset.target, dtype="str"), None


def _text_table(dataset: Dataset, progress: Progress | None) -> tuple[Any, pd.Series, None]:
    """A table of one column of texts beside the target."""
    from decet.data.documents import read_documents
    from decet.data.frames import pop_target, read_table

    frame, y = pop_target(read_table(locate(dataset, dataset.files[0], progress=progress)), str(dataset.target))
    return read_documents(frame.iloc[:, 0])[0], y, None


def _thucnews(dataset: Dataset, progress: Progress | None) -> tuple[Any, pd.Series, dict[str, np.ndarray]]:
    """Headlines and numbers of topics, train (what its home calls dev), then test; and the topics' names."""
    import numpy as np
    import pandas as pd

    from decet.data.documents import Documents, read_documents

    train, test, names = (read_documents(locate(dataset, f, progress=progress))[0].texts for f in dataset.files)
    texts, numbers = zip(*(line.rsplit("\t", 1) for line in (*train, *test)), strict=True)
    y = pd.Series([names[int(number)] for number in numbers], name=dataset.target, dtype="str")
    rows = np.arange(len(y))
    return Documents(texts), y, dict(zip(("train", "test"), np.split(rows, [len(train)]), strict=True))


def _planetoid(dataset: Dataset, progress: Progress | None) -> tuple[Any, pd.Series, Any]:
    """A citation graph with its public split."""
    import pandas as pd

    from decet.data.graph_files import read_graph

    graph = read_graph(locate(dataset, dataset.files[0], progress=progress))
    return graph, pd.Series(graph.labels, name=dataset.target, dtype=object), graph.splits


def _karate(dataset: Dataset, progress: Progress | None) -> tuple[Any, pd.Series, None]:
    """The graph that comes with decet: edges, and whom each node followed."""
    import numpy as np
    import pandas as pd

    from decet.data.graphs import Graph

    text = importlib.resources.files("decet.data").joinpath("karate.txt").read_text(encoding="utf-8")
    lines = {words[0]: words[1:] for words in map(str.split, text.splitlines()) if words[0] != "#"}
    edges = np.array([edge.split("-") for edge in lines["edges"]], np.int64).T
    labels = np.where(np.isin(np.arange(edges.max() + 1), np.array(lines["hi"], np.int64)), "Mr. Hi", "Officer")
    graph = Graph(edges, labels=labels)
    return graph, pd.Series(graph.labels, name=dataset.target, dtype=object), None


def _passages(dataset: Dataset, progress: Progress | None) -> tuple[Any, None, dict[str, np.ndarray] | None]:
    """Plain texts, a sentence or document a line, as a stream; of word tests the corpus that stands last."""
    import numpy as np

    from decet.data.passages import passages_of

    splits = {part: np.array([place]) for part, place in dataset.parts.items()}
    return passages_of([locate(dataset, file, progress=progress) for file in dataset.files][-1]), None, splits or None


_READERS: dict[str, Callable[..., tuple[Any, Any, Any]]] = {
    "adult": _adult,
    "bundled": _bundled,
    "mnist": _mnist,
    "folders": _folders_of_classes,
    "text-folders": _text_folders,
    "rt-polarity": _rt_polarity,
    "text-table": _text_table,
    "thucnews": _thucnews,
    "passages": _passages,
    "planetoid": _planetoid,
    "karate": _karate,
}


def _catalogue() -> dict[str, Dataset]:
    text = importlib.resources.files("decet.data").joinpath("datasets.toml").read_text(encoding="utf-8")
    found = {}
    for name, entry in tomllib.loads(text).items():
        files = tuple(File(**file) for file in entry.pop("files", ()))
        found[name] = Dataset(name=name, files=files, **entry)
    return found


DATASETS = _catalogue()
