"""A tree of tensors and JSON values: the same bits back, written whole or not at all, damage refused."""

from __future__ import annotations

import os

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from decet.errors import BadInput
from decet.training.checkpoint import check_writable, copy_tree, read_tree, same_tree, write_tree, write_whole

TREE = {
    "step": 7,
    "rate": 0.1 + 0.2,
    "name": "日本 \u0000 ü",
    "none": None,
    "lists": [[1, 2.5], [True, "x"], []],
    "weights": {"a/b": torch.randn(3, 4), "empty": torch.empty(0, 5), "0-d": torch.tensor(3)},
    "moments": [torch.randn(2).to(torch.bfloat16), torch.arange(5), torch.tensor([True, False])],
}


def test_a_tree_comes_back_with_the_same_bits(tmp_path):
    path = tmp_path / "deep" / "er" / "state.safetensors"
    write_tree(path, TREE)
    assert same_tree(read_tree(path), TREE)
    assert [p.name for p in path.parent.iterdir()] == ["state.safetensors"]


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats(allow_nan=False) | st.text(),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
        max_leaves=12,
    )
)
def test_any_json_value_comes_back(tmp_path_factory, value):
    path = tmp_path_factory.mktemp("tree") / "state.safetensors"
    write_tree(path, {"value": value})
    assert same_tree(read_tree(path), {"value": value})


def test_names_with_slashes_do_not_collide(tmp_path):
    tree = {"a": {"b": torch.zeros(2)}, "a/b": torch.ones(2)}
    write_tree(tmp_path / "t", tree)
    assert same_tree(read_tree(tmp_path / "t"), tree)


def test_memory_formats_views_and_tied_tensors_are_written_by_value(tmp_path):
    picture = torch.randn(2, 3, 4, 4).to(memory_format=torch.channels_last)
    tied = torch.randn(6)
    tree = {"picture": picture, "view": tied[::2], "one": tied, "other": tied}
    write_tree(tmp_path / "t", tree)
    assert same_tree(read_tree(tmp_path / "t"), tree)


def test_a_copy_is_untouched_by_training():
    weight = torch.nn.Parameter(torch.ones(2))
    tree = {"weights": [weight, {"count": 1}], "pair": (1, weight)}
    copied = copy_tree(tree)
    weight.data.zero_()
    assert copied["weights"][0].tolist() == [1, 1]
    assert copied["pair"][1].tolist() == [1, 1]
    assert not copied["weights"][0].requires_grad


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"a": torch.zeros(2)}, {"a": torch.zeros(3)}),
        ({"a": torch.zeros(2)}, {"a": torch.zeros(2, dtype=torch.float64)}),
        ({"a": torch.zeros(2)}, {"a": 0}),
        ({"a": torch.zeros(2)}, {"b": torch.zeros(2)}),
        ([1, 2], [1, 2, 3]),
        ([1, [2]], [1, [3]]),
        (1, 2),
    ],
)
def test_trees_that_differ_are_told_apart(one, other):
    assert not same_tree(one, other)
    assert same_tree(one, copy_tree(one))


# -------------------------------------------------------------------------------------------------- torn and damaged


def test_a_write_that_fails_leaves_the_old_checkpoint_whole(tmp_path, monkeypatch):
    path = tmp_path / "state.safetensors"
    write_tree(path, {"step": 1, "weights": torch.ones(10)})

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(BadInput) as caught:
        write_tree(path, {"step": 2, "weights": torch.zeros(10)})
    assert str(caught.value) == (
        f"the checkpoint {path} could not be written (No space left on device). Free space or choose another --out."
    )
    assert read_tree(path)["step"] == 1
    assert [p.name for p in tmp_path.iterdir()] == ["state.safetensors"]


def test_a_folder_that_cannot_be_made_is_said(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInput, match=r"^the checkpoint .*state could not be written \("):
        write_tree(tmp_path / "file" / "state", {})


def test_where_nothing_can_be_written_is_said_before_the_work(tmp_path):
    check_writable(tmp_path / "new" / "state")
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInput, match=r"^the page .*state cannot be written \(.*\)\. Choose another folder\."):
        check_writable(tmp_path / "file" / "state", "the page ")


@pytest.fixture
def good(tmp_path):
    path = tmp_path / "state.safetensors"
    write_tree(path, TREE)
    return path


def _refused(path) -> str:
    with pytest.raises(BadInput) as caught:
        read_tree(path)
    message = str(caught.value)
    assert message.startswith(f"{path} is not a whole checkpoint (")
    assert message.endswith("). Remove it, or start with --overwrite.")
    return message


def test_a_missing_or_empty_file_is_refused(tmp_path):
    _refused(tmp_path / "nothing")
    (tmp_path / "empty").write_bytes(b"")
    _refused(tmp_path / "empty")


@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.9, 0.999])
def test_a_file_cut_short_is_refused(good, share):
    data = good.read_bytes()
    good.write_bytes(data[: int(len(data) * share)])
    _refused(good)


def test_a_header_that_is_no_tree_is_refused(good):
    data = good.read_bytes()
    good.write_bytes(data.replace(b"$tensor", b"$tonsor"))  # the tree names tensors no more
    assert not same_tree(read_tree(good), TREE)
    good.write_bytes(data.replace(b"weights/empty", b"weights/empti", 1))
    _refused(good)
    good.write_bytes(b"\x80\x04" + data[2:])
    _refused(good)


def test_a_safetensors_file_of_another_program_is_refused(tmp_path):
    from safetensors.torch import save_file

    save_file({"weight": torch.ones(2)}, tmp_path / "other.safetensors")
    _refused(tmp_path / "other.safetensors")


def test_bytes_flipped_at_random_never_escape_as_anything_but_a_sentence(good):
    data = good.read_bytes()
    header = int.from_bytes(data[:8], "little") + 8
    generator = torch.Generator().manual_seed(0)
    for at in torch.randint(header, (100,), generator=generator).tolist():
        good.write_bytes(data[:at] + bytes([data[at] ^ 0x41]) + data[at + 1 :])
        try:
            read_tree(good)
        except BadInput as error:
            assert "is not a whole checkpoint" in str(error)


def test_any_bytes_are_written_whole_or_not_at_all(tmp_path):
    path = tmp_path / "a" / "page.html"
    write_whole(path, b"old")
    write_whole(path, b"new")
    assert path.read_bytes() == b"new"
    assert [p.name for p in path.parent.iterdir()] == ["page.html"]
    with pytest.raises(
        BadInput, match=r"the page .*none could not be written \(.*\)\. Free space or choose another --out"
    ):
        write_whole(path / "none", b"", "the page ")
