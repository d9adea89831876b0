"""Pictures to files, whole or not at all: sheets of many (.png), films of sheets (.gif), one file a picture."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from decet.errors import BadInput, check_range
from decet.training.checkpoint import check_writable, write_whole

Array = NDArray[Any]
GAP, GROUND = 2, 233  # pixels between pictures, and their grey level
SMALL = 64  # pixels of the longer side up to which small pictures are enlarged, where it is not said
MOST = 80_000_000  # pixels of a sheet, which viewers still open
LONGEST = 600.0  # seconds of a film; the format holds no frame above 655


def sheet(pictures: Any, columns: int | None = None, enlarged: int | None = None) -> Image.Image:
    """Pictures side by side, row after row, as many rows as it takes.

    pictures: uint8 (N, H, W) or (N, H, W, 3). columns: None: so many that the sheet is about a square.
    enlarged: how many pixels each becomes, both ways, without smoothing; None: small pictures as it needs to see them.
    """
    shown = _checked(pictures)
    count, high, wide = shown.shape[:3]
    check_range("columns", columns, 1, whole=True)
    check_range("enlarged", enlarged, 1, whole=True)
    times = int(enlarged or max(1, SMALL // max(high, wide)))
    high, wide = times * high, times * wide
    across = min(count, int(columns or math.ceil(math.sqrt(count * high / wide))))
    down = -(-count // across)
    size = (GAP + down * (high + GAP), GAP + across * (wide + GAP))
    if size[0] * size[1] > MOST:
        raise BadInput(
            f"a sheet has at most {MOST:,} pixels. Received: {count:,} pictures, {size[1]:,} x {size[0]:,} pixels. "
            "Show fewer, or say enlarged=1."
        )
    laid = np.full((*size, *shown.shape[3:]), GROUND, np.uint8)
    for place, picture in enumerate(shown):
        top, left = (GAP + part * (side + GAP) for part, side in zip(divmod(place, across), (high, wide), strict=True))
        laid[top : top + high, left : left + wide] = picture.repeat(times, 0).repeat(times, 1)
    return Image.fromarray(laid)


def write_sheet(path: str | Path, pictures: Any, columns: int | None = None, enlarged: int | None = None) -> Path:
    """A sheet as a .png. Raises BadInput where it cannot be written."""
    path = _ready(path, ".png", "a sheet", "the sheet ")
    write_whole(path, _png(sheet(pictures, columns, enlarged)), "the sheet ")
    return path


def write_frames(path: str | Path, sheets: Sequence[Image.Image], seconds: float = 0.1) -> Path:
    """Sheets of one size, one after the other, each for so many seconds, as a .gif that begins again at its end.

    What stands still for a while is given several times. Colours are brought to 256 in each frame; greys stay exact.
    Raises BadInput where it cannot be written.
    """
    path = _ready(path, ".gif", "a film", "the film ")
    check_range("seconds", seconds, 0.02, 10.0)
    sizes = sorted({frame.size for frame in sheets})
    if len(sizes) != 1:
        said = ", ".join(f"{wide} x {high}" for wide, high in sizes) or "none"
        raise BadInput(f"a film must have sheets, all of one size. Received: {said}.")
    if len(sheets) * seconds > LONGEST:
        raise BadInput(
            f"a film lasts at most {LONGEST:g} seconds. Received: {len(sheets):,} sheets for {seconds:g} seconds each. "
            "Show fewer."
        )
    first, *others = (frame if frame.mode == "L" else frame.convert("RGB").quantize(256) for frame in sheets)
    held = io.BytesIO()
    first.save(held, "GIF", save_all=True, append_images=others, duration=round(1000 * seconds), loop=0)
    write_whole(path, held.getvalue(), "the film ")
    return path


def write_pictures(folder: str | Path, pictures: Any, names: Sequence[str]) -> list[Path]:
    """Each picture, as it is, as a .png of its own in `folder`, by its name, as "7-0001.png"; gives their paths.

    pictures: uint8 (N, H, W) or (N, H, W, 3). A file of the same name is replaced.
    Raises BadInput for names that are none, and where the folder cannot be written.
    """
    folder, shown = Path(folder), _checked(pictures)
    if len(names) != len(shown):
        raise BadInput(f"each picture must have a name. Received: {len(shown)} pictures, {len(names)} names.")
    seen = set[str]()
    for name in names:
        if Path(name).name != name or Path(name).suffix.lower() != ".png" or "\0" in name:
            raise BadInput(f"a picture's name must be a .png without a folder, as '0001.png'. Received: {name!r}.")
        if name in seen:
            raise BadInput(f"each picture must have a name of its own. Received: {name!r} twice.")
        seen.add(name)
    paths = [folder / name for name in names]
    check_writable(paths[0], "the picture ")
    for path, picture in zip(paths, shown, strict=True):
        write_whole(path, _png(Image.fromarray(np.ascontiguousarray(picture))), "the picture ")
    return paths


def _checked(pictures: Any) -> Array:
    found = np.asarray(pictures)
    if found.ndim == 4 and found.shape[3] == 1:
        found = found[..., 0]
    fits = found.ndim == 3 or (found.ndim == 4 and found.shape[3] == 3)
    if not fits or found.dtype != np.uint8 or not found.size:
        raise BadInput(
            "pictures must be uint8 of shape (N, H, W) or (N, H, W, 3), at least one. "
            f"Received: shape {found.shape}, {found.dtype}."
        )
    return found


def _ready(path: str | Path, suffix: str, kind: str, what: str) -> Path:
    path = Path(path)
    if path.suffix.lower() != suffix:
        raise BadInput(f"{kind} is a {suffix}. Received: {str(path)!r}.")
    check_writable(path, what)
    return path


def _png(picture: Image.Image) -> bytes:
    held = io.BytesIO()
    picture.save(held, "PNG")
    return held.getvalue()
