"""The page of what draws pictures: figures and what they mean, what it draws, how it learned and how they come."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_digits
from tests.pages.test_page import checked

import decet
from decet import Diffusion, ImageGenerator, Recipe
from decet.pages.gallery import FIGURES, MOMENTS, learned, looks

pytestmark = pytest.mark.filterwarnings("ignore::decet.DataWarning")


def made(labelled: bool) -> ImageGenerator:
    found = load_digits()
    family = Diffusion(channels=(8, 16), depth=1)
    model = ImageGenerator(family, steps=6, labelled=labelled, recipe=Recipe(steps=250, batch=32))
    return model.fit((found.images[:300] * 15).astype(np.uint8), found.target[:300])


@pytest.fixture(scope="module")
def model() -> ImageGenerator:
    return made(labelled=True)


def test_the_page_tells_how_good_and_shows_what_is_drawn(model: ImageGenerator, tmp_path: Path) -> None:
    page = decet.report(model, out=tmp_path, command="made by hand").read_text(encoding="utf-8")
    words = checked(page)
    for shown in (
        "ImageGenerator with Diffusion",
        "What it draws",
        "A row each: 0, 1, 2",
        "How like real pictures they are",
        "frechet",
        "decet-judge-1",
        "How they come out of noise",
        "From one to another",
        "training loss, by steps",
        "made by hand",
    ):
        assert shown in words, shown
    assert page.count("data:image/png") == 3
    assert "<script" not in page


def test_of_pictures_given_the_figures_are_of_these(model: ImageGenerator, tmp_path: Path) -> None:
    x = (load_digits().images[1_000:1_100] * 15).astype(np.uint8)
    page = decet.report(model, x, out=tmp_path / "r.html").read_text(encoding="utf-8")
    assert "As many of the pictures given" in checked(page)


def test_without_labels_there_are_no_rows_of_them() -> None:
    seen = looks(made(labelled=False))
    assert seen["names"] == []
    assert 1 < len(seen["steps"]) <= MOMENTS


def test_every_figure_is_explained(model: ImageGenerator) -> None:
    known = {name for name in model.metrics_ if not name.startswith("frechet_")} - {"ordinary"}
    assert known <= set(FIGURES)


def test_few_records_make_no_curve() -> None:
    assert learned([{"stage": "draw", "step": 1, "loss": 1.0}]) == []
