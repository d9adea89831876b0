"""What draws pictures, compared: the same to learn from, one judge, a Gaussian beside; what cannot be judged."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_digits

from decet import Diffusion, ImageGenerator, Recipe
from decet.errors import BadInput
from decet.referee.compare import compare
from decet.referee.comparison import Comparison
from decet.referee.pictures import picture_ground

pytestmark = pytest.mark.filterwarnings("ignore::decet.DataWarning")
SMALL = Diffusion(channels=(24, 48), depth=1)
NONE = {"groups": None, "order": None, "test": 0.2}


def digits(count: int = 600) -> tuple[np.ndarray, np.ndarray]:
    found = load_digits()
    return (found.images[:count] * 15).astype(np.uint8), found.target[:count]


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> tuple[Comparison, Path]:
    out = tmp_path_factory.mktemp("compare") / "c"
    template = ImageGenerator(recipe=Recipe(epochs=40, batch=64, lr=2e-3, average=0.98))
    return compare(template, *digits(), families=[SMALL], out=out), out


def test_what_learned_beats_what_did_not(found: tuple[Comparison, Path]) -> None:
    compared, out = found
    scores = {r.name: r.score.value for r in compared.results if r.score is not None}
    assert set(scores) == {"pixels by themselves", "a Gaussian", "Diffusion"}
    assert scores["Diffusion"] > scores["pixels by themselves"] + 0.3
    assert compared.metric == "coverage"
    assert all(r.score.low <= r.score.value <= r.score.high for r in compared.results if r.score is not None)
    assert "frechet" in compared.results[0].metrics
    page = (out / "report.html").read_text()
    assert "test pictures" in page
    assert "What it draws" in page


def test_the_winner_is_a_folder_that_verifies(found: tuple[Comparison, Path]) -> None:
    compared, out = found
    assert compared.facts["verified"]
    assert (out / "Diffusion" / "model.json").exists()


def test_everybody_is_judged_by_the_same_pictures_that_nobody_learned_from() -> None:
    x, y = digits(200)
    ground = picture_ground(ImageGenerator(), x, y, **NONE)
    assert ground.sizes == (160, 40)
    assert ground.target.shape == (40, 64)
    again = picture_ground(ImageGenerator(), x, y, **NONE)
    assert np.array_equal(ground.target, again.target)


def test_pictures_without_labels_are_compared_too() -> None:
    x, _ = digits(120)
    ground = picture_ground(ImageGenerator(), x, None, **NONE)
    assert ground.sizes == (96, 24)


@pytest.mark.parametrize("name", ["groups", "order"])
def test_groups_and_times_are_refused(name: str) -> None:
    x, y = digits(60)
    with pytest.raises(BadInput, match="neither grouped nor ordered"):
        picture_ground(ImageGenerator(), x, y, **{**NONE, name: np.arange(60)})
