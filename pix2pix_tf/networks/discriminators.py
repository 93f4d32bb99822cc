"""The discriminators: PatchGAN, PixelGAN, and ImageGAN, at one or more scales."""

import math
from typing import NamedTuple

import keras
from keras import layers

from pix2pix_tf.networks import parts
from pix2pix_tf.networks.parts import KERNEL_SIZE, width_factor
from pix2pix_tf.options import ModelConfig, sides

IMAGE_GRID = 4  # height and width before the image discriminator's last layer


class Conv(NamedTuple):
    """One convolution of a discriminator."""

    width: int  # filters in units of ndf; 0 for the last layer, which has one filter
    size: int  # of the kernel, in pixels
    strides: int
    padding: int  # pixels of zeros on each side


def conv_table(model: ModelConfig) -> list[Conv]:
    """Returns the convolutions of the discriminator: `layer_1`, `layer_2`, ...

    patch: `--n_layers` layers of stride 2, then two of stride 1 (Isola et al. 2017,
        section 6.1.2)
    pixel: three layers with 1x1 kernels (PixelGAN, the same section)
    image: layers of stride 2 down to 4x4 pixels, then one score for the whole image
    """
    if model.discriminator == "pixel":
        return [Conv(width, 1, 1, 0) for width in (1, 2, 0)]
    if model.discriminator == "image":
        num_halvings = int(math.log2(sides(model.crop_size)[0] // IMAGE_GRID))
        return [*_halving_convs(num_halvings), Conv(0, IMAGE_GRID, 1, 0)]
    return [
        *_halving_convs(model.n_layers),
        Conv(width_factor(model.n_layers + 1), KERNEL_SIZE, 1, 1),
        Conv(0, KERNEL_SIZE, 1, 1),
    ]


def _halving_convs(count):
    levels = range(1, count + 1)
    return [Conv(width_factor(level), KERNEL_SIZE, 2, 1) for level in levels]


def receptive_field(convs: list[Conv]) -> int:
    """Returns the height and width, in pixels, that one output depends on."""
    field = 1
    for conv in reversed(convs):
        field = field * conv.strides + conv.size - conv.strides
    return field


def field_start(convs: list[Conv], index: int) -> int:
    """Returns the first pixel of a row or column that output `index` depends on.

    It is negative if the receptive field starts in the zero padding.
    """
    for conv in reversed(convs):
        index = index * conv.strides - conv.padding
    return index


def output_grid(convs: list[Conv], size: int) -> int:
    """Returns the number of outputs for a row or column of `size` pixels."""
    for conv in convs:
        size = (size + 2 * conv.padding - conv.size) // conv.strides + 1
    return size


def describe_discriminator(model: ModelConfig, any_size: bool = False) -> str:
    """Returns a line with the output grids and receptive fields of all scales.

    Args:
        model: ModelConfig.
        any_size: True if images have other sizes than `model.crop_size`.
    """
    convs, lines = conv_table(model), []
    field, size = receptive_field(convs), sides(model.crop_size)
    for scale in range(model.num_discriminators):
        grid = "x".join(str(output_grid(convs, -(-side // 2**scale))) for side in size)
        grid = "grid" if any_size else f"{grid} grid"
        lines.append(f"a {grid} of {field * 2**scale}x{field * 2**scale} pixels")
    return f"discriminator judges {', '.join(lines)}"


def build_discriminator(
    channels: tuple[int, int] = (3, 3),
    model: ModelConfig = ModelConfig(),  # noqa: B008  frozen
    gan_mode: str = "vanilla",
    any_size: bool = False,
) -> keras.Model:
    """Builds the discriminator.

    Args:
        channels: (input channels, target channels).
        model: ModelConfig.
        any_size: if False, which is faster, height and width are `model.crop_size`.
        gan_mode: the value of `--gan_mode`; "vanilla" adds a sigmoid.

    Returns:
        keras.Model "discriminator". It maps [inputs, targets], both float32
        [batch, height, width, channels] in [-1, 1], to a score for each patch, higher
        for real ones: float32 [batch, grid, grid, 1], in [0, 1] for vanilla and
        unbounded otherwise. With several scales the result is a list of such tensors,
        the finest scale first.
    """
    size = (None, None) if any_size else sides(model.crop_size)
    inputs, targets = (
        keras.Input((*size, count), name=name)
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
        outputs.append(_score_patches(x, prefix, model, gan_mode))
    outputs = outputs[0] if len(outputs) == 1 else outputs
    return keras.Model([inputs, targets], outputs, name="discriminator")


def with_features(discriminator: keras.Model) -> keras.Model:
    """Returns a model with the same weights that also returns the layers' activations.

    It maps [inputs, targets] to (the discriminator's output, [activation, ...]).
    """
    activations = [
        layer.output
        for layer in discriminator.layers
        if isinstance(layer, layers.LeakyReLU)
    ]
    return keras.Model(discriminator.inputs, (discriminator.output, activations))


def _score_patches(x, prefix, model, gan_mode):
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
