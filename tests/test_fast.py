"""The products of small convolutions equal the library's convolutions."""

import numpy as np
import pytest
import tensorflow as tf

from pix2pix_tf.networks import fast


def _with_gradients(function, x, kernel):
    with tf.GradientTape() as tape:
        tape.watch([x, kernel])
        y = function(x, kernel)
        total = tf.reduce_sum(
            y * tf.cos(tf.cast(tf.range(tf.size(y)), y.dtype)).numpy().reshape(y.shape)
        )
    return y, *tape.gradient(total, [x, kernel])


@pytest.mark.parametrize("height, width", [(1, 1), (2, 2), (1, 3), (4, 2), (8, 8)])
@pytest.mark.parametrize("batch", [1, 3])
def test_products_equal_convolutions_and_their_gradients(height, width, batch):
    rng = np.random.default_rng(height + 10 * width)
    small = tf.constant(rng.normal(size=[batch, height, width, 5]), tf.float64)
    large = tf.constant(rng.normal(size=[batch, 2 * height, 2 * width, 5]), tf.float64)
    kernel = tf.constant(rng.normal(size=[4, 4, 5, 7]), tf.float64)
    back = tf.constant(rng.normal(size=[4, 4, 7, 5]), tf.float64)

    def library_deconv(x, kernel):
        size = [batch, 2 * height, 2 * width, 7]
        return tf.nn.conv2d_transpose(x, kernel, size, 2, "SAME")

    pairs = [
        (fast.conv, lambda x, k: tf.nn.conv2d(x, k, 2, "SAME"), large, kernel),
        (fast.deconv, library_deconv, small, back),
    ]
    for ours, theirs, x, weights in pairs:
        results = _with_gradients(ours, x, weights), _with_gradients(theirs, x, weights)
        for got, expected in zip(*results, strict=True):
            np.testing.assert_allclose(got, expected, atol=1e-12)


def test_layers_of_any_size_give_the_same_and_keep_keras_variables():
    for layer in (
        fast.Conv2D(3, 4, strides=2, padding="same"),
        fast.Conv2DTranspose(3, 4, strides=2, padding="same"),
    ):
        layer.build([None, None, None, 5])
        layer.bias.assign([1.0, 2.0, 3.0])
        plain = type(layer).__mro__[1].from_config(layer.get_config())
        plain.build([None, None, None, 5])
        plain.set_weights(layer.get_weights())
        for side in (2, 4, 8, 16, 32):
            x = tf.random.stateless_normal([2, side, side, 5], [side, 1])
            np.testing.assert_allclose(layer(x), plain(x), atol=1e-6)
