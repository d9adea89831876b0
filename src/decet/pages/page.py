"""One self-contained HTML page of a comparison or of a model: no network, no script, light and dark, wide and narrow.

Templates stand in `templates/` and only lay out; everything a user's data may contain is escaped by them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from decet.contracts import LabelSpec
from decet.data.documents import Documents
from decet.data.images import Images
from decet.data.texts import Texts
from decet.errors import BadInput
from decet.estimators.base import bulk_of
from decet.pages.drawing import Cloud, cloud, curves, scale
from decet.pages.evidence import Ask, evidence_in, telling_words
from decet.pages.mistakes import Mistake, confusion, png, surest_mistakes
from decet.pages.rendering import environment
from decet.pages.words import word_looks, words_page
from decet.pages.writing import writing_looks, writing_page
from decet.referee.comparison import Comparison, versions
from decet.referee.intervals import interval, resampled
from decet.referee.rows import target_of
from decet.referee.verdict import FLOOR, Result
from decet.tasks.embed import Embed
from decet.tasks.language import Language
from decet.training.checkpoint import write_whole

Array = NDArray[Any]
MOST_CLASSES = 8  # of which texts and telling words are shown
WRONG_TEXTS = 4
LONGEST = 700  # characters of a text that are shown
BELOW = 1.0  # spreads of the rest by which the floor may stretch the scale


@dataclass(frozen=True)
class Shown:
    """A text with its words' evidence: (piece, weight, strength 0 to 1) each; what it is, and what was answered."""

    pieces: list[tuple[str, float, float]]
    truth: str
    answer: str
    chance: float
    cut: bool


def report(model: Any, X: Any = None, y: Any = None, *, out: str | Path = "report.html", command: str = "") -> Path:
    """Write one HTML page about a fitted model, and give its path.

    model: an estimator or a model folder. X, y: rows whose answers are known, as `evaluate` takes them: then the page
    has figures with intervals, mistakes, and for texts what the model goes by; without them what training found.
    Of a WordEmbedder X is "word-tests", a file of such, or texts whose keywords are shown; of a TextGenerator texts.
    out: where the page goes. command: how it was asked for.
    """
    if isinstance(model, (str, Path)):
        from decet.estimators.saved import load

        model = load(model)
    model._check_fitted()
    path = Path(out)
    if path.is_dir():
        path = path / "report.html"
    page = PAGES.get(model.question, model_page)
    write_whole(path, page(model, X, y, command).encode("utf-8", "backslashreplace"), "the report ")
    return path


def comparison_page(found: Comparison) -> str:
    """The page of a comparison."""
    rivals = [r for r in found.results if r.is_defined and r.score is not None]
    scored = [r for r in rivals if r.kind != FLOOR] or rivals
    ends = [end for r in scored if r.score for end in (r.score.low, r.score.high)]
    floors = [r.score.value for r in rivals if r.kind == FLOOR and r.score]
    spread = max(ends, default=1.0) - min(ends, default=0.0)
    line = scale([*ends, *(value for value in floors if min(ends, default=0.0) - value <= BELOW * spread)], most=6)
    best = found.best_family
    return (
        environment()
        .get_template("comparison.html")
        .render(
            title=f"{found.estimator} on {found.data or 'the data given'}",
            found=found,
            line=line,
            bars=[(r, _bar(r, line)) for r in found.results],
            curves=[(r.name, curves(r.history)) for r in found.results if r.history],
            best=best,
            looks=None if best is None else _looks_of_best(found, best),
            classes=_shares(found.facts.get("classes", {})),
        )
    )


def model_page(model: Any, X: Any, y: Any, command: str = "") -> str:
    """The page of one model."""
    told = model.provenance_
    looks, metrics, score, on = None, model.metrics_, None, told["validation"]
    seen = isinstance(X, (str, Path)) and str(X) == told["data"] and not Path(X).is_dir()
    if X is not None:
        given = model._given(X, y, reset=False)
        if given.answers is None:
            raise BadInput("report needs answers to look at rows: a table with the target column, or y.")
        answers = model._numbers_of(model._answers(given.rows, bulk_of(model.codec_.spec)))
        target = target_of(model.answer_, given.answers)
        asked, spec = model._asked(), model.answer_.spec
        metrics = asked.metrics(answers, target, spec)
        items = asked.items(answers, target, spec)
        score = interval(float(asked.of_items(items.sum(0))), resampled([items], asked.of_items, model.seed)[0])
        on = f"{len(target):,} rows of {given.source or 'the data given'}"
        looks = _looks(model, given.rows, target, answers, lambda texts: model.predict_proba(list(texts)))
    return (
        environment()
        .get_template("model.html")
        .render(
            title=f"{type(model).__name__} with {type(model.family_).__name__}",
            model=model,
            told=told,
            on=on,
            metrics=metrics,
            score=score,
            scored=type(model).scored,
            looks=looks,
            curves=curves(model.history_),
            seen=seen,
            columns=model.codec_.description()[:60],
            settings={part: _said(getattr(model, f"{part}_")) for part in ("family", "recipe")},
            versions=versions(),
            command=command,
        )
    )


def _said(settings: Any) -> dict[str, Any]:
    return {name: value for name, value in asdict(settings).items() if value is not None}


def _bar(result: Result, line: Any) -> dict[str, float] | None:
    """Where a result's score and its interval stand, 0 to 100."""
    if result.score is None or not result.is_defined:
        return None
    low, value, high = (100 * line.share(x) for x in (result.score.low, result.score.value, result.score.high))
    return {"low": low, "value": value, "high": high, "off": result.score.value < line.low}


def _shares(counts: dict[str, int]) -> list[tuple[str, int, float]]:
    """Class, rows, share of the largest."""
    most = max(counts.values(), default=1)
    return [(name, count, 100 * count / most) for name, count in counts.items()]


# ------------------------------------------------------------------------------------------------ looking at answers


def _looks_of_best(found: Comparison, best: Result) -> dict[str, Any] | None:
    judged = found.judged
    if judged is None or best.name not in judged.answers:
        return None
    contender = judged.contenders[best.name]
    rows, answers = judged.test.rows, judged.answers[best.name]
    if found.model.question in LOOKS:
        return LOOKS[found.model.question](found.model, rows, answers)
    return _looks(found.model, rows, judged.target, answers, lambda texts: contender.answers(Documents(texts)))


def _looks(model: Any, rows: Any, target: Array, answers: Array, ask: Ask) -> dict[str, Any]:
    """What there is to see in the answers to known rows: of labels the confusion, of numbers a cloud of points."""
    spec = model.answer_.spec
    if not isinstance(spec, LabelSpec):
        return {"clouds": _clouds(model, target, answers)}
    if len(spec.classes) > 1 or not spec.exclusive:
        return {}
    ids = target.argmax(1) if target.dtype.kind == "f" else target[:, 0]
    decided = model._asked().decide(answers, spec)[:, 0]
    classes = model.answer_.classes[0].tolist()
    wrong = surest_mistakes(ids, answers, decided, classes)
    found: dict[str, Any] = {"confusion": confusion(ids, decided, classes), "mistakes": wrong, "rows": len(ids)}
    if model.kind is Images:
        found["pictures"] = [(mistake, _picture(rows, mistake)) for mistake in wrong]
    if model.kind is Texts:
        found |= _texts(model, rows, ids, decided, answers, wrong, ask)
    return found


def _clouds(model: Any, target: Array, answers: Array) -> list[tuple[str, Cloud]]:
    names = model.target_names_ or model.answer_.names
    return [(name, cloud(target[:, j], answers[:, j])) for j, name in enumerate(names)]


def _picture(rows: Any, mistake: Mistake) -> str:
    pixels = np.asarray(rows[mistake.row])
    return png(pixels if pixels.ndim == 3 else pixels[len(pixels) // 2])  # of a clip the middle frame


def _texts(
    model: Any, rows: Documents, ids: Array, decided: Array, answers: Array, wrong: Sequence[Mistake], ask: Ask
) -> dict[str, Any]:
    """Texts with their words' evidence, and the most telling words of each class."""
    settings = model.inputs if model.inputs is not None else Texts()
    classes = [str(name) for name in model.answer_.classes[0].tolist()]
    chance, texts = answers[np.arange(len(decided)), decided], rows.texts
    right = []
    for column in range(min(len(classes), MOST_CLASSES)):
        own = np.flatnonzero((ids == column) & (decided == column))
        if len(own):
            right.append(int(own[np.argsort(-chance[own], kind="stable")[0]]))

    def shown(row: int) -> Shown:
        pieces, cut = _cut(evidence_in(ask, settings, texts[row]))
        most = max((abs(weight) for _, weight in pieces), default=0.0) or 1.0
        truth = classes[ids[row]] if ids[row] >= 0 else "not known"
        strong = [(piece, weight, abs(weight) / most) for piece, weight in pieces]
        return Shown(strong, truth, classes[decided[row]], float(chance[row]), cut)

    telling = telling_words(ask, settings, texts, answers) if len(classes) <= MOST_CLASSES else []
    return {
        "right": [shown(row) for row in right],
        "wrong": [shown(mistake.row) for mistake in wrong[:WRONG_TEXTS]],
        "telling": [(name, words) for name, words in zip(classes, telling, strict=False) if words],
    }


def _cut(pieces: list[tuple[str, float]]) -> tuple[list[tuple[str, float]], bool]:
    """The begin of a text that is shown, and whether there is more of it."""
    kept, room = list[tuple[str, float]](), LONGEST
    for piece, weight in pieces:
        if len(piece) > room:
            return [*kept, (piece[:room], weight)], True
        kept.append((piece, weight))
        room -= len(piece)
    return kept, False


PAGES: dict[type, Callable[..., str]] = {  # of questions that no row of answers is held against
    Embed: words_page,
    Language: writing_page,
}
LOOKS: dict[type, Callable[[Any, Any, Array], dict[str, Any]]] = {
    Embed: lambda model, rows, answers: word_looks(model),
    Language: writing_looks,
}
