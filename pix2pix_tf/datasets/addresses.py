"""The six data sets of the paper: where their archives are, and what is in them.

The TFDS builder (`paper`) and tools/download_dataset.py share this table and the check
of what they downloaded.
"""

import hashlib
from pathlib import Path
from typing import NamedTuple

from pix2pix_tf.runtime.errors import UsageError

BASE_URL = "http://efrosgans.eecs.berkeley.edu/pix2pix/datasets/"


class Archive(NamedTuple):
    """A .tar.gz that unpacks to NAME/<split>/*.jpg, two images side by side each."""

    file: str
    splits: tuple[str, ...]
    sha256: str | None = None  # None: not known
    size: int | None = None  # bytes; None: not known


# Sizes: facades and maps from published download logs of 2022 and 2023; cityscapes from
# code that checks all three, and the server's listing (99M). None was checked by us.
ARCHIVES = {
    "facades": Archive("facades.tar.gz", ("train", "val", "test"), size=30168306),
    "cityscapes": Archive("cityscapes.tar.gz", ("train", "val"), size=103441232),
    "maps": Archive("maps.tar.gz", ("train", "val"), size=250242400),
    "edges2shoes": Archive("edges2shoes.tar.gz", ("train", "val")),
    "edges2handbags": Archive("edges2handbags.tar.gz", ("train", "val")),
    "night2day": Archive("night2day.tar.gz", ("train", "val", "test")),
}


def make_url(file, base_url=BASE_URL):
    """Returns the address of an archive, whether or not `base_url` ends in a slash."""
    return f"{base_url.rstrip('/')}/{file}"


def check(path, archive, where=None) -> str:
    """Compares a file with what is known of an archive, and returns its sha256.

    Args:
        path: of the file.
        archive: Archive.
        where: str, where the file comes from, for the message (default: `path`).

    Raises:
        UsageError: its size or its sha256 is not the archive's.
    """
    path = Path(path)
    where = where or path
    size = path.stat().st_size
    if archive.size not in (None, size):
        raise UsageError(f"{where} has {size} bytes, and {archive.file} {archive.size}")
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    if archive.sha256 not in (None, sha256):
        raise UsageError(
            f"{where} has the sha256 {sha256}, and {archive.file} {archive.sha256}"
        )
    return sha256
