"""The nodes that were learned from: what they are called, and the vector that each has."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from decet.data.graphs import Array, Graph
from decet.errors import BadInput, listed, suggest

NEAR = 5_000  # names among which a near spelling is looked for


class KnownNodes:
    """Names of nodes, and their vectors.

    names    by number; None: they are called by their numbers
    count    how many
    vectors  (N, D) float32; None: whoever asks has them from the network
    """

    def __init__(self, count: int, names: list[str] | None, vectors: Array | None) -> None:
        self.count, self.names, self.vectors = count, names, vectors
        self.places = None if names is None else {name: place for place, name in enumerate(names)}

    @classmethod
    def of(cls, graph: Graph, vectors: Array | None) -> KnownNodes:
        """The nodes of a graph."""
        return cls(graph.count, None if graph.names is None else [str(name) for name in graph.names], vectors)

    def name(self, place: int) -> str:
        """What the node at a place is called."""
        return str(place) if self.names is None else self.names[place]

    def place(self, node: Any) -> int:
        """The place of a node by its name. Raises BadInput for one that is not known, with near spellings."""
        name = str(int(node) if isinstance(node, float | np.floating) and float(node).is_integer() else node)
        if self.places is not None:
            found = self.places.get(name)
        else:
            found = int(name) if name.isdecimal() and int(name) < self.count else None
        if found is not None:
            return found
        if self.names is None:
            raise BadInput(f"there is no node {name!r}: nodes are called by numbers, 0 to {self.count - 1:,}.")
        told = suggest(name, self.names[:NEAR]).split(" Choose")[0]
        raise BadInput(
            f"there is no node {name!r}.{told or f' There are {self.count:,}, as {listed(self.names[:5])}.'}"
        )

    def all_places(self, nodes: Iterable[Any]) -> Array:
        """The places of several."""
        return np.array([self.place(node) for node in nodes], np.int64)

    def state(self) -> dict[str, Array]:
        """What `restore` needs: arrays by name."""
        text = (
            b"" if self.names is None else json.dumps(self.names, ensure_ascii=False).encode("utf-8", "surrogatepass")
        )
        found: dict[str, Array] = {"count": np.array([self.count]), "names": np.frombuffer(text, np.uint8).copy()}
        return found if self.vectors is None else found | {"vectors": self.vectors}

    @classmethod
    def restore(cls, arrays: Mapping[str, Any]) -> KnownNodes:
        """The nodes whose `state` this is."""
        try:
            count, vectors = int(arrays["count"][0]), arrays.get("vectors")
            text = np.asarray(arrays["names"], np.uint8).tobytes().decode("utf-8", "surrogatepass")
            names = json.loads(text) if text else None
            if names is not None and not (len(names) == count and all(isinstance(name, str) for name in names)):
                raise ValueError("names and nodes do not agree")
            if vectors is not None and (vectors.ndim != 2 or len(vectors) != count):
                raise ValueError("vectors and nodes do not agree")
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise BadInput(f"the stored nodes do not fit together ({error}).") from error
        return cls(count, names, None if vectors is None else np.asarray(vectors, np.float32))
