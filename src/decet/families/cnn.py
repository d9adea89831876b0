"""CNN: any stack of convolutions and poolings, written down layer by layer or built from a few sizes.

    x_{l+1} = act(norm(W_l * x_l)),   now and then halved by pooling;   features = what the last layer gives

A written stack is read from left to right; LeNet-5 and the classic network of every tutorial are one line each:

    CNN(layers=("6x5", "pool", "16x5", "pool", "flat", "dense120", "dense84"),
        activation="tanh", pooling="mean", norm="none", padding="valid")                  on 32 x 32 pixels: LeNet-5
    CNN(layers=(32, 64, "pool", "flat", "dense128"), norm="none")                         32-64-pool-128

    32          convolution of 32 channels, with `kernel`           "pool", "pool3"   of windows of 2 x 2, 3 x 3
    "32x5"      with windows of 5 x 5                               "drop0.25"        drops a quarter in training
    "32x5/2"    moved by 2                                          "gap", "gmp"      mean, maximum over the map
    "flat"      the whole map as one vector                         "dense120"        120 fully connected units

Without layers: for each number in `channels`, `depth` convolutions and a pooling; then the summary. Texts without
layers: windows of several widths side by side, the maximum of each filter over time (Kim, 1408.5882), or that and the
sum, which long texts need: a topic is told by many words, each of which says little.

References: LeCun et al., Proceedings of the IEEE 86, 1998 (LeNet-5); Simonyan & Zisserman, 1409.1556 (blocks of 3 x 3);
clips: frames' features averaged, Wang et al., 1608.00859.

Differs from the papers:
1. LeNet-5's poolings have no trained coefficients, its second convolution sees all maps, its head is linear.
2. Kim's word vectors are trained from random ones.

Reads pictures and clips, series, texts. Good at: small pictures, short texts, networks that are to be understood
layer by layer. Weak at: large pictures and deep stacks (use ResNet), long texts (use Transformer).
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from decet.contracts import Body, Features, ImageSpec, SeriesSpec, TokenSpec
from decet.errors import BadInput, Unsupported, check_choice, check_range
from decet.nn.convolution import (
    ACTIVATIONS,
    NORMS,
    Filters,
    Layer,
    Pool,
    Window,
    check_list,
    ended,
    norm_of,
    picture_features,
    pooled,
    real,
    with_condition,
)
from decet.nn.dropout import Dropout
from decet.nn.members import Ensemble
from decet.nn.stems import ImageStem, SeriesStem, TokenStem
from decet.settings import check_whole, joined

PADDINGS = ("same", "valid")
POOLINGS = ("max", "mean")
SUMMARIES = {"gap": "gap", "max": "gmp", "flat": "flat"}  # the setting, and the item that does it
ENDS = ("gap", "gmp", "flat")  # items that end the map
RULE = (
    "layers may list 32 (a convolution of 32 channels), '32x5' (windows of 5 x 5), '32x5/2' (moved by 2), 'pool', "
    "'pool3', 'drop0.25', 'flat', 'gap' (mean over the map), 'gmp' (maximum) and 'dense120'"
)


class Item(NamedTuple):  # one word of a written stack
    text: str
    kind: str  # "conv", "pool", "drop", "dense", or one of ENDS
    size: int = 0  # channels, window or units
    kernel: int | None = None
    stride: int = 1
    share: float = 0.0


@dataclass(frozen=True)
class CNN:
    """The convolutional network. None = not said: the cell of the map, then the fallback decides.

    layers: the stack as written, as (32, 64, "pool", "flat", "dense128"); wins over channels and depth.
    channels: of each block, as (32, 64, 128); for texts the filters of each window, as (100,).
    depth: convolutions of a block.
    width: units a word is embedded to, for texts.
    kernel: pixels a side, or steps, of a convolution's window.
    kernels: words in a window, side by side, for texts, as (3, 4, 5).
    padding: "same" (a map keeps its size) or "valid" (windows lie wholly within it).
    activation: "relu", "gelu", "silu", "celu", "tanh" or "sigmoid".
    norm: "batch", "group" or "none", between convolution and activation.
    pooling: "max" or "mean".
    dropout: share of the summary dropped.
    summary: how the map becomes one vector: "gap" (mean), "max" or "flat" (all of it); of texts without layers "gap",
        "max" (as published), or "both": the maximum, plus the sum over the root of the number of windows.
    """

    layers: tuple[int | str, ...] | None = None
    channels: tuple[int, ...] | None = None
    depth: int | None = None
    width: int | None = None
    kernel: int | None = None
    kernels: tuple[int, ...] | None = None
    padding: str | None = None
    activation: str | None = None
    norm: str | None = None
    pooling: str | None = None
    dropout: float | None = None
    summary: str | None = None

    reads: ClassVar[tuple[type, ...]] = (ImageSpec, SeriesSpec, TokenSpec)
    supersedes: ClassVar[dict[str, tuple[str, ...]]] = {"layers": ("channels", "depth")}

    def __post_init__(self) -> None:
        if self.layers is not None:
            if isinstance(self.layers, (int, float, str)) or not len(self.layers):
                raise BadInput(
                    f"layers must list the stack, as (32, 64, 'pool', 'flat', 'dense128'). Received: {self.layers!r}."
                )
            object.__setattr__(self, "layers", tuple(i if isinstance(i, str) else _whole(i) for i in self.layers))
            read(self.layers)
        check_list(self, "channels", "the channels of each block, as (32, 64, 128)", 1, 65536)
        check_list(self, "kernels", "the words in each window, as (3, 4, 5)", 1, 999)
        check_whole(self, ("depth",), 1, 1000)
        check_whole(self, ("width",), 1, 65536)
        check_whole(self, ("kernel",), 1, 999)
        check_choice("padding", self.padding, PADDINGS)
        check_choice("activation", self.activation, tuple(ACTIVATIONS))
        check_choice("norm", self.norm, NORMS)
        check_choice("pooling", self.pooling, POOLINGS)
        check_range("dropout", self.dropout, 0.0, 0.95)
        check_choice("summary", self.summary, (*SUMMARIES, "both"))

    def encoder(self, spec: Any, members: int = 1) -> Body:
        """The network for this spec; `pooled()` gives (B, members, what the last layer gives)."""
        if members > 1:
            return Ensemble(lambda: self.encoder(spec), members)
        settings = joined(self, FALLBACK)
        match spec:
            case TokenSpec() if settings.layers is None:
                return _Windows(settings, spec)
            case ImageSpec() | SeriesSpec() | TokenSpec():
                return _Stack(settings, spec)
            case _:
                raise Unsupported(f"CNN reads pictures, series and texts. Received: {type(spec).__name__}.")


FALLBACK = CNN(
    depth=2,
    width=128,
    kernel=3,
    kernels=(3, 4, 5),
    padding="same",
    activation="relu",
    norm="batch",
    pooling="max",
    dropout=0.0,
)


# ---------------------------------------------------------------------------------------------------- written stacks


def read(layers: tuple[int | str, ...]) -> list[Item]:
    """The items of a written stack. Raises BadInput for a word it does not know, or one out of place."""
    items: list[Item] = []
    for given in layers:
        item = _item(given)
        over = next((i for i in items if i.kind in ENDS), None)
        if item.kind == "dense" and over is None:
            raise BadInput(f"{given!r} in layers needs 'flat', 'gap' or 'gmp' before it. Received: {layers}.")
        if over is not None and item.kind not in ("dense", "drop"):
            raise BadInput(
                f"after {over.text!r} in layers the map is gone: only 'dense120' and 'drop0.25' may follow. "
                f"Received: {given!r}."
            )
        items.append(item)
    return items


def _item(given: int | str) -> Item:
    text = str(given).strip()
    if match := re.fullmatch(r"(\d{1,5})(?:x(\d{1,3}))?(?:/(\d{1,2}))?", text):
        item = Item(text, "conv", int(match[1]), int(match[2]) if match[2] else None, int(match[3] or 1))
        if item.size and item.kernel != 0 and item.stride:
            return item
    elif match := re.fullmatch(r"pool(\d{1,3})?", text):
        if size := int(match[1] or 2):
            return Item(text, "pool", size)
    elif match := re.fullmatch(r"drop(0?\.\d+)", text):
        if float(match[1]) <= 0.95:
            return Item(text, "drop", share=float(match[1]))
    elif match := re.fullmatch(r"dense(\d{1,5})", text):
        if size := int(match[1]):
            return Item(text, "dense", size)
    elif text in ENDS:
        return Item(text, text)
    raise BadInput(f"{RULE}. Received: {given!r}.")


def _whole(given: Any) -> int:
    check_range("each number of channels in layers", given, 1, 65536, whole=True)
    return int(given)


def written(s: CNN) -> list[Item]:
    """The whole stack: as written, or out of channels and depth; ended by dropout and a summary where it has none."""
    if s.layers is not None:
        items = read(s.layers)
    else:
        blocks = s.channels or (32, 64, 128)
        each: list[tuple[int | str, ...]] = [(*[c] * (s.depth or 1), "pool") for c in blocks]
        items = read(sum(each, ()))
    if not any(item.kind in ENDS for item in items):
        if s.summary == "both":
            raise BadInput("summary='both' is for texts without layers. Use 'gap', 'max' or 'flat'.")
        items += read((SUMMARIES[s.summary or "gap"],))
    return items


# --------------------------------------------------------------------------------------------------------- networks


class _Stack(Body):
    """The layers one by one. inputs (pixels (B, C, H, W),), (values (B, T, C), lengths) or (tokens (B, T), ...).

    Gives summary (B, S), values (B, P, D) of the last map, and of pictures the maps before each pooling or stride,
    and the last. `condition` (B, channels of the first convolution) is added to the first map.
    """

    def __init__(self, s: CNN, spec: ImageSpec | SeriesSpec | TokenSpec):
        super().__init__()
        self.frames = spec.frames if isinstance(spec, ImageSpec) else None
        self.stem, width, sides = _stem(s, spec)
        dims, act, items = (2 if isinstance(spec, ImageSpec) else 1), ACTIVATIONS[s.activation or "relu"], written(s)
        place = next(i for i, item in enumerate(items) if item.kind in ENDS)
        self.layers, self.end, self.length = nn.ModuleList(), items[place].kind, 0
        for item in items[:place]:
            if item.kind == "conv":
                kernel, padding = item.kernel or s.kernel or 1, s.padding or "same"
                filters = Filters(dims, width, item.size, kernel, item.stride, padding, bias=s.norm == "none")
                sides = _fitting(item, filters, sides)
                self.layers.append(Layer(filters, norm_of(s.norm, item.size), act()))
                width = item.size
            elif item.kind == "pool":
                pool = Pool(s.pooling or "max", item.size, sides if dims == 2 else None)
                sides = pool.sides(sides)
                self.layers.append(pool)
            else:
                self.layers.append(Dropout(item.share))
        self.width, self.plain = width, not any(item.kind == "conv" for item in items)  # plain: the input is the map
        if self.end == "flat":
            if not sides:
                raise BadInput("'flat' needs sequences of one known length. Received: any length. Use 'gap' or 'gmp'.")
            self.length = sides[0] if dims == 1 else 0
            width *= math.prod(sides)
        tail: list[nn.Module] = []
        for item in items[place + 1 :]:
            if item.kind == "dense":
                tail += [nn.Linear(width, item.size), act()]
                width = item.size
            else:
                tail.append(Dropout(item.share))
        self.tail = nn.Sequential(*tail, Dropout(s.dropout or 0.0))
        self.summary_width = width

    def forward(self, inputs: tuple[Any, ...], *, condition: Tensor | None = None) -> Features:
        given = self.stem(inputs)
        x, lengths = given if isinstance(given, tuple) else (given, None)
        maps: list[Tensor] = []
        if self.plain:
            x, condition = ended(with_condition(x, condition), lengths), None
        layer: Any
        for i, layer in enumerate(self.layers):
            if isinstance(layer, Dropout):
                x = layer(x)
                continue
            if i and (layer.halves if isinstance(layer, Pool) else layer.filters.stride > 1):
                maps.append(x)
            x, lengths = layer(x, lengths)
            if condition is not None and isinstance(layer, Layer):
                x, condition = ended(with_condition(x, condition), lengths), None
        maps.append(x)
        if self.end == "flat":
            if self.length:
                x = F.pad(x, [0, self.length - x.shape[-1]])
            summary = x.flatten(1)  # (B, C * P)
        else:
            summary = pooled(x, lengths, "max" if self.end == "gmp" else "mean")
        summary = self.tail(summary)
        if x.dim() == 4:
            return picture_features(summary, maps, self.frames)
        mask = None if lengths is None else real(maps[-1], lengths).squeeze(1)  # (B, T)
        return Features(summary=summary, values=maps[-1].transpose(1, 2), mask=mask)  # (B, T, D)


class _Windows(Body):
    """Filters over several numbers of words side by side, then one number of each over the text (`summary`).

    inputs (tokens (B, T), ...) -> summary (B, S), values (B, T, S): the answers of the windows that start at a word.
    `condition` (B, S) is added to the answers. The texts' words are laid end to end, so padding costs nothing.
    """

    def __init__(self, s: CNN, spec: TokenSpec):
        super().__init__()
        if s.summary == "flat":
            raise BadInput(
                "summary='flat' needs layers, as (100, 'flat'); without them texts take 'gap', 'max' or 'both'."
            )
        self.each, self.kernels, width = (s.channels or (100,))[0], s.kernels or (), s.width or 1
        self.stem, self.pool = TokenStem(spec, width), s.summary or "max"
        self.branches = nn.ModuleList(Window(width, self.each, kernel) for kernel in self.kernels)
        self.act, self.dropout = ACTIVATIONS[s.activation or "relu"](), Dropout(s.dropout or 0.0)
        self.width = self.summary_width = self.each * len(self.kernels)

    def forward(self, inputs: tuple[Any, ...], *, condition: Tensor | None = None) -> Features:
        longest, steps = max(self.kernels), inputs[0].shape[1]
        x, lengths, inside = self.stem.rows(inputs, longest)  # (R, D), (B,), (B, T)
        x = F.pad(x, [0, 0, 0, longest - 1])
        windows = torch.cat([x[i : len(x) - longest + 1 + i] for i in range(longest)], 1)  # (R, longest * D)
        y = self.act(torch.cat([branch(windows) for branch in self.branches], 1))  # (R, S)
        if condition is not None:
            y = y + condition.repeat_interleave(inside.sum(1), 0)
        place, low = torch.arange(inside.shape[1], device=y.device), torch.finfo(y.dtype).min
        counts = torch.stack([(lengths - kernel).clamp(min=0) + 1 for kernel in self.kernels], 1)  # (B, branches)
        beyond = (place.unsqueeze(1) >= counts.unsqueeze(1))[inside]  # (R, branches), no window starts there
        y = y.masked_fill(beyond.repeat_interleave(self.each, 1), low)
        spread = y.new_full((inside.numel(), y.shape[1]), low).index_copy(0, inside.flatten().nonzero().squeeze(1), y)
        spread = spread.unflatten(0, inside.shape)  # (B, T, S)
        values = spread.masked_fill(spread == low, 0.0)
        summary = self._summary(spread, values, counts.repeat_interleave(self.each, 1))
        mask = (place < lengths.unsqueeze(1))[:, :steps]
        return Features(summary=self.dropout(summary), values=values[:, :steps], mask=mask)

    def _summary(self, spread: Tensor, values: Tensor, counts: Tensor) -> Tensor:
        """Answers (B, T, S), where there are none the least number and zero, of so many windows (B, S) -> (B, S)."""
        match self.pool:
            case "gap":
                return values.sum(1) / counts
            case "both":
                return spread.max(1).values + values.sum(1) / counts.sqrt()
            case _:
                return spread.max(1).values


def _stem(s: CNN, spec: ImageSpec | SeriesSpec | TokenSpec) -> tuple[nn.Module, int, tuple[int, ...]]:
    """What makes (B, C, ...) of the inputs; C; the sides of its map, () = of any length."""
    match spec:
        case ImageSpec():
            return ImageStem(spec), spec.channels, (spec.height, spec.width)
        case SeriesSpec():
            return SeriesStem(), spec.channels, (spec.length,) if spec.length else ()
        case _:
            return TokenStem(spec, s.width or 1), s.width or 1, (spec.length,) if spec.length else ()


def _fitting(item: Item, filters: Filters, sides: tuple[int, ...]) -> tuple[int, ...]:
    """The sides of the map after a convolution. Raises BadInput where its windows are larger than the picture."""
    left = tuple(filters.side(side) for side in sides)
    if any(side < 1 for side in left):
        raise BadInput(
            f"{item.text!r} in the stack has windows of {filters.kernel} x {filters.kernel}, and its map is "
            f"{' x '.join(map(str, sides))}. Use padding='same', or fewer poolings before it."
        )
    return left
