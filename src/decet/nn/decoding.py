"""One position after another through a Transformer's layers, without a call of torch's for each of their thirty parts.

Where texts are written a token at a time the products are small, and half of the time goes by between them. On a
processor, in float32, a position of every row goes through all layers in one compiled call, whose threads share each
product out. Everywhere else, and where a layer has parts that the kernel does not know, torch does it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from decet.nn import team
from decet.nn.attention import Turn

FEEDS = ("gated", "gelu-tanh", "relu", "relu2", "gelu")  # by their number in the kernel
PAYS = 1 << 20  # numbers of all layers from which a compiled call is worth its import
PATIENCE = 32  # positions that torch does before numba is imported, for a text may end soon
KERNELS = "decet.nn.decoding_kernels"


class Steps:
    """Layers that a position at a time goes through.

    layers: each with attend_norm, attend, feed_norm and feed, the norms before the parts, no memory and no dropout;
    settings: which feed and norm.
    The layers' parameters are looked up once: make another one where others stand in their place.
    """

    def __init__(self, layers: Iterable[Any], settings: Any) -> None:
        self.layers, self.feed, self.rms = list(layers), settings.feed, settings.norm == "rms"
        self.tensors = [tensor for layer in self.layers for tensor in _of(layer)]
        given = [tensor for tensor in self.tensors if tensor is not None]
        self.fit = (
            self.feed in FEEDS
            and sum(tensor.numel() for tensor in given) >= PAYS
            and all(layer.pre and layer.across is None for layer in self.layers)
            and all(_plain(tensor) for tensor in given)
            and team.readable(*given)
            and team.compiles()
        )
        self.addresses: Any = self._addresses() if self.fit else None
        self.count = 0

    def _addresses(self) -> Any:
        found = [0 if tensor is None else tensor.data_ptr() for tensor in self.tensors]
        return np.array(found, np.int64)

    def advanced(self, x: Tensor, state: Mapping[str, Tensor], turn: Turn | None, age: int) -> Tensor | None:
        """x (B, 1, D) after all layers; new keys and values are written into the state's "keys i" and "values i"
        (B, G, room, d) at `age`. None = torch must do it."""
        self.count += 1
        if not self.fit or (self.count <= PATIENCE and KERNELS not in sys.modules):
            return None
        caches = [state[f"{what} {i}"] for i in range(len(self.layers)) for what in ("keys", "values")]
        if not self._takes(x, caches, age):
            return None
        keys = caches[0]
        from decet.nn import decoding_kernels as kernels  # numba takes half a second to import

        (rows, groups, room, size), width, first = keys.shape, x.shape[2], self.layers[0]
        workers = torch.get_num_threads()
        barrier = team.barrier() if workers > 1 else 0
        workers = workers if barrier else 1
        hands = self._hands(rows, workers, room, kernels.BLOCK)
        y, places = x[:, 0].clone(), [] if turn is None else [part.contiguous() for part in turn]
        lie = np.array([cache.data_ptr() for cache in caches], np.int64)
        job = kernels.Job(
            barrier=barrier,
            rows=rows,
            width=width,
            depth=len(self.layers),
            heads=first.attend.heads,
            groups=groups,
            size=size,
            hidden=first.feed.narrow.in_features,
            feed=FEEDS.index(self.feed),
            normed=int(first.attend.normed),
            rms=int(self.rms),
            epsilon=int(np.float64(first.attend_norm.eps).view(np.int64)),
            age=age,
            room=room,
            x=y.data_ptr(),
            cos=places[0].data_ptr() if places else 0,
            sin=places[1].data_ptr() if places else 0,
            weights=self.addresses.ctypes.data,
            caches=lie.ctypes.data,
            parts=hands[0].data_ptr(),
            told=hands[1].data_ptr(),
            wide=hands[2].data_ptr(),
            narrow=hands[3].data_ptr(),
            own=hands[4].data_ptr(),
            spare=len(hands[4]) // workers,
        )
        team.run(kernels.work().address, workers, job)
        return y.unsqueeze(1)

    def _takes(self, x: Tensor, caches: list[Tensor], age: int) -> bool:
        """Whether the kernel may have these, and the parameters' numbers are still where they were."""
        return (
            team.readable(x, *caches)
            and all(map(_plain, (x, *caches)))
            and len(x) == len(caches[0])
            and age < caches[0].shape[2]
            and not torch.is_grad_enabled()
            and not torch.is_autocast_enabled("cpu")
            and np.array_equal(self.addresses, self._addresses())
        )

    def _hands(self, rows: int, workers: int, room: int, block: int) -> list[Tensor]:
        """Where the kernel puts down what it has in hand: each call's own, for calls may come from several threads."""
        first = self.layers[0]
        hidden, outputs = first.feed.narrow.in_features, first.attend.into.out_features
        inner, width = first.attend.out.in_features, first.attend.out.out_features
        spare = rows * width + max(rows * block, room)
        sizes = (rows * outputs, rows * inner, 2 * rows * hidden, rows * hidden, workers * spare)
        return [torch.empty(size) for size in sizes]


def _of(layer: Any) -> list[Tensor | None]:
    """Weights and biases of a layer's parts, in the kernel's order."""
    parts = (
        layer.attend_norm,
        layer.attend.into,
        layer.attend.out,
        layer.feed_norm,
        layer.feed.widen,
        layer.feed.narrow,
    )
    return [tensor for part in parts for tensor in (part.weight, getattr(part, "bias", None))]


def _plain(x: Tensor) -> bool:
    return x.dtype == torch.float32 and x.is_contiguous()
