"""A map of words: near words stand near each other, groups of like words share a tint.

Which words: those of letters, two at least where the script is an alphabet, that are not among the very frequent, which
mostly bind others (a share above 1e-3, as word2vec's sub-sampling has it; in English some hundred words). Of twice as
many as are wanted, the most frequent that are left, those with the longer vectors are taken: a word that stands in
all kinds of places has a short one (Schakel & Wilson, 1508.02297).

Where: t-SNE of the angles between vectors (van der Maaten & Hinton, JMLR 2008), begun from the main directions. Labels
that overlap are then pushed apart by as little as it takes; what still does not fit is left out, rarer words first.
A map shows who is near: distances between far groups, and directions, mean nothing. Groups are k-means of directions.
"""

from __future__ import annotations

import io
import unicodedata
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from decet.errors import BadInput, Unsupported, check_range, listed
from decet.estimators.saved import model_of
from decet.pages.rendering import TINTS, environment
from decet.tasks.embed import WordVectors
from decet.training.checkpoint import write_whole

Array = NDArray[Any]
COUNT = 300  # words of a map, where it is not said
FEWEST, MOST = 3, 1_000
BINDING = 1e-3  # share of a corpus above which words mostly bind others
WIDTH, HEIGHT = 960, 780  # of a map of `COUNT` words, in units of its own; more words need more room
LEAST = 0.75  # of that for a few words
LARGE, SMALL = 16.0, 11.0  # height of letters, of the most and the least frequent word
NARROW = 0.6  # width of an alphabet's letter, in heights; Chinese characters are as wide as high
GAP = 4.0  # between labels
TOUCH = 1.0  # by which gaps may overlap
PUSHES, FORCE = 500, 0.4  # rounds, and the share of an overlap that each takes away on either side
PERPLEXITY = 20.0  # neighbours that t-SNE looks at, more or less
MEMBERS = 12  # of a group, on average at least
DOTS = 200  # an inch, of .png
UNITS = 100  # an inch
FONT = "DejaVu Sans"  # of .png: matplotlib brings it along; it lacks Chinese


@dataclass(frozen=True)
class Label:
    """A word at its place: the middle (x, y) of its label, the height of its letters, its group."""

    word: str
    x: float
    y: float
    size: float
    group: int


@dataclass(frozen=True)
class WordMap:
    """Labels that do not overlap. left: how many words did not fit."""

    labels: tuple[Label, ...]
    left: int
    width: int
    height: int


def map_words(
    model: Any, path: str | Path, words: Sequence[str] | None = None, *, count: int = COUNT, seed: int = 0
) -> Path:
    """Draw a map of the words of a fitted WordEmbedder, or the nodes of a NodeEmbedder; give the picture's path.

    model: an estimator or a model folder. path: .svg (light and dark, drawn with the reader's own fonts) or .png.
    words: which; None: `count` that are frequent, but not all too frequent. seed: of the map's random draws.
    Raises BadInput for words that are not known, and where no font of this machine has the characters of a .png.
    """
    model = model_of(model)
    if not hasattr(type(model), "vectors_"):
        raise Unsupported(f"maps are of words and nodes that have vectors. Received: {type(model).__name__}.")
    path = Path(path)
    drawn = check_picture(path)
    found = word_map(model.vectors_, None if words is None else model._read_all(words), count=count, seed=seed)
    write_whole(path, drawn(found), "the map ")
    return path


def check_picture(path: Path) -> Callable[[WordMap], bytes]:
    """What draws a picture of this suffix. Raises BadInput for another one."""
    if path.suffix.lower() not in DRAWN:
        raise BadInput(f"a map of words is a picture, {listed(DRAWN)}. Received: {str(path)!r}.")
    return DRAWN[path.suffix.lower()]


def word_map(vectors: WordVectors, words: Sequence[str] | None = None, *, count: int = COUNT, seed: int = 0) -> WordMap:
    """Where each word stands. words, count, seed: as `map_words` takes them."""
    check_range("count", count, FEWEST, MOST, whole=True)
    chosen = telling(vectors, int(count)) if words is None else list(dict.fromkeys(words))
    if not FEWEST <= len(chosen) <= MOST:
        raise BadInput(f"a map is of {FEWEST} to {MOST:,} words. Received: {len(chosen):,}.")
    rows = np.stack([vectors.vector(word) for word in chosen])
    units = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
    chosen, units = _by_frequency(vectors, chosen, units)
    scale = max(LEAST, (len(chosen) / COUNT) ** 0.5)
    width, height = round(WIDTH * scale), round(HEIGHT * scale)
    sizes = np.linspace(LARGE, SMALL, len(chosen))
    boxes = np.stack([sizes * [_letters(word) for word in chosen], 1.25 * sizes], 1)  # (n, 2)
    places = _apart(_spread(_places(units, seed), boxes, width, height), boxes + GAP, width, height)
    groups = _groups(units, seed)
    kept = _fitting(places, boxes)
    labels = tuple(
        Label(chosen[i], round(float(places[i, 0]), 1), round(float(places[i, 1]), 1), round(sizes[i], 1), groups[i])
        for i in kept
    )
    return WordMap(labels, len(chosen) - len(kept), width, height)


# ------------------------------------------------------------------------------------------------------ which words


def telling(vectors: WordVectors, count: int) -> list[str]:
    """So many frequent words that say something by themselves, by the rule above; all there are, if they are fewer."""
    lettered = [number for number, word in enumerate(vectors.words) if _is_lettered(word)]
    lettered = lettered or list(range(len(vectors.words)))  # nodes that are called by numbers
    if vectors.shares is not None:
        rare = [number for number in lettered if vectors.shares[number] <= BINDING]
        lettered = rare if len(rare) >= count else lettered
    often = lettered[: 2 * count]
    lengths = np.linalg.norm(vectors.matrix[often], axis=1)
    longer = np.argsort(-lengths, kind="stable")[:count]
    return [vectors.words[often[i]] for i in np.sort(longer).tolist()]


def _is_lettered(word: str) -> bool:
    """Whether a word is of letters, and no lone letter of an alphabet."""
    return word.replace("'", "").replace("_", "").isalpha() and (len(word) > 1 or _is_wide(word))


def _is_wide(character: str) -> bool:
    return unicodedata.east_asian_width(character) in ("W", "F")


def _letters(word: str) -> float:
    """How wide a word is, in heights of its letters."""
    return sum(1.0 if _is_wide(character) else NARROW for character in word)


def _by_frequency(vectors: WordVectors, words: list[str], units: Array) -> tuple[list[str], Array]:
    """Most frequent first; words that training did not see last."""
    order = sorted(range(len(words)), key=lambda i: vectors.numbers.get(words[i], len(vectors)))
    return [words[i] for i in order], units[order]


# ------------------------------------------------------------------------------------------------------------ where


def _places(units: Array, seed: int) -> Array:
    """Two numbers a word (n, 2), near for like ones."""
    from sklearn.manifold import TSNE

    count, width = units.shape
    plain = width > 1 and bool(np.ptp(units, axis=0).max() > 0)
    map_ = TSNE(
        metric="cosine",
        init="pca" if plain else "random",
        perplexity=min(PERPLEXITY, (count - 1) / 3),
        random_state=seed,
    )
    places: Array = map_.fit_transform(units)
    return places


def _groups(units: Array, seed: int) -> list[int]:
    """A group each, the one of the most frequent word first."""
    from sklearn.cluster import KMeans

    count = max(1, min(len(TINTS), len(units) // MEMBERS))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of fewer different words than groups, which is no harm
        found = KMeans(count, n_init=4, random_state=seed).fit_predict(units).tolist()
    order = {group: number for number, group in enumerate(dict.fromkeys(found))}
    return [order[group] for group in found]


def _spread(places: Array, boxes: Array, width: int, height: int) -> Array:
    """The places brought to the picture's size, with room for a label at its borders."""
    low, high = places.min(0), places.max(0)
    room = boxes.max(0) / 2 + GAP
    shares: Array = (places - low) / np.maximum(high - low, 1e-9)
    return room + shares * (np.array([width, height]) - 2 * room)


def _apart(places: Array, boxes: Array, width: int, height: int) -> Array:
    """Labels of these sizes (n, 2) pushed apart, each pair along the side on which it overlaps least."""
    low, high = boxes / 2, np.array([width, height]) - boxes / 2
    wide, tall = ((side[:, None] + side) / 2 for side in boxes.T)
    first = np.sign(np.arange(len(boxes))[:, None] - np.arange(len(boxes)))  # tells two at the same place apart
    for _ in range(PUSHES):
        right, down = (side[:, None] - side for side in places.T)
        one, other = np.nonzero((np.abs(right) < wide - TOUCH) & (np.abs(down) < tall - TOUCH) & (first != 0))
        if not len(one):
            break
        away = np.stack([right[one, other], down[one, other]], 1)
        over = np.stack([wide[one, other], tall[one, other]], 1) - np.abs(away)
        side = np.where(away == 0, first[one, other][:, None], np.sign(away))
        push = FORCE * side * over * (over == over.min(1, keepdims=True))
        moves = [np.bincount(one, push[:, axis], len(places)) for axis in (0, 1)]
        places = np.clip(places + np.stack(moves, 1), low, high)
    return places


def _fitting(places: Array, boxes: Array) -> list[int]:
    """Which labels overlap none before them."""
    kept = list[int]()
    for i in range(len(places)):
        over = (boxes[kept] + boxes[i]) / 2 - np.abs(places[kept] - places[i])
        if not (over > 0).all(1).any():
            kept.append(i)
    return kept


# --------------------------------------------------------------------------------------------------------- pictures


def _svg(found: WordMap) -> bytes:
    return environment().get_template("wordmap.svg").render(drawn=found).encode("utf-8", "backslashreplace")


def _png(found: WordMap) -> bytes:
    from matplotlib.figure import Figure

    fonts = fonts_of([label.word for label in found.labels])
    figure = Figure(figsize=(found.width / UNITS, found.height / UNITS), dpi=DOTS)
    for label in found.labels:
        figure.text(
            label.x / found.width,
            1 - label.y / found.height,
            label.word,
            parse_math=False,
            font=Path(fonts[label.word]),
            fontsize=label.size * 72 / UNITS,
            color=TINTS[label.group][0],
            ha="center",
            va="center",
        )
    held = io.BytesIO()
    figure.savefig(held, format="png")
    return held.getvalue()


def fonts_of(words: Sequence[str]) -> dict[str, str]:
    """The path of a font for each word, one of this machine that has its characters, as few fonts as will do.

    Raises BadInput where there is none.
    """
    from matplotlib.font_manager import findfont, findSystemFonts

    own = str(findfont(FONT))
    found = {word: own for word in words if set(word) <= _characters(own)}
    while left := [word for word in words if word not in found]:
        able = {path: [word for word in left if set(word) <= _characters(path)] for path in findSystemFonts()}
        best = max(able, key=lambda path: len(able[path]), default=own)
        if not able.get(best):
            raise BadInput(
                f"no font of this machine draws {listed(left)}. Write .svg, which is drawn with the fonts of whoever "
                "looks at it."
            )
        found |= dict.fromkeys(able[best], best)
    return found


@cache
def _characters(path: str) -> frozenset[str]:
    """What a font has; nothing where it cannot be read."""
    from matplotlib.font_manager import get_font

    try:
        return frozenset(map(chr, get_font(path).get_charmap()))
    except (OSError, RuntimeError):
        return frozenset()


DRAWN: dict[str, Callable[[WordMap], bytes]] = {".svg": _svg, ".png": _png}
