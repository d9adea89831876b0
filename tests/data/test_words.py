"""From text to words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decet.data.words import END, cutter, has_han
from decet.errors import BadInput


def words(text: str, **settings: object) -> list[str]:
    plain = {"unit": "words", "lower": True, "form": "NFC", "accents": True}
    unit = str({**plain, **settings}.pop("unit"))
    said = {key: value for key, value in {**plain, **settings}.items() if key != "unit"}
    return cutter(unit, **said)(text)  # type: ignore[arg-type]


def test_words_are_runs_of_letters_and_digits_with_inner_apostrophes():
    assert words("Don't panic, it's 42 mp3s!  O'Neill's") == ["don't", "panic", "it's", "42", "mp3s", "o'neill's"]


def test_a_quote_is_no_apostrophe():
    assert words("'quoted' words' end") == ["quoted", "words", "end"]
    assert words("don\u2019t") == ["don't"]


def test_line_ends_are_words_of_their_own():
    assert words("one two\nthree\n\n") == ["one", "two", END, "three", END, END]


def test_case_and_accents_are_kept_or_taken_off():
    assert words("Ärger CAFÉ", lower=False) == ["Ärger", "CAFÉ"]
    assert words("Ärger CAFÉ", accents=False) == ["arger", "cafe"]


def test_composed_and_decomposed_letters_are_one_word():
    assert words("cafe\u0301") == words("caf\u00e9") == ["caf\u00e9"]
    assert words("ﬁne １２", form="NFKC") == ["fine", "12"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Привет, мир", ["привет", "мир"]),
        ("γειά σου", ["γειά", "σου"]),
        ("안녕 세상", ["안녕", "세상"]),
        ("नमस्ते दुनिया", ["नमस्ते", "दुनिया"]),
        ("שלום עולם", ["שלום", "עולם"]),
    ],
)
def test_words_of_any_alphabet(text: str, expected: list[str]):
    assert words(text) == expected


@pytest.mark.parametrize("text", ["我喜歡吃蘋果", "我喜欢吃苹果"])
def test_chinese_is_cut_into_words_traditional_and_simplified(text: str):
    found = words(text)
    assert "".join(found) == text
    assert found[-1] in ("蘋果", "苹果")
    assert any(word in found for word in ("喜歡", "喜欢"))


def test_languages_may_be_mixed_in_a_text():
    assert words("Python很好用, really")[0] == "python"
    assert words("Python很好用, really")[-1] == "really"


def test_characters():
    assert words("ab 你好", unit="characters") == ["a", "b", "你", "好"]


def test_signs_may_hold_words_together():
    assert words("new_york state-of-the-art", joined="_-") == ["new_york", "state-of-the-art"]
    with pytest.raises(BadInput, match="joined must hold signs"):
        words("a", joined="ab")


def test_chinese_characters_are_known_by_sight():
    assert has_han("abc 你")
    assert not has_han("abc カナ")


def test_an_unknown_unit_is_refused():
    with pytest.raises(BadInput, match="unit must be one of 'words', 'characters'"):
        words("a", unit="letters")


@given(st.text(alphabet="aB9' _-.\t\r\x0b\x1c", max_size=40))
def test_lines_in_ascii_are_cut_by_a_quicker_way_which_is_no_other_one(line: str):
    """A line with an accent goes the long way."""
    assert words(line) == words(f"{line} \u00e9")[:-1]
