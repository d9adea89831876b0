"""Real `kill -9`: over a hundred runs of the command line, each killed once or twice, each gone on with `--resume`.

The claim: whatever the moment, what stands in the folder is a whole model or none, and the resumed run ends with the
weights of an unbroken one, to the bit. Moments are drawn evenly over the run; or the killer waits for the file of a
checkpoint, or for the folder of a model, that is just being written.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks.child import Meter, Place
from benchmarks.measure import Job, Work
from benchmarks.report import Found, Report, Table

# Checkpoints at every save point, not every five seconds, so that a short run writes many.
PROGRAM = (
    "import sys, decet.training.loop as loop; loop.WRITE_SECONDS = 0; from decet.cli import main; sys.exit(main())"
)
MOMENTS = ("any moment", "while a checkpoint is written", "while the model is saved")
CHECKPOINT, SAVING = "checkpoint/state.safetensors.tmp", (".decet-new", ".decet-commit")  # while they are written
# What is killed: a command without --out, and how often. The first cross-fits a small table, the second sets rows
# aside, the third has two players that learn of each other.
RUNS = {
    "breast-cancer": (50, ("table-classifier", "breast-cancer", "--recipe.epochs", "20")),
    "adult": (50, (
        "table-classifier", "adult", "--recipe.epochs", "2", "--recipe.members", "2", "--family.width", "32",
        "--family.embedding", "none",
    )),
    "digits": (12, ("image-generator", "digits", "--family", "GAN", "--recipe.epochs", "6")),
}  # fmt: skip
QUICK_KILLS = 3  # runs of each of them


def _jobs(quick: bool, runs: int) -> list[Job]:
    return [
        Job("kills", name, "benchmarks.kills:killed", {"name": name}, mode="shared",
            parts=tuple(range(QUICK_KILLS if quick else often)))
        for name, (often, _) in RUNS.items()
    ]  # fmt: skip


def killed(meter: Meter, place: Place, name: str, parts: list[int]) -> Iterator[dict[str, Any]]:
    """A run a part: killed, looked at, resumed, compared with the unbroken run."""
    command = ["fit", *RUNS[name][1], "--out"]
    home = place.scratch / f"kills-{name}-{parts[0]}"
    began = time.monotonic()
    _command([*command, str(home / "unbroken")])
    span = time.monotonic() - began
    unbroken = _weights(home / "unbroken")
    for part in parts:
        out = home / "killed"
        rng = random.Random(f"{name} {part}")
        moment = MOMENTS[part % len(MOMENTS)]
        began = time.monotonic()
        states = [_killed([*command, str(out)], out, moment, rng, span)]
        if part % 2:  # once more, in the middle of the resumed run
            states.append(_killed([*command, str(out), "--resume"], out, "any moment", rng, span))
        _command([*command, str(out), "--resume"])
        yield {
            "part": part,
            "moment": moment,
            "states": states,
            "same": _weights(out) == unbroken,
            "seconds": round(time.monotonic() - began, 2),
        }
        shutil.rmtree(out)


def _killed(command: Sequence[str], out: Path, moment: str, rng: random.Random, span: float) -> str:
    """Start a run, kill it at the moment, and say what it left; "ended" where it was quicker than the killer."""
    process = _started(command)
    _wait(process, out, moment, rng, span)
    process.send_signal(signal.SIGKILL)
    return _state(out) if process.wait() == -signal.SIGKILL else "ended"


def _wait(process: subprocess.Popen[bytes], out: Path, moment: str, rng: random.Random, span: float) -> None:
    """Until the moment, or until the run has ended by itself."""
    end = time.monotonic() + rng.uniform(0.0, span)
    checkpoint, saving = out / CHECKPOINT, [out / name for name in SAVING]
    wanted, came, there = rng.randrange(1, 3), 0, False  # the first or second file of a checkpoint

    def come() -> bool:
        nonlocal came, there
        match moment:
            case "while a checkpoint is written":
                before, there = there, checkpoint.exists()
                came += there and not before
                return came == wanted
            case "while the model is saved":
                return any(folder.exists() for folder in saving)
            case _:
                return time.monotonic() > end

    while process.poll() is None and not come():
        time.sleep(0.0001)
    if moment != "any moment":
        time.sleep(rng.uniform(0.0, 0.003))


def _state(out: Path) -> str:
    """What stands in the folder: "nothing", "checkpoint", "model", or "BROKEN", a model that is not whole."""
    from decet import verify

    if (out / "model.json").exists() or (out / SAVING[1]).exists():
        return "model" if verify(out) else "BROKEN"
    return "checkpoint" if any(out.glob("checkpoint/*.safetensors")) else "nothing"


def _started(command: Sequence[str]) -> subprocess.Popen[bytes]:
    quiet: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    return subprocess.Popen([sys.executable, "-c", PROGRAM, *command], env=os.environ, **quiet)


def _command(command: Sequence[str]) -> None:
    if code := _started(command).wait():
        raise RuntimeError(f"decet {' '.join(command)} ended with {code}")


def _weights(folder: Path) -> bytes:
    return (folder / "weights.safetensors").read_bytes()


def _report(found: Found, keep: Path) -> Report:
    report, rows = Report(), []
    tests: dict[str, Callable[[dict[str, Any]], bool]] = {
        "the unbroken run's weights": lambda record: record["same"],
        "no broken model": lambda record: "BROKEN" not in record["states"],
    }
    for name in RUNS:
        for moment in MOMENTS:
            records = [record for record in found.of(name).records if record["moment"] == moment]
            states = Counter(state for record in records for state in record["states"])
            left = ", ".join(f"{state} {count}" for state, count in sorted(states.items()))
            good = [str(sum(map(test, records))) for test in tests.values()]
            rows.append([name, moment, str(len(records)), str(states.total() - states["ended"]), left or "-", *good])
    for what, test in tests.items():
        share = sum(map(test, found.records)) / len(found.records)
        report.goals.append(found.goal(f"runs killed with kill -9 and resumed: {what}, share", ">=", 1.0, share))
    header = ("run", "killed at", "runs", "kills", "left in the folder", *tests)
    note = "`decet fit` in a process of its own; every other run is killed a second time, resumed."
    report.tables.append(Table("kill -9", header, rows, note))
    return report


WORKS = (Work("kills", "over a hundred runs killed with kill -9, then resumed", _jobs, _report),)
