"""Folders, zip files and IDX files: what is a picture, which class it has, and what is refused unread."""

from __future__ import annotations

import gzip
import io
import struct
import zipfile

import numpy as np
import pytest

from decet.data import archives
from decet.data.archives import idx_pair, lay_out, member_bytes, members_of, read_idx, walk
from decet.data.decoding import Unreadable
from decet.errors import BadInput


def refused(call, *arguments):
    with pytest.raises(BadInput) as caught:
        call(*arguments)
    return str(caught.value)


# ---------------------------------------------------------------------------------------------------------- layouts


def test_a_class_is_the_folder_below_the_root_however_deep_the_picture():
    layout = lay_out(["cat/1.jpg", "owl/night/2.PNG", "cat/0.jpg"], ["cat", "owl", "owl/night"], "photos")
    assert layout.names == ["cat/0.jpg", "cat/1.jpg", "owl/night/2.PNG"]
    assert layout.labels == ["cat", "cat", "owl"]
    assert layout.remarks == []


def test_pictures_alone_have_no_classes():
    assert lay_out(["b.png", "a.png"], [], "photos") == (["a.png", "b.png"], None, [])


def test_a_folder_around_everything_is_looked_into():
    layout = lay_out(
        ["faces/README", "faces/s1/1.pgm", "faces/s2/1.pgm"], ["faces", "faces/s1", "faces/s2"], "faces.zip"
    )
    assert layout.labels == ["s1", "s2"]
    assert layout.remarks == ["1 file that is no picture was left out: README."]
    assert lay_out(["cat/1.jpg", "cat/2.jpg"], ["cat"], "photos").labels == ["cat", "cat"]


def test_what_is_no_picture_is_counted_and_told():
    files = ["cat/1.jpg", "cat/Thumbs.db", "owl/1.jpg", "owl/.hidden.jpg", "notes.txt", ".git/x.png", "lone.jpg"]
    layout = lay_out([*files, "__MACOSX/cat/._1.jpg"], ["cat", "owl", "empty", "bare", ".git"], "photos")
    assert layout.names == ["cat/1.jpg", "owl/1.jpg"]
    assert layout.remarks == [
        "1 picture lies beside the class folders of photos, without a class, and was left out.",
        "2 class folders hold no picture and were left out: 'bare', 'empty'.",
        "5 files that are no pictures were left out: ._1.jpg, .hidden.jpg, Thumbs.db, notes.txt, x.png.",
    ]


def test_official_parts_are_read_by_name():
    files = [f"{part}/{c}/{i}.jpg" for part in ("train", "Val", "test") for c in "ab" for i in range(2)]
    layout = lay_out(files, [], "set")
    assert layout.names == ["train/a/0.jpg", "train/a/1.jpg", "train/b/0.jpg", "train/b/1.jpg"]
    assert layout.labels == ["a", "a", "b", "b"]
    assert layout.remarks == ["set has official parts (train, validation, test); the train part was read."]
    assert lay_out(files, [], "set", "test").names[0] == "test/a/0.jpg"
    assert lay_out(files, [], "set", "validation").names[0] == "Val/a/0.jpg"
    assert lay_out(files, [], "set", "all").names[::4] == ["train/a/0.jpg", "Val/a/0.jpg", "test/a/0.jpg"]
    assert lay_out([f"all/{name}" for name in files], [], "set", "test").labels == ["a", "a", "b", "b"]


def test_parts_that_are_none():
    classes = ["train/1.jpg", "car/1.jpg"]  # a class may be called train
    assert lay_out(classes, [], "set").labels == ["car", "train"]
    assert refused(lay_out, classes, [], "set", "test") == (
        "set has no official part 'test'. It has no folders train and test."
    )
    files = ["train/a/1.jpg", "test/a/1.jpg"]
    assert refused(lay_out, files, [], "set", "validation") == (
        "set has no official part 'validation'. It has train, test."
    )


def test_nothing_to_read():
    assert refused(lay_out, [], ["a"], "photos") == (
        "photos holds no pictures. It is empty; pictures are files such as .jpg, .jpeg, .jfif, .png, .webp and 8 more."
    )
    assert refused(lay_out, ["a.txt", "b.csv"], [], "photos") == (
        "photos holds no pictures. It has a.txt, b.csv; pictures are files such as .jpg, .jpeg, .jfif, .png, .webp and "
        "8 more."
    )
    assert refused(lay_out, ["train-images-idx3-ubyte.gz"], [], "mnist") == (
        "mnist holds no pictures. It has IDX files: give the path of one, as mnist/train-images-idx3-ubyte.gz."
    )


def test_links_to_folders_are_followed_once(tmp_path):
    (tmp_path / "cat").mkdir()
    (tmp_path / "cat" / "1.jpg").write_bytes(b"")
    (tmp_path / "cat" / "round").symlink_to(tmp_path)
    files, folders = walk(tmp_path)
    assert files == ["cat/1.jpg"]
    assert folders == ["cat", "cat/round"]


# -------------------------------------------------------------------------------------------------------------- zip


def zipped(path, members, method=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_members_are_read_as_they_were_packed(tmp_path, method):
    path = zipped(tmp_path / "a.zip", {"a/1.jpg": b"one" * 99, "猫/2.jpg": b"", "d/": b""}, method)
    files, folders = members_of(path)
    assert list(files) == ["a/1.jpg", "猫/2.jpg"]
    assert folders == ["d"]
    with path.open("rb") as archive:
        assert [member_bytes(archive, member) for member in files.values()] == [b"one" * 99, b""]


@pytest.mark.parametrize(
    "name",
    ["../evil.jpg", "a/../../evil.jpg", "/etc/evil.jpg", "C:/evil.jpg", "a\\..\\..\\evil.jpg", "\\\\host\\evil.jpg"],
)
def test_a_zip_that_writes_outside_is_refused(tmp_path, name):
    path = zipped(tmp_path / "a.zip", {"cat/1.jpg": b"", name: b""})
    told = refused(members_of, path)
    assert told == (
        f"{str(path)!r} is refused: its member {name!r} lies outside of the folder it would be unpacked to."
    )


def forged(path, **changed):
    """A zip with one member, whose entry in the list of members says something else."""
    zipped(path, {"cat/1.jpg": b"x" * 1_000})
    raw = bytearray(path.read_bytes())
    entry = raw.rindex(b"PK\x01\x02")
    places = {
        "flags": (8, "<H"),
        "method": (10, "<H"),
        "packed": (20, "<I"),
        "size": (24, "<I"),
        "attributes": (38, "<I"),
    }
    for name, value in changed.items():
        struct.pack_into(places[name][1], raw, entry + places[name][0], value)
    path.write_bytes(raw)
    return path


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"flags": 1}, "its member 'cat/1.jpg' is locked with a password. Unpack it, and give the folder."),
        ({"attributes": 0o120777 << 16}, "its member 'cat/1.jpg' is a link. Pack the files themselves."),
        ({"method": 12}, "is packed by method 12; stored and deflated ones (zip's usual) are read."),
        ({"size": 0xF0000000}, "its member 'cat/1.jpg' would unpack to 4.0 GB, at most 1.1 GB are read."),
        ({"size": 1 << 28}, "would grow 20,648,881-fold, which no picture does."),
        (
            {"packed": 0xFFFFFF},
            "it would unpack to 0.0 GB from 0.0 MB, which no zip of pictures does. Unpack it yourself",
        ),
    ],
)
def test_what_no_zip_of_pictures_has_is_refused_unread(tmp_path, changed, reason):
    told = refused(members_of, forged(tmp_path / "a.zip", **changed))
    assert reason.replace("20,648,881", f"{(1 << 28) / _packed(tmp_path):,.0f}") in told


def _packed(folder):
    with zipfile.ZipFile(zipped(folder / "same.zip", {"cat/1.jpg": b"x" * 1_000})) as archive:
        return archive.infolist()[0].compress_size


def test_a_terabyte_in_all_is_refused_unread(tmp_path, monkeypatch):
    path = zipped(tmp_path / "a.zip", {f"cat/{i}.jpg": b"x" * 1_000 for i in range(100)})
    monkeypatch.setattr(archives, "MOST_UNPACKED", 99_999)
    assert "is refused: it would unpack to 0.0 GB from" in refused(members_of, path)
    monkeypatch.setattr(archives, "MOST_UNPACKED", 100_000)
    assert len(members_of(path)[0]) == 100


def test_no_more_is_unpacked_than_was_said(tmp_path):
    path = forged(tmp_path / "a.zip", size=10)
    (member,) = members_of(path)[0].values()
    with path.open("rb") as archive, pytest.raises(Unreadable, match="^damaged: it is not what was packed$"):
        member_bytes(archive, member)
    with path.open("rb") as archive, pytest.raises(Unreadable, match="^damaged: its place in the zip holds something"):
        member_bytes(archive, member._replace(offset=3))
    other = member._replace(size=1_000)
    raw = bytearray(path.read_bytes())
    raw[30 + len("cat/1.jpg")] ^= 0xFF
    with pytest.raises(Unreadable, match="^damaged"):
        member_bytes(io.BytesIO(raw), other)


def test_what_is_no_zip(tmp_path):
    path = tmp_path / "a.zip"
    path.write_bytes(b"PK\x03\x04 and no more")
    assert refused(members_of, path) == f"{str(path)!r} is no zip file, or damaged: File is not a zip file."


# -------------------------------------------------------------------------------------------------------------- IDX


def idx(array):
    return bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


PIXELS = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)


@pytest.mark.parametrize(("suffix", "pack"), [("", bytes), (".gz", gzip.compress)])
def test_labels_are_found_beside_the_pictures(tmp_path, suffix, pack):
    path = tmp_path / f"t10k-images-idx3-ubyte{suffix}"
    path.write_bytes(pack(idx(PIXELS)))
    pictures, labels = idx_pair(path)
    assert np.array_equal(pictures, PIXELS)
    assert labels is None
    (tmp_path / "t10k-labels-idx1-ubyte").write_bytes(idx(np.array([7, 9], dtype=np.uint8)))
    assert idx_pair(path)[1].tolist() == [7, 9]
    (tmp_path / "t10k-labels-idx1-ubyte").write_bytes(idx(np.array([7], dtype=np.uint8)))
    assert refused(idx_pair, path) == (f"{str(path)!r} holds 2 pictures, but t10k-labels-idx1-ubyte 1 labels.")


def test_idx_files_that_are_none(tmp_path):
    path = tmp_path / "train-images-idx3-ubyte"
    path.write_bytes(b"\0\0\x08\x01" + idx(PIXELS)[4:])
    assert refused(read_idx, path, 3, "pictures") == (
        f"{str(path)!r} is no IDX file of pictures: it begins with 0x00000801, not 0x00000803."
    )
    path.write_bytes(idx(PIXELS)[:-1])
    assert refused(read_idx, path, 3, "pictures") == (
        f"{str(path)!r} says it holds 2 x 3 x 4 bytes, but it holds less."
    )
    path.write_bytes(idx(PIXELS) + b"x")
    assert "2 x 3 x 4 bytes, but it holds more." in refused(read_idx, path, 3, "pictures")
    path.write_bytes(idx(PIXELS)[:9])
    assert "says it holds nothing" in refused(read_idx, path, 3, "pictures")
    path.write_bytes(bytes([0, 0, 8, 3]) + b"\xff" * 12)
    assert "4,294,967,295 bytes, but it holds less." in refused(read_idx, path, 3, "pictures")
    packed = tmp_path / "train-images-idx3-ubyte.gz"
    packed.write_bytes(gzip.compress(idx(PIXELS))[:-9])
    assert f"{str(packed)!r} is cut short or damaged: " in refused(read_idx, packed, 3, "pictures")
