"""Sheets: which pixel stands where, files that are read back the same, and what cannot be written."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from decet.errors import BadInput
from decet.estimators.sheets import GAP, GROUND, MOST, SMALL, sheet, write_frames, write_pictures, write_sheet

RNG = np.random.default_rng(0)


def pictures(count: int = 6, *shape: int) -> np.ndarray:
    return RNG.integers(0, 256, (count, *(shape or (5, 4)))).astype(np.uint8)


def test_a_sheet_by_hand() -> None:
    found = np.asarray(sheet(np.array([[[10, 20]], [[30, 40]], [[50, 60]]], np.uint8), columns=2, enlarged=2))
    g = GROUND
    empty = [g] * 12
    first, second = [g, g, 10, 10, 20, 20, g, g, 30, 30, 40, 40, g, g], [g, g, 50, 50, 60, 60, *[g] * 8]
    wanted = [[*empty, g, g]] * 2 + [first] * 2 + [[*empty, g, g]] * 2 + [second] * 2 + [[*empty, g, g]] * 2
    assert found.tolist() == wanted


@given(st.integers(1, 9), st.integers(1, 5), st.integers(1, 5), st.integers(1, 12), st.integers(1, 3), st.booleans())
def test_every_picture_is_found_in_its_place(
    count: int, high: int, wide: int, columns: int, times: int, coloured: bool
) -> None:
    shown = pictures(count, high, wide, *[3] * coloured)
    laid = np.asarray(sheet(shown, columns, times))
    for place, picture in enumerate(shown):
        row, column = divmod(place, min(columns, count))
        top, left = GAP + row * (times * high + GAP), GAP + column * (times * wide + GAP)
        own = laid[top : top + times * high, left : left + times * wide]
        for i in range(times):
            assert np.array_equal(own[i::times, i::times], picture)


def test_small_pictures_are_enlarged_by_whole_numbers_and_large_ones_are_left() -> None:
    assert sheet(pictures(1, 28, 28)).size == (2 * GAP + 56, 2 * GAP + 56)
    assert sheet(pictures(1, 8, 4)).size == (2 * GAP + 32, 2 * GAP + 64)
    assert sheet(pictures(1, SMALL + 1, 3)).size == (2 * GAP + 3, 2 * GAP + SMALL + 1)
    assert sheet(pictures(1, 300, 200)).size == (2 * GAP + 200, 2 * GAP + 300)


def test_a_sheet_is_about_a_square() -> None:
    assert sheet(pictures(64, 8, 8), enlarged=1).size == (GAP + 8 * (8 + GAP),) * 2
    wide, high = sheet(pictures(50, 30, 10), enlarged=1).size
    assert 0.7 < wide / high < 1.5
    assert sheet(pictures(3, 8, 8), columns=10, enlarged=1).size == (GAP + 3 * (8 + GAP), 2 * GAP + 8)


def test_grey_stays_grey_and_colour_colour() -> None:
    assert sheet(pictures(2, 5, 4)).mode == sheet(pictures(2, 5, 4, 1)).mode == "L"
    assert sheet(pictures(2, 5, 4, 3)).mode == "RGB"


@pytest.mark.parametrize("shape", [(5, 4), (5, 4, 3)])
def test_a_written_sheet_is_the_sheet(shape: tuple[int, ...], tmp_path: Path) -> None:
    shown = pictures(6, *shape)
    path = write_sheet(tmp_path / "deep" / "a.png", shown, columns=3)
    assert path == tmp_path / "deep" / "a.png"
    assert np.array_equal(np.asarray(Image.open(path)), np.asarray(sheet(shown, columns=3)))
    assert [file.name for file in path.parent.iterdir()] == ["a.png"]


def frames_of(path: Path) -> tuple[list[np.ndarray], list[int]]:
    film, found, lasting = Image.open(path), [], []
    for number in range(film.n_frames):
        film.seek(number)
        found.append(np.asarray(film.convert("RGB")))
        lasting.append(film.info["duration"])
    return found, lasting


def test_a_film_shows_each_sheet_for_its_time(tmp_path: Path) -> None:
    sheets = [sheet(pictures(4, 9, 9), enlarged=1) for _ in range(5)]
    found, lasting = frames_of(write_frames(tmp_path / "a.gif", sheets, seconds=0.25))
    assert lasting == [250] * 5
    for frame, wanted in zip(found, sheets, strict=True):
        assert np.array_equal(frame, np.asarray(wanted.convert("RGB")))  # greys are exact


def test_a_sheet_that_stands_still_lasts_longer(tmp_path: Path) -> None:
    one, other = sheet(pictures(4)), sheet(pictures(4))
    found, lasting = frames_of(write_frames(tmp_path / "a.GIF", [one, other, other, other], seconds=0.1))
    assert len(found) == 2
    assert lasting == [100, 300]
    assert len(frames_of(write_frames(tmp_path / "a.gif", [one, one]))[0]) == 1


def test_colours_of_a_film_are_near(tmp_path: Path) -> None:
    ramp = np.linspace(0, 255, 16).astype(np.uint8)
    shown = np.stack(np.broadcast_arrays(ramp[:, None], ramp[None, :], np.uint8(100)), 2)[None]
    sheets = [sheet(shown), sheet(255 - shown)]
    found, _ = frames_of(write_frames(tmp_path / "a.gif", sheets))
    for frame, wanted in zip(found, sheets, strict=True):
        assert np.abs(frame.astype(int) - np.asarray(wanted)).max() < 30


@pytest.mark.parametrize("shape", [(5, 4), (5, 4, 3)])
def test_each_picture_has_its_own_file(shape: tuple[int, ...], tmp_path: Path) -> None:
    shown = pictures(3, *shape)
    paths = write_pictures(tmp_path / "out", shown, ["7-0.png", "7-1.png", "x.PNG"])
    assert [path.relative_to(tmp_path / "out").name for path in paths] == ["7-0.png", "7-1.png", "x.PNG"]
    for path, picture in zip(paths, shown, strict=True):
        assert np.array_equal(np.asarray(Image.open(path)), picture)
    write_pictures(tmp_path / "out", shown[1:2], ["7-0.png"])
    assert np.array_equal(np.asarray(Image.open(paths[0])), shown[1])
    assert len(list((tmp_path / "out").iterdir())) == 3


def test_a_write_that_fails_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_sheet(tmp_path / "a.png", pictures(2))
    before = path.read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(BadInput, match=r"the sheet .*a\.png could not be written \(No space left on device\)"):
        write_sheet(path, pictures(2))
    with pytest.raises(BadInput, match=r"the film .*a\.gif could not be written"):
        write_frames(tmp_path / "a.gif", [sheet(pictures(2))])
    assert [file.name for file in tmp_path.iterdir()] == ["a.png"]
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda at: sheet(pictures(2) / 255), "pictures must be uint8 of shape .* shape \\(2, 5, 4\\), float64."),
        (lambda at: sheet(pictures(2, 3, 5, 4)), r"\(N, H, W\) or \(N, H, W, 3\), .* shape \(2, 3, 5, 4\), uint8."),
        (lambda at: sheet(pictures(2, 5)), r"Received: shape \(2, 5\), uint8."),
        (lambda at: sheet(pictures(0)), r"at least one. Received: shape \(0, 5, 4\), uint8."),
        (lambda at: sheet(pictures(2), columns=0), "columns must be a whole number of at least 1. Received: 0."),
        (lambda at: sheet(pictures(2), enlarged=1.5), "enlarged must be a whole number of at least 1. Received: 1.5."),
        (lambda at: sheet(pictures(2), enlarged=2_000), f"a sheet has at most {MOST:,} pixels. Received: 2 pictures, "),
        (lambda at: write_sheet(at / "a.jpg", pictures(2)), r"a sheet is a \.png. Received: '.*a\.jpg'."),
        (lambda at: write_sheet(at / "file" / "a.png", pictures(2)), r"the sheet .*a\.png cannot be written"),
        (lambda at: write_sheet(at / "folder.png", pictures(2)), r"the sheet .*folder\.png could not be written"),
        (lambda at: write_frames(at / "a.png", [sheet(pictures(2))]), r"a film is a \.gif. Received: '.*a\.png'."),
        (lambda at: write_frames(at / "a.gif", []), "a film must have sheets, all of one size. Received: none."),
        (
            lambda at: write_frames(at / "a.gif", [sheet(pictures(n), 9, 1) for n in (1, 2)]),
            "all of one size. Received: 8 x 9, 14 x 9.",
        ),
        (lambda at: write_frames(at / "a.gif", [sheet(pictures(1))], 0), "seconds must be a number between 0.02 and"),
        (
            lambda at: write_frames(at / "a.gif", [sheet(pictures(1))] * 61, 10.0),
            "a film lasts at most 600 seconds. Received: 61 sheets for 10 seconds each. Show fewer.",
        ),
        (lambda at: write_pictures(at, pictures(2), ["a.png"]), "Received: 2 pictures, 1 names."),
        (
            lambda at: write_pictures(at, pictures(1), ["../a.png"]),
            r"a \.png without a folder.* Received: '\.\./a\.png'",
        ),
        (lambda at: write_pictures(at, pictures(1), ["a.jpg"]), r"a picture's name must be a \.png .* 'a\.jpg'"),
        (lambda at: write_pictures(at, pictures(1), [""]), r"a picture's name must be a \.png .* Received: ''."),
        (lambda at: write_pictures(at, pictures(2), ["a.png"] * 2), r"a name of its own. Received: 'a\.png' twice."),
        (lambda at: write_pictures(at / "file", pictures(1), ["a.png"]), r"the picture .*a\.png cannot be written"),
    ],
)
def test_what_cannot_be_shown_or_written_is_told(call, message: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(BadInput, match=message):
        call(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder.png"]
