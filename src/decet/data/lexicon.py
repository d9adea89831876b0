"""A lexicon: the words that vectors are learned of, by number, and the character n-grams they are made of.

The n-grams of a word are those of "<word>", counted in characters. Each is hashed by FNV-1a over its UTF-8 bytes, taken
as signed, into one of so many rows; so a word that was never seen still shares rows with those it looks like.

Reference: Bojanowski et al., 1607.04606; the hash is fastText's, so that files agree.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from torch import Tensor

from decet.contracts import TokenSpec
from decet.data.corpus import JOIN
from decet.data.texts import Texts
from decet.errors import BadInput, listed

BASIS, PRIME = 2_166_136_261, 16_777_619

Array = np.ndarray


class Lexicon:
    """Turns words into the numbers of their rows. Made from a corpus, or by `restore`.

    spec      TokenSpec: how many words there are
    words     by number, most frequent first; those that joined later stand after them
    counts    of each in the corpus
    grams     shortest and longest n-gram, or () where words are their own rows
    buckets   rows that n-grams share, after those of the words
    read      words read in all
    """

    def __init__(
        self,
        texts: Texts,
        words: Sequence[str],
        counts: Array,
        grams: tuple[int, ...],
        buckets: int,
        read: int,
        warnings: Sequence[str] = (),
    ) -> None:
        self.texts, self.words, self.counts = texts, list(words), np.asarray(counts, np.int64)
        self.grams, self.buckets, self.read, self.warnings = tuple(grams), buckets, read, list(warnings)
        self.numbers = {word: number for number, word in enumerate(self.words)}
        self.remarks: list[str] = []
        self.unseen: dict[str, int] = {}
        self.spec = TokenSpec(len(self.words), 1, counts=tuple(self.counts.tolist()))

    @property
    def shares(self) -> Array:
        """Of each word in the corpus (V,)."""
        shares: Array = self.counts / max(1, int(self.counts.sum()))
        return shares

    def rows_of(self, word: str) -> list[int]:
        """The rows that a word's vector is the mean of: its own, where it is known, and its n-grams'."""
        number = self.numbers.get(word)
        own = [] if number is None else [number]
        if not self.grams:
            return own
        shortest, longest = self.grams
        return own + [len(self.words) + code % self.buckets for code in gram_codes(word, shortest, longest)]

    def rows(self) -> tuple[Array, Array] | None:
        """Where each word's rows begin (V + 1,) int64, and the rows int32; None where words are their own."""
        if not self.grams:
            return None
        each = [self.rows_of(word) for word in self.words]
        begins = np.cumsum([0, *map(len, each)])
        return begins, np.fromiter((row for rows in each for row in rows), np.int32, int(begins[-1]))

    def joined(self, words: Sequence[str]) -> list[str]:
        """Words of a text, those that are a phrase here as the one word that training made of them."""
        for _ in range(self.texts.phrases):
            found, last = list[str](), False
            for word in words:
                pair = f"{found[-1]}{JOIN}{word}" if found and not last else ""
                last = pair in self.numbers
                if last:
                    found[-1] = pair
                else:
                    found.append(word)
            words = found
        return list(words)

    # ------------------------------------------------------------------------------------------------- encode

    def encode(self, words: Sequence[str]) -> tuple[Tensor, Tensor]:
        """The rows of all words end to end, and where each word's begin. Raises BadInput for a word without any."""
        each = [self.rows_of(word) for word in words]
        lacking = [word for word, rows in zip(words, each, strict=True) if not rows]
        if lacking:
            raise BadInput(f"words that are not known: {listed(map(repr, lacking))}.")
        begins = np.cumsum([0, *map(len, each)])[:-1]
        rows = torch.tensor([row for rows in each for row in rows], dtype=torch.int64)
        return rows, torch.from_numpy(begins.astype(np.int64))

    def stream(self, words: Sequence[str], block: int) -> Iterator[tuple[tuple[Tensor, Tensor], list[str | None]]]:
        """The inputs of so many words after so many."""
        for begin in range(0, len(words), block):
            yield self.encode(words[begin : begin + block]), []

    def sample(self, count: int, seed: int) -> list[str]:
        """Words of the lexicon, spread evenly, whatever the seed."""
        places = np.linspace(0, len(self.words) - 1, count).astype(np.int64)
        return [self.words[i] for i in places]

    def description(self) -> list[dict[str, str]]:
        """One dict (name, kind, detail) for people to read."""
        detail = f"{len(self.words):,} words, most frequent: {listed(self.words[:8])}"
        kind = f"words and their n-grams of {self.grams[0]} to {self.grams[1]}" if self.grams else "words"
        return [{"name": "word", "kind": kind, "detail": detail}]

    def state(self) -> tuple[dict[str, Any], dict[str, Array]]:
        """What `restore` needs: values for JSON, and arrays by name."""
        state = {
            "texts": asdict(self.texts),
            "grams": list(self.grams),
            "buckets": self.buckets,
            "read": self.read,
            "warnings": self.warnings,
        }
        text = "\n".join(self.words).encode("utf-8", "surrogatepass")
        return state, {"words": np.frombuffer(text, np.uint8).copy(), "counts": self.counts}

    @classmethod
    def restore(cls, state: Mapping[str, Any], arrays: Mapping[str, Any]) -> Lexicon:
        """The lexicon whose `state` this is."""
        try:
            words = np.asarray(arrays["words"], np.uint8).tobytes().decode("utf-8", "surrogatepass").split("\n")
            counts = np.asarray(arrays["counts"], np.int64)
            if counts.shape != (len(words),) or len(set(words)) < len(words) or (counts < 0).any():
                raise ValueError("words and counts do not agree")
            grams, buckets = tuple(int(n) for n in state["grams"]), int(state["buckets"])
            if grams and not (len(grams) == 2 and 1 <= grams[0] <= grams[1] <= 20 and buckets >= 1):
                raise ValueError("n-grams must be of a shortest and a longest length")
            warnings = [str(sentence) for sentence in state["warnings"]]
            return cls(Texts(**state["texts"]), words, counts, grams, buckets, int(state["read"]), warnings)
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise BadInput(f"the stored words do not fit together ({error}).") from error


def gram_codes(word: str, shortest: int, longest: int) -> list[int]:
    """The hash codes of a word's character n-grams, as fastText has them: single "<" and ">" are none."""
    raw = f"<{word}>".encode(errors="surrogatepass")  # a command line's bytes may be no text
    begins = [i for i, byte in enumerate(raw) if byte & 0xC0 != 0x80] + [len(raw)]
    size = len(begins) - 1
    codes = []
    for i in range(size):
        code = BASIS
        for n in range(1, min(longest, size - i) + 1):
            for byte in raw[begins[i + n - 1] : begins[i + n]]:
                code = ((code ^ (byte if byte < 128 else byte | 0xFFFFFF00)) * PRIME) & 0xFFFFFFFF
            if n >= shortest and not (n == 1 and (i == 0 or i + n == size)):
                codes.append(code)
    return codes
