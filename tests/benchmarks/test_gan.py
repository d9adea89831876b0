"""The works of GAN: who runs what, and how records become goals."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.report import Found

from benchmarks import gan

WORKS = {work.name: work for work in gan.WORKS}


def record(who: str, **said: Any) -> dict[str, Any]:
    figures = dict.fromkeys(gan.FIGURES, 0.5) | {"copied": 0.001, "seldomest": 0.09, "commonest": 0.11}
    more = {"work": 100.0, "seconds": 9.0, "parameters": 900_000}
    return {"contender": who, "arguments": {}, "part": 0} | figures | more | said


def test_every_job_has_a_key_of_its_own() -> None:
    jobs = [job for work in gan.WORKS for job in work.jobs(False, 3)]
    assert len({job.key for job in jobs}) == len(jobs)


def test_everybody_trains_in_turns_for_the_same_time() -> None:
    jobs = WORKS["speed"].jobs(False, 3)
    names = ["decet", "DCGAN", gan.LIKE_OURS, f"{gan.LIKE_OURS}, fp32"]
    assert [job.contender for job in jobs] == names * 3
    assert {job.arguments["seconds"] for job in jobs} == {gan.SECONDS}
    assert [job.arguments["seed"] for job in jobs[:: len(names)]] == [0, 1, 2]


def test_half_of_dcgans_distance_is_the_goal() -> None:
    found = Found([
        record("decet", frechet=4.0), record("DCGAN", frechet=10.0, work=99.0),
        record("decet, by label", recognised=0.96),
        record("decet, a quarter", frechet=9.0), record("DCGAN, a quarter", frechet=15.0),
    ])  # fmt: skip
    report = WORKS["mnist"].report(found, Path())
    values = {goal.what: (goal.value, goal.verdict) for goal in report.goals}
    assert values["Frechet distance / DCGAN's"] == (0.4, "met")
    assert values["the same after a quarter, means of three seeds"] == (0.6, "missed")
    assert values["by label: share recognised as asked"] == (0.96, "missed")
    assert [verdict for _, verdict in values.values()].count("missed") == 2
    assert [row[0] for row in report.tables[0].rows] == [
        "decet", "DCGAN", "decet, by label", "decet, a quarter", "DCGAN, a quarter",
    ]  # fmt: skip


def test_nothing_is_made_up_where_nothing_was_measured() -> None:
    report = WORKS["mnist"].report(Found([record("decet")]), Path())
    assert [goal.verdict for goal in report.goals].count("not measured") == 4


def test_the_faster_precision_of_a_peer_counts() -> None:
    def timed(who: str, rate: float, memory: float) -> dict[str, Any]:
        return record(who, rate=rate, peak_above_mb=memory, peak_whole_mb=500.0, precision="fp32")

    found = Found([
        timed("decet", 300.0, 80.0), timed("DCGAN", 100.0, 100.0), timed(gan.LIKE_OURS, 400.0, 90.0),
        timed(f"{gan.LIKE_OURS}, fp32", 200.0, 90.0),
    ])  # fmt: skip
    faster, alike, memory = WORKS["speed"].report(found, Path()).goals
    assert (faster.value, faster.verdict) == (3.0, "met")
    assert (alike.value, alike.verdict) == (0.75, "missed")
    assert (memory.value, memory.verdict) == (0.8, "met")
