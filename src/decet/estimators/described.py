"""What a model folder says of itself: layers, settings, figures, columns, provenance (`decet show`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import nn

from decet import artifact
from decet.estimators.saved import from_files
from decet.settings import named

ROWS = 7  # made-up rows that show the shapes


def describe(folder: str | Path) -> dict[str, Any]:
    """Everything as JSON values. Raises BadInput for a folder that `decet.load` would refuse."""
    files = artifact.read(folder)
    stored: Mapping[str, Any] = artifact.unpack(files).model
    model: Any = from_files(files)
    return {
        "estimator": type(model).__name__,
        "question": asdict(model._asked()),
        "family": named(model.family_),
        "layers": layers(model),
        "parameters": sum(parameter.numel() for parameter in model.learner_.parameters()),
        "recipe": asdict(model.recipe_),
        "metrics": model.metrics_,
        "targets": list(model.target_names_),
        "answers": model.answer_ is not None,
        "sets_aside": model.sets_aside,
        "columns": model.codec_.description(),
        "warnings": model.warnings_,
        "provenance": {"seed": model.seed, **model.provenance_},
        "plan": model.plan_,
        "versions": stored["versions"],
    }


def layers(model: Any) -> list[dict[str, Any]]:
    """Name, kind, output shape ("B" = rows; None where it is no tensor) and own parameters of each layer, in order.

    The shapes are those of a few made-up rows that pass through; a part that holds other layers is listed only where
    it has parameters of its own. Of vectors, which no layer makes, the tables.
    """
    found: list[dict[str, Any]] = []
    network: nn.Module = model.learner_
    hooks = [
        module.register_forward_hook(_noting(found, name, module))
        for name, module in network.named_modules()
        if name and (not list(module.children()) or list(module.parameters(recurse=False)))
    ]
    try:
        with torch.inference_mode():
            network.to("cpu").predict(model.codec_.encode(model.codec_.sample(ROWS, 0)))  # type: ignore[operator]
    finally:
        for hook in hooks:
            hook.remove()
        network.to(model.device_)
    return found or [
        {"name": name, "kind": "table", "output": list(table.shape), "parameters": table.numel()}
        for name, table in network.named_parameters()
    ]


def _noting(found: list[dict[str, Any]], name: str, module: nn.Module) -> Callable[[Any, Any, Any], None]:
    own = sum(parameter.numel() for parameter in module.parameters(recurse=False))

    def note(_: Any, __: Any, output: Any) -> None:
        output = output[0] if isinstance(output, tuple) else output  # with the lengths of sequences
        shape = getattr(getattr(output, "summary", output), "shape", None)
        sizes = None if shape is None else ["B" if i == 0 and n == ROWS else n for i, n in enumerate(shape)]
        found.append({"name": name, "kind": type(module).__name__, "output": sizes, "parameters": own})

    return note
