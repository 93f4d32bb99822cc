"""In which number format the networks compute: float32, or mixed with 16 bits.

Variables, losses, batch statistics, outputs (tanh, sigmoid), optimizers and averages
stay float32 in all of them (Micikevicius et al. 2018, "Mixed precision training").
"""

import contextlib
import functools
import statistics
import time

import keras
import tensorflow as tf

ROUNDS = 5
LARGE, SMALL = (32, 32, 128), (16, 16, 128)  # images, and what they are made of them
MAX_RATIO = 1.5  # of times: a processor that has a format is near 0.5
LOW = {"mixed_bfloat16": tf.bfloat16, "mixed_float16": tf.float16}


def set_precision(precision):
    """Makes layers that are built from now on compute in a number format.

    Warns where the processor does not have it, with what was measured.

    Args:
        precision: float32, mixed_bfloat16 or mixed_float16.
    """
    keras.config.set_dtype_policy(precision)
    dtype = LOW.get(precision)
    if dtype and is_slow(dtype):
        print(
            f"warning: --precision {precision} gains nothing on this processor, which "
            f"has no {dtype.name} of its own: a convolution's gradient takes "
            f"{_measure_ratio(dtype):.1f} times as long as in float32. Training "
            "computes in float32, with numbers rounded to 16 bits; other modes take "
            "longer",
            flush=True,
        )


@contextlib.contextmanager
def in_float32():
    """Makes layers that are built inside compute in float32, and those after as before.

    It is for networks that measure, whose numbers are not to depend on `--precision`.
    """
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float32")
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def is_slow(dtype):
    """Says whether a format is of 16 bits, and much slower here than float32."""
    return dtype in LOW.values() and _measure_ratio(dtype) > MAX_RATIO


@functools.cache
def _measure_ratio(dtype):
    """Returns how many times as long as in float32 a convolution's gradient takes."""
    with tf.init_scope():  # not as a part of a graph that is being made
        return _gradient_time(dtype) / _gradient_time(tf.float32)


def _gradient_time(dtype):
    """Returns the seconds of a convolution's gradient, the median of some."""
    images, gradients = tf.ones([1, *LARGE], dtype), tf.ones([1, *SMALL], dtype)
    kernel_shape = [4, 4, LARGE[2], SMALL[2]]
    times = []
    for _ in range(ROUNDS + 1):  # the first loads what it needs
        started = time.perf_counter()
        found = tf.raw_ops.Conv2DBackpropFilter(
            input=images,
            filter_sizes=kernel_shape,
            out_backprop=gradients,
            strides=[1, 2, 2, 1],
            padding="SAME",
        )
        float(found[0, 0, 0, 0])  # waits for it, on a GPU too
        times.append(time.perf_counter() - started)
    return statistics.median(times[1:])
