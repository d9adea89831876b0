"""Word vectors learned by every library from the same words: 100 numbers, window 5, 5 negatives, 5 passes, words that
stand five times or more.

Two clocks run: of training proper, and of all from the file to the vectors. gensim looks words up while it trains,
decet while it reads, so that the second is the fairer one; the first is the usual one. Memory is the peak of all but
the judging; loading libraries, compiled kernels among them, is on neither clock and in neither peak.

- decet: `WordEmbedder.fit` on a file, a sentence a line; the seconds of its epochs.
- gensim: `Word2Vec.train` with all cores as workers, in its three ways of being fed: lists of words in memory,
  `LineSentence` (the file, line by line), and `corpus_file` (the file, each worker its part).
- PPMI and truncated SVD: `decet.ppmi`, no network at all.

The loss of every network is taken after training by one and the same function, on windows and negatives drawn once.
"""

from __future__ import annotations

import time
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.child import Meter, Place

WIDTH, WINDOW, NEGATIVES, EPOCHS, COMMON = 100, 5, 5, 5, 5
QUICK = 200_000  # words of a quick run
PASSAGE = 20_000  # words on which the loss is taken
IMPORTS = {
    "decet": ("torch", "decet.estimators.catalog", "decet.nn.word_kernels", "decet.training.loop"),
    "gensim": ("gensim.models",),
    "svd": ("scipy.sparse.linalg", "decet.ppmi"),
}


# --------------------------------------------------------------------------------------------------- the corpora


def write_corpus(meter: Meter, place: Place, name: str, quick: bool) -> dict[str, Any]:
    """The words of a public set, a sentence a line, as decet cuts them, without the stray Chinese ones: to cut those
    decet loads a dictionary that gensim has none of."""
    sentences, words = _cut(name, QUICK if quick else None)
    path = place.scratch / f"{name}.txt"
    path.write_text("\n".join(sentences) + "\n", encoding="utf-8")
    return {"words": words, "bytes": path.stat().st_size}


def write_sizes(meter: Meter, place: Place, name: str, sizes: list[int]) -> dict[str, Any]:
    """The same, repeated or cut to so many words, a file a size."""
    sentences, words = _cut(name, max(sizes))
    text = "\n".join(sentences) + "\n"
    for size in sizes:
        with (place.scratch / f"made-{size}.txt").open("w", encoding="utf-8") as file:
            for _ in range(size // words):
                file.write(text)
            left = size % words
            for sentence in sentences:
                if left <= 0:
                    break
                left -= sentence.count(" ") + 1
                file.write(sentence + "\n")
    return {"words": words}


def _cut(name: str, most: int | None) -> tuple[list[str], int]:
    """Sentences of words apart by blanks, and how many words they are."""
    from decet.data.datasets import load
    from decet.data.texts import Texts
    from decet.data.words import has_han

    cut, sentences, words = Texts().cut(), list[str](), 0
    for piece in load(name).X:
        for line in " ".join(word for word in cut(piece) if not has_han(word)).split("\n"):
            sentence = line.strip()
            if sentence:
                sentences.append(sentence)
                words += sentence.count(" ") + 1
            if most is not None and words >= most:
                return sentences, words
    return sentences, words


def _sentences(path: Path) -> list[list[str]]:
    with path.open(encoding="utf-8") as file:
        return [line.split() for line in file]


# ------------------------------------------------------------------------------------------------- the contenders


def decet(
    meter: Meter, place: Place, corpus: str, model: str, seed: int, *, epochs: int = EPOCHS, threads: int | None = None,
    deterministic: bool = False, subwords: tuple[int, ...] = (), positions: bool = False, judged: bool = True,
) -> dict[str, Any]:  # fmt: skip
    """By decet. threads: fewer than all."""
    import torch

    from decet import Recipe, Texts, Word2Vec, WordEmbedder

    if threads is not None:
        torch.set_num_threads(threads)
    _compiled(model, deterministic, positions)
    meter.start()
    started = time.perf_counter()
    family = Word2Vec(
        model=model, width=WIDTH, window=WINDOW, negatives=NEGATIVES, deterministic=deterministic,
        subwords=tuple(subwords), buckets=200_000, positions=positions,
    )  # fmt: skip
    embedder = WordEmbedder(family, seed=seed, recipe=Recipe(epochs=epochs), inputs=Texts(min_count=COMMON))
    embedder.fit(str(place.scratch / f"{corpus}.txt"))
    whole = time.perf_counter() - started
    meter.stop()
    seconds = [record["seconds"] for record in embedder.history_]
    words = embedder.provenance_["words"]
    found = _clocked(seed, words * epochs, sum(seconds), whole) | {"words": words}
    found["own_loss"] = embedder.history_[-1]["loss"]
    if not judged:
        return found
    learner, lexicon = embedder.learner_, embedder.codec_
    outputs = learner.outputs.data[:, :WIDTH].numpy()
    return found | _judged(place, corpus, lexicon.words, lexicon.counts, embedder.vectors_.matrix, outputs)


def _compiled(model: str, deterministic: bool, positions: bool) -> None:
    """Have the kernel made, or read from the disk, before the clock runs."""
    from decet import Word2Vec, WordEmbedder

    family = Word2Vec(model=model, width=16, deterministic=deterministic, positions=positions)
    WordEmbedder(family).fit(["some few words to begin with", "and some words more"])


def gensim(meter: Meter, place: Place, corpus: str, model: str, seed: int, fed: str, subwords: bool = False) -> Any:
    """By gensim, fed by "lists", "lines" or "corpus_file"."""
    import os

    from gensim.models import FastText, Word2Vec
    from gensim.models.word2vec import LineSentence

    path = place.scratch / f"{corpus}.txt"
    workers = int(os.environ["OMP_NUM_THREADS"])
    settings = {
        "vector_size": WIDTH, "window": WINDOW, "negative": NEGATIVES, "epochs": EPOCHS, "min_count": COMMON,
        "sg": int(model == "skip-gram"), "workers": workers, "seed": seed,
    }  # fmt: skip
    trained = FastText(bucket=200_000, **settings) if subwords else Word2Vec(**settings)
    started = time.perf_counter()
    source: Any = {"lists": lambda: _sentences(path), "lines": lambda: LineSentence(str(path))}.get(fed, lambda: None)()
    given = {"corpus_file": str(path)} if source is None else {"corpus_iterable": source}
    trained.build_vocab(**given)
    count = {"total_words": trained.corpus_total_words, "total_examples": trained.corpus_count}
    began = time.perf_counter()
    trained.train(**given, **count, epochs=EPOCHS)
    ended = time.perf_counter()
    meter.stop()
    words = trained.corpus_total_words
    found = _clocked(seed, words * EPOCHS, ended - began, ended - started)
    keyed = trained.wv
    counts = [keyed.get_vecattr(word, "count") for word in keyed.index_to_key]
    return found | {"words": words} | _judged(place, corpus, keyed.index_to_key, counts, keyed.vectors, trained.syn1neg)


def svd(meter: Meter, place: Place, corpus: str, seed: int) -> dict[str, Any]:
    """PPMI and truncated SVD (Levy, Goldberg & Dagan, TACL 2015) on the same words."""
    from decet.data.corpus import read_corpus
    from decet.data.passages import passages_of
    from decet.data.texts import Texts
    from decet.ppmi import ppmi_svd

    started = time.perf_counter()
    read = read_corpus(passages_of(place.scratch / f"{corpus}.txt"), Texts().cut(), min_count=COMMON)
    began = time.perf_counter()
    vectors = ppmi_svd(read.ids[:], read.offsets, len(read.words), WIDTH, 2, shift=1.0, weighting=0.5, seed=seed)
    ended = time.perf_counter()
    meter.stop()
    found = _clocked(seed, read.read, ended - began, ended - started)
    return found | {"words": read.read} | _judged(place, corpus, read.words, read.counts, vectors, None)


def _clocked(seed: int, words: int, training: float, whole: float) -> dict[str, Any]:
    """Words a second by both clocks, and the seconds of the whole."""
    return {"seed": seed, "rate": words / training, "whole_rate": words / whole, "whole_seconds": round(whole, 2)}


# ------------------------------------------------------------------------------------------------------- judging


def _judged(place: Place, corpus: str, words: list[str], counts: Any, vectors: Any, outputs: Any) -> dict[str, Any]:
    """Correlation with people's judgements, right answers to questions, and the loss where there are outputs."""
    from decet.estimators.wordtests import evaluated
    from decet.tasks.embed import WordVectors

    figures = evaluated(WordVectors(words, vectors), "word-tests")
    right = sum((figures[kind] or 0) * (figures[f"{kind} questions"] or 0) for kind in ("semantic", "syntactic"))
    asked = sum(figures[f"{kind} questions"] or 0 for kind in ("semantic", "syntactic"))
    found = {name: figures[name] for name in ("wordsim", "semantic", "syntactic")} | {"analogies": right / asked}
    if outputs is not None:
        found["loss"] = _loss(place.scratch / f"{corpus}.txt", words, counts, vectors, outputs)
    return found


def _loss(path: Path, words: list[str], counts: Any, vectors: Any, outputs: Any) -> float:
    """The mean over a passage's pairs of neighbours of -log s(v.u) - sum of 5 negatives' log s(-v.u).

    Libraries order words of one count differently: negatives are drawn from one order of them all.
    """
    import numpy as np

    counts = np.asarray(counts, np.float64)
    order = np.array(sorted(range(len(words)), key=lambda i: (-counts[i], words[i])))
    rng = np.random.Generator(np.random.Philox(1))
    numbers = {word: number for number, word in enumerate(words)}
    inner, outer = [], []
    with path.open(encoding="utf-8") as file:
        for line in file:
            ids = [numbers[word] for word in line.split() if word in numbers]
            for away in range(1, WINDOW + 1):
                inner += [*ids[away:], *ids[: max(0, len(ids) - away)]]
                outer += [*ids[: max(0, len(ids) - away)], *ids[away:]]
            if len(inner) > PASSAGE * 2 * WINDOW:
                break
    share = counts[order] ** 0.75
    others = order[rng.choice(len(words), (len(inner), NEGATIVES), p=share / share.sum())]
    rows = np.asarray(vectors)[inner]
    real = np.einsum("nd,nd->n", rows, np.asarray(outputs)[outer])
    false = np.einsum("nd,nkd->nk", rows, np.asarray(outputs)[others])
    return float(np.logaddexp(0, -real).mean() + np.logaddexp(0, false).sum(1).mean())


# ---------------------------------------------------------------------------------------------------- neighbours


def neighbours(meter: Meter, place: Place, library: str, words: int, width: int) -> dict[str, Any]:
    """Milliseconds of the ten nearest among so many words, the median of thirty questions."""
    import numpy as np

    rng = np.random.Generator(np.random.Philox(2))
    matrix = rng.standard_normal((words, width), np.float32)
    names = [f"w{i}" for i in range(words)]
    if library == "decet":
        from decet.tasks.embed import WordVectors

        vectors: Any = WordVectors(names, matrix)
    else:
        from gensim.models import KeyedVectors

        vectors = KeyedVectors(width)
        vectors.add_vectors(names, matrix)
    vectors.most_similar("w0")
    marks = [time.perf_counter()]
    for i in range(30):
        found = vectors.most_similar(f"w{i * 1000}", topn=10)
        marks.append(time.perf_counter())
    best = [name for name, _ in found]
    return {"milliseconds": 1e3 * median(b - a for a, b in pairwise(marks)), "last": " ".join(best)}
