"""Word2Vec: settings, what its learner learns, the mean of a text's vectors."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from decet import BadInput, Unsupported, Word2Vec
from decet.contracts import Batch, Clock, ImageSpec, TokenSpec
from decet.families.word2vec import FALLBACK, Embedder, Mean

PAIRS = [(0, 1), (2, 3), (4, 5), (6, 7)]  # words that stand together, and with no others
COUNTS = np.full(8, 250)


def batch_of_pairs(sentences: int = 1000) -> Batch:
    rng = np.random.default_rng(0)
    ids = np.array([rng.permutation(PAIRS[i % 4]) for i in range(sentences)], np.int32)
    return Batch((ids.ravel(), np.arange(0, 2 * sentences + 1, 2), 0))


def learned(settings: Word2Vec, passes: int = 30, rate: float = 0.025) -> Embedder:
    torch.manual_seed(1)
    learner, clock = settings.embedder(COUNTS), Clock(seed=3, rate=rate)
    for clock.step in range(passes):
        learner.work(batch_of_pairs(), clock)
    return learner


def cosines(learner: Embedder) -> np.ndarray:
    units = torch.nn.functional.normalize(learner.matrix(), dim=1)
    return (units @ units.T).numpy()


@pytest.mark.parametrize("deterministic", [False, True])
@pytest.mark.parametrize("negatives", [5, 0])
@pytest.mark.parametrize("model", ["skip-gram", "cbow"])
def test_the_word_beside_a_word_is_the_likeliest(model, negatives, deterministic):
    learner = learned(Word2Vec(model, width=16, negatives=negatives, sample=0.0, deterministic=deterministic))
    inner, outer = learner.matrix(), learner.outputs.data[:, :16]
    if negatives:
        scores = inner @ outer.T
    else:
        paths, nodes, turns = learner.drawn.tree
        each = [slice(paths[w], paths[w + 1]) for w in range(8)]
        signs = [torch.tensor(turns[s].astype(np.float32)) * 2 - 1 for s in each]
        turned = [
            torch.nn.functional.logsigmoid(sign * (inner @ outer[nodes[s]].T))
            for s, sign in zip(each, signs, strict=True)
        ]
        scores = torch.stack([part.sum(1) for part in turned], 1)
    for a, b in PAIRS:
        assert int(scores[a].argmax()) == b
        assert int(scores[b].argmax()) == a


def test_hierarchical_softmax_gives_probabilities_that_sum_to_one():
    learner = learned(Word2Vec(width=16, negatives=0, sample=0.0), passes=2)
    paths, nodes, turns = learner.drawn.tree
    inner, outer = learner.matrix(), learner.outputs.data[:, :16]
    total = torch.zeros(8)
    for word in range(8):
        part = slice(paths[word], paths[word + 1])
        sign = torch.tensor(turns[part].astype(np.float32)) * 2 - 1
        total += torch.sigmoid(sign * (inner @ outer[nodes[part]].T)).prod(1)
    torch.testing.assert_close(total, torch.ones(8))


def test_two_words_repeated_without_end_stay_finite():
    words = np.tile(np.array([0, 1], np.int32), 20_000)
    for model in ("skip-gram", "cbow"):
        learner = Word2Vec(model, width=16, deterministic=True, sample=0.0).embedder(np.array([20_000, 20_000]))
        for step in range(5):
            found = learner.work(Batch((words, np.array([0, len(words)]), 0)), Clock(step=step, rate=0.025))
            assert np.isfinite(found["loss"])
        assert bool(learner.vectors.isfinite().all())


def test_rows_are_padded_to_whole_registers_by_zeros_that_stay():
    learner = learned(Word2Vec(width=20), passes=2)
    assert learner.vectors.shape == (8, 32)
    assert float(learner.vectors.data[:, 20:].abs().max()) == 0.0
    assert learner.matrix().shape == (8, 20)


def test_a_word_of_subwords_is_the_mean_of_its_rows():
    parts, pieces = np.array([0, 2, 3]), np.array([0, 2, 1], np.int32)  # the first word has an n-gram, row 2
    learner = Word2Vec(width=16, subwords=(3, 6), buckets=4).embedder(np.array([5, 5]), (parts, pieces))
    assert learner.vectors.shape == (6, 16)
    rows = learner.vectors.data
    torch.testing.assert_close(learner.matrix(), torch.stack([(rows[0] + rows[2]) / 2, rows[1]]))
    inputs = torch.from_numpy(pieces.astype(np.int64)), torch.from_numpy(parts[:-1])
    torch.testing.assert_close(learner.predict(inputs), learner.matrix())


def test_growing_keeps_what_the_known_words_have_learned():
    old, new = learned(Word2Vec(width=16)), Word2Vec(width=16).embedder(np.full(10, 250))
    assert new.grow_from(old, 8) == 2
    assert torch.equal(new.vectors[:8], old.vectors)
    assert torch.equal(new.outputs[:8], old.outputs)
    with pytest.raises(BadInput, match=r"^the model to go on from has vectors of 16, not 20 numbers\.$"):
        Word2Vec(width=20).embedder(COUNTS).grow_from(old, 8)
    with pytest.raises(BadInput, match="negatives of both must be 0, or of none"):
        Word2Vec(width=16, negatives=0).embedder(COUNTS).grow_from(old, 8)


# ------------------------------------------------------------------------------------------------- texts as means

SPEC = TokenSpec(5, 4, counts=(0, 0, 50, 30, 20))
TOKENS = torch.tensor([[2, 3, 0, 0], [4, 1, 4, 2], [0, 0, 0, 0], [1, 0, 0, 0]])


def test_a_text_is_the_mean_of_its_known_words_rare_ones_counting_more():
    body = Word2Vec(width=16, smoothing=0.1).encoder(SPEC).eval()
    rows = body.stem.tokens.weight
    weights = 0.1 / (0.1 + torch.tensor([0.5, 0.3, 0.2]))
    first = (weights[0] * rows[2] + weights[1] * rows[3]) / (weights[0] + weights[1])
    second = (2 * weights[2] * rows[4] + weights[0] * rows[2]) / (2 * weights[2] + weights[0])
    found = body((TOKENS,)).pooled()
    assert found.shape == (4, 1, 16)
    torch.testing.assert_close(found[:2, 0], torch.stack([first, second]))
    assert float(found[2:].detach().abs().max()) == 0.0  # no word, and none that is known
    plain = Word2Vec(width=16, smoothing=0.0).encoder(SPEC).eval()
    own = plain.stem.tokens.weight
    torch.testing.assert_close(plain((TOKENS,)).pooled()[0, 0], (own[2] + own[3]) / 2)


def test_a_text_may_say_the_more_the_longer_it_is():
    mean, root = (Word2Vec(width=16, smoothing=0.0, summary=how).encoder(SPEC).eval() for how in ("mean", "root"))
    root.load_state_dict(mean.state_dict())
    texts = torch.tensor([[2, 3, 0, 0, 0, 0, 0, 0], [2, 3, 2, 3, 2, 3, 2, 3]])
    short, long = root((texts,)).pooled()[:, 0]
    torch.testing.assert_close(long, 2 * short)  # four times as many words
    same = torch.arange(44).unsqueeze(0) % 3 + 2
    torch.testing.assert_close(root((same,)).pooled(), mean((same,)).pooled())
    assert float(root((TOKENS,)).pooled()[2:].detach().abs().max()) == 0.0  # no word, and none that is known


@pytest.mark.parametrize("summary", ["mean", "root"])
def test_padding_changes_nothing(summary):
    body = Word2Vec(width=16, summary=summary).encoder(SPEC).eval()
    wide = torch.cat([TOKENS, torch.zeros(4, 7, dtype=torch.int64)], 1)
    torch.testing.assert_close(body((TOKENS,)).pooled(), body((wide,)).pooled())


def test_words_are_dropped_in_training_alone():
    body = Word2Vec(width=16, word_dropout=0.5).encoder(SPEC)
    torch.manual_seed(0)
    assert not torch.equal(body((TOKENS,)).pooled(), body((TOKENS,)).pooled())
    body.eval()
    assert torch.equal(body((TOKENS,)).pooled(), body((TOKENS,)).pooled())


@pytest.mark.parametrize("members", [1, 3])
def test_a_hidden_layer_and_members(members):
    body = Word2Vec(width=16, hidden=7).encoder(SPEC, members)
    assert body((TOKENS,)).pooled().shape == (4, members, 7)
    assert body.summary_width == 7


def test_vectors_learned_first_are_the_very_rows_of_the_body():
    body = Word2Vec(width=16, tune=False).encoder(SPEC)
    assert isinstance(body, Mean)
    embedder = body.embedder()
    before = body.stem.tokens.weight.clone()
    ids = np.random.default_rng(0).integers(2, 5, 400).astype(np.int32)
    embedder.work(Batch((ids, np.arange(0, 401, 8), 0)), Clock(rate=0.05))
    assert torch.equal(body.stem.tokens.weight[:2], before[:2])  # padding and unknown words never occur
    assert not torch.equal(body.stem.tokens.weight[2:], before[2:])
    assert not body.stem.tokens.weight.requires_grad


# ----------------------------------------------------------------------------------------------------- bad settings


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"model": "skipgram"}, "model must be"),
        ({"width": 0}, "width must be"),
        ({"window": -1}, "window must be"),
        ({"negatives": -1}, "negatives must be"),
        ({"sample": 2.0}, "sample must be"),
        ({"exponent": 9.0}, "exponent must be"),
        ({"subwords": (6, 3)}, "subwords must be the shortest and longest n-grams"),
        ({"subwords": (3,)}, "subwords must be the shortest and longest n-grams"),
        ({"positions": True, "model": "skip-gram"}, "positions are weighed in cbow only"),
        ({"deterministic": 2}, "deterministic must be"),
        ({"smoothing": -1.0}, "smoothing must be"),
        ({"hidden": -1}, "hidden must be"),
        ({"word_dropout": 1.0}, "word_dropout must be"),
        ({"summary": "max"}, "summary must be"),
    ],
)
def test_bad_settings_are_told_in_one_sentence(settings, message):
    with pytest.raises(BadInput, match=f"^{message}"):
        Word2Vec(**settings)


def test_word2vec_reads_texts():
    with pytest.raises(Unsupported, match=r"^Word2Vec reads texts\. Received: ImageSpec\.$"):
        Word2Vec().encoder(ImageSpec(1, 8, 8))


def test_what_is_not_said_is_filled_in():
    assert Word2Vec().embedder(COUNTS).settings == FALLBACK
    assert Word2Vec(window=2).embedder(COUNTS).settings == replace(FALLBACK, window=2)
