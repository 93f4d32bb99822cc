"""Where examples come from: the records of a prepared data set.

The same methods as `data.FileSource`. Records in array_record files are read in any
order, as files are; those in tfrecord files one after the other, mixed in memory.
"""

from collections import Counter

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds

from pix2pix_tf.data import shuffled, size_text, split_halves
from pix2pix_tf.datasets import records
from pix2pix_tf.images import codecs
from pix2pix_tf.runtime.errors import UsageError

BUFFER_SIZE = 10_000  # records that are mixed in memory, still encoded
NUM_SHOWN = 100  # records, whose sizes are looked at


class RecordSource:
    """Reads examples from a data set.

    Attributes:
        num_pictures: int, how many pictures an example has.
        problems: {example's name: why it cannot be used}, of all met so far.
    """

    def __init__(self, builder, split, data, pair):
        """Takes a prepared tfds builder, a split, DataConfig and PairConfig.

        Raises:
            UsageError: there is no such split or feature.
        """
        self.problems = {}
        self._builder, self._split = builder, split
        self._features = _feature_names(builder, data, pair)
        self._is_lab = pair.lab_colorization
        self.num_pictures = 1 if data.inputs_only or self._is_lab else 2
        self.channels = (3,)
        if not self._is_lab:
            self.channels = pair.file_channels
            if data.inputs_only:
                self.channels = (pair.input_channels,)
        self._read = None
        if records.has_random_access(builder):
            self._count, self._read = records.reader(builder, split)
        else:
            records.records(builder, split)  # refuses a wrong split
            self._count = builder.info.splits[split].num_examples

    def __len__(self):
        return self._count

    def name(self, index):
        """Returns what the pictures of an example are called: its number."""
        return f"{index:06d}"

    def shuffled(self, seed, position):
        """Returns an endless Dataset; Args, Returns: as `FileSource.shuffled`."""
        if self._read is None:
            return self._mixed(seed, position)

        def load(index, example_seed):
            return index, example_seed, *self._pictures(index, self._read(index))

        places = shuffled(len(self), seed, position)
        return places.map(load, num_parallel_calls=tf.data.AUTOTUNE)

    def _mixed(self, seed, position):
        """As `shuffled`, of records that can only be read one after the other."""
        first_epoch, first_place = divmod(position, len(self))

        def epoch_examples(epoch):
            epoch_seed = tf.random.fold_in([seed, 0], epoch)
            shuffle_seed = tf.random.stateless_uniform(
                [], epoch_seed, maxval=tf.int64.max, dtype=tf.int64
            )
            mixed = (
                records.records(self._builder, self._split)
                .enumerate()
                .shuffle(
                    min(len(self), BUFFER_SIZE),
                    seed=shuffle_seed,
                    reshuffle_each_iteration=False,
                )
            )
            done = tf.where(epoch == first_epoch, tf.constant(first_place, tf.int64), 0)
            return mixed.skip(done).map(
                lambda index, record: (
                    index,
                    tf.random.fold_in(epoch_seed, index),
                    record,
                )
            )

        def load(index, example_seed, record):
            return index, example_seed, *self._pictures(index, record)

        epochs = tf.data.Dataset.range(first_epoch, tf.int64.max)
        examples = epochs.flat_map(epoch_examples)
        return examples.map(load, num_parallel_calls=tf.data.AUTOTUNE)

    def ordered(self):
        """Returns a Dataset of (index, *pictures), each example once, in order."""
        found = records.records(self._builder, self._split).enumerate()
        return found.map(
            lambda index, record: (index, *self._pictures(index, record)),
            num_parallel_calls=tf.data.AUTOTUNE,
        )

    def check(self):
        """Reads the first example.

        Raises:
            UsageError: it cannot be used.
        """
        try:
            next(iter(self.ordered()), None)
        except tf.errors.OpError:
            if self.problems:
                raise self.error() from None
            raise

    def count_sizes(self):
        """Returns Counter of `WIDTHxHEIGHT, N channels` of the first pictures."""
        found = self.ordered().take(NUM_SHOWN)
        return Counter(
            size_text(*picture.shape) for _, *pictures in found for picture in pictures
        )

    def error(self):
        """Returns the UsageError that names all problems."""
        listed = "; ".join(self.problems.values())
        return UsageError(f"{self._builder.info.full_name}: {listed}")

    def count_problems(self):
        """Returns how many examples could not be used so far, as text."""
        return f"{len(self.problems)} of {len(self)} examples"

    def _pictures(self, index, record):
        """Turns a record's features into pictures, inside a graph."""
        values = [record[name] for name in self._features]
        types = [tf.float32] * self.num_pictures
        pictures = tf.numpy_function(self._decode, [index, *values], types)
        return [
            tf.ensure_shape(picture, [None, None, channels])
            for picture, channels in zip(pictures, self.channels, strict=True)
        ]

    def _decode(self, index, *values):
        """Decodes one record's features, bytes of files or arrays."""
        try:
            if self.num_pictures == 2 and len(values) == 1:
                whole = self._to_picture(values[0], max(self.channels), 0)
                return split_halves(whole, self.channels)
            return [
                self._to_picture(value, channels, number)
                for number, (value, channels) in enumerate(
                    zip(values, self.channels, strict=True)
                )
            ]
        except codecs.ImageError as error:
            self.problems[self.name(index)] = f"record {index} {error}"
            raise

    def _to_picture(self, value, channels, number):
        if isinstance(value, bytes):
            picture = codecs.from_bytes(value, channels)
        else:
            picture = codecs.fit_channels(codecs.to_float(value), channels)
        feature = self._builder.info.features[self._features[number]]
        if isinstance(feature, tfds.features.LabeledImage) and feature.num_classes:
            picture = np.minimum(picture * 255 / max(feature.num_classes - 1, 1), 1)
        return np.asarray(picture, np.float32)


def _feature_names(builder, data, pair):
    """Returns the features of an example's pictures: one, or those of A and B."""
    features = builder.info.features
    has = [
        name
        for name, feature in features.items()
        if len(feature.shape or ()) == 3 or isinstance(feature, tfds.features.Image)
    ]
    has_two = "input" in has and "target" in has
    first = data.input_feature or ("input" if has_two else "image")
    wanted = [first]
    is_pair = not pair.lab_colorization and not data.inputs_only
    if is_pair and (data.target_feature or has_two):
        wanted.append(data.target_feature or "target")
    for name, flag in zip(
        wanted, ("--input_feature", "--target_feature"), strict=False
    ):
        if name not in has:
            raise UsageError(
                f"{flag} {name} is no image of {builder.info.full_name}, which has "
                + (", ".join(has) or "none")
            )
    return wanted
