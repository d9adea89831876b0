"""Texts as tokens: vocabulary, length, what is unknown or empty, Chinese, characters, pieces, state."""

from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from decet.data.documents import Documents
from decet.data.texts import Texts
from decet.data.tokens import FIRST, TextCodec
from decet.errors import BadInput

FEW = ["The film, the best.", "the worst film", "best"]
CHINESE = ["我喜欢吃苹果", "苹果是我的最爱", "我不喜欢吃香蕉"]


def learned(texts: list[str], **settings: object) -> TextCodec:
    codec = Texts(**settings).fit(Documents(texts))  # type: ignore[arg-type]
    assert isinstance(codec, TextCodec)
    return codec


def encoded(codec: TextCodec, texts: list[str]) -> list[list[int]]:
    tokens = codec.encode(texts)[0]
    found: list[list[int]] = tokens.tolist()
    return found


def restored(codec: TextCodec) -> TextCodec:
    state, arrays = codec.state()
    return TextCodec.restore(json.loads(json.dumps(state)), arrays)


# ------------------------------------------------------------------------------------------------------- vocabulary


def test_words_stand_by_frequency_then_by_letters():
    codec = learned(FEW)
    assert codec.words == ["the", "best", "film", "worst"]
    assert codec.counts.tolist() == [3, 2, 2, 1]
    assert codec.spec.vocabulary == 6
    assert codec.spec.counts == (0, 0, 3, 2, 2, 1)
    assert encoded(codec, ["the worst of films", "", "best"]) == [[2, 5, 1, 1], [0] * 4, [3, 0, 0, 0]]


def test_rare_words_are_unknown_and_the_vocabulary_has_a_most():
    assert learned(FEW, min_count=2).words == ["the", "best", "film"]
    assert learned(FEW, max_size=2).words == ["the", "best"]
    assert encoded(learned(FEW, min_count=2), ["the worst"])[0][:2] == [2, 1]
    many = [f"word{i} often" for i in range(1_000)]
    assert learned(many).words == ["often"]  # of many texts a word must stand there twice


def test_min_count_that_leaves_nothing_is_refused():
    with pytest.raises(BadInput) as caught:
        learned(FEW, min_count=5)
    assert str(caught.value) == (
        "no word of the training texts stands there 5 times (min_count); the most frequent, 'the', 3 times. Say "
        "--inputs.min_count 3 or less."
    )
    with pytest.raises(BadInput, match="^none of the 2 training texts holds a word.$"):
        learned(["", "..."])


def test_case_accents_and_normal_form():
    assert learned(["Été ETE"], accents=False).words == ["ete"]
    assert learned(["The the"], lower=False).words == ["The", "the"]
    assert learned(["ﬁne １"], form="NFKC").words == ["1", "fine"]


def test_the_begins_of_words_are_read_beside_them():
    codec = learned(["disappointing films", "it disappoints", "a film"], stem=4)
    assert codec.stems == ["disa", "film", "a", "it"]
    assert codec.spec.streams == (6,)
    tokens, stems = codec.encode(["disappointed filming", "it, ein 电影"])
    assert tokens.tolist() == [[1, 1], [7, 1]]
    assert stems.tolist() == [[2, 3], [5, 1]]
    assert learned(["我喜欢吃苹果", "苹果树"]).stems[:2] == ["苹", "吃"]
    for settings in ({"stem": 0}, {"unit": "characters"}, {"unit": "pieces"}):
        none = learned(FEW, **settings)  # type: ignore[arg-type]
        assert (none.stems, none.spec.streams, len(none.encode(FEW))) == ([], (), 1)


# ------------------------------------------------------------------------------------------------ length, what is odd


def test_nearly_all_texts_are_read_whole():
    texts = ["a b c"] * 97 + ["a b c d e"] * 2 + ["a " * 50]
    codec = learned(texts)
    assert codec.length == 5
    assert codec.warnings == [
        "1 training text has more than 5 words, of 100, and what follows is not read (the longest has 50). Say "
        "inputs=Texts(length=...) (--inputs.length) to read more."
    ]
    assert learned(texts, length=2).spec.length == 2
    assert learned(["a " * 600]).length == 512
    assert encoded(learned(texts, length=2), ["b c a"])[0] == [3, 4]


def test_empty_texts_are_counted():
    codec = learned(["one", "", " - "])
    assert codec.warnings == ["2 training texts hold no word, of 3: nothing tells them apart."]
    codec.encode(["one", ""])
    assert codec.remarks == ["1 text holds no word, of 2."]


def test_texts_of_another_kind_are_told():
    codec = learned(FEW)
    codec.encode(["le pire des films", "the best"])
    assert codec.remarks == ["4 of 6 words were not among those of training: the answers say little."]
    codec.encode(["the film was good"])
    assert codec.remarks == []


def test_a_stream_gives_blocks_and_what_was_found_on_reading():
    codec = learned(FEW)
    documents = Documents(FEW, remarks=["told"])
    blocks = [inputs[0] for inputs, _ in codec.stream(documents, 2)]
    assert [len(block) for block in blocks] == [2, 1]
    assert torch.equal(torch.cat(blocks), codec.encode(documents)[0])
    next(iter(codec.stream(documents, 2)))
    assert codec.remarks == ["told"]


# ------------------------------------------------------------------------------------------ Chinese, characters, pieces


def test_chinese_words_are_cut_by_a_dictionary():
    codec = learned(CHINESE)
    assert {"苹果", "喜欢", "香蕉"} <= set(codec.words)
    assert codec.words_of("我喜欢苹果") == ["我", "喜欢", "苹果"]
    assert {"蘋果", "喜歡"} <= set(learned(["我喜歡吃蘋果", "蘋果是我的最愛"]).words)


def test_characters():
    codec = learned(["ab ba", "苹果"], unit="characters")
    assert codec.words == ["a", "b", "果", "苹"]
    assert encoded(codec, ["b 苹"])[0][:2] == [3, 5]
    assert codec.description()[0]["kind"] == "characters, up to 4"


def test_pieces_are_learned_from_the_training_texts_and_know_every_text():
    codec = learned(FEW * 50, unit="pieces", max_size=300)
    assert codec.words_of("the best film") == ["the", "Ġbest", "Ġfilm"]
    assert codec.words_of("été 苹")
    again = learned(FEW * 50, unit="pieces", max_size=300)
    assert (again.words, again.pieces) == (codec.words, codec.pieces)
    assert encoded(restored(codec), FEW) == encoded(codec, FEW)
    assert codec.description()[0]["kind"].startswith("pieces")


def test_a_tokenizer_is_read_from_its_file(tmp_path: Path):
    trained = learned(FEW * 50, unit="pieces", max_size=300)
    path = tmp_path / "tokenizer.json"
    path.write_text(str(trained.pieces))
    codec = learned(FEW * 50, tokenizer=str(path))
    assert codec.words == trained.words
    assert encoded(codec, FEW) == encoded(trained, FEW)
    path.unlink()
    assert encoded(restored(codec), FEW) == encoded(trained, FEW)  # the file is in the model


# ---------------------------------------------------------------------------------------------------- sample and state


@pytest.mark.parametrize("settings", [{}, {"unit": "characters"}, {"unit": "pieces"}, {"accents": False, "length": 3}])
def test_state_gives_the_same_codec(settings: dict[str, object]):
    codec = learned(FEW + CHINESE, **settings)
    other = restored(codec)
    assert (other.spec, other.words, other.texts) == (codec.spec, codec.words, codec.texts)
    assert encoded(other, FEW + CHINESE) == encoded(codec, FEW + CHINESE)
    assert other.warnings == codec.warnings
    assert other.description() == codec.description()


@pytest.mark.parametrize(
    "changed",
    [
        {"words": ["a", "a", "b", "c"]},
        {"words": ["a"]},
        {"length": 0},
        {"length": "x"},
        {"length": 1e9},
        {"texts": {"unit": "nothing"}},
        {"texts": {"no": 1}},
        {"pieces": "{}"},
        {"warnings": None},
        {"stems": ["a", "a"]},
        {"texts": {"stem": 0}},
        {"words": None},
    ],
)
def test_a_stored_form_that_does_not_fit_is_refused(changed: dict[str, object]):
    state, arrays = learned(FEW).state()
    with pytest.raises(BadInput, match="^the stored form of the texts does not fit together"):
        TextCodec.restore({**state, **changed}, arrays)
    with pytest.raises(BadInput, match="^the stored form of the texts does not fit together"):
        TextCodec.restore(state, {"counts": np.array([-1, 1, 1, 1])})


def test_made_up_texts_are_of_the_vocabulary():
    codec = learned(FEW)
    sample = codec.sample(5, 0)
    assert sample.texts == codec.sample(5, 0).texts != codec.sample(5, 1).texts
    assert int(codec.encode(sample)[0].max()) >= FIRST
    assert bool((codec.encode(sample)[0] != 1).all())


@given(st.lists(st.text(max_size=30), min_size=1, max_size=5))
def test_any_text_has_an_encoding_and_the_rest_is_padding(texts: list[str]):
    codec = learned(["one two three", *FEW])
    tokens, stems = codec.encode(texts)
    assert bool(((stems != 0) == (tokens != 0)).all())
    assert tokens.shape == (len(texts), codec.length)
    real = tokens != 0
    assert bool((real.int().diff(dim=1) <= 0).all())  # no word after padding
    for text, row in zip(texts, tokens.tolist(), strict=True):
        assert len(codec.words_of(text)) == sum(number != 0 for number in row)


def test_encoding_is_quick():
    rng = np.random.default_rng(0)
    texts = [" ".join(f"word{i}" for i in rng.integers(0, 5_000, 10)) for _ in range(10_000)]
    codec = learned(texts)
    began = time.perf_counter()
    codec.encode(Documents(texts))
    assert time.perf_counter() - began < 2.0  # 0.15 s here
