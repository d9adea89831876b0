"""The verb `play`: an agent plays episodes, and may be filmed.

decet play p --episodes 3 --video p.gif
"""

from __future__ import annotations

import json
import sys
from typing import Any

from decet import flags
from decet.errors import BadInput

ABOUT = "let an agent play episodes, and film them"


def play(arguments: list[str]) -> int:
    """`decet play MODEL`; the exit code."""
    parser = flags.Arguments("play", ABOUT, "MODEL [ENVIRONMENT]")
    parser.add_argument("--episodes", type=int, default=1, metavar="N", help="how many (1)")
    parser.add_argument(
        "--video", metavar="FILE", help="write a film of them, a .gif, or strips of their pictures, a .png"
    )
    parser.add_argument("--recorded", metavar="FILE", help="write their transitions, an .npz to learn from")
    parser.add_argument("--explore", type=float, default=0.0, metavar="SHARE", help="of random actions in these (0)")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of how episodes begin (0)")
    parser.add_argument("--json", action="store_true", help="print one JSON object an episode")
    said = parser.read(arguments)
    from decet.estimators.saved import load

    model: Any = load(said.MODEL)
    if not flags.plays(model):
        raise BadInput(f"{said.MODEL} holds {flags.one(model)}, which plays nothing.")
    returns = model.play(said.ENVIRONMENT, said.episodes, said.video, said.seed, said.recorded, said.explore)
    for number, value in enumerate(returns, 1):
        print(json.dumps({"episode": number, "return": value}) if said.json else f"episode {number}: {value:g}")
    for what, path in (("film", said.video), ("record", said.recorded)):
        if path is not None:
            print(f"the {what} is {path}", file=sys.stderr)
    return 0
