"""Lists on the terminal: aligned columns, long words cut. The verbs themselves are tried in test_cli.py."""

from __future__ import annotations

from decet.listing import aligned, cut


def test_columns_stand_under_one_another() -> None:
    assert list(aligned([("a", "bcd"), ("long", "e")])) == ["  a     bcd", "  long  e"]


def test_long_words_are_cut() -> None:
    assert cut("short", 10) == "short"
    assert cut("a sentence, cut", 14) == "a sentence..."
