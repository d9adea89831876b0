"""decet: ten families of deep learning, one way to use them.

    from decet import DNN, TableClassifier
    model = TableClassifier(DNN()).fit("table.csv", y="income")
    model.predict("new.csv");  model.save("model/")

Names are imported when they are first used, so `import decet` is quick.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

# Waiting OpenMP threads spin; beside another process that costs 100-fold (docs/architecture.md). Before torch loads.
os.environ.setdefault("GOMP_SPINCOUNT", "10000")

_HOMES = {
    "CNN": "decet.families.cnn",
    "Diffusion": "decet.families.diffusion",
    "DNN": "decet.families.dnn",
    "DQN": "decet.families.dqn",
    "Environments": "decet.data.environments",
    "GAN": "decet.families.gan",
    "GNN": "decet.families.gnn",
    "Graph": "decet.data.graphs",
    "Graphs": "decet.data.graph_codec",
    "Images": "decet.data.images",
    "MessagePassing": "decet.nn.graphs",
    "read_graph": "decet.data.graph_files",
    "Prose": "decet.data.prose",
    "LSTM": "decet.families.lstm",
    "ResNet": "decet.families.resnet",
    "TableClassifier": "decet.estimators.catalog",
    "TableRegressor": "decet.estimators.catalog",
    "ImageClassifier": "decet.estimators.catalog",
    "ImageGenerator": "decet.estimators.catalog",
    "TextClassifier": "decet.estimators.catalog",
    "TextGenerator": "decet.estimators.catalog",
    "Transformer": "decet.families.transformer",
    "Word2Vec": "decet.families.word2vec",
    "WordEmbedder": "decet.estimators.catalog",
    "NodeClassifier": "decet.estimators.catalog",
    "LinkPredictor": "decet.estimators.catalog",
    "NodeEmbedder": "decet.estimators.catalog",
    "CommunityDetector": "decet.estimators.catalog",
    "Agent": "decet.estimators.catalog",
    "Tables": "decet.data.tables",
    "Texts": "decet.data.texts",
    "Recipe": "decet.training.recipe",
    "compare": "decet.referee.compare",
    "evidence": "decet.pages.evidence",
    "importance": "decet.pages.importance",
    "load": "decet.estimators.saved",
    "map_words": "decet.pages.wordmap",
    "report": "decet.pages.page",
    "saliency": "decet.pages.saliency",
    "tour": "decet.pages.tour",
    "verify": "decet.estimators.saved",
    "BadInput": "decet.errors",
    "DataWarning": "decet.estimators.reading",
    "NotFitted": "decet.errors",
    "Unsupported": "decet.errors",
}

if TYPE_CHECKING:
    from decet.data.environments import Environments
    from decet.data.graph_codec import Graphs
    from decet.data.graph_files import read_graph
    from decet.data.graphs import Graph
    from decet.data.images import Images
    from decet.data.tables import Tables
    from decet.data.texts import Texts
    from decet.errors import BadInput, NotFitted, Unsupported
    from decet.estimators.catalog import (
        Agent,
        CommunityDetector,
        ImageClassifier,
        ImageGenerator,
        LinkPredictor,
        NodeClassifier,
        NodeEmbedder,
        TableClassifier,
        TableRegressor,
        TextClassifier,
        TextGenerator,
        WordEmbedder,
    )
    from decet.estimators.reading import DataWarning
    from decet.estimators.saved import load, verify
    from decet.families.cnn import CNN
    from decet.families.diffusion import Diffusion
    from decet.families.dnn import DNN
    from decet.families.dqn import DQN
    from decet.families.gan import GAN
    from decet.families.gnn import GNN
    from decet.families.lstm import LSTM
    from decet.families.resnet import ResNet
    from decet.families.transformer import Transformer
    from decet.families.word2vec import Word2Vec
    from decet.nn.graphs import MessagePassing
    from decet.pages.evidence import evidence
    from decet.pages.importance import importance
    from decet.pages.page import report
    from decet.pages.saliency import saliency
    from decet.pages.tour import tour
    from decet.pages.wordmap import map_words
    from decet.referee.compare import compare
    from decet.training.recipe import Recipe

__all__ = [
    "CNN",
    "DNN",
    "DQN",
    "GAN",
    "GNN",
    "LSTM",
    "Agent",
    "BadInput",
    "CommunityDetector",
    "DataWarning",
    "Diffusion",
    "Environments",
    "Graph",
    "Graphs",
    "ImageClassifier",
    "ImageGenerator",
    "Images",
    "LinkPredictor",
    "MessagePassing",
    "NodeClassifier",
    "NodeEmbedder",
    "NotFitted",
    "Recipe",
    "ResNet",
    "TableClassifier",
    "TableRegressor",
    "Tables",
    "TextClassifier",
    "TextGenerator",
    "Texts",
    "Transformer",
    "Unsupported",
    "Word2Vec",
    "WordEmbedder",
    "compare",
    "evidence",
    "importance",
    "load",
    "map_words",
    "read_graph",
    "report",
    "saliency",
    "tour",
    "verify",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'decet' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
