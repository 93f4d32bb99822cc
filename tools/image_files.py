"""Errors of image files, for the tools: each names its file."""

import contextlib
from pathlib import Path

from pix2pix_tf.images.arrays import ImageError
from pix2pix_tf.runtime.errors import UsageError
from pix2pix_tf.runtime.files import printable


@contextlib.contextmanager
def naming(place: str | Path):
    """Turns the errors of reading an image into UsageError that names its place."""
    try:
        yield
    except ImageError as error:
        raise UsageError(f"{printable(place)} {error}") from None
    except OSError as error:
        reason = error.strerror or error
        raise UsageError(f"{printable(place)} cannot be read: {reason}") from None
