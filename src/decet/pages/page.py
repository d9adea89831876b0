"""One self-contained HTML page of a comparison or of a model: no network, no script, light and dark, wide and narrow.

Templates stand in `templates/` and only lay out; everything a user's data may contain is escaped by them.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from numpy.typing import NDArray
from sklearn.base import clone

from decet.data import datasets
from decet.data.documents import Documents
from decet.errors import BadInput
from decet.estimators.asking import bulk_of
from decet.estimators.fingerprints import checksum, copies, tensors_of
from decet.estimators.reading import DataWarning, Given
from decet.estimators.saved import model_of
from decet.pages.drawing import curves, scale
from decet.pages.evidence import Ask
from decet.pages.gallery import gallery_page
from decet.pages.gallery import looks as gallery_looks
from decet.pages.looks import looks_of, suspects_of
from decet.pages.playing import playing_page
from decet.pages.rendering import environment
from decet.pages.webpages import web_looks, web_page
from decet.pages.words import word_looks, words_page
from decet.pages.writing import writing_looks, writing_page
from decet.referee.comparison import Comparison, versions
from decet.referee.intervals import interval, resampled, shared_by
from decet.referee.rows import target_of
from decet.referee.verdict import FLOOR, Result
from decet.tasks.act import Act
from decet.tasks.communities import DetectCommunities
from decet.tasks.draw import Draw
from decet.tasks.embed import Embed
from decet.tasks.embed_nodes import EmbedNodes
from decet.tasks.language import Language
from decet.tasks.link import Link
from decet.training.checkpoint import check_writable, write_whole

Array = NDArray[Any]
AGAIN = 5.0  # seconds that the best of a comparison may be asked anew, for what is behind its answers
BELOW = 1.0  # spreads of the rest by which the floor may stretch the scale


def report(
    model: Any,
    X: Any = None,
    y: Any = None,
    *,
    train: Any = None,
    out: str | Path = "report.html",
    command: str = "",
) -> Path:
    """Write one HTML page about a fitted model, and give its path.

    model: an estimator or a model folder. X, y: rows whose answers are known, as `evaluate` takes them: then the page
    has figures with intervals, mistakes, and for texts what the model goes by; without them what training found.
    train: what it was fitted on, a path, a public set or (X, y): then rows whose labels are likely wrong are shown, and
        rows of X that it was trained on are counted. Where it has changed since, a warning says so.
    Of an ImageGenerator X are pictures to judge it by.
    Of a WordEmbedder X is "word-tests", a file of such, or texts whose keywords are shown; of a TextGenerator texts; of
        what learns from a graph alone the graph, or train; of an Agent an environment, by default that of training.
    out: where the page goes. command: how it was asked for.
    """
    model = model_of(model)
    model._check_fitted()
    if not isinstance(out, (str, Path)):
        raise BadInput(f"out is where the page goes, a path. Received: {type(out).__name__}.")
    path = Path(out)
    if path.is_dir():
        path = path / "report.html"
    check_writable(path, "the report ")
    page = PAGES.get(model.question)
    X = train if X is None and model.sets_aside else X
    text = model_page(model, X, y, command, train) if page is None else page(model, X, y, command)
    write_whole(path, text.encode("utf-8", "backslashreplace"), "the report ")
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
            suspects=[] if best is None or found.judged is None else _suspects(found),
            classes=_shares(found.facts.get("classes", {})),
        )
    )


def model_page(model: Any, X: Any, y: Any, command: str = "", train: Any = None) -> str:
    """The page of one model."""
    told = model.provenance_
    looks, metrics, score, on, alike = None, model.metrics_, None, told["validation"], 0
    trained = None if train is None else trained_rows(model, train)
    named = X.name if isinstance(X, datasets.Loaded) else X
    apart = isinstance(X, datasets.Loaded) and X.part in ("validation", "test")
    seen = not apart and isinstance(named, (str, Path)) and str(named) == told["data"] and not Path(named).is_dir()
    if X is not None:
        given = model._judged(X, y)
        if given.answers is None:
            raise BadInput("report needs answers to look at rows: a table with the target column, or y.")
        found = model._found(given.rows, bulk_of(model.codec_.spec), behind=True)
        answers = model._numbers_of(found.answers.numpy())
        target = target_of(model.answer_, given.answers)
        asked, spec = model._asked(), model.answer_.spec
        metrics = asked.metrics(answers, target, spec)
        items = asked.items(answers, target, spec)
        (scores,) = resampled([items], asked.of_items, model.seed)
        score = interval(float(asked.of_items(items.sum(0))), scores, shared_by(asked, items))
        on = f"{len(target):,} rows of {given.source or 'the data given'}"
        looks = looks_of(model, given.rows, target, answers, lambda texts: model.predict_proba(list(texts)), found)
        alike = 0 if trained is None else copies(model.codec_, trained.rows, given.rows)
        if alike and not seen:  # of the same file or set it is plain
            warnings.warn(told_copies(alike), DataWarning, stacklevel=3)
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
            alike=told_copies(alike) if alike else "",
            suspects=suspects_of(model, None if trained is None else trained.rows),
            columns=model.codec_.description()[:60],
            settings={part: _said(getattr(model, f"{part}_")) for part in ("family", "recipe")},
            versions=versions(),
            command=command,
        )
    )


def _suspects(found: Comparison) -> list[Any]:
    judged = found.judged
    return [] if judged is None else suspects_of(found.model, judged.train.rows, judged.places)


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
    model, behind = found.model, None
    if model._trust() is not None and len(answers) < AGAIN * best.rate:
        behind = model._found(rows, bulk_of(model.codec_.spec), behind=True)
    ask: Ask = lambda texts: contender.answers(Documents(texts))  # noqa: E731
    return looks_of(model, rows, judged.target, answers, ask, behind)


def told_copies(count: int) -> str:
    """What a page, and a warning beside it, say of rows that were trained on."""
    word = "row is a copy" if count == 1 else "rows are copies"
    return f"{count:,} {word} of rows that the model was trained on: these figures are better than on new rows."


def trained_rows(model: Any, train: Any) -> Given | None:
    """The rows that a model was fitted on, read as `fit` reads them; None, and a warning, where they are others now."""
    if isinstance(train, tuple) and len(train) != 2:
        raise BadInput(f"train is a path, a public set or (X, y). Received: a tuple of {len(train)}.")
    X, y = train if isinstance(train, tuple) else (train, None)
    again, names = clone(model), list(model.target_names_)
    public = isinstance(X, str) and datasets.means_set(X)
    if y is None and names and (not public or names != [datasets.load(X).target]):
        y = names if len(names) > 1 else names[0]
    try:
        given: Given = again._given(X, y, reset=True)
        same = model.provenance_["fingerprint"] == checksum(
            [*tensors_of(model.codec_.encode(given.rows)), model.answer_.encode(given.answers)]
        )
        reason = "it has changed since"
    except BadInput as error:
        same, reason = False, str(error).rstrip(".")
    if same:
        return given
    warnings.warn(f"what the model was trained on cannot be looked at again: {reason}.", DataWarning, stacklevel=3)
    return None


PAGES: dict[type, Callable[..., str]] = {  # of questions that no row of answers is held against
    Act: playing_page,
    Draw: gallery_page,
    Embed: words_page,
    Language: writing_page,
    Link: web_page,
    EmbedNodes: web_page,
    DetectCommunities: web_page,
}
LOOKS: dict[type, Callable[[Any, Any, Array], dict[str, Any]]] = {
    Draw: lambda model, rows, answers: {"sheet": gallery_looks(model)["drawn"]},
    Embed: lambda model, rows, answers: word_looks(model),
    Language: writing_looks,
    Link: web_looks,
    EmbedNodes: web_looks,
    DetectCommunities: web_looks,
}
