"""The works of the family LSTM: training speed beside Keras and torch.nn.LSTM, tiny Shakespeare, WikiText-2.

See `benchmarks.language` for who does what.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

from benchmarks import equal_time, language, seeds, texts
from benchmarks.measure import Job, Work, in_turns
from benchmarks.report import Found, Report, Table, shown
from benchmarks.transformer import quality_report, speed_report

GOALS = {"training": 2.0, "equal": 1.0, "memory": 1.0}
PEERS = ("torch.nn.LSTM", "Keras (JAX)", "Keras (torch)")
BUDGETS = {"twenty minutes": (1_200.0, 1.48)}  # the goals: 1.52 within half an hour, 1.48 within ninety minutes
WORDS = {"perplexity": 105.0, "adapted": 80.0}
ADAPT, CACHE = 0.0007, 0  # chosen by the begin of the official validation part


def _speed_jobs(quick: bool, runs: int) -> list[Job]:
    turn = []
    for shape in language.LSTMS:
        for precision in ("bf16", "fp32"):
            said = {"shape": shape, "precision": precision, "quick": quick}
            turn.append(
                Job("speed", "decet", "benchmarks.language:decet", {"family": "LSTM", **said},
                    imports=language.IMPORTS["decet"], packages=("torch",))
            )  # fmt: skip
            turn.append(
                Job("speed", PEERS[0], "benchmarks.language:torch_lstm", said, imports=language.IMPORTS["torch"],
                    packages=("torch",), ours=False)
            )  # fmt: skip
            for name, backend in zip(PEERS[1:], ("jax", "torch"), strict=True):
                turn.append(
                    Job("speed", name, "benchmarks.language:keras_lstm", said, ours=False, packages=("keras", backend),
                        imports=(backend, *language.IMPORTS["keras"]), environment={"KERAS_BACKEND": backend})
                )  # fmt: skip
    return in_turns(turn, runs)


def _speed_report(found: Found, keep: Path) -> Report:
    return speed_report(found, keep, language.LSTMS, PEERS, GOALS)


def _quality_jobs(name: str, quick: bool, runs: int) -> list[Job]:
    said = {"family": "LSTM", "data": "tinyshakespeare", "unit": "characters", "seed": 0}
    budget = 10.0 if quick else BUDGETS[name][0]
    return [
        Job(name, "decet", "benchmarks.language:quality", {**said, "budget": budget}, imports=language.IMPORTS["decet"],
            packages=("torch",))
    ]  # fmt: skip


def _words_jobs(quick: bool, runs: int) -> list[Job]:
    said = {"family": "LSTM", "data": "wikitext-2", "unit": "words", "seed": 0, "budget": 20.0 if quick else 1_800.0}
    return [
        Job("wikitext-2", "decet", "benchmarks.language:quality", {**said, "adapt": ADAPT, "cache": CACHE},
            imports=language.IMPORTS["decet"], packages=("torch",))
    ]  # fmt: skip


def _words_report(found: Found, keep: Path) -> Report:
    header = ("seed", "seconds", "parameters", "steps", "test perplexity", "with dynamic evaluation")
    rows = [
        [str(r["seed"]), shown(r["seconds"]), f"{r['parameters']:,}", f"{r['steps']:,}", f"{r['perplexity']:.1f}",
         f"{r['adapted']:.1f}"]
        for r in found.records
    ]  # fmt: skip
    goals = [
        found.goal(f"WikiText-2, half an hour: {name} test perplexity", "<=", target, found.middle(name))
        for name, target in WORDS.items()
    ]
    note = "Words, all 33,278; the official test part, all of it; settings chosen by the official validation part."
    return Report([Table("wikitext-2", header, rows, note)], goals)


WORKS = (
    Work("speed", "training speed beside Keras and torch.nn.LSTM", _speed_jobs, _speed_report),
    equal_time.work(*language.LSTMS),
    *(
        Work(name, f"tiny Shakespeare within {name}", partial(_quality_jobs, name), partial(quality_report, name, goal))
        for name, (_, goal) in BUDGETS.items()
    ),
    Work("wikitext-2", "words of WikiText-2 within half an hour", _words_jobs, _words_report),
    seeds.work(LSTM=("tinyshakespeare", "wikitext-2"), minLSTM=("tinyshakespeare",)),
    texts.work("LSTM"),
)
