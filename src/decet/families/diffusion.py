"""Diffusion: pictures out of noise, by a network that learned to take noise away.

    learning:  x a picture, t a time, e noise     x_t = s(t) x + n(t) e                     (decet.nn.noising)
               loss = w(t) |network(x_t, t) - what was asked|^2                              noise, picture or velocity
    drawing:   begin with noise alone, and step back in time by what the network sees        (decet.nn.samplers)

The network is a U-Net (`decet.nn.unet`) that is told the time, and the label where pictures have one. The label is left
out of a share of what it learns from, so that it knows pictures with and without (classifier-free guidance): drawn is
u + w (c - u), of what it sees without and with the label. Large pictures are folded first: squares of `fold` x `fold`
pixels become the channels of one position, which takes as many times less work.

References: Sohl-Dickstein et al., 1503.03585; DDPM Ho et al., 2006.11239; cosine 2102.09672; velocity 2202.00512;
min-SNR weights 2303.09556; zero terminal SNR 2305.08891; flow matching 2210.02747, rectified flow 2209.03003; guidance
2207.12598; repainting 2201.09865.
Differs from the papers:
1. Time is continuous, from 0 to 1, in equal parts over a batch (2107.00630), so that steps are chosen when drawing.
2. What the network tells is brought to the range of pixels before each step, whatever the sampler.
3. min-SNR weights of velocities are (min(SNR, snr) + 1) / (SNR + 1), which is not 0 at noise alone.

Reads pictures. Good at: variety, faithful pictures of every kind in the data, filling in. Weak at: speed, since it
takes many evaluations a picture where a GAN takes one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from decet.contracts import Batch, ImageSpec, Learner, Loss
from decet.errors import BadInput, Unsupported, check_choice, check_range
from decet.nn.attention import sinusoids
from decet.nn.convolution import Filters, GroupNorm, check_list
from decet.nn.noising import PREDICTIONS, SCHEDULES, Noising, spread
from decet.nn.samplers import Drawing, Step, begun, even, sampled
from decet.nn.stems import inside, outside
from decet.nn.unet import UNet
from decet.settings import check_whole, joined

TIMES = 1_000.0  # by which times are told, as DDPM's steps


@dataclass(frozen=True)
class Diffusion:
    """The method. None = not said: the cell of the map, then the fallback decides.

    channels: of each scale of the U-Net, the finest first, as (64, 128).
    depth: blocks of a scale. attention: coarsest scales at which positions ask each other.
    fold: sides of the squares of pixels that become one position; 1 = none.
    dropout: share of units dropped in each block.
    schedule: how a picture turns into noise: "cosine", "linear" or "flow" (straight lines: flow matching).
    predict: what the network tells: "noise" (as DDPM), "picture", or "velocity".
    snr: largest ratio of signal to noise that counts in the loss (min-SNR); 0: what is told counts alike at all times.
    terminal: noise alone at the last time (zero terminal SNR), which is not for predict="noise".
    unlabelled: share of labels left out in training, for guidance; 0 = none.
    """

    channels: tuple[int, ...] | None = None
    depth: int | None = None
    attention: int | None = None
    fold: int | None = None
    dropout: float | None = None
    schedule: str | None = None
    predict: str | None = None
    snr: float | None = None
    terminal: bool | None = None
    unlabelled: float | None = None

    reads: ClassVar[tuple[type, ...]] = (ImageSpec,)
    stepwise: ClassVar[bool] = True  # pictures come step by step, so that samplers differ, and parts can be filled in
    remedies: ClassVar[dict[str, str]] = {  # what may help against what a fit sees
        "alike": "train longer, or draw with less guidance",
        "copies": "train for less time, say a smaller network (family.channels), family.dropout 0.1 or recipe.flip",
    }

    def __post_init__(self) -> None:
        check_list(self, "channels", "the channels of each scale, as (64, 128)", 1, 4096)
        check_whole(self, ("depth",), 1, 100)
        check_whole(self, ("attention",), 0, 100)
        check_whole(self, ("fold",), 1, 64)
        check_range("dropout", self.dropout, 0.0, 0.95)
        check_choice("schedule", self.schedule, SCHEDULES)
        check_choice("predict", self.predict, PREDICTIONS)
        check_range("snr", self.snr, 0.0, 1e6)
        check_choice("terminal", self.terminal, (True, False))
        check_range("unlabelled", self.unlabelled, 0.0, 0.99)
        if self.predict == "noise" and self.terminal:
            raise BadInput("terminal=True ends in noise alone, of which predict='noise' tells nothing. Say 'velocity'.")
        if self.predict == "noise" and self.schedule == "flow":
            raise BadInput(
                "schedule='flow' ends in noise alone, of which predict='noise' tells nothing. Say 'velocity'."
            )

    @classmethod
    def plain(cls) -> Diffusion:
        """DDPM of 2020: a linear schedule, the noise told, all times alike."""
        return cls(schedule="linear", predict="noise", snr=0.0, terminal=False)

    def learner(self, spec: ImageSpec, classes: int = 0) -> Denoiser:
        """The learner of pictures of this kind; classes: labels that they may have, 0 = none."""
        if not isinstance(spec, ImageSpec) or spec.frames is not None:
            raise Unsupported(
                f"Diffusion draws pictures. Received: {'clips' if isinstance(spec, ImageSpec) else spec}."
            )
        return Denoiser(joined(self, USUAL.get(self.schedule or ""), FALLBACK), spec, classes)

    @property
    def guided(self) -> bool:
        """Whether pictures without labels are learned, too, by which labels can be made to count for more."""
        return self.unlabelled != 0


USUAL = {"flow": Diffusion(snr=0.0)}  # of a schedule that is said: all velocities alike, as 2210.02747 has it
FALLBACK = Diffusion(
    channels=(64, 128),
    depth=2,
    attention=1,
    fold=1,
    dropout=0.0,
    schedule="cosine",
    predict="velocity",
    snr=5.0,
    terminal=None,
    unlabelled=0.1,
)


class Network(nn.Module):
    """x_t (B, C, H, W), t (B,), labels (B,) -> what is told of it (B, C, H, W). The last label is "none"."""

    def __init__(self, s: Diffusion, spec: ImageSpec, classes: int):
        super().__init__()
        channels, self.fold = s.channels or (1,), s.fold or 1
        self.narrow, width = channels[0], 2 * channels[0]
        planes = spec.channels * self.fold**2
        self.time = nn.Sequential(nn.Linear(channels[0], width), nn.SiLU(), nn.Linear(width, width))
        self.label = nn.Embedding(classes + 1, width) if classes else None
        self.body = UNet(planes, channels, s.depth or 1, s.attention or 0, s.dropout or 0.0, width)
        self.norm, self.head = GroupNorm(channels[0]), Filters(2, channels[0], planes, 3, bias=True)
        for parameter in self.head.parameters():
            if not parameter.is_meta:
                nn.init.zeros_(parameter)

    def forward(self, x: Tensor, t: Tensor, labels: Tensor | None) -> Tensor:
        condition = self.time(sinusoids(TIMES * t, self.narrow))
        if self.label is not None and labels is not None:
            condition = condition + self.label(labels)
        height, width = x.shape[2:]
        missing = (-width % self.fold, -height % self.fold)
        y = F.pad(x, [0, missing[0], 0, missing[1]]) if any(missing) else x
        y = F.pixel_unshuffle(y, self.fold) if self.fold > 1 else y
        y = y.contiguous(memory_format=torch.channels_last)
        y = self.body((y,), condition=F.silu(condition)).maps[0]
        y = self.head(F.silu(self.norm(y)))
        y = F.pixel_shuffle(y, self.fold) if self.fold > 1 else y
        return y[:, :, :height, :width].float()


class Denoiser(Learner):
    """The box above. Pixels 0 to 255 are -1 to 1 within; labels (B, 1) are the target of a batch."""

    def __init__(self, settings: Diffusion, spec: ImageSpec, classes: int):
        super().__init__()
        predict, schedule = settings.predict or "velocity", settings.schedule or "cosine"
        terminal = predict != "noise" if settings.terminal is None else settings.terminal
        self.settings, self.spec, self.classes, self.predicts = settings, spec, classes, predict
        self.noising = Noising(schedule, terminal)
        self.network = Network(settings, spec, classes)

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one picture's noise."""
        return self.spec.channels, self.spec.height, self.spec.width

    def averaged(self) -> nn.Module:
        return self.network

    def loss(self, batch: Batch, phase: str) -> Loss:
        pictures = inside(batch.inputs[0])
        t = spread(len(pictures), pictures.device, normal=self.noising.schedule == "flow")
        noise = torch.randn_like(pictures)
        told = self.network(self.noising.mixed(pictures, noise, t), t, self._labels(batch))
        each = (told - self.noising.asked(pictures, noise, t, self.predicts)).square().flatten(1).mean(1)
        if self.settings.snr:
            each = each * self.noising.weight(t, self.predicts, self.settings.snr)
        if batch.weight is not None:
            each = each * batch.weight
        return Loss(each.mean(), {})

    def _labels(self, batch: Batch) -> Tensor | None:
        """The labels (B,), a share of them left out."""
        if not self.classes:
            return None
        labels: Tensor = batch.target[:, 0]
        return labels.masked_fill(
            torch.rand(len(labels), device=labels.device) < (self.settings.unlabelled or 0), -1
        ) % (self.classes + 1)

    def picture(self, x: Tensor, t: float, labels: Tensor | None, guidance: float) -> Tensor:
        """The picture (B, C, H, W), -1 to 1, that the network sees in x_t."""
        times = x.new_full((len(x),), t)
        if self.classes and labels is None:
            labels = times.new_full((len(x),), self.classes, dtype=torch.int64)
        if self.classes and labels is not None and guidance != 1.0:
            none = torch.full_like(labels, self.classes)
            told = self.network(torch.cat([x, x]), torch.cat([times, times]), torch.cat([labels, none]))
            with_label, without = told.chunk(2)
            told = torch.lerp(without, with_label, guidance)
        else:
            told = self.network(x, times, labels)
        return self.noising.picture(x, told, times, self.predicts).clamp(-1, 1)

    @torch.no_grad()
    def walk(self, noise: Tensor, labels: Tensor | None, how: Drawing) -> Iterator[Step]:
        """What stands after each step from noise (B, C, H, W) to pictures, -1 to 1. labels (B,); None: any."""

        def denoise(x: Tensor, t: float) -> Tensor:
            seen = self.picture(x, t, labels, how.guidance)
            return seen if how.known is None else torch.where(how.known.mask, how.known.pictures, seen)

        yield from sampled(denoise, self.noising, noise, how)

    def draw(self, noise: Tensor, labels: Tensor | None, how: Drawing) -> Tensor:
        """Pictures (B, C, H, W), 0 to 255."""
        *_, last = self.walk(noise, labels, how)
        return outside(last.x)

    @torch.no_grad()
    def encode(self, found: Tensor, labels: Tensor | None, how: Drawing) -> Tensor:
        """The noise (B, C, H, W) from which `ddim` draws pictures of 0 to 255, about: its steps the other way."""
        x = inside(found)
        for now, then in pairwise([begun(self.noising), *even(self.noising, how.steps)[-2::-1]]):
            seen = self.picture(x, now.time, labels, 1.0)
            x = then.signal * seen + then.noise * (x - now.signal * seen) / now.noise
        return x

    def predict(self, inputs: tuple[Any, ...]) -> Tensor:
        """What the network sees in pixels as if they stood half-way, (B, C, H, W)."""
        with torch.no_grad():
            return outside(self.picture(inside(inputs[0]), 0.5, None, 1.0))
