"""Influence: how many does a node reach, and whom does a network hear when it looks at one?

Independent cascade: a node that is reached tries each of its edges once, and each try succeeds with a probability p.
How many are reached is the mean over many graphs of which each edge stays with probability p: there, a node reaches
whoever it is joined to. So one draw tells of all nodes at once, by the components of what is left; only where edges go
one way is each node walked from.

Gradient: the influence of u on v is the sum of |d h_v / d x_u|, over the sum of these over all u.

References: Kempe et al., KDD 2003 (cascade, live edges); Xu et al., 1806.03536 (gradient).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.csgraph import breadth_first_order, connected_components
from torch import Tensor

from decet.errors import check_range
from decet.tensors import Sparse, Web

Array = NDArray[Any]


def reached(arcs: Array, count: int, probability: float, runs: int, seed: int, directed: bool) -> Array:
    """How many nodes each one reaches, itself among them (N,), the mean of so many runs.

    arcs (2, A): every direction in which an edge can be walked.
    """
    check_range("probability", probability, 0.0, 1.0)
    check_range("runs", runs, 1, whole=True)
    rng, total = np.random.Generator(np.random.Philox(seed)), np.zeros(count)
    edges = arcs if directed else arcs[:, arcs[0] < arcs[1]]
    for _ in range(runs):
        kept = edges[:, rng.random(edges.shape[1]) < probability]
        live = sparse.csr_matrix((np.ones(kept.shape[1], np.int8), (kept[0], kept[1])), (count, count))
        if not directed:
            part = connected_components(live, directed=False)[1]
            total += np.bincount(part)[part]
            continue
        total += 1
        for node in np.flatnonzero(np.diff(live.indptr)):
            total[node] += len(breadth_first_order(live, node, return_predecessors=False)) - 1
    return total / runs


def felt(learner: Any, inputs: tuple[Tensor, Web], node: int) -> Array:
    """The share of each node in what the vector of one depends on (N,)."""
    web = inputs[1]
    with torch.inference_mode(False), torch.enable_grad():
        nodes = (web.nodes.dense() if isinstance(web.nodes, Sparse) else web.nodes).clone().requires_grad_()
        asked = torch.tensor([node], device=nodes.device)
        total = learner.eval().vectors((asked, Web(nodes, web.edges))).sum()
        (gradient,) = torch.autograd.grad(total, nodes)
    each = gradient.abs().sum(1)
    shares: Array = (each / each.sum().clamp(min=1e-30)).cpu().numpy()
    return shares
