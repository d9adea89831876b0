"""Planetoid's raw files (ind.NAME.x, .graph, ...; Yang et al., 1603.08861), read without running what they say.

They are pickles of Python 2. A pickle is a program for a small machine; here that machine knows arrays, sparse
matrices, lists, dicts and numbers, and refuses everything else: no name in a file is ever looked up and called.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from decet.data.graphs import Graph
from decet.errors import BadInput

Array = NDArray[Any]
PARTS = ("x", "tx", "allx", "y", "ty", "ally", "graph", "test.index")
VALIDATED = 500  # nodes after those that train, as the public split has it
MOST = 1 << 26  # operations of a file


def raw_parts(path: Path) -> dict[str, Path] | None:
    """The files of the graph that a path is one of, by their parts; None for another path."""
    if not path.name.startswith("ind."):
        return None
    name = path.name[4:]
    part = next((part for part in PARTS if name.endswith(f".{part}")), None)
    name = name if part is None else name[: -len(part) - 1]
    found = {part: path.parent / f"ind.{name}.{part}" for part in PARTS}
    missing = [file.name for file in found.values() if not file.is_file()]
    if missing and part is None:
        return None
    if missing:
        raise BadInput(f"{path.parent} has not all files of this graph: {', '.join(missing)} is missing.")
    return found


def read_raw(path: Path) -> Graph:
    """The graph of raw Planetoid files with its public split."""
    files = raw_parts(path)
    if files is None:
        raise BadInput(f"{str(path)!r} is none of a graph's raw files (ind.NAME.graph).")
    held = {part: unpickled(files[part]) for part in PARTS[:-1]}
    try:
        order = np.array([int(line) for line in files["test.index"].read_text().split()])
        return _assembled(held, order)
    except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise BadInput(f"the raw files beside {str(path)!r} do not fit together ({error}).") from error


def _assembled(held: dict[str, Any], order: Array) -> Graph:
    """Test nodes stand in an order of their own; some of Citeseer's are not there at all: no features, no label."""
    trained, known = held["y"].shape[0], held["allx"].shape[0]
    count = max(int(order.max()) + 1, known + len(order))
    place = np.concatenate([np.arange(known), order])
    for part in ("allx", "tx"):
        held[part].check_format(full_check=True)
    rows = sparse.vstack([held["allx"], held["tx"]]).tocsr()
    spread = sparse.csr_matrix((np.ones(len(place)), (place, np.arange(len(place)))), (count, len(place)))
    marks = np.concatenate([held["ally"], held["ty"]])
    labels = np.full(count, None, dtype=object)
    labels[place] = [int(mark.argmax()) if mark.any() else None for mark in marks]
    joined = [(node, other) for node, others in held["graph"].items() for other in others]
    edges = np.unique(np.sort(np.array(joined, np.int64), 1), axis=0).T
    train = np.arange(trained)
    splits = {"train": train, "validation": np.arange(trained, min(known, trained + VALIDATED)), "test": np.sort(order)}
    return Graph(edges, count=count, features=(spread @ rows).astype(np.float32), labels=labels, splits=splits)


# --------------------------------------------------------------------------------------------------- a small machine


class _Made:
    """What a file asks to be made: the name it gives, what it is made of, and the state it is given."""

    def __init__(self, name: str, given: tuple[Any, ...]) -> None:
        self.name, self.given = name, given
        self.state: Any = None


_MARK = object()
_KNOWN = {
    "numpy.core.multiarray _reconstruct": "array",
    "numpy._core.multiarray _reconstruct": "array",
    "numpy.core.multiarray scalar": "scalar",
    "numpy._core.multiarray scalar": "scalar",
    "numpy ndarray": "ndarray",
    "numpy dtype": "dtype",
    "scipy.sparse.csr csr_matrix": "matrix",
    "scipy.sparse._csr csr_matrix": "matrix",
    "copy_reg _reconstructor": "object",
    "copyreg _reconstructor": "object",
    "__builtin__ object": "base",
    "builtins object": "base",
    "collections defaultdict": "dict",
    "__builtin__ list": "list",
    "builtins list": "list",
}


def unpickled(path: Path) -> Any:
    """Arrays, matrices, dicts and lists of a file. Raises BadInput for one that holds anything else."""
    try:
        return _Machine(path).run(path.read_bytes())
    except BadInput:
        raise
    except (
        ValueError,
        LookupError,
        TypeError,
        AttributeError,
        OSError,
        EOFError,
        OverflowError,
        RecursionError,
    ) as error:
        raise BadInput(f"{str(path)!r} is cut short or damaged ({type(error).__name__}: {error}).") from error


class _Machine:
    """One run over a file's operations."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.stack: list[Any] = []
        self.memory: dict[int, Any] = {}

    def run(self, raw: bytes) -> Any:
        for number, (operation, argument, _) in enumerate(pickletools.genops(raw)):
            name = operation.name
            if name == "STOP":
                return _finished(self.stack.pop())
            if number > MOST:
                raise BadInput(f"{str(self.path)!r} has more operations than any graph needs.")
            self._do(name, argument)
        raise ValueError("it has no end")

    def _do(self, name: str, argument: Any) -> None:
        stack = self.stack
        if name in _PUSHED:
            stack.append(argument)
        elif name in _EMPTY:
            stack.append(_EMPTY[name]())
        elif name in ("PUT", "BINPUT", "LONG_BINPUT"):
            self.memory[int(argument)] = stack[-1]
        elif name == "MEMOIZE":
            self.memory[len(self.memory)] = stack[-1]
        elif name in ("GET", "BINGET", "LONG_BINGET"):
            stack.append(self.memory[int(argument)])
        elif name in ("GLOBAL", "STACK_GLOBAL"):
            self._look_up(argument if name == "GLOBAL" else " ".join(reversed([stack.pop(), stack.pop()])))
        elif name in _STEPS:
            _STEPS[name](self)
        elif name not in ("PROTO", "FRAME"):
            raise BadInput(f"{str(self.path)!r} is no graph of Planetoid's: it asks for {name}.")

    def _look_up(self, name: str) -> None:
        if name not in _KNOWN:
            raise BadInput(
                f"{str(self.path)!r} is no graph of Planetoid's: it asks for {name.replace(' ', '.')!r}, which is "
                "neither an array nor a matrix. Nothing of it was run."
            )
        self.stack.append(_Made("name", (_KNOWN[name],)))

    def marked(self) -> list[Any]:
        """What lies above the last mark."""
        place = len(self.stack) - 1 - next(i for i, x in enumerate(reversed(self.stack)) if x is _MARK)
        found = self.stack[place + 1 :]
        del self.stack[place:]
        return found

    def call(self) -> None:
        given, function = self.stack.pop(), self.stack.pop()
        if not isinstance(function, _Made) or function.name != "name":
            raise ValueError("it calls what is no name")
        self.stack.append(_called(function.given[0], given))

    def build(self) -> None:
        state = self.stack.pop()
        if not isinstance(self.stack[-1], _Made):
            raise ValueError("it gives a state to what has none")
        self.stack[-1].state = state

    def extend(self) -> None:
        found = self.marked()
        self.stack[-1].extend(found)

    def fill(self) -> None:
        found = self.marked()
        self.stack[-1].update(zip(found[::2], found[1::2], strict=True))

    def dict_of(self) -> None:
        found = self.marked()
        self.stack.append(dict(zip(found[::2], found[1::2], strict=True)))

    def append(self) -> None:
        value = self.stack.pop()
        self.stack[-1].append(value)

    def set(self) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        self.stack[-1][key] = value

    def tuple_of(self, count: int) -> None:
        found = tuple(self.stack[-count:])
        del self.stack[-count:]
        self.stack.append(found)


_PUSHED = {
    "INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT", "STRING", "BINSTRING",
    "SHORT_BINSTRING", "UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8",
}  # fmt: skip
_EMPTY: dict[str, Callable[[], Any]] = {
    "EMPTY_LIST": list,
    "EMPTY_DICT": dict,
    "EMPTY_TUPLE": tuple,
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "MARK": lambda: _MARK,
}
_STEPS: dict[str, Callable[[_Machine], None]] = {
    "TUPLE": lambda m: m.stack.append(tuple(m.marked())),
    "LIST": lambda m: m.stack.append(list(m.marked())),
    "TUPLE1": lambda m: m.tuple_of(1),
    "TUPLE2": lambda m: m.tuple_of(2),
    "TUPLE3": lambda m: m.tuple_of(3),
    "DICT": _Machine.dict_of,
    "APPEND": _Machine.append,
    "APPENDS": _Machine.extend,
    "SETITEM": _Machine.set,
    "SETITEMS": _Machine.fill,
    "REDUCE": _Machine.call,
    "NEWOBJ": _Machine.call,
    "BUILD": _Machine.build,
    "POP": lambda m: m.stack.pop() and None,
}


def _called(name: str, given: tuple[Any, ...]) -> Any:
    """What a call of a known name gives: empty dicts and lists at once, all else when its state is known."""
    if name == "dict":
        return {}
    if name == "list":
        return []
    if name == "object":  # of copy_reg: (class, base, state)
        return _Made(given[0].given[0], ())
    return _Made(name, given)


def _finished(thing: Any) -> Any:
    """What was asked to be made, made."""
    if isinstance(thing, dict):
        return {_finished(key): _finished(value) for key, value in thing.items()}
    if isinstance(thing, (list, tuple)):
        return type(thing)(_finished(part) for part in thing)
    if not isinstance(thing, _Made):
        return thing
    match thing.name:
        case "dtype":
            return _dtype(thing)
        case "array":
            return _array(*thing.state)
        case "scalar":
            kind, raw = thing.given
            return np.frombuffer(_bytes(raw), _dtype(kind))[0].item()
        case "matrix":
            state = {str(_text(key)): _finished(value) for key, value in thing.state.items()}
            parts = (state["data"], state["indices"], state["indptr"])
            return sparse.csr_matrix(parts, shape=tuple(state["_shape"]))
    raise ValueError(f"it makes a {thing.name}")


def _array(version: int, shape: tuple[int, ...], kind: _Made, fortran: bool, raw: Any) -> Array:
    if isinstance(raw, list):
        raise ValueError("an array of objects")
    flat = np.frombuffer(_bytes(raw), _dtype(kind))
    return flat.reshape(shape, order="F" if fortran else "C").copy()


def _dtype(made: _Made) -> np.dtype[Any]:
    """Numbers only."""
    code, order = _text(made.given[0]), ""
    if isinstance(made.state, tuple) and len(made.state) > 1:
        order = str(_text(made.state[1])).replace("|", "")
    found = np.dtype(f"{order}{code}")
    if found.kind not in "biuf":
        raise ValueError(f"an array of {found}")
    return found


def _text(value: Any) -> Any:
    return value.decode("latin-1") if isinstance(value, bytes) else value


def _bytes(raw: Any) -> bytes:
    """Python 2 wrote bytes as text; every character is one."""
    return raw.encode("latin-1") if isinstance(raw, str) else bytes(raw)
