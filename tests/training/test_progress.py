"""What long work shows: a live line on a terminal, plain lines elsewhere, nothing by default."""

from __future__ import annotations

import io

import pytest

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
