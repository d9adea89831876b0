"""Estimators that learn vectors: from texts to a lexicon and vectors, and the questions that vectors answer."""

from __future__ import annotations

import hashlib
import sys
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Self, cast

import numpy as np
import torch
from torch import nn

from decet.contracts import Batch, Clock, Learner, Source, Stage
from decet.data.corpus import LITTLE, Corpus, read_corpus
from decet.data.documents import Documents
from decet.data.files import near
from decet.data.lexicon import Lexicon
from decet.data.passages import Passages, lines_of, passages_of
from decet.data.texts import Texts
from decet.data.tokens import FIRST
from decet.data.vectors import write_vectors
from decet.data.words import END
from decet.errors import BadInput, Unsupported, listed
from decet.estimators.base import Array, Estimator
from decet.estimators.calls import Call, loaded, ready
from decet.estimators.given import lend
from decet.estimators.reading import DataWarning, Given, TextReader, check_there
from decet.families.word2vec import FALLBACK as PLAIN
from decet.families.word2vec import LANES, Embedder, Mean, Word2Vec, embedder_of
from decet.nn.stems import TokenStem
from decet.settings import joined
from decet.tasks.embed import Embed, WordVectors
from decet.training.loop import train
from decet.training.memory import trim
from decet.training.progress import Quiet, Show
from decet.training.recipe import FALLBACK, Recipe

READ = 5_000_000  # words that a classifier's vectors are learned from, all passes over its texts together
USED = ("epochs", "steps", "lr", "schedule", "warmup")  # of a recipe
OF_CLASSIFIERS = ("tune", "hidden", "word_dropout", "dropout", "summary")  # settings of Word2Vec
STEP = 50_000  # words a step, so that an interrupt is heard and progress is shown
UNJUDGED = "vectors have no answers to be held against; `decet evaluate MODEL word-tests` judges English ones"
TOLD = 2_000_000  # characters read from which on it is told how many they are
BUCKETS = 2_000_000  # rows that n-grams share, where it is not said


class Sentences(Source):
    """A corpus, so many words a step, whole sentences; the steps in a new order each epoch, for what stands last in it
    would count for little at a rate that falls."""

    def __init__(self, corpus: Corpus, words: int = STEP) -> None:
        self.corpus = corpus
        marks = np.linspace(0, len(corpus), -(-len(corpus) // words) + 1)[1:]  # of one size, so that means are means
        cuts = np.searchsorted(corpus.offsets, marks)
        self.cuts = np.unique(np.concatenate([[0], cuts]))
        self.steps = len(self.cuts) - 1
        self.epoch, self.order = -1, np.empty(0, np.int64)

    def next(self, clock: Clock) -> Batch:
        epoch, place = divmod(clock.step, self.steps)
        if epoch != self.epoch:
            drawn = np.random.Generator(np.random.Philox(clock.key("order", epoch)))
            self.order, self.epoch = drawn.permutation(self.steps), epoch
        return self._take(int(self.order[place]))

    def example(self) -> Batch:
        return self._take(0)

    def _take(self, place: int) -> Batch:
        first, last = self.cuts[place], self.cuts[place + 1]
        offsets = self.corpus.offsets[first : last + 1]
        return Batch((np.asarray(self.corpus.ids[offsets[0] : offsets[-1]]), offsets, int(offsets[0])))


class Embeds(Estimator):
    """Estimators that answer with vectors."""

    kind = Texts
    reader = TextReader()
    question = Embed
    scored = "wordsim"
    card = ("feature-extraction", "rows", "most_similar(word)")

    def fit(  # type: ignore[override]
        self,
        X: Any,
        y: Any = None,
        *,
        start: str | Path | None = None,
        budget: float | None = None,
        out: str | Path | None = None,
        resume: bool = False,
        overwrite: bool = False,
        on_epoch: Callable[[dict[str, Any]], Any] | None = None,
        show: Show | None = None,
    ) -> Self:
        """Learn vectors from texts X.

        X: a path (text, a sentence or document a line; a table; a folder or zip of texts), a list of texts or of lists
            of words, an iterable of texts that starts afresh each time, or the name of a public set.
        y: not used; texts have no answers.
        start: a saved model to go on from: its words keep their vectors, new words join them.
        budget, out, resume, overwrite, on_epoch, show: as in every estimator's `fit`.

        Raises BadInput, before any training, for texts or settings that cannot work. Ctrl-C keeps the vectors so far.
        """
        call = Call.begun(
            start=start, budget=budget, out=out, resume=resume, overwrite=overwrite, on_epoch=on_epoch, show=show
        )
        if y is not None:
            raise BadInput("vectors are learned from texts alone. Leave the target out.")
        cell = self._cell()
        with ready(self, call):
            _Learning(self, cell, call).run(X)
        return self

    def partial_fit(self, X: Any, y: Any = None) -> Self:
        """Go on with further texts X: known words keep their vectors and learn on, new words join them.

        A model without vectors yet begins with these texts. Settings are those of the model.
        """
        if not self.__sklearn_is_fitted__() or y is not None:
            return self.fit(X, y)
        call = Call(started=time.monotonic())
        with ready(self, call):
            _Learning(self, self._cell(), call, grown=self).run(X)
        return self

    def transform(self, X: Any) -> Array:
        """One vector a text (n, D): the weighted mean of its words' (smooth inverse frequency)."""
        self._check_fitted()
        found = [self.text_vector(text) for text in self._texts(X)]
        return np.array(found, np.float32).reshape(len(found), self.learner_.width)

    predict = transform

    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        """The rank correlation with people's judgement of pairs of words, -1 to 1; see `evaluate`."""
        figure = self.evaluate(X).get(self.scored)
        if figure is None:
            raise BadInput("score needs pairs of words that have vectors: 'word-tests', or a file of pairs.")
        return figure

    def evaluate(self, X: Any, y: Any = None) -> dict[str, float | None]:
        """Figures against people's judgement: X names a file of pairs (WordSim-353's form), of questions (word2vec's
        form, by sections), or the public set "word-tests", which is both."""
        from decet.estimators.wordtests import evaluated

        self._check_fitted()
        return evaluated(self.vectors_, X)

    def records(self, X: Any) -> Iterator[dict[str, Any]]:
        """What `decet predict` prints: one dict a text, its vector and its keywords."""
        self._check_fitted()
        for text in self._texts(X):
            vector = [round(number, 6) for number in self.text_vector(text).tolist()]
            yield {"keywords": [word for word, _ in self.keywords(text)], "vector": vector}

    def _given(self, X: Any, y: Any, *, reset: bool) -> Given:
        """The corpus that texts are, read whole: its words numbered, the rare ones left out."""
        return X if isinstance(X, Given) else _read(X, self._inputs(), Quiet())

    # ------------------------------------------------------------------------------------------------- words

    @property
    def vectors_(self) -> WordVectors:
        """The words and their vectors; see `decet.tasks.embed.WordVectors`."""
        self._check_fitted()
        if getattr(self, "_asking", None) is None:
            lexicon: Lexicon = self.codec_
            matrix = self.learner_.matrix().cpu().numpy()
            self._asking = WordVectors(lexicon.words, matrix, self._made_up if lexicon.grams else None, lexicon.shares)
        return self._asking

    def _made_up(self, word: str) -> Array | None:
        """The vector of a word that training did not see, from its n-grams; None where it has none."""
        rows = self.codec_.rows_of(word)
        if not rows:
            return None
        vectors = self.learner_.vectors.data[torch.tensor(rows, device=self.device_)]
        made: Array = vectors.mean(0)[: self.learner_.width].cpu().numpy()
        return made

    def vector(self, word: str) -> Array:
        """The vector of a word (D,) float32. Raises BadInput for one that is not known, with near spellings."""
        return self.vectors_.vector(self._read(word))

    def similarity(self, a: str, b: str) -> float:
        """The cosine between two words' vectors, -1 to 1."""
        return self.vectors_.similarity(self._read(a), self._read(b))

    def most_similar(
        self, positive: str | Sequence[str] = (), negative: str | Sequence[str] = (), topn: int = 10
    ) -> list[tuple[str, float]]:
        """The nearest words to the sum of some words' directions minus that of others, with their cosines."""
        return self.vectors_.most_similar(self._read_all(positive), self._read_all(negative), topn)

    def analogy(self, a: str, b: str, c: str, topn: int = 1) -> list[tuple[str, float]]:
        """a is to b as c is to ...: the nearest words to b - a + c, with their cosines."""
        return self.vectors_.analogy(self._read(a), self._read(b), self._read(c), topn)

    def doesnt_match(self, words: Sequence[str]) -> str:
        """The word that stands farthest from the others."""
        read = self._read_all(words)
        return words[read.index(self.vectors_.doesnt_match(read))]

    def text_vector(self, text: str) -> Array:
        """The vector of a text (D,): the weighted mean of its words'."""
        return self.vectors_.text_vector(self._words(text), self.family_.smoothing or 0.0)

    def keywords(self, text: str, topn: int = 5) -> list[tuple[str, float]]:
        """The words of a text that say most of what it is about."""
        return self.vectors_.keywords(self._words(text), topn, self.family_.smoothing or 0.0)

    def _read(self, word: str) -> str:
        """A word as texts are read: in lower case, if they are."""
        if not isinstance(word, str):
            raise BadInput(f"a word must be a str. Received: {type(word).__name__}.")
        read = [word] if word in self.codec_.numbers else self._words(word)
        return read[0] if len(read) == 1 else word

    def _read_all(self, words: str | Sequence[str]) -> list[str]:
        if isinstance(words, str) or not isinstance(words, Iterable):
            return [self._read(words)]
        return [self._read(word) for word in words]

    def _words(self, text: str) -> list[str]:
        words = [word for word in self.codec_.texts.cut()(text) if word != END]
        return self.codec_.joined(words)

    def export(self, path: str | Path) -> None:
        """Write the words' vectors as word2vec text (.txt, .vec), word2vec binary (.bin), each also .gz, or
        .safetensors."""
        vectors = self.vectors_
        write_vectors(path, vectors.words, vectors.matrix)

    def _lend(self, learner: Learner, codec: Any, same_answer: bool) -> int:
        return lend(self.vectors_, learner, codec)

    def _texts(self, X: Any) -> list[str]:
        texts: list[str] = self.reader.given(self, X, None, False).rows.texts
        return texts

    def _network(self) -> Any:
        lexicon, family = self.codec_, self.family_
        if lexicon.grams != tuple(family.subwords or ()) or (lexicon.grams and lexicon.buckets != family.buckets):
            raise BadInput("the stored words and the family's settings do not agree on subwords.")
        return self.family_.embedder(self.codec_.counts, self.codec_.rows())


def vectors_first(
    learner: Learner, inputs: tuple[Any, ...], rows: Array, recipe: Recipe, read: int = READ
) -> list[Stage]:
    """What learns a text classifier's vectors from the training texts, without their answers, before all else.

    Of Word2Vec those that it averages; of a network that reads words one by one those that it reads, by CBOW. None of
    few words, or of vectors that do not fill the registers of the step (16, 32, ...).
    recipe: of the vectors; without epochs as many as make up the words to read, from 5 to 50.
    """
    tokens = inputs[0][torch.as_tensor(rows)].numpy()  # (N, T)
    known = tokens >= FIRST
    sizes = known.sum(1)
    offsets = np.concatenate([[0], np.cumsum(sizes)])
    ids = tokens[known].astype(np.int32)
    if len(ids) < 2:
        return []
    said = joined(recipe, Recipe(epochs=max(5, min(50, round(read / len(ids))))))
    recipe = joined(said, replace(FALLBACK, epochs=None))
    stages = []
    for embedder in _embedders(learner, ids):
        corpus = Corpus(ids, offsets, [], embedder.counts, len(ids), 0, [])
        stages.append(Stage(embedder, Sentences(corpus), recipe, name="vectors", guarded=False))
    return stages


def _embedders(learner: Learner, ids: Array) -> Iterator[Embedder]:
    """What learns the vectors of each table of words in the learner: of an ensemble each member has one."""
    if isinstance(learner.body, Mean):
        yield learner.body.embedder()
        return
    # CBOW is several times as quick, and as good to begin with; what goes on from it must end with the same bits
    said = replace(usual(len(ids)), model="cbow", deterministic=True)
    for stem in [module for module in learner.modules() if isinstance(module, TokenStem)]:
        if stem.width % LANES == 0:
            table = cast(nn.Parameter, stem.tokens.weight)
            yield embedder_of(said, table, np.bincount(ids, minlength=len(table)))


def usual(words: int) -> Word2Vec:
    """Of few words none is left out, however frequent it is."""
    return Word2Vec(sample=0.0 if words < LITTLE else 1e-3)


def refuse_unused(family: Any) -> None:
    """Refuse what only a classifier of texts uses."""
    said = [name for name in OF_CLASSIFIERS if getattr(family, name, None) is not None]
    said = [name for name in said if getattr(family, name) != getattr(PLAIN, name)]
    if said:
        raise BadInput(
            f"family.{said[0]} is for classifiers of texts, and vectors alone have no use for it. Leave it out."
        )


class _Learning:
    """One fit, its intermediate results by name."""

    def __init__(self, estimator: Embeds, cell: Any, call: Call, grown: Embeds | None = None) -> None:
        self.estimator, self.cell, self.call, self.grown = estimator, cell, call, grown
        self.inputs = estimator._inputs()
        self.notes: list[str] = []
        for name, value in asdict(estimator.recipe or Recipe()).items():
            if value is not None and name not in USED:
                raise BadInput(f"recipe.{name} does nothing where vectors are learned. It takes {listed(USED)}.")

    def run(self, X: Any) -> None:
        refuse_unused(self.estimator.family)
        before = self._before()
        if self.estimator.inputs is None and before is not None:
            self.inputs = before.codec_.texts
        given = X if isinstance(X, Given) else _read(X, self.inputs, self.call.show)
        corpus: Corpus = given.rows
        self._tell(corpus, 0 if before is None else before.codec_.read)
        lexicon = self._lexicon(corpus, before)
        seen = 0 if before is None else int(before.codec_.counts.sum())
        recipe, learner = self._learner(lexicon, len(corpus) + seen, before)
        source = Sentences(corpus)
        outcome = train(
            [Stage(learner, source, recipe, name="words", guarded=False)],  # vectors are there once
            seed=int(self.estimator.seed),
            device=self.estimator._device(),
            budget=self.call.left,
            folder=self.call.out,
            resume=self.call.resume,
            identity=self._identity(recipe, corpus),
            on_epoch=self.call.on_epoch,
            show=self.call.show,
        )
        self._keep(learner, lexicon, corpus, recipe, outcome, given.source)
        self.call.keep(self.estimator, outcome.interrupted)

    def _before(self) -> Any:
        """The model to go on from: a saved one, or in `partial_fit` this one as it is."""
        if self.call.start is None:
            return self.grown
        before = loaded(self.call.start)
        if not isinstance(before, Embeds):
            raise BadInput(f"{self.call.start} holds a {type(before).__name__}, from which words cannot go on.")
        return before

    def _tell(self, corpus: Corpus, read: int) -> None:
        """Note what reading found. read: words that the model to go on from has read."""
        self._note(*corpus.findings)
        read += corpus.read
        if read < LITTLE:
            self._note(
                f"{read:,} words teach little: nearness in meaning shows from some millions on, and the nearest words "
                "here are hardly more than words of the same sentences."
            )

    def _note(self, *sentences: str) -> None:
        for sentence in sentences:
            self.notes.append(sentence)
            warnings.warn(sentence, DataWarning, stacklevel=5)

    def _lexicon(self, corpus: Corpus, before: Any) -> Lexicon:
        """The words with vectors: those of the model to go on from first, so that they keep their places."""
        said = joined(self.estimator.family, None if before is None else before.family_, self.cell.family())
        grams = getattr(said, "subwords", None) or ()
        buckets = getattr(said, "buckets", None) or BUCKETS
        words, counts, read = corpus.words, corpus.counts, corpus.read
        if before is not None:
            known: Lexicon = before.codec_
            if (known.grams, known.buckets) != (tuple(grams), buckets):
                raise BadInput("subwords and buckets must be those of the model to go on from. Leave them out.")
            new = [word for word in corpus.words if word not in known.numbers]
            words = [*known.words, *new]
            places = {word: number for number, word in enumerate(words)}
            moved = np.array([places[word] for word in corpus.words], np.int32)
            counts = np.concatenate([known.counts, np.zeros(len(new), np.int64)])
            counts[moved] += corpus.counts
            corpus.renumber(moved)
            read += known.read
            self.call.show.say(f"{len(new):,} new words join {len(known.words):,} known ones")
        return Lexicon(self.inputs, words, counts, tuple(grams), buckets, read, self.notes)

    def _learner(self, lexicon: Lexicon, size: int, before: Any) -> tuple[Recipe, Any]:
        estimator = self.estimator
        self.family: Any
        self.family, recipe, _ = estimator._joined_settings(self.cell, lexicon.spec, size, self.call.budget)
        if before is not None:
            self.family = joined(estimator.family, before.family_, self.family)
        base = FALLBACK if recipe.epochs is None and recipe.steps is None else replace(FALLBACK, epochs=None)
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(int(estimator.seed))
            learner = self.family.embedder(lexicon.counts, lexicon.rows())
        self.family = learner.settings
        self.taken = 0 if before is None else learner.grow_from(before.learner_, len(before.codec_.words))
        return joined(recipe, base), learner

    def _identity(self, recipe: Recipe, corpus: Corpus) -> dict[str, str]:
        """What must be equal for a checkpoint to belong to this run."""
        self.fingerprint = _digest(corpus)
        return {
            "estimator": type(self.estimator).__name__,
            "family": f"{type(self.family).__name__} {asdict(self.family)}",
            "recipe": str(asdict(recipe)),
            "inputs": str(asdict(self.inputs)),
            "seed": str(self.estimator.seed),
            "budget": str(self.call.budget),
            "start": str(self.call.start),
            "data": self.fingerprint,
        }

    def _keep(self, learner: Any, lexicon: Lexicon, corpus: Corpus, recipe: Recipe, outcome: Any, name: str) -> None:
        """What was learned, as attributes with a trailing underscore."""
        estimator: Any = self.estimator
        estimator.learner_, estimator.device_ = learner.eval(), estimator._device()
        estimator.codec_, estimator.answer_ = lexicon, None
        estimator._asking = None
        estimator.target_names_, estimator.n_features_in_ = ("vectors",), 1
        used = Recipe(**{name: getattr(recipe, name) for name in USED})
        estimator.family_, estimator.recipe_, estimator.question_ = self.family, used, None
        estimator.history_, estimator.plan_ = outcome.history, outcome.plan
        estimator.metrics_ = {}
        estimator.warnings_, estimator.interrupted_, estimator.taken_ = self.notes, outcome.interrupted, self.taken
        estimator.provenance_ = {
            "data": name,
            "fingerprint": self.fingerprint,
            "rows": len(corpus.offsets) - 1,
            "words": corpus.read,
            "kept": len(corpus),
            "types": corpus.types,
            "validation": UNJUDGED,
            "best_epoch": None,
            "budget": self.call.budget,
            "interrupted": outcome.interrupted,
            "seconds": round(time.monotonic() - self.call.started, 2),
        }
        if outcome.interrupted:
            warnings.warn("training was interrupted; the vectors so far are kept.", DataWarning, stacklevel=4)


def _read(X: Any, inputs: Texts, show: Show) -> Given:
    """A corpus from whatever a user may pass as texts, a public set by its name."""
    if inputs.in_pieces:
        raise Unsupported("vectors are learned of words or characters, not of pieces. Leave unit and tokenizer out.")
    passages, name = _passages(X, inputs)
    found = read_corpus(
        _shown(passages, show),
        inputs.cut(),
        min_count=inputs.min_count,
        max_size=inputs.max_size,
        phrases=inputs.phrases,
        threshold=inputs.threshold,
        name=name,
    )
    found.findings[:0] = passages.findings
    trim()  # what reading took is free, and vectors need as much
    return Given(found, None, name)


def _shown(pieces: Iterable[str], show: Show) -> Iterator[str]:
    """The same pieces of text, told of as they are read; short texts are read before anybody could look."""
    read = 0
    for piece in pieces:
        yield piece
        read += len(piece)
        if read > TOLD:
            show.step(0.0, {"characters read": read})


def _passages(X: Any, inputs: Texts) -> tuple[Passages, str]:
    """Texts that can be read again and again, and what they are called."""
    from decet.data import datasets

    if isinstance(X, str) and datasets.means_set(X):
        X = datasets.load(X)
    name = X.name if isinstance(X, datasets.Loaded) else None
    if isinstance(X, datasets.Loaded):
        if not isinstance(X.X, (Passages, Documents)):
            raise BadInput(f"the public set {X.name!r} holds {datasets.find(X.name).kind}, not texts.")
        X = X.X
    elif isinstance(X, str) and X == "-":
        return lines_of(sys.stdin.buffer, inputs.encoding), "-"
    elif isinstance(X, str) and not near(Path(X)):
        check_there(X)
    found = passages_of(X.texts if isinstance(X, Documents) else X, inputs.column, inputs.encoding)
    return found, name or found.name


def _digest(corpus: Corpus) -> str:
    digest = hashlib.sha256("\n".join(corpus.words).encode("utf-8", "surrogatepass"))
    for begin in range(0, len(corpus), STEP):
        digest.update(np.ascontiguousarray(corpus.ids[begin : begin + STEP]).data)
    digest.update(np.ascontiguousarray(corpus.offsets).data)
    return digest.hexdigest()
