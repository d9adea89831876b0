"""A learner asked, chunk by chunk: its answers, and what is behind them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from decet.contracts import ImageSpec, Learner, TableSpec, TokenSpec
from decet.data.cells import MISSING, UNKNOWN
from decet.data.columns import FIRST
from decet.data.resident import moved, padded, taken
from decet.tasks.conformal import Examined
from decet.tensors import Web
from decet.training.memory import kept

Array = NDArray[Any]
CHUNK = 32  # rows a forward pass of predict: fixed, so that an answer does not depend on its neighbours
BULK = 1024  # rows a forward pass where only metrics matter, at most
BULK_NUMBERS = 786_432  # and numbers that enter it
WIDTH = 128  # numbers that a word of a text becomes, more or less
SMALL = 8  # pixels of a side of a picture as plain numbers, at most
WIDEST = 1024  # numbers of a row that are looked at to tell how unlike others it is
BLOCK = 1024  # rows that are read at a time


def answers_of(
    learner: Learner, inputs: tuple[Any, ...], device: torch.device, chunk: int, glance: bool = False
) -> Array:
    """The learner's answers to encoded rows, chunk by chunk; the last chunk is padded to the same size.

    glance: ask for what is good enough to follow training by.
    """
    ask = learner.glance if glance else learner.predict
    return _asked(learner, lambda part: Examined(ask(part)), inputs, device, chunk).answers.numpy()


def examined(
    learner: Any, inputs: tuple[Any, ...], device: torch.device, chunk: int, spec: Any, glance: bool = False
) -> Examined:
    """The same, with what the learner's head reads, how far its members disagree, and the rows themselves."""

    def ask(part: tuple[Any, ...]) -> Examined:
        found: Examined = learner.examine(part, glance)
        return found._replace(features=folded(found.features), plain=plain_numbers(part, spec), gaps=gaps(part, spec))

    return _asked(learner, ask, inputs, device, chunk)


def folded(features: Tensor | None) -> Tensor | None:
    """Features (B, D) of at most `WIDEST` numbers: of more, those that are so far apart are added up."""
    if features is None or features.shape[1] <= WIDEST:
        return features
    times = -(-features.shape[1] // WIDEST)
    padded_ = F.pad(features, [0, times * WIDEST - features.shape[1]])
    return padded_.unflatten(1, (times, WIDEST)).sum(1) / times**0.5


def plain_numbers(inputs: tuple[Any, ...], spec: Any) -> Tensor | None:
    """Rows as few numbers (B, F), before any network: small pictures, columns of numbers; None of other kinds."""
    match spec:
        case ImageSpec():
            pixels = inputs[0].float()
            flat = pixels.mean(2) if pixels.dim() == 5 else pixels  # of a clip the mean of its frames
            return F.adaptive_avg_pool2d(flat, (min(SMALL, spec.height), min(SMALL, spec.width))).flatten(1)
        case TableSpec() if not spec.sparse and 0 < spec.numbers <= WIDEST:
            numbers: Tensor = inputs[0].float()
            return numbers
        case _:
            return None


def gaps(inputs: tuple[Any, ...], spec: Any) -> Tensor | None:
    """How many cells of each row are empty, or hold a category that training did not have (B, 1); None of no table."""
    if not has_gaps(spec):
        return None
    numbers, slots = inputs
    told = [i for i, fill in enumerate(spec.fills) if fill is not None]
    fills = numbers.new_tensor([spec.fills[i] for i in told])
    named = slots.new_tensor(spec.categories) > FIRST  # of the others no value is known, or they are flags
    empty = (numbers[:, told] == fills).sum(1) + (slots == MISSING).sum(1) + ((slots == UNKNOWN) & named).sum(1)
    return empty.float().unsqueeze(1)


def has_gaps(spec: Any) -> bool:
    """Whether `gaps` are counted of such rows."""
    return isinstance(spec, TableSpec) and not spec.sparse


def plain_width(spec: Any) -> int:
    """How many numbers `plain_numbers` gives of a row; 0 of none."""
    match spec:
        case ImageSpec():
            return spec.channels * min(SMALL, spec.height) * min(SMALL, spec.width)
        case TableSpec() if not spec.sparse and 0 < spec.numbers <= WIDEST:
            return spec.numbers
        case _:
            return 0


def _asked(
    learner: Learner,
    ask: Callable[[tuple[Any, ...]], Examined],
    inputs: tuple[Any, ...],
    device: torch.device,
    chunk: int,
) -> Examined:
    count, whole = len(inputs[0]), Examined(torch.empty(0))
    if any(isinstance(x, Web) for x in inputs):  # one pass answers for all of a graph's nodes
        chunk = max(1, count)
    learner.eval()
    with torch.inference_mode(), kept() if count >= BLOCK else nullcontext():
        for begin in range(0, count, chunk):
            index = torch.arange(begin, min(begin + chunk, count))
            part = inputs if len(index) == count else taken(inputs, index)
            if chunk == CHUNK:
                part = padded(part, chunk)
            found = ask(moved(part, device))
            if begin == 0:  # filled in place: pieces kept between large passing tensors would hold the heap open
                whole = found.room(count)
            whole.put(begin, found, len(index))
    return whole


def bulk_of(spec: Any) -> int:
    """Rows a forward pass where only metrics matter: fewer of large pictures and long texts."""
    match spec:
        case ImageSpec():
            numbers = spec.channels * spec.height * spec.width * (spec.frames or 1)
        case TokenSpec():
            numbers = (spec.length or 1) * WIDTH
        case _:
            numbers = 1
    return max(16, min(BULK, BULK_NUMBERS // numbers))
