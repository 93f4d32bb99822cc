"""A copy of a generator whose norms use stored statistics, for tiles of an image."""

import keras
from keras import layers

from pix2pix_tf.networks import parts


def with_stored_statistics(generator: keras.Model) -> keras.Model:
    """Returns a copy of a generator that normalises by stored statistics.

    Called with `training=True`, it normalises a batch by the statistics of all of it,
    and stores them; later calls use these. So all tiles of an image are normalised
    alike. Instance norm becomes the same.
    """
    copy = keras.models.clone_model(generator, clone_function=_store)
    for layer, own in zip(copy.layers, generator.layers, strict=True):
        if type(own) in parts.NORMS.values():
            layer.gamma.assign(own.gamma)
            layer.beta.assign(own.beta)
        else:
            layer.set_weights(own.get_weights())
    return copy


def _store(layer):
    if type(layer) not in parts.NORMS.values():
        return type(layer).from_config(layer.get_config())
    epsilon = max(layer.epsilon, parts.MIN_EPSILON)
    return layers.BatchNormalization(momentum=0.0, epsilon=epsilon, name=layer.name)
