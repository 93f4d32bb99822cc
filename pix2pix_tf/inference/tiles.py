"""Large images by tiles: overlapping tiles, normalised alike, blended without seams."""

import concurrent.futures
import dataclasses
from collections.abc import Iterator
from typing import Protocol

import keras
import numpy as np
import tensorflow as tf

from pix2pix_tf import networks
from pix2pix_tf.images import pixels
from pix2pix_tf.options import ModelConfig, check_tiling

MAX_SAMPLES = 32  # tiles, of which the statistics of an image are
BATCH = 4  # tiles
NUM_POSITIONS = 2**31  # of dropout's masks


@dataclasses.dataclass(frozen=True)
class Tiling:
    """How an image is cut into tiles.

    Attributes:
        tile: pixels, the side of a tile.
        overlap: pixels that neighbouring tiles share.
        statistics: "picture", if all tiles are normalised by the statistics of a sample
            of them; "tile", if each is normalised by its own.
    """

    tile: int
    overlap: int
    statistics: str

    def starts(self, length: int) -> list[int]:
        """Returns where the tiles along a side begin; the last one ends at its end."""
        last = max(length - self.tile, 0)
        return [*range(0, last, self.tile - self.overlap), last]

    def is_one(self, height: int, width: int) -> bool:
        """Returns True if an image fits in one tile: then it is generated untiled."""
        return max(height, width) <= self.tile

    def num_bands(self, height: int) -> int:
        """Returns the number of bands of an image."""
        return len(self.starts(height))


class Inputs(Protocol):
    """The inputs of a generator, of which windows are read."""

    height: int
    width: int

    def read(self, top: int, left: int, height: int, width: int) -> tf.Tensor:
        """Returns float32 [height, width, channels], in [-1, 1]."""


class TiledGenerator:
    """Generates images of any size by tiles; its memory depends on their width only.

    Args:
        generator: keras.Model of `networks.build_generator`, built for `tiling.tile`.
        tiling: Tiling.
    """

    def __init__(self, generator: keras.Model, tiling: Tiling):
        self._tiling, self._channels = tiling, generator.output_shape[-1]
        self._is_stored = tiling.statistics == "picture"
        if self._is_stored:
            generator = networks.with_stored_statistics(generator)
        networks.freeze(generator)
        window = self._window()
        number = tf.TensorSpec([], tf.int32)
        inputs = tf.TensorSpec([None, *generator.input_shape[1:]], tf.float32)

        @tf.function(input_signature=[inputs, number, number])
        def store_statistics(inputs, seed, position):
            networks.seed_dropout(generator, seed, position)
            generator(inputs, training=True)

        @tf.function(input_signature=[inputs, number, number])
        def generate_weighted(inputs, seed, position):
            networks.seed_dropout(generator, seed, position)
            return window * generator(inputs)

        self._store_statistics, self._generate = store_statistics, generate_weighted

    def bands(
        self, inputs: Inputs, seed: int = 0, number: int = 0, first: int = 0
    ) -> Iterator[tuple[int, np.ndarray]]:
        """Yields the outputs in bands, from the top to the bottom.

        Args:
            inputs: Inputs.
            seed: int, of dropout.
            number: int, of the image; the masks of dropout depend on it.
            first: the number of bands to leave out.

        Yields:
            (top, outputs): int, and float32 [rows, width, channels], in [-1, 1].
        """
        tile = self._tiling.tile
        tops = self._tiling.starts(inputs.height)
        lefts = self._tiling.starts(inputs.width)
        if self._is_stored:
            self._sample(inputs, seed)
        window = self._window()
        size = [tile, max(inputs.width, tile)]
        sums = np.zeros([*size, self._channels], np.float32)
        weights = np.zeros([*size, 1], np.float32)
        for row, top in enumerate(tops):
            if row >= first or top + tile > tops[first]:
                position = (number * len(tops) + row) * len(lefts)
                for left, outputs in self._row(inputs, top, lefts, seed, position):
                    sums[:, left : left + tile] += outputs
                    weights[:, left : left + tile] += window
            bottom = tops[row + 1] if row + 1 < len(tops) else inputs.height
            done = np.s_[: bottom - top, : inputs.width]
            if row >= first:
                yield top, sums[done] / weights[done]
            for buffer in (sums, weights):
                buffer[: tile - (bottom - top)] = buffer[bottom - top :]
                buffer[tile - (bottom - top) :] = 0

    def _row(self, inputs, top, lefts, seed, position):
        """Yields (left, weighted outputs) of each tile; a thread reads them ahead."""
        size = BATCH if self._is_stored else 1
        starts = range(0, len(lefts), size)

        def read(start):
            batch = lefts[start : start + size]
            return tf.stack([self._read(inputs, top, left) for left in batch])

        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            for start, tiles in zip(starts, pool.map(read, starts), strict=True):
                place = tf.constant((position + start) % NUM_POSITIONS, tf.int32)
                outputs = self._generate(tiles, tf.constant(seed), place)
                batch = lefts[start : start + size]
                yield from zip(batch, outputs.numpy(), strict=True)

    def _sample(self, inputs, seed):
        """Stores the statistics of tiles that are spread evenly over the image.

        They do not overlap: else its middle would count more than its sides.
        """
        tiling = dataclasses.replace(self._tiling, overlap=0)
        tops, lefts = map(tiling.starts, (inputs.height, inputs.width))
        places = [(top, left) for top in tops for left in lefts]
        chosen = np.linspace(0, len(places) - 1, min(len(places), MAX_SAMPLES))
        tiles = [self._read(inputs, *places[one]) for one in chosen.round().astype(int)]
        self._store_statistics(tf.stack(tiles), tf.constant(seed), tf.constant(-1))

    def _read(self, inputs, top, left):
        """Reads a tile; beyond the image it is padded by reflection."""
        tile = self._tiling.tile
        height, width = min(tile, inputs.height - top), min(tile, inputs.width - left)
        window = inputs.read(top, left, height, width)
        return pixels.pad_by_reflection(window, (tile, tile))

    def _window(self):
        """Returns the weights of a tile's pixels, small where it overlaps others."""
        tile, overlap = self._tiling.tile, self._tiling.overlap
        from_side = np.minimum(np.arange(tile), np.arange(tile)[::-1]) + 0.5
        share = np.clip(from_side / max(overlap, 1), 0, 1)
        ramp = (1 - np.cos(np.pi * share)) / 2
        return np.outer(ramp, ramp).astype(np.float32)[..., np.newaxis]


def build(
    generator: keras.Model,
    channels: tuple[int, int],
    model: ModelConfig,
    tiling: Tiling,
) -> TiledGenerator:
    """Returns a TiledGenerator with the weights of a generator.

    Args:
        generator: keras.Model of `networks.build_generator`.
        channels: (input channels, output channels).
        model: ModelConfig of the generator.
        tiling: Tiling.

    Raises:
        UsageError: the generator cannot take such tiles.
    """
    check_tiling(tiling.tile, tiling.overlap, model.multiple)
    model = dataclasses.replace(model, crop_size=tiling.tile)
    copy = networks.build_generator(channels, model)
    weights = networks.variables_by_name(generator)
    for name, variable in networks.variables_by_name(copy).items():
        variable.assign(weights[name])
    return TiledGenerator(copy, tiling)
