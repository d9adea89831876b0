"""The process a contender runs in: imports first, then the work, then what it took.

Reads a job as JSON from stdin and writes one JSON line a result to stdout; whatever libraries print goes to stderr.
A contender is a function (meter, place, arguments of the job) that returns a result, or yields one a part.
"""

from __future__ import annotations

import ctypes
import gc
import json
import os
import signal
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

_PARENT_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of prctl(2)


@dataclass(frozen=True)
class Place:
    """Folders: `scratch` holds what was prepared for the work and vanishes; `keep` stays beside the records."""

    scratch: Path
    keep: Path


class Meter:
    """Peak resident memory of this process since `start`, and how much of it lies above that start (MB = 10^6)."""

    def __init__(self) -> None:
        self.start()

    def start(self) -> None:
        """What came before (compiling, say) does not count."""
        gc.collect()
        self.base = _memory("VmRSS")
        Path("/proc/self/clear_refs").write_text("5")  # the kernel's peak starts anew from here
        self.peak: float | None = None

    def stop(self) -> None:
        """What comes after (scoring, say) no longer counts."""
        self.peak = _memory("VmHWM")

    def found(self) -> dict[str, float]:
        peak = _memory("VmHWM") if self.peak is None else self.peak
        return {"peak_above_mb": round(peak - self.base, 1), "peak_whole_mb": round(peak, 1)}


def _memory(name: str) -> float:
    """A line of /proc/self/status in MB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024 / 1e6
    raise OSError(f"/proc/self/status has no {name}")


def main() -> None:
    ctypes.CDLL(None).prctl(_PARENT_DEATH_SIGNAL, signal.SIGKILL)  # a contender left alone would spoil other timings
    results = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    job = json.load(sys.stdin)
    if job["cores"]:  # XLA takes its threads from here, OpenMP from the environment
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: job["cores"]])
    for name in job["imports"]:
        import_module(name)
    module, _, name = job["function"].partition(":")
    function = getattr(import_module(module), name)
    place = Place(Path(job["scratch"]), Path(job["keep"]))
    meter = Meter()
    made = function(meter, place, **job["arguments"])
    for result in made if isinstance(made, Iterator) else iter([made]):
        print(json.dumps({"part": 0} | _plain(result) | meter.found()), file=results, flush=True)


def _plain(result: dict[str, Any]) -> dict[str, Any]:
    """Numbers of numpy as Python's."""
    return {name: value.item() if hasattr(value, "item") else value for name, value in result.items()}


if __name__ == "__main__":
    main()
