"""What does not need deep learning: the models that stand beside a family, so that its figures mean something.

Pictures are answered by logistic regression and by gradient boosting, each on two kinds of columns: the pixels, and
histograms of oriented gradients (HOG). In each cell of a picture the gradients vote for their orientation, weighted
by their length; the histograms h of 2 x 2 cells make a block, which is normalised:

    v = h / sqrt(|h|^2 + e^2),   v = min(v, 0.2),   v = v / sqrt(|v|^2 + e^2)        (L2-Hys)

Blocks overlap. HOG does not see brightness, and hardly contrast.

References: HOG: Dalal & Triggs, CVPR 2005; boosting on histograms: Ke et al., LightGBM, NeurIPS 2017.

Differs from the paper:
1. Cells have 2, 4 or 8 pixels a side, as the size of the picture asks; a vote goes to one cell, not to neighbours too.
2. Orientations are centred on 0, 20, ... 160 degrees, so that an upright edge votes for one of them alone.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from decet.errors import BadInput

Array = NDArray[Any]
ORIENTATIONS = 9  # of half a turn: an edge from dark to light is one from light to dark
CLIP, TINY = 0.2, 1.0  # L2-Hys; TINY is in grey levels, so that noise in a flat block is not blown up
LARGEST = 64  # pixels of the longer side from which HOG is taken; larger pictures are mean-pooled first
FEWEST = 4  # pixels of the shorter side, so that there are 2 x 2 cells
COLUMNS = 1_024  # of pixels, at most; larger pictures are mean-pooled first
CHUNK_PIXELS = 1 << 21  # pixels, of all channels, worked on at once


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
