"""Which rows train, which stop training early, which calibrate, and which test: never the same row twice.

A split is a pure function of its arguments and the seed. Rows are laid out on a line and the line is cut. With labels,
each class is spread evenly over the line, so that every piece has every class in proportion; with groups, all rows of
a group stand together and no cut goes through them; with an order, the line is time, and later rows judge earlier ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import pandas as pd

from decet.errors import BadInput, check_range, listed


@dataclass(frozen=True)
class Splits:
    """Row positions, each int64, rising, and in one part only."""

    train: np.ndarray
    validation: np.ndarray
    calibration: np.ndarray
    test: np.ndarray

    def __post_init__(self) -> None:
        for part in fields(self):
            object.__setattr__(self, part.name, np.sort(np.asarray(getattr(self, part.name), dtype=np.int64)))


def split(
    n: int,
    *,
    seed: int,
    labels: Any = None,
    groups: Any = None,
    order: Any = None,
    fractions: tuple[float, float, float] = (0.8, 0.1, 0.1),
    test: float = 0.0,
) -> Splits:
    """Divide n rows: `test` of them to test, the others in `fractions` to train, validation and calibration.

    labels  (n,) classes to keep in proportion; each class with any row has one in train
    groups  (n,) whose rows stay together, as copies or patients
    order   (n,) times: train is earliest, then validation, calibration, test; equal times stay together

    Raises `BadInput` where there are fewer groups than parts, or both groups and order are given.
    """
    check_range("test", test, 0, 1)
    if len(fractions) != 3 or min(fractions) < 0 or not np.isclose(sum(fractions), 1) or fractions[0] == 0:
        raise BadInput(f"fractions (train, validation, calibration) must sum to 1. Received: {fractions}.")
    if test == 1:
        raise BadInput("test must be less than 1, or no row is left to train on.")
    shares = np.array([*((1 - test) * np.array(fractions)), test])
    line, blocks = _line(n, seed, labels, groups, order)
    part = _cut(blocks, _sizes(n, shares))
    if order is None and groups is None and labels is not None:
        _give_train_every_class(part, np.asarray(labels)[line])
    return Splits(*(line[part == index] for index in range(4)))


def folds(
    n: int, k: int, *, seed: int, labels: Any = None, groups: Any = None, order: Any = None
) -> list[tuple[np.ndarray, np.ndarray]]:
    """k pairs (train, held out) of rising row positions; every row is held out once.

    With an order, the earliest block is never held out and each later block is judged by what came before it.
    Raises `BadInput` where there are fewer rows or groups than folds.
    """
    check_range("k", k, 2, whole=True)
    line, blocks = _line(n, seed, labels, groups, order)
    count = k if order is None else k + 1
    there = int(blocks[-1]) + 1 if n else 0
    if there < count:
        unit = "rows" if groups is None and order is None else "groups" if order is None else "different times"
        raise BadInput(f"{k} folds need at least {count} {unit}. Received: {there}.")
    part = _cut(blocks, _sizes(n, np.full(count, 1 / count)))
    if order is None:
        return [(np.sort(line[part != fold]), np.sort(line[part == fold])) for fold in range(k)]
    return [(np.sort(line[part < fold]), np.sort(line[part == fold])) for fold in range(1, k + 1)]


def _line(n: int, seed: int, labels: Any, groups: Any, order: Any) -> tuple[np.ndarray, np.ndarray]:
    """Rows in the order in which they are cut, and the block (0, 1, ...) that each belongs to and that is never cut."""
    for name, values in (("labels", labels), ("groups", groups), ("order", order)):
        if values is not None and len(values) != n:
            raise BadInput(f"{name} must have one value a row. Received: {len(values)} for {n} rows.")
    if groups is not None and order is not None:
        raise BadInput("a split goes by groups or by order, not by both. Leave one out.")
    rng = np.random.Generator(np.random.Philox(seed))
    if order is not None:
        return _in_order(pd.Series(np.asarray(order)))
    if groups is None:
        classes = np.zeros(n, dtype=np.int64) if labels is None else pd.factorize(np.asarray(labels))[0]
        return _spread(classes, np.ones(n, dtype=np.int64), rng), np.arange(n)
    return _grouped(codes_of("groups", np.asarray(groups)), labels, rng)


def codes_of(name: str, values: Any, sort: bool = False) -> np.ndarray:
    """Which of the distinct values each is (n,), missing ones as one of them; sort: in their order.

    Raises BadInput for values that have no equal, and for such of several kinds where they are sorted.
    """
    try:
        if sort and pd.api.types.infer_dtype(values, skipna=True).startswith("mixed"):
            raise TypeError("they have no order")
        codes: np.ndarray = pd.factorize(values, sort=sort, use_na_sentinel=False)[0]
    except TypeError as error:
        kinds = sorted({type(value).__name__ for value in values})
        allowed = f"numbers, texts or dates{', all of one kind' if sort else ''}"
        raise BadInput(f"{name} must be {allowed}. Received: {listed(kinds)}.") from error
    return codes


def _in_order(times: pd.Series) -> tuple[np.ndarray, np.ndarray]:
    if times.isna().any():
        raise BadInput(f"order is missing in row {int(np.argmax(times.isna()))}; every row needs its time.")
    codes = codes_of("order", times, sort=True)
    line = np.argsort(codes, kind="stable")
    return line, codes[line]


def _grouped(owner: np.ndarray, labels: Any, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    sizes = np.bincount(owner)
    classes = np.zeros(len(sizes), dtype=np.int64)
    if labels is not None:
        classes[owner[::-1]] = pd.factorize(np.asarray(labels))[0][::-1]  # the class of a group's first row
    spread = _spread(classes, sizes, rng)
    large = sizes[spread] > max(1, len(owner) / 10)
    spread = spread[np.argsort(~large, kind="stable")]  # large groups first, where train stands
    place = np.empty(len(sizes), dtype=np.int64)
    place[spread] = np.arange(len(sizes))
    line = np.argsort(place[owner], kind="stable")
    return line, place[owner][line]


def _spread(classes: np.ndarray, sizes: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A random order of items in which each class is spread evenly, by size."""
    shuffled = rng.permutation(len(classes))
    shuffled = shuffled[np.argsort(classes[shuffled], kind="stable")]
    ordered, weight = classes[shuffled], sizes[shuffled].astype(np.float64)
    if not len(ordered):
        return shuffled
    total = np.bincount(ordered, weights=weight, minlength=ordered[-1] + 1)
    before = np.cumsum(weight) - weight
    first = np.concatenate([[0.0], np.cumsum(total)[:-1]])
    within = before - first[ordered] + weight * rng.random(len(ordered))  # its place among its class
    return shuffled[np.argsort(within / total[ordered], kind="stable")]


def _sizes(n: int, shares: np.ndarray) -> np.ndarray:
    """Whole numbers of rows that sum to n: the largest remainders are rounded up; train has a row whatever else."""
    exact = shares * n
    sizes = np.floor(exact).astype(np.int64)
    short = n - int(sizes.sum())
    sizes[np.argsort(sizes - exact, kind="stable")[:short]] += 1
    asked = np.flatnonzero(shares > 0)
    for part in asked:  # with few rows a part may have rounded to none
        if sizes[part] == 0 and n and (part == 0 or n >= 2 * len(asked)):
            sizes[np.argmax(sizes)] -= 1
            sizes[part] = 1
    return sizes


def _cut(blocks: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """The part of each row on the line; a block goes where its middle falls, and no part asked for stays empty."""
    count = int(blocks[-1]) + 1 if len(blocks) else 0
    rows = np.bincount(blocks, minlength=count)
    middle = np.cumsum(rows) - rows / 2
    part = np.searchsorted(np.cumsum(sizes), middle, side="left")
    part = np.minimum(part, len(sizes) - 1)
    asked = np.flatnonzero(sizes)
    if count < len(asked):
        raise BadInput(f"{len(asked)} parts need at least {len(asked)} groups or different times. Received: {count}.")
    _fill_empty(part, asked)
    return part[blocks]


def _fill_empty(part: np.ndarray, asked: Sequence[int] | np.ndarray) -> None:
    """Move single blocks along the line, so that each part asked for has at least one."""
    for index, name in enumerate(asked):
        low, high = index, len(part) - (len(asked) - index)  # the first block this part may start at, and the last
        start = int(np.searchsorted(part, name, side="left"))
        start = min(max(start, low), high)
        part[start] = name
        part[:start] = np.minimum(part[:start], asked[index - 1] if index else name)
        part[start + 1 :] = np.maximum(part[start + 1 :], name)


def _give_train_every_class(part: np.ndarray, classes: np.ndarray) -> None:
    """Exchange rows so that a class with few rows is trained on."""
    absent = np.setdiff1d(classes, classes[part == 0])
    for name in absent:
        mine = int(np.flatnonzero(classes == name)[0])
        found, counts = np.unique(classes[part == 0], return_counts=True)
        if counts.max() < 2:
            return
        theirs = int(np.flatnonzero((classes == found[np.argmax(counts)]) & (part == 0))[-1])
        part[mine], part[theirs] = part[theirs], part[mine]
