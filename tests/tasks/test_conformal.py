"""Sets and intervals: worked by hand, covering as often as asked whatever the network is worth."""

from __future__ import annotations

import numpy as np
import pytest

from decet.errors import BadInput
from decet.tasks.conformal import MOST, Scores, check_coverage, intervals, label_scores, label_sets, number_scores


def test_the_threshold_is_the_score_of_the_stated_rank() -> None:
    scores = Scores.of([np.array([0.4, 0.1, 0.3, 0.2])])  # five places for a new score: (4 + 1) * 0.6 = the third
    assert scores.thresholds(0.6) == pytest.approx([0.3])
    assert scores.thresholds(0.8) == pytest.approx([0.4])


def test_of_several_columns_each_has_its_own_threshold() -> None:
    scores = Scores.of([np.array([1.0, 2.0, 3.0]), np.array([10.0])])
    assert scores.thresholds(0.5) == pytest.approx([2.0, 10.0])


def test_where_rows_are_too_few_to_tell_everything_is_inside() -> None:
    scores = Scores.of([np.linspace(0, 1, 8)])
    assert scores.thresholds(0.88) == pytest.approx([1.0])
    assert np.isinf(scores.thresholds(0.9)).all()
    assert label_sets(np.array([[1.0, 0.0]]), float(scores.thresholds(0.9)[0])).all()


def test_more_coverage_than_the_rows_can_tell_is_refused() -> None:
    with pytest.raises(BadInput) as error:
        check_coverage(0.99, 25)
    assert str(error.value) == (
        "coverage 0.99 needs 99 rows that are not trained on, and there are 25. Ask for at most 0.961."
    )
    check_coverage(0.961, 25)
    check_coverage(0.99, 99)


@pytest.mark.parametrize("coverage", [0.0, 1.0, -1, float("nan"), "much"])
def test_a_coverage_that_is_none_is_refused(coverage) -> None:
    with pytest.raises(BadInput, match="coverage must be a number between 0.01 and 0.999"):
        check_coverage(coverage, 25)


def test_of_very_many_scores_some_are_kept_and_the_threshold_hardly_moves() -> None:
    drawn = np.random.default_rng(0).random(5 * MOST)
    scores = Scores.of([drawn])
    assert len(scores.columns[0]) == MOST
    assert scores.columns[0][-1] == np.float32(drawn.max())
    assert scores.thresholds(0.9)[0] == pytest.approx(np.quantile(drawn, 0.9), abs=1e-4)


def test_label_sets_by_hand() -> None:
    chances = np.array([[0.7, 0.2, 0.1], [0.4, 0.35, 0.25], [0.34, 0.33, 0.33]])
    assert label_scores(chances, np.array([0, 2, -1])) == pytest.approx([0.3, 0.75])
    assert label_sets(chances, 0.66).tolist() == [[True, False, False], [True, True, False], [True, False, False]]
    assert not label_sets(chances, 0.2).any()  # nobody is so sure


def test_a_score_at_the_threshold_is_inside() -> None:
    chances = np.random.default_rng(0).dirichlet(np.ones(5), 1000)
    ids = np.random.default_rng(1).integers(0, 5, 1000)
    scores = label_scores(chances, ids)
    for row in range(0, 1000, 97):
        assert label_sets(chances[[row]], float(scores[row]))[0, ids[row]]


def test_number_scores_leave_gaps_out() -> None:
    scores = number_scores(np.array([1.0, 2.0, 3.0]), np.array([2.0, np.nan, 1.0]), np.array([1.0, 1.0, 4.0]))
    assert scores == pytest.approx([1.0, 0.5])


def test_intervals_are_as_wide_as_the_scale_says() -> None:
    found = intervals(np.array([[10.0], [20.0]]), np.array([[1.0], [3.0]]), np.array([2.0]))
    assert found[:, 0].tolist() == [[8.0, 12.0], [14.0, 26.0]]


@pytest.mark.parametrize("coverage", [0.5, 0.9, 0.99])
def test_sets_of_a_poor_model_cover_as_often_as_asked(coverage: float) -> None:
    """500 draws of 200 held-out and 200 new rows: the mean coverage is the one asked for, up to what rounding adds."""
    rng, covered = np.random.default_rng(0), []
    for _ in range(500):
        ids = rng.integers(0, 3, 400)
        chances = rng.dirichlet(np.ones(3), 400)
        chances[np.arange(400), ids] += 0.3
        chances /= chances.sum(1, keepdims=True)
        q = Scores.of([label_scores(chances[:200], ids[:200])]).thresholds(coverage)[0]
        covered.append(label_sets(chances[200:], q)[np.arange(200), ids[200:]].mean())
    assert coverage - 0.004 <= np.mean(covered) <= coverage + 1 / 201 + 0.004


def test_intervals_of_a_poor_model_cover_as_often_as_asked() -> None:
    rng, covered = np.random.default_rng(0), []
    for _ in range(500):
        x = rng.normal(size=400)
        truth, scale = x + np.abs(x) * rng.standard_t(3, 400), np.abs(x) + 0.1
        answers = np.full(400, 0.3)
        q = Scores.of([number_scores(answers[:200], truth[:200], scale[:200])]).thresholds(0.9)
        ends = intervals(answers[200:, None], scale[200:, None], q)[:, 0]
        covered.append(((ends[:, 0] <= truth[200:]) & (truth[200:] <= ends[:, 1])).mean())
    assert 0.896 <= np.mean(covered) <= 0.909
