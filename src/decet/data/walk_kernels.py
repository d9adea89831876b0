"""The compiled half of `walks`: a walk after the other, each on one thread; made by numba."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit

from decet.data.walks import GAMMA, MIX, TRIES

LOW, HALF = np.uint64(0xFFFFFFFF), np.uint64(32)
WHOLE = 2.0**32


def compiled(function: Callable[..., Any]) -> Any:
    """A function compiled, on the disk for the next time, where numba finds a folder that it may write to."""
    try:
        return njit(cache=True)(function)
    except RuntimeError:
        return njit(function)


@compiled
def bits(seed: Any, place: Any) -> Any:
    """64 random bits; see `walks.bits`."""
    z = seed + place * GAMMA
    z = (z ^ (z >> np.uint64(30))) * MIX[0]
    z = (z ^ (z >> np.uint64(27))) * MIX[1]
    return z ^ (z >> np.uint64(31))


@compiled
def _first(values: Any, low: int, top: int, bar: Any) -> int:
    """The first place from low to top whose value is above the bar."""
    while low < top:
        middle = (low + top) // 2
        if values[middle] <= bar:
            low = middle + 1
        else:
            top = middle
    return low


@compiled
def _joined(others: Any, begin: int, end: int, node: int) -> bool:
    low, top = begin, end
    while low < top:
        middle = (low + top) // 2
        if others[middle] < node:
            low = middle + 1
        else:
            top = middle
    return low < end and others[low] == node


@compiled
def walk(
    offsets: Any, others: Any, shares: Any, starts: Any, seed: Any, plain: bool, back: float, near: float, away: float,
    found: Any,
) -> None:  # fmt: skip
    """Fill found (W, length); see `walks.Walker.walks`."""
    count, length = found.shape
    for i in range(count):
        at, last = starts[i], -1
        found[i, 0] = at
        found[i, 1:] = -1
        for step in range(1, length):
            begin, end = offsets[at], offsets[at + 1]
            if begin == end:
                break
            place, new = (np.uint64(i) * np.uint64(length) + np.uint64(step)) * np.uint64(TRIES), -1
            for number in range(TRIES):
                drawn = bits(seed, place + np.uint64(number))
                if len(shares):
                    new = others[_first(shares, begin, end - 1, np.float64(drawn >> HALF) / WHOLE)]
                else:
                    new = others[begin + np.int64(((drawn >> HALF) * np.uint64(end - begin)) >> HALF)]
                if plain or last < 0:
                    break
                chance = away
                if new == last:
                    chance = back
                elif _joined(others, offsets[last], offsets[last + 1], new):
                    chance = near
                if np.float64(drawn & LOW) / WHOLE < chance:
                    break
            found[i, step] = new
            last, at = at, new
