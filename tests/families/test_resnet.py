"""ResNet is as published: sizes, blocks, shortcuts. Pictures, clips, series, texts, tables; settings, messages."""

from __future__ import annotations

import copy

import pytest
import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

from decet.contracts import GraphSpec, ImageSpec, SeriesSpec, TableSpec, TokenSpec
from decet.errors import BadInput, Unsupported
from decet.families.resnet import FALLBACK, SMALL, ResNet, of_pictures
from decet.nn.convolution import Whitening
from decet.nn.members import Ensemble
from decet.nn.residual import FastStage, ResidualBlock
from decet.tensors import Sparse

COLOUR = ImageSpec(3, 32, 32)
LARGE = ImageSpec(3, 224, 224)


def _white(channels: int = 3, height: int = 32, width: int = 32, frames: int | None = None) -> ImageSpec:
    """Pictures whose patches are correlated, as those of real pictures are."""
    mixing = torch.randn(9 * channels, 9 * channels, generator=torch.Generator().manual_seed(0)).double()
    patches = tuple(map(tuple, (mixing @ mixing.T / len(mixing)).tolist()))
    return ImageSpec(channels, height, width, frames, ((120.0, 60.0),) * channels, patches)


def _pixels(spec: ImageSpec, count: int = 3) -> torch.Tensor:
    torch.manual_seed(1)
    return torch.randint(
        0, 256, (count, spec.channels, *[spec.frames] * bool(spec.frames), spec.height, spec.width)
    ).to(torch.uint8)


def _size(body: nn.Module) -> int:
    return sum(p.numel() for p in body.parameters())


# ------------------------------------------------------------------------------------------------------ as published


@pytest.mark.parametrize(("depth", "count"), [(18, 11_176_512), (34, 21_284_672), (50, 23_508_032)])
def test_published_networks_have_the_published_number_of_parameters(depth, count):
    with torch.device("meta"):
        assert _size(ResNet(depth=depth).encoder(LARGE)) == count  # torchvision's, without its last layer


def test_resnet_20_has_the_papers_0_27_million_parameters_and_no_projection():
    body = ResNet(depth=20).encoder(COLOUR)
    assert _size(body) + 64 * 10 + 10 == 269_722
    assert [block.project for block in body.modules() if isinstance(block, ResidualBlock)] == [None] * 9
    assert body.summary_width == 64


@pytest.mark.parametrize("depth", [18, 34, 50, *SMALL])
def test_depth_counts_the_layers_with_weights(depth):
    with torch.device("meta"):
        body = ResNet(depth=depth).encoder(COLOUR)
    main = [m for n, m in body.named_modules() if isinstance(m, nn.Conv2d) and "project" not in n]
    assert len(main) + 1 == depth  # and the head


def test_a_whole_small_resnet_equals_one_written_by_hand():
    body = ResNet(blocks=(1, 1), widths=(4, 6), zero_init=False).encoder(ImageSpec(3, 8, 8)).eval()
    pixels = _pixels(ImageSpec(3, 8, 8))
    conv, norm, _ = body.stem
    x = norm(F.conv2d((pixels.float() - 127.5) / 63.75, conv.conv.weight, padding=1)).relu()
    for stage, stride in zip(body.stages, (1, 2), strict=True):
        block = stage[0]
        y = block.norms[0](F.conv2d(x, block.convs[0].conv.weight, stride=stride, padding=1)).relu()
        y = block.norms[1](F.conv2d(y, block.convs[1].conv.weight, padding=1))
        if block.project is not None:
            x = block.project[1](F.conv2d(x, block.project[0].conv.weight, stride=stride))
        x = (x + y).relu()
    torch.testing.assert_close(body((pixels,)).pooled()[:, 0], x.mean((2, 3)), atol=1e-5, rtol=1e-5)


def test_the_large_stem_halves_a_picture_twice_and_stages_halve_it_on():
    body = ResNet(blocks=(1, 1, 1, 1), width=4, stem="large").encoder(ImageSpec(3, 64, 64))
    assert [m.shape[-1] for m in body((_pixels(ImageSpec(3, 64, 64)),)).pyramid()] == [16, 8, 4, 2]


def test_a_preactivated_network_ends_with_a_norm_and_starts_with_a_bare_convolution():
    body = ResNet(depth=20, preact=True).encoder(COLOUR).eval()
    assert len(body.stem) == 1
    features = body((_pixels(COLOUR),))
    assert bool((features.maps[-1] >= 0).all())  # bent at the end
    assert bool((features.maps[0] < 0).any())  # not before


# -------------------------------------------------------------------------------------------------- the fast network


def test_depth_9_equals_the_fast_network_written_by_hand():
    spec = _white()
    body, pixels = ResNet(width=64).encoder(spec).eval(), _pixels(_white())
    x = F.relu(F.conv2d((pixels.float() - 120) / 60, body.stem[0].weight))
    for stage in body.stages:
        x = F.relu(stage.norms[0](F.max_pool2d(F.conv2d(x, stage.convs[0].conv.weight, padding=1), 2)))
        x = x + F.relu(stage.norms[1](F.conv2d(x, stage.convs[1].conv.weight, padding=1)))
    torch.testing.assert_close(body((pixels,)).pooled()[:, 0], x.amax((2, 3)) / 9, atol=1e-5, rtol=1e-5)
    assert _size(body) == 1_964_160


def test_depth_9_has_whitened_patches_whose_filters_stay():
    body = ResNet().encoder(_white())
    assert isinstance(body.stem[0], Whitening)
    assert body.stem[0].weight.shape == (16, 3, 2, 2)
    assert "stem.0.weight" in body.state_dict()
    assert "stem.0.weight" not in dict(body.named_parameters())
    assert isinstance(body.stages[0], FastStage)


@pytest.mark.parametrize(
    ("settings", "spec", "stem"),
    [
        (ResNet(), _white(), "whiten"),
        (ResNet(), _white(3, 1, 9), "small"),  # no room for 2 x 2
        (ResNet(), COLOUR, "small"),  # no patches known
        (ResNet(), LARGE, "large"),
        (ResNet(depth=18), _white(), "small"),
        (ResNet(depth=18), ImageSpec(3, 95, 200), "small"),
        (ResNet(depth=18), ImageSpec(3, 96, 200), "large"),
        (ResNet(depth=18, stem="whiten"), _white(), "whiten"),
    ],
)
def test_the_stem_follows_the_pictures(settings, spec, stem):
    assert of_pictures(settings, spec).stem == stem


def test_sizes_not_said_follow_the_depth():
    def of(spec=COLOUR, **said):
        s = of_pictures(ResNet(**said), spec)
        return s.blocks, s.widths, s.block, s.activation, s.pool, s.zero_init

    assert of() == ((1, 1, 1), (64, 256, 256), "basic", "relu", "max", False)
    assert of(width=32) == ((1, 1, 1), (32, 128, 128), "basic", "relu", "max", False)
    assert of(depth=18) == ((2, 2, 2, 2), (64, 128, 256, 512), "basic", "relu", "mean", True)
    assert of(depth=50)[:3] == ((3, 4, 6, 3), (64, 128, 256, 512), "bottleneck")
    assert of(depth=56) == ((9, 9, 9), (16, 32, 64), "basic", "relu", "mean", False)
    assert of(blocks=(1, 2), width=5)[:2] == ((1, 2), (5, 10))
    assert of(blocks=(0, 2, 1), depth=9)[:2] == ((0, 2, 1), (64, 256, 256))
    assert of(depth=18, pool="max", activation="silu", zero_init=False)[3:] == ("silu", "max", False)


# ---------------------------------------------------------------------------------------------------------- pictures

NETWORKS = [
    ResNet(),
    ResNet(width=8, blocks=(0, 2, 1), depth=9, norm="group", activation="silu"),
    ResNet(depth=18, width=4, dropout=0.1),
    ResNet(depth=50, width=4, stem="large"),
    ResNet(depth=20, preact=True),
    ResNet(blocks=(1, 1), width=6, norm="none", stem="small", activation="celu"),
    ResNet(blocks=(1, 2), block="bottleneck", width=4, stem="whiten", preact=True, norm="group", pool="max"),
]


@pytest.mark.parametrize("settings", NETWORKS)
@pytest.mark.parametrize("spec", [_white(1, 8, 8), _white(1, 28, 28), _white(3, 2, 7), _white(2, 3, 2)])
def test_every_network_takes_pictures_of_any_size(settings, spec):
    body, pixels = settings.encoder(spec).eval(), _pixels(spec)
    features = body((pixels,))
    last = features.pyramid()[-1]
    assert features.pooled().shape == (3, 1, body.summary_width)
    assert features.values.shape == (3, last.shape[2] * last.shape[3], body.width)
    assert [m.shape[-1] for m in features.maps] == sorted((m.shape[-1] for m in features.maps), reverse=True)
    assert bool(torch.isfinite(features.summary).all())


def test_a_picture_of_one_pixel_and_a_batch_of_one_train():
    for settings in (ResNet(), ResNet(depth=18, width=4), ResNet(depth=9, stem="large")):
        body = settings.encoder(ImageSpec(1, 1, 1)).train()
        body((torch.full((1, 1, 1, 1), 200, dtype=torch.uint8),)).pooled().sum().backward()
        assert all(p.grad is not None and bool(torch.isfinite(p.grad).all()) for p in body.parameters())


def test_the_pyramid_of_each_network_has_a_map_a_stage_finest_first():
    def shapes(settings, spec):
        return [tuple(m.shape[1:]) for m in settings.encoder(spec)((_pixels(spec),)).pyramid()]

    assert shapes(ResNet(width=64), _white()) == [(64, 15, 15), (256, 7, 7), (256, 3, 3)]
    assert shapes(ResNet(depth=20), COLOUR) == [(16, 32, 32), (32, 16, 16), (64, 8, 8)]
    assert shapes(ResNet(depth=18, width=4), COLOUR) == [(4, 32, 32), (8, 16, 16), (16, 8, 8), (32, 4, 4)]
    assert shapes(ResNet(depth=50, width=2), COLOUR) == [(8, 32, 32), (16, 16, 16), (32, 8, 8), (64, 4, 4)]


@pytest.mark.parametrize("settings", NETWORKS)
def test_bytes_floats_and_both_memory_layouts_give_the_same(settings):
    spec = _white(3, 12, 12)
    body, pixels = settings.encoder(spec).eval(), _pixels(spec)
    expected = body((pixels,)).pooled()
    for given in (pixels.float(), pixels.contiguous(memory_format=torch.channels_last)):
        torch.testing.assert_close(body((given,)).pooled(), expected, atol=1e-5, rtol=1e-5)
    laid = copy.deepcopy(body).to(memory_format=torch.channels_last)
    torch.testing.assert_close(laid((pixels,)).pooled(), expected, atol=1e-5, rtol=1e-5)


def test_values_are_a_view_of_the_last_map():
    features = ResNet().encoder(_white())((_pixels(_white()),))
    assert features.values.data_ptr() == features.maps[-1].data_ptr()


@pytest.mark.parametrize("settings", NETWORKS)
def test_deterministic_mode_and_every_parameter_gets_a_gradient(settings):
    spec, mode = _white(3, 16, 16), torch.get_deterministic_debug_mode()
    body = ResNet(**{**vars(settings), "zero_init": False}).encoder(spec)
    torch.set_deterministic_debug_mode("error")
    try:
        body((_pixels(spec, 8),)).pooled().square().sum().backward()
    finally:
        torch.set_deterministic_debug_mode(mode)
    for name, parameter in body.named_parameters():
        assert parameter.grad is not None, name
        assert bool((parameter.grad != 0).any()), name


@pytest.mark.parametrize("settings", NETWORKS)
def test_a_network_built_without_numbers_gives_the_same_once_its_weights_are_loaded(settings):
    spec = _white(3, 12, 12)
    body = settings.encoder(spec).eval()
    with torch.device("meta"):
        other = settings.encoder(spec)
    assert all(t.is_meta for t in other.state_dict().values())
    other.load_state_dict(body.state_dict(), assign=True)
    assert torch.equal(other.eval()((_pixels(spec),)).summary, body((_pixels(spec),)).summary)


@pytest.mark.parametrize("settings", NETWORKS)
def test_bfloat16_gives_nearly_the_same(settings):
    torch.manual_seed(0)
    spec = _white(
        3, 24, 24
    )  # of smaller ones two numbers are left to a group's norm, which makes of them a plus and a minus
    body, pixels = settings.encoder(spec).eval(), _pixels(spec)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        short = body((pixels,)).pooled().float()
    expected = body((pixels,)).pooled()
    assert float((short - expected).abs().max()) < 0.1 * float(expected.abs().max())


@pytest.mark.parametrize(
    "settings", [ResNet(width=16), ResNet(depth=20), ResNet(blocks=(1, 1), width=16, norm="group", pool="max")]
)
def test_every_network_learns_one_batch_of_real_digits_by_heart(settings):
    torch.manual_seed(0)
    digits = load_digits()
    pixels = (torch.as_tensor(digits.images[:32]).unsqueeze(1) * 15).to(torch.uint8)
    target = torch.as_tensor(digits.target[:32])
    model = settings.encoder(ImageSpec(1, 8, 8, scale=((75.0, 90.0),)))
    head = nn.Linear(model.summary_width, 10)
    optimizer = torch.optim.AdamW([*model.parameters(), *head.parameters()], lr=2e-2)
    for _ in range(40 if settings.depth is None else 20):
        loss = F.cross_entropy(head(model((pixels,)).pooled()[:, 0]), target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert float(loss) < 0.3  # log 10 = 2.3 at the start


def test_clips_are_the_mean_of_their_frames_in_any_order():
    spec = _white(3, 12, 12, frames=5)
    body, clips = ResNet(width=8).encoder(spec).eval(), _pixels(spec)
    features = body((clips,))
    assert features.pooled().shape == (3, 1, 32)
    assert features.values.shape == (3, 5 * 1, 32)
    torch.testing.assert_close(body((clips.flip(2),)).pooled(), features.pooled())
    frames = torch.stack([body((clips[:, :, [t] * 5],)).pooled() for t in range(5)])
    torch.testing.assert_close(features.pooled(), frames.mean(0))


@pytest.mark.parametrize("settings", [ResNet(width=8), ResNet(depth=20), ResNet(blocks=(1,), width=8, preact=True)])
def test_a_condition_has_the_first_stages_channels_and_reaches_the_answer(settings):
    spec = _white(3, 12, 12, frames=2)
    body, clips = settings.encoder(spec).eval(), _pixels(spec)
    condition = torch.randn(3, 16 if settings.depth else 8)
    plain = body((clips,)).pooled()
    torch.testing.assert_close(body((clips,), condition=condition * 0).pooled(), plain)
    assert not torch.allclose(body((clips,), condition=condition).pooled(), plain, atol=1e-3)


@pytest.mark.parametrize("spec", [COLOUR, SeriesSpec(3), TableSpec(4), TokenSpec(9)])
def test_members_are_networks_of_their_own(spec):
    settings = ResNet(width=4, blocks=(1, 1))
    body = settings.encoder(spec, members=3)
    assert isinstance(body, Ensemble)
    assert _size(body) == 3 * _size(settings.encoder(spec))


# --------------------------------------------------------------------------------------------------- series and texts


def test_series_have_wangs_three_blocks_of_64_128_128_channels():
    body = ResNet().encoder(SeriesSpec(1))
    assert [tuple(b.layers[0].filters.conv.weight.shape) for b in body.blocks] == [
        (64, 1, 8),
        (128, 64, 8),
        (128, 128, 8),
    ]
    values = torch.randn(2, 20, 1)
    features = body.eval()((values, None))
    assert features.values.shape == (2, 20, 128)
    torch.testing.assert_close(features.pooled()[:, 0], features.values.mean(1))


@pytest.mark.parametrize("pool", ["mean", "max"])
@pytest.mark.parametrize("norm", ["batch", "group", "none"])
@pytest.mark.parametrize("mode", [True, False])
def test_padding_changes_no_answer_about_a_series(pool, norm, mode):
    torch.manual_seed(0)
    body = ResNet(width=4, norm=norm, pool=pool, activation="celu").encoder(SeriesSpec(2)).train(mode)
    values, lengths = torch.randn(3, 6, 2), torch.tensor([6, 1, 4])
    plain, condition = body((values, lengths)), torch.randn(3, 4)
    longer = torch.cat([values, torch.full((3, 4, 2), 1e3)], 1)  # what stands beyond an end is nobody's business
    padded = body((longer, lengths))
    torch.testing.assert_close(padded.pooled(), plain.pooled(), atol=1e-5, rtol=1e-4)
    assert padded.mask.sum(1).tolist() == [6, 1, 4]
    conditioned = body((longer, lengths), condition=condition).pooled()
    torch.testing.assert_close(conditioned, body((values, lengths), condition=condition).pooled(), atol=1e-5, rtol=1e-4)
    assert not torch.allclose(conditioned, plain.pooled(), atol=1e-3)


def test_padding_changes_no_answer_about_a_text_and_every_word_counts():
    body = ResNet(width=4).encoder(TokenSpec(9)).eval()
    tokens = torch.tensor([[3, 4, 5], [7, 0, 0], [0, 0, 0]])
    plain = body((tokens,)).pooled()
    torch.testing.assert_close(body((F.pad(tokens, [0, 6]),)).pooled(), plain)
    torch.testing.assert_close(body((tokens[1:2, :1],)).pooled(), plain[1:2])
    assert not torch.allclose(body((torch.tensor([[3, 4, 6]]),)).pooled(), plain[:1], atol=1e-3)


@pytest.mark.parametrize("spec", [SeriesSpec(2), TokenSpec(9, streams=(5,))])
def test_every_parameter_of_a_network_for_sequences_gets_a_gradient_in_deterministic_mode(spec):
    body, mode = ResNet(width=4).encoder(spec), torch.get_deterministic_debug_mode()
    if isinstance(spec, SeriesSpec):
        inputs = (torch.randn(5, 6, 2), torch.tensor([6, 3, 1, 2, 5]))
    else:
        inputs = (torch.randint(1, 9, (5, 6)), torch.randint(1, 5, (5, 6)))
    torch.set_deterministic_debug_mode("error")
    try:
        body(inputs).pooled().square().sum().backward()
    finally:
        torch.set_deterministic_debug_mode(mode)
    for name, parameter in body.named_parameters():
        assert parameter.grad is not None, name
        assert bool((parameter.grad != 0).any()), name


# ------------------------------------------------------------------------------------------------------------- tables

MIXED = TableSpec(numbers=3, categories=(4, 9), edges=((-1.0, 0.0, 1.0),) * 3)


def _rows(spec: TableSpec = MIXED, count: int = 200) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.randn(count, spec.numbers), torch.stack([torch.randint(s, (count,)) for s in spec.categories], 1)


def test_a_network_for_tables_equals_one_written_by_hand():
    body, (numbers, categories) = ResNet(width=8, blocks=(3,)).encoder(MIXED).eval(), _rows()
    x = body.linear(body.stem((numbers, categories)))
    for block in body.blocks:
        x = x + block.narrow(block.widen(block.norm(x)).relu())
    assert len(body.blocks) == 3
    torch.testing.assert_close(body((numbers, categories)).pooled()[:, 0], body.end[0](x).relu())
    shift = torch.randn(200, 8)
    assert not torch.allclose(
        body((numbers, categories), condition=shift).pooled(), body((numbers, categories)).pooled()
    )


@pytest.mark.parametrize("embedding", ["none", "piecewise", "periodic"])
@pytest.mark.parametrize("norm", ["batch", "group", "none"])
def test_every_parameter_of_a_network_for_tables_gets_a_gradient(embedding, norm):
    body = ResNet(width=8, embedding=embedding, norm=norm, dropout=0.1).encoder(MIXED)
    body(_rows()).pooled().square().sum().backward()
    for name, parameter in body.named_parameters():
        assert parameter.grad is not None, name
        assert bool((parameter.grad != 0).any()), name


def test_a_sparse_table_is_never_made_dense_and_gives_the_same_as_its_dense_product():
    body = ResNet(width=8).encoder(TableSpec(numbers=5, categories=(4,), sparse=True)).eval()
    dense = torch.tensor([[0.0, 2, 0, 0, 1], [0, 0, 0, 0, 0], [3, 0, 0, 4, 0]])
    csr, categories = dense.to_sparse_csr(), torch.tensor([[1], [2], [0]])
    x = Sparse(csr.crow_indices(), csr.col_indices(), csr.values(), 5)
    rows = body.linear(body.stem((dense, categories))) + dense @ body.sparse
    for block in body.blocks:
        rows = block(rows)
    torch.testing.assert_close(body((x, categories)).pooled()[:, 0], body.end(rows))


# ---------------------------------------------------------------------------------------------------------- messages


def test_resnet_says_what_it_reads():
    with pytest.raises(Unsupported, match=r"^ResNet reads pictures, series, tables and texts\. Received: GraphSpec\.$"):
        ResNet().encoder(GraphSpec(3))


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"depth": 19}, "depth must be one of 9, 18, 34, 50, 20, 32, 44, 56, 110. Received: 19."),
        ({"depth": 2.5}, "depth must be a whole number of at least 1. Received: 2.5."),
        ({"blocks": 2}, "blocks must list the blocks of each stage, as (2, 2, 2, 2). Received: 2."),
        ({"blocks": (2, -1)}, "each number in blocks must be a whole number between 0 and 1000. Received: -1."),
        ({"widths": ()}, "widths must list the channels of each stage, as (64, 128, 256). Received: ()."),
        ({"widths": (0,)}, "each number in widths must be a whole number between 1 and 65536. Received: 0."),
        ({"width": 0}, "width must be a whole number between 1 and 65536. Received: 0."),
        ({"block": "basik"}, "block must be one of 'basic', 'bottleneck'. Received: 'basik'. Did you mean 'basic'?"),
        ({"stem": "huge"}, "stem must be one of 'small', 'large', 'whiten'. Received: 'huge'."),
        ({"preact": 1}, "preact must be one of True, False. Received: 1."),
        ({"activation": "tanh"}, "activation must be one of 'relu', 'gelu', 'silu', 'celu'. Received: 'tanh'."),
        ({"norm": "layer"}, "norm must be one of 'batch', 'group', 'none'. Received: 'layer'."),
        ({"dropout": 1}, "dropout must be a number between 0.0 and 0.95. Received: 1."),
        ({"pool": "sum"}, "pool must be one of 'mean', 'max'. Received: 'sum'."),
        ({"zero_init": "no"}, "zero_init must be one of True, False. Received: 'no'."),
        ({"embedding": "waves"}, "embedding must be one of 'none', 'piecewise', 'periodic'. Received: 'waves'."),
        ({"embedding_width": 0}, "embedding_width must be a whole number between 1 and 4096. Received: 0."),
        ({"frequencies": 0}, "frequencies must be a whole number between 1 and 4096. Received: 0."),
        ({"sigma": 0}, "sigma must be a number between 1e-06 and 1000.0. Received: 0."),
    ],
)
def test_settings_out_of_range_are_refused_with_the_rule(settings, sentence):
    with pytest.raises(BadInput) as caught:
        ResNet(**settings)
    assert str(caught.value) == sentence


@pytest.mark.parametrize(
    ("settings", "spec", "sentence"),
    [
        (
            ResNet(blocks=(1, 1), widths=(8,)),
            COLOUR,
            "blocks and widths must name as many stages. Received: blocks=(1, 1), widths=(8,).",
        ),
        (
            ResNet(widths=(8,)),
            SeriesSpec(1),
            "blocks and widths must name as many stages. Received: blocks=(1, 1, 1), widths=(8,).",
        ),
        (
            ResNet(blocks=(1, 0)),
            COLOUR,
            "each stage needs at least 1 block, but for depth 9. Received: blocks=(1, 0).",
        ),
        (
            ResNet(preact=True),
            COLOUR,
            "depth 9 has layers of its own kind. Received: preact or bottlenecks. Use a depth from 18 on.",
        ),
        (
            ResNet(stem="whiten"),
            COLOUR,
            "stem='whiten' needs the covariance of the pictures' patches. Received: none. Use stem='small'.",
        ),
        (
            ResNet(stem="whiten"),
            _white(1, 5, 1),
            "stem='whiten' needs pictures of at least 2 x 2 pixels. Received: 5 x 1. Use stem='small'.",
        ),
    ],
)
def test_settings_that_do_not_fit_each_other_or_the_data_are_refused(settings, spec, sentence):
    with pytest.raises(BadInput) as caught:
        settings.encoder(spec)
    assert str(caught.value) == sentence


def test_settings_may_be_lists_and_stay_usable_as_keys():
    assert ResNet(blocks=[1, 2], widths=[4.0, 8]) == ResNet(blocks=(1, 2), widths=(4, 8))
    assert hash(ResNet(blocks=[1, 2])) == hash(ResNet(blocks=(1, 2)))
    assert FALLBACK.depth is None  # so that blocks alone can be said
