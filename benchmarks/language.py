"""Contenders that learn what comes next in tiny Shakespeare, and that write, each in a process of its own.

Characters numbered 0 to 64; the first 1,003,854 train, the last 111,540 judge. Every contender trains a network of the
same shape at the same batch: decet's own loop and layers; a loop as nanoGPT's documentation shows it, written here
from its description (Karpathy, github.com/karpathy/nanoGPT: learned positions, layer norm, GELU, one fused attention,
AdamW with betas 0.9 and 0.99, clipping at 1, batches drawn at random); torch.nn.LSTM in a plain loop; Keras' LSTM by
`fit`. "our precision" is the same contender in bf16.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from benchmarks.child import Meter, Place

CHARACTERS = 65
TRAINED = 1_003_854  # characters
WARM, TIMED = 3, 12  # steps
SHAPES = {  # of transformers: width, layers, heads, context, batch
    "4x128": (128, 4, 4, 64, 12),  # nanoGPT's example for a CPU
    "6x384": (384, 6, 6, 256, 16),  # its "baby GPT" of 10.65M
}
LSTMS = {  # width, layers, window, batch
    "2x512": (512, 2, 128, 64),
}
QUICK = 3  # steps of a quick run
IMPORTS = {
    "decet": (
        "torch",
        "decet.families.transformer",
        "decet.families.lstm",
        "decet.tasks.language",
        "decet.training.loop",
    ),
    "torch": ("torch",),
    "transformers": ("torch", "transformers"),
    "keras": ("keras",),
}


@dataclass(frozen=True)
class Text:
    """Characters by number, those to train on and those to judge by."""

    train: Any
    test: Any


def text() -> Text:
    """Tiny Shakespeare."""
    import numpy as np

    from decet.data.datasets import load

    whole = "".join(load("tinyshakespeare").X)
    known = {character: number for number, character in enumerate(sorted(set(whole)))}
    ids = np.array([known[character] for character in whole], np.int64)
    return Text(ids[:TRAINED], ids[TRAINED:])


class Clock:
    """The seconds of steps, of which the first ones warm up."""

    def __init__(self) -> None:
        self.marks: list[float] = []

    def mark(self) -> None:
        self.marks.append(time.perf_counter())

    def seconds(self, warm: int = WARM) -> float:
        """Of a step, after the first ones."""
        steps = len(self.marks) - 1 - warm
        return (self.marks[-1] - self.marks[warm]) / steps


def _timed(meter: Meter, tokens: int, clock: Clock, quick: bool, parameters: int) -> dict[str, Any]:
    """Tokens a second of steps of so many tokens."""
    meter.stop()
    return {"rate": tokens / clock.seconds(0 if quick else WARM), "parameters": parameters}


def _steps(quick: bool) -> int:
    return QUICK if quick else WARM + TIMED + 1


# ------------------------------------------------------------------------------------------------------------ decet


def decet(
    meter: Meter, place: Place, family: str, shape: str, precision: str, quick: bool, seed: int = 0
) -> dict[str, Any]:
    """Steps of decet's own loop."""
    import torch

    from decet import LSTM, Recipe, Transformer
    from decet.contracts import Stage, TokenSpec
    from decet.data.streams import Lanes, Windows
    from decet.settings import joined
    from decet.tasks.language import Language
    from decet.training.loop import train
    from decet.training.recipe import FALLBACK

    found, clock = text(), Clock()
    torch.manual_seed(seed)
    if family == "Transformer":
        width, depth, heads, window, batch = SHAPES[shape]
        network: Any = Transformer(
            width=width, depth=depth, heads=heads, context=window, positions="learned", feed="gelu", dropout=0.0
        )
    else:
        width, depth, window, batch = LSTMS[shape]
        network = LSTM(width=width, depth=depth, embedding=width, dropout=0.0)
    learner = Language().learner(network.decoder(TokenSpec(CHARACTERS)))
    kind = Windows if family == "Transformer" else Lanes

    class Marked(kind):  # type: ignore[misc, valid-type]
        def next(self, at: Any) -> Any:
            clock.mark()
            return super().next(at)

    source = Marked(torch.from_numpy(found.train).to(torch.int32), window, batch)
    said = Recipe(steps=_steps(quick), batch=batch, lr=1e-3, clip=1.0, precision=precision)
    recipe = joined(said, Recipe(optimizer="adamw", weight_decay=0.1, patience=0), replace(FALLBACK, epochs=None))
    outcome = train([Stage(learner, source, recipe)], seed=seed)
    parameters = sum(p.numel() for p in learner.parameters())
    result = _timed(meter, window * source.batch, clock, quick, parameters)
    return result | {"precision": outcome.plan["precision"]}


# -------------------------------------------------------------------------------------------------------- plain torch


def nanogpt(meter: Meter, place: Place, shape: str, precision: str, quick: bool, seed: int = 0) -> dict[str, Any]:
    """A loop as nanoGPT's documentation shows it."""
    return _plain(meter, begun(shape, precision, seed), quick)


def torch_lstm(meter: Meter, place: Place, shape: str, precision: str, quick: bool, seed: int = 0) -> dict[str, Any]:
    """torch.nn.LSTM in a plain loop over windows drawn at random."""
    return _plain(meter, begun(shape, precision, seed), quick)


@dataclass
class Plain:
    """A plain loop: the network (tokens (B, T) -> logits), its optimiser, and how it reads."""

    model: Any
    optimizer: Any
    train: Any
    window: int
    batch: int
    precision: str

    def step(self) -> None:
        """One batch of windows that begin anywhere."""
        import torch
        from torch.nn import functional as F

        begins = torch.randint(len(self.train) - self.window, (self.batch,))
        x = torch.stack([self.train[begin : begin + self.window] for begin in begins])
        y = torch.stack([self.train[begin + 1 : begin + 1 + self.window] for begin in begins])
        with torch.autocast("cpu", torch.bfloat16, enabled=self.precision == "bf16"):
            loss = F.cross_entropy(self.model(x).flatten(0, 1), y.flatten())
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()


def begun(shape: str, precision: str, seed: int) -> Plain:
    """The loop of a shape before its first step: nanoGPT's, or torch.nn.LSTM's."""
    import torch

    torch.manual_seed(seed)
    if shape in SHAPES:
        width, depth, heads, window, batch = SHAPES[shape]
        model = _gpt(width, depth, heads, window)
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, betas=(0.9, 0.99), weight_decay=0.1)
    else:
        width, depth, window, batch = LSTMS[shape]
        model = _lstm(width, depth)
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.1)
    return Plain(model, optimizer, torch.from_numpy(text().train), window, batch, precision)


def _gpt(width: int, depth: int, heads: int, window: int) -> Any:
    """GPT-2's decoder without biases, words going in and coming out the same."""
    import torch
    from torch import nn
    from torch.nn import functional as F

    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.ln_1, self.ln_2 = nn.LayerNorm(width, bias=False), nn.LayerNorm(width, bias=False)
            self.qkv, self.proj = nn.Linear(width, 3 * width, bias=False), nn.Linear(width, width, bias=False)
            self.up, self.down = nn.Linear(width, 4 * width, bias=False), nn.Linear(4 * width, width, bias=False)

        def forward(self, x: Any) -> Any:
            size = x.shape
            q, k, v = (
                part.view(size[0], size[1], heads, width // heads).transpose(1, 2)
                for part in self.qkv(self.ln_1(x)).split(width, dim=2)
            )
            y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
            x = x + self.proj(y.transpose(1, 2).contiguous().view(size))
            return x + self.down(F.gelu(self.up(self.ln_2(x))))

    class GPT(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.wte, self.wpe = nn.Embedding(CHARACTERS, width), nn.Embedding(window, width)
            self.blocks, self.ln = nn.ModuleList(Block() for _ in range(depth)), nn.LayerNorm(width, bias=False)
            self.head = nn.Linear(width, CHARACTERS, bias=False)
            self.head.weight = self.wte.weight
            for name, p in self.named_parameters():
                if p.dim() == 2:
                    spread = 0.02 / math.sqrt(2 * depth) if name.endswith(("proj.weight", "down.weight")) else 0.02
                    nn.init.normal_(p, std=spread)

        def forward(self, ids: Any) -> Any:
            x = self.wte(ids) + self.wpe(torch.arange(ids.shape[1]))
            for block in self.blocks:
                x = block(x)
            return self.head(self.ln(x))

    return GPT()


def _lstm(width: int, depth: int) -> Any:
    """Words, torch.nn.LSTM, answers."""
    from torch import nn

    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.words, self.lstm = nn.Embedding(CHARACTERS, width), nn.LSTM(width, width, depth, batch_first=True)
            self.head = nn.Linear(width, CHARACTERS)

        def forward(self, ids: Any) -> Any:
            return self.head(self.lstm(self.words(ids))[0])

    return Model()


def _plain(meter: Meter, loop: Plain, quick: bool) -> dict[str, Any]:
    clock = Clock()
    for _ in range(_steps(quick)):
        clock.mark()
        loop.step()
    parameters = sum(p.numel() for p in loop.model.parameters())
    return _timed(meter, loop.window * loop.batch, clock, quick, parameters)


# ------------------------------------------------------------------------------------------------------------ Keras


def keras_lstm(meter: Meter, place: Place, shape: str, precision: str, quick: bool, seed: int = 0) -> dict[str, Any]:
    """Keras' LSTM by `fit`, windows of the text as rows."""
    import numpy as np

    model = keras_model(shape, precision, seed)
    _, _, window, batch = LSTMS[shape]
    rows = batch * _steps(quick)
    begins = np.arange(rows) * window
    train = text().train
    x = np.stack([train[begin : begin + window] for begin in begins])
    y = np.stack([train[begin + 1 : begin + 1 + window] for begin in begins])

    model.fit(x[: WARM * batch], y[: WARM * batch], batch_size=batch, verbose=0, shuffle=False)  # compiles
    began = time.perf_counter()
    history = model.fit(x, y, batch_size=batch, verbose=0, shuffle=False).history
    float(history["loss"][-1])  # a step of JAX is only asked for, not done, when it returns
    seconds = time.perf_counter() - began
    meter.stop()
    return {"rate": rows * window / seconds, "parameters": model.count_params()}


def keras_model(shape: str, precision: str, seed: int) -> Any:
    """Keras' LSTM of this shape, compiled."""
    import keras

    keras.utils.set_random_seed(seed)
    if precision == "bf16":
        keras.config.set_dtype_policy("mixed_bfloat16")
    width, depth, _, _ = LSTMS[shape]
    inner = [keras.layers.LSTM(width, return_sequences=True) for _ in range(depth)]
    model = keras.Sequential(
        [keras.layers.Embedding(CHARACTERS, width), *inner, keras.layers.Dense(CHARACTERS, dtype="float32")]
    )
    model.compile(
        optimizer=keras.optimizers.AdamW(1e-3, weight_decay=0.1, clipnorm=1.0),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    return model


# ---------------------------------------------------------------------------------------------------------- decoding


def decode(
    meter: Meter, place: Place, library: str, shape: str, rows: int, length: int, precision: str, seed: int = 0
) -> dict[str, Any]:
    """Tokens written greedily by one network of random weights, spread so that no answer is a tie."""
    import hashlib

    import torch

    torch.manual_seed(seed)
    model = _reference(shape)
    prompt = torch.randint(CHARACTERS, (16,), generator=torch.Generator().manual_seed(seed))
    write = (_by_transformers if library == "transformers" else _by_decet)(model, prompt, rows, precision)
    write(48)  # so that what is compiled is there
    meter.start()
    began = time.perf_counter()
    ids = write(length)
    seconds = time.perf_counter() - began
    meter.stop()
    digest = hashlib.sha256(ids.numpy().tobytes()).hexdigest()[:16]
    return {"rate": rows * length / seconds, "text": digest, "milliseconds": 1e3 * seconds / length}


def _reference(shape: str) -> Any:
    """GPT-2 of this shape, by `transformers`."""
    from transformers import GPT2Config, GPT2LMHeadModel

    width, depth, heads, window, _ = SHAPES[shape]
    config = GPT2Config(
        vocab_size=CHARACTERS, n_positions=max(window, 1024), n_embd=width, n_layer=depth, n_head=heads,
        initializer_range=0.1, eos_token_id=None, bos_token_id=None,
    )  # fmt: skip
    return GPT2LMHeadModel(config).eval()


def _by_transformers(model: Any, prompt: Any, rows: int, precision: str) -> Callable[[int], Any]:
    import torch

    asked = prompt.expand(rows, -1)
    model = model.to(torch.bfloat16) if precision == "bf16" else model

    def write(count: int) -> Any:
        mask = torch.ones_like(asked)
        with torch.inference_mode():
            return model.generate(
                asked, attention_mask=mask, max_new_tokens=count, min_new_tokens=count, do_sample=False, pad_token_id=0
            )[:, len(prompt) :].contiguous()  # fmt: skip

    return write


def _by_decet(model: Any, prompt: Any, rows: int, precision: str) -> Callable[[int], Any]:
    import torch

    from decet.contracts import TokenSpec
    from decet.estimators.hub import from_gpt2
    from decet.tasks.language import Language, written

    family, tensors = from_gpt2(model.config.to_dict(), model.state_dict())
    learner = Language().learner(family.decoder(TokenSpec(CHARACTERS)))
    learner.load_state_dict({f"decoder.{name}": t for name, t in tensors.items()} | {"bias": torch.zeros(CHARACTERS)})
    learner.eval()

    def write(count: int) -> Any:
        steps = written(learner, prompt, rows, Language(temperature=0.0), 0)
        return torch.stack([next(steps) for _ in range(count)], 1).contiguous()

    return write


# ------------------------------------------------------------------------------------------------------------ quality


def quality(
    meter: Meter, place: Place, family: str, data: str, unit: str, budget: float, seed: int, small: bool = False,
    adapt: float = 0.0, cache: int = 0,
) -> dict[str, Any]:  # fmt: skip
    """A fit of decet as it comes (small: the 4x128 network), judged by the part of the text that it has not seen."""
    from decet import LSTM, Prose, TextGenerator, Transformer
    from decet.data.datasets import load

    networks: dict[str, Any] = {
        "LSTM": LSTM(),
        "minLSTM": LSTM(cell="minlstm"),
        "Transformer": Transformer(width=128, depth=4, heads=4) if small else Transformer(),
    }
    network = networks[family]
    began = time.perf_counter()
    model = TextGenerator(network, inputs=Prose(unit=unit), seed=seed).fit(data, budget=budget)
    seconds = time.perf_counter() - began
    meter.stop()
    test = load(data, "test") if "test" in (load(data).splits or {}) else None
    found = model.metrics_ if test is None else model.evaluate(test)
    result = {"loss": found["loss"], "perplexity": found["perplexity"], "bits_per_byte": found["bits_per_byte"]}
    if test is not None and (adapt or cache):
        result["adapted"] = model.evaluate(test, adapt=adapt, cache=cache)["perplexity"]
    parameters = sum(p.numel() for p in model.learner_.parameters())
    steps = model.history_[-1]["step"]
    return result | {"seed": seed, "seconds": seconds, "parameters": parameters, "steps": steps}
