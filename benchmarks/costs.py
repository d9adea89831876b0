"""What decet costs beside training: peak memory of a fit, the time of one answer, the start of the program."""

from __future__ import annotations

import subprocess
import sys
import time
import warnings
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks import mlp
from benchmarks.child import Meter, Place
from benchmarks.measure import Job, Work, in_turns
from benchmarks.report import Found, Report, Table, ratio_of_medians, shown

GOALS = {"memory": 3.0, "latency": 2.0, "import": 0.3, "help": 0.5}
IMPORTS = (
    "decet.estimators.catalog",
    "decet.estimators.fitting",
    "decet.estimators.saved",
    "pyarrow.csv",
    "pyarrow.parquet",
    *mlp.COMPILER,
)
FORMS = ("array", "csv", "parquet")


def fitted(settings: dict[str, Any], seed: int, X: Any, y: Any) -> Any:
    """`TableClassifier` with these settings of family, recipe and inputs, fitted; warnings on the data are muted."""
    from decet import DNN, DataWarning, Recipe, TableClassifier, Tables

    parts: dict[str, Any] = {
        part: kind(**settings[part])
        for part, kind in (("family", DNN), ("recipe", Recipe), ("inputs", Tables))
        if settings.get(part)
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)
        return TableClassifier(**parts, seed=seed, device="cpu").fit(X, y)


def _memory_jobs(quick: bool, runs: int) -> list[Job]:
    return [
        Job(
            "memory",
            form,
            "benchmarks.costs:memory",
            {"form": form},
            imports=IMPORTS,
            packages=("torch",),
            mode="alone",
        )
        for form in FORMS
    ]


def _memory_prepare(quick: bool) -> Job:
    return Job("memory", "files", "benchmarks.costs:write_table", {"rows": mlp.QUICK_ROWS if quick else mlp.ROWS})


def write_table(meter: Meter, place: Place, rows: int) -> dict[str, Any]:
    """The made table as float64 arrays, CSV and Parquet."""
    import numpy as np
    import pyarrow as pa
    from pyarrow import csv, parquet

    X, y = mlp.made_rows(rows)
    np.save(place.scratch / "table-X.npy", X)
    np.save(place.scratch / "table-y.npy", y)
    table = pa.table({f"x{i}": X[:, i] for i in range(X.shape[1])} | {"target": y})
    csv.write_csv(table, place.scratch / "table.csv")
    parquet.write_table(table, place.scratch / "table.parquet")
    return {"rows": rows}


def memory(meter: Meter, place: Place, form: str) -> dict[str, Any]:
    """An epoch of `TableClassifier` as it comes, on the whole table; its own size is that of its float64 array."""
    import numpy as np

    recipe = {"recipe": {"epochs": 1}}
    started = time.perf_counter()
    if form == "array":
        model = fitted(recipe, mlp.SEED, np.load(place.scratch / "table-X.npy"), np.load(place.scratch / "table-y.npy"))
    else:
        model = fitted(recipe, mlp.SEED, place.scratch / f"table.{form}", "target")
    meter.stop()
    seconds = round(time.perf_counter() - started, 1)
    rows = model.provenance_["rows"]
    return {"rows": rows, "table_mb": rows * 50 * 8 / 1e6, "seconds": seconds, "seed": mlp.SEED}


def _memory_report(found: Found, keep: Path) -> Report:
    report, rows = Report(), []
    for form in FORMS:
        own = found.of(form)
        ratio = ratio_of_medians(own.values("peak_above_mb"), own.values("table_mb"))
        cells = [shown(own.middle(name)) for name in ("rows", "table_mb", "peak_above_mb", "peak_whole_mb", "seconds")]
        rows.append([form, *cells, shown(ratio, ".2f")])
        what = f"training a table given as {form}: peak above imports / the table's size"
        report.goals.append(found.goal(what, "<=", GOALS["memory"], ratio))
    header = ("given as", "rows", "table MB", "MB above imports", "MB in all", "seconds", "above / table")
    note = "50 numbers a row, one epoch of TableClassifier as it comes; the peak includes the table itself."
    report.tables.append(Table("memory of a fit", header, rows, note))
    return report


def _latency_jobs(quick: bool, runs: int) -> list[Job]:
    calls = 100 if quick else 2_000
    return in_turns(
        [
            Job("latency", f"{rows} row", "benchmarks.costs:latency", {"rows": rows, "calls": calls}, imports=IMPORTS)
            for rows in ("array", "frame")
        ],
        runs,
    )


def latency(meter: Meter, place: Place, rows: str, calls: int) -> dict[str, Any]:
    """Milliseconds of `predict` for one row: 50 numbers as an array, or a row of Adult as a data frame."""
    import numpy as np

    from decet.data.datasets import load

    if rows == "array":
        X, y = mlp.made_rows(6_000)
        one = [X[i : i + 1] for i in range(len(X))]
    else:
        loaded = load("adult", "train")
        X, y = loaded.X.iloc[:6_000], loaded.y.iloc[:6_000]
        one = [X.iloc[[i]] for i in range(len(X))]
    model = fitted({"recipe": {"steps": 20}}, mlp.SEED, X, y)
    for row in one[:20]:
        model.predict(row)
    taken = []
    for i in range(calls):
        begun = time.perf_counter()
        model.predict(one[i % len(one)])
        taken.append((time.perf_counter() - begun) * 1e3)
    p50, p99 = np.percentile(taken, [50, 99])
    return {"p50_ms": round(p50, 3), "p99_ms": round(p99, 3), "calls": calls, "seed": mlp.SEED}


def _latency_report(found: Found, keep: Path) -> Report:
    report, rows = Report(), []
    for form in ("array", "frame"):
        own = found.of(f"{form} row")
        p50, p99 = own.middle("p50_ms"), own.middle("p99_ms")
        rows.append([form, shown(p50, ".2f", void=own.void), shown(p99, ".2f", void=own.void)])
        report.goals.append(
            found.goal(f"one-row predict, the row given as {form}: p50 in ms", "<", GOALS["latency"], p50)
        )
    header = ("row given as", "p50 ms", "p99 ms")
    report.tables.append(Table("one-row prediction", header, rows, "TableClassifier as it comes (16 members)."))
    return report


COMMANDS = {
    "python": "pass",
    "import": "import decet",
    "help": "import sys; sys.argv = ['decet', '--help']; from decet.cli import main; sys.exit(main())",
}


def _startup_jobs(quick: bool, runs: int) -> list[Job]:
    calls = 3 if quick else 15
    jobs = [Job("startup", what, "benchmarks.costs:startup", {"command": what, "calls": calls}) for what in COMMANDS]
    return in_turns(jobs, runs)


def startup(meter: Meter, place: Place, command: str, calls: int) -> dict[str, Any]:
    """Seconds of a fresh interpreter; the first call, which may read from the disk, does not count."""
    taken = []
    for _ in range(calls + 1):
        begun = time.perf_counter()
        subprocess.run([sys.executable, "-c", COMMANDS[command]], check=True, stdout=subprocess.DEVNULL)
        taken.append(time.perf_counter() - begun)
    return {"seconds": round(median(taken[1:]), 4), "calls": calls}


def _startup_report(found: Found, keep: Path) -> Report:
    about = {"python": "python -c pass", "import": "import decet", "help": "decet --help"}
    middles = {name: found.of(name).middle("seconds") for name in about}
    rows = [[about[name], shown(value, ".3f", void=found.of(name).void)] for name, value in middles.items()]
    goals = [found.goal(f"{about[n]}: seconds", "<", GOALS[n], middles[n]) for n in ("import", "help")]
    note = "Median of fresh interpreters, their own start included."
    return Report([Table("start-up", ("command", "seconds"), rows, note)], goals)


WORKS = (
    Work("memory", "peak memory of a fit over the table's own size", _memory_jobs, _memory_report, _memory_prepare),
    Work("latency", "one-row prediction", _latency_jobs, _latency_report),
    Work("startup", "import decet, decet --help", _startup_jobs, _startup_report),
)
