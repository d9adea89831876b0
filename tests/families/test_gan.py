"""GAN: losses and penalties are the papers', both modes of a toy are drawn, what cannot be is refused in a sentence."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import softplus

from decet.contracts import Batch, Clock, ImageSpec, Stage, TableSpec
from decet.data.resident import Resident
from decet.errors import BadInput, Unsupported
from decet.families.cnn import CNN
from decet.families.dnn import DNN
from decet.families.gan import FALLBACK, GAN, GanLearner, channels_of, stages_of
from decet.families.lstm import LSTM
from decet.families.resnet import ResNet
from decet.nn.games import squared_slopes
from decet.nn.painters import noise_of
from decet.nn.stems import inside
from decet.settings import joined
from decet.training import loop
from decet.training.backward import backward
from decet.training.checkpoint import copy_tree, same_tree
from decet.training.loop import train
from decet.training.recipe import FALLBACK as PLAIN
from decet.training.recipe import Recipe

SPEC = ImageSpec(1, 8, 8)
BODIES = {"dnn": DNN(hidden=(16,)), "cnn": CNN(channels=(8, 16)), "resnet": ResNet(widths=(8, 16))}


def learner(body: Any = BODIES["dnn"], spec: ImageSpec = SPEC, classes: int = 0, **said: Any) -> GanLearner:
    torch.manual_seed(0)
    return GAN(**{"generator": body, "critic": body, "latent": 5, **said}).learner(spec, classes)


def batch(count: int = 6, spec: ImageSpec = SPEC, classes: int = 3) -> Batch:
    drawn = torch.Generator().manual_seed(1)
    pixels = torch.randint(0, 256, (count, spec.channels, spec.height, spec.width), generator=drawn, dtype=torch.uint8)
    return Batch((pixels,), torch.randint(0, classes, (count, 1), generator=drawn))


def seeded(model: GanLearner, given: Batch, phase: str, seed: int = 7) -> Any:
    torch.manual_seed(seed)
    return model.loss(given, phase)


def drawn_again(model: GanLearner, given: Batch, seed: int = 7) -> tuple[Tensor, Tensor]:
    """The real pictures, and those that were drawn beside them."""
    torch.manual_seed(seed)
    noise = torch.randn(len(given.inputs[0]), model.latent)
    with torch.no_grad():
        return inside(given.inputs[0]), model.generator(noise, None)


# ------------------------------------------------------------------------------------------------ networks and sizes


def test_the_classic_pair_is_one_line() -> None:
    pair = DNN(hidden=(128,))
    model = GAN(generator=pair, critic=pair, latent=100, loss="vanilla").learner(ImageSpec(1, 28, 28))
    shapes = {name: [tuple(p.shape) for p in getattr(model, name).parameters()] for name in ("generator", "critic")}
    assert shapes["generator"] == [(128, 100), (128,), (784, 128), (784,)]
    assert shapes["critic"] == [(128, 784), (128,), (1, 128), (1,)]


def test_players_at_the_size_of_mnist_have_about_equal_weights() -> None:
    for body in (CNN(), ResNet()):
        model = GAN(generator=body, critic=body).learner(ImageSpec(1, 28, 28))
        for player in (model.generator, model.critic):
            assert 3e5 < sum(p.numel() for p in player.parameters()) < 7.5e5
        assert sum(p.numel() for p in model.parameters()) < 1.25e6


def test_maps_become_about_four_pixels_a_side_where_no_stages_are_said() -> None:
    assert channels_of(CNN(), (28, 28)) == (48, 96, 192)
    assert channels_of(CNN(), (8, 12)) == (48,)
    assert channels_of(CNN(channels=(5,)), (28, 28)) == (5,)
    assert stages_of(ResNet(), (28, 28)) == ((32, 64, 128), (1, 1, 1), True)
    assert stages_of(ResNet(), (8, 8)) == ((32, 64), (1, 1), False)
    assert stages_of(ResNet(stem="small", width=4), (28, 28)) == ((4, 8, 16, 16), (1,) * 4, False)
    assert stages_of(ResNet(blocks=(0, 2)), (28, 28)) == ((32, 64), (0, 2), True)


@pytest.mark.parametrize("sides", [(28, 28), (32, 32), (48, 20), (9, 31)])
@pytest.mark.parametrize("body", [DNN(hidden=(8,)), CNN(channels=(8, 8, 8)), ResNet(width=8)], ids=["d", "c", "r"])
def test_pictures_of_any_size_and_colour(body: Any, sides: tuple[int, int]) -> None:
    spec = ImageSpec(3, *sides)
    model, given = learner(body, spec), batch(2, spec)
    for phase in model.phases():
        assert torch.isfinite(model.loss(given, phase.name).total)
    made = model.draw(torch.randn(2, *model.shape))
    assert made.shape == (2, 3, *sides)
    assert made.dtype == torch.float32
    assert 0 <= float(made.min()) <= float(made.max()) <= 255
    assert not made.requires_grad


# ---------------------------------------------------------------------------------------------- losses and penalties


@pytest.mark.parametrize("loss", ["relativistic", "vanilla", "hinge", "wasserstein"])
def test_losses_are_of_what_the_critic_says(loss: str) -> None:
    model, given = learner(loss=loss, r1=0.0, r2=0.0, penalty=0.0, spectral=False), batch()
    found, (real, drawn) = seeded(model, given, "critic"), drawn_again(model, given)
    with torch.no_grad():
        r, d = model.critic(real), model.critic(drawn)
        f = softplus
        critic, generator = {
            "relativistic": (f(d - r).mean(), f(r - d).mean()),
            "vanilla": (f(-r).mean() + f(d).mean(), f(-d).mean()),
            "hinge": ((1 - r).relu().mean() + (1 + d).relu().mean(), -d.mean()),
            "wasserstein": (d.mean() - r.mean(), -d.mean()),
        }[loss]
    torch.testing.assert_close(found.total.detach(), critic)
    torch.testing.assert_close(found.parts["real"], r.mean())
    torch.testing.assert_close(found.parts["drawn"], d.mean())
    assert float(found.parts["told"]) == pytest.approx(float((r > d).float().mean()))
    assert "penalty" not in found.parts
    torch.testing.assert_close(seeded(model, given, "generator").total.detach(), generator)


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
@pytest.mark.parametrize(("r1", "r2"), [(2.0, 2.0), (2.0, 0.0), (0.0, 3.0), (1.0, 4.0)])
def test_penalties_are_half_of_the_mean_squared_slopes(body: Any, r1: float, r2: float) -> None:
    model, given = learner(body, r1=r1, r2=r2, lazy=1), batch()
    found, (real, drawn) = seeded(model, given, "critic"), drawn_again(model, given)
    real.requires_grad_(), drawn.requires_grad_()
    means = [squared_slopes(model.critic(x), x).mean() for x in (real, drawn)]
    by_hand = r1 / 2 * means[0] + r2 / 2 * means[1]
    torch.testing.assert_close(found.parts["penalty"], by_hand.detach())
    plain = softplus(model.critic(drawn) - model.critic(real)).mean()
    torch.testing.assert_close(found.total, plain + by_hand)
    weights = tuple(model.critic.parameters())
    for one, other in zip(*(torch.autograd.grad(t, weights) for t in (found.total, plain + by_hand)), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)


def test_the_penalty_of_wasserstein_is_on_lines() -> None:
    model, given = learner(loss="wasserstein", penalty=10.0), batch()
    found, (real, drawn) = seeded(model, given, "critic"), drawn_again(model, given)
    share = torch.rand(len(real), 1, 1, 1)  # drawn after the noise
    lines = (drawn + share * (real - drawn)).requires_grad_()
    slopes = squared_slopes(model.critic(lines), lines).sqrt()
    torch.testing.assert_close(found.parts["penalty"], 10 * (slopes - 1).square().mean().detach(), rtol=1e-4, atol=1e-6)


def test_lazy_penalties_come_seldom_and_heavy_and_their_count_is_carried() -> None:
    model, always, given = learner(lazy=3), learner(lazy=1), batch()
    came = []
    for step in range(7):
        found, wanted = seeded(model, given, "critic"), seeded(always, given, "critic")
        came.append("penalty" in found.parts)
        plain = wanted.total - wanted.parts["penalty"]
        torch.testing.assert_close(found.total, plain + (3 * wanted.parts["penalty"] if came[-1] else 0))
        model.after_step(Clock(step=step))
        if step == 3:
            fresh = learner(lazy=3)
            fresh.restore(model.state())
            assert fresh.turn == 4
            model = fresh
    assert came == [True, False, False, True, False, False, True]


def test_without_gradients_there_is_a_loss_without_penalties() -> None:
    model, given = learner(), batch()
    with torch.no_grad():
        assert "penalty" not in model.loss(given, "critic").parts


def test_the_generator_takes_a_turn_in_so_many() -> None:
    assert [phase.every for phase in learner(critic_steps=4).phases()] == [1, 4]
    wasserstein = learner(loss="wasserstein")
    assert [phase.every for phase in wasserstein.phases()] == [1, 5]
    assert (wasserstein.settings.penalty, wasserstein.settings.r1) == (10.0, 0.0)
    assert learner(loss="hinge").settings.spectral


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
@pytest.mark.parametrize("said", [{}, {"encoder": True, "vary": 1.0}, {"loss": "vanilla", "spectral": True}], ids=str)
def test_every_parameter_gets_a_gradient_in_its_own_turn_alone(body: Any, said: dict[str, Any]) -> None:
    model, given = learner(body, classes=3, **said), batch(32)
    with torch.no_grad():
        for p in model.parameters():
            p.add_(0.05 * torch.randn_like(p))  # what starts at zero lets nothing through to what is before it
    turns = model.phases()
    own = {id(p) for phase in turns for p in phase.parameters}
    assert own == {id(p) for p in model.parameters()}
    for phase in turns:
        backward(model.loss(given, phase.name).total, phase.parameters)
        got = {id(p) for p in model.parameters() if p.grad is not None and bool(p.grad.abs().sum() > 0)}
        assert got == {id(p) for p in phase.parameters}, phase.name
        for p in model.parameters():
            p.grad = None


def test_a_critic_with_batch_norm_sees_real_and_drawn_pictures_apart() -> None:
    body = CNN(channels=(8, 16), norm="batch")
    model, given = learner(body, loss="vanilla"), batch()
    found = seeded(model, given, "critic")
    torch.manual_seed(7)
    with torch.no_grad():
        real, drawn = inside(given.inputs[0]), model.generator(torch.randn(6, 5))
        by_hand = softplus(-model.critic(real)).mean() + softplus(model.critic(drawn)).mean()
    torch.testing.assert_close(found.total.detach(), by_hand)


# --------------------------------------------------------------------------------------------------- labels, encoder


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_labels_count_for_both_players(body: Any) -> None:
    model, given = learner(body, classes=3), batch()
    noise = torch.randn(6, 5)
    labels = given.target[:, 0]
    assert not torch.equal(model.draw(noise, labels), model.draw(noise, (labels + 1) % 3))
    with torch.no_grad():
        real = inside(given.inputs[0])
        one, other = model.critic(real, labels), model.critic(real, (labels + 1) % 3)
        assert not torch.equal(one, other)
        found = seeded(model, given, "critic").parts["real"]
    torch.testing.assert_close(found, one.mean())


def test_encoders_learn_noise_and_pixels() -> None:
    model, given = learner(encoder=True), batch()
    assert [phase.name for phase in model.phases()] == ["critic", "generator", "encoder"]
    found, (real, drawn) = seeded(model, given, "encoder"), drawn_again(model, given)
    torch.manual_seed(7)
    noise = torch.randn(6, 5)
    with torch.no_grad():
        pixels = (model.generator(model.encoder(real)) - real).square().mean()
        codes = (model.encoder(drawn) - noise).square().mean()
    torch.testing.assert_close(found.parts["pixels"], pixels)
    torch.testing.assert_close(found.parts["codes"], codes)
    torch.testing.assert_close(found.total.detach(), pixels + codes)
    assert model.encode(given.inputs[0]).shape == (6, 5)
    assert model.training


def test_what_was_not_learned_or_said_is_told() -> None:
    with pytest.raises(Unsupported, match=r"^this GAN has learned no encoder\. Fit one with GAN\(encoder=True\)\.$"):
        learner().encode(batch().inputs[0])
    with pytest.raises(BadInput, match=r"^this GAN has 3 classes, and needs a label for each picture\. Received: none"):
        learner(classes=3).draw(torch.randn(2, 5))


def test_predictions_are_drawn_of_noise_that_pixels_stand_for() -> None:
    pixels = torch.arange(64.0).view(1, 1, 8, 8)
    noise = noise_of(torch.cat([pixels, torch.full_like(pixels, 9.0)]), 150)
    assert noise.shape == (2, 150)
    assert torch.equal(noise[:, :64], noise[:, 64:128])
    assert float(noise[0, :64].mean()) == pytest.approx(0, abs=1e-6)
    assert float(noise[0, :64].std(correction=0)) == pytest.approx(1, rel=1e-5)
    assert not noise[1].any()
    model, given = learner(classes=2), batch()
    told = model.predict(given.inputs)
    assert torch.equal(told, model.draw(noise_of(given.inputs[0], 5), torch.zeros(6, dtype=torch.int64)))
    assert torch.equal(told, model.predict(given.inputs))
    torch.testing.assert_close(told[:2], model.predict((given.inputs[0][:2],)), rtol=1e-5, atol=1e-3)


def test_it_is_drawn_in_prediction_mode_and_training_goes_on() -> None:
    model = learner(CNN(channels=(8, 16))).train()
    noise = torch.randn(4, 5)
    assert torch.equal(model.draw(noise), model.draw(noise))  # no statistics move
    assert model.generator.training


def test_the_average_is_the_generators_alone() -> None:
    model = learner()
    assert model.averaged() is model.generator


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
@pytest.mark.parametrize("said", [{"encoder": True}, {"loss": "hinge"}], ids=str)
def test_a_model_is_laid_out_without_memory_and_then_given_weights(body: Any, said: dict[str, Any]) -> None:
    model = learner(body, classes=3, **said)
    with torch.device("meta"):
        empty = learner(body, classes=3, **said)
    assert all(tensor.is_meta for tensor in empty.state_dict().values())
    assert all(tensor.dtype == torch.float32 for tensor in empty.parameters())
    empty.load_state_dict(copy_tree(model.state_dict()), assign=True)
    given = batch()
    assert torch.equal(empty.predict(given.inputs), model.predict(given.inputs))
    assert torch.equal(seeded(empty, given, "critic").total, seeded(model, given, "critic").total)


# ---------------------------------------------------------------------------------------------------- what is trained


def blobs(count: int = 400) -> tuple[Tensor, Tensor]:
    """Pictures of 8 x 8 with a spot, above on the left (label 0) or below on the right (1), pixels and labels."""
    drawn = torch.Generator().manual_seed(5)
    labels = torch.arange(count) % 2
    centre = torch.where(labels == 0, 2.0, 5.0) + 0.3 * torch.randn(count, generator=drawn)
    place = torch.arange(8.0)
    away = (place.view(1, 8, 1) - centre.view(-1, 1, 1)) ** 2 + (place.view(1, 1, 8) - centre.view(-1, 1, 1)) ** 2
    return (255 * torch.exp(-away / 3)).round().to(torch.uint8).unsqueeze(1), labels.unsqueeze(1)


def recipe(**said: Any) -> Recipe:
    base = Recipe(**{**vars(PLAIN), "epochs": None})
    said = {"lr": 2e-3, "momentum": 0.0, "weight_decay": 0.0, "clip": 0.0, "batch": 64, "average": 0.95, **said}
    return joined(Recipe(**said), base)


def sides_of(pictures: Tensor) -> Tensor:
    """Of each picture which spot it is nearer to, -1 where it is near to none."""
    modes = torch.stack([blobs(400)[0][i::2].float().mean(0) for i in (0, 1)])
    apart = (pictures.unsqueeze(1) - modes).square().mean((2, 3, 4)).sqrt()
    return apart.argmin(1).where(apart.amin(1) < 30, -1)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (DNN(hidden=(64, 64)), {"r1": 0.3, "r2": 0.3}),
        (CNN(channels=(16, 32), norm="none"), {"loss": "hinge"}),
        (ResNet(widths=(8, 16)), {"r1": 0.3, "r2": 0.3, "lazy": 4}),
    ],
    ids=["dnn", "cnn", "resnet"],
)
def test_both_spots_are_drawn(body: Any, said: dict[str, Any]) -> None:
    pixels, labels = blobs()
    model = learner(body, latent=8, **said)
    own = recipe(steps=600 if isinstance(body, ResNet) else 300)
    train([Stage(model, Resident((pixels,), labels, batch=own.batch), own)])
    torch.manual_seed(2)
    seen = sides_of(model.draw(torch.randn(200, 8)))
    shares = [float((seen == i).float().mean()) for i in (0, 1)]
    assert min(shares) > 0.2
    assert sum(shares) > 0.8


def test_spots_are_drawn_by_label_and_found_again_by_the_encoder() -> None:
    pixels, labels = blobs()
    model = learner(ResNet(widths=(8, 16)), classes=2, latent=4, r1=0.3, r2=0.3, lazy=1, encoder=True)
    own = recipe(steps=600)
    train([Stage(model, Resident((pixels,), labels, batch=own.batch), own)])
    torch.manual_seed(2)
    asked = torch.arange(200) % 2
    assert float((sides_of(model.draw(torch.randn(200, 4), asked)) == asked).float().mean()) > 0.9
    again = model.draw(model.encode(pixels[:100], labels[:100, 0]), labels[:100, 0])
    apart = (again - pixels[:100].float()).square().mean().sqrt()
    other = (again.roll(1, 0) - pixels[:100].float()).square().mean().sqrt()
    assert float(apart) < 0.5 * float(other)


class Stop(Exception):
    """What ends a run in the middle."""


class Stopped(GanLearner):
    def __init__(self, at: int, **said: Any):
        torch.manual_seed(0)
        super().__init__(GAN(**said).settled(), SPEC, 2)
        self.at, self.calls = at, 0

    def loss(self, batch: Batch, phase: str) -> Any:
        self.calls += 1
        if self.calls == self.at:
            raise Stop
        return super().loss(batch, phase)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize(
    "said",
    [
        {"generator": BODIES["resnet"], "critic": BODIES["resnet"], "lazy": 3, "encoder": True, "vary": 1.0},
        {"generator": BODIES["cnn"], "critic": BODIES["cnn"], "loss": "hinge", "critic_steps": 2},
    ],
    ids=["resnet", "cnn"],
)
def test_a_run_that_broke_off_ends_with_the_same_bits(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any, said: dict[str, Any], precision: str
) -> None:
    monkeypatch.setattr(loop, "SAVE_STEPS", (1, 4))
    monkeypatch.setattr(loop, "WRITE_SECONDS", 0.0)
    pixels, labels = blobs(48)
    own = recipe(steps=11, batch=16, precision=precision)

    def stage(model: GanLearner) -> Stage:
        return Stage(model, Resident((pixels,), labels, batch=own.batch), own)

    unbroken, broken, again = (Stopped(at, **said) for at in (-1, 17, -1))
    expected = train([stage(unbroken)], seed=3)
    with pytest.raises(Stop):
        train([stage(broken)], seed=3, folder=tmp_path)
    torch.rand(11)
    outcome = train([stage(again)], seed=3, folder=tmp_path, resume=True)
    assert outcome.resumed
    assert again.turn == unbroken.turn == 11
    assert same_tree(copy_tree(again.state_dict()), copy_tree(unbroken.state_dict()))
    for one, other in zip(outcome.history, expected.history, strict=True):
        assert {**one, "seconds": 0} == {**other, "seconds": 0}
    assert all(math.isfinite(record["told"]) for record in outcome.history)


class Broken(GanLearner):
    """Whose generator once loses what is no number, in its turn 10; notes all weights before each turn."""

    def __init__(self, **said: Any):
        torch.manual_seed(0)
        super().__init__(GAN(**said).settled(), SPEC, 2)
        self.seen, self.broke = list[tuple[int, Any]](), False

    def loss(self, batch: Batch, phase: str) -> Any:
        if phase == "critic":
            self.seen.append((self.turn, copy_tree(self.state_dict())))
        found = super().loss(batch, phase)
        if phase == "generator" and self.turn == 10 and not self.broke:
            self.broke = True
            return found._replace(total=found.total * float("nan"))
        return found


def test_both_players_go_back_where_one_loses_what_is_no_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "SAVE_STEPS", (1, 4))
    pixels, labels = blobs(48)
    own = recipe(steps=12, batch=16, schedule="constant")
    model = Broken(generator=BODIES["cnn"], critic=BODIES["cnn"])
    outcome = train([Stage(model, Resident((pixels,), labels, batch=own.batch), own)], seed=3)
    turns = [turn for turn, _ in model.seen]
    assert turns == [*range(11), 9, 10, 11], "back to the save point before it, with the critic's turn of it undone"
    first, again = (weights for turn, weights in model.seen if turn == 9)
    assert same_tree(first, again), "both players"
    assert outcome.history[-1]["rate"] == pytest.approx(recipe().lr / 2)
    assert all(bool(weight.isfinite().all()) for weight in model.state_dict().values() if weight.is_floating_point())


def test_precision_is_measured_on_a_copy() -> None:
    pixels, labels = blobs(48)
    own = recipe(steps=2, batch=16, precision="auto")
    train([Stage(learner(BODIES["cnn"], loss="hinge"), Resident((pixels,), labels, batch=16), own)])


# ----------------------------------------------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("said", "message"),
    [
        (
            {"generator": DNN},
            r"^generator must be settings of DNN, CNN, ResNet, as CNN\(channels=\(64, 128\)\)\. Received: DNN\.$",
        ),
        ({"critic": LSTM()}, r"^critic must be settings of DNN, CNN, ResNet, as .* Received: LSTM\.$"),
        (
            {"critic": CNN(layers=(8, "flat"))},
            r"^a CNN as critic goes by channels, depth, kernel, norm, activation\. "
            r"Received: layers=\(8, 'flat'\)\. Leave it out\.$",
        ),
        (
            {"generator": ResNet(depth=18)},
            r"^a ResNet as generator goes by blocks, widths, width, stem\. Received: depth=18\. Leave it out\.$",
        ),
        ({"generator": CNN(kernel=1)}, "the kernel of the generator must be a whole number between 2 and 15"),
        ({"critic": ResNet(stem="whiten")}, "the stem of the critic must be one of 'small', 'large'"),
        ({"latent": 0}, r"^latent must be a whole number between 1 and 65536\. Received: 0\.$"),
        ({"loss": "hing"}, r"^loss must be one of .* Received: 'hing'\. Did you mean 'hinge'\?$"),
        ({"r1": -1}, "r1 must be a number between"),
        ({"r2": float("nan")}, "r2 must be a number between"),
        ({"penalty": -1}, "penalty must be a number between"),
        (
            {"penalty": 10.0},
            r"^penalty needs loss='wasserstein', whose critic is to have the slope 1\. Received: loss=None\. "
            r"Say r1 and r2 instead, or loss='wasserstein'\.$",
        ),
        ({"penalty": 10.0, "loss": "hinge"}, "Received: loss='hinge'"),
        ({"lazy": 0}, "lazy must be a whole number"),
        ({"critic_steps": 0}, "critic_steps must be a whole number"),
        ({"vary": 1.5}, r"^vary must be a number between 0\.0 and 1\.0\. Received: 1\.5\.$"),
        ({"spectral": 1}, "spectral must be one of True, False"),
        ({"encoder": "yes"}, "encoder must be one of True, False"),
    ],
)
def test_settings_that_cannot_be_are_refused(said: dict[str, Any], message: str) -> None:
    with pytest.raises(BadInput, match=message):
        GAN(**said)


def test_what_does_not_fit_together_is_refused() -> None:
    for body in (CNN(channels=(8, 8), norm="batch"), DNN(norm="batch")):
        with pytest.raises(BadInput, match=r"^batch norm makes a critic's answer depend on other pictures, so that"):
            GAN(critic=body).learner(SPEC)
        GAN(critic=body, loss="vanilla").learner(SPEC)
    with pytest.raises(BadInput, match=r"^blocks and widths must name as many stages\. Received: blocks=\(1,\)"):
        GAN(critic=ResNet(widths=(8, 8), blocks=(1,))).learner(SPEC)
    with pytest.raises(BadInput, match="classes must be a whole number"):
        GAN().learner(SPEC, -1)


def test_what_is_no_picture_is_refused() -> None:
    with pytest.raises(Unsupported, match=r"^GAN draws pictures\. Received: TableSpec\.$"):
        GAN().learner(TableSpec(numbers=3))
    with pytest.raises(Unsupported, match=r"^GAN draws pictures, and these are clips of 8 frames\. Say no frames\.$"):
        GAN().learner(ImageSpec(1, 8, 8, frames=8))


def test_what_is_not_said_is_as_the_fallback_has_it() -> None:
    settings = GAN(generator=CNN(channels=(8,))).settled()
    assert settings.generator == CNN(channels=(8,))
    assert settings.critic == FALLBACK.critic
    assert (settings.loss, settings.latent) == (FALLBACK.loss, FALLBACK.latent)
    assert GAN(loss="hinge", spectral=False).settled().spectral is False
