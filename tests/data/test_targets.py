"""Answers between the user's form and tensors."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from decet.contracts import LabelSpec, NumberSpec
from decet.data.targets import LabelCodec, NumberCodec, check_learnable, fit_labels, fit_numbers
from decet.errors import BadInput


def restored(codec):
    """The codec after a trip through JSON."""
    state, arrays = codec.state()
    return type(codec).restore(json.loads(json.dumps(state)), arrays)


def refused(call, *arguments):
    """The sentence with which the call is refused."""
    with pytest.raises(BadInput) as caught:
        call(*arguments)
    return str(caught.value)


# ----------------------------------------------------------------------------------------------------------- labels


@pytest.mark.parametrize(
    ("y", "classes", "dtype"),
    [
        (["b", "a", "b"], ["a", "b"], "<U1"),
        (("正", "負", "正"), ["正", "負"], "<U1"),
        ([3, -1, 3], [-1, 3], "int64"),
        (np.array([1.0, 2.0, 1.0]), [1.0, 2.0], "float64"),
        (np.array([1, 2, 1], dtype=np.uint8), [1, 2], "uint8"),
        ([True, False, True], [False, True], "bool"),
        (np.array(["b", "a", "b"], dtype=object), ["a", "b"], "object"),
        (np.array([3, 1, 3], dtype=object), [1, 3], "int64"),
        (pd.Series(["b", "a", "b"]), ["a", "b"], "object"),
        (pd.Series(["b", "a", "b"], dtype="category"), ["a", "b"], "object"),
        (pd.Series([3, 1, 3], dtype="Int64"), [1, 3], "int64"),
        (pd.Series([True, False, True], dtype="boolean"), [False, True], "bool"),
        (pd.Series([3, 1, 3], dtype="int64[pyarrow]"), [1, 3], "int64"),
        (np.array([["b"], ["a"], ["b"]]), ["a", "b"], "<U1"),
    ],
    ids=lambda value: f"{type(value).__name__}-{value}"[:40].replace("\n", " "),
)
def test_one_label_a_row_comes_back_in_its_dtype(y, classes, dtype):
    codec = fit_labels(y)
    assert codec.single
    assert codec.spec == LabelSpec((2,), exclusive=True)
    assert codec.classes[0].tolist() == classes
    for each in (codec, restored(codec)):
        ids = each.encode(y)
        assert ids.dtype == torch.int64
        assert ids.shape == (3, 1)
        back = each.decode(ids)
        assert back.dtype == np.dtype(dtype)
        assert back.tolist() == np.ravel(np.asarray(y)).tolist()


def test_ids_alone_are_decoded_too():
    codec = fit_labels(["b", "a"])
    assert codec.decode(np.array([1, 1, 0])).tolist() == ["b", "b", "a"]


def test_the_target_keeps_its_name():
    assert fit_labels(pd.Series(["b", "a"], name="收入")).names == ("收入",)
    assert fit_labels(["b", "a"]).names == ("y",)


def test_several_columns_may_have_gaps():
    y = pd.DataFrame({"a": ["x", None, "y"], "b": [1, 2, 2], "c": [0.0, 1.0, np.nan]})
    codec = fit_labels(y)
    assert codec.spec == LabelSpec((2, 2, 2), exclusive=True)
    assert codec.names == ("a", "b", "c")
    assert codec.encode(y).tolist() == [[0, 0, 0], [-1, 1, 1], [1, 1, -1]]
    back = restored(codec).decode([[0, 0, 0], [1, 1, 1]])
    assert back.to_dict("list") == {"a": ["x", "y"], "b": [1, 2], "c": [0, 1]}
    assert [dtype.kind for dtype in back.dtypes] == ["O", "i", "i"]
    array = fit_labels(np.array([["a", "c"], ["b", "d"]]))
    assert array.decode(array.encode(np.array([["b", "c"]]))).tolist() == [["b", "c"]]


@pytest.mark.parametrize("form", [list, tuple, set, frozenset])
def test_sets_of_labels_come_back_in_their_form(form):
    y = [form(["red", "old"]), form([]), form(["old"])]
    codec = fit_labels(y)
    assert codec.spec == LabelSpec((2, 2), exclusive=False)
    assert codec.names == ("old", "red")
    assert not codec.single
    assert codec.encode(y).tolist() == [[1, 1], [0, 0], [1, 0]]
    back = restored(codec).decode(codec.encode(y))
    assert [type(row) for row in back] == [form] * 3
    assert [set(row) for row in back] == [set(row) for row in y]


def test_sets_of_numbers_and_series_of_sets():
    codec = fit_labels(pd.Series([[1, 5], [5], []]))
    assert codec.decode(codec.encode([[5, 1]])) == [[1, 5]]


def test_an_array_of_0_and_1_is_sets_of_labels():
    y = np.array([[0, 1, 1], [1, 0, 0]])
    for form in (y, y.tolist(), y.astype(float), y.astype(bool)):
        codec = fit_labels(form)
        assert codec.spec == LabelSpec((2, 2, 2), exclusive=False)
        assert restored(codec).decode(codec.encode(form)).tolist() == y.tolist()


def test_soft_labels():
    y = pd.DataFrame({"cat": [0.25, 1.0], "dog": [0.75, 0.0]})
    codec = fit_labels(y, soft=True)
    assert codec.soft
    assert codec.spec == LabelSpec((2,))
    assert codec.encode(y).dtype == torch.float32
    assert restored(codec).encode(y).tolist() == [[0.25, 0.75], [1.0, 0.0]]
    assert codec.encode(["dog", "cat"]).tolist() == [[1], [0]]  # plain labels, as for a test
    assert codec.decode([[1], [0]]).tolist() == ["dog", "cat"]
    assert fit_labels(y.to_numpy(), soft=True).classes[0].tolist() == [0, 1]


@pytest.mark.parametrize(
    ("y", "sentence"),
    [
        (
            ["a", None, "b", np.nan],
            "2 labels are missing in y (NaN or None), the first in row 1. Drop those rows, or fill them in.",
        ),
        (
            pd.Series([1.0, np.nan]),
            "1 label is missing in y (NaN or None), the first in row 1. Drop that row, or fill them in.",
        ),
        (pd.DataFrame({"a": [1, 2], "b": [None, None]}), "column 'b' of y has no labels: all its values are missing."),
        ([1, "a", 2], "y mixes labels of different kinds (int, str). Write them all in one way."),
        (np.array([1.0, np.inf]), "y is infinite in row 1."),
        (pd.to_datetime(["2026-01-31"]), "labels must be text, whole numbers or booleans. y holds datetime64[us]."),
        (np.zeros((2, 2, 2)), "y must have one dimension (rows) or two (rows, columns). Received: shape (2, 2, 2)."),
        ([[], []], "y has no label in any row: nothing to tell apart."),
    ],
)
def test_labels_that_are_refused(y, sentence):
    assert refused(fit_labels, y) == sentence


def test_soft_labels_that_are_refused():
    sentence = refused(lambda: fit_labels([[0.5, 0.5], [0.5, 0.6]], soft=True))
    assert sentence == "rows of class probabilities must be at least 0 and sum to 1. Row 1 sums to 1.1."


def test_labels_that_training_never_saw():
    codec = fit_labels(["a", "b"])
    sentence = "y has labels that training never saw: 'c' in row 1 and 1 more. Known are 'a', 'b'."
    assert refused(codec.encode, ["a", "c", "d"]) == sentence
    assert refused(codec.encode, [["a", "b"]]) == "y must have one column. Received: 2."
    assert "never saw: 1.5 in row 1" in refused(fit_labels([1, 2]).encode, [1.0, 1.5])
    codec = fit_labels(pd.DataFrame({"a": [1, 2], "b": [1, 2]}))
    sentence = "column 'b' of y has labels that training never saw: 7 in row 0. Known are 1, 2."
    assert refused(codec.encode, pd.DataFrame({"a": [1], "b": [7]})) == sentence
    assert refused(codec.encode, [1, 2]) == "y must have 2 columns. Received: 1."
    codec = fit_labels([{"red", "old"}])
    sentence = "y has a label that training never saw: 'rad' in row 0. Did you mean 'red'?"
    assert refused(codec.encode, [{"rad"}]) == sentence
    assert refused(codec.encode, ["red"]) == "y must be a list of sets of labels, as in training."


def test_targets_with_nothing_to_learn():
    def sentence(y):
        return refused(check_learnable, fit_labels(y), y)

    assert sentence(["x", "x"]) == "y has one class only ('x'): nothing to tell apart."
    frame = pd.DataFrame({"a": [1, 2], "b": ["q", "q"]})
    assert sentence(frame) == "column 'b' of y has one class only ('q'): nothing to tell apart."
    assert sentence(np.array([0.5, 1.5, 0.25])) == (
        "Unknown label type: continuous. y holds measured numbers such as 0.5, not classes. "
        "Did you mean TableRegressor?"
    )
    assert sentence(np.arange(10)) == (
        "y has 10 classes in 10 rows, too few rows to learn each. Did you mean TableRegressor?"
    )
    assert sentence(list("abcdef")) == "y has 6 classes in 6 rows, too few rows to learn each. Is it an identifier?"


@pytest.mark.parametrize("y", [["a", "b"], [1, 2, 3], [[0, 1], [1, 1]], [{"a"}, {"a"}], [1.0, 2.0, 2.0]])
def test_targets_that_can_be_learned(y):
    check_learnable(fit_labels(y), y)


def test_stored_labels_that_are_none():
    state, arrays = fit_labels(["a", "b"]).state()
    assert "Received: 'pickle'" in refused(LabelCodec.restore, state | {"form": "pickle"}, arrays)
    wrong = state | {"classes": [{"dtype": "M8[s]", "values": [0]}]}
    assert "Received: 'M8[s]'" in refused(LabelCodec.restore, wrong, arrays)


labels = st.one_of(
    st.lists(st.text(max_size=4), min_size=1, max_size=20),
    st.lists(st.integers(-(2**60), 2**60), min_size=1, max_size=20),
    st.lists(st.booleans(), min_size=1, max_size=20),
)


@given(labels, st.sampled_from([list, np.array, pd.Series, lambda y: np.array(y, dtype=object)]))
def test_labels_round_trip(y, form):
    codec = fit_labels(form(y))
    expected = form(y).tolist() if form is np.array else y  # numpy's own text drops zero characters at the end
    assert restored(codec).decode(codec.encode(form(y))).tolist() == expected


def test_labels_that_end_in_a_zero_character_stay_apart():
    codec = fit_labels(["a", "a\0", "b"])
    assert restored(codec).decode(codec.encode(["a\0", "b", "a"])).tolist() == ["a\0", "b", "a"]
    sets = fit_labels([{"a"}, {"a\0", "b"}])
    assert restored(sets).decode(sets.encode([{"a\0"}])) == [{"a\0"}]


@given(st.lists(st.frozensets(st.sampled_from("abc北")), min_size=1).filter(any))
def test_sets_round_trip(y):
    codec = fit_labels(y)
    assert restored(codec).decode(codec.encode(y)) == y


# ---------------------------------------------------------------------------------------------------------- numbers


@pytest.mark.parametrize(
    "y",
    [
        [1, 2, 6],
        np.array([1.0, 2.0, 6.0], dtype=np.float32),
        pd.Series([1, 2, 6], dtype="Int64"),
        pd.Series([1, 2, 6], dtype="double[pyarrow]"),
        np.array([1, 2.0, 6], dtype=object),
    ],
    ids=lambda y: f"{type(y).__name__}-{getattr(y, 'dtype', '')}",
)
def test_numbers_are_standardised(y):
    codec = fit_numbers(y)
    assert codec.spec == NumberSpec(1)
    scaled = codec.encode(y)
    assert scaled.dtype == torch.float32
    assert scaled.shape == (3, 1)
    assert scaled.mean().item() == pytest.approx(0, abs=1e-6)
    assert scaled.std(correction=0).item() == pytest.approx(1)
    back = restored(codec).decode(scaled)
    assert back.dtype == np.float64
    assert back == pytest.approx([1, 2, 6], abs=1e-5)


def test_numbers_come_back_in_their_form():
    assert fit_numbers([[1.0], [2.0]]).decode([[0.0]]).tolist() == [[1.5]]
    frame = fit_numbers(pd.DataFrame({"a": [1, 3], "b": [2, 2]})).decode([[0, 1]])
    assert frame.to_dict("list") == {"a": [2.0], "b": [3.0]}


def test_several_columns_of_numbers_may_have_gaps():
    y = np.array([[1.0, np.nan], [3.0, 4.0]])
    scaled = fit_numbers(y).encode(y)
    assert scaled[:, 0].tolist() == [-1, 1]
    assert torch.isnan(scaled[0, 1])
    assert scaled[1, 1] == 0


def test_numbers_that_agree_have_spread_1():
    assert fit_numbers([0.1] * 7).std.tolist() == [1.0]


def test_small_differences_at_a_large_value_survive():
    y = 1e9 + np.arange(5.0)
    codec = fit_numbers(y)
    assert codec.decode(codec.encode(y)) == pytest.approx(y, abs=1e-5)


@pytest.mark.parametrize(
    ("y", "sentence"),
    [
        (
            [1.0, "abc", 2.0],
            "y holds text ('abc' in row 1), TableRegressor needs numbers. Did you mean TableClassifier?",
        ),
        (
            pd.Series(["x", "y"]),
            "y holds text ('x' in row 0), TableRegressor needs numbers. Did you mean TableClassifier?",
        ),
        ([1.0, np.inf, np.inf], "y is infinite in row 1 and 1 more. Correct it or drop the row."),
        (
            pd.DataFrame({"a": [1, 2], "b": [np.inf, 2]}),
            "column 'b' of y is infinite in row 0. Correct it or drop the row.",
        ),
        ([1.0, None], "1 value is missing in y (NaN or None), the first in row 1. Drop that row, or fill them in."),
        (
            [1.0, {}],
            "y holds values that are no numbers (float() argument must be a string or a real number, not 'dict').",
        ),
        (np.full((2, 2), np.nan), "column 'y0' of y has no values: all are missing."),
    ],
)
def test_numbers_that_are_refused(y, sentence):
    assert refused(fit_numbers, y) == sentence


def test_numbers_of_other_columns_are_refused():
    assert refused(fit_numbers([1.0, 2.0]).encode, [[1.0, 2.0]]) == "y must have one column. Received: 2."


@given(st.lists(st.floats(-1e12, 1e12), min_size=1, max_size=20))
def test_numbers_round_trip(y):
    codec = fit_numbers(y)
    assert isinstance(codec, NumberCodec)
    assert restored(codec).decode(codec.encode(y)) == pytest.approx(y, abs=1e-5 * max(1.0, np.std(y), np.ptp(y)))


def test_a_frames_columns_are_matched_by_name_not_by_place():
    numbers = pd.DataFrame({"a": [1.0, 2.0, 3.0], "b": [10.0, 30.0, 20.0]})
    codec = fit_numbers(numbers)
    assert torch.equal(codec.encode(numbers[["b", "a"]]), codec.encode(numbers))
    labels = pd.DataFrame({"a": ["x", "y", "x"], "b": ["y", "y", "x"]})
    known = fit_labels(labels)
    assert torch.equal(known.encode(labels[["b", "a"]]), known.encode(labels))
    shares = pd.DataFrame({"no": [0.2, 0.7], "yes": [0.8, 0.3]})
    soft = fit_labels(shares, soft=True)
    assert torch.equal(soft.encode(shares[["yes", "no"]]), soft.encode(shares))
