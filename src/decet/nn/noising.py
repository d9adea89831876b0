"""Noising: how a picture turns into noise, and what a network may be asked about what lies between.

    x_t = s(t) x + n(t) e,     e ~ N(0, 1),     t from 0 (the picture) to 1 (noise)

    cosine    s = cos(pi/2 (t + o) / (1 + o)) / cos(pi/2 o / (1 + o)),  n^2 = 1 - s^2,  o = .008    (2102.09672)
    linear    s^2 = exp(-(b0 t + (b1 - b0) t^2 / 2)),  n^2 = 1 - s^2,  b from .1 to 20      (2006.11239, 2011.13456)
    flow      s = 1 - t,  n = t: straight lines                                             (2210.02747, 2209.03003)

A network tells the noise e, the picture x, or the velocity v = s' x + n' e, (s', n') = (-n, s) (2202.00512), of
straight lines (-1, 1); since s n' - n s' = 1 for all of them, x = n' x_t - n v and e = s v - s' x_t. The ratio of
s^2 to n^2 is the signal's to the noise's (SNR); `terminal` brings it to 0 at t = 1 (2305.08891), so that training sees
what sampling begins with.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

SCHEDULES = ("cosine", "linear", "flow")
PREDICTIONS = ("noise", "picture", "velocity")
OFFSET = 0.008  # of the cosine
FIRST, LAST = 0.1, 20.0  # rates of the linear schedule, a thousand times DDPM's
STOP = 0.999  # where the cosine's time ends that is not to reach noise alone
TINY = 1e-8


@dataclass(frozen=True)
class Noising:
    """A schedule. Times are float tensors of any shape, 0 to 1; so is what comes of them."""

    schedule: str = "cosine"
    terminal: bool = True

    def signal(self, t: Tensor) -> Tensor:
        """s(t)."""
        match self.schedule:
            case "flow":
                return 1 - t
            case "linear":
                return self._moved(torch.exp(-0.5 * (FIRST * t + 0.5 * (LAST - FIRST) * t * t)))
            case _:
                if not self.terminal:
                    t = STOP * t
                first = math.cos(0.5 * math.pi * OFFSET / (1 + OFFSET))
                return (torch.cos(0.5 * math.pi * (t + OFFSET) / (1 + OFFSET)) / first).clamp(0.0, 1.0)

    def _moved(self, signal: Tensor) -> Tensor:
        """The linear schedule's signal, moved down so that its last is 0 and its first stays 1."""
        last = math.exp(-0.25 * (FIRST + LAST))
        return ((signal - last) / (1 - last)).clamp(min=0.0) if self.terminal else signal

    def noise(self, t: Tensor) -> Tensor:
        """n(t)."""
        if self.schedule == "flow":
            return t
        signal = self.signal(t)
        return (1 - signal * signal).clamp(min=0.0).sqrt()

    def slopes(self, t: Tensor) -> tuple[Tensor, Tensor]:
        """s' and n' of the velocity."""
        if self.schedule == "flow":
            return -torch.ones_like(t), torch.ones_like(t)
        return -self.noise(t), self.signal(t)

    def mixed(self, pictures: Tensor, noise: Tensor, t: Tensor) -> Tensor:
        """x_t of pictures (B, ...) at times (B,)."""
        return _of(self.signal(t), pictures) * pictures + _of(self.noise(t), noise) * noise

    def asked(self, pictures: Tensor, noise: Tensor, t: Tensor, prediction: str) -> Tensor:
        """What a network is to tell of x_t."""
        match prediction:
            case "noise":
                return noise
            case "picture":
                return pictures
            case _:
                of_picture, of_noise = (_of(slope, pictures) for slope in self.slopes(t))
                return of_picture * pictures + of_noise * noise

    def picture(self, x: Tensor, told: Tensor, t: Tensor, prediction: str) -> Tensor:
        """The picture in x_t (B, ...) by what a network told of it."""
        match prediction:
            case "noise":
                return (x - _of(self.noise(t), x) * told) / _of(self.signal(t), x).clamp(min=TINY)
            case "picture":
                return told
            case _:
                return _of(self.slopes(t)[1], x) * x - _of(self.noise(t), x) * told

    def weight(self, t: Tensor, prediction: str, most: float) -> Tensor:
        """The weight (B,) of an error in what is told: as if the picture's had min(SNR, most) (2303.09556).

        Of the velocity min(SNR, most) + 1: without the one nothing is learned at noise alone, where drawing begins.
        """
        signal, noise = self.signal(t), self.noise(t)
        capped = torch.minimum((signal / noise.clamp(min=TINY)) ** 2, torch.full_like(t, most))
        match prediction:
            case "picture":
                return capped
            case "noise":
                return capped * (noise / signal.clamp(min=TINY)) ** 2
            case _:
                return (capped + 1) * noise**2

    def time(self, ratio: Tensor) -> Tensor:
        """When noise stands to signal so: n(t) / s(t) = ratio, from 0 to infinity."""
        signal = (1 + ratio * ratio).rsqrt()
        match self.schedule:
            case "flow":
                return ratio / (1 + ratio)
            case "linear":
                last = math.exp(-0.25 * (FIRST + LAST))
                signal = signal * (1 - last) + last if self.terminal else signal
                slope = LAST - FIRST
                return (torch.sqrt(FIRST**2 - 4 * slope * signal.clamp(min=TINY).log()) - FIRST).div(slope).clamp(0, 1)
            case _:
                first = math.cos(0.5 * math.pi * OFFSET / (1 + OFFSET))
                t = torch.acos((signal * first).clamp(-1, 1)) * (1 + OFFSET) * 2 / math.pi - OFFSET
                return (t if self.terminal else t / STOP).clamp(0, 1)


def _of(values: Tensor, pictures: Tensor) -> Tensor:
    """A number a picture, (B,) as (B, 1, ...)."""
    return values.view(-1, *[1] * (pictures.dim() - 1))


def spread(count: int, device: torch.device, normal: bool = False) -> Tensor:
    """Times (B,) at random, one in each of B equal parts, so that each batch has early and late ones (2107.00630).

    normal: more of them in the middle, where straight lines are hardest: their logits are normal (2403.03206).
    """
    parts = (torch.randperm(count, device=device) + torch.rand(count, device=device)) / count
    return torch.special.ndtri(parts.clamp(1e-5, 1 - 1e-5)).sigmoid() if normal else parts
