"""4x4 convolutions in the fastest forms, for training and for inference.

The layers choose a form, and the functions compute it, without bias, from a float x
and a kernel of the same dtype. Each equals TensorFlow's own convolution except for the
order of sums. Times are of ngf 64 and batch 1, on two cores with AVX2.

- Training: at 1x1 to 16x16 pixels TensorFlow spends its time on the layout of kernels,
  which have up to 8 million numbers each. One matrix product with the kernel as it lies
  in memory takes 280 ms instead of 500 ms for decoder_8 to decoder_4 with their
  gradients, 29 instead of 67 ms for encoder_6 to encoder_8, and 4 instead of 58 ms for
  layer_5, which has one filter. The gradient of layer_4's inputs, computed one position
  of the kernel at a time, takes 41 instead of 78 ms.
- Inference: `freeze` lays kernels out beforehand, so that a stride of 2 becomes a 2x2
  convolution between blocks of 2x2 pixels: 250 instead of 415 ms an image. They stay
  variables: constants of the graph gained no speed, and took 9 GB to save.
"""

import itertools

import keras
import numpy as np
import tensorflow as tf
from keras import layers, ops

from pix2pix_tf.runtime import precision

# Keras finds the class again when it loads a `.keras` file.
serializable = keras.saving.register_keras_serializable("pix2pix_tf")
# Pixels of the smaller image, above which TensorFlow's own convolutions are faster.
MAX_CONV_AREA = 16
MAX_DECONV_AREA = 256
# (kernel_size, strides, padding) of the layers that have faster forms
DOWNSAMPLING = ((4, 4), (2, 2), "same")
STRIDE_1 = ((4, 4), (1, 1), "valid")
ONE_PIXEL = [[0, 0], [1, 1], [1, 1], [0, 0]]  # paddings of `tf.pad`


@serializable
class Conv2D(layers.Conv2D):
    """Keras' Conv2D, in a faster form where there is one."""

    frozen_kernel = None  # tf.Variable, laid out for `call`

    @property
    def _is_downsampling(self):
        """True for a 4x4 convolution of stride 2: it halves height and width."""
        return (self.kernel_size, self.strides, self.padding) == DOWNSAMPLING

    def freeze(self) -> None:
        """Lays the kernel out for inference; later changes to it are ignored."""
        kernel = np.asarray(self.kernel).astype(self.compute_dtype)
        _lay_out(self, blocks_kernel(kernel) if self._is_downsampling else kernel)

    def call(self, inputs):
        if self.frozen_kernel is not None:
            return _add_bias_unfused(self._convolve_frozen(inputs), self.bias)
        y = _in_fast_format(self._convolve, inputs, self.kernel)
        return tf.nn.bias_add(y, self.bias)

    def _convolve(self, x, kernel):
        form = (self.kernel_size, self.strides, self.padding)
        if form == STRIDE_1 and None not in x.shape[1:]:
            return (conv_to_one if self.filters == 1 else conv_by_one)(x, kernel)
        if self._is_downsampling and _is_small(x, 4 * MAX_CONV_AREA):
            return conv(x, kernel)
        return tf.nn.conv2d(x, kernel, self.strides, self.padding.upper())

    def _convolve_frozen(self, inputs):
        if self._is_downsampling:
            return conv_blocks(inputs, self.frozen_kernel)
        padding = self.padding.upper()
        return tf.nn.conv2d(inputs, self.frozen_kernel, self.strides, padding)


@serializable
class Conv2DTranspose(layers.Conv2DTranspose):
    """Keras' Conv2DTranspose, in a faster form where there is one."""

    frozen_kernel = None  # tf.Variable, laid out for `call`

    def freeze(self) -> None:
        """Lays a 4x4 kernel out for inference; later changes to it are ignored."""
        if self.kernel_size == (4, 4):
            kernel = np.asarray(self.kernel).astype(self.compute_dtype)
            is_small = _is_small(self.input, MAX_DECONV_AREA)
            _lay_out(self, kernel if is_small else blocks_deconv_kernel(kernel))

    def call(self, inputs):
        if self.frozen_kernel is not None:
            is_whole = self.frozen_kernel.shape[0] == 4
            convolve = deconv if is_whole else deconv_blocks
            y = convolve(inputs, tf.convert_to_tensor(self.frozen_kernel))
        else:
            y = _in_fast_format(self._convolve, inputs, self.kernel)
        return tf.nn.bias_add(y, self.bias)

    def _convolve(self, x, kernel):
        if self.kernel_size == (4, 4) and _is_small(x, MAX_DECONV_AREA):
            return deconv(x, kernel)
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


def _is_small(images, max_area):
    """Returns True if the images' size is known and at most `max_area` pixels."""
    height, width = images.shape[1:3]
    return bool(height and width and height * width <= max_area)


def conv(x, kernel):
    """Computes a 4x4 convolution of stride 2, padded by one pixel.

    [batch, 2 * h, 2 * w, channels], [4, 4, channels, filters] -> [batch, h, w, filters]
    """
    height, width, channels = x.shape[1] // 2, x.shape[2] // 2, x.shape[3]
    x = tf.pad(x, ONE_PIXEL)
    x = tf.reshape(x, [-1, height + 1, 2, width + 1, 2, channels])
    # Output (i, j) sees the 2x2 blocks (i, j) to (i + 1, j + 1).
    rows = tf.stack([x[:, :height], x[:, 1:]], axis=2)
    blocks = tf.stack([rows[..., :width, :, :], rows[..., 1:, :, :]], axis=5)
    # -> [batch, height, width, the 4x4 pixels under the kernel as 2, 2, 2, 2, channels]
    patches = tf.transpose(blocks, [0, 1, 4, 2, 3, 5, 6, 7])
    patches = tf.reshape(patches, [-1, 16 * channels])
    y = _product(patches, tf.reshape(kernel, [16 * channels, -1]))
    return tf.reshape(y, [-1, height, width, kernel.shape[3]])


@tf.custom_gradient
def _product(x, kernel):
    """Multiplies [n, inputs] by [inputs, outputs], where n is much the smallest."""

    def gradient(dy):
        # Equals dy @ kernel^T, which would copy the whole kernel (19 ms instead of 3).
        dx = tf.transpose(tf.matmul(kernel, dy, transpose_b=True))
        return dx, tf.matmul(x, dy, transpose_a=True)

    return tf.matmul(x, kernel), gradient


def conv_to_one(x, kernel):
    """Computes a 4x4 convolution of stride 1 to one channel, without padding.

    [batch, h, w, channels], [4, 4, channels, 1] -> [batch, h - 3, w - 3, 1]
    """
    height, width = (side - 3 for side in x.shape[1:3])
    taps = tf.transpose(tf.reshape(kernel, [16, -1]))
    products = tf.tensordot(x, taps, 1)  # [batch, height, width, 16]
    return tf.add_n(
        [
            products[:, row : row + height, column : column + width, tap : tap + 1]
            for tap, (row, column) in enumerate(itertools.product(range(4), repeat=2))
        ]
    )


@tf.custom_gradient
def conv_by_one(x, kernel):
    """Computes a 4x4 convolution of stride 1, without padding.

    [batch, h, w, channels], [4, 4, channels, filters] -> [batch, h - 3, w - 3, filters]
    """

    def gradient(dy):
        _, height, width, filters = dy.shape
        flat = tf.reshape(dy, [-1, filters])
        shifted = []
        for row, column in itertools.product(range(4), repeat=2):
            part = tf.matmul(flat, kernel[row, column], transpose_b=True)
            part = tf.reshape(part, [-1, height, width, x.shape[3]])
            sides = [[0, 0], [row, 3 - row], [column, 3 - column], [0, 0]]
            shifted.append(tf.pad(part, sides))
        dkernel = tf.raw_ops.Conv2DBackpropFilter(
            input=x,
            filter_sizes=kernel.shape,
            out_backprop=dy,
            strides=[1, 1, 1, 1],
            padding="VALID",
        )
        return tf.add_n(shifted), dkernel

    return tf.nn.conv2d(x, kernel, 1, "VALID"), gradient


def deconv(x, kernel):
    """Computes the transpose of `conv`: each pixel adds its multiple of the kernel.

    [batch, h, w, channels], [4, 4, filters, channels] -> [batch, 2 * h, 2 * w, filters]
    """
    height, width, channels = x.shape[1:]
    filters = kernel.shape[2]
    # The kernel is the first factor: as the second it is copied (56 ms instead of 6).
    y = tf.matmul(
        tf.reshape(kernel, [-1, channels]),
        tf.reshape(x, [-1, channels]),
        transpose_b=True,
    )
    y = tf.reshape(tf.transpose(y), [-1, height, width, 2, 2, 2, 2, filters])
    # Rows 0 and 1 of the kernel add to block i of the outputs, rows 2 and 3 to i + 1.
    rows = _overlap(*tf.unstack(y, axis=3), axis=1)
    y = _overlap(*tf.unstack(rows, axis=4), axis=2)
    # [batch, height + 1, width + 1, 2, 2, filters] -> rows of pixels
    y = tf.transpose(y, [0, 1, 3, 2, 4, 5])
    y = tf.reshape(y, [-1, 2 * height + 2, 2 * width + 2, filters])
    return y[:, 1:-1, 1:-1]


def blocks_kernel(kernel):
    """[4, 4, channels, filters] -> [2, 2, 4 * channels, filters], for conv_blocks."""
    channels, filters = kernel.shape[2:]
    kernel = kernel.reshape(2, 2, 2, 2, channels, filters)
    return kernel.transpose(0, 2, 1, 3, 4, 5).reshape(2, 2, 4 * channels, filters)


def conv_blocks(x, kernel):
    """Computes `conv` with a kernel of `blocks_kernel`."""
    blocks = tf.nn.space_to_depth(tf.pad(x, ONE_PIXEL), 2)
    return tf.nn.conv2d(blocks, kernel, 1, "VALID")


def blocks_deconv_kernel(kernel):
    """[4, 4, filters, channels] -> [2, 2, channels, 4 * filters], for deconv_blocks."""
    filters, channels = kernel.shape[2:]
    # Of two input pixels, the first one adds the later rows of the kernel to a block.
    kernel = kernel.reshape(2, 2, 2, 2, filters, channels)[::-1, :, ::-1]
    return kernel.transpose(0, 2, 5, 1, 3, 4).reshape(2, 2, channels, 4 * filters)


def deconv_blocks(x, kernel):
    """Computes `deconv` with a kernel of `blocks_deconv_kernel`."""
    y = tf.nn.conv2d(tf.pad(x, ONE_PIXEL), kernel, 1, "VALID")
    return tf.nn.depth_to_space(y, 2)[:, 1:-1, 1:-1]


def _overlap(first, second, axis):
    """Adds two tensors, the second one shifted by one index along an axis."""
    before, after = ([[0, 0] for _ in first.shape] for _ in range(2))
    before[axis], after[axis] = [0, 1], [1, 0]
    return tf.pad(first, before) + tf.pad(second, after)
