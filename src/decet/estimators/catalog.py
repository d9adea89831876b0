"""THE MAP: every estimator, its families (default first), and the settings and recipe of each cell.

What fits data of a shape stands in `decet.estimators.cells`. Rows without a class, and names without a cell, are
planned: `decet cells` shows them so.
"""

from __future__ import annotations

from functools import partial
from typing import Any, ClassVar

from decet.data.images import Images
from decet.data.texts import Texts
from decet.estimators.agents import Acts
from decet.estimators.answering import Classifies, Regresses
from decet.estimators.base import Cell, Estimator
from decet.estimators.cells import (
    READ_FIRST,
    VECTORS,
    cnn_on_pictures,
    cnn_on_texts,
    diffusion_on_pictures,
    dnn_on_nodes,
    dnn_on_pictures,
    dnn_on_tables,
    dnn_on_texts,
    dqn_on_environments,
    gan_on_pictures,
    gnn_on_communities,
    gnn_on_groups,
    gnn_on_links,
    gnn_on_nodes,
    gnn_on_vectors,
    lstm_on_texts,
    lstm_writes,
    resnet_on_pictures,
    resnet_on_tables,
    resnet_on_texts,
    transformer_on_texts,
    transformer_writes,
    word2vec_of_texts,
    word2vec_on_texts,
    word2vec_on_walks,
)
from decet.estimators.communities import DetectsCommunities
from decet.estimators.embedding import Embeds, vectors_first
from decet.estimators.links import JoinsNodes
from decet.estimators.nodes import ClassifiesNodes
from decet.estimators.nodevectors import EmbedsNodes
from decet.estimators.picturing import Draws
from decet.estimators.reading import PictureReader, TextReader
from decet.estimators.writing import Writes
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
from decet.tasks.classify_pictures import ClassifyPictures
from decet.training.recipe import Recipe


class TableClassifier(Classifies):
    """Which class does each row of a table belong to? Labels, label sets, or several columns of labels.

    family: the network's settings (DNN by default).
    label_smoothing, class_weight, threshold, coverage: see `decet.tasks.classify.Classify`.
    recipe: how to train. inputs: how columns are read. seed: of every random draw. device: "auto", "cpu", "cuda".
    """

    row: ClassVar[tuple[Cell, ...]] = (Cell(DNN, dnn_on_tables), Cell(ResNet, resnet_on_tables))

    def __init__(
        self,
        family: DNN | ResNet | None = None,
        *,
        label_smoothing: float | None = None,
        class_weight: Any = None,
        threshold: float | None = None,
        coverage: float = 0.9,
        recipe: Recipe | None = None,
        inputs: Any = None,
        seed: int = 0,
        device: str = "auto",
    ):
        self.family = family
        self.label_smoothing = label_smoothing
        self.class_weight = class_weight
        self.threshold = threshold
        self.coverage = coverage
        self.recipe = recipe
        self.inputs = inputs
        self.seed = seed
        self.device = device


class TableRegressor(Regresses):
    """Which number belongs to each row of a table? One number or several, with gaps.

    family: the network's settings (DNN by default). loss: "squared", "absolute" or "huber". coverage: of intervals.
    recipe: how to train. inputs: how columns are read. seed: of every random draw. device: "auto", "cpu", "cuda".
    """

    row: ClassVar[tuple[Cell, ...]] = (Cell(DNN, dnn_on_tables), Cell(ResNet, resnet_on_tables))

    def __init__(
        self,
        family: DNN | ResNet | None = None,
        *,
        loss: str = "squared",
        coverage: float = 0.9,
        recipe: Recipe | None = None,
        inputs: Any = None,
        seed: int = 0,
        device: str = "auto",
    ):
        self.family = family
        self.loss = loss
        self.coverage = coverage
        self.recipe = recipe
        self.inputs = inputs
        self.seed = seed
        self.device = device


class ImageClassifier(Classifies):
    """Which class does each picture belong to? Labels, label sets, or several columns of labels.

    family: the network's settings (ResNet by default).
    label_smoothing, class_weight, threshold, coverage, views: see `decet.tasks.classify_pictures.ClassifyPictures`.
    recipe: how to train. inputs: how pictures are read. seed: of every random draw. device: "auto", "cpu", "cuda".
    """

    kind = Images
    reader = PictureReader()
    question = ClassifyPictures
    row: ClassVar[tuple[Cell, ...]] = (
        Cell(ResNet, resnet_on_pictures),
        Cell(CNN, cnn_on_pictures),
        Cell(DNN, dnn_on_pictures),
    )

    def __init__(
        self,
        family: ResNet | CNN | DNN | None = None,
        *,
        label_smoothing: float | None = None,
        class_weight: Any = None,
        threshold: float | None = None,
        coverage: float = 0.9,
        views: str | None = None,
        recipe: Recipe | None = None,
        inputs: Any = None,
        seed: int = 0,
        device: str = "auto",
    ):
        self.family = family
        self.label_smoothing = label_smoothing
        self.class_weight = class_weight
        self.threshold = threshold
        self.coverage = coverage
        self.views = views
        self.recipe = recipe
        self.inputs = inputs
        self.seed = seed
        self.device = device


class TextClassifier(Classifies):
    """Which class does each text belong to? Labels, label sets, or several columns of labels.

    family: the network's settings (CNN by default).
    label_smoothing, class_weight, threshold, coverage: see `decet.tasks.classify.Classify`.
    recipe: how to train. inputs: how texts are read. seed: of every random draw. device: "auto", "cpu", "cuda".
    """

    kind = Texts
    reader = TextReader()
    row: ClassVar[tuple[Cell, ...]] = (
        Cell(CNN, cnn_on_texts),
        Cell(Transformer, transformer_on_texts),
        Cell(LSTM, lstm_on_texts, partial(vectors_first, recipe=VECTORS, read=READ_FIRST)),
        Cell(Word2Vec, word2vec_of_texts, partial(vectors_first, recipe=VECTORS)),
        Cell(ResNet, resnet_on_texts),
        Cell(DNN, dnn_on_texts),
    )

    def __init__(
        self,
        family: CNN | Transformer | LSTM | Word2Vec | ResNet | DNN | None = None,
        *,
        label_smoothing: float | None = None,
        class_weight: Any = None,
        threshold: float | None = None,
        coverage: float = 0.9,
        recipe: Recipe | None = None,
        inputs: Any = None,
        seed: int = 0,
        device: str = "auto",
    ):
        self.family = family
        self.label_smoothing = label_smoothing
        self.class_weight = class_weight
        self.threshold = threshold
        self.coverage = coverage
        self.recipe = recipe
        self.inputs = inputs
        self.seed = seed
        self.device = device


class WordEmbedder(Embeds):
    """Which words are alike? Vectors of words, learned from plain texts of any language; no answers are needed.

    family: the vectors' settings (Word2Vec by default).
    recipe: how to train. inputs: how texts are read. seed: of every random draw. device: "auto", "cpu", "cuda".
    """

    row: ClassVar[tuple[Cell, ...]] = (Cell(Word2Vec, word2vec_on_texts),)

    def __init__(
        self,
        family: Word2Vec | None = None,
        *,
        recipe: Recipe | None = None,
        inputs: Any = None,
        seed: int = 0,
        device: str = "auto",
    ):
        self.family = family
        self.recipe = recipe
        self.inputs = inputs
        self.seed = seed
        self.device = device


class TextGenerator(Writes):
    """What comes next? Texts of characters, bytes, pieces or words, learned from plain texts, written token by token.

    family: the network's settings (Transformer by default).
    temperature, top_k, top_p, min_p, penalty: see `decet.tasks.language.Language`.
    recipe: how to train. inputs: how texts are read. seed: of every random draw. device: "auto", "cpu", "cuda".
    """

    row: ClassVar[tuple[Cell, ...]] = (Cell(Transformer, transformer_writes), Cell(LSTM, lstm_writes))

    def __init__(
        self,
        family: Transformer | LSTM | None = None,
        *,
        temperature: float | None = None,
        top_k: int | None = None,
        top_p: float | None = None,
        min_p: float | None = None,
        penalty: float | None = None,
        recipe: Recipe | None = None,
        inputs: Any = None,
        seed: int = 0,
        device: str = "auto",
    ):
        self.family = family
        self.temperature = temperature
        self.top_k = top_k
        self.top_p = top_p
        self.min_p = min_p
        self.penalty = penalty
        self.recipe = recipe
        self.inputs = inputs
        self.seed = seed
        self.device = device


class NodeClassifier(ClassifiesNodes):
    """Which class does each node of a graph belong to? Few nodes with labels are enough: neighbours tell the rest.

    family: the network's settings (GNN by default).
    label_smoothing, class_weight, threshold, coverage, views, consistency, sharpening: see
        `decet.tasks.classify_nodes.ClassifyNodes`.
    recipe: how to train. inputs: how the graph is read. seed: of every random draw. device: "auto", "cpu", "cuda".
    """

    row: ClassVar[tuple[Cell, ...]] = (Cell(GNN, gnn_on_nodes), Cell(DNN, dnn_on_nodes))

    def __init__(
        self,
        family: GNN | DNN | None = None,
        *,
        label_smoothing: float | None = None,
        class_weight: Any = None,
        threshold: float | None = None,
        coverage: float = 0.9,
        views: int | None = None,
        consistency: float | None = None,
        sharpening: float | None = None,
        recipe: Recipe | None = None,
        inputs: Any = None,
        seed: int = 0,
        device: str = "auto",
    ):
        self.family = family
        self.label_smoothing = label_smoothing
        self.class_weight = class_weight
        self.threshold = threshold
        self.coverage = coverage
        self.views = views
        self.consistency = consistency
        self.sharpening = sharpening
        self.recipe = recipe
        self.inputs = inputs
        self.seed = seed
        self.device = device


class LinkPredictor(JoinsNodes):
    """Which nodes of a graph are joined, and which ought to be? A part of its edges is hidden, to choose and judge by.

    family: the network's settings (GNN by default; Word2Vec: node2vec).
    held, chosen, masked: see `decet.tasks.link.Link`.
    recipe: how to train. inputs: how the graph is read. seed: of every random draw. device: "auto", "cpu", "cuda".
    """

    row: ClassVar[tuple[Cell, ...]] = (Cell(GNN, gnn_on_links), Cell(Word2Vec, word2vec_on_walks))

    def __init__(
        self,
        family: GNN | Word2Vec | None = None,
        *,
        held: float = 0.1,
        chosen: float | None = None,
        masked: float | None = None,
        recipe: Recipe | None = None,
        inputs: Any = None,
        seed: int = 0,
        device: str = "auto",
    ):
        self.family = family
        self.held = held
        self.chosen = chosen
        self.masked = masked
        self.recipe = recipe
        self.inputs = inputs
        self.seed = seed
        self.device = device


class NodeEmbedder(EmbedsNodes):
    """Which nodes of a graph are alike, and whom does each reach? Vectors of nodes, learned without labels.

    family: the network's settings (GNN by default; Word2Vec: node2vec and DeepWalk).
    objective: see `decet.tasks.embed_nodes.EmbedNodes`.
    recipe: how to train. inputs: how the graph is read. seed: of every random draw. device: "auto", "cpu", "cuda".
    """

    row: ClassVar[tuple[Cell, ...]] = (Cell(GNN, gnn_on_vectors), Cell(Word2Vec, word2vec_on_walks))

    def __init__(
        self,
        family: GNN | Word2Vec | None = None,
        *,
        objective: str | None = None,
        recipe: Recipe | None = None,
        inputs: Any = None,
        seed: int = 0,
        device: str = "auto",
    ):
        self.family = family
        self.objective = objective
        self.recipe = recipe
        self.inputs = inputs
        self.seed = seed
        self.device = device


class CommunityDetector(DetectsCommunities):
    """Which nodes of a graph belong together? As many edges within as chance would not have; no labels are needed.

    family: the network's settings (GNN by default).
    communities, objective, balance, settle: see `decet.tasks.communities.DetectCommunities`.
    recipe: how to train. inputs: how the graph is read. seed: of every random draw. device: "auto", "cpu", "cuda".
    """

    row: ClassVar[tuple[Cell, ...]] = (Cell(GNN, gnn_on_communities),)
    groups: ClassVar[Cell] = Cell(GNN, gnn_on_groups)

    def __init__(
        self,
        family: GNN | None = None,
        *,
        communities: int | None = None,
        objective: str | None = None,
        balance: float | None = None,
        settle: bool | None = None,
        recipe: Recipe | None = None,
        inputs: Any = None,
        seed: int = 0,
        device: str = "auto",
    ):
        self.family = family
        self.communities = communities
        self.objective = objective
        self.balance = balance
        self.settle = settle
        self.recipe = recipe
        self.inputs = inputs
        self.seed = seed
        self.device = device


class Agent(Acts):
    """What to do in an environment, so that most is given in the end? Learned by playing.

    family: the method's settings (DQN by default), its network among them.
    steps, discount, trials: see `decet.tasks.act.Act`.
    recipe: how to learn. inputs: how the environment is met. seed: of every random draw. device: "auto", "cpu", "cuda".
    """

    row: ClassVar[tuple[Cell, ...]] = (Cell(DQN, dqn_on_environments),)

    def __init__(
        self,
        family: DQN | None = None,
        *,
        steps: int | None = None,
        discount: float | None = None,
        trials: int | None = None,
        recipe: Recipe | None = None,
        inputs: Any = None,
        seed: int = 0,
        device: str = "auto",
    ):
        self.family = family
        self.steps = steps
        self.discount = discount
        self.trials = trials
        self.recipe = recipe
        self.inputs = inputs
        self.seed = seed
        self.device = device


class ImageGenerator(Draws):
    """What else looks like these pictures? New ones, of any kind or of a label; filled in, and on the way between two.

    family: the method's settings (Diffusion by default, or GAN).
    sampler, steps, guidance, labelled: see `decet.tasks.draw.Draw`.
    recipe: how to train. inputs: how pictures are read. seed: of every random draw. device: "auto", "cpu", "cuda".
    """

    row: ClassVar[tuple[Cell, ...]] = (Cell(Diffusion, diffusion_on_pictures), Cell(GAN, gan_on_pictures))

    def __init__(
        self,
        family: Diffusion | GAN | None = None,
        *,
        sampler: str | None = None,
        steps: int | None = None,
        guidance: float | None = None,
        labelled: bool | None = None,
        recipe: Recipe | None = None,
        inputs: Any = None,
        seed: int = 0,
        device: str = "auto",
    ):
        self.family = family
        self.sampler = sampler
        self.steps = steps
        self.guidance = guidance
        self.labelled = labelled
        self.recipe = recipe
        self.inputs = inputs
        self.seed = seed
        self.device = device


ESTIMATORS: tuple[type[Estimator], ...] = (
    TableClassifier,
    TableRegressor,
    ImageClassifier,
    ImageGenerator,
    TextClassifier,
    TextGenerator,
    WordEmbedder,
    NodeClassifier,
    LinkPredictor,
    NodeEmbedder,
    CommunityDetector,
    Agent,
)
FAMILIES: tuple[type, ...] = (DNN, CNN, ResNet, LSTM, Word2Vec, Transformer, GAN, Diffusion, GNN, DQN)

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
