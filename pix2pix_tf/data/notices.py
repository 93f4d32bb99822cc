"""What a command says at its start about files that it may not read as was meant."""

import contextlib
import itertools
from collections.abc import Iterable, Sequence
from pathlib import Path

from pix2pix_tf.data.examples import Example, list_names, list_unread
from pix2pix_tf.images import codecs
from pix2pix_tf.runtime.files import printable
from pix2pix_tf.runtime.messages import warn

MAX_PAGED = 5000  # files, whose pages are counted
MAX_SIZED = 100  # files, whose sizes are looked at


def print_notices(
    examples: Iterable[Example],
    folders: Sequence[Path | str | None],
    are_pairs: bool = False,
):
    """Warns of files with several pages, files that are not read, and odd halves.

    Args:
        examples: those of the folders.
        folders: where the examples were looked for; None, a file or a pattern is left
            out.
        are_pairs: True if each file is to hold two images side by side.
    """
    paths = [path for example in examples for path in example.paths][:MAX_PAGED]
    if several := [printable(path.name) for path in paths if _has_several_pages(path)]:
        warn(
            f"{len(several)} of {len(paths)} files have several pages or "
            f"frames ({list_names(several)}): only the first of each is read"
        )
    folders = [folder for folder in folders if folder is not None]
    for folder in folders:
        # Two folders are searched with their sub-folders, one without.
        found = list_unread(folder, recursive=len(folders) > 1)
        if unread := [printable(path.name) for path in found]:
            warn(
                f"{len(unread)} files in {printable(folder)} are not read "
                f"({list_names(unread)}): convert them to PNG or JPEG"
            )
    if are_pairs:
        warn_of_single_images(
            (printable(path.name), size)
            for path in paths[:MAX_SIZED]
            for size in _probe(path)
        )


def warn_of_single_images(sizes: Iterable[tuple[str, Sequence[int]]]):
    """Warns if images that are to hold two side by side look like single ones.

    Args:
        sizes: (name, (height, width, ...)) of each; the first 100 are looked at.
    """
    sizes = list(itertools.islice(sizes, MAX_SIZED))
    if single := [name for name, size in sizes if is_single(size)]:
        warn(
            f"{len(single)} of {len(sizes)} images ({list_names(single)}) are "
            "cut into halves that are higher than wide, and may be single images: give "
            "--lab_colorization for photographs, --target_dir for images B in a folder "
            "of their own, or --inputs_only to test without targets"
        )


def is_single(size: Sequence[int]) -> bool:
    """Returns True if a size (height, width, ...) is unusual for two images abreast.

    These have an even width together, and are seldom higher than wide.
    """
    height, width = size[:2]
    return width % 2 == 1 or width < 2 * height


def _probe(path):
    """Yields the size of a file, if it can be read."""
    with contextlib.suppress(codecs.ImageError, OSError):
        yield codecs.probe(path)


def _has_several_pages(path):
    """Returns True for images with several pages; JPEG has one."""
    if path.suffix.lower() in (".jpg", ".jpeg"):
        return False
    with contextlib.suppress(codecs.ImageError, OSError):
        return codecs.count_pages(path) > 1
    return False
