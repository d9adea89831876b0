"""Networks that others trained, from a folder in Hugging Face's form: config.json, model.safetensors, tokenizer.json.

GPT-2's becomes a TextGenerator, BERT's with a head for classes a TextClassifier: `decet.load(folder)`. Names and
layouts are theirs, and turned into ours one by one; nothing in the folder is run.

References: Radford et al., 2019 (GPT-2); Devlin et al., 1810.04805 (BERT).
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from decet.data.pieces import read_pieces, tokenizer_of, vocabulary_of
from decet.data.prose import END, Prose, ProseCodec
from decet.data.targets import LabelCodec
from decet.data.texts import Texts
from decet.data.tokens import TextCodec
from decet.errors import BadInput, DecetError, Unsupported, listed
from decet.families.transformer import Transformer

CONFIG, WEIGHTS, TOKENIZER = "config.json", "model.safetensors", "tokenizer.json"
KINDS = ("gpt2", "bert")
NEVER = -1e9  # logit of a token that is not there
LAYER = "stack.layers.{}."
GPT2 = {  # a layer's names, theirs to ours; their matrices stand the other way round
    "ln_1": "attend_norm",
    "attn.c_attn": "attend.into",
    "attn.c_proj": "attend.out",
    "ln_2": "feed_norm",
    "mlp.c_fc": "feed.widen",
    "mlp.c_proj": "feed.narrow",
}
BERT = {
    "attention.output.dense": "attend.out",
    "attention.output.LayerNorm": "attend_norm",
    "intermediate.dense": "feed.widen",
    "output.dense": "feed.narrow",
    "output.LayerNorm": "feed_norm",
}


def is_theirs(folder: str | Path) -> bool:
    """Whether a folder is in Hugging Face's form, and none of ours."""
    path = Path(folder)
    return (path / CONFIG).is_file() and not (path / "model.json").exists()


def read(folder: str | Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """The model as model.json would describe it, and its tensors as weights.safetensors would name them.

    Raises BadInput for what is missing or damaged, Unsupported for networks of other kinds.
    """
    from safetensors.torch import load

    path = Path(folder)
    try:
        raw = (path / WEIGHTS).read_bytes()
        config = json.loads((path / CONFIG).read_text(encoding="utf-8"))
        weights = {name: tensor.float() for name, tensor in load(raw).items()}
    except FileNotFoundError as error:
        raise BadInput(f"{path} has no {Path(error.filename).name}.") from error
    except Exception as error:  # safetensors raises an error of its own
        raise BadInput(f"{path} cannot be read as a network ({error}).") from error
    kind = config.get("model_type") if isinstance(config, dict) else None
    if kind not in KINDS:
        raise Unsupported(f"{path / CONFIG} tells of a {kind!r}; decet reads {listed(KINDS)}.")
    try:
        found, tensors = (_writer if kind == "gpt2" else _classifier)(path, config, weights)
    except DecetError:
        raise
    except (KeyError, TypeError, ValueError) as error:
        raise BadInput(f"{path} does not describe a {kind} ({type(error).__name__}: {error}).") from error
    provenance = {
        "data": str(path), "fingerprint": hashlib.sha256(raw).hexdigest(), "rows": 0, "validation": "others trained it",
        "best_epoch": None, "budget": None, "interrupted": False, "seconds": 0.0,
    }  # fmt: skip
    common = {"columns": {"names": None, "count": 1}, "metrics": {}, "warnings": [], "plan": {}}
    return found | common | {"provenance": provenance}, tensors


def _writer(
    path: Path, config: Mapping[str, Any], weights: Mapping[str, Tensor]
) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """A TextGenerator of GPT-2's network."""
    family, found = from_gpt2(config, weights)
    raw = read_pieces(str(path / TOKENIZER))
    last = config.get("eos_token_id")
    codec = ProseCodec(Prose(unit="pieces"), "pieces", [], raw, end=END if last is None else int(last) + 1)
    rows = found.pop("words.weight")
    size = codec.spec.vocabulary - 1
    if len(rows) < size:
        raise BadInput(f"{path / TOKENIZER} has {size:,} pieces, and the network knows {len(rows):,}: another model's.")
    rows = torch.cat([rows.new_zeros(1, rows.shape[1]), rows[:size]])  # our number 0 is none of theirs
    bias = rows.new_zeros(len(rows))
    bias[END] = NEVER
    tensors = {f"decoder.{name}": tensor for name, tensor in found.items()} | {
        "decoder.words.weight": rows,
        "bias": bias,
    }
    own = weights.get("lm_head.weight")
    if own is not None and not config.get("tie_word_embeddings", True):
        family = replace(family, tied=False)
        tensors["own.weight"] = torch.cat([own.new_zeros(1, own.shape[1]), own[:size]])
    state, _ = codec.state()
    model = {
        "estimator": "TextGenerator",
        "said": {"family": _settings(family)},
        "used": {"family": _settings(family), "recipe": {"name": "Recipe"}, "question": {"name": "Language"}},
        "codec": {"name": "ProseCodec", **state},
        "answer": None,
        "targets": ["text"],
    }
    return model, {f"network.{name}": tensor for name, tensor in tensors.items()}


def _classifier(
    path: Path, config: Mapping[str, Any], weights: Mapping[str, Tensor]
) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """A TextClassifier of BERT's network and its head."""
    if "classifier.weight" not in weights:
        raise Unsupported(f"{path} is a BERT without a head for classes: there is nothing it could answer.")
    family, found = from_bert(config, weights)
    raw = read_pieces(str(path / TOKENIZER))
    words = [word or f"[none {number}]" for number, word in enumerate(vocabulary_of(tokenizer_of(raw)))]
    rows = found.pop("stem.tokens.weight")
    if len(rows) < len(words):
        raise BadInput(
            f"{path / TOKENIZER} has {len(words):,} pieces, and the network knows {len(rows):,}: another model's."
        )
    rows = torch.cat([rows.new_zeros(2, rows.shape[1]), rows[: len(words)]])  # our padding, and what is not known
    texts = Texts(unit="pieces", stem=0)
    codec = TextCodec(texts, words, np.ones(len(words), np.int64), [], family.context or 1, raw, [], around=True)
    names = config.get("id2label") or {}
    classes = [str(names.get(str(number), number)) for number in range(len(weights["classifier.weight"]))]
    order = np.argsort(classes)  # ours stand in order
    answer = LabelCodec([np.array(classes, dtype=object)[order]], ["label"], form="list")
    tensors = {f"body.{name}": tensor for name, tensor in found.items()} | {"body.stem.tokens.weight": rows}
    tensors |= {f"head.{kind}": weights[f"classifier.{kind}"][torch.from_numpy(order)] for kind in ("weight", "bias")}
    tensors["temperature"] = torch.ones(())
    state, arrays = codec.state()
    model = {
        "estimator": "TextClassifier",
        "said": {"family": _settings(family), "inputs": _settings(texts)},
        "used": {"family": _settings(family), "recipe": {"name": "Recipe"}, "question": {"name": "Classify"}},
        "codec": {"name": "TextCodec", **state},
        "answer": {"name": "LabelCodec", **answer.state()[0]},
        "targets": ["label"],
    }
    named = {f"network.{name}": tensor for name, tensor in tensors.items()}
    return model, named | {f"codec.{name}": torch.from_numpy(array) for name, array in arrays.items()}


def _settings(value: Any) -> dict[str, Any]:
    return {"name": type(value).__name__, **{k: v for k, v in asdict(value).items() if v is not None}}


def from_gpt2(config: Mapping[str, Any], weights: Mapping[str, Tensor]) -> tuple[Transformer, dict[str, Tensor]]:
    """Settings and a decoder's tensors."""
    plain = {"scale_attn_weights": True, "scale_attn_by_inverse_layer_idx": False, "add_cross_attention": False}
    _refuse(config, plain)
    known = {name.removeprefix("transformer."): tensor for name, tensor in weights.items()}
    family = Transformer(
        width=int(config["n_embd"]), depth=int(config["n_layer"]), heads=int(config["n_head"]),
        hidden=int(config.get("n_inner") or 4 * config["n_embd"]), feed=_feed(config.get("activation_function")),
        norm="layer", order="pre", positions="learned", context=int(config["n_positions"]), bias=True, normed=False,
        dropout=0.0, tied=True, epsilon=float(config.get("layer_norm_epsilon", 1e-5)),
    )  # fmt: skip
    found = {"words.weight": known["wte.weight"], "stack.places.weight": known["wpe.weight"]}
    for kind in ("weight", "bias"):
        found[f"stack.norm.{kind}"] = known[f"ln_f.{kind}"]
        for layer in range(family.depth or 0):
            for theirs, ours in GPT2.items():
                tensor = known[f"h.{layer}.{theirs}.{kind}"]
                turned = tensor.t().contiguous() if kind == "weight" and tensor.dim() == 2 else tensor
                found[LAYER.format(layer) + f"{ours}.{kind}"] = turned
    return family, found


def from_bert(config: Mapping[str, Any], weights: Mapping[str, Tensor]) -> tuple[Transformer, dict[str, Tensor]]:
    """Settings and an encoder's tensors; all words are of the first kind of sentence."""
    _refuse(config, {"position_embedding_type": "absolute", "is_decoder": False})
    known = {re.sub(r"^bert\.", "", name): tensor for name, tensor in weights.items()}
    family = Transformer(
        width=int(config["hidden_size"]), depth=int(config["num_hidden_layers"]),
        heads=int(config["num_attention_heads"]), hidden=int(config["intermediate_size"]),
        feed=_feed(config.get("hidden_act")), norm="layer", order="post", entry=True, positions="learned",
        context=int(config["max_position_embeddings"]), bias=True, normed=False, dropout=0.0, summary="pooler",
        epsilon=float(config.get("layer_norm_eps", 1e-12)),
    )  # fmt: skip
    kinds = known["embeddings.token_type_embeddings.weight"]
    found = {
        "stem.tokens.weight": known["embeddings.word_embeddings.weight"],
        "stack.places.weight": known["embeddings.position_embeddings.weight"] + kinds[0],
    }
    for kind in ("weight", "bias"):
        found[f"pooler.{kind}"] = known[f"pooler.dense.{kind}"]
        found[f"stack.entry.{kind}"] = known[f"embeddings.LayerNorm.{kind}"]
        for number in range(family.depth or 0):
            theirs, ours = f"encoder.layer.{number}.", LAYER.format(number)
            parts = [known[f"{theirs}attention.self.{part}.{kind}"] for part in ("query", "key", "value")]
            found[f"{ours}attend.into.{kind}"] = torch.cat(parts)
            for name, own in BERT.items():
                found[f"{ours}{own}.{kind}"] = known[f"{theirs}{name}.{kind}"]
    return family, found


def _refuse(config: Mapping[str, Any], only: Mapping[str, Any]) -> None:
    """Refuse settings that change what the network works out, and that decet has not."""
    for name, value in only.items():
        if config.get(name) not in (None, value):
            raise Unsupported(f"the network's {name} is {config[name]!r}; decet reads {value!r}.")


def _feed(name: Any) -> str:
    known = {"gelu": "gelu", "gelu_new": "gelu-tanh", "gelu_pytorch_tanh": "gelu-tanh", "relu": "relu"}
    if name not in known:
        raise Unsupported(f"the network's activation is {name!r}; decet reads {listed(known)}.")
    return known[name]
