"""Prose: texts as one stream of tokens, for what writes: characters, bytes, byte-pair pieces, or words.

Number 0 ends a document. Characters that training did not know are written as their bytes in UTF-8, so that every
text has tokens, and every stream of tokens a text (bytes that are no UTF-8 become the replacement character).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from decet.contracts import TokenSpec
from decet.data.corpus import Numbers
from decet.data.passages import Passages, passages_of
from decet.data.pieces import read_pieces, tokenizer_of, train_pieces
from decet.errors import BadInput, check_choice, check_range, listed

UNITS = ("characters", "bytes", "pieces", "words")
END, BYTES = 0, 256  # the number that ends a document; 1 to 256 are the bytes
LARGE = 10_000_000  # bytes of texts from which they are cut into pieces, where it is not said
PIECES = 4_096  # byte-pair pieces, where their number is not said
SEEN = 1 << 22  # characters that pieces are learned from
GAP = " "  # between words

Array = np.ndarray


@dataclass(frozen=True)
class Prose:
    """How texts are read to learn writing. What is None is found from the training texts.

    unit: "characters", "bytes", "pieces" (byte pairs), or "words" (what stands between blanks); None: characters, of
        more than 10 MB pieces.
    max_size: pieces, or words, at most (4,096 pieces).
    lines: each line is a document of its own, as rows of a table are.
    column: the table's column of texts; None: the one with the longest texts.
    encoding: of files, utf-8 where it is not said; several, as "utf-8,cp1252", are tried in turn.
    tokenizer: a tokenizer.json (Hugging Face's form) that cuts texts into pieces.
    """

    unit: str | None = None
    max_size: int | None = None
    lines: bool = False
    column: str | None = None
    encoding: str | None = None
    tokenizer: str | None = None

    def __post_init__(self) -> None:
        check_choice("unit", self.unit, UNITS)
        check_choice("lines", self.lines, (True, False))
        check_range("max_size", self.max_size, 2, 1 << 24, whole=True)
        if self.tokenizer is not None and self.unit not in (None, "pieces"):
            raise BadInput(f"tokenizer cuts texts into pieces; unit says {self.unit!r}. Keep one.")
        if self.max_size is not None and self.unit in ("characters", "bytes"):
            raise BadInput(f"max_size is for pieces and words; unit says {self.unit!r}. Leave it out.")

    def passages(self, X: Any) -> Passages:
        """What a user passes as texts, to be walked over."""
        return passages_of(X, self.column, self.encoding, flat=self.lines)

    def fit(self, passages: Passages) -> ProseCodec:
        """Learn the vocabulary from the training texts."""
        unit = self.unit or ("pieces" if self.tokenizer or passages.size > LARGE else "characters")
        pieces, known = None, list[str]()
        if unit == "pieces":
            pieces = read_pieces(self.tokenizer) if self.tokenizer else None
            pieces = pieces or train_pieces(
                _first(passages), self.max_size or PIECES, lower=False, form=None, accents=True
            )
        elif unit in ("characters", "words"):
            counts = Counter[str]()
            for piece in passages:
                counts.update(piece if unit == "characters" else _words(piece))
            known = [token for token, _ in counts.most_common(self.max_size)]
        return ProseCodec(self, unit, known, pieces)


class ProseCodec:
    """Turns texts into streams of tokens and back. Made by `Prose.fit` or `restore`.

    spec   TokenSpec for the network
    known  characters or words, from number 257 on
    end    the number that ends a document, 0 but for networks that others trained
    pieces the tokenizer's JSON, where texts are cut into pieces, else None
    """

    def __init__(self, prose: Prose, unit: str, known: Sequence[str], pieces: str | None, end: int = END) -> None:
        self.prose, self.unit, self.known, self.pieces = prose, unit, list(known), pieces
        self.warnings: list[str] = []
        self.remarks: list[str] = []
        self.end = end
        self._numbers = {word: number for number, word in enumerate(self.known, BYTES + 1)}
        self._tokenizer = None if pieces is None else tokenizer_of(pieces)
        size = 1 + BYTES + len(self.known)
        if self._tokenizer is not None:
            size = 1 + max(self._tokenizer.get_vocab().values(), default=0) + 1
        self.spec = TokenSpec(size)

    # ----------------------------------------------------------------------------------------- there and back

    def numbers(self, text: str) -> Array:
        """The tokens of a text (n,) int32."""
        if self._tokenizer is not None:
            return np.array(self._tokenizer.encode(text, add_special_tokens=False).ids, np.int32) + 1
        if self.unit == "bytes":
            return np.frombuffer(text.encode("utf-8", "surrogatepass"), np.uint8).astype(np.int32) + 1
        found, known = list[int](), self._numbers
        for word in text if self.unit == "characters" else _words(text):
            number = known.get(word)
            if number is not None:
                found.append(number)
            else:
                end = "" if self.unit == "characters" else GAP  # of a word, so that two stay two
                found += [byte + 1 for byte in (word + end).encode("utf-8", "surrogatepass")]
        return np.array(found, np.int32)

    def text(self, numbers: Iterable[int]) -> str:
        """The text of tokens; what ends documents is left out."""
        ids = [int(number) for number in numbers if number not in (END, self.end)]
        if self._tokenizer is not None:
            return str(self._tokenizer.decode([number - 1 for number in ids], skip_special_tokens=False))
        parts, raw = list[str](), bytearray()
        for number in ids:
            if number <= BYTES:
                raw.append(number - 1)
                continue
            if raw:
                parts.append(raw.decode("utf-8", "replace"))
                raw.clear()
            parts.append(self.known[number - BYTES - 1])
        if raw:
            parts.append(raw.decode("utf-8", "replace"))
        return _joined(parts) if self.unit == "words" else "".join(parts)

    def texts(self, numbers: Sequence[int]) -> list[str]:
        """The text that each token adds; of a character in several tokens the last one adds it."""
        found, before = list[str](), ""
        for count in range(1, len(numbers) + 1):
            now = self.text(numbers[:count])
            whole = now if count == len(numbers) else now.rstrip("\ufffd")
            found.append(whole[len(before) :])
            before = whole if len(whole) > len(before) else before
        return found

    def stream(self, passages: Passages) -> tuple[Numbers, int]:
        """All tokens of the texts, one document after the other, and the bytes of the texts in UTF-8."""
        ids, size = Numbers(np.int32), 0
        for piece in passages:
            if self.prose.lines:
                for line in piece.split("\n"):
                    if line.strip():
                        size += len(line.encode("utf-8", "surrogatepass")) + 1
                        ids.add(np.append(self.numbers(line), self.end))
            else:
                size += len(piece.encode("utf-8", "surrogatepass"))
                ids.add(self.numbers(piece))
        if not len(ids):
            raise BadInput(f"there is no text in {passages.name}.")
        return ids, size

    def numbers_as(self, other: ProseCodec) -> bool:
        """Whether tokens have the same numbers."""
        ours, theirs = ((codec.unit, codec.known, codec.pieces, codec.end) for codec in (self, other))
        return ours == theirs

    @property
    def begin(self) -> int:
        """What a text without a prompt goes on from: the end of a document, or where there are none, of a line."""
        if self.prose.lines or self.end != END:
            return self.end
        found = self.numbers("\n")
        return int(found[-1]) if len(found) else self.end

    def encode(self, texts: Sequence[str]) -> tuple[Tensor]:
        """Tokens (n, T) int64, ends of documents before texts that are shorter than the longest."""
        found = [self.numbers(text) for text in texts]
        longest = max((len(ids) for ids in found), default=0)
        tokens = np.full((len(found), max(1, longest)), END, np.int64)
        for row, ids in zip(tokens, found, strict=True):
            row[len(row) - len(ids) :] = ids
        return (torch.from_numpy(tokens),)

    # --------------------------------------------------------------------------------------- made-up texts, state

    def sample(self, count: int, seed: int) -> list[str]:
        """Made-up texts of tokens of the vocabulary; none of a user's."""
        rng = np.random.Generator(np.random.Philox(seed))
        low = 1 if self.unit == "bytes" or self.pieces else BYTES + 1
        return [
            self.text(rng.integers(low, self.spec.vocabulary, size).tolist()) for size in rng.integers(4, 33, count)
        ]

    def description(self) -> list[dict[str, str]]:
        """One dict (name, kind, detail) for people to read."""
        detail = f"vocabulary of {self.spec.vocabulary:,}"
        if self.known:
            detail += f", {len(self.known):,} {self.unit}: {listed(map(repr, self.known[:8]))}"
        return [{"name": "text", "kind": self.unit, "detail": detail}]

    def state(self) -> tuple[dict[str, Any], dict[str, Array]]:
        """What `restore` needs: values for JSON, and arrays by name."""
        state = {"prose": asdict(self.prose), "unit": self.unit, "known": self.known, "pieces": self.pieces}
        return state | {"end": self.end}, {}

    @classmethod
    def restore(cls, state: Mapping[str, Any], arrays: Mapping[str, Any]) -> ProseCodec:
        """The codec whose `state` this is."""
        try:
            prose, unit, known = Prose(**state["prose"]), state["unit"], [str(word) for word in state["known"]]
            check_choice("unit", unit, UNITS)
            pieces = state["pieces"]
            if len(set(known)) < len(known) or (unit == "pieces") != isinstance(pieces, str):
                raise ValueError("words and tokenizer do not agree")
            found = cls(prose, unit, known, pieces, state["end"])
            check_range("end", found.end, 0, found.spec.vocabulary - 1, whole=True)
            return found
        except (KeyError, TypeError, ValueError) as error:
            raise BadInput(f"the stored form of the texts does not fit together ({error}).") from error


def _words(text: str) -> list[str]:
    """What stands between blanks, and line ends."""
    lines = text.split("\n")
    found = list[str]()
    for number, line in enumerate(lines):
        if number:
            found.append("\n")
        found += line.split()
    return found


def _joined(words: Sequence[str]) -> str:
    """Words apart by blanks, but for line ends; more words never change what is there already."""
    text = ""
    for word in words:
        apart = text and word != "\n" and not text[-1].isspace()
        text += f"{GAP}{word}" if apart else word
    return text


def _first(passages: Passages) -> list[str]:
    """The first pieces of texts, so many as a tokenizer is learned from."""
    found, size = list[str](), 0
    for piece in passages:
        found.append(piece)
        size += len(piece)
        if size > SEEN:
            break
    return found
