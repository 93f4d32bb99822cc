"""Metrics of output images: of each image against its target, and of whole sets.

In: the metrics, and the report that collects, prints and writes them. All are computed
from the uint8 images that are written, so that they can be reproduced from the files.
Not in: the training losses (`training.losses`).
"""

from pix2pix_tf.metrics.lpips import Lpips, open_lpips
from pix2pix_tf.metrics.per_image import score
from pix2pix_tf.metrics.report import (
    HISTORY_NAME,
    JSON_NAME,
    Scores,
    read_report,
    remove_report,
    report,
)
from pix2pix_tf.metrics.sets import SetScorer
from pix2pix_tf.metrics.table import IMAGE_METRICS, METRICS
