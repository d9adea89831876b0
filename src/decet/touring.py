"""The verb `tour`: a small model of each family, on data inside the install, and one page of pictures.

decet tour --out tour
"""

from __future__ import annotations

import sys
from pathlib import Path

from decet import flags
from decet.errors import BadInput

ABOUT = "train a small model of each family on data inside the install, and write one page of pictures"


def tour(arguments: list[str]) -> int:
    """`decet tour`; the exit code."""
    parser = flags.Arguments("tour", ABOUT, "")
    parser.add_argument("--out", default="tour", metavar="DIR", help="where tour.html goes (tour)")
    parser.add_argument("--families", metavar="A,B", help="stops to make (all)")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of every random draw (0)")
    said = parser.read(arguments)
    out = Path(said.out)
    if out.exists() and not out.is_dir():
        raise BadInput(f"{out} is a file, not a folder. Choose another --out.")
    from decet.pages.tour import PAGE
    from decet.pages.tour import tour as made
    from decet.training.progress import Live

    names = None if said.families is None else [name.strip() for name in said.families.split(",")]
    show = Live("tour")
    try:
        stops = made(names, out=out, seed=said.seed, show=show)
    finally:
        show.close()
    for stop in stops:
        print(f"{stop.family}: {stop.code}\n  {stop.about}\n  {stop.figures}\n")
    print(f"the page is {out / PAGE}", file=sys.stderr)
    return 0
