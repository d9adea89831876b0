"""What the families of pictures share: the race of `convnet`, quality under a budget, and the baselines beside it."""

from __future__ import annotations

import time
import warnings
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from benchmarks import convnet, mlp
from benchmarks.child import Meter, Place
from benchmarks.measure import Job, Work, in_turns, source_digest
from benchmarks.report import Found, Goal, Report, Table, least, ratio_of_medians, shown, spread

GOALS = {"loop": 2.5, "keras": 2.0, "ours": 1.0, "memory": 1.0, "accuracy": 0.0, "seconds": 1.0}
SECONDS = 60  # that every contender trains
QUICK_SECONDS, QUICK_ROWS = 6, 6_000  # more rows than decet cross-fits
TITLES = {"mnist": "MNIST", "cifar10": "CIFAR-10"}
BASELINES = tuple(
    f"{model} on {columns}" for columns in ("pixels", "HOG") for model in ("logistic regression", "gradient boosting")
)

LOOPS = ("torch", "torch, no workers")
KERAS = ("keras-jax", "keras-torch")
LIKE_OURS = "torch, our layout"
KERAS_LIKE_OURS = tuple(f"{name}, our layout" for name in KERAS)
PEERS = (*LOOPS, LIKE_OURS, *KERAS, *KERAS_LIKE_OURS)


# ------------------------------------------------------------------------------------------------------------ speed


def speed(set: str) -> Work:
    """Pictures a second, memory, and accuracy at equal time, of one network by every library."""
    return Work(
        "speed",
        f"pictures/s, memory, and accuracy at equal time, training on {TITLES[set]}",
        partial(_speed_jobs, set),
        partial(_speed_report, set),
        partial(_speed_prepare, set),
    )


def _speed_jobs(set: str, quick: bool, runs: int) -> list[Job]:
    """Every contender for the same time, in turns, another seed each turn."""
    seconds = QUICK_SECONDS if quick else SECONDS
    turn = [
        Job(
            "speed",
            library,
            "benchmarks.convnet:train",
            {"set": set, "library": library, "seconds": seconds, "seed": 0},
            imports=convnet.imports_of(library),
            packages=convnet.packages_of(library),
            environment=convnet.environment_of(library),
            ours=library in convnet.OURS,
        )
        for library in convnet.LIBRARIES
    ]
    return [replace(job, arguments={**job.arguments, "seed": job.run - 1}) for job in in_turns(turn, runs)]


def _speed_prepare(set: str, quick: bool) -> Job:
    arguments = {"set": set, "rows": QUICK_ROWS if quick else None}
    return Job("speed", "pictures", "benchmarks.convnet:prepare", arguments)


SPEED_HEADER = (
    "contender",
    "precision",
    "pictures/s (median)",
    "least - most",
    "decet / it",
    "MB above imports",
    "MB in all",
    "test accuracy at the end",
    "least - most",
    "pictures seen",
    "parameters",
)


def _speed_report(set: str, found: Found, keep: Path) -> Report:
    rows = []
    for library in convnet.LIBRARIES:
        own = found.of(library)
        precisions = sorted({str(record["precision"]) for record in own.records if record.get("precision")})
        rows.append(
            [
                library,
                ", ".join(precisions) or "-",
                shown(own.middle("rate"), void=own.void),
                spread(own.values("rate")),
                shown(_rate_ratio(found, library), ".2f"),
                shown(own.middle("peak_above_mb")),
                shown(own.middle("peak_whole_mb")),
                shown(own.middle("accuracy"), ".4f"),
                spread(own.values("accuracy"), ".4f"),
                shown(own.middle("pictures")),
                shown(own.middle("parameters")),
            ]
        )
    seconds = sorted({record["arguments"]["seconds"] for record in found.records})
    note = (
        f"One network, batches of {convnet.BATCH}, Adam at 1e-3 (but for decet's own recipe), each contender in its "
        f"own process for {', '.join(map(str, seconds))} seconds, in turns, another seed each turn; the median stretch "
        "of steps after the first; ratios of medians over the turns. See benchmarks/convnet.py."
    )
    return Report([Table(f"training on {TITLES[set]}", SPEED_HEADER, rows, note)], _speed_goals(set, found))


def _rate_ratio(found: Found, contender: str) -> float | None:
    """decet's pictures/s over the contender's."""
    return ratio_of_medians(found.of("decet").values("rate"), found.of(contender).values("rate"))


def _speed_goals(set: str, found: Found) -> list[Goal]:
    """Where a peer can be run in two ways, the one that does better counts."""
    title = TITLES[set]
    against = {
        ("the plain fp32 loop with a DataLoader", "loop"): LOOPS,
        ("Keras 3 (faster backend)", "keras"): KERAS,
        ("the loop with decet's precision and layout", "ours"): (LIKE_OURS,),
        ("Keras 3 with decet's precision (faster backend)", "ours"): KERAS_LIKE_OURS,
    }
    goals = [
        found.goal(
            f"{title}: decet's pictures/s / those of {about}",
            ">=",
            GOALS[goal],
            least(_rate_ratio(found, name) for name in names),
        )
        for (about, goal), names in against.items()
    ]
    peaks = {name: peak for name in PEERS if (peak := found.of(name).middle("peak_above_mb")) is not None}
    leanest = min(peaks, key=lambda name: peaks[name], default="a peer")
    memory = ratio_of_medians(found.of("decet").values("peak_above_mb"), found.of(leanest).values("peak_above_mb"))
    what = f"{title}: decet's peak memory above imports / that of the leanest, {leanest}"
    goals.append(found.goal(what, "<=", GOALS["memory"], memory))
    scores = {name: score for name in PEERS if (score := found.of(name).middle("accuracy")) is not None}
    best = max(scores, key=lambda name: scores[name], default="a peer")
    own = found.of("decet, own recipe").middle("accuracy")
    ahead = own - scores[best] if own is not None and scores else None
    what = f"{title}: decet's test accuracy at equal time, own recipe, minus that of the best, {best}"
    return [*goals, found.goal(what, ">=", GOALS["accuracy"], ahead)]


# ---------------------------------------------------------------------------------------------------------- quality


def quality_job(work: str, set: str, family: str, budget: int, seed: int, quick: bool, contender: str = "decet") -> Job:
    """decet as the map has it, given so many seconds; in quick runs a few rows for a few seconds."""
    arguments = {"set": set, "family": family, "budget": 20 if quick else budget, "seed": seed}
    return Job(
        work,
        contender,
        "benchmarks.pictures:quality",
        arguments | {"rows": QUICK_ROWS if quick else None},
        imports=(*convnet.DECET, *mlp.COMPILER),
        packages=("torch",),
        mode="alone",
    )


def quality(
    meter: Meter, place: Place, set: str, family: str, budget: int, seed: int, rows: int | None
) -> dict[str, Any]:
    """`ImageClassifier` trained on the official training part, asked the official test part.

    A run that is cut goes on where it was, as long as decet's sources are the same: its folder stands beside the
    records. rows: of each part, evenly spread (None = all).
    """
    from decet import CNN, DataWarning, ImageClassifier, ResNet
    from decet.data.datasets import load

    out = place.keep / f"{set}-{family}-{budget}s-{rows or 'all'}-seed{seed}-{source_digest()}"
    gone_on = (out / "checkpoint").is_dir()
    started = time.perf_counter()
    model = ImageClassifier({"CNN": CNN, "ResNet": ResNet}[family](), seed=seed, device="cpu")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)
        if rows is None:
            model.fit(set, budget=budget, out=out, resume=True)
        else:
            model.fit(*convnet.pictures(set, "train", rows), budget=budget, out=out, resume=True)
        seconds = time.perf_counter() - started
        meter.stop()
        started = time.perf_counter()
        test = (load(set, "test"),) if rows is None else convnet.pictures(set, "test", rows)
        scores = model.evaluate(*test)
    return {
        "accuracy": scores["accuracy"],
        "loss": scores["log_loss"],
        "held_accuracy": model.metrics_.get("accuracy"),
        "epochs": len(model.history_),
        "seconds": round(seconds, 1),
        "answering": round(time.perf_counter() - started, 1),
        "gone_on": gone_on,
        "parameters": sum(p.numel() for p in model.learner_.parameters()),
        "seed": seed,
    }


def baseline_jobs(work: str, set: str, quick: bool) -> list[Job]:
    return [
        Job(
            work,
            name,
            "benchmarks.pictures:baseline",
            {"set": set, "model": name, "rows": QUICK_ROWS if quick else None, "seed": 0},
            imports=("sklearn.ensemble", "sklearn.linear_model", "sklearn.pipeline", "decet.data.datasets"),
            packages=("scikit-learn",),
            mode="alone",
            ours=False,
        )
        for name in BASELINES
    ]


def baseline(meter: Meter, place: Place, set: str, model: str, rows: int | None, seed: int) -> dict[str, Any]:
    """A model without deep learning on all training rows, asked the official test part."""
    from decet.baselines import picture_baselines

    X, y = convnet.pictures(set, "train", rows)
    held, truth = convnet.pictures(set, "test", rows)
    started = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it has not converged is told by its score
        fitted = picture_baselines(seed)[model].fit(X.transpose(0, 3, 1, 2), y)
    seconds = time.perf_counter() - started
    meter.stop()
    scores = mlp.scores(fitted.predict_proba(held.transpose(0, 3, 1, 2)), truth)
    return {"seconds": round(seconds, 1), "rows": len(X), "seed": seed} | scores


QUALITY_HEADER = (
    "contender",
    "budget",
    "seeds",
    "held-out",
    "test, mean of seeds",
    "spread",
    "test log loss",
    "epochs",
    "seconds",
    "MB above imports",
)


def quality_table(found: Found, title: str, contenders: tuple[str, ...], note: str) -> Table:
    return Table(title, QUALITY_HEADER, [_quality_row(found.of(name), name) for name in contenders], note)


def _quality_row(own: Found, name: str) -> list[str]:
    singles = own.values("accuracy")
    budgets = sorted({record["arguments"]["budget"] for record in own.records if "budget" in record["arguments"]})
    return [
        name,
        ", ".join(f"{budget / 60:g} min" for budget in budgets) or "-",
        str(len(singles)),
        shown(own.middle("held_accuracy"), ".4f"),
        shown(fmean(singles) if singles else None, ".4f"),
        shown(stdev(singles) if len(singles) > 1 else None, ".4f"),
        shown(own.middle("loss"), ".4f"),
        shown(own.middle("epochs")),
        shown(own.middle("seconds"), ",.0f"),
        shown(own.middle("peak_above_mb")),
    ]


def quality_goals(found: Found, what: str, target: float, budget: int) -> list[Goal]:
    """Mean test accuracy of the seeds, and that no run took longer than it was given."""
    own = found.of("decet")
    singles, seconds = own.values("accuracy"), own.values("seconds")
    given = [record["arguments"]["budget"] for record in own.records]
    over = max((took / most for took, most in zip(seconds, given, strict=True)), default=None)
    return [
        found.goal(f"{what}: test accuracy, mean of seeds", ">=", target, fmean(singles) if singles else None),
        found.goal(f"{what}: longest run / its budget of {budget / 60:g} min", "<=", GOALS["seconds"], over),
    ]
