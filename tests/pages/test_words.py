"""The page of word vectors: what it was trained on, the map, nearest words, word tests, keywords of the texts."""

from __future__ import annotations

import re
import warnings
from pathlib import Path

import numpy as np
import pytest
from tests.pages.test_page import checked

import decet
from decet import DataWarning, Recipe, Word2Vec, WordEmbedder
from decet.errors import BadInput
from decet.pages.words import nearest_of_some, word_looks
from decet.tasks.embed import WordVectors

EVIL = "<script>alert('x')</script>"
TEXTS = [
    "the cat sat on the mat and the dog sat on the rug",
    "a king and a queen live in the old castle on the hill",
    "the queen gave the king a golden crown in the castle",
    f"蘋果 是 我的 最愛 {EVIL}",
] * 5


@pytest.fixture(scope="module")
def model() -> WordEmbedder:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)
        return WordEmbedder(Word2Vec(width=8, model="cbow"), recipe=Recipe(epochs=3)).fit(TEXTS)


def test_the_page_tells_what_was_learned_from_what(model: WordEmbedder, tmp_path: Path) -> None:
    page = decet.report(model, out=tmp_path, command="made by hand").read_text(encoding="utf-8")
    words = checked(page)
    count = len(model.codec_.words)
    for shown in (
        "WordEmbedder with Word2Vec",
        f"{count} words have vectors of 8 numbers, learned from {model.provenance_['words']} words of the texts.",
        "the texts, 20 sentences or lines",
        f"{model.provenance_['words']}, {count} different ones",
        "training loss, by epoch",
        "words teach little",
        "model cbow",
        "epochs 3",
        "made by hand",
        "A map of words",
        "The nearest words",
    ):
        assert shown in words
    assert "Word tests" not in words
    assert "Keywords" not in words
    assert re.search(r'<text class="g0"[^>]*>蘋果</text>', page)
    assert "<script" not in page


def test_word_tests_are_told_where_they_are_given(model: WordEmbedder, tmp_path: Path) -> None:
    (tmp_path / "pairs.tsv").write_text("king\tqueen\t8\ncat\tcrown\t1\ncat\tdog\t7\nhot\tcold\t5\n")
    words = checked(decet.report(model, tmp_path / "pairs.tsv", out=tmp_path / "r.html").read_text(encoding="utf-8"))
    assert "of 3 pairs whose words are known" in words
    assert "agrees with people's judgement by" in words
    (tmp_path / "questions.txt").write_text(": family\nking queen cat dog\n: gram1\nking queen hot cold\n")
    words = checked(decet.report(model, tmp_path / "questions.txt", out=tmp_path / "r.html").read_text("utf-8"))
    assert "right, of 1 questions whose words are known" in words
    assert "family" in words


def test_texts_have_keywords(model: WordEmbedder, tmp_path: Path) -> None:
    path = decet.report(model, ["the queen in the castle", "", "nothing known", EVIL], out=tmp_path / "r.html")
    words = checked(path.read_text(encoding="utf-8"))
    assert "Keywords of texts the queen in the castle" in words
    assert "nothing known" not in words
    (tmp_path / "a.txt").write_text("a golden crown\n")
    words = checked(decet.report(model, tmp_path / "a.txt", out=tmp_path / "r.html").read_text("utf-8"))
    assert "a golden crown" in words


def test_texts_of_a_public_set_have_keywords_too(model: WordEmbedder, tmp_path: Path, data_folder: Path) -> None:
    page = decet.report(model, "chnsenticorp", out=tmp_path / "r.html").read_text("utf-8")
    assert page.count('<div class="text">') == 12


def test_a_target_is_refused(model: WordEmbedder, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"^vectors have no answers\. Leave the target out; word tests and"):
        decet.report(model, TEXTS, ["a"] * 20, out=tmp_path / "r.html")


def test_few_words_have_no_map(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)
        tiny = WordEmbedder(Word2Vec(width=4), recipe=Recipe(epochs=1)).fit(["1 2 cat", "2 1 cat"])
    assert word_looks(tiny)["map"] is None
    assert "A map of words" not in checked(decet.report(tiny, out=tmp_path / "r.html").read_text("utf-8"))


def test_words_asked_are_from_frequent_to_rare() -> None:
    names = ["".join("abcdefghij"[int(digit)] for digit in f"{number:04d}") for number in range(2_000)]
    rows = np.random.default_rng(0).normal(size=(2_000, 8))
    counts = np.maximum(1, 20_000 // np.arange(1, 2_001))
    found = nearest_of_some(WordVectors(names, rows, shares=np.full(2_000, 1e-5)), counts)
    times = [near.times for near in found]
    assert 8 <= len(found) <= 12
    assert times == sorted(times, reverse=True)
    assert times[0] > 1_000
    assert 10 <= times[-1] < 40
    assert all(len(near.words) == 6 and near.word not in dict(near.words) for near in found)
