"""The verbs and conventions of every estimator: what it takes, what it answers, what it refuses and in which words."""

from __future__ import annotations

import io

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import sparse
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from decet import DNN, BadInput, DataWarning, NotFitted, Recipe, TableClassifier, TableRegressor, Tables, Unsupported
from decet.data import datasets
from decet.data.frames import names_columns
from decet.estimators.asking import CHUNK
from decet.estimators.base import changed

SMALL, QUICK = DNN(hidden=(8,)), Recipe(epochs=3, members=1)
HELD = ("coverage", "set_size", "answered", "accuracy_answered")  # what evaluation tells of sets of labels
RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 3))
SIGN = np.where(X[:, 0] > 0, "up", "down")
FRAME = pd.DataFrame(
    {
        "size": X[:, 0],
        "colour": pd.Categorical(np.where(X[:, 1] > 0, "red", "blue")),
        "day": pd.date_range("2024-01-01", periods=60, freq="11D"),
        "label": RNG.choice(["是", "否"], 60),
        "price": 100 + X[:, 2],
    }
)


def classifier(**settings) -> TableClassifier:
    return TableClassifier(SMALL, **{"recipe": QUICK, **settings})


def regressor(**settings) -> TableRegressor:
    return TableRegressor(SMALL, **{"recipe": QUICK, **settings})


def refused(call, kind=BadInput) -> str:
    with pytest.raises(kind) as caught:
        call()
    return str(caught.value)


@pytest.fixture(scope="module")
def by_array():
    return classifier().fit(X, SIGN)


@pytest.fixture(scope="module")
def by_frame():
    return classifier().fit(FRAME.drop(columns="price"), "label")


# ------------------------------------------------------------------------------------------------- what it is told with


@pytest.mark.parametrize(
    "rows",
    [X, X.tolist(), X.astype(np.float32), pd.DataFrame(X), sparse.csr_array(X), sparse.coo_matrix(X)],
    ids=["array", "lists", "float32", "frame", "sparse array", "sparse matrix"],
)
def test_rows_may_come_as_arrays_lists_frames_and_sparse_matrices(rows):
    model = classifier().fit(rows, SIGN)
    labels = model.predict(rows)
    assert labels.shape == (60,)
    assert set(labels) <= {"up", "down"}
    assert model.n_features_in_ == 3


@pytest.mark.parametrize(
    "rows",
    [[{"a": float(r[0]), "b": "u" if r[1] > 0 else "v"} for r in X], {"a": X[:, 0], "b": X[:, 1]}],
    ids=["list of dicts", "dict of columns"],
)
def test_rows_may_come_as_dicts(rows):
    model = classifier().fit(rows, SIGN)
    assert model.feature_names_in_.tolist() == ["a", "b"]
    assert model.predict(rows).shape == (60,)


def test_lists_may_mix_numbers_and_text():
    rows = [[float(a), "u" if b > 0 else "v"] for a, b, _ in X]
    model = classifier().fit(rows, SIGN)
    assert [c.kind for c in model.codec_.columns] == ["number", "category"]
    assert model.predict([[0.5, "u"], [0.5, "never seen before"]][:1]).shape == (1,)


def test_a_frame_may_hold_its_target(by_frame):
    assert by_frame.target_names_ == ("label",)
    assert by_frame.feature_names_in_.tolist() == ["size", "colour", "day"]
    assert set(by_frame.predict(FRAME)) <= {"是", "否"}
    with_target = by_frame.predict(FRAME.drop(columns="price"))
    np.testing.assert_array_equal(with_target, by_frame.predict(FRAME[["day", "colour", "size"]]))  # in any order


def test_a_table_may_come_as_a_path(tmp_path):
    FRAME.to_csv(tmp_path / "table.csv", index=False)
    FRAME.drop(columns="label").to_csv(tmp_path / "new.csv", index=False)
    model = classifier().fit(tmp_path / "table.csv", "label")
    assert model.predict(str(tmp_path / "new.csv")).shape == (60,)
    assert model.provenance_["data"] == str(tmp_path / "table.csv")
    assert set(model.evaluate(tmp_path / "table.csv")) == {*model.metrics_, *HELD}


def test_a_table_may_come_from_standard_input(monkeypatch):
    text = FRAME.to_csv(index=False).encode()
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text)))
    assert regressor().fit("-", "price").target_names_ == ("price",)


@pytest.mark.parametrize(("name", "make", "target"), [("iris", classifier, "species"), ("diabetes", regressor, None)])
def test_a_public_set_may_be_named(name, make, target):
    model = make(recipe=Recipe(epochs=1, members=1)).fit(name)
    assert model.provenance_["data"] == name
    assert target in (None, *model.target_names_)
    assert set(model.evaluate(name)) - {*HELD, "interval_width"} == set(model.metrics_)
    assert len(model.predict(name)) == model.provenance_["rows"]


def test_a_loaded_set_may_be_given_and_another_of_its_columns_asked_for():
    loaded = datasets.load("iris")
    model = regressor(recipe=Recipe(epochs=1, members=1)).fit(loaded, loaded.X.columns[0])
    assert model.target_names_ == (loaded.X.columns[0],)
    assert loaded.target in model.feature_names_in_


# ------------------------------------------------------------------------------------------------------ what it answers


@pytest.mark.parametrize(
    "labels",
    [
        np.where(X[:, 0] > 0, 7, -3),
        X[:, 0] > 0,
        np.where(X[:, 0] > 0, "高", "低"),
        np.where(X[:, 0] > 0, "a", "b").astype(object),
        np.where(X[:, 0] > 0, 2.0, 5.0),
    ],
    ids=["whole numbers", "booleans", "Chinese", "objects", "round floats"],
)
def test_labels_come_back_in_the_form_they_came_in(labels):
    model = classifier(recipe=Recipe(epochs=20, lr=0.02, members=1)).fit(X, labels)
    answers = model.predict(X)
    assert answers.dtype == labels.dtype
    assert model.classes_.tolist() == sorted(set(labels.tolist()))
    assert (answers == labels).mean() > 0.8


def test_probabilities_are_in_the_order_of_the_classes_and_sum_to_1(by_array):
    chances = by_array.predict_proba(X)
    assert chances.shape == (60, 2)
    np.testing.assert_allclose(chances.sum(1), 1.0, atol=1e-12)
    np.testing.assert_array_equal(by_array.classes_[chances.argmax(1)], by_array.predict(X))


@pytest.mark.parametrize("rows", [1, 2, CHUNK - 1, CHUNK, CHUNK + 1, 60])
def test_an_answer_does_not_depend_on_the_rows_beside_it(by_array, rows):
    whole = by_array.predict_proba(X)
    assert np.array_equal(by_array.predict_proba(X[:rows]), whole[:rows])  # the same bits


def test_numbers_come_back_in_their_units_and_shape():
    y = 1e6 + 50 * X[:, 0]
    model = regressor(recipe=Recipe(epochs=40, lr=0.02, members=1)).fit(X, y)
    answers = model.predict(X)
    assert (answers.shape, answers.dtype) == ((60,), np.float64)
    assert np.abs(answers - y).mean() < 20
    assert model.fit(X, y[:, None]).predict(X).shape == (60, 1)
    assert model.fit(X, np.c_[y, -y]).predict(X).shape == (60, 2)


def test_several_numbers_of_a_frame_come_back_as_a_frame():
    answers = regressor().fit(FRAME, ["size", "price"]).predict(FRAME)
    assert answers.columns.tolist() == ["size", "price"]


def test_several_columns_of_labels_come_back_as_columns():
    y = pd.DataFrame({"a": SIGN, "b": np.digitize(X[:, 1], [-0.5, 0.5])})
    model = classifier().fit(X, y)
    answers = model.predict(X)
    assert answers.columns.tolist() == ["a", "b"]
    assert set(answers["a"]) <= {"up", "down"}
    assert answers["b"].dtype == y["b"].dtype
    assert [chances.shape for chances in model.predict_proba(X)] == [(60, 2), (60, 3)]
    assert [column.tolist() for column in model.classes_] == [["down", "up"], [0, 1, 2]]


@pytest.mark.parametrize("form", [list, tuple, set])
def test_sets_of_labels_come_back_as_sets_of_labels(form):
    sets = [form(["hot"] if a > 0.3 else ["hot", "dry"] if a > -0.3 else []) for a in X[:, 0]]
    model = classifier(recipe=Recipe(epochs=60, lr=0.02, members=1)).fit(X, sets)
    answers = model.predict(X)
    assert all(isinstance(answer, form) for answer in answers)
    assert np.mean([set(a) == set(b) for a, b in zip(answers, sets, strict=True)]) > 0.6
    assert model.predict_proba(X).shape == (60, 2)
    assert set(model.evaluate(X, sets)) == {*model.metrics_, "coverage", "set_size"}


def test_an_indicator_array_comes_back_as_one():
    y = np.c_[X[:, 0] > 0, X[:, 1] > 0, X[:, 2] > 1].astype(int)
    model = classifier().fit(X, y)
    assert model.predict(X).shape == (60, 3)
    assert set(np.unique(model.predict(X))) <= {0, 1}
    assert model.predict_proba(X).shape == (60, 3)


def test_probabilities_as_targets_teach_probabilities():
    share = 1 / (1 + np.exp(-2 * X[:, 0]))
    model = classifier(recipe=Recipe(epochs=80, lr=0.02, members=1)).fit(X, np.c_[share, 1 - share])
    assert np.abs(model.predict_proba(X)[:, 0] - share).mean() < 0.15
    assert model.classes_.tolist() == [0, 1]


def test_the_threshold_decides_and_the_probabilities_stay(by_array):
    eager = classifier(threshold=0.0).fit(X, SIGN)
    assert set(eager.predict(X)) == {"up"}
    np.testing.assert_array_equal(eager.predict_proba(X), by_array.predict_proba(X))


# ------------------------------------------------------------------------------------------------ score and evaluation


def test_score_is_accuracy_of_labels_and_r2_of_numbers(by_array):
    assert by_array.score(X, SIGN) == np.mean(by_array.predict(X) == SIGN)
    y = X[:, 0]
    model = regressor().fit(X, y)
    assert model.score(X, y) == pytest.approx(1 - ((model.predict(X) - y) ** 2).sum() / ((y - y.mean()) ** 2).sum())


def test_score_finds_the_target_in_the_table(by_frame, tmp_path):
    assert by_frame.score(FRAME) == by_frame.score(FRAME, FRAME["label"])
    FRAME.to_csv(tmp_path / "table.csv", index=False)
    assert by_frame.score(tmp_path / "table.csv") == by_frame.score(FRAME)


def test_score_knows_sets_columns_and_gaps():
    sets = [["hot"] if a > 0 else [] for a in X[:, 0]]
    assert 0 <= classifier().fit(X, sets).score(X, sets) <= 1
    columns = pd.DataFrame({"a": SIGN, "b": np.where(X[:, 1] > 0, 1, 0)})
    assert 0 <= classifier().fit(X, columns).score(X, columns) <= 1
    numbers = X[:, :2].copy()
    numbers[3, 0] = np.nan
    assert regressor().fit(X, numbers).score(X, numbers) <= 1


def test_evaluate_gives_all_metrics_of_the_task(by_array, by_frame):
    assert list(by_array.evaluate(X, SIGN)) == [
        "log_loss",
        "accuracy",
        "balanced_accuracy",
        "macro_f1",
        "auc",
        "brier",
        "calibration_error",
        *HELD,
    ]
    assert by_array.evaluate(X, SIGN)["accuracy"] == by_array.score(X, SIGN)
    assert by_frame.evaluate(FRAME) == by_frame.evaluate(FRAME.drop(columns="label"), FRAME["label"])
    assert by_array.evaluate(X[:1], SIGN[:1])["auc"] is None
    found = regressor().fit(X, X[:, 0]).evaluate(X, X[:, 0])
    assert list(found) == ["rmse", "mae", "r2", "coverage", "interval_width"]


def test_regression_is_evaluated_in_the_users_units():
    y = 5000 + 300 * X[:, 0]
    model = regressor().fit(X, y)
    assert model.evaluate(X, y)["mae"] == pytest.approx(np.abs(model.predict(X) - y).mean(), rel=1e-5)


def test_evaluation_without_answers_says_what_is_missing(by_array, by_frame):
    assert refused(lambda: by_frame.evaluate(FRAME.drop(columns="label"))) == (
        "evaluate needs answers: a table with the column label, or y."
    )
    assert refused(lambda: by_array.evaluate(X)) == "evaluate needs answers: y."


# ----------------------------------------------------------------------------------------------------------- records


def test_records_are_json_values_one_dict_an_item(by_array):
    records = list(by_array.records(X[:3]))
    assert [record["answer"] for record in records] == by_array.predict(X[:3]).tolist()
    np.testing.assert_allclose(
        [list(record["probabilities"].values()) for record in records], by_array.predict_proba(X[:3]), atol=1e-6
    )
    assert list(records[0]["probabilities"]) == ["down", "up"]


def test_records_of_numbers_columns_and_sets():
    y = X[:, 0]
    model = regressor().fit(X, y)
    assert [record["answer"] for record in model.records(X[:2])] == pytest.approx(model.predict(X[:2]).tolist())
    several = regressor().fit(FRAME, ["size", "price"])
    assert list(next(iter(several.records(FRAME)))["answer"]) == ["size", "price"]
    columns = pd.DataFrame({"a": SIGN, "b": np.where(X[:, 1] > 0, 1, 0)})
    record = next(iter(classifier().fit(X, columns).records(X)))
    assert list(record["answer"]) == ["a", "b"]
    assert list(record["probabilities"]["b"]) == ["0", "1"]
    sets = [["hot"] if a > 0 else ["dry"] for a in X[:, 0]]
    record = next(iter(classifier().fit(X, sets).records(X)))
    assert set(record["answer"]) <= {"hot", "dry"}
    assert list(record["probabilities"]) == ["dry", "hot"]


# ------------------------------------------------------------------------------------------------------ what it refuses


@pytest.mark.parametrize("make", [classifier, regressor])
@pytest.mark.parametrize(
    "verb",
    [
        lambda model: model.predict(X),
        lambda model: model.evaluate(X, SIGN),
        lambda model: model.score(X, SIGN),
        lambda model: list(model.records(X)),
        lambda model: model.save("nowhere"),
    ],
    ids=["predict", "evaluate", "score", "records", "save"],
)
def test_what_is_not_fitted_says_so_to_decet_and_to_scikit_learn(make, verb):
    model = make()
    message = refused(lambda: verb(model), NotFitted)
    name = type(model).__name__
    assert message == f"This {name} instance is not fitted yet. Call fit, or decet.load a saved model."
    with pytest.raises(NotFittedError):
        verb(model)


def test_pairs_outside_the_map_are_refused_with_the_families_that_can():
    assert refused(lambda: TableClassifier(DNN).fit(X, SIGN), Unsupported) == (
        "family must be settings, not a class. Did you mean DNN()?"
    )
    assert refused(lambda: TableClassifier(Recipe()).fit(X, SIGN), Unsupported) == (
        "TableClassifier cannot use Recipe. It takes DNN (default), ResNet."
    )
    assert refused(lambda: TableRegressor("DNN").fit(X, X[:, 0]), Unsupported) == (
        "TableRegressor cannot use str. It takes DNN (default), ResNet."
    )


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"recipe": {"lr": 1}}, "recipe must be a Recipe. Received: dict."),
        ({"inputs": 3}, "inputs must be a Tables. Received: int."),
    ],
)
def test_parts_of_another_kind_are_refused(settings, sentence):
    assert refused(lambda: classifier(**settings).fit(X, SIGN), Unsupported) == sentence


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"seed": -1}, "seed must be a whole number of at least 0 and below 2**62. Received: -1."),
        ({"seed": 1.5}, "seed must be a whole number of at least 0 and below 2**62. Received: 1.5."),
        ({"seed": True}, "seed must be a whole number of at least 0 and below 2**62. Received: True."),
        ({"label_smoothing": 2}, "label_smoothing must be a number between 0.0 and 0.9. Received: 2."),
        ({"threshold": -1}, "threshold must be a number between 0.0 and 1.0. Received: -1."),
        ({"class_weight": 3}, "class_weight must be None, 'balanced' or a dict of label to weight. Received: 3."),
        (
            {"class_weight": {"upp": 2.0}},
            "class_weight names the label 'upp'. The labels are: down, up.",
        ),
        (
            {"recipe": Recipe(epochs=1, metric="acuracy")},
            "recipe.metric 'acuracy' is not a metric of this task. Did you mean 'accuracy'?",
        ),
    ],
)
def test_settings_are_checked_when_fit_begins(settings, sentence):
    assert refused(lambda: classifier(**settings).fit(X, SIGN)) == sentence


def test_a_seed_of_any_size_works_or_is_refused_in_words():
    assert refused(lambda: classifier(seed=2**70).fit(X, SIGN)).startswith("seed must be a whole number")
    classifier(seed=np.int64(7)).fit(X, SIGN)
    classifier(seed=2**32 + 5).fit(X, SIGN)


def test_devices_that_are_not_there_are_refused():
    assert refused(lambda: classifier(device="gpu").fit(X, SIGN)) == (
        "device 'gpu' cannot be used here (there is no such kind). Try 'cpu', 'cuda' or 'auto'."
    )
    if not torch.cuda.is_available():
        assert refused(lambda: classifier(device="cuda").fit(X, SIGN)).startswith("device 'cuda' cannot be used here")
    assert classifier(device="cpu").fit(X, SIGN).device_.type == "cpu"


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (
            lambda: classifier().fit(X),
            "This TableClassifier estimator requires y to be passed, but the target y is None. Pass answers, or the "
            "name of the target column.",
        ),
        (
            lambda: classifier().fit(X, SIGN[:5]),
            "X has 60 rows but y has 5: inconsistent numbers of samples.",
        ),
        (
            lambda: classifier().fit(FRAME, "lable"),
            "target column 'lable' is not in the table. Did you mean 'label'?",
        ),
        (
            lambda: classifier().fit(X, "label"),
            "y names a column ('label'), but X is an array, whose columns have no names. Pass the answers.",
        ),
        (lambda: classifier().fit("irris"), "no such path or public set: 'irris'. Did you mean 'iris'?"),
        (lambda: classifier().fit("nothing.csv", "y"), "there is no file 'nothing.csv' for X."),
        (lambda: classifier().fit(X, np.zeros(60)), "y has one class only (0.0): nothing to tell apart."),
        (lambda: classifier().fit(X, ["是"] * 60), "y has one class only ('是'): nothing to tell apart."),
        (
            lambda: classifier().fit(X, [f"u{i}" for i in range(60)]),
            "y has 60 classes in 60 rows, too few rows to learn each. Is it an identifier?",
        ),
        (
            lambda: regressor().fit(X, SIGN),
            f"y holds text ({str(SIGN[0])!r} in row 0), TableRegressor needs numbers. Did you mean TableClassifier?",
        ),
        (
            lambda: regressor().fit(X, np.where(np.arange(60) == 3, np.nan, 1.0)),
            "1 value is missing in y (NaN or None), the first in row 3. Drop that row, or fill them in.",
        ),
        (
            lambda: regressor().fit(X, np.where(np.arange(60) == 3, np.inf, 1.0)),
            "y is infinite in row 3. Correct it or drop the row.",
        ),
        (
            lambda: classifier().fit(FRAME, "label", validation=FRAME.drop(columns="label")),
            "validation must be (X, y), or a table that holds the target column.",
        ),
        (
            lambda: classifier().fit(X, SIGN, validation=5),
            "validation must be (X, y), or a table that holds the target column.",
        ),
        (lambda: classifier().fit(X, SIGN, groups=[1, 2]), "groups has 2 values for 60 rows."),
        (
            lambda: classifier().fit(FRAME, "label", groups="colur"),
            "groups names the column 'colur', which X does not have. Did you mean 'colour'?",
        ),
        (lambda: classifier().fit(X, SIGN, sample_weight=[1, 2]), "sample_weight has 2 values for 60 rows."),
        (
            lambda: classifier().fit(X, SIGN, sample_weight=-np.ones(60)),
            "sample_weight must hold finite numbers of at least 0, and not only zeros.",
        ),
        (
            lambda: classifier().fit(X, SIGN, sample_weight=np.zeros(60)),
            "sample_weight must hold finite numbers of at least 0, and not only zeros.",
        ),
        (
            lambda: classifier().fit(X, SIGN, budget=5.0),
            "budget and recipe.epochs both say how long to train; keep one.",
        ),
        (
            lambda: TableClassifier(recipe=Recipe(steps=5)).fit(X, SIGN, budget=5.0),
            "budget and recipe.steps both say how long to train; keep one.",
        ),
        (
            lambda: TableClassifier().fit(X, SIGN, budget=0),
            "budget must be a number of at least 0.001. Received: 0.",
        ),
        (
            lambda: classifier().fit(FRAME.assign(empty=np.nan), "label"),
            "all values of column 'empty' are missing, so nothing can be learned from it. Take it out, or say "
            "inputs=Tables(drop=('empty',)) (--inputs.drop empty).",
        ),
        (
            lambda: classifier(inputs=Tables(drop=("sizze",))).fit(FRAME, "label"),
            "X has no column 'sizze', which the settings name. Did you mean 'size'?",
        ),
    ],
)
def test_what_cannot_be_learned_from_is_refused_in_one_sentence(call, sentence):
    assert refused(call) == sentence


def test_an_infinite_value_is_refused_with_its_column_and_row():
    price = np.where(np.arange(60) == 3, np.inf, X[:, 2])
    message = refused(lambda: classifier().fit(FRAME.assign(price=price), "label"))
    assert message.startswith("column 'price' is infinite in row 3 (inf). Replace infinite values by a number")
    with pytest.raises(ValueError, match="^Input X contains infinity or a value too large for"):  # scikit-learn's words
        classifier().fit(np.c_[X, price], SIGN)


def test_a_table_on_disk_needs_its_target_named(tmp_path):
    FRAME.to_csv(tmp_path / "t.csv", index=False)
    assert refused(lambda: classifier().fit(tmp_path / "t.csv")) == (
        f"which column of {tmp_path / 't.csv'} is the target? Say y=... (--target). "
        "Columns: size, colour, day, label, price."
    )


def test_a_threshold_for_three_classes_is_refused_before_training_begins():
    told = []
    three = np.digitize(X[:, 0], [-0.5, 0.5])
    model = classifier(threshold=0.4)
    message = refused(lambda: model.fit(X, three, on_epoch=told.append, validation=(X, three)))
    assert message == "threshold works for two classes. Received: 3 classes."
    with pytest.raises(BadInput):
        classifier(threshold=0.4).fit(X[:10], three[:10], on_epoch=told.append)  # too few rows to validate
    assert told == []


def test_rows_with_other_columns_are_refused_and_extra_ones_are_said(by_frame, by_array):
    assert refused(lambda: by_frame.predict(FRAME.drop(columns="size"))) == (
        "X lacks column 'size', which training had."
    )
    assert refused(lambda: by_frame.predict(FRAME.rename(columns={"size": "sise"}))) == (
        "X lacks column 'size', which training had. Did you mean 'sise'?"
    )
    assert "column 'size' holds numbers, but row 2 has 'big'" in refused(
        lambda: by_frame.predict(FRAME.astype({"size": object}).assign(size=[1.0, 2.0, "big", *[0.0] * 57]))
    )
    with pytest.warns(DataWarning, match=r"^columns that training did not see were ignored: 'price'\.$"):
        by_frame.predict(FRAME)
    with pytest.raises(ValueError, match="X has 2 features, but TableClassifier is expecting 3 features as input"):
        by_array.predict(X[:, :2])


def test_categories_never_seen_are_answered_and_counted(by_frame):
    new = FRAME.drop(columns="price").assign(colour=["green"] * 5 + ["red"] * 55)
    with pytest.warns(
        DataWarning,
        match=r"^categories that training saw hardly or never, answered through the unknown slot: 'colour' \(5 rows\)",
    ):
        assert len(by_frame.predict(new)) == 60


# -------------------------------------------------------------------------------------------------- settings by name


def test_get_params_lists_the_fields_of_the_effective_parts():
    params = TableClassifier().get_params()
    assert params["family"] is None
    assert params["family__depth"] is None
    assert params["recipe__lr"] is None
    assert params["inputs__bins"] is None
    assert TableClassifier(DNN(depth=3)).get_params()["family__depth"] == 3
    assert "family__depth" not in TableClassifier().get_params(deep=False)


def test_set_params_puts_a_changed_copy_of_the_frozen_settings_in_place():
    family = DNN(width=32)
    model = TableClassifier(family).set_params(family__depth=4, recipe__lr=0.1, seed=3)
    assert model.family == DNN(width=32, depth=4)
    assert family == DNN(width=32)
    assert model.recipe == Recipe(lr=0.1)
    assert model.seed == 3
    assert model.set_params(family=DNN(), family__width=5).family == DNN(width=5)


@pytest.mark.parametrize(
    ("params", "sentence"),
    [
        ({"famly__depth": 3}, "TableClassifier has no setting 'famly__depth'. Did you mean 'family__depth'?"),
        ({"family__dept": 3}, "family (DNN) has no field 'dept'. Did you mean 'depth'?"),
        ({"seed__x": 3}, "TableClassifier has no setting 'seed__x'. Did you mean 'seed'?"),
        ({"label_smothing": 0.1}, "TableClassifier has no setting 'label_smothing'. Did you mean 'label_smoothing'?"),
        ({"family__depth": -1}, "depth must be a whole number between 0 and 1000. Received: -1."),
    ],
)
def test_settings_that_do_not_exist_or_do_not_fit_are_refused_and_change_nothing(params, sentence):
    model = TableClassifier(DNN(width=32))
    assert refused(lambda: model.set_params(**params)) == sentence
    assert model.get_params() == TableClassifier(DNN(width=32)).get_params()


def test_a_clone_has_the_settings_and_nothing_learned(by_array):
    copy = clone(by_array)
    assert copy.get_params() == by_array.get_params()
    assert not hasattr(copy, "learner_")


def test_what_the_user_said_wins_over_the_cell_field_by_field():
    model = TableClassifier(DNN(hidden=(8,)), recipe=Recipe(epochs=2, members=2)).fit(X, SIGN)
    family, recipe, _ = model.row[0].advise(model.codec_.spec, 60, None)
    assert model.family_.hidden == (8,)
    assert model.family_.dropout == family.dropout
    assert (model.recipe_.epochs, model.recipe_.members) == (2, 2)
    assert (model.recipe_.lr, model.recipe_.batch) == (recipe.lr, recipe.batch)
    assert all(getattr(model.recipe_, name) is not None for name in ("optimizer", "schedule", "clip", "precision"))
    steps = TableClassifier(DNN(hidden=(8,)), recipe=Recipe(steps=7, members=1)).fit(X, SIGN)
    assert (steps.recipe_.epochs, steps.recipe_.steps) == (None, 7)
    assert steps.history_[-1]["step"] == 7


def test_changed_replaces_fields_of_frozen_settings():
    assert changed(DNN(width=3), "family", {"depth": 2}) == DNN(width=3, depth=2)
    assert refused(lambda: changed(Recipe(), "recipe", {"speed": 1})) == (
        "recipe (Recipe) has no field 'speed'."
        + " Choose from: epochs, steps, batch, bucket, window, lr, weight_decay, optimizer and 21 more."
    )
    assert refused(lambda: changed(Recipe(), "recipe", {"color": 1})) == (
        "recipe (Recipe) has no field 'color'. Did you mean 'colour'?"
    )


@pytest.mark.parametrize(
    ("y", "names"),
    [
        ("label", True),
        (["size", "price"], True),
        (["no-such-column"], True),  # so that the message can suggest one
        (["是"] * 60, False),  # as many as rows: answers
        (list(range(60)), False),
        (None, False),
        (np.array(["label"]), False),
    ],
)
def test_whether_y_names_columns_or_holds_answers(y, names):
    assert names_columns(y, FRAME) == names
