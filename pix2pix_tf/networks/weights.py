"""Functions on a built network: its variables by name, dropout masks, freezing."""

import math
from collections.abc import Callable

import keras
import tensorflow as tf

from pix2pix_tf.networks import fast, parts


def variables_by_name(network: keras.Model) -> dict[str, keras.Variable]:
    """Returns a network's variables by the names that they have in the original.

    Examples are `generator/encoder_2/conv2d/kernel` and
    `discriminator/layer_3/batch_normalization/gamma`.
    """
    variables = {}
    for layer in network.layers:
        if scope := parts.SCOPES.get(type(layer)):
            prefix = f"{network.name}/{layer.name.removesuffix(f'_{scope}')}/{scope}"
            variables |= {f"{prefix}/{v.name}": v for v in layer.weights}
    return variables


def trainable_by_name(network: keras.Model) -> dict[str, keras.Variable]:
    """Returns the trainable variables by name, ordered as `trainable_variables`."""
    names = {id(v): name for name, v in variables_by_name(network).items()}
    return {names[id(v)]: v for v in network.trainable_variables}


def count_parameters(*networks: keras.Model) -> int:
    """Returns the number of trainable parameters of all the networks."""
    return sum(
        math.prod(v.shape) for each in networks for v in each.trainable_variables
    )


def seed_dropout(generator: keras.Model, seed: int, position) -> None:
    """Sets the seeds of all dropout layers from `seed` and `position`.

    So the next masks depend on these two only, not on earlier calls: a resumed run has
    the masks of an unbroken one.

    Args:
        generator: keras.Model.
        seed: in [0, 2**31).
        position: integer scalar tensor, such as the step.
    """
    dropouts = [layer for layer in generator.layers if isinstance(layer, parts.Dropout)]
    for number, layer in enumerate(dropouts):
        state = layer.seed_generator.state
        key = tf.random.fold_in([seed, number], tf.cast(position, tf.int32))
        state.assign(tf.cast(key, state.dtype))


def freeze(generator: keras.Model, keeps_kernels: bool = True) -> list[tf.Variable]:
    """Copies the generator's kernels into a layout that makes inference faster.

    Later changes to the weights are ignored until the next call of `freeze`.

    Args:
        generator: keras.Model.
        keeps_kernels: if False, the memory of kernels that were copied is freed: the
            generator can be called, but its weights cannot be read, set or frozen anew.

    Returns:
        The variables that the generator's calls now read.
    """
    norms = [one for one in generator.layers if type(one) in parts.NORMS.values()]
    # These subtract the means of their inputs, and with them a bias.
    normalized = {id(norm.input) for norm in norms}
    frozen = {}  # by the id of the kernel
    # The largest first: the memory of one kernel, if it is freed, is used for the next.
    for layer in sorted(
        generator.layers, key=keras.layers.Layer.count_params, reverse=True
    ):
        if isinstance(layer, fast.SeparableConv2D):
            layer.freeze()
        elif isinstance(layer, (fast.Conv2D, fast.Conv2DTranspose)):
            layer.freeze(adds_bias=id(layer.output) not in normalized)
            if layer.frozen_kernel is not None:
                frozen[id(layer.kernel)] = layer.frozen_kernel
                if not keeps_kernels:
                    _free(layer.kernel)
    return [frozen.get(id(v), v.value) for v in generator.variables]


def replace_value(variable: keras.Variable, read: Callable) -> None:
    """Sets a variable to what `read()` returns, after the old value's memory is freed.

    Args:
        variable: keras.Variable; if `read` raises, it has no value any more.
        read: function () -> tensor of the variable's shape and dtype.
    """
    _free(variable)
    _assign(variable, read())


def _free(variable):
    """Frees the memory of a variable, which has no value then."""
    _assign(variable, tf.zeros([0], variable.dtype))


def _assign(variable, value):
    """Assigns a value of any shape."""
    handle = variable.value.handle
    tf.raw_ops.AssignVariableOp(resource=handle, value=value, validate_shape=False)
