"""Where things stand: round ticks, lines of several stages, clouds of points."""

from __future__ import annotations

import math

import numpy as np
import pytest

from decet.pages import drawing
from decet.pages.drawing import cloud, curves, scale


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
