import numpy as np
import tensorflow as tf

from pix2pix_tf import losses


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
