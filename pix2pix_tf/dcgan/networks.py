"""DCGAN's two networks, for 32x32 images (Radford et al. 2016, section 3).

No flag changes them. Unlike in pix2pix, samples use the moving statistics of batch
norm, so that a sample does not depend on the other samples of its batch.
"""

import keras
from keras import layers

from pix2pix_tf.dcgan.options import SIZE
from pix2pix_tf.networks import parts

Z_SIZE = 100  # numbers that a sample is made from
KERNEL_SIZE = 5  # pixels, all with stride 2
INIT = "normal"  # standard deviation 0.02
# Of the moving statistics. With Keras' default, 0.99, the starting values would affect
# the samples of the first few hundred steps.
MOMENTUM = 0.9


def build_generator() -> keras.Model:
    """Builds the generator.

    Returns:
        keras.Model "generator". It maps z, float32 [batch, 100] in [-1, 1], to images,
        float32 [batch, 32, 32, 3] in [-1, 1].
    """
    z = keras.Input((Z_SIZE,), name="z")
    x = _dense(z, 4 * 4 * 512)
    x = layers.Reshape((4, 4, 512), name="reshape")(x)
    x = _norm_relu(x, "dense")
    # [batch, 4, 4, 512] -> [batch, 8, 8, 256] -> [batch, 16, 16, 128]
    for number, filters in enumerate((256, 128), start=1):
        name = f"deconv_{number}"
        x = parts.deconv(x, filters, KERNEL_SIZE, name, INIT)
        x = _norm_relu(x, name)
    x = parts.deconv(x, 3, KERNEL_SIZE, "deconv_3", INIT)
    outputs = layers.Activation("tanh", dtype="float32", name="outputs")(x)
    return keras.Model(z, outputs, name="generator")


def build_discriminator() -> keras.Model:
    """Builds the discriminator.

    Returns:
        keras.Model "discriminator". It maps images, float32 [batch, 32, 32, 3] in
        [-1, 1], to logits, float32 [batch, 1], higher for real images.
    """
    x = images = keras.Input((SIZE, SIZE, 3), name="images")
    # [batch, 32, 32, 3] -> [batch, 16, 16, 64] -> ... -> [batch, 4, 4, 256]
    for number, filters in enumerate((64, 128, 256), start=1):
        name = f"conv_{number}"
        x = parts.conv(x, filters, KERNEL_SIZE, 2, "same", name, INIT)
        if number > 1:
            x = _norm(x, name)
        x = layers.LeakyReLU(0.2, name=f"{name}_leaky_relu")(x)
    x = _dense(layers.Flatten(name="flatten")(x), 1)
    logits = layers.Activation("linear", dtype="float32", name="logits")(x)
    return keras.Model(images, logits, name="discriminator")


def _dense(x, count):
    """[batch, n] -> [batch, count]."""
    kernel_initializer = parts.kernel_initializer(INIT)
    return layers.Dense(count, kernel_initializer=kernel_initializer, name="dense")(x)


def _norm(x, name):
    return layers.BatchNormalization(
        momentum=MOMENTUM,
        epsilon=1e-5,
        gamma_initializer=keras.initializers.RandomNormal(mean=1.0, stddev=0.02),
        name=f"{name}_{parts.SCOPES[layers.BatchNormalization]}",
    )(x)


def _norm_relu(x, name):
    return layers.ReLU(name=f"{name}_relu")(_norm(x, name))
