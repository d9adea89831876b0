"""The verdict in words: each case that a comparison can come to."""

from __future__ import annotations

import pytest

from decet.referee.intervals import Interval
from decet.referee.verdict import Result, duration_of, ranked, size_of, tied, verdict


def made(name: str, kind: str, value: float, low: float = 0.0, seconds: float = 1.0, latency: float = 1.0) -> Result:
    """A result `value` high, whose distance to the best, 0.9, is at least `low` with 95 %."""
    score, behind = Interval(value, value - 0.02, value + 0.02), Interval(0.9 - value, low, 1.0 - value)
    return Result(name, kind, score, behind, seconds=seconds, latency=latency)


FLOOR = made("the most common class", "floor", 0.4, 0.4)
BEST = made("CNN", "family", 0.9)
CLOSE = made("ResNet", "family", 0.89, -0.01, latency=4.2)
FAR = made("ResNet", "family", 0.8, 0.05)
LINEAR = made("logistic regression", "baseline", 0.7, 0.1)


@pytest.mark.parametrize(
    ("results", "words"),
    [
        (
            [BEST, FAR, LINEAR, FLOOR],
            "CNN is best: accuracy 0.900 (0.880 to 0.920) on 500 test rows. "
            "The next, ResNet, is 0.100 lower (0.050 to 0.200). "
            "The best that is not deep, logistic regression, is 0.200 lower (0.100 to 0.300).",
        ),
        (
            [BEST, LINEAR, FLOOR],
            "CNN is best: accuracy 0.900 (0.880 to 0.920) on 500 test rows. "
            "The next, logistic regression, which is not deep, is 0.200 lower (0.100 to 0.300).",
        ),
        (
            [BEST, CLOSE, LINEAR, FLOOR],
            "CNN and ResNet cannot be told apart: accuracy 0.900 and 0.890 on 500 test rows. "
            "CNN answers 4.2 times as quickly as ResNet. "
            "The best that is not deep, logistic regression, is 0.200 lower (0.100 to 0.300).",
        ),
        (
            [BEST, made("ridge regression", "baseline", 0.88, -0.01, seconds=0.02), FAR, FLOOR],
            "CNN and ridge regression cannot be told apart: accuracy 0.900 and 0.880 on 500 test rows. "
            "Ridge regression is not deep and as good: it is enough here, and was fitted in 20 ms.",
        ),
        (
            [made("gradient boosting", "baseline", 0.9), FAR, FLOOR],
            "Gradient boosting is best: accuracy 0.900 (0.880 to 0.920) on 500 test rows. "
            "The next, ResNet, is 0.100 lower (0.050 to 0.200). "
            "Every family is worse: deep learning is not needed here.",
        ),
        (
            [made("gradient boosting", "baseline", 0.9), made("naive Bayes", "baseline", 0.89, -0.1), FAR, FLOOR],
            "Gradient boosting and naive Bayes cannot be told apart: accuracy 0.900 and 0.890 on 500 test rows. "
            "Every family is worse: deep learning is not needed here.",
        ),
        (
            [BEST, LINEAR, made("the most common class", "floor", 0.88, -0.02)],
            "Nobody is better than the most common class (accuracy 0.880): either the rows say nothing about the "
            "answer, or they are too few. The best of those that look, CNN, has 0.900.",
        ),
        (
            [BEST, FLOOR, Result("ResNet", "family", error="training diverged.")],
            "CNN alone was measured: accuracy 0.900 (0.880 to 0.920) on 500 test rows. ResNet could not be fitted.",
        ),
        (
            [Result("CNN", "family", error="no"), Result("ResNet", "family", error="no")],
            "There is no verdict: nobody could be fitted. CNN and ResNet could not be fitted.",
        ),
        (
            [Result("CNN", "family", Interval(*[float("nan")] * 3))],
            "There is no verdict: accuracy is undefined on these 500 test rows, whose answers are all equal.",
        ),
    ],
)
def test_each_case(results: list[Result], words: str) -> None:
    assert verdict(results, "accuracy", 500) == words
    assert verdict(results[::-1], "accuracy", 500).split(".")[0] == words.split(".")[0]


def test_where_no_family_was_fitted_the_best_is_not_behind_itself() -> None:
    failed = Result("CNN", "family", error="no")
    best, other = made("logistic regression", "baseline", 0.9), made("boosting", "baseline", 0.89, -0.01)
    words = verdict([best, other, FLOOR, failed], "accuracy", 500)
    assert "cannot be told apart" in words
    assert "The best that is not deep" not in words


def test_few_test_rows_are_told() -> None:
    assert "30 test rows are few: small differences cannot be seen." in verdict([BEST, CLOSE, FLOOR], "accuracy", 30)
    assert "are few" not in verdict([BEST, FAR, FLOOR], "accuracy", 30)


def test_an_interrupted_comparison_says_so() -> None:
    words = verdict([BEST, FLOOR], "accuracy", 500, interrupted=True)
    assert words.startswith("The comparison was interrupted: this is of what was done. CNN alone was measured")
    words = verdict([made("gradient boosting", "baseline", 0.9), FAR, FLOOR], "accuracy", 500, interrupted=True)
    assert verdict([made("gradient boosting", "baseline", 0.9), FAR, FLOOR], "accuracy", 500, timed=True).endswith(
        "Every family is worse within this budget: deep learning is not needed here."
    )
    assert words.endswith("Every family so far is worse.")  # of one that trained half its time, nothing follows


def test_a_small_difference_of_speed_is_no_word_worth() -> None:
    assert "quickly" not in verdict([BEST, made("ResNet", "family", 0.89, -0.01, latency=1.2)], "accuracy", 500)


def test_ranks_and_ties() -> None:
    failed = Result("DNN", "family", error="no")
    assert [r.name for r in ranked([failed, FLOOR, LINEAR, BEST])] == [
        "CNN",
        "logistic regression",
        "the most common class",
        "DNN",
    ]
    assert tied([LINEAR, FLOOR, BEST, failed, CLOSE]) == [BEST, CLOSE]


def test_times_and_sizes_for_people() -> None:
    times = [duration_of(s) for s in (0.00003, 0.0123, 0.5, 0.9996, 4.21, 42.0, 200.0)]
    assert times == ["0.03 ms", "12 ms", "500 ms", "1.0 s", "4.2 s", "42 s", "3 min 20 s"]
    assert [size_of(m) for m in (0.000182, 0.0421, 0.1, 4.21, 123.4)] == [
        "0.18 kB",
        "42 kB",
        "0.1 MB",
        "4.21 MB",
        "123 MB",
    ]
