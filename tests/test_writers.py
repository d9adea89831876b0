"""Answers as files: one level of names, whatever suffix; a column that begins empty may hold a sentence later."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from decet import writers

RECORDS = [
    {"answer": "是", "probabilities": {"是": 0.75, "no": 0.25}, "error": None},
    {"answer": ["a", "b"], "probabilities": {"是": 0.5, "no": 0.5}, "error": "truncated"},
]


def test_a_line_is_one_object_in_its_own_letters() -> None:
    assert writers.line(RECORDS[0]) == '{"answer": "是", "probabilities": {"是": 0.75, "no": 0.25}, "error": null}\n'


def test_names_of_one_level() -> None:
    assert writers.flat(RECORDS[1]) == {
        "answer": '["a", "b"]',
        "probabilities.是": 0.5,
        "probabilities.no": 0.5,
        "error": "truncated",
    }


@pytest.mark.parametrize("suffix", writers.WRITERS)
@pytest.mark.parametrize("batch", [1, 10])
def test_every_suffix_holds_the_records(
    tmp_path: Path, suffix: str, batch: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writers, "BATCH", batch)
    path = tmp_path / f"a{suffix}"
    assert writers.WRITERS[suffix](RECORDS, path) == 2
    if suffix == ".jsonl":
        assert [json.loads(line) for line in path.read_text().splitlines()] == RECORDS
        return
    table = pd.read_csv(path) if suffix == ".csv" else pd.read_parquet(path)
    assert table["probabilities.no"].tolist() == [0.25, 0.5]
    assert table["error"].tolist()[1] == "truncated"


@pytest.mark.parametrize("suffix", writers.WRITERS)
def test_no_records_are_no_error(tmp_path: Path, suffix: str) -> None:
    assert writers.WRITERS[suffix]([], tmp_path / f"a{suffix}") == 0
