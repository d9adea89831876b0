"""The page of what draws pictures: what it draws, how like real ones they are, how it learned, and how they come."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from decet.estimators.sheets import sheet
from decet.pages.drawing import Chart, lines_over
from decet.pages.mistakes import address
from decet.pages.rendering import environment as templates
from decet.referee.comparison import versions

Array = NDArray[Any]
ACROSS, DOWN = 10, 10  # pictures of a sheet
MOMENTS = 8  # of drawing, that are shown
WAY = 10  # pictures from one to another
WAYS = 4
SEED = 0x6A11  # of what is shown
FIGURES = {  # figure -> what it says
    "frechet": "distance of the two sets' Gaussians, 0 is best",
    "kernel": "discrepancy under a cubic kernel, 0 is best",
    "precision": "share of what is drawn that might be real",
    "recall": "share of what is real that might be drawn",
    "density": "how closely drawn ones stand about real ones, 1 is as real",
    "coverage": "share of real ones that have a drawn one near",
    "departure": "largest departure of a class's share",
    "recognised": "share in which the judge sees the label that was asked for",
    "copied": "share as near to a picture trained on as one in a thousand held-out ones is",
}


def gallery_page(model: Any, X: Any = None, y: Any = None, command: str = "") -> str:
    """The page of an ImageGenerator. X: pictures to judge it by, as `evaluate` takes them."""
    metrics = model.metrics_ if X is None else model.evaluate(X, y)
    return (
        templates()
        .get_template("gallery.html")
        .render(
            title=f"{type(model).__name__} with {type(model.family_).__name__}",
            model=model,
            told=model.provenance_,
            on=model.provenance_["validation"] if X is None else "As many of the pictures given",
            figures=[(name, said, metrics.get(name)) for name, said in FIGURES.items() if name in metrics],
            bounds={name: model.metrics_.get(f"frechet_{name}") for name in ("real", "gaussian")},
            curves=learned(model.history_),
            columns=model.codec_.description(),
            settings=_settings(model),
            versions=versions(),
            command=command,
            **looks(model),
        )
    )


def looks(model: Any) -> dict[str, Any]:
    """What there is to see: drawn pictures, by label where there are labels; moments of drawing; ways from one to
    another."""
    names = [] if model.answer_ is None else [str(name) for name in model.answer_.classes[0][:DOWN]]
    labels = [name for name in names for _ in range(ACROSS)] or None
    drawn = model.generate(len(labels) if labels else ACROSS * DOWN, label=labels, seed=SEED)
    found: dict[str, Any] = {"drawn": address(sheet(drawn, ACROSS)), "names": names, "steps": [], "moments": ""}
    ways = [model.interpolate(SEED + i, SEED + i + WAYS, WAY, label=_one(names, i)) for i in range(WAYS)]
    found["ways"] = address(sheet(np.concatenate(ways), WAY))
    if model.family_.stepwise:
        seen = list(model.watch(MOMENTS, label=_several(names), seed=SEED))
        places = np.unique(np.linspace(0, len(seen) - 1, MOMENTS).round().astype(int))
        found["steps"] = [int(place) + 1 for place in places]
        found["moments"] = address(sheet(np.concatenate([seen[place] for place in places]), MOMENTS))
    return found


def _one(names: Sequence[str], place: int) -> str | None:
    return names[place % len(names)] if names else None


def _several(names: Sequence[str]) -> list[str] | None:
    return [names[place % len(names)] for place in range(MOMENTS)] if names else None


def learned(records: Sequence[Mapping[str, Any]]) -> list[Chart]:
    """Losses, and figures of a few pictures drawn meanwhile, by steps; records: of history."""
    own = [record for record in records if record.get("stage") == "draw"]
    if len(own) < 2:
        return []
    steps = [float(record["step"]) for record in own]
    charts = []
    for names, title in (
        (("loss",), "training loss"),
        (("critic", "generator", "encoder"), "losses"),
        (("kernel",), "kernel distance of 256 drawn pictures"),
        (("recognised", "variety", "told"), "shares"),
    ):
        there = [name for name in names if all(name in record for record in own)]
        if there:
            tints = ("family", "baseline", "floor")
            lines = {n: ([float(r[n]) for r in own], t) for n, t in zip(there, tints, strict=False)}
            charts.append(lines_over(steps, lines, [], title=title, by="steps"))
    return charts


def _settings(model: Any) -> dict[str, dict[str, Any]]:
    said = {part: asdict(getattr(model, f"{part}_")) for part in ("family", "recipe")}
    said |= {"question": asdict(model._asked()), "inputs": asdict(model._inputs())}
    return {part: {name: value for name, value in of.items() if value is not None} for part, of in said.items()}
