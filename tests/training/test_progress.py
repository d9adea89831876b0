"""What long work shows: a live line on a terminal, plain lines elsewhere, nothing by default."""

from __future__ import annotations

import io
import re

import pytest
from rich.cells import cell_len

from decet.training import progress
from decet.training.progress import Live, Part, Quiet, duration


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.2, "0 s"),
        (42.4, "42 s"),
        (59.6, "1 min 0 s"),
        (200, "3 min 20 s"),
        (3599.7, "1 h 0 min"),
        (7500, "2 h 5 min"),
    ],
)
def test_durations_in_words(seconds, words):
    assert duration(seconds) == words


def test_quiet_says_nothing(capsys):
    quiet = Quiet()
    quiet.step(0.5, {"loss": 1.0})
    quiet.say("a sentence")
    quiet.close()
    assert capsys.readouterr() == ("", "")


@pytest.fixture
def clock(monkeypatch):
    now = [1000.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def test_off_a_terminal_plain_lines_come_now_and_then(clock):
    stream = io.StringIO()
    live = Live("fit", stream)
    clock[0] = 1010.0
    live.step(0.25, {"epoch": 3.0, "loss": 0.31214, "rate": 0.002})
    clock[0] = 1012.0  # too soon for another line
    live.step(0.3, {"epoch": 4.0})
    clock[0] = 1020.0
    live.step(1.0, {"epoch": 12.0, "loss": 25.0})
    live.close()
    assert stream.getvalue().splitlines() == [
        "fit  25%  epoch 3  loss 0.3121  rate 0.002  30 s left",
        "fit 100%  epoch 12  loss 25",
    ]


def test_sentences_are_always_said(clock):
    stream = io.StringIO()
    live = Live("fit", stream)
    live.say("the loss is [not] finite")
    assert stream.getvalue() == "the loss is [not] finite\n"


def test_progress_goes_to_stderr_for_stdout_holds_results(capsys, clock):
    live = Live("fit")
    clock[0] += 10
    live.step(0.5, {"loss": 0.5})
    live.say("done")
    live.close()
    out, err = capsys.readouterr()
    assert out == ""
    assert err == "fit  50%  loss 0.5  10 s left\ndone\n"


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_on_a_terminal_there_is_one_live_line_and_sentences_above_it(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    stream = _Terminal()
    live = Live("fit", stream)
    live.step(0.5, {"loss": 0.25})
    live.bar.refresh()
    live.say("back to step [3]")
    live.close()
    shown = stream.getvalue()
    assert "fit" in shown
    assert "loss 0.25" in shown
    assert "50%" in shown
    assert "back to step [3]" in shown


FACTS = {"epoch": 12.0, "loss": 0.31214, "log_loss": 0.234511, "rate": 0.0012345}


@pytest.fixture
def drawn(monkeypatch, clock):
    """The last line that a terminal of a width shows."""
    monkeypatch.setenv("TERM", "xterm")

    def lines(width, title="people.csv", facts=FACTS, minutes=90):
        monkeypatch.setenv("COLUMNS", str(width))
        stream = _Terminal()
        live = Live(title, stream)
        assert live.bar.console.width == width
        clock[0] += 60 * minutes
        live.step(0.5, facts)
        live.bar.refresh()
        live.close()
        shown = re.split(r"[\r\n]+", re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", stream.getvalue()))
        assert max(map(cell_len, shown)) <= width
        return [line.rstrip() for line in shown if line.strip()]

    return lines


def test_with_room_enough_all_is_shown(drawn):
    bar = "━" * 10 + "╺" + "━" * 9
    line = f"people.csv  {bar}   50%  epoch 12  loss 0.3121  log_loss 0.2345  rate 0.001234  1 h 30 min left"
    assert drawn(120)[-1] == line
    assert drawn(len(line))[-1] == line


@pytest.mark.parametrize(
    ("width", "line"),
    [
        (97, "people.csv  ━━━╸━━━   50%  epoch 12  loss 0.3121  log_loss 0.2345  rate 0.001234  1 h 30 min left"),
        (90, "people.csv   50%  epoch 12  loss 0.3121  log_loss 0.2345  rate 0.001234  1 h 30 min left"),
        (80, " 50%  epoch 12  loss 0.3121  log_loss 0.2345  rate 0.001234  1 h 30 min left"),
        (70, " 50%  loss 0.3121  log_loss 0.2345  rate 0.001234  1 h 30 min left"),
        (60, "━━━╸━━━   50%  loss 0.3121  log_loss 0.2345  1 h 30 min left"),
        (40, " 50%  loss 0.3121  log_loss 0.2345"),
        (20, " 50%  loss 0.3121"),
        (10, " 50%"),
    ],
)
def test_on_a_narrow_terminal_what_matters_least_goes_first_and_the_bar_takes_what_is_left(width, line, drawn):
    assert drawn(width)[-1] == line


@pytest.mark.parametrize(
    "title", ["a.csv", "a_long_name_of_a_table_that_someone_has_kept_for_years.parquet", "大きな表" * 12]
)
@pytest.mark.parametrize("minutes", [0.5, 59.9, 6000])
def test_no_line_is_longer_than_a_terminal_of_80_columns(title, minutes, drawn):
    last = drawn(80, title, FACTS | {"loss": 1.234e-05, "rate": 1.234e-05}, minutes)[-1]
    for part in (" 50%", "loss 1.234e-05", "log_loss 0.2345", "rate 1.234e-05", " left"):
        assert part in last


def test_a_title_is_no_markup(drawn):
    assert "[red]a.csv" in drawn(120, "[red]a.csv")[-1]


def test_a_part_shows_the_progress_of_the_whole():
    class Told(Quiet):
        def __init__(self) -> None:
            self.done: list[float] = []
            self.said: list[str] = []

        def step(self, done, facts):
            self.done.append(done)

        def say(self, sentence):
            self.said.append(sentence)

    whole = Told()
    part = Part(whole, 2, 5)
    part.step(0.5, {})
    part.say("back to step 3")
    part.close()
    assert whole.done == [pytest.approx(0.5)]
    assert whole.said == ["back to step 3"]
