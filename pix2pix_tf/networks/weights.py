"""What a network holds: its variables by name, their count, and what changes them."""

import math

import tensorflow as tf

from pix2pix_tf.networks import fast, parts


def variables_by_name(network):
    """Returns {the original's variable name: variable} of a network's weights.

    Such a name is `generator/encoder_2/conv2d/kernel` or
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
    """Returns {the original's name: variable}, ordered as `trainable_variables`."""
    names = {id(v): name for name, v in variables_by_name(network).items()}
    return {names[id(v)]: v for v in network.trainable_variables}


def count_parameters(*networks):
    """Returns the number of trainable parameters of all the networks."""
    return sum(
        math.prod(variable.shape)
        for network in networks
        for variable in network.trainable_variables
    )


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
    """Lays the generator's kernels out for inference, which makes its calls faster.

    Later changes to the weights are ignored until the next call of `freeze`.

    Args:
        generator: keras.Model, its weights set.

    Returns:
        list of tf.Variable that its calls read from now on.
    """
    kinds = (fast.Conv2D, fast.Conv2DTranspose)
    layers = [layer for layer in generator.layers if isinstance(layer, kinds)]
    for layer in layers:
        layer.freeze()
    frozen = {id(layer.kernel): layer.frozen_kernel for layer in layers}
    read = [(frozen.get(id(v)), v.value) for v in generator.variables]
    return [value if kernel is None else kernel for kernel, value in read]
