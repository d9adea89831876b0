"""Named public sets: the list, the look-up, the download, the readers."""

from __future__ import annotations

import dataclasses
import gzip
import hashlib
import http.server
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from decet.data import datasets
from decet.data.datasets import DATASETS, Dataset, File, find, load, locate, names
from decet.errors import BadInput

CONTENT = b"a,b\n1,2\n" * 100_000


@pytest.fixture
def shared(data_folder, monkeypatch, tmp_path):
    """The folder of real data, and a cache of the test's own."""
    monkeypatch.setenv("DECET_DATA", str(data_folder))
    monkeypatch.setenv("DECET_CACHE", str(tmp_path))
    return data_folder


@pytest.fixture
def empty(monkeypatch, tmp_path):
    """A user without data: neither DECET_DATA nor anything in the cache, which lies in tmp_path."""
    monkeypatch.delenv("DECET_DATA", raising=False)
    monkeypatch.setenv("DECET_CACHE", str(tmp_path))
    return tmp_path


@pytest.fixture
def home():
    """A home page on this machine: {path: bytes to serve}, and the address."""
    pages: dict[str, bytes] = {}

    class Page(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            content = pages.get(self.path)
            self.send_response(200 if content is not None else 404)
            self.send_header("Content-Length", str(len(content or b"")))
            self.end_headers()
            short = self.path.startswith("/short")
            self.wfile.write((content or b"")[: 10 if short else None])

        def log_message(self, *arguments):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield pages, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def made(file):
    return Dataset("made", "Made", "table", "2 rows", "CC0", "https://example.org/made", files=(file,))


def known(content=CONTENT, path="made/t.csv", **changed):
    return dataclasses.replace(File(path, hashlib.sha256(content).hexdigest(), len(content)), **changed)


def refused(call, *arguments):
    """The sentence with which the call is refused."""
    with pytest.raises(BadInput) as caught:
        call(*arguments)
    return str(caught.value)


# ----------------------------------------------------------------------------------------------------------- the list


def test_every_entry_is_whole():
    assert names() == sorted(DATASETS)
    assert {"adult", "iris", "wine", "breast-cancer", "diabetes", "digits", "mnist", "cora", "etth1"} <= set(names())
    for dataset in DATASETS.values():
        assert dataset.title
        assert dataset.rows
        assert dataset.licence
        assert dataset.home.startswith(("https://", "http://"))
        assert dataset.status == ("ready" if dataset.reader else "planned")
        assert dataset.files or dataset.reader in ("bundled", "karate")
        for file in dataset.files:
            assert len(file.sha256) == 64
            assert file.bytes > 0
            assert not Path(file.path).is_absolute()
            assert ".." not in Path(file.path).parts
            assert file.url is None or file.url.startswith("https://")


def test_terms_that_restrict_use_are_marked():
    assert {name for name, dataset in DATASETS.items() if dataset.restricted} == {
        "movielens-100k",
        "bbc",
        "brown",
        "multi30k",
        "thucnews",
    }


def test_files_of_the_shared_folder_are_the_listed_ones(shared):
    for dataset in DATASETS.values():
        for file in dataset.files:
            assert (shared / file.path).stat().st_size == file.bytes


def test_names_that_are_none():
    assert refused(find, "adlut") == "there is no public set 'adlut'. Did you mean 'adult'?"
    assert refused(load, "digits!") == "there is no public set 'digits!'. Did you mean 'digits'?"
    assert refused(load, "bccd") == (
        "decet knows the set 'bccd' but does not read it yet. It reads adult, bbc, breast-cancer, chnsenticorp, "
        "cifar10, citeseer, cora, corpus-en, diabetes, digits, iris, karate, mnist, pubmed, rt-polarity, thucnews, "
        "tinyshakespeare, wikitext-2, wine, word-tests."
    )
    assert refused(load, "iris", "test") == ("'iris' has no official test part. Load all of it, and split it by seed.")
    assert "split must be one of 'train', 'validation', 'test', 'all'. Received: 'tset'." in refused(
        load, "iris", "tset"
    )


# ------------------------------------------------------------------------------------------------------------ readers


@pytest.mark.parametrize(
    ("name", "shape", "target", "answers"),
    [
        ("iris", (150, 4), "species", {"setosa", "versicolor", "virginica"}),
        ("wine", (178, 13), "cultivar", {"class_0", "class_1", "class_2"}),
        ("breast-cancer", (569, 30), "diagnosis", {"malignant", "benign"}),
        ("diabetes", (442, 10), "progression", None),
        ("digits", (1797,), "digit", set(range(10))),
    ],
)
def test_bundled_sets_need_nothing_else(empty, name, shape, target, answers):
    loaded = load(name)
    assert loaded.X.shape == shape
    assert loaded.target == loaded.y.name == target
    assert len(loaded.y) == shape[0]
    assert answers is None or set(loaded.y) == answers
    assert loaded.splits is None
    assert loaded.description.startswith(DATASETS[name].title)


def test_digits_are_pictures(empty):
    pixels = load("digits").X.pixels((8, 8), 1).pixels
    assert DATASETS["digits"].kind == "images"
    assert pixels.dtype == np.uint8
    assert (pixels.min(), pixels.max()) == (0, 255)
    assert pixels[0, 0, :, 0].tolist() == [0, 0, 80, 207, 143, 16, 0, 0]  # 0 0 5 13 9 1 0 0 of 16


def test_mnist_is_what_it_is_known_for(shared):
    loaded = load("mnist")
    assert loaded.X.shape == (70_000,)
    assert loaded.target == loaded.y.name == "label"
    assert loaded.y[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
    train, test = loaded.splits["train"], loaded.splits["test"]
    assert np.bincount(loaded.y[train]).tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert np.bincount(loaded.y[test]).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    pixels = loaded.X.take(train).pixels((28, 28), 1).pixels
    assert pixels.mean() == pytest.approx(33.318, abs=0.001)
    part = load("mnist", "test")
    assert part.splits is None
    assert part.y[:5].tolist() == [7, 2, 1, 0, 4]
    assert np.array_equal(
        part.X.take([0]).pixels((28, 28), 1).pixels, loaded.X.take([60_000]).pixels((28, 28), 1).pixels
    )


def test_cifar10_is_what_it_is_known_for(shared):
    loaded = load("cifar10")
    assert loaded.X.shape == (60_000,)
    assert loaded.target == "label"
    assert loaded.y.value_counts().tolist() == [6_000] * 10
    assert loaded.y.unique().tolist() == [
        *("airplane", "automobile", "bird", "cat", "deer"),
        *("dog", "frog", "horse", "ship", "truck"),
    ]
    train = loaded.X.take(loaded.splits["train"])
    assert len(train) == 50_000
    assert len(loaded.splits["test"]) == 10_000
    assert all(name.startswith("train/") for name in train.names)
    few = train.take(np.arange(0, 50_000, 25))  # every 25th, of all classes: a second, not ten
    pixels = few.pixels((32, 32), 3)
    assert pixels.bad == []
    assert pixels.pixels.mean((0, 1, 2)) / 255 == pytest.approx([0.4913, 0.4821, 0.4465], abs=0.006)
    test = loaded.splits["test"]
    assert loaded.X.names[test[0]] == "test/airplane/0000.jpg"
    assert loaded.y[test].value_counts().tolist() == [1_000] * 10


def test_the_list_of_sets_loads_no_picture_library():
    code = "import sys, decet.data.datasets; print({'PIL', 'torch', 'numpy'} & set(sys.modules))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout == "set()\n"


def test_adult_has_its_official_parts(shared):
    loaded = load("adult")
    assert loaded.X.shape == (48_842, 14)
    assert loaded.X.columns.tolist()[:5] == ["age", "workclass", "fnlwgt", "education", "education-num"]
    assert loaded.target == "income"
    assert loaded.y.value_counts().to_dict() == {"<=50K": 37_155, ">50K": 11_687}
    assert loaded.X.isna().any(axis=1).sum() == 2_399 + 1_221
    train, test = load("adult", "train"), load("adult", "test")
    assert train.y.value_counts().to_dict() == {"<=50K": 24_720, ">50K": 7_841}
    assert test.y.value_counts().to_dict() == {"<=50K": 12_435, ">50K": 3_846}
    assert loaded.splits["train"].tolist() == list(range(32_561))
    assert loaded.X.iloc[loaded.splits["test"]].reset_index(drop=True).equals(test.X)
    assert test.X.iloc[0].tolist()[:4] == [25, "Private", 226_802, "11th"]


def counted(y) -> dict:
    return {label: int(count) for label, count in y.value_counts().items()}


def test_bbc_is_what_it_is_known_for(shared):
    loaded = load("bbc")
    assert counted(loaded.y) == {"sport": 511, "business": 510, "politics": 417, "tech": 401, "entertainment": 386}
    assert loaded.target == loaded.y.name == "topic"
    assert len(set(loaded.X.texts)) == 2_127
    assert loaded.X.files[0] == "bbc/business/001.txt"
    assert loaded.X[0].startswith("Ad sales boost Time Warner profit\n")
    assert loaded.X.remarks == [
        "1 file that is no text was left out: README.TXT.",
        "1 file is not in utf-8 and read as cp1252: 199.txt.",
    ]
    assert refused(load, "bbc", "test").startswith("'bbc' has no official test part.")


def test_rt_polarity_is_what_it_is_known_for(shared):
    loaded = load("rt-polarity")
    assert counted(loaded.y) == {"positive": 5_331, "negative": 5_331}
    assert loaded.X[0].startswith("the rock is destined to be the 21st century's new")
    assert loaded.X[5_331].startswith("simplistic , silly and tedious")
    assert (loaded.y[0], loaded.y[5_331]) == ("positive", "negative")


def test_chnsenticorp_is_what_it_is_known_for(shared):
    loaded = load("chnsenticorp")
    assert counted(loaded.y) == {1: 5_322, 0: 2_444}
    assert loaded.X[0].startswith("距离川沙公路较近")
    assert sum(not text for text in loaded.X.texts) == 1


def test_thucnews_has_official_parts(shared):
    loaded = load("thucnews")
    assert {part: len(rows) for part, rows in loaded.splits.items()} == {"train": 10_000, "test": 10_000}
    assert set(loaded.y[:10_000].value_counts()) == {1_000}
    assert (loaded.X[0], loaded.y[0]) == ("体验2D巅峰 倚天屠龙记十大创新概览", "game")
    test = load("thucnews", "test")
    assert test.X.texts == loaded.X.take(loaded.splits["test"]).texts
    assert test.y.tolist() == loaded.y[10_000:].tolist()


@pytest.mark.parametrize(
    ("name", "begins"),
    [
        ("corpus-en", ""),
        ("tinyshakespeare", "First Citizen:\nBefore we proceed"),
        ("wikitext-2", " \n = Robert"),
        ("word-tests", "Hundreds of people have been forced"),
    ],
)
def test_plain_texts_are_a_stream_without_answers(shared, name, begins):
    loaded = load(name)
    assert (loaded.y, loaded.target) == (None, "")
    piece = next(iter(loaded.X))
    assert len(piece) > 1_000
    assert piece.startswith(begins)


def test_texts_may_have_official_parts(shared):
    assert load("tinyshakespeare").splits is None
    whole, parts = load("wikitext-2"), [load("wikitext-2", part) for part in ("train", "validation", "test")]
    assert sorted(whole.splits) == ["test", "train", "validation"]
    sizes = [sum(map(len, part.X)) for part in parts]
    assert sizes[0] > 8 * max(sizes[1:])
    assert sum(sizes) == sum(map(len, whole.X))
    assert [next(iter(part.X))[:14] for part in parts] == [" \n = Valkyria ", " \n = Homarus g", " \n = Robert <u"]
    assert "has no official test part" in refused(load, "tinyshakespeare", "test")


# ----------------------------------------------------------------------------------------------------------- look-up


def test_the_folder_of_the_user_comes_first(empty, monkeypatch):
    own = empty / "own"
    for folder in (own, empty):
        (folder / "made").mkdir(parents=True)
        (folder / "made" / "t.csv").write_bytes(CONTENT)
    file = known()
    assert locate(made(file), file) == empty / "made" / "t.csv"
    monkeypatch.setenv("DECET_DATA", str(own))
    assert locate(made(file), file) == own / "made" / "t.csv"


def test_a_set_is_here_when_all_its_files_are(empty):
    bccd = find("bccd")
    assert datasets.here(find("iris"))
    assert not datasets.here(bccd)
    path = empty / bccd.files[0].path
    path.parent.mkdir(parents=True)
    path.write_bytes(b"")
    assert datasets.here(bccd)


def test_a_file_comes_before_a_set_of_its_name_but_a_folder_does_not(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    Path("iris").mkdir()
    Path("wine").write_text("a,b\n1,2\n")
    assert [datasets.means_set(name) for name in ("iris", "wine", "iris.csv", "-")] == [True, False, False, False]


def test_the_cache_is_where_the_system_says(monkeypatch, tmp_path):
    for name in ("DECET_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    assert datasets._cache() == tmp_path / ".cache" / "decet"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert datasets._cache() == tmp_path / "xdg" / "decet"


def test_a_wrong_file_is_refused(empty):
    path = empty / "made" / "t.csv"
    path.parent.mkdir()
    path.write_bytes(CONTENT[:-1])
    file = known()
    assert refused(locate, made(file), file) == (
        f"{str(path)!r} is not the file decet knows: its checksum differs (799,999 bytes, expected 800,000). Delete "
        f"it, or put the right file there (sha256 {file.sha256})."
    )


def test_a_checksum_is_taken_once_until_the_file_changes(empty, monkeypatch):
    path = empty / "made" / "t.csv"
    path.parent.mkdir()
    path.write_bytes(CONTENT)
    file, reads = known(), []
    right = datasets._is_right
    monkeypatch.setattr(datasets, "_is_right", lambda raw, file: reads.append(1) or right(raw, file))
    for _ in range(3):
        locate(made(file), file)
    assert len(reads) == 1
    path.write_bytes(b"X" + CONTENT[1:])
    os.utime(path, ns=(time.time_ns(), time.time_ns() + 1))
    assert "its checksum differs" in refused(locate, made(file), file)


def test_a_cache_that_cannot_be_written_is_no_obstacle(empty, monkeypatch):
    own = empty / "own" / "made"
    own.mkdir(parents=True)
    (own / "t.csv").write_bytes(CONTENT)
    (empty / "file").write_text("")
    monkeypatch.setenv("DECET_DATA", str(empty / "own"))
    monkeypatch.setenv("DECET_CACHE", str(empty / "file"))
    file = known()
    assert locate(made(file), file) == own / "t.csv"


def test_other_packing_of_the_same_contents_is_right(empty):
    path = empty / "made" / "t.csv.gz"
    path.parent.mkdir()
    path.write_bytes(gzip.compress(CONTENT, 1, mtime=7))
    file = File("made/t.csv.gz", "0" * 64, 10, contents=hashlib.sha256(CONTENT).hexdigest())
    assert locate(made(file), file) == path
    path.write_bytes(b"\x1f\x8b damaged")
    assert "its checksum differs" in refused(locate, made(file), file)


# ---------------------------------------------------------------------------------------------------------- download


def test_a_file_is_downloaded_once_with_progress(empty, home):
    pages, address = home
    pages["/t.csv"] = CONTENT
    file, seen = known(url=f"{address}/t.csv"), []
    path = locate(made(file), file, progress=lambda done, total: seen.append((done, total)))
    assert path == empty / "made" / "t.csv"
    assert path.read_bytes() == CONTENT
    assert seen[-1] == (800_000, 800_000)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert [file.name for file in path.parent.iterdir()] == ["t.csv"]
    pages.clear()
    assert locate(made(file), file) == path


def test_a_home_that_does_not_pack_is_packed_here(empty, home):
    pages, address = home
    pages["/t.csv"] = CONTENT
    file = File("t.csv.gz", "0" * 64, 50_000, f"{address}/t.csv", hashlib.sha256(CONTENT).hexdigest())
    path = locate(made(file), file)
    assert gzip.decompress(path.read_bytes()) == CONTENT
    assert locate(made(file), file) == path


def test_a_download_that_gives_another_file_leaves_nothing(empty, home):
    pages, address = home
    pages["/t.csv"] = b"<html>moved</html>"
    file = known(url=f"{address}/t.csv")
    assert refused(locate, made(file), file) == (
        f"'made' needs the file made/t.csv, which is not in {empty}, and what {address}/t.csv gives is another file "
        f"(its checksum differs). Get it from https://example.org/made and put it at {empty}/made/t.csv, or set "
        "DECET_DATA to a folder that has it."
    )
    assert not (empty / "made").exists()


def test_a_download_that_never_ends_is_stopped(empty, home):
    pages, address = home
    pages["/t.csv"] = CONTENT * 10
    file = known(b"small", url=f"{address}/t.csv")
    assert refused(locate, made(file), file) == (
        f"{address}/t.csv gives more than 262,244 bytes, but made/t.csv has 5."
    )


def test_a_download_that_fails_says_where_to_put_the_file(empty, home):
    _, address = home
    file = known(url=f"{address}/none.csv")
    told = refused(locate, made(file), file)
    assert (
        f"'made' needs the file made/t.csv, which is not in {empty}, and the download from {address}/none.csv" in told
    )
    assert f"failed (Not Found). Get it from https://example.org/made and put it at {empty}/made/t.csv" in told
    nobody = known(url="http://127.0.0.1:9/t.csv")
    assert "failed ([Errno 111] Connection refused)" in refused(locate, made(nobody), nobody)
    elsewhere = known(url="file:///etc/hostname")
    assert refused(locate, made(elsewhere), elsewhere) == "'file:///etc/hostname' is no web address."


def test_a_download_cut_short_leaves_nothing(empty, home):
    pages, address = home
    pages["/short.csv"] = CONTENT
    file = known(url=f"{address}/short.csv")
    assert "made/t.csv" in refused(locate, made(file), file)
    assert not list(empty.rglob("*.csv"))


def test_a_file_without_an_address_is_asked_for(empty):
    file = known()
    assert refused(locate, made(file), file) == (
        f"'made' needs the file made/t.csv, which is not in {empty}. Get it from https://example.org/made and put it "
        f"at {empty}/made/t.csv, or set DECET_DATA to a folder that has it."
    )


def test_a_full_disk_leaves_no_part_of_a_file(empty, home, monkeypatch):
    pages, address = home
    pages["/t.csv"] = CONTENT
    file = known(url=f"{address}/t.csv")

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    assert "No space left on device" in refused(locate, made(file), file)
    assert list((empty / "made").iterdir()) == []


def test_official_parts_are_apart(shared):
    parts = load("adult").splits
    assert not np.intersect1d(parts["train"], parts["test"]).size


def test_a_citation_graph_has_its_public_split(data_folder: Path) -> None:
    cora = load("cora")
    assert (cora.X.count, cora.X.edges.shape[1], cora.X.shape[1]) == (2_708, 5_278, 1_433)
    assert {part: len(rows) for part, rows in cora.splits.items()} == {"train": 140, "validation": 500, "test": 1_000}
    test = load("cora", "test")
    assert (len(test.X), test.X.count, test.part) == (1_000, 2_708, "test")
    assert test.X.answers.tolist() == test.y.tolist()


def test_the_karate_club_comes_with_decet() -> None:
    club = load("karate")
    degrees = club.X.degrees()
    assert (club.X.count, club.X.edges.shape[1], int(degrees[0]), int(degrees[33])) == (34, 78, 16, 17)
    assert club.y.value_counts().to_dict() == {"Mr. Hi": 17, "Officer": 17}
