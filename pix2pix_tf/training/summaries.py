"""Writes TensorBoard summaries: those of the original under its tags, and others."""

import os
import socket
import time
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from tensorboard.plugins.histogram import metadata as histogram_metadata
from tensorboard.plugins.hparams import api as hp

from pix2pix_tf import networks
from pix2pix_tf.images import pixels
from pix2pix_tf.options import STORED_FLAGS, to_dict, value_text
from pix2pix_tf.runtime.files import printable
from pix2pix_tf.training import meters

NUM_BUCKETS = 30  # of a histogram, as in TensorBoard
MAX_IMAGES = 3  # of a batch, as in the original


class Monitor:
    """Sends the metrics of a run to TensorBoard and to callbacks.

    Args:
        options: the options of `loop.run`.
        global_step: steps done.
        callbacks: iterable of functions (step, {tag: float}).
        is_validated: True if the run has validation; without validation and summaries
            no event file is written.

    Attributes:
        meter: meters.Meter.
    """

    def __init__(self, options, global_step: int, callbacks, is_validated: bool):
        self.meter = meters.Meter()
        self._monitor = options.monitor
        self._callbacks = callbacks
        self._writer = None
        if options.monitor.summary_freq or is_validated:
            self._writer = open_writer(options.run.output_dir, global_step)
            write_start(self._writer, options)

    def show_graph(self, train_step, *tensors):
        """Writes the graph of `train_step`, compiled for these tensors."""
        if self._monitor.summary_freq:
            with self._writer.as_default(0):
                tf.summary.graph(train_step.get_concrete_function(*tensors).graph)
            self._writer.flush()

    def show_step(self, state, result, images, threshold):
        """Writes one step's summaries; see `scalars` and `write_step`."""
        values = scalars(state, result, threshold)
        values |= self.meter.read() | meters.memory()
        has_histograms = self._monitor.summary_histograms == "all"
        write_step(self._writer, state, result, images, values, has_histograms)
        self._call(state, values)

    def show_validation(self, state, found):
        """Writes the results of a validation, a validation.Validation."""
        step = int(state.global_step)
        write_values(self._writer, step, found.scalars, found.strips)
        self._call(state, found.scalars)

    def _call(self, state, values):
        for callback in self._callbacks:
            callback(int(state.global_step), values)


def open_writer(output_dir: Path | str, global_step: int):
    """Returns a SummaryWriter for the steps after `global_step`.

    A killed process of the same run may have written summaries of these steps already.
    The START of a session, which is written here, makes TensorBoard discard them.
    TensorBoard ignores the first START of a run, so every process writes one.
    """
    session = tf.compat.v1.SessionLog(status=tf.compat.v1.SessionLog.START)
    # TensorBoard reads files in the order of their names. This name comes after those
    # of earlier processes, and before that of the new writer.
    name = f"{int(time.time()):010d}.{socket.gethostname()}.{os.getpid()}-start"
    path = Path(output_dir, f"events.out.tfevents.{name}")
    with tf.io.TFRecordWriter(str(path)) as file:
        for event in ({"file_version": "brain.Event:2"}, {"session_log": session}):
            event |= {"wall_time": time.time(), "step": global_step + 1}
            file.write(tf.compat.v1.Event(**event).SerializeToString())
    return tf.summary.create_file_writer(str(output_dir))


def write_start(writer, options):
    """Writes the options of a run for TensorBoard's HParams page, and its device.

    Args:
        writer: tf.summary.SummaryWriter.
        options: Options, or another dataclass of such parts.
    """
    with writer.as_default(0):
        # A trial is named after its folder; its default name is a hash.
        hp.hparams(_hparams(options), trial_id=printable(options.run.output_dir))
        tf.summary.text("run/precision", keras.config.dtype_policy().name)
        tf.summary.text("run/device", meters.describe_device())
    writer.flush()


def scalars(state, result, threshold: float | None) -> dict[str, float]:
    """Returns the scalars of one step by tag, the moving averages of the losses first.

    Args:
        state: TrainState, after the step.
        result: StepResult.
        threshold: a higher prediction means "real"; None for no accuracy.
    """
    values = {name: float(average) for name, average in state.ema.items()}
    for (network, optimizer), gradients, scale in zip(
        state.trained, result.gradients, result.loss_scales, strict=True
    ):
        # The rate of the next step, because the step is already counted.
        rate = tf.convert_to_tensor(optimizer.learning_rate)
        values[f"learning_rate/{network.name}"] = float(rate)
        norm = float(tf.linalg.global_norm(gradients)) / float(scale)
        values[f"gradient_norm/{network.name}"] = norm
    if threshold is not None and result.predict_real is not None:
        share_real = np.mean(result.predict_real.numpy() > threshold)
        share_fake = np.mean(result.predict_fake.numpy() < threshold)
        values["discriminator_accuracy/real"] = float(share_real)
        values["discriminator_accuracy/fake"] = float(share_fake)
    return values


def write_step(writer, state, result, images, values, has_histograms):
    """Writes one step's summaries at `state.global_step`.

    Args:
        writer: tf.summary.SummaryWriter.
        state: TrainState, after the step.
        result: StepResult.
        images: {kind, such as "inputs": uint8 [batch, height, width, 3]}.
        values: {tag: float}, the scalars.
        has_histograms: bool.
    """
    if result.predict_real is not None:
        predictions = {"real": result.predict_real, "fake": result.predict_fake}
        images = images | {
            f"predict_{name}": pixels.to_uint8(each)
            for name, each in predictions.items()
        }
    with writer.as_default(int(state.global_step)):
        for name, image in images.items():
            tf.summary.image(f"{name}_summary/{name}", image, max_outputs=MAX_IMAGES)
        for tag, value in values.items():
            tf.summary.scalar(tag, value)
        if has_histograms:
            for (network, _), own in zip(state.trained, result.gradients, strict=True):
                variables = networks.trainable_by_name(network).items()
                for (name, variable), gradient in zip(variables, own, strict=True):
                    write_histogram(f"{name}/values", variable.numpy())
                    write_histogram(f"{name}/gradients", gradient.numpy())
    writer.flush()


def write_values(writer, step, values, images):
    """Writes scalars, {tag: float}, and images, {tag: uint8 [1, height, width, 3]}."""
    with writer.as_default(step):
        for tag, value in values.items():
            tf.summary.scalar(tag, value)
        for tag, image in images.items():
            tf.summary.image(tag, image)
    writer.flush()


def write_histogram(tag, values):
    """Writes a histogram to the default writer, like `tf.summary.histogram`.

    NumPy counts the values, which takes 0.1 s for 8 million; TensorBoard needs 30
    float64 for each value, and 3.9 s. Values that are not finite are left out.

    Args:
        tag: str.
        values: float array of any shape.
    """
    values = values.astype(
        np.float64
    )  # float32 cannot divide a very narrow range into buckets
    if not np.isfinite(values.sum()):
        values = values[np.isfinite(values)]
    counts, edges = np.histogram(values, bins=NUM_BUCKETS)
    tf.summary.write(
        tag,
        np.stack([edges[:-1], edges[1:], counts], axis=-1).astype(np.float64),
        metadata=histogram_metadata.create_summary_metadata(None, None),
    )


def _hparams(options):
    """Returns {flag name: value} of the hyperparameters among the options."""
    return {
        name: printable(value_text(value)) if type(value) in (str, tuple) else value
        for name, value in to_dict(options).items()
        if STORED_FLAGS[name].is_hyperparameter and value is not None
    }
