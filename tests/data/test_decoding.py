"""One picture to pixels: formats, modes, orientation, sizes, clips, and the reasons why not."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from decet.data.decoding import MOST_PIXELS, Header, Unreadable, Way, decode, evenly, header

COLOUR = Way(4, 6, 3)
GREY = Way(4, 6, 1)


def packed(image, form, **how):
    """The bytes of a file."""
    out = io.BytesIO()
    image.save(out, form, **how)
    return out.getvalue()


def plain(shape=(4, 6, 3), value=None):
    """A picture whose every pixel differs."""
    pixels = np.arange(np.prod(shape), dtype=np.uint8).reshape(shape) * 3
    return Image.fromarray(pixels if value is None else np.full(shape, value, dtype=np.uint8))


def reason(raw, way=COLOUR):
    with pytest.raises(Unreadable) as caught:
        decode(raw, way)
    return str(caught.value)


def png_of(width, height):
    """A PNG that says it is so large; of its pixels nothing is there."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


# ---------------------------------------------------------------------------------------------------------- formats


@pytest.mark.parametrize("form", ["PNG", "BMP", "TIFF", "PPM", "WEBP"])
def test_lossless_formats_keep_every_pixel(form):
    image = plain()
    how = {"lossless": True} if form == "WEBP" else {}
    assert np.array_equal(decode(packed(image, form, **how), COLOUR).pixels, np.asarray(image))


def test_jpeg_and_pgm_and_gif_are_read():
    assert abs(decode(packed(plain(value=77), "JPEG"), COLOUR).pixels.astype(int) - 77).max() <= 1
    grey = plain((4, 6))
    assert np.array_equal(decode(packed(grey, "PPM"), GREY).pixels[..., 0], np.asarray(grey))
    assert decode(packed(grey, "GIF"), GREY).pixels.shape == (4, 6, 1)


def test_colour_becomes_grey_by_its_lightness_and_grey_three_equal_channels():
    image = plain()
    lightness = np.asarray(image).astype(float) @ [0.299, 0.587, 0.114]
    assert decode(packed(image, "PNG"), GREY).pixels[..., 0] == pytest.approx(lightness, abs=1)
    pixels = decode(packed(plain((4, 6)), "PNG"), COLOUR).pixels
    assert (pixels == pixels[..., :1]).all()
    assert len(np.unique(pixels)) == 24


def test_sixteen_bits_are_scaled_not_cut():
    wide = np.array([[0, 257, 32_896, 65_535, 128, 129]] * 4, dtype=np.uint16)
    for form in ("PNG", "TIFF"):
        assert decode(packed(Image.fromarray(wide), form), GREY).pixels[0, :, 0].tolist() == [0, 1, 128, 255, 0, 1]
    pgm = b"P5 6 4 65535\n" + wide.astype(">u2").tobytes()
    assert decode(pgm, GREY).pixels[0, :, 0].tolist() == [0, 1, 128, 255, 0, 1]


def test_floats_in_a_file_are_read_by_their_range():
    for top in (1.0, 255.0):
        values = np.linspace(0, top, 24, dtype=np.float32).reshape(4, 6)
        assert decode(packed(Image.fromarray(values), "TIFF"), GREY).pixels[-1, -1, 0] == 255
    beyond = Image.fromarray(np.full((4, 6), -7.5, dtype=np.float32))
    assert reason(packed(beyond, "TIFF"), GREY) == ("values from -7.5 to -7.5, floats of 0 to 1 or 0 to 255 are read")
    deep = Image.fromarray(np.full((4, 6), 70_000, dtype=np.int32))
    assert reason(packed(deep, "TIFF"), GREY) == "values from 70,000 to 70,000, at most 16 bits are read"


def test_palettes_and_bits_and_inks_are_read():
    indexed = plain().quantize(256)
    assert indexed.mode == "P"
    assert decode(packed(indexed, "PNG"), COLOUR).pixels == pytest.approx(np.asarray(plain()), abs=8)
    bits = Image.fromarray(np.array([[0, 255] * 3] * 4, dtype=np.uint8)).convert("1")
    assert decode(packed(bits, "PNG"), GREY).pixels[0, :, 0].tolist() == [0, 255] * 3
    inks = Image.new("CMYK", (6, 4), (0, 255, 255, 0))
    red = decode(packed(inks, "JPEG", quality=95), COLOUR).pixels.reshape(-1, 3).mean(0)
    assert red[0] > 200
    assert red[1:].max() < 60


def test_what_is_transparent_lies_on_white():
    image = Image.new("RGBA", (6, 4), (200, 0, 0, 0))
    image.putpixel((0, 0), (200, 0, 0, 255))
    image.putpixel((1, 0), (200, 0, 0, 128))
    pixels = decode(packed(image, "PNG"), COLOUR).pixels
    assert pixels[0, 0].tolist() == [200, 0, 0]
    assert pixels[0, 1] == pytest.approx([227, 127, 127], abs=1)
    assert (pixels[1:] == 255).all()
    veiled = Image.new("LA", (6, 4), (10, 0))
    assert (decode(packed(veiled, "PNG"), GREY).pixels == 255).all()
    indexed = Image.new("P", (6, 4), 1)
    indexed.putpalette([1, 2, 3, 4, 5, 6])
    assert (decode(packed(indexed, "PNG", transparency=1), COLOUR).pixels == 255).all()


# ------------------------------------------------------------------------------------------------- turned and resized


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_orientation_is_really_turned(form):
    upright = np.zeros((32, 48, 3), dtype=np.uint8)
    upright[:16, :24], upright[:16, 24:], upright[16:, :24] = (250, 0, 0), (0, 250, 0), (0, 0, 250)
    image = Image.fromarray(upright)
    back = {  # how the sensor saw what is upright, by the EXIF value that says so
        1: image,
        2: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
        3: image.transpose(Image.Transpose.ROTATE_180),
        4: image.transpose(Image.Transpose.FLIP_TOP_BOTTOM),
        5: image.transpose(Image.Transpose.TRANSPOSE),
        6: image.transpose(Image.Transpose.ROTATE_90),
        7: image.transpose(Image.Transpose.TRANSVERSE),
        8: image.transpose(Image.Transpose.ROTATE_270),
    }
    for value, seen in back.items():
        exif = Image.Exif()
        exif[0x0112] = value
        raw = packed(seen, form, exif=exif)
        picture = decode(raw, Way(32, 48, 3))
        assert (picture.height, picture.width) == (32, 48)
        assert header(raw)[:2] == (32, 48)
        for y, x in ((8, 12), (8, 36), (24, 12), (24, 36)):
            assert picture.pixels[y, x] == pytest.approx(upright[y, x], abs=30), value


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
def test_a_broken_exif_says_nothing():
    raw = packed(plain(value=9), "JPEG", exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff\xff")
    assert decode(raw, COLOUR).pixels.shape == (4, 6, 3)


def test_crop_cuts_the_centre_stretch_keeps_all_pad_adds_black():
    wide = np.zeros((10, 30, 3), dtype=np.uint8)
    wide[:, :10], wide[:, 10:20], wide[:, 20:] = 50, 100, 200
    crop = decode(wide, Way(10, 10, 3)).pixels
    assert (crop == 100).all()
    stretch = decode(wide, Way(10, 10, 3, resize="stretch")).pixels
    assert stretch[5, [0, 5, 9], 0].tolist() == pytest.approx([50, 100, 200], abs=12)
    pad = decode(wide, Way(30, 30, 3, resize="pad")).pixels
    assert (pad[:10] == 0).all()
    assert (pad[20:] == 0).all()
    assert pad[15, [2, 15, 28], 0].tolist() == [50, 100, 200]


def test_a_large_jpeg_is_shrunk_to_what_it_shows():
    gradient = np.linspace(0, 255, 1_600).astype(np.uint8)
    image = Image.fromarray(np.broadcast_to(gradient, (1_200, 1_600)).copy())
    exact = image.resize((16, 12), Image.Resampling.BOX)
    small = decode(packed(image, "JPEG", quality=95), Way(12, 16, 1)).pixels[..., 0]
    assert small == pytest.approx(np.asarray(exact).astype(int), abs=4)
    picture = decode(packed(image, "JPEG"), Way(12, 16, 1))
    assert (picture.height, picture.width) == (1_200, 1_600)


def test_a_callers_own_image_stays_as_it_is():
    image = Image.open(io.BytesIO(packed(plain((400, 600, 3)), "JPEG")))
    decode(image, Way(8, 8, 3))
    assert image.size == (600, 400)


# -------------------------------------------------------------------------------------------------------------- clips


def moving(form, count=10):
    frames = [Image.new("RGB", (6, 4), (20 * i, 20 * i, 20 * i)) for i in range(count)]
    how = {"lossless": True} if form == "WEBP" else {}
    return packed(frames[0], form, save_all=True, append_images=frames[1:], duration=50, **how)


@pytest.mark.parametrize("form", ["GIF", "WEBP", "PNG"])
def test_a_clip_is_frames_spread_evenly(form):
    picture = decode(moving(form), Way(4, 6, 3, frames=5))
    assert picture.pixels.shape == (5, 4, 6, 3)
    assert picture.pixels[:, 0, 0, 0].tolist() == pytest.approx([20 * i for i in (1, 3, 5, 7, 9)], abs=4)
    first = decode(moving(form), COLOUR)
    assert first.animated
    assert (first.pixels == 0).all()


def test_a_still_picture_is_every_frame_of_its_clip():
    assert evenly(10, 5) == [1, 3, 5, 7, 9]
    assert evenly(2, 4) == [0, 0, 1, 1]
    still = decode(packed(plain(), "PNG"), Way(4, 6, 3, frames=3))
    assert (still.pixels == np.asarray(plain())).all()
    assert not still.animated
    apart = decode([packed(plain(value=i), "PNG") for i in (1, 2, 3, 4)], Way(4, 6, 3, frames=2))
    assert apart.pixels[:, 0, 0, 0].tolist() == [2, 4]


# ------------------------------------------------------------------------------------------------------- unreadable


@pytest.mark.parametrize("form", ["JPEG", "PNG", "GIF", "BMP", "PPM", "TIFF", "WEBP"])
def test_half_a_picture_is_none(form):
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8))
    raw = packed(noise, form)
    told = reason(raw[: len(raw) // 2], Way(64, 64, 3))
    assert told.startswith(("truncated", "damaged")), told
    assert form not in ("JPEG", "PNG", "BMP", "PPM") or told == "truncated"


def test_other_files_say_what_they_are():
    assert reason(b"this is no picture,\n but text") == "no picture: text"
    assert reason("图片".encode() * 200) == "no picture: text"
    assert reason(b"%PDF-1.4\n\xff\xfe\x00") == "no picture"
    assert reason(b"") == "empty file"
    assert reason(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n") == "no picture: text"


def test_the_size_is_looked_at_before_decoding():
    assert reason(png_of(20_000, 10_000)) == "200 megapixels, at most 89 are read"
    assert reason(png_of(9_000, 9_900)) == "89 megapixels, at most 89 are read"
    assert reason(png_of(100, 100)) != reason(png_of(20_000, 10_000))
    with pytest.raises(Unreadable, match="200 megapixels"):
        header(png_of(20_000, 10_000))
    assert MOST_PIXELS < Image.MAX_IMAGE_PIXELS


def test_headers_tell_size_and_colour():
    assert header(packed(plain(), "PNG")) == Header(4, 6, "RGB", True)
    assert header(packed(plain((4, 6)), "PNG")) == Header(4, 6, "L", False)
    assert not header(packed(plain((4, 6)), "GIF")).colour
    assert header(packed(plain(), "GIF")).colour
    assert header(moving("GIF")).animated
    assert header(np.zeros((5, 7, 4), dtype=np.uint8)) == Header(5, 7, "RGBA", True, array=True)
