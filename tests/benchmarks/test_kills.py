"""kill -9 in benchmarks: what is asked of a folder after a kill, and how records become goals."""

from __future__ import annotations

from pathlib import Path

from benchmarks.report import Found, Record

from benchmarks import kills
from decet import TableClassifier
from decet.families.dnn import DNN
from decet.training.recipe import Recipe


def test_what_stands_in_a_folder_is_named(tmp_path: Path) -> None:
    assert kills._state(tmp_path) == "nothing"
    (tmp_path / "checkpoint").mkdir()
    (tmp_path / "checkpoint" / "state.safetensors").touch()
    assert kills._state(tmp_path) == "checkpoint"
    TableClassifier(DNN(width=4), recipe=Recipe(epochs=1)).fit([[0.0], [1.0]] * 8, ["a", "b"] * 8).save(tmp_path)
    assert kills._state(tmp_path) == "model"
    weights = tmp_path / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-4])
    assert kills._state(tmp_path) == "BROKEN"


def test_one_run_that_ends_otherwise_misses_the_goal() -> None:
    def record(same: bool, *states: str) -> Record:
        return {"contender": "adult", "arguments": {}, "moment": kills.MOMENTS[0], "states": states, "same": same}

    good, other, broken = record(True, "model", "ended"), record(False, "nothing"), record(True, "BROKEN")
    same, whole = kills._report(Found([good] * 99 + [other]), Path()).goals
    assert (same.value, same.verdict, whole.verdict) == (0.99, "missed", "met")
    report = kills._report(Found([good, broken]), Path())
    assert [goal.verdict for goal in report.goals] == ["met", "missed"]
    row = next(row for row in report.tables[0].rows if row[2] == "2")
    assert list(row) == ["adult", "any moment", "2", "2", "BROKEN 1, ended 1, model 1", "2", "1"]
