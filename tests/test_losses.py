import keras
import numpy as np
import pytest
import tensorflow as tf

from pix2pix_tf.checkpoints import EMA_NAMES
from pix2pix_tf.options import LossConfig
from pix2pix_tf.training import losses


def _random(seed):
    return np.random.default_rng(seed).random([2, 3, 3, 1], np.float32)


ZERO, ONE = tf.zeros([1, 2, 2, 1]), tf.ones([1, 2, 2, 1])


@pytest.mark.parametrize("mode", ["vanilla", "lsgan", "hinge", "wgangp"])
def test_adversarial_losses_equal_their_formulas_in_numpy(mode):
    real, fake = _random(0), _random(1)
    if mode != "vanilla":  # without a sigmoid they lie on both sides of 0
        real, fake = 4 * real - 2, 4 * fake - 2
    with np.errstate(invalid="ignore"):
        for_discriminator = {
            "vanilla": -np.log(real) - np.log(1 - fake),
            "lsgan": (real - 1) ** 2 + fake**2,
            "hinge": np.maximum(0, 1 - real) + np.maximum(0, 1 + fake),
            "wgangp": fake - real,
        }
        for_generator = {"vanilla": -np.log(fake), "lsgan": (fake - 1) ** 2}
    got = losses.discriminator_loss(tf.constant(real), tf.constant(fake), mode)
    np.testing.assert_allclose(got, for_discriminator[mode].mean(), rtol=1e-5)
    wanted = for_generator.get(mode, -fake).mean()
    np.testing.assert_allclose(losses.gan_loss(fake, mode), wanted, rtol=1e-5)


def test_losses_of_images_and_features_equal_their_formulas_in_numpy():
    first, second = _random(4), _random(5)
    difference = first - second
    variation = sum(np.mean(np.abs(np.diff(first, axis=axis))) for axis in (1, 2))
    l1 = np.mean(np.abs(difference))
    got = losses.l1_loss(first, second), losses.l2_loss(first, second)
    np.testing.assert_allclose(got, [l1, np.mean(difference**2)], rtol=1e-5)
    feature = losses.feature_loss([first, second], [second, second])
    got = losses.total_variation_loss(first), feature
    np.testing.assert_allclose(got, [variation, l1 / 2], rtol=1e-5)


def test_label_smoothing_moves_the_best_prediction_for_real_pairs():
    levels = tf.reshape(tf.linspace(0.01, 0.99, 99), [99, 1, 1, 1])
    fake = tf.zeros([1, 1, 1, 1])
    for mode in ("vanilla", "lsgan"):
        found = [
            float(losses.discriminator_loss(level[None], fake, mode, 0.1))
            for level in levels
        ]
        np.testing.assert_allclose(levels[np.argmin(found)], [[[0.9]]], atol=1e-5)


def test_the_gradient_penalty_is_zero_at_slope_one():
    images = tf.random.stateless_uniform([2, 4, 4, 3], [1, 2])
    draw = tf.fill([2, 1, 1, 1], 0.3)
    for slope, penalty in ((1.0, 0.0), (3.0, 4.0)):

        def judge(mix, slope=slope):  # its gradient has norm `slope`: 48 equal entries
            return slope * tf.reduce_sum(mix, axis=[1, 2, 3]) / np.sqrt(48)

        got = losses.gradient_penalty(judge, images, images + 1, draw)
        np.testing.assert_allclose(got, penalty, atol=1e-5)


# Keras reads H5 weights in a way that NumPy 2 warns of.
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_the_perceptual_loss_reads_weights_from_a_path(tmp_path):
    vgg = keras.applications.VGG19(include_top=False, weights=None)
    vgg.save_weights(tmp_path / "vgg.weights.h5")
    perceptual_loss = losses.make_perceptual_loss(str(tmp_path / "vgg.weights.h5"))
    images = tf.random.stateless_uniform([2, 1, 32, 32, 3], [1, 2], -1, 1)
    assert float(perceptual_loss(images[0], images[0])) == 0
    with tf.GradientTape() as tape:
        tape.watch(images)
        distance = perceptual_loss(images[0], images[1])
    assert float(distance) > 0
    gradient = tape.gradient(distance, images)
    assert np.abs(gradient[1]).max() > 0
    assert np.abs(gradient[0]).max() == 0  # targets are held fixed


def test_a_discriminator_that_is_sure_gives_finite_losses_and_gradients():
    """Also where the graph is optimised, as in every run: there EPS could get lost."""
    np.testing.assert_allclose(losses.gan_loss(ZERO), -np.log(1e-12), rtol=1e-5)
    assert abs(float(losses.discriminator_loss(ONE, ZERO))) < 1e-6

    @tf.function
    def gradients(logits):
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(logits)
            p = tf.sigmoid(logits)
            terms = [
                losses.discriminator_loss(p, p, smoothing=0.1),
                losses.discriminator_loss(p, p),
                losses.gan_loss(p),
            ]
        return terms, [tape.gradient(term, logits) for term in terms]

    logits = tf.constant([-200.0, -20, 0, 20, 200])
    try:
        tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": False})
        terms, found = gradients(logits)
    finally:
        tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
    assert np.isfinite(terms).all() and np.isfinite(found).all()
    p = tf.cast(tf.sigmoid(logits), tf.float64)
    expected = tf.reduce_mean(-(tf.math.log(p + 1e-12) + tf.math.log(1 - p + 1e-12)))
    np.testing.assert_allclose(terms[1], expected, rtol=1e-5)


def test_a_term_is_one_row_and_one_flag():
    defaults = {
        name: value for name, value in vars(LossConfig()).items() if "_weight" in name
    }
    del defaults["vgg_weights"]
    assert sorted(term.weight for term in losses.TERMS) == sorted(defaults)
    for number, term in enumerate(losses.TERMS, start=2):
        loss = LossConfig(**{term.weight: float(number)})
        values = dict.fromkeys(losses.loss_names(loss), 10.0)
        assert term.name in values
        wanted = 10 * sum((defaults | {term.weight: number}).values())
        assert losses.weighted_sum(values, loss) == wanted


def test_the_losses_of_a_run_are_the_originals_first_then_those_with_a_weight():
    assert losses.loss_names(LossConfig()) == list(EMA_NAMES)
    alone = LossConfig(gan_weight=0.0, l1_weight=0.0, l2_weight=1.0)
    # L1 is measured without a weight, too.
    assert losses.loss_names(alone) == ["generator_loss_L1", "generator_loss_L2"]
