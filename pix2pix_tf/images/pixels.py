"""Image bytes and pixels: decode, encode, resize, and convert the value range.

Functions take bytes or tensors, never paths or flags. Colour spaces are in `color`.
"""

import tensorflow as tf

PNG_COMPRESSION = 1  # of 9: a third of the default's time for 5 % more bytes
JPEG_QUALITY = 80  # as the original's export
PNG_MAGIC = b"\x89PNG\r\n\x1a\n"
PNG_BITS_AT = 24  # which byte of a PNG has the bits of a sample


def decode(contents: tf.Tensor, channels: int = 3) -> tf.Tensor:
    """Decodes a PNG that `encode` wrote; `codecs` reads the files of others.

    Args:
        contents: scalar string, the file's bytes.
        channels: int, 1, 3 or 4.

    Returns:
        uint8 [height, width, channels].
    """
    image = tf.io.decode_png(contents, channels=channels)
    return tf.ensure_shape(image, [None, None, channels])


def decode_jpeg(contents: tf.Tensor) -> tf.Tensor:
    """Decodes a JPEG, scalar string, to uint8 [height, width, 1 or 3].

    TensorFlow's default, the fast DCT, is off by up to 255 beside hard edges.
    """
    return tf.io.decode_jpeg(contents, dct_method="INTEGER_ACCURATE")


def decode_png(contents: tf.Tensor, is_deep: bool) -> tf.Tensor:
    """Decodes a PNG, scalar string, to [height, width, 1 to 4].

    Args:
        is_deep: bool, True for uint16, False for uint8.
    """
    return tf.io.decode_png(contents, dtype=tf.uint16 if is_deep else tf.uint8)


def encode(image: tf.Tensor, filetype: str, quality: int = JPEG_QUALITY) -> tf.Tensor:
    """Encodes [height, width, 1, 3 or 4] as "png" or "jpeg": a scalar string.

    Args:
        image: uint8; or uint16, for a PNG of 16 bits.
        filetype: str.
        quality: int, 0 to 100, of a JPEG.
    """
    if filetype == "jpeg":
        return tf.io.encode_jpeg(image, quality=quality)
    return tf.io.encode_png(image, compression=PNG_COMPRESSION)


def to_float(image: tf.Tensor) -> tf.Tensor:
    """Maps uint8 or uint16 to float32 in [0, 1]; any shape."""
    return tf.image.convert_image_dtype(image, tf.float32)


def to_uint8(image: tf.Tensor) -> tf.Tensor:
    """Maps float32 in [0, 1] to uint8 in [0, 255], saturating; any shape."""
    return tf.image.convert_image_dtype(image, tf.uint8, saturate=True)


def to_uint16(image: tf.Tensor) -> tf.Tensor:
    """Maps float32 in [0, 1] to uint16 in [0, 65535], saturating; any shape."""
    return tf.image.convert_image_dtype(image, tf.uint16, saturate=True)


def preprocess(image: tf.Tensor) -> tf.Tensor:
    """Maps [0, 1] to the networks' [-1, 1]; any float shape."""
    return image * 2 - 1


def deprocess(image: tf.Tensor) -> tf.Tensor:
    """Maps the networks' [-1, 1] to [0, 1]; any float shape."""
    return (image + 1) / 2


def resize_area(image: tf.Tensor, size: tuple) -> tf.Tensor:
    """Resizes float32 [height, width, channels] to `size`, (height, width), by area."""
    return tf.image.resize(image, size, method="area")


def scaled_sides(height, width, size: tuple) -> tuple:
    """Returns the (height, width) of an image that is scaled to `size`.

    Args:
        height, width: of the image: int, or int64 scalars.
        size: (height, width). A height of None follows from the width, rounded down as
            in PyTorch's pix2pix; with (None, None) the image keeps its size.
    """
    new_height, new_width = size
    if new_width is None:
        return height, width
    if new_height is None:
        new_height = height * new_width // width
    return new_height, new_width


def scale(image: tf.Tensor, size: tuple) -> tf.Tensor:
    """Scales float32 [height, width, channels] by area; `size` as in `scaled_sides`."""
    if size == (None, None):
        return image
    if None not in size:  # keeps the static shape
        return resize_area(image, size)
    sides = scaled_sides(*tf.unstack(tf.shape(image, tf.int64)[:2]), size)
    return resize_area(image, tf.maximum(tf.cast(tf.stack(sides), tf.int32), 1))


def padded_side(side, multiple: int, least: int) -> tf.Tensor:
    """Returns a side rounded up to a multiple, and at least `least`, an int scalar."""
    # Rounds up; a quotient of negative numbers would be another one in ONNX.
    return tf.maximum((side + multiple - 1) // multiple * multiple, least)


def pad_by_reflection(image: tf.Tensor, size: tuple) -> tf.Tensor:
    """Pads at the bottom and the right by reflection, repeated as often as needed.

    Args:
        image: [..., height, width, channels], any type.
        size: (height, width) of the result, int or int32 scalar, not smaller.

    Returns:
        [..., *size, channels].
    """
    for axis, side in zip((-3, -2), size, strict=True):
        length = tf.shape(image)[axis]
        period = tf.maximum(2 * length - 2, 1)  # the borders are not repeated
        place = tf.range(side) % period
        image = tf.gather(image, tf.minimum(place, period - place), axis=axis)
    return image


def stretch(image: tf.Tensor, aspect_ratio: float) -> tf.Tensor:
    """Resizes the width for an aspect ratio, as the original's test mode does.

    The bicubic method is TensorFlow 1's, without half-pixel centres. In TensorFlow 2 it
    is only in `compat.v1`.

    Args:
        image: float32 [batch, height, width, channels].
        aspect_ratio: float, width / height of the result.

    Returns:
        float32 [batch, height, round(height * aspect_ratio), channels].
    """
    if aspect_ratio == 1:
        return image
    height = image.shape[1]
    return tf.compat.v1.image.resize(
        image,
        [height, round(height * aspect_ratio)],
        method=tf.compat.v1.image.ResizeMethod.BICUBIC,
    )
