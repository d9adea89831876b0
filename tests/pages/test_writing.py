"""The page of what writes: its figures, what it wrote, what surprised it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tests.pages.test_page import checked

import decet
from decet import LSTM, Prose, Recipe, TextGenerator
from decet.data.passages import passages_of
from decet.errors import BadInput
from decet.estimators.writing import stream_of, told
from decet.pages.writing import SAMPLES, samples, surprising

EVIL = "<script>alert('x')</script>"
TEXT = f"the cat sat on the mat. 蘋果 {EVIL} the dog sat on the log.\n" * 40


@pytest.fixture(scope="module")
def model() -> TextGenerator:
    return TextGenerator(LSTM(width=32, embedding=32), recipe=Recipe(epochs=8, batch=8, window=32, lr=1e-2)).fit([TEXT])


def test_the_page_tells_what_was_learned_from_what(model: TextGenerator, tmp_path: Path) -> None:
    page = decet.report(model, out=tmp_path, command="made by hand").read_text(encoding="utf-8")
    words = checked(page)
    for shown in (
        "TextGenerator with LSTM",
        f"costs it {model.metrics_['loss']:.3f} nats",
        "bits_per_byte",
        "What it writes",
        "nats a token on rows not trained on, by epoch",
        "To repeat it",
        "made by hand",
        f"{model.provenance_['rows']:,}",
        "width 32",
    ):
        assert shown in words
    assert page.count('class="sample"') == SAMPLES
    assert "What surprised it" not in words
    assert "<script" not in page


def test_of_texts_given_the_surprise_of_each_token_is_shown(model: TextGenerator, tmp_path: Path) -> None:
    path = decet.report(model, [f"the cat sat on QQQ mat {EVIL} 蘋果"], out=tmp_path / "r.html")
    page = path.read_text(encoding="utf-8")
    words = checked(page)
    assert "What surprised it" in words
    assert "95 % from" in words
    assert "<script" not in page
    bits = {text: float(b) for b, text in re.findall(r'title="([\d.]+) bits">([^<]*)</mark>', page)}
    assert bits["Q"] > 4.0  # never seen


def test_tokens_and_surprises_belong_together(model: TextGenerator) -> None:
    ids, _ = stream_of(model.codec_, passages_of(["the cat sat on the mat. 蘋果"]))
    answers = told(model.learner_, ids)
    pieces = surprising(model, ids, answers)
    text = "".join(piece.text for piece in pieces)
    assert "the cat sat on the mat. 蘋果\n".endswith(text)
    assert [piece.bits for piece in pieces] == pytest.approx((answers[-len(pieces) :, 0] / 0.6931471805599453).tolist())
    assert all(0.0 <= piece.strength <= 1.0 for piece in pieces)


def test_samples_are_what_it_writes(model: TextGenerator) -> None:
    assert samples(model) == samples(model)
    assert len(set(samples(model))) == SAMPLES


def test_what_cannot_be_shown_is_refused(model: TextGenerator, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no answers"):
        decet.report(model, [TEXT], ["a"], out=tmp_path / "r.html")
    with pytest.raises(BadInput, match="1 tokens in the texts, and two are needed"):
        decet.report(model, [""], out=tmp_path / "r.html")
    assert not (tmp_path / "r.html").exists()


@pytest.mark.parametrize("unit", ["bytes", "words", "pieces"])
def test_each_unit_has_texts_of_its_tokens(unit: str) -> None:
    codec = Prose(unit=unit, max_size=300 if unit == "pieces" else None).fit(passages_of([TEXT]))
    ids = codec.numbers("the cat 蘋果 sat\n").tolist()
    texts = codec.texts(ids)
    assert len(texts) == len(ids)
    assert "".join(texts).split() == ["the", "cat", "蘋果", "sat"]
