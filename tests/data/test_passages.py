"""Texts as a stream that can be read again."""

from __future__ import annotations

import gzip
import zipfile
from pathlib import Path

import pandas as pd
import pytest

from decet.data import passages
from decet.data.passages import passages_of
from decet.errors import BadInput, Unsupported


def lines(X: object, **said: str) -> list[str]:
    return "".join(passages_of(X, **said)).splitlines()


def test_a_file_gives_its_lines_each_time(tmp_path: Path):
    file = tmp_path / "a.txt"
    file.write_text("one two\nthree\n", encoding="utf-8")
    found = passages_of(file)
    assert "".join(found) == "".join(found) == "one two\nthree\n"
    assert found.size == file.stat().st_size


def test_packed_files_and_marks_of_byte_order(tmp_path: Path):
    packed, marked, wide = tmp_path / "a.txt.gz", tmp_path / "b.txt", tmp_path / "c.txt"
    packed.write_bytes(gzip.compress("été\n".encode()))
    marked.write_bytes("\ufeffété\n".encode())
    wide.write_bytes("été\n".encode("utf-16"))
    assert lines(packed) == lines(marked) == lines(wide) == ["été"]


def test_folders_and_zip_files_are_read_in_order_of_their_names(tmp_path: Path):
    folder = tmp_path / "texts"
    (folder / "b").mkdir(parents=True)
    (folder / "b" / "2.txt").write_text("second")
    (folder / "a.txt").write_text("first\n")
    (folder / "notes.pdf").write_bytes(b"\x00")
    assert lines(folder) == ["first", "second"]
    with zipfile.ZipFile(tmp_path / "t.zip", "w") as archive:
        archive.writestr("b.txt", "second")
        archive.writestr("a.txt", "first")
    assert lines(tmp_path / "t.zip") == ["first", "second"]


def test_a_table_gives_the_column_said_or_the_longest_texts(tmp_path: Path):
    pd.DataFrame({"id": ["a", "b"], "review": ["a good hotel", "a bad one"]}).to_csv(tmp_path / "t.csv", index=False)
    assert lines(tmp_path / "t.csv") == ["a good hotel", "a bad one"]
    assert lines(tmp_path / "t.csv", column="id") == ["a", "b"]
    with pytest.raises(BadInput, match="no column 'reveiw' of texts. Did you mean 'review'"):
        passages_of(tmp_path / "t.csv", column="reveiw")


def test_lists_of_texts_and_of_words():
    assert lines(["one two", ["three", "four"], None, "five\nsix"]) == ["one two", "three four", "", "five six"]


def test_a_generator_is_caught_for_it_can_be_read_once():
    with pytest.raises(BadInput, match="come from a generator, which can be read once"):
        passages_of(text for text in ["a"])


def test_an_iterable_that_starts_afresh_is_taken():
    class Again:
        def __iter__(self):
            return iter(["one", "two"])

    found = passages_of(Again())
    assert "".join(found) == "".join(found) == "one\ntwo\n"


def test_what_is_no_text_is_refused(tmp_path: Path):
    (tmp_path / "a.txt").write_bytes(b"abc\x00def")
    with pytest.raises(BadInput, match="is no text: byte 0x00 at offset 3"):
        lines(tmp_path / "a.txt")
    with pytest.raises(BadInput, match="text 1 is a int, not a str"):
        lines(["a", 3])
    with pytest.raises(Unsupported, match="texts must be a path"):
        passages_of(3)
    with pytest.raises(BadInput, match="there is no file .*Did you mean 'a.txt'"):
        passages_of(tmp_path / "aa.txt")


def test_a_byte_of_another_encoding_is_told_with_its_place(tmp_path: Path):
    file = tmp_path / "a.txt"
    file.write_bytes("plain\ncaf\u00e9 noir\n".encode("cp1252"))
    with pytest.raises(BadInput, match=r"is not utf-8: byte 0xe9 at offset 9 \(line 2,.*--inputs.encoding"):
        lines(file)
    assert lines(file, encoding="cp1252") == ["plain", "caf\u00e9 noir"]


def test_several_encodings_are_tried_in_turn_and_told(tmp_path: Path):
    (tmp_path / "a.txt").write_text("caf\u00e9\n", encoding="utf-8")
    (tmp_path / "b.txt").write_bytes("\u00a35\n".encode("cp1252"))
    found = passages_of(tmp_path, encoding="utf-8,cp1252")
    assert "".join(found).splitlines() == ["caf\u00e9", "\u00a35"]
    assert found.findings == ["1 file is not in utf-8 and read as cp1252: b.txt."]


def test_an_unknown_encoding_is_refused():
    with pytest.raises(BadInput, match="encoding 'utf-9' is not known"):
        passages_of(["a"], encoding="utf-9")


def test_pieces_hold_whole_lines_and_characters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(passages, "PIECE", 64)
    monkeypatch.setattr(passages, "_LOOK", 16)
    monkeypatch.setattr(passages, "LONGEST", 256)
    text = "".join(f"{'蘋果' * (i % 9)} {i}\n" for i in range(200)) + "長" * 500
    (tmp_path / "a.txt").write_text(text, encoding="utf-8")
    found = list(passages_of(tmp_path / "a.txt"))
    assert "".join(found) == text + "\n"
    assert all(piece.endswith("\n") for piece in found if "長" not in piece)
    assert max(map(len, found)) < 400


def test_a_damaged_packed_file_is_told(tmp_path: Path):
    raw = gzip.compress(b"word " * 10_000)
    (tmp_path / "a.txt.gz").write_bytes(raw[: len(raw) // 2])
    with pytest.raises(BadInput, match="cut short or damaged"):
        lines(tmp_path / "a.txt.gz")


def test_a_damaged_member_of_a_zip_is_told(tmp_path: Path):
    with zipfile.ZipFile(tmp_path / "t.zip", "w") as archive:
        archive.writestr("a.txt", "some words " * 20)
    raw = bytearray((tmp_path / "t.zip").read_bytes())
    raw[60:70] = b"x" * 10
    (tmp_path / "t.zip").write_bytes(raw)
    with pytest.raises(BadInput, match="'a.txt' in .* cannot be read: damaged"):
        lines(tmp_path / "t.zip")


@pytest.mark.parametrize("X", [{"a": 1}, {"one", "two"}, b"bytes"])
def test_what_has_no_order_or_is_no_text_is_refused(X: object):
    with pytest.raises(Unsupported, match="texts must be a path"):
        passages_of(X)


def test_wide_encodings_come_in_pieces_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(passages, "PIECE", 33)
    monkeypatch.setattr(passages, "_LOOK", 9)
    text = "蘋果 apple\n" * 50
    (tmp_path / "a.txt").write_bytes(text.encode("utf-16-le"))
    found = list(passages_of(tmp_path / "a.txt", encoding="utf-16-le"))
    assert "".join(found) == text
    assert len(found) > 10
