"""The works of the family Transformer: training and decoding speed beside nanoGPT's loop and `transformers`, quality.

See `benchmarks.language` for who does what.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from benchmarks import equal_time, language, seeds, texts
from benchmarks.measure import Job, Work, in_turns
from benchmarks.report import Found, Goal, Report, Table, ratio_of_medians, shown, spread

GOALS = {
    "training": 2.0,  # times nanoGPT's tokens a second as documented
    "equal": 1.0,  # times its tokens a second in our precision
    "single": 2.0,  # times generate()'s tokens a second
    "sixteen": 4.5,
    "memory": 1.0,
}
SIZES = (1, 16)
LENGTH = 256  # tokens that are decoded
BUDGETS = {  # the goals: 1.88 within twenty seconds, 1.50 within half an hour, 1.46 within ninety minutes
    "tiny": (20.0, 1.88),
    "twenty minutes": (1_200.0, 1.46),
}


def _speed_jobs(quick: bool, runs: int) -> list[Job]:
    turn = []
    for shape in language.SHAPES:
        for precision in ("bf16", "fp32"):
            said = {"shape": shape, "precision": precision, "quick": quick}
            turn.append(
                Job("speed", "decet", "benchmarks.language:decet", {"family": "Transformer", **said},
                    imports=language.IMPORTS["decet"], packages=("torch",)),
            )  # fmt: skip
            turn.append(
                Job("speed", "nanoGPT's loop", "benchmarks.language:nanogpt", said, imports=language.IMPORTS["torch"],
                    packages=("torch",), ours=False)
            )  # fmt: skip
    return in_turns(turn, runs)


HEADER = (
    "contender",
    "shape",
    "precision",
    "tokens/s (median)",
    "least - most",
    "decet's best / it",
    "MB above imports",
)


def speed_report(found: Found, keep: Path, shapes: Any, peers: tuple[str, ...], goals: dict[str, float]) -> Report:
    """Tokens a second of each contender, shape and precision, and goals against the peers."""
    rows, wanted = [], list[Goal]()
    for shape in shapes:
        own = {precision: found.of("decet", shape=shape, precision=precision) for precision in ("bf16", "fp32")}
        best = max(own.values(), key=lambda part: part.middle("rate") or 0.0)
        for name in ("decet", *peers):
            for precision in ("fp32", "bf16"):
                part = found.of(name, shape=shape, precision=precision)
                ratio = ratio_of_medians(best.values("rate"), part.values("rate"))
                rows.append([
                    name, shape, precision, shown(part.middle("rate"), void=part.void), spread(part.values("rate")),
                    shown(ratio, ".2f"), shown(part.middle("peak_above_mb")),
                ])  # fmt: skip
        for name in peers:
            plain, same = (found.of(name, shape=shape, precision=p) for p in ("fp32", "bf16"))
            what = f"{shape}: decet's tokens/s / {name}'s"
            value = ratio_of_medians(best.values("rate"), plain.values("rate"))
            wanted.append(found.goal(f"{what}, as documented", ">=", goals["training"], value))
            value = ratio_of_medians(own["bf16"].values("rate"), same.values("rate"))
            wanted.append(found.goal(f"{what}, both bf16", ">=", goals["equal"], value))
            value = ratio_of_medians(best.values("peak_above_mb"), plain.values("peak_above_mb"))
            wanted.append(found.goal(f"{shape}: peak memory / {name}'s", "<=", goals["memory"], value))
    note = (
        "Tiny Shakespeare by characters, the same network, batch and optimiser; a dozen steps after three, each "
        "contender in its own process, in turns."
    )
    return Report([Table("training", HEADER, rows, note)], wanted)


def _speed_report(found: Found, keep: Path) -> Report:
    return speed_report(found, keep, language.SHAPES, ("nanoGPT's loop",), GOALS)


# ---------------------------------------------------------------------------------------------------------- decoding


def _decode_jobs(quick: bool, runs: int) -> list[Job]:
    shape, length = ("4x128", 16) if quick else ("6x384", LENGTH)
    turn = []
    for rows in SIZES:
        for library, precision in (("decet", "fp32"), ("transformers", "fp32"), ("transformers", "bf16")):
            said = {"library": library, "shape": shape, "rows": rows, "length": length, "precision": precision}
            turn.append(
                Job("decoding", library, "benchmarks.language:decode", said, ours=library == "decet",
                    imports=language.IMPORTS["transformers"], packages=("torch", "transformers"))
            )  # fmt: skip
    return in_turns(turn, runs)


def _decode_report(found: Found, keep: Path) -> Report:
    header = ("contender", "precision", "texts at once", "tokens/s (median)", "least - most", "decet / it", "same text")
    rows, goals = [], []
    for size in SIZES:
        ours = found.of("decet", rows=size)
        texts = {record["text"] for record in ours.records}
        for name, precision in (("decet", "fp32"), ("transformers", "fp32"), ("transformers", "bf16")):
            own = found.of(name, rows=size, precision=precision)
            same = {record["text"] for record in own.records} == texts
            ratio = ratio_of_medians(ours.values("rate"), own.values("rate"))
            rows.append([
                name, precision, str(size), shown(own.middle("rate"), void=own.void), spread(own.values("rate")),
                shown(ratio, ".2f"), "yes" if same else "no",
            ])  # fmt: skip
        plain = found.of("transformers", rows=size, precision="fp32")
        ratio = ratio_of_medians(ours.values("rate"), plain.values("rate"))
        goal = GOALS["single" if size == 1 else "sixteen"]
        goals.append(found.goal(f"decoding {size} at once: decet's tokens/s / generate()'s", ">=", goal, ratio))
        same = bool(texts) and {record["text"] for record in plain.records} == texts
        goals.append(found.goal(f"decoding {size} at once: greedy texts equal in fp32", ">=", 1.0, float(same)))
    note = f"One network of 10.7M random weights with both, greedily, {LENGTH} tokens after a prompt of 16."
    return Report([Table("decoding", header, rows, note)], goals)


# ------------------------------------------------------------------------------------------------------------ quality


def _quality_jobs(name: str, quick: bool, runs: int) -> list[Job]:
    budget, _ = BUDGETS[name]
    seeds = runs if budget < 120 else 1
    said = {"family": "Transformer", "data": "tinyshakespeare", "unit": "characters", "small": name == "tiny"}
    return [
        Job(name, "decet", "benchmarks.language:quality", {**said, "budget": 10.0 if quick else budget, "seed": seed},
            run=seed + 1, imports=language.IMPORTS["decet"], packages=("torch",))
        for seed in range(seeds)
    ]  # fmt: skip


def quality_report(name: str, target: float, found: Found, keep: Path) -> Report:
    """Losses of one budget."""
    header = ("seed", "seconds", "parameters", "steps", "nats a character", "bits a byte")
    rows = [
        [str(r["seed"]), shown(r["seconds"]), f"{r['parameters']:,}", f"{r['steps']:,}", f"{r['loss']:.4f}",
         f"{r['bits_per_byte']:.4f}"]
        for r in found.records
    ]  # fmt: skip
    goal = found.goal(f"tiny Shakespeare, {name}: nats a character", "<=", target, found.middle("loss"))
    note = "The first 1,003,854 characters train, the last 111,540 judge, all of them; nothing is chosen by these."
    return Report([Table(name, header, rows, note)], [goal])


WORKS = (
    Work("speed", "training speed beside nanoGPT's loop", _speed_jobs, _speed_report),
    equal_time.work(*language.SHAPES),
    Work("decoding", "tokens written beside transformers' generate()", _decode_jobs, _decode_report),
    *(
        Work(name, f"tiny Shakespeare within {name}", partial(_quality_jobs, name), partial(quality_report, name, goal))
        for name, (_, goal) in BUDGETS.items()
    ),
    seeds.work(Transformer=("tinyshakespeare",)),
    texts.work("Transformer"),
)
