"""What the README shows is run: its Python block by block, its command lines one by one."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.S)


@pytest.mark.filterwarnings("ignore")
def test_the_python_of_the_readme_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    assert len(blocks("python")) == 10
    for block in blocks("python"):
        exec(block, names)
    assert (tmp_path / "model" / "model.json").exists()


def test_the_command_lines_of_the_readme_run(tmp_path: Path) -> None:
    lines = [line for block in blocks("console") for line in block.splitlines()]
    assert len(lines) >= 8
    (tmp_path / "corpus.txt").write_text(README, encoding="utf-8")
    for line in lines:
        command = [sys.executable, "-m", "decet", *shlex.split(line)[1:]]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=os.environ, check=False)
        assert done.returncode == 0, f"{line}\n{done.stderr}"


def test_the_two_commands_are_in_the_makefile() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for command in ("make demo", "make test"):
        assert f"    {command}" in README
        assert f"\n{command.split()[1]}:" in makefile


def test_every_source_file_stands_in_the_tree() -> None:
    missing = [
        str(path.relative_to(ROOT))
        for path in sorted((ROOT / "src" / "decet").rglob("*.py"))
        if path.name != "__init__.py" and not re.search(rf"\b{re.escape(path.name)}\b", README)
    ]
    assert not missing


def test_the_map_is_what_decet_cells_prints(capsys: pytest.CaptureFixture[str]) -> None:
    from decet.cli import main

    assert main(["cells"]) == 0
    shown = "".join(f"    {line}\n" if line else "    \n" for line in capsys.readouterr().out.splitlines())
    assert [line.rstrip() for line in shown.splitlines()] == [
        line.rstrip() for line in README.split("in brackets is planned.\n\n")[1].splitlines()
    ]
