"""A comparison kept: as JSON and back, as a table, with what is not a number; and what is no comparison."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from decet.errors import BadInput
from decet.referee.comparison import Comparison
from decet.referee.intervals import Interval
from decet.referee.verdict import Result


def made() -> Comparison:
    best = Result(
        "DNN",
        "family",
        Interval(0.9, 0.8, 1.0),
        Interval(0.0, 0.0, 0.0),
        {"auc": None, "accuracy": 0.9},
        seconds=1.0,
        latency=2.0,
        megabytes=0.5,
        history=[{"epoch": 1, "loss": math.inf}],
        folder="DNN",
    )
    next_one = Result(
        "logistic regression", "baseline", Interval(0.8, 0.7, 0.9), Interval(0.1, -0.05, 0.2), seconds=0.02
    )
    undefined = Result("ResNet", "family", Interval(*[math.nan] * 3))
    failed = Result("CNN", "family", error="training diverged.")
    return Comparison(
        "TableClassifier", "iris", "accuracy", [best, next_one, undefined, failed], {"test": 30}, "DNN is best."
    )


def test_json_and_back(tmp_path: Path) -> None:
    found = made()
    found.write(tmp_path, page=False)
    told = json.loads((tmp_path / "comparison.json").read_text(), parse_constant=lambda name: pytest.fail(name))
    assert told["results"][0]["score"] == {"value": 0.9, "low": 0.8, "high": 1.0}
    assert told["results"][0]["history"] == [{"epoch": 1, "loss": None}]
    again = Comparison.read(tmp_path)
    assert again.to_dict() == found.to_dict()
    assert again.results[0].score == found.results[0].score
    assert not again.results[2].is_defined
    assert again.folder == tmp_path
    assert str(again) == str(found)


def test_the_table_in_words() -> None:
    lines = str(made()).splitlines()
    assert lines[0].split() == ["accuracy", "95", "%", "behind", "fit", "one", "row", "size"]
    assert lines[1].split() == ["DNN", "0.9000", "0.800", "to", "1.000", "1.0", "s", "2", "ms", "0.5", "MB"]
    assert "0.100 (-0.050 to 0.200)" in lines[2]
    assert lines[3].split()[:2] == ["ResNet", "undefined"]
    assert lines[4].split() == ["CNN", "failed"]
    assert lines[-1] == "DNN is best."


def test_the_best_and_its_model(tmp_path: Path) -> None:
    found = made()
    assert found.best.name == found.best_family.name == "DNN"
    with pytest.raises(BadInput, match=r"the models of this comparison were not saved\. Say out=\.\.\. when comparing"):
        found.model  # noqa: B018
    found.results = found.results[1:2]
    with pytest.raises(BadInput, match="no family was fitted, so there is no model"):
        found.model  # noqa: B018


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"results": [{"name": 1}]}', '{"results": [], "strange": 1}', "\xff"]
)
def test_what_is_no_comparison_is_told(tmp_path: Path, text: str) -> None:
    (tmp_path / "comparison.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(
        BadInput, match=r"comparison\.json is no comparison that decet wrote .* Start anew with --overwrite"
    ):
        Comparison.read(tmp_path)
