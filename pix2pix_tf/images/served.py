"""Image bytes to numbers inside a graph: what an exported model does with a request.

In: JPEG and PNG, with the numbers that `codecs` reads from the same bytes, but for the
orientation of EXIF. Not in: other formats, which TensorFlow's graphs cannot decode, or
decode to other numbers than `codecs`: they are refused.
"""

import tensorflow as tf

from pix2pix_tf.images import pixels
from pix2pix_tf.images.arrays import LUMA

_JPEG_MAGIC = b"\xff\xd8\xff"
_PNG_MAGIC = b"\x89PNG\r\n\x1a\n"
_REFUSAL = "image_bytes is not a JPEG or PNG file: these two formats are served"


def decode(contents, channels):
    """Decodes a JPEG or PNG, and fits its channels as `arrays.fit_channels` does.

    Args:
        contents: scalar string tensor, the file's bytes.
        channels: int, 1, 3 or 4.

    Returns:
        float32 [height, width, channels], in [0, 1].

    Raises:
        tf.errors.InvalidArgumentError: the bytes are of another format, or damaged.
    """
    is_jpeg = _starts_with(contents, _JPEG_MAGIC)
    is_png = _starts_with(contents, _PNG_MAGIC)
    with tf.control_dependencies([tf.debugging.Assert(is_jpeg | is_png, [_REFUSAL])]):
        image = tf.cond(
            is_jpeg,
            lambda: pixels.to_float(pixels.decode_jpeg(contents)),
            lambda: _decode_png(contents),
        )
    return tf.ensure_shape(_fit_channels(image, channels), [None, None, channels])


def _starts_with(contents, magic):
    return tf.strings.substr(contents, 0, len(magic)) == magic


def _decode_png(contents):
    bits = tf.strings.substr(contents, pixels.PNG_BITS_AT, 1)
    return tf.cond(
        bits == b"\x10",
        lambda: pixels.to_float(pixels.decode_png(contents, is_deep=True)),
        lambda: pixels.to_float(pixels.decode_png(contents, is_deep=False)),
    )


def _fit_channels(image, channels):
    """As `arrays.fit_channels`, of float32 [height, width, 1 to 4], known at run time.

    Both have the same rules; a test compares them.
    """
    has = tf.shape(image)[2]
    is_gray = has < 3
    if channels == 1:
        return tf.cond(
            is_gray,
            lambda: image[..., :1],
            lambda: tf.reduce_sum(image[..., :3] * LUMA, axis=-1, keepdims=True),
        )
    color = tf.cond(
        is_gray, lambda: tf.repeat(image[..., :1], 3, axis=-1), lambda: image[..., :3]
    )
    if channels == 3:
        return color
    alpha = tf.cond(
        has % 2 == 0, lambda: image[..., -1:], lambda: tf.ones_like(image[..., :1])
    )
    return tf.concat([color, alpha], axis=-1)
