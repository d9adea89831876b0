"""The works of ResNet: a work a budget, what shows the spread of a long one, and answers to a folder."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from benchmarks.child import Place
from benchmarks.measure import Job
from benchmarks.report import Found
from PIL import Image

from benchmarks import pictures, resnet


def found_of(jobs: list[Job], values: dict[str, dict[str, Any]]) -> Found:
    """A record for each job of the contenders named."""
    records = [
        {"contender": job.contender, "arguments": dict(job.arguments)} | values[job.contender]
        for job in jobs
        if job.contender in values
    ]
    return Found(records)


def test_every_work_has_a_name_and_a_key_of_its_own() -> None:
    assert [work.name for work in resnet.WORKS] == ["speed", "cifar-8", "cifar-25", "cifar-60", "stream"]
    for quick in (False, True):
        keys = [job.key for work in resnet.WORKS for job in work.jobs(quick, 3)]
        assert len(set(keys)) == len(keys)


def test_a_short_budget_has_three_seeds_a_long_one_three_quarters() -> None:
    short = resnet._cifar_jobs(8, quick=False, runs=3)
    own = [job for job in short if job.contender == "decet"]
    assert [(job.arguments["budget"], job.arguments["seed"]) for job in own] == [(480, 0), (480, 1), (480, 2)]
    assert {job.contender for job in short if not job.ours} == set(pictures.BASELINES)
    for minutes in (25, 60):
        jobs = resnet._cifar_jobs(minutes, quick=False, runs=3)
        budgets = [(job.contender, job.arguments["budget"], job.arguments["seed"]) for job in jobs]
        quarters = [(resnet.QUARTER, 15 * minutes, seed) for seed in (0, 1, 2)]
        assert budgets == [*quarters, ("decet", 60 * minutes, 0)]


def test_a_quarter_of_the_time_shows_the_spread_and_counts_for_no_goal() -> None:
    jobs = resnet._cifar_jobs(60, quick=False, runs=3)
    values = {
        "decet": {"accuracy": 0.951, "seconds": 3500.0},
        resnet.QUARTER: {"accuracy": 0.93, "seconds": 880.0},
    }
    report = resnet._cifar_report(60, found_of(jobs, values), Path())
    assert [goal.verdict for goal in report.goals] == ["met", "met"]
    assert report.goals[0].target == 0.95
    rows = {row[0]: row for row in report.tables[0].rows}
    assert rows["decet"][1:6] == ["60 min", "1", "-", "0.9510", "-"]
    assert rows[resnet.QUARTER][1:6] == ["15 min", "3", "-", "0.9300", "0.0000"]


def test_a_stream_is_compared_with_the_slower_of_reading_and_computing() -> None:
    rates = {"decet": 850.0, "computing alone": 1000.0, "reading alone": 3000.0, "reading alone, Pillow": 9000.0}
    values = {way: {"rate": rate, "pictures": 100_000, "growth_mb": 120.0} for way, rate in rates.items()}
    jobs = resnet._stream_jobs(quick=False, runs=3)
    growth, share = resnet._stream_report(found_of(jobs, values), Path()).goals
    assert (growth.value, growth.verdict) == (120.0, "met")
    assert (share.value, share.verdict) == (0.85, "met")
    values["computing alone"]["rate"] = 20_000.0  # then reading is the slower, by whoever does it faster
    assert resnet._stream_report(found_of(jobs, values), Path()).goals[1].value == pytest.approx(850 / 9000)
    values["decet"]["growth_mb"] = 301.0
    assert resnet._stream_report(found_of(jobs, values), Path()).goals[0].verdict == "missed"


def test_without_computing_or_reading_there_is_no_share() -> None:
    jobs = resnet._stream_jobs(quick=False, runs=3)
    for missing in ("computing alone", "reading"):
        values = {way: {"rate": 10.0} for way in resnet.WAYS if not way.startswith(missing)}
        assert resnet._stream_report(found_of(jobs, values), Path()).goals[1].verdict == "not measured"


@pytest.mark.parametrize("way", ["reading alone", "reading alone, Pillow"])
def test_a_folder_is_read_whole(tmp_path: Path, way: str) -> None:
    (tmp_path / "photos").mkdir()
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8))
    raw = io.BytesIO()
    picture.save(raw, "JPEG")
    for i in range(50):
        (tmp_path / "photos" / f"{i:06d}.jpg").write_bytes(raw.getvalue())
    done, seconds, growth = resnet.WAYS[way](Place(tmp_path, tmp_path))
    assert done == 50
    assert seconds > 0
    assert growth < 100
