"""What draws pictures, compared: everybody learns from the same ones, and draws as many as there are to be judged by.

A judge that is trained once on the pictures to learn from (`decet.estimators.judge`) looks at all of them. The score is
the coverage, the share of test pictures that have a drawn one near (2002.09797), with an interval by resampled test
pictures; distances and the other figures stand beside it. The baseline is a Gaussian of pixels in the space of their
main components, of each label its own; the floor is one in which pixels know nothing of each other.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from decet.baselines import PixelGaussian
from decet.data.splits import split
from decet.errors import BadInput
from decet.estimators import judge as judging
from decet.estimators.judge import JUDGE, Judge
from decet.estimators.picture_fits import labelled
from decet.estimators.picturing import BULK, JUDGED, classes_of
from decet.estimators.reading import Given
from decet.referee.contenders import Array, Network, Terms, answers_taken, taken
from decet.referee.rows import OFFICIAL, Ground, official_rows
from decet.referee.verdict import BASELINE, FLOOR
from decet.tasks.conformal import thinned
from decet.training.loop import train

MOST = 2_000  # test pictures


@dataclass(frozen=True, eq=False)
class Sitting:
    """Places of pictures that are to be drawn, and the judge who will look at them."""

    places: Array
    judge: Judge

    @property
    def shape(self) -> tuple[int]:
        return (len(self.places),)

    def take(self, places: Array) -> Sitting:
        """Some of the places."""
        return replace(self, places=self.places[places])

    def seen(self, pixels: torch.Tensor) -> Array:
        """What the judge sees in pictures (n, C, H, W)."""
        found: Array = self.judge.see(pixels.round().to(torch.uint8))[0].double().numpy()
        return found


def picture_ground(template: Any, X: Any, y: Any, *, groups: Any, order: Any, test: float) -> Ground:
    """Pictures to learn from, and others to be judged by: the official test part, else a share of them."""
    if groups is not None or order is not None:
        raise BadInput("pictures to draw from are neither grouped nor ordered. Leave groups and order out.")
    given: Given = template._given(X, y, reset=True)
    judged, how = official_rows(template, X, y), OFFICIAL
    learned = given
    if judged is None:
        learned, judged, how = _parted(template, given, test)
    if len(judged.rows) > MOST:
        judged = Given(judged.rows.take(thinned(np.arange(len(judged.rows)), MOST)), None)
        how = f"{MOST:,} pictures of {how}"
    codec = template._inputs().fit(learned.rows)
    pixels, real = (codec.encode(part.rows)[0] for part in (learned, judged))
    answer, target = labelled(learned.answers, template.labelled)
    seed, device, rows = int(template.seed), template._device(), torch.arange(len(pixels))
    judge = Judge.begun(codec.spec, classes_of(answer), seed, device)
    train([judging.stage(judge.learner, pixels, target, rows)], seed=seed, device=device)
    judge.settle(pixels, rows.numpy())
    sitting = Sitting(np.arange(len(real)), judge)
    ids = None if target is None else target[:, 0].numpy()
    return Ground(
        train=learned,
        test=Given(sitting, None, given.source),
        target=sitting.seen(real),
        spec=None,
        how=f"{how}, as {JUDGE} sees them",
        sizes=(len(pixels), len(real)),
        baselines=[
            Sampled("pixels by themselves", FLOOR, pixels, ids, alone=True),
            Sampled("a Gaussian", BASELINE, pixels, ids, alone=False),
        ],
        network=Drawing,
        items="test pictures",
        remarks=getattr(given.rows, "remarks", ()),
    )


def _parted(template: Any, given: Given, share: float) -> tuple[Given, Given, str]:
    """Pictures to learn from, and to judge by, copies on one side; and how they were chosen."""
    groups = template._inputs().groups(given.rows)
    parts = split(len(given.rows), seed=int(template.seed), groups=groups, fractions=(1.0, 0.0, 0.0), test=share)
    learned, judged = (
        Given(
            taken(given.rows, part),
            None if given.answers is None else answers_taken(given.answers, part),
            given.source,
            given.targets,
        )
        for part in (parts.train, parts.test)
    )
    return learned, judged, f"{100 * len(parts.test) / len(given.rows):.0f} % of the pictures, set aside"


class Drawing(Network):
    """A family of the row, which draws a picture for each place."""

    def answers(self, rows: Sitting) -> Array:
        model, count = self.estimator, int(rows.places[-1]) + 1
        labels = model._labels(None, count)
        made = model._drawn(labels, count, model._stream(None, JUDGED), model._how(None, None, None), bulk=BULK)
        return rows.seen(made[torch.from_numpy(rows.places)])


class Sampled:
    """Pictures of a Gaussian; alone: of which pixels know nothing of each other."""

    def __init__(self, name: str, kind: str, pixels: torch.Tensor, labels: Array | None, alone: bool) -> None:
        self.name, self.kind, self.pixels, self.labels, self.alone = name, kind, pixels, labels, alone

    def fit(self, given: Given, terms: Terms) -> None:
        shown = self.pixels.permute(0, 2, 3, 1).numpy()
        self.mean, self.spread = shown.mean(0), shown.std(0)
        self.model = None if self.alone else PixelGaussian().fit(shown, self.labels)

    def answers(self, rows: Sitting) -> Array:
        count = int(rows.places[-1]) + 1
        if self.model is not None:
            made = self.model.sample(count)
        else:
            noise = np.random.Generator(np.random.Philox(0)).standard_normal((count, *self.mean.shape))
            made = (self.mean + self.spread * noise).round().clip(0, 255).astype(np.uint8)
        return rows.seen(torch.from_numpy(made[rows.places]).permute(0, 3, 1, 2))

    def about(self) -> dict[str, Any]:
        size = 2 * self.mean.size * 8 if self.model is None else self.model.directions_.nbytes
        return {"rows": len(self.pixels), "megabytes": size / 1e6}
