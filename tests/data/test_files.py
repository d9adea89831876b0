"""Files as users name them."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from decet.data.files import FAULTS, near, suffix_of, unpacked, unreadable
from decet.errors import BadInput


def test_a_missing_file_is_told_with_what_has_nearly_its_name(tmp_path: Path):
    (tmp_path / "reviews.txt").touch()
    assert near(tmp_path / "review.txt") == " Did you mean 'reviews.txt'?"
    assert near(tmp_path / "quite-another") == ""
    assert near(tmp_path / "nowhere" / "a.txt") == ""


@pytest.mark.parametrize(
    ("name", "suffix"), [("a.csv", ".csv"), ("a.CSV.GZ", ".csv"), ("a.b.txt", ".txt"), ("a.gz", ""), ("a", "")]
)
def test_a_suffix_says_what_a_file_holds_packed_or_not(name: str, suffix: str):
    assert suffix_of(name) == suffix


def test_packed_files_are_unpacked_while_they_are_read(tmp_path: Path):
    (tmp_path / "a.txt.gz").write_bytes(gzip.compress(b"word"))
    (tmp_path / "a.txt").write_bytes(b"word")
    for name in ("a.txt", "a.txt.gz"):
        with unpacked(tmp_path / name) as file:
            assert file.read() == b"word"


def test_what_cannot_be_opened_or_read_is_told(tmp_path: Path):
    with pytest.raises(BadInput, match="cannot be read"):
        unpacked(tmp_path / "none.txt")
    (tmp_path / "a.gz").write_bytes(gzip.compress(b"word" * 10_000)[:50])
    with unpacked(tmp_path / "a.gz") as file, pytest.raises(FAULTS) as caught:
        file.read()
    assert "'a.gz' is cut short or damaged" in str(unreadable("a.gz", caught.value))
