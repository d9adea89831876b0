"""Where each picture of a sequence comes from: a file, a member of a zip, an array; and what a user may pass as such.

An `Origin` gives the raw picture of a row when asked, its name, and a stamp by which a change of it is seen.
Pictures are counted from 0 in every message.
"""

from __future__ import annotations

import hashlib
import itertools
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from PIL import Image

from decet.data import frames
from decet.data.archives import Member, file_bytes, idx_pair, lay_out, member_bytes, members_of, opened_file, walk
from decet.data.decoding import SUFFIXES, Way
from decet.data.files import near
from decet.errors import BadInput, Unsupported, listed

PATH_COLUMNS = ("path", "file", "filename", "image", "picture")
_CHANNELS = (1, 3, 4)
_ABOVE = 1e-3  # by which floats of 0 to 1 may pass their ends, as resizing leaves them
_SHAPES = "(N, H, W), (N, H, W, C) or (N, C, H, W) with C = 1, 3 or 4; clips have (N, T, H, W, C)"


class Found(NamedTuple):
    """What X was: where its pictures are, their answers (or None), the name of the answers' column, and sentences."""

    origin: Origin
    answers: Any = None
    target: str = ""
    remarks: Sequence[str] = ()
    named: bool = False  # y named the answers' column or columns


class Origin:
    """Pictures somewhere. `stores` holds what was decoded of them and by which way, the newest last."""

    count: int
    in_files = True

    def __init__(self) -> None:
        self.stores: list[tuple[Way, Any]] = []

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"stores": []}  # what can be decoded again is not sent to other processes

    def name(self, row: int) -> str:
        raise Unsupported(f"{type(self).__name__} has no names.")

    @contextmanager
    def reading(self, headers: bool = False) -> Iterator[Callable[[int], Any]]:
        """A function from a row to its raw picture. `headers`: for `header` alone, so no more than that is read."""
        raise Unsupported(f"{type(self).__name__} cannot be read.")
        yield

    def stamp(self, row: int) -> str:
        """Equal only while the picture is."""
        raise Unsupported(f"{type(self).__name__} has no stamps.")

    def whole(self, way: Way, copy: bool) -> np.ndarray | None:
        """All pictures, where they lie in memory as they are asked already, or, where `copy` may be made, nearly so."""
        return None


class Files(Origin):
    """Files, or where a row is a list of them, the frames of a clip."""

    def __init__(self, names: Sequence[str], paths: Sequence[Path | list[Path]]) -> None:
        super().__init__()
        self.names, self.paths, self.count = list(names), list(paths), len(paths)

    def name(self, row: int) -> str:
        return self.names[row]

    @contextmanager
    def reading(self, headers: bool = False) -> Iterator[Callable[[int], Any]]:
        def raw(row: int) -> Any:
            path = self.paths[row]
            return [file_bytes(frame) for frame in path] if isinstance(path, list) else file_bytes(path)

        with ExitStack() as opened:

            def start(row: int) -> Any:
                opened.close()  # the one before
                path = self.paths[row]
                return opened.enter_context(opened_file(path[0] if isinstance(path, list) else path))

            yield start if headers else raw

    def stamp(self, row: int) -> str:
        path = self.paths[row]
        return repr([_stamp(frame) for frame in (path if isinstance(path, list) else [path])])


class Members(Origin):
    """Members of a zip file, or where a row is a list of them, the frames of a clip."""

    def __init__(self, path: Path, members: Sequence[Member | list[Member]]) -> None:
        super().__init__()
        self.path, self.members, self.count = path, list(members), len(members)

    def name(self, row: int) -> str:
        member = self.members[row]
        return member.name if isinstance(member, Member) else member[0].name.rpartition("/")[0]

    @contextmanager
    def reading(self, headers: bool = False) -> Iterator[Callable[[int], Any]]:
        with self.path.open("rb") as archive:

            def raw(row: int) -> Any:
                member = self.members[row]
                if isinstance(member, Member):
                    return member_bytes(archive, member)
                return [member_bytes(archive, frame) for frame in (member[:1] if headers else member)]

            yield raw

    def stamp(self, row: int) -> str:
        return f"{_stamp(self.path)} {self.members[row]!r}"


class Arrays(Origin):
    """One array of bytes (N, H, W, C), or of clips (N, T, H, W, C)."""

    in_files = False

    def __init__(self, array: np.ndarray) -> None:
        super().__init__()
        self.array, self.count = array, len(array)

    def name(self, row: int) -> str:
        return f"picture {row:,}"

    @contextmanager
    def reading(self, headers: bool = False) -> Iterator[Callable[[int], Any]]:
        yield self.array.__getitem__

    def stamp(self, row: int) -> str:
        return _array_stamp(self.array[row])

    def whole(self, way: Way, copy: bool) -> np.ndarray | None:
        fits = self.array.shape[1:] == way.shape and (copy or self.array.flags.c_contiguous)
        return np.ascontiguousarray(self.array) if fits else None


class Mixed(Origin):
    """A list of byte arrays (H, W, C) or clips (T, H, W, C), Pillow images and files."""

    in_files = False

    def __init__(self, items: Sequence[Any]) -> None:
        super().__init__()
        self.items, self.count = list(items), len(items)

    def name(self, row: int) -> str:
        return str(self.items[row]) if isinstance(self.items[row], Path) else f"picture {row:,}"

    @contextmanager
    def reading(self, headers: bool = False) -> Iterator[Callable[[int], Any]]:
        def raw(row: int) -> Any:
            item = self.items[row]
            return file_bytes(item) if isinstance(item, Path) else item

        yield raw

    def stamp(self, row: int) -> str:
        item = self.items[row]
        return _stamp(item) if isinstance(item, Path) else _array_stamp(np.asarray(item))


def _stamp(path: Path) -> str:
    try:
        status = path.stat()
    except OSError:
        return f"{path} missing"
    return f"{path.resolve()} {status.st_size} {status.st_mtime_ns}"


def _array_stamp(array: np.ndarray) -> str:
    return f"{array.shape} {hashlib.blake2b(np.ascontiguousarray(array).data, digest_size=16).hexdigest()}"


# ------------------------------------------------------------------------------------------ what a user may pass


def origin_of(X: Any, y: Any, part: str | None, clips: bool) -> Found:
    """See `decet.data.pictures.read_pictures`."""
    if isinstance(X, (str, Path)):
        found = _from_path(Path(X).expanduser(), str(X), y, part, clips)
    elif hasattr(X, "columns"):
        found = _from_table(frames.read_table(X), "the table", Path(), y)
    elif isinstance(X, Image.Image):
        found = Found(Mixed([X]))
    else:
        found = _from_memory(X)
    if isinstance(y, str) and not found.named:
        raise BadInput(
            f"y names a column ({y!r}), but X is no table of paths, whose columns have names. Pass the answers."
        )
    return found if y is None or found.named else found._replace(answers=y)


def _from_path(path: Path, source: str, y: Any, part: str | None, clips: bool) -> Found:
    name = path.name.lower()
    if not path.exists():
        raise BadInput(f"there is no file or folder {source!r}.{near(path)}")
    if path.is_dir():
        layout = lay_out(*walk(path), source, part)
        names, groups = _grouped(layout.names, clips)
        paths: list[Any] = [[path / n for n in group] if clips else path / group[0] for group in groups]
        return Found(Files(names, paths), _labels(layout.labels, groups), "", layout.remarks)
    if name.endswith(".zip"):
        members, folders = members_of(path)
        layout = lay_out(list(members), folders, source, part)
        names, groups = _grouped(layout.names, clips)
        held: list[Any] = [[members[n] for n in group] if clips else members[group[0]] for group in groups]
        return Found(Members(path, held), _labels(layout.labels, groups), "", layout.remarks)
    if part is not None:
        raise BadInput(f"{source!r} is one file, which has no official part {part!r}; folders and zip files may.")
    if name.endswith(SUFFIXES):
        return Found(Files([source], [path]))
    if "idx3" in name:
        pictures, labels = idx_pair(path)
        return Found(Arrays(pictures.reshape(*pictures.shape, 1)), None if labels is None else labels.astype(np.int64))
    if name.endswith((".npy", ".npz")):
        return _from_numpy(path, source)
    if name.removesuffix(".gz").endswith(frames.SUFFIXES):
        return _from_table(frames.read_table(path), source, path.parent, y)
    raise BadInput(
        f"{source!r} is nothing that pictures are read from: a folder, a .zip, a table of paths (.csv), an IDX file, "
        f".npy, .npz, or a picture ({listed(SUFFIXES)})."
    )


def _grouped(names: list[str], clips: bool) -> tuple[list[str], list[list[str]]]:
    """Each item's name and its files: one picture each, or all frames of a folder."""
    if not clips:
        return names, [[name] for name in names]
    groups = [list(group) for _, group in itertools.groupby(sorted(names), key=lambda n: n.rpartition("/")[0])]
    return [group[0].rpartition("/")[0] for group in groups], groups


def _labels(labels: list[str] | None, groups: list[list[str]]) -> np.ndarray | None:
    """The class of each item; that of a clip is its first frame's. (Sorted names of a class stand together.)"""
    if labels is None:
        return None
    firsts = np.cumsum([0, *map(len, groups[:-1])])
    return np.array(labels)[firsts]


def _from_numpy(path: Path, source: str) -> Found:
    try:
        loaded = np.load(path, mmap_mode="r", allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            return _from_memory(loaded)
        with loaded as held:
            keys = [key for key in held.files if key.lower() in ("x", "images", "pictures", "data")]
            answers = [key for key in held.files if key.lower() in ("y", "labels", "targets")]
            keys = keys or [key for key in held.files if key not in answers]
            if len(keys) != 1:
                raise BadInput(f"{source!r} must hold pictures as X, and labels as y. It holds {listed(held.files)}.")
            found = _from_memory(held[keys[0]])
            return found._replace(answers=held[answers[0]]) if answers else found
    except (OSError, EOFError, zipfile.BadZipFile) as error:
        raise BadInput(f"{source!r} cannot be read: {error}.") from error
    except ValueError as error:
        if isinstance(error, BadInput):
            raise
        raise BadInput(f"{source!r} cannot be read: {error}.") from error


def _from_table(table: Any, source: str, folder: Path, y: Any) -> Found:
    """A table with a column of paths, relative to `folder`."""
    if not isinstance(table, pd.DataFrame):
        raise BadInput("X is a sparse table, which holds no paths of pictures.")
    column = _path_column(table, source, folder)
    named = frames.names_columns(y, table)
    if named:
        table, answers = frames.pop_target(table, y)
        if column not in table.columns:
            raise BadInput(f"{source} has its paths in {column!r}, which cannot be the target too.")
        target = y if isinstance(y, str) else ""
    else:
        others = [name for name in table.columns if name != column]
        answers, target = (table[others[0]], others[0]) if y is None and len(others) == 1 else (None, "")
    cells = table[column]
    if cells.isna().any():
        raise BadInput(f"{source} has no path in row {int(np.flatnonzero(cells.isna())[0]):,}.")
    names = [str(cell).strip() for cell in cells]
    paths = [folder / Path(name).expanduser() for name in names]
    missing = [name for name, path in zip(names, paths, strict=True) if not path.is_file()]
    if missing:
        what = "a picture that is" if len(missing) == 1 else f"{len(missing):,} pictures that are"
        raise BadInput(
            f"{source} names {what} not there: {listed(missing)}. Paths are relative to {str(folder.resolve())!r}."
        )
    return Found(Files(names, paths), answers, target, named=named)


def _path_column(table: pd.DataFrame, source: str, folder: Path) -> str:
    by_name = [name for name in table.columns if name.lower() in PATH_COLUMNS]
    if len(by_name) == 1:
        return str(by_name[0])
    texts = by_name or [name for name in table.columns if not pd.api.types.is_numeric_dtype(table[name].dtype)]
    first = {name: next((str(cell) for cell in table[name].dropna()), "") for name in texts}
    holding = [name for name, cell in first.items() if cell and (folder / cell).is_file()]
    if len(holding) == 1:
        return str(holding[0])
    seem = listed(map(repr, holding or by_name)) or "none"
    raise BadInput(
        f"which column of {source} holds the paths of pictures? Call one of them {listed(PATH_COLUMNS)}. Columns that "
        f"seem to hold paths: {seem}."
    )


# ------------------------------------------------------------------------------------------------------- arrays


def _from_memory(X: Any) -> Found:
    """An array or tensor, or a list of pictures."""
    if hasattr(X, "detach"):
        X = X.detach().cpu().numpy()
    if isinstance(X, pd.Series) or (isinstance(X, np.ndarray) and X.dtype.kind in "OUS"):
        X = list(X)
    if isinstance(X, (list, tuple)):
        return _from_list(list(X))
    if not hasattr(X, "__array__"):
        raise Unsupported(
            f"pictures must be a path, an array of shape {_SHAPES}, or a list of arrays, Pillow images or paths. "
            f"Received: {type(X).__name__}."
        )
    array = np.asarray(X)
    if 0 in array.shape or not array.ndim:
        raise BadInput(f"X holds no pictures: its shape is {array.shape}.")
    match array.shape:
        case (_, _, _):
            array = array.reshape(*array.shape, 1)  # a stride of its own, where [..., None] has 0
        case (_, _, _, last) if last in _CHANNELS:
            pass
        case (_, first, _, _) if first in _CHANNELS:
            array = np.moveaxis(array, 1, -1)
        case (_, _, _, _, last) if last in _CHANNELS:
            pass
        case _:
            example = " Did you mean X.reshape(-1, H, W)?" if array.ndim == 2 else ""
            raise BadInput(f"pictures must have shape {_SHAPES}. Received: shape {array.shape}.{example}")
    convert, remarks = _understood([array], lambda _, at: f"picture {at:,}")
    return Found(Arrays(convert(array)), remarks=remarks)


def _from_list(items: list[Any]) -> Found:
    if not items:
        raise BadInput("X holds no pictures: the list is empty.")
    made: list[Any] = []
    for number, item in enumerate(items):
        if isinstance(item, (str, Path)):
            made.append(Path(item).expanduser())
        elif isinstance(item, Image.Image):
            made.append(item)
        else:
            made.append(_one_array(item.detach().cpu().numpy() if hasattr(item, "detach") else item, number))
    if all(isinstance(item, Path) for item in made):
        return Found(Files([str(item) for item in items], made))
    places = [i for i, item in enumerate(made) if isinstance(item, np.ndarray)]
    convert, remarks = _understood([made[i] for i in places], lambda number, _: f"picture {places[number]:,}")
    for i in places:
        made[i] = convert(made[i])
    if len(places) == len(made) and len({item.shape for item in made}) == 1:
        return Found(Arrays(np.stack(made)), remarks=remarks)
    return Found(Mixed(made), remarks=remarks)


def _one_array(item: Any, number: int) -> np.ndarray:
    """One picture (H, W), (H, W, C) or (C, H, W), or clip (T, H, W, C), as (H, W, C) or (T, H, W, C)."""
    try:
        array = np.asarray(item)
    except ValueError:  # rows of unequal length
        array = np.empty(0)
    match array.shape:
        case (_, _) if array.size:
            return array[..., None]
        case (*_, last) if last in _CHANNELS and array.ndim in (3, 4) and array.size:
            return array
        case (first, _, _) if first in _CHANNELS and array.size:
            return np.moveaxis(array, 0, -1)
    told = f"shape {array.shape}" if array.size else type(item).__name__
    raise BadInput(
        f"picture {number:,} must be an array (H, W), (H, W, C) or (C, H, W) with C = 1, 3 or 4, a Pillow image or a "
        f"path. Received: {told}."
    )


def _understood(
    arrays: Sequence[np.ndarray], name: Callable[[int, int], str]
) -> tuple[Callable[[np.ndarray], np.ndarray], list[str]]:
    """How numbers become bytes: one rule for all arrays, found from their kinds and ranges, and what to say of it.

    name(array, row): what a message calls the picture whose value is not finite.
    """
    if all(array.dtype == np.uint8 for array in arrays):
        return lambda array: array, []
    kinds = {array.dtype.kind for array in arrays}
    if not kinds <= set("buif"):
        raise BadInput(f"pictures must hold bytes or numbers. Received: {listed({str(a.dtype) for a in arrays})}.")
    low, high = np.inf, -np.inf
    for number, array in enumerate(arrays):
        for begin in range(0, len(array), 256):
            block = array[begin : begin + 256]
            ends = float(block.min()), float(block.max())
            if not np.isfinite(ends).all():
                wrong = ~np.isfinite(block).reshape(len(block), -1).all(1)
                row = begin + int(np.argmax(wrong))
                value = array[row][~np.isfinite(array[row])].flat[0]
                raise BadInput(
                    f"{name(number, row)} has a value that is not finite ({value}). Take it out, or mend it."
                )
            low, high = min(low, ends[0]), max(high, ends[1])
    if kinds == {"b"}:
        return lambda array: _by_blocks(array, 255.0), []
    if "f" in kinds and low >= -_ABOVE and high <= 1 + _ABOVE:
        return lambda array: _by_blocks(array, 255.0), ["pixels that are floats were understood as 0 to 1."]
    if "f" in kinds and low >= -0.5 and high <= 255.5:
        return lambda array: _by_blocks(array, 1.0), ["pixels that are floats were understood as 0 to 255."]
    if "f" not in kinds and low >= 0 and high <= 255:
        return lambda array: _by_blocks(array, 1.0), []
    if "f" not in kinds and low >= 0 and high <= 65_535:
        return lambda array: _by_blocks(array, 255 / 65_535), [
            "whole numbers were understood as 0 to 65,535 (16 bits)."
        ]
    hint = " Give them as they were before they were standardised." if "f" in kinds and low < 0 else ""
    raise BadInput(
        f"pixels must be bytes, floats of 0 to 1 or 0 to 255, or 16-bit numbers. Received: {low:g} to {high:g}.{hint}"
    )


def _by_blocks(array: np.ndarray, factor: float) -> np.ndarray:
    """Bytes, channels last in memory, made block by block."""
    made = np.empty(array.shape, dtype=np.uint8)
    for begin in range(0, len(array), 256):
        block = np.asarray(array[begin : begin + 256], dtype=np.float32) * np.float32(factor)
        np.rint(np.clip(block, 0, 255, out=block), out=block)
        made[begin : begin + 256] = block
    return made
