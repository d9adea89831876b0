"""Communities: which nodes belong together? As many within as chance would not have it.

    c = softmax(head(nodes by the body))                                                      (N, K)
    Q = 1/2m sum_ij (A_ij - d_i d_j / 2m) c_i . c_j                                           modularity
    loss = - Q + balance * (sqrt(K) / N |sum_i c_i| - 1)

Without N^2 pairs: the first sum is over edges, the second is |sum_i d_i c_i|^2 / 2m. Then nodes move to the community
of a neighbour as long as that raises Q, and whole communities join (`decet.nn.moving`): a network sees which nodes are
of one neighbourhood and features, but hardly which of two communities the last node is better off in.

Or (infomax) vectors learned by telling nodes from those of a graph whose features were dealt out anew
(`decet.tasks.embed_nodes`), in groups by k-means: then nothing moves.

Edges that go one way only count both ways. Metrics: modularity in [-0.5, 1] and, where labels are known, nmi, their
mutual information over the mean of both entropies, in [0, 1]; higher is better; communities: how many.

References: DMoN, Tsitsulin et al., 2006.16904; modularity: Newman, PRE 69, 2004; k-means: Lloyd, IEEE TIT 28, 1982.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from decet.contracts import Batch, Body, Learner, Loss
from decet.errors import BadInput, check_choice, check_range
from decet.nn.moving import modularity
from decet.tensors import Edges

Array = NDArray[Any]
MOST = 32  # communities that a network tells apart, where it is not said how many
OBJECTIVES = ("modularity", "infomax")
SHARP = 10.0  # of the head that stands for k-means


@dataclass(frozen=True)
class DetectCommunities:
    """The question "which nodes belong together?".

    communities: how many at most; None: as many as it takes.
    objective: "modularity", or "infomax" (vectors, then k-means).
    balance: how much it counts beside modularity that communities are of one size.
    settle: let nodes move, once the network has spoken, as long as that raises modularity; None: if it is the
        objective.
    """

    communities: int | None = None
    objective: str | None = None
    balance: float | None = None
    settle: bool | None = None

    higher: ClassVar[dict[str, bool]] = {"modularity": True, "nmi": True}

    def __post_init__(self) -> None:
        check_range("communities", self.communities, 2, 65_536, whole=True)
        check_range("balance", self.balance, 0.0, 100.0)
        check_choice("objective", self.objective, OBJECTIVES)
        check_choice("settle", self.settle, (True, False))
        if self.objective == "infomax" and self.balance is not None:
            raise BadInput("balance is of modularity, and the objective is infomax. Leave it out.")

    def learner(self, body: Body, directed: bool) -> Grouper:
        return Grouper(body, self.communities or MOST, 0.5 if self.balance is None else self.balance)

    @property
    def settles(self) -> bool:
        """Whether nodes move in the end."""
        return self.objective != "infomax" if self.settle is None else self.settle

    def metrics(self, answers: Array, target: Array | None, spec: Any) -> dict[str, float | None]:
        """answers (N,): the community of each node; target (N,): labels, None where not known; spec: the graph's
        weights (N, N), a symmetric sparse matrix."""
        from sklearn.metrics import normalized_mutual_info_score

        found: dict[str, float | None] = {"modularity": modularity(spec, answers.astype(np.int64))}
        known = np.zeros(len(answers), bool) if target is None else np.array([y is not None and y == y for y in target])
        if target is not None and known.any():
            labels = np.array([str(label) for label in target[known]])
            found["nmi"] = float(normalized_mutual_info_score(labels, answers[known]))
        return found | {"communities": float(len(np.unique(answers)))}

    def items(self, answers: Array, target: Array | None, spec: Any) -> Array:
        """What each node brings to modularity (N, 2): one, and its part."""
        community, links = answers.astype(np.int64), spec.tocoo()
        total = float(links.data.sum())
        degree = np.bincount(links.row, links.data, len(community)) / total
        same = community[links.row] == community[links.col]
        inside = np.bincount(links.row[same], links.data[same], len(community)) / total
        part = inside - degree * np.bincount(community, degree)[community]
        return np.stack([np.ones(len(community)), len(community) * part], 1)

    def of_items(self, sums: Array) -> Array:
        """The modularity of nodes whose `items` add up to these sums (..., 2)."""
        found: Array = sums[..., 1] / sums[..., 0]
        return found


class Grouper(Learner):
    """A body and a head of communities. inputs (nodes asked (B,), `Web`). predict -> shares (B, K)."""

    def __init__(self, body: Body, communities: int, balance: float):
        super().__init__()
        self.body, self.balance = body, balance
        self.head = nn.Linear(body.summary_width, communities)

    def shares(self, inputs: tuple[Any, ...]) -> Tensor:
        """How much each node asked belongs to each community (B, K)."""
        return self.head(self.body(inputs).pooled()[:, 0].float()).softmax(1)

    def loss(self, batch: Batch, phase: str) -> Loss:
        shares, edges = self.shares(batch.inputs), batch.inputs[1].edges
        found = soft_modularity(shares, edges)
        evenly = shares.sum(0).norm() * shares.shape[1] ** 0.5 / len(shares) - 1
        return Loss(-found + self.balance * evenly, {})

    @torch.no_grad()
    def group(self, vectors: Tensor, count: int, seed: int) -> None:
        """Let the head tell so many groups of vectors (N, D) by k-means: the nearest middle is the likeliest."""
        from sklearn.cluster import KMeans

        count = min(count, len(self.head.bias), len(vectors))
        found = KMeans(count, n_init=10, random_state=seed).fit(vectors.cpu().numpy())
        middles = torch.from_numpy(found.cluster_centers_).to(vectors)
        self.head.weight.zero_()
        self.head.bias.fill_(-1e9)
        self.head.weight[:count] = SHARP * middles
        self.head.bias[:count] = -SHARP / 2 * middles.square().sum(1)

    @torch.no_grad()
    def predict(self, inputs: tuple[Any, ...]) -> Tensor:
        return self.shares(inputs)


def soft_modularity(shares: Tensor, edges: Edges) -> Tensor:
    """The modularity of shares (N, K) in communities."""
    begin, end = edges.index
    weight = edges.strength
    total = weight.sum()
    inside = (shares * edges.gather(shares, weight)).sum() / total
    degree = weight.new_zeros(edges.count).index_add(0, begin, weight).index_add(0, end, weight) / 2
    return inside - (degree @ shares / total).square().sum()
