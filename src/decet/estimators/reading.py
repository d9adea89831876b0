"""From what a user passes to raw rows and raw answers: tables, pictures and texts.

An estimator names the reader of its kind of data: `given` for X and y of any verb, `pair` for validation data.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from scipy import sparse
from sklearn.utils.validation import validate_data

from decet.data.archives import NoPart
from decet.data.datasets import Loaded
from decet.data.documents import read_documents
from decet.data.files import near, suffix_of
from decet.data.frames import names_columns, pop_target, read_table
from decet.data.passages import TABLES, text_column
from decet.errors import BadInput, listed, suggest


class DataWarning(UserWarning):
    """The data are legal but surely not what was meant."""


@dataclass
class Given:
    """What a call was given.

    rows     raw rows
    answers  their raw answers, None where there are none
    source   where they came from
    targets  the names of the answers' columns
    beside   the table they are a column of, where groups and times may stand; None: the rows themselves
    held     the data's own validation part, where it has one
    """

    rows: Any
    answers: Any
    source: str = ""
    targets: tuple[str, ...] = ()
    beside: Any = None
    held: Given | None = None


class Reader(Protocol):
    """How what a user passes becomes raw rows. `literal`: the flag by which the command line gives a row itself."""

    literal: str | None

    def given(self, estimator: Any, X: Any, y: Any, reset: bool) -> Given: ...

    def pair(self, estimator: Any, validation: Any, targets: tuple[str, ...]) -> Given: ...


class TableReader:
    """Tables: paths, frames, arrays, sparse matrices, lists of rows, public sets."""

    literal: str | None = None

    def given(self, estimator: Any, X: Any, y: Any, reset: bool) -> Given:
        """Raw rows and answers from whatever a user may pass. `reset`: remember the columns (fit)."""
        if isinstance(X, Loaded):
            return _from_set(estimator, X, y, reset)
        if isinstance(X, (str, Path)):
            return _from_name(estimator, str(X), y, reset)
        if _columns_of(X) is not None or _is_named(X):
            frame = read_table(X)
            targets: tuple[str, ...] = ()
            if names_columns(y, frame):
                targets = tuple(map(str, [y] if isinstance(y, str) else y))
                frame, y = pop_target(frame, y)
            elif y is None and not reset:
                frame, y, targets = _without_target(estimator, frame)
            return _checked(estimator, frame, y, targets, "a data frame", reset)
        if isinstance(y, str):
            raise BadInput(
                f"y names a column ({y!r}), but X is an array, whose columns have no names. Pass the answers."
            )
        return _checked(estimator, X, y, (), "an array", reset)

    def pair(self, estimator: Any, validation: Any, targets: tuple[str, ...]) -> Given:
        """Validation data: (X, y), or a frame or path that holds the target columns."""
        if isinstance(validation, tuple) and len(validation) == 2 and validation[1] is not None:
            return self.given(estimator, *validation, reset=False)
        if isinstance(validation, (str, Path)):
            validation = read_table(str(validation))
        columns = _columns_of(validation)
        if columns is None or not targets or not set(targets) <= set(map(str, columns)):
            raise BadInput("validation must be (X, y), or a table that holds the target column.")
        return self.given(estimator, validation, list(targets) if len(targets) > 1 else targets[0], reset=False)


class PictureReader:
    """Pictures: folders of classes, zip files, tables of paths, IDX files, arrays, public sets.

    answered: whether a fit needs an answer for each.
    """

    literal: str | None = None

    def __init__(self, answered: bool = True) -> None:
        self.answered = answered

    def given(self, estimator: Any, X: Any, y: Any, reset: bool) -> Given:
        """Pictures and their raw answers. `reset` (fit): unreadable ones are left out, and answers must be there."""
        from decet.data import datasets
        from decet.data.pictures import read_pictures

        source = str(X) if isinstance(X, (str, Path)) else "arrays"
        if isinstance(X, str) and datasets.means_set(X):
            X = _of_set(X, reset)
        elif isinstance(X, str) and not Path(X).exists() and "." not in X and "/" not in X:
            raise BadInput(f"no such path or public set: {X!r}.{suggest(X, datasets.names())}")
        if isinstance(X, Loaded):
            _check_kind(estimator, X, "images", "pictures")
            pictures, answers, target, source = X.X, X.y if y is None else y, X.target, X.name
        else:
            clips = bool((estimator.inputs or estimator.kind()).frames)
            pictures, answers, target = read_pictures(X, y, clips=clips) if reset else _tested(X, y, clips)
        if reset and answers is None and self.answered:
            raise BadInput(
                f"{type(estimator).__name__} needs an answer for each picture: a folder of class folders "
                f"(photos/cat/1.jpg), a table of paths and labels, or y."
            )
        if answers is not None and len(answers) != len(pictures):
            raise BadInput(f"there are {len(pictures):,} pictures but y has {len(answers):,} answers.")
        if reset:
            pictures, kept = (estimator.inputs or estimator.kind()).read(pictures)
            if answers is not None and len(kept) < len(answers):
                answers = [answers[i] for i in kept] if isinstance(answers, list) else np.asarray(answers)[kept]
        return Given(pictures, answers, source, (target,) if target else ())

    def pair(self, estimator: Any, validation: Any, targets: tuple[str, ...]) -> Given:
        """Validation data: (X, y), or whatever holds its answers, as a folder of class folders does."""
        tells = isinstance(validation, tuple) and len(validation) == 2
        X, y = validation if tells else (validation, list(targets) if len(targets) > 1 else None)
        given = self.given(estimator, X, y, reset=False)
        if given.answers is None:
            raise BadInput("validation must be (X, y), or pictures that have answers, as a folder of class folders.")
        return given


def _tested(X: Any, y: Any, clips: bool) -> tuple[Any, Any, str]:
    """Pictures to answer: of a folder with official parts those of the test part, for the others were learned from."""
    from decet.data.pictures import read_pictures

    if isinstance(X, (str, Path)) and (Path(X).is_dir() or str(X).lower().endswith(".zip")):
        with suppress(BadInput):  # there are no official parts
            pictures, answers, target = read_pictures(X, y, part="test", clips=clips)
            pictures.remarks.append(f"{X} has official parts; the test part was read.")
            return pictures, answers, target
    return read_pictures(X, y, clips=clips)


class TextReader:
    """Texts: lists and columns, tables, folders of classes, zip files, files with a text a line, public sets."""

    literal: str | None = "text"

    def given(self, estimator: Any, X: Any, y: Any, reset: bool) -> Given:
        """Texts and their raw answers. `reset` (fit): remember the column, and answers must be there."""
        from decet.data import datasets

        if isinstance(X, str) and datasets.means_set(X):
            X = _of_set(X, reset)
        if isinstance(X, Loaded):
            _check_kind(estimator, X, "texts", "texts")
            found = Given(*_documents(estimator, X.X, X.y if y is None else y), X.name, (X.target,) if X.target else ())
        elif _is_table(X, reset):
            return self._of_table(estimator, X, y, reset)
        else:
            if isinstance(X, (str, Path)):
                check_there(X)
            found = Given(*_documents(estimator, X, y, reset), str(X) if isinstance(X, (str, Path)) else "a list")
        return self._checked(estimator, found, None, reset)

    def pair(self, estimator: Any, validation: Any, targets: tuple[str, ...]) -> Given:
        """Validation data: (X, y), or whatever holds its answers, as a folder of class folders or a table does."""
        tells = isinstance(validation, tuple) and len(validation) == 2
        X, y = validation if tells else (validation, None)
        if y is None and targets and _is_table(X, True):
            y = list(targets) if len(targets) > 1 else targets[0]
        given = self.given(estimator, X, y, reset=False)
        if given.answers is None:
            raise BadInput("validation must be (X, y), or texts that have answers, as a folder of class folders.")
        return given

    def _of_table(self, estimator: Any, X: Any, y: Any, reset: bool) -> Given:
        name = str(X) if isinstance(X, (str, Path)) else "the data frame"
        whole = frame = read_table(X)
        targets: tuple[str, ...] = ()
        if names_columns(y, frame):
            targets = tuple(map(str, [y] if isinstance(y, str) else y))
            frame, y = pop_target(frame, y)
        elif y is None and not reset:
            frame, y, targets = _without_target(estimator, frame)
        elif y is None:
            raise BadInput(
                f"which column of {name} is the target? Say y=... (--target). Columns: {listed(frame.columns)}."
            )
        said = (estimator.inputs or estimator.kind()).column
        if said is None and not reset and hasattr(estimator, "feature_names_in_"):
            said = str(estimator.feature_names_in_[0])
        column = text_column(frame, name, said)
        documents, _ = read_documents(frame[column])
        return self._checked(estimator, Given(documents, y, name, targets, whole), column, reset)

    def _checked(self, estimator: Any, given: Given, column: str | None, reset: bool) -> Given:
        name, count = type(estimator).__name__, len(given.rows)
        if reset and given.answers is None:
            raise BadInput(
                f"{name} needs an answer for each text: a folder of class folders (reviews/good/1.txt), a table of "
                "texts and labels, or y."
            )
        if given.answers is not None and not hasattr(given.answers, "__len__"):
            given.answers = np.asarray(given.answers)
        if given.answers is not None and len(given.answers) != count:
            raise BadInput(f"there are {count:,} texts but y has {len(given.answers):,} answers.")
        if reset:
            estimator.n_features_in_ = 1
            vars(estimator).pop("feature_names_in_", None)
            if column is not None:
                estimator.feature_names_in_ = np.array([column], dtype=object)
        return given


def _is_table(X: Any, reset: bool) -> bool:
    """Whether X is a table, and not texts themselves."""
    if isinstance(X, (str, Path)):
        return suffix_of(str(X)) in (*TABLES, ".json") or (str(X) == "-" and reset)
    return _columns_of(X) is not None or _is_named(X)


def check_there(X: str | Path) -> None:
    """Refuse a path that leads nowhere, and a text that stands where a path is meant."""
    from decet.data import datasets

    hint = suggest(X, datasets.names()).split(" Choose")[0]
    with suppress(OSError, ValueError):  # too long for a name, or with a zero byte
        path = Path(X).expanduser()
        if str(X) == "-" or path.exists():
            return
        hint = near(path) or hint
    shown = str(X) if len(str(X)) <= 60 else f"{str(X)[:60]}..."
    raise BadInput(
        f"no such path or public set: {shown!r}.{hint} A text itself is given in a list, or to decet predict by --text."
    )


def _documents(estimator: Any, X: Any, y: Any, reset: bool = False) -> tuple[Any, Any]:
    """The texts, and their answers: y, or where it is None what X itself tells."""
    encoding = (estimator.inputs or estimator.kind()).encoding
    if isinstance(y, str):
        raise BadInput(f"y names a column ({y!r}), but X is no table, so it has none. Pass the answers.")
    try:  # of a folder with official parts the test part, for the others were learned from
        documents, labels = read_documents(X, None if reset else "test", encoding)
    except NoPart:
        documents, labels = read_documents(X, None, encoding)
    return documents, labels if y is None else y


def _of_set(name: str, reset: bool) -> Loaded:
    """A public set; in a fit, of one with official parts the train part: the test rows are for evaluate."""
    from decet.data import datasets

    loaded = datasets.load(name)
    if not reset or loaded.splits is None or loaded.y is None:
        return loaded
    rows = loaded.splits["train"]
    return replace(loaded, X=loaded.X.take(rows), y=loaded.y.iloc[rows], splits=None)


def _check_kind(estimator: Any, loaded: Loaded, kind: str, takes: str) -> None:
    if loaded.dataset.kind != kind:
        holds = loaded.dataset.kind.removesuffix("s") + "s"
        raise BadInput(f"the public set {loaded.name!r} holds {holds}, and {type(estimator).__name__} takes {takes}.")


def _from_name(estimator: Any, name: str, y: Any, reset: bool) -> Given:
    from decet.data import datasets

    if datasets.means_set(name):
        loaded = datasets.load(name)
        if reset and loaded.splits is not None:  # the official test rows are for evaluate
            loaded = datasets.load(name, "train")
        return _from_set(estimator, loaded, y, reset)
    if name != "-" and not Path(name).exists() and "." not in Path(name).name and "/" not in name:
        raise BadInput(f"no such path or public set: {name!r}.{suggest(name, datasets.names())}")
    frame = read_table(name)
    if y is None and not reset:
        frame, y, targets = _without_target(estimator, frame)
        return _checked(estimator, frame, y, targets, name, reset)
    if y is None:
        columns = listed(frame.columns)
        raise BadInput(f"which column of {name} is the target? Say y=... (--target). Columns: {columns}.")
    if not names_columns(y, frame, always=True):
        return _checked(estimator, frame, y, (), name, reset)
    targets = tuple(map(str, [y] if isinstance(y, str) else y))
    frame, y = pop_target(frame, y)
    return _checked(estimator, frame, y, targets, name, reset)


def _from_set(estimator: Any, loaded: Loaded, y: Any, reset: bool) -> Given:
    _check_kind(estimator, loaded, "table", "tables")
    if y is not None:
        frame = loaded.X.assign(**{loaded.target: loaded.y})
        targets = tuple(map(str, [y] if isinstance(y, str) else y))
        return _checked(estimator, *pop_target(frame, y), targets, loaded.name, reset)
    if not reset and set(estimator.target_names_) & set(loaded.X.columns):  # trained on another column of it
        frame, y, targets = _without_target(estimator, loaded.X.assign(**{loaded.target: loaded.y}))
        return _checked(estimator, frame, y, targets, loaded.name, reset)
    return _checked(estimator, loaded.X, loaded.y, (loaded.target,), loaded.name, reset)


def _without_target(estimator: Any, frame: Any) -> tuple[Any, Any, tuple[str, ...]]:
    """At evaluation the target columns are known, and taken out where they are there."""
    names = [name for name in estimator.target_names_ if name in frame.columns]
    if names and len(names) == len(estimator.target_names_):
        return *pop_target(frame, names if len(names) > 1 else names[0]), tuple(names)
    return frame, None, ()


def _checked(estimator: Any, rows: Any, y: Any, targets: tuple[str, ...], source: str, reset: bool) -> Given:
    """scikit-learn's checks of an array, decet's of a frame; both remember names and number of columns."""
    if _columns_of(rows) is not None:
        frame = read_table(rows)
        if reset:
            validate_data(estimator, frame, reset=True, skip_check_array=True)
        elif not hasattr(estimator, "feature_names_in_") and frame.shape[1] != estimator.n_features_in_:
            raise BadInput(f"X has {frame.shape[1]} columns, training had {estimator.n_features_in_}.")
        rows = frame
    else:
        text = isinstance(rows, np.ndarray) and rows.dtype.kind in "OUS"
        mixed = isinstance(rows, (list, tuple)) and _holds_text(rows)
        rows = validate_data(
            estimator,
            np.asarray(rows, dtype=object) if mixed else rows,
            reset=reset,
            accept_sparse="csr",
            dtype=None if text or mixed else "numeric",
            ensure_all_finite=False if text or mixed else "allow-nan",
        )
        if sparse.issparse(rows):
            rows = sparse.csr_matrix(rows)
        else:
            rows = read_table(rows)
    if reset and y is None:
        raise BadInput(
            f"This {type(estimator).__name__} estimator requires y to be passed, but the target y is None. "
            f"Pass answers, or the name of the target column."
        )
    if y is not None and not hasattr(y, "__len__"):
        y = np.asarray(y)
    if y is not None and len(y) != rows.shape[0]:
        raise BadInput(f"X has {rows.shape[0]} rows but y has {len(y)}: inconsistent numbers of samples.")
    return Given(rows, y, source, targets)


def _columns_of(X: Any) -> Any:
    """The columns of a data frame of any library; None for arrays and lists."""
    return getattr(X, "columns", None) if hasattr(X, "__dataframe__") or hasattr(X, "iloc") else None


def _is_named(X: Any) -> bool:
    """Whether rows come with the names of their columns: a dict of columns or a list of dicts."""
    return isinstance(X, Mapping) or (isinstance(X, (list, tuple)) and bool(X) and isinstance(X[0], Mapping))


def _holds_text(rows: Any) -> bool:
    """Whether a list of rows has a string in its first row."""
    first = rows[0] if len(rows) else ()
    return isinstance(first, (list, tuple)) and any(isinstance(value, str) for value in first)
