"""The recipe: every number of training in one frozen dataclass, and the learning-rate schedules.

Every field may be None = not said. Values are joined field by field: the user's, then the cell's (a short function in
`decet.estimators.catalog`), then `FALLBACK`. What was used is kept as `recipe_`, shown and saved.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from decet.errors import BadInput, check_choice, check_range
from decet.settings import check_whole

SCHEDULES = ("constant", "cosine", "flat-cosine")
OPTIMIZERS = ("adamw", "sgd")
PRECISIONS = ("auto", "fp32", "bf16")


@dataclass(frozen=True)
class Recipe:
    """How to train. None = not said: the cell of the map, then the fallback decides.

    epochs: passes over the training rows, at most (early stopping may end sooner).
    steps: steps in all; instead of epochs.
    batch: rows a step.
    lr: peak learning rate.
    weight_decay: of matrices (not of biases, norms or embeddings): decoupled with adamw, in the gradient with sgd.
    optimizer: "adamw" (Loshchilov & Hutter, 1711.05101) or "sgd" (with Nesterov momentum).
    momentum: of sgd, and the first beta of adamw.
    schedule: "constant", "cosine" (1608.03983), or "flat-cosine" (flat, then a cosine over the last 28 %).
    warmup: share of training with a linearly rising rate.
    clip: largest gradient norm; 0 = off.
    accumulate: batches a step of the optimiser.
    average: decay of the moving average of weights that predicts; 0 = off.
    patience: epochs without a better validation metric before training stops; 0 = never.
    metric: validation metric that decides which weights are kept; None = the task's first.
    precision: "fp32", "bf16", or "auto" (measured once, the faster one that learns as well).
    members: weight-sharing networks trained as one, whose answers are averaged (BatchEnsemble, TabM).
    """

    epochs: int | None = None
    steps: int | None = None
    batch: int | None = None
    lr: float | None = None
    weight_decay: float | None = None
    optimizer: str | None = None
    momentum: float | None = None
    schedule: str | None = None
    warmup: float | None = None
    clip: float | None = None
    accumulate: int | None = None
    average: float | None = None
    patience: int | None = None
    metric: str | None = None
    precision: str | None = None
    members: int | None = None

    def __post_init__(self) -> None:
        check_whole(self, ("epochs", "steps", "batch", "accumulate"), 1, room="recipe.")
        check_whole(self, ("members",), 1, 1024, room="recipe.")
        check_whole(self, ("patience",), 0, room="recipe.")
        check_range("recipe.lr", self.lr, 1e-12, 100.0)
        check_range("recipe.weight_decay", self.weight_decay, 0.0, 10.0)
        check_range("recipe.momentum", self.momentum, 0.0, 0.9999)
        check_range("recipe.warmup", self.warmup, 0.0, 0.9)
        check_range("recipe.clip", self.clip, 0.0)
        check_range("recipe.average", self.average, 0.0, 0.999999)
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
    lr=1e-3,
    weight_decay=0.01,
    optimizer="adamw",
    momentum=0.9,
    schedule="flat-cosine",
    warmup=0.05,
    clip=1.0,
    accumulate=1,
    average=0.0,
    patience=0,
    precision="fp32",
    members=1,
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
        case _:
            return peak


def _cosine(share: float) -> float:
    """From 1 to 0 as `share` goes from 0 to 1."""
    return 0.5 * (1.0 + math.cos(math.pi * min(max(share, 0.0), 1.0)))
