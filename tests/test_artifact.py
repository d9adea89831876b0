"""The model folder: what goes in comes out, whole or not at all, and strangers' folders are refused with a sentence."""

from __future__ import annotations

import ctypes
import errno
import hashlib
import json
import os
import pickle
import random
import resource
import shutil
import signal
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from decet import artifact
from decet.errors import BadInput

AGAIN = "Copy the folder again from where it was saved, or save the model anew."


def packed(mark: int = 0, rows: int = 3) -> dict[str, bytes]:
    """A small model; `mark` and `rows` tell models apart by content and by size."""
    return artifact.pack(
        {"estimator": "TableClassifier", "mark": mark, "classes": ["apple", "蘋果"], "rate": 0.003},
        {"body.weight": torch.full((rows, 4), float(mark)), "head.bias": torch.tensor([0.5, -0.5])},
        {"inputs.0": torch.ones(2, 4), "output": torch.tensor([[0.25, 0.75], [0.5, 0.5]])},
        f"# Model {mark}\n",
        [{"epoch": 0, "loss": 1.5}, {"epoch": 1, "loss": 0.75}],
    )


def resealed(files: dict[str, bytes], /, **changes: Any) -> dict[str, bytes]:
    """`files` as a forger leaves them, who knows how sizes, hashes and the digest are made."""
    model = json.loads(files["model.json"])
    model["files"] = {
        name: {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
        for name, data in files.items()
        if name != "model.json"
    }
    model |= changes
    rest = {key: value for key, value in model.items() if key != "digest"}
    model["digest"] = hashlib.sha256(json.dumps(rest, sort_keys=True, ensure_ascii=False).encode()).hexdigest()
    return files | {"model.json": json.dumps(model, ensure_ascii=False).encode()}


def put(folder: Path, files: dict[str, bytes]) -> Path:
    folder.mkdir(exist_ok=True)
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return folder


def refusal(action: Callable[[], Any]) -> str:
    with pytest.raises(BadInput) as caught:
        action()
    return str(caught.value)


def in_child(action: Callable[[], Any], prepare: Callable[[], Any] = lambda: None) -> int:
    """Run `action` in a forked process; its exit code, or minus the signal that ended it. 77: `prepare` could not."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    code = 1
    try:
        try:
            prepare()
        except OSError:
            code = 77
            raise
        action()
        code = 0
    except BaseException:  # noqa: BLE001 - a fork must never run on into pytest
        if code != 77:
            traceback.print_exc()
    finally:
        os._exit(code)


# ------------------------------------------------------------------------------------------------- pack and unpack

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**39), 10**39) | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@settings(max_examples=60)
@given(st.dictionaries(st.text().filter(lambda key: key not in ("format", "files", "shapes", "digest")), json_values))
def test_settings_come_back_as_they_were_nan_and_infinity_too(model: dict[str, Any]) -> None:
    files = artifact.pack(model, {}, {}, "", [model])
    contents = artifact.unpack(files)
    assert repr(sorted_keys(contents.model)) == repr(sorted_keys(model))  # repr: NaN is not equal to itself
    assert repr(sorted_keys(contents.history)) == repr(sorted_keys([model]))


@pytest.mark.parametrize("value", [None, "nan", float("nan"), [1], {"not finite": "inf"}, [{"not finite": ["x"]}]])
def test_settings_may_be_called_as_the_mark_of_numbers_that_are_not_finite(value: Any) -> None:
    model = {"not finite": value, "one": {"not finite": value}}
    contents = artifact.unpack(artifact.pack(model, {}, {}, "", [{"not finite": value}]))
    assert repr(sorted_keys(contents.model)) == repr(sorted_keys(model))
    assert repr(contents.history) == repr([{"not finite": value}])


def sorted_keys(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: sorted_keys(value[key]) for key in sorted(value)}
    return [sorted_keys(item) for item in value] if isinstance(value, list) else value


@settings(max_examples=30)
@given(st.integers(0, 2**32 - 1), st.lists(st.integers(0, 5), max_size=4))
def test_tensors_come_back_bit_for_bit(seed: int, shape: list[int]) -> None:
    generator = torch.Generator().manual_seed(seed)
    values = torch.randn(shape, generator=generator)
    tensors = {str(kind): (values * 9).to(kind) for kind in KINDS} | {
        "flipped": values.T if len(shape) == 2 else values
    }
    back = artifact.unpack(artifact.pack({}, tensors, tensors, "", []))
    for found in (back.weights, back.golden):
        assert found.keys() == tensors.keys()
        for name, tensor in tensors.items():
            assert found[name].dtype == tensor.dtype
            assert found[name].shape == tensor.shape
            assert torch.equal(found[name], tensor)


KINDS = (torch.float32, torch.float64, torch.bfloat16, torch.float16, torch.int64, torch.int8, torch.uint8, torch.bool)


def test_equal_contents_give_equal_bytes_whatever_the_order_of_keys() -> None:
    ones, twos = torch.ones(2), torch.full((3,), 2.0)
    first = artifact.pack({"a": 1, "b": {"c": 2, "d": 3}}, {"x": ones, "y": twos}, {}, "card", [])
    second = artifact.pack({"b": {"d": 3, "c": 2}, "a": 1}, {"y": twos, "x": ones}, {}, "card", [])
    assert first == second


def test_model_json_is_readable_and_tells_size_hash_and_shape_of_all() -> None:
    files = packed(rows=5)
    text = files["model.json"].decode()
    model = json.loads(text)
    assert "蘋果" in text
    assert model["format"] == artifact.FORMAT
    assert model["shapes"] == {"body.weight": [5, 4], "head.bias": [2]}
    assert {"model.json", *model["files"]} == set(files) == set(artifact.FILES)
    for name, told in model["files"].items():
        assert told == {"sha256": hashlib.sha256(files[name]).hexdigest(), "bytes": len(files[name])}
    assert artifact.unpack(files).digest == model["digest"]


def test_views_and_tied_tensors_are_saved_in_full() -> None:
    whole = torch.arange(64.0).reshape(8, 8)
    tensors = {"whole": whole, "tied": whole, "view": whole[2:4, ::2], "picture": whole.view(1, 4, 4, 4)}
    tensors["picture"] = tensors["picture"].to(memory_format=torch.channels_last)
    back = artifact.unpack(artifact.pack({}, tensors, {}, "", [])).weights
    assert all(torch.equal(back[name], tensor) for name, tensor in tensors.items())


def test_numpy_numbers_tuples_and_surrogates_are_taken() -> None:
    model = {"depth": np.int64(3), "lr": np.float32(0.5), "edges": (1, 2), "name": np.str_("n"), "file": "a\udcff.png"}
    back = artifact.unpack(artifact.pack(model, {}, {}, "", [])).model
    assert back == {"depth": 3, "lr": 0.5, "edges": [1, 2], "name": "n", "file": "a\udcff.png"}


def test_parameters_that_want_gradients_can_be_saved() -> None:
    layer = torch.nn.Linear(2, 2)
    back = artifact.unpack(artifact.pack({}, dict(layer.named_parameters()), {}, "", [])).weights
    assert torch.equal(back["weight"], layer.weight)
    assert not back["weight"].requires_grad


@pytest.mark.parametrize(
    ("model", "sentence"),
    [
        ({"format": 1}, "model.json's keys format are written by decet itself; use other names."),
        (
            {"a": [{"b": object}]},
            "model.a[0].b cannot be saved: a model folder holds text, numbers of up to 40 digits, lists and dicts with "
            "text as keys. Received: type <class 'object'>.",
        ),
        (
            {"a": {1: 2}},
            "model.a cannot be saved: a model folder holds text, numbers of up to 40 digits, lists and dicts with "
            "text as keys. Received: dict {1: 2}.",
        ),
        (
            {"a": 10**40},
            "model.a cannot be saved: a model folder holds text, numbers of up to 40 digits, lists and dicts with "
            f"text as keys. Received: int {10**40}.",
        ),
    ],
)
def test_what_json_cannot_hold_is_refused_at_the_save(model: dict[str, Any], sentence: str) -> None:
    assert refusal(lambda: artifact.pack(model, {}, {}, "", [])) == sentence


def test_a_model_too_large_or_too_deep_to_be_read_is_refused_at_the_save(monkeypatch: pytest.MonkeyPatch) -> None:
    deep: Any = 0
    for _ in range(62):
        deep = [deep]
    assert artifact.unpack(artifact.pack({"a": deep[0]}, {}, {}, "", [])).model == {"a": deep[0]}
    assert "is nested deeper than 64 levels" in refusal(lambda: artifact.pack({"a": [[deep]]}, {}, {}, "", []))
    monkeypatch.setitem(artifact._MOST_BYTES, "README.md", 1000)
    sentence = refusal(lambda: artifact.pack({}, {}, {}, "x" * 1001, []))
    assert sentence == "README.md would have 1,001 bytes, and at most 1,000 bytes can be saved."


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16, torch.float16, torch.float8_e4m3fn])
def test_weights_that_are_not_finite_are_never_saved(value: float, kind: torch.dtype) -> None:
    if kind == torch.float8_e4m3fn and value != value:
        value = float("nan")  # the only value of this kind that is not finite
    elif kind == torch.float8_e4m3fn:
        return
    tensor = torch.ones(3, 3)
    tensor[1, 2] = value
    sentence = refusal(lambda: artifact.pack({}, {"w": tensor.to(kind)}, {}, "", []))
    assert sentence == "weights.safetensors: tensor 'w' holds values that are not finite. No model answers with these."


# ------------------------------------------------------------------------------------------------- write and read


def test_a_model_is_read_as_it_was_written(tmp_path: Path) -> None:
    folder = tmp_path / "runs" / "first"
    artifact.write(folder, packed())
    assert artifact.read(folder) == packed()
    assert sorted(os.listdir(folder)) == sorted(artifact.FILES)


def test_a_new_model_takes_the_old_ones_place_and_leaves_what_else_stands_there(tmp_path: Path) -> None:
    (tmp_path / "checkpoint").mkdir()
    (tmp_path / "checkpoint" / "7.safetensors").write_text("kept")
    (tmp_path / "report.html").write_text("kept")
    artifact.write(tmp_path, packed(1, rows=900))
    artifact.write(tmp_path, packed(2))
    assert artifact.read(tmp_path) == packed(2)
    assert sorted(os.listdir(tmp_path)) == sorted([*artifact.FILES, "checkpoint", "report.html"])
    assert (tmp_path / "checkpoint" / "7.safetensors").read_text() == "kept"


def test_only_a_whole_model_with_known_names_is_written(tmp_path: Path) -> None:
    files = packed()
    lacking = {name: data for name, data in files.items() if name != "README.md"}
    assert refusal(lambda: artifact.write(tmp_path, lacking)) == f"the model folder lacks README.md. {AGAIN}"
    assert "and nothing else. Received: '../x'." in refusal(lambda: artifact.write(tmp_path, files | {"../x": b""}))
    assert os.listdir(tmp_path) == []


def test_files_that_were_links_are_replaced_not_followed(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    folder = tmp_path / "model"
    folder.mkdir()
    for name in ("model.json", "README.md"):
        (folder / name).symlink_to(victim)
    artifact.write(folder, packed())
    assert artifact.read(folder) == packed()
    assert victim.read_text() == "precious"


def test_reading_changes_nothing(tmp_path: Path) -> None:
    artifact.write(tmp_path, packed())
    before = {path.name: path.stat().st_mtime_ns for path in [tmp_path, *tmp_path.iterdir()]}
    artifact.read(tmp_path)
    assert before == {path.name: path.stat().st_mtime_ns for path in [tmp_path, *tmp_path.iterdir()]}


# ------------------------------------------------------------------------------------------------ hostile folders


def survives(files: dict[str, bytes]) -> bool:
    """Whether the files are taken. Anything but a sentence fails the test by itself."""
    try:
        artifact.unpack(files)
    except BadInput as error:
        assert len(str(error)) > 20
        return False
    return True


@pytest.mark.parametrize("name", artifact.FILES)
def test_every_flipped_byte_is_noticed(name: str) -> None:
    files = packed()
    draw = random.Random(0)
    for _ in range(200):
        data = bytearray(files[name])
        at = draw.randrange(len(data))
        data[at] ^= 1 << draw.randrange(8)
        assert not survives(files | {name: bytes(data)})


@pytest.mark.parametrize("name", artifact.FILES)
def test_every_cut_and_every_addition_is_noticed(name: str) -> None:
    files = packed()
    for size in range(0, len(files[name]) - 1, max(1, len(files[name]) // 100)):
        assert not survives(files | {name: files[name][:size]})
    assert not survives(files | {name: files[name] + b"0"})


@pytest.mark.parametrize("name", artifact.FILES)
def test_a_forger_who_mends_the_hashes_gets_a_sentence_or_a_plain_model(name: str) -> None:
    """Bytes, pieces and lengths changed at random, sealed again: no other error, no hang."""
    files = packed()
    draw = random.Random(1)
    for _ in range(300):
        data = bytearray(files[name])
        for _ in range(draw.choice([1, 1, 1, 4, 20])):
            at = draw.randrange(len(data) + 1)
            match draw.randrange(4):
                case 0:
                    data[at : at + 1] = bytes([draw.randrange(256)])
                case 1:
                    del data[at : at + draw.randrange(20)]
                case 2:
                    data[at:at] = data[draw.randrange(len(data) + 1) :][: draw.randrange(40)]
                case 3:
                    data[at:at] = draw.choice(
                        [b"[", b"{", b'"', b"9" * 30, b"-1", b"1e999", b"null", b"\xff", b"\\u0000"]
                    )
        changed = files | {name: bytes(data)}
        if name == "model.json":
            with suppress(ValueError, AttributeError):  # what is not JSON any more goes in as it is
                changed = resealed(files, **{k: v for k, v in json.loads(bytes(data)).items() if k != "files"})
        else:
            changed = resealed(changed)
        survives(changed)


def header(data: bytes) -> tuple[dict[str, Any], bytes]:
    length = int.from_bytes(data[:8], "little")
    return json.loads(data[8 : 8 + length]), data[8 + length :]


def with_header(head: dict[str, Any] | bytes, values: bytes) -> bytes:
    text = head if isinstance(head, bytes) else json.dumps(head).encode()
    return len(text).to_bytes(8, "little") + text + values


def test_weights_of_other_shapes_are_refused() -> None:
    files = packed()
    head, values = header(files["weights.safetensors"])
    head["body.weight"]["shape"] = [4, 3]
    swapped = resealed(files | {"weights.safetensors": with_header(head, values)})
    assert refusal(lambda: artifact.unpack(swapped)) == (
        f"weights.safetensors: tensor 'body.weight' has shape [4, 3], and model.json says [3, 4]. {AGAIN}"
    )
    fewer = safetensors.torch.save({"head.bias": torch.ones(2)})
    assert refusal(lambda: artifact.unpack(resealed(files | {"weights.safetensors": fewer}))) == (
        f"weights.safetensors: tensor 'body.weight' has shape None, and model.json says [3, 4]. {AGAIN}"
    )
    told = resealed(files, shapes={"body.weight": [3, 4], "head.bias": [2], "other": [1]})
    assert "tensor 'other' has shape None, and model.json says [1]." in refusal(lambda: artifact.unpack(told))


@pytest.mark.parametrize("shape", [[-3, -4], [3.0, 4.0], [True, 12], "34", None, {"0": 3}, [10**30, 0]])
def test_shapes_that_are_no_shapes_are_refused(shape: Any) -> None:
    files = packed()
    head, values = header(files["weights.safetensors"])
    head["body.weight"]["shape"] = shape
    forged = resealed(
        files | {"weights.safetensors": with_header(head, values)}, shapes={"body.weight": shape, "head.bias": [2]}
    )
    assert not survives(forged)


@pytest.mark.parametrize("length", [0, 1, 7, 5000, 2**20, 2**31, 2**63, 2**64 - 1])
def test_lengths_of_headers_that_lie_are_refused(length: int) -> None:
    files = packed()
    for name in ("weights.safetensors", "golden.safetensors"):
        forged = resealed(files | {name: length.to_bytes(8, "little") + files[name][8:]})
        assert refusal(lambda forged=forged: artifact.unpack(forged)).startswith(f"{name} is no")
    assert refusal(lambda: artifact.unpack(resealed(files | {"weights.safetensors": b"1234"}))) == (
        f"weights.safetensors is no safetensors file: a header of 875770417 bytes does not fit in 4. {AGAIN}"
    )


@pytest.mark.parametrize(
    "offsets", [[0, 8], [0, 2**60], [-8, 0], [8, 0], [4, 12], "0", None, [], [0, 1, 2], [0.5, 1], [{}, {}]]
)
def test_offsets_that_lie_are_refused(offsets: Any) -> None:
    head, values = header(packed()["weights.safetensors"])
    head["head.bias"]["data_offsets"] = offsets
    if offsets == header(packed()["weights.safetensors"])[0]["head.bias"]["data_offsets"]:
        pytest.fail("the case is no forgery")
    assert not survives(resealed(packed() | {"weights.safetensors": with_header(head, values)}))


def test_weights_that_are_not_finite_are_refused() -> None:
    files = packed()
    broken = {"body.weight": torch.full((3, 4), float("nan")), "head.bias": torch.zeros(2)}
    forged = resealed(files | {"weights.safetensors": safetensors.torch.save(broken)})
    assert refusal(lambda: artifact.unpack(forged)) == (
        "weights.safetensors: tensor 'body.weight' holds values that are not finite. No model answers with these."
    )


BOMBS = {
    "deep lists": (b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "is nested deeper than 64 levels"),
    "deep and never closed": (b'{"a":' * 100_000, "is nested deeper than 64 levels"),
    "deep after a trick with quotes": (b'{"\\"":"\\\\","a":' + b"[" * 99 + b"]" * 99 + b"}", "nested deeper than 64"),
    "a number of a million digits": (b'{"a":' + b"9" * 1_000_000 + b"}", "a whole number has 1000000 digits"),
    "a number out of range": (b'{"a":1e999}', "the number 1e999 is not finite"),
    "NaN": (b'{"a":NaN}', "the number NaN is not finite"),
    "Infinity": (b'{"a":-Infinity}', "the number -Infinity is not finite"),
    "a key twice": (b'{"format":1,"a":1,"format":0}', "the key 'format' stands twice"),
    "many keys, the last twice": (
        b"{" + b",".join(b'"%d":0' % n for n in range(200_000)) + b',"199999":1}',
        "the key '199999' stands twice",
    ),
    "a list": (b"[1]", "model.json must hold a JSON object. Received: list."),
    "a number": (b"1", "model.json must hold a JSON object. Received: int."),
    "nothing": (b"", "is not JSON as decet writes it: Expecting value"),
    "half": (b'{"format": 1, "fil', "is not JSON as decet writes it: Unterminated string"),
    "not UTF-8": (b'{"a":"\xff"}', "is not UTF-8 text (byte 6)."),
    "another encoding": ('{"format": 1}'.encode("utf-16"), "is not UTF-8 text (byte 0)."),
    "too large": (b'{"a":"' + b"x" * 33_000_000 + b'"}', "has 33.0 MB of JSON; decet reads at most 32.0 MB."),
    "no format": (b"{}", "model.json must say its format, 0 to 1. Received: None."),
    "format is text": (b'{"format":"1"}', "model.json must say its format, 0 to 1. Received: '1'."),
    "format is true": (b'{"format":true}', "model.json must say its format, 0 to 1. Received: True."),
    "format is below 0": (b'{"format":-1}', "model.json must say its format, 0 to 1. Received: -1."),
    "a newer format": (
        b'{"format":2}',
        "the model was written by a newer decet (format 2; this one reads up to 1). Upgrade decet.",
    ),
    "format 0 with nothing": (b'{"format":0}', "model.json lacks its list of files."),
    "format 0 with lists": (b'{"format":0,"sizes":[],"sha256":[]}', "model.json lacks its list of files."),
    "format 0 with sizes alone": (
        b'{"format":0,"sizes":{"README.md":1},"sha256":{},"weights":{}}',
        "model.json does not say the size and sha256 of weights.safetensors.",
    ),
}


@pytest.mark.parametrize("case", BOMBS)
def test_json_bombs_end_in_a_sentence_and_soon(case: str, tmp_path: Path) -> None:
    data, part = BOMBS[case]
    started = time.process_time()
    assert part in refusal(lambda: artifact.unpack(packed() | {"model.json": data}))
    assert refusal(lambda: artifact.read(put(tmp_path, packed() | {"model.json": data})))
    assert time.process_time() - started < 5


@pytest.mark.parametrize("name", ["weights.safetensors", "golden.safetensors", "history.jsonl"])
def test_json_bombs_inside_other_files_end_in_a_sentence(name: str) -> None:
    for data, _ in BOMBS.values():
        if b"format" not in data and data not in (b"", b"{}") and len(data) < 10_000_000:
            forged = data if name == "history.jsonl" else with_header(data, b"")
            assert not survives(resealed(packed() | {name: forged}))


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        ({"../x": {"sha256": "0", "bytes": 1}}, "model.json lists '../x': a model folder holds model.json, "),
        ({"/etc/passwd": {"sha256": "0", "bytes": 1}}, "model.json lists '/etc/passwd': a model folder holds "),
        ({"model.json": {"sha256": "0", "bytes": 1}}, "model.json lists 'model.json': a model folder holds "),
        ({"WEIGHTS.safetensors": {}}, "model.json lists 'WEIGHTS.safetensors': a model folder holds "),
        ({}, "model.json does not say the size and sha256 of weights.safetensors."),
        ({"weights.safetensors": None}, "model.json does not say the size and sha256 of weights.safetensors."),
        ({"weights.safetensors": {"sha256": 3, "bytes": 1}}, "model.json does not say the size and sha256 of weights."),
        ({"weights.safetensors": {"sha256": "0", "bytes": -1}}, "model.json does not say the size and sha256 of"),
        ({"weights.safetensors": {"sha256": "0", "bytes": True}}, "model.json does not say the size and sha256 of"),
        ([], "model.json lacks its list of files or of shapes."),
        (None, "model.json lacks its list of files or of shapes."),
    ],
)
def test_a_list_of_files_from_a_stranger_names_nothing_but_the_closed_list(
    files: Any, sentence: str, tmp_path: Path
) -> None:
    forged = resealed(packed(), files=files)
    assert refusal(lambda: artifact.unpack(forged)).startswith(sentence)
    assert refusal(lambda: artifact.read(put(tmp_path, forged))).startswith(sentence)


def test_a_changed_setting_is_noticed() -> None:
    files = packed()
    changed = files["model.json"].replace(b"0.003", b"0.004")
    assert refusal(lambda: artifact.unpack(files | {"model.json": changed})) == (
        f"model.json was changed since it was saved: its digest does not fit. {AGAIN}"
    )


def test_a_changed_file_is_named() -> None:
    files = packed()
    assert refusal(lambda: artifact.unpack(files | {"README.md": b"# model 0\n"})) == (
        f"README.md is not as it was saved: its sha256 differs from the one in model.json. {AGAIN}"
    )
    size = len(files["weights.safetensors"])
    assert refusal(lambda: artifact.unpack(files | {"weights.safetensors": files["weights.safetensors"][:-7]})) == (
        f"weights.safetensors is cut short: it has {size - 7} bytes, and model.json says {size}. {AGAIN}"
    )
    assert refusal(lambda: artifact.unpack(files | {"weights.safetensors": files["weights.safetensors"] + b"x"})) == (
        f"weights.safetensors is too long: it has {size + 1} bytes, and model.json says {size}. {AGAIN}"
    )


class Trap:
    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return (os.mkdir, ("trapped",))


@pytest.mark.parametrize("name", artifact.FILES)
@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_a_pickle_in_disguise_is_named_and_never_opened(
    name: str, protocol: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    forged = packed() | {name: pickle.dumps(Trap(), protocol)}
    forged = forged if name == "model.json" else resealed(forged)
    sentence = f"{name} is a pickle. Pickles can run code, so decet never opens one; save the model with decet."
    assert refusal(lambda: artifact.unpack(forged)) == sentence
    assert refusal(lambda: artifact.read(put(tmp_path / "model", forged))) == sentence
    assert not (tmp_path / "trapped").exists()


def test_what_torch_saves_is_named_too(tmp_path: Path) -> None:
    torch.save({"w": torch.ones(2)}, tmp_path / "weights.pt")
    forged = packed() | {"weights.safetensors": (tmp_path / "weights.pt").read_bytes()}
    assert refusal(lambda: artifact.unpack(forged)) == (
        "weights.safetensors is a zip archive as torch.save writes it, with a pickle inside. Pickles can run code, so "
        "decet never opens one; save the model with decet."
    )


def test_a_header_whose_length_looks_like_a_pickle_is_none() -> None:
    """0x0280 to 0x0580 bytes of header begin with the bytes of a pickle, and must load."""
    seen = set()
    for length in range(500, 1400, 8):
        files = artifact.pack({}, {"x" * length: torch.ones(1)}, {}, "", [])
        seen.add(files["weights.safetensors"][:2])
        assert len(artifact.unpack(files).weights) == 1
    assert {b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05"} <= seen


# ------------------------------------------------------------------------------------------------- hostile places


@pytest.mark.parametrize("name", artifact.FILES)
def test_a_missing_file_is_named(name: str, tmp_path: Path) -> None:
    put(tmp_path, packed())
    (tmp_path / name).unlink()
    assert refusal(lambda: artifact.read(tmp_path)) == f"{tmp_path} lacks {name}. {AGAIN}"


@pytest.mark.parametrize("name", artifact.FILES)
def test_links_are_not_followed(name: str, tmp_path: Path) -> None:
    folder = put(tmp_path / "model", packed())
    (folder / name).rename(tmp_path / "elsewhere")
    (folder / name).symlink_to("../elsewhere")
    sentence = f"{folder / name} is a link, which a model folder never holds. {AGAIN}"
    assert refusal(lambda: artifact.read(folder)) == sentence


def test_a_committed_save_that_is_a_link_is_not_followed(tmp_path: Path) -> None:
    folder = put(tmp_path / "model", packed(1))
    put(tmp_path / "elsewhere", packed(2))
    (folder / ".decet-commit").symlink_to("../elsewhere")
    assert refusal(lambda: artifact.read(folder)) == (
        f"{folder / '.decet-commit'} is a link, which a model folder never holds. {AGAIN}"
    )
    artifact.write(folder, packed(3))
    assert artifact.read(folder) == packed(3)
    assert sorted(os.listdir(tmp_path / "elsewhere")) == sorted(artifact.FILES)


def test_a_pipe_a_folder_and_a_device_are_no_files(tmp_path: Path) -> None:
    for name, make in (
        ("README.md", lambda path: os.mkfifo(path)),
        ("weights.safetensors", lambda path: path.mkdir()),
    ):
        folder = put(tmp_path / name, packed())
        (folder / name).unlink()
        make(folder / name)
        assert refusal(lambda folder=folder, name=name: artifact.read(folder)) == (
            f"{folder / name} is not a plain file. {AGAIN}"
        )


def test_a_size_that_lies_is_refused_before_the_file_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path, packed())
    os.truncate(tmp_path / "weights.safetensors", 2**40)  # a terabyte of holes
    started = time.perf_counter()
    size = len(packed()["weights.safetensors"])
    assert refusal(lambda: artifact.read(tmp_path)) == (
        f"weights.safetensors is too long: it has {2**40} bytes, and model.json says {size}. {AGAIN}"
    )
    put(tmp_path, packed())
    os.truncate(tmp_path / "model.json", 2**40)
    sentence = f"{tmp_path / 'model.json'} has 1,099,511.6 MB; decet reads at most 32.0 MB."
    assert refusal(lambda: artifact.read(tmp_path)) == sentence
    assert time.perf_counter() - started < 1


def test_places_that_are_no_model_folder(tmp_path: Path) -> None:
    for name in ("adult", "iris"):
        put(tmp_path / name, packed())
    assert refusal(lambda: artifact.read(tmp_path / "adlt")) == (
        f"there is no model folder {tmp_path / 'adlt'}. Did you mean 'adult'?"
    )
    assert refusal(lambda: artifact.read(tmp_path / "adult" / "model.json")) == (
        f"{tmp_path / 'adult' / 'model.json'} is not a folder. Give the folder that holds model.json."
    )
    assert refusal(lambda: artifact.read(tmp_path)) == f"{tmp_path} holds no model: there is no model.json."
    (tmp_path / "checkpoint").mkdir()
    assert refusal(lambda: artifact.read(tmp_path)) == (
        f"{tmp_path} holds no model: there is no model.json. A run was begun there: finish it with --resume."
    )
    assert "cannot be opened (embedded null byte)." in refusal(lambda: artifact.read("a\0b"))
    assert "cannot be opened (file name too long)." in refusal(lambda: artifact.read("x" * 300))


# ----------------------------------------------------------------------------------------- saves that are cut short


class Calls:
    """Counts the calls that change a disk, and acts before one of them: the test's hand on the power switch."""

    NAMES = ("mkdir", "open", "write", "fsync", "rename", "unlink", "rmdir", "pwrite", "ftruncate")

    def __init__(self, monkeypatch: pytest.MonkeyPatch, act: Callable[[str, int, Any], None]) -> None:
        self.count = 0
        for name in self.NAMES:
            monkeypatch.setattr(os, name, self.watched(name, getattr(os, name), act))

    def watched(self, name: str, real: Callable[..., Any], act: Callable[[str, int, Any], None]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            act(name, self.count, args)
            self.count += 1
            return real(*args, **kwargs)

        return call


def test_a_kill_before_any_call_leaves_the_old_model_or_the_new_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real_write = os.write

    def kill_at(stop: int) -> Callable[[str, int, Any], None]:
        def act(name: str, count: int, args: Any) -> None:
            if count == stop:
                if name == "write":  # half of it is on the disk
                    real_write(args[0], bytes(args[1])[: len(args[1]) // 2])
                os.kill(os.getpid(), signal.SIGKILL)

        return act

    folder, old, new = tmp_path / "model", packed(1, rows=50), packed(2)
    outcomes = []
    for stop in range(200):
        artifact.write(folder, old)

        def save(stop: int = stop) -> None:
            Calls(monkeypatch, kill_at(stop))
            artifact.write(folder, new)

        ended = in_child(save)
        found = artifact.read(folder)
        assert found in (old, new)
        outcomes.append(found == new)
        if ended == 0:
            break
        assert ended == -signal.SIGKILL
    assert len(outcomes) > 20
    assert outcomes == sorted(outcomes)  # old models, then new ones: one moment decides
    assert 10 < outcomes.index(True) < len(outcomes) - 5
    assert sorted(os.listdir(folder)) == sorted(artifact.FILES)  # the last save swept what the others left


def test_the_first_model_of_a_folder_is_there_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for stop in (0, 3, 9, 15, 18, 19, 20, 22):
        folder = tmp_path / str(stop)

        def save(folder: Path = folder, stop: int = stop) -> None:
            Calls(monkeypatch, lambda name, count, args: os.kill(os.getpid(), 9) if count == stop else None)
            artifact.write(folder, packed())

        in_child(save)
        try:
            assert artifact.read(folder) == packed()
        except BadInput as error:
            assert str(error).startswith((f"{folder} holds no model", "there is no model folder"))
        artifact.write(folder, packed(2))
        assert artifact.read(folder) == packed(2)


def test_kills_at_random_moments_and_a_reader_that_never_waits(tmp_path: Path) -> None:
    models = [packed(1, rows=3000), packed(2), packed(3, rows=200)]
    artifact.write(tmp_path, models[0])
    draw = random.Random(0)
    for _ in range(40):
        child = os.fork()
        if not child:
            try:
                while True:
                    artifact.write(tmp_path, draw.choice(models))
            finally:
                os._exit(1)
        end = time.monotonic() + draw.uniform(0, 0.03)
        while time.monotonic() < end:
            assert artifact.read(tmp_path) in models
        os.kill(child, signal.SIGKILL)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
        assert artifact.read(tmp_path) in models


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_a_full_disk_leaves_the_old_model(number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    artifact.write(tmp_path, packed(1))
    for full in range(5):
        writes = 0

        def act(name: str, count: int, args: Any, full: int = full) -> None:
            nonlocal writes
            writes += name == "write"
            if name == "write" and writes > full:
                raise OSError(number, os.strerror(number))

        with monkeypatch.context() as patch:
            Calls(patch, act)
            sentence = refusal(lambda: artifact.write(tmp_path, packed(2)))
        name = artifact.FILES[full]
        assert sentence == (
            f"the disk is full: {name} ({len(packed(2)[name])} bytes) does not fit into {tmp_path}. What stood there "
            "is unchanged. Free some space, or choose another folder."
        )
        assert artifact.read(tmp_path) == packed(1)
        assert sorted(os.listdir(tmp_path)) == sorted(artifact.FILES)


def test_any_call_that_fails_gives_a_sentence_and_leaves_a_whole_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that breaks (EIO) at any call of the save."""
    for stop in range(200):
        artifact.write(tmp_path, packed(1))

        def act(name: str, count: int, args: Any, stop: int = stop) -> None:
            if count == stop:
                raise OSError(errno.EIO, "Input/output error")

        with monkeypatch.context() as patch:
            calls = Calls(patch, act)
            try:
                artifact.write(tmp_path, packed(2))
            except BadInput as error:
                assert "(input/output error)" in str(error)
                done = False
            else:
                done = True
        assert artifact.read(tmp_path) == packed(2) if done else artifact.read(tmp_path) in (packed(1), packed(2))
        if calls.count < stop:
            break
    assert stop > 20


def test_an_interrupt_leaves_the_old_model_and_no_litter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    artifact.write(tmp_path, packed(1))

    def act(name: str, count: int, args: Any) -> None:
        if name == "fsync":
            raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        Calls(patch, act)
        artifact.write(tmp_path, packed(2))
    assert artifact.read(tmp_path) == packed(1)
    assert sorted(os.listdir(tmp_path)) == sorted(artifact.FILES)


def test_a_limit_on_the_size_of_files_is_a_full_disk(tmp_path: Path) -> None:
    artifact.write(tmp_path, packed(1))

    def save() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
        sentence = refusal(lambda: artifact.write(tmp_path, packed(2, rows=5000)))
        assert sentence.startswith("the disk is full: weights.safetensors (80,"), sentence

    assert in_child(save) == 0
    assert artifact.read(tmp_path) == packed(1)
    assert sorted(os.listdir(tmp_path)) == sorted(artifact.FILES)


def mount_small_disk(place: Path) -> None:
    """A file system of 128 kB at `place`, seen by this process alone; OSError where that is not allowed."""
    libc = ctypes.CDLL(None, use_errno=True)
    private, new_mounts = 0x44000, 0x20000  # MS_REC | MS_PRIVATE, CLONE_NEWNS
    for done in (
        libc.unshare(new_mounts),
        libc.mount(b"none", b"/", None, private, None),
        libc.mount(b"none", bytes(place), b"tmpfs", 0, b"size=128k"),
    ):
        if done != 0:
            raise OSError(ctypes.get_errno(), "no small disk")


def test_a_disk_that_is_really_full(tmp_path: Path) -> None:
    def save() -> None:
        folder = tmp_path / "model"
        artifact.write(folder, packed(1, rows=2000))  # 32 kB of weights
        for rows in (7000, 5000):
            sentence = refusal(lambda rows=rows: artifact.write(folder, packed(2, rows=rows)))
            assert sentence.startswith("the disk is full: weights.safetensors ("), sentence
            assert artifact.read(folder) == packed(1, rows=2000)
            assert sorted(os.listdir(folder)) == sorted(artifact.FILES)
        artifact.write(folder, packed(3, rows=2500))
        assert artifact.read(folder) == packed(3, rows=2500)

    def on_a_mount_point() -> None:
        """A folder that is itself a mount point cannot be swapped for another; its files can be replaced."""
        artifact.write(tmp_path, packed(1))
        artifact.write(tmp_path, packed(2))
        assert artifact.read(tmp_path) == packed(2)

    for action in (save, on_a_mount_point):
        ended = in_child(action, prepare=lambda: mount_small_disk(tmp_path))
        if ended == 77:
            pytest.skip("this user may not mount a file system")
        assert ended == 0
    assert os.listdir(tmp_path) == []


def test_a_save_finished_later_by_the_next_one(tmp_path: Path) -> None:
    """What a kill right after the commit leaves: half of the files moved up."""
    put(tmp_path, packed(1))
    commit = put(tmp_path / ".decet-commit", packed(2))
    put(tmp_path / ".decet-new", {"model.json": b"{}"})
    for name in ("model.json", "weights.safetensors"):
        (commit / name).rename(tmp_path / name)
    assert artifact.read(tmp_path) == packed(2)
    artifact.write(tmp_path, packed(3))
    assert artifact.read(tmp_path) == packed(3)
    assert sorted(os.listdir(tmp_path)) == sorted(artifact.FILES)


# ------------------------------------------------------------------------------------------------ places to write


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user of the machine may enter (pytest's own are closed)."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def test_a_folder_that_is_not_writable(open_folder: Path) -> None:
    artifact.write(open_folder, packed(1))
    open_folder.chmod(0o555)

    def save() -> None:
        if os.getuid() == 0:
            os.setuid(65534)  # root may write anywhere; nobody may not
        for folder in (open_folder, open_folder / "below"):
            sentence = refusal(lambda folder=folder: artifact.write(folder, packed(2)))
            assert sentence == f"{folder} is not writable (permission denied). Choose another folder.", sentence
        assert artifact.read(open_folder) == packed(1)

    assert in_child(save) == 0
    open_folder.chmod(0o755)
    assert artifact.read(open_folder) == packed(1)


def test_places_where_no_model_can_go(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    assert refusal(lambda: artifact.write(file, packed())) == (
        f"{file} is a file, so no model can be saved in it. Choose another folder."
    )
    assert refusal(lambda: artifact.write(file / "below", packed())) == (
        f"{file / 'below'} cannot be written (not a directory). Choose another folder."
    )
    (tmp_path / "README.md").mkdir()
    assert refusal(lambda: artifact.write(tmp_path, packed())) == (
        f"{tmp_path / 'README.md'} is a folder where the model's README.md must go. Remove or rename it."
    )
    assert sorted(os.listdir(tmp_path)) == ["README.md", "file"]


# ------------------------------------------------------------------------------------------------------------ lock


def test_a_second_run_is_told_who_holds_the_folder(tmp_path: Path) -> None:
    folder, holder = tmp_path / "model", os.getpid()

    def second() -> None:
        sentence = (
            f"{folder} is in use by another run (process {holder}). Wait until it has ended, or choose another folder."
        )
        assert refusal(lambda: artifact.lock(folder).__enter__()) == sentence
        assert refusal(lambda: artifact.write(folder, packed(2))) == sentence

    with artifact.lock(folder):
        artifact.write(folder, packed(1))  # the holder itself may save
        assert in_child(second) == 0
        with artifact.lock(folder):
            pass
        assert in_child(second) == 0  # the inner one did not let it go
    assert artifact.read(folder) == packed(1)
    assert in_child(lambda: artifact.write(folder, packed(2))) == 0
    assert sorted(os.listdir(folder)) == sorted(artifact.FILES)


def test_a_kill_frees_the_folder_though_a_worker_lives_on(tmp_path: Path) -> None:
    ready, tell = os.pipe()
    run = os.fork()
    if not run:
        try:
            with artifact.lock(tmp_path):
                worker = os.fork()
                if not worker:
                    time.sleep(60)
                os.write(tell, str(worker).encode())
                time.sleep(60)
        finally:
            os._exit(1)
    worker = int(os.read(ready, 20))
    try:
        assert "is in use by another run" in refusal(lambda: artifact.write(tmp_path, packed()))
        os.kill(run, signal.SIGKILL)
        os.waitpid(run, 0)
        artifact.write(tmp_path, packed())
    finally:
        os.kill(worker, signal.SIGKILL)
    assert artifact.read(tmp_path) == packed()
    assert sorted(os.listdir(tmp_path)) == sorted(artifact.FILES)


def test_writers_at_the_same_moment_never_mix(tmp_path: Path) -> None:
    """Processes meet the lock, threads wait for each other; a reader sees one whole model at every moment."""
    models = [packed(mark, rows=mark * 40) for mark in range(1, 5)]
    artifact.write(tmp_path, models[0])

    def hammer(files: dict[str, bytes]) -> None:
        end = time.monotonic() + 0.5
        while time.monotonic() < end:
            try:
                artifact.write(tmp_path, files)
            except BadInput as error:
                assert "is in use by another run" in str(error)

    children = []
    for files in models[:2]:
        child = os.fork()
        if not child:
            code = 1
            try:
                hammer(files)
                code = 0
            finally:
                os._exit(code)
        children.append(child)
    with ThreadPoolExecutor() as threads:
        saves = [threads.submit(hammer, files) for files in models[2:]]
        while not all(save.done() for save in saves):
            assert artifact.read(tmp_path) in models
    for save in saves:
        save.result()
    assert [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children] == [0, 0]
    assert artifact.read(tmp_path) in models
    assert sorted(os.listdir(tmp_path)) == sorted(artifact.FILES)


# --------------------------------------------------------------------------------------------------------- formats


def test_a_kept_model_of_format_0_still_loads() -> None:
    """tests/artifacts/make_format0.py wrote it; the folder is never made again."""
    contents = artifact.unpack(artifact.read(Path(__file__).parent / "artifacts" / "format0"))
    assert contents.model == {"estimator": "TableClassifier", "classes": ["蘋果", "apple"]}
    assert torch.equal(contents.weights["body.weight"], torch.arange(12.0).reshape(3, 4) / 8)
    assert torch.equal(contents.weights["head.bias"], torch.tensor([0.5, -0.25]))
    assert torch.equal(contents.golden["output"], torch.tensor([[0.25, 0.75]]))
    assert contents.card == "# A model of format 0\n\nlabels: 蘋果, apple\n"
    assert contents.history == [{"epoch": 0, "loss": 1.5}, {"epoch": 1, "loss": 0.75}]
    assert len(contents.digest) == 64


def test_a_model_of_format_0_is_checked_like_any_other() -> None:
    files = artifact.read(Path(__file__).parent / "artifacts" / "format0")
    flipped = bytearray(files["weights.safetensors"])
    flipped[-1] ^= 1
    assert refusal(lambda: artifact.unpack(files | {"weights.safetensors": bytes(flipped)})) == (
        f"weights.safetensors is not as it was saved: its sha256 differs from the one in model.json. {AGAIN}"
    )


def test_an_old_model_saved_again_has_the_present_format(tmp_path: Path) -> None:
    old = artifact.unpack(artifact.read(Path(__file__).parent / "artifacts" / "format0"))
    artifact.write(tmp_path, artifact.pack(old.model, old.weights, old.golden, old.card, old.history))
    assert json.loads((tmp_path / "model.json").read_text())["format"] == artifact.FORMAT
    assert artifact.unpack(artifact.read(tmp_path)).model == old.model


def test_every_format_has_its_migration() -> None:
    assert len(artifact.MIGRATIONS) == artifact.FORMAT
    assert artifact.migrate({"format": artifact.FORMAT, "a": 1}) == {"format": artifact.FORMAT, "a": 1}
