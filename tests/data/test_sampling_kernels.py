"""Compiled parts of graphs: rooms grow as they fill. That they give what torch does, `test_sampling` shows."""

from __future__ import annotations

import pytest
import torch

from decet.data.sampling import around, strolled
from decet.tensors import Edges


def test_rooms_for_nodes_and_edges_grow_as_they_fill() -> None:
    pytest.importorskip("numba")
    nodes = 3_000
    others = torch.arange(1, nodes)
    tree = Edges(torch.stack([others, (others - 1) // 8]), nodes)  # each node hears eight
    part = around(tree, torch.tensor([0]), 10, 0)
    assert part.nodes.tolist() == list(range(nodes))
    assert part.edges.tolist() == list(range(nodes - 1))
    full = torch.cartesian_prod(torch.arange(100), torch.arange(100)).T
    assert len(strolled(Edges(full, 100), torch.arange(100), 1, 0).edges) == 10_000
