"""What there is to see in a model's answers to rows whose truth is known: where it errs, what it goes by, how sure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from decet.contracts import LabelSpec
from decet.data.documents import Documents
from decet.data.graph_codec import Graphs
from decet.data.graphs import Graph
from decet.data.images import Images
from decet.data.pictures import Pictures
from decet.data.texts import Texts
from decet.estimators.asking import examined
from decet.pages.doubt import Covered, answered, covered_intervals, covered_sets, reliability
from decet.pages.drawing import cloud
from decet.pages.evidence import Ask, evidence_in, telling_words
from decet.pages.importance import columns_by_loss, effects
from decet.pages.mistakes import Mistake, confusion, png, surest_mistakes
from decet.pages.saliency import overlaid, saliency_of
from decet.pages.webs import map_of, web_of
from decet.referee.contenders import taken
from decet.tasks.classify import ids_of
from decet.tasks.conformal import Examined

Array = NDArray[Any]
MOST_CLASSES = 8  # of which texts and telling words are shown
WRONG_TEXTS = 4
LONGEST = 700  # characters of a text that are shown
ROWS, CELLS, LONG_CELL = 8, 8, 40  # rows of a table that are shown, cells of each, characters of a cell
SHUFFLES, SECONDS = 3, 2.0  # of each column; after which no further column is tried
SUSPECTS = 12  # labels likely wrong
STRANGE = 0.99  # unlikeness from which a row is shown


@dataclass(frozen=True)
class Shown:
    """A text with its words' evidence: (piece, weight, strength 0 to 1) each; what it is, and what was answered."""

    pieces: list[tuple[str, float, float]]
    truth: str
    answer: str
    chance: float
    cut: bool


@dataclass(frozen=True)
class Line:
    """A row of a table, or its like: what is said of it, and its cells (column, value); or a picture, or a text."""

    said: str
    cells: tuple[tuple[str, str], ...] = ()
    picture: str = ""
    text: str = ""


def looks_of(model: Any, rows: Any, target: Array, answers: Array, ask: Ask, found: Examined | None = None) -> Any:
    """Everything that can be seen, by name, for the templates.

    target, answers: as the task's metrics take them. ask: what answers texts with probabilities. found: what the model
    makes of the rows, where it was asked for what is behind its answers.
    """
    seen: dict[str, Any] = {}
    if isinstance(rows, pd.DataFrame) and len(rows):
        lost = columns_by_loss(model, rows, target, SHUFFLES, int(model.seed), SECONDS)
        telling = [one for one in lost if one.loss > one.spread]
        seen["importance"], seen["tried"] = telling[:12], (len(lost), rows.shape[1])
        seen["effects"] = effects(model, rows, [one.column for one in telling[:4]])
        seen["by"] = [one.column for one in lost]
    if isinstance(model.answer_.spec, LabelSpec):
        seen |= _labels(model, rows, target, answers, ask, seen.get("by", ()))
    else:
        seen |= _numbers(model, rows, target, answers, found, seen.get("by", ()))
    if found is not None:
        seen["strange"] = _strange(model, rows, found, seen.get("by", ()))
    return seen


# ------------------------------------------------------------------------------------------------------------ numbers


def _numbers(
    model: Any, rows: Any, target: Array, answers: Array, found: Examined | None, by: Sequence[str]
) -> dict[str, Any]:
    names = model.target_names_ or model.answer_.names
    seen: dict[str, Any] = {
        "clouds": [(name, cloud(target[:, j], answers[:, j])) for j, name in enumerate(names)],
        "worst": _farthest(rows, target[:, 0], answers[:, 0], by) if len(names) == 1 else [],
    }
    if found is not None and found.distances is not None:
        ends, asked = model._ranges(found, None), model._asked().coverage
        low, high = ends[..., 0], ends[..., 1]
        held = [(name, covered_intervals(low[:, j], high[:, j], target[:, j], asked)) for j, name in enumerate(names)]
        seen["covered"] = [(name if len(names) > 1 else "", one) for name, one in held if one is not None]
    return seen


def _farthest(rows: Any, truth: Array, answers: Array, by: Sequence[str]) -> list[Line]:
    """Rows whose answer is farthest from the truth."""
    error = np.where(np.isnan(truth), -1.0, np.abs(answers - truth))
    order = [row for row in np.argsort(-error, kind="stable")[:ROWS].tolist() if error[row] > 0]
    return [_line(rows, row, f"answered {answers[row]:.5g}, is {truth[row]:.5g}", by) for row in order]


# ------------------------------------------------------------------------------------------------------------- labels


def _labels(model: Any, rows: Any, target: Array, answers: Array, ask: Ask, by: Sequence[str]) -> dict[str, Any]:
    spec, ids = model.answer_.spec, ids_of(target)
    seen: dict[str, Any] = {"covered": _covered(model, answers, ids)}
    if len(spec.classes) > 1 or not spec.exclusive:
        return seen
    ids = ids[:, 0]
    decided = model._asked().decide(answers, spec)[:, 0]
    classes = model.answer_.classes[0].tolist()
    wrong = surest_mistakes(ids, answers, decided, classes)
    known = ids >= 0
    confidence, right = answers.max(1)[known], (answers.argmax(1) == ids)[known]
    seen["confusion"] = confusion(ids, decided, classes)
    seen["reliability"], seen["answered"] = reliability(confidence, right), answered(confidence, right)
    if model.kind is Images:
        seen["pictures"] = _pictures(model, rows, wrong, decided)
    elif model.kind is Graphs:
        seen |= _graphs(model, rows, ids, decided, classes)
    elif model.kind is Texts:
        seen |= _texts(model, rows, ids, decided, answers, wrong, ask)
    else:
        seen["worst"] = [
            _line(rows, one.row, f"{one.answer} ({100 * one.chance:.0f} %), is {one.truth}", by) for one in wrong[:ROWS]
        ]
    return seen


def _covered(model: Any, answers: Array, ids: Array) -> list[tuple[str, Covered]]:
    """What the sets of each column held; of one column without its name, of a set of labels nothing."""
    spec, codec = model.answer_.spec, model.answer_
    if model._trust() is None or not spec.exclusive:
        return []
    asked = model._asked().coverage
    names = model.target_names_ or codec.names or [""]
    found = []
    for name, inside, own, classes in zip(
        names, model._trust().sets(answers, spec, asked), ids.T, codec.classes, strict=False
    ):
        held = covered_sets(inside, own, classes.tolist(), asked)
        if held is not None:
            found.append((str(name) if len(spec.classes) > 1 else "", held))
    return found


def _pictures(model: Any, rows: Any, wrong: Sequence[Mistake], decided: Array) -> list[tuple[Mistake, str, str]]:
    """Mistakes, each as it came, and where the network looked when it gave its answer."""
    if not wrong:
        return []
    places = np.array([mistake.row for mistake in wrong])
    inputs = model.codec_.encode(taken(rows, places))
    if inputs[0].dim() != 4:
        return [(mistake, _picture(rows, mistake.row), "") for mistake in wrong]
    heat = saliency_of(model, inputs, decided[places])
    return [
        (mistake, _picture(rows, mistake.row), overlaid(pixels, warm))
        for mistake, pixels, warm in zip(wrong, inputs[0].numpy(), heat, strict=True)
    ]


def _picture(rows: Any, row: int) -> str:
    pixels = np.asarray(rows[row])
    return png(pixels if pixels.ndim == 3 else pixels[len(pixels) // 2])  # of a clip the middle frame


def _texts(
    model: Any, rows: Documents, ids: Array, decided: Array, answers: Array, wrong: Sequence[Mistake], ask: Ask
) -> dict[str, Any]:
    """Texts with their words' evidence, and the most telling words of each class."""
    settings = model._inputs()
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


def _graphs(model: Any, graph: Graph, ids: Array, decided: Array, classes: Sequence[Any]) -> dict[str, Any]:
    """The graph around mistakes, and its nodes as the network's head reads them."""
    inputs, spec = model.codec_.encode(graph), model.codec_.spec
    behind = examined(model.learner_, inputs, model.device_, len(graph), spec, glance=True).features
    seed = int(model.seed)
    pictures = {"web": web_of(graph, ids, decided, classes, seed)}
    if behind is not None:
        called = graph.nodes if graph.names is None else np.asarray(graph.names)[graph.nodes]
        pictures["map"] = map_of(behind.float().numpy(), called, ids, decided, classes, seed)
    return {"webs": {name: drawn for name, drawn in pictures.items() if drawn is not None}}


def _cut(pieces: list[tuple[str, float]]) -> tuple[list[tuple[str, float]], bool]:
    """The begin of a text that is shown, and whether there is more of it."""
    kept, room = list[tuple[str, float]](), LONGEST
    for piece, weight in pieces:
        if len(piece) > room:
            return [*kept, (piece[:room], weight)], True
        kept.append((piece, weight))
        room -= len(piece)
    return kept, False


# ---------------------------------------------------------------------------------------------------------- rows shown


def _strange(model: Any, rows: Any, found: Examined, by: Sequence[str]) -> tuple[int, int, list[Line], int]:
    """How many rows are farther from the training rows than nearly all held-out ones, of how many; the farthest; and
    how many would be by chance."""
    if found.distances is None:
        return 0, 0, [], 0
    trust = model._trusted()
    unlike = trust.unlike(found)
    far = found.distances.numpy() / np.maximum(trust.strangeness.distances[:, -1], 1e-12)
    order = np.lexsort((-far.max(1), -unlike))[:ROWS]
    shown = [_line(rows, row, "", by) for row in order.tolist() if unlike[row] >= STRANGE]
    chance = max(1 - STRANGE, 1 / (len(trust.strangeness.largest) + 1))  # of an ordinary row to be as far
    return int((unlike >= STRANGE).sum()), len(unlike), shown, round(len(unlike) * chance)


def suspects_of(model: Any, rows: Any = None, places: Array | None = None) -> list[Line]:
    """Labels that are likely wrong, with their rows where the training rows are at hand.

    places: which rows of the user's data the training rows are; None = all, in their order.
    """
    lines = []
    for one in getattr(model, "suspects_", [])[:SUSPECTS]:
        row = one["row"]
        if rows is not None and not 0 <= row < rows.shape[0]:
            continue
        named = row if places is None else int(places[row])
        lines.append(_line(rows, row, f"row {named:,} says {one['label']}, looks like {one['instead']}", ()))
    return lines


def _line(rows: Any, row: int, said: str, by: Sequence[str]) -> Line:
    """A row of whatever kind of data; by: its columns in the order of their weight."""
    if isinstance(rows, pd.DataFrame):
        names = {str(column): place for place, column in enumerate(rows.columns)}
        chosen = list(by or names)[:CELLS]
        return Line(said, tuple((name, _cell(rows.iat[row, names[name]])) for name in chosen))
    if isinstance(rows, Documents):
        text = rows.texts[row]
        return Line(said, text=text[:LONGEST] + (" …" if len(text) > LONGEST else ""))
    if isinstance(rows, Graph):
        node = rows.nodes[row]
        name = f"node {node if rows.names is None else rows.names[node]}"
        return Line(f"{name}: {said}" if said else name)
    return Line(said, picture=_picture(rows, row)) if isinstance(rows, Pictures) else Line(said)


def _cell(value: Any) -> str:
    if pd.api.types.is_scalar(value) and pd.isna(value):
        return "empty"
    text = f"{value:.5g}" if isinstance(value, (float, np.floating)) else str(value)
    return text if len(text) <= LONG_CELL else text[: LONG_CELL - 1] + "…"
