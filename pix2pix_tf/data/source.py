"""Reads examples, in order or shuffled, and handles those that cannot be read.

A store knows where examples are: `Files` here, `datasets.source.Records` for prepared
data sets. Scaling, crops and batches are in `batches`.
"""

import contextlib
import functools
import hashlib
import itertools
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import tensorflow as tf

from pix2pix_tf.data.cache import Cache
from pix2pix_tf.data.examples import (
    Example,
    FolderExamples,
    join_problems,
    normalize,
)
from pix2pix_tf.images import codecs, kinds, windows
from pix2pix_tf.runtime.errors import UsageError
from pix2pix_tf.runtime.files import printable

MIN_CROPPED = 1 << 22  # pixels of an image of which only a crop is read
ALL = (1, 0)  # the one shard that holds all examples
MAX_CHECKED = 5000  # examples; with more, a damaged file is found when it is read
NUM_SAMPLED = 100  # examples, of whose sizes follows whether all fit into a cache


class Source:
    """Reads the examples of a store, and records those that cannot be read.

    Attributes:
        channels: those of each image of an example.
        problems: the errors found so far, by the names of the examples.
        why_unfit: None, or a function from the (height, width) of an example's images
            to the reason why it cannot be used, "" for none.
        first_batch: the number of its first batch: 0, except of a part of a folder.
        deep: the examples that `ordered` has read so far and that are stored with more
            than 8 bits.
    """

    def __init__(
        self,
        store,
        channels: tuple[int, ...],
        on_bad_image: str | None = None,
        why_unfit: Callable[[int, int], str] | None = None,
    ):
        """Initialises the source.

        Args:
            store: Files, or an object with the same methods.
            on_bad_image: "skip" leaves out examples that cannot be read, and in
                training reads the next one instead. "error" raises an error; so does
                None, for a source without the flag.
            why_unfit: the attribute.
        """
        self.channels = channels
        self.why_unfit = why_unfit
        self.problems: dict[str, kinds.ExampleError] = {}
        self.first_batch = 0
        self.deep: set[int] = set()
        self._store = store
        self._num_found = len(store)
        self._on_bad_image = on_bad_image
        self._is_skipping = on_bad_image == "skip"

    def __len__(self):
        return len(self._store)

    def name(self, index: int) -> str:
        """Returns the name of an example's images."""
        return self._store.name(index)

    def fingerprint(self) -> dict:
        """Returns {"count": int, "names_hash": str}, which change with the examples.

        The hash is the SHA-256 of the names in their order, one a line, in hexadecimal.
        """
        digest = hashlib.sha256()
        for index in range(len(self)):  # one by one: there may be millions
            line = f"\n{self.name(index)}" if index else self.name(index)
            digest.update(os.fsencode(normalize(line)))
        return {"count": len(self), "names_hash": digest.hexdigest()}

    def shuffled(
        self, seed: int, position: int, shard: tuple[int, int] = ALL
    ) -> tf.data.Dataset:
        """Returns an endless Dataset of examples, in a different order in each epoch.

        Args:
            seed: in [0, 2**31).
            position: the number of examples that training has already used.
            shard: as for the function `shuffled`.

        Returns:
            Dataset of (index, seed of the example in this epoch, *images): int64
            scalar, the example that was read; int [2]; and float32 [height, width,
            channels] in [0, 1].
        """
        read = self._read_or_next if self._is_skipping else self._read_one

        @tf.autograph.experimental.do_not_convert
        def load(index, example_seed, *values):
            index, *images = self._call(read, index, values)
            return index, example_seed, *images

        examples = self._store.shuffled(seed, position, shard)
        return examples.map(load, num_parallel_calls=tf.data.AUTOTUNE)

    def ordered(self) -> tf.data.Dataset:
        """Returns a Dataset of (index, *images) as in `shuffled`, each once, in order.

        With `--on_bad_image skip` examples that cannot be read are left out.
        """
        read = self._read_or_none if self._is_skipping else self._read_one

        def note_depth(index, *values):
            index, *images = read(index, *values)
            if index >= 0 and self._store.is_deep(index, *values):
                self.deep.add(int(index))
            return index, *images

        @tf.autograph.experimental.do_not_convert
        def load(index, *values):
            return self._call(note_depth, index, values)

        @tf.autograph.experimental.do_not_convert
        def is_read(index, *_):
            return index >= 0

        examples = self._store.ordered().map(load, num_parallel_calls=tf.data.AUTOTUNE)
        return examples.filter(is_read) if self._is_skipping else examples

    def _call(self, read, index, values):
        """Calls a Python function that reads an example inside a graph."""
        types = [tf.int64] + [tf.float32] * len(self.channels)
        index, *images = tf.numpy_function(
            read, [index, *values], types, stateful=False
        )
        return tf.ensure_shape(index, []), *(
            tf.ensure_shape(image, [None, None, channels])
            for image, channels in zip(images, self.channels, strict=True)
        )

    def _read_one(self, index, *values):
        return index, *self.read(index, *values)

    def _read_or_next(self, index, *values):
        """Reads an example or, if it cannot be read, the next; returns its index."""
        for step in range(len(self)):
            with contextlib.suppress(kinds.ExampleError):
                return self._read_one((index + step) % len(self), *values)
        return self._read_one(index, *values)  # raises

    def _read_or_none(self, index):
        """Reads an example; returns the index -1 if it cannot be read."""
        try:
            return self._read_one(index)
        except kinds.ExampleError:
            images = [np.empty([0, 0, count], np.float32) for count in self.channels]
            return np.int64(-1), *images

    def read(self, index: int, *values) -> list[np.ndarray]:
        """Reads one example, outside of graphs.

        Args:
            values: the other elements of the store's datasets.

        Returns:
            Images, float32 [height, width, channels] in [0, 1].

        Raises:
            ExampleError: it cannot be used; the file or record is named.
        """
        try:
            images = self._store.read(self.channels, index, *values)
            if self.why_unfit and (reason := self.why_unfit(*images[0].shape[:2])):
                raise kinds.ExampleError(printable(self.name(index)), reason)
            return images
        except kinds.ExampleError as error:
            if self.name(index) not in self.problems:
                self.problems[self.name(index)] = error
                if self._is_skipping:
                    print(f"skipped: {error}", flush=True)
            raise

    def check(self):
        """Reads the store's first examples before any work is done.

        With `--on_bad_image skip` those that cannot be used are left out.

        Raises:
            UsageError: an example cannot be used; or, with skip, none can; or there is
                no room for all in the store's cache.
        """
        if self._store.cache is not None:
            sample = self._store.shuffled(0, 0).take(min(len(self), NUM_SAMPLED))
            sample = sample.map(lambda index, _, *values: (index, *values))
            is_whole = self._store.num_checked >= len(self)
            if not (all(self._find_usable(sample)) or self._is_skipping or is_whole):
                raise self.error()  # which the check below might not find
            self._store.cache.check_room(len(self))
        usable = self._find_usable(self._store.ordered().take(self._store.num_checked))
        if all(usable):
            return
        if not (self._is_skipping and any(usable)):
            raise self.error()
        self._store.keep(usable)

    def _find_usable(self, examples):
        """Reads the examples of a Dataset of the store; returns whether each is usable.

        Returns:
            list of bool.
        """

        def is_usable(index, *values):
            try:
                self.read(index, *values)
            except kinds.ExampleError:
                return False
            return True

        @tf.autograph.experimental.do_not_convert
        def check_one(*example):
            return tf.numpy_function(is_usable, [*example], tf.bool, stateful=False)

        checked = examples.map(check_one, num_parallel_calls=os.cpu_count())
        return list(checked.as_numpy_iterator())

    def count_sizes(self) -> Counter:
        """Returns Counter of `WIDTHxHEIGHT, N channels` of the first stored images."""
        return Counter(
            f"{width}x{height}, {channels} channel" + "s" * (channels > 1)
            for height, width, channels in self._store.sizes()
        )

    def image_sizes(self) -> set[tuple[int, int]]:
        """Returns the (height, width) of the images of the first stored examples."""
        num_abreast = len(self.channels) // self._store.num_features
        return {
            (height, width // num_abreast) for height, width, _ in self._store.sizes()
        }

    def error(self) -> UsageError:
        """Returns a UsageError that counts and names all problems found so far."""
        problems = sorted(
            (error.place, error.reason) for error in self.problems.values()
        )
        text = (
            f"{self._store.title}{self._count_problems()} cannot be used: "
            f"{join_problems(problems)}"
        )
        if self._on_bad_image == "error" and len(problems) < self._num_found:
            text += "; --on_bad_image skip leaves them out"
        return UsageError(text)

    def skipped(self) -> str | None:
        """Returns the number of skipped examples as text, or None if there are none."""
        is_any = self._is_skipping and self.problems
        return self._count_problems() if is_any else None

    def _count_problems(self):
        return f"{len(self.problems)} of {self._num_found} examples"


class Files:
    """The store of examples that are files."""

    title = ""  # the start of error messages

    def __init__(
        self,
        examples: Sequence[Example],
        window: tuple[int, int] | None = None,
        cache: Cache | None = None,
    ):
        """Initialises the store.

        Args:
            examples: from `find_examples`.
            window: (height, width) of the random crops that are all that is used. Of
                large images `read` then gives only the crop: of a TIFF, the rest is
                not decoded.
            cache: where decoded examples are kept, whole.
        """
        self.examples = examples
        self.window = window
        self.cache = cache

    def __len__(self):
        return len(self.examples)

    def name(self, index: int) -> str:
        """Returns the name of an example's images."""
        if isinstance(self.examples, FolderExamples):
            return self.examples.name(index)  # without the paths, which take longer
        return self.examples[index].name

    @property
    def num_features(self) -> int:
        """The number of files that hold an example's images, 1 or 2."""
        return len(self.examples[0].paths)

    @property
    def num_checked(self) -> int:
        """The number of examples that `check` reads: all, or 0 of too many."""
        return len(self) if len(self) <= MAX_CHECKED else 0

    def keep(self, is_kept: list[bool]):
        """Keeps only the examples for which `is_kept` is True."""
        self.examples = list(itertools.compress(self.examples, is_kept))

    def shuffled(
        self, seed: int, position: int, shard: tuple[int, int] = ALL
    ) -> tf.data.Dataset:
        """Returns an endless Dataset; see the function `shuffled`.

        With a window, an element has the seed of its example twice: `read` wants it.
        """
        examples = shuffled(len(self), seed, position, shard)
        if self.window is None:
            return examples

        @tf.autograph.experimental.do_not_convert
        def repeat_seed(index, seed):
            return index, seed, seed

        return examples.map(repeat_seed)

    def ordered(self) -> tf.data.Dataset:
        """Returns a Dataset of the indices, int64, in order."""
        return tf.data.Dataset.range(len(self))

    def read(
        self, channels: tuple[int, ...], index: int, seed=(0, 0)
    ) -> list[np.ndarray]:
        """Returns the images of an example, or a crop; see `kinds.read_images`.

        Args:
            seed: int [2], of the place of the crop, if the store has a window.
        """
        paths = self.examples[index].paths
        if self.cache is not None:
            whole = self.cache.read(
                self.name(index),
                identify=lambda: _identity(paths, channels),
                read=lambda: _read(paths, channels),
            )
            return [codecs.to_float(image) for image in self._cut(whole, seed)]
        if self.window is not None:
            if crops := _find_crops(paths, len(channels), self.window, seed):
                return _read(paths, channels, functools.partial(_read_crops, crops))
        return _read(paths, channels)

    def _cut(self, images, seed):
        """Returns the crops that `read` gives of large images, else all of each."""
        height, width = images[0].shape[:2]
        if self.window is None or height * width < MIN_CROPPED:
            return images
        if height < self.window[0] or width < self.window[1]:
            return images
        top, left = crop_place((height, width), self.window, seed).numpy().tolist()
        rows = slice(top, top + self.window[0])
        columns = slice(left, left + self.window[1])
        return [image[rows, columns] for image in images]

    def is_deep(self, index) -> bool:
        """Returns True if a file of an example has more than 8 bits."""
        for path in self.examples[index].paths:
            with path.open("rb") as file:
                if codecs.is_deep(file):
                    return True
        return False

    def sizes(self) -> Iterator[tuple[int, int, int]]:
        """Yields (height, width, channels) of the first files that can be read."""
        paths = (path for example in self.examples for path in example.paths)
        for path in itertools.islice(paths, MAX_CHECKED):
            with contextlib.suppress(codecs.ImageError, OSError):
                yield codecs.probe(path)


def _read(paths, channels, read=codecs.read):
    """Returns the images of an example, each of its files read by `read`."""
    parts = [(printable(path), functools.partial(read, path)) for path in paths]
    return kinds.read_images(parts, channels)


def _identity(paths, channels):
    """Returns a text that changes when the files of an example do, for the cache."""
    lines = [repr(channels)]
    for path in paths:
        try:
            status = path.stat()
        except OSError as error:
            raise kinds.ExampleError(printable(path), error.strerror) from None
        lines.append(f"{os.path.abspath(path)}\n{status.st_size} {status.st_mtime_ns}")
    return "\n".join(lines)


def _find_crops(paths, num_images, window, seed):
    """Returns where to crop the images of each file, (top, left, height, width) each.

    Returns None for what is read whole: small images, and those that have no such crop
    or cannot be used, for which whole reading has the padding and the errors.
    """
    try:
        sizes = {codecs.probe(path)[:2] for path in paths}
    except (codecs.ImageError, OSError):
        return None
    height, width = sizes.pop()
    num_beside = num_images // len(paths)  # images side by side in a file
    if sizes or width % num_beside or height * width < MIN_CROPPED:
        return None
    width //= num_beside
    if height < window[0] or width < window[1]:
        return None
    top, left = crop_place((height, width), window, seed).numpy().tolist()
    return [(top, left + place * width, *window) for place in range(num_beside)]


def _read_crops(crops, path, channels):
    """Reads crops of one file, side by side."""
    with windows.open_image(path, channels) as image:
        return np.concatenate([image.read(*crop) for crop in crops], axis=1)


def crop_place(sides, size: tuple[int, int], seed) -> tf.Tensor:
    """Returns the random place of a crop, int32 [2]: its top row and its left column.

    Args:
        sides: int32 [2], the height and width of the image.
        size: (height, width) of the crop.
        seed: int [2], on which the place depends, beside the sizes.
    """
    # floor(U[0, n)): 286 to 256 gives offsets 0 to 30.
    draws = tf.random.stateless_uniform([2], tf.random.fold_in(seed, 1))
    ends = tf.cast(tf.convert_to_tensor(sides) - size + 1, tf.float32)
    return tf.cast(draws * ends, tf.int32)


def shuffled(
    num_examples: int, seed: int, position: int, shard: tuple[int, int] = ALL
) -> tf.data.Dataset:
    """Returns an endless Dataset of indices, in a different order in each epoch.

    All random numbers are stateless: they depend only on the seed, the epoch and the
    example, so training that resumes at any position sees the same examples.

    Args:
        num_examples: those in an epoch.
        seed: in [0, 2**31).
        position: the number of examples that training has already used.
        shard: (number of shards, number of this one from 0), for processes that train
            together: the first examples of all shards are those after `position`, and
            so on.

    Returns:
        Dataset of (index, seed of the example in this epoch): int64 scalar, int [2].
    """

    @tf.autograph.experimental.do_not_convert
    def example_at(position):
        epoch_seed = tf.random.fold_in([seed, 0], position // num_examples)
        rank, last = position % num_examples, num_examples - 1
        index = tf.random.experimental.index_shuffle(rank, epoch_seed, last)
        return index, tf.random.fold_in(epoch_seed, index)

    positions = tf.data.Dataset.range(position, tf.int64.max).shard(*shard)
    return positions.map(example_at)
