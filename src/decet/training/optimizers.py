"""AdamW, Adam and SGD with Nesterov momentum, as one fused kernel call a step; Muon, a few products of matrices more.

`torch.optim`'s own wrapper costs as much as a small network's forward pass, so the fused kernels are called directly
where this torch has them; the result equals torch.optim's to the bit (tests/training/test_optimizers.py). Where the
kernel is missing, torch.optim's functional form is used.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.adam import adam
from torch.optim.adamw import adamw
from torch.optim.sgd import sgd

from decet.training.recipe import Recipe

BETA2 = 0.999
EPS = 1e-8
STEPS = 5  # of Newton and Schulz


class Optimizer:
    """Steps one phase's parameters. `step(lr)` uses and keeps `.grad`; `state()` and `restore()` carry the moments."""

    def __init__(self, parameters: Sequence[nn.Parameter], recipe: Recipe):
        decay = recipe.weight_decay or 0.0
        decayed = [p for p in parameters if decay and p.dim() >= 2 and not getattr(p, "undecayed", False)]
        chosen = set(map(id, decayed))
        plain = [p for p in parameters if id(p) not in chosen]
        kind = {"sgd": _SGD, "adam": _Adam}.get(recipe.optimizer or "", _AdamW)
        by_decay: dict[float, list[nn.Parameter]] = {}
        for p in decayed:
            by_decay.setdefault(decay * float(getattr(p, "decay_times", 1.0)), []).append(p)
        groups: list[tuple[type[_Group], list[nn.Parameter], float]] = [
            *((kind, own, amount) for amount, own in by_decay.items()),
            (kind, plain, 0.0),
        ]
        if recipe.optimizer == "muon":
            hidden = [p for p in parameters if p.dim() >= 2 and not _is_elementwise(p)]
            chosen = set(map(id, hidden))
            rest = [[p for p in group if id(p) not in chosen] for group in (decayed, plain)]
            groups = [(_Muon, hidden, decay), (_AdamW, rest[0], decay), (_AdamW, rest[1], 0.0)]
        self.groups = [make(group, amount, recipe) for make, group, amount in groups if group]
        self.parameters = list(parameters)
        self.clip = recipe.clip or 0.0

    @torch.no_grad()
    def step(self, lr: float) -> None:
        if self.clip:
            _clip([p.grad for p in self.parameters if p.grad is not None], self.clip)
        for group in self.groups:
            group.step(lr)

    def clear(self) -> None:
        for p in self.parameters:
            p.grad = None

    def state(self) -> dict[str, Any]:
        return {str(i): group.state() for i, group in enumerate(self.groups)}

    def restore(self, state: Mapping[str, Any]) -> None:
        for i, group in enumerate(self.groups):
            group.restore(state[str(i)])


def _is_elementwise(p: nn.Parameter) -> bool:
    """Whether Muon leaves a matrix to AdamW: embeddings, heads and scalings, which are no maps of a hidden space."""
    return bool(getattr(p, "undecayed", False) or getattr(p, "elementwise", False))


def _clip(grads: list[Tensor], limit: float) -> None:
    """Scale gradients in place so that their joint norm is at most `limit`."""
    if not grads:
        return
    norm = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(grads)))
    torch._foreach_mul_(grads, (limit / (norm + 1e-6)).clamp(max=1.0))


class _Group:
    """Parameters that share a decay, and their moments (lists of tensors laid out as the parameters are)."""

    def __init__(self, parameters: list[nn.Parameter], decay: float, recipe: Recipe):
        self.parameters: list[Tensor] = list(parameters)
        self.decay = decay
        self.momentum = 0.9 if recipe.momentum is None else recipe.momentum
        self.steps = torch.zeros(len(parameters), device=parameters[0].device)  # of each parameter
        self.counts = list(self.steps.unbind())  # views of it, as the fused kernels take them
        self.moments = [[torch.zeros_like(p) for p in parameters] for _ in range(self.kinds)]

    kinds = 1

    def _active(self) -> tuple[list[Tensor], list[Tensor], list[list[Tensor]], list[Tensor]]:
        """Parameters that got a gradient, the gradients, their moments and counts."""
        grads = [p.grad for p in self.parameters]
        if all(g is not None for g in grads):  # `None in grads` would compare tensors, for 70 us
            return self.parameters, grads, self.moments, self.counts  # type: ignore[return-value]
        used = [i for i, g in enumerate(grads) if g is not None]
        moments = [[m[i] for i in used] for m in self.moments]
        active = [self.parameters[i] for i in used]
        return active, [grads[i] for i in used], moments, [self.counts[i] for i in used]  # type: ignore[misc]

    def _count(self, counts: list[Tensor]) -> None:
        """One more step of each: a single call where all move."""
        if counts is self.counts:
            self.steps.add_(1.0)
        else:
            torch._foreach_add_(counts, 1.0)

    def step(self, lr: float) -> None:
        raise TypeError(f"{type(self).__name__} has no step")

    def state(self) -> dict[str, Any]:
        named = {f"{k}.{i}": m for k, moment in enumerate(self.moments) for i, m in enumerate(moment)}
        return {"counts": self.steps, **named}

    def restore(self, state: Mapping[str, Any]) -> None:
        self.steps.copy_(state["counts"])
        for k, moment in enumerate(self.moments):
            for i, m in enumerate(moment):
                m.copy_(state[f"{k}.{i}"])  # into the parameter's own layout: fused kernels silently need it


class _AdamW(_Group):
    """Loshchilov & Hutter, 1711.05101."""

    kinds = 2
    fused, plain = "_fused_adamw_", staticmethod(adamw)

    def step(self, lr: float) -> None:
        parameters, grads, (first, second), counts = self._active()
        if not parameters:
            return
        options: dict[str, Any] = {
            "lr": lr,
            "beta1": self.momentum,
            "beta2": BETA2,
            "weight_decay": self.decay,
            "eps": EPS,
            "amsgrad": False,
            "maximize": False,
        }
        if (kernel := getattr(torch, self.fused, None)) is not None:
            self._count(counts)
            kernel(parameters, grads, first, second, [], counts, **options)
        else:
            self.plain(parameters, grads, first, second, [], counts, foreach=True, **options)


class _Adam(_AdamW):
    """Kingma & Ba, 1412.6980: the decay stands in the gradient, as a penalty on squared weights does."""

    fused, plain = "_fused_adam_", staticmethod(adam)


class _SGD(_Group):
    """Nesterov momentum (Sutskever et al., ICML 2013), as torch.optim.SGD(nesterov=True)."""

    def step(self, lr: float) -> None:
        parameters, grads, (velocity,), counts = self._active()
        if not parameters:
            return
        sgd(
            parameters,
            grads,
            velocity,  # type: ignore[arg-type]
            foreach=True,
            weight_decay=self.decay,
            momentum=self.momentum,
            lr=lr,
            dampening=0.0,
            nesterov=self.momentum > 0,
            maximize=False,
        )
        self._count(counts)


class _Muon(_Group):
    """Momentum made orthogonal (Jordan et al., 2024, kellerjordan.github.io/posts/muon): every direction moves alike.

    A filter (O, C, H, W) counts as a matrix (O, C H W). Steps are scaled to the size that AdamW's have, 0.2 an element
    (Liu et al., 2502.16982), so that one learning rate and one decay serve both.
    """

    def step(self, lr: float) -> None:
        parameters, grads, (velocity,), counts = self._active()
        if not parameters:
            return
        torch._foreach_lerp_(velocity, grads, 1.0 - self.momentum)
        looked = torch._foreach_lerp(grads, velocity, self.momentum)  # Nesterov's look ahead
        if self.decay:
            torch._foreach_mul_(parameters, 1.0 - lr * self.decay)
        alike: dict[tuple[int, int], list[int]] = {}
        for i, p in enumerate(parameters):
            alike.setdefault((p.shape[0], p.numel() // p.shape[0]), []).append(i)
        for (rows, columns), places in alike.items():
            matrices = torch.stack([looked[i].reshape(rows, columns) for i in places])
            steps = orthogonal(matrices).mul_(-lr * 0.2 * math.sqrt(max(rows, columns)))
            for i, change in zip(places, steps.unbind(), strict=True):
                parameters[i].add_(change.view(parameters[i].shape))
        self._count(counts)


def orthogonal(matrices: Tensor) -> Tensor:
    """The nearest (semi-)orthogonal matrices, roughly: (N, rows, columns), singular values brought to 0.7 .. 1.2.

    Five Newton-Schulz steps X <- p(X X') X with the quintic's p of Jordan et al.; products of matrices only, which
    autocast may do in bf16 (then 0.6 .. 1.3).
    """
    tall = matrices.shape[1] > matrices.shape[2]
    x = matrices.transpose(1, 2) if tall else matrices
    x = x / (torch.linalg.matrix_norm(x, keepdim=True) + 1e-7)
    rows, columns = x.shape[1:]
    if torch.is_autocast_enabled(x.device.type):
        x = _by_steps(x.to(torch.get_autocast_dtype(x.device.type)))
    # a step makes p S p of the square S = X X', so that in full precision long rows are needed at the ends alone
    elif columns >= 2 * rows and torch.get_float32_matmul_precision() == "highest":
        x = _by_squares(x)
    else:
        x = _by_steps(x)
    return (x.transpose(1, 2) if tall else x).to(matrices.dtype)


def _by_steps(x: Tensor) -> Tensor:
    for _ in range(STEPS):
        x = _quintic(x @ x.transpose(1, 2)) @ x
    return x


def _by_squares(x: Tensor) -> Tensor:
    square = x @ x.transpose(1, 2)
    whole = part = _quintic(square)
    for _ in range(STEPS - 1):
        square = part @ square @ part
        part = _quintic(square)
        whole = part @ whole
    return whole @ x


def _quintic(square: Tensor) -> Tensor:
    """p(S) = 3.4445 I - 4.7750 S + 2.0315 S S."""
    part = torch.baddbmm(square, square, square, beta=-4.7750, alpha=2.0315)
    part.diagonal(dim1=1, dim2=2).add_(3.4445)
    return part
