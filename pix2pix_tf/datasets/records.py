"""Reads the records of a prepared data set, without decoding the images."""

import contextlib
from collections.abc import Callable

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds

from pix2pix_tf.datasets.download import first_line
from pix2pix_tf.runtime.errors import UsageError


def records(builder: tfds.core.DatasetBuilder, split: str) -> tf.data.Dataset:
    """Returns the examples of a split, each once, always in the same order.

    Args:
        builder: a prepared one.
        split: as TFDS reads it: `train`, `train[:10%]`, `train+val`.

    Returns:
        tf.data.Dataset of {feature: tensor}; features in `image_names` are encoded.

    Raises:
        UsageError: there is no such split.
    """
    if has_random_access(builder):  # TFDS has no as_dataset for these
        count, read = reader(builder, split)
        return tf.data.Dataset.range(count).map(read)
    with _usage_errors(builder, split):
        return builder.as_dataset(
            split=split,
            decoders=_decoders(builder),
            read_config=tfds.ReadConfig(interleave_cycle_length=1, try_autocache=False),
            shuffle_files=False,
        )


def reader(builder: tfds.core.DatasetBuilder, split: str) -> tuple[int, Callable]:
    """Returns a function that reads any example of a split, for use in tf.data.

    Args:
        builder: one for which `has_random_access`.
        split: as in `records`.

    Returns:
        (count, read): the number of examples, and a function from an int64 scalar
        tensor in [0, count) to {feature: tensor}, in the form and order of `records`.

    Raises:
        UsageError: there is no such split.
    """
    with _usage_errors(builder, split):
        source = builder.as_data_source(
            split, deserialize_method=tfds.decode.DeserializeMethod.RAW_BYTES
        )
    features, decoders = builder.info.features, _decoders(builder)

    def read(index):
        example = tf.numpy_function(lambda i: source[int(i)], [index], tf.string)
        example = tf.ensure_shape(example, [])
        return features.deserialize_example(example, decoders=decoders)

    return len(source), read


def has_random_access(builder: tfds.core.DatasetBuilder) -> bool:
    """Returns True if `reader` can read it, which needs array_record files."""
    return builder.info.file_format == tfds.core.FileFormat.ARRAY_RECORD


def image_names(builder: tfds.core.DatasetBuilder) -> list[str]:
    """Returns the names of the features that are 8-bit RGB or gray images."""
    return [
        name
        for name, feature in sorted(builder.info.features.items())
        if isinstance(feature, tfds.features.Image)
        and feature.shape[-1] in (1, 3)
        and feature.dtype == np.uint8
    ]


def _decoders(builder):
    return {name: tfds.decode.SkipDecoding() for name in image_names(builder)}


@contextlib.contextmanager
def _usage_errors(builder, split):
    try:
        yield
    except (KeyError, ValueError) as error:
        raise UsageError(
            f"{builder.info.full_name} has no split {split}: {first_line(error)}"
        ) from None
