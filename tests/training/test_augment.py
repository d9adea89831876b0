"""Pictures varied while they train: each way on pictures made by hand, and all ways at once on any shape."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from decet.contracts import Batch, Clock, ImageSpec
from decet.training.augment import Augmentation, asked, blanked, mirrored, pasted, recoloured, shifted, turned
from decet.training.loop import seed_all
from decet.training.recipe import FALLBACK, Recipe

STEPS, LAST = 5, 60  # batches an epoch, and in all
ALL = Recipe(flip=True, crop=2, rotate=20.0, zoom=0.2, colour=0.3, erase=0.3, mixup=1.0, cutmix=1.0, grow=0.5)


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


def varied(
    recipe: Recipe, batch: Batch, step: int = 0, *, spec: ImageSpec | None = None, classes: int | None = None
) -> Batch:
    """What the loop does at a step: seed, then augment."""
    pixels = batch.inputs[0]
    frames = pixels.shape[2] if pixels.dim() == 5 else None
    spec = spec or ImageSpec(pixels.shape[1], *pixels.shape[-2:], frames=frames)
    clock = Clock(seed=3, step=step, plan=[(0, 0.0, LAST)])
    seed_all(clock.key("step"), torch.device("cpu"))
    return Augmentation(recipe, spec, STEPS, classes)(batch, clock)


def noise(*shape: int) -> torch.Tensor:
    """Bytes of pixels that are all different pictures."""
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def disc(height: int, width: int, y: float, x: float, radius: float) -> torch.Tensor:
    """A bright disc with a soft edge on black, (1, height, width)."""
    down = torch.arange(height).view(-1, 1) + 0.5 - y
    right = torch.arange(width) + 0.5 - x
    return 200 * (radius + 0.5 - (down**2 + right**2).sqrt()).clamp(0, 1).unsqueeze(0)


def centre(picture: torch.Tensor) -> tuple[float, float]:
    """Where the light of a picture (1, H, W) has its centre, in pixels from the middle."""
    light = picture[0] / picture.sum()
    height, width = light.shape
    y = float((light.sum(1) * (torch.arange(height) + 0.5)).sum()) - height / 2
    x = float((light.sum(0) * (torch.arange(width) + 0.5)).sum()) - width / 2
    return y, x


# ------------------------------------------------------------------------------------------------------ what is asked


def test_what_a_recipe_asks_for():
    assert asked(None) == asked(Recipe()) == asked(FALLBACK) == asked(Recipe(flip=False, crop=0, grow=1.0)) == []
    assert asked(Recipe(crop=4, lr=0.1)) == ["crop"]
    assert asked(ALL) == ["flip", "crop", "rotate", "zoom", "colour", "erase", "mixup", "cutmix", "grow"]


def test_where_nothing_is_asked_the_batch_is_as_it_was():
    batch = Batch((noise(3, 3, 4, 5), "more"), torch.zeros(3, 1), torch.ones(3), rows=torch.arange(3))
    after = varied(FALLBACK, batch)
    assert after.inputs[0] is batch.inputs[0]
    assert (after.target, after.weight, after.rows, after.inputs[1]) == (batch.target, batch.weight, batch.rows, "more")


# ----------------------------------------------------------------------------------------------------- mirror images


def faces(count: int) -> torch.Tensor:
    """Pictures (count, 1, 1, 2) that look right: 0 1. Mirrored ones look left: 1 0."""
    return torch.tensor([0.0, 1.0]).expand(count, 1, 1, 2)


def test_every_picture_is_mirrored_in_every_other_epoch_and_about_half_are_in_each():
    rows = torch.arange(4000)
    left = torch.stack([mirrored(faces(4000), rows, 77, epoch)[:, 0, 0, 0] for epoch in range(5)])
    assert set(left.unique().tolist()) == {0.0, 1.0}
    assert torch.equal(left[1:], 1 - left[:-1])
    assert 0.47 < float(left[0].mean()) < 0.53


def test_which_pictures_are_mirrored_tells_nothing_of_their_neighbours_and_depends_on_the_seed():
    one, other = (mirrored(faces(4000), torch.arange(4000), seed, 0)[:, 0, 0, 0] for seed in (77, 78))
    for apart in (1, 2, 3, 10):
        assert 0.45 < float((one[apart:] == one[:-apart]).float().mean()) < 0.55
        assert 0.45 < float((one[apart:] == other[:-apart]).float().mean()) < 0.55 or apart == 1
    assert 0.45 < float((one == other).float().mean()) < 0.55


def test_a_picture_is_mirrored_by_its_row_whatever_stands_beside_it_in_the_batch():
    recipe, rows = Recipe(flip=True), torch.arange(40)
    whole = varied(recipe, Batch((faces(40),), rows=rows), step=STEPS).inputs[0]
    mixed = torch.randperm(40)
    for step in range(STEPS, 2 * STEPS):  # the whole of an epoch
        assert torch.equal(varied(recipe, Batch((faces(40),), rows=rows[mixed]), step).inputs[0], whole[mixed])
    assert torch.equal(varied(recipe, Batch((faces(40),), rows=rows), 2 * STEPS).inputs[0], whole.flip(-1))


def test_without_rows_the_place_in_the_batch_decides():
    with_rows = mirrored(noise(20, 3, 4, 5), torch.arange(20), 9, 0)
    assert torch.equal(mirrored(noise(20, 3, 4, 5), None, 9, 0), with_rows)


# -------------------------------------------------------------------------------------------------------------- shift


@pytest.mark.parametrize(("height", "width", "most"), [(5, 7, 3), (6, 6, 1), (3, 4, 9), (1, 6, 2), (1, 1, 2)])
def test_shifting_equals_numpys_reflection_and_a_crop(height, width, most):
    pixels = noise(200, 2, height, width)
    after = shifted(pixels, most).numpy()
    assert after.dtype == np.uint8
    seen = set()
    for one, moved in zip(pixels.numpy(), after, strict=True):
        framed = np.pad(one, ((0, 0), (most, most), (most, most)), mode="reflect")
        ways = [
            (down, right)
            for down in range(2 * most + 1)
            for right in range(2 * most + 1)
            if np.array_equal(framed[:, down : down + height, right : right + width], moved)
        ]
        assert ways
        seen.add(ways[0])
    if min(height, width) > 2 * most:
        assert len(seen) == (2 * most + 1) ** 2  # each way was taken by some picture
    assert len(seen) > 1 or height == width == 1


def test_shifted_pictures_stay_channels_last_in_memory():
    pixels = noise(4, 3, 8, 8).contiguous(memory_format=torch.channels_last)
    assert shifted(pixels, 2).is_contiguous(memory_format=torch.channels_last)


# ------------------------------------------------------------------------------------------------------- turn and zoom


def test_turning_by_0_and_stretching_by_0_is_the_identity():
    pixels = noise(5, 3, 9, 14)
    torch.testing.assert_close(turned(pixels, 0.0, 0.0), pixels.float(), atol=0.01, rtol=0)


def test_turning_keeps_a_disc_in_the_middle():
    picture = disc(40, 56, 20, 28, 9)
    after = turned(picture.expand(30, 1, 40, 56), math.pi, 0.0)
    assert after.mean((1, 2, 3)).tolist() == pytest.approx([float(picture.mean())] * 30, rel=0.01)
    torch.testing.assert_close(after, picture.expand_as(after), atol=60.0, rtol=0)  # but for its edge
    assert float((after - picture).abs().mean()) < 1.0


def test_turning_moves_what_is_beside_the_middle_on_a_circle_by_no_more_than_the_angle():
    picture = disc(40, 56, 20, 38, 5)  # 10 pixels right of the middle
    after = turned(picture.expand(200, 1, 40, 56), math.radians(30), 0.0)
    places = np.array([centre(one) for one in after])
    assert np.hypot(*places.T) == pytest.approx(np.full(200, 10.0), abs=0.15)
    angles = np.degrees(np.arctan2(*places.T))
    assert np.abs(angles).max() < 30.5
    assert np.abs(angles).max() > 25
    assert abs(angles.mean()) < 5
    assert float(after.sum((1, 2, 3)).std()) < 0.01 * float(picture.sum())  # a circle stays a circle


def test_stretching_changes_each_side_for_itself_by_no_more_than_the_share():
    picture = torch.zeros(1, 40, 60)
    picture[:, 10:30, 15:45] = 100.0
    after = turned(picture.expand(300, 1, 40, 60), 0.0, 0.25)
    tall, wide = after.sum(-2).amax(-1).flatten() / 100, after.sum(-1).amax(-1).flatten() / 100  # in pixels
    for side, own in ((tall / 20, "height"), (wide / 30, "width")):
        assert 0.79 < float(side.min()) < 0.85, own
        assert 1.18 < float(side.max()) < 1.26, own
        assert float(side.log().mean()) == pytest.approx(0.0, abs=0.03), own
    assert abs(float(torch.corrcoef(torch.stack([tall, wide]))[0, 1])) < 0.2


def test_beyond_the_border_the_border_is_repeated():
    flat = torch.full((20, 1, 8, 10), 70.0)
    torch.testing.assert_close(turned(flat, math.pi, 0.5), flat)


# -------------------------------------------------------------------------------------------------------------- colour


def test_colours_changed_by_0_are_the_same():
    pixels = noise(5, 3, 4, 6)
    assert torch.equal(recoloured(pixels, 0.0, 3), pixels.float())


def test_brightness_contrast_and_saturation_by_hand():
    pixels = noise(2, 3, 4, 5)
    torch.manual_seed(4)
    after = recoloured(pixels, 0.5, 3)
    torch.manual_seed(4)
    light, contrast, saturation = (1 + 0.5 * (torch.rand(3, 2) * 2 - 1)).numpy()
    for i, one in enumerate(pixels.numpy().astype(np.float64)):
        one = one * light[i]
        one = one.mean() + contrast[i] * (one - one.mean())
        grey = one.mean(0)
        by_hand = np.clip(grey + saturation[i] * (one - grey), 0, 255)
        torch.testing.assert_close(after[i], torch.from_numpy(by_hand).float(), atol=1e-3, rtol=0)
    assert len({*light, *contrast, *saturation}) == 6


def test_a_grey_surface_only_turns_brighter_or_darker():
    flat = torch.full((500, 3, 2, 2), 100.0)
    after = recoloured(flat, 0.2, 3)
    torch.testing.assert_close(after, after[:, :1, :1, :1].expand_as(after))
    values = after[:, 0, 0, 0]
    assert 80 <= float(values.min()) < 82
    assert 118 < float(values.max()) <= 120.001


def test_colours_stay_between_0_and_255():
    after = recoloured(noise(50, 3, 4, 4), 1.0, 3)
    assert float(after.min()) == 0.0
    assert float(after.max()) == 255.0


# ---------------------------------------------------------------------------------------------------------- blank parts


def test_a_square_of_the_stated_share_of_each_side_is_blanked():
    count, height, width = 400, 8, 12
    blank = (blanked(torch.zeros(count, 1, height, width), 0.5, torch.ones(1, 1, 1, 1)) == 1)[:, 0]
    tall, wide = blank.any(2).sum(1), blank.any(1).sum(1)
    assert torch.equal(blank.sum((1, 2)), tall * wide)  # whole rectangles
    assert (int(tall.max()), int(wide.max())) == (4, 6)
    assert (int(tall.min()), int(wide.min())) == (2, 3)  # half of it lies beyond the border
    whole = ((tall == 4) & (wide == 6)).float().mean()
    assert float(whole) == pytest.approx((5 / 8) * (7 / 12), abs=0.1)  # centres at which all of it is inside
    assert bool(blank.any(0).all())  # anywhere


def test_blank_parts_have_the_mean_colour_of_the_data():
    recipe, pixels = Recipe(erase=0.5), torch.zeros(40, 2, 6, 6)
    told = varied(recipe, Batch((pixels,)), spec=ImageSpec(2, 6, 6, scale=((30.0, 9.0), (200.5, 9.0)))).inputs[0]
    assert told[:, 0].unique().tolist() == [0.0, 30.0]
    assert told[:, 1].unique().tolist() == [0.0, 200.5]
    assert varied(recipe, Batch((pixels,))).inputs[0].unique().tolist() == [0.0, 127.5]
    assert varied(recipe, Batch((pixels.byte(),))).inputs[0].unique().tolist() == [0, 127]
    clips = torch.zeros(40, 2, 3, 6, 6)
    scale = ((30.0, 9.0), (200.5, 9.0))
    told = varied(recipe, Batch((clips,)), spec=ImageSpec(2, 6, 6, frames=3, scale=scale)).inputs[0]
    assert [told[:, c].unique().tolist() for c in range(2)] == [[0.0, 30.0], [0.0, 200.5]]


# ------------------------------------------------------------------------------------------------------- mixed pictures


def flats(count: int) -> Batch:
    """Picture k has the value k everywhere and the label k."""
    values = torch.arange(count, dtype=torch.float32)
    return Batch((values.view(-1, 1, 1, 1).expand(-1, 3, 6, 10).clone(),), torch.arange(count).view(-1, 1))


def test_pasting_gives_each_label_the_share_of_the_area_that_its_picture_has():
    areas = []
    for step in range(40):
        after = varied(Recipe(cutmix=1.0), flats(6), step, classes=6)
        pixels, shares = after.inputs[0], after.target
        assert shares.shape == (6, 6)
        by_hand = torch.stack([(pixels == k).float().mean((1, 2, 3)) for k in range(6)], 1)
        torch.testing.assert_close(shares, by_hand, atol=1e-6, rtol=0)
        areas.append(round(float(shares.max(0).values.min()), 4))
        other = pixels[2, 0] != 2.0
        rows, columns = other.any(1), other.any(0)
        assert torch.equal(other, rows.unsqueeze(1) & columns)  # one rectangle
    assert len(set(areas)) > 5


def test_the_pasted_rectangle_has_the_area_left_by_the_share():
    pixels, other = flats(2).inputs[0], torch.tensor([1, 0])
    assert pasted(pixels, other, 1.0)[1] == 1.0
    assert torch.equal(pasted(pixels, other, 1.0)[0], pixels)
    kept = [pasted(pixels, other, 0.75)[1] for _ in range(200)]
    assert min(kept) == pytest.approx(1 - 3 * 5 / 60)  # half of each side, where all of it is inside
    assert max(kept) <= 1 - 1 * 2 / 60  # at a corner a part of it
    assert pixels.unique().tolist() == [0.0, 1.0]  # what was given is not written to


def test_mixing_is_the_same_for_pixels_and_labels():
    shares = []
    for step in range(40):
        after = varied(Recipe(mixup=0.4), flats(6), step, classes=6)
        pixels, target = after.inputs[0], after.target
        torch.testing.assert_close(target.sum(1), torch.ones(6))
        torch.testing.assert_close(pixels[:, 0, 0, 0], target @ torch.arange(6.0), atol=1e-5, rtol=0)
        torch.testing.assert_close(pixels, pixels[:, :1, :1, :1].expand_as(pixels))
        shares.append(round(float(target.max(0).values.min()), 4))
    assert len(set(shares)) > 20


def test_pictures_of_bytes_are_mixed_as_numbers():
    batch = flats(6)
    ours = varied(Recipe(mixup=1.0), Batch((batch.inputs[0].byte(),), batch.target), classes=6)
    assert torch.equal(ours.inputs[0], varied(Recipe(mixup=1.0), batch, classes=6).inputs[0])


def test_where_both_are_asked_each_batch_is_mixed_or_pasted():
    both = Recipe(mixup=1.0, cutmix=1.0)
    pasted_ones = 0
    for step in range(60):
        after = varied(both, flats(6), step, classes=6)
        torch.testing.assert_close(after.target.sum(1), torch.ones(6))
        pasted_ones += bool((after.inputs[0] == after.inputs[0].round()).all())
    assert 18 < pasted_ones < 42


@pytest.mark.parametrize("settings", [{"mixup": 1.0}, {"cutmix": 1.0}])
def test_labels_that_are_shares_already_are_mixed_too(settings):
    soft = torch.tensor([[0.9, 0.1, 0.0], [0.0, 0.5, 0.5], [0.2, 0.2, 0.6], [0.0, 0.0, 1.0]])
    hard = varied(Recipe(**settings), flats(4), classes=4)
    after = varied(Recipe(**settings), Batch(flats(4).inputs, soft), classes=3)
    torch.testing.assert_close(after.target, hard.target @ soft)


def test_where_labels_cannot_be_mixed_pictures_are_not_either():
    after = varied(Recipe(mixup=1.0, cutmix=1.0), flats(6), classes=None)
    assert torch.equal(after.inputs[0], flats(6).inputs[0])
    assert torch.equal(after.target, flats(6).target)


@pytest.mark.parametrize("settings", [{"mixup": 1.0}, {"cutmix": 1.0}])
def test_the_loss_of_weighted_rows_is_the_weighted_loss_of_both_pictures(settings):
    weight = torch.tensor([1.0, 0.0, 2.0, 0.5, 4.0, 0.0])
    plain = varied(Recipe(**settings), flats(6), 4, classes=6)
    batch = flats(6)
    batch.weight = weight
    after = varied(Recipe(**settings), batch, 4, classes=6)
    logs = torch.randn(6, 6).log_softmax(-1)  # of any network
    loss = -(after.target * logs).sum(-1) * after.weight
    torch.testing.assert_close(loss, -(plain.target * weight * logs).sum(-1))
    assert bool((after.target[:, weight == 0] == 0).all())  # a row that does not count teaches nothing
    torch.testing.assert_close(after.weight.sum(), weight.sum())


# -------------------------------------------------------------------------------------------------------------- growth


def sides(height: int, width: int, grow: float) -> list[tuple[int, int]]:
    """The sizes of pictures at each step of training."""
    batch = Batch((noise(1, 3, height, width),))
    shapes = [varied(Recipe(grow=grow), batch, step).inputs[0].shape[-2:] for step in range(LAST)]
    return [(h, w) for h, w in shapes]


def test_pictures_grow_by_fours_to_their_own_size_at_two_thirds():
    found = sides(32, 48, 0.5)
    assert found[0] == (16, 24)
    assert found[20] == (24, 36)  # halfway there
    assert found[36] != (32, 48)
    assert set(found[40:]) == {(32, 48)}
    assert all(h % 4 == w % 4 == 0 for h, w in found)
    assert all(a[0] <= b[0] and a[1] <= b[1] for a, b in pairwise(found))
    assert len(set(found)) > 4


@pytest.mark.parametrize(("height", "width"), [(50, 30), (31, 128), (25, 29), (3, 40), (1, 1), (2, 7), (28, 28)])
def test_pictures_of_any_size_reach_it_and_never_surpass_it(height, width):
    found = sides(height, width, 0.6)
    assert set(found[40:]) == {(height, width)}
    assert all(h <= height and w <= width for h, w in found)
    assert all(a[0] <= b[0] and a[1] <= b[1] for a, b in pairwise(found))
    assert all(h % 4 == 0 or h == height for h, _ in found)


def test_smaller_pictures_are_means_of_their_parts():
    halves = torch.tensor([10.0, 200.0]).repeat_interleave(16).expand(1, 1, 32, 32)
    small = varied(Recipe(grow=0.25), Batch((halves,))).inputs[0]
    assert small.shape == (1, 1, 8, 8)
    assert float(small.mean()) == pytest.approx(105.0, rel=0.01)
    assert small[0, 0, 3, [0, 7]].tolist() == pytest.approx([10.0, 200.0], rel=0.01)


# ------------------------------------------------------------------------------------------------------ all together


@pytest.mark.parametrize("step", [3, 58])
def test_the_frames_of_a_clip_change_alike(step):
    pictures = noise(6, 3, 12, 16)
    still = pictures.unsqueeze(2).expand(-1, -1, 5, -1, -1)  # (B, C, T, H, W)
    target = torch.arange(6).view(-1, 1)
    clips = varied(ALL, Batch((still,), target), step, classes=6)
    one = varied(ALL, Batch((pictures,), target), step, classes=6)
    assert clips.inputs[0].shape[:3] == (6, 3, 5)
    for frame in clips.inputs[0].unbind(2):
        torch.testing.assert_close(frame, one.inputs[0], atol=1e-3, rtol=1e-5)
    assert torch.equal(clips.target, one.target)


@pytest.mark.parametrize(
    "name", ["flip", "crop", "rotate", "zoom", "colour", "erase", "mixup", "cutmix", "grow", "everything"]
)
def test_the_same_step_gives_the_same_bits_and_another_step_others(name):
    recipe = ALL if name == "everything" else Recipe(**{name: getattr(ALL, name)})
    batch = Batch((noise(8, 3, 16, 16),), torch.arange(8).view(-1, 1), rows=torch.arange(8))
    before = batch.inputs[0].clone()
    first, again, later = (varied(recipe, batch, step, classes=8) for step in (2, 2, 2 + 7 * STEPS))
    assert torch.equal(first.inputs[0], again.inputs[0])
    assert torch.equal(first.target, again.target)
    assert not torch.equal(first.inputs[0], before) or name == "grow"
    assert first.inputs[0].shape != later.inputs[0].shape or not torch.equal(first.inputs[0], later.inputs[0])
    assert torch.equal(batch.inputs[0], before)  # the data are never written to
    assert batch.target.tolist() == [[k] for k in range(8)]


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
@pytest.mark.parametrize(
    "shape",
    [(1, 3, 8, 8), (4, 1, 5, 9), (3, 3, 1, 1), (3, 2, 1, 6), (2, 3, 4, 7, 6), (1, 1, 2, 1, 1)],
    ids=["one picture", "not square", "one pixel", "one row", "clips", "clip of a pixel"],
)
@pytest.mark.parametrize("step", [0, LAST - 1])
def test_pictures_of_any_shape_are_varied(shape, dtype, step):
    target = torch.arange(shape[0]).view(-1, 1)
    after = varied(ALL, Batch((noise(*shape).to(dtype),), target), step, classes=4)
    pixels = after.inputs[0]
    assert pixels.shape[:-2] == shape[:-2]
    assert pixels.shape == shape or step == 0
    assert pixels.dtype == torch.float32
    assert bool(torch.isfinite(pixels).all())
    assert float(pixels.min()) >= -0.01
    assert float(pixels.max()) <= 255.01
    torch.testing.assert_close(after.target.sum(1), torch.ones(shape[0]))


def test_a_batch_of_one_is_mixed_with_itself():
    after = varied(Recipe(mixup=1.0), Batch((noise(1, 3, 4, 4),), torch.tensor([[2]])), classes=3)
    torch.testing.assert_close(after.inputs[0], noise(1, 3, 4, 4).float())
    assert torch.equal(after.target, F.one_hot(torch.tensor([2]), 3).float())


def test_pictures_that_are_only_moved_stay_bytes():
    after = varied(Recipe(flip=True, crop=1, erase=0.2), Batch((noise(4, 3, 8, 8),)))
    assert after.inputs[0].dtype == torch.uint8
