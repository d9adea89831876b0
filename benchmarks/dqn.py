"""The works of the family DQN: four games beside Stable-Baselines3, control and pixels by decet alone, steps a second,
the memory of a million frames, over-estimation.

See `benchmarks.agents` for who does what.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from statistics import fmean, median, stdev
from typing import Any

from benchmarks import agents
from benchmarks.agents import PEER
from benchmarks.measure import THREADS, Job, Work, in_turns
from benchmarks.report import Found, Goal, Record, Report, Table, ratio_of_medians, shown

SEEDS, FEW_SEEDS = 5, 3
QUICK = 6_000  # steps of a quick run
DUELS = {  # work -> game, steps, the return at which it is solved, steps between looks
    "cartpole": ("CartPole-v1", 50_000, 475.0, 1_000),
    "acrobot": ("Acrobot-v1", 100_000, -100.0, 5_000),
    "mountaincar": ("MountainCar-v0", 120_000, -110.0, 5_000),
    "lunarlander": ("LunarLander-v3", 100_000, 200.0, 5_000),
}
FASTER, LEANER = 10.0, 1.0  # Stable-Baselines3's seconds until CartPole is solved / decet's; decet's memory / its
ALONE = {  # work -> game, steps, seeds, the mean return to reach
    "control": (
        ("CartPole-v1", 50_000, SEEDS, 500.0),
        ("Acrobot-v1", 100_000, SEEDS, -80.0),
        ("MountainCar-v0", 120_000, SEEDS, -105.0),
        ("LunarLander-v3", 300_000, SEEDS, 200.0),
        ("Pendulum-v1", 30_000, SEEDS, -160.0),
    ),
    "hopper": (("Hopper-v5", 300_000, FEW_SEEDS, 1_000.0),),
    "minatar": (("MinAtar/Breakout-v1", 500_000, FEW_SEEDS, 5.0),),
}
RATE = 1e6  # steps a second of compiled CartPole
COPIES = (16, 256, 4_096)  # of decet's; Gymnasium's loop takes as long a copy however many there are
MANY = 1_000_000  # frames
FRAMES = 1.05  # times their bytes, at most
OVER = ("LunarLander-v3", 100_000)
VARIANTS = {"plain": False, "double": True}
POINTS = (0.25, 0.5, 0.75, 1.0)  # of the run, at which over-estimation is told
ALONE_THREAD = dict.fromkeys(THREADS, "1")


def mean_of(values: Sequence[float], form: str = ",.1f") -> str:
    """`mean ± standard deviation`."""
    if not values:
        return "-"
    return f"{fmean(values):{form}}" + (f" ± {stdev(values):{form}}" if len(values) > 1 else "")


# ---------------------------------------------------------------------------------------------------------- the duels


def _duel_jobs(work: str, quick: bool, runs: int) -> list[Job]:
    game, steps, threshold, every = DUELS[work]
    jobs = []
    for seed in range(1 if quick else SEEDS):
        said = {"game": game, "steps": QUICK if quick else steps, "seed": seed, "threshold": threshold, "every": every}
        for who, function in (("decet", "decet"), (PEER, "stable_baselines3")):
            jobs.append(
                Job(work, who, f"benchmarks.agents:{function}", said, run=seed + 1, imports=agents.IMPORTS[who],
                    packages=("torch", "gymnasium", "stable_baselines3"), environment=ALONE_THREAD,
                    ours=who == "decet")
            )  # fmt: skip
    return jobs


def _until_solved(records: Sequence[Record], name: str, at_least: str | None = None) -> list[float]:
    """Seconds until solved, by record; where it never was: infinitely many, or those of `at_least`."""
    never = [float("inf") if at_least is None else record[at_least] for record in records]
    return [rest if record[name] is None else record[name] for record, rest in zip(records, never, strict=True)]


def _duel_report(work: str, found: Found, keep: Path) -> Report:
    game, _, threshold, every = DUELS[work]
    rows, ours, theirs = [], found.of("decet"), found.of(PEER)
    for who, part in (("decet", ours), (PEER, theirs)):
        if not part:
            continue
        count = len(part.records)
        rows.append([
            who, str(count), mean_of(part.values("kept")), mean_of(part.values("last")),
            f"{mean_of(part.values('reached'), ',.0f')} ({len(part.values('reached'))} of {count})",
            f"{mean_of(part.values('solved_seconds'), '.2f')} ({len(part.values('solved_seconds'))} of {count})",
            mean_of(part.values("solved_whole"), ".2f"), mean_of(part.values("seconds"), ".1f"),
            mean_of(part.values("whole_seconds"), ".1f"), shown(part.middle("rate"), void=part.void),
            shown(part.middle("peak_above_mb"), ".1f"), shown(part.middle("peak_whole_mb")),
        ])  # fmt: skip
    header = (
        "contender", "seeds", "return of the network kept", "of the last", f"steps until {threshold:g}",
        "seconds of training until solved", "with own trials", "seconds of training", "of the whole call", "steps/s",
        "MB above imports", "whole MB",
    )  # fmt: skip
    note = (
        f"{game}, one thread each, in turns, mean ± standard deviation over seeds. A look of {agents.LOOK} greedy "
        f"episodes after each {every:,} steps, on no clock; solved: {agents.JUDGED} further ones reach it too. "
        f"Returns are of {agents.JUDGED} others; the network kept is decet's choice by its own trials, and the best "
        f"look's of {PEER}, whose call hands over the last. Among decet's steps are those at random by which "
        "observations are scaled. Both had learned a little before, on no clock. See benchmarks/agents.py."
    )
    tables = [Table(game, header, rows, note), _ratios(ours, theirs)]
    return Report(tables, _duel_goals(work, game, found, ours, theirs))


def _ratios(ours: Found, theirs: Found) -> Table:
    """Stable-Baselines3's / decet's, of medians; what is not solved counts as the peer's whole run, ours as never."""
    rows = []
    for what, solved, whole in (
        ("training alone", "solved_seconds", "seconds"),
        ("with own trials", "solved_whole", "whole_seconds"),
    ):
        first, all_of_it = (
            _faster(ours, theirs, solved, whole),
            ratio_of_medians(theirs.values(whole), ours.values(whole)),
        )
        rows.append([what, shown(first, ".1f"), shown(all_of_it, ".1f")])
    header = ("seconds", "until solved", "of all steps")
    note = f"{PEER}'s / decet's, medians over seeds. A seed never solved counts as all its seconds of {PEER}, and "
    return Table("how many times as fast", header, rows, note + "as infinitely many of decet.")


def _faster(ours: Found, theirs: Found, solved: str, whole: str) -> float | None:
    """How many times as fast a game is solved."""
    if not ours or not theirs or not theirs.values(solved):
        return None
    return median(_until_solved(theirs.records, solved, whole)) / median(_until_solved(ours.records, solved))


def _duel_goals(work: str, game: str, found: Found, ours: Found, theirs: Found) -> list[Goal]:
    goals = []
    if work == "cartpole":
        what = f"{game}: {PEER}'s seconds until solved / decet's"
        goals.append(found.goal(what, ">=", FASTER, _faster(ours, theirs, "solved_seconds", "seconds")))
        both = bool(ours and theirs)
        ahead = fmean(ours.values("kept")) - fmean(theirs.values("kept")) if both else None
        goals.append(found.goal(f"{game}: return of the network kept, minus {PEER}'s", ">=", 0.0, ahead))
    memory = ratio_of_medians(ours.values("peak_above_mb"), theirs.values("peak_above_mb"))
    goals.append(found.goal(f"{game}: peak memory above imports / {PEER}'s", "<=", LEANER, memory))
    return goals


# ------------------------------------------------------------------------------------------------------------- alone


def _alone_jobs(work: str, quick: bool, runs: int) -> list[Job]:
    return [
        Job(work, "decet", "benchmarks.agents:control",
            {"game": game, "steps": QUICK if quick else steps, "seed": seed}, run=seed + 1,
            imports=agents.IMPORTS["decet"], packages=("torch", "gymnasium", "minatar", "mujoco", "box2d"),
            mode="shared")
        for game, steps, seeds, _ in ALONE[work]
        for seed in range(1 if quick else seeds)
    ]  # fmt: skip


def _alone_report(work: str, found: Found, keep: Path) -> Report:
    rows, goals = [], []
    for game, steps, _, target in ALONE[work]:
        part = found.of("decet", game=game)
        returns = part.values("return")
        if not returns:
            continue
        rows.append([
            game, f"{steps:,}", str(len(returns)), mean_of(returns), f"{min(returns):,.1f}",
            mean_of(part.values("middle")), mean_of(part.values("spread")), mean_of(part.values("seconds")),
        ])  # fmt: skip
        goals.append(found.goal(f"{game}: mean return after {steps:,} steps", ">=", target, fmean(returns)))
    header = ("environment", "steps", "seeds", "return", "of the worst seed", "middle half of episodes",
              "spread of episodes", "seconds")  # fmt: skip
    note = (
        f"`Agent(steps=, seed=).fit(id)`, nothing else said but {agents.OURS}; "
        f"{agents.JUDGED} episodes played greedily, mean ± standard "
        "deviation over seeds. One thread beside another."
    )
    return Report([Table("decet alone", header, rows, note)], goals)


# ---------------------------------------------------------------------------------------------------- steps a second


def _rate_jobs(quick: bool, runs: int) -> list[Job]:
    seconds = 0.2 if quick else 3.0
    ways: list[tuple[str, str, int, dict[str, Any]]] = [
        *(("decet", "rate_decet", copies, {}) for copies in COPIES),
        ("SyncVectorEnv", "rate_gymnasium", COPIES[0], {"mode": "sync"}),
        *(("CartPoleVectorEnv", "rate_gymnasium", copies, {"mode": "vector_entry_point"}) for copies in COPIES),
    ]
    turn = [
        Job("rate", who, f"benchmarks.agents:{function}", {"copies": copies, "seconds": seconds, **said},
            imports=agents.IMPORTS["decet" if who == "decet" else "Gymnasium"], packages=("gymnasium", "numba"),
            environment=ALONE_THREAD, ours=who == "decet")
        for who, function, copies, said in ways
    ]  # fmt: skip
    return in_turns(turn, runs)


def _rate_report(found: Found, keep: Path) -> Report:
    rows, rates = [], list[float]()
    for who in ("decet", "SyncVectorEnv", "CartPoleVectorEnv"):
        for copies in COPIES:
            part = found.of(who, copies=copies)
            if not part:
                continue
            middle = part.middle("rate")
            rows.append([who, f"{copies:,}", shown(middle, void=part.void)])
            rates += [middle] if who == "decet" and middle is not None else []
    note = (
        "CartPole-v1, actions drawn beforehand, nothing learned, one core; the median turn of about 30,000 steps, and "
        "of the runs. Steps that only begin an episode are not counted. The last two are Gymnasium's."
    )
    best = max(rates) if rates else None
    goals = [found.goal("compiled CartPole: steps/s on one core", ">=", RATE, best)]
    return Report([Table("steps a second", ("contender", "copies", "steps/s"), rows, note)], goals)


# ------------------------------------------------------------------------------------------------------------- frames


def _frames_jobs(quick: bool, runs: int) -> list[Job]:
    frames = 20_000 if quick else MANY
    own = [
        Job("frames", "decet", "benchmarks.agents:frames_decet", {"frames": frames, "copies": copies},
            imports=("torch", "decet.data.replay"), packages=("numpy",), mode="alone")
        for copies in (1, 8)
    ]  # fmt: skip
    peers = [
        Job("frames", PEER, "benchmarks.agents:frames_peer", {"frames": frames, "copies": copies, "lean": lean},
            imports=("stable_baselines3",), packages=("stable_baselines3",), mode="shared", ours=False)
        for copies in (1, 8)
        for lean in (False, True)
    ]  # fmt: skip
    return own + peers


def _frames_report(found: Found, keep: Path) -> Report:
    rows, goals = [], []
    for copies in (1, 8):
        part = found.of("decet", copies=copies)
        share = part.middle("share")
        if part:
            skipped = part.records[0].get("skipped")
            held = f"skipped: {skipped}" if skipped else _gigabytes(part)
            rows.append(["decet, filled", str(copies), held, shown(share, ".4f")])
        what = (
            f"replay memory of {MANY:,} frames of 84 x 84, {copies} {'copy' if copies == 1 else 'copies'} / their bytes"
        )
        goals.append(found.goal(what, "<=", FRAMES, share))
        for lean in (False, True):
            other = found.of(PEER, copies=copies, lean=lean)
            if other:
                name = f"{PEER}, optimize_memory_usage={lean}, by shape"
                rows.append([name, str(copies), _gigabytes(other), shown(other.middle("share"), ".4f")])
    note = (
        f"{MANY:,} steps that can be drawn, networks that see {agents.STACKED} frames; decet's memory is written whole "
        f"and is what the process then holds more than before, {PEER}'s is the size of its arrays."
    )
    return Report([Table("frames", ("replay memory", "copies", "GB", "times the frames' bytes"), rows, note)], goals)


def _gigabytes(part: Found) -> str:
    return shown((part.middle("held") or 0.0) / 1e9, ".3f")


# --------------------------------------------------------------------------------------------------- over-estimation


def _over_jobs(quick: bool, runs: int) -> list[Job]:
    game, steps = OVER
    return [
        Job("overestimation", name, "benchmarks.agents:overestimation",
            {"game": game, "steps": QUICK if quick else steps, "seed": seed, "double": double}, run=seed + 1,
            imports=agents.IMPORTS["decet"], packages=("torch", "gymnasium", "box2d"), mode="shared")
        for seed in range(2 if quick else SEEDS)
        for name, double in VARIANTS.items()
    ]  # fmt: skip


def _curves(part: Found) -> list[list[list[float]]]:
    """What is known at each point of the runs: of each point the seeds' (steps, expected, given, return)."""
    together = zip(*(record["curve"] for record in part.records), strict=False)  # the shortest run's points
    return [[[float(value) for value in row] for row in point] for point in together]


def _over_report(found: Found, keep: Path) -> Report:
    curves = {name: points for name in VARIANTS if (points := _curves(found.of(name)))}
    rows = []
    for name, points in curves.items():
        for share in POINTS:
            point = points[max(0, round(share * len(points)) - 1)]
            rows.append([
                name, f"{fmean(row[0] for row in point):,.0f}", str(len(point)), mean_of([row[1] for row in point]),
                mean_of([row[2] for row in point]), mean_of([row[1] - row[2] for row in point]),
                mean_of([row[3] for row in point]),
            ])  # fmt: skip
    header = ("target", "steps", "seeds", "expected", "given", "expected - given", "return")
    note = (
        f"{OVER[0]}, `DQN.plain()` ({agents.OFTEN:g} steps of learning for each of the environment's, a copy each "
        f"{agents.COPIED}) and the same with `double`: what the network expects of the first observation, and the "
        f"discounted return that it is given then; {agents.LOOK} greedy episodes a trial, mean ± standard deviation "
        "over seeds."
    )
    if curves:
        path = _drawn(curves, keep / "overestimation.svg")
        note += f"\n\n![expected and given, by steps]({keep.name}/{path.name})"
    return Report([Table("over-estimation", header, rows, note)])


def _drawn(curves: dict[str, list[list[list[float]]]], path: Path) -> Path:
    """Expected (solid) and given (dashed) by steps, means over seeds with their standard deviation, as SVG."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.2, 3.6), layout="constrained")
    axes = figure.subplots()
    for colour, (name, points) in zip(("#c0392b", "#2c6fbb"), curves.items(), strict=False):
        steps = [fmean(row[0] for row in point) for point in points]
        for column, what, line in ((1, "expected", "-"), (2, "given", "--")):
            values = [[row[column] for row in point] for point in points]
            middle = [fmean(one) for one in values]
            apart = [stdev(one) if len(one) > 1 else 0.0 for one in values]
            low, high = ([m + sign * a for m, a in zip(middle, apart, strict=True)] for sign in (-1, 1))
            axes.plot(steps, middle, line, color=colour, label=f"{name}: {what}")
            axes.fill_between(steps, low, high, color=colour, alpha=0.15, linewidth=0)
    axes.set(xlabel="steps of the environment", ylabel="discounted return")
    axes.legend(frameon=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    with rc_context({"svg.hashsalt": "decet", "svg.fonttype": "none"}):  # the same bytes from the same records
        figure.savefig(path, metadata={"Date": None})
    return path


WORKS = (
    *(
        Work(name, f"{said[0]} beside {PEER}", partial(_duel_jobs, name), partial(_duel_report, name))
        for name, said in DUELS.items()
    ),
    *(
        Work(name, "decet alone: " + ", ".join(said[0] for said in games), partial(_alone_jobs, name),
             partial(_alone_report, name))
        for name, games in ALONE.items()
    ),
    Work("rate", "steps a second of compiled CartPole", _rate_jobs, _rate_report),
    Work("frames", "replay memory of a million frames", _frames_jobs, _frames_report),
    Work("overestimation", "plain against double", _over_jobs, _over_report),
)  # fmt: skip
