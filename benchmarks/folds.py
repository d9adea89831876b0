"""decet as it comes against scikit-learn's learners on the same folds of scikit-learn's small tables."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from benchmarks import costs, mlp
from benchmarks.child import Meter, Place
from benchmarks.measure import Job, Work
from benchmarks.report import Found, Report, Table, shown
from benchmarks.significance import chance_of_below, holm

GOALS = {"p": 0.05, "iris": 0.96}
TABLES = ("iris", "wine", "breast_cancer", "diabetes")
FOLDS, REPEATS = 10, 10
BASELINES = {
    "classes": ("LogisticRegression", "SVC", "RandomForest", "HistGradientBoosting", "MLP"),
    "numbers": ("Ridge", "SVR", "RandomForest", "HistGradientBoosting", "MLP"),
}


def _tables_jobs(quick: bool, runs: int) -> list[Job]:
    folds, repeats = (3, 1) if quick else (FOLDS, REPEATS)
    jobs = []
    for table in TABLES:
        for contender in ("decet", *BASELINES[_kind(table)]):
            ours = contender == "decet"
            jobs.append(
                Job(
                    "tables",
                    contender,
                    "benchmarks.folds:small_table",
                    {"table": table, "contender": contender, "folds": folds, "repeats": repeats},
                    parts=tuple(range(folds * repeats)),
                    imports=costs.IMPORTS if ours else ("sklearn",),
                    packages=("torch", "scikit-learn") if ours else ("scikit-learn",),
                    mode="shared",
                    ours=ours,
                )
            )
    return jobs


def small_table(
    meter: Meter, place: Place, table: str, contender: str, folds: int, repeats: int, parts: list[int]
) -> Iterator[dict[str, Any]]:
    """Scores (accuracy, or R2) of these folds of a repeated (stratified) cross-validation."""
    from sklearn import datasets
    from sklearn.model_selection import RepeatedKFold, RepeatedStratifiedKFold

    X, y = getattr(datasets, f"load_{table}")(return_X_y=True)
    kind = RepeatedStratifiedKFold if _kind(table) == "classes" else RepeatedKFold
    cuts = list(kind(n_splits=folds, n_repeats=repeats, random_state=mlp.SEED).split(X, y))
    warnings.simplefilter("ignore")
    for part in parts:
        train, test = cuts[part]
        started = time.perf_counter()
        model = _contender(contender, _kind(table), part).fit(X[train], y[train])
        score = float(model.score(X[test], y[test]))
        seconds = round(time.perf_counter() - started, 2)
        yield {"part": part, "score": score, "train": len(train), "test": len(test), "seed": part, "seconds": seconds}


def _kind(table: str) -> str:
    return "numbers" if table == "diabetes" else "classes"


def _contender(name: str, kind: str, seed: int) -> Any:
    """decet as it comes; the others as scikit-learn has them, columns standardised, with enough iterations."""
    if name == "decet":
        from decet import TableClassifier, TableRegressor

        return (TableClassifier if kind == "classes" else TableRegressor)(seed=seed, device="cpu")
    from sklearn import ensemble, linear_model, neural_network, svm
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    suffix = "Classifier" if kind == "classes" else "Regressor"
    seeded = {"random_state": seed}
    models = {
        "LogisticRegression": lambda: linear_model.LogisticRegression(max_iter=1000),
        "Ridge": lambda: linear_model.Ridge(),
        "SVC": lambda: svm.SVC(),
        "SVR": lambda: svm.SVR(),
        "RandomForest": lambda: getattr(ensemble, f"RandomForest{suffix}")(**seeded),
        "HistGradientBoosting": lambda: getattr(ensemble, f"HistGradientBoosting{suffix}")(**seeded),
        "MLP": lambda: getattr(neural_network, f"MLP{suffix}")(max_iter=1000, **seeded),
    }
    return make_pipeline(StandardScaler(), models[name]())


def _tables_report(found: Found, keep: Path) -> Report:
    report = Report()
    for table in TABLES:
        scores, sizes = _scores(found, table)
        ours = scores.get("decet", {})
        chances = {}
        for name in BASELINES[_kind(table)]:
            shared = sorted(set(ours) & set(scores[name]))
            if len(shared) > 1:
                differences = [ours[part] - scores[name][part] for part in shared]
                chances[name] = chance_of_below(differences, *sizes)
        adjusted = holm(chances)
        whole = len(chances) == len(BASELINES[_kind(table)])
        worst = min(adjusted.values()) if whole else None
        report.tables.append(_table_of(table, scores, adjusted))
        what = f"{table}: not below the best baseline (least p after Holm)"
        report.goals.append(found.goal(what, ">=", GOALS["p"], worst))
        if table == "iris":
            mean = fmean(ours.values()) if ours else None
            report.goals.append(found.goal("iris: accuracy", ">=", GOALS["iris"], mean))
    return report


def _scores(found: Found, table: str) -> tuple[dict[str, dict[int, float]], tuple[int, int]]:
    """Score by contender and fold, and the rows (train, test) of a fold."""
    scores = {}
    sizes = (1, 1)
    for contender in ("decet", *BASELINES[_kind(table)]):
        records = found.of(contender, table=table).records
        scores[contender] = {record["part"]: record["score"] for record in records}
        sizes = (records[0]["train"], records[0]["test"]) if records else sizes
    return scores, sizes


def _table_of(table: str, scores: dict[str, dict[int, float]], adjusted: dict[str, float]) -> Table:
    ours = scores["decet"]
    rows = []
    for name, own in scores.items():
        values = list(own.values())
        p = adjusted.get(name)
        verdict = "-" if p is None else "decet is below" if p < GOALS["p"] else "not below"
        rows.append(
            [
                name,
                shown(fmean(values) if values else None, ".4f"),
                shown(stdev(values) if len(values) > 1 else None, ".4f"),
                shown(p, ".3f"),
                verdict,
                str(len(values)),
            ]
        )
    measure = "accuracy" if _kind(table) == "classes" else "R2"
    verdict = "incomplete"
    if ours and len(adjusted) == len(scores) - 1:
        below = [name for name, p in adjusted.items() if p < GOALS["p"]]
        verdict = f"decet is significantly below {', '.join(below)}" if below else "decet is below none of them"
    note = (
        f"{measure} over the folds; p of decet being below, corrected resampled t-test, one-sided, Holm over the "
        f"baselines. Verdict: {verdict}."
    )
    return Table(table, ("contender", measure, "spread of folds", "p (Holm)", "", "folds"), rows, note)


WORKS = (Work("tables", "quality on scikit-learn's small tables", _tables_jobs, _tables_report),)
