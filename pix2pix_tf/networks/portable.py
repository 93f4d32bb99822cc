"""A copy of a generator that other runtimes can run: LiteRT, ONNX."""

import keras
import tensorflow as tf
from keras import layers

from pix2pix_tf.networks import fast, parts

# The fast forms have tensors of up to eight dimensions, which LiteRT does not.
_PLAIN = {
    fast.Conv2D: layers.Conv2D,
    fast.Conv2DTranspose: layers.Conv2DTranspose,
    fast.SeparableConv2D: layers.SeparableConv2D,
}


def make_portable(generator: keras.Model) -> keras.Model:
    """Returns a copy of a generator of plain layers.

    Each image of a batch is normalised by its own statistics, so that its output is the
    one that the generator gives for it alone. Sums are in another order.
    """
    copy = keras.models.clone_model(generator, clone_function=_make_plain)
    for layer, own in zip(copy.layers, generator.layers, strict=True):
        if type(own) is parts.BatchNorm:
            layer.set_weights([own.gamma, own.beta])
        else:
            layer.set_weights(own.get_weights())
    return copy


def _make_plain(layer):
    if type(layer) is parts.BatchNorm:
        return _ImageNorm(max(layer.epsilon, parts.MIN_EPSILON), name=layer.name)
    layer_class = _PLAIN.get(type(layer), type(layer))
    return layer_class.from_config(layer.get_config())


class _ImageNorm(layers.Layer):
    """Batch norm for batches of one image, applied to each image of a batch."""

    def __init__(self, epsilon, name):
        super().__init__(name=name)
        self.epsilon = epsilon

    def build(self, input_shape):
        self.gamma = self.add_weight(input_shape[-1:], "ones", name="gamma")
        self.beta = self.add_weight(input_shape[-1:], "zeros", name="beta")

    def call(self, inputs):
        mean, variance = tf.nn.moments(inputs, [1, 2], keepdims=True)
        return tf.nn.batch_normalization(
            inputs, mean, variance, self.beta, self.gamma, self.epsilon
        )
