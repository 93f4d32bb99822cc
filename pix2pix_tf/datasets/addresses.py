"""The archives of the paper's six data sets: addresses, splits and sizes.

The TFDS builder (`paper`) and `pix2pix-tf download` share this table and the check of a
downloaded file.
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


# Sizes: facades and maps from published download logs of 2022 and 2023; cityscapes
# from code that checks all three, and the server's listing (99M). We checked none.
ARCHIVES = {
    "facades": Archive("facades.tar.gz", ("train", "val", "test"), size=30168306),
    "cityscapes": Archive("cityscapes.tar.gz", ("train", "val"), size=103441232),
    "maps": Archive("maps.tar.gz", ("train", "val"), size=250242400),
    "edges2shoes": Archive("edges2shoes.tar.gz", ("train", "val")),
    "edges2handbags": Archive("edges2handbags.tar.gz", ("train", "val")),
    "night2day": Archive("night2day.tar.gz", ("train", "val", "test")),
}


def is_url(path: str) -> bool:
    """Returns True for `gs://bucket/folder` and the like, False for local paths."""
    return "://" in path


def make_url(file: str, base_url: str = BASE_URL) -> str:
    """Returns the address of an archive; `base_url` may end in a slash."""
    return f"{base_url.rstrip('/')}/{file}"


def check(path: str | Path, archive: Archive, where: str | None = None) -> str:
    """Checks a file against the known facts of an archive, and returns its sha256.

    Args:
        path: the file.
        archive: its expected size and sha256.
        where: the source of the file, for the message (default: `path`).

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
