"""A comparison as it is kept: figures, verdict and facts, in Python, as a table, and as comparison.json."""

from __future__ import annotations

import json
import math
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from decet import __version__
from decet.errors import BadInput
from decet.estimators.folders import COMPARISON
from decet.referee.intervals import Interval
from decet.referee.verdict import FAMILY, Result, duration_of, size_of
from decet.training.checkpoint import write_whole

if TYPE_CHECKING:
    from decet.estimators.reading import Given
    from decet.referee.contenders import Contender

REPORT = "report.html"
UNSAVED = ("judged",)  # fields that only the process that compared has


@dataclass
class Judged:
    """What the page looks at beside the figures: rows, true answers, everybody's answers, and who gave them.

    places: which rows of the data those to train are; None = all of them in their order.
    """

    train: Given
    test: Given
    target: Any
    answers: dict[str, Any]
    contenders: dict[str, Contender]
    places: Any = None


@dataclass
class Comparison:
    """Everybody's figures, best first, and the verdict.

    metric: which `score` is. facts: rows that trained ("train") and judged ("test"), what these are called ("items"),
    "how" they were chosen, "classes".
    warnings: about the data. waiting: who was not fitted yet, where it was interrupted. budget: seconds, or None.
    """

    estimator: str
    data: str
    metric: str
    results: list[Result]
    facts: dict[str, Any] = field(default_factory=dict)
    verdict: str = ""
    warnings: list[str] = field(default_factory=list)
    waiting: list[str] = field(default_factory=list)
    interrupted: bool = False
    seed: int = 0
    budget: float | None = None
    seconds: float = 0.0
    command: str = ""
    identity: dict[str, str] = field(default_factory=dict, repr=False)
    versions: dict[str, str] = field(default_factory=lambda: versions(), repr=False)
    folder: Path | None = None
    judged: Judged | None = field(default=None, repr=False)

    @property
    def best(self) -> Result:
        """The result with the highest score."""
        return self.results[0]

    @property
    def best_family(self) -> Result | None:
        """The best that is a family, so that there is a model of it."""
        return next((r for r in self.results if r.kind == FAMILY and r.error is None), None)

    @property
    def model(self) -> Any:
        """The fitted estimator of the best family. Raises BadInput where none was fitted."""
        best = self.best_family
        if best is None:
            raise BadInput("no family was fitted, so there is no model. The results say why.")
        if self.judged is not None and best.name in self.judged.contenders:
            return self.judged.contenders[best.name].estimator  # type: ignore[attr-defined]
        if self.folder is None or best.folder is None:
            raise BadInput("the models of this comparison were not saved. Say out=... when comparing.")
        from decet.estimators.saved import load

        return load(self.folder / best.folder)

    def __str__(self) -> str:
        return "\n".join([*_lines(self.rows()), "", self.verdict])

    def rows(self) -> list[tuple[str, ...]]:
        """The table in words: a heading, then a line a contender."""
        heading = ("", self.metric, "95 %", "behind", "fit", "one row", "size")
        return [heading, *(_row(result) for result in self.results)]

    def to_dict(self) -> dict[str, Any]:
        """As JSON values; numbers that are not finite are None."""
        kept = {name: value for name, value in self.__dict__.items() if name not in (*UNSAVED, "results", "folder")}
        results = [asdict(r) | {"score": _named(r.score), "behind": _named(r.behind)} for r in self.results]
        found: dict[str, Any] = _finite(kept | {"results": results})
        return found

    def write(self, folder: Path, *, page: bool = True) -> None:
        """comparison.json and, with `page`, report.html in a folder, each whole."""
        self.folder = folder
        text = json.dumps(self.to_dict(), ensure_ascii=False, indent=1) + "\n"
        write_whole(folder / COMPARISON, text.encode("utf-8", "backslashreplace"))
        if page:
            from decet.pages.page import comparison_page

            write_whole(folder / REPORT, comparison_page(self).encode("utf-8", "backslashreplace"))

    @classmethod
    def read(cls, folder: Path) -> Comparison:
        """What `write` wrote. Raises BadInput for anything else."""
        path = folder / COMPARISON
        try:
            told = json.loads(path.read_text(encoding="utf-8"))
            results = [_result(each) for each in told.pop("results")]
            return cls(**told, results=results, folder=folder)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise BadInput(
                f"{path} is no comparison that decet wrote ({error}). Start anew with --overwrite."
            ) from error


def versions() -> dict[str, str]:
    """What the figures were made with."""
    import sklearn

    return {
        "decet": __version__,
        "torch": torch.__version__,
        "scikit-learn": sklearn.__version__,
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}, {torch.get_num_threads()} threads",
    }


def _result(told: dict[str, Any]) -> Result:
    return Result(**told | {name: _interval(told[name]) for name in ("score", "behind")})


def _named(found: Interval | None) -> dict[str, float] | None:
    return None if found is None else found._asdict()


def _interval(told: Mapping[str, Any] | None) -> Interval | None:
    if told is None:
        return None
    return Interval(*(math.nan if told[name] is None else float(told[name]) for name in Interval._fields))


def _finite(value: Any) -> Any:
    match value:
        case float():
            return value if math.isfinite(value) else None
        case Mapping():
            return {str(key): _finite(item) for key, item in value.items()}
        case list() | tuple():
            return [_finite(item) for item in value]
    return value.item() if hasattr(value, "item") else value


def _row(result: Result) -> tuple[str, ...]:
    if result.error is not None:
        return (result.name, "failed", "", "", "", "", "")
    score, behind = result.score, result.behind
    if score is None or not result.is_defined:
        return (
            result.name,
            "undefined",
            "",
            "",
            duration_of(result.seconds),
            duration_of(result.latency / 1e3),
            size_of(result.megabytes),
        )
    return (
        result.name,
        f"{score.value:.4f}",
        f"{score.low:.3f} to {score.high:.3f}",
        "" if behind is None or behind == (0, 0, 0) else f"{behind.value:.3f} ({behind.low:.3f} to {behind.high:.3f})",
        duration_of(result.seconds),
        duration_of(result.latency / 1e3),
        size_of(result.megabytes),
    )


def _lines(rows: list[tuple[str, ...]]) -> list[str]:
    """Rows of text under one another."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
