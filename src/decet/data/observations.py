"""Observations: how what an environment shows is kept as one array, and read again.

    layout = layout_of(environment.observation_space, "CartPole-v1")
    kept = layout.keep(seen)                       pixels, numbers = layout.apart(kept)

Numbers of whatever parts lie end to end; what is one of several, one-hot. A picture is kept as it is; beside numbers,
as its bytes with the numbers' own after them, so that replay memory keeps one array and each byte of it once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from decet.errors import Unsupported, listed

Array = NDArray[Any]
SMALLEST = 8  # rows of a picture; what is smaller, or of another kind, is a vector
WHITE = 255


class Part(NamedTuple):
    """One part of an observation. path: keys and places that lead to it. shape: of what is shown there.

    sizes, start: of each choice that is kept one-hot, how many there are and the first one's number.
    """

    path: tuple[str | int, ...]
    shape: tuple[int, ...]
    picture: bool = False
    flags: bool = False  # a picture of what is and is not
    sizes: tuple[int, ...] = ()
    start: tuple[int, ...] = ()

    @property
    def width(self) -> int:
        """Numbers that are kept of it."""
        return sum(self.sizes) if self.sizes else int(np.prod(self.shape))

    @property
    def told(self) -> str:
        """What it is, for a sentence."""
        what = "one of " + " x ".join(map(str, self.sizes)) if self.sizes else str(self.shape)
        return f"{self.place} {what}" if self.path else what

    @property
    def place(self) -> str:
        return "/".join(map(str, self.path))


@dataclass(frozen=True)
class Layout:
    """The parts of an observation, at most one of which is a picture."""

    parts: tuple[Part, ...]

    @property
    def picture(self) -> tuple[int, ...]:
        """Rows, columns[, channels]; () where there is none."""
        return next((part.shape for part in self.parts if part.picture), ())

    @property
    def flags(self) -> bool:
        """Whether the picture's pixels say yes or no."""
        return any(part.flags for part in self.parts)

    @property
    def numbers(self) -> int:
        """How many numbers, beside a picture or alone."""
        return sum(part.width for part in self.parts if not part.picture)

    @property
    def shape(self) -> tuple[int, ...]:
        """Of an observation as it is kept."""
        if self.picture and self.numbers:
            return (int(np.prod(self.picture)) + 4 * self.numbers,)
        return self.picture or (self.numbers,)

    @property
    def kind(self) -> Any:
        """The kind of values that are kept."""
        return np.uint8 if self.picture else np.float32

    @property
    def told(self) -> str:
        """What is shown, for a sentence."""
        return ", ".join(part.told for part in self.parts)

    def keep(self, seen: Any) -> Array:
        """What is shown, as it is kept. Raises ValueError for what is not as said; its text goes on after "shows"."""
        found = [_read(part, _reached(part, seen)) for part in self.parts]
        if len(found) == 1:
            return found[0]
        numbers = [values for part, values in zip(self.parts, found, strict=True) if not part.picture]
        flat = np.concatenate(numbers).astype(np.float32)
        pixels = [values for part, values in zip(self.parts, found, strict=True) if part.picture]
        return np.concatenate([pixels[0].reshape(-1), flat.view(np.uint8)]) if pixels else flat

    def apart(self, kept: Array) -> tuple[Array | None, Array]:
        """Kept observations (..., *shape) -> the picture (..., rows, columns[, channels]) and numbers (..., F)."""
        if not self.picture:
            return None, kept
        if not self.numbers:
            return kept, np.zeros((*kept.shape[: kept.ndim - len(self.picture)], 0), np.float32)
        size = int(np.prod(self.picture))
        numbers = np.ascontiguousarray(kept[..., size:]).view(np.float32)
        return kept[..., :size].reshape(*kept.shape[:-1], *self.picture), numbers

    def joined(self, pixels: Array, numbers: Array) -> Array:
        """The reverse of `apart`, where there are both: pictures (..., rows, columns[, channels]), numbers (..., F)."""
        flat = pixels.reshape(*numbers.shape[:-1], -1)
        return np.concatenate([flat, np.ascontiguousarray(numbers, np.float32).view(np.uint8)], -1)


def layout_of(space: spaces.Space[Any], name: str) -> Layout:
    """How observations of a space are kept. Raises Unsupported for several pictures, and for what has no fixed size."""
    found = Layout(tuple(part for part, _ in _parts(space, name)))
    pictures = [part.place for part in found.parts if part.picture]
    if len(pictures) > 1:
        raise Unsupported(
            f"{name} shows {len(pictures)} pictures at once ({listed(pictures)}), and decet reads one. "
            "Lay them on one another as channels, or leave all but one out (gymnasium.wrappers.TransformObservation)."
        )
    if not pictures and not found.numbers:
        raise Unsupported(f"{name} shows nothing: its observation space is {space}.")
    return found


def restored(parts: Sequence[Sequence[Any]]) -> Layout:
    """The layout of these parts, as JSON gives them back."""
    return Layout(tuple(Part._make(tuple(v) if isinstance(v, list) else v for v in part) for part in parts))


def spans(space: spaces.Space[Any], name: str) -> Array:
    """Half of how far apart the bounds of each number are (F,): infinite where there are none, NaN where one-hot."""
    found = [np.zeros(0)]
    for part, own in _parts(space, name):
        if part.picture:
            continue
        wide = isinstance(own, spaces.Box)
        found.append((own.high / 2.0 - own.low / 2.0).reshape(-1) if wide else np.full(part.width, np.nan))
    return np.concatenate(found)


def _parts(space: Any, name: str, path: tuple[str | int, ...] = ()) -> Iterator[tuple[Part, Any]]:
    """The parts of a space, in Gymnasium's order, each with its own space."""
    if isinstance(space, (spaces.Dict, spaces.Tuple)):
        inner = space.spaces.items() if isinstance(space, spaces.Dict) else enumerate(space.spaces)
        for key, own in inner:
            yield from _parts(own, name, (*path, key))
    elif isinstance(space, spaces.Box):
        yield _part_of_box(space, path), space
    elif isinstance(space, spaces.Discrete):
        yield Part(path, (), sizes=(int(space.n),), start=(int(space.start),)), space
    elif isinstance(space, spaces.MultiDiscrete):
        sizes, start = (tuple(map(int, said.reshape(-1))) for said in (space.nvec, space.start))
        yield Part(path, tuple(space.nvec.shape), sizes=sizes, start=start), space
    elif isinstance(space, spaces.MultiBinary):
        yield Part(path, tuple(space.shape)), space
    else:
        raise Unsupported(f"{name} shows a {type(space).__name__}, which has no fixed size.")


def _part_of_box(space: spaces.Box, path: tuple[str | int, ...]) -> Part:
    flags = space.dtype == np.bool_
    large = len(space.shape) in (2, 3) and min(space.shape[:2]) >= SMALLEST
    picture = large and (flags or space.dtype == np.uint8)
    return Part(path, tuple(space.shape), picture, picture and flags)


def _reached(part: Part, seen: Any) -> Any:
    """What is shown at the part's place."""
    for key in part.path:
        inside = isinstance(seen, Mapping) if isinstance(key, str) else isinstance(seen, (Mapping, Sequence))
        try:
            seen = seen[key] if inside else None
        except (KeyError, IndexError):
            seen = None
        if seen is None:
            raise ValueError(f"no part {part.place!r}, which its space has")
    return seen


def _read(part: Part, seen: Any) -> Array:
    """The values of a part: pixels as they are, other numbers in a row."""
    where = f" in {part.place!r}" if part.path else ""
    try:
        values = np.asarray(seen)
    except ValueError as error:  # rows of unequal length
        raise ValueError(f"a {type(seen).__name__}{where} whose rows are not alike") from error
    if values.dtype.kind not in "biuf":
        raise ValueError(f"a {type(seen).__name__}{where} where numbers must be")
    if values.shape != part.shape:
        raise ValueError(f"shape {values.shape}{where}; its space says {part.shape}")
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise ValueError(f"what is not finite{where}, in place {int(np.argmin(np.isfinite(values)))}")
    if part.sizes:
        return _one_hot(part, values.reshape(-1), where)
    return _pixels(part, values, where) if part.picture else values.reshape(-1).astype(np.float32, copy=False)


def _one_hot(part: Part, values: Array, where: str) -> Array:
    sizes, places = np.array(part.sizes), values - np.array(part.start)
    if (places < 0).any() or (places >= sizes).any() or (places % 1).any():
        given, first = (list(row) if len(row) > 1 else row[0] for row in (values.tolist(), part.start))
        raise ValueError(f"{given}{where}, which is none of {' x '.join(map(str, part.sizes))} choices from {first} on")
    row = np.zeros(part.width, np.float32)
    row[(np.cumsum(sizes) - sizes + places).astype(np.int64)] = 1.0
    return row


def _pixels(part: Part, values: Array, where: str) -> Array:
    if part.flags:
        return np.where(values, WHITE, 0).astype(np.uint8)
    if values.dtype.kind == "f" or (values.dtype != np.uint8 and not 0 <= values.min() <= values.max() <= WHITE):
        raise ValueError(f"pixels of {values.dtype}{where}; its space says whole numbers from 0 to {WHITE} (uint8)")
    return values.astype(np.uint8, copy=False)
