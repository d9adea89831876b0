"""The tour: a stop a family that exists, honest figures, one page; and what has no stop."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from decet.errors import BadInput
from decet.estimators.catalog import FAMILIES
from decet.pages import tour as tours
from decet.pages.tour import PAGE, STOPS, docstrings, manual, tour


def test_every_family_has_a_stop() -> None:
    assert set(STOPS) == {family.__name__ for family in FAMILIES}


def test_a_stop_learns_and_is_shown(tmp_path: Path) -> None:
    (stop,) = tour(["dnn"], out=tmp_path)
    assert float(re.search(r"r2 (0\.\d+)", stop.figures)[1]) > 0.35  # type: ignore[index]
    page = (tmp_path / PAGE).read_text()
    for shown in ("TableRegressor(DNN())", "What it goes by", "bmi", "should hold the truth", stop.figures):
        assert shown in page
    assert not re.search(r"https?://|<script", page)


def test_rows_are_held_out() -> None:
    train, test = tours._parts(100, 0)
    assert len(train) == 75
    assert sorted([*train, *test]) == list(range(100))


def test_the_texts_stand_inside_the_install() -> None:
    assert sum(map(len, manual().values())) > 300_000
    texts, owners = docstrings()
    assert len(texts) > 500
    assert set(owners) == set(tours.OWNERS)
    assert not any(re.search(r"\b(numpy|torch|pandas)\b", text) for text in texts)
    assert np.unique(owners, return_counts=True)[1].min() > 20


def test_a_family_without_a_stop_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="the tour has no stop 'CNM'. Did you mean 'CNN'?"):
        tour(["CNM"], out=tmp_path)
