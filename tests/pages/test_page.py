"""Pages: whole, safe, without network or script; what a page of each kind of data shows; what is refused."""

from __future__ import annotations

import html.parser
import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_diabetes, load_digits, load_iris

import decet
from decet import (
    DNN,
    GNN,
    ImageClassifier,
    NodeClassifier,
    Recipe,
    TableClassifier,
    TableRegressor,
    TextClassifier,
)
from decet.data.datasets import load
from decet.errors import BadInput
from decet.estimators.reading import DataWarning
from decet.pages.page import comparison_page, report
from decet.referee.compare import compare
from decet.referee.comparison import Comparison
from decet.referee.verdict import Result

TINY, SHORT = DNN(width=8, depth=1), Recipe(epochs=2, members=1)
EVIL = "<script>alert('x')</script>&\"'"
pytestmark = pytest.mark.filterwarnings("ignore")
VOID, DRAWN = ("meta", "img"), ("line", "circle", "polyline", "polygon", "image")  # never closed; may close themselves


class Checked(html.parser.HTMLParser):
    """Every element is closed in order, and nothing is fetched or run."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.feed(page)
        assert self.open == []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        assert tag not in ("script", "link", "iframe", "object")
        for name, value in attributes:
            assert not name.startswith("on")
            assert name not in ("src", "href") or str(value).startswith(("data:image/png;base64,", "#"))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        assert tag in DRAWN
        self.handle_starttag(tag, attributes)
        self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def checked(page: str) -> str:
    """The page's words, after every check."""
    Checked(page)
    assert not re.search(r"https?://|@import|url\(", page)
    assert "prefers-color-scheme: dark" in page
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page.split("</style>")[1]))


@pytest.fixture(scope="module")
def iris() -> TableClassifier:
    X, y = load_iris(return_X_y=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return TableClassifier(TINY, recipe=SHORT).fit(X, y)


def test_the_page_of_a_comparison(tmp_path: Path) -> None:
    found = compare(
        TableClassifier(recipe=SHORT), "iris", families=[TINY], out=tmp_path, command="decet compare <iris>"
    )
    words = checked((tmp_path / "report.html").read_text())
    for shown in (
        found.verdict,
        "TableClassifier on iris",
        "logistic regression",
        "the most common class",
        "Where DNN errs on the test rows",
        "set aside in proportion to the classes",
        "decet compare &lt;iris&gt;",
        "training loss, by epoch",
        "repeat an earlier row",
        "width 8",
        f"decet {decet.__version__}",
    ):
        assert shown in words


def test_failures_and_what_is_undefined_are_shown() -> None:
    failed = [Result("DNN", "family", error="it <diverged>."), Result("ResNet", "family")]
    words = checked(
        comparison_page(
            Comparison(
                "TableClassifier", "", "accuracy", failed, {"train": 5, "test": 3, "how": "x", "targets": []}, "No."
            )
        )
    )
    assert "it &lt;diverged&gt;." in words
    assert "undefined" in words
    assert "given in Python" in words


def test_a_page_read_from_the_folder_has_the_figures_too(tmp_path: Path) -> None:
    compare(TableClassifier(recipe=SHORT), "iris", families=[TINY], out=tmp_path)
    assert "All metrics" in checked(comparison_page(Comparison.read(tmp_path)))


def test_a_report_with_rows_and_without(iris: TableClassifier, tmp_path: Path) -> None:
    X, y = load_iris(return_X_y=True)
    path = report(iris, X, y, out=tmp_path / "a" / "r.html", command="made by hand")
    words = checked(path.read_text())
    for shown in (
        "TableClassifier with DNN",
        "on 150 rows of an array",
        "macro_f1",
        "Commonest confusions",
        "made by hand",
    ):
        assert shown in words
    assert re.search(r"accuracy 0\.\d{3} \(95 % from 0\.\d{3} to [01]\.\d{3}\)", words)
    assert report(iris, out=tmp_path) == tmp_path / "report.html"
    words = checked((tmp_path / "report.html").read_text())
    assert "on rows it was not trained on (5-fold cross-fitting)" in words
    iris.save(tmp_path / "m")
    assert report(tmp_path / "m", out=tmp_path / "m") == tmp_path / "m" / "report.html"
    assert decet.verify(tmp_path / "m")


def test_rows_that_the_model_was_trained_on_are_told(tmp_path: Path) -> None:
    model = TableClassifier(TINY, recipe=SHORT).fit("iris")
    words = checked(report(model, "iris", out=tmp_path / "r.html").read_text())
    assert "The model was trained on rows of iris, so these figures are better than on new rows." in words
    found = load_iris(as_frame=True)
    names = found.target_names[found.target]
    assert "was trained on rows of" not in checked(
        report(model, found.data, names, out=tmp_path / "r.html").read_text()
    )


def test_decet_report_is_the_function_even_after_its_room_was_loaded(iris: TableClassifier, tmp_path: Path) -> None:
    assert decet.report is report
    assert decet.compare is compare


def test_numbers_are_a_cloud(tmp_path: Path) -> None:
    X, y = load_diabetes(return_X_y=True)
    model = TableRegressor(TINY, recipe=SHORT).fit(X, y)
    words = checked(report(model, X[:50], y[:50], out=tmp_path / "r.html").read_text())
    assert "on the diagonal they agree" in words
    assert (tmp_path / "r.html").read_text().count("<circle") == 50


def test_pictures_show_their_mistakes(tmp_path: Path) -> None:
    digits = load_digits()
    pixels = digits.images[:120].astype(np.uint8)
    model = ImageClassifier(TINY, recipe=Recipe(epochs=1)).fit(pixels, digits.target[:120])
    page = report(model, pixels, digits.target[:120], out=tmp_path / "r.html").read_text()
    assert "The surest mistakes" in checked(page)
    assert page.count("data:image/png;base64,") == 24  # each beside where it looked


def test_texts_show_what_the_model_goes_by(tmp_path: Path) -> None:
    texts = [f"{word} {EVIL} 號碼 {i}" for i in range(30) for word in ("good", "bad")]
    model = TextClassifier(TINY, recipe=Recipe(epochs=4, lr=1e-2)).fit(texts, ["好", EVIL] * 30)
    page = report(model, [*texts, "good"], ["好", EVIL] * 30 + [EVIL], out=tmp_path / "r.html").read_text()
    words = checked(page)
    assert "What it goes by" in words
    assert "The most telling words" in words
    assert "rightly 好" in words
    assert re.search(r'<mark class="for" style="--strong:1\.00" title="\+[\d.]+">good</mark>', page)
    assert EVIL not in page


def test_labels_and_columns_are_escaped(tmp_path: Path) -> None:
    frame = pd.DataFrame({EVIL: np.arange(60.0), "b": np.arange(60) % 7})
    y = pd.Series([EVIL, "plain"] * 30, name=EVIL)
    model = TableClassifier(TINY, recipe=SHORT).fit(frame, y)
    page = report(model, frame, y, out=tmp_path / "r.html").read_text()
    checked(page)
    assert "<script" not in page


@pytest.mark.parametrize("answers", [[["a"], ["a", "b"]] * 30, np.array([["a", "b"], ["b", "a"]] * 30)])
def test_sets_and_several_columns_have_figures(answers: Any, tmp_path: Path) -> None:
    X = np.random.default_rng(0).normal(size=(60, 2))
    model = TableClassifier(TINY, recipe=SHORT).fit(X, answers)
    assert "balanced_accuracy" in checked(report(model, X, answers, out=tmp_path / "r.html").read_text())


def test_what_cannot_be_shown_is_told(iris: TableClassifier, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="report needs answers to look at rows: a table with the target column, or y"):
        report(iris, load_iris().data, out=tmp_path / "r.html")
    with pytest.raises(ValueError, match="not fitted"):
        report(TableClassifier(), out=tmp_path / "r.html")
    with pytest.raises(BadInput, match="there is no model folder"):
        report(tmp_path / "none", out=tmp_path / "r.html")
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInput, match=r"the report .* cannot be written"):
        report(iris, out=tmp_path / "file" / "r.html")


def test_doubt_and_what_it_goes_by_stand_on_the_page(iris: TableClassifier, tmp_path: Path) -> None:
    X, y = load_iris(return_X_y=True)
    words = checked(report(iris, X, y, out=tmp_path / "r.html").read_text())
    for shown in (
        "May it be believed?",
        "Calibration error",
        "of the surest 50 %",
        "Sets of labels that should hold the truth 90 % of the time",
        "By true class, the least held first",
        "What it goes by",
        "The surest mistakes",
    ):
        assert shown in words


def test_copies_of_rows_to_train_are_counted(tmp_path: Path) -> None:
    X, y = load_iris(return_X_y=True)
    order = np.random.default_rng(0).permutation(150)
    X, y = (
        np.unique(X[order], axis=0, return_index=True)[0],
        y[order][np.unique(X[order], axis=0, return_index=True)[1]],
    )
    model = TableClassifier(TINY, recipe=SHORT).fit(X[:100], y[:100])
    said = "10 rows are copies of rows that the model was trained on"
    with pytest.warns(DataWarning, match=said):
        path = report(model, X[90:], y[90:], train=(X[:100], y[:100]), out=tmp_path / "r.html")
    assert said in checked(path.read_text())
    words = checked(report(model, X[100:], y[100:], train=(X[:100], y[:100]), out=tmp_path / "r.html").read_text())
    assert "copies of rows" not in words


def test_labels_that_are_likely_wrong_are_shown_with_their_rows(iris: TableClassifier, tmp_path: Path) -> None:
    X, y = load_iris(return_X_y=True, as_frame=True)
    y = y.copy()
    y[3] = 2
    model = TableClassifier(DNN(width=32, depth=1), recipe=Recipe(epochs=30, members=1, lr=1e-2)).fit(X, y)
    page = checked(report(model, train=(X, y), out=tmp_path / "r.html").read_text())
    assert "Labels that are likely wrong petal" in page.replace("sepal", "petal")  # with the columns' names
    assert "row 3 says 2, looks like 0" in page


def test_rows_that_are_others_by_now_are_not_looked_at(tmp_path: Path) -> None:
    X, y = load_iris(return_X_y=True, as_frame=True)
    frame = X.assign(kind=np.where(y == 0, "a", "b"))
    frame.to_csv(tmp_path / "t.csv", index=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = TableClassifier(TINY, recipe=SHORT).fit(str(tmp_path / "t.csv"), "kind")
    whole = report(model, str(tmp_path / "t.csv"), train=str(tmp_path / "t.csv"), out=tmp_path / "r.html")
    assert "150 rows are copies of rows" in checked(whole.read_text())
    frame.iloc[5:].to_csv(tmp_path / "t.csv", index=False)
    with pytest.warns(decet.DataWarning, match="cannot be looked at again: it has changed since."):
        report(model, str(tmp_path / "t.csv"), train=str(tmp_path / "t.csv"), out=tmp_path / "r.html")
    (tmp_path / "t.csv").unlink()
    with pytest.warns(decet.DataWarning, match="cannot be looked at again: "):
        report(model, X, frame["kind"], train=str(tmp_path / "t.csv"), out=tmp_path / "r.html")


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"model": None}, "a fitted estimator or its folder is needed. Received: NoneType."),
        ({"out": None}, "out is where the page goes, a path. Received: NoneType."),
        ({"train": ("iris",)}, r"train is a path, a public set or \(X, y\). Received: a tuple of 1."),
    ],
)
def test_what_no_page_can_be_made_of_is_refused(tmp_path, said, message) -> None:
    model = TableClassifier(recipe=Recipe(epochs=1, members=1)).fit("iris")
    given = {"model": model, "X": "iris", "out": tmp_path / "page.html"} | said
    with pytest.raises(BadInput, match=f"^{message}$"):
        report(given.pop("model"), given.pop("X"), **given)


def test_nodes_stand_among_their_neighbours_and_an_official_part_is_not_what_was_trained_on(
    data_folder: Path, tmp_path: Path
) -> None:
    model = NodeClassifier(GNN(conv="gcn", width=16), views=1, recipe=Recipe(epochs=20)).fit("cora")
    words = checked(report(model, load("cora", "test"), out=tmp_path / "p.html").read_text())
    for shown in ("The graph around mistakes", "Nodes as the network sees them", "ringed: answered wrongly"):
        assert shown in words
    assert "was trained on rows of" not in words
    assert "was trained on rows of cora" in checked(report(model, load("cora"), out=tmp_path / "q.html").read_text())
