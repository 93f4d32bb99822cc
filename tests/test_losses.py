import numpy as np
import pytest
import tensorflow as tf

from pix2pix_tf.training import losses


def _random(seed):
    return np.random.default_rng(seed).random([2, 3, 3, 1], np.float32)


def test_losses_equal_their_formulas_in_numpy():
    real, fake = _random(0), _random(1)
    got = losses.discriminator_loss(tf.constant(real), tf.constant(fake))
    np.testing.assert_allclose(got, -np.mean(np.log(real) + np.log(1 - fake)), 1e-5)
    np.testing.assert_allclose(losses.gan_loss(fake), -np.mean(np.log(fake)), 1e-5)
    np.testing.assert_allclose(
        losses.l1_loss(real, fake), np.mean(abs(real - fake)), 1e-5
    )


def test_saturated_predictions_give_finite_losses():
    zero, one = tf.zeros([1, 2, 2, 1]), tf.ones([1, 2, 2, 1])
    # -log(1e-12), twice
    got = losses.discriminator_loss(zero, one)
    np.testing.assert_allclose(got, 2 * 27.631021, rtol=1e-5)
    np.testing.assert_allclose(losses.gan_loss(zero), 27.631021, rtol=1e-5)


def test_a_perfect_discriminator_loses_nothing():
    zero, one = tf.zeros([1, 2, 2, 1]), tf.ones([1, 2, 2, 1])
    assert abs(float(losses.discriminator_loss(one, zero))) < 1e-6


def test_least_squares_hinge_and_wasserstein_equal_their_formulas():
    real, fake = 4 * _random(2) - 2, 4 * _random(3) - 2
    expected = {
        "lsgan": (np.mean((real - 1) ** 2 + fake**2), np.mean((fake - 1) ** 2)),
        "hinge": (
            np.mean(np.maximum(0, 1 - real) + np.maximum(0, 1 + fake)),
            -np.mean(fake),
        ),
        "wgangp": (np.mean(fake - real), -np.mean(fake)),
    }
    for mode, (for_discriminator, for_generator) in expected.items():
        got = losses.discriminator_loss(tf.constant(real), tf.constant(fake), mode)
        np.testing.assert_allclose(got, for_discriminator, rtol=1e-5)
        np.testing.assert_allclose(
            losses.gan_loss(fake, mode), for_generator, rtol=1e-5
        )


def test_label_smoothing_moves_the_best_prediction_for_real_pairs():
    levels = tf.reshape(tf.linspace(0.01, 0.99, 99), [99, 1, 1, 1])
    fake = tf.zeros([1, 1, 1, 1])
    best = min(
        levels,
        key=lambda x: float(losses.discriminator_loss(x[None], fake, "vanilla", 0.1)),
    )
    np.testing.assert_allclose(best, [[[0.9]]], atol=1e-5)
    one, low = tf.ones([1, 1, 1, 1]), tf.fill([1, 1, 1, 1], 0.9)
    assert float(losses.discriminator_loss(low, fake, "lsgan", 0.1)) < 1e-6
    assert float(losses.discriminator_loss(one, fake, "lsgan", 0.1)) > 1e-3


def test_the_gradient_penalty_is_zero_at_slope_one():
    images = tf.random.stateless_uniform([2, 4, 4, 3], [1, 2])
    draw = tf.fill([2, 1, 1, 1], 0.3)
    for slope, penalty in ((1.0, 0.0), (3.0, 4.0)):

        def judge(mix, slope=slope):  # its gradient has norm `slope`: 48 equal entries
            return slope * tf.reduce_sum(mix, axis=[1, 2, 3]) / np.sqrt(48)

        got = losses.gradient_penalty(judge, images, images + 1, draw)
        np.testing.assert_allclose(got, penalty, atol=1e-5)


def test_l2_total_variation_and_feature_losses_equal_numpy():
    first, second = _random(4), _random(5)
    np.testing.assert_allclose(
        losses.l2_loss(first, second), np.mean((first - second) ** 2), rtol=1e-5
    )
    variation = np.mean(np.abs(np.diff(first, axis=1)))
    variation += np.mean(np.abs(np.diff(first, axis=2)))
    np.testing.assert_allclose(losses.total_variation_loss(first), variation, 1e-5)
    got = losses.feature_loss([first, second], [second, second])
    np.testing.assert_allclose(got, np.mean(np.abs(first - second)) / 2, rtol=1e-5)


# Keras reads H5 weights in a way that NumPy 2 warns of.
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_the_perceptual_loss_reads_weights_from_a_path(tmp_path):
    import keras

    vgg = keras.applications.VGG19(include_top=False, weights=None)
    vgg.save_weights(tmp_path / "vgg.weights.h5")
    perceptual_loss = losses.make_perceptual_loss(str(tmp_path / "vgg.weights.h5"))
    images = tf.random.stateless_uniform([2, 1, 64, 64, 3], [1, 2], -1, 1)
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
    logits = tf.constant([-200.0, -20, 0, 20, 200])

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

    try:
        tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": False})
        terms, found = gradients(logits)
    finally:
        tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
    assert np.isfinite(terms).all() and np.isfinite(found).all()
    p = tf.cast(tf.sigmoid(logits), tf.float64)
    expected = tf.reduce_mean(-(tf.math.log(p + 1e-12) + tf.math.log(1 - p + 1e-12)))
    np.testing.assert_allclose(terms[1], expected, rtol=1e-5)
