"""Gradients by one call of torch's engine.

`Tensor.backward` checks shapes, logging and compilers first, which takes as long as the whole backward pass of a small
network; the engine checks the rest itself. Where this torch has no such engine, `Tensor.backward` is used.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.autograd import Variable

_ENGINE = getattr(Variable, "_execution_engine", None)


def backward(total: Tensor, parameters: Sequence[nn.Parameter] = ()) -> None:
    """Add the gradients of a scalar to `.grad` of these parameters; of all that it depends on where none are named.

    Raises RuntimeError where `total` depends on nothing that has a gradient.
    """
    if _ENGINE is None or total.device.type != "cpu" or total.dim():
        total.backward(inputs=parameters or None)
        return
    keep_graph, create_graph, unreachable, accumulate = False, False, True, True
    inputs = tuple(parameters)
    _ENGINE.run_backward((total,), (torch.ones_like(total),), keep_graph, create_graph, inputs, unreachable, accumulate)
