"""The works of the family Word2Vec: vectors of English words beside gensim's and PPMI + SVD's, growth, neighbours.

The same hyper-parameters for all (see `benchmarks.words`); each turn has another seed, so that the figures of the turns
are both speeds and a spread over seeds. `--runs 5` for the quality goals, which ask for the mean of five.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from benchmarks import texts, words
from benchmarks.measure import Job, Work, in_turns
from benchmarks.report import Found, Goal, Report, Table, least, ratio_of_medians, shown, spread

GOALS = {
    "skip-gram": 3.0,  # times the words a second of gensim's quickest
    "cbow": 2.0,
    "deterministic": 1.5,
    "threads": 1.6,
    "memory": 1.0,
    "quality": 0.005,  # that the mean of seeds may lie below gensim's
    "subwords": 1.5,  # times the syntactic answers without them
    "milliseconds": 25.0,
    "linear": 1.25,  # seconds or bytes a word at the largest size, over those at a tenth of it
}
MODELS = ("skip-gram", "cbow")
FED = ("lists", "lines", "corpus_file")
TURNS = {"gensim lines": 1, "decet, 1 thread": 3}  # the slowest way of being fed, shown for its memory
SIZES = (1_000_000, 10_000_000, 100_000_000)


def _decet(work: str, corpus: str, contender: str, model: str, **said: Any) -> Job:
    arguments = {"corpus": corpus, "model": model, "seed": 0} | said
    imports = words.IMPORTS["decet"]
    return Job(work, contender, "benchmarks.words:decet", arguments, imports=imports, packages=("torch", "numba"))


def _gensim(work: str, corpus: str, model: str, fed: str, **said: Any) -> Job:
    arguments = {"corpus": corpus, "model": model, "seed": 0, "fed": fed} | said
    name = f"gensim {'FastText, ' if said.get('subwords') else ''}{fed}"
    imports = words.IMPORTS["gensim"]
    return Job(
        work, name, "benchmarks.words:gensim", arguments, imports=imports, packages=("gensim",), ours=False
    )  # fmt: skip


def _seeded(jobs: list[Job], runs: int) -> list[Job]:
    """In turns, another seed each turn; what is only timed has no more turns than a median needs."""
    found = []
    for job in in_turns(jobs, runs):
        if job.run <= TURNS.get(job.contender, runs):
            found.append(replace(job, arguments={**job.arguments, "seed": job.run}))
    return found


# -------------------------------------------------------------------------------------------------- speed, quality


def _corpus_prepare(corpus: str, quick: bool) -> Job:
    return Job(corpus, "words", "benchmarks.words:write_corpus", {"name": corpus, "quick": quick})


def _corpus_jobs(corpus: str, quick: bool, runs: int) -> list[Job]:
    turn = []
    for model in MODELS:
        turn.append(_decet(corpus, corpus, "decet", model))
        turn += [_gensim(corpus, corpus, model, fed) for fed in FED]
        turn.append(_decet(corpus, corpus, "decet, deterministic", model, deterministic=True))
        turn.append(_decet(corpus, corpus, "decet, 1 thread", model, threads=1))
    turn.append(_decet(corpus, corpus, "decet, by position", "cbow", positions=True))
    found = _seeded(turn, runs)
    svd = {"corpus": corpus, "seed": 1}
    imports = words.IMPORTS["svd"]
    found.append(
        Job(corpus, "PPMI + SVD", "benchmarks.words:svd", svd, imports=imports, packages=("scipy",), ours=True)
    )
    found.append(_decet(corpus, corpus, "decet, subwords", "skip-gram", subwords=[3, 6]))
    found.append(_gensim(corpus, corpus, "skip-gram", "lists", subwords=True))
    return found


HEADER = (
    "contender", "model", "words/s (median)", "least - most", "decet / it", "file to vectors, s", "it / decet",
    "MB above imports", "MB in all", "WordSim-353", "analogies", "syntactic", "loss",
)  # fmt: skip
NOTE = (
    "100 numbers, window 5, 5 negatives, 5 passes, words that stand 5 times, each contender in its own process, in "
    "turns, another seed each turn: means over them, with the standard deviation where there are several. Words/s are "
    "of training alone, within which gensim looks words up, and decet does not: it has done so while reading; the "
    "seconds from file to vectors hold all. The loss is taken by one function on the same pairs and negatives. See "
    "benchmarks/words.py."
)


def _corpus_report(corpus: str, found: Found, keep: Path) -> Report:
    rows = []
    for model in MODELS:
        names = dict.fromkeys(r["contender"] for r in found.records if r["arguments"].get("model") == model)
        rows += [_row(found, name, model) for name in names]
    rows.append(_row(found, "PPMI + SVD", None))
    goals = [goal for model in MODELS for goal in _model_goals(corpus, found, model)]
    plain = found.of("decet", model="skip-gram").values("syntactic")
    ratio = ratio_of_medians(found.of("decet, subwords").values("syntactic"), plain)
    goals.append(found.goal(f"{corpus}: syntactic answers with subwords / without", ">=", GOALS["subwords"], ratio))
    return Report([Table(f"vectors of {corpus}", HEADER, rows, NOTE)], goals)


def _row(found: Found, contender: str, model: str | None) -> list[str]:
    own = found.of(contender) if model is None else found.of(contender, model=model)
    ours = found.of("decet", model=model)
    rate = ratio_of_medians(ours.values("rate"), own.values("rate"))
    whole = ratio_of_medians(own.values("whole_seconds"), ours.values("whole_seconds"))
    return [
        contender,
        model or "-",
        shown(own.middle("rate"), void=own.void),
        spread(own.values("rate")),
        shown(rate, ".2f"),
        shown(own.middle("whole_seconds"), ".1f"),
        shown(whole, ".2f"),
        shown(own.middle("peak_above_mb")),
        shown(own.middle("peak_whole_mb")),
        *(_mean(own.values(name)) for name in ("wordsim", "analogies", "syntactic", "loss")),
    ]


def _mean(values: list[float]) -> str:
    if not values:
        return "-"
    return f"{fmean(values):.4f}" + (f" ± {stdev(values):.4f}" if len(values) > 1 else "")


def _model_goals(corpus: str, found: Found, model: str) -> list[Goal]:
    ours = found.of("decet", model=model)
    peers = [found.of(f"gensim {fed}", model=model) for fed in FED]

    def over(own: Found) -> float | None:
        """Against the quickest way of being fed."""
        return least(ratio_of_medians(own.values("rate"), peer.values("rate")) for peer in peers)

    lean = [ratio_of_medians(ours.values("peak_above_mb"), peer.values("peak_above_mb")) for peer in peers]
    lists = lean[FED.index("lists")]
    alone = found.of("decet, 1 thread", model=model)
    held = found.of("decet, deterministic", model=model)
    goals = [
        found.goal(f"{corpus}, {model}: decet's words/s / gensim's quickest", ">=", GOALS[model], over(ours)),
        found.goal(f"{corpus}, {model}, deterministic: the same", ">=", GOALS["deterministic"], over(held)),
        found.goal(
            f"{corpus}, {model}: words/s with all threads / with one", ">=", GOALS["threads"],
            ratio_of_medians(ours.values("rate"), alone.values("rate")),
        ),
        found.goal(
            f"{corpus}, {model}: decet's peak memory above imports / gensim's leanest", "<=", GOALS["memory"],
            max((ratio for ratio in lean if ratio is not None), default=None),
        ),
        found.goal(
            f"{corpus}, {model}: the same / gensim's on lists, its quickest", "<=", GOALS["memory"], lists,
        ),
    ]  # fmt: skip
    theirs = [record for peer in peers for record in peer.records]
    for name in ("wordsim", "analogies"):
        for label, own in ((model, ours), (f"{model}, deterministic", held)):
            mine, peer = own.values(name), Found(theirs).values(name)
            value = fmean(mine) - fmean(peer) if mine and peer else None
            what = f"{corpus}, {label}: {name}, mean of seeds, less gensim's"
            goals.append(found.goal(what, ">=", -GOALS["quality"], value))
    return goals


# --------------------------------------------------------------------------------------------------------- growth


def _growth_prepare(quick: bool) -> Job:
    said = {"name": "corpus-en", "sizes": [words.QUICK, 2 * words.QUICK] if quick else list(SIZES)}
    return Job("growth", "words", "benchmarks.words:write_sizes", said)


def _growth_jobs(quick: bool, runs: int) -> list[Job]:
    sizes = (words.QUICK, 2 * words.QUICK) if quick else SIZES
    return [_decet("growth", f"made-{size}", "decet", "cbow", epochs=1, judged=False) for size in sizes]


def _growth_report(found: Found, keep: Path) -> Report:
    header = ("words", "seconds in all", "microseconds a word", "MB above imports", "bytes a word more")
    rows, before, each, more = [], None, list[float](), list[float]()
    for record in sorted(found.records, key=lambda r: r["words"]):
        each.append(1e6 * record["whole_seconds"] / record["words"])
        cells = [f"{record['words']:,}", f"{record['whole_seconds']:.1f}", f"{each[-1]:.2f}"]
        cells.append(shown(record["peak_above_mb"]))
        if before is not None:
            grown = 1e6 * (record["peak_above_mb"] - before["peak_above_mb"])
            more.append(grown / (record["words"] - before["words"]))
        rows.append([*cells, shown(more[-1] if more else None, ".1f")])
        before = record
    note = "corpus-en cut or repeated; CBOW, one pass; reading, counting and training together."
    goals = []
    for what, values in (("seconds a word", each), ("bytes a word more", more)):
        ratios = [after / before for before, after in pairwise(values)]
        worst = max(ratios, default=None)
        goals.append(found.goal(f"growth: {what} at a size / at the one before", "<=", GOALS["linear"], worst))
    return Report([Table("growth", header, rows, note)], goals)


# ----------------------------------------------------------------------------------------------------- neighbours


def _neighbours_jobs(quick: bool, runs: int) -> list[Job]:
    size = {"words": 50_000 if quick else 1_000_000, "width": 100}
    imports = {"decet": ("torch", "decet.tasks.embed"), "gensim": ("gensim.models",)}
    jobs = [
        Job("neighbours", library, "benchmarks.words:neighbours", {"library": library, **size},
            imports=imports[library], packages=("torch" if library == "decet" else "gensim",), ours=library == "decet")
        for library in ("decet", "gensim")
    ]  # fmt: skip
    return in_turns(jobs, runs)


def _neighbours_report(found: Found, keep: Path) -> Report:
    header = ("contender", "milliseconds (median)", "least - most", "MB above imports")
    rows = []
    for name in ("decet", "gensim"):
        own = found.of(name)
        times = own.values("milliseconds")
        cells = [shown(own.middle("milliseconds"), ".1f", void=own.void), spread(times, ".1f")]
        rows.append([name, *cells, shown(own.middle("peak_above_mb"))])
    note = "The ten nearest of 1,000,000 words of 100 numbers, exactly; the median of thirty questions a process."
    value = found.of("decet").middle("milliseconds")
    goal = found.goal("the ten nearest of 1M x 100: milliseconds", "<=", GOALS["milliseconds"], value)
    return Report([Table("nearest neighbours", header, rows, note)], [goal])


WORKS = (
    *(
        Work(
            corpus,
            f"words/s, memory, similarity and analogies on {corpus}",
            partial(_corpus_jobs, corpus),
            partial(_corpus_report, corpus),
            partial(_corpus_prepare, corpus),
        )
        for corpus in ("corpus-en", "wikitext-2")
    ),
    Work(
        "growth", "seconds and memory from a million words to a hundred", _growth_jobs, _growth_report, _growth_prepare
    ),
    texts.work("CNN", "Word2Vec", "DNN"),
    Work("neighbours", "the nearest of a million vectors", _neighbours_jobs, _neighbours_report),
)
