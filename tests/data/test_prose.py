"""Texts as streams of tokens, and back."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from decet.data.passages import passages_of
from decet.data.prose import Prose, ProseCodec
from decet.errors import BadInput

TEXT = "To be, or not to be:\nthat is the question.\n蘋果 naïve\n"


def codec(unit: str, text: str = TEXT) -> ProseCodec:
    return Prose(unit=unit).fit(passages_of([text]))


@pytest.mark.parametrize("unit", ["characters", "bytes", "pieces"])
@given(text=st.text(max_size=30))
def test_every_text_comes_back(unit: str, text: str) -> None:
    """Of characters that training did not know too: they are kept as bytes."""
    made = codec(unit)
    assert made.text(made.numbers(text).tolist()) == text


def test_words_are_what_stands_between_blanks_and_line_ends_are_kept() -> None:
    made = codec("words", "= Title =\nthe <unk> is here\nthe end\n")
    assert made.text(made.numbers("the end\nis here").tolist()) == "the end\nis here"
    assert len(made.numbers("the end\nis here")) == 5


def test_numbers_are_below_the_vocabulary_and_the_end_of_a_document_is_none_of_them() -> None:
    for unit in ("characters", "bytes", "pieces", "words"):
        made = codec(unit)
        numbers = made.numbers(TEXT + "\x00é€")
        assert 0 < numbers.min() <= numbers.max() < made.spec.vocabulary


def test_characters_have_numbers_of_their_own_and_strange_ones_those_of_their_bytes() -> None:
    made = codec("characters")
    assert len(made.numbers("be蘋")) == 3
    assert made.numbers("€").tolist() == [1 + byte for byte in "€".encode()]


def test_the_stream_is_all_texts_with_their_size_in_bytes() -> None:
    made = codec("characters")
    ids, size = made.stream(passages_of([TEXT, "or"]))
    assert made.text(ids[:].tolist()) == "\n".join([" ".join(TEXT.split()), "or"]) + "\n"
    assert size == len("\n".join([" ".join(TEXT.split()), "or"]).encode()) + 1


def test_lines_may_be_documents_of_their_own() -> None:
    made = Prose(unit="bytes", lines=True).fit(passages_of(["ab", "", "c"]))
    ids, _ = made.stream(passages_of(["ab", "", "c"]))
    assert ids[:].tolist() == [98, 99, 0, 100, 0]


def test_it_is_restored_from_its_state() -> None:
    for unit in ("characters", "bytes", "pieces", "words"):
        made = codec(unit)
        state, arrays = made.state()
        again = ProseCodec.restore(json.loads(json.dumps(state)), arrays)
        assert np.array_equal(again.numbers(TEXT), made.numbers(TEXT))
        assert again.spec == made.spec
    with pytest.raises(BadInput, match="does not fit together"):
        ProseCodec.restore({"prose": {}, "unit": "pieces", "known": [], "pieces": None}, {})


def test_settings_that_cannot_be_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="unit"):
        Prose(unit="syllables")
    with pytest.raises(BadInput, match="max_size"):
        Prose(unit="bytes", max_size=10)
    with pytest.raises(BadInput, match="Keep one"):
        Prose(unit="words", tokenizer="tokenizer.json")
    (tmp_path / "tokenizer.json").write_text('{"no": "tokenizer"}')
    with pytest.raises(BadInput, match="no tokenizer.json"):
        Prose(tokenizer=str(tmp_path / "tokenizer.json")).fit(passages_of(["a"]))
    with pytest.raises(BadInput, match="no text"):
        codec("bytes").stream(passages_of([]))


@pytest.mark.parametrize("unit", ["characters", "bytes"])
def test_a_line_end_between_blanks_stays(unit: str) -> None:
    codec = Prose(unit=unit).fit(passages_of(["a b c"]))
    assert codec.text(codec.numbers("a \n b")) == "a \n b"


def test_more_words_change_nothing_that_is_there_already() -> None:
    codec = Prose(unit="words").fit(passages_of(["a b c d"]))
    text = "a b\n\nc unknown new d"
    numbers = codec.numbers(text).tolist()
    begins = [codec.text(numbers[:count]) for count in range(len(numbers) + 1)]
    assert all(later.startswith(sooner.rstrip("\ufffd")) for sooner, later in pairwise(begins))
    assert begins[-1] == text
    assert "".join(codec.texts(numbers)) == text
