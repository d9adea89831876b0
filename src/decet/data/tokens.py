"""Texts as tokens (N, T) int64: 0 padding, 1 a word that training did not know, 2 and above the words of training.

The words stand in order of how frequent they are. Texts that are longer than T are read up to there.
"""

from __future__ import annotations

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
    pieces    the tokenizer's JSON, where texts are cut into pieces, else None
    warnings  sentences about the training texts
    remarks   sentences about the texts encoded last
    unseen    always empty: unknown words are told in remarks
    """

    def __init__(
        self,
        texts: Texts,
        words: Sequence[str],
        counts: Array,
        length: int,
        pieces: str | None,
        warnings: Sequence[str],
    ) -> None:
        self.texts, self.words, self.counts, self.pieces = texts, list(words), np.asarray(counts, np.int64), pieces
        self.length, self.warnings = length, list(warnings)
        self.remarks: list[str] = []
        self.unseen: dict[str, int] = {}
        self._known = {word: number for number, word in enumerate(self.words, FIRST)}
        self.spec = TokenSpec(len(self.words) + FIRST, length, pad=PAD, counts=(0, 0, *self.counts.tolist()))

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
        kept, counts = _vocabulary(texts, found, len(documents))
        sizes = np.diff(found.offsets)
        length = texts.length or int(min(LONGEST, max(1, np.quantile(sizes, SHARE, method="higher"))))
        words = [found.words[i] for i in kept.tolist()]
        return cls(texts, words, counts, length, pieces, _warnings(sizes, length))

    # ------------------------------------------------------------------------------------------------- encode

    def encode(self, documents: Any) -> tuple[Tensor]:
        """Tokens (N, T) int64, T as in training, padded with 0."""
        documents = documents_of(documents)
        found = _numbered(self.texts, self.pieces, documents)
        known = self._known
        new = np.fromiter((known.get(word, UNKNOWN) for word in found.words), np.int64, len(found.words))
        numbers, sizes = new[found.ids], np.diff(found.offsets)
        rows = np.repeat(np.arange(len(sizes)), sizes)
        places = np.arange(len(numbers)) - np.repeat(found.offsets[:-1], sizes)
        read = places < self.length
        tokens = np.zeros((len(documents), self.length), np.int64)
        tokens[rows[read], places[read]] = numbers[read]
        self._remark(numbers, sizes)
        return (torch.from_numpy(tokens),)

    def stream(self, documents: Any, block: int) -> Iterator[tuple[tuple[Tensor], list[str | None]]]:
        """The inputs of so many texts after so many; no text is unreadable."""
        documents = documents_of(documents)
        (tokens,) = self.encode(documents)
        self.remarks = [*documents.remarks, *self.remarks]
        for begin in range(0, len(tokens), block):
            yield (tokens[begin : begin + block],), []

    def words_of(self, text: str) -> list[str]:
        """The words of one text, in order, as far as the network reads them."""
        found = _numbered(self.texts, self.pieces, Documents([text]))
        return [found.words[i] for i in found.ids[: self.length].tolist()]

    def _remark(self, numbers: Array, sizes: Array) -> None:
        self.remarks = []
        if empty := int((sizes == 0).sum()):
            hold = "text holds" if empty == 1 else "texts hold"
            self.remarks.append(f"{empty:,} {hold} no word, of {len(sizes):,}.")
        unknown = int((numbers == UNKNOWN).sum())
        if unknown > STRANGE * max(1, len(numbers)):
            self.remarks.append(
                f"{unknown:,} of {len(numbers):,} words were not among those of training: the answers say little."
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
            "length": self.length,
            "pieces": self.pieces,
            "warnings": self.warnings,
        }
        return state, {"counts": self.counts}

    @classmethod
    def restore(cls, state: Mapping[str, Any], arrays: Mapping[str, Any]) -> TextCodec:
        """The codec whose `state` this is."""
        try:
            words, counts = [str(word) for word in state["words"]], np.asarray(arrays["counts"], np.int64)
            if counts.shape != (len(words),) or len(set(words)) < len(words) or (counts < 0).any():
                raise ValueError("words and counts do not agree")
            length, pieces = state["length"], state["pieces"]
            check_range("length", length, 1, 1 << 20, whole=True)
            if pieces is not None:
                tokenizer_of(str(pieces))
            return cls(Texts(**state["texts"]), words, counts, int(length), pieces, [str(w) for w in state["warnings"]])
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise BadInput(f"the stored form of the texts does not fit together ({error}).") from error


def _numbered(texts: Texts, pieces: str | None, documents: Documents) -> Numbered:
    """The words, characters or pieces of documents."""
    if pieces is not None:
        return documents.numbered(("pieces", pieces), lambda whole: number_pieces(whole, tokenizer_of(pieces)))
    return documents.numbered(texts.cutting(), lambda whole: number_words(whole, texts.cut()))


def _vocabulary(texts: Texts, found: Numbered, documents: int) -> tuple[Array, Array]:
    """The places of the words that are kept, most frequent first, and how often each stands there."""
    counts = np.bincount(found.ids, minlength=len(found.words))
    least = texts.min_count or (2 if documents >= MANY and not texts.in_pieces else 1)
    kept = np.flatnonzero(counts >= least).tolist()
    if not kept:
        top = int(counts.argmax())
        raise BadInput(
            f"no word of the training texts stands there {least:,} times (min_count); the most frequent, "
            f"{found.words[top]!r}, {int(counts[top]):,} times. Say --inputs.min_count {int(counts[top])} or less."
        )
    kept.sort(key=lambda i: (-counts[i], found.words[i]))
    kept = kept[: texts.max_size or MOST_WORDS]
    return np.array(kept), counts[kept]


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
