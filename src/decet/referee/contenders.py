"""Who competes: families, and what needs no network, each fitted and asked in the same way.

Baselines read the rows as decet's own codecs give them: columns found, gaps filled, numbers scaled; pixels; words.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.base import clone

from decet.baselines import bytes_of, floor, node_baselines, picture_baselines, table_baselines, text_baselines
from decet.data.graph_codec import Graphs
from decet.data.graphs import Graph
from decet.data.images import Images
from decet.data.tables import Tables
from decet.data.targets import LabelCodec
from decet.data.texts import Texts
from decet.estimators.asking import bulk_of
from decet.estimators.reading import DataWarning, Given
from decet.estimators.saved import load, to_files
from decet.referee.verdict import BASELINE, FAMILY, FLOOR
from decet.tensors import Sparse
from decet.training.progress import Quiet, Show

Array = NDArray[Any]
FIRST = 2_000  # rows that a baseline is timed on, where there is a budget
SLOWER = 1.3  # times the time that the first rows foretell, to be safe
ALONE = 7  # rows asked alone, of which the middle one's time counts


@dataclass
class Terms:
    """What a contender is fitted under, beside the rows. seconds: its share of the budget; None: no limit."""

    groups: Any = None
    order: Any = None
    seconds: float | None = None
    out: Path | None = None
    resume: bool = False
    overwrite: bool = False
    show: Show = field(default_factory=Quiet)


class Contender(Protocol):
    """One of those compared."""

    name: str
    kind: str

    def fit(self, given: Given, terms: Terms) -> None: ...

    def answers(self, rows: Any) -> Array:
        """Probabilities (n, sum K), or numbers (n, J) in the target's units."""

    def about(self) -> dict[str, Any]:
        """Fields of `Result` that the contender itself knows."""


class Network:
    """A family of the row, as an estimator."""

    def __init__(self, name: str, estimator: Any):
        self.name, self.kind, self.estimator = name, FAMILY, estimator
        self.folder: Path | None = None

    @classmethod
    def loaded(cls, name: str, folder: Path) -> Network:
        """One that was fitted before."""
        found = cls(name, load(folder))
        found.folder = folder
        return found

    def fit(self, given: Given, terms: Terms) -> None:
        self.folder = terms.out
        beside = {name: value for name in ("groups", "order") if (value := getattr(terms, name)) is not None}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DataWarning)  # every family says the same; they are kept in warnings_
            self.estimator.fit(
                given,
                **beside,
                budget=terms.seconds,
                out=terms.out,
                resume=terms.resume,
                overwrite=terms.overwrite,
                show=terms.show,
            )

    def answers(self, rows: Any) -> Array:
        model = self.estimator
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DataWarning)  # remarks on reading, which the comparison tells once
            answers: Array = model._numbers_of(model._answers(rows, bulk_of(model.codec_.spec)))
        return answers

    def about(self) -> dict[str, Any]:
        model = self.estimator
        return {
            "rows": model.provenance_["rows"],
            "megabytes": _megabytes(model, self.folder),
            "settings": {"family": _said(model.family_), "recipe": _said(model.recipe_)},
            "history": model.history_,
            "folder": None if self.folder is None else self.folder.name,
            "interrupted": model.interrupted_,
        }


def _said(settings: Any) -> dict[str, Any]:
    return {name: value for name, value in asdict(settings).items() if value is not None}


def _megabytes(model: Any, folder: Path | None) -> float:
    """Of the model folder's files, or of what these would be."""
    if folder is None:
        return sum(map(len, to_files(model).values())) / 1e6
    return sum(path.stat().st_size for path in folder.iterdir() if path.is_file()) / 1e6


class Baseline:
    """A scikit-learn model a column of answers.

    encode: raw rows as the model reads them. answer: the codec of the answers.
    """

    def __init__(self, name: str, kind: str, model: Any, encode: Callable[[Any], Any], answer: Any):
        self.name, self.kind, self.model, self.encode, self.answer = name, kind, model, encode, answer
        self.models: list[Any] = []
        self.rows = 0

    def again(self) -> Baseline:
        """The same, not fitted."""
        return Baseline(self.name, self.kind, self.model, self.encode, self.answer)

    def fit(self, given: Given, terms: Terms) -> None:
        X, target = self.encode(given.rows), self._target(given.answers)
        each = None if terms.seconds is None else terms.seconds / target.shape[1]
        self.models = []
        for j, known in enumerate(self._known(target).T):
            rows = np.flatnonzero(known)
            y = target[:, j]
            lone = len(np.unique(y[rows])) < 2  # no model takes answers that are all the same
            model = next(iter(floor(numbers=not self._labels).values())) if lone else clone(self.model)
            fitted, count = _fitted_within(model, X, y, rows, each)
            self.models.append(fitted)
            self.rows = max(self.rows, count)

    @property
    def _labels(self) -> bool:
        return isinstance(self.answer, LabelCodec)

    def _target(self, answers: Any) -> Array:
        """(n, J) class ids, or numbers in their units."""
        target: Array = self.answer.encode(answers).numpy()
        if not self._labels:
            return np.asarray(self.answer.decode(target), np.float64).reshape(len(target), -1)
        return target.argmax(1)[:, None] if target.dtype.kind == "f" else target

    def _known(self, target: Array) -> Array:
        return target >= 0 if self._labels else ~np.isnan(target)

    def answers(self, rows: Any) -> Array:
        X = self.encode(rows)
        if not self._labels:
            return np.stack([np.asarray(model.predict(X), np.float64).reshape(-1) for model in self.models], 1)
        columns = []
        for model, classes in zip(self.models, self.answer.spec.classes, strict=True):
            column = np.zeros((_count(X), classes))
            column[:, model.classes_.astype(np.int64)] = model.predict_proba(X)
            columns.append(column)
        return np.concatenate(columns, 1)

    def about(self) -> dict[str, Any]:
        return {"rows": self.rows, "megabytes": bytes_of(self.models) / 1e6}


def _fitted_within(model: Any, X: Any, y: Array, rows: Array, seconds: float | None) -> tuple[Any, int]:
    """The model fitted on these rows, or on so many of them as the time allows; and on how many."""
    if seconds is None or len(rows) <= FIRST:
        return model.fit(_part(X, rows), y[rows]), len(rows)
    drawn = np.random.Generator(np.random.Philox(0)).permutation(rows)
    started = time.monotonic()
    first = clone(model).fit(_part(X, np.sort(drawn[:FIRST])), y[np.sort(drawn[:FIRST])])
    took = time.monotonic() - started
    count = min(len(rows), int(FIRST * (seconds - took) / (SLOWER * took)))
    if count < FIRST:
        return first, FIRST
    chosen = np.sort(drawn[:count])
    return model.fit(_part(X, chosen), y[chosen]), count


def _part(X: Any, rows: Array) -> Any:
    if isinstance(X, Graph):
        return X.take(rows)
    return [X[i] for i in rows.tolist()] if isinstance(X, list) else X[rows]


def _count(X: Any) -> int:
    return len(X) if isinstance(X, list) else int(X.shape[0])


# ------------------------------------------------------------------------------------------------- by kind of data


def baselines(estimator: Any, given: Given, answer: Any) -> list[Baseline]:
    """The floor, then what needs no network for this kind of data; codecs look at the training rows `given` alone."""
    beside = BESIDE.get(estimator.kind)
    inputs = estimator._inputs()
    numbers = not isinstance(answer, LabelCodec)
    encode, models = (_as_it_is, {}) if beside is None else beside(inputs, given.rows, numbers, int(estimator.seed))
    lowest = [Baseline(name, FLOOR, model, _only_count, answer) for name, model in floor(numbers=numbers).items()]
    return [*lowest, *(Baseline(name, BASELINE, model, encode, answer) for name, model in models.items())]


Beside = tuple[Callable[[Any], Any], dict[str, Any]]


def _beside_tables(inputs: Tables, rows: Any, numbers: bool, seed: int) -> Beside:
    codec = inputs.fit(rows, None)
    cells = rows.shape[0] * rows.shape[1] if codec.spec.sparse else None

    def encode(table: Any) -> Any:
        columns, slots = codec.encode(table)
        if isinstance(columns, Sparse):
            return sparse.csr_matrix(
                (columns.values.numpy(), columns.columns.numpy(), columns.offsets.numpy()),
                shape=(len(columns), codec.spec.numbers),
            )
        return np.concatenate([columns.numpy(), slots.numpy()], 1).astype(np.float32)

    return encode, table_baselines(codec.spec.numbers, codec.spec.categories, numbers=numbers, cells=cells, seed=seed)


def _beside_pictures(inputs: Images, rows: Any, numbers: bool, seed: int) -> Beside:
    codec = inputs.fit(rows, None)

    def encode(pictures: Any) -> Array:
        pixels: Array = codec.encode(pictures)[0].numpy()
        return pixels.mean(2) if pixels.ndim == 5 else pixels  # of a clip the mean of its frames

    return encode, picture_baselines(seed)


def _beside_texts(inputs: Texts, rows: Any, numbers: bool, seed: int) -> Beside:
    return lambda documents: list(documents.texts), text_baselines(inputs.cut())


def _beside_graphs(inputs: Graphs, rows: Graph, numbers: bool, seed: int) -> Beside:
    return _as_it_is, node_baselines(rows.features is not None)


BESIDE: dict[type, Callable[..., Beside]] = {
    Graphs: _beside_graphs,
    Tables: _beside_tables,
    Images: _beside_pictures,
    Texts: _beside_texts,
}


def _as_it_is(rows: Any) -> Any:
    return rows


def _only_count(rows: Any) -> Array:
    """What the floor reads: nothing of a row."""
    return np.zeros((rows.shape[0], 1))


# ------------------------------------------------------------------------------------------------------ measuring


@contextmanager
def peak_memory() -> Iterator[list[float]]:
    """A list that holds, afterwards, how many MB this process grew by at most; empty where the system does not tell."""
    found: list[float] = []
    start = None
    with suppress(OSError):
        start = _resident("VmRSS")
        Path("/proc/self/clear_refs").write_text("5")  # the kernel's peak starts anew from here
    try:
        yield found
    finally:
        if start is not None:
            with suppress(OSError):
                found.append(max(0.0, _resident("VmHWM") - start))


def _resident(name: str) -> float:
    """A line of /proc/self/status in MB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024 / 1e6
    raise OSError(f"/proc/self/status has no {name}")


def latency(contender: Contender, rows: Any) -> float:
    """Milliseconds to answer one row alone: the middle of a few, after one to warm up."""
    seconds = []
    for i in range(min(ALONE, rows.shape[0])):
        row = taken(rows, np.array([i]))
        if not i:
            contender.answers(row)
        started = time.perf_counter()
        contender.answers(row)
        seconds.append(time.perf_counter() - started)
    return 1e3 * float(np.median(seconds))


def taken(rows: Any, places: Array) -> Any:
    """Raw rows at these positions: of a frame, a sparse table, pictures or texts."""
    part = rows[places] if sparse.issparse(rows) else rows.take(places)
    return part.reset_index(drop=True) if hasattr(part, "reset_index") else part


def answers_taken(answers: Any, places: Array) -> Any:
    """Raw answers at these positions, in the form they came in."""
    if hasattr(answers, "iloc"):
        return answers.iloc[places].reset_index(drop=True)
    if isinstance(answers, (list, tuple)):
        return [answers[i] for i in places.tolist()]
    return np.asarray(answers)[places]
