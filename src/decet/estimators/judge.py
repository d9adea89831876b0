"""The judge: a small classifier of known make, by whose eyes drawn pictures are held against real ones.

It is trained anew on the training pictures of each fit, always by the same recipe (`JUDGE`): to tell their labels, or
where there are none by how many quarters a picture was turned (Gidaris et al., 1803.07728). Distances on what it sees
hold between models of one fit's pictures alone; they are no "FID", which is of another network.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from decet.contracts import Batch, Clock, ImageSpec, LabelSpec, Stage
from decet.data.resident import Resident
from decet.errors import BadInput
from decet.families.cnn import CNN
from decet.settings import joined
from decet.tasks.classify import Classifier, Classify
from decet.tasks.conformal import thinned
from decet.training.recipe import FALLBACK, Recipe

Array = NDArray[Any]
JUDGE = "decet-judge-1"
SEEN = 64  # numbers that it sees in a picture
STEPS, PASSES = 800, 20  # of learning, at most, and over the pictures
SMALLEST = 8  # pixels of the map that it sums up, at most
BULK = 512  # pictures that it looks at at a time
LOOKED_AT = 2_000  # to know how what it sees is spread, at most


def network(spec: ImageSpec, classes: int) -> Classifier:
    """The judge of pictures of this kind, untrained. classes: labels, 0 = none."""
    side, layers = min(spec.height, spec.width), list[int | str]()
    for width in (16, 32, 64, 128):
        layers.append(width)
        if side >= SMALLEST:
            layers.append("pool")
            side //= 2
        if side < SMALLEST and len(layers) > 2:
            break
    body = CNN(layers=(*layers, "gap" if side > SMALLEST else "flat", f"dense{SEEN}"), norm="batch").encoder(spec)
    return Classify().learner(body, LabelSpec((classes or turns(spec.height, spec.width),)), 1)


def turns(height: int, width: int) -> int:
    """How many ways a picture may be turned: by quarters, or where it is no square by halves."""
    return 4 if height == width else 2


def stage(judge: Classifier, pixels: Tensor, target: Tensor | None, rows: Tensor) -> Stage:
    """How it learns from some of the pictures. target (N, 1) or None."""
    batch = min(128, max(1, len(rows)))
    steps = min(STEPS, max(1, math.ceil(PASSES * len(rows) / batch)))
    recipe = joined(
        Recipe(steps=steps, batch=batch, lr=2e-3, schedule="one-cycle", warmup=0.2, weight_decay=0.01),
        replace(FALLBACK, epochs=None),
    )
    known = torch.zeros(len(pixels), 1, dtype=torch.int64) if target is None else target
    source = Resident((pixels,), known, None, rows, batch)
    return Stage(judge, source, recipe, name="judge", augment=turned if target is None else None)


def turned(batch: Batch, clock: Clock) -> Batch:
    """Each picture turned at random, and by how much as its label."""
    pixels = batch.inputs[0]
    ways = turns(pixels.shape[2], pixels.shape[3])
    by = torch.randint(ways, (len(pixels),), device=pixels.device)
    found = pixels.clone()
    for way in range(1, ways):
        chosen = by == way
        found[chosen] = torch.rot90(pixels[chosen], way * (4 // ways), (2, 3))
    return replace(batch, inputs=(found,), target=by.unsqueeze(1))


class Judge:
    """A judge, who may still have to learn. classes: labels that it tells, 0 where it tells turns.

    scale (1 + D,): the spread of what it sees in the pictures that it learned from, and their mean.
    """

    def __init__(self, learner: Classifier, spec: ImageSpec, classes: int, device: torch.device) -> None:
        self.learner, self.spec, self.classes, self.device = learner.to(device).eval(), spec, classes, device
        self.scale = torch.cat([torch.ones(1), torch.zeros(SEEN)])

    @classmethod
    def begun(cls, spec: ImageSpec, classes: int, seed: int, device: torch.device) -> Judge:
        """One who has learned nothing yet: the same for the same seed."""
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            return cls(network(spec, classes), spec, classes, device)

    def settle(self, pixels: Tensor, rows: Array) -> None:
        """Bring what is seen in the pictures that it learned from, `rows`, to mean 0 and spread 1, the numbers' spreads
        in proportion; of very many some are looked at, evenly, for they may lie class by class."""
        seen = self._raw(pixels.index_select(0, torch.from_numpy(thinned(rows, LOOKED_AT))))[0].double()
        spread = seen.var(0, correction=0).mean().sqrt().clamp(min=1e-6)
        self.scale = torch.cat([spread.view(1), seen.mean(0)]).float()

    def see(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """What it sees in pictures (n, C, H, W): numbers (n, D), and the likeliest label (n,)."""
        seen, told = self._raw(pixels)
        return (seen - self.scale[1:]) / self.scale[0], told

    def _raw(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        seen, told = [], []
        self.learner.eval()
        with torch.no_grad():
            for part in pixels.split(BULK):
                found = self.learner.examine((part.to(self.device),))
                if found.features is None:
                    raise BadInput("the judge sees nothing in these pictures.")
                seen.append(found.features.cpu())
                told.append(found.answers.argmax(1).cpu())
        return torch.cat(seen), torch.cat(told)

    def state(self) -> dict[str, Array]:
        arrays = {name: tensor.detach().cpu().numpy() for name, tensor in self.learner.state_dict().items()}
        return arrays | {"scale": self.scale.numpy()}

    @classmethod
    def restore(cls, arrays: dict[str, Array], spec: ImageSpec, classes: int, device: torch.device) -> Judge:
        """From `state`. Raises BadInput where the arrays are not those of a judge of such pictures."""
        known = cls.begun(spec, classes, 0, device)
        own = known.learner.state_dict() | {"scale": known.scale}
        if strange := sorted(set(arrays) - set(own)):
            raise BadInput(f"the weights do not fit the settings: a judge has no {strange[0]!r}.")
        tensors = {}
        for name, tensor in own.items():
            found = torch.from_numpy(np.array(arrays.get(name, 0)))
            if found.numel() != tensor.numel() or found.dtype != tensor.dtype:
                raise BadInput(
                    f"the weights do not fit the settings: the judge's {name} must be {tuple(tensor.shape)}."
                )
            tensors[name] = found.reshape(tensor.shape)
        known.scale = tensors.pop("scale")
        if not float(known.scale[0]) > 0:
            raise BadInput("the weights do not fit the settings: the spread of what the judge sees must be above 0.")
        known.learner.load_state_dict(tensors)
        return known
