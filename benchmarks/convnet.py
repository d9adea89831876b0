"""Two convolutional networks, each trained by every library on the same pictures for the same time.

On MNIST the classic of the tutorials: convolutions of 32 and 64 channels, a pooling, 128 units, no norm. On CIFAR-10 a
residual network of three stages with 64, 128 and 256 channels, a block each, mirrored and shifted pictures. Batches
of 128, Adam at 1e-3, a constant rate.

What is timed is training proper, from the call to the step at which the time is over; test pictures are answered
after it, off the clock and off the memory meter.

- decet: `decet.training.loop.train`, the very loop that `ImageClassifier.fit` runs, on resident pictures, with the
  precision it chooses; once by the peers' recipe, once ("decet, own recipe") by that of the map for such data.
- torch: the loop of the tutorials, fp32, with a `DataLoader` over a `Dataset` that converts one picture at a time,
  with two worker processes ("torch") and with none ("torch, no workers").
- "torch, our layout": the same loop with decet's precision, channels-last, resident pictures that are varied a batch
  at once, and Adam's fused kernel.
- Keras: `fit` as keras.io shows it, pictures as float32; "our layout": its mixed precision where decet's is bf16, bytes
  kept as they are and scaled in the network. Its layers want channels last by themselves.

The rate is that of the median stretch of some ten steps after the first, so that compilation does not count (it does
count in the time after which accuracy is measured). Memory of worker processes is not counted.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from benchmarks.child import Meter, Place
from benchmarks.mlp import COMPILER, LR, scores

BATCH = 128
STRETCH = 13  # steps at most whose time is one measurement; 13 divides both sets' 468 and 390 batches
CROP = 4  # pixels by which CIFAR-10's pictures are shifted
WORKERS = 2
WIDTHS = (64, 128, 256)
ANSWERED = 500  # pictures a forward pass of what is answered after training


class Task(NamedTuple):
    """Pictures to train on and test pictures: X (n, H, W, C) uint8, y (n,) int64; scale (C, 2): mean and spread."""

    X: Any
    y: Any
    held: Any
    truth: Any
    scale: Any

    @property
    def classes(self) -> int:
        return int(max(self.y.max(), self.truth.max())) + 1

    @property
    def batches(self) -> int:
        """Whole batches an epoch, as many as stretches divide."""
        return len(self.X) // BATCH


@dataclass
class Trained:
    """marks: (pictures so far, seconds) since training began; answer: test pictures -> probabilities (n, K)."""

    marks: list[tuple[int, float]]
    answer: Callable[[Any], Any]
    parameters: int
    facts: dict[str, Any] = field(default_factory=dict)


def train(meter: Meter, place: Place, set: str, library: str, seconds: float, seed: int) -> dict[str, Any]:
    """Train by a library for so many seconds, then answer the test pictures."""
    task, precision = read(place.scratch), (place.scratch / "precision.txt").read_text()
    trained = LIBRARIES[library](task, set, seconds, seed, precision)
    meter.stop()
    pictures, spent = trained.marks[-1]
    return (
        {
            "rate": round(rate_of(trained.marks, stretch(task.batches) * BATCH), 1),
            "seconds": round(spent, 2),
            "pictures": pictures,
            "parameters": trained.parameters,
            "seed": seed,
        }
        | trained.facts
        | scores(trained.answer(task.held), task.truth)
    )


def stretch(batches: int) -> int:
    """Steps of a stretch: the largest number up to `STRETCH` that divides an epoch's batches."""
    return next(n for n in range(min(STRETCH, batches), 0, -1) if batches % n == 0)


def rate_of(marks: list[tuple[int, float]], pictures: int) -> float:
    """Pictures a second: the median over stretches of at least so many pictures, the first left out."""
    rates, (done, then) = [], (0, 0.0)
    for count, seconds in marks:
        if count - done >= pictures:
            rates.append((count - done) / (seconds - then))
            done, then = count, seconds
    if not rates:
        return marks[-1][0] / marks[-1][1]
    return median(rates[1:] or rates)


# -------------------------------------------------------------------------------------------------- the pictures


def prepare(meter: Meter, place: Place, set: str, rows: int | None) -> dict[str, Any]:
    """Both official parts as arrays, and the precision that decet chooses here. rows: of each part (None = all)."""
    import numpy as np

    X, y = pictures(set, "train", rows)
    held, truth = pictures(set, "test", rows)
    flat = X.reshape(-1, X.shape[3])
    scale = np.stack([flat.mean(0), flat.std(0)], 1)
    task = Task(X, y, held, truth, scale)
    for name, array in task._asdict().items():
        np.save(place.scratch / f"{name}.npy", np.ascontiguousarray(array))
    precision = chosen_precision(task, set)
    (place.scratch / "precision.txt").write_text(precision)
    return {"rows": len(X), "precision": precision}


def pictures(set: str, split: str, rows: int | None) -> tuple[Any, Any]:
    """X (n, H, W, C) uint8 and y (n,) int64 of an official part; `rows` of them, evenly spread."""
    import numpy as np

    from decet.data.datasets import load

    loaded = load(set, split)
    labels = np.unique(loaded.y, return_inverse=True)[1].astype(np.int64)
    places = spread(len(labels), rows)
    part: Any = loaded.X.take(places)
    height, width, channels = part[0].shape
    return part.pixels((height, width), channels).pixels, labels[places]


def spread(count: int, rows: int | None) -> Any:
    """Positions of `rows` of `count`, evenly spread, since files are sorted by class; all where None."""
    import numpy as np

    return np.linspace(0, count - 1, min(count, rows or count)).astype(np.int64)


def read(folder: Path) -> Task:
    import numpy as np

    return Task(*(np.load(folder / f"{name}.npy") for name in Task._fields))


# --------------------------------------------------------------------------------------------------------- decet


def _decet(task: Task, set: str, seconds: float, seed: int, precision: str) -> Trained:
    """decet by the peers' recipe: batch, Adam, constant rate."""
    said: dict[str, Any] = {"batch": BATCH, "lr": LR, "weight_decay": 0.0, "schedule": "constant", "warmup": 0.0}
    varied = {"flip": True, "crop": CROP} if set == "cifar10" else {}
    return _decet_by(task, set, seconds, seed, said | varied | {"clip": 0.0, "epochs": 100_000}, 0.0)


def _decet_own(task: Task, set: str, seconds: float, seed: int, precision: str) -> Trained:
    """decet by the map's recipe for pictures of this kind and number, whose rate ends at 0 when the time is over."""
    from dataclasses import asdict

    from decet.estimators.catalog import ImageClassifier

    kind = type(_family(set))
    cell = next(cell for cell in ImageClassifier.row if cell.family is kind)
    advice = cell.advise(_spec(task), len(task.X), seconds)
    said = {name: value for name, value in asdict(advice.recipe).items() if value is not None}
    if set != "cifar10":
        said["grow"] = 1.0  # as `fit` sees to: the tutorials' network flattens its maps
    smoothing = getattr(advice.question, "label_smoothing", None) or 0.0
    return _decet_by(task, set, seconds, seed, said, smoothing)


def _decet_by(task: Task, set: str, seconds: float, seed: int, said: dict[str, Any], smoothing: float) -> Trained:
    import torch

    from decet.contracts import Batch, Clock, Stage
    from decet.data.resident import Resident
    from decet.training import loop
    from decet.training.augment import Augmentation, asked

    recipe = _recipe(said)
    learner = _learner(task, set, seed, smoothing)
    marks: list[tuple[int, float]] = []

    class Stamped(Resident):
        """Notes when each batch is asked for: then the ones before are done."""

        done, after = 0, 0

        def next(self, clock: Clock) -> Batch:
            batch = super().next(clock)
            if clock.step >= self.after:  # not one that only settles norms when training is over
                if self.done:
                    marks.append((self.done, time.perf_counter() - started))
                self.done, self.after = self.done + len(batch.target), clock.step + 1
            return batch

    source = Stamped((_pixels(task.X),), torch.from_numpy(task.y)[:, None], batch=recipe.batch or 1)
    augment = Augmentation(recipe, _spec(task), source.steps, task.classes) if asked(recipe) else None
    started = time.perf_counter()
    stage = Stage(learner, source, recipe, augment=augment)
    outcome = loop.train([stage], seed=seed, budget=seconds / (1 - loop.KEPT_BACK))
    marks.append((source.done, time.perf_counter() - started))

    def answer(rows: Any) -> Any:
        learner.eval()
        with torch.inference_mode():
            return torch.cat([learner.predict((part,)) for part in _pixels(rows).split(ANSWERED)]).numpy()

    return Trained(marks, answer, _count(learner), {"precision": outcome.plan["precision"]})


def chosen_precision(task: Task, set: str) -> str:
    """What "auto" comes to for this network on this machine."""
    import torch

    from decet.data.resident import Resident
    from decet.training.precision import resolve

    source = Resident((_pixels(task.X),), torch.from_numpy(task.y)[:, None], batch=BATCH)
    recipe = _recipe({"batch": BATCH, "lr": LR, "precision": "auto"})
    return resolve(_learner(task, set, 0, 0.0), source.example(), recipe, torch.device("cpu"))


def _recipe(said: dict[str, Any]) -> Any:
    """As `fit` joins it: "auto" is the precision where nobody says one."""
    from decet.settings import joined
    from decet.training.recipe import FALLBACK, Recipe

    return joined(Recipe(**said), Recipe(precision="auto"), replace(FALLBACK, epochs=said.get("epochs")))


def _learner(task: Task, set: str, seed: int, smoothing: float) -> Any:
    import torch

    from decet.contracts import LabelSpec
    from decet.tasks.classify_pictures import ClassifyPictures

    torch.manual_seed(seed)
    body = _family(set).encoder(_spec(task))
    question = ClassifyPictures(label_smoothing=smoothing, views="plain")  # no peer asks several views
    return question.learner(body, LabelSpec((task.classes,)), 1)


def _family(set: str) -> Any:
    if set == "cifar10":
        from decet.families.resnet import ResNet

        return ResNet(blocks=(1,) * len(WIDTHS), widths=WIDTHS, stem="small", zero_init=False)
    from decet.families.cnn import CNN

    return CNN(layers=(32, 64, "pool", "flat", "dense128"), norm="none", padding="valid")


def _spec(task: Task) -> Any:
    from decet.contracts import ImageSpec

    _, height, width, channels = task.X.shape
    return ImageSpec(channels, height, width, scale=tuple((float(m), float(s)) for m, s in task.scale))


def _pixels(X: Any) -> Any:
    """(n, H, W, C) as a tensor (n, C, H, W) whose memory is channels-last."""
    import torch

    return torch.from_numpy(X).permute(0, 3, 1, 2)


# --------------------------------------------------------------------------------------------------------- torch


def _torch(task: Task, set: str, seconds: float, seed: int, precision: str, workers: int = WORKERS) -> Trained:
    """The loop of the tutorials."""
    import torch
    from torch import nn
    from torch.utils.data import DataLoader

    torch.manual_seed(seed)
    rows = _converting(task, varied=set == "cifar10")
    network = torch_network(task, set)
    optimizer = torch.optim.Adam(network.parameters(), lr=LR)
    criterion = nn.CrossEntropyLoss()
    marks: list[tuple[int, float]] = []
    done, started = 0, time.perf_counter()

    def epochs() -> Iterator[Any]:
        nonlocal workers
        while True:
            try:
                batches = iter(DataLoader(rows, batch_size=BATCH, shuffle=True, num_workers=workers))
                first = next(batches)
            except (RuntimeError, OSError):
                if not workers:
                    raise
                workers = 0  # no processes, or no shared memory, to be had here
                continue
            yield first
            yield from batches

    network.train()
    for X, y in epochs():
        optimizer.zero_grad()
        loss = criterion(network(X), y)
        loss.backward()
        optimizer.step()
        loss.item()  # for the progress line
        done += len(y)
        marks.append((done, time.perf_counter() - started))
        if marks[-1][1] >= seconds:
            break
    return Trained(marks, _torch_answers(network, task), _count(network), {"precision": "fp32", "workers": workers})


def _torch_alone(task: Task, set: str, seconds: float, seed: int, precision: str) -> Trained:
    return _torch(task, set, seconds, seed, precision, workers=0)


def _converting(task: Task, varied: bool) -> Any:
    """A `Dataset` as torchvision's: bytes in memory, each picture varied, made a tensor and normalised when asked."""
    import numpy as np
    import torch
    from torch.utils.data import Dataset

    mean, spread = (torch.from_numpy(column / 255).float().view(-1, 1, 1) for column in task.scale.T)
    height, width = task.X.shape[1:3]

    class Converting(Dataset[Any]):
        def __len__(self) -> int:
            return len(task.X)

        def __getitem__(self, row: int) -> tuple[Any, int]:
            picture = task.X[row]
            if varied:
                picture = np.pad(picture, ((CROP, CROP), (CROP, CROP), (0, 0)))
                top, left = torch.randint(0, 2 * CROP + 1, (2,)).tolist()
                picture = picture[top : top + height, left : left + width]
                if float(torch.rand(())) < 0.5:
                    picture = picture[:, ::-1]
            pixels = torch.from_numpy(np.ascontiguousarray(picture.transpose(2, 0, 1))).float().div(255)
            return (pixels - mean) / spread, int(task.y[row])

    return Converting()


def _torch_ours(task: Task, set: str, seconds: float, seed: int, precision: str) -> Trained:
    """The same network with decet's precision and layout, by hand."""
    import torch
    from torch import nn

    torch.manual_seed(seed)
    network = torch_network(task, set).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = torch.optim.Adam(network.parameters(), lr=LR, fused=True)
    criterion = nn.CrossEntropyLoss()
    X, y = _pixels(task.X), torch.from_numpy(task.y)
    marks: list[tuple[int, float]] = []
    done, started = 0, time.perf_counter()
    network.train()
    while not marks or marks[-1][1] < seconds:
        for index in torch.randperm(len(X)).split(BATCH):
            pixels = X[index]
            if set == "cifar10":
                pixels = _varied(pixels)
            pixels = _normalised(pixels, task)
            optimizer.zero_grad()
            with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
                loss = criterion(network(pixels), y[index])
            loss.backward()
            optimizer.step()
            loss.item()
            done += len(index)
            marks.append((done, time.perf_counter() - started))
            if marks[-1][1] >= seconds:
                break
    return Trained(marks, _torch_answers(network, task), _count(network), {"precision": precision})


def _varied(pixels: Any) -> Any:
    """A batch (B, C, H, W) shifted and mirrored, each picture for itself, zeros moving in."""
    import torch

    count, _, height, width = pixels.shape
    framed = torch.nn.functional.pad(pixels, [CROP] * 4).permute(0, 2, 3, 1)  # (B, H + 8, W + 8, C)
    top, left = torch.randint(0, 2 * CROP + 1, (2, count, 1))
    down, right = top + torch.arange(height), left + torch.arange(width)
    right = torch.where(torch.rand(count, 1) < 0.5, right.flip(1), right)
    return framed[torch.arange(count).view(-1, 1, 1), down.unsqueeze(2), right.unsqueeze(1)].permute(0, 3, 1, 2)


def _normalised(pixels: Any, task: Task) -> Any:
    import torch

    mean, spread = (torch.from_numpy(column).float().view(-1, 1, 1) for column in task.scale.T)
    return ((pixels.float() - mean) / spread).contiguous(memory_format=torch.channels_last)


def _torch_answers(network: Any, task: Task) -> Callable[[Any], Any]:
    import torch

    def answer(rows: Any) -> Any:
        network.eval()
        with torch.inference_mode():
            parts = [network(_normalised(part, task)).softmax(1) for part in _pixels(rows).split(ANSWERED)]
        return torch.cat(parts).numpy()

    return answer


def torch_network(task: Task, set: str) -> Any:
    """The network as one writes it in torch."""
    from torch import nn

    _, height, width, channels = task.X.shape
    if set != "cifar10":
        return nn.Sequential(
            *(nn.Conv2d(channels, 32, 3), nn.ReLU(), nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()),
            *(nn.Linear(64 * ((height - 4) // 2) * ((width - 4) // 2), 128), nn.ReLU(), nn.Linear(128, task.classes)),
        )

    def normed(inputs: int, outputs: int, kernel: int, stride: int = 1) -> list[nn.Module]:
        conv = nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, bias=False)
        return [conv, nn.BatchNorm2d(outputs)]

    class Block(nn.Module):
        def __init__(self, inputs: int, outputs: int, stride: int):
            super().__init__()
            self.inner = nn.Sequential(*normed(inputs, outputs, 3, stride), nn.ReLU(), *normed(outputs, outputs, 3))
            same = inputs == outputs and stride == 1
            self.shortcut = nn.Identity() if same else nn.Sequential(*normed(inputs, outputs, 1, stride))

        def forward(self, x: Any) -> Any:
            return nn.functional.relu(self.inner(x) + self.shortcut(x))

    blocks = [Block(WIDTHS[max(0, i - 1)], own, 2 if i else 1) for i, own in enumerate(WIDTHS)]
    stem = [*normed(channels, WIDTHS[0], 3), nn.ReLU()]
    return nn.Sequential(*stem, *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(WIDTHS[-1], task.classes))


def _count(network: Any) -> int:
    return sum(parameter.numel() for parameter in network.parameters() if parameter.requires_grad)


# --------------------------------------------------------------------------------------------------------- Keras


def _keras(task: Task, set: str, seconds: float, seed: int, precision: str) -> Trained:
    """As keras.io shows it: the whole set as float32."""
    return _keras_on((task.X / 255).astype("float32"), task, set, seconds, seed, rescaled=False)


def _keras_ours(task: Task, set: str, seconds: float, seed: int, precision: str) -> Trained:
    """Bytes, scaled in the network, and decet's precision."""
    import keras

    if precision == "bf16":
        keras.config.set_dtype_policy("mixed_bfloat16")
    return _keras_on(task.X, task, set, seconds, seed, rescaled=True)


def _keras_on(X: Any, task: Task, set: str, seconds: float, seed: int, rescaled: bool) -> Trained:
    import keras
    import numpy as np

    keras.utils.set_random_seed(seed)
    model = keras_network(task, set, rescaled)
    model.compile(optimizer=keras.optimizers.Adam(LR), loss="sparse_categorical_crossentropy")
    steps = stretch(task.batches)
    marks: list[tuple[int, float]] = []

    class Marks(keras.callbacks.Callback):
        """A Keras "epoch" is a stretch of steps here, so that the time can be looked at in between."""

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            marks.append(((epoch + 1) * steps * BATCH, time.perf_counter() - started))
            if marks[-1][1] >= seconds:
                self.model.stop_training = True

    whole = task.batches * BATCH  # only whole batches, so that nothing is compiled twice
    said = {"batch_size": BATCH, "epochs": 1_000_000, "steps_per_epoch": steps, "verbose": 0}
    started = time.perf_counter()
    model.fit(X[:whole], task.y[:whole], callbacks=[Marks()], **said)

    def answer(rows: Any) -> Any:
        parts = (rows[i : i + ANSWERED].astype("float32") for i in range(0, len(rows), ANSWERED))
        return np.concatenate([model.predict(part if rescaled else part / 255, verbose=0) for part in parts])

    parameters = sum(math.prod(weight.shape) for weight in model.trainable_weights)
    return Trained(marks, answer, parameters, {"precision": keras.config.dtype_policy().name})


def keras_network(task: Task, set: str, rescaled: bool) -> Any:
    """The network as one writes it in Keras; what varies pictures are layers at its beginning."""
    import keras
    from keras import layers

    x = start = keras.Input(task.X.shape[1:])
    if rescaled:
        x = layers.Rescaling(1 / 255)(x)
    if set != "cifar10":
        x = layers.Conv2D(32, 3, activation="relu")(x)
        x = layers.Conv2D(64, 3, activation="relu")(x)
        x = layers.Flatten()(layers.MaxPooling2D(2)(x))
        x = layers.Dense(128, activation="relu")(x)
        return keras.Model(start, layers.Dense(task.classes, activation="softmax", dtype="float32")(x))

    def normed(x: Any, outputs: int, kernel: int, stride: int = 1) -> Any:
        conv = layers.Conv2D(outputs, kernel, strides=stride, padding="same", use_bias=False)
        return layers.BatchNormalization()(conv(x))

    share = CROP / task.X.shape[1]
    x = layers.RandomFlip("horizontal")(x)
    x = layers.RandomTranslation(share, share, fill_mode="constant")(x)
    x = layers.ReLU()(normed(x, WIDTHS[0], 3))
    for i, width in enumerate(WIDTHS):
        stride = 2 if i else 1
        y = layers.ReLU()(normed(x, width, 3, stride))
        y = normed(y, width, 3)
        shortcut = normed(x, width, 1, stride) if i else x
        x = layers.ReLU()(layers.add([shortcut, y]))
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(start, layers.Dense(task.classes, activation="softmax", dtype="float32")(x))


# ------------------------------------------------------------------------------------------------ the contenders

LIBRARIES: dict[str, Callable[[Task, str, float, int, str], Trained]] = {
    "decet": _decet,
    "decet, own recipe": _decet_own,
    "torch": _torch,
    "torch, no workers": _torch_alone,
    "torch, our layout": _torch_ours,
    "keras-jax": _keras,
    "keras-torch": _keras,
    "keras-jax, our layout": _keras_ours,
    "keras-torch, our layout": _keras_ours,
}
OURS = ("decet", "decet, own recipe")
DECET = (
    "decet.estimators.catalog",  # families, tasks and kinds of data with it
    "decet.nn.winograd_kernels",  # numba with it
    "decet.training.augment",
    "decet.training.loop",
)


def imports_of(library: str) -> tuple[str, ...]:
    """What is imported before a contender's memory counts."""
    match library.partition(",")[0]:
        case "decet":
            return (*DECET, *COMPILER)
        case "torch":
            return ("torch", "torch.utils.data", *COMPILER)
        case "keras-torch":
            return ("keras", "torch", *COMPILER)
        case _:
            return ("keras", "jax")


def packages_of(library: str) -> tuple[str, ...]:
    """Whose versions are recorded."""
    kinds = {"keras-torch": ("keras", "torch"), "keras-jax": ("keras", "jax", "jaxlib")}
    return kinds.get(library.partition(",")[0], ("torch",))


def environment_of(library: str) -> dict[str, str]:
    backend = library.partition(",")[0].removeprefix("keras-")
    return {"KERAS_BACKEND": backend} if library.startswith("keras-") else {}
