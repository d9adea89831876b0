"""What long work shows while it runs: loss, metric, rate, time left."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from typing import Protocol, TextIO

PLAIN_EVERY = 5.0  # seconds between lines when the output is no terminal


class Show(Protocol):
    """What the loop tells while it runs."""

    def step(self, done: float, facts: Mapping[str, float]) -> None: ...

    def say(self, sentence: str) -> None: ...

    def close(self) -> None: ...


class Quiet:
    """Shows nothing."""

    def step(self, done: float, facts: Mapping[str, float]) -> None:
        """Nothing."""

    def say(self, sentence: str) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing."""


class Part:
    """One of several trainings of a whole: shows the whole's progress."""

    def __init__(self, whole: Show, index: int, count: int):
        self.whole, self.index, self.count = whole, index, count

    def step(self, done: float, facts: Mapping[str, float]) -> None:
        self.whole.step((self.index + done) / self.count, facts)

    def say(self, sentence: str) -> None:
        self.whole.say(sentence)

    def close(self) -> None:
        """The whole goes on."""


class Live:
    """A live line on a terminal, plain lines elsewhere; always on stderr, for stdout holds results."""

    def __init__(self, title: str, stream: TextIO | None = None):
        self.stream = stream or sys.stderr
        self.title, self.started, self.shown = title, time.monotonic(), 0.0
        self.bar = None
        if self.stream.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

            columns = (
                TextColumn("{task.description}"),
                BarColumn(20),
                TaskProgressColumn(),
                TextColumn("{task.fields[facts]}"),
            )
            self.bar = Progress(*columns, console=Console(file=self.stream), transient=True, refresh_per_second=5)
            self.task = self.bar.add_task(title, total=1.0, facts="")
            self.bar.start()

    def step(self, done: float, facts: Mapping[str, float]) -> None:
        now = time.monotonic()
        line = _line(facts, done, now - self.started)
        if self.bar is not None:
            self.bar.update(self.task, completed=done, facts=line)
        elif now - self.shown >= PLAIN_EVERY:
            print(f"{self.title} {done:4.0%}  {line}", file=self.stream, flush=True)
            self.shown = now

    def say(self, sentence: str) -> None:
        if self.bar is not None:
            self.bar.console.print(sentence, markup=False, highlight=False)
        else:
            print(sentence, file=self.stream, flush=True)

    def close(self) -> None:
        if self.bar is not None:
            self.bar.stop()


def _line(facts: Mapping[str, float], done: float, elapsed: float) -> str:
    """`epoch 12  loss 0.3121  accuracy 0.8713  rate 0.0012  14 s left`."""
    parts = [f"{name} {_short(value)}" for name, value in facts.items()]
    if 0.01 < done < 1:
        parts.append(f"{duration(elapsed * (1 - done) / done)} left")
    return "  ".join(parts)


def _short(value: float) -> str:
    return str(int(value)) if float(value).is_integer() and abs(value) >= 1 else f"{value:.4g}"


def duration(seconds: float) -> str:
    """`42 s`, `3 min 20 s`, `2 h 5 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
