"""CNN is the stack that is written: LeNet-5, the classic, Kim's network for texts, each equal to one made by hand."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

from decet.contracts import GraphSpec, ImageSpec, SeriesSpec, TokenSpec
from decet.errors import BadInput, Unsupported
from decet.families.cnn import CNN, read
from decet.nn.members import Ensemble

GREY = ImageSpec(1, 32, 32)
COLOUR = ImageSpec(3, 32, 32)
LENET = CNN(
    layers=("6x5", "pool", "16x5", "pool", "flat", "dense120", "dense84"),
    activation="tanh",
    pooling="mean",
    norm="none",
    padding="valid",
)
CLASSIC = CNN(layers=(32, 64, "pool", "flat", "dense128"), norm="none")


def _pixels(spec: ImageSpec, count: int = 3) -> torch.Tensor:
    torch.manual_seed(1)
    shape = (count, spec.channels, *[spec.frames] * bool(spec.frames), spec.height, spec.width)
    return torch.randint(0, 256, shape).to(torch.uint8)


def _size(body: nn.Module) -> int:
    return sum(p.numel() for p in body.parameters())


# --------------------------------------------------------------------------------------------------- well-known stacks


def test_lenet_5_is_one_line_and_equals_torchs_layers_with_the_same_weights():
    body = LENET.encoder(GREY)
    counts = [sum(p.numel() for p in m.parameters()) for m in body.modules() if isinstance(m, (nn.Conv2d, nn.Linear))]
    assert counts == [156, 2_416, 48_120, 10_164]
    assert _size(body) + 84 * 10 + 10 == 61_706
    reference = nn.Sequential(
        nn.Conv2d(1, 6, 5),
        nn.Tanh(),
        nn.AvgPool2d(2),
        nn.Conv2d(6, 16, 5),
        nn.Tanh(),
        nn.AvgPool2d(2),
        nn.Flatten(),
        nn.Linear(400, 120),
        nn.Tanh(),
        nn.Linear(120, 84),
        nn.Tanh(),
    )
    weights = [v for k, v in body.state_dict().items() if not k.startswith("stem")]
    reference.load_state_dict(dict(zip(reference.state_dict(), weights, strict=True)))
    pixels = _pixels(GREY)
    expected = reference((pixels.float() - 127.5) / 63.75)
    torch.testing.assert_close(body((pixels,)).pooled()[:, 0], expected, atol=1e-5, rtol=1e-5)


def test_the_classic_network_of_every_tutorial_is_one_line():
    body = CLASSIC.encoder(ImageSpec(1, 28, 28))
    shapes = [tuple(p.shape) for p in body.parameters() if p.dim() > 1]
    assert shapes == [(32, 1, 3, 3), (64, 32, 3, 3), (128, 64 * 14 * 14)]
    assert body((_pixels(ImageSpec(1, 28, 28)),)).pooled().shape == (3, 1, 128)


def test_a_built_network_is_the_written_one_with_blocks_of_depth_convolutions():
    torch.manual_seed(0)
    built = CNN(channels=(4, 6), depth=2, summary="max").encoder(COLOUR)
    torch.manual_seed(0)
    stack = CNN(layers=("4x3", "4x3", "pool", "6x3", "6x3", "pool", "gmp")).encoder(COLOUR)
    assert built.state_dict().keys() == stack.state_dict().keys()
    assert torch.equal(built((_pixels(COLOUR),)).summary, stack((_pixels(COLOUR),)).summary)


def test_norm_stands_between_convolution_and_activation_and_dense_layers_have_none():
    body = CNN(layers=("4x5/2", "pool3", "gap", "dense7"), activation="gelu").encoder(COLOUR).eval()
    pixels = _pixels(COLOUR)
    layer, dense = body.layers[0], body.tail[0]
    x = F.conv2d((pixels.float() - 127.5) / 63.75, layer.filters.conv.weight, stride=2, padding=2)
    x = F.max_pool2d(F.gelu(layer.norm(x)), 3).mean((2, 3))
    torch.testing.assert_close(body((pixels,)).pooled()[:, 0], F.gelu(dense(x)), atol=1e-5, rtol=1e-5)


def test_without_an_end_the_summary_decides():
    def width(**said):
        return CNN(layers=(4, "pool"), **said).encoder(ImageSpec(1, 8, 6)).summary_width

    assert (width(), width(summary="max"), width(summary="flat")) == (4, 4, 4 * 4 * 3)


def test_words_of_a_stack_as_they_are_read():
    items = read((32, "16", "8x5", "6x3/2", "pool", "pool3", "drop0.25", "flat", "drop.5", "dense9"))
    assert [(i.kind, i.size, i.kernel, i.stride, i.share) for i in items] == [
        ("conv", 32, None, 1, 0.0),
        ("conv", 16, None, 1, 0.0),
        ("conv", 8, 5, 1, 0.0),
        ("conv", 6, 3, 2, 0.0),
        ("pool", 2, None, 1, 0.0),
        ("pool", 3, None, 1, 0.0),
        ("drop", 0, None, 1, 0.25),
        ("flat", 0, None, 1, 0.0),
        ("drop", 0, None, 1, 0.5),
        ("dense", 9, None, 1, 0.0),
    ]


def test_dropout_drops_its_share_of_the_summary_in_training_and_nothing_after():
    for settings in (
        CNN(channels=(2000,), depth=1, dropout=0.3, norm="none"),
        CNN(layers=(2000, "gap", "drop0.3"), norm="none"),
    ):
        body = CNN(**{**vars(settings), "activation": "sigmoid"}).encoder(ImageSpec(1, 4, 4))
        share = (body.train()((_pixels(ImageSpec(1, 4, 4)),)).pooled() == 0).float().mean()
        assert float(share) == pytest.approx(0.3, abs=0.03)
        assert bool((body.eval()((_pixels(ImageSpec(1, 4, 4)),)).pooled() > 0).all())


# ---------------------------------------------------------------------------------------------------------- pictures

NETWORKS = [
    CNN(channels=(8, 16)),
    CNN(layers=(8, 6, "pool", "flat", "dense9"), norm="none"),
    CNN(channels=(6,), depth=3, kernel=4, summary="flat", norm="group", activation="silu", pooling="mean"),
    CNN(layers=("8x3/2", "pool3", "drop0.3", "gmp", "dense5", "drop0.5"), activation="celu"),
    CNN(layers=("pool", "flat", "dense6"), activation="sigmoid"),
]


@pytest.mark.parametrize("settings", NETWORKS)
@pytest.mark.parametrize("spec", [ImageSpec(1, 8, 8), ImageSpec(1, 28, 28), ImageSpec(3, 1, 7), ImageSpec(2, 1, 1)])
def test_every_network_takes_pictures_of_any_size_and_trains_on_one(settings, spec):
    body, pixels = settings.encoder(spec), _pixels(spec)
    features = body((pixels,))
    last = features.pyramid()[-1]
    assert features.pooled().shape == (3, 1, body.summary_width)
    assert features.values.shape == (3, last.shape[2] * last.shape[3], body.width)
    body((pixels[:1],)).pooled().sum().backward()
    assert all(bool(torch.isfinite(p.grad).all()) for p in body.parameters())


def test_the_pyramid_has_the_maps_before_each_pooling_or_stride_and_the_last():
    def shapes(settings, spec=COLOUR):
        return [tuple(m.shape[1:]) for m in settings.encoder(spec)((_pixels(spec),)).pyramid()]

    assert shapes(CNN()) == [(32, 32, 32), (64, 16, 16), (128, 8, 8), (128, 4, 4)]
    assert shapes(LENET, GREY) == [(6, 28, 28), (16, 10, 10), (16, 5, 5)]
    assert shapes(CLASSIC) == [(64, 32, 32), (64, 16, 16)]
    assert shapes(CNN(layers=(4, "6x3/2", "8x3/2"))) == [(4, 32, 32), (6, 16, 16), (8, 8, 8)]
    assert shapes(CNN(channels=(4, 6)), ImageSpec(1, 1, 1)) == [(6, 1, 1)]


def test_values_are_a_view_of_the_last_map():
    features = CNN().encoder(COLOUR)((_pixels(COLOUR),))
    assert features.values.data_ptr() == features.maps[-1].data_ptr()


@pytest.mark.parametrize("settings", NETWORKS)
def test_bytes_floats_and_both_memory_layouts_give_the_same(settings):
    spec = ImageSpec(3, 12, 12, scale=((120.0, 60.0), (110.0, 50.0), (100.0, 70.0)))
    body, pixels = settings.encoder(spec).eval(), _pixels(spec)
    expected = body((pixels,)).pooled()
    for given in (pixels.float(), pixels.contiguous(memory_format=torch.channels_last)):
        torch.testing.assert_close(body((given,)).pooled(), expected, atol=1e-5, rtol=1e-5)
    laid = copy.deepcopy(body).to(memory_format=torch.channels_last)
    torch.testing.assert_close(laid((pixels,)).pooled(), expected, atol=1e-5, rtol=1e-5)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        short = body((pixels,)).pooled().float()
    assert float((short - expected).abs().max()) < 0.1 * float(expected.abs().max())


@pytest.mark.parametrize("spec", [ImageSpec(3, 16, 16), SeriesSpec(3, 12), TokenSpec(9, 12, streams=(5,))])
@pytest.mark.parametrize("settings", NETWORKS[:4])
def test_deterministic_mode_and_every_parameter_gets_a_gradient(settings, spec):
    body, mode = _for(settings, spec).encoder(spec), torch.get_deterministic_debug_mode()
    torch.set_deterministic_debug_mode("error")
    try:
        body(_inputs(spec)).pooled().square().sum().backward()
    finally:
        torch.set_deterministic_debug_mode(mode)
    for name, parameter in body.named_parameters():
        assert parameter.grad is not None, name
        assert bool((parameter.grad != 0).any()), name


def _for(settings: CNN, spec) -> CNN:
    """The settings; of texts without what only a stack can do."""
    return replace(settings, summary=None) if isinstance(spec, TokenSpec) and settings.layers is None else settings


def _inputs(spec) -> tuple:
    torch.manual_seed(2)
    match spec:
        case ImageSpec():
            return (_pixels(spec, 8),)
        case SeriesSpec():
            return torch.randn(8, 12, 3), torch.randint(1, 13, (8,))
        case _:
            return torch.randint(0, 9, (8, 12)), torch.randint(1, 5, (8, 12))


@pytest.mark.parametrize("spec", [ImageSpec(3, 12, 12), SeriesSpec(3, 12), TokenSpec(9, 12, streams=(5,))])
@pytest.mark.parametrize("settings", NETWORKS)
def test_a_network_built_without_numbers_gives_the_same_once_its_weights_are_loaded(settings, spec):
    settings = _for(settings, spec)
    body, inputs = settings.encoder(spec).eval(), _inputs(spec)
    with torch.device("meta"):
        other = settings.encoder(spec)
    assert all(t.is_meta for t in other.state_dict().values())
    other.load_state_dict(body.state_dict(), assign=True)
    assert torch.equal(other.eval()(inputs).summary, body(inputs).summary)


SMALL = CNN(layers=(8, 8, "pool", "flat", "dense32"), norm="none")


@pytest.mark.parametrize("settings", [CNN(channels=(8, 16), depth=1, summary="flat"), LENET, SMALL])
def test_every_network_learns_one_batch_of_real_digits_by_heart(settings):
    torch.manual_seed(0)
    digits = load_digits()
    small = torch.as_tensor(digits.images[:32]).unsqueeze(1) * 15
    pixels = small.repeat_interleave(4, 2).repeat_interleave(4, 3).to(torch.uint8)  # LeNet-5 wants 32 x 32
    target = torch.as_tensor(digits.target[:32])
    model = settings.encoder(ImageSpec(1, 32, 32, scale=((75.0, 90.0),)))
    head = nn.Linear(model.summary_width, 10)
    optimizer = torch.optim.AdamW([*model.parameters(), *head.parameters()], lr=5e-3)
    for _ in range(30):
        loss = F.cross_entropy(head(model((pixels,)).pooled()[:, 0]), target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert float(loss) < 0.3  # log 10 = 2.3 at the start


def test_clips_are_the_mean_of_their_frames_in_any_order():
    spec = ImageSpec(3, 12, 12, frames=5)
    body, clips = CNN(channels=(8, 16)).encoder(spec).eval(), _pixels(ImageSpec(3, 12, 12, frames=5))
    features = body((clips,))
    assert features.pooled().shape == (3, 1, 16)
    assert features.values.shape == (3, 5 * 3 * 3, 16)
    torch.testing.assert_close(body((clips.flip(2),)).pooled(), features.pooled())
    frames = torch.stack([body((clips[:, :, [t] * 5],)).pooled() for t in range(5)])
    torch.testing.assert_close(features.pooled(), frames.mean(0))


@pytest.mark.parametrize("spec", [COLOUR, SeriesSpec(3), TokenSpec(9)])
def test_members_are_networks_of_their_own(spec):
    settings = CNN(channels=(4,), width=5)
    body = settings.encoder(spec, members=3)
    assert isinstance(body, Ensemble)
    assert _size(body) == 3 * _size(settings.encoder(spec))


def test_a_condition_is_added_to_the_first_map():
    pixels, condition = _pixels(COLOUR), torch.randn(3, 4)
    body = CNN(layers=(4, "gap")).encoder(COLOUR).eval()
    torch.testing.assert_close(body((pixels,), condition=condition).summary, body((pixels,)).summary + condition)
    bare, colours = CNN(layers=("pool", "gap"), pooling="mean").encoder(COLOUR), torch.randn(3, 3)
    torch.testing.assert_close(
        bare((pixels,), condition=colours).summary, bare((pixels,)).summary + colours, atol=1e-5, rtol=1e-5
    )


# -------------------------------------------------------------------------------------------------- series and texts

SEQUENCES = [
    CNN(channels=(4, 6)),
    CNN(layers=("4x5/2", "pool3", "5x4", "gmp", "dense3"), padding="valid", activation="celu"),
    CNN(layers=("4x5", "pool", "flat", "dense3"), pooling="mean", norm="group"),
    CNN(layers=("4x9", "gap"), padding="valid", norm="none"),
    CNN(layers=("4x3", "pool"), activation="sigmoid"),
]


@pytest.mark.parametrize("settings", SEQUENCES)
def test_padding_changes_no_answer_about_a_series_however_short(settings):
    body = settings.encoder(SeriesSpec(2, 7)).eval()
    values, lengths = torch.randn(3, 7, 2), torch.tensor([7, 1, 4])
    plain = body((values, lengths))
    longer = torch.cat([values, torch.full((3, 4, 2), 1e3)], 1)
    torch.testing.assert_close(body((longer, lengths)).pooled(), plain.pooled(), atol=1e-6, rtol=1e-5)
    for row, length in enumerate(lengths.tolist()):
        alone = body((values[row : row + 1, :length], None))
        torch.testing.assert_close(alone.pooled(), plain.pooled()[row : row + 1], atol=1e-6, rtol=1e-5)
        assert int(plain.mask[row].sum()) == alone.values.shape[1]


@pytest.mark.parametrize(
    "settings",
    [
        *SEQUENCES,
        CNN(width=6, channels=(5,)),
        CNN(width=6, activation="tanh"),
        CNN(width=6, summary="gap"),
        CNN(width=6, summary="both"),
    ],
)
def test_padding_changes_no_answer_about_a_text_however_short(settings):
    body = settings.encoder(TokenSpec(9, 7)).eval()
    tokens = torch.tensor([[3, 4, 5, 6, 7, 8, 1], [7, 0, 0, 0, 0, 0, 0], [2, 3, 4, 0, 0, 0, 0], [0] * 7])
    plain = body((tokens,))
    padded = body((F.pad(tokens, [0, 4]),))
    torch.testing.assert_close(padded.pooled(), plain.pooled(), atol=1e-6, rtol=1e-5)
    for row, length in enumerate((7, 1, 3)):
        alone = body((tokens[row : row + 1, :length],))
        torch.testing.assert_close(alone.pooled(), plain.pooled()[row : row + 1], atol=1e-6, rtol=1e-5)
        real = alone.values.shape[1]
        torch.testing.assert_close(padded.values[row, :real], alone.values[0], atol=1e-6, rtol=1e-5)
    assert not torch.allclose(plain.pooled()[0], plain.pooled()[2], atol=1e-4)


def test_kims_network_is_the_largest_answer_of_each_filter_over_the_text():
    body = CNN(width=6, channels=(5,), kernels=(2, 3)).encoder(TokenSpec(9)).eval()
    tokens = torch.tensor([[3, 4, 5, 6, 7]])
    words, expected = body.stem.tokens(tokens)[0], []
    for branch in body.branches:
        kernel = branch.in_features // 6
        for f in range(5):
            answers = []
            for start in range(5 - kernel + 1):
                window = words[start : start + kernel].flatten()  # (k * D,)
                answers.append(float((branch.weight[f] * window).sum() + branch.bias[f]))
            expected.append(max(0.0, *answers))
    features = body((tokens,))
    torch.testing.assert_close(features.pooled()[0, 0], torch.tensor(expected), atol=1e-5, rtol=1e-5)
    assert features.values.shape == (1, 5, 10)
    assert body.summary_width == body.width == 10
    condition = torch.ones(1, 10)
    torch.testing.assert_close(body((tokens,), condition=condition).pooled(), features.pooled() + 1)


def test_texts_are_summed_up_by_the_mean_the_maximum_or_both():
    body = CNN(width=6, channels=(5,), kernels=(1, 3)).encoder(TokenSpec(9)).eval()
    tokens = torch.tensor([[3, 4, 5, 6, 7], [2, 8, 0, 0, 0]])
    values, counts = body((tokens,)).values, torch.tensor([[5.0] * 5 + [3.0] * 5, [2.0] * 5 + [1.0] * 5])
    found = {}
    for summary in ("gap", "max", "both"):
        other = CNN(width=6, channels=(5,), kernels=(1, 3), summary=summary).encoder(TokenSpec(9)).eval()
        other.load_state_dict(body.state_dict())
        found[summary] = other((tokens,)).summary
    torch.testing.assert_close(found["max"], body((tokens,)).summary)
    torch.testing.assert_close(found["gap"], values.sum(1) / counts)
    torch.testing.assert_close(found["both"], found["max"] + values.sum(1) / counts.sqrt())
    with pytest.raises(BadInput, match=r"^summary='flat' needs layers, as \(100, 'flat'\)"):
        CNN(summary="flat").encoder(TokenSpec(9))
    with pytest.raises(BadInput, match=r"^summary='both' is for texts without layers"):
        CNN(summary="both").encoder(GREY)


def test_kims_network_has_300_filters_of_3_4_and_5_words_unless_said_otherwise():
    body = CNN().encoder(TokenSpec(50))
    shapes = [tuple(b.weight.shape) for b in body.branches]
    assert shapes == [(100, 3 * 128), (100, 4 * 128), (100, 5 * 128)]


# ---------------------------------------------------------------------------------------------------------- messages

RULE = (
    "layers may list 32 (a convolution of 32 channels), '32x5' (windows of 5 x 5), '32x5/2' (moved by 2), 'pool', "
    "'pool3', 'drop0.25', 'flat', 'gap' (mean over the map), 'gmp' (maximum) and 'dense120'. Received: "
)


def test_cnn_says_what_it_reads():
    with pytest.raises(Unsupported, match=r"^CNN reads pictures, series and texts\. Received: GraphSpec\.$"):
        CNN().encoder(GraphSpec(3))


@pytest.mark.parametrize(
    "word",
    ["pol", "32x", "x3", "0", "32x0", "32/0", "pool0", "drop1.5", "drop0.99", "drop", "dense", "dense0", "Flat", ""],
)
def test_words_that_are_not_known_are_refused_with_those_that_are(word):
    with pytest.raises(BadInput) as caught:
        CNN(layers=(word,))
    assert str(caught.value) == f"{RULE}{word!r}."


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"layers": 32}, "layers must list the stack, as (32, 64, 'pool', 'flat', 'dense128'). Received: 32."),
        ({"layers": "32"}, "layers must list the stack, as (32, 64, 'pool', 'flat', 'dense128'). Received: '32'."),
        ({"layers": ()}, "layers must list the stack, as (32, 64, 'pool', 'flat', 'dense128'). Received: ()."),
        (
            {"layers": (0,)},
            "each number of channels in layers must be a whole number between 1 and 65536. Received: 0.",
        ),
        (
            {"layers": (4, "dense9")},
            "'dense9' in layers needs 'flat', 'gap' or 'gmp' before it. Received: (4, 'dense9').",
        ),
        (
            {"layers": (4, "flat", "pool")},
            "after 'flat' in layers the map is gone: only 'dense120' and 'drop0.25' may follow. Received: 'pool'.",
        ),
        (
            {"layers": (4, "gap", "dense3", 8)},
            "after 'gap' in layers the map is gone: only 'dense120' and 'drop0.25' may follow. Received: 8.",
        ),
        ({"channels": 32}, "channels must list the channels of each block, as (32, 64, 128). Received: 32."),
        ({"channels": (0,)}, "each number in channels must be a whole number between 1 and 65536. Received: 0."),
        ({"kernels": "3"}, "kernels must list the words in each window, as (3, 4, 5). Received: '3'."),
        ({"depth": 0}, "depth must be a whole number between 1 and 1000. Received: 0."),
        ({"width": 0}, "width must be a whole number between 1 and 65536. Received: 0."),
        ({"kernel": 0}, "kernel must be a whole number between 1 and 999. Received: 0."),
        ({"padding": "full"}, "padding must be one of 'same', 'valid'. Received: 'full'."),
        (
            {"activation": "rlu"},
            "activation must be one of 'relu', 'gelu', 'silu', 'celu', 'tanh', 'sigmoid'. Received: 'rlu'. "
            "Did you mean 'relu'?",
        ),
        ({"norm": "layer"}, "norm must be one of 'batch', 'group', 'none'. Received: 'layer'."),
        ({"pooling": "average"}, "pooling must be one of 'max', 'mean'. Received: 'average'."),
        ({"dropout": 1}, "dropout must be a number between 0.0 and 0.95. Received: 1."),
        ({"summary": "mean"}, "summary must be one of 'gap', 'max', 'flat', 'both'. Received: 'mean'."),
    ],
)
def test_settings_out_of_range_are_refused_with_the_rule(settings, sentence):
    with pytest.raises(BadInput) as caught:
        CNN(**settings)
    assert str(caught.value) == sentence


@pytest.mark.parametrize(
    ("settings", "spec", "sentence"),
    [
        (
            LENET,
            ImageSpec(1, 8, 8),
            "'16x5' in the stack has windows of 5 x 5, and its map is 2 x 2. "
            "Use padding='same', or fewer poolings before it.",
        ),
        (
            CNN(summary="flat"),
            SeriesSpec(2),
            "'flat' needs sequences of one known length. Received: any length. Use 'gap' or 'gmp'.",
        ),
    ],
)
def test_stacks_that_do_not_fit_the_data_are_refused(settings, spec, sentence):
    with pytest.raises(BadInput) as caught:
        settings.encoder(spec)
    assert str(caught.value) == sentence


def test_settings_may_be_lists_and_arrays_and_stay_usable_as_keys():
    assert CNN(layers=[32, "pool"], channels=np.array([4, 5])) == CNN(layers=(32.0, "pool"), channels=(4, 5))
    assert hash(CNN(layers=[32, "pool"])) == hash(CNN(layers=(32, "pool")))
