"""Transformer: positions that ask each other, layer by layer (Vaswani et al., 1706.03762).

    x = x + attention(norm(x));   x = x + feed(norm(x))        feed(x) = act(x W1) W2, or (silu(x W1) * x W3) W2

The encoder sees all positions, the decoder those up to its own, and a memory where it has one. The classic network is

    Transformer(width=512, heads=8, depth=6, hidden=2048, feed="relu", order="post", positions="sinusoidal")

and what is used where nothing is said has today's parts: norms before (2002.04745), turned positions (2104.09864),
no biases.

References: rotary positions, Su et al., 2104.09864; groups of heads, Ainslie et al., 2305.13245; gated feed, Shazeer,
2002.05202; squared relu, So et al., 2109.08668; root-mean-square norms, Zhang & Sennrich, 1910.07467; normed queries
and keys, Dehghani et al., 2302.05442; tied words, Press & Wolf, 1608.05859.

Differs from the papers:
1. Attention itself has no dropout: on a CPU its fused kernel takes none, and that of the branches does as well.

Reads texts. Good at: long contexts, text of any kind, what is to be generated or translated. Weak at: few texts
(use CNN or Word2Vec), sequences without end (use LSTM).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from decet.contracts import Body, Decoder, Features, State, TokenSpec
from decet.errors import BadInput, Unsupported, check_choice, check_range
from decet.nn.activations import squared_relu
from decet.nn.attention import Across, Attention, Cache, Turn, sinusoids, turn_of
from decet.nn.decoding import Steps
from decet.nn.dropout import Dropout
from decet.nn.members import Ensemble
from decet.nn.stems import TokenStem
from decet.nn.vocabulary import Bands, Words
from decet.settings import check_whole, joined

FEEDS = ("gelu", "gelu-tanh", "relu", "relu2", "gated")
NORMS = ("layer", "rms")
ORDERS = ("pre", "post")
POSITIONS = ("rotary", "sinusoidal", "learned", "none")
SUMMARIES = ("mean", "first", "max", "pooler")
SPREAD = 0.02  # of weights before training


@dataclass(frozen=True)
class Transformer:
    """The attention network. None = not said: the cell of the map, then the fallback decides.

    width: numbers a position.
    depth: layers, of the encoder and of the decoder.
    heads: that ask at once, width / heads numbers each.
    groups: pairs of keys and values; fewer than heads take less memory; None: as many as heads.
    hidden: units of the feed-forward part; None: 4 width, 8/3 width where it is gated.
    feed: "gelu", "gelu-tanh" (its approximation, as GPT-2 has it), "relu", "relu2" (squared) or "gated" (SwiGLU).
    norm: "layer" or "rms".
    epsilon: what keeps norms from dividing by nothing.
    order: "pre" (norms before each part, and one at the end) or "post" (after it, as published).
    entry: the words' vectors are normed before the first layer (as BERT has it).
    positions: "rotary", "sinusoidal", "learned" or "none".
    context: positions seen at once, at most: those that a decoder looks back, or that learned positions know.
    bias: of the linear layers and norms.
    normed: queries and keys are brought to one length in each head.
    dropout: share of each part's result, and of the words' vectors, dropped.
    word_dropout: share of the words left out in training.
    tied: the decoder's words going in and coming out are the same vectors.
    adaptive: the decoder's words beyond the 4,096 most frequent have fewer numbers, and are asked for after those.
    summary: how positions become one vector: "mean", "max", "first" (the first position's), or "pooler" (the same
        through a layer and tanh, as BERT has it).
    """

    width: int | None = None
    depth: int | None = None
    heads: int | None = None
    groups: int | None = None
    hidden: int | None = None
    feed: str | None = None
    norm: str | None = None
    epsilon: float | None = None
    order: str | None = None
    entry: bool | None = None
    positions: str | None = None
    context: int | None = None
    bias: bool | None = None
    normed: bool | None = None
    dropout: float | None = None
    word_dropout: float | None = None
    tied: bool | None = None
    adaptive: bool | None = None
    summary: str | None = None

    reads: ClassVar[tuple[type, ...]] = (TokenSpec,)

    def __post_init__(self) -> None:
        check_whole(self, ("width", "hidden"), 1, 65536)
        check_whole(self, ("depth", "heads", "groups"), 1, 1024)
        check_whole(self, ("context",), 1, 1 << 20)
        check_choice("feed", self.feed, FEEDS)
        check_choice("norm", self.norm, NORMS)
        check_range("epsilon", self.epsilon, 0.0, 1.0)
        check_choice("order", self.order, ORDERS)
        check_choice("positions", self.positions, POSITIONS)
        check_choice("summary", self.summary, SUMMARIES)
        for name in ("entry", "bias", "normed", "tied", "adaptive"):
            check_choice(name, getattr(self, name), (True, False))
        check_range("dropout", self.dropout, 0.0, 0.95)
        check_range("word_dropout", self.word_dropout, 0.0, 0.95)

    def encoder(self, spec: Any, members: int = 1) -> Body:
        """The network that sees all positions: values (B, T, D), `pooled()` (B, members, D)."""
        if members > 1:
            return Ensemble(lambda: self.encoder(spec), members)
        if not isinstance(spec, TokenSpec):
            raise Unsupported(f"Transformer reads texts. Received: {type(spec).__name__}.")
        return Encoder(_settled(self), spec)

    def decoder(self, spec: TokenSpec, memory: int | None = None) -> Decoder:
        """The network that sees what came before. memory: numbers a position of what it looks at beside; None = no
        memory."""
        return TokenDecoder(_settled(self), spec, memory)


FALLBACK = Transformer(
    width=256,
    depth=4,
    feed="gelu",
    norm="layer",
    epsilon=1e-5,
    order="pre",
    entry=False,
    positions="rotary",
    context=256,
    bias=False,
    normed=False,
    dropout=0.1,
    word_dropout=0.0,
    tied=True,
    adaptive=False,
    summary="mean",
)


def _settled(said: Transformer) -> Transformer:
    """All that was not said filled in, what does not fit together refused."""
    s = joined(said, FALLBACK)
    width = s.width or 1
    heads = s.heads or max(1, width // 64)
    groups = s.groups or heads
    if width % heads or heads % groups:
        raise BadInput(
            f"heads must divide width, and groups heads. Received: width {width}, heads {heads}, groups {groups}."
        )
    if s.positions == "rotary" and width // heads % 2:
        raise BadInput(f"rotary positions turn pairs of numbers: width / heads is {width // heads}, which is odd.")
    hidden = s.hidden or (math.ceil(8 * width / 3 / 32) * 32 if s.feed == "gated" else 4 * width)
    return joined(Transformer(heads=heads, groups=groups, hidden=hidden), s)


# ------------------------------------------------------------------------------------------------------------ parts


class _Feed(nn.Module):
    """The part that works on each position alone."""

    def __init__(self, s: Transformer) -> None:
        super().__init__()
        width, hidden, self.kind = s.width or 1, s.hidden or 1, s.feed
        self.widen = nn.Linear(width, 2 * hidden if s.feed == "gated" else hidden, bool(s.bias))
        self.narrow = nn.Linear(hidden, width, bool(s.bias))

    def forward(self, x: Tensor) -> Tensor:
        y = self.widen(x)
        match self.kind:
            case "gated":
                gate, y = y.chunk(2, -1)
                y = F.silu(gate) * y
            case "gelu-tanh":
                y = F.gelu(y, approximate="tanh")
            case "relu":
                y = F.relu(y)
            case "relu2":
                y = squared_relu(y)
            case _:
                y = F.gelu(y)
        return self.narrow(y)


class _Place(NamedTuple):
    """Where a layer reads: as `Attention` takes it, and the mask of the memory."""

    turn: Turn | None = None
    mask: Tensor | None = None
    causal: bool = False
    cache: Cache | None = None
    age: int | Tensor = 0
    seen: Tensor | None = None


class _Layer(nn.Module):
    """Attention to itself, attention to a memory where there is one, feed."""

    def __init__(self, s: Transformer, memory: int | None) -> None:
        super().__init__()
        width, heads, groups = s.width or 1, s.heads or 1, s.groups or 1
        self.pre, bias = s.order == "pre", bool(s.bias)
        self.attend, self.attend_norm = Attention(width, heads, groups, bias, bool(s.normed)), _norm(s)
        self.across = self.across_norm = None
        if memory is not None:
            self.across, self.across_norm = Across(width, heads, groups, bias, memory), _norm(s)
        self.feed, self.feed_norm, self.dropout = _Feed(s), _norm(s), Dropout(s.dropout or 0.0)

    def forward(self, x: Tensor, at: _Place, told: Cache | None = None) -> tuple[Tensor, Cache]:
        """told: keys and values of the memory."""
        if self.pre:
            y, cache = self._attended(self.attend_norm(x), at)
            x = x + self.dropout(y)
            if self.across is not None and self.across_norm is not None and told is not None:
                x = x + self.dropout(self.across(self.across_norm(x), told, at.seen))
            return x + self.dropout(self.feed(self.feed_norm(x))), cache
        y, cache = self._attended(x, at)
        x = self.attend_norm(x + self.dropout(y))
        if self.across is not None and self.across_norm is not None and told is not None:
            x = self.across_norm(x + self.dropout(self.across(x, told, at.seen)))
        return self.feed_norm(x + self.dropout(self.feed(x))), cache

    def _attended(self, x: Tensor, at: _Place) -> tuple[Tensor, Cache]:
        found: tuple[Tensor, Cache] = self.attend(x, at.turn, at.mask, causal=at.causal, cache=at.cache, age=at.age)
        return found


def _norm(s: Transformer) -> nn.Module:
    width, least = s.width or 1, s.epsilon or 0.0
    return nn.RMSNorm(width, eps=least) if s.norm == "rms" else nn.LayerNorm(width, eps=least, bias=bool(s.bias))


class _Stack(nn.Module):
    """The layers, and where positions are told."""

    def __init__(self, s: Transformer, memory: int | None = None) -> None:
        super().__init__()
        self.settings, self.width = s, s.width or 1
        self.layers = nn.ModuleList(_Layer(s, memory) for _ in range(s.depth or 1))
        self.places = nn.Embedding(s.context or 1, self.width) if s.positions == "learned" else None
        self.entry = _norm(s) if s.entry else nn.Identity()
        self.norm = _norm(s) if s.order == "pre" else nn.Identity()
        self.dropout = Dropout(s.dropout or 0.0)
        _initialised(self, s.depth or 1)

    def placed(self, x: Tensor, places: Tensor) -> tuple[Tensor, Turn | None]:
        """Vectors (B, T, D) that know their places (T,) or (B, T), and the turn of queries and keys."""
        match self.settings.positions:
            case "rotary":
                return self.dropout(self.entry(x)), turn_of(places, self.width // (self.settings.heads or 1))
            case "sinusoidal":
                x = x * math.sqrt(self.width) + sinusoids(places, self.width).to(x.dtype)
            case "learned":
                x = x + self.places(places)  # type: ignore[misc]
        return self.dropout(self.entry(x)), None


def _initialised(stack: nn.Module, depth: int) -> None:
    """Small weights; those that add to the stream smaller the deeper it is (GPT-2)."""
    for name, module in stack.named_modules():
        if isinstance(module, nn.Linear) and not module.weight.is_meta:
            ends = name.endswith((".out", ".narrow"))
            spread = SPREAD / math.sqrt(2 * depth) if ends else SPREAD
            with torch.no_grad():
                module.weight.normal_(0.0, spread)
                if module.bias is not None:
                    module.bias.zero_()
        elif isinstance(module, nn.Embedding):
            module.weight.undecayed = True  # type: ignore[attr-defined]
            if not module.weight.is_meta:
                with torch.no_grad():
                    module.weight.normal_(0.0, SPREAD)


# ---------------------------------------------------------------------------------------------------------- encoder


class Encoder(Body):
    """inputs (tokens (B, T), ...) -> values (B, T, D), mask (B, T), summary (B, D). Padding changes nothing.

    `condition` (B, D) is added to the words.
    """

    def __init__(self, s: Transformer, spec: TokenSpec) -> None:
        super().__init__()
        self.width = self.summary_width = s.width or 1
        self.stem, self.stack, self.summary = TokenStem(spec, self.width), _Stack(s), s.summary
        self.words, self.dropout = Dropout(s.word_dropout or 0.0), Dropout(s.dropout or 0.0)
        self.pooler = nn.Linear(self.width, self.width) if s.summary == "pooler" else None
        if s.positions == "learned" and spec.length is not None and spec.length > (s.context or 1):
            raise BadInput(f"texts have up to {spec.length} words, and context is {s.context}. Say it larger.")

    def forward(self, inputs: tuple[Any, ...], *, condition: Tensor | None = None) -> Features:
        longest = int(self.stem.lengths(inputs[0])[0].max())
        x, lengths = self.stem(tuple(stream[:, :longest] for stream in inputs))
        x = x.transpose(1, 2)  # (B, T, D)
        if self.training and self.words.share:
            x = x * (self.words(x.new_ones(x.shape[:2])) > 0).unsqueeze(-1)
        if condition is not None:
            x = x + condition.unsqueeze(1)
        places = torch.arange(longest, device=x.device)
        mask = places < lengths.unsqueeze(1)  # (B, T)
        x, turn = self.stack.placed(x, places)
        seen = None if bool(mask.all()) else mask[:, None, None, :]
        for layer in self.stack.layers:
            x, _ = layer(x, _Place(turn, seen))
        x = self.stack.norm(x)
        summary = _summed(x, mask, self.summary)
        if self.pooler is not None:
            summary = torch.tanh(self.pooler(summary))
        return Features(values=x, mask=mask, summary=self.dropout(summary))


def _summed(x: Tensor, mask: Tensor, how: str | None) -> Tensor:
    """Positions (B, T, D) as one vector (B, D)."""
    match how:
        case "first" | "pooler":
            return x[:, 0]
        case "max":
            return x.masked_fill(~mask.unsqueeze(-1), torch.finfo(x.dtype).min).amax(1)
        case _:
            share = mask.to(x.dtype)
            return (x * share.unsqueeze(-1)).sum(1) / share.sum(1, keepdim=True)


# ---------------------------------------------------------------------------------------------------------- decoder


class TokenDecoder(Decoder):
    """tokens (B, T) -> features (B, T, D); each position sees those up to its own, and the memory.

    State: "age" (B,) positions read so far; of each layer "keys i", "values i" (B, G, room, d), and of a memory
    "told keys i", "told values i", "seen" (B, P). A row that starts afresh has age 0.
    """

    def __init__(self, s: Transformer, spec: TokenSpec, memory: int | None) -> None:
        super().__init__()
        self.width, self.context = s.width or 1, s.context
        self.stack = _Stack(s, memory)
        self.words = (Bands if s.adaptive else Words)(spec.vocabulary, self.width, SPREAD)
        self.tied = bool(s.tied)
        self.steps: Steps | None = None

    def start(self, memory: Features | None, rows: int) -> State:
        device = next(self.parameters()).device
        tensors = {"age": torch.zeros(rows, dtype=torch.int64, device=device)}
        if memory is not None and memory.values is not None:
            if memory.mask is not None:
                tensors["seen"] = memory.mask
            for i, layer in enumerate(self.stack.layers):
                told = layer.across.told(memory.values)  # type: ignore[union-attr, operator]
                tensors[f"told keys {i}"], tensors[f"told values {i}"] = told
        return State(tensors)

    def forward(self, tokens: Tensor, state: State) -> tuple[Features, State]:
        before, steps, first = state.tensors, tokens.shape[1], "keys 0" not in state.tensors
        ages = before["age"]
        age = 0 if first else _common(ages)
        start: int | Tensor = age if age is not None else ages
        places = torch.arange(steps, device=tokens.device) + (age if age is not None else ages.unsqueeze(1))
        x, turn = self.stack.placed(self.words(tokens), places)
        mask = None if first else _seen_by(places, age, steps)
        seen = before["seen"][:, None, None, :] if "seen" in before else None
        after = dict(before) | {"age": ages + steps}
        if steps > 1 or first:
            self.steps = None  # the layers' numbers may be others by now
        elif age is not None and seen is None and not self.training:
            quick = self.steps = self.steps or Steps(self.stack.layers, self.stack.settings)
            if (y := quick.advanced(x, before, turn, age)) is not None:
                return Features(values=self.stack.norm(y)), State(after)
        for i, layer in enumerate(self.stack.layers):
            cache = None if first else Cache(before[f"keys {i}"], before[f"values {i}"])
            told = Cache(before[f"told keys {i}"], before[f"told values {i}"]) if f"told keys {i}" in before else None
            x, kept = layer(x, _Place(turn, mask, first, cache, start, seen), told)
            after[f"keys {i}"], after[f"values {i}"] = kept
        return Features(values=self.stack.norm(x)), State(after)


def _common(ages: Tensor) -> int | None:
    """The age of all rows; None where they differ."""
    low, high = ages.min().item(), ages.max().item()
    return int(low) if low == high else None


def _seen_by(places: Tensor, age: int | None, steps: int) -> Tensor | None:
    """Which of the cache's positions each new one sees, (B or 1, 1, T, S); None = all."""
    if age is not None and steps == 1:
        return None
    end = int(places.max()) + 1
    rows = places if places.dim() == 2 else places.unsqueeze(0)  # (B, T)
    return (torch.arange(end, device=places.device) <= rows.unsqueeze(-1)).unsqueeze(1)
