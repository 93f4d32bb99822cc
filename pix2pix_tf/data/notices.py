"""What a command says at its start about files that it may not read as was meant."""

import contextlib
from collections.abc import Iterable
from pathlib import Path

from pix2pix_tf.data.examples import Example, list_names
from pix2pix_tf.images import codecs
from pix2pix_tf.runtime.files import printable

MAX_LOOKED_AT = 5000  # files, whose headers are read


def print_notices(examples: list[Example], folders: list[Path], are_pairs: bool):
    """Warns of files with several pages, files that are passed over, and odd halves.

    Args:
        examples: those of the folders.
        folders: where the examples were looked for; others than folders are left out.
        are_pairs: True if each file is to hold two images side by side.
    """
    paths = [path for example in examples for path in example.paths][:MAX_LOOKED_AT]
    of_all = f"of {len(paths)} files"
    if several := _names(path for path in paths if _has_several_pages(path)):
        print(
            f"warning: {len(several)} {of_all} have several pages or frames "
            f"({list_names(several)}): only the first of each is read"
        )
    # Two folders are searched with their sub-folders, one without.
    pattern = "*" if len(folders) == 1 else "**/*"
    unread = _names(
        path
        for folder in folders
        for path in sorted(folder.glob(pattern) if folder.is_dir() else [])
        if path.suffix.lower() in codecs.UNREAD_SUFFIXES
    )
    if unread:
        print(
            f"warning: {len(unread)} files are not read ({list_names(unread)}): "
            "convert them to PNG or TIFF"
        )
    if are_pairs and (single := _names(find_single_images(paths))):
        print(
            f"warning: {len(single)} {of_all} ({list_names(single)}) are cut into "
            "halves that are higher than wide, and may be single images: give "
            "--lab_colorization for photographs, --target_dir for images B in a folder "
            "of their own, or --inputs_only to test without targets"
        )


def find_single_images(paths: Iterable[Path]) -> list[Path]:
    """Returns the files that are less than twice as wide as high, or of odd width.

    Two images side by side make an even width, and are seldom higher than wide.
    """
    single = []
    for path in paths:
        with contextlib.suppress(codecs.ImageError, OSError):
            height, width, _ = codecs.probe(path)
            if width % 2 or width < 2 * height:
                single.append(path)
    return single


def _has_several_pages(path):
    """Returns True for images with several pages; JPEG has one."""
    if path.suffix.lower() in (".jpg", ".jpeg"):
        return False
    with contextlib.suppress(codecs.ImageError, OSError):
        return codecs.count_pages(path) > 1
    return False


def _names(paths):
    return [printable(path.name) for path in paths]
