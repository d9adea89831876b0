"""What a fit is called with: what cannot work is refused before anything is read or written."""

from __future__ import annotations

from pathlib import Path

import pytest

from decet import BadInput, Recipe, TableClassifier
from decet.estimators.calls import Call, ready


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (Call(budget=0.0), "budget must be a number of at least 0.001. Received: 0.0."),
        (Call(resume=True), "resume and overwrite need out: the folder that holds the run."),
        (Call(budget=5.0), "budget and recipe.epochs both say how long to train; keep one."),
    ],
)
def test_a_call_that_cannot_work_is_refused(call: Call, sentence: str) -> None:
    with pytest.raises(BadInput) as error, ready(TableClassifier(recipe=Recipe(epochs=1)), call):
        pass
    assert str(error.value) == sentence


def test_the_folder_is_for_one_fit_at_a_time(tmp_path: Path) -> None:
    with ready(TableClassifier(), Call(out=tmp_path / "m")):
        assert (tmp_path / "m").parent.exists()
