"""One RGB image becomes inputs and targets, and the networks' tensors become RGB.

In: side-by-side pairs and Lab colorization, both directions. Not in: files,
randomness, batching.
"""

import tensorflow as tf

from pix2pix_tf import color, images

MAX_AB = 110.0  # about the largest |a| or |b| of an sRGB colour


def split(image, pair):
    """Splits one image into inputs and targets.

    Args:
        image: float32 [height, width, 3], in [0, 1]: A left and B right with an even
            width, or for colorization one photograph.
        pair: PairConfig.

    Returns:
        (inputs, targets), float32 [height, width / 2, 3] each, in [-1, 1]; for
        colorization [height, width, 1] (lightness) and [height, width, 2] (a, b),
        or the other way round for BtoA.
    """
    if pair.lab_colorization:
        a, b = preprocess_lab(color.rgb_to_lab(image))
    else:
        half = tf.shape(image)[1] // 2
        image = images.preprocess(image)
        a, b = image[:, :half], image[:, half:]
    return (a, b) if pair.which_direction == "AtoB" else (b, a)


def split_input(image, pair):
    """Returns the inputs only, float32 in [-1, 1], of an image that has no target.

    Args:
        image: float32 [height, width, 3], in [0, 1]: the input itself, or for
            colorization a photograph.
        pair: PairConfig.
    """
    if pair.lab_colorization:
        return split(image, pair)[0]
    return images.preprocess(image)


def to_rgb(inputs, outputs, targets, pair):
    """Turns what the networks take and give into pictures.

    For colorization the lightness and the colours of one example are joined: with AtoB
    outputs get the inputs' lightness; with BtoA the inputs are shown with the
    targets' lightness, and lightness itself is shown as the gray of that lightness.

    Args:
        inputs, outputs, targets: float32 [batch, height, width, channels] in [-1, 1].
        pair: PairConfig.

    Returns:
        (inputs, outputs, targets), float32 [batch, height, width, 3] in [0, 1].
    """
    if not pair.lab_colorization:
        return tuple(images.deprocess(image) for image in (inputs, outputs, targets))
    if pair.which_direction == "AtoB":
        return (
            gray_to_rgb(inputs),
            lab_to_rgb(inputs, outputs),
            lab_to_rgb(inputs, targets),
        )
    return lab_to_rgb(targets, inputs), gray_to_rgb(outputs), gray_to_rgb(targets)


def to_pictures(inputs, outputs, targets, pair, aspect_ratio):
    """Turns what the networks take and give into the pictures that a run writes.

    Args:
        inputs, outputs, targets: float32 [batch, height, width, channels] in [-1, 1].
        pair: PairConfig.
        aspect_ratio: float, width / height of the pictures.

    Returns:
        {"inputs", "outputs", "targets": uint8 [batch, height, new width, 3]}.
    """
    kinds = ("inputs", "outputs", "targets")
    rgb = to_rgb(inputs, outputs, targets, pair)
    return {
        kind: images.to_uint8(images.stretch(picture, aspect_ratio))
        for kind, picture in zip(kinds, rgb, strict=True)
    }


def output_to_rgb(inputs, outputs, pair):
    """Returns the outputs alone as float32 [batch, height, width, 3] in [0, 1]."""
    if not pair.lab_colorization:
        return images.deprocess(outputs)
    if pair.which_direction == "AtoB":
        return lab_to_rgb(inputs, outputs)
    return gray_to_rgb(outputs)


def preprocess_lab(lab):
    """Splits float32 [..., 3] L*a*b* into lightness [..., 1] and colour [..., 2].

    Both in [-1, 1]: L / 50 - 1, and a, b / 110.
    """
    return lab[..., :1] / 50 - 1, lab[..., 1:] / MAX_AB


def deprocess_lab(lightness, ab):
    """Joins lightness [..., 1] and colour [..., 2], in [-1, 1], to L*a*b* [..., 3]."""
    return tf.concat([(lightness + 1) / 2 * 100, ab * MAX_AB], axis=-1)


def lab_to_rgb(lightness, ab):
    """Joins lightness [..., 1] and colour [..., 2], in [-1, 1], to RGB in [0, 1]."""
    return color.lab_to_rgb(deprocess_lab(lightness, ab))


def gray_to_rgb(lightness):
    """Shows lightness [..., 1] in [-1, 1] as the gray of that L*, RGB in [0, 1]."""
    return lab_to_rgb(lightness, tf.zeros_like(tf.repeat(lightness, 2, axis=-1)))
