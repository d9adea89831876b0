"""The works of the referee: two budgets a set, regret worked by hand, and one quick comparison."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from benchmarks.child import Meter, Place
from benchmarks.report import Found

from benchmarks import referee


def test_every_set_is_compared_under_two_budgets() -> None:
    jobs = referee.WORKS[0].jobs(False, 3)
    assert len({job.key for job in jobs}) == len(jobs) == 2 * len(referee.SETS)


def record(share: str, data: str, scores: dict[str, float], chosen: str, seconds: float = 11.0) -> dict:
    values = {
        "scores": json.dumps(scores),
        "chosen": chosen,
        "seconds": seconds,
        "fits": 10.0,
        "page": 0.5,
        "families": json.dumps(["A", "B"]),
    }
    return {"contender": f"share 1/{share}", "arguments": {"data": data}, "verdict": "x."} | values


def test_regret_is_of_the_scores_under_the_whole_budget() -> None:
    found = Found(
        [
            record("1", "iris", {"A": 0.9, "B": 0.8}, "A"),
            record("3", "iris", {"A": 0.5, "B": 0.6}, "B"),
            record("1", "tinyshakespeare", {"A": -1.5, "B": -1.6}, "A"),
            record("3", "tinyshakespeare", {"A": -2.0, "B": -2.1}, "A"),
        ]
    )
    report = referee._report(found, Path())
    assert [row[5] for row in report.tables[0].rows] == ["0.1111", "0.0000"]
    mean, regret, more = report.goals
    assert mean.value == pytest.approx(1 / 18)
    assert (regret.value, regret.verdict) == (pytest.approx(1 / 9), "missed")
    assert more.value == pytest.approx(0.1)


def test_a_comparison_is_measured(tmp_path: Path) -> None:
    found = referee.compared(Meter(), Place(tmp_path, tmp_path), "iris", 12.0)
    assert found["chosen"] in json.loads(found["scores"])
    assert found["fits"] < found["seconds"] < 20
    assert 0 < found["page"] < 3
