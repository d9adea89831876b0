"""What cells advise: by the shape of data alone, and small where there is little time."""

from __future__ import annotations

import pytest

from decet.contracts import GraphSpec, TableSpec, TokenSpec
from decet.estimators import cells


@pytest.mark.parametrize("rows", [10, 500, 3_000, 50_000, 1_000_000])
def test_tables_of_any_length_have_settings(rows: int) -> None:
    for advise in (cells.dnn_on_tables, cells.resnet_on_tables):
        family, recipe, _ = advise(TableSpec(numbers=5), rows, None)
        assert family.width >= 64
        assert recipe.batch >= 16


def test_who_writes_in_little_time_is_small() -> None:
    long, short = (cells.transformer_writes(TokenSpec(80), 10_000_000, budget) for budget in (None, 30.0))
    assert short.family.width < long.family.width


def test_graphs_are_read_by_what_their_edges_and_nodes_are() -> None:
    plain, typed = GraphSpec(10), GraphSpec(10, relations=3)
    for advise in (cells.gnn_on_links, cells.gnn_on_vectors, cells.gnn_on_communities, cells.gnn_on_nodes):
        assert advise(plain, 500, None).family.conv != "rgcn"
        assert advise(typed, 500, None).family.conv == "rgcn"
    assert cells.gnn_on_vectors(plain, 500, None).question.objective == "infomax"
    assert cells.gnn_on_vectors(GraphSpec(10, identity=True), 500, None).question.objective == "edges"
    assert cells.gnn_on_groups(GraphSpec(10, identity=True), 500, None).question.objective == "infomax"
    wide, narrow = (cells.gnn_on_links(plain, edges, None).family.width for edges in (1_000, 1_000_000))
    assert wide > narrow


def test_few_walks_are_walked_more_often() -> None:
    few, many = (cells.word2vec_on_walks(TokenSpec(100), edges, None).recipe.epochs for edges in (100, 10_000_000))
    assert few > many
