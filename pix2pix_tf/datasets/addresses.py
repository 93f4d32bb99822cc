"""The six data sets of the paper: where their archives are, and what is in them.

The standard library only: a tool that just downloads them reads this table too.
"""

import hashlib
from pathlib import Path
from typing import NamedTuple

BASE_URL = "http://efrosgans.eecs.berkeley.edu/pix2pix/datasets/"


class Archive(NamedTuple):
    """A .tar.gz that unpacks to NAME/<split>/*.jpg, two pictures side by side each."""

    file: str
    splits: tuple[str, ...]
    sha256: str | None = None  # None: not published
    size: int | None = None  # bytes; None: not published


# Sizes as the server reported them to several people between 2020 and 2023.
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


def find_problem(path, archive):
    """Returns how a file differs from what is known of an archive, or None.

    Args:
        path: of the file.
        archive: Archive.
    """
    path = Path(path)
    size = path.stat().st_size
    if archive.size is not None and size != archive.size:
        return f"{path} has {size} bytes, and {archive.file} has {archive.size}"
    if archive.sha256 is not None:
        with path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        if sha256 != archive.sha256:
            return (
                f"{path} has the sha256 {sha256}, and {archive.file} has "
                f"{archive.sha256}"
            )
    return None
