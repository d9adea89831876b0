"""The works of the family DNN: training speed and Adult's quality here, the others in `costs` and `folds`.

The goals stand in `GOALS`, the schedules that a user would choose for these sets in `OWN`, tuned on held-out rows of
the training part, never on test rows. On Adult decet runs as the map has it, unaided.
"""

from __future__ import annotations

import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import fmean, median, stdev
from typing import Any

from benchmarks import costs, folds, kills, mlp
from benchmarks.child import Meter, Place
from benchmarks.measure import Job, Work, in_turns
from benchmarks.report import Found, Goal, Report, Table, least, ratio_of_medians, shown, spread

# decet's own batch and schedule for the same plain network, to reach each peer's final held-out loss soonest.
OWN: dict[str, dict[str, dict[str, Any]]] = {
    "adult": {
        "keras-torch": {"epochs": 6, "batch": 256, "lr": 2e-2, "weight_decay": 0.3, "average": 0.98}
        | {"schedule": "cosine", "warmup": 0.1, "clip": 0.0},
        "keras-jax": {"epochs": 3, "batch": 256, "lr": 4e-3, "schedule": "cosine", "warmup": 0.1, "clip": 0.0},
        "skorch": {"epochs": 1, "batch": 256, "lr": 4e-3, "schedule": "cosine", "warmup": 0.1, "clip": 0.0},
        "scikit-learn": {"epochs": 1, "batch": 256, "lr": 4e-3, "schedule": "cosine", "warmup": 0.1, "clip": 0.0},
    },
    "made": {
        "keras-torch": {"epochs": 2, "batch": 1024, "lr": 8e-3, "schedule": "cosine", "warmup": 0.05, "clip": 0.0},
        "keras-jax": {"epochs": 2, "batch": 1024, "lr": 8e-3, "schedule": "cosine", "warmup": 0.05, "clip": 0.0},
        "skorch": {"epochs": 2, "batch": 1024, "lr": 8e-3, "schedule": "cosine", "warmup": 0.05, "clip": 0.0},
        "scikit-learn": {"epochs": 2, "batch": 1024, "lr": 8e-3, "schedule": "cosine", "warmup": 0.05, "clip": 0.0},
    },
}
GOALS = {
    "torch": 0.87,
    "torch-fused": 1.0,
    "keras": 2.0,
    "skorch": 2.0,
    "scikit-learn": 1.0,
    "to loss": 3.0,
    "equal loss": 1.02,  # seeds differ by about so much; a speed counts only at equal quality
    "adult single": 0.870,
    "adult ensemble": 0.8737,
}
PUBLISHED = {"tuned MLP": 0.8540, "MLP, periodic embeddings": 0.8694, "CatBoost": 0.8730}  # Adult, test accuracy
BATCHES = {"keras-torch": 32, "keras-jax": 32, "skorch": 128, "scikit-learn": 200}  # each peer's own default
EPOCHS = {"adult": 5, "made": 2}
SEEDS = (1, 2, 3, 4, 5)


# -------------------------------------------------------------------------------------------------------- speed


def _speed_jobs(table: str, quick: bool, runs: int) -> list[Job]:
    """At each peer's batch: decet, the two torch loops, the peer; and decet by its own schedule. A seed a turn."""
    epochs = 2 if quick else EPOCHS[table]
    turn = []
    for batch in dict.fromkeys(BATCHES.values()):
        peers = [peer for peer, own in BATCHES.items() if own == batch]
        turn += [_training(table, library, batch, epochs) for library in ("decet", "torch", "torch-fused", *peers)]
    recipes = list(OWN[table].values())  # peers may share one
    turn += [_own_schedule(table, recipe) for i, recipe in enumerate(recipes) if recipe not in recipes[:i]]
    turns = [replace(job, arguments={**job.arguments, "seed": job.run - 1}) for job in in_turns(turn, runs)]
    return [*turns, _training(table, "HistGradientBoosting", 0, 1)]


def _own_schedule(table: str, recipe: dict[str, Any]) -> Job:
    return Job(
        f"speed-{table}",
        "decet, own schedule",
        "benchmarks.mlp:to_loss",
        {"recipe": recipe, "seed": mlp.SEED},
        imports=mlp.IMPORTS["decet"],
        packages=mlp.PACKAGES["decet"],
    )


def _training(table: str, library: str, batch: int, epochs: int) -> Job:
    return Job(
        f"speed-{table}",
        library,
        "benchmarks.mlp:train",
        {"library": library, "batch": batch, "epochs": epochs, "seed": mlp.SEED},
        imports=mlp.IMPORTS[library],
        packages=mlp.PACKAGES[library],
        environment=mlp.ENVIRONMENT.get(library, {}),
        ours=library == "decet",
    )


def _speed_prepare(table: str, quick: bool) -> Job:
    if table == "adult":
        return Job("speed-adult", "rows", "benchmarks.mlp:encode_adult", {"rows": 5_000 if quick else None})
    return Job("speed-made", "rows", "benchmarks.mlp:make_table", {"rows": mlp.QUICK_ROWS if quick else mlp.ROWS})


def _speed_report(table: str, found: Found, keep: Path) -> Report:
    rows = [_speed_row(found, peer, batch) for batch, peer in _speed_contenders()]
    report = Report([Table(f"training on {table}", SPEED_HEADER, rows, SPEED_NOTE)])
    report.tables.append(_loss_table(table, found))
    report.goals += _rate_goals(table, found)
    seconds = [_to_loss(table, found, peer)[2] for peer in BATCHES]
    what = f"{table}: seconds of the quickest peer to its own final loss / decet's to that loss"
    report.goals.append(found.goal(what, ">=", GOALS["to loss"], least(seconds)))
    report.goals += [_loss_goal(table, found), _memory_goal(table, found)]
    return report


SPEED_HEADER = (
    "contender",
    "batch",
    "rows/s (median)",
    "least - most",
    "decet / it",
    "MB above imports",
    "MB in all",
    "held-out log loss (median)",
    "least - most",
    "held-out accuracy",
)
SPEED_NOTE = (
    "Two hidden layers of 256, Adam at 1e-3, fp32, equal epochs, each contender in its own process, in turns, "
    "another seed each turn; the median epoch after the first; ratios of medians over the turns. See benchmarks/mlp.py."
)


def _speed_contenders() -> list[tuple[int, str]]:
    """(batch, contender) in the order of the table."""
    order = []
    for batch in dict.fromkeys(BATCHES.values()):
        peers = [peer for peer, own in BATCHES.items() if own == batch]
        order += [(batch, name) for name in ("decet", "torch", "torch-fused", *peers)]
    return [*order, (0, "HistGradientBoosting")]


def _speed_row(found: Found, contender: str, batch: int) -> list[str]:
    own = found.of(contender, batch=batch)
    network = batch > 0
    ratio = _rate_ratio(found, contender, batch) if network else None
    return [
        contender,
        str(batch) if network else "-",
        shown(own.middle("rate"), void=own.void) if network else "-",
        spread(own.values("rate")) if network else "-",
        shown(ratio, ".2f"),
        shown(own.middle("peak_above_mb")),
        shown(own.middle("peak_whole_mb")),
        shown(own.middle("loss"), ".4f"),
        spread(own.values("loss"), ".4f"),
        shown(own.middle("accuracy"), ".4f"),
    ]


def _rate_ratio(found: Found, contender: str, batch: int) -> float | None:
    """decet's rows/s over the contender's, at the same batch."""
    pair = (found.of(name, batch=batch).values("rate") for name in ("decet", contender))
    return ratio_of_medians(*pair)


def _rate_goals(table: str, found: Found) -> list[Goal]:
    """Against the torch loops the least ratio of all batches counts; against Keras its faster backend."""
    ratios = {peer: _rate_ratio(found, peer, batch) for peer, batch in BATCHES.items()}
    ratios["keras"] = least(ratios.pop(name) for name in ("keras-torch", "keras-jax"))
    for loop in ("torch", "torch-fused"):
        ratios[loop] = least(_rate_ratio(found, loop, batch) for batch in set(BATCHES.values()))
    about = {
        "torch": "the bare torch loop",
        "torch-fused": "the same loop with decet's kernel",
        "keras": "Keras 3 (faster backend)",
    }
    order = ("torch", "torch-fused", "keras", "skorch", "scikit-learn")
    return [
        found.goal(f"{table}: decet's rows/s / those of {about.get(name, name)}", ">=", GOALS[name], ratios[name])
        for name in order
    ]


def _loss_goal(table: str, found: Found) -> Goal:
    value, peer = _worst(found, "loss")
    return found.goal(f"{table}: decet's held-out loss / that of the best, {peer}", "<=", GOALS["equal loss"], value)


def _memory_goal(table: str, found: Found) -> Goal:
    value, peer = _worst(found, "peak_above_mb")
    return found.goal(f"{table}: decet's peak memory above imports / that of the leanest, {peer}", "<=", 1.0, value)


def _worst(found: Found, name: str) -> tuple[float | None, str]:
    """decet's figure over a peer's at the same batch, and the peer against which decet does worst."""
    ratios = {}
    for peer, batch in BATCHES.items():
        pair = [found.of(who, batch=batch).values(name) for who in ("decet", peer)]
        if (ratio := ratio_of_medians(*pair)) is not None:
            ratios[peer] = ratio
    worst = max(ratios, key=lambda peer: ratios[peer], default=None)
    return (None, "a peer") if worst is None else (ratios[worst], worst)


def _to_loss(table: str, found: Found, peer: str) -> tuple[float | None, float | None, float | None, float | None]:
    """The peer's final loss, its seconds to it, their ratio to decet's seconds to that loss, and those."""
    theirs = found.of(peer)
    loss, seconds = theirs.middle("loss"), theirs.middle("seconds")
    if loss is None or seconds is None:
        return None, None, None, None
    own = found.of("decet, own schedule", recipe=OWN[table][peer])
    ours = [reached(record["curve"], loss) for record in own.records]
    if not ours or None in ours:
        return loss, seconds, None, None
    mine = median(value for value in ours if value is not None)
    return loss, seconds, seconds / mine, mine


def reached(curve: list[list[float]], loss: float) -> float | None:
    """Seconds at the first epoch whose loss is at most `loss`; None if there is none."""
    return next((seconds for seconds, own in curve if own <= loss), None)


def _loss_table(table: str, found: Found) -> Table:
    rows = []
    for peer in BATCHES:
        loss, seconds, ratio, ours = _to_loss(table, found, peer)
        own = found.of("decet, own schedule", recipe=OWN[table][peer])
        last = least(record["curve"][-1][1] for record in own.records)
        times = [shown(seconds, ".2f", void=own.void), shown(ours, ".2f", void=own.void), shown(ratio, ".2f")]
        rows.append([peer, shown(loss, ".4f"), shown(last, ".4f"), *times])
    header = ("peer", "its final log loss", "decet's final log loss", "its seconds", "decet's to its loss", "ratio")
    note = "Held-out rows; decet with its own batch and schedule. Scoring is off the clock, compilation on it."
    return Table("seconds to the peer's final loss", header, rows, note)


# ------------------------------------------------------------------------------------------------ quality: Adult


def _adult_jobs(quick: bool, runs: int) -> list[Job]:
    settings: dict[str, dict[str, Any]] = {"decet": {}, "HistGradientBoosting": {}}  # the cell's own settings
    jobs = []
    for seed in SEEDS[:2] if quick else SEEDS:
        for contender, said in settings.items():
            if quick and contender != "HistGradientBoosting":
                said = said | {"recipe": said.get("recipe", {}) | {"epochs": 1}}
            ours = contender != "HistGradientBoosting"
            jobs.append(
                Job(
                    "adult",
                    contender,
                    "benchmarks.dnn:adult",
                    {"contender": contender, "settings": said, "seed": seed},
                    imports=costs.IMPORTS if ours else ("sklearn.ensemble", "decet.data.datasets"),
                    packages=("torch",) if ours else ("scikit-learn",),
                    mode="alone",
                    ours=ours,
                )
            )
    return jobs


def adult(meter: Meter, place: Place, contender: str, settings: dict[str, Any], seed: int) -> dict[str, Any]:
    """Train on Adult's official training part, answer its test part; the probabilities are kept for the ensemble."""
    import hashlib

    import numpy as np

    from decet.data.datasets import load

    train, test = load("adult", "train"), load("adult", "test")
    classes, truth = np.unique(test.y, return_inverse=True)
    started = time.perf_counter()
    if contender == "HistGradientBoosting":
        model, held = _boosted(train, seed), {}
    else:
        model = costs.fitted(settings, seed, train.X, train.y)
        held = model.metrics_
    seconds = time.perf_counter() - started
    if list(model.classes_) != list(classes):
        raise ValueError(f"classes differ: {list(model.classes_)}")
    frame = _categorical(test.X, train.X) if contender == "HistGradientBoosting" else test.X
    probabilities = np.asarray(model.predict_proba(frame), dtype=np.float32)
    name = f"adult-{hashlib.sha256(probabilities.tobytes()).hexdigest()[:16]}.npy"
    np.save(place.keep / name, probabilities)
    np.save(place.keep / "adult-truth.npy", truth)
    return {
        "answers": name,
        "seed": seed,
        "seconds": round(seconds, 2),
        "held_accuracy": held.get("accuracy"),
        "held_loss": held.get("log_loss"),
    } | mlp.scores(probabilities, truth)


def _boosted(train: Any, seed: int) -> Any:
    from sklearn.ensemble import HistGradientBoostingClassifier

    model = HistGradientBoostingClassifier(categorical_features="from_dtype", random_state=seed)
    return model.fit(_categorical(train.X, train.X), train.y)


def _categorical(frame: Any, known: Any) -> Any:
    """Text columns as pandas categories, those of `known`; others are missing."""
    import pandas as pd

    text = [name for name in known if known[name].dtype.kind not in "if"]
    return frame.assign(**{name: pd.Categorical(frame[name], sorted(known[name].dropna().unique())) for name in text})


def _adult_report(found: Found, keep: Path) -> Report:
    import numpy as np

    rows, goals = [], []
    for contender in ("decet", "HistGradientBoosting"):
        own = found.of(contender)
        singles = own.values("accuracy")
        together = None
        if len(singles) > 1:
            answers = [np.load(keep / record["answers"]) for record in own.records]
            together = mlp.scores(np.mean(answers, axis=0), np.load(keep / "adult-truth.npy"))["accuracy"]
        if contender == "decet":
            single = fmean(singles) if singles else None
            goals.append(found.goal("Adult: test accuracy, mean of seeds", ">=", GOALS["adult single"], single))
            goals.append(found.goal("Adult: test accuracy, ensemble", ">=", GOALS["adult ensemble"], together))
        rows.append(
            [
                contender,
                shown(own.middle("held_accuracy"), ".4f"),
                shown(fmean(singles) if singles else None, ".4f"),
                shown(stdev(singles) if len(singles) > 1 else None, ".4f"),
                shown(together, ".4f"),
                shown(own.middle("loss"), ".4f"),
                shown(own.middle("seconds"), ",.0f"),
            ]
        )
    rows += [[f"published: {name}", "-", f"{value:.4f}", "-", "-", "-", "-"] for name, value in PUBLISHED.items()]
    header = ("contender", "held-out", "test, mean of seeds", "spread", "test, ensemble", "test log loss", "seconds")
    note = f"Accuracy; {len(found.of('decet').records)} seeds; the ensemble is the mean of their probabilities."
    return Report([Table("Adult, official test part", header, rows, note)], goals)


WORKS = (
    *(
        Work(
            f"speed-{table}",
            f"rows/s and seconds to a loss, training on {about}",
            partial(_speed_jobs, table),
            partial(_speed_report, table),
            partial(_speed_prepare, table),
        )
        for table, about in (("adult", "Adult"), ("made", "a made table of 50 numbers a row"))
    ),
    Work("adult", "quality on Adult's official test part", _adult_jobs, _adult_report),
    *costs.WORKS,
    *folds.WORKS,
    *kills.WORKS,
)
