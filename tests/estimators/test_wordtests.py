"""Vectors against people's judgement: files of the user's own, and the public set."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from decet.data import datasets
from decet.errors import BadInput
from decet.estimators.wordtests import TESTS, evaluated, holds_tests, read_tests
from decet.tasks.embed import WordVectors, read_analogies, read_wordsim

WORDS = ["man", "woman", "king", "queen", "slow", "slowly"]
#        male, female, royal, slow, -ly
ROWS = [[1, 0, 0, 0, 0], [0, 1, 0, 0, 0], [1, 0, 1, 0, 0], [0, 1, 1, 0, 0], [0, 0, 0, 1, 0], [0, 0, 0, 1, 1]]
QUESTIONS = """: family
man woman king queen
man woman queen king
: gram1-adjective-to-adverb
man king slow slowly
: gram2-opposite
sure unsure known unknown
"""


@pytest.fixture
def vectors() -> WordVectors:
    return WordVectors(WORDS, np.array(ROWS))


def test_questions_are_told_by_kind_and_by_section(vectors: WordVectors, tmp_path: Path) -> None:
    """man is to woman as king to queen; as queen to king is wrong, and nothing is known of the last section."""
    (tmp_path / "questions.txt").write_text(QUESTIONS)
    assert evaluated(vectors, tmp_path / "questions.txt") == {
        "semantic": 0.5,
        "semantic questions": 2,
        "syntactic": 1.0,
        "syntactic questions": 1,
        "family": 0.5,
        "gram1-adjective-to-adverb": 1.0,
        "gram2-opposite": None,
    }


def test_questions_of_which_no_word_is_known_have_no_figures(vectors: WordVectors, tmp_path: Path) -> None:
    (tmp_path / "questions.txt").write_text(": capitals\nOslo Norway Rome Italy\n")
    found = evaluated(vectors, str(tmp_path / "questions.txt"))
    assert (found["semantic"], found["semantic questions"], found["syntactic"]) == (None, 0, None)


def test_pairs_are_told_with_how_many_are_known(vectors: WordVectors, tmp_path: Path) -> None:
    (tmp_path / "pairs.tsv").write_text("# a remark\nman\tking\t8\nman\tqueen\t1\nslow\tslowly\t9\nhot\tcold\t5\n")
    found = evaluated(vectors, tmp_path / "pairs.tsv")
    assert found == {"wordsim": pytest.approx(0.866, abs=1e-3), "pairs": 3}  # ranks 2, 1, 2 of ours against 2, 1, 3


@pytest.mark.parametrize(
    ("X", "told"),
    [
        pytest.param("nowhere.tsv", r"^there is no file 'nowhere.tsv' of pairs or questions\.$", id="no file"),
        pytest.param("digits", r"words are evaluated on pairs and questions: the public set 'word-tests'", id="a set"),
        pytest.param(["a", "b"], r"words are evaluated on a file .* Received: list\.$", id="no path"),
        pytest.param(None, r"Received: NoneType\.$", id="nothing"),
    ],
)
def test_what_is_neither_pairs_nor_questions(vectors: WordVectors, X: object, told: str) -> None:
    with pytest.raises(BadInput, match=told):
        evaluated(vectors, X)


@pytest.mark.parametrize("raw", [b"PK\x03\x04\xff\xfe", b"", b"# nothing but a remark\n"])
def test_files_that_hold_neither(vectors: WordVectors, tmp_path: Path, raw: bytes) -> None:
    (tmp_path / "tests.bin").write_bytes(raw)
    with pytest.raises(BadInput, match=r"tests.bin' (is no UTF-8 text: byte 0xff|holds neither pairs nor questions)"):
        evaluated(vectors, tmp_path / "tests.bin")


def test_the_public_set_is_both(data_folder: Path) -> None:
    """Vectors of all its words, drawn at random: figures of chance, of every pair and question."""
    folder = data_folder / "word_vectors"
    pairs, sections = read_wordsim(folder / "wordsim353.tsv"), read_analogies(folder / "questions-words.txt")
    assert len(pairs) == 353
    assert (len(sections), sum(map(len, sections.values()))) == (14, 19_544)
    asked = {word for pair in pairs for word in pair[:2]} | {w for q in sections.values() for four in q for w in four}
    words = sorted(asked)
    rows = np.random.default_rng(0).normal(size=(len(words), 20))
    found = evaluated(WordVectors(words, rows), TESTS)
    assert (found["pairs"], found["semantic questions"], found["syntactic questions"]) == (353, 8_869, 10_675)
    assert abs(found["wordsim"] or 1) < 0.2
    assert (found["semantic"] or 0) < 0.05
    assert set(sections) < set(found)
    assert evaluated(WordVectors(words, rows), datasets.load(TESTS)) == found


def test_items_are_pairs_then_questions_of_known_words(vectors: WordVectors, tmp_path: Path) -> None:
    (tmp_path / "questions.txt").write_text(QUESTIONS)
    (tmp_path / "pairs.tsv").write_text("man\tking\t8\nhot\tcold\t5\nman\tqueen\t1\n")
    items = read_tests(tmp_path / "questions.txt")
    assert (items.shape, items.pairs) == ((4,), 0)
    assert items.target.tolist() == [[1, 1], [1, 1], [2, 1], [2, 1]]
    known = items.known_to(set(vectors.words))
    assert known.words[-1] == ("man", "king", "slow", "slowly")
    assert known.asked(vectors).tolist() == [1.0, 0.0, 1.0]
    pairs = read_tests(tmp_path / "pairs.tsv")
    assert pairs.target.tolist() == [[0, 8], [0, 5], [0, 1]]
    known = pairs.known_to(set(vectors.words))
    assert known.words == [("man", "king"), ("man", "queen")]
    assert known.asked(vectors) == pytest.approx([0.5**0.5, 0.0])
    assert known.take(np.array([1])).words == [("man", "queen")]


def test_what_holds_tests_and_what_is_a_text(tmp_path: Path) -> None:
    (tmp_path / "questions.txt").write_text(QUESTIONS)
    (tmp_path / "pairs.tsv").write_text("man\tking\t8\n")
    (tmp_path / "text.txt").write_text("a man and a king\n")
    (tmp_path / "empty.txt").write_text("")
    (tmp_path / "bytes.bin").write_bytes(b"\xff\xfe\x00")
    assert all(holds_tests(X) for X in (TESTS, tmp_path / "questions.txt", str(tmp_path / "pairs.tsv")))
    for name in ("text.txt", "empty.txt", "bytes.bin", "nowhere.txt"):
        assert not holds_tests(tmp_path / name)
    assert not any(holds_tests(X) for X in ("corpus-en", "a man", ["a man"], None, tmp_path))


def test_the_public_set_as_items(data_folder: Path) -> None:
    items = read_tests(datasets.load(TESTS))
    assert holds_tests(datasets.load(TESTS))
    assert (items.pairs, len(items.words)) == (353, 353 + 19_544)
    assert np.bincount(items.target[:, 0].astype(int)).tolist() == [353, 8_869, 10_675]
