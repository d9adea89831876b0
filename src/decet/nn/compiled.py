"""What the compiled kernels have in common: memory by its address, a worker's turns, and functions kept on the disk.

Only modules of kernels import this, and only when one is needed: numba takes half a second to import.
"""

# mypy: disable-error-code="attr-defined, call-arg"
# numba's types do not know what its intrinsics take.

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import cfunc, njit, types
from numba.extending import intrinsic

WORD = ir.IntType(64)
HEAD = 4  # numbers that nn.team writes before a job's own


def pointer(build: Any, address: Any, kind: Any) -> Any:
    return build.inttoptr(address, kind.as_pointer())


@intrinsic
def at(typing: Any, address: Any) -> Any:
    """What lies at an address, for `carray`."""
    return types.voidptr(types.int64), lambda context, build, signature, given: pointer(build, given[0], ir.IntType(8))


@intrinsic
def _ask(typing: Any, function: Any) -> Any:
    """Call the C function `int f(void)` at an address."""

    def make(context: Any, build: Any, signature: Any, given: Any) -> Any:
        kind = ir.FunctionType(ir.IntType(32), [])
        return build.sext(build.call(pointer(build, given[0], kind), []), WORD)

    return types.int64(types.int64), make


@intrinsic
def widely(typing: Any) -> Any:
    """Have the loops of the function that says so use the widest registers; LLVM holds half of them back."""

    def make(context: Any, build: Any, signature: Any, given: Any) -> Any:
        set.add(build.function.attributes, '"prefer-vector-width"="512"')  # llvmlite's own add knows plain names only
        return context.get_dummy_value()

    return types.void(), make


@intrinsic
def wait(typing: Any, function: Any) -> Any:
    """Call the C function void(void) at an address."""

    def make(context: Any, build: Any, signature: Any, given: Any) -> Any:
        build.call(pointer(build, given[0], ir.FunctionType(ir.VoidType(), [])), [])
        return context.get_dummy_value()

    return types.void(types.int64), make


@njit
def turns(job: Any) -> Any:
    """(first, workers, step): which workers this call stands for, out of a job's `HEAD`.

    The team may be smaller than was asked for, so a thread may stand for several.
    """
    if job[0] == 0:
        return job[2], job[2] + 1, 1
    return _ask(job[0]), job[3], _ask(job[1])


def kept(function: Callable[..., None]) -> Any:
    """A C function void(*numbers), on the disk for the next time where numba finds a folder that it may write to."""
    kind = types.void(types.CPointer(types.int64))
    try:
        return cfunc(kind, cache=True, error_model="numpy")(function)
    except (RuntimeError, OSError):
        return cfunc(kind, error_model="numpy")(function)
