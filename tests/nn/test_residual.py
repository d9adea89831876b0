"""Residual blocks equal hand-written ones with the same weights."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from decet.nn.convolution import ended
from decet.nn.residual import FastStage, ResidualBlock, RowBlock, SeriesBlock, Style


class Basic(nn.Module):
    """He et al., 1512.03385, figure 5 left, with a projection ("option B")."""

    def __init__(self, inputs: int, width: int, stride: int):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, width, 3, stride, 1, bias=False)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn1, self.bn2 = nn.BatchNorm2d(width), nn.BatchNorm2d(width)
        if stride > 1 or inputs != width:
            self.down = nn.Sequential(nn.Conv2d(inputs, width, 1, stride, bias=False), nn.BatchNorm2d(width))

    def forward(self, x):
        y = self.bn2(self.conv2(self.bn1(self.conv1(x)).relu()))
        return (y + (self.down(x) if hasattr(self, "down") else x)).relu()


class Bottleneck(nn.Module):
    """Figure 5 right, with the stride in the 3 x 3."""

    def __init__(self, inputs: int, width: int, stride: int):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, width, 1, bias=False)
        self.conv2 = nn.Conv2d(width, width, 3, stride, 1, bias=False)
        self.conv3 = nn.Conv2d(width, 4 * width, 1, bias=False)
        self.bn1, self.bn2, self.bn3 = nn.BatchNorm2d(width), nn.BatchNorm2d(width), nn.BatchNorm2d(4 * width)
        if stride > 1 or inputs != 4 * width:
            self.down = nn.Sequential(nn.Conv2d(inputs, 4 * width, 1, stride, bias=False), nn.BatchNorm2d(4 * width))

    def forward(self, x):
        y = self.bn2(self.conv2(self.bn1(self.conv1(x)).relu())).relu()
        y = self.bn3(self.conv3(y))
        return (y + (self.down(x) if hasattr(self, "down") else x)).relu()


@pytest.mark.parametrize(
    ("kind", "inputs", "width", "stride"),
    [(Basic, 8, 8, 1), (Basic, 8, 12, 2), (Bottleneck, 16, 4, 1), (Bottleneck, 6, 4, 1), (Bottleneck, 16, 8, 2)],
)
def test_published_blocks_equal_hand_written_ones_with_the_same_weights(kind, inputs, width, stride):
    reference = kind(inputs, width, stride)
    for name, value in reference.state_dict().items():
        if value.is_floating_point():
            value.copy_(torch.rand_like(value) + 0.5 if "var" in name else torch.randn_like(value) / 3)
    block = ResidualBlock(Style(bottleneck=kind is Bottleneck), inputs, width, stride)
    own = {}
    for name, value in reference.state_dict().items():
        part, _, rest = name.partition(".")
        if part == "down":
            place, _, rest = rest.partition(".")
            own[f"project.{place}." + ("conv." if place == "0" else "") + rest] = value
        else:
            place = int(part[-1]) - 1
            own[f"convs.{place}.conv.{rest}" if part.startswith("conv") else f"norms.{place}.{rest}"] = value
    block.load_state_dict(own)
    x = torch.randn(4, inputs, 7, 7)
    for mode in (True, False):
        torch.testing.assert_close(block.train(mode)(x), reference.train(mode)(x), atol=1e-5, rtol=1e-5)


def test_a_preactivated_block_is_written_out_and_never_bends_its_shortcut():
    same = ResidualBlock(Style(preact=True), 6, 6, 1).eval()
    x = torch.randn(2, 6, 5, 5)
    first = same.convs[0](same.norms[0](x).relu())
    torch.testing.assert_close(same(x), x + same.convs[1](same.norms[1](first).relu()))
    wider = ResidualBlock(Style(preact=True), 6, 8, 2).eval()
    bent = wider.norms[0](x).relu()
    expected = wider.project(bent) + wider.convs[1](wider.norms[1](wider.convs[0](bent)).relu())
    torch.testing.assert_close(wider(x), expected)


def test_padded_shortcuts_take_every_second_pixel_and_fill_up_with_zeros():
    block = ResidualBlock(Style(padded=True, zero_init=True), 3, 5, 2)
    x = torch.rand(2, 3, 6, 6)
    assert block.project is None
    expected = torch.cat([x[:, :, ::2, ::2], torch.zeros(2, 2, 3, 3)], 1)
    torch.testing.assert_close(block(x), expected)


@pytest.mark.parametrize("norm", ["batch", "group", "none"])
@pytest.mark.parametrize("preact", [True, False])
@pytest.mark.parametrize("bottleneck", [True, False])
def test_with_zero_init_a_block_starts_as_its_shortcut(norm, preact, bottleneck):
    style = Style(norm=norm, zero_init=True, preact=preact, bottleneck=bottleneck)
    block, x = ResidualBlock(style, 8, 2 if bottleneck else 8, 1), torch.rand(2, 8, 4, 4)
    torch.testing.assert_close(block(x), x)
    assert not torch.allclose(ResidualBlock(Style(norm, preact=preact), 8, 8, 1)(x), x, atol=1e-3)


def test_first_weights_are_hes():
    torch.manual_seed(0)
    weight = Style().conv(64, 128, 3).conv.weight
    assert float(weight.detach().std()) == pytest.approx((2 / (128 * 9)) ** 0.5, rel=0.02)


# -------------------------------------------------------------------------------------------------- the fast network


@pytest.mark.parametrize("count", [0, 1, 2])
def test_a_fast_stage_is_written_out(count):
    stage = FastStage(Style(activation="gelu"), 4, 6, count, (9, 9)).eval()
    for norm in stage.norms:
        norm.bias.data.normal_()
    x, condition = torch.randn(2, 4, 9, 9), torch.randn(2, 6)
    y = F.gelu(stage.norms[0](F.max_pool2d(F.conv2d(x, stage.convs[0].conv.weight, padding=1), 2)))
    y = y + condition[:, :, None, None]
    for i in range(1, count + 1):
        y = y + F.gelu(stage.norms[i](F.conv2d(y, stage.convs[i].conv.weight, padding=1)))
    torch.testing.assert_close(stage(x, condition), y)
    assert stage.sides == (4, 4)


def test_a_fast_stage_starts_by_passing_channels_on_and_trains_no_scale():
    stage, x = FastStage(Style(), 4, 6, 1, (6, 6)), torch.randn(2, 4, 6, 6)
    torch.testing.assert_close(stage.convs[0](x)[:, :4], x)
    assert {name for name, _ in stage.named_parameters()} == {
        "convs.0.conv.weight",
        "convs.1.conv.weight",
        "norms.0.bias",
        "norms.1.bias",
    }
    silent = FastStage(Style(zero_init=True), 4, 6, 1, (6, 6))
    torch.testing.assert_close(silent(x), silent.norms[0](silent.pool(silent.convs[0](x))[0]).relu())


# ------------------------------------------------------------------------------------------------ series and tables


@pytest.mark.parametrize("inputs", [3, 5])
def test_a_series_block_is_written_out(inputs):
    block = SeriesBlock(Style(), inputs, 5).eval()
    x = torch.randn(2, inputs, 11)
    y = x
    for layer, kernel in zip(block.layers, (8, 5, 3), strict=True):
        weight = layer.filters.conv.weight
        assert weight.shape == (5, y.shape[1], kernel)
        y = layer.norm(F.conv1d(F.pad(y, [(kernel - 1) // 2, kernel // 2]), weight))
        y = y.relu() if kernel != 3 else y
    short = x if inputs == 5 else F.conv1d(x, block.shortcut.filters.conv.weight)
    torch.testing.assert_close(block(x, None), (y + block.shortcut.norm(short)).relu())


@pytest.mark.parametrize("norm", ["batch", "group", "none"])
@pytest.mark.parametrize("mode", [True, False])
def test_padding_changes_nothing_in_a_series_block_in_training_neither(norm, mode):
    torch.manual_seed(0)
    block, lengths = SeriesBlock(Style(norm=norm), 3, 5).train(mode), torch.tensor([6, 2])
    x = ended(torch.randn(2, 3, 6), lengths)
    longer, buffers = F.pad(x, [0, 5]), {k: v.clone() for k, v in block.state_dict().items()}
    out = block(x, lengths)
    block.load_state_dict(buffers)
    padded = block(longer, lengths)
    torch.testing.assert_close(padded[:, :, :6], out, atol=1e-5, rtol=1e-5)
    assert bool((padded[:, :, 6:] == 0).all())


def test_a_series_block_with_zero_init_starts_as_its_normalised_shortcut():
    for norm in ("batch", "group", "none"):
        block, x = SeriesBlock(Style(norm=norm, zero_init=True), 5, 5).eval(), torch.rand(2, 5, 6)
        torch.testing.assert_close(block(x, None), block.shortcut.norm(x).relu())


def test_a_row_block_is_written_out():
    block, x = RowBlock(Style(), 6).eval(), torch.randn(4, 6)
    torch.testing.assert_close(block(x), x + block.narrow(block.widen(block.norm(x)).relu()))
    assert block.widen.out_features == 12
    assert torch.equal(RowBlock(Style(zero_init=True), 6)(x), x)
    dropped = RowBlock(Style(dropout=0.5), 6).train()
    assert not torch.allclose(dropped(x), dropped(x))
