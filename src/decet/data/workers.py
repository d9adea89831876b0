"""Copies of a slow environment in processes of their own, which step while the learner learns.

    actors = Workers(environment, count=8, seed=0, processes=4, timeout=60.0)
    actors.start(actions); ...; rewards = actors.finish()

Each process holds a share of the copies, whose numbers, and so whose episodes, are those that they have without
workers. What is shown comes back in memory that both sides see; the rest goes through a socket. A process is started
anew, not forked, for torch has threads; it loads neither torch nor the program that started it, so that no program
needs a guard. It ends when its socket is closed, or the process that started it is gone.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from multiprocessing import connection
from typing import IO, Any

import numpy as np
from gymnasium.vector.utils import CloudpickleWrapper
from numpy.typing import NDArray

from decet.data.actors import BEGUN, Actors, Copies
from decet.data.environments import Environment
from decet.data.observations import layout_of
from decet.errors import BadInput, DecetError

Array = NDArray[Any]
LOADING = 120.0  # seconds, beyond `timeout`, in which a process must have loaded all and made its copies
ENDING = 2.0  # seconds in which a process must end
WATCHED = 1.0  # seconds between two looks at whether the process that started a worker is there
PROGRAM = (  # interrupts are the parent's, also while modules are loaded
    "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
    "from decet.data.workers import serve; serve({line}, {memory}, {parent})"
)


class Workers(Actors):
    """Copies in processes. timeout: seconds that those of one process may take for a step, an episode's begin included.

    Raises BadInput where a process does not answer in time or ends by itself: then all are ended. What a copy raises
    comes back as the same sentence that it has without workers.
    """

    overlaps = True

    def __init__(self, environment: Environment, count: int, seed: int, processes: int, timeout: float) -> None:
        self.environment, self.count, self.timeout = environment, count, timeout
        layout = layout_of(environment.observations, environment.name)
        self.shown, self.rewards = np.zeros((count, *layout.shape), layout.kind), np.zeros(count)
        self.flags, self.episodes = np.full(count, BEGUN, np.uint8), np.zeros(count, np.int64)
        told: dict[str, Array] = {name: getattr(self, name) for name in ("shown", "rewards", "flags", "episodes")}
        kind = np.dtype([(name, held.dtype, held.shape[1:]) for name, held in told.items()], align=True)
        self.shares = np.array_split(np.arange(count), min(processes, count))
        self.processes: list[_Process] = []
        with tempfile.TemporaryFile() as memory:
            memory.truncate(count * kind.itemsize)
            self.shared = _rows(memory.fileno(), kind)
            try:
                self.processes.extend(_Process(share, len(self.shares), memory) for share in self.shares)
                sent = CloudpickleWrapper(environment)  # type: ignore[arg-type]  # it takes whatever travels
                self._ask([("make", sent, seed, int(share[0]), len(share), kind) for share in self.shares])
                self._answers(LOADING + timeout, "start")
            except BaseException:
                self.close()
                raise
        self._look()

    def start(self, actions: Array) -> None:
        self._ask([("step", actions[share]) for share in self.shares])

    def finish(self) -> Array:
        self._answers(self.timeout)
        self._look()
        return self.rewards

    def _look(self) -> None:
        for name in self.shared.dtype.names:
            getattr(self, name)[:] = self.shared[name]

    def state(self) -> dict[str, Any]:
        """The state that the copies have without workers."""
        self._ask([("state",)] * len(self.shares))
        states = self._answers(self.timeout)
        return {name: [value for state in states for value in state[name]] for name in states[0]}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Play the episodes again, of a state that was taken with or without workers."""
        self._ask([("restore", {n: [held[i] for i in share] for n, held in state.items()}) for share in self.shares])
        longest = max(sum(len(state["since"][i]) + 1 for i in share) for share in self.shares)
        self._answers(self.timeout * longest)
        self._look()

    def close(self) -> None:
        """End all processes."""
        for process in self.processes:
            process.line.close()  # which it sees, unless it hangs
        until = time.monotonic() + ENDING
        for process in self.processes:
            process.end(until)
        self.processes = []

    def _ask(self, messages: list[tuple[Any, ...]]) -> None:
        self._check_there()
        for process, message in zip(self.processes, messages, strict=True):
            try:
                process.line.send(message)
            except OSError:
                self._give_up(process, process.ended())
            except Exception as error:  # whatever a user's object raises when it is sent
                told = f"{type(error).__name__}: {error}"
                raise BadInput(
                    f"{self.environment.name} cannot be sent to workers ({told}). Give its id, or a function that "
                    "makes it, or leave inputs.workers out."
                ) from error

    def _answers(self, seconds: float, what: str = "answer") -> list[Any]:
        """What each process answers. Raises BadInput for the first that fails, after all have answered."""
        self._check_there()
        until, found = time.monotonic() + seconds, dict[_Process, Any]()
        while missing := [process for process in self.processes if process not in found]:
            ready = connection.wait([process.line for process in missing], max(0.0, until - time.monotonic()))
            if not ready:
                told = f"did not {what} within {seconds:g} s. Raise inputs.timeout or mend the environment"
                self._give_up(missing[0], told)
            for process in missing:
                if process.line in ready:
                    try:
                        found[process] = process.line.recv()
                    except (EOFError, OSError):
                        self._give_up(process, process.ended())
        answers = [found[process] for process in self.processes]
        for good, answer in answers:
            if not good:
                raise BadInput(answer)
        return [answer for _, answer in answers]

    def _check_there(self) -> None:
        if not self.processes:
            raise BadInput(f"the workers of {self.environment.name} have ended.")

    def _give_up(self, process: _Process, what: str) -> None:
        self.close()
        first, last = process.share[0], process.share[-1]
        copies = f"copy {first}" if first == last else f"copies {first} to {last}"
        raise BadInput(f"{self.environment.name}: the worker of {copies} {what}.")


class _Process:
    """One process, and the line to it."""

    def __init__(self, share: Array, processes: int, memory: IO[bytes]) -> None:
        self.share = share
        mine, its = socket.socketpair()
        self.line = connection.Connection(mine.detach())
        threads = str(max(1, (os.cpu_count() or 1) // processes))
        told = {**os.environ, "PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path)}
        told |= {f"{name}_NUM_THREADS": threads for name in ("OMP", "MKL", "OPENBLAS")}
        with its:
            program = PROGRAM.format(line=its.fileno(), memory=memory.fileno(), parent=os.getpid())
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-c", program],
                env=told,
                stdin=subprocess.DEVNULL,
                pass_fds=(its.fileno(), memory.fileno()),
                process_group=0,  # the terminal's Ctrl-C is for the parent
            )

    def end(self, until: float) -> None:
        """Wait for its end until then, then end it."""
        try:
            self.process.wait(max(0.0, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def ended(self) -> str:
        """How it ended, for a sentence."""
        try:
            code = self.process.wait(ENDING)
        except subprocess.TimeoutExpired:
            return "hung up"
        how = f"exit code {code}" if code >= 0 else signal.Signals(-code).name
        return f"ended by itself, by {how}{' (is memory short?)' if code == -signal.SIGKILL else ''}"


def _rows(memory: int, kind: np.dtype[Any]) -> Any:
    """The memory that both sides see: a row a copy, with a field for each thing that is told of it."""
    return np.frombuffer(mmap.mmap(memory, 0), kind)


def serve(line: int, memory: int, parent: int) -> None:
    """What a process does: answer (whether it went well, the answer or a sentence) until the line is closed."""
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    talk, share = connection.Connection(line), _Share(memory)
    with contextlib.suppress(EOFError, ConnectionError):
        while True:
            try:
                verb, *told = talk.recv()
            except (ImportError, AttributeError) as error:  # what the parent has and this process cannot find
                talk.send((False, f"a worker cannot read the environment ({error}). Define it in a file of its own."))
                continue
            try:
                answer = True, getattr(share, verb)(*told)
            except DecetError as error:
                answer = False, str(error)
            talk.send(answer)


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(WATCHED)
    os._exit(0)


class _Share:
    """Copies that live in this process: what is asked of them, by name."""

    def __init__(self, memory: int) -> None:
        self.memory = memory

    def make(self, sent: Any, seed: int, first: int, count: int, kind: np.dtype[Any]) -> None:
        self.copies = Copies(sent.fn, count, seed, first)
        self.rows = _rows(self.memory, kind)[first : first + count]
        self._tell(np.zeros(count))

    def step(self, actions: Array) -> None:
        self._tell(self.copies.step(actions))

    def state(self) -> dict[str, Any]:
        return self.copies.state()

    def restore(self, state: Mapping[str, Any]) -> None:
        self.copies.restore(state)
        self._tell(np.zeros(self.copies.count))

    def _tell(self, rewards: Array) -> None:
        self.rows["rewards"] = rewards
        for name in ("shown", "flags", "episodes"):
            self.rows[name] = getattr(self.copies, name)
