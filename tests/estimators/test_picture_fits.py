"""What a fit of an ImageGenerator does: with labels and without, resumed to the bit, its looks, what it refuses."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_digits

from decet import CNN, DNN, GAN, Diffusion, ImageGenerator, Images, Recipe, verify
from decet.errors import BadInput, Unsupported
from decet.estimators import judge, picture_fits
from decet.estimators.picture_fits import FILM, SHEETS
from decet.estimators.reading import DataWarning

TINY = Diffusion(channels=(8, 16), depth=1)


def digits(count: int = 200) -> tuple[np.ndarray, np.ndarray]:
    found = load_digits()
    return (found.images[:count] * 15).astype(np.uint8), found.target[:count]


def made(**settings: Any) -> ImageGenerator:
    return ImageGenerator(TINY, **{"recipe": Recipe(steps=104, batch=16), "steps": 3} | settings)


def weights(model: Any) -> dict[str, torch.Tensor]:
    return dict(model.learner_.state_dict())


def same(first: Any, second: Any) -> bool:
    a, b = weights(first), weights(second)
    return all(torch.equal(a[name], b[name]) for name in a)


def test_labels_are_used_where_there_are_any_and_left_out_where_that_is_said() -> None:
    x, y = digits()
    assert made().fit(x, y).answer_ is not None
    without = made(labelled=False).fit(x, y)
    assert without.answer_ is None
    assert "recognised" not in without.metrics_
    assert without.generate(2).shape == (2, 8, 8)
    with pytest.raises(BadInput, match="trained without labels"):
        without.generate(2, label=1)
    with pytest.raises(BadInput, match="guidance is by labels"):
        without.generate(2, guidance=2.0)


def test_a_folder_of_pictures_alone_is_enough(tmp_path: Path) -> None:
    x, _ = digits(60)
    for number, picture in enumerate(x):
        Image.fromarray(picture).save(tmp_path / f"{number}.png")
    model = made().fit(tmp_path)
    assert model.answer_ is None
    assert model.generate(3).shape == (3, 8, 8)


def test_colour_is_drawn_in_colour() -> None:
    x, y = digits()
    model = made().fit(np.stack([x, x // 2, 255 - x], -1), y)
    assert model.generate(2).shape == (2, 8, 8, 3)


def test_a_run_that_was_stopped_ends_with_the_same_bits(tmp_path: Path) -> None:
    x, y = digits()
    whole = made().fit(x, y, out=tmp_path / "whole")

    class Stop(Exception):
        pass

    def stop(record: dict[str, Any]) -> None:
        if record["stage"] == "draw":
            raise Stop

    with pytest.raises(Stop):
        made().fit(x, y, out=tmp_path / "part", on_epoch=stop)
    assert same(made().fit(x, y, out=tmp_path / "part", resume=True), whole)


def test_the_same_seed_draws_the_same_and_another_does_not() -> None:
    x, y = digits()
    first = made().fit(x, y)
    assert same(made().fit(x, y), first)
    assert not same(made(seed=1).fit(x, y), first)


def test_sheets_and_figures_follow_training(tmp_path: Path) -> None:
    model = made(recipe=Recipe(steps=240, batch=32)).fit(*digits(), out=tmp_path / "d")
    sheets = sorted((tmp_path / "d" / SHEETS).glob("*.png"))
    assert len(sheets) >= 2
    assert Image.open(sheets[0]).size[0] > 100
    film: Any = Image.open(tmp_path / "d" / SHEETS / FILM)
    assert (film.n_frames, film.size) == (len(sheets), Image.open(sheets[0]).size)
    film.seek(len(sheets) - 1)
    assert np.array_equal(np.asarray(film.convert("L")), np.asarray(Image.open(sheets[-1])))
    looks = [record for record in model.history_ if record["stage"] == "draw"]
    assert all({"loss", "kernel", "recognised", "variety"} <= set(record) for record in looks)


def test_sheets_of_an_old_run_are_not_in_the_film_of_a_new_one(tmp_path: Path) -> None:
    x, y = digits()
    made(recipe=Recipe(steps=312, batch=16)).fit(x, y, out=tmp_path)
    made(recipe=Recipe(steps=208, batch=16)).fit(x[:, :6, :6], y, out=tmp_path, overwrite=True)
    sheets = sorted((tmp_path / SHEETS).glob("*.png"))
    film: Any = Image.open(tmp_path / SHEETS / FILM)
    assert [sheet.stem for sheet in sheets] == ["step-0000100", "step-0000200", "step-0000208"]
    assert (film.n_frames, film.size) == (3, Image.open(sheets[0]).size)


def test_a_film_that_cannot_be_made_ends_no_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(picture_fits, "write_frames", full)
    made(recipe=Recipe(steps=208, batch=16)).fit(*digits(), out=tmp_path)
    assert verify(tmp_path)


def test_going_on_from_a_saved_model_takes_its_weights(tmp_path: Path) -> None:
    x, y = digits()
    made().fit(x, y, out=tmp_path / "first")
    model = made(recipe=Recipe(steps=1, batch=32)).fit(x, y, start=tmp_path / "first")
    assert model.taken_ == len(weights(model))
    with pytest.raises(BadInput, match=r"draws pictures of 1 x 8 x 8, and these are 1 x 6 x 6"):
        made().fit(x[:, :6, :6], y, start=tmp_path / "first")


def test_a_budget_is_kept(tmp_path: Path) -> None:
    import time

    started = time.monotonic()
    made(recipe=None).fit(*digits(), budget=8.0)
    assert time.monotonic() - started < 10.0


def test_few_pictures_are_fewer_than_a_batch_and_that_is_told() -> None:
    with pytest.warns(DataWarning, match="fewer than a batch of 64"):
        made(recipe=Recipe(steps=4, batch=64)).fit(*digits(30))


def test_pictures_of_several_sizes_are_brought_to_one_and_that_is_told() -> None:
    x, _ = digits(40)
    mixed = [Image.fromarray(x[i]).resize((8 + i % 3, 8)) for i in range(40)]
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        made(recipe=Recipe(steps=4, batch=16), inputs=Images(size=8)).fit(mixed)
    assert any("pictures come in 3 sizes" in str(one.message) for one in told)


@pytest.mark.parametrize(
    ("given", "settings", "message"),
    [
        (digits(1), {}, "1 picture is too few to learn from"),
        (digits(5), {}, "5 pictures are too few"),
        ((np.full((40, 8, 8), 7, np.uint8), None), {}, "all 40 pictures are equal"),
        ((digits(40)[0], np.arange(40)), {}, "40 pictures have 40 different labels"),
        ((digits(40)[0], None), {"labelled": True}, "labelled=True needs a label for each picture"),
        ((digits(40)[0], [1, 2]), {}, "there are 40 pictures but y has 2"),
        (digits(40), {"recipe": Recipe(mixup=0.2)}, "recipe.mixup makes pictures that are not to be drawn"),
        (digits(40), {"recipe": Recipe(batch=2_000_000_000, epochs=1)}, None),
    ],
)
def test_what_cannot_be_learned_from_is_told(given: Any, settings: dict[str, Any], message: str | None) -> None:
    if message is None:  # a batch is never more than there are pictures, so that it always fits
        made(**settings).fit(*given)
        return
    with pytest.raises(BadInput, match=message):
        made(**settings).fit(*given)


def test_clips_are_refused() -> None:
    with pytest.raises(Unsupported, match="draws no clips"):
        made(inputs=Images(frames=4)).fit(np.zeros((12, 4, 8, 8, 1), np.uint8))


def test_what_else_draws_from_torchs_generator_changes_no_bit() -> None:
    x, y = digits()
    players = GAN(generator=CNN(channels=(8,)), critic=CNN(channels=(8,)), latent=8)  # with batch norm in one of them
    found = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        before = torch.random.get_rng_state()
        found.append(ImageGenerator(players, recipe=Recipe(steps=20, batch=32)).fit(x, y))
        assert torch.equal(torch.random.get_rng_state(), before)
    assert same(*found)


def test_the_judge_knows_all_kinds_of_pictures_however_they_lie(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judge, "LOOKED_AT", 300)
    x, y = digits(1_797)
    order = np.argsort(y, kind="stable")  # as a folder of class folders has them
    told = made().fit(x[order], y[order])
    seen, _ = told.judge_.see(torch.from_numpy(x[order]).unsqueeze(1))
    assert float(seen.mean(0).abs().max()) < 0.2


def test_another_family_may_follow_on_the_same_estimator() -> None:
    x, y = digits()
    model = made().fit(x, y)
    players = GAN(generator=DNN(hidden=(8,)), critic=DNN(hidden=(8,)), latent=4)
    model.set_params(family=players, steps=None, labelled=False).fit(x, y)
    assert model.generate(2).shape == (2, 8, 8)
    assert not hasattr(model, "classes_")


@pytest.mark.parametrize(
    ("said", "message"),
    [
        (Recipe(mixup=1.0), "recipe.mixup makes pictures that are not to be drawn"),
        (Recipe(cutmix=1.0), "recipe.cutmix makes pictures"),
        (Recipe(grow=0.5), "recipe.grow makes pictures"),
        (Recipe(members=4), "recipe.members does nothing where pictures are drawn"),
        (Recipe(metric="frechet"), "recipe.metric does nothing"),
    ],
)
def test_recipes_of_other_tasks_are_told(said: Recipe, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        made(recipe=said).fit(*digits(40))


def test_a_player_that_wins_and_pictures_that_are_all_alike_are_told() -> None:
    """A generator that hardly moves draws what it drew at first, and every critic knows it."""
    x, y = digits()
    still = GAN(generator=DNN(hidden=(16,)), critic=DNN(hidden=(64,)), latent=1, r1=0.0, r2=0.0, vary=0.0)
    model = ImageGenerator(still, recipe=Recipe(steps=330, batch=16, lr=2e-4, average=0.9999))
    with pytest.warns(DataWarning) as told:
        model.fit(x, y)
    said = [str(one.message) for one in told]
    assert any("drawn pictures differ by" in one and "family.vary 0.5" in one for one in said)
    assert any("the critic tells" in one and "smaller critic" in one for one in said)
    assert set(model.warnings_) <= set(said)


def test_what_was_told_before_a_run_was_cut_is_told_after_it(tmp_path: Path) -> None:
    x, y = digits()
    still = GAN(generator=DNN(hidden=(16,)), critic=DNN(hidden=(64,)), latent=1, r1=0.0, r2=0.0, vary=0.0)
    recipe = Recipe(steps=530, batch=16, lr=2e-4, average=0.9999)

    class Stop(Exception):
        pass

    def stop(record: dict[str, Any]) -> None:
        if record["stage"] == "draw" and record["step"] > 300:
            raise Stop

    with pytest.warns(DataWarning):
        whole = ImageGenerator(still, recipe=recipe).fit(x, y)
    with pytest.raises(Stop):
        ImageGenerator(still, recipe=recipe).fit(x, y, out=tmp_path, on_epoch=stop)
    with pytest.warns(DataWarning):
        again = ImageGenerator(still, recipe=recipe).fit(x, y, out=tmp_path, resume=True)
    assert again.warnings_ == whole.warnings_


def test_copies_of_what_was_trained_on_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = digits(400)
    trained: list[torch.Tensor] = []
    fit, draw = picture_fits.Judge.settle, picture_fits.drawn

    def settle(self: Any, pixels: torch.Tensor, rows: np.ndarray) -> None:
        trained.append(pixels[torch.from_numpy(rows)])
        fit(self, pixels, rows)

    def by_heart(learner: Any, labels: Any, part: slice, *rest: Any) -> torch.Tensor:
        return trained[0][part].float() if trained else draw(learner, labels, part, *rest)

    monkeypatch.setattr(picture_fits.Judge, "settle", settle)
    monkeypatch.setattr(picture_fits, "drawn", by_heart)
    with pytest.warns(DataWarning, match=r"100.0% of the drawn pictures are as near to one trained on.*dropout"):
        made().fit(x, y)


def test_guidance_needs_pictures_without_labels_to_have_been_learned() -> None:
    plain = Diffusion(channels=(8, 16), depth=1, unlabelled=0.0)
    with pytest.raises(BadInput, match=r"family.unlabelled above 0"):
        ImageGenerator(plain, guidance=2.0, recipe=Recipe(steps=1)).fit(*digits())
    model = ImageGenerator(plain, recipe=Recipe(steps=1, batch=16)).fit(*digits())
    assert model.generate(2, guidance=1.0).shape == (2, 8, 8)
    with pytest.raises(BadInput, match=r"family.unlabelled above 0"):
        model.generate(2, guidance=2.0)


@pytest.mark.parametrize("count", [10, 14])
def test_a_handful_of_pictures_is_looked_at_too(count: int) -> None:
    x, _ = digits(count)
    model = made(recipe=Recipe(steps=204, batch=4)).fit(x)
    assert all(np.isfinite(record["variety"]) for record in model.history_ if record["stage"] == "draw")


def test_memory_is_that_of_the_dearest_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    """A generator much larger than its critic takes most in its own turn, which is not the first."""
    monkeypatch.setattr(picture_fits, "free_memory", lambda: 30_000_000)
    large = GAN(generator=CNN(channels=(64,), depth=6), critic=DNN(hidden=(4,)), loss="vanilla", latent=8)
    x, y = digits(1_700)
    with pytest.raises(BadInput, match="a step of 1,024 pictures of 8 x 8 takes about"):
        ImageGenerator(large, recipe=Recipe(steps=1, batch=1_024)).fit(x, y)


def test_one_label_is_no_label() -> None:
    x, _ = digits(40)
    with pytest.raises(BadInput, match="labelled=True needs two labels at least"):
        made(labelled=True).fit(x, ["a"] * 40)
