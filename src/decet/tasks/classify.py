"""Classify: which class? One label, a set of labels, or several columns of labels with gaps.

    loss = - sum_k q_k log softmax(z)_k,   q = (1 - s) onehot(y) + s / K        (label smoothing s, 1512.00567)

weighted by row and averaged over members and the columns that are not gaps. The answer is the mean of the members'
probabilities, sharpened or softened by one temperature fitted on calibration rows (Guo et al., 1706.04599); beside it
stands the set of labels that holds the true one as often as asked (`decet.tasks.conformal`). Soft targets (B, K) are
legal wherever labels are.

Metrics: accuracy, balanced_accuracy, macro_f1, auc in [0, 1], higher is better; log_loss and brier from 0, and
calibration_error in [0, 1] (15 equal-mass bins, Naeini et al., AAAI 2015), lower is better. With several columns each
is the mean over columns; undefined ones (as auc with one class present) are None.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from decet.contracts import Batch, Body, LabelSpec, Learner, Loss
from decet.errors import BadInput, check_range
from decet.nn.members import head_of
from decet.tasks.conformal import Examined
from decet.tasks.dynamics import Margins

Array = NDArray[Any]
TINY = 1e-12  # of a probability


@dataclass(frozen=True)
class Classify:
    """The question "which class?".

    label_smoothing: share of each target spread over all classes, 0 to 0.9; None = not said, 0 where nobody says.
    class_weight: None, "balanced" (rare classes count as much as common ones), or a dict label -> weight.
    threshold: probability of the second of two classes from which it is answered; None = the likelier class.
    coverage: share of rows whose set of labels is to hold the true one, 0.01 to 0.999.
    """

    label_smoothing: float | None = None
    class_weight: Any = None
    threshold: float | None = None
    coverage: float = 0.9

    higher: ClassVar[dict[str, bool]] = {  # metric -> whether higher is better; the first is the default
        "log_loss": False,
        "accuracy": True,
        "balanced_accuracy": True,
        "macro_f1": True,
        "auc": True,
        "brier": False,
        "calibration_error": False,
    }

    def __post_init__(self) -> None:
        check_range("label_smoothing", self.label_smoothing, 0.0, 0.9)
        check_range("threshold", self.threshold, 0.0, 1.0)
        check_range("coverage", self.coverage, 0.01, 0.999)
        weight = self.class_weight
        if weight is not None and weight != "balanced" and not isinstance(weight, Mapping):
            raise BadInput(f"class_weight must be None, 'balanced' or a dict of label to weight. Received: {weight!r}.")

    def check(self, spec: LabelSpec) -> None:
        """Raise BadInput where the question does not fit the answer."""
        if self.threshold is not None and any(classes != 2 for classes in spec.classes):
            raise BadInput(f"threshold works for two classes. Received: {max(spec.classes)} classes.")

    def learner(self, body: Body, spec: LabelSpec, members: int) -> Classifier:
        return Classifier(body, spec, members, self.label_smoothing or 0.0)

    def decide(self, answers: Array, spec: LabelSpec) -> Array:
        """Probabilities (n, sum K) -> class ids (n, J)."""
        self.check(spec)
        columns = columns_of(answers, spec)
        ids = []
        for column in columns:
            if self.threshold is not None and column.shape[1] == 2:
                ids.append((column[:, 1] >= self.threshold).astype(np.int64))
            else:
                ids.append(column.argmax(1))
        return np.stack(ids, 1)

    def metrics(
        self, answers: Array, target: Array, spec: LabelSpec, only: Collection[str] | None = None
    ) -> dict[str, float | None]:
        """Metrics of probabilities (n, sum K) against class ids (n, J), -1 = gap, or soft targets (n, K)."""
        target = ids_of(target)
        decided = self.decide(answers, spec)
        columns = []
        for j, column in enumerate(columns_of(answers, spec)):
            real = target[:, j] >= 0
            if real.any():
                columns.append((column[real].astype(np.float64), decided[real, j], target[real, j]))
        result: dict[str, float | None] = {}
        for name in self.higher if only is None else only:
            values = [value for value in (METRICS[name](*column) for column in columns) if value is not None]
            result[name] = float(np.mean(values)) if values else None
        return result

    def items(self, answers: Array, target: Array, spec: LabelSpec) -> Array:
        """What each item brings to the accuracy, (n, 2 J): whether it is right, and whether its answer is known."""
        target = ids_of(target)
        real = target >= 0
        return np.concatenate([(self.decide(answers, spec) == target) & real, real], 1).astype(np.float64)

    def of_items(self, sums: Array) -> Array:
        """The accuracy of items whose `items` add up to these sums (..., 2 J)."""
        right, real = np.split(sums, 2, -1)
        with np.errstate(divide="ignore", invalid="ignore"):
            accuracy: Array = np.nansum(right / real, -1) / (real > 0).sum(-1)
        return accuracy

    def row_weights(self, target: Array, spec: LabelSpec, names: list[list[Any]]) -> Array | None:
        """The weight of each row that `class_weight` asks for; None when it asks for nothing."""
        if self.class_weight is None:
            return None
        soft = np.issubdtype(target.dtype, np.floating)
        if not soft and target.shape[1] > 1:
            raise BadInput(f"class_weight works for one column of labels. Received: {target.shape[1]} columns.")
        classes = spec.classes[0]
        shares = target if soft else np.eye(classes)[target[:, 0]]
        if self.class_weight == "balanced":
            counts = shares.sum(0)
            weights = np.where(counts > 0, len(shares) / (classes * np.maximum(counts, 1e-9)), 0.0)
        else:
            known = {str(name): i for i, name in enumerate(names[0])}
            weights = np.ones(classes)
            for label, weight in self.class_weight.items():
                if str(label) not in known:
                    raise BadInput(f"class_weight names the label {label!r}. The labels are: {', '.join(known)}.")
                check_range(f"class_weight of {label!r}", weight, 0.0)
                weights[known[str(label)]] = weight
        return np.asarray(shares @ weights)


class Classifier(Learner):
    """A body, a head a member, the loss above. predict: inputs -> probabilities (B, sum K)."""

    temperature: Tensor

    def __init__(self, body: Body, spec: LabelSpec, members: int, smoothing: float):
        super().__init__()
        self.body, self.spec, self.smoothing = body, spec, smoothing
        self.head = head_of(body.summary_width, sum(spec.classes), members)
        self.register_buffer("temperature", torch.ones(()))
        self.margins: Margins | None = None

    def follow(self, rows: int) -> None:
        """Note from now on how each of so many training rows is learned (of one column of labels)."""
        self.margins = Margins(rows)

    def state(self) -> dict[str, Any]:
        return {} if self.margins is None else {"margins": self.margins.state()}

    def restore(self, state: Mapping[str, Any]) -> None:
        if self.margins is not None:
            self.margins.restore(state["margins"])

    def loss(self, batch: Batch, phase: str) -> Loss:
        features = self.body(batch.inputs)
        logits = self.head(features.pooled(batch.index))  # (B, M, sum K)
        if self.margins is not None and batch.rows is not None and not batch.target.is_floating_point():
            self.margins.note(logits.detach(), batch.target[:, 0], batch.rows)
        total = self._cross_entropy(logits, batch.target, batch.weight)
        parts = {name: value for name, value in features.extras.items() if name.startswith("loss:")}
        for value in parts.values():
            total = total + value
        return Loss(total, parts)

    def _cross_entropy(self, logits: Tensor, target: Tensor, weight: Tensor | None) -> Tensor:
        members = logits.shape[1]
        if target.is_floating_point() or len(self.spec.classes) == 1:
            flat = target if target.is_floating_point() else target[:, 0]
            if members > 1:
                flat = flat.repeat_interleave(members, 0)
            if weight is None:
                return F.cross_entropy(logits.flatten(0, 1), flat, label_smoothing=self.smoothing)
            each = F.cross_entropy(logits.flatten(0, 1), flat, label_smoothing=self.smoothing, reduction="none")
            return (each.view(-1, members).mean(1) * weight).mean()
        real = (target >= 0).to(logits.dtype)  # (B, J)
        if weight is not None:
            real = real * weight.unsqueeze(1)
        per_column = []
        for part, column in zip(logits.split(self.spec.classes, -1), target.unbind(1), strict=True):
            ids = column.clamp(min=0).repeat_interleave(members)
            each = F.cross_entropy(part.flatten(0, 1), ids, label_smoothing=self.smoothing, reduction="none")
            per_column.append(each.view(-1, members).mean(1))
        return (torch.stack(per_column, 1) * real).sum() / real.sum().clamp(min=1e-9)

    def predict(self, inputs: tuple[Any, ...]) -> Tensor:
        return self._probabilities(self.logits(inputs))

    @torch.no_grad()
    def _probabilities(self, logits: Tensor) -> Tensor:
        """(B, M, sum K) -> (B, sum K): the members' mean, at the temperature."""
        parts = []
        for part in logits.split(self.spec.classes, -1):
            mean = part.log_softmax(-1).logsumexp(1) - math.log(part.shape[1])  # log of the mean probability
            parts.append((mean / self.temperature).softmax(-1))
        return parts[0] if len(parts) == 1 else torch.cat(parts, 1)

    @torch.no_grad()
    def logits(self, inputs: tuple[Any, ...]) -> Tensor:
        """What the answer is made of, (B, M, sum K), without gradients."""
        return self._logits_of(self._pooled(inputs))

    @torch.no_grad()
    def examine(self, inputs: tuple[Any, ...], glance: bool = False) -> Examined:
        """The answers of `predict` (of `glance`), and what the head reads, the mean of the members."""
        pooled = self._pooled(inputs)
        logits = self._logits_of(pooled)
        answers = self._probabilities(logits if glance else self._seen(logits, inputs))
        return Examined(answers, features=pooled.float().mean(1))

    def _pooled(self, inputs: tuple[Any, ...]) -> Tensor:
        features: Tensor = self.body(inputs).pooled()
        return features

    def _logits_of(self, pooled: Tensor) -> Tensor:
        logits: Tensor = self.head(pooled).float()
        return logits

    def _seen(self, logits: Tensor, inputs: tuple[Any, ...]) -> Tensor:
        """The logits that are answered by, from those of the rows as they are."""
        return logits

    def tempered(self, answers: Array) -> Array:
        """Answers made at temperature 1, as they are at the temperature in effect."""
        logs = np.log(np.maximum(answers.astype(np.float64), TINY)) / float(self.temperature)
        parts = [np.exp(part - part.max(1, keepdims=True)) for part in columns_of(logs, self.spec)]
        return np.concatenate([part / part.sum(1, keepdims=True) for part in parts], 1)

    def calibrate(self, answers: Array, target: Array) -> float:
        """Set the temperature that gives held-out answers (made at temperature 1) the least log loss."""
        columns = []
        if np.issubdtype(target.dtype, np.floating):
            columns.append((np.log(np.maximum(answers, TINY)), target))
        else:
            for j, column in enumerate(columns_of(answers, self.spec)):
                real = target[:, j] >= 0
                shares = np.eye(column.shape[1])[target[real, j]]
                columns.append((np.log(np.maximum(column[real], TINY)), shares))
        self.temperature.fill_(_best_temperature(columns))
        return float(self.temperature)


def _best_temperature(columns: list[tuple[Array, Array]]) -> float:
    """Minimise the log loss over log T; columns of (log probabilities, true shares), both (n, K)."""
    from scipy.optimize import minimize_scalar

    rows = sum(len(shares) for _, shares in columns)
    if rows < 20:  # too few rows to tell a temperature from chance
        return 1.0

    def loss(log_temperature: float) -> float:
        total = 0.0
        for logs, shares in columns:
            z = logs / math.exp(log_temperature)
            top = z.max(1, keepdims=True)
            total += float((np.log(np.exp(z - top).sum(1)) + top[:, 0] - (shares * z).sum(1)).sum())
        return total / rows

    found = minimize_scalar(loss, bounds=(math.log(0.2), math.log(5.0)), method="bounded")
    return math.exp(found.x) if loss(found.x) < loss(0.0) else 1.0


def columns_of(answers: Array, spec: LabelSpec) -> list[Array]:
    """Answers (n, sum K), column by column (n, K)."""
    return np.split(answers, np.cumsum(spec.classes)[:-1], axis=1)


def ids_of(target: Array) -> Array:
    """Class ids (n, J), of soft targets (n, K) the likeliest class."""
    return target.argmax(1)[:, None] if np.issubdtype(target.dtype, np.floating) else target


def accuracy(probabilities: Array, decided: Array, target: Array) -> float:
    return float((decided == target).mean())


def balanced_accuracy(probabilities: Array, decided: Array, target: Array) -> float:
    return float(np.mean([(decided[target == k] == k).mean() for k in np.unique(target)]))


def macro_f1(probabilities: Array, decided: Array, target: Array) -> float:
    from sklearn.metrics import f1_score

    return float(f1_score(target, decided, average="macro", zero_division=0))


def log_loss(probabilities: Array, decided: Array, target: Array) -> float:
    return float(-np.log(np.clip(probabilities[np.arange(len(target)), target], 1e-15, 1.0)).mean())


def auc(probabilities: Array, decided: Array, target: Array) -> float | None:
    """Area under the ROC curve; of many classes the mean of one against the rest. None unless all are present."""
    from sklearn.metrics import roc_auc_score

    classes = probabilities.shape[1]
    if len(np.unique(target)) < classes:
        return None
    if classes == 2:
        return float(roc_auc_score(target, probabilities[:, 1]))
    each = [roc_auc_score(target == k, probabilities[:, k]) for k in range(classes)]
    return float(np.mean(each))


def brier(probabilities: Array, decided: Array, target: Array) -> float:
    """Squared distance to the truth, summed over classes: 0 to 2."""
    return float(((probabilities - np.eye(probabilities.shape[1])[target]) ** 2).sum(1).mean())


def calibration(probabilities: Array, decided: Array, target: Array) -> float:
    return calibration_error(probabilities.max(1), probabilities.argmax(1) == target)


def calibration_error(confidence: Array, right: Array, bins: int = 15) -> float:
    """Expected gap between confidence and hit rate, over bins that hold equally many answers; in [0, 1]."""
    order = np.argsort(confidence, kind="stable")
    parts = [p for p in np.array_split(order, min(bins, len(order))) if len(p)]
    gaps = [abs(float(confidence[p].mean()) - float(right[p].mean())) * len(p) for p in parts]
    return sum(gaps) / len(order)


METRICS: dict[str, Callable[[Array, Array, Array], float | None]] = {
    "log_loss": log_loss,
    "accuracy": accuracy,
    "balanced_accuracy": balanced_accuracy,
    "macro_f1": macro_f1,
    "auc": auc,
    "brier": brier,
    "calibration_error": calibration,
}
