"""The help pages of `decet fit`, out of the texts beside fields, and sentences in the words of the command line."""

from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import Iterable, Sequence
from typing import Any

from decet import flags
from decet.errors import listed
from decet.flags import WIDTH, kebab, names_of


def texts(owner: Any) -> dict[str, str]:
    """The text beside each field in the docstring: `name: text` or `a, b: text`, at a line's begin or after a sentence,
    indented where it goes on."""
    known = set(names_of(owner))
    begins = rf"(?:{'|'.join(known)})(?:, (?:{'|'.join(known)}))*: "
    doc = re.sub(rf"(?<=[.;] )(?={begins})", "\n", inspect.getdoc(owner) or "") if known else ""
    found: dict[str, str] = {}
    names: list[str] = []
    for line in doc.splitlines():
        if match := re.match(begins, line):
            names = match[0].removesuffix(": ").split(", ")
            found |= dict.fromkeys(names, line[match.end() :].strip())
        elif names and line.startswith(" "):
            found |= {name: f"{found[name]} {line.strip()}" for name in names}
        else:
            names = []
    return found


def general_page() -> str:
    """`decet fit --help`"""
    pairs = [(f"--{flag.name} {flag.metavar}".rstrip(), flag.text) for flag in flags.COMMON]
    return "\n".join(
        [
            "usage: decet fit ESTIMATOR DATA [flags]",
            "",
            "Train a model on DATA (a path, - for standard input, or a public set), measure it and save it.",
            "",
            *_wrapped("estimators: ", flags.estimator_names()),
            "",
            "flags of every estimator:",
            columns(pairs),
            "",
            "decet fit ESTIMATOR --help shows its question's flags, and those of its family, recipe and inputs.",
            "",
            "  decet fit table-classifier adult --out m1",
            "  decet fit table-regressor houses.csv --target price --recipe.epochs 20 --out m2",
        ]
    )


def estimator_page(arguments: Sequence[str]) -> str:
    """`decet fit ESTIMATOR --help`, or one section whole: `decet fit ESTIMATOR --recipe.help`."""
    kind, owners, tokens = flags.about([token for token in arguments if token not in flags.HELP])
    family, fit = owners["family"], f"decet fit {kebab(kind)}"
    for section, owner in owners.items():
        if f"--{section}.help" in tokens:
            return f"{_first(owner)}\n\n{_fields(owner, f'--{section}.')}"
    for field in flags.bodies_of(family):  # of which no family is named
        if f"--family.{field}.help" in tokens:
            return columns([_row(family, field, "--family.")])
    names = [cell.family.__name__ for cell in kind.row]
    question = ["the question:", _fields(kind.question, "--"), ""] if names_of(kind.question) else []
    lines = [
        f"usage: {fit} DATA [flags]",
        "",
        *textwrap.wrap(_first(kind), WIDTH),
        f"DATA is {flags.data_of(kind)}.",
        "",
        *question,
        f"--family {family.__name__} (of {listed(names)}):",
        _fields(family, "--family."),
    ]
    for section, owner in owners.items():
        if section not in ("", "family"):
            title = f"--{section}.FIELD (--{section}.help explains): "
            lines += ["", *_wrapped(title, names_of(owner))]
    common = [f"--{flag.name}" for flag in flags.taken_by(kind) if not (flag.name == "target" and flags.plays(kind))]
    return "\n".join([*lines, "", *_wrapped("every fit (decet fit --help explains): ", common)])


def _first(owner: Any) -> str:
    return (inspect.getdoc(owner) or "").split("\n\n")[0].replace("\n", " ")


def _fields(owner: Any, prefix: str) -> str:
    return columns([_row(owner, name, prefix) for name in names_of(owner)])


def _row(owner: Any, field: str, prefix: str) -> tuple[str, str]:
    """A field's flag and its text; of a method's body with the families that it may be."""
    flag, text = f"{prefix}{field.replace('_', '-') if prefix == '--' else field}", texts(owner).get(field, "")
    bodies = flags.bodies_of(owner).get(field)
    if bodies is None:
        return flag, text
    names = listed(body.__name__ for body in bodies)
    return f"{flag} NAME", f"{text} One of {names}. {flag} NAME {flag}.help tells its fields, as {flag}.width."


def columns(pairs: Sequence[tuple[str, str]]) -> str:
    """Two columns, the second wrapped; equal texts that follow each other stand once."""
    width = min(34, max(len(left) for left, _ in pairs) + 2)
    lines: list[str] = []
    for i, (left, right) in enumerate(pairs):
        shown = '"' if i and right and right == pairs[i - 1][1] else right
        wrapped = textwrap.wrap(shown, WIDTH - width - 2) or [""]
        if len(left) > width - 2:
            wrapped.insert(0, "")
        lines += [f"  {left:<{width}}{wrapped[0]}".rstrip(), *(" " * (width + 2) + line for line in wrapped[1:])]
    return "\n".join(lines)


def _wrapped(title: str, names: Iterable[str]) -> list[str]:
    return textwrap.wrap(title + "  ".join(names), WIDTH, subsequent_indent="  ", break_on_hyphens=False)


def worded(message: str) -> str:
    """A sentence of the library in the words of the command line, on one line."""
    message = " ".join(message.split())
    for pattern, words in (
        (r"Say y=\.\.\. \(--target\)", "Say --target COL"),
        (r"(?<=answers: )y\.$|(?<=, or )y\.$", "--target COL."),
        (r"\by \(--target\)", "--target"),
        (r"^(episodes|explore)(?= must)", r"--\1"),
        (r"\bdrop=\(\.\.\.\)", "--inputs.drop COL"),
        (r"\bnorm='none' of the network", "--family.network.norm none"),
        (r" for X\b", ""),
        (r"(?<=which )X\b", "the table"),
        (r"^X\b", "the table"),
        (r"(?<=\. )y\b", "The target"),
        (r"^y\b|(?<= (?:in|of) )y\b", "the target"),
        (r"(?<![-\w.])(recipe|family|inputs)\.(\w+(?:\.\w+)*)", r"--\1.\2"),
        (r"^(resume|overwrite|budget|seed|device|groups|order|loss|threshold)\b", r"--\1"),
        (r"^(class|label)_(weight|smoothing)\b", r"--\1-\2"),
    ):
        message = re.sub(pattern, words, message)
    return re.sub(r"Did you mean ([A-Z]\w+)\?", _kebab_estimator, message)


def _kebab_estimator(match: re.Match[str]) -> str:
    name = kebab(match[1])
    return f"Did you mean {name if name in flags.estimator_names() else match[1]}?"
