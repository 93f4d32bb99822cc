"""Picture files of every format: what the numbers are, and what is refused."""

import io
import zlib

import numpy as np
import pytest
import tensorflow as tf
import tifffile
from PIL import Image

from pix2pix_tf.images import codecs

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


def write_tiff(folder, pixels, **settings):
    path = folder / "picture.tif"
    tifffile.imwrite(path, pixels, **settings)
    return path


@pytest.mark.parametrize(
    "kind, settings",
    [("PNG", {}), ("BMP", {}), ("WEBP", {"lossless": True}), ("TIFF", {})],
)
def test_lossless_formats_give_each_byte_over_255(kind, settings, tmp_path):
    path = write(tmp_path, encode(TALL, kind, **settings))

    np.testing.assert_array_equal(
        codecs.read(path), TALL.astype(np.float32) * np.float32(1 / 255)
    )
    assert codecs.probe(path) == (6, 4, 3)


def test_jpeg_is_what_tensorflow_decodes_as_in_the_original(tmp_path):
    contents = encode(np.repeat(np.repeat(TALL, 8, 0), 8, 1), "JPEG")

    expected = tf.image.convert_image_dtype(tf.io.decode_jpeg(contents), tf.float32)
    np.testing.assert_array_equal(codecs.read(write(tmp_path, contents)), expected)


def test_gif_gives_its_first_frame(tmp_path):
    flat = [np.full((6, 4, 3), value, np.uint8) for value in (255, 0)]
    contents = encode(
        flat[0], "GIF", save_all=True, append_images=[Image.fromarray(flat[1])]
    )

    assert codecs.read(write(tmp_path, contents)).min() == 1


def test_palette_becomes_rgb_also_with_transparency(tmp_path):
    palette = Image.fromarray(TALL).convert("P", palette=Image.Palette.ADAPTIVE)
    expected = np.asarray(palette.convert("RGB")) / 255

    for kind, settings in [("PNG", {}), ("PNG", {"transparency": 1}), ("BMP", {})]:
        buffer = io.BytesIO()
        palette.save(buffer, kind, **settings)
        found = codecs.read(write(tmp_path, buffer.getvalue()))
        np.testing.assert_allclose(found, expected, atol=1e-6)


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
    upright = {
        1: TALL,
        2: np.fliplr(TALL),
        3: np.rot90(TALL, 2),
        4: np.flipud(TALL),
        5: TALL.transpose(1, 0, 2),
        6: np.rot90(TALL, -1),
        7: np.rot90(TALL, 2).transpose(1, 0, 2),
        8: np.rot90(TALL, 1),
    }[orientation]

    np.testing.assert_allclose(codecs.read(path), upright / 255, atol=1e-6)
    assert codecs.probe(path) == upright.shape


def test_sixteen_bits_are_all_kept(tmp_path):
    gray = np.uint16([[0, 1, 256, 65535]])
    png = write(tmp_path, tf.io.encode_png(gray[..., np.newaxis]).numpy(), "a.png")
    color = np.stack([gray, gray[:, ::-1], gray], axis=-1)

    np.testing.assert_allclose(
        codecs.read(png, 1)[..., 0], gray / 65535, atol=1e-7, rtol=0
    )
    for planar in ("contig", "separate"):
        pixels = color if planar == "contig" else np.moveaxis(color, -1, 0)
        path = write_tiff(tmp_path, pixels, photometric="rgb", planarconfig=planar)
        np.testing.assert_allclose(codecs.read(path), color / 65535, atol=1e-7)
        assert codecs.probe(path) == (1, 4, 3)


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
        (np.array([{}]), "cannot be decoded"),  # a pickle: code, were it loaded
    ],
)
def test_npy_that_is_no_picture_is_refused(pixels, reason, tmp_path):
    path = tmp_path / "array.npy"
    np.save(path, pixels)

    with pytest.raises(codecs.ImageError, match=reason):
        codecs.read(path, 1)


def test_damaged_files_are_refused_with_the_reason(tmp_path):
    for kind in ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF"):
        whole = encode(np.repeat(np.repeat(TALL, 30, 0), 30, 1), kind)
        with pytest.raises(codecs.ImageError, match="cannot be decoded"):
            codecs.read(write(tmp_path, whole[: len(whole) // 2]))
    for contents, reason in [
        (b"", "is empty"),
        (b"no picture", "is no picture: wanted JPEG, PNG, BMP, GIF, WEBP, TIFF or NPY"),
        (b"II*\0\xff\0\0\0", "cannot be decoded"),
        (b"\x93NUMPY\x01\0", "cannot be decoded"),
    ]:
        path = write(tmp_path, contents)
        for function in (codecs.read, codecs.probe):
            with pytest.raises(codecs.ImageError, match=reason):
                function(path)


def test_more_pixels_than_anybody_has_are_refused_before_they_are_decoded(tmp_path):
    bomb = bytearray(encode(TALL, "PNG"))
    bomb[16:24] = (30000).to_bytes(4) * 2  # width and height
    bomb[29:33] = zlib.crc32(bomb[12:29]).to_bytes(4)

    with pytest.raises(codecs.ImageError, match="pixels"):
        codecs.read(write(tmp_path, bytes(bomb)))
