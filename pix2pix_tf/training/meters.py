"""Measures speed, waiting time and memory of training, and describes the device."""

import contextlib
import os
import time

import psutil
import tensorflow as tf

from pix2pix_tf.runtime import processor


class Meter:
    """Counts images and the time spent waiting for them, from one `read` to the next.

    Args:
        clock: function that returns seconds.
    """

    def __init__(self, clock=time.perf_counter):
        self._clock = clock
        self._start()

    def _start(self):
        self._started = self._clock()
        self._waited = 0.0  # seconds
        self._num_images = 0

    @contextlib.contextmanager
    def waiting(self, num_images: int):
        """Counts the time that the block takes as waiting for `num_images` images."""
        started = self._clock()
        yield
        self._waited += self._clock() - started
        self._num_images += num_images

    def read(self) -> dict[str, float]:
        """Returns the metrics since the last call by tag, and resets the counts."""
        elapsed = self._clock() - self._started
        scalars = {
            "speed/images_per_second": self._num_images / elapsed,
            "speed/input_wait_share": self._waited / elapsed,
        }
        self._start()
        return scalars


def memory() -> dict[str, float]:
    """Returns memory in GB by tag.

    With GPUs it is the memory of TensorFlow's tensors on each one, current and peak;
    without GPUs the resident memory of the process.
    """
    gpus = tf.config.list_logical_devices("GPU")
    scalars = {}
    for number, gpu in enumerate(gpus):
        held = tf.config.experimental.get_memory_info(gpu.name.removeprefix("/device:"))
        for name in ("current", "peak"):
            scalars[f"memory/gpu_{number}_{name}_gb"] = held[name] / 1e9
    if not gpus:
        scalars["memory/process_gb"] = psutil.Process().memory_info().rss / 1e9
    return scalars


def describe_device() -> str:
    """Returns the names of the GPUs, or the name and cores of the CPU."""
    gpus = tf.config.list_physical_devices("GPU")
    if not gpus:
        return f"CPU: {processor.model_name()}, {os.cpu_count()} cores"
    details = [tf.config.experimental.get_device_details(gpu) for gpu in gpus]
    return "GPU: " + ", ".join(one.get("device_name", "unknown") for one in details)
