"""What a fit of an estimator that draws pictures does: pictures, labels, settings, the judge, training, figures.

Twice a tenth of the pictures is held out (2,000 at most): drawn ones are held against one part, and so are, to know
what the figures mean, those of the other part (the best there can be) and a Gaussian's (`decet.baselines`).
"""

from __future__ import annotations

import copy
import math
import time
import warnings
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from decet.baselines import PixelGaussian
from decet.contracts import Batch, Clock, Learner, Source, Stage
from decet.data.images import Images
from decet.data.pictures import free_memory
from decet.data.resident import Resident
from decet.data.splits import split
from decet.data.targets import LabelCodec, check_learnable, fit_labels
from decet.errors import BadInput, Unsupported
from decet.estimators import judge as judging
from decet.estimators.answers import is_soft
from decet.estimators.calls import Call, gone_on_from
from decet.estimators.fingerprints import checksum, identity
from decet.estimators.judge import JUDGE, Judge
from decet.estimators.picturing import (
    BULK,
    DRAWN,
    JUDGED,
    LOOKED,
    Draws,
    built,
    classes_of,
    figures_of,
    labels_of,
    way,
)
from decet.estimators.reading import DataWarning, Given
from decet.estimators.sheets import write_frames, write_sheet
from decet.settings import joined
from decet.tasks.conformal import thinned
from decet.tasks.draw import Draw, drawn
from decet.tasks.fidelity import copied, kernel, variety
from decet.training.augment import Augmentation, asked
from decet.training.loop import train
from decet.training.needs import needed, seconds_of
from decet.training.recipe import FALLBACK, Recipe

Array = NDArray[Any]
LEAST = 10  # pictures to learn from
HELD, PAIR = 0.1, 2  # share of them that drawn ones are held against; and so many at least, which can be apart
SHORTEST = 100  # steps after which training is looked at, at least
GLANCED, SHOWN = 256, 64  # pictures drawn to follow training by, and to be looked at
SHEETS = "pictures"  # in a run's folder: sheets of them
FILM, FRAMES, LASTS = "training.gif", 100, 0.2  # beside them: so many of the sheets, each for so many seconds
UNWANTED = ("mixup", "cutmix", "grow")  # of a recipe: pictures that nobody wants drawn
UNUSED = ("metric", "members", "bucket", "window")  # and what has no meaning here
ALIKE = 0.5  # of the distances between real pictures, below which drawn ones are too much alike
STRONG = 0.95  # share of pairs that a critic tells right, from which the other player learns little
SLOWER = 1.4  # times the time that drawing and seeing a few foretell, to be safe; distances of what is seen are in it
COPIES, MANY_COPIES = 10.0, 0.2  # times as many as among held-out pictures, or a share, from which copies are told
FEW = 10_000  # pictures up to which copies are looked for meanwhile


def fit(estimator: Draws, cell: Any, given: Given, call: Call) -> None:
    """Fit the estimator in place. See `Draws.fit`."""
    _Fit(estimator, cell, given, call).run()


class Rounds(Source):
    """Another source, several of its epochs as one, so that training on few pictures is not looked at all the time."""

    def __init__(self, source: Source) -> None:
        self.source, self.at = source, 0
        self.steps = source.steps * math.ceil(SHORTEST / source.steps)

    def next(self, clock: Clock) -> Batch:
        self.at = clock.step + 1
        return self.source.next(clock)

    def example(self) -> Batch:
        return self.source.example()


class _Fit:
    """One fit, its intermediate results by name."""

    def __init__(self, estimator: Draws, cell: Any, given: Given, call: Call) -> None:
        self.estimator, self.cell, self.given, self.call = estimator, cell, given, call
        self.images: Images = estimator._inputs()
        self.seed, self.device = int(estimator.seed), estimator._device()
        self.before = gone_on_from(call, estimator)
        self.notes: list[str] = []
        self.alarms: dict[str, str] = {}  # what was told, by kind
        self.family: Any = None  # these three as soon as the pictures are read
        self.recipe = Recipe()
        self.learner: Any = None

    def run(self) -> None:
        self._read()
        self._settle()
        self.judge = Judge.begun(self.codec.spec, classes_of(self.answer), self.seed, self.device)
        self._check_memory()
        if self.call.out is not None and not self.call.resume:
            for old in (*self._sheets(), self.call.out / SHEETS / FILM):  # of a run that this one replaces
                old.unlink(missing_ok=True)
        source = Resident((self.pixels,), self._targets(), None, self.train, self.recipe.batch or 1)
        if self.recipe.epochs is not None:  # over the pictures, which a round goes over several times
            self.recipe = replace(self.recipe, epochs=None, steps=self.recipe.epochs * source.steps)
        self.rounds = Rounds(source)
        augment = Augmentation(self.recipe, self.codec.spec, self.rounds.steps) if asked(self.recipe) else None
        outcome = train(
            [
                judging.stage(self.judge.learner, self.pixels, self.target, self.train),
                Stage(self.learner, self.rounds, self.recipe, self._look, name="draw", augment=augment),
            ],
            seed=self.seed,
            device=self.device,
            budget=self._for_training(),
            folder=self.call.out,
            resume=self.call.resume,
            identity=self._identity(),
            on_epoch=self._followed,
            show=self.call.show,
        )
        self._keep(outcome)
        self.call.keep(self.estimator, outcome.interrupted)

    # --------------------------------------------------------------------------------------------- the pictures

    def _read(self) -> None:
        """Pixels, labels, and which of them train."""
        given, images = self.given, self.images
        if images.frames is not None:
            raise Unsupported("what draws pictures draws no clips. Leave inputs.frames out.")
        count = len(given.rows)
        if count < LEAST:
            pictures = "1 picture is" if count == 1 else f"{count} pictures are"
            raise BadInput(f"{pictures} too few to learn from: {LEAST} are needed at least, and hundreds to be of use.")
        self.answer, self.target = labelled(given.answers, self.estimator.labelled)
        groups = images.groups(given.rows)
        distinct = len(np.unique(groups))
        if distinct < 2:
            raise BadInput(f"all {count:,} pictures are equal: there is nothing to learn but one.")
        held = max(PAIR / count, min(HELD, (images.held_out or count) / count))
        parts = split(
            count,
            seed=self.seed,
            labels=None if self.target is None else self.target[:, 0].numpy(),
            groups=groups if distinct < count else None,
            fractions=(1 - 2 * held, held, held),
        )
        self.train, self.held, self.beside = (
            torch.from_numpy(rows) for rows in (parts.train, parts.validation, parts.calibration)
        )
        self.codec = images.fit(given.rows, parts.train)
        if self.before is not None:
            self._check_before()
        self.notes += images.notes(given.rows, None, self.codec, groups)
        self.pixels = self.codec.encode(given.rows)[0]

    def _check_before(self) -> None:
        """The model to go on from must draw pictures of this kind."""
        old, new = self.before.codec_.spec, self.codec.spec
        if (old.channels, old.height, old.width) != (new.channels, new.height, new.width):
            raise BadInput(
                f"{self.call.start} draws pictures of {old.channels} x {old.height} x {old.width}, and these are "
                f"{new.channels} x {new.height} x {new.width}. Say --inputs.size and --inputs.channels as it has them."
            )

    def _targets(self) -> Tensor:
        return torch.zeros(len(self.pixels), 1, dtype=torch.int64) if self.target is None else self.target

    # ---------------------------------------------------------------------------------------------- the settings

    def _settle(self) -> None:
        """Family, recipe, question and learner."""
        estimator, size = self.estimator, len(self.train)
        family, recipe, self.advised = estimator._joined_settings(self.cell, self.codec.spec, size, self.call.budget)
        if self.before is not None and type(self.before.family_) is type(family):
            family = joined(estimator.family, self.before.family_)  # what is not said is as it was
        base = FALLBACK if recipe.epochs is None and recipe.steps is None else replace(FALLBACK, epochs=None)
        self.family, self.recipe = family, joined(recipe, base)
        for name in asked(estimator.recipe):
            if name in UNWANTED:
                raise BadInput(f"recipe.{name} makes pictures that are not to be drawn. Leave it out.")
        for name in UNUSED:
            if getattr(estimator.recipe, name, None) is not None:
                raise BadInput(f"recipe.{name} does nothing where pictures are drawn. Leave it out.")
        if (self.recipe.batch or 1) > size:
            self.notes.append(
                f"{size:,} pictures to learn from are fewer than a batch of {self.recipe.batch:,}: each step sees all."
            )
        self.asked = estimator._asked(self.advised)
        said = Draw(estimator.sampler, estimator.steps, estimator.guidance)
        self.how = way(said, self.asked, family, self.answer is not None)
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(self.seed)
            self.learner = built(self.family, self.codec.spec, self.answer)
        self.taken = 0
        if self.before is not None:
            self.taken = self.before._lend(self.learner, self.codec, same_answer=True)
        for note in self.notes:
            warnings.warn(note, DataWarning, stacklevel=5)

    def _check_memory(self) -> None:
        """Refuse steps that would take more memory than there is, by what small ones take; of a copy, and of noise of
        its own, since a step moves the means of norms."""
        learner, targets = copy.deepcopy(self.learner), self._targets()
        free = free_memory() if self.device.type == "cpu" else int(torch.cuda.mem_get_info(self.device)[0])
        batch = min(self.recipe.batch or 1, len(self.train))

        def run(phase: str, rows: int) -> Any:
            return learner.loss(Batch((self.pixels[: 2 * rows],), targets[: 2 * rows]), phase).total

        with torch.random.fork_rng(devices=[]):
            turns = [partial(run, phase.name) for phase in learner.phases()]
            size = max(needed(turn, learner.parameters(), batch / 2) for turn in turns)
        if size > free:
            spec = self.codec.spec
            raise BadInput(
                f"a step of {batch:,} pictures of {spec.height} x {spec.width} takes about {size / 1e9:,.1f} GB, and "
                f"{free / 1e9:,.1f} GB are free. Say a smaller --recipe.batch or --inputs.size."
            )

    def _for_training(self) -> float | None:
        """Seconds of the budget for training: what drawing and judging will take is kept back."""
        left = self.call.left
        if left is None:
            return None
        self.learner.to(self.device).eval()
        rows = min(32, self._count())
        each = seconds_of(lambda: self._drawn(self.learner, 0, rows, JUDGED)) / rows
        seeing = seconds_of(lambda: self.judge.see(self.pixels[: 8 * rows])) / (8 * rows)
        self.learner.train()
        need = each * self._count() + seeing * (len(self.train) + 4 * self._count())
        return max(0.05, min(0.95 * left, left - SLOWER * need))

    def _count(self) -> int:
        """Pictures that are drawn to be judged."""
        return min(DRAWN, len(self.held))

    def _identity(self) -> dict[str, str]:
        """What must be equal for a checkpoint to belong to this run."""
        self.fingerprint = checksum([self.pixels, self._targets()])
        return identity(self.estimator, self.family, self.recipe, self.asked, self.call) | {"data": self.fingerprint}

    # ------------------------------------------------------------------------------------------------ following

    def _labels(self, count: int) -> Tensor | None:
        return labels_of(self.answer, None, count)

    def _drawn(self, learner: Any, begin: int, end: int, stream: int) -> Tensor:
        labels = self._labels(end)
        own, seed = None if labels is None else labels[begin:], self.estimator._stream(None, stream)
        return drawn(learner, own, slice(begin, end), seed, self.how, self.device)

    def _look(self, learner: Learner) -> dict[str, float]:
        """Figures of a few drawn pictures, always of the same noise; with `out` a sheet of them."""
        found = self._drawn(learner, 0, GLANCED, LOOKED).round().to(torch.uint8)
        if self.call.out is not None:
            folder = self.call.out / SHEETS
            folder.mkdir(parents=True, exist_ok=True)
            write_sheet(folder / f"step-{self.rounds.at:07d}.png", self.estimator._shaped(found[:SHOWN]))
        real = self._real_seen()
        seen, told = self.judge.see(found)
        figures = {"kernel": kernel(real, seen, subsets=1, size=max(len(real), len(seen)))}
        labels = self._labels(GLANCED)
        if labels is not None:
            figures["recognised"] = float((told == labels).double().mean())
        figures["variety"] = variety(real[:GLANCED], seen[: len(real)])
        if len(self.train) <= FEW:
            told_copies = copied(seen, self._known(), real)
            figures |= {"copied": told_copies.share, "ordinary": told_copies.ordinary}
        return figures | {"score": -figures["kernel"]}

    def _known(self) -> Tensor:
        """What the judge sees in the pictures to learn from."""
        if not hasattr(self, "known"):
            self.known = self.judge.see(self.pixels.index_select(0, self.train))[0]
        return self.known

    def _real_seen(self) -> Tensor:
        """What the judge sees in held-out pictures."""
        if not hasattr(self, "seen"):
            self.judge.settle(self.pixels, self.train.numpy())
            self.seen = self.judge.see(self.pixels.index_select(0, self.held[:DRAWN]))[0]
        return self.seen

    def _followed(self, record: dict[str, Any]) -> Any:
        self._watch(record)
        return None if self.call.on_epoch is None else self.call.on_epoch(record)

    def _watch(self, record: dict[str, Any]) -> None:
        """Whether something looks wrong in a record of history; at first nothing is as it should be."""
        if record.get("stage") != "draw" or record["step"] < 2 * self.rounds.steps:
            return
        told, alike = record.get("told", 0.0), record.get("variety", 1.0)
        if told > STRONG:
            self._alarm("critic", record["step"], f"the critic tells {told:.0%} of the pairs right")
        if alike < ALIKE:
            self._alarm("alike", record["step"], f"drawn pictures differ by {alike:.0%} of what real ones do")
        self._watch_copies(record, record["step"])

    def _watch_copies(self, figures: Mapping[str, Any], step: int) -> None:
        share, ordinary = figures.get("copied") or 0.0, figures.get("ordinary") or 0.0
        if share > min(COPIES * ordinary, max(MANY_COPIES, 2 * ordinary)):
            self._alarm("copies", step, f"{share:.1%} of the drawn pictures are as near to one trained on")

    def _alarm(self, kind: str, step: int, what: str) -> None:
        """Say once what looks wrong, and what may help."""
        if kind in self.alarms:
            return
        self.alarms[kind] = f"after {step:,} steps {what}: {self.family.remedies[kind]}."
        self.call.show.say(self.alarms[kind])

    # -------------------------------------------------------------------------------------------------- the end

    def _figures(self, step: int) -> dict[str, float | None]:
        """Figures of drawn pictures; and the Frechet distance of some that are as good, and as bad, as can be."""
        count = self._count()
        self._real_seen()
        real, train = (self.pixels.index_select(0, rows) for rows in (self.held[:count], self.train))
        made = torch.cat([self._drawn(self.learner, i, min(i + BULK, count), JUDGED) for i in range(0, count, BULK)])
        figures = figures_of(self.judge, real, made, self._labels(count), train)
        self._watch_copies(figures, step)
        others = self.pixels.index_select(0, self.beside[:count])
        names = None if self.target is None else self.target[self.train, 0].numpy()
        shown = train.permute(0, 2, 3, 1).numpy()
        gaussian = PixelGaussian().fit(shown, names).sample(count, self.seed)
        plain = torch.from_numpy(gaussian).permute(0, 3, 1, 2)
        for name, pictures in (("real", others), ("gaussian", plain)):
            figures[f"frechet_{name}"] = figures_of(self.judge, real, pictures, None).get("frechet")
        return figures

    def _sheets(self) -> list[Path]:
        """Those that this run has written, by steps."""
        return [] if self.call.out is None else sorted((self.call.out / SHEETS).glob("step-*.png"))

    def _film(self) -> None:
        """With `out` the sheets of training, one after the other; a film that cannot be made ends no training."""
        sheets = self._sheets()
        if len(sheets) < 2 or self.call.out is None:
            return
        chosen = thinned(np.arange(len(sheets)), FRAMES)
        try:
            write_frames(self.call.out / SHEETS / FILM, [Image.open(sheets[place]) for place in chosen], LASTS)
        except (BadInput, OSError) as error:
            self.call.show.say(f"no film of training was made: {error}")

    def _keep(self, outcome: Any) -> None:
        """What was learned, as attributes with a trailing underscore."""
        estimator: Any = self.estimator
        self.learner = self.learner.to(self.device).eval()
        for record in outcome.history:  # what was told before a run was cut is told again
            self._watch(record)
        self._film()
        metrics = self._figures(outcome.history[-1]["step"] if outcome.history else 0)
        estimator.learner_, estimator.device_, estimator.judge_ = self.learner, self.device, self.judge
        estimator.codec_, estimator.answer_ = self.codec, self.answer
        estimator.target_names_, estimator.n_features_in_ = (), int(np.prod(self.learner.shape))
        vars(estimator).pop("classes_", None)  # of an earlier fit
        if self.answer is not None:
            estimator.classes_ = self.answer.classes[0]
        estimator.family_, estimator.recipe_, estimator.question_ = self.family, self.recipe, self.advised
        estimator.history_, estimator.plan_ = outcome.history, outcome.plan
        estimator.metrics_ = metrics
        for alarm in self.alarms.values():
            warnings.warn(alarm, DataWarning, stacklevel=5)
        estimator.warnings_ = [*self.notes, *self.alarms.values()]
        estimator.interrupted_, estimator.taken_ = outcome.interrupted, self.taken
        estimator.provenance_ = {
            "data": self.given.source,
            "fingerprint": self.fingerprint,
            "rows": len(self.train),
            "validation": f"{self._count():,} drawn pictures beside as many held out, as {JUDGE} sees them",
            "best_epoch": outcome.best_epoch,
            "budget": self.call.budget,
            "interrupted": outcome.interrupted,
            "seconds": round(time.monotonic() - self.call.started, 2),
        }
        if outcome.interrupted:
            warnings.warn("training was interrupted; the weights so far are kept.", DataWarning, stacklevel=5)


def labelled(answers: Any, wanted: bool | None) -> tuple[LabelCodec | None, Tensor | None]:
    """What labels are called, and of each picture its own by number (N, 1); None where they are not to be used.

    wanted: whether they are to be; None: where there are any.
    """
    if answers is None and wanted:
        raise BadInput("labelled=True needs a label for each picture: class folders, or y.")
    if answers is None or wanted is False:
        return None, None
    codec = fit_labels(answers, soft=is_soft(answers))
    if codec.soft or not codec.spec.exclusive or len(codec.spec.classes) > 1:
        raise BadInput("pictures are drawn by one label each. Give one column of labels, or say labelled=False.")
    kinds = len(codec.classes[0])
    if kinds > len(answers) / 2:
        raise BadInput(
            f"{len(answers):,} pictures have {kinds:,} different labels, too many to learn any of them. Say "
            "labelled=False (--labelled false) to draw without."
        )
    if kinds < 2:
        if wanted:
            raise BadInput("labelled=True needs two labels at least, and all pictures have the same one.")
        return None, None
    check_learnable(codec, answers)
    return codec, codec.encode(answers)
