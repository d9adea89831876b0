"""What a fit does, step by step: answers, splits, encoding, settings, training, calibration, saving.

Rows that choose the epoch (validation), rows that set the temperature (calibration) and rows that train are never
mixed. Above `LARGE` rows they are 10 %, 10 % and 80 %. Below, nothing can be spared: 5-fold cross-fitting chooses the
number of epochs and gives the calibration answers, then one fit uses all rows. That takes six fits: where a budget
leaves the first of them a few epochs only, rows are set aside here too, and the rest of it goes to one fit.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from decet.contracts import ImageSpec, LabelSpec, Learner, Source, Stage
from decet.data.neighbourhoods import Neighbourhoods, Strolls
from decet.data.resident import Resident, lengths_of, moved, taken
from decet.data.splits import codes_of, folds, split
from decet.data.targets import LabelCodec
from decet.errors import BadInput, suggest
from decet.estimators import crossfitting
from decet.estimators.answers import fit_answer
from decet.estimators.asking import answers_of, bulk_of, examined
from decet.estimators.base import Cell, Estimator
from decet.estimators.calls import Call, loaded, ready
from decet.estimators.crossfitting import Fold, Pooled, pooled, too_short
from decet.estimators.fingerprints import checksum, identity, tensors_of
from decet.estimators.folders import CROSSFIT
from decet.estimators.nodes import sampled
from decet.estimators.reading import DataWarning, Given
from decet.estimators.suspects import among_held, among_learned
from decet.estimators.trust import MOST, Held, Trust, held_of, views_of
from decet.settings import joined
from decet.tasks.classify import Classifier, Classify
from decet.tasks.conformal import Examined, check_coverage
from decet.tasks.likeness import Likeness
from decet.training.augment import Augmentation, asked, growing
from decet.training.energy import Energy
from decet.training.loop import Outcome, train
from decet.training.needs import seconds_of
from decet.training.progress import Part
from decet.training.recipe import FALLBACK, Recipe

Array = NDArray[Any]
Parts = tuple[Array, Array | None, Array | None]  # rows to train, to validate, to calibrate
LARGE = 5_000  # rows from which validation and calibration rows are set aside
HELD = 0.1  # share of them for each, at most
FOLDS = 5
GIVEN_PATIENCE = 20  # epochs, where the user gives validation rows and the cell has no patience
FOLD_PATIENCE = 25  # epochs without a better score after which a fold stops
USUAL = 0.9  # coverage, which nobody has to have asked for
FEWEST = 25  # rows below which not even cross-fitting is worth its noise


@dataclass
class Choice:
    """What held-out rows decided: how long to train, and the answers that calibrate (made on rows not trained on)."""

    epochs: int | None = None
    held: Held | None = None
    rows: Array | None = None  # which those are
    metrics: dict[str, float | None] = field(default_factory=dict)
    how: str = "too few rows to hold any out"
    apart: Parts | None = None  # rows to train, validate and calibrate, where the budget was too short for folds
    learner: Learner | None = None  # of a fold in which training was interrupted
    outcome: Outcome | None = None


def fit(estimator: Estimator, cell: Cell, given: Given, call: Call) -> None:
    """Fit the estimator in place. See `Estimator.fit`."""
    with ready(estimator, call):
        _Fit(estimator, cell, given, call).run()


def rows_held(count: int, inputs: Any) -> float:
    """How many of so many rows calibrate: each in turn, or a tenth, of some kinds of data no more than they say."""
    return count if count <= LARGE else min(HELD * count, inputs.held_out or count)


class _Fit:
    """One fit, its intermediate results by name."""

    def __init__(self, estimator: Estimator, cell: Cell, given: Given, call: Call):
        self.estimator, self.cell, self.given, self.call = estimator, cell, given, call
        self.asked = estimator._asked()
        self.device = estimator._device()
        self.seed = int(estimator.seed)
        self.notes: list[str] = []
        self.records: list[dict[str, Any]] = []  # an epoch each: of the folds, then of the fit that is kept
        self.copies: Array | None = None  # groups of equal rows, where they were looked for
        self.count = given.rows.shape[0]
        self.energy = Energy()
        self.before: Any = None if call.start is None else loaded(call.start)
        self.taken = 0

    def run(self) -> None:
        self.answer = fit_answer(self.asked, self.given.answers)
        self.asked.check(self.answer.spec)
        self.target = self.answer.encode(self.given.answers)
        self._check_metric()
        weight = self._weights()
        train_rows, validation, calibration = self._split()
        self._count_asked(train_rows, validation, calibration)
        self._check_coverage(calibration)
        self._data_notes(train_rows)
        choice = Choice()
        if validation is None and self.call.validation is None and self._foldable():
            choice = self._cross_fitted(weight)
            choice.how = choice.how if choice.learner is not None else f"{FOLDS}-fold cross-fitting"
        if choice.apart is not None:
            train_rows, validation, calibration = choice.apart
            self._count_asked(*choice.apart)
            self.codec = self._encoding(train_rows)
            self.encoded = self.codec.encode(self.given.rows)
        if choice.learner is not None and choice.outcome is not None:  # interrupted: the fold so far is the model
            learner, outcome = choice.learner, choice.outcome
        else:
            learner, outcome = self._train(train_rows, weight, choice, validation)
        half_done = outcome.interrupted and calibration is None  # the folds' scores are of a network that was finished
        self.trust = None if half_done else self._trust(learner, choice, train_rows, calibration)
        self.suspects = self._suspects(learner, choice)
        if validation is not None:
            choice.how = "rows set aside"
            choice.metrics = self._metrics(self._answers(learner, validation), self.target.numpy()[validation])
        elif self.call.validation is not None:
            rows, answers = self.call.validation.rows, self.call.validation.answers
            predicted = answers_of(learner, self.codec.encode(rows), self.device, bulk_of(self.codec.spec))
            choice.how = "rows given"
            choice.metrics = self._metrics(predicted, self.answer.encode(answers).numpy())
        self._keep(learner, outcome, choice)
        self.call.keep(self.estimator, outcome.interrupted)

    def _count_asked(self, *parts: Array | None) -> None:
        """How many rows are to be answered after training."""
        train_rows, *others = (0 if rows is None else len(rows) for rows in parts)
        self.asked_after = min(train_rows, MOST) + sum(others)

    # ------------------------------------------------------------------------------------- answers and rows

    def _check_coverage(self, calibration: Array | None) -> None:
        """Refuse a coverage beyond the usual one that the rows to be held out cannot tell."""
        if self.asked.coverage <= USUAL:
            return
        if calibration is not None:
            check_coverage(self.asked.coverage, len(calibration))
        elif self.call.validation is None and self._foldable():
            check_coverage(self.asked.coverage, self.count)

    def _check_metric(self) -> None:
        name = self.estimator.recipe.metric if self.estimator.recipe is not None else None
        if name is not None and name not in self.asked.higher:
            raise BadInput(f"recipe.metric {name!r} is not a metric of this task.{suggest(name, self.asked.higher)}")

    def _weights(self) -> Array | None:
        """Row weights: the user's times the question's, with mean 1."""
        weight = None
        if self.call.sample_weight is not None:
            weight = np.asarray(self.call.sample_weight, dtype=np.float64).reshape(-1)
            if len(weight) != self.count:
                raise BadInput(f"sample_weight has {len(weight)} values for {self.count} rows.")
            if not np.isfinite(weight).all() or (weight < 0).any() or weight.sum() <= 0:
                raise BadInput("sample_weight must hold finite numbers of at least 0, and not only zeros.")
        if isinstance(self.asked, Classify):
            names = [list(column) for column in self.answer.classes]  # type: ignore[union-attr]
            own = self.asked.row_weights(self.target.numpy(), self.answer.spec, names)  # type: ignore[arg-type]
            if own is not None:
                weight = own if weight is None else weight * own
        return None if weight is None else weight / weight.mean()

    def _labels(self) -> Array | None:
        """Class ids to stratify by: those of a single column of labels."""
        if not isinstance(self.answer.spec, LabelSpec):
            return None
        if self.target.is_floating_point():
            return self.target.argmax(1).numpy()
        return self.target[:, 0].numpy() if self.target.shape[1] == 1 else None

    def _groups(self) -> Array | None:
        """Groups that no split may cut: the user's, else copies of the same row."""
        if self.call.groups is not None:
            groups = np.asarray(self._column(self.call.groups, "groups")).reshape(-1)
            if len(groups) != self.count:
                raise BadInput(f"groups has {len(groups)} values for {self.count} rows.")
            return codes_of("groups", groups)
        if self.call.order is not None:
            return None
        self.copies = ids = self.estimator._inputs().groups(self.given.rows)
        distinct = len(np.unique(ids))
        return ids if 2 * FOLDS <= distinct < self.count else None  # a handful of distinct rows cannot be kept apart

    def _order(self) -> Any:
        """Times by which the rows are split: the past trains, the future validates."""
        return None if self.call.order is None else self._column(self.call.order, "order")

    def _column(self, values: Any, what: str) -> Any:
        """Values one a row: given as such, or as the name of a column."""
        if not isinstance(values, str):
            return values
        table = self.given.rows if self.given.beside is None else self.given.beside
        names = list(getattr(table, "columns", []))
        if values not in names:
            raise BadInput(f"{what} names the column {values!r}, which X does not have.{suggest(values, names)}")
        return table[values]

    def _split(self) -> Parts:
        """Training, validation and calibration rows; None where there are none of their own."""
        self.groups, self.order = self._groups(), self._order()
        if self.count <= LARGE:
            return np.arange(self.count), None, None
        return self._parted(rows_held(self.count, self.estimator._inputs()) / self.count)

    def _parted(self, share: float) -> Parts:
        """The same, so large a share of all rows for each of the latter two."""
        validation = share if self.call.validation is None else 0.0
        fractions = (1.0 - validation - share, validation, share)
        parts = split(self.count, seed=self.seed, fractions=fractions, **self._together())
        return parts.train, parts.validation if len(parts.validation) else None, parts.calibration

    def _foldable(self) -> bool:
        labels = self._labels()
        several = labels is None or int((np.bincount(labels[labels >= 0]) >= 2).sum()) >= 2
        enough = self.count >= FEWEST and several
        return enough and (self.groups is None or len(np.unique(self.groups)) >= FOLDS)

    def _encoding(self, rows: Array | None) -> Any:
        """A codec learned from these rows, None = all, of the view that the family reads."""
        return self.estimator._inputs().fit(self.given.rows, rows, self.cell.family.reads)  # type: ignore[attr-defined]

    def _data_notes(self, rows: Array) -> None:
        self.codec = self._encoding(None if len(rows) == self.count else rows)
        self.encoded = self.codec.encode(self.given.rows)
        self.notes += self.estimator._inputs().notes(self.given.rows, self.given.answers, self.codec, self.copies)
        for note in self.notes:
            warnings.warn(note, DataWarning, stacklevel=6)

    # ----------------------------------------------------------------------------------------------- training

    def _settings(self, spec: Any, rows: int) -> tuple[Any, Recipe]:
        """Family and recipe in effect; the question in effect is kept on the way."""
        family, recipe, self.advised = self.estimator._joined_settings(self.cell, spec, rows, self.call.budget)
        self.asked = self.estimator._asked(self.advised)
        if not isinstance(spec, ImageSpec) and (named := asked(recipe)):
            raise BadInput(f"recipe.{named[0]} varies pictures, and {type(self.estimator).__name__} has none.")
        base = FALLBACK if recipe.epochs is None and recipe.steps is None else replace(FALLBACK, epochs=None)
        return family, joined(recipe, base)

    def _said_length(self) -> bool:
        """Whether the user said how long to train, so that it is not chosen."""
        recipe = self.estimator.recipe
        return recipe is not None and (recipe.epochs is not None or recipe.steps is not None)

    def _learner(self, codec: Any, rows: int, seed: int) -> tuple[Learner, Any, Recipe]:
        """A new learner for this encoding, its random start a function of the seed alone."""
        family, recipe = self._settings(codec.spec, rows)
        members = recipe.members or 1
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            body = family.encoder(codec.spec, members)
            learner = self.asked.learner(body, self.answer.spec, members)
        if self._lent:
            self.taken = self.before._lend(learner, codec, same_answer=False)
        if isinstance(codec.spec, ImageSpec) and (recipe.grow or 1.0) < 1.0:
            recipe = growing(recipe, self.estimator.recipe, learner, codec.spec, codec.encode(codec.sample(2, 0)))
        return learner, family, recipe

    @property
    def _lent(self) -> bool:
        """Whether the model to go on from has no answers, so that folds may begin from it too."""
        return self.before is not None and self.before.answer_ is None

    def _first(self, learner: Learner, inputs: Any, rows: Array) -> list[Stage]:
        """What is trained before the answers come in, on the training rows alone."""
        return [] if self.cell.first is None or self.taken else self.cell.first(learner, inputs, rows)

    def _for_training(self, learner: Learner) -> float | None:
        """Seconds of the budget that training may take: the answers that follow it are timed on a few rows first."""
        left = self.call.left
        if left is None:
            return left
        learner.to(self.device)
        rows = torch.arange(min(self.count, bulk_of(self.codec.spec)))
        few = taken(self.encoded, rows)
        seconds = seconds_of(lambda: answers_of(learner, few, self.device, len(rows)))
        return max(0.05, min(0.95 * left, left - 1.1 * seconds * self.asked_after / len(rows)))

    def _source(
        self, learner: Learner, inputs: Any, rows: Array | None, weight: Array | None, recipe: Recipe
    ) -> Resident | Neighbourhoods | Strolls:
        weights = None if weight is None else torch.as_tensor(weight, dtype=torch.float32, device=self.device)
        index = None if rows is None else torch.as_tensor(rows)
        lengths = lengths_of(inputs, self.codec.spec) if recipe.bucket else None
        given = moved(inputs, self.device), self.target.to(self.device), weights, index
        if (parts := sampled(learner, *given, recipe.batch, self.estimator._inputs())) is not None:
            return parts
        return Resident(*given, recipe.batch or 1, lengths, recipe.bucket or 0)

    def _augmentation(self, codec: Any, recipe: Recipe, source: Source) -> Augmentation | None:
        if not asked(recipe):
            return None
        labels = self.answer.spec
        mixes = isinstance(labels, LabelSpec) and labels.exclusive and len(labels.classes) == 1
        if (recipe.mixup or recipe.cutmix) and not mixes:
            raise BadInput("recipe.mixup and recipe.cutmix need one column of labels. Leave them out.")
        return Augmentation(recipe, codec.spec, source.steps, labels.classes[0] if mixes else None)  # type: ignore[union-attr]

    def _train(
        self, rows: Array, weight: Array | None, choice: Choice, validation: Array | None
    ) -> tuple[Learner, Outcome]:
        """The fit that is kept."""
        self._take_encoding()
        learner, self.family, recipe = self._learner(self.codec, self.count, self.seed)
        if self.before is not None and not self._lent:
            self.taken = self.before._lend(learner, self.codec, self._same_answer())
        check = None
        own = self.estimator.recipe
        if self.call.validation is not None and not recipe.patience and (own is None or own.patience is None):
            recipe = replace(recipe, patience=GIVEN_PATIENCE)
        if validation is not None:
            check = self._check(self.encoded, validation, self.target.numpy(), recipe)
        elif self.call.validation is not None:
            inputs = self.codec.encode(self.call.validation.rows)
            truth = self.answer.encode(self.call.validation.answers).numpy()
            check = self._check(inputs, None, truth, recipe)
        else:
            recipe = replace(recipe, patience=0)
            if choice.epochs is not None:
                recipe = replace(recipe, epochs=choice.epochs, steps=None)
        self.recipe = recipe
        if choice.held is None and self._labels() is not None and isinstance(learner, Classifier):
            learner.follow(self.count)
        part = None if len(rows) == self.count else rows
        source = self._source(learner, self.encoded, part, weight, recipe)
        last = Stage(learner, source, recipe, check, augment=self._augmentation(self.codec, recipe, source))
        outcome = train(
            [*self._first(learner, self.encoded, rows), last],
            seed=self.seed,
            device=self.device,
            budget=self._for_training(learner),
            folder=self.call.out,
            resume=self.call.resume,
            identity=self._identity(),
            on_epoch=self.call.on_epoch,
            show=self.call.show if choice.held is None else Part(self.call.show, FOLDS, FOLDS + 1),
        )
        self.records += outcome.history
        return learner, outcome

    def _same_answer(self) -> bool:
        """Whether the model to go on from answers the same question: the same classes, or as many numbers."""
        before = self.before.answer_ if self.before is not None else None
        return type(before) is type(self.answer) and before.state()[0] == self.answer.state()[0]

    def _take_encoding(self) -> None:
        """Keep the encoding of the model to go on from, where it fits these columns."""
        if self.before is not None and type(self.before.codec_) is type(self.codec):
            try:
                self.encoded = self.before.codec_.encode(self.given.rows)
                self.codec = self.before.codec_
                for remark in self.codec.remarks:
                    self.notes.append(remark)
                    warnings.warn(remark, DataWarning, stacklevel=7)
            except BadInput:
                pass  # other columns: the new encoding, and whatever weights still agree

    def _check(
        self, inputs: Any, rows: Array | None, truth: Array, recipe: Recipe, keep: list[Examined] | None = None
    ) -> Callable[[Learner], dict[str, float]]:
        """A `Stage.validate` for held-out rows: the monitored metric, the task's first, and their score."""
        held = inputs if rows is None else taken(inputs, torch.as_tensor(rows))
        target = truth if rows is None else truth[rows]
        name = recipe.metric or next(iter(self.asked.higher))
        shown = dict.fromkeys([name, next(iter(self.asked.higher))])

        def validate(learner: Learner) -> dict[str, float]:
            chunk, spec = bulk_of(self.codec.spec), self.codec.spec
            if keep is None:
                answers = answers_of(learner, held, self.device, chunk, glance=True)
            else:
                found = examined(learner, held, self.device, chunk, spec)
                keep.append(found._replace(features=None, plain=None, gaps=None))  # of all epochs they would be many
                answers = found.answers.numpy()
            self.energy.look()
            known = {k: v for k, v in self._metrics(answers, target, tuple(shown)).items() if v is not None}
            value = known.get(name, float("nan"))
            score = value if self.asked.higher[name] else -value
            return known | {"score": score if np.isfinite(score) else -np.inf}

        return validate

    def _cross_fitted(self, weight: Array | None) -> Choice:
        """5-fold cross-fitting: the number of epochs, and an answer to every row by a network that never saw it."""
        path = None if self.call.out is None else self.call.out / CROSSFIT
        identity = self._identity()
        if self.call.resume and path is not None and path.exists():
            found = crossfitting.read(path, identity, self.target.numpy())
            if found is None:
                return Choice(apart=self._parted(HELD))
            self.records += found.records
            return self._chosen(found)
        done: list[Fold] = []
        for number, (rows, held) in enumerate(folds(self.count, FOLDS, seed=self.seed, **self._together())):
            fold = self._fold(number, rows, held, weight)
            if isinstance(fold, Choice):
                return fold
            if number == 0 and self._too_short(fold):
                if path is not None:
                    crossfitting.write(path, identity, None)
                return Choice(apart=self._parted(HELD))
            done.append(fold)
        chosen = pooled(done, self._said_length(), self.records, self.target.numpy())
        if chosen is not None and path is not None:
            crossfitting.write(path, identity, chosen)
        return Choice() if chosen is None else self._chosen(chosen)

    def _together(self) -> dict[str, Any]:
        """What no split may break up, by a value a row."""
        return {"labels": self._labels(), "groups": self.groups, "order": self.order}

    def _too_short(self, first: Fold) -> bool:
        """Whether one fit of all of the budget tells more than six, which alone tell a coverage beyond the usual."""
        if self.call.budget is None or self._said_length() or self.asked.coverage > USUAL:
            return False
        return too_short(len(first.scores), self.count, 1 - (self.call.left or 0.0) / self.call.budget, FOLDS + 1)

    def _chosen(self, found: Pooled) -> Choice:
        return Choice(found.epochs, found.held, found.rows, self._metrics(found.held.answers, found.held.target))

    def _fold(self, number: int, rows: Array, held: Array, weight: Array | None) -> Fold | Choice:
        """One fold; where it is interrupted, its network is the choice."""
        codec = self._encoding(rows)
        inputs = codec.encode(self.given.rows)
        learner, family, recipe = self._learner(codec, self.count, self.seed + number + 1)
        recipe = replace(recipe, patience=0)
        said = self._said_length()
        answers: list[Examined] = []
        scores: list[float] = []
        check = self._check(inputs, held, self.target.numpy(), recipe, answers)

        def validate(trained: Learner) -> dict[str, float]:
            metrics = check(trained)
            scores.append(metrics["score"])
            return metrics

        own = self.estimator.recipe
        patience = FOLD_PATIENCE if own is None or own.patience is None else own.patience

        def hopeless(record: dict[str, Any]) -> bool:
            if not scores:  # of a stage without answers
                return False
            here = record["epoch"] - 1  # after a roll-back an epoch comes again: only its last try counts
            answers[here:], scores[here:] = answers[-1:], scores[-1:]
            return not said and 0 < patience <= len(scores) - 1 - int(np.argmax(scores))

        left = self.call.left
        source = self._source(learner, inputs, rows, weight, recipe)
        augment = self._augmentation(codec, recipe, source)
        last = Stage(learner, source, recipe, validate, f"fold {number + 1} of {FOLDS}", augment)
        outcome = train(
            [*self._first(learner, inputs, rows), last],
            seed=self.seed + number + 1,
            device=self.device,
            budget=None if left is None else left / (FOLDS + 1 - number),
            on_epoch=hopeless,
            show=Part(self.call.show, number, FOLDS + 1),
        )
        self.records += outcome.history
        if not outcome.interrupted:
            views = views_of(learner, inputs, rows, self._labels(), self.device, codec.spec)
            part = taken(inputs, torch.as_tensor(held))
            return Fold(held, scores, answers, self._held(learner, part, self.target.numpy()[held], views).distances)
        self.codec, self.family, self.recipe, self.taken = codec, family, recipe, 0
        kept = answers_of(learner, taken(inputs, torch.as_tensor(held)), self.device, bulk_of(self.codec.spec))
        metrics, where = self._metrics(kept, self.target.numpy()[held]), f"fold {number + 1} of {FOLDS}, interrupted"
        return Choice(metrics=metrics, how=where, learner=learner, outcome=outcome)

    # ------------------------------------------------------------------------------------------------ results

    def _trust(self, learner: Learner, choice: Choice, rows: Array, calibration: Array | None) -> Trust | None:
        """Set the temperature by held-out rows, if any, and keep what they tell of the model's doubt.

        Rows that the user gave choose the epoch, and tell of the doubt, but set no temperature.
        """
        given = self.call.validation
        if choice.held is None and calibration is None and given is None:
            return None
        views = views_of(learner, self.encoded, rows, self._labels(), self.device, self.codec.spec)
        if calibration is not None:
            target = self.target.numpy()[calibration]
            choice.held = self._held(learner, taken(self.encoded, torch.as_tensor(calibration)), target, views)
        elif choice.held is None and given is not None:
            target = self.answer.encode(given.answers).numpy()
            return Trust.of(self._held(learner, self.codec.encode(given.rows), target, views), self.answer.spec, views)
        held: Any = choice.held
        if isinstance(learner, Classifier):
            learner.calibrate(held.answers, held.target)
            choice.held = held = replace(held, answers=learner.tempered(held.answers))
        return Trust.of(held, self.answer.spec, views)

    def _suspects(self, learner: Learner, choice: Choice) -> list[dict[str, Any]]:
        """Rows whose label is likely wrong, of one column of labels."""
        ids = self._labels()
        if ids is None or self.target.is_floating_point() or not isinstance(learner, Classifier):
            return []
        names = self.answer.classes[0].tolist()  # type: ignore[union-attr]
        if choice.held is not None and choice.rows is not None:
            return among_held(choice.held, choice.rows, names)
        return among_learned(learner, self.encoded, ids, self.device, self.codec.spec, names)

    def _held(self, learner: Learner, inputs: Any, target: Array, views: tuple[Likeness, ...]) -> Held:
        """Rows that were not trained on, as the network sees them."""
        spec = self.codec.spec
        return held_of(examined(learner, inputs, self.device, bulk_of(spec), spec), target, views)

    def _answers(self, learner: Learner, rows: Array) -> Array:
        return answers_of(learner, taken(self.encoded, torch.as_tensor(rows)), self.device, bulk_of(self.codec.spec))

    def _metrics(self, answers: Array, target: Array, only: tuple[str, ...] | None = None) -> dict[str, float | None]:
        if isinstance(self.asked, Classify):
            return self.asked.metrics(answers, target, self.answer.spec, only)  # type: ignore[arg-type]
        units = [np.asarray(self.answer.decode(a), np.float64).reshape(len(a), -1) for a in (answers, target)]
        metrics: dict[str, float | None] = self.asked.metrics(*units, self.answer.spec, only)
        return metrics

    def _identity(self) -> dict[str, str]:
        """What must be equal for a checkpoint to belong to this run."""
        family, recipe = self._settings(self.codec.spec, self.count)
        said = identity(self.estimator, family, recipe, self.asked, self.call)
        return said | {"validation": self._validation_digest(), "data": self._fingerprint()}

    def _fingerprint(self) -> str:
        """A digest of the encoded rows and answers: equal for equal data."""
        if not hasattr(self, "digest"):
            self.digest = checksum([*tensors_of(self.encoded), self.target])
        return self.digest

    def _validation_digest(self) -> str:
        if self.call.validation is None:
            return "None"
        answers = self.answer.encode(self.call.validation.answers)
        return checksum([*tensors_of(self.codec.encode(self.call.validation.rows)), answers])

    def _keep(self, learner: Learner, outcome: Outcome, choice: Choice) -> None:
        """What was learned, as attributes with a trailing underscore."""
        estimator = self.estimator
        estimator.learner_ = learner.eval()
        estimator.device_ = self.device
        estimator.codec_, estimator.answer_ = self.codec, self.answer
        estimator.target_names_ = self.given.targets
        if not hasattr(estimator, "n_features_in_"):  # pictures have no columns: their numbers count
            estimator.n_features_in_ = sum(x[0].numel() for x in self.encoded)
        estimator.family_, estimator.recipe_, estimator.question_ = self.family, self.recipe, self.advised
        estimator.history_, estimator.plan_ = self.records, outcome.plan
        estimator.metrics_ = choice.metrics
        estimator.trust_, estimator.suspects_ = self.trust, self.suspects
        estimator.warnings_ = self.notes
        estimator.interrupted_ = outcome.interrupted
        estimator.taken_ = self.taken
        estimator.provenance_ = {
            "data": self.given.source,
            "fingerprint": self._fingerprint(),
            "rows": self.count,
            "validation": choice.how,
            "best_epoch": outcome.best_epoch or choice.epochs,
            "budget": self.call.budget,
            "interrupted": outcome.interrupted,
            "seconds": round(time.monotonic() - self.call.started, 2),
            "joules": self.energy.spent(),
        }
        if isinstance(self.answer, LabelCodec):
            classes = self.answer.classes
            estimator.classes_ = classes[0] if len(classes) == 1 else classes
        if outcome.interrupted:
            warnings.warn("training was interrupted; the best weights so far are kept.", DataWarning, stacklevel=6)
