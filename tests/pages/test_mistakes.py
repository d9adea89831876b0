"""Confusions by hand, the surest mistakes, pictures as data addresses."""

from __future__ import annotations

import base64
import io

import numpy as np
from PIL import Image

from decet.pages.mistakes import MOST_CLASSES, SHOWN, confusion, png, surest_mistakes


def test_confusion_by_hand() -> None:
    target, decided = np.array([0, 0, 0, 1, 1, -1]), np.array([0, 1, 1, 1, 0, 0])
    found = confusion(target, decided, ["cat", "dog"])
    assert found.counts == [[1, 2], [1, 1]]
    assert found.commonest == [("cat", "dog", 2), ("dog", "cat", 1)]
    assert found.fits
    assert confusion(target[:1], decided[:1], ["cat", "dog"]).commonest == []
    assert not confusion(target, decided, range(MOST_CLASSES + 1)).fits


def test_the_surest_mistakes_come_first() -> None:
    probabilities = np.array([[0.6, 0.4], [0.9, 0.1], [0.2, 0.8], [0.7, 0.3]])
    found = surest_mistakes(np.array([1, 1, 1, -1]), probabilities, probabilities.argmax(1), ["a", "b"])
    assert [(m.row, m.truth, m.answer, m.chance) for m in found] == [(1, "b", "a", 0.9), (0, "b", "a", 0.6)]
    many = np.tile([0.6, 0.4], (50, 1))
    assert len(surest_mistakes(np.ones(50, int), many, many.argmax(1), ["a", "b"])) == SHOWN


def test_pictures_are_png_and_large_enough_to_see() -> None:
    def read(pixels: np.ndarray) -> Image.Image:
        kind, _, data = png(pixels).partition(",")
        assert kind == "data:image/png;base64"
        return Image.open(io.BytesIO(base64.b64decode(data)))

    grey = np.arange(64, dtype=np.uint8).reshape(8, 8, 1)
    assert read(grey).size == (96, 96)
    assert read(grey).getpixel((95, 95)) == 63
    assert read(np.zeros((500, 400, 3), np.uint8)).size == (154, 192)
    assert read(np.zeros((100, 90, 3), np.uint8)).mode == "RGB"
