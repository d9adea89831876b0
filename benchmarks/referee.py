"""The works of the referee: what its choice under a third of the budget costs, and what it adds to the fits.

regret = max(0, best family's - chosen's) / |best family's|, scores under the whole budget, the choice made under a
third of it. Both are judged by the same test rows, so what luck there is in these is shared.
"""

from __future__ import annotations

import json
import time
import warnings
from pathlib import Path
from typing import Any

from benchmarks.child import Meter, Place
from benchmarks.measure import Job, Work
from benchmarks.report import Found, Report, Table, shown

REGRET, OVERHEAD = 0.01, 0.05
THIRD = 3.0
SETS = {  # data -> estimator, seconds of the whole budget
    "iris": ("TableClassifier", 60.0),
    "wine": ("TableClassifier", 60.0),
    "breast-cancer": ("TableClassifier", 60.0),
    "diabetes": ("TableRegressor", 60.0),
    "adult": ("TableClassifier", 180.0),
    "digits": ("ImageClassifier", 120.0),
    "mnist": ("ImageClassifier", 360.0),
    "bbc": ("TextClassifier", 360.0),
    "chnsenticorp": ("TextClassifier", 360.0),
    "rt-polarity": ("TextClassifier", 360.0),
    "tinyshakespeare": ("TextGenerator", 180.0),
}
QUICK = ("iris",)


def _jobs(quick: bool, runs: int) -> list[Job]:
    return [
        Job("referee", f"share 1/{share:g}", "benchmarks.referee:compared",
            {"data": data, "seconds": (30.0 if quick else SETS[data][1]) / share}, imports=("decet.referee.compare",),
            packages=("torch",), mode="alone")
        for data in (QUICK if quick else SETS)
        for share in (1.0, THIRD)
    ]  # fmt: skip


def compared(meter: Meter, place: Place, data: str, seconds: float) -> dict[str, Any]:
    """Everybody's score, who was chosen, and the time that was not anybody's fit."""
    import decet
    from decet.referee.verdict import FAMILY, FLOOR

    warnings.simplefilter("ignore")
    out = place.scratch / f"{data}-{seconds:g}"
    started = time.monotonic()
    found = decet.compare(getattr(decet, SETS[data][0]), data, budget=seconds, out=out)
    whole = time.monotonic() - started
    families = [r.name for r in found.results if r.kind == FAMILY]
    scores = {r.name: r.score.value for r in found.results if r.is_defined and r.score is not None}
    fits = sum(result.seconds for result in found.results)
    chosen = next(r.name for r in found.results if r.is_defined and r.kind != FLOOR)
    page = (out / "report.html").stat().st_size
    return {"scores": json.dumps(scores), "families": json.dumps(families), "chosen": chosen, "seconds": whole,
            "fits": fits, "verdict": found.verdict, "page": page / 1e6}  # fmt: skip


def _report(found: Found, keep: Path) -> Report:
    rows, regrets, added = [], list[float](), list[float]()
    for data in SETS:
        whole, third = (found.of(f"share 1/{share:g}", data=data).records for share in (1.0, THIRD))
        if not whole or not third:
            continue
        scores = json.loads(whole[-1]["scores"])
        best = max(scores[name] for name in json.loads(whole[-1]["families"]) if name in scores)
        chosen = scores.get(third[-1]["chosen"])  # None: who was chosen in a third could not be fitted in the whole
        regret = 1.0 if chosen is None else max(0.0, best - chosen) / abs(best)
        more = whole[-1]["seconds"] / whole[-1]["fits"] - 1
        regrets.append(regret)
        added.append(more)
        rows.append([
            data, shown(whole[-1]["seconds"]), whole[-1]["chosen"], f"{best:.4f}", third[-1]["chosen"], f"{regret:.4f}",
            f"{more:.1%}", f"{whole[-1]['page']:.2f}", whole[-1]["verdict"],
        ])  # fmt: skip
    header = ("data", "seconds", "best", "score", "chosen in a third", "regret", "beside fits", "page, MB", "verdict")
    worst = max(regrets) if regrets else None
    goals = [
        found.goal("regret of the choice under a third of the budget, mean over the sets", "<=", REGRET,
                   sum(regrets) / len(regrets) if regrets else None),
        found.goal("the same, the largest", "<=", REGRET, worst),
        found.goal("time beside the fits / that of the fits, mean", "<=", OVERHEAD,
                   sum(added) / len(added) if added else None),
    ]  # fmt: skip
    note = "Scores are accuracy, r2, or for writers minus the nats of a token, on test rows that are the same for both."
    return Report([Table("referee", header, rows, note)], goals)


WORKS = (Work("referee", "choices under a third of the budget", _jobs, _report),)
