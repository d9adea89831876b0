"""The works of the family Diffusion: training and drawing speed beside diffusers, what is drawn after how much work.

The goals stand here; see `benchmarks.drawing` for who does what.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

from benchmarks import drawing, gan
from benchmarks.gan import NOTE, plain_job, prepare, quality_job, quality_table, shorter, speed_goals, speed_table
from benchmarks.measure import Job, Work, in_turns
from benchmarks.report import Found, Goal, Record, Report, Table, ratio_of_medians, shown, spread

PEER, LIKE_OURS = "diffusers", "diffusers, our layout"
ALIKE = (LIKE_OURS, f"{LIKE_OURS}, fp32")
TIMED, QUICK_TIMED = 256, 32  # pictures whose drawing is timed
STEPS, THIRD = 4_700, 3  # of whole runs; the baseline's quality is to be had in so many times fewer
COUNT, QUICK_COUNT = 10_000, 200  # pictures that are judged
FEW, QUICK_FEW = 2_000, 100  # where they are drawn in ways that take long
USUAL = 20  # evaluations of decet's default
EVALUATIONS, QUICK_EVALUATIONS = (10, USUAL, 100), (2, USUAL, 30)
SAMPLER = "dpm"  # decet's default
AT = f"@{SAMPLER} {USUAL}"
PAPERS = ["ddpm", 100]  # the sampler that a DDPM is known by; it is judged by the better of the two
FEWER, ENOUGH = 1.64, 1.1  # 10 evaluations' distance over 20's, and 20's over 100's, at most
DRAWS_FASTER = 5.0  # than diffusers' pipeline, at equal distance
WAYS = (("DDPM", 250), ("DDIM", 50), ("DPM-Solver++", USUAL))  # by which diffusers' pictures are judged
LABELLED, TIMES = 200, 4  # digits that are all there is; drawn ones for each of them
AUGMENTED = {"as they are": None, "and drawn by Diffusion": "Diffusion", "and drawn by a GAN": "GAN"}
QUICK_WAYS = (("DDPM", 10), ("DDIM", 5), ("DPM-Solver++", 3))


# ------------------------------------------------------------------------------------------------------------ speed


def _turns(work: str, decet: str, peer: str, said: dict[str, Any], mine: dict[str, Any], runs: int) -> list[Job]:
    """decet and diffusers in its three ways, in turns, another seed each turn."""
    plain = {"ours": False, "precision": "fp32"} | said

    def theirs(name: str, **more: Any) -> Job:
        return Job(work, name, f"benchmarks.drawing:{peer}", plain | more, imports=drawing.DIFFUSERS,
                   packages=("torch", "diffusers"), ours=False)  # fmt: skip

    turn = [
        Job(work, "decet", f"benchmarks.drawing:{decet}", mine, imports=drawing.DECET, packages=("torch",)),
        theirs(PEER),
        theirs(ALIKE[0], ours=True, precision="bf16"),
        theirs(ALIKE[1], ours=True),
    ]
    return [replace(job, arguments={**job.arguments, "seed": job.run - 1}) for job in in_turns(turn, runs)]


def _speed_jobs(quick: bool, runs: int) -> list[Job]:
    said = {"seconds": gan.QUICK_SECONDS if quick else gan.SECONDS, "seed": 0}
    return _turns("speed", "speed", "plain_speed", {"loop": "unet"} | said, {"family": "Diffusion"} | said, runs)


def _speed_report(found: Found, keep: Path) -> Report:
    note = (
        f"MNIST by label, batches of {drawing.BATCH}, U-Nets of {' and '.join(map(str, drawing.UNET))} channels, each "
        "contender in a process of its own, in turns, another seed each turn. See benchmarks/drawing.py."
    )
    return Report([speed_table(found, ("decet", PEER, *ALIKE), "training", note)], speed_goals(found, PEER, ALIKE))


# ---------------------------------------------------------------------------------------------------------- drawing


def _drawing_jobs(quick: bool, runs: int) -> list[Job]:
    """What an evaluation takes, then what so many of them bring."""
    said = {"seed": 0, "count": QUICK_TIMED if quick else TIMED}
    steps, count, few = (20, QUICK_COUNT, QUICK_FEW) if quick else (STEPS, COUNT, FEW)
    many = [[SAMPLER, evaluations] for evaluations in (QUICK_EVALUATIONS if quick else EVALUATIONS)]
    ways = [list(way) for way in (QUICK_WAYS if quick else WAYS)]
    return [
        *_turns("drawing", "draws", "plain_draws", said, said, runs),
        quality_job("drawing", "decet, trained", "Diffusion", True, steps, count, few=few, ways=many),
        plain_job("drawing", f"{PEER}, trained", "unet", steps, few, few=few, ways=ways),
    ]


class Way(NamedTuple):
    """A way to draw: the distance of a few pictures, that of all, and seconds a picture, where they were measured."""

    name: str
    evaluations: int
    near: float
    frechet: float
    seconds: float | None


def _ways(found: Found, who: str) -> list[Way]:
    """Of one who was trained."""
    record: Record = next(iter(found.of(f"{who}, trained").records), {})
    each = found.of(who).middle("evaluation")
    ways = []
    for name in (key.partition("@")[2] for key in record if key.startswith("few@")):
        many = int(name.split()[-1])
        seconds = None if each is None else each * many
        ways.append(Way(name, many, float(record[f"few@{name}"]), float(record[f"frechet@{name}"]), seconds))
    return ways


def _at_equal_distance(way: Way, ours: Sequence[Way]) -> float | None:
    """Its seconds a picture over those of decet's cheapest way that comes as near; 0 where none does."""
    if way.seconds is None or not ours or any(own.seconds is None for own in ours):
        return None
    equal = [own.seconds for own in ours if own.near <= way.near and own.seconds]
    return way.seconds / min(equal) if equal else 0.0


def _drawing_report(found: Found, keep: Path) -> Report:
    ours, rows = _ways(found, "decet"), []
    for who in ("decet", PEER):
        rows += [
            [who, way.name, shown(way.near, ".3f"), shown(_thousandth(way.seconds), ".2f"),
             shown(_at_equal_distance(way, ours), ".1f")]
            for way in _ways(found, who)
        ]  # fmt: skip
    for name in ALIKE:
        each = found.of(name).middle("evaluation")
        rows.append([name, "an evaluation", "-", shown(_thousandth(each), ".3f"), "-"])
    header = ("contender", "sampler, evaluations a picture", "Frechet", "ms a picture", "its ms / decet's as near")
    note = (
        f"Both trained for {STEPS:,} batches of {drawing.BATCH}; the distance of {FEW:,} drawn pictures beside all of "
        "the test part. decet's ms: of its cheapest way that comes as near, 0 = none does. The times are those of an "
        f"evaluation, measured alone, times their number; diffusers' own pipeline takes {drawing.TIMES:,} of DDPM."
    )
    return Report([Table("drawing", header, rows, note)], _drawing_goals(found, ours))


def _thousandth(seconds: float | None) -> float | None:
    return None if seconds is None else 1_000 * seconds


def _drawing_goals(found: Found, ours: Sequence[Way]) -> list[Goal]:
    faster = {way.name: _at_equal_distance(way, ours) for way in _ways(found, PEER)}
    documented = [ratio for name, ratio in faster.items() if name.startswith("DDPM")]
    every = [ratio for ratio in faster.values() if ratio is not None]
    mine = found.of("decet").values("evaluation")
    known = [ratio for name in ALIKE if (ratio := ratio_of_medians(found.of(name).values("evaluation"), mine))]
    of = {way.evaluations: way.frechet for way in ours}
    few, usual, many = QUICK_EVALUATIONS if found.quick else EVALUATIONS

    def over(a: int, b: int) -> float | None:
        return of[a] / of[b] if a in of and b in of else None

    return [
        found.goal(f"seconds a picture of {PEER}' DDPM / decet's as near", ">=", DRAWS_FASTER,
                   next(iter(documented), None)),
        found.goal("the same of all its samplers, the least", ">=", gan.ALIKE, min(every, default=None)),
        found.goal(f"seconds an evaluation of {LIKE_OURS}, the faster precision / decet's", ">=", gan.ALIKE,
                   min(known, default=None)),
        found.goal(f"distance by {few} evaluations / by {usual}", "<=", FEWER, over(few, usual)),
        found.goal(f"distance by {usual} evaluations / by {many}", "<=", ENOUGH, over(usual, many)),
    ]  # fmt: skip


# ---------------------------------------------------------------------------------------------------------- quality


def _mnist_jobs(quick: bool, runs: int) -> list[Job]:
    count, steps = (QUICK_COUNT, 20) if quick else (COUNT, STEPS)
    usual, papers = [SAMPLER, USUAL], [PAPERS[0], 20 if quick else PAPERS[1]]
    job = partial(quality_job, "mnist", labelled=True, count=count, ways=[usual])
    whole = [
        job("decet", "Diffusion", steps=steps),
        job("DDPM", "DDPM", steps=steps, ways=[usual, papers]),
        job("decet, a third", "Diffusion", steps=max(1, steps // THIRD)),
        job("decet's GAN", "GAN", steps=20 if quick else gan.STEPS["GAN"], ways=[]),
    ]
    few = [] if quick else [shorter(one, seed) for seed in range(gan.SEEDS) for one in whole[:2]]
    return [*whole, *few, *gan.anchor_jobs("mnist", 500 if quick else 10_000)]


def _mnist_report(found: Found, keep: Path) -> Report:
    names = ("decet", "decet, a third", "DDPM", "decet, a quarter", "DDPM, a quarter")
    title = f"MNIST by label, the same network, {SAMPLER} of {USUAL} evaluations"
    tables = [
        quality_table(found, names, title, NOTE, AT),
        quality_table(found, ("DDPM", "DDPM, a quarter"), "the DDPM by its own sampler", NOTE, f"@{_papers(found)}"),
        quality_table(found, ("decet's GAN", *gan.ANCHORS), "after as much work, and what the figures mean", NOTE),
    ]
    return Report(tables, _mnist_goals(found))


def _papers(found: Found) -> str:
    return f"{PAPERS[0]} {20 if found.quick else PAPERS[1]}"


def _mnist_goals(found: Found) -> list[Goal]:
    ours, third, baseline = (found.of(name) for name in ("decet", "decet, a third", "DDPM"))
    games = found.of("decet's GAN")
    theirs = [values for at in (AT, f"@{_papers(found)}") if (values := baseline.values(f"frechet{at}"))]
    sooner = ratio_of_medians(third.values(f"frechet{AT}"), min(theirs, default=[]))
    nearer = ratio_of_medians(ours.values(f"frechet{AT}"), games.values("frechet"))
    work = ratio_of_medians(ours.values("work"), games.values("work"))
    return [
        found.goal(f"distance after 1/{THIRD} of the steps / the noise-telling DDPM's", "<=", 1.0, sooner),
        found.goal("distance / our GAN's", "<", 1.0, nearer),
        found.goal("work in training / our GAN's", "<=", 1.05, work),
        found.goal("share recognised as asked", ">=", gan.RECOGNISED, ours.middle(f"recognised{AT}")),
        found.goal("share of copies, 0.001 is ordinary", "<=", gan.COPIED, ours.middle(f"copied{AT}")),
    ]


# ---------------------------------------------------------------------------------------------------------- augment


def _augment_jobs(quick: bool, runs: int) -> list[Job]:
    seeds, few = (1, QUICK_FEW) if quick else (gan.SEEDS, LABELLED)
    return [
        Job("augment", name, "benchmarks.drawing:grown", {"family": family, "few": few, "times": TIMES, "seed": seed},
            run=seed + 1, imports=drawing.DECET, packages=("torch",), mode="shared")
        for seed in range(seeds) for name, family in AUGMENTED.items()
    ]  # fmt: skip


def _augment_report(found: Found, keep: Path) -> Report:
    rows = []
    for name in AUGMENTED:
        own = found.of(name)
        if own:
            right = own.values("accuracy")
            rows.append([
                name, str(len(right)), shown(fmean(right), ".4f"), spread(right, ".4f"),
                shown(own.middle("loss"), ".3f"), shown(own.middle("copied"), ".3f"), shown(own.middle("rows")),
                shown(own.middle("generating")), shown(own.middle("seconds")),
            ])  # fmt: skip
    header = ("digits to learn from", "seeds", "test accuracy, mean", "least - most", "log loss", "copies drawn",
              "digits in all", "seconds of learning to draw", "seconds in all")  # fmt: skip
    note = (
        f"`ImageClassifier` as it comes, from {LABELLED} of MNIST's digits and from {TIMES} times as many drawn ones "
        "behind them, by an `ImageGenerator` that learned of the same digits; other digits with each seed. Judged by "
        "all of the official test part."
    )
    return Report([Table("a small set made larger", header, rows, note)])


WORKS = (
    Work("speed", "pictures/s and memory in training", _speed_jobs, _speed_report, partial(prepare, "speed")),
    Work("drawing", "seconds a drawn picture at equal distance", _drawing_jobs, _drawing_report,
         partial(prepare, "drawing")),
    Work("mnist", "what is drawn after how much work", _mnist_jobs, _mnist_report, partial(prepare, "mnist")),
    Work("augment", "whether drawn digits help to learn from few", _augment_jobs, _augment_report,
         partial(prepare, "augment")),
)  # fmt: skip
