import numpy as np
import pytest
import tensorflow as tf

from pix2pix_tf.images import pixels
from tests.conftest import GOLDEN_DIR


@pytest.fixture(scope="module")
def recorded():
    return np.load(GOLDEN_DIR / "color_resize.npz")


def eagerly_and_in_a_dataset(function, *tensors):
    """Returns the result of both ways of running it: they may differ."""
    dataset = tf.data.Dataset.from_tensors(tensors).map(function)
    return [function(*tensors), next(iter(dataset))]


@pytest.mark.parametrize("size", [286, 256])
def test_area_resize_equals_the_originals(recorded, size):
    photo = pixels.to_float(tf.constant(recorded["photo"]))
    for got in eagerly_and_in_a_dataset(
        lambda x: pixels.resize_area(x, (size, size)), photo
    ):
        assert got.shape == (size, size, 3)
        np.testing.assert_allclose(got[::6, ::6], recorded[f"area_{size}"], atol=1e-6)


def test_stretch_equals_the_originals_bicubic(recorded):
    image = tf.constant(recorded["bicubic_in"])[tf.newaxis]
    got = pixels.to_uint8(pixels.stretch(image, 1.5))[0]
    np.testing.assert_array_equal(got, recorded["bicubic_64x96_uint8"])


def test_stretch_by_one_changes_nothing():
    image = tf.random.stateless_uniform([1, 8, 8, 3], [0, 0])
    assert pixels.stretch(image, 1.0) is image


def test_uint8_to_float_and_back_is_exact():
    levels = tf.range(256, dtype=tf.int32)
    levels = tf.cast(levels, tf.uint8)
    np.testing.assert_array_equal(pixels.to_uint8(pixels.to_float(levels)), levels)


def test_to_uint8_saturates():
    got = pixels.to_uint8(tf.constant([-0.1, 0.0, 1.0, 1.1]))
    np.testing.assert_array_equal(got, [0, 0, 255, 255])


def test_deprocess_undoes_preprocess():
    levels = tf.linspace(0.0, 1.0, 11)
    np.testing.assert_allclose(pixels.preprocess(levels)[::10], [-1, 1])
    got = pixels.deprocess(pixels.preprocess(levels))
    np.testing.assert_allclose(got, levels, atol=1e-6)


@pytest.mark.parametrize("dtype, largest", [(np.uint8, 255), (np.uint16, 65535)])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_png_keeps_every_pixel_of_8_and_of_16_bits(dtype, largest, channels):
    rng = np.random.default_rng(0)
    image = rng.integers(0, largest + 1, [5, 7, channels]).astype(dtype)

    contents = pixels.encode(image, "png")

    got = pixels.decode_png(contents, is_deep=dtype == np.uint16)
    np.testing.assert_array_equal(got, image)
    assert got.dtype == dtype
    if dtype == np.uint8:
        np.testing.assert_array_equal(pixels.decode(contents, channels), image)


def test_uint16_to_float_and_back_is_exact():
    levels = tf.cast(tf.range(65536), tf.uint16)
    np.testing.assert_array_equal(pixels.to_uint16(pixels.to_float(levels)), levels)


def test_jpeg_is_nearly_what_was_encoded():
    image = tf.image.resize(tf.random.stateless_uniform([3, 3, 3], [1, 2]), [32, 32])
    image = pixels.to_uint8(image)

    contents = pixels.encode(image, "jpeg")

    assert contents.numpy().startswith(b"\xff\xd8")
    jpeg = pixels.decode_jpeg(contents)
    assert np.mean(np.abs(np.int32(jpeg) - np.int32(image))) < 4


@pytest.mark.parametrize("size", [(1, 1), (5, 7), (6, 7), (12, 40)])
def test_reflection_pads_as_numpy_does_as_often_as_it_takes(size):
    image = np.random.default_rng(0).random((5, 7, 2), np.float32)[: size[0]]
    image = image[:, : size[1]]
    rows, columns = (new - old for new, old in zip(size, image.shape, strict=False))
    padded = pixels.pad_by_reflection(tf.constant(image), size)
    expected = np.pad(image, ((0, rows), (0, columns), (0, 0)), "reflect")
    np.testing.assert_array_equal(padded, expected)


def test_reflection_repeats_a_single_pixel():
    padded = pixels.pad_by_reflection(tf.ones([1, 1, 1]), (3, 2))
    np.testing.assert_array_equal(padded, np.ones((3, 2, 1)))
