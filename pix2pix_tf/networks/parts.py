"""Building blocks of the networks: widths, custom layers, and small blocks.

The blocks take and return float tensors [batch, height, width, channels]. `name` is the
name of the layer that has the weights, and `init` is that of `kernel_initializer`.
"""

import contextlib
import contextvars
import functools
import math

import keras
import psutil
import tensorflow as tf
from keras import layers

from pix2pix_tf.networks import fast
from pix2pix_tf.options import ModelConfig

MIN_EPSILON = 1.001e-5  # that TensorFlow's fused batch norm uses
KERNEL_SIZE = 4  # pixels, in U-Nets and in patch and image discriminators


def width_factor(level: int) -> int:
    """Returns the filters of a level >= 1, in units of ngf or ndf: 1, 2, 4, 8, 8 ..."""
    return min(2 ** (level - 1), 8)


@fast.serializable
class BatchNorm(layers.BatchNormalization):
    """Batch norm that uses the batch's own statistics in every mode, as the original.

    `call` has no `training` argument on purpose: a Keras model would override it. The
    moving statistics are never read or updated; they exist because the original's
    checkpoints have them.
    """

    def call(self, inputs):
        return tf.compat.v1.nn.fused_batch_norm(
            inputs, self.gamma, self.beta, epsilon=self.epsilon, is_training=True
        )[0]


@fast.serializable
class InstanceNorm(layers.Layer):
    """Instance norm: normalises each channel of each image by its own statistics.

    Source: Ulyanov et al. 2016, "Instance Normalization", with learned gamma and beta.
    """

    def __init__(self, epsilon, gamma_initializer, **settings):
        super().__init__(**settings)
        self.epsilon = epsilon
        self.gamma_initializer = keras.initializers.get(gamma_initializer)

    def get_config(self):
        gamma_initializer = keras.initializers.serialize(self.gamma_initializer)
        own = {"epsilon": self.epsilon, "gamma_initializer": gamma_initializer}
        return super().get_config() | own

    def build(self, input_shape):
        # Without autocast they are float32 in mixed precision too, as in batch norm.
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


@fast.serializable
class Dropout(layers.Dropout):
    """Dropout that is active in every mode, as in the original."""

    def call(self, inputs):
        return super().call(inputs, training=True)


@fast.serializable
class ReflectionPad(layers.Layer):
    """By reflection: [batch, h, w, c] -> [batch, h + 2 * size, w + 2 * size, c]."""

    def __init__(self, size, **settings):
        super().__init__(**settings)
        self.size = size

    def get_config(self):
        return super().get_config() | {"size": self.size}

    def call(self, inputs):
        sides = [self.size, self.size]
        return tf.pad(inputs, [[0, 0], sides, sides, [0, 0]], "REFLECT")


@fast.serializable
class DepthToSpace(layers.Layer):
    """[batch, h, w, 4 * c] -> [batch, 2 * h, 2 * w, c] (Shi et al. 2016, section 2)."""

    def call(self, inputs):
        return tf.nn.depth_to_space(inputs, 2)


# The scope in the names of a layer's variables. The original has no instance norm. The
# last two layers are used by DCGAN only.
SCOPES = {
    fast.Conv2D: "conv2d",
    fast.Conv2DTranspose: "conv2d_transpose",
    fast.SeparableConv2D: "separable_conv2d",
    BatchNorm: "batch_normalization",
    InstanceNorm: "instance_normalization",
    layers.BatchNormalization: "batch_normalization",
    layers.Dense: "dense",
}
NORMS = {"batch": BatchNorm, "instance": InstanceNorm}
INITIALIZERS = {  # constructors, because each one that is built draws a seed
    "normal": functools.partial(keras.initializers.RandomNormal, stddev=0.02),
    "xavier": keras.initializers.GlorotNormal,
    "kaiming": keras.initializers.HeNormal,
    "orthogonal": keras.initializers.Orthogonal,
}

_is_random = contextvars.ContextVar("whether kernels get random numbers", default=True)


@contextlib.contextmanager
def without_random_kernels():
    """Context manager that builds kernels of zeros, for networks to be restored.

    At ngf 64 the random numbers take 0.4 s, and 0.1 GB more than the kernels.
    """
    token = _is_random.set(False)
    try:
        yield
    finally:
        _is_random.reset(token)


def kernel_initializer(init: str) -> "KernelInitializer":
    """Returns a new initializer for one kernel.

    Layers must not share one, because it returns the same values at every call.

    Args:
        init: "normal" (Isola et al. 2017, section 6.2), "xavier" (Glorot and Bengio
            2010), "kaiming" (He et al. 2015) or "orthogonal" (Saxe et al. 2014).
    """
    return KernelInitializer(INITIALIZERS[init]())


@fast.serializable
class KernelInitializer(keras.initializers.Initializer):
    """An initializer that checks first that the machine has memory for the kernel.

    It raises MemoryError if not: Linux would allocate the memory and later kill the
    process.
    """

    def __init__(self, initializer):
        self.initializer = keras.initializers.get(initializer)

    def __call__(self, shape, dtype=None):
        needed = 3 * 4 * math.prod(shape)  # float32, and two temporary copies
        free = psutil.virtual_memory().available
        if needed > free:
            raise MemoryError(
                f"a kernel of {' x '.join(map(str, shape))} needs {needed / 1e9:.1f} "
                f"GB, and {free / 1e9:.1f} GB are free"
            )
        if not _is_random.get():
            return tf.zeros(shape, dtype)
        return self.initializer(shape, dtype)

    def get_config(self):
        return {"initializer": keras.initializers.serialize(self.initializer)}


def conv(x, filters: int, size: int, strides: int, padding: str, name: str, init: str):
    """Convolution: [batch, h, w, c] -> [batch, h / strides, w / strides, filters]."""
    return fast.Conv2D(
        filters,
        size,
        strides=strides,
        padding=padding,
        kernel_initializer=kernel_initializer(init),
        name=name,
    )(x)


def deconv(x, filters: int, size: int, name: str, init: str):
    """Transposed convolution: [batch, h, w, c] -> [batch, 2 * h, 2 * w, filters]."""
    return fast.Conv2DTranspose(
        filters,
        size,
        strides=2,
        padding="same",
        kernel_initializer=kernel_initializer(init),
        name=name,
    )(x)


def separable_conv(x, filters: int, strides: int, name: str, init: str):
    """Depthwise convolution with kernels of KERNEL_SIZE, then a 1x1 convolution."""
    return fast.SeparableConv2D(
        filters,
        KERNEL_SIZE,
        strides=strides,
        padding="same",
        depthwise_initializer=kernel_initializer(init),
        pointwise_initializer=kernel_initializer(init),
        name=name,
    )(x)


def pad_conv(x, filters: int, strides: int, name: str, init: str):
    """Pads by one pixel of zeros on each side, then convolves without padding."""
    x = layers.ZeroPadding2D(1, name=f"{name}_pad")(x)
    return conv(x, filters, KERNEL_SIZE, strides, "valid", name, init)


def reflect_conv(x, filters: int, size: int, name: str, init: str):
    """Pads by reflection, then convolves; height and width do not change."""
    x = ReflectionPad(size // 2, name=f"{name}_pad")(x)
    return conv(x, filters, size, 1, "valid", name, init)


def norm(x, name: str, kind: str):
    """Normalises x; `kind` is "batch", "instance" or "none"."""
    if kind == "none":
        return x
    gamma = keras.initializers.RandomNormal(mean=1.0, stddev=0.02)
    layer = NORMS[kind]
    name = f"{name}_{SCOPES[layer]}"
    return layer(epsilon=1e-5, gamma_initializer=gamma, name=name)(x)


def upsample(x, filters: int, name: str, model: ModelConfig, deconv_size=KERNEL_SIZE):
    """Upsamples by 2: [batch, h, w, c] -> [batch, 2 * h, 2 * w, filters].

    Sources of `model.upsample`: "resize", Odena et al. 2016, "Deconvolution and
    checkerboard artifacts"; "subpixel", Shi et al. 2016. With `model.separable_conv`
    it resizes, as in the original.
    """
    if model.separable_conv or model.upsample == "resize":
        x = layers.UpSampling2D(2, interpolation="nearest", name=f"{name}_resize")(x)
        if model.separable_conv:
            return separable_conv(x, filters, 1, name, model.init)
        return conv(x, filters, 3, 1, "same", name, model.init)
    if model.upsample == "subpixel":
        x = conv(x, 4 * filters, 3, 1, "same", name, model.init)
        return DepthToSpace(name=f"{name}_shuffle")(x)
    return deconv(x, filters, deconv_size, name, model.init)
