"""`decet generate`: texts on stdout, from a prompt or a pipe; what is wrong is told in one sentence."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

import decet
from decet import LSTM, Recipe, TextGenerator, Transformer
from decet.cli import main
from decet.generating import BETWEEN

TEXT = "the cat sat on the mat. the dog sat on the log. " * 60


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("models") / "g"
    TextGenerator(LSTM(width=32, embedding=32), recipe=Recipe(epochs=20, batch=8, window=32, lr=2e-2)).fit(
        [TEXT], out=out
    )
    return out


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["generate", *arguments]) == 0
    return capsys.readouterr().out


def test_the_prompt_and_what_follows_it_are_printed(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = said(capsys, str(folder), "--prompt", "the cat sat", "--length", "30", "--temperature", "0")
    (text,) = decet.load(folder).generate("the cat sat", length=30, temperature=0.0)
    assert out == f"the cat sat{text}\n"


def test_several_stand_apart_and_differ_and_seeds_repeat_them(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = (str(folder), "--prompt", "the", "--count", "3", "--length", "40", "--temperature", "1.5", "--seed", "4")
    out = said(capsys, *asked)
    assert len(set(out.removesuffix("\n").split(BETWEEN))) == 3
    assert out == said(capsys, *asked)


def test_a_pipe_gives_the_prompt(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("the dog sat\n"))
    out = said(capsys, str(folder), "--prompt", "-", "--length", "5")
    assert out.startswith("the dog sat")
    assert "the dog sat\n" not in out  # the pipe's last line end is none of the prompt's


def test_json_has_a_line_a_text(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = said(capsys, str(folder), "--prompt", "the", "--count", "2", "--length", "8", "--json")
    found = [json.loads(line) for line in out.splitlines()]
    assert [set(one) for one in found] == [{"prompt", "text"}] * 2
    assert all(len(one["text"]) == 8 for one in found)


def test_a_text_ends_where_it_is_told_to(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = said(capsys, str(folder), "--prompt", "the cat", "--temperature", "0", "--stop", ".", "--stop", "dog")
    assert "." not in out
    assert "dog" not in out


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--temperature", "-1"], "temperature must be"),
        (["--top-p", "1.5"], "top_p must be"),
        (["--top-k", "0"], "top_k must be"),
        (["--min-p", "2"], "min_p must be"),
        (["--penalty", "0"], "penalty must be"),
        (["--count", "0"], "count must be"),
        (["--length", "0"], "length must be"),
        (["--stop", ""], "stop must be"),
        (["--temprature", "1"], "temperature"),
        (["--length", "many"], "length"),
    ],
)
def test_what_is_wrong_is_told_in_one_sentence(
    folder: Path, flags: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["generate", str(folder), *flags]) == 2
    told = capsys.readouterr()
    assert message in told.err
    assert "Traceback" not in told.err
    assert told.out == ""


def test_a_model_that_does_not_write_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], recwarn: pytest.WarningsRecorder
) -> None:
    decet.TextClassifier(recipe=Recipe(epochs=1)).fit(["a b", "c d"] * 20, ["x", "y"] * 20).save(tmp_path / "c")
    assert main(["generate", str(tmp_path / "c")]) == 2
    assert "a text-classifier, which neither writes nor draws" in capsys.readouterr().err
    assert main(["generate", str(tmp_path / "none")]) == 2


def test_help_tells_what_there_is_to_say(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["generate", "--help"])
    assert ended.value.code == 0
    shown = capsys.readouterr().out
    for flag in ("--prompt", "--count", "--top-p", "--stop", "--json"):
        assert flag in shown


def test_a_transformer_writes_past_its_context(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    family = Transformer(width=16, depth=1, heads=2, context=16)
    TextGenerator(family, recipe=Recipe(steps=2, batch=4)).fit([TEXT], out=tmp_path / "g")
    out = said(capsys, str(tmp_path / "g"), "--prompt", "the", "--length", "50", "--json")
    assert len(json.loads(out)["text"]) > 16
