"""The dtype policy of the networks: float32, or mixed precision with 16 bits.

Variables, losses, batch statistics, outputs (tanh, sigmoid), optimizers and averages
stay float32 in every policy (Micikevicius et al. 2018, "Mixed precision training").

On a processor without the 16-bit format, convolutions in it are ten times slower than
in float32. Emulation computes them in float32 and rounds their inputs and outputs to 16
bits, as a processor that has the format does.
"""

import contextlib

import keras
import tensorflow as tf

LOW = {"mixed_bfloat16": tf.bfloat16, "mixed_float16": tf.float16}
# The names of the bfloat16 instructions in cpuinfo: two of x86, one of Arm.
_BFLOAT16_FEATURES = {"avx512_bf16", "amx_bf16", "bf16"}

_is_emulating = False


@contextlib.contextmanager
def applied(precision: str, emulate: bool = False):
    """Context manager that sets the global Keras dtype policy, then restores it.

    Args:
        precision: "float32", "mixed_bfloat16" or "mixed_float16".
        emulate: if True, compute 16-bit convolutions in float32.
    """
    global _is_emulating
    before = keras.config.dtype_policy(), _is_emulating
    keras.config.set_dtype_policy(precision)
    _is_emulating = emulate
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before[0])
        _is_emulating = before[1]


def should_emulate(precision: str, features: set[str]) -> bool:
    """Returns True if training in a precision needs emulation on this machine.

    Args:
        precision: as for `applied`.
        features: those of the processor, from `processor.features`.

    This depends on the hardware, not on a measurement: GPUs have both formats, some
    processors have bfloat16, and TensorFlow's float16 is slow on every processor.
    """
    if precision not in LOW or tf.config.list_physical_devices("GPU"):
        return False
    return precision == "mixed_float16" or not features & _BFLOAT16_FEATURES


def is_emulated(dtype) -> bool:
    """Returns True if convolutions in a dtype are computed in float32."""
    return _is_emulating and dtype in LOW.values()


def in_float32():
    """Context manager of float32, whose results do not depend on `--precision`."""
    return applied("float32")
