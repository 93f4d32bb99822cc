"""The generators: U-Net, encoder-decoder, ResNet."""

import keras
import tensorflow as tf
from keras import layers

from pix2pix_tf.images import pixels
from pix2pix_tf.networks import parts
from pix2pix_tf.networks.parts import KERNEL_SIZE, width_factor
from pix2pix_tf.options import MIN_SIDE, ModelConfig, sides

NUM_DROPOUTS = 3  # innermost decoder levels, which have dropout


def build_generator(
    channels: tuple[int, int] = (3, 3),
    model: ModelConfig = ModelConfig(),  # noqa: B008  frozen
    any_size: bool = False,
) -> keras.Model:
    """Builds the generator.

    Args:
        channels: (input channels, output channels).
        model: ModelConfig.
        any_size: if True, height and width may be any multiples of `model.multiple`;
            if False, which is faster, they are `model.crop_size`.

    Returns:
        keras.Model "generator". It maps float32 [batch, height, width, input channels]
        to float32 [batch, height, width, output channels], both in [-1, 1].
    """
    size = (None, None) if any_size else sides(model.crop_size)
    inputs = keras.Input((*size, channels[0]), name="inputs")
    build = _resnet if model.generator == "resnet" else _unet
    x = build(inputs, channels[1], model)
    outputs = layers.Activation("tanh", dtype="float32", name="outputs")(x)
    return keras.Model(inputs, outputs, name="generator")


def generate_at_own_size(generator: keras.Model, inputs, multiple: int):
    """Generates the outputs for images of any size.

    The images are padded by reflection to a size that the generator accepts, and the
    outputs are cropped to their size.

    Args:
        generator: built with `any_size`.
        inputs: float32 [batch, height, width, channels], in [-1, 1].
        multiple: of which the generator accepts heights and widths.

    Returns:
        float32 [batch, height, width, output channels], in [-1, 1].
    """
    height, width = tf.unstack(tf.shape(inputs)[1:3])
    padded_size = [
        pixels.padded_side(side, multiple, MIN_SIDE) for side in (height, width)
    ]
    padded = pixels.pad_by_reflection(inputs, padded_size)
    return generator(padded)[:, :height, :width]


def _unet(inputs, num_outputs, model):
    """U-Net (Isola et al. 2017, section 6.1.1), or without skip connections.

    Each of `encoder_1` to `encoder_n` halves height and width, and each of `decoder_n`
    to `decoder_1` doubles them.
    """
    skips = _encode(inputs, model)
    x = skips.pop()
    for level in range(model.num_downs, 1, -1):
        name = f"decoder_{level}"
        x = layers.ReLU(name=f"{name}_relu")(x)
        x = parts.upsample(x, model.ngf * width_factor(level - 1), name, model)
        x = parts.norm(x, name, model.norm)
        if level > model.num_downs - NUM_DROPOUTS:
            x = _dropout(x, name, model)
        if model.generator == "unet":
            x = layers.Concatenate(name=f"skip_{level - 1}")([x, skips.pop()])
    x = layers.ReLU(name="decoder_1_relu")(x)
    return parts.upsample(x, num_outputs, "decoder_1", model)


def _encode(x, model):
    """Returns the outputs of all levels; each has half the size of the one before."""
    skips = []
    for level in range(1, model.num_downs + 1):
        name, filters = f"encoder_{level}", model.ngf * width_factor(level)
        if level > 1:
            x = layers.LeakyReLU(0.2, name=f"{name}_leaky_relu")(x)
        if model.separable_conv:
            x = parts.separable_conv(x, filters, 2, name, model.init)
        else:
            x = parts.conv(x, filters, KERNEL_SIZE, 2, "same", name, model.init)
        is_innermost = level == model.num_downs
        if level > 1 and not (is_innermost and model.innermost_norm == "none"):
            x = parts.norm(x, name, model.norm)
        skips.append(x)
    return skips


def _resnet(x, num_outputs, model):
    """ResNet (Johnson et al. 2016, in the form of Zhu et al. 2017, section 7.1).

    A 7x7 convolution, two of stride 2, residual blocks at a quarter of the height and
    width, two transposed convolutions of stride 2, and a 7x7 convolution.
    """
    x = parts.reflect_conv(x, model.ngf, 7, "encoder_1", model.init)
    x = _norm_relu(x, "encoder_1", model)
    for level in (2, 3):
        name, filters = f"encoder_{level}", model.ngf * width_factor(level)
        x = parts.conv(x, filters, 3, 2, "same", name, model.init)
        x = _norm_relu(x, name, model)
    for number in range(1, model.num_blocks + 1):
        x = _residual_block(x, f"block_{number}", model)
    for level in (3, 2):
        name, filters = f"decoder_{level}", model.ngf * width_factor(level - 1)
        x = parts.upsample(x, filters, name, model, deconv_size=3)
        x = _norm_relu(x, name, model)
    return parts.reflect_conv(x, num_outputs, 7, "decoder_1", model.init)


def _residual_block(x, name, model):
    """Adds two 3x3 convolutions of x, with dropout between them, to x."""
    filters = x.shape[-1]
    y = parts.reflect_conv(x, filters, 3, f"{name}_1", model.init)
    y = _dropout(_norm_relu(y, f"{name}_1", model), name, model)
    y = parts.reflect_conv(y, filters, 3, f"{name}_2", model.init)
    y = parts.norm(y, f"{name}_2", model.norm)
    return layers.Add(name=f"{name}_add")([x, y])


def _norm_relu(x, name, model):
    return layers.ReLU(name=f"{name}_relu")(parts.norm(x, name, model.norm))


def _dropout(x, name, model):
    if model.no_dropout or model.dropout == 0:
        return x
    return parts.Dropout(model.dropout, name=f"{name}_dropout")(x)
