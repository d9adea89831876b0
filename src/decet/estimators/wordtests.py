"""Word vectors against people's judgement: pairs of words, and questions by analogy."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from decet.data import datasets
from decet.errors import BadInput
from decet.tasks.embed import KINDS, WordVectors, read_analogies, read_wordsim, text_of

Array = NDArray[Any]
TESTS = "word-tests"  # the public set
SYNTACTIC = "gram"  # how the names of its syntactic sections begin


@dataclass
class WordTests:
    """Items that vectors are judged by, pairs first: words are two, or the four of a question by analogy.

    target: (n, 2) the kind of each, by its number in `decet.tasks.embed.KINDS`, and people's mark of a pair.
    """

    words: list[tuple[str, ...]]
    target: Array

    @property
    def shape(self) -> tuple[int]:
        return (len(self.words),)

    @property
    def pairs(self) -> int:
        """How many of them are pairs."""
        return sum(len(item) == 2 for item in self.words)

    def take(self, places: Array) -> WordTests:
        """The items at these places."""
        return WordTests([self.words[i] for i in places.tolist()], self.target[places])

    def known_to(self, words: Container[str]) -> WordTests:
        """The items all of whose words are among these."""
        return self.take(np.flatnonzero([all(word in words for word in item) for item in self.words]))

    def asked(self, vectors: WordVectors) -> Array:
        """What vectors of all these words answer (n,): the cosine of a pair, 1 for a question answered rightly."""
        cosines = [vectors.similarity(*item) for item in self.words[: self.pairs]]
        return np.concatenate([cosines, vectors.right(self.words[self.pairs :]).astype(np.float64)])


def read_tests(X: Any) -> WordTests:
    """The pairs and questions of the files that X names; a line of them is an item."""
    items: dict[str, list[tuple[str, ...]]] = {kind: [] for kind in KINDS}
    marks = []
    for path in _paths(X):
        if text_of(path).lstrip().startswith(":"):
            for name, questions in read_analogies(path).items():
                items["syntactic" if name.startswith(SYNTACTIC) else "semantic"] += questions
        else:
            pairs = read_wordsim(path)
            items["wordsim"] += [(a, b) for a, b, _ in pairs]
            marks += [mark for *_, mark in pairs]
    kinds = np.repeat(np.arange(len(KINDS), dtype=np.float64), [len(items[kind]) for kind in KINDS])
    target = np.stack([kinds, np.concatenate([marks, np.ones(len(kinds) - len(marks))])], 1)
    return WordTests([item for kind in KINDS for item in items[kind]], target)


def evaluated(vectors: WordVectors, X: Any) -> dict[str, float | None]:
    """Figures of the files that X names: wordsim with pairs known, semantic and syntactic with questions asked, and the
    share of right answers section by section."""
    figures: dict[str, float | None] = {}
    for path in _paths(X):
        if text_of(path).lstrip().startswith(":"):
            figures |= _answered(vectors, path)
        elif pairs := read_wordsim(path):
            figures["wordsim"], figures["pairs"] = vectors.wordsim(pairs)
        else:
            raise BadInput(f"{str(path)!r} holds neither pairs nor questions.")
    return figures


def holds_tests(X: Any) -> bool:
    """Whether X names pairs or questions, and not texts."""
    if isinstance(X, datasets.Loaded) or (isinstance(X, str) and datasets.means_set(X)):
        return (X.name if isinstance(X, datasets.Loaded) else X) == TESTS
    if not isinstance(X, (str, Path)) or not Path(X).expanduser().is_file():
        return False
    try:
        return bool(text_of(X).lstrip().startswith(":") or read_wordsim(X))
    except BadInput:
        return False


def _paths(X: Any) -> list[Path]:
    X = X.name if isinstance(X, datasets.Loaded) else X
    if isinstance(X, str) and datasets.means_set(X):
        found = datasets.find(X)
        if X != TESTS:
            raise BadInput(f"words are evaluated on pairs and questions: the public set {TESTS!r}, or a file of them.")
        paths = [datasets.locate(found, file) for file in found.files]
        return [path for path in paths if path.name.startswith(("wordsim", "questions"))]
    if not isinstance(X, (str, Path)):
        raise BadInput(
            f"words are evaluated on a file of pairs or questions, or on {TESTS!r}. Received: {type(X).__name__}."
        )
    path = Path(X).expanduser()
    if not path.is_file():
        raise BadInput(f"there is no file {str(X)!r} of pairs or questions.")
    return [path]


def _answered(vectors: WordVectors, path: Path) -> dict[str, float | None]:
    found = vectors.analogies(read_analogies(path))
    figures: dict[str, float | None] = {}
    for kind in ("semantic", "syntactic"):
        own = [counts for name, counts in found.items() if name.startswith(SYNTACTIC) == (kind == "syntactic")]
        right, asked = (sum(column) for column in zip(*own, strict=True)) if own else (0, 0)
        figures[kind], figures[f"{kind} questions"] = (right / asked if asked else None), asked
    return figures | {name: right / asked if asked else None for name, (right, asked) in found.items()}
