"""Picture files of every format: what the numbers are, and what is refused."""

import io
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import tifffile
from PIL import Image

from pix2pix_tf.images import codecs
from tests.conftest import upright

TALL = np.random.default_rng(5).integers(0, 256, (6, 4, 3), dtype=np.uint8)


def encode(pixels, kind, mode=None, **settings):
    picture = Image.fromarray(pixels)
    buffer = io.BytesIO()
    (picture.convert(mode) if mode else picture).save(buffer, kind, **settings)
    return buffer.getvalue()


def write(folder, contents, name="picture.any"):
    path = folder / name
    path.write_bytes(contents)
    return path


def test_the_size_of_a_png_is_found_without_decoding_it(tmp_path, monkeypatch):
    path = write(tmp_path, encode(TALL, "PNG"))
    decoded = []
    monkeypatch.setattr(Image.Image, "load", lambda image: decoded.append(image))
    assert codecs.probe(path) == (6, 4, 3)
    assert not decoded


def npy(pixels):
    buffer = io.BytesIO()
    np.save(buffer, pixels)
    return buffer.getvalue()


def tiff(pixels):
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, pixels, photometric="rgb")
    return buffer.getvalue()


@pytest.mark.parametrize("kind", ["PNG", "BMP", "WEBP", "TIFF", "PPM"])
def test_lossless_formats_give_each_byte_over_255(kind, tmp_path):
    settings = {"lossless": True} if kind == "WEBP" else {}
    path = write(tmp_path, encode(TALL, kind, **settings))

    np.testing.assert_array_equal(
        codecs.read(path), TALL.astype(np.float32) * np.float32(1 / 255)
    )
    assert codecs.probe(path) == (6, 4, 3)


def draw_lines():
    """Returns black lines on white, the hardest thing for a JPEG."""
    lines = np.full((64, 64, 3), 255, np.uint8)
    lines[::7] = lines[:, ::5] = 0
    return lines


@pytest.mark.parametrize("quality", [75, 100])
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_jpeg_is_what_other_programs_decode(quality, mode, tmp_path):
    contents = encode(draw_lines(), "JPEG", mode, quality=quality)
    expected = np.asarray(Image.open(io.BytesIO(contents))).reshape(64, 64, -1) / 255

    found = codecs.read(write(tmp_path, contents), expected.shape[2])

    np.testing.assert_allclose(found, expected, atol=1.01 / 255)


def test_gif_gives_its_first_frame(tmp_path):
    flat = [np.full((6, 4, 3), value, np.uint8) for value in (255, 0)]
    contents = encode(
        flat[0], "GIF", save_all=True, append_images=[Image.fromarray(flat[1])]
    )

    assert codecs.read(write(tmp_path, contents)).min() == 1


@pytest.mark.parametrize("kind", ["PNG", "GIF", "BMP"])
@pytest.mark.parametrize("settings", [{}, {"transparency": 1}])
def test_palette_becomes_rgb_also_with_transparency(kind, settings, tmp_path):
    palette = Image.fromarray(TALL).convert("P", palette=Image.Palette.ADAPTIVE)
    path = tmp_path / "picture.any"
    palette.save(path, kind, **settings)

    np.testing.assert_allclose(
        codecs.read(path), np.asarray(palette.convert("RGB")) / 255, atol=1e-6
    )
    assert codecs.probe(path) == codecs.decode(path.read_bytes()).shape


def test_cmyk_jpeg_has_the_colours_of_its_rgb(tmp_path):
    flat = np.tile(np.uint8([200, 80, 40]), (16, 16, 1))

    found = codecs.read(write(tmp_path, encode(flat, "JPEG", "CMYK", quality=100)))

    np.testing.assert_allclose(found, flat / 255, atol=3 / 255)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_exif_orientation_turns_pictures_upright(orientation, kind, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = write(tmp_path, encode(TALL, kind, exif=exif))
    expected = upright(TALL, orientation)

    np.testing.assert_allclose(codecs.read(path), expected / 255, atol=1e-6)
    assert codecs.probe(path) == expected.shape


def test_sixteen_bits_of_a_png_are_all_kept(tmp_path):
    gray = np.uint16([[[0], [1], [256], [65535]]])
    path = write(tmp_path, tf.io.encode_png(gray).numpy())

    np.testing.assert_allclose(codecs.read(path, 1), gray / 65535, atol=1e-7, rtol=0)


def test_channels_are_fitted_as_the_docstring_says(tmp_path):
    gray = TALL[..., :1]
    rgba = np.concatenate([TALL, 255 - gray], axis=-1)
    paths = {
        1: write(tmp_path, encode(gray[..., 0], "PNG"), "1.png"),
        2: write(
            tmp_path, tf.io.encode_png(rgba[..., 2:]).numpy(), "gray-and-alpha.png"
        ),
        3: write(tmp_path, encode(TALL, "PNG"), "3.png"),
        4: write(tmp_path, encode(rgba, "PNG"), "4.png"),
    }
    opaque = np.full_like(gray, 255)
    luma = TALL @ np.array([0.299, 0.587, 0.114])
    expected = {
        (1, 3): np.repeat(gray, 3, -1),
        (1, 4): np.concatenate([np.repeat(gray, 3, -1), opaque], -1),
        (2, 1): rgba[..., 2:3],
        (2, 3): np.repeat(rgba[..., 2:3], 3, -1),
        (3, 1): luma[..., np.newaxis],
        (3, 4): np.concatenate([TALL, opaque], -1),
        (4, 3): TALL,
        (4, 4): rgba,
    }
    for (has, wanted), pixels in expected.items():
        found = codecs.read(paths[has], wanted)
        np.testing.assert_allclose(found, pixels / 255, atol=1e-6, err_msg=str(has))
    with pytest.raises(codecs.ImageError, match="has 3 channels, wanted 5"):
        codecs.read(paths[3], 5)


@pytest.mark.parametrize(
    "pixels, expected",
    [
        (np.uint8([[0, 51]]), [[[0], [0.2]]]),
        (np.uint16([[0, 13107]]), [[[0], [0.2]]]),
        (np.float64([[0, 0.2]]), [[[0], [0.2]]]),
        (np.array([[False, True]]), [[[0], [1]]]),
        (np.uint32([[[0, 2**32 - 1]]]), [[[0, 1]]]),
    ],
)
def test_npy_integers_are_scaled_and_floats_stay(pixels, expected, tmp_path):
    path = tmp_path / "array.npy"
    np.save(path, pixels)

    found = codecs.read(path, np.shape(expected)[2])

    np.testing.assert_allclose(found, expected, atol=1e-7)
    assert found.dtype == np.float32
    assert codecs.probe(path) == np.shape(expected)


@pytest.mark.parametrize(
    "pixels, reason",
    [
        (np.float32([[0, 1.5]]), r"floats from 0 to 1.5: wanted them in \[0, 1\]"),
        (np.float32([[0, np.nan]]), r"floats from nan"),
        (np.int16([[0, 1]]), "holds int16: wanted unsigned integers"),
        (np.zeros((2, 2, 2, 2)), r"has the shape \[2, 2, 2, 2\]"),
        (np.zeros((2, 2, 3)), "has 3 channels, wanted 1"),
    ],
)
def test_npy_that_is_no_picture_is_refused(pixels, reason, tmp_path):
    path = tmp_path / "array.npy"
    np.save(path, pixels)

    with pytest.raises(codecs.ImageError, match=reason):
        codecs.read(path, 1)


def test_damaged_files_are_refused_with_the_reason(tmp_path):
    for kind in ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF", "AVIF", "PPM"):
        whole = encode(np.repeat(np.repeat(TALL, 30, 0), 30, 1), kind)
        with pytest.raises(codecs.ImageError, match="decoded|damaged|has .* numbers"):
            codecs.read(write(tmp_path, whole[: len(whole) // 2]))
    for contents, reason in [
        (b"", "is empty"),
        (
            b"text",
            "is not an image, or is damaged: wanted JPEG, PNG, BMP, GIF, WEBP, A",
        ),
        (b"II*\0\xff\0\0\0", "cannot be decoded"),
        (b"\x93NUMPY\x01\0", "cannot be decoded"),
        (b"P5 3", "its Netpbm header is damaged"),
    ]:
        path = write(tmp_path, contents)
        for function in (codecs.read, codecs.probe):
            with pytest.raises(codecs.ImageError, match=reason):
                function(path)


@pytest.mark.parametrize(
    "raised, expected",
    [
        (ModuleNotFoundError("No module named 'x'"), codecs.ImageError),
        (RecursionError(), codecs.ImageError),
        (OSError("no errno: a decoder's"), codecs.ImageError),
        (OSError(5, "Input/output error"), OSError),
        (MemoryError(), MemoryError),
        (KeyboardInterrupt(), KeyboardInterrupt),
    ],
)
def test_whatever_a_decoder_raises_is_a_fault_of_the_file(
    raised, expected, tmp_path, monkeypatch
):
    def fail(*arguments, **keywords):
        raise raised

    path = write(tmp_path, encode(TALL, "PNG"))
    monkeypatch.setattr(Image, "open", fail)
    for function in (codecs.read, codecs.probe, codecs.count_pages):
        with pytest.raises(expected):
            function(path)


@pytest.mark.parametrize(
    "contents, expected",
    [
        (b"P1\n# a comment\n3 1\n0 1 0\n", [1, 0, 1]),
        (b"P1 3 1\n010", [1, 0, 1]),  # digits need no space
        (b"P4 3 1\n\x40", [1, 0, 1]),
        (b"P2 3 1 100\n0 50 # half\n100\n", [0, 0.5, 1]),
        (b"P5 3 1 255\n\x00\x33\xff", [0, 0.2, 1]),
        (b"P5 3 1 100\n\x00\x32\x64", [0, 0.5, 1]),
        (b"P5 3 1 4095\n\0\0\x03\x33\x0f\xff", [0, 819 / 4095, 1]),
        (b"P5 3 1 65535\n\0\0\x01\x00\xff\xff", [0, 256 / 65535, 1]),
        (b"P3 1 1 65535\n0 256 65535\n", [[0, 256 / 65535, 1]]),
        (b"P6 1 1 255\n\x00\x33\xff", [[0, 0.2, 1]]),
        (b"P6 1 1 65535\n\0\0\x01\x00\xff\xff", [[0, 256 / 65535, 1]]),
    ],
)
def test_netpbm_is_divided_by_the_maximum_that_it_names(contents, expected, tmp_path):
    path = write(tmp_path, contents)
    expected = np.reshape(expected, (1, len(expected), -1))

    found = codecs.read(path, expected.shape[2])

    np.testing.assert_allclose(found, expected, atol=1e-7)
    assert found.dtype == np.float32
    assert codecs.probe(path) == expected.shape


@pytest.mark.parametrize(
    "contents, reason",
    [
        (b"P5 3 1 255\n\0\0", "has 2 numbers, wanted 3"),
        (b"P2 3 1 255\n1 2", "has 2 numbers, wanted 3"),
        (b"P4 3 2\n\0", "has 3 numbers, wanted 6"),
        (b"P2 3 1 100\n1 2 101", "numbers from 1 to 101: wanted 0 to 100"),
        (b"P2 3 1 100\n1 -2 3", "numbers from -2 to 3: wanted 0 to 100"),
        (b"P2 3 1 100\n1 two 3", "cannot be decoded"),
        (b"P5 0 1 255\n", "has 0x1 pixels"),
        (b"P5 1 1 65536\n\0\0", "a maximum from 1 to 65535"),
        (
            b"P6 99999 99999 255\n",
            "wanted at most .* at once; cut it, or convert it to a tiled",
        ),
    ],
)
def test_netpbm_that_is_damaged_is_refused(contents, reason, tmp_path):
    with pytest.raises(codecs.ImageError, match=reason):
        codecs.read(write(tmp_path, contents))


def test_avif_is_read_and_turned_upright(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    smooth = np.tile(np.uint8(np.linspace(0, 255, 40))[:, None, None], (1, 60, 3))
    path = write(tmp_path, encode(smooth, "AVIF", quality=100, exif=exif))

    found = codecs.read(path)

    np.testing.assert_allclose(found, np.rot90(smooth, -1) / 255, atol=2.01 / 255)
    assert codecs.probe(path) == (60, 40, 3)


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "AVIF"])
def test_frames_are_counted(kind, tmp_path):
    frames = [Image.fromarray(np.full((16, 16, 3), value, "u1")) for value in (9, 99)]
    buffer = io.BytesIO()
    frames[0].save(buffer, kind, save_all=True, append_images=frames[1:])

    assert codecs.count_pages(write(tmp_path, buffer.getvalue())) == 2
    assert codecs.count_pages(write(tmp_path, encode(TALL, "JPEG"))) == 1
    assert codecs.count_pages(write(tmp_path, b"P1 1 1\n0")) == 1


def test_the_document_lists_every_suffix():
    document = Path(__file__).parents[1] / "docs/formats.md"
    text = document.read_text(encoding="utf-8")
    assert all(f"`{suffix}`" in text for suffix in codecs.SUFFIXES)


def test_what_is_read_and_what_is_not_have_different_suffixes():
    assert not set(codecs.SUFFIXES) & set(codecs.UNREAD_SUFFIXES)
    assert {".ppm", ".pgm", ".avif", ".jfif"} <= set(codecs.SUFFIXES)
    assert {".heic", ".jxl", ".jp2"} <= set(codecs.UNREAD_SUFFIXES)


NETPBM = b"P5 1 1 %d\n\0\0"


@pytest.mark.parametrize(
    "contents, is_deep",
    [
        (encode(TALL, "PNG"), False),
        (encode(np.uint16(TALL[..., 0]) * 257, "PNG"), True),
        (encode(TALL, "PNG", "P"), False),
        (encode(TALL, "JPEG", "CMYK"), False),
        (NETPBM % 255, False),
        (NETPBM % 256, True),
        (npy(TALL), False),
        (npy(TALL > 9), False),
        (npy(np.uint16(TALL)), True),
        (npy(np.float32(TALL) / 255), True),
        (tiff(TALL), False),
        (tiff(np.uint16(TALL)), True),
        (tiff(np.float32(TALL) / 255), True),
    ],
)
def test_what_has_more_than_8_bits(contents, is_deep):
    assert codecs.is_deep(io.BytesIO(contents)) == is_deep
