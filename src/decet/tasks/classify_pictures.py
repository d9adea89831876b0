"""Classify pictures: which class, asked of several views of each picture.

    z = sum_v w_v f(view_v(x)),   views: the picture; its mirror image; both moved by one pixel, two ways

The answer is the mean of the views' logits (test-time augmentation; Krizhevsky et al., NeurIPS 2012; the weights of
the moved ones, 1/4 each pair beside 1/2, are those of Jordan, 2404.00498). Loss and metrics are `Classify`'s.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch.nn.functional as F
from torch import Tensor

from decet.contracts import Body, LabelSpec
from decet.errors import check_choice
from decet.tasks.classify import Classifier, Classify

VIEWS = ("plain", "mirror", "shift")


@dataclass(frozen=True)
class ClassifyPictures(Classify):
    """The question "which class?", asked of pictures.

    label_smoothing: share of each target spread over all classes, 0 to 0.9; None = not said, the cell decides.
    class_weight: None, "balanced" (rare classes count as much as common ones), or a dict label -> weight.
    threshold: probability of the second of two classes from which it is answered; None = the likelier class.
    coverage: share of pictures whose set of labels is to hold the true one, 0.01 to 0.999.
    views: what answers are averaged over: "plain" (the picture), "mirror" (and its mirror image), "shift" (both, and
        both moved by one pixel two ways: six views); None = not said, the cell decides.
    """

    views: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice("views", self.views, VIEWS)

    def learner(self, body: Body, spec: LabelSpec, members: int) -> PictureClassifier:
        return PictureClassifier(body, spec, members, self.label_smoothing or 0.0, self.views or "plain")


class PictureClassifier(Classifier):
    """A classifier that answers by the mean of the logits of several views."""

    def __init__(self, body: Body, spec: LabelSpec, members: int, smoothing: float, views: str):
        super().__init__(body, spec, members, smoothing)
        self.views = views

    def glance(self, inputs: tuple[Any, ...]) -> Tensor:
        return self._probabilities(super().logits(inputs))  # of the picture alone: views multiply the work

    def logits(self, inputs: tuple[Any, ...]) -> Tensor:
        return self._seen(super().logits(inputs), inputs)

    def _seen(self, logits: Tensor, inputs: tuple[Any, ...]) -> Tensor:
        pixels, *rest = inputs
        if self.views == "plain":
            return logits
        own = self._mirrored(logits, pixels, rest)
        if self.views != "shift":
            return own
        plain, ways = super().logits, [moved(pixels, way) for way in (-1, 1)]
        return 0.5 * own + 0.25 * sum(self._mirrored(plain((way, *rest)), way, rest) for way in ways)

    def _mirrored(self, logits: Tensor, pixels: Tensor, rest: list[Any]) -> Tensor:
        """The mean of these logits and those of the mirror images."""
        return 0.5 * (logits + super().logits((pixels.flip(-1), *rest)))


def moved(pixels: Tensor, by: int) -> Tensor:
    """Pictures (..., H, W) moved by so many pixels down and right, the gap filled with what mirrors the border."""
    if min(pixels.shape[-2:]) <= abs(by):
        return pixels
    framed = F.pad(pixels.flatten(0, -3).float(), [abs(by)] * 4, mode="reflect")  # (B C, H + 2, W + 2)
    start, (height, width) = abs(by) - by, pixels.shape[-2:]
    return framed[..., start : start + height, start : start + width].unflatten(0, pixels.shape[:-2])
