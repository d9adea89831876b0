"""Classify nodes: which class, where few nodes have labels and all others are there to be looked at, too.

With S > 1 views, each a pass of the network with other nodes silent (GRAND; Feng et al., 2005.11079):

    loss = mean over views of the cross-entropy of labelled nodes + c * mean over views and all nodes of |p_v - q|^2
    q = the mean of p_v over views, each class to the power 1 / T, made to sum to 1; no gradient

so that nodes without labels pull the views together. Loss of one view, and metrics, are `Classify`'s.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from decet.contracts import Batch, Body, LabelSpec, Loss
from decet.errors import BadInput, check_range
from decet.tasks.classify import Classifier, Classify


@dataclass(frozen=True)
class ClassifyNodes(Classify):
    """The question "which class?", asked of the nodes of a graph.

    label_smoothing: share of each target spread over all classes, 0 to 0.9; None = not said, the cell decides.
    class_weight: None, "balanced" (rare classes count as much as common ones), or a dict label -> weight.
    threshold: probability of the second of two classes from which it is answered; None = the likelier class.
    coverage: share of nodes whose set of labels is to hold the true one, 0.01 to 0.999.
    views: passes of the network in each step, which are to agree on every node; 1 = off.
    consistency: how much their agreement counts beside the labels.
    sharpening: T, what views are to agree on: 1 their mean, less makes it surer.
    """

    views: int | None = None
    consistency: float | None = None
    sharpening: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range("views", self.views, 1, 64, whole=True)
        check_range("consistency", self.consistency, 0.0, 100.0)
        check_range("sharpening", self.sharpening, 0.01, 1.0)

    def check(self, spec: LabelSpec) -> None:
        super().check(spec)
        if (self.views or 1) > 1 and not (spec.exclusive and len(spec.classes) == 1):
            raise BadInput("views agree on one column of labels. Say views=1.")

    def learner(self, body: Body, spec: LabelSpec, members: int) -> NodeLearner:
        alike = (self.views or 1, 1.0 if self.consistency is None else self.consistency, self.sharpening or 0.5)
        return NodeLearner(body, spec, members, self.label_smoothing or 0.0, alike)


class NodeLearner(Classifier):
    """A classifier of nodes. alike: (views, how much their agreement counts, T)."""

    def __init__(self, body: Body, spec: LabelSpec, members: int, smoothing: float, alike: tuple[int, float, float]):
        super().__init__(body, spec, members, smoothing)
        self.views, self.consistency, self.sharpening = alike

    def loss(self, batch: Batch, phase: str) -> Loss:
        if self.views == 1 or len(batch.inputs) != 2 or not hasattr(batch.inputs[1], "edges"):
            return super().loss(batch, phase)  # of networks that read no edges a view is all there is
        asked, web = batch.inputs
        every = torch.arange(web.edges.count, device=asked.device)
        logits = [self.head(self.body((every, web)).pooled()).float() for _ in range(self.views)]  # (N, M, K) each
        told = [self._cross_entropy(view.index_select(0, asked), batch.target, batch.weight) for view in logits]
        apart = disagreement(torch.stack(logits).softmax(-1), self.sharpening)
        if self.margins is not None and batch.rows is not None and not batch.target.is_floating_point():
            self.margins.note(logits[0].detach().index_select(0, asked), batch.target[:, 0], batch.rows)
        return Loss(torch.stack(told).mean() + self.consistency * apart, {"disagreement": apart.detach()})


def disagreement(chances: Tensor, sharpening: float) -> Tensor:
    """chances (S, N, M, K) -> how far views are from what they are to agree on, the mean over views and nodes."""
    with torch.no_grad():
        agreed = (chances.mean(0).clamp_min(1e-30).log() / sharpening).softmax(-1)
    return (chances - agreed).square().sum(-1).mean()
