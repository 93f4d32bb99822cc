"""The machine that a benchmark runs on: its description and its fastest rates."""

import os
import platform
import time

import keras
import tensorflow as tf

from pix2pix_tf.runtime import processor
from timing import PRECISIONS

MATRIX_SIDE = 2048
ARRAY_NUMBERS = 2**26  # float32 numbers: 256 MB, larger than any cache
FLOAT_BYTES = 4
CALLS = 3


def describe(precisions):
    """Returns {name: text}: processor, GPUs, versions and precisions."""
    known = sorted({"avx2", "avx512f", "avx512_bf16"} & processor.features())
    devices = [device.name for device in tf.config.list_physical_devices("GPU")]
    return {
        "machine": f"{processor.model_name()}, {os.cpu_count()} processors, "
        f"{' '.join(known)}; {', '.join(devices) or 'no GPU'}",
        "versions": f"Python {platform.python_version()}, TensorFlow "
        f"{tf.__version__}, Keras {keras.__version__}",
        "precision": ", ".join(precisions),
    }


def measure_rates():
    """Returns {name: rate} now: of a large matrix product, and of a pass over memory.

    The names are `matmul_gflops_PRECISION`, in GFLOP/s, and `memory_gb_per_s`.
    """
    rates = {}
    for precision, dtype in zip(PRECISIONS, (tf.float32, tf.bfloat16), strict=True):
        matrix = tf.cast(tf.random.normal([MATRIX_SIDE, MATRIX_SIDE]), dtype)
        seconds = _fastest(lambda matrix=matrix: tf.matmul(matrix, matrix))
        rates[f"matmul_gflops_{precision}"] = 2 * MATRIX_SIDE**3 / seconds / 1e9
    array, addend = tf.Variable(tf.ones([ARRAY_NUMBERS])), tf.ones([ARRAY_NUMBERS])
    seconds = _fastest(lambda: array.assign_add(addend))
    # It reads two arrays and writes one.
    rates["memory_gb_per_s"] = 3 * FLOAT_BYTES * ARRAY_NUMBERS / seconds / 1e9
    return rates


def _fastest(function):
    """Returns the seconds of the fastest of some calls, after a first one."""
    function()
    seconds = []
    for _ in range(CALLS):
        started = time.perf_counter()
        function()
        tf.test.experimental.sync_devices()
        seconds.append(time.perf_counter() - started)
    return min(seconds)


def best_rates(samples):
    """Returns the best of each rate in a list of `measure_rates` results."""
    return {name: max(rates[name] for rates in samples) for name in samples[0]}


def arithmetic_rate(rates, precision):
    """Returns the best GFLOP/s for a precision: 16 bits may be computed in float32."""
    return max(rates[f"matmul_gflops_{one}"] for one in {"float32", precision})
