"""Maps of words: which words, near ones near, labels that do not overlap, pictures, what is refused."""

from __future__ import annotations

import io
import warnings
import xml.etree.ElementTree as ElementTree
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import decet
from decet import DNN, DataWarning, Recipe, TableClassifier, Word2Vec, WordEmbedder
from decet.errors import BadInput, Unsupported
from decet.pages import wordmap
from decet.pages.wordmap import NARROW, WordMap, fonts_of, map_words, telling, word_map
from decet.tasks.embed import WordVectors

SVG = "{http://www.w3.org/2000/svg}"


def crowd(topics: int = 4, words: int = 15, seed: int = 0) -> WordVectors:
    """Words of some topics, `t0w0`'s letters only: each near to the direction of its topic."""
    rng = np.random.default_rng(seed)
    centres = np.eye(topics, 12)
    names = [f"{'abcdefgh'[topic]}{'klmnopqrstuvwxyz'[word]}" for word in range(words) for topic in range(topics)]
    rows = np.concatenate([centres + 0.1 * rng.normal(size=(topics, 12)) for _ in range(words)])
    return WordVectors(names, rows, shares=np.full(len(names), 1e-4))


@pytest.fixture(scope="module")
def model() -> WordEmbedder:
    """Few words, Chinese ones among them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)
        texts = ["the cat sat on the mat <b>", "我喜歡吃蘋果", "蘋果是我的最愛", "the dog sat on the rug"] * 5
        return WordEmbedder(Word2Vec(width=8), recipe=Recipe(epochs=1)).fit(texts)


# ------------------------------------------------------------------------------------------------------ which words


def test_very_frequent_words_and_what_is_no_word_are_left_out() -> None:
    words = ["the", "7", "s", "cat", "don't", "new_york", "x2", "犬", "rare"]
    shares = np.array([0.1, 1e-4, 1e-4, 1e-4, 1e-4, 1e-4, 1e-4, 1e-4, 1e-5])
    vectors = WordVectors(words, np.ones((9, 4)), shares=shares)
    assert telling(vectors, 5) == ["cat", "don't", "new_york", "犬", "rare"]
    assert telling(vectors, 6) == ["the", "cat", "don't", "new_york", "犬", "rare"]  # where there are too few without


def test_of_twice_as_many_those_with_longer_vectors_are_taken() -> None:
    words = ["aa", "bb", "cc", "dd", "ee"]
    lengths = np.array([[1.0], [3.0], [2.0], [4.0], [9.0]])
    assert telling(WordVectors(words, lengths * np.ones((5, 4))), 2) == ["bb", "dd"]  # ee is the fifth


# ------------------------------------------------------------------------------------------------------------ where


def boxes(found: WordMap) -> list[tuple[float, float, float, float]]:
    """Middles, widths and heights of Latin labels."""
    return [(o.x, o.y, NARROW * o.size * len(o.word), o.size) for o in found.labels]


def test_labels_do_not_overlap_and_stand_inside() -> None:
    found = word_map(crowd(8, 15))
    assert len(found.labels) + found.left == 120
    assert found.left <= 3
    for (x, y, w, h), (p, q, v, k) in combinations(boxes(found), 2):
        assert abs(x - p) >= (w + v) / 2 - 0.2 or abs(y - q) >= (h + k) / 2 - 0.2
    for x, y, w, h in boxes(found):
        assert w / 2 <= x <= found.width - w / 2
        assert h / 2 <= y <= found.height - h / 2


def test_words_of_a_topic_stand_together_and_share_a_tint() -> None:
    found = word_map(crowd(5, 12))
    topics = np.array([label.word[0] for label in found.labels])
    places = np.array([(label.x, label.y) for label in found.labels])
    away = np.linalg.norm(places[:, None] - places, axis=2)
    np.fill_diagonal(away, np.inf)
    nearest = np.argsort(away, axis=1)[:, :3]
    assert (topics[nearest] == topics[:, None]).mean() > 0.9
    tints = {topic: {o.group for o in found.labels if o.word[0] == topic} for topic in set(topics)}
    assert all(len(groups) == 1 for groups in tints.values())
    assert set.union(*tints.values()) == {0, 1, 2, 3, 4}


def test_frequent_words_are_large_and_the_same_seed_gives_the_same_map() -> None:
    found = word_map(crowd())
    sizes = [label.size for label in found.labels]
    assert sizes == sorted(sizes, reverse=True)
    assert found == word_map(crowd())
    assert found != word_map(crowd(), seed=1)


@pytest.mark.parametrize("width", [1, 2])
def test_few_words_of_narrow_or_equal_vectors(width: int) -> None:
    vectors = WordVectors(["aa", "bb", "cc", "dd"], np.ones((4, width)))
    assert len(word_map(vectors).labels) == 4


# --------------------------------------------------------------------------------------------------------- pictures


def test_an_svg_stands_alone_light_and_dark(model: WordEmbedder, tmp_path: Path) -> None:
    path = decet.map_words(model, tmp_path / "new" / "words.svg")
    root = ElementTree.parse(path).getroot()
    words = {node.text for node in root.iter(f"{SVG}text")}
    assert {"cat", "蘋果"} <= words
    assert "prefers-color-scheme: dark" in path.read_text(encoding="utf-8")
    assert root.tag == f"{SVG}svg"
    assert not [node for node in root.iter() if node.tag.endswith(("script", "image"))]


def test_words_that_are_asked_for_are_read_as_texts_are(model: WordEmbedder, tmp_path: Path) -> None:
    model.save(tmp_path / "m")
    path = map_words(tmp_path / "m", tmp_path / "words.svg", ["Cat", "dog", "mat", "cat"])
    assert sorted(node.text or "" for node in ElementTree.parse(path).iter(f"{SVG}text")) == ["cat", "dog", "mat"]


def test_a_png_has_the_maps_shape(model: WordEmbedder, tmp_path: Path) -> None:
    path = map_words(model, tmp_path / "words.PNG", ["cat", "dog", "mat", "rug"])
    with Image.open(io.BytesIO(path.read_bytes())) as picture:
        assert picture.size == (2 * 720, 2 * 585)
        assert len(picture.convert("RGB").getcolors(1 << 20) or []) > 10


def test_a_word_gets_a_font_that_draws_it(monkeypatch: pytest.MonkeyPatch) -> None:
    has = {"narrow": frozenset("abcé"), "wide": frozenset("犬貓a"), "odd": frozenset("ç")}
    monkeypatch.setattr("matplotlib.font_manager.findfont", lambda name: "narrow")
    monkeypatch.setattr("matplotlib.font_manager.findSystemFonts", lambda: ["wide", "odd"])
    monkeypatch.setattr(wordmap, "_characters", has.__getitem__)
    assert fonts_of(["aé", "犬a", "貓", "ç"]) == {"aé": "narrow", "犬a": "wide", "貓": "wide", "ç": "odd"}
    with pytest.raises(BadInput, match=r"^no font of this machine draws 狗, çb\. Write \.svg, which is drawn with"):
        fonts_of(["a", "狗", "犬", "çb"])


def test_what_cannot_be_drawn_is_told(model: WordEmbedder, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"^a map of words is a picture, \.svg, \.png\. Received: 'words\.gif'\.$"):
        map_words(model, "words.gif")
    with pytest.raises(BadInput, match=r"^a map is of 3 to 1,000 words\. Received: 2\.$"):
        map_words(model, tmp_path / "a.svg", ["cat", "dog"])
    with pytest.raises(BadInput, match=r"the word 'catt' is not known\. Did you mean 'cat'\?"):
        map_words(model, tmp_path / "a.svg", ["catt", "dog", "mat"])
    with pytest.raises(BadInput, match="count must be a whole number between 3 and 1000"):
        map_words(model, tmp_path / "a.svg", count=2)
    with pytest.raises(ValueError, match="not fitted"):
        map_words(WordEmbedder(), tmp_path / "a.svg")
    with pytest.raises(Unsupported, match="maps are of words and nodes that have vectors. Received: TableClassifier"):
        map_words(TableClassifier(DNN()), tmp_path / "a.svg")
    assert not list(tmp_path.iterdir())
