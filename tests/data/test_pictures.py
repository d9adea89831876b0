"""A sequence of pictures: decoded once, shared by its parts, in memory or in a file, or block by block."""

from __future__ import annotations

import pickle
import threading
import time

import numpy as np
import pytest
from PIL import Image
from sklearn.model_selection import train_test_split

from decet.data import pictures
from decet.data.decoding import decode
from decet.data.pictures import Pictures, read_pictures
from decet.errors import BadInput

RNG = np.random.default_rng(0)


@pytest.fixture
def photos(tmp_path):
    """Forty photographs of several sizes in two classes, each of one colour: 5 i of 255."""
    for i in range(40):
        path = tmp_path / "photos" / ("cat" if i < 20 else "owl") / f"{i:02}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8 + i % 3, 8), (5 * i,) * 3).save(path)
    return tmp_path / "photos"


@pytest.fixture
def counted(monkeypatch):
    """How many pictures have been decoded."""
    done: list[int] = []

    def counting(raw, way):
        done.append(1)
        return decode(raw, way)

    monkeypatch.setattr(pictures, "decode", counting)
    return done


@pytest.fixture
def cramped(monkeypatch, tmp_path):
    """A machine with hardly any memory, and a cache of the test's own."""
    monkeypatch.setenv("DECET_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(pictures, "free_memory", lambda: 4_000)
    return tmp_path / "cache" / "pictures"


def levels(pixels):
    """The grey of each picture's first pixel."""
    return pixels.reshape(len(pixels), -1)[:, 0].tolist()


def spoil(folder, *names):
    for name in names:
        path = folder / name
        path.write_bytes(path.read_bytes()[:45])  # the header, and the first bytes of the pixels


# --------------------------------------------------------------------------------------------------------- a sequence


def test_pictures_are_a_sequence_with_names(photos):
    read, answers, target = read_pictures(photos)
    assert (len(read), read.shape, repr(read)) == (40, (40,), "Pictures(40)")
    assert answers.tolist() == ["cat"] * 20 + ["owl"] * 20
    assert target == ""
    assert read.names[:2] == read.files[:2] == ["cat/00.png", "cat/01.png"]
    arrays, _, _ = read_pictures(np.zeros((1_002, 4, 4), dtype=np.uint8))
    assert arrays.names[1_001] == "picture 1,001"
    assert arrays.files is None


def test_a_picture_by_its_number_has_its_own_size(photos):
    read, _, _ = read_pictures(photos)
    assert read[2].shape == (8, 10, 3)
    assert read[2].max() == 10
    assert read[-1].max() == 5 * 39
    spoil(photos, "cat/03.png")
    with pytest.raises(BadInput, match=r"^cat/03\.png could not be read \(truncated\)\.$"):
        read[3]


def test_parts_are_taken_as_arrays_are_indexed(photos):
    read, answers, _ = read_pictures(photos)
    assert read[3:5].names == ["cat/03.png", "cat/04.png"]
    assert read.take([7, 3]).names == read[np.array([7, 3])].names == ["cat/07.png", "cat/03.png"]
    assert read[answers == "owl"].names[0] == "owl/20.png"
    assert read.take([39]).take([0]).names == ["owl/39.png"]
    train, test, y_train, _ = train_test_split(read, answers, test_size=0.25, random_state=0)
    assert (len(train), len(test)) == (30, 10)
    assert all(name.startswith(label) for name, label in zip(train.names, y_train, strict=True))


def test_headers_are_looked_at_without_decoding(photos, counted):
    read, _, _ = read_pictures(photos)
    spoil(photos, "cat/00.png")  # the header is whole
    heads = read.peek()
    assert {(head.height, head.width) for head in heads} == {(8, 8), (8, 9), (8, 10)}
    assert len(heads) == 40
    assert len(read.peek(7)) == 7
    assert not counted


def test_pictures_can_be_sent_to_another_process(photos):
    read, _, _ = read_pictures(photos)
    before = read.pixels((8, 8), 1).pixels
    sent = pickle.dumps(read)
    assert len(sent) < 20_000
    assert np.array_equal(pickle.loads(sent).pixels((8, 8), 1).pixels, before)


# ----------------------------------------------------------------------------------------------------------- decoding


def test_pictures_are_decoded_once_and_parts_share_them(photos, counted):
    read, _, _ = read_pictures(photos)
    seen = []
    whole = read.pixels((8, 8), 1, progress=lambda done, total: seen.append((done, total)))
    assert whole.pixels.shape == (40, 8, 8, 1)
    assert levels(whole.pixels) == [5 * i for i in range(40)]
    assert whole.sizes[:3].tolist() == [[8, 8], [8, 9], [8, 10]]
    assert seen == [(16, 40), (32, 40), (40, 40)]
    assert len(counted) == 40
    assert read.pixels((8, 8), 1).pixels.base is whole.pixels.base
    part = read.take(np.arange(10, 20)).pixels((8, 8), 1)
    assert np.shares_memory(part.pixels, whole.pixels)
    assert levels(read.take([5, 2, 5]).pixels((8, 8), 1).pixels) == [25, 10, 25]
    assert len(counted) == 40
    read.pixels((8, 8), 3)
    assert len(counted) == 80


def test_of_a_whole_only_what_is_new_is_decoded(photos, counted):
    read, _, _ = read_pictures(photos)
    read.take(np.arange(30)).pixels((8, 8), 1)
    assert len(counted) == 30
    assert levels(read.pixels((8, 8), 1).pixels) == [5 * i for i in range(40)]
    assert len(counted) == 40


def test_two_parts_decoded_in_turn_do_not_displace_each_other(photos, counted):
    read, _, _ = read_pictures(photos)
    train, test = read.take(np.arange(30)), read.take(np.arange(30, 40))
    for _ in range(3):
        assert levels(train.pixels((8, 8), 1).pixels) == [5 * i for i in range(30)]
        assert levels(test.pixels((8, 8), 1).pixels) == [5 * i for i in range(30, 40)]
    assert len(counted) == 40
    read.pixels((8, 8), 1)
    assert len(counted) == 40
    assert len(read._origin.stores) == 1  # the whole stands for both


def test_few_unreadable_pictures_are_left_out_and_told(photos):
    (photos / "cat" / "00.png").write_text("not found")
    spoil(photos, "owl/39.png")
    read, _, _ = read_pictures(photos)
    decoded = read.pixels((8, 8), 1)
    assert decoded.bad == [(0, "no picture: text"), (39, "truncated")]
    assert (decoded.pixels[[0, 39]] == 0).all()
    assert decoded.sizes[0].tolist() == [0, 0]
    found, kept = read.readable((8, 8), 1)
    assert kept.tolist() == list(range(1, 39))
    assert found.names == read.names[1:39]
    assert found.remarks == [
        "2 of 40 pictures could not be read and were left out: cat/00.png (no picture: text), owl/39.png (truncated)."
    ]
    assert levels(found.pixels((8, 8), 1).pixels) == [5 * i for i in range(1, 39)]


def test_pictures_kept_lie_together_without_a_copy(photos, counted):
    spoil(photos, "cat/07.png")
    read, _, _ = read_pictures(photos)
    found, _ = read.readable((8, 8), 1)
    first, second = found.pixels((8, 8), 1).pixels, found.pixels((8, 8), 1).pixels
    assert np.shares_memory(first, second)
    assert levels(first) == [5 * i for i in range(40) if i != 7]
    assert read.pixels((8, 8), 1).bad == [(7, "truncated")]
    assert levels(read.pixels((8, 8), 1).pixels)[6:9] == [30, 0, 40]
    assert len(counted) == 40  # nothing twice


def test_many_unreadable_pictures_are_refused(photos):
    spoil(photos, "cat/00.png", "cat/01.png", "cat/02.png")
    with pytest.raises(BadInput) as caught:
        read_pictures(photos)[0].readable((8, 8), 1)
    assert str(caught.value) == (
        "3 of 40 pictures could not be read: cat/00.png (truncated), cat/01.png (truncated), cat/02.png (truncated). "
        "That is more than 5%: take them out, or mend them."
    )


def test_a_file_taken_away_meanwhile_is_told(photos):
    read, _, _ = read_pictures(photos)
    (photos / "cat" / "00.png").unlink()
    assert read.pixels((8, 8), 1).bad == [(0, "not there")]


def test_what_moves_is_told_once(tmp_path):
    frames = [Image.new("L", (8, 8), 50 * i) for i in range(3)]
    for name in "ab":
        frames[0].save(tmp_path / f"{name}.gif", save_all=True, append_images=frames[1:])
    frames[0].save(tmp_path / "c.gif")
    read, _, _ = read_pictures(tmp_path)
    assert read.readable((8, 8), 1)[0].remarks == [
        "2 pictures have more than one frame; the first was used. Say frames=... (--inputs.frames) to read clips."
    ]
    found, _ = read.readable((8, 8), 1, 3)
    assert found.remarks == []
    clips = found.pixels((8, 8), 1, 3).pixels
    assert clips[:, :, 0, 0, 0].tolist() == pytest.approx(np.array([[0, 50, 100], [0, 50, 100], [0, 0, 0]]), abs=2)


def test_copies_have_one_group(photos):
    for name in ("cat/00.png", "owl/30.png"):
        (photos / "owl" / f"z{name[4:]}").write_bytes((photos / name).read_bytes())
    read, _, _ = read_pictures(photos)
    groups = read.copies()
    assert groups[:40].tolist() == list(range(40))
    assert [read.names[i] for i in np.flatnonzero(groups == 0)] == ["cat/00.png", "owl/z00.png"]
    assert groups[-1] == read.names.index("owl/30.png")
    for name in ("cat/00.png", "cat/01.png"):  # unreadable ones are no copies of one another
        spoil(photos, name)
    assert len(set(read_pictures(photos)[0].copies()[:2].tolist())) == 2


# -------------------------------------------------------------------------------------------------------- in a file


def test_what_does_not_fit_in_memory_lies_in_a_file_that_is_used_again(photos, cramped, counted):
    spoil(photos, "cat/07.png")
    read, _, _ = read_pictures(photos)
    found, kept = read.readable((8, 8), 3)
    pixels = found.pixels((8, 8), 3).pixels
    assert isinstance(pixels.base, np.memmap) or isinstance(pixels, np.memmap)
    assert levels(pixels) == [5 * i for i in range(40) if i != 7]
    (folder,) = cramped.iterdir()
    assert sorted(path.name for path in folder.iterdir()) == ["pixels.npy", "rest.npz"]
    assert found.remarks[1] == (
        "decoded, the pictures take 0.0 GB, more than a quarter of the free memory; they are kept in "
        f"{str(folder)!r}, which may be deleted afterwards."
    )
    count = len(counted)
    again, kept_again = read_pictures(photos)[0].readable((8, 8), 3)
    assert len(counted) == count
    assert np.array_equal(kept, kept_again)
    assert again.remarks == found.remarks
    assert np.array_equal(again.pixels((8, 8), 3).pixels, pixels)
    assert np.array_equal(again.pixels((8, 8), 3).sizes, found.pixels((8, 8), 3).sizes)


def test_a_file_is_made_anew_where_a_picture_changed_or_it_is_damaged(photos, cramped, counted):
    read_pictures(photos)[0].pixels((8, 8), 3)
    (folder,) = cramped.iterdir()
    Image.new("RGB", (8, 8), (255,) * 3).save(photos / "cat" / "00.png")
    assert levels(read_pictures(photos)[0].pixels((8, 8), 3).pixels)[:2] == [255, 5]
    assert len(list(cramped.iterdir())) == 2
    (folder,) = set(cramped.iterdir()) - {folder}
    (folder / "rest.npz").write_bytes(b"PK damaged")
    count = len(counted)
    assert levels(read_pictures(photos)[0].pixels((8, 8), 3).pixels)[:2] == [255, 5]
    assert len(counted) == count + 40


def test_a_scattered_part_of_a_file_gets_a_file_of_its_own(photos, cramped, counted):
    read, _, _ = read_pictures(photos)
    read.pixels((8, 8), 3)
    part = read.take(np.arange(0, 40, 2)).pixels((8, 8), 3).pixels
    assert levels(part) == [10 * i for i in range(20)]
    assert len(list(cramped.iterdir())) == 2
    assert len(counted) == 40  # copied from the other file


def test_an_interrupted_file_leaves_nothing(photos, cramped, monkeypatch):
    def stop(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        read_pictures(photos)[0].pixels((8, 8), 3, progress=stop)
    assert list(cramped.iterdir()) == []


def test_a_full_disk_is_told(photos, cramped, monkeypatch):
    monkeypatch.setattr(pictures.shutil, "disk_usage", lambda path: pictures.shutil._ntuple_diskusage(10, 5, 5))
    with pytest.raises(BadInput) as caught:
        read_pictures(photos)[0].pixels((8, 8), 3)
    assert str(caught.value) == (
        f"decoded, the pictures take 0.0 GB, more than fits in memory, and {str(cramped)!r} has 0.0 GB free. Set "
        "DECET_CACHE to a folder with more room, or ask for smaller pictures, as inputs=Images(size=64)."
    )


def test_arrays_that_are_as_asked_are_never_copied(cramped):
    array = RNG.integers(0, 256, (100, 8, 8, 3), dtype=np.uint8)
    assert np.shares_memory(read_pictures(array)[0].pixels((8, 8), 3).pixels, array)
    assert not cramped.exists()


def test_arrays_with_channels_first_go_to_a_file_where_a_copy_would_not_fit(cramped):
    array = RNG.integers(0, 256, (100, 3, 8, 8), dtype=np.uint8)
    pixels = read_pictures(array)[0].pixels((8, 8), 3).pixels
    assert np.array_equal(pixels, np.moveaxis(array, 1, -1))
    assert len(list(cramped.iterdir())) == 1


def test_free_memory_is_what_the_machine_has():
    assert 10**7 < pictures.free_memory() < 10**14


# ---------------------------------------------------------------------------------------------------------- streams


@pytest.mark.parametrize("known", [False, True])
def test_a_stream_gives_what_pixels_gives(photos, known):
    spoil(photos, "cat/07.png")
    read, _, _ = read_pictures(photos)
    expected = read_pictures(photos)[0].pixels((8, 8), 1).pixels
    if known:
        read.pixels((8, 8), 1)
    blocks = list(read.stream((8, 8), 1, block=12))
    assert [len(block) for block, _ in blocks] == [12, 12, 12, 4]
    assert np.array_equal(np.concatenate([block for block, _ in blocks]), expected)
    reasons = [reason for _, reasons in blocks for reason in reasons]
    assert reasons == [None] * 7 + ["truncated"] + [None] * 32


def test_a_stream_is_never_more_than_three_blocks_ahead(photos, counted):
    read, _, _ = read_pictures(photos)
    stream = read.stream((8, 8), 1, block=4)
    for number in range(1, 6):
        next(stream)
        time.sleep(0.05)
        assert len(counted) <= 4 * (number + 2)
    before = threading.active_count()
    stream.close()
    time.sleep(0.05)
    assert threading.active_count() <= before
    assert len(counted) <= 28
    assert Pictures(read._origin).shape == (40,)
