"""What a run's event files hold: the curves of its scalars, and validation images."""

import math
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tensorflow as tf
from google.protobuf.message import DecodeError

from pix2pix_tf.runtime.errors import UsageError
from pix2pix_tf.runtime.files import printable
from pix2pix_tf.training.step import EMA_DECAY
from pix2pix_tf.training.validation import STRIP_TAG

# The tags of moving averages of losses begin with these.
AVERAGE_PREFIXES = ("discriminator_loss", "generator_loss")


class Curve(NamedTuple):
    """The values of one scalar, by increasing step."""

    steps: np.ndarray  # int64 [count], updates done
    values: np.ndarray  # float64 [count]


def read(folder: Path) -> tuple[dict[str, Curve], dict[str, dict[int, bytes]]]:
    """Reads a folder's event files, which may still grow.

    Where a resumed run has logged a step again, the later value counts.

    Returns:
        ({tag: Curve} of the scalars, {image name: {step: bytes of a PNG}} of the
        validation images: input, output and target side by side). Images that the last
        validation did not have are left out.

    Raises:
        UsageError: an event file is damaged.
    """
    scalars, strips, last = {}, {}, None  # {name: {step: value}}, by increasing step
    for path in sorted(folder.glob("*tfevents*")):
        for event in _read_events(path):
            if event.session_log.status == event.session_log.START:
                for series in (*scalars.values(), *strips.values()):
                    _drop_from(series, event.step)
            for value in event.summary.value:
                name, strip = value.tag.removeprefix(STRIP_TAG), value.tensor.string_val
                if value.metadata.plugin_data.plugin_name == "scalars":
                    series = scalars.setdefault(value.tag, {})
                    _drop_from(series, event.step)
                    series[event.step] = tf.make_ndarray(value.tensor).item()
                elif name != value.tag and len(strip) == 3:  # width, height, PNG
                    series = strips.setdefault(name, {})
                    _drop_from(series, event.step)
                    series[event.step], last = strip[2], event.step
    curves = {
        tag: Curve(np.array(list(series)), np.array(list(series.values())))
        for tag, series in sorted(scalars.items())
        if series
    }
    return curves, {name: series for name, series in strips.items() if last in series}


def _read_events(path):
    """Yields the events of a file; half a record at its end is still being written."""
    try:
        for record in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
            yield tf.compat.v1.Event.FromString(record)
    except (tf.errors.DataLossError, DecodeError) as error:
        if "truncated record" not in str(error):
            advice = "remove it, or restore it from a copy"
            raise UsageError(f"{printable(path)} is damaged: {advice}") from None


def _drop_from(series, step):
    """Removes from {step: value}, by increasing step, a step and all later ones."""
    while series and next(reversed(series)) >= step:
        series.popitem()


def is_average(tag: str) -> bool:
    """Returns True if a tag holds a moving average that started from zero."""
    return tag.startswith(AVERAGE_PREFIXES)


def debias(curve: Curve) -> Curve:
    """Returns the Curve of a moving average without the zero that it started from.

    After n updates that zero still has the weight decay^n (Kingma and Ba 2015,
    section 3).
    """
    weight = -np.expm1(curve.steps * math.log(EMA_DECAY))
    return Curve(curve.steps, curve.values / np.where(weight > 0, weight, 1))
