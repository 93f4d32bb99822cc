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


def set_precision(precision: str, emulate: bool = False):
    """Sets the global Keras dtype policy, and whether convolutions are emulated.

    Args:
        precision: "float32", "mixed_bfloat16" or "mixed_float16".
        emulate: if True, compute 16-bit convolutions in float32.
    """
    global _is_emulating
    keras.config.set_dtype_policy(precision)
    _is_emulating = emulate


def should_emulate(precision: str, features: set[str]) -> bool:
    """Returns True if training in a precision needs emulation on this machine.

    Args:
        precision: as for `set_precision`.
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


@contextlib.contextmanager
def in_float32():
    """Context manager that sets the float32 policy, then restores the previous one.

    It is for networks of metrics, whose results must not depend on `--precision`.
    """
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float32")
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)
