"""Texts: the settings of how documents are read, and which view of them a network gets.

`Texts.fit` looks at the training texts and gives a codec: of tokens (`tokens.TextCodec`), where the family reads such,
or of a bag of words (`bags.BagCodec`), where it reads tables.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from decet.contracts import TableSpec, TokenSpec
from decet.data.documents import Documents
from decet.data.words import FORMS, cutter
from decet.errors import BadInput, Unsupported, check_choice, check_range

if TYPE_CHECKING:
    from decet.data.bags import BagCodec
    from decet.data.tokens import TextCodec

UNITS = ("words", "characters", "pieces")

Array = np.ndarray


@dataclass(frozen=True)
class Texts:
    """How texts are read. What is None is found from the training texts.

    unit: "words" (Chinese ones cut by a dictionary), "characters", or "pieces" (byte pairs).
    lower: read in lower case.
    form: Unicode's normal form, "NFC" or "NFKC"; None: as it is.
    accents: keep them (é), or take them off (e).
    joined: signs that hold words together, as "_-".
    min_count: words that stand less often in training are unknown; None: 2 from 1,000 training texts on, else 1.
    max_size: words of the vocabulary, at most (60,000), or byte-pair pieces (8,000).
    stem: letters of a word's begin (of a Chinese one the first character) that are read beside the word, so that rare
        words share what their kin learned; 0 = none. Characters and pieces have none.
    length: words of a text that are read, from its begin; None: so many as 98 % of the texts have, at most 512.
    pairs: count pairs of neighbours too, where a text is read as a bag.
    buckets: columns of the bag.
    phrases: times that pairs of words which often stand together become one word, where vectors are learned.
    threshold: score from which they do.
    column: the table's column of texts; None: the one with the longest texts.
    encoding: of files, utf-8 where it is not said; several, as "utf-8,cp1252", are tried in turn.
    tokenizer: a tokenizer.json (Hugging Face's form) that cuts texts into pieces.
    """

    unit: str | None = None
    lower: bool = True
    form: str | None = "NFC"
    accents: bool = True
    joined: str = ""
    min_count: int | None = None
    max_size: int | None = None
    stem: int = 5
    length: int | None = None
    pairs: bool = True
    buckets: int = 1 << 16
    phrases: int = 0
    threshold: float = 10.0
    column: str | None = None
    encoding: str | None = None
    tokenizer: str | None = None

    held_out: ClassVar[int | None] = 500  # texts set aside at most, of each kind: each one more is worth learning from

    def __post_init__(self) -> None:
        check_choice("unit", self.unit, UNITS)
        check_choice("form", self.form, FORMS)
        for name in ("lower", "accents", "pairs"):
            check_choice(name, getattr(self, name), (True, False))
        check_range("min_count", self.min_count, 1, whole=True)
        check_range("max_size", self.max_size, 2, whole=True)
        check_range("stem", self.stem, 0, 100, whole=True)
        check_range("length", self.length, 1, 1 << 20, whole=True)
        check_range("buckets", self.buckets, 16, 1 << 24, whole=True)
        check_range("phrases", self.phrases, 0, 4, whole=True)
        check_range("threshold", self.threshold, 0.0)
        if self.tokenizer is not None and self.unit not in (None, "pieces"):
            raise BadInput(f"tokenizer cuts texts into pieces; unit says {self.unit!r}. Keep one.")
        self.cut()

    @property
    def in_pieces(self) -> bool:
        """Whether texts are cut into pieces, not words or characters."""
        return self.unit == "pieces" or self.tokenizer is not None

    @property
    def has_stems(self) -> bool:
        """Whether the begins of words are read beside them."""
        return self.stem > 0 and self.unit in (None, "words") and not self.in_pieces

    def cut(self) -> Callable[[str], list[str]]:
        """Text to words, or to characters."""
        unit = "characters" if self.unit == "characters" else "words"
        return cutter(unit, lower=self.lower, form=self.form, accents=self.accents, joined=self.joined)

    def cutting(self) -> tuple[Any, ...]:
        """What `cut` depends on."""
        return self.unit, self.lower, self.form, self.accents, self.joined

    def fit(
        self, documents: Documents, rows: Array | None = None, reads: Sequence[type] = (TokenSpec,)
    ) -> TextCodec | BagCodec:
        """Learn the vocabulary from the training texts (`rows`, positions; None = all).

        reads: the specs that the family reads, in order; texts offer tokens and a bag.
        """
        from decet.data.bags import BagCodec
        from decet.data.tokens import TextCodec

        views: dict[type, type[TextCodec] | type[BagCodec]] = {TokenSpec: TextCodec, TableSpec: BagCodec}
        offered = [views[spec] for spec in reads if spec in views]
        if not offered:
            raise Unsupported("texts can be read as tokens or as a bag of words, and the family reads neither.")
        return offered[0].learn(self, documents if rows is None else documents.take(rows))

    def groups(self, documents: Documents) -> Array:
        """A group id a text (n,), equal for equal texts, however they are spaced."""
        seen: dict[str, int] = {}
        return np.array([seen.setdefault(" ".join(text.split()), i) for i, text in enumerate(documents.texts)])

    def notes(
        self, documents: Documents, y: Any, codec: TextCodec | BagCodec, copies: Array | None = None
    ) -> list[str]:
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
