"""What the folds of cross-fitting found, put together, and kept for a run that is killed after them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from decet.errors import BadInput, listed
from decet.estimators.trust import Held
from decet.tasks.conformal import Examined
from decet.training.checkpoint import read_tree, write_tree

Array = NDArray[Any]
SHORT = 5  # epochs of a fold that are too few to tell anything
SPARED = 1_000  # rows from which a fifth can be spared


class Fold(NamedTuple):
    """rows: held out; scores, found: after each epoch; distances: how unlike the others the rows are in the end."""

    rows: Array
    scores: list[float]
    found: list[Examined]
    distances: Array


class Pooled(NamedTuple):
    """What is kept of all folds; epochs: None where the user said how long to train; rows: rising."""

    epochs: int | None
    records: list[dict[str, Any]]
    rows: Array
    held: Held


def pooled(folds: Sequence[Fold], said: bool, records: list[dict[str, Any]], target: Array) -> Pooled | None:
    """The best number of epochs by the folds' mean score (said: the last), and each row's answers after so many."""
    shortest = min(len(fold.scores) for fold in folds)
    if shortest == 0:
        return None
    mean = np.mean([fold.scores[:shortest] for fold in folds], axis=0)
    best = shortest - 1 if said else int(np.argmax(mean))
    rows = np.concatenate([fold.rows for fold in folds])
    order = np.argsort(rows, kind="stable")
    chosen = [fold.found[best] for fold in folds]
    spread = [found.spread.numpy() for found in chosen if found.spread is not None]
    held = Held(
        np.concatenate([found.answers.numpy() for found in chosen])[order],
        target[rows[order]],
        np.concatenate(spread)[order] if spread else None,
        np.concatenate([fold.distances for fold in folds])[order],
    )
    return Pooled(None if said else best + 1, records, rows[order], held)


def too_short(epochs: int, rows: int, spent: float, fits: int) -> bool:
    """Whether the first of so many fits got too few epochs; spent: which share of the budget is gone after it."""
    stopped = spent < 0.8 / fits  # by itself, not by the budget
    return epochs < SHORT and rows >= SPARED and not stopped


def write(path: Path, identity: dict[str, str], found: Pooled | None) -> None:
    """Keep it for the run of this identity; None: that there was no time for folds."""
    if found is None:
        write_tree(path, {"identity": identity})
        return
    arrays = {"rows": found.rows, "answers": found.held.answers, "distances": found.held.distances}
    if found.held.spread is not None:
        arrays["spread"] = found.held.spread
    told = {"identity": identity, "epochs": found.epochs, "records": found.records}
    write_tree(path, told | {name: torch.from_numpy(array) for name, array in arrays.items()})


def read(path: Path, identity: dict[str, str], target: Array) -> Pooled | None:
    """What was kept. Raises BadInput where it is of another run."""
    saved = read_tree(path)
    if saved["identity"] != identity:
        differ = [name for name in identity if saved["identity"].get(name) != identity[name]]
        raise BadInput(
            f"the checkpoint in {path.parent} belongs to another run: {listed(differ)} differ. "
            f"Repeat that run's settings, choose another --out, or start anew with --overwrite."
        )
    if "rows" not in saved:
        return None
    rows = saved["rows"].numpy()
    spread = saved["spread"].numpy() if "spread" in saved else None
    held = Held(saved["answers"].numpy(), target[rows], spread, saved["distances"].numpy())
    return Pooled(saved["epochs"], saved["records"], rows, held)
