"""The page of word vectors: a map of words, the nearest words of some, word tests, keywords of texts."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any

import numpy as np

from decet.errors import BadInput
from decet.estimators.wordtests import evaluated, holds_tests
from decet.pages.drawing import curves
from decet.pages.rendering import environment
from decet.pages.wordmap import FEWEST, WordMap, telling, word_map
from decet.referee.comparison import versions
from decet.tasks.embed import WordVectors

ASKED = 12  # words whose nearest are shown
NEAREST = 6
RAREST = 10  # times that a word stands in the texts, so that there was something to learn it from
TEXTS = 12  # of which keywords are shown
LONGEST = 300  # characters of a text that are shown
OWN = ("wordsim", "pairs", "semantic", "semantic questions", "syntactic", "syntactic questions")


@dataclass(frozen=True)
class Near:
    """A word, how often it stands in the texts, and the words nearest to it with their cosines."""

    word: str
    times: int
    words: list[tuple[str, float]]


@dataclass(frozen=True)
class Told:
    """The begin of a text, and its keywords."""

    text: str
    keywords: list[str]


def words_page(model: Any, X: Any = None, y: Any = None, command: str = "") -> str:
    """The page of a WordEmbedder.

    X: word tests, as `evaluate` takes them, or texts, whose keywords are shown. y: not used, as in `fit`.
    """
    if y is not None:
        raise BadInput("vectors have no answers. Leave the target out; word tests and texts stand in X.")
    tests = X is not None and holds_tests(X)
    figures = evaluated(model.vectors_, X) if tests else {}
    shown = {part: getattr(model, f"{part}_") for part in ("family", "recipe")} | {"inputs": model.codec_.texts}
    return (
        environment()
        .get_template("words.html")
        .render(
            title=f"{type(model).__name__} with {type(model.family_).__name__}",
            model=model,
            told=model.provenance_,
            width=model.vectors_.matrix.shape[1],
            figures=figures,
            sections=[(name, share) for name, share in figures.items() if name not in OWN],
            looks=word_looks(model),
            keywords=[] if X is None or tests else _keywords(model, X),
            curves=curves(model.history_),
            settings={part: {k: v for k, v in asdict(said).items() if v is not None} for part, said in shown.items()},
            versions=versions(),
            command=command,
        )
    )


def word_looks(model: Any) -> dict[str, Any]:
    """What there is to see of vectors: the map, if there are words enough, and the nearest words of some."""
    vectors: WordVectors = model.vectors_
    found: WordMap | None = word_map(vectors) if len(telling(vectors, FEWEST)) >= FEWEST else None
    return {"map": found, "near": nearest_of_some(vectors, model.codec_.counts)}


def nearest_of_some(vectors: WordVectors, counts: Any) -> list[Near]:
    """Words from frequent to rare, evenly by the logarithm of their rank, each with the words nearest to it."""
    able = int(np.searchsorted(-np.asarray(counts), -RAREST, side="right"))  # counts fall
    words = telling(vectors, max(able // 2, ASKED))
    words = [word for word in words if counts[vectors.numbers[word]] >= RAREST] or words
    places = set(np.geomspace(1, max(1, len(words)), ASKED).astype(np.int64).tolist())
    chosen = [word for place, word in enumerate(words, 1) if place in places]
    return [Near(w, int(counts[vectors.numbers[w]]), vectors.most_similar([w], topn=NEAREST)) for w in chosen]


def _keywords(model: Any, X: Any) -> list[Told]:
    """Of the first texts that have any."""
    told = (Told(text[:LONGEST], [word for word, _ in model.keywords(text)]) for text in model._texts(X))
    return list(islice((one for one in told if one.keywords), TEXTS))
