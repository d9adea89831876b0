"""Made tests/artifacts/transformers with transformers 5.24: `python tests/artifacts/make_transformers.py`.

Tiny networks of random weights, as `save_pretrained` writes them, their tokenizers, and what they answer.
"""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import BertConfig, BertForSequenceClassification, GPT2Config, GPT2LMHeadModel

HERE = Path(__file__).parent / "transformers"
TEXTS = ["the cat sat on the mat", "a dog ran in the house", "the house is on a hill, and the dog in it"] * 3
END = "<|endoftext|>"


def gpt2() -> None:
    folder = HERE / "gpt2"
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = sorted(set(pre_tokenizers.ByteLevel.alphabet()) & set("abcdefghijklmnopqrstuvwxyzĠ,.Ċ"))
    trainer = trainers.BpeTrainer(vocab_size=60, initial_alphabet=alphabet, special_tokens=[END], show_progress=False)
    tokenizer.train_from_iterator(TEXTS, trainer)
    torch.manual_seed(0)
    config = GPT2Config(
        vocab_size=tokenizer.get_vocab_size(), n_positions=24, n_embd=16, n_layer=2, n_head=2, initializer_range=0.1,
        eos_token_id=tokenizer.token_to_id(END), bos_token_id=tokenizer.token_to_id(END),
    )  # fmt: skip
    model = _shaken(GPT2LMHeadModel(config).eval())
    model.save_pretrained(folder)
    tokenizer.save(str(folder / "tokenizer.json"))
    ids = torch.tensor([tokenizer.encode("the cat sat on a hill").ids])
    with torch.no_grad():
        logits = model(ids).logits
        written = model.generate(ids, max_new_tokens=12, do_sample=False, eos_token_id=-1, pad_token_id=0)
    answers = {"ids": ids, "logits": logits.contiguous(), "written": written}
    save_file(answers, folder / "answers.safetensors")


def bert() -> None:
    folder = HERE / "bert"
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = trainers.WordPieceTrainer(vocab_size=60, special_tokens=special, show_progress=False)
    tokenizer.train_from_iterator(TEXTS, trainer)
    first, last = (tokenizer.token_to_id(token) for token in ("[CLS]", "[SEP]"))
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", last), ("[CLS]", first))
    tokenizer.decoder = decoders.WordPiece()
    torch.manual_seed(1)
    config = BertConfig(
        vocab_size=tokenizer.get_vocab_size(), hidden_size=16, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=32, max_position_embeddings=24, initializer_range=0.05,
        id2label={0: "weather", 1: "animals", 2: "houses"}, label2id={"weather": 0, "animals": 1, "houses": 2},
    )  # fmt: skip
    model = _shaken(BertForSequenceClassification(config).eval())
    with torch.no_grad():
        model.classifier.weight.mul_(20.0)  # so that small differences before it are seen
    model.save_pretrained(folder)
    tokenizer.save(str(folder / "tokenizer.json"))
    tokenizer.enable_padding(pad_id=0)
    texts = ["the cat sat on the mat", "a dog", "the house is on a hill"]
    found = tokenizer.encode_batch(texts)
    ids, mask = torch.tensor([f.ids for f in found]), torch.tensor([f.attention_mask for f in found])
    with torch.no_grad():
        logits = model(ids, attention_mask=mask).logits
    save_file({"logits": logits.contiguous()}, folder / "answers.safetensors")
    (folder / "texts.json").write_text(json.dumps(texts))


def _shaken(model: torch.nn.Module) -> torch.nn.Module:
    """Biases and norms that are not 0 and 1, so that a mistaken one is seen."""
    with torch.no_grad():
        for _name, parameter in model.named_parameters():
            if parameter.dim() == 1:
                parameter.add_(0.3 * torch.randn_like(parameter))
    return model


if __name__ == "__main__":
    gpt2()
    bert()
