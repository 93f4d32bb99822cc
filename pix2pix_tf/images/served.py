"""Image bytes to numbers inside a graph: what an exported model does with a request.

In: JPEG and PNG, decoded to the numbers that `codecs` reads from the same bytes. Not
in: other formats, which TensorFlow's graphs cannot decode, or decode to other numbers
than `codecs`: they are refused.
"""

import tensorflow as tf

from pix2pix_tf.images import pixels
from pix2pix_tf.images.arrays import LUMA

_JPEG_MAGIC = b"\xff\xd8\xff"
_JPEG_END, _PNG_END = b"\xff\xd9", b"IEND"
_REFUSALS = (
    "image_bytes[{}] is not a JPEG or PNG file: these two formats are served",
    "image_bytes[{}] is cut off: its end is missing",
)
_EXIF_WITHIN = 1 << 18  # of so many first bytes; EXIF itself has up to 1 << 16
_MAX_PARTS = 1000  # of a file, before its pixels


def decode(contents: tf.Tensor, channels: int, index: tf.Tensor = 0) -> tf.Tensor:
    """Decodes a JPEG or PNG, turns it upright, and fits its channels, as `codecs` does.

    Args:
        contents: scalar string tensor, the file's bytes.
        channels: int, 1, 3 or 4.
        index: int, of the image in its batch, for errors. TensorFlow's own errors, of
            damage inside a file, do not name it.

    Returns:
        float32 [height, width, channels], in [0, 1].

    Raises:
        tf.errors.InvalidArgumentError: the bytes are of another format, or damaged.
    """
    is_jpeg = _starts_with(contents, _JPEG_MAGIC)
    is_png = _starts_with(contents, pixels.PNG_MAGIC)
    is_whole = tf.where(is_jpeg, _has(contents, _JPEG_END), _has(contents, _PNG_END))
    refusals = [tf.strings.format(text, [index]) for text in _REFUSALS]
    checks = [
        tf.debugging.Assert(is_jpeg | is_png, refusals[:1]),
        tf.debugging.Assert(is_whole | ~(is_jpeg | is_png), refusals[1:]),
    ]
    with tf.control_dependencies(checks):
        image = tf.cond(
            is_jpeg,
            lambda: pixels.to_float(pixels.decode_jpeg(contents)),
            lambda: _decode_png(contents),
        )
    image = _turn(image, _orientation(contents, is_jpeg))
    return tf.ensure_shape(_fit_channels(image, channels), [None, None, channels])


def _has(contents, part):
    """Returns True if some bytes occur in the file."""
    data = tf.io.decode_raw(contents, tf.uint8)
    places = tf.maximum(tf.size(data) - len(part) + 1, 0)
    matches = [data[at : at + places] == byte for at, byte in enumerate(part)]
    return tf.reduce_any(tf.reduce_all(tf.stack(matches), axis=0))


def _starts_with(contents, magic):
    return tf.strings.substr(contents, 0, len(magic)) == magic


def _decode_png(contents):
    # The byte wanted is the last of these. In a file that is cut before it, another one
    # is last: no harm, as such a file cannot be decoded.
    start = tf.strings.substr(contents, 0, pixels.PNG_BITS_AT + 1)
    return tf.cond(
        tf.strings.substr(start, -1, 1) == b"\x10",
        lambda: pixels.to_float(pixels.decode_png(contents, is_deep=True)),
        lambda: pixels.to_float(pixels.decode_png(contents, is_deep=False)),
    )


def _orientation(contents, is_jpeg):
    """Returns EXIF's number, 1 to 8, of how the camera was held; 1 where there is none.

    Source: JPEG (ITU-T T.81, annex B), PNG (third edition, 11.3.4.5), EXIF 2.3 (4.5).
    """
    start = tf.strings.substr(contents, 0, _EXIF_WITHIN)
    data = tf.io.decode_raw(start + bytes(8), tf.uint8)  # beyond the end all is 0

    def number(place, size, is_little=False):
        """The number of so many bytes at a place, or at each of several places."""
        order = tf.range(size)
        powers = tf.bitwise.left_shift(1, 8 * tf.where(is_little, order, order[::-1]))
        places = tf.clip_by_value(tf.expand_dims(place, -1), 0, tf.size(data) - 8)
        digits = tf.cast(tf.gather(data, places + order), tf.int32)
        return tf.reduce_sum(digits * powers, axis=-1)

    def is_other_segment(place):  # of a JPEG: an APPn or comment, which stand first
        is_exif = number(place + 4, 4) == _word(b"Exif")
        return (number(place, 2) >= 0xFFE0) & ~is_exif

    def is_other_chunk(place):  # of a PNG
        kind = number(place + 4, 4)
        return (kind != 0) & (kind != _word(b"IDAT")) & (kind != _word(b"eXIf"))

    def walk(place, is_other, step):
        return tf.while_loop(
            is_other,
            lambda place: [step(place)],
            [place],
            maximum_iterations=_MAX_PARTS,
        )[0]

    place = tf.cond(
        is_jpeg,
        lambda: walk(2, is_other_segment, lambda at: at + 2 + number(at + 2, 2)) + 10,
        lambda: walk(8, is_other_chunk, lambda at: at + 12 + number(at, 4)) + 8,
    )
    has_exif = tf.where(
        is_jpeg,
        number(place - 6, 4) == _word(b"Exif"),
        number(place - 4, 4) == _word(b"eXIf"),
    )
    is_little = number(place, 2) == _word(b"II")
    table = place + number(place + 4, 4, is_little)
    entries = table + 2 + 12 * tf.range(number(table, 2, is_little))
    values = number(entries + 8, 2, is_little)
    is_orientation = number(entries, 2, is_little) == 0x0112
    is_short = number(entries + 2, 2, is_little) == 3  # 16 bits, as it must be
    value = tf.reduce_max(tf.where(is_orientation & is_short, values, 1))
    return tf.where(has_exif & (value >= 1) & (value <= 8), value, 1)


def _word(characters):
    return int.from_bytes(characters, "big")


def _turn(image, orientation):
    """As `arrays.turn`, of an orientation that is known at run time."""

    def when(orientations, change):
        nonlocal image
        is_due = tf.reduce_any(orientation == orientations)
        image = tf.cond(is_due, lambda: change(image), lambda: image)

    when([5, 6, 7, 8], lambda image: tf.transpose(image, [1, 0, 2]))
    when([3, 4, 7, 8], lambda image: tf.reverse(image, [0]))
    when([2, 3, 6, 7], lambda image: tf.reverse(image, [1]))
    return image


def _fit_channels(image, channels):
    """As `arrays.fit_channels`, of an image whose channels are known at run time."""
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
