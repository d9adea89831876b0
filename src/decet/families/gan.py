"""GAN: a generator makes pictures of noise, a critic tells them from real ones, and each learns of the other.

    repeat:  z ~ N(0, 1),  x' = G(z, y)                       y: the labels of the batch, where there are any
             critic:     down the gradient of  mean f(D(x', y) - D(x, y)) + r1/2 |dD/dx|^2 + r2/2 |dD/dx'|^2
             generator:  down the gradient of  mean f(D(x, y) - D(x', y))             f(t) = log(1 + e^t)
             encoder:    down the gradient of  |G(E(x, y), y) - x|^2 + |E(x', y) - z|^2       where it is asked for

That is `loss="relativistic"`: each picture is judged beside one of the other kind, and penalties on the critic's slope
make the game converge. The losses that judge pictures by themselves stand in nn/games.py; "hinge" comes with spectral
norms, "wasserstein" with a penalty on slopes other than 1 and five steps of the critic for one of the generator.
The classic pair of perceptrons, 100-128-784 and back to 1, is one line:

    GAN(generator=DNN(hidden=(128,)), critic=DNN(hidden=(128,)), latent=100, loss="vanilla")

References: Goodfellow et al., 1406.2661; DCGAN 1511.06434; relativistic pairs 1807.00734, with both penalties and
residual players (R3GAN) 2501.05441; r1, r2 1801.04406; WGAN-GP 1704.00028; spectral norms 1802.05957; lazy penalties
1912.04958; labels by projection 1802.05637; DiffAugment 2006.10738; adversarial autoencoders 1511.05644.

Differs from the papers:
1. Penalties are taken at the pictures as the critic sees them, varied ones too, of both kinds in one pass.
2. A CNN that is the critic has no norm unless one is said: with batch norm no penalty has a meaning. What residual
   branches draw is bent at black and white, not bound by a tanh, behind which they fall silent, nor unbound.
3. The encoder moves alone, the generator learns of the critic only: squared errors of pixels would blur what it draws.
   So the encoder looks for a place in what the generator can draw, and no second critic judges its answers.

Reads pictures. Good at: sharp small pictures, drawn in one pass. Weak at: showing all there is (modes may be missing),
saying how likely a picture is; a few hundred pictures.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from decet.contracts import Batch, Clock, ImageSpec, Learner, Loss, Phase, TableSpec
from decet.errors import BadInput, Unsupported, check_choice, check_range, listed
from decet.families.cnn import CNN
from decet.families.dnn import DNN
from decet.families.resnet import ResNet
from decet.nn.games import LOSSES, between, critic_loss, generator_loss, off_one, squared_slopes, told_right
from decet.nn.painters import (
    LABEL,
    BodyPainter,
    BodyReader,
    ConvPainter,
    ConvReader,
    Critic,
    Encoder,
    Generator,
    ResidualPainter,
    ResidualReader,
    evaluated,
    noise_of,
    spectral,
)
from decet.nn.samplers import Drawing
from decet.nn.stems import inside, outside
from decet.nn.varying import varied
from decet.settings import check_whole, joined

PLAYERS = (DNN, CNN, ResNet)
SAID: dict[type, tuple[str, ...]] = {  # what a player's settings may say; a DNN's all
    CNN: ("channels", "depth", "kernel", "norm", "activation"),
    ResNet: ("blocks", "widths", "width", "stem"),
}
COARSEST = 4  # pixels a side of the smallest map, about
LARGE = 24  # pixels of the shorter side from which residual stages begin at half of the size
CHANNELS = 48  # of a CNN's first map, where not said; doubled at each further one, four times as many at most
WIDTH = 32  # of a ResNet's first stage, where not said; doubled at each further one, four times as many at most


@dataclass(frozen=True)
class GAN:
    """The method. None = not said: the cell of the map, then what is usual of the loss, then the fallback decides.

    generator, critic: settings of the players' bodies, CNN, ResNet or DNN. A CNN goes by channels (one a halving of the
        picture, the finest map's first), depth, kernel, norm and activation; a ResNet by widths and blocks of its
        stages, or width, and stem ("small": the finest stage has the picture's size; "large": half of it).
    latent: numbers of noise that a picture is made of.
    loss: "relativistic", "vanilla" (non-saturating), "hinge" or "wasserstein".
    r1, r2: weight of the penalty on the critic's squared slope at real and at drawn pictures; 0 = none.
    penalty: weight of the penalty on slopes other than 1 on lines from drawn to real pictures; 0 = none.
    lazy: penalties are taken at one of so many steps, so many times as heavy.
    spectral: the critic's matrices and filters over their largest singular values.
    critic_steps: of the critic for each of the generator.
    vary: strength of the variations in which the critic sees all pictures, 0 to 1; 0 = none. Of fewer than 10,000
        pictures .5, where it is not said.
    encoder: learn, too, which noise a picture could be made of.
    """

    generator: Any = None
    critic: Any = None
    latent: int | None = None
    loss: str | None = None
    r1: float | None = None
    r2: float | None = None
    penalty: float | None = None
    lazy: int | None = None
    spectral: bool | None = None
    critic_steps: int | None = None
    vary: float | None = None
    encoder: bool | None = None

    reads: ClassVar[tuple[type, ...]] = (ImageSpec,)
    bodies: ClassVar[dict[str, tuple[type, ...]]] = {"generator": PLAYERS, "critic": PLAYERS}
    stepwise: ClassVar[bool] = False  # a picture comes in one step
    remedies: ClassVar[dict[str, str]] = {  # what may help against what a fit sees
        "alike": "say larger family.r1 and family.r2, a smaller recipe.lr, or of few pictures family.vary 0.5",
        "critic": "say larger family.r1 and family.r2, a smaller critic (family.critic), or family.vary 0.5",
        "copies": "say family.vary 0.5, or a smaller generator (family.generator)",
    }

    def __post_init__(self) -> None:
        for name in self.bodies:
            self._check_player(name)
        check_whole(self, ("latent",), 1, 65536)
        check_choice("loss", self.loss, LOSSES)
        for name in ("r1", "r2", "penalty"):
            check_range(name, getattr(self, name), 0.0, 1e6)
        check_whole(self, ("lazy", "critic_steps"), 1, 1000)
        check_choice("spectral", self.spectral, (True, False))
        check_range("vary", self.vary, 0.0, 1.0)
        check_choice("encoder", self.encoder, (True, False))
        if self.penalty and self.loss != "wasserstein":
            raise BadInput(
                "penalty needs loss='wasserstein', whose critic is to have the slope 1. "
                f"Received: loss={self.loss!r}. Say r1 and r2 instead, or loss='wasserstein'."
            )

    def _check_player(self, name: str) -> None:
        player = getattr(self, name)
        if player is None:
            return
        if not isinstance(player, PLAYERS):
            what = player.__name__ if isinstance(player, type) else type(player).__name__
            raise BadInput(
                f"{name} must be settings of {listed(body.__name__ for body in PLAYERS)}, as CNN(channels=(64, 128)). "
                f"Received: {what}."
            )
        known = SAID.get(type(player), tuple(f.name for f in fields(player)))
        other = [f.name for f in fields(player) if f.name not in known and getattr(player, f.name) is not None]
        if other:
            raise BadInput(
                f"a {type(player).__name__} as {name} goes by {listed(known)}. "
                f"Received: {other[0]}={getattr(player, other[0])!r}. Leave it out."
            )
        if isinstance(player, CNN):
            check_range(f"the kernel of the {name}", player.kernel, 2, 15, whole=True)
        if isinstance(player, ResNet):
            check_choice(f"the stem of the {name}", player.stem, ("small", "large"))

    def settled(self) -> GAN:
        """These settings, and what is usual where they leave something open."""
        return joined(self, USUAL.get(self.loss or ""), FALLBACK)

    def learner(self, spec: Any, classes: int = 0) -> GanLearner:
        """The learner of pictures of this spec, with labels 0 to `classes` - 1, or without any (0)."""
        if not isinstance(spec, ImageSpec):
            raise Unsupported(f"GAN draws pictures. Received: {type(spec).__name__}.")
        if spec.frames is not None:
            raise Unsupported(f"GAN draws pictures, and these are clips of {spec.frames} frames. Say no frames.")
        check_range("classes", classes, 0, whole=True)
        settings = self.settled()
        found = GanLearner(settings, spec, classes)
        if found.apart and (settings.r1 or settings.r2 or settings.penalty):
            raise BadInput(
                "batch norm makes a critic's answer depend on other pictures, so that penalties on its slope (r1, r2, "
                "penalty) have no meaning. Say norm='none' of the critic, or set them to 0."
            )
        return found


USUAL = {  # of a loss that is said
    "vanilla": GAN(r1=0.0, r2=0.0),
    "hinge": GAN(r1=0.0, r2=0.0, spectral=True),
    "wasserstein": GAN(r1=0.0, r2=0.0, loss="wasserstein", penalty=10.0, lazy=1, critic_steps=5),
}
FALLBACK = GAN(
    generator=ResNet(),
    critic=ResNet(),
    latent=64,
    loss="relativistic",
    r1=1.0,
    r2=1.0,
    penalty=0.0,
    lazy=4,
    spectral=False,
    critic_steps=1,
    vary=0.0,
    encoder=False,
)


# -------------------------------------------------------------------------------------------------------- networks


def painter(player: Any, numbers: int, spec: ImageSpec) -> nn.Module:
    """What makes pictures (B, C, H, W) of numbers (B, numbers)."""
    sides = (spec.height, spec.width)
    match player:
        case DNN():
            return BodyPainter(player.encoder(TableSpec(numbers=numbers)), spec.channels, sides)
        case CNN():
            norm, activation = player.norm or "batch", player.activation or "relu"
            channels, depth, kernel = channels_of(player, sides), player.depth or 1, player.kernel or 4
            return ConvPainter(numbers, spec.channels, sides, channels, depth, kernel, norm, activation)
        case _:
            return ResidualPainter(numbers, spec.channels, sides, *stages_of(player, sides))


def reader(player: Any, spec: ImageSpec, still: bool = True) -> Any:
    """What makes a row of numbers, as many as its `width`, of pictures. still: residual branches start at zero."""
    sides = (spec.height, spec.width)
    match player:
        case DNN():  # which gets pictures that are scaled already
            return BodyReader(player.encoder(replace(spec, scale=((0.0, 1.0),) * spec.channels)))
        case CNN():
            channels, depth, kernel = channels_of(player, sides), player.depth or 1, player.kernel or 4
            return ConvReader(spec.channels, sides, channels, depth, kernel, player.norm or "none", player.activation)
        case _:
            return ResidualReader(spec.channels, sides, *stages_of(player, sides), still=still)


def channels_of(player: CNN, sides: tuple[int, int]) -> tuple[int, ...]:
    """A CNN's channels: as said, or one number a halving until maps are about `COARSEST` pixels a side."""
    halvings = max(1, round(math.log2(min(sides) / COARSEST)))
    return player.channels or tuple(CHANNELS * min(2**i, 4) for i in range(halvings))


def stages_of(player: ResNet, sides: tuple[int, int]) -> tuple[tuple[int, ...], tuple[int, ...], bool]:
    """A ResNet's channels and branches of each stage, the finest first, and whether that is half as large as the
    picture: as said, or one branch a stage, until maps are about `COARSEST` pixels a side."""
    halved = player.stem == "large" if player.stem is not None else min(sides) >= LARGE
    stages = max(1, 1 + round(math.log2(min(sides) / COARSEST)) - halved)
    width, count = player.width or WIDTH, len(player.widths or player.blocks or (1,) * stages)
    widths = player.widths or tuple(width * min(2**i, 4) for i in range(count))
    blocks = player.blocks or (1,) * count
    if len(widths) != len(blocks):
        raise BadInput(f"blocks and widths must name as many stages. Received: blocks={blocks}, widths={widths}.")
    return widths, blocks, halved


# ------------------------------------------------------------------------------------------------------ the learner


class GanLearner(Learner):
    """The box above. Batches: inputs (pixels (B, C, H, W),), 0 to 255, and target (B, 1), the numbers of labels."""

    def __init__(self, settings: GAN, spec: ImageSpec, classes: int = 0):
        super().__init__()
        self.settings, self.classes, self.latent = settings, classes, settings.latent or 1
        numbers = self.latent + (LABEL if classes else 0)
        self.generator = Generator(painter(settings.generator, numbers, spec), classes)
        eyes = reader(settings.critic, spec, still=not settings.spectral)
        self.critic = Critic(eyes, classes, biased=settings.loss in ("vanilla", "hinge"))
        if settings.spectral:
            spectral(self.critic)
        self.encoder: Encoder | None = None
        if settings.encoder:
            eyes = reader(settings.critic, spec)
            self.encoder = Encoder(eyes, self.latent, classes)
        norms = nn.modules.batchnorm._BatchNorm
        self.apart = any(isinstance(part, norms) for part in self.critic.modules())  # real and drawn ones are seen so
        self.turn = 0  # steps that were taken, by which penalties are lazy

    def phases(self) -> tuple[Phase, ...]:
        turns = [Phase("critic", tuple(self.critic.parameters()))]
        turns.append(Phase("generator", tuple(self.generator.parameters()), every=self.settings.critic_steps or 1))
        if self.encoder is not None:
            turns.append(Phase("encoder", tuple(self.encoder.parameters())))
        return tuple(turns)

    def loss(self, batch: Batch, phase: str) -> Loss:
        real, labels = inside(batch.inputs[0]), batch.target[:, 0] if self.classes else None
        match phase:
            case "critic":
                return self._judging(real, labels)
            case "generator":
                return self._drawing(real, labels)
            case _:
                return self._encoding(real, labels)

    def _judging(self, real: Tensor, labels: Tensor | None) -> Loss:
        """The critic's turn. told: the share of pairs of which it holds the real one to be the more real."""
        s = self.settings
        with torch.no_grad():
            drawn = self.generator(self._noise(real), labels)
        seen = varied(torch.cat([real, drawn]), s.vary or 0.0)
        due = torch.is_grad_enabled() and self.turn % (s.lazy or 1) == 0
        r1, r2 = (s.r1 or 0.0, s.r2 or 0.0) if due else (0.0, 0.0)
        if self.apart or r1 != r2:
            (of_real, one), (of_drawn, other) = (
                self._said(half, labels, weight) for half, weight in zip(seen.chunk(2), (r1, r2), strict=True)
            )
            penalty = one + other
        else:
            both, mean = self._said(seen, _twice(labels), r1)
            (of_real, of_drawn), penalty = both.chunk(2), 2 * mean
        if due and s.penalty:
            lines = between(*seen.chunk(2))
            penalty = penalty + s.penalty * off_one(squared_slopes(self.critic(lines, labels), lines))
        total = critic_loss(s.loss, of_real, of_drawn)
        parts = {"real": of_real.detach().mean(), "drawn": of_drawn.detach().mean()}
        parts["told"] = told_right(of_real.detach(), of_drawn.detach())
        if due and (r1 or r2 or s.penalty):
            total, parts["penalty"] = total + (s.lazy or 1) * penalty, penalty.detach()
        return Loss(total, parts)

    def _said(self, pictures: Tensor, labels: Tensor | None, weight: float) -> tuple[Tensor, Tensor]:
        """What the critic says (B,), and half the weight times its mean squared slope at these pictures."""
        if not weight:
            return self.critic(pictures, labels), pictures.new_zeros(())
        pictures = pictures.detach().requires_grad_()
        said = self.critic(pictures, labels)
        return said, weight / 2 * squared_slopes(said, pictures).mean()

    def _drawing(self, real: Tensor, labels: Tensor | None) -> Loss:
        """The generator's turn."""
        s = self.settings
        drawn = self.generator(self._noise(real), labels)
        of_drawn = of_real = self.critic(varied(drawn, s.vary or 0.0), labels)
        if s.loss == "relativistic":
            with torch.no_grad():
                of_real = self.critic(varied(real, s.vary or 0.0), labels)
        return Loss(generator_loss(s.loss, of_real, of_drawn), {})

    def _encoding(self, real: Tensor, labels: Tensor | None) -> Loss:
        """The encoder's turn, in which the generator only shows what comes of its answers."""
        noise = self._noise(real)
        with evaluated(self.generator):
            with torch.no_grad():
                drawn = self.generator(noise, labels)
            code, again = self._encoder()(torch.cat([real, drawn]), _twice(labels)).chunk(2)
            pixels, codes = F.mse_loss(self.generator(code, labels), real), F.mse_loss(again, noise)
        return Loss(pixels + codes, {"pixels": pixels.detach(), "codes": codes.detach()})

    def _noise(self, real: Tensor) -> Tensor:
        return torch.randn(len(real), self.latent, device=real.device)

    def _encoder(self) -> Encoder:
        if self.encoder is None:
            raise Unsupported("this GAN has learned no encoder. Fit one with GAN(encoder=True).")
        return self.encoder

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the noise that one picture is made of."""
        return (self.latent,)

    @torch.no_grad()
    def draw(self, noise: Tensor, labels: Tensor | None = None, how: Drawing | None = None) -> Tensor:
        """Pictures (B, C, H, W), 0 to 255, of noise (B, Z) and, with classes, labels (B,); how: of what takes steps."""
        self._check_labels(labels)
        with evaluated(self.generator):
            pictures: Tensor = self.generator(noise, labels)
        return outside(pictures)

    @torch.no_grad()
    def encode(self, pixels: Tensor, labels: Tensor | None = None, how: Drawing | None = None) -> Tensor:
        """Noise (B, Z) of which pictures like these are drawn; how: as in `draw`. Raises Unsupported where no encoder
        was learned."""
        network = self._encoder()
        self._check_labels(labels)
        with evaluated(network):
            code: Tensor = network(inside(pixels), labels)
        return code

    def _check_labels(self, labels: Tensor | None) -> None:
        if self.classes and labels is None:
            raise BadInput(f"this GAN has {self.classes} classes, and needs a label for each picture. Received: none.")

    def predict(self, inputs: tuple[Any, ...]) -> Tensor:
        """Pictures of label 0, of noise that is made of the inputs' pixels: what a saved model is tried by."""
        noise = noise_of(inputs[0], self.latent)
        return self.draw(noise, torch.zeros(len(noise), dtype=torch.int64, device=noise.device))

    def averaged(self) -> nn.Module:
        return self.generator

    def after_step(self, clock: Clock) -> None:
        self.turn = clock.step + 1

    def state(self) -> dict[str, Any]:
        return {"turn": self.turn}

    def restore(self, state: Mapping[str, Any]) -> None:
        self.turn = int(state["turn"])


def _twice(labels: Tensor | None) -> Tensor | None:
    return None if labels is None else labels.repeat(2)
