"""4x4 convolutions of stride 2 on small images, as one matrix product each.

At 1x1 to 8x8 pixels the library's convolutions spend their time laying out weights,
which at ngf 64 are 4 to 8 million numbers a layer. Here the kernel is multiplied as it
lies in memory. Exact but for the order of sums; gradients come from TensorFlow.
"""

import tensorflow as tf
from keras import layers

# Pixels of the smaller image, above which the library's convolutions are faster.
MAX_CONV_AREA = 4
MAX_DECONV_AREA = 64


class Conv2D(layers.Conv2D):
    """Keras's, with the product for 4x4 kernels, stride 2 and few outputs."""

    def call(self, inputs):
        height, width = inputs.shape[1:3]
        is_small = height and width and height * width <= 4 * MAX_CONV_AREA
        fits = self.kernel_size == (4, 4) and self.strides == (2, 2)
        if not (is_small and fits and self.padding == "same"):
            return super().call(inputs)
        return tf.nn.bias_add(conv(inputs, self.kernel), self.bias)


class Conv2DTranspose(layers.Conv2DTranspose):
    """Keras's, with the product for 4x4 kernels, stride 2 and few inputs."""

    def call(self, inputs):
        height, width = inputs.shape[1:3]
        is_small = height and width and height * width <= MAX_DECONV_AREA
        if not (is_small and self.kernel_size == (4, 4)):
            return super().call(inputs)
        return tf.nn.bias_add(deconv(inputs, self.kernel), self.bias)


def conv(x, kernel):
    """A 4x4 convolution of stride 2, padded by one pixel, without bias.

    Args:
        x: [batch, 2 * height, 2 * width, channels].
        kernel: [4, 4, channels, filters].

    Returns:
        [batch, height, width, filters].
    """
    height, width, channels = x.shape[1] // 2, x.shape[2] // 2, x.shape[3]
    x = tf.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]])
    x = tf.reshape(x, [-1, height + 1, 2, width + 1, 2, channels])
    # Output (i, j) sees the 2x2 blocks (i, j) to (i + 1, j + 1).
    rows = tf.stack([x[:, :height], x[:, 1:]], axis=2)
    blocks = tf.stack([rows[..., :width, :, :], rows[..., 1:, :, :]], axis=5)
    # [batch, height, 2, 2, width, 2, 2, channels]: place, then the kernel's rows ...
    patches = tf.transpose(blocks, [0, 1, 4, 2, 3, 5, 6, 7])
    patches = tf.reshape(patches, [-1, 16 * channels])
    y = tf.matmul(patches, tf.reshape(kernel, [16 * channels, -1]))
    return tf.reshape(y, [-1, height, width, kernel.shape[3]])


def deconv(x, kernel):
    """The transpose of `conv`: every pixel adds its multiple of the kernel.

    Args:
        x: [batch, height, width, channels].
        kernel: [4, 4, filters, channels].

    Returns:
        [batch, 2 * height, 2 * width, filters].
    """
    height, width, channels = x.shape[1:]
    filters = kernel.shape[2]
    y = tf.matmul(
        tf.reshape(x, [-1, channels]),
        tf.reshape(kernel, [-1, channels]),
        transpose_b=True,
    )
    y = tf.reshape(y, [-1, height, width, 2, 2, 2, 2, filters])
    # The kernel's rows 0 and 1 fall into block i, its rows 2 and 3 into block i + 1.
    rows = _overlap(y[:, :, :, 0], y[:, :, :, 1], axis=1)
    y = _overlap(rows[:, :, :, :, 0], rows[:, :, :, :, 1], axis=2)
    # [batch, height + 1, width + 1, 2, 2, filters]: blocks of 2x2 pixels
    y = tf.transpose(y, [0, 1, 3, 2, 4, 5])
    y = tf.reshape(y, [-1, 2 * height + 2, 2 * width + 2, filters])
    return y[:, 1:-1, 1:-1]


def _overlap(first, second, axis):
    """Adds two tensors, the second one place further along an axis."""
    before, after = ([[0, 0] for _ in first.shape] for _ in range(2))
    before[axis], after[axis] = [0, 1], [1, 0]
    return tf.pad(first, before) + tf.pad(second, after)
