"""How good the outputs are: figures of each picture, and of a whole set of them.

`pictures` has those of one output beside its target, `histograms`, `features` and
`labels` those of sets, `report` collects and writes them. All are of uint8 pictures as
they were written, so that anyone can compute them again from the files. Not in: what
the network is trained by (`losses`).
"""

from pix2pix_tf.metrics.figures import FIGURES, PICTURE_FIGURES
from pix2pix_tf.metrics.pictures import score
from pix2pix_tf.metrics.report import (
    JSON_NAME,
    Scores,
    read_report,
    remove_report,
    report,
)
from pix2pix_tf.metrics.sets import SetScorer

__all__ = [
    "FIGURES",
    "JSON_NAME",
    "PICTURE_FIGURES",
    "Scores",
    "SetScorer",
    "read_report",
    "remove_report",
    "report",
    "score",
]
