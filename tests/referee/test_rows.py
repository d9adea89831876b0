"""What a comparison stands on: test rows apart from those that train, copies, groups and the past on one side."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from decet import TableClassifier, TableRegressor, TextClassifier
from decet.errors import BadInput
from decet.referee.compare import _template
from decet.referee.rows import Ground, row_ground

pytestmark = pytest.mark.filterwarnings("ignore::decet.DataWarning")


def parts(estimator: Any, X: Any, y: Any, **said: Any) -> Ground:
    """Test and training rows as they are chosen, nothing fitted."""
    given = {"groups": None, "order": None, "test": 0.2} | said
    return row_ground(_template(estimator, 0), X, y, **given)


def test_copies_stay_on_one_side() -> None:
    rng = np.random.default_rng(0)
    X = np.repeat(rng.normal(size=(40, 2)), 3, axis=0)
    found = parts(TableClassifier, X, np.repeat(np.arange(40) % 2, 3))
    train, test = (set(map(tuple, part.rows.to_numpy().tolist())) for part in (found.train, found.test))
    assert not train & test
    assert len(train | test) == 40
    assert found.how.endswith("copies on one side")


def test_groups_stay_on_one_side_and_may_be_a_column() -> None:
    frame = pd.DataFrame({"x": np.arange(60.0), "patient": np.repeat(np.arange(12), 5)})
    found = parts(TableClassifier, frame, np.arange(60) % 2, groups="patient")
    assert not set(found.train.rows["patient"]) & set(found.test.rows["patient"])
    assert (found.groups == found.train.rows["patient"]).all()
    assert found.how.endswith("groups on one side")
    with pytest.raises(BadInput, match="names the column 'pateint', which X does not have. Did you mean 'patient'?"):
        parts(TableClassifier, frame, np.arange(60) % 2, groups="pateint")


def test_the_past_trains_and_the_future_tests() -> None:
    frame = pd.DataFrame({"x": np.arange(60.0), "year": np.arange(60)[::-1]})
    found = parts(TableRegressor, frame, np.arange(60.0), order="year")
    assert found.train.rows["year"].max() < found.test.rows["year"].min()
    assert found.how == "the latest 20 % of the rows, set aside"


def test_a_class_is_never_tested_only() -> None:
    X = np.arange(120.0).reshape(60, 2)
    y = np.array(["a", "b"] * 29 + ["rare", "rare"])
    for seed in range(5):
        template = TableClassifier(seed=seed)
        groups = np.concatenate([np.arange(58), [99, 99]])
        found = parts(template, X, y, groups=groups)
        assert set(found.test.answers) <= set(found.train.answers)


def test_the_official_test_part_of_a_set_judges(data_folder: Path) -> None:
    found = parts(TableClassifier, "adult", None)
    assert (len(found.train.answers), len(found.test.answers)) == (32_561, 16_281)
    assert found.how == "the official test part"


def test_a_folder_with_parts_has_its_own_test(tmp_path: Path) -> None:
    for part, count in (("train", 12), ("test", 3)):
        for label in ("good", "bad"):
            folder = tmp_path / part / label
            folder.mkdir(parents=True)
            for i in range(count):
                (folder / f"{i}.txt").write_text(f"{label} text {i} of {part}")
    found = parts(TextClassifier, str(tmp_path), None)
    assert (len(found.train.rows), len(found.test.rows)) == (24, 6)
    assert all("of test" in text for text in found.test.rows.texts)


def test_what_is_kept_of_it() -> None:
    found = parts(TableClassifier, np.arange(120.0).reshape(60, 2), ["a", "b", "b"] * 20)
    assert found.facts() == {
        "train": 48,
        "test": 12,
        "items": "test rows",
        "how": "20 % of the rows, set aside in proportion to the classes",
        "targets": [],
        "classes": {"a": 16, "b": 32},
    }
    assert [contender.name for contender in found.baselines][:2] == ["the most common class", "logistic regression"]
    assert found.target.shape == (12, 1)
