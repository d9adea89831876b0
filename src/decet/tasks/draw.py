"""Draw: new pictures of the kind that is known, any of them, or of a label.

Judged by how like real ones they are that nobody trained on (`decet.tasks.fidelity`), as a classifier sees them.
A picture's noise is a function of the seed and its place alone, so it is the same however many are drawn beside it.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from decet.errors import check_choice, check_range
from decet.nn.samplers import SAMPLERS, Drawing, Known
from decet.tasks.fidelity import compare, covered

Array = NDArray[Any]

MOST_STEPS = 1_000
CHUNK = 64  # pictures whose noise is made together
STEPWISE = ("sampler", "steps", "guidance")  # of the question: what only has a meaning where noise goes step by step


@dataclass(frozen=True)
class Draw:
    """The question "what else is like these?".

    sampler: how noise becomes a picture step by step, of diffusion: "ddpm", "ddim", "dpm" (DPM-Solver++ 2M), "heun" or
        "euler-ancestral"; it may change without training again.
    steps: evaluations of the network a picture, 1 to 1,000, of diffusion.
    guidance: how much the label counts, of diffusion: 0 nothing, 1 as learned, more makes it plainer and less varied.
    labelled: whether pictures are drawn by their labels; None: where they have one each.
    """

    sampler: str | None = None
    steps: int | None = None
    guidance: float | None = None
    labelled: bool | None = None

    higher: ClassVar[dict[str, bool]] = {  # metric -> whether higher is better; the first is the default
        "frechet": False, "kernel": False, "precision": True, "recall": True, "density": True, "coverage": True,
        "departure": False, "copied": False, "recognised": True,
    }  # fmt: skip

    def __post_init__(self) -> None:
        check_choice("sampler", self.sampler, tuple(SAMPLERS))
        check_range("steps", self.steps, 1, MOST_STEPS, whole=True)
        check_range("guidance", self.guidance, 0.0, 100.0)
        check_choice("labelled", self.labelled, (True, False))

    def metrics(self, answers: Array, target: Array, spec: Any) -> dict[str, float | None]:
        """Figures of what a judge sees in drawn pictures (n, D), beside what it sees in real ones (m, D)."""
        found = compare(torch.from_numpy(target), torch.from_numpy(answers)).as_dict()
        return {name: value for name, value in found.items() if name in self.higher and value is not None}

    def items(self, answers: Array, target: Array, spec: Any) -> Array:
        """What each real picture brings to the coverage, (m, 2): whether a drawn one is near, and that it is one."""
        near = covered(torch.from_numpy(target), torch.from_numpy(answers)).double().numpy()
        return np.stack([near, np.ones(len(near))], 1)

    def of_items(self, sums: Array) -> Array:
        """The coverage of items that add up to these sums (..., 2)."""
        found: Array = sums[..., 0] / sums[..., 1]
        return found

    def how(self) -> Drawing:
        """For what draws step by step."""
        return Drawing(self.sampler or "dpm", self.steps or 20, 1.0 if self.guidance is None else self.guidance)


def drawn(learner: Any, labels: Tensor | None, part: slice, seed: int, how: Drawing, device: torch.device) -> Tensor:
    """Pictures (n, C, H, W), 0 to 255, at some places of a seed's. labels (n,), and what is known: of these."""
    labels = None if labels is None else labels.to(device)
    known = None if how.known is None else Known(*(x.to(device) for x in how.known))
    how = how._replace(known=known, fresh=fresh_of(learner.shape, part, seed, device))
    found: Tensor = learner.draw(noise_of(learner.shape, part, seed).to(device), labels, how).cpu()
    return found


def noise_of(shape: tuple[int, ...], part: slice, seed: int, step: int = 0) -> Tensor:
    """The noise (n, *shape) at some places of a seed's. step: of a sampler's, 0 = the begin."""
    first, parts = part.start // CHUNK, list[Tensor]()
    for chunk in range(first, math.ceil(part.stop / CHUNK)):
        source = torch.Generator().manual_seed(zlib.crc32(f"{seed}/{chunk}/{step}".encode()))
        parts.append(torch.randn(CHUNK, *shape, generator=source))
    return torch.cat(parts)[part.start - first * CHUNK : part.stop - first * CHUNK]


def fresh_of(shape: tuple[int, ...], part: slice, seed: int, device: torch.device) -> Callable[[int], Tensor]:
    """The noise that a sampler adds at each of its steps."""
    return lambda step: noise_of(shape, part, seed, step + 1).to(device)


def between(first: Tensor, second: Tensor, count: int) -> Tensor:
    """Noise (count, ...) on the arc from one (1, ...) to another, both among them: it stays as long as noise is."""
    a, b, share = first.flatten(), second.flatten(), torch.linspace(0, 1, count)
    angle = torch.acos((a @ b / (a.norm() * b.norm())).clamp(-1, 1))
    if float(angle.sin()) < 1e-4:
        mixed = torch.lerp(a, b, share.unsqueeze(1))
    else:
        mixed = (torch.sin((1 - share) * angle).outer(a) + torch.sin(share * angle).outer(b)) / angle.sin()
    return mixed.view(-1, *first.shape[1:])
