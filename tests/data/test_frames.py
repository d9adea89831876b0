"""Reading a table from anything a table comes in."""

from __future__ import annotations

import gzip
import io
import json
import sys

import narwhals
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from decet.data.frames import names_columns, pop_target, read_table
from decet.errors import BadInput, Unsupported

CSV = "age,城市\n31,北京\n42,\n"


@pytest.fixture
def write(tmp_path):
    """Writes bytes or text under a name, and gives the path."""

    def write(name, content):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return str(path)

    return write


def refused(source, sentence, kind=BadInput):
    with pytest.raises(kind) as caught:
        read_table(source)
    assert sentence in str(caught.value)


# ----------------------------------------------------------------------------------------------------- from files


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("t.csv", CSV),
        ("t.CSV", CSV),
        ("t.txt", CSV.replace(",", ";")),
        ("t.tsv", CSV.replace(",", "\t")),
        ("t.csv", "\ufeff" + CSV),  # as spreadsheets save it
        ("t.csv", CSV.replace("\n", "\r\n")),
        ("t.csv", CSV.rstrip("\n")),
        ("t.csv", CSV + "\n\n"),
        ("t.csv.gz", gzip.compress(CSV.encode(), mtime=0)),
        ("t.jsonl", '{"age": 31, "城市": "北京"}\n\n{"age": 42}\n'),
        ("t.ndjson", '{"age": 31, "城市": "北京"}\n{"age": 42, "城市": null}'),
        ("t.json", '[{"age": 31, "城市": "北京"}, {"age": 42}]'),
        ("t.jsonl.gz", gzip.compress('{"age": 31, "城市": "北京"}\n{"age": 42}'.encode(), mtime=0)),
    ],
)
def test_files_hold_the_same_table(write, name, content):
    frame = read_table(write(name, content))
    assert frame.columns.tolist() == ["age", "城市"]
    assert frame["age"].tolist() == [31, 42]
    assert frame["城市"].iloc[0] == "北京"
    assert pd.isna(frame["城市"].iloc[1])


def test_parquet(tmp_path):
    frame = pd.DataFrame({"a": [1.5, None], "d": pd.to_datetime(["2026-01-31", None])})
    frame.to_parquet(tmp_path / "t.parquet")
    pd.testing.assert_frame_equal(read_table(tmp_path / "t.parquet"), frame)


def test_standard_input(monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"a,b\n1,2\n")))
    assert read_table("-").to_dict("list") == {"a": [1], "b": [2]}


def test_csv_cells_have_their_kinds(write):
    frame = read_table(
        write("t.csv", 'i,f,s,b,d,none\n1,0.5,"x, ""y""\nz",True,2026-01-31,\n2,NA,w,False,2026-02-01,\n')
    )
    assert [dtype.kind for dtype in frame.dtypes] == ["i", "f", "O", "b", "M", "f"]
    assert frame["s"].iloc[0] == 'x, "y"\nz'
    assert frame["none"].isna().all()


@pytest.mark.parametrize("gap", ["", "NA", "N/A", "nan", "NaN", "null", "NULL", "None", "?"])
def test_csv_gaps(write, gap):
    frame = read_table(write("t.csv", f"n,s\n{gap},x\n1.5,{gap}\n"))
    assert frame["n"].isna().tolist() == [True, False]
    assert frame["s"].isna().tolist() == [False, True]
    assert frame["n"].dtype == float


@pytest.mark.parametrize(
    ("early", "late", "kind"), [("1", "2.5", "f"), ("1", "", "f"), ("", "7", "f"), ("", "x", "OT"), ("1", "x", "OT")]
)
def test_kinds_that_show_late_in_a_long_file(write, early, late, kind):
    rows = 150_000  # more than the first block, from which kinds are guessed
    frame = read_table(write("t.csv", "n,pad\n" + f"{early},long-enough\n" * rows + f"{late},end\n"))
    assert len(frame) == rows + 1
    assert frame["n"].dtype.kind in kind
    assert frame["n"].iloc[[0, -1]].tolist() == pytest.approx(
        [float(v) if v and kind == "f" else v or float("nan") for v in (early, late)], nan_ok=True
    )


def test_ragged_rows_are_named_by_line(write):
    path = write("t.csv", "a,b\n1,2\n3\n")
    refused(path, f"line 3 of {path!r} has 1 values, the header has 2 columns.")
    path = write("t.csv", 'a,b\n1,"2\n2"\n3,4,5\n')
    refused(path, f"line 4 of {path!r} has 3 values, the header has 2 columns.")


def test_other_encodings_are_refused_with_the_place(write):
    path = write("t.csv", "a,城市\n1,x\n2,北京\n".encode("gbk"))
    refused(path, f"{path!r} is not UTF-8 text: byte 0xb3 at offset 2 (line 1). Save it again as UTF-8.")
    path = write("t.csv", b"a,b\n" + b"1,x\n" * 2_000_000 + b"2,caf\xe9\n")  # beyond the first piece that is decoded
    refused(path, "byte 0xe9 at offset 8,000,009 (line 2,000,002)")
    path = write("t.jsonl", b'{"a": "\xff"}')
    refused(path, "byte 0xff at offset 7 (line 1)")


def test_character_across_two_pieces_is_right(write, monkeypatch):
    monkeypatch.setattr("decet.data.frames._CHUNK", 5)
    assert read_table(write("t.csv", CSV))["城市"].iloc[0] == "北京"
    refused(write("t.csv", CSV.encode() + b"7,\xe5\x8c\n"), "at offset 27 (line 4)")


def test_files_without_rows(write):
    path = write("t.csv", "")
    refused(path, f"{path!r} has no rows: it is empty.")
    path = write("t.csv", "a,b\n")
    refused(path, f"{path!r} has no rows: it holds a header only.")
    path = write("t.jsonl", "\n")
    refused(path, f"{path!r} has no rows.")


def test_paths_that_cannot_be_read(write, tmp_path):
    path = write("sales.csv", CSV)
    refused(path.replace("sales", "sale"), "there is no file")
    refused(path.replace("sales", "sale"), "for X. Did you mean 'sales.csv'?")
    refused(str(tmp_path / "no" / "such.csv"), "such.csv' for X.")
    refused(str(tmp_path), "is a folder; a table is read from one file (.csv, .tsv, .txt, .parquet")
    refused(write("t.xlsx", b"PK"), "has the suffix '.xlsx'; tables are read from .csv, .tsv, .txt, .parquet")
    refused(write("t.parquet", b"PAR0"), "is not a Parquet file:")
    refused(write("t.csv.gz", b"no gzip"), "cannot be read: Not a gzipped file")
    refused(write("t.csv.gz", gzip.compress(CSV.encode() * 99)[:-12]), "is cut short or damaged:")


def test_json_that_is_none(write):
    path = write("t.jsonl", '{"a": 1}\n{"a": 1,\n')
    refused(path, f"line 2 of {path!r} is not JSON:")
    refused(write("t.jsonl", '{"a": 1}\n[1]\n'), "must be a JSON object. Received: [1].")
    refused(write("t.json", "[1, 2]"), "must hold JSON objects, one a row.")
    refused(write("t.json", "[" * 100_000), "is not JSON:")


def test_names_must_differ(write):
    refused(write("t.csv", "a,b,a\n1,2,3\n"), "X names columns twice: 'a'. Give each column a name of its own.")
    refused(pd.DataFrame([[1, 2]], columns=[1, "1"]), "X names columns twice: '1'.")


# ---------------------------------------------------------------------------------------------------- from memory


def test_float_arrays_are_not_copied():
    array = np.random.default_rng(0).normal(size=(6, 3))
    frame = read_table(array)
    assert frame.columns.tolist() == ["x0", "x1", "x2"]
    assert np.shares_memory(frame.to_numpy(), array)


def test_frames_keep_their_data_and_get_text_names():
    frame = pd.DataFrame(np.ones((2, 2)))
    assert read_table(frame).columns.tolist() == ["0", "1"]
    assert frame.columns.tolist() == [0, 1]
    assert np.shares_memory(read_table(frame).to_numpy(), frame.to_numpy())
    named = frame.set_axis(["a", "b"], axis=1)
    assert read_table(named) is named


class Interchange:
    """A frame of a library that offers nothing but the interchange protocol."""

    def __init__(self, frame):
        self.frame = frame

    def __dataframe__(self, nan_as_null=False, allow_copy=True):
        return self.frame.__dataframe__()


@pytest.mark.filterwarnings("ignore:The DataFrame Interchange")
@pytest.mark.parametrize(
    "source",
    [
        {"a": [1, 2], "b": ["x", "y"]},
        [{"a": 1, "b": "x"}, {"a": 2, "b": "y"}],
        pa.table({"a": [1, 2], "b": ["x", "y"]}),
        narwhals.from_native(pd.DataFrame({"a": [1, 2], "b": ["x", "y"]})),
        Interchange(pd.DataFrame({"a": [1, 2], "b": ["x", "y"]})),
        np.array([(1, "x"), (2, "y")], dtype=[("a", "i8"), ("b", "U1")]),
    ],
    ids=lambda source: type(source).__name__,
)
def test_tables_of_other_libraries(source):
    frame = read_table(source)
    assert frame["a"].tolist() == [1, 2]
    assert frame["b"].tolist() == ["x", "y"]


def test_lists_of_rows():
    frame = read_table([[1, "x"], [2.5, None]])
    assert frame.columns.tolist() == ["x0", "x1"]
    assert frame["x0"].tolist() == [1.0, 2.5]
    assert read_table([np.array([1.0, 2.0])]).shape == (1, 2)
    assert read_table(pd.Series([1, 2], name="a")).columns.tolist() == ["a"]


def test_sparse_stays_sparse():
    dense = np.array([[0.0, 2.0], [3.0, 0.0]])
    for form in (sparse.csr_matrix, sparse.coo_array, sparse.csc_matrix):
        table = read_table(form(dense))
        assert isinstance(table, sparse.csr_matrix)
        assert (table.toarray() == dense).all()


def test_memory_that_is_no_table():
    refused([[1, 2], [3]], "row 1 of X has 1 values, row 0 has 2.")
    refused([1, 2], "X must be a list of rows (lists or dicts). Received: int in row 0.")
    refused([], "X has no rows.")
    refused({"a": [1], "b": [1, 2]}, "the columns of X have different lengths: 'a' 1, 'b' 2.")
    refused(np.zeros(5), "Received: shape (5,). Reshape your data with X.reshape(-1, 1) if it is one column")
    refused(np.zeros((2, 2, 2)), "X must have two dimensions (rows, columns). Received: shape (2, 2, 2).")
    refused(np.zeros((0, 3)), "X has no rows: 0 sample(s) (shape=(0, 3)) while a minimum of 1 is required.")
    refused(np.zeros((3, 0)), "X has no columns: 0 feature(s) (shape=(3, 0)) while a minimum of 1 is required.")
    refused(np.zeros((2, 2), dtype=complex), "Complex data not supported: X has complex numbers.")
    refused(3, "X must be a table: a path, a data frame, an array, a sparse matrix", Unsupported)


# --------------------------------------------------------------------------------------------------------- targets


def test_pop_target():
    frame = pd.DataFrame({"age": [1], "收入": [2], "income": [3]})
    rest, y = pop_target(frame, "收入")
    assert rest.columns.tolist() == ["age", "income"]
    assert (y.name, y.tolist()) == ("收入", [2])
    rest, several = pop_target(frame, ["income", "age"])
    assert rest.columns.tolist() == ["收入"]
    assert several.columns.tolist() == ["income", "age"]


def test_pop_target_that_is_not_there():
    frame = pd.DataFrame({"age": [1], "income": [3]})
    with pytest.raises(BadInput, match=r"^target column 'incme' is not in the table\. Did you mean 'income'\?$"):
        pop_target(frame, "incme")
    with pytest.raises(BadInput, match=r"^target column 'q' is not in the table\. Choose from: age, income\.$"):
        pop_target(frame, ["age", "q"])
    with pytest.raises(BadInput, match="the table has no column beside the target 'age', 'income'"):
        pop_target(frame, ["age", "income"])
    with pytest.raises(Unsupported, match="a sparse table has no named columns"):
        pop_target(sparse.csr_matrix((2, 2)), "age")


# ------------------------------------------------------------------------------------------------------ properties

names = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Zs")), min_size=1, max_size=8)
cells = st.one_of(
    st.integers(-(2**50), 2**50), st.text("aé中,;\"\n \t'", min_size=1, max_size=8).map(lambda t: f"q{t}q")
)


@settings(max_examples=60)
@given(st.lists(names, min_size=2, max_size=4, unique_by=str.strip), st.data())
def test_csv_round_trip(tmp_path_factory, columns, data):
    columns = [f"n{column}" for column in columns]
    rows = data.draw(st.lists(st.tuples(*[cells] * len(columns)), min_size=1, max_size=6))
    path = tmp_path_factory.mktemp("csv") / "t.csv"
    pd.DataFrame(rows, columns=columns, dtype=object).to_csv(path, index=False)
    frame = read_table(path)
    assert frame.columns.tolist() == columns
    assert [[str(cell) for cell in row] for row in frame.to_numpy().tolist()] == [[str(c) for c in row] for row in rows]


@settings(max_examples=60)
@given(
    st.lists(
        st.fixed_dictionaries({"a": st.floats(allow_nan=False, allow_infinity=False), "b": st.text(max_size=5)}),
        min_size=1,
        max_size=5,
    )
)
def test_json_lines_round_trip(tmp_path_factory, records):
    path = tmp_path_factory.mktemp("json") / "t.jsonl"
    path.write_text("\n".join(json.dumps(record) for record in records), encoding="utf-8")
    assert read_table(path).to_dict("records") == records


def test_names_of_columns_are_told_from_answers():
    frame = pd.DataFrame({"a": [1, 2], "b": ["x", "y"]})
    assert names_columns("b", frame)
    assert names_columns(["a", "b"], frame)  # as many as rows, but they are its columns
    assert not names_columns(["x", "y"], frame)
    assert names_columns(["x", "y"], frame, always=True)
    assert not names_columns([1, 2], frame)
    assert not names_columns(None, frame)
