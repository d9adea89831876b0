"""What long work shows while it runs: loss, metric, rate, time left."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol, TextIO

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

PLAIN_EVERY = 5.0  # seconds between lines when the output is no terminal
BAR = (5, 20)  # columns of the live line's bar, at least and at most


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
        self.done = 0.0
        self.parts: dict[str, str] = {}
        self.bar = None
        if self.stream.isatty():
            from rich import live
            from rich.console import Console

            console = Console(file=self.stream)
            self.bar = live.Live(
                console=console,
                transient=True,
                refresh_per_second=5,
                get_renderable=lambda: self.line(console.width),
            )
            self.bar.start()

    def step(self, done: float, facts: Mapping[str, float]) -> None:
        now = time.monotonic()
        self.done, self.parts = done, _parts(facts, done, now - self.started)
        if self.bar is None and now - self.shown >= PLAIN_EVERY:
            print(f"{self.title} {done:4.0%}  {'  '.join(self.parts.values())}", file=self.stream, flush=True)
            self.shown = now

    def line(self, width: int) -> Table:
        """The live line: title, bar, percentage, facts; what fits into so many columns, the bar in what is left."""
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        parts, room = _fitted({"title": self.title, **self.parts}, width)
        cells: list[RenderableType] = [Text(parts.pop("title"))] if "title" in parts else []
        least, most = BAR
        if room - 2 >= least:
            cells.append(ProgressBar(total=1.0, completed=self.done, width=min(most, room - 2)))
        cells.append(Text(f"{self.done:4.0%}", style="progress.percentage"))
        cells += [Text(text) for text in parts.values()]
        line = Table.grid(padding=(0, 2))
        line.add_row(*cells)
        return line

    def say(self, sentence: str) -> None:
        if self.bar is not None:
            self.bar.console.print(sentence, markup=False, highlight=False)
        else:
            print(sentence, file=self.stream, flush=True)

    def close(self) -> None:
        if self.bar is not None:
            self.bar.stop()


def _parts(facts: Mapping[str, float], done: float, elapsed: float) -> dict[str, str]:
    """`epoch 12`, `loss 0.3121`, `accuracy 0.8713`, `rate 0.0012`, `14 s left`, by name."""
    parts = {name: f"{name} {_short(value)}" for name, value in facts.items()}
    if 0.01 < done < 1:
        parts["left"] = f"{duration(elapsed * (1 - done) / done)} left"
    return parts


def _fitted(parts: dict[str, str], width: int) -> tuple[dict[str, str], int]:
    """The parts that fit into so many columns beside `100%`, two columns apart, and how many columns are left over."""
    from rich.cells import cell_len

    kept, room = dict(parts), width - len("100%") - sum(2 + cell_len(text) for text in parts.values())
    for name in ("title", "epoch", "rate", *reversed(parts)):  # what matters least goes first
        if room >= 0:
            break
        room += 2 + cell_len(kept.pop(name)) if name in kept else 0
    return kept, room


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
