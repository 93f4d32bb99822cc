"""The records of a prepared data set, with images still encoded."""

import tensorflow as tf
import tensorflow_datasets as tfds

from pix2pix_tf.config import UsageError


def records(builder, split):
    """Returns the examples of a split, each once, always in the same order.

    Args:
        builder: tfds.core.DatasetBuilder, prepared.
        split: str, as `train` or `train[:10%]`.

    Returns:
        tf.data.Dataset of {feature: tensor}; of images the bytes of their files.
    """
    _check_split(builder, split)
    if has_random_access(builder):
        count, read = reader(builder, split)
        return tf.data.Dataset.range(count).map(read)
    return builder.as_dataset(
        split=split,
        decoders=_decoders(builder),
        read_config=tfds.ReadConfig(interleave_cycle_length=1, try_autocache=False),
        shuffle_files=False,
    )


def has_random_access(builder):
    """Returns whether `reader` can read it: array_record files, not tfrecord."""
    return builder.info.file_format == tfds.core.FileFormat.ARRAY_RECORD


def reader(builder, split):
    """Returns a way to any example of a split, for use in tf.data.

    Args:
        builder: tfds.core.DatasetBuilder, for which `has_random_access`.
        split: str.

    Returns:
        (count, read): int, and a function from an int64 scalar tensor in [0, count) to
        {feature: tensor} as in `records`, which has them in this order.
    """
    _check_split(builder, split)
    source = builder.as_data_source(
        split, deserialize_method=tfds.decode.DeserializeMethod.RAW_BYTES
    )
    features, decoders = builder.info.features, _decoders(builder)

    def read(index):
        example = tf.numpy_function(lambda i: source[int(i)], [index], tf.string)
        return features.deserialize_example(tf.ensure_shape(example, []), decoders)

    return len(source), read


def _check_split(builder, split):
    """Refuses a split that is not there; TFDS reads what may follow its name."""
    names = list(builder.info.splits)
    if split.partition("[")[0] not in names:
        raise UsageError(
            f"{builder.info.full_name} has no split {split}: it has {', '.join(names)}"
        )


def _decoders(builder):
    return {
        name: tfds.decode.SkipDecoding()
        for name, feature in builder.info.features.items()
        if isinstance(feature, tfds.features.Image)
    }
