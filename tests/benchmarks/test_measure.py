"""How figures are taken: the load of a machine, a process a contender, records that outlive a cut run."""

from __future__ import annotations

import json
import signal
import sys
import time
from pathlib import Path
from threading import Thread, main_thread

import pytest
from benchmarks.measure import Busy, Failed, Job, Options, Records, Runner, Stat, Work, in_turns
from benchmarks.report import Report

from benchmarks import measure


def record(job: Job, part: int = 0, **values: object) -> dict[str, object]:
    return {"key": job.key, "part": part, "source": "now"} | values


# --------------------------------------------------------------------------------------------- an idle machine


def test_load_is_what_others_used_between_two_looks() -> None:
    # user nice system idle iowait irq softirq steal, in ticks; guests are within user
    stat = measure.machine_stat("cpu  100 20 30 1000 50 3 7 40 99 99\ncpu0 1 2 3\n")
    second = 1250 / stat.total  # ticks a second, as this system has them
    assert stat.busy == pytest.approx(200 / second)
    before, after = Stat(total=100.0, busy=10.0), Stat(total=104.0, busy=13.0)  # two cores, two seconds
    assert measure.busy_cores(before, after, cores=2) == pytest.approx(1.5)
    assert measure.busy_cores(before, after, cores=2, own=2.0) == pytest.approx(0.5)
    assert measure.busy_cores(before, after, cores=2, own=9.0) == 0.0
    assert measure.busy_cores(before, before, cores=2) == 0.0


def test_an_idle_moment_is_waited_for() -> None:
    loads = iter([1.2, 0.8, 0.01, 5.0])
    assert measure.wait_idle(lambda: next(loads)) == 0.01
    assert measure.wait_idle(lambda: 0.7, looks=3) == 0.7


def test_this_machine_can_be_looked_at() -> None:
    assert 0.0 <= measure.load(0.05) <= 1024.0
    assert measure.machine_facts()["cores"]


# ------------------------------------------------------------------------------------------------------- jobs


def test_contenders_take_turns() -> None:
    turns = in_turns([Job("w", "ours", "m:f"), Job("w", "theirs", "m:f")], 3)
    assert [job.contender for job in turns] == ["ours", "theirs"] * 3
    assert [job.run for job in turns] == [1, 1, 2, 2, 3, 3]
    assert len({job.key for job in turns}) == 6


def test_a_missing_peer_is_named() -> None:
    assert Job("w", "peer", "m:f", imports=("json", "no_such_package.part")).absent() == "no_such_package"
    assert Job("w", "peer", "m:f", imports=("json",)).absent() is None


# ---------------------------------------------------------------------------------------------------- records


def test_records_are_found_again_and_the_latest_counts(tmp_path: Path) -> None:
    job = Job("w", "a", "m:f", parts=(0, 1))
    records = Records(tmp_path / "folder" / "records.jsonl")
    assert records.missing(job, "now", anyway=False) == [0, 1]
    records.add(record(job, 1, score=0.5))
    records.add(record(job, 1, score=0.7))
    again = Records(records.path)
    assert again.missing(job, "now", anyway=False) == [0]
    assert [found["score"] for found in again.of([job], quick=False).records] == [0.7]


def test_a_line_that_a_cut_run_left_unfinished_is_dropped(tmp_path: Path) -> None:
    job = Job("w", "a", "m:f", parts=(0, 1))
    path = tmp_path / "records.jsonl"
    path.write_text(json.dumps(record(job, 0)) + "\n" + json.dumps(record(job, 1))[:20])
    records = Records(path)
    assert records.missing(job, "now", anyway=False) == [1]
    records.add(record(job, 1))
    assert Records(path).missing(job, "now", anyway=False) == []


def test_records_of_other_sources_are_stale_for_us_and_for_timings(tmp_path: Path) -> None:
    ours = Job("w", "ours", "m:f", mode="shared")
    theirs = Job("w", "theirs", "m:f", mode="shared", ours=False)
    timed = Job("w", "timed", "m:f", ours=False)
    records = Records(tmp_path / "records.jsonl")
    for job in (ours, theirs, timed):
        records.add(record(job, source="before"))
    assert records.missing(ours, "now", anyway=False) == [0]
    assert records.missing(theirs, "now", anyway=False) == []
    assert records.missing(timed, "now", anyway=False) == [0], "a peer is timed anew, in turns with ours"


def test_void_records_are_measured_again(tmp_path: Path) -> None:
    job = Job("w", "a", "m:f")
    records = Records(tmp_path / "records.jsonl")
    records.add(record(job, void=True))
    assert records.missing(job, "now", anyway=False) == [0]
    assert records.missing(job, "now", anyway=True) == []


def test_the_source_digest_follows_the_sources(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("x = 1\n")
    before = measure.source_digest(tmp_path)
    assert measure.source_digest(tmp_path) == before
    (tmp_path / "a.py").write_text("x = 2\n")
    assert measure.source_digest(tmp_path) != before


# --------------------------------------------------------------------------------------------------- processes

CONTENDERS = """
def ballast():
    global held
    held = bytearray(b"x") * 40_000_000

def work(meter, place, megabytes):
    print("libraries may print")
    data = bytearray(b"x") * (megabytes * 1_000_000)
    meter.stop()
    more = bytearray(b"x") * 200_000_000
    return {"size": len(data)}

def by_part(meter, place, parts):
    for part in parts:
        yield {"part": part, "score": part / 10}

def slow(meter, place):
    import time
    (place.keep / "begun").write_text("")
    time.sleep(60)
    return {}

def broken(meter, place, parts):
    yield {"part": parts[0], "score": 1.0}
    raise ValueError("no such column")
"""


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "contenders.py").write_text(CONTENDERS)
    (tmp_path / "heavy.py").write_text("import contenders\ncontenders.ballast()\n")
    return {"PYTHONPATH": str(tmp_path)}


def test_a_contender_runs_in_its_own_process_and_its_peak_is_above_its_imports(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    job = Job("w", "a", "contenders:work", {"megabytes": 90}, imports=("heavy",), environment=environment)
    (found,) = measure.results(job, (0,), tmp_path, tmp_path, threads=1)
    assert (found["part"], found["size"]) == (0, 90_000_000)
    assert 85 < found["peak_above_mb"] < 120, "neither the 40 MB of the imports nor what came after meter.stop()"
    assert found["peak_whole_mb"] > found["peak_above_mb"] + 40


def test_parts_come_one_by_one_and_only_those_asked_for(tmp_path: Path, environment: dict[str, str]) -> None:
    job = Job("w", "a", "contenders:by_part", parts=(0, 1, 2, 3), environment=environment)
    found = measure.results(job, (1, 3), tmp_path, tmp_path, threads=1)
    assert [(result["part"], result["score"]) for result in found] == [(1, 0.1), (3, 0.3)]


def test_a_failing_contender_says_why(tmp_path: Path, environment: dict[str, str]) -> None:
    job = Job("w", "a", "contenders:broken", parts=(0, 1), environment=environment)
    with pytest.raises(Failed, match=r"w: a \(\), run 1: exit code 1. ValueError: no such column"):
        list(measure.results(job, (0, 1), tmp_path, tmp_path, threads=1))


# ------------------------------------------------------------------------------------------------------ running


def work_of(*jobs: Job) -> Work:
    return Work("w", "a work", lambda quick, runs: list(jobs), lambda found, keep: Report())


def quiet(tmp_path: Path, **said: bool) -> Options:
    return Options(tmp_path / "out", threads=1, jobs=1, say=lambda line: None, **said)


def test_a_run_that_failed_goes_on_where_it_was(tmp_path: Path, environment: dict[str, str]) -> None:
    job = Job("w", "a", "contenders:broken", parts=(0, 1, 2), mode="shared", environment=environment)
    runner = Runner("family", quiet(tmp_path))
    runner.run(work_of(job))
    assert "no such column" in runner.notes[0]
    again = Runner("family", quiet(tmp_path))
    assert again.records.missing(job, again.facts["source"], anyway=False) == [1, 2]
    report = again.report(work_of(job))
    assert report is not None
    assert f"python {sys.version.split()[0]}" in report.origin


def test_an_interrupt_ends_the_contenders_and_records_nothing_of_them(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    job = Job("w", "a", "contenders:slow", mode="shared", environment=environment)
    runner = Runner("family", quiet(tmp_path))

    def interrupt() -> None:
        while not (runner.keep / "begun").exists():
            time.sleep(0.01)
        signal.pthread_kill(main_thread().ident or 0, signal.SIGINT)

    Thread(target=interrupt).start()
    begun = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        runner.run(work_of(job))
    assert time.monotonic() - begun < 20, "the contender's 60 seconds are not waited for"
    assert runner.records.missing(job, runner.facts["source"], anyway=True) == [0]


def test_timing_is_refused_on_a_busy_machine(
    tmp_path: Path, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    job = Job("w", "a", "contenders:work", {"megabytes": 1}, environment=environment)
    monkeypatch.setattr(measure, "wait_idle", lambda: 1.25)
    with pytest.raises(Busy, match=r"other processes use 1\.25 cores, at most 0\.15 .* say --anyway"):
        Runner("family", quiet(tmp_path)).run(work_of(job))
    monkeypatch.setattr(measure, "load", lambda: 1.25)
    runner = Runner("family", quiet(tmp_path, anyway=True))
    runner.run(work_of(job))
    (found,) = runner.records.of([job], quick=False).records
    assert found["void"] is True
    assert found["load_before"] == 1.25


def test_nothing_is_run_twice(tmp_path: Path, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    job = Job("w", "a", "contenders:by_part", parts=(0, 1), mode="alone", environment=environment)
    Runner("family", quiet(tmp_path)).run(work_of(job))
    monkeypatch.setattr(measure, "results", None)
    Runner("family", quiet(tmp_path)).run(work_of(job))


def test_a_work_without_records_has_no_report(tmp_path: Path) -> None:
    assert Runner("family", quiet(tmp_path)).report(work_of(Job("w", "a", "m:f"))) is None
