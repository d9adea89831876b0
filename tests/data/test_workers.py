"""Workers: the same episodes as without them; what hangs, ends or raises in one is told; none of them outlives us."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces

from decet.data.actors import Copies, actors_of
from decet.data.environments import Environments, opened
from decet.data.workers import Workers
from decet.errors import BadInput


class Steps(gymnasium.Env):
    """Shows a picture and numbers, drawn anew each step; ends by chance. `wrong` is done in the fourth step."""

    observation_space = spaces.Dict(
        {"seen": spaces.Box(0, 255, (8, 8), np.uint8), "felt": spaces.Box(-1e6, 1e6, (2,), np.float32)}
    )
    action_space = spaces.Discrete(3)

    def __init__(self, wrong: Callable[[], Any] = int):
        self.wrong = wrong

    def _shown(self) -> dict[str, Any]:
        seen = self.np_random.integers(0, 256, (8, 8), dtype=np.uint8)
        return {"seen": seen, "felt": self.np_random.normal(size=2).astype(np.float32)}

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.age = 0
        return self._shown(), {}

    def step(self, action):
        self.age += 1
        if self.age == 4:
            self.wrong()
        return self._shown(), float(action), bool(self.np_random.random() < 0.1), False, {}


def hang() -> None:
    time.sleep(60)


def leave() -> None:
    os._exit(3)


def fail() -> None:
    raise RuntimeError("the motor is stuck")


@contextmanager
def workers(source: Any = Steps, count: int = 5, processes: int = 2, timeout: float = 60.0) -> Iterator[Workers]:
    actors = Workers(opened(source), count, seed=7, processes=processes, timeout=timeout)
    try:
        yield actors
    finally:
        actors.close()


def gone(process: int, seconds: float = 10.0) -> bool:
    """Whether a process has ended, or does within so many seconds."""
    until = time.monotonic() + seconds
    while Path(f"/proc/{process}").exists() and time.monotonic() < until:
        if "\nState:\tZ" in Path(f"/proc/{process}/status").read_text():
            return True
        time.sleep(0.05)
    return not Path(f"/proc/{process}").exists()


def test_episodes_are_those_without_workers_and_go_on_with_or_without_them() -> None:
    rng = np.random.default_rng(0)
    chosen = rng.integers(0, 3, (40, 5))
    alone = Copies(opened(Steps), 5, seed=7)
    with workers() as shared:
        assert np.array_equal(shared.shown, alone.shown)
        for actions in chosen[:25]:
            shared.start(actions)
            before = shared.shown.copy()
            time.sleep(0.001)
            assert np.array_equal(before, shared.shown)  # nothing moves until the step is finished
            assert shared.finish().tolist() == alone.step(actions).tolist()
            for name in ("shown", "flags", "episodes"):
                assert np.array_equal(getattr(shared, name), getattr(alone, name))
        assert alone.episodes.max() > 0
        stood = json.loads(json.dumps(shared.state()))
        assert stood == alone.state()
        for actions in chosen[25:]:
            shared.step(actions)
        shared.restore(stood)
        for actions in chosen[25:]:
            assert shared.step(actions).tolist() == alone.step(actions).tolist()
            assert np.array_equal(shared.shown, alone.shown)
        assert (shared.overlaps, alone.overlaps) == (True, False)


def test_settings_say_whether_there_are_workers() -> None:
    environment = opened("MountainCar-v0", limit=7)
    assert not isinstance(actors_of(environment, Environments(workers=2), 0), Workers)  # compiled
    assert isinstance(actors_of(opened(Steps), Environments(workers=2), 0, copies=1), Copies)
    actors = actors_of(opened(Steps), Environments(copies=2, workers=2, timeout=30.0), 3)
    try:
        assert isinstance(actors, Workers)
        assert (actors.timeout, len(actors.processes)) == (30.0, 2)
        assert np.array_equal(actors.shown, Copies(opened(Steps), 2, seed=3).shown)
    finally:
        actors.close()


def test_four_workers_step_at_once() -> None:
    class Slow(Steps):
        def step(self, action):
            time.sleep(0.05)
            return super().step(action)

    took = []
    with workers(Slow, count=4, processes=4) as shared:
        for actors in (shared, Copies(opened(Slow), 4, seed=7)):
            begun = time.monotonic()
            for _ in range(5):
                actors.step(np.zeros(4, np.int64))
            took.append(time.monotonic() - begun)
    assert took[0] < 0.7 * took[1]


@pytest.mark.parametrize(
    ("wrong", "timeout", "message"),
    [
        (hang, 2.0, r"Steps: the worker of copies 0 to 2 did not answer within 2 s\. Raise inputs\.timeout or mend"),
        (leave, 60.0, r"Steps: the worker of copies \d to \d ended by itself, by exit code 3"),
    ],
)
def test_a_worker_that_hangs_or_ends_is_told_and_all_are_ended(
    wrong: Callable[[], Any], timeout: float, message: str
) -> None:
    with workers(lambda: Steps(wrong), timeout=timeout) as actors:
        processes = [process.process.pid for process in actors.processes]
        with pytest.raises(BadInput, match=message):
            for _ in range(20):
                actors.step(np.zeros(5, np.int64))
        assert all(map(gone, processes))
        with pytest.raises(BadInput, match="the workers of Steps have ended"):
            actors.step(np.zeros(5, np.int64))
        actors.close()


def test_a_worker_that_is_killed_is_told_by_the_signal() -> None:
    with workers(count=2) as actors:
        os.kill(actors.processes[1].process.pid, signal.SIGKILL)
        with pytest.raises(BadInput, match=r"worker of copy 1 ended by itself, by SIGKILL \(is memory short\?\)"):
            for _ in range(3):
                actors.step(np.zeros(2, np.int64))


def test_what_an_environment_raises_comes_back_as_it_is_told_without_workers() -> None:
    told = []
    with workers(lambda: Steps(fail)) as shared:
        for actors in (shared, Copies(opened(lambda: Steps(fail)), 5, seed=7)):
            with pytest.raises(BadInput, match="step 4, raised RuntimeError: the motor is stuck") as error:
                for _ in range(20):
                    actors.step(np.zeros(5, np.int64))
            told.append(str(error.value))
        assert told[0] == told[1]
        assert len(shared.processes) == 2  # where it stood can still be asked
        shared.state()


def test_an_environment_that_cannot_be_sent_is_told() -> None:
    held = threading.Lock()  # which belongs to one process
    with (
        pytest.raises(BadInput, match=r"Steps cannot be sent to workers \(.*\)\. Give its id, or a function"),
        workers(lambda: Steps(held.acquire)),
    ):
        pass


def test_an_interrupt_leaves_workers_alone() -> None:
    with workers(count=2) as actors:
        for process in actors.processes:
            os.kill(process.process.pid, signal.SIGINT)
        actors.step(np.zeros(2, np.int64))


PROGRAM = """
import os, signal, time
import gymnasium, numpy as np
from decet.data.environments import opened
from decet.data.workers import Workers

class Waiting(gymnasium.Env):  # of a program without a guard
    observation_space, action_space = gymnasium.spaces.Box(-1, 1, (1,), np.float32), gymnasium.spaces.Discrete(2)
    def reset(self, *, seed=None, options=None):
        return np.zeros(1, np.float32), {}
    def step(self, action):
        time.sleep(60)

actors = Workers(opened(Waiting), 2, 0, 2, 60.0)
actors.start(np.zeros(2, np.int64))
print(*[process.process.pid for process in actors.processes], flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_workers_that_hang_end_when_the_process_that_started_them_is_killed(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(PROGRAM)
    told = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    ran = subprocess.run(
        [sys.executable, str(tmp_path / "program.py")], env=told, stdout=subprocess.PIPE, text=True, check=False
    )
    assert ran.returncode == -signal.SIGKILL
    processes = [int(word) for word in ran.stdout.split()]
    assert len(processes) == 2
    assert all(map(gone, processes))
