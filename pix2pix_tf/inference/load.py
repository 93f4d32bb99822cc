"""A trained model in Python: `load` reads it, and the Translator translates images."""

import dataclasses
import os
import threading
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from PIL import Image

from pix2pix_tf import checkpoints, networks
from pix2pix_tf.images import arrays, codecs, kinds, pixels
from pix2pix_tf.interop import convert
from pix2pix_tf.options import FLAGS, Options
from pix2pix_tf.options.flag import sides
from pix2pix_tf.runtime import precision
from pix2pix_tf.runtime.errors import UsageError


def load(path: str | Path, which_direction: str | None = None) -> "Translator":
    """Loads a trained model.

    Args:
        path: the folder of a run, its `model-best`, one checkpoint `FOLDER/model-STEP`,
            a folder of the TensorFlow 1 original, or a `.pict`, `.pth`, `.pt` or
            `.safetensors` file.
        which_direction: "AtoB" or "BtoA", for files that do not store it.

    Returns:
        Translator, to be called with an image.

    Raises:
        UsageError: the model cannot be read, or does not fit its options.
    """
    model = convert.read(path, which_direction, generator_only=True)
    with precision.in_float32():
        generator = networks.build_generator(
            model.options.pair.channels, model.options.model
        )
    variables = networks.variables_by_name(generator)
    checkpoints.check_fit(
        {name: list(variable.shape) for name, variable in variables.items()},
        {name: list(array.shape) for name, array in model.tensors.items()},
        f"{path} does not fit the networks of its options.json",
    )
    for name, variable in variables.items():
        variable.assign(model.tensors[name])
    return Translator(generator, model.options)


class Translator:
    """Translates images by a generator; the results are those of test mode.

    Each image of a batch is translated by itself, because batch statistics would mix
    them. Threads may share a Translator: their calls wait for each other.

    Args:
        generator: keras.Model of `networks.build_generator`.
        options: Options of the generator.

    Attributes:
        generator: the same Keras model, of the size `options.model.crop_size`. It can
            be trained further, exported by Keras and saved as `.keras`; a call of the
            Translator uses the weights that it has then. It has dropout in every mode,
            as it was trained.
        options: Options, such as `options.model.ngf`.
    """

    def __init__(self, generator: keras.Model, options: Options):
        self.generator, self.options = generator, options
        self._kind = kinds.kind_of(options.pair, inputs_only=True)
        self._generators = {}  # by (full_size, dropout)
        self._lock = threading.Lock()

    def __call__(self, image, full_size: bool = False, dropout: bool = False, seed=0):
        """Translates an image, or a batch of images.

        Args:
            image: the path of a file; a PIL image; or an array, [height, width,
                channels] or [batch, height, width, channels], of unsigned integers or
                of floats in [0, 1]. Colorization takes RGB or gray.
            full_size: if True, the output has the image's size; if False, images are
                scaled to the size of the generator, and so are the outputs.
            dropout: if True, dropout is on, as in test mode without `--no_dropout`.
            seed: int, of dropout, in [0, 2**31).

        Returns:
            A PIL image of 8 bits for a path or a PIL image. For an array, an array of
            the same number of dimensions: of the same type if that is uint8 or uint16,
            else float32 in [0, 1]. Outputs of colorization are RGB.

        Raises:
            UsageError: the image cannot be read, or has other channels; or the seed is
                out of bounds.
        """
        FLAGS["seed"].check(seed, "seed")
        channels = self._kind.image_channels[0]
        is_array = not isinstance(image, (str, os.PathLike, Image.Image))
        try:
            if is_array:
                found = _read_arrays(image, channels)
            elif isinstance(image, Image.Image):
                found = [codecs.from_pillow(image, channels)]
            else:
                found = [codecs.read(image, channels)]
        except (codecs.ImageError, OSError) as error:
            name = "the image" if is_array or isinstance(image, Image.Image) else image
            reason = getattr(error, "strerror", None) or error
            raise UsageError(f"{name} {reason}") from None
        outputs = self._translate(found, full_size, dropout, seed)
        if not is_array:
            return _to_pillow(outputs[0])
        outputs = np.stack(outputs) if np.ndim(image) == 4 else outputs[0]
        return _as_type(outputs, np.asarray(image).dtype)

    def _translate(self, images, full_size, dropout, seed):
        """Returns the outputs, float32 in [0, 1], of images that are such, too."""
        with self._lock:
            generate = self._up_to_date(full_size, dropout)
            key = tf.constant(seed, tf.int32)
            return [
                generate(tf.constant(image), key, tf.constant(number)).numpy()
                for number, image in enumerate(images)
            ]

    def _up_to_date(self, full_size, dropout):
        """Returns the function of `_make_generate` that has the generator's weights.

        It has a generator of its own, because test mode's fast layout of the kernels
        cannot be trained.
        """
        is_changed = (full_size, dropout) not in self._generators
        if is_changed:
            model = dataclasses.replace(self.options.model, no_dropout=not dropout)
            with precision.in_float32():
                own = networks.build_generator(
                    self.options.pair.channels, model, any_size=full_size
                )
            generate = _make_generate(own, self._kind, model, full_size)
            self._generators[full_size, dropout] = own, generate
        own, generate = self._generators[full_size, dropout]
        now = networks.variables_by_name(self.generator)
        for name, variable in networks.variables_by_name(own).items():
            if not tf.reduce_all(tf.equal(variable, now[name])):
                variable.assign(now[name])
                is_changed = True
        if is_changed:
            networks.freeze(own)
        return generate


def _make_generate(generator, kind, model, full_size):
    """Returns a compiled function (image, seed, number) -> output, in [0, 1]."""

    number = tf.TensorSpec([], tf.int32)
    image = tf.TensorSpec([None, None, kind.image_channels[0]], tf.float32)

    @tf.function(input_signature=[image, number, number])
    def generate(image, seed, number):
        networks.seed_dropout(generator, seed, number)
        [inputs] = kind.to_tensors(image)
        if full_size:
            inputs = inputs[tf.newaxis]
            outputs = networks.generate_at_own_size(generator, inputs, model.multiple)
        else:
            inputs = pixels.resize_area(inputs, sides(model.crop_size))[tf.newaxis]
            outputs = generator(inputs)
        return kind.to_output_images(inputs, outputs)[0]

    return generate


def _read_arrays(image, channels):
    """Returns [float32 [height, width, channels] in [0, 1], ...] of one or a batch."""
    image = np.asarray(image)
    if image.ndim not in (3, 4) or 0 in image.shape:
        raise UsageError(
            f"the image has the shape {image.shape}: wanted [height, width, channels] "
            "or [batch, height, width, channels]"
        )
    images = arrays.to_float(image if image.ndim == 4 else image[np.newaxis])
    return [arrays.fit_channels(one, channels) for one in images]


def _to_pillow(output):
    """Converts float32 [height, width, 1, 3 or 4] in [0, 1] to a PIL image."""
    if output.shape[2] not in (1, 3, 4):
        raise UsageError(
            f"the output has {output.shape[2]} channels, which no PIL image holds: "
            "give the image as an array"
        )
    levels = pixels.to_uint8(output).numpy()
    return Image.fromarray(levels[..., 0] if levels.shape[2] == 1 else levels)


def _as_type(outputs, dtype):
    """Converts float32 in [0, 1] to the type of the array that was given."""
    if dtype == np.uint8:
        return pixels.to_uint8(outputs).numpy()
    if dtype == np.uint16:
        return pixels.to_uint16(outputs).numpy()
    return outputs
