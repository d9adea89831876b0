"""Nodes by their names: found, told when misspelt, stored."""

from __future__ import annotations

import numpy as np
import pytest

from decet.data.graphs import Graph
from decet.data.known import KnownNodes
from decet.errors import BadInput

EDGES = np.array([[0, 1], [1, 2]])


def named() -> KnownNodes:
    return KnownNodes.of(Graph(EDGES, names=np.array(["Anna", "Bert", "蛋糕\n"], dtype=object)), np.eye(3))


def test_nodes_are_found_by_name_or_where_they_have_none_by_number() -> None:
    assert [named().place(name) for name in ("Anna", "蛋糕\n")] == [0, 2]
    plain = KnownNodes.of(Graph(EDGES), None)
    assert [plain.place(name) for name in (2, "1", 0.0, np.int64(2))] == [2, 1, 0, 2]
    assert plain.all_places(["2", 0]).tolist() == [2, 0]
    assert (plain.name(2), named().name(1)) == ("2", "Bert")


@pytest.mark.parametrize(
    ("node", "message"),
    [("Ana", "no node 'Ana'. Did you mean 'Anna'"), ("zzz", "no node 'zzz'"), (7, "no node '7'")],
)
def test_an_unknown_name_is_told_with_what_is_near(node: object, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        named().place(node)


@pytest.mark.parametrize("node", ["3", "-1", "x", 1.5])
def test_an_unknown_number_is_told_with_the_range(node: object) -> None:
    with pytest.raises(BadInput, match="nodes are called by numbers, 0 to 2"):
        KnownNodes.of(Graph(EDGES), None).place(node)


def test_nodes_are_their_state() -> None:
    again = KnownNodes.restore(named().state())
    assert again.names == named().names
    assert (again.vectors == np.eye(3)).all()
    plain = KnownNodes.restore(KnownNodes.of(Graph(EDGES), None).state())
    assert (plain.count, plain.names, plain.vectors) == (3, None, None)


@pytest.mark.parametrize(
    "wrong", [{"count": np.array([4])}, {"vectors": np.eye(2)}, {"names": np.array([91], np.uint8)}]
)
def test_a_state_that_lies_is_refused(wrong: dict) -> None:
    with pytest.raises(BadInput, match="the stored nodes do not fit together"):
        KnownNodes.restore(named().state() | wrong)
