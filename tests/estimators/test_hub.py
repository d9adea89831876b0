"""Networks that others trained: GPT-2's and BERT's, in Hugging Face's form, answer as `transformers` does."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

import decet
from decet import Recipe, TextClassifier, TextGenerator
from decet.errors import BadInput, Unsupported

THEIRS = Path(__file__).parents[1] / "artifacts" / "transformers"  # made by tests/artifacts/make_transformers.py
TEXTS = ["the cat sat on the mat", "a dog ran in the house"]


def test_gpt2_gives_the_logits_that_transformers_gives() -> None:
    answers, model = load_file(THEIRS / "gpt2" / "answers.safetensors"), decet.load(THEIRS / "gpt2")
    assert isinstance(model, TextGenerator)
    with torch.no_grad():
        features, _ = model.learner_.decoder(answers["ids"] + 1, model.learner_.decoder.start(None, 1))
        logits = model.learner_.logits(features.values)
    torch.testing.assert_close(logits[:, :, 1:], answers["logits"], rtol=1e-5, atol=1e-5)
    assert float(logits[:, :, 0].max()) < -1e8  # our own number is never drawn


def test_a_gpt2_whose_words_come_out_as_others_than_went_in(tmp_path: Path) -> None:
    shutil.copytree(THEIRS / "gpt2", tmp_path / "m")
    weights = load_file(tmp_path / "m" / "model.safetensors")
    name = next(name for name in weights if name.endswith("wte.weight"))
    own = torch.randn(weights[name].shape, generator=torch.Generator().manual_seed(0))
    save_file(weights | {"lm_head.weight": own}, tmp_path / "m" / "model.safetensors")
    config = json.loads((tmp_path / "m" / "config.json").read_text())
    (tmp_path / "m" / "config.json").write_text(json.dumps(config | {"tie_word_embeddings": False}))
    learner = decet.load(tmp_path / "m").learner_
    with torch.no_grad():
        features, _ = learner.decoder(torch.tensor([[3, 1, 4, 1, 5]]), learner.decoder.start(None, 1))
        logits = learner.logits(features.values)[:, :, 1:]
    torch.testing.assert_close(logits, (features.values @ own.T)[:, :, : logits.shape[-1]], rtol=1e-5, atol=1e-5)


def test_gpt2_writes_what_transformers_writes() -> None:
    answers, model = load_file(THEIRS / "gpt2" / "answers.safetensors"), decet.load(THEIRS / "gpt2")
    ids = answers["written"][0].tolist()
    (text,) = model.generate("the cat sat on a hill", length=12, temperature=0.0)
    prompt, whole = answers["ids"].shape[1], model.codec_.text([number + 1 for number in ids])
    assert model.codec_.numbers("the cat sat on a hill").tolist() == [number + 1 for number in ids[:prompt]]
    ended = ids[prompt:].index(0) if 0 in ids[prompt:] else len(ids)
    expected = model.codec_.text([number + 1 for number in ids[: prompt + ended]])
    assert "the cat sat on a hill" + text == expected
    assert whole.startswith("the cat sat on a hill")


def test_bert_answers_as_transformers_does() -> None:
    folder = THEIRS / "bert"
    model, texts = decet.load(folder), json.loads((folder / "texts.json").read_text())
    assert isinstance(model, TextClassifier)
    assert model.classes_.tolist() == ["animals", "houses", "weather"]  # in order, whatever theirs is
    expected = load_file(folder / "answers.safetensors")["logits"].softmax(1)[:, [1, 2, 0]]
    np.testing.assert_allclose(model.predict_proba(texts), expected.numpy(), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", ["gpt2", "bert"])
def test_what_was_read_is_saved_as_our_own(name: str, tmp_path: Path) -> None:
    model = decet.load(THEIRS / name)
    model.save(tmp_path / "m")
    assert decet.verify(tmp_path / "m")
    again = decet.load(tmp_path / "m")
    ours, theirs = again.learner_.state_dict(), model.learner_.state_dict()
    assert all(torch.equal(ours[key], theirs[key]) for key in theirs)


def test_training_may_go_on_from_it() -> None:
    model = decet.load(THEIRS / "gpt2")
    grown = TextGenerator(recipe=Recipe(steps=3, batch=4, lr=1e-9))  # the family is taken from there, too
    grown.fit([" ".join(TEXTS * 30)], start=THEIRS / "gpt2")
    before, after = model.learner_.decoder.words.weight, grown.learner_.decoder.words.weight
    torch.testing.assert_close(after, before)
    assert grown.codec_.end == model.codec_.end


def test_a_report_without_texts_tells_no_figures(tmp_path: Path) -> None:
    page = decet.report(decet.load(THEIRS / "gpt2"), out=tmp_path / "r.html").read_text(encoding="utf-8")
    assert "What it writes" in page
    assert "nats" not in page


def test_a_text_that_is_cut_keeps_its_last_piece() -> None:
    model = decet.load(THEIRS / "bert")
    (tokens,) = model.codec_.encode(["the cat sat on the mat " * 20])
    words = [model.codec_.words[number - 2] for number in tokens[0].tolist()]
    assert words[0] == "[CLS]"
    assert words[-1] == "[SEP]"
    assert len(words) == 24


@pytest.mark.parametrize(
    ("name", "option", "value"),
    [("gpt2", "scale_attn_by_inverse_layer_idx", True), ("bert", "position_embedding_type", "relative_key")],
)
def test_options_that_change_the_answers_are_refused(name: str, option: str, value: object, tmp_path: Path) -> None:
    folder = damaged(tmp_path, name)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {option: value}))
    with pytest.raises(Unsupported, match=option):
        decet.load(folder)


def damaged(tmp_path: Path, name: str = "gpt2") -> Path:
    return Path(shutil.copytree(THEIRS / name, tmp_path / "m"))


def test_what_is_missing_or_of_another_kind_is_refused(tmp_path: Path) -> None:
    folder = damaged(tmp_path)
    (folder / "tokenizer.json").unlink()
    with pytest.raises(BadInput, match=r"tokenizer.*cannot be read"):
        decet.load(folder)
    (folder / "model.safetensors").write_bytes(b"no weights")
    with pytest.raises(BadInput, match="cannot be read as a network"):
        decet.load(folder)
    (folder / "model.safetensors").unlink()
    with pytest.raises(BadInput, match=r"has no model\.safetensors"):
        decet.load(folder)
    (folder / "model.safetensors").write_bytes((THEIRS / "gpt2" / "model.safetensors").read_bytes())
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"model_type": "llama"}))
    with pytest.raises(Unsupported, match="tells of a 'llama'; decet reads gpt2, bert"):
        decet.load(folder)
    (folder / "config.json").write_text(json.dumps({"model_type": "gpt2"}))
    with pytest.raises(BadInput, match="does not describe a gpt2"):
        decet.load(folder)
    (folder / "config.json").write_text(json.dumps(config | {"activation_function": "swish"}))
    with pytest.raises(Unsupported, match="activation is 'swish'"):
        decet.load(folder)


def test_a_tokenizer_of_another_model_is_refused(tmp_path: Path) -> None:
    folder = damaged(tmp_path)
    told = json.loads((folder / "tokenizer.json").read_text())
    vocabulary = told["model"]["vocab"]
    told["model"]["vocab"] = vocabulary | {f"extra{i}": len(vocabulary) + i for i in range(9)}
    (folder / "tokenizer.json").write_text(json.dumps(told))
    with pytest.raises(BadInput, match="another model's"):
        decet.load(folder)


def test_weights_of_other_shapes_are_refused(tmp_path: Path) -> None:
    folder = damaged(tmp_path)
    weights = load_file(folder / "model.safetensors")
    name = next(name for name in weights if name.endswith("h.0.mlp.c_fc.weight"))
    save_file(weights | {name: weights[name][:, :7].contiguous()}, folder / "model.safetensors")
    with pytest.raises(BadInput, match="do not fit the settings"):
        decet.load(folder)


def test_a_bert_without_a_head_has_nothing_to_answer(tmp_path: Path) -> None:
    folder = damaged(tmp_path, "bert")
    weights = load_file(folder / "model.safetensors")
    save_file({k: v for k, v in weights.items() if "classifier" not in k}, folder / "model.safetensors")
    with pytest.raises(Unsupported, match="without a head for classes"):
        decet.load(folder)
