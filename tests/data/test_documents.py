"""Texts in memory: what they are read from, their classes, their words as numbers."""

from __future__ import annotations

import gzip
import io
import sys
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from decet.data.archives import NoPart
from decet.data.documents import Documents, Numbered, documents_of, number_words, read_documents
from decet.data.texts import Texts
from decet.errors import BadInput, Unsupported


def refused(*arguments: object, **said: str) -> str:
    with pytest.raises((BadInput, Unsupported)) as caught:
        read_documents(*arguments, **said)  # type: ignore[arg-type]
    return str(caught.value)


@pytest.fixture
def reviews(tmp_path: Path) -> Path:
    """Four texts of two classes, with a note beside them."""
    for place, text in {"good/1": "fine", "good/2": "very\nfine", "bad/1": "poor", "bad/more/3": "weak"}.items():
        path = tmp_path / "reviews" / f"{place}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    (tmp_path / "reviews" / "README.txt").write_text("about these reviews")
    return tmp_path / "reviews"


# ------------------------------------------------------------------------------------------------------- a sequence


def test_documents_are_taken_as_arrays_are():
    documents = Documents(["a", "b", "c", "d"], remarks=["told"])
    assert (len(documents), documents.shape, repr(documents)) == (4, (4,), "Documents(4)")
    assert documents[1] == "b"
    part = documents[1:].take([2, 0])
    assert part.texts == ["d", "b"]
    assert part.names == ["text 3", "text 1"]
    assert part.remarks == ["told"]
    assert documents.take(np.array([True, False, False, True])).texts == ["a", "d"]
    assert documents_of(documents) is documents
    assert documents_of(["x"]).texts == ["x"]


def test_words_are_numbered_once_for_all_subsets():
    documents, calls = Documents(["one two", "", "two three two"]), []

    def number(texts: list[str]) -> Numbered:
        calls.append(texts)
        return number_words(texts, Texts().cut())

    whole = documents.numbered("words", number)
    assert whole.words == ["one", "two", "three"]
    assert whole.ids.tolist() == [0, 1, 1, 2, 1]
    assert whole.offsets.tolist() == [0, 2, 2, 5]
    part = documents.take([2, 1, 0]).numbered("words", number)
    assert (part.ids.tolist(), part.offsets.tolist()) == ([1, 2, 1, 0, 1], [0, 3, 3, 5])
    assert len(calls) == 1
    documents.numbered("other", number)
    assert len(calls) == 2


def test_line_ends_within_a_text_do_not_end_it():
    found = number_words(["one\ntwo\n\n", "\n", "three"], Texts().cut())
    assert np.diff(found.offsets).tolist() == [2, 0, 1]
    assert number_words([], Texts().cut()).offsets.tolist() == [0]


# ---------------------------------------------------------------------------------------------------------- reading


def test_a_folder_of_class_folders_gives_texts_and_classes(reviews: Path):
    documents, labels = read_documents(reviews)
    assert documents.texts == ["poor\n", "weak\n", "fine\n", "very\nfine\n"]
    assert labels == ["bad", "bad", "good", "good"]
    assert [Path(name).name for name in documents.files or ()] == ["1.txt", "3.txt", "1.txt", "2.txt"]
    assert documents.remarks == ["1 file that is no text was left out: README.txt."]


def test_a_zip_gives_the_same_as_its_folder_packed_files_too(reviews: Path, tmp_path: Path):
    with zipfile.ZipFile(tmp_path / "r.zip", "w") as archive:
        for path in sorted(reviews.rglob("*.txt")):
            packed = gzip.compress(path.read_bytes())
            archive.writestr(f"all/{path.relative_to(reviews)}.gz", packed)
    documents, labels = read_documents(tmp_path / "r.zip")
    folder, classes = read_documents(reviews)
    assert (documents.texts, labels) == (folder.texts, classes)
    assert documents.files is not None
    assert documents.files[0] == "all/bad/1.txt.gz"


def test_official_parts_are_read_by_name(tmp_path: Path):
    for part in ("train", "test"):
        (tmp_path / "set" / part / "good").mkdir(parents=True)
        (tmp_path / "set" / part / "good" / "1.txt").write_text(part)
    documents, labels = read_documents(tmp_path / "set", "test")
    assert (documents.texts, labels) == (["test\n"], ["good"])
    assert documents.remarks == [f"{tmp_path / 'set'} has official parts; the test part was read."]
    assert read_documents(tmp_path / "set")[0].texts == ["train\n"]
    with pytest.raises(NoPart):
        read_documents(tmp_path / "set" / "train", "test")


def test_a_file_has_a_text_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "a.txt").write_text("one\n\nthree\n")
    (tmp_path / "b.txt.gz").write_bytes(gzip.compress(b"one\n\nthree"))
    for X in (tmp_path / "a.txt", str(tmp_path / "b.txt.gz")):
        documents, labels = read_documents(X)
        assert (documents.texts, documents.files, labels) == (["one", "", "three"], None, None)

    class Standard:
        buffer = io.BytesIO("été\nzwei\n".encode())

    monkeypatch.setattr(sys, "stdin", Standard)
    assert read_documents("-")[0].texts == ["été", "zwei"]


def test_lists_arrays_and_columns():
    assert read_documents(["one", None, ["two", "three"], float("nan")])[0].texts == ["one", "", "two three", ""]
    assert read_documents(np.array([["one"], ["two"]]))[0].texts == ["one", "two"]
    assert read_documents(pd.Series(["one", pd.NA], dtype="string"))[0].texts == ["one", ""]


def test_encodings_are_tried_in_turn_and_told(reviews: Path):
    (reviews / "bad" / "4.txt").write_bytes("£5 a night".encode("cp1252"))
    told = refused(reviews)
    assert f"{str(reviews / 'bad' / '4.txt')!r} is not utf-8: byte 0xa3 at offset 0 (line 1" in told
    documents, _ = read_documents(reviews, encoding="utf-8,cp1252")
    assert documents.texts[1] == "£5 a night\n"
    assert documents.remarks[1] == "1 file is not in utf-8 and read as cp1252: 4.txt."


def test_what_holds_no_text_is_refused(reviews: Path, tmp_path: Path):
    assert refused(str(reviews) + "s") == f"there is no file '{reviews}s' of texts. Did you mean 'reviews'?"
    (tmp_path / "empty").mkdir()
    assert refused(tmp_path / "empty") == (
        f"{tmp_path / 'empty'} holds no texts. It is empty; texts are files such as .txt, .text, .cor, .tokens, "
        ".txt.gz and 3 more."
    )
    (tmp_path / "none.txt").write_text("")
    assert refused(tmp_path / "none.txt") == f"{tmp_path / 'none.txt'} holds no texts."
    assert refused([]) == "there are no texts."
    (tmp_path / "a.txt").write_bytes(b"%PDF\x00\x01")
    assert "is no text: byte 0x00 at offset 4" in refused(tmp_path / "a.txt")
    assert refused(["one", 2]) == "text 1 is a int, not a str: '2'."
    assert "which can be read once" in refused(text for text in ["one"])
    assert refused(7) == "texts must be a path, a list of texts or an iterable. Received: int."
    assert "encoding 'utf-9' is not known" in refused(reviews, encoding="utf-9")
