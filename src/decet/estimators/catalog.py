"""THE MAP: every estimator, its families (default first), and the settings and recipe of each cell.

A cell is a short function of the input's spec, the number of rows given, and the budget in seconds, if there is one.
The numbers in them hold for data of that shape in general; settings tuned for one public set stand in its benchmark.
Rows without a class, and names without a cell, are planned: `decet cells` shows them so.
"""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial
from typing import Any, ClassVar

from decet.contracts import GraphSpec, ImageSpec, TableSpec, TokenSpec
from decet.data.images import Images
from decet.data.texts import Texts
from decet.estimators.answering import Classifies, Regresses
from decet.estimators.base import Advice, Cell, Estimator
from decet.estimators.embedding import Embeds, usual, vectors_first
from decet.estimators.nodes import ClassifiesNodes
from decet.estimators.reading import PictureReader, TextReader
from decet.estimators.writing import Writes
from decet.families.cnn import CNN
from decet.families.dnn import DNN
from decet.families.gnn import GNN
from decet.families.lstm import LSTM
from decet.families.resnet import ResNet
from decet.families.transformer import Transformer
from decet.families.word2vec import Word2Vec
from decet.settings import joined
from decet.tasks.classify import Classify
from decet.tasks.classify_nodes import ClassifyNodes
from decet.tasks.classify_pictures import ClassifyPictures
from decet.training.recipe import Recipe

LONGEST = 100  # epochs over pictures


def _dnn_on_tables(spec: TableSpec, rows: int, budget: float | None) -> Advice:
    """TabM (2410.24210): with binned numbers where rows are many; narrow, smooth and short where they are few."""
    if rows <= 5_000:
        family = DNN(width=64 if rows < 1_000 else 192, depth=2, dropout=0.2, activation="silu", embedding="none")
        batch = min(256, max(16, 2 ** round(math.log2(max(rows, 1) / 12))))
        return Advice(family, Recipe(epochs=60, batch=batch, lr=2e-3, weight_decay=1e-2, patience=0, members=8))
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
        return Advice(family, replace(recipe, epochs=25, batch=256, members=16))
    return Advice(family, replace(recipe, epochs=12, batch=1024, members=8))


def _resnet_on_tables(spec: TableSpec, rows: int, budget: float | None) -> Advice:
    """Gorishniy et al. (2106.11959), with binned numbers where rows are many; five separate networks where few."""
    wide = spec.numbers > 200 or spec.sparse
    if rows <= 5_000:
        family = ResNet(width=64 if rows < 1_000 else 128, blocks=(2,), dropout=0.2, embedding="none")
        batch = min(256, max(16, 2 ** round(math.log2(max(rows, 1) / 12))))
        return Advice(family, Recipe(epochs=60, batch=batch, lr=1e-3, weight_decay=1e-2, patience=0, members=4))
    embedded = max(4, min(24, 400 // max(spec.numbers, 1)))
    family = ResNet(
        width=192, blocks=(3,), dropout=0.2, embedding="none" if wide else "piecewise", embedding_width=embedded
    )
    recipe = Recipe(lr=1e-3, weight_decay=1e-2, average=0.99, patience=8, epochs=25, batch=256, members=1)
    return Advice(family, recipe if rows < 100_000 else replace(recipe, epochs=12, batch=1024))


def _varied(spec: ImageSpec) -> Recipe:
    """How pictures may be varied without becoming others: colour photographs may be mirrored, glyphs may not."""
    side = min(spec.height, spec.width)
    if spec.channels == 3:
        return Recipe(flip=True, crop=max(1, round(side / 8)), erase=0.25)
    return Recipe(crop=max(1, round(side / 14)), rotate=10.0, zoom=0.1)


def _asks(spec: ImageSpec) -> ClassifyPictures:
    return ClassifyPictures(label_smoothing=0.1, views="shift" if spec.channels == 3 and spec.height <= 64 else "plain")


def _length(rows: int, budget: float | None) -> tuple[int, int]:
    """Epochs and pictures a step: few rows are seen more often, in smaller batches. A budget may take more of them."""
    epochs = LONGEST if budget else max(8, min(LONGEST, round(1_200_000 / max(rows, 1))))
    return epochs, max(8, min(256, 2 ** round(math.log2(max(rows, 1) / 80))))


def _resnet_on_pictures(spec: ImageSpec, rows: int, budget: float | None) -> Advice:
    """The fast nine-layer network for small pictures, ResNet-18 for large ones; Muon, one cycle."""
    epochs, batch = _length(rows, budget)
    small = max(spec.height, spec.width) <= 64
    recipe = Recipe(epochs=epochs, batch=batch, lr=4e-2 if small else 2e-2, grow=0.75)
    family = ResNet() if small else ResNet(depth=18)  # no width or blocks: what a user's own depth means, it knows
    return Advice(family, joined(joined(recipe, _CONVOLUTIONS), _varied(spec)), _asks(spec))


def _cnn_on_pictures(spec: ImageSpec, rows: int, budget: float | None) -> Advice:
    """Blocks of two convolutions, the map halved after each; few channels at full size, where they are dear."""
    epochs, batch = _length(rows, budget)
    halvings = max(2, min(6, int(math.log2(max(2, min(spec.height, spec.width) / 3)))))
    family = CNN(channels=(16, *(min(512, 32 * 2**i) for i in range(1, halvings))), depth=2, summary="max")
    recipe = Recipe(epochs=epochs, batch=batch, lr=3e-2, grow=0.75)
    return Advice(family, joined(joined(recipe, _CONVOLUTIONS), _varied(spec)), _asks(spec))


_CONVOLUTIONS = Recipe(  # what networks of them have in common
    optimizer="muon",
    momentum=0.8,
    weight_decay=0.05,
    schedule="one-cycle",
    warmup=0.2,
    clip=0.0,
    precision="auto",
)


def _dnn_on_pictures(spec: ImageSpec, rows: int, budget: float | None) -> Advice:
    epochs, batch = _length(rows, budget)
    family = DNN(width=512, depth=3, dropout=0.2, norm="batch")
    recipe = Recipe(epochs=epochs, batch=min(batch, 256), lr=2e-3, weight_decay=0.05, schedule="one-cycle", warmup=0.1)
    return Advice(family, joined(recipe, _varied(spec)), _asks(spec))


def _text_length(rows: int) -> tuple[int, int]:
    """Epochs and texts a step: few texts are seen more often, in smaller batches."""
    rows = max(rows, 1)
    return max(4, min(30, round(8_000 / rows))), max(8, min(64, 2 ** round(math.log2(rows / 40))))


def _cnn_on_texts(spec: TokenSpec, rows: int, budget: float | None) -> Advice:
    """Kim's network (1408.5882) with windows of one to three words: random vectors tell longer ones badly apart.

    Short texts are cheap, so several networks share the work; long ones, where a topic is told by many words, get a
    narrow one that sums up too.
    """
    epochs, batch = _text_length(rows)
    longest = spec.length or 1
    family = CNN(channels=(100,), kernels=(1, 2, 3), width=128, dropout=0.5, summary="max")
    members = max(1, min(4, 4_500_000 // (max(rows, 1) * longest)))
    if longest > 400:
        family, members = replace(family, channels=(64,), width=64, summary="both"), 1
    return Advice(family, joined(Recipe(epochs=epochs, batch=batch, members=members), _OF_TEXTS), _SMOOTH)


def _resnet_on_texts(spec: TokenSpec, rows: int, budget: float | None) -> Advice:
    """Two residual blocks of convolutions over embedded words, the maximum over the text."""
    epochs, batch = _text_length(rows)
    family = ResNet(widths=(64, 64), blocks=(1, 1), dropout=0.5, pool="max")
    return Advice(family, joined(Recipe(epochs=epochs, batch=batch), _OF_TEXTS), _SMOOTH)


def _dnn_on_texts(spec: TableSpec, rows: int, budget: float | None) -> Advice:
    """A hashed bag of words and pairs and one narrow hidden layer, near to fastText's classifier (1607.01759)."""
    epochs, batch = _text_length(rows)
    family = DNN(width=64, depth=1, dropout=0.5, embedding="none")
    return Advice(family, joined(Recipe(epochs=epochs, batch=batch), _OF_TEXTS), _SMOOTH)


BUCKET = 16  # batches: texts of like length stand together where padding, or the longest text of a batch, costs time


def _transformer_on_texts(spec: TokenSpec, rows: int, budget: float | None) -> Advice:
    """A shallow and narrow one: texts with answers are few, and nothing was read before; vectors learned from the texts
    made it no better (log.md)."""
    epochs, batch = _text_length(rows)
    family = Transformer(width=128, depth=2, heads=4, dropout=0.2, word_dropout=0.2, summary="mean")
    return Advice(family, joined(Recipe(epochs=epochs, batch=batch, bucket=BUCKET, lr=1e-3), _OF_TEXTS), _SMOOTH)


def _lstm_on_texts(spec: TokenSpec, rows: int, budget: float | None) -> Advice:
    """One layer that reads both ways, maximum and mean over the text, from vectors learned from the texts first."""
    epochs, batch = _text_length(rows)
    family = LSTM(width=128, depth=1, embedding=128, dropout=0.3, word_dropout=0.2, summary="both")
    return Advice(family, joined(Recipe(epochs=epochs, batch=batch, bucket=BUCKET), _OF_TEXTS), _SMOOTH)


_OF_TEXTS = Recipe(  # words are many and overfitted soon: a short cycle, of which the best epoch is kept
    lr=2e-3, schedule="one-cycle", average=0.99, patience=2
)
_SMOOTH = Classify(label_smoothing=0.1)


def _word2vec_of_texts(spec: TokenSpec, rows: int, budget: float | None) -> Advice:
    """Vectors learned from the texts first, then moved on by an answer linear in what they come to (1607.01759).

    Where a pass has few steps, each is larger.
    """
    rate = min(4e-3, 5e-4 + 1e-3 * math.sqrt(6_400 / max(rows, 1)))
    batch = max(8, min(64, 2 ** round(math.log2(max(rows, 1) / 12))))
    family = Word2Vec(smoothing=1e-2, word_dropout=0.5, dropout=0.5, summary="root")
    return Advice(family, Recipe(epochs=20, batch=batch, lr=rate, average=0.99), _SMOOTH)


def _word2vec_on_texts(spec: TokenSpec, rows: int, budget: float | None) -> Advice:
    """As word2vec.c: five passes; more over few words (rows)."""
    epochs = max(5, min(500, round(_WORDS / max(rows, 1))))
    return Advice(usual(rows), replace(_VECTORS, epochs=epochs))


_WORDS = 20_000_000  # that vectors are learned from, all passes together, where a network goes on from them
_VECTORS = Recipe(lr=0.025, schedule="one-cycle", warmup=0.0, patience=0)  # the rate falls from the first word on


FEW_TOKENS, SHORT = 300_000, 120.0  # tokens, and seconds of a budget, below which what writes is small
MANY = 10_000  # tokens beyond which rare ones have fewer numbers


def _transformer_writes(spec: TokenSpec, rows: int, budget: float | None) -> Advice:
    """As large as the text can teach and the time allows; dropout where it is seen many times (rows are tokens)."""
    hasty = budget is not None and budget < SHORT
    little = rows < FEW_TOKENS or hasty
    context, batch = _windows(rows, 128 if little else 256, 32)
    shape = {"width": 128, "depth": 4, "heads": 4} if little else {"width": 384, "depth": 4, "heads": 3}
    family = Transformer(
        **shape, context=context, feed="relu2", normed=True, dropout=0.15,  # type: ignore[arg-type]
        adaptive=spec.vocabulary > MANY,
    )  # fmt: skip
    recipe = Recipe(
        epochs=_passes(rows, 20_000_000), batch=batch, lr=3e-3, weight_decay=0.1, optimizer="muon", momentum=0.95,
        schedule="one-cycle", warmup=0.02, clip=1.0, precision="auto", patience=0,
    )  # fmt: skip
    if hasty:  # many small steps teach more than few large ones, and there is no time to compare precisions
        context, batch = _windows(rows, 64, 16)
        family = replace(family, context=context, dropout=0.0)
        recipe = replace(recipe, batch=batch, lr=1e-2, precision="fp32")
    return Advice(family, recipe)


def _lstm_writes(spec: TokenSpec, rows: int, budget: float | None) -> Advice:
    """Two layers, words tied, dropout between and from step to step (rows are tokens); of many words most are rare."""
    little, many = rows < FEW_TOKENS or (budget is not None and budget < SHORT), spec.vocabulary > MANY
    window, batch = _windows(rows, 70 if many else 128, 64)
    family = LSTM(
        width=256 if little else 512, depth=1 if little else 2, embedding=256, dropout=0.35 if many else 0.2,
        adaptive=many,
    )  # fmt: skip
    recipe = Recipe(
        epochs=_passes(rows, 40_000_000 if many else 20_000_000), batch=batch, window=window,
        lr=2e-2 if many else 1e-2, weight_decay=0.1, optimizer="muon", momentum=0.95, schedule="one-cycle",
        warmup=0.02, clip=1.0, precision="auto", patience=0,
    )  # fmt: skip
    return Advice(family, recipe)


def _windows(tokens: int, longest: int, most: int) -> tuple[int, int]:
    """Tokens of a window, and windows a step: a short text has several steps a pass, too."""
    length = max(8, min(longest, 2 ** int(math.log2(max(1, tokens) / 64 + 1))))
    return length, max(1, min(most, tokens // (8 * length)))


def _passes(tokens: int, read: int) -> int:
    """So many that `read` tokens are read, from 1 to 40."""
    return max(1, min(40, round(read / max(1, tokens))))


HANDFUL = 25  # nodes with labels
ALL = 1 << 30  # nodes a step: every one, for all are worked out anyway


def _gnn_on_nodes(spec: GraphSpec, rows: int, budget: float | None) -> Advice:
    """Few labels: one layer whose numbers spread (1810.05997), two views of which agree on all nodes (2005.11079); of a
    handful of labels none may be dropped. Many: three residual layers of Kipf and Welling's (1609.02907)."""
    if spec.relations > 1:
        return Advice(GNN(conv="rgcn", width=64, depth=2, dropout=0.5), _OF_NODES)
    if rows < 1_000:
        family = GNN(conv="appnp", width=64, hops=10, teleport=0.1, dropout=0.5, node_dropout=0.5)
        if rows < HANDFUL:
            return Advice(replace(family, dropout=0.0, node_dropout=0.0), _OF_NODES)
        return Advice(family, _OF_NODES, ClassifyNodes(views=2, consistency=1.0, sharpening=0.5))
    family = GNN(conv="gcn", width=256, depth=3, dropout=0.5, residual=True, norm="layer", input_dropout=0.1)
    return Advice(family, joined(Recipe(weight_decay=0.0), _OF_NODES))


def _dnn_on_nodes(spec: TableSpec, rows: int, budget: float | None) -> Advice:
    """The features of a node, and not its neighbours."""
    family = DNN(width=64, depth=1, dropout=0.5, embedding="none")
    return Advice(family, _OF_NODES)


_OF_NODES = Recipe(  # as the citation graphs are trained on since Kipf and Welling: decay in the gradient, a fixed rate
    epochs=400, batch=ALL, optimizer="adam", lr=1e-2, weight_decay=1e-3, schedule="constant", warmup=0.0, clip=0.0,
    patience=100, metric="accuracy", members=1,
)  # fmt: skip


class TableClassifier(Classifies):
    """Which class does each row of a table belong to? Labels, label sets, or several columns of labels.

    family: the network's settings (DNN by default).
    label_smoothing, class_weight, threshold, coverage: see `decet.tasks.classify.Classify`.
    recipe: how to train. inputs: how columns are read. seed: of every random draw. device: "auto", "cpu", "cuda".
    """

    row: ClassVar[tuple[Cell, ...]] = (Cell(DNN, _dnn_on_tables), Cell(ResNet, _resnet_on_tables))

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

    row: ClassVar[tuple[Cell, ...]] = (Cell(DNN, _dnn_on_tables), Cell(ResNet, _resnet_on_tables))

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
        Cell(ResNet, _resnet_on_pictures),
        Cell(CNN, _cnn_on_pictures),
        Cell(DNN, _dnn_on_pictures),
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
        Cell(CNN, _cnn_on_texts),
        Cell(Transformer, _transformer_on_texts),
        Cell(LSTM, _lstm_on_texts, partial(vectors_first, recipe=_VECTORS, read=_WORDS)),
        Cell(Word2Vec, _word2vec_of_texts, partial(vectors_first, recipe=_VECTORS)),
        Cell(ResNet, _resnet_on_texts),
        Cell(DNN, _dnn_on_texts),
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

    row: ClassVar[tuple[Cell, ...]] = (Cell(Word2Vec, _word2vec_on_texts),)

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

    row: ClassVar[tuple[Cell, ...]] = (Cell(Transformer, _transformer_writes), Cell(LSTM, _lstm_writes))

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

    row: ClassVar[tuple[Cell, ...]] = (Cell(GNN, _gnn_on_nodes), Cell(DNN, _dnn_on_nodes))

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


ESTIMATORS: tuple[type[Estimator], ...] = (
    TableClassifier,
    TableRegressor,
    ImageClassifier,
    TextClassifier,
    TextGenerator,
    WordEmbedder,
    NodeClassifier,
)
FAMILIES: tuple[type, ...] = (DNN, CNN, ResNet, LSTM, Word2Vec, Transformer, GNN)

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
