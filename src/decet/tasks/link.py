"""Link: are two nodes joined? Vectors of nodes whose product tells, from a graph some of whose edges are hidden.

    z = nodes by the body;   s(u, v) = sum over d of scale_d z_ud z_vd + shift;   p = 1 / (1 + exp(-s))
    loss = - mean over edges of log p - mean over as many pairs drawn at random of log(1 - p)

Of directed edges the one that begins has another vector than the one that ends: each half of z is for one of them. An
edge that is asked is in no message of its step (Li et al., 2205.10053): else a network learns to find what it was told.

Metrics of hidden edges among as many pairs that are no edges: auc and average_precision in [0, 1], and hits@20, the
share of edges that stand above the twentieth of the pairs (None where these are fewer); higher is better.

References: Kipf & Welling, VGAE, 1611.07308 (without its noise); Yang et al., DistMult, 1412.6575 (scale); Hu et al.,
2005.00687 (hits).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from decet.contracts import Batch, Body, Learner, Loss
from decet.errors import BadInput, check_range

Array = NDArray[Any]
TOP = 20
REGRESSED = 100_000  # edges by which `regress` weighs the numbers of vectors, at most


@dataclass(frozen=True)
class Link:
    """The question "are these joined?".

    held: share of the edges that is hidden from training, to be judged by.
    chosen: share that is hidden to choose the epoch by; by walks none is chosen, and none hidden.
    masked: share of the others that each step hides, to ask for them; None = not said: 0.7.
    """

    held: float = 0.1
    chosen: float | None = None
    masked: float | None = None

    higher: ClassVar[dict[str, bool]] = {"auc": True, "average_precision": True, "hits@20": True}

    def __post_init__(self) -> None:
        check_range("held", self.held, 0.01, 0.5)
        check_range("chosen", self.chosen, 0.01, 0.4)
        check_range("masked", self.masked, 0.01, 0.99)

    def learner(self, body: Body, directed: bool) -> Joiner:
        return Joiner(body, directed)

    def metrics(self, answers: Array, target: Array, spec: None = None) -> dict[str, float | None]:
        """answers (n,): chances of being joined; target (n,): 1 where it is so, else 0."""
        from sklearn.metrics import average_precision_score, roc_auc_score

        if len(np.unique(target)) < 2:
            return dict.fromkeys(self.higher)
        joined, apart = answers[target == 1], np.sort(answers[target == 0])
        return {
            "auc": float(roc_auc_score(target, answers)),
            "average_precision": float(average_precision_score(target, answers)),
            "hits@20": None if len(apart) < TOP else float((joined > apart[-TOP]).mean()),
        }

    def items(self, answers: Array, target: Array, spec: None = None) -> Array:
        """What each hidden edge brings (n, 2): one, and the share of pairs that are no edges that it stands above."""
        apart = np.sort(answers[target == 0])
        joined = answers[target == 1]
        above = (np.searchsorted(apart, joined, "left") + np.searchsorted(apart, joined, "right")) / 2
        return np.stack([np.ones(len(joined)), above / max(1, len(apart))], 1)

    def of_items(self, sums: Array) -> Array:
        """The auc of edges whose `items` add up to these sums (..., 2)."""
        found: Array = sums[..., 1] / sums[..., 0]
        return found


class Joiner(Learner):
    """A body and what weighs its products. inputs (nodes asked (B,), `Web`), index (P, 2): places among the nodes asked
    of the pairs in question, target (P,), weight (P,). predict -> vectors (B, D)."""

    def __init__(self, body: Body, directed: bool):
        super().__init__()
        if directed and body.summary_width % 2:
            raise BadInput(f"of directed edges half of the width is for each end: {body.summary_width} is odd.")
        self.body, self.directed = body, directed
        self.scale = nn.Parameter(torch.ones(body.summary_width // (2 if directed else 1)))
        self.shift = nn.Parameter(torch.zeros(()))

    def loss(self, batch: Batch, phase: str) -> Loss:
        scores, target = self.scores(self.vectors(batch.inputs), batch.index), batch.target
        weight = torch.ones_like(target) if batch.weight is None else batch.weight
        each = weight * F.binary_cross_entropy_with_logits(scores, target, reduction="none")
        near = (each * target).sum() / (weight * target).sum().clamp(min=1)
        far = (each * (1 - target)).sum() / (weight * (1 - target)).sum().clamp(min=1)  # there may be none
        return Loss(near + far, {})

    def vectors(self, inputs: tuple[Any, ...]) -> Tensor:
        """The nodes asked (B, D)."""
        vectors: Tensor = self.body(inputs).pooled()[:, 0].float()
        return vectors

    def ends(self, vectors: Tensor) -> tuple[Tensor, Tensor]:
        """Nodes as those where edges begin, weighed, and as those where they end: what `scores` multiplies."""
        begin, end = vectors.chunk(2, 1) if self.directed else (vectors, vectors)
        return begin * self.scale, end

    def scores(self, vectors: Tensor, pairs: Any) -> Tensor:
        """How much pairs (P, 2) of vectors (N, D) look joined: the logit of that (P,)."""
        begin, end = self.ends(vectors)
        found: Tensor = (begin.index_select(0, pairs[:, 0]) * end.index_select(0, pairs[:, 1])).sum(1) + self.shift
        return found

    @torch.no_grad()
    def regress(self, vectors: Tensor, pairs: Tensor, target: Tensor) -> None:
        """Weigh the products of vectors that are learned already by logistic regression (Grover & Leskovec,
        1607.00653): pairs (P, 2), target (P,) 1 for edges."""
        from sklearn.linear_model import LogisticRegression

        begin, end = vectors.chunk(2, 1) if self.directed else (vectors, vectors)
        products = (begin.index_select(0, pairs[:, 0]) * end.index_select(0, pairs[:, 1])).cpu().numpy()
        found = LogisticRegression(max_iter=500).fit(products, target.cpu().numpy())
        self.scale.copy_(torch.from_numpy(found.coef_[0]))
        self.shift.copy_(torch.tensor(found.intercept_[0]))

    @torch.no_grad()
    def predict(self, inputs: tuple[Any, ...]) -> Tensor:
        return self.vectors(inputs)
