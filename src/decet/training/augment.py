"""Pictures varied while they train: the whole batch at once, on tensors, drawn anew each step from the clock's seed.

    mirrored, shifted, turned, zoomed, recoloured, partly blanked; pairs mixed or pasted into each other

An augmentation takes and gives a whole `Batch`, so that targets change with their pictures: mixed pictures get the
mixed shares of both labels (B, K). Which of them act says the recipe; values stay on the scale of pixels, 0 to 255.

References: alternating mirror images, Jordan, 2404.00498; random erasing and cutout, DeVries & Taylor, 1708.04552;
mixup, Zhang et al., 1710.09412; CutMix, Yun et al., 1905.04899; growing pictures, Howard (DAWNBench), 2018.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from decet.contracts import Batch, Clock, ImageSpec, Learner
from decet.errors import BadInput
from decet.training.recipe import Recipe

GROWN = 2 / 3  # share of training at which growing pictures have their own size
STEP = 4  # pixels: growing pictures have sides that this divides
FIELDS = ("flip", "crop", "rotate", "zoom", "colour", "erase", "mixup", "cutmix")  # of Recipe


def asked(recipe: Recipe | None) -> list[str]:
    """The fields of a recipe that ask for pictures to be varied."""
    if recipe is None:
        return []
    named = [name for name in FIELDS if getattr(recipe, name)]
    return [*named, "grow"] if (recipe.grow or 1.0) < 1.0 else named


class Augmentation:
    """What a recipe asks for, done to batches of pictures: (B, C, H, W), or (B, C, T, H, W) of clips.

    steps: batches an epoch, by which mirror images alternate. classes: K where labels may be mixed, None elsewhere.
    """

    def __init__(self, recipe: Recipe, spec: ImageSpec, steps: int, classes: int | None = None):
        self.recipe, self.spec, self.steps, self.classes = recipe, spec, steps, classes

    def __call__(self, batch: Batch, clock: Clock) -> Batch:
        recipe, pixels = self.recipe, batch.inputs[0]
        clips = pixels.dim() == 5
        if clips:  # the frames of a clip change alike: they stand in the channels' place meanwhile
            pixels = pixels.flatten(1, 2)
        if recipe.rotate or recipe.zoom:
            pixels = turned(pixels, math.radians(recipe.rotate or 0.0), recipe.zoom or 0.0)
        if recipe.crop:
            pixels = shifted(pixels, recipe.crop)
        if recipe.flip:
            pixels = mirrored(pixels, batch.rows, clock.key("flip", 0), clock.step // self.steps)
        if recipe.colour:
            pixels = recoloured(pixels, recipe.colour, self.spec.channels)
        if recipe.erase:
            pixels = blanked(pixels, recipe.erase, self._grey(pixels))
        target, weight = batch.target, batch.weight
        if (recipe.mixup or recipe.cutmix) and self.classes is not None:
            pixels, target, weight = self._mixed(pixels, target, weight)
        if (recipe.grow or 1.0) < 1.0:
            pixels = self._grown(pixels, clock.progress)
        if clips:
            pixels = pixels.unflatten(1, (self.spec.channels, -1))
        return replace(batch, inputs=(pixels, *batch.inputs[1:]), target=target, weight=weight)

    def _grey(self, pixels: Tensor) -> Tensor:
        """The mean of each channel, (1, C, 1, 1): what blanked parts are filled with."""
        means = [mean for mean, _ in self.spec.scale] or [127.5] * self.spec.channels
        return torch.tensor(means).repeat_interleave(pixels.shape[1] // len(means)).view(1, -1, 1, 1).to(pixels.device)

    def _mixed(self, pixels: Tensor, target: Tensor, weight: Tensor | None) -> tuple[Tensor, Tensor, Tensor | None]:
        """Pairs as one picture each, and the targets (B, K) and weights (B,) whose loss is the weighted sum of both."""
        shares = target if target.is_floating_point() else F.one_hot(target[:, 0], self.classes or 1).float()
        both = bool(self.recipe.mixup and self.recipe.cutmix)
        pastes = bool(self.recipe.cutmix) and (not both or float(torch.rand(())) < 0.5)
        strength = (self.recipe.cutmix if pastes else self.recipe.mixup) or 1.0
        share = float(torch.distributions.Beta(strength, strength).sample())
        other = torch.randperm(len(pixels), device=pixels.device)
        if pastes:
            pixels, share = pasted(pixels, other, share)
        else:
            pixels = torch.lerp(pixels.index_select(0, other).float(), pixels.float(), share)
        if weight is None:
            return pixels, torch.lerp(shares.index_select(0, other), shares, share), None
        own, others = share * weight, (1 - share) * weight.index_select(0, other)
        summed = own.unsqueeze(1) * shares + others.unsqueeze(1) * shares.index_select(0, other)
        return pixels, summed / (own + others).clamp(min=1e-9).unsqueeze(1), own + others

    def _grown(self, pixels: Tensor, progress: float) -> Tensor:
        """Pictures at the size of this moment of training."""
        if progress >= GROWN:
            return pixels
        share = 1.0 - (1.0 - (self.recipe.grow or 1.0)) * (1.0 - progress / GROWN)
        own = list(pixels.shape[-2:])
        size = [min(n, max(STEP, STEP * round(n * share / STEP))) for n in own]
        if size == own:
            return pixels
        return F.interpolate(pixels.float(), size=size, mode="bilinear", antialias=True, align_corners=False)


def growing(recipe: Recipe, said: Recipe | None, learner: Learner, spec: ImageSpec, inputs: tuple[Any, ...]) -> Recipe:
    """The recipe without growing pictures where the network reads those of one size alone, as flat maps are.

    said: the user's own recipe. Raises BadInput where it asks for them.
    """
    smallest = Augmentation(Recipe(grow=recipe.grow), spec, steps=1)(Batch(inputs), Clock(plan=[(0, 0.0, 1)]))
    try:
        with torch.inference_mode():
            learner.eval().predict(smallest.inputs)
    except RuntimeError:  # torch's, of sizes that do not fit each other
        if said is not None and said.grow is not None:
            raise BadInput(
                f"recipe.grow ({recipe.grow}) needs a network that reads pictures of any size, and this one reads "
                "those of one size, since it flattens them. Leave it out, or end a CNN's layers with 'gap'."
            ) from None
        return replace(recipe, grow=1.0)
    return recipe


def mirrored(pixels: Tensor, rows: Tensor | None, seed: int, epoch: int) -> Tensor:
    """Half of the pictures mirrored; a picture that was mirrored in one epoch is not in the next."""
    if rows is None:
        rows = torch.arange(len(pixels), device=pixels.device)
    x = (rows + seed) & 0xFFFFFFFF
    for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B)):  # as in Clock.key: neighbours are unrelated
        x = ((x ^ (x >> shift)) * factor) & 0xFFFFFFFF
    chosen = ((x ^ (x >> 16)) + epoch) % 2 == 1
    return torch.where(chosen.view(-1, 1, 1, 1), pixels.flip(-1), pixels)


def shifted(pixels: Tensor, most: int) -> Tensor:
    """Each picture moved by up to `most` pixels each way, the gap filled with what mirrors the border."""
    count, _, height, width = pixels.shape
    down, right = torch.randint(-most, most + 1, (2, count), device=pixels.device)
    y = _reflected(torch.arange(height, device=pixels.device) + down.unsqueeze(1), height)  # (B, H)
    x = _reflected(torch.arange(width, device=pixels.device) + right.unsqueeze(1), width)  # (B, W)
    flat = pixels.permute(0, 2, 3, 1)  # (B, H, W, C), a view where memory is channels-last
    start = torch.arange(count, device=pixels.device).view(-1, 1, 1) * (height * width)
    places = (start + y.unsqueeze(2) * width + x.unsqueeze(1)).flatten()
    moved = flat.reshape(count * height * width, -1).index_select(0, places)
    return moved.view(count, height, width, -1).permute(0, 3, 1, 2)  # (B, C, H, W)


def _reflected(index: Tensor, size: int) -> Tensor:
    """Positions outside 0 .. size-1 mirrored at the border, the border itself not repeated."""
    if size == 1:
        return torch.zeros_like(index)
    period = 2 * (size - 1)
    index = index % period
    return torch.minimum(index, period - index)


def turned(pixels: Tensor, angle: float, zoom: float) -> Tensor:
    """Each picture turned by up to `angle` (radians) and stretched by up to `zoom` a side, borders repeated."""
    count, _, height, width = pixels.shape
    draw = torch.rand(3, count, device=pixels.device) * 2 - 1
    turn = draw[0] * angle
    tall, wide = torch.exp(draw[1:] * math.log1p(zoom))
    cos, sin = turn.cos(), turn.sin()
    zero = torch.zeros_like(cos)
    ratio = height / width
    matrix = torch.stack([cos / wide, -sin * ratio / wide, zero, sin / ratio / tall, cos / tall, zero], 1)
    grid = F.affine_grid(matrix.view(-1, 2, 3), [count, 1, height, width], align_corners=False)
    return F.grid_sample(pixels.float(), grid, padding_mode="border", align_corners=False)


def recoloured(pixels: Tensor, strength: float, channels: int) -> Tensor:
    """Brightness, contrast and, of coloured pictures, saturation changed by up to `strength` of themselves."""
    draw = 1 + strength * (torch.rand(3, len(pixels), 1, 1, 1, device=pixels.device) * 2 - 1)
    pixels = pixels.float() * draw[0]
    mean = pixels.mean((1, 2, 3), keepdim=True)
    pixels = torch.lerp(mean.expand_as(pixels), pixels, draw[1])
    if channels == 3:
        apart = pixels.unflatten(1, (3, -1))  # (B, 3, T or 1, H, W)
        grey = apart.mean(1, keepdim=True)
        pixels = torch.lerp(grey.expand_as(apart), apart, draw[2].unsqueeze(-1)).flatten(1, 2)
    return pixels.clamp(0, 255)


def blanked(pixels: Tensor, share: float, fill: Tensor) -> Tensor:
    """A square of `share` of the sides, its centre anywhere, set to `fill` (1, C, 1, 1)."""
    count, _, height, width = pixels.shape
    inside = []
    for size in (height, width):
        half = max(1, round(size * share)) / 2
        centre = torch.rand(count, 1, device=pixels.device) * size
        inside.append((torch.arange(size, device=pixels.device) + 0.5 - centre).abs() < half)  # (B, H), (B, W)
    square = inside[0].view(count, 1, height, 1) & inside[1].view(count, 1, 1, width)
    return torch.where(square, fill.to(pixels.dtype), pixels)


def pasted(pixels: Tensor, other: Tensor, share: float) -> tuple[Tensor, float]:
    """A rectangle of 1 - `share` of the area taken from other pictures; and the share of their own that is left."""
    height, width = pixels.shape[-2:]
    side = math.sqrt(1 - share)
    tall, wide = round(height * side), round(width * side)
    y, x = (torch.rand(2) * torch.tensor([height, width])).long().tolist()
    top, left = max(0, y - tall // 2), max(0, x - wide // 2)
    bottom, right = min(height, y - tall // 2 + tall), min(width, x - wide // 2 + wide)
    pixels = pixels.clone()
    pixels[..., top:bottom, left:right] = pixels.index_select(0, other)[..., top:bottom, left:right]
    return pixels, 1 - (bottom - top) * (right - left) / (height * width)
