"""Regress: how much? One number or several, with gaps.

    loss = mean over rows, members and known numbers of (z - y)^2, |z - y|, or Huber's (delta 1),

y standardised. The answer is the mean of the members' answers, in the user's units; beside it stands the interval that
holds the true number as often as asked (`decet.tasks.conformal`).

Metrics: rmse and mae in the target's units, lower is better; r2 up to 1, higher is better. With several numbers each
is the mean over columns; undefined ones (r2 of a constant) are None.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from decet.contracts import Batch, Body, Learner, Loss, NumberSpec
from decet.errors import check_choice, check_range
from decet.nn.members import head_of
from decet.tasks.conformal import Examined

Array = NDArray[Any]
LOSSES = ("squared", "absolute", "huber")


@dataclass(frozen=True)
class Regress:
    """The question "how much?".

    loss: "squared" (aims at the mean), "absolute" (at the median), or "huber" (between, steady against outliers).
    coverage: share of rows whose interval is to hold the true number, 0.01 to 0.999.
    """

    loss: str = "squared"
    coverage: float = 0.9

    higher: ClassVar[dict[str, bool]] = {"rmse": False, "mae": False, "r2": True}

    def __post_init__(self) -> None:
        check_choice("loss", self.loss, LOSSES)
        check_range("coverage", self.coverage, 0.01, 0.999)

    def check(self, spec: NumberSpec) -> None:
        """Every loss fits every number."""

    def learner(self, body: Body, spec: NumberSpec, members: int) -> Regressor:
        return Regressor(body, spec, members, self.loss)

    def metrics(
        self, answers: Array, target: Array, spec: NumberSpec, only: Collection[str] | None = None
    ) -> dict[str, float | None]:
        """Metrics of answers (n, J) against numbers (n, J), NaN = gap, both in the target's units."""
        columns = []
        for answer, truth in zip(answers.T, target.T, strict=True):
            real = ~np.isnan(truth)
            if real.any():
                columns.append((answer[real].astype(np.float64), truth[real].astype(np.float64)))
        result: dict[str, float | None] = {}
        for name in self.higher if only is None else only:
            values = [value for value in (METRICS[name](*column) for column in columns) if value is not None]
            result[name] = float(np.mean(values)) if values else None
        return result

    def items(self, answers: Array, target: Array, spec: NumberSpec) -> Array:
        """What each item brings to r2, (n, 4 J): its squared error, y, y squared, and whether its answer is known."""
        real = ~np.isnan(target)
        centre = np.nansum(target, 0) / np.maximum(real.sum(0), 1)
        y = np.where(real, target - centre, 0.0)  # around 0, so that no digits are lost
        error = np.where(real, answers - target, 0.0)
        return np.concatenate([error**2, y, y**2, real], 1).astype(np.float64)

    def of_items(self, sums: Array) -> Array:
        """The r2 of items whose `items` add up to these sums (..., 4 J); NaN where all truths are equal."""
        error, y, square, real = np.split(sums, 4, -1)
        with np.errstate(divide="ignore", invalid="ignore"):
            spread = square - y**2 / real
            each = np.where(spread > 1e-12 * square, 1 - error / spread, np.nan)
            found: Array = np.nansum(each, -1) / np.isfinite(each).sum(-1)
        return found


class Regressor(Learner):
    """A body, a head a member, the loss above. predict: inputs -> standardised numbers (B, J)."""

    def __init__(self, body: Body, spec: NumberSpec, members: int, kind: str):
        super().__init__()
        self.body, self.spec, self.kind = body, spec, kind
        self.head = head_of(body.summary_width, spec.count, members)

    def loss(self, batch: Batch, phase: str) -> Loss:
        features = self.body(batch.inputs)
        answers = self.head(features.pooled(batch.index))  # (B, M, J)
        total = self._distance(answers, batch.target.unsqueeze(1), batch.weight)
        parts = {name: value for name, value in features.extras.items() if name.startswith("loss:")}
        for value in parts.values():
            total = total + value
        return Loss(total, parts)

    def _distance(self, answers: Tensor, target: Tensor, weight: Tensor | None) -> Tensor:
        gaps = self.spec.count > 1
        truth = torch.where(target.isnan(), answers.detach(), target) if gaps else target
        match self.kind:
            case "squared":
                each = (answers - truth).square()
            case "absolute":
                each = (answers - truth).abs()
            case _:
                each = F.huber_loss(answers, truth.expand_as(answers), reduction="none")
        if not gaps and weight is None:
            return each.mean()
        if not gaps and weight is not None:  # of mean 1 over all rows, so a batch of light rows counts little
            return (each * weight.view(-1, 1, 1)).mean()
        real = (~target.isnan()).to(answers.dtype)
        if weight is not None:
            real = real * weight.view(-1, 1, 1)
        return (each * real).sum() / (real.sum() * answers.shape[1]).clamp(min=1e-9)

    @torch.no_grad()
    def predict(self, inputs: tuple[Any, ...]) -> Tensor:
        return self.head(self.body(inputs).pooled()).float().mean(1)

    @torch.no_grad()
    def examine(self, inputs: tuple[Any, ...], glance: bool = False) -> Examined:
        """The answers of `predict`, what the head reads, the mean of the members, and how far these disagree."""
        pooled = self.body(inputs).pooled()
        answers = self.head(pooled).float()  # (B, M, J)
        spread = answers.std(1, correction=0) if answers.shape[1] > 1 else None
        return Examined(answers.mean(1), spread, pooled.float().mean(1))


def rmse(answer: Array, truth: Array) -> float:
    return float(np.sqrt(((answer - truth) ** 2).mean()))


def mae(answer: Array, truth: Array) -> float:
    return float(np.abs(answer - truth).mean())


def r2(answer: Array, truth: Array) -> float | None:
    """1 - squared error / spread around the mean; None where all truths are equal."""
    spread = float(((truth - truth.mean()) ** 2).sum())
    return 1.0 - float(((answer - truth) ** 2).sum()) / spread if spread > 0 else None


METRICS: dict[str, Callable[[Array, Array], float | None]] = {"rmse": rmse, "mae": mae, "r2": r2}
