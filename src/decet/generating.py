"""The verb `generate`: what a model writes, on stdout as it is written; or what it draws, into files.

decet generate g --prompt "ROMEO:" --count 2          echo "ROMEO:" | decet generate g --prompt -
decet generate d --label 7 --count 16 --out sevens/   decet generate d --count 64 --out sheet.png
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from decet import flags, writers
from decet.errors import BadInput, check_range, listed

ABOUT = "write texts that go on from a prompt, or draw pictures"
SAMPLING = {
    "temperature": "1 draws as the network says, less is safer, 0 takes the likeliest always",
    "top-k": "draw from so many tokens at most",
    "top-p": "draw from the likeliest that make up this share",
    "min-p": "draw from those of at least this share of the likeliest one's probability",
    "penalty": "against repetition: divides the logits of tokens that were there lately (1 = off)",
}
BETWEEN = "\n----------\n"  # texts
LENGTH, PICTURES = 500, 16  # tokens of a text, and how many pictures, where it is not said
OF_TEXTS = ("prompt", "length", "stop", *(name.replace("-", "_") for name in SAMPLING))
OF_PICTURES = ("label", "out", "sampler", "steps", "guidance")
WHOLE = (".png", ".gif")  # one file of all pictures: a sheet, or a film
FRAME = 0.1  # seconds of a film's


def generate(arguments: list[str]) -> int:
    """`decet generate MODEL`; the exit code."""
    said = _parser().read(arguments)
    from decet.estimators.saved import load

    model: Any = load(said.MODEL)
    if hasattr(model, "inpaint"):
        _refuse(said, OF_TEXTS, "texts")
        return _pictures(model, said)
    if not hasattr(model, "generate"):
        raise BadInput(f"{said.MODEL} holds {flags.one(model)}, which neither writes nor draws.")
    _refuse(said, OF_PICTURES, "pictures")
    return _texts(model, said)


def _refuse(said: argparse.Namespace, names: tuple[str, ...], what: str) -> None:
    """Raise BadInput where a flag is said that is of something else."""
    for name in names:
        if getattr(said, name) not in (None, []):
            raise BadInput(f"--{name.replace('_', '-')} is of {what}, which {said.MODEL} does not make. Leave it out.")


def _texts(model: Any, said: argparse.Namespace) -> int:
    prompt = said.prompt or ""
    prompt = sys.stdin.read().removesuffix("\n") if prompt == "-" else prompt
    how = {name.replace("-", "_"): getattr(said, name.replace("-", "_")) for name in SAMPLING}
    how |= {"length": LENGTH if said.length is None else said.length, "stop": said.stop, "seed": said.seed}
    count = 1 if said.count is None else said.count
    if count == 1 and not said.json:
        pieces = model.stream(prompt, **how)
        first = next(pieces, "")  # what is wrong with the settings is told before anything is written
        sys.stdout.write(prompt + first)
        for piece in pieces:
            sys.stdout.write(piece)
            sys.stdout.flush()
        sys.stdout.write("\n")
        return 0
    texts = model.generate(prompt, count=count, **how)
    if said.json:
        sys.stdout.writelines(writers.line({"prompt": prompt, "text": text}) for text in texts)
    else:
        print(BETWEEN.join(prompt + text for text in texts))
    return 0


def _pictures(model: Any, said: argparse.Namespace) -> int:
    from decet.estimators.sheets import sheet, write_frames, write_pictures, write_sheet
    from decet.training.checkpoint import check_writable

    count = PICTURES if said.count is None else said.count
    check_range("--count", count, 1, 1_000_000, whole=True)
    if said.out is None:
        raise BadInput("pictures need --out: a folder for a file each, a .png for a sheet, or a .gif of how they come.")
    path, label = Path(said.out), said.label
    whole = path.suffix.lower() in WHOLE and not path.is_dir()
    if path.suffix and not whole and not path.is_dir():
        raise BadInput(f"--out must be a folder, or end in {listed(WHOLE)}. Received: {said.out!r}.")
    if path.is_file() and not whole:
        raise BadInput(f"--out {path} is a file, not a folder. Choose another.")
    check_writable(path if whole else path / "1.png", "--out ")
    if label is not None and len(label) == 1:
        label = label[0]
    elif label is not None:
        label = [label[place % len(label)] for place in range(count)]
    how = {"sampler": said.sampler, "steps": said.steps, "guidance": said.guidance}
    if whole and path.suffix.lower() == ".gif":
        seen = [sheet(frame) for frame in model.watch(count, label=label, seed=said.seed, **how)]
        written = [write_frames(path, [*seen, *[seen[-1]] * len(seen)], FRAME)]
    else:
        made = model.generate(count, label=label, seed=said.seed, **how)
        names = [f"{place:0{len(str(count))}d}.png" for place in range(1, count + 1)]
        written = [write_sheet(path, made)] if whole else write_pictures(path, made, names)
    if said.json:
        print(json.dumps({"pictures": count, "files": [str(one) for one in written]}))
    print(f"{count:,} pictures in {path}", file=sys.stderr)
    return 0


def _parser() -> flags.Arguments:
    parser = flags.Arguments("generate", ABOUT, "MODEL")
    parser.add_argument("--count", type=int, metavar="N", help=f"how many (1 text, {PICTURES} pictures)")
    parser.add_argument("--seed", type=int, metavar="N", help="of the draws (the model's own)")
    parser.add_argument("--json", action="store_true", help="print one JSON object a text; of pictures one in all")
    texts = parser.add_argument_group("texts")
    texts.add_argument("--prompt", metavar="S", help="the begin, which is printed too; - reads stdin")
    texts.add_argument("--length", type=int, metavar="N", help=f"tokens of each, at most ({LENGTH})")
    for name, text in SAMPLING.items():
        texts.add_argument(f"--{name}", type=int if name == "top-k" else float, metavar="V", help=text)
    texts.add_argument("--stop", action="append", default=[], metavar="S", help="end before this; may be repeated")
    pictures = parser.add_argument_group("pictures")
    pictures.add_argument("--out", metavar="PATH", help="a folder, a .png (a sheet), or a .gif (out of noise)")
    pictures.add_argument("--label", action="append", metavar="L", help="what they are to be of; several in turn")
    pictures.add_argument("--sampler", metavar="NAME", help="ddpm, ddim, dpm, heun or euler-ancestral")
    pictures.add_argument("--steps", type=int, metavar="N", help="evaluations of the network a picture")
    pictures.add_argument("--guidance", type=float, metavar="W", help="how much the label counts (1 = as learned)")
    return parser
