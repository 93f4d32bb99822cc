"""The kinds of example: converts images to inputs and targets, and tensors to RGB.

An example is two images A and B (side by side or in two files), or a photograph for
colorization; or the input of either, without a target. Nothing else but the flags knows
of colorization. Finding files, augmentation and batching are elsewhere.
"""

import dataclasses
import functools
from typing import ClassVar

import tensorflow as tf

from pix2pix_tf.images import arrays, codecs, color, pixels
from pix2pix_tf.options import PairConfig
from pix2pix_tf.runtime.errors import UsageError

CHANNELS_HINT = ": give --input_channels and --target_channels those of the files"
MAX_AB = 110.0  # about the largest |a| or |b| of an sRGB colour
# All pairs that can be made of RGB images.
RGB_PAIRS = tuple(
    PairConfig(lab_colorization, which_direction)
    for lab_colorization in (False, True)
    for which_direction in ("AtoB", "BtoA")
)


def kind_of(pair: PairConfig, inputs_only: bool = False):
    """Returns the kind of example that a PairConfig selects."""
    kind = Colorization if pair.lab_colorization else Pairs
    return kind(pair, has_targets=not inputs_only)


@dataclasses.dataclass(frozen=True)
class Pairs:
    """Examples of two images A and B, one the input and one the target.

    Without targets an example is one image, the input.
    """

    pair: PairConfig
    has_targets: bool
    is_photograph: ClassVar[bool] = False

    @property
    def image_channels(self):
        """The channels of each image of an example, a tuple of int."""
        if not self.has_targets:
            return (self.pair.input_channels,)
        return _in_direction(self.pair.channels, self.pair)

    @property
    def output_channels(self):
        """The channels of an image of `to_output_images`, int."""
        return self.pair.channels[1]

    def to_tensors(self, *images):
        """Converts the images of an example to tensors for the networks.

        Args:
            images: float32 [height, width, channels] in [0, 1]: A and B, or the input.

        Returns:
            (inputs, targets) or (inputs,): float32 [height, width, channels] in
            [-1, 1].
        """
        return _in_direction(tuple(map(pixels.preprocess, images)), self.pair)

    def to_rgb(self, inputs, outputs, targets=None):
        """Converts the tensors of the networks to RGB images.

        Args:
            inputs, outputs, targets: float32 [batch, height, width, channels] in
                [-1, 1]; `targets` may be None.

        Returns:
            {"inputs", "outputs", "targets": float32 [batch, height, width, 3] in
            [0, 1]}, without "targets" if there are none.
        """
        tensors = _without_none(inputs=inputs, outputs=outputs, targets=targets)
        return {
            name: show_channels(pixels.deprocess(tensor))
            for name, tensor in tensors.items()
        }

    def to_output_images(self, inputs, outputs):
        """Converts outputs to images with all their channels.

        Args:
            inputs, outputs: float32 [batch, height, width, channels] in [-1, 1].

        Returns:
            float32 [batch, height, width, target channels] in [0, 1].
        """
        return pixels.deprocess(outputs)


@dataclasses.dataclass(frozen=True)
class Colorization:
    """Examples of one RGB photograph: A is its lightness, B its colour (a and b).

    An example without targets is a photograph too, from which the input is taken.
    """

    pair: PairConfig
    has_targets: bool
    is_photograph: ClassVar[bool] = True

    @property
    def image_channels(self):
        """The channels of each image of an example, a tuple of int."""
        return (3,)

    @property
    def output_channels(self):
        """The channels of an image of `to_output_images`, int."""
        return 3

    def to_tensors(self, photograph):
        """Converts a photograph to tensors for the networks.

        Args:
            photograph: float32 [height, width, 3], RGB in [0, 1].

        Returns:
            (inputs, targets) or (inputs,), float32 in [-1, 1]: [height, width, 1] the
            lightness, and [height, width, 2] the colour.
        """
        a_and_b = preprocess_lab(color.rgb_to_lab(photograph))
        return _in_direction(a_and_b, self.pair)[: 1 + self.has_targets]

    def to_rgb(self, inputs, outputs, targets=None):
        """Joins the lightness and the colour of each example to RGB images.

        With AtoB the inputs are shown as gray; outputs and targets are joined with the
        lightness of the inputs. With BtoA outputs and targets are shown as gray; the
        inputs are joined with the lightness of the targets, or with L* 50 if there are
        no targets.

        Args:
            inputs, outputs, targets: float32 [batch, height, width, channels] in
                [-1, 1]; `targets` may be None.

        Returns:
            {"inputs", "outputs", "targets": float32 [batch, height, width, 3] in
            [0, 1]}, without "targets" if there are none.
        """
        if self.pair.which_direction == "AtoB":
            rgb_inputs = gray_to_rgb(inputs)
            show = functools.partial(lab_to_rgb, inputs)
        else:
            lightness = tf.zeros_like(inputs[..., :1]) if targets is None else targets
            rgb_inputs = lab_to_rgb(lightness, inputs)
            show = gray_to_rgb
        tensors = _without_none(outputs=outputs, targets=targets)
        shown = {name: show(tensor) for name, tensor in tensors.items()}
        return {"inputs": rgb_inputs} | shown

    def to_output_images(self, inputs, outputs):
        """Joins outputs with their inputs to RGB images.

        Args:
            inputs, outputs: float32 [batch, height, width, channels] in [-1, 1].

        Returns:
            float32 [batch, height, width, 3] in [0, 1].
        """
        return self.to_rgb(inputs, outputs)["outputs"]


def to_images(kind, inputs, outputs, targets=None, aspect_ratio=1.0, is_deep=False):
    """Converts the tensors of the networks to the images that a run writes.

    Args:
        kind: Pairs or Colorization.
        inputs, outputs, targets: float32 [batch, height, width, channels] in [-1, 1];
            `targets` may be None.
        aspect_ratio: float, width / height of the images.
        is_deep: bool, if True the images have 16 bits.

    Returns:
        {"inputs", "outputs", "targets": uint8 or uint16 [batch, height, new width, 3]},
        without "targets" if there are none.
    """
    to_integers = pixels.to_uint16 if is_deep else pixels.to_uint8
    return {
        name: to_integers(pixels.stretch(image, aspect_ratio))
        for name, image in kind.to_rgb(inputs, outputs, targets).items()
    }


def show_channels(image):
    """Converts an image [..., channels] to RGB [..., 3].

    One channel becomes gray, two become red and green; of more than three channels, the
    first three are used.
    """
    channels = image.shape[-1]
    if channels == 1:
        return tf.repeat(image, 3, axis=-1)
    if channels == 2:
        return tf.concat([image, tf.zeros_like(image[..., :1])], axis=-1)
    return image[..., :3]


def preprocess_lab(lab):
    """Splits float32 [..., 3] L*a*b* into lightness [..., 1] and colour [..., 2].

    Both in [-1, 1]: L / 50 - 1, and a, b / 110.
    """
    return lab[..., :1] * (1 / 50) - 1, lab[..., 1:] * (1 / MAX_AB)


def deprocess_lab(lightness, ab):
    """Joins lightness [..., 1] and colour [..., 2], in [-1, 1], to L*a*b* [..., 3]."""
    return tf.concat([(lightness + 1) / 2 * 100, ab * MAX_AB], axis=-1)


def lab_to_rgb(lightness, ab):
    """Joins lightness [..., 1] and colour [..., 2], in [-1, 1], to RGB in [0, 1]."""
    return color.lab_to_rgb(deprocess_lab(lightness, ab))


def gray_to_rgb(lightness):
    """Converts lightness [..., 1] in [-1, 1] to gray, RGB [..., 3] in [0, 1]."""
    return lab_to_rgb(lightness, tf.zeros_like(tf.repeat(lightness, 2, axis=-1)))


class ExampleError(UsageError):
    """The images of an example cannot be used.

    Attributes:
        place: str, the file or the record at fault.
        reason: str, what is wrong with it, such as "is empty".
    """

    def __init__(self, place, reason):
        super().__init__(f"{place} {reason}")
        self.place, self.reason = place, reason


def read_images(parts, channels):
    """Reads the images of one example.

    Args:
        parts: list of (place, read): str, the name of the file or the record's feature
            in errors, and a function from a number of channels to an image, numpy
            float32 [height, width, channels] in [0, 1]. There is one part for each
            image, or one for two images side by side.
        channels: tuple of int, the channels of each image.

    Returns:
        list of numpy float32 [height, width, channels] in [0, 1], all of one size.

    Raises:
        ExampleError: a part cannot be read, or the images differ in size.
    """
    # For a single image the flags cannot help: its channels are fixed.
    channels_hint = CHANNELS_HINT if len(channels) == 2 else ""
    if len(parts) < len(channels):
        [(place, read)] = parts
        both = _read(place, read, max(channels), channels_hint)
        split = functools.partial(split_halves, both)
        return _read(place, split, channels, channels_hint)
    images = [
        _read(place, read, count, channels_hint)
        for (place, read), count in zip(parts, channels, strict=True)
    ]
    if len({image.shape[:2] for image in images}) > 1:
        sizes = [f"{image.shape[1]}x{image.shape[0]}" for image in images]
        raise ExampleError(
            " and ".join(place for place, _ in parts),
            f"are {' and '.join(sizes)}: wanted one size",
        )
    return images


def split_halves(image, channels):
    """Splits an image of two side by side into images A and B.

    Args:
        image: numpy float32 [height, width, channels], in [0, 1].
        channels: (of A, of B).

    Raises:
        codecs.ImageError: the width is odd, or the channels cannot be converted.
    """
    height, width, _ = image.shape
    if width < 2 or width % 2:
        raise codecs.ImageError(
            f"is {width} pixels wide and {height} high: two images side by side need "
            "an even width (images B in a folder of their own: --target_dir; "
            "photographs: --lab_colorization; inputs alone: --inputs_only)"
        )
    halves = image[:, : width // 2], image[:, width // 2 :]
    return [
        codecs.fit_channels(half, count)
        for half, count in zip(halves, channels, strict=True)
    ]


def _read(place, read, channels, channels_hint):
    """Calls `read(channels)`; adds the place to its errors."""
    try:
        return read(channels)
    except arrays.ChannelsError as error:
        raise ExampleError(place, f"{error}{channels_hint}") from None
    except (codecs.ImageError, OSError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ExampleError(place, str(reason)) from None


def _in_direction(two, pair):
    """Converts (A, B) to (input, target), or back: swaps them for BtoA."""
    return two if pair.which_direction == "AtoB" else two[::-1]


def _without_none(**tensors):
    return {name: tensor for name, tensor in tensors.items() if tensor is not None}
