"""ResNet: convolutions whose layers learn what to add to their input.

    x_{l+1} = act(shortcut(x_l) + f(x_l)),   f = conv, norm, act, conv, norm        (pre-activated: x_l + f(x_l))

The shortcut is the input itself, or where the shape changes a 1 x 1 convolution. Depth 18, 34, 50: He et al.,
1512.03385, with four stages; 20, 32, 44, 56, 110: their small networks with three, for pictures of 32 pixels, whose
shortcuts take every second pixel and fill the new channels with zeros ("option A"). Depth 9 is the network that
learns CIFAR-10 in the least time (Page, "How to train your ResNet", 2018-19; Jordan, 2404.00498):

    x = act(W x)                                      W: 2 x 2 patches whitened, eigenvectors and their negatives, fixed
    each stage:  x = act(norm(pool(conv(x)))),  then so many times  x = x + act(norm(conv(x)))
    summary = max over the map / 9

References: pre-activation: He et al., 1603.05027; series: Wang et al., 1611.06455; tables: Gorishniy et al.,
2106.11959; clips: frames' features averaged, Wang et al., 1608.00859.

Differs from the papers:
1. Bottlenecks stride in their 3 x 3 convolution, not in the first 1 x 1 (as everyone since Goyal et al., 1706.02677).
2. The last norm of each block starts at scale 0 from depth 18 on, so that a block starts as its shortcut (1706.02677).
3. At depth 9 every stage has one layer with a shortcut, where Jordan's has plain ones; running statistics move by 0.4;
   a whitened layer keeps the 8 directions that vary most and has no trained bias, and rectifiers stand for GELUs:
   together 1.4 times the pictures a second on a CPU, at no loss that short runs could show (docs/log.md).

Reads pictures and clips, series, tables, texts. Good at: pictures from a few hundred on, of any size; series whose
classes differ by shape. Weak at: texts (use Transformer), a few dozen pictures without a pretrained start.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from decet.contracts import Body, Features, ImageSpec, SeriesSpec, TableSpec, TokenSpec
from decet.errors import BadInput, Unsupported, check_choice, check_range, listed
from decet.nn.convolution import (
    NORMS,
    Whitening,
    check_list,
    ended,
    picture_features,
    pooled,
    real,
    with_condition,
)
from decet.nn.dropout import Dropout
from decet.nn.members import Ensemble
from decet.nn.residual import FastStage, ResidualBlock, RowBlock, SeriesBlock, Style
from decet.nn.stems import ImageStem, SeriesStem, TableStem, TokenStem, drawn
from decet.settings import check_whole, joined

FAST = 9
STAGES = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3)}  # blocks of each
SMALL = (20, 32, 44, 56, 110)  # 6 n + 2: three stages of n blocks
BLOCKS = ("basic", "bottleneck")
STEMS = ("small", "large", "whiten")
POOLS = ("mean", "max")
EMBEDDINGS = ("none", "piecewise", "periodic")
ACTS = ("relu", "gelu", "silu", "celu")
LARGE = 96  # pixels of the shorter side from which a picture is halved twice before the first stage
DIRECTIONS = 8  # of whitened patches, of the 12 that colour has: those that vary least are mostly noise
TEMPER = 1 / 9  # of the fast network's summary: logits start small, so that a high learning rate can be borne


@dataclass(frozen=True)
class ResNet:
    """The residual network. None = not said: the cell of the map, then the kind of input decides.

    depth: of a network for pictures: 9, 18, 34, 50, or 20, 32, 44, 56, 110 (9 where neither it nor blocks is said).
    blocks: residual blocks of each stage, as (2, 2, 2, 2); wins over depth.
    block: "basic" (two 3 x 3 convolutions) or "bottleneck" (1 x 1, 3 x 3, 1 x 1 with four times the channels).
    widths: channels of each stage, as (64, 128, 256); wins over width.
    width: channels of the first stage, doubled at each further one (at depth 9 times 1, 4, 4); units of a layer for
        tables. Not said: 64, for the small networks 16, as published.
    stem: "small" (3 x 3), "large" (7 x 7, halved twice) or "whiten" (fixed 2 x 2 filters out of the data).
    preact: norm and activation stand before each convolution, so that the shortcut is never bent.
    activation: "relu", "gelu", "silu" or "celu".
    norm: "batch", "group" or "none".
    dropout: share of the summary dropped; for tables of the units in each block.
    pool: how the map becomes one vector: "mean" or "max".
    zero_init: each block starts as its shortcut alone.
    embedding: of a table's numbers: "none", "piecewise" (place among quantiles) or "periodic" (trained waves).
    embedding_width: units a number is embedded to.
    frequencies: waves of a periodic embedding.
    sigma: spread of the first frequencies.
    """

    depth: int | None = None
    blocks: tuple[int, ...] | None = None
    block: str | None = None
    widths: tuple[int, ...] | None = None
    width: int | None = None
    stem: str | None = None
    preact: bool | None = None
    activation: str | None = None
    norm: str | None = None
    dropout: float | None = None
    pool: str | None = None
    zero_init: bool | None = None
    embedding: str | None = None
    embedding_width: int | None = None
    frequencies: int | None = None
    sigma: float | None = None

    reads: ClassVar[tuple[type, ...]] = (ImageSpec, SeriesSpec, TokenSpec, TableSpec)

    def __post_init__(self) -> None:
        check_whole(self, ("depth",), 1)
        known = (FAST, *STAGES, *SMALL)
        if self.depth is not None and self.depth not in known:
            raise BadInput(f"depth must be one of {listed(known, 20)}. Received: {self.depth}.")
        check_list(self, "blocks", "the blocks of each stage, as (2, 2, 2, 2)", 0, 1000)
        check_list(self, "widths", "the channels of each stage, as (64, 128, 256)", 1, 65536)
        check_whole(self, ("width",), 1, 65536)
        check_whole(self, ("embedding_width", "frequencies"), 1, 4096)
        check_range("sigma", self.sigma, 1e-6, 1e3)
        check_range("dropout", self.dropout, 0.0, 0.95)
        check_choice("block", self.block, BLOCKS)
        check_choice("stem", self.stem, STEMS)
        check_choice("preact", self.preact, (True, False))
        check_choice("activation", self.activation, ACTS)
        check_choice("norm", self.norm, NORMS)
        check_choice("pool", self.pool, POOLS)
        check_choice("zero_init", self.zero_init, (True, False))
        check_choice("embedding", self.embedding, EMBEDDINGS)

    def encoder(self, spec: Any, members: int = 1) -> Body:
        """The network for this spec; `pooled()` gives (B, members, channels of the last stage)."""
        settings = joined(self, FALLBACK)
        if members > 1:
            return Ensemble(lambda: self.encoder(spec), members)
        match spec:
            case ImageSpec():
                return _Pictures(of_pictures(settings, spec), spec)
            case SeriesSpec() | TokenSpec():
                return _Sequences(settings, spec)
            case TableSpec():
                return _Rows(settings, spec)
            case _:
                raise Unsupported(f"ResNet reads pictures, series, tables and texts. Received: {type(spec).__name__}.")


FALLBACK = ResNet(
    preact=False,
    norm="batch",
    dropout=0.0,
    embedding="none",
    embedding_width=16,
    frequencies=24,
    sigma=0.1,
)


def of_pictures(settings: ResNet, spec: ImageSpec) -> ResNet:
    """The settings with everything said that a network for these pictures needs."""
    depth = settings.depth or (FAST if settings.blocks is None else None)
    fast, small = depth == FAST, depth in SMALL
    of_depth = {FAST: (1, 1, 1), **STAGES, **{6 * n + 2: (n, n, n) for n in (3, 5, 7, 9, 18)}}
    blocks = settings.blocks or of_depth[depth or FAST]
    width = settings.width or (16 if small else 64)
    widths = settings.widths or tuple(width * (min(4, 4**i) if fast else 2**i) for i in range(len(blocks)))
    _check_stages(blocks, widths)
    if not fast and 0 in blocks:
        raise BadInput(f"each stage needs at least 1 block, but for depth 9. Received: blocks={blocks}.")
    if fast and (settings.preact or settings.block == "bottleneck"):
        raise BadInput("depth 9 has layers of its own kind. Received: preact or bottlenecks. Use a depth from 18 on.")
    shorter = min(spec.height, spec.width)
    stem = settings.stem or ("large" if shorter >= LARGE else "small")
    if settings.stem is None and fast and spec.patches and shorter > 1:
        stem = "whiten"
    if stem == "whiten" and not spec.patches:
        raise BadInput("stem='whiten' needs the covariance of the pictures' patches. Received: none. Use stem='small'.")
    if stem == "whiten" and shorter < 2:
        raise BadInput(
            f"stem='whiten' needs pictures of at least 2 x 2 pixels. Received: {spec.height} x {spec.width}. "
            "Use stem='small'."
        )
    plain = ResNet(
        block="bottleneck" if depth == 50 else "basic",
        activation="relu",
        pool="max" if fast else "mean",
        zero_init=not fast and not small,
    )
    return replace(joined(settings, plain), depth=depth, blocks=blocks, widths=widths, stem=stem)


def _check_stages(blocks: tuple[int, ...], widths: tuple[int, ...]) -> None:
    if len(blocks) != len(widths):
        raise BadInput(f"blocks and widths must name as many stages. Received: blocks={blocks}, widths={widths}.")


def _style(s: ResNet, **own: Any) -> Style:
    activation, zero_init = s.activation or "relu", bool(s.zero_init)
    return Style(s.norm or "batch", activation, zero_init, dropout=s.dropout or 0.0, **own)


# --------------------------------------------------------------------------------------------------------- pictures


class _Pictures(Body):
    """Stem, stages, pooling. inputs (pixels (B, C, H, W),) -> summary (B, S), values (B, P, D), a map a stage.

    `condition` (B, channels of the first stage) is added to the map that enters the first stage's blocks.
    """

    def __init__(self, s: ResNet, spec: ImageSpec):
        super().__init__()
        self.frames, self.pool, self.fast = spec.frames, s.pool or "mean", s.depth == FAST
        small, bottleneck = s.depth in SMALL, s.block == "bottleneck"
        style = _style(s, preact=bool(s.preact), bottleneck=bottleneck, padded=small)
        blocks, widths = s.blocks or (), s.widths or ()
        self.pixels = ImageStem(spec)
        self.stem, inputs, sides = _stem(s, style, spec, widths[0])
        self.stages = nn.ModuleList()
        for i, (count, width) in enumerate(zip(blocks, widths, strict=True)):
            if self.fast:
                stage = FastStage(style, inputs, width, count, sides)
                self.stages.append(stage)
                inputs, sides = width, stage.sides
                continue
            stack = nn.Sequential()
            for j in range(count):  # all stages but the first halve the map in their first block
                stack.append(ResidualBlock(style, inputs, width, 2 if i and not j else 1))
                inputs = width * (4 if bottleneck else 1)
            self.stages.append(stack)
        self.end = nn.Sequential(style.normed(inputs), style.act()) if s.preact else nn.Identity()
        self.dropout = Dropout(s.dropout or 0.0)
        self.width = self.summary_width = inputs

    def forward(self, inputs: tuple[Any, ...], *, condition: Tensor | None = None) -> Features:
        x = self.stem(self.pixels(inputs))  # (B, C, H, W)
        if not self.fast:
            x, condition = with_condition(x, condition), None
        maps = []
        for stage in self.stages:
            x = stage(x) if condition is None else stage(x, condition)
            condition = None
            maps.append(x)
        maps[-1] = self.end(x)
        summary = self.dropout(pooled(maps[-1], None, self.pool))
        if self.fast:
            summary = summary * TEMPER
        return picture_features(summary, maps, self.frames)


def _stem(s: ResNet, style: Style, spec: ImageSpec, width: int) -> tuple[nn.Module, int, tuple[int, ...]]:
    """Pixels to the first map; its channels; its sides."""
    sides: tuple[int, ...] = (spec.height, spec.width)
    fast = s.depth == FAST
    if s.stem == "whiten":
        white = Whitening(spec.patches, spec.channels, max(1, min(DIRECTIONS, width // 2)))
        filters, sides = len(white.weight), (sides[0] - 1, sides[1] - 1)
        stem = nn.Sequential(white, style.act())
        if fast:
            return stem, filters, sides
        stem.append(style.conv(filters, width, 3))
    else:
        if fast and s.stem == "small":
            width = min(8 * spec.channels, 2 * DIRECTIONS, max(2, width))  # as many as whitening has
        kernel, stride = (7, 2) if s.stem == "large" else (3, 1)
        stem = nn.Sequential(style.conv(spec.channels, width, kernel, stride))
    if not style.preact:
        stem.extend([style.normed(width), style.act()])
    if s.stem == "large":
        stem.append(nn.MaxPool2d(3, 2, 1))
        sides = ((sides[0] + 3) // 4, (sides[1] + 3) // 4)
    return stem, width, sides


# ------------------------------------------------------------------------------------------ series, texts and tables


class _Sequences(Body):
    """Blocks of three convolutions over time, none of which shortens it (Wang et al., 1611.06455).

    inputs (values (B, T, C), lengths (B,) or None), or (tokens (B, T), ...) -> summary (B, S), values (B, T, D).
    `condition` (B, channels of the first stage) is added to what the first block gives.
    """

    def __init__(self, s: ResNet, spec: SeriesSpec | TokenSpec):
        super().__init__()
        width, counts = s.width or (64 if isinstance(spec, SeriesSpec) else 128), s.blocks or (1, 1, 1)
        widths = s.widths or tuple(width * min(2, i + 1) for i in range(len(counts)))
        _check_stages(counts, widths)
        self.pool, style = s.pool or "mean", _style(s)
        self.stem: Any = SeriesStem() if isinstance(spec, SeriesSpec) else TokenStem(spec, widths[0])
        inputs = spec.channels if isinstance(spec, SeriesSpec) else widths[0]
        self.blocks = nn.ModuleList()
        for count, outputs in zip(counts, widths, strict=True):
            for _ in range(count):
                self.blocks.append(SeriesBlock(style, inputs, outputs))
                inputs = outputs
        self.dropout = Dropout(s.dropout or 0.0)
        self.width = self.summary_width = inputs

    def forward(self, inputs: tuple[Any, ...], *, condition: Tensor | None = None) -> Features:
        x, lengths = self.stem(inputs)  # (B, C, T)
        for block in self.blocks:
            x = block(x, lengths)
            if condition is not None:
                x, condition = ended(with_condition(x, condition), lengths), None
        mask = None if lengths is None else real(x, lengths).squeeze(1)  # (B, T)
        summary = self.dropout(pooled(x, lengths, self.pool))
        return Features(values=x.transpose(1, 2), mask=mask, summary=summary)  # (B, T, D)


class _Rows(Body):
    """Linear stem, blocks, norm, activation (Gorishniy et al., 2106.11959), all of `width` units.

    inputs (numbers (B, F), categories (B, C)) -> summary (B, D). `condition` (B, D) is added to the stem.
    """

    def __init__(self, s: ResNet, spec: TableSpec):
        super().__init__()
        width, count, style = s.width or (s.widths or (192,))[0], sum(s.blocks or (2,)), _style(s)
        self.stem = TableStem(spec, s.embedding or "none", s.embedding_width or 1, s.frequencies or 1, s.sigma or 1.0)
        self.linear = nn.Linear(self.stem.width, width) if self.stem.width else None
        self.sparse = None
        if spec.sparse:
            self.sparse = nn.Parameter(drawn(spec.numbers, width, 1 / math.sqrt(max(spec.numbers, 1))))
        self.blocks = nn.ModuleList(RowBlock(style, width) for _ in range(count))
        self.end = nn.Sequential(style.normed(width), style.act())
        self.width = self.summary_width = width

    def forward(self, inputs: tuple[Any, ...], *, condition: Tensor | None = None) -> Features:
        parts = [] if self.linear is None else [self.linear(self.stem(inputs))]
        if self.sparse is not None:  # never a dense row of mostly zeros
            parts.append(inputs[0].times(self.sparse))
        if condition is not None:
            parts.append(condition)
        x = functools.reduce(torch.add, parts)  # (B, D)
        for block in self.blocks:
            x = block(x)
        return Features(summary=self.end(x))
