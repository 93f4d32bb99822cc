"""Images without pairs: from a folder or a named data set to batches of crops.

All images are held in memory, scaled: 12 KB each at 64x64.
"""

import concurrent.futures
import os
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from pix2pix_tf import data, datasets
from pix2pix_tf.data import samples
from pix2pix_tf.dcgan.options import SIZE
from pix2pix_tf.images import codecs, pixels
from pix2pix_tf.runtime.errors import UsageError


class Images(NamedTuple):
    """Images of any sizes in one tensor."""

    pixels: tf.Tensor  # uint8 [bytes of all], each image [height, width, 3] flat
    places: tf.Tensor  # int64 [count, 3]: first byte, height, width

    def __len__(self):
        return self.places.shape[0]

    def image(self, index):
        """Returns one image, uint8 [height, width, 3]."""
        start, height, width = tf.unstack(self.places[index])
        flat = self.pixels[start : start + height * width * 3]
        return tf.reshape(flat, [height, width, 3])


def read(config):
    """Returns the Images of `--input_dir`, `--dataset`, or the sample facades.

    Args:
        config: DataConfig.

    Raises:
        UsageError: they cannot be found, got or decoded.
    """
    if config.dataset is not None:
        return join(_dataset_images(config.dataset, config.scale_size))
    is_sample = config.input_dir is None
    folder = samples.sample_dir(False, "train") if is_sample else config.input_dir
    source = data.Source(data.Files(data.find_examples(folder)), channels=(3,))

    def read_one(index):
        try:
            (image,) = source.read(index)
        except UsageError:
            return None
        if is_sample:  # the photograph, without the labels on its right
            image = image[:, : image.shape[1] // 2]
        return scale(image, config.scale_size)

    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        images = list(pool.map(read_one, range(len(source))))
    if source.problems:
        raise source.error()
    return join(images)


def scale(image, scale_size):
    """Scales a image by area, until its short side has at most `scale_size` pixels.

    Smaller images stay as they are, or grow until a crop fits.

    Args:
        image: float32 [height, width, 3], in [0, 1].
        scale_size: int, pixels.

    Returns:
        numpy uint8 [new height, new width, 3].
    """
    height, width, _ = image.shape
    short = min(height, width)
    new_short = max(SIZE, min(short, scale_size))
    if new_short != short:
        sides = [round(side * new_short / short) for side in (height, width)]
        image = pixels.resize_area(image, sides)
    return pixels.to_uint8(image).numpy()


def join(images):
    """Returns the Images of a list of uint8 [height, width, 3]."""
    sizes = np.array([image.shape[:2] for image in images], np.int64)
    lengths = 3 * sizes.prod(axis=1)
    starts = np.cumsum(lengths) - lengths
    return Images(
        tf.constant(np.concatenate([image.ravel() for image in images])),
        tf.constant(np.column_stack([starts, sizes])),
    )


def train_batches(images, config, seed, position):
    """Returns an endless Dataset of (indices, crops), from `position` on.

    Args:
        images: Images.
        config: DataConfig.
        seed, position: int, as in `data.train_batches`.

    Returns:
        Dataset of int64 [batch], and float32 [batch, 32, 32, 3] in [-1, 1].
    """

    def load(index, example_seed):
        crop = random_crop(images.image(index), config.flip, example_seed)
        return index, pixels.preprocess(pixels.to_float(crop))

    crops = data.shuffled(len(images), seed, position).map(
        load, num_parallel_calls=tf.data.AUTOTUNE
    )
    batches = crops.batch(config.batch_size, drop_remainder=True)
    return batches.prefetch(tf.data.AUTOTUNE)


def random_crop(image, flip, seed):
    """Cuts 32x32 pixels out of a image; half of them are mirrored where `flip` is on.

    Args:
        image: uint8 [height, width, 3].
        flip: bool.
        seed: int [2], as tf.random.stateless_* take it.

    Returns:
        uint8 [32, 32, 3].
    """
    ends = tf.shape(image)[:2] - SIZE + 1
    draws = tf.random.stateless_uniform([2], tf.random.fold_in(seed, 1))
    y, x = tf.unstack(tf.cast(draws * tf.cast(ends, tf.float32), tf.int32))
    crop = tf.ensure_shape(image[y : y + SIZE, x : x + SIZE], [SIZE, SIZE, 3])
    if not flip:
        return crop
    draw = tf.random.stateless_uniform([], tf.random.fold_in(seed, 0))
    return tf.cond(draw < 0.5, lambda: crop[:, ::-1], lambda: crop)


def _dataset_images(name, scale_size):
    """Returns the training images of a data set that `datasets.load` knows, scaled."""
    builder = datasets.load(name)
    from pix2pix_tf.datasets import records  # here: slow, and wanted by nobody else

    if "image" not in records.image_names(builder):
        raise UsageError(
            f"--dataset {name} has no RGB or gray images: it has "
            + ", ".join(builder.info.features)
        )
    return [
        scale(codecs.from_bytes(record["image"].numpy()), scale_size)
        for record in records.records(builder, "train")
    ]
