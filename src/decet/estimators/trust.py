"""What a model knows of its own doubt: how wrong it was on rows it was not trained on, and how unlike these were."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from decet.contracts import LabelSpec
from decet.data.resident import taken
from decet.errors import BadInput
from decet.estimators.asking import WIDEST, bulk_of, examined, has_gaps, plain_width
from decet.tasks.classify import columns_of, ids_of
from decet.tasks.conformal import Examined, Scores, intervals, label_scores, label_sets, number_scores
from decet.tasks.likeness import Likeness, Strangeness

Array = NDArray[Any]
MOST = 5_000  # training rows that tell what is ordinary
ROUNDING = 1e-5  # by which probabilities may be off


@dataclass(frozen=True)
class Held:
    """Rows that were not trained on: answers (n, A) at temperature 1, target (n, J), members' disagreement (n, J) or
    None, and how far from the training rows they are by each view (n, V)."""

    answers: Array
    target: Array
    spread: Array | None
    distances: Array

    def rows(self, index: Array) -> Held:
        """Some of them, in this order."""
        spread = None if self.spread is None else self.spread[index]
        return Held(self.answers[index], self.target[index], spread, self.distances[index])


@dataclass(frozen=True)
class Trust:
    """scores, strangeness: of held-out rows; views: what training rows are like to the head, as plain numbers, in gaps;
    floor (J,): what is added to the members' disagreement, so that no interval is empty; () of labels."""

    scores: Scores
    views: tuple[Likeness, ...]
    strangeness: Strangeness
    floor: Array

    @classmethod
    def of(cls, held: Held, spec: Any, views: tuple[Likeness, ...]) -> Trust:
        """held: with answers at the temperature in effect, numbers standardised."""
        strangeness = Strangeness.of(held.distances)
        if isinstance(spec, LabelSpec):
            ids = ids_of(held.target)
            if not spec.exclusive:  # each label's own rows tell how often it would be left out
                ids = np.where(ids == 1, 1, -1)
            columns = [label_scores(part, ids[:, j]) for j, part in enumerate(columns_of(held.answers, spec))]
            return cls(Scores.of(columns), views, strangeness, np.empty(0, np.float32))
        floor = np.ones(held.answers.shape[1], np.float32)
        if held.spread is not None:
            floor = np.maximum(held.spread.mean(0), 1e-6).astype(np.float32)
        scale = _scale(held.spread, floor, len(held.answers))
        columns = [number_scores(held.answers[:, j], held.target[:, j], scale[:, j]) for j in range(len(floor))]
        return cls(Scores.of(columns), views, strangeness, floor)

    def seen(self, found: Examined) -> Examined:
        """What is found, with the distances in place of the many numbers that they are made of."""
        distances = torch.from_numpy(distances_of(self.views, found))
        return found._replace(features=None, plain=None, gaps=None, distances=distances)

    def unlike(self, found: Examined) -> Array:
        """The share of held-out rows that are nearer to the training rows, (n,); found: as `seen`."""
        return np.empty(0) if found.distances is None else self.strangeness.of_rows(found.distances.numpy())

    def sets(self, answers: Array, spec: LabelSpec, coverage: float) -> list[Array]:
        """Which classes are in each row's set, bool (n, K) a column; of a set of labels "present" where it may be."""
        thresholds = self.scores.thresholds(coverage)
        return [label_sets(part, q) for part, q in zip(columns_of(answers, spec), thresholds, strict=True)]

    def intervals(self, found: Examined, coverage: float) -> Array:
        """Of standardised numbers, (n, J, 2); infinite where the held-out rows are too few to tell."""
        answers = found.answers.numpy().astype(np.float64)
        spread = None if found.spread is None else found.spread.numpy()
        return intervals(answers, _scale(spread, self.floor, len(answers)), self.scores.thresholds(coverage))

    @property
    def rows(self) -> int:
        """Held-out rows, of the column that has the fewest."""
        return min(len(column) for column in self.scores.columns)

    def state(self) -> dict[str, Array]:
        """As arrays by name."""
        arrays = {f"scores.{j}": column for j, column in enumerate(self.scores.columns)}
        for v, view in enumerate(self.views):
            arrays |= {f"views.{v}.{name}": array for name, array in view.state().items()}
        strange = self.strangeness
        return arrays | {"floor": self.floor, "distances": strange.distances, "largest": strange.largest}

    @classmethod
    def restore(cls, arrays: Mapping[str, Array], spec: Any, width: int, rows: Any = None) -> Trust | None:
        """From `state`, for answers of that spec, a head that reads so many numbers, and rows of that spec; None where
        nothing was kept.

        Raises BadInput for other shapes, or numbers that cannot be.
        """
        if not arrays:
            return None
        labels = isinstance(spec, LabelSpec)
        columns = len(spec.classes) if labels else spec.count
        scores = tuple(arrays[f"scores.{j}"] for j in range(columns))
        floor, distances, largest = arrays["floor"], arrays["distances"], arrays["largest"]
        count = sum(name.endswith(".directions") for name in arrays)
        names = [{name: f"views.{v}.{name}" for name in Likeness.ARRAYS} for v in range(count)]
        views = tuple(Likeness.restore({name: arrays[full] for name, full in view.items()}) for view in names)
        known = {f"scores.{j}" for j in range(columns)} | {full for view in names for full in view.values()}
        if beyond := sorted(set(arrays) - known - {"floor", "distances", "largest"}):
            raise BadInput(f"the weights do not fit the settings: held-out rows have no {beyond[0]!r}.")
        flat = all(array.ndim == 1 for array in (*scores, floor, largest)) and distances.ndim == 2
        fits = flat and len(floor) == (0 if labels else columns) and distances.size > 0 and len(largest) > 0
        widths = [min(width, WIDEST), *([plain] if (plain := plain_width(rows)) else [])]
        fitting = [[*widths, 1], widths] if has_gaps(rows) else [widths]  # older folders do not count gaps
        if not fits or len(distances) != min(count, 2) or [len(view.directions) for view in views] not in fitting:
            raise BadInput("the weights do not fit the settings: what is kept of held-out rows has other shapes.")
        rising = all((np.diff(array) >= 0).all() for array in (*scores, largest, *distances))
        if not rising or not (floor > 0).all():
            raise BadInput("what is kept of held-out rows must rise, and what is added to disagreement be above 0.")
        most = 1 + ROUNDING if labels else np.inf
        if any(len(array) and not -ROUNDING <= array[0] <= array[-1] <= most for array in scores):
            raise BadInput("scores of held-out rows must be at least 0, and those of labels at most 1.")
        return cls(Scores(scores), views, Strangeness(distances, largest), floor)


def views_of(
    learner: Any, inputs: Any, rows: Array, ids: Array | None, device: torch.device, spec: Any
) -> tuple[Likeness, ...]:
    """What the training rows are like (of very many some of them, evenly); ids: the classes of all rows."""
    if len(rows) > MOST:
        rows = rows[np.linspace(0, len(rows) - 1, MOST).round().astype(np.int64)]
    found = examined(learner, taken(inputs, torch.as_tensor(rows)), device, bulk_of(spec), spec, glance=True)
    own = None if ids is None else ids[rows]
    views = [Likeness.of(view, own) for view in _views(found)]
    return (*views, Likeness.of(found.gaps.numpy(), least=1.0)) if found.gaps is not None else tuple(views)


def distances_of(views: tuple[Likeness, ...], found: Examined) -> Array:
    """How far rows are from the training rows: by what the head reads, and as they are (n, 1 or 2)."""
    shown = [*_views(found), *([] if found.gaps is None else [found.gaps.numpy()])]
    head, *plain = (known.distances(view) for known, view in zip(views, shown, strict=False))  # older: without gaps
    return np.stack([head, np.sum(plain, 0)] if plain else [head], 1)


def held_of(found: Examined, target: Array, views: tuple[Likeness, ...]) -> Held:
    """Held-out rows as a network saw them."""
    spread = None if found.spread is None else found.spread.numpy()
    return Held(found.answers.numpy(), target, spread, distances_of(views, found))


def _views(found: Examined) -> list[Array]:
    return [view.numpy() for view in (found.features, found.plain) if view is not None]


def _scale(spread: Array | None, floor: Array, rows: int) -> Array:
    """(n, J): by how much the answers of one column may be wrong, relative to one another."""
    if spread is None:
        return np.broadcast_to(floor.astype(np.float64), (rows, len(floor)))
    return spread.astype(np.float64) + floor
