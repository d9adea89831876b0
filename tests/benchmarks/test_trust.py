"""The works of doubt: five seeds a set, goals from means, and each work on a few rows."""

from __future__ import annotations

from pathlib import Path

import pytest
from benchmarks.child import Meter, Place
from benchmarks.report import Found

from benchmarks import trust


def test_every_job_has_a_key_of_its_own_and_five_seeds() -> None:
    jobs = [job for work in trust.WORKS for job in work.jobs(False, 3)]
    assert len({job.key for job in jobs}) == len(jobs)
    assert {job.parts for job in jobs if job.work != "page"} == {(0, 1, 2, 3, 4)}


def record(data: str, **values: float) -> dict:
    return {"contender": "decet", "arguments": {"data": data}} | values


def test_goals_are_of_means_over_seeds() -> None:
    found = Found(
        [
            record("adult", coverage=0.87, set_size=1.1, calibration_error=0.01, uncalibrated=0.04),
            record("adult", coverage=0.91, set_size=1.3, calibration_error=0.01, uncalibrated=0.02),
            record("diabetes", coverage=0.95, interval_width=170.0),
        ]
    )
    report = trust._coverage_report(found, Path())
    assert [goal.verdict for goal in report.goals] == ["met", "met", "met", "met", "missed"]
    assert report.goals[2].value == pytest.approx(1 / 3)
    adult, diabetes = report.tables[0].rows
    assert adult[2] == "0.8900 ± 0.0283"
    assert diabetes[3] == "170.000"


@pytest.mark.parametrize("data", ["diabetes", "digits"])
def test_coverage_is_of_rows_nobody_saw(data: str, data_folder: Path, tmp_path: Path) -> None:
    (found,) = trust.coverage(Meter(), Place(tmp_path, tmp_path), data, quick=True, parts=[0])
    assert 0.7 < found["coverage"] <= 1
    assert ("uncalibrated" in found) == (data == "digits")


def test_labels_that_were_made_wrong_are_found(data_folder: Path, tmp_path: Path) -> None:
    (found,) = trust.flips(Meter(), Place(tmp_path, tmp_path), "digits", quick=True, parts=[0])
    assert found["wrong"] > 5 * trust.FLIPPED


def test_strange_rows_are_told_apart(data_folder: Path, tmp_path: Path) -> None:
    (found,) = trust.strange(Meter(), Place(tmp_path, tmp_path), "digits", quick=True, parts=[0])
    assert found["noise"] > 0.9
