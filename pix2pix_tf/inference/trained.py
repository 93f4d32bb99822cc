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
        size: (height, width) of the generator.
    """

    def __init__(self, generator: keras.Model, options: Options):
        self.generator, self.options = generator, options
        self.size = sides(options.model.crop_size)
        self._copies = {}  # by (full_size, dropout)
        self._tiled = {}  # by (tiling, dropout)

    def prepare(self, full_size: bool | None, dropout: bool) -> Callable:
        """Returns a function (image, seed, number) -> output, with today's weights.

        Args:
            full_size: if True, the output has the image's size; if False or None, that
                of the generator.
            dropout: if True, dropout is on.
        """
        key = bool(full_size), dropout
        is_new = key not in self._copies
        if is_new:
            self._copies[key] = self._copy(*key)
        copy, translate = self._copies[key]
        if self._update(copy) or is_new:
            networks.freeze(copy)
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

    def _update(self, copy):
        """Gives a copy today's weights; returns True if some had changed."""
        now = networks.variables_by_name(self.generator)
        is_changed = False
        for name, variable in networks.variables_by_name(copy).items():
            if not tf.reduce_all(tf.equal(variable, now[name])):
                variable.assign(now[name])
                is_changed = True
        return is_changed

    def _build(self, dropout, any_size=False, **changes):
        """Builds a generator like the own one, but for some changes."""
        changes["no_dropout"] = not dropout
        model = dataclasses.replace(self.options.model, **changes)
        with precision.in_float32():
            return networks.build_generator(self.options.pair.channels, model, any_size)

    def generate(self, inputs: tf.Tensor) -> tf.Tensor:
        """Maps float32 [1, height, width, channels] in [-1, 1] to outputs alike."""
        self.prepare(full_size=False, dropout=False)
        copy, _ = self._copies[False, False]
        return copy(inputs)

    def _copy(self, full_size, dropout):
        """Returns a new generator, and the compiled function that uses it."""
        model = self.options.model
        kind = kinds.kind_of(self.options.pair, inputs_only=True)
        size = None if full_size else sides(model.crop_size)
        copy = self._build(dropout, any_size=full_size)

        def generate(inputs):
            if full_size:
                return networks.generate_at_own_size(copy, inputs, model.multiple)
            return copy(inputs)

        number = tf.TensorSpec([], tf.int32)
        image = tf.TensorSpec([None, None, kind.image_channels[0]], tf.float32)

        @tf.function(input_signature=[image, number, number])
        def translate(image, seed, number):
            networks.seed_dropout(copy, seed, number)
            return translate_image(kind, image, size, generate)

        return copy, translate
