"""A corpus: the numbers of words, most frequent first."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from decet.data import corpus
from decet.data.corpus import Corpus, read_corpus
from decet.data.words import cutter
from decet.errors import BadInput

CUT = cutter("words", lower=True, form="NFC", accents=True)


def sentences(found: Corpus) -> list[list[str]]:
    return [[found.words[i] for i in found.ids[a:b]] for a, b in zip(found.offsets, found.offsets[1:], strict=False)]


def read(*lines: str, **said: object) -> Corpus:
    return read_corpus(["\n".join(lines) + "\n"], CUT, **{"min_count": 1, **said})  # type: ignore[arg-type]


def test_words_are_numbered_by_frequency():
    found = read("b a b", "c b a")
    assert found.words == ["b", "a", "c"]
    assert found.counts.tolist() == [3, 2, 1]
    assert sentences(found) == [["b", "a", "b"], ["c", "b", "a"]]
    assert (found.read, found.types) == (6, 3)


def test_rare_words_are_left_out_so_that_those_around_become_neighbours():
    found = read("a x b", "a b", min_count=2)
    assert sentences(found) == [["a", "b"], ["a", "b"]]


def test_the_vocabulary_may_be_bounded():
    assert read("a a a b b c", max_size=2).words == ["a", "b"]


def test_empty_lines_are_counted_and_left_out():
    found = read("a b", "", "...", "b a")
    assert sentences(found) == [["a", "b"], ["b", "a"]]
    assert found.findings == ["2 lines without a word were left out."]


@given(st.lists(st.lists(st.sampled_from("abcdefgh"), max_size=12), min_size=1, max_size=30), st.integers(1, 4))
@settings(max_examples=60, deadline=None)
def test_pieces_and_blocks_of_any_size_give_the_same(texts: list[list[str]], size: int):
    lines = [" ".join(text) + "\n" for text in texts]
    expected = [text for text in texts if text]
    if sum(map(len, expected)) == 0 or len({w for text in expected for w in text}) < 2:
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(corpus, "BLOCK", size)
        patch.setattr(corpus, "IN_MEMORY", 8)
        found = read_corpus(lines, CUT, min_count=1)
        assert sentences(found) == expected
        whole = read_corpus(["".join(lines)], CUT, min_count=1)
        assert np.array_equal(found.ids, whole.ids)
        assert np.array_equal(found.offsets, whole.offsets)


def test_long_sentences_are_cut(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(corpus, "LONGEST", 3)
    found = read("a b a b a b a", "a b")
    assert list(map(len, sentences(found))) == [3, 3, 1, 2]
    assert found.findings == ["1 sentence of more than 3 words cut to pieces of so many."]


def test_pairs_that_stand_together_become_phrases():
    lines = ["i love new york city", "new york is big", "a new york"] * 20 + ["new things", "york minster"] * 5
    found = read(*lines, phrases=1, threshold=0.12, min_count=5)
    assert "new_york" in found.words
    assert found.counts[found.words.index("new_york")] == 60
    assert ["a", "new_york"] in sentences(found)


def test_overlapping_pairs_join_from_the_left():
    block = np.array([0, 0, 0, 0, 0, -1, 0, 1, -1], np.int64)
    assert corpus._replaced(block, np.array([0]), np.array([2]), 2).tolist() == [2, 2, 0, -1, 0, 1, -1]


def test_a_phrase_made_two_ways_is_one_word(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(corpus, "BLOCK", 7)
    found = read(*["new york city", "x york city y", "z new york w"] * 20, phrases=2, threshold=0.01, min_count=2)
    assert len(set(found.words)) == len(found.words)
    assert found.counts.sum() == len(found)
    assert "new_york_city" in found.words


def test_a_phrase_that_the_text_writes_itself_is_the_same_word():
    own = cutter("words", lower=True, form="NFC", accents=True, joined="_")
    lines = ["new york", "new_york", "york", "new"] * 20
    found = read_corpus(["\n".join(lines) + "\n"], own, min_count=2, phrases=1, threshold=0.01)
    assert found.words == ["new_york", "new", "york"]
    assert found.counts.tolist() == [40, 20, 20]


@pytest.mark.parametrize(
    ("lines", "said", "message"),
    [
        (["", " "], {}, "there are no words in the corpus. All 2 lines are empty"),
        (["a a a a"], {}, "there is one word only in the corpus, 4 times"),
        (
            ["a b c"],
            {"min_count": 5},
            "0 of the 3 different words of the corpus stand there 5 times .*would be .*3 at 1",
        ),
        (["a a b c"], {"min_count": 2}, "1 of the 3 different words .* stand there 2 times .*would be 3 at 1. Say"),
    ],
)
def test_what_leaves_no_vocabulary_is_refused_with_counts(lines: list[str], said: dict[str, int], message: str):
    with pytest.raises(BadInput, match=message):
        read(*lines, **said)


@pytest.mark.parametrize(("name", "value"), [("min_count", 0), ("max_size", 1), ("phrases", -1)])
def test_sizes_that_cannot_be(name: str, value: int):
    with pytest.raises(BadInput, match=f"{name} must be a whole number of at least"):
        read("a b", **{name: value})
