import numpy as np
import pytest
import tensorflow as tf

from pix2pix_tf.images import color, kinds
from pix2pix_tf.options import PairConfig

DIRECTIONS = ["AtoB", "BtoA"]


@pytest.fixture(scope="module")
def image():
    return tf.random.stateless_uniform([6, 8, 3], [3, 4])


def _split(image, pair):
    """Inputs and targets of a picture, as its own kind of example."""
    if pair.lab_colorization:
        return kinds.from_photograph(image, pair)
    return kinds.from_sides(image[:, :4], image[:, 4:], pair)


def test_a_is_the_input_and_b_the_target(image):
    inputs, targets = _split(image, PairConfig())
    np.testing.assert_allclose(inputs, image[:, :4] * 2 - 1, atol=1e-6)
    np.testing.assert_allclose(targets, image[:, 4:] * 2 - 1, atol=1e-6)


@pytest.mark.parametrize("lab", [False, True])
def test_btoa_swaps_the_sides(image, lab):
    inputs, targets = _split(image, PairConfig(lab, "AtoB"))
    swapped = _split(image, PairConfig(lab, "BtoA"))
    np.testing.assert_array_equal(swapped[0], targets)
    np.testing.assert_array_equal(swapped[1], inputs)


def test_lab_splits_into_scaled_lightness_and_colour(image):
    lightness, ab = _split(image, PairConfig(lab_colorization=True))
    lab = color.rgb_to_lab(image)
    np.testing.assert_allclose((lightness[..., 0] + 1) * 50, lab[..., 0], atol=1e-4)
    np.testing.assert_allclose(ab * 110, lab[..., 1:], atol=1e-4)


@pytest.mark.parametrize("lab", [False, True])
@pytest.mark.parametrize("direction", DIRECTIONS)
def test_perfect_outputs_come_back_as_the_picture(image, lab, direction):
    pair = PairConfig(lab, direction)
    inputs, targets = (side[tf.newaxis] for side in _split(image, pair))
    shown = kinds.to_rgb(inputs, targets, targets, pair)
    assert all(picture.shape[-1] == 3 for picture in shown.values())
    np.testing.assert_allclose(shown["outputs"], shown["targets"])
    alone = kinds.to_rgb(inputs, targets, None, pair)
    assert list(alone) == ["inputs", "outputs"]
    np.testing.assert_allclose(alone["outputs"], shown["outputs"], atol=1e-6)
    if lab:
        whole = shown["targets"] if direction == "AtoB" else shown["inputs"]
        np.testing.assert_allclose(whole[0], image, atol=1e-3)
    else:
        half = image[:, 4:] if direction == "AtoB" else image[:, :4]
        np.testing.assert_allclose(shown["targets"][0], half, atol=1e-6)


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_lightness_is_shown_as_the_gray_of_that_lightness(image, direction):
    pair = PairConfig(True, direction)
    inputs, targets = (side[tf.newaxis] for side in _split(image, pair))
    shown = kinds.to_rgb(inputs, targets, targets, pair)
    gray = shown["inputs"] if direction == "AtoB" else shown["targets"]
    lab = color.rgb_to_lab(gray[0])
    np.testing.assert_allclose(lab[..., 0], color.rgb_to_lab(image)[..., 0], atol=0.05)
    np.testing.assert_allclose(lab[..., 1:], 0, atol=0.05)


@pytest.mark.parametrize("lab", [False, True])
@pytest.mark.parametrize("direction", DIRECTIONS)
def test_inputs_need_no_target(image, lab, direction):
    pair = PairConfig(lab, direction)
    got = kinds.from_input(image, pair)
    if lab:
        np.testing.assert_array_equal(got, _split(image, pair)[0])
    else:
        np.testing.assert_allclose(got, image * 2 - 1)


def test_pictures_are_uint8_and_stretched(image):
    sides = [side[tf.newaxis] for side in _split(image, PairConfig())]
    pictures = kinds.to_pictures(sides[0], sides[1], sides[1], PairConfig(), 2.0)
    assert list(pictures) == ["inputs", "outputs", "targets"]
    for picture in pictures.values():
        assert picture.shape == (1, 6, 12, 3) and picture.dtype == tf.uint8


@pytest.mark.parametrize("channels, places", [(1, [0, 0, 0]), (5, [0, 1, 2])])
def test_other_channels_are_shown_as_rgb(channels, places):
    pair = PairConfig(input_channels=channels, target_channels=channels)
    picture = tf.random.stateless_uniform([1, 2, 2, channels], [1, 2], -1, 1)
    shown = kinds.to_rgb(picture, picture, None, pair)["outputs"]
    expected = tf.gather((picture + 1) / 2, places, axis=-1)
    np.testing.assert_allclose(shown, expected, atol=1e-6)
