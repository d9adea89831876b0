"""A lexicon: words by number, and the n-grams they are made of."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from decet.data.lexicon import Lexicon, gram_codes
from decet.data.texts import Texts
from decet.errors import BadInput

WORDS, COUNTS = ["the", "蘋果", "don't", "émile", "a"], [50, 20, 9, 2, 2]

# Of gensim 4.4.0: [ft_hash_bytes(gram) for gram in compute_ngrams_bytes(word, shortest, longest)], from
# gensim.models.fasttext_inner, which are fastText's.
FASTTEXT = {
    ("a", 3, 6): [2359087600],
    ("a", 1, 2): [1761008750, 3826002220, 287614806],
    ("the", 3, 6): [1619151151, 924409726, 4243648960, 3020861980, 2502060934, 3098816280],
    ("the", 2, 2): [1576454941, 1095059089, 1547363254, 2434458490],
    ("don't", 2, 2): [1844896845, 1646057492, 1630810064, 439746210, 1270765110, 323288615],
    ("émile", 3, 6): [
        *(2361793370, 3470577993, 3399302463, 1334285486, 2599338583, 551273185, 1039349196),
        *(2011032566, 3415165053, 2324594120, 340806210, 2732819111, 86415067, 107646844),
    ],
    ("émile", 1, 2): [
        *(672036627, 1023043777, 2855454404, 3893112696, 1546524611, 3960223172),
        *(1060665208, 3909890315, 1278332970, 3758891744, 2434458490),
    ],
    ("蘋果", 3, 6): [1133614800, 1278253226, 2177851776],
    ("蘋果", 1, 2): [3391911608, 3545456354, 2557872318, 2929428059, 1138004223],
    ("𝄞x", 3, 6): [2835348614, 3271218600, 598602714],
    ("", 3, 6): [],
    ("", 1, 2): [2482446367],
}


def lexicon(grams: tuple[int, ...] = (3, 6), buckets: int = 1_000, **said: Any) -> Lexicon:
    return Lexicon(Texts(), WORDS, np.array(COUNTS), grams, buckets, 90, **said)


# ---------------------------------------------------------------------------------------------------------- n-grams


@pytest.mark.parametrize("asked", FASTTEXT)
def test_the_codes_are_fasttexts(asked: tuple[str, int, int]) -> None:
    assert gram_codes(*asked) == FASTTEXT[asked]


@given(st.text(max_size=12), st.integers(1, 6), st.integers(0, 4))
def test_every_gram_is_counted_in_characters(word: str, shortest: int, more: int) -> None:
    """As many as there are of whole characters, whatever bytes they have, without a single < and >."""
    whole, longest = f"<{word}>", shortest + more
    places = [(i, n) for i in range(len(whole)) for n in range(shortest, longest + 1) if i + n <= len(whole)]
    single = [(i, n) for i, n in places if n == 1 and i in (0, len(whole) - 1)]
    assert len(gram_codes(word, shortest, longest)) == len(places) - len(single)


def test_a_word_that_the_command_line_could_not_decode_has_codes() -> None:
    assert len(gram_codes("\udcff", 3, 6)) == 1


# ------------------------------------------------------------------------------------------------------------- rows


def test_words_without_subwords_are_their_own_rows() -> None:
    found = lexicon(())
    assert found.rows() is None
    assert [found.rows_of(word) for word in (*WORDS, "no")] == [[0], [1], [2], [3], [4], []]


def test_a_known_word_has_its_own_row_and_its_grams() -> None:
    found = lexicon()
    assert found.rows_of("蘋果") == [1, 5 + 800, 5 + 226, 5 + 776]
    assert found.rows_of("a") == [4, 5 + 600]
    begins, rows = found.rows()  # type: ignore[misc]
    assert [rows[a:b].tolist() for a, b in pairwise(begins)] == [found.rows_of(w) for w in WORDS]
    assert (begins.dtype, rows.dtype) == (np.int64, np.int32)


def test_an_unknown_word_has_its_grams_alone() -> None:
    assert lexicon().rows_of("then")[:2] == [5 + 1619151151 % 1_000, 5 + 924409726 % 1_000]
    assert lexicon().rows_of("") == []


def test_the_encoding_is_rows_end_to_end() -> None:
    rows, begins = lexicon().encode(["a", "蘋果", "a"])
    assert begins.tolist() == [0, 2, 6]
    assert rows.tolist() == [4, 605, 1, 805, 231, 781, 4, 605]


def test_words_without_rows_cannot_be_encoded() -> None:
    with pytest.raises(BadInput, match=r"^words that are not known: 'no', 'nor'\.$"):
        lexicon(()).encode(["the", "no", "nor"])


def test_words_are_streamed_in_blocks() -> None:
    blocks = [inputs[0].tolist() for inputs, _ in lexicon(()).stream(WORDS, 2)]
    assert blocks == [[0, 1], [2, 3], [4]]


def test_samples_are_spread_over_the_words() -> None:
    assert lexicon().sample(3, seed=9) == ["the", "don't", "a"]
    assert len(lexicon().sample(16, seed=0)) == 16


def test_shares_are_of_the_corpus() -> None:
    assert lexicon().shares.sum() == pytest.approx(1)
    assert lexicon().shares[0] == pytest.approx(50 / 83)


def test_the_description_tells_words_and_grams() -> None:
    assert lexicon().description() == [
        {
            "name": "word",
            "kind": "words and their n-grams of 3 to 6",
            "detail": f"5 words, most frequent: {', '.join(WORDS)}",
        }
    ]
    assert lexicon(()).description()[0]["kind"] == "words"


# ------------------------------------------------------------------------------------------------------------ state


@pytest.mark.parametrize("grams", [(), (2, 5)])
def test_the_state_comes_back(grams: tuple[int, ...]) -> None:
    before = Lexicon(Texts(lower=False, joined="_"), WORDS, np.array(COUNTS), grams, 77, 1_234, ["Few words."])
    after = Lexicon.restore(*before.state())
    for name in ("texts", "words", "grams", "buckets", "read", "warnings", "numbers", "spec"):
        assert getattr(after, name) == getattr(before, name), name
    assert np.array_equal(after.counts, before.counts)
    assert [after.rows_of(word) for word in WORDS] == [before.rows_of(word) for word in WORDS]


def bytes_of(*words: str) -> np.ndarray:
    return np.frombuffer("\n".join(words).encode(), np.uint8).copy()


BAD_STATES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "more counts than words": ({}, {"counts": np.arange(6)}),
    "a negative count": ({}, {"counts": np.array([1, 1, -1, 1, 1])}),
    "counts in rows": ({}, {"counts": np.ones((5, 1), np.int64)}),
    "a word twice": ({}, {"words": bytes_of("the", "the", "c", "d", "e")}),
    "words that are not UTF-8": ({}, {"words": np.array([255, 10, 10, 10, 10], np.uint8)}),
    "one length of n-grams": ({"grams": [3]}, {}),
    "n-grams of nothing": ({"grams": [0, 3]}, {}),
    "n-grams too long": ({"grams": [3, 10**9]}, {}),
    "n-grams that are none": ({"grams": "ab"}, {}),
    "no buckets": ({"buckets": 0}, {}),
    "a setting of texts that is not known": ({"texts": {"colour": 1}}, {}),
    "a setting of texts that cannot be": ({"texts": {"unit": "sounds"}}, {}),
    "texts that are none": ({"texts": None}, {}),
    "warnings that are none": ({"warnings": 5}, {}),
    "a number of words that is none": ({"read": "many"}, {}),
}


@pytest.mark.parametrize("what", BAD_STATES)
def test_bad_states_are_refused_in_a_sentence(what: str) -> None:
    state, arrays = lexicon().state()
    wrong, wrong_arrays = BAD_STATES[what]
    with pytest.raises(BadInput, match=r"^the stored words do not fit together \(.+\)\.$"):
        Lexicon.restore({**state, **wrong}, {**arrays, **wrong_arrays})


@pytest.mark.parametrize("name", ["texts", "grams", "buckets", "read", "warnings", "words", "counts"])
def test_what_is_missing_is_named(name: str) -> None:
    state, arrays = lexicon().state()
    for part in (state, arrays):
        part.pop(name, None)
    with pytest.raises(BadInput, match=rf"^the stored words do not fit together \('{name}'\)\.$"):
        Lexicon.restore(state, arrays)
