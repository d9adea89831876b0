"""Tables to tensors: the settings, the codec, its state."""

from __future__ import annotations

import json
import time
import tracemalloc

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from scipy.stats import norm

from decet.data.tables import SparseCodec, TableCodec, Tables
from decet.errors import BadInput
from decet.tensors import Sparse

RNG = np.random.default_rng(0)
N = 60


def mixed(rows=N):
    """A table with a column of every kind."""
    rng = np.random.default_rng(1)
    return pd.DataFrame(
        {
            "id": np.arange(rows),
            "age": rng.integers(18, 90, rows),
            "收入": np.where(np.arange(rows) % 5 == 0, np.nan, rng.lognormal(10, 1, rows)),
            "城市": rng.choice(["北京", "上海", "Paris"], rows),
            "member": rng.random(rows) < 0.5,
            "since": pd.date_range("2024-01-01", periods=rows, freq="31h"),
            "note": [f"the {rng.choice(['cat', 'dog'])} is {rng.choice(['old', 'red'])} now {i}" for i in range(rows)],
            "k": 1,
        }
    )


def same(a, b):
    """The same bits in both tensors."""
    return torch.equal(a[0], b[0]) and torch.equal(a[1], b[1])


def encoded(codec, table):
    numbers, categories = codec.encode(table)
    assert isinstance(numbers, torch.Tensor)
    return numbers.numpy(), categories.numpy()


# --------------------------------------------------------------------------------------------------------- settings


def test_settings_say_how_columns_are_read():
    frame = mixed()
    codec = Tables(category="age", number=("member",), drop=["note"], text=("城市",)).fit(frame)
    kinds = {column.name: column.kind for column in codec.columns}
    assert kinds == {
        "id": "identifier",
        "age": "category",
        "收入": "number",
        "城市": "text",
        "member": "number",
        "since": "date",
        "note": "drop",
        "k": "constant",
    }


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"scale": "quantiles"}, "scale must be one of 'quantile', 'standard', 'none'. Received: 'quantiles'."),
        ({"bins": 0}, "bins must be a whole number of at least 1. Received: 0."),
        ({"rare": -1}, "rare must be a whole number of at least 0. Received: -1."),
        ({"max_categories": 1.5}, "max_categories must be a whole number of at least 1. Received: 1.5."),
        ({"max_words": 0}, "max_words must be a whole number of at least 1. Received: 0."),
        ({"number": "a", "drop": ("b", "a")}, "column 'a' is said to be of two kinds. Name it once."),
    ],
)
def test_settings_that_cannot_be(wrong, sentence):
    with pytest.raises(BadInput) as caught:
        Tables(**wrong)
    assert sentence in str(caught.value)


def test_settings_that_name_no_column():
    with pytest.raises(BadInput, match=r"^X has no column 'agee', which the settings name\. Did you mean 'age'\?$"):
        Tables(number=("agee",)).fit(mixed())


# ----------------------------------------------------------------------------------------------------------- encode


def test_spec_counts_numbers_and_slots():
    codec = Tables(max_words=6).fit(mixed())
    assert codec.spec.numbers == 1 + 1 + 7 + 4  # age, 收入, since, and the words cat, dog, old, red of note
    assert codec.spec.categories == (2, 2 + 3, 2 + 2)  # the flag of 收入, 城市, member
    assert len(codec.spec.edges) == codec.spec.numbers
    assert not codec.spec.sparse


def test_numbers_are_standardised_by_the_training_rows():
    array = RNG.normal(1e8, 2, size=(50, 3))
    codec = Tables().fit(array, np.arange(40))
    numbers, categories = encoded(codec, array)
    train = array[:40]
    assert numbers.dtype == np.float32
    assert categories.shape == (50, 0)
    assert numbers == pytest.approx((array - train.mean(0)) / train.std(0), abs=1e-6)


def test_scale_is_by_quantiles_from_a_thousand_training_rows_on():
    array = RNG.exponential(size=(2_000, 1))
    few, many = (encoded(Tables().fit(array, np.arange(rows)), array)[0] for rows in (999, 1_000))
    assert few.max() > 4
    assert np.sort(many[:1_000, 0]) == pytest.approx(norm.ppf((np.arange(1_000) + 0.5) / 1_000), abs=1e-5)
    assert encoded(Tables(scale="none").fit(array), array)[0] == pytest.approx(array)


def test_missing_numbers_become_the_centre_and_a_flag():
    frame = pd.DataFrame({"a": [1.0, np.nan, 3.0, 5.0], "b": [1.0, 2.0, 3.0, 9.0]})
    numbers, flags = encoded(Tables().fit(frame), frame)
    assert numbers[1, 0] == 0
    assert flags.tolist() == [[0], [1], [0], [0]]


def test_a_number_missing_only_later_is_filled_and_remarked():
    codec = Tables().fit(pd.DataFrame({"a": [1.0, 2.0, 3.0]}))
    numbers, flags = encoded(codec, pd.DataFrame({"a": [np.nan, 2.0, np.nan]}))
    assert numbers.tolist() == [[pytest.approx(0, abs=1e-5)], [0], [pytest.approx(0, abs=1e-5)]]
    assert flags.shape == (3, 0)
    assert codec.remarks == [
        "column 'a' has 2 missing values, training had none; the centre of the training rows stands in for them."
    ]
    codec.encode(pd.DataFrame({"a": [1.0]}))
    assert codec.remarks == []


def test_unknown_categories_are_slot_0_and_counted():
    frame = pd.DataFrame({"城市": ["北京", "上海", "北京", "上海", None, "Rome"]})
    codec = Tables().fit(frame)
    assert codec.spec.categories == (4,)
    assert encoded(codec, frame)[1].ravel().tolist() == [3, 2, 3, 2, 1, 0]  # Rome was seen once: it trains slot 0
    codec.encode(pd.DataFrame({"城市": ["Oslo", "北京", "Kyiv"]}))
    assert codec.unseen == {"城市": 2}
    codec.encode(frame.iloc[:2])
    assert codec.unseen == {}
    assert Tables(rare=0).fit(frame).spec.categories == (5,)


def test_columns_left_out_are_warned_of():
    assert Tables().fit(mixed()).warnings == [
        "column 'id' was left out because each row has a value of its own, which cannot carry over to new rows.",
        "column 'k' was left out because all rows have the same value.",
    ]


def test_columns_left_out_may_lack_and_order_is_free():
    frame = mixed()
    codec = Tables().fit(frame)
    shuffled = frame[["note", "member", "收入", "since", "城市", "age"]]
    assert same(codec.encode(frame), codec.encode(shuffled))
    assert codec.remarks == []


def test_extra_columns_are_ignored_and_remarked():
    frame = mixed()
    codec = Tables().fit(frame)
    assert same(codec.encode(frame), codec.encode(frame.assign(extra=1, 新=2)))
    assert codec.remarks == ["columns that training did not see were ignored: 'extra', '新'."]


def test_missing_columns_are_refused():
    frame = mixed()
    codec = Tables().fit(frame)
    with pytest.raises(BadInput, match=r"^X lacks column 'age', which training had\. Did you mean 'Age'\?$"):
        codec.encode(frame.rename(columns={"age": "Age"}))
    with pytest.raises(BadInput, match=r"^X lacks 2 columns which training had: 'age', '城市'\.$"):
        codec.encode(frame.drop(columns=["age", "城市"]))
    with pytest.raises(BadInput, match=r"^X has 2 columns, training had 3\.$"):
        Tables().fit(np.ones((4, 3))).encode(np.ones((4, 2)))


def test_arrays_and_named_tables_meet_by_position():
    array = RNG.normal(size=(30, 3))
    named = pd.DataFrame(array, columns=["a", "b", "c"])
    by_name, by_position = Tables().fit(named), Tables().fit(array)
    assert same(by_name.encode(array), by_name.encode(named))
    assert same(by_position.encode(named), by_position.encode(array))


@pytest.mark.parametrize("rows", [3, 5_000])
def test_infinite_values_are_refused(rows):
    array = np.ones((rows, 2))
    codec = Tables().fit(array)
    array[-1, 1] = np.inf
    with pytest.raises(BadInput, match=rf"^column 'x1' is infinite in row {rows - 1} \(inf\)\."):
        codec.encode(array)
    with pytest.raises(BadInput, match=rf"^column 'x1' is infinite in row {rows - 1} \(inf\)\."):
        Tables().fit(array, np.arange(1, rows))


@pytest.mark.parametrize("rows", [3, 5_000])
def test_text_in_a_number_column_is_refused(rows):
    frame = pd.DataFrame({"a": np.arange(rows) * 1.5})
    codec = Tables().fit(frame)
    frame["a"] = frame["a"].astype(object)
    frame.loc[rows - 1, "a"] = "old"
    with pytest.raises(BadInput, match=rf"^column 'a' holds numbers, but row {rows - 1} has 'old'\."):
        codec.encode(frame)


def test_a_table_with_nothing_to_learn_from():
    with pytest.raises(
        BadInput, match=r"^X has no column to learn from\. column 'k' was left out because all rows have"
    ):
        Tables().fit(pd.DataFrame({"k": [1, 1, 1]}))


def test_huge_values_stay_finite():
    codec = Tables(scale="standard").fit(np.array([[1e300], [2e300], [-1e300]]))
    assert np.isfinite(encoded(codec, np.array([[1e305], [1.0]]))[0]).all()


def test_one_constant_column_or_one_row_is_enough():
    assert encoded(Tables().fit(np.full((4, 1), 7.0)), np.full((2, 1), 7.0))[0].tolist() == [[0], [0]]
    assert encoded(Tables().fit(np.array([[1.0, 2.0]])), np.array([[1.0, 3.0]]))[0].tolist() == [[0, 1]]


@pytest.mark.parametrize("rows", [1, 10, 64, 65, 200])
def test_a_row_has_the_same_bits_in_any_batch(rows):
    frame = mixed(200)
    codec = Tables(scale="quantile").fit(frame)
    whole, part = codec.encode(frame), codec.encode(frame.iloc[:rows])
    assert same((whole[0][:rows], whole[1][:rows]), part)


def test_texts_without_words_are_left_out():
    frame = pd.DataFrame({"a": [1.0, 2.0], "t": ["?", "!"]})
    codec = Tables(text="t").fit(frame)
    assert codec.spec.numbers == 1
    assert codec.encode(frame)[0].shape == (2, 1)


# ----------------------------------------------------------------------------------------------------------- sparse


def test_sparse_tables_stay_sparse():
    table = sparse.random(40, 10, density=0.2, format="csr", rng=RNG)
    codec = Tables().fit(table, np.arange(30))
    numbers, categories = codec.encode(table)
    assert isinstance(numbers, Sparse)
    assert codec.spec.sparse
    assert codec.spec.numbers == 10
    assert categories.shape == (40, 0)
    largest = abs(table[:30]).max(axis=0).toarray()
    expected = table.toarray() / np.where(largest == 0, 1, largest)
    assert numbers.times(torch.eye(10)).numpy() == pytest.approx(expected, abs=1e-6)


def test_sparse_and_dense_meet():
    table = sparse.random(40, 5, density=0.4, format="csr", rng=RNG)
    codec = Tables().fit(table)
    for other in (table.tocoo(), table.tocsc(), table.toarray(), pd.DataFrame(table.toarray())):
        numbers, _ = codec.encode(other)
        assert torch.equal(numbers.times(torch.eye(5)), codec.encode(table)[0].times(torch.eye(5)))
    dense = Tables().fit(table.toarray())
    assert same(dense.encode(table), dense.encode(table.toarray()))


def test_sparse_entries_given_twice_are_added():
    twice = sparse.csr_matrix((np.array([1.0, 2.0]), np.array([0, 0]), np.array([0, 2])), shape=(1, 3))
    numbers, _ = Tables(scale="none").fit(twice).encode(twice)
    assert numbers.values.tolist() == [3.0]


def test_sparse_tables_that_are_refused():
    table = sparse.csr_matrix(np.array([[0.0, 1.0], [np.nan, 0.0]]))
    with pytest.raises(BadInput, match=r"^X is nan in row 1, column 0; a sparse table takes finite values only"):
        Tables().fit(table)
    with pytest.raises(BadInput, match=r"^scale='quantile' would fill the zeros of a sparse table\. Use 'standard' or"):
        Tables(scale="quantile").fit(sparse.csr_matrix((3, 2)))
    with pytest.raises(BadInput, match=r"^X has 3 columns, training had 2\.$"):
        Tables().fit(sparse.csr_matrix((4, 2))).encode(sparse.csr_matrix((4, 3)))


# -------------------------------------------------------------------------------------------- state, samples, words


def restored(codec):
    """The codec after a trip through JSON and arrays."""
    state, arrays = codec.state()
    return TableCodec.restore(json.loads(json.dumps(state)), {name: array.copy() for name, array in arrays.items()})


@pytest.mark.parametrize("rows", [N, 1_500])
def test_restored_codec_encodes_to_the_same_bits(rows):
    frame = mixed(rows)
    codec = Tables().fit(frame, np.arange(rows - 10))
    again = restored(codec)
    assert same(codec.encode(frame), again.encode(frame))
    assert again.spec == codec.spec
    assert again.warnings == codec.warnings
    assert again.description() == codec.description()
    pd.testing.assert_frame_equal(again.sample(9, 3), codec.sample(9, 3))


def test_restored_sparse_codec_encodes_to_the_same_bits():
    table = sparse.random(40, 10, density=0.2, format="csr", rng=RNG)
    codec = Tables().fit(table)
    again = restored(codec)
    assert isinstance(again, SparseCodec)
    assert torch.equal(again.encode(table)[0].values, codec.encode(table)[0].values)
    assert (again.sample(5, 0) != codec.sample(5, 0)).nnz == 0


def test_state_that_does_not_fit_is_refused():
    state, arrays = Tables().fit(mixed()).state()
    for wrong in ({"columns": [{"name": "a"}], "warnings": []}, {"columns": 3}, {"width": "x"}):
        with pytest.raises(BadInput, match="the stored columns of the table do not fit together"):
            TableCodec.restore(wrong, arrays)
    with pytest.raises(BadInput, match="the stored columns of the table do not fit together"):
        TableCodec.restore(state, arrays | {"mean": arrays["mean"][:2]})


def test_samples_are_made_up_of_ranges_and_vocabulary():
    frame = mixed()
    codec = Tables().fit(frame)
    made = codec.sample(200, 0)
    assert made.equals(codec.sample(200, 0))
    assert not made.equals(codec.sample(200, 1))
    assert made.columns.tolist() == ["age", "收入", "城市", "member", "since", "note"]
    assert made["age"].between(18, 90).all()
    assert set(made["城市"].dropna()) == {"北京", "上海", "Paris", "?"}  # "?" stands for values never seen
    assert made["收入"].isna().any()
    assert not made["age"].isna().any()
    numbers, categories = codec.encode(made)
    assert torch.isfinite(numbers).all()
    assert (categories[:, 1].unique() == torch.arange(5)).all()


def test_sparse_samples_have_the_density_of_training():
    codec = Tables().fit(sparse.random(100, 50, density=0.1, format="csr", rng=RNG))
    assert codec.sample(100, 0).nnz == pytest.approx(500, rel=0.2)


def test_description_is_for_people():
    frame = pd.DataFrame(
        {
            "age": [20, None, 60],
            "城市": ["北京", "上海", "北京"],
            "d": pd.to_datetime(["2026-01-01", "2026-01-03", "2026-02-01"]),
            "t": ["a", "b", "a b"],
            "k": [1, 1, 1],
        }
    )
    assert Tables(rare=0, text="t").fit(frame).description() == [
        {"name": "age", "kind": "number", "detail": "mostly 20.4 to 59.6, missing values flagged"},
        {"name": "城市", "kind": "category", "detail": "2 values: 北京, 上海"},
        {"name": "d", "kind": "date", "detail": "mostly 2026-01-01 to 2026-01-31"},
        {"name": "t", "kind": "text", "detail": "2 words: a, b"},
        {"name": "k", "kind": "constant", "detail": "left out"},
    ]
    codec = Tables().fit(sparse.csr_matrix((3, 1_000)))
    assert codec.description() == [{"name": "x0 to x999", "kind": "number", "detail": "sparse, 1,000 columns"}]


# ------------------------------------------------------------------------------------------------- speed and memory


def test_one_row_is_encoded_in_well_under_a_millisecond():
    frame = pd.DataFrame({f"n{i}": RNG.normal(size=2_000) for i in range(6)})
    for i in range(8):
        frame[f"c{i}"] = RNG.choice(["a", "b", "c"], 2_000)
    codec, row = Tables().fit(frame), frame.iloc[:1]
    best = float("inf")
    for _ in range(200):
        start = time.perf_counter()
        codec.encode(row)
        best = min(best, time.perf_counter() - start)
    assert best < 0.001  # 0.12 ms on a quiet machine


def test_encoding_needs_little_more_than_its_result():
    array = np.random.default_rng(0).normal(size=(100_000, 50))
    codec = Tables().fit(array[:2_000])
    tracemalloc.start()
    numbers, _ = codec.encode(array)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < numbers.numpy().nbytes + 10 * array[:, 0].nbytes


# ------------------------------------------------------------------------------------------------------- properties

columns = {
    "number": st.one_of(st.none(), st.floats(-1e9, 1e9)),
    "whole": st.integers(-(2**40), 2**40),
    "category": st.one_of(st.none(), st.sampled_from(["a", "北", "", "nan", "1"])),
    "flag": st.one_of(st.none(), st.booleans()),
    "mixed": st.one_of(st.none(), st.integers(0, 3), st.sampled_from(["x", "1.0"])),
    "date": st.one_of(st.none(), st.dates().map(str)),
    "words": st.one_of(st.none(), st.text("ab 北", max_size=12)),
}


@settings(max_examples=40)
@given(
    st.lists(st.fixed_dictionaries(columns), min_size=2, max_size=12), st.sampled_from(["quantile", "standard", "none"])
)
def test_any_table_encodes_alike_in_any_batch_and_after_restore(rows, scale):
    frame = pd.DataFrame(rows).assign(sure=range(len(rows)))
    codec = Tables(scale=scale, date="date", text="words", number=("number", "sure"), rare=0).fit(frame)
    numbers, categories = whole = codec.encode(frame)
    assert torch.isfinite(numbers).all()
    assert numbers.shape == (len(frame), codec.spec.numbers)
    assert (categories >= 0).all()
    assert (categories < torch.tensor(codec.spec.categories, dtype=torch.int64)).all()
    assert codec.unseen == {}
    assert same(whole, restored(codec).encode(frame))
    for row in range(len(frame)):
        assert same((numbers[row : row + 1], categories[row : row + 1]), codec.encode(frame.iloc[row : row + 1]))
    tall = pd.concat([frame] * 40, ignore_index=True)  # the way of many rows
    assert same((numbers.repeat(40, 1), categories.repeat(40, 1)), codec.encode(tall))
