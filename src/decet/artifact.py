"""The model folder: pack, unpack, write, read, lock. It knows JSON and tensors; names of classes mean nothing here.

    model.json            settings, encoder state, metrics; lists the other files with their sizes and sha256
    weights.safetensors   every tensor that was learned
    golden.safetensors    made-up inputs and the outputs they gave, replayed by `decet verify`
    README.md             the model card
    history.jsonl         one JSON object an epoch of each stage: cross-fitting's folds, then the training kept

A folder is material from strangers. Reading it runs no code, follows no link and no path, and believes no size:
whatever does not hold together is refused with a sentence (`BadInput`) before anything is built from it.

Writing is whole or not at all. The new files are written and fsynced in `.decet-new/`; renaming that folder to
`.decet-commit/` is the one moment at which the new model takes the old one's place. What follows, moving its files
up, may be cut short anywhere: a reader looks in `.decet-commit/` first, and the next writer finishes the move. So
a kill, a full disk or a second writer leaves one whole model, and whatever else stands in the folder (a run's
`checkpoint/`, a report) is not touched. No folder is swapped, so a mount point or a parent without permission is
no obstacle.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import math
import os
import re
import shutil
import stat
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from decet.errors import BadInput, listed, suggest

FORMAT = 1
FILES = ("model.json", "weights.safetensors", "golden.safetensors", "README.md", "history.jsonl")  # the closed list

_MOST_BYTES = {"model.json": 32_000_000, "README.md": 4_000_000, "history.jsonl": 192_000_000}  # some 10^6 epochs
_MOST_HEADER_BYTES = 16_000_000  # of a safetensors file
_DEPTH = 64  # levels of nesting in JSON
_DIGITS = 40  # of a whole number in JSON
_RESERVED = ("format", "files", "shapes", "digest")  # keys of model.json that this module writes
_NOT_FINITE = "not finite"  # {"not finite": "nan"} stands for a number that JSON cannot write
COMMIT = ".decet-commit"  # holds the model while its files are moved up
_NEW, _LOCK = ".decet-new", ".decet-lock"
_AGAIN = "Copy the folder again from where it was saved, or save the model anew."


@dataclass(frozen=True)
class Contents:
    """A model folder, checked. `model` is what was given to `pack`; `digest` names it."""

    model: dict[str, Any]
    weights: dict[str, Tensor]
    golden: dict[str, Tensor]
    card: str
    history: list[dict[str, Any]]
    digest: str


# ---------------------------------------------------------------------------------------------- contents <-> bytes


def pack(
    model: Mapping[str, Any],
    weights: Mapping[str, Tensor],
    golden: Mapping[str, Tensor],
    card: str,
    history: list[dict[str, Any]],
) -> dict[str, bytes]:
    """The files of a model folder by name. Equal contents give equal bytes.

    `model` holds JSON values (tuples become lists, numpy numbers plain ones; NaN and infinities are kept). What
    `unpack` would refuse is refused here already, so that a saved model can be loaded.
    """
    taken = [key for key in _RESERVED if key in model]
    if taken:
        raise BadInput(f"model.json's keys {listed(taken)} are written by decet itself; use other names.")
    files = {
        "weights.safetensors": _tensor_bytes("weights.safetensors", weights),
        "golden.safetensors": _tensor_bytes("golden.safetensors", golden),
        "README.md": card.encode("utf-8", "replace"),
        "history.jsonl": b"".join(_json_bytes(_plain(row, "history")) + b"\n" for row in history),
    }
    ours = {
        "format": FORMAT,
        "files": {name: {"sha256": _sha256(data), "bytes": len(data)} for name, data in files.items()},
        "shapes": {name: list(tensor.shape) for name, tensor in weights.items()},
    }
    whole = _plain({**model, **ours}, "model")
    whole["digest"] = _digest(_parse("model.json", _json_bytes(whole)))
    files = {"model.json": _json_bytes(whole, indent=1) + b"\n", **files}
    for name, most in _MOST_BYTES.items():
        if len(files[name]) > most:
            raise BadInput(f"{name} would have {_size(len(files[name]))}, and at most {_size(most)} can be saved.")
    return files


def unpack(files: Mapping[str, bytes]) -> Contents:
    """The contents of a model folder's files, after every check: names, sizes, hashes, JSON, shapes, finite weights."""
    _check_names(files)
    model = _describe(files["model.json"])
    for name, told in model["files"].items():
        _check_size(name, len(files[name]), told["bytes"], files[name][:16])
        if _sha256(files[name]) != told["sha256"]:
            raise BadInput(f"{name} is not as it was saved: its sha256 differs from the one in model.json. {_AGAIN}")
    weights = _tensors("weights.safetensors", files["weights.safetensors"], model["shapes"])
    return Contents(
        model={key: value for key, value in model.items() if key not in _RESERVED},
        weights=weights,
        golden=_tensors("golden.safetensors", files["golden.safetensors"]),
        card=_text("README.md", files["README.md"]),
        history=[_parse("history.jsonl", line) for line in files["history.jsonl"].splitlines()],
        digest=model["digest"],
    )


def _check_names(files: Mapping[str, bytes]) -> None:
    missing, other = [name for name in FILES if name not in files], [name for name in files if name not in FILES]
    if missing:
        raise BadInput(f"the model folder lacks {listed(missing)}. {_AGAIN}")
    if other:
        raise BadInput(f"a model folder holds {listed(FILES)} and nothing else. Received: {listed(map(repr, other))}.")


def _check_size(name: str, size: int, told: int, start: bytes) -> None:
    _check_disguise(name, start)
    if size != told:
        what = "is cut short" if size < told else "is too long"
        raise BadInput(f"{name} {what}: it has {size} bytes, and model.json says {told}. {_AGAIN}")


def _check_disguise(name: str, start: bytes) -> None:
    """Refuse what torch.save and pickle.dump write, by its first bytes."""
    zipped = start.startswith(b"PK\x03\x04")
    # A safetensors file may begin with the same two bytes (the length of its header), but then its header follows.
    pickled = start[:1] == b"\x80" and start[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05") and start[8:9] != b"{"
    if zipped or pickled:
        kind = "a zip archive as torch.save writes it, with a pickle inside" if zipped else "a pickle"
        raise BadInput(f"{name} is {kind}. Pickles can run code, so decet never opens one; save the model with decet.")


def _describe(data: bytes) -> dict[str, Any]:
    """model.json, checked and in the present format: reserved keys are there and have their types."""
    _check_disguise("model.json", data[:16])
    model = _parse("model.json", data)
    if _format(model) > 0 and model.get("digest") != _digest(model):
        raise BadInput(f"model.json was changed since it was saved: its digest does not fit. {_AGAIN}")
    model = migrate(model)
    table, shapes = model.get("files"), model.get("shapes")
    if not isinstance(table, dict) or not isinstance(shapes, dict):
        raise BadInput(f"model.json lacks its list of files or of shapes. {_AGAIN}")
    for name in table:
        if name not in FILES[1:]:
            raise BadInput(f"model.json lists {name!r}: a model folder holds {listed(FILES)} and nothing else.")
    for name in FILES[1:]:
        told = table.get(name)
        if not isinstance(told, dict) or not isinstance(told.get("sha256"), str) or not _is_count(told.get("bytes")):
            raise BadInput(f"model.json does not say the size and sha256 of {name}. {_AGAIN}")
    return model


def _is_count(value: Any) -> bool:
    return type(value) is int and value >= 0


# --------------------------------------------------------------------------------------------------------- formats


def _from_format_0(model: dict[str, Any]) -> dict[str, Any]:
    """Format 0 had no digest, wrote `sizes` and `sha256` as two dicts, and the shapes as `weights`."""
    sizes, hashes = model.get("sizes"), model.get("sha256")
    if not isinstance(sizes, dict) or not isinstance(hashes, dict):
        raise BadInput(f"model.json lacks its list of files. {_AGAIN}")
    files = {name: {"sha256": hashes.get(name), "bytes": size} for name, size in sizes.items()}
    kept = {key: value for key, value in model.items() if key not in ("sizes", "sha256", "weights")}
    model = kept | {"format": 1, "files": files, "shapes": model.get("weights")}
    return model | {"digest": _digest(model)}


MIGRATIONS: list[Callable[[dict[str, Any]], dict[str, Any]]] = [_from_format_0]  # the n-th leads from n to n + 1


def migrate(model: dict[str, Any]) -> dict[str, Any]:
    """model.json of any earlier format, in the present one. Old models load for ever."""
    for step in MIGRATIONS[_format(model) :]:
        model = step(model)
    return model


def _format(model: Mapping[str, Any]) -> int:
    form = model.get("format")
    if not isinstance(form, int) or not _is_count(form):
        raise BadInput(f"model.json must say its format, 0 to {FORMAT}. Received: {form!r}. {_AGAIN}")
    if form > FORMAT:
        raise BadInput(
            f"the model was written by a newer decet (format {form}; this one reads up to {FORMAT}). Upgrade decet."
        )
    return form


# ------------------------------------------------------------------------------------------------------------ JSON


def _plain(value: Any, where: str, depth: int = 0) -> Any:
    """`value` as JSON can hold it; `where` names it in the sentence for what JSON cannot hold."""
    if isinstance(value, np.generic):
        value = value.item()
    if depth > _DEPTH - 2:  # the whole, and the marks of numbers that are not finite, take a level each
        raise BadInput(f"{where} is nested deeper than {_DEPTH} levels, which a model folder does not hold.")
    match value:
        case None | bool() | str():
            return value
        case int() if abs(value) < 10**_DIGITS:
            return int(value)
        case float():
            return float(value) if math.isfinite(value) else {_NOT_FINITE: str(float(value))}
        case list() | tuple():
            return [_plain(item, f"{where}[{index}]", depth + 1) for index, item in enumerate(value)]
        case Mapping() if list(value) == [_NOT_FINITE]:  # of the user's own: in a list, which the mark never has
            return {_NOT_FINITE: [_plain(value[_NOT_FINITE], f"{where}.{_NOT_FINITE}", depth + 2)]}
        case Mapping() if all(isinstance(key, str) for key in value):
            return {str(key): _plain(item, f"{where}.{key}", depth + 1) for key, item in value.items()}
    raise BadInput(
        f"{where} cannot be saved: a model folder holds text, numbers of up to {_DIGITS} digits, lists and dicts with "
        f"text as keys. Received: {type(value).__name__} {str(value)[:60]}."
    )


def _json_bytes(value: Any, indent: int | None = None) -> bytes:
    text = json.dumps(value, sort_keys=True, indent=indent, ensure_ascii=False)
    return text.encode("utf-8", "backslashreplace")  # a lone surrogate becomes JSON's own escape for it


def _digest(model: Mapping[str, Any]) -> str:
    """sha256 of the canonical JSON of everything else in model.json, as parsed."""
    return _sha256(_json_bytes({key: value for key, value in model.items() if key != "digest"}))


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _text(name: str, data: bytes) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadInput(f"{name} is not UTF-8 text (byte {error.start}). {_AGAIN}") from None


def _parse(name: str, data: bytes) -> dict[str, Any]:
    """A JSON object from strangers: limited in size, depth and digits, every key once, every number finite."""
    most = _MOST_BYTES.get(name, _MOST_HEADER_BYTES)
    if len(data) > most:
        raise BadInput(f"{name} has {_size(len(data))} of JSON; decet reads at most {_size(most)}.")
    if _depth(data) > _DEPTH:
        raise BadInput(f"{name} is nested deeper than {_DEPTH} levels; decet writes no such JSON.")
    try:
        value = json.loads(
            _text(name, data), object_pairs_hook=_object, parse_int=_int, parse_float=_float, parse_constant=_float
        )
    except ValueError as error:  # JSONDecodeError is one
        if isinstance(error, BadInput):
            raise
        raise BadInput(f"{name} is not JSON as decet writes it: {error}. {_AGAIN}") from None
    if not isinstance(value, dict):
        raise BadInput(f"{name} must hold a JSON object. Received: {type(value).__name__}.")
    return value


def _depth(data: bytes) -> int:
    """Levels of brackets, found without recursion and before anything is built."""
    skeleton = re.sub(rb'"(?:[^"\\]|\\.)*+"|[^][{}"]++', b"", data, flags=re.DOTALL)
    return max(accumulate(1 if bracket in b"[{" else -1 for bracket in skeleton), default=0)


def _object(pairs: list[tuple[str, Any]]) -> Any:
    made = dict(pairs)
    if len(made) < len(pairs):
        raise ValueError(f"the key {Counter(key for key, _ in pairs).most_common(1)[0][0]!r} stands twice")
    match made:
        case {"not finite": ("nan" | "inf" | "-inf") as number} if len(made) == 1:
            return float(number)
        case {"not finite": [value]} if len(made) == 1:
            return {_NOT_FINITE: value}
    return made


def _int(text: str) -> int:
    if len(text) > _DIGITS + 1:
        raise ValueError(f"a whole number has {len(text)} digits")
    return int(text)


def _float(text: str) -> float:
    if not math.isfinite(float(text)):
        raise ValueError(f"the number {text[:20]} is not finite")
    return float(text)


# --------------------------------------------------------------------------------------------------------- tensors


def _tensor_bytes(name: str, tensors: Mapping[str, Tensor]) -> bytes:
    _check_finite(name, tensors)
    # Views and tied tensors are written out in full: a file holds tensors, not the memory that they share.
    plain = torch.contiguous_format
    alone = {key: tensor.detach().to("cpu", copy=True, memory_format=plain) for key, tensor in tensors.items()}
    return safetensors.torch.save(alone, metadata={"format": "pt"})


def _tensors(name: str, data: bytes, shapes: Mapping[str, Any] | None = None) -> dict[str, Tensor]:
    """The tensors of a safetensors file; with `shapes` they must have these and no others."""
    length = int.from_bytes(data[:8], "little")
    if len(data) < 8 or length > min(len(data) - 8, _MOST_HEADER_BYTES):
        raise BadInput(
            f"{name} is no safetensors file: a header of {length} bytes does not fit in {len(data)}. {_AGAIN}"
        )
    header = _parse(name, data[8 : 8 + length])
    header.pop("__metadata__", None)
    found = {key: entry.get("shape") if isinstance(entry, dict) else None for key, entry in header.items()}
    wanted = found if shapes is None else shapes
    for key in sorted({*found, *wanted}):
        shape, told = found.get(key), wanted.get(key)
        if shape != told or not isinstance(shape, list) or not all(map(_is_count, shape)):
            raise BadInput(f"{name}: tensor {key!r} has shape {shape}, and model.json says {told}. {_AGAIN}")
    try:
        tensors = safetensors.torch.load(data)
    except (SafetensorError, KeyError, ValueError, RuntimeError, OverflowError) as error:
        raise BadInput(f"{name} is no safetensors file that decet can read: {error}. {_AGAIN}") from None
    _check_finite(name, tensors)
    return tensors


def _check_finite(name: str, tensors: Mapping[str, Tensor]) -> None:
    for key, tensor in tensors.items():
        if tensor.is_floating_point() and tensor.numel():
            ends = torch.aminmax(tensor.detach() if tensor.itemsize > 1 else tensor.detach().float())  # NaN wins
            if not all(math.isfinite(end.item()) for end in ends):
                raise BadInput(f"{name}: tensor {key!r} holds values that are not finite. No model answers with these.")


# ---------------------------------------------------------------------------------------------------------- folder


def read(folder: str | Path) -> dict[str, bytes]:
    """The bytes of a model folder's files, each a plain file of the size that model.json tells. Changes nothing."""
    path = Path(folder)
    for _ in range(100):
        with ExitStack() as opened:
            inside = _open_folder(path, opened)
            handles = _open_files(path, inside, opened)
            # A writer may have committed while the files were opened: then model.json is another one by now.
            again = _open_file(path, inside, "model.json", opened)
            if again is not None and os.path.samestat(os.fstat(again), os.fstat(handles["model.json"])):
                return _read_files(path, handles)
    raise BadInput(f"{path} is being rewritten again and again, so no whole model could be read. Try later.")


def _open_folder(path: Path, opened: ExitStack) -> int:
    try:
        inside = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except NotADirectoryError:
        raise BadInput(f"{path} is not a folder. Give the folder that holds model.json.") from None
    except FileNotFoundError:
        beside = sorted(found.parent.name for found in path.absolute().parent.glob("*/model.json"))
        raise BadInput(f"there is no model folder {path}.{suggest(path.name, beside)}") from None
    except (OSError, ValueError) as error:  # ValueError: a NUL character in the name
        raise BadInput(f"{path} cannot be opened ({_reason(error)}).") from None
    opened.callback(os.close, inside)
    return inside


def _open_files(path: Path, inside: int, opened: ExitStack) -> dict[str, int]:
    handles = {name: _open_file(path, inside, name, opened) for name in FILES}
    missing = [name for name, handle in handles.items() if handle is None]
    if missing == list(FILES):
        begun = " A run was begun there: finish it with --resume." if _kind(inside, "checkpoint") else ""
        raise BadInput(f"{path} holds no model: there is no model.json.{begun}")
    if missing:
        raise BadInput(f"{path} lacks {listed(missing)}. {_AGAIN}")
    return {name: handle for name, handle in handles.items() if handle is not None}


def _open_file(path: Path, inside: int, name: str, opened: ExitStack) -> int | None:
    """A handle of one plain file, from a committed save where there is one; None where it is missing."""
    if _kind(inside, COMMIT) == stat.S_IFLNK:
        raise BadInput(f"{path / COMMIT} is a link, which a model folder never holds. {_AGAIN}")
    for place in (f"{COMMIT}/{name}", name):
        try:  # O_NONBLOCK: opening a pipe must not wait for its other end
            handle = os.open(place, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=inside)
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            if error.errno == errno.ELOOP:
                raise BadInput(f"{path / name} is a link, which a model folder never holds. {_AGAIN}") from None
            raise BadInput(f"{path / name} cannot be read ({_reason(error)}).") from None
        opened.callback(os.close, handle)
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise BadInput(f"{path / name} is not a plain file. {_AGAIN}")
        return handle
    return None


def _read_files(path: Path, handles: Mapping[str, int]) -> dict[str, bytes]:
    """Sizes are compared before anything large is read: model.json first, then what it tells of the others."""
    sizes = {name: os.fstat(handle).st_size for name, handle in handles.items()}
    for name, most in _MOST_BYTES.items():
        if sizes[name] > most:
            raise BadInput(f"{path / name} has {_size(sizes[name])}; decet reads at most {_size(most)}.")
    files = {"model.json": _read_bytes(handles["model.json"], sizes["model.json"])}
    table = _describe(files["model.json"])["files"]
    for name in FILES[1:]:
        _check_size(name, sizes[name], table[name]["bytes"], os.pread(handles[name], 16, 0))
        files[name] = _read_bytes(handles[name], sizes[name])
    return files


def _read_bytes(handle: int, size: int) -> bytes:
    with open(handle, "rb", closefd=False) as file:
        return file.read(size)


def write(folder: str | Path, files: Mapping[str, bytes]) -> None:
    """Put a packed model into `folder`, made where missing. Other files there stay; an old model goes only whole."""
    _check_names(files)
    path = Path(folder)
    with lock(path), _writing, _explained(path), ExitStack() as opened:
        inside = _open_folder(path, opened)
        _finish(inside)
        for name in FILES:
            if _kind(inside, name) == stat.S_IFDIR:
                raise BadInput(f"{path / name} is a folder where the model's {name} must go. Remove or rename it.")
        try:
            _write_new(path, inside, files)
            os.rename(_NEW, COMMIT, src_dir_fd=inside, dst_dir_fd=inside)  # from here on it is the model
        except BaseException:
            _remove(inside, _NEW)
            raise
        os.fsync(inside)
        _finish(inside)


def _write_new(path: Path, inside: int, files: Mapping[str, bytes]) -> None:
    os.mkdir(_NEW, dir_fd=inside)
    for name in FILES:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        handle = os.open(f"{_NEW}/{name}", flags, 0o666, dir_fd=inside)
        try:
            rest = memoryview(files[name])
            while rest:
                rest = rest[os.write(handle, rest) :]
            os.fsync(handle)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
                raise BadInput(
                    f"the disk is full: {name} ({_size(len(files[name]))}) does not fit into {path}. What stood there "
                    "is unchanged. Free some space, or choose another folder."
                ) from error
            raise
        finally:
            os.close(handle)
    handle = os.open(_NEW, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=inside)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _finish(inside: int) -> None:
    """Move a committed save's files up, and sweep what an uncommitted one left. May be cut short and called again."""
    _remove(inside, _NEW)
    if _kind(inside, COMMIT) == stat.S_IFDIR:
        for name in FILES:
            if _kind(inside, f"{COMMIT}/{name}") == stat.S_IFREG:
                os.rename(f"{COMMIT}/{name}", name, src_dir_fd=inside, dst_dir_fd=inside)
        os.fsync(inside)
    _remove(inside, COMMIT)


def _kind(inside: int, name: str) -> int | None:
    """Type bits of an entry's mode, links not followed; None where there is nothing."""
    try:
        return stat.S_IFMT(os.lstat(name, dir_fd=inside).st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return None


def _remove(inside: int, name: str) -> None:
    match _kind(inside, name):
        case None:
            return
        case stat.S_IFDIR:
            shutil.rmtree(name, dir_fd=inside)
        case _:
            os.unlink(name, dir_fd=inside)


# ------------------------------------------------------------------------------------------------------------ lock

_writing = threading.Lock()  # saves of one process go one after the other
_holding = threading.Lock()  # for changes of _held
_held: dict[tuple[int, int, int], tuple[int, int]] = {}  # (process, device, inode) of a folder: (handle, how often)


@contextmanager
def lock(folder: str | Path) -> Iterator[None]:
    """Hold `folder` (made where missing) against other processes; `BadInput` where one holds it already.

    Nests within a process; a kill frees it. It is a record lock on a small file inside, which a worker forked from
    the run does not share, so a worker that outlives the run does not keep the folder.
    """
    path = Path(folder)
    with _explained(path):
        path.mkdir(parents=True, exist_ok=True)
        found = os.stat(path)
    key = (os.getpid(), found.st_dev, found.st_ino)
    with _holding:
        handle, times = _held.get(key) or (_take(path), 0)
        _held[key] = (handle, times + 1)
    try:
        yield
    finally:
        with _holding:
            handle, times = _held.pop(key)
            if times > 1:
                _held[key] = (handle, times - 1)
            else:
                with suppress(OSError):  # a file left behind locks nobody out
                    (path / _LOCK).unlink()  # before it is let go: see _take
                os.close(handle)


def _take(path: Path) -> int:
    """A handle with the lock. What was locked must still stand in the folder: its owner may just have removed it."""
    while True:
        with _explained(path):
            handle = os.open(path / _LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
        try:
            fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.samestat(os.stat(path / _LOCK, follow_symlinks=False), os.fstat(handle)):
                with suppress(OSError):  # the number is for the other run's message; a full disk is no reason to stop
                    os.ftruncate(handle, 0)
                    os.pwrite(handle, str(os.getpid()).encode(), 0)
                return handle
        except FileNotFoundError:
            pass
        except OSError as error:
            owner = os.pread(handle, 20, 0).decode("ascii", "replace")
            os.close(handle)
            if error.errno not in (errno.EACCES, errno.EAGAIN):
                raise BadInput(f"{path} cannot be locked ({_reason(error)}). Choose another disk.") from None
            who = f" (process {owner})" if owner else ""
            raise BadInput(
                f"{path} is in use by another run{who}. Wait until it has ended, or choose another folder."
            ) from None
        os.close(handle)


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """What the system refuses, as a sentence."""
    try:
        yield
    except FileExistsError:
        raise BadInput(f"{path} is a file, so no model can be saved in it. Choose another folder.") from None
    except OSError as error:
        match error.errno:
            case errno.ENOSPC | errno.EDQUOT:
                raise BadInput(f"the disk is full: nothing fits into {path} any more. Free some space.") from error
            case errno.EACCES | errno.EPERM | errno.EROFS:
                raise BadInput(f"{path} is not writable ({_reason(error)}). Choose another folder.") from error
        raise BadInput(f"{path} cannot be written ({_reason(error)}). Choose another folder.") from error


def _reason(error: Exception) -> str:
    return (getattr(error, "strerror", None) or str(error)).lower()


def _size(count: int) -> str:
    return f"{count / 1e6:,.1f} MB" if count >= 1e5 else f"{count:,} bytes"
