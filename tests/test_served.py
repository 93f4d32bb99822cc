"""What an exported model decodes: the numbers of `codecs`, or a refusal."""

import functools
import io
import zlib

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from pix2pix_tf.images import codecs, served

RNG = np.random.default_rng(8)
PIXELS = RNG.integers(0, 256, (9, 7, 4), dtype=np.uint8)
REFUSAL = "not a JPEG or PNG file"


def encode(image, kind, **settings):
    buffer = io.BytesIO()
    image.save(buffer, kind, **settings)
    return buffer.getvalue()


def image_of(mode):
    return Image.fromarray(PIXELS[..., :3]).convert(mode)


@functools.cache
def in_graph(channels):
    decode = tf.function(lambda contents: served.decode(contents, channels))
    function = decode.get_concrete_function(tf.TensorSpec([], tf.string))
    assert function.output_shapes == (None, None, channels)
    return function


PALETTE = image_of("RGB").quantize(16)
SERVED = {
    "gray JPEG": encode(image_of("L"), "JPEG"),
    "JPEG": encode(image_of("RGB"), "JPEG"),
    "progressive JPEG": encode(image_of("RGB"), "JPEG", progressive=True),
    "CMYK JPEG": encode(image_of("CMYK"), "JPEG"),
    "bilevel PNG": encode(image_of("1"), "PNG"),
    "gray PNG": encode(image_of("L"), "PNG"),
    "gray and alpha PNG": encode(image_of("LA"), "PNG"),
    "RGB PNG": encode(image_of("RGB"), "PNG"),
    "RGBA PNG": encode(Image.fromarray(PIXELS), "PNG"),
    "palette PNG": encode(PALETTE, "PNG", bits=4),
    "palette PNG with alpha": encode(PALETTE, "PNG", transparency=3),
    "PNG with a key color": encode(image_of("RGB"), "PNG", transparency=(1, 2, 3)),
} | {
    f"PNG of 16 bits, {channels} channels": tf.io.encode_png(
        RNG.integers(0, 65536, (9, 7, channels), dtype=np.uint16)
    ).numpy()
    for channels in (1, 2, 3, 4)
}


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("name", SERVED)
def test_jpeg_and_png_have_the_numbers_of_test_mode(name, channels):
    expected = codecs.from_bytes(SERVED[name], channels)

    found = in_graph(channels)(tf.constant(SERVED[name]))

    np.testing.assert_allclose(found, expected, atol=1e-7)
    if channels == 3:
        eagerly = served.decode(tf.constant(SERVED[name]), 3)
        np.testing.assert_array_equal(eagerly, found)


def with_exif(kind, orientation, byteorder=b"II"):
    exif = Image.Exif()
    exif.endian = {b"II": "<", b"MM": ">"}[byteorder]
    for code, value in ((0x010F, "a camera"), (0x0132, "2024"), (0x0112, orientation)):
        exif[code] = value
    settings = {"comment": "about it"} if kind == "JPEG" else {}
    return encode(image_of("RGB"), kind, exif=exif, **settings)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("byteorder", [b"II", b"MM"])
@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_images_are_turned_upright(kind, byteorder, orientation):
    contents = with_exif(kind, orientation, byteorder)
    assert byteorder + (b"*\0" if byteorder == b"II" else b"\0*") in contents

    found = in_graph(3)(tf.constant(contents))

    np.testing.assert_allclose(found, codecs.from_bytes(contents), atol=1e-7)
    assert found.shape == ((9, 7, 3) if orientation < 5 else (7, 9, 3))


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_damaged_exif_is_left_out(kind):
    contents = with_exif(kind, 6)
    start = contents.index(b"II*\0")
    for place in range(start, start + 40):
        for value in (0, 9, 255):
            changed = bytearray(contents)
            changed[place] = value
            if kind == "PNG":
                at = start - 8
                size = int.from_bytes(changed[at : at + 4], "big")
                checksum = zlib.crc32(changed[at + 4 : start + size])
                changed[start + size : start + size + 4] = checksum.to_bytes(4, "big")
            found = in_graph(3)(tf.constant(bytes(changed)))
            assert found.shape in ((9, 7, 3), (7, 9, 3))


@pytest.mark.parametrize("kind", ["BMP", "GIF", "WEBP", "TIFF", "AVIF", "PPM"])
def test_other_formats_are_refused(kind):
    with pytest.raises(tf.errors.InvalidArgumentError, match=REFUSAL):
        served.decode(tf.constant(encode(image_of("RGB"), kind)), 3)


@pytest.mark.parametrize("contents", [b"", b"P", b"not an image", b"\x93NUMPY\x01\0"])
def test_what_is_no_image_is_refused(contents):
    with pytest.raises(tf.errors.InvalidArgumentError, match=REFUSAL):
        served.decode(tf.constant(contents), 3)


@pytest.mark.parametrize("name", ["JPEG", "RGB PNG"])
def test_files_that_are_cut_off_are_refused_by_their_index(name):
    for length in (9, 20, len(SERVED[name]) // 2):
        wanted = r"image_bytes\[7\] is cut off"
        with pytest.raises(tf.errors.InvalidArgumentError, match=wanted):
            served.decode(tf.constant(SERVED[name][:length]), 3, tf.constant(7))


@pytest.mark.parametrize("name", ["JPEG", "RGB PNG"])
def test_damaged_files_are_refused(name):
    contents = bytearray(SERVED[name])
    contents[20:40] = bytes(20)
    with pytest.raises(tf.errors.InvalidArgumentError):
        served.decode(tf.constant(bytes(contents)), 3)
