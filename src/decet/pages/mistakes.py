"""Where a model errs: the confusion matrix, the surest mistakes, and the pictures of these."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
MOST_CLASSES = 20  # of a matrix that can be read; of more, the commonest confusions are named
MOST_CONFUSIONS = 10
SHOWN = 12  # mistakes
SIDE = 96  # pixels of a small picture's longer side, at least, so that it can be seen


@dataclass(frozen=True)
class Confusion:
    """Rows of each true class (`counts[true][answered]`), and the commonest confusions (true, answered, rows)."""

    classes: list[str]
    counts: list[list[int]]
    commonest: list[tuple[str, str, int]]

    @property
    def fits(self) -> bool:
        """Whether the matrix is small enough to be read."""
        return len(self.classes) <= MOST_CLASSES


@dataclass(frozen=True)
class Mistake:
    """A row that is answered wrongly, and how sure the model was; `row` is its place."""

    row: int
    truth: str
    answer: str
    chance: float


def confusion(target: Array, decided: Array, classes: Sequence[Any]) -> Confusion:
    """target, decided: class ids (n,); rows without a known answer (-1) do not count."""
    known = target >= 0
    width = len(classes)
    pairs = target[known] * width + decided[known]
    counts = np.bincount(pairs, minlength=width * width).reshape(width, width)
    wrong = counts * (1 - np.eye(width, dtype=np.int64))
    names = [str(name) for name in classes]
    order = np.argsort(-wrong, axis=None, kind="stable")[:MOST_CONFUSIONS]
    common = [(names[i // width], names[i % width], int(wrong.flat[i])) for i in order.tolist() if wrong.flat[i]]
    return Confusion(names, counts.tolist(), common)


def surest_mistakes(target: Array, probabilities: Array, decided: Array, classes: Sequence[Any]) -> list[Mistake]:
    """Wrong answers, the surest first. probabilities: (n, K)."""
    chance = probabilities[np.arange(len(decided)), decided]
    wrong = np.flatnonzero((target >= 0) & (decided != target))
    order = wrong[np.argsort(-chance[wrong], kind="stable")][:SHOWN]
    return [Mistake(i, str(classes[target[i]]), str(classes[decided[i]]), float(chance[i])) for i in order.tolist()]


def png(pixels: Array) -> str:
    """A picture uint8 (H, W, C) as a data address, small ones enlarged, large ones made smaller."""
    from PIL import Image

    picture = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)
    factor = max(1, round(SIDE / max(picture.size)))
    if max(picture.size) > 2 * SIDE:
        picture.thumbnail((2 * SIDE, 2 * SIDE))
    elif factor > 1:
        picture = picture.resize((picture.width * factor, picture.height * factor), Image.Resampling.NEAREST)
    return address(picture)


def address(picture: Any) -> str:
    """A picture of Pillow's as a data address."""
    held = io.BytesIO()
    picture.save(held, "PNG")
    return "data:image/png;base64," + base64.b64encode(held.getvalue()).decode("ascii")
