"""From what a user passes to raw rows and answers: pictures, and what is refused of them. Tables: test_base.py."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

import decet
from decet import CNN, BadInput, DataWarning, ImageClassifier, Recipe
from decet.data import datasets

QUICK = Recipe(epochs=1, batch=8)
TINY = CNN(layers=(4, "pool", "gap"))


def picture(seed: int, size: tuple[int, int] = (12, 12), colour: bool = True) -> Image.Image:
    """Noise, brighter with the seed."""
    rng = np.random.default_rng(seed)
    shape = (*size[::-1], 3) if colour else size[::-1]
    return Image.fromarray(rng.integers(0, 100 + seed % 2 * 100, shape, dtype=np.uint8))


@pytest.fixture
def photos(tmp_path):
    """Twelve pictures of two classes."""
    for name, first in (("cat", 0), ("dog", 1)):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for i in range(6):
            picture(2 * i + first).save(tmp_path / "photos" / name / f"{i}.png")
    return tmp_path / "photos"


def refused(call) -> str:
    with pytest.raises(BadInput) as caught:
        call()
    return str(caught.value)


def model() -> ImageClassifier:
    return ImageClassifier(TINY, recipe=QUICK)


@pytest.mark.filterwarnings("ignore")
def test_a_folder_of_classes_is_learned_and_its_files_are_answered_by_name(photos):
    fitted = model().fit(photos)
    assert fitted.classes_.tolist() == ["cat", "dog"]
    records = list(fitted.records(photos / "cat"))
    assert [record["file"].rsplit("/")[-1] for record in records] == [f"{i}.png" for i in range(6)]
    assert all(record["answer"] in ("cat", "dog") and sum(record["probabilities"].values()) for record in records)
    assert fitted.predict(photos / "dog" / "1.png").shape == (1,)
    assert 0.0 <= fitted.score(photos) <= 1.0
    assert fitted.evaluate(photos)["accuracy"] == fitted.score(photos)


@pytest.mark.filterwarnings("ignore")
def test_arrays_lists_and_a_table_of_paths_give_the_same_answers(photos, tmp_path):
    files = sorted(photos.rglob("*.png"))
    names = [file.parent.name for file in files]
    lines = [
        "file,kind",
        *(f"photos/{file.relative_to(photos)},{name}" for file, name in zip(files, names, strict=True)),
    ]
    (tmp_path / "labels.csv").write_text("\n".join(lines))
    stack = np.stack([np.asarray(Image.open(file)) for file in files])
    by_array = model().fit(stack, names).predict_proba(stack)
    np.testing.assert_allclose(model().fit(list(stack), names).predict_proba(stack), by_array, atol=1e-6)
    np.testing.assert_allclose(model().fit([str(f) for f in files], names).predict_proba(stack), by_array, atol=1e-6)
    by_table = model().fit(tmp_path / "labels.csv", "kind")
    assert by_table.target_names_ == ("kind",)
    np.testing.assert_allclose(by_table.predict_proba(stack), by_array, atol=1e-6)


def test_an_unreadable_picture_is_told_when_few_and_left_out_of_answers(photos):
    for i in range(40):
        picture(i).save(photos / ("cat", "dog")[i % 2] / f"more{i}.png")
    (photos / "cat" / "0.png").write_text("not a picture at all")
    with pytest.warns(DataWarning, match=r"1 of 52 pictures could not be read"):
        fitted = model().fit(photos)
    assert fitted.provenance_["rows"] == 51
    with pytest.warns(DataWarning, match=r"1 of 52 pictures could not be read: .*0\.png"):
        assert fitted.evaluate(photos)["accuracy"] is not None
    assert "1 of 52 pictures could not be read" in refused(lambda: fitted.predict(photos))
    records = list(fitted.records(photos))
    told = [record for record in records if record["error"]]
    assert len(told) == 1
    assert told[0]["answer"] is None
    assert told[0]["probabilities"] == {"cat": None, "dog": None}
    assert told[0]["file"].endswith("0.png")
    assert len({tuple(record) for record in records}) == 1  # all have the same keys


@pytest.mark.filterwarnings("ignore")
def test_public_sets_give_their_official_part_and_a_set_of_tables_is_refused(data_folder):
    fitted = ImageClassifier(TINY, recipe=Recipe(steps=3, batch=8)).fit(datasets.load("digits"))
    assert fitted.provenance_["data"] == "digits"
    assert fitted.target_names_ == ("digit",)
    told = refused(lambda: model().fit("iris"))
    assert told == "the public set 'iris' holds tables, and ImageClassifier takes pictures."


def test_what_cannot_be_learned_from_is_refused(photos, tmp_path):
    array = np.zeros((4, 8, 8), np.uint8)
    assert refused(lambda: model().fit(array)) == (
        "ImageClassifier needs an answer for each picture: a folder of class folders (photos/cat/1.jpg), a table of "
        "paths and labels, or y."
    )
    assert refused(lambda: model().fit(array, [1, 2])) == "there are 4 pictures but y has 2 answers."
    assert "one class only" in refused(lambda: model().fit(array, [1, 1, 1, 1]))
    assert refused(lambda: model().fit("mnits")).endswith("Did you mean 'mnist'?")
    assert refused(lambda: model().fit(photos, validation=photos / "cat")) == (
        "validation must be (X, y), or pictures that have answers, as a folder of class folders."
    )
    (tmp_path / "empty").mkdir()
    assert "empty" in refused(lambda: model().fit(tmp_path / "empty"))


@pytest.mark.filterwarnings("ignore")
def test_a_saved_model_reads_pictures_as_before(photos, tmp_path):
    fitted = model().fit(photos, out=tmp_path / "model")
    loaded = decet.load(tmp_path / "model")
    assert decet.verify(tmp_path / "model").ok
    np.testing.assert_allclose(loaded.predict_proba(photos), fitted.predict_proba(photos), atol=1e-6)
    grey = np.zeros((2, 12, 12), np.uint8)
    assert "training had 3" in refused(lambda: loaded.predict(grey))
