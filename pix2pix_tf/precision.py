"""In which number format the networks compute: float32, or mixed with 16 bits.

Variables, losses, batch statistics, outputs (tanh, sigmoid), optimizers and averages
stay float32 in all of them (Micikevicius et al. 2018, "Mixed precision training").
"""

import statistics
import time

import keras
import tensorflow as tf

SIDE = 768  # of the matrices that are measured
ROUNDS = 5
LOW = {"mixed_bfloat16": tf.bfloat16, "mixed_float16": tf.float16}


def set_precision(precision):
    """Makes layers that are built from now on compute in a number format.

    Warns where the processor is slower in it than in float32, with what was measured.

    Args:
        precision: float32, mixed_bfloat16 or mixed_float16.
    """
    keras.config.set_dtype_policy(precision)
    if precision not in LOW:
        return
    dtype = LOW[precision]
    times = {kind: _product_time(kind) for kind in (tf.float32, dtype)}
    ratio = times[dtype] / times[tf.float32]
    if ratio > 1:
        print(
            f"warning: --precision {precision} is slow on this processor, which has no "
            f"{dtype.name} of its own: a matrix product takes {ratio:.1f} times as "
            "long as in float32",
            flush=True,
        )


def _product_time(dtype):
    """Returns the seconds of one matrix product, the median of some."""
    matrix = tf.ones([SIDE, SIDE], dtype)
    float(tf.matmul(matrix, matrix)[0, 0])  # loads what it needs
    times = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        float(tf.matmul(matrix, matrix)[0, 0])  # waits for it, on a GPU too
        times.append(time.perf_counter() - started)
    return statistics.median(times)
