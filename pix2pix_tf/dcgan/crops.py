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


def read(config: DataConfig) -> tf.RaggedTensor:
    """Returns the images of `--input_dir`, `--dataset`, or the sample facades, scaled.

    Returns:
        uint8 [count, height, width, 3]; height and width are those of each image.

    Raises:
        UsageError: they cannot be found, downloaded or decoded.
    """
    if config.dataset is not None:
        return stack(_read_dataset(config))
    is_sample = config.input_dir is None
    folder = samples.sample_dir(False, "train") if is_sample else config.input_dir
    examples = data.find_examples(folder)
    data.print_notices(examples, [folder])
    source = data.Source(data.Files(examples), channels=(3,))

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
    return stack(images)


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


def stack(images: list[np.ndarray]) -> tf.RaggedTensor:
    """Returns one tensor of images of any sizes, uint8 [height, width, 3] each.

    A tensor, because no Python function has to run for each example then.
    """
    heights, widths = zip(*(image.shape[:2] for image in images), strict=True)
    rows = tf.RaggedTensor.from_row_lengths(
        np.concatenate([image.reshape(-1, 3) for image in images]),
        np.repeat(widths, heights),
    )
    return tf.RaggedTensor.from_row_lengths(rows, heights)


def train_batches(
    images: tf.RaggedTensor, config: DataConfig, seed: int, position: int
) -> tf.data.Dataset:
    """Returns an endless Dataset of training batches.

    Args:
        images: uint8 [count, height, width, 3], with sides of at least 32 pixels.
        config: DataConfig.
        seed: in [0, 2**31).
        position: number of examples that training has already seen.

    Returns:
        Dataset of (indices, crops): int64 [batch], and float32 [batch, 32, 32, 3] in
        [-1, 1].
    """

    @tf.autograph.experimental.do_not_convert
    def load(index, example_seed):
        crop = data.random_crop(images[index].to_tensor(), (SIZE, SIZE), example_seed)
        crop = tf.ensure_shape(crop, [SIZE, SIZE, 3])
        if config.flip:
            crop = data.random_flip(crop, example_seed)
        return index, pixels.preprocess(pixels.to_float(crop))

    crops = data.shuffled(images.shape[0], seed, position).map(
        load, num_parallel_calls=tf.data.AUTOTUNE
    )
    return data.read_ahead(crops.batch(config.batch_size, drop_remainder=True))


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
