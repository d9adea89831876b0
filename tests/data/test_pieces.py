"""Byte-pair pieces: trained, read, numbered, and what is no tokenizer."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from decet.data.pieces import number_pieces, read_pieces, tokenizer_of, train_pieces, vocabulary_of
from decet.errors import BadInput

TEXTS = ["the lowest and the newest", "Étés of the low", "苹果"] * 20


def trained(**said: bool) -> str:
    return train_pieces(TEXTS, 300, **{"lower": True, "accents": True, **said}, form="NFC")


def test_frequent_runs_of_letters_are_one_piece_and_every_text_can_be_cut():
    tokenizer = tokenizer_of(trained())
    assert tokenizer.encode("the low").tokens == ["the", "Ġlow"]
    assert tokenizer.decode(tokenizer.encode("zebra 香蕉").ids) == "zebra 香蕉"


def test_case_and_accents():
    assert "Ġlow" in tokenizer_of(trained()).encode("THE LOW").tokens
    plain = tokenizer_of(trained(accents=False))
    assert plain.encode("étés").tokens == plain.encode("etes").tokens
    assert tokenizer_of(trained(lower=False)).encode("LOW").tokens != ["low"]


def test_numbers_are_the_tokenizers_own():
    tokenizer = tokenizer_of(trained())
    found = number_pieces(["the low", "", "the"], tokenizer)
    assert np.diff(found.offsets)[1] == 0
    assert [found.words[i] for i in found.ids] == ["the", "Ġlow", "the"]
    assert vocabulary_of(tokenizer) == found.words
    assert len(number_pieces([], tokenizer).ids) == 0


def test_a_tokenizer_that_pads_and_cuts_short_is_told_not_to():
    tokenizer = tokenizer_of(trained())
    tokenizer.enable_padding(length=50)
    tokenizer.enable_truncation(2)
    other = tokenizer_of(tokenizer.to_str())
    assert (
        other.encode("the lowest of the low").tokens == tokenizer_of(trained()).encode("the lowest of the low").tokens
    )


def test_what_is_no_tokenizer_is_refused(tmp_path: Path):
    with pytest.raises(BadInput, match=r"^tokenizer 'none.json' cannot be read as a tokenizer.json \("):
        read_pieces("none.json")
    path = tmp_path / "t.json"
    path.write_text("{}")
    with pytest.raises(BadInput, match="is no tokenizer.json that can be read"):
        read_pieces(str(path))
    path.write_bytes(b"\xff\xfe\xff")
    with pytest.raises(BadInput, match="cannot be read as a tokenizer.json"):
        read_pieces(str(path))
    path.write_text(trained())
    assert read_pieces(str(path)) == trained()


def test_a_number_that_lies_takes_no_memory():
    said = json.loads(trained())
    word = next(iter(said["model"]["vocab"]))
    said["model"]["vocab"][word] = 200_000_000
    with pytest.raises(
        BadInput, match=r"^the tokenizer numbers a piece 200,000,000, and has [\d,]+ of them: it is dam"
    ):
        vocabulary_of(tokenizer_of(json.dumps(said)))
