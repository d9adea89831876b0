"""The settings of texts: which view is given, copies, notes, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from decet.contracts import ImageSpec, TableSpec, TokenSpec
from decet.data.bags import BagCodec
from decet.data.documents import Documents
from decet.data.texts import Texts
from decet.data.tokens import TextCodec
from decet.errors import BadInput, Unsupported

FEW = Documents(["a good film", "a bad film", "a  good\nfilm", "good"])


def test_the_view_is_the_first_that_the_family_reads():
    assert isinstance(Texts().fit(FEW), TextCodec)
    assert isinstance(Texts().fit(FEW, None, (ImageSpec, TokenSpec, TableSpec)), TextCodec)
    assert isinstance(Texts().fit(FEW, None, (TableSpec, ImageSpec)), BagCodec)
    with pytest.raises(Unsupported, match="^texts can be read as tokens or as a bag of words, and the family reads"):
        Texts().fit(FEW, None, (ImageSpec,))


def test_only_the_training_texts_are_looked_at():
    codec = Texts().fit(FEW, np.array([0, 3]))
    assert sorted(codec.words) == ["a", "film", "good"]  # type: ignore[union-attr]


def test_equal_texts_are_one_group_however_they_are_spaced():
    assert Texts().groups(FEW).tolist() == [0, 1, 0, 3]


def test_notes_tell_copies_and_what_was_found_on_reading():
    codec = Texts().fit(FEW)
    assert Texts().notes(FEW, None, codec) == [
        "1 of 4 texts is a copy of an earlier one; decet keeps copies on one side of its splits, a test set of your "
        "own may not."
    ]
    told = Documents(["a", "a", "a", ""], remarks=["one file was odd."])
    notes = Texts().notes(told, None, Texts().fit(told))
    assert notes[0] == "one file was odd."
    assert notes[1] == "1 training text holds no word, of 4: nothing tells them apart."
    assert notes[2].startswith("2 of 4 texts are copies of an earlier one")


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        (
            {"unit": "word"},
            "unit must be one of 'words', 'characters', 'pieces'. Received: 'word'. Did you mean 'words'?",
        ),
        ({"form": "NFD"}, "form must be one of 'NFC', 'NFKC'. Received: 'NFD'. Did you mean 'NFC'?"),
        ({"lower": 1}, "lower must be one of True, False. Received: 1."),
        ({"min_count": 0}, "min_count must be a whole number of at least 1. Received: 0."),
        ({"max_size": 1}, "max_size must be a whole number of at least 2. Received: 1."),
        ({"length": 0}, "length must be a whole number between 1 and 1048576. Received: 0."),
        ({"stem": -1}, "stem must be a whole number between 0 and 100. Received: -1."),
        ({"buckets": 3}, "buckets must be a whole number between 16 and 16777216. Received: 3."),
        ({"phrases": 9}, "phrases must be a whole number between 0 and 4. Received: 9."),
        ({"threshold": -1.0}, "threshold must be a number of at least 0.0. Received: -1.0."),
        ({"joined": "ab"}, "joined must hold signs, as '_-', no letters, digits or blanks. Received: 'ab'."),
        (
            {"tokenizer": "t.json", "unit": "words"},
            "tokenizer cuts texts into pieces; unit says 'words'. Keep one.",
        ),
    ],
)
def test_settings_that_cannot_be(said: dict[str, Any], sentence: str):
    with pytest.raises(BadInput) as caught:
        Texts(**said)
    assert str(caught.value) == sentence
