"""The store of examples that are records of a prepared data set.

Records in array_record files are read in any order. Records in tfrecord files are read
one after the other, and shuffled in memory.
"""

import functools
import io
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds

from pix2pix_tf import data
from pix2pix_tf.datasets import records
from pix2pix_tf.images import codecs, kinds
from pix2pix_tf.options import DataConfig
from pix2pix_tf.runtime.errors import UsageError
from pix2pix_tf.runtime.files import printable

BUFFER_SIZE = 10_000  # records in the shuffle buffer, encoded
NUM_SHOWN = 100  # records whose image sizes are counted


class Records:
    """The store of a data set's examples, for `data.Source`.

    Attributes:
        title: the start of error messages.
        num_features: the number of features that hold an example's images, 1 or 2.
        num_checked: the number of examples that `data.Source.check` reads.
    """

    num_checked = 1  # enough for the features; the files were checked when prepared

    def __init__(
        self,
        builder: tfds.core.DatasetBuilder,
        split: str,
        config: DataConfig,
        num_images: int,
        has_names: bool = False,
        cache: data.Cache | None = None,
    ):
        """Initialises the store.

        Args:
            builder: a prepared one.
            split: as TFDS reads it.
            config: flags, which may name the features.
            num_images: those of an example, 1 or 2.
            has_names: if True, examples are called by their stored names, for which all
                records are read once.
            cache: where decoded examples are kept.

        Raises:
            UsageError: there is no such split or feature.
        """
        self.title = f"{builder.info.full_name}: "
        self.cache = cache
        self._builder, self._split = builder, split
        self._features = _feature_names(builder, config, num_images)
        self.num_features = len(self._features)
        self._read = None
        if records.has_random_access(builder):
            self._count, self._read = records.reader(builder, split)
        else:
            records.records(builder, split)  # refuses a wrong split
            self._count = builder.info.splits[split].num_examples
        self._names = self._read_names() if has_names else None

    def __len__(self):
        return self._count

    def name(self, index: int) -> str:
        """Returns the name of an example's images: the stored one, or its number."""
        return self._names[index] if self._names else f"{index:06d}"

    def _read_names(self):
        """Returns the stored names as `to_file_names` has them, or None."""
        features = dict(self._builder.info.features.items())
        if not isinstance(features.get("name"), tfds.features.Text):
            return None
        found = records.records(self._builder, self._split)
        names = found.map(lambda record: record["name"]).as_numpy_iterator()
        return to_file_names([name.decode(errors="replace") for name in names])

    def shuffled(
        self, seed: int, position: int, shard: tuple[int, int] = data.ALL
    ) -> tf.data.Dataset:
        """Returns an endless Dataset of records, in a different order in each epoch.

        Args:
            seed: in [0, 2**31).
            position: the number of examples that training has already used.
            shard: as for `data.shuffled`.

        Returns:
            Dataset of (index, seed of the example in this epoch, *values): int64
            scalar, int [2], and the features that hold images. With a cache, records
            of array_record files have no values: `read` reads what is not kept.
        """
        if self._read is None:
            return self._mixed(seed, position).shard(*shard)

        @tf.autograph.experimental.do_not_convert
        def load(index, example_seed):
            return index, example_seed, *self._values(self._read(index))

        indices = data.shuffled(len(self), seed, position, shard)
        if self.cache is not None:
            return indices
        return indices.map(load, num_parallel_calls=tf.data.AUTOTUNE)

    def _mixed(self, seed, position):
        """Returns the Dataset of `shuffled` for records without random access."""
        first_epoch, first_place = divmod(position, len(self))

        def epoch_examples(epoch):
            epoch_seed = tf.random.fold_in([seed, 0], epoch)
            shuffle_seed = tf.random.stateless_uniform(
                [], epoch_seed, maxval=tf.int64.max, dtype=tf.int64
            )
            mixed = self.ordered().shuffle(
                min(len(self), BUFFER_SIZE),
                seed=shuffle_seed,
                reshuffle_each_iteration=False,
            )
            done = tf.where(epoch == first_epoch, tf.constant(first_place, tf.int64), 0)
            return mixed.skip(done).map(
                lambda index, *values: (
                    index,
                    tf.random.fold_in(epoch_seed, index),
                    *values,
                )
            )

        epochs = tf.data.Dataset.range(first_epoch, tf.int64.max)
        return epochs.flat_map(epoch_examples)

    def ordered(self) -> tf.data.Dataset:
        """Returns a Dataset of (index, *values), each record once, in order."""
        found = records.records(self._builder, self._split).enumerate()
        return found.map(lambda index, record: (index, *self._values(record)))

    def read(self, channels: tuple[int, ...], index: int, *values) -> list[np.ndarray]:
        """Returns the images of a record's values; see `kinds.read_images`."""
        if self.cache is None:
            return self._read_images(channels, index, values)

        def read():
            found = values or [one.numpy() for one in self._values(self._read(index))]
            return self._read_images(channels, index, found)

        identify = functools.partial(self._identity, channels, index)
        kept = self.cache.read(str(index), identify, read)
        return [codecs.to_float(image) for image in kept]

    def _identity(self, channels, index):
        """Returns a text that changes when a record does, for the cache."""
        wanted = (self._split, self._features, channels, int(index))
        return f"{wanted}\n{self._prepared}"

    @functools.cached_property
    def _prepared(self):
        """A text that changes when the data set is prepared again."""
        paths = sorted(Path(self._builder.data_dir).iterdir())
        status = [(path, path.stat()) for path in paths]
        return "\n".join(
            f"{path} {one.st_size} {one.st_mtime_ns}" for path, one in status
        )

    def _read_images(self, channels, index, values):
        parts = [
            (f"{name} of record {index}", functools.partial(self._image, name, value))
            for name, value in zip(self._features, values, strict=True)
        ]
        return kinds.read_images(parts, channels)

    def is_deep(self, index, *values) -> bool:
        """Returns True if an image of a record's values has more than 8 bits."""
        return any(
            codecs.is_deep(io.BytesIO(value))
            if isinstance(value, bytes)
            else value.dtype.itemsize > 1
            for value in values
        )

    def sizes(self) -> Iterator[tuple[int, int, int]]:
        """Yields (height, width, channels) of the first stored images."""
        for _, *values in self.ordered().take(NUM_SHOWN).as_numpy_iterator():
            for value in values:
                is_file = isinstance(value, bytes)
                yield (codecs.decode(value) if is_file else value).shape

    def _values(self, record):
        return [record[name] for name in self._features]

    def _image(self, name, value, channels):
        """Returns the image of a feature's value, the bytes of a file or an array."""
        if isinstance(value, bytes):
            image = codecs.from_bytes(value, channels)
        else:
            image = codecs.fit_channels(codecs.to_float(value), channels)
        feature = self._builder.info.features[name]
        if isinstance(feature, tfds.features.LabeledImage) and feature.num_classes:
            image = np.minimum(image * 255 / max(feature.num_classes - 1, 1), 1)
        return np.asarray(image, np.float32)


def to_file_names(names: list[str]) -> list[str] | None:
    """Returns stored names without image suffixes, or with them if stems are shared.

    Returns None if they are not unique on each file system, or are not names of files:
    a data set may come from anybody, and none may lead out of the folder of outputs.
    """
    names = list(map(printable, names))
    if not all(part.strip(".") for name in names for part in name.split("/")):
        return None
    suffixes = [PurePosixPath(name).suffix for name in names]
    stems = [
        name.removesuffix(suffix) if suffix.lower() in codecs.SUFFIXES else name
        for name, suffix in zip(names, suffixes, strict=True)
    ]
    for unique in (stems, names):
        if len({data.normalize(name).lower() for name in unique}) == len(names):
            return unique
    return None


def _feature_names(builder, config, num_images):
    """Returns the features of an example's images: one, or those of A and B."""
    features = builder.info.features
    has = [
        name
        for name, feature in features.items()
        if len(feature.shape or ()) == 3 or isinstance(feature, tfds.features.Image)
    ]
    has_two = "input" in has and "target" in has
    wanted = [config.input_feature or ("input" if has_two else "image")]
    if num_images == 2 and (config.target_feature or has_two):
        wanted.append(config.target_feature or "target")
    flags = ("--input_feature", "--target_feature")
    for name, flag in zip(wanted, flags, strict=False):
        if name not in has:
            raise UsageError(
                f"{flag} {name} is not an image of {builder.info.full_name}, which has "
                + (", ".join(has) or "none")
            )
    return wanted
