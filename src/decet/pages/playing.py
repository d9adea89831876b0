"""The page of an agent: what episodes give it, how it learned, what it expected and was given, what it holds
observations to be worth, pictures of an episode."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from decet.data.environment_codec import EnvironmentCodec
from decet.data.environments import Environment
from decet.data.playing import Episodes
from decet.errors import BadInput
from decet.estimators.agents import ASKED, JUDGED
from decet.estimators.film import KEPT, spaced, strip
from decet.pages.drawing import Chart, histogram, lines_over
from decet.pages.mistakes import png
from decet.pages.rendering import environment as templates
from decet.pages.rendering import short
from decet.pages.valuemap import values_of
from decet.referee.comparison import versions

Array = NDArray[Any]
MOMENTS = 1_000  # of playing that are kept to look at, at most
NOTED = 0.02  # of a chart's height, from which what is cut off is drawn
LATE = 1e-3  # of a reward's worth where an episode begins, from which it counts
STRETCH = 1.0  # spreads of the returns by which the threshold may stretch their scale
HOPES = ("steps", "expected", "given", "rest")  # of a record of history
NO_MAP = "No number of what it observes takes many values, so there is no map."
SOFT = (
    "Munchausen's values count how sure the policy is, too: what it expected is not on quite the same scale as what it "
    "was given."
)


class Seen:
    """Weighs, and keeps what is shown meanwhile: the newest frames of all copies, every other moment left out again
    whenever they are more than `most`."""

    def __init__(self, weigh: Callable[[Array], Array], most: int) -> None:
        self.weigh, self.most = weigh, most
        self.steps, self.shown = list[int](), list[Array]()
        self.count, self.every = 0, 1

    def __call__(self, frames: Array) -> Array:
        if self.count % self.every == 0:
            self.steps.append(self.count)
            self.shown.append(frames[:, -1].copy())
        self.count += 1
        if len(self.shown) > self.most:
            self.steps, self.shown, self.every = self.steps[::2], self.shown[::2], 2 * self.every
        return self.weigh(frames)


def playing_page(model: Any, X: Any = None, y: Any = None, command: str = "") -> str:
    """The page of an Agent. X: the environment to judge it in, by default that of training. y: not used."""
    if y is not None:
        raise BadInput("an environment has no answers. Leave the target out.")
    place, codec = model._entered(X), model.codec_
    met = Seen(model._weigh, 0 if codec.picture else MOMENTS)
    found = model._episodes(place, JUDGED, ASKED, model._weigh if codec.picture else met)
    path = Seen(model._weigh, KEPT if codec.picture else MOMENTS)
    model._episodes(place, 1, ASKED, path)
    values = None
    if not codec.picture:
        values = values_of(model._weigh, codec, place, np.concatenate(met.shown), np.concatenate(path.shown))
    shown, undrawn = _strip(model, place)
    discount = model._asked().discount
    records = [record for record in model.history_ if "steps" in record]
    return (
        templates()
        .get_template("playing.html")
        .render(
            title=f"{type(model).__name__} with {type(model.family_).__name__}",
            model=model,
            told=model.provenance_,
            place=place,
            count=JUDGED,
            metrics=model._asked().metrics(found.returns, found.lengths),
            returns=histogram(found.returns),
            values=values,
            no_map="" if codec.picture else NO_MAP,
            strip=shown,
            undrawn=undrawn,
            seen=_pictures(codec, path) if codec.picture else [],
            frames=codec.frames,
            curves=learned(records, place),
            hopes=expectations(records),
            told_hopes=told_expectations(found, discount, bool(getattr(model.family_, "munchausen", 0.0))),
            discount=discount,
            columns=codec.description(),
            settings=_settings(model),
            versions=versions(),
            command=command,
        )
    )


def learned(records: Sequence[Mapping[str, Any]], place: Environment) -> list[Chart]:
    """Returns and the loss by steps of the environment; records: of history."""
    if not records:
        return []
    charts = [_returns(records, place)]
    if all(math.isfinite(record["loss"]) for record in records):
        loss: dict[str, tuple[Sequence[float], str]] = {"loss": (_of(records, "loss"), "family")}
        charts.append(lines_over(_of(records, "steps"), loss, [], title="training loss", by="steps"))
    return charts


def _returns(records: Sequence[Mapping[str, Any]], place: Environment) -> Chart:
    greedy, meanwhile = _of(records, "return"), _of(records, "return while learning")
    bands, note = [], ""
    if all("lower quartile" in record for record in records):
        bands.append((_of(records, "lower quartile"), _of(records, "upper quartile"), "family"))
        note = "Blue is the mean of a few episodes; from their lower to their upper quartile is shaded."
    lines = {"played greedily": (greedy, "family"), "while learning": (meanwhile, "baseline")}
    ends = [*greedy, *meanwhile]
    low, high, solved = min(ends), max(ends), place.threshold
    if solved is not None and low - STRETCH * (high - low) <= solved <= high + STRETCH * (high - low):
        lines[f"counts as solved: {solved:g}"] = ([solved] * len(greedy), "floor")
    return lines_over(_of(records, "steps"), lines, bands, title="return of an episode", by="steps", note=note)


def expectations(records: Sequence[Mapping[str, Any]]) -> Chart | None:
    """What the network expected where episodes began, against what it was given, the gap shaded."""
    records = [r for r in records if all(name in r and math.isfinite(r[name]) for name in HOPES)]
    if not records:  # of a model saved before they were told
        return None
    steps, expected, given, rest = (_of(records, name) for name in HOPES)
    lines = {"expected": (expected, "family"), "given": (given, "baseline")}
    ends = [*expected, *given]
    if max(map(abs, rest)) > NOTED * (max(ends) - min(ends)):
        lines["given, and what it expects after the cut"] = (np.add(given, rest).tolist(), "floor")
    gap = [(given, expected, "baseline")]
    return lines_over(steps, lines, gap, title="what an episode is worth where it begins", by="steps")


def told_expectations(found: Episodes, discount: float, soft: bool) -> list[str]:
    """Sentences on that, of the episodes that the network is judged by. soft: whether values are Munchausen's."""
    expected, given = float(found.expected.mean()), float(found.given.mean())
    told = [f"In the {len(found.given)} episodes above it expected {short(expected)} and was given {short(given)}."]
    cut = found.rest != 0
    if cut.any():
        share = float((discount ** found.lengths[cut]).mean())
        told.append(
            f"Time cut {int(cut.sum())} of them off, after {found.lengths[cut].mean():,.0f} steps. What would still "
            "have come is not in what is given; "
            + (
                f"it would count {share:.2g} times its worth there, which the network holds to be "
                f"{short(float(found.rest[cut].mean()))} in all."
                if share >= LATE
                else "so late, it would hardly count."
            )
        )
    return [*told, SOFT] if soft else told


def _of(records: Sequence[Mapping[str, Any]], name: str) -> list[float]:
    return [float(record[name]) for record in records]


def _strip(model: Any, place: Environment) -> tuple[list[tuple[int, str]], str]:
    """Step and picture of a few moments of an episode; or why there are none."""
    try:
        shots = strip(place, model.codec_, model._choose, (int(model.seed) ^ ASKED) & 0x7FFFFFFF)
    except BadInput as error:
        return [], str(error)
    return [(shot.step, png(np.asarray(shot.picture.convert("RGB")))) for shot in shots], ""


def _pictures(codec: EnvironmentCodec, path: Seen) -> list[tuple[int, str]]:
    """Step and picture of what the network is shown at a few moments of an episode."""
    found = []
    for at in spaced(len(path.shown)):
        seen, _ = codec.layout.apart(path.shown[at][0])
        pixels = np.asarray(seen).reshape(*codec.layout.picture[:2], -1)
        if pixels.shape[-1] not in (1, 3):
            pixels = pixels.max(-1, keepdims=True)
        found.append((path.steps[at], png(pixels)))
    return found


def _settings(model: Any) -> dict[str, dict[str, Any]]:
    """Settings by part, the network's apart."""
    said = {part: asdict(getattr(model, f"{part}_")) for part in ("family", "recipe")}
    network = said["family"].pop("network", None)
    said |= {"network": {} if network is None else {"family": type(model.family_.network).__name__} | network}
    said |= {"question": asdict(model._asked()), "inputs": asdict(model._inputs())}
    return {part: {name: value for name, value in of.items() if value is not None} for part, of in said.items()}
