"""What stands beside every family of pictures: columns of pictures by hand, and that the models learn from them."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import load_digits

from decet import baselines
from decet.baselines import PixelGaussian, hog, node_baselines, picture_baselines, pixel_columns
from decet.data.graphs import Graph
from decet.errors import BadInput


def edge(height: int = 16, width: int = 16, jump: int = 100) -> np.ndarray:
    """(1, 1, H, W), dark on the left, bright on the right."""
    pixels = np.zeros((1, 1, height, width), np.uint8)
    pixels[..., width // 2 :] = jump
    return pixels


def energy(columns: np.ndarray) -> np.ndarray:
    """What each orientation holds, over all blocks and cells: (9,)."""
    return columns.reshape(-1, 9).sum(0)


# -------------------------------------------------------------------------------------------------------------- HOG


def test_an_upright_edge_votes_for_one_orientation_alone() -> None:
    votes = energy(hog(edge()))
    assert votes[0] > 0
    assert np.abs(votes[1:]).max() == 0


def test_a_level_edge_lies_between_the_orientations_of_80_and_100_degrees() -> None:
    votes = energy(hog(edge().swapaxes(2, 3)))
    assert votes[4] == pytest.approx(votes[5], rel=1e-5)
    assert votes[4] > 0
    assert np.abs(np.delete(votes, [4, 5])).max() < 1e-6


def test_an_edge_from_dark_to_light_is_one_from_light_to_dark() -> None:
    assert np.allclose(hog(edge()), hog(100 - edge()), atol=1e-6)


def test_a_slope_of_thirty_degrees_is_shared_by_its_two_neighbours() -> None:
    down, right = np.mgrid[:16, :16]
    slope = (np.cos(np.pi / 6) * right + np.sin(np.pi / 6) * down) * 8  # orientation 30: halfway from 20 to 40
    votes = energy(hog(slope[None, None].astype(np.float32)))
    assert votes[1] == pytest.approx(votes[2], rel=1e-3)
    assert np.abs(np.delete(votes, [1, 2])).max() < 1e-3 * votes[1]


def test_one_block_by_hand() -> None:
    """2 x 2 cells of 4 pixels; the edge's gradients, 50 a pixel, stand in the columns of pixels beside it."""
    pixels = np.zeros((1, 1, 16, 16), np.float32)
    pixels[..., 8:] = 100
    rows, columns = 4, 4  # cells
    votes = np.zeros((rows, columns, 9))
    votes[:, 1:3, 0] = 4 * 50  # in the second and the third column of cells, four pixels each
    blocks = []
    for i in range(rows - 1):
        for j in range(columns - 1):
            block = np.concatenate([votes[i + a, j + b] for a in (0, 1) for b in (0, 1)])
            block = np.minimum(block / np.sqrt((block**2).sum() + 1), 0.2)
            blocks.append(block / np.sqrt((block**2).sum() + 1))
    assert np.allclose(hog(pixels), np.concatenate(blocks)[None], atol=1e-6)


def test_brightness_does_not_count_and_contrast_hardly() -> None:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 100, (3, 3, 20, 24)).astype(np.float32)
    assert np.allclose(hog(pixels), hog(pixels + 50), atol=1e-5)
    assert np.allclose(hog(pixels), hog(pixels * 2), atol=1e-2)
    assert not np.allclose(hog(pixels), hog(pixels[:, :, ::-1]), atol=1e-2)


def test_a_flat_picture_has_no_orientation() -> None:
    assert not hog(np.full((2, 3, 32, 32), 77, np.uint8)).any()


def test_the_steepest_channel_counts() -> None:
    colour = np.concatenate([edge(jump=20), edge().swapaxes(2, 3), np.zeros_like(edge())], 1)
    grey = hog(edge().swapaxes(2, 3))
    assert energy(hog(colour))[4] >= 0.9 * energy(grey)[4]


@pytest.mark.parametrize(
    ("shape", "cells"),
    [
        ((1, 28, 28), (7, 7)),
        ((3, 32, 32), (8, 8)),
        ((1, 8, 8), (4, 4)),
        ((3, 96, 64), (6, 4)),
        ((1, 64, 9), (16, 2)),
        ((3, 30, 35), (7, 8)),
    ],
)
def test_columns_are_36_a_block(shape: tuple[int, int, int], cells: tuple[int, int]) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (2, *shape), dtype=np.uint8)
    columns = hog(pixels)
    assert columns.shape == (2, 36 * (cells[0] - 1) * (cells[1] - 1))
    assert columns.dtype == np.float32
    assert 0 <= columns.min() < columns.max() <= 1


def test_what_is_computed_at_once_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (7, 1, 28, 28), dtype=np.uint8)
    whole = hog(pixels), pixel_columns(pixels)
    monkeypatch.setattr(baselines, "CHUNK_PIXELS", 2 * 28 * 28)
    assert (hog(pixels) == whole[0]).all()
    assert (pixel_columns(pixels) == whole[1]).all()


# ----------------------------------------------------------------------------------------------------------- pixels


def test_small_pictures_keep_their_pixels() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (3, 1, 28, 28), dtype=np.uint8)
    assert (pixel_columns(pixels) == pixels.reshape(3, -1)).all()


def test_large_pictures_are_mean_pooled_to_a_thousand_columns() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (2, 3, 32, 32), dtype=np.uint8)
    columns = pixel_columns(pixels).reshape(2, 3, 16, 16)
    assert columns[1, 2, 0, 1] == pixels[1, 2, :2, 2:4].mean()
    assert pixel_columns(np.zeros((1, 3, 201, 77), np.uint8)).shape[1] <= baselines.COLUMNS


def test_squares_at_the_far_border_are_means_of_what_is_there() -> None:
    pixels = np.arange(2 * 601 * 3, dtype=np.float32).reshape(1, 2, 3, 601)
    columns = pixel_columns(pixels)
    assert columns.shape == (1, 2 * 1 * 201)  # squares of 3 x 3, the last of 3 x 1
    assert columns[0, -1] == pytest.approx(pixels[0, 1, :, 600].mean())


# ----------------------------------------------------------------------------------------------------------- models


@pytest.fixture(scope="module")
def digits() -> tuple[np.ndarray, np.ndarray]:
    """1,797 pictures (N, 1, 8, 8) and their labels."""
    X, y = load_digits(return_X_y=True)
    return (X * 15).astype(np.uint8).reshape(-1, 1, 8, 8), y


@pytest.fixture(scope="module")
def scores(digits: tuple[np.ndarray, np.ndarray]) -> dict[str, float]:
    X, y = digits
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return {
            name: model.fit(X[:400], y[:400]).score(X[400:], y[400:]) for name, model in picture_baselines().items()
        }


def test_every_baseline_learns_digits(scores: dict[str, float]) -> None:
    assert list(scores) == [
        "logistic regression on pixels",
        "gradient boosting on pixels",
        "logistic regression on HOG",
        "gradient boosting on HOG",
    ]
    assert min(scores.values()) > 0.8, scores


def test_hog_helps_a_linear_model(scores: dict[str, float]) -> None:
    assert scores["logistic regression on HOG"] > scores["logistic regression on pixels"] + 0.01, scores


def test_same_seed_same_answers_and_labels_of_any_kind(digits: tuple[np.ndarray, np.ndarray]) -> None:
    X, y = digits
    names = np.array(["even", "odd"])[y % 2]
    model = picture_baselines(seed=3)["gradient boosting on pixels"].fit(X[:300], names[:300])
    again = clone(model).fit(X[:300], names[:300])
    assert list(model.classes_) == ["even", "odd"]
    assert (model.predict_proba(X[300:]) == again.predict_proba(X[300:])).all()


@pytest.mark.parametrize(
    ("pixels", "message"),
    [
        (np.zeros((5, 28, 28)), r"pixels must be numbers of shape \(N, C, H, W\), N at least 1. Received: shape"),
        (np.zeros((0, 1, 28, 28)), "N at least 1. Received: shape"),
        (np.full((1, 1, 8, 8), "a"), "Received: shape"),
    ],
)
def test_what_is_no_picture_is_refused(pixels: np.ndarray, message: str) -> None:
    for columns in (hog, pixel_columns):
        with pytest.raises(BadInput, match=message):
            columns(pixels)


def test_hog_needs_four_pixels_a_side() -> None:
    with pytest.raises(BadInput, match="at least 4 pixels on the shorter side for HOG. Received: 9 x 3."):
        hog(np.zeros((1, 1, 3, 9)))


# ---------------------------------------------------------------------------------------------- tables, texts, floor


def columns_and_slots(count: int = 300) -> tuple[np.ndarray, np.ndarray]:
    """Two numbers and a category; the answer is in the second number and in the category."""
    rng = np.random.default_rng(0)
    rows = np.concatenate([rng.normal(size=(count, 2)), rng.integers(0, 4, (count, 1))], 1).astype(np.float32)
    return rows, rows[:, 1] + 2.0 * (rows[:, 2] == 1)


@pytest.mark.parametrize("name", ["logistic regression", "gradient boosting"])
def test_baselines_of_tables_learn_classes(name: str) -> None:
    rows, number = columns_and_slots()
    model = baselines.table_baselines(2, (4,), numbers=False)[name]
    y = (number > 0.5).astype(int)
    assert clone(model).fit(rows[:200], y[:200]).score(rows[200:], y[200:]) > 0.9


@pytest.mark.parametrize("name", ["ridge regression", "gradient boosting"])
def test_baselines_of_tables_learn_numbers(name: str) -> None:
    rows, number = columns_and_slots()
    model = baselines.table_baselines(2, (4,), numbers=True)[name]
    assert model.fit(rows[:200], number[:200]).score(rows[200:], number[200:]) > 0.85


def test_a_value_that_training_never_saw_is_answered() -> None:
    rows, number = columns_and_slots()
    strange = rows[:3].copy()
    strange[:, 2] = 9
    for model in baselines.table_baselines(2, (4,), numbers=True).values():
        assert np.isfinite(model.fit(rows, number).predict(strange)).all()


@pytest.mark.parametrize("dense", [True, False])
def test_sparse_tables_are_read_whole_or_by_their_main_directions(dense: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(baselines, "DENSE", 10**9 if dense else 0)
    monkeypatch.setattr(baselines, "DIRECTIONS", 5)
    rng = np.random.default_rng(0)
    table = sparse.random(200, 50, 0.2, "csr", random_state=0)
    y = (np.asarray(table[:, :10].sum(1)).ravel() > 1.0).astype(int) + (rng.random(200) > 2)
    for model in baselines.table_baselines(50, (), numbers=False, cells=200 * 50).values():
        assert model.fit(table, y).score(table, y) > 0.7


def test_baselines_of_texts_read_words_as_they_are_cut() -> None:
    texts = ["很 好\n好", "很 差", "好 極了", "差 極了"] * 5
    y = np.array([1, 0, 1, 0] * 5)
    for model in baselines.text_baselines(lambda text: text.split(" ")).values():
        assert clone(model).fit(texts, y).score(texts, y) == 1.0
        known = model.fit(texts, y)[0].vocabulary_
        assert {"很", "差", "極了"} <= set(known)
        assert "\n" not in known
    words = baselines.text_baselines(lambda text: ["a", "\n", "b"])
    assert set(words["naive Bayes on word counts"].fit(texts, y)[0].vocabulary_) == {"a", "b"}
    assert set(words["logistic regression on tf-idf"].fit(texts, y)[0].vocabulary_) == {"a", "b", "a b"}


def test_the_floor_does_not_look() -> None:
    (common,) = baselines.floor(numbers=False).values()
    assert common.fit(np.zeros((4, 1)), [0, 1, 1, 1]).predict_proba(np.zeros((1, 1))).tolist() == [[0.25, 0.75]]
    (mean,) = baselines.floor(numbers=True).values()
    assert mean.fit(np.zeros((2, 1)), [1.0, 3.0]).predict(np.zeros((1, 1))) == [2.0]


def test_bytes_count_what_was_learned_once() -> None:
    array = np.zeros(10)
    assert baselines.bytes_of([array, array]) == 80
    assert baselines.bytes_of({"ab": np.zeros(2, np.float32)}) == 2 + 8
    rows, number = columns_and_slots()
    small, large = (
        baselines.bytes_of(
            baselines.table_baselines(2, (4,), numbers=True)["gradient boosting"]
            .set_params(max_iter=n)
            .fit(rows, number)
        )
        for n in (2, 50)
    )
    assert 1_000 < small < large / 5


# ------------------------------------------------------------------------------------------------------------- graphs


def two_paths(known: list[int]) -> Graph:
    """0 - 1 - 2 and 3 - 4 - 5, and a node alone."""
    return Graph([[0, 1, 3, 4], [1, 2, 4, 5]], count=7, features=np.eye(7)[:, :3]).take(known)


def test_labels_spread_along_edges_and_no_further() -> None:
    model = node_baselines(features=False)["label spreading"].fit(two_paths([0, 3]), np.array(["a", "b"]))
    assert model.predict(two_paths([1, 2, 4, 5])).tolist() == ["a", "a", "b", "b"]
    np.testing.assert_allclose(model.predict_proba(two_paths([6])), [[0.5, 0.5]])
    np.testing.assert_allclose(model.predict_proba(two_paths([1])), [[1.0, 0.0]], atol=1e-9)


def test_a_linear_model_reads_the_features_of_the_nodes_asked() -> None:
    model = node_baselines(features=True)["logistic regression"].fit(two_paths([0, 1]), np.array([0, 1]))
    assert model.predict(two_paths([0, 1])).tolist() == [0, 1]
    assert "logistic regression" not in node_baselines(features=False)


# ------------------------------------------------------------------------------------------------ a Gaussian of pixels


def patterned(count: int = 3_000, spreads: tuple[float, ...] = (20.0, 10.0, 5.0)) -> np.ndarray:
    """Pictures (count, 3, 4, 5) about 128, that vary along a few directions by so much."""
    directions = np.linalg.qr(np.random.default_rng(1).normal(size=(60, len(spreads))))[0]
    places = np.random.default_rng(2).normal(size=(count, len(spreads))) * spreads
    return (128 + places @ directions.T * np.sqrt(10)).round().clip(0, 255).astype(np.uint8).reshape(count, 3, 4, 5)


def test_drawn_pictures_have_the_mean_and_the_covariance_of_training_pixels() -> None:
    pixels = patterned()
    drawn = PixelGaussian().fit(pixels).sample(4_000, seed=1)
    assert drawn.shape == (4_000, 3, 4, 5)
    assert drawn.dtype == np.uint8
    one, other = (rows.reshape(len(rows), -1).astype(float) for rows in (pixels, drawn))
    np.testing.assert_allclose(one.mean(0), other.mean(0), atol=2.5)
    apart = np.cov(one.T) - np.cov(other.T)
    assert np.linalg.norm(apart) < 0.1 * np.linalg.norm(np.cov(one.T))


def test_as_many_directions_are_kept_as_hold_the_variance() -> None:
    """Of variances 400, 100 and 25 the first two hold 95 %; rounding adds a twelfth of a grey level a pixel."""
    pixels = patterned()
    assert [len(PixelGaussian(kept).fit(pixels).directions_) for kept in (0.5, 0.9, 0.99)] == [1, 2, 3]
    assert len(PixelGaussian(1.0).fit(pixels).directions_) == 60
    assert len(PixelGaussian(1.0, most=7).fit(pixels).directions_) == 7
    found = PixelGaussian().fit(pixels).directions_
    np.testing.assert_allclose(found @ found.T, np.eye(3), atol=1e-9)


def test_of_fewer_pictures_than_pixels_the_same_comes_out(monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = patterned(50)
    few = PixelGaussian().fit(pixels)
    many = PixelGaussian().fit(np.concatenate([pixels, pixels]))  # 100 pictures of 60 pixels
    np.testing.assert_allclose(np.abs(few.directions_ @ many.directions_.T), np.eye(3), atol=1e-6)
    monkeypatch.setattr(baselines, "WIDEST", 40)
    thinned = PixelGaussian().fit(patterned(2_000))
    main = PixelGaussian().fit(patterned(2_000)[::50]).directions_
    assert np.linalg.svd(main @ thinned.directions_.T)[1].min() > 0.9


def test_each_label_has_a_gaussian_of_its_own() -> None:
    pixels, y = patterned(600), np.repeat(["dark", "light", "rare"], [300, 299, 1])
    pixels[:300] //= 2
    model = PixelGaussian().fit(pixels, y)
    dark, light = (model.sample(500, labels=label).astype(float) for label in ("dark", "light"))
    assert dark.mean() == pytest.approx(pixels[:300].mean(), abs=1)
    assert light.mean() == pytest.approx(pixels[300:599].mean(), abs=1)
    assert dark.std(0).mean() == pytest.approx(pixels[:300].std(0).mean(), rel=0.15)
    assert light.std(0).mean() == pytest.approx(pixels[300:599].std(0).mean(), rel=0.15)
    assert model.sample(200, labels="rare").std(0).mean() > 2  # one picture has no spread: it gets that of all
    mixed = model.sample(4, labels=["dark", "light", "dark", "light"]).reshape(4, -1).mean(1)
    assert mixed.argsort()[:2].tolist() in ([0, 2], [2, 0])
    anyhow = model.sample(1_000).reshape(1_000, -1).mean(1)
    assert np.mean(anyhow < 96) == pytest.approx(0.5, abs=0.06)  # as often as in training


def test_the_same_seed_draws_the_same_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    model = PixelGaussian().fit(patterned(100), np.arange(100) % 3)
    drawn = model.sample(20, seed=5)
    assert np.array_equal(drawn, model.sample(20, seed=5))
    assert not np.array_equal(drawn, model.sample(20, seed=6))
    monkeypatch.setattr(baselines, "CHUNK_PIXELS", 130)
    assert np.abs(drawn.astype(int) - model.sample(20, seed=5)).max() <= 1  # how many at once is nothing but round-off
    assert np.abs(drawn.astype(int) - PixelGaussian().fit(patterned(100)).sample(20)).max() > 1


def test_pictures_that_are_all_alike_are_drawn_as_they_are() -> None:
    pixels = np.full((5, 2, 2), 77, np.uint8)
    assert np.array_equal(PixelGaussian().fit(pixels).sample(3), pixels[:3])
    assert np.array_equal(PixelGaussian().fit(pixels, [0, 0, 1, 1, 2]).sample(3, labels=2), pixels[:3])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: PixelGaussian(kept=2), "kept must be a number between 0.0 and 1.0. Received: 2."),
        (lambda: PixelGaussian(most=0), "most must be a whole number of at least 1. Received: 0."),
        (lambda: PixelGaussian().fit(patterned(1)), r"two pictures or more, .* Received: shape \(1, 3, 4, 5\), uint8."),
        (lambda: PixelGaussian().fit(patterned(9) / 255), r"uint8 of shape \(N, ...\). Received: .* float64."),
        (lambda: PixelGaussian().fit(patterned(9), [1, 2]), r"a label for each of 9 pictures. Received: shape \(2,\)."),
        (
            lambda: PixelGaussian().fit(patterned(9)).sample(0),
            "count must be a whole number of at least 1. Received: 0.",
        ),
        (lambda: PixelGaussian().fit(patterned(9)).sample(2, labels=1), "only where fit was given labels. Fit with y"),
        (
            lambda: PixelGaussian().fit(patterned(4), list("abab")).sample(2, labels="c"),
            "label 'c' was not in training.",
        ),
        (lambda: PixelGaussian().fit(patterned(4), [0, 1, 2, 3]).sample(2, labels=7), "training. Choose from: 0, 1, 2"),
        (lambda: PixelGaussian().fit(patterned(2), [0, 1]).sample(2, labels=[1]), r"each of 2 pictures. .* \(1,\)."),
    ],
)
def test_what_no_gaussian_is_of_is_told(call, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        call()
