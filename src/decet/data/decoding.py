"""One picture, from its bytes to pixels of one size: common formats, orientations and modes; or the reason why not.

Only formats that are pictures and nothing else are opened (no EPS, whose reader runs a program), a picture's size is
looked at before it is decoded, and one that is cut short counts as unreadable: no half pictures.
"""

from __future__ import annotations

import io
import re
import struct
import threading
import zlib
from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from PIL import Image, JpegImagePlugin, UnidentifiedImageError

SUFFIXES = (
    *(".jpg", ".jpeg", ".jfif", ".png", ".webp", ".gif", ".bmp"),
    *(".tif", ".tiff", ".pgm", ".ppm", ".pbm", ".pnm"),
)
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM")
RESIZES = ("crop", "stretch", "pad")
MOST_PIXELS = 89_000_000  # of one picture; Pillow's own limit, from which it warns, is 89.5 million
LARGE_PIXELS = 20_000_000  # pictures from this size on are decoded two at a time, whatever the threads
MOST_FRAMES = 10_000  # of one animated file

_DAMAGED = (
    *(OSError, SyntaxError, ValueError, TypeError, EOFError, LookupError, ArithmeticError, AttributeError),
    *(RuntimeError, MemoryError, struct.error, zlib.error),
)  # what Pillow raises at files that are not as they should be
_ORIENTATION = 0x0112  # the EXIF tag that says how the camera was held
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_ON_SIDE = (5, 6, 7, 8)  # turns that swap height and width
_STARTS = (b"\xff\xd8\xff", b"\x89PNG", b"GIF8", b"RIFF", b"II*\0", b"MM\0*")
_START = 512  # bytes by which a file that is no picture is judged
_GREY = ("1", "L", "LA", "La", "I", "F")
_ANIMATED = ("GIF", "WEBP", "PNG", "TIFF")
_large = threading.BoundedSemaphore(2)


class Unreadable(Exception):
    """Why a picture cannot be read, in a few words; it is counted and told by whoever reads many."""


class Way(NamedTuple):
    """How every picture is brought to one shape."""

    height: int
    width: int
    channels: int  # 1 (grey) or 3
    frames: int | None = None  # of a clip; None = a picture
    resize: str = "crop"

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one picture (H, W, C) or clip (T, H, W, C)."""
        return (*(() if self.frames is None else (self.frames,)), self.height, self.width, self.channels)


class Header(NamedTuple):
    """What a picture says of itself before it is decoded."""

    height: int
    width: int
    mode: str  # Pillow's; of arrays "L", "RGB" or "RGBA"
    colour: bool
    animated: bool = False
    array: bool = False  # given as an array, not as a file


class Picture(NamedTuple):
    """A decoded picture."""

    pixels: np.ndarray  # uint8, of the shape that was asked
    height: int  # as it was
    width: int
    animated: bool  # it has more than one frame


def decode(raw: Any, way: Way) -> Picture:
    """The pixels of one picture. raw: bytes of a file, a uint8 array (H, W, C) or (T, H, W, C), a Pillow image, or a
    list of these (the frames of a clip). Raises `Unreadable`."""
    if isinstance(raw, list):
        return _from_list(raw, way)
    if isinstance(raw, np.ndarray):
        return _from_array(raw, way)
    image: Image.Image = _opened(io.BytesIO(raw)) if isinstance(raw, bytes) else raw
    height, width = _upright(image)
    pause = _large if height * width > LARGE_PIXELS else nullcontext()
    with pause:
        try:
            animated = _is_animated(image)
            if image is raw and not animated:
                image = raw.copy()  # the caller's own stays as it is
            if way.frames is None:
                pixels = _pixels(image, way)
            else:
                pixels = np.stack([_pixels(frame, way) for frame in _frames(image, way.frames)])
        except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
            raise Unreadable(_told_bomb(error)) from error
        except _DAMAGED as error:
            raise Unreadable(_told_damage(error)) from error
    return Picture(pixels, height, width, animated)


def header(raw: Any) -> Header:
    """Size and mode without decoding. raw: as for `decode`, or an open file. Raises `Unreadable`."""
    if isinstance(raw, list):
        return header(raw[0])._replace(animated=len(raw) > 1)
    if isinstance(raw, np.ndarray):
        height, width, channels = raw.shape[-3:]
        mode = {1: "L", 3: "RGB", 4: "RGBA"}[channels]
        return Header(height, width, mode, channels > 1, animated=raw.ndim == 4 and len(raw) > 1, array=True)
    image = raw if isinstance(raw, Image.Image) else _opened(io.BytesIO(raw) if isinstance(raw, bytes) else raw)
    try:
        return Header(*_upright(image), image.mode, _is_colour(image), _is_animated(image))
    except _DAMAGED as error:
        raise Unreadable(_told_damage(error)) from error


def evenly(total: int, count: int) -> list[int]:
    """`count` positions of `total`, spread evenly: the middles of equal parts; where there are fewer, some twice."""
    return [int((i + 0.5) * total / count) for i in range(count)]


# ------------------------------------------------------------------------------------------------------- opening


def _opened(file: BinaryIO) -> Image.Image:
    """The picture's header, read and its size checked."""
    try:
        image = Image.open(file, formats=FORMATS)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise Unreadable(_told_bomb(error)) from error
    except UnidentifiedImageError as error:
        raise Unreadable(_what_else(file)) from error
    except _DAMAGED as error:
        raise Unreadable(_told_damage(error)) from error
    if image.width * image.height > MOST_PIXELS:
        raise Unreadable(_too_many(image.width * image.height))
    return image


def _too_many(pixels: int) -> str:
    return f"{pixels / 1e6:,.0f} megapixels, at most {MOST_PIXELS / 1e6:.0f} are read"


def _told_bomb(error: Exception | Warning) -> str:
    found = re.search(r"\((\d+) pixels\)", str(error))
    return _too_many(int(found[1])) if found else f"more than {MOST_PIXELS / 1e6:.0f} megapixels"


def _told_damage(error: Exception) -> str:
    text = str(error).strip() or type(error).__name__
    return "truncated" if "truncated" in text.lower() else f"damaged: {text}"


def _what_else(file: BinaryIO) -> str:
    """What a file that is no picture is instead."""
    file.seek(0)
    start = file.read(_START)
    if not start:
        return "empty file"
    if start.startswith(_STARTS):
        return "truncated or damaged"
    try:
        text = start.decode("utf-8")
    except UnicodeDecodeError as error:
        cut = len(start) == _START and error.start > _START - 4  # in the middle of a character
        text = start[: error.start].decode("utf-8") if cut else "\0"
    return "no picture: text" if all(c.isprintable() or c in "\r\n\t\ufeff" for c in text) else "no picture"


def _orientation(image: Image.Image) -> int:
    """How the camera was held (EXIF), 1 = upright; what cannot be read of it says nothing."""
    if image.format == "JPEG" and "exif" not in image.info and "xmp" not in image.info:
        return 1  # the usual case, at a tenth of the time
    try:
        value = image.getexif().get(_ORIENTATION, 1)
    except _DAMAGED:
        return 1
    return value if isinstance(value, int) and value in _TURNS else 1


def _upright(image: Image.Image) -> tuple[int, int]:
    """Height and width as it is to be seen. (Of a TIFF Pillow gives them so by itself.)"""
    size = image.height, image.width
    return size[::-1] if image.format != "TIFF" and _orientation(image) in _ON_SIDE else size


def _is_animated(image: Image.Image) -> bool:
    return image.format in _ANIMATED and bool(getattr(image, "is_animated", False))


def _is_colour(image: Image.Image) -> bool:
    if image.mode in ("P", "PA"):
        palette = np.asarray(image.getpalette() or [0, 0, 0]).reshape(-1, 3)
        return bool((palette != palette[:, :1]).any())
    return image.mode not in _GREY and not image.mode.startswith("I;16")


# ------------------------------------------------------------------------------------------------------ decoding


def _pixels(image: Image.Image, way: Way) -> np.ndarray:
    """One frame, uint8 (H, W, C): decoded, brought to grey or RGB, resized, turned upright."""
    height, width = way.height, way.width
    if isinstance(image, JpegImagePlugin.JpegImageFile):  # decoded at 1/2, 1/4 or 1/8 where it is to be small anyway
        on_side = _orientation(image) in _ON_SIDE
        scaled = _scaled(image.size, (height, width) if on_side else (width, height), way.resize)
        if image.width >= 4 * scaled[0]:
            image.draft(None, (2 * scaled[0], 2 * scaled[1]))
    image.load()
    turn = _orientation(image)  # after load(): some readers turn by themselves, and then it says so
    image = _sized(_plain(image, way), (height, width) if turn in _ON_SIDE else (width, height), way.resize)
    if turn != 1:
        image = image.transpose(_TURNS[turn])
    return np.asarray(image).reshape(height, width, way.channels)


def _plain(image: Image.Image, way: Way) -> Image.Image:
    """8 bits of grey or RGB; what is transparent lies on white."""
    mode = "L" if way.channels == 1 else "RGB"
    if image.mode == "F" or image.mode.startswith("I"):
        image = Image.fromarray(_eight_bits(np.asarray(image)))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        ground = Image.new("RGBA", image.size, "white")
        ground.alpha_composite(image)
        image = ground
    return image if image.mode == mode else image.convert(mode)


def _eight_bits(values: np.ndarray) -> np.ndarray:
    """Pixels of 16 or more bits as 0 to 255."""
    low, high = float(values.min()), float(values.max())
    if values.dtype.kind == "f":
        if not 0 <= low <= high <= 255:  # NaN too
            raise Unreadable(f"values from {low:g} to {high:g}, floats of 0 to 1 or 0 to 255 are read")
        return np.rint(values * (255 if high <= 1 else 1)).astype(np.uint8)
    if not 0 <= low <= high <= 65_535:
        raise Unreadable(f"values from {low:,.0f} to {high:,.0f}, at most 16 bits are read")
    return ((values.astype(np.uint32) * 255 + 32_767) // 65_535).astype(np.uint8)


def _scaled(size: tuple[int, int], wanted: tuple[int, int], resize: str) -> tuple[int, int]:
    """Width and height to which the whole picture is scaled, before anything is cut off or added."""
    if resize == "stretch":
        return wanted
    ratios = wanted[0] / size[0], wanted[1] / size[1]
    ratio = max(ratios) if resize == "crop" else min(ratios)
    return max(1, round(size[0] * ratio)), max(1, round(size[1] * ratio))


def _sized(image: Image.Image, wanted: tuple[int, int], resize: str) -> Image.Image:
    """The picture at `wanted` (width, height): its centre cut out, stretched, or with black bars."""
    if image.size == wanted:
        return image
    box = None
    if resize == "crop":
        ratio = max(wanted[0] / image.width, wanted[1] / image.height)
        kept = min(image.width, wanted[0] / ratio), min(image.height, wanted[1] / ratio)
        left, top = (image.width - kept[0]) / 2, (image.height - kept[1]) / 2
        box = (left, top, left + kept[0], top + kept[1])
    inner = wanted if resize != "pad" else _scaled(image.size, wanted, resize)
    image = image.resize(inner, Image.Resampling.BICUBIC, box=box, reducing_gap=3.0)
    if inner == wanted:
        return image
    ground = Image.new(image.mode, wanted)
    ground.paste(image, ((wanted[0] - inner[0]) // 2, (wanted[1] - inner[1]) // 2))
    return ground


def _frames(image: Image.Image, count: int) -> Sequence[Image.Image]:
    """`count` frames, spread evenly; a still picture is its own every frame."""
    total = int(getattr(image, "n_frames", 1)) if _is_animated(image) else 1
    if total > MOST_FRAMES:
        raise Unreadable(f"{total:,} frames, at most {MOST_FRAMES:,} are read")
    found = {}
    for place in sorted(set(evenly(total, count))):
        if total > 1:
            image.seek(place)
        image.load()
        found[place] = image.copy() if total > 1 else image
    if total > 1:
        image.seek(0)
    return [found[place] for place in evenly(total, count)]


def _from_array(array: np.ndarray, way: Way) -> Picture:
    """array: uint8 (H, W, C), or a clip (T, H, W, C)."""
    height, width = array.shape[-3:-1]
    clip = array if array.ndim == 4 else array[None]
    wanted = [0] if way.frames is None else evenly(len(clip), way.frames)
    frames = [_array_pixels(clip[place], way) for place in wanted]
    return Picture(frames[0] if way.frames is None else np.stack(frames), height, width, len(clip) > 1)


def _array_pixels(array: np.ndarray, way: Way) -> np.ndarray:
    if array.shape == (way.height, way.width, way.channels):
        return array
    image = Image.fromarray(np.ascontiguousarray(array[..., 0] if array.shape[-1] == 1 else array))
    return _pixels(image, way)


def _from_list(frames: list[Any], way: Way) -> Picture:
    """A clip whose frames lie apart, in order."""
    if way.frames is None:
        return decode(frames[0], way)._replace(animated=len(frames) > 1)
    still = way._replace(frames=None)
    wanted = [decode(frames[place], still) for place in evenly(len(frames), way.frames)]
    return Picture(np.stack([frame.pixels for frame in wanted]), wanted[0].height, wanted[0].width, True)
