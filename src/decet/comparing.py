"""The verb `compare`: its flags, its table, its exit code.

    decet compare table-classifier adult --budget 5m --out c

The flags are those of `fit`, but for what says one family or where to begin; `--families` names some of the row.
"""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING, Any

from decet import flags
from decet.errors import BadInput, DecetError, listed
from decet.explaining import columns
from decet.training.progress import Live

if TYPE_CHECKING:
    from decet.referee.comparison import Comparison

SHARED = ("target", "out", "resume", "overwrite", "seed", "device", "budget", "groups", "order", "config", "json")
ONE_FAMILY = "compare tries every family of the row. Name some with --families CNN,DNN."
REFUSED = {
    "family": ONE_FAMILY,
    "start": "compare trains everybody from the beginning. Leave --start out.",
    "validation": "compare sets rows aside by itself, the same for all. Leave --validation out.",
    "print-config": "compare has no settings to print. Say decet fit ... --print-config.",
    "report": "compare writes its report into --out in any case. Leave --report out.",
}
HINTS = {"out": "folder for comparison.json, report.html and a model folder a family; without it nothing is saved"}


def compare(arguments: list[str]) -> int:
    """`decet compare ESTIMATOR DATA`; the exit code: 0, or 130 where it was interrupted."""
    if any(token in flags.HELP for token in arguments):
        print(page())
        return 0
    tokens, said = flags.taken(list(arguments), "--families")
    _refuse(tokens)
    wanted = flags.read(tokens, "compare")
    wanted.estimator.family = None
    names = [name.strip() for part in said for name in part.split(",") if name.strip()]
    if said and not names:
        raise BadInput("--families names none. Leave it out to compare all of the row.")
    families = [flags.family_named(type(wanted.estimator), name) for name in names] or None
    found = _compared(wanted, families, arguments)
    _tell(found, wanted)
    return 130 if found.interrupted else 0


def page() -> str:
    """`decet compare --help`"""
    shown = [flag for flag in flags.COMMON if flag.name in SHARED]
    pairs = [("--families A,B", "which of the estimator's families (all by default)")]
    pairs += [(f"--{flag.name} {flag.metavar}".rstrip(), HINTS.get(flag.name, flag.text)) for flag in shown]
    return "\n".join(
        [
            "usage: decet compare ESTIMATOR DATA [flags]",
            "",
            "Fit every family of an estimator, and baselines that need no network, on the same rows of DATA (a path, -",
            "for standard input, or a public set), and say which is best, how surely, and whether a network is needed.",
            "",
            fill(f"estimators: {listed(flags.estimator_names())}", 119, subsequent_indent="  "),
            "",
            columns(pairs),
            "",
            "The question's flags, and those of --recipe and --inputs, are those of decet fit.",
            "",
            "  decet compare table-classifier iris --budget 1m --out c1",
            "  decet compare image-classifier photos/ --families CNN,ResNet --budget 10m --out c2",
        ]
    )


def _refuse(tokens: Sequence[str]) -> None:
    """Refuse flags of `fit` that a comparison has no use for."""
    for token in tokens:
        name = token.removeprefix("--").partition("=")[0].partition(".")[0]
        if token.startswith("--") and name in REFUSED:
            raise BadInput(REFUSED[name])


def _compared(wanted: flags.Fit, families: list[type] | None, arguments: Sequence[str]) -> Comparison:
    from decet.referee.compare import compare

    new = wanted.out is not None and not wanted.out.exists()
    show = Live(Path(wanted.data).name)
    try:
        return compare(
            wanted.estimator,
            wanted.data,
            wanted.target,
            families=families,
            budget=wanted.budget,
            groups=wanted.groups,
            order=wanted.order,
            out=wanted.out,
            resume=wanted.resume,
            overwrite=wanted.overwrite,
            show=show,
            command=shlex.join(["decet", "compare", *(said for said in arguments if said != "--resume")]),
        )
    except (DecetError, KeyboardInterrupt):
        if new and wanted.out is not None and wanted.out.is_dir() and not any(wanted.out.iterdir()):
            wanted.out.rmdir()
        raise
    finally:
        show.close()


def _tell(found: Comparison, wanted: flags.Fit) -> None:
    """The table and the verdict on stdout; where things went on stderr."""
    if wanted.json:
        print(json.dumps(found.to_dict(), ensure_ascii=False))
    else:
        _print_table(found)
        print(f"\n{found.verdict}")
    for result in found.results:
        if result.error is not None:
            _say(f"{result.name} could not be fitted: {result.error}")
    if found.interrupted:
        are = "is" if len(found.waiting) == 1 else "are"
        rest = f" {listed(found.waiting)} {are} still to come." if found.waiting else ""
        on = " The same command with --resume goes on." if wanted.out is not None else ""
        _say(f"interrupted.{rest}{on}")
    if wanted.out is None:
        _say("nothing was saved. Say --out DIR to keep the models and the report.")
    else:
        verified = (
            f"; {found.best_family.name} is verified" if found.facts.get("verified") and found.best_family else ""
        )
        _say(f"saved in {wanted.out}: report.html, comparison.json, and a model folder a family{verified}")


def _print_table(found: Comparison) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    heading, *rows = found.rows()
    table = Table(box=box.SIMPLE, pad_edge=False, header_style="")
    for i, name in enumerate(heading):
        table.add_column(name, justify="left" if i == 0 else "right", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    Console(file=sys.stdout, highlight=False, markup=False, width=None if sys.stdout.isatty() else 120).print(table)


def _say(sentence: Any) -> None:
    print(sentence, file=sys.stderr, flush=True)
