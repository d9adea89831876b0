"""Runs a quarter as long, of three seeds each: what chance does to the runs that are too long to repeat."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from benchmarks import language
from benchmarks.measure import Job, Work
from benchmarks.report import Found, Report, Table, shown, spread

SEEDS = 3
SECONDS = {"tinyshakespeare": 300.0, "wikitext-2": 450.0}
UNITS = {"tinyshakespeare": "characters", "wikitext-2": "words"}


def work(**sets: tuple[str, ...]) -> Work:
    """Of each family the sets that it is trained on, as `SECONDS` names them."""
    runs = [(family, data) for family, names in sets.items() for data in names]
    return Work("seeds", "a quarter of the time, three seeds", partial(_jobs, runs), partial(_report, runs))


def _jobs(of: list[tuple[str, str]], quick: bool, runs: int) -> list[Job]:
    jobs = []
    for family, data in of:
        for seed in range(1 if quick else SEEDS):
            said = {"family": family, "data": data, "unit": UNITS[data], "seed": seed}
            jobs.append(
                Job("seeds", family, "benchmarks.language:quality",
                    {**said, "budget": 10.0 if quick else SECONDS[data]}, run=seed + 1,
                    imports=language.IMPORTS["decet"], packages=("torch",))
            )  # fmt: skip
    return jobs


def _report(of: list[tuple[str, str]], found: Found, keep: Path) -> Report:
    rows = []
    for family, data in of:
        own = found.of(family, data=data)
        losses, perplexities = own.values("loss"), own.values("perplexity")
        if losses:
            rows.append([
                data, family, str(len(losses)), shown(own.middle("seconds")), shown(own.middle("parameters")),
                shown(own.middle("steps")), shown(own.middle("loss"), ".4f"), spread(losses, ".4f"),
                shown(own.middle("perplexity"), ".1f"), spread(perplexities, ".1f"),
            ])  # fmt: skip
    header = ("text", "network", "seeds", "seconds", "parameters", "steps", "nats a token (median)", "least - most",
              "perplexity (median)", "least - most")  # fmt: skip
    note = "Judged by what the runs of the whole time are judged by; a token is a character, of WikiText-2 a word."
    return Report([Table("a quarter of the time", header, rows, note)], [])
