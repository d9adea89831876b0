"""START HERE: the nouns that every room of decet speaks, and nothing else.

A kind of data gives a **spec**; a family builds a **body** for it (or, for a method, a **learner**); a task wraps
the body into a learner; a **source** yields **batches**; the loop in `decet.training` runs **stages** of
(learner, source, recipe) by the **clock**. `docs/architecture.md` says why each is as it is.

Shape letters: B batch, T steps, P positions, D width, C channels, H W, N nodes, E edges, V vocabulary, K classes,
M members, F features.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Protocol, TypeVar, runtime_checkable

import torch
from torch import Tensor, nn

from decet.errors import Unsupported

if TYPE_CHECKING:
    from decet.training.recipe import Recipe

# ---------------------------------------------------------------- specs: what a network must know about its input


@dataclass(frozen=True)
class TableSpec:
    """Rows of a table. inputs = (numbers (B, F) float32 or `Sparse`, categories (B, C) int64)."""

    numbers: int = 0
    categories: tuple[int, ...] = ()  # slots of each column; slot 0 is "unknown"
    edges: tuple[tuple[float, ...], ...] = ()  # rising quantiles of each number, as scaled, for binned embeddings
    sparse: bool = False


@dataclass(frozen=True)
class ImageSpec:
    """Pictures or clips. inputs = (pixels (B, C, H, W), or (B, C, T, H, W) where `frames` says T)."""

    channels: int
    height: int
    width: int
    frames: int | None = None


@dataclass(frozen=True)
class TokenSpec:
    """Sequences of symbols. inputs = (tokens (B, T) int64, one tensor an aligned stream (B, T) or (B, T, W))."""

    vocabulary: int
    length: int | None = None
    pad: int = 0
    streams: tuple[int, ...] = ()  # vocabulary of each aligned stream, as the characters of a word


@dataclass(frozen=True)
class SeriesSpec:
    """Sequences of vectors. inputs = (values (B, T, C) float32, lengths (B,) int64 or None)."""

    channels: int
    length: int | None = None


@dataclass(frozen=True)
class GraphSpec:
    """Nodes and edges. inputs = (nodes (N, F), `Sparse`, or `Ragged` for many graphs; `Edges`)."""

    features: int
    edge_features: int = 0
    relations: int = 1
    sparse: bool = False


@dataclass(frozen=True)
class LabelSpec:
    """An answer in classes: one column of K classes, or several columns. target (B, J) int64, -1 = gap; or (B, K)."""

    classes: tuple[int, ...]  # K of each column
    exclusive: bool = True  # False: a set of labels, each column (absent, present)


@dataclass(frozen=True)
class NumberSpec:
    """An answer in numbers. target (B, J) float32, NaN = gap."""

    count: int = 1


# ---------------------------------------------------------------------------------- tensors with a shape of their own


@dataclass
class Ragged:
    """All items' rows end to end, and whose they are: values (R, ...), owner (R,) rising int64, count items."""

    values: Tensor
    owner: Tensor
    count: int


@dataclass
class Sparse:
    """Rows with few entries (CSR): offsets (B + 1,), columns (Z,), values (Z,), F columns in all."""

    offsets: Tensor
    columns: Tensor
    values: Tensor
    width: int

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def rows(self, index: Tensor) -> Sparse:
        start, size = self.offsets[index], self.offsets[index + 1] - self.offsets[index]
        offsets = torch.cat([size.new_zeros(1), size.cumsum(0)])
        where = torch.arange(int(offsets[-1]), device=index.device)
        where = where + torch.repeat_interleave(start - offsets[:-1], size)
        return Sparse(offsets, self.columns[where], self.values[where], self.width)

    def times(self, weight: Tensor) -> Tensor:
        """The product with a dense weight (F, D) -> (B, D); gradients flow to the weight."""
        return nn.functional.embedding_bag(
            self.columns,
            weight,
            self.offsets,
            mode="sum",
            per_sample_weights=self.values.to(weight.dtype),
            include_last_offset=True,
        )


@dataclass
class Edges:
    """Edges of N nodes: index (2, E) from, to; optional weight (E,), kind (E,), features (E, F)."""

    index: Tensor
    count: int
    weight: Tensor | None = None
    kind: Tensor | None = None
    features: Tensor | None = None

    @cached_property
    def normalised(self) -> Tensor:
        """D^-1/2 (A + I) D^-1/2 as a sparse CSR matrix (N, N), made once (Kipf & Welling, 1609.02907)."""
        loops = torch.arange(self.count, device=self.index.device)
        source, target = torch.cat([self.index[0], loops]), torch.cat([self.index[1], loops])
        weight = torch.ones(self.index.shape[1], device=source.device) if self.weight is None else self.weight
        weight = torch.cat([weight, weight.new_ones(self.count)])
        scale = torch.zeros(self.count, device=source.device).index_add(0, target, weight).rsqrt()
        values = scale[target] * weight * scale[source]
        return torch.sparse_coo_tensor(torch.stack([target, source]), values, (self.count,) * 2).to_sparse_csr()


@dataclass(slots=True)
class Batch:
    """What a source yields. `index`: the rows, nodes or pairs asked about (a whole graph is one batch)."""

    inputs: tuple[Any, ...]
    target: Any = None
    weight: Tensor | None = None  # (B,)
    index: Tensor | None = None


@dataclass(slots=True)
class Features:
    """What a body gives. values (B, P, D), or (R, D) with owner (R,) of `size` items; with M members (B*M, P, D).

    `summary` is the body's own pooled vector, (B, S) or (B, M, S). `maps` are its picture scales, finest first.
    `extras` holds auxiliary losses and attention maps by name.
    """

    values: Tensor | None = None
    mask: Tensor | None = None  # (B, P) True = real
    owner: Tensor | None = None
    size: int = 0
    members: int = 1
    summary: Tensor | None = None
    maps: tuple[Tensor, ...] = ()
    extras: dict[str, Tensor] = field(default_factory=dict)

    def pooled(self) -> Tensor:
        """One vector an item and member, (B, M, D)."""
        if self.summary is not None:
            return self.summary if self.summary.dim() == 3 else self.summary.unsqueeze(1)
        if self.values is None:
            raise Unsupported("this body gives neither positions nor a summary, so there is nothing to pool.")
        values = self.values
        if self.owner is not None:
            total = values.new_zeros(self.size, values.shape[-1]).index_add(0, self.owner, values)
            rows = values.new_zeros(self.size).index_add(0, self.owner, values.new_ones(len(values)))
            mean = total / rows.clamp(min=1).unsqueeze(-1)
        elif self.mask is not None:
            real = self.mask.unsqueeze(-1).to(values.dtype)
            mean = (values * real).sum(1) / real.sum(1).clamp(min=1)
        else:
            mean = values.squeeze(1) if values.shape[1] == 1 else values.mean(1)
        return mean.unflatten(0, (-1, self.members))  # (B, M, D)

    def pyramid(self) -> tuple[Tensor, ...]:
        """Picture scales [(B, C, H, W), ...], finest first."""
        if not self.maps:
            raise Unsupported("this body gives no picture scales. Bodies that do: CNN, ResNet.")
        return self.maps


# ----------------------------------------------------------------------------------------------------- networks


class Body(nn.Module):
    """A network from inputs to features. `width` is D of a position, `summary_width` that of `pooled()`."""

    width: int
    summary_width: int

    def forward(self, inputs: tuple[Any, ...], *, condition: Tensor | None = None) -> Features:
        """`condition` (B, D) carries time, label or caption; a picture as condition is further channels."""
        raise Unsupported(f"{type(self).__name__} has no forward pass.")


@dataclass
class State:
    """Where a decoder stands, one row an item: key-value caches, recurrent states. Every tensor has B first."""

    tensors: dict[str, Tensor]
    step: int = 0

    def select(self, rows: Tensor) -> State:
        """Reorder or repeat rows (beams); a row of -1 starts afresh, from zeros."""
        fresh = rows < 0
        kept = {name: t.index_select(0, rows.clamp(min=0)) for name, t in self.tensors.items()}
        if bool(fresh.any()):
            kept = {name: t.masked_fill(fresh.view(-1, *[1] * (t.dim() - 1)), 0) for name, t in kept.items()}
        return State(kept, self.step)


class Decoder(nn.Module):
    """A network that writes: one call for a training sequence and for one step of generation."""

    width: int

    def start(self, memory: Features | None, rows: int) -> State:
        raise Unsupported(f"{type(self).__name__} cannot generate.")

    def forward(self, tokens: Tensor, state: State) -> tuple[Features, State]:
        """tokens (B, T) -> features (B, T, D) and the state after them."""
        raise Unsupported(f"{type(self).__name__} cannot generate.")


@runtime_checkable
class Family(Protocol):
    """Settings of one family: a frozen dataclass that builds its networks. Methods (GAN, DQN) build a learner."""

    reads: ClassVar[tuple[type, ...]]  # specs, in order of preference

    def encoder(self, spec: Any, members: int = 1) -> Body: ...


# ----------------------------------------------------------------------------------------------------- training

Settings = TypeVar("Settings")


def joined(first: Settings | None, *others: Settings | None) -> Settings:
    """Settings joined field by field: the first that says something (is not None) wins."""
    said = [layer for layer in (first, *others) if layer is not None]
    names = [f.name for f in fields(said[0])]  # type: ignore[arg-type]
    values = {n: next((v for v in (getattr(s, n) for s in said) if v is not None), None) for n in names}
    return replace(said[0], **values)  # type: ignore[type-var]


class Loss(NamedTuple):
    total: Tensor  # what is minimised, a scalar
    parts: Mapping[str, Tensor]  # what is shown beside it


@dataclass(frozen=True)
class Phase:
    """One optimiser's turn in a step: whose parameters move, at which rate, every how many steps."""

    name: str
    parameters: tuple[nn.Parameter, ...]
    recipe: Recipe | None = None  # fields said here win over the stage's recipe
    every: int = 1


class Learner(nn.Module):
    """What the loop trains. Write `loss`, or `work` for a learner that takes the whole step itself."""

    views = 1  # stochastic passes a batch, joined by the learner's own consistency loss
    works = False  # True: the loop calls work(), there is no autograd

    def phases(self) -> tuple[Phase, ...]:
        return (Phase("train", tuple(p for p in self.parameters() if p.requires_grad)),)

    def loss(self, batch: Batch, phase: str) -> Loss:
        raise Unsupported(f"{type(self).__name__} has no loss.")

    def forward(self, batch: Batch, phase: str) -> Loss:
        """The loss, so that data parallel, hooks and compile wrap the whole learner."""
        return self.loss(batch, phase)

    def work(self, batch: Batch, clock: Clock) -> Mapping[str, float]:
        """A whole step without autograd, at most 0.5 s; must give the shown parts, "loss" among them."""
        raise Unsupported(f"{type(self).__name__} does not step by itself.")

    def predict(self, inputs: tuple[Any, ...]) -> Tensor:
        """The raw answer (logits, scaled numbers), without gradients."""
        raise Unsupported(f"{type(self).__name__} does not predict.")

    def after_step(self, clock: Clock) -> None:
        """Called when the step is done: target networks, clipping of weights."""

    def averaged(self) -> nn.Module:
        """The module whose moving average predicts."""
        return self

    def state(self) -> dict[str, Any]:
        """What is carried from step to step beside the weights (a tree of tensors and JSON values)."""
        return {}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take back what `state` gave."""


class Source:
    """Yields batches. Its order is a function of the clock, never of a global generator."""

    steps: int  # batches an epoch

    def next(self, clock: Clock) -> Batch:
        raise Unsupported(f"{type(self).__name__} yields nothing.")

    def example(self) -> Batch:
        """A batch of typical shapes, without drawing or acting."""
        raise Unsupported(f"{type(self).__name__} has no example.")

    def state(self) -> dict[str, Any]:
        """Own memory (replay, environments); resident data have none: the step says where they stand."""
        return {}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take back what `state` gave."""


@dataclass
class Stage:
    """A learner on a source by a recipe.

    `validate` gives metrics of rows that training never sees; its "score" (higher is better) chooses the best epoch.
    """

    learner: Learner
    source: Source
    recipe: Recipe
    validate: Callable[[Learner], dict[str, float]] | None = None
    name: str = "train"


@dataclass
class Clock:
    """Where training stands. Every random draw takes its seed from here, every rate its progress.

    `plan` holds decisions (step, progress there, last step): progress is linear from each to the next and ends at
    exactly 1. Only the wall clock of a budget adds decisions, and only where a checkpoint is written.
    """

    seed: int = 0
    step: int = 0
    rank: int = 0
    world: int = 1
    plan: list[tuple[int, float, int]] = field(default_factory=list)

    def key(self, purpose: str, step: int | None = None) -> int:
        """A 32-bit seed, one-to-one in step for one (run seed, rank, purpose)."""
        at = self.step if step is None else step
        return _mix((at + zlib.crc32(f"{self.seed}/{self.rank}/{purpose}".encode())) & 0xFFFFFFFF)

    @property
    def last(self) -> int:
        """The step at which training ends."""
        return self.plan[-1][2]

    @property
    def progress(self) -> float:
        """How much of training is done, 0 to 1."""
        step, done, last = self.plan[-1]
        return min(1.0, done + (1.0 - done) * (self.step - step) / max(1, last - step))


def _mix(x: int) -> int:
    """A bijection of 32 bits (Wellons' lowbias32): neighbouring steps get unrelated seeds, none twice."""
    x = ((x ^ (x >> 16)) * 0x7FEB352D) & 0xFFFFFFFF
    x = ((x ^ (x >> 15)) * 0x846CA68B) & 0xFFFFFFFF
    return x ^ (x >> 16)


# ------------------------------------------------------------------------------------------------- environments


class Environment(Protocol):
    """Gymnasium's interface, which agents act in."""

    observation_space: Any
    action_space: Any

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """A new episode: first observation, info."""
        ...

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Observation, reward, terminated, truncated, info."""
        ...
