"""START HERE: the nouns that every room of decet speaks, and nothing else. docs/architecture.md gives the reasons.

A kind of data gives a spec; a family its body; a task the learner; a source batches; the loop runs stages by the clock.
Shape letters: B batch, T steps, P positions, D width, C channels, N nodes, E edges, K classes, M members, F features.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Protocol, runtime_checkable

from torch import Tensor, nn

from decet.errors import Unsupported
from decet.tensors import mean_rows

if TYPE_CHECKING:
    from decet.training.recipe import Recipe


@dataclass(frozen=True)
class TableSpec:  # inputs = (numbers (B, F) float32 or Sparse, categories (B, C) int64)
    numbers: int = 0
    categories: tuple[int, ...] = ()  # slots of each column; slot 0 is "unknown"
    edges: tuple[tuple[float, ...], ...] = ()  # rising quantiles of each number, as scaled, for binned embeddings
    fills: tuple[float | None, ...] = ()  # what each number is only where its cell is empty; None: others tell
    sparse: bool = False


@dataclass(frozen=True)
class ImageSpec:  # inputs = (pixels (B, C, H, W), or (B, C, T, H, W) where frames says T), 0 to 255, uint8 or float32
    channels: int
    height: int
    width: int
    frames: int | None = None
    scale: tuple[tuple[float, float], ...] = ()  # (mean, spread) of each channel's pixels
    patches: tuple[tuple[float, ...], ...] = ()  # covariance of 3 x 3 patches so scaled, each (C, 3, 3) as one row


@dataclass(frozen=True)
class TokenSpec:  # inputs = (tokens (B, T) int64, one tensor an aligned stream (B, T) or (B, T, W))
    vocabulary: int
    length: int | None = None
    pad: int = 0
    streams: tuple[int, ...] = ()  # vocabulary of each aligned stream, as the characters of a word
    counts: tuple[int, ...] = ()  # of each token in training, where that is known


@dataclass(frozen=True)
class SeriesSpec:  # inputs = (values (B, T, C) float32, lengths (B,) int64 or None)
    channels: int
    length: int | None = None


@dataclass(frozen=True)
class GraphSpec:  # inputs = (nodes asked (B,) int64, `Web`: all nodes and edges), or for many graphs `Ragged` of nodes
    features: int
    edge_features: int = 0
    relations: int = 1
    sparse: bool = False
    directed: bool = False
    identity: bool = False  # each node has a column of its own: it is known by who it is


@dataclass(frozen=True)
class LabelSpec:  # target (B, J) int64, -1 = gap; or probabilities (B, K)
    classes: tuple[int, ...]  # K of each column
    exclusive: bool = True  # False: a set of labels, each column (absent, present)


@dataclass(frozen=True)
class NumberSpec:  # target (B, J) float32, NaN = gap
    count: int = 1


@dataclass(slots=True)
class Batch:  # what a source yields
    inputs: tuple[Any, ...]  # in the order of the spec's fields
    target: Any = None
    weight: Tensor | None = None  # (B,)
    index: Tensor | None = None  # items, nodes or pairs of the inputs that are asked; None = all
    rows: Tensor | None = None  # (B,) which training rows these are, for messages and statistics of rows
    fresh: Tensor | None = None  # (B,) True = a new sequence; False = goes on from the batch before


@dataclass(slots=True)
class Features:
    """What a body gives: values (B, P, D), or (R, D) with owner (R,) of `size` items; with M members (B*M, P, D)."""

    values: Tensor | None = None
    mask: Tensor | None = None  # (B, P) True = real
    owner: Tensor | None = None
    size: int = 0
    members: int = 1
    summary: Tensor | None = None  # the body's own pooled vector, (B, S) or (B, M, S)
    maps: tuple[Tensor, ...] = ()  # picture scales (B, C, H, W), finest first
    extras: dict[str, Tensor] = field(default_factory=dict)  # "loss:NAME" is added to the loss; attention maps

    def pooled(self, index: Tensor | None = None) -> Tensor:
        """One vector an item and member, (B, M, D), of the items in `index` (None = all)."""
        mean = self.summary
        if mean is None:
            mean = mean_rows(self.values, self.mask, self.owner, self.size).unflatten(0, (-1, self.members))
        mean = mean if mean.dim() == 3 else mean.unsqueeze(1)
        return mean if index is None else mean.index_select(0, index)

    def pyramid(self) -> tuple[Tensor, ...]:
        if not self.maps:
            raise Unsupported("this body gives no picture scales. Bodies that do: CNN, ResNet.")
        return self.maps


class Body(nn.Module):  # `condition` (B, D) carries time, label or caption; a picture as condition is more channels
    width: int  # D of a position
    summary_width: int  # D of pooled()

    def forward(self, inputs: tuple[Any, ...], *, condition: Tensor | None = None) -> Features:
        raise Unsupported(f"{type(self).__name__} has no forward pass.")


@dataclass
class State:  # where a decoder stands: recurrent states, caches and their ages; each tensor has the rows first
    tensors: dict[str, Tensor]

    def select(self, rows: Tensor) -> State:
        """Reorder or repeat rows (beams); a row of -1 starts afresh, from zeros (False in masks)."""
        kept = {name: t.index_select(0, rows.clamp(min=0)) for name, t in self.tensors.items()}
        if bool((fresh := rows < 0).any()):
            kept = {name: t.masked_fill(fresh.view(-1, *[1] * (t.dim() - 1)), 0) for name, t in kept.items()}
        return State(kept)

    def detach(self) -> State:
        return State({name: t.detach() for name, t in self.tensors.items()})  # cuts back-propagation through time


class Decoder(nn.Module):
    width: int

    def start(self, memory: Features | None, rows: int) -> State:
        raise Unsupported(f"{type(self).__name__} cannot generate.")

    def forward(self, tokens: Tensor, state: State) -> tuple[Features, State]:  # a whole sequence (B, T), or one step
        raise Unsupported(f"{type(self).__name__} cannot generate.")


@runtime_checkable
class Family(Protocol):  # a frozen dataclass of settings that builds networks; methods (GAN, DQN) build a learner
    reads: ClassVar[tuple[type, ...]]  # specs, in order of preference

    def encoder(self, spec: Any, members: int = 1) -> Body: ...


class Loss(NamedTuple):
    total: Tensor  # what is minimised, a scalar
    parts: Mapping[str, Tensor]  # what is shown beside it


@dataclass(frozen=True)
class Phase:  # one optimiser's turn
    name: str
    parameters: tuple[nn.Parameter, ...]  # that move
    recipe: Recipe | None = None  # fields said here win over the stage's recipe
    every: int = 1  # turns in which they do: one of so many


class _Carrier:
    def state(self) -> dict[str, Any]:
        return {}  # what is carried from step to step beside the weights: a tree of tensors and JSON values

    def restore(self, state: Mapping[str, Any]) -> None: ...  # takes back what `state` gave


class Learner(_Carrier, nn.Module):  # what the loop trains: write `loss`, or `work`, the whole step itself
    works = False  # True: the loop calls work(), there is no autograd

    def phases(self) -> tuple[Phase, ...]:
        return (Phase("train", tuple(p for p in self.parameters() if p.requires_grad)),)

    def loss(self, batch: Batch, phase: str) -> Loss:
        raise Unsupported(f"{type(self).__name__} has no loss.")

    def forward(self, batch: Batch, phase: str) -> Loss:  # so that data parallel, hooks and compile wrap all of it
        return self.loss(batch, phase)

    def work(self, batch: Batch, clock: Clock) -> Mapping[str, float]:  # a step at `clock.rate`, at most 0.5 s: parts
        raise Unsupported(f"{type(self).__name__} does not step by itself.")

    def predict(self, inputs: tuple[Any, ...]) -> Tensor:  # the answer (probabilities, scaled numbers), no gradients
        raise Unsupported(f"{type(self).__name__} does not predict.")

    def glance(self, inputs: tuple[Any, ...]) -> Tensor:
        return self.predict(inputs)  # a cheaper answer, to follow training by

    def after_step(self, clock: Clock) -> None: ...  # when the step is done: target networks, clipping of weights

    def averaged(self) -> nn.Module:
        return self  # whose moving average predicts


class Source(_Carrier):  # its order is a function of the clock; what it carries is replay memory, environments
    steps: int  # batches an epoch
    urgent = False  # whether a checkpoint must be written now, lest what it points to be overwritten

    def next(self, clock: Clock) -> Batch:
        raise Unsupported(f"{type(self).__name__} yields nothing.")

    def example(self) -> Batch:  # a batch of typical shapes, without drawing or acting
        raise Unsupported(f"{type(self).__name__} has no example.")

    def written(self) -> None: ...  # the last `state` is in a checkpoint on the disk


@dataclass
class Stage:
    learner: Learner
    source: Source
    recipe: Recipe
    validate: Callable[[Learner], dict[str, float]] | None = None  # held-out metrics; "score": higher is better
    name: str = "train"
    augment: Callable[[Batch, Clock], Batch] | None = None  # a training batch with its inputs, and targets, varied
    guarded: bool = True  # a copy of the last save point is kept, to go back to where a loss is not finite


@dataclass
class Clock:
    """Where training stands: every random draw takes its seed from here, every schedule its progress."""

    seed: int = 0
    step: int = 0
    rank: int = 0
    world: int = 1
    plan: list[tuple[int, float, int]] = field(default_factory=list)  # decisions (step, progress there, last step)
    rate: float = 0.0  # the learning rate of this step, set by the loop

    def key(self, purpose: str, step: int | None = None) -> int:  # 32 bits, one-to-one in step, apart by purpose
        x = ((self.step if step is None else step) + zlib.crc32(f"{self.seed}/{self.rank}/{purpose}".encode())) % 2**32
        x = ((x ^ (x >> 16)) * 0x7FEB352D) & 0xFFFFFFFF  # Wellons' lowbias32: neighbours get unrelated seeds
        x = ((x ^ (x >> 15)) * 0x846CA68B) & 0xFFFFFFFF
        return x ^ (x >> 16)

    @property
    def last(self) -> int:
        return self.plan[-1][2]

    @property
    def progress(self) -> float:  # linear between decisions, which a budget adds to, to exactly 1
        step, done, last = self.plan[-1]
        return min(1.0, done + (1.0 - done) * (self.step - step) / max(1, last - step))
