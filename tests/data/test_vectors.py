"""Files of word vectors."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import save_file

from decet.data.vectors import read_vectors, write_vectors
from decet.errors import BadInput

WORDS = ["the", "蘋果", "don't", "émile"]
VECTORS = np.random.default_rng(0).normal(size=(4, 7)).astype(np.float32)


@pytest.mark.parametrize("name", ["v.txt", "v.vec", "v.bin", "v.txt.gz", "v.bin.gz", "v.safetensors"])
def test_what_is_written_comes_back_to_the_bit(tmp_path: Path, name: str):
    write_vectors(tmp_path / name, WORDS, VECTORS)
    words, vectors = read_vectors(tmp_path / name)
    assert words == WORDS
    assert np.array_equal(vectors, VECTORS)
    assert [p.name for p in tmp_path.iterdir()] == [name]


@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1, max_size=9))
@settings(max_examples=50, deadline=None)
def test_every_float32_survives_as_text(tmp_path_factory: pytest.TempPathFactory, numbers: list[float]):
    path = tmp_path_factory.mktemp("v") / "v.txt"
    write_vectors(path, ["a"], np.array([numbers], np.float32))
    assert np.array_equal(read_vectors(path)[1], np.array([numbers], np.float32))


def test_the_forms_are_those_of_word2vec(tmp_path: Path):
    write_vectors(tmp_path / "v.txt", ["a", "b"], np.array([[1, 0.5], [-2, 3]], np.float32))
    assert (tmp_path / "v.txt").read_text() == "2 2\na 1 0.5\nb -2 3\n"
    write_vectors(tmp_path / "v.bin", ["a"], np.array([[1, 2]], np.float32))
    assert (tmp_path / "v.bin").read_bytes() == b"1 2\na " + np.array([1, 2], "<f4").tobytes() + b"\n"


def test_files_without_a_first_line_are_read(tmp_path: Path):
    (tmp_path / "glove.txt").write_text("a 1 2 3\nb 4 5 6\n")
    words, vectors = read_vectors(tmp_path / "glove.txt")
    assert words == ["a", "b"]
    assert vectors.tolist() == [[1, 2, 3], [4, 5, 6]]


BAD_TEXTS = {
    "two\nwords 1": "line 1 .* must say how many words",
    "2 2\na 1 2\n": "ends after 1 of the 2 words",
    "1 2\na 1 2\nb 1 2\n": r"goes on after the 1 words .*\(line 3\)",
    "2 2\na 1 2\nb 1\n": "line 3 .* has 1 numbers, not 2",
    "1 2\na 1 x\n": "line 2 .* no number",
    "1 2\na 1 nan\n": r"vector of 'a' \(word 1\) is not finite",
    "2 1\na 1\na 2\n": "has the word 'a' twice",
    "0 5\n": "must begin with how many words",
}


@pytest.mark.parametrize("text", BAD_TEXTS)
def test_bad_text_files_are_refused(tmp_path: Path, text: str):
    (tmp_path / "v.txt").write_text(text)
    with pytest.raises(BadInput, match=BAD_TEXTS[text]):
        read_vectors(tmp_path / "v.txt")


ROW = np.array([1, 2], "<f4").tobytes()
BAD_BINARIES = {
    b"nonsense": "must begin with how many words",
    b"2 2\na " + ROW: "ends after 1 of the 2 words",
    b"1 2\na " + ROW[:5]: "cut short: it ends within word 1",
    b"1 2\na " + ROW + b"\nb " + ROW: "goes on after the 1 words",
    b"1 2\n\xff " + ROW: "word 1 .* is not UTF-8: byte 0xff",
    b"1 99999999\na ": "must begin with how many words",
}


@pytest.mark.parametrize("raw", BAD_BINARIES)
def test_bad_binary_files_are_refused(tmp_path: Path, raw: bytes):
    (tmp_path / "v.bin").write_bytes(raw)
    with pytest.raises(BadInput, match=BAD_BINARIES[raw]):
        read_vectors(tmp_path / "v.bin")


def test_sizes_that_lie_do_not_fill_the_memory(tmp_path: Path):
    (tmp_path / "v.txt").write_text("268435456 65536\na 1 2\n")
    with pytest.raises(BadInput, match="line 2 .* has 2 numbers, not 65,536"):
        read_vectors(tmp_path / "v.txt")
    (tmp_path / "v.bin").write_bytes(b"268435456 65536\na " + b"\0" * 100)
    with pytest.raises(BadInput, match="cut short"):
        read_vectors(tmp_path / "v.bin")


def test_unknown_suffixes_and_missing_files(tmp_path: Path):
    with pytest.raises(BadInput, match="vectors are kept as"):
        write_vectors(tmp_path / "v.model", ["a"], VECTORS[:1])
    (tmp_path / "vectors.txt").write_text("")
    with pytest.raises(BadInput, match="Did you mean 'vectors.txt'"):
        read_vectors(tmp_path / "vector.txt")


def test_words_with_blanks_need_safetensors(tmp_path: Path):
    with pytest.raises(BadInput, match="'new york' holds one. Write .safetensors"):
        write_vectors(tmp_path / "v.txt", ["new york"], VECTORS[:1])
    write_vectors(tmp_path / "v.safetensors", ["new york"], VECTORS[:1])
    assert read_vectors(tmp_path / "v.safetensors")[0] == ["new york"]


def test_packed_text_is_packed(tmp_path: Path):
    write_vectors(tmp_path / "v.txt.gz", WORDS, VECTORS)
    assert gzip.decompress((tmp_path / "v.txt.gz").read_bytes()).startswith(b"4 7\nthe ")


def test_damaged_packed_files_and_lists_that_are_not_utf8(tmp_path: Path):
    write_vectors(tmp_path / "v.txt.gz", WORDS, VECTORS)
    raw = (tmp_path / "v.txt.gz").read_bytes()
    (tmp_path / "v.txt.gz").write_bytes(raw[: len(raw) // 2])
    with pytest.raises(BadInput, match="cut short or damaged"):
        read_vectors(tmp_path / "v.txt.gz")
    save_file({"words": np.array([255], np.uint8), "vectors": VECTORS[:1]}, tmp_path / "v.safetensors")
    with pytest.raises(BadInput, match="the list of words .* is not UTF-8: byte 0xff"):
        read_vectors(tmp_path / "v.safetensors")


# --------------------------------------------------------------------------------------------------- beside gensim

GENSIM = Path(__file__).parents[1] / "artifacts" / "gensim"  # written by gensim 4.4.0, see artifacts/make_gensim.py
HARD = np.random.default_rng(0).normal(size=(4, 7)).astype(np.float32)
HARD[1, 2], HARD[2, 0], HARD[3, 5] = 1e-12, -3.4e38, 0


@pytest.mark.parametrize("name", ["vectors.txt", "vectors.bin"])
def test_what_gensim_wrote_is_read_to_the_bit(name: str):
    words, vectors = read_vectors(GENSIM / name)
    assert words == WORDS
    assert np.array_equal(vectors, HARD)


def test_the_binary_form_is_gensims_to_the_byte(tmp_path: Path):
    """But for the line end after each word, which word2vec.c writes and gensim reads over."""
    write_vectors(tmp_path / "v.bin", WORDS, HARD)
    rows = [word.encode() + b" " + row.tobytes() for word, row in zip(WORDS, HARD, strict=True)]
    assert (GENSIM / "vectors.bin").read_bytes() == b"4 7\n" + b"".join(rows)
    assert (tmp_path / "v.bin").read_bytes() == b"4 7\n" + b"".join(row + b"\n" for row in rows)


@pytest.mark.parametrize("name", ["v.txt", "v.vec", "v.bin", "v.txt.gz", "v.bin.gz"])
def test_gensim_opens_what_is_written_and_the_other_way_round(tmp_path: Path, name: str):
    models = pytest.importorskip("gensim.models", reason="gensim is in the bench extra")
    binary = ".bin" in name
    write_vectors(tmp_path / name, WORDS, HARD)
    theirs = models.KeyedVectors.load_word2vec_format(str(tmp_path / name), binary=binary)
    assert theirs.index_to_key == WORDS
    assert np.array_equal(theirs.vectors, HARD)
    theirs.save_word2vec_format(str(tmp_path / f"again-{name}"), binary=binary)
    words, vectors = read_vectors(tmp_path / f"again-{name}")
    assert words == WORDS
    assert np.array_equal(vectors, HARD)


def test_as_many_vectors_as_words(tmp_path: Path):
    with pytest.raises(BadInput, match=r"vectors must have shape \(words, numbers\) for 1 words. Received: \(4, 7\)"):
        write_vectors(tmp_path / "v.txt", ["a"], VECTORS)
