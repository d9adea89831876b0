"""What a model folder says of itself."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from decet import CNN, DNN, BadInput, ImageClassifier, Recipe, ResNet, TableClassifier, TableRegressor
from decet.estimators.described import describe, layers

X = np.random.default_rng(0).normal(size=(40, 4))
Y = np.array(["no", "yes"])[(X[:, 0] > 0).astype(int)]


def test_the_classic_network_layer_by_layer() -> None:
    family = DNN(hidden=(64, 32), embedding="none", activation="relu", dropout=0.0, norm="none")
    model = TableClassifier(family, recipe=Recipe(epochs=1, members=1)).fit(X, Y)
    linear = [layer for layer in layers(model) if layer["parameters"]]
    assert [(layer["name"], layer["output"]) for layer in linear] == [
        ("body.layers.0.linear", ["B", 64]),
        ("body.layers.1.linear", ["B", 32]),
        ("head", ["B", 1, 2]),
    ]
    assert [layer["parameters"] for layer in linear] == [4 * 64 + 64, 64 * 32 + 32, 32 * 2 + 2]


def test_members_stand_in_the_shapes() -> None:
    model = TableRegressor(DNN(width=8, depth=1), recipe=Recipe(epochs=1, members=3)).fit(X, X[:, 0])
    assert {"name": "head", "kind": "MemberHead", "output": ["B", 3, 1]}.items() <= layers(model)[-1].items()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("family", [CNN(layers=(16, 16, "pool", "gap")), ResNet(width=16), ResNet(depth=18, width=16)])
def test_every_weight_of_a_network_for_pictures_stands_in_some_layer(family) -> None:
    """Those of convolutions too, whichever way they are computed."""
    pixels = np.random.default_rng(0).integers(0, 255, (24, 8, 8), dtype=np.uint8)
    model = ImageClassifier(family, recipe=Recipe(steps=1)).fit(pixels, np.arange(24) % 2)
    listed = layers(model)
    assert sum(layer["parameters"] for layer in listed) == sum(p.numel() for p in model.learner_.parameters())
    assert all(layer["output"] is not None for layer in listed)


def test_looking_changes_nothing() -> None:
    model = TableClassifier(recipe=Recipe(epochs=1, members=2)).fit(X, Y)
    before = model.predict_proba(X)
    layers(model)
    assert (model.predict_proba(X) == before).all()
    assert not any(module._forward_hooks for module in model.learner_.modules())


def test_a_folder_describes_itself(tmp_path: Path) -> None:
    model = TableClassifier(seed=3, recipe=Recipe(epochs=1), class_weight="balanced").fit(X, Y)
    model.save(tmp_path / "m")
    facts = describe(tmp_path / "m")
    assert facts["estimator"] == "TableClassifier"
    assert facts["family"]["name"] == "DNN"
    assert facts["question"]["class_weight"] == "balanced"
    assert facts["parameters"] == sum(p.numel() for p in model.learner_.parameters())
    assert facts["parameters"] == sum(layer["parameters"] for layer in facts["layers"])
    assert facts["provenance"]["seed"] == 3
    assert facts["provenance"]["rows"] == 40
    assert [column["name"] for column in facts["columns"]] == ["x0", "x1", "x2", "x3"]
    assert facts["recipe"]["epochs"] == 1
    assert set(facts["versions"]) == {"decet", "python", "torch"}
    json.dumps(facts)


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="holds no model"):
        describe(tmp_path)
