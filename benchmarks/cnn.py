"""The works of the family CNN: training speed on MNIST, and quality on its official test part.

decet runs as the map has it for grey pictures of this size; the goals stand here.
"""

from __future__ import annotations

from pathlib import Path

from benchmarks import pictures
from benchmarks.measure import Job, Work
from benchmarks.report import Found, Report

GOAL = 0.997  # test accuracy of a single model, within ten minutes
BUDGET = 8 * 60  # seconds
SEEDS = (0, 1, 2)


def _mnist_jobs(quick: bool, runs: int) -> list[Job]:
    seeds = SEEDS[: 1 if quick else runs]
    own = [pictures.quality_job("mnist", "mnist", "CNN", BUDGET, seed, quick) for seed in seeds]
    return [*own, *pictures.baseline_jobs("mnist", "mnist", quick)]


def _mnist_report(found: Found, keep: Path) -> Report:
    note = "Accuracy. decet sets some of the training part aside to choose the epoch, and some to calibrate."
    table = pictures.quality_table(found, "MNIST, official test part", ("decet", *pictures.BASELINES), note)
    return Report([table], pictures.quality_goals(found, "MNIST", GOAL, BUDGET))


WORKS = (
    pictures.speed("mnist"),
    Work("mnist", "quality on MNIST's official test part", _mnist_jobs, _mnist_report),
)
