"""LSTM: a network that reads step by step and keeps what it needs (Hochreiter & Schmidhuber, 1997).

    i, f, o = sigmoid(x_t W + h_{t-1} U + b);   g = tanh(...);   c_t = f c_{t-1} + i g;   h_t = o tanh(c_t)

The encoder reads forwards and, if asked, backwards too (Schuster & Paliwal, 1997); the decoder reads forwards and
carries its state on, so that it reads texts without end, and looks at a memory where it has one.

References: forget gates, Gers et al., 2000; variational dropout, Gal & Ghahramani, 1512.05287; dropped hidden
weights and tied words (AWD-LSTM), Merity et al., 1708.02182; attention to a memory, Luong et al., 1508.04025;
minLSTM, Feng et al., 2410.01201; rare words in fewer numbers, Grave et al., 1609.04309, Baevski & Auli, 1809.10853.

Differs from the papers:
1. Norms stand between the layers, not within the step, where they would cost more than the step itself.
2. The forget gates' biases begin at 1, the others at 0 (Jozefowicz et al., ICML 2015).

Reads texts and series. Good at: sequences without end, little memory, small data, what has an order. Weak at: what
stands far apart in long texts (use Transformer).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from decet.contracts import Body, Decoder, Features, SeriesSpec, State, TokenSpec
from decet.errors import Unsupported, check_choice, check_range
from decet.nn.dropout import Dropout
from decet.nn.members import Ensemble
from decet.nn.recurrent import LSTMLayer, ScanLayer
from decet.nn.stems import SeriesStem, TokenStem
from decet.nn.vocabulary import Bands, Words
from decet.settings import check_whole, joined

CELLS = ("lstm", "minlstm")
SUMMARIES = ("max", "mean", "last", "both")
SPREAD = 0.1  # of a decoder's words before training


@dataclass(frozen=True)
class LSTM:
    """The recurrent network. None = not said: the cell of the map, then the fallback decides.

    width: units a layer and direction.
    depth: layers.
    embedding: numbers a word is embedded to; None: as many as width.
    both: reads backwards too (encoders).
    cell: "lstm", or "minlstm", whose gates do not look back, so that all steps are worked out at once.
    norm: layers' results are normed.
    dropout: share of what goes between layers dropped, the same units at all steps.
    weight_dropout: share of the weights from step to step dropped.
    word_dropout: share of the words left out in training.
    tied: the decoder's words going in and coming out are the same vectors.
    adaptive: the decoder's words beyond the 4,096 most frequent have fewer numbers, and are asked for after those.
    summary: how positions become one vector: "max", "mean", "last" (each direction's last step), or "both": maximum
        and mean.
    """

    width: int | None = None
    depth: int | None = None
    embedding: int | None = None
    both: bool | None = None
    cell: str | None = None
    norm: bool | None = None
    dropout: float | None = None
    weight_dropout: float | None = None
    word_dropout: float | None = None
    tied: bool | None = None
    adaptive: bool | None = None
    summary: str | None = None

    reads: ClassVar[tuple[type, ...]] = (TokenSpec, SeriesSpec)

    def __post_init__(self) -> None:
        check_whole(self, ("width", "embedding"), 1, 65536)
        check_whole(self, ("depth",), 1, 1000)
        check_choice("cell", self.cell, CELLS)
        check_choice("summary", self.summary, SUMMARIES)
        for name in ("both", "norm", "tied", "adaptive"):
            check_choice(name, getattr(self, name), (True, False))
        for name in ("dropout", "weight_dropout", "word_dropout"):
            check_range(name, getattr(self, name), 0.0, 0.95)

    def encoder(self, spec: Any, members: int = 1) -> Body:
        """The network that reads all of a text or series: values (B, T, D), `pooled()` (B, members, S)."""
        if members > 1:
            return Ensemble(lambda: self.encoder(spec), members)
        if not isinstance(spec, (TokenSpec, SeriesSpec)):
            raise Unsupported(f"LSTM reads texts and series. Received: {type(spec).__name__}.")
        return Encoder(joined(self, FALLBACK), spec)

    def decoder(self, spec: TokenSpec, memory: int | None = None) -> Decoder:
        """The network that reads on and on. memory: numbers a position of what it looks at beside; None = no memory."""
        return TokenDecoder(joined(self, FALLBACK), spec, memory)


FALLBACK = LSTM(
    width=256,
    depth=1,
    both=True,
    cell="lstm",
    norm=False,
    dropout=0.0,
    weight_dropout=0.0,
    word_dropout=0.0,
    tied=True,
    adaptive=False,
    summary="max",
)


class Locked(nn.Module):
    """Dropout of the same units at all steps of a text (Gal & Ghahramani, 1512.05287). (T, B, D) -> (T, B, D)."""

    def __init__(self, share: float) -> None:
        super().__init__()
        self.dropout = Dropout(share)

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or not self.dropout.share:
            return x
        return x * self.dropout(x.new_ones(1, *x.shape[1:]))


class Layers(nn.Module):
    """Layers one on another, in one direction or both. x (T, B, D), rows by falling length -> (T, B, S)."""

    def __init__(self, s: LSTM, inputs: int, both: bool) -> None:
        super().__init__()
        width, depth = s.width or 1, s.depth or 1
        self.scan, self.ways, self.width = s.cell == "minlstm", 2 if both else 1, width * (2 if both else 1)
        make = ScanLayer if self.scan else LSTMLayer
        sizes = [inputs, *[self.width] * (depth - 1)]
        self.layers = nn.ModuleList(nn.ModuleList(make(size, width) for _ in range(self.ways)) for size in sizes)
        self.norms = nn.ModuleList(nn.LayerNorm(self.width) if s.norm else nn.Identity() for _ in sizes)
        self.between, self.weights = Locked(s.dropout or 0.0), Dropout(s.weight_dropout or 0.0)

    def forward(self, x: Tensor, lengths: Tensor, state: list[tuple[Tensor, Tensor]] | None = None) -> Tensor:
        """lengths (B,), falling. state: of each layer and way h and c before, replaced by those after."""
        sizes = tuple((lengths.unsqueeze(0) > torch.arange(len(x), device=x.device).unsqueeze(1)).sum(1).tolist())
        back = _backwards(lengths, len(x)) if self.ways == 2 else None
        for number, (ways, norm) in enumerate(zip(self.layers, self.norms, strict=True)):
            x = self.between(x) if number else x
            found = []
            own: Any = ways
            for way, layer in enumerate(own):
                given = x if not way else _taken(x, back)
                y = self._layer(layer, given, sizes, state, number * self.ways + way)
                found.append(y if not way else _taken(y, back))
            x = norm(found[0] if len(found) == 1 else torch.cat(found, -1))
        return x

    def _layer(self, layer: Any, x: Tensor, sizes: tuple[int, ...], state: Any, place: int) -> Tensor:
        zero = x.new_zeros(x.shape[1], layer.width)
        h, c = (zero, zero) if state is None else state[place]
        if self.scan:
            y: Tensor = layer(x, h)
            if state is not None:
                state[place] = (y[-1], c)
            return y
        hidden = self.weights(layer.weight_hidden) if self.training and self.weights.share else None
        y, h, c = layer(x, h, c, sizes, hidden)
        if state is not None:
            state[place] = (h, c)
        return y


def _backwards(lengths: Tensor, steps: int) -> Tensor:
    """For each step and row the step that stands there when the row is read backwards; padding stays (T, B)."""
    place = torch.arange(steps, device=lengths.device).unsqueeze(1)
    return torch.where(place < lengths, lengths - 1 - place, place)


def _taken(x: Tensor, places: Tensor | None) -> Tensor:
    """x (T, B, D) at these steps (T, B)."""
    if places is None:
        return x
    rows = torch.arange(x.shape[1], device=x.device)
    flat = (places * x.shape[1] + rows).flatten()
    return x.flatten(0, 1).index_select(0, flat).view_as(x)


class Encoder(Body):
    """inputs (tokens (B, T), ...) or (values (B, T, C), lengths) -> values (B, T, D), mask (B, T), summary (B, S).

    `condition` (B, embedding) is added to every step. Padding changes nothing, and costs nothing.
    """

    def __init__(self, s: LSTM, spec: TokenSpec | SeriesSpec) -> None:
        super().__init__()
        if isinstance(spec, TokenSpec):
            inputs = s.embedding or s.width or 1
            self.stem: nn.Module = TokenStem(spec, inputs)
        else:
            inputs, self.stem = spec.channels, SeriesStem()
        self.layers, self.how = Layers(s, inputs, bool(s.both)), s.summary
        self.first, self.last = Locked(s.dropout or 0.0), Dropout(s.dropout or 0.0)
        self.words = Dropout(s.word_dropout or 0.0)
        self.width = self.layers.width
        self.summary_width = self.width * (2 if s.summary == "both" else 1)

    def forward(self, inputs: tuple[Any, ...], *, condition: Tensor | None = None) -> Features:
        x, lengths = self.stem(inputs)  # (B, D, T)
        whole = x.shape[-1]
        if lengths is None:
            lengths = torch.full((len(x),), whole, device=x.device)
        order = torch.argsort(lengths, descending=True, stable=True)
        ordered = lengths.index_select(0, order)
        longest = int(ordered[0])
        x = x.index_select(0, order)[:, :, :longest].permute(2, 0, 1)  # (T, B, D)
        if condition is not None:
            x = x + condition.index_select(0, order)
        if self.training and self.words.share:
            x = x * (self.words(x.new_ones(x.shape[:2])) > 0).unsqueeze(-1)
        y = self.layers(self.first(x), ordered).transpose(0, 1)  # (B, T, S)
        back = torch.argsort(order)
        y = y.index_select(0, back)
        mask = torch.arange(longest, device=y.device) < lengths.unsqueeze(1)
        summary = self.last(self._summary(y, mask, lengths))
        rest = (0, whole - longest)
        return Features(values=F.pad(y, (0, 0, *rest)), mask=F.pad(mask, rest), summary=summary)

    def _summary(self, y: Tensor, mask: Tensor, lengths: Tensor) -> Tensor:
        """Positions (B, T, D) as one vector (B, S)."""
        inside = mask.unsqueeze(-1)
        low = torch.finfo(y.dtype).min
        match self.how:
            case "mean":
                return (y * inside).sum(1) / lengths.unsqueeze(1)
            case "last":
                rows = torch.arange(len(y), device=y.device)
                last = y[rows, lengths - 1]
                if self.layers.ways == 1:
                    return last
                half = self.width // 2  # what read backwards ends at the first step
                return torch.cat([last[:, :half], y[:, 0, half:]], 1)
            case "both":
                mean = (y * inside).sum(1) / lengths.unsqueeze(1)
                return torch.cat([y.masked_fill(~inside, low).amax(1), mean], 1)
            case _:
                return y.masked_fill(~inside, low).amax(1)


class TokenDecoder(Decoder):
    """tokens (B, T) -> features (B, T, D); each step has read those up to its own, and looks at the memory.

    State: of each layer "h i" and "c i" (B, H); of a memory "memory" (B, P, S) and "seen" (B, P).
    """

    context = None  # it looks back without a limit

    def __init__(self, s: LSTM, spec: TokenSpec, memory: int | None) -> None:
        super().__init__()
        width = s.width or 1
        self.width = s.embedding or width
        self.words = (Bands if s.adaptive else Words)(spec.vocabulary, self.width, SPREAD)
        self.layers, self.tied = Layers(s, self.width, both=False), bool(s.tied)
        self.out = nn.Identity() if width == self.width else nn.Linear(width, self.width)
        self.first, self.last = Locked(s.dropout or 0.0), Locked(s.dropout or 0.0)
        self.types = Dropout(s.word_dropout or 0.0)
        self.ask = None if memory is None else nn.Linear(width, memory, bias=False)
        self.join = None if memory is None else nn.Linear(width + memory, width)

    def start(self, memory: Features | None, rows: int) -> State:
        zero = next(self.parameters()).new_zeros(rows, self.layers.width)
        tensors = {f"{part} {i}": zero for i in range(len(self.layers.layers)) for part in ("h", "c")}
        if memory is not None and memory.values is not None:
            tensors["memory"] = memory.values
            if memory.mask is not None:
                tensors["seen"] = memory.mask
        return State(tensors)

    def forward(self, tokens: Tensor, state: State) -> tuple[Features, State]:
        rows, steps = tokens.shape
        before = state.tensors
        x = self.first(self._embedded(tokens).transpose(0, 1))  # (T, B, D)
        states = [(before[f"h {i}"], before[f"c {i}"]) for i in range(len(self.layers.layers))]
        lengths = torch.full((rows,), steps, device=tokens.device)
        y = self.layers(x, lengths, states).transpose(0, 1)  # (B, T, H)
        if self.ask is not None and self.join is not None:
            y = torch.tanh(self.join(torch.cat([y, self._looked(y, before)], -1)))
        after = dict(before)
        for i, (h, c) in enumerate(states):
            after[f"h {i}"], after[f"c {i}"] = h, c
        return Features(values=self.out(self.last(y))), State(after)

    def _embedded(self, tokens: Tensor) -> Tensor:
        """The words' vectors (B, T, D), in training without some of the words, wherever they stand."""
        vectors: Tensor = self.words(tokens)
        if not self.training or not self.types.share:
            return vectors
        return vectors * F.embedding(tokens, self.types(vectors.new_ones(self.words.vocabulary, 1)))

    def _looked(self, y: Tensor, before: dict[str, Tensor]) -> Tensor:
        """What each step (B, T, H) sees of the memory (B, T, S)."""
        memory = before["memory"]
        scores = self.ask(y) @ memory.transpose(1, 2)  # type: ignore[misc]
        if "seen" in before:
            scores = scores.masked_fill(~before["seen"].unsqueeze(1), torch.finfo(scores.dtype).min)
        looked: Tensor = scores.softmax(-1) @ memory
        return looked
