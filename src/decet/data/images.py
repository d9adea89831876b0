"""Images: pictures of any size, colour and format, turned into the one tensor that networks read.

`Images` holds the settings; `Images.read` leaves out what cannot be read, and `Images.fit` looks at the training
pictures and gives an `ImageCodec`, whose `encode` turns pictures into pixels (N, C, H, W) uint8, 0 to 255, with the
channels last in memory. They are not scaled here: the spec says mean and spread of each channel, and the covariance of
3 x 3 patches of the pixels so scaled, all from the training pictures alone.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from decet.contracts import ImageSpec
from decet.data.decoding import RESIZES, Header, Way
from decet.data.pictures import Pictures, Progress, read_pictures, told_animated, told_unreadable
from decet.errors import BadInput, check_choice, check_range, listed

__all__ = ["ImageCodec", "Images", "read_pictures"]

SIZES = (32, 64, 96, 128)  # of pictures whose size is not said
OWN = 96  # pixels of a side up to which pictures of one size keep it
LARGEST = 4_096  # pixels of a side
MOST_FRAMES = 1_024
MOST_NUMBERS = 1 << 26  # of one picture or clip
PATCH_PICTURES = 5_000  # whose patches are looked at, at most
MOST_PATCHES = 2_000_000  # and how many of these
_LOOK = 200  # headers looked at before pictures are answered
_BLOCK_NUMBERS = 1 << 22  # worked on at a time


@dataclass(frozen=True)
class Images:
    """How pictures are read. What is None is found from the pictures.

    size: pixels of the sides of the square that the network sees; None: the pictures' own size where all have one of at
        most 96, else 32, 64, 96 or 128, the largest that is at most the median shorter side.
    channels: 1 (grey) or 3 (colour); None: 3 if any picture has colour, else 1.
    frames: frames of a clip, spread evenly over it; None: a picture, of what moves the first frame.
    resize: "crop" (the shorter side is scaled to the size, the centre cut out), "stretch", or "pad" (black bars).
    """

    size: int | None = None
    channels: int | None = None
    frames: int | None = None
    resize: str = "crop"

    held_out: ClassVar[int | None] = 2_000  # pictures set aside at most, of each kind

    def __post_init__(self) -> None:
        check_range("size", self.size, 4, LARGEST, whole=True)
        check_choice("channels", self.channels, (1, 3))
        check_range("frames", self.frames, 1, MOST_FRAMES, whole=True)
        check_choice("resize", self.resize, RESIZES)

    def read(self, pictures: Pictures, progress: Progress | None = None) -> tuple[Pictures, np.ndarray]:
        """The pictures that can be read, decoded, and their positions; the others are told in `remarks`.

        Raises `BadInput` where more than a few cannot be read.
        """
        way = self._way(pictures)
        found, kept = pictures.readable((way.height, way.width), way.channels, way.frames, way.resize, progress)
        found.settled[self] = way
        return found, kept

    def fit(self, pictures: Pictures, rows: np.ndarray | None = None, reads: Sequence[type] = ()) -> ImageCodec:
        """Learn means, spreads and patches from the training pictures (`rows`, positions; None = all).

        reads: the specs that the family reads, which decides nothing here: pictures have one view.
        """
        return ImageCodec.learn(self, pictures, None if rows is None else np.asarray(rows))

    def groups(self, pictures: Pictures) -> np.ndarray:
        """A group id a picture (n,), equal for pictures of equal pixels."""
        if not pictures.has_decoded:
            self.read(pictures)
        return pictures.copies()

    def notes(self, pictures: Pictures, y: Any, codec: ImageCodec, copies: np.ndarray | None = None) -> list[str]:
        """Sentences about what is legal but surely wrong. `copies`: what `groups` gave, where known."""
        sentences = [*pictures.remarks, *codec.warnings]
        groups = self.groups(pictures) if copies is None else copies
        repeats = len(groups) - len(np.unique(groups))
        if repeats:
            are = "is a copy" if repeats == 1 else "are copies"
            sentences.append(
                f"{repeats:,} of {len(groups):,} pictures {are} of an earlier one; decet keeps copies on one side of "
                "its splits, a test set of your own may not."
            )
        lone = _lone_classes(y)
        if lone:
            which, have = (f"class {lone[0]} has", "it") if len(lone) == 1 else (f"classes {listed(lone)} have", "each")
            sentences.append(
                f"{which} one picture: {have} cannot be validated, and hardly learned. Add pictures, or leave it out."
            )
        sizes = np.unique(codec._decoded(pictures).sizes, axis=0)
        if len(sizes) > 1:
            by_area = sizes[np.argsort(sizes.astype(np.int64).prod(1), kind="stable")]
            small, large = (f"{width} x {height}" for height, width in by_area[[0, -1]].tolist())
            sentences.append(
                f"pictures come in {len(sizes):,} sizes, from {small} to {large}; they are brought to "
                f"{codec.spec.width} x {codec.spec.height} ({codec.images.resize})."
            )
        return sentences

    def _way(self, pictures: Pictures) -> Way:
        """How pictures are brought to one shape: as settled when they were read, else found from their headers."""
        if self in pictures.settled:
            return pictures.settled[self]
        heads = pictures.peek()
        size = (self.size, self.size) if self.size is not None else _size_of(heads)
        channels = self.channels or (3 if any(head.colour for head in heads) else 1)
        return Way(*size, channels, self.frames, self.resize)


class ImageCodec:
    """Turns pictures into tensors. Made by `Images.fit` or `restore`.

    spec      ImageSpec for the network
    images    the settings
    seen      what training saw: "arrays" (their numbers of channels), "size" (of arrays that all had one), "colours"
    warnings  sentences about the training pictures
    remarks   sentences about the pictures encoded last
    unseen    always empty: pictures have no categories
    """

    def __init__(self, images: Images, spec: ImageSpec, seen: Mapping[str, Any], warnings: Sequence[str] = ()) -> None:
        self.images, self.spec, self.seen = images, spec, dict(seen)
        self.warnings = list(warnings)
        self.remarks: list[str] = []
        self.unseen: dict[str, int] = {}

    @classmethod
    def learn(cls, images: Images, pictures: Pictures, rows: np.ndarray | None) -> ImageCodec:
        """See `Images.fit`."""
        way = images._way(pictures)
        decoded = pictures.pixels((way.height, way.width), way.channels, way.frames, way.resize)
        rows = np.arange(len(pictures)) if rows is None else rows
        if decoded.bad:
            rows = np.setdiff1d(rows, [place for place, _ in decoded.bad])
        if not len(rows):
            raise BadInput("there is no picture to learn from: none of the training pictures could be read.")
        scale = _scale(decoded.pixels, rows)
        patches = _patches(decoded.pixels, rows, scale)
        spec = ImageSpec(
            way.channels,
            way.height,
            way.width,
            way.frames,
            scale=tuple((float(mean), float(spread)) for mean, spread in scale),
            patches=tuple(map(tuple, patches.tolist())),
        )
        return cls(images, spec, _seen(pictures.peek()))

    # ------------------------------------------------------------------------------------------------- encode

    def encode(self, pictures: Pictures) -> tuple[Tensor]:
        """The pixels (N, C, H, W), or of clips (N, C, T, H, W), uint8, as they lie decoded: channels last, no copy.

        Raises `BadInput` where a picture cannot be read, and for arrays with other channels than training had.
        """
        pictures = _pictures(pictures)
        self._look(pictures)
        decoded = self._decoded(pictures)
        if decoded.bad:
            how_many, which = told_unreadable(pictures.names, decoded.bad, len(pictures))
            raise BadInput(f"{how_many}: {which}. Take them out, or mend them.")
        return (_channels_first(decoded.pixels),)

    def stream(self, pictures: Pictures, block: int) -> Iterator[tuple[tuple[Tensor], list[str | None]]]:
        """The inputs of so many pictures after so many, and why one is black, where it cannot be read, or None.

        Files are decoded ahead by threads; only a few blocks are in memory.
        """
        pictures = _pictures(pictures)
        self._look(pictures)
        self.remarks = [*pictures.remarks, *self.remarks]
        s = self.spec
        for pixels, reasons in pictures.stream((s.height, s.width), s.channels, s.frames, self.images.resize, block):
            yield (_channels_first(pixels),), reasons

    def _decoded(self, pictures: Pictures) -> Any:
        s = self.spec
        return pictures.pixels((s.height, s.width), s.channels, s.frames, self.images.resize)

    def _look(self, pictures: Pictures) -> None:
        """Refuse what training cannot have meant, and say what is brought into line."""
        self.remarks = []
        heads = pictures.peek(_LOOK)
        new, own, grey = _seen(heads), self.spec.channels, self.spec.channels == 1
        allowed = {own, *self.seen["arrays"]}
        wrong = sorted(set(new["arrays"]) - allowed)
        if wrong and self.images.channels is None:
            example = "np.repeat(X, 3, axis=-1)" if wrong[0] == 1 else "X[..., :3]" if own == 3 else "X.mean(axis=-1)"
            raise BadInput(
                f"the pictures have {_channels(wrong[0])}, training had {_channels(own)}. Convert them, e.g. {example}"
                f", or train with inputs=Images(channels={own}), which converts by itself."
            )
        strange = set(new["colours"]) - set(self.seen["colours"])
        if self.images.channels is None and self.seen["colours"]:
            if grey and "colour" in strange:
                self.remarks.append("pictures have colour, training had grey ones only; they are converted to grey.")
            if not grey and strange == {"grey"} == set(new["colours"]):
                self.remarks.append("pictures are grey, training had colour ones; they are given three equal channels.")
        sizes = Counter((head.height, head.width) for head in heads if head.array)
        other = [size for size in sizes if list(size) != self.seen["size"]] if self.seen["size"] else []
        if other:
            s = self.spec
            self.remarks.append(
                f"pictures have {listed(f'{w} x {h}' for h, w in other)} pixels, training had "
                f"{self.seen['size'][1]} x {self.seen['size'][0]}; they are brought to {s.width} x {s.height} "
                f"({self.images.resize})."
            )
        moving = sum(head.animated for head in heads)
        if moving and self.spec.frames is None:
            self.remarks.append(told_animated("pictures have"))

    # ------------------------------------------------------------------------------------- made-up rows, state

    def sample(self, count: int, seed: int) -> Pictures:
        """Made-up pictures: smooth blobs with the training pictures' means and spreads; nothing of a user's picture."""
        rng = np.random.Generator(np.random.Philox(seed))
        s = self.spec
        count_all = count * (s.frames or 1)
        coarse = rng.standard_normal((count_all, max(2, -(-s.height // 4)), max(2, -(-s.width // 4)), s.channels))
        smooth = _stretched(_stretched(coarse, 1, s.height), 2, s.width)
        mean, spread = (np.array(values) for values in zip(*s.scale, strict=True))
        pixels = np.rint(np.clip(mean + spread * smooth, 0, 255)).astype(np.uint8)
        shape = (count, *(() if s.frames is None else (s.frames,)), s.height, s.width, s.channels)
        return read_pictures(pixels.reshape(shape))[0]

    def description(self) -> list[dict[str, str]]:
        """One dict (name, kind, detail) for people to read."""
        s = self.spec
        mean, spread = zip(*s.scale, strict=True)
        clip = "" if s.frames is None else f", {s.frames} frames"
        return [
            {
                "name": "pixels",
                "kind": f"{_channels(s.channels)}, {s.width} x {s.height}{clip}",
                "detail": f"mean {_rounded(mean)}, spread {_rounded(spread)} of 0 to 255; {self.images.resize}",
            }
        ]

    def state(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """What `restore` needs: values for JSON, and arrays by name."""
        s = self.spec
        side = len(s.patches)
        shape = {"channels": s.channels, "height": s.height, "width": s.width, "frames": s.frames}
        arrays = {
            "scale": np.array(s.scale, dtype=np.float64).reshape(s.channels, 2),
            "patches": np.array(s.patches, dtype=np.float64).reshape(side, side),
        }
        return {"images": asdict(self.images), "spec": shape, "seen": self.seen, "warnings": self.warnings}, arrays

    @classmethod
    def restore(cls, state: Mapping[str, Any], arrays: Mapping[str, Any]) -> ImageCodec:
        """The codec whose `state` this is. Raises `BadInput` where it asks for what no training gives."""
        try:
            images = Images(**state["images"])
            spec = _restored(state["spec"], np.asarray(arrays["scale"]), np.asarray(arrays["patches"]))
            said, size = state["seen"], state["seen"]["size"]
            arrays_seen, colours = [int(n) for n in said["arrays"]], [str(colour) for colour in said["colours"]]
            if size is not None:
                size = [int(side) for side in size]
            if not set(arrays_seen) <= {1, 3, 4} or not set(colours) <= {"grey", "colour"} or len(size or [0, 0]) != 2:
                raise ValueError("what training saw is not in decet's list")
            seen = {"arrays": arrays_seen, "size": size, "colours": colours}
            return cls(images, spec, seen, [str(sentence) for sentence in state["warnings"]])
        except (KeyError, IndexError, TypeError, ValueError, OverflowError) as error:
            raise BadInput(f"the stored form of the pictures does not fit together ({error}).") from error


# ------------------------------------------------------------------------------------------------ what was found


def _pictures(rows: Any) -> Pictures:
    return rows if isinstance(rows, Pictures) else read_pictures(rows)[0]


def _size_of(heads: Sequence[Header]) -> tuple[int, int]:
    """Height and width for pictures with these headers; see `Images.size`."""
    sizes = {(head.height, head.width) for head in heads}
    if len(sizes) == 1 and max(own := next(iter(sizes))) <= OWN:
        return own
    if not heads:
        return SIZES[0], SIZES[0]
    middle = float(np.median([min(head.height, head.width) for head in heads]))
    side = max([size for size in SIZES if size <= middle], default=max(1, int(middle)))
    return side, side


def _seen(heads: Sequence[Header]) -> dict[str, Any]:
    """What there is to compare with later: channels and one size of arrays, colours of files."""
    arrays = [head for head in heads if head.array]
    sizes = {(head.height, head.width) for head in arrays}
    channels = {"L": 1, "RGB": 3, "RGBA": 4}
    return {
        "arrays": sorted({channels[head.mode] for head in arrays}),
        "size": list(next(iter(sizes))) if len(sizes) == 1 else None,
        "colours": sorted({"colour" if head.colour else "grey" for head in heads if not head.array}),
    }


def _lone_classes(y: Any) -> list[str]:
    """Labels that stand once among the answers, where these are one label a picture."""
    if y is None or np.ndim(y) != 1 or any(isinstance(label, (list, tuple, set, frozenset)) for label in y):
        return []
    return [repr(label) for label, count in Counter(np.asarray(y).tolist()).items() if count == 1]


def _channels(count: int) -> str:
    return "1 channel (grey)" if count == 1 else f"{count} channels"


def _rounded(values: Sequence[float]) -> str:
    return ", ".join(f"{value:.1f}" for value in values)


def _channels_first(pixels: np.ndarray) -> Tensor:
    """(N, H, W, C) as (N, C, H, W), (N, T, H, W, C) as (N, C, T, H, W): another view of the same memory."""
    with warnings.catch_warnings():  # a user's array that may not be written to; nothing here writes
        warnings.simplefilter("ignore", UserWarning)
        return torch.from_numpy(pixels).movedim(-1, 1)


def _stretched(values: np.ndarray, axis: int, size: int) -> np.ndarray:
    """Values along an axis drawn out to `size` of them, on straight lines between."""
    place = np.linspace(0, values.shape[axis] - 1, size)
    low = np.minimum(place.astype(np.int64), values.shape[axis] - 2)
    part = (place - low).reshape([-1 if i == axis else 1 for i in range(values.ndim)])
    return values.take(low, axis) * (1 - part) + values.take(low + 1, axis) * part


# ---------------------------------------------------------------------------------------------------- statistics


def _scale(pixels: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """(mean, spread) of each channel (C, 2) over these pictures; a channel without spread has 1."""
    channels, numbers = pixels.shape[-1], int(np.prod(pixels.shape[1:]))
    total, squares = np.zeros(numbers), np.zeros(numbers)
    for part in _parts(rows, max(1, _BLOCK_NUMBERS // numbers)):
        block = pixels[part].reshape(len(part), numbers).astype(np.float32)
        total += block.sum(0)  # whole numbers below 2^24: exact
        squares += np.einsum("nf,nf->f", block, block, dtype=np.float64)
    count = len(rows) * numbers // channels
    mean = total.reshape(-1, channels).sum(0) / count
    spread = np.sqrt(np.maximum(squares.reshape(-1, channels).sum(0) / count - mean**2, 0))
    return np.stack([mean, np.where(spread < 1e-3, 1.0, spread)], 1)


def _patches(pixels: np.ndarray, rows: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Covariance (C 9, C 9) of the 3 x 3 patches, each (C, 3, 3), of scaled pictures spread evenly over the rows.

    Empty (0, 0) where a side is below 3.
    """
    height, width, channels = pixels.shape[-3:]
    if min(height, width) < 3:
        return np.empty((0, 0))
    frames = pixels.shape[1] if pixels.ndim == 5 else 1
    each = frames * (height - 2) * (width - 2)
    count = max(1, min(len(rows), PATCH_PICTURES, MOST_PATCHES // each))
    chosen = rows[np.linspace(0, len(rows) - 1, count).astype(np.int64)]
    size = channels * 9
    total, products = np.zeros(size), np.zeros((size, size))
    mean, spread = scale.T.astype(np.float32)
    for part in _parts(chosen, max(1, _BLOCK_NUMBERS // (each * size))):
        block = (pixels[part].reshape(-1, height, width, channels) - mean) / spread
        windows = np.lib.stride_tricks.sliding_window_view(block, (3, 3), axis=(1, 2))  # (n, H - 2, W - 2, C, 3, 3)
        flat = windows.reshape(-1, size)
        total += flat.sum(0, dtype=np.float64)
        products += flat.T @ flat
    mean_patch = total / (count * each)
    return products / (count * each) - np.outer(mean_patch, mean_patch)


def _parts(rows: np.ndarray, size: int) -> list[np.ndarray]:
    return [rows[i : i + size] for i in range(0, len(rows), size)]


def _restored(said: Mapping[str, Any], scale: np.ndarray, patches: np.ndarray) -> ImageSpec:
    """The spec from a stored state; raises where a size, a scale or a covariance cannot be."""
    channels, height, width, frames = (said[name] for name in ("channels", "height", "width", "frames"))
    for name, value, most in (("height", height, LARGEST), ("width", width, LARGEST), ("frames", frames, MOST_FRAMES)):
        if not (type(value) is int and 1 <= value <= most) and not (name == "frames" and value is None):
            raise ValueError(f"{name} must be 1 to {most:,}, and is {value!r}")
    if type(channels) is not int or channels not in (1, 3):
        raise ValueError(f"channels must be 1 or 3, and is {channels!r}")
    if channels * height * width * (frames or 1) > MOST_NUMBERS:
        raise ValueError(f"a picture of {width:,} x {height:,} and {frames or 1:,} frames is too large")
    if scale.shape != (channels, 2) or not np.isfinite(scale).all() or scale.min() < 0 or scale.max() > 255:
        raise ValueError("mean and spread must be one of each a channel, 0 to 255")
    if (scale[:, 1] <= 0).any():
        raise ValueError("spreads must be above 0")
    if patches.shape not in ((0, 0), (channels * 9, channels * 9)) or not np.isfinite(patches).all():
        raise ValueError(f"patches must be finite, of shape {(channels * 9, channels * 9)}")
    return ImageSpec(
        channels,
        height,
        width,
        frames,
        scale=tuple((float(mean), float(spread)) for mean, spread in scale),
        patches=tuple(map(tuple, patches.astype(np.float64).tolist())),
    )
