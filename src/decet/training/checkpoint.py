"""A tree of tensors and JSON values in one safetensors file, written whole or not at all.

The tensors stand in the file, the tree in its JSON header: nothing in a checkpoint is ever executed.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from decet.errors import BadInput

TENSOR = "$tensor"


def copy_tree(tree: Any) -> Any:
    """The tree with every tensor cloned, so that training cannot change it."""
    if isinstance(tree, Tensor):
        return tree.detach().clone()
    if isinstance(tree, Mapping):
        return {key: copy_tree(value) for key, value in tree.items()}
    if isinstance(tree, (list, tuple)):
        return [copy_tree(value) for value in tree]
    if tree is None or isinstance(tree, (bool, int, float, str)):
        return tree
    raise TypeError(f"state() may hold tensors, numbers, text, lists and dicts. Received: {type(tree).__name__}.")


def write_tree(path: Path, tree: Any) -> None:
    """Write a tree to `path`, whole or not at all. Raises BadInput where it cannot be written."""
    tensors: dict[str, Tensor] = {}
    header = json.dumps(_lift(tree, "", tensors))
    write_whole(path, save(tensors, metadata={"tree": header}), "the checkpoint ")


def write_whole(path: Path, data: bytes, what: str = "") -> None:
    """Write to a temporary file beside `path`, flush it to the disk, then put it in place. `what`: for messages."""
    temporary = path.with_name(path.name + ".tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(temporary, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink()
        raise BadInput(
            f"{what}{path} could not be written ({error.strerror}). Free space or choose another --out."
        ) from error


def check_writable(path: Path, what: str = "") -> None:
    """Raise BadInput, before any long work, where `write_whole` could not write; makes the folder."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        there = os.access(path.parent, os.W_OK)
        reason = "no right to write there"
    except OSError as error:
        there, reason = False, str(error.strerror)
    if not there:
        raise BadInput(f"{what}{path} cannot be written ({reason}). Choose another folder.")


def read_tree(path: Path) -> Any:
    """The tree of a file that `write_tree` wrote. Raises BadInput for anything else."""
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name).clone() for name in file.keys()}
            tree = json.loads((file.metadata() or {})["tree"])
            return _sink(tree, tensors)
    except (SafetensorError, KeyError, ValueError, OSError) as error:
        raise BadInput(f"{path} is not a whole checkpoint ({error}). Remove it, or start with --overwrite.") from error


def _lift(tree: Any, name: str, tensors: dict[str, Tensor]) -> Any:
    """The tree as JSON, its tensors moved to `tensors` and named by their place."""
    if isinstance(tree, Tensor):
        name = f"{len(tensors)}{name}"  # its number keeps names apart
        tensors[name] = tree.detach().to("cpu").contiguous().clone()
        return {TENSOR: name}
    if isinstance(tree, Mapping):
        return {str(key): _lift(value, f"{name}/{key}", tensors) for key, value in tree.items()}
    if isinstance(tree, (list, tuple)):
        return [_lift(value, f"{name}/{i}", tensors) for i, value in enumerate(tree)]
    return tree


def _sink(tree: Any, tensors: Mapping[str, Tensor]) -> Any:
    if isinstance(tree, dict):
        if set(tree) == {TENSOR}:
            return tensors[tree[TENSOR]]
        return {key: _sink(value, tensors) for key, value in tree.items()}
    if isinstance(tree, list):
        return [_sink(value, tensors) for value in tree]
    return tree


def same_tree(one: Any, other: Any) -> bool:
    """Whether two trees hold the same bits."""
    if isinstance(one, Tensor):
        return isinstance(other, Tensor) and one.dtype == other.dtype and torch.equal(one.cpu(), other.cpu())
    if isinstance(one, Mapping):
        return set(one) == set(other) and all(same_tree(one[k], other[k]) for k in one)
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(same_tree(a, b) for a, b in zip(one, other, strict=True))
    return bool(one == other)
