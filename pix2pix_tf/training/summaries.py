"""TensorBoard: what the original writes, under its tags, and more under other tags.

Deciding when is not here.
"""

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
from pix2pix_tf.training import meters

NUM_BUCKETS = 30  # of a histogram, as TensorBoard's own
MAX_IMAGES = 3  # of a batch, as the original


def open_writer(output_dir, global_step):
    """Returns a SummaryWriter for the steps after `global_step`.

    What an earlier process of the run, which was killed, wrote about those steps is
    declared void: TensorBoard drops it where it meets a session's START, but for the
    first, so every process writes one.

    Args:
        output_dir: folder path.
        global_step: int, steps done.
    """
    session = tf.compat.v1.SessionLog(status=tf.compat.v1.SessionLog.START)
    # Files are read in the order of names: after earlier ones, before TensorFlow's new.
    name = f"{int(time.time()):010d}.{socket.gethostname()}.{os.getpid()}-start"
    path = Path(output_dir, f"events.out.tfevents.{name}")
    with tf.io.TFRecordWriter(str(path)) as file:
        for event in ({"file_version": "brain.Event:2"}, {"session_log": session}):
            event |= {"wall_time": time.time(), "step": global_step + 1}
            file.write(tf.compat.v1.Event(**event).SerializeToString())
    return tf.summary.create_file_writer(str(output_dir))


def write_start(writer, options):
    """Writes what holds for the whole run: its options, and what it runs on.

    TensorBoard's HParams page compares runs by these options, and takes every scalar of
    the runs as a metric.

    Args:
        writer: tf.summary.SummaryWriter.
        options: Options, or another dataclass of such parts.
    """
    with writer.as_default(0):
        hp.hparams(_hparams(options))
        tf.summary.text("run/precision", keras.config.dtype_policy().name)
        tf.summary.text("run/device", meters.describe_device())
    writer.flush()


def scalars(state, result, threshold):
    """Returns one step's {tag: float}: the losses' averages, under their names, first.

    Args:
        state: TrainState, after the step.
        result: Forward, of the step.
        threshold: float, as `losses.decision_threshold` gives it, or None.
    """
    values = {name: float(average) for name, average in state.ema.items()}
    gradients = (result.g_gradients, result.d_gradients)
    for (network, optimizer), own, scale in zip(
        state.trained, gradients, result.loss_scales, strict=False
    ):
        # Of the next step, as the rate depends on the steps done.
        values[f"learning_rate/{network.name}"] = float(optimizer.learning_rate)
        norm = float(tf.linalg.global_norm(own)) / float(scale)
        values[f"gradient_norm/{network.name}"] = norm
    if threshold is not None and result.predict_real is not None:
        real = np.mean(result.predict_real.numpy() > threshold)
        fake = np.mean(result.predict_fake.numpy() < threshold)
        values["discriminator_accuracy/real"] = float(real)
        values["discriminator_accuracy/fake"] = float(fake)
    return values


def write(writer, state, result, pictures, values, has_histograms):
    """Writes one step's summaries at `state.global_step`.

    Args:
        writer: tf.summary.SummaryWriter.
        state: TrainState, after the step.
        result: Forward, of the step.
        pictures: {kind, such as "inputs": uint8 [batch, height, width, 3]}.
        values: {tag: float}, the scalars.
        has_histograms: bool.
    """
    with writer.as_default(int(state.global_step)):
        for name, picture in pictures.items():
            _write_image(name, picture)
        if result.predict_real is not None:
            _write_image("predict_real", pixels.to_uint8(result.predict_real))
            _write_image("predict_fake", pixels.to_uint8(result.predict_fake))
        for tag, value in values.items():
            tf.summary.scalar(tag, value)
        if has_histograms:
            gradients = (result.g_gradients, result.d_gradients)
            for (network, _), own in zip(state.trained, gradients, strict=False):
                _write_histograms(network, own)
    writer.flush()


def write_values(writer, step, values, pictures):
    """Writes {tag: float}, and pictures: {tag: uint8 [1, height, width, 3]}."""
    with writer.as_default(step):
        for tag, value in values.items():
            tf.summary.scalar(tag, value)
        for tag, picture in pictures.items():
            tf.summary.image(tag, picture)
    writer.flush()


def write_graph(writer, train_step, *tensors):
    """Writes the graph of the step that was compiled for such tensors."""
    with writer.as_default(0):
        tf.summary.graph(train_step.get_concrete_function(*tensors).graph)
    writer.flush()


def _hparams(options):
    """Returns {flag name: value} of what shapes the networks and what they learn."""
    values = {
        name: value
        for name, value in to_dict(options).items()
        if STORED_FLAGS[name].is_hyperparameter
    }
    return {
        name: value_text(value) if isinstance(value, tuple) else value
        for name, value in values.items()
        if value is not None
    }


def _write_image(name, image):
    tf.summary.image(f"{name}_summary/{name}", image, max_outputs=MAX_IMAGES)


def _write_histograms(network, gradients):
    trained = networks.trainable_by_name(network).items()
    for (name, variable), gradient in zip(trained, gradients, strict=True):
        _write_histogram(f"{name}/values", variable.numpy())
        _write_histogram(f"{name}/gradients", gradient.numpy())


def _write_histogram(tag, values):
    """Writes what `tf.summary.histogram` would, counted by NumPy.

    TensorBoard's own counting makes 30 float64 of every value: for 8 million values it
    took 3.9 s, NumPy 0.1 s. Values that are not finite are left out.
    """
    values = values.astype(np.float64)  # so that no range is too narrow to divide
    if not np.isfinite(values.sum()):
        values = values[np.isfinite(values)]
    counts, edges = np.histogram(values, bins=NUM_BUCKETS)
    tf.summary.write(
        tag,
        np.stack([edges[:-1], edges[1:], counts], axis=-1).astype(np.float64),
        metadata=histogram_metadata.create_summary_metadata(None, None),
    )
