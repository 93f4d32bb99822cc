"""`--cache`: keeps decoded examples, so that each file is read and decoded once.

They are kept in memory or in a folder, as they are before anything random is done to
them, with as few bits as hold their numbers exactly.
"""

import errno
import hashlib
import io
import shutil
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import PIL
import psutil
import tensorflow as tf

from pix2pix_tf.images import codecs
from pix2pix_tf.options import IN_MEMORY
from pix2pix_tf.runtime import files, messages
from pix2pix_tf.runtime.errors import UsageError
from pix2pix_tf.version import __version__

# Bytes that the cache leaves free: memory for the step, the disk for checkpoints.
MIN_FREE = 2_000_000_000
# What else decides the decoded numbers, and the form of an entry, which is numbered.
MADE_BY = ("entry 1", __version__, tf.__version__, PIL.__version__)


def pack(image: np.ndarray) -> np.ndarray:
    """Returns an image with as few bits as hold its numbers exactly.

    Args:
        image: float32 [height, width, channels], in [0, 1].

    Returns:
        uint8, uint16 or float32 of the same shape, of which `codecs.to_float` makes
        the same bits again.
    """
    for integer in (np.uint8, np.uint16):
        packed = np.rint(image * np.iinfo(integer).max).astype(integer, order="C")
        if np.array_equal(_bits(codecs.to_float(packed)), _bits(image)):
            return packed
    return np.array(image, order="C")


def _bits(image):
    return image.view(np.uint32)  # 0.0 equals -0.0, but has other bits


class Cache:
    """Decoded examples by their names, each packed when it is first read."""

    def __init__(self, place: str):
        """Opens the cache.

        Args:
            place: the value of --cache.

        Raises:
            UsageError: the folder cannot be written to.
        """
        self._place = files.printable(place)
        self._entries = _Memory() if place == IN_MEMORY else _Folder(place)
        self._lock = threading.Lock()  # tf.data reads by several threads
        self._num_read = self._num_kept_bytes = 0
        self._is_checked = self._is_full = False

    def read(
        self, name: str, identify: Callable[[], str], read: Callable
    ) -> list[np.ndarray]:
        """Returns the images of an example: the kept ones, or those that `read` gives.

        Args:
            name: of the example, unique in this run.
            identify: () -> a text that changes with the example's contents.
            read: () -> its images, float32 [height, width, channels] in [0, 1].

        Returns:
            Images that `pack` returned.
        """
        images = self._entries.find(name, identify)
        num_bytes = 0
        if images is None:
            images = [pack(image) for image in read()]
            num_bytes = sum(image.nbytes for image in images)
            self._keep(name, images, num_bytes)
        with self._lock:
            self._num_read += 1
            self._num_kept_bytes += num_bytes
        return images

    def _keep(self, name, images, num_bytes):
        """Keeps images, if there is room; a run never ends because there is none."""
        if self._is_full:
            return
        try:
            if self._entries.num_free() - num_bytes < MIN_FREE:
                raise OSError(
                    errno.ENOSPC, f"less than {_size_text(MIN_FREE)} are left"
                )
            self._entries.keep(name, images)
        except OSError as error:
            with self._lock:
                is_told, self._is_full = self._is_full, True
            if self._is_checked and not is_told:
                messages.warn(
                    f"--cache {self._place} keeps no more examples, so that the others "
                    f"are decoded in each epoch: {error.strerror or error}"
                )

    def check_room(self, num_examples: int) -> None:
        """Raises UsageError if the examples do not fit, judged by those read so far.

        Args:
            num_examples: all of them; those read so far were read once.
        """
        mean = self._num_kept_bytes / max(self._num_read, 1)
        size = _size_text(mean * num_examples)
        free = self._entries.num_free()
        needed = mean * (num_examples - self._num_read)
        if self._is_full or needed > free - MIN_FREE:
            raise UsageError(
                f"--cache {self._place} needs about {size} for {num_examples} decoded "
                f"examples, and {_size_text(free)} are free, of which "
                f"{_size_text(MIN_FREE)} are left to the run: {self._entries.advice}"
            )
        self._is_checked = True
        messages.say(f"--cache {self._place}: about {size} to keep")


class _Memory:
    """The entries of a cache in memory."""

    advice = "leave the flag out, or give a folder on a fast disk"

    def __init__(self):
        self._images = {}

    def num_free(self):
        return psutil.virtual_memory().available

    def find(self, name, identify):
        return self._images.get(name)

    def keep(self, name, images):
        self._images[name] = images


class _Folder:
    """The entries of a cache in a folder: an .npz file for each example.

    An entry of other contents, or of another version, has another name. The zip format
    of .npz has a checksum, so that a damaged entry is noticed.
    """

    advice = "leave the flag out, or give a folder on a larger disk"

    def __init__(self, folder):
        self._folder = Path(folder)
        self._paths = {}  # of the entries, by the names of the examples
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self._folder):
                pass
        except OSError as error:
            raise UsageError(
                f"--cache {files.printable(folder)} cannot be written to: "
                f"{error.strerror}: give another folder, or {IN_MEMORY}"
            ) from None

    def num_free(self):
        return shutil.disk_usage(self._folder).free

    def find(self, name, identify):
        if name not in self._paths:  # one look at the example's files in a run
            text = "\n".join((*MADE_BY, identify()))
            digest = hashlib.sha256(text.encode(errors="surrogateescape"))
            self._paths[name] = self._folder / f"{digest.hexdigest()[:32]}.npz"
        try:
            contents = self._paths[name].read_bytes()
            with np.load(io.BytesIO(contents)) as entry:
                return [entry[key] for key in entry.files]
        except Exception:  # it does not exist, or is damaged: zipfile raises anything
            return None

    def keep(self, name, images):
        with files.writing(self._paths[name]) as partial, partial.open("wb") as file:
            np.savez(file, *images)


def _size_text(num_bytes):
    if num_bytes < 1e9:
        return f"{num_bytes / 1e6:.1f} MB"
    return f"{num_bytes / 1e9:.1f} GB"
