"""Images without pairs: from a folder or a named data set to batches of crops.

All images are held in memory, scaled: 12 KB each at 64x64.
"""

import concurrent.futures
import os

import numpy as np
import tensorflow as tf

from pix2pix_tf import data, datasets
from pix2pix_tf.data import samples
from pix2pix_tf.dcgan.options import SIZE, DataConfig
from pix2pix_tf.images import codecs, pixels
from pix2pix_tf.runtime.errors import UsageError


def read(config: DataConfig) -> list[np.ndarray]:
    """Returns the images of `--input_dir`, `--dataset`, or the sample facades, scaled.

    Returns:
        A uint8 [height, width, 3] for each image.

    Raises:
        UsageError: they cannot be found, downloaded or decoded.
    """
    if config.dataset is not None:
        return _read_dataset(config)
    is_sample = config.input_dir is None
    folder = samples.sample_dir(False, "train") if is_sample else config.input_dir
    source = data.Source(data.Files(data.find_examples(folder)), channels=(3,))

    def read_one(index):
        try:
            (image,) = source.read(index)
        except UsageError:  # `source` remembers it, so that all are named together
            return None
        if is_sample:  # the photograph, without the labels on its right
            image = image[:, : image.shape[1] // 2]
        return scale(image, config.scale_size)

    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        images = list(pool.map(read_one, range(len(source))))
    if source.problems:
        raise source.error()
    return images


def scale(image, scale_size: int) -> np.ndarray:
    """Scales an image by area, until its short side has at most `scale_size` pixels.

    Smaller images keep their size, or are enlarged until a crop fits.

    Args:
        image: float32 [height, width, 3], in [0, 1].
        scale_size: pixels.

    Returns:
        uint8 [new height, new width, 3].
    """
    height, width, _ = image.shape
    short = min(height, width)
    new_short = max(SIZE, min(short, scale_size))
    if new_short != short:
        sides = [round(side * new_short / short) for side in (height, width)]
        image = pixels.resize_area(image, sides)
    return pixels.to_uint8(image).numpy()


def train_batches(
    images: list[np.ndarray], config: DataConfig, seed: int, position: int
) -> tf.data.Dataset:
    """Returns an endless Dataset of training batches.

    Args:
        images: uint8 [height, width, 3] each, with sides of at least 32 pixels.
        config: DataConfig.
        seed: in [0, 2**31).
        position: number of examples that training has already seen.

    Returns:
        Dataset of (indices, crops): int64 [batch], and float32 [batch, 32, 32, 3] in
        [-1, 1].
    """

    def load(index, example_seed):
        image = tf.numpy_function(images.__getitem__, [index], tf.uint8, stateful=False)
        crop = random_crop(image, config.flip, example_seed)
        return index, pixels.preprocess(pixels.to_float(crop))

    crops = data.shuffled(len(images), seed, position).map(
        load, num_parallel_calls=tf.data.AUTOTUNE
    )
    batches = crops.batch(config.batch_size, drop_remainder=True)
    return batches.prefetch(tf.data.AUTOTUNE)


def random_crop(image, flip: bool, seed):
    """Crops 32x32 pixels at random; with `flip` half of the crops are mirrored.

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


def _read_dataset(config):
    """Returns the training images of `--dataset`, scaled."""
    builder = datasets.load(config.dataset)
    from pix2pix_tf.datasets import records  # here, because TFDS is slow to import

    if "image" not in records.image_names(builder):
        raise UsageError(
            f"--dataset {config.dataset} has no RGB or gray images: it has "
            + ", ".join(builder.info.features)
        )
    return [
        scale(codecs.from_bytes(record["image"].numpy()), config.scale_size)
        for record in records.records(builder, "train")
    ]
