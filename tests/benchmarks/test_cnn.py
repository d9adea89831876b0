"""The works of CNN: seeds, baselines, goals; and a run of the quality work on a few rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from benchmarks.child import Meter, Place
from benchmarks.measure import Job
from benchmarks.report import Found

from benchmarks import cnn, pictures


def found_of(jobs: list[Job], values: dict[str, dict[str, Any]]) -> Found:
    """A record for each job of the contenders named."""
    records = [
        {"contender": job.contender, "arguments": dict(job.arguments)} | values[job.contender]
        for job in jobs
        if job.contender in values
    ]
    return Found(records)


def test_every_work_has_a_name_and_a_key_of_its_own() -> None:
    assert [work.name for work in cnn.WORKS] == ["speed", "mnist"]
    for quick in (False, True):
        keys = [job.key for work in cnn.WORKS for job in work.jobs(quick, 3)]
        assert len(set(keys)) == len(keys)


def test_mnist_has_three_seeds_under_one_budget_and_every_baseline_on_all_rows() -> None:
    jobs = cnn._mnist_jobs(quick=False, runs=3)
    own = [job for job in jobs if job.contender == "decet"]
    assert [job.arguments["seed"] for job in own] == [0, 1, 2]
    assert {job.arguments["budget"] for job in own} == {480}
    assert {job.arguments["family"] for job in own} == {"CNN"}
    assert {job.contender for job in jobs if not job.ours} == set(pictures.BASELINES)
    assert {job.arguments["rows"] for job in jobs} == {None}


def test_quality_is_the_mean_of_seeds_and_no_run_may_take_longer_than_its_budget() -> None:
    jobs = cnn._mnist_jobs(quick=False, runs=3)
    values = {
        "decet": {"accuracy": 0.9975, "seconds": 470.0, "epochs": 20, "loss": 0.01},
        "logistic regression on HOG": {"accuracy": 0.98, "loss": 0.07, "seconds": 30.0},
    }
    report = cnn._mnist_report(found_of(jobs, values), Path())
    accuracy, length = report.goals
    assert (accuracy.value, accuracy.verdict) == (pytest.approx(0.9975), "met")
    assert (length.value, length.verdict) == (pytest.approx(470 / 480), "met")
    assert length.what == "MNIST: longest run / its budget of 8 min"
    rows = {row[0]: row for row in report.tables[0].rows}
    assert rows["decet"][1:5] == ["8 min", "3", "-", "0.9975"]
    assert rows["logistic regression on HOG"][4] == "0.9800"
    assert rows["gradient boosting on HOG"][4] == "-"
    assert all(len(row) == len(report.tables[0].header) for row in rows.values())


def test_a_run_over_its_budget_is_seen() -> None:
    jobs = cnn._mnist_jobs(quick=False, runs=3)
    report = cnn._mnist_report(found_of(jobs, {"decet": {"accuracy": 0.99, "seconds": 500.0}}), Path())
    assert [goal.verdict for goal in report.goals] == ["missed", "missed"]


def test_nothing_recorded_is_nothing_measured() -> None:
    assert [goal.verdict for goal in cnn._mnist_report(Found([]), Path()).goals] == ["not measured"] * 2


def test_quality_is_measured_on_the_official_test_part(data_folder: Path, tmp_path: Path) -> None:
    place = Place(tmp_path, tmp_path)
    found = pictures.quality(Meter(), place, "mnist", "CNN", 3, 0, 200)
    assert 0.0 <= found["accuracy"] <= 1.0
    assert found["seconds"] < 20
    assert not found["gone_on"]
    assert (next(tmp_path.glob("mnist-CNN-3s-200-seed0-*")) / "model.json").exists()
