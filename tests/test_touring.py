"""`decet tour`: one page, a line a stop; what is wrong is told in one sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

from decet.cli import main


def test_the_tour_writes_its_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tour", "--families", "DNN", "--out", str(tmp_path / "t")]) == 0
    said = capsys.readouterr()
    assert said.out.startswith("DNN: TableRegressor(DNN()).fit(patients, course)")
    assert (tmp_path / "t" / "tour.html").exists()
    assert "the page is" in said.err


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--families", "DNNN"], "decet: the tour has no stop 'DNNN'. Did you mean 'DNN'?"),
        (["--out", "FILE"], "is a file, not a folder. Choose another --out."),
        (["--out", "FILE/t"], "cannot be written (Not a directory). Choose another folder."),
        (["--sede", "1"], "there is no flag --sede. Did you mean '--seed'?"),
    ],
)
def test_what_is_wrong_is_told(
    arguments: list[str], sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    given = [word.replace("FILE", str(tmp_path / "file")) for word in arguments]
    assert main(["tour", *given]) == 2
    assert sentence in capsys.readouterr().err
