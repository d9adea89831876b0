"""What a user may pass as pictures, and what is said of what is none."""

from __future__ import annotations

import gzip
import struct
import zipfile

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from decet.data.origins import Files, Found, Members, origin_of
from decet.data.pictures import Pictures
from decet.errors import BadInput, Unsupported

RNG = np.random.default_rng(0)
COLOURS = RNG.integers(0, 256, (5, 6, 7, 3), dtype=np.uint8)


def found(X, y=None, part=None, clips=False) -> Found:
    return origin_of(X, y, part, clips)


def pixels(X, size=(6, 7), channels=3, frames=None):
    """All pictures of X decoded."""
    return Pictures(found(X).origin).pixels(size, channels, frames).pixels


def refused(X, y=None, part=None):
    with pytest.raises(BadInput) as caught:
        found(X, y, part)
    return str(caught.value)


def picture(path, value=9, size=(6, 4)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (value, value, value)).save(path)
    return path


# ----------------------------------------------------------------------------------------------------------- arrays


def test_channels_stand_last_or_first_or_are_not_there():
    first = np.ascontiguousarray(np.moveaxis(COLOURS, -1, 1))
    for same in (COLOURS, first, torch.from_numpy(COLOURS), torch.from_numpy(first), list(COLOURS), list(first)):
        assert np.array_equal(pixels(same), COLOURS)
    grey = COLOURS[..., 0]
    assert np.array_equal(pixels(grey, channels=1)[..., 0], grey)
    assert np.array_equal(pixels(list(grey), channels=1)[..., 0], grey)
    assert np.array_equal(pixels(grey.tolist(), channels=1)[..., 0], grey)


def test_where_both_could_be_channels_the_last_axis_is():
    both = RNG.integers(0, 256, (2, 3, 5, 3), dtype=np.uint8)
    assert np.array_equal(pixels(both, (3, 5)), both)


def test_an_array_of_bytes_is_not_copied():
    assert np.shares_memory(pixels(COLOURS), COLOURS)


def test_opacity_lies_on_white():
    see_through = np.concatenate([COLOURS, np.zeros_like(COLOURS[..., :1])], -1)
    assert (pixels(see_through) == 255).all()


def test_clips_have_their_frames_before_height():
    clips = RNG.integers(0, 256, (2, 10, 4, 5, 3), dtype=np.uint8)
    assert np.array_equal(pixels(clips, (4, 5), frames=5), clips[:, 1::2])
    assert np.array_equal(pixels(clips, (4, 5)), clips[:, 0])
    assert np.array_equal(pixels(list(clips), (4, 5), frames=10), clips)


@pytest.mark.parametrize(
    ("values", "told", "made"),
    [
        (np.array([0, 0.5, 1], dtype=np.float32), ["pixels that are floats were understood as 0 to 1."], [0, 128, 255]),
        (np.array([-5e-4, 0.5, 1.0005]), ["pixels that are floats were understood as 0 to 1."], [0, 128, 255]),
        (np.array([0, 16.4, 255]), ["pixels that are floats were understood as 0 to 255."], [0, 16, 255]),
        (np.array([0, 16, 255]), [], [0, 16, 255]),
        (
            np.array([0, 257, 65_535], dtype=np.uint16),
            ["whole numbers were understood as 0 to 65,535 (16 bits)."],
            [0, 1, 255],
        ),
        (np.array([False, True, True]), [], [0, 255, 255]),
    ],
)
def test_numbers_become_bytes_by_their_range_which_is_said(values, told, made):
    array = np.tile(values, (2, 3, 1))
    for X in (array, list(array)):
        assert list(found(X).remarks) == told
        assert pixels(X, (3, 3), 1)[0, 0, :, 0].tolist() == made


def test_a_list_of_several_sizes_shares_one_range():
    dark, light = np.full((3, 3), 0.5), np.full((4, 4), 200.0)
    assert list(found([dark, light]).remarks) == ["pixels that are floats were understood as 0 to 255."]
    assert pixels([dark, light], (3, 3), 1)[:, 0, 0, 0].tolist() == [0, 200]


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_value_that_is_not_finite_is_found(value):
    array = np.zeros((1_000, 3, 3), dtype=np.float32)
    array[617, 1, 1] = value
    sentence = f"picture 617 has a value that is not finite ({value}). Take it out, or mend it."
    assert refused(array) == sentence
    assert refused(list(array)) == sentence


def test_numbers_that_are_no_pixels():
    assert refused(np.full((2, 3, 3), -1.5)) == (
        "pixels must be bytes, floats of 0 to 1 or 0 to 255, or 16-bit numbers. Received: -1.5 to -1.5. Give them as "
        "they were before they were standardised."
    )
    assert refused(np.full((2, 3, 3), 70_000)) == (
        "pixels must be bytes, floats of 0 to 1 or 0 to 255, or 16-bit numbers. Received: 70000 to 70000."
    )
    assert refused(np.zeros((2, 3, 3), dtype=complex)) == "pictures must hold bytes or numbers. Received: complex128."


def test_shapes_that_are_no_pictures():
    shapes = "(N, H, W), (N, H, W, C) or (N, C, H, W) with C = 1, 3 or 4; clips have (N, T, H, W, C)"
    assert refused(np.zeros((5, 64))) == (
        f"pictures must have shape {shapes}. Received: shape (5, 64). Did you mean X.reshape(-1, H, W)?"
    )
    assert refused(np.zeros((5, 8, 8, 2))) == f"pictures must have shape {shapes}. Received: shape (5, 8, 8, 2)."
    assert refused(np.zeros((0, 8, 8))) == "X holds no pictures: its shape is (0, 8, 8)."
    assert refused([]) == "X holds no pictures: the list is empty."
    assert refused([np.zeros((2, 2)), np.zeros(3)]) == (
        "picture 1 must be an array (H, W), (H, W, C) or (C, H, W) with C = 1, 3 or 4, a Pillow image or a path. "
        "Received: shape (3,)."
    )
    with pytest.raises(Unsupported, match=r"Received: dict\.$"):
        found({"a": 1})


def test_a_list_may_mix_arrays_images_and_files(tmp_path):
    path = picture(tmp_path / "a.png", 30)
    X = [np.full((2, 2), 10, dtype=np.uint8), Image.new("L", (3, 3), 20), path, str(path)]
    assert pixels(X, (2, 2), 1)[:, 0, 0, 0].tolist() == [10, 20, 30, 30]
    assert [found(X).origin.name(i) for i in range(4)] == ["picture 0", "picture 1", str(path), str(path)]
    objects = np.empty(2, dtype=object)
    objects[:] = [COLOURS[0], COLOURS[1, :3]]
    assert pixels(objects, (6, 7)).shape == (2, 6, 7, 3)
    assert isinstance(found(np.array([str(path)] * 2)).origin, Files)
    assert pixels(Image.new("L", (3, 3), 20), (3, 3), 1).shape == (1, 3, 3, 1)


def test_answers_given_apart_are_passed_on():
    assert found(COLOURS, [1, 2, 3, 4, 5]).answers == [1, 2, 3, 4, 5]
    assert found(COLOURS).answers is None
    assert refused(COLOURS, "label") == (
        "y names a column ('label'), but X is no table of paths, whose columns have names. Pass the answers."
    )


# ------------------------------------------------------------------------------------------------------------ files


def test_folders_and_zips_of_one_layout_give_the_same(tmp_path):
    for name, value in {"cat/1.png": 1, "cat/2.png": 2, "owl/1.png": 3}.items():
        picture(tmp_path / "photos" / name, value)
    (tmp_path / "photos" / "owl" / "note.txt").write_text("x")
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as archive:
        for path in sorted((tmp_path / "photos").rglob("*.*")):
            archive.write(path, path.relative_to(tmp_path))
    for source in (tmp_path / "photos", str(tmp_path / "photos.zip")):
        got = found(source)
        assert got.answers.tolist() == ["cat", "cat", "owl"]
        assert list(got.remarks) == ["1 file that is no picture was left out: note.txt."]
        assert got.origin.name(0).endswith("cat/1.png")
        assert pixels(source, (4, 6), 1)[:, 0, 0, 0].tolist() == [1, 2, 3]
    assert isinstance(found(tmp_path / "photos.zip").origin, Members)


def test_folders_of_frames_are_clips_when_asked(tmp_path):
    for clip in ("run/a", "run/b", "sit/a"):
        for i in range(4):
            picture(tmp_path / "clips" / clip / f"{i}.png", 10 * i + len(clip))
    with zipfile.ZipFile(tmp_path / "clips.zip", "w") as archive:
        for path in sorted((tmp_path / "clips").rglob("*.png")):
            archive.write(path, path.relative_to(tmp_path / "clips"))
    for source in (tmp_path / "clips", tmp_path / "clips.zip"):
        got = found(source, clips=True)
        assert got.answers.tolist() == ["run", "run", "sit"]
        assert [got.origin.name(i) for i in range(3)] == ["run/a", "run/b", "sit/a"]
        decoded = Pictures(got.origin).pixels((4, 6), 1, 2).pixels
        assert decoded[:, :, 0, 0, 0].tolist() == [[15, 35]] * 3
        assert found(source).origin.count == 12


def test_a_table_names_files_beside_it(tmp_path):
    for i in range(3):
        picture(tmp_path / "img" / f"{i}.png", i)
    table = pd.DataFrame({"file": [f"img/{i}.png" for i in (2, 0, 1)], "kind": ["c", "a", "b"], "size": [1, 2, 3]})
    table.to_csv(tmp_path / "labels.csv", index=False)
    table.to_csv(tmp_path / "labels.tsv", index=False, sep="\t")
    for name in ("labels.csv", "labels.tsv"):
        got = found(tmp_path / name, "kind")
        assert got.target == "kind"
        assert list(got.answers) == ["c", "a", "b"]
        assert pixels(tmp_path / name, (4, 6), 1)[:, 0, 0, 0].tolist() == [2, 0, 1]
        assert found(tmp_path / name).answers is None
    several = found(tmp_path / "labels.csv", ["kind", "size"])
    assert several.answers.columns.tolist() == ["kind", "size"]
    table[["file", "kind"]].to_csv(tmp_path / "two.csv", index=False)
    assert found(tmp_path / "two.csv").target == "kind"  # the only other column
    table.rename(columns={"file": "bild"}).to_csv(tmp_path / "other.csv", index=False)
    assert pixels(tmp_path / "other.csv", (4, 6), 1)[:, 0, 0, 0].tolist() == [2, 0, 1]
    assert "target column 'kynd' is not in the table. Did you mean 'kind'?" in refused(tmp_path / "labels.csv", "kynd")


def test_a_table_that_names_what_is_not_there(tmp_path):
    picture(tmp_path / "d.png")
    path = tmp_path / "labels.csv"
    path.write_text("path,label\na.png,1\nd.png,2\nb.png,1\nc.png,2\n")
    assert refused(path, "label") == (
        f"{path} names 3 pictures that are not there: a.png, b.png, c.png. Paths are relative to {str(tmp_path)!r}."
    )
    path.write_text("path,label\na.png,1\nd.png,2\n")
    assert "names a picture that is not there: a.png." in refused(path, "label")
    path.write_text("path,label\nd.png,1\n,2\n")
    assert refused(path, "label") == f"{path} has no path in row 1."
    path.write_text("x,label\n1,1\n2,2\n")
    assert refused(path, "label") == (
        f"which column of {path} holds the paths of pictures? Call one of them path, file, filename, image, picture. "
        "Columns that seem to hold paths: none."
    )
    path.write_text("path,path2\nd.png,d.png\n")
    assert "which cannot be the target too." in refused(path, "path")


def test_idx_and_numpy_files_hold_arrays(tmp_path):
    def idx(array):
        return bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()

    grey = COLOURS[..., 0]
    path = tmp_path / "train-images-idx3-ubyte.gz"
    path.write_bytes(gzip.compress(idx(grey)))
    (tmp_path / "train-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx(np.arange(5, dtype=np.uint8))))
    assert np.array_equal(pixels(path, channels=1)[..., 0], grey)
    assert found(path).answers.tolist() == [0, 1, 2, 3, 4]
    np.save(tmp_path / "x.npy", COLOURS)
    np.savez(tmp_path / "x.npz", images=COLOURS, labels=np.arange(5))
    assert np.array_equal(pixels(tmp_path / "x.npy"), COLOURS)
    assert np.array_equal(pixels(tmp_path / "x.npz"), COLOURS)
    assert found(tmp_path / "x.npz").answers.tolist() == [0, 1, 2, 3, 4]
    np.save(tmp_path / "o.npy", np.array([{}], dtype=object))
    told = refused(tmp_path / "o.npy")
    assert f"{str(tmp_path / 'o.npy')!r} cannot be read: Array can't be memory-mapped: Python objects" in told
    np.savez(tmp_path / "two.npz", a=COLOURS, b=COLOURS)
    assert "must hold pictures as X, and labels as y. It holds a, b." in refused(tmp_path / "two.npz")


def test_paths_that_are_nothing_of_this(tmp_path):
    picture(tmp_path / "a.png")
    (tmp_path / "a.mp4").write_bytes(b"")
    assert found(tmp_path / "a.png").origin.count == 1
    assert (
        refused(tmp_path / "b.png") == f"there is no file or folder {str(tmp_path / 'b.png')!r}. Did you mean 'a.png'?"
    )
    assert "is nothing that pictures are read from: a folder, a .zip, a table of paths (.csv)" in refused(
        tmp_path / "a.mp4"
    )
    assert refused(tmp_path / "a.png", part="test") == (
        f"{str(tmp_path / 'a.png')!r} is one file, which has no official part 'test'; folders and zip files may."
    )
