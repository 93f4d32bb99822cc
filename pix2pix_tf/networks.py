"""The two networks: U-Net generator and 70x70 PatchGAN discriminator.

In: builders of Keras functional models, their layers, and the names that the original
gives to their variables. Not in: losses, optimizers, checkpoints.
"""

import math

import keras
import tensorflow as tf
from keras import layers

from pix2pix_tf.config import CROP_SIZE

# Filters at each level, times ngf or ndf.
ENCODER_WIDTHS = (1, 2, 4, 8, 8, 8, 8, 8)  # encoder_1..8: 256 px -> 1 px
DECODER_WIDTHS = (8, 8, 8, 8, 4, 2, 1)  # decoder_8..2: 1 px -> 128 px
DROPOUT_LEVELS = (8, 7, 6)  # of the decoder
DROPOUT_RATE = 0.5
PATCH_WIDTHS = (1, 2, 4, 8)  # layer_1..4
PATCH_STRIDES = (2, 2, 2, 1)


class BatchNorm(layers.BatchNormalization):
    """Batch norm by the batch's own statistics in every mode, as in the original.

    It has no `training` argument on purpose: a Keras model overrides one fixed at the
    layer's call. The moving statistics are never read nor changed; they are here
    because the original's checkpoints hold them.
    """

    def call(self, inputs):
        return tf.compat.v1.nn.fused_batch_norm(
            inputs, self.gamma, self.beta, epsilon=self.epsilon, is_training=True
        )[0]


class InstanceNorm(layers.Layer):
    """Instance norm: each channel of each image by its own mean and variance.

    Source: Ulyanov et al. 2016, "Instance Normalization", with learned gamma and beta.
    """

    def __init__(self, epsilon, gamma_initializer, name):
        super().__init__(name=name)
        self.epsilon = epsilon
        self.gamma_initializer = gamma_initializer

    def build(self, input_shape):
        # Without autocast: float32 under mixed precision too, like batch norm's.
        shape = input_shape[-1:]
        self.gamma = self.add_weight(
            shape, self.gamma_initializer, name="gamma", autocast=False
        )
        self.beta = self.add_weight(shape, "zeros", name="beta", autocast=False)

    def call(self, inputs):
        x = tf.cast(inputs, tf.float32)
        mean, variance = tf.nn.moments(x, [1, 2], keepdims=True)
        x = tf.nn.batch_normalization(
            x, mean, variance, self.beta, self.gamma, self.epsilon
        )
        return tf.cast(x, inputs.dtype)


class Dropout(layers.Dropout):
    """Dropout in every mode, as in the original."""

    def call(self, inputs):
        return super().call(inputs, training=True)


# Where the original keeps a layer's variables; its networks have no instance norm.
SCOPES = {
    layers.Conv2D: "conv2d",
    layers.Conv2DTranspose: "conv2d_transpose",
    layers.SeparableConv2D: "separable_conv2d",
    BatchNorm: "batch_normalization",
    InstanceNorm: "instance_normalization",
}


def build_generator(channels, model):
    """Builds the U-Net (Isola et al. 2017, section 6.1.1; the original's widths).

    Args:
        channels: (input channels, output channels).
        model: ModelConfig.

    Returns:
        keras.Model "generator" from float32 [batch, 256, 256, input channels] to
        float32 [batch, 256, 256, output channels], both in [-1, 1].
    """
    inputs = keras.Input((CROP_SIZE, CROP_SIZE, channels[0]), name="inputs")
    skips = _encode(inputs, model)
    x = skips.pop()
    for level, width in zip(range(8, 1, -1), DECODER_WIDTHS, strict=True):
        x = _upsample(x, level, model.ngf * width, model)
        x = _norm(x, f"decoder_{level}", model.norm)
        if level in DROPOUT_LEVELS and not model.no_dropout:
            x = Dropout(DROPOUT_RATE, name=f"decoder_{level}_dropout")(x)
        x = layers.Concatenate(name=f"skip_{level - 1}")([x, skips.pop()])
    x = _upsample(x, 1, channels[1], model)
    outputs = layers.Activation("tanh", dtype="float32", name="outputs")(x)
    return keras.Model(inputs, outputs, name="generator")


def build_discriminator(channels, model):
    """Builds the PatchGAN whose every output sees 70x70 pixels.

    Args:
        channels: (input channels, target channels).
        model: ModelConfig.

    Returns:
        keras.Model "discriminator" from [inputs, targets], float32
        [batch, 256, 256, channels] in [-1, 1], to float32 [batch, 30, 30, 1] in
        [0, 1]: how real each patch of the pair looks.
    """
    inputs, targets = (
        keras.Input((CROP_SIZE, CROP_SIZE, count), name=name)
        for name, count in zip(("inputs", "targets"), channels, strict=True)
    )
    x = layers.Concatenate(name="pair")([inputs, targets])
    widths = zip(PATCH_WIDTHS, PATCH_STRIDES, strict=True)
    for level, (width, strides) in enumerate(widths, start=1):
        name = f"layer_{level}"
        x = _pad_conv(x, model.ndf * width, strides, name)
        if level > 1:
            x = _norm(x, name, model.norm)
        x = layers.LeakyReLU(0.2, name=f"{name}_leaky_relu")(x)
    x = _pad_conv(x, 1, 1, "layer_5")
    outputs = layers.Activation("sigmoid", dtype="float32", name="outputs")(x)
    return keras.Model([inputs, targets], outputs, name="discriminator")


def key_dropout(generator, seed, position):
    """Makes the generator's next dropout masks depend on `seed` and `position` only.

    Args:
        generator: keras.Model.
        seed: int, in [0, 2**31).
        position: integer scalar tensor, such as the step.
    """
    dropouts = [layer for layer in generator.layers if isinstance(layer, Dropout)]
    for number, layer in enumerate(dropouts):
        state = layer.seed_generator.state
        key = tf.random.fold_in([seed, number], tf.cast(position, tf.int32))
        state.assign(tf.cast(key, state.dtype))


def variables_by_name(network):
    """Returns {the original's variable name: variable} of a network's weights.

    Such as `generator/encoder_2/conv2d/kernel` or
    `discriminator/layer_3/batch_normalization/gamma`.
    """
    return {
        f"{network.name}/{layer.name.removesuffix(f'_{SCOPES[type(layer)]}')}"
        f"/{SCOPES[type(layer)]}/{variable.name}": variable
        for layer in network.layers
        for variable in layer.weights
        if type(layer) in SCOPES
    }


def count_parameters(*networks):
    """Returns how many trainable numbers the networks hold."""
    return sum(
        math.prod(variable.shape)
        for network in networks
        for variable in network.trainable_variables
    )


def _encode(x, model):
    """Returns eight outputs, [batch, 128, 128, ngf] down to [batch, 1, 1, 8 * ngf]."""
    skips = []
    for level, width in enumerate(ENCODER_WIDTHS, start=1):
        name = f"encoder_{level}"
        if level > 1:
            x = layers.LeakyReLU(0.2, name=f"{name}_leaky_relu")(x)
        x = _downsample(x, model.ngf * width, name, model)
        innermost = level == len(ENCODER_WIDTHS)
        if level > 1 and not (innermost and model.innermost_norm == "none"):
            x = _norm(x, name, model.norm)
        skips.append(x)
    return skips


def _downsample(x, filters, name, model):
    """[batch, h, w, c] -> [batch, h / 2, w / 2, filters]."""
    if model.separable_conv:
        return _separable_conv(x, filters, 2, name)
    return layers.Conv2D(
        filters, 4, strides=2, padding="same", kernel_initializer=_normal(), name=name
    )(x)


def _upsample(x, level, filters, model):
    """[batch, h, w, c] -> relu -> [batch, 2 * h, 2 * w, filters]."""
    name = f"decoder_{level}"
    x = layers.ReLU(name=f"{name}_relu")(x)
    if model.separable_conv:
        x = layers.UpSampling2D(2, interpolation="nearest", name=f"{name}_resize")(x)
        return _separable_conv(x, filters, 1, name)
    return layers.Conv2DTranspose(
        filters, 4, strides=2, padding="same", kernel_initializer=_normal(), name=name
    )(x)


def _separable_conv(x, filters, strides, name):
    return layers.SeparableConv2D(
        filters,
        4,
        strides=strides,
        padding="same",
        depthwise_initializer=_normal(),
        pointwise_initializer=_normal(),
        name=name,
    )(x)


def _pad_conv(x, filters, strides, name):
    """One pixel of zeros all round, then a 4x4 convolution without padding."""
    x = layers.ZeroPadding2D(1, name=f"{name}_pad")(x)
    return layers.Conv2D(
        filters, 4, strides=strides, kernel_initializer=_normal(), name=name
    )(x)


def _norm(x, name, norm):
    gamma = keras.initializers.RandomNormal(mean=1.0, stddev=0.02)
    layer = {"batch": BatchNorm, "instance": InstanceNorm}[norm]
    name = f"{name}_{SCOPES[layer]}"
    return layer(epsilon=1e-5, gamma_initializer=gamma, name=name)(x)


def _normal():
    """Kernels from N(0, 0.02): Isola et al. 2017, section 6.2.

    A new one for each layer: one RandomNormal gives the same numbers at every call.
    """
    return keras.initializers.RandomNormal(stddev=0.02)
