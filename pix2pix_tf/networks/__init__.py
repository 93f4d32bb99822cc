"""The networks: generators, discriminators, and the names of their variables.

In: builders of Keras functional models, their layers, and the names that the original
gives to their variables. Not in: losses, optimizers, checkpoints.
"""

import math

import tensorflow as tf

from pix2pix_tf.images import pixels
from pix2pix_tf.networks import fast, parts
from pix2pix_tf.networks.discriminators import (
    build_discriminator,
    describe_discriminator,
    with_features,
)
from pix2pix_tf.networks.generators import build_generator
from pix2pix_tf.options import MIN_SIDE


def key_dropout(generator, seed, position):
    """Makes the generator's next dropout masks depend on `seed` and `position` only.

    Args:
        generator: keras.Model.
        seed: int, in [0, 2**31).
        position: integer scalar tensor, such as the step.
    """
    dropouts = [layer for layer in generator.layers if isinstance(layer, parts.Dropout)]
    for number, layer in enumerate(dropouts):
        state = layer.seed_generator.state
        key = tf.random.fold_in([seed, number], tf.cast(position, tf.int32))
        state.assign(tf.cast(key, state.dtype))


def freeze(generator):
    """Makes the generator as it is now faster, for inference only.

    Args:
        generator: keras.Model, its weights set; they may be set and frozen anew.

    Returns:
        list of tf.Variable that its calls now read.
    """
    kinds = (fast.Conv2D, fast.Conv2DTranspose)
    layers = [layer for layer in generator.layers if isinstance(layer, kinds)]
    for layer in layers:
        layer.freeze()
    frozen = {id(layer.kernel): layer.frozen_kernel for layer in layers}
    read = [(frozen.get(id(v)), v.value) for v in generator.variables]
    return [value if kernel is None else kernel for kernel, value in read]


def variables_by_name(network):
    """Returns {the original's variable name: variable} of a network's weights.

    Such as `generator/encoder_2/conv2d/kernel` or
    `discriminator/layer_3/batch_normalization/gamma`.
    """
    return {
        f"{network.name}/{layer.name.removesuffix(f'_{parts.SCOPES[type(layer)]}')}"
        f"/{parts.SCOPES[type(layer)]}/{variable.name}": variable
        for layer in network.layers
        for variable in layer.weights
        if type(layer) in parts.SCOPES
    }


def trainable_by_name(network):
    """Returns {the original's name: variable}, in `trainable_variables`' order."""
    names = {id(v): name for name, v in variables_by_name(network).items()}
    return {names[id(v)]: v for v in network.trainable_variables}


def generate_at_own_size(generator, inputs, multiple):
    """Generates an image of any size: padded by reflection, and cropped again.

    Args:
        generator: keras.Model, built for any size.
        inputs: float32 [1, height, width, channels], in [-1, 1].
        multiple: int, as `ModelConfig.multiple`.

    Returns:
        float32 [1, height, width, output channels], in [-1, 1].
    """
    height, width = tf.unstack(tf.shape(inputs)[1:3])
    padded = [
        tf.maximum(-(-side // multiple) * multiple, MIN_SIDE)
        for side in (height, width)
    ]
    image = pixels.pad_by_reflection(inputs[0], padded)
    return generator(image[tf.newaxis])[:, :height, :width]


def count_parameters(*networks):
    """Returns how many trainable numbers the networks hold."""
    return sum(
        math.prod(variable.shape)
        for network in networks
        for variable in network.trainable_variables
    )
