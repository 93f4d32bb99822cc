"""A copy of a generator whose norms use stored statistics, for tiles of an image."""

import keras
import tensorflow as tf
from keras import layers

from pix2pix_tf.networks import parts


def with_stored_statistics(generator: keras.Model) -> keras.Model:
    """Returns a copy of a generator that normalises by the statistics that it stores.

    `store_statistics` stores them, so all tiles of an image are normalised alike.
    Instance norm becomes the same.
    """
    copy = keras.models.clone_model(generator, clone_function=_store)
    for layer, own in zip(copy.layers, generator.layers, strict=True):
        if type(own) in parts.NORMS.values():
            layer.gamma.assign(own.gamma)
            layer.beta.assign(own.beta)
        else:
            layer.set_weights(own.get_weights())
    return copy


def store_statistics(copy: keras.Model, inputs: tf.Tensor, weights: tf.Tensor) -> None:
    """Runs a batch that is normalised by the statistics of all of it, and stores them.

    Args:
        copy: keras.Model of `with_stored_statistics`.
        inputs: float32 [batch, height, width, channels], in [-1, 1].
        weights: float32 [batch, height, width, 1], how much each pixel counts.
    """
    norms = [layer for layer in copy.layers if isinstance(layer, _StoredNorm)]
    for layer in norms:
        layer.weights_of_pixels = weights
    copy(inputs, training=True)
    for layer in norms:
        layer.weights_of_pixels = None


class _StoredNorm(layers.BatchNormalization):
    """Batch norm by its moving statistics, which training replaces by the batch's."""

    weights_of_pixels = None

    def call(self, inputs, training=False):
        if training:
            size = inputs.shape[1:3]
            weights = tf.image.resize(self.weights_of_pixels, size, method="area")
            x = tf.cast(inputs, tf.float32)
            mean, variance = tf.nn.weighted_moments(x, [0, 1, 2], weights)
            self.moving_mean.assign(mean)
            self.moving_variance.assign(variance)
        return super().call(inputs, training=False)


def _store(layer):
    if type(layer) not in parts.NORMS.values():
        return type(layer).from_config(layer.get_config())
    epsilon = max(layer.epsilon, parts.MIN_EPSILON)
    return _StoredNorm(epsilon=epsilon, name=layer.name)
