"""Training rows whose label is likely wrong, named so that a person can look at them."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from decet.data.resident import taken
from decet.estimators.asking import bulk_of, examined
from decet.estimators.trust import Held
from decet.tasks.dynamics import MOST, doubted_rows, hard_rows, other_classes

Array = NDArray[Any]


def among_held(held: Held, rows: Array, names: list[Any]) -> list[dict[str, Any]]:
    """By the answers of networks that never saw them; rows: which these are; names: of the classes."""
    ids = held.target[:, 0]
    places = doubted_rows(held.answers, ids)
    return _told(rows[places], ids[places], held.answers[places], names)


def among_learned(
    learner: Any, inputs: Any, ids: Array, device: torch.device, spec: Any, names: list[Any]
) -> list[dict[str, Any]]:
    """By how hard they were to learn; ids: the classes of all rows."""
    if learner.margins is None or not len(rows := hard_rows(learner.margins.means())):
        return []
    chances = examined(learner, taken(inputs, torch.as_tensor(rows)), device, bulk_of(spec), spec).answers.numpy()
    each = np.arange(len(rows))
    likelier = chances[each, other_classes(chances, ids[rows])] > chances[each, ids[rows]]
    return _told(rows[likelier], ids[rows[likelier]], chances[likelier], names)[:MOST]


def _told(rows: Array, ids: Array, chances: Array, names: list[Any]) -> list[dict[str, Any]]:
    """row: its place among those given; label: what it has; instead: what it looks like; the chances of both."""
    others = other_classes(chances, ids)
    return [
        {
            "row": int(row),
            "label": names[label],
            "instead": names[other],
            "chance_of_label": round(float(own[label]), 6),
            "chance_instead": round(float(own[other]), 6),
        }
        for row, label, other, own in zip(rows, ids, others, chances, strict=True)
    ]
