"""Texts that a network writes: fitted, judged, written, saved, resumed."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import decet
from decet import LSTM, Prose, Recipe, TextGenerator, Transformer
from decet.data.passages import passages_of
from decet.errors import BadInput
from decet.estimators import writing
from decet.estimators.reading import DataWarning
from decet.nn import vocabulary

TEXT = "the cat sat on the mat. the dog sat on the log. " * 60
SMALL = Transformer(width=32, depth=2, heads=2, context=32, dropout=0.0)
FAMILIES: list[Any] = [
    SMALL,
    LSTM(width=32, depth=1, embedding=32, dropout=0.0),
    LSTM(width=32, depth=1, embedding=32, dropout=0.0, adaptive=True),
]
NAMES = ["Transformer", "LSTM", "LSTM, adaptive"]
SHORT = Recipe(epochs=50, batch=8, window=32, lr=2e-2)


@pytest.fixture(scope="module", autouse=True)
def few_are_common() -> Iterator[None]:
    """The bytes and the three most frequent characters are common, the others a band of their own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(vocabulary, "COMMON", 260)
        yield


@pytest.fixture(scope="module", params=FAMILIES, ids=NAMES)
def model(request: pytest.FixtureRequest) -> TextGenerator:
    return TextGenerator(request.param, recipe=SHORT).fit([TEXT])


def test_it_learns_what_repeats(model: TextGenerator) -> None:
    figures = model.evaluate([TEXT])
    assert figures["bits_per_byte"] is not None
    assert figures["bits_per_byte"] < 0.5
    assert figures["loss"] == pytest.approx(-model.score([TEXT]))
    assert figures["perplexity"] == pytest.approx(math.exp(figures["loss"] or 0.0))
    assert model.metrics_["accuracy"] > 0.8


def test_it_may_learn_on_from_what_it_is_judged_by(model: TextGenerator) -> None:
    new = ["my hat is red and my hat is old and my coat is new. " * 30]
    plain, learned, remembered = (model.evaluate(new, **how) for how in ({}, {"adapt": 0.003}, {"cache": 300}))  # type: ignore[arg-type]
    assert plain["loss"] is not None
    assert learned["loss"] is not None
    assert remembered["loss"] is not None
    assert learned["loss"] < 0.7 * plain["loss"]
    assert remembered["loss"] < 0.9 * plain["loss"]
    assert model.evaluate(new) == plain  # the weights are the learned ones again


@pytest.mark.parametrize("unit", ["characters", "bytes", "pieces", "words"])
def test_a_text_grows_by_what_each_token_adds(unit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "UNSETTLED", 3)
    text = "今天 we ate apples, für 3 € each. \n naïve 房间! " * 4
    codec = Prose(unit=unit, max_size=290 if unit == "pieces" else None).fit(passages_of([text]))
    ids = codec.numbers(text + "\u20bf").tolist()  # the last one was not there to learn from
    row = writing._Row(codec, ids[0])
    begin = len(codec.text(ids[:1]))
    for place, token in enumerate(ids[1:], 2):
        row.tokens.append(token)
        assert row.text() == codec.text(ids[:place])[begin:]
    assert len(row.tokens) < 20


def test_it_writes_on_from_a_prompt(model: TextGenerator) -> None:
    (text,) = model.generate("the cat sat on", length=40, temperature=0.0)
    assert " the " in text
    assert len(text) == 40
    assert "".join(model.stream("the cat sat on", length=40, temperature=0.0)) == text


def test_texts_end_where_they_are_told_to(model: TextGenerator) -> None:
    (text,) = model.generate("the cat", length=60, temperature=0.0, stop=". ")
    assert text
    assert "." not in text
    assert "".join(model.stream("the cat", length=60, temperature=0.0, stop=". ")) == text
    assert len(model.generate("the", count=3, length=5)) == 3


def test_seeds_say_what_is_drawn(model: TextGenerator) -> None:
    first, second = (model.generate("the", count=4, length=20, temperature=1.5, seed=seed) for seed in (1, 2))
    assert first == model.generate("the", count=4, length=20, temperature=1.5, seed=1)
    assert first != second
    assert len(set(first)) > 1


def test_a_prompt_may_be_empty_or_hold_what_training_did_not_know(model: TextGenerator) -> None:
    assert len(model.generate("", length=5)) == 1
    assert len(model.generate("蘋果\x00", length=5)) == 1


def test_it_is_saved_verified_and_loaded(model: TextGenerator, tmp_path: Path) -> None:
    model.save(tmp_path / "m")
    assert decet.verify(tmp_path / "m")
    again = decet.load(tmp_path / "m")
    assert again.generate("the cat", length=30, seed=3) == model.generate("the cat", length=30, seed=3)


def test_a_prompt_longer_than_the_context_is_told_of() -> None:
    model = TextGenerator(SMALL, recipe=Recipe(steps=2, batch=4)).fit([TEXT])
    with pytest.warns(DataWarning, match="looks 32 back: the first 28 are not read"):
        long = model.generate("the cat sat on the mat. " * 2 + "the dog sat ", length=5, temperature=0.0)
    assert long == model.generate(("the cat sat on the mat. " * 2 + "the dog sat ")[-32:], length=5, temperature=0.0)


@pytest.mark.parametrize("family", FAMILIES, ids=NAMES)
def test_a_run_cut_short_and_resumed_has_the_bits_of_an_unbroken_one(
    family: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import decet.training.loop as loop

    monkeypatch.setattr(loop, "WRITE_SECONDS", 0.0)
    monkeypatch.setattr(loop, "SAVE_STEPS", (3, 3))
    recipe = Recipe(steps=20, batch=8, window=16, lr=1e-2)
    whole = TextGenerator(family, recipe=recipe).fit([TEXT])

    class Killed(Exception):
        pass

    real, count = loop._Run.step, 0

    def step(self: Any) -> bool:
        nonlocal count
        count += 1
        if count == 11:
            raise Killed
        return real(self)

    monkeypatch.setattr(loop._Run, "step", step)
    with pytest.raises(Killed):
        TextGenerator(family, recipe=recipe).fit([TEXT], out=tmp_path / "m")
    monkeypatch.setattr(loop._Run, "step", real)
    resumed = TextGenerator(family, recipe=recipe).fit([TEXT], out=tmp_path / "m", resume=True)
    ours, theirs = resumed.learner_.state_dict(), whole.learner_.state_dict()
    assert all(bool((ours[name] == theirs[name]).all()) for name in theirs)


def test_units_other_than_characters(tmp_path: Path) -> None:
    for unit in ("bytes", "pieces", "words"):
        size = 300 if unit == "pieces" else None
        prose = Prose(unit=unit, max_size=size)
        made = TextGenerator(SMALL, recipe=Recipe(steps=5, batch=4), inputs=prose).fit([TEXT * 3])
        assert isinstance(made.generate("the cat", length=4)[0], str)
        made.save(tmp_path / unit)
        assert decet.verify(tmp_path / unit)


def test_a_model_to_go_on_from_must_number_alike(tmp_path: Path) -> None:
    recipe = Recipe(steps=2, batch=4)
    TextGenerator(SMALL, recipe=recipe).fit([TEXT], out=tmp_path / "m")
    more = [TEXT + "a quick zebra"]
    grown = TextGenerator(recipe=recipe).fit(more, start=tmp_path / "m")
    assert grown.family_.width == SMALL.width  # what is not said is as it was
    assert grown.taken_ > 10
    with pytest.raises(BadInput, match="number tokens otherwise than the model in"):
        TextGenerator(SMALL, recipe=recipe, inputs=Prose(unit="bytes")).fit(more, start=tmp_path / "m")


def test_words_written_on_stand_apart_from_the_prompt_and_from_each_other() -> None:
    made = TextGenerator(SMALL, recipe=Recipe(epochs=30, batch=8, lr=1e-2), inputs=Prose(unit="words"))
    made.fit(["the cat sat .\nthe dog ran .\n" * 80])
    (text,) = made.generate("the cat", length=9, temperature=0.0)
    assert text == " sat .\nthe dog ran .\nthe" or text.startswith(" sat .\nthe ")
    assert "".join(made.stream("the cat", length=9, temperature=0.0)) == text


def test_the_lines_of_texts_given_are_learned_too() -> None:
    made = TextGenerator(SMALL, recipe=Recipe(epochs=10, batch=8, lr=1e-2)).fit(["ab\ncd\n" * 200])
    assert "\n" in made.generate("ab", length=8, temperature=0.0)[0]
    codec = Prose(lines=True).fit(passages_of(["ab\ncd"] * 200))
    ids, _ = codec.stream(Prose(lines=True).passages(["ab\ncd"] * 200))
    assert ids[:].tolist().count(codec.end) == 200
    assert codec.numbers("\n")[0] not in ids[:]


def test_the_card_tells_what_it_is_and_how_to_use_it(model: TextGenerator, tmp_path: Path) -> None:
    model.save(tmp_path / "m")
    card = (tmp_path / "m" / "README.md").read_text(encoding="utf-8")
    assert "pipeline_tag: text-generation" in card
    assert "model.generate(prompt)" in card
    assert "tokens of the texts" in card or "tokens of the given data" in card


def test_what_cannot_work_is_refused_before_training(tmp_path: Path) -> None:
    def fails(X: Any, match: str, **said: Any) -> None:
        with pytest.raises(BadInput, match=match), warnings.catch_warnings():
            warnings.simplefilter("error")
            TextGenerator(SMALL, recipe=SHORT).fit(X, **said)

    empty = tmp_path / "empty.txt"
    empty.write_text("")
    fails(str(empty), "no text")
    fails(["short text"], "fewer than one context")
    fails(str(tmp_path / "nowhere.txt"), "no such path")
    fails([TEXT], "Leave the target out", y=["a"])
    fails("iris", "not running text")
    (tmp_path / "binary.txt").write_bytes(b"ab\0cd")
    fails(str(tmp_path / "binary.txt"), "no text: byte 0x00")
    model = TextGenerator(SMALL, recipe=Recipe(steps=1, batch=4)).fit([TEXT])
    for said, match in (
        ({"count": 0}, "count"),
        ({"length": 0}, "length"),
        ({"temperature": -1.0}, "temperature"),
        ({"stop": ""}, "stop"),
        ({"prompt": 5}, "prompt"),
    ):
        with pytest.raises(BadInput, match=match):
            model.generate(**said)  # type: ignore[arg-type]
