"""The flags of `decet fit`, grown from the dataclasses: one flag a field, its help the text beside the field.

    --family.depth 3     a field of the family's settings       --recipe.lr 1e-3    a field of Recipe
    --inputs.bins 32     a field of the kind of data            --threshold 0.4     a field of the question
    --family.network DNN --family.network.width 24              a method's body, and a field of its settings

A value is read by its field's type and judged by the dataclass itself, so that a wrong one is told in the same
sentence as in Python. `--config FILE` holds the same names as YAML; flags win over the file.
"""

from __future__ import annotations

import argparse
import inspect
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, get_type_hints

from decet import _HOMES
from decet.errors import BadInput, DecetError, Unsupported, listed, suggest

WIDTH = 100  # columns of a help page
SECTIONS = ("family", "recipe", "inputs")  # settings that are dataclasses of their own
HELP = ("-h", "--help")


Owners = dict[str, type]  # "" = the question, family, family.network, recipe, inputs: whose fields are flags


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
    Flag("recorded", "FILE", "an .npz of what others played, which is learned from first (with --steps 0: only)"),
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
    recorded: str | None
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
    kind, owners, tokens = _asked(tokens, files, verb)
    parser = _parser(kind, owners)
    check_flags(tokens, parser._option_string_actions, owners)
    for path, content in files.items():
        _check_keys(path, content, kind, owners)
    try:
        found = parser.parse_args([*(f"--config={path}" for path in paths), kebab(kind), *tokens])
    except argparse.ArgumentError as error:
        raise BadInput(told(str(error), f"decet {verb}")) from error
    said = {name: value for name, value in found.clone(with_meta=False).as_dict().items() if value is not None}
    said["data"] = said.get("data", _last(files, "data"))  # the parser takes a lacking one for None
    return _fit(kind, owners, said, verb)


def _fit(kind: Any, owners: Owners, said: dict[str, Any], verb: str) -> Fit:
    if said["data"] is None:
        raise BadInput(f"decet {verb} {kebab(kind)} needs DATA: {data_of(kind)}.")
    asked = _cast(owners, "", {name: said[name] for name in names_of(kind.question) if name in said})
    own = {section: _cast(owners, section, said.get(section, {})) for section in SECTIONS}
    settings = {section: _made(owners, section, own[section]) for section in SECTIONS if own[section]}
    _made(owners, "", asked)
    settings.setdefault("family", owners["family"]())
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
        own["family"] = {"name": owners["family"].__name__, **own["family"]}
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
        recorded=said.get("recorded"),
        start=said.get("start"),
        groups=said.get("groups"),
        order=said.get("order"),
        resume=said["resume"],
        overwrite=said["overwrite"],
        report=said.get("report", False),
        json=said["json"],
    )


HINTS = {
    "MODEL": "a model folder",
    "DATA": "a path, -, or a public set; of an agent an environment",
    "ENVIRONMENT": "the id of an environment of Gymnasium; by default that of training",
}


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
            hint = HINTS[bare]
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


def one(model: Any) -> str:
    """`an agent`: what a model is, in words."""
    name = kebab(type(model))
    return f"{'an' if name[0] in 'aeiou' else 'a'} {name}"


def plays(kind: Any) -> bool:
    """Whether an estimator, or its class, learns by playing, so that DATA is an environment."""
    return hasattr(kind, "play")


def data_of(kind: Any) -> str:
    """What DATA is, in words."""
    if plays(kind):
        return "the id of an environment of Gymnasium, as CartPole-v1"
    return "a path, - for standard input, or a public set"


def about(arguments: Sequence[str]) -> tuple[Any, Owners, list[str]]:
    """What arguments of `decet fit` without a file are about: the estimator's class, the owners of flags, the rest."""
    return _asked([_spelled(token) for token in arguments], {}, "fit")


def _asked(tokens: list[str], files: dict[str, dict[str, Any]], verb: str) -> tuple[Any, Owners, list[str]]:
    """The estimator's class, the classes whose fields are flags, and the other tokens as the parser has them."""
    kind, tokens = _estimator(tokens, files, verb)
    family = _family(kind, tokens, files)
    owners: Owners = {"": kind.question, "family": family, "recipe": _recipe(), "inputs": kind.kind}
    for field, able in bodies_of(family).items():
        flag = f"--family.{field}"
        tokens = [f"{flag}.name{token[len(flag) :]}" if token.partition("=")[0] == flag else token for token in tokens]
        if body := _body(flag, able, tokens, files):
            owners[f"family.{field}"] = body
    return kind, owners, tokens


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
    of_file = [found for content in files.values() if (found := _family_of(content))]
    name = said[-1] if said else of_file[-1].get("name") if of_file else None
    return kind.row[0].family if name is None else family_named(kind, name)


def bodies_of(family: Any) -> dict[str, tuple[type, ...]]:
    """The fields of a method that hold another family's settings, and which families; of other families none."""
    return dict(getattr(family, "bodies", {}))


def _body(flag: str, able: Sequence[type], tokens: list[str], files: dict[str, dict[str, Any]]) -> type | None:
    """The family of a method's body: of the flag, else of the file; None where nothing is said of it.

    Raises BadInput for a name that is none of these, and where fields are said without a name.
    """
    names, key = listed(family.__name__ for family in able), flag.rpartition(".")[2]
    _, said = taken(tokens, f"{flag}.name")
    of_files = {path: content["family"][key] for path, content in files.items() if key in _family_of(content)}
    said = said or [str(found["name"]) for found in of_files.values() if _is_named(found)][-1:]
    if said:
        found = next((family for family in able if family.__name__.lower() == said[-1].lower()), None)
        if found is None:
            raise BadInput(f"{flag} cannot be {said[-1]!r}. It takes {names}.{_near(said[-1], able)}")
        return found
    for token in tokens:
        if token.startswith(f"{flag}.") and token != f"{flag}.help":
            raise BadInput(f"{token.partition('=')[0]} needs {flag} NAME: {names}.")
    for path, settings in of_files.items():
        if isinstance(settings, Mapping):
            raise BadInput(f"--config {path}: {key} in family needs a name: {names}.")
    return None


def _family_of(content: Mapping[str, Any]) -> Mapping[str, Any]:
    """What a file says of the family."""
    found = content.get("family")
    return found if isinstance(found, Mapping) else {}


def _is_named(settings: Any) -> bool:
    return isinstance(settings, Mapping) and settings.get("name") is not None


def _near(name: str, able: Sequence[type]) -> str:
    """The one that was meant, where it is not a family of its own."""
    from decet.estimators.catalog import FAMILIES

    known = name.lower() in [family.lower() for family in _called(FAMILIES)]
    return "" if known else suggest(name, _called(able)).partition(" Choose")[0]


def _called(families: Sequence[type]) -> list[str]:
    return [family.__name__ for family in families]


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
        parts = [f" {name} may be --family.{f}." for f, able in bodies_of(able[0]).items() if name in _called(able)]
        raise Unsupported(f"{kebab(kind)} cannot use {name}. It {takes}{''.join(parts)}")
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
                raise BadInput(f"{flag.removesuffix('.name')} needs a value.")
            values.append(value)
        elif token.startswith(f"{flag}="):
            values.append(token.partition("=")[2])
        else:
            rest.append(token)
    return rest, values


def check_flags(tokens: Iterable[str], options: Iterable[str], owners: Owners | None = None) -> None:
    """Refuse a flag that is not among the options, with the nearest one."""
    every = set(options)
    known = sorted(option for option in every if option.startswith("--"))
    for token in tokens:
        name = token.partition("=")[0]
        if not re.match(r"--?[A-Za-z]", name) or name in every:
            continue
        for section, owner in reversed((owners or {}).items()):  # bodies before the family that holds them
            if section and name.startswith(f"--{section}."):
                raise BadInput(f"there is no flag {name}: {_lacks(section, owner, name[len(section) + 3 :])}")
        raise BadInput(f"there is no flag {name}.{suggest(name, known).split(' Choose')[0]}")


def _lacks(section: str, owner: type, field: str) -> str:
    """`DNN has no field 'dpth'. Did you mean 'depth'?`"""
    who = owner.__name__ if section.startswith("family") else section
    return f"{who} has no field {field!r}.{suggest(field, names_of(owner))}"


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
    return _nested(content)


def _nested(content: Mapping[Any, Any]) -> dict[str, Any]:
    """`recipe.lr: 1` as `recipe: {lr: 1}`."""
    found: dict[str, Any] = {}
    for key, value in content.items():
        *outer, last = str(key).split(".")
        inside = found
        for part in outer:
            if not isinstance(inside.setdefault(part, {}), dict):
                inside[part] = {}
            inside = inside[part]
        inside[last] = _nested(value) if isinstance(value, Mapping) else value
    return found


def _check_keys(path: str, content: Mapping[str, Any], kind: Any, owners: Owners) -> None:
    """Refuse a name in the file that is no setting."""
    flags = [flag.name.replace("-", "_") for flag in taken_by(kind) if flag.name not in ("config", "family")]
    known = ["estimator", "data", *SECTIONS, *names_of(kind.question), *flags]
    for key in content:
        if key not in known:
            raise BadInput(f"--config {path} has no setting {key!r} to give.{suggest(key, known)}")
    for section in SECTIONS:
        if section in content:
            _check_section(path, section, content[section], owners)


def _check_section(path: str, section: str, settings: Any, owners: Owners) -> None:
    of_family = section.startswith("family")
    if not isinstance(settings, Mapping):
        where = " in ".join(reversed(section.split(".")))
        example = "{name: DNN, depth: 3}" if of_family else "name: value"
        raise BadInput(f"--config {path}: {where} must hold {example}. Received: {settings!r}.")
    bodies = bodies_of(owners[section])
    for name, value in settings.items():
        if of_family and name == "name":
            continue
        if name not in names_of(owners[section]):
            raise BadInput(f"--config {path}: {_lacks(section, owners[section], name)}")
        if name in bodies:
            _check_section(path, f"{section}.{name}", value, owners)


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


def _parser(kind: Any, owners: Owners) -> Any:
    """One argument a field, its type the field's; text passes everywhere, for the dataclass to refuse in its words."""
    from jsonargparse import ArgumentParser

    parser = ArgumentParser(exit_on_error=False, allow_abbrev=False, add_help=False)
    parser.add_argument("--config", action="config")
    parser.add_argument("estimator")
    parser.add_argument("data", nargs="?")
    for flag in taken_by(kind):
        if flag.name in ("config", "family"):
            continue
        if not flag.metavar:
            parser.add_argument(f"--{flag.name}", action="store_true")
        else:
            default = {"seed": 0, "device": "auto"}.get(flag.name)
            parser.add_argument(f"--{flag.name}", type=flag.hint | None, default=default)
    for section, owner in owners.items():
        if section.startswith("family"):
            parser.add_argument(f"--{section}.name", type=str | None, default=None)
        hints, bodies = get_type_hints(owner), bodies_of(owner)
        for name in names_of(owner):
            if name in bodies:
                continue
            flag_name = f"--{section}.{name}" if section else f"--{name.replace('_', '-')}"
            hint = Any if hints[name] is Any or "tuple" in str(hints[name]) else hints[name] | str
            parser.add_argument(flag_name, type=hint, default=None)
    return parser


def taken_by(kind: Any) -> list[Flag]:
    """The common flags of an estimator: those about rows with answers only where its `fit` takes them."""
    takes = inspect.signature(kind.fit).parameters
    without: set[str] = set() if "groups" in takes else {"validation", "groups", "order"}
    without |= {"recorded"} - set(takes)
    labelled = kind.sets_aside or "labelled" in names_of(kind.question)  # of nodes: to be left out and judged by
    if "groups" in without and not labelled:
        without.add("target")
    return [flag for flag in COMMON if flag.name not in without]


def names_of(owner: Any) -> list[str]:
    return [f.name for f in fields(owner)]


def _cast(owners: Owners, section: str, said: Mapping[str, Any]) -> dict[str, Any]:
    """What was said, with `64,32` as a tuple and `no=1,yes=3` as a dict where the field takes such; a body by name."""
    hints, found = get_type_hints(owners[section]), dict[str, Any]()
    for name, value in said.items():
        inner = f"{section}.{name}"
        if inner in owners:
            found[name] = {"name": owners[inner].__name__, **_cast(owners, inner, value)}
        elif value is not None and name in hints:
            found[name] = _one(hints[name], value)
    return found


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


def _made(owners: Owners, section: str, said: Mapping[str, Any]) -> Any:
    """The dataclass, its own sentence told with the flag's name."""
    values = {
        name: _made(owners, f"{section}.{name}", value) if f"{section}.{name}" in owners else value
        for name, value in said.items()
        if name != "name"
    }
    try:
        return owners[section](**values)
    except DecetError as error:
        message = str(error)
        for name in values:
            flag = f"--{section}.{name}" if section else f"--{name.replace('_', '-')}"
            message = re.sub(rf"^(?:{re.escape(section)}\.)?{name}\b", flag, message)
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
