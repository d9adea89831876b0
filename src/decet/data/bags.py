"""Texts as bags of words, a sparse table (N, F): each word and pair of neighbours in the column that its hash names.

    (1 + log tf) * idf,   idf = log((1 + N) / (1 + df)) + 1,   each text's numbers scaled to length 1

This is what scikit-learn's HashingVectorizer and TfidfTransformer (sublinear_tf) give, of decet's words.

Reference: Weinberger et al., 0902.2206 (hashing of features, here without signs).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from torch import Tensor

from decet.contracts import TableSpec
from decet.data.documents import Documents, Numbered, documents_of, number_words
from decet.data.resident import taken
from decet.data.texts import Texts
from decet.data.tokens import empty_told
from decet.errors import BadInput
from decet.tensors import Sparse

Array = np.ndarray


class BagCodec:
    """Turns texts into sparse rows of hashed words and pairs. Made by `Texts.fit` or `restore`.

    spec      TableSpec for the network
    idf       (F,) weight of each column
    warnings  sentences about the training texts
    remarks   sentences about the texts encoded last
    unseen    always empty: a hash has no unknown words
    """

    def __init__(self, texts: Texts, idf: Array, warnings: Sequence[str] = ()) -> None:
        self.texts, self.idf, self.warnings = texts, np.asarray(idf, np.float32), list(warnings)
        self.remarks: list[str] = []
        self.unseen: dict[str, int] = {}
        self.spec = TableSpec(numbers=texts.buckets, sparse=True)

    @classmethod
    def learn(cls, texts: Texts, documents: Documents) -> BagCodec:
        """See `Texts.fit`."""
        if texts.in_pieces:
            raise BadInput("a bag is made of words or characters, not of pieces. Leave unit and tokenizer out.")
        counts = _counts(texts, documents)
        if not len(counts.columns):
            raise BadInput(f"none of the {len(documents):,} training texts holds a word.")
        found = np.bincount(counts.columns.numpy(), minlength=texts.buckets)  # texts that have it
        idf = np.log((1 + len(documents)) / (1 + found)) + 1
        return cls(texts, idf, empty_told(np.diff(counts.offsets.numpy())))

    # ------------------------------------------------------------------------------------------------- encode

    def encode(self, documents: Any) -> tuple[Sparse, Tensor]:
        """The weighted counts as `Sparse` (N, F), and no categories (N, 0)."""
        documents = documents_of(documents)
        counts = _counts(self.texts, documents)
        columns, sizes = counts.columns.numpy(), np.diff(counts.offsets.numpy())
        values = (1 + np.log(counts.values.numpy())) * self.idf[columns]
        rows = np.repeat(np.arange(len(sizes)), sizes)
        lengths = np.sqrt(np.bincount(rows, values**2, minlength=len(sizes)))
        scaled = torch.from_numpy((values / lengths[rows]).astype(np.float32))
        empty = int((sizes == 0).sum())
        hold = "text holds" if empty == 1 else "texts hold"
        self.remarks = [f"{empty:,} {hold} no word, of {len(sizes):,}."] if empty else []
        sparse = Sparse(counts.offsets, counts.columns, scaled, self.texts.buckets)
        return sparse, torch.empty((len(documents), 0), dtype=torch.int64)

    def stream(self, documents: Any, block: int) -> Iterator[tuple[tuple[Sparse, Tensor], list[str | None]]]:
        """The inputs of so many texts after so many; no text is unreadable."""
        documents = documents_of(documents)
        inputs = self.encode(documents)
        self.remarks = [*documents.remarks, *self.remarks]
        for begin in range(0, len(inputs[0]), block):
            part: Any = taken(inputs, torch.arange(begin, min(begin + block, len(inputs[0]))))
            yield part, []

    # --------------------------------------------------------------------------------------- made-up texts, state

    def sample(self, count: int, seed: int) -> Documents:
        """Made-up texts of made-up words."""
        rng = np.random.Generator(np.random.Philox(seed))
        letters = np.array(list("abcdefghijklmnopqrstuvwxyz"))
        words = ["".join(letters[rng.integers(0, 26, size)]) for size in rng.integers(2, 9, 200)]
        return Documents([" ".join(words[i] for i in rng.integers(0, 200, n)) for n in rng.integers(1, 40, count)])

    def description(self) -> list[dict[str, str]]:
        """One dict (name, kind, detail) for people to read."""
        unit = self.texts.unit or "words"
        what = f"{unit} and their pairs" if self.texts.pairs else unit
        return [
            {"name": "text", "kind": f"bag of {what}", "detail": f"hashed to {self.texts.buckets:,} columns, tf-idf"}
        ]

    def state(self) -> tuple[dict[str, Any], dict[str, Array]]:
        """What `restore` needs: values for JSON, and arrays by name."""
        return {"texts": asdict(self.texts), "warnings": self.warnings}, {"idf": self.idf}

    @classmethod
    def restore(cls, state: Mapping[str, Any], arrays: Mapping[str, Any]) -> BagCodec:
        """The codec whose `state` this is."""
        try:
            texts, idf = Texts(**state["texts"]), np.asarray(arrays["idf"], np.float32)
            if idf.shape != (texts.buckets,) or not np.isfinite(idf).all():
                raise ValueError("idf must be one finite number a column")
            return cls(texts, idf, [str(w) for w in state["warnings"]])
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise BadInput(f"the stored form of the texts does not fit together ({error}).") from error


def _counts(texts: Texts, documents: Documents) -> Sparse:
    """How often each column stands in each text; found once for all texts of the source."""
    settings = (*texts.cutting(), texts.pairs, texts.buckets)
    whole: Sparse = documents.once("bag", settings, lambda: _counted(texts, documents.whole()))
    return whole.rows(torch.from_numpy(documents.rows))


def _counted(texts: Texts, documents: Documents) -> Sparse:
    found = documents.numbered(texts.cutting(), lambda whole: number_words(whole, texts.cut()))
    rows = np.repeat(np.arange(len(documents)), np.diff(found.offsets))
    columns = _hashed(found.words, texts.buckets)[found.ids]
    if texts.pairs and len(rows):
        inside = rows[1:] == rows[:-1]  # both in one text
        columns = np.concatenate([columns, _pairs(found, inside, texts.buckets)])
        rows = np.concatenate([rows, rows[1:][inside]])
    cells, counts = np.unique(rows * texts.buckets + columns, return_counts=True)
    rows, columns = np.divmod(cells, texts.buckets)
    offsets = np.searchsorted(rows, np.arange(len(documents) + 1))
    return Sparse(
        torch.from_numpy(offsets.astype(np.int64)),
        torch.from_numpy(columns.astype(np.int64)),
        torch.from_numpy(counts.astype(np.float32)),
        texts.buckets,
    )


def _pairs(found: Numbered, inside: Array, buckets: int) -> Array:
    """The column of each pair of neighbours that are in one text."""
    size = len(found.words)
    codes = (found.ids[:-1].astype(np.int64) * size + found.ids[1:])[inside]
    pairs, places = np.unique(codes, return_inverse=True)
    words, firsts, seconds = found.words, (pairs // size).tolist(), (pairs % size).tolist()
    return _hashed([f"{words[a]} {words[b]}" for a, b in zip(firsts, seconds, strict=True)], buckets)[places]


def _hashed(terms: Sequence[str], buckets: int) -> Array:
    """The column of each term, by scikit-learn's hash."""
    from sklearn.utils import murmurhash3_32

    codes = np.fromiter(map(murmurhash3_32, terms), np.int64, len(terms))
    return np.abs(codes) % buckets
