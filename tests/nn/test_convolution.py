"""Parts of convolutional networks against torch's own, against hand-worked numbers, and blind to padding."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from decet.errors import BadInput
from decet.families.resnet import ResNet
from decet.nn.convolution import (
    ACTIVATIONS,
    BatchNorm,
    Filters,
    GroupNorm,
    Layer,
    NoNorm,
    Pool,
    Whitening,
    Window,
    check_list,
    dirac,
    ended,
    norm_of,
    picture_features,
    pooled,
    real,
    whitening,
    with_condition,
)

LENGTHS = torch.tensor([7, 1, 4])


def _series(channels: int = 3) -> torch.Tensor:
    """Three sequences of 7, 1 and 4 steps, zero beyond."""
    torch.manual_seed(0)
    return ended(torch.randn(3, channels, 7), LENGTHS)


def _alone(x: torch.Tensor, row: int) -> torch.Tensor:
    return x[row : row + 1, :, : int(LENGTHS[row])]


# -------------------------------------------------------------------------------------------------- sequences' ends


def test_real_and_ended_keep_what_lies_within_the_lengths():
    x = torch.ones(2, 1, 3)
    assert real(x, torch.tensor([2, 3])).tolist() == [[[True, True, False]], [[True, True, True]]]
    assert ended(x, torch.tensor([2, 3])).tolist() == [[[1, 1, 0]], [[1, 1, 1]]]
    assert ended(x, None) is x


def test_filters_over_words_end_to_end_are_a_convolution():
    layer, words = Window(4, 6, 3), torch.randn(9, 4)
    windows = torch.cat([words[i : i + 5] for i in range(5)], 1)  # of five words, of which three are looked at
    weight = layer.weight.unflatten(1, (3, 4)).transpose(1, 2)
    expected = F.conv1d(words.T.unsqueeze(0), weight, layer.bias)[0].T[:5]
    torch.testing.assert_close(layer(windows), expected, atol=1e-5, rtol=1e-5)


# ------------------------------------------------------------------------------------------------------------ norms


@pytest.mark.parametrize(
    ("shape", "kind"), [((6, 5), nn.BatchNorm1d), ((6, 5, 4), nn.BatchNorm1d), ((6, 5, 3, 4), nn.BatchNorm2d)]
)
def test_batch_norm_equals_torchs_in_training_and_after(shape, kind):
    own, theirs, x = BatchNorm(5), kind(5), torch.randn(shape) * 3 + 1
    for mode in (True, False):
        torch.testing.assert_close(own.train(mode)(x), theirs.train(mode)(x))
    assert own.state_dict().keys() == theirs.state_dict().keys()


def test_batch_norm_without_a_trained_scale_trains_its_shift_alone():
    norm = BatchNorm(5, scaled=False)
    assert [name for name, _ in norm.named_parameters()] == ["bias"]
    x = torch.randn(6, 5, 3, 3)
    torch.testing.assert_close(norm(x), nn.BatchNorm2d(5)(x))
    norm(x).square().sum().backward()
    assert norm.bias.grad is not None


@pytest.mark.parametrize("shape", [(1, 5), (1, 5, 1, 1)])
def test_batch_norm_of_one_value_a_channel_takes_the_running_statistics(shape):
    norm, x = BatchNorm(5).train(), torch.randn(shape)
    torch.testing.assert_close(norm(x), x / (1 + norm.eps) ** 0.5)


def test_batch_norm_of_sequences_counts_real_positions_alone():
    x = _series()
    rows = torch.cat([_alone(x, row)[0].T for row in range(3)])  # (12, 3)
    own, theirs = BatchNorm(3), nn.BatchNorm1d(3)
    out, expected = own(x, LENGTHS), theirs(rows)
    torch.testing.assert_close(torch.cat([_alone(out, row)[0].T for row in range(3)]), expected)
    torch.testing.assert_close(own.running_var, theirs.running_var)
    assert bool((out.masked_select(~real(x, LENGTHS)) == 0).all())


def test_group_norm_equals_torchs_on_pictures_and_has_two_channels_or_more_a_group():
    x = torch.randn(4, 64, 5, 5)
    torch.testing.assert_close(GroupNorm(64)(x), nn.GroupNorm(32, 64)(x))
    assert [GroupNorm(width).num_groups for width in (1, 2, 3, 6, 24, 96, 512)] == [1, 1, 1, 1, 4, 16, 32]


def test_group_norm_takes_rows_and_positions_of_sequences_each_by_itself():
    x = torch.randn(2, 6, 5)
    out = GroupNorm(6)(x)
    torch.testing.assert_close(out[:, :, 3], F.layer_norm(x[:, :, 3], (6,)))
    torch.testing.assert_close(GroupNorm(6)(x[:, :, 3]), out[:, :, 3])


def test_norm_of_gives_what_is_named():
    kinds = [type(norm_of(name, 8)) for name in ("batch", "group", "none")]
    assert kinds == [BatchNorm, GroupNorm, NoNorm]
    assert norm_of("batch", 8, momentum=0.4).momentum == 0.4


# ---------------------------------------------------------------------------------------------------------- filters


@pytest.mark.parametrize("dims", [1, 2])
@pytest.mark.parametrize("kernel", [1, 2, 3, 4, 7])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("padding", ["same", "valid"])
def test_filters_give_the_sides_that_they_say(dims, kernel, stride, padding):
    for side in (7, 8, 11):
        filters = Filters(dims, 2, 3, kernel, stride, padding)
        out = filters(torch.randn(2, 2, *[side] * dims))
        assert out.shape == (2, 3, *[filters.side(side)] * dims)
        if dims == 1:
            assert filters.left(torch.tensor([side])).tolist() == [out.shape[-1]]


def test_filters_of_an_even_window_pad_one_more_on_the_far_side_as_torch_does():
    filters, x = Filters(1, 2, 3, 8), torch.randn(2, 2, 9)
    torch.testing.assert_close(filters(x), F.conv1d(x, filters.conv.weight, padding="same"))


@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize(
    ("norm", "activation"), [*zip(["batch", "group", "none"] * 2, sorted(ACTIVATIONS), strict=True)]
)
def test_a_layer_gives_each_sequence_what_it_gives_it_alone(padding, stride, norm, activation):
    filters = Filters(1, 3, 4, 5, stride, padding, bias=norm == "none")
    layer = Layer(filters, norm_of(norm, 4), ACTIVATIONS[activation]()).eval()
    for p in layer.norm.parameters():
        p.data.normal_()
    x = _series()
    out, left = layer(x, LENGTHS)
    for row in range(3):
        alone, one = layer(_alone(x, row), LENGTHS[row : row + 1])
        assert int(left[row]) == int(one) == alone.shape[-1]
        torch.testing.assert_close(out[row : row + 1, :, : int(one)], alone, atol=1e-6, rtol=1e-5)
        assert bool((out[row, :, int(one) :] == 0).all())


@pytest.mark.parametrize("channels", [3, 6, 8])
def test_a_strided_1_x_1_convolution_trains_on_channels_last_maps_without_harm_to_the_memory(channels):
    """torch 2.13's own dies here with "double free or corruption" for 3 and 6 channels."""
    filters = Filters(2, channels, 12, 1, 2)
    x = torch.randn(8, channels, 16, 16)
    laid = x.to(memory_format=torch.channels_last).requires_grad_()
    filters(laid).square().sum().backward()
    weight, plain = filters.conv.weight.detach().clone().requires_grad_(), x.clone().requires_grad_()
    F.conv2d(plain, weight, stride=2).square().sum().backward()
    torch.testing.assert_close(filters(x), F.conv2d(x, weight, stride=2), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(laid.grad, plain.grad, atol=1e-3, rtol=1e-4)
    torch.testing.assert_close(filters.conv.weight.grad, weight.grad, atol=1e-2, rtol=1e-4)


def test_dirac_lets_the_first_channels_pass():
    filters, x = Filters(2, 3, 5, 3), torch.randn(2, 3, 6, 6)
    dirac(filters)
    torch.testing.assert_close(filters(x)[:, :3], x)
    assert not torch.allclose(filters.conv.weight[3:], torch.zeros(()))


# --------------------------------------------------------------------------------------------------------- poolings


@pytest.mark.parametrize(("kind", "theirs"), [("max", F.max_pool2d), ("mean", F.avg_pool2d)])
def test_pool_equals_torchs_on_pictures_and_never_pools_a_side_of_one_pixel(kind, theirs):
    x = torch.randn(2, 3, 7, 9)
    pool = Pool(kind, 2, (7, 9))
    torch.testing.assert_close(pool(x)[0], theirs(x, 2))
    assert pool.sides((7, 9)) == (3, 4)
    flat = Pool(kind, 2, (1, 9))
    torch.testing.assert_close(flat(x[:, :, :1])[0], theirs(x[:, :, :1], (1, 2)))
    dot = Pool(kind, 3, (1, 1))
    assert dot(x[:, :, :1, :1])[0].shape == (2, 3, 1, 1)
    assert (pool.halves, flat.halves, dot.halves) == (True, True, False)


@pytest.mark.parametrize("kind", ["max", "mean"])
@pytest.mark.parametrize("size", [2, 3])
def test_pool_gives_each_sequence_what_it_gives_it_alone(kind, size):
    x, pool = _series() - 5, Pool(kind, size)  # below zero, so that padding would win a maximum
    x = ended(x, LENGTHS)
    out, left = pool(x, LENGTHS)
    assert tuple(left.tolist()) == pool.sides(tuple(LENGTHS.tolist()))
    for row in range(3):
        alone, none = pool(_alone(x, row))
        assert none is None
        assert alone.shape[-1] == int(left[row])
        torch.testing.assert_close(out[row : row + 1, :, : alone.shape[-1]], alone)


def test_pool_of_a_sequence_by_hand():
    x = torch.tensor([[[1.0, 3.0, 5.0]]])
    assert Pool("max", 2)(x)[0].tolist() == [[[3.0, 5.0]]]
    assert Pool("mean", 2)(x)[0].tolist() == [[[2.0, 5.0]]]
    assert Pool("mean", 3)(x)[0].tolist() == [[[3.0]]]


def test_pooled_is_the_mean_or_the_maximum_of_real_positions():
    x = ended(_series() - 5, LENGTHS)
    for row in range(3):
        alone = _alone(x, row)[0]
        torch.testing.assert_close(pooled(x, LENGTHS, "mean")[row], alone.mean(1))
        torch.testing.assert_close(pooled(x, LENGTHS, "max")[row], alone.amax(1))
    picture = torch.randn(2, 3, 4, 5)
    torch.testing.assert_close(pooled(picture, None, "mean"), picture.mean((2, 3)))
    torch.testing.assert_close(pooled(picture, None, "max"), picture.amax((2, 3)))


# -------------------------------------------------------------------------------------------------------- whitening


def _patches(pictures: torch.Tensor, side: int) -> torch.Tensor:
    """All patches (N, C * side * side) of pictures (B, C, H, W), each flattened as (C, side, side)."""
    return F.unfold(pictures, side).transpose(1, 2).flatten(0, 1)


@pytest.mark.parametrize("channels", [1, 3])
def test_whitening_makes_the_answers_to_real_pictures_uncorrelated_and_of_variance_1(channels):
    torch.manual_seed(0)
    noise = torch.randn(200, channels, 34, 34)  # neighbouring pixels and channels alike, as in pictures
    pictures = F.avg_pool2d(noise, 3, 1) + 0.5 * noise[:, :, 1:-1, 1:-1] + noise.mean(1, keepdim=True)[:, :, 1:-1, 1:-1]
    covariance = torch.cov(_patches(pictures, 3).T)
    layer = Whitening(tuple(map(tuple, covariance.tolist())), channels, most=100)
    out = layer(pictures)
    count = 4 * channels
    assert out.shape == (200, 2 * count, 31, 31)
    answers = out.detach().transpose(0, 1).flatten(1)  # (2 k, N)
    torch.testing.assert_close(torch.cov(answers[:count]), torch.eye(count), atol=0.03, rtol=0)
    torch.testing.assert_close(answers[count:], -answers[:count])
    untouched = torch.cov(_patches(pictures, 2).T)
    assert float((untouched - torch.eye(count)).abs().max()) > 0.2  # it was not white before


def test_whitening_keeps_the_widest_directions_and_trains_nothing():
    covariance = np.diag(np.arange(1.0, 10.0))
    filters = whitening(covariance, 1)
    spread = [1 / np.abs(f).max() ** 2 for f in filters]
    np.testing.assert_allclose(spread, [7, 6, 4, 3], rtol=1e-3)  # means of the four places of a 2 x 2 in a 3 x 3
    layer = Whitening(tuple(map(tuple, covariance.tolist())), 1, most=2)
    assert layer.weight.shape == (4, 1, 2, 2)
    assert not list(layer.parameters())
    assert set(layer.state_dict()) == {"weight"}
    torch.testing.assert_close(layer.weight[:2].double(), torch.as_tensor(filters[:2]), atol=1e-6, rtol=0)


def test_whitening_of_pixels_that_never_vary_stays_finite():
    layer = Whitening(tuple(map(tuple, np.zeros((9, 9)).tolist())), 1, most=100)
    assert bool(torch.isfinite(layer(torch.randn(2, 1, 5, 5))).all())


# --------------------------------------------------------------------------------------------------------- features


def test_picture_features_are_views_of_the_last_map_where_it_is_channels_last():
    maps = [torch.randn(2, 3, 4, 4), torch.randn(2, 5, 2, 3).contiguous(memory_format=torch.channels_last)]
    given = picture_features(torch.randn(2, 5), maps, None)
    assert given.values.shape == (2, 6, 5)
    assert given.values.data_ptr() == maps[1].data_ptr()
    assert torch.equal(given.values[:, 4], maps[1][:, :, 1, 1])
    assert given.pyramid() == tuple(maps)


def test_picture_features_of_clips_are_the_mean_of_their_frames():
    summary = torch.randn(6, 5)
    given = picture_features(summary, [torch.randn(6, 5, 2, 2)], 3)
    torch.testing.assert_close(given.pooled()[:, 0], torch.stack([summary[:3].mean(0), summary[3:].mean(0)]))
    assert given.values.shape == (2, 12, 5)
    assert given.maps == ()


def test_with_condition_adds_at_every_position_and_to_every_frame_of_a_clip():
    x, condition = torch.randn(6, 2, 3, 3), torch.randn(2, 2)
    assert with_condition(x, None) is x
    out = with_condition(x, condition) - x
    torch.testing.assert_close(out[:3, :, 1, 2], condition[:1].expand(3, 2))
    torch.testing.assert_close(out[3:, :, 0, 0], condition[1:].expand(3, 2))


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (3, "widths must list the channels, as (1, 2). Received: 3."),
        ("3", "widths must list the channels, as (1, 2). Received: '3'."),
        ((), "widths must list the channels, as (1, 2). Received: ()."),
        ((3, 0), "each number in widths must be a whole number between 1 and 9. Received: 0."),
    ],
)
def test_check_list_says_what_would_work(given, sentence):
    settings = ResNet()
    object.__setattr__(settings, "widths", given)
    with pytest.raises(BadInput) as caught:
        check_list(settings, "widths", "the channels, as (1, 2)", 1, 9)
    assert str(caught.value) == sentence


def test_check_list_keeps_plain_ints():
    settings = ResNet()
    object.__setattr__(settings, "widths", np.array([3.0, 4.0]))
    check_list(settings, "widths", "the channels", 1, 9)
    assert settings.widths == (3, 4)
    assert all(type(width) is int for width in settings.widths)
