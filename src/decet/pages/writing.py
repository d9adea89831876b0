"""The page of what writes: texts that it wrote, and how surprising each token of a text was to it."""

from __future__ import annotations

import warnings
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from decet.errors import BadInput
from decet.estimators.reading import DataWarning
from decet.estimators.writing import passages_in, stream_of, told
from decet.pages.drawing import curves
from decet.pages.rendering import environment
from decet.referee.comparison import versions
from decet.referee.intervals import interval, resampled
from decet.referee.language import Stretches

Array = NDArray[Any]
SAMPLES, LENGTH = 3, 300  # texts that are written, tokens of each
SHOWN = 600  # tokens whose surprise is shown
MOST = 8.0  # bits of surprise that have the strongest tint


@dataclass(frozen=True)
class Piece:
    """The text of a token, and its surprise in bits."""

    text: str
    bits: float

    @property
    def strength(self) -> float:
        """Of its tint, 0 to 1."""
        return min(1.0, self.bits / MOST)


def writing_page(model: Any, X: Any = None, y: Any = None, command: str = "") -> str:
    """The page of a TextGenerator. X: texts to judge it by, as `evaluate` takes them. y: not used, as in `fit`."""
    if y is not None:
        raise BadInput("writing has no answers. Leave the target out.")
    metrics, score, on, pieces = model.metrics_, None, model.provenance_["validation"], list[Piece]()
    if X is not None:
        passages, name = passages_in(X, model.codec_.prose, "test")
        ids, size = stream_of(model.codec_, passages)
        if len(ids) < 2:
            raise BadInput(f"there are {len(ids)} tokens in {name}, and two are needed to judge by.")
        answers, asked = told(model.learner_, ids), model._asked()
        target = np.full(len(answers), size / len(answers))
        metrics, items = asked.metrics(answers, target, None), asked.items(answers, target, None)
        score = interval(float(asked.of_items(items.sum(0))), resampled([items], asked.of_items, model.seed)[0])
        on, pieces = f"{len(answers):,} tokens of {name}", surprising(model, ids, answers)
    shown = {part: asdict(getattr(model, f"{part}_")) for part in ("family", "recipe")} | {
        "inputs": asdict(model.codec_.prose)
    }
    return (
        environment()
        .get_template("writing.html")
        .render(
            title=f"{type(model).__name__} with {type(model.family_).__name__}",
            model=model,
            told=model.provenance_,
            on=on,
            metrics=metrics,
            score=score,
            looks={"samples": samples(model), "surprises": pieces},
            curves=curves(model.history_),
            columns=model.codec_.description(),
            settings={part: {k: v for k, v in said.items() if v is not None} for part, said in shown.items()},
            versions=versions(),
            command=command,
        )
    )


def writing_looks(model: Any, rows: Stretches, answers: Array) -> dict[str, Any]:
    """What there is to see of a writer that was compared, in what it said of the text to be judged by."""
    return {"samples": samples(model), "surprises": surprising(model, rows.ids, answers)}


def samples(model: Any) -> list[str]:
    """A few texts that it writes without a prompt."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)
        return [text.strip("\n") for text in model.generate("", count=SAMPLES, length=LENGTH)]


def surprising(model: Any, ids: torch.Tensor, answers: Array) -> list[Piece]:
    """Tokens from the middle of a text, where there is something before them, with their surprise."""
    first = max(1, min(len(ids) // 2, len(ids) - SHOWN))
    chosen = ids[first : first + SHOWN].tolist()
    bits = answers[first - 1 : first - 1 + len(chosen), 0] / np.log(2)
    return [Piece(text, float(b)) for text, b in zip(model.codec_.texts(chosen), bits, strict=True)]
