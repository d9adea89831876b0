"""Embed: which words are alike? Vectors of words, asked by the angle between them.

    similarity(a, b) = cos(v_a, v_b)
    a is to b as c is to ...:   argmax over d not in {a, b, c} of cos(v_d, v_b - v_a + v_c), each vector of length 1

A text's vector is the mean of its words', a word of share p counting a / (a + p) (smooth inverse frequency). Its
keywords are those whose vectors are nearest to it, weighed alike.

Metrics: wordsim, Spearman's rank correlation of similarities with people's judgements, in [-1, 1]; analogies, semantic
and syntactic, the share of questions answered by the right word, in [0, 1]; higher is better.

References: Mikolov et al., 1301.3781 (questions), 1310.4546; Levy & Goldberg, CoNLL 2014 (3CosAdd); Finkelstein et al.,
2002 (WordSim-353); Arora et al., ICLR 2017 (SIF).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from decet.errors import BadInput, check_range, suggest
from decet.nn.nearest import Nearest

Array = NDArray[Any]
COSINES = 1 << 25  # of questions with all words, worked out at a time
SMOOTHING = 1e-3
KINDS = ("wordsim", "semantic", "syntactic")  # of what judges vectors, by number


@dataclass(frozen=True)
class Embed:
    """The question "which words are alike?".

    Judged by items of three kinds (`KINDS`): pairs of words, and questions by analogy. `answers` (n,) are the cosine of
    a pair, and of a question 1 where it is answered rightly, else 0; `target` (n, 2) the kind, and people's mark of a
    pair. There is no spec: pass None.
    """

    higher: ClassVar[dict[str, bool]] = {"wordsim": True, "semantic": True, "syntactic": True}

    def metrics(self, answers: Array, target: Array, spec: None) -> dict[str, float | None]:
        """The three figures, None where there is nothing to judge by."""
        found: dict[str, float | None] = {"wordsim": _none(self.of_items(self.items(answers, target, spec).sum(0)))}
        for kind in ("semantic", "syntactic"):
            own = answers[target[:, 0] == KINDS.index(kind)]
            found[kind] = float(own.mean()) if len(own) else None
        return found

    def items(self, answers: Array, target: Array, spec: None) -> Array:
        """What each pair brings to wordsim, (pairs, 6): 1, and sums and products of both ranks, which are those among
        all pairs, whichever are drawn."""
        from scipy.stats import rankdata

        pairs = target[:, 0] == KINDS.index("wordsim")
        ours, marks = (rankdata(values[pairs]) for values in (answers, target[:, 1]))
        x, y = (ranks - ranks.mean() if len(ranks) else ranks for ranks in (ours, marks))  # so that no digits are lost
        return np.stack([np.ones(len(x)), x, y, x * x, y * y, x * y], 1)

    def of_items(self, sums: Array) -> Array:
        """The rank correlation of pairs whose `items` add up to these sums (..., 6); NaN where ranks are all alike."""
        count, x, y, xx, yy, xy = np.moveaxis(np.asarray(sums, np.float64), -1, 0)
        with np.errstate(divide="ignore", invalid="ignore"):
            spread = (xx - x * x / count) * (yy - y * y / count)
            found: Array = np.where(spread > 0, (xy - x * y / count) / np.sqrt(spread), np.nan)
        return found


@dataclass
class WordVectors:
    """Words and their vectors, with the questions people ask of them.

    words   by number
    matrix  (V, D) float32
    unknown a function that gives a vector to a word that is not among them, or None
    shares  (V,) of each word in the corpus, for the weights of texts; None: all weigh the same
    """

    words: list[str]
    matrix: Array
    unknown: Callable[[str], Array | None] | None = None
    shares: Array | None = None

    def __post_init__(self) -> None:
        self.numbers = {word: number for number, word in enumerate(self.words)}
        self.matrix = np.ascontiguousarray(self.matrix, np.float32)
        self._rows = torch.from_numpy(self.matrix)
        self._scale = 1.0 / torch.linalg.vector_norm(self._rows, dim=1).clamp_(min=1e-12)
        self._nearest = Nearest(self._rows, self._scale)

    def __len__(self) -> int:
        return len(self.words)

    def __contains__(self, word: object) -> bool:
        return word in self.numbers

    def vector(self, word: str) -> Array:
        """The vector of a word (D,). Raises BadInput for a word that is not known, with near spellings."""
        if (number := self.numbers.get(word)) is not None:
            return self.matrix[number]
        made = None if self.unknown is None else self.unknown(word)
        if made is None:
            raise BadInput(f"the word {word!r} is not known.{self._near(word)}")
        return made

    def _near(self, word: str) -> str:
        if word.lower() in self.numbers:
            return f" Did you mean {word.lower()!r}?"
        same = [w for w in self.words[:200_000] if w[:1] == word[:1] and abs(len(w) - len(word)) <= 2]
        told = suggest(word, same[:20_000]).split(" Choose")[0]
        return told or f" There are {len(self.words):,} words, the most frequent: {', '.join(self.words[:5])}."

    def similarity(self, a: str, b: str) -> float:
        """The cosine between two words' vectors, -1 to 1."""
        x, y = _unit(self.vector(a)), _unit(self.vector(b))
        return float(x @ y)

    def most_similar(
        self, positive: str | Sequence[str] = (), negative: str | Sequence[str] = (), topn: int = 10
    ) -> list[tuple[str, float]]:
        """The nearest words to the sum of some words' directions minus that of others, with their cosines."""
        plus, minus = _listed(positive), _listed(negative)
        if not plus and not minus:
            raise BadInput("most_similar needs a word: most_similar('london').")
        total = sum((_unit(self.vector(w)) for w in plus), np.zeros(self.matrix.shape[1], np.float32))
        total = total - sum((_unit(self.vector(w)) for w in minus), np.zeros_like(total))
        return self.nearest(total, topn, leave={*plus, *minus})

    def nearest(
        self, vector: Array, topn: int = 10, leave: set[str] | frozenset[str] = frozenset()
    ) -> list[tuple[str, float]]:
        """The nearest words to a vector (D,), exactly, with their cosines; those of `leave` are passed over."""
        check_range("topn", topn, 1, whole=True)
        topn, unit = int(topn), torch.from_numpy(_unit(np.asarray(vector, np.float32)))
        with torch.inference_mode():
            places, cosines = self._nearest(unit, topn + len(leave))
        found = zip((self.words[i] for i in places.tolist()), cosines.tolist(), strict=True)
        return [(word, cosine) for word, cosine in found if word not in leave][:topn]

    def analogy(self, a: str, b: str, c: str, topn: int = 1) -> list[tuple[str, float]]:
        """a is to b as c is to ...: the nearest words to b - a + c."""
        return self.most_similar([b, c], [a], topn)

    def doesnt_match(self, words: Sequence[str]) -> str:
        """The word whose vector is farthest from the mean of all."""
        if len(words) < 3:
            raise BadInput(f"doesnt_match needs at least three words. Received: {len(words)}.")
        units = np.stack([_unit(self.vector(word)) for word in words])
        return words[int((units @ units.mean(0)).argmin())]

    # ------------------------------------------------------------------------------------------------------- texts

    def weight(self, word: str, smoothing: float = SMOOTHING) -> float:
        """How much a word counts in a text: a / (a + its share)."""
        if self.shares is None or not smoothing:
            return 1.0
        number = self.numbers.get(word)
        return smoothing / (smoothing + (float(self.shares[number]) if number is not None else 0.0))

    def text_vector(self, words: Sequence[str], smoothing: float = SMOOTHING) -> Array:
        """The weighted mean of a text's words (D,); zeros where none is known."""
        total, sum_ = np.zeros(self.matrix.shape[1], np.float32), 0.0
        for word in words:
            number = self.numbers.get(word)
            row = self.matrix[number] if number is not None else self.unknown(word) if self.unknown else None
            if row is not None:
                weight = self.weight(word, smoothing)
                total += weight * row
                sum_ += weight
        return total / np.float32(max(sum_, 1e-12))

    def keywords(self, words: Sequence[str], topn: int = 5, smoothing: float = SMOOTHING) -> list[tuple[str, float]]:
        """The words of a text that say most of what it is about, with their cosines to it times their weights."""
        known = [word for word in dict.fromkeys(words) if word in self.numbers]
        if not known:
            return []
        middle = _unit(self.text_vector(words, smoothing))
        rows = [_unit(self.matrix[self.numbers[word]]) for word in known]
        weights = [self.weight(word, smoothing) for word in known]
        scored = [(w, float(row @ middle) * weight) for w, row, weight in zip(known, rows, weights, strict=True)]
        return sorted(scored, key=lambda pair: -pair[1])[:topn]

    # ------------------------------------------------------------------------------------------------- evaluation

    def wordsim(self, pairs: Sequence[tuple[str, str, float]]) -> tuple[float | None, int]:
        """Spearman's correlation of our cosines with people's judgements, and how many pairs are known; None where
        they are too few, or all alike."""
        from scipy.stats import spearmanr

        known = [(a, b, mark) for a, b, mark in pairs if a in self.numbers and b in self.numbers]
        if len(known) < 3:
            return None, len(known)
        ours, marks = [self.similarity(a, b) for a, b, _ in known], [mark for *_, mark in known]
        if len(set(ours)) == 1 or len(set(marks)) == 1:
            return None, len(known)
        return float(spearmanr(ours, marks).statistic), len(known)

    def analogies(self, sections: Mapping[str, Sequence[tuple[str, str, str, str]]]) -> dict[str, tuple[int, int]]:
        """Right answers and questions asked of each section; questions with an unknown word are left out."""
        found = {}
        for name, questions in sections.items():
            known = [question for question in questions if all(word in self.numbers for word in question)]
            found[name] = (int(self.right(known).sum()), len(known))
        return found

    def right(self, questions: Sequence[Sequence[str]]) -> Array:
        """Whether d is the answer to "a is to b as c is to ..." of each (a, b, c, d), all known words: bool (q,)."""
        if not questions:
            return np.zeros(0, bool)
        units = self._rows * self._scale.unsqueeze(1)
        rows, many = [[self.numbers[word] for word in question] for question in questions], max(1, COSINES // len(self))
        found = []
        for begin in range(0, len(rows), many):
            a, b, c, d = torch.tensor(rows[begin : begin + many]).unbind(1)
            cosines = (units[b] - units[a] + units[c]) @ units.T  # (q, V)
            for asked in (a, b, c):
                cosines.scatter_(1, asked.unsqueeze(1), -9.0)
            found.append((cosines.argmax(1) == d).numpy())
        return np.concatenate(found)


def _none(value: Any) -> float | None:
    """None for NaN."""
    return None if value != value else float(value)


def _listed(words: str | Sequence[str]) -> list[str]:
    return [words] if isinstance(words, str) else list(words)


def _unit(vector: Array) -> Array:
    unit: Array = (vector / max(float(np.linalg.norm(vector)), 1e-12)).astype(np.float32)
    return unit


def read_wordsim(path: str | Path) -> list[tuple[str, str, float]]:
    """Pairs of words and people's mean judgement: two words and a number a line, divided by tabs; # begins a remark."""
    pairs = []
    for number, line in enumerate(text_of(path).splitlines(), 1):
        if line.startswith("#") or not line.strip():
            continue
        parts = [part.strip() for part in line.lower().split("\t")]
        try:
            pairs.append((parts[0], parts[1], float(parts[2])))
            check_range("the number", pairs[-1][2])
        except (IndexError, ValueError):
            raise BadInput(
                f"line {number} of {str(path)!r} is no pair of words and a number, divided by tabs: {line[:60]!r}."
            ) from None
    return pairs


def read_analogies(path: str | Path) -> dict[str, list[tuple[str, str, str, str]]]:
    """Questions by section: `: name` begins one, then four words a line."""
    sections: dict[str, list[tuple[str, str, str, str]]] = {}
    name = ""
    for number, line in enumerate(text_of(path).splitlines(), 1):
        words = line.lower().split()
        if line.startswith(":"):
            name = line[1:].strip()
            sections.setdefault(name, [])
        elif len(words) == 4 and name:
            sections[name].append((words[0], words[1], words[2], words[3]))
        elif words:
            raise BadInput(f"line {number} of {str(path)!r} is no question of four words: {line[:60]!r}.")
    return sections


def text_of(path: str | Path) -> str:
    """What a small file of UTF-8 holds. Raises BadInput where it is none."""
    try:
        return Path(path).read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadInput(
            f"{str(path)!r} is no UTF-8 text: byte 0x{error.object[error.start]:02x} at offset {error.start:,}."
        ) from error
    except OSError as error:
        raise BadInput(f"{str(path)!r} cannot be read ({error.strerror or error}).") from error
