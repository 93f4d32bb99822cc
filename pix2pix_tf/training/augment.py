"""Differentiable augmentation of what the discriminator sees, for `--diffaug`.

Real and generated pairs are changed at random before the discriminator judges them, in
both updates, and the generator's gradient goes through the changes. So few images do
not become known to the discriminator by heart, and the changes do not leak into the
outputs. The other losses see the images unchanged.

Source: Zhao et al. 2020, "Differentiable augmentation for data-efficient GAN training".
Bounds and the order are those of the authors' code.
"""

import tensorflow as tf

SHIFT = 1 / 8  # of the side: the largest translation
HOLE = 1 / 2  # of the side: the square that cutout makes gray
NUM_DRAWS = 7  # of each example: 3 of colour, 2 of translation, 2 of cutout


def augment(images, policy: tuple[str, ...], key) -> list[tf.Tensor]:
    """Changes the images of each example alike.

    An example's input, target and output get the same draws, so that a pair stays a
    pair, and real and generated pairs differ by what the generator did alone. The means
    that contrast and saturation keep are those of each image.

    Args:
        images: list of float32 [batch, height, width, channels] in [-1, 1], of one
            size; channels may differ.
        policy: `LossConfig.diffaug_policy`.
        key: int [2], the seed of all draws.

    Returns:
        A list like `images`. Colour may leave [-1, 1].
    """
    batch = tf.shape(images[0])[0]
    # Philox by name: XLA would choose another generator than TensorFlow.
    draws = tf.random.stateless_uniform([NUM_DRAWS, batch], key, alg="philox")
    draws = tf.unstack(draws)
    changed = list(images)
    if "color" in policy:
        changed = [_recolor(image, *draws[:3]) for image in changed]
    if "translation" in policy:
        changed = [_translate(image, *draws[3:5]) for image in changed]
    if "cutout" in policy:
        changed = [_cut_out(image, *draws[5:7]) for image in changed]
    return changed


# Each draw is float32 [batch], in [0, 1).


def _recolor(images, brightness, saturation, contrast):
    """Shifts all values by up to 0.5; scales their distances from two means.

    Saturation scales the distance of each channel from the mean of a pixel's channels,
    by 0 to 2; contrast, that of each value from the mean of the image, by 0.5 to 1.5.
    """
    brightness, saturation, contrast = (
        draw[:, tf.newaxis, tf.newaxis, tf.newaxis]
        for draw in (brightness, saturation, contrast)
    )
    images = images + (brightness - 0.5)
    gray = tf.reduce_mean(images, axis=3, keepdims=True)
    images = gray + (images - gray) * (2 * saturation)
    mean = tf.reduce_mean(images, axis=[1, 2, 3], keepdims=True)
    return mean + (images - mean) * (contrast + 0.5)


def _translate(images, down, right):
    """Moves images by whole pixels, up to SHIFT each way; what comes in is 0, gray."""
    for axis, draw in ((1, down), (2, right)):
        side = tf.shape(images)[axis]
        largest = _part(side, SHIFT)
        shift = _draw_whole(draw, -largest, largest)
        places = tf.range(side) - shift[:, tf.newaxis]  # [batch, side]: where it was
        is_inside = (places >= 0) & (places < side)
        places = tf.clip_by_value(places, 0, side - 1)
        images = tf.gather(images, places, axis=axis, batch_dims=1)
        images *= _along(axis, tf.cast(is_inside, tf.float32))
    return images


def _cut_out(images, row, column):
    """Sets a rectangle of HOLE of both sides to 0, gray; it may lie partly outside."""
    is_hole = 1.0
    for axis, draw in ((1, row), (2, column)):
        side = tf.shape(images)[axis]
        hole = _part(side, HOLE)
        middle = _draw_whole(draw, 0, side - hole % 2)
        start = (middle - hole // 2)[:, tf.newaxis]
        places = tf.range(side)
        inside = tf.cast((places >= start) & (places < start + hole), tf.float32)
        is_hole *= _along(axis, inside)
    return images * (1 - is_hole)


def _part(side, share):
    """Returns a share of a side in pixels, rounded, int32."""
    return tf.cast(tf.cast(side, tf.float32) * share + 0.5, tf.int32)


def _draw_whole(draw, lowest, highest):
    """Returns int32 [batch], from `lowest` to `highest`, each as likely."""
    count = tf.cast(highest - lowest + 1, tf.float32)
    return lowest + tf.cast(draw * count, tf.int32)


def _along(axis, values):
    """[batch, side] -> [batch, side, 1, 1] or [batch, 1, side, 1]."""
    other = 3 - axis
    return tf.expand_dims(tf.expand_dims(values, other), 3)
