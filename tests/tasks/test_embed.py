"""Questions to vectors of words, each answer worked by hand on words that lie on a circle."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.stats import spearmanr

from decet.errors import BadInput
from decet.nn import nearest
from decet.tasks import embed
from decet.tasks.embed import Embed, WordVectors, read_analogies, read_wordsim, text_of

ANGLES = {"north": 90, "east": 0, "west": 180, "south": -90, "noon": 80, "night": -80}  # degrees
LENGTHS = [1, 2, 3, 4, 5, 6]  # which no answer depends on


def circle(**said: object) -> WordVectors:
    radians = np.radians(list(ANGLES.values()))
    matrix = np.stack([np.cos(radians), np.sin(radians)], 1) * np.array(LENGTHS)[:, None]
    return WordVectors(list(ANGLES), matrix, **said)  # type: ignore[arg-type]


def cos(degrees: float) -> float:
    return float(np.cos(np.radians(degrees)))


def random_words(size: int, width: int) -> WordVectors:
    return WordVectors([f"w{i}" for i in range(size)], np.random.default_rng(0).normal(size=(size, width)))


# ---------------------------------------------------------------------------------------------------- near and alike


def test_words_have_their_rows() -> None:
    words = circle()
    assert words.vector("east").tolist() == pytest.approx([2, 0])
    assert (len(words), "east" in words, "centre" in words) == (6, True, False)
    assert words.matrix.dtype == np.float32


def test_similarity_is_the_cosine() -> None:
    words = circle()
    assert words.similarity("north", "noon") == pytest.approx(cos(10))
    assert words.similarity("east", "west") == pytest.approx(-1)
    assert words.similarity("east", "east") == pytest.approx(1)


def test_the_nearest_words_come_with_their_cosines_and_without_the_word() -> None:
    found = circle().most_similar("north", topn=3)
    assert (found[0][0], {found[1][0], found[2][0]}) == ("noon", {"east", "west"})
    assert [cosine for _, cosine in found] == pytest.approx([cos(10), 0, 0], abs=1e-6)
    assert len(circle().most_similar("north", topn=99)) == 5


def test_several_words_count_by_direction_alone() -> None:
    """north and east together point to 45 degrees, though east is twice as long; noon is 35 degrees from it."""
    assert circle().most_similar(["north", "east"], topn=1) == [("noon", pytest.approx(cos(35)))]


def test_words_may_be_taken_away() -> None:
    """From 80 degrees away from 0: half way between 80 and 180, 40 degrees from north."""
    assert circle().most_similar("noon", "east", topn=1) == [("north", pytest.approx(cos(40)))]
    assert circle().most_similar(negative="north", topn=1) == [("south", pytest.approx(1))]


def test_an_analogy_adds_what_divides_two_words() -> None:
    """north is to noon as south is to night: noon - north + south is (cos 80, sin 80 - 2), at -80.3 degrees."""
    assert circle().analogy("north", "noon", "south") == [("night", pytest.approx(1, abs=1e-4))]
    assert circle().analogy("north", "noon", "south", topn=2) == circle().most_similar(["noon", "south"], "north", 2)


def test_the_nearest_to_a_vector_of_ones_own() -> None:
    assert circle().nearest(np.array([0, -7.0]), 1) == [("south", pytest.approx(1))]
    assert circle().nearest([0, -7], 2, leave={"south"})[0] == ("night", pytest.approx(cos(10)))  # type: ignore[arg-type]


def test_the_word_that_does_not_match_is_farthest_from_the_middle() -> None:
    assert circle().doesnt_match(["north", "noon", "south", "east"]) == "south"


def test_large_tables_answer_as_a_full_sort_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nearest, "PAYS", 1)
    words = random_words(20_000, 64)
    units = words.matrix / np.linalg.norm(words.matrix, axis=1, keepdims=True)
    for number in range(nearest.EARLY + 4):
        cosines = units @ units[number]
        order = [i for i in np.argsort(-cosines) if i != number][:10]
        found = words.most_similar(f"w{number}")
        assert [word for word, _ in found] == [f"w{i}" for i in order]
        assert [cosine for _, cosine in found] == pytest.approx(cosines[order], abs=1e-6)


# --------------------------------------------------------------------------------------------------- unknown words


def test_unknown_words_are_refused_with_what_is_near() -> None:
    with pytest.raises(BadInput, match=r"^the word 'nortth' is not known\. Did you mean 'north'\?$"):
        circle().vector("nortth")
    with pytest.raises(BadInput, match=r"^the word 'EAST' is not known\. Did you mean 'east'\?$"):
        circle().most_similar("EAST")
    with pytest.raises(BadInput, match=r"There are 6 words, the most frequent: north, east, west, south, noon\.$"):
        circle().similarity("north", "xylophone")
    with pytest.raises(BadInput, match="the word '' is not known"):
        circle().doesnt_match(["north", "east", ""])


def test_unknown_words_may_have_vectors_of_their_own() -> None:
    words = circle(unknown=lambda word: np.array([0, 1], np.float32) if word == "northern" else None)
    assert words.most_similar("northern", topn=1) == [("north", pytest.approx(1))]
    assert words.similarity("northern", "south") == pytest.approx(-1)
    with pytest.raises(BadInput, match="'nothern' is not known. Did you mean 'north'"):
        words.vector("nothern")


def test_words_without_a_direction_are_near_to_nothing() -> None:
    words = WordVectors(["a", "b", "c"], np.array([[0, 0], [1, 0], [1, 1]]))
    assert words.similarity("a", "b") == 0
    assert [cosine for _, cosine in words.most_similar("a")] == [0, 0]


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        pytest.param(lambda w: w.most_similar(), r"most_similar needs a word: most_similar\('london'\)\.", id="none"),
        pytest.param(lambda w: w.most_similar([]), "most_similar needs a word", id="an empty list"),
        pytest.param(lambda w: w.most_similar("east", topn=0), "topn must be a whole number of at least 1", id="0"),
        pytest.param(lambda w: w.most_similar("east", topn=1.5), "topn must be a whole number", id="1.5"),
        pytest.param(lambda w: w.nearest(w.matrix[0], -1), "topn must be a whole number", id="-1"),
        pytest.param(lambda w: w.doesnt_match(["a", "b"]), r"needs at least three words. Received: 2\.", id="two"),
    ],
)
def test_questions_that_cannot_be_answered(asked, told: str) -> None:
    with pytest.raises(BadInput, match=told):
        asked(circle())


# ----------------------------------------------------------------------------------------------------------- texts


SHARES = np.array([0.5, 0.001, 0.499, 0, 0, 0])


def test_a_texts_vector_is_the_mean_weighed_by_inverse_frequency() -> None:
    """a / (a + p): 1/501 for north, 1/2 for east, with a = 0.001."""
    north, east = 1 / 501, 1 / 2
    found = circle(shares=SHARES).text_vector(["north", "east", "nowhere"])
    assert found.tolist() == pytest.approx([2 * east / (north + east), north / (north + east)])
    assert circle(shares=SHARES).text_vector(["north", "east"], smoothing=0).tolist() == pytest.approx([1, 0.5])
    assert circle().text_vector(["north", "east", "east"]).tolist() == pytest.approx([4 / 3, 1 / 3])


def test_a_text_of_unknown_words_is_zeros() -> None:
    assert circle().text_vector(["who", "knows"]).tolist() == [0, 0]
    assert circle().text_vector([]).tolist() == [0, 0]


def test_unknown_words_count_in_full_where_they_have_vectors() -> None:
    words = circle(shares=SHARES, unknown=lambda word: np.array([0, 1], np.float32))
    assert words.weight("northern") == 1
    assert words.text_vector(["northern", "east"]).tolist() == pytest.approx([2 * 0.5 / 1.5, 1 / 1.5])


def test_keywords_are_near_the_texts_middle_and_rare() -> None:
    """The middle is near to east, which is rare; north is half of all words."""
    found = circle(shares=SHARES).keywords(["north", "east", "east", "nowhere"])
    middle = circle(shares=SHARES).text_vector(["north", "east", "east"])
    angle = np.degrees(np.arctan2(middle[1], middle[0]))
    assert found == [
        ("east", pytest.approx(cos(angle) / 2, abs=1e-6)),
        ("north", pytest.approx(cos(90 - angle) / 501, abs=1e-6)),
    ]
    assert circle(shares=SHARES).keywords(["north", "east"], topn=1)[0][0] == "east"
    assert circle().keywords(["nowhere"]) == []


# ------------------------------------------------------------------------------------------------------ evaluation


def test_wordsim_is_spearmans_correlation_of_known_pairs() -> None:
    pairs = [("north", "noon", 9.0), ("north", "east", 3.0), ("north", "south", 1.0), ("noon", "south", 2.0)]
    ours = [cos(10), cos(90), cos(180), cos(170)]
    wanted = spearmanr(ours, [mark for *_, mark in pairs]).statistic
    assert wanted == pytest.approx(1)
    assert circle().wordsim([*pairs, ("north", "nowhere", 5.0)]) == (pytest.approx(wanted), 4)
    assert circle().wordsim(pairs[:2]) == (None, 2)
    assert circle().wordsim([("north", "east", float(mark)) for mark in range(5)]) == (None, 5)  # all alike


def test_wordsim_agrees_with_scipy_where_marks_are_tied() -> None:
    words, rng = random_words(50, 8), np.random.default_rng(1)
    pairs = [(f"w{a}", f"w{b}", float(rng.integers(0, 5))) for a, b in rng.integers(0, 50, (200, 2))]
    ours = [words.similarity(a, b) for a, b, _ in pairs]
    assert words.wordsim(pairs)[0] == pytest.approx(spearmanr(ours, [mark for *_, mark in pairs]).statistic)


QUESTIONS = {
    "right": [("north", "noon", "south", "night")],
    "wrong": [("north", "noon", "south", "west"), ("north", "noon", "south", "night")],
    "unknown": [("north", "noon", "south", "nowhere")],
}


@pytest.mark.parametrize("cosines", [1, embed.COSINES])
def test_analogies_are_counted_by_section(cosines: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embed, "COSINES", cosines)
    assert circle().analogies(QUESTIONS) == {"right": (1, 1), "wrong": (1, 2), "unknown": (0, 0)}


def test_analogies_agree_with_one_question_after_the_other() -> None:
    words, rng = random_words(40, 6), np.random.default_rng(2)
    questions = [tuple(f"w{i}" for i in rng.choice(40, 3, replace=False)) for _ in range(60)]
    answers = [words.analogy(*question)[0][0] for question in questions]
    asked = [(*question, answer) for question, answer in zip(questions, answers, strict=True)]
    asked[:20] = [(*question[:3], "w0") for question in asked[:20]]
    right = sum(answer == "w0" for answer in answers[:20]) + 40
    assert words.analogies({"all": asked}) == {"all": (right, 60)}  # type: ignore[dict-item]


# ----------------------------------------------------------------------------------------------------------- files


def test_pairs_are_read(tmp_path: Path) -> None:
    (tmp_path / "pairs.tsv").write_text("# Word 1\tWord 2\tHuman\n\nTiger\tCat\t7.35\nlove \tsex\t6\n")
    assert read_wordsim(tmp_path / "pairs.tsv") == [("tiger", "cat", 7.35), ("love", "sex", 6.0)]


def test_questions_are_read(tmp_path: Path) -> None:
    (tmp_path / "questions.txt").write_text(": a b\nAthens Greece Oslo Norway\n\n: c\nx y z w\n: a b\n1 2 3 4\n")
    assert read_analogies(tmp_path / "questions.txt") == {
        "a b": [("athens", "greece", "oslo", "norway"), ("1", "2", "3", "4")],
        "c": [("x", "y", "z", "w")],
    }


@pytest.mark.parametrize("line", ["tiger,cat,7.35", "tiger\tcat", "tiger\tcat\tmuch", "tiger\tcat\tnan"])
def test_lines_that_are_no_pair_are_named(tmp_path: Path, line: str) -> None:
    (tmp_path / "pairs.tsv").write_text(f"a\tb\t1\n{line}\n")
    with pytest.raises(BadInput, match=r"^line 2 of '.*pairs.tsv' is no pair of words and a number, divided by tabs"):
        read_wordsim(tmp_path / "pairs.tsv")


@pytest.mark.parametrize("text", ["a b c d\n", ": s\na b c\n", ": s\na b c d e\n"])
def test_lines_that_are_no_question_are_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "q.txt").write_text(text)
    with pytest.raises(BadInput, match=r"^line [12] of '.*q.txt' is no question of four words: 'a b c"):
        read_analogies(tmp_path / "q.txt")


def test_files_that_are_no_text(tmp_path: Path) -> None:
    (tmp_path / "q.bin").write_bytes(b"a b\xff")
    with pytest.raises(BadInput, match=r"^'.*q.bin' is no UTF-8 text: byte 0xff at offset 3\.$"):
        text_of(tmp_path / "q.bin")
    with pytest.raises(BadInput, match=r"^'.*nowhere' cannot be read \(No such file or directory\)\.$"):
        text_of(tmp_path / "nowhere")


# --------------------------------------------------------------------------------------------- items that judge


def test_figures_of_items() -> None:
    """Three pairs, ranked 1, 2, 3 by people and 1, 3, 2 by the vectors; questions 2 of 3 and none."""
    target = np.array([[0, 1.0], [0, 5.0], [0, 9.0], [1, 1], [1, 1], [1, 1]])
    answers = np.array([0.1, 0.8, 0.3, 1, 0, 1])
    assert Embed().metrics(answers, target, None) == {
        "wordsim": pytest.approx(0.5),
        "semantic": pytest.approx(2 / 3),
        "syntactic": None,
    }
    assert Embed().metrics(np.ones(6), target, None)["wordsim"] is None  # all alike
    assert Embed().metrics(answers[3:], target[3:], None)["wordsim"] is None


def test_sums_over_pairs_give_spearmans_correlation() -> None:
    rng = np.random.default_rng(0)
    marks, cosines = rng.integers(0, 10, 200) / 2, rng.normal(size=200).round(1)  # with ties
    target = np.stack([np.zeros(200), marks], 1)
    items = Embed().items(cosines, target, None)
    assert Embed().of_items(items.sum(0)) == pytest.approx(spearmanr(cosines, marks).statistic)
    many = Embed().of_items(np.stack([items.sum(0), items[:1].sum(0)]))
    assert many.shape == (2,)
    assert np.isnan(many[1])


def test_no_questions_have_no_answers() -> None:
    assert circle().right([]).shape == (0,)
