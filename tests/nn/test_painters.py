"""Painters and readers: pictures of any size, what is resampled, where a label counts, and no number on meta."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from decet.contracts import ImageSpec, TableSpec
from decet.families.dnn import DNN
from decet.nn.painters import (
    BEYOND,
    LABEL,
    BodyPainter,
    BodyReader,
    Branch,
    ConvPainter,
    ConvReader,
    Critic,
    Doubled,
    Encoder,
    Generator,
    Halved,
    Resample,
    ResidualPainter,
    ResidualReader,
    bent,
    evaluated,
    ladder,
    shares,
    spectral,
)

SIDES = [(28, 28), (32, 32), (8, 8), (48, 20), (7, 13), (1, 1)]
PAINTERS: dict[str, Callable[[int, int, tuple[int, int]], nn.Module]] = {
    "convolutions": lambda n, c, sides: ConvPainter(n, c, sides, (8, 16, 24)),
    "deeper": lambda n, c, sides: ConvPainter(n, c, sides, (8, 16), depth=2, kernel=5, norm="group"),
    "residual": lambda n, c, sides: ResidualPainter(n, c, sides, (8, 16), (1, 2)),
    "halved": lambda n, c, sides: ResidualPainter(n, c, sides, (8, 16), (0, 1), halved=True),
    "body": lambda n, c, sides: BodyPainter(DNN(hidden=(16,)).encoder(TableSpec(numbers=n)), c, sides),
}
READERS: dict[str, Callable[[int, tuple[int, int]], nn.Module]] = {
    "convolutions": lambda c, sides: ConvReader(c, sides, (8, 16, 24)),
    "deeper": lambda c, sides: ConvReader(c, sides, (8, 16), depth=2, kernel=5, norm="group", activation="relu"),
    "residual": lambda c, sides: ResidualReader(c, sides, (8, 16), (1, 2)),
    "halved": lambda c, sides: ResidualReader(c, sides, (8, 16), (0, 1), halved=True),
    "body": lambda c, sides: BodyReader(DNN(hidden=(16,)).encoder(ImageSpec(c, *sides, scale=((0.0, 1.0),) * c))),
}


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


@pytest.mark.parametrize("sides", SIDES)
@pytest.mark.parametrize("kind", PAINTERS)
def test_painters_paint_any_size(kind: str, sides: tuple[int, int]) -> None:
    made = PAINTERS[kind](5, 3, sides)(torch.randn(4, 5))
    assert made.shape == (4, 3, *sides)
    assert torch.isfinite(made).all()


@pytest.mark.parametrize("sides", SIDES)
@pytest.mark.parametrize("kind", READERS)
def test_readers_read_any_size(kind: str, sides: tuple[int, int]) -> None:
    reader = READERS[kind](3, sides)
    assert reader(torch.randn(4, 3, *sides)).shape == (4, reader.width)


@pytest.mark.parametrize("kind", [kind for kind in READERS if kind != "body"])  # whose pixels are float32
def test_slopes_of_readers_have_gradients(kind: str) -> None:
    """As autograd's own check has it, in double precision, of the squared slope by every weight."""
    critic = Critic(READERS[kind](1, (8, 8))).double()
    with torch.no_grad():
        for p in critic.parameters():
            p.add_(0.1 * torch.randn_like(p))  # no branch at zero
    x = torch.randn(2, 1, 8, 8, dtype=torch.float64, requires_grad=True)
    weights = [p for p in critic.parameters() if p.dim() > 1]

    def penalty() -> Tensor:
        (slope,) = torch.autograd.grad(critic(x).sum(), x, create_graph=True)
        return slope.square().sum()

    found = torch.autograd.grad(penalty(), weights)
    for weight, gradient in zip(weights, found, strict=True):
        step = 1e-6 * torch.randn_like(weight)
        with torch.no_grad():
            weight.add_(step)
        above = penalty().detach()
        with torch.no_grad():
            weight.sub_(2 * step)
        below = penalty().detach()
        with torch.no_grad():
            weight.add_(step)
        torch.testing.assert_close((above - below) / 2, (gradient * step).sum(), rtol=1e-3, atol=1e-10)


def test_sides_are_halved_and_rounded_up() -> None:
    assert ladder((28, 13), 3) == [(28, 13), (14, 7), (7, 4), (4, 2)]


@pytest.mark.parametrize(
    ("before", "after"), [((7, 7), (14, 14)), ((4, 4), (7, 7)), ((28, 20), (14, 10)), ((7, 5), (4, 3))]
)
def test_resampling_is_torchs(before: tuple[int, int], after: tuple[int, int]) -> None:
    x = torch.randn(2, 5, *before).contiguous(memory_format=torch.channels_last)
    expected = F.interpolate(x, after, mode="bilinear", antialias=True)
    y = Resample(before, after)(x)
    torch.testing.assert_close(y, expected, rtol=1e-5, atol=1e-5)
    assert y.is_contiguous(memory_format=torch.channels_last)


def test_shares_of_pixels_are_whole() -> None:
    assert shares(2, 4) == [[1.0, 0.0], [0.75, 0.25], [0.25, 0.75], [0.0, 1.0]]
    assert [sum(row) for row in shares(7, 3)] == pytest.approx([1.0] * 3)


@pytest.mark.parametrize("kernel", [2, 3, 4, 5, 6])
@pytest.mark.parametrize("side", [1, 2, 7, 8])
def test_every_pixel_is_seen_and_painted(kernel: int, side: int) -> None:
    small = -(-side // 2)
    x = torch.ones(1, 1, side, side, requires_grad=True)
    down = Halved(1, 1, kernel)
    with torch.no_grad():
        down.conv.weight.fill_(1.0)
    y = down(x)
    assert y.shape == (1, 1, small, small)
    (slope,) = torch.autograd.grad(y.sum(), x)
    assert float(slope.min()) > 0
    up = Doubled(1, 1, kernel, (side, side))
    with torch.no_grad():
        up.conv.weight.fill_(1.0)
    assert float(up(torch.ones(1, 1, small, small)).detach().min()) > 0


def test_residual_branches_start_at_zero_unless_norms_forbid_it() -> None:
    x = torch.randn(2, 8, 5, 5)
    assert torch.equal(Branch(8, 3)(x), x)
    assert not torch.equal(Branch(8, 3, still=False)(x), x)
    assert float(Branch(8, 4).first.weight.std() / Branch(8, 1).first.weight.std()) == pytest.approx(0.5, rel=0.1)


@pytest.mark.parametrize("kind", ["convolutions", "residual"])
def test_numbers_keep_their_size_through_a_painter_and_a_reader(kind: str) -> None:
    made = PAINTERS[kind](64, 1, (28, 28))(torch.randn(50, 64))
    assert 0.3 < float(made.std()) < 3
    reader = READERS[kind](1, (28, 28))
    told = Critic(reader)(torch.randn(50, 1, 28, 28))
    assert 0.1 < float(told.std()) < 5


# ------------------------------------------------------------------------------------------------------ the players


def test_what_is_beyond_black_and_white_is_bent() -> None:
    x = torch.tensor([-3.0, -1.5, -0.5, 0.0, 0.9, 2.0], requires_grad=True)
    torch.testing.assert_close(bent(x), torch.tensor([-1.2, -1.05, -0.5, 0.0, 0.9, 1.1]))
    bent(x).sum().backward()
    torch.testing.assert_close(x.grad, torch.tensor([BEYOND, BEYOND, 1.0, 1.0, 1.0, BEYOND]))


def test_a_generator_without_norms_keeps_learning_where_all_is_black() -> None:
    silent = list[bool]()
    for painter, last in ((PAINTERS["convolutions"](5, 1, (8, 8)), True), (PAINTERS["residual"](5, 1, (8, 8)), False)):
        bias = [part for name, part in painter.named_parameters() if name.endswith("bias")][-1]
        with torch.no_grad():
            bias.fill_(-40.0)
        drawn = Generator(painter)(torch.randn(4, 5))
        assert float(drawn.max()) <= -1
        (slope,) = torch.autograd.grad(drawn.sum(), bias)
        silent.append(float(slope.abs().sum()) == 0)
        assert painter.soft == last
    assert silent == [True, False]


def test_a_generator_paints_within_its_bounds_and_by_label() -> None:
    generator = Generator(PAINTERS["body"](3 + LABEL, 1, (4, 4)), classes=2)
    noise = torch.randn(6, 3)
    zero, one = (generator(noise, torch.full((6,), label)) for label in (0, 1))
    assert float(zero.abs().max()) <= 1
    assert not torch.equal(zero, one)


def test_a_critic_adds_how_far_a_picture_goes_with_its_label() -> None:
    reader = READERS["convolutions"](1, (8, 8))
    critic = Critic(reader, classes=3)
    x, labels = torch.randn(4, 1, 8, 8), torch.tensor([0, 1, 2, 1])
    read = reader(x)
    by_hand = read @ critic.head.weight[0] + critic.head.bias + (read * critic.labels.weight[labels]).sum(1)
    torch.testing.assert_close(critic(x, labels), by_hand)
    assert Critic(reader, biased=False).head.bias is None


def test_an_encoder_gives_noise_and_knows_the_label() -> None:
    reader = READERS["residual"](1, (8, 8))
    encoder = Encoder(reader, latent=5, classes=3)
    x = torch.randn(4, 1, 8, 8)
    zero, one = (encoder(x, torch.full((4,), label)) for label in (0, 1))
    assert zero.shape == (4, 5)
    assert not torch.equal(zero, one)


def test_spectral_norms_bring_each_matrix_to_one() -> None:
    reader = ResidualReader(1, (8, 8), (8, 16), (1, 1), still=False)
    critic = spectral(Critic(reader, classes=3))
    for _ in range(30):
        critic(torch.randn(2, 1, 8, 8), torch.zeros(2, dtype=torch.int64))
    critic.eval()
    seen = 0
    for part in critic.modules():
        if isinstance(part, nn.Linear | nn.Conv2d | nn.Embedding):
            seen += 1
            assert float(torch.linalg.matrix_norm(part.weight.detach().flatten(1), 2)) == pytest.approx(1, abs=0.05)
    assert seen == 1 + 4 + 1 + 2  # stem, branches, between the stages, head and labels


def test_what_is_asked_is_answered_as_in_prediction_and_training_goes_on() -> None:
    painter = PAINTERS["convolutions"](3, 1, (8, 8)).train()
    with evaluated(painter):
        assert not any(part.training for part in painter.modules())
    assert all(part.training for part in painter.modules())
    with pytest.raises(KeyError), evaluated(painter):
        raise KeyError
    assert painter.training


@pytest.mark.parametrize("kind", PAINTERS)
def test_networks_are_laid_out_without_memory_and_then_given_weights(kind: str) -> None:
    def players() -> tuple[nn.Module, nn.Module]:
        reader = READERS[kind](1, (28, 28))
        return Generator(PAINTERS[kind](3 + LABEL, 1, (28, 28)), 2), Critic(reader, 2)

    real = players()
    with torch.device("meta"):
        empty = players()
    noise, labels = torch.randn(4, 3), torch.tensor([0, 1, 0, 1])
    for one, other in zip(empty, real, strict=True):
        assert all(t.is_meta for t in one.state_dict().values())
        one.load_state_dict(other.state_dict(), assign=True)
    drawn = real[0](noise, labels)
    assert torch.equal(empty[0](noise, labels), drawn)
    assert torch.equal(empty[1](drawn, labels), real[1](drawn, labels))
