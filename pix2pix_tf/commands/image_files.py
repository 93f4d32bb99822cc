"""Image files: what test mode wrote, and errors that name the file."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

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
