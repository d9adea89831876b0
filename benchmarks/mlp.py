"""One plain multilayer perceptron, trained by every library on the same matrix: two hidden layers of 256 relu units,
Adam at 1e-3, fp32, no decay, no dropout, a constant rate.

What is timed is training proper. Each library gets the encoded float32 matrix and trains a given number of epochs as
its documentation shows; scoring of held-out rows comes after, off the clock and off the memory meter.

- decet: `decet.training.loop.train`, the very loop that `TableClassifier.fit` runs, on resident rows. The estimator
  itself would also set rows aside, encode and calibrate, which no peer does.
- torch: the loop people write: a permutation, indexed batches of resident tensors, `torch.optim.Adam`. "torch-fused"
  is the same with Adam's fused kernel, which is also what decet calls.
- Keras, skorch, scikit-learn: `fit`, without validation rows and without metrics. Seconds of an epoch come from Keras's
  callbacks and skorch's history; scikit-learn has no hook, so its whole fit is divided by its epochs.

The rate is that of the median epoch after the first, so that compilation does not count (it does count in the seconds
to a loss).
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from benchmarks.child import Meter, Place

HIDDEN = (256, 256)
LR = 1e-3
VALIDATION = 0.1
SEED = 0
ROWS, QUICK_ROWS = 1_000_000, 100_000  # of the made table


class Task(NamedTuple):
    """Rows to train on and held-out rows, as arrays: X (n, F) float32, y (n,) int64."""

    X: Any
    y: Any
    held: Any
    truth: Any

    @property
    def classes(self) -> int:
        return int(max(self.y.max(), self.truth.max())) + 1


# --------------------------------------------------------------------------------------------------- the matrices


def encode_adult(meter: Meter, place: Place, rows: int | None) -> dict[str, Any]:
    """Adult's training part: numbers standardised, categories one-hot (missing is a category), 10 % held out.

    rows: how many of them (None = all).
    """
    import numpy as np
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    from decet.data.datasets import load
    from decet.data.splits import split

    loaded = load("adult", "train")
    frame, y = loaded.X.iloc[:rows], np.unique(loaded.y, return_inverse=True)[1][:rows]
    numbers = [name for name in frame if frame[name].dtype.kind in "if"]
    others = frame.drop(columns=numbers).astype(object).fillna("missing")
    parts = split(len(frame), seed=SEED, labels=y, fractions=(1 - VALIDATION, VALIDATION, 0.0))
    scaler = StandardScaler().fit(frame[numbers].iloc[parts.train])
    encoder = OneHotEncoder(handle_unknown="ignore", sparse_output=False).fit(others.iloc[parts.train])
    X = np.hstack([scaler.transform(frame[numbers]), encoder.transform(others)]).astype(np.float32)
    return _write(place.scratch, Task(X[parts.train], y[parts.train], X[parts.validation], y[parts.validation]))


def make_table(meter: Meter, place: Place, rows: int) -> dict[str, Any]:
    """rows x 50 normal numbers, two classes by a random network of 32 tanh units and logistic noise; and 10 % more."""
    import numpy as np

    X, y = made_rows(rows + int(rows * VALIDATION))
    return _write(place.scratch, Task(X[:rows].astype(np.float32), y[:rows], X[rows:].astype(np.float32), y[rows:]))


def made_rows(count: int) -> tuple[Any, Any]:
    """X (count, 50) float64, y (count,) int64."""
    import numpy as np

    rng = np.random.Generator(np.random.Philox(SEED))
    first, second = rng.standard_normal((50, 32)) * 2 / 50**0.5, rng.standard_normal(32)
    X = np.empty((count, 50))
    y = np.empty(count, dtype=np.int64)
    for start in range(0, count, 50_000):
        part = rng.standard_normal((min(50_000, count - start), 50))
        X[start : start + len(part)] = part
        y[start : start + len(part)] = np.tanh(part @ first) @ second + rng.logistic(scale=0.5, size=len(part)) > 0
    return X, y


def _write(folder: Path, task: Task) -> dict[str, Any]:
    import numpy as np

    for name, array in task._asdict().items():
        np.save(folder / f"{name}.npy", np.ascontiguousarray(array))
    return {"rows": len(task.X), "columns": task.X.shape[1]}


def _read(folder: Path) -> Task:
    import numpy as np

    return Task(*(np.load(folder / f"{name}.npy") for name in Task._fields))


# ------------------------------------------------------------------------------------------------ the contenders


@dataclass
class Trained:
    """epochs: seconds of each; seconds: of the whole training; answer: held-out rows -> probabilities (n, K)."""

    epochs: list[float]
    seconds: float
    answer: Callable[[Any], Any]


def train(meter: Meter, place: Place, library: str, batch: int, epochs: int, seed: int) -> dict[str, Any]:
    """Train by a library, then score the held-out rows."""
    task = _read(place.scratch)
    trained = LIBRARIES[library](task, batch, epochs, seed)
    meter.stop()
    steady = median(trained.epochs[1:] or trained.epochs)
    return {
        "rows": len(task.X),
        "rate": round(len(task.X) / steady, 1),
        "epochs": [round(s, 4) for s in trained.epochs],
        "seconds": round(trained.seconds, 4),
        "seed": seed,
    } | scores(trained.answer(task.held), task.truth)


def scores(probabilities: Any, truth: Any) -> dict[str, float]:
    """Log loss and accuracy of probabilities (n, K)."""
    import numpy as np

    own = np.asarray(probabilities, dtype=np.float64)
    chosen = own[np.arange(len(truth)), truth] / own.sum(1)
    loss = -np.log(np.clip(chosen, 1e-15, 1.0)).mean()
    return {"loss": round(float(loss), 5), "accuracy": round(float((own.argmax(1) == truth).mean()), 5)}


def _decet(task: Task, batch: int, epochs: int, seed: int) -> Trained:
    """decet with the peer's batch and a plain Adam."""
    own = {"epochs": epochs, "batch": batch, "lr": LR, "weight_decay": 0.0, "schedule": "constant", "warmup": 0.0}
    return _decet_by(task, own | {"clip": 0.0}, seed, [], watched=False)


def to_loss(meter: Meter, place: Place, recipe: dict[str, Any], seed: int) -> dict[str, Any]:
    """The same network by decet with its own batch and schedule: seconds of training and held-out loss by epoch."""
    task = _read(place.scratch)
    curve: list[tuple[float, float]] = []
    trained = _decet_by(task, recipe, seed, curve, watched=True)
    meter.stop()
    by_epoch = [[round(seconds, 4), round(loss, 5)] for seconds, loss in curve]
    return {"rows": len(task.X), "curve": by_epoch, "seconds": curve[-1][0], "seed": seed} | scores(
        trained.answer(task.held), task.truth
    )


def _decet_by(task: Task, said: dict[str, Any], seed: int, curve: list[tuple[float, float]], watched: bool) -> Trained:
    """Train by decet's loop; if watched, note (seconds without scoring, held-out loss) in `curve` each epoch."""
    import torch

    from decet.contracts import LabelSpec, Learner, Stage, TableSpec
    from decet.data.resident import Resident
    from decet.families.dnn import DNN
    from decet.settings import joined
    from decet.tasks.classify import Classify
    from decet.training import loop
    from decet.training.recipe import FALLBACK, Recipe

    fallback = FALLBACK if "epochs" in said else replace(FALLBACK, epochs=None)
    recipe = joined(Recipe(**said), fallback)
    torch.manual_seed(seed)
    body = DNN(hidden=HIDDEN).encoder(TableSpec(numbers=task.X.shape[1]))
    learner = Classify().learner(body, LabelSpec((task.classes,)), 1)
    inputs = (torch.from_numpy(task.X), torch.empty(len(task.X), 0, dtype=torch.int64))
    source = Resident(inputs, torch.from_numpy(task.y)[:, None], batch=recipe.batch or 1)
    aside = 0.0

    def answer(rows: Any) -> Any:
        learner.eval()
        return learner.predict((torch.from_numpy(rows), torch.empty(len(rows), 0, dtype=torch.int64))).numpy()

    def validate(trained: Learner) -> dict[str, float]:
        nonlocal aside
        begun = time.perf_counter()
        loss = scores(answer(task.held), task.truth)["loss"]
        curve.append((begun - started - aside, loss))
        aside += time.perf_counter() - begun
        return {"log_loss": loss, "score": -loss}

    started = time.perf_counter()
    stage = Stage(learner, source, recipe, validate if watched else None)
    outcome = loop.train([stage], seed=seed)
    seconds = time.perf_counter() - started - aside
    return Trained([record["seconds"] for record in outcome.history], seconds, answer)


def _torch(task: Task, batch: int, epochs: int, seed: int, fused: bool = False) -> Trained:
    """The loop people write, with the mean loss of each epoch, as a progress line would show it."""
    import torch
    from torch import nn

    torch.manual_seed(seed)
    network = _network(task)
    optimizer = torch.optim.Adam(network.parameters(), lr=LR, fused=fused)
    criterion = nn.CrossEntropyLoss()
    X, y = torch.from_numpy(task.X), torch.from_numpy(task.y)
    seconds = []
    started = time.perf_counter()
    network.train()
    for _ in range(epochs):
        begun, total = time.perf_counter(), 0.0
        order = torch.randperm(len(X))
        for start in range(0, len(X), batch):
            index = order[start : start + batch]
            optimizer.zero_grad()
            loss = criterion(network(X[index]), y[index])
            loss.backward()
            optimizer.step()
            total += loss.item()
        seconds.append(time.perf_counter() - begun)
    elapsed = time.perf_counter() - started

    def answer(rows: Any) -> Any:
        with torch.inference_mode():
            return network.eval()(torch.from_numpy(rows)).softmax(1).numpy()

    return Trained(seconds, elapsed, answer)


def _torch_fused(task: Task, batch: int, epochs: int, seed: int) -> Trained:
    return _torch(task, batch, epochs, seed, fused=True)


def _network(task: Task) -> Any:
    from torch import nn

    widths = [task.X.shape[1], *HIDDEN]
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(widths):
        layers += [nn.Linear(inputs, outputs), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(widths[-1], task.classes))


def _keras(task: Task, batch: int, epochs: int, seed: int) -> Trained:
    """As keras.io shows it; the backend is chosen by KERAS_BACKEND."""
    import keras

    keras.utils.set_random_seed(seed)
    hidden = [keras.layers.Dense(width, activation="relu") for width in HIDDEN]
    last = keras.layers.Dense(task.classes, activation="softmax")
    model = keras.Sequential([keras.Input((task.X.shape[1],)), *hidden, last])
    model.compile(optimizer=keras.optimizers.Adam(LR), loss="sparse_categorical_crossentropy")
    stamps: list[float] = []

    class Stamps(keras.callbacks.Callback):
        """Seconds from an epoch's begin to its end."""

        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            stamps.append(time.perf_counter())

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            stamps[-1] = time.perf_counter() - stamps[-1]

    started = time.perf_counter()
    model.fit(task.X, task.y, batch_size=batch, epochs=epochs, verbose=0, callbacks=[Stamps()])
    elapsed = time.perf_counter() - started
    return Trained(stamps, elapsed, lambda rows: model.predict(rows, batch_size=4096, verbose=0))


def _skorch(task: Task, batch: int, epochs: int, seed: int) -> Trained:
    import torch
    from skorch import NeuralNetClassifier

    torch.manual_seed(seed)
    net = NeuralNetClassifier(
        _network(task),
        criterion=torch.nn.CrossEntropyLoss,
        optimizer=torch.optim.Adam,
        lr=LR,
        batch_size=batch,
        max_epochs=epochs,
        train_split=None,
        iterator_train__shuffle=True,
        verbose=0,
    )
    started = time.perf_counter()
    net.fit(task.X, task.y)
    return Trained(list(net.history[:, "dur"]), time.perf_counter() - started, net.predict_proba)


def _sklearn(task: Task, batch: int, epochs: int, seed: int) -> Trained:
    from sklearn.neural_network import MLPClassifier

    model = MLPClassifier(
        HIDDEN,
        alpha=0.0,
        batch_size=batch,
        learning_rate_init=LR,
        max_iter=epochs,
        n_iter_no_change=epochs + 1,
        random_state=seed,
    )
    started = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it has not converged after these epochs is meant
        model.fit(task.X, task.y)
    elapsed = time.perf_counter() - started
    return Trained([elapsed / epochs] * epochs, elapsed, model.predict_proba)


def _boosting(task: Task, batch: int, epochs: int, seed: int) -> Trained:
    """Not a network: what the same matrix gives gradient boosting, for the quality column."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    model = HistGradientBoostingClassifier(random_state=seed)
    started = time.perf_counter()
    model.fit(task.X, task.y)
    elapsed = time.perf_counter() - started
    return Trained([elapsed], elapsed, model.predict_proba)


LIBRARIES: dict[str, Callable[[Task, int, int, int], Trained]] = {
    "decet": _decet,
    "torch": _torch,
    "torch-fused": _torch_fused,
    "keras-torch": _keras,
    "keras-jax": _keras,
    "skorch": _skorch,
    "scikit-learn": _sklearn,
    "HistGradientBoosting": _boosting,
}
COMPILER = ("torch._inductor.config", "torch._dynamo")  # torch imports them at a first optimiser step: not its work
IMPORTS: dict[str, tuple[str, ...]] = {
    "decet": ("decet.families.dnn", "decet.tasks.classify", "decet.training.loop", "decet.data.resident", *COMPILER),
    "torch": ("torch", *COMPILER),
    "torch-fused": ("torch", *COMPILER),
    "keras-torch": ("keras", "torch", *COMPILER),
    "keras-jax": ("keras", "jax"),
    "skorch": ("skorch", "torch", *COMPILER),
    "scikit-learn": ("sklearn.neural_network",),
    "HistGradientBoosting": ("sklearn.ensemble",),
}
PACKAGES: dict[str, tuple[str, ...]] = {
    "decet": ("torch",),
    "torch": ("torch",),
    "torch-fused": ("torch",),
    "keras-torch": ("keras", "torch"),
    "keras-jax": ("keras", "jax", "jaxlib"),
    "skorch": ("skorch", "torch"),
    "scikit-learn": ("scikit-learn",),
    "HistGradientBoosting": ("scikit-learn",),
}
ENVIRONMENT = {"keras-torch": {"KERAS_BACKEND": "torch"}, "keras-jax": {"KERAS_BACKEND": "jax"}}
