"""Pictures: read from anything they come in, decoded when asked, and not more of them in memory than fit.

`read_pictures` takes folders, zip files, tables of paths, IDX files, arrays and lists, and gives `Pictures`, a
sequence that knows where its pictures are. `Pictures.pixels` decodes them into one array of bytes, in memory or, where
that would fill it, in a file of the user's cache; `Pictures.stream` decodes block by block, ahead of whoever computes.
Pictures are counted from 0 in every message.
"""

from __future__ import annotations

import hashlib
import math
import os
import re
import shutil
import tempfile
import warnings
import zipfile
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from decet.data import datasets
from decet.data.decoding import Header, Unreadable, Way, decode, header
from decet.data.origins import Origin, origin_of
from decet.errors import BadInput, listed

Progress = Callable[[int, int], None]  # pictures so far, pictures in all
SHARE = 0.25  # of the free memory, which decoded pictures may take; more goes to a file
FEW = 0.05  # share of pictures that may be unreadable in training
PEEK = 1_000  # headers looked at to find sizes and colours
_TASK = 16  # pictures that a thread takes at a time
_TINY = 128 * 128  # pixels of pictures below which threads would only wait for one another
_LAYOUT = 1  # of the files in the cache
PIXELS, REST = "pixels.npy", "rest.npz"  # and their names


def read_pictures(X: Any, y: Any = None, *, part: str | None = None, clips: bool = False) -> tuple[Pictures, Any, str]:
    """Pictures, their answers (None where there are none), and the name of the answers' column ("" where it has none).

    X: a folder or .zip of class folders (or of pictures alone: no answers), a table of paths (.csv, .tsv) whose column
        y names the answers, an IDX file, .npy, .npz, a picture's file; an array or tensor (N, H, W), (N, H, W, C) or
        (N, C, H, W), clips (N, T, H, W, C); a list of arrays, Pillow images or paths.
    y: the answers, or the table's column(s); None: what X itself tells.
    part: of a folder with official parts: "train" (None too), "validation", "test" or "all".
    clips: each innermost folder is one clip, its pictures the frames.

    Nothing is decoded yet. Raises `BadInput` where X is nothing of this, or holds no picture.
    """
    if isinstance(X, Pictures):
        return X, y, ""
    found = origin_of(X, y, part, clips)
    return Pictures(found.origin, remarks=found.remarks), found.answers, found.target


@dataclass
class Decoded:
    """Pixels of all pictures of a sequence, those that could not be read black.

    pixels    uint8 (N, H, W, C), or clips (N, T, H, W, C)
    bad       (which, why) of each that could not be read
    sizes     (N, 2) height and width as they were; 0 where unreadable
    animated  how many have more than one frame
    """

    pixels: np.ndarray
    bad: list[tuple[int, str]]
    sizes: np.ndarray
    animated: int


@dataclass
class _Store:
    """Decoded pictures of an origin, one way: `where` (count,) is each one's place in `pixels`, -1 = not decoded."""

    where: np.ndarray
    pixels: np.ndarray
    sizes: np.ndarray
    animated: np.ndarray
    bad: dict[int, str]
    path: Path | None = None

    @property
    def rows(self) -> np.ndarray:
        """Which rows of the origin have been looked at, readable or not."""
        return np.union1d(np.flatnonzero(self.where >= 0), np.array(list(self.bad), dtype=np.int64))

    def covers(self, rows: np.ndarray) -> bool:
        gaps = rows[self.where[rows] < 0]
        return all(int(row) in self.bad for row in gaps)


class Pictures:
    """A sequence of pictures. Subsets share what has been decoded.

    shape    (n,)
    names    what messages call each: the file's name, or "picture 17"
    files    each one's file; None where they are arrays
    remarks  sentences about what was found on reading
    """

    def __init__(self, origin: Origin, rows: np.ndarray | None = None, remarks: Sequence[str] = ()) -> None:
        self._origin = origin
        self._rows = np.arange(origin.count) if rows is None else rows
        self.remarks = list(remarks)
        self.settled: dict[Any, Way] = {}  # how they are brought to one shape, by settings

    @property
    def shape(self) -> tuple[int]:
        return (len(self._rows),)

    @property
    def names(self) -> list[str]:
        return [self._origin.name(row) for row in self._rows.tolist()]

    @property
    def files(self) -> list[str] | None:
        return self.names if self._origin.in_files else None

    @property
    def has_decoded(self) -> bool:
        """Whether all of them are decoded, some way."""
        return any(store.covers(self._rows) for _, store in self._origin.stores)

    def __len__(self) -> int:
        return len(self._rows)

    def __repr__(self) -> str:
        return f"Pictures({len(self):,})"

    def __getitem__(self, key: Any) -> Any:
        """One picture at its own size, uint8 (H, W, C), by a number; else a subset, as an array is indexed."""
        if isinstance(key, tuple) and len(key) == 2 and key[1] is Ellipsis:  # as scikit-learn takes rows
            key = key[0]
        if not isinstance(key, (int, np.integer)):
            return self.take(np.arange(len(self))[key])
        row = int(self._rows[key])
        try:
            with self._origin.reading() as raw:
                told = header(picture := raw(row))
                return decode(picture, Way(told.height, told.width, 3 if told.colour else 1)).pixels
        except Unreadable as error:
            raise BadInput(f"{self._origin.name(row)} could not be read ({error}).") from error

    def take(self, rows: Any) -> Pictures:
        """The pictures at these positions (or where a mask is True), in that order."""
        taken = Pictures(self._origin, self._rows[np.asarray(rows)], self.remarks)
        taken.settled = dict(self.settled)
        return taken

    def peek(self, limit: int = PEEK) -> list[Header]:
        """The headers of so many pictures, spread evenly; unreadable ones are passed over."""
        found = []
        places = np.unique(np.linspace(0, len(self) - 1, min(limit, len(self))).astype(np.int64))
        with self._origin.reading(headers=True) as raw:
            for row in self._rows[places].tolist():
                try:
                    found.append(header(raw(row)))
                except Unreadable:
                    continue
        return found

    # ------------------------------------------------------------------------------------------------- decoding

    def pixels(
        self,
        size: tuple[int, int],
        channels: int,
        frames: int | None = None,
        resize: str = "crop",
        progress: Progress | None = None,
    ) -> Decoded:
        """All pictures decoded to (H, W) = `size`, once: a second call, or one of a subset, costs nothing."""
        return self._view(self._store(Way(*size, channels, frames, resize), progress))

    def readable(
        self,
        size: tuple[int, int],
        channels: int,
        frames: int | None = None,
        resize: str = "crop",
        progress: Progress | None = None,
    ) -> tuple[Pictures, np.ndarray]:
        """The pictures that can be read, all decoded, and their positions; the others are told in `remarks`.

        Raises `BadInput` where more than a few (5 %) cannot be read.
        """
        store = self._store(Way(*size, channels, frames, resize), progress, drop=True)
        bad = [(i, store.bad[row]) for i, row in enumerate(self._rows.tolist()) if row in store.bad]
        kept = np.delete(np.arange(len(self)), [i for i, _ in bad])
        found = self.take(kept)
        if bad:
            how_many, which = told_unreadable(self.names, bad, len(self))
            if len(bad) > FEW * len(self):
                raise BadInput(f"{how_many}: {which}. That is more than {FEW:.0%}: take them out, or mend them.")
            found.remarks.append(f"{how_many} and {'was' if len(bad) == 1 else 'were'} left out: {which}.")
        moving = int(store.animated[store.where[found._rows]].sum())
        if moving and frames is None:
            has = "1 picture has" if moving == 1 else f"{moving:,} pictures have"
            found.remarks.append(told_animated(has))
        if store.path is not None:
            found.remarks.append(
                f"decoded, the pictures take {store.pixels.nbytes / 1e9:,.1f} GB, more than a quarter of the free "
                f"memory; they are kept in {str(store.path)!r}, which may be deleted afterwards."
            )
        return found, kept

    def stream(
        self,
        size: tuple[int, int],
        channels: int,
        frames: int | None = None,
        resize: str = "crop",
        block: int = 1_024,
    ) -> Iterator[tuple[np.ndarray, list[str | None]]]:
        """Blocks of pixels uint8 (b, H, W, C) with each one's reason why it is black, or None; not remembered.

        The next block is decoded by threads while the caller works on one: at most three are in memory.
        """
        way = Way(*size, channels, frames, resize)
        begins = range(0, len(self), block)
        if (known := self._known(way)) is not None:
            for begin in begins:
                decoded = self.take(np.arange(begin, min(begin + block, len(self))))._view(known)
                told = dict(decoded.bad)
                yield decoded.pixels, [told.get(i) for i in range(len(decoded.pixels))]
            return
        ahead: deque[tuple[np.ndarray, list[Future[dict[int, str]]]]] = deque()
        pool = ThreadPoolExecutor(self._threads())
        try:
            for begin in [*begins, len(self), len(self)]:
                if begin < len(self):
                    rows = self._rows[begin : begin + block]
                    out = np.zeros((len(rows), *way.shape), dtype=np.uint8)
                    room = _Room(out, np.zeros((len(rows), 2), dtype=np.int32), np.zeros(len(rows), dtype=bool))
                    ahead.append((out, self._submitted(pool, rows, way, room, np.arange(len(rows)))))
                    del room
                if len(ahead) == 2 or (begin == len(self) and ahead):
                    out, tasks = ahead.popleft()
                    told = {place: reason for task in tasks for place, reason in task.result().items()}
                    del tasks
                    yield out, [told.get(i) for i in range(len(out))]
                    del out
        finally:
            pool.shutdown(wait=False, cancel_futures=True)

    def copies(self) -> np.ndarray:
        """A group id a picture (n,), equal for equal pixels as they were decoded last; unreadable ones differ."""
        stores = [s for _, s in self._origin.stores if s.covers(self._rows)]
        store = stores[-1] if stores else self._store(Way(32, 32, 3), None)
        seen: dict[Any, int] = {}
        groups = np.empty(len(self), dtype=np.int64)
        for i, (row, place) in enumerate(zip(self._rows.tolist(), store.where[self._rows].tolist(), strict=True)):
            unreadable = place < 0 or row in store.bad
            key = row if unreadable else hashlib.blake2b(store.pixels[place].data, digest_size=16).digest()
            groups[i] = seen.setdefault(key, len(seen))
        return groups

    # --------------------------------------------------------------------------------------------------- stores

    def _view(self, store: _Store) -> Decoded:
        """What the store holds of these rows: the array itself, a slice of it, or a copy."""
        where = store.where[self._rows]
        bad = (
            [(i, store.bad[row]) for i, row in enumerate(self._rows.tolist()) if row in store.bad] if store.bad else []
        )
        if not _is_scattered(where):
            held = slice(int(where[0]), int(where[-1]) + 1) if len(where) else slice(0)
            return Decoded(store.pixels[held], bad, store.sizes[held], int(store.animated[held].sum()))
        pixels, sizes = store.pixels[where], store.sizes[where]
        pixels[where < 0], sizes[where < 0] = 0, 0
        return Decoded(pixels, bad, sizes, int(store.animated[where[where >= 0]].sum()))

    def _known(self, way: Way) -> _Store | None:
        return next((s for s in self._stores(way) if s.covers(self._rows)), None)

    def _stores(self, way: Way) -> list[_Store]:
        return [store for other, store in self._origin.stores if other == way]

    def _store(self, way: Way, progress: Progress | None, drop: bool = False) -> _Store:
        """Where these pictures are decoded; they are decoded first if they are not. `drop`: the readable ones alone.

        Part of a store in a file gets a file of its own, where a copy in memory would be too large.
        """
        large = len(self) * math.prod(way.shape) > SHARE * free_memory()
        for known in self._stores(way):
            would_copy = large and known.path is not None and _is_scattered(known.where[self._rows])
            if known.covers(self._rows) and not would_copy:
                return known
        rows = np.unique(self._rows)
        if (whole := self._origin.whole(way, copy=not large)) is not None:
            count = len(whole)
            sizes = np.broadcast_to(np.array([way.height, way.width], dtype=np.int32), (count, 2))
            store = _Store(np.arange(count), whole, sizes, np.zeros(count, dtype=bool), {})
        elif large:
            store = self._in_file(rows, way, progress, drop)
        else:
            store = self._filled(rows, np.zeros((len(rows), *way.shape), dtype=np.uint8), way, progress, drop)
        kept = [(w, s) for w, s in self._origin.stores if w != way or s.path is not None or not store.covers(s.rows)]
        self._origin.stores[:] = [*kept, (way, store)]
        return store

    def _filled(self, rows: np.ndarray, out: np.ndarray, way: Way, progress: Progress | None, drop: bool) -> _Store:
        """Decode these rows of the origin into `out`; what an earlier store has of them is copied."""
        room = _Room(out, np.zeros((len(rows), 2), dtype=np.int32), np.zeros(len(rows), dtype=bool))
        bad: dict[int, str] = {}  # by place in rows
        new = np.arange(len(rows))
        for before in self._stores(way):
            bad |= {i: before.bad[int(rows[i])] for i in new.tolist() if int(rows[i]) in before.bad}
            old = new[before.where[rows[new]] >= 0]
            for part in _blocks(old):
                held = before.where[rows[part]]
                room.pixels[part], room.sizes[part] = before.pixels[held], before.sizes[held]
                room.animated[part] = before.animated[held]
            new = np.setdiff1d(new, [*old.tolist(), *bad])
        with warnings.catch_warnings(), ThreadPoolExecutor(self._threads()) as pool:
            warnings.filterwarnings("ignore", module="PIL")  # what matters of them becomes a reason
            tasks = self._submitted(pool, rows, way, room, new)
            try:
                for number, task in enumerate(tasks, 1):
                    bad |= task.result()
                    if progress is not None:
                        progress(min(len(new), number * _TASK), len(new))
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
        kept = np.arange(len(rows))
        if drop and bad:  # moved together in place: a copy would take the same memory again
            kept = np.setdiff1d(kept, list(bad))
            for to, part in zip(_blocks(np.arange(len(kept))), _blocks(kept), strict=True):
                room.pixels[to] = room.pixels[part]
        where = np.full(self._origin.count, -1)
        where[rows[kept]] = np.arange(len(kept))
        reasons = {int(rows[i]): bad[i] for i in sorted(bad)}
        return _Store(where, room.pixels[: len(kept)], room.sizes[kept], room.animated[kept], reasons)

    def _submitted(
        self, pool: ThreadPoolExecutor, rows: np.ndarray, way: Way, room: _Room, places: np.ndarray
    ) -> list[Future[dict[int, str]]]:
        """Tasks that decode rows[places] into the same places of the room; each gives reasons by place."""

        def work(part: list[int]) -> dict[int, str]:
            bad = {}
            with self._origin.reading() as raw:
                for place in part:
                    try:
                        picture = decode(raw(int(rows[place])), way)
                    except Unreadable as error:
                        bad[place] = str(error)
                    else:
                        room.pixels[place] = picture.pixels
                        room.sizes[place] = picture.height, picture.width
                        room.animated[place] = picture.animated
            return bad

        return [pool.submit(work, places[i : i + _TASK].tolist()) for i in range(0, len(places), _TASK)]

    def _threads(self) -> int:
        """One where pictures are tiny: most of the work is then Python's own, for which threads would only queue."""
        areas = [told.height * told.width for told in self.peek(5)]
        return 1 if areas and sorted(areas)[len(areas) // 2] < _TINY else os.cpu_count() or 1

    def _in_file(self, rows: np.ndarray, way: Way, progress: Progress | None, drop: bool) -> _Store:
        """As `_filled`, in a file of the user's cache; one that is there from another time is taken."""
        digest = hashlib.sha256(repr((_LAYOUT, way, drop, len(rows))).encode())
        for row in rows.tolist():
            digest.update(f"{self._origin.stamp(row)}\n".encode())
        folder = datasets._cache() / "pictures" / digest.hexdigest()[:32]
        if (store := self._stored(folder, rows)) is not None:
            return store
        shape = (len(rows), *way.shape)
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            _check_disk(folder.parent, math.prod(shape))
            beside = Path(tempfile.mkdtemp(dir=folder.parent, prefix="."))
        except OSError as error:
            raise BadInput(f"the cache {str(folder.parent)!r} cannot be written: {error}.") from error
        try:
            out = np.lib.format.open_memmap(beside / PIXELS, mode="w+", dtype=np.uint8, shape=shape)
            made = self._filled(rows, out, way, progress, drop)
            out.flush()
            bad = np.array(list(made.bad), dtype=np.int64)
            np.savez(
                beside / REST,
                where=made.where[rows],
                sizes=made.sizes,
                animated=made.animated,
                bad=np.searchsorted(rows, bad),
                reasons=np.array(list(made.bad.values()), dtype=np.str_),
            )
            del out, made
            shutil.rmtree(folder, ignore_errors=True)  # nothing, or what could not be read
            os.rename(beside, folder)
        except BaseException:
            shutil.rmtree(beside, ignore_errors=True)
            raise
        store = self._stored(folder, rows)
        if store is None:
            raise BadInput(f"the decoded pictures in {str(folder)!r} cannot be read again. Delete the folder.")
        return store

    def _stored(self, folder: Path, rows: np.ndarray) -> _Store | None:
        """What `_in_file` wrote; None where there is nothing, or it is damaged."""
        try:
            with np.load(folder / REST, allow_pickle=False) as rest:
                held = {name: rest[name] for name in ("where", "sizes", "animated", "bad", "reasons")}
            pixels = np.load(folder / PIXELS, mmap_mode="c", allow_pickle=False)
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
            return None
        where = np.full(self._origin.count, -1)
        where[rows] = held["where"]
        reasons = {int(row): str(why) for row, why in zip(rows[held["bad"]], held["reasons"], strict=True)}
        return _Store(where, pixels[: len(held["sizes"])], held["sizes"], held["animated"], reasons, folder)


@dataclass
class _Room:
    """Where threads put what they decode."""

    pixels: np.ndarray
    sizes: np.ndarray
    animated: np.ndarray


def told_unreadable(names: Sequence[str], bad: Sequence[tuple[int, str]], count: int) -> tuple[str, str]:
    """`3 of 1,200 pictures could not be read` and `a.png (truncated), ...`."""
    return (
        f"{len(bad):,} of {count:,} pictures could not be read",
        listed(f"{names[i]} ({reason})" for i, reason in bad),
    )


def told_animated(some: str) -> str:
    """That of what moves the first frame alone was used."""
    return f"{some} more than one frame; the first was used. Say frames=... (--inputs.frames) to read clips."


def free_memory() -> int:
    """Bytes that are free, within what a container allows; where the system does not say, 4 GB."""
    found = []
    for path, pattern in (("/proc/meminfo", r"MemAvailable:\s+(\d+) kB"), ("/sys/fs/cgroup/memory.max", r"^(\d+)$")):
        try:
            if match := re.search(pattern, Path(path).read_text()):
                found.append(int(match[1]) * (1_024 if "kB" in pattern else 1))
        except OSError:
            continue
    return min(found, default=4_000_000_000)


def _check_disk(folder: Path, size: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < size:
        raise BadInput(
            f"decoded, the pictures take {size / 1e9:,.1f} GB, more than fits in memory, and {str(folder)!r} has "
            f"{free / 1e9:,.1f} GB free. Set DECET_CACHE to a folder with more room, or ask for smaller pictures, as "
            "inputs=Images(size=64)."
        )


def _is_scattered(where: np.ndarray) -> bool:
    """Whether places are not one slice."""
    return bool(len(where)) and (where[0] < 0 or bool((np.diff(where) != 1).any()))


def _blocks(rows: np.ndarray) -> list[np.ndarray]:
    return [rows[i : i + 1_024] for i in range(0, len(rows), 1_024)]
