"""Texts classified by decet as it comes, beside logistic regression on tf-idf, on the same splits of public sets.

A set without an official test part is split by seeds, copies of a text on one side; rt-polarity by its usual ten folds.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from benchmarks.child import Meter, Place
from benchmarks.measure import Job, Work
from benchmarks.report import Found, Goal, Report, Table, shown

TESTS = {"bbc": 0.3, "chnsenticorp": 0.2}  # share of the texts
FOLDED = {"rt-polarity": 10}
SEEDS = 5
BASELINE = "logistic regression on tf-idf"  # as `decet compare` has it
FEW = 400  # texts of a quick run
GOALS = (  # accuracy, mean over the splits; "best": of whoever is best
    ("rt-polarity", "CNN", 0.775),
    ("chnsenticorp", "Word2Vec", 0.88),
    ("chnsenticorp", "best", 0.91),
    ("bbc", "best", 0.97),
    ("bbc", "LSTM", 0.97),
    ("bbc", "Transformer", 0.97),
)


def work(*families: str) -> Work:
    """These families, and the baseline, on all sets."""
    contenders = (*families, BASELINE)
    return Work("texts", "accuracy on public sets of texts", partial(_jobs, contenders), partial(_report, contenders))


def _jobs(contenders: tuple[str, ...], quick: bool, runs: int) -> list[Job]:
    jobs = []
    for data in (*TESTS, *FOLDED):
        parts = tuple(range(2 if quick else FOLDED.get(data, SEEDS)))
        for contender in contenders:
            ours = contender != BASELINE
            said = {"data": data, "contender": contender, "quick": quick}
            imports = ("torch", "decet.estimators.catalog") if ours else ("sklearn.linear_model",)
            packages = ("torch",) if ours else ("scikit-learn",)
            jobs.append(
                Job("texts", contender, "benchmarks.texts:accuracy", said, parts=parts, imports=imports,
                    packages=packages, mode="shared", ours=ours)
            )  # fmt: skip
    return jobs


def accuracy(
    meter: Meter, place: Place, data: str, contender: str, quick: bool, parts: list[int]
) -> Iterator[dict[str, Any]]:
    """Of these splits, by what was fitted on the rest; each fit sets aside for itself what it chooses by."""
    import numpy as np

    from decet.data.datasets import load

    loaded = load(data)
    answers = np.array(loaded.y.tolist())
    if quick:
        chosen = np.random.Generator(np.random.Philox(3)).permutation(len(answers))[:FEW]
        texts, answers = loaded.X.take(chosen), answers[chosen]
    else:
        texts = loaded.X
    warnings.simplefilter("ignore")
    cuts = _cuts(data, texts, answers)
    for part in parts:
        train, test = cuts[part]
        started = time.perf_counter()
        if contender == BASELINE:
            share = _baseline(texts, answers, train, test)
        else:
            share = _network(contender, part).fit(texts.take(train), answers[train]).score(
                texts.take(test), answers[test]
            )  # fmt: skip
        seconds = round(time.perf_counter() - started, 1)
        yield {"part": part, "seed": part, "accuracy": float(share), "test": len(test), "seconds": seconds}


def _cuts(data: str, texts: Any, answers: Any) -> list[tuple[Any, Any]]:
    from sklearn.model_selection import GroupShuffleSplit, StratifiedKFold

    from decet.data.texts import Texts

    if data in FOLDED:
        folds = StratifiedKFold(FOLDED[data], shuffle=True, random_state=0)
        return list(folds.split(answers, answers))
    groups = Texts().groups(texts)
    return [
        next(GroupShuffleSplit(1, test_size=TESTS[data], random_state=seed).split(answers, answers, groups))
        for seed in range(SEEDS)
    ]


def _network(contender: str, seed: int) -> Any:
    import decet

    return decet.TextClassifier(getattr(decet, contender)(), seed=seed)


def _baseline(texts: Any, answers: Any, train: Any, test: Any) -> float:
    from decet.baselines import text_baselines
    from decet.data.texts import Texts

    model = text_baselines(Texts().cut())[BASELINE]
    found = model.fit(texts.take(train).texts, answers[train]).score(texts.take(test).texts, answers[test])
    return float(found)


def _report(contenders: tuple[str, ...], found: Found, keep: Path) -> Report:
    rows, means = [], dict[tuple[str, str], float]()
    for data in (*TESTS, *FOLDED):
        for contender in contenders:
            own = found.of(contender, data=data)
            values = own.values("accuracy")
            if not values:
                continue
            means[data, contender] = fmean(values)
            spread = f" ± {stdev(values):.4f}" if len(values) > 1 else ""
            rows.append([data, contender, f"{fmean(values):.4f}{spread}", str(len(values)),
                         shown(own.middle("seconds"))])  # fmt: skip
    goals = [
        _goal(found, means, data, contender, target)
        for data, contender, target in GOALS
        if contender in contenders or (contender == "best" and len(contenders) > 2)  # of several, and the baseline
    ]
    header = ("texts", "contender", "test accuracy", "splits", "seconds a fit, one thread")
    note = (
        "Mean over the splits, with the standard deviation; copies of a text stand on one side of a split. Tests: "
        f"{', '.join(f'{share:.0%} of {data}' for data, share in TESTS.items())}, the folds of rt-polarity. Two fits "
        "at a time, a thread each; the settings are those of the map."
    )
    return Report([Table("texts", header, rows, note)], goals)


def _goal(found: Found, means: dict[tuple[str, str], float], data: str, contender: str, target: float) -> Goal:
    own = {name: mean for (of, name), mean in means.items() if of == data and name != BASELINE}
    best = max(own, key=lambda name: own[name], default=None)
    name = best if contender == "best" else contender
    what = f"{data}: test accuracy of {f'the best, {name}' if contender == 'best' else name}"
    return found.goal(what, ">=", target, own.get(name) if name else None)
