"""From what a user passes to raw rows and answers: pictures, texts, what is refused of them. Tables: test_base.py."""

from __future__ import annotations

import gzip
import zipfile
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import decet
from decet import CNN, DNN, BadInput, DataWarning, ImageClassifier, Recipe, TableClassifier, TextClassifier, Texts
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
    told = refused(lambda: TableClassifier().fit("digits"))
    assert told == "the public set 'digits' holds images, and TableClassifier takes tables."


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


# ------------------------------------------------------------------------------------------------------------ texts

NARROW = CNN(width=8, channels=(8,), kernels=(1, 2))
GOOD, BAD = ("a fine room, very clean", "good food and a friendly host"), ("a dirty room", "poor food, rude and slow")


def reader() -> TextClassifier:
    return TextClassifier(NARROW, recipe=QUICK)


def reviews(count: int = 40) -> tuple[list[str], list[str]]:
    """So many texts of two classes, no two alike."""
    texts = [f"{(GOOD, BAD)[i % 2][i // 2 % 2]} {i}" for i in range(count)]
    return texts, ["good" if i % 2 == 0 else "bad" for i in range(count)]


@pytest.fixture
def shelf(tmp_path):
    """reviews/ with two class folders, and the same as reviews.zip, reviews.csv, .tsv, .parquet, .jsonl, .csv.gz."""
    texts, labels = reviews()
    for i, (text, label) in enumerate(zip(texts, labels, strict=True)):
        (tmp_path / "reviews" / label).mkdir(parents=True, exist_ok=True)
        (tmp_path / "reviews" / label / f"{i:02}.txt").write_text(text)
    frame = pd.DataFrame({"stars": range(40), "review": texts, "label": labels, "author": [i // 4 for i in range(40)]})
    frame.to_csv(tmp_path / "reviews.csv", index=False)
    frame.to_csv(tmp_path / "reviews.tsv", index=False, sep="\t")
    frame.to_parquet(tmp_path / "reviews.parquet")
    frame.to_json(tmp_path / "reviews.jsonl", orient="records", lines=True)
    (tmp_path / "reviews.csv.gz").write_bytes(gzip.compress((tmp_path / "reviews.csv").read_bytes()))
    with zipfile.ZipFile(tmp_path / "reviews.zip", "w") as archive:
        for path in (tmp_path / "reviews").rglob("*.txt"):
            archive.write(path, path.relative_to(tmp_path))
    return tmp_path


def test_a_text_classifier_learns_a_list_and_answers_lists_files_and_tables(tmp_path):
    texts, labels = reviews(80)
    fitted = TextClassifier(NARROW, recipe=Recipe(epochs=8, batch=8, lr=1e-2)).fit(texts, labels)
    assert fitted.score(texts, labels) > 0.9
    assert fitted.classes_.tolist() == ["bad", "good"]
    assert fitted.predict(["a clean and friendly room"]).tolist() == ["good"]
    (tmp_path / "a.txt").write_text("a clean and friendly room\nrude and dirty\n")
    assert fitted.predict(tmp_path / "a.txt").tolist() == ["good", "bad"]
    (tmp_path / "a.csv").write_text("n,words\n1,a clean and friendly room\n2,rude and dirty\n")
    assert fitted.predict(str(tmp_path / "a.csv")).tolist() == ["good", "bad"]
    record = next(iter(fitted.records(["rude and dirty"])))
    assert list(record) == ["answer", "probabilities", "set", "unlike"]
    assert record["answer"] == "bad"


@pytest.mark.parametrize(
    "X", [np.array(reviews()[0]), pd.Series(reviews()[0]), tuple(reviews()[0]), [text.split() for text in reviews()[0]]]
)
def test_arrays_columns_and_lists_of_words_are_as_good_as_a_list(X: Any):
    texts, labels = reviews()
    expected = reader().fit(texts, labels).predict_proba(texts)
    np.testing.assert_array_equal(reader().fit(X, labels).predict_proba(X), expected)


@pytest.mark.parametrize("name", ["reviews.csv", "reviews.tsv", "reviews.parquet", "reviews.jsonl", "reviews.csv.gz"])
def test_tables_give_the_column_of_texts(shelf, name: str):
    fitted = reader().fit(shelf / name, "label")
    assert fitted.target_names_ == ("label",)
    assert fitted.feature_names_in_.tolist() == ["review"]
    assert fitted.provenance_["data"] == str(shelf / name)
    texts, labels = reviews()
    np.testing.assert_array_equal(fitted.predict_proba(texts), reader().fit(texts, labels).predict_proba(texts))
    assert fitted.score(str(shelf / name)) == fitted.score(texts, labels)


def test_a_table_in_memory_with_groups_and_a_column_said(shelf):
    frame = pd.read_csv(shelf / "reviews.csv")
    fitted = TextClassifier(NARROW, recipe=QUICK, inputs=Texts(column="review")).fit(frame, "label", groups="author")
    assert fitted.score(frame) == fitted.score(frame, "label")
    told = refused(lambda: reader().fit(frame, "label", groups="autor"))
    assert told == "groups names the column 'autor', which X does not have. Did you mean 'author'?"
    assert fitted.predict(frame.drop(columns=["label", "author"])).shape == (40,)


def test_folders_and_zip_files_of_classes(shelf):
    fitted = reader().fit(shelf / "reviews")
    texts, labels = reviews()
    order = sorted(range(40), key=lambda i: (labels[i], i))
    expected = reader().fit([texts[i] for i in order], [labels[i] for i in order]).predict_proba(texts)
    np.testing.assert_array_equal(fitted.predict_proba(texts), expected)
    np.testing.assert_array_equal(reader().fit(str(shelf / "reviews.zip")).predict_proba(texts), expected)
    records = list(fitted.records(shelf / "reviews" / "good"))
    assert [record["file"].rsplit("/")[-1] for record in records][:2] == ["00.txt", "02.txt"]
    assert fitted.score(shelf / "reviews.zip") == fitted.evaluate(shelf / "reviews")["accuracy"]


def test_validation_may_be_a_pair_a_table_or_a_folder(shelf):
    texts, labels = reviews()
    by_pair = reader().fit(shelf / "reviews.csv", "label", validation=(texts[:20], labels[:20]))
    assert by_pair.provenance_["validation"] == "rows given"
    by_table = reader().fit(shelf / "reviews.csv", "label", validation=shelf / "reviews.tsv")
    by_folder = reader().fit(texts, labels, validation=shelf / "reviews")
    assert by_table.metrics_.keys() == by_pair.metrics_.keys() == by_folder.metrics_.keys()
    assert refused(lambda: reader().fit(texts, labels, validation=texts)) == (
        "validation must be (X, y), or texts that have answers, as a folder of class folders."
    )


def test_the_test_part_of_a_folder_is_for_evaluation(shelf):
    texts, labels = reviews()
    for part, rows in (("train", range(30)), ("test", range(30, 40))):
        for i in rows:
            (shelf / "set" / part / labels[i]).mkdir(parents=True, exist_ok=True)
            (shelf / "set" / part / labels[i] / f"{i}.txt").write_text(texts[i])
    with pytest.warns(DataWarning, match=r"has official parts \(train, test\); the train part was read"):
        fitted = reader().fit(shelf / "set")
    assert fitted.provenance_["rows"] == 30
    with pytest.warns(DataWarning, match="has official parts; the test part was read"):
        assert len(list(fitted.records(shelf / "set"))) == 10


def test_what_is_odd_in_texts_is_counted_and_told():
    texts, labels = reviews()
    with pytest.warns(DataWarning) as told:
        fitted = reader().fit(["", None, *texts, texts[0]], ["bad", "good", *labels, "good"])
    sentences = [str(warning.message) for warning in told]
    assert "2 training texts hold no word, of 43: nothing tells them apart." in sentences
    assert any(sentence.startswith("2 of 43 texts are copies of an earlier one") for sentence in sentences)
    with pytest.warns(DataWarning, match="1 text holds no word, of 2"):
        assert fitted.predict(["", "fine"]).shape == (2,)
    with pytest.warns(DataWarning, match="3 of 3 words were not among those of training"):
        fitted.predict(["bonjour tout monde"])


def test_texts_that_cannot_be_learned_from_are_refused(shelf, tmp_path):
    texts, labels = reviews()
    assert refused(lambda: reader().fit(texts)) == (
        "TextClassifier needs an answer for each text: a folder of class folders (reviews/good/1.txt), a table of "
        "texts and labels, or y."
    )
    assert refused(lambda: reader().fit(texts, labels[:9])) == "there are 40 texts but y has 9 answers."
    assert "one class only" in refused(lambda: reader().fit(texts, ["good"] * 40))
    assert "which can be read once" in refused(lambda: reader().fit((text for text in texts), labels))
    assert refused(lambda: reader().fit(texts, "label")) == (
        "y names a column ('label'), but X is no table, so it has none. Pass the answers."
    )
    assert refused(lambda: reader().fit(shelf / "reviews.csv")) == (
        f"which column of {shelf / 'reviews.csv'} is the target? Say y=... (--target). "
        "Columns: stars, review, label, author."
    )
    assert refused(lambda: reader().fit(shelf / "reviews.csv", "lable")) == (
        "target column 'lable' is not in the table. Did you mean 'label'?"
    )
    lacking = TextClassifier(NARROW, inputs=Texts(column="reveiw"))
    assert refused(lambda: lacking.fit(shelf / "reviews.csv", "label")) == (
        f"{shelf / 'reviews.csv'} has no column 'reveiw' of texts. Did you mean 'review'?"
    )
    (tmp_path / "reviews" / "bad" / "99.txt").write_bytes(b"caf\xe9")
    assert "99.txt' is not utf-8: byte 0xe9 at offset 3 (line 1" in refused(lambda: reader().fit(shelf / "reviews"))
    (tmp_path / "reviews" / "bad" / "99.txt").write_bytes(b"\x00\x01")
    assert "99.txt' is no text: byte 0x00 at offset 0" in refused(lambda: reader().fit(shelf / "reviews"))
    assert "iris' holds tables, and TextClassifier takes texts." in refused(lambda: reader().fit("iris"))


def test_a_text_in_place_of_a_path_is_told(tmp_path):
    fitted = reader().fit(*reviews())
    for text, shown in (("What a fine room.", "What a fine room."), ("很好" * 200, "很好" * 30 + "...")):
        assert refused(lambda text=text: fitted.predict(text)) == (
            f"no such path or public set: {shown!r}. A text itself is given in a list, or to decet predict by --text."
        )
    assert "Did you mean 'bbc'?" in refused(lambda: fitted.predict("bbcc"))
    (tmp_path / "reviews.txt").write_text("fine")
    assert "Did you mean 'reviews.txt'?" in refused(lambda: fitted.predict(str(tmp_path / "review.txt")))


def test_a_table_without_the_column_of_training_is_refused(shelf):
    fitted = reader().fit(shelf / "reviews.csv", "label")
    frame = pd.DataFrame({"reviews": ["fine"], "other": ["a longer text"]})
    told = refused(lambda: fitted.predict(frame))
    assert told == "the data frame has no column 'review' of texts. Did you mean 'reviews'?"


@pytest.mark.filterwarnings("ignore")
def test_another_family_reads_a_bag(shelf):
    fitted = TextClassifier(DNN(width=8, depth=1), recipe=QUICK, inputs=Texts(buckets=256)).fit(shelf / "reviews")
    assert type(fitted.codec_).__name__ == "BagCodec"
    assert fitted.n_features_in_ == 1
    loaded = _saved(fitted, shelf / "model")
    np.testing.assert_allclose(loaded.predict_proba(shelf / "reviews"), fitted.predict_proba(shelf / "reviews"))


def test_a_saved_model_reads_texts_as_before(shelf):
    fitted = reader().fit(shelf / "reviews.csv", "label")
    loaded = _saved(fitted, shelf / "model")
    texts, _ = reviews()
    np.testing.assert_allclose(loaded.predict_proba(texts), fitted.predict_proba(texts), atol=1e-6)
    assert loaded.score(shelf / "reviews.csv") == fitted.score(shelf / "reviews.csv")
    assert "pipeline_tag: text-classification" in (shelf / "model" / "README.md").read_text()


def _saved(fitted: TextClassifier, folder) -> Any:
    fitted.save(folder)
    assert decet.verify(folder).ok
    return decet.load(folder)


def test_a_public_set_without_labels_is_no_training_data(data_folder):
    assert "needs an answer for each text" in refused(lambda: reader().fit("word-tests"))
