"""Samplers: from noise to a picture, by a network that tells the picture in what lies between.

    ddpm             a step back by the posterior q(x_u | x_t, x), with fresh noise               (2006.11239)
    ddim             x_u = s_u x + n_u e, no fresh noise                                          (2010.02502)
    dpm              DPM-Solver++ 2M: ddim with the picture extrapolated from the last two        (2211.01095)
    heun             ddim's step, then again with the mean of the slopes at both of its ends      (2206.00364)
    euler-ancestral  as ddpm, at times that are close together where there is little noise (k-diffusion; in its own
                     notation a step down and noise up again, which is the same posterior)

All are told in signal and noise (`decet.nn.noising`), so any of them serves any network without training it anew. A
sampler yields what stands after each of its steps. Steps are evaluations of the network; heun's take two each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor

from decet.nn.noising import Noising

Denoise = Callable[[Tensor, float], Tensor]  # (x_t (B, ...), t) -> the picture in it
Fresh = Callable[[int], Tensor]  # of a step's number -> noise (B, ...)

RHO = 7.0  # of Karras' times
EARLY = 0.01  # a time at which a picture is hardly changed
LARGEST, LEAST = 80.0, 0.02  # noise to signal, where these begin and end; beyond is noise, or the picture


class Known(NamedTuple):
    """What pictures must hold: `pictures` (B, C, H, W) where `mask` (B, 1, H, W) is True."""

    mask: Tensor
    pictures: Tensor


class Drawing(NamedTuple):
    """How pictures are drawn. steps: evaluations of the network. guidance: 1 = the label counts as learned.

    fresh: noise that some samplers add at each step. known: what is known of the pictures. again: how often such a
    sampler goes back and takes each step once more, so that what is drawn fits what is known (2201.09865).
    """

    sampler: str
    steps: int
    guidance: float
    fresh: Fresh | None = None
    known: Known | None = None
    again: int = 1


class Moment(NamedTuple):
    """A time, and how much of signal and noise there is in it."""

    time: float
    signal: float
    noise: float


END = Moment(0.0, 1.0, 0.0)  # the picture


class Step(NamedTuple):
    """What stands after a step: x_t, and the picture that the network sees in it."""

    x: Tensor
    picture: Tensor


def sampled(denoise: Denoise, noising: Noising, noise: Tensor, how: Drawing) -> Iterator[Step]:
    """From noise (B, ...) to pictures by evaluations of `denoise`; the last step's `x` are the pictures."""
    walk, grid = SAMPLERS[how.sampler]
    steps = max(1, (how.steps + 1) // 2 if walk is heun else how.steps)
    yield from walk(denoise, grid(noising, steps), noise, how)


# ----------------------------------------------------------------------------------------------------------- times


def even(noising: Noising, steps: int) -> list[Moment]:
    """Times from 1 to 0 in equal steps, both ends among them (2305.08891)."""
    return [*_moments(noising, torch.linspace(1, 0, steps + 1, dtype=torch.float64)[:-1]), END]


def dense(noising: Noising, steps: int) -> list[Moment]:
    """Times whose ratio of noise to signal goes down as the 7th power of a line (2206.00364), then 0."""
    ramp = torch.linspace(0, 1, steps, dtype=torch.float64) if steps > 1 else torch.zeros(1, dtype=torch.float64)
    first, last = LARGEST ** (1 / RHO), LEAST ** (1 / RHO)
    return [*_moments(noising, noising.time((first + ramp * (last - first)) ** RHO)), END]


def begun(noising: Noising) -> Moment:
    """Just behind time 0, where there is some noise to divide by."""
    return _moments(noising, torch.tensor([EARLY], dtype=torch.float64))[0]


def _moments(noising: Noising, times: Tensor) -> list[Moment]:
    found = (times, noising.signal(times), noising.noise(times))
    return [Moment(*row) for row in zip(*(part.tolist() for part in found), strict=True)]


# ---------------------------------------------------------------------------------------------------------- samplers


def ddim(denoise: Denoise, moments: list[Moment], x: Tensor, how: Drawing) -> Iterator[Step]:
    for now, then in pairwise(moments):
        picture = denoise(x, now.time)
        x = _straight(x, picture, now, then)
        yield Step(x, picture)


def ancestral(denoise: Denoise, moments: list[Moment], x: Tensor, how: Drawing) -> Iterator[Step]:
    fresh, drawn = how.fresh or (lambda _: torch.randn_like(x)), 0
    for now, then in pairwise(moments):
        kept = now.signal / then.signal * then.noise / now.noise  # of the noise in x_u, the share that is x_t's
        new, old = then.noise * max(0.0, 1 - kept * kept) ** 0.5, then.noise * kept
        for turn in range(how.again if then.noise > 0 else 1):
            if turn:  # back to where it stood, by the way that noise goes
                share = now.signal / then.signal
                x = share * x + max(0.0, now.noise**2 - (share * then.noise) ** 2) ** 0.5 * fresh(drawn)
                drawn += 1
            picture = denoise(x, now.time)
            x = then.signal * picture + old * _noise_in(x, picture, now)
            if new:
                x = x + new * fresh(drawn)
                drawn += 1
        yield Step(x, picture)


def dpm(denoise: Denoise, moments: list[Moment], x: Tensor, how: Drawing) -> Iterator[Step]:
    before: tuple[Tensor, float] | None = None  # the last picture, and the length of its step
    for now, then in pairwise(moments):
        picture = denoise(x, now.time)
        length = _length(now, then)
        ahead = picture
        if before is not None and then.noise > 0:  # the last step is of first order (1e-3 of signal is nothing to bend)
            ahead = picture + 0.5 * length / before[1] * (picture - before[0])
        shrunk = then.noise / now.noise
        x = shrunk * x + (then.signal - shrunk * now.signal) * ahead
        before = (picture, length) if length < float("inf") else None
        yield Step(x, picture)


def heun(denoise: Denoise, moments: list[Moment], x: Tensor, how: Drawing) -> Iterator[Step]:
    for now, then in pairwise(moments):
        picture = denoise(x, now.time)
        ahead = _straight(x, picture, now, then)
        if then.noise > 0:  # slopes dy/dr = (y - picture) / r of y = x / s by r = n / s, at both ends
            wide, narrow = now.noise / now.signal, then.noise / then.signal
            first = (x / now.signal - picture) / wide
            second = (ahead / then.signal - denoise(ahead, then.time)) / narrow
            ahead = then.signal * (x / now.signal + (narrow - wide) * 0.5 * (first + second))
        x = ahead
        yield Step(x, picture)


def _noise_in(x: Tensor, picture: Tensor, now: Moment) -> Tensor:
    return (x - now.signal * picture) / now.noise


def _straight(x: Tensor, picture: Tensor, now: Moment, then: Moment) -> Tensor:
    """The same picture and the same noise in other shares."""
    return then.signal * picture + then.noise * _noise_in(x, picture, now)


def _length(now: Moment, then: Moment) -> float:
    """Of a step, in the logarithm of signal to noise; infinite from noise alone, and to the picture."""
    if now.signal <= 0 or then.noise <= 0:
        return float("inf")
    ratio = torch.tensor([now.signal / now.noise, then.signal / then.noise], dtype=torch.float64).log()
    return float(ratio[1] - ratio[0])


Walk = Callable[[Denoise, list[Moment], Tensor, Drawing], Iterator[Step]]
SAMPLERS: dict[str, tuple[Walk, Callable[[Noising, int], list[Moment]]]] = {
    "ddpm": (ancestral, even),
    "ddim": (ddim, even),
    "dpm": (dpm, even),
    "heun": (heun, dense),
    "euler-ancestral": (ancestral, dense),
}
