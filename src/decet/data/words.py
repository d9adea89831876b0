"""From text to words: those of Unicode, of Chinese, and characters.

A word is a run of letters and digits (mp3) with inner apostrophes (don't). Han characters stand without blanks
between their words: a run of them is cut by rjieba, from a dictionary and, for what that does not know, a hidden
Markov model (the method of jieba). What is cut follows from the characters alone, so texts may mix languages.

Reference: Unicode Standard Annex 29 (word boundaries), of which this is the part that needs no dictionary.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from functools import cache

from decet.errors import BadInput, check_choice

UNITS = ("words", "characters")
FORMS = ("NFC", "NFKC")
END = "\n"  # of a sentence, in what `cutter` gives

_HAN = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003134f\u3007"
_IS_HAN = re.compile(f"[{_HAN}]")
_MARKS = re.compile("[\u0300-\u036f]")
_LETTER = rf"(?:(?![{_HAN}])[^\W_])"  # or digit
_MARK = "[\u0300-\u036f\u0591-\u05c7\u064b-\u0652\u0900-\u0903\u093a-\u094f\u200d]"  # that go on with a word
_WORD = re.compile(rf"{_LETTER}(?:{_LETTER}|{_MARK})*(?:['\u2019]{_LETTER}(?:{_LETTER}|{_MARK})*)*|[{_HAN}]+|\n")
_BLANKS = {code: " " for code in range(128) if not (chr(code).isalnum() or chr(code) == "'")}
_STRAY = re.compile("(?<![a-zA-Z0-9])'|'(?![a-zA-Z0-9])")  # apostrophes that are not within a word
_CHARACTER = re.compile(rf"\n|[^\s]{_MARK}*")


def cutter(unit: str, *, lower: bool, form: str | None, accents: bool, joined: str = "") -> Callable[[str], list[str]]:
    """A function from text to its words in order, each line end kept as a word of its own (`END`).

    unit: "words" or "characters". lower: letters in lower case. form: "NFC" or "NFKC", Unicode's normal forms; None:
    as it is. accents: kept (é), or taken off (e). joined: characters that hold words together, as "_-".
    """
    check_choice("unit", unit, UNITS)
    check_choice("form", form, FORMS)
    words = _joining(joined) if joined else _WORD

    def cut(text: str) -> list[str]:
        if form is not None and not text.isascii() and not unicodedata.is_normalized(form, text):  # type: ignore[arg-type]
            text = unicodedata.normalize(form, text)  # type: ignore[arg-type]
        if lower:
            text = text.lower()
        if not accents and not text.isascii():
            text = unicodedata.normalize("NFC", _MARKS.sub("", unicodedata.normalize("NFD", text)))
        if unit == "characters":
            return _CHARACTER.findall(text)
        first, *lines = text.split("\n")
        found = _cut_line(first, words)
        for line in lines:
            found.append(END)
            found += _cut_line(line, words)
        return found

    return cut


def _cut_line(line: str, words: re.Pattern[str]) -> list[str]:
    """The words of a line; plain ones in ASCII without the expression that says what a word is, in a third of the
    time."""
    if words is not _WORD or not line.isascii():
        line = line.replace("\u2019", "'")
        found = words.findall(line)
        return _cut_han(found) if has_han(line) else found
    if "'" in line:
        line = _STRAY.sub(" ", line)
    return line.translate(_BLANKS).split()


def has_han(text: str) -> bool:
    """Whether a text has a Chinese character."""
    return _IS_HAN.search(text) is not None


def _cut_han(words: list[str]) -> list[str]:
    cut, found = _jieba(), list[str]()
    for word in words:
        if len(word) > 1 and has_han(word[0]):
            found += cut(word)
        else:
            found.append(word)
    return found


@cache
def _jieba() -> Callable[[str], list[str]]:
    import rjieba

    return rjieba.cut


@cache
def _joining(characters: str) -> re.Pattern[str]:
    if any(c.isalnum() or c.isspace() for c in characters):
        raise BadInput(f"joined must hold signs, as '_-', no letters, digits or blanks. Received: {characters!r}.")
    inner = f"['{re.escape(characters)}]"
    one = rf"(?:{_LETTER}|{_MARK})"
    return re.compile(rf"{one}+(?:{inner}{one}+)*|[{_HAN}]+|\n")
