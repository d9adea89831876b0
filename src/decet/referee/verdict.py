"""What came out of a comparison, and the verdict in words: who is best, who is as good, whether a network is needed.

Two contenders cannot be told apart where the 95 % interval of the difference of their scores, on the same resampled
test items, holds 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from decet.errors import listed
from decet.referee.intervals import Interval
from decet.training.progress import duration

FAMILY, BASELINE, FLOOR = "family", "baseline", "floor"  # what a contender is
FEW = 100  # test rows below which small differences cannot be seen
MARKED = 1.5  # times as quick, to be worth a word


@dataclass
class Result:
    """One contender's figures.

    kind: "family", "baseline" (no network), or "floor" (does not look at the row).
    score: the scored metric on the test rows with its interval; behind: the best's score minus this one's, paired.
    metrics: all of the task on the test rows. rows: trained on. seconds: of its fit. joules: of the
        processor, where the machine tells.
    latency: milliseconds for one row asked alone. rate: rows a second, asked many at a time.
    megabytes: of the model folder, or of what a baseline has learned. memory: MB above the start of its fit, at most.
    settings: by name. history: an epoch each. folder: of the saved model, below the comparison's.
    error: why there are no figures. interrupted: training ended early. notes: what was said while it was fitted.
    """

    name: str
    kind: str
    score: Interval | None = None
    behind: Interval | None = None
    metrics: dict[str, float | None] = field(default_factory=dict)
    rows: int = 0
    seconds: float = 0.0
    joules: float | None = None
    latency: float = 0.0
    rate: float = 0.0
    megabytes: float = 0.0
    memory: float | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)
    folder: str | None = None
    error: str | None = None
    interrupted: bool = False
    notes: list[str] = field(default_factory=list)

    @property
    def is_defined(self) -> bool:
        """Whether there is a score to compare."""
        return self.score is not None and self.score.value == self.score.value


def ranked(results: Sequence[Result]) -> list[Result]:
    """Best first; who has no score last."""
    return sorted(results, key=lambda r: (not r.is_defined, -r.score.value if r.is_defined and r.score else 0.0))


def tied(results: Sequence[Result]) -> list[Result]:
    """The best that looks at the row, and who cannot be told apart from it; best first."""
    rivals = [r for r in ranked(results) if r.is_defined and r.kind != FLOOR]
    return [r for r in rivals if r is rivals[0] or (r.behind is not None and not r.behind.low > 0)]


def verdict(
    results: Sequence[Result],
    metric: str,
    test: int,
    *,
    items: str = "test rows",
    timed: bool = False,
    interrupted: bool = False,
    gain: Any = None,
) -> str:
    """One to five sentences.

    metric: of the scores; test: on how many items they were measured; items: what these are; timed: whether a budget
    ended the training. gain: what half of the rows and all of them teach (`decet.referee.halving.Gain`).
    """
    known = [r for r in ranked(results) if r.is_defined and r.kind != FLOOR]
    failed = [r.name for r in results if r.error is not None]
    parts = ["The comparison was interrupted: this is of what was done."] if interrupted else []
    if not known:
        parts.append(
            f"There is no verdict: {metric} is undefined on these {test:,} {items}, whose answers are all equal."
            if any(r.error is None for r in results)
            else "There is no verdict: nobody could be fitted."
        )
    else:
        worse = f"Every family is worse{' within this budget' if timed else ''}: deep learning is not needed here."
        worse = "Every family so far is worse." if interrupted else worse
        floor = next((r for r in results if r.kind == FLOOR), None)
        parts += _judged(known, floor, metric, (test, items), worse)
        if gain is not None and gain.is_sure:
            parts.append(
                f"More data would help: from half of the rows to all of them {gain.name} gained {gain.value:.3f} "
                f"({gain.low:.3f} to {gain.high:.3f})."
            )
    if failed:
        parts.append(f"{_and(failed)} could not be fitted.")
    return " ".join(part[:1].upper() + part[1:] for part in parts)


def _judged(known: list[Result], floor: Result | None, metric: str, on: tuple[int, str], worse: str) -> list[str]:
    """on: how many test items of which name; worse: what is said where no family is among the best."""
    best, equals = known[0], tied(known)
    if floor is not None and floor.behind is not None and not floor.behind.low > 0:
        return [
            f"Nobody is better than {floor.name} ({metric} {_number(floor)}): either the rows say nothing about the "
            f"answer, or they are too few. The best of those that look, {best.name}, has {_number(best)}."
        ]
    test, items = f"{on[0]:,} {on[1]}", on[0]
    parts = [_first(known, equals, metric, test)]
    if len(equals) > 1 and items < FEW:
        parts.append(f"{test} are few: small differences cannot be seen.")
    families = [r for r in equals if r.kind == FAMILY]
    simple = [r for r in equals if r.kind == BASELINE]
    if not families and any(r.kind == FAMILY for r in known):
        return [*parts, worse]
    if families and simple:
        return [*parts, _enough(_cheapest(simple))]
    if len(families) > 1:
        parts += _quicker(families)
    simple = [r for r in known if r.kind == BASELINE]
    if simple and best is not simple[0] and known[:2] != [best, simple[0]]:
        parts.append(f"The best that is not deep, {simple[0].name}, is {_behind(simple[0])}.")
    return parts


def _first(known: list[Result], equals: list[Result], metric: str, test: str) -> str:
    """Who is best."""
    best = known[0]
    if len(known) == 1:
        return f"{best.name} alone was measured: {metric} {_number(best)} {_range(best.score)} on {test}."
    if len(equals) > 1:
        scores = _and([_number(r) for r in equals])
        return f"{_and([r.name for r in equals])} cannot be told apart: {metric} {scores} on {test}."
    deep = best.kind == FAMILY
    next_one = f"{known[1].name}, which is not deep," if deep and known[1].kind == BASELINE else f"{known[1].name},"
    return (
        f"{best.name} is best: {metric} {_number(best)} {_range(best.score)} on {test}. "
        f"The next, {next_one} is {_behind(known[1])}."
    )


def _enough(baseline: Result) -> str:
    took = duration_of(baseline.seconds)
    return f"{baseline.name} is not deep and as good: it is enough here, and was fitted in {took}."


def _cheapest(results: Sequence[Result]) -> Result:
    return min(results, key=lambda r: r.seconds)


def _quicker(families: Sequence[Result]) -> list[str]:
    """Which of equals answers quickest, where that is worth a word."""
    quick, *others = sorted(families, key=lambda r: r.latency)
    if not quick.latency or others[0].latency / quick.latency < MARKED:
        return []
    times = others[0].latency / quick.latency
    return [f"{quick.name} answers {times:.1f} times as quickly as {others[0].name}."]


def _number(result: Result) -> str:
    return "" if result.score is None else f"{result.score.value:.3f}"


def _range(score: Interval | None) -> str:
    return "" if score is None else f"({score.low:.3f} to {score.high:.3f})"


def _behind(result: Result) -> str:
    behind = result.behind
    return "" if behind is None else f"{behind.value:.3f} lower ({behind.low:.3f} to {behind.high:.3f})"


def _and(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{listed(names[:-1])} and {names[-1]}"


def duration_of(seconds: float) -> str:
    """`0.3 ms`, `42 ms`, `4.2 s`, `42 s`, `3 min 20 s`."""
    if seconds < 0.9995:
        return f"{1e3 * seconds:.2g} ms" if seconds < 0.0995 else f"{1e3 * seconds:.0f} ms"
    return f"{seconds:.1f} s" if seconds < 9.95 else duration(seconds)


def size_of(megabytes: float) -> str:
    """`0.3 kB`, `42 kB`, `4.2 MB`."""
    return f"{megabytes:.3g} MB" if megabytes >= 0.1 else f"{1e3 * megabytes:.2g} kB"
