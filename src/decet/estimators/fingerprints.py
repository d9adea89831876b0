"""Short names of data: equal for equal rows, so that a run is known again."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import numpy as np
import torch

from decet.tensors import Sparse, Web

DIGESTED = 4_096  # rows a checksum looks at at a time


def digest_of(values: Any) -> str:
    """A short name for what was given: a column's name, or a checksum of the values."""
    if values is None or isinstance(values, str):
        return str(values)
    return hashlib.sha256(repr(np.asarray(values).tolist()).encode()).hexdigest()[:16]


def checksum(tensors: list[torch.Tensor]) -> str:
    digest = hashlib.sha256()
    for tensor in tensors:
        for part in tensor.split(DIGESTED) if tensor.numel() else ():  # in parts: pictures may lie on the disk
            digest.update(np.ascontiguousarray(part.numpy()).view(np.uint8).data)
    return digest.hexdigest()


def tensors_of(inputs: tuple[Any, ...]) -> list[torch.Tensor]:
    found = []
    for x in inputs:
        found += list(x.parts().values()) if isinstance(x, (Sparse, Web)) else [x]
    return found


def identity(estimator: Any, family: Any, recipe: Any, asked: Any, call: Any) -> dict[str, str]:
    """What must be equal for a checkpoint to belong to a run, beside the rows themselves."""
    return {
        "estimator": type(estimator).__name__,
        "family": f"{type(family).__name__} {asdict(family)}",
        "recipe": str(asdict(recipe)),
        "question": str(asdict(asked)),
        "inputs": str(asdict(estimator._inputs())),
        "seed": str(int(estimator.seed)),
        "budget": str(call.budget),
        "start": str(call.start),
        "weights": digest_of(call.sample_weight),
        "groups": digest_of(call.groups),
        "order": digest_of(call.order),
    }


def copies(codec: Any, train: Any, asked: Any) -> int:
    """How many of the rows asked are, as the codec gives them to a network, rows to train."""
    before, now = (row_digests(codec.encode(rows)) for rows in (train, asked))
    return int(np.isin(now, before).sum())


def row_digests(inputs: tuple[Any, ...]) -> np.ndarray:
    """64 bits of each encoded row, (n,): equal for equal rows, and hardly ever for others."""
    count = len(inputs[0])
    held = [_row_bytes(x) for x in inputs]
    found = np.empty(count, np.uint64)
    for row in range(count):
        digest = hashlib.blake2b(b"\0".join(part(row) for part in held), digest_size=8)
        found[row] = int.from_bytes(digest.digest(), "little")
    return found


def _row_bytes(x: Any) -> Callable[[int], bytes]:
    """What gives the bytes of one row; the graph that all nodes share tells none from another."""
    if isinstance(x, Web):
        return lambda i: b""
    if isinstance(x, Sparse):
        ends, columns, values = x.offsets.tolist(), x.columns.numpy(), x.values.numpy()

        def row(i: int) -> bytes:
            own = slice(ends[i], ends[i + 1])
            return bytes(columns[own].tobytes() + values[own].tobytes())

        return row
    array = x.numpy()
    return lambda i: np.ascontiguousarray(array[i]).tobytes()
