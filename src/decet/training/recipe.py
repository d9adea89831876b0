"""The recipe: every number of training in one frozen dataclass, and the learning-rate schedules.

Every field may be None = not said. Values are joined field by field: the user's, then the cell's (a short function in
`decet.estimators.catalog`), then `FALLBACK`. What was used is kept as `recipe_`, shown and saved.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from decet.errors import BadInput, check_choice, check_range
from decet.settings import check_whole

SCHEDULES = ("constant", "cosine", "flat-cosine", "one-cycle")
OPTIMIZERS = ("adamw", "adam", "sgd", "muon")
PRECISIONS = ("auto", "fp32", "bf16")


@dataclass(frozen=True)
class Recipe:
    """How to train. None = not said: the cell of the map, then the fallback decides.

    epochs: passes over the training rows, at most (early stopping may end sooner).
    steps: steps in all; instead of epochs.
    batch: rows a step.
    bucket: batches whose rows are sorted by length together, so that those of one are about as long; 0 = off.
    window: tokens of each row, where a text is read as one stream; None: the network's context.
    lr: peak learning rate.
    weight_decay: of matrices (not of biases, norms or embeddings): in the gradient with adam and sgd, else decoupled.
    optimizer: "adamw" (Loshchilov & Hutter, 1711.05101), "adam" (Kingma & Ba, 1412.6980), "sgd" (with Nesterov
        momentum), or "muon" (orthogonal steps of hidden matrices and filters, adamw for the rest; Jordan et al., 2024).
    momentum: of sgd and muon, and the first beta of adamw and adam.
    schedule: "constant", "cosine" (1608.03983), "flat-cosine" (flat, then a cosine over the last 28 %), or "one-cycle"
        (after the warm-up a straight line down to 0; 1708.07120).
    warmup: share of training with a linearly rising rate.
    clip: largest gradient norm; 0 = off.
    accumulate: batches a step of the optimiser.
    average: decay of the moving average of weights that predicts; 0 = off.
    swa: share of training, at its end, whose weights are averaged equally to predict (1803.05407); 0 = off.
    patience: epochs without a better validation metric before training stops; 0 = never.
    metric: validation metric that decides which weights are kept; None = the task's first.
    precision: "fp32", "bf16", or "auto" (measured once, the faster one that learns as well).
    compile: compile the step by torch.compile, which needs a C++ compiler and minutes; pays back in long runs only.
    members: weight-sharing networks trained as one, whose answers are averaged (BatchEnsemble, TabM).
    flip: mirror pictures, each in every other epoch (2404.00498).
    crop: pixels by which pictures are shifted, at most; what is missing is mirrored.
    rotate: degrees by which pictures are turned, at most.
    zoom: share by which pictures grow or shrink, each side for itself, at most.
    colour: strength of changes of brightness, contrast and saturation, 0 to 1.
    erase: side of the square that is blanked, as a share of the picture's (1708.04552); 0 = off.
    mixup: strength of mixing pairs of pictures and their labels (1710.09412); 0 = off.
    cutmix: strength of pasting a part of another picture, its label in proportion (1905.04899); 0 = off.
    grow: size of the pictures when training begins, as a share of their own, which they reach at two thirds; 1 = off.
    """

    epochs: int | None = None
    steps: int | None = None
    batch: int | None = None
    bucket: int | None = None
    window: int | None = None
    lr: float | None = None
    weight_decay: float | None = None
    optimizer: str | None = None
    momentum: float | None = None
    schedule: str | None = None
    warmup: float | None = None
    clip: float | None = None
    accumulate: int | None = None
    average: float | None = None
    swa: float | None = None
    patience: int | None = None
    metric: str | None = None
    precision: str | None = None
    compile: bool | None = None
    members: int | None = None
    flip: bool | None = None
    crop: int | None = None
    rotate: float | None = None
    zoom: float | None = None
    colour: float | None = None
    erase: float | None = None
    mixup: float | None = None
    cutmix: float | None = None
    grow: float | None = None

    def __post_init__(self) -> None:
        check_whole(self, ("epochs", "steps", "batch", "window", "accumulate"), 1, room="recipe.")
        check_whole(self, ("bucket",), 0, room="recipe.")
        check_whole(self, ("members",), 1, 1024, room="recipe.")
        check_whole(self, ("patience",), 0, room="recipe.")
        check_range("recipe.lr", self.lr, 1e-12, 100.0)
        check_range("recipe.weight_decay", self.weight_decay, 0.0, 10.0)
        check_range("recipe.momentum", self.momentum, 0.0, 0.9999)
        check_range("recipe.warmup", self.warmup, 0.0, 0.9)
        check_range("recipe.clip", self.clip, 0.0)
        check_range("recipe.average", self.average, 0.0, 0.999999)
        check_range("recipe.swa", self.swa, 0.0, 1.0)
        check_whole(self, ("crop",), 0, 4096, room="recipe.")
        check_range("recipe.rotate", self.rotate, 0.0, 180.0)
        check_range("recipe.zoom", self.zoom, 0.0, 0.9)
        check_range("recipe.grow", self.grow, 0.25, 1.0)
        for name, most in (("colour", 1.0), ("erase", 0.9), ("mixup", 10.0), ("cutmix", 10.0)):
            check_range(f"recipe.{name}", getattr(self, name), 0.0, most)
        for name in ("flip", "compile"):
            check_choice(f"recipe.{name}", getattr(self, name), (True, False))
        if self.swa and self.average:
            raise BadInput(
                f"recipe.average ({self.average}) and recipe.swa ({self.swa}) both say what predicts; keep one."
            )
        check_choice("recipe.optimizer", self.optimizer, OPTIMIZERS)
        check_choice("recipe.schedule", self.schedule, SCHEDULES)
        check_choice("recipe.precision", self.precision, PRECISIONS)
        if self.epochs is not None and self.steps is not None:
            raise BadInput(
                f"recipe.epochs ({self.epochs}) and recipe.steps ({self.steps}) both say how long; keep one."
            )


FALLBACK = Recipe(
    epochs=50,
    batch=256,
    bucket=0,
    lr=1e-3,
    weight_decay=0.01,
    optimizer="adamw",
    momentum=0.9,
    schedule="flat-cosine",
    warmup=0.05,
    clip=1.0,
    accumulate=1,
    average=0.0,
    swa=0.0,
    patience=0,
    precision="fp32",
    compile=False,
    members=1,
    flip=False,
    crop=0,
    rotate=0.0,
    zoom=0.0,
    colour=0.0,
    erase=0.0,
    mixup=0.0,
    cutmix=0.0,
    grow=1.0,
)


def rate(recipe: Recipe, progress: float) -> float:
    """The learning rate at `progress` in [0, 1]; annealed to 0 at 1 unless constant."""
    peak = recipe.lr or 0.0
    warmup = recipe.warmup or 0.0
    if progress < warmup:
        return peak * max(progress / warmup, 0.01)
    match recipe.schedule:
        case "cosine":
            return peak * _cosine((progress - warmup) / (1 - warmup))
        case "flat-cosine":
            return peak * _cosine((progress - 0.72) / 0.28)
        case "one-cycle":
            return peak * (1.0 - progress) / (1.0 - warmup)
        case _:
            return peak


def _cosine(share: float) -> float:
    """From 1 to 0 as `share` goes from 0 to 1."""
    return 0.5 * (1.0 + math.cos(math.pi * min(max(share, 0.0), 1.0)))
