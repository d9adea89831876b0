"""Precision is measured, not guessed, and measured once: the answer is written in the run's first checkpoint."""

from __future__ import annotations

import copy
import time
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import cache

import torch
from torch import Tensor

from decet.contracts import Batch, Learner
from decet.settings import joined
from decet.training.optimizers import Optimizer
from decet.training.recipe import Recipe, rate

GLANCE = 4  # steps of each mode that show whether a comparison is worth its time
ROWS = 64  # of a batch that a processor tries: a whole one in full precision takes twice the memory of training
STEPS = 10  # steps of each mode that are compared
MARGIN = 1.25  # a faster mode must be this much faster, for noise is of that size
TOLERANCE = 0.02  # and its loss after `STEPS` this close to fp32's


def autocast(precision: str, device: torch.device) -> AbstractContextManager[object]:
    """The context in which the forward pass and the optimiser's step run."""
    if precision == "bf16":
        return torch.autocast(device.type, dtype=torch.bfloat16)
    return nullcontext()


def resolve(learner: Learner, example: Batch, recipe: Recipe, device: torch.device) -> str:
    """ "fp32" or "bf16": what `recipe.precision` says, or for "auto" the faster that learns as well."""
    if recipe.precision != "auto" or learner.works:
        return "fp32" if recipe.precision in (None, "auto") else str(recipe.precision)
    if device.type == "cpu" and not has_short_products():
        return "fp32"
    if device.type == "cpu":
        example = _part(example)
    for steps in (GLANCE, STEPS):  # where a glance shows no gain, a large network is spared the whole comparison
        plain_seconds, plain_loss = _trial(learner, example, recipe, "fp32", device, steps)
        short_seconds, short_loss = _trial(learner, example, recipe, "bf16", device, steps)
        if short_seconds * MARGIN >= plain_seconds:
            return "fp32"
    return "bf16" if abs(short_loss - plain_loss) <= TOLERANCE * max(abs(plain_loss), 1e-3) else "fp32"


def _part(batch: Batch) -> Batch:
    """Some of its rows, evenly spread, where it is plain tensors that hold the rows first; else all of it."""
    whole = (*batch.inputs, batch.target, batch.weight, batch.rows, batch.fresh)
    given = [x for x in whole if x is not None]
    if batch.index is not None or not all(isinstance(x, Tensor) and x.dim() for x in given):
        return batch
    if len({len(x) for x in given}) != 1 or len(given[0]) <= ROWS:
        return batch
    every = -(-len(given[0]) // ROWS)
    *inputs, target, weight, rows, fresh = (None if x is None else x[::every] for x in whole)
    return replace(batch, inputs=tuple(inputs), target=target, weight=weight, rows=rows, fresh=fresh)


@cache
def has_short_products() -> bool:
    """Whether this processor multiplies matrices faster in bf16.

    One without such instructions takes hundreds of times longer, so that even one step of a large network would be
    too dear a trial.
    """
    x = torch.randn(256, 256, generator=torch.Generator().manual_seed(0))

    def seconds(matrix: torch.Tensor) -> float:
        taken = []
        for _ in range(4):
            start = time.perf_counter()
            matrix @ matrix
            taken.append(time.perf_counter() - start)
        return min(taken)

    return seconds(x.bfloat16()) < seconds(x)


def _trial(
    learner: Learner, example: Batch, recipe: Recipe, precision: str, device: torch.device, steps: int = STEPS
) -> tuple[float, float]:
    """Seconds of the best of `steps` on a copy of the learner, and the mean loss of the last five."""
    trial = copy.deepcopy(learner).train()
    phases = trial.phases()
    recipes = [joined(phase.recipe, recipe) for phase in phases]
    optimizers = [Optimizer(phase.parameters, own) for phase, own in zip(phases, recipes, strict=True)]
    seconds, losses = [], []
    torch.default_generator.manual_seed(0)
    for _ in range(steps):
        start = time.perf_counter()
        total = 0.0
        for phase, own, optimizer in zip(phases, recipes, optimizers, strict=True):
            with autocast(precision, device):
                loss = trial(example, phase.name)
            loss.total.backward(inputs=phase.parameters)
            with autocast(precision, device):
                optimizer.step(rate(own, 0.5))
            optimizer.clear()
            total += float(loss.total.detach())
        seconds.append(time.perf_counter() - start)
        losses.append(total)
    last = losses[-5:]
    return min(seconds[1:]), sum(last) / len(last)
