"""Pictures to tensors: the settings, what is found from the pictures, the codec, its state."""

from __future__ import annotations

import copy
import json

import numpy as np
import pytest
import torch
from PIL import Image

from decet.data.images import ImageCodec, Images
from decet.data.pictures import read_pictures
from decet.errors import BadInput

RNG = np.random.default_rng(0)
COLOURS = RNG.integers(0, 256, (60, 12, 10, 3), dtype=np.uint8)
GREYS = RNG.integers(0, 256, (60, 12, 10), dtype=np.uint8)


def read(X, y=None):
    return read_pictures(X, y)[0]


def fitted(X, rows=None, **settings):
    return Images(**settings).fit(read(X), rows)


def refused(call, *arguments):
    with pytest.raises(BadInput) as caught:
        call(*arguments)
    return str(caught.value)


def folder(path, pictures):
    """Files by name, each an array or a Pillow image."""
    for name, picture in pictures.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (picture if isinstance(picture, Image.Image) else Image.fromarray(picture)).save(path / name)
    return path


# --------------------------------------------------------------------------------------------------------- settings


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"size": 3}, "size must be a whole number between 4 and 4096. Received: 3."),
        ({"size": 10**9}, "size must be a whole number between 4 and 4096. Received: 1000000000."),
        ({"channels": 2}, "channels must be one of 1, 3. Received: 2."),
        ({"frames": 0}, "frames must be a whole number between 1 and 1024. Received: 0."),
        ({"resize": "scale"}, "resize must be one of 'crop', 'stretch', 'pad'. Received: 'scale'."),
    ],
)
def test_settings_that_cannot_be(wrong, sentence):
    assert sentence in refused(lambda: Images(**wrong))


def shape_of(*sizes, **settings):
    """Height and width found for pictures of these sizes."""
    spec = fitted([np.zeros(size, dtype=np.uint8) for size in sizes], **settings).spec
    return spec.height, spec.width


def test_the_size_is_the_pictures_own_or_a_usual_one_below_the_median():
    assert shape_of((28, 28), (28, 28)) == (28, 28)
    assert shape_of((96, 40), (96, 40)) == (96, 40)
    assert shape_of((97, 40), (97, 40)) == (32, 32)
    assert shape_of((200, 300), (200, 300)) == (128, 128)
    assert shape_of((70, 90), (64, 80), (500, 600)) == (64, 64)
    assert shape_of((100, 90), (96, 99), (97, 98)) == (96, 96)
    assert shape_of((20, 31), (30, 40), (24, 24)) == (24, 24)
    assert shape_of((28, 28), (28, 28), size=16) == (16, 16)


def test_colour_is_found_from_all_pictures(tmp_path):
    grey, colour = np.zeros((8, 8), dtype=np.uint8), np.full((8, 8, 3), [1, 2, 3], dtype=np.uint8)
    assert fitted([grey, grey]).spec.channels == 1
    assert fitted([grey, colour]).spec.channels == 3
    assert fitted([grey, colour], channels=1).spec.channels == 1
    assert fitted(folder(tmp_path / "a", {"1.png": grey, "2.gif": grey})).spec.channels == 1
    assert fitted(folder(tmp_path / "b", {"1.png": grey, "2.jpg": colour})).spec.channels == 3


# -------------------------------------------------------------------------------------------------------- statistics


def test_mean_and_spread_are_those_of_the_training_rows():
    rows = np.arange(0, 60, 2)
    codec = fitted(COLOURS, rows)
    values = COLOURS[rows].reshape(-1, 3).astype(np.float64)
    assert np.array(codec.spec.scale) == pytest.approx(np.stack([values.mean(0), values.std(0)], 1), rel=1e-9)
    flat = fitted(np.full((3, 8, 8), 7, dtype=np.uint8))
    assert flat.spec.scale == ((7.0, 1.0),)


def test_patches_are_the_covariance_of_scaled_patches():
    rows = np.arange(30)
    codec = fitted(COLOURS, rows)
    mean, spread = np.array(codec.spec.scale).T
    scaled = (COLOURS[rows] - mean) / spread
    flat = [
        scaled[n, y : y + 3, x : x + 3].transpose(2, 0, 1).ravel()
        for n in range(30)
        for y in range(10)
        for x in range(8)
    ]
    assert np.array(codec.spec.patches) == pytest.approx(np.cov(np.array(flat).T, bias=True), abs=1e-4)
    assert fitted(np.zeros((3, 2, 9), dtype=np.uint8)).spec.patches == ()


def test_the_same_pictures_give_the_same_statistics():
    assert fitted(COLOURS).spec == fitted(COLOURS.copy()).spec


# ------------------------------------------------------------------------------------------------------------ encode


def test_pixels_are_bytes_with_the_channels_last_in_memory_not_copied():
    codec = fitted(COLOURS)
    (pixels,) = codec.encode(read(COLOURS))
    assert pixels.dtype == torch.uint8
    assert pixels.shape == (60, 3, 12, 10)
    assert pixels.is_contiguous(memory_format=torch.channels_last)
    assert np.array_equal(pixels.numpy(), np.moveaxis(COLOURS, -1, 1))
    assert np.shares_memory(pixels.numpy(), COLOURS)
    (grey,) = fitted(GREYS).encode(read(GREYS))
    assert np.array_equal(grey.numpy()[:, 0], GREYS)
    assert grey.is_contiguous()
    (part,) = codec.encode(read(COLOURS).take([4, 2]))
    assert np.array_equal(part.numpy(), np.moveaxis(COLOURS[[4, 2]], -1, 1))


def test_clips_have_their_frames_after_the_channels():
    clips = RNG.integers(0, 256, (4, 6, 8, 9, 3), dtype=np.uint8)
    codec = fitted(clips, frames=3)
    (pixels,) = codec.encode(read(clips))
    assert codec.spec.frames == 3
    assert np.array_equal(pixels.numpy(), np.moveaxis(clips[:, 1::2], -1, 1))
    assert np.array(codec.spec.patches).shape == (27, 27)
    assert codec.encode(codec.sample(2, 0))[0].shape == (2, 3, 3, 8, 9)
    assert codec.remarks == []


def test_arrays_of_other_channels_are_refused_with_the_way_out():
    grey, colour = fitted(GREYS), fitted(COLOURS)
    assert refused(grey.encode, read(COLOURS)) == (
        "the pictures have 3 channels, training had 1 channel (grey). Convert them, e.g. X.mean(axis=-1), or train "
        "with inputs=Images(channels=1), which converts by itself."
    )
    assert refused(colour.encode, read(GREYS)) == (
        "the pictures have 1 channel (grey), training had 3 channels. Convert them, e.g. np.repeat(X, 3, axis=-1), or "
        "train with inputs=Images(channels=3), which converts by itself."
    )
    assert "Convert them, e.g. X[..., :3]" in refused(colour.encode, read(np.zeros((2, 12, 10, 4), dtype=np.uint8)))
    assert refused(lambda: list(grey.stream(read(COLOURS), 8))).startswith("the pictures have 3 channels")
    said = fitted(GREYS, channels=1)
    assert said.encode(read(COLOURS))[0].shape == (60, 1, 12, 10)
    mixed = fitted([GREYS[0], COLOURS[0]])
    assert mixed.encode(read(GREYS))[0].shape == (60, 3, 12, 10)


def test_files_of_other_colours_are_converted_and_this_is_said(tmp_path):
    greys = read(folder(tmp_path / "grey", {f"{i}.png": GREYS[i] for i in range(4)}))
    colours = read(folder(tmp_path / "colour", {f"{i}.png": COLOURS[i] for i in range(4)}))
    codec = Images().fit(greys)
    assert codec.encode(greys)[0].shape == (4, 1, 12, 10)
    assert codec.remarks == []
    assert codec.encode(colours)[0].shape == (4, 1, 12, 10)
    assert codec.remarks == ["pictures have colour, training had grey ones only; they are converted to grey."]
    codec = Images().fit(colours)
    assert codec.encode(greys)[0].shape == (4, 3, 12, 10)
    assert codec.remarks == ["pictures are grey, training had colour ones; they are given three equal channels."]
    codec.encode(colours)
    assert codec.remarks == []


def test_arrays_of_another_size_are_resized_and_this_is_said():
    codec = fitted(GREYS)
    assert codec.encode(read(np.zeros((2, 24, 20), dtype=np.uint8)))[0].shape == (2, 1, 12, 10)
    assert codec.remarks == ["pictures have 20 x 24 pixels, training had 10 x 12; they are brought to 10 x 12 (crop)."]
    large = np.zeros((2, 200, 200), dtype=np.uint8)
    codec = fitted(large)
    codec.encode(read(large))
    assert codec.remarks == []


def test_what_cannot_be_read_is_refused_in_encode_and_told_in_a_stream(tmp_path):
    path = folder(tmp_path, {f"{i}.png": GREYS[i] for i in range(4)})
    codec = Images().fit(read(path))
    (path / "2.png").write_text("no")
    assert refused(codec.encode, read(path)) == (
        "1 of 4 pictures could not be read: 2.png (no picture: text). Take them out, or mend them."
    )
    blocks = list(codec.stream(read(path), 3))
    assert [reasons for _, reasons in blocks] == [[None, None, "no picture: text"], [None]]
    assert (blocks[0][0][0][2] == 0).all()


@pytest.mark.parametrize("source", ["files", "arrays"])
def test_a_stream_equals_encode(tmp_path, source):
    X = folder(tmp_path, {f"{i:02}.png": COLOURS[i] for i in range(30)}) if source == "files" else COLOURS[:30]
    codec = fitted(X)
    blocks = [inputs[0] for inputs, _ in codec.stream(read(X), 8)]
    assert [len(block) for block in blocks] == [8, 8, 8, 6]
    assert torch.equal(torch.cat(blocks), codec.encode(read(X))[0])


def test_remarks_of_reading_are_told_with_a_stream_before_its_end(tmp_path):
    path = folder(tmp_path, {"1.png": GREYS[0]})
    (path / "note.txt").write_text("x")
    codec = fitted(GREYS)
    next(codec.stream(read(path), 8))
    assert codec.remarks == ["1 file that is no picture was left out: note.txt."]
    next(codec.stream(read(GREYS / 255), 8))
    assert codec.remarks == ["pixels that are floats were understood as 0 to 1."]


# ------------------------------------------------------------------------------------------------------ read and notes


def test_reading_settles_the_size_for_every_fit_after_it(tmp_path):
    pictures = {f"{i:02}.png": np.zeros((40, 40 + i), dtype=np.uint8) for i in range(40)}
    path = folder(tmp_path, {**pictures, "odd.png": np.zeros((20, 20), dtype=np.uint8)})
    (path / "00.png").write_text("no")
    images = Images()
    found, kept = images.read(read(path))
    assert len(found) == len(kept) == 40
    assert images.fit(found).spec.height == images.fit(found, np.array([39])).spec.height == 32


def test_notes_say_what_is_surely_wrong(tmp_path):
    pictures = {f"cat/{i}.png": GREYS[i] for i in range(5)} | {"owl/1.png": GREYS[9], "cat/9.png": GREYS[2]}
    pictures["cat/large.png"] = np.zeros((48, 64), dtype=np.uint8)
    path = folder(tmp_path, pictures)
    (path / "empty").mkdir()
    raw, y, _ = read_pictures(path)
    images = Images()
    found, _ = images.read(raw)
    codec = images.fit(found)
    expected = [
        "1 class folder holds no picture and was left out: 'empty'.",
        "1 of 8 pictures is a copy of an earlier one; decet keeps copies on one side of its splits, a test set of your "
        "own may not.",
        "class 'owl' has one picture: it cannot be validated, and hardly learned. Add pictures, or leave it out.",
        "pictures come in 2 sizes, from 10 x 12 to 64 x 48; they are brought to 10 x 10 (crop).",
    ]
    assert images.notes(found, y, codec) == expected
    assert images.notes(found, y.tolist(), codec, images.groups(found)) == expected
    assert images.notes(read(GREYS), [0, 1] * 30, fitted(GREYS)) == []
    several = images.notes(read(GREYS), ["a", "b", *["c"] * 58], fitted(GREYS))
    assert several == [
        "classes 'a', 'b' have one picture: each cannot be validated, and hardly learned. Add pictures, or "
        "leave it out."
    ]
    assert images.notes(read(GREYS), [{"a"}] * 60, fitted(GREYS)) == []


def test_groups_are_of_equal_pixels():
    assert Images().groups(read(np.concatenate([GREYS[:3], GREYS[1:2]]))).tolist() == [0, 1, 2, 1]


# ------------------------------------------------------------------------------------------------------ sample, state


def test_made_up_pictures_have_the_scale_and_nothing_of_the_users():
    codec = fitted(np.clip(RNG.normal(90, 20, (50, 32, 32)), 0, 255).astype(np.uint8))
    sample = codec.sample(40, 3)
    (pixels,) = codec.encode(sample)
    assert pixels.shape == (40, 1, 32, 32)
    assert float(pixels.float().mean()) == pytest.approx(90, abs=8)
    assert 8 < float(pixels.float().std()) < 25
    assert torch.equal(pixels, codec.encode(codec.sample(40, 3))[0])
    assert not torch.equal(pixels, codec.encode(codec.sample(40, 4))[0])
    smooth = pixels.float().diff(dim=-1).abs().mean() / pixels.float().std()
    assert float(smooth) < 0.5
    assert codec.remarks == []


def test_the_description_is_for_people():
    assert fitted(np.full((3, 8, 6), 7, dtype=np.uint8)).description() == [
        {"name": "pixels", "kind": "1 channel (grey), 6 x 8", "detail": "mean 7.0, spread 1.0 of 0 to 255; crop"}
    ]
    assert fitted(COLOURS).description()[0]["kind"] == "3 channels, 10 x 12"


@pytest.mark.parametrize("settings", [{}, {"size": 8, "resize": "pad"}, {"channels": 1}, {"frames": 2}])
def test_a_state_gives_the_same_codec(settings):
    X = RNG.integers(0, 256, (9, 4, 12, 10, 3), dtype=np.uint8) if "frames" in settings else COLOURS
    codec = fitted(X, **settings)
    state, arrays = codec.state()
    back = ImageCodec.restore(json.loads(json.dumps(state)), arrays)
    assert back.spec == codec.spec
    assert back.images == codec.images
    assert torch.equal(back.encode(read(X))[0], codec.encode(read(X))[0])
    assert back.remarks == codec.remarks == []
    again, same = back.state()
    assert again == state
    assert all(np.array_equal(arrays[name], same[name]) for name in arrays)


@pytest.mark.parametrize(
    ("part", "name", "value", "reason"),
    [
        ("spec", "height", 10**9, "height must be 1 to 4,096, and is 1000000000"),
        ("spec", "width", 0, "width must be 1 to 4,096, and is 0"),
        ("spec", "width", True, "width must be 1 to 4,096, and is True"),
        ("spec", "channels", 4, "channels must be 1 or 3, and is 4"),
        ("spec", "frames", 2_000, "frames must be 1 to 1,024, and is 2000"),
        ("images", "size", 10**9, "size must be a whole number between 4 and 4096"),
        ("images", "colour", 1, "unexpected keyword argument 'colour'"),
        ("seen", "arrays", [7], "what training saw is not in decet's list"),
        ("seen", "size", [1, 2, 3], "what training saw is not in decet's list"),
        ("seen", "colours", ["<b>"], "what training saw is not in decet's list"),
        ("arrays", "scale", np.array([[0.0, 0.0]] * 3), "spreads must be above 0"),
        ("arrays", "scale", np.array([[np.nan, 1.0]] * 3), "mean and spread must be one of each a channel, 0 to 255"),
        ("arrays", "scale", np.ones((2, 2)), "mean and spread must be one of each a channel, 0 to 255"),
        ("arrays", "patches", np.ones((9, 9)), "patches must be finite, of shape (27, 27)"),
        ("arrays", "patches", np.full((27, 27), np.inf), "patches must be finite, of shape (27, 27)"),
    ],
)
def test_a_state_that_no_training_gives_is_refused(part, name, value, reason):
    state, arrays = copy.deepcopy(fitted(COLOURS).state())
    (arrays if part == "arrays" else state[part])[name] = value
    told = refused(ImageCodec.restore, state, arrays)
    assert told.startswith("the stored form of the pictures does not fit together (")
    assert reason in told


def test_a_picture_too_large_as_a_whole_and_a_state_with_gaps_are_refused():
    state, arrays = fitted(COLOURS).state()
    state["spec"] |= {"height": 4_096, "width": 4_096, "frames": 1_000}
    assert "a picture of 4,096 x 4,096 and 1,000 frames is too large" in refused(ImageCodec.restore, state, arrays)
    for name in ("images", "spec", "seen", "warnings"):
        state, arrays = fitted(COLOURS).state()
        del state[name]
        assert f"({name!r})" in refused(ImageCodec.restore, state, arrays)
    state, arrays = fitted(COLOURS).state()
    assert "('patches')" in refused(ImageCodec.restore, state, {"scale": arrays["scale"]})
