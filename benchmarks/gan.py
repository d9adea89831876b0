"""The works of the family GAN: training speed beside a plain DCGAN loop, and what both draw after as much work.

The goals stand here; see `benchmarks.drawing` for who does what.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Any

from benchmarks import drawing
from benchmarks.measure import Job, Work, in_turns
from benchmarks.report import Found, Goal, Report, Table, ratio_of_medians, shown, spread

SECONDS, QUICK_SECONDS = 30.0, 6.0  # that every contender trains
FASTER, ALIKE, LEANER = 2.0, 1.0, 1.0  # than the plain loop; than one with our layout; of its memory
ROWS = 3_000  # of a quick run, of each part
STEPS = {"GAN": 7_450, "DCGAN": 6_500}  # of as much work, as `work_of` counts it
COUNT, QUICK_COUNT = 50_000, 500  # pictures that are judged
SHORTER, SEEDS = 4, 3  # runs so many times shorter, of so many seeds, tell what chance does
NEARER, RECOGNISED = 0.5, 0.97  # of DCGAN's distance, at most; share of pictures that are what was asked for
SELDOMEST, COMMONEST = 0.08, 0.12  # share of each digit
COPIED = 0.002  # of drawn pictures that are as near to one trained on as the nearest thousandth of test pictures
LIKE_OURS = "DCGAN, our layout"
ANCHORS = {"other real digits": "real", "Gaussian in PCA space": "gaussian"}
FIGURES = ("frechet", "kernel", "precision", "recall", "density", "coverage", "copied", "recognised")


def prepare(work: str, quick: bool) -> Job:
    return Job(work, "digits", "benchmarks.drawing:prepare", {"rows": ROWS if quick else None}, imports=drawing.DECET)


# ------------------------------------------------------------------------------------------------------------ speed


def _speed_jobs(quick: bool, runs: int) -> list[Job]:
    """Every contender for the same time, in turns, another seed each turn."""
    said = {"seconds": QUICK_SECONDS if quick else SECONDS, "seed": 0}
    plain = {"loop": "dcgan", "ours": False, "precision": "fp32"} | said
    turn = [
        Job("speed", "decet", "benchmarks.drawing:speed", {"family": "DCGAN"} | said, imports=drawing.DECET),
        Job("speed", "DCGAN", "benchmarks.drawing:plain_speed", plain, imports=("torch",), ours=False),
        Job("speed", LIKE_OURS, "benchmarks.drawing:plain_speed", plain | {"ours": True, "precision": "bf16"},
            imports=("torch",), ours=False),
        Job("speed", f"{LIKE_OURS}, fp32", "benchmarks.drawing:plain_speed", plain | {"ours": True},
            imports=("torch",), ours=False),
    ]  # fmt: skip
    turn = [replace(job, packages=("torch",)) for job in turn]
    return [replace(job, arguments={**job.arguments, "seed": job.run - 1}) for job in in_turns(turn, runs)]


def speed_table(found: Found, contenders: Sequence[str], title: str, note: str) -> Table:
    rows = []
    for name in contenders:
        own = found.of(name)
        if own:
            rows.append([
                name, ", ".join(sorted({str(record["precision"]) for record in own.records})),
                shown(own.middle("rate"), void=own.void), spread(own.values("rate")),
                shown(faster(found, name), ".2f"), shown(own.middle("peak_above_mb")),
                shown(own.middle("peak_whole_mb")), shown(own.middle("parameters")),
            ])  # fmt: skip
    header = ("contender", "precision", "pictures/s (median)", "least - most", "decet / it", "MB above imports",
              "MB in all", "parameters")  # fmt: skip
    return Table(title, header, rows, note)


def faster(found: Found, contender: str) -> float | None:
    """decet's pictures/s over the contender's."""
    return ratio_of_medians(found.of("decet").values("rate"), found.of(contender).values("rate"))


def speed_goals(found: Found, peer: str, alike: Sequence[str]) -> list[Goal]:
    known = [ratio for name in alike if (ratio := faster(found, name)) is not None]
    memory = ratio_of_medians(found.of("decet").values("peak_above_mb"), found.of(peer).values("peak_above_mb"))
    return [
        found.goal(f"pictures/s in training / those of {peer}", ">=", FASTER, faster(found, peer)),
        found.goal(f"pictures/s / those of {alike[0]}, the faster precision", ">=", ALIKE, min(known, default=None)),
        found.goal(f"peak memory above imports / that of {peer}", "<=", LEANER, memory),
    ]


def _speed_report(found: Found, keep: Path) -> Report:
    note = (
        f"MNIST, players of {', '.join(map(str, drawing.CHANNELS))} channels, batches of {drawing.BATCH}, each "
        "contender in a process of its own, in turns, another seed each turn; a picture is a real one that both "
        "players have learned of. See benchmarks/drawing.py."
    )
    alike = (LIKE_OURS, f"{LIKE_OURS}, fp32")
    table = speed_table(found, ("decet", "DCGAN", *alike), "training DCGAN's players", note)
    return Report([table], speed_goals(found, "DCGAN", alike))


# ---------------------------------------------------------------------------------------------------------- quality


def quality_job(work: str, contender: str, family: str, labelled: bool, steps: int, count: int, **said: Any) -> Job:
    arguments = {"family": family, "labelled": labelled, "steps": steps, "seed": 0, "count": count}
    arguments |= {"few": 0, "ways": []}
    return Job(work, contender, "benchmarks.drawing:quality", arguments | said, imports=drawing.DECET,
               packages=("torch",), mode="shared")  # fmt: skip


def plain_job(work: str, contender: str, loop: str, steps: int, count: int, **said: Any) -> Job:
    arguments = {"loop": loop, "steps": steps, "seed": 0, "count": count, "few": 0, "ways": []}
    imports, packages = ("torch",), ("torch",)
    if loop == "unet":
        imports, packages = drawing.DIFFUSERS, ("torch", "diffusers")
    return Job(work, contender, "benchmarks.drawing:plain_quality", arguments | said, imports=imports,
               packages=packages, mode="shared", ours=False)  # fmt: skip


def anchor_jobs(work: str, count: int) -> list[Job]:
    """What the figures mean."""
    return [
        Job(work, name, "benchmarks.drawing:anchors", {"kind": kind, "count": count}, imports=drawing.DECET,
            mode="shared")
        for name, kind in ANCHORS.items()
    ]  # fmt: skip


def shorter(job: Job, seed: int) -> Job:
    """The same, a quarter as long, of another seed, judged in the first way."""
    said = {**job.arguments, "steps": max(1, job.arguments["steps"] // SHORTER), "seed": seed}
    said["ways"] = said["ways"][:1]
    return replace(job, contender=f"{job.contender}, a quarter", arguments=said, run=seed + 1)


def _mnist_jobs(quick: bool, runs: int) -> list[Job]:
    count = QUICK_COUNT if quick else COUNT
    steps = dict.fromkeys(STEPS, 20) if quick else STEPS
    whole = [
        quality_job("mnist", "decet", "GAN", False, steps["GAN"], count),
        plain_job("mnist", "DCGAN", "dcgan", steps["DCGAN"], count),
        quality_job("mnist", "decet, by label", "GAN", True, steps["GAN"], count),
    ]
    few = [] if quick else [shorter(job, seed) for seed in range(SEEDS) for job in whole[:2]]
    return [*whole, *few, *anchor_jobs("mnist", 500 if quick else 10_000)]


def quality_table(found: Found, contenders: Sequence[str], title: str, note: str, at: str = "") -> Table:
    """Figures of what is drawn, a row a contender; at: "@dpm 20", of a way to draw."""
    rows = []
    for name in contenders:
        own = found.of(name)
        if own:
            cells = [shown(own.middle(figure + at), ".4f" if figure == "copied" else ".3f") for figure in FIGURES]
            least, most = own.middle(f"seldomest{at}"), own.middle(f"commonest{at}")
            rows.append([
                name, str(len(own.records)), shown(own.middle("work"), ".1f"), shown(own.middle("seconds")),
                shown(own.middle("parameters")), *cells,
                "-" if least is None or most is None else f"{least:.1%} - {most:.1%}",
                spread(own.values(f"frechet{at}"), ".3f"),
            ])  # fmt: skip
    header = ("contender", "seeds", "TFLOP", "seconds, one thread", "parameters", *FIGURES, "digits' shares",
              "Frechet, least - most")  # fmt: skip
    return Table(title, header, rows, note)


NOTE = (
    "As decet-judge-1, trained on the whole training part, sees drawn pictures beside all 10,000 of the official test "
    "part (copied: .001 is ordinary). Work: products of matrices and convolutions in training. One thread each, two "
    "side by side, so seconds are no measure."
)


def _mnist_report(found: Found, keep: Path) -> Report:
    names = ("decet", "DCGAN", "decet, by label")
    few = tuple(f"{name}, a quarter" for name in names[:2])
    table = quality_table(found, (*names, *few, *ANCHORS), "MNIST drawn by players of the same size", NOTE)
    return Report([table], _mnist_goals(found))


def _mnist_goals(found: Found) -> list[Goal]:
    ours, theirs, labelled = found.of("decet"), found.of("DCGAN"), found.of("decet, by label")
    few = [found.of(f"{name}, a quarter").values("frechet") for name in ("decet", "DCGAN")]
    work = ratio_of_medians(ours.values("work"), theirs.values("work"))
    of_few = fmean(few[0]) / fmean(few[1]) if all(few) else None
    nearer = ratio_of_medians(ours.values("frechet"), theirs.values("frechet"))
    return [
        found.goal("Frechet distance / DCGAN's", "<=", NEARER, nearer),
        found.goal("the same after a quarter, means of three seeds", "<=", NEARER, of_few),
        found.goal("work in training / DCGAN's", "<=", 1.05, work),
        found.goal("share of the digit that is drawn least", ">=", SELDOMEST, ours.middle("seldomest")),
        found.goal("share of the digit that is drawn most", "<=", COMMONEST, ours.middle("commonest")),
        found.goal("share of copies, 0.001 is ordinary", "<=", COPIED, ours.middle("copied")),
        found.goal("by label: share recognised as asked", ">=", RECOGNISED, labelled.middle("recognised")),
    ]


WORKS = (
    Work("speed", "pictures/s and memory in training", _speed_jobs, _speed_report, partial(prepare, "speed")),
    Work("mnist", "what is drawn after as much work", _mnist_jobs, _mnist_report, partial(prepare, "mnist")),
)
