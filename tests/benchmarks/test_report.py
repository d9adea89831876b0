"""From records to medians, ratios, goals and markdown."""

from __future__ import annotations

import pytest
from benchmarks.report import (
    Found,
    Goal,
    Report,
    Table,
    goals_table,
    least,
    markdown,
    markdown_table,
    provenance,
    ratio_of_medians,
    shown,
    spread,
)


def record(contender: str, batch: int = 32, **values: object) -> dict[str, object]:
    about = {"commit": "abc", "when": "2026-01-02T03:04:05", "threads": 2, "versions": {"torch": "2"}, "ours": True}
    return {"contender": contender, "arguments": {"batch": batch}, "source": "s"} | about | values


def test_ratio_of_medians_is_not_the_median_of_ratios() -> None:
    # medians 4 and 2; the ratios one by one would be 1, 4, 10 with median 4
    assert ratio_of_medians([1.0, 4.0, 20.0], [1.0, 2.0, 2.0]) == 2.0
    assert ratio_of_medians([], [1.0]) is None
    assert ratio_of_medians([1.0], []) is None


def test_found_answers_by_contender_and_arguments() -> None:
    found = Found([record("a", 32, rate=1.0), record("a", 32, rate=3.0), record("a", 64, rate=9.0), record("b")])
    assert found.of("a", batch=32).values("rate") == [1.0, 3.0]
    assert found.of("a", batch=32).middle("rate") == 2.0
    assert found.of("b").middle("rate") is None
    assert not found.of("c")


@pytest.mark.parametrize(
    ("sense", "target", "value", "verdict"),
    [
        (">=", 2.0, 2.0, "met"),
        (">=", 2.0, 1.99, "missed"),
        ("<=", 3.0, 3.0, "met"),
        ("<", 0.3, 0.3, "missed"),
        (">=", 2.0, None, "not measured"),
    ],
)
def test_goals_are_met_or_missed(sense: str, target: float, value: float | None, verdict: str) -> None:
    assert Goal("speed", sense, target, value).verdict == verdict


def test_a_goal_of_a_busy_machine_is_void_and_one_of_a_quick_run_says_so() -> None:
    assert Found([record("a", void=True), record("b")]).goal("speed", ">=", 1.0, 5.0).verdict == "void"
    assert Found([record("a")], quick=True).goal("speed", ">=", 1.0, 5.0).verdict == "met (quick)"


def test_cells() -> None:
    assert shown(None) == "-"
    assert shown(12345.6) == "12,346"
    assert shown(0.5, ".2f", void=True) == "0.50 (void)"
    assert spread([3.0, 1.0, 2.0]) == "1 - 3"
    assert spread([]) == "-"
    assert least([None, 2.0, 1.0]) == 1.0
    assert least([None]) is None


def test_markdown_tables_escape_bars() -> None:
    assert markdown_table(["a", "b"], [["1", "x|y"]]) == "| a | b |\n| --- | --- |\n| 1 | x\\|y |"


def test_the_page_has_goals_first_then_each_work() -> None:
    goal = Goal("speed", ">=", 2.0, 2.5)
    report = Report([Table("rates", ["who"], [["a"]], "a note")], [goal], "commit abc.")
    page = markdown("Title", {"machine": "m"}, {"work": report})
    order = [
        "# Title",
        "- machine: m",
        "## Goals",
        "| speed | >= 2 | 2.5 | met |",
        "## work",
        "commit abc.",
        "### rates",
    ]
    places = [page.index(text) for text in [*order, "a note", "| who |"]]
    assert places == sorted(places)
    assert goals_table([goal]) in page


def test_provenance_names_commit_versions_and_seeds_and_warns_of_mixed_sources() -> None:
    same = Found([record("a", seed=2), record("a", seed=1)])
    assert provenance(same) == "commit abc; measured 2026-01-02; threads 2; seeds 1, 2; versions torch 2."
    mixed = Found([record("a"), record("a", source="t")])
    assert "sources changed between these records" in provenance(mixed)
    peers = Found([record("a"), record("b", source="t", ours=False)])
    assert "sources changed" not in provenance(peers)
