"""Texts: documents of any length turned into numbers of words, or into a bag of word pairs.

`Texts` holds the settings; `Texts.fit` looks at the training texts and gives a codec. A `TextCodec` encodes to tokens
(N, T) int64: 0 padding, 1 a word that training did not know, 2 and above the words of training, most frequent first. A
`BagCodec` encodes to a sparse table (N, F): each word and pair of neighbours counts in the column its hash names, by

    (1 + log tf) * idf,   idf = log((1 + N) / (1 + df)) + 1,   each text's numbers scaled to length 1

References: hashing of features, Weinberger et al., 0902.2206; byte-pair pieces, Sennrich et al., 1508.07909.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from decet.contracts import TableSpec, TokenSpec
from decet.data.words import FORMS, cutter
from decet.errors import BadInput, check_choice, check_range, listed
from decet.tensors import Sparse

UNITS = ("words", "characters", "pieces")
PAD, UNKNOWN, FIRST = 0, 1, 2  # numbers
LONGEST = 512  # words of a text, where its length is not said
SHARE = 0.98  # of texts that are read whole, where it is not said
MOST_WORDS = 60_000  # of the vocabulary, where its size is not said
PIECES = 8_000  # byte-pair pieces, where their number is not said

Array = np.ndarray


@dataclass(frozen=True)
class Texts:
    """How texts are read. What is None is found from the training texts.

    unit: "words" (Chinese ones cut by a dictionary), "characters", or "pieces" (byte pairs).
    lower: read in lower case.
    form: Unicode's normal form, "NFC" or "NFKC"; None: as it is.
    accents: keep them (é), or take them off (e).
    joined: signs that hold words together, as "_-".
    min_count: words that stand less often in training are unknown.
    max_size: words of the vocabulary, at most, or byte-pair pieces.
    length: words of a text that are read, from its begin; None: so many as 98 % of the texts have, at most 512.
    pairs: count pairs of neighbours too, where a text is read as a bag.
    buckets: columns of the bag.
    phrases: times that pairs of words which often stand together become one word, where vectors are learned.
    threshold: score from which they do.
    column: the table's column of texts; None: the longest.
    encoding: of files; several, as "utf-8,cp1252", are tried in turn.
    tokenizer: a tokenizer.json (Hugging Face's form) that cuts texts into pieces.
    """

    unit: str | None = None
    lower: bool = True
    form: str | None = "NFC"
    accents: bool = True
    joined: str = ""
    min_count: int | None = None
    max_size: int | None = None
    length: int | None = None
    pairs: bool = True
    buckets: int = 1 << 16
    phrases: int = 0
    threshold: float = 10.0
    column: str | None = None
    encoding: str | None = None
    tokenizer: str | None = None

    held_out: ClassVar[int | None] = None

    def __post_init__(self) -> None:
        check_choice("unit", self.unit, UNITS)
        check_choice("form", self.form, FORMS)
        for name in ("lower", "accents", "pairs"):
            check_choice(name, getattr(self, name), (True, False))
        check_range("min_count", self.min_count, 1, whole=True)
        check_range("max_size", self.max_size, 2, whole=True)
        check_range("length", self.length, 1, 1 << 20, whole=True)
        check_range("buckets", self.buckets, 16, 1 << 24, whole=True)
        check_range("phrases", self.phrases, 0, 4, whole=True)
        check_range("threshold", self.threshold, 0.0)
        if self.tokenizer is not None and self.unit not in (None, "pieces"):
            raise BadInput(f"tokenizer cuts texts into pieces; unit says {self.unit!r}. Keep one.")

    def cut(self) -> Callable[[str], list[str]]:
        """Text to words, or to characters."""
        unit = "characters" if self.unit == "characters" else "words"
        return cutter(unit, lower=self.lower, form=self.form, accents=self.accents, joined=self.joined)

    def fit(self, documents: Documents, rows: Array | None, reads: Sequence[type] = (TokenSpec,)) -> Any:
        """Learn the vocabulary from the training texts (`rows`, positions; None = all).

        reads: the specs that the family reads, in order; texts offer tokens and a bag.
        """
        chosen = documents if rows is None else documents.take(rows)
        view = next((spec for spec in reads if spec in (TokenSpec, TableSpec)), TokenSpec)
        return BagCodec.learn(self, chosen) if view is TableSpec else TextCodec.learn(self, chosen)

    def groups(self, documents: Documents) -> Array:
        """A group id a text (n,), equal for equal texts, however they are spaced."""
        seen: dict[bytes, int] = {}
        groups = np.empty(len(documents), np.int64)
        for i, text in enumerate(documents.texts):
            key = hashlib.blake2b(" ".join(text.split()).encode("utf-8", "surrogatepass"), digest_size=16).digest()
            groups[i] = seen.setdefault(key, i)
        return groups

    def notes(self, documents: Documents, y: Any, codec: Any, copies: Array | None = None) -> list[str]:
        """Sentences about what is legal but surely wrong. `copies`: what `groups` gave, where known."""
        sentences = [*documents.remarks, *codec.warnings]
        groups = self.groups(documents) if copies is None else copies
        repeats = len(groups) - len(np.unique(groups))
        if repeats:
            are = "is a copy" if repeats == 1 else "are copies"
            sentences.append(
                f"{repeats:,} of {len(groups):,} texts {are} of an earlier one; decet keeps copies on one side of its "
                "splits, a test set of your own may not."
            )
        return sentences


class Documents:
    """A sequence of texts.

    shape    (n,)
    texts    list of str
    names    what messages call each: the file's name, or "text 17"
    files    each one's file; None where they are no files
    remarks  sentences about what was found on reading
    """

    def __init__(self, texts: Sequence[str], files: Sequence[str] | None = None, remarks: Sequence[str] = ()) -> None:
        self.texts, self.remarks = list(texts), list(remarks)
        self.files = None if files is None else list(files)

    @property
    def shape(self) -> tuple[int]:
        return (len(self.texts),)

    @property
    def names(self) -> list[str]:
        return self.files or [f"text {i}" for i in range(len(self.texts))]

    def __len__(self) -> int:
        return len(self.texts)

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, (int, np.integer)):
            return self.texts[key]
        return self.take(np.arange(len(self))[key])

    def take(self, rows: Any) -> Documents:
        """The texts at these positions (or where a mask is True), in that order."""
        places = np.arange(len(self))[np.asarray(rows)].tolist()
        files = None if self.files is None else [self.files[i] for i in places]
        return Documents([self.texts[i] for i in places], files, self.remarks)


class _Codec:
    """What both codecs share."""

    texts: Texts
    warnings: list[str]

    def __init__(self) -> None:
        self.remarks: list[str] = []
        self.unseen: dict[str, int] = {}

    def encode(self, documents: Any) -> tuple[Any, ...]:
        raise NotImplementedError

    def stream(self, documents: Documents, block: int) -> Iterator[tuple[tuple[Any, ...], list[str | None]]]:
        """The inputs of so many texts after so many; no text is unreadable."""
        documents = documents_of(documents)
        remarks = list[str]()
        for begin in range(0, len(documents), block):
            inputs = self.encode(documents[begin : begin + block])
            remarks = remarks or self.remarks
            self.remarks = remarks
            yield inputs, []


def documents_of(X: Any) -> Documents:
    """A list of texts, or one that is `Documents` already."""
    return X if isinstance(X, Documents) else Documents(X)


class TextCodec(_Codec):
    """Turns texts into tokens. Made by `Texts.fit` or `restore`.

    spec      TokenSpec for the network
    words     of the vocabulary, number 2 first
    counts    of each in training
    warnings  sentences about the training texts
    remarks   sentences about the texts encoded last
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
        super().__init__()
        self.texts, self.words, self.counts, self.pieces = texts, list(words), np.asarray(counts, np.int64), pieces
        self.warnings = list(warnings)
        self.numbers = {word: number for number, word in enumerate(self.words, FIRST)}
        self._cut = texts.cut() if pieces is None else _piece_cutter(pieces)
        self.spec = TokenSpec(len(self.words) + FIRST, length, pad=PAD, counts=(0, 0, *self.counts.tolist()))

    @classmethod
    def learn(cls, texts: Texts, documents: Documents) -> TextCodec:
        """See `Texts.fit`."""
        pieces = None
        if texts.tokenizer is not None:
            pieces = _read_tokenizer(texts.tokenizer)
        elif texts.unit == "pieces":
            pieces = _train_pieces(documents.texts, texts)
        cut = texts.cut() if pieces is None else _piece_cutter(pieces)
        counts, sizes = Counter[str](), np.empty(len(documents), np.int64)
        for i, text in enumerate(documents.texts):
            words = [word for word in cut(text) if word != "\n"]
            sizes[i] = len(words)
            counts.update(words)
        if not counts:
            raise BadInput(f"none of the {len(documents):,} training texts holds a word.")
        least = texts.min_count or (2 if len(documents) >= 1_000 and pieces is None else 1)
        kept = sorted((pair for pair in counts.items() if pair[1] >= least), key=lambda pair: (-pair[1], pair[0]))
        if not kept:
            raise BadInput(
                f"no word of the training texts stands there {least:,} times (min_count); the most frequent, "
                f"{max(counts, key=lambda word: counts[word])!r}, {max(counts.values()):,} times. Say a lower min_count."
            )
        kept = kept[: texts.max_size or MOST_WORDS]
        length = texts.length or int(min(LONGEST, max(1, np.quantile(sizes, SHARE, method="higher"))))
        warnings = []
        if empty := int((sizes == 0).sum()):
            warnings.append(
                f"{empty:,} of {len(documents):,} training texts hold no word; they are all alike to a network."
            )
        if longer := int((sizes > length).sum()):
            warnings.append(
                f"{longer:,} of {len(documents):,} training texts have more than {length:,} words and are read up to there "
                f"(the longest has {int(sizes.max()):,}). Say --inputs.length to read more."
            )
        return cls(texts, [w for w, _ in kept], np.array([n for _, n in kept]), length, pieces, warnings)

    def encode(self, documents: Any) -> tuple[Tensor]:
        """Tokens (N, T) int64, T as in training, padded with 0."""
        documents = documents_of(documents)
        length = self.spec.length or 1
        tokens = np.zeros((len(documents), length), np.int64)
        known, empty = self.numbers.get, 0
        for i, text in enumerate(documents.texts):
            numbers = [known(word, UNKNOWN) for word in self._cut(text) if word != "\n"][:length]
            tokens[i, : len(numbers)] = numbers
            empty += not numbers
        self.remarks = [f"{empty:,} of {len(documents):,} texts hold no word."] if empty else []
        return (torch.from_numpy(tokens),)

    def pieces_of(self, text: str) -> list[str]:
        """The words of one text, in order, as the network reads them."""
        return [word for word in self._cut(text) if word != "\n"][: self.spec.length]

    def sample(self, count: int, seed: int) -> Documents:
        """Made-up texts of words of the vocabulary; none of a user's."""
        rng = np.random.Generator(np.random.Philox(seed))
        sizes = rng.integers(1, min(40, self.spec.length or 1) + 1, count)
        blank = "" if self.texts.unit == "characters" else " "
        return Documents([blank.join(self.words[i] for i in rng.integers(0, len(self.words), n)) for n in sizes])

    def description(self) -> list[dict[str, str]]:
        """One dict (name, kind, detail) for people to read."""
        unit = self.texts.unit or ("pieces" if self.pieces else "words")
        detail = f"vocabulary of {len(self.words):,}, most frequent: {listed(self.words[:8])}"
        return [{"name": "text", "kind": f"{unit}, up to {self.spec.length:,}", "detail": detail}]

    def state(self) -> tuple[dict[str, Any], dict[str, Array]]:
        """What `restore` needs: values for JSON, and arrays by name."""
        state = {
            "texts": asdict(self.texts),
            "words": self.words,
            "length": self.spec.length,
            "pieces": self.pieces,
            "warnings": self.warnings,
        }
        return state, {"counts": self.counts}

    @classmethod
    def restore(cls, state: Mapping[str, Any], arrays: Mapping[str, Any]) -> TextCodec:
        """The codec whose `state` this is."""
        try:
            words, counts = [str(word) for word in state["words"]], np.asarray(arrays["counts"], np.int64)
            if len(words) != len(counts) or len(set(words)) < len(words) or (counts < 0).any():
                raise ValueError("words and counts do not agree")
            texts = Texts(**state["texts"])
            length = int(state["length"])
            check_range("length", length, 1, 1 << 20, whole=True)
            return cls(texts, words, counts, length, state["pieces"], [str(w) for w in state["warnings"]])
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise BadInput(f"the stored form of the texts does not fit together ({error}).") from error


# --------------------------------------------------------------------------------------------------- byte-pair pieces


def _train_pieces(texts: Sequence[str], settings: Texts) -> str:
    """Byte-pair pieces of the training texts, as JSON in Hugging Face's form."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    steps = [*([getattr(normalizers, settings.form)()] if settings.form else [])]
    steps += [normalizers.Lowercase()] if settings.lower else []
    tokenizer.normalizer = normalizers.Sequence(steps)
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=settings.max_size or PIECES,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return str(tokenizer.to_str())


def _read_tokenizer(path: str) -> str:
    try:
        raw = Path(path).expanduser().read_text(encoding="utf-8")
        json.loads(raw)
    except (OSError, ValueError) as error:
        raise BadInput(f"tokenizer {path!r} cannot be read as a tokenizer.json ({error}).") from error
    _piece_cutter(raw)
    return raw


def _piece_cutter(raw: str) -> Callable[[str], list[str]]:
    from tokenizers import Tokenizer

    try:
        tokenizer = Tokenizer.from_str(raw)
    except Exception as error:  # noqa: BLE001  the library raises plain Exception for what it cannot read
        raise BadInput(f"the tokenizer is no tokenizer.json that can be read ({error}).") from error
    return lambda text: list(tokenizer.encode(text, add_special_tokens=False).tokens)


# ---------------------------------------------------------------------------------------------------------------- bag


class BagCodec(_Codec):
    """Turns texts into sparse rows of hashed words and pairs. Made by `Texts.fit` or `restore`.

    spec  TableSpec for the network     idf  (buckets,) weight of each column
    """

    def __init__(self, texts: Texts, idf: Array, warnings: Sequence[str] = ()) -> None:
        super().__init__()
        self.texts, self.idf, self.warnings = texts, np.asarray(idf, np.float32), list(warnings)
        self._cut = texts.cut()
        self.spec = TableSpec(numbers=texts.buckets, sparse=True)

    @classmethod
    def learn(cls, texts: Texts, documents: Documents) -> BagCodec:
        """See `Texts.fit`."""
        if texts.unit == "pieces" or texts.tokenizer is not None:
            raise BadInput(
                "a bag of words is made of words or characters, not of pieces. Leave unit and tokenizer out."
            )
        codec = cls(texts, np.ones(texts.buckets))
        offsets, columns, _ = codec._counted(documents)
        if not len(columns):
            raise BadInput(f"none of the {len(documents):,} training texts holds a word.")
        found = np.bincount(columns, minlength=texts.buckets)  # each column once a text
        idf = np.log((1 + len(documents)) / (1 + found)) + 1
        empty = int((np.diff(offsets) == 0).sum())
        told = (
            [f"{empty:,} of {len(documents):,} training texts hold no word; they are all alike to a network."]
            if empty
            else []
        )
        return cls(texts, idf, told)

    def _counted(self, documents: Documents) -> tuple[Array, Array, Array]:
        """Rows of counts in CSR form, each column once a row."""
        from sklearn.utils import murmurhash3_32

        known: dict[str, int] = {}
        offsets, columns, counts = [0], list[Array](), list[Array]()
        for text in documents.texts:
            words = [word for word in self._cut(text) if word != "\n"]
            terms = words + [f"{a} {b}" for a, b in zip(words, words[1:], strict=False)] if self.texts.pairs else words
            for term in terms:
                if term not in known:
                    known[term] = murmurhash3_32(term, positive=True) % self.texts.buckets
            places, times = np.unique(np.array([known[term] for term in terms], np.int64), return_counts=True)
            columns.append(places)
            counts.append(times)
            offsets.append(offsets[-1] + len(places))
        empty = np.empty(0, np.int64)
        return np.array(offsets, np.int64), np.concatenate([empty, *columns]), np.concatenate([empty, *counts])

    def encode(self, documents: Any) -> tuple[Sparse, Tensor]:
        """The weighted counts as `Sparse` (N, buckets), and no categories (N, 0)."""
        documents = documents_of(documents)
        offsets, columns, counts = self._counted(documents)
        values = (1 + np.log(counts)) * self.idf[columns]
        lengths = np.sqrt(np.add.reduceat(np.append(values**2, 0.0), np.minimum(offsets[:-1], len(values))))
        sizes = np.diff(offsets)
        values = values / np.repeat(np.where(sizes > 0, lengths, 1.0), sizes)
        empty = int((sizes == 0).sum())
        self.remarks = [f"{empty:,} of {len(documents):,} texts hold no word."] if empty else []
        sparse = Sparse(
            torch.from_numpy(offsets),
            torch.from_numpy(columns),
            torch.from_numpy(values.astype(np.float32)),
            self.texts.buckets,
        )
        return sparse, torch.empty((len(documents), 0), dtype=torch.int64)

    def sample(self, count: int, seed: int) -> Documents:
        """Made-up texts of made-up words."""
        rng = np.random.Generator(np.random.Philox(seed))
        letters = np.array(list("abcdefghijklmnopqrstuvwxyz"))
        words = ["".join(letters[rng.integers(0, 26, rng.integers(2, 9))]) for _ in range(200)]
        return Documents([" ".join(words[i] for i in rng.integers(0, 200, n)) for n in rng.integers(1, 40, count)])

    def description(self) -> list[dict[str, str]]:
        """One dict (name, kind, detail) for people to read."""
        what = "words and pairs of words" if self.texts.pairs else "words"
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
