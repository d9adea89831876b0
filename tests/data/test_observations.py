"""Observations: one array, whatever their parts; what is not as its space says is told."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces

from decet.data.observations import Layout, layout_of, restored, spans
from decet.errors import Unsupported

PICTURE = spaces.Box(0, 255, (10, 12, 3), np.uint8)
VECTOR = spaces.Box(-1.0, 1.0, (3,), np.float32)


@pytest.mark.parametrize(
    "space",
    [
        VECTOR,
        spaces.Box(-1, 1, (2, 3), np.float64),
        spaces.Box(0, 1, (3, 3), np.uint8),  # too small for a picture
        spaces.Discrete(4, start=2),
        spaces.MultiDiscrete([3, 2], start=[1, 0]),
        spaces.MultiBinary(3),
        spaces.Dict({"b": VECTOR, "a": spaces.Tuple([spaces.Discrete(4), VECTOR])}),
    ],
)
def test_numbers_lie_end_to_end_as_gymnasium_flattens_them(space: spaces.Space) -> None:
    space.seed(0)
    layout = layout_of(space, "E")
    for _ in range(5):
        seen = space.sample()
        np.testing.assert_array_equal(layout.keep(seen), spaces.utils.flatten(space, seen).astype(np.float32))
    assert (layout.shape, layout.kind) == ((spaces.utils.flatdim(space),), np.float32)
    assert len(spans(space, "E")) == layout.numbers


@pytest.mark.parametrize(
    "space", [spaces.Dict({"seen": PICTURE, "felt": VECTOR}), spaces.Tuple([VECTOR, spaces.Dict({"seen": PICTURE})])]
)
def test_a_picture_beside_numbers_is_kept_as_bytes_and_read_again(space: spaces.Space) -> None:
    space.seed(0)
    layout, seen = layout_of(space, "E"), [space.sample() for _ in range(6)]
    kept = np.stack([layout.keep(one) for one in seen])
    assert (kept.shape, kept.dtype) == ((6, 10 * 12 * 3 + 3 * 4), np.uint8)
    pixels, numbers = layout.apart(kept.reshape(2, 3, -1))
    shown = [(one["seen"], one["felt"]) if isinstance(one, dict) else (one[1]["seen"], one[0]) for one in seen]
    np.testing.assert_array_equal(pixels.reshape(6, 10, 12, 3), [picture for picture, _ in shown])
    np.testing.assert_array_equal(numbers.reshape(6, 3), [vector for _, vector in shown])
    np.testing.assert_array_equal(layout.joined(pixels, numbers), kept.reshape(2, 3, -1))


def test_pictures_of_yes_and_no_are_black_and_white() -> None:
    layout = layout_of(spaces.Box(0, 1, (10, 10, 4), np.bool_), "E")
    kept = layout.keep(np.eye(10, dtype=bool)[:, :, None].repeat(4, 2))
    assert (layout.flags, kept.dtype, int(kept[3, 3, 0]), int(kept[3, 4, 0])) == (True, np.uint8, 255, 0)


def test_a_layout_is_restored_from_its_parts() -> None:
    layout = layout_of(spaces.Dict({"a": PICTURE, "b": spaces.Discrete(3), "c": spaces.Tuple([VECTOR])}), "E")
    assert restored(json.loads(json.dumps(layout.parts))) == layout == Layout(layout.parts)
    assert layout.told == "a (10, 12, 3), b one of 3, c/0 (3,)"


def test_spans_tell_how_far_bounds_are_apart() -> None:
    wide = spaces.Box(np.array([-2, -np.inf], np.float32), np.array([4, np.inf], np.float32))
    found = spans(spaces.Tuple([wide, spaces.Discrete(2), PICTURE]), "E")
    np.testing.assert_array_equal(found, [3.0, np.inf, np.nan, np.nan])


@pytest.mark.parametrize(
    ("space", "message"),
    [
        (spaces.Dict({"left": PICTURE, "right": PICTURE}), r"E shows 2 pictures at once \(left, right\), .* reads one"),
        (spaces.Sequence(VECTOR), "E shows a Sequence, which has no fixed size"),
        (spaces.Dict({"said": spaces.Text(5), "felt": VECTOR}), "E shows a Text, which has no fixed size"),
        (spaces.Dict({}), "E shows nothing"),
    ],
)
def test_what_cannot_be_kept_is_refused(space: spaces.Space, message: str) -> None:
    with pytest.raises(Unsupported, match=message):
        layout_of(space, "E")


BOTH = spaces.Dict({"felt": VECTOR, "seen": PICTURE})


@pytest.mark.parametrize(
    ("space", "seen", "message"),
    [
        (VECTOR, [0.0, 1.0], r"shape \(2,\); its space says \(3,\)"),
        (VECTOR, [0.0, np.nan, 1.0], "what is not finite, in place 1"),
        (VECTOR, ["a", "b", "c"], "a list where numbers must be"),
        (VECTOR, [[1.0], [1.0, 2.0]], "a list whose rows are not alike"),
        (VECTOR, None, "a NoneType where numbers must be"),
        (spaces.Discrete(3, start=1), 4, "4, which is none of 3 choices from 1 on"),
        (spaces.MultiDiscrete([3, 2]), [1, 2], r"\[1, 2\], which is none of 3 x 2 choices from \[0, 0\] on"),
        (PICTURE, np.zeros((10, 12, 3)), "pixels of float64; its space says whole numbers from 0 to 255"),
        (PICTURE, np.full((10, 12, 3), 256), "pixels of int64; its space says whole numbers from 0 to 255"),
        (BOTH, {"seen": np.zeros((10, 12, 3), np.uint8)}, "no part 'felt', which its space has"),
        (BOTH, 3, "no part 'felt'"),
        (BOTH, {"seen": np.zeros((9, 12, 3), np.uint8), "felt": np.zeros(3)}, r"shape \(9, 12, 3\) in 'seen'; its"),
    ],
)
def test_what_is_not_as_its_space_says_is_told(space: spaces.Space, seen: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        layout_of(space, "E").keep(seen)
