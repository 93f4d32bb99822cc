"""Where the published data sets of pairs are; no TensorFlow here.

The authors moved them there; the addresses that older code has are dead.
"""

from typing import NamedTuple

BASE_URL = "http://efrosgans.eecs.berkeley.edu/pix2pix/datasets"


class Archive(NamedTuple):
    """One data set's file under BASE_URL."""

    file: str
    sha256: str | None  # None: nobody published one


ARCHIVES = {
    "facades": Archive("facades.tar.gz", None),
    "cityscapes": Archive("cityscapes.tar.gz", None),
    "maps": Archive("maps.tar.gz", None),
    "edges2shoes": Archive("edges2shoes.tar.gz", None),
    "edges2handbags": Archive("edges2handbags.tar.gz", None),
    "night2day": Archive("night2day.tar.gz", None),
}
