"""Would more data help? A model that is quick to fit, on half of the rows and on all, judged by the same test rows.

Where its score still rises by more than chance, the families', which need more rows, are likely to rise too. The
interval is over test rows; another half of the rows would move the figure, too.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from decet.contracts import LabelSpec
from decet.data.splits import split
from decet.errors import DecetError
from decet.estimators.answers import fit_answer
from decet.estimators.reading import Given
from decet.referee.contenders import Baseline, Terms, answers_taken, taken
from decet.referee.intervals import interval, resampled
from decet.referee.rows import Ground, labels_of
from decet.referee.verdict import BASELINE, Result

Array = NDArray[Any]
SHARE = 0.02  # of the time of all fits that this may take
LEAST = 0.005  # of score that is worth a word
FEWEST = 40  # rows of which half still teaches


@dataclass(frozen=True)
class Gain:
    """What a model's score gained from half of the rows to all of them, and the 95 % interval of that."""

    name: str
    half: int
    rows: int
    value: float
    low: float
    high: float

    @property
    def is_sure(self) -> bool:
        """Whether it is more than chance, and worth a word."""
        return self.low > 0 and self.value >= LEAST


def gain_of(
    ground: Ground,
    results: Mapping[str, Result],
    answers: Mapping[str, Array],
    asked: Any,
    seed: int,
    seconds: float | None = None,
) -> Gain | None:
    """By the best baseline of rows that is quick enough; None of no such, or too few rows. seconds: it may take."""
    chosen = _quick(ground, results, answers, seconds)
    if chosen is None or ground.train.rows.shape[0] < FEWEST:
        return None
    half, again = _half(ground, asked, seed), chosen.again()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what there is to say of these rows was said when all were fitted
            again.fit(half, Terms())
            before = again.answers(ground.test.rows)
    except (DecetError, ValueError, ArithmeticError, MemoryError):  # half of the rows may lack what all of them have
        return None
    items = [asked.items(each, ground.target, ground.spec) for each in (before, answers[chosen.name])]
    first, second = (float(asked.of_items(each.sum(0))) for each in items)
    scores = resampled(items, asked.of_items, seed)
    found = interval(second - first, scores[1] - scores[0])
    return Gain(chosen.name, half.rows.shape[0], ground.train.rows.shape[0], *found)


def _quick(
    ground: Ground, results: Mapping[str, Result], answers: Mapping[str, Array], seconds: float | None
) -> Baseline | None:
    """The best baseline that was fitted on all rows, and whose fit on half of them takes little time."""
    most = SHARE * sum(result.seconds for result in results.values())
    most = most if seconds is None else min(most, seconds)
    able = []
    for one in ground.baselines:
        if isinstance(one, Baseline) and one.kind == BASELINE and one.name in answers:
            result = results[one.name]
            whole = result.rows >= ground.train.rows.shape[0]
            if result.is_defined and result.score is not None and whole and result.seconds / 2 <= most:
                able.append((result.score.value, one))
    return max(able, key=lambda pair: pair[0])[1] if able else None


def _half(ground: Ground, asked: Any, seed: int) -> Given:
    """Half of the rows to train, each class in proportion; of times the later half."""
    given, count = ground.train, ground.train.rows.shape[0]
    if ground.order is not None:
        rows = np.sort(np.argsort(np.asarray(ground.order), kind="stable")[count // 2 :])
    else:
        answer = fit_answer(asked, given.answers)
        labels = labels_of(answer, given.answers) if isinstance(answer.spec, LabelSpec) else None
        rows = split(count, seed=seed, labels=labels, fractions=(0.5, 0.0, 0.5)).train
    return Given(taken(given.rows, rows), answers_taken(given.answers, rows), given.source, given.targets)
