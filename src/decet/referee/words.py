"""Vectors of words compared: everybody reads one corpus, and people's judgement of words is what decides.

The score is Spearman's correlation with the marks of pairs of words, all of whose words the corpus has; questions by
analogy are asked beside it. The baseline counts neighbours (`decet.ppmi`), over the same window, to the same width.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from decet.data.corpus import Corpus
from decet.errors import BadInput
from decet.estimators.reading import Given
from decet.estimators.wordtests import TESTS, WordTests, read_tests
from decet.families.word2vec import FALLBACK
from decet.ppmi import ppmi_svd
from decet.referee.contenders import Array, Network, Terms
from decet.referee.rows import Ground
from decet.referee.verdict import BASELINE
from decet.tasks.embed import WordVectors

FEWEST = 20  # pairs, below which a correlation says nothing
RATE = 100_000  # words a second that the baseline counts at least; a core of 2026 three times as many


def word_ground(template: Any, X: Any, y: Any, *, groups: Any, order: Any, test: float) -> Ground:
    """A corpus, and word tests.

    X: texts, as `fit` takes them. y: a file of pairs of words with people's marks; None: the public set "word-tests",
    which is English. groups, order, test: of rows with answers; no texts are set aside here.
    """
    if groups is not None or order is not None:
        raise BadInput("vectors are judged by word tests, and no texts are set aside. Leave groups and order out.")
    every = read_tests(TESTS if y is None else y)
    given: Given = template._given(X, None, reset=True)
    corpus: Corpus = given.rows
    known = every.known_to(set(corpus.words))
    if known.pairs < FEWEST:
        whose = "the word tests, which are English," if y is None else f"{str(y)!r}"
        raise BadInput(
            f"there is nothing to score vectors of {given.source} by: of the {every.pairs:,} pairs of {whose} it has "
            f"{known.pairs:,}, and {FEWEST} are needed. Give a file of pairs of its language as the target."
        )
    asked = len(known.words) - known.pairs
    return Ground(
        train=given,
        test=Given(known, None),
        target=known.target,
        spec=None,
        how=f"people's marks of pairs whose words the texts have, of {every.pairs:,}; and {asked:,} analogies",
        sizes=(len(corpus.offsets) - 1, known.pairs),
        baselines=[Counted()],
        network=Embedding,
        items="pairs of words",
    )


class Embedding(Network):
    """A family of the row, asked for its vectors."""

    def answers(self, rows: WordTests) -> Array:
        return rows.asked(self.estimator.vectors_)


class Counted:
    """Counts of neighbours, and their main directions; as many sentences as its time allows, evenly drawn."""

    name, kind = "PPMI + SVD", BASELINE

    def fit(self, given: Given, terms: Terms) -> None:
        corpus: Corpus = given.rows
        count = len(corpus.offsets) - 1
        share = 1.0 if terms.seconds is None else min(1.0, RATE * terms.seconds / max(1, len(corpus)))
        self.rows = max(1, int(share * count))
        self.vectors = _counted(corpus, self.rows)

    def answers(self, rows: WordTests) -> Array:
        return rows.asked(self.vectors)

    def about(self) -> dict[str, Any]:
        size = self.vectors.matrix.nbytes + sum(len(word.encode()) for word in self.vectors.words)
        return {"rows": self.rows, "megabytes": size / 1e6}


def _counted(corpus: Corpus, sentences: int) -> WordVectors:
    """Vectors from so many of the corpus's sentences; zeros for words too rare in these, as the corpus leaves out."""
    sizes = np.diff(corpus.offsets)
    kept = np.zeros(len(sizes), bool)
    kept[np.linspace(0, len(sizes) - 1, sentences).astype(np.int64)] = True
    ids = corpus.ids[:][np.repeat(kept, sizes)]
    offsets = np.concatenate([[0], np.cumsum(sizes[kept])])
    often = int((corpus.counts * (len(ids) / len(corpus)) >= corpus.counts.min()).sum())
    width = min(FALLBACK.width or 1, len(corpus.words) - 1)
    vocabulary = max(often, width + 1)
    vectors = np.zeros((len(corpus.words), width), np.float32)
    vectors[:vocabulary] = ppmi_svd(ids, offsets, vocabulary, width, FALLBACK.window or 1)
    return WordVectors(corpus.words, vectors)
