"""Where examples come from: files, read in any order, and named where they fail.

In: what an example's files must be, and what is done about those that are not. Not in:
scaling, crops, batches.
"""

import concurrent.futures
import itertools
import os
from collections import Counter

import tensorflow as tf

from pix2pix_tf.data.examples import join_problems
from pix2pix_tf.images import codecs
from pix2pix_tf.runtime.errors import UsageError
from pix2pix_tf.runtime.files import printable

MAX_CHECKED = 5000  # examples; above, a damaged file is found when it is reached


class FileSource:
    """Reads examples from files, and remembers those that it could not read.

    Attributes:
        examples: list of Example.
        num_pictures: int, how many pictures `read` gives: one for colorization, or for
            inputs alone; otherwise two.
        problems: {example's name: why it cannot be used}, of all met so far.
    """

    def __init__(self, examples, data, pair):
        """Takes a list of Example, DataConfig and PairConfig."""
        self.examples = examples
        self.num_pictures = 1 if data.inputs_only or pair.lab_colorization else 2
        self.problems = {}
        self._num_found = len(examples)
        self._pair = pair
        self._inputs_only = data.inputs_only
        self._is_skipping = data.on_bad_image == "skip"

    def __len__(self):
        return len(self.examples)

    def name(self, index):
        """Returns what the pictures of an example are called."""
        return self.examples[index].name

    def shuffled(self, seed, position):
        """Returns an endless Dataset of examples, each epoch in its own order.

        Args:
            seed, position: as `shuffled` takes them.

        Returns:
            Dataset of (index, seed of the example in this epoch, *pictures): int64
            scalar, int [2], and float32 [height, width, channels] in [0, 1].
        """

        def load(index, example_seed):
            return index, example_seed, *self._pictures(self.read_or_next, index)

        places = shuffled(len(self), seed, position)
        return places.map(load, num_parallel_calls=tf.data.AUTOTUNE)

    def ordered(self):
        """Returns a Dataset of (index, *pictures), as `shuffled`, each once in order.

        With `--on_bad_image skip` those that cannot be used are left out.
        """
        indices = tf.data.Dataset.range(len(self))
        examples = indices.map(
            lambda index: (index, *self._pictures(self.read, index)),
            num_parallel_calls=tf.data.AUTOTUNE,
        )
        return examples.ignore_errors() if self._is_skipping else examples

    def count_sizes(self):
        """Returns Counter of `WIDTHxHEIGHT, N channels` of the first files."""
        paths = itertools.chain.from_iterable(
            example.paths for example in self.examples
        )
        sizes = (codecs.probe(path) for path in itertools.islice(paths, MAX_CHECKED))
        return Counter(size_text(*size) for size in sizes)

    def _pictures(self, read, index):
        """Reads one example inside a graph, by a function of an index."""
        types = [tf.float32] * self.num_pictures
        pictures = tf.numpy_function(read, [index], types, stateful=False)
        return [
            tf.ensure_shape(picture, [None, None, channels])
            for picture, channels in zip(pictures, self.channels, strict=True)
        ]

    @property
    def channels(self):
        """The channels of each picture that `read` gives."""
        if self._pair.lab_colorization:
            return (3,)
        if self._inputs_only:
            return (self._pair.input_channels,)
        return self._pair.file_channels

    def read(self, index):
        """Reads one example.

        Args:
            index: int, into `examples`.

        Returns:
            [numpy float32 [height, width, channels] in [0, 1], ...], `num_pictures`.

        Raises:
            UsageError: a file cannot be used; it is named.
        """
        example = self.examples[index]
        try:
            if self.num_pictures == 1:
                return [self._read_file(example.paths[0], *self.channels)]
            if len(example.paths) == 1:
                return self._read_halves(example.paths[0])
            return self._read_two(example.paths)
        except UsageError as error:
            if example.name not in self.problems:
                self.problems[example.name] = str(error)
                if self._is_skipping:
                    print(f"skipped: {error}", flush=True)
            raise

    def read_or_next(self, index):
        """Reads an example; of those that cannot be used, the next that can be.

        With `--on_bad_image error` there is no next one.

        Args, Returns, Raises: as `read`.
        """
        for step in range(len(self.examples)):
            try:
                return self.read((index + step) % len(self.examples))
            except UsageError:
                if not self._is_skipping:
                    raise
        raise self.error()

    def check(self):
        """Reads up to MAX_CHECKED examples before any work is done.

        With `--on_bad_image skip` those that cannot be used are left out.

        Raises:
            UsageError: one cannot be used, or with skip none can. All are named.
        """
        if len(self.examples) > MAX_CHECKED:
            return

        def is_usable(index):
            try:
                self.read(index)
            except UsageError:
                return False
            return True

        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            usable = list(pool.map(is_usable, range(len(self.examples))))
        if not all(usable) and not (self._is_skipping and any(usable)):
            raise self.error()
        self.examples = list(itertools.compress(self.examples, usable))

    def error(self):
        """Returns the UsageError that names all problems."""
        listed = join_problems(list(self.problems.values()))
        return UsageError(f"{self.count_problems()} cannot be used: {listed}")

    def count_problems(self):
        """Returns how many examples could not be used so far, as text."""
        return f"{len(self.problems)} of {self._num_found} examples"

    def _read_file(self, path, channels):
        try:
            return codecs.read(path, channels)
        except (codecs.ImageError, OSError) as error:
            reason = getattr(error, "strerror", None) or error
            raise UsageError(f"{printable(path)} {reason}") from None

    def _read_halves(self, path):
        """Reads pictures A and B side by side."""
        channels = self.channels
        try:
            return split_halves(self._read_file(path, max(channels)), channels)
        except codecs.ImageError as error:
            raise UsageError(f"{printable(path)} {error}") from None

    def _read_two(self, paths):
        """Reads pictures A and B from two files."""
        a, b = (
            self._read_file(path, count)
            for path, count in zip(paths, self.channels, strict=True)
        )
        if a.shape[:2] != b.shape[:2]:
            sizes = [f"{image.shape[1]}x{image.shape[0]}" for image in (a, b)]
            raise UsageError(
                f"{printable(paths[0])} is {sizes[0]} and {printable(paths[1])} "
                f"{sizes[1]}: wanted one size"
            )
        return [a, b]


def size_text(height, width, channels):
    """Returns a picture's size as text: `WIDTHxHEIGHT, N channels`."""
    return f"{width}x{height}, {channels} channel" + "s" * (channels > 1)


def split_halves(image, channels):
    """Returns pictures A and B of one with both side by side.

    Args:
        image: numpy float32 [height, width, channels], in [0, 1].
        channels: (of A, of B).

    Raises:
        codecs.ImageError: the width is odd, or the channels cannot be fitted.
    """
    height, width, _ = image.shape
    if width < 2 or width % 2:
        raise codecs.ImageError(
            f"is {width} pixels wide and {height} high: two pictures side by side need "
            "an even width"
        )
    halves = image[:, : width // 2], image[:, width // 2 :]
    return [
        codecs.fit_channels(half, count)
        for half, count in zip(halves, channels, strict=True)
    ]


def shuffled(num_examples, seed, position):
    """Returns an endless Dataset of indices, each epoch in an order of its own.

    Every draw is stateless: it depends on the seed, the epoch and the example only, so
    that training may go on at any position as if it had never stopped.

    Args:
        num_examples: int, in an epoch.
        seed: int, in [0, 2**31).
        position: int, how many examples training has already seen.

    Returns:
        Dataset of (index, seed of the example in this epoch): int64 scalar, int [2].
    """

    def example_at(position):
        epoch_seed = tf.random.fold_in([seed, 0], position // num_examples)
        rank, last = position % num_examples, num_examples - 1
        index = tf.random.experimental.index_shuffle(rank, epoch_seed, last)
        return index, tf.random.fold_in(epoch_seed, index)

    return tf.data.Dataset.range(position, tf.int64.max).map(example_at)
