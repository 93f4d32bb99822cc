import numpy as np
import pytest
import tensorflow as tf

from pix2pix_tf.images import color, kinds
from pix2pix_tf.options import PairConfig
from tests.conftest import GOLDEN_DIR


@pytest.fixture(scope="module")
def recorded():
    return np.load(GOLDEN_DIR / "color_resize.npz")


# From IEC 61966-2-1; 0.04045 is the knee, so both sides of it are listed.
@pytest.mark.parametrize(
    "srgb, linear",
    [
        (0.0, 0.0),
        (0.04045, 0.0031308),
        (0.04046, 0.0031316),
        (0.5, 0.2140411),
        (1.0, 1.0),
    ],
)
def test_srgb_to_linear_matches_the_standard(srgb, linear):
    got = color.srgb_to_linear(tf.fill([1, 1, 3], srgb))
    np.testing.assert_allclose(got, np.full([1, 1, 3], linear), atol=1e-6)


# Published values of the sRGB primaries under D65 (CIE 15).
@pytest.mark.parametrize(
    "srgb, lab",
    [
        ([0, 0, 0], [0, 0, 0]),
        ([1, 1, 1], [100, 0, 0]),
        ([1, 0, 0], [53.24, 80.09, 67.20]),
        ([0, 1, 0], [87.73, -86.18, 83.18]),
        ([0, 0, 1], [32.30, 79.19, -107.86]),
    ],
)
def test_lab_of_the_primaries_matches_published_values(srgb, lab):
    got = color.rgb_to_lab(tf.constant(srgb, tf.float32))
    np.testing.assert_allclose(got, lab, atol=0.02)


def test_lab_equals_the_originals(recorded):
    got = color.rgb_to_lab(tf.constant(recorded["rgb"]))
    # L spans 100 and a, b 220: float32 resolves about 1e-5 there.
    np.testing.assert_allclose(got, recorded["lab_of_rgb"], atol=1e-4)
    got = color.lab_to_rgb(tf.constant(recorded["lab"]))
    np.testing.assert_allclose(got, recorded["rgb_of_lab"], atol=1e-5)


def test_lab_agrees_with_scikit_image(recorded):
    got = color.rgb_to_lab(tf.constant(recorded["rgb"]))
    # Its constants differ in the last digits.
    np.testing.assert_allclose(got, recorded["skimage_lab_of_rgb"], atol=5e-3)


def test_lab_round_trip_gives_the_colours_back():
    srgb = tf.constant(np.random.default_rng(0).random([8, 9, 3], np.float32))
    got = color.lab_to_rgb(color.rgb_to_lab(srgb))
    np.testing.assert_allclose(got, srgb, atol=1e-4)


def test_lab_outside_srgb_is_clipped():
    got = color.lab_to_rgb(tf.constant([[50.0, 110.0, -110.0], [99.0, -90.0, 0.0]]))
    assert np.min(got) == 0.0 and np.max(got) <= 1.0 and np.all(np.isfinite(got))


@pytest.mark.parametrize("level", [0.0, 0.002, 0.5, 1.0])
def test_gradients_are_finite_on_both_sides_of_the_knees(level):
    srgb = tf.fill([1, 3], level)
    with tf.GradientTape() as tape:
        tape.watch(srgb)
        lab = color.rgb_to_lab(srgb)
    assert np.all(np.isfinite(tape.gradient(lab, srgb)))


@pytest.fixture
def optimizer_on():
    """The graph optimizer, which the other tests run without."""
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": False})
    yield
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})


@pytest.mark.parametrize("which_direction", ["AtoB", "BtoA"])
def test_an_optimized_graph_gives_the_bits_of_eager_code(optimizer_on, which_direction):
    """An exported model must write the bytes that test mode writes."""
    kind = kinds.kind_of(PairConfig(True, which_direction), inputs_only=True)
    pixels = np.random.default_rng(1).integers(0, 256, [64, 80, 3]) / 255
    photograph = tf.constant(pixels, tf.float32)
    outputs = tf.random.stateless_uniform([1, 64, 80, 2], [1, 2], -1, 1)
    outputs = outputs if which_direction == "AtoB" else outputs[..., :1]

    def convert(photograph, outputs):
        [inputs] = kind.to_tensors(photograph)
        return inputs, kind.to_output_images(inputs[tf.newaxis], outputs)

    wanted = convert(photograph, outputs)
    for found, one in zip(
        tf.function(convert)(photograph, outputs), wanted, strict=True
    ):
        np.testing.assert_array_equal(found, one)
