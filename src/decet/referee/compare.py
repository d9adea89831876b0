"""compare: which of these fits my data, how good is it, and is it worth it?

Every family of the row, and what needs no network, on the same rows under one budget. Test rows are set aside first (or
are the official ones of a public set) and judge everybody; each contender is fitted on the rest, and sets aside for
itself what it needs to choose by. What comes out is one figure each with its interval, the paired difference to the
best, what it costs, and a verdict in words.
"""

from __future__ import annotations

import hashlib
import time
import warnings
from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import clone

from decet import artifact
from decet.errors import BadInput, DecetError, Unsupported, check_range, listed, suggest
from decet.estimators.base import Estimator
from decet.estimators.catalog import FAMILIES
from decet.estimators.fingerprints import copies
from decet.estimators.fitting import USUAL, rows_held
from decet.estimators.folders import COMPARISON, check_free_to_compare
from decet.estimators.reading import DataWarning
from decet.estimators.saved import verify
from decet.referee.comparison import Comparison, Judged
from decet.referee.contenders import Contender, Network, Terms, latency, peak_memory
from decet.referee.halving import gain_of
from decet.referee.intervals import interval, resampled, shared_by
from decet.referee.language import language_ground
from decet.referee.pictures import picture_ground
from decet.referee.rows import OFFICIAL, Ground, row_ground
from decet.referee.verdict import FAMILY, FLOOR, Result, duration_of, ranked, verdict
from decet.referee.webs import community_ground, link_ground, vector_ground
from decet.referee.words import word_ground
from decet.tasks.communities import DetectCommunities
from decet.tasks.conformal import check_coverage
from decet.tasks.draw import Draw
from decet.tasks.embed import Embed
from decet.tasks.embed_nodes import EmbedNodes
from decet.tasks.language import Language
from decet.tasks.link import Link
from decet.training.checkpoint import read_tree, write_tree
from decet.training.energy import Energy
from decet.training.progress import Part, Quiet, Show

Array = NDArray[Any]
TEST = 0.2  # share of the rows that are set aside, where there is no official test
LEAST = 2.0  # seconds of a budget for each contender
OWN, FITTING = 0.95, 0.9  # share of the budget that is given out, and of a share that its fit may take
UNVERIFIED = "the saved model of "  # how the warning begins
ANSWERS = "answers.safetensors"  # what contenders said so far, beside an unfinished comparison


@dataclass
class _Call:
    """What `compare` was called with, beside the data."""

    budget: float | None
    groups: Any
    order: Any
    test: float
    out: Path | None
    resume: bool
    overwrite: bool
    show: Show
    command: str
    started: float = field(default_factory=time.monotonic)


def compare(
    estimator: Any,
    X: Any,
    y: Any = None,
    *,
    families: Any = None,
    budget: float | None = None,
    groups: Any = None,
    order: Any = None,
    test: float = TEST,
    seed: int | None = None,
    out: str | Path | None = None,
    resume: bool = False,
    overwrite: bool = False,
    show: Show | None = None,
    command: str = "",
) -> Comparison:
    """Fit every family of an estimator's row, and baselines that need no network, on the same rows, and judge them.

    estimator: its class, or an instance whose settings all share (question, recipe, inputs; no family).
    X, y, groups, order: as `Estimator.fit` takes them; rows of one group, and copies, stay on one side. Of vectors of
        words y is a file of word tests; None: the public set "word-tests", which is English.
    families: which of the row: names, classes or settings (`["CNN", ResNet(depth=18)]`); None = all.
    budget: seconds for the whole call, in equal shares; what baselines leave of theirs goes to the families. None =
        each as long as its cell says.
    test: share of the rows set aside, where X has no official test part. seed: of every random draw (0).
    out: folder for a model folder a family, comparison.json and report.html; resume: go on with what was interrupted
        there; overwrite: take its place. show: where progress is told. command: how it was asked for, for the report.

    Ctrl-C keeps and judges what is done. A family that fails is told in the result and stops nobody.
    Raises BadInput or Unsupported, before any training, for data or settings that cannot work.
    """
    check_range("budget", budget, 1e-3)
    check_range("test", test, 0.01, 0.9)
    if (resume or overwrite) and out is None:
        raise BadInput("resume and overwrite need out: the folder that holds the comparison.")
    template = _template(estimator, seed)
    chosen = _families(template, families)
    _check_length(template, budget)
    call = _Call(
        budget, groups, order, test, None if out is None else Path(out), resume, overwrite, show or Quiet(), command
    )
    with nullcontext() if call.out is None else artifact.lock(call.out):
        if call.out is not None:
            check_free_to_compare(call.out, resume=resume, overwrite=overwrite)
        return _Match(template, chosen, X, y, call).run()


# ----------------------------------------------------------------------------------------------- who, and how long


def _template(estimator: Any, seed: int | None) -> Any:
    """A fresh estimator without a family, whose settings every contender gets."""
    if isinstance(estimator, type) and issubclass(estimator, Estimator):
        estimator = estimator()
    if not isinstance(estimator, Estimator):
        raise Unsupported(f"compare takes an estimator, as TableClassifier. Received: {estimator!r}.")
    template: Any = clone(estimator)
    if hasattr(template, "play"):
        raise Unsupported(
            "compare judges all by the same rows, and an agent has none: fit each in the environment, then evaluate it."
        )
    if template.family is not None:
        raise BadInput("compare tries every family of the row: leave family out, or say families=[...].")
    if seed is not None:
        template.seed = seed
    template._cell()
    template._device()
    return template


def _families(template: Any, said: Any) -> dict[str, Any]:
    """Settings by name, in the order of the row, or as said."""
    if said is None:
        return {cell.family.__name__: cell.family() for cell in template.row}
    found: dict[str, Any] = {}
    for one in [said] if isinstance(said, (str, type)) or not isinstance(said, Sequence) else said:
        if one is None:
            raise BadInput("families holds None. Leave families out to compare all of the row.")
        family = _family(template, one) if isinstance(one, str) else one() if isinstance(one, type) else one
        clone(template).set_params(family=family)._cell()  # says which the row takes
        name = type(family).__name__
        if family in found.values():
            raise BadInput(f"families names {name} twice, with the same settings. Name each once.")
        count = sum(type(other) is type(family) for other in found.values())
        found[name if not count else f"{name} {count + 1}"] = family
    if not found:
        raise BadInput("families names none. Leave it out to compare all of the row.")
    return found


def _family(template: Any, name: str) -> Any:
    every = {family.__name__.lower(): family for family in FAMILIES}
    if name.lower() not in every:
        able = [cell.family.__name__ for cell in template.row]
        raise BadInput(f"there is no family {name!r}.{suggest(name, able)}")
    return every[name.lower()]()


def _check_length(template: Any, budget: float | None) -> None:
    """Refuse a budget beside a length said otherwise."""
    for name in ("epochs", "steps"):
        if budget is not None and template.recipe is not None and getattr(template.recipe, name) is not None:
            raise BadInput(f"budget and recipe.{name} both say how long to train; keep one.")


def _check_covered(template: Any, asked: Any, ground: Ground) -> None:
    """Refuse a coverage that the rows to be held out cannot tell."""
    coverage = getattr(asked, "coverage", None)
    if coverage is not None and coverage > USUAL:
        check_coverage(coverage, round(rows_held(ground.train.rows.shape[0], template._inputs())))


def _check_budget(budget: float | None, contenders: int) -> None:
    if budget is not None and budget < LEAST * contenders:
        raise BadInput(
            f"budget {budget:g} s is too little for {contenders} contenders, {budget / contenders:.2g} s each. "
            f"Give at least {LEAST * contenders:g} s, or name fewer families."
        )


# ------------------------------------------------------------------------------------------------------- the match


class _Match:
    """One comparison, its intermediate results by name."""

    def __init__(self, template: Any, chosen: dict[str, Any], X: Any, y: Any, call: _Call):
        self.template, self.chosen, self.call = template, chosen, call
        stand = GROUNDS.get(template.question, row_ground)
        self.ground = stand(template, X, y, groups=call.groups, order=call.order, test=call.test)
        self.asked = template._asked()
        _check_covered(template, self.asked, self.ground)
        self.results: dict[str, Result] = {}
        self.answers: dict[str, Array] = {}
        self.done: dict[str, Contender] = {}
        self.shares: dict[str, float] = {}  # seconds for each, by kind of contender
        self.interrupted = False
        self.spent = 0.0  # seconds, before this call went on

    def run(self) -> Comparison:
        contenders = self._contenders()
        _check_budget(self.call.budget, sum(c.kind != FLOOR for c in contenders))
        self.identity = self._identity()
        if self.call.resume and (kept := self._kept()) is not None:
            return kept
        self._fit_all(contenders)
        if not self.answers and self.interrupted:
            raise KeyboardInterrupt
        if not self.answers:
            first = next(iter(self.results.values()))
            raise BadInput(f"nobody could be fitted. {first.name}: {first.error}")
        return self._judged()

    # ---------------------------------------------------------------------------------------------- contenders

    def _contenders(self) -> list[Contender]:
        networks = []
        for name, family in self.chosen.items():
            estimator = clone(self.template).set_params(family=family)
            for learned in ("n_features_in_", "feature_names_in_"):  # what reading the whole told
                if hasattr(self.template, learned):
                    setattr(estimator, learned, getattr(self.template, learned))
            networks.append(self.ground.network(name, estimator))
        return [*self.ground.baselines, *networks]

    def _fit_all(self, contenders: Sequence[Contender]) -> None:
        self.waiting = [c.name for c in contenders]
        try:
            for number, contender in enumerate(contenders):
                if contender.name not in self.results:
                    self._one(contender, self._share(contenders, number), Part(self.call.show, number, len(contenders)))
                    self._write_down()
                self.waiting.remove(contender.name)
                if self.interrupted:
                    break
        except KeyboardInterrupt:
            self.interrupted = True

    def _share(self, contenders: Sequence[Contender], number: int) -> float | None:
        """Seconds for one of them: what others do not need goes to the families, to each the same.

        Where another took longer than its share, the others' are cut, so that the whole stays in time.
        """
        if self.call.budget is None:
            return None
        kind, rivals = contenders[number].kind, [c for c in contenders if c.kind != FLOOR]
        sharing = [c for c in rivals if c.kind == FAMILY] if kind == FAMILY else rivals
        equal = self.shares.setdefault(kind, OWN * self._left() / max(1, len(sharing)))
        waiting = sum(c.kind != FLOOR for c in contenders[number:])
        return max(0.1, min(equal, OWN * self._left() / max(1, waiting)))

    def _seconds(self) -> float:
        """That the comparison took so far, in all."""
        return round(self.spent + time.monotonic() - self.call.started, 2)

    def _left(self) -> float:
        """Seconds of the budget that are left."""
        return max(0.0, (self.call.budget or 0.0) - (time.monotonic() - self.call.started))

    def _one(self, contender: Contender, share: float | None, show: Show) -> None:
        """Fit and ask one; what it took, and what it said."""
        show.step(0.0, {})
        terms = self._terms(contender, share, show)
        try:
            with peak_memory() as memory, warnings.catch_warnings(record=True) as said:
                warnings.simplefilter("always")
                started, energy = time.monotonic(), Energy()
                contender.fit(self.ground.train, terms)
                seconds = time.monotonic() - started
            result = self._asked_of(contender)
            result.joules = _joules(contender, energy)
        except (DecetError, ValueError, ArithmeticError, MemoryError, RuntimeError) as error:
            self.results[contender.name] = Result(contender.name, contender.kind, error=_reason(error))
            show.say(f"{contender.name} could not be fitted: {_reason(error)}")
            return
        told = dict.fromkeys(" ".join(str(w.message).split()) for w in said if not issubclass(w.category, DataWarning))
        result.seconds, result.memory, result.notes = seconds, memory[0] if memory else None, list(told)
        self.results[contender.name], self.done[contender.name] = result, contender
        self.interrupted = self.interrupted or result.interrupted
        value = result.metrics.get(self.template.scored)
        figure = "undefined" if value is None else f"{value:.4f}"
        show.say(f"{contender.name}: {self.template.scored} {figure}, fitted in {duration_of(seconds)}")

    def _terms(self, contender: Contender, share: float | None, show: Show) -> Terms:
        folder = None if self.call.out is None else self.call.out / contender.name.replace(" ", "-")
        begun = self.call.resume and folder is not None and (folder / "checkpoint").is_dir()
        return Terms(
            groups=self.ground.groups,
            order=self.ground.order,
            seconds=None if share is None else FITTING * share,
            out=folder,
            resume=begun,
            overwrite=not begun and (self.call.overwrite or self.call.resume),
            show=show,
        )

    def _asked_of(self, contender: Contender) -> Result:
        started, ground = time.monotonic(), self.ground
        answers = contender.answers(ground.test.rows)
        seconds = time.monotonic() - started
        self.answers[contender.name] = answers
        return Result(
            contender.name,
            contender.kind,
            metrics=self.asked.metrics(answers, ground.target, ground.spec),
            latency=latency(contender, ground.test.rows),
            rate=len(answers) / max(seconds, 1e-9),
            **contender.about(),
        )

    # ------------------------------------------------------------------------------------------------- the end

    def _judged(self) -> Comparison:
        """Scores and paired differences on the same resamples, and what follows from them."""
        names, ground = list(self.answers), self.ground
        items = [self.asked.items(self.answers[name], ground.target, ground.spec) for name in names]
        values = np.array([float(self.asked.of_items(each.sum(0))) for each in items])
        scores = resampled(items, self.asked.of_items, int(self.template.seed))
        looks = np.array([self.results[name].kind != FLOOR for name in names])
        best = int(np.argmax(np.where(looks & np.isfinite(values), values, -np.inf)))
        for name, value, own in zip(names, values, scores, strict=True):
            result = self.results[name]
            result.score = interval(float(value), own, shared_by(self.asked, items[0]))
            result.behind = interval(float(values[best] - value), scores[best] - own)
        found = self._comparison()
        found.warnings += _shared(self.done.values(), ground)
        left = None if self.call.budget is None else self._left() / 2
        gain = None
        if not self.interrupted:
            gain = gain_of(ground, self.results, self.answers, self.asked, int(found.seed), left)
        found.facts["gain"] = None if gain is None else asdict(gain)
        found.verdict = verdict(
            found.results,
            found.metric,
            found.facts["test"],
            items=ground.items,
            timed=self.call.budget is not None,
            interrupted=self.interrupted,
            gain=gain,
        )
        self._verify(found)
        _warn(found)
        found.seconds = self._seconds()
        if self.call.out is not None:
            found.write(self.call.out)
            if not self.interrupted:
                (self.call.out / ANSWERS).unlink(missing_ok=True)
        return found

    def _verify(self, found: Comparison) -> None:
        """Look at the saved winner as anybody would: hashes, and golden rows replayed."""
        best = found.best_family
        if best is None or best.folder is None or self.call.out is None:
            return
        checked = verify(self.call.out / best.folder)
        found.facts["verified"] = bool(checked)
        found.warnings = [told for told in found.warnings if not told.startswith(UNVERIFIED)]
        if not checked:
            bad = [f"{what}: {detail}" for what, good, detail in checked.checks if not good]
            found.warnings.append(f"{UNVERIFIED}{best.name} does not verify ({listed(bad) or 'nothing was checked'})")

    def _comparison(self) -> Comparison:
        networks = [c for c in self.done.values() if isinstance(c, Network)]
        told = [*self.ground.remarks, *(w for c in networks for w in c.estimator.warnings_)]
        return Comparison(
            estimator=type(self.template).__name__,
            data=self.ground.train.source,
            metric=self.template.scored,
            results=ranked(list(self.results.values())),
            facts=self.ground.facts(),
            warnings=list(dict.fromkeys(told)),
            waiting=list(self.waiting),
            interrupted=self.interrupted,
            seed=int(self.template.seed),
            budget=self.call.budget,
            seconds=self._seconds(),
            command=self.call.command,
            identity=self.identity,
            judged=Judged(
                self.ground.train, self.ground.test, self.ground.target, self.answers, self.done, self.ground.places
            ),
        )

    # ------------------------------------------------------------------------------------------------- resuming

    def _identity(self) -> dict[str, str]:
        """What must be equal for a comparison to be gone on with."""
        said = {name: value for name, value in self.template.get_params(deep=False).items() if name != "family"}
        parts = (self.ground.target, np.asarray(self.ground.sizes))
        digest = hashlib.sha256(b"".join(np.ascontiguousarray(part).tobytes() for part in parts)).hexdigest()[:16]
        return {
            "estimator": type(self.template).__name__,
            "settings": repr(said),
            "families": repr({name: asdict(family) for name, family in self.chosen.items()}),
            "data": f"{self.ground.train.source} {digest}",
            "budget": repr(self.call.budget),
            "test": repr(self.call.test),
        }

    def _write_down(self) -> None:
        """What is done so far, so that it can be gone on with."""
        if self.call.out is None:
            return
        write_tree(self.call.out / ANSWERS, {name: torch.from_numpy(a) for name, a in self.answers.items()})
        self._comparison().write(self.call.out, page=False)

    def _kept(self) -> Comparison | None:
        """Take over what the folder holds; the comparison itself where it is finished."""
        folder = self.call.out
        if folder is None or not (folder / COMPARISON).exists():
            self.call.show.say(f"there is nothing to resume in {folder}: starting afresh.")
            return None
        before = Comparison.read(folder)
        differ = [name for name in self.identity if before.identity.get(name) != self.identity[name]]
        if differ:
            raise BadInput(
                f"the comparison in {folder} is another one: {listed(differ)} differ. Repeat its settings, choose "
                f"another --out, or start anew with --overwrite."
            )
        if not (folder / ANSWERS).exists():
            self._verify(before)
            before.write(folder, page=False)
            _warn(before)
            return before
        self.spent = before.seconds
        answers = read_tree(folder / ANSWERS)
        for result in before.results:
            if result.error is None and not result.interrupted and result.name in answers:
                self._take_over(result, answers[result.name].numpy(), folder)
        return None

    def _take_over(self, result: Result, answers: Array, folder: Path) -> None:
        """One that was fitted before; not one whose model is gone or damaged, which is fitted again."""
        if result.folder is not None:
            try:
                self.done[result.name] = self.ground.network.loaded(result.name, folder / result.folder)
            except DecetError as error:
                self.call.show.say(f"{result.name} is fitted again: {error}")
                return
        self.results[result.name], self.answers[result.name] = result, answers


def _shared(contenders: Iterable[Contender], ground: Ground) -> list[str]:
    """Say how many rows of an official test are copies of rows to train; others were set aside without their copies."""
    codec = next((c.estimator.codec_ for c in contenders if type(c) is Network), None)
    if codec is None or ground.how != OFFICIAL:
        return []
    count = copies(codec, ground.train.rows, ground.test.rows)
    word = "row is a copy" if count == 1 else "rows are copies"
    return [f"{count:,} test {word} of rows to train: the figures are a little too good."] if count else []


def _warn(found: Comparison) -> None:
    for sentence in found.warnings:
        warnings.warn(sentence, DataWarning, stacklevel=5)


def _joules(contender: Contender, energy: Energy) -> float | None:
    """What a fit cost; a family looks at the counter once an epoch, so it knows when it ran over."""
    told = getattr(getattr(contender, "estimator", None), "provenance_", None)
    return energy.spent() if told is None else told.get("joules")


def _reason(error: BaseException) -> str:
    """One sentence; of what decet did not raise itself with its kind."""
    text = " ".join(str(error).split())
    return text if isinstance(error, DecetError) else f"{type(error).__name__}: {text}"


GROUNDS: dict[type, Callable[..., Ground]] = {  # of questions that rows with answers do not judge
    Draw: picture_ground,
    Embed: word_ground,
    Language: language_ground,
    Link: link_ground,
    EmbedNodes: vector_ground,
    DetectCommunities: community_ground,
}
