"""How fast training is, how long it waits for input, and on what it runs.

Deciding when to look is not here.
"""

import contextlib
import os
import platform
import re
import time
from pathlib import Path

import psutil
import tensorflow as tf


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
    def waiting(self, num_images):
        """Counts the time inside as waiting for so many images."""
        started = self._clock()
        yield
        self._waited += self._clock() - started
        self._num_images += num_images

    def read(self):
        """Returns {tag: float} of the time since the last read, and starts anew."""
        elapsed = self._clock() - self._started
        scalars = {
            "speed/images_per_second": self._num_images / elapsed,
            "speed/input_wait_share": self._waited / elapsed,
        }
        self._start()
        return scalars


def memory():
    """Returns {tag: float}, memory in GB: each GPU's, or without one the process's.

    A GPU's are of TensorFlow's tensors, now and at their peak; the process's is
    resident memory.
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


def describe_device():
    """Returns what the networks run on, as text."""
    gpus = tf.config.list_physical_devices("GPU")
    if not gpus:
        return f"CPU: {processor_name()}, {os.cpu_count()} cores"
    details = [tf.config.experimental.get_device_details(gpu) for gpu in gpus]
    return "GPU: " + ", ".join(one.get("device_name", "unknown") for one in details)


def processor_name():
    """Returns the processor's model on Linux, else its architecture."""
    path = Path("/proc/cpuinfo")
    text = path.read_text() if path.exists() else ""
    model = re.search(r"model name\s*: (.*)", text)
    return model.group(1) if model else platform.machine()
