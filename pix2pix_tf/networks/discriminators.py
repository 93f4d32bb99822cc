"""The discriminators: PatchGAN of any depth, pixel, whole image, at several scales."""

import math
from typing import NamedTuple

import keras
from keras import layers

from pix2pix_tf.networks import parts
from pix2pix_tf.networks.parts import KERNEL_SIZE, width_factor
from pix2pix_tf.options import sides

IMAGE_GRID = 4  # pixels a side, before the image discriminator's last layer


class Conv(NamedTuple):
    """One convolution of a discriminator."""

    width: int  # filters, times ndf; 0: the one output channel
    size: int  # pixels, of the kernel
    strides: int
    padding: int  # pixels of zeros on each side


def conv_table(model):
    """Returns the convolutions `layer_1`, `layer_2` ... that `model` describes.

    patch: `--n_layers` halvings, then two layers of stride 1 (Isola et al. 2017,
        section 6.1.2)
    pixel: three layers of 1x1 (PixelGAN, the same section)
    image: halvings down to 4x4, then one score

    Args:
        model: ModelConfig.

    Returns:
        list of Conv.
    """
    if model.discriminator == "pixel":
        return [Conv(width, 1, 1, 0) for width in (1, 2, 0)]
    if model.discriminator == "image":
        num_halvings = int(math.log2(sides(model.crop_size)[0] // IMAGE_GRID))
        return [*_halvings(num_halvings), Conv(0, IMAGE_GRID, 1, 0)]
    return [
        *_halvings(model.n_layers),
        Conv(width_factor(model.n_layers + 1), KERNEL_SIZE, 1, 1),
        Conv(0, KERNEL_SIZE, 1, 1),
    ]


def _halvings(count):
    """Returns the convolutions of stride 2, at levels 1 to `count`."""
    return [
        Conv(width_factor(level), KERNEL_SIZE, 2, 1) for level in range(1, count + 1)
    ]


def receptive_field(convs):
    """Returns the pixels a side that one output of these convolutions sees."""
    field = 1
    for conv in reversed(convs):
        field = field * conv.strides + conv.size - conv.strides
    return field


def field_start(convs, index):
    """Returns the first pixel, of a row or column, that the `index`-th output sees.

    It may lie outside the image, where there are zeros. From there the output sees
    `receptive_field` pixels.
    """
    for conv in reversed(convs):
        index = index * conv.strides - conv.padding
    return index


def output_grid(convs, size):
    """Returns the number of outputs for a row or column of `size` pixels."""
    for conv in convs:
        size = (size + 2 * conv.padding - conv.size) // conv.strides + 1
    return size


def describe_discriminator(model):
    """Returns what the discriminator of a ModelConfig sees, as one line of text."""
    convs, lines = conv_table(model), []
    field, size = receptive_field(convs), sides(model.crop_size)
    for scale in range(model.num_discriminators):
        grid = "x".join(str(output_grid(convs, -(-side // 2**scale))) for side in size)
        lines.append(f"a {grid} grid of {field * 2**scale}x{field * 2**scale} pixels")
    return f"discriminator judges {', '.join(lines)}"


def build_discriminator(channels, model, gan_mode="vanilla"):
    """Builds the discriminator that `model` describes.

    Args:
        channels: (input channels, target channels).
        model: ModelConfig.
        gan_mode: str, as `--gan_mode`; only vanilla ends in a sigmoid.

    Returns:
        keras.Model "discriminator" from [inputs, targets], float32
        [batch, height, width, channels] in [-1, 1], to how real each patch looks:
        float32 [batch, grid, grid, 1], in [0, 1] for vanilla and unbounded otherwise.
        With several scales it is a list of these, the finest first.
    """
    inputs, targets = (
        keras.Input((*sides(model.crop_size), count), name=name)
        for name, count in zip(("inputs", "targets"), channels, strict=True)
    )
    x = targets
    if not model.unconditional:
        x = layers.Concatenate(name="pair")([inputs, targets])
    outputs = []
    for scale in range(1, model.num_discriminators + 1):
        prefix = "" if scale == 1 else f"scale_{scale}_"
        if scale > 1:  # Wang et al. 2018 (pix2pixHD), section 3.2
            x = layers.AveragePooling2D(3, 2, "same", name=f"{prefix}pool")(x)
        outputs.append(_judge(x, prefix, model, gan_mode))
    outputs = outputs[0] if len(outputs) == 1 else outputs
    return keras.Model([inputs, targets], outputs, name="discriminator")


def with_features(discriminator):
    """Returns a model of the same weights that also gives the layers' activations.

    Args:
        discriminator: keras.Model, as `build_discriminator` returns it.

    Returns:
        keras.Model from [inputs, targets] to (predictions, [activation, ...]).
    """
    activations = [
        layer.output
        for layer in discriminator.layers
        if isinstance(layer, layers.LeakyReLU)
    ]
    return keras.Model(discriminator.inputs, (discriminator.output, activations))


def _judge(x, prefix, model, gan_mode):
    """[batch, h, w, c] -> [batch, grid, grid, 1]."""
    for number, conv in enumerate(conv_table(model), start=1):
        name = f"{prefix}layer_{number}"
        filters = model.ndf * conv.width or 1
        if conv.padding:
            x = parts.pad_conv(x, filters, conv.strides, name, model.init)
        else:
            x = parts.conv(
                x, filters, conv.size, conv.strides, "valid", name, model.init
            )
        if conv.width:
            x = parts.norm(x, name, model.norm if number > 1 else "none")
            x = layers.LeakyReLU(0.2, name=f"{name}_leaky_relu")(x)
    activation = "sigmoid" if gan_mode == "vanilla" else "linear"
    return layers.Activation(activation, dtype="float32", name=f"{prefix}outputs")(x)
