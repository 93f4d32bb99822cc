"""A generator of a checkpoint, made ready for single images."""

import dataclasses
from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from pix2pix_tf import networks
from pix2pix_tf.images import kinds
from pix2pix_tf.inference import tiles
from pix2pix_tf.inference.translate import translate_image
from pix2pix_tf.options import Options
from pix2pix_tf.options.flag import sides
from pix2pix_tf.runtime import precision


class Trained:
    """A generator that can be trained further, and its copies for inference.

    The copies have test mode's fast layout of the kernels, which cannot be trained.

    Args:
        generator: keras.Model of `networks.build_generator`.
        options: Options of the generator.

    Attributes:
        generator, options: the arguments.
        size: (height, width) of all outputs; None if they differ, as in test mode.
    """

    def __init__(self, generator: keras.Model, options: Options):
        self.generator, self.options = generator, options
        self.size = None if options.is_any_size else options.image_size
        self._copies = {}  # by (size to scale to, dropout)
        self._tiled = {}  # by (tiling, dropout)

    def prepare(self, full_size: bool | None, dropout: bool) -> Callable:
        """Returns a function (image, seed, number) -> output, with today's weights.

        Args:
            full_size: if True, the output has the image's size; if False, that of the
                generator; if None, that of test mode.
            dropout: if True, dropout is on.
        """
        _, _, translate = self._prepare(self._size_of(full_size), dropout)
        return translate

    def tiled(self, tiling: tiles.Tiling, dropout: bool) -> tiles.TiledGenerator:
        """Returns a generator by tiles, with today's weights."""
        weights = [variable.numpy() for variable in self.generator.variables]
        known, tiled = self._tiled.get((tiling, dropout), ((), None))
        if tiled is None or not all(map(np.array_equal, known, weights)):
            model = dataclasses.replace(self.options.model, no_dropout=not dropout)
            with precision.in_float32():
                channels = self.options.pair.channels
                tiled = tiles.build(self.generator, channels, model, tiling)
            self._tiled[tiling, dropout] = weights, tiled
        return tiled

    def generate(self, inputs: tf.Tensor) -> tf.Tensor:
        """Maps float32 [1, height, width, channels] in [-1, 1] to outputs alike."""
        _, generate, _ = self._prepare(self.options.image_size, dropout=False)
        return generate(inputs)

    def _size_of(self, full_size):
        """Returns the (height, width) to scale to, as in `pixels.scale`."""
        if full_size is None:
            return self.options.image_size
        return (None, None) if full_size else sides(self.options.model.crop_size)

    def _prepare(self, size, dropout):
        """Returns (copy, generate, translate) of `_copy`, with today's weights."""
        key = size, dropout
        is_changed = key not in self._copies
        if is_changed:
            self._copies[key] = self._copy(*key)
        copy = self._copies[key][0]
        now = networks.variables_by_name(self.generator)
        for name, variable in networks.variables_by_name(copy).items():
            if not tf.reduce_all(tf.equal(variable, now[name])):
                variable.assign(now[name])
                is_changed = True
        if is_changed:
            networks.freeze(copy)
        return self._copies[key]

    def _copy(self, size, dropout):
        """Returns a new generator, and two functions that use it.

        They map inputs to outputs, and (image, seed, number) to an output; the second
        is compiled.
        """
        model = dataclasses.replace(self.options.model, no_dropout=not dropout)
        kind = kinds.kind_of(self.options.pair, inputs_only=True)
        is_any_size = None in size
        with precision.in_float32(), networks.without_random_kernels():
            copy = networks.build_generator(
                self.options.pair.channels, model, any_size=is_any_size
            )

        def generate(inputs):
            if is_any_size:
                return networks.generate_at_own_size(copy, inputs, model.multiple)
            return copy(inputs)

        number = tf.TensorSpec([], tf.int32)
        image = tf.TensorSpec([None, None, kind.image_channels[0]], tf.float32)

        @tf.function(input_signature=[image, number, number], autograph=False)
        def translate(image, seed, number):
            networks.seed_dropout(copy, seed, number)
            return translate_image(kind, image, size, generate)

        return copy, generate, translate
