"""The verb `generate`: what a model writes, on stdout as it is written.

decet generate g --prompt "ROMEO:" --count 2          echo "ROMEO:" | decet generate g --prompt -
"""

from __future__ import annotations

import sys
from typing import Any

from decet import flags, writers
from decet.errors import BadInput

ABOUT = "write texts that go on from a prompt"
SAMPLING = {
    "temperature": "1 draws as the network says, less is safer, 0 takes the likeliest always",
    "top-k": "draw from so many tokens at most",
    "top-p": "draw from the likeliest that make up this share",
    "min-p": "draw from those of at least this share of the likeliest one's probability",
    "penalty": "against repetition: divides the logits of tokens that were there lately (1 = off)",
}
BETWEEN = "\n----------\n"  # texts


def generate(arguments: list[str]) -> int:
    """`decet generate MODEL`; the exit code."""
    said = _parser().read(arguments)
    from decet.estimators.saved import load

    model: Any = load(said.MODEL)
    if not hasattr(model, "generate"):
        raise BadInput(f"{said.MODEL} holds {flags.one(model)}, which does not write.")
    prompt = sys.stdin.read().removesuffix("\n") if said.prompt == "-" else said.prompt
    how = {name.replace("-", "_"): getattr(said, name.replace("-", "_")) for name in SAMPLING}
    how |= {"length": said.length, "stop": said.stop, "seed": said.seed}
    if said.count == 1 and not said.json:
        pieces = model.stream(prompt, **how)
        first = next(pieces, "")  # what is wrong with the settings is told before anything is written
        sys.stdout.write(prompt + first)
        for piece in pieces:
            sys.stdout.write(piece)
            sys.stdout.flush()
        sys.stdout.write("\n")
        return 0
    texts = model.generate(prompt, count=said.count, **how)
    if said.json:
        sys.stdout.writelines(writers.line({"prompt": prompt, "text": text}) for text in texts)
    else:
        print(BETWEEN.join(prompt + text for text in texts))
    return 0


def _parser() -> flags.Arguments:
    parser = flags.Arguments("generate", ABOUT, "MODEL")
    parser.add_argument("--prompt", default="", metavar="S", help="the begin, which is printed too; - reads stdin")
    parser.add_argument("--count", type=int, default=1, metavar="N", help="texts (1)")
    parser.add_argument("--length", type=int, default=500, metavar="N", help="tokens of each, at most (500)")
    for name, text in SAMPLING.items():
        parser.add_argument(f"--{name}", type=int if name == "top-k" else float, metavar="V", help=text)
    parser.add_argument("--stop", action="append", default=[], metavar="S", help="end before this; may be repeated")
    parser.add_argument("--seed", type=int, metavar="N", help="of the draws (the model's own)")
    parser.add_argument("--json", action="store_true", help="print one JSON object a text")
    return parser
