"""The works of the family DQN: looks that change nothing, goals worked by hand, and each contender for some steps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from benchmarks.child import Meter, Place
from benchmarks.report import Found

from benchmarks import agents, dqn, measure
from decet import DNN, DQN, Agent

WORKS = {work.name: work for work in dqn.WORKS}
TINY = 2_000  # steps


def here(folder: Path) -> tuple[Meter, Place]:
    return Meter(), Place(folder, folder)


def small(**said: Any) -> Agent:
    return Agent(DQN(network=DNN(width=16, depth=1), ratio=0.05), trials=2, **said)


# ------------------------------------------------------------------------------------------------------------ the jobs


def test_every_job_has_a_key_of_its_own() -> None:
    jobs = [job for work in dqn.WORKS for job in work.jobs(False, 3)]
    assert len({job.key for job in jobs}) == len(jobs)


def test_both_play_the_same_game_from_the_same_seeds_in_turns() -> None:
    jobs = WORKS["acrobot"].jobs(False, 3)
    assert [job.contender for job in jobs] == ["decet", agents.PEER] * dqn.SEEDS
    assert [job.arguments["seed"] for job in jobs[::2]] == list(range(dqn.SEEDS))
    assert all(a.arguments == b.arguments for a, b in zip(jobs[::2], jobs[1::2], strict=True))
    assert {job.environment["OMP_NUM_THREADS"] for job in jobs} == {"1"}


def test_every_game_of_a_duel_has_settings_of_the_zoo() -> None:
    assert {game for game, *_ in dqn.DUELS.values()} == set(agents.ZOO)


# ----------------------------------------------------------------------------------------------------- how it is judged


def test_a_judge_plays_the_same_episodes_again() -> None:
    judge = agents.Judge("CartPole-v1")
    pushed = judge.play(lambda shown: np.zeros(len(shown), np.int64), 10, seed=5)
    assert list(pushed) == list(judge.play(lambda shown: np.zeros(len(shown), np.int64), 10, seed=5))
    assert ((pushed >= 8) & (pushed <= 11)).all(), "the pole falls when it is pushed one way only"
    upright = judge.play(lambda shown: (shown[:, 2] + shown[:, 3] > 0).astype(int), 10, seed=5)
    assert upright.mean() > 150


class Told:
    """A judge that gives these means, one after the other; looks alone ask for fewer than 100 episodes."""

    def __init__(self, *means: float) -> None:
        self.means, self.asked = iter(means), list[int]()

    def play(self, act: Any, episodes: int, seed: int) -> Any:
        self.asked.append(episodes)
        return np.full(episodes, next(self.means))


def test_solved_is_what_a_hundred_episodes_confirm() -> None:
    judge = Told(10.0, 480.0, 470.0, 490.0, 476.0, 480.0)
    course = agents.Course(judge, 475.0, 1_000)  # type: ignore[arg-type]
    better = [course.look(steps, None) for steps in (0, 500, 1_016, 1_500, 2_000, 3_000)]  # type: ignore[arg-type]
    assert judge.asked == [20, 20, 100, 20, 100, 20]
    assert better == [True, False, True, False, True, False]
    found = course.told(4_000, 0, 2.0, 3.0)
    assert (found["reached"], found["solved_steps"], found["rate"]) == (1_016, 2_000, 2_000.0)
    assert found["solved_seconds"] is not None


def test_looks_and_trials_are_on_no_clock_of_training(monkeypatch: pytest.MonkeyPatch) -> None:
    now = iter([1.0, 1.0, 6.0, 8.0])  # a look from 1 to 6; asked at 8
    monkeypatch.setattr(agents.time, "perf_counter", lambda: next(now))
    course = agents.Course(Told(1.0), 475.0, 1_000, began=0.0)  # type: ignore[arg-type]
    course.look(0, None)  # type: ignore[arg-type]
    course.trials = 0.5
    assert course.clocks() == (2.5, 3.0)


def test_a_fit_that_is_watched_is_the_same_fit() -> None:
    course = agents.Course(agents.Judge("CartPole-v1"), 475.0, 500)
    with agents.watched(course) as seen:
        watched = small(steps=TINY, seed=3).fit("CartPole-v1")
    alone = small(steps=TINY, seed=3).fit("CartPole-v1")
    told = [[(record["loss"], record["return"]) for record in model.history_] for model in (watched, alone)]
    assert told[0] == told[1]
    assert seen["steps"]() > TINY, "with what was played at random to scale"
    assert course.aside > 0 < course.trials
    assert seen["last"].keys() == watched.learner_.state_dict().keys()


# ------------------------------------------------------------------------------------------------------ the contenders


@pytest.mark.parametrize("who", ["decet", agents.PEER])
def test_each_plays_and_is_judged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, who: str) -> None:
    monkeypatch.setattr(agents, "WARM", 1_500)
    if who == agents.PEER:
        pytest.importorskip("stable_baselines3", reason="Stable-Baselines3 is in the bench extra")
    contend = agents.decet if who == "decet" else agents.stable_baselines3
    found = contend(*here(tmp_path), game="CartPole-v1", steps=TINY, seed=0, threshold=15.0, every=1_000)
    assert found["steps"] >= TINY
    assert 8 <= found["kept"] <= 500 >= found["last"] >= 8
    assert 0 < found["seconds"] <= found["whole_seconds"]
    assert found["reached"] is None or found["reached"] >= 0


def test_control_is_judged_by_the_agents_own_figures(tmp_path: Path) -> None:
    found = agents.control(*here(tmp_path), game="Pendulum-v1", steps=TINY, seed=0)
    assert -2_000 < found["return"] < 0
    assert found["length"] == 200


def test_over_estimation_is_told_by_steps(tmp_path: Path) -> None:
    found = agents.overestimation(*here(tmp_path), game="CartPole-v1", steps=TINY, seed=0, double=True)
    steps, expected, given, returned = np.array(found["curve"]).T
    assert (np.diff(steps) > 0).all()
    assert np.isfinite(expected).all()
    assert (given <= returned).all(), "each reward is 1, and later ones count less"


def test_steps_a_second_are_counted(tmp_path: Path) -> None:
    pytest.importorskip("numba")
    ours = agents.rate_decet(*here(tmp_path), copies=256, seconds=0.05)["rate"]
    for mode in ("sync", "vector_entry_point"):
        theirs = agents.rate_gymnasium(*here(tmp_path), copies=16, seconds=0.05, mode=mode)["rate"]
        assert ours > 2 * theirs > 1_000


@pytest.mark.parametrize("copies", [1, 8])
def test_frames_are_kept_once(tmp_path: Path, copies: int) -> None:
    """In a process of its own, where no memory is free for reuse."""
    job = WORKS["frames"].jobs(True, 1)[(1, 8).index(copies)]
    (found,) = measure.results(job, (0,), tmp_path, tmp_path, threads=1)
    assert job.arguments["copies"] == copies
    assert 1.0 < found["arrays"] <= 1.05
    assert found["share"] == pytest.approx(found["arrays"], abs=0.02)


def test_frames_are_skipped_where_there_is_no_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agents, "_free", lambda: 5e9)
    found = agents.frames_decet(*here(tmp_path), frames=1_000_000, copies=1)
    assert found == {"skipped": "5.0 GB are free, 9.2 are needed"}


def test_the_peer_keeps_stacked_frames_twice_or_once(tmp_path: Path) -> None:
    pytest.importorskip("stable_baselines3", reason="Stable-Baselines3 is in the bench extra")
    twice, once = (
        agents.frames_peer(*here(tmp_path), frames=1_000_000, copies=1, lean=lean)["share"] for lean in (False, True)
    )
    assert twice == pytest.approx(8.0, abs=0.01)
    assert once == pytest.approx(4.0, abs=0.01)


# ---------------------------------------------------------------------------------------------------------- the reports


def duel(who: str, solved: float | None, **said: float) -> dict[str, Any]:
    values = {"kept": 500.0, "last": 480.0, "reached": 4_000, "seconds": 40.0, "whole_seconds": 50.0, "rate": 1_000.0}
    whole = None if solved is None else 2 * solved
    more = {"solved_seconds": solved, "solved_whole": whole, "peak_above_mb": 60.0, "peak_whole_mb": 500.0}
    return {"contender": who, "arguments": {}} | values | more | said


def test_what_was_never_solved_counts_for_the_peer_as_its_whole_run_and_for_us_as_never() -> None:
    ours = [duel("decet", solved) for solved in (1.0, 2.0, 3.0)]
    theirs = [duel(agents.PEER, solved, peak_above_mb=80.0) for solved in (30.0, None, None)]
    report = WORKS["cartpole"].report(Found(ours + theirs), Path())
    faster, ahead, memory = report.goals
    assert (faster.value, faster.verdict) == (20.0, "met")  # 40 seconds of training / 2
    assert (ahead.value, ahead.verdict) == (0.0, "met")
    assert (memory.value, memory.verdict) == (0.75, "met")
    assert report.tables[0].rows[1][5] == "30.00 (1 of 3)"
    assert report.tables[1].rows == [["training alone", "20.0", "1.0"], ["with own trials", "12.5", "1.0"]]
    never = [duel("decet", solved) for solved in (1.0, None, None)]
    assert WORKS["cartpole"].report(Found(never + theirs), Path()).goals[0].value == 0.0


def test_without_the_peer_nothing_is_compared() -> None:
    report = WORKS["lunarlander"].report(Found([duel("decet", None)]), Path())
    assert [goal.verdict for goal in report.goals] == ["not measured"]
    assert len(report.tables[0].rows) == 1


def test_goals_of_control_are_means_over_seeds() -> None:
    found = Found([
        {"contender": "decet", "arguments": {"game": "Acrobot-v1"}, "return": value, "middle": value, "spread": 9.0,
         "seconds": 30.0}
        for value in (-70.0, -100.0)
    ])  # fmt: skip
    report = WORKS["control"].report(found, Path())
    (goal,) = report.goals
    assert (goal.value, goal.target, goal.verdict) == (-85.0, -80.0, "missed")
    assert report.tables[0].rows[0][:5] == ["Acrobot-v1", "100,000", "2", "-85.0 ± 21.2", "-100.0"]


def test_memory_that_was_not_filled_is_told_and_not_judged() -> None:
    found = Found([
        {"contender": "decet", "arguments": {"copies": 1}, "share": 1.04, "held": 7.3e9},
        {"contender": "decet", "arguments": {"copies": 8}, "skipped": "5.0 GB are free, 9.2 are needed"},
    ])  # fmt: skip
    report = WORKS["frames"].report(found, Path())
    assert [goal.verdict for goal in report.goals] == ["met", "not measured"]
    assert [row[2] for row in report.tables[0].rows] == ["7.300", "skipped: 5.0 GB are free, 9.2 are needed"]


def test_over_estimation_is_drawn_beside_the_page(tmp_path: Path) -> None:
    def curve(above: float) -> list[list[float]]:
        return [[1_000.0 * i, 10.0 * i + above, 5.0 * i, 50.0] for i in range(1, 5)]

    found = Found([
        {"contender": name, "arguments": {}, "curve": curve(above + seed)}
        for name, above in (("plain", 8.0), ("double", 0.0))
        for seed in range(3)
    ])  # fmt: skip
    keep = tmp_path / "dqn-files"
    report = WORKS["overestimation"].report(found, keep)
    assert "(dqn-files/overestimation.svg)" in report.tables[0].note
    first = (keep / "overestimation.svg").read_bytes()
    assert b"plain: expected" in first
    WORKS["overestimation"].report(found, keep)
    assert (keep / "overestimation.svg").read_bytes() == first
    rows = {(row[0], row[1]): row for row in report.tables[0].rows}
    assert rows["plain", "4,000"][5] == "29.0 ± 1.0"  # 40 + 1 + 8 - 20
    assert rows["double", "1,000"][3:5] == ["11.0 ± 1.0", "5.0 ± 0.0"]
