"""The verbs of every estimator, written once: fit, predict, score, evaluate, save, and scikit-learn's conventions.

An estimator is a declaration: the kind of data, the kind of answer, the question, and the row of cells (families that
can do it, each with its recipe). What a fit does, step by step, stands in `fitting`; the model folder in `saved`.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from itertools import zip_longest
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError

from decet.contracts import Family, Learner, Stage
from decet.data.tables import Tables
from decet.errors import BadInput, NotFitted, Unsupported, listed, suggest
from decet.estimators.asking import BLOCK, CHUNK, answers_of, bulk_of, examined
from decet.estimators.reading import DataWarning, Given, Reader, TableReader
from decet.estimators.trust import Trust
from decet.settings import joined
from decet.tasks.conformal import Examined, check_coverage
from decet.training.progress import Quiet, Show
from decet.training.recipe import Recipe

Array = NDArray[Any]
PARTS = ("family", "inputs", "recipe")  # settings that are dataclasses of their own


class _Unfitted(NotFitted, NotFittedError):
    """NotFitted, as scikit-learn knows it."""


class Advice(NamedTuple):
    """Settings of a family, a recipe, and where the question leaves something open, its answer."""

    family: Any
    recipe: Recipe
    question: Any = None


@dataclass(frozen=True)
class Cell:
    """One cell of the map: a family that can do the task, and what fits data of this shape.

    What the user said wins over what `advise(spec, rows, budget)` gives, field by field. budget: the seconds that the
    user gave, or None. first: of (learner, encoded inputs, training rows), what is trained before, without answers.
    """

    family: type
    advise: Callable[[Any, int, float | None], Advice]
    first: Callable[[Learner, Any, Array], list[Stage]] | None = None


class Estimator(BaseEstimator):
    """A task on a kind of data, done by a family. Subclasses are declarations; see `decet.estimators.catalog`."""

    kind: ClassVar[type] = Tables
    reader: ClassVar[Reader] = TableReader()
    question: ClassVar[type]
    row: ClassVar[tuple[Cell, ...]] = ()
    scored: ClassVar[str]  # the metric that `score` gives
    card: ClassVar[tuple[str, str, str]]  # where nothing is predicted: the Hub's tag, what is counted, an example
    sets_aside: ClassVar[bool] = False  # whether `evaluate` chooses itself what it is judged by
    agreement: ClassVar[Callable[..., float]]  # the same of scikit-learn, with weights

    family: Any
    recipe: Recipe | None
    inputs: Any
    seed: int
    device: str

    # ----------------------------------------------------------------------------------------------- verbs

    def fit(
        self,
        X: Any,
        y: Any = None,
        *,
        validation: Any = None,
        groups: Any = None,
        order: Any = None,
        sample_weight: Any = None,
        start: str | Path | None = None,
        budget: float | None = None,
        out: str | Path | None = None,
        resume: bool = False,
        overwrite: bool = False,
        on_epoch: Callable[[dict[str, Any]], Any] | None = None,
        show: Show | None = None,
    ) -> Self:
        """Train on rows X with answers y.

        X: an array, sparse array, data frame, list of rows, a path to a table, or the name of a public set; of pictures
            and texts also a folder or .zip of class folders; of texts a list.
        y: the answers, or the name(s) of the target column(s) of X; None for a public set.
        validation: (X, y) that choose the best epoch; by default the data's own part, if any, else rows are set aside
            (above 5,000 rows 10 %, and 10 % more for calibration), or below that epochs are chosen by 5-fold
            cross-fitting.
        groups: one value a row, or a column's name; rows of one group stay on one side of every split.
        order: one time a row, or a column's name; the past trains and the future validates.
        sample_weight: one number a row.
        start: a saved model to go on from: weights whose shapes agree are taken.
        budget: seconds for the whole call.
        out: folder for checkpoints and the finished model; resume: go on from the checkpoint there;
            overwrite: take the place of what it holds, once the new model is whole.
        on_epoch: called with each epoch's record; a true answer stops training.
        show: where progress is told (nowhere by default).

        Raises BadInput, before any training, for data or settings that cannot work. Ctrl-C keeps the best so far.
        """
        from decet.estimators.calls import Call
        from decet.estimators.fitting import fit

        started = time.monotonic()
        cell = self._cell()
        given = self._given(X, y, reset=True)
        check = given.held if validation is None else self.reader.pair(self, validation, given.targets)
        call = Call(
            validation=check,
            groups=groups,
            order=order,
            sample_weight=sample_weight,
            start=None if start is None else Path(start),
            budget=budget,
            out=None if out is None else Path(out),
            resume=resume,
            overwrite=overwrite,
            on_epoch=on_epoch,
            show=show or Quiet(),
            started=started,
        )
        fit(self, cell, given, call)
        return self

    def evaluate(self, X: Any, y: Any = None) -> dict[str, float | None]:
        """All metrics on rows X with answers y (as `fit` takes them). None = undefined for these rows."""
        self._check_fitted()
        given = self._judged(X, y)
        if given.answers is None:
            column = f"a table with the column {listed(self.target_names_)}, or " if self.target_names_ else ""
            raise BadInput(f"evaluate needs answers: {column}y.")
        trust = self._trust()
        found, unread = self._collected(given.rows, bulk_of(self.codec_.spec), behind=self._needs_more())
        if unread:
            warnings.warn(f"{told_unread(given.rows, unread)} and left out.", DataWarning, stacklevel=2)
            found = found.rows(torch.from_numpy(np.delete(np.arange(len(found.answers)), list(unread))))
        target = np.delete(self._target(given.answers), list(unread), 0)
        answers = self._numbers_of(found.answers.numpy())
        metrics: dict[str, float | None] = self._asked().metrics(answers, target, self.answer_.spec)
        return metrics if trust is None else metrics | self._kept_word(found, target)

    def unlike(self, X: Any) -> Array:
        """How unlike the training rows each row of X is, (n,): the share of held-out rows that were nearer to them.

        0.5 is ordinary, 1 farther than all of these: the answer may then be a guess. See `decet.tasks.likeness`.
        Raises Unsupported where fit had too few rows to hold any out.
        """
        unlike: Array = self._trusted().unlike(self._examined(X))
        return unlike

    def records(self, X: Any) -> Iterator[dict[str, Any]]:
        """What `decet predict` prints: one dict an item, JSON values only; read and answered in blocks.

        file: which picture, where they are files.
        answer: a label or a number, a list of labels, or a dict by column where there are several.
        probabilities: by label (by column and label where there are several columns); of classifiers only.
        set: of classifiers, the labels among which the true one is as often as `coverage` says, the likeliest first;
            interval: of regressors, its low and high end; by column where there are several. unlike: as `unlike` tells.
            All three only where fit held rows out.
        error: why a file has no answer, in place of which all is None; None where it has.
        """
        self._check_fitted()
        rows = self._given(X, None, reset=False).rows
        names = iter(getattr(rows, "files", None) or ())
        for found, reasons in self._streamed(rows, CHUNK, behind=self._trust() is not None):
            for record, reason in zip_longest(self._told(found), reasons):
                name = next(names, None)
                if name is None and reason is None:
                    yield record
                else:  # every record has the same keys, so that they fit one table
                    told = record if reason is None else emptied(record)
                    yield {"file": name} | told | {"error": reason}

    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        """Accuracy of labels, R2 of numbers: higher is better. X and y as `fit` takes them."""
        self._check_fitted()
        given = self._judged(X, y)
        if given.answers is None:
            raise BadInput(f"score needs answers: a table with the column {listed(self.target_names_)}, or y.")
        if self._is_single():
            return float(self.agreement(given.answers, self.predict(given.rows), sample_weight=sample_weight))
        if sample_weight is not None:
            raise Unsupported("score takes sample_weight for one column of answers only. Leave it out.")
        return float(self.evaluate(given)[self.scored] or 0.0)

    def _is_single(self) -> bool:
        """Whether there is one column of answers, which scikit-learn's scores know."""
        return False

    def save(self, folder: str | Path) -> None:
        """Write the model folder, whole or not at all. See `decet.load` and `decet.verify`."""
        from decet.estimators.saved import save

        self._check_fitted()
        save(self, Path(folder))

    # ------------------------------------------------------------------------------ scikit-learn's conventions

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Settings by name; with `deep` also each field of the effective family, recipe and inputs."""
        params = {name: getattr(self, name) for name in self._get_param_names()}
        if deep:
            for part in PARTS:
                value = params[part] if params[part] is not None else self._default(part)
                if is_dataclass(value):
                    params |= {f"{part}__{f.name}": getattr(value, f.name) for f in fields(value)}
        return params

    def set_params(self, **params: Any) -> Self:
        """Set settings by name; `family__depth=3` replaces one field of the (frozen) family."""
        inner: dict[str, dict[str, Any]] = {}
        for name, value in params.items():
            part, _, field = name.partition("__")
            if part not in self._get_param_names() or (field and part not in PARTS):
                raise BadInput(
                    f"{type(self).__name__} has no setting {name!r}.{suggest(name, self.get_params(deep=True))}"
                )
            if field:
                inner.setdefault(part, {})[field] = value
            else:
                setattr(self, part, value)
        for part, changes in inner.items():
            value = getattr(self, part) if getattr(self, part) is not None else self._default(part)
            setattr(self, part, changed(value, part, changes))
        return self

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.sparse = True
        tags.input_tags.string = True
        tags.input_tags.categorical = True
        tags.target_tags.required = True
        tags.target_tags.multi_output = True
        return tags

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "learner_")

    def __getstate__(self) -> dict[str, Any]:
        """In memory an estimator travels as its settings and, once fitted, the bytes of its model folder."""
        from decet.estimators.saved import to_files

        state: dict[str, Any] = {name: getattr(self, name) for name in self._get_param_names()}
        state["_sklearn_version"] = BaseEstimator.__getstate__(self).get("_sklearn_version")
        if self.__sklearn_is_fitted__():
            state["folder"] = to_files(self)
        return state

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        from decet.estimators.saved import from_files

        for name in self._get_param_names():
            setattr(self, name, state[name])
        if "folder" in state:
            from_files(state["folder"], self)

    # ------------------------------------------------------------------------------------ settings, checked

    def _default(self, part: str) -> Any:
        match part:
            case "family":
                return self.row[0].family()
            case "recipe":
                return Recipe()
            case _:
                return self.kind()

    def _cell(self) -> Cell:
        """The cell of this estimator's family. Raises Unsupported for a pair outside the map."""
        family = self.family if self.family is not None else self._default("family")
        names = [cell.family.__name__ for cell in self.row]
        able = f"{names[0]} (default)" + "".join(f", {name}" for name in names[1:])
        if isinstance(family, type):
            raise Unsupported(f"family must be settings, not a class. Did you mean {family.__name__}()?")
        for cell in self.row:
            if isinstance(family, cell.family):
                break
        else:
            raise Unsupported(f"{type(self).__name__} cannot use {type(family).__name__}. It takes {able}.")
        for part, kind in (("recipe", Recipe), ("inputs", self.kind)):
            value = getattr(self, part)
            if value is not None and not isinstance(value, kind):
                raise Unsupported(f"{part} must be a {kind.__name__}. Received: {type(value).__name__}.")
        whole = isinstance(self.seed, (int, np.integer)) and not isinstance(self.seed, bool)
        if not whole or not 0 <= self.seed < 2**62:
            raise BadInput(f"seed must be a whole number of at least 0 and below 2**62. Received: {self.seed!r}.")
        self._asked()
        return cell

    def _asked(self, advised: Any = None) -> Any:
        """The question: this estimator's settings, then what the cell advised for what they leave open."""
        said = self.question(**{f.name: getattr(self, f.name) for f in fields(self.question)})
        return joined(said, advised if advised is not None else getattr(self, "question_", None))

    def _inputs(self) -> Any:
        """How the data are read: as said, or as their kind has it."""
        return self.inputs if self.inputs is not None else self.kind()

    def _device(self) -> torch.device:
        if self.device == "auto":
            return torch.device("cuda" if torch.cuda.is_available() else "cpu")
        try:
            device = torch.device(self.device)
        except (RuntimeError, TypeError) as error:
            raise BadInput(
                f"device {self.device!r} cannot be used here (there is no such kind). Try 'cpu', 'cuda' or 'auto'."
            ) from error
        try:
            torch.empty(0, device=device)
        except (RuntimeError, AssertionError, NotImplementedError) as error:
            reason = str(error).splitlines()[0].rstrip(".")
            raise BadInput(f"device {self.device!r} cannot be used here ({reason}). Try 'cpu' or 'auto'.") from error
        return device

    def _joined_settings(self, cell: Cell, spec: Any, rows: int, budget: float | None) -> tuple[Family, Recipe, Any]:
        """The user's settings over the cell's, field by field; and what the cell says of the question."""
        family, recipe, question = cell.advise(spec, rows, budget)
        said = self.recipe
        if said is not None and (said.steps is not None or said.epochs is not None):
            recipe = replace(recipe, epochs=None, steps=None)
        if said is not None and (said.average or said.swa):  # the user's average takes the place of the cell's
            recipe = replace(recipe, average=None, swa=None)
        return joined(self.family, family), joined(said, recipe), question

    def _network(self) -> Learner:
        """The learner as the settings in effect lay it out."""
        members = self.recipe_.members or 1
        body = self.family_.encoder(self.codec_.spec, members)
        learner: Learner = self._asked().learner(body, self.answer_.spec, members)
        return learner

    def _lend(self, learner: Learner, codec: Any, same_answer: bool) -> int:
        """Copy every tensor whose name and shape agree, the head only where the answers are the same; how many did."""
        known = self.learner_.state_dict()
        known.pop("temperature", None)  # of the old answers: calibration starts afresh
        if not same_answer:
            known = {name: tensor for name, tensor in known.items() if not name.startswith("head.")}
        own = learner.state_dict()
        agree = {name: known[name] for name, t in own.items() if name in known and known[name].shape == t.shape}
        learner.load_state_dict(own | agree)
        return len(agree)

    def _check_fitted(self) -> None:
        if not self.__sklearn_is_fitted__():
            raise _Unfitted(
                f"This {type(self).__name__} instance is not fitted yet. Call fit, or decet.load a saved model."
            )

    # ----------------------------------------------------------------------------------------- reading data

    def _given(self, X: Any, y: Any, *, reset: bool) -> Given:
        """Raw rows and answers from whatever a user may pass. `reset`: remember the columns (fit)."""
        return X if isinstance(X, Given) else self.reader.given(self, X, y, reset)

    def _judged(self, X: Any, y: Any) -> Given:
        """The same for verbs that hold answers against the truth."""
        return self._given(X, y, reset=False)

    # ------------------------------------------------------------------------------------------- answering

    def _answers(self, rows: Any, chunk: int = CHUNK) -> Array:
        """What the learner answers to raw rows, in chunks of one size. Raises BadInput where one cannot be read."""
        return self._found(rows, chunk).answers.numpy()

    def _examined(self, X: Any) -> Examined:
        """What the learner makes of what a user passes."""
        self._check_fitted()
        return self._found(self._given(X, None, reset=False).rows, CHUNK, behind=True)

    def _found(self, rows: Any, chunk: int, behind: bool = False) -> Examined:
        found, unread = self._collected(rows, chunk, behind)
        if unread:
            raise BadInput(
                f"{told_unread(rows, unread)}. Take them out; `records` and `decet predict` tell each by itself."
            )
        return found

    def _collected(self, rows: Any, chunk: int, behind: bool = False) -> tuple[Examined, dict[int, str]]:
        """What is found of all rows, and which of these mean nothing, since the row cannot be read, and why."""
        whole, done, unread = Examined(torch.empty(0)), 0, dict[int, str]()
        for found, reasons in self._streamed(rows, chunk, behind):
            count = len(found.answers)
            if not done:  # filled in place: pieces kept between large passing tensors would hold the heap open
                whole = found.room(rows.shape[0])
            whole.put(done, found, count)
            unread |= {done + i: reason for i, reason in enumerate(reasons) if reason is not None}
            done += count
        return whole, unread

    def _streamed(self, rows: Any, chunk: int, behind: bool = False) -> Iterator[tuple[Examined, list[str | None]]]:
        """What is found block by block, and why a row could not be read; behind: spread and distances, too."""
        for number, (inputs, reasons) in enumerate(self.codec_.stream(rows, BLOCK)):
            if not number:
                self._tell_unseen()
            trust = self._trust()
            if behind and trust is not None:
                yield trust.seen(examined(self.learner_, inputs, self.device_, chunk, self.codec_.spec)), reasons
            else:
                yield Examined(torch.from_numpy(answers_of(self.learner_, inputs, self.device_, chunk))), reasons

    def _told(self, found: Examined) -> Iterator[dict[str, Any]]:
        """What `records` says of some rows."""
        records = self._records(found.answers.numpy())
        trust = self._trust()
        if trust is None:
            yield from records
            return
        unlike = np.round(trust.unlike(found), 4).tolist()
        for record, doubt, far in zip(records, self._doubts(found), unlike, strict=True):
            yield record | doubt | {"unlike": far}

    def _trust(self) -> Trust | None:
        """What is known of the model's doubt; None where fit had too few rows, and of older model folders."""
        trust: Trust | None = getattr(self, "trust_", None)
        return trust

    def _trusted(self) -> Trust:
        self._check_fitted()
        trust = self._trust()
        if trust is None:
            raise Unsupported(
                f"this model cannot tell its doubt: when it was fitted, nothing was kept of rows that were held out "
                f"({self.provenance_['validation']}). Fit it anew, on 25 rows or more."
            )
        return trust

    def _doubts(self, found: Examined) -> Iterator[dict[str, Any]]:
        """What `records` says of the doubt in each row."""
        raise Unsupported(f"{type(self).__name__} has no doubts.")

    def _needs_more(self) -> bool:
        """Whether sets or intervals need more than the answers."""
        return False

    def _covering(self, coverage: float | None) -> float:
        """The coverage that was asked for, or the question's. Raises BadInput where the held-out rows cannot tell."""
        asked = float(self._asked().coverage) if coverage is None else coverage
        check_coverage(asked, self._trusted().rows)
        return asked

    def _kept_word(self, found: Examined, target: Array) -> dict[str, float | None]:
        """How often sets or intervals held the truth, and how large they were."""
        raise Unsupported(f"{type(self).__name__} has no doubts.")

    def _tell_unseen(self) -> None:
        for remark in getattr(self.codec_, "remarks", ()):
            warnings.warn(remark, DataWarning, stacklevel=4)
        unseen: dict[str, int] = getattr(self.codec_, "unseen", {})
        if unseen:
            parts = [f"{column!r} ({count} rows)" for column, count in unseen.items()]
            warnings.warn(
                f"categories that training saw hardly or never, answered through the unknown slot: {listed(parts)}.",
                DataWarning,
                stacklevel=4,
            )

    def _predicted(self, X: Any) -> Array:
        """predict's way from what a user passes to raw answers."""
        self._check_fitted()
        return self._answers(self._given(X, None, reset=False).rows)

    def _numbers_of(self, answers: Array) -> Array:
        """Raw answers in the units metrics are computed in."""
        return answers

    def _target(self, y: Any) -> Array:
        """Raw answers of a user as the metrics take them."""
        raise Unsupported(f"{type(self).__name__} has no target.")

    def _records(self, answers: Array) -> Iterator[dict[str, Any]]:
        """Raw answers as `records` tells them."""
        raise Unsupported(f"{type(self).__name__} has no records.")


def emptied(record: dict[str, Any]) -> dict[str, Any]:
    """The same keys, all the way down, and None for every value."""
    return {key: emptied(value) if isinstance(value, dict) else None for key, value in record.items()}


def told_unread(rows: Any, unread: Mapping[int, str]) -> str:
    """`3 of 1,200 pictures could not be read: a.png (truncated), ...`"""
    named = listed(f"{rows.names[i]} ({reason})" for i, reason in unread.items())
    return f"{len(unread):,} of {rows.shape[0]:,} pictures could not be read: {named}"


def changed(settings: Any, part: str, changes: Mapping[str, Any]) -> Any:
    """A copy of frozen settings with some fields replaced. Raises BadInput for unknown fields."""
    known = [f.name for f in fields(settings)]
    for name in changes:
        if name not in known:
            raise BadInput(f"{part} ({type(settings).__name__}) has no field {name!r}.{suggest(name, known)}")
    return replace(settings, **changes)
