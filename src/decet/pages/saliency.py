"""Where a classifier of pictures looks: Grad-CAM over a network's maps, or the gradients of its input.

    Grad-CAM        relu( sum_c  mean_hw(dz_k / dA_c)  A_c ),  A the deepest maps that still show where  (1610.02391)
    input gradients mean over noisy copies of  max_c |dz_k / dx_c|                       (SmoothGrad, 1706.03825)

z_k is the logit of the class looked for, the mean of the members. Networks without maps (DNN) have only the second.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from decet.data.images import Images
from decet.data.resident import moved
from decet.errors import Unsupported, check_choice
from decet.estimators.answers import place_of
from decet.estimators.saved import model_of
from decet.pages.mistakes import png

Array = NDArray[Any]
WAYS = ("grad-cam", "gradients")
FINE = 6  # the shorter side of a map that still shows where
COPIES, NOISE = 16, 0.1  # noisy copies, and the noise's share of the pixels' range
BATCH = 32  # pictures at a time


def saliency(model: Any, X: Any, label: Any = None, *, how: str | None = None) -> Array:
    """How much each pixel of each picture speaks for a class, float32 (n, H, W), 0 to 1, at the network's own size.

    model: a fitted classifier of pictures, or its folder. X: pictures, as `predict` takes them. label: the class; None
    = the one each is answered with. how: "grad-cam" or "gradients"; None = the first, where the network has maps.
    """
    model = model_of(model)
    if model.kind is not Images or not hasattr(model, "predict_proba"):
        raise Unsupported(f"saliency is of classifiers of pictures. Received: {type(model).__name__}.")
    model._check_fitted()
    check_choice("how", how, WAYS)
    spec = model.answer_.spec
    if len(spec.classes) > 1:
        raise Unsupported(f"saliency is of one column of labels. This model answers {len(spec.classes)}.")
    classes = model.answer_.classes[0].tolist()
    place = place_of(label, classes)
    rows = model._given(X, None, reset=False).rows
    inputs = model.codec_.encode(rows)
    ids = None if place is None else np.full(len(inputs[0]), place)
    return saliency_of(model, inputs, ids, how)


def saliency_of(model: Any, inputs: tuple[Any, ...], ids: Array | None, how: str | None = None) -> Array:
    """The same of encoded pictures, and of these classes."""
    learner, parts = model.learner_, []
    learner.eval()
    for begin in range(0, len(inputs[0]), BATCH):
        part = tuple(x[begin : begin + BATCH] for x in inputs)
        own = None if ids is None else torch.from_numpy(ids[begin : begin + BATCH]).to(model.device_)
        with torch.inference_mode(False), torch.enable_grad():
            pixels = moved(part, model.device_)[0].clone().float()
            found = None if how == "gradients" else _cam(learner, pixels, own)
            if found is None and how == "grad-cam":
                raise Unsupported(f"{type(model.family_).__name__} has no maps. Say how='gradients'.")
            parts.append(_gradients(learner, pixels, own) if found is None else found)
    return torch.cat(parts).cpu().numpy() if parts else np.empty((0, 0, 0), np.float32)


def _logits(learner: Any, features: Any, ids: Tensor | None) -> Tensor:
    """One number a picture: the logit of its class, or of the one that it is answered with."""
    logits = learner.head(features.pooled()).float().mean(1)  # (B, K)
    chosen = logits.argmax(1) if ids is None else ids
    found: Tensor = logits.gather(1, chosen.unsqueeze(1)).sum()
    return found


def _cam(learner: Any, pixels: Tensor, ids: Tensor | None) -> Tensor | None:
    """(B, H, W); None where the body has no maps."""
    features = learner.body((pixels.requires_grad_(True),))
    maps = [m for m in features.maps if m.dim() == 4 and len(m) == len(pixels)]
    if not maps or pixels.dim() != 4:
        return None
    fine = [m for m in maps if min(m.shape[-2:]) >= FINE] or maps[:1]
    chosen = fine[-1]
    (slope,) = torch.autograd.grad(_logits(learner, features, ids), chosen)
    heat = (slope.mean((2, 3), keepdim=True) * chosen.detach()).sum(1, keepdim=True).relu()
    return _scaled(F.interpolate(heat.float(), pixels.shape[-2:], mode="bilinear", align_corners=False)[:, 0])


def _gradients(learner: Any, pixels: Tensor, ids: Tensor | None) -> Tensor:
    """(B, H, W); of clips the mean over frames."""
    drawn = torch.Generator(device=pixels.device).manual_seed(0)
    if ids is None:
        with torch.no_grad():
            ids = learner.head(learner.body((pixels,)).pooled()).float().mean(1).argmax(1)
    total = torch.zeros_like(pixels[:, 0])
    for _ in range(COPIES):
        noise = 255 * NOISE * torch.randn(pixels.shape, generator=drawn, device=pixels.device)
        copy = (pixels.detach() + noise).requires_grad_(True)
        (slope,) = torch.autograd.grad(_logits(learner, learner.body((copy,)), ids), copy)
        total += slope.abs().amax(1)
    return _scaled(total.mean(1) if total.dim() == 4 else total)


def _scaled(heat: Tensor) -> Tensor:
    """Each picture's, 0 to 1."""
    low, high = heat.amin((1, 2), keepdim=True), heat.amax((1, 2), keepdim=True)
    return ((heat - low) / (high - low).clamp(min=1e-12)).detach()


def overlaid(pixels: Array, heat: Array) -> str:
    """A picture uint8 (C, H, W) in grey with its heat in orange, as a data address."""
    grey = np.clip(pixels.astype(np.float32), 0, 255).mean(0)[..., None].repeat(3, -1)
    share = 0.75 * heat[..., None]
    mixed = (1 - share) * grey + share * np.array([255.0, 128.0, 0.0], np.float32)
    return png(mixed.round().astype(np.uint8))
