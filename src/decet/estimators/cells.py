"""The settings and the recipe of each cell of the map: what fits data of a shape in general.

A cell is a short function of the input's spec, the number of rows given, and the budget in seconds, if there is one.
Settings tuned for one public set stand in its benchmark.
"""

from __future__ import annotations

import math
from dataclasses import replace

from decet.contracts import GraphSpec, ImageSpec, TableSpec, TokenSpec
from decet.estimators.base import Advice
from decet.estimators.embedding import usual
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
from decet.settings import joined
from decet.tasks.act import Act
from decet.tasks.classify import Classify
from decet.tasks.classify_nodes import ClassifyNodes
from decet.tasks.classify_pictures import ClassifyPictures
from decet.tasks.communities import DetectCommunities
from decet.tasks.draw import Draw
from decet.tasks.embed_nodes import EmbedNodes
from decet.training.recipe import Recipe

LONGEST = 100  # epochs over pictures


def dnn_on_tables(spec: TableSpec, rows: int, budget: float | None) -> Advice:
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


def resnet_on_tables(spec: TableSpec, rows: int, budget: float | None) -> Advice:
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


def resnet_on_pictures(spec: ImageSpec, rows: int, budget: float | None) -> Advice:
    """The fast nine-layer network for small pictures, ResNet-18 for large ones; Muon, one cycle."""
    epochs, batch = _length(rows, budget)
    small = max(spec.height, spec.width) <= 64
    recipe = Recipe(epochs=epochs, batch=batch, lr=4e-2 if small else 2e-2, grow=0.75)
    family = ResNet() if small else ResNet(depth=18)  # no width or blocks: what a user's own depth means, it knows
    return Advice(family, joined(joined(recipe, _CONVOLUTIONS), _varied(spec)), _asks(spec))


def cnn_on_pictures(spec: ImageSpec, rows: int, budget: float | None) -> Advice:
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


def dnn_on_pictures(spec: ImageSpec, rows: int, budget: float | None) -> Advice:
    epochs, batch = _length(rows, budget)
    family = DNN(width=512, depth=3, dropout=0.2, norm="batch")
    recipe = Recipe(epochs=epochs, batch=min(batch, 256), lr=2e-3, weight_decay=0.05, schedule="one-cycle", warmup=0.1)
    return Advice(family, joined(recipe, _varied(spec)), _asks(spec))


def _text_length(rows: int) -> tuple[int, int]:
    """Epochs and texts a step: few texts are seen more often, in smaller batches."""
    rows = max(rows, 1)
    return max(4, min(30, round(8_000 / rows))), max(8, min(64, 2 ** round(math.log2(rows / 40))))


def cnn_on_texts(spec: TokenSpec, rows: int, budget: float | None) -> Advice:
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


def resnet_on_texts(spec: TokenSpec, rows: int, budget: float | None) -> Advice:
    """Two residual blocks of convolutions over embedded words, the maximum over the text."""
    epochs, batch = _text_length(rows)
    family = ResNet(widths=(64, 64), blocks=(1, 1), dropout=0.5, pool="max")
    return Advice(family, joined(Recipe(epochs=epochs, batch=batch), _OF_TEXTS), _SMOOTH)


def dnn_on_texts(spec: TableSpec, rows: int, budget: float | None) -> Advice:
    """A hashed bag of words and pairs and one narrow hidden layer, near to fastText's classifier (1607.01759)."""
    epochs, batch = _text_length(rows)
    family = DNN(width=64, depth=1, dropout=0.5, embedding="none")
    return Advice(family, joined(Recipe(epochs=epochs, batch=batch), _OF_TEXTS), _SMOOTH)


BUCKET = 16  # batches: texts of like length stand together where padding, or the longest text of a batch, costs time


def transformer_on_texts(spec: TokenSpec, rows: int, budget: float | None) -> Advice:
    """A shallow and narrow one: texts with answers are few, and nothing was read before; vectors learned from the texts
    made it no better (log.md)."""
    epochs, batch = _text_length(rows)
    family = Transformer(width=128, depth=2, heads=4, dropout=0.2, word_dropout=0.2, summary="mean")
    return Advice(family, joined(Recipe(epochs=epochs, batch=batch, bucket=BUCKET, lr=1e-3), _OF_TEXTS), _SMOOTH)


def lstm_on_texts(spec: TokenSpec, rows: int, budget: float | None) -> Advice:
    """One layer that reads both ways, maximum and mean over the text, from vectors learned from the texts first."""
    epochs, batch = _text_length(rows)
    family = LSTM(width=128, depth=1, embedding=128, dropout=0.3, word_dropout=0.2, summary="both")
    return Advice(family, joined(Recipe(epochs=epochs, batch=batch, bucket=BUCKET), _OF_TEXTS), _SMOOTH)


_OF_TEXTS = Recipe(  # words are many and overfitted soon: a short cycle, of which the best epoch is kept
    lr=2e-3, schedule="one-cycle", average=0.99, patience=2
)
_SMOOTH = Classify(label_smoothing=0.1)


def word2vec_of_texts(spec: TokenSpec, rows: int, budget: float | None) -> Advice:
    """Vectors learned from the texts first, then moved on by an answer linear in what they come to (1607.01759).

    Where a pass has few steps, each is larger.
    """
    rate = min(4e-3, 5e-4 + 1e-3 * math.sqrt(6_400 / max(rows, 1)))
    batch = max(8, min(64, 2 ** round(math.log2(max(rows, 1) / 12))))
    family = Word2Vec(smoothing=1e-2, word_dropout=0.5, dropout=0.5, summary="root")
    return Advice(family, Recipe(epochs=20, batch=batch, lr=rate, average=0.99), _SMOOTH)


def word2vec_on_texts(spec: TokenSpec, rows: int, budget: float | None) -> Advice:
    """As word2vec.c: five passes; more over few words (rows)."""
    epochs = max(5, min(500, round(READ_FIRST / max(rows, 1))))
    return Advice(usual(rows), replace(VECTORS, epochs=epochs))


READ_FIRST = 20_000_000  # that vectors are learned from, all passes together, where a network goes on from them
VECTORS = Recipe(lr=0.025, schedule="one-cycle", warmup=0.0, patience=0)  # the rate falls from the first word on


FEW_TOKENS, SHORT = 300_000, 120.0  # tokens, and seconds of a budget, below which what writes is small
MANY = 10_000  # tokens beyond which rare ones have fewer numbers


def transformer_writes(spec: TokenSpec, rows: int, budget: float | None) -> Advice:
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


def lstm_writes(spec: TokenSpec, rows: int, budget: float | None) -> Advice:
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


def gnn_on_nodes(spec: GraphSpec, rows: int, budget: float | None) -> Advice:
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


def dnn_on_nodes(spec: TableSpec, rows: int, budget: float | None) -> Advice:
    """The features of a node, and not its neighbours."""
    family = DNN(width=64, depth=1, dropout=0.5, embedding="none")
    return Advice(family, _OF_NODES)


_OF_NODES = Recipe(  # as the citation graphs are trained on since Kipf and Welling: decay in the gradient, a fixed rate
    epochs=400, batch=ALL, optimizer="adam", lr=1e-2, weight_decay=1e-3, schedule="constant", warmup=0.0, clip=0.0,
    patience=100, metric="accuracy", members=1,
)  # fmt: skip


BROAD = 20_000  # edges up to which vectors of links are wide


def gnn_on_links(spec: GraphSpec, rows: int, budget: float | None) -> Advice:
    """One layer without an activation, wide: vectors whose products tell edges (rows) need no more (2101.00046), if
    each step hides what it asks for (2205.10053)."""
    if spec.relations > 1:
        return Advice(GNN(conv="rgcn", width=128, depth=1, activation="none", dropout=0.5), _OF_LINKS)
    width = 512 if rows < BROAD else 256
    return Advice(GNN(conv="gcn", width=width, depth=1, activation="none", dropout=0.5), _OF_LINKS)


_OF_LINKS = Recipe(
    epochs=500, batch=ALL, optimizer="adam", lr=5e-3, weight_decay=0.0, schedule="constant", warmup=0.0, clip=0.0,
    patience=100, metric="auc",
)  # fmt: skip


def word2vec_on_walks(spec: TokenSpec, rows: int, budget: float | None) -> Advice:
    """As node2vec (1607.00653): skip-gram with windows of ten, vectors of 128 numbers; nobody is left out. Not
    deterministic: a walk meets the same nodes again and again, and blocks of moves that know nothing of each other
    overshoot."""
    family = Word2Vec(model="skip-gram", width=128, window=10, negatives=5, sample=0.0, exponent=0.75)
    return Advice(family, replace(VECTORS, epochs=max(2, min(10, round(200_000 / max(rows, 1))))))


def gnn_on_vectors(spec: GraphSpec, rows: int, budget: float | None) -> Advice:
    """Deep Graph Infomax (1809.10341) where nodes have features; who has none is told by edges alone."""
    told = replace(_OF_LINKS, metric=None)
    if spec.relations > 1:
        return Advice(GNN(conv="rgcn", width=128, depth=1, dropout=0.0), replace(told, epochs=200), _INFOMAX)
    if not spec.identity:
        family = GNN(conv="gcn", width=512, depth=1, dropout=0.0, input_dropout=0.2, edge_dropout=0.2)
        return Advice(family, replace(told, epochs=200, lr=1e-3), _INFOMAX)
    family = GNN(conv="gcn", width=64, depth=1, activation="none", dropout=0.0)
    return Advice(family, replace(told, epochs=200, lr=1e-2), EmbedNodes(objective="edges"))


_INFOMAX = EmbedNodes(objective="infomax")


def gnn_on_communities(spec: GraphSpec, rows: int, budget: float | None) -> Advice:
    """DMoN's objective (2006.16904) over numbers that spread ten steps (1810.05997)."""
    conv = "rgcn" if spec.relations > 1 else "appnp"
    family = GNN(conv=conv, width=64, depth=1, hops=10, teleport=0.1, activation="none", dropout=0.0)
    recipe = replace(_OF_LINKS, epochs=300, lr=1e-2, metric=None)
    return Advice(family, recipe, DetectCommunities(objective="modularity", balance=0.5))


def gnn_on_groups(spec: GraphSpec, rows: int, budget: float | None) -> Advice:
    """Vectors of Deep Graph Infomax, whose groups k-means finds."""
    family, recipe, _ = gnn_on_vectors(replace(spec, identity=False), rows, budget)
    return Advice(family, recipe, DetectCommunities(objective="infomax"))


TINY = 16  # rows of a picture that needs no pooling
_OF_PLAY = Recipe(  # the average of weights is tried, and the one that did best is kept
    batch=128, lr=1e-3, weight_decay=0.0, clip=10.0, schedule="flat-cosine", warmup=0.0, average=0.995,
    patience=1_000_000, precision="fp32",
)  # fmt: skip


def dqn_on_environments(spec: TableSpec | ImageSpec, rows: int, budget: float | None) -> Advice:
    """Vectors by two wide layers with norms, which keep values from running away (2407.04811); pictures by convolutions
    that keep where things are (small ones as 1903.03176 has it)."""
    asked = Act(steps=50_000, discount=0.99, trials=50)
    if isinstance(spec, ImageSpec):
        small = spec.height <= TINY
        layers = (16, "flat", "dense128") if small else (32, "pool", 64, "pool", 64, "flat", "dense512")
        sees = CNN(layers=layers, norm="none", dropout=0.0)
        family = DQN(network=sees, ratio=0.25, warmup=5_000, follow=1_000)
        return Advice(family, replace(_OF_PLAY, batch=32, lr=3e-4), replace(asked, steps=500_000))
    network = DNN(width=128, depth=2, norm="layer", dropout=0.0, embedding="none")
    return Advice(DQN(network=network, ratio=0.25, follow=100), _OF_PLAY, asked)


FEW_PICTURES = 10_000  # below which a critic learns them by heart
SEEN, OFTEN = 600_000, 600  # pictures that are learned from in all; each so often at most
ENDLESS = 1_000_000  # epochs, where a budget says how long


def _drawn_from(rows: int, budget: float | None, most: int) -> tuple[int, int]:
    """Epochs of so many pictures, and the size of a batch, of few pictures a small one, `most` at most."""
    epochs = ENDLESS if budget is not None else min(OFTEN, max(2, round(SEEN / max(rows, 1))))
    return epochs, min(most, max(8, min(32, rows // 4), 2 ** round(math.log2(max(rows, 1) / 16))))


def diffusion_on_pictures(spec: ImageSpec, rows: int, budget: float | None) -> Advice:
    """Squares of pixels as channels, so that the finest map has some 14 positions a side; velocities, min-SNR weights,
    twenty steps of DPM-Solver++."""
    fold = max(1, round(min(spec.height, spec.width) / 16))
    epochs, batch = _drawn_from(rows, budget, 128)
    recipe = Recipe(
        epochs=epochs, batch=batch, lr=1e-3, weight_decay=0.0, schedule="flat-cosine", warmup=0.02, clip=1.0,
        average=0.999, precision="auto",
    )  # fmt: skip
    return Advice(Diffusion(channels=(48, 96), depth=1, attention=1, fold=fold), recipe, Draw("dpm", 20, 1.0))


def gan_on_pictures(spec: ImageSpec, rows: int, budget: float | None) -> Advice:
    """Relativistic pairs and penalties at both kinds of pictures (2501.05441), which are varied where they are few."""
    epochs, batch = _drawn_from(rows, budget, 64)
    recipe = Recipe(
        epochs=epochs, batch=batch, optimizer="adam", lr=5e-4, weight_decay=0.0, momentum=0.0, schedule="flat-cosine",
        warmup=0.0, clip=0.0, average=0.999, precision="auto",
    )  # fmt: skip
    return Advice(GAN(vary=0.5 if rows < FEW_PICTURES else 0.0), recipe, Draw())
