"""The works of the family ResNet: training speed and quality on CIFAR-10, and answers to a folder of 100,000 pictures.

Quality under each budget is a work of its own (`--only cifar-8`). A long budget is run once, and three times for a
quarter as long, which shows by how much runs differ. decet runs as the map has it; the goals stand here.
"""

from __future__ import annotations

import time
import warnings
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks import convnet, mlp, pictures
from benchmarks.child import Meter, Place
from benchmarks.measure import Job, Work, in_turns
from benchmarks.report import Found, Report, Table, ratio_of_medians, shown, spread

GOALS = {8: 0.925, 25: 0.94, 60: 0.95}  # minutes of a budget -> test accuracy
SEEDS = (0, 1, 2)
QUARTER = "decet, a quarter of the time"
STREAM_GOALS = {"growth": 300.0, "rate": 0.8}
COUNT, QUICK_COUNT = 100_000, 3_000  # pictures in the folder
DEPTH = 20  # of the network that answers, quick enough that reading matters
WARM = 64  # pictures answered before the clock and the memory meter start
IN_MEMORY = 10_000  # pictures that are answered from an array


# ---------------------------------------------------------------------------------------------------------- quality


def _cifar_jobs(minutes: int, quick: bool, runs: int) -> list[Job]:
    work, several = f"cifar-{minutes}", minutes == min(GOALS)
    job = partial(pictures.quality_job, work, "cifar10", "ResNet", quick=quick)
    seeds, one = SEEDS[: 1 if quick else runs], SEEDS[:1]
    jobs = [job(60 * minutes, seed) for seed in (seeds if several else one)]
    if several:
        return [*jobs, *pictures.baseline_jobs(work, "cifar10", quick)]
    return [*(job(15 * minutes, seed, contender=QUARTER) for seed in seeds), *jobs]


def _cifar_report(minutes: int, found: Found, keep: Path) -> Report:
    beside = pictures.BASELINES if minutes == min(GOALS) else (QUARTER,)
    note = "Accuracy, several views of each test picture averaged. CIFAR-10 as JPEG files of quality 75."
    title = f"CIFAR-10, official test part, {minutes} minutes"
    table = pictures.quality_table(found, title, ("decet", *beside), note)
    what = f"CIFAR-10 in {minutes} min"
    return Report([table], pictures.quality_goals(found, what, GOALS[minutes], 60 * minutes))


# -------------------------------------------------------------------------------------- answers to a folder of files


def stream_files(meter: Meter, place: Place, count: int, budget: int) -> dict[str, Any]:
    """A folder of `count` JPEG files, copies of CIFAR-10's under other names; a smaller one; a model that answers."""
    from decet import DataWarning, ImageClassifier, ResNet
    from decet.data.datasets import find, locate

    dataset = find("cifar10")
    folders = [(place.scratch / name, most) for name, most in (("photos", count), ("few", WARM))]
    with zipfile.ZipFile(locate(dataset, dataset.files[0])) as archive:
        members = [archive.read(name) for name in archive.namelist() if name.endswith(".jpg")]
    for folder, most in folders:
        folder.mkdir()
        for i in range(most):
            (folder / f"{i:06d}.jpg").write_bytes(members[i * 7919 % len(members)])  # mixed, not class after class
    model = ImageClassifier(ResNet(depth=DEPTH), views="plain", seed=mlp.SEED, device="cpu")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)
        model.fit(*convnet.pictures("cifar10", "train", pictures.QUICK_ROWS), budget=budget)
    model.save(place.scratch / "model")
    return {"rows": count}


def stream(meter: Meter, place: Place, way: str, count: int) -> dict[str, Any]:
    """Pictures a second of one way, and the growth of memory since the model was loaded and had answered a few.

    count: pictures in the folder, as it was prepared.
    """
    done, seconds, growth = WAYS[way](place)
    return {"pictures": done, "rate": round(done / seconds, 1), "seconds": round(seconds, 2), "growth_mb": growth}


def _answering(place: Place) -> tuple[int, float, float]:
    """decet as it comes: `records` of the folder."""
    import decet

    model = decet.load(place.scratch / "model")
    list(model.records(place.scratch / "few"))
    own, started = Meter(), time.perf_counter()
    done = sum("probabilities" in record for record in model.records(place.scratch / "photos"))
    return done, time.perf_counter() - started, own.found()["peak_above_mb"]


def _computing(place: Place) -> tuple[int, float, float]:
    """The same answers to pictures that are in memory, decoded."""
    import decet

    model = decet.load(place.scratch / "model")
    list(model.records(place.scratch / "few"))
    X, _ = convnet.pictures("cifar10", "test", IN_MEMORY)
    own, started = Meter(), time.perf_counter()
    done = sum("probabilities" in record for record in model.records(X))
    return done, time.perf_counter() - started, own.found()["peak_above_mb"]


def _reading(place: Place) -> tuple[int, float, float]:
    """decet's reader alone: the files decoded, block by block."""
    from decet.data.pictures import read_pictures

    own, started = Meter(), time.perf_counter()
    found, _, _ = read_pictures(place.scratch / "photos")
    done = sum(len(pixels) for pixels, _ in found.stream((32, 32), 3))
    return done, time.perf_counter() - started, own.found()["peak_above_mb"]


def _pillow(place: Place) -> tuple[int, float, float]:
    """The same by Pillow, file after file."""
    import numpy as np
    from PIL import Image

    own, started, done = Meter(), time.perf_counter(), 0
    for path in sorted((place.scratch / "photos").iterdir()):
        with Image.open(path) as picture:
            done += np.asarray(picture.convert("RGB")).shape[0] > 0
    return done, time.perf_counter() - started, own.found()["peak_above_mb"]


WAYS: dict[str, Callable[[Place], tuple[int, float, float]]] = {
    "decet": _answering,
    "computing alone": _computing,
    "reading alone": _reading,
    "reading alone, Pillow": _pillow,
}


def _stream_jobs(quick: bool, runs: int) -> list[Job]:
    turn = [
        Job(
            "stream",
            way,
            "benchmarks.resnet:stream",
            {"way": way, "count": QUICK_COUNT if quick else COUNT},
            imports=("PIL.Image",) if way.endswith("Pillow") else ("decet.estimators.saved", *convnet.DECET),
            packages=("torch", "pillow"),
            ours=not way.endswith("Pillow"),
        )
        for way in WAYS
    ]
    return in_turns(turn, runs)


def _stream_prepare(quick: bool) -> Job:
    arguments = {"count": QUICK_COUNT if quick else COUNT, "budget": 20 if quick else 60}
    return Job("stream", "files", "benchmarks.resnet:stream_files", arguments)


def _stream_report(found: Found, keep: Path) -> Report:
    rows = []
    for way in WAYS:
        own = found.of(way)
        cells = [shown(own.middle("rate"), void=own.void), spread(own.values("rate"))]
        rows.append([way, shown(own.middle("pictures")), *cells, shown(own.middle("growth_mb"))])
    header = ("what", "pictures", "pictures/s (median)", "least - most", "MB above the model's own")
    note = (
        "JPEG files of 32 x 32 pixels in one folder, by `model.records(folder)`, every answer with its probabilities; "
        f"ResNet-{DEPTH}, one view; files in the system's cache."
    )
    ours = found.of("decet").values("rate")
    readers = [found.of(way).middle("rate") for way in WAYS if way.startswith("reading")]
    quicker = max((rate for rate in readers if rate is not None), default=None)
    computed = found.of("computing alone").middle("rate")
    whole = quicker is not None and computed is not None
    share = ratio_of_medians(ours, [min(computed, quicker)]) if whole else None
    goals = [
        found.goal("folder of pictures: growth of memory in MB", "<=", STREAM_GOALS["growth"], _most(found)),
        found.goal(
            "folder of pictures: decet's pictures/s / those of the slower of reading and computing alone",
            ">=",
            STREAM_GOALS["rate"],
            share,
        ),
    ]
    return Report([Table("answers to a folder of pictures", header, rows, note)], goals)


def _most(found: Found) -> float | None:
    """The largest growth of all turns."""
    return max(found.of("decet").values("growth_mb"), default=None)


WORKS = (
    pictures.speed("cifar10"),
    *(
        Work(
            f"cifar-{minutes}",
            f"quality on CIFAR-10's official test part in {minutes} minutes",
            partial(_cifar_jobs, minutes),
            partial(_cifar_report, minutes),
        )
        for minutes in GOALS
    ),
    Work("stream", "answers to a folder of pictures", _stream_jobs, _stream_report, _stream_prepare),
)
