"""Answers: labels and numbers, between the user's form and the tensors that tasks compare with.

`fit_labels` and `fit_numbers` find the form of the training answers (one column or several, sets of labels, soft
labels) and give a codec: `encode` checks and gives the target tensor, `decode` gives predictions in the form and
dtype the answers came in. Rows are counted from 0 in every message.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from decet.contracts import LabelSpec, NumberSpec
from decet.errors import BadInput, listed, suggest

GAP = -1  # a label that is not known
_FORMS = ("array", "indicator", "list", "tuple", "set", "frozenset")


def fit_labels(y: Any, *, soft: bool = False) -> LabelCodec:
    """The codec for these labels: one label a row, several columns of labels (gaps allowed), sets of labels (a list
    of lists, tuples or sets, or a 2-D array of 0 and 1), or, where `soft`, rows of class probabilities."""
    if soft:
        columns, names = _columns(y)
        _probabilities(columns)
        classes = np.array(names) if isinstance(y, pd.DataFrame) else np.arange(len(columns))
        return LabelCodec([classes], ("y",), form="array", soft=True)
    if (form := _set_form(y)) is not None:
        labels = np.array(_distinct([label for row in y for label in row], "y"))
        if not len(labels):
            raise BadInput("y has no label in any row: nothing to tell apart.")
        return LabelCodec([np.array([0, 1])] * len(labels), tuple(map(str, labels)), form=form, labels=labels)
    columns, names = _columns(y)
    if not isinstance(y, pd.DataFrame) and _is_indicator(columns):
        labels = np.arange(len(columns))
        return LabelCodec([np.array([0, 1])] * len(labels), names, form="indicator", labels=labels)
    single = len(columns) == 1
    found = []
    for name, column in zip(names, columns, strict=True):
        subject = "y" if single else f"column {name!r} of y"
        gaps = pd.isna(column)
        if single:
            _refuse_gaps(gaps, "label")
        if gaps.all():
            raise BadInput(f"{subject} has no labels: all its values are missing.")
        known = column[~gaps]
        whole = known.dtype.kind == "f" and bool(gaps.any()) and bool(np.all(known == np.round(known)))
        found.append(_distinct(known.astype(np.int64) if whole else known, subject))
    return LabelCodec(found, names, form="array", frame=isinstance(y, pd.DataFrame))


def fit_numbers(y: Any) -> NumberCodec:
    """The codec for these numbers: one a row (n,), or several (n, J) in which NaN says not known."""
    columns, names = _columns(y)
    numbers = _numbers(columns, names)
    known = ~np.isnan(numbers)
    if not known.any(axis=0).all():
        raise BadInput(f"column {names[int(np.argmin(known.any(axis=0)))]!r} of y has no values: all are missing.")
    mean = np.nanmean(numbers, axis=0)
    std = np.sqrt(np.nanmean((numbers - mean) ** 2, axis=0))
    flat = ~(std > 10 * np.finfo(np.float64).eps * np.abs(mean))  # all values agree
    return NumberCodec(mean, np.where(flat, 1.0, std), names, flat=np.ndim(y) == 1, frame=isinstance(y, pd.DataFrame))


def check_learnable(codec: LabelCodec, y: Any) -> None:
    """Raise `BadInput` where there is nothing to tell apart, or where the labels look like measured numbers."""
    if codec.soft or not codec.spec.exclusive:
        return
    from sklearn.utils.multiclass import check_classification_targets

    columns, _ = _columns(y)
    for name, classes, column in zip(codec.names, codec.classes, columns, strict=True):
        subject = "y" if codec.single else f"column {name!r} of y"
        known = column[~pd.isna(column)]
        if classes.dtype.kind == "f":
            try:
                check_classification_targets(known.astype(np.float64))
            except ValueError as error:
                raise BadInput(
                    f"Unknown label type: continuous. {subject} holds measured numbers such as {_shown(known[0])}, not "
                    "classes. Did you mean TableRegressor?"
                ) from error
        if len(classes) == 1:
            raise BadInput(f"{subject} has one class only ({classes.tolist()[0]!r}): nothing to tell apart.")
        if 2 < len(known) / 2 < len(classes):
            hint = " Did you mean TableRegressor?" if classes.dtype.kind in "iuf" else " Is it an identifier?"
            raise BadInput(
                f"{subject} has {len(classes):,} classes in {len(known):,} rows, too few rows to learn each.{hint}"
            )


class LabelCodec:
    """Labels to ids and back.

    spec     LabelSpec for the task
    classes  the classes of each column, sorted, in the user's dtype; [0, 1] for each label of a set
    names    the columns' names; for sets, the labels
    single   one label a row
    soft     trained on class probabilities
    """

    def __init__(
        self,
        classes: Sequence[np.ndarray],
        names: Sequence[str],
        *,
        form: str,
        labels: np.ndarray | None = None,
        soft: bool = False,
        frame: bool = False,
    ) -> None:
        self.classes = list(classes)
        self.names = tuple(names)
        self.form = form
        self.labels = labels
        self.soft = soft
        self.frame = frame
        self.single = labels is None and len(self.classes) == 1
        self.spec = LabelSpec(tuple(len(column) for column in self.classes), exclusive=labels is None)

    def encode(self, y: Any) -> Tensor:
        """(n, J) int64 ids, -1 = gap; (n, K) float32 where y holds class probabilities.

        Raises `BadInput` on missing labels in a single column, labels that training never saw, other columns.
        """
        y = _in_order(y, self.classes[0].tolist() if self.soft else self.names)
        if self.soft and np.ndim(y) == 2 and np.shape(y)[1] == len(self.classes[0]):
            return torch.from_numpy(_probabilities(_columns(y)[0]).astype(np.float32))
        if self.labels is not None and self.form != "indicator":
            return self._encode_sets(y)
        columns, names = _columns(y)
        if len(columns) != len(self.classes):
            raise BadInput(f"y must have {_counted(len(self.classes))}. Received: {len(columns)}.")
        subjects = ["y"] if self.single else [f"column {name!r} of y" for name in names]
        ids = [self._ids(*each) for each in zip(columns, self.classes, subjects, strict=True)]
        return torch.from_numpy(np.stack(ids, axis=1))

    def _ids(self, column: np.ndarray, classes: np.ndarray, subject: str) -> np.ndarray:
        gaps = pd.isna(column)
        if self.single or self.labels is not None:
            _refuse_gaps(gaps, "label")
        ids = np.full(len(column), GAP, dtype=np.int64)
        known = column[~gaps]
        if classes.dtype.kind in "if" and known.dtype.kind in "biuf":
            known = known.astype(np.int64) if known.dtype.kind == "b" else known
            ids[~gaps] = pd.Index(classes).get_indexer(pd.Index(known))
        else:
            ids[~gaps] = pd.Index(classes.tolist()).get_indexer(pd.Index(known.tolist()))
        unknown = np.flatnonzero((ids == GAP) & ~gaps)
        if len(unknown):
            first = column[unknown[0]]
            raise BadInput(
                f"{subject} has labels that training never saw: {_shown(first)} in row {unknown[0]}"
                f"{_more(len(unknown) - 1)}. Known are {listed(map(repr, classes.tolist()))}."
            )
        return ids

    def _encode_sets(self, y: Any) -> Tensor:
        rows = _collections(y)
        if rows is None:
            raise BadInput("y must be a list of sets of labels, as in training.")
        place = {label: index for index, label in enumerate(np.asarray(self.labels).tolist())}
        ids = np.zeros((len(rows), len(place)), dtype=np.int64)
        for row, labels in enumerate(rows):
            for label in labels:
                if label not in place:
                    hint = suggest(label, place)
                    raise BadInput(f"y has a label that training never saw: {label!r} in row {row}.{hint}")
                ids[row, place[label]] = 1
        return torch.from_numpy(ids)

    def decode(self, ids: Any) -> Any:
        """Ids (n, J) or (n,) as labels in the user's form and dtype: (n,), (n, J), a DataFrame, or a list of sets."""
        table = np.asarray(ids)
        table = table.reshape(len(table), -1)
        if self.labels is not None and self.form != "indicator":
            make = {"list": list, "tuple": tuple, "set": set, "frozenset": frozenset}[self.form]
            return [make(self.labels[row.astype(bool)].tolist()) for row in table]
        if self.labels is not None:
            return table.astype(np.int64)
        columns = [classes[table[:, index]] for index, classes in enumerate(self.classes)]
        if self.frame:
            return pd.DataFrame(dict(zip(self.names, columns, strict=True)))
        return columns[0] if self.single else np.stack(columns, axis=1)

    def state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """What `restore` needs: values for JSON, and arrays by name (none)."""
        state = {
            "classes": [_listed_array(classes) for classes in self.classes],
            "names": list(self.names),
            "form": self.form,
            "labels": None if self.labels is None else _listed_array(self.labels),
            "soft": self.soft,
            "frame": self.frame,
        }
        return state, {}

    @classmethod
    def restore(cls, state: Mapping[str, Any], arrays: Mapping[str, Any]) -> LabelCodec:
        """The codec whose `state` this is."""
        if state["form"] not in _FORMS:
            raise BadInput(f"the form of the labels must be one of {listed(_FORMS)}. Received: {state['form']!r}.")
        labels = state["labels"]
        return cls(
            [_array(classes) for classes in state["classes"]],
            state["names"],
            form=state["form"],
            labels=None if labels is None else _array(labels),
            soft=bool(state["soft"]),
            frame=bool(state["frame"]),
        )


class NumberCodec:
    """Numbers to standardised float32 and back.

    spec       NumberSpec for the task
    mean, std  (J,) float64 of the training answers
    names      the columns' names
    """

    def __init__(self, mean: np.ndarray, std: np.ndarray, names: Sequence[str], *, flat: bool, frame: bool) -> None:
        self.mean, self.std, self.names = mean, std, tuple(names)
        self.flat, self.frame = flat, frame
        self.spec = NumberSpec(len(self.names))

    def encode(self, y: Any) -> Tensor:
        """(n, J) float32 in units of the training answers' spread, NaN = gap (only where J > 1)."""
        columns, names = _columns(_in_order(y, self.names))
        if len(columns) != len(self.names):
            raise BadInput(f"y must have {_counted(len(self.names))}. Received: {len(columns)}.")
        return torch.from_numpy(((_numbers(columns, names) - self.mean) / self.std).astype(np.float32))

    def decode(self, scaled: Any) -> Any:
        """Scaled numbers (n, J) in the user's units, float64, in the form that y came in."""
        table = np.asarray(scaled, dtype=np.float64)
        numbers = table.reshape(len(table), -1) * self.std + self.mean
        if self.frame:
            return pd.DataFrame(numbers, columns=list(self.names))
        return numbers[:, 0] if self.flat else numbers

    def state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """What `restore` needs: values for JSON, and arrays by name."""
        return {"names": list(self.names), "flat": self.flat, "frame": self.frame}, {"mean": self.mean, "std": self.std}

    @classmethod
    def restore(cls, state: Mapping[str, Any], arrays: Mapping[str, Any]) -> NumberCodec:
        """The codec whose `state` this is."""
        mean, std = (np.asarray(arrays[name], dtype=np.float64) for name in ("mean", "std"))
        return cls(mean, std, state["names"], flat=bool(state["flat"]), frame=bool(state["frame"]))


# ------------------------------------------------------------------------------------------------- forms of answers


def _in_order(y: Any, names: Sequence[Any]) -> Any:
    """A frame's columns in the order of training, where it has the same names."""
    if isinstance(y, pd.DataFrame) and sorted(map(str, y.columns)) == sorted(map(str, names)):
        return y.set_axis([str(name) for name in y.columns], axis=1)[[str(name) for name in names]]
    return y


def _columns(y: Any) -> tuple[list[np.ndarray], tuple[str, ...]]:
    """Answers as columns (n,), each of its own dtype, and their names; missing values are NaN or None."""
    if isinstance(y, pd.DataFrame):
        return [_plain(y.iloc[:, index]) for index in range(y.shape[1])], tuple(map(str, y.columns))
    if isinstance(y, (pd.Series, pd.Index, pd.Categorical)):
        name = getattr(y, "name", None)
        return [_plain(pd.Series(y))], ("y" if name is None else str(name),)
    if hasattr(y, "to_pandas"):
        return _columns(y.to_pandas())
    try:
        array = np.asarray(y)
    except ValueError as error:
        raise BadInput(f"the rows of y have different lengths ({error}).") from error
    if array.ndim == 0 or array.ndim > 2:
        raise BadInput(f"y must have one dimension (rows) or two (rows, columns). Received: shape {array.shape}.")
    if array.dtype.kind == "U" and isinstance(y, (list, tuple)) and not _all_kept(y):
        array = np.asarray(y, dtype=object)  # numpy would turn None into "None" and 1 into "1"
    if array.ndim == 1:
        return [array], ("y",)
    return list(array.T), tuple(f"y{index}" for index in range(array.shape[1])) if array.shape[1] != 1 else ("y",)


def _all_kept(y: Sequence[Any]) -> bool:
    return all(_is_kept(value) for row in y for value in (row if isinstance(row, (list, tuple)) else [row]))


def _is_kept(value: Any) -> bool:
    """Whether numpy's own text keeps a value: text that does not end in a zero character, which it would drop."""
    return isinstance(value, str) and not value.endswith("\0")


def _plain(series: pd.Series) -> np.ndarray:
    """The series as a numpy array, whatever library holds it; text as objects."""
    if isinstance(series.dtype, np.dtype):
        return series.to_numpy()
    if isinstance(series.dtype, pd.CategoricalDtype):
        series = series.astype(series.cat.categories.dtype) if not series.isna().any() else series.astype(object)
    if pd.api.types.is_bool_dtype(series.dtype) and not series.isna().any():
        return series.to_numpy(dtype=bool)
    if pd.api.types.is_integer_dtype(series.dtype) and not series.isna().any():
        return series.to_numpy(dtype=np.int64)
    if pd.api.types.is_numeric_dtype(series.dtype) and not pd.api.types.is_bool_dtype(series.dtype):
        return series.to_numpy(dtype=np.float64, na_value=np.nan)
    return series.to_numpy(dtype=object)


def _set_form(y: Any) -> str | None:
    """How sets of labels are written ("set", "list", ...), or None where y is something else.

    Lists of equal length that hold numbers only are rows of an array; lists of text are sets, whatever their length.
    """
    rows = _collections(y)
    if not rows:
        return None
    if isinstance(rows[0], (list, tuple)):
        even = len(rows[0]) > 0 and len({len(row) for row in rows}) == 1
        text = any(isinstance(label, str) for row in rows for label in row)
        if even and not text:
            return None
    return type(rows[0]).__name__


def _collections(y: Any) -> list[Any] | None:
    """The rows, where each is a list, tuple or set."""
    if isinstance(y, (np.ndarray, pd.Series)) and y.dtype.kind == "O" and y.ndim == 1:
        y = y.tolist()
    if isinstance(y, (list, tuple)) and all(isinstance(row, (list, tuple, set, frozenset)) for row in y):
        return list(y)
    return None


def _is_indicator(columns: Sequence[np.ndarray]) -> bool:
    """Whether these are several columns of 0 and 1."""
    return len(columns) > 1 and all(c.dtype.kind in "biuf" and bool(np.isin(c, (0, 1)).all()) for c in columns)


def _distinct(values: Any, subject: str) -> np.ndarray:
    """The classes, sorted, in the user's dtype."""
    values = np.asarray(values) if not isinstance(values, list) else _array_of(values)
    if values.dtype.kind == "O" and len({type(value) for value in values}) == 1 and not isinstance(values[0], str):
        values = np.array(values.tolist())
    if values.dtype.kind not in "biufUO":
        raise BadInput(f"labels must be text, whole numbers or booleans. {subject} holds {values.dtype}.")
    if values.dtype.kind == "f" and np.isinf(values).any():
        raise BadInput(f"{subject} is infinite in row {int(np.flatnonzero(np.isinf(values))[0])}.")
    try:
        return np.unique(values)
    except TypeError as error:
        kinds = listed(sorted({type(value).__name__ for value in values}))
        raise BadInput(f"{subject} mixes labels of different kinds ({kinds}). Write them all in one way.") from error


def _array_of(values: list[Any]) -> np.ndarray:
    return np.array(values) if all(map(_is_kept, values)) else _objects(values)


def _objects(values: list[Any]) -> np.ndarray:
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


def _numbers(columns: Sequence[np.ndarray], names: Sequence[str]) -> np.ndarray:
    """(n, J) float64; refuses text, infinite values, and gaps where there is one column."""
    numbers = np.stack([_floats(column) for column in columns], axis=1)
    infinite = np.argwhere(np.isinf(numbers))
    if len(infinite):
        row, column = infinite[0]
        where = "y" if len(names) == 1 else f"column {names[column]!r} of y"
        raise BadInput(f"{where} is infinite in row {row}{_more(len(infinite) - 1)}. Correct it or drop the row.")
    if len(names) == 1:
        _refuse_gaps(np.isnan(numbers[:, 0]), "value")
    return numbers


def _floats(column: np.ndarray) -> np.ndarray:
    for row, value in enumerate(column if column.dtype.kind in "OUS" else ()):
        if isinstance(value, (str, bytes)):
            raise BadInput(
                f"y holds text ({_shown(value)} in row {row}), TableRegressor needs numbers. Did you mean "
                "TableClassifier?"
            )
    try:
        return np.where(pd.isna(column), np.nan, column).astype(np.float64)
    except (TypeError, ValueError) as error:
        raise BadInput(f"y holds values that are no numbers ({error}).") from error


def _refuse_gaps(gaps: np.ndarray, what: str) -> None:
    if gaps.any():
        count, first = int(gaps.sum()), int(np.argmax(gaps))
        word, rows = (f"{what} is", "that row") if count == 1 else (f"{what}s are", "those rows")
        raise BadInput(
            f"{count:,} {word} missing in y (NaN or None), the first in row {first}. Drop {rows}, or fill them in."
        )


def _probabilities(columns: Sequence[np.ndarray]) -> np.ndarray:
    """(n, K) float64, each row a distribution."""
    table = np.stack([_floats(column) for column in columns], axis=1)
    good = np.isfinite(table).all(axis=1) & (table >= 0).all(axis=1) & (np.abs(table.sum(axis=1) - 1) <= 1e-3)
    if not good.all():
        row = int(np.argmin(good))
        raise BadInput(
            f"rows of class probabilities must be at least 0 and sum to 1. Row {row} sums to {table[row].sum():.4g}."
        )
    return table


def _shown(value: Any) -> str:
    """As Python writes it, without numpy's type around it."""
    return repr(value.item() if isinstance(value, np.generic) else value)


def _counted(columns: int) -> str:
    return "one column" if columns == 1 else f"{columns} columns"


def _more(count: int) -> str:
    return f" and {count:,} more" if count else ""


def _listed_array(array: np.ndarray) -> dict[str, Any]:
    return {"dtype": "object" if array.dtype.kind == "O" else array.dtype.str, "values": array.tolist()}


def _array(state: Mapping[str, Any]) -> np.ndarray:
    dtype = np.dtype(state["dtype"])
    if dtype.kind not in "biufUO":
        raise BadInput(f"labels must be text, whole numbers or booleans. Received: {state['dtype']!r}.")
    return _objects(list(state["values"])) if dtype.kind == "O" else np.array(state["values"], dtype=dtype)
