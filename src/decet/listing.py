"""The verbs `cells` and `datasets`: what there is, as a table or as JSON lines."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from decet import flags

CELLS = "the map: which family can answer which question"
SETS = "the public sets; NAME fetches one"


def cells(arguments: list[str]) -> int:
    parser = flags.Arguments("cells", CELLS, "")
    parser.add_argument("--json", action="store_true", help="print one JSON object a line")
    said = parser.read(arguments)
    from decet.estimators.catalog import ESTIMATORS, PLAN

    there = {(kind.__name__, cell.family.__name__) for kind in ESTIMATORS for cell in kind.row}
    rows, total = [("estimator", "data -> answer", "families, default first")], 0
    for name, (data, answer, families) in PLAN.items():
        names = families.split(", ")
        total += len(names)
        if said.json:
            cells = {family: (name, family) in there for family in names}
            print(json.dumps({"estimator": flags.kebab(name), "data": data, "answer": answer, "families": cells}))
        marked = "  ".join(family if (name, family) in there else f"({family})" for family in names)
        rows.append((flags.kebab(name), f"{data} -> {answer}", marked))
    if not said.json:
        print("\n".join(aligned(rows)))
        print(f"\n  {len(there)} of {total} cells are there; those in brackets are planned.")
    return 0


def public_sets(arguments: list[str]) -> int:
    parser = flags.Arguments("datasets", SETS, "")
    parser.add_argument("NAME", nargs="?", help="fetch this set, and tell all about it")
    parser.add_argument("--json", action="store_true", help="print one JSON object a set")
    said = parser.read(arguments)
    from decet.data import datasets

    if said.NAME is not None:
        _fetch(said.NAME)
    rows: list[tuple[str, ...]] = [("name", "kind", "here", "rows", "licence")]
    for name in datasets.names() if said.NAME is None else [said.NAME]:
        found = datasets.find(name)
        about = {"name": name, "kind": found.kind, "here": datasets.here(found), "status": found.status}
        about |= {"rows": found.rows, "licence": found.licence, "home": found.home, "citation": found.citation}
        if said.json:
            print(json.dumps(about))
        elif said.NAME is not None:
            told = about | {"here": "yes" if about["here"] else "no"}
            print("\n".join(aligned([(key, str(value)) for key, value in told.items() if value != ""])))
        kind = found.kind if found.reader else f"({found.kind})"
        told_here = "yes" if about["here"] else "no"
        rows.append((name, kind, told_here, cut(found.rows, 30), cut(found.licence, 20)))
    if said.NAME is None and not said.json:
        print("\n".join(aligned(rows)))
        print("\n  kinds in brackets cannot be read yet. `decet datasets NAME` fetches a set and tells all about it.")
    return 0


def _fetch(name: str) -> None:
    from decet.data import datasets
    from decet.training.progress import Live

    dataset = datasets.find(name)
    show = Live(f"fetching {name}")
    try:
        for file in dataset.files:
            datasets.locate(dataset, file, progress=lambda done, size: show.step(done / size, {"MB": done / 1e6}))
    finally:
        show.close()


def cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 3].rstrip(" ,.") + "..."


def aligned(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Rows of text under one another."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  " + "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()
