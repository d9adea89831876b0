"""A model as a folder and back: the same answers, verified, and nothing believed that a stranger wrote."""

from __future__ import annotations

import copy
import json
import pickle

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import load_iris

import decet
from decet import DNN, BadInput, Recipe, TableClassifier, TableRegressor, Tables, artifact
from decet.errors import DecetError
from decet.estimators.saved import from_files, to_files, verify
from decet.training.checkpoint import same_tree

SMALL, QUICK = DNN(hidden=(8, 6)), Recipe(epochs=2, members=1)
RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 4))
SIGN = np.where(X[:, 0] > 0, "上", "down")
FRAME = pd.DataFrame(
    {
        "size": np.where(RNG.random(60) < 0.2, np.nan, X[:, 0]),
        "colour": pd.Categorical(np.where(X[:, 1] > 0, "red", "blue")),
        "day": pd.date_range("2024-01-01", periods=60, freq="11D"),
        "note": [f"the {w} box number {i} is here" for i, w in enumerate(RNG.choice(["big", "small"], 60))],
    }
)


def _classifier(**settings) -> TableClassifier:
    return TableClassifier(SMALL, **{"recipe": QUICK, **settings})


MODELS = {
    "array": lambda: (_classifier(), X, SIGN),
    "members": lambda: (_classifier(recipe=Recipe(epochs=2, members=3)), X, X[:, 0] > 0),
    "ensemble": lambda: (
        TableClassifier(DNN(hidden=(5,), sharing="none"), recipe=Recipe(epochs=2, members=2)),
        X,
        SIGN,
    ),
    "frame": lambda: (_classifier(inputs=Tables(bins=8, scale="quantile")), FRAME, pd.Series(SIGN, name="side")),
    "periodic": lambda: (TableClassifier(DNN(hidden=(5,), embedding="periodic"), recipe=QUICK), X, SIGN),
    "piecewise": lambda: (TableClassifier(DNN(hidden=(5,), embedding="piecewise"), recipe=QUICK), X, SIGN),
    "batch norm": lambda: (TableClassifier(DNN(hidden=(5,), norm="batch"), recipe=QUICK), X, SIGN),
    "sparse": lambda: (_classifier(), sparse.random(60, 300, density=0.05, format="csr", random_state=0), SIGN),
    "columns": lambda: (_classifier(), X, pd.DataFrame({"a": SIGN, "b": np.where(X[:, 1] > 0, 1, 0)})),
    "sets": lambda: (_classifier(), X, np.c_[X[:, 0] > 0, X[:, 1] > 0].astype(int)),
    "weights by number": lambda: (_classifier(class_weight={0: 1.0, 1: 5.0}), X, (X[:, 0] > 0).astype(int)),
    "threshold": lambda: (_classifier(threshold=0.3, label_smoothing=0.1, seed=np.int64(3)), X, SIGN),
    "number": lambda: (TableRegressor(SMALL, recipe=QUICK, loss="huber"), X, 1e6 + X[:, 0]),
    "numbers": lambda: (TableRegressor(SMALL, recipe=QUICK), FRAME, X[:, :2]),
}


def _fitted(name: str):
    model, rows, answers = MODELS[name]()
    return model.fit(rows, answers), rows


def _equal(one, other) -> bool:
    """The same settings, whatever JSON made of tuples and numbers' types."""
    return json.dumps(_plain(one), sort_keys=True) == json.dumps(_plain(other), sort_keys=True)


def _plain(value):
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    value = value.item() if isinstance(value, np.generic) else value
    return value if isinstance(value, (int, float, str, bool)) or value is None else str(value)


@pytest.fixture(scope="module")
def model():
    return _fitted("frame")[0]


@pytest.fixture
def folder(model, tmp_path):
    model.save(tmp_path / "model")
    return tmp_path / "model"


# ------------------------------------------------------------------------------------------------------ there and back


@pytest.mark.parametrize("name", MODELS)
def test_a_saved_model_answers_with_the_same_bits_and_verifies(name, tmp_path):
    model, rows = _fitted(name)
    model.save(tmp_path)
    again = decet.load(tmp_path)
    assert type(again) is type(model)
    answers, expected = again.predict(rows), model.predict(rows)
    pd.testing.assert_frame_equal(pd.DataFrame(answers), pd.DataFrame(expected))
    assert same_tree(again.learner_.state_dict(), model.learner_.state_dict())
    assert _equal(again.get_params(), model.get_params())
    assert (again.family_, again.recipe_) == (model.family_, model.recipe_)
    found = decet.verify(tmp_path)
    assert found.ok, str(found)


def test_what_was_learned_beside_the_weights_comes_back(model, folder):
    again = decet.load(folder)
    for name in ("metrics_", "warnings_", "provenance_", "plan_", "history_", "target_names_", "n_features_in_"):
        assert getattr(again, name) == getattr(model, name), name
    assert again.feature_names_in_.tolist() == model.feature_names_in_.tolist()
    assert again.classes_.tolist() == model.classes_.tolist()
    assert again.interrupted_ is False
    assert not again.learner_.training
    assert all(parameter.requires_grad for parameter in again.learner_.parameters())
    assert again.evaluate(FRAME, SIGN) == model.evaluate(FRAME, SIGN)


def test_class_weights_are_saved_by_the_text_of_their_labels(tmp_path):
    model, rows = _fitted("weights by number")
    model.save(tmp_path)
    again = decet.load(tmp_path)
    assert again.class_weight == {"0": 1.0, "1": 5.0}
    answers = MODELS["weights by number"]()[2]
    assert same_tree(again.fit(rows, answers).learner_.state_dict(), model.learner_.state_dict())


def test_a_loaded_model_can_be_fitted_again_and_cloned(folder, model):
    again = decet.load(folder)
    assert not hasattr(clone(again), "learner_")
    again.fit(FRAME, SIGN)
    assert same_tree(again.learner_.state_dict(), model.learner_.state_dict())


def test_saving_twice_writes_the_same_bytes(model, folder):
    files = to_files(model)
    assert files == to_files(model)
    assert files == {path.name: path.read_bytes() for path in folder.iterdir()}
    again = to_files(decet.load(folder))
    for name in ("weights.safetensors", "golden.safetensors", "history.jsonl"):
        assert again[name] == files[name]


def test_saving_leaves_the_model_as_it_was(model):
    before = copy.deepcopy(model.learner_.state_dict())
    expected = model.predict(FRAME)
    to_files(model)
    assert same_tree(before, model.learner_.state_dict())
    np.testing.assert_array_equal(model.predict(FRAME), expected)
    assert not model.learner_.training


def test_a_model_goes_in_the_place_of_another(folder, tmp_path):
    other, rows = _fitted("number")
    other.save(folder)
    np.testing.assert_array_equal(decet.load(folder).predict(rows), other.predict(rows))


@pytest.mark.parametrize("name", [name for name in artifact.FILES if name != "model.json"])
def test_saving_never_replaces_a_file_of_the_users_own(name, model, tmp_path):
    (tmp_path / name).write_text("mine")
    with pytest.raises(BadInput) as caught:
        model.save(tmp_path)
    assert str(caught.value) == (
        f"{tmp_path} holds a {name} of your own, which a model would replace. Choose another folder."
    )
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [(name, "mine")]


def test_other_files_of_the_users_stay_beside_the_model(model, tmp_path):
    (tmp_path / "notes.md").write_text("mine")
    model.save(tmp_path)
    model.save(tmp_path)
    assert (tmp_path / "notes.md").read_text() == "mine"
    assert decet.verify(tmp_path)


def test_model_json_holds_names_settings_and_provenance_and_nothing_of_the_rows(folder, model):
    written = json.loads((folder / "model.json").read_text())
    assert written["estimator"] == "TableClassifier"
    assert written["said"]["family"] == {"name": "DNN", "hidden": [8, 6]}
    assert written["used"]["recipe"]["epochs"] == 2
    assert written["provenance"]["rows"] == 60
    assert set(written["versions"]) == {"decet", "torch", "python"}
    notes = set(FRAME["note"])
    text = b"".join(path.read_bytes() for path in folder.iterdir()).decode("utf-8", "replace")
    assert not any(note in text for note in notes)


def test_golden_rows_are_made_up(model):
    golden = artifact.unpack(to_files(model)).golden
    encoded = model.codec_.encode(FRAME)[0]
    assert golden["inputs.0"].shape == (16, encoded.shape[1])
    for row in golden["inputs.0"]:
        assert not bool((encoded == row).all(1).any())


def test_the_card_is_in_the_hubs_format_and_says_how_good_it_is(folder, model):
    text = (folder / "README.md").read_text()
    _, head, body = text.split("---\n", 2)
    front = yaml.safe_load(head)
    assert front["library_name"] == "decet"
    assert front["pipeline_tag"] == "tabular-classification"
    assert front["tags"] == ["decet", "DNN"]
    assert body.startswith("\n# TableClassifier(DNN)\n")
    assert f"| accuracy | {model.metrics_['accuracy']:.4f} |" in body
    assert "on 60 rows of a data frame" in body
    assert "5-fold cross-fitting" in body
    assert "| colour | category |" in body
    assert "the same data, settings, device kind and threads give the same weights" in body
    assert "decet.load(FOLDER)" in body


def test_the_card_repeats_the_warnings_about_the_data():
    with pytest.warns(decet.DataWarning):
        model = _classifier().fit(pd.DataFrame(X).assign(same=1), SIGN)
    card = to_files(model)["README.md"].decode()
    assert "## Warnings about the data\n\n- column 'same' was left out because all rows have the same value." in card


def test_a_card_without_figures_says_why():
    card = to_files(_classifier().fit(X[:8], SIGN[:8]))["README.md"].decode()
    assert "None: too few rows to hold any out." in card


def test_column_names_cannot_break_the_cards_table():
    model = _classifier().fit(pd.DataFrame({"a|b": X[:, 0], "c\nd": X[:, 1]}), SIGN)
    table = to_files(model)["README.md"].decode().split("## Inputs")[1].split("## Settings")[0]
    rows = [line for line in table.splitlines() if line]
    assert [row.replace("\\|", "").count("|") for row in rows] == [4] * 4
    assert rows[2].startswith("| a\\|b | number |")


# ------------------------------------------------------------------------------------------------------------ pickling


@pytest.mark.parametrize("name", ["frame", "sparse", "number", "weights by number"])
def test_a_fitted_estimator_travels_in_memory_as_the_bytes_of_its_folder(name):
    model, rows = _fitted(name)
    travelled = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(np.asarray(travelled.predict(rows)), np.asarray(model.predict(rows)))
    assert _equal(travelled.get_params(), model.get_params())
    assert set(model.__getstate__()["folder"]) == set(artifact.FILES)


def test_an_estimator_without_a_fit_travels_too():
    model = TableClassifier(DNN(depth=3), class_weight={0: 1.0}, recipe=Recipe(lr=0.1))
    assert pickle.loads(pickle.dumps(model)).get_params() == model.get_params()
    assert "folder" not in model.__getstate__()


# ------------------------------------------------------------------------------------------------------------- verify


def _repacked(folder, *, model=None, weights=None, golden=None) -> None:
    """Write the folder again with changes in it, its hashes in order: what only verification can see."""
    contents = artifact.unpack(artifact.read(folder))
    changed = contents.model if model is None else model(copy.deepcopy(contents.model))
    tensors = contents.weights if weights is None else weights(dict(contents.weights))
    pairs = contents.golden if golden is None else golden(dict(contents.golden))
    artifact.write(folder, artifact.pack(changed, tensors, pairs, contents.card, contents.history))


def test_verification_tells_each_check(folder):
    found = verify(folder)
    assert bool(found)
    assert [what for what, good, _ in found.checks if good] == [
        "files",
        "network",
        "golden names",
        "encoding",
        "answers",
        "unlikeness",
    ]
    lines = str(found).splitlines()
    assert lines[0] == "ok  files: 5 files as saved, weights finite, sizes agree"
    assert lines[1] == "ok  network: TableClassifier with DNN rebuilt"
    assert lines[-1] == f"{folder}: verified"


@pytest.mark.parametrize("name", ["trust.views.0.means", "trust.views.1.spreads"])
def test_what_is_ordinary_is_replayed_too(tmp_path, name):
    folder = tmp_path / "m"
    TableClassifier(recipe=Recipe(epochs=2)).fit(*load_iris(return_X_y=True)).save(folder)
    found = verify(folder)
    assert found.ok
    assert found.checks[-1][0] == "unlikeness"
    _repacked(folder, weights=lambda weights: {**weights, name: weights[name] * 1.5})
    assert [what for what, good, _ in verify(folder).checks if not good] == ["unlikeness"]


def test_folders_from_before_unlikeness_was_replayed_still_verify(tmp_path):
    folder = tmp_path / "m"
    TableClassifier(recipe=Recipe(epochs=2)).fit(*load_iris(return_X_y=True)).save(folder)
    _repacked(folder, golden=lambda golden: {n: x for n, x in golden.items() if n != "distances"})
    assert verify(folder).ok


def test_other_weights_do_not_verify(folder):
    def shifted(weights):
        name = "network.head.bias"
        return {**weights, name: weights[name] + torch.tensor([0.01, 0.0])}

    _repacked(folder, weights=shifted)
    found = verify(folder)
    assert not found.ok
    assert [what for what, good, _ in found.checks if not good] == ["answers"]
    assert str(found).splitlines()[-1] == f"{folder}: NOT verified"
    assert "BAD answers: largest relative difference" in str(found)


def test_another_encoding_does_not_verify(folder):
    _repacked(folder, weights=lambda weights: {**weights, "codec.fill": weights["codec.fill"] + 0.5})
    assert "encoding" in [what for what, good, _ in verify(folder).checks if not good]


def test_golden_pairs_that_lack_a_tensor_do_not_verify(folder):
    _repacked(folder, golden=lambda golden: {"outputs": golden["outputs"]})
    found = verify(folder)
    assert [what for what, good, _ in found.checks if not good] == ["golden names", "encoding", "answers"]


def test_a_damaged_folder_does_not_verify_and_says_why(folder):
    path = folder / "weights.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    found = verify(folder)
    assert not found
    assert found.checks[0][0] == "files"
    assert "weights.safetensors is not as it was saved" in found.checks[0][2]
    with pytest.raises(BadInput, match=r"^weights\.safetensors is not as it was saved"):
        decet.load(folder)


def test_a_settings_file_that_fits_no_network_does_not_verify(folder):
    def wider(model):
        model["used"]["family"]["hidden"] = [9, 6]
        return model

    _repacked(folder, model=wider)
    found = verify(folder)
    assert [(what, good) for what, good, _ in found.checks] == [("files", True), ("network", False)]
    assert found.checks[1][2].startswith(
        "the weights do not fit the settings: body.layers.0.linear.weight must be (9, "
    )


def test_nothing_verifies_where_there_is_nothing(tmp_path):
    found = verify(tmp_path / "nothing")
    assert not found.ok
    assert "there is no model folder" in str(found)


# ------------------------------------------------------------------------------------------------- folders of strangers


def _set(*path, value):
    """A change of model.json: put `value` at a place in it."""

    def change(model):
        place = model
        for key in path[:-1]:
            place = place[key]
        if value is KeyError:
            del place[path[-1]]
        else:
            place[path[-1]] = value
        return model

    return change


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            _set("estimator", value="TabelClassifier"),
            "model.json names the estimator 'TabelClassifier'. Did you mean 'TableClassifier'?",
        ),
        (
            _set("estimator", value="os.system"),
            "model.json names the estimator 'os.system'. "
            "Choose from: TableClassifier, TableRegressor, ImageClassifier, ImageGenerator, TextClassifier, "
            "TextGenerator, WordEmbedder, NodeClassifier and 4 more.",
        ),
        (
            _set("used", "family", "name", value="CNN"),
            "model.json names 'CNN', which is not in decet's list. Did you mean 'DNN'?",
        ),
        (
            _set("used", "family", "name", value="Path"),
            "model.json names 'Path', which is not in decet's list. "
            "Choose from: DNN, ResNet, Recipe, Tables, Classify.",
        ),
        (
            _set("codec", "name", value="Pickle"),
            "model.json names 'Pickle', which is not in decet's list. "
            "Choose from: TableCodec, SparseCodec, ImageCodec, TextCodec, BagCodec, Lexicon, ProseCodec, GraphCodec "
            "and 2 more.",
        ),
        (
            _set("used", "family", "widht", value=3),
            "model.json gives DNN a field 'widht'. Did you mean 'width'?",
        ),
        (
            _set("used", "family", "dropout", value=2.0),
            "dropout must be a number between 0.0 and 0.95. Received: 2.0.",
        ),
        (
            _set("used", "family", "activation", value="__import__"),
            "activation must be one of 'relu', 'gelu', 'silu', 'mish', 'tanh', 'sigmoid', 'selu'. "
            "Received: '__import__'.",
        ),
        (
            _set("said", "label_smoothing", value=7),
            "label_smoothing must be a number between 0.0 and 0.9. Received: 7.",
        ),
        (
            _set("used", "question", value={"name": "Classify", "label_smoothing": -1}),
            "label_smoothing must be a number between 0.0 and 0.9. Received: -1.",
        ),
        (_set("used", "recipe", value=KeyError), "model.json does not describe a model (KeyError: 'recipe')."),
    ],
)
def test_settings_of_strangers_pass_the_same_checks_as_a_users(folder, change, sentence):
    _repacked(folder, model=change)
    with pytest.raises(BadInput) as caught:
        decet.load(folder)
    assert str(caught.value) == sentence


def test_a_folder_of_before_questions_were_kept_answers_the_same(folder, model):
    rows = MODELS["frame"]()[1]
    _repacked(folder, model=_set("used", "question", value=KeyError))
    assert decet.verify(folder).ok
    np.testing.assert_array_equal(decet.load(folder).predict_proba(rows), model.predict_proba(rows))


def test_a_network_that_is_said_to_be_huge_is_refused_before_memory_is_taken(folder):
    _repacked(folder, model=_set("used", "family", "hidden", value=[65_536] * 50))  # 860 GB
    with pytest.raises(BadInput, match=r"the weights do not fit the settings: .* must be \(65536, "):
        decet.load(folder)


def test_weights_of_another_type_are_refused(folder):
    name = "network.head.bias"
    _repacked(folder, weights=lambda weights: {**weights, name: weights[name].double()})
    with pytest.raises(BadInput) as caught:
        decet.load(folder)
    assert str(caught.value) == (
        "the weights do not fit the settings: head.bias must be (2,) torch.float32. Found: (2,) torch.float64."
    )


def test_weights_that_lack_a_tensor_are_refused(folder):
    _repacked(folder, weights=lambda weights: {k: v for k, v in weights.items() if k != "network.temperature"})
    with pytest.raises(BadInput, match=r"temperature must be \(\) torch\.float32\. Found: nothing\.$"):
        decet.load(folder)


def _leaves(value, path=()):
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _leaves(inner, (*path, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value[:2]):
            yield from _leaves(inner, (*path, index))
    yield path


def test_whatever_stands_in_model_json_a_sentence_or_a_model_comes_out(model):
    """Each place in model.json, replaced by each of these values, its hashes in order."""
    contents = artifact.unpack(to_files(model))
    places = [path for path in _leaves(contents.model) if path and path[0] not in ("metrics", "warnings", "provenance")]
    values = [None, -1, 10**9, "x", [], {}, True, [[["x"]]], 0.5, KeyError]
    rng, refusals = np.random.default_rng(0), 0
    for place in places:
        for choice in rng.choice(len(values), 3, replace=False):
            changed = _set(*place, value=values[choice])(copy.deepcopy(contents.model))
            files = artifact.pack(changed, contents.weights, contents.golden, contents.card, contents.history)
            try:
                from_files(files)
            except DecetError:
                refusals += 1
    assert refusals > len(places)


def test_a_model_trained_on_another_device_loads_where_that_is_missing(folder):
    if torch.cuda.is_available():
        pytest.skip("this machine has the other device")
    _repacked(folder, model=_set("said", "device", value="cuda"))
    with pytest.warns(decet.DataWarning, match="cuda"):
        again = decet.load(folder)
    assert again.device_.type == "cpu"
    assert len(again.predict(FRAME)) == 60


def test_a_folder_that_is_none_is_refused_with_the_near_one(folder):
    with pytest.raises(BadInput) as caught:
        decet.load(folder.parent / "modell")
    assert str(caught.value) == f"there is no model folder {folder.parent / 'modell'}. Did you mean 'model'?"
