"""Where pictures and texts lie: folders, zip files and IDX files; which of the files they are, and each one's class.

A zip is never unpacked to disk. It is looked through before anything of it is read, and refused where a member would
write outside of a folder, is locked or a link, or where it would unpack to more than pictures ever do.
"""

from __future__ import annotations

import gzip
import math
import os
import stat
import struct
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import BinaryIO, NamedTuple, cast

import numpy as np

from decet.data.decoding import SUFFIXES, Unreadable
from decet.errors import BadInput, listed

PARTS = {  # folders that are official parts of a set, and the part's name
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation"), "validation"),
    **dict.fromkeys(("test", "testing"), "test"),
}
MOST_FILE = 1 << 30  # bytes of one picture's file, or of a zip's member unpacked
MOST_UNPACKED = 1 << 38  # bytes of all members of a zip together
MOST_RATIO = 200  # times by which a member may grow when unpacked ...
SMALL = 1 << 24  # ... if it then has more bytes than this
_IMAGES, _LABELS = 3, 1  # dimensions of IDX files
_MOST_DEFLATED = 1_100  # times by which gzip can grow
_HIDDEN = ("__macosx", "thumbs.db", "desktop.ini")
_ABOUT = ("readme", "licence", "license", "copying")


class NoPart(BadInput):
    """A folder has no such official part."""


class Sort(NamedTuple):
    """What is looked for among files: its name, and how its files' names end."""

    one: str
    many: str
    suffixes: tuple[str, ...]


PICTURES = Sort("picture", "pictures", SUFFIXES)


class Layout(NamedTuple):
    """Files by their places, sorted; the class of each, or None where there are no class folders."""

    names: list[str]
    labels: list[str] | None
    remarks: list[str]


def lay_out(
    files: Sequence[str], folders: Sequence[str], what: str, part: str | None = None, sort: Sort = PICTURES
) -> Layout:
    """Which files are pictures (or of another `sort`), and the folder that names each one's class.

    files, folders: places below the root, with "/". A single folder around everything is looked into. Where the
    folders are official parts (train, val, test), `part` says which: "train" (None too), "validation", "test", "all".
    Raises `BadInput` where there is no picture, `NoPart` where there is no such part.
    """
    shown = sorted(name for name in files if not _is_hidden(name))
    names = [name for name in shown if name.lower().endswith(sort.suffixes) and not _is_about(name)]
    if not names:
        raise BadInput(f"{what} holds no {sort.many}. {_told_instead(shown, what, sort)}")
    root = _root(names)
    remarks = []
    tops = {name[len(root) :].split("/", 1)[0] for name in names if "/" in name[len(root) :]}
    found = {PARTS[top.lower()]: top for top in sorted(tops) if top.lower() in PARTS}
    kinds = {name: found[name] for name in ("train", "validation", "test") if name in found}
    has_parts = "train" in kinds and len(kinds) == len(tops) > 1
    if part not in (None, "train", "all") and not (has_parts and part in kinds):
        told = f"It has {listed(kinds)}." if has_parts else "It has no folders train and test."
        raise NoPart(f"{what} has no official part {part!r}. {told}")
    roots = [root]
    if has_parts:
        chosen = [name for name in kinds if part in (name, "all")] or ["train"]
        roots = [f"{root}{kinds[p]}/" for p in chosen]
        if part is None:
            remarks.append(f"{what} has official parts ({listed(kinds)}); the train part was read.")
    kept, labels, beside = [], [], 0
    for place in roots:
        inside = [name for name in names if name.startswith(place)]
        classed = [name for name in inside if "/" in name[len(place) :]]
        beside += len(inside) - len(classed) if classed else 0
        kept += classed or inside
        labels += [name[len(place) :].split("/", 1)[0] for name in classed]
    if beside:
        are = f"1 {sort.one} lies" if beside == 1 else f"{beside:,} {sort.many} lie"
        remarks.append(f"{are} beside the class folders of {what}, without a class, and {_were(beside)} left out.")
    empty = [p for place in roots for p in _empty(folders, kept, place)] if labels else []
    if empty:
        are = "1 class folder holds" if len(empty) == 1 else f"{len(empty):,} class folders hold"
        remarks.append(f"{are} no {sort.one} and {_were(len(empty))} left out: {listed(map(repr, empty))}.")
    known, looked = set(names), tuple(roots) if has_parts else ""
    other = [name for name in files if name.startswith(looked) and name not in known]
    if other:
        are = f"1 file that is no {sort.one}" if len(other) == 1 else f"{len(other):,} files that are no {sort.many}"
        remarks.append(f"{are} {_were(len(other))} left out: {listed(sorted(PurePosixPath(n).name for n in other))}.")
    return Layout(kept, labels or None, remarks)


def _were(count: int) -> str:
    return "was" if count == 1 else "were"


def _is_hidden(name: str) -> bool:
    return any(part.startswith(".") or part.lower() in _HIDDEN for part in name.split("/"))


def _is_about(name: str) -> bool:
    """Whether a file tells about the others."""
    return PurePosixPath(name).name.lower().split(".")[0] in _ABOUT


def _root(names: Sequence[str]) -> str:
    """The folder, with "/", below which classes or parts begin: single folders around all of them are passed."""
    root = ""
    while True:
        below = [name[len(root) :].split("/") for name in names]
        first = below[0][0]
        if any(len(parts) < 3 or parts[0] != first for parts in below):
            return root
        root += f"{first}/"


def _empty(folders: Sequence[str], names: Sequence[str], root: str) -> list[str]:
    """Class folders below `root` that hold none of the files."""
    full = {name[len(root) :].split("/", 1)[0] for name in names if name.startswith(root)}
    tops = {f[len(root) :].strip("/").split("/", 1)[0] for f in folders if f.startswith(root) and not _is_hidden(f)}
    return sorted(tops - full - {""})


def _told_instead(shown: Sequence[str], what: str, sort: Sort) -> str:
    idx = [name for name in shown if "idx3" in name]
    if idx and sort is PICTURES:
        return f"It has IDX files: give the path of one, as {what}/{idx[-1]}."
    has = f"has {listed(shown, 3)}" if shown else "is empty"
    return f"It {has}; {sort.many} are files such as {listed(sort.suffixes, 5)}."


def walk(folder: Path) -> tuple[list[str], list[str]]:
    """All files and folders below, as places with "/". Links to folders are followed, each folder once."""
    files, folders, seen = [], [], set()
    for here, inner, outer in os.walk(folder, followlinks=True):
        status = os.stat(here)
        if (status.st_dev, status.st_ino) in seen:  # a link back to where it lies
            inner.clear()
            continue
        seen.add((status.st_dev, status.st_ino))
        place = Path(here).relative_to(folder).as_posix()
        prefix = "" if place == "." else f"{place}/"
        files += [prefix + name for name in outer]
        folders += [prefix + name for name in inner]
    return files, folders


def opened_file(path: Path) -> BinaryIO:
    """A picture's file. Raises `Unreadable` where that is not a plain file of a picture's size."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise Unreadable("no file")
        if status.st_size > MOST_FILE:
            raise Unreadable(f"{status.st_size / 1e9:,.1f} GB, at most {MOST_FILE / 1e9:.1f} GB are read")
        return path.open("rb")
    except FileNotFoundError as error:
        raise Unreadable("not there") from error
    except OSError as error:
        raise Unreadable(error.strerror or str(error)) from error


def file_bytes(path: Path) -> bytes:
    """What a picture's file holds. Raises `Unreadable`."""
    with opened_file(path) as file:
        try:
            return file.read()
        except OSError as error:
            raise Unreadable(error.strerror or str(error)) from error


# ----------------------------------------------------------------------------------------------------------- zip


class Member(NamedTuple):
    """A file in a zip: where its record begins, how it is packed, what it must be once unpacked."""

    name: str
    offset: int
    method: int
    packed: int  # bytes
    size: int  # bytes
    crc: int


def members_of(path: Path) -> tuple[dict[str, Member], list[str]]:
    """The files and folders of a zip, all checked before any is read. Raises `BadInput`."""
    try:
        with zipfile.ZipFile(path) as archive:
            infos = archive.infolist()
        whole = path.stat().st_size
    except (zipfile.BadZipFile, NotImplementedError, ValueError, struct.error) as error:
        raise BadInput(f"{str(path)!r} is no zip file, or damaged: {error}.") from error
    except OSError as error:
        raise BadInput(f"{str(path)!r} cannot be read: {error}.") from error
    for info in infos:
        if reason := _offence(info):
            raise BadInput(f"{str(path)!r} is refused: its member {info.orig_filename!r} {reason}.")
    size, packed = sum(i.file_size for i in infos), sum(i.compress_size for i in infos)
    if size > MOST_UNPACKED or packed > whole:
        told = f"{size / 1e9:,.1f} GB from {whole / 1e6:,.1f} MB"
        raise BadInput(
            f"{str(path)!r} is refused: it would unpack to {told}, which no zip of pictures does. Unpack it yourself "
            "if you trust it, and give the folder."
        )
    files = {
        info.filename: Member(
            info.filename, info.header_offset, info.compress_type, info.compress_size, info.file_size, info.CRC
        )
        for info in infos
        if not info.is_dir()
    }
    return files, [info.filename.rstrip("/") for info in infos if info.is_dir()]


def _offence(info: zipfile.ZipInfo) -> str | None:
    """Why a member is not to be read."""
    place = info.orig_filename.replace("\\", "/")
    if place.startswith("/") or ".." in place.split("/") or place[1:2] == ":" or "\0" in place:
        return "lies outside of the folder it would be unpacked to"
    if info.flag_bits & 0x1:
        return "is locked with a password. Unpack it, and give the folder"
    if stat.S_ISLNK(info.external_attr >> 16):
        return "is a link. Pack the files themselves"
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        return f"is packed by method {info.compress_type}; stored and deflated ones (zip's usual) are read"
    if info.file_size > MOST_FILE:
        return f"would unpack to {info.file_size / 1e9:,.1f} GB, at most {MOST_FILE / 1e9:.1f} GB are read"
    if info.file_size > SMALL and info.file_size > MOST_RATIO * max(1, info.compress_size):
        return f"would grow {info.file_size / max(1, info.compress_size):,.0f}-fold, which no picture does"
    return None


def member_bytes(archive: BinaryIO, member: Member) -> bytes:
    """What a member holds, never more than it said. Raises `Unreadable`."""
    archive.seek(member.offset)
    head = archive.read(30)
    if len(head) < 30 or head[:4] != b"PK\x03\x04":
        raise Unreadable("damaged: its place in the zip holds something else")
    archive.seek(sum(struct.unpack("<HH", head[26:])), os.SEEK_CUR)  # the name again, and what programs add to it
    raw = archive.read(member.packed)
    try:
        if member.method == zipfile.ZIP_DEFLATED:
            raw = zlib.decompressobj(-zlib.MAX_WBITS).decompress(raw, member.size + 1)
    except zlib.error as error:
        raise Unreadable("damaged: it does not unpack") from error
    if len(raw) != member.size or zlib.crc32(raw) != member.crc:
        raise Unreadable("damaged: it is not what was packed")
    return raw


# ----------------------------------------------------------------------------------------------------------- IDX


def idx_pair(path: Path) -> tuple[np.ndarray, np.ndarray | None]:
    """Pictures (N, H, W) and the labels (N,) of the file beside it; None where there is no such file.

    path: as train-images-idx3-ubyte or .gz; the labels' is the same with "labels" and "idx1".
    """
    pictures = read_idx(path, _IMAGES, "pictures")
    stem = path.name.removesuffix(".gz").replace("images", "labels").replace("idx3", "idx1")
    beside = next((p for p in (path.with_name(stem), path.with_name(f"{stem}.gz")) if p.is_file()), None)
    if beside is None or stem == path.name.removesuffix(".gz"):
        return pictures, None
    labels = read_idx(beside, _LABELS, "labels")
    if len(labels) != len(pictures):
        raise BadInput(f"{str(path)!r} holds {len(pictures):,} pictures, but {beside.name} {len(labels):,} labels.")
    return pictures, labels


def read_idx(path: Path, dimensions: int, holds: str) -> np.ndarray:
    """The array of an IDX file of bytes, packed by gzip or not. `holds`: what it should hold, for messages.

    Raises `BadInput` on another magic number, and where it holds less or more than it says.
    """
    packed = path.suffix.lower() == ".gz"
    try:
        most = path.stat().st_size * (_MOST_DEFLATED if packed else 1)
        with cast(BinaryIO, gzip.open(path)) if packed else path.open("rb") as file:
            head = file.read(4 + 4 * dimensions)
            if head[:4] != bytes([0, 0, 8, dimensions]):
                raise BadInput(
                    f"{str(path)!r} is no IDX file of {holds}: it begins with 0x{head[:4].hex()}, not "
                    f"0x{bytes([0, 0, 8, dimensions]).hex()}."
                )
            shape = struct.unpack(f">{dimensions}I", head[4:]) if len(head) == 4 + 4 * dimensions else ()
            said = math.prod(shape) if shape else -1
            raw = file.read(said) if 0 < said <= most else b""
            more = bool(file.read(1)) if len(raw) == said else False
    except (OSError, EOFError, zlib.error) as error:
        raise BadInput(f"{str(path)!r} is cut short or damaged: {error}.") from error
    if said <= 0 or len(raw) != said or more:
        told = "nothing" if said <= 0 else f"{' x '.join(f'{n:,}' for n in shape)} bytes"
        raise BadInput(f"{str(path)!r} says it holds {told}, but it holds {'more' if more else 'less'}.")
    return np.frombuffer(raw, dtype=np.uint8).reshape(shape)
