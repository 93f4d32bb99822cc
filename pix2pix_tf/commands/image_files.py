"""Image files: what test mode wrote, and errors that name the file."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from pix2pix_tf.images.arrays import ImageError
from pix2pix_tf.runtime.errors import UsageError
from pix2pix_tf.runtime.files import printable


@contextlib.contextmanager
def naming(place: str | Path) -> Iterator[None]:
    """Turns the errors of reading an image into UsageError that names its place."""
    try:
        yield
    except ImageError as error:
        raise UsageError(f"{printable(place)} {error}") from None
    except OSError as error:
        reason = error.strerror or error
        raise UsageError(f"{printable(place)} cannot be read: {reason}") from None


def written_images(folder: Path, kind: str) -> dict[str, Path]:
    """Returns {name: path} of the images of one kind that test mode wrote, sorted."""
    root, ending = folder / "images", f"-{kind}.png"
    paths = sorted(root.rglob(f"*{ending}"))
    names = (path.relative_to(root).as_posix().removesuffix(ending) for path in paths)
    return dict(zip(names, paths, strict=True))


def read(path: Path, keeps_depth: bool = False) -> np.ndarray:
    """Returns uint8 [height, width, 3], or uint16 if `keeps_depth` and 8 bits are few.

    Raises:
        UsageError: it is not an image.
    """
    from pix2pix_tf.images import arrays, codecs, pixels

    with naming(path):
        image = codecs.read(path)
        is_deep = keeps_depth and not arrays.fits_8_bits(image)
        return (pixels.to_uint16 if is_deep else pixels.to_uint8)(image).numpy()
