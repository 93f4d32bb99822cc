"""Pictures become inputs and targets, and the networks' tensors become RGB.

In: image pairs and Lab colorization, both directions. Not in: files, randomness,
batching.
"""

import tensorflow as tf

from pix2pix_tf.images import color, pixels

MAX_AB = 110.0  # about the largest |a| or |b| of an sRGB colour


def from_sides(a, b, pair):
    """Turns pictures A and B into inputs and targets.

    Args:
        a, b: float32 [height, width, channels], in [0, 1].
        pair: PairConfig.

    Returns:
        (inputs, targets), the same in [-1, 1].
    """
    a, b = pixels.preprocess(a), pixels.preprocess(b)
    return (a, b) if pair.which_direction == "AtoB" else (b, a)


def from_photograph(image, pair):
    """Splits a photograph into lightness and colour, for colorization.

    Args:
        image: float32 [height, width, 3], RGB in [0, 1].
        pair: PairConfig.

    Returns:
        (inputs, targets), float32 in [-1, 1], [height, width, 1] (lightness) and
        [height, width, 2] (a, b); or the other way round for BtoA.
    """
    a, b = preprocess_lab(color.rgb_to_lab(image))
    return (a, b) if pair.which_direction == "AtoB" else (b, a)


def from_input(image, pair):
    """Returns the inputs only, float32 in [-1, 1], of an image that has no target.

    Args:
        image: float32 [height, width, channels], in [0, 1]: the input itself, or for
            colorization an RGB photograph.
        pair: PairConfig.
    """
    if pair.lab_colorization:
        return from_photograph(image, pair)[0]
    return pixels.preprocess(image)


def to_rgb(inputs, outputs, targets, pair):
    """Turns what the networks take and give into pictures.

    For colorization the lightness and the colours of one example are joined: with AtoB
    outputs get the inputs' lightness; with BtoA the inputs are shown with the
    targets' lightness (of middle gray, where there are no targets), and lightness
    itself is shown as the gray of that lightness. Other pictures are shown as
    `show_channels` says.

    Args:
        inputs, outputs, targets: float32 [batch, height, width, channels] in [-1, 1];
            no targets is None.
        pair: PairConfig.

    Returns:
        {"inputs", "outputs", "targets": float32 [batch, height, width, 3] in [0, 1]},
        without "targets" where there are none.
    """
    given = {"inputs": inputs, "outputs": outputs}
    if targets is not None:
        given["targets"] = targets
    if not pair.lab_colorization:
        return {
            kind: show_channels(pixels.deprocess(image))
            for kind, image in given.items()
        }
    if pair.which_direction == "AtoB":
        show, shown_inputs = lambda ab: lab_to_rgb(inputs, ab), gray_to_rgb(inputs)
    else:
        lightness = tf.zeros_like(inputs[..., :1]) if targets is None else targets
        show, shown_inputs = gray_to_rgb, lab_to_rgb(lightness, inputs)
    del given["inputs"]
    shown = {kind: show(image) for kind, image in given.items()}
    return {"inputs": shown_inputs} | shown


def show_channels(image):
    """Shows [..., channels] as RGB [..., 3].

    One channel is shown as gray, two as red and green, and of more than three (alpha,
    or any others) the first three.
    """
    channels = image.shape[-1]
    if channels == 1:
        return tf.repeat(image, 3, axis=-1)
    if channels == 2:
        return tf.concat([image, tf.zeros_like(image[..., :1])], axis=-1)
    return image[..., :3]


def to_pictures(inputs, outputs, targets, pair, aspect_ratio):
    """Turns what the networks take and give into the pictures that a run writes.

    Args:
        inputs, outputs, targets, pair: as `to_rgb`.
        aspect_ratio: float, width / height of the pictures.

    Returns:
        {kind, as `to_rgb`: uint8 [batch, height, new width, 3]}.
    """
    return {
        kind: pixels.to_uint8(pixels.stretch(picture, aspect_ratio))
        for kind, picture in to_rgb(inputs, outputs, targets, pair).items()
    }


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
