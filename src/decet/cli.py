"""The command line: verbs, what they print, exit codes.

    decet fit table-classifier adult --out m1 && decet evaluate m1 adult --split test --json

Results go to stdout, everything else to stderr. Exit codes: 0 done, 1 not verified, 2 wrong use (one sentence says
what), 3 our fault (a report file is named), 130 interrupted (the best so far is kept). The flags of `fit` grow from
the dataclasses in `decet.flags`. Nothing heavy is imported before a verb needs it.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import signal
import sys
import tempfile
import threading
import time
import traceback
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from decet import __version__, acting, comparing, explaining, flags, generating, listing, touring, writers
from decet.errors import BadInput, DecetError, check_choice, listed, suggest
from decet.listing import aligned, cut
from decet.settings import in_words

if TYPE_CHECKING:
    from decet.data.datasets import Loaded

SPLITS = ("train", "validation", "test")
SHOWN = 60  # columns of a table that `show` lists
COVERAGE = "how often sets and intervals are to hold the truth, as .95"
AROUND = 100  # words near to those asked for that `similar --map` draws


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command, and return its exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    os.environ.setdefault("SDL_VIDEODRIVER", "dummy")  # no verb opens a window: what draws looks for no screen
    with warnings.catch_warnings(), _terminable():
        warnings.showwarning = _warn  # type: ignore[assignment]
        try:
            code = _run(given)
            sys.stdout.flush()
            return code
        except DecetError as error:
            _say(f"decet: {explaining.worded(str(error))}")
            return 2
        except KeyboardInterrupt:
            _say("decet: interrupted.")
            return 130
        except BrokenPipeError:  # the reader of our output has seen enough, as in `decet predict ... | head`
            with suppress(OSError, ValueError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 0
        except Exception as error:  # noqa: BLE001  every other error is ours, and is told with a report
            what = cut(" ".join(f"{type(error).__name__}: {error}".split()), 200)
            _say(f"decet: our fault ({what}). Please send us {_report(given)}")
            return 3


def _run(arguments: list[str]) -> int:
    verb, rest = (arguments[0], arguments[1:]) if arguments else ("--help", [])
    if verb in flags.HELP:
        print(_front_page())
        return 0
    if verb == "--version":
        print(f"decet {__version__}")
        return 0
    if verb not in VERBS:
        raise BadInput(f"there is no verb {verb!r}.{suggest(verb, VERBS)}")
    return VERBS[verb][0](rest)


# --------------------------------------------------------------------------------------------------------------- fit


def _fit(arguments: list[str]) -> int:
    if any(token in flags.HELP or token.endswith(".help") for token in arguments):
        page = explaining.estimator_page(arguments) if flags.asks_estimator(arguments) else explaining.general_page()
        print(page)
        return 0
    wanted = flags.read(arguments)
    if wanted.config is not None:
        print(wanted.config, end="")
        return 0
    if wanted.out is not None and _is_finished(wanted.out, wanted.resume, wanted.overwrite):
        return 0
    model = _trained(wanted)
    _tell_fit(model, wanted)
    if wanted.report and wanted.out is not None:
        data = _official_test(wanted.data)
        target = None if data is None else wanted.target
        _write_report(model, data, target, wanted.out, ["fit", *arguments], wanted.data)
    return 130 if model.interrupted_ else 0


def _is_finished(out: Path, resume: bool, overwrite: bool) -> bool:
    """Refuse a folder that holds another run before any data are read; whether there is nothing left to do."""
    from decet.artifact import read, unpack
    from decet.estimators.folders import CROSSFIT, check_free
    from decet.training.loop import CHECKPOINT

    check_free(out, resume=resume, overwrite=overwrite)
    if not resume or any((out / name).exists() for name in (CHECKPOINT, CROSSFIT)):
        return False
    if not (out / "model.json").exists():
        _say(f"there is nothing to resume in {out}: starting afresh.")
        return False
    if unpack(read(out)).model["provenance"].get("interrupted"):
        _say(f"the run in {out} was interrupted before its first checkpoint: starting afresh.")
        return False
    _say(f"{out} holds a finished model: nothing to resume. Say --overwrite to train anew.")
    return True


def _trained(wanted: flags.Fit) -> Any:
    from decet.training.progress import Live

    out, model = wanted.out, wanted.estimator
    new = out is not None and not out.exists()
    show = Live(Path(wanted.data).name)
    about = {
        "validation": wanted.validation,
        "recorded": wanted.recorded,
        "groups": wanted.groups,
        "order": wanted.order,
    }
    try:
        return model.fit(
            wanted.data,
            wanted.target,
            **{name: value for name, value in about.items() if value is not None},
            start=wanted.start,
            budget=wanted.budget,
            out=out,
            resume=wanted.resume,
            overwrite=wanted.overwrite,
            show=show,
        )
    except (DecetError, KeyboardInterrupt):
        if new and out is not None:
            with suppress(OSError):  # it holds a checkpoint, or was never made
                out.rmdir()
        raise
    finally:
        show.close()


def _official_test(name: str) -> Loaded | None:
    """The official test part of a public set, which the model has not seen."""
    from decet.data import datasets

    if not datasets.means_set(name) or "test" not in (datasets.load(name).splits or {}):
        return None
    return datasets.load(name, "test")


def _write_report(model: Any, data: Any, target: Any, folder: Path, arguments: list[str], trained: str) -> None:
    from decet.data import datasets
    from decet.pages.page import report

    train = trained if datasets.means_set(trained) or Path(trained).exists() else None  # what came by stdin is gone
    path = report(model, data, target, train=train, out=folder, command=shlex.join(["decet", *arguments]))
    _say(f"report in {path}")


def _tell_fit(model: Any, wanted: flags.Fit) -> None:
    """Figures on stdout; where the model went on stderr."""
    told, out = model.provenance_, wanted.out
    about = {
        "estimator": type(model).__name__,
        "family": type(model.family_).__name__,
        "data": told["data"],
        "rows": told["rows"],
        "seconds": told["seconds"],
        "out": None if out is None else str(out),
        "metrics": model.metrics_,
    }
    if wanted.json:
        print(json.dumps(about))
    else:
        counted = model.card[1] if hasattr(model, "card") else "rows"
        print("{estimator} with {family} on {data}: {rows:,} {counted}, {seconds} s".format(**about, counted=counted))
        if model.metrics_:
            print(f"{_judged_on(told['validation'], model.sets_aside)}:")
            print(_metrics_table(model.metrics_))
        else:
            print(f"no figures: {told['validation']}.")
    if wanted.start is not None:
        _say(f"{model.taken_} tensors were taken from {wanted.start}.")
    if out is None:
        _say("nothing was saved. Say --out DIR to keep the model.")
    elif model.interrupted_:
        goes_on = "goes on" if (out / "checkpoint").exists() else "begins afresh"
        _say(f"interrupted: the best so far is saved in {out}. The same command with --resume {goes_on}.")
    else:
        _say(f"saved in {out}")


# --------------------------------------------------------------------------------------------------- predict, evaluate


def _predict(arguments: list[str]) -> int:
    parser = _arguments("predict", "MODEL [DATA]")
    parser.add_argument("--text", metavar="S", action="append", help="a text itself, in place of DATA; may be repeated")
    parser.add_argument("--out", metavar="FILE", help="write .csv, .parquet or .jsonl instead of JSON lines to stdout")
    parser.add_argument("--split", metavar="PART", help="train or test: an official part of a public set")
    parser.add_argument("--coverage", type=float, metavar="C", help=COVERAGE)
    said = parser.read(arguments)
    out = None if said.out is None else Path(said.out)
    if out is not None and out.suffix not in writers.WRITERS:
        raise BadInput(f"--out must end in {listed(writers.WRITERS)}. Received: {said.out!r}.")
    if out is not None and (out.is_dir() or not os.access(out.absolute().parent, os.W_OK)):
        raise BadInput(f"--out {out} cannot be written. Choose a file in a folder that is there and writable.")
    unread: list[str] = []
    records = _noting(_answered(said), unread)
    if out is None:
        count = 0
        for count, record in enumerate(records, 1):  # noqa: B007
            sys.stdout.write(writers.line(record))
        return _tell_unread(unread, count)
    beside = out.with_name(f".{out.name}.{os.getpid()}")
    try:
        count = writers.WRITERS[out.suffix](records, beside)
        beside.replace(out)
    except OSError as error:
        raise BadInput(f"--out {out} could not be written ({error.strerror}).") from error
    finally:
        beside.unlink(missing_ok=True)
    _say(f"{count:,} answers in {out}")
    return _tell_unread(unread, count)


def _answered(said: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """The records of what `predict` was given: DATA, or itself as a literal."""
    from decet.estimators.saved import load

    if (said.DATA is None) == (said.text is None):
        raise BadInput("decet predict needs either DATA or --text S. See decet predict --help.")
    model = _covering(load(said.MODEL), said)
    if said.text is None:
        return model.records(_part(said.DATA, said.split)[0])
    if model.reader.literal != "text":
        raise BadInput(f"--text is for models of texts, and {said.MODEL} is {flags.one(model)}. Give DATA.")
    return model.records(said.text)


def _covering(model: Any, said: argparse.Namespace) -> Any:
    """The model, with the coverage that was asked for."""
    if said.coverage is None:
        return model
    if not hasattr(model, "coverage"):
        raise BadInput(f"--coverage is of sets and intervals, and {flags.one(model)} has none.")
    model._covering(said.coverage)
    model.set_params(coverage=said.coverage)
    return model


def _noting(records: Iterable[dict[str, Any]], unread: list[str]) -> Iterator[dict[str, Any]]:
    """The records, while those without an answer are noted as `a.png (truncated)`."""
    for record in records:
        if record.get("error") is not None:
            unread.append(f"{record['file']} ({record['error']})")
        yield record


def _tell_unread(unread: list[str], count: int) -> int:
    """Say which files had no answer; the exit code: bad input where none had one."""
    if not unread:
        return 0
    _say(f"decet: {len(unread):,} of {count:,} pictures could not be read: {listed(unread)}.")
    return 2 if len(unread) == count else 0


def _evaluate(arguments: list[str]) -> int:
    parser = _arguments("evaluate", "MODEL [DATA]")
    parser.add_argument("--split", metavar="PART", help="train or test: an official part of a public set (test)")
    parser.add_argument("--target", metavar="COL", help="the column(s) with the answers, where not as in training")
    parser.add_argument("--adapt", type=float, metavar="R", help="of what writes: learn on from the text, at this rate")
    parser.add_argument("--cache", type=int, metavar="N", help="of what writes: remember so many positions of the text")
    parser.add_argument("--coverage", type=float, metavar="C", help=COVERAGE)
    parser.add_argument("--report", action="store_true", help="write MODEL/report.html: figures, and where it errs")
    parser.add_argument("--json", action="store_true", help="print one object whose keys are the metrics")
    said = parser.read(arguments)
    from decet.estimators.saved import load

    model: Any = _covering(load(said.MODEL), said)
    how = {name: value for name in ("adapt", "cache") if (value := getattr(said, name)) is not None}
    if how and not hasattr(model, "stream"):
        raise BadInput(f"--{next(iter(how))} is for what writes, and {said.MODEL} holds {flags.one(model)}.")
    if flags.plays(model):
        for name in ("split", "target"):
            if getattr(said, name) is not None:
                raise BadInput(f"--{name} is of rows, and an agent is judged by episodes. Leave it out.")
        metrics = model.evaluate(said.DATA)
        print(json.dumps(metrics) if said.json else _metrics_table(metrics))
        if said.report:
            _write_report(model, said.DATA, None, Path(said.MODEL), ["evaluate", *arguments], model.provenance_["data"])
        return 0
    if said.DATA is None:
        raise BadInput("evaluate needs DATA: rows whose answers are known. See decet evaluate --help.")
    data, part = _part(said.DATA, said.split, default=None if model.sets_aside else "test")
    if model.provenance_["data"] == said.DATA and part != "test" and not model.sets_aside:
        _say(f"warning: the model was trained on {said.DATA}, so these figures are better than on new rows.")
    target = said.target.split(",") if said.target and "," in said.target else said.target
    metrics = model.evaluate(data, target, **how)
    print(json.dumps(metrics) if said.json else _metrics_table(metrics))
    if said.report:
        _write_report(model, data, target, Path(said.MODEL), ["evaluate", *arguments], model.provenance_["data"])
    return 0


def _part(name: str, split: str | None, default: str | None = None) -> tuple[str | Loaded, str | None]:
    """DATA as the estimators take it, an official part of a public set in memory; and which part."""
    from decet.data import datasets

    check_choice("--split", split, SPLITS)
    public = datasets.means_set(name)
    if split == "validation" and not (public and "validation" in (datasets.load(name).splits or {})):
        raise BadInput(
            f"the validation rows of {name} were chosen inside fit; `decet show MODEL` has the figures on them. "
            f"Say --split test, or give rows of your own."
        )
    if split is not None and not public:
        raise BadInput(f"{name} has no official {split} part, only some public sets do. Leave --split out.")
    if not public:
        return name, None
    if split is None and default is not None and datasets.load(name).splits is not None:
        split = default
        _say(f"on the official {split} part of {name}:")
    return datasets.load(name, split), split


def _metrics_table(metrics: Mapping[str, float | None]) -> str:
    width = max(18, *map(len, metrics)) if metrics else 0
    told = {name: "undefined" if value is None else format(value, ".6g") for name, value in metrics.items()}
    return "\n".join(f"  {name:<{width}} {value}" for name, value in told.items())


# ----------------------------------------------------------------------------------------------------------- similar


def _similar(arguments: list[str]) -> int:
    parser = flags.Arguments("similar", VERBS["similar"][2], "MODEL")
    parser.add_argument("WORD", nargs="*", help="a word, or a node; of several, what is near to them together")
    parser.add_argument(
        "--minus", nargs="+", default=[], metavar="WORD", help="words to go away from: king - man + woman"
    )
    parser.add_argument("--topn", type=int, default=10, metavar="N", help="how many words (10)")
    parser.add_argument("--map", metavar="FILE", help="draw a map, .svg or .png: of WORD and what is near, or of all")
    parser.add_argument("--json", action="store_true", help="print one JSON object a word")
    said = parser.read(arguments)
    if not said.WORD and said.map is None:
        raise BadInput("decet similar needs a WORD, or --map FILE for a map of the frequent ones.")
    from decet.estimators.saved import load

    model: Any = load(said.MODEL)
    if not hasattr(model, "most_similar"):
        raise BadInput(f"{said.MODEL} holds {flags.one(model)}, which has no vectors of words or nodes.")
    if said.map is not None:
        _say(f"map in {_map(model, said)}")
    if not said.WORD:
        return 0
    found = model.most_similar(said.WORD, said.minus, said.topn)
    if said.json:
        sys.stdout.writelines(writers.line({"word": word, "cosine": round(cosine, 6)}) for word, cosine in found)
    else:
        print("\n".join(aligned([(word, f"{cosine:.3f}") for word, cosine in found])))
    return 0


def _map(model: Any, said: argparse.Namespace) -> Path:
    from decet.pages.wordmap import map_words

    around = [word for word, _ in model.most_similar(said.WORD, said.minus, AROUND)] if said.WORD else []
    return map_words(model, said.map, [*said.WORD, *around] or None)


# ------------------------------------------------------------------------------------------------------ verify, show


def _verify(arguments: list[str]) -> int:
    said = _arguments("verify", "MODEL").read(arguments)
    from decet import artifact
    from decet.estimators.saved import verify

    if not Path(said.MODEL).is_dir():
        artifact.read(said.MODEL)  # says that there is no such folder, and which is near
    result = verify(said.MODEL)
    print(result)
    return 0 if result.ok else 1


def _show(arguments: list[str]) -> int:
    parser = _arguments("show", "MODEL")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    said = parser.read(arguments)
    from decet.estimators.described import describe

    facts = describe(said.MODEL)
    print(json.dumps(facts, ensure_ascii=False, default=str) if said.json else _told(facts))
    return 0


def _told(facts: Mapping[str, Any]) -> str:
    layers = [("layer", "kind", "output", "parameters")]
    for layer in facts["layers"]:
        shape = "" if layer["output"] is None else f"({', '.join(map(str, layer['output']))})"
        layers.append((layer["name"], layer["kind"], shape, f"{layer['parameters']:,}"))
    columns = [(c["name"], c["kind"], c["detail"]) for c in facts["columns"]]
    if len(columns) > SHOWN:
        columns = [*columns[:SHOWN], (f"and {len(columns) - SHOWN:,} more", "", "")]
    told = facts["provenance"]
    what = ", ".join(facts["targets"]) or ("the answers" if facts["answers"] else "")
    return "\n".join(
        [
            f"{facts['estimator']}{f': {what}' if what else ''} of {told['data']}",
            "",
            *aligned(layers),
            f"  {facts['parameters']:,} parameters",
            "",
            f"family {facts['family']['name']}: {in_words(facts['family'])}",
            f"recipe: {in_words(facts['recipe'])}",
            f"question: {in_words(facts['question'])}",
            "",
            *_figures(facts["metrics"], told["validation"], facts["sets_aside"] or "nodes" in told),
            "",
            f"columns ({len(facts['columns']):,}):",
            *aligned(columns),
            *(f"  warning: {warning}" for warning in facts["warnings"]),
            "",
            f"provenance: {in_words(told)}",
            f"plan: {in_words(facts['plan'])}",
            f"versions: {in_words(facts['versions'])}",
        ]
    )


def _judged_on(how: str, whole: bool) -> str:
    """What figures are of; whole: what learns from a graph alone says so itself."""
    return how if whole else f"on rows it was not trained on ({how})"


def _figures(metrics: Mapping[str, float | None], how: str, whole: bool) -> list[str]:
    head = f"figures ({how}):" if whole else f"figures {_judged_on(how, whole)}:"
    return [head, _metrics_table(metrics)] if metrics else [f"no figures: {how}"]


# ------------------------------------------------------------------------------------------------ arguments and pages

VERBS: dict[str, tuple[Callable[[list[str]], int], str, str]] = {
    "fit": (_fit, "ESTIMATOR DATA", "train a model, measure it, save it"),
    "compare": (comparing.compare, "ESTIMATOR DATA", "which family is best, how surely, and is a network needed?"),
    "predict": (_predict, "MODEL [DATA]", "answer rows: one JSON line each, or a CSV or Parquet file"),
    "evaluate": (_evaluate, "MODEL [DATA]", "every metric on rows whose answers are known"),
    "generate": (generating.generate, "MODEL", generating.ABOUT),
    "play": (acting.play, "MODEL [ENVIRONMENT]", acting.ABOUT),
    "similar": (_similar, "MODEL WORD ...", "the nearest words to a word, or nodes to a node, by their vectors; a map"),
    "verify": (_verify, "MODEL", "check the files of a model and replay its golden rows"),
    "show": (_show, "MODEL", "layers, parameters, settings, figures, columns, provenance"),
    "cells": (listing.cells, "", listing.CELLS),
    "datasets": (listing.public_sets, "[NAME]", listing.SETS),
    "tour": (touring.tour, "", touring.ABOUT),
}


def _arguments(verb: str, positional: str = "") -> flags.Arguments:
    return flags.Arguments(verb, VERBS[verb][2], positional)


def _front_page() -> str:
    verbs = [(f"decet {verb} {takes}".rstrip(), text) for verb, (_, takes, text) in VERBS.items()]
    return "\n".join(
        [
            "usage: decet VERB ...",
            "",
            "One tool for ten families of deep learning: a task, done by a family, on data.",
            "",
            explaining.columns(verbs),
            "",
            "MODEL is a folder that fit wrote; DATA a path, - for standard input, or a public set, and of an",
            "agent the id of an environment of Gymnasium, as CartPole-v1.",
            "`decet VERB --help` explains a verb, `decet --version` tells the version.",
            "",
            "  decet fit table-classifier adult --out m1",
            "  decet verify m1",
            "  decet evaluate m1 adult --split test",
            "",
            "exit codes: 0 done, 1 not verified, 2 wrong use, 3 our fault, 130 interrupted",
        ]
    )


# ------------------------------------------------------------------------------------- what goes wrong, and interrupts


def _say(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)


def _warn(message: Warning | str, category: type[Warning], filename: str, lineno: int, *_: Any) -> None:
    """A warning, on one line."""
    _say(f"warning: {explaining.worded(str(message))}")


def _report(arguments: list[str]) -> Path:
    """Write what we need to find our mistake into this folder, or where that cannot be, the temporary one."""
    from importlib.metadata import PackageNotFoundError, version

    lines = [f"command: {shlex.join(['decet', *arguments])}", f"decet {__version__}", f"python {sys.version}"]
    lines.append(f"platform {sys.platform} {os.uname().release} {os.uname().machine}")
    for package in ("torch", "numpy", "scipy", "scikit-learn", "pandas", "pyarrow", "jsonargparse"):
        with suppress(PackageNotFoundError):
            lines.append(f"{package} {version(package)}")
    text = "\n".join([*lines, "", traceback.format_exc()])
    name = f"decet-report-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}.txt"
    for folder in (Path.cwd(), Path(tempfile.gettempdir())):
        with suppress(OSError):
            (folder / name).write_text(text, encoding="utf-8", errors="backslashreplace")  # as bytes of a command line
            return folder / name
    _say(text)
    return Path("the lines above")


@contextmanager
def _terminable() -> Iterator[None]:
    """SIGTERM does what Ctrl-C does."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, frame: Any) -> None:
        interrupt = signal.getsignal(signal.SIGINT)
        if not callable(interrupt):  # a shell's background job ignores Ctrl-C, but is told to end all the same
            raise KeyboardInterrupt
        interrupt(signal.SIGINT, frame)

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
