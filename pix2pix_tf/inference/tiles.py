"""Large images by tiles: overlapping tiles, normalised alike, blended without seams."""

import collections
import concurrent.futures
import contextlib
import dataclasses
import itertools
from collections.abc import Iterator
from typing import Protocol

import keras
import numpy as np
import tensorflow as tf

from pix2pix_tf import networks
from pix2pix_tf.images import pixels
from pix2pix_tf.options import ModelConfig, check_tiling

MAX_SAMPLES = 32  # tiles, of which the statistics of an image are
BATCH = 2  # tiles
NUM_AHEAD = 3  # batches that are read, and that are generated, before they are needed
NUM_POSITIONS = 2**31  # of dropout's masks
GOLDEN_RATIO = 0.6180339887  # its multiples are spread evenly between whole numbers


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

    def weights(self, length: int) -> np.ndarray:
        """Returns how much the tiles along a side count at each of their pixels.

        They are float32 [tiles, tile]. Each pixel's sum to 1. The outer quarter of an
        overlap does not count: it has most of the zeros that pad a tile.
        """
        from_side = np.minimum(np.arange(self.tile), np.arange(self.tile)[::-1]) + 0.5
        share = np.clip((from_side / max(self.overlap, 1) - 0.25) / 0.75, 0, 1)
        ramp = (1 - np.cos(np.pi * share)) / 2 + 1e-6  # above 0, for an image's border
        starts = self.starts(length)
        sums = np.zeros(max(length, self.tile))
        for start in starts:
            sums[start : start + self.tile] += ramp
        shares = [ramp / sums[start : start + self.tile] for start in starts]
        return np.array(shares, np.float32)

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
        # Batches at once. Dropout's seeds are variables: two batches would mix them up.
        has_dropout = any(
            isinstance(layer, keras.layers.Dropout) for layer in generator.layers
        )
        self._num_workers = 1 if has_dropout else 2
        if self._is_stored:
            generator = networks.with_stored_statistics(generator)
        networks.freeze(generator)
        number = tf.TensorSpec([], tf.int32)
        inputs = tf.TensorSpec([None, *generator.input_shape[1:]], tf.float32)
        weights = tf.TensorSpec([None, tiling.tile], tf.float32)
        signature = [inputs, weights, weights, number, number]

        @tf.function(input_signature=signature, autograph=False)
        def store_statistics(inputs, rows, columns, seed, position):
            networks.seed_dropout(generator, seed, position)
            weights = rows[:, :, tf.newaxis] * columns[:, tf.newaxis]
            networks.store_statistics(generator, inputs, weights[..., tf.newaxis])

        @tf.function(input_signature=signature, autograph=False)
        def generate_weighted(inputs, rows, columns, seed, position):
            networks.seed_dropout(generator, seed, position)
            weights = rows[:, :, tf.newaxis] * columns[:, tf.newaxis]
            return weights[..., tf.newaxis] * generator(inputs)

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
        if first == len(tops):
            return
        if self._is_stored:
            self._sample(inputs, seed)
        needed = [row for row, top in enumerate(tops) if top + tile > tops[first]]
        rows = self._rows(inputs, needed, seed, number * len(tops))
        size = [tile, max(inputs.width, tile), self._channels]
        sums = np.zeros(size, np.float32)
        for row, bottom in zip(
            needed, [*tops, inputs.height][needed[0] + 1 :], strict=True
        ):
            for left, outputs in next(rows):
                sums[:, left : left + tile] += outputs
            num_rows = bottom - tops[row]
            if row >= first:
                yield tops[row], sums[:num_rows, : inputs.width]
            rest = sums[num_rows:]
            sums = np.zeros(size, np.float32)
            sums[: len(rest)] = rest

    def _rows(self, inputs, rows, seed, row_number):
        """Yields an iterator of (left, weighted outputs) for each row of tiles.

        Threads read and generate tiles while earlier ones are blended and written.
        """
        lefts = self._tiling.starts(inputs.width)
        size = BATCH if self._is_stored else 1
        starts = range(0, len(lefts), size)

        def read(place):
            row, start = place
            columns = range(start, min(start + size, len(lefts)))
            batch = self._read(inputs, [(row, column) for column in columns])
            return (row_number + row) * len(lefts) + start, batch

        def generate(numbered):
            position, batch = numbered
            position = tf.constant(position % NUM_POSITIONS, tf.int32)
            return np.asarray(self._generate(*batch, tf.constant(seed), position))

        with contextlib.ExitStack() as stack:
            places = itertools.product(rows, starts)
            for function, workers in ((read, 1), (generate, self._num_workers)):
                pool = concurrent.futures.ThreadPoolExecutor(workers)
                places = _map_ahead(stack.enter_context(pool), function, places)
            for _ in rows:
                batches = itertools.islice(places, len(starts))
                yield zip(lefts, itertools.chain.from_iterable(batches), strict=True)

    def _sample(self, inputs, seed):
        """Stores the statistics of up to MAX_SAMPLES tiles.

        They are all, or spread evenly over the image. Each pixel counts as where the
        tiles are blended: little near the border of a tile, which zeros pad.
        """
        rows = len(self._tiling.starts(inputs.height))
        columns = len(self._tiling.starts(inputs.width))
        places = list(np.ndindex(rows, columns))
        if len(places) > MAX_SAMPLES:
            numbers = np.arange(MAX_SAMPLES)
            chosen_rows = (numbers + 0.5) / MAX_SAMPLES * rows
            chosen_columns = (numbers + 0.5) * GOLDEN_RATIO % 1 * columns
            chosen = np.int32([chosen_rows, chosen_columns]).T
            places = np.unique(chosen, axis=0).tolist()
        batch = self._read(inputs, places)
        self._store_statistics(*batch, tf.constant(seed), tf.constant(-1))

    def _read(self, inputs, places):
        """Reads the tiles at (row, column); beyond the image they are reflections.

        Returns:
            (tiles, weights of their rows, weights of their columns): float32, [batch,
            tile, tile, channels] and twice [batch, tile].
        """
        tile = self._tiling.tile
        tops, lefts = map(self._tiling.starts, (inputs.height, inputs.width))
        height, width = min(tile, inputs.height), min(tile, inputs.width)
        tiles = [
            inputs.read(tops[row], lefts[column], height, width)
            for row, column in places
        ]
        rows, columns = np.transpose(places)
        return (
            tf.stack([pixels.pad_by_reflection(one, (tile, tile)) for one in tiles]),
            tf.constant(self._tiling.weights(inputs.height)[rows]),
            tf.constant(self._tiling.weights(inputs.width)[columns]),
        )


def _map_ahead(pool, function, arguments):
    """Yields function's results in order; NUM_AHEAD of them are computed ahead."""
    results = collections.deque()
    for argument in arguments:
        results.append(pool.submit(function, argument))
        if len(results) > NUM_AHEAD:
            yield results.popleft().result()
    while results:
        yield results.popleft().result()


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
