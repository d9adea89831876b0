"""ImageGenerator, asked: pictures by label and seed, between two, filled in, added to others; judged, saved, loaded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_digits

import decet
from decet import DNN, GAN, Diffusion, ImageGenerator, Recipe
from decet.errors import BadInput, NotFitted, Unsupported

SMALL = Diffusion(channels=(24, 48), depth=1)
RECIPE = Recipe(epochs=40, batch=64, lr=2e-3, average=0.98)


def digits(count: int = 600) -> tuple[np.ndarray, np.ndarray]:
    found = load_digits()
    return (found.images[:count] * 15).astype(np.uint8), found.target[:count]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("drawn") / "d"
    ImageGenerator(SMALL, recipe=RECIPE).fit(*digits(), out=out)
    return out


@pytest.fixture(scope="module")
def model(folder: Path) -> Any:
    return decet.load(folder)


def test_drawn_digits_are_recognised_as_asked(model: Any) -> None:
    assert model.metrics_["recognised"] > 0.7
    assert model.metrics_["frechet"] < 0.7 * model.metrics_["frechet_gaussian"]
    assert model.metrics_["coverage"] > 0.7


def test_pictures_are_drawn_by_label(model: Any) -> None:
    found = model.generate(12, label=1)
    assert found.shape == (12, 8, 8)
    assert found.dtype == np.uint8
    real = digits()[0][digits()[1] == 1].mean(0)
    others = digits()[0][digits()[1] == 0].mean(0)
    assert np.abs(found.mean(0) - real).mean() < np.abs(found.mean(0) - others).mean()


def test_a_picture_depends_on_its_place_and_the_seed_alone(model: Any) -> None:
    few, many = model.generate(3, label=2, seed=4), model.generate(70, label=2, seed=4)
    assert np.abs(few.astype(int) - many[:3]).max() <= 1  # batches of other sizes may round otherwise
    assert not np.array_equal(model.generate(3, label=2, seed=5), few)
    assert np.array_equal(model.generate(3, label=2, seed=4), few)


def test_every_label_comes_in_turn_where_none_is_said(model: Any) -> None:
    mixed = model.generate(10, seed=1)
    assert np.array_equal(mixed, model.generate(10, label=list(range(10)), seed=1))


def test_a_label_may_be_said_as_text(model: Any) -> None:
    assert np.array_equal(model.generate(2, label="7"), model.generate(2, label=7))


def test_samplers_change_without_training(model: Any) -> None:
    for sampler in ("ddpm", "ddim", "heun", "euler-ancestral"):
        assert model.generate(2, label=3, sampler=sampler, steps=8).shape == (2, 8, 8)


def test_the_way_between_two_begins_and_ends_there(model: Any) -> None:
    way = model.interpolate(1, 2, 5, label=0)
    assert way.shape == (5, 8, 8)
    for end, seed in ((way[0], 1), (way[-1], 2)):
        assert np.abs(end.astype(int) - model.generate(1, label=0, seed=seed)[0]).max() <= 2
    x, _ = digits()
    assert model.interpolate(x[0], x[1], 3, label=0).shape == (3, 8, 8)


def test_pictures_are_drawn_again_from_their_noise(model: Any) -> None:
    x, y = digits(40)
    assert model.invert(x[:3], y[:3], steps=40).shape == (3, 1, 8, 8)
    again = model.reconstruct(x, y, steps=40)
    assert np.abs(again.astype(float) - x).mean() < 12


def test_what_is_known_stays_when_the_rest_is_drawn(model: Any) -> None:
    x, y = digits()
    mask = np.zeros((8, 8), bool)
    mask[4:] = True
    found = model.inpaint(x[0], mask, count=3, label=int(y[0]))
    assert found.shape == (3, 8, 8)
    assert np.array_equal(found[:, :4], np.repeat(x[:1, :4], 3, 0))
    assert (found[:, 4:] != x[0, 4:]).any()


def test_a_small_set_is_made_larger(model: Any) -> None:
    x, y = digits(50)
    pictures, labels = model.augment(x, y, 30)
    assert pictures.shape == (80, 8, 8)
    assert np.array_equal(pictures[:50], x)
    assert labels.dtype == y.dtype
    assert np.bincount(labels[50:], minlength=10).tolist() == [3] * 10


def test_how_a_picture_comes_out_of_noise_can_be_watched(model: Any) -> None:
    seen = list(model.watch(4, label=5, steps=6))
    assert len(seen) == 6
    assert np.abs(seen[-1].astype(int) - model.generate(4, label=5, steps=6)).max() <= 1


def test_it_is_judged_by_pictures_that_it_has_not_seen(model: Any) -> None:
    x, y = load_digits().images[1_000:1_200] * 15, load_digits().target[1_000:1_200]
    found = model.evaluate(x.astype(np.uint8), y)
    assert {"frechet", "kernel", "precision", "recall", "density", "coverage", "recognised"} <= set(found)
    assert model.score(x.astype(np.uint8)) == pytest.approx(found["coverage"])


def test_the_folder_is_verified_and_draws_the_same(folder: Path, model: Any) -> None:
    assert decet.verify(folder)
    assert np.array_equal(decet.load(folder).generate(4), model.generate(4))


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda m: m.generate(0), "count must be"),
        (lambda m: m.generate(2, label=11), "label 11 is no class"),
        (lambda m: m.generate(2, label=[1, 2, 3]), "label must be one, or one for each of 2 pictures"),
        (lambda m: m.generate(2, steps=0), "steps must be"),
        (lambda m: m.generate(2, steps=10_000), "steps must be"),
        (lambda m: m.generate(2, guidance=-1.0), "guidance must be"),
        (lambda m: m.generate(2, sampler="plms"), "sampler must be"),
        (lambda m: m.generate(2, seed=-1), "seed must be"),
        (lambda m: m.inpaint(np.zeros((8, 8), np.uint8), np.ones((8, 8))), "hides the whole picture"),
        (lambda m: m.inpaint(np.zeros((8, 8), np.uint8), np.zeros((8, 8))), "hides nothing"),
        (lambda m: m.inpaint(np.zeros((8, 8), np.uint8), np.zeros((4, 4))), "mask must have the picture's shape"),
        (lambda m: m.inpaint(np.zeros((9, 8), np.uint8), np.zeros((8, 8))), "image must be a picture of 8 x 8 pixels"),
        (lambda m: m.interpolate(np.zeros((4, 4), np.uint8), 2), "an end must be a picture of 8 x 8"),
        (lambda m: m.augment(np.zeros((3, 8, 8), np.uint8)), "augment needs a label"),
    ],
)
def test_what_cannot_be_asked_is_told(model: Any, ask: Any, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        ask(model)


def test_nothing_is_predicted_and_nothing_drawn_before_a_fit(model: Any) -> None:
    with pytest.raises(Unsupported, match="predicts nothing"):
        model.predict(np.zeros((1, 8, 8), np.uint8))
    with pytest.raises(NotFitted):
        ImageGenerator().generate(1)


@pytest.fixture(scope="module")
def forger() -> Any:
    players = GAN(generator=DNN(hidden=(64,)), critic=DNN(hidden=(64,)), latent=16, encoder=True)
    return ImageGenerator(players, recipe=Recipe(steps=200, batch=32)).fit(*digits(300))


def test_a_gan_draws_by_label_and_between_pictures(forger: Any) -> None:
    x, y = digits(300)
    assert forger.generate(5, label=3).shape == (5, 8, 8)
    assert np.array_equal(forger.generate(2, label=3, seed=1), forger.generate(2, label=3, seed=1))
    assert forger.interpolate(x[0], x[10], 4, label=int(y[0])).shape == (4, 8, 8)
    assert {"critic", "generator", "encoder", "told"} <= set(forger.history_[-1])


def test_a_gan_finds_the_noise_of_pictures_and_draws_them_again(forger: Any) -> None:
    x, y = digits(300)
    assert forger.invert(x[:70], y[:70]).shape == (70, 16)
    again = forger.reconstruct(x[:70], y[:70])
    assert again.shape == x[:70].shape
    near, far = (np.square(again.astype(float) - other).mean() for other in (x[:70], np.roll(x[:70], 1, 0)))
    assert near < 0.8 * far
    with pytest.raises(BadInput, match="label must say what each picture is of"):
        forger.reconstruct(x[:2])


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda m: m.generate(2, steps=10), "steps is of drawing step by step, and GAN draws in one"),
        (lambda m: m.generate(2, guidance=2.0), "guidance is of drawing step by step"),
        (lambda m: m.inpaint(np.zeros((8, 8), np.uint8), np.eye(8)), "GAN draws in one step and cannot fill in"),
        (lambda m: list(m.watch(2)), "GAN draws in one step and cannot be watched"),
    ],
)
def test_what_takes_steps_is_not_for_a_gan(forger: Any, ask: Any, message: str) -> None:
    with pytest.raises((BadInput, Unsupported), match=message):
        ask(forger)
