"""Word2Vec: vectors of words, learned by telling which words stand near each other.

Of each word w in a text and the words c around it, skip-gram learns to tell w from words drawn at random, given c:

    loss = - log s(v_c . u_w) - sum_{k = 1..K} log s(- v_c . u_k),     k drawn by P(k) ~ count(k)^0.75

CBOW asks the mean of the v_c instead of each. Hierarchical softmax (negatives=0) asks for the turns on w's path in a
Huffman tree. With subwords a word's vector is the mean of its own and of its character n-grams', so that words never
seen have one too. Frequent words are left out at random, kept with probability sqrt(t / f) + t / f; windows are of 1
to `window` words, drawn anew for each.

References: Mikolov et al., 1301.3781 (CBOW, skip-gram), 1310.4546 (negatives, sub-sampling); Bojanowski et al.,
1607.04606 (subwords); Mikolov et al., 1712.09405 (weights of positions); Ji et al., 1604.04661 (shared negatives);
smooth inverse frequency: Arora et al., ICLR 2017.

Differs from the papers:
1. The words of a window share their negatives; in CBOW four neighbouring windows do, twice as many, each counting
   half: as accurate, and one load serves many products.
2. `deterministic=True` computes blocks of centres from the same rows, and adds in a fixed order.
3. As in word2vec.c, the centre is predicted from its neighbours in skip-gram too.
4. The weights of positions move by a hundredth of the rate: each takes part in every window.
5. Of smooth inverse frequency the weights are taken; the direction that all texts share is not removed.

Reads tokens: texts, items, walks. Good at: vectors of words from plain text in minutes, what short texts are about.
Weak at: word order, words of several senses (use Transformer).
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from decet.contracts import Batch, Body, Clock, Features, Learner, TokenSpec
from decet.errors import BadInput, Unsupported, check_choice, check_range
from decet.nn.drawing import Draws
from decet.nn.dropout import Dropout
from decet.nn.members import MemberLinear
from decet.nn.stems import TokenStem
from decet.nn.word_steps import Passage, Tables, step
from decet.settings import check_whole, joined

MODELS = ("skip-gram", "cbow")
SUMMARIES = ("mean", "root")
SPREAD = 2.0  # of the first vectors, over their width: twice gensim's, so that CBOW's means do not start too small
LANES = 16  # floats: rows are padded to a multiple
TYPICAL = 44  # words of a text whose mean and root are alike
CHUNK = 16_384  # words whose vectors are made at a time

Array = np.ndarray


@dataclass(frozen=True)
class Word2Vec:
    """Word vectors. None = not said: the cell of the map, then the fallback decides.

    model: "skip-gram" (better vectors of rare words) or "cbow" (quicker).
    width: numbers of a vector.
    window: words to each side, at most.
    negatives: words drawn for each centre; 0 = hierarchical softmax.
    sample: frequency above which words are left out at random; 0 = none is.
    exponent: of the counts by which negatives are drawn.
    subwords: shortest and longest character n-grams, as (3, 6); () = none.
    buckets: rows that all n-grams share.
    positions: weigh the neighbours by their position, with learned weights (cbow only).
    deterministic: same bits with any number of threads, at some cost in speed.
    smoothing: of inverse frequency, where texts are averaged: a word of share p counts a / (a + p); 0 = plain mean.
    tune: let the vectors move on while a classifier of texts is trained on them.
    hidden: units of a layer between a text's vector and its answer; 0 = none, the answer is linear in it.
    word_dropout: share of a text's words left out in training (deep averaging, Iyyer et al., ACL 2015).
    dropout: share of a text's vector dropped.
    summary: how a text's words become one vector: their "mean", or the "root": their sum over the root of their number,
        so that a text says the more the longer it is; equal to the mean where it has 44 words.
    """

    model: str | None = None
    width: int | None = None
    window: int | None = None
    negatives: int | None = None
    sample: float | None = None
    exponent: float | None = None
    subwords: tuple[int, ...] | None = None
    buckets: int | None = None
    positions: bool | None = None
    deterministic: bool | None = None
    smoothing: float | None = None
    tune: bool | None = None
    hidden: int | None = None
    word_dropout: float | None = None
    dropout: float | None = None
    summary: str | None = None

    reads: ClassVar[tuple[type, ...]] = (TokenSpec,)

    def __post_init__(self) -> None:
        check_choice("model", self.model, MODELS)
        check_choice("summary", self.summary, SUMMARIES)
        check_whole(self, ("width",), 1, 4096)
        check_whole(self, ("window",), 1, 1000)
        check_whole(self, ("negatives",), 0, 1000)
        check_whole(self, ("buckets",), 1, 1 << 28)
        check_range("sample", self.sample, 0.0, 1.0)
        check_range("exponent", self.exponent, -2.0, 2.0)
        check_range("smoothing", self.smoothing, 0.0, 1.0)
        check_whole(self, ("hidden",), 0, 65536)
        check_range("word_dropout", self.word_dropout, 0.0, 0.95)
        check_range("dropout", self.dropout, 0.0, 0.95)
        for name in ("positions", "deterministic", "tune"):
            check_choice(name, getattr(self, name), (True, False))
        grams = self.subwords
        two = isinstance(grams, (tuple, list)) and len(grams) == 2 and all(type(n) is int for n in grams)
        if grams is not None and grams != () and not (two and 1 <= grams[0] <= grams[1] <= 20):
            raise BadInput(f"subwords must be the shortest and longest n-grams, as (3, 6), or (). Received: {grams!r}.")
        if self.positions and self.model is None:
            object.__setattr__(self, "model", "cbow")
        if self.positions and self.model == "skip-gram":
            raise BadInput("positions are weighed in cbow only, where a window's words are averaged.")

    def encoder(self, spec: Any, members: int = 1) -> Body:
        """The mean of a text's vectors; `pooled()` gives (B, members, width or hidden)."""
        if not isinstance(spec, TokenSpec):
            raise Unsupported(f"Word2Vec reads texts. Received: {type(spec).__name__}.")
        if self.subwords:
            raise BadInput("texts are read by whole words: leave subwords out, or give vectors learned with them.")
        return Mean(joined(self, FALLBACK), spec, members)

    def embedder(self, counts: Array, grams: tuple[Array, Array] | None = None) -> Embedder:
        """What learns the vectors of a corpus's words from the counts (V,) of each.

        grams: of subwords, where each word's rows begin (V + 1,), and the rows, the word's own among them.
        """
        return Embedder(joined(self, FALLBACK), np.asarray(counts, np.int64), grams)

    def table(self, count: int) -> Table:
        """Vectors of so many tokens, asked one by one; who learns them is its `embedder`."""
        return Table(joined(self, FALLBACK), count)


FALLBACK = Word2Vec(
    model="skip-gram",
    width=100,
    window=5,
    negatives=5,
    sample=1e-3,
    exponent=0.75,
    subwords=(),
    buckets=2_000_000,
    positions=False,
    deterministic=False,
    smoothing=1e-3,
    tune=True,
    hidden=0,
    word_dropout=0.0,
    dropout=0.0,
    summary="mean",
)


class Embedder(Learner):
    """Vectors of words, and the step that learns them. A batch is (ids, offsets, first): sentences of numbers of words.

    vectors (rows, D) of words, then of n-grams; outputs (V or nodes, D); both padded to whole registers; with
    `positions` the weights of the 2 window positions too.
    """

    works = True

    def __init__(self, s: Word2Vec, counts: Array, grams: tuple[Array, Array] | None):
        super().__init__()
        self.settings, self.width, self.counts = s, s.width or 1, counts
        self.parts: Array | None = None
        self.pieces: Array | None = None
        if grams is not None:
            self.parts, self.pieces = grams
        words = len(counts)
        rows = words if self.pieces is None else words + (s.buckets or 1)
        self.vectors = nn.Parameter(_first(rows, self.width), requires_grad=False)
        wide = self.vectors.shape[1]
        self.outputs = nn.Parameter(torch.zeros(words, wide), requires_grad=False)
        self.positions = (
            nn.Parameter(torch.ones(2 * (s.window or 1), wide), requires_grad=False) if s.positions else None
        )

    @functools.cached_property
    def drawn(self) -> Draws:
        s = self.settings
        return Draws(
            self.counts,
            window=s.window or 1,
            negatives=s.negatives or 0,
            sample=s.sample or 0.0,
            exponent=s.exponent or 0.0,
            bags=s.model == "cbow",
        )

    @property
    def tables(self) -> Tables:
        """The rows as a step takes them."""
        bags = self.settings.model == "cbow"
        weights = None if self.positions is None else self.positions.data
        return Tables(self.vectors.data, self.outputs.data, bags, self.parts, self.pieces, weights)

    def work(self, batch: Batch, clock: Clock) -> Mapping[str, float]:
        """One pass over the batch's sentences."""
        ids, offsets, first = batch.inputs
        seed = clock.key("words") << 32 | clock.key("more words")
        passage = Passage(*self.drawn.kept(ids, offsets, first, seed))
        if not len(passage.words):
            return {}
        loss, pairs = step(self.tables, self.drawn, passage, seed, clock.rate, bool(self.settings.deterministic))
        return {"loss": loss / max(pairs, 1.0)}

    def grow_from(self, before: Embedder, known: int) -> int:
        """Take the vectors of a model whose first `known` words are ours too; how many tensors were taken."""
        if before.width != self.width:
            raise BadInput(f"the model to go on from has vectors of {before.width}, not {self.width} numbers.")
        if bool(before.settings.negatives) != bool(self.settings.negatives):
            raise BadInput("the model to go on from was asked otherwise: negatives of both must be 0, or of none.")
        taken = 1
        with torch.no_grad():
            self.vectors[:known] = before.vectors[:known]
            self.vectors[len(self.counts) :] = before.vectors[known:]  # the n-grams' rows
            if self.settings.negatives:  # a tree's inner nodes are others once words join
                self.outputs[:known] = before.outputs[:known]
                taken += 1
            ours, theirs = self.positions, before.positions
            if ours is not None and theirs is not None and ours.shape == theirs.shape:
                ours.copy_(theirs)
                taken += 1
        return taken

    def predict(self, inputs: tuple[Any, ...]) -> Tensor:
        """The vectors of words given as (rows end to end, where each word's begin): (n, D)."""
        rows, begins = inputs
        return nn.functional.embedding_bag(rows, self.vectors.data, begins, mode="mean")[:, : self.width]

    def matrix(self) -> Tensor:
        """The words' vectors (V, D): their rows, or the means of their subwords'."""
        if self.pieces is None:
            return self.vectors.data[: len(self.counts), : self.width]
        chunks = torch.arange(len(self.counts), device=self.vectors.device).split(CHUNK)
        return torch.cat([self.tables.rows(words)[:, : self.width] for words in chunks])


class Mean(Body):
    """The mean of a text's word vectors, rare words counting more, or its like that grows with the text.

    inputs (tokens (B, T),) -> summary (B, M, S).
    Padding and words that training did not know count nothing. `condition` (B, D) is added to the mean.
    """

    weight: Tensor

    def __init__(self, s: Word2Vec, spec: TokenSpec, members: int):
        super().__init__()
        self.settings, self.members, width = s, members, s.width or 1
        rows = _first(spec.vocabulary, width)
        self.stem = TokenStem(replace(spec, streams=()), rows.shape[1])  # begins of words are not averaged
        self.stem.tokens.weight = self.table = nn.Parameter(rows, requires_grad=bool(s.tune))
        self.table.undecayed = True  # type: ignore[attr-defined]
        self.counts = np.asarray(spec.counts or np.ones(spec.vocabulary), np.int64)
        self.register_buffer("weight", _weights(self.counts, s.smoothing or 0.0, spec.pad))
        self.words = Dropout(s.word_dropout or 0.0)
        layers: list[nn.Module] = [Dropout(s.dropout or 0.0)]
        self.width = self.summary_width = rows.shape[1]
        if s.hidden:
            layers += [MemberLinear(self.width, s.hidden, members, varied=members > 1), nn.ReLU()]
            self.summary_width = s.hidden
        self.layers = nn.Sequential(*layers)

    def forward(self, inputs: tuple[Any, ...], *, condition: Tensor | None = None) -> Features:
        tokens = inputs[0]
        weight = self.words(self.weight[tokens])  # (B, T)
        share = weight / self._whole(weight).clamp(min=1e-9)
        inside = weight > 0
        ends = inside.sum(1).cumsum(0)
        begins = torch.cat([ends.new_zeros(1), ends[:-1]])
        mean = nn.functional.embedding_bag(
            tokens[inside], self.stem.tokens.weight, begins, mode="sum", per_sample_weights=share[inside]
        )
        if condition is not None:
            mean = mean + condition
        return Features(summary=self.layers(mean.unsqueeze(1).expand(-1, self.members, -1)), members=self.members)

    def _whole(self, weight: Tensor) -> Tensor:
        """What the weighted sum of a text's words, weights (B, T), is divided by: (B, 1)."""
        if self.settings.summary == "root":
            return weight.square().sum(1, keepdim=True).mul(TYPICAL).sqrt()
        return weight.sum(1, keepdim=True)

    def embedder(self) -> Embedder:
        """What learns the vectors from the texts alone: it and this body hold the same rows."""
        learner = Embedder(self.settings, self.counts, None)
        learner.vectors = self.table
        return learner


class Table(Body):
    """A vector a token. inputs (tokens (B,), ...) -> summary (B, width)."""

    def __init__(self, s: Word2Vec, count: int):
        super().__init__()
        self.settings = s
        self.width = self.summary_width = s.width or 1
        self.weight = nn.Parameter(_first(count, self.width), requires_grad=False)

    def forward(self, inputs: tuple[Any, ...], *, condition: Tensor | None = None) -> Features:
        return Features(summary=self.weight.index_select(0, inputs[0])[:, : self.width])

    def embedder(self, counts: Array) -> Embedder:
        """What learns the vectors, of tokens that are met so often (V,): it and this body hold the same rows."""
        learner = Embedder(self.settings, np.asarray(counts, np.int64), None)
        learner.vectors = self.weight
        return learner


def embedder_of(s: Word2Vec, table: nn.Parameter, counts: Array) -> Embedder:
    """What learns the rows of a network's table of words (V, D), D filling whole registers; counts (V,) of each.

    The rows become as small as first vectors must be: a step that begins with long ones learns less.
    """
    width = table.shape[1]
    learner = Embedder(joined(replace(s, width=width), FALLBACK), np.asarray(counts, np.int64), None)
    with torch.no_grad():  # from a spread of 1 / root of width to that of uniform numbers within SPREAD / width
        table.mul_(SPREAD / math.sqrt(3 * width))
    learner.vectors = table
    return learner


def _first(rows: int, width: int) -> Tensor:
    """Random vectors, padded by zeros to whole registers."""
    first = torch.zeros(rows, -(-width // LANES) * LANES)
    if not first.is_meta:
        first[:, :width].uniform_(-SPREAD / width, SPREAD / width)
    return first


def _weights(counts: Array, smoothing: float, pad: int) -> Tensor:
    """What each word counts in a text (V,): a / (a + its share); padding and unknown words nothing."""
    share = counts / max(1, counts.sum())
    weight = smoothing / (smoothing + share) if smoothing else np.ones(len(counts))
    weight[counts == 0] = 0.0
    weight[pad] = 0.0
    return torch.from_numpy(weight.astype(np.float32))
