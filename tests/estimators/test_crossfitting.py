"""Folds put together: the best mean, rows in order, and the same again after a run was killed."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from decet.errors import BadInput
from decet.estimators.crossfitting import SPARED, Fold, pooled, read, too_short, write
from decet.tasks.conformal import Examined


def found(value: float, rows: int, spread: bool) -> Examined:
    answers = torch.full((rows, 2), value)
    return Examined(answers, answers / 10 if spread else None)


def fold(rows: list[int], scores: list[float], spread: bool = False) -> Fold:
    by_epoch = [found(10.0 * rows[0] + epoch, len(rows), spread) for epoch in range(len(scores))]
    return Fold(np.array(rows), scores, by_epoch, np.array(rows, float)[:, None] / 2)


TARGET = np.arange(6)[:, None]


def test_the_epoch_of_the_best_mean_score_gives_the_answers() -> None:
    chosen = pooled([fold([4, 1], [1.0, 3.0, 2.0]), fold([0, 5], [1.0, 2.0])], said=False, records=[], target=TARGET)
    assert chosen is not None
    assert chosen.epochs == 2
    assert chosen.rows.tolist() == [0, 1, 4, 5]
    assert chosen.held.answers[:, 0].tolist() == [1.0, 41.0, 41.0, 1.0]
    assert chosen.held.target[:, 0].tolist() == [0, 1, 4, 5]
    assert chosen.held.distances[:, 0].tolist() == [0.0, 0.5, 2.0, 2.5]
    assert chosen.held.spread is None


def test_a_length_that_was_said_is_kept() -> None:
    chosen = pooled([fold([0, 1], [3.0, 2.0, 1.0])], said=True, records=[], target=TARGET)
    assert chosen is not None
    assert chosen.epochs is None
    assert chosen.held.answers[0, 0] == 2.0


def test_folds_without_a_score_choose_nothing() -> None:
    assert pooled([fold([0], [])], said=False, records=[], target=TARGET) is None


@pytest.mark.parametrize("spread", [True, False])
def test_what_was_kept_is_found_again(tmp_path, spread: bool) -> None:
    chosen = pooled([fold([3, 2], [1.0], spread), fold([0, 1], [1.0], spread)], False, [{"epoch": 1}], TARGET)
    assert chosen is not None
    write(tmp_path / "a.safetensors", {"seed": "0"}, chosen)
    again = read(tmp_path / "a.safetensors", {"seed": "0"}, TARGET)
    assert again is not None
    assert (again.epochs, again.records, again.rows.tolist()) == (1, [{"epoch": 1}], [0, 1, 2, 3])
    for name in ("answers", "target", "distances", "spread"):
        assert np.array_equal(getattr(again.held, name), getattr(chosen.held, name)), name


def test_folds_of_another_run_are_refused(tmp_path) -> None:
    chosen = pooled([fold([0], [1.0])], False, [], TARGET)
    assert chosen is not None
    write(tmp_path / "a.safetensors", {"seed": "0", "family": "x"}, chosen)
    with pytest.raises(BadInput, match="belongs to another run: seed differ. Repeat that run's settings"):
        read(tmp_path / "a.safetensors", {"seed": "1", "family": "x"}, TARGET)


@pytest.mark.parametrize(
    ("epochs", "rows", "spent", "short"),
    [
        (2, SPARED, 1 / 6, True),
        (5, SPARED, 1 / 6, False),  # enough to choose by
        (2, SPARED - 1, 1 / 6, False),  # no rows to spare
        (2, SPARED, 1 / 12, False),  # it stopped by itself, and others will
    ],
)
def test_a_budget_may_be_too_short_for_folds(epochs: int, rows: int, spent: float, short: bool) -> None:
    assert too_short(epochs, rows, spent, fits=6) is short


def test_that_there_was_no_time_is_kept_too(tmp_path) -> None:
    write(tmp_path / "a.safetensors", {"seed": "0"}, None)
    assert read(tmp_path / "a.safetensors", {"seed": "0"}, TARGET) is None
