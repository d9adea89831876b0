"""Evidence of words: by hand on a classifier whose odds are known, in English and Chinese, and of trained ones."""

from __future__ import annotations

import numpy as np
import pytest

from decet import CNN, DNN, Recipe, TableClassifier, TextClassifier, Texts
from decet.errors import BadInput, Unsupported
from decet.pages import evidence as room
from decet.pages.evidence import evidence, evidence_in, log_odds, telling_words, without, word_spans

SCORES = {"good": 2.0, "bad": -3.0, "very": 0.5, "干净": 2.0, "脏": -2.0}


def ask(texts: list[str], cut: Texts | None = None) -> np.ndarray:
    """Log-odds of the second of two classes: the sum of the words' scores."""
    cutter = (cut or Texts()).cut()
    odds = np.array([sum(SCORES.get(word, 0.0) for word in cutter(text)) for text in texts])
    chance = 1 / (1 + np.exp(-odds))
    return np.stack([1 - chance, chance], 1)


def test_each_word_has_its_own_weight() -> None:
    pieces = evidence_in(ask, Texts(), "Very GOOD, not bad", column=1)
    assert [piece for piece, _ in pieces] == ["Very", " ", "GOOD", ", ", "not", " ", "bad"]
    assert [weight for _, weight in pieces] == pytest.approx([0.5, 0, 2, 0, 0, 0, -3])


def test_the_answered_class_is_meant_where_none_is_said() -> None:
    weights = dict(evidence_in(ask, Texts(), "bad very good"))  # odds of the first class: 0.5
    assert weights["bad"] == pytest.approx(3)
    assert weights["good"] == pytest.approx(-2)


def test_chinese_words_are_cut_and_found() -> None:
    pieces = evidence_in(ask, Texts(), "房间很干净,但是厕所脏。", column=1)
    assert "".join(piece for piece, _ in pieces) == "房间很干净,但是厕所脏。"
    weights = dict(pieces)
    assert weights["干净"] == pytest.approx(2)
    assert weights["脏"] == pytest.approx(-2)
    assert weights["房间"] == 0


@pytest.mark.parametrize(
    ("settings", "text", "words"),
    [
        (Texts(), "It’s DON'T café", ["It’s", "DON'T", "café"]),
        (Texts(accents=False), "Café naïve", ["Café", "naïve"]),
        (Texts(unit="characters"), "ab c", ["a", "b", "c"]),
        (Texts(joined="_"), "new_york x", ["new_york", "x"]),
        (Texts(lower=False), "A a", ["A", "a"]),
        (Texts(unit="pieces"), "two words", ["two", "words"]),
        (Texts(), "line\nend", ["line", "end"]),
        (Texts(), "", []),
        (Texts(), "... !", []),
    ],
)
def test_words_are_found_where_they_stand(settings: Texts, text: str, words: list[str]) -> None:
    assert [text[begin:end] for begin, end in word_spans(text, settings)] == words


def test_pieces_are_the_text_however_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "MOST", 3)
    monkeypatch.setattr(room, "BATCH", 2)
    text = "  good good good good bad.\n"
    pieces = evidence_in(ask, Texts(), text)
    assert "".join(piece for piece, _ in pieces) == text
    assert sum(weight != 0 for _, weight in pieces) == 3


def test_log_odds_keep_their_digits_where_p_is_near_one() -> None:
    found = log_odds(np.array([[1.0, 1e-9], [0.5, 0.5], [0.0, 1.0]], np.float32), 0)
    assert found == pytest.approx([9 * np.log(10), 0, np.log(room.TINY)], rel=1e-4)


def test_a_word_is_left_out_wherever_it_stands() -> None:
    assert without("Good, good! goods", "good", Texts()).split() == [",", "!", "goods"]
    assert "干净" not in without("很干净,非常干净", "干净", Texts())


def test_telling_words_by_class() -> None:
    texts = ["a good thing", "good very", "the bad thing", "bad bad"] * 3
    first, second = telling_words(ask, Texts(), texts, ask(texts))
    assert [word for word, _ in first] == ["bad"]
    assert first[0][1] == pytest.approx(4.5)  # the mean of one "bad" left out and of two
    assert [word for word, _ in second] == ["good", "very"]
    assert telling_words(ask, Texts(), ["good"], ask(["good"])) == [[], []]


@pytest.fixture(scope="module")
def trained() -> TextClassifier:
    texts = [f"{word} number {i}" for i in range(40) for word in ("good", "bad")]
    return TextClassifier(DNN(width=8, depth=1), recipe=Recipe(epochs=20, batch=16, lr=1e-2)).fit(
        texts, ["yes", "no"] * 40
    )


@pytest.mark.filterwarnings("ignore")
def test_a_trained_classifier_goes_by_the_word_that_matters(trained: TextClassifier) -> None:
    weights = dict(evidence(trained, "a good number"))
    assert weights["good"] == max(weights.values()) > 0.1
    assert dict(evidence(trained, "a good number", label="no"))["good"] == pytest.approx(-weights["good"], abs=1e-4)


def test_what_cannot_be_asked_is_told(trained: TextClassifier) -> None:
    with pytest.raises(BadInput, match=r"label 'maybe' is no class of this model: no, yes\."):
        evidence(trained, "good", label="maybe")
    with pytest.raises(Unsupported, match="evidence is of classifiers of texts. Received: TableClassifier"):
        evidence(TableClassifier(), "good")
    with pytest.raises(ValueError, match="not fitted"):
        evidence(TextClassifier(), "good")
    with pytest.raises(BadInput, match=r"evidence looks into one text, a str\. Received: list\."):
        evidence(trained, ["good"])


@pytest.mark.filterwarnings("ignore")
def test_models_of_several_answers_are_refused() -> None:
    texts, answers = ["good fine", "bad poor"] * 20, [["a", "b"], ["b", "a"]] * 20
    model = TextClassifier(CNN(kernels=(1,), width=8), recipe=Recipe(epochs=1)).fit(texts, np.array(answers))
    with pytest.raises(Unsupported, match="evidence is of one column of labels, and this model answers with several"):
        evidence(model, "good fine")
