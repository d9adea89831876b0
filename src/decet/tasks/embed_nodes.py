"""EmbedNodes: which nodes are alike? A vector a node, learned from the graph alone, without labels.

    infomax   tell nodes from those of a graph whose features were dealt out anew, by what the whole graph is like:
              loss = - mean log s(h_i W g) - mean log(1 - s(h'_i W g)),   g = sigmoid(mean h)
    edges     tell edges from pairs drawn at random, as `decet.tasks.link`
    walks     tell who is met near whom on random walks, as vectors of words are learned

Metric: probe_accuracy, how many labels of nodes a logistic regression of the vectors gets right, fitted on some nodes
and asked of others; in [0, 1], higher is better.

References: Deep Graph Infomax, Velickovic et al., 1809.10341; Kipf & Welling, 1611.07308; node2vec, Grover & Leskovec,
1607.00653.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from decet.contracts import Batch, Body, Learner, Loss
from decet.errors import BadInput, check_choice
from decet.tasks.link import Joiner
from decet.tensors import Sparse, Web

Array = NDArray[Any]
OBJECTIVES = ("infomax", "edges")
FOLDS = 5  # of a probe, where no part is official
PENALTIES = 3  # folds of what a probe is fitted on


@dataclass(frozen=True)
class EmbedNodes:
    """The question "which nodes are alike?".

    objective: what a network that reads the graph learns by, "infomax" or "edges"; None = not said, the cell decides.
        Word2Vec learns by walks.
    """

    objective: str | None = None

    higher: ClassVar[dict[str, bool]] = {"probe_accuracy": True}

    def __post_init__(self) -> None:
        check_choice("objective", self.objective, OBJECTIVES)

    def learner(self, body: Body, directed: bool) -> Learner:
        return Infomax(body) if self.objective == "infomax" else Joiner(body, directed=False)

    def metrics(self, answers: Array, target: Array, spec: Any) -> dict[str, float | None]:
        """answers (n,): what probes say, by number of label; target (n,): the true numbers."""
        return {"probe_accuracy": float((answers == target).mean())}

    def items(self, answers: Array, target: Array, spec: Any) -> Array:
        """What each node brings (n, 2): one, and whether it is right."""
        return np.stack([np.ones(len(target)), answers == target], 1)

    def of_items(self, sums: Array) -> Array:
        """The accuracy of nodes whose `items` add up to these sums (..., 2)."""
        found: Array = sums[..., 1] / sums[..., 0]
        return found


class Infomax(Learner):
    """A body and what tells its nodes from those of a graph whose features were dealt out anew.

    inputs (nodes asked (B,), `Web`). predict -> vectors (B, D)."""

    def __init__(self, body: Body):
        super().__init__()
        self.body = body
        self.judge = nn.Parameter(nn.init.xavier_uniform_(torch.empty(body.summary_width, body.summary_width)))

    def loss(self, batch: Batch, phase: str) -> Loss:
        asked, web = batch.inputs
        real = self.vectors(batch.inputs)
        dealt = torch.randperm(web.edges.count, device=asked.device)
        made = self.vectors((asked, Web(_dealt(web.nodes, dealt), web.edges)))
        whole = self.judge @ real.mean(0).sigmoid()
        near, far = F.softplus(-(real @ whole)).mean(), F.softplus(made @ whole).mean()
        return Loss((near + far) / 2, {})

    def vectors(self, inputs: tuple[Any, ...]) -> Tensor:
        """The nodes asked (B, D)."""
        vectors: Tensor = self.body(inputs).pooled()[:, 0].float()
        return vectors

    @torch.no_grad()
    def predict(self, inputs: tuple[Any, ...]) -> Tensor:
        return self.vectors(inputs)


def probe() -> Any:
    """What judges vectors: a logistic regression, its penalty chosen by folds of what it is fitted on."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    tried = GridSearchCV(LogisticRegression(max_iter=1_000), {"C": np.logspace(-4, 2, 7)}, cv=PENALTIES)
    return make_pipeline(StandardScaler(), tried)


def probed(vectors: Array, labels: Array, splits: Mapping[str, Array] | None) -> float:
    """The accuracy of a probe of vectors (N, D): labels (N,), None where not known; splits: the official parts, if any.

    Raises BadInput where labels are too few, or all alike.
    """
    from sklearn.model_selection import StratifiedKFold, cross_val_predict

    known = np.array([label is not None and label == label for label in labels])
    names, ids = np.unique(np.array([str(label) for label in labels[known]]), return_inverse=True)
    rarest = int(np.bincount(ids).min()) if len(ids) else 0
    if len(names) < 2 or rarest < FOLDS:
        raise BadInput(
            f"a probe needs two labels, each of {FOLDS} nodes at least. Found: {len(names)} labels, the rarest of "
            f"{rarest} nodes."
        )
    if splits is not None and {"train", "test"} <= set(splits):
        place = np.full(len(labels), -1)
        place[known] = ids
        train, test = (splits[part][place[splits[part]] >= 0] for part in ("train", "test"))
        return float((probe().fit(vectors[train], place[train]).predict(vectors[test]) == place[test]).mean())
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=0)
    return float((cross_val_predict(probe(), vectors[known], ids, cv=folds) == ids).mean())


def _dealt(nodes: Tensor | Sparse, order: Tensor) -> Tensor | Sparse:
    return nodes.rows(order) if isinstance(nodes, Sparse) else nodes.index_select(0, order)
