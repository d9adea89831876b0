"""The works of DNN: who runs at which batch, on the same folds, and how records become goals."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from benchmarks.child import Meter, Place
from benchmarks.measure import Job
from benchmarks.report import Found

from benchmarks import dnn, folds


def found_of(jobs: list[Job], **values: dict[str, Any]) -> Found:
    """A record for each job of the contenders named."""
    records = [
        {"contender": job.contender, "arguments": dict(job.arguments), "part": part} | values[job.contender]
        for job in jobs
        for part in job.parts
        if job.contender in values
    ]
    return Found(records)


def test_every_peer_meets_decet_at_its_own_batch_three_times() -> None:
    jobs = dnn._speed_jobs("adult", quick=False, runs=3)
    for peer, batch in dnn.BATCHES.items():
        for contender in (peer, "decet", "torch", "torch-fused"):
            own = [job for job in jobs if job.contender == contender and job.arguments["batch"] == batch]
            assert [job.run for job in own] == [1, 2, 3], (contender, batch)


def test_every_work_has_a_name_and_a_key_of_its_own() -> None:
    names = [work.name for work in dnn.WORKS]
    assert names == ["speed-adult", "speed-made", "adult", "memory", "latency", "startup", "tables", "kills"]
    for quick in (False, True):
        keys = [job.key for work in dnn.WORKS for job in work.jobs(quick, 3)]
        assert len(set(keys)) == len(keys)


def test_the_goal_against_keras_counts_its_faster_backend() -> None:
    speeds = {"decet": 600.0, "keras-torch": 100.0, "keras-jax": 200.0, "skorch": 300.0, "torch": 500.0}
    values = {name: {"rate": rate} for name, rate in speeds.items()}
    found = found_of(dnn._speed_jobs("adult", quick=False, runs=3), **values)
    goals = {goal.what: goal for goal in dnn._rate_goals("adult", found)}
    assert goals["adult: decet's rows/s / those of Keras 3 (faster backend)"].value == 3.0
    assert goals["adult: decet's rows/s / those of skorch"].verdict == "met"
    assert goals["adult: decet's rows/s / those of the bare torch loop"].value == pytest.approx(1.2)
    assert goals["adult: decet's rows/s / those of scikit-learn"].verdict == "not measured"


def test_seconds_to_a_loss_end_with_the_first_epoch_that_has_it() -> None:
    curve = [[1.0, 0.5], [2.0, 0.3], [3.0, 0.2]]
    assert dnn.reached(curve, 0.3) == 2.0
    assert dnn.reached(curve, 0.1) is None
    found = found_of(
        dnn._speed_jobs("adult", quick=False, runs=3),
        **{"skorch": {"loss": 0.3, "seconds": 8.0}, "decet, own schedule": {"curve": curve}},
    )
    assert dnn._to_loss("adult", found, "skorch") == (0.3, 8.0, 4.0, 2.0)


def test_small_tables_have_the_same_folds_for_everyone(tmp_path: Path) -> None:
    place = Place(tmp_path, tmp_path)
    sizes = []
    for contender in ("LogisticRegression", "SVC"):
        results = list(folds.small_table(Meter(), place, "iris", contender, 10, 2, [0, 13]))
        assert [result["part"] for result in results] == [0, 13]
        assert all(0.8 <= result["score"] <= 1.0 for result in results)
        sizes.append([(result["train"], result["test"]) for result in results])
    assert sizes[0] == sizes[1] == [(135, 15), (135, 15)]


def test_a_verdict_on_a_table_needs_every_baseline() -> None:
    jobs = [job for job in folds._tables_jobs(quick=False, runs=3) if job.arguments["table"] == "iris"]
    sizes = {"train": 135, "test": 15}
    scores = {name: {"score": 0.95} | sizes for name in ("decet", *folds.BASELINES["classes"])}
    equal = folds._tables_report(found_of(jobs, **scores), Path())
    assert equal.goals[0].verdict == "met"
    assert equal.goals[1].what == "iris: accuracy"
    assert equal.goals[1].verdict == "missed"
    assert "decet is below none of them" in equal.tables[0].note
    below = folds._tables_report(found_of(jobs, **(scores | {"SVC": {"score": 0.99} | sizes})), Path())
    assert below.goals[0].verdict == "missed"
    assert "significantly below SVC" in below.tables[0].note
    scores.pop("SVC")
    assert folds._tables_report(found_of(jobs, **scores), Path()).goals[0].verdict == "not measured"
