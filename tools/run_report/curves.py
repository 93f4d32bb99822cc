"""The scalars of a run's event files, and what is made of them to be drawn."""

import logging
import math
from typing import NamedTuple

import numpy as np
import tensorflow as tf
from tensorboard.backend.event_processing.plugin_event_accumulator import (
    EventAccumulator,
)

from pix2pix_tf.runtime.errors import UsageError
from pix2pix_tf.runtime.files import printable
from pix2pix_tf.training.step import EMA_DECAY

# The tags that hold moving averages of losses begin so.
AVERAGE_PREFIXES = ("discriminator_loss", "generator_loss")


class Curve(NamedTuple):
    """The values of one scalar, by rising step."""

    steps: np.ndarray  # int64 [count], updates done
    values: np.ndarray  # float64 [count]


def read(folder):
    """Returns {tag: Curve} of a folder's event files, which may still grow.

    Of a step that was done again, after a resume, the later value counts.

    Raises:
        UsageError: an event file is damaged.
    """
    for path in sorted(folder.glob("*tfevents*")):
        _check_events(path)
    logging.getLogger("tensorboard").setLevel(logging.ERROR)  # a second graph: no news
    events = EventAccumulator(
        str(folder),
        size_guidance={"tensors": 1},  # pictures and histograms are not wanted
        tensor_size_guidance={"scalars": 0},  # all of them
    ).Reload()
    curves = {}
    for tag, metadata in sorted(events.AllSummaryMetadata().items()):
        if metadata.plugin_data.plugin_name == "scalars":
            curves[tag] = _curve(events.Tensors(tag))
    return {tag: curve for tag, curve in curves.items() if curve.steps.size}


def _check_events(path):
    """Refuses a damaged file, at which TensorBoard would stop without a word.

    Half a record at the end is none: the run goes on, or was killed.
    """
    try:
        tf.data.TFRecordDataset(str(path)).reduce(0, lambda count, _: count + 1)
    except tf.errors.DataLossError as error:
        if "truncated record" not in error.message:
            raise UsageError(
                f"{printable(path)} is damaged: remove it, or restore it from a copy"
            ) from None


def _curve(events):
    """Returns the Curve of one tag's events, without what a resume did again.

    TensorBoard itself purges that only where a session's start was logged.
    """
    kept, first = [], math.inf
    for event in reversed(events):
        if event.step < first:
            kept.append(event)
            first = event.step
    kept.reverse()
    values = [tf.make_ndarray(event.tensor_proto).item() for event in kept]
    steps = np.array([event.step for event in kept], np.int64)
    return Curve(steps, np.array(values, np.float64))


def is_average(tag):
    """Says whether a tag holds a moving average that started from zero."""
    return tag.startswith(AVERAGE_PREFIXES)


def debias(curve):
    """Returns the Curve of a moving average without the zero that it started from.

    After n updates that zero still has the weight decay^n (Kingma and Ba 2015,
    section 3).
    """
    weight = -np.expm1(curve.steps * math.log(EMA_DECAY))
    return Curve(curve.steps, curve.values / np.where(weight > 0, weight, 1))


def average_neighbours(curve, num_points):
    """Returns the Curve of the means of so many groups of neighbours."""
    groups = [np.array_split(array, num_points) for array in curve]
    return Curve(*(np.array([part.mean() for part in parts]) for parts in groups))
