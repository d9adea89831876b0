"""WordEmbedder: it learns, repeats itself to the bit, goes on, is saved, and tells what cannot work."""

from __future__ import annotations

import gzip
import os
import pickle
import signal
import time
import warnings
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone

import decet
from decet import (
    CNN,
    DNN,
    LSTM,
    BadInput,
    DataWarning,
    Recipe,
    ResNet,
    Tables,
    TextClassifier,
    Texts,
    Unsupported,
    Word2Vec,
    WordEmbedder,
)
from decet.contracts import Clock, LabelSpec, TokenSpec
from decet.data.corpus import read_corpus
from decet.data.vectors import read_vectors
from decet.estimators import embedding
from decet.estimators.embedding import Sentences, vectors_first
from decet.nn.stems import TokenStem
from decet.tasks.classify import Classify
from decet.training import loop
from decet.training.progress import Quiet

pytestmark = pytest.mark.filterwarnings("ignore:.* words teach little")
QUICK = Recipe(epochs=2)
SMALL = Word2Vec(width=16, deterministic=True)
TEXTS = [
    "the cat sat on the mat and the dog sat on the rug",
    "the dog ran after the cat and the cat ran up the tree",
    "a king and a queen live in the old castle on the hill",
    "the queen gave the king a golden crown in the castle",
] * 5
ALIKE = [("north", "south"), ("two", "three"), ("first", "second"), ("was", "were"), ("he", "his"), ("city", "town")]


@pytest.fixture(scope="module")
def english(data_folder: Path) -> list[str]:
    """20,000 sentences, two of them without a word."""
    with gzip.open(data_folder / "text_en" / "corpus_en.txt.gz", "rt", encoding="utf-8") as file:
        return list(islice(file, 20_000))


@pytest.fixture(scope="module")
def lee(data_folder: Path) -> str:
    """The path of 300 news, 60,533 words."""
    return str(data_folder / "word_vectors" / "lee_background.cor")


@pytest.fixture(scope="module")
def small() -> WordEmbedder:
    """A model of few words, not to be changed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)
        return learned(TEXTS)


def learned(X: Any, family: Word2Vec = SMALL, recipe: Recipe = QUICK, **said: Any) -> WordEmbedder:
    return WordEmbedder(family, recipe=recipe, **said).fit(X)


def same(one: WordEmbedder, other: WordEmbedder) -> bool:
    a, b = one.learner_.state_dict(), other.learner_.state_dict()
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


# ------------------------------------------------------------------------------------------------------ what it learns


@pytest.mark.parametrize(
    ("family", "epochs"),
    [
        pytest.param({}, 6, id="skip-gram"),
        pytest.param({"model": "cbow"}, 12, id="cbow"),
        pytest.param({"negatives": 0}, 3, id="the tree"),
        pytest.param({"subwords": (3, 5), "buckets": 20_000}, 6, id="subwords"),
        pytest.param({"deterministic": True}, 6, id="deterministic"),
    ],
)
def test_words_of_like_use_come_near_one_another(english: list[str], family: dict[str, Any], epochs: int) -> None:
    model = learned(english, Word2Vec(width=32, **family), Recipe(epochs=epochs))
    rng = np.random.default_rng(0)
    pairs = [(model.vectors_.words[a], model.vectors_.words[b]) for a, b in rng.integers(0, 1_500, (300, 2))]
    alike, any_two = (np.mean([model.similarity(a, b) for a, b in some]) for some in (ALIKE, pairs))
    assert alike > any_two + 0.15
    assert model.history_[-1]["loss"] < model.history_[0]["loss"] - 0.1
    assert (model.provenance_["words"], model.provenance_["rows"]) == (399_068, 19_998)
    assert {"three", "four", "five"} & {word for word, _ in model.most_similar("two", topn=5)}


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("我喜歡吃蘋果 蘋果是我的最愛 我不喜歡吃香蕉 香蕉太甜了 我喜歡讀書 讀書讓我快樂", id="traditional"),
        pytest.param("我喜欢吃苹果 苹果是我的最爱 我不喜欢吃香蕉 香蕉太甜了 我喜欢读书 读书让我快乐", id="simplified"),
    ],
)
def test_six_chinese_sentences_answer_with_words_and_a_warning(text: str) -> None:
    with pytest.warns(DataWarning, match=r"^\d\d words teach little: nearness in meaning shows from some millions on"):
        model = WordEmbedder().fit(text.split())
    apple = text.split()[1][:2]
    assert apple in model.vectors_
    found = model.most_similar(apple, topn=5)
    assert len(found) == 5
    assert all(word in model.vectors_ and -1 <= cosine <= 1 for word, cosine in found)
    assert {text[1:3], text.split()[3][:2]} <= set(model.vectors_.words)  # 喜歡, 香蕉


# --------------------------------------------------------------------------------------------------------- same bits


class Stop(Exception):
    pass


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps of 5,000 words, and checkpoints within an epoch."""
    monkeypatch.setattr(embedding, "Sentences", lambda corpus: Sentences(corpus, 5_000))
    monkeypatch.setattr(loop, "WRITE_SECONDS", 0.0)
    monkeypatch.setattr(loop, "SAVE_STEPS", (1, 3))


EXACT = {
    "skip-gram": Word2Vec(width=16, deterministic=True),
    "cbow by position": Word2Vec(width=16, deterministic=True, model="cbow", positions=True),
    "subwords": Word2Vec(width=16, deterministic=True, subwords=(3, 4), buckets=2_000),
    "the tree": Word2Vec(width=16, deterministic=True, negatives=0),
}


@pytest.mark.parametrize("kind", EXACT)
def test_the_same_seed_gives_the_same_bits_on_any_number_of_threads(lee: str, kind: str) -> None:
    found = []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        try:
            found.append(learned(lee, EXACT[kind]))
        finally:
            torch.set_num_threads(1)
    assert same(*found)
    assert not same(found[0], learned(lee, EXACT[kind], seed=1))


@pytest.mark.parametrize("step", [3, 11, 20])
@pytest.mark.parametrize("kind", EXACT)
def test_stopped_at_a_step_and_resumed_it_ends_with_the_same_bits(
    lee: str, kind: str, step: int, often: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unbroken = learned(lee, EXACT[kind])
    seed_all, steps = loop.seed_all, []

    def stop(*args: Any) -> None:
        steps.append(1)
        if len(steps) == step:
            raise Stop
        seed_all(*args)

    with monkeypatch.context() as patch, pytest.raises(Stop):
        patch.setattr(loop, "seed_all", stop)
        WordEmbedder(EXACT[kind], recipe=QUICK).fit(lee, out=tmp_path)
    assert (tmp_path / loop.CHECKPOINT).exists()
    resumed = WordEmbedder(EXACT[kind], recipe=QUICK).fit(lee, out=tmp_path, resume=True)
    assert same(resumed, unbroken)
    assert not (tmp_path / loop.CHECKPOINT).exists()
    assert same(decet.load(tmp_path), unbroken)


def test_ctrl_c_keeps_the_vectors_so_far_and_the_run_goes_on(lee: str, tmp_path: Path) -> None:
    family, recipe = SMALL, Recipe(epochs=4)
    model = WordEmbedder(family, recipe=recipe)
    with pytest.warns(DataWarning, match="training was interrupted; the vectors so far are kept"):
        model.fit(lee, out=tmp_path, on_epoch=lambda record: os.kill(os.getpid(), signal.SIGINT))
    assert model.interrupted_
    assert decet.load(tmp_path).interrupted_
    assert len(decet.load(tmp_path).most_similar("government")) == 10
    assert same(WordEmbedder(family, recipe=recipe).fit(lee, out=tmp_path, resume=True), learned(lee, family, recipe))


def test_a_true_answer_after_an_epoch_stops(lee: str) -> None:
    model = WordEmbedder(SMALL, recipe=Recipe(epochs=50)).fit(lee, on_epoch=lambda record: record["epoch"] == 2)
    assert len(model.history_) == 2


def test_a_checkpoint_of_other_texts_is_not_gone_on_from(lee: str, tmp_path: Path) -> None:
    def stop(record: dict[str, Any]) -> None:
        raise Stop

    with pytest.raises(Stop):
        WordEmbedder(SMALL, recipe=QUICK).fit(TEXTS, out=tmp_path, on_epoch=stop)
    with pytest.raises(BadInput, match=r"data"):
        WordEmbedder(SMALL, recipe=QUICK).fit(lee, out=tmp_path, resume=True)


def test_a_budget_is_kept(lee: str) -> None:
    start = time.monotonic()
    model = WordEmbedder(SMALL).fit(lee, budget=1.5)
    assert 0.5 < time.monotonic() - start < 3.0
    assert model.provenance_["budget"] == 1.5


# ------------------------------------------------------------------------------------------------------- the folder


@pytest.mark.parametrize("kind", EXACT)
def test_a_saved_model_verifies_and_answers_alike(kind: str, tmp_path: Path) -> None:
    model = learned(TEXTS, EXACT[kind], inputs=Texts(min_count=2))
    model.save(tmp_path / "model")
    assert decet.verify(tmp_path / "model").ok
    other = decet.load(tmp_path / "model")
    assert isinstance(other, WordEmbedder)
    assert other.get_params() == model.get_params()
    assert other.most_similar("king") == model.most_similar("king")
    assert other.vectors_.words == model.vectors_.words
    assert np.array_equal(other.transform(TEXTS[:3]), model.transform(TEXTS[:3]))
    assert (other.warnings_, other.history_) == (model.warnings_, model.history_)


def test_words_that_were_changed_on_the_disk_are_found_out(small: WordEmbedder, tmp_path: Path) -> None:
    small.save(tmp_path)
    raw = (tmp_path / "weights.safetensors").read_bytes()
    (tmp_path / "weights.safetensors").write_bytes(raw.replace(b"queen", b"quern"))
    assert not decet.verify(tmp_path).ok


def test_the_card_says_what_it_is(small: WordEmbedder, tmp_path: Path) -> None:
    small.save(tmp_path)
    card = (tmp_path / "README.md").read_text(encoding="utf-8")
    for told in ("feature-extraction", "model.most_similar(word)", "words teach little", "the, "):
        assert told in card


def test_it_travels_in_memory(small: WordEmbedder) -> None:
    other = pickle.loads(pickle.dumps(small))
    assert same(other, small)
    assert other.most_similar("king") == small.most_similar("king")
    assert pickle.loads(pickle.dumps(WordEmbedder(SMALL))).family == SMALL


def test_settings_are_scikit_learns(small: WordEmbedder) -> None:
    again = clone(small)
    assert again.get_params() == small.get_params()
    assert not hasattr(again, "learner_")
    again.set_params(family__width=8, recipe__epochs=3, inputs__min_count=2, seed=4)
    assert (again.family.width, again.family.deterministic, again.recipe.epochs) == (8, True, 3)
    assert again.get_params()["inputs__min_count"] == 2
    with pytest.raises(BadInput, match="has no field 'widht'. Did you mean 'width'"):
        again.set_params(family__widht=8)


# ---------------------------------------------------------------------------------------------------------- going on

NEW = ["the wizard gave the queen a wand", "a wizard and a witch live in the castle"] * 5


@pytest.mark.parametrize("kind", EXACT)
@pytest.mark.parametrize("by", ["start", "partial_fit"])
def test_known_words_keep_their_vectors_and_new_ones_join(kind: str, by: str, tmp_path: Path) -> None:
    before = learned(TEXTS, EXACT[kind], inputs=Texts(min_count=2))
    old, words, family = before.vectors_.matrix.copy(), list(before.vectors_.words), before.family_
    if by == "start":
        before.save(tmp_path)
        after = WordEmbedder(recipe=QUICK).fit(NEW, start=tmp_path)
    else:
        after = before.partial_fit(NEW)
    assert after.vectors_.words[: len(words)] == words
    assert set(after.vectors_.words[len(words) :]) == {"wizard", "wand", "witch"}
    idle = [i for i, word in enumerate(words) if word not in " ".join(NEW).split()]
    if not before.family_.subwords:  # n-grams are shared
        assert np.array_equal(after.vectors_.matrix[idle], old[idle])
    moved = [i for i, word in enumerate(words) if i not in idle]
    assert not np.allclose(after.vectors_.matrix[moved], old[moved], atol=1e-6)
    assert after.family_ == family
    assert after.codec_.texts.min_count == 2
    assert after.provenance_["kept"] == 80


def test_partial_fit_begins_where_there_is_nothing_yet() -> None:
    assert same(WordEmbedder(SMALL, recipe=QUICK).partial_fit(TEXTS), learned(TEXTS))


def test_counts_are_of_all_texts() -> None:
    model = learned(TEXTS)
    before = dict(zip(model.vectors_.words, model.codec_.counts.tolist(), strict=True))
    model.partial_fit(NEW)
    after = dict(zip(model.vectors_.words, model.codec_.counts.tolist(), strict=True))
    assert (after["the"], after["wizard"], after["mat"]) == (before["the"] + 15, 10, before["mat"])
    assert model.codec_.read == sum(len(text.split()) for text in TEXTS + NEW)


def test_a_fit_that_fails_leaves_the_model_as_it_was() -> None:
    model = learned(TEXTS)
    before = {name: tensor.clone() for name, tensor in model.learner_.state_dict().items()}
    with pytest.raises(BadInput, match="there are no words in the texts"):
        model.partial_fit([""])
    assert all(torch.equal(before[name], tensor) for name, tensor in model.learner_.state_dict().items())


@pytest.mark.parametrize(
    ("family", "told"),
    [
        pytest.param(Word2Vec(width=8), "has vectors of 16, not 8 numbers", id="width"),
        pytest.param(Word2Vec(subwords=(3, 4)), "subwords and buckets must be those of the model", id="subwords"),
        pytest.param(Word2Vec(negatives=0), "negatives of both must be 0, or of none", id="tree"),
    ],
)
def test_a_model_of_another_form_is_not_gone_on_from(
    small: WordEmbedder, tmp_path: Path, family: Word2Vec, told: str
) -> None:
    small.save(tmp_path)
    with pytest.raises(BadInput, match=told):
        WordEmbedder(family, recipe=QUICK).fit(NEW, start=tmp_path)


def test_other_kinds_of_model_are_not_gone_on_from(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    decet.TableClassifier(decet.DNN(hidden=(4,)), recipe=Recipe(epochs=1, members=1)).fit(
        rng.normal(size=(30, 2)), rng.integers(0, 2, 30), out=tmp_path
    )
    with pytest.raises(BadInput, match="holds a TableClassifier, from which words cannot go on"):
        WordEmbedder(recipe=QUICK).fit(NEW, start=tmp_path)
    with pytest.raises(BadInput, match="there is no model folder"):
        WordEmbedder(recipe=QUICK).fit(NEW, start=tmp_path / "nowhere")


# ------------------------------------------------------------------------------------------------------------ answers


def test_subwords_give_vectors_to_unknown_words(lee: str) -> None:
    model = learned(lee, Word2Vec(width=16, subwords=(3, 5), buckets=5_000), Recipe(epochs=8))
    assert "governmently" not in model.vectors_
    assert model.similarity("government", "governmently") > model.similarity("government", "israeli") + 0.4
    assert "government" in {word for word, _ in model.most_similar("governmently", topn=5)}
    with pytest.raises(BadInput, match="'governmently' is not known. Did you mean 'government'"):
        learned(lee).vector("governmently")


@pytest.mark.parametrize("name", ["v.txt", "v.vec", "v.bin", "v.txt.gz", "v.bin.gz", "v.safetensors"])
def test_vectors_are_exported_in_every_form(small: WordEmbedder, tmp_path: Path, name: str) -> None:
    small.export(tmp_path / name)
    words, vectors = read_vectors(tmp_path / name)
    assert words == small.vectors_.words
    assert np.array_equal(vectors, small.vectors_.matrix)
    assert vectors.shape == (len(words), 16)


def test_gensim_opens_what_is_exported(small: WordEmbedder, tmp_path: Path) -> None:
    models = pytest.importorskip("gensim.models", reason="gensim is in the bench extra")
    small.export(tmp_path / "v.bin")
    theirs = models.KeyedVectors.load_word2vec_format(str(tmp_path / "v.bin"), binary=True)
    ours = small.most_similar("king", topn=5)
    assert [word for word, _ in theirs.most_similar("king", topn=5)] == [word for word, _ in ours]
    assert [cosine for _, cosine in theirs.most_similar("king", topn=5)] == pytest.approx(
        [c for _, c in ours], abs=1e-5
    )


def test_words_are_asked_as_texts_are_read(small: WordEmbedder) -> None:
    assert small.similarity("King", "QUEEN") == small.similarity("king", "queen")
    assert small.doesnt_match(["King", "Queen", "Mat"]) in {"King", "Queen", "Mat"}
    assert small.analogy("King", "queen", "cat") == small.most_similar(["queen", "cat"], "king", topn=1)
    exact = learned(TEXTS, inputs=Texts(lower=False))
    with pytest.raises(BadInput, match="the word 'King' is not known. Did you mean 'king'"):
        exact.vector("King")


def test_texts_become_rows_one_each(small: WordEmbedder, tmp_path: Path) -> None:
    texts = ["the king", "", "unheard-of", "two\u2028lines\x0bof\nthe cat", "the cat"]
    rows = small.transform(texts)
    assert (rows.shape, rows.dtype) == ((5, 16), np.float32)
    assert (rows[1] == 0).all()
    assert np.array_equal(small.transform(pd.Series(texts)), rows)
    assert np.array_equal(small.predict(texts), rows)
    assert np.array_equal(small.text_vector("the king"), rows[0])
    (tmp_path / "texts.txt").write_text("the king\n\nthe cat\n", encoding="utf-8")
    assert np.array_equal(small.transform(tmp_path / "texts.txt"), rows[[0, 1, 4]])
    with pytest.raises(BadInput, match="no such path or public set: 'the king'. A text itself is given in a list"):
        small.transform("the king")


def test_a_texts_row_weighs_rare_words_more(small: WordEmbedder) -> None:
    share = dict(zip(small.vectors_.words, small.codec_.shares.tolist(), strict=True))
    the, king = (1e-3 / (1e-3 + share[word]) for word in ("the", "king"))
    wanted = (the * small.vector("the") + king * small.vector("king")) / (the + king)
    np.testing.assert_allclose(small.text_vector("The king!"), wanted, rtol=1e-5)


def test_keywords_are_words_of_the_text(small: WordEmbedder) -> None:
    found = small.keywords("the old castle on the hill, unheard of", topn=3)
    assert len(found) == 3
    assert {word for word, _ in found} <= {"the", "old", "castle", "on", "hill"}
    assert found[-1][1] <= found[0][1]
    assert "the" not in {word for word, _ in found}


def test_records_are_plain(small: WordEmbedder) -> None:
    first, second = small.records(["the king", "unheard"])
    assert (first["keywords"], second["keywords"]) == (["king", "the"], [])
    assert first["vector"] == pytest.approx(small.text_vector("the king").tolist(), abs=1e-6)
    assert (len(second["vector"]), set(map(type, second["vector"]))) == (16, {float})


def test_evaluation_reads_a_file(small: WordEmbedder, tmp_path: Path) -> None:
    (tmp_path / "pairs.tsv").write_text("king\tqueen\t9\ncat\tdog\t8\nking\tdog\t1\nno\tnone\t5\n")
    found = small.evaluate(tmp_path / "pairs.tsv")
    assert (set(found), found["pairs"]) == ({"wordsim", "pairs"}, 3)
    assert small.score(tmp_path / "pairs.tsv") == found["wordsim"]
    (tmp_path / "others.tsv").write_text("no\tnone\t5\n")
    with pytest.raises(BadInput, match="^score needs pairs of words that have vectors: 'word-tests', or a file of"):
        small.score(tmp_path / "others.tsv")


# ----------------------------------------------------------------------------------------------------------- bad input


def of_file(raw: bytes) -> Any:
    def fit(folder: Path) -> None:
        (folder / "corpus.txt").write_bytes(raw)
        learned(folder / "corpus.txt")

    return fit


REFUSED: dict[str, tuple[Any, str]] = {
    "no texts": (lambda folder: learned([]), r"^there are no words in the texts\.$"),
    "empty texts": (lambda folder: learned(["", " ", "!"]), r"no words in the texts. All 3 lines are empty\.$"),
    "an empty file": (of_file(b""), r"^there are no words in .*corpus.txt\.$"),
    "one word": (lambda folder: learned(["spam spam", "spam"]), r"^there is one word only in the texts, 3 times"),
    "all under min_count": (
        lambda folder: learned(["a b c", "a b"], inputs=Texts(min_count=9)),
        r"^0 of the 3 different words of the texts stand there 9 times \(min_count\), .* 2 at 2, 3 at 1\. Say",
    ),
    "a binary file": (of_file(b"PK\x03\x04\x00\x01"), r"corpus.txt' is no text: byte 0x00 at offset 4\."),
    "a wrong encoding": (
        of_file("kein Wort\nfür Äpfel\n".encode("cp1252")),
        r"corpus.txt' is not utf-8: byte 0xfc at offset 11 \(line 2, .*Say --inputs.encoding",
    ),
    "mixed encodings": (of_file("für\n".encode() * 9 + b"f\xfcr\n"), r"byte 0xfc at offset 46 \(line 10,"),
    "no such file": (lambda folder: learned(folder / "corpus.tx"), r"^there is no file '.*corpus.tx' of texts\."),
    "a generator": (lambda folder: learned(text for text in TEXTS), r"come from a generator, which can be read once"),
    "numbers": (lambda folder: learned([1, 2]), r"^text 0 is a int, not a str: '1'\.$"),
    "nothing": (lambda folder: learned(None), r"^texts must be a path, a list of texts or an iterable\."),
    "a set": (lambda folder: learned({"a b"}), r"Received: set\.$"),
    "a table": (lambda folder: learned("adult"), r"^the public set 'adult' holds table, not texts\.$"),
    "a target": (lambda folder: WordEmbedder().fit(TEXTS, [1] * 20), r"learned from texts alone. Leave the target"),
    "a target later": (lambda folder: learned(TEXTS).partial_fit(TEXTS, [1]), r"Leave the target out\.$"),
    "another family": (lambda folder: learned(TEXTS, CNN()), r"^WordEmbedder cannot use CNN. It takes Word2Vec"),
    "a class": (lambda folder: learned(TEXTS, Word2Vec), r"must be settings, not a class. Did you mean Word2Vec\(\)"),
    "other inputs": (lambda folder: learned(TEXTS, inputs=Tables()), r"^inputs must be a Texts. Received: Tables\.$"),
    "pieces": (lambda folder: learned(TEXTS, inputs=Texts(unit="pieces")), r"of words or characters, not of pieces"),
    "a recipe of others": (
        lambda folder: learned(TEXTS, recipe=Recipe(epochs=1, batch=9)),
        r"^recipe.batch does nothing where vectors are learned. It takes epochs, steps, lr, schedule, warmup\.$",
    ),
    "no budget": (lambda folder: WordEmbedder().fit(TEXTS, budget=0), r"^budget must be a number of at least 0.001"),
    "resumed nowhere": (lambda folder: WordEmbedder().fit(TEXTS, resume=True), r"^resume and overwrite need out"),
    "no width": (lambda folder: Word2Vec(width=0), r"^width must be a whole number between 1 and 4096. Received: 0"),
    "a negative window": (lambda folder: Word2Vec(window=-1), r"^window must be a whole number between 1 and 1000"),
    "negative negatives": (lambda folder: Word2Vec(negatives=-5), r"^negatives must be a whole number between 0 and"),
    "no buckets": (lambda folder: Word2Vec(buckets=0), r"^buckets must be a whole number between 1 and"),
    "n-grams turned round": (lambda folder: Word2Vec(subwords=(6, 3)), r"^subwords must be the shortest and longest"),
    "one length of n-grams": (lambda folder: Word2Vec(subwords=3), r"^subwords must be the shortest and longest"),
    "positions of skip-gram": (
        lambda folder: learned(TEXTS, Word2Vec(model="skip-gram", positions=True)),
        r"^positions are weighed in cbow only",
    ),
    "no min_count": (lambda folder: Texts(min_count=0), r"^min_count must be a whole number of at least 1"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_cannot_work_is_told_in_a_sentence(what: str, tmp_path: Path) -> None:
    made, told = REFUSED[what]
    with pytest.raises((BadInput, Unsupported), match=told) as raised:
        made(tmp_path)
    assert "\n" not in str(raised.value)


def test_questions_that_cannot_be_answered(small: WordEmbedder) -> None:
    for asked, told in (
        (lambda: small.vector("qeen"), r"^the word 'qeen' is not known\."),
        (lambda: small.most_similar("quen"), r"^the word 'quen' is not known\. Did you mean 'queen'\?$"),
        (lambda: small.most_similar(5), r"^a word must be a str. Received: int\.$"),
        (lambda: small.most_similar(["king", None]), r"^a word must be a str. Received: NoneType\.$"),
        (lambda: small.most_similar("king", topn=0), r"^topn must be a whole number of at least 1"),
        (lambda: small.doesnt_match(["king"]), r"^doesnt_match needs at least three words. Received: 1\.$"),
        (lambda: WordEmbedder().vector("king"), r"^This WordEmbedder instance is not fitted yet\."),
        (lambda: WordEmbedder().transform(["king"]), r"^This WordEmbedder instance is not fitted yet\."),
    ):
        with pytest.raises(ValueError, match=told):
            asked()


def test_a_line_of_fifty_megabytes_is_read(tmp_path: Path) -> None:
    line = " ".join(TEXTS[:4]) + " "
    with open(tmp_path / "corpus.txt", "w", encoding="utf-8") as file:
        for _ in range(50):
            file.write(line * (1_000_000 // len(line) + 1))
    with pytest.warns(DataWarning, match="1 sentence of more than 10,000 words cut to pieces of so many"):
        model = learned(tmp_path / "corpus.txt", recipe=Recipe(steps=3))
    assert model.provenance_["words"] > 10_000_000
    assert len(model.vectors_) == len(set(line.split()))


def test_iterables_that_start_afresh_and_tables_are_read(tmp_path: Path) -> None:
    class Afresh:
        def __iter__(self) -> Any:
            return iter(TEXTS)

    wanted = learned(TEXTS)
    table = pd.DataFrame({"id": range(len(TEXTS)), "text": TEXTS})
    table.to_csv(tmp_path / "texts.csv", index=False)
    for X in (Afresh(), [text.split() for text in TEXTS], np.array(TEXTS), table, tmp_path / "texts.csv"):
        assert same(learned(X), wanted)


def test_what_joins_is_said(small: WordEmbedder, tmp_path: Path) -> None:
    said: list[str] = []

    class Telling(Quiet):
        def say(self, sentence: str) -> None:
            said.append(sentence)

    small.save(tmp_path)
    WordEmbedder(recipe=QUICK).fit(NEW, start=tmp_path, show=Telling())
    assert said == [f"3 new words join {len(small.vectors_):,} known ones"]


# ----------------------------------------------------------------------------- vectors first, then a classifier


CLEAN, DIRTY = (
    ["clean", "lovely", "quiet", "friendly", "bright", "warm"],
    ["dirty", "noisy", "rude", "cold", "dark", "broken"],
)
PLACES = ["room", "bed", "bath", "staff", "street", "view"]


def reviews(count: int = 120) -> tuple[list[str], list[str]]:
    rng = np.random.default_rng(0)
    texts, labels = [], []
    for i in range(count):
        words, label = (CLEAN, "good") if i % 2 else (DIRTY, "bad")
        parts = [f"the {rng.choice(PLACES)} was {rng.choice(words)}" for _ in range(3)]
        texts.append(" and ".join(parts))
        labels.append(label)
    return texts, labels


@pytest.mark.filterwarnings("ignore")
def test_a_classifier_learns_vectors_from_the_texts_first(tmp_path):
    texts, labels = reviews()
    model = TextClassifier(Word2Vec(width=16), recipe=Recipe(epochs=8, lr=1e-2)).fit(texts, labels)
    stages = [record["stage"] for record in model.history_]
    assert stages[0] == stages[-9] == "vectors"
    assert stages[-8:] == ["train"] * 8
    vectors = [record["loss"] for record in model.history_ if record["stage"] == "vectors"]
    assert vectors[-1] < vectors[0]
    assert model.metrics_["accuracy"] > 0.95
    model.save(tmp_path / "m")
    assert decet.verify(tmp_path / "m")
    assert decet.load(tmp_path / "m").predict(["the bed was lovely and clean"]).tolist() == ["good"]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("stage", ["vectors", "train"])
def test_a_classifier_killed_in_either_stage_is_resumed_to_the_same_bits(tmp_path, stage, monkeypatch):
    monkeypatch.setattr("decet.training.loop.WRITE_SECONDS", 0.0)
    monkeypatch.setattr("decet.training.loop.SAVE_STEPS", (1, 1))
    monkeypatch.setattr("decet.estimators.fitting.FEWEST", 1_000)  # no folds: two stages and no more
    texts, labels = reviews()

    def model() -> TextClassifier:
        return TextClassifier(Word2Vec(width=16, deterministic=True), recipe=Recipe(epochs=4))

    def kill(record):
        if record["stage"] == stage and record["epoch"] == 3:
            raise RuntimeError("killed")

    unbroken = model().fit(texts, labels)
    with pytest.raises(RuntimeError, match="killed"):
        model().fit(texts, labels, out=tmp_path / "m", on_epoch=kill)
    resumed = model().fit(texts, labels, out=tmp_path / "m", resume=True)
    for ours, theirs in zip(resumed.learner_.parameters(), unbroken.learner_.parameters(), strict=True):
        assert torch.equal(ours, theirs)
    assert [record["stage"] for record in resumed.history_] == [record["stage"] for record in unbroken.history_]


@pytest.fixture(scope="module")
def given(tmp_path_factory):
    """Vectors of 16 numbers of the reviews' words."""
    folder = tmp_path_factory.mktemp("given") / "w"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        WordEmbedder(Word2Vec(width=16), recipe=Recipe(epochs=20)).fit(reviews()[0]).save(folder)
    return folder


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "family", [Word2Vec(width=16, tune=False), CNN(width=16), ResNet(widths=(16, 16), blocks=(1, 1))]
)
def test_a_classifier_takes_given_vectors(given, family):
    texts, labels = reviews()
    model = TextClassifier(family, recipe=Recipe(steps=1, lr=1e-9)).fit(texts, labels, start=given)
    vectors = decet.load(given).vectors_
    tables = [module.tokens.weight.detach() for module in model.learner_.modules() if isinstance(module, TokenStem)]
    assert model.taken_ == len(tables) == (model.recipe_.members if isinstance(family, CNN) else 1)
    for table in tables:
        for number, word in enumerate(model.codec_.words, 2):
            np.testing.assert_allclose(table[number, :16].numpy(), vectors.vector(word), atol=1e-6)
    assert "vectors" not in {record["stage"] for record in model.history_}


@pytest.mark.filterwarnings("ignore")
def test_given_vectors_that_do_not_fit_are_told(given):
    texts, labels = reviews()
    sentence = r"^the vectors have 16 numbers a word, and the network 64\. Say --family\.width 16\.$"
    with pytest.raises(BadInput, match=sentence):
        TextClassifier(CNN(width=64)).fit(texts, labels, start=given)
    with pytest.raises(Unsupported, match="^vectors of words are for families that read words one by one"):
        TextClassifier(DNN(width=8)).fit(texts, labels, start=given)
    others = ["ja nein", "nein ja", "oh weh", "weh oh"] * 4
    with pytest.raises(BadInput, match="^none of the words of these texts has a vector"):
        TextClassifier(Word2Vec(width=16)).fit(others, [0, 1, 0, 1] * 4, start=given)


@pytest.mark.parametrize("said", [{"hidden": 4}, {"tune": False}, {"word_dropout": 0.5}, {"dropout": 0.5}])
def test_settings_of_classifiers_are_refused_before_texts_are_read(said):
    name = next(iter(said))
    with pytest.raises(BadInput, match=rf"^family\.{name} is for classifiers of texts"):
        WordEmbedder(Word2Vec(**said)).fit("nowhere.txt")


def test_steps_come_in_a_new_order_each_epoch_and_hold_every_word_once() -> None:
    corpus = read_corpus(["a b c d e f g h\n"] * 40, Texts().cut(), min_count=1)
    source = Sentences(corpus, words=32)

    def epoch(number: int) -> list[int]:
        steps = range(number * source.steps, (number + 1) * source.steps)
        return [source.next(Clock(step=step, plan=[(0, 0.0, 100)])).inputs[2] for step in steps]

    assert source.steps == 10
    assert sorted(epoch(0)) == sorted(epoch(1)) == list(range(0, 320, 32))
    assert epoch(0) != epoch(1)
    assert epoch(1) == epoch(1)


def test_long_texts_are_told_of_while_they_are_read_and_short_ones_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    class Noted(Quiet):
        def __init__(self) -> None:
            self.read = list[float]()

        def step(self, done: float, facts: Any) -> None:
            self.read += [facts["characters read"]] if "characters read" in facts else []

    texts, short, long = ["some words that stand here once more"] * 400, Noted(), Noted()
    WordEmbedder(Word2Vec(width=8), recipe=Recipe(epochs=1)).fit(texts, show=short)
    assert short.read == []
    monkeypatch.setattr(embedding, "TOLD", 1_000)
    WordEmbedder(Word2Vec(width=8), recipe=Recipe(epochs=1)).fit(texts, show=long)
    assert long.read == sorted(long.read)
    assert long.read[-1] == 400 * len(texts[0] + "\n")


# --------------------------------------------------------------------------------- vectors that a network begins with


LABELS = np.array(["pets", "pets", "court", "court"] * 15)


def _stages(model: TextClassifier) -> list[str]:
    return [record["stage"] for record in model.history_]


def test_a_network_that_reads_words_begins_with_vectors_learned_from_its_texts(tmp_path: Path) -> None:
    made = lambda: TextClassifier(LSTM(width=16, embedding=16), recipe=Recipe(epochs=1, batch=20))  # noqa: E731
    model = made().fit(TEXTS * 3, LABELS)
    stages = _stages(model)
    assert stages.count("vectors") == 6 * 50  # passes over few words, of five folds and of all rows
    assert stages[-1] == "train"
    again = made().fit(TEXTS * 3, LABELS)
    assert np.array_equal(model.predict_proba(TEXTS), again.predict_proba(TEXTS))
    model.save(tmp_path / "m")
    later = made().fit(TEXTS * 3, LABELS, start=tmp_path / "m")
    assert later.taken_ > 0
    assert _stages(later)[-2:] == ["fold 5 of 5", "train"]  # what is lent is not learned anew


@pytest.mark.parametrize(("width", "members", "tables"), [(16, 1, 1), (16, 2, 2), (20, 1, 0)])
def test_each_table_of_words_that_fills_registers_is_learned(width: int, members: int, tables: int) -> None:
    spec = TokenSpec(12, 8)
    body = LSTM(width=8, depth=1, embedding=width).encoder(spec, members)
    learner = Classify().learner(body, LabelSpec((2,)), members)
    tokens = torch.randint(2, 12, (30, 8), generator=torch.Generator().manual_seed(0))
    stages = vectors_first(learner, (tokens,), np.arange(20), Recipe(lr=0.025))
    stems = [module for module in learner.modules() if isinstance(module, TokenStem)]
    assert [stage.learner.vectors for stage in stages] == [stem.tokens.weight for stem in stems][:tables]
    assert all(float(stem.tokens.weight.std()) < 0.1 for stem in stems[:tables])  # as small as first vectors must be
