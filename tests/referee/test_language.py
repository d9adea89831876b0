"""Writers compared: one text, its end to be judged by, n-grams beside the families; what cannot be judged."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import decet
from decet import LSTM, Recipe, TextGenerator, Transformer
from decet.data.passages import passages_of
from decet.data.prose import Prose
from decet.errors import BadInput
from decet.estimators.reading import Given
from decet.estimators.writing import stream_of
from decet.kneser_ney import KneserNey
from decet.referee.compare import compare
from decet.referee.comparison import Comparison
from decet.referee.contenders import Terms
from decet.referee.language import LEAST, ORDERS, Counted, language_ground
from decet.referee.verdict import BASELINE

pytestmark = pytest.mark.filterwarnings("ignore::decet.DataWarning")
FAMILIES = [
    Transformer(width=32, depth=1, heads=2, context=32, dropout=0.0),
    LSTM(width=32, depth=1, embedding=32, dropout=0.0, weight_dropout=0.0),
]
NONE = {"y": None, "groups": None, "order": None, "test": 0.2}


def text_of(words: int, seed: int = 0) -> str:
    rng = np.random.default_rng(seed)
    return (
        " ".join(rng.choice(["the", "cat", "dog", "sat", "ran", "on", "in", "a", "mat", "log", "house"], words)) + "\n"
    )


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> tuple[Comparison, Path]:
    out = tmp_path_factory.mktemp("compare") / "c"
    recipe = Recipe(steps=300, batch=16, window=32, lr=1e-2)
    return compare(TextGenerator(recipe=recipe), [text_of(4_000)], families=FAMILIES, out=out), out


def test_families_and_counts_are_judged_on_the_same_tokens(found: tuple[Comparison, Path]) -> None:
    compared, _ = found
    kinds = {r.name: r.kind for r in compared.results}
    assert kinds == {
        "Transformer": "family",
        "LSTM": "family",
        "n-grams (Kneser-Ney)": "baseline",
        "frequencies": "floor",
    }
    scores = {r.name: r.score.value for r in compared.results if r.score is not None}
    for result in compared.results:
        assert result.error is None
        assert result.score is not None
        assert result.score.low < result.score.value < result.score.high
        assert result.metrics["log_likelihood"] == pytest.approx(result.score.value)
        assert result.metrics["loss"] == pytest.approx(-result.score.value)
    assert min(scores, key=lambda name: scores[name]) == "frequencies"
    assert scores["n-grams (Kneser-Ney)"] > -1.1  # letters of words drawn from eleven
    assert compared.facts["items"] == "tokens"
    assert compared.facts["how"] == "the last 20% of the text"


def test_the_end_of_the_text_trains_nobody(found: tuple[Comparison, Path]) -> None:
    compared, _ = found
    whole = len(text_of(4_000))
    judged, trained = compared.facts["test"], compared.facts["train"]
    assert trained + judged + 1 == whole  # the first token of a text is not asked for
    for result in compared.results:
        assert result.rows <= trained


def test_models_are_saved_and_the_comparison_written(found: tuple[Comparison, Path]) -> None:
    _, out = found
    assert decet.verify(out / "Transformer")
    told = json.loads((out / "comparison.json").read_text(encoding="utf-8"))
    assert told["metric"] == "log_likelihood"
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "n-grams (Kneser-Ney)" in page
    assert "tokens" in page


@pytest.mark.parametrize("unit", ["characters", "words", "pieces"])
def test_all_are_asked_by_the_same_numbers(unit: str) -> None:
    """Words of the last part of what trains come into the vocabulary, and other words are frequent there."""
    text = text_of(2_000) + "蘋果 mat mat mat 香蕉 house " * 200 + text_of(600)
    inputs = Prose(unit=unit, max_size=290 if unit == "pieces" else None)
    family = Transformer(width=32, depth=1, heads=2, context=16, dropout=0.0)
    recipe = Recipe(steps=150, batch=16, lr=1e-2)
    found = compare(TextGenerator(inputs=inputs, recipe=recipe), [text], families=[family])
    scores = {r.name: r.score.value for r in found.results if r.score is not None}
    assert scores["Transformer"] > scores["frequencies"]


def test_counts_choose_their_order_by_text_they_have_not_counted() -> None:
    passages = passages_of([text_of(3_000)])
    codec = Prose().fit(passages)
    counted = Counted("n-grams", BASELINE, codec, ORDERS)
    counted.fit(Given(passages, None), Terms())
    assert counted.order in (3, 4, 5)  # within words there is something to tell by, between them nothing
    ids = stream_of(codec, passages_of([text_of(500, seed=1)]))[0].numpy()
    by_one = KneserNey(stream_of(codec, passages)[0].numpy(), codec.spec.vocabulary, 1).surprises(ids).mean()
    assert counted.model.surprises(ids).mean() < 0.5 * by_one


def test_a_short_time_counts_less_text() -> None:
    passages = passages_of([text_of(3_000)])
    counted = Counted("n-grams", BASELINE, Prose().fit(passages), ORDERS)
    counted.fit(Given(passages, None), Terms(seconds=1e-3))
    assert counted.rows == LEAST


def test_an_official_test_part_is_taken(data_folder: Path) -> None:
    ground = language_ground(TextGenerator(inputs=Prose(unit="words", max_size=1_000)), "wikitext-2", **NONE)
    assert ground.how == "the official test part"
    assert ground.sizes[0] > 1_900_000
    assert ground.sizes[1] > 240_000


def test_what_cannot_be_judged_is_refused() -> None:
    with pytest.raises(BadInput, match="judged by the text itself"):
        language_ground(TextGenerator(), [text_of(50)], **(NONE | {"y": "label"}))
    with pytest.raises(BadInput, match="1 tokens in the part of the texts to judge by"):
        language_ground(TextGenerator(), [""], **NONE)
    with pytest.raises(BadInput, match="not running text"):
        language_ground(TextGenerator(), "iris", **NONE)
