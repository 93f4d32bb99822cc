"""4x4 convolutions in other forms than the library's: faster where forms.py says so.

All take a float x and a kernel of the same dtype, without bias, and equal TensorFlow's
own convolutions except for the order of sums. All can be differentiated twice.

- `conv`, `deconv`: matrix products with the kernel as it lies in memory. The innermost
  layers have kernels of up to 8 million numbers, which the library copies into another
  layout for each convolution.
- `conv_by_patches`, `conv_by_taps`, `conv_to_one`: of stride 1.
- `conv_blocks`, `deconv_blocks`: stride 2 as 2x2 convolutions of stride 1 between
  blocks of 2x2 pixels, with a kernel that is laid out beforehand.
"""

import itertools

import tensorflow as tf

ONE_PIXEL = [[0, 0], [1, 1], [1, 1], [0, 0]]  # paddings of `tf.pad`
TAPS = list(itertools.product(range(4), repeat=2))  # (row, column) of a kernel


@tf.custom_gradient
def conv(x, kernel):
    """Computes a 4x4 convolution of stride 2, padded by one pixel.

    [batch, 2 * h, 2 * w, channels], [4, 4, channels, filters] -> [batch, h, w, filters]
    """
    height, width = x.shape[1] // 2, x.shape[2] // 2
    channels, filters = kernel.shape[2:]
    y = tf.matmul(_patches(x), tf.reshape(kernel, [16 * channels, filters]))

    def gradient(dy):
        return deconv(dy, kernel), _kernel_gradient(x, dy)

    return tf.reshape(y, [-1, height, width, filters]), gradient


@tf.custom_gradient
def deconv(x, kernel):
    """Computes the transpose of `conv`: each pixel adds its multiple of the kernel.

    [batch, h, w, channels], [4, 4, filters, channels] -> [batch, 2 * h, 2 * w, filters]
    """
    height, width, channels = x.shape[1:]
    filters = kernel.shape[2]
    # The kernel is the first factor: as the second one, it may be copied.
    y = tf.matmul(
        tf.reshape(kernel, [16 * filters, channels]),
        tf.reshape(x, [-1, channels]),
        transpose_b=True,
    )
    # [row of a block, row inside, column of a block, column inside * filters, pixel]
    y = tf.reshape(y, [2, 2, 2, 2 * filters, -1])
    shifted = []
    for row, column in itertools.product(range(2), repeat=2):
        block = tf.transpose(tf.reshape(y[row, :, column], [4 * filters, -1]))
        block = tf.reshape(block, [-1, height, width, 4 * filters])
        sides = [[0, 0], [row, 1 - row], [column, 1 - column], [0, 0]]
        shifted.append(tf.pad(block, sides))
    images = tf.nn.depth_to_space(tf.add_n(shifted), 2)[:, 1:-1, 1:-1]

    def gradient(dy):
        return conv(dy, kernel), _kernel_gradient(dy, x)

    return images, gradient


def _kernel_gradient(large, small):
    """Returns the gradient of the kernel of `conv(large)`, given that of its output."""
    channels, filters = large.shape[3], small.shape[3]
    flat = tf.reshape(small, [-1, filters])
    product = tf.matmul(_patches(large), flat, transpose_a=True)
    return tf.reshape(product, [4, 4, channels, filters])


def _patches(x):
    """Returns the 4x4 pixels under the kernel of `conv` at each place.

    [batch, 2 * h, 2 * w, channels] -> [batch * h * w, 16 * channels]
    """
    height, width, channels = x.shape[1] // 2, x.shape[2] // 2, x.shape[3]
    x = tf.reshape(tf.pad(x, ONE_PIXEL), [-1, 2 * height + 2, width + 1, 2 * channels])
    x = tf.concat([x[:, :, :-1], x[:, :, 1:]], 3)  # four pixels of a row
    x = tf.reshape(x, [-1, height + 1, 2, width, 4 * channels])
    rows = [x[:, :-1, 0], x[:, :-1, 1], x[:, 1:, 0], x[:, 1:, 1]]
    return tf.reshape(tf.concat(rows, 3), [-1, 16 * channels])


@tf.custom_gradient
def conv_by_patches(x, kernel):
    """Computes a 4x4 convolution of stride 1, without padding, as one product.

    [batch, h, w, channels], [4, 4, channels, filters] -> [batch, h - 3, w - 3, filters]
    """
    height, width = (side - 3 for side in x.shape[1:3])
    channels, filters = kernel.shape[2:]
    windows = [
        x[:, row : row + height, column : column + width] for row, column in TAPS
    ]
    patches = tf.reshape(tf.concat(windows, 3), [-1, 16 * channels])
    y = tf.matmul(patches, tf.reshape(kernel, [16 * channels, filters]))

    def gradient(dy):
        dx = tf.raw_ops.Conv2DBackpropInput(
            input_sizes=tf.shape(x),
            filter=kernel,
            out_backprop=dy,
            strides=[1, 1, 1, 1],
            padding="VALID",
        )
        return tf.ensure_shape(dx, x.shape), _stride_1_kernel_gradient(x, dy, kernel)

    return tf.reshape(y, [-1, height, width, filters]), gradient


@tf.custom_gradient
def conv_by_taps(x, kernel):
    """Computes what `conv_by_patches` does; the gradient of x is a sum of products."""

    def gradient(dy):
        _, height, width, filters = dy.shape
        flat = tf.reshape(dy, [-1, filters])
        shifted = []
        for row, column in TAPS:
            part = tf.matmul(flat, kernel[row, column], transpose_b=True)
            part = tf.reshape(part, [-1, height, width, x.shape[3]])
            sides = [[0, 0], [row, 3 - row], [column, 3 - column], [0, 0]]
            shifted.append(tf.pad(part, sides))
        return tf.add_n(shifted), _stride_1_kernel_gradient(x, dy, kernel)

    return tf.nn.conv2d(x, kernel, 1, "VALID"), gradient


def _stride_1_kernel_gradient(x, dy, kernel):
    return tf.raw_ops.Conv2DBackpropFilter(
        input=x,
        filter_sizes=kernel.shape,
        out_backprop=dy,
        strides=[1, 1, 1, 1],
        padding="VALID",
    )


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
            for tap, (row, column) in enumerate(TAPS)
        ]
    )


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
