"""The tour: a small model of each family, trained on data inside the install, and one page of what each learned.

Where rows have answers some are held out before anything is fitted, and the figures are of those.
"""

from __future__ import annotations

import inspect
import re
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from decet.errors import BadInput, check_range, suggest
from decet.estimators.asking import bulk_of
from decet.estimators.catalog import (
    Agent,
    ImageClassifier,
    ImageGenerator,
    NodeClassifier,
    TableRegressor,
    TextClassifier,
    TextGenerator,
    WordEmbedder,
)
from decet.estimators.reading import DataWarning
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
from decet.pages.drawing import Chart, curves
from decet.pages.gallery import learned
from decet.pages.gallery import looks as gallery
from decet.pages.looks import looks_of
from decet.pages.rendering import environment
from decet.pages.words import word_looks
from decet.pages.writing import samples
from decet.referee.rows import target_of
from decet.training.checkpoint import check_writable, write_whole
from decet.training.progress import Part, Quiet, Show
from decet.training.recipe import Recipe

Array = NDArray[Any]
TOLD = (0, 33)  # members of the club whose side is known
PLAYED = 8_000  # steps of the cart
TEST = 4  # one row of so many is held out
DRAWING = Recipe(epochs=60)
WRITING = Recipe(epochs=8)  # of the writer: no budget, so that a busy machine writes as well
PAGE = "tour.html"
LONGEST = 60  # words of a docstring
SPOKEN = (  # modules whose docstrings are read
    "numpy", "numpy.linalg", "numpy.fft", "pandas", "sklearn.linear_model", "sklearn.metrics", "sklearn.preprocessing",
    "sklearn.model_selection", "torch", "torch.nn", "torch.nn.functional", "torch.linalg", "torch.special",
)  # fmt: skip
OWNERS = tuple(dict.fromkeys(name.partition(".")[0] for name in SPOKEN))


@dataclass(frozen=True)
class Stop:
    """One family: its sentence in Python, what was asked of which data, figures in words, and what there is to see."""

    family: str
    code: str
    about: str
    figures: str
    looks: dict[str, Any] = field(default_factory=dict)
    curves: Sequence[Chart] = ()
    seconds: float = 0.0


def tour(
    families: Sequence[str] | None = None,
    *,
    out: str | Path = "tour",
    seed: int = 0,
    show: Show | None = None,
) -> list[Stop]:
    """Make the stops of these families (None = all there are) and write OUT/tour.html.

    Raises BadInput for a family that has no stop.
    """
    check_range("seed", seed, 0, whole=True)
    chosen = _chosen(families)
    check_writable(Path(out) / PAGE, "the page ")
    stops, show = list[Stop](), show or Quiet()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)
        for number, (name, make) in enumerate(chosen.items()):
            started = time.monotonic()
            stop = make(seed, Part(show, number, len(chosen)))
            stops.append(replace(stop, seconds=time.monotonic() - started))
            show.say(f"{name}: {stop.figures}")
    write_whole(Path(out) / PAGE, page_of(stops).encode("utf-8", "backslashreplace"), "the page ")
    return stops


def page_of(stops: Sequence[Stop]) -> str:
    """The page of these stops."""
    return environment().get_template("tour.html").render(title="A tour of decet", stops=stops)


def _chosen(families: Sequence[str] | None) -> dict[str, Callable[[int, Show], Stop]]:
    if families is None:
        return dict(STOPS)
    known = {name.lower(): name for name in STOPS}
    for name in families:
        if name.lower() not in known:
            raise BadInput(f"the tour has no stop {name!r}.{suggest(name, STOPS)}")
    return {known[name.lower()]: STOPS[known[name.lower()]] for name in families}


# -------------------------------------------------------------------------------------------------------------- stops


def _dnn(seed: int, show: Show) -> Stop:
    from sklearn.datasets import load_diabetes

    found = load_diabetes(as_frame=True, scaled=False)
    train, test = _parts(len(found.target), seed)
    X, y = found.data, found.target
    model = TableRegressor(DNN(), seed=seed).fit(X.iloc[train], y.iloc[train], show=show)
    figures = model.evaluate(X.iloc[test], y.iloc[test])
    return Stop(
        "DNN",
        "TableRegressor(DNN()).fit(patients, course)",
        f"How far will the disease have gone in a year? {len(train)} patients to learn from, {len(test)} held out.",
        f"r2 {figures['r2']:.3f}; intervals of 90 % held the truth {100 * (figures['coverage'] or 0):.0f} % of times",
        _seen(model, X.iloc[test], y.iloc[test]),
        curves(model.history_),
    )


def _cnn(seed: int, show: Show) -> Stop:
    recipe = Recipe(epochs=15)
    return _digits("CNN", CNN(channels=(16, 32), depth=2), "CNN(channels=(16, 32), depth=2)", recipe, seed, show)


def _resnet(seed: int, show: Show) -> Stop:
    return _digits("ResNet", ResNet(width=16), "ResNet(width=16)", Recipe(epochs=10), seed, show)


def _digits(name: str, family: Any, said: str, recipe: Recipe, seed: int, show: Show) -> Stop:
    from sklearn.datasets import load_digits

    found = load_digits()
    train, test = _parts(len(found.target), seed)
    images = (found.images * 255 / 16).round().astype(np.uint8)
    model = ImageClassifier(family, recipe=recipe, seed=seed).fit(images[train], found.target[train], show=show)
    figures = model.evaluate(images[test], found.target[test])
    return Stop(
        name,
        f"ImageClassifier({said}, recipe=Recipe(epochs={recipe.epochs})).fit(digits, labels)",
        f"Which digit was written? {len(train):,} pictures of 8 x 8 to learn from, {len(test)} held out.",
        f"{100 * (figures['accuracy'] or 0):.1f} % right; calibration error {figures['calibration_error']:.3f}",
        _seen(model, images[test], found.target[test]),
        curves(model.history_),
    )


def _lstm(seed: int, show: Show) -> Stop:
    pages = [text for _, text in sorted(manual().items())]
    model = TextGenerator(LSTM(width=256, depth=1), recipe=WRITING, seed=seed).fit(pages, show=show)
    return Stop(
        "LSTM",
        f"TextGenerator(LSTM(width=256, depth=1), recipe=Recipe(epochs={WRITING.epochs})).fit(manual)",
        f"What comes next in Python's own manual, {sum(map(len, pages)):,} characters, the last tenth held out?",
        f"{model.metrics_['bits_per_byte']:.2f} bits a byte",
        {"samples": samples(model), "surprises": []},
        curves(model.history_),
    )


def _word2vec(seed: int, show: Show) -> Stop:
    pages = [text for _, text in sorted(manual().items())]
    model = WordEmbedder(Word2Vec(width=64), seed=seed).fit(pages, show=show)
    return Stop(
        "Word2Vec",
        "WordEmbedder(Word2Vec(width=64)).fit(manual)",
        "Which words of Python's own manual are alike? Nobody says; only the texts do.",
        f"{len(model.codec_.words):,} words have vectors",
        word_looks(model),
    )


def _transformer(seed: int, show: Show) -> Stop:
    texts, owners = docstrings()
    train, test = _parts(len(texts), seed)
    each = [[texts[i] for i in part] for part in (train, test)]
    model = TextClassifier(Transformer(width=64, depth=1, heads=4), recipe=Recipe(epochs=5), seed=seed)
    model.fit(each[0], owners[train], show=show)
    figures = model.evaluate(each[1], owners[test])
    return Stop(
        "Transformer",
        "TextClassifier(Transformer(width=64, depth=1, heads=4), recipe=Recipe(epochs=5)).fit(docstrings, packages)",
        f"Whose is a docstring, packages' names left out? {len(train):,} to learn from, {len(test)} held out.",
        f"{100 * (figures['accuracy'] or 0):.1f} % right of {', '.join(OWNERS)}",
        _seen(model, each[1], owners[test]),
        curves(model.history_),
    )


def _gan(seed: int, show: Show) -> Stop:
    players = DNN(hidden=(128, 128))
    said = "GAN(generator=DNN(hidden=(128, 128)), critic=DNN(hidden=(128, 128)))"
    return _drawn("GAN", GAN(generator=players, critic=players), said, seed, show)


def _diffusion(seed: int, show: Show) -> Stop:
    return _drawn("Diffusion", Diffusion(channels=(24, 48)), "Diffusion(channels=(24, 48))", seed, show)


def _drawn(name: str, family: Any, said: str, seed: int, show: Show) -> Stop:
    from sklearn.datasets import load_digits

    found = load_digits()
    images = (found.images * 255 / 16).round().astype(np.uint8)
    model = ImageGenerator(family, recipe=DRAWING, seed=seed).fit(images, found.target, show=show)
    told = model.metrics_
    return Stop(
        name,
        f"ImageGenerator({said}, recipe=Recipe(epochs={DRAWING.epochs})).fit(digits, labels)",
        f"What else could have been written? {model.provenance_['rows']:,} pictures of 8 x 8 to learn from.",
        f"a classifier sees the digit that was asked for in {100 * (told['recognised'] or 0):.0f} %; Frechet distance "
        f"{told['frechet']:.3g}, of real digits {told['frechet_real']:.3g}",
        {"sheet": gallery(model)["drawn"]},
        learned(model.history_),
    )


def _gnn(seed: int, show: Show) -> Stop:
    """The club: of two members it is known whom they followed, the teacher and the officer."""
    from decet.data.datasets import load

    club = load("karate").X
    known = np.where(np.isin(np.arange(club.count), TOLD), club.labels, None)
    others = club.take(np.setdiff1d(np.arange(club.count), TOLD))
    model = NodeClassifier(GNN(width=16), seed=seed).fit(club, known, show=show)
    figures = model.evaluate(others)
    return Stop(
        "GNN",
        "NodeClassifier(GNN(width=16)).fit(club, known)",
        f"Whom did each member follow when Zachary's karate club split? Known of {len(TOLD)}, asked of {len(others)}.",
        f"{100 * (figures['accuracy'] or 0):.1f} % right",
        _seen(model, others, others.answers),
        curves(model.history_),
    )


def _dqn(seed: int, show: Show) -> Stop:
    model = Agent(DQN(), steps=PLAYED, seed=seed).fit("CartPole-v1", show=show)
    mean, least = (model.evaluate()[name] or 0.0 for name in ("return", "least"))
    return Stop(
        "DQN",
        f"Agent(DQN(), steps={PLAYED}).fit('CartPole-v1')",
        f"Can a cart keep a pole upright? Nobody says how: {PLAYED:,} steps are played, 500 at most an episode.",
        f"{mean:.0f} steps upright, the mean of 100 episodes; {least:.0f} in the worst",
        {},
        curves(model.history_, "return", "of episodes played greedily"),
    )


STOPS: dict[str, Callable[[int, Show], Stop]] = {
    "DNN": _dnn,
    "CNN": _cnn,
    "ResNet": _resnet,
    "LSTM": _lstm,
    "Word2Vec": _word2vec,
    "Transformer": _transformer,
    "GAN": _gan,
    "Diffusion": _diffusion,
    "GNN": _gnn,
    "DQN": _dqn,
}


# --------------------------------------------------------------------------------------------- data inside the install


def manual() -> dict[str, str]:
    """Python's own manual, a page a topic: it comes with every Python."""
    from pydoc_data.topics import topics

    return dict(topics)


def docstrings() -> tuple[list[str], Array]:
    """The first words of docstrings of packages that decet needs, without the packages' names; and whose they are."""
    from importlib import import_module

    texts, owners = list[str](), list[str]()
    for owner in OWNERS:
        modules = [import_module(name) for name in SPOKEN if name.partition(".")[0] == owner]
        for text in sorted({text for module in modules for text in _documented(module)}):
            words = re.sub(rf"\b({'|'.join(OWNERS)}|np|pd|scikit|learn|Tensor|ndarray|DataFrame)\b", " ", text).split()
            if len(words) >= 8:
                texts.append(" ".join(words[:LONGEST]))
                owners.append(owner)
    return texts, np.array(owners)


def _documented(module: ModuleType) -> Iterator[str]:
    """Docstrings of what a module shows, and of its classes' methods."""
    for name, thing in list(vars(module).items()):
        if name.startswith("_") or not callable(thing):
            continue
        own = [thing, *(m for key, m in vars(thing).items() if key[0] != "_")] if inspect.isclass(thing) else [thing]
        yield from (inspect.cleandoc(text) for one in own if isinstance(text := getattr(one, "__doc__", None), str))


# --------------------------------------------------------------------------------------------------------------- seen


def _parts(count: int, seed: int) -> tuple[Array, Array]:
    """Rows to learn from and rows held out, both rising."""
    order = np.random.Generator(np.random.Philox(seed)).permutation(count)
    return np.sort(order[count // TEST :]), np.sort(order[: count // TEST])


def _seen(model: Any, X: Any, y: Any) -> dict[str, Any]:
    """What there is to see in the answers to held-out rows."""
    given = model._given(X, y, reset=False)
    found = model._found(given.rows, bulk_of(model.codec_.spec), behind=True)
    answers, target = model._numbers_of(found.answers.numpy()), target_of(model.answer_, given.answers)
    seen: dict[str, Any] = looks_of(
        model, given.rows, target, answers, lambda texts: model.predict_proba(list(texts)), found
    )
    return seen
