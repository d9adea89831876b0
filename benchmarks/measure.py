"""How figures are taken: on an idle machine, in a process a contender, in turns, and never twice.

A `Job` is one contender's share of a work. Its records are JSON lines, appended as they come, so a cut run goes on
where it was: a part whose record is there is not done again, unless decet's sources changed meanwhile (for timings,
where all must be measured in turns, the whole work is then done again). A figure is void if other processes used the
machine just before the timing or during it; void figures are kept, marked, and replaced by the next proper run.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import platform
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from threading import Lock
from typing import IO, Any, NamedTuple

from benchmarks.report import Found, Record, Report, provenance

ROOT = Path(__file__).resolve().parent.parent
IDLE = 0.15  # cores that other processes may use before a timing
UNDISTURBED = 0.25  # and on average during it, the kernel's own work for the contender included
SAMPLE = 1.0  # seconds of a look at the machine
LOOKS = 10  # looks before a machine counts as busy
TRIES = 3  # of a timing that was disturbed
CHUNK = 25  # parts a process, where several processes share the parts
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")


class Busy(Exception):
    """The machine does other work, so that no timing would be true."""


class Failed(Exception):
    """A contender's process ended with an error."""


@dataclass(frozen=True)
class Job:
    """One contender's share of a work, done in a process of its own.

    function: "module:name" of what the child calls with `arguments`; parts: what is recorded one by one (the folds).
    imports: what the child imports before its memory counts; packages: whose versions are recorded.
    mode: "timed" (idle machine, all threads), "alone" (all threads) or "shared" (one thread, beside others).
    ours: whether a change of decet's sources makes the record stale.
    """

    work: str
    contender: str
    function: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    run: int = 1
    parts: tuple[int, ...] = (0,)
    imports: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    mode: str = "timed"
    ours: bool = True

    @property
    def name(self) -> str:
        said = ", ".join(f"{k} {v}" for k, v in self.arguments.items() if isinstance(v, (str, int)))
        return f"{self.work}: {self.contender} ({said}), run {self.run}"

    @property
    def key(self) -> str:
        """Two records of one key are measurements of the same thing."""
        return json.dumps([self.work, self.contender, self.run, self.function, self.arguments], sort_keys=True)

    def absent(self) -> str | None:
        """A package this job needs and this environment lacks; decet itself is always the checkout's."""
        roots = {name.partition(".")[0] for name in self.imports} - {"decet"}
        return next((root for root in sorted(roots) if importlib.util.find_spec(root) is None), None)


@dataclass(frozen=True)
class Options:
    """How to run. `jobs`: processes for what is not timed."""

    out: Path
    quick: bool = False
    anyway: bool = False
    threads: int = field(default_factory=lambda: len(os.sched_getaffinity(0)))
    runs: int = 3
    jobs: int = field(default_factory=lambda: len(os.sched_getaffinity(0)))
    say: Callable[[str], None] = lambda line: print(line, file=sys.stderr, flush=True)


@dataclass(frozen=True)
class Work:
    """A named piece of a family's benchmark.

    jobs(quick, runs): in the order in which they run. prepare(quick): a job that makes files in the scratch folder.
    report(found, keep): tables and goals from the records; `keep` is where contenders left files.
    """

    name: str
    about: str
    jobs: Callable[[bool, int], list[Job]]
    report: Callable[[Found, Path], Report]
    prepare: Callable[[bool], Job] | None = None


def in_turns(contenders: Sequence[Job], runs: int) -> list[Job]:
    """Every contender once, then every contender again, `runs` times (at least three for a ratio to mean much)."""
    return [replace(job, run=run) for run in range(1, runs + 1) for job in contenders]


# ---------------------------------------------------------------------------------------------- an idle machine


class Stat(NamedTuple):
    """Seconds of all cores since the start of the machine, and those that some process (or another guest) used."""

    total: float
    busy: float


def machine_stat(text: str | None = None) -> Stat:
    """From the first line of /proc/stat: user nice system idle iowait irq softirq steal (guests are within user)."""
    if text is None:
        text = Path("/proc/stat").read_text()
    ticks = [int(part) for part in text.splitlines()[0].split()[1:9]]
    second = os.sysconf("SC_CLK_TCK")
    return Stat(sum(ticks) / second, (sum(ticks) - ticks[3] - ticks[4]) / second)


def busy_cores(before: Stat, after: Stat, cores: int, own: float = 0.0) -> float:
    """Cores that others used between two looks, `own` being the processor seconds of those who may."""
    elapsed = after.total - before.total
    if elapsed <= 0:
        return 0.0
    return max(0.0, (after.busy - before.busy - own) / elapsed * cores)


def load(seconds: float = SAMPLE) -> float:
    """Cores used by other processes while this one sleeps."""
    before = machine_stat()
    time.sleep(seconds)
    return busy_cores(before, machine_stat(), os.cpu_count() or 1)


def wait_idle(look: Callable[[], float] = load, looks: int = LOOKS) -> float:
    """The load once it is low enough, or the lowest of `looks` looks."""
    lowest = float("inf")
    for _ in range(looks):
        lowest = min(lowest, look())
        if lowest <= IDLE:
            break
    return lowest


def _own_seconds() -> float:
    """Processor seconds of this process and of its ended children."""
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


# ---------------------------------------------------------------------------------------- a process a contender


_RUNNING: set[subprocess.Popen[str]] = set()  # contenders' processes


def results(job: Job, parts: Sequence[int], scratch: Path, keep: Path, threads: int) -> Iterator[Record]:
    """Run a job in its own process; its results as they come. Raises Failed with the last of what it wrote."""
    arguments = dict(job.arguments)
    if job.parts != (0,):
        arguments["parts"] = list(parts)
    pinned = job.mode == "timed" and threads < len(os.sched_getaffinity(0))
    message = {
        "function": job.function,
        "arguments": arguments,
        "imports": job.imports,
        "scratch": str(scratch),
        "keep": str(keep),
        "cores": threads if pinned else 0,
    }
    command = [sys.executable, "-m", "benchmarks.child"]
    with tempfile.TemporaryFile("w+") as errors:
        pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": errors}
        pipes["start_new_session"] = True  # Ctrl-C must not reach decet, which would end training and go on
        with subprocess.Popen(command, **pipes, text=True, cwd=ROOT, env=_environment(job, threads)) as process:
            _RUNNING.add(process)
            told: IO[str] = process.stdin  # type: ignore[assignment]
            said: IO[str] = process.stdout  # type: ignore[assignment]
            try:
                with told:
                    told.write(json.dumps(message))
                for line in said:
                    yield json.loads(line)
                code = process.wait()
            finally:
                process.kill()  # where this generator is left early; a process that has ended is not touched
                _RUNNING.discard(process)
        if code:
            errors.seek(0)
            last = [line for line in errors.read().splitlines() if line.strip()][-1:]
            raise Failed(f"{job.name}: exit code {code}. {''.join(last)}")


def _environment(job: Job, threads: int) -> dict[str, str]:
    """The checkout's decet, data beside the checkout unless said, the same threads for everyone, no accelerator."""
    path = os.pathsep.join(filter(None, [str(ROOT / "src"), os.environ.get("PYTHONPATH", "")]))
    common = {"PYTHONPATH": path, "CUDA_VISIBLE_DEVICES": "", "JAX_PLATFORMS": "cpu", "PYTHONWARNINGS": "ignore"}
    beside = ROOT.parent / "shared" / "data"
    data = {"DECET_DATA": str(beside)} if beside.is_dir() else {}
    return data | dict(os.environ) | common | dict.fromkeys(THREADS, str(threads)) | dict(job.environment)


# ----------------------------------------------------------------------------------------------------- records


class Records:
    """JSON lines in a file, one a part of a job. A line that a cut run left unfinished is ignored, then overwritten."""

    def __init__(self, path: Path):
        self.path, self.lock = path, Lock()
        self.latest: dict[tuple[str, int], Record] = {}
        whole = 0
        raw = path.read_bytes() if path.exists() else b""
        for line in raw.splitlines(keepends=True):
            if line.endswith(b"\n"):
                self._remember(json.loads(line))
                whole += len(line)
        if whole < len(raw):
            os.truncate(path, whole)

    def add(self, record: Record) -> None:
        with self.lock:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("a") as file:
                file.write(json.dumps(record) + "\n")
            self._remember(record)

    def _remember(self, record: Record) -> None:
        self.latest[record["key"], record["part"]] = record

    def missing(self, job: Job, source: str, anyway: bool) -> list[int]:
        """Parts of a job that have no record, or none that holds."""
        known = {part: self.latest.get((job.key, part)) for part in job.parts}
        return [part for part, record in known.items() if not self._holds(job, record, source, anyway)]

    @staticmethod
    def _holds(job: Job, record: Record | None, source: str, anyway: bool) -> bool:
        if record is None or (record.get("void") and not anyway):
            return False
        return record["source"] == source or not (job.ours or job.mode == "timed")

    def of(self, jobs: Iterable[Job], quick: bool) -> Found:
        keys = [(job.key, part) for job in jobs for part in job.parts]
        return Found([self.latest[key] for key in keys if key in self.latest], quick)


def source_digest(folder: Path = ROOT / "src" / "decet") -> str:
    """A digest of decet's sources, committed or not."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*.py")):
        digest.update(str(path.relative_to(folder)).encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:12]


def commit() -> str:
    """The checkout's commit, "+" if files differ from it; "" outside a checkout."""
    said = []
    for command in (["git", "rev-parse", "--short", "HEAD"], ["git", "status", "--porcelain", "src", "benchmarks"]):
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        said.append(done.stdout.strip() if done.returncode == 0 else "")
    return said[0] + ("+" if said[1] else "")


def versions(packages: Iterable[str]) -> dict[str, str]:
    """Versions of decet, Python and these packages, as far as they are installed.

    decet's is read, not imported: its import sets an environment variable that the peers' processes must not inherit.
    """
    said = re.search(r'^__version__ = "(.+)"', (ROOT / "src" / "decet" / "__init__.py").read_text(), re.MULTILINE)
    found = {"decet": said[1] if said else "unknown", "python": platform.python_version()}
    for package in packages:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def machine_facts() -> dict[str, str]:
    """What the figures depend on beside the software."""
    names = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    model = names[0].partition(":")[2].strip() if names else platform.machine()
    return {"processor": model, "cores": str(os.cpu_count()), "system": f"{platform.system()} {platform.release()}"}


# ----------------------------------------------------------------------------------------------------- running


class Runner:
    """Runs what has no record yet and reports on all that has."""

    def __init__(self, family: str, options: Options):
        self.options, self.family = options, family
        name = f"{family}-quick" if options.quick else family
        self.records = Records(options.out / f"{name}.jsonl")
        self.keep = options.out / f"{name}-files"
        self.facts: dict[str, Any] = {"commit": commit(), "source": source_digest(), "machine": machine_facts()}
        self.notes: list[str] = []

    def report(self, work: Work) -> Report | None:
        """Tables and goals of a work; None where nothing is recorded."""
        found = self.records.of(work.jobs(self.options.quick, self.options.runs), self.options.quick)
        return replace(work.report(found, self.keep), origin=provenance(found)) if found else None

    def run(self, work: Work) -> None:
        """Do the parts of a work's jobs that have no record. Raises Busy."""
        jobs = [job for job in work.jobs(self.options.quick, self.options.runs) if self._installed(job)]
        waiting = [(job, parts) for job in jobs if (parts := self._missing(job))]
        if not waiting:
            self.options.say(f"{work.name}: all is recorded")
            return
        self.keep.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="decet-benchmark-") as folder:
            scratch = Path(folder)
            if work.prepare is not None:
                self.options.say(f"{work.name}: preparing")
                list(results(work.prepare(self.options.quick), (0,), scratch, self.keep, self.options.threads))
                os.sync()  # or the first timing would share the machine with the writing of these files
            for job, parts in waiting:
                if job.mode != "shared":
                    self._one(job, parts, scratch)
            self._shared([pair for pair in waiting if pair[0].mode == "shared"], scratch)

    def _installed(self, job: Job) -> bool:
        absent = job.absent()
        note = f"{job.contender}: {absent} is not installed"
        if absent and note not in self.notes:
            self.notes.append(note)
            self.options.say(note)
        return absent is None

    def _missing(self, job: Job) -> list[int]:
        return self.records.missing(job, self.facts["source"], self.options.anyway)

    def _one(self, job: Job, parts: Sequence[int], scratch: Path) -> None:
        """A job that has the machine for itself."""
        if job.mode == "alone":
            return self._record(job, self._results(job, parts, scratch, self.options.threads), {})
        for attempt in range(TRIES):
            before = self._idle(job)
            then, own = machine_stat(), _own_seconds()
            found = self._results(job, parts, scratch, self.options.threads)
            during = busy_cores(then, machine_stat(), os.cpu_count() or 1, _own_seconds() - own)
            void = before > IDLE or during > UNDISTURBED
            loads = {"load_before": round(before, 2), "load_during": round(during, 2), "void": void}
            if not void or self.options.anyway or not found:
                return self._record(job, found, loads)
            self.options.say(f"  disturbed: others used {during:.2f} cores; attempt {attempt + 1} of {TRIES}")
        raise Busy(
            f"others used {during:.2f} cores during {job.name}, {TRIES} times. Stop them, or say --anyway: the "
            "figures are then marked void."
        )

    def _idle(self, job: Job) -> float:
        before = load() if self.options.anyway else wait_idle()
        if before > IDLE and not self.options.anyway:
            raise Busy(
                f"the machine is busy: other processes use {before:.2f} cores, at most {IDLE} are allowed before a "
                f"timing ({job.name}). Stop them, or say --anyway: the figures are then marked void."
            )
        return before

    def _results(self, job: Job, parts: Sequence[int], scratch: Path, threads: int) -> list[Record]:
        self.options.say(job.name)
        try:
            return list(results(job, parts, scratch, self.keep, threads))
        except Failed as error:
            self.notes.append(str(error))
            self.options.say(f"  failed: {error}")
            return []

    def _record(self, job: Job, found: Iterable[Record], loads: Mapping[str, Any]) -> None:
        for result in found:
            self.records.add(self._complete(job, result) | dict(loads))

    def _complete(self, job: Job, result: Record) -> Record:
        about = {
            "key": job.key,
            "family": self.family,
            "work": job.work,
            "contender": job.contender,
            "run": job.run,
            "ours": job.ours,
            "arguments": dict(job.arguments),
            "mode": job.mode,
            "threads": 1 if job.mode == "shared" else self.options.threads,
            "versions": versions(job.packages),
            "when": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        # As of now, not of the start: where somebody edits decet meanwhile, the report says that sources are mixed.
        return about | self.facts | {"source": source_digest()} | result

    def _shared(self, waiting: Sequence[tuple[Job, list[int]]], scratch: Path) -> None:
        """Jobs that are not timed, several at once with a thread each; every part is recorded as it comes."""
        shares = [(job, parts[i : i + CHUNK]) for job, parts in waiting for i in range(0, len(parts), CHUNK)]

        def do(share: tuple[Job, list[int]]) -> None:
            job, parts = share
            of = f", parts {parts[0]} to {parts[-1]}" if job.parts != (0,) else ""
            self.options.say(f"{job.name}{of}")
            try:
                for result in results(job, parts, scratch, self.keep, 1):
                    self.records.add(self._complete(job, result))
            except Failed as error:
                self.notes.append(str(error))
                self.options.say(f"  failed: {error}")

        pool = ThreadPoolExecutor(max(1, self.options.jobs))
        try:
            list(pool.map(do, shares))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for process in list(_RUNNING):
                process.kill()
            raise
        finally:
            pool.shutdown()
