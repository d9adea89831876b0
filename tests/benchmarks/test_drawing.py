"""Those who learn to draw: the same networks by every library, each for some steps, and one judge of all."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from benchmarks.child import Meter, Place
from sklearn.datasets import load_digits

from benchmarks import drawing
from decet.nn.stems import inside
from decet.training.checkpoint import copy_tree, same_tree


def small(count: int) -> tuple[np.ndarray, np.ndarray]:
    """scikit-learn's digits as pictures of 28 pixels a side."""
    X, y = load_digits(return_X_y=True)
    X = (X[:count] * 15).astype(np.uint8).reshape(-1, 8, 8)
    return np.pad(X.repeat(3, 1).repeat(3, 2), ((0, 0), (2, 2), (2, 2))), y[:count].astype(np.int64)


class Shown:
    """Pictures as a set has them."""

    def __init__(self, pixels: np.ndarray) -> None:
        self.array = pixels

    def take(self, places: np.ndarray) -> Shown:
        return Shown(self.array[places])

    def pixels(self, size: tuple[int, int], channels: int) -> Any:
        return SimpleNamespace(pixels=self.array[..., None])


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """Digits, and a judge, as `prepare` leaves them."""
    folder = tmp_path_factory.mktemp("digits")
    here = Place(folder, folder)
    X, y = small(900)
    train, test = SimpleNamespace(X=Shown(X[:600]), y=y[:600]), SimpleNamespace(X=Shown(X[600:]), y=y[600:])
    parts = {"train": train, "test": test}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("decet.data.datasets.load", lambda name, split: parts[split])
        found = drawing.prepare(Meter(), here, None)
    assert found["rows"] == 600
    assert found["accuracy"] > 0.8
    return here


def test_the_judge_knows_real_digits_from_noise(place: Place) -> None:
    digits = drawing.digits_of(place)
    real = drawing.judged(place, digits, digits.held, digits.truth)
    noise = np.random.default_rng(0).integers(0, 256, digits.held.shape, dtype=np.uint8)
    drawn = drawing.judged(place, digits, noise, digits.truth)
    assert real["frechet"] == pytest.approx(0.0, abs=1e-6)
    assert (drawn["frechet"] or 0.0) > 1.0
    assert (real["recognised"] or 0) > 0.8 > (drawn["recognised"] or 0)
    assert 0 < (real["seldomest"] or 0) <= 0.1 <= (real["commonest"] or 0) < 0.2


@pytest.mark.parametrize("ours", [False, True])
def test_batches_are_the_digits(place: Place, ours: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drawing, "WORKERS", 0)
    digits = drawing.digits_of(place)
    pictures, labels = next(drawing.batches(digits, resident=ours))
    assert pictures.shape == (drawing.BATCH, 1, 28, 28)
    known = {picture.tobytes(): label for picture, label in zip(digits.X, digits.y, strict=True)}
    back = ((pictures + 1) * 127.5).round().to(torch.uint8).numpy()
    assert all(known[picture.tobytes()] == label for picture, label in zip(back, labels.tolist(), strict=True))
    assert float((inside(torch.from_numpy(back)) - pictures).abs().max()) < 1e-6, "as decet's players see them"


def test_players_have_the_same_weights_by_decet_and_by_hand(place: Place) -> None:
    learner, recipe = drawing._begun("DCGAN", drawing.digits_of(place), 0)
    networks, _, _ = drawing.dcgan()

    def shapes(*parts: Any) -> list[int]:
        return sorted(p.numel() for part in parts for p in part.parameters() if p.dim() > 1)

    assert shapes(learner.generator, learner.critic) == shapes(*networks)
    assert recipe.batch == drawing.BATCH


def test_a_plain_loop_moves_both_players(place: Place) -> None:
    torch.manual_seed(0)
    networks, step, draw = drawing.dcgan()
    before = [[p.detach().clone() for p in network.parameters()] for network in networks]
    step(torch.zeros(8, 1, 28, 28), None)
    for network, was in zip(networks, before, strict=True):
        assert any(not torch.equal(p, old) for p, old in zip(network.parameters(), was, strict=True))
    assert draw(torch.arange(3)).shape == (3, 28, 28)


def test_work_is_what_the_definitions_take(place: Place) -> None:
    """Twice the generator's and the critic's products forward, and what the gradients take of them."""
    learner, _ = drawing._begun("DCGAN", drawing.digits_of(place), 0)
    a, b, c = drawing.CHANNELS
    reads = 2 * 16 * (14 * 14 * a + 7 * 7 * a * b + 4 * 4 * b * c) + 2 * 16 * c
    makes = 2 * (drawing.LATENT * 16 * c + 16 * (4 * 4 * c * b + 7 * 7 * b * a + 14 * 14 * a))
    critics = 2 * makes / 2 + 2 * 3 * reads  # drawn without gradients; two kinds of pictures, three products each
    generators = 3 * makes + 2 * reads  # through the critic, whose weights get none
    found = drawing.work_of(learner, labelled=False)
    assert found == pytest.approx(critics + generators, rel=0.1)


def test_counting_changes_nothing(place: Place) -> None:
    learner, _ = drawing._begun("GAN", drawing.digits_of(place), 0)
    before = copy_tree(learner.state_dict())
    drawing.work_of(learner, labelled=True)
    assert same_tree(copy_tree(learner.state_dict()), before)


@pytest.mark.parametrize("family", ["GAN", "Diffusion", "DDPM"])
def test_decet_draws_and_is_judged(place: Place, family: str) -> None:
    ways = [] if family == "GAN" else [["dpm", 2]]
    said = {"family": family, "labelled": family != "GAN", "steps": 4, "seed": 0, "count": 60, "few": 30, "ways": ways}
    found = drawing.quality(Meter(), place, **said)
    at = "@dpm 2" if ways else ""
    assert found[f"frechet{at}"] > 0
    assert found[f"few{at}"] > 0
    assert (f"recognised{at}" in found) == bool(ways)
    assert found["work"] > 0
    assert list(place.keep.glob(f"{family}*.png"))
    again = drawing.quality(Meter(), place, **said)  # of the model that is there
    assert again[f"frechet{at}"] == found[f"frechet{at}"]
    assert again["seconds"] == found["seconds"]


def test_figures_have_a_meaning_beside_real_digits_and_a_gaussian(place: Place) -> None:
    real, gaussian = (drawing.anchors(Meter(), place, kind, 300) for kind in ("real", "gaussian"))
    assert (real["frechet"] or 0) < (gaussian["frechet"] or 0)


def test_decets_speed_is_of_its_own_loop(place: Place) -> None:
    found = drawing.speed(Meter(), place, "Diffusion", 8.0, 0)
    assert found["rate"] > 1
    assert found["pictures"] >= 100
    assert drawing.draws(Meter(), place, 0, 4)["evaluation"] > 0


def test_a_plain_gan_draws_and_is_judged(place: Place) -> None:
    found = drawing.plain_quality(Meter(), place, "dcgan", 3, 0, 50, 0, [])
    assert found["frechet"] > 0
    assert "recognised" not in found
    assert drawing.plain_speed(Meter(), place, "dcgan", True, "fp32", 1.0, 0)["rate"] > 1


def test_diffusers_learns_and_draws(place: Place) -> None:
    pytest.importorskip("diffusers", reason="diffusers is in the bench extra")
    found = drawing.plain_quality(Meter(), place, "unet", 2, 0, 20, 10, [["DDIM", 2], ["DPM-Solver++", 2]])
    assert found["frechet@DDIM 2"] > 0 < found["frechet@DPM-Solver++ 2"]
    assert drawing.plain_draws(Meter(), place, True, "fp32", 0, 4)["evaluation"] > 0
    learner, _ = drawing._begun("Diffusion", drawing.digits_of(place), 0)
    ours, theirs = (sum(p.numel() for p in one.parameters()) for one in (learner, drawing.unet()[0][0]))
    assert 0.8 < theirs / ours < 1.25, "networks of about equal size"
