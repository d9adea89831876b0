"""The works of doubt: whether sets and intervals hold what they promise, and probabilities mean what they say; whether
rows that are unlike all before are seen, and labels that were made wrong are found. Five seeds of every set.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from benchmarks.child import Meter, Place
from benchmarks.measure import Job, Work
from benchmarks.report import Found, Report, Table

SEEDS = 5
COVERAGE, LOW, HIGH = 0.9, 0.88, 0.92
HALF = 0.5  # of the calibration error of temperature 1
FEW = 600  # rows of a quick run
SETS = ("adult", "mnist", "pm2.5", "diabetes", "bbc", "chnsenticorp", "rt-polarity")
TOLD = ("coverage", "set_size", "interval_width", "calibration_error", "accuracy")
FLIPPED = 0.05  # share of the training labels that are made wrong
FLIPS = ("digits", "adult", "rt-polarity")
IMPORTS = ("torch", "decet.estimators.catalog")


def _jobs(work: str, names: tuple[str, ...], quick: bool, runs: int) -> list[Job]:
    parts = tuple(range(2 if quick else SEEDS))
    return [
        Job(work, "decet", f"benchmarks.trust:{work}", {"data": name, "quick": quick}, parts=parts, imports=IMPORTS,
            packages=("torch",), mode="shared")
        for name in names
    ]  # fmt: skip


# ----------------------------------------------------------------------------------------------------------- coverage


def coverage(meter: Meter, place: Place, data: str, quick: bool, parts: list[int]) -> Iterator[dict[str, Any]]:
    """One fit a seed, judged by rows that it did not see: the official test part, or 30 % drawn by the seed."""
    warnings.simplefilter("ignore")
    for seed in parts:
        make, train, test = _given(data, seed, quick)
        model = make().fit(*train)
        found = model.evaluate(*test)
        kept = {name: found[name] for name in TOLD if found.get(name) is not None}
        if "calibration_error" in kept:
            model.learner_.temperature.fill_(1.0)
            kept["uncalibrated"] = model.evaluate(*test)["calibration_error"]
        yield {"part": seed, "seed": seed, **kept}


def _given(data: str, seed: int, quick: bool) -> tuple[Callable[[], Any], tuple[Any, Any], tuple[Any, Any]]:
    """What makes the estimator, rows to train and rows to judge."""
    import numpy as np

    from decet import CNN, ImageClassifier, Recipe, TableClassifier, TableRegressor, TextClassifier
    from decet.data.datasets import load
    from decet.referee.contenders import answers_taken, taken

    table = {"adult": TableClassifier, "pm2.5": TableRegressor, "diabetes": TableRegressor}
    make = partial(table.get(data, TextClassifier), seed=seed)
    if data in ("mnist", "digits"):
        make = partial(
            ImageClassifier, CNN(channels=(16, 32)), recipe=Recipe(epochs=3 if data == "mnist" else 12), seed=seed
        )
    X, y = _weather() if data == "pm2.5" else ((whole := load(data)).X, whole.y)
    rng = np.random.Generator(np.random.Philox(seed))
    order = rng.permutation(len(y))[: FEW if quick else None]
    if data in ("adult", "mnist") and not quick:
        official = load(data, "test")
        own = load(data, "train")
        return make, (own.X, own.y), (official.X, official.y)
    cut = int(0.3 * len(order))
    train, test = np.sort(order[cut:]), np.sort(order[:cut])
    return make, (taken(X, train), answers_taken(y, train)), (taken(X, test), answers_taken(y, test))


def _weather() -> tuple[Any, Any]:
    """Beijing's hours as a table of numbers and one category: how dirty is the air? The logarithm, as is usual."""
    import numpy as np
    import pandas as pd

    from decet.data.datasets import find, locate

    dataset = find("beijing-pm25")
    frame = pd.read_csv(locate(dataset, dataset.files[0])).dropna().reset_index(drop=True)
    return frame.drop(columns=["No", "pm2.5"]), np.log1p(frame["pm2.5"].to_numpy())


def _coverage_report(found: Found, keep: Path) -> Report:
    rows, goals = [], []
    for data in SETS:
        own = found.of("decet", data=data)
        held = own.values("coverage")
        if not held:
            continue
        before, after = own.values("uncalibrated"), own.values("calibration_error")
        size = own.values("set_size") or own.values("interval_width")
        rows.append([
            data, str(len(held)), _spread(held), f"{fmean(size):.3f}", _spread(own.values("accuracy")),
            _spread(before), _spread(after),
        ])  # fmt: skip
        goals.append(found.goal(f"{data}: coverage of 90 % sets and intervals, mean", ">=", LOW, fmean(held)))
        goals.append(found.goal(f"{data}: the same", "<=", HIGH, fmean(held)))
        if before:
            goals.append(found.goal(f"{data}: calibration error / that of temperature 1", "<=", HALF,
                                    fmean(after) / fmean(before)))  # fmt: skip
    header = (
        "data",
        "seeds",
        "coverage",
        "labels, or width",
        "accuracy",
        "calibration error at temperature 1",
        "and ours",
    )
    note = "Rows that nobody was trained on or calibrated by; mean and standard deviation over seeds."
    return Report([Table("coverage", header, rows, note)], goals)


def _spread(values: list[float]) -> str:
    if not values:
        return "-"
    return f"{fmean(values):.4f}" + (f" ± {stdev(values):.4f}" if len(values) > 1 else "")


# ------------------------------------------------------------------------------------------------------- wrong labels


def flips(meter: Meter, place: Place, data: str, quick: bool, parts: list[int]) -> Iterator[dict[str, Any]]:
    """A twentieth of the training labels made wrong: how many of those named first are wrong?"""
    import numpy as np

    warnings.simplefilter("ignore")
    for seed in parts:
        make, (X, y), _ = _given(data, seed, quick)
        y = np.array(list(y))
        classes = np.unique(y)
        rng = np.random.Generator(np.random.Philox(1_000 + seed))
        flipped = rng.choice(len(y), int(FLIPPED * len(y)), replace=False)
        shift = rng.integers(1, len(classes), len(flipped))
        y[flipped] = classes[(np.searchsorted(classes, y[flipped]) + shift) % len(classes)]
        named = [suspect["row"] for suspect in make().fit(X, y).suspects_]
        share = float(np.isin(named, flipped).mean()) if named else None
        yield {"part": seed, "seed": seed, "named": len(named), "wrong": share, "rows": len(y)}


def _flips_report(found: Found, keep: Path) -> Report:
    rows = []
    for data in FLIPS:
        own = found.of("decet", data=data)
        if own:
            rows.append(
                [data, f"{own.middle('rows'):,.0f}", f"{own.middle('named'):,.0f}", _spread(own.values("wrong"))]
            )
    note = f"{FLIPPED:.0%} of the training labels were made wrong: naming rows by chance would find that share."
    return Report([Table("wrong labels", ("data", "rows", "named", "of them made wrong"), rows, note)], [])


# -------------------------------------------------------------------------------------------------------- strange rows


def strange(meter: Meter, place: Place, data: str, quick: bool, parts: list[int]) -> Iterator[dict[str, Any]]:
    """How well the score parts rows of the test from rows that are none: the area under the ROC curve, each kind."""
    import numpy as np
    from sklearn.metrics import roc_auc_score

    warnings.simplefilter("ignore")
    for seed in parts:
        make, train, (X, _) = _given(data, seed, quick)
        model = make().fit(*train)
        rng = np.random.Generator(np.random.Philox(2_000 + seed))
        ordinary = model.unlike(X)
        found = {}
        for name, rows in _strangers(data, X, rng).items():
            far = model.unlike(rows)
            truth = np.concatenate([np.zeros(len(ordinary)), np.ones(len(far))])
            found[name] = float(roc_auc_score(truth, np.concatenate([ordinary, far])))
        yield {"part": seed, "seed": seed, **found}


def _strangers(data: str, X: Any, rng: Any) -> dict[str, Any]:
    import numpy as np

    if data in ("mnist", "digits"):
        pictures = np.asarray(X[:500]) if data == "mnist" else np.asarray(X)[:500]
        pictures = pictures[..., 0] if pictures.ndim == 4 else pictures
        most = int(pictures.max())
        return {
            "noise": rng.integers(0, most + 1, pictures.shape).astype(pictures.dtype),
            "inverted": most - pictures,
            "transposed": np.swapaxes(pictures, 1, 2),
            "half": np.where(np.arange(pictures.shape[1])[None, :, None] < pictures.shape[1] // 2, pictures, 0),
        }
    numbers = [name for name in X.columns if X[name].dtype.kind in "if"]
    shuffled = X.copy()
    for name in X.columns:
        shuffled[name] = X[name].iloc[rng.permutation(len(X))].set_axis(X.index)
    shifted = X.copy()
    shifted[numbers] = X[numbers] + 4 * X[numbers].std()
    return {"columns shuffled": shuffled, "shifted": shifted}


def _strange_report(found: Found, keep: Path) -> Report:
    rows = []
    for data in ("mnist", "digits", "adult", "diabetes"):
        own = found.of("decet", data=data)
        names = dict.fromkeys(key for record in own.records for key in record if key in KINDS)
        rows += [[data, name, _spread(own.values(name))] for name in names]
    note = "0.5 is chance, 1 parts all. Rows of the test beside rows made from them, or from nothing."
    return Report([Table("strange rows", ("data", "rows that are", "area under the curve"), rows, note)], [])


# ------------------------------------------------------------------------------------------------------------ the page


def page(meter: Meter, place: Place, data: str, quick: bool) -> dict[str, Any]:
    """Seconds and MB of a report on 10,000 test items (of adult 16,281)."""
    import time

    import decet

    warnings.simplefilter("ignore")
    make, train, test = _given(data, 0, quick)
    model = make().fit(*train)
    started = time.perf_counter()
    path = decet.report(model, *test, out=place.scratch / f"{data}.html")
    return {"seconds": time.perf_counter() - started, "megabytes": path.stat().st_size / 1e6, "items": len(test[1])}


def _page_jobs(quick: bool, runs: int) -> list[Job]:
    return [
        Job("page", "decet", "benchmarks.trust:page", {"data": data, "quick": quick}, run=run, imports=IMPORTS,
            packages=("torch",))
        for run in range(1, runs + 1)
        for data in PAGES
    ]  # fmt: skip


def _page_report(found: Found, keep: Path) -> Report:
    rows, goals = [], []
    for data in PAGES:
        own = found.of("decet", data=data)
        if own:
            seconds, size, items = (own.middle(name) or 0.0 for name in ("seconds", "megabytes", "items"))
            rows.append([data, f"{items:,.0f}", f"{seconds:.2f}", f"{size:.2f}"])
            each = 10_000 / items
            goals.append(found.goal(f"{data}: seconds of a report, for 10,000 items", "<=", 5.0, seconds * each))
            goals.append(found.goal(f"{data}: MB of a report", "<=", 3.0, size))
    note = "From the fitted model and its test rows to the file written; the median of the runs."
    return Report([Table("page", ("data", "items", "seconds", "MB"), rows, note)], goals)


PAGES = ("adult", "mnist")
KINDS = ("noise", "inverted", "transposed", "half", "columns shuffled", "shifted")

WORKS = (
    Work("coverage", "what sets and intervals hold; calibration", partial(_jobs, "coverage", SETS), _coverage_report),
    Work("flips", "labels made wrong that are found", partial(_jobs, "flips", FLIPS), _flips_report),
    Work("strange", "rows unlike all before", partial(_jobs, "strange", ("mnist", "digits", "adult", "diabetes")),
         _strange_report),
    Work("page", "seconds and size of a report", _page_jobs, _page_report),
)  # fmt: skip
