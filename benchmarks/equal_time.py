"""What the same time brings: networks of the same size, decet's fits beside the peers' loops, then the same judgement.

decet's are fits as they come, the network's size and window said. The peers' loops are those of `benchmarks.language`,
the learning rate falling by the clock along a cosine to a tenth, as nanoGPT's documentation lets it fall by steps
(which would suit no time that is given). A clock begins with the first step, or with decet's reading of the text;
compiling counts. Whoever is done is judged by the last 111,540 characters, all of them, read in windows that overlap
by half, so that each character is told from at least half a window (an LSTM's are of `LONG`; decet's LSTM reads on).
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks import language
from benchmarks.child import Meter, Place
from benchmarks.measure import Job, Work
from benchmarks.report import Found, Report, Table, least, shown, spread

GLANCE = 2_000  # characters that decet looks at within its time, and chooses nothing by
LONG = 1_024  # characters of a window that judges an LSTM
ROWS = 16  # windows that are judged together
PACE = 100  # steps until the whole learning rate
SECONDS = {"4x128": 60.0, "6x384": 300.0, "2x512": 300.0}
SEEDS = {"4x128": 3, "6x384": 1, "2x512": 1}  # as many as the time of the others does not forbid
KERAS_STEPS = 4  # of what Keras calls an epoch: its learning rate is set between epochs only


# ------------------------------------------------------------------------------------------------------- contenders


def decet(meter: Meter, place: Place, shape: str, seconds: float, seed: int) -> dict[str, Any]:
    """A fit of this size within so many seconds."""
    from decet import LSTM, Prose, TextGenerator, Transformer
    from decet.data.datasets import load

    whole = "".join(load("tinyshakespeare").X)
    train, test = whole[: language.TRAINED], whole[language.TRAINED :]
    if shape in language.SHAPES:
        width, depth, heads, window, _ = language.SHAPES[shape]
        network: Any = Transformer(width=width, depth=depth, heads=heads, context=window)
    else:
        width, depth, _, _ = language.LSTMS[shape]
        network = LSTM(width=width, depth=depth, embedding=width)
    began = time.perf_counter()
    model = TextGenerator(network, inputs=Prose(unit="characters"), seed=seed)
    model.fit([train], validation=[test[:GLANCE]], budget=seconds)
    took = time.perf_counter() - began
    meter.stop()
    parameters = sum(p.numel() for p in model.learner_.parameters())
    steps = model.history_[-1]["step"]
    found = model.evaluate([test])["loss"]
    return {"seed": seed, "seconds": took, "steps": steps, "parameters": parameters, "loss": found}


def plain(meter: Meter, place: Place, shape: str, precision: str, seconds: float, seed: int) -> dict[str, Any]:
    """nanoGPT's loop, or torch.nn.LSTM's, until the time is over."""
    import torch

    loop = language.begun(shape, precision, seed)
    whole, steps, began = loop.optimizer.param_groups[0]["lr"], 0, time.perf_counter()
    while (passed := (time.perf_counter() - began) / seconds) < 1.0:
        for group in loop.optimizer.param_groups:
            group["lr"] = whole * pace(passed, steps)
        loop.step()
        steps += 1
    took = time.perf_counter() - began
    meter.stop()
    parameters = sum(p.numel() for p in loop.model.parameters())
    loop.model.eval()

    @torch.inference_mode()
    def logits(ids: Any) -> Any:
        return loop.model(torch.from_numpy(ids)).numpy()

    found = judged(logits, language.text().test, loop.window if shape in language.SHAPES else LONG)
    return {"seed": seed, "seconds": took, "steps": steps, "parameters": parameters, "loss": found}


def keras(meter: Meter, place: Place, shape: str, precision: str, seconds: float, seed: int) -> dict[str, Any]:
    """Keras' LSTM by `fit`, until the time is over."""
    import keras as library
    import numpy as np

    model = language.keras_model(shape, precision, seed)
    _, _, window, batch = language.LSTMS[shape]
    text, drawn = language.text(), np.random.Generator(np.random.Philox(seed))

    def batches() -> Iterator[tuple[Any, Any]]:
        while True:
            places = drawn.integers(len(text.train) - window, size=(batch, 1)) + np.arange(window)
            yield text.train[places], text.train[places + 1]

    whole, steps, began = float(model.optimizer.learning_rate), 0, time.perf_counter()

    class Clock(library.callbacks.Callback):  # type: ignore[misc]
        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            model.optimizer.learning_rate = whole * pace((time.perf_counter() - began) / seconds, steps)

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            nonlocal steps
            steps += KERAS_STEPS
            model.stop_training = time.perf_counter() - began >= seconds

    model.fit(batches(), steps_per_epoch=KERAS_STEPS, epochs=1_000_000, verbose=0, callbacks=[Clock()])
    took = time.perf_counter() - began
    meter.stop()
    found = judged(lambda ids: np.asarray(model(ids)), text.test, LONG)
    return {"seed": seed, "seconds": took, "steps": steps, "parameters": model.count_params(), "loss": found}


def pace(passed: float, steps: int) -> float:
    """The share of the learning rate after this share of the time: a cosine to a tenth, after the first steps."""
    fallen = 0.1 + 0.45 * (1 + math.cos(math.pi * min(1.0, passed)))
    return fallen * min(1.0, (steps + 1) / PACE)


def judged(logits: Callable[[Any], Any], test: Any, window: int) -> float:
    """Nats a character of `test`, the first one aside. logits: characters (B, T) -> numbers (B, T, 65)."""
    import numpy as np

    count = len(test) - 1
    window = min(window, count)
    half = max(1, window // 2)
    starts = np.minimum(np.arange(0, max(1, count - window + half), half), count - window)
    found = np.full(count, np.nan)
    for begin in range(0, len(starts), ROWS):
        places = starts[begin : begin + ROWS, None] + np.arange(window + 1)
        ids = test[places]
        values = logits(ids[:, :-1]).astype(np.float64)
        values -= values.max(-1, keepdims=True)
        right = np.take_along_axis(values, ids[:, 1:, None], 2)[..., 0]
        each = np.log(np.exp(values).sum(-1)) - right
        wanted = (np.arange(window) >= window - half) | (places[:, :1] == 0)
        found[places[:, :-1][wanted]] = each[wanted]
    return float(found.mean())


# ------------------------------------------------------------------------------------------------------------- work


def work(*shapes: str) -> Work:
    """The same time for networks of these shapes."""
    return Work("equal-time", "loss after the same time, beside the peers", partial(_jobs, shapes),
                partial(_report, shapes))  # fmt: skip


def _jobs(shapes: tuple[str, ...], quick: bool, runs: int) -> list[Job]:
    jobs = []
    for shape in shapes:
        for seed in range(1 if quick else SEEDS[shape]):
            said = {"shape": shape, "seconds": 10.0 if quick else SECONDS[shape], "seed": seed}
            jobs.append(
                Job("equal-time", "decet", "benchmarks.equal_time:decet", said, run=seed + 1, packages=("torch",),
                    imports=language.IMPORTS["decet"])
            )  # fmt: skip
            for name, precision in _peers(shape):
                function, imports, packages, environment = _PEERS[name]
                jobs.append(
                    Job("equal-time", name, f"benchmarks.equal_time:{function}", {**said, "precision": precision},
                        run=seed + 1, ours=False, imports=imports, packages=packages, environment=environment)
                )  # fmt: skip
    return jobs


_PEERS: dict[str, tuple[str, tuple[str, ...], tuple[str, ...], dict[str, str]]] = {
    "nanoGPT's loop": ("plain", language.IMPORTS["torch"], ("torch",), {}),
    "torch.nn.LSTM": ("plain", language.IMPORTS["torch"], ("torch",), {}),
    "Keras (JAX)": ("keras", ("jax", *language.IMPORTS["keras"]), ("keras", "jax"), {"KERAS_BACKEND": "jax"}),
}


def _peers(shape: str) -> list[tuple[str, str]]:
    """Who does a shape, in which precisions: as documented, and bf16 where the speed work found that it may pay."""
    if shape == "4x128":
        return [("nanoGPT's loop", "fp32")]
    if shape in language.SHAPES:
        return [("nanoGPT's loop", "fp32"), ("nanoGPT's loop", "bf16")]
    return [("torch.nn.LSTM", "fp32"), ("torch.nn.LSTM", "bf16"), ("Keras (JAX)", "fp32")]


def _report(shapes: tuple[str, ...], found: Found, keep: Path) -> Report:
    rows, goals = [], []
    for shape in shapes:
        of = {"shape": shape}
        every = [("decet", found.of("decet", **of), "as it comes")]
        every += [(name, found.of(name, precision=p, **of), p) for name, p in _peers(shape)]
        for name, own, precision in every:
            if own:
                rows.append([
                    name, shape, precision, str(len(own.records)), shown(own.middle("seconds")),
                    shown(own.middle("parameters")), shown(own.middle("steps")),
                    shown(own.middle("loss"), ".4f", void=own.void), spread(own.values("loss"), ".4f"),
                    shown(own.middle("peak_above_mb")),
                ])  # fmt: skip
        ours, best = every[0][1].middle("loss"), least(own.middle("loss") for _, own, _ in every[1:])
        more = None if ours is None or best is None else ours - best
        goals.append(found.goal(f"{shape}: decet's nats a character beyond the best peer's", "<=", 0.0, more))
    header = ("contender", "shape", "precision", "seeds", "seconds", "parameters", "steps", "nats (median)",
              "least - most", "MB above imports")  # fmt: skip
    note = "Tiny Shakespeare by characters; each alone on the machine; the last 111,540 characters judge, all of them."
    return Report([Table("the same time", header, rows, note)], goals)
