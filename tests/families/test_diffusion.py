"""Diffusion: learns what pictures there are, draws them by label, fills in, and comes back from noise."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from decet.contracts import Batch, ImageSpec, Stage
from decet.data.resident import Resident
from decet.errors import BadInput, Unsupported
from decet.families.diffusion import Denoiser, Diffusion
from decet.nn.samplers import SAMPLERS, Drawing, Known
from decet.nn.stems import inside
from decet.settings import joined
from decet.tasks.draw import fresh_of, noise_of
from decet.training.loop import train
from decet.training.recipe import FALLBACK, Recipe

SPEC = ImageSpec(1, 8, 8)
SMALL = Diffusion(channels=(16, 32), depth=1, attention=1)
HOW = Drawing("dpm", 12, 1.0)
BASE = replace(FALLBACK, epochs=None)
CPU = torch.device("cpu")


def halves(count: int = 256) -> tuple[Tensor, Tensor]:
    """Two kinds of pictures: white above, or white below, with a little noise; and which each is."""
    torch.manual_seed(5)
    kind = torch.arange(count) % 2
    found = torch.zeros(count, 1, 8, 8)
    found[kind == 0, :, :4], found[kind == 1, :, 4:] = 220.0, 220.0
    return (found + 12 * torch.randn_like(found)).clamp(0, 255).to(torch.uint8), kind.unsqueeze(1)


def fitted(family: Diffusion, steps: int = 250, classes: int = 2) -> Denoiser:
    x, y = halves()
    torch.manual_seed(0)
    learner = family.learner(SPEC, classes)
    recipe = joined(Recipe(steps=steps, batch=64, lr=2e-3, average=0.98), BASE)
    train([Stage(learner, Resident((x,), y, None, None, 64), recipe)], seed=0)
    return learner.eval()


@pytest.fixture(scope="module")
def learned() -> Denoiser:
    return fitted(SMALL)


def drawn(learner: Denoiser, labels: Tensor | None, how: Drawing = HOW, known: Known | None = None) -> Tensor:
    count = 32 if labels is None else len(labels)
    part = slice(0, count)
    how = how._replace(fresh=fresh_of(learner.shape, part, 3, CPU), known=known)
    return learner.draw(noise_of(learner.shape, part, 3), labels, how)


def above(found: Tensor) -> Tensor:
    """How much lighter the upper half is than the lower."""
    return found[:, :, :4].mean((1, 2, 3)) - found[:, :, 4:].mean((1, 2, 3))


@pytest.mark.parametrize("sampler", list(SAMPLERS))
def test_every_sampler_draws_what_the_label_says(learned: Denoiser, sampler: str) -> None:
    labels = torch.arange(32) % 2
    steps = 60 if sampler in ("ddpm", "euler-ancestral") else 16
    lighter = above(drawn(learned, labels, Drawing(sampler, steps, 1.0)))
    assert (lighter[labels == 0] > 120).all()
    assert (lighter[labels == 1] < -120).all()


def test_without_a_label_both_kinds_are_drawn(learned: Denoiser) -> None:
    lighter = above(drawn(learned, None))
    assert (lighter.abs() > 100).float().mean() > 0.9
    assert 0.2 < float((lighter > 0).float().mean()) < 0.8


@pytest.mark.parametrize(
    "family",
    [
        Diffusion(schedule="flow"),
        Diffusion(schedule="linear", predict="noise", snr=0.0),
        Diffusion(predict="picture"),
        Diffusion(schedule="linear"),
        Diffusion(fold=2),
    ],
    ids=["flow", "ddpm", "picture", "linear", "folded"],
)
def test_other_schedules_and_predictions_learn_too(family: Diffusion) -> None:
    labels = torch.arange(32) % 2
    lighter = above(drawn(fitted(joined(family, SMALL)), labels, Drawing("ddim", 24, 1.0)))
    assert ((lighter > 0) == (labels == 0)).float().mean() > 0.95


def test_guidance_none_is_without_the_label_and_one_as_learned(learned: Denoiser) -> None:
    x, labels = torch.randn(4, 1, 8, 8), torch.tensor([0, 1, 0, 1])
    without = learned.picture(x, 0.6, None, 1.0)
    torch.testing.assert_close(learned.picture(x, 0.6, labels, 0.0), without, rtol=1e-4, atol=1e-4)
    assert not torch.allclose(learned.picture(x, 0.6, labels, 1.0), without, atol=1e-2)


def test_what_is_known_stays_and_the_rest_fits_it(learned: Denoiser) -> None:
    x, _ = halves(32)
    kept = torch.zeros(32, 1, 8, 8, dtype=torch.bool)
    kept[..., :4] = True  # half of the columns are known: enough to tell which kind it is
    known = Known(kept, inside(x))
    found = drawn(learned, None, Drawing("ddpm", 20, 1.0, again=5), known)
    assert (found - x.float()).abs()[kept].max() < 1.0
    assert (above(found) * above(x.float()).sign() > 120).all()


def test_a_picture_comes_back_from_its_noise(learned: Denoiser) -> None:
    x, y = halves(8)
    how = Drawing("ddim", 100, 1.0)
    back = learned.draw(learned.encode(x, y[:, 0], how), y[:, 0], how)
    assert (back - x.float()).abs().mean() < 20
    assert ((above(back) > 0) == (above(x.float()) > 0)).all()


def test_it_overfits_one_batch_of_one_picture() -> None:
    x = halves(2)[0][:1].repeat(64, 1, 1, 1)
    torch.manual_seed(0)
    learner = SMALL.learner(SPEC)
    recipe = joined(Recipe(steps=200, batch=64, lr=4e-3), BASE)
    train([Stage(learner, Resident((x,), torch.zeros(64, 1, dtype=torch.int64)), recipe)], seed=0)
    found = drawn(learner.eval(), None)
    assert (found - x[:1].float()).abs().mean() < 12


def test_every_parameter_learns() -> None:
    x, y = halves(64)
    learner = SMALL.learner(SPEC, 2)
    recipe = joined(Recipe(steps=8, batch=64, lr=1e-2), BASE)
    before = {name: p.detach().clone() for name, p in learner.named_parameters()}
    train([Stage(learner, Resident((x,), y, None, None, 64), recipe)], seed=0)
    assert [name for name, p in learner.named_parameters() if torch.equal(p, before[name])] == []


def test_a_share_of_labels_is_left_out() -> None:
    learner = Diffusion(unlabelled=0.25).learner(SPEC, 3)
    torch.manual_seed(0)
    batch = Batch((torch.zeros(8_000, 1, 1, 1),), torch.full((8_000, 1), 2))
    labels = learner._labels(batch)
    assert labels is not None
    assert float((labels == 3).float().mean()) == pytest.approx(0.25, abs=0.02)
    assert set(labels.tolist()) == {2, 3}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"predict": "x0"}, "predict must be"),
        ({"schedule": "sigmoid"}, "schedule must be"),
        ({"channels": 64}, "channels must list"),
        ({"unlabelled": 1.0}, "unlabelled"),
        ({"fold": 0}, "fold"),
        ({"predict": "noise", "terminal": True}, "terminal=True ends in noise alone"),
        ({"predict": "noise", "schedule": "flow"}, "schedule='flow' ends in noise alone"),
    ],
)
def test_settings_that_cannot_be_are_told(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(BadInput, match=message):
        Diffusion(**settings)


def test_clips_are_refused() -> None:
    with pytest.raises(Unsupported, match="Diffusion draws pictures"):
        Diffusion().learner(ImageSpec(1, 8, 8, frames=4))


def test_ddpm_of_2020_is_one_word() -> None:
    plain = Diffusion.plain()
    assert (plain.schedule, plain.predict, plain.snr, plain.terminal) == ("linear", "noise", 0.0, False)
