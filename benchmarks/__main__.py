"""`python -m benchmarks FAMILY... [--quick] [--only NAME] [--out FOLDER]`: see benchmarks/__init__.py."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib import import_module
from pathlib import Path

from benchmarks.measure import Busy, Failed, Options, Runner, Work
from benchmarks.report import goals_table, markdown

FAMILIES = (
    "dnn", "cnn", "resnet", "lstm", "word2vec", "transformer", "gan", "diffusion", "gnn", "dqn", "trust", "referee",
)  # fmt: skip
GOOD, MISSED, WRONG, INTERRUPTED = 0, 1, 2, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code 0: done; 1: a goal is missed, or a contender failed; 2: wrong use, or a busy machine."""
    parser = _parser()
    said = parser.parse_args(arguments)
    options = Options(out=said.out.resolve(), quick=said.quick, anyway=said.anyway, runs=said.runs)
    if said.threads is not None:
        options = replace(options, threads=said.threads, jobs=said.threads)
    works = {family: import_module(f"benchmarks.{family}").WORKS for family in dict.fromkeys(said.family)}
    chosen = _chosen(parser, works, said.only)
    code = GOOD
    for family, own in chosen.items():
        ended = _family(family, works[family], [] if said.report else own, options)
        code = max(code, ended)
        if ended == INTERRUPTED:
            break
    return code


def _family(family: str, works: Sequence[Work], chosen: Sequence[Work], options: Options) -> int:
    """Run the chosen works, then write the page of all that is recorded."""
    runner = Runner(family, options)
    code = GOOD
    try:
        for work in chosen:
            runner.run(work)
    except Busy as error:
        print(error, file=sys.stderr)
        code = WRONG
    except KeyboardInterrupt:
        print("interrupted; the same command goes on from here", file=sys.stderr)
        code = INTERRUPTED
    except Failed as error:
        runner.notes.append(str(error))
        print(error, file=sys.stderr)
    reports = {work.name: report for work in works if (report := runner.report(work)) is not None}
    facts = {
        "commit": f"{runner.facts['commit']} (sources {runner.facts['source']})",
        "machine": ", ".join(f"{name} {value}" for name, value in runner.facts["machine"].items()),
        "threads": str(options.threads),
        "protocol": "quick: small works, only to see that all runs" if options.quick else "whole works",
    } | {f"note {i}": note for i, note in enumerate(runner.notes, 1)}
    page = options.out / f"{runner.records.path.stem}.md"
    page.parent.mkdir(parents=True, exist_ok=True)
    text = markdown(f"Benchmarks: {family}", facts, reports)
    page.write_text(text)
    print(text)
    goals = [goal for report in reports.values() for goal in report.goals]
    if goals:
        print(goals_table(goals), file=sys.stderr)
    print(f"records: {runner.records.path}; page: {page}", file=sys.stderr)
    missed = any(goal.verdict == "missed" for goal in goals)
    return code or (MISSED if missed or any("exit code" in note for note in runner.notes) else GOOD)


def _chosen(
    parser: argparse.ArgumentParser, works: Mapping[str, Sequence[Work]], only: Sequence[str] | None
) -> dict[str, list[Work]]:
    """The works to run, by family; families that have none of those asked for are left out."""
    names = [work.name for own in works.values() for work in own]
    for name in only or ():
        if name not in names:
            have = "have" if len(works) > 1 else "has"
            parser.error(f"{', '.join(works)} {have} no work {name!r}. Works: {', '.join(dict.fromkeys(names))}.")
    chosen = {family: [work for work in own if not only or work.name in only] for family, own in works.items()}
    return {family: own for family, own in chosen.items() if own}


def _parser() -> argparse.ArgumentParser:
    about = "decet beside its peers on the same work."
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=about)
    parser.add_argument("family", nargs="+", choices=FAMILIES)
    parser.add_argument("--quick", action="store_true", help="small works, only to see that all runs")
    parser.add_argument("--only", action="append", metavar="NAME", help="one work of the families (may be repeated)")
    out = "where records and page go, and are resumed from (default: runs/benchmarks)"
    parser.add_argument("--out", type=Path, default=Path("runs/benchmarks"), metavar="FOLDER", help=out)
    parser.add_argument("--anyway", action="store_true", help="time on a busy machine too, and mark the figures void")
    parser.add_argument("--threads", type=int, metavar="N", help="threads of every contender (default: all cores)")
    parser.add_argument(
        "--runs",
        type=int,
        default=3,
        metavar="N",
        help="turns of every timing, and seeds of pictures at most (default: 3)",
    )
    parser.add_argument("--report", action="store_true", help="run nothing, make the page from the records again")
    return parser


if __name__ == "__main__":
    sys.exit(main())
