"""Word vectors against people's judgement: pairs of words, and questions by analogy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from decet.data import datasets
from decet.errors import BadInput
from decet.tasks.embed import WordVectors, read_analogies, read_wordsim, text_of

TESTS = "word-tests"  # the public set
SYNTACTIC = "gram"  # how the names of its syntactic sections begin


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
        return TESTS == (X.name if isinstance(X, datasets.Loaded) else X)
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
