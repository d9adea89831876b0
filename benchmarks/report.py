"""From records to medians, ratios, goals and markdown. No figure in a table is typed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

Record = dict[str, Any]
SENSES: dict[str, Callable[[float, float], bool]] = {
    ">=": lambda value, target: value >= target,
    "<=": lambda value, target: value <= target,
    "<": lambda value, target: value < target,
}


@dataclass(frozen=True)
class Goal:
    """A figure to reach. `value` is None where it could not be measured; `void`: measured on a busy machine."""

    what: str
    sense: str
    target: float
    value: float | None
    void: bool = False
    quick: bool = False

    @property
    def verdict(self) -> str:
        if self.value is None:
            return "not measured"
        if self.void:
            return "void"
        met = "met" if SENSES[self.sense](self.value, self.target) else "missed"
        return f"{met} (quick)" if self.quick else met


@dataclass(frozen=True)
class Table:
    """A table of a report; cells are text. `note` says how it was measured."""

    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""


@dataclass
class Report:
    """What a work found. `origin` says what was measured when, by `provenance`."""

    tables: list[Table] = field(default_factory=list)
    goals: list[Goal] = field(default_factory=list)
    origin: str = ""


class Found:
    """The records of one work, the latest of each job, and questions to them."""

    def __init__(self, records: Iterable[Record], quick: bool = False):
        self.records = list(records)
        self.quick = quick

    def of(self, contender: str, **arguments: Any) -> Found:
        """Those of a contender whose job had these arguments."""
        chosen = [
            record
            for record in self.records
            if record["contender"] == contender
            and all(record["arguments"].get(name) == value for name, value in arguments.items())
        ]
        return Found(chosen, self.quick)

    def __bool__(self) -> bool:
        return bool(self.records)

    @property
    def void(self) -> bool:
        return any(record.get("void") for record in self.records)

    def values(self, name: str) -> list[float]:
        return [float(record[name]) for record in self.records if record.get(name) is not None]

    def middle(self, name: str) -> float | None:
        """The median over runs."""
        values = self.values(name)
        return median(values) if values else None

    def goal(self, what: str, sense: str, target: float, value: float | None) -> Goal:
        return Goal(what, sense, target, value, self.void, self.quick)


def provenance(found: Found) -> str:
    """Commit, days, machine, threads, seeds and versions of the records, and a warning where sources are mixed."""
    records = found.records
    packages = sorted({(name, version) for record in records for name, version in record["versions"].items()})
    parts = {
        "commit": {record["commit"] for record in records},
        "measured": {record["when"][:10] for record in records},
        "threads": {str(record["threads"]) for record in records},
        "seeds": {str(record["seed"]) for record in records if "seed" in record},
        "versions": [" ".join(pair) for pair in packages],
    }
    said = [f"{name} {_listed(sorted(values))}" for name, values in parts.items() if values]
    if len({record["source"] for record in records if record["ours"]}) > 1:
        said.append("**decet's sources changed between these records: run again**")
    return "; ".join(said) + "."


def _listed(values: Sequence[str], most: int = 12) -> str:
    more = f" and {len(values) - most} more" if len(values) > most else ""
    return ", ".join(values[:most]) + more


def ratio_of_medians(ours: Sequence[float], theirs: Sequence[float]) -> float | None:
    """median(ours) / median(theirs); None where either is empty."""
    if not ours or not theirs:
        return None
    return median(ours) / median(theirs)


def least(values: Iterable[float | None]) -> float | None:
    """The smallest of what is known."""
    known = [value for value in values if value is not None]
    return min(known) if known else None


def shown(value: float | None, form: str = ",.0f", *, void: bool = False) -> str:
    """A cell of a table."""
    if value is None:
        return "-"
    return f"{value:{form}}" + (" (void)" if void else "")


def spread(values: Sequence[float], form: str = ",.0f") -> str:
    """`least - most`."""
    return "-" if not values else f"{min(values):{form}} - {max(values):{form}}"


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A markdown table; a bar within a cell is escaped."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def goals_table(goals: Iterable[Goal]) -> str:
    rows = [[g.what, f"{g.sense} {g.target:g}", shown(g.value, ".4g"), g.verdict] for g in goals]
    return markdown_table(["goal", "target", "measured", ""], rows)


def markdown(title: str, facts: Mapping[str, str], reports: Mapping[str, Report]) -> str:
    """The whole page: goals first, then each work's tables."""
    goals = [goal for report in reports.values() for goal in report.goals]
    parts = [f"# {title}", "Made by `python -m benchmarks` from the records beside it; not to be edited."]
    parts += ["\n".join(f"- {name}: {value}" for name, value in facts.items())]
    if goals:
        parts += ["## Goals", goals_table(goals)]
    for name, report in reports.items():
        parts += [f"## {name}", *([report.origin] if report.origin else [])]
        for table in report.tables:
            parts += [f"### {table.title}", *([table.note] if table.note else [])]
            parts += [markdown_table(table.header, table.rows)]
    return "\n\n".join(parts) + "\n"
