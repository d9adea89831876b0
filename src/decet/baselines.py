"""What does not need deep learning: the models that stand beside a family, so that its figures mean something.

Tables are answered by a linear model and by gradient boosting on histograms; texts by a linear model of tf-idf, and by
naive Bayes on the counts of words; the floor of all is who does not look at the row at all.

Pictures are answered by logistic regression and by gradient boosting, each on two kinds of columns: the pixels, and
histograms of oriented gradients (HOG). In each cell of a picture the gradients vote for their orientation, weighted
by their length; the histograms h of 2 x 2 cells make a block, which is normalised:

    v = h / sqrt(|h|^2 + e^2),   v = min(v, 0.2),   v = v / sqrt(|v|^2 + e^2)        (L2-Hys)

Blocks overlap. HOG does not see brightness, and hardly contrast.

Nodes of a graph are answered by a linear model of their features, and by the labels of their neighbours, which spread:

    F = a D^-1/2 A D^-1/2 F + (1 - a) Y

Pictures are drawn by a Gaussian of their pixels, cut off at 0 and 255; V holds their main directions, m and S are the
mean and the covariance of all training pictures there, or of those with one label:

    x = mean + V z,   z ~ N(m, S)

References: HOG: Dalal & Triggs, CVPR 2005; boosting on histograms: Ke et al., LightGBM, NeurIPS 2017; spreading of
labels: Zhou et al., NIPS 2003.

Differs from the paper:
1. Cells have 2, 4 or 8 pixels a side, as the size of the picture asks; a vote goes to one cell, not to neighbours too.
2. Orientations are centred on 0, 20, ... 160 degrees, so that an upright edge votes for one of them alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.linalg import eigh
from sklearn.base import BaseEstimator, ClassifierMixin

from decet.errors import BadInput, check_range, suggest

Array = NDArray[Any]
ORIENTATIONS = 9  # of half a turn: an edge from dark to light is one from light to dark
CLIP, TINY = 0.2, 1.0  # L2-Hys; TINY is in grey levels, so that noise in a flat block is not blown up
LARGEST = 64  # pixels of the longer side from which HOG is taken; larger pictures are mean-pooled first
FEWEST = 4  # pixels of the shorter side, so that there are 2 x 2 cells
COLUMNS = 1_024  # of pixels, at most; larger pictures are mean-pooled first
CHUNK_PIXELS = 1 << 21  # pixels, of all channels, worked on at once
BINS = 255  # of boosting's histograms; a category with more values is read as a number
DENSE = 50_000_000  # cells of a sparse table that boosting reads as they are; larger ones by their main directions
DIRECTIONS = 100  # and how many of these
SPREADING, ROUNDS = 0.9, 50  # of labels along edges
TERMS = 200_000  # words and pairs of words that tf-idf knows, the most frequent
WIDEST = 4_096  # pixels of all channels up to which all pictures are learned from by a Gaussian, then so many of them
ROUND_OFF = 1e-12  # share of the variance below which a direction is none


def floor(*, numbers: bool) -> dict[str, Any]:
    """What answers without looking: the most common class with every class's share, or the mean."""
    from sklearn.dummy import DummyClassifier, DummyRegressor

    return {"the mean": DummyRegressor()} if numbers else {"the most common class": DummyClassifier()}


def table_baselines(
    columns: int, slots: Sequence[int], *, numbers: bool, cells: int | None = None, seed: int = 0
) -> dict[str, Any]:
    """Unfitted scikit-learn pipelines by name; each takes rows (N, columns + categories), float.

    columns: numbers of a row, without gaps; slots: values (0, 1, ...) of each category that follows them.
    numbers: whether numbers are asked, not classes. cells: of a sparse table, in all; None: the table is dense.
    """
    from sklearn.compose import make_column_transformer
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
    from sklearn.linear_model import LogisticRegression, RidgeCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import MaxAbsScaler, OneHotEncoder, StandardScaler

    places = np.arange(columns + len(slots))
    if cells is None:
        one_hot = OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=2)
        read: Any = make_column_transformer((StandardScaler(), places[:columns]), (one_hot, places[columns:]))
    else:
        read = MaxAbsScaler()
    linear = RidgeCV(np.logspace(-2, 4, 13)) if numbers else LogisticRegression(max_iter=1_000)
    trees = (HistGradientBoostingRegressor if numbers else HistGradientBoostingClassifier)(
        max_bins=BINS,
        categorical_features=[columns + i for i, count in enumerate(slots) if count <= BINS] or None,
        random_state=seed,
    )
    boosted = trees if cells is None else make_pipeline(_whole_or_directions(cells, seed), trees)
    name = "ridge regression" if numbers else "logistic regression"
    return {name: make_pipeline(read, linear), "gradient boosting": boosted}


def _whole_or_directions(cells: int, seed: int) -> Any:
    """From a sparse table to a dense one."""
    from sklearn.decomposition import TruncatedSVD
    from sklearn.preprocessing import FunctionTransformer

    if cells <= DENSE:
        return FunctionTransformer(_dense, accept_sparse=True)
    return TruncatedSVD(DIRECTIONS, random_state=seed)


def _dense(table: Any) -> Array:
    return np.asarray(table.toarray() if sparse.issparse(table) else table)


def text_baselines(cut: Callable[[str], list[str]]) -> dict[str, Any]:
    """Unfitted scikit-learn pipelines by name; each takes a list of texts, which `cut` turns into words."""
    from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.naive_bayes import MultinomialNB
    from sklearn.pipeline import make_pipeline

    def words(text: str) -> list[str]:
        return [word for word in cut(text) if not word.isspace()]

    def terms(text: str) -> list[str]:
        found = words(text)
        return found + [" ".join(pair) for pair in pairwise(found)]

    weighed = TfidfVectorizer(analyzer=terms, sublinear_tf=True, max_features=TERMS, dtype=np.float32)
    return {
        "logistic regression on tf-idf": make_pipeline(weighed, LogisticRegression(C=10.0, max_iter=1_000)),
        "naive Bayes on word counts": make_pipeline(CountVectorizer(analyzer=words), MultinomialNB()),
    }


def node_baselines(features: bool) -> dict[str, Any]:
    """Unfitted models by name; each takes a `Graph`, whose nodes in question are the rows. features: whether nodes have
    any."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer, MaxAbsScaler

    found: dict[str, Any] = {"label spreading": LabelSpreading()}
    if features:
        read = FunctionTransformer(_features_of)
        found["logistic regression"] = make_pipeline(read, MaxAbsScaler(), LogisticRegression(max_iter=1_000))
    return found


def _features_of(graph: Any) -> Any:
    return graph.features[graph.nodes]


class LabelSpreading(ClassifierMixin, BaseEstimator):
    """Labels that spread along the edges of the graph that they were told of (Zhou et al., NIPS 2003)."""

    def fit(self, graph: Any, y: Any) -> LabelSpreading:
        self.classes_, ids = np.unique(y, return_inverse=True)
        told = np.zeros((graph.count, len(self.classes_)))
        told[graph.nodes, ids] = 1.0
        links, found = graph.normalised(), told
        for _ in range(ROUNDS):
            found = SPREADING * (links @ found) + (1 - SPREADING) * told
        share = told.mean(0) / told.mean(0).sum()  # of nodes that no label reaches
        self.shares_ = found + 1e-12 * share
        self.shares_ /= self.shares_.sum(1, keepdims=True)
        return self

    def predict_proba(self, graph: Any) -> Array:
        """Shares of classes (n, K)."""
        if graph.count != len(self.shares_):
            raise BadInput(
                f"labels spread over {len(self.shares_):,} nodes, and another graph of {graph.count:,} is asked."
            )
        shares: Array = self.shares_[graph.nodes]
        return shares

    def predict(self, graph: Any) -> Array:
        """The likeliest class (n,)."""
        labels: Array = self.classes_[self.predict_proba(graph).argmax(1)]
        return labels


def bytes_of(model: Any) -> int:
    """Bytes of everything a fitted model has learned: its arrays, and the words it knows."""
    seen: dict[int, Any] = {}  # what was counted, held so that no other thing gets its number

    def size(value: Any) -> int:
        if id(value) in seen:
            return 0
        seen[id(value)] = value
        match value:
            case np.ndarray() if value.dtype != object:
                return int(value.nbytes)
            case str():
                return len(value.encode("utf-8", "surrogatepass"))
            case bool() | int() | float() | np.generic():
                return 8
            case dict():
                return sum(size(key) + size(item) for key, item in value.items())
            case list() | tuple() | set() | np.ndarray():
                return sum(map(size, value))
        inside = getattr(value, "__dict__", None)
        return 0 if inside is None or isinstance(value, type) or callable(value) else size(dict(inside))

    return size(model)


def picture_baselines(seed: int = 0) -> dict[str, Any]:
    """Unfitted scikit-learn pipelines by name; each takes pixels (N, C, H, W) on the scale 0 to 255 as an array.

    They answer `fit(pixels, y)`, `predict`, `predict_proba` and `score`, and may be cloned. All rows given are
    trained on; boosting sets a tenth of them aside to stop early.
    """
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer, StandardScaler

    found = {}
    trees = {"learning_rate": 0.2, "max_leaf_nodes": 15, "max_bins": 32}  # as good as scikit-learn's own, and quicker
    for name, columns in (("pixels", pixel_columns), ("HOG", hog)):
        found[f"logistic regression on {name}"] = make_pipeline(
            FunctionTransformer(columns),
            StandardScaler(copy=False),
            LogisticRegression(C=0.01, tol=1e-3, max_iter=300),
        )
        found[f"gradient boosting on {name}"] = make_pipeline(
            FunctionTransformer(columns),
            HistGradientBoostingClassifier(**trees, early_stopping=True, validation_fraction=0.1, random_state=seed),
        )
    return found


class PixelGaussian:
    """Pictures drawn from a Gaussian: what anything that paints should do better than.

    kept: share of the pixels' variance that the main directions hold, 0 to 1. most: of these directions.
    Fitted it has mean_ (D,), directions_ (R, D), shape_ of a picture, and of each of classes_ its mean and a factor of
    its covariance among the directions.
    """

    def __init__(self, kept: float = 0.99, most: int = 512) -> None:
        check_range("kept", kept, 0.0, 1.0)
        check_range("most", most, 1, whole=True)
        self.kept, self.most = kept, int(most)

    def fit(self, pixels: Any, y: Any = None) -> PixelGaussian:
        """pixels: uint8 (N, ...), two or more; y (N,): their labels, each of which gets a Gaussian of its own."""
        whole = np.asarray(pixels)
        if whole.ndim < 2 or whole.dtype != np.uint8 or len(whole) < 2 or not whole.size:
            raise BadInput(
                "a Gaussian needs two pictures or more, uint8 of shape (N, ...). "
                f"Received: shape {whole.shape}, {whole.dtype}."
            )
        labels = np.zeros(len(whole), np.int64) if y is None else np.asarray(y)
        if labels.shape != whole.shape[:1]:
            raise BadInput(f"y must hold a label for each of {len(whole)} pictures. Received: shape {labels.shape}.")
        rows, self.shape_, self.labelled_ = whole.reshape(len(whole), -1), whole.shape[1:], y is not None
        self.mean_ = rows.mean(0, dtype=np.float64)
        self.directions_ = self._main(rows)
        places = np.concatenate([(part - self.mean_) @ self.directions_.T for part in _chunks(rows)])  # (N, R)
        self.classes_, ids = np.unique(labels, return_inverse=True)
        self.counts_ = np.bincount(ids)
        self.means_ = np.stack([places[ids == k].mean(0) for k in range(len(self.classes_))])
        # A class of one picture spreads as all pictures do about their classes' means.
        common = _spread_factor(places - self.means_[ids]) if self.counts_.min() < 2 else None
        self.factors_ = [
            common if common is not None and self.counts_[k] < 2 else _spread_factor(places[ids == k] - self.means_[k])
            for k in range(len(self.classes_))
        ]
        return self

    def sample(self, count: int, seed: int = 0, labels: Any = None) -> Array:
        """`count` pictures, uint8 (count, ...); the same for the same seed.

        labels: one label, or one for each picture; None: as often as in training.
        """
        check_range("count", count, 1, whole=True)
        check_range("seed", seed, 0, whole=True)
        rng = np.random.Generator(np.random.Philox(seed))
        ids = self._ids(count, rng, labels)
        noise = rng.standard_normal((count, len(self.directions_)))
        places = np.empty_like(noise)
        for k in np.unique(ids):
            places[ids == k] = self.means_[k] + noise[ids == k] @ self.factors_[k]
        drawn = np.empty((count, len(self.mean_)), np.uint8)
        start = 0
        for part in _chunks(drawn):
            own = places[start : start + len(part)]
            part[:] = (self.mean_ + own @ self.directions_).round().clip(0, 255)
            start += len(part)
        return drawn.reshape(count, *self.shape_)

    def _main(self, rows: Array) -> Array:
        """The main directions (R, D) of rows (N, D), each of length 1, the widest first."""
        if rows.shape[1] > WIDEST:
            rows = rows[np.linspace(0, len(rows) - 1, min(len(rows), WIDEST)).astype(np.int64)]
        count, width = rows.shape
        if width <= count:
            square = np.zeros((width, width))
            for part in _chunks(rows):
                apart = part - self.mean_
                square += apart.T @ apart
        else:  # the rows' own products have the same spreads, and are fewer
            apart = rows - self.mean_
            square = apart @ apart.T
        size = len(square)
        spreads, vectors = eigh(square, subset_by_index=[max(0, size - self.most), size - 1])
        spreads, vectors, total = spreads[::-1].clip(0), vectors[:, ::-1], float(np.trace(square))
        there = spreads > ROUND_OFF * total
        enough = int(np.searchsorted(np.cumsum(spreads), self.kept * total * (1 - ROUND_OFF))) + 1
        main = vectors[:, there][:, :enough]
        if width > count:
            main = apart.T @ main / np.sqrt(spreads[there][:enough])
        return np.ascontiguousarray(main.T)

    def _ids(self, count: int, rng: np.random.Generator, labels: Any) -> Array:
        """The class of each picture that is to be drawn (count,)."""
        if labels is None:
            return rng.choice(len(self.classes_), count, p=self.counts_ / self.counts_.sum())
        if not self.labelled_:
            raise BadInput(
                "pictures are drawn by label only where fit was given labels. Fit with y, or leave labels out."
            )
        asked = np.asarray(labels)
        if asked.shape not in ((), (count,)):
            raise BadInput(f"labels must be one, or one for each of {count} pictures. Received: shape {asked.shape}.")
        places = {label: place for place, label in enumerate(self.classes_.tolist())}
        wrong = [label for label in np.atleast_1d(asked).tolist() if label not in places]
        if wrong:
            raise BadInput(f"label {wrong[0]!r} was not in training.{suggest(wrong[0], places)}")
        return np.broadcast_to([places[label] for label in np.atleast_1d(asked).tolist()], (count,))


def _spread_factor(apart: Array) -> Array:
    """F (R, R), by which noise becomes rows of these rows' covariance F'F; apart (n, R) from their mean, n above 1."""
    spreads, vectors = np.linalg.eigh(apart.T @ apart / (len(apart) - 1))
    return np.asarray((vectors * np.sqrt(spreads.clip(0))).T)


def pixel_columns(pixels: Any) -> Array:
    """Pixels as columns, float32 (N, F), F at most `COLUMNS`: mean-pooled by the smallest factor that gives so few."""
    whole = _checked(pixels)
    channels, height, width = whole.shape[1:]
    factor = 1
    while factor < max(height, width) and channels * -(-height // factor) * -(-width // factor) > COLUMNS:
        factor += 1
    parts = [_pooled(part, factor).reshape(len(part), -1) for part in _chunks(whole)]
    return np.concatenate(parts)


def hog(pixels: Any) -> Array:
    """Histograms of oriented gradients, float32 (N, F), of pixels (N, C, H, W).

    F = 36 (rows of cells - 1)(columns of cells - 1). Of each pixel the channel with the steepest gradient counts.
    """
    whole = _checked(pixels)
    height, width = whole.shape[2:]
    factor = -(-max(height, width) // LARGEST)
    if min(height, width) < FEWEST * factor:
        raise BadInput(
            f"pictures must have at least {FEWEST * factor} pixels on the shorter side for HOG. "
            f"Received: {width} x {height}."
        )
    return np.concatenate([_blocks(_histograms(_pooled(part, factor))) for part in _chunks(whole)])


def cell_side(height: int, width: int) -> int:
    """Pixels of a cell's side, 8, 4 or 2, so that there are some five to nine on a picture's longer side."""
    longer = max(height, width)
    side = 8 if longer >= 40 else 4 if longer >= 16 else 2
    return min(side, min(height, width) // 2)


def _histograms(x: Array) -> Array:
    """Votes for each orientation: (n, C, H, W) -> (n, rows of cells, columns of cells, ORIENTATIONS)."""
    side = cell_side(*x.shape[2:])
    right, down = _steepest(x)
    rows, columns = right.shape[1] // side, right.shape[2] // side
    top, left = (right.shape[1] - rows * side) // 2, (right.shape[2] - columns * side) // 2
    inside = np.s_[:, top : top + rows * side, left : left + columns * side]  # what fills no cell is left out
    right, down = right[inside], down[inside]
    length = np.hypot(right, down)
    place = np.arctan2(down, right) * np.float32(ORIENTATIONS / np.pi)  # -9 to 9, one an orientation
    below = np.floor(place)
    share = place - below  # of the vote that goes to the next orientation
    first = below.astype(np.int64) % ORIENTATIONS
    cell = np.arange(len(x) * rows * columns).reshape(len(x), rows, 1, columns, 1) * ORIENTATIONS
    shape = (len(x), rows, side, columns, side)
    votes = np.zeros(len(x) * rows * columns * ORIENTATIONS)
    for orientation, weight in ((first, (1 - share) * length), ((first + 1) % ORIENTATIONS, share * length)):
        slots = cell + orientation.reshape(shape)
        votes += np.bincount(slots.reshape(-1), weight.reshape(-1), minlength=len(votes))
    return votes.reshape(len(x), rows, columns, ORIENTATIONS)


def _steepest(x: Array) -> tuple[Array, Array]:
    """Central differences (n, H, W) to the right and down, of the channel in which they are largest."""
    right, down = np.empty_like(x), np.empty_like(x)
    right[..., 1:-1] = (x[..., 2:] - x[..., :-2]) / 2
    right[..., 0], right[..., -1] = x[..., 1] - x[..., 0], x[..., -1] - x[..., -2]
    down[..., 1:-1, :] = (x[..., 2:, :] - x[..., :-2, :]) / 2
    down[..., 0, :], down[..., -1, :] = x[..., 1, :] - x[..., 0, :], x[..., -1, :] - x[..., -2, :]
    if x.shape[1] == 1:
        return right[:, 0], down[:, 0]
    steepest = (right**2 + down**2).argmax(1)[:, None]
    return tuple(np.take_along_axis(part, steepest, 1)[:, 0] for part in (right, down))  # type: ignore[return-value]


def _blocks(histograms: Array) -> Array:
    """Overlapping blocks of 2 x 2 cells, normalised: (n, rows, columns, K) -> (n, (rows - 1)(columns - 1) 4 K)."""
    corners = [histograms[:, i : i - 1 or None, j : j - 1 or None] for i in (0, 1) for j in (0, 1)]
    blocks = np.concatenate(corners, -1)
    for most in (CLIP, 1.0):
        blocks = np.minimum(blocks / np.sqrt((blocks**2).sum(-1, keepdims=True) + TINY**2), most)
    return blocks.reshape(len(blocks), -1).astype(np.float32)


def _pooled(x: Array, factor: int) -> Array:
    """float32, each square of `factor` pixels a side replaced by its mean; squares at the far borders are smaller."""
    x = x.astype(np.float32)
    for axis in (2, 3):
        if factor > 1:
            starts = np.arange(0, x.shape[axis], factor)
            sizes = np.diff(np.append(starts, x.shape[axis])).astype(np.float32)
            x = np.add.reduceat(x, starts, axis) / np.expand_dims(sizes, (0, 1, 5 - axis))
    return np.ascontiguousarray(x)


def _checked(pixels: Any) -> Array:
    whole = np.asarray(pixels)
    if whole.ndim != 4 or whole.dtype.kind not in "uif" or not len(whole):
        raise BadInput(
            f"pixels must be numbers of shape (N, C, H, W), N at least 1. Received: shape {whole.shape}, {whole.dtype}."
        )
    return whole


def _chunks(whole: Array) -> list[Array]:
    """Views of some pictures each, so that what is computed on the way does not grow with their number."""
    step = max(1, CHUNK_PIXELS // int(np.prod(whole.shape[1:])))
    return [whole[start : start + step] for start in range(0, len(whole), step)]
