"""THE MAP: every estimator, its families (default first), and the settings and recipe of each cell.

A cell is a short function of the input's spec and the number of rows given. The numbers in them hold for data of
that shape in general; settings tuned for one public set stand in its benchmark. Rows without a class, and names
without a cell, are planned: `decet cells` shows them so.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any, ClassVar

from decet.contracts import TableSpec
from decet.estimators.base import Cell, Classifies, Estimator, Regresses
from decet.families.dnn import DNN
from decet.training.recipe import Recipe


def _dnn_on_tables(spec: TableSpec, rows: int) -> tuple[DNN, Recipe]:
    """TabM (2410.24210): with binned numbers where rows are many; narrow, smooth and short where they are few."""
    if rows <= 5_000:
        family = DNN(width=64 if rows < 1_000 else 192, depth=2, dropout=0.2, activation="silu", embedding="none")
        batch = min(256, max(16, 2 ** round(math.log2(max(rows, 1) / 12))))
        return family, Recipe(epochs=60, batch=batch, lr=2e-3, weight_decay=1e-2, patience=0, members=8)
    wide = spec.numbers > 200 or spec.sparse
    family = DNN(
        width=128 if rows < 100_000 else 256,
        depth=2,
        dropout=0.1,
        embedding="none" if wide else "piecewise",
        embedding_width=max(4, min(24, 400 // max(spec.numbers, 1))),
    )
    recipe = Recipe(lr=2e-3, weight_decay=1e-2, average=0.99, patience=10)
    if rows < 100_000:
        return family, replace(recipe, epochs=25, batch=256, members=16)
    return family, replace(recipe, epochs=12, batch=1024, members=8)


class TableClassifier(Classifies):
    """Which class does each row of a table belong to? Labels, label sets, or several columns of labels.

    family: the network's settings (DNN by default).
    label_smoothing, class_weight, threshold: see `decet.tasks.classify.Classify`.
    recipe: how to train. inputs: how columns are read. seed: of every random draw. device: "auto", "cpu", "cuda".
    """

    row: ClassVar[tuple[Cell, ...]] = (Cell(DNN, _dnn_on_tables),)

    def __init__(
        self,
        family: DNN | None = None,
        *,
        label_smoothing: float = 0.0,
        class_weight: Any = None,
        threshold: float | None = None,
        recipe: Recipe | None = None,
        inputs: Any = None,
        seed: int = 0,
        device: str = "auto",
    ):
        self.family = family
        self.label_smoothing = label_smoothing
        self.class_weight = class_weight
        self.threshold = threshold
        self.recipe = recipe
        self.inputs = inputs
        self.seed = seed
        self.device = device


class TableRegressor(Regresses):
    """Which number belongs to each row of a table? One number or several, with gaps.

    family: the network's settings (DNN by default). loss: "squared", "absolute" or "huber".
    recipe: how to train. inputs: how columns are read. seed: of every random draw. device: "auto", "cpu", "cuda".
    """

    row: ClassVar[tuple[Cell, ...]] = (Cell(DNN, _dnn_on_tables),)

    def __init__(
        self,
        family: DNN | None = None,
        *,
        loss: str = "squared",
        recipe: Recipe | None = None,
        inputs: Any = None,
        seed: int = 0,
        device: str = "auto",
    ):
        self.family = family
        self.loss = loss
        self.recipe = recipe
        self.inputs = inputs
        self.seed = seed
        self.device = device


ESTIMATORS: tuple[type[Estimator], ...] = (TableClassifier, TableRegressor)
FAMILIES: tuple[type, ...] = (DNN,)

PLAN: dict[str, tuple[str, str, str]] = {  # estimator -> data, answer, families (default first)
    "TableClassifier": ("Table", "label", "DNN, ResNet, Transformer"),
    "TableRegressor": ("Table", "number", "DNN, ResNet, Transformer"),
    "ImageClassifier": ("Images", "label", "ResNet, CNN, Transformer, DNN"),
    "ObjectDetector": ("Images", "boxes", "ResNet, CNN"),
    "ImageSegmenter": ("Images", "masks", "CNN, ResNet"),
    "FaceRecognizer": ("Images", "identity", "ResNet, CNN"),
    "ImageGenerator": ("Images", "images", "Diffusion, GAN"),
    "ImageTranslator": ("Images", "images", "GAN, Diffusion"),
    "VideoGenerator": ("Clips", "clips", "Diffusion, GAN"),
    "TextClassifier": ("Texts", "label", "CNN, Transformer, LSTM, Word2Vec, ResNet, DNN"),
    "TextTagger": ("Texts", "spans", "LSTM, Transformer"),
    "TextGenerator": ("Texts", "text", "Transformer, LSTM, Diffusion"),
    "Translator": ("Texts", "text", "Transformer, LSTM"),
    "WordEmbedder": ("Texts", "vectors", "Word2Vec"),
    "SpeechRecognizer": ("Sounds", "text", "LSTM, Transformer, CNN, ResNet, DNN"),
    "AudioClassifier": ("Sounds", "label", "CNN, ResNet, LSTM, Transformer, DNN"),
    "AudioGenerator": ("Sounds", "sounds", "Diffusion, GAN"),
    "Forecaster": ("Series", "future", "LSTM, Transformer, CNN, DNN"),
    "SeriesClassifier": ("Series", "label", "ResNet, CNN, LSTM, Transformer"),
    "Recommender": ("Interactions", "items", "GNN, Transformer, LSTM, Word2Vec, DNN"),
    "NodeClassifier": ("Graph", "node label", "GNN, DNN"),
    "LinkPredictor": ("Graph", "links", "GNN, Word2Vec"),
    "NodeEmbedder": ("Graph", "vectors", "GNN, Word2Vec"),
    "CommunityDetector": ("Graph", "communities", "GNN"),
    "MoleculeClassifier": ("Molecules", "label", "GNN"),
    "MoleculeRegressor": ("Molecules", "number", "GNN"),
    "Agent": ("Environment", "actions", "DQN"),
}


def estimator_named(name: str) -> type[Estimator] | None:
    """The estimator class of a public name; None for a planned or unknown one."""
    return next((e for e in ESTIMATORS if e.__name__ == name), None)
