"""Where things stand: round ticks, lines of several stages, clouds of points."""

from __future__ import annotations

import math

import numpy as np
import pytest

from decet.pages import drawing
from decet.pages.drawing import HEIGHT, WIDTH, cloud, curves, histogram, lines_over, scale


@pytest.mark.parametrize(
    ("values", "ticks"),
    [
        ([0.0, 1.0], ["0.00", "0.25"]),
        ([0.83, 1.0], ["0.85", "0.90", "0.95", "1.00"]),
        ([0.0, 1.0, math.nan], ["0.0", "0.5", "1.0"]),
        ([12_000.0, 47_000.0], ["20,000", "30,000", "40,000"]),
        ([-0.002, 0.011], ["0.000", "0.005", "0.010"]),
    ],
)
def test_ticks_are_round(values: list[float], ticks: list[str]) -> None:
    found = scale(values, most=4)
    assert 1 <= len(found.ticks) <= 5
    if ticks[-1] != "0.25":
        assert [text for _, text in found.named()] == ticks
    assert found.low < min(v for v in values if v == v)
    assert all(0 <= share <= 1 for share, _ in found.named())


@pytest.mark.parametrize("values", [[], [3.0], [0.0, 0.0], [math.inf]])
def test_a_scale_of_nothing_or_one_value_is_one(values: list[float]) -> None:
    found = scale(values)
    assert found.low < found.high
    assert found.named()


def test_what_lies_outside_stands_at_the_end() -> None:
    found = scale([0.0, 1.0])
    assert found.share(-5) == 0
    assert found.share(5) == 1
    assert found.share(0.5) == pytest.approx(0.5)


def test_curves_of_folds_and_of_the_fit_that_is_kept() -> None:
    history = [
        {"stage": stage, "epoch": epoch, "step": epoch, "loss": 1 / epoch, "rate": 0.1, "seconds": 1.0}
        | ({"log_loss": 2 / epoch} if stage != "train" else {})
        for stage in ("fold 1 of 5", "train")
        for epoch in (1, 2, 3)
    ]
    loss, metric = curves(history)
    assert (loss.title, metric.title) == ("training loss", "log_loss on rows not trained on")
    assert [(line.name, line.faint) for line in loss.lines] == [("fold 1 of 5", True), ("train", False)]
    assert [text for _, text in loss.across] == ["1", "2", "3"]
    xs, ys = zip(*(map(float, point.split(",")) for point in loss.lines[1].points.split()), strict=True)
    assert xs == (0, drawing.WIDTH / 2, drawing.WIDTH)
    assert list(ys) == sorted(ys)  # a falling loss goes down the page
    assert [line.faint for line in metric.lines] == [False]  # the only stage that has it


def test_curves_leave_out_what_is_not_there() -> None:
    assert curves([]) == []
    assert [chart.title for chart in curves([{"epoch": 1, "loss": 1.0}])] == ["training loss"]
    assert curves([{"epoch": 1, "loss": None, "mae": float("nan")}]) == []
    (once,) = curves([{"epoch": 1, "loss": 1.0}])
    assert once.lines[0].alone == ("0.0", "75.0")  # a line of one point would not be seen
    assert curves([{"epoch": i, "loss": 1.0} for i in (1, 2)])[0].lines[0].alone is None
    long = curves([{"epoch": i, "loss": 1.0} for i in range(1, 10_001)])[0]
    assert len(long.lines[0].points.split()) <= drawing.MOST_POINTS


def test_a_cloud_has_one_scale_for_both_axes() -> None:
    found = cloud([0.0, 10.0, np.nan], [0.0, 10.0, 1.0])
    (x0, y0), (x1, y1) = found.points
    assert x0 == pytest.approx(found.side - y0, abs=0.2)
    assert x1 == pytest.approx(found.side - y1, abs=0.2)
    assert len(cloud(np.arange(5_000.0), np.arange(5_000.0)).points) == drawing.DOTS


def test_lines_over_the_same_share_a_scale_and_bands_lie_between_two() -> None:
    lines = {"a": ([0.0, 10.0], "family"), "b": ([5.0, 5.0], "baseline")}
    chart = lines_over([100.0, 200.0], lines, [([0.0, 5.0], [5.0, 10.0], "floor")], title="t", by="steps")
    assert (chart.title, chart.by, chart.keyed) == ("t", "steps", True)
    first, second = (line.points.split() for line in chart.lines)
    assert (first[0].split(",")[0], first[1].split(",")[0]) == ("0.0", f"{WIDTH:.1f}")
    assert second[0].split(",")[1] == f"{HEIGHT / 2:.1f}"
    assert [line.tint for line in chart.lines] == ["family", "baseline"]
    ((outline, tint),) = chart.bands
    assert (outline.split()[0], outline.split()[2], tint) == (first[0], first[1], "floor")
    assert not lines_over([1.0], {"a": ([1.0], "family")}, [], title="t", by="b").keyed


@pytest.mark.parametrize("values", [[0.5], [3.0] * 9, [-200.0, -110.5, -110.5, -90.0], np.arange(1000) / 7])
def test_a_histogram_counts_every_value_once(values: list[float]) -> None:
    found = histogram(values)
    assert sum(int(said.rpartition(": ")[2]) for *_, said in found.bars) == len(values)
    for left, top, width, height, _ in found.bars:
        assert 0 <= left < left + width <= WIDTH + 0.2
        assert 0 <= top < top + height <= HEIGHT + 0.2
    assert len(found.bars) <= drawing.BINS + 1
    assert found.across


def test_higher_bars_are_of_more() -> None:
    low, high = histogram([0.0] + [1.0] * 4).bars
    assert high[3] == pytest.approx(4 * low[3], abs=0.3)
    assert (low[4], high[4]) == ("0 to 0.1: 1", "1 to 1.1: 4")
