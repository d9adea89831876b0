"""Vectors compared: one corpus, pairs of words that people marked, counts beside the family; what cannot be judged."""

from __future__ import annotations

import json
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import decet
from decet import Recipe, Word2Vec, WordEmbedder
from decet.errors import BadInput
from decet.estimators.reading import Given
from decet.referee.compare import _template, compare
from decet.referee.comparison import Comparison
from decet.referee.contenders import Network, Terms
from decet.referee.words import Counted, word_ground

pytestmark = pytest.mark.filterwarnings("ignore::decet.DataWarning")
TOPICS = {"sea": ["ship", "wave", "sail", "storm", "harbour"], "field": ["plough", "horse", "barn", "hay", "fence"]}
FAMILIES = [Word2Vec(width=12, sample=0.0, deterministic=True)]
NONE: dict[str, Any] = {"groups": None, "order": None, "test": 0.2}


@pytest.fixture(scope="module")
def texts() -> list[str]:
    """400 sentences, each with words of one topic."""
    rng = np.random.default_rng(0)
    topics = list(TOPICS.values())
    return [" ".join(rng.choice(topics[i % 2], 6)) for i in range(400)]


@pytest.fixture(scope="module")
def tests(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All 45 pairs, like where they are of one topic, and a pair of unknown words."""
    sea, field = TOPICS.values()
    lines = [f"{a}\t{b}\t{9 if (a in sea) == (b in sea) else 1}" for a, b in combinations([*sea, *field], 2)]
    path = tmp_path_factory.mktemp("tests") / "pairs.tsv"
    path.write_text("\n".join([*lines, "hot\tcold\t5"]))
    return path


@pytest.fixture(scope="module")
def found(texts: list[str], tests: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Comparison, Path]:
    out = tmp_path_factory.mktemp("compare") / "c"
    recipe = Recipe(epochs=30)
    return compare(WordEmbedder(recipe=recipe), texts, tests, families=FAMILIES, out=out), out


def test_the_family_and_counts_are_judged_on_the_same_pairs(found: tuple[Comparison, Path]) -> None:
    compared, _ = found
    assert {r.name: r.kind for r in compared.results} == {"Word2Vec": "family", "PPMI + SVD": "baseline"}
    for result in compared.results:
        assert result.score is not None
        assert result.score.low < result.score.value <= result.score.high
        assert result.metrics["wordsim"] == pytest.approx(result.score.value)
        assert result.metrics["semantic"] is None
        assert result.rows == 400
        assert min(result.seconds, result.latency, result.megabytes) > 0
    assert (compared.metric, compared.best.name) == ("wordsim", "Word2Vec")
    assert compared.best.metrics["wordsim"] > 0.8
    assert (compared.facts["train"], compared.facts["test"]) == (400, 45)
    assert compared.facts["how"] == "people's marks of pairs whose words the texts have, of 46; and 0 analogies"
    assert "on 45 pairs of words" in compared.verdict


def test_the_folder_holds_the_vectors_and_the_page(found: tuple[Comparison, Path]) -> None:
    _, out = found
    assert decet.verify(out / "Word2Vec")
    near = dict(decet.load(out / "Word2Vec").most_similar("ship", topn=4))
    assert set(near) == set(TOPICS["sea"]) - {"ship"}
    assert json.loads((out / "comparison.json").read_text())["facts"]["items"] == "pairs of words"
    page = (out / "report.html").read_text()
    for shown in ("wordsim on 45 pairs of words", "PPMI + SVD", "A map of words", "The nearest words", "words teach"):
        assert shown in page


def test_an_interrupted_one_goes_on(
    found: tuple[Comparison, Path], texts: list[str], tests: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(self: Any, given: Any, terms: Any) -> None:
        raise KeyboardInterrupt

    estimator = WordEmbedder(recipe=Recipe(epochs=30))
    with monkeypatch.context() as patched:
        patched.setattr("decet.referee.words.Embedding.fit", stopped)
        assert compare(estimator, texts, tests, families=FAMILIES, out=tmp_path).waiting == ["Word2Vec"]
    monkeypatch.setattr(Counted, "fit", lambda *_: pytest.fail("it was fitted before"))
    again = compare(estimator, texts, tests, families=FAMILIES, out=tmp_path, resume=True)
    assert [(r.name, r.score) for r in again.results] == [(r.name, r.score) for r in found[0].results]


# ---------------------------------------------------------------------------------------------------- the baseline


def fitted(texts: list[str], terms: Terms) -> Counted:
    counted = Counted()
    counted.fit(WordEmbedder()._given(texts, None, reset=True), terms)
    return counted


@pytest.mark.parametrize(("seconds", "rows"), [(None, 400), (60.0, 400), (0.012, 200), (1e-9, 1)])
def test_a_share_of_the_budget_bounds_the_sentences(seconds: float | None, rows: int, texts: list[str]) -> None:
    counted = fitted(texts, Terms(seconds=seconds))
    assert counted.about()["rows"] == rows
    assert counted.vectors.matrix.shape == (10, 9)


def test_words_too_rare_in_a_part_have_no_direction() -> None:
    names = [f"{a}{b}" for a in "klmnopqrstuv" for b in "abcdefghij"]
    rng = np.random.default_rng(0)
    some = [" ".join(rng.choice(names, 10)) for _ in range(400)] + ["whale ka kb kc"]
    whole, part = (fitted(some, Terms(seconds=seconds)) for seconds in (None, 0.02))
    assert part.rows == 200
    assert whole.vectors.vector("whale").any()
    assert not part.vectors.vector("whale").any()
    assert part.vectors.vector("ka").any()


# --------------------------------------------------------------------------------------------------------- refusals


def test_what_cannot_be_judged_is_told_before_training(
    texts: list[str], tests: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data_folder: Path
) -> None:
    monkeypatch.setattr(Network, "fit", lambda *_: pytest.fail("work has started"))
    monkeypatch.setattr(Counted, "fit", lambda *_: pytest.fail("work has started"))
    chinese = ["我 喜歡 吃 蘋果", "蘋果 是 我 的 最愛"] * 30
    with pytest.raises(BadInput) as caught:
        compare(WordEmbedder, chinese)
    assert str(caught.value) == (
        "there is nothing to score vectors of the texts by: of the 353 pairs of the word tests, which are English, it "
        "has 0, and 20 are needed. Give a file of pairs of its language as the target."
    )
    few = tmp_path / "few.tsv"
    few.write_text("ship\tsail\t9\nship\tbarn\t1\n")
    with pytest.raises(BadInput, match=r"of the 2 pairs of '.*few\.tsv' it has 2, and 20 are needed"):
        compare(WordEmbedder, texts, few)
    with pytest.raises(BadInput, match="there is no file 'nowhere.tsv' of pairs or questions"):
        compare(WordEmbedder, texts, "nowhere.tsv")
    with pytest.raises(BadInput, match=r"no texts are set aside\. Leave groups and order out\."):
        compare(WordEmbedder, texts, tests, groups=np.arange(400))
    with pytest.raises(BadInput, match="budget 3 s is too little for 2 contenders"):
        compare(WordEmbedder, texts, tests, budget=3)


def test_english_texts_are_judged_by_the_public_tests(data_folder: Path) -> None:
    lee = str(data_folder / "word_vectors" / "lee_background.cor")
    ground = word_ground(_template(WordEmbedder, 0), lee, None, **NONE)
    assert isinstance(ground.train, Given)
    assert 50 < ground.sizes[1] == ground.test.rows.pairs < 353
    assert ground.target.shape == (len(ground.test.rows.words), 2)
