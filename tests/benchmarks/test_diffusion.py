"""The works of Diffusion: who runs what, and how records become goals."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from benchmarks.diffusion import PEER
from benchmarks.report import Found

from benchmarks import diffusion, gan

WORKS = {work.name: work for work in diffusion.WORKS}


def record(who: str, at: str = diffusion.AT, **said: Any) -> dict[str, Any]:
    figures = dict.fromkeys(gan.FIGURES, 0.5) | {"copied": 0.001, "recognised": 0.99}
    figures |= {"seldomest": 0.09, "commonest": 0.11} | said
    more = {"work": 100.0, "seconds": 9.0, "parameters": 900_000}
    return {"contender": who, "arguments": {}, "part": 0} | {f"{k}{at}": v for k, v in figures.items()} | more


def test_every_job_has_a_key_of_its_own() -> None:
    jobs = [job for work in diffusion.WORKS for job in work.jobs(False, 3)]
    assert len({job.key for job in jobs}) == len(jobs)


def test_a_third_of_the_steps_is_held_against_the_whole_baseline() -> None:
    steps = {job.contender: job.arguments.get("steps") for job in WORKS["mnist"].jobs(False, 3)}
    assert steps["DDPM"] == steps["decet"] == diffusion.STEPS
    assert steps["decet, a third"] == diffusion.STEPS // 3
    found = Found([
        record("decet", frechet=2.0), record("decet, a third", frechet=3.0), record("DDPM", frechet=4.0),
        record("decet's GAN", "", frechet=1.0),
    ])  # fmt: skip
    report = WORKS["mnist"].report(found, Path())
    sooner, nearer, work, recognised, copied = report.goals
    assert (sooner.value, sooner.verdict) == (0.75, "met")
    assert (nearer.value, nearer.verdict) == (2.0, "missed")
    assert [goal.verdict for goal in (work, recognised, copied)] == ["met"] * 3


def test_the_better_of_two_samplers_counts_for_the_baseline() -> None:
    baseline = record("DDPM", frechet=4.0) | record("DDPM", "@ddpm 100", frechet=2.5)
    report = WORKS["mnist"].report(Found([baseline, record("decet, a third", frechet=3.0)]), Path())
    assert (report.goals[0].value, report.goals[0].verdict) == (1.2, "missed")


def trained(who: str, **near: float) -> dict[str, Any]:
    """A record of distances, of a few pictures and of all alike."""
    ways = {f"{kind}@{way.replace('_', ' ')}": far for way, far in near.items() for kind in ("few", "frechet")}
    return {"contender": f"{who}, trained", "arguments": {}} | ways


def timed(who: str, evaluation: float) -> dict[str, Any]:
    return {"contender": who, "arguments": {}, "evaluation": evaluation}


OURS = trained("decet", dpm_10=8.0, dpm_20=5.0, dpm_100=4.8)


def test_drawing_is_compared_at_equal_distance() -> None:
    theirs = trained(PEER, DDPM_250=6.0, DDIM_50=9.0)
    times = [timed("decet", 0.001), timed(PEER, 0.004)]
    times += [timed(name, each) for name, each in zip(diffusion.ALIKE, (0.0015, 0.003), strict=True)]
    report = WORKS["drawing"].report(Found([OURS, theirs, *times]), Path())
    documented, least, alike, few, enough = report.goals
    assert documented.value == pytest.approx(250 * 0.004 / (20 * 0.001)), "20 come as near as 250 of DDPM"
    assert least.value == pytest.approx(50 * 0.004 / (10 * 0.001)), "and 10 as near as 50 of DDIM"
    assert alike.value == 1.5
    assert (few.value, few.verdict) == (1.6, "met")
    assert (enough.value, enough.verdict) == (pytest.approx(5 / 4.8), "met")
    rows = {row[1]: row[-1] for row in report.tables[0].rows if row[0] == PEER}
    assert rows == {"DDPM 250": "50.0", "DDIM 50": "20.0"}


def test_what_decet_never_comes_as_near_as_is_lost() -> None:
    report = WORKS["drawing"].report(
        Found([OURS, trained(PEER, DDPM_250=4.0), timed("decet", 0.001), timed(PEER, 0.004)]), Path()
    )
    assert [goal.verdict for goal in report.goals[:2]] == ["missed", "missed"]


def test_without_the_peer_nothing_is_compared() -> None:
    report = WORKS["drawing"].report(Found([OURS, timed("decet", 0.001)]), Path())
    assert [goal.verdict for goal in report.goals[:3]] == ["not measured"] * 3


def test_a_small_set_made_larger_is_told_by_the_mean_over_seeds() -> None:
    jobs = WORKS["augment"].jobs(False, 3)
    assert [job.contender for job in jobs] == list(diffusion.AUGMENTED) * gan.SEEDS
    found = Found([
        {"contender": "as they are", "arguments": {}, "accuracy": right, "loss": 0.5, "rows": 200, "seconds": 3.0}
        for right in (0.80, 0.82)
    ])  # fmt: skip
    (row,) = WORKS["augment"].report(found, Path()).tables[0].rows
    assert list(row)[:3] == ["as they are", "2", "0.8100"]
