"""Keras' convolution layers, which compute by the fastest form on this processor.

Each layer asks forms.py where the forms of convolutions.py are faster. Its outputs are
those of Keras' layer, except for the order of sums, and for a bias that a norm
subtracts, which a frozen layer leaves out.
"""

import math

import keras
import numpy as np
import tensorflow as tf
from keras import layers, ops

from pix2pix_tf.networks import convolutions, forms
from pix2pix_tf.runtime import precision

# Keras finds the class again when it loads a `.keras` file.
serializable = keras.saving.register_keras_serializable("pix2pix_tf")
# (kernel_size, strides, padding) of the layers that have faster forms
DOWNSAMPLING = ((4, 4), (2, 2), "same")
STRIDE_1 = ((4, 4), (1, 1), "valid")


@serializable
class Conv2D(layers.Conv2D):
    """Keras' Conv2D, in a faster form where there is one."""

    frozen_kernel = None  # tf.Variable, laid out for `call`
    adds_bias = True

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self._forms = forms.current()

    @property
    def _is_downsampling(self):
        """True for a 4x4 convolution of stride 2: it halves height and width."""
        return (self.kernel_size, self.strides, self.padding) == DOWNSAMPLING

    def freeze(self, adds_bias: bool = True) -> None:
        """Lays the kernel out for inference; later changes to it are ignored.

        Args:
            adds_bias: False if a norm subtracts the bias again.
        """
        self.adds_bias = adds_bias
        kernel = np.asarray(self.kernel).astype(self.compute_dtype)
        if self._is_downsampling and self._forms.has_conv_blocks:
            kernel = convolutions.blocks_kernel(kernel)
        _lay_out(self, kernel)

    def call(self, inputs):
        if self.frozen_kernel is not None:
            y = self._convolve(inputs, tf.convert_to_tensor(self.frozen_kernel))
            return _add_bias_unfused(y, self.bias) if self.adds_bias else y
        y = _in_fast_format(self._convolve, inputs, self.kernel)
        return tf.nn.bias_add(y, self.bias)

    def _convolve(self, x, kernel):
        if tuple(kernel.shape[:2]) != self.kernel_size:
            return convolutions.conv_blocks(x, kernel)
        is_small = _is_small(x, 4 * self._forms.conv_area)
        if self._is_downsampling and is_small and _has_large_kernel(self):
            return convolutions.conv(x, kernel)
        form = (self.kernel_size, self.strides, self.padding)
        if form == STRIDE_1 and None not in x.shape[1:]:
            return self._convolve_stride_1(x, kernel)
        return tf.nn.conv2d(x, kernel, self.strides, self.padding.upper())

    def _convolve_stride_1(self, x, kernel):
        batch, height, width, _ = x.shape
        num_patches = (batch or 1) * (height - 3) * (width - 3)
        if self.filters == 1 and self._forms.has_conv_to_one:
            return convolutions.conv_to_one(x, kernel)
        if self._forms.has_taps:
            return convolutions.conv_by_taps(x, kernel)
        is_few = num_patches <= self._forms.patches
        if x.dtype == tf.float32 and is_few and _has_large_kernel(self):
            return convolutions.conv_by_patches(x, kernel)
        return tf.nn.conv2d(x, kernel, 1, "VALID")


@serializable
class Conv2DTranspose(layers.Conv2DTranspose):
    """Keras' Conv2DTranspose, in a faster form where there is one."""

    frozen_kernel = None  # tf.Variable, laid out for `call`
    adds_bias = True

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self._forms = forms.current()

    def freeze(self, adds_bias: bool = True) -> None:
        """Lays a 4x4 kernel out for inference; later changes to it are ignored.

        Args:
            adds_bias: False if a norm subtracts the bias again.
        """
        self.adds_bias = adds_bias
        if self.kernel_size != (4, 4):
            return
        kernel = np.asarray(self.kernel).astype(self.compute_dtype)
        is_product = self._is_product(self.input)
        if not is_product and self.filters <= self._forms.deconv_blocks_filters:
            kernel = convolutions.blocks_deconv_kernel(kernel)
        _lay_out(self, kernel)

    def _is_product(self, x):
        """Returns True if `deconv` is faster for images x."""
        is_small = _is_small(x, self._forms.deconv_area)
        return self.kernel_size == (4, 4) and is_small and _has_large_kernel(self)

    def call(self, inputs):
        if self.frozen_kernel is not None:
            y = self._convolve(inputs, tf.convert_to_tensor(self.frozen_kernel))
        else:
            y = _in_fast_format(self._convolve, inputs, self.kernel)
        return tf.nn.bias_add(y, self.bias) if self.adds_bias else y

    def _convolve(self, x, kernel):
        if tuple(kernel.shape[:2]) != self.kernel_size:
            return convolutions.deconv_blocks(x, kernel)
        if self._is_product(x):
            return convolutions.deconv(x, kernel)
        return ops.conv_transpose(x, kernel, self.strides, self.padding)


@serializable
class SeparableConv2D(layers.SeparableConv2D):
    """Keras' SeparableConv2D, which can be exported."""

    is_frozen = False

    def freeze(self) -> None:
        """From now on, the graph optimizer cannot fuse the bias."""
        self.is_frozen = True

    def call(self, inputs):
        if not self.is_frozen:
            return super().call(inputs)
        kernels = self.depthwise_kernel, self.pointwise_kernel
        y = ops.separable_conv(inputs, *kernels, self.strides, self.padding)
        return _add_bias_unfused(y, self.bias)


def _add_bias_unfused(y, bias):
    """Adds a bias to [batch, height, width, filters] where TensorFlow cannot fuse it.

    If the sum goes to an activation and to a skip connection too (encoder_1), the graph
    optimizer fuses it away for the one, and fails as the other still needs it.
    """
    flat = tf.nn.bias_add(tf.reshape(y, [-1, y.shape[-1]]), bias)
    return tf.reshape(flat, tf.shape(y))


def _in_fast_format(convolve, x, kernel):
    """Convolves; if a 16-bit dtype is emulated, computes in float32 and rounds once.

    Like a processor that has the format, it multiplies numbers of 16 bits, adds up in
    float32, and rounds once. A step in bfloat16 takes 2 s instead of 16 s.
    """
    kernel = tf.convert_to_tensor(kernel)
    if not precision.is_emulated(x.dtype):
        return convolve(x, kernel)
    y = convolve(tf.cast(x, tf.float32), tf.cast(kernel, tf.float32))
    return tf.cast(y, x.dtype)


def _lay_out(layer, kernel):
    if layer.frozen_kernel is None:
        layer.frozen_kernel = tf.Variable(kernel, trainable=False)
    else:  # graphs that were traced with this variable stay valid
        layer.frozen_kernel.assign(kernel)


def _has_large_kernel(layer):
    return math.prod(layer.kernel.shape) >= forms.MIN_KERNEL


def _is_small(images, max_area):
    """Returns True if the images' size is known and at most `max_area` pixels."""
    height, width = images.shape[1:3]
    return bool(height and width and height * width <= max_area)
