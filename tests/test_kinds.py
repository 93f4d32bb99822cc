"""From images to inputs and targets, and back to RGB, for each kind of example."""

import functools

import numpy as np
import pytest
import tensorflow as tf

from pix2pix_tf.images import codecs, color, kinds
from pix2pix_tf.options import PairConfig

DIRECTIONS = ["AtoB", "BtoA"]
PAIRS, LAB = kinds.kind_of(PairConfig()), kinds.kind_of(PairConfig(True))


@pytest.fixture(scope="module")
def image():
    return tf.random.stateless_uniform([6, 8, 3], [3, 4])


def _images(kind, image):
    """The images of one example of a kind, cut from one image."""
    return [image] if len(kind.image_channels) == 1 else [image[:, :4], image[:, 4:]]


@pytest.mark.parametrize(
    "pair, inputs_only, image_channels",
    [
        (PairConfig(input_channels=1, target_channels=4), False, (1, 4)),
        (PairConfig(False, "BtoA", 1, 4), False, (4, 1)),
        (PairConfig(False, "BtoA", 1, 4), True, (1,)),
        (PairConfig(lab_colorization=True), False, (3,)),
        (PairConfig(True, "BtoA"), True, (3,)),
    ],
)
def test_each_kind_reads_its_images_and_gives_the_networks_channels(
    pair, inputs_only, image_channels
):
    kind = kinds.kind_of(pair, inputs_only)
    assert kind.image_channels == image_channels
    tensors = kind.to_tensors(*(tf.zeros([2, 2, count]) for count in image_channels))
    wanted = pair.channels[:1] if inputs_only else pair.channels
    assert tuple(tensor.shape[-1] for tensor in tensors) == wanted


def test_a_is_the_input_and_b_the_target(image):
    inputs, targets = PAIRS.to_tensors(*_images(PAIRS, image))
    np.testing.assert_allclose(inputs, image[:, :4] * 2 - 1, atol=1e-6)
    np.testing.assert_allclose(targets, image[:, 4:] * 2 - 1, atol=1e-6)


@pytest.mark.parametrize("lab", [False, True])
def test_btoa_swaps_inputs_and_targets(image, lab):
    forward, backward = (
        kinds.kind_of(PairConfig(lab, direction)) for direction in DIRECTIONS
    )
    inputs, targets = forward.to_tensors(*_images(forward, image))
    swapped = backward.to_tensors(*_images(backward, image))
    np.testing.assert_array_equal(swapped[0], targets)
    np.testing.assert_array_equal(swapped[1], inputs)


@pytest.mark.parametrize("lab", [False, True])
@pytest.mark.parametrize("direction", DIRECTIONS)
def test_inputs_alone_come_from_one_image(image, lab, direction):
    pair = PairConfig(lab, direction)
    [inputs] = kinds.kind_of(pair, inputs_only=True).to_tensors(image)
    wanted = kinds.kind_of(pair).to_tensors(image)[0] if lab else image * 2 - 1
    np.testing.assert_array_equal(inputs, wanted)


def test_lab_splits_into_scaled_lightness_and_colour(image):
    lightness, ab = LAB.to_tensors(image)
    lab = color.rgb_to_lab(image)
    np.testing.assert_allclose((lightness[..., 0] + 1) * 50, lab[..., 0], atol=1e-4)
    np.testing.assert_allclose(ab * 110, lab[..., 1:], atol=1e-4)


@pytest.mark.parametrize("lab", [False, True])
@pytest.mark.parametrize("direction", DIRECTIONS)
def test_perfect_outputs_come_back_as_the_image(image, lab, direction):
    kind = kinds.kind_of(PairConfig(lab, direction))
    images = _images(kind, image)
    inputs, targets = (tensor[tf.newaxis] for tensor in kind.to_tensors(*images))
    shown = kind.to_rgb(inputs, targets, targets)
    assert list(shown) == ["inputs", "outputs", "targets"]
    assert all(rgb.shape[-1] == 3 for rgb in shown.values())
    np.testing.assert_allclose(shown["outputs"], shown["targets"])
    alone = kind.to_rgb(inputs, targets)
    assert list(alone) == ["inputs", "outputs"]
    np.testing.assert_allclose(alone["outputs"], shown["outputs"], atol=1e-6)
    exported = kind.to_output_images(inputs, targets)
    np.testing.assert_allclose(exported, shown["outputs"], atol=1e-6)
    if lab:
        whole = shown["targets"] if direction == "AtoB" else shown["inputs"]
        np.testing.assert_allclose(whole[0], image, atol=1e-3)
    else:
        half = images[direction == "AtoB"]
        np.testing.assert_allclose(shown["targets"][0], half, atol=1e-6)


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_lightness_is_shown_as_the_gray_of_that_lightness(image, direction):
    kind = kinds.kind_of(PairConfig(True, direction))
    inputs, targets = (tensor[tf.newaxis] for tensor in kind.to_tensors(image))
    shown = kind.to_rgb(inputs, targets, targets)
    gray = shown["inputs"] if direction == "AtoB" else shown["targets"]
    lab = color.rgb_to_lab(gray[0])
    np.testing.assert_allclose(lab[..., 0], color.rgb_to_lab(image)[..., 0], atol=0.05)
    np.testing.assert_allclose(lab[..., 1:], 0, atol=0.05)


@pytest.mark.parametrize("channels, places", [(1, [0, 0, 0]), (5, [0, 1, 2])])
def test_other_channels_are_shown_as_rgb_and_all_come_out(channels, places):
    outputs = tf.random.stateless_uniform([1, 2, 2, channels], [1, 2], -1, 1)
    shown = PAIRS.to_rgb(outputs, outputs)["outputs"]
    expected = tf.gather((outputs + 1) / 2, places, axis=-1)
    np.testing.assert_allclose(shown, expected, atol=1e-6)
    assert PAIRS.to_output_images(outputs, outputs).shape == outputs.shape


def test_images_to_write_are_uint8_and_stretched(image):
    inputs, targets = (t[tf.newaxis] for t in PAIRS.to_tensors(*_images(PAIRS, image)))
    images = kinds.to_images(PAIRS, inputs, targets, targets, aspect_ratio=2.0)
    assert list(images) == ["inputs", "outputs", "targets"]
    for written in images.values():
        assert written.shape == (1, 6, 12, 3) and written.dtype == tf.uint8


def _part(name, height, width, channels=3):
    array = np.arange(height * width * channels, dtype=np.float32)
    pixels = array.reshape([height, width, channels]) / array.size
    return name, functools.partial(codecs.fit_channels, pixels)


def test_images_are_two_files_the_halves_of_one_or_one_as_it_is():
    a, b = _part("a.png", 4, 6), _part("b.png", 4, 6, channels=1)
    images = kinds.read_images([a, b], (1, 3))
    assert [image.shape for image in images] == [(4, 6, 1), (4, 6, 3)]
    whole = a[1](3)
    left, right = kinds.read_images([a], (3, 3))
    np.testing.assert_array_equal(np.concatenate([left, right], axis=1), whole)
    assert left.shape == (4, 3, 3)
    [image] = kinds.read_images([_part("a.png", 4, 5)], (3,))
    assert image.shape == (4, 5, 3)


@pytest.mark.parametrize(
    "parts, channels, words",
    [
        (
            [_part("a.png", 4, 6), _part("b.png", 4, 8)],
            (3, 3),
            "a.png and b.png are 6x4 and 8x4: wanted one size",
        ),
        ([_part("a.png", 4, 5)], (3, 3), r"a.png is 5 .* --lab_colorization"),
        (
            [_part("a.npy", 4, 6, 5)],
            (3, 3),
            "a.npy has 5 channels, wanted 3: give --input_channels",
        ),
        ([_part("a.npy", 4, 6, 5)], (3,), "a.npy has 5 channels, wanted 3$"),
    ],
)
def test_images_that_do_not_fit_are_named_with_the_flags(parts, channels, words):
    with pytest.raises(kinds.ExampleError, match=words):
        kinds.read_images(parts, channels)
