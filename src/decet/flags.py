"""The flags of `decet fit`, grown from the dataclasses: one flag a field, its help the text beside the field.

    --family.depth 3     a field of the family's settings       --recipe.lr 1e-3    a field of Recipe
    --inputs.bins 32     a field of the kind of data            --threshold 0.4     a field of the question

A value is read by its field's type and judged by the dataclass itself, so that a wrong one is told in the same
sentence as in Python. `--config FILE` holds the same names as YAML; flags win over the file.
"""

from __future__ import annotations

import argparse
import inspect
import re
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, get_type_hints

from decet import _HOMES
from decet.errors import BadInput, DecetError, Unsupported, listed, suggest

WIDTH = 100  # columns of a help page
SECTIONS = ("family", "recipe", "inputs")  # settings that are dataclasses of their own
HELP = ("-h", "--help")


@dataclass(frozen=True)
class Flag:
    """A flag that every estimator has. metavar "" = a switch."""

    name: str
    metavar: str
    text: str
    hint: Any = str


COMMON = (
    Flag("target", "COL", "the column to predict, or several: A,B (a public set knows its own)", list[str] | str),
    Flag("out", "DIR", "folder for checkpoints and the finished model; without it nothing is saved"),
    Flag("resume", "", "go on from the checkpoint in --out; ends with the same bits as an unbroken run"),
    Flag("overwrite", "", "let the new model take the place of what --out holds, once it is whole"),
    Flag("family", "NAME", "which family does it (the first of `decet cells` by default)"),
    Flag("seed", "N", "of every random draw (0)", int | str),
    Flag("device", "D", "auto, cpu, cuda or cuda:1 (auto)"),
    Flag("budget", "TIME", "wall time for the whole call: 90, 90s, 10m, 1h30m"),
    Flag("start", "MODEL", "a saved model to go on from: weights whose shapes agree are taken"),
    Flag("validation", "PATH", "a table that chooses the best epoch, in place of rows set aside"),
    Flag("groups", "COL", "rows with the same value here stay on one side of every split"),
    Flag("order", "COL", "times: the past trains and the future validates"),
    Flag("config", "FILE", "YAML with any of these settings; flags win over it"),
    Flag("print-config", "", "print the settings in effect as YAML for --config, and do nothing else"),
    Flag("report", "", "write report.html into --out: figures, how it learned, what it errs on"),
    Flag("json", "", "print one JSON object"),
)
ONCE = ("config", "print_config", "report", "json", "resume", "overwrite")  # about this call, not about the model


@dataclass(frozen=True)
class Fit:
    """What `decet fit` was asked for, checked as far as can be without the data."""

    estimator: Any
    data: str
    target: str | list[str] | None
    validation: str | None
    start: str | None
    groups: str | None
    order: str | None
    out: Path | None
    budget: float | None
    resume: bool
    overwrite: bool
    report: bool
    json: bool
    config: str | None  # the settings as YAML, where --print-config asks for them


def read(arguments: Sequence[str], verb: str = "fit") -> Fit:
    """The arguments of `decet fit` after the verb, or of another verb that takes the same.

    Raises BadInput or Unsupported, with a suggestion.
    """
    tokens, paths = taken([_spelled(token) for token in arguments], "--config")
    files = {path: _yaml(path) for path in paths}
    kind, tokens = _estimator(tokens, files, verb)
    family = _family(kind, tokens, files)
    parser = _parser(kind, family)
    check_flags(tokens, parser._option_string_actions, family)
    for path, content in files.items():
        _check_keys(path, content, kind, family)
    try:
        found = parser.parse_args([*(f"--config={path}" for path in paths), kebab(kind), *tokens])
    except argparse.ArgumentError as error:
        raise BadInput(told(str(error), f"decet {verb}")) from error
    said = {name: value for name, value in found.clone(with_meta=False).as_dict().items() if value is not None}
    said["data"] = said.get("data", _last(files, "data"))  # the parser takes a lacking one for None
    return _fit(kind, family, said, verb)


def _fit(kind: Any, family: type, said: dict[str, Any], verb: str) -> Fit:
    if said["data"] is None:
        raise BadInput(f"decet {verb} {kebab(kind)} needs DATA: a path, - for standard input, or a public set.")
    asked = {f.name: said[f.name] for f in fields(kind.question) if f.name in said}
    parts: dict[str, Any] = {"family": family, "recipe": _recipe(), "inputs": kind.kind}
    own = {section: _cast(parts[section], said.get(section, {})) for section in SECTIONS}
    asked = _cast(kind.question, asked)
    settings = {section: _made(parts[section], own[section], section) for section in SECTIONS if own[section]}
    _made(kind.question, asked, "")
    settings.setdefault("family", family())
    estimator = kind(**settings, **asked, seed=said["seed"], device=said["device"])
    target = said.get("target")
    if isinstance(target, str) and "," in target:
        target = [name.strip() for name in target.split(",")]
    for flag in ("resume", "overwrite", "report"):
        if said.get(flag) and "out" not in said:
            raise BadInput(f"--{flag} needs --out: the folder that holds the run.")
    if said["resume"] and said["overwrite"]:
        raise BadInput("--resume and --overwrite exclude each other: go on with the run, or begin anew.")
    config = None
    if said["print_config"]:
        own["family"] = {"name": family.__name__, **own["family"]}
        plain = {k: v for k, v in said.items() if k not in (*ONCE, *SECTIONS, *asked)}
        first = {"estimator": plain.pop("estimator"), "data": plain.pop("data")}
        config = _dumped(first | plain | {section: own[section] for section in SECTIONS if own[section]} | asked)
    return Fit(
        estimator=estimator,
        data=str(said["data"]),
        target=target,
        out=Path(said["out"]) if "out" in said else None,
        budget=seconds(said["budget"]) if "budget" in said else None,
        config=config,
        validation=said.get("validation"),
        start=said.get("start"),
        groups=said.get("groups"),
        order=said.get("order"),
        resume=said["resume"],
        overwrite=said["overwrite"],
        report=said.get("report", False),
        json=said["json"],
    )


class Arguments(argparse.ArgumentParser):
    """The arguments of a small verb, every mistake told in one sentence."""

    def __init__(self, verb: str, description: str, positional: str = ""):
        super().__init__(
            prog=f"decet {verb}",
            description=description,
            allow_abbrev=False,
            formatter_class=lambda prog: argparse.HelpFormatter(prog, max_help_position=28, width=WIDTH),
        )
        for name in positional.split():
            bare = name.strip("[]")
            hint = {"MODEL": "a model folder", "DATA": "a path, -, or a public set"}[bare]
            self.add_argument(bare, nargs="?" if bare != name else None, help=hint)

    def read(self, arguments: list[str]) -> argparse.Namespace:
        check_flags(arguments, self._option_string_actions)
        return self.parse_args(arguments)

    def error(self, message: str) -> Any:
        raise BadInput(told(message, self.prog))


# ------------------------------------------------------------------------------------------- which estimator, family


def kebab(name: Any) -> str:
    """`TableClassifier` -> `table-classifier`."""
    return re.sub(r"(?<!^)(?=[A-Z])", "-", name if isinstance(name, str) else name.__name__).lower()


def estimator_names() -> list[str]:
    """The estimators that exist, in kebab case; torch is not loaded for it."""
    return [kebab(name) for name, home in _HOMES.items() if home == "decet.estimators.catalog"]


def asks_estimator(arguments: Sequence[str]) -> bool:
    """Whether an estimator that exists is named, so that its own help page is meant."""
    return any(kebab(token) in estimator_names() for token in arguments)


def _estimator(tokens: list[str], files: dict[str, dict[str, Any]], verb: str = "fit") -> tuple[Any, list[str]]:
    """The estimator's class, and the other tokens."""
    known = estimator_names()
    place = next((i for i, token in enumerate(tokens) if kebab(token) in known), None)
    if place is not None:
        name, rest = tokens[place], tokens[:place] + tokens[place + 1 :]
    elif tokens and not tokens[0].startswith("-") and _last(files, "estimator") is None:
        name, rest = tokens[0], tokens[1:]
    else:
        name, rest = _last(files, "estimator"), tokens
    if name is None:
        raise BadInput(f"decet {verb} needs an ESTIMATOR and DATA. There are: {listed(known)}.")
    from decet.estimators.catalog import ESTIMATORS, PLAN

    for kind in ESTIMATORS:
        if kebab(kind) == kebab(str(name)):
            return kind, rest
    if kebab(str(name)) in map(kebab, PLAN):
        raise Unsupported(f"{name} is planned, but not there yet. There are: {listed(known)}.")
    raise BadInput(f"there is no estimator {str(name)!r}.{suggest(kebab(str(name)), known)}")


def _family(kind: Any, tokens: Sequence[str], files: dict[str, dict[str, Any]]) -> type:
    """The family's class: of the flag, else of the file, else the estimator's first."""
    _, said = taken(list(tokens), "--family.name")
    families = [content["family"] for content in files.values() if isinstance(content.get("family"), Mapping)]
    of_file = families[-1] if families else {}
    name = said[-1] if said else of_file.get("name")
    return kind.row[0].family if name is None else family_named(kind, name)


def family_named(kind: Any, name: Any) -> type:
    """The family of this name, where the estimator can use it. Raises BadInput or Unsupported, with a suggestion."""
    from decet.estimators.catalog import FAMILIES, PLAN

    able: list[type] = [cell.family for cell in kind.row]
    for family in able:
        if family.__name__.lower() == str(name).lower():
            return family
    takes = f"takes {listed([f'{able[0].__name__} (default)', *(f.__name__ for f in able[1:])])}."
    planned = PLAN[kind.__name__][2].split(", ")
    if name in planned:
        raise Unsupported(f"{kebab(kind)} with {name} is planned, but not there yet. It {takes}")
    every = {name for _, _, names in PLAN.values() for name in names.split(", ")} | {f.__name__ for f in FAMILIES}
    if name in every:
        raise Unsupported(f"{kebab(kind)} cannot use {name}. It {takes}")
    hints = (suggest(name, options) for options in ([f.__name__ for f in FAMILIES], sorted(every)))
    near = next((hint for hint in hints if "Did you mean" in hint), f" {kebab(kind)} {takes}")
    raise BadInput(f"there is no family {str(name)!r}.{near}")


def _recipe() -> type:
    from decet.training.recipe import Recipe

    return Recipe


# -------------------------------------------------------------------------------------------------- tokens and files


def _spelled(token: str) -> str:
    """A flag as the parser has it: `--label_smoothing`, `--recipe.weight-decay` and `--family X` are understood."""
    if not token.startswith("--"):
        return token
    name, equals, value = token[2:].partition("=")
    section, dot, field = name.partition(".")
    if name == "family":
        name = "family.name"
    elif dot:
        name = f"{section}.{field.replace('-', '_')}"
    else:
        name = name.replace("_", "-")
    return f"--{name}{equals}{value}"


def taken(tokens: list[str], flag: str) -> tuple[list[str], list[str]]:
    """The tokens without a flag and its values, and the values."""
    rest, values = [], []
    waiting = iter(tokens)
    for token in waiting:
        if token == flag:
            value = next(waiting, None)
            if value is None or value.startswith("--"):
                raise BadInput(f"{'--family' if flag == '--family.name' else flag} needs a value.")
            values.append(value)
        elif token.startswith(f"{flag}="):
            values.append(token.partition("=")[2])
        else:
            rest.append(token)
    return rest, values


def check_flags(tokens: Iterable[str], options: Iterable[str], family: type | None = None) -> None:
    """Refuse a flag that is not among the options, with the nearest one."""
    every = set(options)
    known = sorted(option for option in every if option.startswith("--"))
    for token in tokens:
        name = token.partition("=")[0]
        if not re.match(r"--?[A-Za-z]", name) or name in every:
            continue
        section, _, field = name[2:].partition(".")
        of_section = [option.partition(".")[2] for option in known if option.startswith(f"--{section}.")]
        if field and of_section:
            owner = {"family": family.__name__ if family else ""}.get(section, section)
            of_section = [option for option in of_section if option != "name"]
            raise BadInput(f"there is no flag {name}: {owner} has no field {field!r}.{suggest(field, of_section)}")
        raise BadInput(f"there is no flag {name}.{suggest(name, known).split(' Choose')[0]}")


def _yaml(path: str) -> dict[str, Any]:
    import yaml

    try:
        content = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"--config {path} cannot be read ({getattr(error, 'strerror', None) or error}).") from error
    except yaml.YAMLError as error:
        mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None)
        where = f" (line {mark.line + 1}: {problem})" if mark and problem else ""
        raise BadInput(f"--config {path} is not YAML{where}.") from error
    if not isinstance(content, dict):
        raise BadInput(f"--config {path} must hold settings by name, as --print-config prints them.")
    return content


def _check_keys(path: str, content: Mapping[str, Any], kind: Any, family: type) -> None:
    """Refuse a name in the file that is no setting."""
    owners = {"family": ["name", *_names(family)], "recipe": _names(_recipe()), "inputs": _names(kind.kind)}
    flags = [flag.name.replace("-", "_") for flag in _taken_by(kind) if flag.name not in ("config", "family")]
    known = ["estimator", "data", *SECTIONS, *_names(kind.question), *flags]
    for key, value in content.items():
        section, dot, field = str(key).partition(".")
        if section not in known:
            raise BadInput(f"--config {path} has no setting {section!r} to give.{suggest(section, known)}")
        if section in SECTIONS and not dot and not isinstance(value, Mapping):
            example = "{name: DNN, depth: 3}" if section == "family" else "name: value"
            raise BadInput(f"--config {path}: {section} must hold {example}. Received: {value!r}.")
        for name in [field] if dot else value if section in SECTIONS else ():
            if name not in owners.get(section, ()):
                owner = family.__name__ if section == "family" else section
                raise BadInput(f"--config {path}: {owner} has no field {name!r}.{suggest(name, owners[section])}")


def _last(files: dict[str, dict[str, Any]], key: str) -> Any:
    return next((content[key] for content in reversed(files.values()) if key in content), None)


def _dumped(settings: Mapping[str, Any]) -> str:
    import yaml

    def plain(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {key: plain(item) for key, item in value.items()}
        return list(value) if isinstance(value, tuple) else value

    return str(yaml.safe_dump(plain(settings), sort_keys=False, allow_unicode=True))


# ------------------------------------------------------------------------------------------------- fields and values


def _parser(kind: Any, family: type) -> Any:
    """One argument a field, its type the field's; text passes everywhere, for the dataclass to refuse in its words."""
    from jsonargparse import ArgumentParser

    parser = ArgumentParser(exit_on_error=False, allow_abbrev=False, add_help=False)
    parser.add_argument("--config", action="config")
    parser.add_argument("estimator")
    parser.add_argument("data", nargs="?")
    for flag in _taken_by(kind):
        if flag.name in ("config", "family"):
            continue
        if not flag.metavar:
            parser.add_argument(f"--{flag.name}", action="store_true")
        else:
            default = {"seed": 0, "device": "auto"}.get(flag.name)
            parser.add_argument(f"--{flag.name}", type=flag.hint | None, default=default)
    parser.add_argument("--family.name", type=str | None, default=None)
    for prefix, owner in (("family.", family), ("recipe.", _recipe()), ("inputs.", kind.kind), ("", kind.question)):
        hints = get_type_hints(owner)
        for name in _names(owner):
            flag_name = f"--{prefix}{name}" if prefix else f"--{name.replace('_', '-')}"
            hint = Any if hints[name] is Any or "tuple" in str(hints[name]) else hints[name] | str
            parser.add_argument(flag_name, type=hint, default=None)
    return parser


def _taken_by(kind: Any) -> list[Flag]:
    """The common flags of an estimator: those about rows with answers only where its `fit` takes them."""
    takes = inspect.signature(kind.fit).parameters
    without: set[str] = set() if "groups" in takes else {"validation", "groups", "order"}
    if without and not kind.sets_aside:  # labels of nodes are not learned from, but to be left out and judged by
        without.add("target")
    return [flag for flag in COMMON if flag.name not in without]


def _names(owner: Any) -> list[str]:
    return [f.name for f in fields(owner)]


def _cast(owner: Any, said: Mapping[str, Any]) -> dict[str, Any]:
    """What was said, with `64,32` as a tuple and `no=1,yes=3` as a dict where the field takes such."""
    hints = get_type_hints(owner)
    given = {name: value for name, value in said.items() if value is not None and name in hints}
    return {name: _one(hints[name], value) for name, value in given.items()}


def _one(hint: Any, value: Any) -> Any:
    if "tuple" in str(hint):
        return _tuple(value, "int" in str(hint))
    if hint is Any and isinstance(value, str) and "=" in value:
        return {key.strip(): _number(number) for key, _, number in (pair.partition("=") for pair in value.split(","))}
    if isinstance(value, Mapping):
        return {str(key): item for key, item in value.items()}
    return value


def _tuple(value: Any, whole: bool) -> tuple[Any, ...]:
    """`64,32`, `(64, 32)` or a list as a tuple."""
    said = value.strip("()[] ").split(",") if isinstance(value, str) else value if isinstance(value, list) else [value]
    items = [item.strip() if isinstance(item, str) else item for item in said]
    return tuple(int(item) if whole and re.fullmatch(r"\d+", str(item)) else item for item in items if item != "")


def _number(text: str) -> Any:
    try:
        return float(text)
    except ValueError:
        return text


def _made(owner: Any, said: Mapping[str, Any], section: str) -> Any:
    """The dataclass, its own sentence told with the flag's name."""
    try:
        return owner(**said)
    except DecetError as error:
        message = str(error)
        for name in said:
            flag = f"--{section}.{name}" if section else f"--{name.replace('_', '-')}"
            message = re.sub(rf"^(?:{section}\.)?{name}\b", flag, message)
        raise BadInput(message) from error


def seconds(text: str) -> float:
    """`90`, `90s`, `10m`, `1h30m` in seconds."""
    number = r"(\d+(?:\.\d+)?)"
    match = re.fullmatch(rf"(?:{number}h)?(?:{number}m)?(?:{number}s?)?", str(text).strip())
    parts = match.groups() if match else ()
    total = sum(float(part or 0) * unit for part, unit in zip(parts, (3600, 60, 1), strict=False))
    if not total:
        raise BadInput(f"--budget must be a time above 0, as 90, 90s, 10m or 1h30m. Received: {text!r}.")
    return float(total)


# ------------------------------------------------------------------------------------------------------------- words


def told(message: str, command: str) -> str:
    """A sentence for what a parser of arguments says."""
    if match := re.match(r"argument (?:[^:]*/)?(\S+): expected", message):
        return f"{match[1]} needs a value."
    if match := re.match(r"argument (?:[^:]*/)?(\S+): invalid (int|float) value: (.*)", message, re.DOTALL):
        return f"{match[1]} must be a {'whole ' if match[2] == 'int' else ''}number. Received: {match[3]}."
    if match := re.match(r"unrecognized arguments: (.*)", message, re.DOTALL):
        return f"{command} does not know what to do with {match[1]!r}."
    if match := re.match(r"the following arguments are required: (.*)", message):
        return f"{command} needs {match[1]}. See {command} --help."
    if match := re.match(r'Parser key "(\S+)":.*Given value: (.*)', message, re.DOTALL):
        return f"--{match[1].replace('_', '-') if '.' not in match[1] else match[1]} cannot be {match[2].strip()}."
    return f"{message.splitlines()[0]}."


def worded(message: str) -> str:
    """A sentence of the library in the words of the command line, on one line."""
    message = " ".join(message.split())
    for pattern, words in (
        (r"Say y=\.\.\. \(--target\)", "Say --target COL"),
        (r"(?<=answers: )y\.$|(?<=, or )y\.$", "--target COL."),
        (r"\bdrop=\(\.\.\.\)", "--inputs.drop COL"),
        (r" for X\b", ""),
        (r"(?<=which )X\b", "the table"),
        (r"^X\b", "the table"),
        (r"(?<=\. )y\b", "The target"),
        (r"^y\b|(?<= (?:in|of) )y\b", "the target"),
        (r"(?<![-\w.])(recipe|family|inputs)\.(\w+)", r"--\1.\2"),
        (r"^(resume|overwrite|budget|seed|device|groups|order|loss|threshold)\b", r"--\1"),
        (r"^(class|label)_(weight|smoothing)\b", r"--\1-\2"),
    ):
        message = re.sub(pattern, words, message)
    return re.sub(r"Did you mean ([A-Z]\w+)\?", _kebab_estimator, message)


def _kebab_estimator(match: re.Match[str]) -> str:
    name = kebab(match[1])
    return f"Did you mean {name if name in estimator_names() else match[1]}?"


# -------------------------------------------------------------------------------------------------------- help pages


def texts(owner: Any) -> dict[str, str]:
    """The text beside each field in the docstring: `name: text` or `a, b: text`, indented where it goes on."""
    found: dict[str, str] = {}
    names: list[str] = []
    for line in (inspect.getdoc(owner) or "").splitlines():
        match = re.match(r"(\w+(?:, \w+)*): (.+)", line)
        if match and set(match[1].split(", ")) <= set(_names(owner)):
            names = match[1].split(", ")
            found |= dict.fromkeys(names, match[2].strip())
        elif names and line.startswith(" "):
            found |= {name: f"{found[name]} {line.strip()}" for name in names}
        else:
            names = []
    return found


def general_page() -> str:
    """`decet fit --help`"""
    pairs = [(f"--{flag.name} {flag.metavar}".rstrip(), flag.text) for flag in COMMON]
    return "\n".join(
        [
            "usage: decet fit ESTIMATOR DATA [flags]",
            "",
            "Train a model on DATA (a path, - for standard input, or a public set), measure it and save it.",
            "",
            *_wrapped("estimators: ", estimator_names()),
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
    tokens = [_spelled(token) for token in arguments if token not in HELP]
    kind, tokens = _estimator(tokens, {})
    family = _family(kind, tokens, {})
    owners = {"family": family, "recipe": _recipe(), "inputs": kind.kind}
    for section, owner in owners.items():
        if f"--{section}.help" in tokens:
            return f"{_first(owner)}\n\n{_fields(owner, f'--{section}.')}"
    able = [cell.family.__name__ for cell in kind.row]
    question = ["the question:", _fields(kind.question, "--"), ""] if _names(kind.question) else []
    lines = [
        f"usage: decet fit {kebab(kind)} DATA [flags]",
        "",
        *textwrap.wrap(_first(kind), WIDTH),
        "",
        *question,
        f"--family {family.__name__} (of {listed(able)}):",
        _fields(family, "--family."),
    ]
    for section in ("recipe", "inputs"):
        names = _names(owners[section])
        lines += ["", *_wrapped(f"--{section}.FIELD (--{section}.help explains): ", names)]
    common = [f"--{flag.name}" for flag in _taken_by(kind)]
    return "\n".join([*lines, "", *_wrapped("every fit (decet fit --help explains): ", common)])


def _first(owner: Any) -> str:
    return (inspect.getdoc(owner) or "").split("\n\n")[0].replace("\n", " ")


def _fields(owner: Any, prefix: str) -> str:
    known = texts(owner)
    names = {name: name.replace("_", "-") if prefix == "--" else name for name in _names(owner)}
    return columns([(f"{prefix}{flag}", known.get(name, "")) for name, flag in names.items()])


def columns(pairs: Sequence[tuple[str, str]]) -> str:
    """Two columns, the second wrapped; equal texts that follow each other stand once."""
    width = min(30, max(len(left) for left, _ in pairs) + 2)
    lines: list[str] = []
    for i, (left, right) in enumerate(pairs):
        shown = '"' if i and right and right == pairs[i - 1][1] else right
        wrapped = textwrap.wrap(shown, WIDTH - width - 2) or [""]
        lines += [f"  {left:<{width}}{wrapped[0]}".rstrip(), *(" " * (width + 2) + line for line in wrapped[1:])]
    return "\n".join(lines)


def _wrapped(title: str, names: Iterable[str]) -> list[str]:
    return textwrap.wrap(title + "  ".join(names), WIDTH, subsequent_indent="  ", break_on_hyphens=False)
