"""Byte-pair pieces: parts of words that are frequent in training, so that no text has an unknown one.

Tokenizers are those of Hugging Face's `tokenizers`, trained here or read from a tokenizer.json; their JSON is kept.

Reference: Sennrich et al., 1508.07909; pairs of bytes instead of characters, Radford et al., 2019 (GPT-2).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from decet.data.documents import Numbered
from decet.errors import BadInput

_BLOCK = 1_000  # texts that are cut at a time
FARTHEST = 100  # times as many numbers as pieces, at most, for gaps are legal and lies take memory


def train_pieces(texts: Sequence[str], size: int, *, lower: bool, form: str | None, accents: bool) -> str:
    """A tokenizer of at most `size` pieces learned from texts, as JSON in Hugging Face's form.

    lower, form, accents: see `words.cutter`.
    """
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    steps: list[Any] = [getattr(normalizers, form)()] if form else []
    steps += [normalizers.Lowercase()] if lower else []
    steps += [] if accents else [normalizers.NFD(), normalizers.StripAccents(), normalizers.NFC()]
    tokenizer.normalizer = normalizers.Sequence(steps)
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=size, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(texts, trainer)
    return str(tokenizer.to_str())


def read_pieces(path: str) -> str:
    """The JSON of a tokenizer.json. Raises BadInput where it is none."""
    try:
        raw = Path(path).expanduser().read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise BadInput(f"tokenizer {path!r} cannot be read as a tokenizer.json ({error}).") from error
    tokenizer_of(raw, repr(path))
    return raw


def tokenizer_of(raw: str, name: str = "the stored one") -> Any:
    """The tokenizer that JSON describes; padding and cutting short are switched off. Raises BadInput."""
    from tokenizers import Tokenizer

    try:
        tokenizer = Tokenizer.from_str(raw)
        tokenizer.no_padding()
        tokenizer.no_truncation()
    except Exception as error:  # the library raises plain Exception for what it cannot read
        raise BadInput(f"tokenizer {name} is no tokenizer.json that can be read ({error}).") from error
    return tokenizer


def number_pieces(texts: Sequence[str], tokenizer: Any, around: bool = False) -> Numbered:
    """The pieces of all texts; the words are the tokenizer's own vocabulary, by its numbers.

    around: with what the tokenizer puts before and behind each text, as BERT's [CLS] and [SEP].
    """
    parts, sizes = [np.empty(0, np.int32)], [0]
    for begin in range(0, len(texts), _BLOCK):
        for found in tokenizer.encode_batch(list(texts[begin : begin + _BLOCK]), add_special_tokens=around):
            parts.append(np.array(found.ids, np.int32))
            sizes.append(len(found.ids))
    return Numbered(np.concatenate(parts), np.cumsum(sizes), vocabulary_of(tokenizer))


def vocabulary_of(tokenizer: Any) -> list[str]:
    """The pieces by their numbers; a number without a piece is an empty one."""
    known: dict[str, int] = tokenizer.get_vocab()
    last = max(known.values(), default=-1)
    if last > FARTHEST * (len(known) + 1):
        raise BadInput(f"the tokenizer numbers a piece {last:,}, and has {len(known):,} of them: it is damaged.")
    words = [""] * (last + 1)
    for word, number in known.items():
        words[number] = word
    return words
