"""Texts as tokens (N, T) int64: 0 padding, 1 a word that training did not know, 2 and above the words of training.

The words stand in order of how frequent they are. Beside each word stands its begin, in a stream of its own with a
vocabulary of its own: so "disappoints", seen once, shares a vector with "disappointing". Texts that are longer than T
are read up to there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from torch import Tensor

from decet.contracts import TokenSpec
from decet.data.documents import Documents, Numbered, documents_of, number_words
from decet.data.pieces import number_pieces, read_pieces, tokenizer_of, train_pieces
from decet.data.texts import Texts
from decet.data.words import has_han
from decet.errors import BadInput, check_range, listed

PAD, UNKNOWN, FIRST = 0, 1, 2  # numbers
LONGEST = 512  # words of a text, where its length is not said
SHARE = 0.98  # of texts that are read whole, where it is not said
MOST_WORDS = 60_000  # of the vocabulary, where its size is not said
PIECES = 8_000  # byte-pair pieces, where their number is not said
MANY = 1_000  # training texts from which a word must stand there twice
STRANGE = 0.5  # share of unknown words from which texts are told to be of another kind

Array = np.ndarray


class TextCodec:
    """Turns texts into tokens. Made by `Texts.fit` or `restore`.

    spec      TokenSpec for the network
    words     of the vocabulary, number 2 first
    counts    of each in training
    stems     begins of words, number 2 first; none where there is no such stream
    pieces    the tokenizer's JSON, where texts are cut into pieces, else None
    around    texts have what the tokenizer puts around each: networks that others trained
    warnings  sentences about the training texts
    remarks   sentences about the texts encoded last
    unseen    always empty: unknown words are told in remarks
    """

    def __init__(
        self,
        texts: Texts,
        words: Sequence[str],
        counts: Array,
        stems: Sequence[str],
        length: int,
        pieces: str | None,
        warnings: Sequence[str],
        around: bool = False,
    ) -> None:
        self.texts, self.words, self.counts, self.pieces = texts, list(words), np.asarray(counts, np.int64), pieces
        self.stems, self.length, self.warnings, self.around = list(stems), length, list(warnings), around
        self.remarks: list[str] = []
        self.unseen: dict[str, int] = {}
        self._known = {word: number for number, word in enumerate(self.words, FIRST)}
        self._known_stems = {stem: number for number, stem in enumerate(self.stems, FIRST)}
        streams = (len(self.stems) + FIRST,) if texts.has_stems else ()
        counted = (0, 0, *self.counts.tolist())
        self.spec = TokenSpec(len(self.words) + FIRST, length, pad=PAD, streams=streams, counts=counted)

    @classmethod
    def learn(cls, texts: Texts, documents: Documents) -> TextCodec:
        """See `Texts.fit`."""
        pieces = None
        if texts.in_pieces:
            size = texts.max_size or PIECES
            normal = {"lower": texts.lower, "accents": texts.accents}
            pieces = read_pieces(texts.tokenizer) if texts.tokenizer else None
            pieces = pieces or train_pieces(documents.texts, size, form=texts.form, **normal)
        found = _numbered(texts, pieces, documents)
        if not len(found.ids):
            raise BadInput(f"none of the {len(documents):,} training texts holds a word.")
        least = texts.min_count or (2 if len(documents) >= MANY and not texts.in_pieces else 1)
        counts = dict(zip(found.words, np.bincount(found.ids, minlength=len(found.words)).tolist(), strict=True))
        words, stems = _kept(texts, counts, least), list[str]()
        if not words:
            raise BadInput(_told_few(counts, least))
        if texts.has_stems:
            stems = _kept(texts, _stems_counted(texts, counts), least)
        sizes = np.diff(found.offsets)
        length = texts.length or int(min(LONGEST, max(1, np.quantile(sizes, SHARE, method="higher"))))
        often = np.array([counts[word] for word in words])
        return cls(texts, words, often, stems, length, pieces, _warnings(sizes, length))

    # ------------------------------------------------------------------------------------------------- encode

    def encode(self, documents: Any) -> tuple[Tensor, ...]:
        """Tokens (N, T) int64, T as in training, padded with 0; and where there are stems the same of them."""
        documents = documents_of(documents)
        found = _numbered(self.texts, self.pieces, documents, self.around)
        sizes = np.diff(found.offsets)
        rows = np.repeat(np.arange(len(sizes)), sizes)
        places = np.arange(len(rows)) - np.repeat(found.offsets[:-1], sizes)
        read = places < self.length
        rows, places, ids = rows[read], places[read], found.ids[read]
        numbers = [_looked_up(self._known, found.words)]
        if self.texts.has_stems:
            numbers.append(_looked_up(self._known_stems, [_stem(word, self.texts.stem) for word in found.words]))
        streams = np.zeros((len(numbers), len(documents), self.length), np.int64)
        for stream, new in zip(streams, numbers, strict=True):
            stream[rows, places] = new[ids]
            if self.around:  # a text that is cut keeps its last piece
                long = np.flatnonzero(sizes > self.length)
                stream[long, -1] = new[found.ids[found.offsets[1:][long] - 1]]
        self._remark(sizes, len(ids), int((streams[0] == UNKNOWN).sum()))
        return tuple(map(torch.from_numpy, streams))

    def stream(self, documents: Any, block: int) -> Iterator[tuple[tuple[Tensor, ...], list[str | None]]]:
        """The inputs of so many texts after so many; no text is unreadable."""
        documents = documents_of(documents)
        inputs = self.encode(documents)
        self.remarks = [*documents.remarks, *self.remarks]
        for begin in range(0, len(documents), block):
            yield tuple(stream[begin : begin + block] for stream in inputs), []

    def words_of(self, text: str) -> list[str]:
        """The words of one text, in order, as far as the network reads them."""
        found = _numbered(self.texts, self.pieces, Documents([text]))
        return [found.words[i] for i in found.ids[: self.length].tolist()]

    def _remark(self, sizes: Array, words: int, unknown: int) -> None:
        """Note what was odd of texts of these sizes, of whose words so many were read, and so many are unknown."""
        self.remarks = []
        if empty := int((sizes == 0).sum()):
            hold = "text holds" if empty == 1 else "texts hold"
            self.remarks.append(f"{empty:,} {hold} no word, of {len(sizes):,}.")
        if unknown > STRANGE * max(1, words):
            self.remarks.append(
                f"{unknown:,} of {words:,} words were not among those of training: the answers say little."
            )

    # --------------------------------------------------------------------------------------- made-up texts, state

    def sample(self, count: int, seed: int) -> Documents:
        """Made-up texts of words of the vocabulary; none of a user's."""
        rng = np.random.Generator(np.random.Philox(seed))
        sizes = rng.integers(1, min(40, self.length) + 1, count)
        blank = "" if self.texts.unit == "characters" else " "
        drawn = [rng.integers(0, len(self.words), size).tolist() for size in sizes]
        return Documents([blank.join(self.words[i] for i in places) for places in drawn])

    def description(self) -> list[dict[str, str]]:
        """One dict (name, kind, detail) for people to read."""
        unit = "pieces" if self.pieces else self.texts.unit or "words"
        detail = f"vocabulary of {len(self.words):,}, most frequent: {listed(self.words[:8])}"
        return [{"name": "text", "kind": f"{unit}, up to {self.length:,}", "detail": detail}]

    def state(self) -> tuple[dict[str, Any], dict[str, Array]]:
        """What `restore` needs: values for JSON, and arrays by name."""
        state = {
            "texts": asdict(self.texts),
            "words": self.words,
            "stems": self.stems,
            "length": self.length,
            "pieces": self.pieces,
            "warnings": self.warnings,
            "around": self.around,
        }
        return state, {"counts": self.counts}

    @classmethod
    def restore(cls, state: Mapping[str, Any], arrays: Mapping[str, Any]) -> TextCodec:
        """The codec whose `state` this is."""
        try:
            words, counts = [str(word) for word in state["words"]], np.asarray(arrays["counts"], np.int64)
            if counts.shape != (len(words),) or len(set(words)) < len(words) or (counts < 0).any():
                raise ValueError("words and counts do not agree")
            texts, stems = Texts(**state["texts"]), [str(stem) for stem in state["stems"]]
            if len(set(stems)) < len(stems) or (stems and not texts.has_stems):
                raise ValueError("stems must be different, and there only where they are read")
            length, pieces = state["length"], state["pieces"]
            check_range("length", length, 1, 1 << 20, whole=True)
            if pieces is not None:
                tokenizer_of(str(pieces))
            warnings = [str(sentence) for sentence in state["warnings"]]
            around = bool(state.get("around", False))  # older folders do not say
            return cls(texts, words, counts, stems, int(length), pieces, warnings, around)
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise BadInput(f"the stored form of the texts does not fit together ({error}).") from error


def _numbered(texts: Texts, pieces: str | None, documents: Documents, around: bool = False) -> Numbered:
    """The words, characters or pieces of documents."""
    if pieces is not None:
        how = ("pieces around" if around else "pieces", pieces)
        return documents.numbered(how, lambda whole: number_pieces(whole, tokenizer_of(pieces), around))
    return documents.numbered(texts.cutting(), lambda whole: number_words(whole, texts.cut()))


def _kept(texts: Texts, counts: Mapping[str, int], least: int) -> list[str]:
    """The words that stand there at least so often, most frequent first."""
    often = [word for word, count in counts.items() if count >= least]
    often.sort(key=lambda word: (-counts[word], word))
    return often[: texts.max_size or MOST_WORDS]


def _told_few(counts: Mapping[str, int], least: int) -> str:
    top = max(counts, key=lambda word: counts[word])
    return (
        f"no word of the training texts stands there {least:,} times (min_count); the most frequent, {top!r}, "
        f"{counts[top]:,} times. Say --inputs.min_count {counts[top]} or less."
    )


def _stem(word: str, letters: int) -> str:
    """The begin of a word."""
    return word[: 1 if has_han(word[0]) else letters]


def _stems_counted(texts: Texts, counts: Mapping[str, int]) -> Counter[str]:
    """How often each stem stands in the training texts."""
    found = Counter[str]()
    for word, count in counts.items():
        found[_stem(word, texts.stem)] += count
    return found


def _looked_up(known: Mapping[str, int], words: Sequence[str]) -> Array:
    """The number of each word (V,)."""
    return np.fromiter((known.get(word, UNKNOWN) for word in words), np.int64, len(words))


def _warnings(sizes: Array, length: int) -> list[str]:
    """Sentences about texts of these numbers of words, read up to `length`."""
    told = empty_told(sizes)
    if longer := int((sizes > length).sum()):
        have = "text has" if longer == 1 else "texts have"
        told.append(
            f"{longer:,} training {have} more than {length:,} words, of {len(sizes):,}, and what follows is not read "
            f"(the longest has {int(sizes.max()):,}). Say inputs=Texts(length=...) (--inputs.length) to read more."
        )
    return told


def empty_told(sizes: Array) -> list[str]:
    """A sentence about training texts without a word, if there are any."""
    empty = int((sizes == 0).sum())
    hold = "text holds" if empty == 1 else "texts hold"
    return [f"{empty:,} training {hold} no word, of {len(sizes):,}: nothing tells them apart."] if empty else []
