"""Texts as bags of words: equal to scikit-learn's, state, and what is refused."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from scipy import sparse
from sklearn.feature_extraction.text import HashingVectorizer, TfidfTransformer

from decet.contracts import TableSpec
from decet.data.bags import BagCodec
from decet.data.documents import Documents
from decet.data.texts import Texts
from decet.errors import BadInput

TEXTS = ["The film, the best film", "the worst film ever", "", "best of the best of the best", "我喜欢吃苹果"]


def learned(texts: list[str], **settings: object) -> BagCodec:
    codec = Texts(**settings).fit(Documents(texts), None, (TableSpec,))  # type: ignore[arg-type]
    assert isinstance(codec, BagCodec)
    return codec


def matrix(codec: BagCodec, texts: object) -> np.ndarray:
    rows, categories = codec.encode(texts)
    assert categories.shape == (len(rows), 0)
    found = sparse.csr_matrix((rows.values, rows.columns, rows.offsets), shape=(len(rows), rows.width))
    dense: np.ndarray = found.toarray()
    return dense


@pytest.mark.parametrize("settings", [{}, {"pairs": False}, {"buckets": 64}, {"unit": "characters", "buckets": 512}])
def test_a_bag_is_what_scikit_learn_gives(settings: dict[str, object]):
    codec = learned(TEXTS, **settings)
    texts = codec.texts
    hashing = HashingVectorizer(
        tokenizer=texts.cut(),
        token_pattern=None,
        lowercase=False,
        ngram_range=(1, 2 if texts.pairs else 1),
        n_features=texts.buckets,
        alternate_sign=False,
        norm=None,
    )
    weights = TfidfTransformer(sublinear_tf=True)
    expected = weights.fit_transform(hashing.transform(TEXTS)).toarray()
    np.testing.assert_allclose(matrix(codec, TEXTS), expected, atol=1e-5)
    other = ["a film of films", "吃香蕉", "the film, the best"]
    np.testing.assert_allclose(matrix(codec, other), weights.transform(hashing.transform(other)).toarray(), atol=1e-5)


def test_pairs_do_not_reach_from_text_to_text():
    codec = learned(["one two", "three four"], buckets=1 << 20)
    assert (matrix(codec, ["two three"]) > 0).sum() == 3
    assert len(codec.encode(["one two", "three four"])[0].columns) == 6


def test_a_part_of_the_texts_is_encoded_as_they_are_alone():
    codec, documents = learned(TEXTS, buckets=256), Documents(TEXTS)
    matrix(codec, documents)
    np.testing.assert_array_equal(matrix(codec, documents.take([3, 0])), matrix(codec, [TEXTS[3], TEXTS[0]]))
    blocks = [inputs[0] for inputs, _ in codec.stream(documents, 2)]
    assert [len(block) for block in blocks] == [2, 2, 1]
    assert torch.equal(torch.cat([b.values for b in blocks]), codec.encode(documents)[0].values)


def test_weights_come_from_the_training_texts_alone():
    codec = Texts(buckets=64).fit(Documents(TEXTS), np.array([0, 1]), (TableSpec,))
    np.testing.assert_array_equal(codec.idf, learned(TEXTS[:2], buckets=64).idf)  # type: ignore[union-attr]


def test_empty_texts_are_counted():
    codec = learned(TEXTS)
    assert codec.warnings == ["1 training text holds no word, of 5: nothing tells them apart."]
    assert not matrix(codec, ["", "film"])[0].any()
    assert codec.remarks == ["1 text holds no word, of 2."]


def test_state_gives_the_same_codec_and_made_up_texts_are_the_same():
    codec = learned(TEXTS, buckets=64)
    state, arrays = codec.state()
    other = BagCodec.restore(json.loads(json.dumps(state)), arrays)
    np.testing.assert_array_equal(matrix(other, TEXTS), matrix(codec, TEXTS))
    assert (other.spec, other.warnings, other.texts) == (codec.spec, codec.warnings, codec.texts)
    assert other.sample(4, 0).texts == codec.sample(4, 0).texts
    assert codec.description() == [
        {"name": "text", "kind": "bag of words and their pairs", "detail": "hashed to 64 columns, tf-idf"}
    ]


def test_what_does_not_fit_is_refused():
    with pytest.raises(BadInput, match="^a bag is made of words or characters, not of pieces. Leave unit and"):
        learned(TEXTS, unit="pieces")
    with pytest.raises(BadInput, match="^none of the 2 training texts holds a word.$"):
        learned(["", "!"])
    state, arrays = learned(TEXTS, buckets=64).state()
    for wrong in (arrays["idf"][:5], np.full(64, np.nan)):
        with pytest.raises(BadInput, match="^the stored form of the texts does not fit together"):
            BagCodec.restore(state, {"idf": wrong})
    with pytest.raises(BadInput, match="^the stored form of the texts does not fit together"):
        BagCodec.restore({**state, "texts": {"buckets": -1}}, arrays)
