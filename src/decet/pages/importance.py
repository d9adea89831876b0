"""What a model of tables goes by: what it loses when a column is shuffled, and how its answer moves with a column.

    importance of a column = score - score with the column shuffled among the rows     (Breiman, 2001)
    partial dependence at v = mean over rows of the answer, the column set to v        (Friedman, 2001)

Shuffled columns that go with others look less important than they are: what one loses, the other still tells.
"""

from __future__ import annotations

import time
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from decet.contracts import LabelSpec
from decet.data.tables import Tables
from decet.errors import BadInput, Unsupported, check_range, listed
from decet.estimators.asking import BULK
from decet.estimators.reading import DataWarning
from decet.estimators.saved import model_of
from decet.pages.drawing import HEIGHT, WIDTH, scale

Array = NDArray[Any]
MOST_ROWS, REPEATS = 1_000, 5
GRID, AVERAGED = 20, 300  # values tried of a column, rows averaged over


@dataclass(frozen=True)
class Importance:
    """A column, the mean loss of score when it is shuffled, and the spread over shuffles."""

    column: str
    loss: float
    spread: float


@dataclass(frozen=True)
class Effect:
    """How the mean answer moves with a column: (value, answer) each; `points` as SVG has them, () of categories."""

    column: str
    answer: str
    values: tuple[tuple[Any, float], ...]
    points: str = ""
    across: tuple[tuple[float, str], ...] = ()
    up: tuple[tuple[float, str], ...] = ()
    width: int = WIDTH
    height: int = HEIGHT


def importance(model: Any, X: Any, y: Any = None, *, repeats: int = REPEATS, seed: int = 0) -> list[Importance]:
    """What a fitted model of tables goes by, the most important column first.

    model: a fitted estimator of tables, or its folder. X, y: rows that it was not trained on, as `evaluate` takes them;
    1,000 of them are looked at. The loss is of the metric that `score` gives.
    Raises Unsupported for other kinds of data, and BadInput where that metric is not defined on these rows.
    """
    check_range("repeats", repeats, 1, whole=True)
    check_range("seed", seed, 0, whole=True)
    model = model_of(model)
    given = _rows(model, X, y)
    found = columns_by_loss(model, given.rows, model._target(given.answers), repeats, seed)
    if not np.isfinite([one.loss for one in found]).all():
        raise BadInput(f"{model.scored} is not defined on these rows: their answers are all the same, or missing.")
    return found


def columns_by_loss(
    model: Any, rows: pd.DataFrame, target: Array, repeats: int, seed: int, seconds: float | None = None
) -> list[Importance]:
    """The same of raw rows, and of answers as the metrics take them; seconds: after which no column more is tried."""
    started = time.monotonic()
    frame, target = _some(rows, target, seed)
    rng = np.random.Generator(np.random.Philox(seed))
    whole = _score(model, frame, target)
    found = []
    for column in frame.columns:
        if seconds is not None and time.monotonic() - started > seconds:
            break
        losses = []
        for _ in range(repeats):
            shuffled = frame.copy(deep=False)
            shuffled[column] = frame[column].iloc[rng.permutation(len(frame))].set_axis(frame.index)
            losses.append(whole - _score(model, shuffled, target))
        found.append(Importance(str(column), float(np.mean(losses)), float(np.std(losses))))
    return sorted(found, key=lambda one: -one.loss)


def effects(model: Any, rows: pd.DataFrame, names: list[str], seed: int = 0) -> list[Effect]:
    """How the answer of the first target moves with each of these columns: a number, or the chance of a class.

    Of two classes it is the second, of many the one whose chance moves most.
    """
    frame = rows.iloc[_drawn(len(rows), AVERAGED, seed)].reset_index(drop=True)
    by_name = {str(column): column for column in frame.columns}
    return [found for name in names if (found := _effect(model, frame, rows, by_name[name], name)) is not None]


def _effect(model: Any, frame: pd.DataFrame, rows: pd.DataFrame, column: Any, name: str) -> Effect | None:
    values = _values(rows[column])
    if len(values) < 2:
        return None
    many = pd.concat([_with(frame, column, value) for value in values], ignore_index=True)
    answers = model._numbers_of(_quiet(model, many)).reshape(len(values), len(frame), -1).mean(1)  # (values, A)
    means, of = _first_target(model, answers)
    told = tuple(zip(values, means.tolist(), strict=True))
    if not _is_number(rows[column]):
        return Effect(name, of, tuple(sorted(told, key=lambda pair: -pair[1])))
    across, up = scale([float(v) for v in values], room=0.0), scale(means.tolist())
    points = " ".join(f"{WIDTH * across.share(float(v)):.1f},{HEIGHT * (1 - up.share(m)):.1f}" for v, m in told)
    ticks = tuple((round(WIDTH * share, 1), text) for share, text in across.named())
    return Effect(name, of, told, points, ticks, tuple((round(HEIGHT * (1 - s), 1), text) for s, text in up.named()))


def _first_target(model: Any, answers: Array) -> tuple[Array, str]:
    """Of mean answers (values, A) those of the first target that are shown, and what they are."""
    spec = model.answer_.spec
    if not isinstance(spec, LabelSpec):
        return answers[:, 0], str((*model.target_names_, *model.answer_.names)[0])
    chances = answers[:, : spec.classes[0]]
    k = 1 if spec.classes[0] == 2 else int(np.ptp(chances, axis=0).argmax())
    classes = model.answer_.classes[0].tolist() if spec.exclusive else [None, model.answer_.labels.tolist()[0]]
    return chances[:, k], f"chance of {classes[k]}"


def _is_number(column: pd.Series) -> bool:
    return bool(pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column))


def _values(column: pd.Series) -> list[Any]:
    """What is tried: quantiles of numbers, the commonest of other values."""
    known = column.dropna()
    if _is_number(column):
        ends = np.linspace(0.02, 0.98, GRID)
        return sorted(set(np.quantile(known.to_numpy(dtype=float), ends).tolist())) if len(known) else []
    return known.value_counts().index[: GRID // 2].tolist()


def _with(frame: pd.DataFrame, column: Any, value: Any) -> pd.DataFrame:
    """The rows with one value in this column."""
    changed = frame.copy(deep=False)
    numbers = pd.api.types.is_numeric_dtype(frame[column])
    changed[column] = value if numbers else pd.Series([value] * len(frame), dtype=frame[column].dtype)
    return changed


def _score(model: Any, frame: pd.DataFrame, target: Array) -> float:
    asked = model._asked()
    answers = model._numbers_of(_quiet(model, frame))
    return float(asked.of_items(asked.items(answers, target, model.answer_.spec).sum(0)))


def _quiet(model: Any, frame: pd.DataFrame) -> Array:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)  # values that are odd beside one another are meant here
        answers: Array = model._answers(frame, BULK)
    return answers


def _rows(model: Any, X: Any, y: Any) -> Any:
    if model.kind is not Tables:
        raise Unsupported(f"importance is of models of tables. Received: {type(model).__name__}.")
    model._check_fitted()
    given = model._given(X, y, reset=False)
    if not isinstance(given.rows, pd.DataFrame):
        raise Unsupported("importance is of tables of columns. Received: a sparse table.")
    if given.answers is None:
        raise BadInput(f"importance needs answers: a table with the column {listed(model.target_names_)}, or y.")
    return given


def _some(rows: pd.DataFrame, target: Array, seed: int) -> tuple[pd.DataFrame, Array]:
    places = _drawn(len(rows), MOST_ROWS, seed)
    return rows.iloc[places].reset_index(drop=True), target[places]


def _drawn(count: int, most: int, seed: int) -> Array:
    if count <= most:
        return np.arange(count)
    return np.sort(np.random.Generator(np.random.Philox(seed)).choice(count, most, replace=False))
