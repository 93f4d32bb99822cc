"""Reading one example: its files become pictures A and B, or the file is named.

In: what an example's files must be, and what is done about those that are not. Not in:
tensors, order, crops.
"""

import concurrent.futures
import itertools
import os

from pix2pix_tf import formats
from pix2pix_tf.config import UsageError
from pix2pix_tf.data.examples import join_problems
from pix2pix_tf.files import printable

MAX_CHECKED = 5000  # examples; above, a damaged file is found when it is reached


class Reader:
    """Reads examples by their index, and remembers those that it could not read.

    Attributes:
        examples: list of Example.
        num_pictures: int, how many pictures `read` gives: one for colorization, or for
            inputs alone; otherwise two.
        problems: {example's name: why it cannot be used}, of all met so far.
    """

    def __init__(self, examples, data, pair):
        """Takes a list of Example, DataConfig and PairConfig."""
        self.examples = examples
        self.problems = {}
        self._num_found = len(examples)
        self._pair = pair
        self._inputs_only = data.inputs_only
        self._is_skipping = data.on_bad_image == "skip"
        self.num_pictures = 1 if data.inputs_only or pair.lab_colorization else 2

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
            return formats.read(path, channels)
        except (formats.ImageError, OSError) as error:
            reason = getattr(error, "strerror", None) or error
            raise UsageError(f"{printable(path)} {reason}") from None

    def _read_halves(self, path):
        """Reads pictures A and B side by side."""
        channels = self.channels
        image = self._read_file(path, max(channels))
        height, width, _ = image.shape
        if width < 2 or width % 2:
            raise UsageError(
                f"{printable(path)} is {width} pixels wide and {height} high: two "
                "pictures side by side need an even width"
            )
        halves = image[:, : width // 2], image[:, width // 2 :]
        return [
            formats.fit_channels(half, count)
            for half, count in zip(halves, channels, strict=True)
        ]

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
